//! The heat map: under each broker one tile for every replica that it holds, so that a thousand
//! partitions are seen at one look. The rows stay in the page for whoever reads rather than looks.

use std::rc::Rc;

use gloo::events::EventListener;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};
use yew::prelude::*;

use crate::sorted::SortedMap;
use crate::ui::browser::{custom, document, fit_to_screen, pen, prefers, window};
use crate::ui::command::{Ask, Command};
use crate::ui::flights::show_tip;
use crate::ui::part::{Part, part};
use crate::ui::partitions::{Columns, standing};
use crate::ui::theme::LOOKS_CHANGED;
use crate::ui::zoom::Zoom;
use crate::view::partitions::{PartitionRow, ReplicaRole};
use crate::view::stage::Stage;

/// The gap between two columns, as the styles have it.
const GAP: f64 = 3.0;
const LARGEST: f64 = 22.0;
const SMALLEST: f64 = 6.0;
/// How long a tile stays hot after its log has grown, in drawings.
const HOT: u8 = 6;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub stage: Rc<Stage>,
    pub columns: Rc<Columns>,
    /// The row, and the broker of the replica, that the keyboard has reached in the rows.
    pub at: Option<(usize, Option<i32>)>,
    pub ask: Ask,
}

/// What is known of the canvas between two drawings.
#[derive(Default)]
struct Board {
    pen: Option<CanvasRenderingContext2d>,
    columns: Rc<Columns>,
    size: (f64, f64),
    around: Option<Around>,
    colours: SortedMap<&'static str, String>,
    plan: Plan,
    drawn: Vec<Rc<PartitionRow>>,
    heat: Vec<u8>,
    pointed: Option<usize>,
}

/// Where the tiles stand.
#[derive(Default, Clone, Debug, PartialEq)]
struct Plan {
    tile: f64,
    column: f64,
    across: usize,
    /// By broker's column: which rows have a replica there, as `(row, cell)`.
    held: Vec<Vec<(usize, usize)>>,
}

impl Plan {
    fn new(rows: &[Rc<PartitionRow>], columns: &Columns, (width, height): (f64, f64)) -> Plan {
        let places: SortedMap<i32, usize> =
            columns.brokers.iter().enumerate().map(|(place, (broker, _))| (*broker, place)).collect();
        let mut held = vec![Vec::new(); columns.brokers.len()];
        for (row, partition) in rows.iter().enumerate() {
            for (cell, replica) in partition.cells.iter().enumerate() {
                if let Some(place) = places.get(&replica.broker) {
                    held[*place].push((row, cell));
                }
            }
        }
        let most = held.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let count = held.len().max(1) as f64;
        let column = (width - GAP * (count - 1.0)) / count;
        let fits = |tile: f64| (column / tile).floor().max(1.0) * (height / tile).floor() >= most as f64;
        let mut tile = LARGEST.min(column);
        while tile > SMALLEST && !fits(tile) {
            tile -= 0.5;
        }
        Plan { tile, column, across: ((column / tile).floor() as usize).max(1), held }
    }

    fn height(&self) -> f64 {
        let most = self.held.iter().map(Vec::len).max().unwrap_or(0);
        most.div_ceil(self.across) as f64 * self.tile
    }

    fn at(&self, column: usize, place: usize) -> (f64, f64) {
        let left = column as f64 * (self.column + GAP) + (self.column - self.across as f64 * self.tile) / 2.0;
        (left + (place % self.across) as f64 * self.tile, (place / self.across) as f64 * self.tile)
    }

    /// The `(row, cell)` whose tile is at a point.
    fn hit(&self, x: f64, y: f64) -> Option<(usize, usize)> {
        let column = (x / (self.column + GAP)).floor();
        let inside = x - self.at(column as usize, 0).0;
        let (across, down) = ((inside / self.tile).floor(), (y / self.tile).floor());
        if column < 0.0 || across < 0.0 || across as usize >= self.across || down < 0.0 {
            return None;
        }
        self.held.get(column as usize)?.get(down as usize * self.across + across as usize).copied()
    }
}

