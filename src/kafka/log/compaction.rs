//! Compaction: the latest record of each key stays (LogCleanerManager, Cleaner, MemoryRecords.filterTo).

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::log::Log;
use crate::kafka::log::cleaned_transactions::CleanedTransactions;
use crate::kafka::log::segment::{Segment, StoredBatch};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::batch::{Batch, BatchBuilder, BatchHeader, NewRecord, Record};
use crate::wire::{ErrorCode, Offset};

/// How many keys one round maps: the default `log.cleaner.dedupe.buffer.size` of 128 MiB holds 24
/// bytes for each, filled to `log.cleaner.io.buffer.load.factor` (0.9).
const MAP_ENTRIES: u32 = 5_033_164;

/// What a round would clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanable {
    /// Where the last round ended.
    pub first_dirty: Offset,
    /// Never the active segment, nothing undecided, nothing within `min.compaction.lag.ms`.
    pub first_uncleanable: Offset,
    /// Where a round ends: the base of the segment that holds `first_uncleanable` (LogToClean).
    pub end: Offset,
    /// The last round's end lay outside the log and is to be forgotten.
    pub reset_checkpoint: bool,
    /// Bytes of the segments before the dirty ones.
    pub clean_bytes: i64,
    pub cleanable_bytes: i64,
    /// `max.compaction.lag.ms` has passed.
    pub overdue: bool,
}

impl Cleanable {
    /// Whether the dirty share exceeds `min.cleanable.dirty.ratio`, or the lag forces a round.
    pub fn is_due(&self, min_dirty_permille: i32) -> bool {
        let total = self.clean_bytes + self.cleanable_bytes;
        let dirty = self.cleanable_bytes * 1_000 > i64::from(min_dirty_permille) * total;
        self.cleanable_bytes > 0 && (dirty || self.overdue)
    }

    /// The dirty share in thousandths: the cleaner takes the dirtiest log first.
    pub fn dirty_permille(&self) -> i64 {
        let total = self.clean_bytes + self.cleanable_bytes;
        if total == 0 { 0 } else { self.cleanable_bytes * 1_000 / total }
    }
}

/// The latest offset of each key in the dirty range (OffsetMap).
struct KeyMap {
    latest_of_key: SortedMap<Bytes, Offset>,
    /// How far the map knows the log: later records are kept unseen.
    latest: Offset,
    max_entries: u32,
}

/// What one round keeps in mind.
struct Round<'a> {
    keys: &'a KeyMap,
    up_to: Offset,
    now_ms: i64,
    delete_horizon: i64,
    /// Each producer's last batch, or its epoch when only a marker is known: it is kept, even
    /// empty, for the sequence that it carries (LastRecord).
    last_records: SortedMap<i64, (Option<Offset>, i16)>,
    transactions: CleanedTransactions,
}

/// What to do with a batch (MemoryRecords.RecordFilter.BatchRetention).
struct BatchRetention {
    discard_records: bool,
    retain_empty: bool,
    /// A marker whose transaction has no data left.
    is_empty_marker: bool,
}

/// What a round of compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Where the next round begins: every key below it stands once.
    pub to: Offset,
    pub bytes_before: i64,
    pub bytes_after: i64,
}

impl Log {
    /// Compacts if a round is due. The broker asks every `log.cleaner.backoff.ms`, the dirtiest log
    /// first.
    pub fn compact(&mut self, now: Instant) -> Option<Compacted> {
        self.now = self.now.max(now);
        let cleanable = self.cleanable(now);
        if cleanable.reset_checkpoint {
            self.cleaned_to = None;
        }
        if !self.config.compact || !cleanable.is_due(self.config.min_cleanable_dirty_permille) {
            return None;
        }
        let bytes_before = self.size();
        let to = self.clean(cleanable.first_dirty, cleanable.end, now, MAP_ENTRIES);
        self.cleaned_to = Some(to);
        Some(Compacted { to, bytes_before, bytes_after: self.size() })
    }

    /// Where the last round of compaction ended.
    pub fn cleaned_to(&self) -> Option<Offset> {
        self.cleaned_to
    }

    /// LogCleanerManager.cleanableOffsets, from where the last round ended.
    pub fn cleanable(&self, now: Instant) -> Cleanable {
        self.cleanable_from(self.cleaned_to, now)
    }

