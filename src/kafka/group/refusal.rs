//! An error as each of the group requests carries it.

use crate::kafka::group::consumer::heartbeat_error;
use crate::kafka::group::deletion::deleted;
use crate::kafka::group::join::join_error;
use crate::kafka::group::share;
use crate::kafka::group::sync::sync_error;
use crate::kafka::group::transactional::refuse_txn_commit;
use crate::wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use crate::wire::messages::{HeartbeatResponse, LeaveGroupResponse, OffsetCommitResponse, OffsetFetchResponse};
use crate::wire::{ErrorCode, Request, Response};

/// The answer to a request that failed as a whole; `None` for requests that are not a group's.
pub fn refuse(request: &Request, error: ErrorCode) -> Option<Response> {
    Some(match request {
        Request::JoinGroup(join) => join_error(&join.member_id, error).into(),
        Request::SyncGroup(_) => sync_error(error).into(),
        Request::Heartbeat(_) => HeartbeatResponse::default().with_error_code(error.code()).into(),
        Request::ConsumerGroupHeartbeat(_) => heartbeat_error(error).into(),
        Request::ShareGroupHeartbeat(_) => share::heartbeat_error(error).into(),
        Request::AlterShareGroupOffsets(_) => share::alter_error(error).into(),
        Request::LeaveGroup(_) => LeaveGroupResponse::default().with_error_code(error.code()).into(),
        Request::OffsetCommit(commit) => {
            let mut response = OffsetCommitResponse::default();
            for topic in &commit.topics {
                let row = |index: i32| OffsetCommitResponsePartition::default().with_partition_index(index);
                let rows = topic.partitions.iter().map(|p| row(p.partition_index).with_error_code(error.code()));
                let answer = OffsetCommitResponseTopic::default().with_name(topic.name.clone());
                response.topics.push(answer.with_partitions(rows.collect()));
            }
            response.into()
        }
        Request::TxnOffsetCommit(commit) => refuse_txn_commit(commit, error).into(),
        Request::DeleteGroups(delete) => deleted(delete.groups_names.first()?, Some(error)).into(),
        Request::OffsetFetch(fetch) => {
            let group = |id| OffsetFetchResponseGroup::default().with_group_id(id).with_error_code(error.code());
            let mut response = OffsetFetchResponse::default().with_error_code(error.code());
            response.groups = fetch.groups.iter().map(|g| group(g.group_id.clone())).collect();
            response.into()
        }
        _ => return None,
    })
}

/// While a coordinator loads, a SyncGroup is sent back to JoinGroup, because the rebalance that it
/// belongs to is lost, and a heartbeat is believed (GroupCoordinatorService).
pub(super) fn refuse_loading(request: &Request) -> Option<Response> {
    match request {
        Request::SyncGroup(_) => refuse(request, ErrorCode::RebalanceInProgress),
        Request::Heartbeat(_) => Some(HeartbeatResponse::default().into()),
        _ => refuse(request, ErrorCode::CoordinatorLoadInProgress),
    }
}

/// Turns a ready answer into one that failed, when its write did not make it.
pub(super) fn spoil(response: &mut Response, error: ErrorCode) {
    match response {
        Response::ConsumerGroupHeartbeat(heartbeat) => *heartbeat = heartbeat_error(error),
        Response::ShareGroupHeartbeat(heartbeat) => *heartbeat = share::heartbeat_error(error),
        Response::LeaveGroup(leave) => *leave = LeaveGroupResponse::default().with_error_code(error.code()),
        Response::OffsetCommit(commit) => {
            for partition in commit.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                if partition.error_code == 0 {
                    partition.error_code = error.code();
                }
            }
        }
        Response::TxnOffsetCommit(commit) => {
            for partition in commit.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                if partition.error_code == 0 {
                    partition.error_code = error.code();
                }
            }
        }
        Response::DeleteGroups(delete) => {
            delete.results.iter_mut().for_each(|result| result.error_code = error.code());
        }
        Response::OffsetFetch(fetch) => {
            for group in &mut fetch.groups {
                group.topics.clear();
                group.error_code = error.code();
            }
        }
        _ => {}
    }
}
