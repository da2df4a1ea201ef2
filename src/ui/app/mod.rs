//! The whole page: carries out what is asked, lets time pass frame by frame, and shows what there
//! is to see. Only here is the session touched.

mod carry_out;
mod frame;
mod gesture;
mod glow;
mod lessons;
mod look;
mod start;
mod turns;

use std::cell::RefCell;
use std::rc::Rc;

use gloo::events::EventListener;
use gloo::timers::callback::Timeout;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use yew::prelude::*;

use self::frame::every_frame;
use self::gesture::Begun;
use self::glow::Flow;
use self::lessons::{fetch_lesson, finished};
pub use self::start::tell_panics;
use self::start::{Opened, listeners, open};
use self::turns::{Balance, Turns};
use crate::lesson::Lesson;
use crate::time::Instant;
use crate::ui::add::{AddDialog, Addition};
use crate::ui::browser::document;
use crate::ui::cards::{Group, Producer};
use crate::ui::command::{Ask, Command, Tab, on};
use crate::ui::console::Said;
use crate::ui::cuts::{CutDialog, Link};
use crate::ui::dialog::Over;
use crate::ui::dock::Dock;
use crate::ui::embed::{self, Controls, EmbedDialog, Embedded};
use crate::ui::flights::{Flown, Layer};
use crate::ui::focus::Held;
use crate::ui::keys;
use crate::ui::lesson::{LessonPanel, Lessons};
use crate::ui::manage::{ManageButton, ManageDialog, Thing};
use crate::ui::metrics;
use crate::ui::part::{keyed, list, part, sentence};
use crate::ui::session::{Comparison, LessonView, Session};
use crate::ui::stage::Stage;
use crate::ui::streams::Stream;
use crate::ui::theme;
use crate::ui::timeline::{Brush, Clock, Timeline};
use crate::ui::topbar::{Help, TopBar};
use crate::ui::zoom::Looking;
use crate::view::events::EventRow;
use crate::view::flights::{Family, Flight};
use crate::view::futures::Drawn;
use crate::view::guarantees::Guarantees;
use crate::view::inspect::{Inspection, Selection};
use crate::view::metrics::Metrics;
use crate::view::stage::{Focus, Stage as StageView, TopicView};

/// While time passes, the words and numbers follow so often (in milliseconds); flights and the hand
/// follow every frame.
const REFRESH: f64 = 50.0;
/// While time passes, numbers that always change are read no faster than this (in milliseconds).
const MEASURED_EVERY: f64 = 200.0;
/// How many events, console lines and sentences are kept in view.
const EVENTS_SHOWN: usize = 120;
const LOG_KEPT: usize = 400;
const NEWS_KEPT: usize = 5;
const DROPPED: &str = "So long a history is not kept whole: its beginning can no longer be looked at. The script still leads through all of it.";

