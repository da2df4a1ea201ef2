//! Where a query's batches go. The sink is no part of the query's process: what it was given stays, and
//! it can tell a batch that is run again by its number.

use crate::kafka::client::consumer::DeliveredBatch;
use crate::kafka::client::stream::checkpoint::{BatchId, Offsets};
use crate::packed::Packed;
use crate::wire::{Offset, TopicPartition};

/// Records as the sink was given them.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkRecords {
    pub batch: BatchId,
    pub records: DeliveredBatch,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Sink {
    given: Packed<SinkRecords>,
    /// Records that it was given.
    count: u64,
    /// How many of them it had been given before, in an earlier run of the same batch.
    again: u64,
    /// How far into each partition of the last batch all its runs together came.
    reached: Offsets,
    /// How far the runs before the last one came.
    reached_before: Offsets,
}

impl Sink {
    /// A batch begins, for the first time or again.
    pub fn begin(&mut self, is_new: bool) {
        if is_new {
            self.reached.clear();
        }
        self.reached_before = self.reached.clone();
    }

    pub fn take(&mut self, batch: BatchId, records: DeliveredBatch) {
        self.count += u64::from(records.count);
        let fresh_from = self.fresh_from(&records.partition);
        if records.first < fresh_from {
            // Of a compacted log nobody counts the holes: no more than was given can be given again.
            let below = (fresh_from - records.first).min(records.last - records.first + 1);
            self.again += (below.max(0) as u64).min(u64::from(records.count));
        }
        let reached = self.reached.entry(records.partition.clone()).or_insert(Offset::ZERO);
        *reached = (*reached).max(records.last.next());
        self.given.push_back(SinkRecords { batch, records });
    }

    /// Up to where an earlier run of the last batch had given this partition's records.
    pub fn fresh_from(&self, partition: &TopicPartition) -> Offset {
        self.reached_before.get(partition).copied().unwrap_or(Offset::ZERO)
    }

    pub fn given(&self) -> &Packed<SinkRecords> {
        &self.given
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn again(&self) -> u64 {
        self.again
    }
}
