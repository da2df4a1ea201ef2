//! How the page starts: what its address asks for, what it listens to, what it says when all fails.

use gloo::events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use yew::prelude::*;

use super::{App, Msg, gesture};
use crate::lesson::{self, FIRST_MINUTE, Lesson};
use crate::scenario::link::{self, LinkError};
use crate::ui::browser::{document, window};
use crate::ui::embed;
use crate::ui::session::Session;

/// What the address asks for.
pub struct Opened {
    pub session: Session,
    pub scenario: String,
    pub problems: Vec<String>,
    /// A lesson whose text has to be fetched first, and its part, from 0.
    pub lesson: Option<(&'static Lesson, usize)>,
}

/// The session that the address asks for; the default one, with the reason, when that cannot be.
pub fn open() -> Opened {
    let hash = window().location().hash().unwrap_or_default();
    let hash = if hash.len() > 1 { hash } else { embed::scenario_in_query().unwrap_or(hash) };
    if hash.trim_start_matches('#').is_empty() {
        return default(Vec::new(), None);
    }
    let other = match link::decode(&hash) {
        Err(LinkError::Foreign) => match asked_lesson(&hash) {
            Some(Ok(lesson)) => return default(Vec::new(), Some(lesson)),
            Some(Err(id)) => Err(vec![format!("There is no lesson “{id}”. “Lessons” shows what there is.")]),
            None => Err(vec![capital(&LinkError::Foreign.to_string())]),
        },
        Err(error) => Err(vec![capital(&error.to_string())]),
        Ok(text) => Session::open(&text),
    };
    match other {
        Ok(session) => Opened { session, scenario: "A shared run".to_string(), problems: Vec::new(), lesson: None },
        Err(mut problems) => {
            problems.push("This is the default cluster instead.".to_string());
            default(problems, None)
        }
    }
}

fn default(problems: Vec<String>, lesson: Option<(&'static Lesson, usize)>) -> Opened {
    let session = Session::open(FIRST_MINUTE).expect("the first minute is tested to be a good script");
    Opened { session, scenario: "The first minute".to_string(), problems, lesson }
}

/// `#lesson=isr&step=2`: the lesson and its part from 0, or a name that no lesson has.
fn asked_lesson(hash: &str) -> Option<Result<(&'static Lesson, usize), String>> {
    let mut parts = hash.trim_start_matches('#').split('&');
    let value = |part: &str, name: &str| part.strip_prefix(name).map(str::to_string);
    let id = parts.clone().find_map(|part| value(part, "lesson="))?;
    let step = parts.find_map(|part| value(part, "step=")).and_then(|step| step.parse().ok()).unwrap_or(1_usize);
    let shown: String = id.chars().take(40).collect();
    Some(lesson::find(&id).map(|(_, lesson)| (lesson, step.saturating_sub(1))).ok_or(shown))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What the page hears beyond its own elements.
pub fn listeners(ctx: &Context<App>) -> Vec<EventListener> {
    let on = |message: fn() -> Msg| {
        let link = ctx.link().clone();
        move |_: &Event| link.send_message(message())
    };
    let keys = {
        let link = ctx.link().clone();
        move |event: &Event| link.send_message(Msg::Key(event.clone().unchecked_into()))
    };
    let active = EventListenerOptions::enable_prevent_default();
    let mut listeners = vec![
        gesture::keep_still(),
        EventListener::new_with_options(&document(), "keydown", active, keys),
        EventListener::new(&window(), "resize", on(|| Msg::Themed)),
        EventListener::new(&window(), "hashchange", on(|| Msg::Linked)),
        EventListener::new_with_options(
            &document(),
            "scroll",
            EventListenerOptions::run_in_capture_phase(),
            on(|| Msg::Moved),
        ),
    ];
    if let Ok(Some(dark)) = window().match_media("(prefers-color-scheme: dark)") {
        listeners.push(EventListener::new(&dark, "change", on(|| Msg::Themed)));
    }
    listeners
}

/// A bug must not leave a dead page without a word.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&info.to_string().into());
        let document = document();
        let (Ok(note), Some(body)) = (document.create_element("div"), document.body()) else { return };
        note.set_class_name("panic");
        note.set_attribute("role", "alert").ok();
        let text =
            "Something went wrong in Highwater itself, and the picture stands still. Your scenario is not to blame.";
        for (tag, text) in [("p", text), ("a", "Reload the page")] {
            let Ok(element) = document.create_element(tag) else { return };
            element.set_text_content(Some(text));
            if tag == "a" {
                element.set_attribute("href", "").ok();
            }
            note.append_child(&element).ok();
        }
        body.append_child(&note).ok();
    }));
}
