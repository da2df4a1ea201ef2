//! SyncGroup, Heartbeat and LeaveGroup of classic groups (GroupMetadataManager.classicGroupSync,
//! classicGroupHeartbeat, classicGroupLeave).

use bytes::Bytes;

use crate::kafka::fact::Fact;
use crate::kafka::group::classic::{ClassicGroup, GroupState};
use crate::kafka::group::rebalance::group_record;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::sorted::SortedMap;
use crate::wire::messages::leave_group_request::MemberIdentity;
use crate::wire::messages::leave_group_response::MemberResponse;
use crate::wire::messages::{
    HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use crate::wire::{ErrorCode, StrBytes, code};

pub(super) fn sync_error(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(error.code())
}

fn sync_answer(group: &ClassicGroup, assignment: Bytes) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_protocol_type(group.protocol_type.clone())
        .with_protocol_name(group.protocol.clone())
        .with_assignment(assignment)
}

/// A client that names no protocol is not checked.
fn is_inconsistent(asked: Option<&StrBytes>, own: Option<&StrBytes>) -> bool {
    matches!((asked, own), (Some(asked), Some(own)) if asked != own)
}

fn validate_sync(group: &ClassicGroup, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    if group.state == GroupState::Dead {
        return Err(ErrorCode::CoordinatorNotAvailable);
    }
    group.validate_member(&request.member_id, request.group_instance_id.as_ref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    if is_inconsistent(request.protocol_type.as_ref(), group.protocol_type.as_ref())
        || is_inconsistent(request.protocol_name.as_ref(), group.protocol.as_ref())
    {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    match group.state {
        GroupState::Empty => Err(ErrorCode::UnknownMemberId),
        GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
        _ => Ok(()),
    }
}

impl Work<'_, '_> {
    pub fn sync(&mut self, shard: &mut Shard, context: &Context, request: &SyncGroupRequest) -> Option<Decided> {
        let Some(group) = shard.group_mut(&request.group_id) else {
            self.answer(context.reply(), sync_error(ErrorCode::UnknownMemberId));
            return None;
        };
        if let Err(error) = validate_sync(group, request) {
            self.answer(context.reply(), sync_error(error));
            return None;
        }
        group.pending_sync.remove(&request.member_id);
        if group.pending_sync.is_empty() {
            self.cancel(TimerKind::Sync(group.id.clone()));
        }
        if group.state == GroupState::Stable {
            let assignment = group.member(&request.member_id).map(|m| m.assignment.clone()).unwrap_or_default();
            self.answer(context.reply(), sync_answer(group, assignment));
            return None;
        }
        if let Some(member) = group.member_mut(&request.member_id) {
            member.awaiting_sync = Some(context.reply());
        }
        group.is_leader(&request.member_id).then(|| decide_assignment(group, request))
    }

    /// The assignment is committed. The group may have moved on while the write was under way.
    pub fn sync_committed(
        &mut self,
        group: &mut ClassicGroup,
        generation: i32,
        assignments: &SortedMap<StrBytes, Bytes>,
    ) {
        if group.state != GroupState::CompletingRebalance || group.generation != generation {
            return;
        }
        for member in &mut group.members {
            member.assignment = assignments.get(&member.id).cloned().unwrap_or_default();
        }
        self.propagate_assignment(group, None);
        group.transition_to(GroupState::Stable, self.now());
        self.turn.tell(Fact::GenerationStable {
            group: group.id.clone(),
            generation,
            members: group.members.len() as i32,
        });
    }

    /// The assignment could not be written: everybody who waits is told and joins again.
    pub fn sync_failed(&mut self, group: &mut ClassicGroup, generation: i32, error: ErrorCode) -> Option<GroupRecord> {
        if group.state != GroupState::CompletingRebalance || group.generation != generation {
            return None;
        }
        self.reset_assignment(group, error);
        self.maybe_prepare_rebalance(group, "the assignment could not be written")
    }

    pub fn reset_assignment(&mut self, group: &mut ClassicGroup, error: ErrorCode) {
        for member in &mut group.members {
            member.assignment = Bytes::new();
        }
        self.propagate_assignment(group, Some(error));
    }

    /// Answers every parked SyncGroup. Whoever waited for it starts a new session, because the end
    /// of the old one went unnoticed while it waited.
    fn propagate_assignment(&mut self, group: &mut ClassicGroup, error: Option<ErrorCode>) {
        for index in 0..group.members.len() {
            let Some(reply) = group.members[index].awaiting_sync.take() else {
                continue;
            };
            let response = match error {
                Some(error) => sync_error(error),
                None => sync_answer(group, group.members[index].assignment.clone()),
            };
            self.answer(reply, response);
            let id = group.members[index].id.clone();
            self.restart_session(group, &id);
        }
    }

    pub fn heartbeat(&mut self, shard: &mut Shard, context: &Context, request: &HeartbeatRequest) {
        let result = match shard.groups.get(&request.group_id) {
            Some(group) => validate_heartbeat(group, request),
            None => Err(ErrorCode::UnknownMemberId),
        };
        let keeps_session = matches!(result, Ok(()) | Err(ErrorCode::RebalanceInProgress));
        if let Some(group) = shard.groups.get(&request.group_id).filter(|_| keeps_session) {
            self.restart_session(group, &request.member_id);
        }
        self.answer(context.reply(), HeartbeatResponse::default().with_error_code(code(result.err())));
    }

    pub fn leave(&mut self, shard: &mut Shard, context: &Context, request: &LeaveGroupRequest) -> Option<Decided> {
        let refusal = match shard.groups.get(&request.group_id) {
            None => Some(ErrorCode::UnknownMemberId),
            Some(group) if group.state == GroupState::Dead => Some(ErrorCode::CoordinatorNotAvailable),
            Some(_) => None,
        };
        if let Some(error) = refusal {
            self.answer(context.reply(), LeaveGroupResponse::default().with_error_code(error.code()));
            return None;
        }
        let group = shard.group_mut(&request.group_id)?;
        let mut responses = Vec::new();
        let mut left = Vec::new();
        for identity in &request.members {
            let result = self.leave_one(group, identity);
            let response = MemberResponse::default()
                .with_member_id(identity.member_id.clone())
                .with_group_instance_id(identity.group_instance_id.clone());
            responses.push(response.with_error_code(code(result.as_ref().err().copied())));
            left.extend(result.ok());
        }
        let record = match group.state {
            _ if left.is_empty() => None,
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.maybe_prepare_rebalance(group, &format!("{} leaves", left.join(", ")))
            }
            GroupState::PreparingRebalance => self.maybe_complete_join(group),
            GroupState::Empty | GroupState::Dead => None,
        };
        let response = LeaveGroupResponse::default().with_members(responses);
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts: Vec::new() };
        Some(Decided::plain(record.into_iter().collect(), then))
    }

    /// The name of whoever left. Without a member id an operator removes a static member.
    fn leave_one(&mut self, group: &mut ClassicGroup, identity: &MemberIdentity) -> Result<String, ErrorCode> {
        let id = if identity.member_id.is_empty() {
            let instance = identity.group_instance_id.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
            group.static_member(instance).cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else if group.pending_join.contains(&identity.member_id) {
            group.remove(&identity.member_id);
            self.cancel(TimerKind::Session(group.id.clone(), identity.member_id.clone()));
            return Ok(identity.member_id.to_string());
        } else {
            group.validate_member(&identity.member_id, identity.group_instance_id.as_ref())?;
            identity.member_id.clone()
        };
        let name = group.member(&id).map(|m| m.client_id.to_string()).unwrap_or_default();
        self.remove_member(group, &id, "it asked to");
        Ok(name)
    }
}

/// What the leader left out gets an empty assignment.
fn decide_assignment(group: &ClassicGroup, request: &SyncGroupRequest) -> Decided {
    let mut assignments: SortedMap<StrBytes, Bytes> =
        request.assignments.iter().map(|a| (a.member_id.clone(), a.assignment.clone())).collect();
    for member in &group.members {
        assignments.entry(member.id.clone()).or_default();
    }
    let record = group_record(group, &assignments);
    let then = Then::Sync { group: group.id.clone(), generation: request.generation_id, assignments };
    Decided::record(record, then)
}

fn validate_heartbeat(group: &ClassicGroup, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
    if group.state == GroupState::Dead {
        return Err(ErrorCode::CoordinatorNotAvailable);
    }
    group.validate_member(&request.member_id, request.group_instance_id.as_ref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    match group.state {
        GroupState::Empty => Err(ErrorCode::UnknownMemberId),
        GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
        _ => Ok(()),
    }
}