pub enum Msg {
    Frame(f64),
    Asked(Command),
    Key(web_sys::KeyboardEvent),
    Pointed(Option<PointerEvent>),
    Clicked(MouseEvent),
    /// A button goes down, or up.
    Pressed(PointerEvent),
    Released(PointerEvent),
    /// A finger has rested on a node.
    Rested,
    /// The browser took the finger's moves for a scroll of its own.
    Taken,
    /// The page's places moved.
    Moved,
    Themed,
    Linked,
    Calm,
    /// The text of a lesson has come, or cannot be had; and the part at which it is to begin.
    Lesson(&'static Lesson, usize, Option<String>),
}

/// What is shown; compared piece by piece.
#[derive(Clone)]
struct Shown {
    stage: Rc<StageView>,
    topics: Rc<[TopicView]>,
    guarantees: Rc<Guarantees>,
    events: Rc<Vec<EventRow>>,
    causes: Option<Rc<Vec<EventRow>>>,
    inspection: Option<Rc<Inspection>>,
    flights: Rc<Vec<Flight>>,
    rate: i64,
    /// While somebody looks at them.
    metrics: Option<Rc<Metrics>>,
    /// Where the time that is kept begins, when the beginning was dropped.
    since: Option<Instant>,
    cuts: Rc<Vec<Link>>,
    futures: Rc<Vec<Drawn>>,
    comparison: Option<Rc<Comparison>>,
    lesson: Option<Rc<LessonView>>,
}

pub struct App {
    session: Session,
    shown: Shown,
    ask: Ask,
    scenario: AttrValue,
    /// The step that the flights and events shown belong to.
    position: u64,
    flown: Vec<Flown>,
    layer: Layer,
    brush: Brush,
    clock: Clock,
    /// Where the hand stands in the charts of the metrics, while they are shown.
    hand: Option<metrics::Hand>,
    /// When the metrics were looked at last.
    measured_at: f64,
    /// The timeline is painted in the next frame: painting asks the browser for fonts and places, and at
    /// the start of a frame it has them already.
    unpainted: bool,
    /// How many records of a log are drawn.
    fitting: i64,
    last_frame: Option<f64>,
    balance: Balance,
    last_refresh: f64,
    /// Time went backwards, or another future began, since the last drawing.
    rewound: bool,
    /// More records arrive than could be watched one by one.
    brisk: bool,
    flow: Flow,
    /// Rows of a stream that are still to be drawn.
    turns: Option<Turns>,
    /// Only such rows have been drawn: nothing has moved.
    in_turn: bool,
    looking: Rc<Looking>,
    selection: Option<Selection>,
    tab: Tab,
    why: Option<u64>,
    only_what_matters: bool,
    muted: Rc<Vec<Family>>,
    log: Rc<Vec<Said>>,
    problems: Vec<String>,
    /// The last act was typed into the console, which shows what comes of it.
    acted_by_typing: bool,
    news: Vec<(u64, String)>,
    /// The lesson that the address asks for has not come yet: nothing is shown, and no time passes.
    awaited: bool,
    /// There has been something to see.
    opened: bool,
    over: Option<Over>,
    /// What has been set on the thing that is managed.
    settings: Vec<(String, String)>,
    /// The node from which a link is being drawn, and where that began.
    drawing: Option<Begun>,
    /// The node that a finger is resting on, until it has rested long enough to draw.
    resting: Option<(Begun, Timeout)>,
    embedded: Option<Embedded>,
    /// What the page around this one was told last: the size, and the part of the script.
    told_size: (i32, i32),
    told_part: Option<usize>,
    presenting: bool,
    /// Whether what is painted was painted so.
    painted_large: bool,
    shared: bool,
    pointer: Option<(f64, f64)>,
    /// Words stand beside the message that is pointed at.
    pointed: bool,
    /// What had the focus before the page was drawn again.
    held: RefCell<Option<Held>>,
    next_frame: Closure<dyn FnMut(f64)>,
    calm: Option<Timeout>,
    _listeners: Vec<EventListener>,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<App>) -> App {
        let embedded = embed::asked();
        match &embedded {
            Some(embedded) => embedded.theme.iter().for_each(|theme| theme::set(theme)),
            None => theme::restore(),
        }
        let Opened { mut session, scenario, problems, lesson } = open();
        let looking = Looking::default();
        let stage = session.stage(&Focus::default());
        let shown = Shown {
            topics: stage.topics.clone().into(),
            stage,
            guarantees: Rc::new(session.guarantees()),
            events: Rc::new(session.events(true, EVENTS_SHOWN)),
            causes: None,
            inspection: None,
            flights: Rc::default(),
            rate: session.rate(),
            metrics: None,
            since: None,
            cuts: Rc::default(),
            futures: Rc::default(),
            comparison: None,
            lesson: session.lesson().map(Rc::new),
        };
        let app = App {
            session,
            shown,
            ask: ctx.link().callback(Msg::Asked),
            scenario: scenario.into(),
            position: u64::MAX,
            flown: Vec::new(),
            layer: Layer::default(),
            brush: Brush::default(),
            clock: Clock::default(),
            hand: None,
            measured_at: 0.0,
            unpainted: true,
            fitting: 0,
            last_frame: None,
            balance: Balance::default(),
            last_refresh: 0.0,
            rewound: false,
            brisk: false,
            flow: Flow::default(),
            turns: None,
            in_turn: false,
            looking: Rc::new(looking),
            selection: None,
            tab: Tab::Guarantees,
            why: None,
            only_what_matters: true,
            muted: Rc::default(),
            log: Rc::default(),
            problems,
            acted_by_typing: false,
            news: Vec::new(),
            awaited: lesson.is_some(),
            opened: false,
            over: None,
            settings: Vec::new(),
            drawing: None,
            resting: None,
            embedded,
            told_size: (0, 0),
            told_part: None,
            presenting: false,
            painted_large: false,
            shared: false,
            pointer: None,
            pointed: false,
            held: RefCell::default(),
            next_frame: every_frame(ctx),
            calm: None,
            _listeners: listeners(ctx),
        };
        app.ask_for_a_frame();
        if let Some((lesson, part)) = lesson {
            fetch_lesson(ctx, lesson, part);
        }
        app
    }

