//! A producer's batch: the records of one partition that travel, succeed and fail together
//! (ProducerBatch, MemoryRecordsBuilder).

use std::sync::Arc;

use bytes::Bytes;

use crate::time::Instant;
use crate::wire::batch::{Batch, BatchHeader, Compression, NewRecord};
use crate::wire::{LeaderEpoch, ProducerId};

/// Bytes of a batch before its first record (DefaultRecordBatch.RECORD_BATCH_OVERHEAD).
const BATCH_OVERHEAD: u32 = 61;
/// What an uncompressed batch has of its size, in thousandths: what is expected at first.
pub(super) const UNCOMPRESSED: u32 = 1_000;
/// MemoryRecordsBuilder.COMPRESSION_RATE_ESTIMATION_FACTOR
const CAUTION_PERCENT: u64 = 105;
/// The most that a record adds to its key, value and headers (DefaultRecord.MAX_RECORD_OVERHEAD).
const RECORD_OVERHEAD: u32 = 21;

/// Who wrote a batch and where it stands in the partition's sequence: given when the batch is
/// drained, and kept over retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub base_sequence: i32,
}

/// Records of one partition that travel, succeed and fail together.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerBatch {
    /// Index of its topic in the accumulator.
    pub topic: u32,
    pub partition: i32,
    /// The running number of its first record among the producer's records to this partition.
    pub first_record: u64,
    pub created: Instant,
    /// How often it was sent and failed.
    pub attempts: u32,
    /// When it may be sent again.
    pub retry_at: Instant,
    pub stamp: Option<Stamp>,
    /// It belongs to a transaction.
    pub transactional: bool,
    /// Its sequence was rewritten after an epoch bump (ProducerBatch.sequenceHasBeenReset).
    pub sequence_reset: bool,
    /// Its records' fate is told already (it expired); an answer comes too late.
    pub done: bool,
    /// It is part of a batch that was too large.
    pub is_split: bool,
    pub(super) records: Arc<Vec<NewRecord>>,
    /// The batch as it travels: encoded once, when it is drained.
    pub(super) encoded: Option<Bytes>,
    /// As it travelled last, when it was stamped anew while it was in flight: an answer speaks of this.
    sent: Option<Bytes>,
    /// Bytes of the batch with the records so far, before compression.
    pub(super) size: u32,
    pub(super) compression: Compression,
    /// How much of its size the compressed batch will have, as the topic's earlier batches let expect.
    pub(super) ratio_permille: u32,
    pub(super) largest_record: u32,
    /// Bytes of `buffer.memory` that it holds.
    pub(super) reserved: u32,
    /// No record is added any more.
    pub(super) closed: bool,
    /// The leader epoch that the partition had when the batch was looked at last.
    pub(super) leader_epoch: LeaderEpoch,
    /// The attempt at which the leader epoch was seen to change (KIP-951); 0: none.
    pub(super) leader_changed_at: u32,
}

impl ProducerBatch {
    pub(super) fn new(
        topic: u32,
        partition: i32,
        first_record: u64,
        now: Instant,
        reserved: u32,
        record: NewRecord,
    ) -> Self {
        let size = record_size(&record, 0, 0);
        ProducerBatch {
            topic,
            partition,
            first_record,
            created: now,
            attempts: 0,
            retry_at: now,
            stamp: None,
            transactional: false,
            sequence_reset: false,
            done: false,
            is_split: false,
            records: Arc::new(vec![record]),
            encoded: None,
            sent: None,
            size: BATCH_OVERHEAD + size,
            compression: Compression::None,
            ratio_permille: UNCOMPRESSED,
            largest_record: size,
            reserved,
            closed: false,
            leader_epoch: LeaderEpoch::UNKNOWN,
            leader_changed_at: 0,
        }
    }

    pub fn count(&self) -> u32 {
        self.records.len() as u32
    }

    /// Bytes of the batch as it travels: its true ones, or what is to be expected of the records so far
    /// (MemoryRecordsBuilder.estimatedBytesWritten).
    pub fn size(&self) -> u32 {
        if let Some(encoded) = &self.encoded {
            return encoded.len() as u32;
        }
        if self.compression == Compression::None {
            return self.size;
        }
        let records = u64::from(self.size - BATCH_OVERHEAD);
        BATCH_OVERHEAD + (records * u64::from(self.ratio_permille) * CAUTION_PERCENT / 100_000) as u32
    }

    /// The size of its records as they travel, in thousandths of their plain size.
    pub(super) fn actual_ratio_permille(&self) -> u32 {
        let records = u64::from(self.size - BATCH_OVERHEAD).max(1);
        let packed = self.encoded.as_ref().map_or(0, |encoded| encoded.len() as u64 - u64::from(BATCH_OVERHEAD));
        (packed * 1_000 / records) as u32
    }

