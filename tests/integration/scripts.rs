//! Every script in `tests/scripts/` is a test: all its checks hold. Each begins with a sentence that
//! says what it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater::history::Run;
use highwater::scenario::script::Script;

/// The scripts of the tests and of the product, by name.
pub fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut scripts = Vec::new();
    for folder in ["tests/scripts", "src/lesson"] {
        let entries = fs::read_dir(root.join(folder)).expect("the folder of scripts exists");
        let files = entries.map(|entry| entry.expect("a folder's entry is readable").path());
        let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|end| end == "hw")).collect();
        files.sort();
        for file in files {
            let name = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            scripts.push((name, fs::read_to_string(&file).expect("a script is readable text")));
        }
    }
    scripts
}

pub fn read(name: &str, text: &str) -> Arc<Script> {
    let script = Script::read(text).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{name}.hw: {}", errors.join("\n"))
    });
    Arc::new(script)
}

#[test]
fn every_check_of_every_script_holds() {
    let scripts = all();
    assert!(scripts.len() >= 10, "there are scripts to run");
    let mut failures = Vec::new();
    for (name, text) in scripts {
        assert!(text.starts_with("# ") || text.starts_with('>'), "{name}.hw begins by saying what it shows");
        let mut run =
            Run::start(read(&name, &text), None).unwrap_or_else(|refused| panic!("{name}.hw: {}", refused.message));
        run.finish(None, |_, _| {});
        if let Some(broken) = run.world.first_broken() {
            failures.push(format!("{name}.hw: the engine broke its property {broken:?}"));
        }
        for check in run.checks().iter().filter(|check| !check.ok) {
            failures.push(format!("{name}.hw:{} at {}: {} — but {}", check.line, check.at, check.text, check.actual));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// What a check says no more changes the end than a comment does.
#[test]
fn a_run_ends_where_its_script_ends() {
    let end = |text: &str| {
        let mut run = Run::start(read("a script", text), None).expect("the cluster settles");
        run.finish(None, |_, _| {});
        (run.now().0, format!("{:?}", run.world))
    };
    assert_eq!(end("").0, 0);
    assert_eq!(end("cluster brokers=1 controllers=1").0, 0);
    assert_eq!(end("wait 12s").0, 12_000_000);
    assert_eq!(end("wait 1s\nkill broker 1\nwait 1s\nexpect broker 1 = dead").0, 2_000_000);
    let nobody = "cluster brokers=1 controllers=1\nkill broker 1\nkill controller c1\nwait 1s";
    assert_eq!(end(nobody).0, 1_000_000);
    assert_eq!(end("topic orders"), end("topic orders\nexpect leader orders-0 != none"));
}
