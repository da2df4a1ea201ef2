//! The futures that were left when somebody acted in the past, as a tree: kept, named, compared,
//! taken up again.

use std::rc::Rc;

use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::time::Instant;
use crate::ui::command::{Ask, Command, on};
use crate::ui::part::{Part, keyed, list, part};
use crate::ui::session::Comparison;
use crate::view::futures::{Drawn, Future};

#[derive(PartialEq)]
pub struct Branches {
    pub futures: Rc<Vec<Drawn>>,
    /// What the future that is looked at is called.
    pub name: AttrValue,
    pub end: Instant,
    pub comparison: Option<Rc<Comparison>>,
    pub ask: Ask,
}

impl Part for Branches {
    fn draw(&self) -> Html {
        let ask = &self.ask;
        if self.futures.is_empty() {
            return html! { <p class="hint">{ "One future so far. Drag the time back and do something else: the future that you leave is kept here." }</p> };
        }
        let compared = self.comparison.as_ref().map(|comparison| comparison.id);
        html! {
            <div class="branches">
                <div class="tree" style={format!("--lines:{}", self.futures.len() + 1)}>
                    { part(Tree { futures: self.futures.clone(), end: self.end, compared }) }
                    <ul>
                        <li class="this" aria-current="true">
                            <input type="text" aria-label="Name of this future" value={self.name.clone()} maxlength="60" onchange={rename(ask, None)} />
                            <span class="when">{ format!("to {}", self.end) }</span>
                        </li>
                        { list(self.futures.iter().map(|drawn| {
                            keyed(drawn.future.id, Line { future: drawn.future.clone(), compared: compared == Some(drawn.future.id), ask: ask.clone() })
                        })) }
                    </ul>
                </div>
                if let Some(comparison) = &self.comparison { { part(Compared { name: self.name.clone(), comparison: comparison.clone(), ask: ask.clone() }) } }
            </div>
        }
    }
}

/// Time from left to right; each future begins on the line of the one that it parts from.
#[derive(PartialEq)]
struct Tree {
    futures: Rc<Vec<Drawn>>,
    end: Instant,
    compared: Option<u64>,
}

impl Part for Tree {
    fn draw(&self) -> Html {
        let ends = self.futures.iter().map(|drawn| drawn.future.end);
        let longest = ends.max().unwrap_or(self.end).max(self.end).0.max(1) as f64;
        let x = |at: Instant| 2.0 + 96.0 * at.0.max(0) as f64 / longest;
        let y = |line: usize| line as f64 + 0.5;
        let lines = self.futures.len() + 1;
        html! {
            <svg viewBox={format!("0 0 100 {lines}")} preserveAspectRatio="none" aria-hidden="true">
                <path class="this" d={format!("M2 {}H{:.2}", y(0), x(self.end))} />
                { for self.futures.iter().enumerate().map(|(index, drawn)| {
                    let Future { id, left_at, end, .. } = &drawn.future;
                    let (from, to) = (y(drawn.from), y(index + 1));
                    let (begin, corner) = (x(*left_at), (x(*left_at) + 1.6).min(x(*end)));
                    let path = format!("M{begin:.2} {from}V{:.2}Q{begin:.2} {to} {corner:.2} {to}H{:.2}", to - 0.3, x(*end));
                    html! { <path key={*id} class={(self.compared == Some(*id)).then_some("compared")} d={path} /> }
                }) }
            </svg>
        }
    }
}

#[derive(PartialEq)]
struct Line {
    future: Future,
    compared: bool,
    ask: Ask,
}

impl Part for Line {
    fn draw(&self) -> Html {
        let (Future { id, name, left_at, end, .. }, ask) = (&self.future, &self.ask);
        html! {
            <li class={self.compared.then_some("compared")}>
                <input type="text" aria-label={format!("Name of {name}")} value={name.clone()} maxlength="60" onchange={rename(ask, Some(*id))} />
                <span class="when" title="When it was left, and how far it went">{ format!("{left_at} → {end}") }</span>
                <span class="acts">
                    <button aria-label={format!("Compare with {name}")} onclick={on(ask, Command::Compare(Some(*id)))}>{ "Compare" }</button>
                    <button aria-label={format!("Go to {name}")} onclick={on(ask, Command::GoTo(*id))}>{ "Go there" }</button>
                    <button aria-label={format!("Delete {name}")} onclick={on(ask, Command::Forget(*id))}>{ "Delete" }</button>
                </span>
            </li>
        }
    }
}

fn rename(ask: &Ask, id: Option<u64>) -> Callback<Event> {
    let ask = ask.clone();
    Callback::from(move |event: Event| {
        ask.emit(Command::Rename(id, event.target_unchecked_into::<HtmlInputElement>().value()))
    })
}

/// In what two futures differ at the last instant that both have reached.
#[derive(PartialEq)]
struct Compared {
    name: AttrValue,
    comparison: Rc<Comparison>,
    ask: Ask,
}

impl Part for Compared {
    fn draw(&self) -> Html {
        let Comparison { with, at, differences, .. } = &*self.comparison;
        let close = html! { <button onclick={on(&self.ask, Command::Compare(None))}>{ "End the comparison" }</button> };
        if differences.is_empty() {
            return html! { <p role="note">{ format!("As far as both go, to {at}, this future and {with} have come to the same. ") }{ close }</p> };
        }
        let differs = |what: &str| differences.iter().find(|difference| difference.what.ends_with(what));
        let lost = match differs("acknowledged and lost") {
            Some(lost) => format!("Acknowledged and lost: {} here, {} in {with}.", lost.here, lost.there),
            None => "As to lost records both have come to the same.".to_string(),
        };
        let places = differences.iter().filter(|difference| difference.place().is_some()).count();
        let marked = if places > 0 { " What differs on the stage is marked there with ≠." } else { "" };
        html! {
            <>
                <p class="words" role="note">{ format!("At {at}: {lost}{marked} ") }{ close }</p>
                <table class="partition-state" aria-label="Differences">
                    <thead><tr><th scope="col">{ format!("At {at}") }</th><th scope="col">{ &self.name }</th><th scope="col">{ with }</th></tr></thead>
                    <tbody>{ for differences.iter().map(|difference| html! {
                        <tr><th scope="row">{ &difference.what }</th><td>{ &difference.here }</td><td>{ &difference.there }</td></tr>
                    }) }</tbody>
                </table>
            </>
        }
    }
}
