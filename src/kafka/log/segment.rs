//! A stretch of the log in one file with its indexes (LogSegment).

use imbl::Vector;

use crate::kafka::config::TopicConfig;
use crate::kafka::log::index::{AbortedTxn, OffsetEntry, OffsetIndex, TimeEntry, TimeIndex};
use crate::packed::{Iter, Pack, Packed, Packing, Unpacking};
use crate::time::Instant;
use crate::wire::Offset;
use crate::wire::batch::{Batch, NO_TIMESTAMP, PastBatch};

/// A batch in its segment.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBatch {
    pub batch: Batch,
    /// Bytes of the segment before it.
    pub position: i32,
}

/// The batch before, and where the next one stands.
#[derive(Default)]
pub struct PastStored {
    batch: PastBatch,
    next: i32,
}

impl Pack for StoredBatch {
    type Past = PastStored;

    fn pack(&self, past: &mut PastStored, into: &mut Packing) {
        into.number(i64::from(self.position - past.next));
        self.batch.pack(&mut past.batch, into);
        past.next = self.position + self.batch.size();
    }

    fn unpack(past: &mut PastStored, from: &mut Unpacking<'_>) -> StoredBatch {
        let position = past.next + from.number() as i32;
        let batch = Batch::unpack(&mut past.batch, from);
        past.next = position + batch.size();
        StoredBatch { batch, position }
    }

    fn key(&self) -> i64 {
        self.batch.base_offset.0
    }
}

/// What is to be appended, as far as the decision to roll needs it (RollParams).
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    pub first: Offset,
    pub last: Offset,
    pub size: i32,
    pub max_timestamp: i64,
}

/// One segment. Its batches lie in offset order; offsets may have gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    base: Offset,
    /// When it was created: how long it waited to be rolled if its first batch has no timestamp.
    created: Instant,
    /// The last append: its age for retention if no record has a timestamp.
    modified: Instant,
    batches: Packed<StoredBatch>,
    /// The largest timestamp of the first batch.
    first_timestamp: Option<i64>,
    /// Bytes of all batches.
    size: i32,
    /// The largest timestamp and its batch's last offset; -1 when there is none.
    max_timestamp: TimeEntry,
    offsets: OffsetIndex,
    times: TimeIndex,
    /// Bytes appended since the last entry of the indexes.
    bytes_since_index: i32,
    /// The transactions whose ABORT marker stands in this segment, by their markers' offsets.
    aborted: Vector<AbortedTxn>,
}

impl Segment {
    pub fn new(base: Offset, now: Instant) -> Segment {
        Segment {
            base,
            created: now,
            modified: now,
            batches: Packed::default(),
            first_timestamp: None,
            size: 0,
            max_timestamp: TimeEntry { timestamp: NO_TIMESTAMP, offset: Offset::UNKNOWN },
            offsets: OffsetIndex::default(),
            times: TimeIndex::default(),
            bytes_since_index: 0,
            aborted: Vector::new(),
        }
    }

    pub fn base(&self) -> Offset {
        self.base
    }

    pub fn size(&self) -> i32 {
        self.size
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp.timestamp
    }

    /// What retention by time looks at (LogSegment.largestTimestamp): the file's age when no record
    /// has a timestamp. Milliseconds.
    pub fn largest_timestamp(&self) -> i64 {
        if self.max_timestamp.timestamp >= 0 { self.max_timestamp.timestamp } else { self.modified.millis() }
    }

    pub fn modified(&self) -> Instant {
        self.modified
    }

    /// Compaction copies a segment without making it younger.
    pub fn set_modified(&mut self, modified: Instant) {
        self.modified = modified;
    }

    pub fn offset_index(&self) -> &OffsetIndex {
        &self.offsets
    }

    pub fn time_index(&self) -> &TimeIndex {
        &self.times
    }

    pub fn aborted(&self) -> &Vector<AbortedTxn> {
        &self.aborted
    }

    pub fn batches(&self) -> &Packed<StoredBatch> {
        &self.batches
    }

    pub fn last_batch(&self) -> Option<&Batch> {
        self.batches.last().map(|stored| &stored.batch)
    }

    /// The first batch's largest timestamp (LogSegment.getFirstBatchTimestamp).
    pub fn first_timestamp(&self) -> Option<i64> {
        self.first_timestamp
    }

    /// Whether a new segment begins with what comes (LogSegment.shouldRoll).
    pub fn should_roll(&self, incoming: Incoming, config: &TopicConfig, now: Instant) -> bool {
        let too_large = self.size > config.segment_bytes - incoming.size;
        // A compacted log rolls early enough for `max.compaction.lag.ms` (LogConfig.maxSegmentMs).
        let lag = config.max_compaction_lag.millis();
        let limit = config.segment_time.millis().min(if config.compact && lag > 0 { lag } else { i64::MAX });
        let too_old = self.size > 0 && self.waited_millis(incoming.max_timestamp, now) > limit;
        let index_full =
            self.offsets.is_full(config.segment_index_bytes) || self.times.is_full(config.segment_index_bytes);
        let out_of_reach = i32::try_from(incoming.last - self.base).is_err();
        too_large || too_old || index_full || out_of_reach
    }

