//! Keys. None acts while a text field has the focus.

use web_sys::KeyboardEvent;

use crate::ui::browser::{document, is_on_control, is_typing, stop_typing};
use crate::ui::command::{Command, Tab};
use crate::ui::dialog::Over;
use crate::ui::zoom::Zoom;
use crate::view::inspect::Selection;
use crate::view::stage::{BrokerState, Stage};

/// What the page is doing when a key is pressed.
pub struct Situation<'a> {
    pub playing: bool,
    /// A dialog lies over the page.
    pub covered: bool,
    /// Presenter mode: a clicker turns the pages.
    pub presenting: bool,
    pub selected: Option<i32>,
    pub stage: &'a Stage,
}

/// What a key asks for.
pub fn command(event: &KeyboardEvent, now: &Situation<'_>) -> Option<Command> {
    let key = event.key();
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() {
        return None;
    }
    if key == "Escape" {
        // The browser itself folds up what unfolded.
        if document().query_selector(":popover-open").is_ok_and(|open| open.is_some()) {
            return None;
        }
        if is_typing(event) && !now.covered {
            stop_typing();
            return None;
        }
        return Some(if now.covered { Command::Open(None) } else { Command::Dismiss });
    }
    if is_typing(event) || now.covered {
        return None;
    }
    Some(match key.as_str() {
        " " if is_on_control(event) => return None,
        " " => Command::Play(!now.playing),
        "." => Command::Step,
        "," => Command::StepBack,
        "n" => Command::NextEvent,
        "p" => Command::PreviousEvent,
        "/" => Command::Show(Tab::Console),
        "b" => Command::Present,
        "PageDown" if now.presenting => Command::Onward(true),
        "PageUp" if now.presenting => Command::Onward(false),
        "l" => Command::Open(Some(Over::Lessons)),
        "?" => Command::Open(Some(Over::Help)),
        "+" | "=" => Command::Zoom(Zoom::In),
        "-" => Command::Zoom(Zoom::Out),
        "0" => Command::Zoom(Zoom::Fit),
        "x" => Command::Open(Some(Over::Cut)),
        "k" => {
            let broker = now.stage.brokers.iter().find(|broker| Some(broker.id) == now.selected)?;
            let verb = if broker.state == BrokerState::Dead { "start" } else { "kill" };
            Command::Act(format!("{verb} broker {}", broker.id))
        }
        digit => {
            let id: i32 = digit.parse().ok().filter(|id| (1..=9).contains(id))?;
            now.stage.brokers.iter().find(|broker| broker.id == id)?;
            Command::Select(Selection::Broker(id))
        }
    })
}