    /// The batch as it travelled last.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.encoded.as_ref().or(self.sent.as_ref())
    }

    /// The same, also of a batch that never travelled.
    pub(super) fn contents(&self) -> Bytes {
        let build =
            || Batch::build_compressed(&header(self.stamp, self.transactional), Compression::None, &self.records);
        self.bytes().cloned().unwrap_or_else(|| build().bytes().clone())
    }

    /// The batch as it travels, encoded when it is asked for the first time.
    pub fn encode(&mut self) -> Bytes {
        self.closed = true;
        let records = &self.records;
        let (header, compression) = (header(self.stamp, self.transactional), self.compression);
        let build = || Batch::build_compressed(&header, compression, records).bytes().clone();
        self.encoded.get_or_insert_with(build).clone()
    }

    /// Another place in the sequence, under another epoch (ProducerBatch.resetProducerState).
    pub fn restamp(&mut self, stamp: Stamp) {
        self.stamp = Some(stamp);
        self.sequence_reset = true;
        self.sent = self.encoded.take().or(self.sent.take());
    }

    pub fn last_sequence(&self) -> Option<i32> {
        self.stamp.map(|stamp| increment_sequence(stamp.base_sequence, self.count() as i32 - 1))
    }

    /// The leader epoch rose since it was sent last: no back-off (KIP-951).
    pub fn leader_changed(&self) -> bool {
        self.attempts >= 1 && self.attempts == self.leader_changed_at
    }

    pub(super) fn see_leader_epoch(&mut self, epoch: LeaderEpoch) {
        if self.attempts >= 1 && epoch != self.leader_epoch {
            self.leader_changed_at = self.attempts;
        }
        self.leader_epoch = epoch;
    }

    pub(super) fn is_full(&self, batch_size: u32) -> bool {
        self.closed || self.size() >= batch_size
    }

    /// Whether this batch goes before `other` among those that have a sequence.
    pub(super) fn precedes(&self, other: &ProducerBatch) -> bool {
        match (self.stamp, other.stamp) {
            (Some(mine), Some(theirs)) => mine.base_sequence.wrapping_sub(theirs.base_sequence) < 0,
            _ => false,
        }
    }

    /// Adds a record if there is room: how many bytes it took, or the record back. The batch is
    /// closed by the first record that does not fit.
    pub(super) fn try_append(&mut self, record: NewRecord, batch_size: u32) -> Result<u32, NewRecord> {
        if self.closed {
            return Err(record);
        }
        let base = self.records.first().map_or(record.timestamp, |first| first.timestamp);
        let size = record_size(&record, self.records.len() as i64, record.timestamp - base);
        let before = self.size();
        if before + size > batch_size {
            self.closed = true;
            return Err(record);
        }
        self.size += size;
        self.largest_record = self.largest_record.max(size);
        Arc::make_mut(&mut self.records).push(record);
        Ok(self.size() - before)
    }
}

/// DefaultRecordBatch.incrementSequence: after the greatest comes 0.
pub fn increment_sequence(sequence: i32, by: i32) -> i32 {
    if sequence > i32::MAX - by { by - (i32::MAX - sequence) - 1 } else { sequence + by }
}

/// AbstractRecords.estimateSizeInBytesUpperBound: what `max.request.size` is compared with.
pub fn size_upper_bound(record: &NewRecord) -> u32 {
    BATCH_OVERHEAD + RECORD_OVERHEAD + contents_size(record)
}

/// A record that never came into a batch, as a batch of one.
pub(super) fn encode_alone(record: &NewRecord) -> Bytes {
    Batch::build_compressed(&header(None, false), Compression::None, std::slice::from_ref(record)).bytes().clone()
}

fn header(stamp: Option<Stamp>, transactional: bool) -> BatchHeader {
    let stamp = stamp.unwrap_or(Stamp { producer_id: ProducerId(-1), epoch: -1, base_sequence: -1 });
    BatchHeader {
        producer_id: stamp.producer_id,
        producer_epoch: stamp.epoch,
        base_sequence: stamp.base_sequence,
        transactional,
        control: false,
    }
}

/// DefaultRecord.sizeInBytes: the record with its length before it.
fn record_size(record: &NewRecord, offset_delta: i64, timestamp_delta: i64) -> u32 {
    let body = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) + contents_size(record);
    varint_size(i64::from(body)) + body
}

fn contents_size(record: &NewRecord) -> u32 {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| varint_size(name.len() as i64) + name.len() as u32 + field_size(value.as_ref()));
    field_size(record.key.as_ref())
        + field_size(record.value.as_ref())
        + varint_size(record.headers.len() as i64)
        + headers.sum::<u32>()
}

fn field_size(field: Option<&Bytes>) -> u32 {
    field.map_or(1, |bytes| varint_size(bytes.len() as i64) + bytes.len() as u32)
}

/// Bytes of a number in the zig-zag encoding of variable length.
fn varint_size(value: i64) -> u32 {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros()).div_ceil(7)
}
