//! The fate of every record: what was acknowledged, where it stands, who read it. Kept outside the
//! protocol from what clients were told, and never visible to a node.
//!
//! What costs time is done when something rare happens: a new leader's log is compared with all
//! that was acknowledged for its partition; between elections nothing acknowledged can vanish.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use imbl::Vector;

use crate::kafka::fact::{Fact, PositionReason};
use crate::kafka::log::Log;
use crate::packed::{Pack, Packed, Packing, Unpacking};
use crate::sim::event::EventId;
use crate::sim::look_up::{LookUp, holds};
use crate::sim::loss::{Elections, LossCause};
use crate::sim::outcomes::{Outcomes, readable};
use crate::sim::world::World;
use crate::sorted::SortedMap;
use crate::wire::batch::{Batch, PastBatch};
use crate::wire::{BrokerId, ClientId, NodeId, Offset, TopicPartition};

/// A batch that a producer was told is safe.
#[derive(Clone, Debug, PartialEq)]
pub struct AckedBatch {
    pub producer: ClientId,
    pub base: Offset,
    pub count: u32,
    pub acks: i16,
    /// Its place among the producer's records to this partition.
    pub first_record: u64,
    /// The batch as the producer sent it.
    pub records: Bytes,
    pub event: EventId,
}

/// A batch range that some group was handed.
#[derive(Clone, Debug, PartialEq)]
struct Handed {
    first: Offset,
    last: Offset,
    count: u32,
    records: Bytes,
}

/// A promise that was broken, as the Guarantees panel and the JSON tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnomalyKind {
    /// Acknowledged, and no longer in the leader's log.
    Lost,
    /// Handed to a group more than once.
    Duplicated,
    /// Records of one key stand in another order than they were sent in.
    Reordered,
    /// Never handed to a group although its position moved past.
    Skipped,
    /// Handed to a reader, and no longer in the leader's log.
    Phantom,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    pub kind: AnomalyKind,
    pub partition: TopicPartition,
    pub first: Offset,
    pub last: Offset,
    /// The group, where one is concerned.
    pub group: Option<String>,
    /// The event that brought it about.
    pub event: EventId,
    /// Why it could happen, where records vanished.
    pub cause: Option<LossCause>,
}

/// What the ledger knows of one partition.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PartitionLedger {
    pub acked: Packed<AckedBatch>,
    handed: Packed<Handed>,
    elections: Elections,
    /// How its transactions ended.
    outcomes: Outcomes,
    /// Found when the present leader took over, or by a late acknowledgement.
    lost: Vec<Anomaly>,
    phantom: Vec<Anomaly>,
    reordered: Vec<Anomaly>,
}

/// What one group has seen of one partition.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct GroupLedger {
    /// Offsets handed out so far, as disjoint ranges: first → last.
    seen: BTreeMap<Offset, Offset>,
    /// The next offset that reading on would hand out.
    expected: Option<Offset>,
    duplicated: u64,
    skipped: u64,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Ledger {
    partitions: SortedMap<TopicPartition, Arc<PartitionLedger>>,
    groups: SortedMap<(String, TopicPartition), GroupLedger>,
    /// Duplicates and skips, in the order they came.
    group_anomalies: Vector<Anomaly>,
    /// Records acknowledged by a leader (acks=1 or all).
    pub acked: u64,
    /// Records that count as sent without anybody's word (acks=0).
    pub unconfirmed: u64,
}

