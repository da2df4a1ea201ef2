//! Messages on their way, drawn on a canvas over the stage: where one is drawn is a pure function of
//! it, the instant, and where its two ends stand on the page.

use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, Element, HtmlCanvasElement, HtmlElement};

use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::ui::browser::{custom, document, fit_to_screen, pen, prefers, window};
use crate::view::flights::{Family, Flight};

pub const FAMILIES: [Family; 7] = [
    Family::Produce,
    Family::Replication,
    Family::Consume,
    Family::Group,
    Family::Controller,
    Family::Quorum,
    Family::Admin,
];

pub fn family_name(family: Family) -> &'static str {
    match family {
        Family::Produce => "produce",
        Family::Replication => "replication",
        Family::Consume => "consume",
        Family::Group => "group",
        Family::Controller => "controller",
        Family::Quorum => "quorum",
        Family::Admin => "metadata",
    }
}

pub fn family_class(family: Family) -> &'static str {
    match family {
        Family::Produce => "family-produce",
        Family::Replication => "family-replication",
        Family::Consume => "family-consume",
        Family::Group => "family-group",
        Family::Controller => "family-controller",
        Family::Quorum => "family-quorum",
        Family::Admin => "family-admin",
    }
}

/// A flight with the places on the page that it leaves and reaches.
pub struct Flown {
    pub flight: Flight,
    pub from: String,
    pub to: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Place {
    fn middle(self) -> (f64, f64) {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }
}

/// Something that has just happened too quickly to be seen on its way: its path lights up.
#[derive(Clone, Debug, PartialEq)]
pub struct Glow {
    pub from: String,
    pub to: String,
    pub partition: String,
    pub hue: Option<u16>,
    pub family: Family,
    /// When it lit up, in the page's own milliseconds.
    pub since: f64,
}

/// How long a glow lasts, in real milliseconds.
const GLOWING: f64 = 750.0;
/// A record's width where it is drawn narrowest, in CSS pixels (`--pitch` in the style sheets).
const NARROWEST_RECORD: f64 = 21.0;
/// More than these at once would be noise.
const GLOWS: usize = 24;

/// What is drawn of the links themselves.
pub struct Broken<'a> {
    /// Those that nothing gets through.
    pub links: &'a [(String, String)],
    /// From a node to where the pointer is.
    pub drawn: Option<(&'a str, (f64, f64))>,
}

/// What is nearer than this, in CSS pixels, has nothing in between.
const BESIDE: f64 = 40.0;
/// More broken links than these would only be a tangle.
const LINKS: usize = 60;

/// The canvas, and what it knows of the page.
#[derive(Default)]
pub struct Layer {
    canvas: Option<(HtmlCanvasElement, CanvasRenderingContext2d)>,
    places: SortedMap<String, Place>,
    /// Colours by role, read from CSS anew when the theme changes.
    colours: SortedMap<&'static str, String>,
    size: (f64, f64),
    stale: bool,
    blank: bool,
    still: bool,
    glows: Vec<Glow>,
    /// Where each message was drawn, for pointing at it.
    drawn: Vec<(u64, f64, f64)>,
}

impl Layer {
    /// The page may have moved: places are looked up again before the next drawing.
    pub fn disturb(&mut self) {
        self.stale = true;
    }

    /// The theme may have changed too.
    pub fn repaint(&mut self) {
        self.stale = true;
        self.colours.clear();
    }

    /// How many records fit the widest strip, as the page was last seen.
    pub fn records_that_fit(&self) -> i64 {
        let strips = self.places.iter().filter(|(name, _)| name.contains('@'));
        let widest = strips.map(|(_, place)| place.right - place.left).fold(0.0, f64::max);
        (widest / NARROWEST_RECORD) as i64 + 2
    }

    /// The message that is drawn nearest to a point.
    pub fn hit(&self, x: f64, y: f64) -> Option<u64> {
        const REACH: f64 = 12.0;
        let distance = |(_, at_x, at_y): &(u64, f64, f64)| (at_x - x).hypot(at_y - y);
        let nearest = self.drawn.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        (distance(nearest) <= REACH).then_some(nearest.0)
    }

    pub fn glow(&mut self, glow: Glow) {
        if self.glows.len() < GLOWS {
            self.glows.push(glow);
        }
    }