    fn update(&mut self, ctx: &Context<App>, msg: Msg) -> bool {
        if self.awaited && !matches!(msg, Msg::Frame(_) | Msg::Linked | Msg::Lesson(..)) {
            return false;
        }
        match msg {
            Msg::Frame(at) => {
                self.ask_for_a_frame();
                return !self.awaited && self.pass(at);
            }
            Msg::Asked(command) => self.carry_out(ctx, command),
            Msg::Key(event) => {
                let situation = keys::Situation {
                    playing: self.session.is_playing(),
                    covered: self.over.is_some(),
                    presenting: self.presenting,
                    selected: self.selected_broker(),
                    stage: &self.shown.stage,
                };
                let Some(command) = keys::command(&event, &situation) else { return false };
                event.prevent_default();
                self.carry_out(ctx, command);
            }
            Msg::Pointed(event) => {
                self.pointer = event.as_ref().map(|event| (event.client_x().into(), event.client_y().into()));
                if let Some(event) = event {
                    self.resting.take_if(|(begun, _)| !gesture::rests(begun, &event));
                }
                return false;
            }
            Msg::Clicked(event) => {
                let hit = self.layer.hit(f64::from(event.client_x()), f64::from(event.client_y()));
                let on_control = event.target().and_then(|t| t.dyn_into::<web_sys::Element>().ok());
                let on_control =
                    on_control.and_then(|e| e.closest("button, input, select, label, .dock, .timeline").ok().flatten());
                let (Some(id), None) = (hit, on_control) else { return false };
                self.carry_out(ctx, Command::Select(Selection::Message(id)));
            }
            Msg::Pressed(event) => {
                let begun = gesture::begins(&event);
                if gesture::is_finger(&event) {
                    let rested = ctx.link().callback(|()| Msg::Rested);
                    let rest = move |begun| (begun, Timeout::new(gesture::REST, move || rested.emit(())));
                    self.resting = begun.map(rest);
                } else {
                    self.drawing = begun;
                }
                return false;
            }
            Msg::Rested => {
                self.drawing = self.resting.take().map(|(begun, _)| begun);
                gesture::mark(self.drawing.as_ref());
                return false;
            }
            Msg::Taken => {
                (self.drawing, self.resting) = (None, None);
                gesture::mark(None);
                return false;
            }
            Msg::Released(event) => {
                self.resting = None;
                gesture::mark(None);
                let link = self.drawing.take().and_then(|begun| gesture::ends(begun, &event));
                let Some(link) = link else { return false };
                self.carry_out(ctx, Command::Link(link));
            }
            Msg::Moved => {
                self.layer.disturb();
                return false;
            }
            Msg::Themed => {
                self.layer.repaint();
                self.brush.forget();
                self.unpainted = true;
                theme::tell_painters();
                return false;
            }
            Msg::Linked => {
                let Opened { session, scenario, problems, lesson } = open();
                match lesson {
                    Some((lesson, part)) => fetch_lesson(ctx, lesson, part),
                    None => self.look_at(session, scenario, problems),
                }
            }
            Msg::Lesson(lesson, part, text) => self.begin_lesson(lesson, part, text),
            Msg::Calm => {
                self.shared = false;
                return true;
            }
        }
        self.refresh();
        true
    }

    fn rendered(&mut self, _: &Context<App>, _first: bool) {
        if let Some(held) = self.held.take() {
            held.fall_back();
        }
        if self.awaited || std::mem::take(&mut self.in_turn) {
            return;
        }
        self.layer.disturb();
        if self.painted_large != self.presenting {
            self.painted_large = self.presenting;
            self.layer.repaint();
            self.brush.forget();
            theme::tell_painters();
        }
        self.clock.set(self.session.beginning(), self.session.now(), self.session.end());
        self.show_now_in_metrics();
        self.unpainted = true;
        let first = !std::mem::replace(&mut self.opened, true);
        if first {
            document().body().map(|body| body.class_list().add_1("ready"));
        }
        self.tell_host(first);
    }

