//! The stage: controllers above the brokers' columns, partitions as rows across them.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::partitions::{Differs, Row};
use crate::ui::session::Comparison;
use crate::view::inspect::Selection;
use crate::view::outcome::Difference;
use crate::view::stage::{BrokerColumn, BrokerState, ControllerChip, ControllerState, Stage as StageView};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub stage: Rc<StageView>,
    pub selected: Option<i32>,
    /// Time went backwards: what vanishes was not truncated.
    pub rewound: bool,
    pub in_past: bool,
    /// Another future that this one is compared with: what differs is marked.
    pub compared: Option<Rc<Comparison>>,
    /// Records arrive in a stream: they are not animated one by one.
    pub brisk: bool,
    /// How many records of a log fit its strip.
    pub fitting: i64,
    pub ask: Ask,
}

#[component]
pub fn Stage(props: &Props) -> Html {
    let StageView { brokers, controllers, rows, .. } = &*props.stage;
    let ids: Rc<[i32]> = brokers.iter().map(|broker| broker.id).collect();
    let style = format!("--brokers:{}", brokers.len());
    let density = match rows.len() {
        0..=4 => "roomy",
        5..=8 => "dense",
        _ => "packed",
    };
    html! {
        <main class={classes!("stage", props.brisk.then_some("brisk"))} data-density={density}>
            <Guide stage={props.stage.clone()} in_past={props.in_past} />
            <Controllers chips={controllers.clone()} ask={props.ask.clone()} />
            <div class="grid" role="grid" aria-label="Partitions" style={style} onkeydown={walk}>
                <div class="grid-row heads" role="row">
                    <div class="corner" role="columnheader">{ "Partition" }</div>
                    { for brokers.iter().map(|broker| html! {
                        <BrokerHead key={broker.id} broker={broker.clone()}
                            selected={props.selected == Some(broker.id)} ask={props.ask.clone()} />
                    }) }
                </div>
                { for rows.iter().enumerate().map(|(index, row)| html! {
                    <Row key={row.name.clone()} row={row.clone()} brokers={ids.clone()} first={index == 0} fitting={props.fitting} brisk={props.brisk}
                        differs={differs(props.compared.as_deref(), &row.name)}
                        rewound={props.rewound} ask={props.ask.clone()} />
                }) }
            </div>
        </main>
    }
}

/// In what a partition differs from the other future, as words, with the brokers whose logs do.
fn differs(compared: Option<&Comparison>, partition: &str) -> Option<Rc<Differs>> {
    let compared = compared?;
    let here = |difference: &&Difference| difference.place().is_some_and(|(place, _)| place == partition);
    let differences: Vec<&Difference> = compared.differences.iter().filter(here).collect();
    let words = differences.iter().filter(|difference| difference.place().is_some_and(|(_, broker)| broker.is_none()));
    let words: Vec<String> = words
        .filter_map(|difference| Some(format!("{} {}", difference.what.split_once(": ")?.1, difference.there)))
        .collect();
    let brokers = differences.iter().filter_map(|difference| difference.place()?.1).collect();
    (!differences.is_empty())
        .then(|| Rc::new(Differs { words: format!("{}: {}", compared.with, words.join(", ")), brokers }))
}

/// Arrow keys walk from cell to cell.
fn walk(event: KeyboardEvent) {
    let (down, right) = match event.key().as_str() {
        "ArrowDown" => (1, 0),
        "ArrowUp" => (-1, 0),
        "ArrowRight" => (0, 1),
        "ArrowLeft" => (0, -1),
        _ => return,
    };
    if crate::ui::browser::walk_cells(&event, down, right) {
        event.prevent_default();
    }
}

#[derive(Properties, PartialEq)]
struct GuideProps {
    stage: Rc<StageView>,
    in_past: bool,
}

