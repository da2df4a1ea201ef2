//! The event list, and the chain of causes behind an event.

use serde::Serialize;

use crate::history::History;
use crate::kafka::fact::{Fact, Names};
use crate::sim::{Event, EventId, World};
use crate::time::Instant;

#[derive(Clone, Debug, PartialEq, Serialize)]
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
    let told = history.steps_seen().iter().rev().flat_map(|step| step.events.iter().rev());
    let wanted = told.filter(|event| !is_hidden(&event.fact) && (!only_what_matters || matters(&event.fact)));
    wanted.take(limit).map(|event| row(history.world(), event)).collect()
}

/// The event and its causes, the youngest first.
pub fn causes(history: &History, id: u64) -> Vec<EventRow> {
    history.causes(EventId(id)).into_iter().map(|event| row(history.world(), event)).collect()
}

/// What happened after the step `since` and matters, in sentences: for the status line.
pub fn sentences(history: &History, since: u64) -> Vec<String> {
    let steps = history.steps_seen();
    let new = steps.get(since as usize..).unwrap_or_default();
    let told = new.iter().flat_map(|step| &step.events);
    let worth = told.filter(|event| matters(&event.fact) && !is_hidden(&event.fact));
    worth.map(|event| format!("{}.", capital(&event.fact.text(history.world())))).collect()
}

fn row(world: &World, event: &Event) -> EventRow {
    EventRow {
        id: event.id.0,
        at: event.at,
        kind: event.fact.kind(),
        text: event.fact.text(world as &dyn Names),
        cause: event.cause.map(|cause| cause.0),
        matters: matters(&event.fact),
    }
}

/// A stop of "Next event": what changes who leads, who is in sync, who is there, or what is kept.
pub fn matters(fact: &Fact) -> bool {
    if is_hidden(fact) {
        return false;
    }
    !fact.is_routine()
        && !matches!(
            fact,
            Fact::BecameLeader { .. }
                | Fact::BecameFollower { .. }
                | Fact::IsrChangeProposed { .. }
                | Fact::ProducerIdAssigned { .. }
                | Fact::CoordinatorLoaded { .. }
                | Fact::MemberJoined { .. }
                | Fact::PositionSet { .. }
                | Fact::DuplicateBatch { .. }
                | Fact::BrokerRegistered { .. }
                | Fact::SendRetried { .. }
                | Fact::ElrChanged { .. }
        )
}

/// What concerns only Kafka's internal topics: there are fifty partitions of it.
pub fn is_hidden(fact: &Fact) -> bool {
    match fact {
        Fact::CoordinatorLoaded { .. } | Fact::OffsetCommitted { .. } => false,
        fact => fact.partition().is_some_and(|partition| partition.is_internal()),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
