//! Drawing a line from one node to another cuts the link between them, or heals it. A mouse or a pen draws
//! at once; a finger, which scrolls by moving, first rests on the node for a moment.

use gloo::events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use web_sys::{Element, PointerEvent};

use crate::ui::browser::{data_of, document};
use crate::ui::cuts::Link;

/// So far a pointer must go to mean it.
const FAR: f64 = 16.0;
/// A finger that goes so far scrolls.
const STILL: f64 = 9.0;
/// So long a finger rests (in milliseconds).
pub const REST: u32 = 450;
/// On the page while a line is drawn: the page does not scroll then.
const DRAWING: &str = "data-drawing";

/// A node, and where a pointer went down on it.
pub type Begun = (String, (f64, f64));

/// The node that a line begins at, and where: beside its controls.
pub fn begins(event: &PointerEvent) -> Option<Begun> {
    let target = event.target()?.dyn_into::<Element>().ok()?;
    let on_control = target.closest("button, input, select, label, form, ul").ok()?.is_some();
    if event.button() != 0 || on_control {
        return None;
    }
    Some((data_of(event.target(), "node")?, (event.client_x().into(), event.client_y().into())))
}

pub fn is_finger(event: &PointerEvent) -> bool {
    event.pointer_type() == "touch"
}

/// Whether a finger still rests where it went down.
pub fn rests((_, (x, y)): &Begun, event: &PointerEvent) -> bool {
    (f64::from(event.client_x()) - x).hypot(f64::from(event.client_y()) - y) < STILL
}

/// Marks the page while a finger draws: the node that it rested on is lifted, and nothing scrolls.
pub fn mark(begun: Option<&Begun>) {
    let Some(root) = document().document_element() else { return };
    match begun {
        Some((node, _)) => root.set_attribute(DRAWING, node).ok(),
        None => root.remove_attribute(DRAWING).ok(),
    };
}

/// Holds the page still under a finger that draws.
pub fn keep_still() -> EventListener {
    let active = EventListenerOptions::enable_prevent_default();
    EventListener::new_with_options(&document(), "touchmove", active, |event| {
        if document().document_element().is_some_and(|root| root.has_attribute(DRAWING)) {
            event.prevent_default();
        }
    })
}

/// The link that was drawn, when the line ends at another node.
pub fn ends((from, (x, y)): Begun, event: &PointerEvent) -> Option<Link> {
    let (to_x, to_y) = (f64::from(event.client_x()), f64::from(event.client_y()));
    if (to_x - x).hypot(to_y - y) < FAR {
        return None;
    }
    let there = document().element_from_point(to_x as f32, to_y as f32)?;
    let to = data_of(Some(there.into()), "node").filter(|to| *to != from)?;
    Some((from, to))
}
