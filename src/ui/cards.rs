//! The clients: producers on the left, groups with their consumers on the right.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::ui::command::{Ask, Command, on};
use crate::ui::manage::{ManageButton, Thing};
use crate::ui::part::{Part, keyed, list, part};
use crate::ui::shares::ShareConsumer;
use crate::view::cards::{ConsumerCard, ConsumerPartition, DeliveredRecord, GroupCard, ProducerCard};
use crate::view::forms;
use crate::view::inspect::Selection;
use crate::view::partitions::{key_hue, mark, partition_of};
use crate::view::stage::TopicView;

#[derive(Properties, PartialEq)]
pub struct ProducerProps {
    pub card: Rc<ProducerCard>,
    pub topics: Rc<[TopicView]>,
    pub ask: Ask,
}

#[component]
pub fn Producer(props: &ProducerProps) -> Html {
    let card = &props.card;
    let topic = use_state(|| None::<String>);
    let key = use_state(|| "alice".to_string());
    let value = use_state(|| "created".to_string());
    let partition = use_state(|| None::<i32>);
    let chosen = topic.as_ref().and_then(|name| props.topics.iter().find(|topic| topic.name == *name));
    let chosen = chosen.or(props.topics.first());
    let count = chosen.map_or(0, |topic| topic.partitions);
    let topic_name = chosen.map(|topic| topic.name.clone()).unwrap_or_default();
    {
        // What the form shows stays chosen when another topic comes before it.
        let topic = topic.clone();
        use_effect_with(topic_name.clone(), move |shown| {
            topic.set(Some(shown.clone()).filter(|name| !name.is_empty()))
        });
    }
    let fixed = partition.filter(|partition| *partition < count);
    let send = {
        let line = send_line(&card.name, &topic_name, &key, &value, fixed);
        let (ask, able) = (props.ask.clone(), card.running && count > 0);
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if able {
                ask.emit(Command::Act(line.clone()));
            }
        })
    };
    let title = on(&props.ask, Command::Select(Selection::Producer(card.name.clone())));
    html! {
        <section class={classes!("card", "producer", (!card.running).then_some("dead"))} aria-label={format!("Producer {}", card.name)}
            data-node={format!("client {}", card.name)}>
            <header>
                <button class="title" onclick={title}>{ &card.name }</button>
                <span class="aside">{ &card.summary }</span>
                { part(ManageButton { thing: Thing::Producer(card.name.clone()), ask: props.ask.clone() }) }
            </header>
            <form onsubmit={send}>
                <label><span>{ "Topic" }</span>
                    <select aria-label="Topic" onchange={chosen_text(&topic)}>
                        { for props.topics.iter().map(|topic| html! {
                            <option value={topic.name.clone()} selected={topic.name == topic_name}>{ &topic.name }</option>
                        }) }
                    </select>
                </label>
                <label><span>{ "Key" }</span>
                    <input type="text" aria-label="Key" value={(*key).clone()} oninput={typed(&key)} onchange={typed(&key)} maxlength="200" spellcheck="false" autocomplete="off" placeholder="no key" />
                </label>
                <label><span>{ "Value" }</span>
                    <input type="text" aria-label="Value" value={(*value).clone()} oninput={typed(&value)} onchange={typed(&value)} maxlength="2000" spellcheck="false" autocomplete="off" placeholder="empty" />
                </label>
                <label><span>{ "Partition" }</span>
                    <select aria-label="Partition" onchange={chosen_number(&partition)}>
                        { part(PartitionChoices { count, fixed }) }
                    </select>
                </label>
                <div class="row">
                    <button type="submit" class="primary" disabled={!card.running || count == 0}>{ "Send" }</button>
                </div>
                <div class="row">
                    { part(Route { topic: topic_name.clone(), key_text: (*key).clone(), partitions: count, fixed }) }
                </div>
            </form>
            { part(Transaction { card: card.clone(), ask: props.ask.clone() }) }
            { part(Progress { card: card.clone() }) }
        </section>
    }
}

/// How the producer's transaction stands, and what can be done about it.
#[derive(PartialEq)]
struct Transaction {
    card: Rc<ProducerCard>,
    ask: Ask,
}

