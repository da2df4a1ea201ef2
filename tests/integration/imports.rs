//! Who may import whom: the table of the architecture as data, checked against every `use` line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room (a path below `src/`, the longest match wins) and the rooms that it may name. A room may
/// always name itself.
const TABLE: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("rng", &[]),
    ("sorted", &[]),
    ("packed", &[]),
    ("wire", &["time"]),
    ("kafka/config", &["wire", "time", "rng"]),
    ("kafka/fact", &["wire", "time", "rng"]),
    ("kafka/node", &["wire", "time", "rng", "kafka/fact"]),
    ("kafka/log", &["wire", "time", "kafka/config"]),
    ("kafka/replica", &["wire", "time", "kafka/config", "kafka/node", "kafka/fact", "kafka/log"]),
    ("kafka/quorum", &["wire", "time", "kafka/config", "kafka/node", "kafka/fact", "kafka/log"]),
    ("kafka/controller", &["wire", "time", "kafka/config", "kafka/node", "kafka/fact", "kafka/quorum"]),
    ("kafka/coordinator", &["wire", "time", "kafka/node", "kafka/controller"]),
    (
        "kafka/group",
        &["wire", "time", "kafka/config", "kafka/node", "kafka/fact", "kafka/controller", "kafka/coordinator"],
    ),
    (
        "kafka/transaction",
        &["wire", "time", "kafka/config", "kafka/node", "kafka/fact", "kafka/controller", "kafka/coordinator"],
    ),
    ("kafka/share", &["wire", "time"]),
    (
        "kafka/share_coordinator",
        &[
            "wire",
            "time",
            "kafka/config",
            "kafka/node",
            "kafka/fact",
            "kafka/controller",
            "kafka/coordinator",
            "kafka/share",
        ],
    ),
    (
        "kafka/broker",
        &[
            "wire",
            "time",
            "kafka/config",
            "kafka/node",
            "kafka/fact",
            "kafka/log",
            "kafka/replica",
            "kafka/quorum",
            "kafka/controller",
            "kafka/coordinator",
            "kafka/group",
            "kafka/transaction",
            "kafka/share",
            "kafka/share_coordinator",
        ],
    ),
    ("kafka/client", &["wire", "time", "kafka/config", "kafka/node", "kafka/fact"]),
    ("sim", &["wire", "time", "rng", "kafka"]),
    ("scenario", &["sim", "wire", "time", "kafka/config", "kafka/node", "kafka/fact"]),
    ("history", &["sim", "scenario", "wire", "time"]),
    ("lesson", &["scenario"]),
    ("view", &["history", "sim", "scenario", "kafka", "wire", "time"]),
    ("ui", &["view", "history", "scenario", "lesson", "sim/action", "time", "wire"]),
];

/// What any room may use, as it may use the standard library's collections.
const ANYWHERE: [&str; 2] = ["sorted", "packed"];

#[test]
fn every_room_imports_only_what_the_table_allows() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut breaches = Vec::new();
    let mut seen = BTreeSet::new();
    let files = rust_files(&source);
    let below =
        |file: &Path| file.strip_prefix(&source).expect("it was found there").to_string_lossy().replace('\\', "/");
    let tests: Vec<String> = files.iter().flat_map(|file| test_modules(&below(file), &read(file))).collect();
    for file in files {
        let path = below(&file);
        let Some((room, allowed)) = room_of(&path) else { continue };
        if tests.iter().any(|module| within(path.trim_end_matches(".rs"), module)) {
            continue;
        }
        seen.insert(room);
        let text = read(&file);
        for (line, target) in imports(&text) {
            let fine = within(&target, room)
                || ANYWHERE.iter().any(|other| within(&target, other))
                || allowed.iter().any(|other| within(&target, other));
            if !fine {
                breaches.push(format!("src/{path}:{line}: {room} may not import {target}"));
            }
        }
    }
    assert!(seen.len() >= 10, "the test looks at the rooms: {seen:?}");
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn a_breach_is_found() {
    assert_eq!(imports("use crate::sim::world::World;"), vec![(1, "sim/world".to_string())]);
    assert_eq!(imports("use crate::kafka::{log::Log, node};"), vec![(1, "kafka/log".into()), (1, "kafka/node".into())]);
    assert!(!within("kafka/logger", "kafka/log"));
    let declared = "#[cfg(test)]\nmod tests;\nmod state;\n#[cfg(test)]\npub(super) mod testing;\n";
    assert_eq!(test_modules("kafka/log/mod.rs", declared), ["kafka/log/tests", "kafka/log/testing"]);
    assert_eq!(test_modules("wire/batch.rs", declared)[0], "wire/batch/tests");
}

/// The modules that a file declares for tests only, as paths below `src/`: they may import what they like.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")).unwrap_or(path);
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.lines().next()?.strip_suffix(';'));
    declared.filter_map(|line| Some(format!("{folder}/{}", line.split("mod ").nth(1)?))).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("a source file is readable text")
}

fn room_of(path: &str) -> Option<(&'static str, &'static [&'static str])> {
    let module = path.strip_suffix(".rs")?;
    let rooms = TABLE.iter().filter(|(room, _)| within(module, room));
    rooms.max_by_key(|(room, _)| room.len()).copied()
}

/// Whether `path` is `room` or lies in it.
fn within(path: &str, room: &str) -> bool {
    path == room || path.strip_prefix(room).is_some_and(|rest| rest.starts_with('/'))
}

/// The `crate::…` paths that a file names, as `room/module`, with their line numbers; not those of
/// test modules at its end.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    for (index, line) in product.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        for (start, _) in code.match_indices("crate::") {
            let rest = &code[start + "crate::".len()..];
            for target in targets(rest) {
                found.push((index + 1, target));
            }
        }
    }
    found
}

/// `kafka::{log::Log, node}` → `kafka/log`, `kafka/node`: two segments say the room.
fn targets(path: &str) -> Vec<String> {
    let first: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(rest) = path[first.len()..].strip_prefix("::") else { return vec![first] };
    let Some(group) = rest.strip_prefix('{') else {
        let second: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        return vec![join(&first, &second)];
    };
    let inner = group.split('}').next().unwrap_or(group);
    let names = inner
        .split(',')
        .map(|part| part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>());
    names.filter(|name| !name.is_empty()).map(|name| join(&first, &name)).collect()
}

/// A type's name is not a module.
fn join(first: &str, second: &str) -> String {
    if second.is_empty() || second.starts_with(|c: char| c.is_uppercase()) {
        first.to_string()
    } else {
        format!("{first}/{second}")
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src exists") {
        let path = entry.expect("a folder's entry is readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
