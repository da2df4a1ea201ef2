//! A partition as a row: its registration in words, and each replica's log as a strip of records.
//! All strips of a row share their offsets' places, so that ends and watermarks compare by eye.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::browser;
use crate::ui::command::{Ask, Command, on};
use crate::ui::part::{Part, keyed, list, part};
use crate::ui::strip::{Painted, Stencils, place_at};
use crate::ui::zoom::{Level, Zoom};
use crate::view::inspect::Selection;
use crate::view::partitions::{Cursor, Hand, PartitionRow, RECORDS_SHOWN, RecordCell, ReplicaCell, ReplicaRole};
use crate::view::transactions::TransactionFate;

/// Records are placed relative to a multiple of this, so that they stay where they are for long.
const PLACES: i64 = 1_000;
/// A log that has no more records than these is in view as a whole.
const FEW: i64 = 8;
/// So many records further at one press.
const STRIDE: i64 = 6;
/// At most so many places that a follower has not filled yet are drawn.
const MISSING_SHOWN: i64 = 12;
/// How many places it takes to say how far a replica is behind.
const ROOM_FOR_BEHIND: i64 = 3;

/// How the columns are laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The brokers in order, and whether their columns are narrow.
    pub brokers: Vec<(i32, bool)>,
    /// As CSS has it.
    pub template: String,
    /// The offset at the right end of every bar: they compare by eye.
    pub scale: i64,
}

impl Columns {
    pub fn is_slim(&self, broker: i32) -> bool {
        self.brokers.iter().any(|(id, slim)| *id == broker && *slim)
    }

    pub fn all_slim(&self) -> bool {
        self.brokers.iter().all(|(_, slim)| *slim)
    }
}

#[derive(PartialEq)]
pub struct Row {
    pub row: Rc<PartitionRow>,
    pub columns: Rc<Columns>,
    /// Its place among all rows, from 0.
    pub index: usize,
    /// The Tab key enters the grid here.
    pub entry: bool,
    pub level: Level,
    pub fitting: i64,
    pub brisk: bool,
    pub rewound: bool,
    /// How it stands in another future that this one is compared with.
    pub differs: Option<Rc<Differs>>,
    pub ask: Ask,
}

/// In what a partition differs between two futures.
#[derive(PartialEq)]
pub struct Differs {
    pub words: String,
    /// The brokers whose logs end elsewhere.
    pub brokers: Vec<i32>,
}

impl Part for Row {
    fn draw(&self) -> Html {
        let Self { row, columns, level, .. } = self;
        let name = row.name.clone();
        let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let shrunk = row.isr.len() < row.replicas.len();
        let shown = RECORDS_SHOWN.min(self.fitting);
        let cell = |column: usize, broker: i32, slim: bool| {
            let tab = self.entry && column == 0;
            let Some(index) = row.cells.iter().position(|cell| cell.broker == broker) else {
                return html! { <div key={broker} class="cell empty" role="gridcell" tabindex={if tab { "0" } else { "-1" }} aria-description="no replica" /> };
            };
            if slim || *level != Level::Records {
                return keyed(
                    broker,
                    Bar { row: row.clone(), index, tab, scale: columns.scale, ask: self.ask.clone() },
                );
            }
            let differs = self.differs.as_ref().is_some_and(|differs| differs.brokers.contains(&broker));
            html! { <Cell key={broker} row={row.clone()} {index} {shown} rewound={self.rewound} brisk={self.brisk} {differs} {tab} ask={self.ask.clone()} /> }
        };
        html! {
            <div class={classes!("grid-row", "partition-row", shrunk.then_some("under-replicated"))} role="row" aria-label={name.clone()}
                aria-rowindex={(self.index + 2).to_string()} data-row={self.index.to_string()}>
                <div class="row-head" role="rowheader">
                    <button class="title" title={name.clone()} onclick={on(&self.ask, Command::Select(Selection::Partition(name.clone())))}>{ &name }</button>
                    <span class="fact"><span>{ "leader " }</span><i>{ row.leader.map_or("none".to_string(), |leader| leader.to_string()) }</i></span>
                    <span class="fact epoch">{ "epoch " }<i>{ row.leader_epoch }</i></span>
                    <span class={classes!("fact", shrunk.then_some("shrunk"))}>
                        { "ISR " }<i>{ ids(&row.isr) }</i><span>{ format!(" of {}", row.replicas.len()) }</span>
                    </span>
                    if let Some(differs) = &self.differs {
                        <span class="fact differs" title={differs.words.clone()}>{ "≠ " }{ &differs.words }</span>
                    }
                    if !row.elr.is_empty() { <span class="fact">{ "ELR " }<i>{ ids(&row.elr) }</i></span> }
                    if *level == Level::Records { { part(Along { row: row.clone(), ask: self.ask.clone() }) } }
                </div>
                { list(columns.brokers.iter().enumerate().map(|(column, (broker, slim))| cell(column, *broker, *slim))) }
            </div>
        }
    }
}

