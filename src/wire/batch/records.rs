//! Reading records out of a batch (DefaultRecord.readFrom), and the variable-length integers that
//! they are written in.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::batch::{Batch, NO_SEQUENCE, increment_sequence};
use crate::wire::{ErrorCode, StrBytes};

/// The length that stands for null.
pub(super) const NULL_LENGTH: i32 = -1;

/// A record of a batch. Key, value and headers share the batch's bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub offset: i64,
    /// -1 when the batch has no sequence.
    pub sequence: i32,
    /// The batch's largest timestamp when the topic stamps LogAppendTime.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// In the order written; a name may repeat.
    pub headers: Vec<(StrBytes, Option<Bytes>)>,
}

/// Decodes one record after the other; ends after the first that cannot be read.
pub struct RecordIter<'a> {
    batch: &'a Batch,
    /// The batch's own bytes, or its records decompressed: what keys and values share.
    source: Bytes,
    /// How much of `source` was read.
    at: usize,
    left: i32,
}

impl<'a> RecordIter<'a> {
    pub(super) fn new(batch: &'a Batch, source: Bytes, at: usize) -> RecordIter<'a> {
        RecordIter { batch, source, at, left: batch.record_count }
    }

    fn read(&mut self) -> Option<Record> {
        let source = std::mem::take(&mut self.source);
        let mut rest = &source[self.at..];
        let record = self.read_from(&source, &mut rest);
        self.at = source.len() - rest.len();
        self.source = source;
        record
    }

    fn read_from(&self, source: &Bytes, rest: &mut &[u8]) -> Option<Record> {
        let size = get_varint(rest)?;
        let mut body = take(rest, size)?;
        let _attributes = take(&mut body, 1)?;
        let timestamp_delta = get_varlong(&mut body)?;
        let offset_delta = get_varint(&mut body)?;
        let key = nullable(source, &mut body)?;
        let value = nullable(source, &mut body)?;
        let count = usize::try_from(get_varint(&mut body)?).ok()?;
        // A hostile count cannot reserve more than the bytes could hold.
        let mut headers = Vec::with_capacity(count.min(body.len()));
        for _ in 0..count {
            let name = StrBytes::try_from(nullable(source, &mut body)??).ok()?;
            headers.push((name, nullable(source, &mut body)?));
        }
        if !body.is_empty() {
            return None;
        }
        let batch = self.batch;
        Some(Record {
            offset: batch.base_offset.0.checked_add(i64::from(offset_delta))?,
            sequence: match batch.base_sequence {
                NO_SEQUENCE => NO_SEQUENCE,
                base => increment_sequence(base, offset_delta),
            },
            timestamp: if batch.is_log_append_time() {
                batch.max_timestamp
            } else {
                batch.base_timestamp.wrapping_add(timestamp_delta)
            },
            key,
            value,
            headers,
        })
    }
}

/// A length and that many bytes, shared with `source`; the outer `None` when unreadable.
fn nullable(source: &Bytes, body: &mut &[u8]) -> Option<Option<Bytes>> {
    match get_varint(body)? {
        NULL_LENGTH => Some(None),
        length => Some(Some(source.slice_ref(take(body, length)?))),
    }
}

impl Iterator for RecordIter<'_> {
    type Item = Result<Record, ErrorCode>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        let record = self.read();
        self.left = if record.is_some() { self.left - 1 } else { 0 };
        Some(record.ok_or(ErrorCode::CorruptMessage))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // No record is shorter than its seven one-byte fields, whatever the header claims.
        let most = usize::try_from(self.left).unwrap_or(0).min((self.source.len() - self.at) / 7 + 1);
        (0, Some(most))
    }
}

/// A zig-zag integer of variable length (ByteUtils.readVarint); `None` when cut short or too long.
pub fn get_varint(bytes: &mut &[u8]) -> Option<i32> {
    let unsigned = get_unsigned(bytes, 5)? as u32;
    Some((unsigned >> 1) as i32 ^ -((unsigned & 1) as i32))
}

/// A zig-zag long of variable length (ByteUtils.readVarlong); `None` when cut short or too long.
pub fn get_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let unsigned = get_unsigned(bytes, 10)?;
    Some((unsigned >> 1) as i64 ^ -((unsigned & 1) as i64))
}

pub fn put_varint(buffer: &mut BytesMut, value: i32) {
    put_unsigned(buffer, u64::from(zigzag(value)));
}

pub fn put_varlong(buffer: &mut BytesMut, value: i64) {
    put_unsigned(buffer, zigzag_long(value));
}

pub fn varint_size(value: i32) -> usize {
    unsigned_size(u64::from(zigzag(value)))
}

pub fn varlong_size(value: i64) -> usize {
    unsigned_size(zigzag_long(value))
}

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn get_unsigned(bytes: &mut &[u8], most_bytes: usize) -> Option<u64> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(most_bytes).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

fn put_unsigned(buffer: &mut BytesMut, mut value: u64) {
    // Gathered first: one copy into the buffer is faster than a growth check for each byte.
    let mut bytes = [0; 10];
    let mut length = 0;
    while value >= 0x80 {
        bytes[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    buffer.put_slice(&bytes[..=length]);
}

fn unsigned_size(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn take<'a>(bytes: &mut &'a [u8], length: i32) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(head)
}
