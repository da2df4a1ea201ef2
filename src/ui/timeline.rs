//! The timeline: how time plays, and all of it painted, to be dragged through.
//!
//! What moves every frame (the hand, the reading) is set directly, past the virtual DOM.

use std::cell::RefCell;

use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, Element, HtmlCanvasElement, HtmlInputElement};
use yew::prelude::*;

use crate::history::Speed;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::ui::browser::{custom, document, fit_to_screen, pen};
use crate::ui::command::{Ask, Command, on};
use crate::ui::part::{Part, part};
use crate::view::timeline::{Band, Mark, MarkKind, Timeline as View};

/// The places of the speed slider, in virtual microseconds per real second; before them, Follow.
const SPEEDS: [i64; 7] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
/// Half the width of the hand: where the lane begins and ends within the slider.
const INSET: f64 = 7.0;

#[derive(PartialEq)]
pub struct Timeline {
    pub playing: bool,
    pub in_past: bool,
    pub speed: Speed,
    /// Virtual microseconds per real second right now.
    pub rate: i64,
    pub partition: Option<String>,
    /// Where the time that is kept begins, when that is not the beginning.
    pub since: Option<Instant>,
    pub ask: Ask,
}

impl Part for Timeline {
    fn draw(&self) -> Html {
        let ask = &self.ask;
        let (play, icon) = if self.playing { ("Pause", PAUSE) } else { ("Play", PLAY) };
        let button = |name: &'static str, key: &'static str, path: &'static str, command: Command| {
            html! {
                <button class="icon" aria-label={name} title={format!("{name}  ({key})")} onclick={on(ask, command)}>{ part(Icon { path }) }</button>
            }
        };
        html! {
            <footer class={classes!("timeline", self.in_past.then_some("in-past"))}>
                <section aria-label="Timeline">
                    <div class="transport">
                        { button("Previous event", "p", PREVIOUS, Command::PreviousEvent) }
                        { button("Step back", ",", BACK, Command::StepBack) }
                        <button class="icon primary play" aria-label={play} title={format!("{play}  (Space)")}
                            onclick={on(ask, Command::Play(!self.playing))}>{ part(Icon { path: icon }) }</button>
                        { button("Step", ".", STEP, Command::Step) }
                        { button("Next event", "n", NEXT, Command::NextEvent) }
                    </div>
                    { part(SpeedSlider { speed: self.speed, rate: self.rate, ask: ask.clone() }) }
                    <div class="lane">
                        <canvas id="lane" aria-hidden="true" />
                        <input id="time" type="range" aria-label="Time" min="0" step="1" oninput={seek(ask)} onkeydown={walk(ask)} />
                        if let Some(since) = self.since {
                            <span class="since" title="So long a history is not kept whole. The script still leads through all of it: share it, or carry it out again.">
                                { format!("from {since}") }
                            </span>
                        }
                        if let Some(partition) = &self.partition { <span class="of" aria-hidden="true">{ "leaders of " }{ partition }</span> }
                    </div>
                    <div class="reading-time">
                        <span class="now" id="now" />
                        <span class="end">
                            if self.in_past { <span class="back">{ "looking back · " }</span>{ "of " }<span id="end" /> } else { { "live" } }
                        </span>
                        <button class={classes!("jump", (!self.in_past).then_some("idle"))} aria-label="Jump to now" title="Jump to now" onclick={on(ask, Command::JumpToNow)}>
                            { part(Icon { path: NOW }) }<span>{ "Now" }</span>
                        </button>
                    </div>
                </section>
            </footer>
        }
    }
}

const PLAY: &str = "M6 4.2v11.6L15.5 10z";
const PAUSE: &str = "M5.5 4h3v12h-3zM11.5 4h3v12h-3z";
const STEP: &str = "M5 4.8v10.4L12 10zM13.2 4.8h2v10.4h-2z";
const BACK: &str = "M15 4.8v10.4L8 10zM4.8 4.8h2v10.4h-2z";
const NEXT: &str = "M3.5 4.8v10.4L9.5 10zM9.5 4.8v10.4L15.5 10zM15.3 4.8h1.8v10.4h-1.8z";
const PREVIOUS: &str = "M16.5 4.8v10.4L10.5 10zM10.5 4.8v10.4L4.5 10zM2.9 4.8h1.8v10.4H2.9z";
const NOW: &str = "M4 9h7.2L8.4 6.2l1.3-1.3L14.8 10l-5.1 5.1-1.3-1.3L11.2 11H4zM15.4 4.8h1.8v10.4h-1.8z";

#[derive(PartialEq)]
struct Icon {
    path: &'static str,
}

