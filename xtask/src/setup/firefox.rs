//! Firefox, in which the page's main path runs too. It brings its own remote control, Marionette.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::debian;
use crate::run::{self, on_path};

const PROGRAMS: [&str; 2] = ["firefox-esr", "firefox"];

const PLACES: [&str; 2] =
    ["/Applications/Firefox.app/Contents/MacOS/firefox", "C:\\Program Files\\Mozilla Firefox\\firefox.exe"];

const PACKAGES: [&str; 2] = ["firefox-esr", "fonts-dejavu-core"];

const WHAT_TO_DO: &str = "\
The main path through the page is tested in Firefox, too.
On Debian: `sudo apt-get install firefox-esr`. Elsewhere: install Firefox.
If it is not on the PATH, name it in HIGHWATER_FIREFOX.";

/// Finds Firefox or installs it.
pub fn ensure() -> Result<PathBuf> {
    debian::found_or_installed(installed, "Firefox", &PACKAGES, WHAT_TO_DO)
}

fn installed() -> Option<PathBuf> {
    let named = env::var_os("HIGHWATER_FIREFOX").map(PathBuf::from).filter(|path| path.is_file());
    let places = PLACES.iter().map(Path::new).filter(|path| path.is_file());
    named.or_else(|| PROGRAMS.iter().find_map(|program| on_path(program))).or_else(|| places.map(Path::to_owned).next())
}

/// What it calls itself, for the log of a run.
pub fn version(program: &Path) -> String {
    run::answer_if_any(Command::new(program).arg("--version")).unwrap_or_else(|| run::path(program))
}