    pub fn cleanable_from(&self, checkpoint: Option<Offset>, now: Instant) -> Cleanable {
        let valid = checkpoint.filter(|&at| at >= self.log_start && at <= self.log_end);
        let first_dirty = valid.unwrap_or(self.log_start);
        let sealed = || self.segments().take(self.segments.len() - 1).filter(move |s| self.end_of(s) > first_dirty);
        let active = self.active().base();
        let mut first_uncleanable = self.last_stable_offset().min(active);
        let lag = self.config.min_compaction_lag.millis();
        if lag > 0
            && let Some(young) = sealed().find(|s| s.largest_timestamp() > now.millis() - lag)
        {
            first_uncleanable = first_uncleanable.min(young.base());
        }
        first_uncleanable = first_uncleanable.max(first_dirty);
        let end = self.segment(self.segment_at(first_uncleanable)).map_or(active, Segment::base);
        let first_cleaned = self.segment_at(first_dirty.min(end));
        let bytes =
            |segments: &mut dyn Iterator<Item = &Segment>| -> i64 { segments.map(|s| i64::from(s.size())).sum() };
        let oldest = sealed().filter_map(Segment::first_timestamp).filter(|&timestamp| timestamp > 0).min();
        let latest_start = now.millis().saturating_sub(self.config.max_compaction_lag.millis());
        Cleanable {
            first_dirty,
            first_uncleanable,
            reset_checkpoint: checkpoint.is_some() && valid.is_none(),
            end,
            clean_bytes: bytes(&mut self.segments().take_while(|s| s.base() < first_dirty)),
            cleanable_bytes: bytes(&mut self.segments().skip(first_cleaned as usize).take_while(|s| s.base() < end)),
            overdue: oldest.is_some_and(|oldest| oldest < latest_start),
        }
    }

    /// Where a segment's offsets end: the next one's base.
    fn end_of(&self, segment: &Segment) -> Offset {
        self.segment(self.segment_at(segment.base()) + 1).map_or(self.log_end, Segment::base)
    }

    /// One round (Cleaner.doClean): maps the keys of the dirty range, then copies every segment up to
    /// its end without what is superseded. Where the next round begins.
    pub fn clean(&mut self, from: Offset, up_to: Offset, now: Instant, map_entries: u32) -> Offset {
        let keys = self.map_keys(from, up_to, map_entries);
        let end = keys.latest.next();
        let mut round = Round {
            keys: &keys,
            up_to,
            now_ms: now.millis(),
            delete_horizon: now.millis().saturating_add(self.config.delete_retention.millis()),
            last_records: self.last_records(),
            transactions: CleanedTransactions::default(),
        };
        let mut first = 0;
        while self.segment(first).is_some_and(|segment| segment.base() < end) {
            let count = self.group(first, end);
            let cleaned = self.clean_group(first, count, &mut round);
            for replaced in self.segments.iter().skip(first as usize + 1).take(count as usize - 1) {
                self.producers.remove_snapshot(replaced.base());
            }
            let later = self.segments.split_off((first + count) as usize);
            self.segments.truncate(first as usize);
            self.segments.push_back(Arc::new(cleaned));
            self.segments.append(later);
            first += 1;
        }
        end
    }

    /// Pass one: the dirty range's keys (Cleaner.buildOffsetMap). Markers and aborted data do not
    /// enter. Ends where the map is full.
    fn map_keys(&self, from: Offset, up_to: Offset, max_entries: u32) -> KeyMap {
        let mut keys = KeyMap { latest_of_key: SortedMap::new(), latest: Offset::UNKNOWN, max_entries };
        let mut transactions = CleanedTransactions::default();
        transactions.add(self.aborted_transactions(from, up_to));
        let first = self.segment_at(from);
        for number in first.. {
            let Some(segment) = self.segment(number).filter(|segment| segment.base() < up_to) else { break };
            let start = segment.find(from);
            for StoredBatch { batch, .. } in segment.batches_from(start) {
                if batch.is_control() {
                    transactions.read_marker(&batch);
                } else if !transactions.read_data(&batch) && !keys.add(&batch, from) {
                    return keys;
                }
                keys.latest = keys.latest.max(batch.last_offset);
            }
            // Offsets without records up to the next segment are cleaned too.
            keys.latest = keys.latest.max(self.end_of(segment).min(up_to) + -1);
        }
        keys
    }

    /// How many segments from this one on fit into one (Cleaner.groupSegmentsBySize).
    fn group(&self, first: u32, end: Offset) -> u32 {
        let Some(head) = self.segment(first) else { return 0 };
        let (mut size, mut count) = (i64::from(head.size()), 1);
        while let Some(next) = self.segment(first + count).filter(|next| next.base() < end) {
            size += i64::from(next.size());
            let in_reach = next.is_empty() || i32::try_from(self.end_of(next) - head.base()).is_ok();
            if size > i64::from(self.config.segment_bytes) || !in_reach {
                break;
            }
            count += 1;
        }
        count
    }

    /// Pass two for a group of segments (Cleaner.cleanSegments).
    fn clean_group(&self, first: u32, count: u32, round: &mut Round<'_>) -> Segment {
        let base = self.segment(first).map_or(self.log_end, Segment::base);
        let mut cleaned = Segment::new(base, self.now);
        for number in first..first + count {
            let Some(segment) = self.segment(number) else { break };
            // The index of the whole stretch is needed, for the new segment's index is built from it.
            round.transactions.add(self.aborted_transactions(segment.base(), self.end_of(segment)));
            for StoredBatch { batch, .. } in segment.batches().iter() {
                // A batch that cannot be decoded stays as it is.
                let kept = round.filter(&batch).unwrap_or_else(|_| Some(batch.clone()));
                if let Some(kept) = kept {
                    cleaned.append(kept, self.config.index_interval_bytes, segment.modified());
                }
            }
        }
        for aborted in round.transactions.take_index() {
            cleaned.add_aborted(aborted);
        }
        if let Some(last) = self.segment(first + count - 1) {
            cleaned.set_modified(last.modified());
        }
        cleaned.close();
        cleaned
    }