impl Part for Icon {
    fn draw(&self) -> Html {
        html! { <svg viewBox="0 0 20 20" aria-hidden="true"><path d={self.path} fill="currentColor" /></svg> }
    }
}

#[derive(PartialEq)]
struct SpeedSlider {
    speed: Speed,
    rate: i64,
    ask: Ask,
}

impl Part for SpeedSlider {
    fn draw(&self) -> Html {
        let place = match self.speed {
            Speed::Follow => 0,
            Speed::Fixed(rate) => 1 + SPEEDS.iter().position(|speed| *speed >= rate).unwrap_or(SPEEDS.len() - 1),
        };
        let choose = {
            let ask = self.ask.clone();
            Callback::from(move |event: InputEvent| {
                let place: usize = event.target_unchecked_into::<HtmlInputElement>().value().parse().unwrap_or(0);
                let speed = place.checked_sub(1).and_then(|place| SPEEDS.get(place));
                ask.emit(Command::Speed(speed.map_or(Speed::Follow, |rate| Speed::Fixed(*rate))));
            })
        };
        let (name, note) = match self.speed {
            Speed::Follow => ("Follow", "slows down for what you set off"),
            Speed::Fixed(_) => ("Fixed", "virtual time per real time"),
        };
        html! {
            <div class="speed" title={note}>
                <span class="what"><b>{ name }</b><span class="rate">{ times(self.rate) }</span></span>
                <input type="range" aria-label="Speed" min="0" max={SPEEDS.len().to_string()} step="1" value={place.to_string()}
                    aria-valuetext={format!("{name}, {}", times(self.rate))} oninput={choose} />
            </div>
        }
    }
}

/// `1/100×`, `1×`, `20×`
fn times(rate: i64) -> String {
    let rate = rate.max(1);
    if rate >= 1_000_000 { format!("{}×", (rate + 500_000) / 1_000_000) } else { format!("1/{}×", 1_000_000 / rate) }
}

fn seek(ask: &Ask) -> Callback<InputEvent> {
    let ask = ask.clone();
    Callback::from(move |event: InputEvent| {
        let millis = event.target_unchecked_into::<HtmlInputElement>().value_as_number();
        ask.emit(Command::Seek(Instant::from_millis(millis as i64)));
    })
}

/// A press of an arrow key moves the hand by so much of the whole: a millisecond would not be seen.
const STRIDES: f64 = 100.0;

fn walk(ask: &Ask) -> Callback<KeyboardEvent> {
    let ask = ask.clone();
    Callback::from(move |event: KeyboardEvent| {
        let way = match event.key().as_str() {
            "ArrowRight" | "ArrowUp" => 1.0,
            "ArrowLeft" | "ArrowDown" => -1.0,
            _ => return,
        };
        event.prevent_default();
        let slider: HtmlInputElement = event.target_unchecked_into();
        let end = |text: String| text.parse().unwrap_or(0.0_f64);
        let (first, last) = (end(slider.min()), end(slider.max()));
        let stride = ((last - first) / STRIDES).round().max(1.0);
        let millis = (slider.value_as_number() + way * stride).clamp(first, last.max(first));
        ask.emit(Command::Seek(Instant::from_millis(millis as i64)));
    })
}

/// The hand and the reading: in every frame, directly.
#[derive(Default)]
pub struct Clock {
    parts: Option<Parts>,
    /// What can be read.
    now: Option<Instant>,
}

struct Parts {
    slider: HtmlInputElement,
    now: Element,
    /// Shown to whoever looks back.
    end: Option<Element>,
}

impl Parts {
    fn find() -> Option<Parts> {
        let of = |id| document().get_element_by_id(id);
        Some(Parts { slider: of("time")?.dyn_into().ok()?, now: of("now")?, end: of("end") })
    }
}

impl Clock {
    /// The page has been drawn again: a person may have moved the hand, or begun to look back.
    pub fn set(&mut self, beginning: Instant, now: Instant, end: Instant) {
        *self = Clock { parts: Parts::find(), ..Clock::default() };
        let Some(Parts { slider, end: whole, .. }) = &self.parts else { return };
        slider.set_min(&beginning.millis().to_string());
        slider.set_max(&end.millis().max(1).to_string());
        slider.set_value(&now.millis().to_string());
        slider.set_attribute("aria-valuetext", &format!("{now} of {end}")).ok();
        if let Some(whole) = whole {
            whole.set_text_content(Some(&end.to_string()));
        }
        self.go_on(now, end);
    }

    /// Time has passed. At the end of what has happened the hand stays where it is: as far right as can be.
    pub fn go_on(&mut self, now: Instant, end: Instant) {
        let Some(Parts { slider, now: reading, .. }) = &self.parts else { return };
        if self.now.replace(now) == Some(now) {
            return;
        }
        reading.set_text_content(Some(&now.to_string()));
        if now < end {
            slider.set_value(&now.millis().to_string());
        }
    }
}

