//! The five laws, over every script: determinism, seeking is replaying, a fork shares its past, text
//! is faithful. (The fifth, native equals WebAssembly, is in `tests/browser.rs`.)

use std::sync::Arc;

use highwater::history::{History, Run};
use highwater::rng::Rng;
use highwater::scenario::error::ScriptError;
use highwater::scenario::script::Script;
use highwater::sim::Step;
use highwater::time::{Duration, Instant};

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
    let mut draw = Rng::new(5);
    for (name, text) in scripts::all() {
        let mut history = History::open(scripts::read(&name, &text)).expect("the scripts' clusters settle");
        history.finish_script();
        let old_end = history.end();
        history.seek_step(draw.range(0, history.steps().len() as i64) as u64);
        let past: Vec<Step> = history.steps_seen().to_vec();
        act(&mut history, "freeze broker 1").expect("there is a broker 1");
        assert_eq!(history.steps()[..past.len()], past[..], "{name}");
        let branches = history.branches();
        assert_eq!((branches.len(), branches[0].end), (1, old_end), "{name}: the old future is kept");

        // A second act, at the head; then the text alone leads to the same state, and so does seeking.
        history.seek(history.end() + Duration::from_secs(2));
        act(&mut history, "thaw broker 1").expect("there is a broker 1");
        history.seek(history.end() + Duration::from_secs(3));
        let at = history.end();
        let again = Script::read(&history.script().print()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let mut fresh = Run::start(Arc::new(again), None).expect("it settled before");
        while fresh.advance(at).is_some() {}
        assert_eq!(history.world().digest(), fresh.world.digest(), "{name}: the script is the truth");
        history.seek(Instant::ZERO);
        history.seek(at);
        assert_eq!(history.world().digest(), fresh.world.digest(), "{name}: seeking is replaying");
    }
}

/// What a click does; what is wrong with the line otherwise.
pub fn act(history: &mut History, line: &str) -> Result<(), Vec<ScriptError>> {
    let at = history.settle_for_act();
    let mut script = history.script_until(at);
    script.push_text(line)?;
    history.continue_with(script);
    Ok(())
}

#[test]
fn text_is_faithful() {
    for (name, text) in scripts::all() {
        let script = Script::parse(&text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let printed = script.print();
        assert_eq!(Script::parse(&printed).as_ref(), Ok(&script), "{name}");
    }
}

/// Acting at any step whatever leads to the same state as the text alone.
#[test]
fn acting_at_any_step_is_written_down_faithfully() {
    let scripts = scripts::all();
    let (name, text) = scripts.iter().find(|(_, text)| text.contains("topic")).expect("a script makes a topic");
    let mut whole = History::open(scripts::read(name, text)).expect("the script's cluster settles");
    whole.finish_script();
    for step in 0..whole.steps().len().min(60) as u64 {
        let mut history = History::open(scripts::read(name, text)).expect("it settled before");
        history.seek(whole.end());
        history.finish_script();
        history.seek_step(step);
        act(&mut history, "freeze broker 1").expect("there is a broker 1");
        history.seek(history.end() + Duration::from_secs(1));
        let at = history.end();
        let again = Script::read(&history.script().print()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let mut fresh = Run::start(Arc::new(again), None).expect("it settled before");
        while fresh.advance(at).is_some() {}
        assert_eq!(history.world().digest(), fresh.world.digest(), "{name} at step {step}");
    }
}
