//! One small chart as a picture: lines over virtual time, with axes, by `plotters`.
//!
//! Its colours are numbers of roles that the styles give a colour, so that a chart follows the theme.

use plotters::prelude::*;
use plotters::style::colors::TRANSPARENT;

use crate::time::Instant;
use crate::view::metrics::{About, Kind, Line};
use crate::view::timeline::MarkKind;

/// Room around the lines, in pixels: for the labels, and so that a line at the top is whole.
pub const LEFT: u32 = 30;
pub const RIGHT: u32 = 17;
const TOP: u32 = 7;
const BOTTOM: u32 = 14;
const HEIGHT: u32 = 62;

/// The roles of colours in `metrics.css`: `#000001` and so on.
const GRID: RGBColor = RGBColor(0, 0, 1);
const WORDS: RGBColor = RGBColor(0, 0, 2);
const FAULT: RGBColor = RGBColor(0, 0, 3);
const RECOVERY: RGBColor = RGBColor(0, 0, 4);
const ELECTION: RGBColor = RGBColor(0, 0, 5);
/// The first line's; the others follow.
const LINE: u8 = 16;

/// What is drawn.
pub struct Picture<'a> {
    pub about: &'a About,
    pub lines: &'a [Line],
    pub marks: &'a [(Instant, MarkKind)],
    /// Where the axis of time ends. The last value is drawn on to there, so that a line that stands still need
    /// not be drawn again; what has not been lived yet is covered.
    pub span: Instant,
    pub width: u32,
}

impl Picture<'_> {
    /// The picture as SVG; empty where there is no room for one.
    pub fn draw(&self) -> String {
        let mut text = String::new();
        let drawn = self.draw_on(SVGBackend::with_string(&mut text, (self.width, HEIGHT)));
        if drawn.is_none() {
            text.clear();
        }
        text
    }

    fn draw_on(&self, backend: SVGBackend<'_>) -> Option<()> {
        if self.width <= LEFT + RIGHT + 20 {
            return None;
        }
        let top = self.top();
        let (middle, span) = (self.span.0 / 2, self.span.0);
        let levels = if top % 2 == 0 { vec![0, top / 2, top] } else { vec![0, top] };
        let root = backend.into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(TOP)
            .margin_right(RIGHT)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d((0..span).with_key_points(vec![0, middle, span]), (0..top).with_key_points(levels))
            .ok()?;
        let words = ("sans-serif", 12).into_font().color(&WORDS);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .bold_line_style(GRID)
            .axis_style(TRANSPARENT)
            .set_all_tick_mark_size(2)
            .x_label_style(words.clone())
            .y_label_style(words)
            .x_label_formatter(&|at| seconds(*at))
            .y_label_formatter(&|level| self.level(*level))
            .draw()
            .ok()?;
        let mark = |(at, kind): &(Instant, MarkKind)| {
            let role = match kind {
                MarkKind::Fault => FAULT,
                MarkKind::Recovery => RECOVERY,
                _ => ELECTION,
            };
            PathElement::new(vec![(at.0, 0), (at.0, top)], role)
        };
        chart.draw_series(self.marks.iter().map(mark)).ok()?;
        for (line, number) in self.lines.iter().zip(0u8..) {
            let role = RGBColor(0, 0, LINE + number);
            // Areas one over another would mix; several lines are told apart by their strokes.
            let filled = if self.lines.len() == 1 { role.mix(0.13) } else { role.mix(0.0) };
            for steps in self.steps(line) {
                chart.draw_series(AreaSeries::new(steps, 0, filled).border_style(role)).ok()?;
            }
        }
        root.present().ok()
    }

    /// The runs of points without a gap; a value holds until the next one.
    fn steps(&self, line: &Line) -> Vec<Vec<(i64, i64)>> {
        let mut runs: Vec<Vec<(i64, i64)>> = vec![Vec::new()];
        let ends = line.points.iter().skip(1).map(|(at, _)| *at).chain([self.span]);
        for ((from, value), to) in line.points.iter().zip(ends) {
            let Some(run) = runs.last_mut() else { break };
            match value {
                Some(value) => run.extend([(from.0, *value), (to.0, *value)]),
                None if !run.is_empty() => runs.push(Vec::new()),
                None => {}
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }

    /// The upper end of the axis of values: a round number that the lines do not pass.
    fn top(&self) -> i64 {
        let highest =
            self.lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value).max().unwrap_or(0);
        let unit = if self.about.metric.kind() == Kind::Rate { 1_000 } else { 1 };
        let mut scale = unit;
        loop {
            for round in [1, 2, 4, 6, 8] {
                if highest <= round * scale {
                    return round * scale;
                }
            }
            scale *= 10;
        }
    }

    /// `0`, `60`, `1.5k`
    fn level(&self, level: i64) -> String {
        match (self.about.metric.kind(), level) {
            (Kind::Rate, 1..1_000) => format!("0.{}", level / 100),
            (Kind::Rate, _) => thousands(level / 1_000),
            _ => thousands(level),
        }
    }
}

fn thousands(number: i64) -> String {
    let (whole, letter) = match number {
        ..1_000 => return number.to_string(),
        1_000..1_000_000 => (1_000, "k"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        _ => (1_000_000_000, "G"),
    };
    let tenths = number / (whole / 10);
    if tenths % 10 == 0 {
        format!("{}{letter}", tenths / 10)
    } else {
        format!("{}.{}{letter}", tenths / 10, tenths % 10)
    }
}

/// `7.5 s`, `20 s`, `16 min`
pub fn seconds(at: i64) -> String {
    let tenths = at / 100_000;
    match tenths {
        0 => "0".to_string(),
        1..6_000 if tenths % 10 == 0 => format!("{} s", tenths / 10),
        1..6_000 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ if tenths % 600 == 0 => format!("{} min", tenths / 600),
        _ => format!("{}:{:02} min", tenths / 600, tenths % 600 / 10),
    }
}
