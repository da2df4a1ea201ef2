//! Remembers a run and finds every instant of it again. The script is the truth; the steps are what
//! it led to; snapshots are only a cache: seeking is replaying from the nearest one.

pub mod attention;
pub mod playback;
pub mod run;
pub mod samples;

use std::sync::Arc;

use crate::scenario::script::{Line, Script, Statement};
use crate::sim::{Cause, Event, EventId, Refused, Step, World};
use crate::time::{Duration, Instant};

pub use playback::{Playback, Speed};
pub use run::{Check, Run};
pub use samples::Samples;

/// A snapshot at least every so many steps; a seek to what is not long ago replays at most this many.
const STEPS_PER_SNAPSHOT: u64 = 512;
/// However large the cluster is, seeking stays quick enough with so many snapshots.
const SNAPSHOTS_MIN: u64 = 16;

/// How much of a long history is kept, for the page must not grow without end. The script still leads
/// everywhere: what is dropped can be carried out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// When there are more steps, the oldest quarter is dropped.
    pub steps: u64,
    /// How much all snapshots together may weigh (see `weight`). When they weigh more, every other
    /// one of the older half goes.
    pub weight: u64,
}

/// More than two virtual hours of the default cluster; some 80 MB of steps and as much of snapshots, for
/// three brokers and for thirty alike.
const KEPT: Bounds = Bounds { steps: 1 << 20, weight: 75_000 };

/// A run at the point after its first `steps` steps.
#[derive(Clone, Debug)]
struct Snapshot {
    steps: u64,
    run: Run,
}

/// Everything that has happened, and the instant that is looked at.
#[derive(Clone, Debug)]
pub struct History {
    script: Arc<Script>,
    /// All steps from the one with the number `dropped`, which counts from the very first.
    steps: Vec<Step>,
    dropped: u64,
    bounds: Bounds,
    /// The number of the step that told each event, by event id from the first kept one.
    event_places: Vec<u64>,
    /// The numbers of the kept steps that told something that matters.
    mattering: Vec<u64>,
    snapshots: Vec<Snapshot>,
    /// The newest state; always at the end of `steps`.
    head: Run,
    /// The state that is looked at, when it is not the newest.
    past: Option<Snapshot>,
    /// Futures that were left when somebody acted in the past, oldest first.
    branches: Vec<Branch>,
    /// When a person acted, in order of time.
    acts: Vec<Instant>,
    /// The script is watched as it is carried out: what it does counts as a person's acts.
    watched: bool,
    /// What the metrics were, up to the newest state.
    samples: Samples,
}

/// A future that was left: its script still leads there.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    pub left_at: Instant,
    pub end: Instant,
    pub script: Arc<Script>,
}

impl History {
    pub fn open(script: Arc<Script>) -> Result<History, Refused> {
        let head = Run::start(script.clone(), None)?;
        let snapshots = vec![Snapshot { steps: 0, run: head.clone() }];
        Ok(History {
            script,
            steps: Vec::new(),
            dropped: 0,
            bounds: KEPT,
            event_places: Vec::new(),
            mattering: Vec::new(),
            snapshots,
            head,
            past: None,
            branches: Vec::new(),
            acts: Vec::new(),
            watched: false,
            samples: Samples::default(),
        })
    }

    /// The instant that is looked at.
    pub fn now(&self) -> Instant {
        self.viewed().now()
    }

    /// The oldest instant that can still be looked at.
    pub fn beginning(&self) -> Instant {
        if self.dropped == 0 { Instant::ZERO } else { self.snapshots[0].run.now() }
    }

