//! Appending: what a leader checks and stamps, what a follower takes as given (UnifiedLog.append,
//! UnifiedLog.analyzeAndValidateRecords, LogValidator).

use bytes::Bytes;

use crate::kafka::log::index::AbortedTxn;
use crate::kafka::log::producer_state::{CompletedTxn, ProducerBatch, VerificationGuard};
use crate::kafka::log::segment::{Incoming, Segment};
use crate::kafka::log::{Appended, Log, Origin};
use crate::time::Instant;
use crate::wire::batch::{Batch, Compression, NO_TIMESTAMP};
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

use std::sync::Arc;

/// A follower was handed batches that begin below its log's end (UnexpectedAppendOffsetException),
/// or that do not rise (OffsetsOutOfOrderException). Kafka has no code for either on the wire.
pub const UNEXPECTED_APPEND_OFFSET: ErrorCode = ErrorCode::UnknownServerError;

impl Log {
    /// A produce request's batch at the leader: validated (LogValidator), stamped with offsets and
    /// epoch, checked against the producer's state. The high watermark does not move.
    pub fn append_as_leader(
        &mut self,
        records: Bytes,
        epoch: LeaderEpoch,
        origin: Origin,
        now: Instant,
    ) -> Result<Appended, ErrorCode> {
        self.append_verified(records, epoch, origin, now, None, 0)
    }

    /// As `append_as_leader`, with what transactions bring along: the guard of a verified
    /// transaction, and the transaction version of a marker (KIP-890).
    pub fn append_verified(
        &mut self,
        mut records: Bytes,
        epoch: LeaderEpoch,
        origin: Origin,
        now: Instant,
        guard: Option<VerificationGuard>,
        transaction_version: i16,
    ) -> Result<Appended, ErrorCode> {
        self.now = self.now.max(now);
        // One batch: a produce request holds one for each partition, and coordinators write one.
        let batch = Batch::split_first(&mut records, false)?;
        if !records.is_empty() {
            return Err(ErrorCode::InvalidRecord);
        }
        self.validate(&batch, origin, now)?;
        let batch = self.stamp(self.compressed_as_wanted(batch, origin)?, epoch, origin, now);
        self.epochs.assign(epoch, batch.base_offset);
        if batch.size() > self.config.segment_bytes {
            return Err(ErrorCode::RecordListTooLarge);
        }
        let rolled = self.maybe_roll(&incoming(std::slice::from_ref(&batch)), now);
        let log_append_time = if self.config.log_append_time { now.millis() } else { NO_TIMESTAMP };
        let mut appended = Appended {
            first: batch.base_offset,
            last: batch.last_offset,
            duplicate: false,
            log_append_time,
            rolled,
            bytes: i64::from(batch.size()),
        };
        let mut completed = None;
        if batch.has_producer() {
            let known = ProducerBatch::from(&batch);
            if origin == Origin::Client
                && let Some(original) = self.producers.find_duplicate(&known)
            {
                appended.first = original.first();
                appended.last = original.last;
                appended.duplicate = true;
                appended.log_append_time = original.timestamp;
                return Ok(appended);
            }
            self.check_verification(&known, guard)?;
            let update = self.producers.check(&known, Some(origin), transaction_version)?;
            completed = self.producers.apply(update);
        }
        self.write(batch, now);
        self.end_transaction(completed);
        self.after_append(now);
        Ok(appended)
    }

