//! The encoding of metadata records: Kafka's flexible versions (KIP-482), i.e. big-endian numbers,
//! compact strings and arrays, tagged fields.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::wire::{BrokerId, StrBytes, Uuid};

/// Writes the fields of one record in order.
#[derive(Default)]
pub(super) struct Writer {
    buffer: BytesMut,
}

/// Reads the fields of one record in order; `None` when the bytes do not hold them.
pub(super) struct Reader {
    bytes: Bytes,
}

/// The tagged fields of a struct, in ascending order of their tags.
#[derive(Default)]
pub(super) struct Tagged {
    fields: Vec<(u32, Bytes)>,
}

impl Writer {
    /// A record begins with the frame's version, its API key and its own version (MetadataRecordSerde).
    pub fn record(api_key: u32, version: u32) -> Writer {
        let mut writer = Writer::default();
        writer.varint(1);
        writer.varint(api_key);
        writer.varint(version);
        writer
    }

    pub fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    pub fn bool(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(value.as_bytes());
    }

    /// A compact length: one more than the length, so that 0 says null.
    pub fn length(&mut self, length: usize) {
        self.varint(length as u32 + 1);
    }

    pub fn string(&mut self, value: &StrBytes) {
        self.length(value.len());
        self.buffer.put_slice(value.as_bytes());
    }

    pub fn nullable_string(&mut self, value: Option<&StrBytes>) {
        match value {
            Some(value) => self.string(value),
            None => self.varint(0),
        }
    }

    pub fn brokers(&mut self, brokers: &[BrokerId]) {
        self.length(brokers.len());
        for broker in brokers {
            self.i32(broker.0);
        }
    }

    /// The end of the record: its tagged fields.
    pub fn finish(mut self, tagged: Tagged) -> Bytes {
        self.varint(tagged.fields.len() as u32);
        for (tag, value) in tagged.fields {
            self.varint(tag);
            self.varint(value.len() as u32);
            self.buffer.put_slice(&value);
        }
        self.buffer.freeze()
    }
}

impl Tagged {
    pub fn i8(&mut self, tag: u32, value: i8) {
        self.fields.push((tag, Bytes::copy_from_slice(&value.to_be_bytes())));
    }

    pub fn i32(&mut self, tag: u32, value: i32) {
        self.fields.push((tag, Bytes::copy_from_slice(&value.to_be_bytes())));
    }

    pub fn brokers(&mut self, tag: u32, brokers: &[BrokerId]) {
        let mut writer = Writer::default();
        writer.brokers(brokers);
        self.fields.push((tag, writer.buffer.freeze()));
    }
}

impl Reader {
    pub fn new(bytes: Bytes) -> Reader {
        Reader { bytes }
    }

    pub fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.bytes.try_get_u8().ok()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub fn bool(&mut self) -> Option<bool> {
        self.bytes.try_get_u8().ok().map(|byte| byte != 0)
    }

    pub fn i8(&mut self) -> Option<i8> {
        self.bytes.try_get_i8().ok()
    }

    pub fn i16(&mut self) -> Option<i16> {
        self.bytes.try_get_i16().ok()
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.bytes.try_get_i32().ok()
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.bytes.try_get_i64().ok()
    }

    pub fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(&self.take(16)?).ok()
    }

    /// A compact length; `Some(None)` says null.
    pub fn length(&mut self) -> Option<Option<usize>> {
        let length = self.varint()?.checked_sub(1).map(|length| length as usize);
        (length.unwrap_or(0) <= self.bytes.len()).then_some(length)
    }

    pub fn string(&mut self) -> Option<StrBytes> {
        self.nullable_string()?
    }

    pub fn nullable_string(&mut self) -> Option<Option<StrBytes>> {
        match self.length()? {
            None => Some(None),
            Some(length) => StrBytes::from_utf8(self.take(length)?).ok().map(Some),
        }
    }

    pub fn brokers(&mut self) -> Option<Vec<BrokerId>> {
        let length = self.length()?.unwrap_or(0);
        (0..length).map(|_| self.i32().map(BrokerId)).collect()
    }

    pub fn uuids(&mut self) -> Option<Vec<Uuid>> {
        let length = self.length()?.unwrap_or(0);
        (0..length).map(|_| self.uuid()).collect()
    }

    /// Hands every tagged field to `read`, which leaves those it does not know.
    pub fn tagged(&mut self, mut read: impl FnMut(u32, &mut Reader) -> Option<()>) -> Option<()> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            read(tag, &mut Reader::new(self.take(size)?))?;
        }
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.bytes.len()).then(|| self.bytes.split_to(length))
    }
}
