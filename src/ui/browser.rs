//! The few things that are asked of the browser itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    CanvasRenderingContext2d, Document, Element, Event, EventTarget, HtmlCanvasElement, HtmlElement, KeyboardEvent,
    PointerEvent, Response, ScrollIntoViewOptions, ScrollLogicalPosition, Window,
};

use crate::time::Duration;

pub fn window() -> Window {
    web_sys::window().expect("the page runs in a window")
}

pub fn document() -> Document {
    window().document().expect("a window shows a document")
}

/// Real time since the page was opened.
pub fn since_opened() -> Duration {
    let milliseconds = window().performance().map_or(0.0, |performance| performance.now());
    Duration::from_micros((milliseconds * 1_000.0) as i64)
}

/// The value of the nearest `data-NAME` around what an event hit.
pub fn data_of(target: Option<EventTarget>, name: &str) -> Option<String> {
    let element = target?.dyn_into::<Element>().ok()?;
    let attribute = format!("data-{name}");
    element.closest(&format!("[{attribute}]")).ok()??.get_attribute(&attribute)
}

/// Moves the focus from a cell of the grid to a neighbour; whether there was one.
pub fn walk_cells(event: &KeyboardEvent, down: i32, right: i32) -> bool {
    let Some(cell) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return false };
    if cell.get_attribute("role").as_deref() != Some("gridcell") {
        return false;
    }
    let sideways = |element: &Element, right: i32| {
        if right > 0 { element.next_element_sibling() } else { element.previous_element_sibling() }
    };
    let target = if right != 0 {
        sideways(&cell, right)
    } else {
        let row = cell.parent_element();
        let column = row
            .as_ref()
            .map(|row| row.children())
            .and_then(|cells| (0..cells.length()).find(|i| cells.item(*i).as_ref() == Some(&cell)));
        row.and_then(|row| sideways(&row, down)).zip(column).and_then(|(row, column)| row.children().item(column))
    };
    match target.filter(|target| target.get_attribute("role").as_deref() == Some("gridcell")) {
        Some(target) => {
            cell.set_attribute("tabindex", "-1").ok();
            target.set_attribute("tabindex", "0").ok();
            target.unchecked_into::<HtmlElement>().focus().is_ok()
        }
        None => false,
    }
}

/// Follows the pointer along a log until it is released; tells the offset where it was.
pub fn drag_along(start: PointerEvent, from: i64, dropped: impl FnOnce(i64) + 'static) {
    start.prevent_default();
    let Some(handle) = start.current_target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return };
    let Some(hands) = handle.parent_element().and_then(|parent| parent.dyn_into::<HtmlElement>().ok()) else { return };
    let pitch = pixels(&handle, "--pitch");
    let first: i64 = hands.style().get_property_value("--p").ok().and_then(|p| p.trim().parse().ok()).unwrap_or(from);
    handle.set_pointer_capture(start.pointer_id()).ok();
    hands.class_list().add_1("dragged").ok();
    let x = start.client_x();
    // In presenter mode everything is drawn larger than it says.
    let scale = hands.get_bounding_client_rect().width() / f64::from(hands.offset_width().max(1));
    let scale = if scale > 0.1 { scale } else { 1.0 };
    let moved = move |event: &PointerEvent| (f64::from(event.client_x() - x) / (pitch * scale)).round() as i64;
    let follow = {
        let hands = hands.clone();
        Closure::<dyn FnMut(PointerEvent)>::new(move |event: PointerEvent| {
            hands.style().set_property("--p", &(first + moved(&event)).max(0).to_string()).ok();
        })
    };
    handle.add_event_listener_with_callback("pointermove", follow.as_ref().unchecked_ref()).ok();
    let end = Closure::once_into_js({
        let handle = handle.clone();
        move |event: PointerEvent| {
            handle.remove_event_listener_with_callback("pointermove", follow.as_ref().unchecked_ref()).ok();
            hands.class_list().remove_1("dragged").ok();
            let moved = moved(&event);
            if moved != 0 {
                dropped(from + moved);
            }
        }
    });
    let once = web_sys::AddEventListenerOptions::new();
    once.set_once(true);
    handle
        .add_event_listener_with_callback_and_add_event_listener_options("pointerup", end.unchecked_ref(), &once)
        .ok();
}