    /// Time passes by the records' own timestamps where they have some (timeWaitedForRoll).
    fn waited_millis(&self, incoming_timestamp: i64, now: Instant) -> i64 {
        match self.first_timestamp() {
            Some(first) if first >= 0 => incoming_timestamp.saturating_sub(first),
            _ => now.millis() - self.created.millis(),
        }
    }

    pub fn append(&mut self, batch: Batch, index_interval_bytes: i32, now: Instant) {
        if batch.max_timestamp > self.max_timestamp.timestamp {
            self.max_timestamp = TimeEntry { timestamp: batch.max_timestamp, offset: batch.last_offset };
        }
        if self.bytes_since_index > index_interval_bytes {
            self.offsets.append(OffsetEntry { offset: batch.last_offset, batch: self.batches.len() as u32 });
            self.times.maybe_append(self.max_timestamp);
            self.bytes_since_index = 0;
        }
        let size = batch.size();
        self.first_timestamp.get_or_insert(batch.max_timestamp);
        self.batches.push_back(StoredBatch { batch, position: self.size });
        self.size += size;
        self.bytes_since_index += size;
        self.modified = now;
    }

    pub fn add_aborted(&mut self, aborted: AbortedTxn) {
        self.aborted.push_back(aborted);
    }

    /// No more is appended: the time index gets its closing entry (onBecomeInactiveSegment).
    pub fn close(&mut self) {
        if !self.is_empty() {
            self.times.maybe_append(self.max_timestamp);
        }
    }

    /// The number of the first batch that ends at `offset` or later.
    pub fn find(&self, offset: Offset) -> u32 {
        self.batches.partition_point(offset.0, |stored| stored.batch.last_offset < offset) as u32
    }

    pub fn batch(&self, number: u32) -> Option<StoredBatch> {
        self.batches.get(number as usize)
    }

    /// The batches from this one on.
    pub fn batches_from(&self, number: u32) -> Iter<'_, StoredBatch> {
        self.batches.iter_from(number as usize)
    }

    /// Bytes in front of the first batch that ends at `offset` or later.
    pub fn position_of(&self, offset: Offset) -> i32 {
        self.batch(self.find(offset)).map_or(self.size, |stored| stored.position)
    }

    /// Removes the batch that holds `end` and all later ones (LogSegment.truncateTo).
    pub fn truncate(&mut self, end: Offset, now: Instant) {
        let keep = self.find(end);
        if let Some(first_gone) = self.batch(keep) {
            self.size = first_gone.position;
            self.batches.truncate(keep as usize);
        }
        if self.batches.is_empty() {
            self.created = now;
            self.first_timestamp = None;
        }
        self.offsets.truncate(end);
        self.times.truncate(end);
        while self.aborted.last().is_some_and(|aborted| aborted.last >= end) {
            self.aborted.pop_back();
        }
        self.bytes_since_index = 0;
        self.find_largest_timestamp();
    }

    fn find_largest_timestamp(&mut self) {
        self.max_timestamp = TimeEntry { timestamp: NO_TIMESTAMP, offset: Offset::UNKNOWN };
        for StoredBatch { batch, .. } in self.batches.iter() {
            if batch.max_timestamp > self.max_timestamp.timestamp {
                self.max_timestamp = TimeEntry { timestamp: batch.max_timestamp, offset: batch.last_offset };
            }
        }
    }

    /// The first record at or after `from` with this timestamp or a later one, in offset order
    /// (LogSegment.findOffsetByTimestamp): the time index says from where to look.
    pub fn find_timestamp(&self, timestamp: i64, from: Offset) -> Option<(i64, Offset, Batch)> {
        let indexed = self.times.lookup(timestamp).map_or(self.base, |entry| entry.offset);
        for StoredBatch { batch, .. } in self.batches_from(self.offsets.lookup(indexed.max(from))) {
            if batch.max_timestamp >= timestamp && batch.last_offset >= from {
                // An unreadable batch is skipped: a leader lets none in.
                let mut records = batch.record_iter().ok()?.map_while(Result::ok);
                let hit = records.find(|r| r.timestamp >= timestamp && r.offset >= from.0);
                drop(records);
                if let Some(hit) = hit {
                    return Some((hit.timestamp, Offset(hit.offset), batch));
                }
            }
        }
        None
    }

    /// The first batch that carries the largest timestamp.
    pub fn batch_of_max_timestamp(&self) -> Option<Batch> {
        let from = if self.max_timestamp.offset == Offset::UNKNOWN { self.base } else { self.max_timestamp.offset };
        let mut batches = self.batches_from(self.find(from)).map(|stored| stored.batch);
        batches.find(|batch| batch.max_timestamp == self.max_timestamp.timestamp)
    }
}
