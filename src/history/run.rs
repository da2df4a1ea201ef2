//! A script in the middle of being carried out: the world, the place in the script, the checks so
//! far. A run is a pure function of its script; it is also what a snapshot keeps.

use std::sync::Arc;

use imbl::Vector;

use crate::scenario::condition::Condition;
use crate::scenario::script::{Line, Script, Statement};
use crate::sim::{Action, AdminOp, Cause, Refused, Step, World};
use crate::time::Instant;

/// A check, or a statement that could not be carried out, with what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub line: u32,
    pub text: String,
    pub ok: bool,
    pub at: Instant,
    /// What held instead; for a refused statement, Kafka's reason.
    pub actual: String,
}

/// What the script waits for before its next statement.
#[derive(Clone, Debug, PartialEq)]
enum Waiting {
    /// Nothing: the next statement is due now.
    Nothing,
    Time(Instant),
    For {
        line: u32,
        deadline: Instant,
    },
    Admin {
        op: AdminOp,
        line: u32,
        answered: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub world: World,
    script: Arc<Script>,
    /// How many lines of the script have been begun.
    begun: u32,
    waiting: Waiting,
    /// Administrative statements that an `at` did not wait for, with their lines: they may still be refused.
    unanswered: Vector<(AdminOp, u32)>,
    checks: Vector<Check>,
    /// The lines of the `always` conditions in force, with whether each has failed already.
    always: Vector<(u32, bool)>,
    /// The caption from here on (a line of prose).
    caption: Option<u32>,
    /// The lines of the lesson (its parts, questions and goals) that have been begun, and when.
    told: Vector<(u32, Instant)>,
}

impl Run {
    /// Boots the script's cluster, with another seed if one is given. Fails when its settings do not let a cluster settle.
    pub fn start(script: Arc<Script>, seed: Option<u64>) -> Result<Run, Refused> {
        let mut setup = script.setup();
        setup.seed = seed.unwrap_or(setup.seed);
        let world = World::boot(setup)?;
        Ok(Run {
            world,
            script,
            begun: 0,
            waiting: Waiting::Nothing,
            unanswered: Vector::new(),
            checks: Vector::new(),
            always: Vector::new(),
            caption: None,
            told: Vector::new(),
        })
    }

    pub fn now(&self) -> Instant {
        self.world.now
    }

    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// How many lines of the script have been begun.
    pub fn begun(&self) -> u32 {
        self.begun
    }

    /// How many lines led here: those that have been begun, without a wait that is not over yet.
    pub fn lines_behind(&self) -> usize {
        self.begun as usize - usize::from(self.is_in_a_wait())
    }

    /// Whether the script goes on with its next line now.
    pub fn is_at_a_line(&self) -> bool {
        self.waiting == Waiting::Nothing && !self.is_finished()
    }

    /// Whether an administrative statement has yet to take effect.
    pub fn waits_for_an_answer(&self) -> bool {
        matches!(self.waiting, Waiting::Admin { .. })
    }

    /// Whether the line begun last only lets time pass, and is not done.
    fn is_in_a_wait(&self) -> bool {
        matches!(self.waiting, Waiting::Time(_) | Waiting::For { .. })
    }

    /// Goes on with another script, which begins with the same lines up to [`Run::lines_behind`].
    /// A wait that it does not have is given up.
    pub fn set_script(&mut self, script: Arc<Script>) {
        let behind = self.lines_behind();
        debug_assert!(script.lines.len() >= behind, "what was carried out stays");
        if self.is_in_a_wait() && script.lines.get(behind) != self.script.lines.get(behind) {
            self.begun -= 1;
            self.waiting = Waiting::Nothing;
        }
        self.script = script;
    }

    pub fn checks(&self) -> &Vector<Check> {
        &self.checks
    }

