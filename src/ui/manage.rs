//! What can be changed of something that is there: its settings, its size, whether it stays. Every
//! button becomes a line of the script.

use std::rc::Rc;

use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::ui::add::Refused;
use crate::ui::command::{Ask, Command, on};
use crate::ui::dialog::Dialog;
use crate::ui::form::{Settings, Typed, options, sets, submits};
use crate::ui::line_form::{act, form};
use crate::ui::part::{Part, part};
use crate::view::cards::ConsumerCard;
use crate::view::forms;
use crate::view::inspect::Selection;
use crate::view::settings::{self, Of};
use crate::view::stage::{BrokerState, ControllerChip, ControllerState, Stage};

/// Something that can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    Topic(String),
    Partition(String),
    Broker(i32),
    Controllers,
    Producer(String),
    Consumer(String),
    Stream(String),
    Group(String),
}

impl Thing {
    /// `topic orders`, `broker 1`
    pub fn name(&self) -> String {
        match self {
            Thing::Topic(name) => format!("topic {name}"),
            Thing::Partition(name) => format!("partition {name}"),
            Thing::Broker(id) => format!("broker {id}"),
            Thing::Controllers => "controllers".to_string(),
            Thing::Producer(name) => format!("producer {name}"),
            Thing::Consumer(name) => format!("consumer {name}"),
            Thing::Stream(name) => format!("stream {name}"),
            Thing::Group(name) => format!("group {name}"),
        }
    }

    /// What belongs to a selection.
    pub fn of(selection: &Selection) -> Option<Thing> {
        match selection {
            Selection::Broker(id) => Some(Thing::Broker(*id)),
            Selection::Controller(_) => Some(Thing::Controllers),
            Selection::Partition(partition)
            | Selection::Replica { partition, .. }
            | Selection::Record { partition, .. } => Some(Thing::Partition(partition.clone())),
            Selection::Producer(name) => Some(Thing::Producer(name.clone())),
            Selection::Consumer(name) => Some(Thing::Consumer(name.clone())),
            Selection::Stream(name) => Some(Thing::Stream(name.clone())),
            Selection::Group(name) => Some(Thing::Group(name.clone())),
            _ => None,
        }
    }
}

impl Part for ManageButton {
    fn draw(&self) -> Html {
        let name = format!("Manage {}", self.thing.name());
        html! {
            <button class="mini more" aria-label={name.clone()} title={name}
                onclick={on(&self.ask, Command::Manage(self.thing.clone()))}>{ "⋯" }</button>
        }
    }
}

/// The button that opens it: three dots, and its whole name for whoever does not look.
#[derive(PartialEq)]
pub struct ManageButton {
    pub thing: Thing,
    pub ask: Ask,
}

#[derive(PartialEq)]
pub struct ManageDialog {
    pub thing: Thing,
    pub stage: Rc<Stage>,
    /// The settings that have been set on it, by name.
    pub now: Vec<(String, String)>,
    pub problems: Vec<String>,
    pub ask: Ask,
}

impl Part for ManageDialog {
    fn draw(&self) -> Html {
        let name = self.thing.name();
        let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let content = match &self.thing {
            Thing::Topic(name) => topic(self, name),
            Thing::Partition(name) => partition(self, name),
            Thing::Broker(id) => broker(self, *id),
            Thing::Controllers => controllers(self),
            Thing::Producer(name) => producer(self, name),
            Thing::Consumer(name) => consumer(self, name),
            Thing::Stream(name) => stream(self, name),
            Thing::Group(name) => group(self, name),
        };
        html! {
            <Dialog name={title.clone()} ask={self.ask.clone()}>
                <h2>{ title }</h2>
                { part(Refused { problems: self.problems.clone() }) }
                { content }
            </Dialog>
        }
    }
}

fn topic(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let view = props.stage.topics.iter().find(|topic| topic.name == name);
    let (partitions, replication) = view.map_or((0, 0), |topic| (topic.partitions, topic.replication));
    let delete = act(
        ask,
        "kill",
        &format!("Delete topic {name}"),
        format!("delete topic {}", quote(name, &['='])),
        "Its records are gone for good.",
    );
    html! {
        <>
            <p>{ format!("{partitions} partitions, each on {replication} brokers.") }</p>
            if let Some(view) = view { { form(forms::add_partitions(view), "", ask) } }
            { choose_partition(props, name) }
            <h3>{ "Settings" }</h3>
            <Alter before={format!("alter topic {}", quote(name, &['=']))} of={Of::Topic} now={props.now.clone()} ask={ask.clone()} />
            <h3>{ "Removal" }</h3>
            { delete }
        </>
    }
}

