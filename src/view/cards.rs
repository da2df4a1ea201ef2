//! The clients' cards: producers on the left, groups with their consumers on the right.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProducerCard {
    pub name: String,
    pub running: bool,
    pub frozen: bool,
    /// `acks=all · idempotent`
    pub summary: String,
    pub producer_id: Option<i64>,
    pub epoch: i16,
    pub sent: u64,
    pub acked: u64,
    pub failed: u64,
    pub pending: u64,
    /// Batches on their way or waiting, oldest first; at most eight.
    pub in_flight: Vec<PendingBatch>,
    /// The last failure in words, with Kafka's error name.
    pub last_error: Option<String>,
    /// A steady `load` runs.
    pub loading: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PendingBatch {
    pub partition: String,
    /// `alice=created`, or `12 records`.
    pub records: String,
    pub hue: Option<u16>,
    /// `lingers`, `in flight`, `waits to send again`.
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupCard {
    pub id: String,
    /// `classic`
    pub protocol: String,
    /// Kafka's state names: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead.
    pub state: String,
    pub generation: i32,
    pub coordinator: Option<i32>,
    pub assignor: String,
    pub consumers: Vec<ConsumerCard>,
    /// Committed offsets of partitions that no member holds.
    pub unowned: Vec<(String, i64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConsumerCard {
    pub name: String,
    pub running: bool,
    pub frozen: bool,
    /// What it does in a word: `polling`, `joining`, `rebalancing`, `paused`, `stopped`.
    pub activity: String,
    pub partitions: Vec<ConsumerPartition>,
    pub delivered: u64,
    /// The newest records handed to the application, oldest first; at most eight.
    pub recent: Vec<DeliveredRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConsumerPartition {
    pub partition: String,
    pub position: Option<i64>,
    pub committed: Option<i64>,
    /// Log end as consumers see it (the high watermark) less the position.
    pub lag: Option<i64>,
    pub log_start: i64,
    pub log_end: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveredRecord {
    pub partition: String,
    pub offset: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub hue: Option<u16>,
    /// The group had been handed it before.
    pub again: bool,
}
