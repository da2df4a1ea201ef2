//! JoinGroup (GroupMetadataManager.classicGroupJoin and what hangs from it).

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::coordinator::Reply;
use crate::kafka::fact::Fact;
use crate::kafka::group::classic::{ClassicGroup, GroupState, Member, ParkedJoin};
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::rebalance::group_record;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{
    Context, Converted, Decided, NEW_MEMBER_JOIN_TIMEOUT, Shard, StaticRejoin, Then, Work,
};
use crate::time::Duration;
use crate::wire::messages::join_group_response::JoinGroupResponseMember;
use crate::wire::messages::{JoinGroupRequest, JoinGroupResponse};
use crate::wire::{ErrorCode, StrBytes};

/// An answer that only names the error, and the member that it is for.
pub(super) fn join_error(member: &StrBytes, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse::default().with_member_id(member.clone()).with_error_code(error.code())
}

/// The record of a new group after the tombstones of the consumer group that was there before.
fn instead_of(before: Option<Arc<ConsumerGroup>>, decided: Decided) -> Decided {
    let Some(before) = before else { return decided };
    let tombstone = |record| GroupRecord::Consumer { group: before.id.clone(), record };
    let mut records: Vec<GroupRecord> = before.tombstones(None).into_iter().map(tombstone).collect();
    records.extend(decided.records);
    // It has no members, and so no sessions.
    let session_timeout = Duration::default();
    Decided::plain(records, Then::Converted(Box::new(Converted { before, session_timeout, then: decided.then })))
}

/// Everybody's metadata, for the leader to assign from.
pub(super) fn members_for_leader(group: &ClassicGroup) -> Vec<JoinGroupResponseMember> {
    let member = |m: &Member| {
        JoinGroupResponseMember::default()
            .with_member_id(m.id.clone())
            .with_group_instance_id(m.instance.clone())
            .with_metadata(m.metadata(group.protocol.as_ref()))
    };
    group.members.iter().map(member).collect()
}

/// The current generation as a member is told it; only the leader is told of the others.
pub(super) fn join_answer(group: &ClassicGroup, member: &StrBytes) -> JoinGroupResponse {
    let members = if group.is_leader(member) { members_for_leader(group) } else { Vec::new() };
    JoinGroupResponse::default()
        .with_members(members)
        .with_member_id(member.clone())
        .with_generation_id(group.generation)
        .with_protocol_name(group.protocol.clone())
        .with_protocol_type(group.protocol_type.clone())
        .with_leader(group.leader.clone().unwrap_or_default())
}

fn protocols(request: &JoinGroupRequest) -> Vec<(StrBytes, Bytes)> {
    request.protocols.iter().map(|p| (p.name.clone(), p.metadata.clone())).collect()
}

impl Work<'_, '_> {
    pub fn join(&mut self, shard: &mut Shard, context: &Context, request: &JoinGroupRequest) -> Option<Decided> {
        let is_new_group = !shard.groups.contains_key(&request.group_id);
        if is_new_group && !request.member_id.is_empty() {
            self.answer(context.reply(), join_error(&request.member_id, ErrorCode::UnknownMemberId));
            return None;
        }
        // A consumer group without members gives way (maybeDeleteEmptyConsumerGroup).
        let before = shard.consumer_groups.remove(&request.group_id);
        let group = shard.group_or_new(&request.group_id, self.now());
        let decided = self.join_group(group, context, request);
        if is_new_group && decided.is_none() {
            let record = group_record(&ClassicGroup::new(group.id.clone(), self.now()), &Default::default());
            let then = Then::NewGroup { group: request.group_id.clone(), reply: context.reply() };
            return Some(instead_of(before, Decided::record(record, then)));
        }
        decided
    }

    fn join_group(
        &mut self,
        group: &mut ClassicGroup,
        context: &Context,
        request: &JoinGroupRequest,
    ) -> Option<Decided> {
        let member = &request.member_id;
        let refusal = if !self.accepts_joining_member(group, member) {
            group.remove(member);
            Some(join_error(&StrBytes::new(), ErrorCode::GroupMaxSizeReached))
        } else if group.state == GroupState::Dead {
            Some(join_error(member, ErrorCode::CoordinatorNotAvailable))
        } else if !group.supports_protocols(&request.protocol_type, &protocols(request)) {
            Some(join_error(member, ErrorCode::InconsistentGroupProtocol))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.answer(context.reply(), refusal);
            return None;
        }
        if member.is_empty() {
            self.join_new(group, context, request)
        } else {
            self.join_existing(group, context, request)
        }
    }

