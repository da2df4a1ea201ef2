//! The two questions that everybody asks, answered live.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::part::{Part, part};
use crate::view::guarantees::{AnomalyRow, Answer, Guarantees as View};

#[derive(PartialEq)]
pub struct Guarantees {
    pub view: Rc<View>,
    pub ask: Ask,
}

impl Part for Guarantees {
    fn draw(&self) -> Html {
        let view = &self.view;
        html! {
            <div class="guarantees">
                <div class="questions">
                    { question("Was anything acknowledged and then lost?", &view.lost) }
                    { question("Did any key’s order break?", &view.order) }
                </div>
                <ul class="lines">{ for view.lines.iter().map(|line| html! { <li>{ numbers(line) }</li> }) }</ul>
                if !view.anomalies.is_empty() {
                    <ul class="anomalies">
                        { for view.anomalies.iter().rev().take(20).map(|anomaly| part(Anomaly { anomaly: anomaly.clone(), ask: self.ask.clone() })) }
                    </ul>
                }
            </div>
        }
    }
}

fn question(question: &str, answer: &Answer) -> Html {
    let (class, sign) = if answer.good { ("good", "✓") } else { ("bad", "!") };
    html! {
        <div class={classes!("question", class)}>
            <h2>{ question.to_string() }</h2>
            <p><span class="sign" aria-hidden="true">{ sign }</span>{ numbers(&answer.text) }</p>
        </div>
    }
}

/// A sentence with its numbers set apart.
fn numbers(text: &str) -> Html {
    let words = text.split_inclusive(' ').map(|word| {
        let number = word.trim_end().chars().all(|c| c.is_ascii_digit()) && !word.trim().is_empty();
        if number {
            html! { <i>{ word.to_string() }</i> }
        } else {
            html! { word.to_string() }
        }
    });
    html! { <>{ for words }</> }
}

/// A broken promise: jump to what broke it, and read what would have kept it.
#[derive(PartialEq)]
struct Anomaly {
    anomaly: AnomalyRow,
    ask: Ask,
}

impl Part for Anomaly {
    fn draw(&self) -> Html {
        let AnomalyRow { word, text, prevented_by, event } = &self.anomaly;
        html! {
            <li>
                <b class="word">{ *word }</b>
                <span>{ text }</span>
                <span class="prevented">{ prevented_by }</span>
                <span class="links">
                    <button class="why" onclick={on(&self.ask, Command::JumpToEvent(*event))}>{ "look at it" }</button>
                    <button class="why" onclick={on(&self.ask, Command::Why(Some(*event)))}>{ "why?" }</button>
                </span>
            </li>
        }
    }
}
