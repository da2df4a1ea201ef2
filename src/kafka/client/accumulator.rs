//! Where a producer's records wait for the network: one queue of batches for each partition
//! (RecordAccumulator, BufferPool).

use std::collections::VecDeque;

use crate::kafka::client::idempotence::Sequences;
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::partitioner::{LoadStats, Sticky};
use crate::kafka::client::producer_batch::{ProducerBatch, Stamp, UNCOMPRESSED, increment_sequence, size_upper_bound};
use crate::kafka::config::ProducerConfig;
use crate::kafka::node::Turn;
use crate::time::{Duration, Instant};
use crate::wire::batch::{Compression, NewRecord};
use crate::wire::{LeaderEpoch, NodeId, TopicName, TopicPartition, Uuid};

/// One partition's queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Oldest first; batches to be retried stand in the order of their sequences.
    pub batches: VecDeque<ProducerBatch>,
    /// A batch is on its way and order matters: nothing is drained (`max.in.flight` = 1).
    pub muted: bool,
    pub sequences: Sequences,
    /// The running number of the next record.
    next_record: u64,
    /// As the metadata has it.
    leader: Option<(NodeId, LeaderEpoch)>,
}

/// One topic that records were sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub name: TopicName,
    pub id: Uuid,
    pub queues: Vec<Queue>,
    pub sticky: Sticky,
    /// Partitions that have a leader.
    pub available: Vec<i32>,
    /// How well its batches could be compressed lately (CompressionRatioEstimator).
    ratio_permille: u32,
}

/// A node and the queues whose partitions it leads, by topic index and partition.
pub type Led = (NodeId, Vec<(u32, i32)>);

#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator {
    pub topics: Vec<Topic>,
    /// What of `buffer.memory` is not reserved by batches.
    pub free: i64,
    /// Which queues each node leads, by node.
    pub led: Vec<Led>,
    batch_size: u32,
    linger: Duration,
    compression: Compression,
    /// Its batches belong to transactions.
    transactional: bool,
    /// The metadata version that `led` and the queues' leaders stem from.
    synced: Option<u64>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq)]
pub enum Append {
    Done,
    /// `buffer.memory` is exhausted: the record comes back.
    NoMemory(NewRecord),
}

impl Accumulator {
    pub fn new(config: &ProducerConfig, transactional: bool) -> Accumulator {
        Accumulator {
            topics: Vec::new(),
            free: config.buffer_memory,
            led: Vec::new(),
            batch_size: config.batch_size.max(1) as u32,
            linger: config.linger,
            compression: config.compression,
            transactional,
            synced: None,
        }
    }

    pub fn topic_index(&self, name: &TopicName) -> Option<u32> {
        self.topics.iter().position(|t| t.name == *name).map(|i| i as u32)
    }

    /// The topic's index; it is added when the metadata knows it. `numbering` gives the running
    /// number that each new partition's records continue with.
    pub fn ensure_topic(
        &mut self,
        name: &TopicName,
        metadata: &Metadata,
        numbering: impl Fn(&TopicPartition) -> u64,
    ) -> Option<u32> {
        if let Some(index) = self.topic_index(name) {
            return metadata.topic(name).map(|_| index);
        }
        let known = metadata.topic(name)?;
        let sticky = Sticky::new(self.batch_size as i32).expect("the batch size is at least one");
        let (queues, available) = (Vec::new(), Vec::new());
        let name = name.clone();
        self.topics.push(Topic { name, id: known.id, queues, sticky, available, ratio_permille: UNCOMPRESSED });
        self.synced = None;
        self.sync(metadata, numbering);
        Some(self.topics.len() as u32 - 1)
    }

    /// Takes over leaders and new partitions when the metadata changed.
    pub fn sync(&mut self, metadata: &Metadata, numbering: impl Fn(&TopicPartition) -> u64) {
        if self.synced == Some(metadata.version()) {
            return;
        }
        self.synced = Some(metadata.version());
        self.led.clear();
        for (index, topic) in self.topics.iter_mut().enumerate() {
            let known = metadata.topic(&topic.name);
            if let Some(known) = known {
                topic.id = known.id;
                for partition in topic.queues.len()..known.partitions.len() {
                    let tp = TopicPartition::new(topic.name.clone(), partition as i32);
                    topic.queues.push(Queue::new(numbering(&tp)));
                }
            }
            topic.available.clear();
            for (partition, queue) in topic.queues.iter_mut().enumerate() {
                let told = known.and_then(|k| k.partitions.get(partition));
                queue.leader = told.and_then(|p| Some((p.leader?, p.leader_epoch)));
                let Some((leader, epoch)) = queue.leader else { continue };
                topic.available.push(partition as i32);
                for batch in &mut queue.batches {
                    batch.see_leader_epoch(epoch);
                }
                match self.led.iter_mut().find(|(node, _)| *node == leader) {
                    Some((_, queues)) => queues.push((index as u32, partition as i32)),
                    None => self.led.push((leader, vec![(index as u32, partition as i32)])),
                }
            }
        }
        self.led.sort_unstable_by_key(|(node, _)| *node);
    }