#[component]
pub fn Tiles(props: &Props) -> Html {
    let board = use_mut_ref(Board::default);
    let canvas = use_node_ref();
    {
        let (board, canvas, props) = (board.clone(), canvas.clone(), (props.stage.clone(), props.columns.clone()));
        use_effect_with(props, move |(stage, columns)| {
            if let Some(canvas) = canvas.cast::<HtmlCanvasElement>() {
                board.borrow_mut().draw(&canvas, &stage.rows, columns);
            }
        });
    }
    {
        // Another theme, another size: while time stands still nothing else draws the tiles again.
        let (board, canvas) = (board.clone(), canvas.clone());
        use_effect_with((), move |()| {
            let listener = EventListener::new(&window(), LOOKS_CHANGED, move |_| {
                if let Some(canvas) = canvas.cast::<HtmlCanvasElement>() {
                    board.borrow_mut().draw_again(&canvas);
                }
            });
            move || drop(listener)
        });
    }
    let hit = {
        let board = board.clone();
        move |event: &MouseEvent| board.borrow().plan.hit(f64::from(event.offset_x()), f64::from(event.offset_y()))
    };
    let point = {
        let (board, canvas, stage, hit) = (board.clone(), canvas.clone(), props.stage.clone(), hit.clone());
        Callback::from(move |event: PointerEvent| {
            let found = hit(&event);
            show(&board, &canvas, &stage, found, Some((event.client_x().into(), event.client_y().into())));
            event.stop_propagation();
        })
    };
    let leave = {
        let (board, canvas, stage) = (board.clone(), canvas.clone(), props.stage.clone());
        Callback::from(move |_: PointerEvent| show(&board, &canvas, &stage, None, None))
    };
    let press = {
        let (ask, stage) = (props.ask.clone(), props.stage.clone());
        Callback::from(move |event: MouseEvent| {
            if let Some(row) = hit(&event).and_then(|(row, _)| stage.rows.get(row)) {
                show_tip(None);
                ask.emit(Command::Zoom(Zoom::To(row.name.clone())));
            }
        })
    };
    {
        let (board, canvas, stage) = (board.clone(), canvas.clone(), props.stage.clone());
        use_effect_with(props.at, move |at| {
            let found = at.and_then(|(row, broker)| {
                let cells = &stage.rows.get(row)?.cells;
                Some((row, cells.iter().position(|cell| Some(cell.broker) == broker).unwrap_or(0)))
            });
            if found.is_some() {
                show(&board, &canvas, &stage, found, None);
            }
        });
    }
    html! {
        <div class="tiles">
            { part(Summary { stage: props.stage.clone() }) }
            <canvas ref={canvas} aria-hidden="true" onpointermove={point} onpointerleave={leave} onclick={press} />
        </div>
    }
}

/// Outlines the replicas of what is pointed at, and tells of it in words: beside the pointer, or without
/// one beside its tile.
fn show(
    board: &Rc<std::cell::RefCell<Board>>,
    canvas: &NodeRef,
    stage: &Rc<Stage>,
    found: Option<(usize, usize)>,
    pointer: Option<(f64, f64)>,
) {
    let mut board = board.borrow_mut();
    let row = found.map(|(row, _)| row);
    if board.pointed != row {
        board.pointed = row;
        board.paint(&stage.rows);
    }
    let Some(((row, cell), canvas)) = found.zip(canvas.cast::<HtmlCanvasElement>()) else { return show_tip(None) };
    let Some(partition) = stage.rows.get(row) else { return show_tip(None) };
    let (x, y) = pointer.unwrap_or_else(|| {
        let edge = canvas.get_bounding_client_rect();
        let (x, y) = board.place(row, cell).unwrap_or_default();
        (edge.left() + x, edge.top() + y)
    });
    show_tip(Some((&in_words(partition, cell), x, y)));
}

/// `orders-417 on broker 12: leader · leader 12, epoch 0, ISR 12,13,14 · end 56, high watermark 56`
fn in_words(row: &PartitionRow, cell: usize) -> String {
    let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let leader = row.leader.map_or("none".to_string(), |leader| leader.to_string());
    let here = row.cells.get(cell);
    let here = here.map_or(String::new(), |cell| {
        let (_, tag) = standing(cell);
        format!(" on broker {}: {tag}, end {}, hw {}", cell.broker, cell.log_end, cell.high_watermark)
    });
    let name = &row.name;
    format!(
        "{name}{here} · leader {leader}, epoch {}, ISR {} of {}",
        row.leader_epoch,
        ids(&row.isr),
        ids(&row.replicas)
    )
}