    /// Draws everything on its way at `now`; `at` is the page's own time.
    pub fn draw(&mut self, flights: &[Flown], now: Instant, at: f64, muted: &[Family], broken: &Broken<'_>) {
        if self.canvas.is_none() {
            self.canvas = canvas();
            self.stale = true;
        }
        if self.stale {
            self.look_around();
        }
        let Some((_, pen)) = self.canvas.clone() else { return };
        if !self.blank {
            pen.clear_rect(0.0, 0.0, self.size.0, self.size.1);
        }
        self.blank = true;
        self.drawn.clear();
        self.draw_broken(&pen, broken);
        self.glows.retain(|glow| at - glow.since < GLOWING);
        for glow in self.glows.clone() {
            if !muted.contains(&glow.family) {
                self.draw_glow(&pen, &glow, at);
            }
        }
        // The cluster's empty rounds lie below what carries something.
        for matters in [false, true] {
            for flown in flights.iter().filter(|flown| flown.flight.matters == matters) {
                if !muted.contains(&flown.flight.family) {
                    self.draw_one(&pen, flown, now);
                }
            }
        }
    }

    /// Links that nothing gets through, and the line that is being drawn.
    fn draw_broken(&mut self, pen: &CanvasRenderingContext2d, broken: &Broken<'_>) {
        let colour = self.colour("--offline");
        let ends = broken.links.iter().take(LINKS).filter_map(|(from, to)| self.link_between(from, to));
        let mut lines: Vec<_> = ends.collect();
        if let Some((from, to)) = broken.drawn.and_then(|(from, to)| Some((self.places.get(from)?.middle(), to))) {
            lines.push((from, to));
        }
        if lines.is_empty() {
            return;
        }
        self.blank = false;
        pen.set_stroke_style_str(&colour);
        pen.set_global_alpha(if lines.len() > 6 { 0.4 } else { 0.75 });
        for ((from_x, from_y), (to_x, to_y)) in lines {
            let (x, y) = ((from_x + to_x) / 2.0, (from_y + to_y) / 2.0);
            let long = (to_x - from_x).hypot(to_y - from_y).max(1.0);
            let (ux, uy) = ((to_x - from_x) / long, (to_y - from_y) / long);
            let gap = (long / 2.0 - 2.0).clamp(0.0, 9.0);
            pen.set_line_width(1.8);
            pen.begin_path();
            pen.move_to(from_x, from_y);
            pen.line_to(x - ux * gap, y - uy * gap);
            pen.move_to(x + ux * gap, y + uy * gap);
            pen.line_to(to_x, to_y);
            // The two ends of a broken cable.
            for side in [-1.0, 1.0] {
                let (at_x, at_y) = (x + side * ux * gap, y + side * uy * gap);
                pen.move_to(at_x - uy * 5.0 - ux * 2.0, at_y + ux * 5.0 - uy * 2.0);
                pen.line_to(at_x + uy * 5.0 + ux * 2.0, at_y - ux * 5.0 + uy * 2.0);
            }
            pen.stroke();
        }
        pen.set_global_alpha(1.0);
    }

    /// Where a link is drawn: below what stands between its ends.
    fn link_between(&self, from: &str, to: &str) -> Option<((f64, f64), (f64, f64))> {
        let (one, other) = (*self.places.get(from)?, *self.places.get(to)?);
        let apart = (other.left - one.right).max(one.left - other.right);
        if (one.bottom - other.bottom).abs() < 1.0 && apart > BESIDE {
            let y = one.bottom + 4.0;
            return Some(((one.middle().0, y), (other.middle().0, y)));
        }
        self.ends(from, to, None)
    }

    fn draw_glow(&mut self, pen: &CanvasRenderingContext2d, glow: &Glow, at: f64) {
        let Some((from, to)) = self.ends(&glow.from, &glow.to, Some(&glow.partition)) else { return };
        self.blank = false;
        let age = ((at - glow.since) / GLOWING).clamp(0.0, 1.0);
        let path = Path::between(from, to, true);
        let colour = self.record_colour(glow.hue).unwrap_or_else(|| self.colour(role(glow.family)));
        pen.set_stroke_style_str(&colour);
        pen.set_line_width(2.0);
        pen.set_global_alpha(0.7 * (1.0 - age));
        path.trace(pen, 1.0);
        let (x, y) = path.at(1.0);
        pen.set_global_alpha(1.0 - age);
        dot(pen, x, y, 3.2, true, &colour);
        pen.set_global_alpha(1.0);
    }

