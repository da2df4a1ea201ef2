//! How fast virtual time passes for the one who looks. Protocol timing is never bent: only this is.

use crate::history::History;
use crate::history::attention::{Attention, is_unsettled, something_travels};
use crate::time::{Duration, Instant};

/// Virtual microseconds per real second.
const REAL_TIME: i64 = 1_000_000;
/// In slow motion a flight of half a millisecond takes half a second.
const SLOW_MOTION: i64 = 1_000;
/// Through idle stretches of a story time runs ever faster, up to this.
const IDLE_MAX: i64 = 20 * REAL_TIME;
/// How quickly it gathers speed: doubled in so many real microseconds.
const IDLE_DOUBLING: i64 = 300_000;
/// A tab that slept does not catch up, it goes on: one tick is worth at most so much real time.
const TICK_MAX: Duration = Duration::from_millis(100);
/// What a tick may take of a frame. Where more happens in that time than can be computed, virtual time
/// passes more slowly, and the picture goes on moving.
const WORK_MAX: Duration = Duration::from_millis(8);
/// The same for those who hurry: from this speed on, getting on counts for more than smoothness.
const HURRY: i64 = 20 * REAL_TIME;
const HURRIED_WORK_MAX: Duration = Duration::from_millis(40);
/// How long a page may take to open a script before it is shown.
const OPENING_MAX: Duration = Duration::from_secs(2);
/// The clock is read once in so many steps, for reading it is not free.
const STEPS_PER_LOOK: u32 = 8;

/// The slowest and the fastest fixed speed, in virtual microseconds per real second.
pub const SLOWEST: i64 = REAL_TIME / 1_000;
pub const FASTEST: i64 = REAL_TIME * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Slow while something that a person set off travels, fast through the stretches between.
    Follow,
    /// So many virtual microseconds per real second.
    Fixed(i64),
}

/// Whether and how time passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Playback {
    pub playing: bool,
    pub speed: Speed,
    /// Time stops here, once it comes here: a lesson waits for its reader.
    pub hold: Option<Instant>,
    /// Somebody wrote `wait`, `at` or `until`, or opened a long script: as quickly as can be computed on to where
    /// the script ends, also while time stands.
    pub hurries: bool,
    /// Virtual time owed in millionths of a microsecond: what rounding left over.
    remainder: i64,
    /// The present idle speed of follow mode.
    idle: i64,
    attention: Attention,
    /// The pace of the last tick, so that telling it costs nothing.
    pace: Option<Pace>,
}

impl Default for Playback {
    fn default() -> Playback {
        Playback {
            playing: false,
            speed: Speed::Follow,
            hold: None,
            hurries: false,
            remainder: 0,
            idle: REAL_TIME,
            attention: Attention::default(),
            pace: None,
        }
    }
}

impl Playback {
    /// Carries out the script of a history that has just been opened. What takes longer than anybody waits for a
    /// page is done in the ticks that follow.
    pub fn begin(&mut self, history: &mut History, worked: impl Fn() -> Duration) {
        self.hurries = !finish(history, worked, OPENING_MAX);
    }

    /// Moves the viewed instant on by what `real` elapsed time is worth. `worked` tells for how long
    /// this has been computing.
    pub fn tick(&mut self, history: &mut History, real: Duration, worked: impl Fn() -> Duration) {
        self.pace = None;
        if self.hurries {
            self.hurries = !finish(history, worked, HURRIED_WORK_MAX);
            return;
        }
        if !self.playing {
            return;
        }
        let real = real.min(TICK_MAX);
        self.attention.look(history);
        let pace = self.pace(history);
        self.pace = Some(pace);
        self.pass(pace, real);
        let owed = self.rate_of(pace) * real.0 + self.remainder;
        self.remainder = owed % 1_000_000;
        let mut target = history.now() + Duration(owed / 1_000_000);
        let hold = self.hold.filter(|hold| *hold <= target);
        if let Some(hold) = hold {
            target = hold.max(history.now());
        }
        if self.go_on(history, pace, target, worked) && hold.is_some() {
            self.playing = false;
            self.hold = None;
        }
    }

    /// On to `target`, step by step; false if there is a reason to stop before.
    fn go_on(&mut self, history: &mut History, pace: Pace, target: Instant, worked: impl Fn() -> Duration) -> bool {
        let limit = if self.rate_of(pace) < HURRY { WORK_MAX } else { HURRIED_WORK_MAX };
        let mut steps = 0;
        while history.advance(target) {
            if matches!(pace, Pace::Idle | Pace::Real) {
                self.attention.look(history);
                if self.attention.is_awake() && something_travels(history.world()) {
                    return false;
                }
            }
            steps += 1;
            if steps % STEPS_PER_LOOK == 0 && worked() > limit {
                return false;
            }
        }
        true
    }

