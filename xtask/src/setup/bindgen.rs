//! `wasm-bindgen`, which joins WebAssembly to JavaScript, and its test runner.
//!
//! Both come from one package, whose version must equal that of the crate `wasm-bindgen`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::take_turn;
use crate::run::{self, announce, cargo, on_path};
use crate::workspace;

pub struct Bindgen {
    pub version: String,
    pub program: PathBuf,
    pub test_runner: PathBuf,
}

/// Finds the pinned version or installs it.
pub fn ensure() -> Result<Bindgen> {
    let version = pinned_version()?;
    if let Some(found) = installed(&version) {
        return Ok(found);
    }
    let _turn = take_turn()?;
    if let Some(found) = installed(&version) {
        return Ok(found);
    }
    announce(&format!("Installing wasm-bindgen-cli {version} (once per person, about four minutes on two cores)"));
    install(&version)?;
    installed(&version).context("wasm-bindgen-cli was installed but does not run")
}

/// The version that Cargo.lock holds.
fn pinned_version() -> Result<String> {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let mut lines = lock.lines();
    lines
        .find(|line| *line == "name = \"wasm-bindgen\"")
        .and_then(|_| lines.next())
        .and_then(|line| line.strip_prefix("version = \""))
        .and_then(|rest| rest.strip_suffix('"'))
        .map(str::to_owned)
        .context("Cargo.lock does not name the crate wasm-bindgen")
}

fn folder(version: &str) -> PathBuf {
    workspace::tools().join(format!("wasm-bindgen-{version}"))
}

fn installed(version: &str) -> Option<Bindgen> {
    let own = folder(version).join("bin");
    let program = format!("wasm-bindgen{}", std::env::consts::EXE_SUFFIX);
    let folders = [Some(own), on_path("wasm-bindgen").and_then(|path| path.parent().map(Path::to_owned))];
    folders.into_iter().flatten().find_map(|folder| {
        let program = folder.join(&program);
        let runner = folder.join(format!("wasm-bindgen-test-runner{}", std::env::consts::EXE_SUFFIX));
        let answer = run::answer_if_any(Command::new(&program).arg("--version"))?;
        let fits = answer.split_whitespace().nth(1) == Some(version) && runner.is_file();
        fits.then(|| Bindgen { version: version.to_owned(), program, test_runner: runner })
    })
}

fn install(version: &str) -> Result<()> {
    let scratch = workspace::tools().join("wasm-bindgen-build");
    // Without `--locked`: its lock file may name versions that a mirror does not have yet.
    let mut install = cargo(["install", "wasm-bindgen-cli", "--version", version]);
    install
        .arg("--root")
        .arg(folder(version))
        .env("CARGO_TARGET_DIR", &scratch)
        // Fast to build; it is fast enough for what it does.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .current_dir(workspace::tools());
    run::visibly(&mut install)?;
    fs::remove_dir_all(&scratch).ok();
    Ok(())
}
