//! DELETE_GROUPS (KIP-229): a group that nobody belongs to goes, with its offsets; of a share group
//! first the state of its partitions (GroupCoordinatorService.deleteGroups, GroupCoordinatorShard.deleteGroups).

use crate::kafka::coordinator::Reply;
use crate::kafka::fact::Fact;
use crate::kafka::group::classic::GroupState;
use crate::kafka::group::offsets;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::share::ShareGroupState;
use crate::kafka::group::share::persister::{DeleteState, PersisterRequest};
use crate::kafka::group::share::records::{ShareOwn, ShareRecord};
use crate::kafka::group::work::{Decided, Shard, Then, Work};
use crate::wire::messages::DeleteGroupsResponse;
use crate::wire::messages::delete_groups_response::DeletableGroupResult;
use crate::wire::{ErrorCode, GroupId};

impl Work<'_, '_> {
    /// The persister is asked to forget a share group's partitions; then, and of any other group at once,
    /// `delete_group`.
    pub fn delete_group_and_state(&mut self, shard: &Shard, id: &GroupId, reply: Reply) -> Option<Decided> {
        let states = shard.share_groups.get(id).filter(|group| group.members.is_empty());
        let Some((next, topics)) = states.and_then(|group| group.kind.partitions.all_deleting()) else {
            return self.delete_group(shard, id, reply);
        };
        let record =
            GroupRecord::Share { group: id.clone(), record: ShareRecord::Own(ShareOwn::StatePartitions(Some(next))) };
        let request = PersisterRequest::Delete(DeleteState { group: id.clone(), topics, reply });
        Some(Decided::record(record, Then::AskPersister(Box::new(request))))
    }

    pub fn delete_group(&mut self, shard: &Shard, id: &GroupId, reply: Reply) -> Option<Decided> {
        if let Err(error) = validate_delete_group(shard, id) {
            self.answer(reply, deleted(id, Some(error)));
            return None;
        }
        let mut records = offsets::delete_all(shard, id);
        if shard.groups.contains_key(id) {
            records.push(GroupRecord::Group { group: id.clone(), value: None });
        }
        let consumer = shard.consumer_groups.get(id).into_iter().flat_map(|group| group.tombstones(None));
        records.extend(consumer.map(|record| GroupRecord::Consumer { group: id.clone(), record }));
        let share = shard.share_groups.get(id).into_iter().flat_map(|group| group.tombstones(None));
        records.extend(share.map(|record| GroupRecord::Share { group: id.clone(), record }));
        let facts = vec![Fact::GroupDeleted { group: id.clone() }];
        Some(Decided::plain(records, Then::Answer { reply, response: Box::new(deleted(id, None).into()), facts }))
    }
}

/// Group.validateDeleteGroup of each kind.
fn validate_delete_group(shard: &Shard, id: &GroupId) -> Result<(), ErrorCode> {
    let is_empty = if let Some(group) = shard.groups.get(id) {
        match group.state {
            GroupState::Dead => return Err(ErrorCode::GroupIdNotFound),
            GroupState::Empty => true,
            GroupState::PreparingRebalance | GroupState::CompletingRebalance | GroupState::Stable => false,
        }
    } else if let Some(group) = shard.consumer_groups.get(id) {
        group.members.is_empty()
    } else if let Some(group) = shard.share_groups.get(id) {
        group.state() == ShareGroupState::Empty
    } else {
        return Err(ErrorCode::GroupIdNotFound);
    };
    if is_empty { Ok(()) } else { Err(ErrorCode::NonEmptyGroup) }
}

/// The answer about one group.
pub(super) fn deleted(id: &GroupId, error: Option<ErrorCode>) -> DeleteGroupsResponse {
    let result = DeletableGroupResult::default().with_group_id(id.clone());
    DeleteGroupsResponse::default().with_results(vec![result.with_error_code(error.map_or(0, |error| error.code()))])
}
