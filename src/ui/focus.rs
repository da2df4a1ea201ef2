//! Where the focus goes. When what has it goes away, to what stood around that: it would fall back to the
//! beginning of the page otherwise, or lie on whatever button comes to stand in the same place. And in the
//! dock, past the panels that are behind.

use wasm_bindgen::JsCast;
use web_sys::{Element, FocusOptions, HtmlElement, KeyboardEvent};

use crate::ui::browser::document;

/// What the focus may fall back to: a card, or a panel.
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
        // It is where the person looks: nothing scrolls.
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        next.unchecked_into::<HtmlElement>().focus_with_options(&options).ok();
    }
}

/// What can have the focus in the dock. Of a panel behind only the console's line is to be seen.
const STOPS: &str = ".dock :is(button, input, select, textarea, a[href], summary, [tabindex='0'])\
    :not([tabindex='-1'], :disabled, .panel.behind, .panel.behind :not(.console form *))";

/// The Tab key steps over the panels behind, which are there for whoever reads without looking.
pub fn step_over(event: KeyboardEvent) {
    if event.key() != "Tab" || event.default_prevented() {
        return;
    }
    let here = document().active_element();
    let Ok(stops) = document().query_selector_all(STOPS) else { return };
    let stops: Vec<HtmlElement> =
        (0..stops.length()).filter_map(|at| stops.item(at)?.dyn_into::<HtmlElement>().ok()).collect();
    let Some(place) = stops.iter().position(|stop| here.as_ref() == Some(stop.unchecked_ref())) else { return };
    // What is folded up does not take the focus.
    let takes_it = |stop: &HtmlElement| {
        stop.focus().ok();
        document().active_element().as_ref() == Some(stop.unchecked_ref())
    };
    let moved = if event.shift_key() {
        stops[..place].iter().rev().any(takes_it)
    } else {
        stops[place + 1..].iter().any(takes_it)
    };
    if moved {
        event.prevent_default();
    } else if !event.shift_key() {
        // From its end the browser itself goes on, to what follows the dock.
        if let Some(end) = document().query_selector(".dock > .end").ok().flatten() {
            end.unchecked_into::<HtmlElement>().focus().ok();
        }
    }
}