impl Part for Transaction {
    fn draw(&self) -> Html {
        let Some(transaction) = &self.card.transaction else { return html! {} };
        let state = transaction.state.unwrap_or("not running");
        let bad = transaction.error.is_some();
        html! {
            <div class="transaction">
                <span class={classes!("state", bad.then_some("bad"))} title={format!("transactional.id {}", transaction.id)}>
                    { state }{ transaction.error.as_ref().map(|error| format!(": {error}")) }
                </span>
                { list(forms::transaction(&self.card).into_iter().map(|form| html! {
                    <button key={form.button.clone()} title={form.effect} onclick={on(&self.ask, Command::Act(form.before))}>{ form.button }</button>
                })) }
            </div>
        }
    }
}

/// Drawn anew only when they change: there may be a thousand.
#[derive(PartialEq)]
struct PartitionChoices {
    count: i32,
    fixed: Option<i32>,
}

impl Part for PartitionChoices {
    fn draw(&self) -> Html {
        html! {
            <>
                <option value="" selected={self.fixed.is_none()}>{ "auto" }</option>
                { for (0..self.count).map(|number| html! {
                    <option value={number.to_string()} selected={self.fixed == Some(number)}>{ number }</option>
                }) }
            </>
        }
    }
}

/// Where the record will go, by the real partitioner.
#[derive(PartialEq)]
struct Route {
    topic: String,
    key_text: String,
    partitions: i32,
    fixed: Option<i32>,
}

impl Part for Route {
    fn draw(&self) -> Html {
        let Self { topic, key_text, partitions, fixed } = self;
        let swatch =
            |key: &str| html! { <span class="key" style={format!("--h:{}", key_hue(key.as_bytes()))}>{ key }</span> };
        match fixed {
            _ if *partitions == 0 => html! { <p class="route">{ "no topic yet" }</p> },
            Some(partition) => html! { <p class="route">{ "chosen → " }<b>{ format!("{topic}-{partition}") }</b></p> },
            None if key_text.is_empty() => {
                html! { <p class="route">{ "no key → sticky → " }<b>{ format!("{topic}-?") }</b></p> }
            }
            None => {
                let partition = partition_of(key_text.as_bytes(), *partitions);
                html! { <p class="route">{ swatch(key_text) }{ " → murmur2 → " }<b>{ format!("{topic}-{partition}") }</b></p> }
            }
        }
    }
}

/// What became of what was sent.
#[derive(PartialEq)]
struct Progress {
    card: Rc<ProducerCard>,
}

impl Part for Progress {
    fn draw(&self) -> Html {
        let card = &self.card;
        html! {
            <div class="progress">
                <p class="counts">
                    <span><i>{ card.sent }</i>{ " sent" }</span>
                    <span><i>{ card.acked }</i>{ " acked" }</span>
                    <span><i>{ card.pending }</i>{ " pending" }</span>
                    <span class={(card.failed > 0).then_some("bad")}><i>{ card.failed }</i>{ " failed" }</span>
                </p>
                <ul class="pending" aria-label="In flight">
                    { for card.in_flight.iter().take(3).map(|batch| html! {
                        <li title={format!("{}: {}, {}", batch.partition, batch.records, batch.state)}>
                            <span class="what"><span class="dot" />{ &batch.partition }<small>{ "×" }{ batch.records.split(' ').next() }</small></span>
                            <span class="state">{ batch.state.replace("in flight to ", "→ ") }</span>
                        </li>
                    }) }
                </ul>
                if let Some(error) = &card.last_error { <p class="bad">{ "last failure: " }{ error }</p> }
            </div>
        }
    }
}

/// For input and for change: what clears a field without typing (assistive tools, drivers) only tells the latter.
fn typed<E: AsRef<web_sys::Event> + Clone + 'static>(state: &UseStateHandle<String>) -> Callback<E> {
    let state = state.clone();
    Callback::from(move |event: E| {
        let field = event.as_ref().target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        state.set(field.map(|field| field.value()).unwrap_or_default());
    })
}

fn chosen_text(state: &UseStateHandle<Option<String>>) -> Callback<Event> {
    let state = state.clone();
    Callback::from(move |event: Event| state.set(Some(event.target_unchecked_into::<HtmlSelectElement>().value())))
}

