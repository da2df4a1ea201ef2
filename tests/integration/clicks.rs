//! Any order of clicks: acts, seeks and steps at random, at the head and in the past. Nothing
//! panics, and in the end the text alone leads to the same state.

use std::sync::Arc;

use highwater::history::{History, Playback, Run, Speed};
use highwater::lesson::FIRST_MINUTE;
use highwater::rng::Rng;
use highwater::scenario::script::Script;
use highwater::time::{Duration, Instant};

use crate::laws::act;

/// What a person clicks or types; some of it makes no sense at most moments.
const ACTS: &[&str] = &[
    "kill broker 1",
    "kill broker 2",
    "start broker 1",
    "start broker 2",
    "stop broker 3",
    "start broker 3",
    "power-off broker 2",
    "wipe broker 2",
    "freeze broker 3",
    "thaw broker 3",
    "kill controller c1",
    "start controller c1",
    "kill controller active",
    "cut 1,c1 | 2,3,c2,c3",
    "heal",
    "link 1<->2 latency=300ms loss=20%",
    "drop next FETCH 2->1",
    "send app orders alice=created",
    "send app orders bob=",
    "seek c1 orders-0 0",
    "seek c2 orders-2 latest",
    "commit c1",
    "pause c1",
    "resume c1",
    "kill consumer c2",
    "start consumer c2",
    "topic payments partitions=2 replication-factor=2",
    "create-partitions orders 5",
    "alter topic orders min.insync.replicas=1",
    "delete-records orders-0 before=1",
    "elect preferred orders-0",
    "elect unclean orders-1",
    "reassign orders-0 replicas=3,2",
    "reset-offsets billing orders to=earliest",
    "alter group billing consumer.session.timeout.ms=50000",
    "close c1",
    "close c2",
    "delete group billing",
    "delete topic orders",
    "wait 3s",
    "until isr-size orders-0 = 3 within 10s",
];

#[test]
fn any_order_of_clicks_leaves_a_script_that_leads_to_the_same_state() {
    for seed in 1..=6 {
        let mut draw = Rng::new(seed);
        let script = Arc::new(Script::read(FIRST_MINUTE).expect("the first minute is a script"));
        let mut history = History::open(script).expect("its cluster settles");
        history.finish_script();
        let mut playback = Playback::default();
        playback.playing = true;
        for _ in 0..60 {
            click(&mut history, &mut playback, &mut draw);
        }
        history.seek(history.end());
        let again = Script::read(&history.script().print()).unwrap_or_else(|errors| panic!("seed {seed}: {errors:?}"));
        let mut fresh = Run::start(Arc::new(again), None).expect("it settled before");
        while fresh.advance(history.end()).is_some() {}
        assert_eq!(history.world().digest(), fresh.world.digest(), "seed {seed}\n{}", history.script().print());
    }
}

fn click(history: &mut History, playback: &mut Playback, draw: &mut Rng) {
    let end = history.end().0.max(1);
    match draw.below(8) {
        0 => history.seek(Instant(draw.range(0, end))),
        1 => history.seek(Instant(end) + Duration::from_millis(draw.range(1, 4_000))),
        2 => history.seek_step(draw.below(history.steps().len() as u64 + 1)),
        3 => {
            playback.speed = if draw.below(2) == 0 { Speed::Follow } else { Speed::Fixed(draw.range(1, 40_000_000)) };
            for _ in 0..draw.below(20) {
                // Now and then there is not the time for all of it.
                let worked = Duration::from_millis(draw.range(0, 50));
                playback.tick(history, Duration::from_micros(draw.range(0, 60_000)), || worked);
            }
        }
        _ => {
            // What names a thing that is not there (any more) is refused, and nothing happens.
            let line = ACTS[draw.below(ACTS.len() as u64) as usize];
            act(history, line).ok();
            history.seek(history.now());
        }
    }
}
