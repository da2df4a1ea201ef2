//! The clients' cards: producers on the left, groups with their consumers on the right.

use std::ops::Range;

use serde::Serialize;

use crate::kafka::client::subscription::Assigned;
use crate::kafka::client::{Consumer, Producer};
use crate::kafka::fact::{error_name, record};
use crate::kafka::log::Log;
use crate::sim::queries::{Delivered, Reader};
use crate::sim::{Member, Power, World};
use crate::view::partitions::{key_hue, restart};
use crate::view::replicas::Replicas;
use crate::view::shares;
use crate::wire::batch::Batch;
use crate::wire::{NodeId, OFFSETS_TOPIC, Offset, TopicPartition};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// With `transactional.id`: how its transaction stands, by Kafka's name of the state.
    pub transaction: Option<TransactionCard>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionCard {
    pub id: String,
    /// `READY`, `IN_TRANSACTION`, `FATAL_ERROR` …; `None` while the producer does not run.
    pub state: Option<&'static str>,
    /// Kafka's name of what is wrong.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingBatch {
    pub partition: String,
    /// `alice=created`, or `12 records`.
    pub records: String,
    pub hue: Option<u16>,
    /// `lingers`, `in flight`, `backs off`.
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupCard {
    pub id: String,
    /// `classic`, `consumer` or `share`
    pub protocol: String,
    /// Kafka's state names: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead.
    pub state: String,
    pub generation: i32,
    pub coordinator: Option<i32>,
    pub assignor: String,
    pub consumers: Vec<ConsumerCard>,
    /// Committed offsets of partitions that no member holds; at most `PARTITIONS_SHOWN`.
    pub unowned: Vec<(String, i64)>,
    /// How many such partitions there are beyond these.
    pub more_unowned: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerCard {
    pub name: String,
    /// The word that a script has for it: `consumer` or `share-consumer`.
    pub kind: &'static str,
    pub running: bool,
    pub frozen: bool,
    /// What it does in a word: `polling`, `busy`, `joining`, `paused`, `frozen`, `stopped`.
    pub activity: String,
    /// The generation (or member epoch) that it is in, where its group is in another.
    pub other_generation: Option<i32>,
    /// All that it holds; of many, those whose rows are near, or else the first.
    pub partitions: Vec<ConsumerPartition>,
    /// How many it holds beyond these.
    pub more: u32,
    /// Of all that it holds together.
    pub lag: i64,
    pub delivered: u64,
    /// The newest records handed to the application, oldest first; at most eight.
    pub recent: Vec<DeliveredRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerPartition {
    pub partition: String,
    pub position: Option<i64>,
    pub committed: Option<i64>,
    /// Where whoever takes over begins: from here to the position stretches the redelivery window.
    pub restart: Option<i64>,
    /// Log end as consumers see it (the high watermark) less the position.
    pub lag: Option<i64>,
    pub log_start: i64,
    pub log_end: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveredRecord {
    pub partition: String,
    pub offset: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub hue: Option<u16>,
    /// The group had been handed it before.
    pub again: bool,
}

/// A delivery is told to be a repetition when the first one is among so many before.
pub(super) const AGAIN_WITHIN: usize = 256;
/// How many batches and deliveries a card shows.
pub(super) const SHOWN: usize = 8;
/// A card lists the partitions one by one up to so many; beyond, only some of them.
pub const PARTITIONS_SHOWN: usize = 24;
const OF_MANY: usize = 8;

pub fn producers(world: &World) -> Vec<ProducerCard> {
    let cards = world.producers().filter_map(|(name, producer)| Some(card(name, world.client_member(name)?, producer)));
    cards.collect()
}

fn card(name: &str, member: &Member, producer: &Producer) -> ProducerCard {
    let config = producer.config();
    let acks = if config.acks == -1 { "all".to_string() } else { config.acks.to_string() };
    let idempotence = match config.idempotence {
        true if producer.transactional_id().is_some() => "transactional",
        true => "idempotent",
        false => "not idempotent",
    };
    let identity = producer.identity();
    ProducerCard {
        name: name.to_string(),
        running: member.power == Power::Running,
        frozen: member.frozen,
        summary: format!("acks={acks} · {idempotence}"),
        producer_id: identity.map(|identity| identity.id.0),
        epoch: identity.map_or(-1, |identity| identity.epoch),
        sent: producer.sent(),
        acked: producer.acked(),
        failed: producer.failed().values().sum(),
        pending: producer.pending(),
        in_flight: pending(producer),
        last_error: last_error(producer),
        loading: producer.is_loading(),
        transaction: transaction(producer),
    }
}

fn transaction(producer: &Producer) -> Option<TransactionCard> {
    let id = producer.transactional_id()?.to_string();
    let standing = producer.transaction();
    let error = standing.and_then(|(_, error)| error).map(error_name);
    Some(TransactionCard { id, state: standing.map(|(state, _)| state.name()), error })
}

/// Why a batch failed, if one of the newest did.
fn last_error(producer: &Producer) -> Option<String> {
    let newest = if producer.failed().is_empty() { 0 } else { 64 };
    producer.results().backwards().take(newest).find_map(|result| result.outcome.err()).map(error_name)
}

fn pending(producer: &Producer) -> Vec<PendingBatch> {
    let flying = producer.in_flight().into_iter().map(|(node, partition, count, _)| PendingBatch {
        partition: partition.to_string(),
        records: count_of(count),
        hue: None,
        state: format!("in flight to {node}"),
    });
    let waiting = producer.queues().flat_map(|(partition, queue)| {
        queue.batches.iter().map(move |batch| PendingBatch {
            partition: partition.to_string(),
            records: count_of(batch.count()),
            hue: None,
            state: if batch.attempts > 0 { "backs off".to_string() } else { "lingers".to_string() },
        })
    });
    flying.chain(waiting).take(SHOWN).collect()
}

fn count_of(records: u32) -> String {
    if records == 1 { "1 record".to_string() } else { format!("{records} records") }
}

/// Every group; of consumers that hold many partitions those in `near` are told.
pub fn groups(world: &World, found: &Replicas<'_>, near: &Range<usize>) -> Vec<GroupCard> {
    world.group_names().iter().map(|name| group(world, name, found, near)).collect()
}

fn group(world: &World, name: &str, found: &Replicas<'_>, near: &Range<usize>) -> GroupCard {
    let starts: Vec<(TopicPartition, Offset)> = shares::starts(world, name);
    let mut committed: Vec<(&TopicPartition, Offset)> = world.committed_by(name).collect();
    committed.extend(starts.iter().map(|(partition, start)| (partition, *start)));
    let members = || world.consumers().filter(|(_, _, consumer)| consumer.group() == name);
    let look = Look { world, found, near, committed: &committed };
    let sharing = world.share_consumers().filter(|(_, _, consumer)| consumer.group() == name);
    let sharing: Vec<_> = sharing.map(|(client, member, c)| shares::consumer(&look, client, member, c)).collect();
    let is_share = !sharing.is_empty() || world.share_group(name).is_some();
    let consumers = members().map(|(client, member, c)| consumer(&look, client, member, c)).chain(sharing).collect();
    let mut owned = vec![false; found.partitions().len()];
    for (partition, _) in members().flat_map(|(_, _, c)| c.assigned()) {
        found.index(partition).into_iter().for_each(|index| owned[index] = true);
    }
    // A share group commits nothing: its partitions are nobody's.
    starts.iter().filter_map(|(partition, _)| found.index(partition)).for_each(|index| owned[index] = true);
    let unowned = || committed.iter().filter(|(partition, _)| found.index(partition).is_some_and(|at| !owned[at]));
    let told = unowned().take(PARTITIONS_SHOWN).map(|(partition, offset)| (partition.to_string(), offset.0));
    GroupCard {
        id: name.to_string(),
        protocol: match world.consumer_group(name) {
            Some(_) => "consumer".to_string(),
            None if is_share => "share".to_string(),
            None => "classic".to_string(),
        },
        state: world.group_state(name).unwrap_or_else(|| without_state(world, name)).to_string(),
        generation: world.group_generation(name).unwrap_or_default(),
        coordinator: world.coordinator(name).map(|broker| broker.0),
        assignor: world.assignor_of(name).unwrap_or_default(),
        unowned: told.collect(),
        more_unowned: unowned().count().saturating_sub(PARTITIONS_SHOWN) as u32,
        consumers,
    }
}

/// What there is to say of a group whose state nobody tells: whoever would know it is down or does not coordinate it
/// yet, or there is no such group.
fn without_state(world: &World, name: &str) -> &'static str {
    let coordinator = world.coordinator(name).and_then(|id| world.broker(id)?.groups());
    let partition = world.coordinator_partition(OFFSETS_TOPIC, name);
    let knows = coordinator.zip(partition).is_some_and(|(groups, partition)| groups.coordinates(partition.partition));
    if knows { "Dead" } else { "No coordinator" }
}

/// What the cards of readers are made from.
pub(super) struct Look<'a> {
    pub world: &'a World,
    pub found: &'a Replicas<'a>,
    pub near: &'a Range<usize>,
    /// What is committed, or stands in a checkpoint.
    pub committed: &'a [(&'a TopicPartition, Offset)],
}

