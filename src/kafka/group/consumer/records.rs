//! The records of consumer groups in `__consumer_offsets`, key and value as Kafka's schemas say
//! (GroupCoordinatorRecordHelpers and the ConsumerGroup…Key and …Value of the group coordinator).
//! Keys are plain, values are flexible.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{
    byte_array, length, nullable, put_bytes, put_length, put_nullable, put_tagged_fields, put_text, tagged_fields, text,
};
use crate::kafka::coordinator::plain::{put_string, string};
use crate::kafka::coordinator::record::read_version;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata, MemberState};
use crate::kafka::group::flexible::{partitions, put_partitions, put_topics, topics};
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::{StrBytes, TopicName};

/// The group's epoch, and a hash of the metadata of its topics that the epoch was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpoch {
    pub epoch: i32,
    pub metadata_hash: i64,
}

/// The topics that a pattern was found to match (ConsumerGroupRegularExpressionValue).
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedRegex {
    pub topics: SortedSet<TopicName>,
    /// The offset of the metadata that was looked at.
    pub version: i64,
    /// Milliseconds.
    pub timestamp: i64,
}

/// One record of a consumer group; without a value it deletes what its key names.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerRecord {
    Epoch(Option<GroupEpoch>),
    /// What brokers before 4.1 wrote of the group's topics; it is only ever deleted.
    PartitionMetadata(Option<Bytes>),
    Member(StrBytes, Option<MemberMetadata>),
    TargetEpoch(Option<i32>),
    Target(StrBytes, Option<Partitions>),
    Current(StrBytes, Option<CurrentAssignment>),
    Regex(StrBytes, Option<ResolvedRegex>),
}

/// The record types are the versions of the keys.
const EPOCH: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

impl ConsumerRecord {
    /// The type of the record, and what its key names besides the group.
    pub(in crate::kafka::group) fn key(&self) -> (i16, Option<&StrBytes>) {
        match self {
            ConsumerRecord::Epoch(_) => (EPOCH, None),
            ConsumerRecord::PartitionMetadata(_) => (PARTITION_METADATA, None),
            ConsumerRecord::Member(member, _) => (MEMBER, Some(member)),
            ConsumerRecord::TargetEpoch(_) => (TARGET_EPOCH, None),
            ConsumerRecord::Target(member, _) => (TARGET, Some(member)),
            ConsumerRecord::Current(member, _) => (CURRENT, Some(member)),
            ConsumerRecord::Regex(regex, _) => (REGEX, Some(regex)),
        }
    }

    pub fn is_tombstone(&self) -> bool {
        match self {
            ConsumerRecord::Epoch(value) => value.is_none(),
            ConsumerRecord::PartitionMetadata(value) => value.is_none(),
            ConsumerRecord::Member(_, value) => value.is_none(),
            ConsumerRecord::TargetEpoch(value) => value.is_none(),
            ConsumerRecord::Target(_, value) => value.is_none(),
            ConsumerRecord::Current(_, value) => value.is_none(),
            ConsumerRecord::Regex(_, value) => value.is_none(),
        }
    }

    pub(in crate::kafka::group) fn encode(&self, key: &mut BytesMut) -> Option<Bytes> {
        if let Some(named) = self.key().1 {
            put_string(key, named);
        }
        let mut out = BytesMut::new();
        out.put_i16(0);
        match self {
            ConsumerRecord::Epoch(value) => put_epoch(&mut out, value.as_ref()?),
            ConsumerRecord::PartitionMetadata(value) => return value.clone(),
            ConsumerRecord::Member(_, value) => put_member(&mut out, value.as_ref()?),
            ConsumerRecord::TargetEpoch(value) => {
                out.put_i32((*value)?);
                out.put_u8(0);
            }
            ConsumerRecord::Target(_, value) => {
                put_partitions(&mut out, value.as_ref()?);
                out.put_u8(0);
            }
            ConsumerRecord::Current(_, value) => put_current(&mut out, value.as_ref()?),
            ConsumerRecord::Regex(_, value) => put_regex(&mut out, value.as_ref()?),
        }
        Some(out.freeze())
    }