/// The partitions of a topic, each with what can be changed of it; of many the first.
fn choose_partition(props: &ManageDialog, topic: &str) -> Html {
    const FEW: usize = 24;
    let rows: Vec<_> = props.stage.rows.iter().filter(|row| row.topic == topic).collect();
    let button = |name: &String| {
        html! {
            <button onclick={on(&props.ask, Command::Manage(Thing::Partition(name.clone())))}>{ name }</button>
        }
    };
    html! {
        <>
            <h3>{ "Its partitions" }</h3>
            <p>{ "Elect a leader, move replicas, delete records:" }</p>
            <div class="choose">{ for rows.iter().take(FEW).map(|row| button(&row.name)) }</div>
            if rows.len() > FEW { <p>{ "For the others: select one on the stage, then Manage in the inspector." }</p> }
        </>
    }
}

fn partition(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let Some(row) = props.stage.rows.iter().find(|row| row.name == name) else {
        return html! { <p>{ "It is not there at this moment." }</p> };
    };
    let leader = row.leader.map_or("nobody".to_string(), |leader| format!("broker {leader}"));
    let [reassign, cancel] = forms::reassign(row);
    html! {
        <>
            <p>{ format!("Led by {leader} in epoch {}; in sync: {} of {}. Its records: {} to {}.", row.leader_epoch,
                forms::ids(&row.isr), forms::ids(&row.replicas), row.log_start, row.log_end) }
                { " " }<button onclick={on(ask, Command::Manage(Thing::Topic(row.topic.clone())))}>{ format!("Topic {}", row.topic) }</button></p>
            <h3>{ "Leader" }</h3>
            { form(forms::elect(row), "", ask) }
            <h3>{ "Replicas" }</h3>
            { form(reassign, "", ask) }
            { form(cancel, "", ask) }
            <h3>{ "Records" }</h3>
            { form(forms::delete_records(row), "kill", ask) }
        </>
    }
}

fn broker(props: &ManageDialog, id: i32) -> Html {
    let ask = &props.ask;
    let view = props.stage.brokers.iter().find(|broker| broker.id == id);
    let state = view.map(|broker| broker.state);
    let unregister = act(
        ask,
        "kill",
        &format!("Unregister broker {id}"),
        format!("unregister broker {id}"),
        if state == Some(BrokerState::Dead) {
            "The controller forgets it."
        } else {
            "The controller forgets it; while it runs, it will not be let in again before it starts anew."
        },
    );
    html! {
        <>
            <h3>{ "Process" }</h3>
            { for view.into_iter().flat_map(forms::broker_process).map(|button| form(button, "", ask)) }
            <h3>{ "Disk" }</h3>
            { for forms::disk(id).into_iter().map(|disk| form(disk, "", ask)) }
            <h3>{ "Settings" }</h3>
            <p>{ "These change while it runs. All others are read when it starts." }</p>
            <Alter before={format!("alter broker {id}")} everywhere="alter brokers" of={Of::Broker} now={props.now.clone()} ask={ask.clone()} />
            <h3>{ "Removal" }</h3>
            { unregister }
        </>
    }
}

fn controllers(props: &ManageDialog) -> Html {
    let ask = &props.ask;
    let chips = &props.stage.controllers;
    let number = |name: &str| name.trim_start_matches('c').parse::<i32>().unwrap_or(0);
    let next = chips.iter().map(|chip| number(&chip.name)).max().unwrap_or(0) + 1;
    let one = |chip: &ControllerChip| {
        let effect = if chip.state == ControllerState::Leader {
            "It is active: it hands over first, and votes no more."
        } else {
            "It votes no more."
        };
        html! {
            <>
                <h3>{ format!("Controller {}", chip.name) }</h3>
                { for forms::controller_process(chip).into_iter().map(|button| form(button, "", ask)) }
                { act(ask, "kill", &format!("Remove controller {}", chip.name), format!("remove controller {}", chip.name), effect) }
            </>
        }
    };
    html! {
        <>
            <p>{ "The voters of the metadata log (KIP-853). A majority of them must live." }</p>
            { act(ask, "start", &format!("Add controller c{next}"), format!("add controller c{next}"), "It starts, catches up, and becomes a voter.") }
            { for chips.iter().map(one) }
        </>
    }
}

