//! How closely the partitions are drawn: every record a cell, a replica a bar, a replica a tile. Scale
//! changes the drawing, not the page.

use std::ops::Range;
use std::rc::Rc;

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::part::Part;
use crate::view::partitions::RECORDS_SHOWN;
use crate::view::stage::{Focus, Stage};

/// More rows than these are not all in the page at once, only those near the view.
const WINDOW_FROM: usize = 24;
/// More brokers than these have narrow columns, but for those that hold what was zoomed in to.
pub const WIDE_BROKERS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Tiles,
    Bars,
    Records,
}

impl Level {
    /// What a cluster of this size is drawn with unless somebody chooses.
    pub fn fitting(stage: &Stage) -> Level {
        match (stage.brokers.len(), stage.rows.len()) {
            (..=WIDE_BROKERS, ..=12) => Level::Records,
            (..=12, ..=48) => Level::Bars,
            _ => Level::Tiles,
        }
    }

    fn closer(self) -> Option<Level> {
        match self {
            Level::Tiles => Some(Level::Bars),
            Level::Bars => Some(Level::Records),
            Level::Records => None,
        }
    }

    fn farther(self) -> Option<Level> {
        match self {
            Level::Tiles => None,
            Level::Bars => Some(Level::Tiles),
            Level::Records => Some(Level::Bars),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Level::Tiles => "tiles",
            Level::Bars => "bars",
            Level::Records => "records",
        }
    }
}

/// What a person asks of the zoom.
#[derive(Clone, Debug, PartialEq)]
pub enum Zoom {
    In,
    Out,
    /// Back to what fits the cluster.
    Fit,
    /// To this partition's records.
    To(String),
    /// Other rows have come near the view.
    Near(Range<usize>),
    /// Back to older records of a partition by so many, or on to newer ones.
    Scroll(String, i64),
}

/// How the partitions are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Looking {
    /// `None`: what fits.
    chosen: Option<Level>,
    pub near: Range<usize>,
    pub scrolled: crate::sorted::SortedMap<String, i64>,
    /// The partition that was zoomed in to, and how often that has been done.
    pub target: Option<String>,
    pub times: u32,
}

/// At least so many records stay in view at the old end of a log.
const LEAST_IN_VIEW: i64 = 8;

impl Looking {
    pub fn level(&self, stage: &Stage) -> Level {
        self.chosen.unwrap_or_else(|| Level::fitting(stage))
    }

    /// Which rows are in the page, and which of them with their records.
    pub fn rows(&self, stage: &Stage) -> Range<usize> {
        let all = stage.rows.len();
        if self.level(stage) != Level::Tiles && all <= WINDOW_FROM {
            return 0..all;
        }
        if self.near.is_empty() { 0..all.min(WINDOW_FROM) } else { self.near.start.min(all)..self.near.end.min(all) }
    }

    /// What of the stage is looked at closely, where so many records of a log fit.
    pub fn focus(&self, stage: &Stage, fitting: i64) -> Focus {
        let shown = self.rows(stage);
        let rows = match self.level(stage) {
            // Rows that are about to come are looked at too.
            Level::Records if shown.len() == stage.rows.len() => 0..usize::MAX,
            Level::Records => shown,
            _ => 0..0,
        };
        Focus { rows, records: fitting.min(RECORDS_SHOWN), scrolled: self.scrolled.clone() }
    }

    pub fn change(&mut self, zoom: Zoom, stage: &Stage) {
        let level = self.level(stage);
        match zoom {
            Zoom::In => self.chosen = level.closer().or(self.chosen),
            Zoom::Out => self.chosen = level.farther().or(self.chosen),
            Zoom::Fit => {
                self.chosen = None;
                self.target = None;
            }
            Zoom::To(partition) => {
                let index = stage.rows.iter().position(|row| row.name == partition).unwrap_or(0);
                self.near = index.saturating_sub(8)..index + 12;
                self.chosen = Some(Level::Records);
                self.target = Some(partition);
                self.times += 1;
            }
            Zoom::Near(rows) => self.near = rows,
            Zoom::Scroll(partition, by) => self.scroll(partition, by, stage),
        }
    }

    fn scroll(&mut self, partition: String, by: i64, stage: &Stage) {
        let Some(row) = stage.rows.iter().find(|row| row.name == partition) else { return };
        let newest = row.cells.iter().map(|cell| cell.log_end).max().unwrap_or(0);
        let oldest = (row.log_start + LEAST_IN_VIEW).min(newest);
        let until = self.scrolled.get(&partition).copied().unwrap_or(newest).saturating_add(by).max(oldest);
        if until >= newest {
            self.scrolled.remove(&partition);
        } else {
            self.scrolled.insert(partition, until);
        }
    }
}

/// The buttons that change it.
#[derive(PartialEq)]
pub struct Control {
    pub level: Level,
    pub stage: Rc<Stage>,
    pub ask: Ask,
}

impl Part for Control {
    fn draw(&self) -> Html {
        let button = |name: &'static str, sign: &'static str, key: &'static str, zoom: Zoom, able: bool| {
            html! {
                <button class="icon" aria-label={name} title={format!("{name}  ({key})")} disabled={!able}
                    onclick={on(&self.ask, Command::Zoom(zoom))}>{ sign }</button>
            }
        };
        let fits = Level::fitting(&self.stage) == self.level;
        html! {
            <div class="zoom" role="group" aria-label="Zoom">
                { button("Zoom out", "−", "-", Zoom::Out, self.level.farther().is_some()) }
                <span class="level" aria-live="off">{ self.level.name() }</span>
                { button("Zoom in", "+", "+", Zoom::In, self.level.closer().is_some()) }
                { button("Zoom to fit", "⤢", "0", Zoom::Fit, !fits) }
            </div>
        }
    }
}