/// Follows the pointer along a strip of records until it is released; tells each time that the strip
/// was pulled on by some records. What was pulled was not clicked.
pub fn pull(start: PointerEvent, pulled: impl Fn(i64) + 'static) {
    let Some(strip) = start.current_target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return };
    let on_handle = start
        .target()
        .and_then(|t| t.dyn_into::<Element>().ok())
        .is_some_and(|element| element.closest(".position-at").ok().flatten().is_some());
    if start.button() != 0 || on_handle {
        return;
    }
    let pitch = pixels(&strip, "--pitch");
    let (x, told) = (start.client_x(), Cell::new(0));
    let (id, moving) = (start.pointer_id(), strip.clone());
    let follow = Closure::<dyn FnMut(PointerEvent)>::new(move |event: PointerEvent| {
        let by = (f64::from(x - event.client_x()) / pitch).round() as i64;
        if by != told.get() {
            moving.set_attribute("data-pulled", "").ok();
            moving.set_pointer_capture(id).ok();
            pulled(by - told.replace(by));
        }
    });
    until_released(&strip, follow, |strip| {
        strip.remove_attribute("data-pulled").ok();
    });
}

/// Has `follow` hear of the pointer's moves until it is released; `after` comes after the click that follows.
pub fn until_released(
    element: &HtmlElement,
    follow: Closure<dyn FnMut(PointerEvent)>,
    after: impl FnOnce(&HtmlElement) + 'static,
) {
    const OVER: [&str; 2] = ["pointerup", "pointercancel"];
    type Listener = Closure<dyn FnMut(PointerEvent)>;
    let held: Rc<RefCell<Option<Listener>>> = Rc::default();
    element.add_event_listener_with_callback("pointermove", follow.as_ref().unchecked_ref()).ok();
    let (mut rest, keeper, here) = (Some((follow, after)), held.clone(), element.clone());
    let end = Listener::new(move |_| {
        let (Some((follow, after)), Some(end)) = (rest.take(), keeper.take()) else { return };
        here.remove_event_listener_with_callback("pointermove", follow.as_ref().unchecked_ref()).ok();
        for over in OVER {
            here.remove_event_listener_with_callback(over, end.as_ref().unchecked_ref()).ok();
        }
        let here = here.clone();
        // Not before this call is over: it runs in what is dropped there.
        let last = move || {
            after(&here);
            drop((follow, end));
        };
        gloo::timers::callback::Timeout::new(0, last).forget();
    });
    for over in OVER {
        element.add_event_listener_with_callback(over, end.as_ref().unchecked_ref()).ok();
    }
    held.replace(Some(end));
}

/// The value of a custom property of CSS.
pub fn custom(element: &Element, name: &str) -> String {
    let style = window().get_computed_style(element).ok().flatten();
    style.and_then(|style| style.get_property_value(name).ok()).unwrap_or_default().trim().to_string()
}

/// A custom property of CSS that is a length.
pub fn pixels(element: &Element, name: &str) -> f64 {
    custom(element, name).trim_end_matches("px").parse().unwrap_or(26.0)
}

/// How many pixels of the screen one of this element's has across: presenter mode enlarges it.
pub fn screen_scale(element: &Element) -> f64 {
    let zoom = js_sys::Reflect::get(element, &"currentCSSZoom".into()).ok().and_then(|zoom| zoom.as_f64());
    window().device_pixel_ratio().max(1.0) * zoom.filter(|zoom| *zoom > 0.0).unwrap_or(1.0)
}

