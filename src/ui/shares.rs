//! Consumers of share groups: many of them read one partition together.

use yew::prelude::*;

use crate::ui::cards::Recent;
use crate::ui::command::{Ask, Command, on};
use crate::ui::manage::{ManageButton, Thing};
use crate::ui::part::{Part, list, part};
use crate::ui::streams::gauge;
use crate::view::cards::ConsumerCard;
use crate::view::inspect::Selection;

#[derive(PartialEq)]
pub struct ShareConsumer {
    pub card: ConsumerCard,
    pub ask: Ask,
}

impl Part for ShareConsumer {
    fn draw(&self) -> Html {
        let card = &self.card;
        let name = &card.name;
        let (act, verb) = if card.running { ("kill", "Kill") } else { ("start", "Start") };
        html! {
            <section class={classes!("card", "consumer", (!card.running).then_some("dead"))} aria-label={format!("Share consumer {name}")}
                data-node={format!("client {name}")}>
                <header>
                    <button class="title" onclick={on(&self.ask, Command::Select(Selection::Consumer(name.clone())))}>{ name }</button>
                    <span class={classes!("aside", "activity")}>{ &card.activity }</span>
                    <button key={verb} class={classes!("quiet", act)} aria-label={format!("{verb} share-consumer {name}")}
                        onclick={on(&self.ask, Command::Act(format!("{act} share-consumer {name}")))}>{ verb }</button>
                    { part(ManageButton { thing: Thing::Consumer(name.clone()), ask: self.ask.clone() }) }
                </header>
                if card.partitions.is_empty() {
                    <p class="hint">{ if card.running { "no partition assigned" } else { "what it held comes back when its locks end" } }</p>
                }
                { list(card.partitions.iter().map(|reading| gauge(reading, ["in flight before", "start offset"]))) }
                if card.more > 0 { <p class="hint">{ format!("and {} partitions more", card.more) }</p> }
                if !card.recent.is_empty() { { part(Recent { records: card.recent.clone() }) } }
            </section>
        }
    }
}
