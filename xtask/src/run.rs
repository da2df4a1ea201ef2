//! Running other programs: visibly, or for their answer, and never longer than allowed.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The cargo that started us, with the root of the repository as its folder.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace::root());
    // What cargo tells us about our own package is not for the packages we build.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command.env_remove("CARGO_MANIFEST_DIR");
    command.env_remove("CARGO_MANIFEST_PATH");
    command
}

/// Runs the command with its output in view; fails unless it succeeds.
pub fn visibly(command: &mut Command) -> Result<()> {
    let line = show(command);
    println!("$ {line}");
    let status = command.status().with_context(|| cannot_start(command))?;
    expect_success(status, &line)
}

/// Runs the command and gives what it printed, trimmed; fails unless it succeeds.
pub fn answer(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    expect_success(output.status, &show(command))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Like [`answer`], for a program that may be missing or may refuse: then there is no answer.
pub fn answer_if_any(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Runs the command with its output in view, ended when the time is up.
pub fn visibly_within(command: &mut Command, limit: Duration) -> Result<()> {
    let line = show(command);
    println!("$ {line}");
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return expect_success(status, &line);
        }
        if started.elapsed() > limit {
            child.kill().ok();
            child.wait().ok();
            bail!("`{line}` did not finish within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The first program of that name on the PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// Whether the person behind this process may install packages of the system.
pub fn is_root() -> bool {
    cfg!(unix) && answer_if_any(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// Announces something that takes a while.
pub fn announce(what: &str) {
    println!("\n== {what}");
}

/// A path as an argument of a message.
pub fn path(path: &Path) -> String {
    path.display().to_string()
}

fn expect_success(status: ExitStatus, line: &str) -> Result<()> {
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

fn cannot_start(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    format!("`{program}` cannot be started; is it installed and on the PATH?")
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
