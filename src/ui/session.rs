//! The seam between the page and everything below it: one open script, how it plays, and what there
//! is to see of it. Whatever a person does becomes one line of the script.

mod acts;
mod course;

use std::rc::Rc;
use std::sync::Arc;

use crate::history::{History, Playback, Speed};
use crate::scenario::error::ScriptError;
use crate::scenario::link;
use crate::scenario::script::{Script, Statement};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::ui::browser;
use crate::ui::cuts::{Link, word};
use crate::ui::manage::Thing;
use crate::view::cards::node_name;
use crate::view::events::{self, EventRow};
use crate::view::flights::{self, Flight};
use crate::view::futures::{Drawn, Futures};
use crate::view::guarantees::{self, Guarantees};
use crate::view::inspect::{self, Inspection, Selection};
use crate::view::links;
use crate::view::metrics::{Metrics, Plotter};
use crate::view::outcome::{self, Difference};
use crate::view::settings;
use crate::view::stage::{Focus, Projector, Stage};
use crate::view::timeline::{Painter, Timeline};
use crate::view::why::Whys;
use crate::wire::NodeId;

pub use acts::Answer;
use course::Course;
pub use course::{GoalView, LessonView, QuestionView};

/// How far "Next event" looks ahead when nothing happens by itself.
const LOOK_AHEAD: Duration = Duration::from_secs(60);
/// From here on no more time passes: WebAssembly has four gigabytes, and a look at the past needs some of them.
const MEMORY_MAX: u64 = 3 << 30;
const FULL: &str = "This run has filled the memory that a tab has, so no more time passes. What happened can still be \
    looked at, and Share keeps it as a link. To begin anew, reload the page.";
const QUIET: &str = "Nothing that matters happens by itself: 60 s have passed.";

pub struct Session {
    history: History,
    playback: Playback,
    painter: Painter,
    plotter: Plotter,
    whys: Whys,
    projector: Projector,
    /// How many steps have been told in sentences.
    told: u64,
    /// The last look ahead found nothing, which is to be told.
    was_quiet: bool,
    stopped_because: Option<&'static str>,
    /// How many steps have been looked through for events that matter.
    looked: u64,
    /// How many of the script's checks and refusals have been told.
    checked: usize,
    /// Where the lines begin that a person wrote last.
    acted: usize,
    /// Time went by until somebody dragged it to where it stands.
    held: bool,
    /// The futures that were left.
    futures: Futures,
    /// What the one that is looked at is called, once it has a name.
    name: Option<String>,
    /// What leads to each of them: a run is a pure function of its script.
    scripts: SortedMap<u64, Arc<Script>>,
    /// The lesson under way.
    course: Option<Course>,
}

/// In what this future and another differ, at the last instant that both have reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The other one.
    pub id: u64,
    pub with: String,
    pub at: Instant,
    pub differences: Vec<Difference>,
}

impl Session {
    /// Opens a script and carries it out to its end; what is wrong with it in sentences otherwise. One that takes
    /// long is seen on its way there, and its parts are not listed.
    pub fn open(text: &str) -> Result<Session, Vec<String>> {
        let script = Arc::new(Script::read(text).map_err(|errors| sentences(&errors))?);
        let history = History::open(script.clone()).map_err(|refused| vec![refused.message])?;
        let mut session = Session::over(history);
        session.playback.begin(&mut session.history, stopwatch());
        session.told = session.history.position();
        session.checked = session.history.head().checks().len();
        session.course =
            Some(&script).filter(|_| !session.playback.hurries).and_then(|script| Course::of(script, None));
        Ok(session)
    }

    fn over(history: History) -> Session {
        let mut playback = Playback::default();
        playback.playing = true;
        Session {
            told: history.position(),
            was_quiet: false,
            stopped_because: None,
            checked: history.head().checks().len(),
            acted: usize::MAX,
            history,
            playback,
            painter: Painter::default(),
            plotter: Plotter::default(),
            whys: Whys::default(),
            projector: Projector::default(),
            looked: u64::MAX,
            held: false,
            futures: Futures::default(),
            name: None,
            scripts: SortedMap::new(),
            course: None,
        }
    }

