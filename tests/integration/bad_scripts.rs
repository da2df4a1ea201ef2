//! Every script in `tests/scripts/bad/` is refused, with the errors that the file beside it lists:
//! one a line, as `line:column: reason`. And every good script is in the canonical form.

use std::fs;
use std::path::{Path, PathBuf};

use highwater::scenario::Script;

fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("the folder of scripts exists");
    let files = entries.map(|entry| entry.expect("a folder's entry is readable").path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|end| end == "hw")).collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds scripts", folder.display());
    files
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn errors(text: &str) -> Vec<String> {
    match Script::read(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_bad_script_is_refused_with_all_its_errors() {
    let mut failures = Vec::new();
    for file in scripts("tests/scripts/bad") {
        let found = errors(&text(&file)).join("\n");
        let expected = text(&file.with_extension("errors"));
        if found.trim_end() != expected.trim_end() {
            failures.push(format!("{}: found\n{found}\nexpected\n{expected}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_good_script_is_right_and_in_the_canonical_form() {
    for file in scripts("tests/scripts") {
        let text = text(&file);
        assert_eq!(errors(&text), Vec::<String>::new(), "{}", file.display());
        let script = Script::parse(&text).expect("it was read a line before");
        assert_eq!(script.print(), text, "{} is in the canonical form", file.display());
    }
}
