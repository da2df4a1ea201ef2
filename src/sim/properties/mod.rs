//! Properties: what must hold after every step, checked by observers that stand outside the protocol
//! and that no node can see.
//!
//! There are two kinds of broken things. A broken *property* is a bug of the engine: the run stops
//! with its seed and its script. A broken *promise* (a record acknowledged with acks=1 that is gone) is
//! what a configuration asked for: the ledger counts it and the verdict explains it. Where a property
//! only holds while committed records are safe, the observer notes when they stop being safe (an
//! [`Excuse`]) and checks the rest.
//!
//! What is told in a step says where to look; what is checked is the state of the nodes themselves.
//! A check looks at what is new since the last one, so its cost grows with what changed.

mod excuse;
mod isr;
mod metadata;
mod partition;
mod property;
mod quorum;
mod rest;
mod sequences;
mod share;
mod transactions;
mod truncations;
mod written;

use std::sync::Arc;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::sim::event::EventId;
use crate::sim::world::World;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::{BrokerId, GroupId, LeaderEpoch, NodeId, Offset, TopicPartition, Uuid, str_bytes};

pub use excuse::Excuse;
pub use property::{Holds, Property};

use partition::PartitionWatch;
use quorum::QuorumWatch;
use share::Settled;
use transactions::Outcomes;

/// More broken properties than this say nothing new.
const BROKEN_MAX: usize = 16;

/// A property that does not hold: a bug of the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    pub property: Property,
    pub at: Instant,
    /// The last event before it was seen.
    pub event: EventId,
    pub partition: Option<TopicPartition>,
    /// What was seen instead.
    pub text: String,
}

/// One incarnation of a topic's partition: a topic of the same name made later has another id.
type Key = (Uuid, i32);

/// All observers of a world.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Properties {
    partitions: SortedMap<Key, Arc<PartitionWatch>>,
    quorum: Arc<QuorumWatch>,
    transactions: Arc<Outcomes>,
    settled: Arc<Settled>,
    broken: Vec<Broken>,
}

/// Where a check reports to.
pub(super) struct Finder<'a> {
    world: &'a World,
    event: EventId,
    broken: &'a mut Vec<Broken>,
}

impl Finder<'_> {
    fn broken(&mut self, property: Property, partition: Option<&TopicPartition>, text: String) {
        if self.broken.len() < BROKEN_MAX {
            let (at, event, partition) = (self.world.now, self.event, partition.cloned());
            self.broken.push(Broken { property, at, event, partition, text });
        }
    }
}

impl Properties {
    /// What was found broken, in the order in which it was found.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// The partitions whose committed records are (or were) not safe, with the reason.
    pub fn excuses(&self) -> impl Iterator<Item = (&TopicPartition, &Excuse)> {
        self.partitions.values().filter_map(|watch| Some((watch.name(), watch.excuse()?)))
    }

