//! Where the focus goes when what has it goes away: to what stood around it. It would fall back to the
//! beginning of the page otherwise, or lie on whatever button comes to stand in the same place.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::ui::browser::document;

/// What the focus may fall back to: a card, a panel, a list of branches.
const AROUND: &str = "[data-node], .group, .panel";

/// What has the focus, and what stands around it, from the inside out.
pub struct Held {
    element: Element,
    around: Vec<Element>,
}

impl Held {
    /// What has the focus now, if anything in particular has it.
    pub fn now() -> Option<Held> {
        let element = document().active_element().filter(|element| element.tag_name() != "BODY")?;
        let next = |inner: &Element| inner.parent_element()?.closest(AROUND).ok()?;
        let around = std::iter::successors(next(&element), next).collect();
        Some(Held { element, around })
    }

    /// Gives the focus to what stood around what had it, when that is not there any more.
    pub fn fall_back(self) {
        let is_lost = document().active_element().is_none_or(|element| element.tag_name() == "BODY");
        if self.element.is_connected() || !is_lost {
            return;
        }
        let Some(next) = self.around.into_iter().find(|element| element.is_connected()) else { return };
        if !next.has_attribute("tabindex") {
            next.set_attribute("tabindex", "-1").ok();
        }
        next.unchecked_into::<HtmlElement>().focus().ok();
    }
}
