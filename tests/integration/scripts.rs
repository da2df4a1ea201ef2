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
