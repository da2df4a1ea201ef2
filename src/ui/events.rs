//! What happened, the youngest first, and the chain of causes behind one event.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::view::events::EventRow;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub rows: Rc<Vec<EventRow>>,
    /// The event whose causes are shown, and they.
    pub causes: Option<Rc<Vec<EventRow>>>,
    pub only_what_matters: bool,
    pub ask: Ask,
}

#[component]
pub fn Events(props: &Props) -> Html {
    let ask = &props.ask;
    if let Some(causes) = &props.causes {
        return html! {
            <div class="events">
                <div class="bar">
                    <button onclick={on(ask, Command::Why(None))}>{ "← All events" }</button>
                    <span class="hint">{ "Why? Each line is the reason for the one above it." }</span>
                </div>
                <ol class="chain">
                    { for causes.iter().map(|row| html! { <Line key={row.id} row={row.clone()} chain={true} ask={ask.clone()} /> }) }
                </ol>
            </div>
        };
    }
    let toggle = on(ask, Command::OnlyWhatMatters(!props.only_what_matters));
    html! {
        <div class="events">
            <div class="bar">
                <span class="label">{ "What happened" }</span>
                <label class="check"><input type="checkbox" checked={props.only_what_matters} onchange={toggle} />{ "only what matters" }</label>
            </div>
            if props.rows.is_empty() { <p class="hint">{ "Nothing that matters yet. Kill a broker." }</p> }
            <ol>
                { for props.rows.iter().map(|row| html! { <Line key={row.id} row={row.clone()} chain={false} ask={ask.clone()} /> }) }
            </ol>
        </div>
    }
}

#[derive(Properties, PartialEq)]
struct LineProps {
    row: EventRow,
    chain: bool,
    ask: Ask,
}

#[component]
fn Line(props: &LineProps) -> Html {
    let EventRow { id, at, kind, text, cause, matters } = &props.row;
    let weight = match *kind {
        "leader-elected" | "isr-changed" | "truncated" | "send-failed" => "hot",
        _ if *matters => "plain",
        _ => "routine",
    };
    html! {
        <li class={weight}>
            <button class="at" title="Look at this moment" onclick={on(&props.ask, Command::JumpToEvent(*id))}>{ at.to_string() }</button>
            <span class="text">{ text }</span>
            if cause.is_some() && !props.chain {
                <button class="why" aria-label={format!("Why? {text}")} onclick={on(&props.ask, Command::Why(Some(*id)))}>{ "why?" }</button>
            }
        </li>
    }
}
