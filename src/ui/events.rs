//! What happened, the youngest first, and the chain of causes behind one event.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::part::{Part, keyed};
use crate::view::events::EventRow;

#[derive(PartialEq)]
pub struct Events {
    pub rows: Rc<Vec<EventRow>>,
    /// The event whose causes are shown, and they.
    pub causes: Option<Rc<Vec<EventRow>>>,
    pub only_what_matters: bool,
    pub ask: Ask,
}

impl Part for Events {
    fn draw(&self) -> Html {
        let ask = &self.ask;
        if let Some(causes) = &self.causes {
            return html! {
                <div class="events">
                    <div class="bar">
                        <button onclick={on(ask, Command::Why(None))}>{ "← All events" }</button>
                        <span class="hint">{ "Why? Each line is the reason for the one above it." }</span>
                    </div>
                    <ol class="chain">
                        { for causes.iter().map(|row| keyed(row.id, Line { row: row.clone(), chain: true, ask: ask.clone() })) }
                    </ol>
                </div>
            };
        }
        let toggle = on(ask, Command::OnlyWhatMatters(!self.only_what_matters));
        html! {
            <div class="events">
                <div class="bar">
                    <span class="label">{ "What happened" }</span>
                    <label class="check"><input type="checkbox" checked={self.only_what_matters} onchange={toggle} />{ "only what matters" }</label>
                </div>
                if self.rows.is_empty() { <p class="hint">{ "Nothing that matters yet. Kill a broker." }</p> }
                <ol>
                    { for self.rows.iter().map(|row| keyed(row.id, Line { row: row.clone(), chain: false, ask: ask.clone() })) }
                </ol>
            </div>
        }
    }
}

#[derive(PartialEq)]
struct Line {
    row: EventRow,
    chain: bool,
    ask: Ask,
}

impl Part for Line {
    fn draw(&self) -> Html {
        let EventRow { id, at, kind, text, cause, matters } = &self.row;
        let weight = match *kind {
            "leader-elected" | "isr-changed" | "truncated" | "send-failed" => "hot",
            _ if *matters => "plain",
            _ => "routine",
        };
        html! {
            <li class={weight}>
                <button class="at" title="Look at this moment" onclick={on(&self.ask, Command::JumpToEvent(*id))}>{ at.to_string() }</button>
                <span class="text">{ text }</span>
                if cause.is_some() && !self.chain {
                    <button class="why" aria-label={format!("Why? {text}")} onclick={on(&self.ask, Command::Why(Some(*id)))}>{ "why?" }</button>
                }
            </li>
        }
    }
}