fn producer(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let card = props.stage.producers.iter().find(|card| card.name == name);
    let (running, frozen) = card.map_or((false, false), |card| (card.running, card.frozen));
    html! {
        <>
            { life(ask, "producer", name, running, frozen) }
            if running {
                { act(ask, "", &format!("Close producer {name}"), format!("close {name}"), "It sends what waits, then ends.") }
                <h3>{ "Steady traffic" }</h3>
                { form(forms::load(name, &props.stage), "", ask) }
                if card.is_some_and(|card| card.transaction.is_some()) {
                    <h3>{ "Transaction" }</h3>
                    { for card.into_iter().flat_map(|card| forms::transaction(card)).map(|button| form(button, "", ask)) }
                    { form(forms::offsets(name, &props.stage), "", ask) }
                }
                <h3>{ "One record" }</h3>
                { form(forms::send(name, &props.stage), "", ask) }
            }
        </>
    }
}

fn consumer(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let cards = props.stage.groups.iter().flat_map(|group| &group.consumers);
    let card = cards.into_iter().find(|card| card.name == name);
    let (running, frozen) = card.map_or((false, false), |card| (card.running, card.frozen));
    if let Some(card) = card.filter(|card| card.kind == "share-consumer") {
        return share_consumer(ask, card);
    }
    let paused = card.is_some_and(|card| card.activity == "paused");
    let (verb, does, effect) = if paused {
        ("Resume", "resume", "It fetches again.")
    } else {
        ("Pause", "pause", "It stays in the group and fetches nothing.")
    };
    html! {
        <>
            { life(ask, "consumer", name, running, frozen) }
            if running {
                { act(ask, "", &format!("{verb} consumer {name}"), format!("{does} {name}"), effect) }
                { act(ask, "", &format!("Commit positions of {name}"), format!("commit {name}"), "What it has read is not delivered again.") }
                { act(ask, "", &format!("Close consumer {name}"), format!("close {name}"), "It leaves its group in good order.") }
                if let Some(card) = card {
                    <h3>{ "Position" }</h3>
                    { form(forms::seek(card), "", ask) }
                    <h3>{ "Application" }</h3>
                    { form(forms::handle(card), "", ask) }
                }
            }
        </>
    }
}

/// A share group has no committed offsets: what its members have read, the partitions' leaders know.
fn group(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let is_share = props.stage.groups.iter().any(|group| group.id == name && group.protocol == "share");
    let delete = act(
        ask,
        "kill",
        &format!("Delete group {name}"),
        format!("delete group {}", quote(name, &['='])),
        "Only while nobody belongs to it. What it has read is forgotten.",
    );
    html! {
        <>
            <h3>{ "Offsets" }</h3>
            <Offsets group={name.to_string()} {is_share} stage={props.stage.clone()} ask={ask.clone()} />
            <h3>{ "Settings" }</h3>
            <Alter before={format!("alter group {}", quote(name, &['=']))} of={Of::Group} now={props.now.clone()} ask={ask.clone()} />
            <h3>{ "Removal" }</h3>
            { delete }
        </>
    }
}

fn share_consumer(ask: &Ask, card: &ConsumerCard) -> Html {
    let name = &card.name;
    html! {
        <>
            { life(ask, card.kind, name, card.running, card.frozen) }
            if card.running {
                { act(ask, "", &format!("Commit acknowledgements of {name}"), format!("commit {name}"), "The brokers are told without waiting for the next fetch.") }
                { act(ask, "", &format!("Close share-consumer {name}"), format!("close {name}"), "What it holds is released, and it leaves its group.") }
                <h3>{ "Acknowledge" }</h3>
                { form(forms::acknowledge(card), "", ask) }
                <h3>{ "Application" }</h3>
                { form(forms::handle(card), "", ask) }
            }
        </>
    }
}

