//! The records of `__consumer_offsets`, key and value as Kafka's schemas say
//! (GroupCoordinatorRecordHelpers, OffsetCommitKey/Value, GroupMetadataKey/Value).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::plain::{byte_array, nullable, put_bytes, put_nullable, put_string, string};
use crate::kafka::coordinator::record::read;
use crate::kafka::group::consumer::records::ConsumerRecord;
use crate::kafka::group::share::records::ShareRecord;
use crate::wire::{GroupId, LeaderEpoch, Offset, StrBytes, TopicName, TopicPartition};

/// A committed offset.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: Offset,
    /// The leader epoch of the last record read; -1 when the client did not say.
    pub leader_epoch: LeaderEpoch,
    pub metadata: StrBytes,
    /// Milliseconds.
    pub commit_timestamp: i64,
    /// Milliseconds; only very old clients ask for one.
    pub expire_timestamp: Option<i64>,
}

/// What a generation of a classic group consists of (GroupMetadataValue).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupValue {
    pub protocol_type: StrBytes,
    pub generation: i32,
    pub protocol: Option<StrBytes>,
    pub leader: Option<StrBytes>,
    /// Milliseconds; -1 when unknown.
    pub current_state_timestamp: i64,
    pub members: Vec<MemberValue>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MemberValue {
    pub member_id: StrBytes,
    pub group_instance_id: Option<StrBytes>,
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    /// Milliseconds.
    pub rebalance_timeout: i32,
    /// Milliseconds.
    pub session_timeout: i32,
    /// What the member told of itself for the group's protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// One record; without a value it deletes what its key names.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    Offset { group: GroupId, partition: TopicPartition, value: Option<CommittedOffset> },
    Group { group: GroupId, value: Option<GroupValue> },
    Consumer { group: GroupId, record: ConsumerRecord },
    Share { group: GroupId, record: ShareRecord },
}

/// The record types are the versions of the keys.
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;

impl GroupRecord {
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        let mut key = BytesMut::new();
        match self {
            GroupRecord::Offset { group, partition, value } => {
                key.put_i16(OFFSET_COMMIT);
                put_string(&mut key, &group.0);
                put_string(&mut key, &partition.topic.0);
                key.put_i32(partition.partition);
                (key.freeze(), value.as_ref().map(encode_offset))
            }
            GroupRecord::Group { group, value } => {
                key.put_i16(GROUP_METADATA);
                put_string(&mut key, &group.0);
                (key.freeze(), value.as_ref().map(encode_group))
            }
            GroupRecord::Consumer { group, record } => {
                key.put_i16(record.key().0);
                put_string(&mut key, &group.0);
                let value = record.encode(&mut key);
                (key.freeze(), value)
            }
            GroupRecord::Share { group, record } => {
                key.put_i16(record.key().0);
                put_string(&mut key, &group.0);
                let value = record.encode(&mut key);
                (key.freeze(), value)
            }
        }
    }

    /// `None` for records of other kinds (newer group types) and for what is not a record of ours.
    pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<GroupRecord> {
        let mut key = key.clone();
        let kind = key.try_get_i16().ok()?;
        let group = GroupId(string(&mut key)?);
        match kind {
            0 | OFFSET_COMMIT => {
                let topic = TopicName(string(&mut key)?);
                let partition = TopicPartition { topic, partition: key.try_get_i32().ok()? };
                Some(GroupRecord::Offset { group, partition, value: read(value, decode_offset)? })
            }
            GROUP_METADATA => Some(GroupRecord::Group { group, value: read(value, decode_group)? }),
            kind => match ShareRecord::decode(kind, &mut key, value) {
                Some(record) => Some(GroupRecord::Share { group, record }),
                None => {
                    ConsumerRecord::decode(kind, &mut key, value).map(|record| GroupRecord::Consumer { group, record })
                }
            },
        }
    }
}

/// Version 3; version 1 when there is an expiry of its own, which later versions dropped.
fn encode_offset(value: &CommittedOffset) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(if value.expire_timestamp.is_some() { 1 } else { 3 });
    out.put_i64(value.offset.0);
    if value.expire_timestamp.is_none() {
        out.put_i32(value.leader_epoch.0);
    }
    put_string(&mut out, &value.metadata);
    out.put_i64(value.commit_timestamp);
    if let Some(expire) = value.expire_timestamp {
        out.put_i64(expire);
    }
    out.freeze()
}