/// One sentence: the invitation, then what to look for.
#[component]
fn Guide(props: &GuideProps) -> Html {
    let stage = &props.stage;
    let down = |state| stage.brokers.iter().find(move |broker| broker.state == state);
    let dead = down(BrokerState::Dead);
    let (strong, rest) = if props.in_past {
        ("You look at the past.".to_string(), "What you do here begins another future.".to_string())
    } else if let Some(broker) = dead {
        let id = broker.id;
        let led = stage.rows.iter().any(|row| row.leader == Some(id));
        if !broker.fenced && led {
            (
                format!("Broker {id} is gone."),
                "The controller notices when its session ends, 9 s after its last heartbeat.".to_string(),
            )
        } else {
            (
                format!("Broker {id} is out."),
                format!("Others lead now. Start broker {id} again, or drag the time back."),
            )
        }
    } else if let Some(broker) = down(BrokerState::Starting) {
        (format!("Broker {} returns.", broker.id), "It registers, catches up, and joins the ISR again.".to_string())
    } else if let Some(broker) = down(BrokerState::Frozen) {
        (
            format!("Broker {} is frozen.", broker.id),
            "It believes that no time passes. Thaw it and see what it learns.".to_string(),
        )
    } else {
        ("Kill a broker".to_string(), "and watch who takes over.".to_string())
    };
    html! {
        <p class="guide"><strong>{ strong }</strong>{ " " }<span>{ rest }</span></p>
    }
}

#[derive(Properties, PartialEq)]
struct ControllersProps {
    chips: Vec<ControllerChip>,
    ask: Ask,
}

#[component]
fn Controllers(props: &ControllersProps) -> Html {
    html! {
        <section class="controllers" aria-label="Controllers">
            <span class="label">{ "KRaft" }</span>
            { for props.chips.iter().map(|chip| html! { <Chip key={chip.name.clone()} chip={chip.clone()} ask={props.ask.clone()} /> }) }
        </section>
    }
}

#[derive(Properties, PartialEq)]
struct ChipProps {
    chip: ControllerChip,
    ask: Ask,
}

#[component]
fn Chip(props: &ChipProps) -> Html {
    let ControllerChip { name, state, epoch, log_end, high_watermark } = &props.chip;
    let (class, sign, word) = match state {
        ControllerState::Leader => ("active", "★", "active"),
        ControllerState::Follower => ("follower", "✓", "follower"),
        ControllerState::Candidate => ("candidate", "?", "candidate"),
        ControllerState::Unattached => ("candidate", "–", "no leader"),
        ControllerState::Frozen => ("frozen", "❄", "frozen"),
        ControllerState::Dead => ("dead", "×", "dead"),
    };
    let runs = *state != ControllerState::Dead;
    let number = name.trim_start_matches('c').parse().unwrap_or_default();
    let (act, verb) = if runs { ("kill", "Kill") } else { ("start", "Start") };
    html! {
        <div class={classes!("chip", class)} data-node={format!("controller {name}")}>
            <button class="what" onclick={on(&props.ask, Command::Select(Selection::Controller(number)))}
                title={format!("Metadata log: end {log_end}, high watermark {high_watermark}")}>
                <span class="sign" aria-hidden="true">{ sign }</span>
                <b>{ name }</b>
                <span class="role">{ word }</span>
                <span class="numbers">
                    if *state == ControllerState::Leader {
                        <span>{ "epoch " }<i>{ epoch }</i></span><span class="hw">{ "hw " }<i>{ high_watermark }</i></span>
                    }
                    if runs { <span>{ "end " }<i>{ log_end }</i></span> }
                </span>
            </button>
            <button class={classes!("quiet", act)} aria-label={format!("{verb} controller {name}")}
                onclick={on(&props.ask, Command::Act(format!("{act} controller {name}")))}>{ verb }</button>
        </div>
    }
}

#[derive(Properties, PartialEq)]
struct HeadProps {
    broker: BrokerColumn,
    selected: bool,
    ask: Ask,
}

#[component]
fn BrokerHead(props: &HeadProps) -> Html {
    let BrokerColumn { id, state, rack, note, powered_off, .. } = &props.broker;
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
            <button class={class} aria-label={format!("{verb} broker {id}")} title={title}
                onclick={on(&props.ask, Command::Act(format!("{act} broker {id}")))}>{ verb.to_string() }</button>
        }
    };
    let kill = || button("Kill", "kill", "kill", "The process dies; what is in its log stays");
    let power_off = || button("Power off", "power-off", "", "The machine dies; what was not flushed is gone");
    html! {
        <div class="head-cell" role="columnheader" aria-label={name.clone()}>
            <section class={classes!("head", class, props.selected.then_some("selected"))} aria-label={name.clone()}
                data-node={format!("broker {id}")}>
                <div class="name">
                    <span class="led" aria-hidden="true" />
                    <button class="title" aria-label={format!("Inspect broker {id}")} onclick={on(&props.ask, Command::Select(Selection::Broker(*id)))}>
                        <span class="word">{ "Broker " }</span>{ id }
                    </button>
                    if let Some(rack) = rack { <span class="rack">{ "rack " }{ rack }</span> }
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