impl Ledger {
    pub(super) fn observe(&mut self, world: &World, fact: &Fact, id: EventId) {
        match fact {
            Fact::Acknowledged { partition, count, acks, base_offset, .. } => {
                if *acks == 0 {
                    self.unconfirmed += u64::from(*count);
                    return;
                }
                self.acked += u64::from(*count);
                if base_offset.0 >= 0 {
                    self.acknowledged(world, partition, fact, id);
                }
            }
            Fact::BecameLeader { partition, broker, leader_epoch, .. } => {
                // Who wakes up may take office in an epoch that is over: nobody goes by that log.
                let is_over = world.registration(partition).is_some_and(|now| now.leader_epoch > *leader_epoch);
                let log = world.broker(*broker).and_then(|broker| broker.log(partition)).filter(|_| !is_over);
                if let Some(log) = log {
                    self.new_leader(world, partition, (*broker, log), id);
                }
            }
            Fact::LeaderElected { partition, from, to, leader_epoch, unclean, .. } if !partition.is_internal() => {
                self.of(partition).elections.elected(*from, *to, *leader_epoch, *unclean);
            }
            Fact::HighWatermarkMoved { partition, to, leader: true, .. } if !partition.is_internal() => {
                self.of(partition).elections.committed(*to);
            }
            Fact::MarkerWritten { partition, producer_id, epoch, commit, .. } if !partition.is_internal() => {
                let ledger = self.of(partition);
                if ledger.outcomes.marker(*producer_id, *epoch, *commit) {
                    ledger.forgive_aborted();
                }
            }
            Fact::Delivered { consumer, partition, first, last, count, records } => {
                let handed = Handed { first: *first, last: *last, count: *count, records: records.clone() };
                self.delivered(world, *consumer, partition, handed, id);
            }
            Fact::PositionSet { consumer, partition, to, reason } => {
                self.position_set(world, *consumer, partition, *to, *reason, id);
            }
            Fact::TopicDeleted { topic } => {
                self.partitions.retain(|partition, _| partition.topic != *topic);
                self.groups.retain(|(_, partition), _| partition.topic != *topic);
            }
            _ => {}
        }
    }

    fn of(&mut self, partition: &TopicPartition) -> &mut PartitionLedger {
        Arc::make_mut(self.partitions.entry(partition.clone()).or_default())
    }

    fn acknowledged(&mut self, world: &World, partition: &TopicPartition, fact: &Fact, event: EventId) {
        let Fact::Acknowledged { producer, base_offset, first_record, count, acks, records, .. } = fact else { return };
        let ledger = self.of(partition);
        let batch = AckedBatch {
            producer: *producer,
            base: *base_offset,
            count: *count,
            acks: *acks,
            first_record: *first_record,
            records: records.clone(),
            event,
        };
        if let Some(anomaly) = ledger.overtaken(partition, &batch) {
            ledger.reordered.push(anomaly);
        }
        // A leader that the cluster has replaced without its knowing still acknowledges (acks=1).
        if let Some(log) = world.leader_log(partition)
            && !holds(log, batch.base, batch.last(), &batch.records)
            && is_replaced(world, partition, batch.base, log)
        {
            ledger.lost.push(lost(partition, &batch, event, LossCause::NotReplicated));
        }
        ledger.acked.push_back(batch);
    }

    fn new_leader(
        &mut self,
        world: &World,
        partition: &TopicPartition,
        (leader, log): (BrokerId, &Log),
        event: EventId,
    ) {
        let Some(ledger) = self.partitions.get_mut(partition) else { return };
        let ledger = Arc::make_mut(ledger);
        let elections = &ledger.elections;
        let cause =
            |first, last, records: &Bytes| elections.cause(world, partition, (leader, log), (first, last), records);
        // What was found lost before keeps its cause.
        let known = |base: Offset| ledger.lost.iter().find(|lost| lost.first == base).cloned();
        let mut look_up = LookUp::new(log);
        let gone = ledger.acked.iter().filter(|batch| !look_up.holds(batch.base, batch.last(), &batch.records));
        let gone = gone.filter(|batch| !ledger.outcomes.is_aborted(&batch.records));
        let lost: Vec<Anomaly> = gone
            .map(|batch| {
                known(batch.base).unwrap_or_else(|| {
                    let alone = batch.acks == 1 && !elections.has_committed(batch.last());
                    let (first, last) = (batch.base, batch.last());
                    let cause = if alone { LossCause::NotReplicated } else { cause(first, last, &batch.records) };
                    lost(partition, &batch, event, cause)
                })
            })
            .collect();
        let mut look_up = LookUp::new(log);
        let phantom: Vec<Anomaly> = ledger
            .handed
            .iter()
            .filter_map(|handed| {
                let found = phantom(partition, &handed, &mut look_up, event)?;
                let cause = cause(found.first, found.last, &handed.records);
                Some(Anomaly { cause: Some(cause), ..found })
            })
            .collect();
        ledger.lost = lost;
        ledger.elections.took_over(log.log_end());
        let is_new = |found: &&Anomaly| !ledger.phantom.iter().any(|known| known.first == found.first);
        let gone_from = phantom.iter().filter(is_new).map(|found| found.first).min();
        ledger.phantom = phantom;
        if let Some(gone_from) = gone_from {
            self.forget_seen(partition, gone_from);
        }
    }