    fn view(&self, ctx: &Context<App>) -> Html {
        if self.awaited {
            return html! { <p class="starting" role="status">{ "Starting the lesson …" }</p> };
        }
        // Drawn twice before that is told, what had the focus before the first time counts.
        if let Some(held) = Held::now() {
            self.held.replace(Some(held));
        }
        let ask = &self.ask;
        let controls = self.embedded.as_ref().map_or(Controls::All, |embedded| embedded.controls);
        let in_past = self.session.is_in_past();
        let class = classes!(
            "page",
            in_past.then_some("in-past"),
            self.embedded.is_some().then_some("embedded"),
            self.presenting.then_some("presenting"),
            self.shown.lesson.as_ref().and_then(|lesson| lesson.lesson).map(|_| "in-lesson")
        );
        html! {
            <div {class} onclick={ctx.link().callback(Msg::Clicked)}
                onpointermove={ctx.link().callback(|event: PointerEvent| Msg::Pointed(Some(event)))}
                onpointerdown={ctx.link().callback(Msg::Pressed)} onpointerup={ctx.link().callback(Msg::Released)}
                onpointercancel={ctx.link().callback(|_: PointerEvent| Msg::Taken)}
                onpointerleave={ctx.link().callback(|_| Msg::Pointed(None))}>
                if self.embedded.is_some() {
                    { part(embed::Bar { scenario: self.scenario() }) }
                } else {
                    { part(TopBar { scenario: self.scenario(), shared: self.shared, presenting: self.presenting, ask: ask.clone() }) }
                }
                { part(Stage { stage: self.shown.stage.clone(), compared: self.shown.comparison.clone(), fitting: self.fitting, cut: !self.shown.cuts.is_empty(), looking: self.looking.clone(), in_past, brisk: self.brisk, selected: self.selected_broker(), rewound: self.rewound, ask: ask.clone() }) }
                if controls == Controls::All { { self.clients() } }
                if controls != Controls::None {
                    { part(Timeline { playing: self.session.is_playing(), in_past, speed: self.session.speed(), rate: self.shown.rate, partition: self.focus(), since: self.shown.since, ask: ask.clone() }) }
                }
                // Last, because there is so much in it: who walks by Tab plays the time before.
                if self.embedded.is_none() { { self.dock() } } else if self.shown.lesson.is_some() {
                    <section class="lesson-beside" aria-label="Lesson"><LessonPanel view={self.shown.lesson.clone()} ask={ask.clone()} /></section>
                }
                <canvas id="flights" aria-hidden="true" />
                <div id="flight-tip" hidden=true aria-hidden="true" />
                <div class="news" role="status" aria-live="polite">
                    { for self.news.iter().map(|(id, text)| html! { <p key={*id}>{ format!("{text} ") }</p> }) }
                </div>
                if !self.problems.is_empty() && !matches!(self.over, Some(Over::Add(_) | Over::Manage(_) | Over::Cut)) { { self.problems() } }
                { match &self.over {
                    Some(Over::Help) => part(Help { ask: ask.clone() }),
                    Some(Over::Lessons) => part(Lessons { finished: finished(), ask: ask.clone() }),
                    Some(Over::Embed) => {
                        let link = self.session.link().map(AttrValue::from).map_err(AttrValue::from);
                        html! { <EmbedDialog {link} ask={ask.clone()} /> }
                    }
                    Some(Over::Add(what)) => html! { <AddDialog what={*what} problems={self.problems.clone()} ask={ask.clone()} /> },
                    Some(Over::Manage(thing)) => html! {
                        { part(ManageDialog { thing: thing.clone(), stage: self.shown.stage.clone(), now: self.settings.clone(), problems: self.problems.clone(), ask: ask.clone() }) }
                    },
                    Some(Over::Cut) => html! {
                        <CutDialog stage={self.shown.stage.clone()} cuts={self.shown.cuts.clone()} problems={self.problems.clone()} ask={ask.clone()} />
                    },
                    None => html! {},
                } }
            </div>
        }
    }
}

impl App {
    /// The clients on both sides of the stage.
    fn clients(&self) -> Html {
        let (shown, ask) = (&self.shown, &self.ask);
        html! {
            <>
                <aside class="producers" aria-label="Producers">
                    <span class="label">{ "Producers" }</span>
                    { list(shown.stage.producers.iter().map(|card| html! {
                        <Producer key={card.name.clone()} card={card.clone()} topics={shown.topics.clone()} ask={ask.clone()} />
                    })) }
                    <span class="label">{ "Topics" }</span>
                    { list(shown.topics.iter().map(|topic| html! {
                        <p class="topic" key={topic.name.clone()}>
                            <b>{ &topic.name }</b><span>{ format!("{} × {}", topic.partitions, topic.replication) }</span>
                            { part(ManageButton { thing: Thing::Topic(topic.name.clone()), ask: ask.clone() }) }
                        </p>
                    })) }
                    <div class="adders">
                        { self.adder(Addition::Producer) }
                        { self.adder(Addition::Topic) }
                        { self.adder(Addition::Broker) }
                    </div>
                </aside>
                <aside class="groups" aria-label="Consumer groups">
                    <span class="label">{ "Consumer groups" }</span>
                    { list(shown.stage.groups.iter().map(|card| keyed(card.id.clone(), Group { card: card.clone(), ask: ask.clone() }))) }
                    { list(shown.stage.streams.iter().map(|card| keyed(card.name.clone(), Stream { card: card.clone(), ask: ask.clone() }))) }
                    <div class="adders">
                        { self.adder(Addition::Consumer) }
                        { self.adder(Addition::ShareConsumer) }
                        { self.adder(Addition::Stream) }
                    </div>
                </aside>
            </>
        }
    }

