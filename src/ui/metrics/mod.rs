//! The metrics: small charts over virtual time with the hand of the timeline in each, and the same
//! as a table. Point at a chart to read all of them at that instant, click to go there.

mod plot;
mod table;

use std::rc::Rc;

use gloo::events::EventListener;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, HtmlElement, HtmlInputElement, IntersectionObserver, IntersectionObserverEntry};
use yew::prelude::*;

use self::plot::{LEFT, Picture, RIGHT};
use self::table::Table;
use crate::time::Instant;
use crate::ui::browser::{document, window};
use crate::ui::command::{Ask, Command, on};
use crate::ui::part::{Part, part};
use crate::view::metrics::{About, Area, Chart, Line, Metrics as View};
use crate::view::timeline::MarkKind;

/// From one place of the reading slider to the next.
const READING_STEPS: i64 = 200;
/// Places of the hand along the axis; `metrics.css` divides by them.
const PLACES: i64 = 500;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub view: Rc<View>,
    pub ask: Ask,
}

/// Reads the charts at an instant (without one, at the viewed instant), and explains a metric.
type Point = Callback<(Option<Instant>, Option<About>)>;

#[component]
pub fn Metrics(props: &Props) -> Html {
    let (view, ask) = (&props.view, &props.ask);
    let table = use_state(|| false);
    let area = use_state(|| None::<Area>);
    let at = use_state(|| None::<Instant>);
    let about = use_state(|| None::<About>);
    let width = use_width();
    let charts = view.charts.iter().filter(|chart| area.is_none_or(|area| chart.about.area == area));
    let charts: Rc<Vec<Rc<Chart>>> = Rc::new(charts.cloned().collect());
    // Always the same one, so that a chart is drawn again only for what is new in it.
    let point: Point = use_callback((), {
        let (at, about) = (at.setter(), about.setter());
        move |(instant, metric): (Option<Instant>, Option<About>), ()| {
            at.set(instant);
            if metric.is_some() {
                about.set(metric);
            }
        }
    });
    let shown_as = Choice {
        name: "Shown as",
        options: vec!["Charts", "Table"],
        chosen: usize::from(*table),
        choose: {
            let table = table.clone();
            Callback::from(move |index| table.set(index == 1))
        },
    };
    let of_area = Choice {
        name: "Area",
        options: [vec!["All"], Area::ALL.map(Area::name).to_vec()].concat(),
        chosen: area.map_or(0, |area| area as usize + 1),
        choose: {
            let area = area.clone();
            Callback::from(move |index: usize| area.set(index.checked_sub(1).map(|index| Area::ALL[index])))
        },
    };
    // What is pointed at may not have been yet, or be gone because another future began.
    let at = at.map(|at| at.min(view.end));
    html! {
        <div class="metrics" id="metrics">
            <div class="bar">
                { part(shown_as) }
                { part(of_area) }
                if !*table { { part(ReadAt { at, now: view.now, end: view.end, point: point.clone(), ask: ask.clone() }) } }
            </div>
            if *table {
                { part(Table { charts, now: view.now }) }
            } else {
                <p class="about" aria-live="polite">{ about.map_or_else(
                    || html! { "Point at a chart to read all of them at that instant; click to go there. Press a name for its meaning." },
                    |about| html! { <><code>{ about.mbean }</code>{ " " }{ about.meaning }</> },
                ) }</p>
                <ul class={classes!("charts", at.is_some().then_some("pointed"))} style={at.map(|at| format!("--chart-pointed:{}", place(at, view.span)))}>
                    { for charts.iter().map(|chart| html! {
                        <Card key={chart.about.title()} chart={chart.clone()} span={view.span}
                            marks={view.marks.clone()} {width} {at} point={point.clone()} ask={ask.clone()} />
                    }) }
                </ul>
            }
        </div>
    }
}

/// Where an instant stands on the axis, in steps finer than what is seen.
fn place(at: Instant, span: Instant) -> i64 {
    at.0.clamp(0, span.0) * PLACES / span.0.max(1)
}

/// Places in the charts: of the viewed instant, and of the newest one.
pub type Hand = (i64, i64);

pub fn hand(now: Instant, end: Instant, span: Instant) -> Hand {
    (place(now, span), place(end, span))
}

