//! The whole page: carries out what is asked, lets time pass frame by frame, and shows what there
//! is to see. Only here is the session touched.

use std::rc::Rc;

use gloo::events::EventListener;
use gloo::render::{AnimationFrame, request_animation_frame};
use gloo::timers::callback::Timeout;
use wasm_bindgen::JsCast;
use yew::prelude::*;

use crate::lesson::FIRST_MINUTE;
use crate::scenario::link;
use crate::time::{Duration, Instant};
use crate::ui::browser::{self, document, window};
use crate::ui::cards::{Group, Producer};
use crate::ui::command::{Ask, Command, Tab};
use crate::ui::console::{Kind, Said};
use crate::ui::dialog::Over;
use crate::ui::dock::Dock;
use crate::ui::embed::{self, Controls, EmbedDialog, Embedded};
use crate::ui::flights::{Flown, Glow, Layer, show_tip};
use crate::ui::keys;
use crate::ui::session::Session;
use crate::ui::stage::Stage;
use crate::ui::timeline::{self, Timeline};
use crate::ui::topbar::{Help, TopBar};
use crate::view::events::EventRow;
use crate::view::flights::{Family, Flight};
use crate::view::guarantees::Guarantees;
use crate::view::inspect::{Inspection, Selection};
use crate::view::stage::{Stage as StageView, TopicView};

/// While time passes, the words and numbers follow so often (in milliseconds); flights and the hand
/// follow every frame.
const REFRESH: f64 = 50.0;
/// How many events, console lines and sentences are kept in view.
const EVENTS_SHOWN: usize = 120;
const LOG_KEPT: usize = 400;
const NEWS_KEPT: usize = 5;
/// From this speed on (virtual microseconds a real second) flights are over before they are seen.
const TOO_QUICK: i64 = 20_000;
const THEME: &str = "highwater-theme";

