//! A partition's row: its registration in words and each broker's replica as a strip of records.

use std::ops::Range;
use std::rc::Rc;

use serde::Serialize;

use crate::kafka::client::Consumer;
use crate::kafka::config::OffsetReset;
use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::log::Log;
use crate::sim::World;
use crate::sorted::SortedSet;
use crate::view::replicas::{Here, Replica, Replicas};
use crate::view::shares;
use crate::view::transactions::{self, TransactionFate};
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, Offset, TopicPartition};

/// How many records of a log are shown at most.
pub const RECORDS_SHOWN: i64 = 40;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// Where what is shown of the logs ends, when somebody scrolled back from the newest end.
    pub until: Option<i64>,
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaCell {
    pub broker: i32,
    pub role: ReplicaRole,
    pub in_sync: bool,
    /// As this broker knows it.
    pub leader_epoch: i32,
    pub log_start: i64,
    pub log_end: i64,
    pub high_watermark: i64,
    /// Up to where readers of committed records read: below the high watermark while a transaction is open.
    pub last_stable: i64,
    /// The newest records (or those before the row's `until`), oldest first; no more than fit, and none
    /// where the row is not looked at closely.
    pub records: Rc<[RecordCell]>,
    /// The accessible description: "leader, epoch 1, log end 6, high watermark 5, in sync".
    pub description: String,
    /// It believes to lead although the metadata names another (a zombie).
    pub zombie: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordCell {
    pub offset: i64,
    pub leader_epoch: i32,
    /// What is written on the cell: what tells the key from others, `·` without one.
    pub mark: String,
    /// `None`: no key, drawn without a hue.
    pub hue: Option<u16>,
    pub key: Option<String>,
    pub value: Option<String>,
    /// Below the high watermark of its own replica: readable.
    pub committed: bool,
    /// A control record (a transaction's marker).
    pub control: bool,
    /// The fate of the transaction that it belongs to, if any.
    pub transaction: Option<TransactionFate>,
}

/// Whose cursor it is. Only with a consumer one can seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Hand {
    Consumer,
    Stream,
    /// Of all its consumers together; the position is where what is in flight ends.
    ShareGroup,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    pub consumer: String,
    /// Of a consumer.
    pub group: Option<String>,
    pub hand: Hand,
    /// By the group, in the checkpoint of a stream, or the start offset of a share group.
    pub committed: Option<i64>,
    /// Where whoever takes over begins: from here to the position stretches the redelivery window.
    pub restart: Option<i64>,
    pub position: Option<i64>,
}

/// The hue of a key, 0–359, from its murmur2 hash: the same in the producer, in every log, in
/// flight and at the consumer.
pub fn key_hue(key: &[u8]) -> u16 {
    // Spread by the golden angle, so that neighbouring hashes are told apart.
    let hash = crate::kafka::client::partitioner::murmur2(key) as u32;
    ((u64::from(hash) * 137) % 360) as u16
}

/// Which partition of so many a record with this key goes to.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    crate::kafka::client::partitioner::partition_for_key(key, partitions.max(1))
}

/// How closely a row is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// How many records of each log are wanted.
    pub records: i64,
    pub until: Option<i64>,
    pub cursors: Vec<Cursor>,
}