    fn record_colour(&self, hue: Option<u16>) -> Option<String> {
        hue.map(|hue| format!("oklch({} {} {hue})", self.colour("--record-l"), self.colour("--record-c")))
    }

    fn draw_one(&mut self, pen: &CanvasRenderingContext2d, flown: &Flown, now: Instant) {
        let flight = &flown.flight;
        let Some((from, to)) = self.ends(&flown.from, &flown.to, flight.partition.as_deref()) else { return };
        let share = if flight.held { 0.5 } else { flight.permille(now) as f64 / 1000.0 };
        let path = Path::between(from, to, flight.request);
        let (x, y) = path.at(if self.still { 0.5 } else { share });
        let family = self.colour(role(flight.family));
        let colour = self.record_colour(flight.hue).unwrap_or_else(|| family.clone());
        self.blank = false;
        self.drawn.push((flight.id, x, y));
        if !flight.matters {
            pen.set_global_alpha(0.4);
            dot(pen, x, y, 2.4, flight.request, &family);
            pen.set_global_alpha(1.0);
            return;
        }
        pen.set_global_alpha(0.32);
        pen.set_stroke_style_str(&family);
        pen.set_line_width(1.4);
        path.trace(pen, 1.0);
        pen.set_global_alpha(0.75);
        pen.set_line_width(2.2);
        path.trace(pen, if self.still { 1.0 } else { share });
        pen.set_global_alpha(1.0);
        if flight.hue.is_some() {
            self.record(pen, x, y, flight.request, &colour);
        } else {
            dot(pen, x, y, 5.2, flight.request, &colour);
        }
        if flight.held {
            pen.set_fill_style_str(&self.colour("--offline"));
            pen.fill_rect(x - 9.0, y - 9.0, 2.5, 18.0);
            pen.fill_rect(x + 6.5, y - 9.0, 2.5, 18.0);
        }
    }

    /// Records travel as what they are in the log: a cell in the colour of the key.
    fn record(&self, pen: &CanvasRenderingContext2d, x: f64, y: f64, request: bool, colour: &str) {
        let half = 7.5;
        pen.begin_path();
        pen.round_rect_with_f64(x - half, y - half, 2.0 * half, 2.0 * half, 4.0).ok();
        pen.set_fill_style_str(&self.colour("--surface"));
        pen.fill();
        pen.set_fill_style_str(colour);
        pen.set_stroke_style_str(colour);
        pen.set_line_width(2.4);
        if request {
            pen.fill();
        } else {
            pen.set_global_alpha(0.35);
            pen.fill();
            pen.set_global_alpha(1.0);
        }
        pen.stroke();
    }

    /// Where a flight begins and ends: at a replica's cell when it concerns a partition, else at the node.
    fn ends(&self, from: &str, to: &str, partition: Option<&str>) -> Option<((f64, f64), (f64, f64))> {
        let place = |node: &str| {
            let broker = node.strip_prefix("broker ");
            let cell = broker.zip(partition).map(|(broker, partition)| format!("{partition}@{broker}"));
            cell.and_then(|cell| self.places.get(&cell)).or_else(|| self.places.get(node)).copied()
        };
        let (from, to) = (place(from)?, place(to)?);
        let ((from_x, from_y), (to_x, to_y)) = (from.middle(), to.middle());
        // Side by side: from edge to edge; above one another: from bottom to top.
        let beside = from.right <= to.left || to.right <= from.left;
        Some(if beside {
            let (start, end) = if from_x < to_x { (from.right, to.left) } else { (from.left, to.right) };
            ((start, near(from, to_y)), (end, near(to, from_y)))
        } else {
            let (start, end) = if from_y < to_y { (from.bottom, to.top) } else { (from.top, to.bottom) };
            ((from_x, start), (to_x, end))
        })
    }

    fn colour(&self, role: &'static str) -> String {
        self.colours.get(role).cloned().unwrap_or_default()
    }

