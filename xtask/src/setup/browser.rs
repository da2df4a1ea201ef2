//! A browser and the driver through which tests use it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::debian;
use crate::run::{self, on_path};

pub struct Browser {
    pub program: PathBuf,
    pub driver: PathBuf,
}

const PROGRAMS: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// Where browsers are that do not put themselves on the PATH.
const PLACES: [&str; 4] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "/usr/lib/chromium/chromium",
];

/// What Debian calls them; without a font a page has no words.
const PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "fonts-dejavu-core"];

const WHAT_TO_DO: &str = "\
The tests need Chromium or Chrome, and the chromedriver of the same version.
On Debian or Ubuntu: `sudo apt-get install chromium chromium-driver`.
Elsewhere: install Chrome, then `npx @puppeteer/browsers install chromedriver@stable`.
If they are not on the PATH, name them in HIGHWATER_CHROMIUM and CHROMEDRIVER.";

/// Finds a browser with its driver, or installs both.
pub fn ensure() -> Result<Browser> {
    debian::found_or_installed(installed, "Chromium and its driver", &PACKAGES, WHAT_TO_DO)
}

fn installed() -> Option<Browser> {
    Some(Browser {
        program: named_in("HIGHWATER_CHROMIUM").or_else(browser)?,
        driver: named_in("CHROMEDRIVER").or_else(|| on_path("chromedriver"))?,
    })
}

fn named_in(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}

fn browser() -> Option<PathBuf> {
    let places = PLACES.iter().map(Path::new).filter(|path| path.is_file());
    PROGRAMS.iter().find_map(|program| on_path(program)).or_else(|| places.map(Path::to_owned).next())
}

impl Browser {
    /// What the browser calls itself, for the log of a run.
    pub fn version(&self) -> String {
        run::answer_if_any(Command::new(&self.program).args(["--version", "--no-sandbox"]))
            .unwrap_or_else(|| run::path(&self.program))
    }
}