    /// The speed at this moment, in virtual microseconds per real second.
    pub fn rate(&self, history: &History) -> i64 {
        let known = self.pace.filter(|pace| self.speed == Speed::Follow && !matches!(pace, Pace::Fixed(_)));
        self.rate_of(known.unwrap_or_else(|| self.pace(history)))
    }

    fn pace(&self, history: &History) -> Pace {
        match self.speed {
            Speed::Fixed(rate) => Pace::Fixed(rate.clamp(SLOWEST, FASTEST)),
            Speed::Follow if self.attention.is_awake() && something_travels(history.world()) => Pace::Slow,
            Speed::Follow if self.attention.is_in_story(history) && is_unsettled(history.world()) => Pace::Idle,
            Speed::Follow => Pace::Real,
        }
    }

    fn rate_of(&self, pace: Pace) -> i64 {
        match pace {
            Pace::Fixed(rate) => rate,
            Pace::Slow => SLOW_MOTION,
            Pace::Idle => self.idle,
            Pace::Real => REAL_TIME,
        }
    }

    /// What real time does to patience: slow motion uses it up, idle stretches gather speed.
    fn pass(&mut self, pace: Pace, real: Duration) {
        match pace {
            Pace::Slow => self.attention.spend(real),
            Pace::Idle => self.idle = (self.idle + self.idle * real.0 / IDLE_DOUBLING).min(IDLE_MAX),
            Pace::Real | Pace::Fixed(_) => {}
        }
        if pace != Pace::Idle {
            self.idle = REAL_TIME;
        }
    }
}