    /// What a follower fetched: offsets and epochs come from the batches. Batches of an epoch above
    /// `leader_epoch` (the epoch of the fetch) are dropped (KAFKA-18723). `None` when nothing was left.
    pub fn append_as_follower(
        &mut self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        now: Instant,
    ) -> Result<Option<Appended>, ErrorCode> {
        self.now = self.now.max(now);
        let batches = self.readable(records, leader_epoch)?;
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return Ok(None) };
        let mut appended = Appended {
            first: first.base_offset,
            last: last.last_offset,
            duplicate: false,
            log_append_time: NO_TIMESTAMP,
            rolled: false,
            bytes: batches.iter().map(|batch| i64::from(batch.size())).sum(),
        };
        let rising = batches.windows(2).all(|pair| pair[0].last_offset < pair[1].base_offset);
        if !rising || appended.first < self.log_end {
            return Err(UNEXPECTED_APPEND_OFFSET);
        }
        for batch in &batches {
            self.epochs.assign(batch.leader_epoch, batch.base_offset);
        }
        let whole = incoming(&batches);
        if whole.size > self.config.segment_bytes {
            return Err(ErrorCode::RecordListTooLarge);
        }
        appended.rolled = self.maybe_roll(&whole, now);
        for batch in batches {
            let completed = self.replay_producer(&batch);
            self.write(batch, now);
            self.end_transaction(completed);
        }
        self.after_append(now);
        Ok(Some(appended))
    }

    /// The batches up to the first of a later epoch; each with a right checksum.
    fn readable(&self, mut records: Bytes, leader_epoch: LeaderEpoch) -> Result<Vec<Batch>, ErrorCode> {
        let mut batches = Vec::new();
        while !records.is_empty() {
            let batch = Batch::split_first(&mut records, false)?;
            if batch.leader_epoch > leader_epoch {
                break;
            }
            if !batch.is_checksum_valid() {
                return Err(ErrorCode::CorruptMessage);
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    /// LogValidator and analyzeAndValidateRecords, from the header: the records themselves are
    /// decoded only where a rule needs them.
    fn validate(&self, batch: &Batch, origin: Origin, now: Instant) -> Result<(), ErrorCode> {
        if origin == Origin::Client && batch.base_offset != Offset::ZERO {
            return Err(ErrorCode::InvalidRecord);
        }
        if origin != Origin::RaftLeader && batch.size() > self.config.max_message_bytes {
            return Err(ErrorCode::MessageTooLarge);
        }
        if !batch.is_checksum_valid() {
            return Err(ErrorCode::CorruptMessage);
        }
        if origin == Origin::Client {
            let offsets_are_dense = batch.record_count > 0 && batch.last_offset_delta() == batch.record_count - 1;
            let has_sequence = !batch.has_producer() || batch.base_sequence >= 0;
            if !offsets_are_dense || batch.is_control() || !has_sequence {
                return Err(ErrorCode::InvalidRecord);
            }
        }
        if origin == Origin::RaftLeader {
            return Ok(());
        }
        if self.config.compact && !batch.is_control() {
            for record in batch.record_iter()? {
                record?.key.ok_or(ErrorCode::InvalidRecord)?;
            }
        }
        self.validate_timestamps(batch, now)
    }

    /// `message.timestamp.before.max.ms` and `.after.max.ms`; CreateTime only.
    fn validate_timestamps(&self, batch: &Batch, now: Instant) -> Result<(), ErrorCode> {
        if self.config.log_append_time {
            return Ok(());
        }
        let now = now.millis();
        let (before, after) = (self.config.timestamp_before_max.millis(), self.config.timestamp_after_max.millis());
        if batch.max_timestamp != NO_TIMESTAMP && batch.max_timestamp.saturating_sub(now) > after {
            return Err(ErrorCode::InvalidTimestamp);
        }
        let too_old = |timestamp: i64| timestamp != NO_TIMESTAMP && now.saturating_sub(timestamp) > before;
        // `before.max.ms` is unlimited by default: then no record is decoded for it.
        let unlimited = self.config.timestamp_before_max.micros() >= i64::MAX / 2;
        if unlimited {
            return Ok(());
        }
        for record in batch.record_iter()? {
            if too_old(record?.timestamp) {
                return Err(ErrorCode::InvalidTimestamp);
            }
        }
        Ok(())
    }

    /// A topic with a `compression.type` of its own: the leader compresses anew what came otherwise
    /// (LogValidator), and the batch may have become too large by that.
    fn compressed_as_wanted(&self, batch: Batch, origin: Origin) -> Result<Batch, ErrorCode> {
        let is = batch.compression()?;
        let wanted = self.config.compression.filter(|_| origin == Origin::Client).unwrap_or(is);
        if wanted == is {
            if is != Compression::None {
                // Nothing unreadable gets into the log.
                batch.record_iter()?.try_for_each(|record| record.map(drop))?;
            }
            return Ok(batch);
        }
        let batch = batch.recompressed(wanted)?;
        if batch.size() > self.config.max_message_bytes {
            return Err(ErrorCode::MessageTooLarge);
        }
        Ok(batch)
    }

    /// Offsets from the log's end, the leader's epoch, and the topic's kind of timestamp.
    fn stamp(&self, batch: Batch, epoch: LeaderEpoch, origin: Origin, now: Instant) -> Batch {
        let stamped = batch.into_stamped(self.log_end, epoch);
        if origin == Origin::RaftLeader {
            return stamped;
        }
        let log_append_time = self.config.log_append_time;
        let max_timestamp = if log_append_time { now.millis() } else { stamped.max_timestamp };
        stamped.into_timestamped(log_append_time, max_timestamp)
    }

    /// A transaction's first batch needs a guard that is still valid (KIP-890); a stale epoch is told
    /// first, for the producer can recover from that.
    fn check_verification(&self, batch: &ProducerBatch, guard: Option<VerificationGuard>) -> Result<(), ErrorCode> {
        let needs_guard = self.verification && batch.transactional && batch.marker.is_none();
        if !needs_guard
            || self.producers.has_ongoing_transaction(batch.producer_id, batch.epoch)
            || self.producers.is_verified(batch.producer_id, guard)
        {
            return Ok(());
        }
        let stale = self.producers.entry(batch.producer_id).is_some_and(|entry| batch.epoch < entry.epoch);
        Err(if stale { ErrorCode::InvalidProducerEpoch } else { ErrorCode::InvalidTxnState })
    }

    /// The effect of a batch that is replicated or read back: never refused.
    pub(super) fn replay_producer(&mut self, batch: &Batch) -> Option<CompletedTxn> {
        if !batch.has_producer() {
            return None;
        }
        let known = ProducerBatch::from(batch);
        if batch.is_control() && known.marker.is_none() {
            return None;
        }
        let update = self.producers.check(&known, None, 0).expect("what is replicated is not refused");
        self.producers.apply(update)
    }

    /// LocalLog.maybeRoll; true when a new segment was begun.
    fn maybe_roll(&mut self, incoming: &Incoming, now: Instant) -> bool {
        let before = self.segments.len();
        if self.active().should_roll(*incoming, &self.config, now) {
            self.roll(Some(incoming.first), now);
        }
        self.segments.len() > before
    }

    /// Begins a new segment at the log's end, or at `expected` beyond it. What lies below is flushed,
    /// and the producers' state is written down. An active segment that is empty gives way to
    /// another of the same base, which is younger (LocalLog.roll).
    pub fn roll(&mut self, expected: Option<Offset>, now: Instant) {
        let base = expected.map_or(self.log_end, |expected| expected.max(self.log_end));
        if self.active().base() == base {
            *self.active_mut() = Segment::new(base, now);
            return;
        }
        self.active_mut().close();
        self.segments.push_back(Arc::new(Segment::new(base, now)));
        self.producers.set_end(base);
        self.producers.take_snapshot();
        self.flushed = self.log_end;
        self.last_flush = now;
    }

    fn write(&mut self, batch: Batch, now: Instant) {
        let next = batch.next_offset();
        let interval = self.config.index_interval_bytes;
        self.active_mut().append(batch, interval, now);
        self.log_end = next;
    }

    /// The index of aborted transactions gets the true last stable offset; the transaction is over
    /// once its marker is replicated.
    fn end_transaction(&mut self, completed: Option<CompletedTxn>) {
        let Some(completed) = completed else { return };
        if completed.aborted {
            let last_stable = self.producers.last_stable_after(&completed);
            self.active_mut().add_aborted(AbortedTxn {
                producer_id: completed.producer_id,
                first: completed.first,
                last: completed.last,
                last_stable,
            });
        }
        self.producers.complete(&completed);
    }

    fn after_append(&mut self, now: Instant) {
        self.producers.set_end(self.log_end);
        if self.log_end - self.flushed >= self.config.flush_messages {
            self.flush();
            self.last_flush = now;
        }
    }
}

fn incoming(batches: &[Batch]) -> Incoming {
    Incoming {
        first: batches.first().map_or(Offset::UNKNOWN, |batch| batch.base_offset),
        last: batches.last().map_or(Offset::UNKNOWN, |batch| batch.last_offset),
        size: batches.iter().fold(0, |sum: i32, batch| sum.saturating_add(batch.size())),
        max_timestamp: batches.iter().map(|batch| batch.max_timestamp).max().unwrap_or(NO_TIMESTAMP),
    }
}
