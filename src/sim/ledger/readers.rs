//! What readers were handed: which records a group has seen, which it was given twice and which it missed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kafka::fact::PositionReason;
use crate::sim::event::EventId;
use crate::sim::ledger::batches::Handed;
use crate::sim::ledger::{Anomaly, AnomalyKind, Ledger, PartitionLedger};
use crate::sim::outcomes::readable;
use crate::sim::world::World;
use crate::wire::batch::Batch;
use crate::wire::{ClientId, NodeId, Offset, TopicPartition};

/// Why a group reads again what it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It was read and not committed, and whoever had read it is gone or has lost the partition.
    Uncommitted,
    /// The same, and whoever had read it was out of the group for not polling (`max.poll.interval.ms`).
    Overdue,
    /// The committed offset was set back (`reset-offsets`, or a commit after a `seek`).
    SetBack,
    /// The application called `seek`.
    Seek,
    /// `auto.offset.reset` found no valid committed offset.
    Reset,
}

/// What one group has seen of one partition.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct GroupLedger {
    /// Offsets handed out so far, as disjoint ranges: first → last.
    seen: BTreeMap<Offset, Offset>,
    /// The next offset that reading on would hand out.
    expected: Option<Offset>,
    committed: Option<Offset>,
    /// The last commit was below the one before.
    set_back: bool,
    /// A member has not polled in time since the position was set last.
    overdue: bool,
    /// What took the position back last.
    back: Option<Again>,
    pub(super) duplicated: u64,
    pub(super) skipped: u64,
}

impl GroupLedger {
    /// The topic is gone, and with it its offsets; what happened, happened.
    pub(super) fn begin_again(&mut self) {
        *self = GroupLedger { duplicated: self.duplicated, skipped: self.skipped, ..GroupLedger::default() };
    }

    fn commits(&mut self, offset: Offset) {
        self.set_back = self.committed.replace(offset).is_some_and(|before| offset < before);
    }

    /// The position moves to `to`; the next offset before.
    fn moves(&mut self, to: Offset, reason: PositionReason) -> Option<Offset> {
        let before = self.expected.replace(to);
        let overdue = std::mem::take(&mut self.overdue);
        if before.is_some_and(|before| to < before) {
            self.back = match reason {
                PositionReason::Committed if self.set_back => Some(Again::SetBack),
                PositionReason::Reset if self.committed.is_some() => Some(Again::Reset),
                // What was never committed begins anew.
                PositionReason::Committed | PositionReason::Reset if overdue => Some(Again::Overdue),
                PositionReason::Committed | PositionReason::Reset => Some(Again::Uncommitted),
                PositionReason::Seek => Some(Again::Seek),
                // What is read from here on has taken the place of what was read.
                PositionReason::Truncation => None,
            };
        }
        before
    }

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

impl Ledger {
    /// What was read from here on is gone: other records will stand at these offsets, and reading them
    /// is no reading again.
    pub(super) fn forget_seen(&mut self, partition: &TopicPartition, from: Offset) {
        for (_, group) in self.groups.iter_mut().filter(|((_, other), _)| other == partition) {
            group.seen.split_off(&from);
            if let Some(mut last) = group.seen.last_entry().filter(|last| *last.get() >= from) {
                last.insert(from + -1);
            }
            group.expected = group.expected.map(|expected| expected.min(from));
        }
    }

    pub(super) fn delivered(
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
        let back = ledger.back;
        let anomaly = |kind, first, last| Anomaly {
            again: back.filter(|_| kind == AnomalyKind::Duplicated),
            group: Some(group.clone()),
            ..Anomaly::new(kind, partition.clone(), (first, last), event)
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
    pub(super) fn position_set(
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
        let expected = ledger.moves(to, reason);
        if let (PositionReason::Reset, Some(expected)) = (reason, expected)
            && expected < to
        {
            let acked = self.partitions.get(partition).map(Arc::as_ref);
            let committed = world.reads_committed(consumer);
            let missed = missed_records(world, partition, acked, ledger, (expected, to), committed);
            if missed > 0 {
                ledger.skipped += missed;
                let skipped = (expected, to + -1);
                let anomaly = Anomaly::new(AnomalyKind::Skipped, partition.clone(), skipped, event);
                self.group_anomalies.push_back(Anomaly { group: Some(group), ..anomaly });
            }
        }
    }

    pub(super) fn poll_is_overdue(&mut self, world: &World, consumer: ClientId) {
        let Some(group) = world.group_of(consumer) else { return };
        let read = self.groups.iter_mut().filter(|((name, _), _)| *name == group);
        read.for_each(|(_, ledger)| ledger.overdue = true);
    }

    /// Only of a group that has read something is it worth knowing.
    pub(super) fn committed(&mut self, group: &str, partition: &TopicPartition, offset: Offset) {
        if let Some(ledger) = self.groups.get_mut(&(group.to_string(), partition.clone())) {
            ledger.commits(offset);
        }
    }
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

impl World {
    /// The group that a client belongs to, if it is a consumer.
    pub(in crate::sim) fn group_of(&self, client: ClientId) -> Option<String> {
        match &*self.member(NodeId::Client(client))?.actor {
            crate::sim::actor::Actor::Consumer(consumer) => Some(consumer.group().to_string()),
            _ => None,
        }
    }

    /// Whether a client reads committed records only (isolation.level).
    pub(in crate::sim) fn reads_committed(&self, client: ClientId) -> bool {
        match self.member(NodeId::Client(client)).map(|member| &*member.actor) {
            Some(crate::sim::actor::Actor::Consumer(consumer)) => consumer.config().read_committed,
            Some(crate::sim::actor::Actor::Stream(stream)) => stream.config().consumer.read_committed,
            _ => false,
        }
    }
}