    /// A fact was told; the state of its node is that after the turn.
    pub(super) fn observe(&mut self, world: &World, fact: &Fact, event: EventId) {
        let Properties { partitions, quorum, transactions, settled, broken } = self;
        let mut finder = Finder { world, event, broken };
        match fact {
            Fact::BecameLeader { partition, broker, .. }
            | Fact::BecameFollower { partition, broker, .. }
            | Fact::Appended { partition, broker, .. }
            | Fact::Truncated { partition, broker, .. }
            | Fact::HighWatermarkMoved { partition, broker, .. }
            | Fact::IsrChangeProposed { partition, broker, .. }
            | Fact::IsrChangeRefused { partition, broker, .. }
            | Fact::ProduceRefused { partition, broker, .. }
            | Fact::LogStartMoved { partition, broker, .. }
            | Fact::LogCompacted { partition, broker, .. } => {
                // A replica that was deleted in the same turn has nothing left to look at.
                let Some(key) = key_on_disk(world, *broker, partition) else { return };
                let watch = partitions.entry(key).or_insert_with(|| Arc::new(PartitionWatch::new(partition, key.0)));
                let watch = Arc::make_mut(watch);
                watch.observe(&mut finder, *broker, fact);
                for (transaction, commit) in watch.take_outcomes() {
                    let ended = Arc::make_mut(transactions).ended(transaction, commit, partition);
                    if let (Err(text), true) = (ended, watch.is_unbroken()) {
                        finder.broken(Property::TransactionAtomicity, Some(partition), text);
                    }
                }
            }
            Fact::Acknowledged { partition, base_offset, acks: -1, records, .. } => {
                if let Some(watch) = named(world, partitions, partition) {
                    watch.acknowledged(&mut finder, *base_offset, records);
                }
            }
            Fact::Delivered { consumer, partition, records, first, last, count } => {
                if let Some(watch) = named(world, partitions, partition) {
                    watch.delivered(&mut finder, *consumer, (*first, *last), *count, records);
                }
            }
            Fact::ShareAcknowledged { consumer, partition, first, last, kind } => {
                let (Some(consumer), Some(watch)) =
                    (world.share_consumer_at(*consumer), named(world, partitions, partition))
                else {
                    return;
                };
                let (group, key) = (GroupId(str_bytes(consumer.group())), (watch.topic(), partition.partition));
                Arc::make_mut(settled).acknowledged(group, key, (*first, *last), *kind);
            }
            Fact::RecordsAcquired { group, partition, broker, first, last, .. } => {
                settled.acquired(&mut finder, partitions, (group, partition, *broker), (*first, *last));
            }
            Fact::ShareWriteOvertaken { group, partition, .. } => {
                if let Some(watch) = named(world, partitions, partition) {
                    Arc::make_mut(settled).overtaken(group.clone(), (watch.topic(), partition.partition));
                }
            }
            Fact::ShareOffsetsAltered { group, offsets } => {
                for watch in offsets.iter().filter_map(|(partition, _)| named(world, partitions, partition)) {
                    let key = (watch.topic(), watch.name().partition);
                    Arc::make_mut(settled).forget_partition(group.clone(), key);
                }
            }
            Fact::GroupDeleted { group } => Arc::make_mut(settled).forget(group),
            Fact::Killed { node } | Fact::PoweredOff { node } | Fact::Wiped { node } | Fact::Stopped { node } => {
                Arc::make_mut(quorum).ended(&finder, *node, matches!(fact, Fact::Wiped { .. }));
                let NodeId::Broker(broker) = node else { return };
                for watch in partitions.values_mut().filter(|watch| watch.concerns(*broker)) {
                    Arc::make_mut(watch).ended(&finder, *broker, fact);
                }
            }
            _ => {}
        }
    }

    /// The newest committed metadata changed.
    pub(super) fn metadata_changed(&mut self, world: &World, old: &MetadataImage, event: EventId) {
        let mut finder = Finder { world, event, broken: &mut self.broken };
        metadata::changed(&mut finder, &mut self.partitions, old, world.image());
    }

    /// A node took a turn: its part of the quorum may have changed.
    /// `pre_vote`: the epoch in which it was asked for a pre-vote, if it was.
    pub(super) fn took_turn(&mut self, world: &World, node: NodeId, pre_vote: Option<LeaderEpoch>, event: EventId) {
        if quorum::is_new(&self.quorum, world, node) {
            let mut finder = Finder { world, event, broken: &mut self.broken };
            Arc::make_mut(&mut self.quorum).look_at(&mut finder, node, pre_vote);
        }
    }

    /// The faults have ended and the cluster had its time: everything that was promised must be there.
    pub fn at_rest(&self, world: &World) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut finder = Finder { world, event: world.last_event(), broken: &mut broken };
        rest::look_at(&mut finder, &self.partitions);
        broken
    }
}

fn key_on_disk(world: &World, broker: BrokerId, partition: &TopicPartition) -> Option<Key> {
    let folder = world.broker(broker)?.disk().folders.get(partition)?;
    Some((folder.topic_id, partition.partition))
}

/// The watch of the partition that clients mean by this name.
fn named<'a>(
    world: &World,
    partitions: &'a SortedMap<Key, Arc<PartitionWatch>>,
    partition: &TopicPartition,
) -> Option<&'a PartitionWatch> {
    let id = world.image().topics.get(&partition.topic)?.id;
    partitions.get(&(id, partition.partition)).map(Arc::as_ref)
}

/// A broker's log of this very partition, as its disk has it.
fn log_of<'a>(
    world: &'a World,
    broker: BrokerId,
    partition: &TopicPartition,
    topic: Uuid,
) -> Option<&'a crate::kafka::log::Log> {
    let folder = world.broker(broker)?.disk().folders.get(partition)?;
    (folder.topic_id == topic).then(|| folder.log.as_ref())
}

/// An offset as a sentence has it.
fn below(offset: Offset) -> String {
    format!("below {offset}")
}