    /// `group.max.size`. While a rebalance is prepared the members that wait are counted, so that
    /// the last to rejoin stay out when the limit was lowered.
    fn accepts_joining_member(&self, group: &ClassicGroup, member: &str) -> bool {
        let limit = self.settings.max_size.max(0) as usize;
        match group.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                group.member(member).is_some_and(|m| m.awaiting_join.is_some()) || group.awaiting_join() < limit
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                group.has_member(member) || group.members.len() < limit
            }
        }
    }

    fn join_new(&mut self, group: &mut ClassicGroup, context: &Context, request: &JoinGroupRequest) -> Option<Decided> {
        let prefix = request.group_instance_id.as_ref().unwrap_or(&context.client_id);
        let new_id = StrBytes::from_string(format!("{}-{}", prefix.as_str(), self.turn.uuid()));
        let old_id = request.group_instance_id.as_ref().and_then(|i| group.static_member(i)).cloned();
        if let Some(old_id) = old_id {
            return self.replace_static_member(group, context, request, &old_id, new_id);
        }
        if request.group_instance_id.is_none() && context.known_member_id {
            let session = Duration::from_millis(request.session_timeout_ms.into());
            group.pending_join.insert(new_id.clone());
            self.schedule(TimerKind::Session(group.id.clone(), new_id.clone()), session);
            self.answer(context.reply(), join_error(&new_id, ErrorCode::MemberIdRequired));
            return None;
        }
        self.add_member(group, context, request, new_id)
    }

    fn join_existing(
        &mut self,
        group: &mut ClassicGroup,
        context: &Context,
        request: &JoinGroupRequest,
    ) -> Option<Decided> {
        let id = &request.member_id;
        if group.pending_join.contains(id) {
            if request.group_instance_id.is_some() {
                // A static member is never asked to come back with its id: Kafka throws here.
                self.answer(context.reply(), join_error(id, ErrorCode::UnknownServerError));
                return None;
            }
            return self.add_member(group, context, request, id.clone());
        }
        if let Err(error) = group.validate_member(id, request.group_instance_id.as_ref()) {
            self.answer(context.reply(), join_error(id, error));
            return None;
        }
        let unchanged = group.member(id).is_some_and(|m| m.protocols == protocols(request));
        match group.state {
            GroupState::CompletingRebalance if unchanged => {
                self.answer(context.reply(), join_answer(group, id));
                None
            }
            GroupState::Stable if unchanged && !group.is_leader(id) => {
                self.answer(context.reply(), join_answer(group, id));
                None
            }
            GroupState::PreparingRebalance | GroupState::CompletingRebalance | GroupState::Stable => {
                let what = if unchanged { "rejoins" } else { "changed what it subscribes to" };
                self.update_member(group, context, request, what)
            }
            GroupState::Empty | GroupState::Dead => {
                self.answer(context.reply(), join_error(id, ErrorCode::UnknownMemberId));
                None
            }
        }
    }

    fn add_member(
        &mut self,
        group: &mut ClassicGroup,
        context: &Context,
        request: &JoinGroupRequest,
        id: StrBytes,
    ) -> Option<Decided> {
        if group.state == GroupState::PreparingRebalance && group.previous_state == GroupState::Empty {
            group.new_member_added = true;
        }
        let member = Member {
            id: id.clone(),
            instance: request.group_instance_id.clone(),
            client_id: context.client_id.clone(),
            client_host: context.client_host.clone(),
            rebalance_timeout: Duration::from_millis(request.rebalance_timeout_ms.into()),
            session_timeout: Duration::from_millis(request.session_timeout_ms.into()),
            protocols: protocols(request),
            assignment: Bytes::new(),
            awaiting_join: Some(ParkedJoin { reply: Some(context.reply()) }),
            awaiting_sync: None,
            is_new: true,
        };
        let reason = format!("{} joins", member.client_id.as_str());
        self.turn.tell(Fact::MemberJoined {
            group: group.id.clone(),
            member: id.clone(),
            client: member.client_id.clone(),
        });
        group.add(member, &request.protocol_type);
        self.schedule(TimerKind::Session(group.id.clone(), id), NEW_MEMBER_JOIN_TIMEOUT);
        self.maybe_prepare_rebalance_or_complete_join(group, &reason)
    }

    fn update_member(
        &mut self,
        group: &mut ClassicGroup,
        context: &Context,
        request: &JoinGroupRequest,
        what: &str,
    ) -> Option<Decided> {
        let member = group.member_mut(&request.member_id)?;
        apply_join(member, request, context.reply());
        let client = member.client_id.as_str();
        // KIP-800: the member says itself why it is back.
        let reason = match request.reason.as_deref().filter(|why| !why.is_empty()) {
            Some(why) => format!("{client} rejoins: {why}"),
            None => format!("{client} {what}"),
        };
        self.maybe_prepare_rebalance_or_complete_join(group, &reason)
    }

    fn maybe_prepare_rebalance_or_complete_join(&mut self, group: &mut ClassicGroup, reason: &str) -> Option<Decided> {
        let record =
            if group.can_rebalance() { self.prepare_rebalance(group, reason) } else { self.maybe_complete_join(group) };
        record.map(|record| Decided::record(record, Then::Nothing))
    }

    /// A static member is back without its member id (KIP-345): it gets a new one. When nothing else
    /// changes it keeps its assignment and nobody rebalances; the answer then waits for the write.
    fn replace_static_member(
        &mut self,
        group: &mut ClassicGroup,
        context: &Context,
        request: &JoinGroupRequest,
        old_id: &StrBytes,
        new_id: StrBytes,
    ) -> Option<Decided> {
        let old_leader = group.leader.clone();
        let old = self.swap_member_id(group, old_id, &new_id)?;
        self.restart_session(group, &new_id);
        let member = group.member_mut(&new_id)?;
        apply_join(member, request, context.reply());
        let client = member.client_id.clone();
        match group.state {
            GroupState::Stable if group.protocol == group.select_protocol() => {
                let assignments = group.members.iter().map(|m| (m.id.clone(), m.assignment.clone())).collect();
                let then = Then::StaticRejoin(Box::new(StaticRejoin {
                    group: group.id.clone(),
                    new_id,
                    old,
                    old_leader,
                    reply: context.reply(),
                    skip_assignment: context.skip_assignment,
                }));
                Some(Decided::record(group_record(group, &assignments), then))
            }
            GroupState::Stable | GroupState::CompletingRebalance => {
                let reason = format!("static member {} is back under a new id", client.as_str());
                let record = self.prepare_rebalance(group, &reason);
                record.map(|record| Decided::record(record, Then::Nothing))
            }
            _ => {
                let record = self.maybe_complete_join(group);
                record.map(|record| Decided::record(record, Then::Nothing))
            }
        }
    }

    /// ClassicGroup.replaceStaticMember: whoever still waits under the old id is fenced. Returns the
    /// member as it was.
    pub fn swap_member_id(&mut self, group: &mut ClassicGroup, from: &StrBytes, to: &StrBytes) -> Option<Member> {
        let member = group.member_mut(from)?;
        let join = member.awaiting_join.take();
        let sync = member.awaiting_sync.take();
        let old = member.clone();
        member.id = to.clone();
        member.is_new = false;
        if group.is_leader(from) {
            group.leader = Some(to.clone());
        }
        if let Some(reply) = join.and_then(|parked| parked.reply) {
            self.answer(reply, join_error(from, ErrorCode::FencedInstanceId));
        }
        if let Some(reply) = sync {
            self.answer(reply, super::sync::sync_error(ErrorCode::FencedInstanceId));
        }
        Some(old)
    }

    /// A static member's new record is committed: it goes on where it was.
    pub fn static_rejoin_committed(&mut self, group: &mut ClassicGroup, rejoin: &StaticRejoin) {
        let mut response = join_answer(group, &rejoin.new_id);
        if rejoin.skip_assignment {
            response.skip_assignment = group.is_leader(&rejoin.new_id);
        } else {
            // An old client that was told to lead would assign anew, so it is told its former id.
            response.members = Vec::new();
            response.leader = rejoin.old_leader.clone().unwrap_or_default();
        }
        self.complete_join(group, &rejoin.new_id, response);
    }

    /// The record could not be written: the member is again who it was.
    pub fn static_rejoin_failed(&mut self, group: &mut ClassicGroup, rejoin: &StaticRejoin, error: ErrorCode) {
        let mut response = join_error(&StrBytes::new(), error)
            .with_generation_id(group.generation)
            .with_protocol_name(group.protocol.clone())
            .with_protocol_type(group.protocol_type.clone());
        response.leader = rejoin.old_leader.clone().unwrap_or_default();
        self.complete_join(group, &rejoin.new_id, response);
        if self.swap_member_id(group, &rejoin.new_id, &rejoin.old.id).is_some() {
            if let Some(member) = group.member_mut(&rejoin.old.id) {
                member.protocols = rejoin.old.protocols.clone();
                member.rebalance_timeout = rejoin.old.rebalance_timeout;
                member.session_timeout = rejoin.old.session_timeout;
            }
            self.restart_session(group, &rejoin.old.id);
        }
    }

    /// Answers a member's parked JoinGroup, if there is one.
    pub fn complete_join(&mut self, group: &mut ClassicGroup, member: &str, response: JoinGroupResponse) {
        let parked = group.member_mut(member).and_then(|m| m.awaiting_join.take());
        if let Some(reply) = parked.and_then(|parked| parked.reply) {
            self.answer(reply, response);
        }
    }
}

/// ClassicGroup.updateMember.
fn apply_join(member: &mut Member, request: &JoinGroupRequest, reply: Reply) {
    member.protocols = protocols(request);
    member.rebalance_timeout = Duration::from_millis(request.rebalance_timeout_ms.into());
    member.session_timeout = Duration::from_millis(request.session_timeout_ms.into());
    member.awaiting_join = Some(ParkedJoin { reply: Some(reply) });
}
