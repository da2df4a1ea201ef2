//! The records of share groups in `__consumer_offsets`: what their values are, and the record that
//! consumer groups do not have (ShareGroup…Key and …Value of the group coordinator).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{length, nullable, put_length, put_nullable, put_text, tagged_fields, text};
use crate::kafka::coordinator::record::read_version;
use crate::kafka::group::flexible::{partitions, put_partitions, put_topics, topics};
use crate::kafka::group::modern::records::{GroupEpoch, ModernRecord, OwnRecord, RecordTypes, Value};
use crate::kafka::group::share::group::{ShareAssignment, ShareKind, ShareMemberMetadata};
use crate::kafka::group::share::state::{StatePartitions, TopicPartitions, Topics};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{StrBytes, TopicName, Uuid};

/// One record of a share group.
pub type ShareRecord = ModernRecord<ShareKind>;

/// The record that only share groups have.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareOwn {
    StatePartitions(Option<StatePartitions>),
}

pub(super) const TYPES: RecordTypes = RecordTypes { epoch: 11, member: 10, target_epoch: 12, target: 13, current: 14 };
const STATE_PARTITIONS: i16 = 15;

impl OwnRecord for ShareOwn {
    fn key(&self) -> (i16, Option<&StrBytes>) {
        (STATE_PARTITIONS, None)
    }

    fn is_tombstone(&self) -> bool {
        let ShareOwn::StatePartitions(value) = self;
        value.is_none()
    }

    fn encode(&self) -> Option<Bytes> {
        let ShareOwn::StatePartitions(value) = self;
        value.as_ref().map(encode_state_partitions)
    }

    fn decode(kind: i16, _: &mut Bytes, value: Option<&Bytes>) -> Option<ShareOwn> {
        let value = if kind == STATE_PARTITIONS { read_version(value, 0, state_partitions)? } else { return None };
        Some(ShareOwn::StatePartitions(value))
    }
}

pub(super) fn put_epoch(out: &mut BytesMut, value: &GroupEpoch) {
    out.put_i32(value.epoch);
    out.put_i64(value.metadata_hash);
    out.put_u8(0);
}

pub(super) fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch> {
    Some(GroupEpoch { epoch: bytes.try_get_i32().ok()?, metadata_hash: bytes.try_get_i64().ok()? })
}

impl Value for ShareMemberMetadata {
    fn put(&self, out: &mut BytesMut) {
        let ShareMemberMetadata { rack, client_id, client_host, topics } = self;
        put_nullable(out, rack.as_ref());
        put_text(out, client_id);
        put_text(out, client_host);
        put_topics(out, topics);
        out.put_u8(0);
    }

    fn read(bytes: &mut Bytes) -> Option<ShareMemberMetadata> {
        Some(ShareMemberMetadata {
            rack: nullable(bytes)?,
            client_id: text(bytes)?,
            client_host: text(bytes)?,
            topics: topics(bytes)?,
        })
    }
}

/// MemberState.STABLE: a member of a share group is in no other state.
const STABLE: i8 = 0;

impl Value for ShareAssignment {
    fn put(&self, out: &mut BytesMut) {
        let ShareAssignment { epoch, previous_epoch, assigned } = self;
        out.put_i32(*epoch);
        out.put_i32(*previous_epoch);
        out.put_i8(STABLE);
        put_partitions(out, assigned);
        out.put_u8(0);
    }

    fn read(bytes: &mut Bytes) -> Option<ShareAssignment> {
        let (epoch, previous_epoch) = (bytes.try_get_i32().ok()?, bytes.try_get_i32().ok()?);
        let _state = bytes.try_get_i8().ok()?;
        Some(ShareAssignment { epoch, previous_epoch, assigned: partitions(bytes)? })
    }
}

fn encode_state_partitions(value: &StatePartitions) -> Bytes {
    let StatePartitions { initializing, initialized, deleting, since: _ } = value;
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_topics_with_partitions(&mut out, initializing);
    put_topics_with_partitions(&mut out, initialized);
    put_length(&mut out, deleting.len());
    for (id, name) in deleting {
        out.put_slice(id.as_bytes());
        put_text(&mut out, &name.0);
        out.put_u8(0);
    }
    out.put_u8(0);
    out.freeze()
}

