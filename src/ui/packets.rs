//! Every message that is on its way at the viewed instant.

use std::rc::Rc;

use yew::prelude::*;

use crate::time::{Duration, Instant};
use crate::ui::command::{Ask, Command, on};
use crate::ui::flights::{FAMILIES, family_class, family_name};
use crate::ui::part::Part;
use crate::view::flights::{Family, Flight};
use crate::view::inspect::Selection;

#[derive(PartialEq)]
pub struct Packets {
    pub flights: Rc<Vec<Flight>>,
    pub now: Instant,
    pub ask: Ask,
}

impl Part for Packets {
    fn draw(&self) -> Html {
        if self.flights.is_empty() {
            return html! { <p class="hint">{ "Nothing is on its way at this moment. Pause and step, or slow time down: a message takes half a millisecond." }</p> };
        }
        html! {
            <ul class="packets">
                { for self.flights.iter().map(|flight| html! {
                    <li key={flight.id} class={family_class(flight.family)}>
                        <span class={if flight.request { "mark request" } else { "mark response" }} aria-hidden="true" />
                        <button class="what" onclick={on(&self.ask, Command::Select(Selection::Message(flight.id)))}>{ &flight.label }</button>
                        <span class="when">{ arrival(flight, self.now) }</span>
                    </li>
                }) }
            </ul>
        }
    }
}

fn arrival(flight: &Flight, now: Instant) -> String {
    if flight.held {
        "held up by a cut".to_string()
    } else {
        format!("arrives in {}", about(flight.deliver_at.since(now)))
    }
}

/// `300.4 ms`
fn about(time: Duration) -> String {
    match time.0 {
        us if us < 1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        us => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// The families of messages with their colours; each can be muted.
#[derive(PartialEq)]
pub struct Legend {
    pub muted: Rc<Vec<Family>>,
    pub ask: Ask,
}

impl Part for Legend {
    fn draw(&self) -> Html {
        html! {
            <div class="families" role="group" aria-label="Messages shown">
                { for FAMILIES.iter().map(|family| {
                    let shown = !self.muted.contains(family);
                    html! {
                        <button class={classes!("family", family_class(*family), (!shown).then_some("muted"))} aria-pressed={shown.to_string()}
                            title={if shown { "Shown: press to mute" } else { "Muted: press to show" }}
                            onclick={on(&self.ask, Command::Mute(*family))}><span class="mark" aria-hidden="true" />{ family_name(*family) }</button>
                    }
                }) }
            </div>
        }
    }
}
