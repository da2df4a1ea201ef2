//! The seam between the page and everything below it: one open script, how it plays, and what there
//! is to see of it. Whatever a person does becomes one line of the script.

use std::rc::Rc;
use std::sync::Arc;

use crate::history::{History, Playback, Speed};
use crate::scenario::error::ScriptError;
use crate::scenario::link;
use crate::scenario::script::{Script, Statement};
use crate::time::{Duration, Instant};
use crate::view::cards::node_name;
use crate::view::events::{self, EventRow};
use crate::view::flights::{self, Flight};
use crate::view::guarantees::{self, Guarantees};
use crate::view::inspect::{self, Inspection, Selection};
use crate::view::stage::{self, Stage};
use crate::view::timeline::{Painter, Timeline};
use crate::wire::NodeId;

/// How far "Next event" looks ahead when nothing happens by itself.
const LOOK_AHEAD: Duration = Duration::from_secs(60);

pub struct Session {
    history: History,
    playback: Playback,
    painter: Painter,
    /// What was shown last: rows that stay the same stay the same allocation.
    stage: Option<Rc<Stage>>,
    /// How many steps have been told in sentences.
    told: u64,
    /// How many steps have been looked through for events that matter.
    looked: u64,
    /// How many of the script's checks and refusals have been told.
    checked: usize,
}

impl Session {
    /// Opens a script and carries it out to its end; what is wrong with it in sentences otherwise.
    pub fn open(text: &str) -> Result<Session, Vec<String>> {
        let script = Script::read(text).map_err(|errors| sentences(&errors))?;
        let mut history = History::open(Arc::new(script)).map_err(|refused| vec![refused.message])?;
        history.finish_script();
        let told = history.position();
        let mut playback = Playback::default();
        playback.playing = true;
        let checked = history.head().checks().len();
        Ok(Session { history, playback, painter: Painter::default(), stage: None, told, looked: u64::MAX, checked })
    }

    /// Lets real time pass: the viewed instant moves on by what it is worth.
    pub fn tick(&mut self, real: Duration) {
        self.playback.tick(&mut self.history, real);
    }

    pub fn now(&self) -> Instant {
        self.history.now()
    }

    pub fn end(&self) -> Instant {
        self.history.end()
    }

    pub fn is_in_past(&self) -> bool {
        self.history.is_in_past()
    }

    /// Changes whenever there may be something new to see but the passing of time.
    pub fn position(&self) -> u64 {
        self.history.position()
    }

    pub fn is_playing(&self) -> bool {
        self.playback.playing
    }

    pub fn set_playing(&mut self, playing: bool) {
        self.playback.playing = playing;
    }

    pub fn speed(&self) -> Speed {
        self.playback.speed
    }

    pub fn set_speed(&mut self, speed: Speed) {
        self.playback.speed = speed;
    }

    /// Virtual microseconds per real second at this moment.
    pub fn rate(&self) -> i64 {
        self.playback.rate(&self.history)
    }

    pub fn seek(&mut self, at: Instant) {
        self.history.seek(at);
    }

    pub fn step_forward(&mut self) {
        self.playback.playing = false;
        if self.history.is_in_past() {
            self.history.seek_step(self.history.position() + 1);
        } else {
            self.history.extend(Instant::FAR_FUTURE);
        }
    }

    pub fn step_back(&mut self) {
        self.playback.playing = false;
        let position = self.history.position();
        let visible =
            self.history.steps().get(position.saturating_sub(2) as usize).is_some_and(|s| s.at >= Instant::ZERO);
        if visible {
            self.history.seek_step(position - 1);
        } else {
            self.history.seek(Instant::ZERO);
        }
    }

    /// On to the next thing that matters, simulating what has not been yet.
    pub fn next_event(&mut self) {
        self.playback.playing = false;
        let position = self.history.position();
        let steps = self.history.steps().len() as u64;
        if let Some(found) = (position..steps).find(|step| self.matters(*step)) {
            self.history.seek_step(found + 1);
            return;
        }
        let limit = self.history.end() + LOOK_AHEAD;
        self.history.seek(self.history.end());
        while self.history.extend(limit) {
            if self.matters(self.history.position() - 1) {
                return;
            }
        }
    }

    /// Back to the last thing that mattered before the viewed instant.
    pub fn previous_event(&mut self) {
        self.playback.playing = false;
        let position = self.history.position();
        let before = (0..position.saturating_sub(1)).rev().find(|step| self.matters(*step));
        match before.filter(|step| self.history.steps()[*step as usize].at >= Instant::ZERO) {
            Some(step) => self.history.seek_step(step + 1),
            None => self.history.seek(Instant::ZERO),
        }
    }

