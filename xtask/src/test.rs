//! `cargo xtask test`: everything that must hold, step by step, with a summary at the end.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::driver::{self, Stage};
use crate::page;
use crate::run::{self, announce, cargo};
use crate::setup::target::TARGET;
use crate::setup::{bindgen, browser, target};
use crate::workspace;

#[derive(Args)]
pub struct Options {
    /// Run only these steps.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Step {
    /// The sources are formatted.
    Format,
    /// No lint complains about anything that runs natively.
    Lints,
    /// The documentation is whole: every link in it leads somewhere.
    Docs,
    /// The tests of everything that runs natively.
    Native,
    /// No lint complains about what runs in the browser.
    WebLints,
    /// The tests of single parts inside a browser.
    Browser,
    /// The tests of the finished page, used as a person would.
    Page,
    /// The main path through the finished page, in Firefox.
    Firefox,
}

impl Step {
    fn says(self) -> &'static str {
        match self {
            Step::Format => "the sources are formatted",
            Step::Lints => "no lint complains (native)",
            Step::Docs => "the documentation is whole",
            Step::Native => "tests, native",
            Step::WebLints => "no lint complains (WebAssembly)",
            Step::Browser => "tests in the browser",
            Step::Page => "tests of the finished page",
            Step::Firefox => "the main path in Firefox",
        }
    }

    fn run(self) -> Result<()> {
        match self {
            Step::Format => run::visibly(&mut cargo(["fmt", "--all", "--check"])),
            Step::Lints => run::visibly(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
            Step::Docs => run::visibly(cargo(["doc", "--no-deps", "--lib"]).env("RUSTDOCFLAGS", "-D warnings")),
            Step::Native => run::visibly(&mut cargo(["test", "--workspace"])),
            Step::WebLints => lints_for_the_web(),
            Step::Browser => tests_in_the_browser(),
            Step::Page => {
                page::build()?;
                // All but what has a step or a command of its own.
                Stage::set()?.run(&["--skip", "firefox::", "--skip", "frames::", "--skip", "screenshots::"])
            }
            Step::Firefox => {
                page::build()?;
                driver::run_in_firefox()
            }
        }
    }
}

pub fn test(options: &Options) -> Result<()> {
    let steps = match options.steps.as_slice() {
        [] => Step::value_variants(),
        some => some,
    };
    let mut results = Vec::new();
    for &step in steps {
        announce(step.says());
        let started = Instant::now();
        let result = step.run();
        if let Err(problem) = &result {
            eprintln!("{problem:#}");
        }
        results.push((step, result.is_ok(), started.elapsed()));
    }
    summarize(&results)
}

fn lints_for_the_web() -> Result<()> {
    target::ensure()?;
    run::visibly(&mut cargo([
        "clippy",
        "--package",
        "highwater",
        "--target",
        TARGET,
        "--lib",
        "--bin",
        "page",
        "--test",
        "browser",
        "--",
        "-D",
        "warnings",
    ]))
}

fn tests_in_the_browser() -> Result<()> {
    target::ensure()?;
    let bindgen = bindgen::ensure()?;
    let browser = browser::ensure()?;
    let mut tests = cargo(["test", "--package", "highwater", "--target", TARGET, "--test", "browser"]);
    tests
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &bindgen.test_runner)
        .env("CHROMEDRIVER", &browser.driver)
        .env("HIGHWATER_DIGESTS", native_digests()?)
        // In seconds; a machine for tests may be slow and busy.
        .env("WASM_BINDGEN_TEST_TIMEOUT", "300");
    run::visibly(&mut tests)
}

/// What every script comes to natively: `digest name`, line by line.
fn native_digests() -> Result<String> {
    // As the native tests have built it.
    run::visibly(&mut cargo(["build", "--profile", "test", "--package", "highwater", "--bin", "highwater"]))?;
    let command = workspace::target().join("debug").join(format!("highwater{}", std::env::consts::EXE_SUFFIX));
    let mut lines = String::new();
    for folder in ["tests/scripts", "src/lesson"] {
        let entries =
            std::fs::read_dir(workspace::root().join(folder)).with_context(|| format!("{folder} cannot be read"))?;
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "hw"));
        files.sort();
        for file in files {
            let output = Command::new(&command).args(["run", "--digest"]).arg(&file).output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let digest = text.lines().find_map(|line| line.strip_prefix("digest "));
            let digest = digest.with_context(|| format!("{} printed no digest", file.display()))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            lines.push_str(&format!("{digest} {name}\n"));
        }
    }
    Ok(lines)
}

fn summarize(results: &[(Step, bool, Duration)]) -> Result<()> {
    announce("Summary");
    for (step, passed, time) in results {
        let verdict = if *passed { "passed" } else { "FAILED" };
        println!("{verdict}  {:6.1} s  {}", time.as_secs_f32(), step.says());
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", results.len());
    }
    println!("All {} steps passed.", results.len());
    Ok(())
}
