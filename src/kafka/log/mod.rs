//! One replica's log: real record batches in segments, with the leader epoch cache and the state
//! of its producers (UnifiedLog, LocalLog, LeaderEpochFileCache, ProducerStateManager).

mod append;
mod cleaned_transactions;
mod compaction;
pub mod epochs;
pub mod index;
mod offsets;
pub mod producer_entry;
pub mod producer_state;
mod read;
mod recovery;
mod retention;
pub mod segment;
#[cfg(test)]
mod tests;
mod truncate;

use std::sync::Arc;

use bytes::Bytes;
use imbl::Vector;

use crate::kafka::config::TopicConfig;
use crate::kafka::log::epochs::EpochCache;
use crate::kafka::log::producer_state::{ProducerState, VerificationGuard};
use crate::kafka::log::segment::Segment;
use crate::time::{Duration, Instant};
use crate::wire::{LeaderEpoch, Offset, ProducerId};

pub use append::UNEXPECTED_APPEND_OFFSET;
pub use compaction::{Cleanable, Compacted};
pub use offsets::{FoundOffset, Lookup};
pub use read::Batches;
pub use retention::Deleted;

/// What an append did.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    pub first: Offset,
    pub last: Offset,
    /// The batch stood here already (idempotence): nothing was written, the offsets are the original ones.
    pub duplicate: bool,
    /// Milliseconds, -1 unless the topic stamps LogAppendTime.
    pub log_append_time: i64,
    /// A new segment was begun for it.
    pub rolled: bool,
    /// The bytes of what was handed in, as they stand in the log.
    pub bytes: i64,
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
    config: TopicConfig,
    /// By base offset, never empty; the last one is active: only it grows.
    segments: Vector<Arc<Segment>>,
    /// First readable offset; may lie inside the first segment.
    log_start: Offset,
    /// Next offset to be written.
    log_end: Offset,
    /// Within log start and log end. In memory; the broker checkpoints it.
    high_watermark: Offset,
    /// The recovery point: everything below is safe from a loss of power.
    flushed: Offset,
    last_flush: Instant,
    epochs: EpochCache,
    producers: ProducerState,
    /// `transaction.partition.verification.enable`
    verification: bool,
    /// Where the last round of compaction ended (the cleaner-offset-checkpoint file).
    cleaned_to: Option<Offset>,
    /// The latest instant that the log was told: the age of what it creates by itself.
    now: Instant,
}

/// `producer.id.expiration.ms` when nobody says otherwise.
const PRODUCER_EXPIRATION: Duration = Duration::from_millis(86_400_000);

impl Log {
    pub fn new(config: TopicConfig) -> Log {
        Log::created_at(config, Instant::ZERO)
    }

    /// As `new`, with the age of the first segment (it counts where records have no timestamps).
    pub fn created_at(config: TopicConfig, now: Instant) -> Log {
        Log {
            config,
            segments: Vector::unit(Arc::new(Segment::new(Offset::ZERO, now))),
            log_start: Offset::ZERO,
            log_end: Offset::ZERO,
            high_watermark: Offset::ZERO,
            flushed: Offset::ZERO,
            last_flush: now,
            epochs: EpochCache::default(),
            producers: ProducerState::new(PRODUCER_EXPIRATION),
            verification: false,
            cleaned_to: None,
            now,
        }
    }

    pub fn config(&self) -> &TopicConfig {
        &self.config
    }

    pub fn set_config(&mut self, config: TopicConfig) {
        self.config = config;
    }

    /// First readable offset.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// Next offset to be written.
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Readers of committed data see what lies below: no open transaction, no undecided one.
    pub fn last_stable_offset(&self) -> Offset {
        self.first_unstable_offset().map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }

    /// Where the first transaction begins that readers of committed data must wait for.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.producers.first_unstable().map(|first| first.max(self.log_start))
    }

    /// What survives a loss of power ends here (exclusive): the recovery point.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// Bytes of all segments.
    pub fn size(&self) -> i64 {
        self.segments.iter().map(|segment| i64::from(segment.size())).sum()
    }

    /// The segments in order; the last one is active.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().map(|segment| &**segment)
    }

    pub fn producers(&self) -> &ProducerState {
        &self.producers
    }

    /// Forgets producers that were silent for too long; brokers ask every ten minutes
    /// (`producer.id.expiration.check.interval.ms`). How many.
    pub fn remove_expired_producers(&mut self, now: Instant) -> u32 {
        self.producers.remove_expired(now)
    }

    /// `transaction.partition.verification.enable`: a transaction's first batch needs a guard (KIP-890).
    pub fn set_verification(&mut self, enabled: bool) {
        self.verification = enabled;
    }

    /// `producer.id.expiration.ms`
    pub fn set_producer_expiration(&mut self, expiration: Duration) {
        self.producers.set_expiration(expiration);
    }

    /// KIP-890: the guard to hand in with the transaction's first batch once the coordinator has
    /// confirmed it; `None` when the transaction is open here already and needs no verification.
    pub fn start_verification(
        &mut self,
        producer_id: ProducerId,
        sequence: i32,
        epoch: i16,
        supports_epoch_bump: bool,
        now: Instant,
    ) -> Option<VerificationGuard> {
        if self.producers.has_ongoing_transaction(producer_id, epoch) {
            return None;
        }
        Some(self.producers.start_verification(producer_id, sequence, epoch, supports_epoch_bump, now))
    }

    /// The leader epoch of the last record, from the epoch cache.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// `(epoch, start offset)` in order: the leader epoch cache.
    pub fn epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        self.epochs.entries().iter().map(|entry| (entry.epoch, entry.start)).collect()
    }

    /// The epoch that wrote this offset.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_at(offset)
    }

    /// LeaderEpochFileCache.assign: a leader records its epoch at election, even without writing.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        self.epochs.assign(epoch, start);
    }

    /// LeaderEpochFileCache.endOffsetFor; `None` when undefined.
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.epochs.end_offset_for(epoch, self.log_end)
    }

    /// Followers: `min(log end, what the leader said)`, which may move back. Returns the new one.
    pub fn update_high_watermark(&mut self, to: Offset) -> Offset {
        self.high_watermark = to.clamp(self.log_start, self.log_end);
        self.producers.on_high_watermark(self.high_watermark);
        self.high_watermark
    }

    /// Leaders: forward only. The old one if it moved.
    pub fn maybe_increment_high_watermark(&mut self, to: Offset) -> Option<Offset> {
        assert!(to <= self.log_end, "the high watermark {to} would pass the log's end {}", self.log_end);
        let old = self.high_watermark;
        (to > old).then(|| {
            self.update_high_watermark(to);
            old
        })
    }

    fn active(&self) -> &Arc<Segment> {
        self.segments.back().expect("a log has at least its active segment")
    }

    fn active_mut(&mut self) -> &mut Segment {
        Arc::make_mut(self.segments.back_mut().expect("a log has at least its active segment"))
    }

    /// The number of the segment that holds `offset`: the last one that begins at it or before.
    fn segment_at(&self, offset: Offset) -> u32 {
        let after = match self.segments.binary_search_by(|segment| segment.base().cmp(&offset)) {
            Ok(at) => at + 1,
            Err(at) => at,
        };
        after.saturating_sub(1) as u32
    }

    fn segment(&self, number: u32) -> Option<&Segment> {
        self.segments.get(number as usize).map(|segment| &**segment)
    }
}
