//! The command line: `highwater run`, `check`, `campaign` and `fmt`. Reads files, prints, and says by its exit
//! status how it went; what a scenario means is none of its business.

pub mod campaign;
mod check;
mod fmt;
pub mod run;
mod transcript;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::kafka::config::Planted;
use crate::scenario::{Script, ScriptError};

/// What the process returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All checks held.
    Held = 0,
    /// A check failed.
    Failed = 1,
    /// The script or the call is wrong.
    Wrong = 2,
    /// An invariant of the engine broke: a bug in Highwater.
    Broken = 3,
}

#[derive(Parser, Debug)]
#[command(
    name = "highwater",
    version,
    about = "A Kafka cluster that you can break, rewind and trust: runs scenario files",
    after_help = "Exit status: 0 all checks held; 1 a check failed; 2 the script or the call is wrong; \
                  3 an invariant of the engine broke (a bug in Highwater)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs a scenario and reports its checks
    Run(run::Args),
    /// Reads scenarios and reports everything that is wrong with them, without running them
    Check {
        /// The scenario files (.hw); - is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Runs random schedules of faults over many seeds, with all properties checked
    ///
    /// Stops at the lowest seed that breaks a property of the engine (exit status 3) or after whose
    /// faults the healed cluster does not get on (exit status 1), and prints the shortest script found
    /// that does the same.
    Campaign(campaign::Args),
    /// Rewrites scenario files in the canonical form
    Fmt {
        /// The scenario files (.hw); - reads the standard input and writes the standard output
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Changes nothing, and fails when a file is not in the canonical form
        #[arg(long)]
        check: bool,
    },
}

/// The whole command with the process's own arguments; returns its exit status.
pub fn main() -> i32 {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    execute(std::env::args_os(), &mut stdout.lock(), &mut stderr.lock()) as i32
}

/// The command with these arguments, the first of which is its own name.
pub fn execute<T: Into<std::ffi::OsString> + Clone>(
    arguments: impl IntoIterator<Item = T>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let wanted = !error.use_stderr();
            if wanted {
                let _ = write!(out, "{}", error.render());
                return Exit::Held;
            }
            let _ = write!(err, "{}", error.render());
            return Exit::Wrong;
        }
    };
    match cli.command {
        Command::Run(args) => run::execute(&args, out, err),
        Command::Check { files } => check::execute(&files, out, err),
        Command::Campaign(args) => campaign::execute(&args, out, err),
        Command::Fmt { files, check } => fmt::execute(&files, check, out, err),
    }
}

/// A bug that is put into the engine on purpose, to see whether it is found: no part of the help.
fn planted(word: &str) -> Result<Planted, String> {
    let known = Planted::ALL.into_iter().find(|planted| planted.word() == word);
    known.ok_or_else(|| format!("expected one of {}", Planted::ALL.map(Planted::word).join(", ")))
}

/// The text of a file; `-` is the standard input.
fn read(file: &Path) -> Result<String, String> {
    let bytes = if is_standard(file) {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = bytes.map_err(|error| format!("{}: {error}", file.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        format!("{}:{line}: a scenario is text in UTF-8, and here are bytes that are not", file.display())
    })
}

fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

/// A scenario that may run; what is wrong with it is printed.
fn load(file: &Path, err: &mut dyn Write) -> Result<(String, Script), Exit> {
    let text = read(file).map_err(|error| {
        let _ = writeln!(err, "{error}");
        Exit::Wrong
    })?;
    match Script::read(&text) {
        Ok(script) => Ok((text, script)),
        Err(errors) => {
            report(file, &text, &errors, err);
            Err(Exit::Wrong)
        }
    }
}

/// Prints errors with their lines: `file:3:1: reason`, the line, and a mark below it.
fn report(file: &Path, text: &str, errors: &[ScriptError], err: &mut dyn Write) {
    for error in errors {
        let _ = writeln!(err, "{}:{error}", file.display());
        let Some(line) = text.lines().nth(error.span.line as usize - 1) else { continue };
        const WIDEST: usize = 200;
        let shown: String = line.chars().take(WIDEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(err, "    {shown}");
        let column = error.span.column as usize - 1;
        if column <= WIDEST {
            let length = (error.span.length as usize).clamp(1, WIDEST + 1 - column);
            let _ = writeln!(err, "    {}{}", " ".repeat(column), "^".repeat(length));
        }
    }
}