/// What painting needs to know of the page; asked again only when that may have changed, for the
/// answer makes the browser lay out everything.
#[derive(Default)]
pub struct Brush {
    known: Option<Known>,
}

struct Known {
    canvas: HtmlCanvasElement,
    pen: CanvasRenderingContext2d,
    width: f64,
    height: f64,
    colours: SortedMap<&'static str, String>,
    /// How wide words are: to measure is slow, and they stay.
    widths: RefCell<SortedMap<String, f64>>,
}

/// More words than these are not remembered.
const WIDTHS: usize = 2_000;

const ROLES: [&str; 15] = [
    "--sunken",
    "--muted",
    "--in-sync",
    "--leader",
    "--offline",
    "--offline-soft",
    "--family-quorum",
    "--family-group",
    "--ink",
    "--band-0",
    "--band-1",
    "--band-2",
    "--band-3",
    "--band-4",
    "--band-5",
];

impl Brush {
    /// The theme or the size of the page may have changed.
    pub fn forget(&mut self) {
        self.known = None;
    }

    /// Paints all that has happened.
    pub fn paint(&mut self, view: &View, now: Instant, replicas: u32) {
        if self.known.as_ref().is_none_or(|known| !known.canvas.is_connected()) {
            self.known = Known::look();
        }
        let Some(known) = &self.known else { return };
        known.pen.clear_rect(0.0, 0.0, known.width, known.height);
        let lane = Lane { known, beginning: view.beginning, end: view.end, now };
        lane.paint_bands(view, replicas);
        lane.paint_marks(&view.marks);
    }
}

impl Known {
    fn look() -> Option<Known> {
        let canvas = document().get_element_by_id("lane")?.dyn_into::<HtmlCanvasElement>().ok()?;
        let (width, height) = (f64::from(canvas.client_width()), f64::from(canvas.client_height()));
        let pen = pen(&canvas)?;
        fit_to_screen(&canvas, &pen, (width, height));
        pen.set_font(
            "10.5px -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif",
        );
        let colours = ROLES.iter().map(|role| (*role, custom(&canvas, role))).collect();
        Some(Known { canvas, pen, width, height, colours, widths: RefCell::default() })
    }
}

/// A canvas as long as the history.
struct Lane<'a> {
    known: &'a Known,
    beginning: Instant,
    end: Instant,
    now: Instant,
}

/// Places in the lane, from the top: the ISR's line, the band of the leader, the words.
const ISR_TOP: f64 = 4.0;
const ISR_BOTTOM: f64 = 13.0;
const BAND_TOP: f64 = 16.0;
const BAND_HEIGHT: f64 = 16.0;
const WORDS: f64 = 45.0;

/// So many marks of a band are looked at for room between them.
const MARKS_IN_THE_WAY: usize = 24;

