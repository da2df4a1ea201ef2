//! A log that records stream into, painted: so many new elements in every look at the stage would cost
//! the browser more than all else on the page. What a record looks like is drawn once, and copied from then on.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::events::EventListener;
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, MouseEvent};
use yew::prelude::*;

use crate::sorted::SortedMap;
use crate::ui::browser::{custom, document, pen, pixels, prefers, screen_scale, window};
use crate::ui::theme::LOOKS_CHANGED;
use crate::view::partitions::RecordCell;
use crate::view::transactions::TransactionFate;

/// The edge and the corners of a record, and the gap to the next one, as the styles have them.
const EDGE: f64 = 1.25;
const CORNER: f64 = 6.0;
const GAP: f64 = 2.5;
/// The sizes of a record's mark and of the offset below it.
const MARK: f64 = 13.0;
const OFFSET: f64 = 9.5;

/// What all strips of a stage paint with; they find it in their context.
#[derive(Clone)]
pub struct Stencils {
    sheet: Rc<RefCell<Option<Sheet>>>,
    /// Takes the sheet away when the page looks otherwise, whether any strip is painted then or not. It
    /// hears of that before every strip, being there before them.
    _fresh: Rc<EventListener>,
    /// What is painted does not follow the colours of the system: where those are wished for, nothing is.
    pub wanted: bool,
}

impl Stencils {
    pub fn new() -> Stencils {
        let sheet: Rc<RefCell<Option<Sheet>>> = Rc::default();
        let old = sheet.clone();
        let fresh = EventListener::new(&window(), LOOKS_CHANGED, move |_| drop(old.take()));
        Stencils { sheet, _fresh: Rc::new(fresh), wanted: !prefers("(forced-colors: active)") }
    }
}

