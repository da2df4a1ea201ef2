//! The fate of every record: what was acknowledged, where it stands, who read it. Kept outside the
//! protocol from what clients were told, and never visible to a node.
//!
//! What costs time is done when something rare happens: a new leader's log is compared with all
//! that was acknowledged for its partition; between elections nothing acknowledged can vanish.

mod batches;
mod readers;

use std::sync::Arc;

use bytes::Bytes;
use imbl::Vector;

use crate::kafka::fact::Fact;
use crate::kafka::log::Log;
use crate::packed::Packed;
use crate::sim::event::EventId;
use crate::sim::look_up::{LookUp, holds};
use crate::sim::loss::{Elections, LossCause};
use crate::sim::outcomes::Outcomes;
use crate::sim::world::World;
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, Offset, TopicPartition};

pub use batches::AckedBatch;
use batches::Handed;
pub use readers::{Again, GroupLedger};

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
    /// Why they were read again, where they were.
    pub again: Option<Again>,
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
    /// The election by which they were foreseen, until the elected broker takes over.
    foreseen: Option<EventId>,
    phantom: Vec<Anomaly>,
    reordered: Vec<Anomaly>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Ledger {
    partitions: SortedMap<TopicPartition, Arc<PartitionLedger>>,
    groups: SortedMap<(String, TopicPartition), GroupLedger>,
    /// Duplicates and skips, in the order they came.
    group_anomalies: Vector<Anomaly>,
    /// What befell the partitions of topics that were deleted since.
    past: Vector<Anomaly>,
    /// Records acknowledged by a leader (acks=1 or all).
    pub acked: u64,
    /// Records that count as sent without anybody's word (acks=0).
    pub unconfirmed: u64,
}

impl Ledger {
    pub(in crate::sim) fn observe(&mut self, world: &World, fact: &Fact, id: EventId) {
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
                // From a leader that lives the new one may get something more before it hears of its office.
                let is_over = from.and_then(|id| world.broker(id)).is_none_or(|broker| !broker.is_running());
                let log = to.filter(|_| is_over).and_then(|to| Some((to, world.broker(to)?.log(partition)?)));
                if let Some(leader) = log {
                    self.new_leader(world, partition, leader, id);
                    self.of(partition).foreseen = Some(id);
                }
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
            Fact::PollOverdue { consumer, .. } => self.poll_is_overdue(world, *consumer),
            Fact::OffsetCommitted { group, partition, offset } => self.committed(group, partition, *offset),
            Fact::TopicDeleted { topic } => {
                let gone = self.partitions.iter().filter(|(partition, _)| partition.topic == *topic);
                self.past.extend(gone.flat_map(|(_, ledger)| ledger.anomalies()).cloned());
                self.partitions.retain(|partition, _| partition.topic != *topic);
                let read = self.groups.iter_mut().filter(|((_, partition), _)| partition.topic == *topic);
                read.for_each(|(_, ledger)| ledger.begin_again());
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
        // What was found lost before keeps its cause; of what was only foreseen it is known now.
        let foreseen = ledger.foreseen.take();
        let known = |base: Offset| {
            let found = |lost: &&Anomaly| lost.first == base && Some(lost.event) != foreseen;
            ledger.lost.iter().find(found).cloned()
        };
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

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionLedger> {
        self.partitions.get(partition).map(|ledger| &**ledger)
    }

    /// Every broken promise, partition by partition, then those of the groups.
    pub fn anomalies(&self) -> impl Iterator<Item = &Anomaly> {
        self.of_partitions().chain(&self.group_anomalies)
    }

    fn of_partitions(&self) -> impl Iterator<Item = &Anomaly> {
        self.past.iter().chain(self.partitions.values().flat_map(|ledger| ledger.anomalies()))
    }

    fn of_kind(&self, kind: AnomalyKind) -> impl Iterator<Item = &Anomaly> {
        self.of_partitions().filter(move |anomaly| anomaly.kind == kind)
    }

    /// Records acknowledged and lost.
    pub fn lost(&self) -> u64 {
        self.of_kind(AnomalyKind::Lost).map(Anomaly::records).sum()
    }

    /// How often a key's order broke.
    pub fn reordered(&self) -> u64 {
        self.of_kind(AnomalyKind::Reordered).count() as u64
    }

    /// Records handed to a reader that the log no longer has.
    pub fn phantom(&self) -> u64 {
        self.of_kind(AnomalyKind::Phantom).map(Anomaly::records).sum()
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
    /// Of nobody in particular, and without a cause yet.
    fn new(kind: AnomalyKind, partition: TopicPartition, (first, last): (Offset, Offset), event: EventId) -> Anomaly {
        Anomaly { kind, partition, first, last, group: None, event, cause: None, again: None }
    }

    pub fn records(&self) -> u64 {
        (self.last - self.first + 1).max(0) as u64
    }
}

impl PartitionLedger {
    fn anomalies(&self) -> impl Iterator<Item = &Anomaly> {
        self.lost.iter().chain(&self.reordered).chain(&self.phantom)
    }

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
        share_a_key(&other.records, &batch.records).then(|| {
            let span = (other.base.min(batch.base), other.last().max(batch.last()));
            Anomaly::new(AnomalyKind::Reordered, partition.clone(), span, batch.event)
        })
    }
}

fn lost(partition: &TopicPartition, batch: &AckedBatch, event: EventId, cause: LossCause) -> Anomaly {
    let span = (batch.base, batch.last());
    Anomaly { cause: Some(cause), ..Anomaly::new(AnomalyKind::Lost, partition.clone(), span, event) }
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
    Some(Anomaly::new(AnomalyKind::Phantom, partition.clone(), (first, last), event))
}

/// Whether the leader that the metadata names is another than the one that appended at `base`: the
/// named one has an epoch of its own from there on, or ends before.
fn is_replaced(world: &World, partition: &TopicPartition, base: Offset, log: &Log) -> bool {
    let Some(registration) = world.registration(partition) else { return false };
    let newest = log.epochs().last().copied();
    newest.is_some_and(|(epoch, start)| epoch == registration.leader_epoch && start <= base)
}

fn share_a_key(a: &Bytes, b: &Bytes) -> bool {
    let keys = |bytes: &Bytes| -> Vec<Bytes> {
        let batches = Batch::parse_all(bytes.clone(), false).unwrap_or_default();
        batches.iter().flat_map(|batch| batch.records().unwrap_or_default()).filter_map(|record| record.key).collect()
    };
    let of_a = keys(a);
    keys(b).iter().any(|key| of_a.contains(key))
}
