//! The event list, and the chain of causes behind an event.

use serde::Serialize;

use crate::history::History;
use crate::kafka::fact::Names;
use crate::sim::{Event, EventId, World};
use crate::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    pub id: u64,
    pub at: Instant,
    pub kind: &'static str,
    pub text: String,
    pub cause: Option<u64>,
    /// Worth a line in the list when only what matters is shown, a mark on the timeline, a stop of `Next event`.
    pub matters: bool,
}

/// The newest events up to the viewed instant, the youngest first.
pub fn events(history: &History, only_what_matters: bool, limit: usize) -> Vec<EventRow> {
    let wanted = |event: &&Event| !event.fact.is_internal() && (!only_what_matters || event.fact.matters());
    let row = |event: &Event| row(history.world(), event);
    if only_what_matters {
        let told = history.mattering_steps().flat_map(|step| step.events.iter().rev());
        return told.filter(wanted).take(limit).map(row).collect();
    }
    let told = history.steps_seen().iter().rev().flat_map(|step| step.events.iter().rev());
    told.filter(wanted).take(limit).map(row).collect()
}

/// The event and its causes, the youngest first.
pub fn causes(history: &History, id: u64) -> Vec<EventRow> {
    history.causes(EventId(id)).into_iter().map(|event| row(history.world(), event)).collect()
}

/// What happened after the step `since` and matters, in sentences: for the status line.
pub fn sentences(history: &History, since: u64) -> Vec<String> {
    let seen = history.position().saturating_sub(since.max(history.first_step())) as usize;
    let told = history.steps_from(since).iter().take(seen).flat_map(|step| &step.events);
    let worth = told.filter(|event| event.fact.matters());
    worth.map(|event| format!("{}.", capital(&event.fact.text(history.world())))).collect()
}

fn row(world: &World, event: &Event) -> EventRow {
    EventRow {
        id: event.id.0,
        at: event.at,
        kind: event.fact.kind(),
        text: event.fact.text(world as &dyn Names),
        cause: event.cause.map(|cause| cause.0),
        matters: event.fact.matters(),
    }
}

/// A word begins a sentence with a capital letter; a name stays as it is written.
fn capital(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    if !first.chars().all(|c| c.is_ascii_lowercase()) {
        return text.to_string();
    }
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
