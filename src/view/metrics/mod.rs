//! The metrics of the viewed instant, and how they came there: one chart each, over virtual time.

mod catalogue;

use std::rc::Rc;

use crate::history::History;
use crate::history::samples::Key;
use crate::kafka::fact::Names;
use crate::sim::World;
use crate::sim::metrics::{Metric, Readings, Reporter};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::view::timeline::{Mark, MarkKind};
use crate::wire::NodeId;

pub use crate::sim::metrics::Kind;
pub use catalogue::{About, Area};

/// So many reporters have lines of their own in one chart.
const LINES_MAX: usize = 6;

/// What a chart draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose it is, where a chart has several.
    pub name: String,
    /// The value from each instant on; `None`: nobody reported. Only where it changes.
    pub points: Vec<(Instant, Option<i64>)>,
}

impl Line {
    /// What the line shows at an instant.
    pub fn at(&self, at: Instant) -> Option<i64> {
        let index = self.points.partition_point(|(from, _)| *from <= at).checked_sub(1)?;
        self.points[index].1
    }
}

/// A metric at the viewed instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    pub about: About,
    /// All reporters as one; `None` when nobody reports.
    pub value: Option<i64>,
    /// What each reports: `broker 1` → 18.
    pub by: Vec<(String, i64)>,
    pub lines: Rc<Vec<Line>>,
}

impl Chart {
    /// The value in words: `18 partitions`, `no report`.
    pub fn says(&self) -> String {
        self.says_of(self.value)
    }

    pub fn says_of(&self, value: Option<i64>) -> String {
        let unit = self.about.unit;
        value.map_or("nobody reports".to_string(), |value| format!("{} {unit}", self.about.say(value)))
    }

