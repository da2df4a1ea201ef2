//! `highwater run`: one scenario, one seed, one report.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::command::{Exit, load};
use crate::scenario::quantity;
use crate::scenario::{Script, Statement};
use crate::time::Duration;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The scenario file (.hw); - is the standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Runs with this seed instead of the script's own
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Runs for this much virtual time at least, such as 40ms, 2s or 5min, also past the last statement
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Leaves records and events out of the JSON
    #[arg(long)]
    pub brief: bool,
    /// Prints a hash of the whole final state: the same for the same text and seed on every machine
    #[arg(long)]
    pub digest: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// What is to be run: all that the engine needs to know.
#[derive(Clone, Debug)]
pub struct Request {
    /// With the seed already replaced when the call named one.
    pub script: Script,
    pub seed: u64,
    /// The virtual time to reach at least, also past the last statement.
    pub duration: Duration,
    pub format: Format,
    pub brief: bool,
    pub digest: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    quantity::duration(text).ok_or_else(|| "expected a duration such as 40ms, 2s or 5min".to_string())
}

pub fn execute(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut script = match load(&args.file, err) {
        Ok((_, script)) => script,
        Err(exit) => return exit,
    };
    let seed = args.seed.unwrap_or(script.setup().seed);
    for line in &mut script.lines {
        if let Some(Statement::Cluster(setup)) = &mut line.statement {
            setup.seed = seed;
        }
    }
    let duration = args.duration.unwrap_or(Duration::ZERO);
    let request = Request { script, seed, duration, format: args.format, brief: args.brief, digest: args.digest };
    engine(&request, out, err)
}

/// The seam to the engine: runs the request, prints its result to `out`, and says how it went.
fn engine(request: &Request, _: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let statements = request.script.statements().count();
    let _ = writeln!(err, "the {statements} statements are well formed, but this build has no engine to run them");
    Exit::Broken
}
