//! Long lists of which only what is near the view is in the page: a thousand rows cost no more than fifty.

use std::ops::Range;

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};
use yew::prelude::*;

/// Rows come and go by so many, so that scrolling seldom changes the page, and so many more are
/// there before and after what is in view.
const STEP: usize = 8;

/// Which of `all` rows are in view of what scrolls, with some before and after; `row` is the height of one.
fn in_view(scroller: &Element, row: f64, all: usize) -> Range<usize> {
    let first = (f64::from(scroller.scroll_top()) / row) as usize;
    let count = (f64::from(scroller.client_height()) / row) as usize + 1;
    let start = (first / STEP * STEP).saturating_sub(STEP).min(all.saturating_sub(1));
    start..((first + count) / STEP * STEP + 2 * STEP).min(all)
}

/// How high a row of the list is, with the gap after it; as it stands in the page now.
fn height(scroller: &Element, rows: &str) -> Option<f64> {
    let row = scroller.query_selector(rows).ok()??.dyn_into::<HtmlElement>().ok()?;
    let gap = row.next_element_sibling().and_then(|next| next.dyn_into::<HtmlElement>().ok());
    let pitch = gap.map_or(row.offset_height(), |next| next.offset_top() - row.offset_top());
    (pitch > 0).then_some(f64::from(pitch))
}

/// A list with this height of a row, which is measured again when `changed`.
pub struct Windowed {
    pub scroller: NodeRef,
    pub onscroll: Callback<Event>,
    pub pitch: f64,
}

/// Watches what of a list is in view, and tells when other rows come near.
#[hook]
pub fn use_window<T: PartialEq + 'static>(
    rows: &'static str,
    all: usize,
    guess: f64,
    now: Range<usize>,
    changed: T,
    tell: Callback<Range<usize>>,
) -> Windowed {
    let scroller = use_node_ref();
    let pitch = use_state(|| guess);
    let look = {
        let (scroller, pitch) = (scroller.clone(), *pitch);
        move || {
            let Some(scroller) = scroller.cast::<Element>() else { return };
            let near = in_view(&scroller, pitch, all);
            if near != now && !near.is_empty() {
                tell.emit(near);
            }
        }
    };
    {
        let (scroller, pitch, look) = (scroller.clone(), pitch.clone(), look.clone());
        use_effect_with((changed, *pitch, all), move |_| {
            let Some(element) = scroller.cast::<Element>() else { return };
            match height(&element, rows) {
                Some(high) if (high - *pitch).abs() > 0.5 => pitch.set(high),
                _ => look(),
            }
        });
    }
    let onscroll = Callback::from(move |_: Event| look());
    Windowed { scroller, onscroll, pitch: *pitch }
}
