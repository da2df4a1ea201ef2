//! The event list, and the chain of causes behind an event.

use serde::Serialize;

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