fn chosen_number(state: &UseStateHandle<Option<i32>>) -> Callback<Event> {
    let state = state.clone();
    Callback::from(move |event: Event| {
        state.set(event.target_unchecked_into::<HtmlSelectElement>().value().parse().ok())
    })
}

/// `send app orders alice=created partition=0`
fn send_line(producer: &str, topic: &str, key: &str, value: &str, partition: Option<i32>) -> String {
    let quoted = |text: &str| quote(text, &['=']);
    let key = if key.is_empty() { String::new() } else { quoted(key) };
    let partition = partition.map_or(String::new(), |partition| format!(" partition={partition}"));
    format!("send {producer} {topic} {key}={}{partition}", quoted(value))
}

#[derive(PartialEq)]
pub struct Group {
    pub card: Rc<GroupCard>,
    pub ask: Ask,
}

impl Part for Group {
    fn draw(&self) -> Html {
        let card = &self.card;
        let class = match card.state.as_str() {
            "Stable" => "good",
            "Empty" | "Dead" => "calm",
            _ => "busy",
        };
        html! {
            <section class="group" aria-label={format!("Group {}", card.id)}>
                <header>
                    <button class="title" onclick={on(&self.ask, Command::Select(Selection::Group(card.id.clone())))}>{ &card.id }</button>
                    <span class="aside">{ if card.assignor.is_empty() { card.protocol.clone() } else { format!("{} · {}", card.protocol, card.assignor) } }</span>
                    <span class={classes!("state", class)}>
                        { state_in_words(&card.state) }
                        if card.generation > 0 {
                            { format!(" · {} {}", round_word(&card.protocol), card.generation) }
                        }
                    </span>
                    { part(ManageButton { thing: Thing::Group(card.id.clone()), ask: self.ask.clone() }) }
                </header>
                if let Some(coordinator) = card.coordinator {
                    <p class="coordinator">{ "coordinator: broker " }{ coordinator }</p>
                }
                { list(card.consumers.iter().map(|consumer| {
                    let (name, card, ask) = (consumer.name.clone(), consumer.clone(), self.ask.clone());
                    match card.kind {
                        "share-consumer" => keyed(name, ShareConsumer { card, ask }),
                        _ => keyed(name, Consumer { card, protocol: self.card.protocol.clone(), ask }),
                    }
                })) }
                if !card.unowned.is_empty() {
                    <p class="unowned">{ "committed, not assigned: " }{ card.unowned.iter().map(|(partition, offset)| format!("{partition} @ {offset}")).collect::<Vec<_>>().join(", ") }
                        if card.more_unowned > 0 { { format!(" and {} more", card.more_unowned) } }</p>
                }
            </section>
        }
    }
}

/// Kafka's name of a group's state, with a space where a line may break.
fn state_in_words(state: &str) -> String {
    match state {
        "PreparingRebalance" => "Preparing rebalance".to_string(),
        "CompletingRebalance" => "Completing rebalance".to_string(),
        other => other.to_string(),
    }
}

fn round_word(protocol: &str) -> &'static str {
    if protocol == "classic" { "gen" } else { "epoch" }
}

#[derive(PartialEq)]
struct Consumer {
    card: ConsumerCard,
    /// That of its group.
    protocol: String,
    ask: Ask,
}

impl Part for Consumer {
    fn draw(&self) -> Html {
        let card = &self.card;
        let name = &card.name;
        let (act, verb) = if card.running { ("kill", "Kill") } else { ("start", "Start") };
        let select = on(&self.ask, Command::Select(Selection::Consumer(name.clone())));
        html! {
            <section class={classes!("card", "consumer", (!card.running).then_some("dead"))} aria-label={format!("Consumer {name}")}
                data-node={format!("client {name}")}>
                <header>
                    <button class="title" onclick={select}>{ name }</button>
                    <span class={classes!("aside", "activity")}>{ &card.activity }
                        if let Some(own) = card.other_generation {
                            <b class="behind" title="Its group is in another one.">{ format!(" · {} {own}", round_word(&self.protocol)) }</b>
                        }
                    </span>
                    <button key={verb} class={classes!("quiet", act)} aria-label={format!("{verb} consumer {name}")}
                        onclick={on(&self.ask, Command::Act(format!("{act} consumer {name}")))}>{ verb }</button>
                    { part(ManageButton { thing: Thing::Consumer(name.clone()), ask: self.ask.clone() }) }
                </header>
                if card.partitions.is_empty() {
                    <p class="hint">{ if card.running { "no partition assigned" } else { "its partitions go to the others" } }</p>
                }
                { list(card.partitions.iter().map(|reading| html! {
                    <Reading key={reading.partition.clone()} consumer={name.clone()} reading={reading.clone()} ask={self.ask.clone()} />
                })) }
                if card.more > 0 {
                    <p class="hint">{ format!("and {} partitions more · lag {} in all", card.more, card.lag) }</p>
                }
                if !card.recent.is_empty() {
                    { part(Recent { records: card.recent.clone() }) }
                }
            </section>
        }
    }
}

