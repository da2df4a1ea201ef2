//! What a partition remembers of its producers: the last batches of each for idempotence (KIP-98),
//! the open transactions for the last stable offset, and pending verifications (KIP-890).
//! ProducerStateManager, ProducerAppendInfo, ProducerStateEntry, VerificationStateEntry.

use std::sync::Arc;

use crate::kafka::log::Origin;
use crate::kafka::log::producer_entry::{CachedBatch, ProducerEntry};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::batch::{Batch, EndTxnMarker, NO_PRODUCER_EPOCH};
use crate::wire::{ErrorCode, Offset, ProducerId};

/// From which transaction version on a marker carries a bumped producer epoch (KIP-890, TV2).
const EPOCH_BUMP_VERSION: i16 = 2;

/// A batch as the producer's state sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProducerBatch {
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub first: Offset,
    pub last: Offset,
    pub timestamp: i64,
    pub transactional: bool,
    /// Set for a control batch that ends a transaction.
    pub marker: Option<EndTxnMarker>,
}

/// The accepted effect of one batch, not yet applied.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerUpdate {
    producer_id: ProducerId,
    entry: ProducerEntry,
    /// A transaction began with this batch.
    started: Option<Offset>,
    /// A transaction with data ended with this marker.
    completed: Option<CompletedTxn>,
    transactional: bool,
}

/// A transaction that ended on this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    pub producer_id: ProducerId,
    pub first: Offset,
    /// The marker.
    pub last: Offset,
    pub aborted: bool,
}

/// Leave to append the first batch of a transaction: valid until a marker or a newer epoch (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// A producer whose transaction the coordinator is being asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Verification {
    guard: VerificationGuard,
    started: Instant,
    lowest_sequence: i32,
    epoch: i16,
    /// The producer speaks transaction version 2.
    supports_epoch_bump: bool,
}

/// An open or just completed transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Txn {
    producer_id: ProducerId,
    /// Its marker, once there is one.
    last: Option<Offset>,
}

/// A partition's producers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerState {
    producers: SortedMap<i64, ProducerEntry>,
    /// By the first offset: begun, no marker yet.
    ongoing: SortedMap<Offset, Txn>,
    /// By the first offset: the marker stands at or above the high watermark.
    unreplicated: SortedMap<Offset, Txn>,
    /// In memory only.
    verifications: SortedMap<i64, Verification>,
    next_guard: u64,
    /// The offset up to which batches were taken into account.
    end: Offset,
    /// The snapshot files: only the last batch of each producer is written.
    snapshots: SortedMap<Offset, Arc<SortedMap<i64, ProducerEntry>>>,
    /// `producer.id.expiration.ms`
    expiration: Duration,
}

impl From<&Batch> for ProducerBatch {
    fn from(batch: &Batch) -> ProducerBatch {
        ProducerBatch {
            producer_id: batch.producer_id,
            epoch: batch.producer_epoch,
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            first: batch.base_offset,
            last: batch.last_offset,
            timestamp: batch.max_timestamp,
            transactional: batch.is_transactional(),
            marker: batch.end_txn_marker(),
        }
    }
}

impl ProducerState {
    pub fn new(expiration: Duration) -> ProducerState {
        ProducerState {
            producers: SortedMap::new(),
            ongoing: SortedMap::new(),
            unreplicated: SortedMap::new(),
            verifications: SortedMap::new(),
            next_guard: 1,
            end: Offset::ZERO,
            snapshots: SortedMap::new(),
            expiration,
        }
    }

    pub fn set_expiration(&mut self, expiration: Duration) {
        self.expiration = expiration;
    }

