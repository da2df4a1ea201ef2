//! What the group coordinator wants of the share coordinators: a state for each partition that a share
//! group is about to read (GroupCoordinatorService.persisterInitialize). It is told when all of a
//! request's partitions have an outcome.

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::persister::AskId;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::group::share::persister::{InitializeState, StateInitialized};
use crate::kafka::node::Turn;
use crate::kafka::share::SharePartitionKey;
use crate::kafka::share_coordinator::Op;
use crate::sorted::SortedSet;
use crate::wire::ErrorCode;

/// A request of the group coordinator's that is under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Initializing {
    request: InitializeState,
    waiting: SortedSet<AskId>,
    /// The first partition's error.
    error: Option<ErrorCode>,
}

impl Process {
    /// Passes on what the group coordinator asks for.
    pub(super) fn initialize_share_states(&mut self) {
        for request in self.groups.take_initialize_requests() {
            let mut waiting = SortedSet::new();
            for (topic, partitions) in &request.topics {
                for (partition, start) in partitions {
                    let key = SharePartitionKey { group: request.group.clone(), topic: *topic, partition: *partition };
                    let op = Op::Initialize { state_epoch: request.state_epoch, start: *start };
                    waiting.insert(self.persister.ask(key, op));
                }
            }
            self.initializing.push(Initializing { request, waiting, error: None });
        }
    }

    /// One partition's outcome.
    pub(super) fn share_state_initialized(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        id: AskId,
        result: Result<(), ErrorCode>,
    ) {
        let Some(index) = self.initializing.iter().position(|of| of.waiting.contains(&id)) else { return };
        let of = &mut self.initializing[index];
        of.waiting.remove(&id);
        of.error = of.error.or(result.err());
        if !of.waiting.is_empty() {
            return;
        }
        let Initializing { request, error, .. } = self.initializing.remove(index);
        let done = StateInitialized { request, result: error.map_or(Ok(()), Err) };
        self.groups.state_initialized(turn, &self.image, &done);
        self.append_decided(disk, turn, CoordinatorType::Group, None);
    }
}