    /// What is open, in the top bar.
    fn scenario(&self) -> AttrValue {
        let lesson = self.shown.lesson.as_ref();
        match lesson.and_then(|view| Some((view, view.lesson?))) {
            Some((view, lesson)) => format!("{} · part {} of {}", lesson.title, view.part + 1, view.parts.len()).into(),
            None => self.scenario.clone(),
        }
    }

    /// Another run is open from now on.
    fn look_at(&mut self, session: Session, scenario: String, problems: Vec<String>) {
        self.awaited = false;
        self.session = session;
        self.scenario = scenario.into();
        self.problems = problems;
        self.rewound = true;
        self.selection = None;
        self.why = None;
        self.over = None;
        self.shown.comparison = None;
        self.told_part = None;
    }

    fn adder(&self, what: Addition) -> Html {
        let name = what.title();
        let short = name.trim_start_matches("Add a ").to_string();
        html! {
            <button class="adder" aria-label={name} onclick={on(&self.ask, Command::Open(Some(Over::Add(what))))}>{ "+ " }{ short }</button>
        }
    }

    fn dock(&self) -> Html {
        let shown = &self.shown;
        let now = if self.looks_at_packets() { self.session.now() } else { Instant::ZERO };
        html! {
            <Dock tab={self.tab} stage={shown.stage.clone()} guarantees={shown.guarantees.clone()} events={shown.events.clone()}
                causes={shown.causes.clone()} only_what_matters={self.only_what_matters} inspection={shown.inspection.clone()}
                selected={self.selection.clone()} metrics={shown.metrics.clone()} flights={shown.flights.clone()} {now}
                muted={self.muted.clone()} log={self.log.clone()} futures={shown.futures.clone()} future={self.session.name_of(None)}
                end={if self.tab == Tab::Branches { self.session.end() } else { Instant::ZERO }} comparison={shown.comparison.clone()} lesson={shown.lesson.clone()} ask={self.ask.clone()} />
        }
    }

    /// Tells the page around this one what is new for it.
    fn tell_host(&mut self, first: bool) {
        if self.embedded.is_none() {
            return;
        }
        if first {
            embed::tell_host("ready", &[]);
        }
        let size = embed::size();
        if size != self.told_size {
            self.told_size = size;
            embed::tell_host("size", &[("width", size.0.into()), ("height", size.1.into())]);
        }
        if let Some((part, name)) = self.session.part().filter(|(part, _)| Some(*part) != self.told_part) {
            self.told_part = Some(part);
            embed::tell_host("step", &[("step", (part as u32).into()), ("name", name.into())]);
        }
        for (part, name) in self.session.solved() {
            embed::tell_host("solved", &[("step", (part as u32).into()), ("name", name.into())]);
        }
    }

    /// The partition whose leaders the timeline shows: the selected one, or the one with the most elections. Among
    /// equals it stays the one that it was.
    fn focus(&self) -> Option<String> {
        let named = match &self.selection {
            Some(Selection::Partition(name)) => Some(name.clone()),
            Some(Selection::Replica { partition, .. } | Selection::Record { partition, .. }) => Some(partition.clone()),
            _ => None,
        };
        let rows = &self.shown.stage.rows;
        named.or_else(|| {
            let was = self.session.painted_partition();
            let busiest = rows.iter().rev().max_by_key(|row| (row.leader_epoch, was == Some(row.name.as_str())))?;
            Some(busiest.name.clone())
        })
    }

    fn selected_broker(&self) -> Option<i32> {
        match self.selection {
            Some(Selection::Broker(id)) => Some(id),
            _ => None,
        }
    }

    fn problems(&self) -> Html {
        let dismiss = on(&self.ask, Command::Dismiss);
        html! {
            <div class="problems" role="alert">
                <div>{ for self.problems.iter().map(|problem| html! { <p>{ sentence(problem) }</p> }) }</div>
                <button aria-label="Dismiss" onclick={dismiss}>{ "×" }</button>
            </div>
        }
    }
}