    /// Looks up where everything stands and what colours there are.
    fn look_around(&mut self) {
        self.stale = false;
        self.blank = false;
        let Some((canvas, pen)) = &self.canvas else { return };
        let inner = |value: Result<wasm_bindgen::JsValue, _>| value.ok().and_then(|v| v.as_f64()).unwrap_or_default();
        self.size = (inner(window().inner_width()), inner(window().inner_height()));
        fit_to_screen(canvas, pen, self.size);
        self.still = prefers("(prefers-reduced-motion: reduce)");
        if self.colours.is_empty() {
            let roles = FAMILIES.iter().map(|family| role(*family));
            for role in roles.chain(["--surface", "--offline", "--record-l", "--record-c"]) {
                self.colours.insert(role, custom(canvas, role));
            }
        }
        self.places.clear();
        for name in ["data-node", "data-cell"] {
            // Rows that are there only to be read aloud stand nowhere.
            let Ok(found) = document().query_selector_all(&format!("[{name}]:not(.unseen *)")) else { continue };
            for element in (0..found.length()).filter_map(|i| found.item(i)?.dyn_into::<Element>().ok()) {
                let edge = element.get_bounding_client_rect();
                let place = Place { left: edge.left(), top: edge.top(), right: edge.right(), bottom: edge.bottom() };
                self.places.insert(element.get_attribute(name).unwrap_or_default(), place);
            }
        }
    }
}

/// The height in a place that is nearest to another height, a little inside.
fn near(place: Place, y: f64) -> f64 {
    let inset = ((place.bottom - place.top) / 2.0).min(18.0);
    y.clamp(place.top + inset, place.bottom - inset)
}

fn dot(pen: &CanvasRenderingContext2d, x: f64, y: f64, radius: f64, filled: bool, colour: &str) {
    pen.begin_path();
    pen.arc(x, y, radius, 0.0, std::f64::consts::TAU).ok();
    if filled {
        pen.set_fill_style_str(colour);
        pen.fill();
    } else {
        pen.set_stroke_style_str(colour);
        pen.set_line_width((radius * 0.42).max(1.2));
        pen.stroke();
    }
}

fn role(family: Family) -> &'static str {
    match family {
        Family::Produce => "--family-produce",
        Family::Replication => "--family-replication",
        Family::Consume => "--family-consume",
        Family::Group => "--family-group",
        Family::Controller => "--family-controller",
        Family::Quorum => "--family-quorum",
        Family::Admin => "--family-admin",
    }
}

/// A gentle curve; a request and its response bend to different sides.
struct Path {
    from: (f64, f64),
    bend: (f64, f64),
    to: (f64, f64),
}

impl Path {
    fn between(from: (f64, f64), to: (f64, f64), request: bool) -> Path {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1.0);
        let lift = (length * 0.14).clamp(8.0, 46.0) * if request { -1.0 } else { 1.0 };
        // Always up for requests and down for responses, whichever way they go.
        let side = if dx < 0.0 { -1.0 } else { 1.0 };
        let bend =
            ((from.0 + to.0) / 2.0 - dy / length * lift * side, (from.1 + to.1) / 2.0 + dx / length * lift * side);
        Path { from, bend, to }
    }

    fn at(&self, share: f64) -> (f64, f64) {
        let rest = 1.0 - share;
        let mix = |a: f64, b: f64, c: f64| rest * rest * a + 2.0 * rest * share * b + share * share * c;
        (mix(self.from.0, self.bend.0, self.to.0), mix(self.from.1, self.bend.1, self.to.1))
    }

    /// Strokes it from the sender as far as `share`.
    fn trace(&self, pen: &CanvasRenderingContext2d, share: f64) {
        let control =
            (self.from.0 + (self.bend.0 - self.from.0) * share, self.from.1 + (self.bend.1 - self.from.1) * share);
        let end = self.at(share);
        pen.begin_path();
        pen.move_to(self.from.0, self.from.1);
        pen.quadratic_curve_to(control.0, control.1, end.0, end.1);
        pen.stroke();
    }
}

fn canvas() -> Option<(HtmlCanvasElement, CanvasRenderingContext2d)> {
    let canvas = document().get_element_by_id("flights")?.dyn_into::<HtmlCanvasElement>().ok()?;
    let pen = pen(&canvas)?;
    Some((canvas, pen))
}

/// Says what the pointed-at message is, beside it; directly, past the virtual DOM.
pub fn show_tip(tip: Option<(&str, f64, f64)>) {
    let Some(element) = document().get_element_by_id("flight-tip").and_then(|tip| tip.dyn_into::<HtmlElement>().ok())
    else {
        return;
    };
    match tip {
        None => element.set_hidden(true),
        Some((text, x, y)) => {
            element.set_hidden(false);
            element.set_text_content(Some(text));
            element.style().set_property("transform", &format!("translate({:.0}px, {:.0}px)", x + 14.0, y + 14.0)).ok();
        }
    }
}