const ROLES: [&str; 7] = ["--leader-line", "--in-sync", "--edge", "--offline", "--offline-soft", "--surface", "--ink"];

impl Board {
    fn place(&self, row: usize, cell: usize) -> Option<(f64, f64)> {
        let at = |held: &Vec<(usize, usize)>| held.iter().position(|other| *other == (row, cell));
        let (column, place) = self.plan.held.iter().enumerate().find_map(|(column, held)| Some((column, at(held)?)))?;
        Some(self.plan.at(column, place))
    }

    /// Everything anew, as it was.
    fn draw_again(&mut self, canvas: &HtmlCanvasElement) {
        self.around = None;
        let (rows, columns) = (std::mem::take(&mut self.drawn), self.columns.clone());
        self.draw(canvas, &rows, &columns);
    }

    fn draw(&mut self, canvas: &HtmlCanvasElement, rows: &[Rc<PartitionRow>], columns: &Rc<Columns>) {
        let same = rows.len() == self.drawn.len()
            && rows.iter().zip(&self.drawn).all(|(a, b)| Rc::ptr_eq(a, b) || a.replicas == b.replicas);
        let around = Around::look();
        if self.pen.is_none() || self.around != Some(around) || !same {
            self.around = Some(around);
            self.columns = Rc::clone(columns);
            let width = f64::from(canvas.client_width());
            self.plan = Plan::new(rows, columns, (width, room(canvas)));
            self.size = (width, self.plan.height().max(1.0));
            self.pen = prepare(canvas, self.size.0, self.size.1);
            self.colours = ROLES.iter().map(|role| (*role, custom(canvas, role))).collect();
        }
        self.heat.resize(rows.len(), 0);
        for (index, row) in rows.iter().enumerate() {
            let grown = self.drawn.get(index).is_some_and(|old| !Rc::ptr_eq(old, row) && row.log_end > old.log_end);
            self.heat[index] = if grown { HOT } else { self.heat[index].saturating_sub(1) };
        }
        self.drawn = rows.to_vec();
        self.paint(rows);
    }

    fn paint(&self, rows: &[Rc<PartitionRow>]) {
        let Some(pen) = &self.pen else { return };
        pen.clear_rect(0.0, 0.0, self.size.0, self.size.1);
        let side = self.plan.tile - if self.plan.tile > 9.0 { 2.5 } else { 1.25 };
        let colour = |role: &str| self.colours.get(role).map_or("", String::as_str);
        for (role, hot) in [
            (ReplicaRole::Offline, false),
            (ReplicaRole::OutOfSync, false),
            (ReplicaRole::InSync, false),
            (ReplicaRole::InSync, true),
            (ReplicaRole::Leader, false),
            (ReplicaRole::Leader, true),
        ] {
            pen.begin_path();
            for (column, held) in self.plan.held.iter().enumerate() {
                for (place, (row, cell)) in held.iter().enumerate() {
                    let Some(replica) = rows.get(*row).and_then(|row| row.cells.get(*cell)) else { continue };
                    let is_hot = self.heat[*row] > 0 && matches!(role, ReplicaRole::Leader | ReplicaRole::InSync);
                    if replica.role != role || is_hot != hot {
                        continue;
                    }
                    let (x, y) = self.plan.at(column, place);
                    match role {
                        // What is out of sync is smaller, what is offline a cross: told apart without colour.
                        ReplicaRole::OutOfSync => pen.rect(x + side * 0.25, y + side * 0.25, side * 0.5, side * 0.5),
                        ReplicaRole::Offline => {
                            pen.move_to(x + 1.0, y + 1.0);
                            pen.line_to(x + side - 1.0, y + side - 1.0);
                            pen.move_to(x + side - 1.0, y + 1.0);
                            pen.line_to(x + 1.0, y + side - 1.0);
                        }
                        ReplicaRole::InSync => pen.rect(x + 0.5, y + 0.5, side - 1.0, side - 1.0),
                        ReplicaRole::Leader => pen.rect(x, y, side, side),
                    }
                }
            }
            let (fill, stroke, alpha) = match role {
                ReplicaRole::Leader => (Some("--leader-line"), None, if hot { 1.0 } else { 0.62 }),
                ReplicaRole::InSync => (Some("--in-sync"), Some("--in-sync"), if hot { 0.6 } else { 0.16 }),
                ReplicaRole::OutOfSync => (None, Some("--edge"), 1.0),
                ReplicaRole::Offline => (None, Some("--offline"), 1.0),
            };
            if let Some(fill) = fill {
                pen.set_global_alpha(alpha);
                pen.set_fill_style_str(colour(fill));
                pen.fill();
            }
            if let Some(stroke) = stroke {
                pen.set_global_alpha(if role == ReplicaRole::InSync { 0.5 } else { 1.0 });
                pen.set_line_width(if role == ReplicaRole::Offline { 1.6 } else { 1.0 });
                pen.set_stroke_style_str(colour(stroke));
                pen.stroke();
            }
        }
        pen.set_global_alpha(1.0);
        self.outline(pen, rows, side);
    }

