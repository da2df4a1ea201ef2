//! `highwater check`: reads scenarios and reports everything that is wrong with them.

use std::io::Write;
use std::path::PathBuf;

use crate::command::{Exit, load};

pub fn execute(files: &[PathBuf], out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut exit = Exit::Held;
    for file in files {
        match load(file, err) {
            Ok((_, script)) => {
                let _ = writeln!(out, "{}: ok, {} statements", file.display(), script.statements().count());
            }
            Err(wrong) => exit = wrong,
        }
    }
    exit
}