fn stream(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let card = props.stage.streams.iter().find(|card| card.name == name);
    let (running, frozen) = card.map_or((false, false), |card| (card.running, card.frozen));
    html! {
        <>
            { life(ask, "stream", name, running, frozen) }
            if running {
                { act(ask, "", &format!("Close stream {name}"), format!("close {name}"), "The query stops; a batch under way is run again after the next start.") }
            }
            if let Some(failure) = card.and_then(|card| card.failure.clone()) { <p class="bad">{ failure }</p> }
        </>
    }
}

fn life(ask: &Ask, kind: &str, name: &str, running: bool, frozen: bool) -> Html {
    let button = |class, verb: &str, effect: &str| {
        act(ask, class, &format!("{verb} {kind} {name}"), format!("{} {kind} {name}", verb.to_lowercase()), effect)
    };
    match (running, frozen) {
        (false, _) => button("start", "Start", "A new process begins where the old one left."),
        (true, true) => button("start", "Thaw", "It runs on as if nothing had been."),
        (true, false) => html! {
            <>
                // The card of a consumer or a stream has this button itself.
                if kind == "producer" { { button("kill", "Kill", "What it had not sent is lost.") } }
                { button("", "Freeze", "A long pause: it lives, but nothing runs.") }
            </>
        },
    }
}

#[derive(Properties, PartialEq)]
struct AlterProps {
    before: String,
    /// The same for all of its kind.
    #[prop_or_default]
    everywhere: Option<&'static str>,
    of: Of,
    now: Vec<(String, String)>,
    ask: Ask,
}

/// Every setting, and the line that comes of what was changed.
#[component]
fn Alter(props: &AlterProps) -> Html {
    let typed = use_state(Typed::new);
    let all = use_state(|| false);
    let rows = use_memo(props.of as u8, |_| settings::of(props.of));
    let changes = options(&rows, &typed, &props.now);
    let before = props.everywhere.filter(|_| *all).unwrap_or(&props.before);
    let line = format!("{before}{changes}");
    let submit = submits(&props.ask, line.clone());
    let set = sets(&typed);
    let toggle = {
        let all = all.clone();
        Callback::from(move |_: Event| all.set(!*all))
    };
    html! {
        <>
            <form class="fields" onsubmit={submit}>
                { part(Settings { rows: Rc::clone(&rows), now: props.now.clone(), typed: (*typed).clone(), set }) }
                if props.everywhere.is_some() {
                    <label class="check"><input type="checkbox" checked={*all} onchange={toggle} />{ "for all brokers" }</label>
                }
                if !changes.is_empty() { <p class="as-line"><code>{ line }</code></p> }
                <button type="submit" class="primary" disabled={changes.is_empty()}>{ "Alter" }</button>
            </form>
        </>
    }
}

#[derive(Properties, PartialEq)]
struct OffsetsProps {
    group: String,
    is_share: bool,
    stage: Rc<Stage>,
    ask: Ask,
}

/// Where a group that nobody belongs to goes on (kafka-consumer-groups --reset-offsets, kafka-share-groups).
#[component]
fn Offsets(props: &OffsetsProps) -> Html {
    let topic = use_state(|| props.stage.topics.first().map(|topic| topic.name.clone()).unwrap_or_default());
    let choose = {
        let topic = topic.clone();
        Callback::from(move |event: Event| {
            topic.set(event.target_unchecked_into::<web_sys::HtmlSelectElement>().value())
        })
    };
    let forms = match props.is_share {
        true => forms::reset_share_offsets(&props.group, &topic).to_vec(),
        false => forms::reset_offsets(&props.group, &topic).to_vec(),
    };
    html! {
        <>
            <p>{ "Kafka changes a group’s offsets only while no member is active: close or kill its consumers first." }</p>
            <div class="fields">
                <label><code>{ "topic" }</code>
                    <select aria-label="topic" onchange={choose}>
                        { for props.stage.topics.iter().map(|view| html! {
                            <option value={view.name.clone()} selected={view.name == *topic}>{ &view.name }</option>
                        }) }
                    </select>
                </label>
            </div>
            { for forms.into_iter().map(|reset| form(reset, "", &props.ask)) }
        </>
    }
}