    /// What was read from here on is gone: other records will stand at these offsets, and reading them
    /// is no reading again.
    fn forget_seen(&mut self, partition: &TopicPartition, from: Offset) {
        for (_, group) in self.groups.iter_mut().filter(|((_, other), _)| other == partition) {
            group.seen.split_off(&from);
            if let Some(mut last) = group.seen.last_entry().filter(|last| *last.get() >= from) {
                last.insert(from + -1);
            }
            group.expected = group.expected.map(|expected| expected.min(from));
        }
    }

    fn delivered(
        &mut self,
        world: &World,
        consumer: ClientId,
        partition: &TopicPartition,
        handed: Handed,
        event: EventId,
    ) {
        if let Some(stream) = world.stream_at(consumer) {
            return self.given_to_sink(partition, stream.sink().fresh_from(partition), handed);
        }
        let Some(group) = world.group_of(consumer) else { return };
        let committed = world.reads_committed(consumer);
        let ledger = self.groups.entry((group.clone(), partition.clone())).or_default();
        let again = ledger.overlap(handed.first, handed.last);
        let anomaly = |kind, first, last| Anomaly {
            kind,
            partition: partition.clone(),
            first,
            last,
            group: Some(group.clone()),
            event,
            cause: None,
        };
        if let Some((first, last)) = again {
            // A compacted log has holes: no more than what was handed out can be a duplicate.
            ledger.duplicated += ((last - first + 1) as u64).min(u64::from(handed.count));
            self.group_anomalies.push_back(anomaly(AnomalyKind::Duplicated, first, last));
        }
        if let Some(expected) = ledger.expected
            && expected < handed.first
        {
            let missed = missed_records(
                world,
                partition,
                self.partitions.get(partition).map(Arc::as_ref),
                ledger,
                (expected, handed.first),
                committed,
            );
            if missed > 0 {
                ledger.skipped += missed;
                self.group_anomalies.push_back(anomaly(AnomalyKind::Skipped, expected, handed.first + -1));
            }
        }
        ledger.add(handed.first, handed.last);
        ledger.expected = Some(handed.last.next());
        if again.is_none() {
            Arc::make_mut(self.partitions.entry(partition.clone()).or_default()).handed.push_back(handed);
        }
    }

    /// What a stream's sink is given can turn out to be a phantom. Duplicates and skips are no matter of the
    /// ledger's here: a batch that is run again is told apart by its number, and records that a query passes
    /// over it tells itself. `fresh`: up to there an earlier run of the batch had read.
    fn given_to_sink(&mut self, partition: &TopicPartition, fresh: Offset, handed: Handed) {
        if handed.last >= fresh {
            let first = handed.first.max(fresh);
            let count = handed.count.min((handed.last - first + 1) as u32);
            self.of(partition).handed.push_back(Handed { first, count, ..handed });
        }
    }

