//! Writing a batch: MemoryRecordsBuilder and DefaultRecord.writeTo.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::batch::records::{put_varint, put_varlong, varint_size, varlong_size};
use crate::wire::batch::{
    ATTRIBUTES_AT, BASE_TIMESTAMP_AT, Batch, BatchHeader, CONTROL, CRC_AT, Compression, DELETE_HORIZON, HEADER_SIZE,
    LAST_OFFSET_DELTA_AT, LEADER_EPOCH_AT, LENGTH_AT, LOG_APPEND_TIME, LOG_OVERHEAD, MAGIC_AT, MAX_TIMESTAMP_AT,
    NO_TIMESTAMP, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_COUNT_AT, TRANSACTIONAL,
};
use crate::wire::batch::{BASE_SEQUENCE_AT, records::NULL_LENGTH};
use crate::wire::{LeaderEpoch, Offset, StrBytes};

/// A record to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(StrBytes, Option<Bytes>)>,
}

/// A batch in the making. The public fields may be set until `finish`.
pub struct BatchBuilder {
    header: BatchHeader,
    base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// The batch's last offset when it is not the last record's: compaction keeps it.
    pub last_offset: Option<Offset>,
    /// The largest timestamp when it is not the records': the append time, or an emptied batch's old one.
    pub max_timestamp: Option<i64>,
    /// Whether `max_timestamp` is the time of the append.
    pub log_append_time: bool,
    /// The records are compressed when the batch is sealed.
    pub compression: Compression,
    /// Taken as the base of the records' timestamps, so it must be set before the first record.
    delete_horizon: Option<i64>,
    buffer: BytesMut,
    /// The first record's timestamp, or the delete horizon.
    base_timestamp: Option<i64>,
    largest_timestamp: i64,
    last_record: Offset,
    count: i32,
}

impl BatchBuilder {
    pub fn new(header: BatchHeader, base_offset: Offset) -> BatchBuilder {
        BatchBuilder::with_capacity(header, base_offset, 0)
    }

    /// Room for `records_bytes` of records, so that a batch of known size is written without growing.
    pub fn with_capacity(header: BatchHeader, base_offset: Offset, records_bytes: usize) -> BatchBuilder {
        let mut buffer = BytesMut::with_capacity(HEADER_SIZE + records_bytes);
        buffer.put_bytes(0, HEADER_SIZE);
        BatchBuilder {
            header,
            base_offset,
            leader_epoch: LeaderEpoch::UNKNOWN,
            last_offset: None,
            max_timestamp: None,
            log_append_time: false,
            compression: Compression::None,
            delete_horizon: None,
            buffer,
            base_timestamp: None,
            largest_timestamp: NO_TIMESTAMP,
            last_record: base_offset,
            count: 0,
        }
    }

    /// Compaction's stamp (KIP-534); before the first record.
    pub fn set_delete_horizon(&mut self, horizon: i64) {
        assert!(self.count == 0, "records are written relative to the delete horizon, so it comes first");
        self.delete_horizon = Some(horizon);
        self.base_timestamp = Some(horizon);
    }

    /// Appends one record; offsets must rise.
    pub fn push(&mut self, offset: Offset, record: &NewRecord) {
        self.push_parts(offset, record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }

    pub fn push_parts(
        &mut self,
        offset: Offset,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(StrBytes, Option<Bytes>)],
    ) {
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        // A batch is bounded by max.message.bytes, so its offsets lie within an i32 of each other.
        let offset_delta = (offset - self.base_offset) as i32;
        let size = record_size(timestamp_delta, offset_delta, key, value, headers);
        self.buffer.reserve(varint_size(size) + size as usize);
        put_varint(&mut self.buffer, size);
        self.buffer.put_i8(0);
        put_varlong(&mut self.buffer, timestamp_delta);
        put_varint(&mut self.buffer, offset_delta);
        put_nullable(&mut self.buffer, key);
        put_nullable(&mut self.buffer, value);
        put_varint(&mut self.buffer, headers.len() as i32);
        for (name, value) in headers {
            put_nullable(&mut self.buffer, Some(name.as_bytes()));
            put_nullable(&mut self.buffer, value.as_deref());
        }
        self.largest_timestamp = self.largest_timestamp.max(timestamp);
        self.last_record = offset;
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes written so far, the header included.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Writes the header and seals the batch.
    pub fn finish(self) -> Batch {
        let mut bytes = self.buffer;
        if self.compression != Compression::None {
            let packed = self.compression.compress(&bytes[HEADER_SIZE..]);
            bytes.truncate(HEADER_SIZE);
            bytes.put_slice(&packed);
        }
        let last_offset = self.last_offset.unwrap_or(self.last_record);
        let mut attributes = self.compression.id();
        for (is_set, bit) in [
            (self.log_append_time, LOG_APPEND_TIME),
            (self.header.transactional, TRANSACTIONAL),
            (self.header.control, CONTROL),
            (self.delete_horizon.is_some(), DELETE_HORIZON),
        ] {
            attributes |= if is_set { bit } else { 0 };
        }
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.0.to_be_bytes());
        put(LENGTH_AT, &length.to_be_bytes());
        put(LEADER_EPOCH_AT, &self.leader_epoch.0.to_be_bytes());
        put(MAGIC_AT, &[2]);
        put(ATTRIBUTES_AT, &i16::to_be_bytes(attributes));
        put(LAST_OFFSET_DELTA_AT, &((last_offset - self.base_offset) as i32).to_be_bytes());
        put(BASE_TIMESTAMP_AT, &self.base_timestamp.unwrap_or(NO_TIMESTAMP).to_be_bytes());
        put(MAX_TIMESTAMP_AT, &self.max_timestamp.unwrap_or(self.largest_timestamp).to_be_bytes());
        put(PRODUCER_ID_AT, &self.header.producer_id.0.to_be_bytes());
        put(PRODUCER_EPOCH_AT, &self.header.producer_epoch.to_be_bytes());
        put(BASE_SEQUENCE_AT, &self.header.base_sequence.to_be_bytes());
        put(RECORD_COUNT_AT, &self.count.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
        bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        Batch::read(bytes.freeze())
    }
}

impl NewRecord {
    /// Upper bound of its bytes in a batch, as the producer counts them
    /// (DefaultRecord.recordSizeUpperBound without the batch's own overhead).
    pub fn size_upper_bound(&self) -> usize {
        const MAX_OVERHEAD: usize = 21;
        let bytes = |part: &Option<Bytes>| 5 + part.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| 5 + name.len() + bytes(value)).sum();
        MAX_OVERHEAD + bytes(&self.key) + bytes(&self.value) + 5 + headers
    }
}

/// The size that stands in front of a record (DefaultRecord.sizeOfBodyInBytes).
fn record_size(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(StrBytes, Option<Bytes>)],
) -> i32 {
    let mut size = 1 + varlong_size(timestamp_delta) + varint_size(offset_delta) + nullable_size(key);
    size += nullable_size(value) + varint_size(headers.len() as i32);
    for (name, value) in headers {
        size += nullable_size(Some(name.as_bytes())) + nullable_size(value.as_deref());
    }
    size as i32
}

fn nullable_size(part: Option<&[u8]>) -> usize {
    match part {
        Some(bytes) => varint_size(bytes.len() as i32) + bytes.len(),
        None => varint_size(NULL_LENGTH),
    }
}

fn put_nullable(buffer: &mut BytesMut, part: Option<&[u8]>) {
    match part {
        Some(bytes) => {
            put_varint(buffer, bytes.len() as i32);
            buffer.put_slice(bytes);
        }
        None => put_varint(buffer, NULL_LENGTH),
    }
}