/// What draws on a canvas.
pub fn pen(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

/// Gives a canvas of this size in pixels of CSS as many as the screen has, and its pen the measure of CSS.
pub fn fit_to_screen(canvas: &HtmlCanvasElement, pen: &CanvasRenderingContext2d, (width, height): (f64, f64)) {
    let scale = screen_scale(canvas);
    let (wide, high) = ((width * scale) as u32, (height * scale) as u32);
    if canvas.width() != wide || canvas.height() != high {
        canvas.set_width(wide);
        canvas.set_height(high);
    }
    pen.set_transform(scale, 0.0, 0.0, scale, 0.0, 0.0).ok();
}

/// Whether a medium has this feature, such as `(prefers-reduced-motion: reduce)`.
pub fn prefers(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|list| list.matches())
}

/// Whether typing goes into a field, so that keys are letters.
pub fn is_typing(event: &Event) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    target.is_some_and(|target| match target.tag_name().as_str() {
        "TEXTAREA" | "SELECT" => true,
        "INPUT" => !matches!(target.get_attribute("type").as_deref(), Some("range" | "checkbox" | "radio")),
        _ => false,
    })
}

/// Whether a key press belongs to the control that has the focus: Space presses a button.
pub fn is_on_control(event: &Event) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    target.is_some_and(|target| match target.tag_name().as_str() {
        "BUTTON" | "A" | "SUMMARY" => true,
        "INPUT" => target.get_attribute("type").as_deref() != Some("range"),
        _ => false,
    })
}

/// Leaves the field that is typed into.
pub fn stop_typing() {
    if let Some(field) = document().active_element().and_then(|field| field.dyn_into::<HtmlElement>().ok()) {
        field.blur().ok();
    }
}

/// Scrolls the page to what would otherwise answer unseen: where all stands in one column, the
/// panels are below what was pressed.
pub fn come_into_view(selector: &str) {
    let Some(element) = document().query_selector(selector).ok().flatten() else { return };
    let options = ScrollIntoViewOptions::new();
    options.set_block(ScrollLogicalPosition::Nearest);
    element.scroll_into_view_with_scroll_into_view_options(&options);
}

pub fn focus(selector: &str) {
    if let Ok(Some(element)) = document().query_selector(selector) {
        element.unchecked_into::<HtmlElement>().focus().ok();
    }
}

/// Gets a file that lies beside the page; `None` when it cannot be had.
pub fn fetch(path: &str, done: impl Fn(Option<String>) + 'static) {
    let done: Rc<dyn Fn(Option<String>)> = Rc::new(done);
    let failed = || {
        let done = done.clone();
        Closure::<dyn FnMut(JsValue)>::new(move |_| done(None))
    };
    let (no_answer, no_text) = (failed(), failed());
    let got = {
        let done = done.clone();
        Closure::<dyn FnMut(JsValue)>::new(move |text: JsValue| done(text.as_string()))
    };
    let answered = Closure::<dyn FnMut(JsValue)>::new(move |response: JsValue| {
        let response: Response = response.unchecked_into();
        match response.text() {
            Ok(text) if response.ok() => drop(text.then2(&got, &no_text)),
            _ => done(None),
        }
    });
    let _ = window().fetch_with_str(path).then2(&answered, &no_answer);
    // They live until the answer is there, which nothing here sees.
    answered.forget();
    no_answer.forget();
}

/// What the person chose for the theme earlier; a private window may refuse to tell.
pub fn kept(key: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(key).ok()?
}

pub fn keep(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        storage.set_item(key, value).ok();
    }
}

/// Changes what stands in the address bar, without going anywhere; whether the browser lets us.
pub fn replace_address(address: &str) -> bool {
    let history = window().history();
    history.is_ok_and(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(address)).is_ok())
}

/// Puts a text on the clipboard.
pub fn copy(text: &str) {
    // Where there is no clipboard (an insecure address), the address bar has the link all the same.
    let clipboard = js_sys::Reflect::get(&window().navigator(), &JsValue::from_str("clipboard"));
    if clipboard.is_ok_and(|clipboard| !clipboard.is_undefined()) {
        let _ = window().navigator().clipboard().write_text(text);
    }
}

/// How many bytes of memory this page has taken. What is freed is used again and never given back.
pub fn memory_taken() -> u64 {
    const PAGE: u64 = 1 << 16;
    core::arch::wasm32::memory_size::<0>() as u64 * PAGE
}
