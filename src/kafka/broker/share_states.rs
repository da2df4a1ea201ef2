//! What the group coordinator wants of the share coordinators: a state for each partition that a share
//! group is about to read, and an end to that of a group that is to be deleted
//! (GroupCoordinatorService.persisterInitialize, deleteShareGroups). It is told when all of a request's
//! partitions have an outcome.

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::persister::AskId;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::group::share::persister::{PersisterAnswer, PersisterRequest};
use crate::kafka::node::Turn;
use crate::kafka::share::SharePartitionKey;
use crate::kafka::share_coordinator::Op;
use crate::sorted::SortedSet;
use crate::wire::{ErrorCode, Uuid};

/// A request of the group coordinator's that is under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OnItsWay {
    request: PersisterRequest,
    waiting: SortedSet<AskId>,
    /// The first partition's error.
    error: Option<ErrorCode>,
}

impl Process {
    /// Passes on what the group coordinator asks for.
    pub(super) fn ask_persister_for_groups(&mut self) {
        for request in self.groups.take_persister_requests() {
            let group = request.group();
            let waiting = operations(&request).into_iter().map(|(topic, partition, op)| {
                self.persister.ask(SharePartitionKey { group: group.clone(), topic, partition }, op)
            });
            let waiting = waiting.collect();
            self.group_states.push(OnItsWay { request, waiting, error: None });
        }
    }

    /// One partition's outcome.
    pub(super) fn persister_answered_group(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        id: AskId,
        result: Result<(), ErrorCode>,
    ) {
        let Some(index) = self.group_states.iter().position(|of| of.waiting.contains(&id)) else { return };
        let of = &mut self.group_states[index];
        of.waiting.remove(&id);
        of.error = of.error.or(result.err());
        if !of.waiting.is_empty() {
            return;
        }
        let OnItsWay { request, error, .. } = self.group_states.remove(index);
        let answer = PersisterAnswer { request, result: error.map_or(Ok(()), Err) };
        self.groups.persister_answered(turn, &self.image, &answer);
        self.append_decided(disk, turn, CoordinatorType::Group, None);
    }
}

/// What a request means for each of its partitions.
fn operations(request: &PersisterRequest) -> Vec<(Uuid, i32, Op)> {
    match request {
        PersisterRequest::Initialize(request) => {
            let each = request.topics.iter().flat_map(|(topic, those)| those.iter().map(|each| (*topic, each)));
            let op = |start| Op::Initialize { state_epoch: request.state_epoch, start };
            each.map(|(topic, (partition, start))| (topic, *partition, op(*start))).collect()
        }
        PersisterRequest::Delete(request) => {
            let each = request.topics.iter().flat_map(|(topic, those)| those.iter().map(|each| (*topic, *each)));
            each.map(|(topic, partition)| (topic, partition, Op::Delete)).collect()
        }
    }
}
