//! The flexible structures of the group records' values (KIP-482): lengths are variable and one more
//! than they say, and every structure ends with its tagged fields.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::group::assignor::Partitions;
use crate::sorted::SortedSet;
use crate::wire::{StrBytes, TopicName, Uuid};

/// The outer `None`: it does not read.
pub(super) fn read<T>(value: Option<&mut Bytes>, decode: impl FnOnce(&mut Bytes) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(bytes) => decode(bytes).map(Some),
    }
}

pub(super) fn put_partitions(out: &mut BytesMut, value: &Partitions) {
    put_length(out, value.len());
    for (topic, partitions) in value {
        out.put_slice(topic.as_bytes());
        put_length(out, partitions.len());
        partitions.iter().for_each(|partition| out.put_i32(*partition));
        out.put_u8(0);
    }
}

pub(super) fn partitions(bytes: &mut Bytes) -> Option<Partitions> {
    let mut value = Partitions::new();
    for _ in 0..length(bytes)?? {
        let topic = Uuid::from_u128(bytes.try_get_u128().ok()?);
        let mut partitions = SortedSet::new();
        for _ in 0..length(bytes)?? {
            partitions.insert(bytes.try_get_i32().ok()?);
        }
        tagged_field_0(bytes)?;
        value.insert(topic, partitions);
    }
    Some(value)
}

pub(super) fn put_topics(out: &mut BytesMut, topics: &SortedSet<TopicName>) {
    put_length(out, topics.len());
    topics.iter().for_each(|topic| put_text(out, &topic.0));
}

pub(super) fn topics(bytes: &mut Bytes) -> Option<SortedSet<TopicName>> {
    let mut topics = SortedSet::new();
    for _ in 0..length(bytes)?? {
        topics.insert(TopicName(text(bytes)?));
    }
    Some(topics)
}

pub(super) fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

pub(super) fn varint(bytes: &mut Bytes) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(super) fn put_length(out: &mut BytesMut, length: usize) {
    put_varint(out, length as u32 + 1);
}

/// The inner `None`: null.
pub(super) fn length(bytes: &mut Bytes) -> Option<Option<usize>> {
    let length = varint(bytes)?;
    Some(length.checked_sub(1).map(|length| length as usize))
}

pub(super) fn put_text(out: &mut BytesMut, text: &StrBytes) {
    put_length(out, text.len());
    out.put_slice(text.as_bytes());
}

pub(super) fn put_nullable(out: &mut BytesMut, text: Option<&StrBytes>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.put_u8(0),
    }
}

pub(super) fn text(bytes: &mut Bytes) -> Option<StrBytes> {
    nullable(bytes)?
}

pub(super) fn nullable(bytes: &mut Bytes) -> Option<Option<StrBytes>> {
    let Some(length) = length(bytes)? else {
        return Some(None);
    };
    if bytes.len() < length {
        return None;
    }
    StrBytes::from_utf8(bytes.split_to(length)).ok().map(Some)
}

/// Reads the tagged fields: what stands under tag 0, if it does. Others are passed over.
pub(super) fn tagged_field_0(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    let mut found = None;
    for _ in 0..varint(bytes)? {
        let tag = varint(bytes)?;
        let size = varint(bytes)? as usize;
        if bytes.len() < size {
            return None;
        }
        let field = bytes.split_to(size);
        if tag == 0 {
            found = Some(field);
        }
    }
    Some(found)
}