    pub fn all_checks_hold(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    pub fn caption(&self) -> Option<&str> {
        match &self.script.lines.get(self.caption? as usize)?.statement {
            Some(Statement::Prose(text)) => Some(text),
            _ => None,
        }
    }

    /// The parts, questions and goals of a lesson so far: places in the script, and when they came.
    pub fn told(&self) -> &Vector<(u32, Instant)> {
        &self.told
    }

    /// Whether the whole script has been carried out.
    pub fn is_finished(&self) -> bool {
        self.waiting == Waiting::Nothing && self.begun as usize >= self.script.lines.len()
    }

    /// Does the one thing that is due first, if it is due by `limit`; else moves time on to `limit`.
    pub fn advance(&mut self, limit: Instant) -> Option<Step> {
        self.advance_until(limit, |_| false)
    }

    /// The same, but not beyond the script's line after which this is `done`.
    pub(super) fn advance_until(&mut self, limit: Instant, done: fn(&Run) -> bool) -> Option<Step> {
        loop {
            let script_at = self.script_due();
            let world_at = self.world.next().map(|(at, _)| at);
            match (script_at, world_at) {
                // A script line comes before what the world does at the same instant.
                (Some(at), world_at) if at <= limit && world_at.is_none_or(|world_at| at <= world_at) => {
                    self.world.pass_time_to(at);
                    let step = self.go_on_with_script();
                    if step.is_some() || done(self) {
                        return step;
                    }
                }
                (_, Some(at)) if at <= limit => {
                    let step = self.world.step();
                    self.look_at_conditions();
                    return step;
                }
                _ => {
                    self.world.pass_time_to(limit);
                    return None;
                }
            }
        }
    }

    /// Runs until the script is done, then on to `end` if that is later. A broken property stops the
    /// run where it was found: what follows from a bug of the engine shows nothing.
    pub fn finish(&mut self, end: Option<Instant>, mut each: impl FnMut(&Run, Step)) {
        while !self.is_finished() && self.world.first_broken().is_none() {
            if let Some(step) = self.advance_until(Instant::FAR_FUTURE, Run::is_finished) {
                each(self, step);
            }
        }
        let end = end.unwrap_or(self.world.now);
        while self.world.now < end && self.world.first_broken().is_none() {
            if let Some(step) = self.advance(end) {
                each(self, step);
            }
        }
    }

    /// What every `always` that never failed comes to, for the report at the end.
    pub fn kept_always(&self) -> impl Iterator<Item = Check> {
        self.always.iter().filter(|(_, failed)| !failed).map(|(index, _)| {
            let line = &self.script.lines[*index as usize];
            Check { line: line.number, text: line.text(), ok: true, at: self.world.now, actual: String::new() }
        })
    }

    /// When the script wants to go on by itself.
    fn script_due(&self) -> Option<Instant> {
        match &self.waiting {
            Waiting::Nothing => ((self.begun as usize) < self.script.lines.len()).then_some(self.world.now),
            Waiting::Time(at) => Some(*at),
            Waiting::For { deadline, .. } => Some(*deadline),
            // An instant that was written down does not wait for an answer.
            Waiting::Admin { .. } => match self.script.lines.get(self.begun as usize)?.statement {
                Some(Statement::At(at)) => Some(at.max(self.world.now)),
                _ => None,
            },
        }
    }

    /// Ends a wait, or carries out the next line.
    fn go_on_with_script(&mut self) -> Option<Step> {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::For { line, .. } => {
                self.check(line, false);
                None
            }
            Waiting::Time(_) => None,
            Waiting::Admin { op, line, answered } => {
                if !answered {
                    self.unanswered.push_back((op, line));
                }
                None
            }
            Waiting::Nothing => self.carry_out_next(),
        }
    }

    fn carry_out_next(&mut self) -> Option<Step> {
        let script = self.script.clone();
        let index = self.begun;
        self.begun += 1;
        let line = script.lines.get(index as usize)?;
        match line.statement.as_ref()? {
            Statement::Act(action) => return Some(self.act(index, line, action)),
            Statement::Wait(duration) => self.waiting = Waiting::Time(self.world.now + *duration),
            Statement::At(at) if *at < self.world.now => {
                self.refuse(line, format!("it is {} already: time never goes backwards", self.world.now));
            }
            Statement::At(at) => self.waiting = Waiting::Time(*at),
            Statement::Until { condition, within } => {
                if self.holds(condition) {
                    self.check(index, true);
                } else {
                    self.waiting = Waiting::For { line: index, deadline: self.world.now + *within };
                }
            }
            Statement::Expect(condition) => {
                let ok = self.holds(condition);
                self.check(index, ok);
            }
            Statement::Always(_) => {
                self.always.push_back((index, false));
                self.look_at_conditions();
            }
            Statement::Prose(_) => self.caption = Some(index),
            // A lesson's parts, questions and goals concern its reader.
            Statement::Step(_) | Statement::Ask(_) | Statement::Goal(_) => {
                self.told.push_back((index, self.world.now));
            }
            // The set-up was read before the start.
            Statement::Cluster(_) => {}
        }
        None
    }