impl Lane<'_> {
    fn colour(&self, role: &str) -> &str {
        self.known.colours.get(role).map_or("", String::as_str)
    }

    fn width_of(&self, words: &str) -> f64 {
        let mut widths = self.known.widths.borrow_mut();
        if let Some(width) = widths.get(words) {
            return *width;
        }
        let width = self.known.pen.measure_text(words).map_or(0.0, |measure| measure.width());
        if widths.len() >= WIDTHS {
            widths.clear();
        }
        widths.insert(words.to_string(), width);
        width
    }

    fn x(&self, at: Instant) -> f64 {
        let whole = (self.end - self.beginning).0.max(1) as f64;
        let passed = (at - self.beginning).0.clamp(0, (self.end - self.beginning).0.max(0)) as f64;
        INSET + passed / whole * (self.known.width - 2.0 * INSET)
    }

    fn paint_bands(&self, view: &View, replicas: u32) {
        let pen = &self.known.pen;
        pen.set_fill_style_str(self.colour("--sunken"));
        pen.begin_path();
        pen.round_rect_with_f64(INSET, BAND_TOP, self.known.width - 2.0 * INSET, BAND_HEIGHT, 4.0).ok();
        pen.fill();
        let words = self.colour("--muted");
        let in_sync = self.colour("--in-sync");
        let shrunk = self.colour("--leader");
        for band in &view.bands {
            let to = band.to.unwrap_or(self.end);
            let (left, right) = (self.x(band.from), self.x(to));
            if to.0 <= 0 || right - left < 0.5 {
                continue;
            }
            pen.set_global_alpha(if self.now < band.from { 0.35 } else { 1.0 });
            let role = band
                .leader
                .map_or("--offline-soft".to_string(), |leader| format!("--band-{}", (leader - 1).rem_euclid(6)));
            pen.set_fill_style_str(self.colour(&role));
            pen.fill_rect(left, BAND_TOP, right - left, BAND_HEIGHT);
            // Nothing is said of the ISR before it first changes: it is everybody.
            let isr = if band.replicas == 0 { replicas } else { band.isr };
            let share = f64::from(isr) / f64::from(replicas.max(1));
            let y = ISR_BOTTOM - share * (ISR_BOTTOM - ISR_TOP);
            pen.set_fill_style_str(if isr < replicas { shrunk } else { in_sync });
            pen.fill_rect(left, y, right - left, 2.0);
            let leader = band.leader.map_or("no leader".to_string(), |leader| format!("leader {leader}"));
            let texts = [format!("{leader} · epoch {} · ISR {isr} of {replicas}", band.leader_epoch), leader];
            let mut placed = texts.iter().filter_map(|text| Some((text, self.room(text, band, right, &view.marks)?)));
            if let Some((text, left)) = placed.next() {
                pen.set_fill_style_str(words);
                pen.fill_text(text, left + 6.0, BAND_TOP + 11.8).ok();
            }
        }
        pen.set_global_alpha(1.0);
    }

    /// Where a band has room for words: from its beginning, or from one of its first marks, up to the next mark.
    fn room(&self, words: &str, band: &Band, right: f64, marks: &[Mark]) -> Option<f64> {
        let left = self.x(band.from);
        let wide = self.width_of(words) + 12.0;
        if wide >= right - left {
            return None;
        }
        let first = marks.partition_point(|mark| mark.at <= band.from);
        let crossing =
            marks[first..].iter().filter(|mark| mark.kind != MarkKind::Rebalance).map(|mark| self.x(mark.at));
        let edges = crossing.take(MARKS_IN_THE_WAY).take_while(|x| *x < right).chain([right]);
        let mut from = left;
        for edge in edges {
            if wide < edge - from {
                return Some(from);
            }
            from = edge;
        }
        None
    }

    fn paint_marks(&self, marks: &[Mark]) {
        let pen = &self.known.pen;
        let visible = || marks.iter().filter(|mark| mark.at > Instant::ZERO);
        let mut last = None;
        for mark in visible() {
            let (role, top, bottom) = match mark.kind {
                MarkKind::Fault => ("--offline", 2.0, 36.0),
                MarkKind::Recovery => ("--in-sync", 2.0, 36.0),
                MarkKind::Election => ("--leader", BAND_TOP - 3.0, 36.0),
                MarkKind::Isr => ("--muted", BAND_TOP, BAND_TOP + BAND_HEIGHT),
                MarkKind::Quorum => ("--family-quorum", BAND_TOP, 36.0),
                MarkKind::Rebalance => ("--family-group", BAND_TOP + BAND_HEIGHT - 4.0, 36.0),
                MarkKind::FailedSend | MarkKind::Truncation => ("--offline", BAND_TOP, BAND_TOP + BAND_HEIGHT),
            };
            let x = (self.x(mark.at) - 0.75).round();
            // Of many alike at one place one is enough.
            if last.replace((x, role)) == Some((x, role)) {
                continue;
            }
            pen.set_fill_style_str(self.colour(role));
            pen.fill_rect(x, top, 1.75, bottom - top);
        }
        self.paint_words(marks);
    }

    /// Words where there is room, the weightier kinds first.
    fn paint_words(&self, marks: &[Mark]) {
        let pen = &self.known.pen;
        let width = self.known.width;
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let weight = |mark: &&Mark| match mark.kind {
            MarkKind::Fault | MarkKind::Recovery => 0,
            MarkKind::Election | MarkKind::Quorum | MarkKind::Truncation => 1,
            _ => 2,
        };
        pen.set_fill_style_str(self.colour("--muted"));
        let most = if width < 420.0 { 1 } else { 2 };
        for wanted in 0..=most {
            for mark in marks.iter().filter(|mark| mark.at > Instant::ZERO && weight(mark) == wanted) {
                let at = self.x(mark.at);
                // Most find their place taken, and need not be measured.
                if taken.iter().any(|(from, to)| (*from..*to).contains(&at)) {
                    continue;
                }
                let wide = self.width_of(&mark.label);
                let left = (at - 1.0).min(width - wide - 2.0).max(0.0);
                let right = left + wide + 10.0;
                if taken.iter().all(|(from, to)| right < *from || *to < left) {
                    taken.push((left, right));
                    pen.fill_text(&mark.label, left, WORDS).ok();
                }
            }
        }
    }
}