    /// Where a record without a key goes: to the partition that the topic sticks to.
    pub fn stick(&mut self, turn: &mut Turn<'_>, topic: u32) -> i32 {
        let batch_size = self.batch_size;
        self.topics[topic as usize].choose(turn, batch_size)
    }

    /// RecordAccumulator.append; `sticky` says that `partition` was the built-in partitioner's choice.
    pub fn append(
        &mut self,
        turn: &mut Turn<'_>,
        topic: u32,
        partition: i32,
        sticky: bool,
        record: NewRecord,
    ) -> Append {
        let batch_size = self.batch_size;
        let place = &mut self.topics[topic as usize];
        let queue = &mut place.queues[partition as usize];
        let appended = match queue.batches.back_mut() {
            Some(batch) => batch.try_append(record, batch_size),
            None => Err(record),
        };
        let grown = match appended {
            Ok(grown) => grown,
            Err(record) => return self.append_first(turn, topic, partition, sticky, record),
        };
        queue.next_record += 1;
        if sticky {
            place.account(turn, grown, batch_size);
        }
        Append::Done
    }

    /// Whether there is no memory for another batch.
    pub fn is_scarce(&self) -> bool {
        self.free < i64::from(self.batch_size)
    }

    /// Whether anything waits in a queue.
    pub fn is_empty(&self) -> bool {
        self.topics.iter().all(|t| t.queues.iter().all(|q| q.batches.is_empty()))
    }

    pub fn queue(&self, topic: u32, partition: i32) -> &Queue {
        &self.topics[topic as usize].queues[partition as usize]
    }

    pub fn queue_mut(&mut self, topic: u32, partition: i32) -> &mut Queue {
        &mut self.topics[topic as usize].queues[partition as usize]
    }

    pub fn partition_of(&self, batch: &ProducerBatch) -> TopicPartition {
        TopicPartition::new(self.topics[batch.topic as usize].name.clone(), batch.partition)
    }

    /// A batch is done: its memory is free again.
    pub fn release(&mut self, batch: &ProducerBatch) {
        self.free += i64::from(batch.reserved);
    }

    /// From when on the queue's first batch may be drained, if nothing else hinders it; `flush`
    /// does not wait for `linger.ms`.
    pub fn sendable_at(&self, queue: &Queue, flush: bool) -> Option<Instant> {
        let first = queue.batches.front().filter(|_| !queue.muted)?;
        if first.attempts > 0 {
            let at = if first.leader_changed() { Instant(i64::MIN) } else { first.retry_at };
            return Some(at);
        }
        let full = queue.batches.len() > 1 || first.is_full(self.batch_size);
        Some(if full || flush { Instant(i64::MIN) } else { first.created + self.linger })
    }

    /// Takes the batches out that waited longer than `delivery.timeout.ms` in their queues.
    pub fn expire(&mut self, now: Instant, timeout: Duration) -> Vec<ProducerBatch> {
        let mut expired = Vec::new();
        for queue in self.topics.iter_mut().flat_map(|t| &mut t.queues) {
            while queue.batches.front().is_some_and(|b| b.created + timeout <= now) {
                expired.extend(queue.batches.pop_front());
            }
        }
        expired
    }

    /// Puts a batch back that is to be sent again: ahead of what has no sequence yet, in the order
    /// of sequences (RecordAccumulator.insertInSequenceOrder), else at the front.
    pub fn requeue(&mut self, batch: ProducerBatch) {
        let queue = &mut self.topics[batch.topic as usize].queues[batch.partition as usize];
        let mut batch = batch;
        if let Some((_, epoch)) = queue.leader {
            batch.see_leader_epoch(epoch);
        }
        let place = match batch.stamp {
            None => 0,
            Some(_) => queue.batches.iter().take_while(|b| b.precedes(&batch)).count(),
        };
        queue.batches.insert(place, batch);
    }

    /// BuiltInPartitioner's load statistics, once every partition of a topic was written to.
    pub fn update_load_stats(&mut self) {
        for topic in &mut self.topics {
            let everywhere = topic.queues.iter().all(|q| q.next_record > 0);
            let mut sizes = Vec::with_capacity(topic.available.len());
            if everywhere {
                sizes.extend(topic.available.iter().map(|p| topic.queues[*p as usize].batches.len() as u32));
            }
            topic.sticky.set_stats(LoadStats::from_queues(&sizes, &topic.available, 0));
        }
    }

    /// The batch is drained: it is encoded, and the topic learns how well its records compress.
    pub fn seal(&mut self, batch: &mut ProducerBatch) {
        batch.encode();
        if self.compression != Compression::None {
            self.topics[batch.topic as usize].observe_ratio(batch.actual_ratio_permille());
        }
    }