    /// A seek is the person's will, and a group's first position is its choice; a reset that jumps
    /// over records the group has not seen is a skip.
    fn position_set(
        &mut self,
        world: &World,
        consumer: ClientId,
        partition: &TopicPartition,
        to: Offset,
        reason: PositionReason,
        event: EventId,
    ) {
        let Some(group) = world.group_of(consumer) else { return };
        let ledger = self.groups.entry((group.clone(), partition.clone())).or_default();
        let expected = ledger.expected.replace(to);
        if let (PositionReason::Reset, Some(expected)) = (reason, expected)
            && expected < to
        {
            let acked = self.partitions.get(partition).map(Arc::as_ref);
            let committed = world.reads_committed(consumer);
            let missed = missed_records(world, partition, acked, ledger, (expected, to), committed);
            if missed > 0 {
                ledger.skipped += missed;
                self.group_anomalies.push_back(Anomaly {
                    kind: AnomalyKind::Skipped,
                    partition: partition.clone(),
                    first: expected,
                    last: to + -1,
                    group: Some(group),
                    event,
                    cause: None,
                });
            }
        }
    }

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionLedger> {
        self.partitions.get(partition).map(|ledger| &**ledger)
    }

    /// Every broken promise, partition by partition, then those of the groups.
    pub fn anomalies(&self) -> impl Iterator<Item = &Anomaly> {
        let of_partitions = self.partitions.values().flat_map(|p| p.lost.iter().chain(&p.reordered).chain(&p.phantom));
        of_partitions.chain(&self.group_anomalies)
    }

    /// Records acknowledged and lost.
    pub fn lost(&self) -> u64 {
        self.partitions.values().flat_map(|p| &p.lost).map(Anomaly::records).sum()
    }

    /// How often a key's order broke.
    pub fn reordered(&self) -> u64 {
        self.partitions.values().map(|p| p.reordered.len() as u64).sum()
    }

    /// Records handed to a reader that the log no longer has.
    pub fn phantom(&self) -> u64 {
        self.partitions.values().flat_map(|p| &p.phantom).map(Anomaly::records).sum()
    }

    pub fn duplicated(&self, group: &str) -> u64 {
        self.groups.iter().filter(|((name, _), _)| name == group).map(|(_, ledger)| ledger.duplicated).sum()
    }

    pub fn skipped(&self, group: &str) -> u64 {
        self.groups.iter().filter(|((name, _), _)| name == group).map(|(_, ledger)| ledger.skipped).sum()
    }

    /// The groups that have read anything.
    pub fn groups(&self) -> Vec<String> {
        let mut names: Vec<&String> = self.groups.keys().map(|(group, _)| group).collect();
        names.dedup();
        names.into_iter().cloned().collect()
    }
}

impl Anomaly {
    pub fn records(&self) -> u64 {
        (self.last - self.first + 1).max(0) as u64
    }
}

impl AckedBatch {
    pub fn last(&self) -> Offset {
        self.base + (i64::from(self.count) - 1)
    }
}

/// The records of the one before, its running numbers, its producer.
#[derive(Default)]
pub struct PastAcked {
    records: PastBatch,
    base: i64,
    first_record: u64,
    event: u64,
    producer: u32,
}

impl Pack for AckedBatch {
    type Past = PastAcked;

    fn pack(&self, past: &mut PastAcked, into: &mut Packing) {
        let AckedBatch { producer, base, count, acks, first_record, records, event } = self;
        past.records.pack(records, into);
        into.number(i64::from(producer.0) - i64::from(past.producer));
        into.number(base.0 - past.base);
        into.number(i64::from(*count));
        into.number(i64::from(*acks));
        into.number(first_record.wrapping_sub(past.first_record) as i64);
        into.number(event.0.wrapping_sub(past.event) as i64);
        past.remember(self);
    }

    fn unpack(past: &mut PastAcked, from: &mut Unpacking<'_>) -> AckedBatch {
        let batch = AckedBatch {
            records: past.records.unpack(from),
            producer: ClientId((i64::from(past.producer) + from.number()) as u32),
            base: Offset(past.base + from.number()),
            count: from.number() as u32,
            acks: from.number() as i16,
            first_record: past.first_record.wrapping_add(from.number() as u64),
            event: EventId(past.event.wrapping_add(from.number() as u64)),
        };
        past.remember(&batch);
        batch
    }