    pub fn entry(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id.0)
    }

    pub fn entries(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter().map(|(&id, entry)| (ProducerId(id), entry))
    }

    /// The offset up to which batches were taken into account.
    pub fn end(&self) -> Offset {
        self.end
    }

    pub fn set_end(&mut self, end: Offset) {
        self.end = end;
    }

    /// The first offset of any transaction that readers of committed data must wait for: open, or
    /// its marker not below the high watermark yet.
    pub fn first_unstable(&self) -> Option<Offset> {
        let first = |txns: &SortedMap<Offset, Txn>| txns.first_key_value().map(|(first, _)| *first);
        match (first(&self.ongoing), first(&self.unreplicated)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether the producer has a transaction open here with this epoch.
    pub fn has_ongoing_transaction(&self, producer_id: ProducerId, epoch: i16) -> bool {
        self.entry(producer_id).is_some_and(|entry| entry.txn_first.is_some() && entry.epoch == epoch)
    }

    /// The original place of a batch that is sent again: same epoch, same first and last sequence,
    /// among the last five (ProducerStateEntry.findDuplicateBatch).
    pub fn find_duplicate(&self, batch: &ProducerBatch) -> Option<CachedBatch> {
        let entry = self.entry(batch.producer_id).filter(|entry| entry.epoch == batch.epoch)?;
        let same = |cached: &&CachedBatch| {
            cached.first_sequence() == batch.first_sequence && cached.last_sequence == batch.last_sequence
        };
        entry.batches().iter().find(same).copied()
    }

    /// What the batch would do, or why it may not be appended (ProducerAppendInfo.append).
    pub fn check(
        &self,
        batch: &ProducerBatch,
        origin: Option<Origin>,
        transaction_version: i16,
    ) -> Result<ProducerUpdate, ErrorCode> {
        let current = self.entry(batch.producer_id).cloned().unwrap_or_default();
        match batch.marker {
            Some(marker) => self.check_marker(batch, marker, current, origin, transaction_version),
            None => self.check_data(batch, current, origin),
        }
    }

    /// `origin` is `None` for what is replicated or read back: nothing is refused then.
    fn check_data(
        &self,
        batch: &ProducerBatch,
        mut entry: ProducerEntry,
        origin: Option<Origin>,
    ) -> Result<ProducerUpdate, ErrorCode> {
        if origin.is_some() && batch.epoch < entry.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if origin == Some(Origin::Client) {
            self.check_sequence(batch, &entry)?;
        }
        if origin.is_some() && entry.txn_first.is_some() && !batch.transactional {
            return Err(ErrorCode::InvalidTxnState);
        }
        entry.add_batch(
            batch.epoch,
            CachedBatch {
                last_sequence: batch.last_sequence,
                last: batch.last,
                offset_delta: (batch.last - batch.first) as i32,
                timestamp: batch.timestamp,
            },
        );
        let started = (batch.transactional && entry.txn_first.is_none()).then_some(batch.first);
        entry.txn_first = entry.txn_first.or(started);
        Ok(ProducerUpdate {
            producer_id: batch.producer_id,
            entry,
            started,
            completed: None,
            transactional: batch.transactional,
        })
    }

    fn check_sequence(&self, batch: &ProducerBatch, entry: &ProducerEntry) -> Result<(), ErrorCode> {
        let first = batch.first_sequence;
        if let Some(verification) = self.verifications.get(&batch.producer_id.0) {
            // Transaction version 2 begins every transaction at sequence 0 of a new epoch.
            let must_be_zero = verification.supports_epoch_bump && entry.batches().is_empty();
            if must_be_zero && first != 0 || first > verification.lowest_sequence {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
        }
        let unknown = entry.epoch == NO_PRODUCER_EPOCH;
        let in_sequence = if batch.epoch != entry.epoch {
            first == 0
        } else {
            let last = entry.last_sequence();
            i64::from(first) == i64::from(last) + 1 || (first == 0 && last == i32::MAX)
        };
        if unknown || in_sequence { Ok(()) } else { Err(ErrorCode::OutOfOrderSequenceNumber) }
    }

    fn check_marker(
        &self,
        batch: &ProducerBatch,
        marker: EndTxnMarker,
        mut entry: ProducerEntry,
        origin: Option<Origin>,
        transaction_version: i16,
    ) -> Result<ProducerUpdate, ErrorCode> {
        // A second marker of the same epoch is a retry when no transaction is open (KAFKA-19999).
        let retry = batch.epoch == entry.epoch && entry.txn_first.is_none();
        let stale = if transaction_version >= EPOCH_BUMP_VERSION {
            batch.epoch <= entry.epoch && !retry
        } else {
            batch.epoch < entry.epoch
        };
        if origin.is_some() && stale {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if origin.is_some() && entry.coordinator_epoch > marker.coordinator_epoch {
            return Err(ErrorCode::TransactionCoordinatorFenced);
        }
        let completed = entry.txn_first.take().map(|first| CompletedTxn {
            producer_id: batch.producer_id,
            first,
            last: batch.last,
            aborted: !marker.commit,
        });
        entry.set_epoch(batch.epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = batch.timestamp;
        Ok(ProducerUpdate { producer_id: batch.producer_id, entry, started: None, completed, transactional: true })
    }

    /// Applies what `check` accepted; the transaction that ended, for the index.
    pub fn apply(&mut self, update: ProducerUpdate) -> Option<CompletedTxn> {
        let ProducerUpdate { producer_id, entry, started, completed, transactional } = update;
        self.producers.insert(producer_id.0, entry);
        if transactional {
            // There is a first offset now, or the transaction is over.
            self.verifications.remove(&producer_id.0);
        }
        if let Some(first) = started {
            self.ongoing.insert(first, Txn { producer_id, last: None });
        }
        completed
    }

    /// The last stable offset as it will be once this transaction's end is replicated
    /// (ProducerStateManager.lastStableOffset).
    pub fn last_stable_after(&self, completed: &CompletedTxn) -> Offset {
        let others = |(_, txn): &(&Offset, &Txn)| txn.producer_id != completed.producer_id;
        self.ongoing.iter().find(others).map_or(completed.last.next(), |(first, _)| *first)
    }

    /// The transaction is over, but its marker is not below the high watermark yet.
    pub fn complete(&mut self, completed: &CompletedTxn) {
        self.ongoing.remove(&completed.first);
        let txn = Txn { producer_id: completed.producer_id, last: Some(completed.last) };
        self.unreplicated.insert(completed.first, txn);
    }

    pub fn on_high_watermark(&mut self, high_watermark: Offset) {
        while let Some((&first, &txn)) = self.unreplicated.first_key_value() {
            if txn.last.is_none_or(|last| last >= high_watermark) {
                break;
            }
            self.unreplicated.remove(&first);
        }
    }

    /// Producers outlive their records (onLogStartOffsetIncremented).
    pub fn on_log_start(&mut self, log_start: Offset) {
        self.on_high_watermark(log_start);
        self.end = self.end.max(log_start);
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`, unless a transaction
    /// of theirs is open. How many.
    pub fn remove_expired(&mut self, now: Instant) -> u32 {
        let before = self.producers.len();
        let limit = self.expiration.millis();
        let now_ms = now.millis();
        self.producers.retain(|_, entry| !is_expired(entry, now_ms, limit));
        self.verifications.retain(|_, pending| now_ms - pending.started.millis() < limit);
        (before - self.producers.len()) as u32
    }

    /// Whether `remove_expired` would forget anybody.
    pub fn has_expired(&self, now: Instant) -> bool {
        let limit = self.expiration.millis();
        self.producers.values().any(|entry| is_expired(entry, now.millis(), limit))
    }

    /// KIP-890: notes that the coordinator is asked whether the producer's transaction is known.
    pub fn start_verification(
        &mut self,
        producer_id: ProducerId,
        sequence: i32,
        epoch: i16,
        supports_epoch_bump: bool,
        now: Instant,
    ) -> VerificationGuard {
        let guard = VerificationGuard(self.next_guard);
        let started = now;
        let fresh = Verification { guard, started, lowest_sequence: sequence, epoch, supports_epoch_bump };
        let mut pending = self.verifications.get(&producer_id.0).copied().unwrap_or(fresh);
        if pending.guard == guard {
            self.next_guard += 1;
        } else if epoch > pending.epoch {
            (pending.epoch, pending.lowest_sequence) = (epoch, sequence);
        } else if epoch == pending.epoch {
            pending.lowest_sequence = pending.lowest_sequence.min(sequence);
        }
        self.verifications.insert(producer_id.0, pending);
        pending.guard
    }

    pub fn is_verified(&self, producer_id: ProducerId, guard: Option<VerificationGuard>) -> bool {
        guard.is_some() && self.verifications.get(&producer_id.0).map(|pending| pending.guard) == guard
    }

    /// Writes a snapshot file of what is known up to `end`.
    pub fn take_snapshot(&mut self) {
        if self.snapshots.contains_key(&self.end) {
            return;
        }
        let written = self.producers.iter().map(|(&id, entry)| (id, entry.as_in_snapshot()));
        self.snapshots.insert(self.end, Arc::new(written.collect()));
    }

    pub fn snapshot_offsets(&self) -> impl Iterator<Item = Offset> {
        self.snapshots.keys().copied()
    }

    /// Snapshots of segments that were deleted.
    pub fn remove_snapshot(&mut self, at: Offset) {
        self.snapshots.remove(&at);
    }

    /// Keeps the snapshots at the beginnings of segments, and the latest.
    pub fn remove_stray_snapshots(&mut self, segment_bases: &[Offset]) {
        let latest = self.snapshots.last_key_value().map(|(at, _)| *at);
        self.snapshots.retain(|at, _| Some(*at) == latest || segment_bases.contains(at));
    }

    /// Goes back to the latest snapshot within the log, or to nothing; the caller replays the
    /// batches from `end` on (ProducerStateManager.truncateAndReload).
    pub fn truncate_and_reload(&mut self, log_start: Offset, log_end: Offset, now: Instant) {
        self.snapshots.retain(|&at, _| at > log_start && at <= log_end);
        if log_end == self.end {
            self.on_log_start(log_start);
            return;
        }
        self.clear();
        self.end = log_start;
        let Some((&at, snapshot)) = self.snapshots.last_key_value() else { return };
        let (now_ms, limit) = (now.millis(), self.expiration.millis());
        for (&id, entry) in snapshot.iter().filter(|(_, entry)| !is_expired(entry, now_ms, limit)) {
            self.producers.insert(id, entry.clone());
            if let Some(first) = entry.txn_first {
                self.ongoing.insert(first, Txn { producer_id: ProducerId(id), last: None });
            }
        }
        self.end = at;
    }

    /// As `truncate_and_reload` for a process that starts: nothing in memory survived.
    pub fn reload(&mut self, log_start: Offset, log_end: Offset, now: Instant) {
        self.verifications.clear();
        self.end = Offset::UNKNOWN;
        self.truncate_and_reload(log_start, log_end, now);
    }

    pub fn truncate_fully(&mut self, at: Offset) {
        self.clear();
        self.snapshots.clear();
        self.end = at;
    }

    fn clear(&mut self) {
        self.producers.clear();
        self.ongoing.clear();
        self.unreplicated.clear();
    }
}

fn is_expired(entry: &ProducerEntry, now_ms: i64, limit_ms: i64) -> bool {
    entry.txn_first.is_none() && now_ms.saturating_sub(entry.last_timestamp) >= limit_ms
}