    /// RecordAccumulator.splitAndReenqueue: a batch that the broker found too large goes back in parts.
    pub fn split(&mut self, batch: &ProducerBatch) -> Vec<ProducerBatch> {
        let (compression, ratio_permille) = (self.compression, batch.actual_ratio_permille().max(UNCOMPRESSED));
        self.topics[batch.topic as usize].ratio_permille = ratio_permille;
        let target = if batch.is_split { (batch.size() / 2).max(batch.largest_record) } else { self.batch_size };
        let mut parts: Vec<ProducerBatch> = Vec::new();
        for (number, record) in (batch.first_record..).zip(batch.records.iter()) {
            let refused = match parts.last_mut() {
                Some(part) => part.try_append(record.clone(), target).err(),
                None => Some(record.clone()),
            };
            if let Some(record) = refused {
                let mut part = ProducerBatch::new(batch.topic, batch.partition, number, batch.created, target, record);
                part.stamp = batch.stamp.map(|stamp| Stamp {
                    base_sequence: increment_sequence(stamp.base_sequence, (number - batch.first_record) as i32),
                    ..stamp
                });
                (part.compression, part.ratio_permille) = (compression, ratio_permille);
                part.transactional = batch.transactional;
                part.retry_at = Instant(i64::MIN);
                part.is_split = true;
                part.reserved = 0;
                parts.push(part);
            }
        }
        // Kafka allocates the parts outside of the pool and frees the large one; here the first part
        // keeps the reservation, so that the pool is never overdrawn.
        if let Some(first) = parts.first_mut() {
            first.reserved = batch.reserved;
        }
        for part in &mut parts {
            part.closed = true;
        }
        parts
    }

    /// The record needs a new batch, and the batch needs memory.
    fn append_first(
        &mut self,
        turn: &mut Turn<'_>,
        topic: u32,
        partition: i32,
        sticky: bool,
        record: NewRecord,
    ) -> Append {
        let needed = self.batch_size.max(size_upper_bound(&record));
        if self.free < i64::from(needed) {
            return Append::NoMemory(record);
        }
        self.free -= i64::from(needed);
        let batch_size = self.batch_size;
        let place = &mut self.topics[topic as usize];
        let queue = &mut place.queues[partition as usize];
        let mut batch = ProducerBatch::new(topic, partition, queue.next_record, turn.now, needed, record);
        (batch.compression, batch.ratio_permille) = (self.compression, place.ratio_permille);
        batch.transactional = self.transactional;
        if let Some((_, epoch)) = queue.leader {
            batch.leader_epoch = epoch;
        }
        let grown = batch.size();
        queue.next_record += 1;
        queue.batches.push_back(batch);
        if sticky {
            place.account(turn, grown, batch_size);
        }
        Append::Done
    }
}

impl Topic {
    /// CompressionRatioEstimator.updateEstimation: quick to expect worse, slow to expect better.
    fn observe_ratio(&mut self, actual: u32) {
        const IMPROVING: u32 = 5;
        const DETERIORATING: u32 = 50;
        let now = self.ratio_permille;
        self.ratio_permille = match actual {
            worse if worse > now => worse.max(now + DETERIORATING),
            better if better < now => better.max(now.saturating_sub(IMPROVING)),
            _ => now,
        };
    }

    fn choose(&mut self, turn: &mut Turn<'_>, batch_size: u32) -> i32 {
        let count = self.queues.len() as i32;
        let mut draw = || turn.below(1 << 31) as i32;
        let current = self.sticky.partition(&self.available, count, &mut draw);
        // RecordAccumulator.partitionChanged: a switch that was held back is tried again first.
        if self.sticky.is_ripe(0) && self.queues[current as usize].all_full(batch_size) {
            self.sticky.produced(0, true, &self.available, count, &mut draw);
            return self.sticky.partition(&self.available, count, &mut draw);
        }
        current
    }

    fn account(&mut self, turn: &mut Turn<'_>, grown: u32, batch_size: u32) {
        let count = self.queues.len() as i32;
        let mut draw = || turn.below(1 << 31) as i32;
        let may_switch = self.sticky.is_ripe(grown) && {
            let current = self.sticky.partition(&self.available, count, &mut draw);
            self.queues[current as usize].all_full(batch_size)
        };
        self.sticky.produced(grown, may_switch, &self.available, count, &mut draw);
    }
}

impl Queue {
    fn new(next_record: u64) -> Queue {
        Queue { batches: VecDeque::new(), muted: false, sequences: Sequences::default(), next_record, leader: None }
    }

    pub fn leader(&self) -> Option<(NodeId, LeaderEpoch)> {
        self.leader
    }

    pub fn next_record(&self) -> u64 {
        self.next_record
    }

    fn all_full(&self, batch_size: u32) -> bool {
        self.batches.back().is_none_or(|b| b.is_full(batch_size))
    }
}
