//! One replica's log: real record batches in segments, with the leader epoch cache and the state
//! of its producers (UnifiedLog, LocalLog, LeaderEpochFileCache, ProducerStateManager).

use bytes::Bytes;

use crate::kafka::config::TopicConfig;
use crate::time::Instant;
use crate::wire::batch::Batch;
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

/// What an append did.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    pub first: Offset,
    pub last: Offset,
    /// The batch stood here already (idempotence): nothing was written, the offsets are the original ones.
    pub duplicate: bool,
    /// Milliseconds, -1 unless the topic stamps LogAppendTime.
    pub log_append_time: i64,
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadUpTo {
    /// Followers.
    LogEnd,
    /// Consumers, read_uncommitted.
    HighWatermark,
    /// Consumers, read_committed.
    LastStableOffset,
}

/// Whole batches, starting with the one that contains the offset asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The base offset of the first batch; the offset asked for when nothing is returned.
    pub first: Offset,
    pub records: Bytes,
}

/// An answer of the epoch cache: an epoch and where it ends (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end: Offset,
}

/// Who appends, for the checks of producer state (AppendOrigin).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Client,
    Coordinator,
    RaftLeader,
}

/// A replica's log. Everything in it is on disk, but what was not flushed is lost with the power;
/// the high watermark survives only as far as it was checkpointed.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    // the owner of this room fills it in
}

#[allow(unused_variables)]
impl Log {
    pub fn new(config: TopicConfig) -> Log {
        todo!()
    }

    pub fn config(&self) -> &TopicConfig {
        todo!()
    }

    pub fn set_config(&mut self, config: TopicConfig) {
        todo!()
    }

    /// First readable offset.
    pub fn log_start(&self) -> Offset {
        todo!()
    }

    /// Next offset to be written.
    pub fn log_end(&self) -> Offset {
        todo!()
    }

    pub fn high_watermark(&self) -> Offset {
        todo!()
    }

    pub fn last_stable_offset(&self) -> Offset {
        todo!()
    }

    /// The leader epoch of the last record, from the epoch cache.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        todo!()
    }

    /// `(epoch, start offset)` in order: the leader epoch cache.
    pub fn epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        todo!()
    }

    /// LeaderEpochFileCache.assign: a leader records its epoch at election, even without writing.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        todo!()
    }

    /// LeaderEpochFileCache.endOffsetFor; `None` when undefined.
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        todo!()
    }

    /// A produce request's batch at the leader: validated (broker.md 1.2), stamped with offsets and
    /// epoch, checked against the producer's state. The high watermark does not move.
    pub fn append_as_leader(
        &mut self,
        records: Bytes,
        epoch: LeaderEpoch,
        origin: Origin,
        now: Instant,
    ) -> Result<Appended, ErrorCode> {
        todo!()
    }

    /// What a follower fetched: offsets and epochs come from the batches. Batches of an epoch above
    /// `leader_epoch` (the epoch of the fetch) are dropped (KAFKA-18723). `None` when nothing was left.
    pub fn append_as_follower(
        &mut self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        now: Instant,
    ) -> Result<Option<Appended>, ErrorCode> {
        todo!()
    }

    /// At least one whole batch if there is one, however large.
    pub fn read(&self, from: Offset, max_bytes: i32, up_to: ReadUpTo) -> Result<Read, ErrorCode> {
        todo!()
    }

    /// Bytes from `from` up to the bound, for `min.bytes` of a waiting fetch; cheap.
    pub fn bytes_between(&self, from: Offset, up_to: ReadUpTo) -> i64 {
        todo!()
    }

    /// UnifiedLog.truncateTo: false when the log ends at or before `to` already.
    pub fn truncate_to(&mut self, to: Offset) -> bool {
        todo!()
    }

    pub fn truncate_fully_and_start_at(&mut self, at: Offset) {
        todo!()
    }

    /// Followers: `min(log end, what the leader said)`, which may move back. Returns the new one.
    pub fn update_high_watermark(&mut self, to: Offset) -> Offset {
        todo!()
    }

    /// Leaders: forward only. The old one if it moved.
    pub fn maybe_increment_high_watermark(&mut self, to: Offset) -> Option<Offset> {
        todo!()
    }

    /// Moves the log start forward (DeleteRecords, or the leader's log start at a follower).
    pub fn maybe_increment_log_start(&mut self, to: Offset) -> bool {
        todo!()
    }

    /// The batches from the one that contains `from` on, in offset order.
    pub fn batches(&self, from: Offset) -> impl Iterator<Item = &Batch> {
        std::iter::empty()
    }

    /// ListOffsets by timestamp (broker.md 1.8): the first record in offset order with this
    /// timestamp or a later one: `(timestamp, offset, epoch)`.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Option<(i64, Offset, LeaderEpoch)> {
        todo!()
    }

    /// ListOffsets MAX_TIMESTAMP.
    pub fn offset_of_max_timestamp(&self) -> Option<(i64, Offset, LeaderEpoch)> {
        todo!()
    }

    /// Deletes whole segments by log start, size and time (broker.md 1.6); true if the log start moved.
    pub fn apply_retention(&mut self, now: Instant) -> bool {
        todo!()
    }

    /// Flushes everything that `flush.messages` / `flush.ms` or a roll make due.
    pub fn flush(&mut self) {
        todo!()
    }

    /// The process starts again on this disk: producer state rebuilt, the high watermark from its
    /// checkpoint, clamped to the log.
    pub fn reopen(&mut self, checkpoint: Option<Offset>) {
        todo!()
    }

    /// The power went: what was not flushed is gone.
    pub fn lose_unflushed(&mut self) {
        todo!()
    }
}
