//! The records of share groups in `__consumer_offsets`, key and value as Kafka's schemas say
//! (GroupCoordinatorRecordHelpers and the ShareGroup…Key and …Value of the group coordinator).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{length, nullable, put_length, put_nullable, put_text, tagged_fields, text};
use crate::kafka::coordinator::plain::{put_string, string};
use crate::kafka::coordinator::record::read_version;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::records::GroupEpoch;
use crate::kafka::group::flexible::{partitions, put_partitions, put_topics, topics};
use crate::kafka::group::share::group::{ShareAssignment, ShareMemberMetadata};
use crate::kafka::group::share::state::{StatePartitions, TopicPartitions, Topics};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{StrBytes, TopicName, Uuid};

/// One record of a share group; without a value it deletes what its key names.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareRecord {
    Epoch(Option<GroupEpoch>),
    Member(StrBytes, Option<ShareMemberMetadata>),
    TargetEpoch(Option<i32>),
    Target(StrBytes, Option<Partitions>),
    Current(StrBytes, Option<ShareAssignment>),
    StatePartitions(Option<StatePartitions>),
}

/// The record types are the versions of the keys.
const MEMBER: i16 = 10;
const EPOCH: i16 = 11;
const TARGET_EPOCH: i16 = 12;
const TARGET: i16 = 13;
const CURRENT: i16 = 14;
const STATE_PARTITIONS: i16 = 15;

impl ShareRecord {
    /// The type of the record, and what its key names besides the group.
    pub(in crate::kafka::group) fn key(&self) -> (i16, Option<&StrBytes>) {
        match self {
            ShareRecord::Epoch(_) => (EPOCH, None),
            ShareRecord::Member(member, _) => (MEMBER, Some(member)),
            ShareRecord::TargetEpoch(_) => (TARGET_EPOCH, None),
            ShareRecord::Target(member, _) => (TARGET, Some(member)),
            ShareRecord::Current(member, _) => (CURRENT, Some(member)),
            ShareRecord::StatePartitions(_) => (STATE_PARTITIONS, None),
        }
    }

    pub fn is_tombstone(&self) -> bool {
        match self {
            ShareRecord::Epoch(value) => value.is_none(),
            ShareRecord::Member(_, value) => value.is_none(),
            ShareRecord::TargetEpoch(value) => value.is_none(),
            ShareRecord::Target(_, value) => value.is_none(),
            ShareRecord::Current(_, value) => value.is_none(),
            ShareRecord::StatePartitions(value) => value.is_none(),
        }
    }

    pub(in crate::kafka::group) fn encode(&self, key: &mut BytesMut) -> Option<Bytes> {
        if let Some(named) = self.key().1 {
            put_string(key, named);
        }
        let mut out = BytesMut::new();
        out.put_i16(0);
        match self {
            ShareRecord::Epoch(value) => {
                let GroupEpoch { epoch, metadata_hash } = value.as_ref()?;
                out.put_i32(*epoch);
                out.put_i64(*metadata_hash);
            }
            ShareRecord::Member(_, value) => {
                let ShareMemberMetadata { rack, client_id, client_host, topics } = value.as_ref()?;
                put_nullable(&mut out, rack.as_ref());
                put_text(&mut out, client_id);
                put_text(&mut out, client_host);
                put_topics(&mut out, topics);
            }
            ShareRecord::TargetEpoch(value) => out.put_i32((*value)?),
            ShareRecord::Target(_, value) => put_partitions(&mut out, value.as_ref()?),
            ShareRecord::Current(_, value) => {
                let ShareAssignment { epoch, previous_epoch, assigned } = value.as_ref()?;
                out.put_i32(*epoch);
                out.put_i32(*previous_epoch);
                out.put_i8(STABLE);
                put_partitions(&mut out, assigned);
            }
            ShareRecord::StatePartitions(value) => {
                let StatePartitions { initializing, initialized, deleting, since: _ } = value.as_ref()?;
                put_topics_with_partitions(&mut out, initializing);
                put_topics_with_partitions(&mut out, initialized);
                put_length(&mut out, deleting.len());
                for (id, name) in deleting {
                    out.put_slice(id.as_bytes());
                    put_text(&mut out, &name.0);
                    out.put_u8(0);
                }
            }
        }
        out.put_u8(0);
        Some(out.freeze())
    }

    /// Reads what follows on the group in the key, and the value. `None` for other types.
    pub(in crate::kafka::group) fn decode(kind: i16, key: &mut Bytes, value: Option<&Bytes>) -> Option<ShareRecord> {
        Some(match kind {
            EPOCH => ShareRecord::Epoch(read_version(value, 0, epoch)?),
            MEMBER => ShareRecord::Member(string(key)?, read_version(value, 0, member)?),
            TARGET_EPOCH => ShareRecord::TargetEpoch(read_version(value, 0, |bytes| bytes.try_get_i32().ok())?),
            TARGET => ShareRecord::Target(string(key)?, read_version(value, 0, partitions)?),
            CURRENT => ShareRecord::Current(string(key)?, read_version(value, 0, current)?),
            STATE_PARTITIONS => ShareRecord::StatePartitions(read_version(value, 0, state_partitions)?),
            _ => return None,
        })
    }
}

/// MemberState.STABLE: a member of a share group is in no other state.
const STABLE: i8 = 0;

fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch> {
    Some(GroupEpoch { epoch: bytes.try_get_i32().ok()?, metadata_hash: bytes.try_get_i64().ok()? })
}

fn member(bytes: &mut Bytes) -> Option<ShareMemberMetadata> {
    Some(ShareMemberMetadata {
        rack: nullable(bytes)?,
        client_id: text(bytes)?,
        client_host: text(bytes)?,
        topics: topics(bytes)?,
    })
}

fn current(bytes: &mut Bytes) -> Option<ShareAssignment> {
    let (epoch, previous_epoch) = (bytes.try_get_i32().ok()?, bytes.try_get_i32().ok()?);
    let _state = bytes.try_get_i8().ok()?;
    Some(ShareAssignment { epoch, previous_epoch, assigned: partitions(bytes)? })
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
        check(ShareRecord::StatePartitions(Some(value)));
        check(ShareRecord::StatePartitions(None));
        let topics = [topic_name("orders")].into_iter().collect();
        let (client_id, client_host) = (str_bytes("c1"), str_bytes("/host"));
        let metadata = ShareMemberMetadata { rack: Some(str_bytes("r")), client_id, client_host, topics };
        check(ShareRecord::Member(str_bytes("m"), Some(metadata)));
        check(ShareRecord::Target(str_bytes("m"), Some(Partitions::new())));
        check(ShareRecord::TargetEpoch(Some(3)));
        check(ShareRecord::Current(str_bytes("m"), None));
    }
}
