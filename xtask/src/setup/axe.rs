//! axe-core, which looks for what shuts people out. Only the tests use it; the page is free of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::take_turn;
use crate::run::{self, announce, on_path};
use crate::workspace;

/// The version of the npm package.
const PACKAGE: &str = "4.10.3";

/// The script, installed if need be.
pub fn ensure() -> Result<PathBuf> {
    let folder = workspace::tools().join(format!("axe-core-{PACKAGE}"));
    let script = folder.join("node_modules/axe-core/axe.min.js");
    let _turn = take_turn()?;
    if script.is_file() {
        return Ok(script);
    }
    if on_path("npm").is_none() {
        bail!("The tests of the page check its accessibility with axe-core, which npm installs: install Node.js");
    }
    announce(&format!("Installing axe-core {PACKAGE} (once per person)"));
    fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(format!("axe-core@{PACKAGE}"));
    run::visibly(&mut npm)?;
    if !script.is_file() {
        bail!("axe-core was installed, but {} is not there", script.display());
    }
    Ok(script)
}