fn decode_offset(bytes: &mut Bytes) -> Option<CommittedOffset> {
    let version = bytes.try_get_i16().ok()?;
    if !(0..=3).contains(&version) {
        return None;
    }
    let offset = Offset(bytes.try_get_i64().ok()?);
    let leader_epoch = if version >= 3 { LeaderEpoch(bytes.try_get_i32().ok()?) } else { LeaderEpoch::UNKNOWN };
    let metadata = string(bytes)?;
    let commit_timestamp = bytes.try_get_i64().ok()?;
    let expire_timestamp = if version == 1 { Some(bytes.try_get_i64().ok()?).filter(|t| *t >= 0) } else { None };
    Some(CommittedOffset { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp })
}

/// Version 3.
fn encode_group(value: &GroupValue) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(3);
    put_string(&mut out, &value.protocol_type);
    out.put_i32(value.generation);
    put_nullable(&mut out, value.protocol.as_ref());
    put_nullable(&mut out, value.leader.as_ref());
    out.put_i64(value.current_state_timestamp);
    out.put_i32(value.members.len() as i32);
    for member in &value.members {
        put_string(&mut out, &member.member_id);
        put_nullable(&mut out, member.group_instance_id.as_ref());
        put_string(&mut out, &member.client_id);
        put_string(&mut out, &member.client_host);
        out.put_i32(member.rebalance_timeout);
        out.put_i32(member.session_timeout);
        put_bytes(&mut out, &member.subscription);
        put_bytes(&mut out, &member.assignment);
    }
    out.freeze()
}

fn decode_group(bytes: &mut Bytes) -> Option<GroupValue> {
    let version = bytes.try_get_i16().ok()?;
    if !(0..=3).contains(&version) {
        return None;
    }
    let protocol_type = string(bytes)?;
    let generation = bytes.try_get_i32().ok()?;
    let protocol = nullable(bytes)?;
    let leader = nullable(bytes)?;
    let current_state_timestamp = if version >= 2 { bytes.try_get_i64().ok()? } else { -1 };
    let count = bytes.try_get_i32().ok()?;
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(decode_member(bytes, version)?);
    }
    Some(GroupValue { protocol_type, generation, protocol, leader, current_state_timestamp, members })
}

fn decode_member(bytes: &mut Bytes, version: i16) -> Option<MemberValue> {
    Some(MemberValue {
        member_id: string(bytes)?,
        group_instance_id: if version >= 3 { nullable(bytes)? } else { None },
        client_id: string(bytes)?,
        client_host: string(bytes)?,
        rebalance_timeout: if version >= 1 { bytes.try_get_i32().ok()? } else { -1 },
        session_timeout: bytes.try_get_i32().ok()?,
        subscription: byte_array(bytes)?,
        assignment: byte_array(bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::str_bytes;

    #[test]
    fn an_offset_is_written_as_kafka_writes_it() {
        let record = GroupRecord::Offset {
            group: GroupId(str_bytes("g")),
            partition: TopicPartition::named("t", 7),
            value: Some(CommittedOffset {
                offset: Offset(42),
                leader_epoch: LeaderEpoch(3),
                metadata: str_bytes("m"),
                commit_timestamp: 9,
                expire_timestamp: None,
            }),
        };
        let (key, value) = record.encode();
        assert_eq!(key[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 7]);
        let value = value.expect("a value");
        assert_eq!(value[..], [0, 3, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 3, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(GroupRecord::decode(&key, Some(&value)), Some(record));
    }

    #[test]
    fn a_group_reads_back_as_it_was_written() {
        let record = GroupRecord::Group {
            group: GroupId(str_bytes("payments")),
            value: Some(GroupValue {
                protocol_type: str_bytes("consumer"),
                generation: 4,
                protocol: Some(str_bytes("range")),
                leader: None,
                current_state_timestamp: 17,
                members: vec![MemberValue {
                    member_id: str_bytes("a-1"),
                    group_instance_id: Some(str_bytes("a")),
                    client_id: str_bytes("client"),
                    client_host: str_bytes("/host"),
                    rebalance_timeout: 300_000,
                    session_timeout: 45_000,
                    subscription: Bytes::from_static(b"subscription"),
                    assignment: Bytes::new(),
                }],
            }),
        };
        let (key, value) = record.encode();
        assert_eq!(GroupRecord::decode(&key, value.as_ref()), Some(record));
    }

    #[test]
    fn a_torn_record_is_no_record() {
        let record = GroupRecord::Group { group: GroupId(str_bytes("g")), value: None };
        let (key, _) = record.encode();
        assert_eq!(GroupRecord::decode(&key.slice(..key.len() - 1), None), None);
        assert_eq!(GroupRecord::decode(&Bytes::from_static(&[0, 99, 0, 0]), None), None);
    }
}
