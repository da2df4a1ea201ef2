//! A member of a consumer group (ConsumerGroupMember, MemberState).

use bytes::Bytes;

use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::group::ConsumerKind;
use crate::kafka::group::modern::ModernMember;
use crate::kafka::group::protocol;
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::messages::ConsumerProtocolSubscription;
use crate::wire::{ErrorCode, StrBytes, TopicName};

/// The epoch with which a member leaves (ConsumerGroupHeartbeatRequest.LEAVE_GROUP_MEMBER_EPOCH).
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves for a while (LEAVE_GROUP_STATIC_MEMBER_EPOCH).
pub const LEAVE_STATIC_EPOCH: i32 = -2;

/// How far a member is on its way to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MemberState {
    /// It has what the target of its epoch gives it.
    #[default]
    Stable,
    /// It has been told to give partitions up, and has not said yet that it did.
    UnrevokedPartitions,
    /// It waits for partitions that other members still have.
    UnreleasedPartitions,
    /// What a newer coordinator may have written.
    Unknown,
}

impl MemberState {
    /// As Kafka writes it.
    pub const fn name(self) -> &'static str {
        match self {
            MemberState::Stable => "STABLE",
            MemberState::UnrevokedPartitions => "UNREVOKED_PARTITIONS",
            MemberState::UnreleasedPartitions => "UNRELEASED_PARTITIONS",
            MemberState::Unknown => "UNKNOWN",
        }
    }

    pub(super) const fn code(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    pub(super) const fn from_code(code: i8) -> MemberState {
        match code {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// What a member that speaks the classic protocol told in its JoinGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicMetadata {
    pub session_timeout: Duration,
    /// The protocols (assignors) that it supports, its favourite first, with its metadata for each.
    pub protocols: Vec<(StrBytes, Bytes)>,
}

impl ClassicMetadata {
    /// What stands for the group's protocol in answers to this member: its favourite.
    pub fn favourite(&self) -> StrBytes {
        self.protocols.first().map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The subscription that it sent with its favourite; `None` when the bytes are none.
    pub fn subscription(&self) -> Option<ConsumerProtocolSubscription> {
        protocol::subscription(&self.protocols.first()?.1)
    }
}

/// What a member tells of itself (ConsumerGroupMemberMetadataValue).
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    /// `group.instance.id` of a static member.
    pub instance: Option<StrBytes>,
    pub rack: Option<StrBytes>,
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    pub topics: SortedSet<TopicName>,
    /// A pattern of topics' names; empty when the member gave its pattern up.
    pub regex: Option<StrBytes>,
    /// How long it may take to give partitions up: the client's `max.poll.interval.ms`.
    pub rebalance_timeout: Duration,
    /// `group.remote.assignor`
    pub assignor: Option<StrBytes>,
    /// Only of members that speak the classic protocol.
    pub classic: Option<ClassicMetadata>,
}

impl Default for MemberMetadata {
    fn default() -> MemberMetadata {
        MemberMetadata {
            instance: None,
            rack: None,
            client_id: StrBytes::new(),
            client_host: StrBytes::new(),
            topics: SortedSet::new(),
            regex: None,
            rebalance_timeout: Duration::from_millis(-1),
            assignor: None,
            classic: None,
        }
    }
}

impl MemberMetadata {
    /// Its pattern, if it has one.
    pub fn pattern(&self) -> Option<&StrBytes> {
        self.regex.as_ref().filter(|regex| !regex.is_empty())
    }
}

/// What a member has, and what it has to give up (ConsumerGroupCurrentMemberAssignmentValue).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CurrentAssignment {
    /// The epoch of the target that it has reached: what its next heartbeat must carry.
    pub epoch: i32,
    /// The epoch before: a member that did not get the last answer asks once more with it.
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Partitions,
    /// What it has been told to give up and may still read.
    pub revoking: Partitions,
}

impl CurrentAssignment {
    /// ConsumerGroupMember.Builder.updateMemberEpoch.
    pub(super) fn with_epoch(&self, epoch: i32) -> CurrentAssignment {
        CurrentAssignment { epoch, previous_epoch: self.epoch, ..self.clone() }
    }

    /// ModernGroupMember.isReconciledTo.
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Whether nobody else may be given the partition yet.
    pub fn holds(&self, topic: &crate::wire::Uuid, partition: i32) -> bool {
        let has = |of: &Partitions| of.get(topic).is_some_and(|partitions| partitions.contains(&partition));
        has(&self.assigned) || has(&self.revoking)
    }
}

pub type ConsumerMember = ModernMember<ConsumerKind>;

impl ConsumerMember {
    /// Whether it speaks the classic protocol.
    pub fn is_classic(&self) -> bool {
        self.metadata.classic.is_some()
    }

    /// ConsumerGroup.validateMemberEpoch: whether a commit or its reading comes from the member as it is.
    pub(super) fn validate_epoch(&self, epoch: i32) -> Result<(), ErrorCode> {
        if epoch == self.current.epoch {
            return Ok(());
        }
        Err(if self.is_classic() { ErrorCode::IllegalGeneration } else { ErrorCode::StaleMemberEpoch })
    }

    /// By what it is called in sentences.
    pub fn name(&self) -> &StrBytes {
        &self.metadata.client_id
    }
}