pub enum Msg {
    Frame(f64),
    Asked(Command),
    Key(web_sys::KeyboardEvent),
    Pointed(Option<(f64, f64)>),
    Clicked(MouseEvent),
    /// The page's places moved.
    Moved,
    Themed,
    Linked,
    Calm,
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
    last_frame: Option<f64>,
    last_refresh: f64,
    /// Time went backwards, or another future began, since the last drawing.
    rewound: bool,
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
    over: Option<Over>,
    embedded: Option<Embedded>,
    /// What the page around this one was told last: the size, and the part of the script.
    told_size: (i32, i32),
    told_part: Option<usize>,
    shared: bool,
    pointer: Option<(f64, f64)>,
    frame: Option<AnimationFrame>,
    calm: Option<Timeout>,
    _listeners: Vec<EventListener>,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<App>) -> App {
        let embedded = embed::asked();
        let theme = match &embedded {
            Some(embedded) => embedded.theme.clone(),
            None => browser::kept(THEME).filter(|theme| theme == "dark" || theme == "light"),
        };
        if let Some(theme) = theme {
            set_theme(&theme);
        }
        let (mut session, scenario, problems) = open();
        let shown = Shown {
            stage: session.stage(),
            topics: session.stage().topics.clone().into(),
            guarantees: Rc::new(session.guarantees()),
            events: Rc::new(session.events(true, EVENTS_SHOWN)),
            causes: None,
            inspection: None,
            flights: Rc::default(),
            rate: session.rate(),
        };
        let mut app = App {
            session,
            shown,
            ask: ctx.link().callback(Msg::Asked),
            scenario: scenario.into(),
            position: u64::MAX,
            flown: Vec::new(),
            layer: Layer::default(),
            last_frame: None,
            last_refresh: 0.0,
            rewound: false,
            selection: None,
            tab: Tab::Guarantees,
            why: None,
            only_what_matters: true,
            muted: Rc::default(),
            log: Rc::default(),
            problems,
            acted_by_typing: false,
            news: Vec::new(),
            over: None,
            embedded,
            told_size: (0, 0),
            told_part: None,
            shared: false,
            pointer: None,
            frame: None,
            calm: None,
            _listeners: listeners(ctx),
        };
        app.next_frame(ctx);
        app
    }

    fn update(&mut self, ctx: &Context<App>, msg: Msg) -> bool {
        match msg {
            Msg::Frame(at) => {
                self.next_frame(ctx);
                return self.pass(at);
            }
            Msg::Asked(command) => self.carry_out(ctx, command),
            Msg::Key(event) => {
                let situation = keys::Situation {
                    playing: self.session.is_playing(),
                    covered: self.over.is_some(),
                    selected: self.selected_broker(),
                    stage: &self.shown.stage,
                };
                let Some(command) = keys::command(&event, &situation) else { return false };
                event.prevent_default();
                self.carry_out(ctx, command);
            }
            Msg::Pointed(at) => {
                self.pointer = at;
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
            Msg::Moved => {
                self.layer.disturb();
                return false;
            }
            Msg::Themed => {
                self.layer.repaint();
                self.paint_timeline();
                return false;
            }
            Msg::Linked => {
                let (session, scenario, problems) = open();
                self.session = session;
                self.scenario = scenario.into();
                self.problems = problems;
                self.rewound = true;
                self.selection = None;
                self.why = None;
            }
            Msg::Calm => {
                self.shared = false;
                return true;
            }
        }
        self.refresh();
        true
    }

    fn rendered(&mut self, _: &Context<App>, first: bool) {
        self.layer.disturb();
        timeline::show_time(self.session.now(), self.session.end());
        self.paint_timeline();
        if first {
            document().body().map(|body| body.class_list().add_1("ready"));
        }
        self.tell_host(first);
    }

    fn view(&self, ctx: &Context<App>) -> Html {
        let ask = &self.ask;
        let controls = self.embedded.as_ref().map_or(Controls::All, |embedded| embedded.controls);
        let in_past = self.session.is_in_past();
        let class = classes!("page", in_past.then_some("in-past"), self.embedded.is_some().then_some("embedded"));
        let point = |event: PointerEvent| Some((f64::from(event.client_x()), f64::from(event.client_y())));
        html! {
            <div {class} onclick={ctx.link().callback(Msg::Clicked)}
                onpointermove={ctx.link().callback(move |event: PointerEvent| Msg::Pointed(point(event)))}
                onpointerleave={ctx.link().callback(|_| Msg::Pointed(None))}>
                if self.embedded.is_some() {
                    <embed::Bar scenario={self.scenario.clone()} />
                } else {
                    <TopBar scenario={self.scenario.clone()} shared={self.shared} ask={ask.clone()} />
                }
                <Stage stage={self.shown.stage.clone()} {in_past} selected={self.selected_broker()} rewound={self.rewound} ask={ask.clone()} />
                if controls == Controls::All { { self.clients() } }
                if self.embedded.is_none() { { self.dock() } }
                if controls != Controls::None {
                    <Timeline playing={self.session.is_playing()} {in_past} speed={self.session.speed()}
                        rate={self.shown.rate} partition={self.focus()} ask={ask.clone()} />
                }
                <canvas id="flights" aria-hidden="true" />
                <div id="flight-tip" hidden=true aria-hidden="true" />
                <div class="news" role="status" aria-live="polite">
                    { for self.news.iter().map(|(id, text)| html! { <p key={*id}>{ text }</p> }) }
                </div>
                if !self.problems.is_empty() { { self.problems() } }
                { match self.over {
                    Some(Over::Help) => html! { <Help ask={ask.clone()} /> },
                    Some(Over::Embed) => {
                        let link = self.session.link().map(AttrValue::from).map_err(AttrValue::from);
                        html! { <EmbedDialog {link} ask={ask.clone()} /> }
                    }
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
                    { for shown.stage.producers.iter().map(|card| html! {
                        <Producer key={card.name.clone()} card={card.clone()} topics={shown.topics.clone()} ask={ask.clone()} />
                    }) }
                </aside>
                <aside class="groups" aria-label="Consumer groups">
                    <span class="label">{ "Consumer groups" }</span>
                    { for shown.stage.groups.iter().map(|card| html! { <Group key={card.id.clone()} card={card.clone()} ask={ask.clone()} /> }) }
                </aside>
            </>
        }
    }

    fn dock(&self) -> Html {
        let shown = &self.shown;
        let now = if self.looks_at_packets() { self.session.now() } else { Instant::ZERO };
        html! {
            <Dock tab={self.tab} stage={shown.stage.clone()} guarantees={shown.guarantees.clone()} events={shown.events.clone()}
                causes={shown.causes.clone()} only_what_matters={self.only_what_matters} inspection={shown.inspection.clone()}
                selected={self.selection.is_some()} flights={shown.flights.clone()} {now}
                muted={self.muted.clone()} log={self.log.clone()} ask={self.ask.clone()} />
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
    }

    fn next_frame(&mut self, ctx: &Context<App>) {
        let link = ctx.link().clone();
        self.frame = Some(request_animation_frame(move |at| link.send_message(Msg::Frame(at))));
    }

    /// A frame: time passes, what moves is drawn. True when words and numbers want drawing too.
    fn pass(&mut self, at: f64) -> bool {
        let real = at - self.last_frame.unwrap_or(at);
        self.last_frame = Some(at);
        let before = self.session.now();
        self.session.tick(Duration::from_micros((real * 1000.0) as i64));
        let now = self.session.now();
        self.look_at_flights();
        self.layer.draw(&self.flown, now, at, &self.muted);
        self.point();
        if now == before {
            return false;
        }
        timeline::show_time(now, self.session.end());
        if at - self.last_refresh < REFRESH {
            return false;
        }
        self.last_refresh = at;
        let before = self.shown.stage.clone();
        self.rewound = false;
        self.refresh();
        if self.shown.rate >= TOO_QUICK {
            glows(&before, &self.shown.stage, at).into_iter().for_each(|glow| self.layer.glow(glow));
        }
        true
    }

    fn look_at_flights(&mut self) {
        if self.position == self.session.position() {
            return;
        }
        self.position = self.session.position();
        let flights = self.session.flights().into_iter();
        let fly =
            |flight: Flight| Flown { from: self.session.place(flight.from), to: self.session.place(flight.to), flight };
        self.flown = flights.map(fly).collect();
    }

    fn point(&self) {
        let hit = self.pointer.and_then(|(x, y)| Some((self.layer.hit(x, y)?, x, y)));
        let found = hit.and_then(|(id, x, y)| {
            let flown = self.flown.iter().find(|flown| flown.flight.id == id)?;
            Some((flown.flight.label.as_str(), x, y))
        });
        show_tip(found);
    }

    /// Looks at everything again; what did not change keeps its allocation.
    fn refresh(&mut self) {
        let stage = self.session.stage();
        if *self.shown.topics != *stage.topics {
            self.shown.topics = stage.topics.clone().into();
        }
        self.shown.stage = stage;
        keep(&mut self.shown.guarantees, self.session.guarantees());
        if self.session.has_other_events() || !self.only_what_matters {
            keep(&mut self.shown.events, self.session.events(self.only_what_matters, EVENTS_SHOWN));
        }
        self.shown.causes = self.why.map(|id| Rc::new(self.session.causes(id)));
        self.shown.inspection = self.selection.as_ref().and_then(|s| self.session.inspect(s)).map(Rc::new);
        if self.looks_at_packets() {
            self.look_at_flights();
            self.shown.flights = Rc::new(self.flown.iter().map(|flown| flown.flight.clone()).collect());
        }
        self.shown.rate = self.session.rate();
        let refused = self.session.refusals();
        self.refuse(refused);
        for sentence in self.session.news() {
            let id = self.news.last().map_or(0, |(id, _)| id + 1);
            self.news.push((id, sentence));
        }
        let surplus = self.news.len().saturating_sub(NEWS_KEPT);
        self.news.drain(..surplus);
    }

    /// The list of packets changes with every frame: it is kept current only for whoever looks at it.
    fn looks_at_packets(&self) -> bool {
        self.tab == Tab::Packets || !self.session.is_playing()
    }

    fn paint_timeline(&mut self) {
        let focus = self.focus();
        let now = self.session.now();
        let row = self.shown.stage.rows.iter().find(|row| Some(&row.name) == focus.as_ref());
        let replicas = row.map_or(0, |row| row.replicas.len() as u32);
        timeline::paint(self.session.timeline(focus.as_deref()), now, replicas);
    }

    /// The partition whose leaders the timeline shows: the selected one, or the one with the most elections.
    fn focus(&self) -> Option<String> {
        let named = match &self.selection {
            Some(Selection::Partition(name)) => Some(name.clone()),
            Some(Selection::Replica { partition, .. } | Selection::Record { partition, .. }) => Some(partition.clone()),
            _ => None,
        };
        let rows = &self.shown.stage.rows;
        named.or_else(|| {
            let busiest = rows.iter().rev().max_by_key(|row| row.leader_epoch)?;
            Some(busiest.name.clone())
        })
    }

    fn selected_broker(&self) -> Option<i32> {
        match self.selection {
            Some(Selection::Broker(id)) => Some(id),
            _ => None,
        }
    }

    fn carry_out(&mut self, ctx: &Context<App>, command: Command) {
        self.rewound =
            matches!(command, Command::Seek(_) | Command::StepBack | Command::PreviousEvent | Command::JumpToEvent(_));
        match command {
            Command::Act(line) => {
                self.act(&line, false);
            }
            Command::Type(line) => self.act(&line, true),
            Command::Play(playing) => self.session.set_playing(playing),
            Command::Step => self.session.step_forward(),
            Command::StepBack => self.session.step_back(),
            Command::NextEvent => self.session.next_event(),
            Command::PreviousEvent => self.session.previous_event(),
            Command::JumpToNow => self.session.jump_to_now(),
            Command::Seek(at) => self.session.seek(at.min(self.session.end())),
            Command::JumpToEvent(id) => self.session.jump_to_event(id),
            Command::Speed(speed) => self.session.set_speed(speed),
            Command::Select(selection) => {
                // A broker's number only chooses it; a click on anything wants to know more.
                self.selection = Some(selection);
                self.tab = Tab::Inspector;
            }
            Command::Why(id) => {
                self.why = id;
                if id.is_some() && self.tab != Tab::Events && browser::prefers("(max-width: 1000px)") {
                    self.tab = Tab::Events;
                }
            }
            Command::Show(tab) => {
                self.tab = tab;
                if tab == Tab::Console {
                    Timeout::new(0, || browser::focus(".console input")).forget();
                }
            }
            Command::OnlyWhatMatters(only) => {
                self.only_what_matters = only;
                self.shown.events = Rc::new(self.session.events(only, EVENTS_SHOWN));
            }
            Command::Mute(family) => {
                let mut muted = (*self.muted).clone();
                match muted.iter().position(|other| *other == family) {
                    Some(index) => {
                        muted.remove(index);
                    }
                    None => muted.push(family),
                }
                self.muted = Rc::new(muted);
            }
            Command::Theme => self.switch_theme(ctx),
            Command::Open(over) => self.over = over,
            Command::Share => self.share(ctx),
            Command::Dismiss => {
                self.problems.clear();
                self.why = None;
                self.selection = None;
            }
        }
    }

    fn act(&mut self, line: &str, typed: bool) {
        self.rewound = self.session.is_in_past();
        let now = self.session.now();
        self.say(Kind::Line, format!("{now}  {line}"));
        let refused = self.session.act(line).err().unwrap_or_default();
        self.acted_by_typing = typed;
        self.problems.clear();
        self.refuse(refused);
    }

    /// Says why something was not done: where it was asked for.
    fn refuse(&mut self, problems: Vec<String>) {
        for problem in &problems {
            self.say(Kind::Error, problem.clone());
        }
        if !self.acted_by_typing && !problems.is_empty() {
            self.problems = problems;
        }
    }

    fn say(&mut self, kind: Kind, text: String) {
        let log = Rc::make_mut(&mut self.log);
        log.push(Said { kind, text });
        let surplus = log.len().saturating_sub(LOG_KEPT);
        log.drain(..surplus);
    }

    fn switch_theme(&mut self, ctx: &Context<App>) {
        let root = document().document_element();
        let chosen = root.and_then(|root| root.get_attribute("data-theme"));
        let dark = chosen.map_or_else(|| browser::prefers("(prefers-color-scheme: dark)"), |theme| theme == "dark");
        let theme = if dark { "light" } else { "dark" };
        set_theme(theme);
        browser::keep(THEME, theme);
        ctx.link().send_message(Msg::Themed);
    }

    /// The whole run, up to here, as a link.
    fn share(&mut self, ctx: &Context<App>) {
        let link = match self.session.link() {
            Ok(link) => link,
            Err(problem) => {
                self.problems = vec![problem];
                return;
            }
        };
        let history = window().history();
        let replaced = history.and_then(|h| h.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&link)));
        if replaced.is_err() {
            self.problems = vec![
                "The browser does not let this page change its address: the link cannot be made here.".to_string(),
            ];
            return;
        }
        browser::copy(&window().location().href().unwrap_or_default());
        self.shared = true;
        let calm = ctx.link().callback(|()| Msg::Calm);
        self.calm = Some(Timeout::new(2_500, move || calm.emit(())));
    }

    fn problems(&self) -> Html {
        let dismiss = crate::ui::command::on(&self.ask, Command::Dismiss);
        html! {
            <div class="problems" role="alert">
                <div>{ for self.problems.iter().map(|problem| html! { <p>{ problem }</p> }) }</div>
                <button aria-label="Dismiss" onclick={dismiss}>{ "×" }</button>
            </div>
        }
    }
}

fn keep<T: PartialEq>(old: &mut Rc<T>, new: T) {
    if **old != new {
        *old = Rc::new(new);
    }
}

/// What travelled between two looks at the stage: told by where records have come to be.
fn glows(before: &StageView, after: &StageView, since: f64) -> Vec<Glow> {
    let mut glows = Vec::new();
    for (old, new) in before.rows.iter().zip(&after.rows) {
        let Some(leader) = new.leader.filter(|_| !Rc::ptr_eq(old, new) && old.name == new.name) else { continue };
        let leader_place = format!("broker {leader}");
        let hue_at = |offset: i64| {
            let cell = new.cells.iter().find(|cell| cell.broker == leader)?;
            cell.records.iter().find(|record| record.offset == offset)?.hue
        };
        let glow = |from: String, to: String, family: Family, hue| Glow {
            from,
            to,
            partition: new.name.clone(),
            hue,
            family,
            since,
        };
        for (cell, earlier) in new.cells.iter().zip(&old.cells) {
            if cell.log_end <= earlier.log_end {
                continue;
            }
            let to = format!("broker {}", cell.broker);
            let hue = hue_at(cell.log_end - 1);
            match &after.producers[..] {
                [producer] if cell.broker == leader => {
                    glows.push(glow(format!("client {}", producer.name), to, Family::Produce, hue))
                }
                _ if cell.broker != leader => glows.push(glow(leader_place.clone(), to, Family::Replication, hue)),
                _ => {}
            }
        }
        for cursor in &new.cursors {
            let earlier =
                old.cursors.iter().find(|other| other.consumer == cursor.consumer).and_then(|other| other.position);
            let (Some(earlier), Some(position)) = (earlier, cursor.position) else { continue };
            if position > earlier {
                glows.push(glow(
                    leader_place.clone(),
                    format!("client {}", cursor.consumer),
                    Family::Consume,
                    hue_at(position - 1),
                ));
            }
        }
    }
    glows
}

/// The session that the address asks for; the default one, with the reason, when that cannot be.
fn open() -> (Session, String, Vec<String>) {
    let default = || Session::open(FIRST_MINUTE).expect("the first minute is tested to be a good script");
    let hash = window().location().hash().unwrap_or_default();
    let hash = if hash.len() > 1 { hash } else { embed::scenario_in_query().unwrap_or(hash) };
    if hash.trim_start_matches('#').is_empty() {
        return (default(), "The first minute".to_string(), Vec::new());
    }
    let opened = match link::decode(&hash) {
        Ok(text) => Session::open(&text),
        Err(error) => Err(vec![capital(&error.to_string())]),
    };
    match opened {
        Ok(session) => (session, "A shared run".to_string(), Vec::new()),
        Err(mut problems) => {
            problems.push("This is the default cluster instead.".to_string());
            (default(), "The first minute".to_string(), problems)
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn set_theme(theme: &str) {
    if let Some(root) = document().document_element() {
        root.set_attribute("data-theme", theme).ok();
    }
}

/// What the page hears beyond its own elements.
fn listeners(ctx: &Context<App>) -> Vec<EventListener> {
    use gloo::events::EventListenerOptions;
    let on = |message: fn() -> Msg| {
        let link = ctx.link().clone();
        move |_: &Event| link.send_message(message())
    };
    let keys = {
        let link = ctx.link().clone();
        move |event: &Event| link.send_message(Msg::Key(event.clone().unchecked_into()))
    };
    let active = EventListenerOptions::enable_prevent_default();
    let mut listeners = vec![
        EventListener::new_with_options(&document(), "keydown", active, keys),
        EventListener::new(&window(), "resize", on(|| Msg::Themed)),
        EventListener::new(&window(), "hashchange", on(|| Msg::Linked)),
        EventListener::new_with_options(
            &document(),
            "scroll",
            EventListenerOptions::run_in_capture_phase(),
            on(|| Msg::Moved),
        ),
    ];
    if let Ok(Some(dark)) = window().match_media("(prefers-color-scheme: dark)") {
        listeners.push(EventListener::new(&dark, "change", on(|| Msg::Themed)));
    }
    listeners
}

/// A bug must not leave a dead page without a word.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&info.to_string().into());
        let document = document();
        let (Ok(note), Some(body)) = (document.create_element("div"), document.body()) else { return };
        note.set_class_name("panic");
        note.set_attribute("role", "alert").ok();
        let text =
            "Something went wrong in Highwater itself, and the picture stands still. Your scenario is not to blame.";
        for (tag, text) in [("p", text), ("a", "Reload the page")] {
            let Ok(element) = document.create_element(tag) else { return };
            element.set_text_content(Some(text));
            if tag == "a" {
                element.set_attribute("href", "").ok();
            }
            note.append_child(&element).ok();
        }
        body.append_child(&note).ok();
    }));
}
