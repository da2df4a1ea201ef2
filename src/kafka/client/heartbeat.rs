//! What members of consumer groups and of share groups have in common that say in heartbeats what they
//! are (AbstractMembershipManager, AbstractHeartbeatRequestManager).

use crate::kafka::client::metadata::Metadata;
use crate::sorted::SortedMap;
use crate::wire::{ErrorCode, TopicPartition, Uuid};

/// The epoch with which a member joins, and those with which it leaves.
pub(super) const JOIN_EPOCH: i32 = 0;
pub(super) const LEAVE_EPOCH: i32 = -1;
pub(super) const LEAVE_STATIC_EPOCH: i32 = -2;

/// What a refused heartbeat means (AbstractHeartbeatRequestManager.onErrorResponse).
pub(super) enum Refusal {
    /// The coordinator is another broker, or none at the moment.
    NoCoordinator,
    /// To be tried again.
    Loading,
    /// What the member had somebody else may have by now; it joins anew (transitionToFenced).
    Fenced,
    /// The application has to know it (transitionToFatal).
    Fatal,
}

impl Refusal {
    pub fn of(error: ErrorCode) -> Refusal {
        match error {
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => Refusal::NoCoordinator,
            ErrorCode::CoordinatorLoadInProgress => Refusal::Loading,
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => Refusal::Fenced,
            _ => Refusal::Fatal,
        }
    }
}

/// An assignment by topic id as it was told.
pub(super) type Told = SortedMap<Uuid, Vec<i32>>;

/// Its partitions in order. `None`: a topic's name is not known yet, and the metadata is asked for it
/// (findResolvableAssignmentAndTriggerMetadataUpdate).
pub(super) fn by_name(told: &Told, metadata: &mut Metadata) -> Option<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    for (id, those) in told {
        let Some(name) = metadata.topic_name(*id) else {
            metadata.request_update();
            return None;
        };
        partitions.extend(those.iter().map(|partition| TopicPartition::new(name.clone(), *partition)));
    }
    partitions.sort_unstable();
    Some(partitions)
}