/// Moves the hand in the charts, directly. Everything in them is styled anew for it, so it moves only to be seen.
pub fn show_hand((now, end): Hand) {
    let Some(metrics) = document().get_element_by_id("metrics").and_then(|m| m.dyn_into::<HtmlElement>().ok()) else {
        return;
    };
    for (name, place) in [("--chart-now", now), ("--chart-end", end)] {
        metrics.style().set_property(name, &place.to_string()).ok();
    }
}

/// How wide a chart is drawn, in pixels; known after the first drawing, and again when the page's size changes.
#[hook]
fn use_width() -> u32 {
    let width = use_state(|| 0);
    let measure = {
        let width = width.clone();
        move || {
            let plot = document().query_selector(".plot").ok().flatten();
            let found = plot.and_then(|plot| plot.dyn_into::<HtmlElement>().ok()).map_or(0, |plot| plot.client_width());
            if found > 0 && found as u32 != *width {
                width.set(found as u32);
            }
        }
    };
    use_effect({
        let measure = measure.clone();
        let known = *width > 0;
        move || {
            if !known {
                measure();
            }
        }
    });
    use_effect_with(*width, move |_| {
        let listener = EventListener::new(&window(), "resize", move |_| measure());
        move || drop(listener)
    });
    *width
}

/// One of a few, side by side.
#[derive(PartialEq)]
struct Choice {
    name: &'static str,
    options: Vec<&'static str>,
    chosen: usize,
    choose: Callback<usize>,
}

impl Part for Choice {
    fn draw(&self) -> Html {
        html! {
            <div class="choice" role="group" aria-label={self.name}>
                { for self.options.iter().enumerate().map(|(index, option)| {
                    let choose = self.choose.clone();
                    html! { <button aria-pressed={(index == self.chosen).to_string()} onclick={move |_| choose.emit(index)}>{ *option }</button> }
                }) }
            </div>
        }
    }
}

/// The instant at which the charts are read, for the keyboard and for fingers.
#[derive(PartialEq)]
struct ReadAt {
    at: Option<Instant>,
    now: Instant,
    end: Instant,
    point: Point,
    ask: Ask,
}

impl Part for ReadAt {
    fn draw(&self) -> Html {
        let at = self.at.unwrap_or(self.now);
        let end = self.end;
        let place = at.0.max(0) * READING_STEPS / end.0.max(1);
        let read = {
            let point = self.point.clone();
            Callback::from(move |event: InputEvent| {
                let place: i64 = event.target_unchecked_into::<HtmlInputElement>().value().parse().unwrap_or(0);
                // At its end the charts follow the time again.
                let at = (place < READING_STEPS).then_some(Instant(end.0 * place / READING_STEPS));
                point.emit((at, None));
            })
        };
        html! {
            <div class="read-at">
                <span class="hint">{ if self.at.is_some() { "read at" } else { "read now" } }</span>
                <input type="range" aria-label="Read the charts at" min="0" max={READING_STEPS.to_string()} step="1" value={place.to_string()}
                    aria-valuetext={at.to_string()} oninput={read} />
                <span class="when">{ at.to_string() }</span>
                <button disabled={self.at.is_none()} onclick={on(&self.ask, Command::Seek(at))}>{ "Go there" }</button>
            </div>
        }
    }
}

/// What a picture is made from.
type Inputs = (Rc<Vec<Line>>, Instant, Rc<Vec<(Instant, MarkKind)>>, u32);

/// Whether an element is in view, or nearly.
#[hook]
fn use_in_view(place: &NodeRef) -> bool {
    let seen = use_state_eq(|| false);
    {
        let (seen, place) = (seen.clone(), place.clone());
        use_effect_with((), move |()| {
            let told = Closure::<dyn FnMut(js_sys::Array)>::new(move |entries: js_sys::Array| {
                let newest = entries.pop().dyn_into::<IntersectionObserverEntry>();
                seen.set(newest.is_ok_and(|entry| entry.is_intersecting()));
            });
            let observer = IntersectionObserver::new(told.as_ref().unchecked_ref()).ok();
            if let (Some(observer), Some(element)) = (&observer, place.cast::<Element>()) {
                observer.observe(&element);
            }
            move || {
                observer.iter().for_each(IntersectionObserver::disconnect);
                drop(told);
            }
        });
    }
    *seen
}

#[derive(Properties, PartialEq)]
struct CardProps {
    chart: Rc<Chart>,
    span: Instant,
    marks: Rc<Vec<(Instant, MarkKind)>>,
    width: u32,
    at: Option<Instant>,
    point: Point,
    ask: Ask,
}

