//! The group coordinator as the broker drives it: partitions that are read and let go, writes that are
//! appended and committed.

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::record::new_record;
use crate::kafka::coordinator::{Append, Log, Runtime, StateMachine, Write, write_error};
use crate::kafka::group::GroupCoordinator;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::replay::{outcome, replay, watch};
use crate::kafka::group::timers::{Timer, TimerKind};
use crate::kafka::group::work::{Decided, Shard, Then, WRITE_TIMEOUT, Work};
use crate::kafka::node::Turn;
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{ErrorCode, GroupId, LeaderEpoch, Offset};

impl StateMachine for GroupCoordinator {
    type Record = GroupRecord;
    type Decision = Decided;

    fn runtime(&self) -> &Runtime<Decided> {
        &self.runtime
    }

    fn runtime_mut(&mut self) -> &mut Runtime<Decided> {
        &mut self.runtime
    }

    fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<GroupRecord> {
        GroupRecord::decode(key, value)
    }

    /// One of a transaction carries its producer and no sequence
    /// (CoordinatorRuntime.scheduleTransactionalWriteOperation).
    fn batch(write: &Write<Decided>) -> Append {
        let Some((producer_id, producer_epoch)) = write.what.producer else {
            return Append::plain(write.partition, &new_records(write));
        };
        let header =
            BatchHeader { producer_id, producer_epoch, base_sequence: -1, transactional: true, control: false };
        let batch = Batch::build(&header, &new_records(write)).bytes().clone();
        Append { partition: write.partition, batch, producer: Some(producer_id) }
    }

    fn read(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        log: Log<GroupRecord>,
    ) {
        self.load(turn, image, partition, epoch, log);
    }

    fn unload(&mut self, turn: &mut Turn<'_>, partition: i32) {
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

    fn written(&mut self, turn: &mut Turn<'_>, mut write: Write<Decided>, base: Offset) {
        let Some(shard) = self.shards.get_mut(&write.partition) else {
            return;
        };
        let Decided { records, producer, outcome: told, then: _ } = &mut write.what;
        let watched = watch(shard, records);
        let (producer, committed) = (producer.map(|(id, _)| id), self.runtime.high_watermark(write.partition));
        for (index, record) in records.iter().enumerate() {
            replay(shard, committed, record, producer, base + index as i64, turn.now, false);
        }
        *told = outcome(shard, watched);
        write.end = base + records.len() as i64;
        self.time_out_later(turn, &write);
        self.runtime.defer(write);
    }

    fn failed(&mut self, turn: &mut Turn<'_>, write: Write<Decided>, error: ErrorCode) {
        self.on_shard(turn, write.partition, |work, shard| work.finish(shard, write.what.then, Err(error), true));
    }

    fn happened(&mut self, turn: &mut Turn<'_>, write: Write<Decided>) {
        let Write { number, partition, what, .. } = write;
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

fn new_records(write: &Write<Decided>) -> Vec<NewRecord> {
    write.what.records.iter().map(|record| new_record(write.at, record.encode())).collect()
}