/// Back to older records of a partition, and to the newest again.
#[derive(PartialEq)]
struct Along {
    row: Rc<PartitionRow>,
    ask: Ask,
}

impl Part for Along {
    fn draw(&self) -> Html {
        let row = &self.row;
        if row.log_end - row.log_start <= FEW {
            return html! {};
        }
        let button = |what: &str, sign: &'static str, by: i64, able: bool| {
            html! {
                <button class="mini" aria-label={format!("{what} of {}", row.name)} title={format!("{what} of {}", row.name)} disabled={!able}
                    onclick={on(&self.ask, Command::Zoom(Zoom::Scroll(row.name.clone(), by)))}>{ sign }</button>
            }
        };
        let at_oldest = row.until.is_some_and(|until| until <= row.log_start + FEW);
        html! {
            <span class={classes!("along", row.until.is_some().then_some("back"))}>
                { button("Older records", "‹", -STRIDE, !at_oldest) }
                { button("Newer records", "›", STRIDE, row.until.is_some()) }
                { button("Newest records", "⇥", i64::MAX, row.until.is_some()) }
            </span>
        }
    }
}

/// A replica as a bar up to its log end, with its high watermark. Pressing it zooms in.
#[derive(PartialEq)]
struct Bar {
    row: Rc<PartitionRow>,
    index: usize,
    tab: bool,
    scale: i64,
    ask: Ask,
}

impl Part for Bar {
    fn draw(&self) -> Html {
        let row = &self.row;
        let cell = &row.cells[self.index];
        let (class, tag) = standing(cell);
        let share = |offset: i64| format!("{:.4}", offset as f64 / self.scale as f64);
        let zoom = on::<MouseEvent>(&self.ask, Command::Zoom(Zoom::To(row.name.clone())));
        let keys = enter(&self.ask, Command::Zoom(Zoom::To(row.name.clone())));
        html! {
            <div class={classes!("cell", "bar", class)} role="gridcell" tabindex={if self.tab { "0" } else { "-1" }}
                aria-description={cell.description.clone()} data-cell={format!("{}@{}", row.name, cell.broker)}
                title={format!("{} on broker {}: {tag}, end {}, high watermark {}", row.name, cell.broker, cell.log_end, cell.high_watermark)}
                style={format!("--share:{};--hw:{}", share(cell.log_end), share(cell.high_watermark))} onclick={zoom} onkeydown={keys}>
                <b class="fill" /><b class="mark" />
            </div>
        }
    }
}

/// How a replica looks, and the word for it.
pub fn standing(cell: &ReplicaCell) -> (&'static str, &'static str) {
    match cell.role {
        ReplicaRole::Leader => ("leader", "leader"),
        _ if cell.zombie => ("zombie", "believes to lead"),
        ReplicaRole::InSync => ("in-sync", "in sync"),
        ReplicaRole::OutOfSync => ("out-of-sync", "out of sync"),
        ReplicaRole::Offline => ("offline", "offline"),
    }
}

/// Stands for the word where there is no room for that.
fn sign(cell: &ReplicaCell) -> &'static str {
    match cell.role {
        ReplicaRole::Leader => "★ ",
        _ if cell.zombie => "? ",
        ReplicaRole::InSync => "✓ ",
        ReplicaRole::OutOfSync => "… ",
        ReplicaRole::Offline => "× ",
    }
}

fn enter(ask: &Ask, command: Command) -> Callback<KeyboardEvent> {
    let ask = ask.clone();
    Callback::from(move |event: KeyboardEvent| {
        if event.key() == "Enter" {
            ask.emit(command.clone());
        }
    })
}

