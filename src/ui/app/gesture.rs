//! Drawing a line from one node to another cuts the link between them, or heals it.

use wasm_bindgen::JsCast;
use web_sys::{Element, PointerEvent};

use crate::ui::browser::{data_of, document};
use crate::ui::cuts::Link;

/// So far a pointer must go to mean it.
const FAR: f64 = 16.0;

/// The node that a line begins at, and where: beside its controls.
pub fn begins(event: &PointerEvent) -> Option<(String, (f64, f64))> {
    let target = event.target()?.dyn_into::<Element>().ok()?;
    let on_control = target.closest("button, input, select, label, form, ul").ok()?.is_some();
    if event.button() != 0 || on_control || event.pointer_type() == "touch" {
        return None;
    }
    Some((data_of(event.target(), "node")?, (event.client_x().into(), event.client_y().into())))
}

/// The link that was drawn, when the line ends at another node.
pub fn ends((from, (x, y)): (String, (f64, f64)), event: &PointerEvent) -> Option<Link> {
    let (to_x, to_y) = (f64::from(event.client_x()), f64::from(event.client_y()));
    if (to_x - x).hypot(to_y - y) < FAR {
        return None;
    }
    let there = document().element_from_point(to_x as f32, to_y as f32)?;
    let to = data_of(Some(there.into()), "node").filter(|to| *to != from)?;
    Some((from, to))
}
