//! What a group coordinator asks of the persister of share-group state, and what it hears from it
//! (Persister.initializeState). The broker carries the request to the share coordinators, which keep
//! the state, and brings the result back.

use crate::sorted::SortedMap;
use crate::wire::{ErrorCode, GroupId, Offset, Uuid};

/// Partitions by topic, each with an offset; no map is empty.
pub type SharePartitions = SortedMap<Uuid, SortedMap<i32, Offset>>;

/// Make the share-group state of these partitions (InitializeShareGroupStateParameters).
#[derive(Clone, Debug, PartialEq)]
pub struct InitializeState {
    pub group: GroupId,
    /// The group's epoch, which becomes the epoch of the state.
    pub state_epoch: i32,
    /// Where the group begins to read each partition; -1: the partition's leader decides
    /// (PartitionFactory.UNINITIALIZED_START_OFFSET).
    pub topics: SharePartitions,
}

/// How a request ended (InitializeShareGroupStateResult): as a whole, for the coordinator takes any
/// partition's error as that of all.
#[derive(Clone, Debug, PartialEq)]
pub struct StateInitialized {
    pub request: InitializeState,
    /// The first partition's error, if any has one.
    pub result: Result<(), ErrorCode>,
}
