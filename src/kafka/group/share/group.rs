//! A share group as its records tell it (ShareGroup, ShareGroupMember).

use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::member::LEAVE_EPOCH;
use crate::kafka::group::consumer::records::GroupEpoch;
use crate::kafka::group::share::records::ShareRecord;
use crate::kafka::group::share::state::StatePartitions;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{ErrorCode, GroupId, StrBytes, TopicName};

/// ShareGroupState: members need not wait for each other, so there is nothing in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareGroupState {
    Empty,
    Stable,
}

impl ShareGroupState {
    /// As Kafka's tools write it.
    pub const fn name(self) -> &'static str {
        match self {
            ShareGroupState::Empty => "Empty",
            ShareGroupState::Stable => "Stable",
        }
    }
}

/// What a member tells of itself (ShareGroupMemberMetadataValue).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareMemberMetadata {
    pub rack: Option<StrBytes>,
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    pub topics: SortedSet<TopicName>,
}

/// What a member has (ShareGroupCurrentMemberAssignmentValue).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareAssignment {
    /// The epoch of the target that it has reached: what its next heartbeat must carry.
    pub epoch: i32,
    /// The epoch before: a member that did not get the last answer asks once more with it.
    pub previous_epoch: i32,
    pub assigned: Partitions,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShareMember {
    pub id: StrBytes,
    pub metadata: ShareMemberMetadata,
    pub current: ShareAssignment,
}

impl ShareMember {
    pub fn new(id: StrBytes) -> ShareMember {
        ShareMember { id, metadata: ShareMemberMetadata::default(), current: ShareAssignment::default() }
    }

    /// By what it is called in sentences.
    pub fn name(&self) -> &StrBytes {
        &self.metadata.client_id
    }

    /// throwIfShareGroupMemberEpochIsInvalid: the member is at the epoch that we know, or it missed our
    /// last answer, or it joins anew.
    pub(super) fn validate_epoch(&self, received: i32) -> Result<(), ErrorCode> {
        let ShareAssignment { epoch, previous_epoch, .. } = self.current;
        let missed_answer = received < epoch && received == previous_epoch;
        let known = received == 0 || received == epoch || missed_answer;
        if known { Ok(()) } else { Err(ErrorCode::FencedMemberEpoch) }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShareGroup {
    pub id: GroupId,
    /// Raised whenever there has to be another target; 0 before the first.
    pub epoch: i32,
    /// Of the topics' metadata that the epoch was made for; 0 without topics.
    pub metadata_hash: i64,
    /// The epoch that the targets were computed for (the assignment epoch).
    pub target_epoch: i32,
    pub members: SortedMap<StrBytes, ShareMember>,
    pub targets: SortedMap<StrBytes, Partitions>,
    /// The partitions whose share-group state is there, is being made or is being deleted.
    pub partitions: StatePartitions,
    /// The group's epoch when its topics' metadata was looked at for the last time; `None` when it
    /// has to be looked at. Not replicated: a new coordinator looks anew.
    pub metadata_seen_at: Option<i32>,
}

impl ShareGroup {
    pub fn new(id: GroupId) -> ShareGroup {
        ShareGroup {
            id,
            epoch: 0,
            metadata_hash: 0,
            target_epoch: 0,
            members: SortedMap::new(),
            targets: SortedMap::new(),
            partitions: StatePartitions::default(),
            metadata_seen_at: None,
        }
    }

    pub fn state(&self) -> ShareGroupState {
        if self.members.is_empty() { ShareGroupState::Empty } else { ShareGroupState::Stable }
    }

    /// The only way in which a record changes the group (GroupMetadataManager.replay). The tombstone
    /// of the epoch, which removes the whole group, is whoever holds the groups to carry out.
    pub(in crate::kafka::group) fn replay(&mut self, record: &ShareRecord, now: Instant) {
        match record {
            ShareRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })) => {
                self.epoch = *epoch;
                self.metadata_hash = *metadata_hash;
            }
            ShareRecord::Epoch(None) => {}
            ShareRecord::Member(id, Some(metadata)) => self.member_or_new(id).metadata = metadata.clone(),
            ShareRecord::Member(id, None) => {
                self.members.remove(id);
            }
            ShareRecord::TargetEpoch(value) => self.target_epoch = value.unwrap_or(-1),
            ShareRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            ShareRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            ShareRecord::Current(id, Some(current)) => self.member_or_new(id).current = current.clone(),
            ShareRecord::Current(id, None) => {
                if let Some(member) = self.members.get_mut(id) {
                    let (epoch, previous_epoch) = (LEAVE_EPOCH, LEAVE_EPOCH);
                    member.current = ShareAssignment { epoch, previous_epoch, assigned: Partitions::new() };
                }
            }
            ShareRecord::StatePartitions(value) => {
                // What is being initialised counts as begun now, also for a coordinator that loads.
                self.partitions = StatePartitions { since: now, ..value.clone().unwrap_or_default() };
            }
        }
    }

    fn member_or_new(&mut self, id: &StrBytes) -> &mut ShareMember {
        self.members.entry(id.clone()).or_insert_with(|| ShareMember::new(id.clone()))
    }

    /// ModernGroup.hasMetadataExpired. A write that failed took its epoch away again.
    pub fn has_metadata_expired(&self) -> bool {
        self.metadata_seen_at.is_none_or(|seen| self.epoch < seen)
    }

    pub fn target_of(&self, member: &StrBytes) -> Partitions {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// Everything that its members subscribe to; `replaced` stands for the member of the same id.
    pub(super) fn subscribed_topics(&self, replaced: Option<&ShareMember>) -> SortedSet<TopicName> {
        let mut topics = SortedSet::new();
        let others = self.members.values().filter(|member| replaced.is_none_or(|new| new.id != member.id));
        for member in others.chain(replaced) {
            topics.extend(member.metadata.topics.iter().cloned());
        }
        topics
    }

    pub fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        self.members.values().any(|member| member.metadata.topics.contains(topic))
    }

    /// Whether partitions have been initialised that nobody reads yet, or that are gone
    /// (initializedAssignmentPending).
    pub(super) fn has_unassigned_partitions(&self) -> bool {
        let mut assigned = Partitions::new();
        for (topic, partitions) in self.targets.values().flatten() {
            assigned.entry(*topic).or_default().extend(partitions.iter().copied());
        }
        let initialized = self.partitions.initialized.iter();
        let mut subscribed = initialized.filter(|(_, topic)| self.is_subscribed_to(&topic.name));
        !self.members.is_empty() && subscribed.any(|(id, topic)| assigned.get(id) != Some(&topic.partitions))
    }

    /// Everything that deletes the group (createGroupTombstoneRecords).
    pub fn tombstones(&self) -> Vec<ShareRecord> {
        let ids = || self.members.keys().cloned();
        let mut records: Vec<ShareRecord> = ids().map(|id| ShareRecord::Current(id, None)).collect();
        records.extend(ids().map(|id| ShareRecord::Target(id, None)));
        records.push(ShareRecord::TargetEpoch(None));
        records.extend(ids().map(|id| ShareRecord::Member(id, None)));
        records.push(ShareRecord::StatePartitions(None));
        records.push(ShareRecord::Epoch(None));
        records
    }
}