    /// Reads what follows on the group in the key, and the value. `None` for other types.
    pub(in crate::kafka::group) fn decode(kind: i16, key: &mut Bytes, value: Option<&Bytes>) -> Option<ConsumerRecord> {
        Some(match kind {
            EPOCH => ConsumerRecord::Epoch(read_version(value, 0, epoch)?),
            PARTITION_METADATA => ConsumerRecord::PartitionMetadata(value.cloned()),
            MEMBER => ConsumerRecord::Member(string(key)?, read_version(value, 0, member)?),
            TARGET_EPOCH => ConsumerRecord::TargetEpoch(read_version(value, 0, |bytes| bytes.try_get_i32().ok())?),
            TARGET => ConsumerRecord::Target(string(key)?, read_version(value, 0, partitions)?),
            CURRENT => ConsumerRecord::Current(string(key)?, read_version(value, 0, current)?),
            REGEX => ConsumerRecord::Regex(string(key)?, read_version(value, 0, regex)?),
            _ => return None,
        })
    }
}

fn put_epoch(out: &mut BytesMut, value: &GroupEpoch) {
    out.put_i32(value.epoch);
    // The hash is tagged field 0, and absent when it is 0.
    let hash = Some(value.metadata_hash).filter(|hash| *hash != 0);
    put_tagged_field_0(out, hash.map(|hash| Bytes::copy_from_slice(&hash.to_be_bytes())));
}

fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch> {
    let epoch = bytes.try_get_i32().ok()?;
    let metadata_hash = match tagged_field_0(bytes)? {
        Some(mut field) => field.try_get_i64().ok()?,
        None => 0,
    };
    Some(GroupEpoch { epoch, metadata_hash })
}

fn put_member(out: &mut BytesMut, value: &MemberMetadata) {
    let MemberMetadata { instance, rack, client_id, client_host, topics, regex, rebalance_timeout, assignor, classic } =
        value;
    put_nullable(out, instance.as_ref());
    put_nullable(out, rack.as_ref());
    put_text(out, client_id);
    put_text(out, client_host);
    put_topics(out, topics);
    put_nullable(out, regex.as_ref());
    out.put_i32(rebalance_timeout.millis() as i32);
    put_nullable(out, assignor.as_ref());
    put_tagged_field_0(out, classic.as_ref().map(encode_classic));
}

fn member(bytes: &mut Bytes) -> Option<MemberMetadata> {
    Some(MemberMetadata {
        instance: nullable(bytes)?,
        rack: nullable(bytes)?,
        client_id: text(bytes)?,
        client_host: text(bytes)?,
        topics: topics(bytes)?,
        regex: nullable(bytes)?,
        rebalance_timeout: Duration::from_millis(bytes.try_get_i32().ok()?.into()),
        assignor: nullable(bytes)?,
        classic: match tagged_field_0(bytes)? {
            Some(mut field) => Some(classic(&mut field)?),
            None => None,
        },
    })
}

fn encode_classic(value: &ClassicMetadata) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(value.session_timeout.millis() as i32);
    put_length(&mut out, value.protocols.len());
    for (name, metadata) in &value.protocols {
        put_text(&mut out, name);
        put_bytes(&mut out, metadata);
        out.put_u8(0);
    }
    out.put_u8(0);
    out.freeze()
}

fn classic(bytes: &mut Bytes) -> Option<ClassicMetadata> {
    let session_timeout = Duration::from_millis(bytes.try_get_i32().ok()?.into());
    let mut protocols = Vec::new();
    for _ in 0..length(bytes)?? {
        protocols.push((text(bytes)?, byte_array(bytes)?));
        tagged_fields(bytes)?;
    }
    Some(ClassicMetadata { session_timeout, protocols })
}

fn put_current(out: &mut BytesMut, value: &CurrentAssignment) {
    let CurrentAssignment { epoch, previous_epoch, state, assigned, revoking } = value;
    out.put_i32(*epoch);
    out.put_i32(*previous_epoch);
    out.put_i8(state.code());
    put_partitions(out, assigned);
    put_partitions(out, revoking);
    out.put_u8(0);
}

fn current(bytes: &mut Bytes) -> Option<CurrentAssignment> {
    Some(CurrentAssignment {
        epoch: bytes.try_get_i32().ok()?,
        previous_epoch: bytes.try_get_i32().ok()?,
        state: MemberState::from_code(bytes.try_get_i8().ok()?),
        assigned: partitions(bytes)?,
        revoking: partitions(bytes)?,
    })
}

