//! The records of consumer groups in `__consumer_offsets`: what their values are, and the records that
//! share groups do not have (ConsumerGroup…Key and …Value of the group coordinator).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{
    byte_array, length, nullable, put_bytes, put_length, put_nullable, put_tagged_fields, put_text, tagged_fields, text,
};
use crate::kafka::coordinator::plain::string;
use crate::kafka::coordinator::record::read_version;
use crate::kafka::group::consumer::group::ConsumerKind;
use crate::kafka::group::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata, MemberState};
use crate::kafka::group::flexible::{partitions, put_partitions, put_topics, topics};
use crate::kafka::group::modern::records::{GroupEpoch, ModernRecord, OwnRecord, RecordTypes, Value};
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::{StrBytes, TopicName};

/// The topics that a pattern was found to match (ConsumerGroupRegularExpressionValue).
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedRegex {
    pub topics: SortedSet<TopicName>,
    /// The offset of the metadata that was looked at.
    pub version: i64,
    /// Milliseconds.
    pub timestamp: i64,
}

/// One record of a consumer group.
pub type ConsumerRecord = ModernRecord<ConsumerKind>;

/// The records that only consumer groups have.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerOwn {
    /// What brokers before 4.1 wrote of the group's topics; it is only ever deleted.
    PartitionMetadata(Option<Bytes>),
    Regex(StrBytes, Option<ResolvedRegex>),
}

pub(super) const TYPES: RecordTypes = RecordTypes { epoch: 3, member: 5, target_epoch: 6, target: 7, current: 8 };
const PARTITION_METADATA: i16 = 4;
const REGEX: i16 = 16;

impl OwnRecord for ConsumerOwn {
    fn key(&self) -> (i16, Option<&StrBytes>) {
        match self {
            ConsumerOwn::PartitionMetadata(_) => (PARTITION_METADATA, None),
            ConsumerOwn::Regex(regex, _) => (REGEX, Some(regex)),
        }
    }

    fn is_tombstone(&self) -> bool {
        match self {
            ConsumerOwn::PartitionMetadata(value) => value.is_none(),
            ConsumerOwn::Regex(_, value) => value.is_none(),
        }
    }

    fn encode(&self) -> Option<Bytes> {
        match self {
            ConsumerOwn::PartitionMetadata(value) => value.clone(),
            ConsumerOwn::Regex(_, value) => Some(encode_regex(value.as_ref()?)),
        }
    }

    fn decode(kind: i16, key: &mut Bytes, value: Option<&Bytes>) -> Option<ConsumerOwn> {
        match kind {
            PARTITION_METADATA => Some(ConsumerOwn::PartitionMetadata(value.cloned())),
            REGEX => Some(ConsumerOwn::Regex(string(key)?, read_version(value, 0, regex)?)),
            _ => None,
        }
    }
}

pub(super) fn put_epoch(out: &mut BytesMut, value: &GroupEpoch) {
    out.put_i32(value.epoch);
    // The hash is tagged field 0, and absent when it is 0.
    let hash = Some(value.metadata_hash).filter(|hash| *hash != 0);
    put_tagged_field_0(out, hash.map(|hash| Bytes::copy_from_slice(&hash.to_be_bytes())));
}

pub(super) fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch> {
    let epoch = bytes.try_get_i32().ok()?;
    let metadata_hash = match tagged_field_0(bytes)? {
        Some(mut field) => field.try_get_i64().ok()?,
        None => 0,
    };
    Some(GroupEpoch { epoch, metadata_hash })
}

impl Value for MemberMetadata {
    fn put(&self, out: &mut BytesMut) {
        let MemberMetadata {
            instance,
            rack,
            client_id,
            client_host,
            topics,
            regex,
            rebalance_timeout,
            assignor,
            classic,
        } = self;
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

    fn read(bytes: &mut Bytes) -> Option<MemberMetadata> {
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

impl Value for CurrentAssignment {
    fn put(&self, out: &mut BytesMut) {
        let CurrentAssignment { epoch, previous_epoch, state, assigned, revoking } = self;
        out.put_i32(*epoch);
        out.put_i32(*previous_epoch);
        out.put_i8(state.code());
        put_partitions(out, assigned);
        put_partitions(out, revoking);
        out.put_u8(0);
    }

    fn read(bytes: &mut Bytes) -> Option<CurrentAssignment> {
        Some(CurrentAssignment {
            epoch: bytes.try_get_i32().ok()?,
            previous_epoch: bytes.try_get_i32().ok()?,
            state: MemberState::from_code(bytes.try_get_i8().ok()?),
            assigned: partitions(bytes)?,
            revoking: partitions(bytes)?,
        })
    }
}

fn encode_regex(value: &ResolvedRegex) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_topics(&mut out, &value.topics);
    out.put_i64(value.version);
    out.put_i64(value.timestamp);
    out.put_u8(0);
    out.freeze()
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
    use crate::kafka::group::assignor::Partitions;
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
        let resolved = ResolvedRegex { topics, version: 3, timestamp: 4 };
        check(ConsumerRecord::Own(ConsumerOwn::Regex(str_bytes("o.*"), Some(resolved))));
        check(ConsumerRecord::TargetEpoch(Some(3)));
        check(ConsumerRecord::Member(str_bytes("m"), None));
        check(ConsumerRecord::Own(ConsumerOwn::PartitionMetadata(None)));
    }
}