impl PartialEq for Stencils {
    fn eq(&self, other: &Stencils) -> bool {
        Rc::ptr_eq(&self.sheet, &other.sheet)
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub records: Rc<[RecordCell]>,
    /// The offset at the left end, and its place on the track.
    pub first: i64,
    pub place: i64,
    /// How many records there is room for.
    pub shown: i64,
}

#[component]
pub fn Painted(props: &Props) -> Html {
    let canvas = use_node_ref();
    let strip = use_mut_ref(Strip::default);
    let stencils = use_context::<Stencils>();
    {
        let (strip, canvas, stencils) = (strip.clone(), canvas.clone(), stencils.clone());
        use_effect_with((props.records.clone(), props.first, props.shown), move |(records, first, shown)| {
            if let Some((canvas, stencils)) = canvas.cast::<HtmlCanvasElement>().zip(stencils) {
                let mut strip = strip.borrow_mut();
                (strip.records, strip.first, strip.room) = (records.clone(), *first, *shown);
                strip.draw(&canvas, &stencils);
            }
        });
    }
    {
        let canvas = canvas.clone();
        use_effect_with((), move |()| {
            let listener = EventListener::new(&window(), LOOKS_CHANGED, move |_| {
                if let Some((canvas, stencils)) = canvas.cast::<HtmlCanvasElement>().zip(stencils.as_ref()) {
                    strip.borrow_mut().draw(&canvas, stencils);
                }
            });
            move || drop(listener)
        });
    }
    html! {
        <canvas ref={canvas} class="painted" style={format!("--i:{};--n:{}", props.place, props.shown)} />
    }
}

/// The painted record that was hit, if any was: by its place on a strip with so much room.
pub fn place_at(event: &MouseEvent, room: i64) -> Option<i64> {
    let canvas = event.target()?.dyn_into::<HtmlCanvasElement>().ok()?;
    let edge = canvas.get_bounding_client_rect();
    let share = (f64::from(event.client_x()) - edge.left()) / edge.width().max(1.0);
    Some((share * room as f64).floor() as i64)
}

/// A canvas, and what is to be seen on it.
#[derive(Default)]
struct Strip {
    pen: Option<CanvasRenderingContext2d>,
    size: (u32, u32),
    records: Rc<[RecordCell]>,
    first: i64,
    room: i64,
}

impl Strip {
    fn draw(&mut self, canvas: &HtmlCanvasElement, stencils: &Stencils) {
        let density = canvas.closest("[data-density]").ok().flatten();
        let density = density.and_then(|stage| stage.get_attribute("data-density")).unwrap_or_default();
        let mut sheet = stencils.sheet.borrow_mut();
        if sheet.as_ref().is_none_or(|sheet| sheet.look.density != density) {
            *sheet = Sheet::new(Look::read(canvas, density), screen_scale(canvas));
        }
        let Some(sheet) = &mut *sheet else { return };
        if self.pen.is_none() {
            self.pen = pen(canvas);
        }
        let Some(pen) = &self.pen else { return };
        let size = (sheet.pixels(self.room as f64 * sheet.look.pitch), sheet.pixels(sheet.look.high));
        if self.size != size {
            self.size = size;
            canvas.set_width(size.0);
            canvas.set_height(size.1);
        }
        pen.clear_rect(0.0, 0.0, size.0.into(), size.1.into());
        let from = self.records.partition_point(|record| record.offset < self.first);
        // First everything that is to be copied is drawn: between two copies the sheet stays as it is.
        for record in &self.records[from..] {
            sheet.face(Face::of(record));
        }
        for record in &self.records[from..] {
            sheet.stamp(pen, record, (record.offset - self.first) as f64);
        }
    }
}

/// Of offsets that pass by so quickly, only those that this divides are readable.
const RULED: i64 = 5;
/// How many stencils stand beside each other on a sheet, and below each other.
const ACROSS: usize = 16;
const DOWN: usize = 16;

/// What records look like, drawn on a canvas that nobody sees, each in a place of its own.
struct Sheet {
    canvas: HtmlCanvasElement,
    pen: CanvasRenderingContext2d,
    look: Look,
    /// Pixels of the screen for one of CSS.
    scale: f64,
    faces: SortedMap<Face, usize>,
    /// The digits of offsets on committed records, and of others: their places and their widths.
    digits: [Vec<(usize, f64)>; 2],
    used: usize,
}

/// What there is to see of a record but its offset.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Face {
    mark: String,
    hue: Option<u16>,
    committed: bool,
    control: bool,
    undecided: bool,
    aborted: bool,
}

impl Face {
    fn of(record: &RecordCell) -> Face {
        Face {
            mark: record.mark.clone(),
            hue: record.hue,
            committed: record.committed,
            control: record.control,
            undecided: record.transaction == Some(TransactionFate::Open),
            aborted: record.transaction == Some(TransactionFate::Aborted),
        }
    }
}

impl Sheet {
    fn new(look: Look, scale: f64) -> Option<Sheet> {
        let canvas: HtmlCanvasElement = document().create_element("canvas").ok()?.dyn_into().ok()?;
        let pen = pen(&canvas)?;
        let mut sheet =
            Sheet { canvas, pen, look, scale, faces: SortedMap::new(), digits: Default::default(), used: 0 };
        sheet.canvas.set_width(sheet.pixels(sheet.look.pitch) * ACROSS as u32);
        sheet.canvas.set_height(sheet.pixels(sheet.look.high) * DOWN as u32);
        sheet.begin();
        Some(sheet)
    }

    fn pixels(&self, length: f64) -> u32 {
        (length * self.scale).ceil() as u32
    }

    /// An empty sheet with the digits alone.
    fn begin(&mut self) {
        self.faces = SortedMap::new();
        self.used = 0;
        self.pen.reset_transform().ok();
        self.pen.clear_rect(0.0, 0.0, self.canvas.width().into(), self.canvas.height().into());
        for committed in [true, false] {
            let digits = (0..10).map(|digit| self.cut_digit(digit, committed)).collect();
            self.digits[usize::from(committed)] = digits;
        }
    }