#[component]
fn Card(props: &CardProps) -> Html {
    let chart = &props.chart;
    let about = chart.about;
    let place = use_node_ref();
    let in_view = use_in_view(&place);
    // Out of view a chart stays as it was drawn last.
    let drawn = use_mut_ref(|| None::<(Inputs, AttrValue)>);
    let inputs = (chart.lines.clone(), props.span, props.marks.clone(), props.width);
    if in_view && drawn.borrow().as_ref().is_none_or(|(old, _)| *old != inputs) {
        let (lines, span, marks, width) = &inputs;
        let picture = Picture { about: &about, lines, marks, span: *span, width: *width };
        let picture = AttrValue::from(picture.draw());
        *drawn.borrow_mut() = Some((inputs, picture));
    }
    let picture = drawn.borrow().as_ref().map(|(_, picture)| picture.clone()).unwrap_or_default();
    let value = props.at.map_or(chart.value, |at| chart.at(at));
    let explain = {
        let (point, at) = (props.point.clone(), props.at);
        Callback::from(move |_: MouseEvent| point.emit((at, Some(about))))
    };
    let (span, width) = (props.span, props.width);
    let under = move |x: i32| {
        let (room, x) = (i64::from(width.saturating_sub(LEFT + RIGHT).max(1)), i64::from(x) - i64::from(LEFT));
        Instant((span.0 * x / room).clamp(0, span.0))
    };
    let moved = {
        let point = props.point.clone();
        Callback::from(move |event: PointerEvent| point.emit((Some(under(event.offset_x())), Some(about))))
    };
    let left = {
        let point = props.point.clone();
        Callback::from(move |_: PointerEvent| point.emit((None, None)))
    };
    let clicked = {
        let ask = props.ask.clone();
        Callback::from(move |event: MouseEvent| ask.emit(Command::Seek(under(event.offset_x()))))
    };
    html! {
        <li ref={place} class={classes!("metric", value.unwrap_or(0).eq(&0).then_some("zero"))}>
            <button class="name" title={about.meaning} onclick={explain}>{ breakable(about.name) }<small>{ about.of }</small></button>
            <p class="says">
                <b>{ value.map_or("–".to_string(), |value| about.say(value)) }</b>
                if chart.lines.len() > 1 {
                    { parts(chart, props.at) }
                } else {
                    <span class="unit">{ if value.is_some() { about.unit } else { "nobody reports" } }</span>
                }
            </p>
            <div class="plot" role="img" aria-label={summary(chart)} onpointermove={moved} onpointerleave={left} onclick={clicked}>
                { Html::from_html_unchecked(picture) }
                <span class="over"><i class="unlived" /><i class="hand" /><i class="hand pointing" /></span>
            </div>
        </li>
    }
}

/// What each line stands for, with its value.
fn parts(chart: &Chart, at: Option<Instant>) -> Html {
    let one = |(index, line): (usize, &Line)| {
        let now = || chart.by.iter().find(|(name, _)| *name == line.name).map(|(_, value)| *value);
        let value = at.map_or_else(now, |at| line.at(at));
        let said = value.map_or("–".to_string(), |value| chart.about.say(value));
        html! {
            <span class={format!("part line-{index}")} title={line.name.clone()}>
                <svg viewBox="0 0 14 4" aria-hidden="true"><path d="M0 2h14" /></svg>{ line.name.trim_start_matches("broker ") }<i>{ said }</i>
            </span>
        }
    };
    html! { <span class="measured">{ for chart.lines.iter().enumerate().map(one) }</span> }
}

/// The picture in words.
fn summary(chart: &Chart) -> String {
    let values = || chart.lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value);
    let course = match (values().min(), values().max()) {
        (Some(least), Some(most)) if least == most => "the same all the time".to_string(),
        (Some(least), Some(most)) => format!("between {} and {} so far", chart.about.say(least), chart.about.say(most)),
        _ => "never reported".to_string(),
    };
    format!("{} over time: now {}, {course}", chart.about.title(), chart.says())
}

/// A name may be broken before each of its words.
fn breakable(name: &'static str) -> Html {
    let starts = name.char_indices().filter(|(at, letter)| *at > 0 && letter.is_ascii_uppercase()).map(|(at, _)| at);
    let starts: Vec<usize> = std::iter::once(0).chain(starts).chain([name.len()]).collect();
    html! { <>{ for starts.windows(2).map(|word| html! { <>{ &name[word[0]..word[1]] }<wbr /></> }) }</> }
}