    fn key(&self) -> i64 {
        self.base.0
    }
}

impl PastAcked {
    fn remember(&mut self, batch: &AckedBatch) {
        self.base = batch.last().next().0;
        self.first_record = batch.first_record + u64::from(batch.count);
        self.event = batch.event.0;
        self.producer = batch.producer.0;
    }
}

impl Pack for Handed {
    /// The records of the one before, and its end.
    type Past = (PastBatch, i64);

    fn pack(&self, past: &mut Self::Past, into: &mut Packing) {
        past.0.pack(&self.records, into);
        into.number(self.first.0 - past.1);
        into.number(self.last - self.first);
        into.number(i64::from(self.count));
        past.1 = self.last.next().0;
    }

    fn unpack(past: &mut Self::Past, from: &mut Unpacking<'_>) -> Handed {
        let records = past.0.unpack(from);
        let first = Offset(past.1 + from.number());
        let last = first + from.number();
        past.1 = last.next().0;
        Handed { first, last, count: from.number() as u32, records }
    }

    fn key(&self) -> i64 {
        self.first.0
    }
}

impl PartitionLedger {
    /// What was lost of a transaction that is aborted is nobody's loss.
    fn forgive_aborted(&mut self) {
        if self.lost.is_empty() {
            return;
        }
        let aborted: Vec<Offset> = self
            .acked
            .iter()
            .filter(|batch| self.outcomes.is_aborted(&batch.records))
            .map(|batch| batch.base)
            .collect();
        self.lost.retain(|lost| !aborted.contains(&lost.first));
    }

    /// Whether a batch that the same producer sent later stands before this one with one of its keys.
    fn overtaken(&self, partition: &TopicPartition, batch: &AckedBatch) -> Option<Anomaly> {
        // Acknowledgements come nearly in order, so only the youngest need a look.
        let other = self.acked.backwards().take(16).find(|other| {
            other.producer == batch.producer
                && (other.first_record < batch.first_record) != (other.base < batch.base)
                && other.base != batch.base
        })?;
        share_a_key(&other.records, &batch.records).then(|| Anomaly {
            kind: AnomalyKind::Reordered,
            partition: partition.clone(),
            first: other.base.min(batch.base),
            last: other.last().max(batch.last()),
            group: None,
            event: batch.event,
            cause: None,
        })
    }
}