    /// Where a stencil is on the sheet, in pixels.
    fn corner(&self, place: usize) -> (f64, f64) {
        let (wide, high) = (self.pixels(self.look.pitch), self.pixels(self.look.high));
        (f64::from((place % ACROSS) as u32 * wide), f64::from((place / ACROSS) as u32 * high))
    }

    /// A free place, with the pen at its corner.
    fn free(&mut self) -> usize {
        let place = self.used;
        self.used += 1;
        let (x, y) = self.corner(place);
        self.pen.set_transform(self.scale, 0.0, 0.0, self.scale, x, y).ok();
        place
    }

    fn cut_digit(&mut self, digit: u32, committed: bool) -> (usize, f64) {
        let (place, text) = (self.free(), digit.to_string());
        let Some(script) = &self.look.offset else { return (place, 0.0) };
        self.pen.set_font(&script.font);
        self.pen.set_text_align("left");
        self.pen.set_fill_style_str(if committed { &self.look.on_record } else { &self.look.ink });
        self.pen.set_global_alpha(0.8);
        self.pen.fill_text(&text, 0.0, script.baseline).ok();
        (place, self.pen.measure_text(&text).map_or(OFFSET * 0.6, |measured| measured.width()))
    }

    fn face(&mut self, face: Face) -> usize {
        if let Some(place) = self.faces.get(&face) {
            return *place;
        }
        if self.used == ACROSS * DOWN {
            self.begin();
        }
        let place = self.free();
        self.look.draw(&self.pen, &face);
        self.faces.insert(face, place);
        place
    }

    /// Copies a record to its place on a strip.
    fn stamp(&mut self, pen: &CanvasRenderingContext2d, record: &RecordCell, place: f64) {
        let face = self.face(Face::of(record));
        let (pitch, high) = (self.look.pitch, self.look.high);
        let left = place * pitch;
        self.copy(pen, face, (pitch, high), left + 1.0);
        if self.look.offset.is_none() || record.offset % RULED != 0 {
            return;
        }
        let text = record.offset.to_string();
        let digits = &self.digits[usize::from(record.committed)];
        let digits = || text.bytes().filter_map(|byte| digits.get(usize::from(byte.wrapping_sub(b'0'))));
        let width: f64 = digits().map(|(_, width)| width).sum();
        let mut x = left + 1.0 + (pitch - GAP - width) / 2.0;
        for (digit, width) in digits() {
            self.copy(pen, *digit, (width.ceil(), high), x);
            x += width;
        }
    }

    fn copy(&self, pen: &CanvasRenderingContext2d, place: usize, (wide, high): (f64, f64), x: f64) {
        let (from_x, from_y) = self.corner(place);
        let (wide, high) = (f64::from(self.pixels(wide)), f64::from(self.pixels(high)));
        let x = (x * self.scale).round();
        pen.draw_image_with_html_canvas_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
            &self.canvas,
            from_x,
            from_y,
            wide,
            high,
            x,
            0.0,
            wide,
            high,
        )
        .ok();
    }
}

/// How the styles have records look.
struct Look {
    /// The density of the stage that this was read for.
    density: String,
    pitch: f64,
    high: f64,
    lightness: String,
    chroma: String,
    on_record: String,
    ink: String,
    edge: String,
    muted: String,
    surface: String,
    /// Committed records have an edge, too.
    edged: bool,
    mark: Script,
    /// The offset below the mark, where there is room for it.
    offset: Option<Script>,
}

/// A font, and where its letters stand.
struct Script {
    font: String,
    baseline: f64,
}

impl Script {
    fn new(pen: Option<&CanvasRenderingContext2d>, weight: u32, size: f64, family: &str, middle: f64) -> Script {
        let font = format!("{weight} {size}px {family}");
        let measured = pen.and_then(|pen| {
            pen.set_font(&font);
            pen.measure_text("0").ok()
        });
        let drop =
            measured.map_or(size * 0.35, |of| (of.font_bounding_box_ascent() - of.font_bounding_box_descent()) / 2.0);
        Script { font, baseline: middle + drop }
    }
}

