//! The sparse indexes of a segment: offset to position, timestamp to offset, and the aborted
//! transactions (OffsetIndex, TimeIndex, TransactionIndex).

use imbl::Vector;

use crate::wire::batch::Batch;
use crate::wire::{Offset, ProducerId};

/// Bytes of an entry in Kafka's index files: they bound how many fit (`segment.index.bytes`).
const OFFSET_ENTRY_BYTES: i32 = 8;
const TIME_ENTRY_BYTES: i32 = 12;

/// A batch by its last offset, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OffsetEntry {
    pub offset: Offset,
    /// Its number among the segment's batches.
    pub batch: u32,
}

/// Every `index.interval.bytes` one batch.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct OffsetIndex {
    /// Offsets strictly rising.
    entries: Vector<OffsetEntry>,
}

impl OffsetIndex {
    pub fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn is_full(&self, index_bytes: i32) -> bool {
        self.entries.len() as i32 >= index_bytes / OFFSET_ENTRY_BYTES
    }

    pub fn append(&mut self, entry: OffsetEntry) {
        self.entries.push_back(entry);
    }

    /// The batch from which to look for `offset`: the last indexed one that ends at it or before.
    pub fn lookup(&self, offset: Offset) -> u32 {
        let after = match self.entries.binary_search_by(|entry| entry.offset.cmp(&offset)) {
            Ok(at) => at + 1,
            Err(at) => at,
        };
        if after == 0 { 0 } else { self.entries[after - 1].batch }
    }

    /// The first indexed batch from this one on.
    pub fn next_from(&self, batch: u32) -> Option<OffsetEntry> {
        let at = self.entries.binary_search_by(|entry| entry.batch.cmp(&batch)).unwrap_or_else(|at| at);
        self.entries.get(at).copied()
    }

    pub fn truncate(&mut self, end: Offset) {
        while self.entries.last().is_some_and(|entry| entry.offset >= end) {
            self.entries.pop_back();
        }
    }
}

/// The largest timestamp so far, and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeEntry {
    pub timestamp: i64,
    pub offset: Offset,
}

/// Beside each entry of the offset index, if the largest timestamp rose since.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TimeIndex {
    /// Timestamps strictly rising.
    entries: Vector<TimeEntry>,
}

impl TimeIndex {
    pub fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One place stays free for the entry that closes the segment.
    pub fn is_full(&self, index_bytes: i32) -> bool {
        self.entries.len() as i32 >= index_bytes / TIME_ENTRY_BYTES - 1
    }

    pub fn maybe_append(&mut self, entry: TimeEntry) {
        if self.entries.last().is_none_or(|last| entry.timestamp > last.timestamp) {
            self.entries.push_back(entry);
        }
    }

    /// The last entry whose timestamp is not above this one: no batch before it can be the first
    /// with this timestamp or a later one.
    pub fn lookup(&self, timestamp: i64) -> Option<TimeEntry> {
        let after = match self.entries.binary_search_by(|entry| entry.timestamp.cmp(&timestamp)) {
            Ok(at) => return self.entries.get(at).copied(),
            Err(at) => at,
        };
        after.checked_sub(1).and_then(|at| self.entries.get(at)).copied()
    }

    pub fn truncate(&mut self, end: Offset) {
        while self.entries.last().is_some_and(|entry| entry.offset >= end) {
            self.entries.pop_back();
        }
    }
}

/// A transaction that ended with ABORT, as readers of committed records need it (AbortedTxn).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    pub producer_id: ProducerId,
    pub first: Offset,
    /// The marker.
    pub last: Offset,
    /// The last stable offset once the marker stood there: a reader that stops below needs no later entry.
    pub last_stable: Offset,
}

impl AbortedTxn {
    /// Whether the batch belongs to it.
    pub fn holds(&self, batch: &Batch) -> bool {
        batch.producer_id == self.producer_id && (self.first..=self.last).contains(&batch.base_offset)
    }
}