    fn matters(&self, step: u64) -> bool {
        let step = self.history.steps().get(step as usize);
        step.is_some_and(|step| step.events.iter().any(|event| event.fact.matters()))
    }

    pub fn jump_to_now(&mut self) {
        self.history.seek(self.history.end());
    }

    /// Looks at the moment when this event was told.
    pub fn jump_to_event(&mut self, id: u64) {
        self.playback.playing = false;
        let steps = self.history.steps();
        let step = steps.iter().position(|step| step.events.iter().any(|event| event.id.0 == id));
        if let Some(step) = step {
            self.history.seek_step(step as u64 + 1);
        }
    }

    /// Does what a line of the script says, here and now. In the past this starts a new future.
    pub fn act(&mut self, line: &str) -> Result<(), Vec<String>> {
        let at = self.history.settle_for_act();
        let mut script = self.history.script_until(at);
        script.push_text(line).map_err(|errors| sentences(&errors))?;
        let in_past = self.history.is_in_past();
        self.history.continue_with(script);
        if in_past {
            self.told = self.told.min(self.history.position());
            self.looked = u64::MAX;
        }
        self.checked = self.history.head().checks().len();
        self.history.seek(at);
        let refused = self.refusals();
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// What has been refused, or did not hold, since this was last asked: an administrative statement
    /// is answered only when the cluster has answered.
    pub fn refusals(&mut self) -> Vec<String> {
        let checks = self.history.head().checks();
        let new = checks.iter().skip(self.checked).filter(|check| !check.ok);
        let refused = new.map(|check| refusal(&check.text, &check.actual)).collect();
        self.checked = checks.len();
        refused
    }

    /// The named part of the script at the viewed instant: its number from 1, and its name.
    pub fn part(&self) -> Option<(usize, String)> {
        let lines = &self.history.script().lines[..self.history.viewed().lines_behind()];
        let names = lines.iter().filter_map(|line| match &line.statement {
            Some(Statement::Step(name)) => Some(name),
            _ => None,
        });
        names.enumerate().last().map(|(index, name)| (index + 1, name.to_string()))
    }

    pub fn stage(&mut self) -> Rc<Stage> {
        let stage = stage::stage(&self.history, false, self.stage.as_deref());
        match &self.stage {
            Some(before) if **before == stage => before.clone(),
            _ => {
                let stage = Rc::new(stage);
                self.stage = Some(stage.clone());
                stage
            }
        }
    }

    pub fn flights(&self) -> Vec<Flight> {
        flights::flights(self.history.world())
    }

    /// How the page names the place where a node is drawn, in its `data-node`: `broker 1`, `controller c2`, `client app`.
    pub fn place(&self, node: NodeId) -> String {
        match node {
            NodeId::Broker(broker) => format!("broker {}", broker.0),
            NodeId::Controller(controller) => format!("controller {controller}"),
            NodeId::Client(_) => format!("client {}", node_name(self.history.world(), node)),
        }
    }

    pub fn timeline(&mut self, partition: Option<&str>) -> &Timeline {
        self.painter.paint(&self.history, partition)
    }

    pub fn events(&self, only_what_matters: bool, limit: usize) -> Vec<EventRow> {
        events::events(&self.history, only_what_matters, limit)
    }

    /// Whether the list of what matters may read otherwise than when this was last asked.
    pub fn has_other_events(&mut self) -> bool {
        let position = self.history.position();
        let looked = std::mem::replace(&mut self.looked, position);
        looked > position || (looked..position).any(|step| self.matters(step))
    }

    pub fn causes(&self, id: u64) -> Vec<EventRow> {
        events::causes(&self.history, id)
    }

    pub fn guarantees(&self) -> Guarantees {
        guarantees::guarantees(self.history.world())
    }

    pub fn inspect(&self, selection: &Selection) -> Option<Inspection> {
        inspect::inspect(self.history.world(), selection)
    }

    /// What has happened since the last call and matters. What is seen again is not told again.
    pub fn news(&mut self) -> Vec<String> {
        let position = self.history.position();
        if position <= self.told {
            return Vec::new();
        }
        let sentences = events::sentences(&self.history, self.told);
        self.told = position;
        sentences
    }

    pub fn link(&self) -> Result<String, String> {
        link::encode(&self.script()).map_err(|error| error.to_string())
    }

    pub fn script(&self) -> String {
        self.history.script_until(self.history.now()).print()
    }
}

fn refusal(line: &str, reason: &str) -> String {
    if reason.is_empty() { format!("`{line}` was refused.") } else { format!("`{line}`: {reason}") }
}

fn sentences(errors: &[ScriptError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
