//! A share group as its records tell it (ShareGroup, ShareGroupMember).

use bytes::{Bytes, BytesMut};

use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::member::LEAVE_EPOCH;
use crate::kafka::group::modern::records::{GroupEpoch, RecordTypes};
use crate::kafka::group::modern::{Kind, ModernGroup, ModernMember};
use crate::kafka::group::share::records::{self, ShareOwn};
use crate::kafka::group::share::state::StatePartitions;
use crate::sorted::SortedSet;
use crate::time::Instant;
use crate::wire::{ErrorCode, StrBytes, TopicName};

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

pub type ShareMember = ModernMember<ShareKind>;

impl ShareMember {
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

pub type ShareGroup = ModernGroup<ShareKind>;

/// What a group has besides as a share group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareKind {
    /// The partitions whose share-group state is there, is being made or is being deleted.
    pub partitions: StatePartitions,
}

impl Kind for ShareKind {
    type Metadata = ShareMemberMetadata;
    type Current = ShareAssignment;
    type Own = ShareOwn;

    const TYPES: RecordTypes = records::TYPES;

    fn put_epoch(out: &mut BytesMut, value: &GroupEpoch) {
        records::put_epoch(out, value);
    }

    fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch> {
        records::epoch(bytes)
    }

    fn left() -> ShareAssignment {
        ShareAssignment { epoch: LEAVE_EPOCH, previous_epoch: LEAVE_EPOCH, assigned: Partitions::new() }
    }

    fn replay(&mut self, record: &ShareOwn, now: Instant) {
        let ShareOwn::StatePartitions(value) = record;
        // What is being initialised counts as begun now, also for a coordinator that loads.
        self.partitions = StatePartitions { since: now, ..value.clone().unwrap_or_default() };
    }

    fn tombstones(&self) -> Vec<ShareOwn> {
        vec![ShareOwn::StatePartitions(None)]
    }
}

impl ShareGroup {
    pub fn state(&self) -> ShareGroupState {
        if self.members.is_empty() { ShareGroupState::Empty } else { ShareGroupState::Stable }
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
        let initialized = self.kind.partitions.initialized.iter();
        let mut subscribed = initialized.filter(|(_, topic)| self.is_subscribed_to(&topic.name));
        !self.members.is_empty() && subscribed.any(|(id, topic)| assigned.get(id) != Some(&topic.partitions))
    }
}
