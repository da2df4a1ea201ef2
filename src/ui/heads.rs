//! The heads of the brokers' columns: how each is, and what can be done to it. Where there are many
//! brokers a head is narrow: a number, a light, and the one button that matters most.

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::manage::{ManageButton, Thing};
use crate::ui::part::{Part, part};
use crate::view::inspect::Selection;
use crate::view::stage::{BrokerColumn, BrokerState};

#[derive(PartialEq)]
pub struct BrokerHead {
    pub broker: BrokerColumn,
    pub selected: bool,
    pub slim: bool,
    pub ask: Ask,
}

impl Part for BrokerHead {
    fn draw(&self) -> Html {
        let BrokerColumn { id, state, rack, note, powered_off, .. } = &self.broker;
        let name = format!("Broker {id}");
        let class = match state {
            BrokerState::Starting => "starting",
            BrokerState::Alive => "alive",
            BrokerState::Fenced => "fenced",
            BrokerState::Frozen => "frozen",
            BrokerState::ShuttingDown => "stopping",
            BrokerState::Dead => "dead",
        };
        let button = |verb: &str, act: &str, class: &'static str, title: &'static str| {
            html! {
                <button key={verb.to_string()} class={class} aria-label={format!("{verb} broker {id}")} title={title}
                    onclick={on(&self.ask, Command::Act(format!("{act} broker {id}")))}>{ verb.to_string() }</button>
            }
        };
        if self.slim {
            return slim(self, class);
        }
        let kill = || button("Kill", "kill", "kill", "The process dies; what is in its log stays");
        let power_off = || button("Power off", "power-off", "", "The machine dies; what was not flushed is gone");
        html! {
            <div class="head-cell" role="columnheader" aria-label={name.clone()}>
                <section class={classes!("head", class, self.selected.then_some("selected"))} aria-label={name.clone()}
                    data-node={format!("broker {id}")}>
                    <div class="name">
                        <span class="led" aria-hidden="true" />
                        <button class="title" aria-label={format!("Inspect broker {id}")} onclick={on(&self.ask, Command::Select(Selection::Broker(*id)))}>
                            <span class="word">{ "Broker " }</span>{ id }
                        </button>
                        if let Some(rack) = rack { <span class="rack">{ "rack " }{ rack }</span> }
                        { part(ManageButton { thing: Thing::Broker(*id), ask: self.ask.clone() }) }
                    </div>
                    <div class="note" title={note.clone()}>{ if *powered_off { format!("power off · {note}") } else { note.clone() } }</div>
                    <div class="acts">
                        { match state {
                            BrokerState::Dead => html! { <>
                                { button("Start", "start", "start", "The process starts with the log that it left") }
                                { button("Wipe", "wipe", "", "The disk is lost: it starts with nothing") }
                            </> },
                            BrokerState::Frozen => html! { <>{ button("Thaw", "thaw", "start", "It runs on as if nothing had been") }{ kill() }{ power_off() }</> },
                            BrokerState::ShuttingDown => html! { <>{ kill() }{ power_off() }</> },
                            _ => html! { <>
                                { kill() }
                                { button("Stop", "stop", "", "A controlled shutdown: it hands over first") }
                                { button("Freeze", "freeze", "", "A long pause: it lives, but nothing runs") }
                                { power_off() }
                            </> },
                        } }
                    </div>
                </section>
            </div>
        }
    }
}

fn slim(props: &BrokerHead, class: &'static str) -> Html {
    let BrokerColumn { id, state, note, .. } = &props.broker;
    let (verb, act, sign, look) = match state {
        BrokerState::Dead => ("Start", "start", "▸", "start"),
        BrokerState::Frozen => ("Thaw", "thaw", "❄", "start"),
        _ => ("Kill", "kill", "×", "kill"),
    };
    let name = format!("Broker {id}");
    html! {
        <div class="head-cell" role="columnheader" aria-label={name.clone()}>
            <section class={classes!("head", "narrow", class, props.selected.then_some("selected"))} aria-label={name.clone()}
                data-node={format!("broker {id}")} title={format!("{name}: {note}")}>
                <button class="title" aria-label={format!("Inspect broker {id}")}
                    onclick={on(&props.ask, Command::Select(Selection::Broker(*id)))}><span class="led" aria-hidden="true" />{ id }</button>
                <button key={verb} class={classes!("mini", look)} aria-label={format!("{verb} broker {id}")} title={format!("{verb} broker {id}")}
                    onclick={on(&props.ask, Command::Act(format!("{act} broker {id}")))}>{ sign }</button>
            </section>
        </div>
    }
}
