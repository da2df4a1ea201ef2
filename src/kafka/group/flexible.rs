//! What the values of consumer groups and of share groups have in common: topics, by name or by id with
//! their partitions.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{length, put_length, put_text, tagged_fields, text};
use crate::kafka::group::assignor::Partitions;
use crate::sorted::SortedSet;
use crate::wire::{TopicName, Uuid};

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
        tagged_fields(bytes)?;
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
