//! Remembers a run and finds every instant of it again. The script is the truth; the steps are what
//! it led to; snapshots are only a cache: seeking is replaying from the nearest one.

pub mod attention;
pub mod playback;
pub mod run;

use std::sync::Arc;

use crate::scenario::script::{Line, Script, Statement};
use crate::sim::{Cause, Event, EventId, Refused, Step, World};
use crate::time::{Duration, Instant};

pub use playback::{Playback, Speed};
pub use run::{Check, Run};

/// A snapshot at least every so many steps: a seek replays at most this many.
const STEPS_PER_SNAPSHOT: u64 = 512;
/// When there are more, every other one of the older half goes.
const SNAPSHOTS_MAX: usize = 512;

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
    steps: Vec<Step>,
    /// Where each event was told: `(step, place in it)` by event id, from the first kept one.
    event_places: Vec<u64>,
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
            event_places: Vec::new(),
            snapshots,
            head,
            past: None,
            branches: Vec::new(),
            acts: Vec::new(),
            watched: false,
        })
    }

    /// The instant that is looked at.
    pub fn now(&self) -> Instant {
        self.viewed().now()
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

    /// All steps so far, those after the viewed instant too.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many steps lie before the viewed instant.
    pub fn position(&self) -> u64 {
        self.past.as_ref().map_or(self.steps.len() as u64, |past| past.steps)
    }

    /// The steps up to the viewed instant.
    pub fn steps_seen(&self) -> &[Step] {
        &self.steps[..self.position() as usize]
    }

    pub fn event(&self, id: EventId) -> Option<&Event> {
        let first = self.steps.iter().flat_map(|step| &step.events).next()?.id;
        let step = *self.event_places.get(id.0.checked_sub(first.0)? as usize)?;
        self.steps[step as usize].events.iter().find(|event| event.id == id)
    }

    /// The event and what led to it, the youngest first.
    pub fn causes(&self, id: EventId) -> Vec<&Event> {
        std::iter::successors(self.event(id), |event| self.event(event.cause?)).collect()
    }

    /// Does the next thing at the head if it is due by `limit`; true if there was one.
    pub fn extend(&mut self, limit: Instant) -> bool {
        let Some(step) = self.head.advance(limit) else { return false };
        if self.watched && matches!(step.cause, Cause::Script { .. }) {
            self.acts.push(step.at);
        }
        for _ in &step.events {
            self.event_places.push(self.steps.len() as u64);
        }
        self.steps.push(step);
        let steps = self.steps.len() as u64;
        if self.snapshots.last().is_none_or(|last| steps - last.steps >= STEPS_PER_SNAPSHOT) {
            self.snapshots.push(Snapshot { steps, run: self.head.clone() });
            self.thin_snapshots();
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
            self.extend(Instant::FAR_FUTURE);
        }
    }

    /// Looks at the instant `at`: back to it, or on to it, simulating what has not been yet.
    pub fn seek(&mut self, at: Instant) {
        let at = at.max(Instant::ZERO);
        if at >= self.head.now() {
            while self.extend(at) {}
            self.past = None;
            return;
        }
        let steps = self.steps.partition_point(|step| step.at <= at) as u64;
        self.look_at(steps, at);
    }

    /// Goes on by one step if it is due by `limit`, else to `limit`; true if there was a step.
    pub fn advance(&mut self, limit: Instant) -> bool {
        if self.past.is_none() {
            return self.extend(limit);
        }
        let position = self.position();
        let Some(at) = self.steps.get(position as usize).map(|step| step.at).filter(|at| *at <= limit) else {
            self.seek(limit);
            return false;
        };
        self.look_at(position + 1, at);
        true
    }

    /// Looks at the state after the first `steps` steps, at the time of the last of them.
    pub fn seek_step(&mut self, steps: u64) {
        let steps = steps.min(self.steps.len() as u64);
        let at = match steps.checked_sub(1) {
            Some(last) => self.steps[last as usize].at,
            None => Instant::ZERO,
        };
        if steps == self.steps.len() as u64 && at >= self.head.now() {
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
            let due = self.steps[past.steps as usize].at;
            past.run.advance(due).expect("a run that is carried out again takes the same steps");
            past.steps += 1;
        }
        // On to `at`, unless more is due at the instant of the last step. Lines without a step, such
        // as a `wait`, are begun at their own instant.
        if self.steps.get(steps as usize).is_none_or(|next| next.at > at) {
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
            let steps = past.steps as usize;
            let events: usize = self.steps[steps..].iter().map(|step| step.events.len()).sum();
            self.event_places.truncate(self.event_places.len() - events);
            self.steps.truncate(steps);
            self.snapshots.retain(|snapshot| snapshot.steps <= past.steps);
            self.head = past.run;
        }
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
        if self.snapshots.len() <= SNAPSHOTS_MAX {
            return;
        }
        let half = self.snapshots.len() / 2;
        let mut index = 0;
        self.snapshots.retain(|_| {
            index += 1;
            index > half || index % 2 == 1
        });
    }
}
