//! Record batches, format v2 (KIP-98; DefaultRecordBatch): headers read in place, bytes shared.
//!
//! The records section is written and read here: the coder of `kafka-protocol` keeps headers in a
//! map (a repeated header key would be lost), counts sequences of batches that have none, and takes
//! the least timestamp as the base, where Kafka takes the first record's.

mod build;
mod compression;
mod control;
mod packing;
mod records;
#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::{ErrorCode, LeaderEpoch, Offset, ProducerId};

pub use build::{BatchBuilder, NewRecord};
pub use compression::Compression;
pub use control::{ControlType, EndTxnMarker};
pub use packing::PastBatch;
pub use records::{Record, RecordIter, get_varint, get_varlong, put_varint, put_varlong, varint_size, varlong_size};

/// Bytes of a batch header: where the records begin.
pub const HEADER_SIZE: usize = 61;
/// Bytes in front of what the length field counts.
const LOG_OVERHEAD: usize = 12;
/// The places of the header's fields (DefaultRecordBatch).
const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const RECORD_COUNT_AT: usize = 57;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// "No timestamp", "no sequence", "no producer" on the wire.
pub const NO_TIMESTAMP: i64 = -1;
pub const NO_SEQUENCE: i32 = -1;
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;

/// One batch: its bytes, and the header fields that brokers read, kept beside them.
#[derive(Clone, PartialEq)]
pub struct Batch {
    bytes: Bytes,
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub max_timestamp: i64,
    pub base_timestamp: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
    pub attributes: i16,
    pub crc: u32,
}

/// What a producer or coordinator puts into a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchHeader {
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
}

impl BatchHeader {
    /// Neither a producer id nor a transaction.
    pub const PLAIN: BatchHeader = BatchHeader {
        producer_id: ProducerId(NO_PRODUCER_ID),
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        transactional: false,
        control: false,
    };
}

impl Batch {
    /// Reads the header of the first batch of `bytes` and splits its bytes off (shared, not copied).
    /// CORRUPT_MESSAGE when the length or (with `check_crc`) the checksum is wrong.
    pub fn split_first(bytes: &mut Bytes, check_crc: bool) -> Result<Batch, ErrorCode> {
        let size = first_batch_size(bytes)?;
        let batch = Batch::read(bytes.split_to(size));
        if check_crc && !batch.is_checksum_valid() {
            return Err(ErrorCode::CorruptMessage);
        }
        Ok(batch)
    }

    /// All batches of a fetched or stored range.
    pub fn parse_all(mut bytes: Bytes, check_crc: bool) -> Result<Vec<Batch>, ErrorCode> {
        let mut batches = Vec::new();
        while !bytes.is_empty() {
            batches.push(Batch::split_first(&mut bytes, check_crc)?);
        }
        Ok(batches)
    }

    /// Builds a batch at base offset 0 from records in order (their offsets are taken as 0…n-1).
    pub fn build(header: &BatchHeader, records: &[NewRecord]) -> Batch {
        Batch::build_compressed(header, Compression::None, records)
    }

    /// As `build`, with the records compressed.
    pub fn build_compressed(header: &BatchHeader, compression: Compression, records: &[NewRecord]) -> Batch {
        let size = records.iter().map(NewRecord::size_upper_bound).sum();
        let mut builder = BatchBuilder::with_capacity(header.clone(), Offset::ZERO, size);
        builder.compression = compression;
        for (offset, record) in (0..).zip(records) {
            builder.push(Offset(offset), record);
        }
        builder.finish()
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes on the wire and on disk.
    pub fn size(&self) -> i32 {
        // A batch's length field is an i32, so its size fits (checked when it was read).
        self.bytes.len() as i32
    }

    pub fn next_offset(&self) -> Offset {
        self.last_offset.next()
    }

    /// Decodes the records (control records too).
    pub fn records(&self) -> Result<Vec<Record>, ErrorCode> {
        let records = self.record_iter()?;
        let (_, most) = records.size_hint();
        let mut all = Vec::with_capacity(most.unwrap_or(0));
        for record in records {
            all.push(record?);
        }
        Ok(all)
    }

    /// The records one by one, for who stops early. CORRUPT_MESSAGE when they cannot be decompressed.
    pub fn record_iter(&self) -> Result<RecordIter<'_>, ErrorCode> {
        match self.compression()? {
            Compression::None => Ok(RecordIter::new(self, self.bytes.clone(), HEADER_SIZE)),
            packed => {
                let plain = packed.decompress(&self.bytes[HEADER_SIZE..]).ok_or(ErrorCode::CorruptMessage)?;
                Ok(RecordIter::new(self, plain.into(), 0))
            }
        }
    }