/// On towards the end of the script; true where it has come there.
fn finish(history: &mut History, worked: impl Fn() -> Duration, limit: Duration) -> bool {
    let mut steps = 0;
    while !history.head().is_finished() {
        history.extend_to_the_end_of_the_script();
        steps += 1;
        if steps % STEPS_PER_LOOK == 0 && worked() > limit {
            return false;
        }
    }
    true
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    /// Something that a person set off travels, and there is patience left to watch it.
    Slow,
    /// Nothing of the story travels, and the cluster has yet to react to what was done to it.
    Idle,
    /// Nothing is to be waited for.
    Real,
    Fixed(i64),
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::scenario::script::Script;

    const FRAME: Duration = Duration::from_micros(16_667);

    /// A machine for which nothing is too much.
    fn at_once() -> Duration {
        Duration::ZERO
    }

    fn open(script: &str) -> (History, Playback) {
        let script = Script::read(script).expect("the script is right");
        let mut history = History::open(Arc::new(script)).expect("the cluster settles");
        history.finish_script();
        let playback = Playback { playing: true, ..Playback::default() };
        (history, playback)
    }

    fn act(history: &mut History, line: &str) {
        let at = history.settle_for_act();
        let mut script = history.script_until(at);
        script.push_text(line).expect("the line is right");
        history.continue_with(script);
    }

    /// Real seconds until it holds, watched frame by frame.
    fn watched(history: &mut History, playback: &mut Playback, holds: impl Fn(&History) -> bool) -> f64 {
        let mut real = Duration::ZERO;
        while !holds(history) {
            playback.tick(history, FRAME, at_once);
            real = Duration(real.0 + FRAME.0);
            assert!(real < Duration::from_secs(60), "watched for a minute in vain, at {}", history.now());
        }
        real.0 as f64 / 1e6
    }

    const BUSY: &str = "cluster brokers=3 controllers=3\ntopic orders partitions=3 replication-factor=3\nproducer app\n\
        consumer c1 group=billing topics=orders\nload app orders rate=1/s keys=6 size=12 for=1h\nwait 8s";

    #[test]
    fn a_failover_of_nine_seconds_and_a_flight_are_each_watched_within_a_few_seconds() {
        let (mut history, mut playback) = open(BUSY);
        let acted = history.now();
        act(&mut history, "send app orders alice=created");
        let acked = |history: &History| history.world().producers().all(|(_, p)| p.pending() == 0);
        history.seek(acted + Duration::from_micros(1));
        let flight = watched(&mut history, &mut playback, acked);
        assert!((0.5..6.0).contains(&flight), "a record was on its way for {flight:.1} s");

        let (mut history, mut playback) = open(BUSY);
        act(&mut history, "kill broker 1");
        let moved = |history: &History| {
            history.world().partitions().filter(|(p, _)| !p.is_internal()).all(|(_, r)| r.isr.len() == 2)
        };
        let failover = watched(&mut history, &mut playback, moved);
        assert!((2.0..10.0).contains(&failover), "the failover took {failover:.1} s to watch");
    }

    #[test]
    fn a_failover_in_the_past_is_watched_as_slowly() {
        let (mut history, mut playback) = open(BUSY);
        let acted = history.now();
        act(&mut history, "kill broker 1");
        history.seek(acted + Duration::from_secs(30));
        history.seek(acted - Duration::from_millis(100));
        let real = watched(&mut history, &mut playback, |history| history.now() >= acted + Duration::from_secs(12));
        assert!(history.is_in_past());
        assert!((2.0..12.0).contains(&real), "{real:.1} s");
    }

    #[test]
    fn time_waits_exactly_where_a_lesson_does_at_any_speed() {
        for speed in [Speed::Follow, Speed::Fixed(SLOWEST * 777), Speed::Fixed(FASTEST)] {
            let (mut history, mut playback) = open(BUSY);
            playback.speed = speed;
            let hold = history.now() + Duration::from_millis(1_234);
            playback.hold = Some(hold);
            let mut ticks = 0;
            while playback.playing {
                playback.tick(&mut history, FRAME, at_once);
                ticks += 1;
                assert!(ticks < 10_000, "it never comes there");
            }
            assert_eq!(history.now(), hold, "{speed:?}");
            playback.tick(&mut history, FRAME, at_once);
            assert_eq!(history.now(), hold, "it waits");
            playback.playing = true;
            playback.tick(&mut history, FRAME, at_once);
            assert!(history.now() > hold, "it goes on when it is told to");
        }
    }

    #[test]
    fn a_wait_is_over_as_soon_as_can_be_computed_also_while_time_stands() {
        let (mut history, mut playback) = open(BUSY);
        playback.playing = false;
        let from = history.now();
        act(&mut history, "wait 1min");
        playback.hurries = true;
        playback.tick(&mut history, FRAME, || Duration::from_millis(50));
        assert!(playback.hurries && history.now().since(from) < Duration::from_secs(60), "a frame is not for ever");
        playback.tick(&mut history, FRAME, at_once);
        assert_eq!(history.now().since(from), Duration::from_secs(60));
        playback.tick(&mut history, FRAME, at_once);
        assert_eq!(
            (playback.hurries, history.now().since(from)),
            (false, Duration::from_secs(60)),
            "time stands again"
        );
    }

    #[test]
    fn where_too_much_happens_time_passes_more_slowly_and_loses_nothing() {
        let (mut history, mut playback) = open(BUSY);
        playback.speed = Speed::Fixed(10 * REAL_TIME);
        let from = history.now();
        let mut ticks = 0;
        while history.now().since(from) < Duration::from_secs(2) {
            let looks = Cell::new(0);
            let steps = history.position();
            playback.tick(&mut history, FRAME, || {
                looks.set(looks.get() + 1);
                Duration::from_millis(3 * looks.get())
            });
            assert!(history.position() - steps <= 3 * u64::from(STEPS_PER_LOOK), "it stops when its time is over");
            ticks += 1;
            assert!(ticks < 10_000, "it gets on all the same");
        }
        assert!(ticks > 12, "it could not keep up");
        let (mut other, _) = open(BUSY);
        other.seek(history.now());
        assert_eq!(other.world().digest(), history.world().digest(), "it is the same run");
    }

    #[test]
    fn what_a_watched_script_does_counts_as_an_act() {
        let script = "cluster brokers=3 controllers=3\nwait 1s\nkill broker 1\nwait 1s\n";
        let mut history = History::open(Arc::new(Script::read(script).unwrap())).unwrap();
        history.watch_script();
        history.seek(Instant::ZERO + Duration::from_millis(500));
        assert_eq!(history.last_act(), None);
        history.seek(Instant::ZERO + Duration::from_millis(1_500));
        assert_eq!(history.last_act(), Some(Instant::ZERO + Duration::from_secs(1)));
    }

    #[test]
    fn a_quiet_cluster_runs_in_real_time() {
        let (mut history, mut playback) = open(BUSY);
        let from = history.now();
        for _ in 0..60 {
            playback.tick(&mut history, FRAME, at_once);
        }
        let passed = history.now().since(from);
        assert!(passed > Duration::from_millis(990) && passed < Duration::from_millis(1010), "{passed}");
        playback.speed = Speed::Fixed(FASTEST * 2);
        let from = history.now();
        playback.tick(&mut history, Duration::from_millis(10), at_once);
        assert_eq!(history.now().since(from), Duration::from_secs(10), "the fastest is 1000 times");
        assert!(history.now() > Instant::ZERO);
    }
}
