//! The command line as a person meets it: what it prints and how it exits.

use std::fs;
use std::path::PathBuf;

use highwater::command::{Exit, execute};

/// Runs the command: its exit, standard output and standard error.
fn call(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("highwater").chain(arguments.iter().copied());
    let exit = execute(arguments, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("the command prints text");
    (exit, text(out), text(err))
}

/// A file of this test in the folder that cargo keeps for such files.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, bytes).expect("cargo's folder for tests is writable");
    file
}

#[test]
fn check_reports_every_error_with_its_line_and_a_mark() {
    let good = file("check_good.hw", "topic orders partitions=3\n");
    let bad = file("check_bad.hw", "topic orders\nprodcue app\nwait 5\n");
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    assert_eq!(call(&["check", good]), (Exit::Held, format!("{good}: ok, 1 statements\n"), String::new()));
    let (exit, out, err) = call(&["check", good, bad]);
    assert_eq!((exit, out), (Exit::Wrong, format!("{good}: ok, 1 statements\n")));
    let expected = format!(
        "{bad}:2:1: unknown verb `prodcue`; did you mean `producer`?\n    prodcue app\n    ^^^^^^^\n\
         {bad}:3:6: expected a duration such as `40ms`, `2s` or `5min`, found `5`\n    wait 5\n         ^\n"
    );
    assert_eq!(err, expected);
}

#[test]
fn fmt_rewrites_what_is_not_canonical_and_leaves_what_is_wrong() {
    let path = file("fmt.hw", "# Kept.\n\ncluster   seed=2 # three\nwait 60s\n");
    let name = path.to_str().unwrap();
    assert_eq!(call(&["fmt", "--check", name]).0, Exit::Failed);
    assert_eq!(call(&["fmt", name]), (Exit::Held, format!("{name}: rewritten\n"), String::new()));
    let canonical = "# Kept.\n\ncluster brokers=3 controllers=3 seed=2  # three\nwait 1min\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), canonical);
    assert_eq!(call(&["fmt", "--check", name]), (Exit::Held, String::new(), String::new()));
    assert_eq!(call(&["fmt", name]), (Exit::Held, String::new(), String::new()));

    let wrong = file("fmt_wrong.hw", "wait   5\n");
    assert_eq!(call(&["fmt", wrong.to_str().unwrap()]).0, Exit::Wrong);
    assert_eq!(fs::read_to_string(&wrong).unwrap(), "wait   5\n");
}

#[test]
fn a_wrong_call_exits_with_2_and_says_why() {
    let script = file("call.hw", "wait 1s\n");
    let script = script.to_str().unwrap();
    for arguments in [
        &["run"][..],
        &["check"],
        &["campaign"],
        &["run", script, "--for", "soon"],
        &["run", script, "--seed", "-1"],
        &["run", script, "--format", "xml"],
        &["run", "no/such/file.hw"],
        &["check", "no/such/file.hw"],
    ] {
        let (exit, out, err) = call(arguments);
        assert_eq!((exit, out.as_str()), (Exit::Wrong, ""), "{arguments:?}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
    let binary = file("binary.hw", b"wait 1s\n\xff\xfe\n");
    let (exit, _, err) = call(&["check", binary.to_str().unwrap()]);
    assert_eq!(exit, Exit::Wrong);
    assert!(err.contains(":2: a scenario is text in UTF-8"), "{err}");
}

#[test]
fn help_and_version_are_no_errors() {
    for (arguments, word) in
        [(&["--help"][..], "check"), (&["run", "--help"], "--digest"), (&["--version"], "highwater")]
    {
        let (exit, out, err) = call(arguments);
        assert_eq!((exit, err.as_str()), (Exit::Held, ""), "{arguments:?}");
        assert!(out.contains(word), "{out}");
    }
    assert!(call(&["--help"]).1.contains("Exit status: 0"));
}

#[test]
fn a_clean_campaign_exits_with_0_and_tells_its_rate() {
    let (exit, out, err) = call(&["campaign", "--seeds", "0..3", "--budget", "10s", "--threads", "2"]);
    assert_eq!((exit, err.as_str()), (Exit::Held, ""));
    assert!(out.starts_with("3 seeds clean in ") && out.contains(" seeds/s, "), "{out}");
}

/// A bug in the engine is no failed check: both the campaign that finds it and the script that it
/// prints say so by their exit status.
#[test]
fn a_broken_property_of_the_engine_exits_with_3_and_shows_the_shortest_script() {
    let plant = ["--plant", "elect-outside-isr"];
    let campaign = ["campaign", "--seeds", "0..100", "--faults", "kill,cut", "--budget", "60s"];
    let (exit, script, err) = call(&[&campaign[..], &plant].concat());
    assert_eq!(exit, Exit::Broken, "{err}");
    assert!(err.contains("property LeaderInIsr broke") && err.contains("The shortest script found"), "{err}");
    assert!(script.starts_with("# Campaign, seed "), "{script}");

    let path = file("broken.hw", &script);
    let name = path.to_str().unwrap();
    let (exit, _, err) = call(&["run", name, plant[0], plant[1]]);
    assert_eq!(exit, Exit::Broken);
    assert!(
        err.contains("The engine broke its property LeaderInIsr") && err.contains("This is a bug in Highwater. Seed "),
        "{err}"
    );
    assert_eq!(call(&["run", name]).0, Exit::Held, "without the bug nothing is wrong with it");
    assert_eq!(call(&["run", name, "--plant", "nothing"]).0, Exit::Wrong);
}
