//! `wasm-opt`, which makes the page smaller. The page works without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::take_turn;
use crate::run::{self, announce, on_path};
use crate::workspace;

/// Older ones do not know what today's compiler emits.
const OLDEST: u32 = 120;

/// The version of the npm package that carries `wasm-opt`.
const PACKAGE: &str = "132.0.0";

pub struct Optimizer {
    pub program: PathBuf,
    pub version: String,
}

/// Finds or installs `wasm-opt`; says so when there is none.
pub fn ensure() -> Option<Optimizer> {
    if let Some(found) = installed() {
        return Some(found);
    }
    if on_path("npm").is_none() {
        println!(
            "Note: neither wasm-opt (version {OLDEST} or newer) nor npm is on the PATH; \
             the page will work, but be larger."
        );
        return None;
    }
    let _turn = take_turn().ok()?;
    let found = installed().or_else(|| match install() {
        Ok(()) => installed(),
        Err(problem) => {
            println!("{problem:#}.");
            None
        }
    });
    if found.is_none() {
        println!("Note: wasm-opt could not be installed; the page will work, but be larger.");
    }
    found
}

fn installed() -> Option<Optimizer> {
    let candidates = [Some(own_folder().join("node_modules/.bin/wasm-opt")), on_path("wasm-opt")];
    candidates.into_iter().flatten().find_map(|program| {
        let version = version_of(&program)?;
        (number_in(&version)? >= OLDEST).then_some(Optimizer { program, version })
    })
}

fn version_of(program: &Path) -> Option<String> {
    run::answer_if_any(Command::new(program).arg("--version"))
}

/// The number in `wasm-opt version 132 (version_132)`.
fn number_in(version: &str) -> Option<u32> {
    version.split_whitespace().nth(2)?.parse().ok()
}

fn own_folder() -> PathBuf {
    workspace::tools().join(format!("binaryen-{PACKAGE}"))
}

fn install() -> Result<()> {
    announce(&format!("Installing binaryen {PACKAGE} for its wasm-opt (once per person)"));
    fs::create_dir_all(own_folder())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(own_folder()).arg(format!("binaryen@{PACKAGE}"));
    run::visibly(&mut npm)
}

impl Optimizer {
    /// Rewrites a module, smaller.
    pub fn shrink(&self, module: &Path, into: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("-Oz");
        // What the compiler switches on by default; browsers have had all of it for years.
        for feature in [
            "bulk-memory",
            "bulk-memory-opt",
            "call-indirect-overlong",
            "multivalue",
            "mutable-globals",
            "nontrapping-float-to-int",
            "reference-types",
            "sign-ext",
        ] {
            command.arg(format!("--enable-{feature}"));
        }
        run::visibly(command.arg(module).arg("-o").arg(into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_wasm_opt_says() {
        assert_eq!(number_in("wasm-opt version 132 (version_132)"), Some(132));
        assert_eq!(number_in("wasm-opt version 108"), Some(108));
        assert_eq!(number_in("something else"), None);
    }
}