    /// All lines at an instant, as one value.
    pub fn at(&self, at: Instant) -> Option<i64> {
        self.about.metric.whole(self.lines.iter().filter_map(|line| line.at(at)))
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Metrics {
    /// The viewed instant, and the newest one.
    pub now: Instant,
    pub end: Instant,
    /// Where the axis ends: some way behind the newest instant, so that the charts need not move with it.
    pub span: Instant,
    pub charts: Vec<Rc<Chart>>,
    /// What a person did and what leaders came of it, each instant once.
    pub marks: Rc<Vec<(Instant, MarkKind)>>,
}

/// What the metrics say at one instant: the whole of each, and what each reporter says.
pub type Measured = SortedMap<Metric, (i64, Vec<(String, i64)>)>;

pub fn measure(world: &World) -> Measured {
    let mut by: SortedMap<Metric, Vec<(String, i64)>> = SortedMap::new();
    for ((metric, reporter), value) in world.metrics() {
        by.entry(metric).or_default().push((name(world, &reporter), value));
    }
    let whole = |(metric, by): (Metric, Vec<(String, i64)>)| {
        Some((metric, (metric.whole(by.iter().map(|(_, value)| *value))?, by)))
    };
    by.into_iter().filter_map(whole).collect()
}

fn name(names: &dyn Names, reporter: &Reporter) -> String {
    match reporter {
        Reporter::Node(NodeId::Broker(broker)) => format!("broker {}", broker.0),
        Reporter::Node(node) => names.node(*node),
        Reporter::Group(group) => group.0.to_string(),
    }
}

/// Draws the metrics as the history grows: a line is made anew only when there is a new sample.
#[derive(Clone, Debug, Default)]
pub struct Plotter {
    /// What the lines were made of: the samples' version and number, and the head's last step.
    made_of: Option<(u64, u32, u64, Instant)>,
    lines: SortedMap<Metric, Rc<Vec<Line>>>,
    shown: Metrics,
}

impl Plotter {
    /// The metrics at the viewed instant; `marks` are those of the timeline.
    pub fn plot(&mut self, history: &History, marks: &[Mark]) -> &Metrics {
        let samples = history.samples();
        let (steps, end) = (history.count(), history.end());
        let made_of = Some((samples.version(), samples.taken(), steps, end));
        let grown =
            self.made_of.is_none_or(|(version, taken, _, _)| (version, taken) != (samples.version(), samples.taken()));
        if grown || (history.is_in_past() && self.made_of != made_of) {
            self.made_of = made_of;
            self.draw_lines(history);
        }
        let mut measured = measure(history.world());
        let charts: Vec<Rc<Chart>> = Metric::ALL.iter().map(|metric| self.chart(*metric, &mut measured)).collect();
        if self.shown.marks.last().map(|(at, _)| *at) != kept(marks).next_back().map(|mark| mark.at) {
            self.shown.marks = Rc::new(thinned(marks));
        }
        self.shown = Metrics { now: history.now(), end, span: span(end), charts, marks: self.shown.marks.clone() };
        &self.shown
    }

    /// The chart as it was, where nothing has changed.
    fn chart(&self, metric: Metric, measured: &mut Measured) -> Rc<Chart> {
        let about = About::of(metric);
        let (value, mut by) = measured.remove(&metric).map_or((None, Vec::new()), |(value, by)| (Some(value), by));
        let value = value.map(|value| about.rounded(value));
        by.iter_mut().for_each(|(_, value)| *value = about.rounded(*value));
        let lines = self.lines.get(&metric).cloned().unwrap_or_default();
        let before = self.shown.charts.iter().find(|chart| chart.about.metric == metric);
        match before {
            Some(before) if before.value == value && before.by == by && Rc::ptr_eq(&before.lines, &lines) => {
                before.clone()
            }
            _ => Rc::new(Chart { about, value, by, lines }),
        }
    }

    fn draw_lines(&mut self, history: &History) {
        let samples = history.samples();
        let newest = history.head().world.metrics();
        for &metric in Metric::ALL {
            let parts: Vec<&Key> = samples.keys().filter(|(of, by)| *of == metric && by.is_some()).collect();
            let lines: Vec<Line> = if (2..=LINES_MAX).contains(&parts.len()) {
                parts.iter().map(|key| line(history, key, &newest)).collect()
            } else {
                vec![line(history, &(metric, None), &newest)]
            };
            match self.lines.get(&metric) {
                Some(old) if **old == lines => {}
                _ => {
                    self.lines.insert(metric, Rc::new(lines));
                }
            }
        }
    }
}

/// The samples where they change, and what is true at the newest instant.
fn line(history: &History, key: &Key, newest: &Readings) -> Line {
    let (metric, reporter) = key;
    let name = reporter.as_ref().map_or(String::new(), |reporter| name(&history.head().world, reporter));
    let of_all = || metric.whole(newest.iter().filter(|((of, _), _)| of == metric).map(|(_, value)| *value));
    let last = match reporter {
        Some(reporter) => newest.get(&(*metric, reporter.clone())).copied(),
        None => of_all(),
    };
    let mut points: Vec<(Instant, Option<i64>)> = Vec::new();
    for (at, value) in history.samples().of(key).chain([(history.end(), last)]) {
        if points.last().is_none_or(|(_, before)| *before != value) {
            points.push((at, value));
        }
    }
    Line { name, points }
}

/// The end of the axis: the next of 10, 15, 20, 30, 40, 60, 80 seconds and so on.
fn span(end: Instant) -> Instant {
    let mut at = Instant::from_secs(10);
    loop {
        for share in [2, 3] {
            let candidate = Instant(at.0 / 2 * share);
            if end <= candidate {
                return candidate;
            }
        }
        at = Instant(at.0 * 2);
    }
}

fn kept(marks: &[Mark]) -> impl DoubleEndedIterator<Item = &Mark> {
    let kinds = [MarkKind::Fault, MarkKind::Recovery, MarkKind::Election, MarkKind::Quorum];
    marks.iter().filter(move |mark| mark.at > Instant::ZERO && kinds.contains(&mark.kind))
}

/// Fifty elections of one instant are one mark.
fn thinned(marks: &[Mark]) -> Vec<(Instant, MarkKind)> {
    let mut thinned: Vec<(Instant, MarkKind)> = kept(marks).map(|mark| (mark.at, mark.kind)).collect();
    thinned.dedup();
    thinned
}