#[derive(Properties, PartialEq)]
struct ReadingProps {
    consumer: String,
    reading: ConsumerPartition,
    ask: Ask,
}

/// How far a consumer has read a partition. Moving the slider is the seek.
#[component]
fn Reading(props: &ReadingProps) -> Html {
    let ConsumerPartition { partition, position, committed, restart, lag, log_start, log_end } = &props.reading;
    // While a hand is on the slider, what is read must not pull it away.
    let held = use_state(|| None::<i64>);
    let slider = use_node_ref();
    let shown = held.or(*position).unwrap_or(*log_start);
    let seek = {
        let (ask, held) = (props.ask.clone(), held.clone());
        let (consumer, partition) = (props.consumer.clone(), partition.clone());
        Callback::from(move |event: Event| {
            let offset = event.target_unchecked_into::<HtmlInputElement>().value();
            held.set(None);
            ask.emit(Command::Act(format!("seek {consumer} {partition} {offset}")));
        })
    };
    let hold = {
        let held = held.clone();
        Callback::from(move |event: InputEvent| {
            held.set(event.target_unchecked_into::<HtmlInputElement>().value().parse().ok())
        })
    };
    let whole = (log_end - log_start).max(1) as f64;
    let share = |offset: i64| (offset - log_start).clamp(0, log_end - log_start) as f64 / whole;
    let style = format!("--at:{:.4};--committed:{:.4}", share(shown), share(restart.unwrap_or(shown)));
    {
        // The value is a property, which a changed attribute does not move once a hand has.
        let slider = slider.clone();
        use_effect_with((shown, *log_start, *log_end), move |(shown, _, _)| {
            if let Some(slider) = slider.cast::<HtmlInputElement>() {
                slider.set_value(&shown.to_string());
            }
        });
    }
    let behind = lag.unwrap_or(0);
    html! {
        <div class="reading">
            <span class="which">{ partition }</span>
            <span class="how-far">
                <input ref={slider} type="range" aria-label={format!("Position of {} in {partition}", props.consumer)} {style}
                    min={log_start.to_string()} max={log_end.to_string()} step="1" oninput={hold} onchange={seek} />
                <span class={classes!("lag", (behind > 0).then_some("behind"))}>{ "lag " }<i>{ behind }</i></span>
            </span>
            <span class="offsets">
                <span>{ "position " }<i>{ position.map_or("–".to_string(), |position| position.to_string()) }</i></span>
                <span>{ "committed " }<i>{ committed.map_or("–".to_string(), |offset| offset.to_string()) }</i></span>
            </span>
        </div>
    }
}

/// The newest records that the application got; replays are told from first deliveries.
#[derive(PartialEq)]
pub struct Recent {
    pub records: Vec<DeliveredRecord>,
}

impl Part for Recent {
    fn draw(&self) -> Html {
        html! {
            <ul class="recent" aria-label="Recent deliveries">
                { for self.records.iter().map(|record| {
                    let key = record.key.clone().unwrap_or_default();
                    let again = if record.again { " (again)" } else { "" };
                    let title = format!("{}={} · {} @ {}{again}", key, record.value.as_deref().unwrap_or("null"), record.partition, record.offset);
                    html! {
                        <li class={classes!("sample", record.again.then_some("again"), record.hue.is_none().then_some("plain"))}
                            style={record.hue.map(|hue| format!("--h:{hue}"))} title={title.clone()} aria-label={title}>
                            { mark(record.key.as_deref()) }if record.again { <sup aria-hidden="true">{ "↻" }</sup> }
                        </li>
                    }
                }) }
            </ul>
        }
    }
}