    /// UnifiedLog.lastRecordsOfActiveProducers.
    fn last_records(&self) -> SortedMap<i64, (Option<Offset>, i16)> {
        let last = |last: Offset| (last >= Offset::ZERO).then_some(last);
        self.producers.entries().map(|(id, entry)| (id.0, (last(entry.last_data_offset()), entry.epoch))).collect()
    }
}

impl KeyMap {
    /// False when the map is full: this record and all later ones wait for the next round.
    fn add(&mut self, batch: &Batch, from: Offset) -> bool {
        let Ok(records) = batch.record_iter() else { return true };
        for record in records.map_while(Result::ok) {
            let offset = Offset(record.offset);
            let Some(key) = record.key.filter(|_| offset >= from) else { continue };
            if self.latest_of_key.len() >= self.max_entries as usize {
                return false;
            }
            self.latest_of_key.insert(key, offset);
            self.latest = offset;
        }
        true
    }
}

impl Round<'_> {
    /// The batch as it stays, or `None` (MemoryRecords.filterTo).
    fn filter(&mut self, batch: &Batch) -> Result<Option<Batch>, ErrorCode> {
        let retention = self.retention(batch);
        if retention.discard_records && !retention.retain_empty {
            return Ok(None);
        }
        let records = batch.records()?;
        let all = records.len();
        let retained: Vec<Record> = records.into_iter().filter(|r| self.retains(batch, r, &retention)).collect();
        if retained.is_empty() {
            return Ok(retention.retain_empty.then(|| rebuilt(batch, &[], None)));
        }
        let has_tombstones = retained.iter().any(|record| record.value.is_none());
        let is_first_sight = batch.delete_horizon().is_none();
        let stamp = (is_first_sight && (has_tombstones || retention.is_empty_marker)).then_some(self.delete_horizon);
        if retained.len() == all && stamp.is_none() {
            return Ok(Some(batch.clone()));
        }
        Ok(Some(rebuilt(batch, &retained, stamp.or(batch.delete_horizon()))))
    }

    /// Cleaner.cleanInto's checkBatchRetention.
    fn retention(&mut self, batch: &Batch) -> BatchRetention {
        let can_discard =
            if batch.is_control() { self.transactions.read_marker(batch) } else { self.transactions.read_data(batch) };
        // A marker waits for its delete horizon, as a tombstone does (KIP-534).
        let is_expired = batch.delete_horizon().is_some_and(|horizon| horizon <= self.now_ms);
        let is_last_of_producer = self.last_records.get(&batch.producer_id.0).is_some_and(|(last, epoch)| match last {
            Some(last) => batch.last_offset == *last,
            None => batch.is_control() && batch.producer_epoch == *epoch,
        });
        BatchRetention {
            discard_records: can_discard && (is_expired || !batch.is_control()),
            retain_empty: batch.has_producer() && is_last_of_producer || batch.next_offset() == self.up_to,
            is_empty_marker: can_discard && batch.is_control(),
        }
    }

    fn retains(&self, batch: &Batch, record: &Record, retention: &BatchRetention) -> bool {
        if retention.discard_records {
            return false;
        }
        if batch.is_control() || Offset(record.offset) > self.keys.latest {
            return true;
        }
        let Some(key) = &record.key else { return false };
        let is_latest = self.keys.latest_of_key.get(key).is_none_or(|&latest| Offset(record.offset) >= latest);
        let tombstone_stays = batch.delete_horizon().is_none_or(|horizon| self.now_ms < horizon);
        is_latest && (record.value.is_some() || tombstone_stays)
    }
}

/// The batch with these records only; offsets, sequence and epoch stay (buildRetainedRecordsInto,
/// writeEmptyHeader).
fn rebuilt(batch: &Batch, records: &[Record], delete_horizon: Option<i64>) -> Batch {
    let header = BatchHeader {
        producer_id: batch.producer_id,
        producer_epoch: batch.producer_epoch,
        base_sequence: batch.base_sequence,
        transactional: batch.is_transactional(),
        control: batch.is_control(),
    };
    let mut builder = BatchBuilder::new(header, batch.base_offset);
    builder.leader_epoch = batch.leader_epoch;
    builder.last_offset = Some(batch.last_offset);
    builder.log_append_time = batch.is_log_append_time();
    if !records.is_empty() {
        builder.compression = batch.compression().unwrap_or_default();
    }
    if records.is_empty() || batch.is_log_append_time() {
        builder.max_timestamp = Some(batch.max_timestamp);
    }
    if let Some(horizon) = delete_horizon {
        builder.set_delete_horizon(horizon);
    }
    for record in records {
        let Record { offset, timestamp, key, value, headers, sequence: _ } = record.clone();
        builder.push(Offset(offset), &NewRecord { timestamp, key, value, headers });
    }
    builder.finish()
}