#[derive(Properties, PartialEq)]
struct CellProps {
    row: Rc<PartitionRow>,
    index: usize,
    shown: i64,
    rewound: bool,
    brisk: bool,
    /// Its log ends elsewhere in the future that this one is compared with.
    differs: bool,
    /// It is where the Tab key enters the grid.
    tab: bool,
    ask: Ask,
}

/// What a cell remembers between two drawings, to let truncated records fall and new ones arrive.
#[derive(Default)]
struct Memory {
    records: Option<Rc<[RecordCell]>>,
    /// Records from this offset on came while somebody watched.
    fresh: i64,
    fallen: Vec<RecordCell>,
    /// Counts the falls, so that each is animated once.
    falls: u32,
}

impl Memory {
    /// Notes what has been cut off since the last drawing, and what is new.
    fn note(&mut self, cell: &ReplicaCell, rewound: bool) {
        let kept = |old: &RecordCell| {
            let same = |new: &RecordCell| new.offset == old.offset && new.leader_epoch == old.leader_epoch;
            old.offset < cell.log_start
                || old.offset < cell.log_end && cell.records.first().is_none_or(|first| old.offset < first.offset)
                || old.offset < cell.log_end && cell.records.last().is_none_or(|last| old.offset > last.offset)
                || cell.records.iter().any(same)
        };
        match self.records.replace(cell.records.clone()) {
            Some(before) if !rewound => {
                let fallen: Vec<RecordCell> = before.iter().filter(|old| !kept(old)).cloned().collect();
                if !fallen.is_empty() {
                    self.falls += 1;
                    self.fallen = fallen;
                }
                self.fresh = self.fresh.min(cell.log_end);
            }
            _ => {
                self.fallen.clear();
                self.fresh = cell.log_end;
            }
        }
    }
}

#[component]
fn Cell(props: &CellProps) -> Html {
    let memory = use_mut_ref(Memory::default);
    let painted = use_context::<Stencils>().is_some_and(|stencils| stencils.wanted) && props.brisk;
    let row = &props.row;
    let cell = &row.cells[props.index];
    let leads = cell.role == ReplicaRole::Leader;
    let (class, tag) = standing(cell);
    memory.borrow_mut().note(cell, props.rewound);
    if props.brisk {
        // In a stream nobody sees a single record arrive.
        memory.borrow_mut().fresh = cell.log_end;
    }
    let memory = memory.borrow();
    let newest = row.cells.iter().map(|cell| cell.log_end).max().unwrap_or(0);
    // A replica that is so far behind that little of it would be seen, or nothing where records are wide, shows its
    // own end and how far that is.
    let behind = newest - cell.log_end;
    let adrift = row.until.is_none() && cell.log_end > cell.log_start && behind * 3 >= props.shown * 2;
    // The right end of what is shown.
    let widest = if adrift { cell.log_end + ROOM_FOR_BEHIND } else { row.until.unwrap_or(newest) };
    let base = (widest - RECORDS_SHOWN).max(0) / PLACES * PLACES;
    let place = |offset: i64| format!("--i:{}", offset - base);
    let first = (widest - props.shown).max(0);
    let select = select(props, first);
    let replica = Selection::Replica { partition: row.name.clone(), broker: cell.broker };
    let keys = enter(&props.ask, Command::Select(replica));
    let drag = {
        let (ask, partition) = (props.ask.clone(), row.name.clone());
        Callback::from(move |event: PointerEvent| {
            let (ask, partition) = (ask.clone(), partition.clone());
            browser::pull(event, move |by| ask.emit(Command::Zoom(Zoom::Scroll(partition.clone(), by))));
        })
    };
    let wheel = {
        let (ask, partition) = (props.ask.clone(), row.name.clone());
        Callback::from(move |event: WheelEvent| {
            let turned = if event.shift_key() { event.delta_y() + event.delta_x() } else { event.delta_x() };
            if turned.abs() > 4.0 && (event.shift_key() || turned.abs() > event.delta_y().abs()) {
                let by = (turned / 30.0).round() as i64;
                ask.emit(Command::Zoom(Zoom::Scroll(
                    partition.clone(),
                    if by == 0 { turned.signum() as i64 } else { by },
                )));
            }
        })
    };
    let missing = cell.log_end.max(first)..if adrift { 0 } else { widest.min(cell.log_end + MISSING_SHOWN) };
    html! {
        <div class={classes!("cell", class, props.differs.then_some("differs"))} role="gridcell" tabindex={if props.tab { "0" } else { "-1" }}
            aria-description={cell.description.clone()} data-cell={format!("{}@{}", row.name, cell.broker)}
            style={leads.then(|| format!("--lanes:{}", lanes(row)))} onclick={select} onkeydown={keys}>
            <div class="cell-head" aria-hidden="true">
                <span class="which">{ cell.broker }</span>
                <span class="tag"><span class="sign">{ sign(cell) }</span><span class="word">{ tag }</span></span>
                <span class="ends"><span><span class="word">{ "end " }</span><i>{ cell.log_end }</i></span><span class="hw">{ "hw " }<i>{ cell.high_watermark }</i></span></span>
            </div>
            <div class="strip" aria-hidden="true" onpointerdown={drag} onwheel={wheel}>
                <div class="track" style={format!("--end:{}", widest - base)}>
                    <b class="water" style={place(cell.high_watermark)} />
                    if painted {
                        <Painted records={cell.records.clone()} {first} place={first - base} shown={props.shown} />
                    } else {
                        <div class="records">
                            { for cell.records.iter().filter(|record| record.offset >= first).map(|record| {
                                draw(record, base, if record.offset >= memory.fresh { "fresh" } else { "" })
                            }) }
                        </div>
                    }
                    <div class="records">
                        { for missing.map(|offset| html! { <s key={offset as u64} class="rec missing" style={place(offset)} /> }) }
                    </div>
                    if adrift {
                        <span class="behind-by" style={place(cell.log_end)}>{ format!("{behind} behind") }</span>
                    }
                    <div class="records" key={memory.falls}>
                        { for memory.fallen.iter().map(|record| draw(record, base, "fallen")) }
                    </div>
                    <b class="hw-line" style={place(cell.high_watermark)}>{ part(Wave) }</b>
                    if leads {
                        { cursors(row, base, &props.ask) }
                    }
                </div>
            </div>
        </div>
    }
}

