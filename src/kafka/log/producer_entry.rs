//! One producer as a partition knows it (ProducerStateEntry, BatchMetadata).

use crate::wire::Offset;
use crate::wire::batch::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, decrement_sequence};

/// How many batches of a producer are remembered (ProducerStateEntry.NUM_BATCHES_TO_RETAIN): as many
/// as an idempotent producer may have in flight.
const BATCHES_TO_RETAIN: usize = 5;

/// A batch of a producer, to recognise it when it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedBatch {
    pub last_sequence: i32,
    pub last: Offset,
    pub offset_delta: i32,
    pub timestamp: i64,
}

/// What is known of a producer. The default knows nothing.
#[derive(Clone, Debug)]
pub struct ProducerEntry {
    /// -1 when unknown.
    pub epoch: i16,
    /// Of the last marker's coordinator; -1 when none was seen.
    pub coordinator_epoch: i32,
    /// Milliseconds; of the last batch or marker.
    pub last_timestamp: i64,
    /// Where the open transaction began here.
    pub txn_first: Option<Offset>,
    /// The last batches of this epoch, the oldest first; only `count` of them stand.
    recent: [CachedBatch; BATCHES_TO_RETAIN],
    count: u8,
}

impl CachedBatch {
    const NONE: CachedBatch =
        CachedBatch { last_sequence: NO_SEQUENCE, last: Offset::UNKNOWN, offset_delta: 0, timestamp: NO_TIMESTAMP };

    pub fn first_sequence(&self) -> i32 {
        decrement_sequence(self.last_sequence, self.offset_delta)
    }

    pub fn first(&self) -> Offset {
        self.last + -i64::from(self.offset_delta)
    }
}

impl Default for ProducerEntry {
    fn default() -> ProducerEntry {
        ProducerEntry {
            epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            txn_first: None,
            recent: [CachedBatch::NONE; BATCHES_TO_RETAIN],
            count: 0,
        }
    }
}

impl PartialEq for ProducerEntry {
    fn eq(&self, other: &ProducerEntry) -> bool {
        let facts = |e: &ProducerEntry| (e.epoch, e.coordinator_epoch, e.last_timestamp, e.txn_first);
        facts(self) == facts(other) && self.batches() == other.batches()
    }
}

impl ProducerEntry {
    /// The remembered batches, the oldest first.
    pub fn batches(&self) -> &[CachedBatch] {
        &self.recent[..usize::from(self.count)]
    }

    pub fn first_sequence(&self) -> i32 {
        self.batches().first().map_or(NO_SEQUENCE, CachedBatch::first_sequence)
    }

    pub fn last_sequence(&self) -> i32 {
        self.batches().last().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    pub fn first_data_offset(&self) -> Offset {
        self.batches().first().map_or(Offset::UNKNOWN, CachedBatch::first)
    }

    pub fn last_data_offset(&self) -> Offset {
        self.batches().last().map_or(Offset::UNKNOWN, |batch| batch.last)
    }

    pub(super) fn add_batch(&mut self, epoch: i16, batch: CachedBatch) {
        self.set_epoch(epoch);
        if usize::from(self.count) == BATCHES_TO_RETAIN {
            self.recent.rotate_left(1);
            self.count -= 1;
        }
        self.recent[usize::from(self.count)] = batch;
        self.count += 1;
        self.last_timestamp = batch.timestamp;
    }

    /// A changed epoch makes the batches of the old one worthless.
    pub(super) fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.count = 0;
            self.epoch = epoch;
        }
    }

    /// A snapshot file keeps one batch of each producer.
    pub(super) fn as_in_snapshot(&self) -> ProducerEntry {
        let mut entry = self.clone();
        if let Some(&last) = self.batches().last() {
            entry.recent[0] = last;
            entry.count = 1;
        }
        entry
    }
}