    /// Keeps more or less than usual.
    pub fn keep_within(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The newest instant that has been simulated.
    pub fn end(&self) -> Instant {
        self.head.now()
    }

    pub fn is_in_past(&self) -> bool {
        self.past.is_some()
    }

    /// The state that is looked at.
    pub fn viewed(&self) -> &Run {
        self.past.as_ref().map_or(&self.head, |past| &past.run)
    }

    pub fn world(&self) -> &World {
        &self.viewed().world
    }

    pub fn head(&self) -> &Run {
        &self.head
    }

    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The steps that are kept, those after the viewed instant too. The first of them has the number
    /// [`History::first_step`].
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many steps there were before those that are kept.
    pub fn first_step(&self) -> u64 {
        self.dropped
    }

    /// How many steps there have been, dropped ones and those after the viewed instant included.
    pub fn count(&self) -> u64 {
        self.dropped + self.steps.len() as u64
    }

    /// The step with this number, if it is kept.
    pub fn step(&self, number: u64) -> Option<&Step> {
        self.steps.get(number.checked_sub(self.dropped)? as usize)
    }

    /// The kept steps from this number on.
    pub fn steps_from(&self, number: u64) -> &[Step] {
        &self.steps[(number.saturating_sub(self.dropped) as usize).min(self.steps.len())..]
    }

    /// How many steps lie before the viewed instant.
    pub fn position(&self) -> u64 {
        self.past.as_ref().map_or(self.count(), |past| past.steps)
    }

    /// The kept steps up to the viewed instant.
    pub fn steps_seen(&self) -> &[Step] {
        &self.steps[..(self.position() - self.dropped) as usize]
    }

    /// The kept steps up to the viewed instant that told something that matters, the youngest first.
    pub fn mattering_steps(&self) -> impl Iterator<Item = &Step> {
        let seen = self.mattering.partition_point(|number| *number < self.position());
        self.mattering[..seen].iter().rev().filter_map(|number| self.step(*number))
    }

    pub fn event(&self, id: EventId) -> Option<&Event> {
        let first = self.steps.iter().flat_map(|step| &step.events).next()?.id;
        let step = *self.event_places.get(id.0.checked_sub(first.0)? as usize)?;
        self.step(step)?.events.iter().find(|event| event.id == id)
    }

    /// The event and what led to it, the youngest first.
    pub fn causes(&self, id: EventId) -> Vec<&Event> {
        std::iter::successors(self.event(id), |event| self.event(event.cause?)).collect()
    }

    /// What the metrics were, also after the viewed instant.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Does the next thing at the head if it is due by `limit`, and takes the samples that are due
    /// before; true if there was a step.
    pub fn extend(&mut self, limit: Instant) -> bool {
        self.extend_until(limit, |_| false)
    }

    /// The same, but not beyond the end of the script.
    pub fn extend_to_the_end_of_the_script(&mut self) -> bool {
        self.extend_until(Instant::FAR_FUTURE, Run::is_finished)
    }

    fn extend_until(&mut self, limit: Instant, done: fn(&Run) -> bool) -> bool {
        let step = loop {
            let due = self.samples.due();
            match self.head.advance_until(limit.min(due), done) {
                Some(step) => break step,
                None if done(&self.head) => return false,
                None if due <= limit => self.samples.take(&self.head.world),
                None => return false,
            }
        };
        if self.watched && matches!(step.cause, Cause::Script { .. }) {
            self.acts.push(step.at);
        }
        let number = self.count();
        self.event_places.extend(step.events.iter().map(|_| number));
        if step.events.iter().any(|event| event.fact.matters()) {
            self.mattering.push(number);
        }
        self.steps.push(step);
        let steps = number + 1;
        if self.snapshots.last().is_none_or(|last| steps - last.steps >= STEPS_PER_SNAPSHOT) {
            self.snapshots.push(Snapshot { steps, run: self.head.clone() });
            self.thin_snapshots();
            self.drop_beginning();
        }
        true
    }

    /// From here on, what the script does is watched like what a person does.
    pub fn watch_script(&mut self) {
        self.watched = true;
    }

    /// Carries out the script to its end.
    pub fn finish_script(&mut self) {
        while !self.head.is_finished() {
            self.extend_to_the_end_of_the_script();
        }
    }

    /// Looks at the instant `at`: back to it, or on to it, simulating what has not been yet.
    pub fn seek(&mut self, at: Instant) {
        let at = at.max(self.beginning());
        if at >= self.head.now() {
            while self.extend(at) {}
            self.past = None;
            return;
        }
        let steps = self.steps.partition_point(|step| step.at <= at) as u64;
        self.look_at(self.dropped + steps, at);
    }

    /// Goes on by one step if it is due by `limit`, else to `limit`; true if there was a step.
    pub fn advance(&mut self, limit: Instant) -> bool {
        if self.past.is_none() {
            return self.extend(limit);
        }
        let position = self.position();
        let Some(at) = self.step(position).map(|step| step.at).filter(|at| *at <= limit) else {
            self.seek(limit);
            return false;
        };
        self.look_at(position + 1, at);
        true
    }

    /// Looks at the state after the first `steps` steps, at the time of the last of them.
    pub fn seek_step(&mut self, steps: u64) {
        let steps = steps.clamp(self.snapshots[0].steps, self.count());
        let last = steps.checked_sub(1).and_then(|last| self.step(last));
        let at = last.map_or(self.beginning(), |last| last.at);
        if steps == self.count() && at >= self.head.now() {
            self.past = None;
        } else {
            self.look_at(steps, at);
        }
    }

    fn look_at(&mut self, steps: u64, at: Instant) {
        let near = self.past.take().filter(|past| past.steps <= steps && past.run.now() <= at);
        let index = self.snapshots.partition_point(|snapshot| snapshot.steps <= steps) - 1;
        let snapshot = match near {
            Some(past) if past.steps >= self.snapshots[index].steps => past,
            _ => self.snapshots[index].clone(),
        };
        let mut past = snapshot;
        while past.steps < steps {
            let due = self.step(past.steps).expect("steps after a kept snapshot are kept").at;
            past.run.advance(due).expect("a run that is carried out again takes the same steps");
            past.steps += 1;
        }
        // On to `at`, unless more is due at the instant of the last step. Lines without a step, such
        // as a `wait`, are begun at their own instant.
        if self.step(steps).is_none_or(|next| next.at > at) {
            let step = past.run.advance(at);
            debug_assert_eq!(step, None, "every step up to {at} has been taken");
        }
        self.past = Some(past);
    }

    /// The instant of an act here and now, before which everything else is done: script lines come
    /// first at their instant, so after what the world did just now it is the next microsecond.
    pub fn settle_for_act(&mut self) -> Instant {
        let now = self.now();
        let last = self.steps_seen().last();
        let world_acted = last.is_some_and(|step| step.at == now && !matches!(step.cause, Cause::Script { .. }));
        if !world_acted || self.viewed().is_at_a_line() {
            return now;
        }
        self.seek(now);
        now + Duration::from_micros(1)
    }

    /// The script that leads to `at`, which is now or soon, and no further: what a link holds, and
    /// what an act is added to.
    pub fn script_until(&self, at: Instant) -> Script {
        let mut script = Script::clone(&self.script);
        // The set-up stays: the world began with it, though its line may not have been carried out.
        let is_setup = |line: &Line| matches!(line.statement, Some(Statement::Cluster(_)));
        let setup = script.lines.iter().position(is_setup).map_or(0, |index| index + 1);
        script.lines.truncate(self.viewed().lines_behind().max(setup));
        // An `at` gives up waiting for an administrative answer, also when no time passes. Where the
        // script's next line is due, its lines so far lead to this very instant, and none may.
        let time_passes = script.names().earliest < at || self.viewed().waits_for_an_answer();
        if time_passes && !self.viewed().is_at_a_line() {
            script.push(Statement::At(at));
        }
        script
    }

    /// Goes on with a script that begins with [`History::script_until`] the viewed instant. In the
    /// past, the old future is kept as a branch.
    pub fn continue_with(&mut self, script: Script) {
        let script = Arc::new(script);
        if let Some(past) = self.past.take() {
            self.branches.push(Branch { left_at: past.run.now(), end: self.head.now(), script: self.script.clone() });
            let steps = (past.steps - self.dropped) as usize;
            let events: usize = self.steps[steps..].iter().map(|step| step.events.len()).sum();
            self.event_places.truncate(self.event_places.len() - events);
            self.steps.truncate(steps);
            self.mattering.retain(|number| *number < past.steps);
            self.snapshots.retain(|snapshot| snapshot.steps <= past.steps);
            self.head = past.run;
        }
        self.samples.forget_from(self.head.now());
        self.acts.retain(|at| *at <= self.head.now());
        self.acts.push(self.head.now());
        self.head.set_script(script.clone());
        for snapshot in &mut self.snapshots {
            snapshot.run.set_script(script.clone());
        }
        self.script = script;
    }

    /// When a person last acted, as seen from the viewed instant.
    pub fn last_act(&self) -> Option<Instant> {
        let now = self.now();
        self.acts[..self.acts.partition_point(|at| *at <= now)].last().copied()
    }

    /// Old snapshots lie further apart, so that a long history stays small; the first one stays.
    fn thin_snapshots(&mut self) {
        let most = (self.bounds.weight / weight(&self.head.world)).max(SNAPSHOTS_MIN) as usize;
        if self.snapshots.len() <= most {
            return;
        }
        let half = self.snapshots.len() / 2;
        let mut index = 0;
        self.snapshots.retain(|_| {
            index += 1;
            index > half || index % 2 == 1
        });
    }

    /// Forgets the oldest quarter of what is kept, up to a snapshot, when there is too much.
    fn drop_beginning(&mut self) {
        if (self.steps.len() as u64) < self.bounds.steps {
            return;
        }
        let wanted = self.dropped + self.bounds.steps / 4;
        let Some(first) = self.snapshots.iter().position(|snapshot| snapshot.steps >= wanted) else { return };
        let gone = self.steps.drain(..(self.snapshots[first].steps - self.dropped) as usize);
        let events: usize = gone.map(|step| step.events.len()).sum();
        self.event_places.drain(..events);
        self.dropped = self.snapshots[first].steps;
        self.mattering.retain(|number| *number >= self.dropped);
        self.snapshots.drain(..first);
    }
}

/// How much memory a snapshot of a world takes, roughly: what is not shared with the others grows with
/// the nodes, which all take turns, and with what they keep of each replica.
fn weight(world: &World) -> u64 {
    let replicas: usize = world.image().partitions().map(|(_, _, _, partition)| partition.replicas.len()).sum();
    let readers = world.consumers().count() + world.streams().count();
    let nodes = world.brokers().count() + world.controllers().count() + readers;
    (replicas + 20 * nodes).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: &str = "cluster brokers=3 controllers=3\ntopic orders partitions=3 replication-factor=3\nproducer app\n\
        consumer c1 group=billing topics=orders\nload app orders rate=20/s keys=6 size=12 for=1h\nwait 30s";

    fn open() -> History {
        History::open(Arc::new(Script::read(BUSY).expect("the script is right"))).expect("the cluster settles")
    }

    #[test]
    fn a_long_history_keeps_its_end_and_drops_its_beginning() {
        let (mut whole, mut bounded) = (open(), open());
        bounded.keep_within(Bounds { steps: 3_000, ..KEPT });
        whole.finish_script();
        bounded.finish_script();
        assert_eq!(bounded.count(), whole.count());
        assert!(bounded.steps().len() <= 3_000 + STEPS_PER_SNAPSHOT as usize, "{}", bounded.steps().len());
        assert!(bounded.first_step() > 0 && bounded.beginning() > Instant::ZERO);
        assert_eq!(bounded.steps(), whole.steps_from(bounded.first_step()), "what is kept is as it was");

        bounded.seek(Instant::ZERO);
        assert_eq!(bounded.now(), bounded.beginning(), "before the beginning there is nothing to look at");
        let middle = bounded.beginning() + Duration((bounded.end() - bounded.beginning()).0 / 2);
        for history in [&mut whole, &mut bounded] {
            history.seek(middle);
        }
        assert_eq!(bounded.position(), whole.position());
        assert_eq!(bounded.world().digest(), whole.world().digest());
        let last = bounded.steps_seen().iter().rev().find_map(|step| step.events.last()).expect("something was told");
        assert_eq!(bounded.event(last.id), whole.event(last.id));

        // The script is the truth: what leads here can be carried out again from the very beginning.
        let script = bounded.script_until(bounded.now());
        let mut again = History::open(Arc::new(script)).expect("the cluster settles");
        again.seek(bounded.now());
        assert_eq!(again.world().digest(), bounded.world().digest());
    }

    #[test]
    fn acting_where_the_beginning_was_dropped_starts_another_future() {
        let mut history = open();
        history.keep_within(Bounds { steps: 3_000, ..KEPT });
        history.finish_script();
        history.seek(history.beginning() + Duration::from_secs(1));
        let at = history.settle_for_act();
        let mut script = history.script_until(at);
        script.push_text("kill broker 1").expect("the line is right");
        history.continue_with(script);
        history.seek(at + Duration::from_secs(20));
        assert!(!history.is_in_past());
        let led_by_it = history.world().partitions().filter(|(_, r)| r.leader == Some(crate::wire::BrokerId(1)));
        assert_eq!(led_by_it.count(), 0, "others have taken over");
        history.seek(history.beginning());
        history.seek(history.end());
    }

    #[test]
    fn the_snapshots_of_a_long_history_stay_few() {
        let mut history = open();
        history.keep_within(Bounds { weight: 0, ..KEPT });
        history.seek(Instant::ZERO + Duration::from_secs(180));
        assert!(history.count() / STEPS_PER_SNAPSHOT > 2 * SNAPSHOTS_MIN, "it is long: {} steps", history.count());
        assert!(history.snapshots.len() as u64 <= SNAPSHOTS_MIN, "{} snapshots", history.snapshots.len());
        assert_eq!(history.snapshots[0].steps, 0, "the beginning is not dropped");
    }
}
