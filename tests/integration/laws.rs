//! The five laws, over every script: determinism, seeking is replaying, a fork shares its past, text
//! is faithful. (The fifth, native equals WebAssembly, is in `tests/browser.rs`.)

use std::sync::Arc;

use highwater::history::{History, Run};
use highwater::rng::Rng;
use highwater::scenario::script::Script;
use highwater::sim::Step;
use highwater::time::Instant;

use crate::scripts;

fn finished(script: &Arc<Script>, seed: Option<u64>) -> (Vec<Step>, Run) {
    let mut run = Run::start(script.clone(), seed).expect("the scripts' clusters settle");
    let mut steps = Vec::new();
    run.finish(None, |_, step| steps.push(step));
    (steps, run)
}

#[test]
fn the_same_script_and_seed_give_the_same_steps_and_digest() {
    for (name, text) in scripts::all() {
        let script = scripts::read(&name, &text);
        for seed in [None, Some(11), Some(12)] {
            let (steps, run) = finished(&script, seed);
            let (again, run_again) = finished(&script, seed);
            let differing = steps.iter().zip(&again).position(|(a, b)| a != b);
            assert_eq!(differing, None, "{name} with seed {seed:?}: the first differing step");
            assert_eq!(steps.len(), again.len(), "{name} with seed {seed:?}");
            assert_eq!(run.world.digest(), run_again.world.digest(), "{name} with seed {seed:?}");
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    let (name, text) = scripts::all().into_iter().next().expect("there are scripts");
    let script = scripts::read(&name, &text);
    let digest = |seed| finished(&script, Some(seed)).1.world.digest();
    assert_ne!(digest(1), digest(2));
}

#[test]
fn seeking_is_replaying() {
    let mut draw = Rng::new(7);
    for (name, text) in scripts::all() {
        let mut history = History::open(scripts::read(&name, &text)).expect("the scripts' clusters settle");
        history.finish_script();
        let end = history.end();
        for _ in 0..4 {
            let at = Instant(draw.range(0, end.0 + 1));
            history.seek(at);
            let found = history.world().digest();
            let mut fresh = Run::start(history.script().clone(), None).expect("it settled before");
            while fresh.advance(at).is_some() {}
            assert_eq!(history.now(), at, "{name}");
            assert_eq!(found, fresh.world.digest(), "{name} at {at}");
        }
    }
}

#[test]
fn stepping_forward_and_back_returns_to_the_same_state() {
    let (name, text) = scripts::all().into_iter().next().expect("there are scripts");
    let mut history = History::open(scripts::read(&name, &text)).expect("the script's cluster settles");
    history.finish_script();
    let middle = history.steps().len() as u64 / 2;
    history.seek_step(middle);
    let here = history.world().digest();
    history.seek_step(middle + 1);
    history.seek_step(middle - 1);
    history.seek_step(middle);
    assert_eq!(history.world().digest(), here);
}

#[test]
fn a_fork_shares_its_past() {
    for (name, text) in scripts::all().into_iter().take(6) {
        let mut history = History::open(scripts::read(&name, &text)).expect("the scripts' clusters settle");
        history.finish_script();
        let middle = history.steps().len() as u64 / 2;
        history.seek_step(middle);
        let past: Vec<Step> = history.steps_seen().to_vec();
        let at = history.now();
        let mut lines = Script::clone(history.script());
        lines.lines.truncate(history.begun() as usize);
        let kept = lines.push_text(&format!("at {}us", at.0)).is_ok() && lines.push_text("freeze broker 1").is_ok();
        assert!(kept, "{name}: a click can be added");
        history.continue_with(lines);
        history.seek(at + highwater::time::Duration::from_secs(3));
        assert_eq!(history.steps()[..past.len()], past[..], "{name}");
        assert_eq!(history.branches().len(), 1, "{name}: the old future is kept");
    }
}

#[test]
fn text_is_faithful() {
    for (name, text) in scripts::all() {
        let script = Script::parse(&text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let printed = script.print();
        assert_eq!(Script::parse(&printed).as_ref(), Ok(&script), "{name}");
    }
}
