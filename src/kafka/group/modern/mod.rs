//! What groups of the consumer protocol and share groups have in common (ModernGroup, ModernGroupMember):
//! the coordinator assigns, and epochs tell how far everything is.

pub mod records;

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};

use crate::kafka::group::assignor::Partitions;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::{GroupId, StrBytes};

use records::{GroupEpoch, ModernRecord, OwnRecord, RecordTypes, Value};

/// What the groups of one kind have that others have not.
pub trait Kind: Clone + Debug + Default + PartialEq {
    /// What a member tells of itself.
    type Metadata: Value + Clone + Debug + Default + PartialEq;
    /// What a member has.
    type Current: Value + Clone + Debug + Default + PartialEq;
    /// The records that no other kind of group has.
    type Own: OwnRecord + Clone + Debug + PartialEq;

    const TYPES: RecordTypes;

    fn put_epoch(out: &mut BytesMut, value: &GroupEpoch);

    fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch>;

    /// What a member has that leaves.
    fn left() -> Self::Current;

    fn replay(&mut self, record: &Self::Own, now: Instant);

    /// What deletes all that is its own.
    fn tombstones(&self) -> Vec<Self::Own>;
}

/// A group as its records tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModernGroup<K: Kind> {
    pub id: GroupId,
    /// Raised whenever there has to be another target; 0 before the first.
    pub epoch: i32,
    /// Of the topics' metadata that the epoch was made for; 0 without topics.
    pub metadata_hash: i64,
    /// The epoch that the targets were computed for (the assignment epoch).
    pub target_epoch: i32,
    pub members: SortedMap<StrBytes, ModernMember<K>>,
    pub targets: SortedMap<StrBytes, Partitions>,
    pub kind: K,
    /// The group's epoch when its topics' metadata was looked at for the last time; `None` when it
    /// has to be looked at. Not replicated: a new coordinator looks anew.
    pub metadata_seen_at: Option<i32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModernMember<K: Kind> {
    pub id: StrBytes,
    pub metadata: K::Metadata,
    pub current: K::Current,
}

impl<K: Kind> ModernMember<K> {
    pub fn new(id: StrBytes) -> ModernMember<K> {
        ModernMember { id, metadata: K::Metadata::default(), current: K::Current::default() }
    }
}

impl<K: Kind> ModernGroup<K> {
    pub fn new(id: GroupId) -> ModernGroup<K> {
        ModernGroup {
            id,
            epoch: 0,
            metadata_hash: 0,
            target_epoch: 0,
            members: SortedMap::new(),
            targets: SortedMap::new(),
            kind: K::default(),
            metadata_seen_at: None,
        }
    }

    /// The only way in which a record changes the group (GroupMetadataManager.replay). The tombstone
    /// of the epoch, which removes the whole group, is whoever holds the groups to carry out.
    pub(in crate::kafka::group) fn replay(&mut self, record: &ModernRecord<K>, now: Instant) {
        match record {
            ModernRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })) => {
                self.epoch = *epoch;
                self.metadata_hash = *metadata_hash;
                // What was looked at for an epoch stands in its record (hasMetadataExpired).
            }
            ModernRecord::Epoch(None) => {}
            ModernRecord::Member(id, Some(metadata)) => self.member_or_new(id).metadata = metadata.clone(),
            ModernRecord::Member(id, None) => {
                self.members.remove(id);
            }
            ModernRecord::TargetEpoch(value) => self.target_epoch = value.unwrap_or(-1),
            ModernRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            ModernRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            ModernRecord::Current(id, Some(current)) => self.member_or_new(id).current = current.clone(),
            ModernRecord::Current(id, None) => {
                if let Some(member) = self.members.get_mut(id) {
                    member.current = K::left();
                }
            }
            ModernRecord::Own(record) => self.kind.replay(record, now),
        }
    }

    fn member_or_new(&mut self, id: &StrBytes) -> &mut ModernMember<K> {
        self.members.entry(id.clone()).or_insert_with(|| ModernMember::new(id.clone()))
    }

    /// A write that failed took its epoch away again.
    pub fn has_metadata_expired(&self) -> bool {
        self.metadata_seen_at.is_none_or(|seen| self.epoch < seen)
    }

    pub fn target_of(&self, member: &StrBytes) -> Partitions {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// Everything that deletes the group (createGroupTombstoneRecords); a member that another one
    /// replaces is called by its new id.
    pub fn tombstones(&self, replaced: Option<(&StrBytes, &StrBytes)>) -> Vec<ModernRecord<K>> {
        let ids = || {
            self.members.keys().map(|id| match replaced {
                Some((old, new)) if old == id => new.clone(),
                _ => id.clone(),
            })
        };
        let mut records: Vec<ModernRecord<K>> = ids().map(|id| ModernRecord::Current(id, None)).collect();
        records.extend(ids().map(|id| ModernRecord::Target(id, None)));
        records.push(ModernRecord::TargetEpoch(None));
        records.extend(ids().map(|id| ModernRecord::Member(id, None)));
        records.extend(self.kind.tombstones().into_iter().map(ModernRecord::Own));
        records.push(ModernRecord::Epoch(None));
        records
    }
}