    /// The replicas of the partition that is pointed at.
    fn outline(&self, pen: &CanvasRenderingContext2d, rows: &[Rc<PartitionRow>], side: f64) {
        let Some((index, row)) = self.pointed.and_then(|index| Some((index, rows.get(index)?))) else { return };
        pen.set_stroke_style_str(self.colours.get("--ink").map_or("", String::as_str));
        pen.set_line_width(2.0);
        for cell in 0..row.cells.len() {
            if let Some((x, y)) = self.place(index, cell) {
                pen.stroke_rect(x - 0.5, y - 0.5, side + 1.0, side + 1.0);
            }
        }
    }
}

/// What makes it necessary to measure and to look up colours anew, and is asked without a layout.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Around {
    width: Option<f64>,
    height: Option<f64>,
    dark: bool,
}

impl Around {
    fn look() -> Around {
        let of = |value: Result<wasm_bindgen::JsValue, _>| value.ok().and_then(|value| value.as_f64());
        let chosen = document().document_element().and_then(|root| root.get_attribute("data-theme"));
        let dark = chosen.map_or_else(|| prefers("(prefers-color-scheme: dark)"), |theme| theme == "dark");
        Around { width: of(window().inner_width()), height: of(window().inner_height()), dark }
    }
}

/// How much height there is for the tiles without scrolling.
fn room(canvas: &HtmlCanvasElement) -> f64 {
    const LEAST: f64 = 120.0;
    let Some(grid) = canvas.closest(".grid").ok().flatten() else { return LEAST };
    let above = canvas.get_bounding_client_rect().top() - grid.get_bounding_client_rect().top();
    (f64::from(grid.client_height()) - above - f64::from(grid.scroll_top()) - 8.0).max(LEAST)
}

fn prepare(canvas: &HtmlCanvasElement, width: f64, height: f64) -> Option<CanvasRenderingContext2d> {
    canvas.style().set_property("height", &format!("{height}px")).ok()?;
    let pen = pen(canvas)?;
    fit_to_screen(canvas, &pen, (width, height));
    Some(pen)
}

/// How the partitions are, in numbers; at the same time what the tiles mean.
#[derive(PartialEq)]
struct Summary {
    stage: Rc<Stage>,
}

impl Part for Summary {
    fn draw(&self) -> Html {
        let rows = &self.stage.rows;
        let count = |holds: fn(&PartitionRow) -> bool| rows.iter().filter(|row| holds(row)).count();
        let under = count(|row| row.isr.len() < row.replicas.len());
        let offline = count(|row| row.leader.is_none());
        let line = |class: &'static str, number: usize, what: &str| html! { <p class={class}><i>{ number }</i>{ " " }{ what.to_string() }</p> };
        html! {
            <div class="summary">
                { line("", rows.len(), "partitions") }
                { line(if under > 0 { "bad" } else { "" }, under, "under-replicated") }
                { line(if offline > 0 { "bad" } else { "" }, offline, "without a leader") }
                <ul aria-label="Tiles">
                    <li class="leads">{ "leader" }</li>
                    <li class="follows">{ "in sync" }</li>
                    <li class="behind">{ "out of sync" }</li>
                    <li class="gone">{ "offline" }</li>
                </ul>
            </div>
        }
    }
}
