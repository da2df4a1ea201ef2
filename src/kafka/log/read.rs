//! Reading: whole batches up to a bound (UnifiedLog.read, LocalLog.read).

use bytes::{BufMut, Bytes, BytesMut};

use crate::kafka::log::index::AbortedTxn;
use crate::kafka::log::segment::{Segment, StoredBatch};
use crate::kafka::log::{Log, Read, ReadUpTo};
use crate::packed::Iter;
use crate::wire::batch::Batch;
use crate::wire::{ErrorCode, Offset};

impl Log {
    /// At least one whole batch if there is one, however large. From one segment, as in Kafka.
    pub fn read(&self, from: Offset, max_bytes: i32, up_to: ReadUpTo) -> Result<Read, ErrorCode> {
        if from < self.log_start || from > self.log_end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let nothing = Read { first: from, records: Bytes::new() };
        let end = self.bound(up_to);
        if from >= end {
            return Ok(nothing);
        }
        let mut found = self.batches(from);
        let Some(first) = found.next().filter(|batch| batch.base_offset < end) else { return Ok(nothing) };
        let (base, mut size) = (first.base_offset, first.size());
        let mut chosen = vec![first];
        // No further than the segment that the first one stands in.
        for batch in found.rest.map(|stored| stored.batch) {
            if batch.base_offset >= end || size.saturating_add(batch.size()) > max_bytes {
                break;
            }
            size += batch.size();
            chosen.push(batch);
        }
        Ok(Read { first: base, records: joined(&chosen, size) })
    }

    /// How far a reader may see.
    pub fn bound(&self, up_to: ReadUpTo) -> Offset {
        match up_to {
            ReadUpTo::LogEnd => self.log_end,
            ReadUpTo::HighWatermark => self.high_watermark,
            ReadUpTo::LastStableOffset => self.last_stable_offset(),
        }
    }

    /// Bytes from `from` up to the bound, for `min.bytes` of a waiting fetch; cheap.
    pub fn bytes_between(&self, from: Offset, up_to: ReadUpTo) -> i64 {
        let end = self.bound(up_to);
        if from >= end {
            return 0;
        }
        let (first, last) = (self.segment_at(from), self.segment_at(end));
        let position = |number: u32, offset: Offset| {
            self.segment(number).map_or(0, |segment| i64::from(segment.position_of(offset)))
        };
        let between: i64 =
            (first..last).filter_map(|number| self.segment(number)).map(|segment| i64::from(segment.size())).sum();
        between + position(last, end) - position(first, from)
    }

    /// Whether the reader's bound lies in a later segment than `from`.
    pub fn is_on_older_segment(&self, from: Offset, up_to: ReadUpTo) -> bool {
        self.segment_at(from) < self.segment_at(self.bound(up_to))
    }

    /// The batches from the one that contains `from` on, in offset order.
    pub fn batches(&self, from: Offset) -> Batches<'_> {
        let number = self.segment_at(from);
        let segment = self.segment(number).expect("the log's segments are never empty");
        Batches { log: self, number, rest: segment.batches_from(segment.find(from)) }
    }

    /// The aborted transactions that go with what was read (LocalLog.addAbortedTransactions): up to the
    /// first indexed batch behind it, which may be more than the reader meets.
    pub fn aborted_in(&self, from: Offset, read: &Read) -> Vec<AbortedTxn> {
        if read.records.is_empty() {
            return Vec::new();
        }
        let number = self.segment_at(read.first);
        let Some(segment) = self.segment(number) else { return Vec::new() };
        let (mut behind, mut left) = (segment.find(read.first), read.records.len() as i32);
        for stored in segment.batches_from(behind) {
            if left <= 0 {
                break;
            }
            left -= stored.batch.size();
            behind += 1;
        }
        let next_segment = || self.segment(number + 1).map_or(self.log_end, Segment::base);
        let to = segment.offset_index().next_from(behind).map_or_else(next_segment, |entry| entry.offset);
        self.aborted_transactions(from, to)
    }

    /// The aborted transactions that a reader of committed data must skip in `from..to`
    /// (TransactionIndex.collectAbortedTxns).
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Vec<AbortedTxn> {
        let mut aborted = Vec::new();
        for segment in self.segments.iter().skip(self.segment_at(from) as usize) {
            for txn in segment.aborted() {
                if txn.last >= from && txn.first < to {
                    aborted.push(*txn);
                }
                // No transaction that ends later can have begun below this.
                if txn.last_stable >= to {
                    return aborted;
                }
            }
        }
        aborted
    }
}

/// The batches of a log from some offset on.
pub struct Batches<'a> {
    log: &'a Log,
    /// The segment that is read.
    number: u32,
    rest: Iter<'a, StoredBatch>,
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        loop {
            if let Some(stored) = self.rest.next() {
                return Some(stored.batch);
            }
            self.number += 1;
            self.rest = self.log.segment(self.number)?.batches_from(0);
        }
    }
}

/// One batch is shared, several are copied once.
fn joined(batches: &[Batch], size: i32) -> Bytes {
    if let [only] = batches {
        return only.bytes().clone();
    }
    let mut all = BytesMut::with_capacity(size as usize);
    for batch in batches {
        all.put_slice(batch.bytes());
    }
    all.freeze()
}