impl GroupLedger {
    /// The part of `first..=last` that was seen before, as one span.
    fn overlap(&self, first: Offset, last: Offset) -> Option<(Offset, Offset)> {
        let touching = self.seen.range(..=last).rev().take_while(|(_, end)| **end >= first);
        touching.map(|(start, end)| ((*start).max(first), (*end).min(last))).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    fn add(&mut self, mut first: Offset, mut last: Offset) {
        while let Some((start, end)) = self.seen.range(..=last.next()).next_back().map(|(s, e)| (*s, *e)) {
            if end.next() < first {
                break;
            }
            first = first.min(start);
            last = last.max(end);
            self.seen.remove(&start);
        }
        self.seen.insert(first, last);
    }

    fn has_seen(&self, offset: Offset) -> bool {
        self.seen.range(..=offset).next_back().is_some_and(|(_, last)| *last >= offset)
    }
}

fn lost(partition: &TopicPartition, batch: &AckedBatch, event: EventId, cause: LossCause) -> Anomaly {
    Anomaly {
        kind: AnomalyKind::Lost,
        partition: partition.clone(),
        first: batch.base,
        last: batch.last(),
        group: None,
        event,
        cause: Some(cause),
    }
}

/// What a reader was handed is looked for batch by batch: one answer may bring several.
fn phantom(partition: &TopicPartition, handed: &Handed, look_up: &mut LookUp<'_>, event: EventId) -> Option<Anomaly> {
    let batches = Batch::parse_all(handed.records.clone(), false).unwrap_or_default();
    let mut gone = batches.iter().filter_map(|batch| {
        let (first, last) = (batch.base_offset.max(handed.first), batch.last_offset.min(handed.last));
        (first <= last && !look_up.holds(first, last, batch.bytes())).then_some((first, last))
    });
    let (first, last) = gone.next()?;
    let last = gone.last().map_or(last, |(_, last)| last);
    let kind = AnomalyKind::Phantom;
    Some(Anomaly { kind, partition: partition.clone(), first, last, group: None, event, cause: None })
}

/// Whether the leader that the metadata names is another than the one that appended at `base`: the
/// named one has an epoch of its own from there on, or ends before.
fn is_replaced(world: &World, partition: &TopicPartition, base: Offset, log: &Log) -> bool {
    let Some(registration) = world.registration(partition) else { return false };
    let newest = log.epochs().last().copied();
    newest.is_some_and(|(epoch, start)| epoch == registration.leader_epoch && start <= base)
}

/// Data records in `from..to` that the group was never handed: those of the leader's log that a reader may
/// see, and those that were acknowledged and have been deleted since.
fn missed_records(
    world: &World,
    partition: &TopicPartition,
    acked: Option<&PartitionLedger>,
    seen: &GroupLedger,
    (from, to): (Offset, Offset),
    committed: bool,
) -> u64 {
    let Some(log) = world.leader_log(partition) else { return 0 };
    let kept = readable(log, from.max(log.log_start()), to, committed).flat_map(|batch| offsets_of(&batch));
    let acked = acked.filter(|_| from < log.log_start());
    let deleted = acked.into_iter().flat_map(|ledger| {
        let acked = ledger.acked.iter().filter(|batch| batch.base < log.log_start());
        acked.filter(|batch| !committed || !ledger.outcomes.is_aborted(&batch.records))
    });
    let deleted = deleted.flat_map(|batch| batch.base.0..=batch.last().0.min(log.log_start().0 - 1));
    let between = kept.chain(deleted).filter(|offset| (from.0..to.0).contains(offset));
    between.filter(|offset| !seen.has_seen(Offset(*offset))).count() as u64
}

/// The offsets of a batch's records; compaction leaves holes.
fn offsets_of(batch: &Batch) -> Vec<i64> {
    let span = batch.base_offset.0..=batch.last_offset.0;
    if batch.last_offset - batch.base_offset + 1 == i64::from(batch.record_count) {
        return span.collect();
    }
    batch.records().unwrap_or_default().iter().map(|record| record.offset).collect()
}

fn share_a_key(a: &Bytes, b: &Bytes) -> bool {
    let keys = |bytes: &Bytes| -> Vec<Bytes> {
        let batches = Batch::parse_all(bytes.clone(), false).unwrap_or_default();
        batches.iter().flat_map(|batch| batch.records().unwrap_or_default()).filter_map(|record| record.key).collect()
    };
    let of_a = keys(a);
    keys(b).iter().any(|key| of_a.contains(key))
}

impl World {
    /// The group that a client belongs to, if it is a consumer.
    pub(super) fn group_of(&self, client: ClientId) -> Option<String> {
        match &*self.member(NodeId::Client(client))?.actor {
            crate::sim::actor::Actor::Consumer(consumer) => Some(consumer.group().to_string()),
            _ => None,
        }
    }

    /// Whether a client reads committed records only (isolation.level).
    pub(super) fn reads_committed(&self, client: ClientId) -> bool {
        match self.member(NodeId::Client(client)).map(|member| &*member.actor) {
            Some(crate::sim::actor::Actor::Consumer(consumer)) => consumer.config().read_committed,
            Some(crate::sim::actor::Actor::Stream(stream)) => stream.config().consumer.read_committed,
            _ => false,
        }
    }
}