    /// Lets real time pass: the viewed instant moves on by what it is worth. Returns how long that took.
    pub fn tick(&mut self, real: Duration) -> Duration {
        self.playback.hold = self.course.as_ref().and_then(|course| course.hold(self.history.now()));
        if self.is_playing() && is_full() {
            self.pause();
            self.stopped_because = Some(FULL);
        }
        let worked = stopwatch();
        self.playback.tick(&mut self.history, real, &worked);
        worked()
    }

    /// Why time stopped passing by itself, once.
    pub fn why_stopped(&mut self) -> Option<&'static str> {
        self.stopped_because.take()
    }

    pub fn now(&self) -> Instant {
        self.history.now()
    }

    pub fn end(&self) -> Instant {
        self.history.end()
    }

    /// The oldest instant that can still be looked at.
    pub fn beginning(&self) -> Instant {
        self.history.beginning()
    }

    pub fn is_in_past(&self) -> bool {
        self.history.is_in_past()
    }

    /// Changes whenever there may be something new to see but the passing of time.
    pub fn position(&self) -> u64 {
        self.history.position()
    }

    /// Whether time goes by, or hurries on to where a `wait` ends.
    pub fn is_playing(&self) -> bool {
        self.playback.playing || self.playback.hurries
    }

    pub fn set_playing(&mut self, playing: bool) {
        self.held = false;
        self.playback.hurries = false;
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

    fn pause(&mut self) {
        self.set_playing(false);
    }

    /// Looks at this instant, and stays there: time does not run away under the hand. Whoever acts then wants to
    /// see what comes of it, and time goes on as it had before.
    pub fn seek(&mut self, at: Instant) {
        self.held |= std::mem::take(&mut self.playback.playing);
        self.playback.hurries = false;
        self.history.seek(at.min(self.history.end()));
    }

    pub fn step_forward(&mut self) {
        self.pause();
        if self.history.is_in_past() {
            self.history.seek_step(self.history.position() + 1);
        } else {
            self.history.extend(Instant::FAR_FUTURE);
        }
    }

    pub fn step_back(&mut self) {
        self.pause();
        let position = self.history.position();
        let visible = self.history.step(position.saturating_sub(2)).is_some_and(|step| step.at >= Instant::ZERO);
        if visible {
            self.history.seek_step(position - 1);
        } else {
            self.history.seek(Instant::ZERO);
        }
    }

    /// On to the next thing that matters, simulating what has not been yet.
    pub fn next_event(&mut self) {
        self.pause();
        let position = self.history.position();
        if let Some(found) = (position..self.history.count()).find(|step| self.matters(*step)) {
            self.history.seek_step(found + 1);
            return;
        }
        let limit = self.history.end() + LOOK_AHEAD;
        self.history.seek(self.history.end());
        while !is_full() && self.history.extend(limit) {
            if self.matters(self.history.position() - 1) {
                return;
            }
        }
        self.was_quiet = true;
    }

    /// Back to the last thing that mattered before the viewed instant.
    pub fn previous_event(&mut self) {
        self.pause();
        let position = self.history.position();
        let before = (self.history.first_step()..position.saturating_sub(1)).rev().find(|step| self.matters(*step));
        match before.filter(|step| self.history.step(*step).is_some_and(|step| step.at >= Instant::ZERO)) {
            Some(step) => self.history.seek_step(step + 1),
            None => self.history.seek(Instant::ZERO),
        }
    }

    fn matters(&self, step: u64) -> bool {
        self.history.step(step).is_some_and(|step| step.events.iter().any(|event| event.fact.matters()))
    }

    pub fn jump_to_now(&mut self) {
        self.history.seek(self.history.end());
    }

    /// Looks at the moment when this event was told.
    pub fn jump_to_event(&mut self, id: u64) {
        self.pause();
        let steps = self.history.steps();
        let step = steps.iter().position(|step| step.events.iter().any(|event| event.id.0 == id));
        if let Some(step) = step {
            self.history.seek_step(self.history.first_step() + step as u64 + 1);
        }
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

    /// Keeps this future, which is left at `left_at`.
    fn keep(&mut self, left_at: Instant) {
        let id = self.futures.keep(left_at, self.history.end());
        self.scripts.insert(id, self.history.script().clone());
        self.take_name_along(id);
    }

    /// The future that was looked at is a kept one now, and the one that is looked at has no name yet.
    fn take_name_along(&mut self, kept: u64) {
        if let Some(name) = self.name.take() {
            self.futures.rename(kept, &name);
        }
    }

    /// The futures that were left, as the lines of a drawing.
    pub fn futures(&self) -> Vec<Drawn> {
        self.futures.drawn()
    }

    /// `None` is the future that is looked at.
    pub fn rename(&mut self, id: Option<u64>, name: &str) {
        match id {
            Some(id) => self.futures.rename(id, name),
            None => self.name = Some(name.trim().to_string()).filter(|name| !name.is_empty()),
        }
    }

    pub fn name_of(&self, id: Option<u64>) -> String {
        let name = match id {
            Some(id) => self.futures.get(id).map(|future| future.name.clone()),
            None => self.name.clone(),
        };
        name.unwrap_or_else(|| "This future".to_string())
    }

    pub fn forget(&mut self, id: u64) {
        self.futures.forget(id);
        self.scripts.remove(&id);
    }

    /// Takes up a future that was left; this one is kept instead.
    pub fn go_to(&mut self, id: u64) {
        let Some(history) = self.replayed(id) else { return };
        let name = self.name_of(Some(id));
        let Some(trunk) = self.futures.go_to(id, self.history.end()) else { return };
        self.take_name_along(trunk);
        self.name = Some(name);
        self.scripts.remove(&id);
        self.scripts.insert(trunk, self.history.script().clone());
        if let Some(course) = &mut self.course {
            course.leave(&self.history);
        }
        self.replace(history);
    }

    /// A future that was left, carried out again up to where it was left.
    fn replayed(&self, id: u64) -> Option<History> {
        let mut history = History::open(self.scripts.get(&id)?.clone()).ok()?;
        history.seek(self.futures.get(id)?.end);
        Some(history)
    }

    /// Looks at another history from here on.
    fn replace(&mut self, history: History) {
        self.history = history;
        self.painter = Painter::default();
        self.plotter = Plotter::default();
        self.whys.forget();
        self.told = self.history.position();
        self.looked = u64::MAX;
        self.checked = self.history.head().checks().len();
        self.acted = usize::MAX;
        self.playback.hurries = false;
    }

    pub fn compare(&mut self, id: u64) -> Option<Comparison> {
        let mut there = self.replayed(id)?;
        let future = self.futures.get(id)?;
        let (with, at) = (future.name.clone(), future.end.min(self.history.end()));
        there.seek(at);
        // The stage shows what is compared.
        self.pause();
        self.history.seek(at);
        let here = outcome::outcome(self.history.world());
        Some(Comparison { id, with, at, differences: outcome::differences(&here, &outcome::outcome(there.world())) })
    }

    /// The stage as it is now; only the rows in focus come with their records.
    pub fn stage(&mut self, focus: &Focus) -> Rc<Stage> {
        self.projector.stage(&self.history, false, focus)
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

    /// The links that nothing gets through, by the places of their ends.
    pub fn cut_links(&self) -> Vec<Link> {
        let links = links::cut(self.history.world()).into_iter();
        links.map(|(a, b)| (self.place(a), self.place(b))).collect()
    }

    /// The lines that cut a link, or heal it when it is cut.
    pub fn cut_or_heal(&self, (from, to): &Link) -> String {
        let world = self.history.world();
        let is_it = |(a, b): &(NodeId, NodeId)| {
            let ends = (self.place(*a), self.place(*b));
            ends == (from.clone(), to.clone()) || ends == (to.clone(), from.clone())
        };
        match links::cut(world).into_iter().find(is_it) {
            Some(link) => links::healed(world, link).join("\n"),
            None => format!("cut {} | {}", word(from), word(to)),
        }
    }

    /// The settings that have been set on something.
    pub fn settings_of(&self, thing: &Thing) -> Vec<(String, String)> {
        match thing {
            Thing::Topic(name) => settings::of_topic(&self.history, name),
            Thing::Broker(id) => settings::of_broker(&self.history, *id),
            Thing::Group(name) => settings::of_group(&self.history, name),
            _ => Vec::new(),
        }
    }

    /// Whose leaders the timeline showed last.
    pub fn painted_partition(&self) -> Option<&str> {
        self.painter.partition()
    }

    pub fn timeline(&mut self, partition: Option<&str>) -> &Timeline {
        self.painter.paint(&self.history, partition)
    }

    /// The metrics, with the marks of the timeline of `partition`.
    pub fn metrics(&mut self, partition: Option<&str>) -> &Metrics {
        let timeline = self.painter.paint(&self.history, partition);
        self.plotter.plot(&self.history, &timeline.marks)
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
        guarantees::guarantees(self.history.world(), self.projector.waiting())
    }

    pub fn inspect(&mut self, selection: &Selection) -> Option<Inspection> {
        let mut inspection = inspect::inspect(self.history.world(), selection)?;
        self.whys.look(&self.history);
        inspection.explain(|section, name| self.whys.of(&self.history, selection, section, name));
        Some(inspection)
    }

    /// Has a message that is on its way fare otherwise: time goes back to when it was sent, and from
    /// there on another future unfolds, with everything that was done since done again.
    pub fn intervene(&mut self, message: u64, what: Intervention) -> Result<(), Vec<String>> {
        let gone = || vec!["The message is not on its way at this moment.".to_string()];
        let world = self.history.world();
        let sent_at = inspect::sent_at(world, message).ok_or_else(gone)?;
        let inspection = inspect::inspect(world, &Selection::Message(message)).ok_or_else(gone)?;
        let line = what.line(&inspection.message.ok_or_else(gone)?);
        let (now, behind_now) = (self.history.now(), self.history.viewed().lines_behind());
        let lines = self.history.script().lines.clone();
        self.history.seek(sent_at - Duration::from_micros(1));
        let behind = self.history.viewed().lines_behind();
        let mut script = self.history.script_until(sent_at);
        let done_since = lines.into_iter().take(behind_now).skip(behind).filter_map(|line| line.statement);
        let since: Vec<Statement> = done_since.collect();
        if let Err(errors) = script.push_text(&line) {
            self.history.seek(now);
            return Err(sentences(&errors));
        }
        for statement in since.into_iter().filter(|statement| *statement != Statement::At(sent_at)) {
            script.push(statement);
        }
        self.go_on_with(script);
        self.history.seek(now);
        Ok(())
    }

    /// Another future begins when the viewed instant is in the past.
    fn go_on_with(&mut self, script: Script) {
        let in_past = self.history.is_in_past();
        if let Some(course) = &mut self.course {
            course.leave(&self.history);
            // What the reader did is to be seen.
            self.playback.playing |= course.is_left();
        }
        if in_past {
            self.keep(self.history.now());
        }
        self.history.continue_with(script);
        if in_past {
            self.told = self.told.min(self.history.position());
            self.looked = u64::MAX;
            self.whys.forget();
        }
        self.checked = self.history.head().checks().len();
    }

    /// What has happened since the last call and matters. What is seen again is not told again.
    pub fn news(&mut self) -> Vec<String> {
        let quiet = std::mem::take(&mut self.was_quiet).then(|| QUIET.to_string());
        let position = self.history.position();
        if position <= self.told {
            return quiet.into_iter().collect();
        }
        let mut sentences = events::sentences(&self.history, self.told);
        sentences.extend(quiet);
        self.told = position;
        sentences
    }

    pub fn link(&self) -> Result<String, String> {
        if let Some(link) = self.lesson_link() {
            return Ok(link);
        }
        link::encode(&self.script()).map_err(|error| error.to_string())
    }

    pub fn script(&self) -> String {
        self.history.script_until(self.history.now()).print()
    }
}

/// What can be done to a message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intervention {
    Drop,
    Delay,
    Duplicate,
}

impl Intervention {
    pub const ALL: [Intervention; 3] = [Intervention::Drop, Intervention::Delay, Intervention::Duplicate];

    /// `drop next FETCH 2->1`
    fn line(self, message: &str) -> String {
        match self {
            Intervention::Drop => format!("drop next {message}"),
            Intervention::Delay => format!("delay next {message} by=300ms"),
            Intervention::Duplicate => format!("duplicate next {message}"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Intervention::Drop => "Drop",
            Intervention::Delay => "Delay",
            Intervention::Duplicate => "Duplicate",
        }
    }

    pub fn effect(self) -> &'static str {
        match self {
            Intervention::Drop => "It is lost on its way: another future begins",
            Intervention::Delay => "It takes 300 ms longer: another future begins",
            Intervention::Duplicate => "It arrives twice: another future begins",
        }
    }
}

fn is_full() -> bool {
    browser::memory_taken() > MEMORY_MAX
}

/// How long ago it was begun.
fn stopwatch() -> impl Fn() -> Duration {
    let from = browser::since_opened();
    move || Duration(browser::since_opened().0 - from.0)
}

fn sentences(errors: &[ScriptError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
