//! A partition's row: its registration in words and each broker's replica as a strip of records.

use serde::Serialize;

use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::log::Log;
use crate::sim::{Power, World};
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, NodeId, Offset, TopicPartition};

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

/// A partition's row as the world has it now.
pub fn row(world: &World, partition: &TopicPartition, registration: &PartitionRegistration) -> PartitionRow {
    let log = world.log_of(partition, None);
    let of = |read: fn(&Log) -> Offset| log.map_or(0, |log| read(log).0);
    let mut brokers = registration.replicas.clone();
    brokers.sort();
    PartitionRow {
        name: partition.to_string(),
        topic: partition.topic.0.to_string(),
        partition: partition.partition,
        leader: registration.leader.map(|leader| leader.0),
        leader_epoch: registration.leader_epoch.0,
        partition_epoch: registration.partition_epoch.0,
        isr: ids(&registration.isr),
        elr: ids(&registration.elr),
        replicas: ids(&registration.replicas),
        high_watermark: of(Log::high_watermark),
        log_end: of(Log::log_end),
        log_start: of(Log::log_start),
        cells: brokers.iter().map(|broker| cell(world, partition, registration, *broker)).collect(),
        cursors: cursors(world, partition),
    }
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

fn cell(world: &World, partition: &TopicPartition, registration: &PartitionRegistration, id: BrokerId) -> ReplicaCell {
    let runs = world.member(NodeId::Broker(id)).is_some_and(|member| member.power == Power::Running);
    let broker = world.broker(id);
    let log = broker.and_then(|broker| broker.log(partition));
    let replica = broker.and_then(|broker| broker.replica(partition));
    let in_sync = registration.isr.contains(&id);
    let role = if !runs {
        ReplicaRole::Offline
    } else if registration.leader == Some(id) {
        ReplicaRole::Leader
    } else if in_sync {
        ReplicaRole::InSync
    } else {
        ReplicaRole::OutOfSync
    };
    let leader_epoch = replica.map_or(registration.leader_epoch, |replica| replica.leader_epoch()).0;
    let zombie = runs && registration.leader != Some(id) && replica.is_some_and(|replica| replica.is_leader());
    let of = |read: fn(&Log) -> Offset| log.map_or(0, |log| read(log).0);
    let mut cell = ReplicaCell {
        broker: id.0,
        role,
        in_sync,
        leader_epoch,
        log_start: of(Log::log_start),
        log_end: of(Log::log_end),
        high_watermark: of(Log::high_watermark),
        records: log.map(newest_records).unwrap_or_default(),
        description: String::new(),
        zombie,
    };
    cell.description = describe(&cell);
    cell
}

/// "leader, epoch 1, log end 6, high watermark 5, in sync"
fn describe(cell: &ReplicaCell) -> String {
    let role = match cell.role {
        ReplicaRole::Leader => "leader",
        ReplicaRole::InSync | ReplicaRole::OutOfSync if cell.zombie => "believes to lead",
        ReplicaRole::InSync | ReplicaRole::OutOfSync => "follower",
        ReplicaRole::Offline => "offline",
    };
    let sync = if cell.in_sync { "in sync" } else { "not in sync" };
    format!(
        "{role}, epoch {}, log end {}, high watermark {}, {sync}",
        cell.leader_epoch, cell.log_end, cell.high_watermark
    )
}

/// The last records of a log, decoded: only the batches that hold them are touched.
fn newest_records(log: &Log) -> Vec<RecordCell> {
    let first = (log.log_end() + -RECORDS_SHOWN).max(log.log_start());
    let high_watermark = log.high_watermark();
    let mut cells: Vec<RecordCell> = log.batches(first).flat_map(|batch| record_cells(batch, high_watermark)).collect();
    cells.retain(|cell| cell.offset >= first.0);
    cells
}

fn record_cells(batch: &Batch, high_watermark: Offset) -> Vec<RecordCell> {
    let control = batch.is_control();
    let records = batch.records().unwrap_or_default();
    let cell = |record: crate::wire::batch::Record| {
        let key = if control { None } else { record.key };
        let shown = key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
        RecordCell {
            offset: record.offset,
            leader_epoch: batch.leader_epoch.0,
            mark: mark(shown.as_deref(), control),
            hue: key.as_ref().map(|key| key_hue(key)),
            key: shown,
            value: record.value.filter(|_| !control).map(|value| String::from_utf8_lossy(&value).into_owned()),
            committed: record.offset < high_watermark.0,
            control,
        }
    };
    records.into_iter().map(cell).collect()
}

/// A short key whole, of a longer one the first letter.
fn mark(key: Option<&str>, control: bool) -> String {
    match key {
        _ if control => "◆".to_string(),
        None | Some("") => "·".to_string(),
        Some(key) if key.chars().count() <= 2 => key.to_string(),
        Some(key) => key.chars().take(1).collect(),
    }
}

fn cursors(world: &World, partition: &TopicPartition) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    for (name, _, consumer) in world.consumers() {
        if !consumer.assignment().contains(partition) {
            continue;
        }
        cursors.push(Cursor {
            consumer: name.to_string(),
            group: consumer.group().to_string(),
            committed: world.committed(consumer.group(), partition).map(|offset| offset.0),
            position: consumer.positions().get(partition).map(|offset| offset.0),
        });
    }
    cursors
}