/// A partition's row as the world has it now; its records only when it is looked at closely.
pub fn row(here: &Here<'_>, replicas: &[Replica<'_>], near: Option<Near>) -> PartitionRow {
    let registration = here.registration;
    let speaks = registration.leader.or(registration.last_known_elr.first().copied());
    let speaks = speaks.or(registration.isr.first().copied()).or(registration.elr.first().copied());
    let speaks = speaks.or(registration.replicas.first().copied());
    let log = replicas.iter().find(|replica| Some(replica.broker) == speaks).and_then(|replica| replica.log);
    let of = |read: fn(&Log) -> Offset| log.map_or(0, |log| read(log).0);
    let until = near.as_ref().and_then(|near| near.until);
    let wanted = near.as_ref().map_or(0, |near| near.records);
    PartitionRow {
        name: here.name().to_string(),
        topic: here.topic.0.to_string(),
        partition: here.partition,
        leader: registration.leader.map(|leader| leader.0),
        leader_epoch: registration.leader_epoch.0,
        partition_epoch: registration.partition_epoch.0,
        isr: ids(&registration.isr),
        elr: ids(&registration.elr),
        replicas: ids(&registration.replicas),
        high_watermark: of(Log::high_watermark),
        log_end: of(Log::log_end),
        log_start: of(Log::log_start),
        cells: replicas.iter().map(|replica| cell(registration, replica, wanted, until)).collect(),
        until,
        cursors: near.map(|near| near.cursors).unwrap_or_default(),
    }
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

/// What of a replica can change without its log: its part in the partition.
pub fn standing(registration: &PartitionRegistration, replica: &Replica<'_>) -> (ReplicaRole, i32, bool) {
    let role = if !replica.runs {
        ReplicaRole::Offline
    } else if registration.leader == Some(replica.broker) {
        ReplicaRole::Leader
    } else if registration.isr.contains(&replica.broker) {
        ReplicaRole::InSync
    } else {
        ReplicaRole::OutOfSync
    };
    let epoch = replica.role.map_or(registration.leader_epoch, |replica| replica.leader_epoch()).0;
    let leads = replica.role.is_some_and(|role| role.is_leader());
    (role, epoch, replica.runs && registration.leader != Some(replica.broker) && leads)
}

fn cell(registration: &PartitionRegistration, replica: &Replica<'_>, wanted: i64, until: Option<i64>) -> ReplicaCell {
    let (role, leader_epoch, zombie) = standing(registration, replica);
    let of = |read: fn(&Log) -> Offset| replica.log.map_or(0, |log| read(log).0);
    let log = replica.log.filter(|_| wanted > 0);
    let mut cell = ReplicaCell {
        broker: replica.broker.0,
        role,
        in_sync: registration.isr.contains(&replica.broker),
        leader_epoch,
        log_start: of(Log::log_start),
        log_end: of(Log::log_end),
        high_watermark: of(Log::high_watermark),
        last_stable: of(Log::last_stable_offset),
        records: log.map(|log| records(log, wanted, until)).unwrap_or_default(),
        description: String::new(),
        zombie,
    };
    cell.description = describe(&cell);
    cell
}

/// "leader, epoch 1, log end 6, high watermark 5, in sync"; with an open transaction also "last stable offset 3"
fn describe(cell: &ReplicaCell) -> String {
    let role = match cell.role {
        ReplicaRole::Leader => "leader",
        ReplicaRole::InSync | ReplicaRole::OutOfSync if cell.zombie => "believes to lead",
        ReplicaRole::InSync | ReplicaRole::OutOfSync => "follower",
        ReplicaRole::Offline => "offline",
    };
    let sync = if cell.in_sync { "in sync" } else { "not in sync" };
    let stable = match cell.last_stable < cell.high_watermark {
        true => format!(", last stable offset {}", cell.last_stable),
        false => String::new(),
    };
    format!(
        "{role}, epoch {}, log end {}, high watermark {}{stable}, {sync}",
        cell.leader_epoch, cell.log_end, cell.high_watermark
    )
}

/// So many of the last records of a log, or of the last before `until`, decoded: only the batches that hold
/// them are touched.
fn records(log: &Log, wanted: i64, until: Option<i64>) -> Rc<[RecordCell]> {
    let end = until.unwrap_or(i64::MAX).min(log.log_end().0);
    let first = Offset(end - wanted).max(log.log_start());
    let high_watermark = log.high_watermark();
    let batches = log.batches(first).take_while(|batch| batch.base_offset.0 < end);
    let cells_of = |batch: Batch| record_cells(&batch, high_watermark, transactions::fate(log, &batch));
    batches.flat_map(cells_of).filter(|cell| (first.0..end).contains(&cell.offset)).collect()
}

fn record_cells(batch: &Batch, high_watermark: Offset, transaction: Option<TransactionFate>) -> Vec<RecordCell> {
    let control = batch.is_control();
    let records = batch.records().unwrap_or_default();
    let cell = |record: crate::wire::batch::Record| {
        let key = if control { None } else { record.key };
        let shown = key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
        RecordCell {
            offset: record.offset,
            leader_epoch: batch.leader_epoch.0,
            mark: if control { "◆".to_string() } else { mark(shown.as_deref()) },
            hue: key.as_ref().map(|key| key_hue(key)),
            key: shown,
            value: record.value.filter(|_| !control).map(|value| String::from_utf8_lossy(&value).into_owned()),
            committed: record.offset < high_watermark.0,
            control,
            transaction,
        }
    };
    records.into_iter().map(cell).collect()
}

/// What is written on a record, in at most two characters: a short key whole, of a word its first letter,
/// and where keys are numbered the end of the number, with the letter before it where there is room.
pub fn mark(key: Option<&str>) -> String {
    let Some(key) = key.filter(|key| !key.is_empty()) else { return "·".to_string() };
    let count = key.chars().count();
    let digits = key.chars().rev().take_while(char::is_ascii_digit).count();
    match digits {
        _ if count <= 2 => key.to_string(),
        0 => key.chars().take(1).collect(),
        1 => key.chars().take(1).chain(key.chars().skip(count - 1)).collect(),
        _ => key.chars().skip(count - 2).collect(),
    }
}

/// Where another member would begin to read if this one died now: at what the group committed, or else
/// where `auto.offset.reset` says. `None`: nothing that was read would be read again.
pub fn restart(
    world: &World,
    consumer: &Consumer,
    partition: &TopicPartition,
    committed: Option<Offset>,
) -> Option<i64> {
    let earliest = || {
        let resets = consumer.config().offset_reset == OffsetReset::Earliest;
        world.log_of(partition, None).filter(|_| resets).map(|log| log.log_start())
    };
    committed.or_else(earliest).map(|offset| offset.0)
}

/// The cursors of every consumer on the partitions of a range, by place in it: one walk over what is
/// assigned, and one over what each group has committed.
pub fn cursors(world: &World, found: &Replicas<'_>, range: &Range<usize>) -> Vec<Vec<Cursor>> {
    let mut cursors: Vec<Vec<Cursor>> = vec![Vec::new(); range.len()];
    if range.is_empty() {
        return cursors;
    }
    let place = |partition: &TopicPartition| {
        found.index(partition).filter(|index| range.contains(index)).map(|index| index - range.start)
    };
    let mut groups = SortedSet::new();
    for (name, _, consumer) in world.consumers() {
        for (partition, assigned) in consumer.assigned() {
            let Some(place) = place(partition) else { continue };
            groups.insert(consumer.group().to_string());
            cursors[place].push(Cursor {
                consumer: name.to_string(),
                group: Some(consumer.group().to_string()),
                hand: Hand::Consumer,
                committed: None,
                restart: restart(world, consumer, partition, None),
                position: assigned.position.as_ref().map(|position| position.offset.0),
            });
        }
    }
    for group in groups {
        for (partition, offset) in world.committed_by(&group) {
            let Some(place) = place(partition) else { continue };
            let of_group = cursors[place].iter_mut().filter(|cursor| cursor.group.as_ref() == Some(&group));
            of_group.for_each(|cursor| {
                cursor.committed = Some(offset.0);
                cursor.restart = Some(offset.0);
            });
        }
    }
    for group in world.group_names() {
        for partition in world.share_partitions(&group) {
            let (Some(place), Some(share)) = (place(&partition), world.share_partition(&group, &partition)) else {
                continue;
            };
            let (start, end) = shares::window(share);
            let hand = Hand::ShareGroup;
            let (committed, position) = (Some(start.0), Some(end.0));
            let (consumer, restart) = (group.clone(), committed);
            cursors[place].push(Cursor { consumer, group: None, hand, committed, restart, position });
        }
    }
    for (name, _, stream) in world.streams() {
        let positions = stream.positions();
        // The checkpoint is there also while the query is not.
        for (partition, start) in stream.checkpoint().start().into_iter().flatten() {
            let Some(place) = place(partition) else { continue };
            cursors[place].push(Cursor {
                consumer: name.to_string(),
                group: None,
                hand: Hand::Stream,
                committed: Some(start.0),
                restart: Some(start.0),
                position: Some(positions.get(partition).unwrap_or(start).0),
            });
        }
    }
    cursors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_keys_apart_in_two_characters() {
        let marks = |keys: &[&str]| keys.iter().map(|key| mark(Some(key))).collect::<Vec<_>>();
        assert_eq!(marks(&["a", "k1", "é!"]), ["a", "k1", "é!"]);
        assert_eq!(marks(&["alice", "bob", "σοφία"]), ["a", "b", "σ"]);
        assert_eq!(marks(&["k10", "k49", "user-123", "2026"]), ["10", "49", "23", "26"]);
        assert_eq!(marks(&["order-7", "user-7"]), ["o7", "u7"]);
        assert_eq!((mark(Some("")), mark(None)), ("·".to_string(), "·".to_string()));
    }
}
