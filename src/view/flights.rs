//! Messages in flight: where each is drawn is a pure function of the message and the instant.

use serde::Serialize;

use crate::time::Instant;
use crate::wire::NodeId;

/// Requests by what they are for; each family has its colour and can be muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    Produce,
    /// Followers' fetches.
    Replication,
    /// Consumers' fetches.
    Consume,
    /// Joining, syncing, heartbeats, offsets.
    Group,
    /// The metadata quorum: votes and fetches of the metadata log.
    Quorum,
    /// Brokers and the controller: registration, heartbeats, AlterPartition.
    Controller,
    /// Metadata, coordinator look-ups, administration.
    Admin,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flight {
    pub id: u64,
    pub family: Family,
    /// Kafka's API name.
    pub api: &'static str,
    pub request: bool,
    #[serde(skip)]
    pub from: NodeId,
    #[serde(skip)]
    pub to: NodeId,
    pub sent_at: Instant,
    /// `FAR_FUTURE` while a cut holds it up.
    pub deliver_at: Instant,
    pub held: bool,
    /// Carries records, news or a change: what follow mode slows down for. Empty fetches and heartbeats do not.
    pub matters: bool,
    /// The hue of the first record's key, where it carries records.
    pub hue: Option<u16>,
    /// The partition that it concerns most, for anchoring the drawing at its row.
    pub partition: Option<String>,
    /// `PRODUCE app → broker 2: orders-0, 1 record`
    pub label: String,
}

impl Flight {
    /// How far it has come at `now`: 0 at the sender, 1000 at the receiver (in thousandths).
    pub fn permille(&self, now: Instant) -> i64 {
        let whole = (self.deliver_at - self.sent_at).0.max(1);
        ((now - self.sent_at).0.clamp(0, whole) * 1000) / whole
    }
}