    /// How the records are compressed; UNSUPPORTED_COMPRESSION_TYPE for a number that nobody knows.
    pub fn compression(&self) -> Result<Compression, ErrorCode> {
        Compression::from_id(self.attributes & COMPRESSION_MASK).ok_or(ErrorCode::UnsupportedCompressionType)
    }

    /// The same records compressed another way, as a leader writes them whose topic says so.
    pub fn recompressed(&self, compression: Compression) -> Result<Batch, ErrorCode> {
        let packed = compression.compress(&self.plain_records()?);
        let mut bytes = BytesMut::with_capacity(HEADER_SIZE + packed.len());
        bytes.put_slice(&self.bytes[..HEADER_SIZE]);
        bytes.put_slice(&packed);
        let attributes = self.attributes & !COMPRESSION_MASK | compression.id();
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        bytes[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&length.to_be_bytes());
        bytes[ATTRIBUTES_AT..LAST_OFFSET_DELTA_AT].copy_from_slice(&attributes.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
        bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        Ok(Batch::read(bytes.freeze()))
    }

    /// The section of the records, decompressed: what two batches with the same records have in common.
    pub fn plain_records(&self) -> Result<Bytes, ErrorCode> {
        let records = self.bytes.slice(HEADER_SIZE..);
        match self.compression()? {
            Compression::None => Ok(records),
            packed => packed.decompress(&records).map(Bytes::from).ok_or(ErrorCode::CorruptMessage),
        }
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != Compression::None.id()
    }

    pub fn has_producer(&self) -> bool {
        self.producer_id.0 > NO_PRODUCER_ID
    }

    /// When compaction may drop the batch's tombstones or marker (KIP-534); in milliseconds.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    pub fn last_offset_delta(&self) -> i32 {
        i32_at(&self.bytes, LAST_OFFSET_DELTA_AT)
    }