fn consumer(look: &Look<'_>, name: &str, member: &Member, consumer: &Consumer) -> ConsumerCard {
    let running = member.power == Power::Running && consumer.is_running();
    let held: Vec<_> = consumer.assigned().map(|(partition, assigned)| (partition, position_of(assigned))).collect();
    let (shown, more) = some_of(look, &held);
    let now = look.world.group_generation(consumer.group());
    let of_consumer = |partition: &TopicPartition, position| {
        let reading = reading(look, partition, position);
        let restart = restart(look.world, consumer, partition, reading.committed.map(Offset));
        ConsumerPartition { restart, ..reading }
    };
    ConsumerCard {
        name: name.to_string(),
        kind: "consumer",
        running,
        frozen: member.frozen,
        activity: activity(look.world, member, consumer, running).to_string(),
        other_generation: consumer.generation().filter(|own| now.is_some_and(|now| now != *own)),
        more,
        lag: held.iter().filter_map(|(partition, position)| Some(look.lag(partition, (*position)?))).sum(),
        partitions: shown.into_iter().map(|(partition, position)| of_consumer(partition, position)).collect(),
        delivered: consumer.delivered_count(),
        recent: recent(look.world, consumer),
    }
}

/// The cards of a reader's partitions: all, or of many those that are looked at, and how many there are beyond.
pub(super) fn some_of<'a>(
    look: &Look<'_>,
    readings: &[(&'a TopicPartition, Option<i64>)],
) -> (Vec<(&'a TopicPartition, Option<i64>)>, u32) {
    if readings.len() <= PARTITIONS_SHOWN {
        return (readings.to_vec(), 0);
    }
    let is_near = |partition: &TopicPartition| look.found.index(partition).is_some_and(|at| look.near.contains(&at));
    let any_near = readings.iter().any(|(partition, _)| is_near(partition));
    let some = readings.iter().filter(|(partition, _)| !any_near || is_near(partition));
    let shown: Vec<_> = some.take(OF_MANY).copied().collect();
    let more = (readings.len() - shown.len()) as u32;
    (shown, more)
}

fn position_of(assigned: &Assigned) -> Option<i64> {
    assigned.position.as_ref().map(|position| position.offset.0)
}

impl Look<'_> {
    /// The log that answers for a partition: its leader's.
    fn log(&self, partition: &TopicPartition) -> Option<&Log> {
        let here = &self.found.partitions()[self.found.index(partition)?];
        let leader = here.registration.leader?;
        let log = self.found.of(here).iter().find(|replica| replica.broker == leader)?.log?;
        Some(log)
    }

    pub fn lag(&self, partition: &TopicPartition, position: i64) -> i64 {
        self.log(partition).map_or(0, |log| (log.high_watermark().0 - position).max(0))
    }
}

fn activity(world: &World, member: &Member, consumer: &Consumer, running: bool) -> &'static str {
    if !running {
        "stopped"
    } else if member.frozen {
        "frozen"
    } else if consumer.busy_until(world.now).is_some() {
        "busy"
    } else if !consumer.is_stable() {
        "joining"
    } else if consumer.is_paused() {
        "paused"
    } else {
        "polling"
    }
}

