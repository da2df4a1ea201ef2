//! Stream readers: queries that read in micro-batches, without a group.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::cards::Recent;
use crate::ui::command::{Ask, Command, on};
use crate::ui::manage::{ManageButton, Thing};
use crate::ui::part::{Part, list, part};
use crate::view::cards::ConsumerPartition;
use crate::view::inspect::Selection;
use crate::view::streams::StreamCard;

#[derive(PartialEq)]
pub struct Stream {
    pub card: Rc<StreamCard>,
    pub ask: Ask,
}

impl Part for Stream {
    fn draw(&self) -> Html {
        let card = &self.card;
        let name = &card.name;
        let (act, verb) = if card.running { ("kill", "Kill") } else { ("start", "Start") };
        let batch = match (card.planned, card.done) {
            (Some(planned), _) => format!("batch {planned} planned"),
            (None, Some(done)) => format!("batch {done} done"),
            (None, None) => "no batch yet".to_string(),
        };
        html! {
            <section class={classes!("card", "consumer", "stream", (!card.running).then_some("dead"))} aria-label={format!("Stream {name}")}
                data-node={format!("client {name}")}>
                <header>
                    <button class="title" onclick={on(&self.ask, Command::Select(Selection::Stream(name.clone())))}>{ name }</button>
                    <span class={classes!("aside", "activity")}>{ card.activity }</span>
                    <button key={verb} class={classes!("quiet", act)} aria-label={format!("{verb} stream {name}")}
                        onclick={on(&self.ask, Command::Act(format!("{act} stream {name}")))}>{ verb }</button>
                    { part(ManageButton { thing: Thing::Stream(name.clone()), ask: self.ask.clone() }) }
                </header>
                <p class="hint">{ format!("stream · {batch} · {} records given", card.delivered) }</p>
                if let Some(failure) = &card.failure { <p class="bad">{ failure }</p> }
                { list(card.partitions.iter().map(|reading| gauge(reading, ["position", "checkpoint"]))) }
                if card.more > 0 {
                    <p class="hint">{ format!("and {} partitions more · lag {} in all", card.more, card.lag) }</p>
                }
                if !card.recent.is_empty() { { part(Recent { records: card.recent.clone() }) } }
            </section>
        }
    }
}

/// How far a partition is read, where nobody can seek, with the words for its two offsets.
pub fn gauge(reading: &ConsumerPartition, [position_word, committed_word]: [&str; 2]) -> Html {
    let ConsumerPartition { partition, position, committed, restart: _, lag: _, log_start, log_end } = reading;
    let whole = (log_end - log_start).max(1) as f64;
    let share = |offset: Option<i64>| (offset.unwrap_or(0) - log_start).clamp(0, log_end - log_start) as f64 / whole;
    let style = format!("--at:{:.4};--committed:{:.4}", share(position.or(*committed)), share(*committed));
    let said = |offset: &Option<i64>| offset.map_or("–".to_string(), |offset| offset.to_string());
    let behind = committed.map_or(0, |committed| (log_end - committed).max(0));
    html! {
        <div class="reading" key={partition.clone()}>
            <span class="which">{ partition }</span>
            <span class="how-far">
                <span class="bar" aria-hidden="true" {style} />
                <span class={classes!("lag", (behind > 0).then_some("behind"))}>{ "lag " }<i>{ behind }</i></span>
            </span>
            <span class="offsets">
                <span>{ position_word }{ " " }<i>{ said(position) }</i></span>
                <span>{ committed_word }{ " " }<i>{ said(committed) }</i></span>
            </span>
        </div>
    }
}