impl Look {
    fn read(canvas: &HtmlCanvasElement, density: String) -> Look {
        let of = |name: &str| custom(canvas, name);
        let contrast = document().document_element().and_then(|root| root.get_attribute("data-contrast"));
        let (pitch, high, family) = (pixels(canvas, "--pitch"), pixels(canvas, "--high"), of("font-family"));
        let pen = pen(canvas);
        let script = |weight, size, middle| Script::new(pen.as_ref(), weight, size, &family, middle);
        // The mark and, 2 pixels below it, the offset stand in the middle together.
        let top = (high - MARK - OFFSET - 2.0) / 2.0;
        let roomy = density == "roomy";
        Look {
            pitch,
            high,
            lightness: of("--record-l"),
            chroma: of("--record-c"),
            on_record: of("--record-ink"),
            ink: of("--ink"),
            edge: of("--edge"),
            muted: of("--muted"),
            surface: of("--surface"),
            edged: contrast.is_some_and(|contrast| contrast == "more"),
            mark: script(660, MARK, if roomy { top + MARK / 2.0 } else { high / 2.0 }),
            offset: roomy.then(|| script(500, OFFSET, high - top - OFFSET / 2.0)),
            density,
        }
    }

    fn draw(&self, pen: &CanvasRenderingContext2d, face: &Face) {
        let visible = if face.aborted { 0.6 } else { 1.0 };
        let wide = self.pitch - GAP;
        self.shape(pen, face, visible);
        pen.set_global_alpha(visible);
        pen.set_font(&self.mark.font);
        pen.set_text_align("center");
        pen.set_fill_style_str(if face.committed { &self.on_record } else { &self.ink });
        pen.fill_text(&face.mark, wide / 2.0, self.mark.baseline).ok();
        if face.aborted {
            pen.fill_rect(5.0, self.mark.baseline - 4.5, wide - 10.0, 1.0);
        }
        pen.set_global_alpha(1.0);
    }

    fn shape(&self, pen: &CanvasRenderingContext2d, face: &Face, visible: f64) {
        let wide = self.pitch - GAP;
        let colour = face.hue.map(|hue| format!("oklch({} {} {hue})", self.lightness, self.chroma));
        let outline = |inset: f64| {
            let (width, height) = (wide - 2.0 * inset, self.high - 2.0 * inset);
            let corner = if face.control { width.min(height) / 2.0 } else { CORNER - inset };
            pen.begin_path();
            pen.round_rect_with_f64(inset, inset, width, height, corner).ok();
        };
        outline(0.0);
        if face.committed && colour.is_none() {
            pen.set_global_alpha(visible);
            pen.set_fill_style_str(&self.surface);
            pen.fill();
        }
        let strength = match (face.committed, &colour) {
            (true, Some(_)) => 1.0,
            (true, None) => 0.34,
            (false, Some(_)) => 0.2,
            (false, None) => 0.12,
        };
        pen.set_global_alpha(visible * strength);
        pen.set_fill_style_str(colour.as_deref().unwrap_or(&self.muted));
        pen.fill();
        if face.committed && !face.undecided && !self.edged {
            return;
        }
        let edge = match &colour {
            _ if self.edged => &self.edge,
            _ if face.undecided => &self.ink,
            Some(colour) => colour,
            None => &self.edge,
        };
        let dashes: &[f64] = match face.committed {
            _ if face.undecided => &[EDGE],
            false => &[2.0 * EDGE],
            true => &[],
        };
        let dashes: Array = dashes.iter().map(|length| JsValue::from_f64(*length)).collect();
        outline(EDGE / 2.0);
        pen.set_global_alpha(visible);
        pen.set_line_dash(&dashes).ok();
        pen.set_line_width(EDGE);
        pen.set_stroke_style_str(edge);
        pen.stroke();
    }
}
