//! What a group coordinator asks of the persister of share-group state, and what it hears from it
//! (Persister.initializeState, deleteState). The broker carries the request to the share coordinators,
//! which keep the state, and brings the result back.

use crate::kafka::coordinator::Reply;
use crate::kafka::group::share::alter::Altering;
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{ErrorCode, GroupId, Offset, Uuid};

/// Partitions by topic, each with an offset; no map is empty.
pub type SharePartitions = SortedMap<Uuid, SortedMap<i32, Offset>>;

#[derive(Clone, Debug, PartialEq)]
pub enum PersisterRequest {
    Initialize(InitializeState),
    Delete(DeleteState),
}

impl PersisterRequest {
    pub fn group(&self) -> &GroupId {
        match self {
            PersisterRequest::Initialize(request) => &request.group,
            PersisterRequest::Delete(request) => &request.group,
        }
    }
}

/// Make the share-group state of these partitions (InitializeShareGroupStateParameters).
#[derive(Clone, Debug, PartialEq)]
pub struct InitializeState {
    pub group: GroupId,
    /// The group's epoch, which becomes the epoch of the state.
    pub state_epoch: i32,
    /// Where the group begins to read each partition; -1: the partition's leader decides
    /// (PartitionFactory.UNINITIALIZED_START_OFFSET).
    pub topics: SharePartitions,
    /// Somebody has chosen the offsets, and waits.
    pub altering: Option<Box<Altering>>,
}

/// Delete the share-group state of these partitions, because the group is to be deleted
/// (DeleteShareGroupStateParameters).
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteState {
    pub group: GroupId,
    pub topics: SortedMap<Uuid, SortedSet<i32>>,
    /// Who asked for it, and waits.
    pub reply: Reply,
}

/// How a request ended (InitializeShareGroupStateResult, DeleteShareGroupStateResult): as a whole, for
/// the coordinator takes any partition's error as that of all.
#[derive(Clone, Debug, PartialEq)]
pub struct PersisterAnswer {
    pub request: PersisterRequest,
    /// The first partition's error, if any has one.
    pub result: Result<(), ErrorCode>,
}
