//! The stage: controllers above the brokers' columns, partitions as rows across them.

use std::ops::Range;
use std::rc::Rc;

use web_sys::{Element, ScrollIntoViewOptions, ScrollLogicalPosition};
use yew::prelude::*;

use crate::ui::browser::{data_of, document};
use crate::ui::command::{Ask, Command, on};
use crate::ui::dialog::Over;
use crate::ui::heads::BrokerHead;
use crate::ui::manage::{ManageButton, Thing};
use crate::ui::part::{Part, keyed, list, part};
use crate::ui::partitions::{Columns, Differs, Row};
use crate::ui::session::Comparison;
use crate::ui::strip::Stencils;
use crate::ui::tiles::Tiles;
use crate::ui::window::{Windowed, use_window};
use crate::ui::zoom::{Control, Level, Looking, WIDE_BROKERS, Zoom};
use crate::view::inspect::Selection;
use crate::view::outcome::Difference;
use crate::view::stage::{BrokerState, ControllerChip, ControllerState, Stage as StageView};

#[derive(PartialEq)]
pub struct Stage {
    pub stage: Rc<StageView>,
    pub looking: Rc<Looking>,
    /// Some link is cut.
    pub cut: bool,
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

impl Part for Stage {
    fn draw(&self) -> Html {
        let level = self.looking.level(&self.stage);
        let shown = self.looking.rows(&self.stage).len();
        let density = match shown {
            _ if shown < self.stage.rows.len() => "roomy",
            0..=4 => "roomy",
            5..=8 => "dense",
            _ => "packed",
        };
        html! {
            <main class={classes!("stage", self.brisk.then_some("brisk"))} data-density={density} data-level={level.name()}>
                <div class="above">
                    { part(Guide { stage: self.stage.clone(), in_past: self.in_past }) }
                    <div class="network" role="group" aria-label="Network">
                        <button aria-label="Cut the network" title="Cut the network  (x); or drag from one node to another"
                            onclick={on(&self.ask, Command::Open(Some(Over::Cut)))}>{ "Cut…" }</button>
                        if self.cut {
                            <button class="start" aria-label="Heal the network" title="Every link works again"
                                onclick={on(&self.ask, Command::Act("heal".to_string()))}>{ "Heal" }</button>
                        }
                    </div>
                    { part(Control { level, stage: self.stage.clone(), ask: self.ask.clone() }) }
                </div>
                { part(Controllers { chips: self.stage.controllers.clone(), ask: self.ask.clone() }) }
                <Partitions key={level.name()} {level} stage={self.stage.clone()} looking={self.looking.clone()} fitting={self.fitting} compared={self.compared.clone()}
                    brisk={self.brisk} selected={self.selected} rewound={self.rewound} ask={self.ask.clone()} />
            </main>
        }
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

#[derive(Properties, PartialEq)]
struct PartitionsProps {
    level: Level,
    stage: Rc<StageView>,
    looking: Rc<Looking>,
    fitting: i64,
    compared: Option<Rc<Comparison>>,
    brisk: bool,
    selected: Option<i32>,
    rewound: bool,
    ask: Ask,
}

/// The grid: brokers as columns, partitions as rows, or as tiles above rows that are only read.
#[component]
fn Partitions(props: &PartitionsProps) -> Html {
    let PartitionsProps { level, stage, looking, ask, .. } = props;
    let all = stage.rows.len();
    let columns = columns(*level, stage, looking);
    let shown = looking.rows(stage);
    let windowed = shown.len() < all || *level == Level::Tiles;
    let tiles = *level == Level::Tiles;
    let at = use_state(|| None);
    let stencils = use_memo((), |()| Stencils::new());
    let reached = {
        let (at, ask, shown) = (at.clone(), ask.clone(), shown.clone());
        Callback::from(move |event: FocusEvent| {
            if let Some((row, broker)) = reached(&event).filter(|_| tiles) {
                at.set(Some((row, broker)));
                let early = row < shown.start + 4 && shown.start > 0;
                if early || row + 4 > shown.end && shown.end < all {
                    ask.emit(Command::Zoom(Zoom::Near(row.saturating_sub(12)..(row + 12).min(all))));
                }
            }
        })
    };
    let guess = if *level == Level::Records { 104.0 } else { 34.0 };
    let tell = {
        let ask = ask.clone();
        Callback::from(move |near| ask.emit(Command::Zoom(Zoom::Near(near))))
    };
    let tell = if windowed && *level != Level::Tiles { tell } else { Callback::noop() };
    let Windowed { scroller, onscroll, pitch } =
        use_window(".partition-row", all, guess, shown.clone(), looking.times, tell);
    {
        // What was zoomed in to is brought into view, its replicas too.
        let (scroller, target) = (scroller.clone(), looking.target.clone());
        let index = target.as_ref().and_then(|name| stage.rows.iter().position(|row| row.name == *name));
        use_effect_with((looking.times, *level), move |_| {
            if let (Some(scroller), Some(index), true) = (scroller.cast::<Element>(), index, windowed) {
                scroller.set_scroll_top((index as f64 * pitch) as i32);
            }
            bring_into_view(target.as_deref());
        });
    }
    let style = format!("--brokers:{};--columns:{}", stage.brokers.len(), columns.template);
    let class = classes!("grid", columns.all_slim().then_some("slim"), windowed.then_some("windowed"));
    let (before, after) = (shown.start as f64 * pitch, all.saturating_sub(shown.end) as f64 * pitch);
    let body = if windowed {
        html! {
            <div class={classes!("rows", tiles.then_some("unseen"))} role="rowgroup" onfocusin={reached}
                style={(!tiles).then(|| format!("padding-block:{before}px {after}px"))}>
                { rows(props, &columns, shown) }
            </div>
        }
    } else {
        rows(props, &columns, shown)
    };
    html! {
        <div {class} {style} ref={scroller} {onscroll}>
            <div class="cells" role="grid" aria-label="Partitions" onkeydown={walk(ask)} aria-rowcount={(all + 1).to_string()}>
                <div class="grid-row heads" role="row" aria-rowindex="1">
                    <div class="corner" role="columnheader">{ "Partition" }</div>
                    { list(stage.brokers.iter().map(|broker| {
                        keyed(broker.id, BrokerHead { broker: broker.clone(), slim: columns.is_slim(broker.id), selected: props.selected == Some(broker.id), ask: ask.clone() })
                    })) }
                </div>
                <ContextProvider<Stencils> context={(*stencils).clone()}>{ body }</ContextProvider<Stencils>>
            </div>
            if tiles { <Tiles stage={stage.clone()} columns={columns.clone()} at={*at} ask={ask.clone()} /> }
        </div>
    }
}

fn rows(props: &PartitionsProps, columns: &Rc<Columns>, shown: Range<usize>) -> Html {
    let first = shown.start;
    let row = |(place, row): (usize, &Rc<_>)| {
        let row: Rc<crate::view::partitions::PartitionRow> = Rc::clone(row);
        html! {
            { keyed(row.name.clone(), Row { row: row.clone(), columns: columns.clone(), index: first + place, fitting: props.fitting, differs: differs(props.compared.as_deref(), &row.name), brisk: props.brisk, entry: place == 0, level: props.level, rewound: props.rewound, ask: props.ask.clone() }) }
        }
    };
    props.stage.rows[shown].iter().enumerate().map(row).collect()
}

/// Which columns are narrow, how the grid's are laid out, and the scale that all bars share.
fn columns(level: Level, stage: &StageView, looking: &Looking) -> Rc<Columns> {
    let target = looking.target.as_ref().and_then(|name| stage.rows.iter().find(|row| row.name == *name));
    let holds = |id: i32| target.is_some_and(|row| row.replicas.contains(&id));
    let many = stage.brokers.len() > WIDE_BROKERS;
    let wide = |id: i32| !many || level == Level::Records && (holds(id) || target.is_none());
    let template: Vec<&str> = stage
        .brokers
        .iter()
        .map(|broker| match (wide(broker.id), level) {
            (true, Level::Records) if many => "214px",
            (true, Level::Records) => "minmax(150px,1fr)",
            (true, _) => "minmax(92px,1fr)",
            (false, Level::Records) => "24px",
            (false, _) => "minmax(22px,1fr)",
        })
        .collect();
    let longest = stage.rows.iter().map(|row| row.log_end).max().unwrap_or(0);
    Rc::new(Columns {
        brokers: stage.brokers.iter().map(|broker| (broker.id, !wide(broker.id))).collect(),
        template: template.join(" "),
        scale: (longest.max(8) as u64).next_power_of_two() as i64,
    })
}

fn bring_into_view(partition: Option<&str>) {
    let Some(partition) = partition else { return };
    let cell = document().query_selector(&format!(".cell.leader[data-cell^='{partition}@']")).ok().flatten();
    if let Some(cell) = cell {
        let options = ScrollIntoViewOptions::new();
        options.set_inline(ScrollLogicalPosition::Center);
        options.set_block(ScrollLogicalPosition::Nearest);
        cell.scroll_into_view_with_scroll_into_view_options(&options);
    }
}

/// The row, and the broker of the replica, that the keyboard has reached.
fn reached(event: &FocusEvent) -> Option<(usize, Option<i32>)> {
    let row = data_of(event.target(), "row")?.parse().ok()?;
    let broker = data_of(event.target(), "cell").and_then(|cell| cell.rsplit_once('@')?.1.parse().ok());
    Some((row, broker))
}

/// Arrow keys walk from cell to cell; with Shift, Home and End they walk along a log.
fn walk(ask: &Ask) -> Callback<KeyboardEvent> {
    let ask = ask.clone();
    Callback::from(move |event: KeyboardEvent| {
        let key = event.key();
        let along = match key.as_str() {
            "ArrowLeft" if event.shift_key() => Some(-1),
            "ArrowRight" if event.shift_key() => Some(1),
            "Home" => Some(-i64::MAX),
            "End" => Some(i64::MAX),
            _ => None,
        };
        let cell = data_of(event.target(), "cell");
        if let (Some(by), Some((partition, _))) = (along, cell.as_deref().and_then(|cell| cell.rsplit_once('@'))) {
            event.prevent_default();
            ask.emit(Command::Zoom(Zoom::Scroll(partition.to_string(), by)));
            return;
        }
        let (down, right) = match key.as_str() {
            "ArrowDown" => (1, 0),
            "ArrowUp" => (-1, 0),
            "ArrowRight" => (0, 1),
            "ArrowLeft" => (0, -1),
            _ => return,
        };
        if crate::ui::browser::walk_cells(&event, down, right) {
            event.prevent_default();
        }
    })
}

/// One sentence: the invitation, then what to look for.
#[derive(PartialEq)]
struct Guide {
    stage: Rc<StageView>,
    in_past: bool,
}

impl Part for Guide {
    fn draw(&self) -> Html {
        let stage = &self.stage;
        let down = |state| stage.brokers.iter().find(move |broker| broker.state == state);
        let dead = down(BrokerState::Dead);
        let (strong, rest) = if self.in_past {
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
}

#[derive(PartialEq)]
struct Controllers {
    chips: Vec<ControllerChip>,
    ask: Ask,
}

impl Part for Controllers {
    fn draw(&self) -> Html {
        html! {
            <section class="controllers" aria-label="Controllers">
                <span class="label">{ "KRaft" }</span>
                { list(self.chips.iter().map(|chip| keyed(chip.name.clone(), Chip { chip: chip.clone(), ask: self.ask.clone() }))) }
                { part(ManageButton { thing: Thing::Controllers, ask: self.ask.clone() }) }
            </section>
        }
    }
}

#[derive(PartialEq)]
struct Chip {
    chip: ControllerChip,
    ask: Ask,
}

impl Part for Chip {
    fn draw(&self) -> Html {
        let ControllerChip { name, state, epoch, log_end, high_watermark } = &self.chip;
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
            <div class={classes!("chip", class)} role="group" aria-label={format!("Controller {name}")} data-node={format!("controller {name}")}>
                <button class="what" onclick={on(&self.ask, Command::Select(Selection::Controller(number)))}
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
                <button key={verb} class={classes!("quiet", act)} aria-label={format!("{verb} controller {name}")}
                    onclick={on(&self.ask, Command::Act(format!("{act} controller {name}")))}>{ verb }</button>
            </div>
        }
    }
}
