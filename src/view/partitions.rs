//! A partition's row: its registration in words and each broker's replica as a strip of records.

use serde::Serialize;

/// How many records of a log the view carries at most: the newest ones.
pub const RECORDS_SHOWN: i64 = 48;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionRow {
    /// `orders-0`
    pub name: String,
    pub topic: String,
    pub partition: i32,
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    /// In replica order.
    pub isr: Vec<i32>,
    pub elr: Vec<i32>,
    pub replicas: Vec<i32>,
    /// As the leader (or, without one, the last leader's log) knows them.
    pub high_watermark: i64,
    pub log_end: i64,
    pub log_start: i64,
    /// One for each broker column that holds a replica.
    pub cells: Vec<ReplicaCell>,
    /// Consumers' cursors, drawn on the leader's strip.
    pub cursors: Vec<Cursor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicaRole {
    Leader,
    InSync,
    /// Follows, but is not in the ISR.
    OutOfSync,
    /// Its broker does not run.
    Offline,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicaCell {
    pub broker: i32,
    pub role: ReplicaRole,
    pub in_sync: bool,
    /// As this broker knows it.
    pub leader_epoch: i32,
    pub log_start: i64,
    pub log_end: i64,
    pub high_watermark: i64,
    /// The newest records, oldest first; at most `RECORDS_SHOWN`.
    pub records: Vec<RecordCell>,
    /// The accessible description: "leader, epoch 1, log end 6, high watermark 5, in sync".
    pub description: String,
    /// It believes to lead although the metadata names another (a zombie).
    pub zombie: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordCell {
    pub offset: i64,
    pub leader_epoch: i32,
    /// What is written on the cell: the first letter of the key, `·` without one.
    pub mark: String,
    /// `None`: no key, drawn without a hue.
    pub hue: Option<u16>,
    pub key: Option<String>,
    pub value: Option<String>,
    /// Below the high watermark of its own replica: readable.
    pub committed: bool,
    /// A control record (a transaction's marker).
    pub control: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    pub consumer: String,
    pub group: String,
    pub committed: Option<i64>,
    pub position: Option<i64>,
}

/// The hue of a key, 0–359, from its murmur2 hash: the same in the producer, in every log, in
/// flight and at the consumer.
pub fn key_hue(key: &[u8]) -> u16 {
    // Spread by the golden angle, so that neighbouring hashes are told apart.
    let hash = crate::kafka::client::partitioner::murmur2(key) as u32;
    ((u64::from(hash) * 137) % 360) as u16
}