fn put_regex(out: &mut BytesMut, value: &ResolvedRegex) {
    put_topics(out, &value.topics);
    out.put_i64(value.version);
    out.put_i64(value.timestamp);
    out.put_u8(0);
}

fn regex(bytes: &mut Bytes) -> Option<ResolvedRegex> {
    Some(ResolvedRegex {
        topics: topics(bytes)?,
        version: bytes.try_get_i64().ok()?,
        timestamp: bytes.try_get_i64().ok()?,
    })
}

/// Ends a structure with the one tagged field that there is, if it has it.
fn put_tagged_field_0(out: &mut BytesMut, field: Option<Bytes>) {
    let fields: Vec<(u32, Bytes)> = field.map(|field| (0, field)).into_iter().collect();
    put_tagged_fields(out, &fields);
}

fn tagged_field_0(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    let fields = tagged_fields(bytes)?;
    Some(fields.into_iter().rfind(|(tag, _)| *tag == 0).map(|(_, field)| field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::group::records::GroupRecord;
    use crate::wire::{GroupId, Uuid, str_bytes, topic_name};

    fn check(record: ConsumerRecord) -> (Bytes, Option<Bytes>) {
        let record = GroupRecord::Consumer { group: GroupId(str_bytes("g")), record };
        let (key, value) = record.encode();
        assert_eq!(GroupRecord::decode(&key, value.as_ref()), Some(record));
        (key, value)
    }

    fn some_partitions() -> Partitions {
        [(Uuid::from_u128(7), [1, 300].into_iter().collect())].into_iter().collect()
    }

    #[test]
    fn an_epoch_is_written_as_kafka_writes_it() {
        let (key, value) = check(ConsumerRecord::Epoch(Some(GroupEpoch { epoch: 5, metadata_hash: 0 })));
        assert_eq!(key[..], [0, 3, 0, 1, b'g']);
        assert_eq!(value.expect("a value")[..], [0, 0, 0, 0, 0, 5, 0]);
        let (_, value) = check(ConsumerRecord::Epoch(Some(GroupEpoch { epoch: 5, metadata_hash: 9 })));
        assert_eq!(value.expect("a value")[..], [0, 0, 0, 0, 0, 5, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9]);
    }

    #[test]
    fn a_target_is_written_as_kafka_writes_it() {
        let (key, value) = check(ConsumerRecord::Target(str_bytes("m"), Some(some_partitions())));
        assert_eq!(key[..], [0, 7, 0, 1, b'g', 0, 1, b'm']);
        let mut expected = vec![0, 0, 2];
        expected.extend(7_u128.to_be_bytes());
        expected.extend([3, 0, 0, 0, 1, 0, 0, 1, 44, 0, 0]);
        assert_eq!(value.expect("a value")[..], expected);
    }

    #[test]
    fn the_others_read_back_as_they_were_written() {
        let classic = ClassicMetadata {
            session_timeout: Duration::from_secs(45),
            protocols: vec![(str_bytes("range"), Bytes::from(vec![1; 200]))],
        };
        let metadata = MemberMetadata {
            instance: Some(str_bytes("i")),
            client_id: str_bytes("c1"),
            client_host: str_bytes("/host"),
            topics: [topic_name("orders")].into_iter().collect(),
            rebalance_timeout: Duration::from_secs(300),
            classic: Some(classic),
            ..MemberMetadata::default()
        };
        check(ConsumerRecord::Member(str_bytes("m"), Some(metadata)));
        let current = CurrentAssignment {
            epoch: 4,
            previous_epoch: 3,
            state: MemberState::UnrevokedPartitions,
            assigned: some_partitions(),
            revoking: Partitions::new(),
        };
        check(ConsumerRecord::Current(str_bytes("m"), Some(current)));
        let topics = [topic_name("orders")].into_iter().collect();
        check(ConsumerRecord::Regex(str_bytes("o.*"), Some(ResolvedRegex { topics, version: 3, timestamp: 4 })));
        check(ConsumerRecord::TargetEpoch(Some(3)));
        check(ConsumerRecord::Member(str_bytes("m"), None));
        check(ConsumerRecord::PartitionMetadata(None));
    }
}