/// The hands of up to so many readers each have a lane with a name.
const LANES: usize = 3;

/// Where more read, those at the same place share a lane: the first one's name stands for all.
fn cursors(row: &PartitionRow, base: i64, ask: &Ask) -> Html {
    let crowded = row.cursors.len() > LANES;
    let places = places(row);
    let hands = row.cursors.iter().enumerate().map(|(index, cursor)| {
        let is_here = |other: &&Cursor| other.position == cursor.position;
        let place = places.partition_point(|place| *place > cursor.position);
        let is_first = !row.cursors[..index].iter().any(|other| is_here(&other));
        let lane = if crowded { place } else { index };
        let named = !crowded || is_first;
        let others = row.cursors.iter().filter(|other| crowded && is_here(other) && other.consumer != cursor.consumer);
        let others = others.map(|other| other.consumer.clone()).collect();
        let (cursor, partition, ask) = (cursor.clone(), row.name.clone(), ask.clone());
        keyed(cursor.consumer.clone(), Hands { cursor, named, others, partition, lane, base, ask })
    });
    html! { <div class="cursors">{ for hands }</div> }
}

/// Where anybody reads, the farthest first.
fn places(row: &PartitionRow) -> Vec<Option<i64>> {
    let mut places: Vec<Option<i64>> = row.cursors.iter().map(|cursor| cursor.position).collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    places.dedup();
    places
}

fn lanes(row: &PartitionRow) -> usize {
    if row.cursors.len() > LANES { places(row).len() } else { row.cursors.len() }
}

/// A click on a record selects it, one beside the records the replica.
fn select(props: &CellProps, first: i64) -> Callback<MouseEvent> {
    let (ask, partition, room) = (props.ask.clone(), props.row.name.clone(), props.shown);
    let ReplicaCell { broker, log_end: end, .. } = props.row.cells[props.index];
    Callback::from(move |event: MouseEvent| {
        let partition = partition.clone();
        if browser::data_of(event.target(), "pulled").is_some() {
            return;
        }
        let offset = browser::data_of(event.target(), "offset").and_then(|offset| offset.parse().ok());
        let painted = || place_at(&event, room).map(|place| first + place).filter(|offset| *offset < end);
        let offset = offset.or_else(painted);
        ask.emit(Command::Select(match offset {
            Some(offset) => Selection::Record { partition, broker, offset },
            None => Selection::Replica { partition, broker },
        }));
    })
}