fn put_topics_with_partitions(out: &mut BytesMut, topics: &Topics) {
    put_length(out, topics.len());
    for (id, TopicPartitions { name, partitions }) in topics {
        out.put_slice(id.as_bytes());
        put_text(out, &name.0);
        put_length(out, partitions.len());
        partitions.iter().for_each(|partition| out.put_i32(*partition));
        out.put_u8(0);
    }
}

fn topics_with_partitions(bytes: &mut Bytes) -> Option<Topics> {
    let mut topics = Topics::new();
    for _ in 0..length(bytes)?? {
        let id = Uuid::from_u128(bytes.try_get_u128().ok()?);
        let name = TopicName(text(bytes)?);
        let mut partitions = SortedSet::new();
        for _ in 0..length(bytes)?? {
            partitions.insert(bytes.try_get_i32().ok()?);
        }
        tagged_fields(bytes)?;
        topics.insert(id, TopicPartitions { name, partitions });
    }
    Some(topics)
}

fn state_partitions(bytes: &mut Bytes) -> Option<StatePartitions> {
    let (initializing, initialized) = (topics_with_partitions(bytes)?, topics_with_partitions(bytes)?);
    let mut deleting = SortedMap::new();
    for _ in 0..length(bytes)?? {
        let id = Uuid::from_u128(bytes.try_get_u128().ok()?);
        deleting.insert(id, TopicName(text(bytes)?));
        tagged_fields(bytes)?;
    }
    Some(StatePartitions { initializing, initialized, deleting, since: Instant::ZERO })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::group::assignor::Partitions;
    use crate::kafka::group::records::GroupRecord;
    use crate::wire::{GroupId, str_bytes, topic_name};

    fn check(record: ShareRecord) -> (Bytes, Option<Bytes>) {
        let record = GroupRecord::Share { group: GroupId(str_bytes("g")), record };
        let (key, value) = record.encode();
        assert_eq!(GroupRecord::decode(&key, value.as_ref()), Some(record));
        (key, value)
    }

    #[test]
    fn an_epoch_carries_its_hash_always() {
        let (key, value) = check(ShareRecord::Epoch(Some(GroupEpoch { epoch: 5, metadata_hash: 9 })));
        assert_eq!(key[..], [0, 11, 0, 1, b'g']);
        assert_eq!(value.expect("a value")[..], [0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0]);
    }

    #[test]
    fn a_current_assignment_is_written_as_kafka_writes_it() {
        let assigned = [(Uuid::from_u128(7), [1].into_iter().collect())].into_iter().collect();
        let current = ShareAssignment { epoch: 2, previous_epoch: 1, assigned };
        let (key, value) = check(ShareRecord::Current(str_bytes("m"), Some(current)));
        assert_eq!(key[..], [0, 14, 0, 1, b'g', 0, 1, b'm']);
        let mut expected = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2];
        expected.extend(7_u128.to_be_bytes());
        expected.extend([2, 0, 0, 0, 1, 0, 0]);
        assert_eq!(value.expect("a value")[..], expected);
    }

    #[test]
    fn the_others_read_back_as_they_were_written() {
        let topics = |id, partitions: [i32; 2]| {
            let topic = TopicPartitions { name: topic_name("orders"), partitions: partitions.into_iter().collect() };
            [(Uuid::from_u128(id), topic)].into_iter().collect::<Topics>()
        };
        let deleting = [(Uuid::from_u128(3), topic_name("old"))].into_iter().collect();
        let (initializing, initialized) = (topics(1, [0, 1]), topics(2, [4, 300]));
        let value = StatePartitions { initializing, initialized, deleting, since: Instant::ZERO };
        check(ShareRecord::Own(ShareOwn::StatePartitions(Some(value))));
        check(ShareRecord::Own(ShareOwn::StatePartitions(None)));
        let topics = [topic_name("orders")].into_iter().collect();
        let (client_id, client_host) = (str_bytes("c1"), str_bytes("/host"));
        let metadata = ShareMemberMetadata { rack: Some(str_bytes("r")), client_id, client_host, topics };
        check(ShareRecord::Member(str_bytes("m"), Some(metadata)));
        check(ShareRecord::Target(str_bytes("m"), Some(Partitions::new())));
        check(ShareRecord::TargetEpoch(Some(3)));
        check(ShareRecord::Current(str_bytes("m"), None));
    }
}