pub(super) fn reading(look: &Look<'_>, partition: &TopicPartition, position: Option<i64>) -> ConsumerPartition {
    let log = look.log(partition).or_else(|| look.world.log_of(partition, None));
    let end = log.map_or(0, |log| log.high_watermark().0);
    let committed = look.committed.iter().find(|(other, _)| *other == partition).map(|(_, offset)| *offset);
    ConsumerPartition {
        partition: partition.to_string(),
        position,
        committed: committed.map(|offset| offset.0),
        restart: committed.map(|offset| offset.0),
        lag: position.map(|position| (end - position).max(0)),
        log_start: log.map_or(0, |log| log.log_start().0),
        log_end: log.map_or(0, |log| log.log_end().0),
    }
}

fn recent(world: &World, consumer: &Consumer) -> Vec<DeliveredRecord> {
    let records = Reader::Consumer(consumer).records(Some(SHOWN as u64));
    // Where nothing was ever handed to the group twice, nothing needs to be looked through.
    let some_twice = world.ledger().duplicated(consumer.group()) > 0;
    let within = if some_twice { AGAIN_WITHIN } else { 0 };
    let earlier: Vec<_> = consumer.delivered().backwards().take(within).collect();
    let again = |partition: &TopicPartition, offset: i64| {
        let same = earlier.iter().filter(|b| b.partition == *partition && (b.first.0..=b.last.0).contains(&offset));
        same.count() > 1
    };
    let is_again = |record: &Delivered| again(&record.partition, record.offset.0);
    records.iter().map(|record| recently(record, is_again(record))).collect()
}

pub(super) fn recently(record: &Delivered, again: bool) -> DeliveredRecord {
    let text = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
    DeliveredRecord {
        again,
        partition: record.partition.to_string(),
        offset: record.offset.0,
        hue: record.key.as_ref().map(|key| key_hue(key)),
        key: text(&record.key),
        value: text(&record.value),
    }
}

/// The first record of some batches in words, with the hue of its key.
pub fn first_record(records: &bytes::Bytes) -> Option<(String, Option<u16>, u32)> {
    let batches = Batch::parse_all(records.clone(), false).ok()?;
    let count = batches.iter().map(|batch| batch.record_count as u32).sum();
    let first = batches.first()?;
    if first.is_control() {
        return Some(("control record".to_string(), None, count));
    }
    let first = first.records().ok()?.into_iter().next()?;
    Some((record(first.key.as_ref(), first.value.as_ref()), first.key.as_ref().map(|key| key_hue(key)), count))
}

/// A node in the viewer's words: `broker 2`, `c1`, `app`.
pub fn node_name(world: &World, node: NodeId) -> String {
    use crate::kafka::fact::Names;
    world.node(node)
}