fn draw(record: &RecordCell, base: i64, extra: &'static str) -> Html {
    let (class, style) = look(record, base, extra);
    html! {
        <s key={record.offset as u64} {class} {style} title={in_words(record)} data-offset={record.offset.to_string()}>
            { &record.mark }<small>{ record.offset }</small>
        </s>
    }
}

fn look(record: &RecordCell, base: i64, extra: &'static str) -> (Classes, String) {
    let hue = record.hue.map_or(String::new(), |hue| format!(";--h:{hue}"));
    let class = classes!(
        "rec",
        if record.committed { "committed" } else { "open" },
        record.hue.is_none().then_some("plain"),
        record.control.then_some("control"),
        record.transaction.filter(|fate| *fate != TransactionFate::Committed).map(|fate| match fate {
            TransactionFate::Aborted => "aborted",
            _ => "undecided",
        }),
        extra
    );
    (class, format!("--i:{}{hue}", record.offset - base))
}

fn in_words(record: &RecordCell) -> String {
    let key = record.key.as_deref().unwrap_or("no key");
    let value = record.value.as_deref().unwrap_or("null");
    let readable = if record.committed { "" } else { " · above the high watermark" };
    let fate = record.transaction.map_or(String::new(), |fate| format!(" · of a transaction: {}", fate.word()));
    format!("{key} = {value} · offset {} · leader epoch {}{readable}{fate}", record.offset, record.leader_epoch)
}

/// The crest of the watermark.
#[derive(PartialEq)]
struct Wave;

impl Part for Wave {
    fn draw(&self) -> Html {
        html! { <svg viewBox="0 0 16 6"><path d="M1 4q3.5-4.4 7 0t7 0" /></svg> }
    }
}

/// A reader on the log: what it committed, where it is, and between the two the redelivery window.
#[derive(PartialEq)]
struct Hands {
    cursor: Cursor,
    /// Whether the label is its own; otherwise another one's at this place counts it.
    named: bool,
    /// Who is at the same place and in the same lane.
    others: Vec<String>,
    partition: String,
    lane: usize,
    base: i64,
    ask: Ask,
}

impl Part for Hands {
    fn draw(&self) -> Html {
        let Cursor { consumer, hand, committed, restart, position, .. } = &self.cursor;
        let Some(position) = *position else { return html! {} };
        let restart = restart.unwrap_or(position).min(position);
        let style = format!("--c:{};--p:{};--lane:{}", restart - self.base, position - self.base, self.lane);
        let committed = committed.map_or("nothing yet".to_string(), |offset| offset.to_string());
        let drag = {
            let (ask, partition, consumer) = (self.ask.clone(), self.partition.clone(), consumer.clone());
            Callback::from(move |event: PointerEvent| {
                let (ask, partition, consumer) = (ask.clone(), partition.clone(), consumer.clone());
                browser::drag_along(event, position, move |offset| {
                    ask.emit(Command::Act(format!("seek {consumer} {partition} {}", offset.max(0))));
                });
            })
        };
        let seeks = *hand == Hand::Consumer;
        let title = match hand {
            Hand::Consumer => format!("{consumer}: position {position}, committed {committed}. Drag to seek."),
            Hand::Stream => format!("{consumer}: position {position}, checkpoint {committed}."),
            Hand::ShareGroup => format!("{consumer}: start offset {committed}, in flight before {position}."),
        };
        let title = match self.others.join(", ") {
            others if others.is_empty() => title,
            others => format!("{title} Here, too: {others}."),
        };
        html! {
            <div class="hands" {style}>
                <b class="window" />
                <b class="committed-at" />
                <b class="position-at" {title} onpointerdown={seeks.then_some(drag)} onclick={|event: MouseEvent| event.stop_propagation()}>
                    <svg viewBox="0 0 12 10"><path d="M6 0.5 11.5 9.5H0.5z" /></svg>
                    if self.named {
                        <span>{ consumer }if !self.others.is_empty() { <small>{ format!("+{}", self.others.len()) }</small> }</span>
                    }
                </b>
            </div>
        }
    }
}