    fn act(&mut self, index: u32, line: &Line, action: &Action) -> Step {
        let mut step =
            Step { at: self.world.now, cause: Cause::Script { line: line.number }, node: None, events: Vec::new() };
        match self.world.act(action, line.number) {
            Ok(acted) => {
                step = acted.step;
                if let Some(op) = acted.waits_for {
                    self.waiting = Waiting::Admin { op, line: index, answered: false };
                }
            }
            Err(refused) => self.refuse(line, refused.message),
        }
        self.look_at_conditions();
        step
    }

    /// After every turn: what is waited for may hold now, what must always hold may not.
    fn look_at_conditions(&mut self) {
        if self.always.iter().any(|(_, failed)| !failed) {
            self.look_at_always();
        }
        if !self.unanswered.is_empty() {
            self.look_at_unanswered();
        }
        match self.waiting.clone() {
            Waiting::For { line, .. } => {
                let script = self.script.clone();
                if let Some(Statement::Until { condition, .. }) = &script.lines[line as usize].statement
                    && self.holds(condition)
                {
                    self.check(line, true);
                    self.waiting = Waiting::Nothing;
                }
            }
            Waiting::Admin { op, line, answered } => self.look_at_admin(op, line, answered),
            Waiting::Nothing | Waiting::Time(_) => {}
        }
    }

    fn look_at_always(&mut self) {
        let script = self.script.clone();
        for position in 0..self.always.len() {
            let (index, failed) = self.always[position];
            if let (Some(Statement::Always(condition)), false) = (&script.lines[index as usize].statement, failed)
                && !self.holds(condition)
            {
                self.always[position].1 = true;
                self.check(index, false);
            }
        }
    }

    fn look_at_admin(&mut self, op: AdminOp, line: u32, mut answered: bool) {
        if !answered {
            match self.world.admin_outcome(op) {
                None => return,
                Some(Ok(())) => answered = true,
                Some(Err(message)) => {
                    self.refuse_at(line, message);
                    self.waiting = Waiting::Nothing;
                    return;
                }
            }
        }
        let known = self.world.metadata_is_known();
        self.waiting = if known { Waiting::Nothing } else { Waiting::Admin { op, line, answered } };
    }

    fn look_at_unanswered(&mut self) {
        for (op, line) in std::mem::take(&mut self.unanswered) {
            match self.world.admin_outcome(op) {
                None => self.unanswered.push_back((op, line)),
                Some(Ok(())) => {}
                Some(Err(message)) => self.refuse_at(line, message),
            }
        }
    }

    fn holds(&self, condition: &Condition) -> bool {
        condition.holds(&self.world)
    }

    fn check(&mut self, index: u32, ok: bool) {
        let line = &self.script.lines[index as usize];
        let actual = match &line.statement {
            Some(Statement::Expect(condition) | Statement::Always(condition) | Statement::Until { condition, .. }) => {
                condition.actual(&self.world)
            }
            _ => String::new(),
        };
        let check = Check { line: line.number, text: line.text(), ok, at: self.world.now, actual };
        self.checks.push_back(check);
    }

    fn refuse_at(&mut self, index: u32, message: String) {
        let script = self.script.clone();
        self.refuse(&script.lines[index as usize], message);
    }

    fn refuse(&mut self, line: &Line, message: String) {
        let check = Check { line: line.number, text: line.text(), ok: false, at: self.world.now, actual: message };
        self.checks.push_back(check);
    }
}
