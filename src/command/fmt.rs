//! `highwater fmt`: rewrites scenario files in the canonical form. Comments and blank lines stay;
//! a file with an error stays as it is.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::command::{Exit, is_standard, read, report};
use crate::scenario::Script;

pub fn execute(files: &[PathBuf], only_check: bool, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut exit = Exit::Held;
    for file in files {
        match format(file, only_check, out, err) {
            Ok(()) => {}
            Err(worse) if worse as i32 > exit as i32 => exit = worse,
            Err(_) => {}
        }
    }
    exit
}

fn format(file: &Path, only_check: bool, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Exit> {
    let wrong = |err: &mut dyn Write, message: String| {
        let _ = writeln!(err, "{message}");
        Exit::Wrong
    };
    let text = read(file).map_err(|message| wrong(err, message))?;
    // Whether the lines fit together is no question of form.
    let script = Script::parse(&text).map_err(|errors| {
        report(file, &text, &errors, err);
        Exit::Wrong
    })?;
    let canonical = script.print();
    if only_check {
        if canonical == text {
            return Ok(());
        }
        let _ = writeln!(err, "{}: not in the canonical form", file.display());
        return Err(Exit::Failed);
    }
    if is_standard(file) {
        return out.write_all(canonical.as_bytes()).map_err(|error| wrong(err, error.to_string()));
    }
    if canonical != text {
        std::fs::write(file, canonical).map_err(|error| wrong(err, format!("{}: {error}", file.display())))?;
        let _ = writeln!(out, "{}: rewritten", file.display());
    }
    Ok(())
}