    /// The sequence of the last record, wrapping (DefaultRecordBatch.lastSequence); -1 without producer.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        increment_sequence(self.base_sequence, self.last_offset_delta())
    }

    pub fn is_checksum_valid(&self) -> bool {
        crc32c::crc32c(&self.bytes[ATTRIBUTES_AT..]) == self.crc
    }

    /// The same batch as the leader writes it: offsets from `base`, this leader epoch. Neither is
    /// covered by the checksum.
    pub fn stamped(&self, base: Offset, epoch: LeaderEpoch) -> Batch {
        self.clone().into_stamped(base, epoch)
    }

    /// As `stamped`; writes in place when nobody else holds the bytes.
    pub fn into_stamped(self, base: Offset, epoch: LeaderEpoch) -> Batch {
        let last_offset = base + i64::from(self.last_offset_delta());
        self.rewritten(|bytes| {
            bytes[..LENGTH_AT].copy_from_slice(&base.0.to_be_bytes());
            bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&epoch.0.to_be_bytes());
        })
        .with(|batch| {
            batch.base_offset = base;
            batch.last_offset = last_offset;
            batch.leader_epoch = epoch;
        })
    }

    /// Sets the timestamp type and the largest timestamp (DefaultRecordBatch.setMaxTimestamp), which
    /// the checksum covers. Nothing is written when both stand there already.
    pub fn into_timestamped(self, log_append_time: bool, max_timestamp: i64) -> Batch {
        if self.is_log_append_time() == log_append_time && self.max_timestamp == max_timestamp {
            return self;
        }
        let attributes =
            if log_append_time { self.attributes | LOG_APPEND_TIME } else { self.attributes & !LOG_APPEND_TIME };
        let mut crc = 0;
        self.rewritten(|bytes| {
            bytes[ATTRIBUTES_AT..LAST_OFFSET_DELTA_AT].copy_from_slice(&attributes.to_be_bytes());
            bytes[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&max_timestamp.to_be_bytes());
            crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
            bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        })
        .with(|batch| {
            batch.attributes = attributes;
            batch.max_timestamp = max_timestamp;
            batch.crc = crc;
        })
    }

    /// DefaultRecordBatch.setLastOffset: keeps the delta, moves the base offset.
    pub fn into_last_offset(self, last: Offset) -> Batch {
        let base = last + -i64::from(self.last_offset_delta());
        let epoch = self.leader_epoch;
        self.into_stamped(base, epoch)
    }

    /// Reads the header of bytes that are exactly one batch of a checked size.
    fn read(bytes: Bytes) -> Batch {
        let base_offset = Offset(i64_at(&bytes, 0));
        Batch {
            base_offset,
            last_offset: Offset(base_offset.0.wrapping_add(i64::from(i32_at(&bytes, LAST_OFFSET_DELTA_AT)))),
            leader_epoch: LeaderEpoch(i32_at(&bytes, LEADER_EPOCH_AT)),
            max_timestamp: i64_at(&bytes, MAX_TIMESTAMP_AT),
            base_timestamp: i64_at(&bytes, BASE_TIMESTAMP_AT),
            producer_id: ProducerId(i64_at(&bytes, PRODUCER_ID_AT)),
            producer_epoch: i16_at(&bytes, PRODUCER_EPOCH_AT),
            base_sequence: i32_at(&bytes, BASE_SEQUENCE_AT),
            record_count: i32_at(&bytes, RECORD_COUNT_AT),
            attributes: i16_at(&bytes, ATTRIBUTES_AT),
            crc: i32_at(&bytes, CRC_AT) as u32,
            bytes,
        }
    }

    fn rewritten(mut self, write: impl FnOnce(&mut [u8])) -> Batch {
        let mut bytes = match std::mem::take(&mut self.bytes).try_into_mut() {
            Ok(unique) => unique,
            Err(shared) => {
                let mut copy = BytesMut::with_capacity(shared.len());
                copy.put_slice(&shared);
                copy
            }
        };
        write(&mut bytes);
        self.bytes = bytes.freeze();
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Batch)) -> Batch {
        change(&mut self);
        self
    }
}

/// DefaultRecordBatch.incrementSequence: after the largest sequence comes 0. Wrapping, for the bytes
/// of a stranger may claim anything.
pub fn increment_sequence(sequence: i32, by: i32) -> i32 {
    if sequence > i32::MAX.wrapping_sub(by) {
        by.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(by)
    }
}

/// DefaultRecordBatch.decrementSequence: before 0 stands the largest sequence.
pub fn decrement_sequence(sequence: i32, by: i32) -> i32 {
    if sequence < by {
        i32::MAX.wrapping_sub(by.wrapping_sub(sequence)).wrapping_add(1)
    } else {
        sequence.wrapping_sub(by)
    }
}

/// The size of the first batch of `bytes`: whole, not shorter than a header, and of format v2.
fn first_batch_size(bytes: &[u8]) -> Result<usize, ErrorCode> {
    if bytes.len() < HEADER_SIZE {
        return Err(ErrorCode::CorruptMessage);
    }
    let length = usize::try_from(i32_at(bytes, LENGTH_AT)).map_err(|_| ErrorCode::CorruptMessage)?;
    let fits = length >= HEADER_SIZE - LOG_OVERHEAD && length <= bytes.len() - LOG_OVERHEAD;
    if !fits || bytes[MAGIC_AT] != 2 {
        return Err(ErrorCode::CorruptMessage);
    }
    Ok(LOG_OVERHEAD + length)
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    (i64::from(i32_at(bytes, at)) << 32) | i64::from(i32_at(bytes, at + 4) as u32)
}

impl std::fmt::Debug for Batch {
    /// Short, and still complete: the checksum stands for the records.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Batch({}..={} epoch {} pid {}/{} seq {} ts {} attr {} crc {:08x} {}B)",
            self.base_offset,
            self.last_offset,
            self.leader_epoch,
            self.producer_id.0,
            self.producer_epoch,
            self.base_sequence,
            self.max_timestamp,
            self.attributes,
            self.crc,
            self.bytes.len()
        )
    }
}
