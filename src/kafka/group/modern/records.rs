//! The records of both kinds of groups in `__consumer_offsets`, key and value as Kafka's schemas say
//! (GroupCoordinatorRecordHelpers, the ConsumerGroup… and ShareGroup…Key and …Value of the group
//! coordinator). Keys are plain, values are flexible.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::plain::{put_string, string};
use crate::kafka::coordinator::record::read_version;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::flexible::{partitions, put_partitions};
use crate::kafka::group::modern::Kind;
use crate::wire::StrBytes;

/// The group's epoch, and a hash of the metadata of its topics that the epoch was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpoch {
    pub epoch: i32,
    pub metadata_hash: i64,
}

/// One record of a group; without a value it deletes what its key names.
#[derive(Clone, Debug, PartialEq)]
pub enum ModernRecord<K: Kind> {
    Epoch(Option<GroupEpoch>),
    Member(StrBytes, Option<K::Metadata>),
    TargetEpoch(Option<i32>),
    Target(StrBytes, Option<Partitions>),
    Current(StrBytes, Option<K::Current>),
    Own(K::Own),
}

/// The types of the records, which are the versions of their keys.
pub struct RecordTypes {
    pub epoch: i16,
    pub member: i16,
    pub target_epoch: i16,
    pub target: i16,
    pub current: i16,
}

/// The value of a record, without its version.
pub trait Value: Sized {
    fn put(&self, out: &mut BytesMut);

    fn read(bytes: &mut Bytes) -> Option<Self>;
}

/// A record that only one kind of group has.
pub trait OwnRecord: Sized {
    fn key(&self) -> (i16, Option<&StrBytes>);

    fn is_tombstone(&self) -> bool;

    fn encode(&self) -> Option<Bytes>;

    fn decode(kind: i16, key: &mut Bytes, value: Option<&Bytes>) -> Option<Self>;
}

impl<K: Kind> ModernRecord<K> {
    /// The type of the record, and what its key names besides the group.
    pub(in crate::kafka::group) fn key(&self) -> (i16, Option<&StrBytes>) {
        match self {
            ModernRecord::Epoch(_) => (K::TYPES.epoch, None),
            ModernRecord::Member(member, _) => (K::TYPES.member, Some(member)),
            ModernRecord::TargetEpoch(_) => (K::TYPES.target_epoch, None),
            ModernRecord::Target(member, _) => (K::TYPES.target, Some(member)),
            ModernRecord::Current(member, _) => (K::TYPES.current, Some(member)),
            ModernRecord::Own(record) => record.key(),
        }
    }

    pub fn is_tombstone(&self) -> bool {
        match self {
            ModernRecord::Epoch(value) => value.is_none(),
            ModernRecord::Member(_, value) => value.is_none(),
            ModernRecord::TargetEpoch(value) => value.is_none(),
            ModernRecord::Target(_, value) => value.is_none(),
            ModernRecord::Current(_, value) => value.is_none(),
            ModernRecord::Own(record) => record.is_tombstone(),
        }
    }

    /// What a member leaves behind, in the order in which it goes (removeMember).
    pub(in crate::kafka::group) fn without_member(id: &StrBytes) -> [ModernRecord<K>; 3] {
        [
            ModernRecord::Current(id.clone(), None),
            ModernRecord::Target(id.clone(), None),
            ModernRecord::Member(id.clone(), None),
        ]
    }

    pub(in crate::kafka::group) fn encode(&self, key: &mut BytesMut) -> Option<Bytes> {
        if let Some(named) = self.key().1 {
            put_string(key, named);
        }
        let mut out = BytesMut::new();
        out.put_i16(0);
        match self {
            ModernRecord::Epoch(value) => K::put_epoch(&mut out, value.as_ref()?),
            ModernRecord::Member(_, value) => value.as_ref()?.put(&mut out),
            ModernRecord::TargetEpoch(value) => {
                out.put_i32((*value)?);
                out.put_u8(0);
            }
            ModernRecord::Target(_, value) => {
                put_partitions(&mut out, value.as_ref()?);
                out.put_u8(0);
            }
            ModernRecord::Current(_, value) => value.as_ref()?.put(&mut out),
            ModernRecord::Own(record) => return record.encode(),
        }
        Some(out.freeze())
    }

    /// Reads what follows on the group in the key, and the value. `None` for other types.
    pub(in crate::kafka::group) fn decode(kind: i16, key: &mut Bytes, value: Option<&Bytes>) -> Option<Self> {
        let RecordTypes { epoch, member, target_epoch, target, current } = K::TYPES;
        Some(match kind {
            kind if kind == epoch => ModernRecord::Epoch(read_version(value, 0, K::epoch)?),
            kind if kind == member => ModernRecord::Member(string(key)?, read_version(value, 0, K::Metadata::read)?),
            kind if kind == target_epoch => {
                ModernRecord::TargetEpoch(read_version(value, 0, |bytes| bytes.try_get_i32().ok())?)
            }
            kind if kind == target => ModernRecord::Target(string(key)?, read_version(value, 0, partitions)?),
            kind if kind == current => ModernRecord::Current(string(key)?, read_version(value, 0, K::Current::read)?),
            kind => ModernRecord::Own(K::Own::decode(kind, key, value)?),
        })
    }
}
