//! What can be changed of something that is there: its settings, its size, whether it stays. Every
//! button becomes a line of the script.

use std::rc::Rc;

use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::ui::add::Refused;
use crate::ui::command::{Ask, Command, on};
use crate::ui::dialog::Dialog;
use crate::ui::form::{Settings, Text, Typed, options, sets, submits};
use crate::ui::part::{Part, part};
use crate::view::inspect::Selection;
use crate::view::settings::{self, Of};
use crate::view::stage::{BrokerState, ControllerState, Stage};

/// Something that can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    Topic(String),
    Broker(i32),
    Controllers,
    Producer(String),
    Consumer(String),
    Group(String),
}

impl Thing {
    /// `topic orders`, `broker 1`
    pub fn name(&self) -> String {
        match self {
            Thing::Topic(name) => format!("topic {name}"),
            Thing::Broker(id) => format!("broker {id}"),
            Thing::Controllers => "controllers".to_string(),
            Thing::Producer(name) => format!("producer {name}"),
            Thing::Consumer(name) => format!("consumer {name}"),
            Thing::Group(name) => format!("group {name}"),
        }
    }

    /// What belongs to a selection.
    pub fn of(selection: &Selection) -> Option<Thing> {
        let topic = |partition: &str| Some(Thing::Topic(partition.rsplit_once('-')?.0.to_string()));
        match selection {
            Selection::Broker(id) => Some(Thing::Broker(*id)),
            Selection::Controller(_) => Some(Thing::Controllers),
            Selection::Partition(partition)
            | Selection::Replica { partition, .. }
            | Selection::Record { partition, .. } => topic(partition),
            Selection::Producer(name) => Some(Thing::Producer(name.clone())),
            Selection::Consumer(name) => Some(Thing::Consumer(name.clone())),
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
            Thing::Broker(id) => broker(self, *id),
            Thing::Controllers => controllers(self),
            Thing::Producer(name) => producer(self, name),
            Thing::Consumer(name) => consumer(self, name),
            Thing::Group(name) => {
                html! { <Offsets group={name.clone()} stage={self.stage.clone()} ask={self.ask.clone()} /> }
            }
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

/// A button that acts and closes the dialog, with what comes of it beside it.
fn act(ask: &Ask, class: &'static str, name: &str, line: String, effect: &str) -> Html {
    html! {
        <p class="act"><button {class} onclick={on(ask, Command::Add(line))}>{ name.to_string() }</button><small>{ effect.to_string() }</small></p>
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
            <Number name="partitions" button="Add partitions" before={format!("create-partitions {} ", quote(name, &['=']))}
                start={partitions + 1} effect="Keys find other partitions from then on; partitions never become fewer." ask={ask.clone()} />
            <Alter before={format!("alter topic {}", quote(name, &['=']))} of={Of::Topic} now={props.now.clone()} ask={ask.clone()} />
            <h3>{ "Removal" }</h3>
            { delete }
        </>
    }
}

fn broker(props: &ManageDialog, id: i32) -> Html {
    let ask = &props.ask;
    let state = props.stage.brokers.iter().find(|broker| broker.id == id).map(|broker| broker.state);
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
            <p>{ "These settings change while it runs. All others are read when it starts." }</p>
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
    let remove = |name: &String, state: ControllerState| {
        let effect =
            if state == ControllerState::Leader { "It is active: it hands over first." } else { "It votes no more." };
        act(ask, "kill", &format!("Remove controller {name}"), format!("remove controller {name}"), effect)
    };
    html! {
        <>
            <p>{ "The voters of the metadata log (KIP-853). A majority of them must live." }</p>
            { act(ask, "start", &format!("Add controller c{next}"), format!("add controller c{next}"), "It starts, catches up, and becomes a voter.") }
            { for chips.iter().map(|chip| remove(&chip.name, chip.state)) }
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
            if running { { act(ask, "", &format!("Close producer {name}"), format!("close {name}"), "It sends what waits, then ends.") } }
        </>
    }
}

fn consumer(props: &ManageDialog, name: &str) -> Html {
    let ask = &props.ask;
    let cards = props.stage.groups.iter().flat_map(|group| &group.consumers);
    let card = cards.into_iter().find(|card| card.name == name);
    let (running, frozen) = card.map_or((false, false), |card| (card.running, card.frozen));
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
            }
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
                // A consumer's card has this button itself.
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
            <h3>{ "Settings" }</h3>
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
struct NumberProps {
    name: &'static str,
    button: &'static str,
    before: String,
    start: i32,
    effect: &'static str,
    ask: Ask,
}

#[component]
fn Number(props: &NumberProps) -> Html {
    let value = use_state(|| props.start.to_string());
    let set = {
        let value = value.clone();
        Callback::from(move |text: String| value.set(text))
    };
    let submit = {
        let (ask, line) = (props.ask.clone(), format!("{}{}", props.before, quote(value.trim(), &['='])));
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            ask.emit(Command::Add(line.clone()));
        })
    };
    html! {
        <form class="fields" onsubmit={submit}>
            <label><code>{ props.name }</code>{ part(Text { name: props.name, value: (*value).clone(), example: "", set }) }<small>{ props.effect }</small></label>
            <button type="submit">{ props.button }</button>
        </form>
    }
}

#[derive(Properties, PartialEq)]
struct OffsetsProps {
    group: String,
    stage: Rc<Stage>,
    ask: Ask,
}

/// Where a group that nobody belongs to goes on (kafka-consumer-groups --reset-offsets).
#[component]
fn Offsets(props: &OffsetsProps) -> Html {
    let topic = use_state(|| props.stage.topics.first().map(|topic| topic.name.clone()).unwrap_or_default());
    let choose = {
        let topic = topic.clone();
        Callback::from(move |event: Event| {
            topic.set(event.target_unchecked_into::<web_sys::HtmlSelectElement>().value())
        })
    };
    let line = |to: &str| format!("reset-offsets {} {} {to}", quote(&props.group, &['=']), quote(&topic, &['=']));
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
            { act(&props.ask, "", "Reset to earliest", line("to=earliest"), "Everything is delivered again.") }
            { act(&props.ask, "", "Reset to latest", line("to=latest"), "Only what comes from now on is delivered.") }
            { act(&props.ask, "", "Go back by 5", line("shift=-5"), "The last five of each partition are delivered again.") }
        </>
    }
}
