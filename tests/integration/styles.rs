//! The style sheets of the page: of each class one sheet says how it looks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The sheets that say how things of other sheets look where there is little room, or little contrast.
const RESTYLE: [&str; 4] = ["low.css", "narrow.css", "phone.css", "contrast.css"];

/// The sheet without its comments and without what holds only in some media.
fn plain(sheet: &str) -> String {
    let mut kept = String::new();
    let (mut rest, mut depth, mut medium) = (sheet, 0, None);
    while let Some(next) = rest.chars().next() {
        if let Some(end) = rest.strip_prefix("/*").map(|comment| comment.find("*/").expect("comments end")) {
            rest = &rest[2 + end + 2..];
            continue;
        }
        match next {
            '@' if depth == 0 => medium = Some(0),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if medium.is_none() {
            kept.push(next);
        } else if next == '}' && Some(depth) == medium {
            medium = None;
        }
        rest = &rest[next.len_utf8()..];
    }
    kept
}

/// The classes that rules are about which name nothing else.
fn classes(sheet: &str) -> Vec<String> {
    let sheet = plain(sheet);
    let selectors = sheet.split('}').filter_map(|rule| rule.split_once('{')).flat_map(|(names, _)| names.split(','));
    let is_name = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    selectors
        .filter_map(|selector| selector.trim().strip_prefix('.'))
        .filter(|n| is_name(n))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_sheet_is_read_without_comments_and_media() {
    let sheet = "/* .no { } */ .a, .b.c { x: y } @media (x) { .d { x: y } } .e { }";
    assert_eq!(classes(sheet), ["a", "e"]);
}

#[test]
fn no_two_sheets_say_how_a_class_looks() {
    let mut homes: BTreeMap<String, String> = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/styles");
    for entry in fs::read_dir(&folder).expect("the styles are there") {
        let path = entry.expect("the styles can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if RESTYLE.contains(&name.as_str()) {
            continue;
        }
        for class in classes(&fs::read_to_string(&path).expect("a style sheet is text")) {
            let home = homes.entry(class.clone()).or_insert_with(|| name.clone());
            assert_eq!(*home, name, "the class {class:?}");
        }
    }
    assert!(homes.len() > 100, "only {} classes were found", homes.len());
}
