//! The painted timeline.

use serde::Serialize;

use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    Fault,
    Recovery,
    Election,
    Isr,
    Quorum,
    Rebalance,
    FailedSend,
    Truncation,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    pub at: Instant,
    pub kind: MarkKind,
    /// `kill 1`, `leader 2`, `ISR 2,3`
    pub label: String,
}

/// A span of time in which one partition had one leader epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Band {
    pub from: Instant,
    /// `None`: until now.
    pub to: Option<Instant>,
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    pub isr: u32,
    pub replicas: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Default)]
pub struct Timeline {
    /// What has been simulated so far: the right end.
    pub end: Instant,
    pub marks: Vec<Mark>,
    /// Of the partition in focus (or the one with the most going on).
    pub bands: Vec<Band>,
    pub partition: Option<String>,
}
