//! The group coordinator as the broker drives it: partitions that are read and let go, writes that are
//! appended and committed.

use crate::kafka::coordinator::{Append, Coordinator, Write, write_error};
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::replay::{outcome, replay, watch};
use crate::kafka::group::timers::{Timer, TimerKind};
use crate::kafka::group::work::{Decided, Shard, Then, WRITE_TIMEOUT, Work};
use crate::kafka::group::{GroupCoordinator, Logged};
use crate::kafka::node::Turn;
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{ErrorCode, GroupId, LeaderEpoch, Offset, ProducerId};

impl Coordinator for GroupCoordinator {
    fn leader_epoch(&self, partition: i32) -> Option<LeaderEpoch> {
        self.runtime.ready(partition).ok()
    }

    fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    ) {
        let mut records = Vec::new();
        for batch in log {
            if batch.is_control() {
                let end = batch.end_txn_marker().map(|marker| marker.commit);
                let marker = end.map(|commit| Logged::Marker { producer: batch.producer_id, commit });
                records.extend(marker.map(|marker| (batch.base_offset, marker)));
                continue;
            }
            let producer = Some(batch.producer_id).filter(|_| batch.is_transactional());
            // A batch in our own log that cannot be read is passed over, as the loader passes over
            // records that it does not know.
            for record in batch.records().unwrap_or_default() {
                let key = record.key.unwrap_or_default();
                if let Some(known) = GroupRecord::decode(&key, record.value.as_ref()) {
                    records.push((Offset(record.offset), Logged::Record(known, producer)));
                }
            }
        }
        self.load(turn, partition, epoch, records);
    }

    fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.timers.cancel_partition(partition);
        let writes = self.runtime.close(partition);
        let Some(mut shard) = self.shards.remove(&partition) else {
            return;
        };
        let (settings, timers, for_persister) = (&self.settings, &mut self.timers, &mut self.for_persister);
        let mut work = Work { turn, settings, timers, for_persister, partition };
        let groups: Vec<GroupId> = shard.groups.keys().cloned().collect();
        for id in groups {
            if let Some(group) = shard.group_mut(&id) {
                work.group_unloaded(group);
            }
        }
        for write in writes {
            work.finish(&mut shard, write.what.then, Err(ErrorCode::NotCoordinator), false);
        }
        self.timers.cancel_partition(partition);
    }

    fn take_appends(&mut self) -> Vec<Append> {
        std::iter::from_fn(|| self.runtime.take().map(append)).collect()
    }

    fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        let Some(mut write) = self.runtime.appended(partition) else {
            return;
        };
        let base = match result {
            Ok(base) => base,
            Err(error) => {
                let error = write_error(error);
                return self
                    .on_shard(turn, partition, |work, shard| work.finish(shard, write.what.then, Err(error), true));
            }
        };
        let Some(shard) = self.shards.get_mut(&partition) else {
            return;
        };
        let Decided { records, producer, outcome: told, then: _ } = &mut write.what;
        let watched = watch(shard, records);
        let (producer, committed) = (producer.map(|(id, _)| id), self.runtime.high_watermark(partition));
        for (index, record) in records.iter().enumerate() {
            replay(shard, committed, record, producer, base + index as i64, turn.now, false);
        }
        *told = outcome(shard, watched);
        write.end = base + records.len() as i64;
        self.time_out_later(turn, &write);
        self.runtime.defer(write);
    }

    fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        self.runtime.advance(partition, high_watermark);
        while let Some(Write { number, what, .. }) = self.runtime.next_committed(partition) {
            let Some(shard) = self.shards.get_mut(&partition) else {
                return;
            };
            for record in &what.records {
                if let GroupRecord::Offset { group, partition, value: None } = record {
                    shard.offsets.forget_deleted(group, partition);
                }
            }
            self.timers.cancel(&Timer { partition, kind: TimerKind::Write(number) });
            self.on_shard(turn, partition, |work, shard| work.finish(shard, what.then, Ok(()), false));
            what.outcome.into_iter().for_each(|fact| turn.tell(fact));
        }
    }
}

impl GroupCoordinator {
    /// What to append as records that nobody has made a batch of yet.
    pub fn take_records(&mut self) -> Vec<(i32, Vec<NewRecord>)> {
        std::iter::from_fn(|| self.runtime.take().map(|write| (write.partition, new_records(write)))).collect()
    }

    /// Does something with a partition, and writes what it decides on.
    pub(super) fn on_shard(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        act: impl FnOnce(&mut Work<'_, '_>, &mut Shard) -> Option<Decided>,
    ) {
        let Some(shard) = self.shards.get_mut(&partition) else {
            return;
        };
        let (settings, timers, for_persister) = (&self.settings, &mut self.timers, &mut self.for_persister);
        let mut work = Work { turn, settings, timers, for_persister, partition };
        let Some(decided) = act(&mut work, shard) else {
            return;
        };
        if !decided.records.is_empty() {
            self.runtime.push(turn.now, partition, decided);
        } else if self.runtime.is_waiting(partition) {
            // What was read may not be committed yet: the answer waits for the last write before it.
            self.wait_for(turn, partition, self.runtime.end(partition), decided);
        } else {
            work.finish(shard, decided.then, Ok(()), false);
        }
    }

    /// Something without records of its own happens when the high watermark reaches `end`.
    pub(super) fn wait_for(&mut self, turn: &Turn<'_>, partition: i32, end: Offset, decided: Decided) {
        let write = self.runtime.write(turn.now, partition, end, decided);
        self.time_out_later(turn, &write);
        self.runtime.defer(write);
    }

    fn time_out_later(&mut self, turn: &Turn<'_>, write: &Write<Decided>) {
        let timer = Timer { partition: write.partition, kind: TimerKind::Write(write.number) };
        self.timers.schedule(timer, turn.now + WRITE_TIMEOUT);
    }

    /// The client is told that it took too long; the write stays in the log and may be committed later.
    pub(super) fn write_timed_out(&mut self, turn: &mut Turn<'_>, partition: i32, number: u64) {
        let Some(write) = self.runtime.deferred_mut(partition, number) else {
            return;
        };
        let then = std::mem::replace(&mut write.what.then, Then::Nothing);
        let error = write_error(ErrorCode::RequestTimedOut);
        self.on_shard(turn, partition, |work, shard| work.finish(shard, then, Err(error), false));
    }
}

/// A write as a batch; one of a transaction carries its producer and no sequence
/// (CoordinatorRuntime.scheduleTransactionalWriteOperation).
fn append(write: &Write<Decided>) -> Append {
    let producer = write.what.producer;
    let (producer_id, producer_epoch) = producer.unwrap_or((ProducerId(-1), -1));
    let transactional = producer.is_some();
    let header = BatchHeader { producer_id, producer_epoch, base_sequence: -1, transactional, control: false };
    let batch = Batch::build(&header, &new_records(write)).bytes().clone();
    Append { partition: write.partition, batch, producer: producer.map(|(id, _)| id) }
}

fn new_records(write: &Write<Decided>) -> Vec<NewRecord> {
    let record = |record: &GroupRecord| {
        let (key, value) = record.encode();
        NewRecord { timestamp: write.at, key: Some(key), value, headers: Vec::new() }
    };
    write.what.records.iter().map(record).collect()
}
