//! Where a producer's records wait for the network: one queue of batches for each partition
//! (RecordAccumulator, ProducerBatch, BufferPool).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::client::idempotence::Sequences;
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::partitioner::{LoadStats, Sticky};
use crate::kafka::config::ProducerConfig;
use crate::kafka::node::Turn;
use crate::time::{Duration, Instant};
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{LeaderEpoch, NodeId, ProducerId, TopicName, TopicPartition, Uuid};

/// Bytes of a batch before its first record (DefaultRecordBatch.RECORD_BATCH_OVERHEAD).
const BATCH_OVERHEAD: u32 = 61;
/// The most that a record adds to its key, value and headers (DefaultRecord.MAX_RECORD_OVERHEAD).
const RECORD_OVERHEAD: u32 = 21;

/// Who wrote a batch and where it stands in the partition's sequence: given when the batch is
/// drained, and kept over retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub base_sequence: i32,
}

/// Records of one partition that travel, succeed and fail together.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerBatch {
    /// Index of its topic in the accumulator.
    pub topic: u32,
    pub partition: i32,
    /// The running number of its first record among the producer's records to this partition.
    pub first_record: u64,
    pub created: Instant,
    /// How often it was sent and failed.
    pub attempts: u32,
    /// When it may be sent again.
    pub retry_at: Instant,
    pub stamp: Option<Stamp>,
    /// Its sequence was rewritten after an epoch bump (ProducerBatch.sequenceHasBeenReset).
    pub sequence_reset: bool,
    /// Its records' fate is told already (it expired); an answer comes too late.
    pub done: bool,
    /// It is part of a batch that was too large.
    pub is_split: bool,
    records: Arc<Vec<NewRecord>>,
    /// The batch as it travels: encoded once, when it is drained.
    encoded: Option<Bytes>,
    /// Bytes of the batch with the records so far.
    size: u32,
    largest_record: u32,
    /// Bytes of `buffer.memory` that it holds.
    reserved: u32,
    /// No record is added any more.
    closed: bool,
    /// The leader epoch that the partition had when the batch was looked at last.
    leader_epoch: LeaderEpoch,
    /// The attempt at which the leader epoch was seen to change (KIP-951); 0: none.
    leader_changed_at: u32,
}

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
    pub fn new(config: &ProducerConfig) -> Accumulator {
        Accumulator {
            topics: Vec::new(),
            free: config.buffer_memory,
            led: Vec::new(),
            batch_size: config.batch_size.max(1) as u32,
            linger: config.linger,
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
        self.topics.push(Topic { name: name.clone(), id: known.id, queues: Vec::new(), sticky, available: Vec::new() });
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
        self.led.sort_by_key(|(node, _)| *node);
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

    /// RecordAccumulator.splitAndReenqueue: a batch that the broker found too large goes back in parts.
    pub fn split(&mut self, batch: &ProducerBatch) -> Vec<ProducerBatch> {
        let target = if batch.is_split { (batch.size / 2).max(batch.largest_record) } else { self.batch_size };
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
                part.attempts = batch.attempts;
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
        if let Some((_, epoch)) = queue.leader {
            batch.leader_epoch = epoch;
        }
        let grown = batch.size;
        queue.next_record += 1;
        queue.batches.push_back(batch);
        if sticky {
            place.account(turn, grown, batch_size);
        }
        Append::Done
    }
}

impl Topic {
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

impl ProducerBatch {
    fn new(topic: u32, partition: i32, first_record: u64, now: Instant, reserved: u32, record: NewRecord) -> Self {
        let size = record_size(&record, 0, 0);
        ProducerBatch {
            topic,
            partition,
            first_record,
            created: now,
            attempts: 0,
            retry_at: now,
            stamp: None,
            sequence_reset: false,
            done: false,
            is_split: false,
            records: Arc::new(vec![record]),
            encoded: None,
            size: BATCH_OVERHEAD + size,
            largest_record: size,
            reserved,
            closed: false,
            leader_epoch: LeaderEpoch::UNKNOWN,
            leader_changed_at: 0,
        }
    }

    pub fn count(&self) -> u32 {
        self.records.len() as u32
    }

    /// Bytes of the batch.
    pub fn size(&self) -> u32 {
        self.size
    }

    pub fn bytes(&self) -> Option<&Bytes> {
        self.encoded.as_ref()
    }

    /// The batch as it travels, encoded when it is asked for the first time.
    pub fn encode(&mut self) -> Bytes {
        self.closed = true;
        let records = &self.records;
        let stamp = self.stamp;
        self.encoded.get_or_insert_with(|| Batch::build(&header(stamp), records).bytes().clone()).clone()
    }

    /// Another place in the sequence, under another epoch (ProducerBatch.resetProducerState).
    pub fn restamp(&mut self, stamp: Stamp) {
        self.stamp = Some(stamp);
        self.sequence_reset = true;
        self.encoded = None;
    }

    pub fn last_sequence(&self) -> Option<i32> {
        self.stamp.map(|stamp| increment_sequence(stamp.base_sequence, self.count() as i32 - 1))
    }

    /// The leader epoch rose since it was sent last: no back-off (KIP-951).
    pub fn leader_changed(&self) -> bool {
        self.attempts >= 1 && self.attempts == self.leader_changed_at
    }

    fn see_leader_epoch(&mut self, epoch: LeaderEpoch) {
        if self.attempts >= 1 && epoch != self.leader_epoch {
            self.leader_changed_at = self.attempts;
        }
        self.leader_epoch = epoch;
    }

    fn is_full(&self, batch_size: u32) -> bool {
        self.closed || self.size >= batch_size
    }

    /// Whether this batch goes before `other` among those that have a sequence.
    fn precedes(&self, other: &ProducerBatch) -> bool {
        match (self.stamp, other.stamp) {
            (Some(mine), Some(theirs)) => mine.base_sequence.wrapping_sub(theirs.base_sequence) < 0,
            _ => false,
        }
    }

    /// Adds a record if there is room: how many bytes it took, or the record back. The batch is
    /// closed by the first record that does not fit.
    fn try_append(&mut self, record: NewRecord, batch_size: u32) -> Result<u32, NewRecord> {
        if self.closed {
            return Err(record);
        }
        let base = self.records.first().map_or(record.timestamp, |first| first.timestamp);
        let size = record_size(&record, self.records.len() as i64, record.timestamp - base);
        if self.size + size > batch_size {
            self.closed = true;
            return Err(record);
        }
        self.size += size;
        self.largest_record = self.largest_record.max(size);
        Arc::make_mut(&mut self.records).push(record);
        Ok(size)
    }
}

/// DefaultRecordBatch.incrementSequence: after the greatest comes 0.
pub fn increment_sequence(sequence: i32, by: i32) -> i32 {
    if sequence > i32::MAX - by { by - (i32::MAX - sequence) - 1 } else { sequence + by }
}

/// AbstractRecords.estimateSizeInBytesUpperBound: what `max.request.size` is compared with.
pub fn size_upper_bound(record: &NewRecord) -> u32 {
    BATCH_OVERHEAD + RECORD_OVERHEAD + contents_size(record)
}

fn header(stamp: Option<Stamp>) -> BatchHeader {
    let stamp = stamp.unwrap_or(Stamp { producer_id: ProducerId(-1), epoch: -1, base_sequence: -1 });
    BatchHeader {
        producer_id: stamp.producer_id,
        producer_epoch: stamp.epoch,
        base_sequence: stamp.base_sequence,
        transactional: false,
        control: false,
    }
}

/// DefaultRecord.sizeInBytes: the record with its length before it.
fn record_size(record: &NewRecord, offset_delta: i64, timestamp_delta: i64) -> u32 {
    let body = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) + contents_size(record);
    varint_size(i64::from(body)) + body
}

fn contents_size(record: &NewRecord) -> u32 {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| varint_size(name.len() as i64) + name.len() as u32 + field_size(value.as_ref()));
    field_size(record.key.as_ref())
        + field_size(record.value.as_ref())
        + varint_size(record.headers.len() as i64)
        + headers.sum::<u32>()
}

fn field_size(field: Option<&Bytes>) -> u32 {
    field.map_or(1, |bytes| varint_size(bytes.len() as i64) + bytes.len() as u32)
}

/// Bytes of a number in the zig-zag encoding of variable length.
fn varint_size(value: i64) -> u32 {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros()).div_ceil(7)
}
