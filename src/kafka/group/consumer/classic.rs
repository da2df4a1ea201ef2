//! Members that speak the classic protocol in a consumer group, while the group is on its way from
//! one protocol to the other: JoinGroup, SyncGroup, Heartbeat and LeaveGroup are answered from the
//! member's own reconciliation (classicGroupJoinToConsumerGroup and its siblings).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::change::{Change, named};
use crate::kafka::group::consumer::group::ConsumerGroup;
use crate::kafka::group::consumer::member::{ClassicMetadata, ConsumerMember, MemberState};
use crate::kafka::group::consumer::migration::Joining;
use crate::kafka::group::join::join_error;
use crate::kafka::group::protocol;
use crate::kafka::group::sync::sync_error;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{ClassicJoin, ClassicSync, Context, Decided, Shard, Then, Work};
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::messages::leave_group_request::MemberIdentity;
use crate::wire::messages::leave_group_response::MemberResponse;
use crate::wire::messages::{
    ConsumerProtocolSubscription, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use crate::wire::{ErrorCode, GroupId, StrBytes, TopicName, code, str_bytes};

impl Work<'_, '_> {
    pub fn join_consumer_group(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &JoinGroupRequest,
    ) -> Option<Decided> {
        match self.try_join_consumer_group(shard, image, context, request) {
            Ok(decided) => decided,
            Err(error) => {
                self.answer(context.reply(), join_error(&StrBytes::new(), error));
                None
            }
        }
    }

    fn try_join_consumer_group(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &JoinGroupRequest,
    ) -> Result<Option<Decided>, ErrorCode> {
        let group = shard.consumer_groups.get(&request.group_id).cloned().ok_or(ErrorCode::GroupIdNotFound)?;
        let is_unknown = request.member_id.is_empty();
        let mut drawn = || StrBytes::from_string(self.turn.uuid().to_string());
        let id = if is_unknown { drawn() } else { request.member_id.clone() };
        self.has_room(&group, &id)?;
        let names: Vec<&StrBytes> = request.protocols.iter().map(|protocol| &protocol.name).collect();
        if !group.supports_classic_protocols(&request.protocol_type, &names) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if is_unknown && request.group_instance_id.is_none() && context.known_member_id {
            self.answer(context.reply(), join_error(&id, ErrorCode::MemberIdRequired));
            return Ok(None);
        }
        let mut change = Change::new(image, group, Vec::new(), id);
        enter(&mut change, request, is_unknown)?;
        let classic = classic_metadata(request);
        let subscription = classic.subscription().ok_or(ErrorCode::UnknownServerError)?;
        let decided = self.change_classic_member(shard, context, request, change, classic, &subscription)?;
        Ok(Some(decided))
    }

    fn change_classic_member(
        &mut self,
        shard: &mut Shard,
        context: &Context,
        request: &JoinGroupRequest,
        mut change: Change<'_>,
        classic: ClassicMetadata,
        subscription: &ConsumerProtocolSubscription,
    ) -> Result<Decided, ErrorCode> {
        let mut metadata = change.member.metadata.clone();
        metadata.instance = request.group_instance_id.clone().or(metadata.instance);
        metadata.rack = subscription.rack_id.clone().or(metadata.rack);
        metadata.rebalance_timeout = Duration::from_millis(request.rebalance_timeout_ms.into());
        metadata.topics = subscription.topics.iter().cloned().map(TopicName).collect();
        metadata.regex = None;
        metadata.client_id = context.client_id.clone();
        metadata.client_host = context.client_host.clone();
        let protocol = classic.favourite();
        let session_timeout = classic.session_timeout;
        metadata.classic = Some(classic);
        change.tell_joined(&context.client_id);
        let subscribed = change.subscribe(metadata)?;
        change.maybe_bump(subscribed);
        let replaced = change.replaced.clone();
        let downgrade = replaced.filter(|replaced| self.may_convert_with_replacement(&change.group, replaced));
        let is_changed = subscribed.needs_target;
        // Where the group becomes a classic one and rebalances, nothing needs to be reconciled any more.
        if downgrade.is_none() || !is_changed {
            let (target_epoch, target) = match &downgrade {
                Some(replaced) => (change.group.target_epoch, change.group.target_of(replaced)),
                None => change.target(&self.settings.consumer.assignors)?,
            };
            let owned = owned(subscription, change.image);
            change.reconcile(target_epoch, &target, subscribed.changed, Some(&owned))?;
        }
        self.remember_metadata(shard, &change);
        let response = JoinGroupResponse::default()
            .with_member_id(change.member.id.clone())
            .with_generation_id(change.member.current.epoch)
            .with_protocol_type(Some(str_bytes(protocol::CONSUMER)))
            .with_protocol_name(Some(protocol));
        let then = Then::ClassicJoin(Box::new(ClassicJoin {
            group: request.group_id.clone(),
            reply: context.reply(),
            response,
            session_timeout,
            sync_timeout: Duration::from_millis(request.rebalance_timeout_ms.into()),
            downgraded: downgrade.is_some(),
            facts: change.facts,
        }));
        match downgrade {
            Some(replaced) => {
                let leaving = [replaced];
                let (group, joining) = (change.group.clone(), Joining { member: &change.member, is_changed });
                Ok(self.convert_to_classic(shard, change.image, &group, &leaving, Some(joining), change.records, then))
            }
            None => Ok(Decided::plain(change.records, then)),
        }
    }

    /// The join is written: the member has to ask for its assignment in time.
    pub fn classic_join_finished(&mut self, join: ClassicJoin, result: Result<(), ErrorCode>) {
        let ClassicJoin { group, reply, response, session_timeout, sync_timeout, downgraded, facts } = join;
        if let Err(error) = result {
            return self.answer(reply, join_error(&response.member_id, error));
        }
        let member = response.member_id.clone();
        self.cancel(TimerKind::MemberJoin(group.clone(), member.clone()));
        if !downgraded {
            self.schedule(TimerKind::MemberSession(group.clone(), member.clone()), session_timeout);
            self.schedule(TimerKind::MemberSync(group, member), sync_timeout);
        }
        facts.into_iter().for_each(|fact| self.turn.tell(fact));
        self.answer(reply, response);
    }

    pub fn sync_consumer_group(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &SyncGroupRequest,
    ) -> Option<Decided> {
        let group = shard.consumer_groups.get(&request.group_id)?.clone();
        let member = self.validate_sync_to_consumer_group(&group, request);
        match member {
            Ok((member, classic)) => {
                let version = classic.protocols.first().map_or(0, |(_, bytes)| protocol::version(bytes));
                let assigned = named(&member.current.assigned, image);
                let response = SyncGroupResponse::default()
                    .with_protocol_type(request.protocol_type.clone())
                    .with_protocol_name(request.protocol_name.clone())
                    .with_assignment(protocol::encode_assignment(&assigned, version));
                let then = Then::ClassicSync(Box::new(ClassicSync {
                    group: group.id.clone(),
                    member: member.id.clone(),
                    session_timeout: classic.session_timeout,
                    reply: context.reply(),
                    response,
                }));
                // The assignment may not be committed yet.
                Some(Decided::plain(Vec::new(), then))
            }
            Err(error) => {
                self.answer(context.reply(), sync_error(error));
                None
            }
        }
    }

    fn validate_sync_to_consumer_group<'a>(
        &mut self,
        group: &'a ConsumerGroup,
        request: &SyncGroupRequest,
    ) -> Result<(&'a ConsumerMember, &'a ClassicMetadata), ErrorCode> {
        if group.members.is_empty() {
            return Err(ErrorCode::UnknownMemberId);
        }
        let (member, classic) = classic_member(group, &request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != member.current.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        let other = |asked: &Option<StrBytes>, own: &str| asked.as_ref().is_some_and(|asked| asked.as_str() != own);
        if other(&request.protocol_type, protocol::CONSUMER) || other(&request.protocol_name, &classic.favourite()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // A member that has to give something up learns it by asking; the others join again at once.
        if group.epoch > member.current.epoch && member.current.state != MemberState::UnrevokedPartitions {
            self.expect_join(&group.id, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok((member, classic))
    }

    pub fn classic_sync_finished(&mut self, sync: ClassicSync, result: Result<(), ErrorCode>) {
        let ClassicSync { group, member, session_timeout, reply, response } = sync;
        if let Err(error) = result {
            return self.answer(reply, sync_error(error));
        }
        self.cancel(TimerKind::MemberSync(group.clone(), member.clone()));
        self.schedule(TimerKind::MemberSession(group, member), session_timeout);
        self.answer(reply, response);
    }

    /// scheduleConsumerGroupJoinTimeoutIfAbsent: told to join, a member has its rebalance timeout for it.
    fn expect_join(&mut self, group: &GroupId, member: &ConsumerMember) {
        let timer = TimerKind::MemberJoin(group.clone(), member.id.clone());
        self.schedule_if_absent(timer, member.metadata.rebalance_timeout);
    }

    pub fn heartbeat_to_consumer_group(&mut self, shard: &Shard, context: &Context, request: &HeartbeatRequest) {
        let Some(group) = shard.consumer_groups.get(&request.group_id) else { return };
        let result = self.validate_heartbeat_to_consumer_group(group, request);
        self.answer(context.reply(), HeartbeatResponse::default().with_error_code(code(result.err())));
    }

    fn validate_heartbeat_to_consumer_group(
        &mut self,
        group: &ConsumerGroup,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let (member, classic) = classic_member(group, &request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != member.current.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.schedule(TimerKind::MemberSession(group.id.clone(), member.id.clone()), classic.session_timeout);
        let must_join = member.current.epoch < group.epoch
            || member.current.state == MemberState::UnrevokedPartitions
            || member.current.state == MemberState::UnreleasedPartitions && !group.waits_for_unreleased(member);
        if must_join {
            self.expect_join(&group.id, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    pub fn leave_consumer_group(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &LeaveGroupRequest,
    ) -> Option<Decided> {
        let group = shard.consumer_groups.get(&request.group_id)?.clone();
        let mut responses = Vec::new();
        let mut leaving: Vec<StrBytes> = Vec::new();
        for identity in &request.members {
            let left = leaving_member(&group, identity);
            let response = MemberResponse::default()
                .with_member_id(identity.member_id.clone())
                .with_group_instance_id(identity.group_instance_id.clone());
            responses.push(response.with_error_code(code(left.as_ref().err().copied())));
            leaving.extend(left.ok().filter(|id| !leaving.contains(id)));
        }
        let response = LeaveGroupResponse::default().with_members(responses);
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts: Vec::new() };
        if leaving.is_empty() {
            return Some(Decided::plain(Vec::new(), then));
        }
        Some(self.fence_members(shard, image, &group, &leaving, "it asked to", then))
    }
}

/// The member comes in, comes back or takes the place of a static one (getOrMaybeSubscribe…).
fn enter(change: &mut Change<'_>, request: &JoinGroupRequest, is_unknown: bool) -> Result<(), ErrorCode> {
    let Some(instance) = &request.group_instance_id else { return Ok(()) };
    let group = change.group.clone();
    match group.static_member(instance) {
        None if is_unknown => Ok(()),
        None => Err(ErrorCode::UnknownMemberId),
        Some(holder) if is_unknown => {
            change.take_place_of(holder);
            Ok(())
        }
        Some(holder) if holder.id != change.before.id => Err(ErrorCode::FencedInstanceId),
        Some(_) => Ok(()),
    }
}

fn classic_metadata(request: &JoinGroupRequest) -> ClassicMetadata {
    ClassicMetadata {
        session_timeout: Duration::from_millis(request.session_timeout_ms.into()),
        protocols: request.protocols.iter().map(|p| (p.name.clone(), p.metadata.clone())).collect(),
    }
}

/// What the member says that it has; partitions of unknown topics are left out.
fn owned(subscription: &ConsumerProtocolSubscription, image: &MetadataImage) -> Partitions {
    let mut owned = Partitions::new();
    for topic in &subscription.owned_partitions {
        if let Some(known) = image.topics.get(&topic.topic).filter(|_| !topic.partitions.is_empty()) {
            owned.insert(known.id, topic.partitions.iter().copied().collect::<SortedSet<i32>>());
        }
    }
    owned
}

/// validateConsumerGroupMember, throwIfMemberDoesNotUseClassicProtocol.
fn classic_member<'a>(
    group: &'a ConsumerGroup,
    id: &StrBytes,
    instance: Option<&StrBytes>,
) -> Result<(&'a ConsumerMember, &'a ClassicMetadata), ErrorCode> {
    let member = match instance {
        None => group.members.get(id),
        Some(instance) => group.static_member(instance),
    };
    let member = member.ok_or(ErrorCode::UnknownMemberId)?;
    if member.id != *id {
        return Err(ErrorCode::FencedInstanceId);
    }
    Ok((member, member.metadata.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?))
}

/// Members of either protocol leave like this. Without a member id an operator removes a static member
/// (classicGroupLeaveToConsumerGroup).
fn leaving_member(group: &ConsumerGroup, identity: &MemberIdentity) -> Result<StrBytes, ErrorCode> {
    let Some(instance) = &identity.group_instance_id else {
        return group.members.get(&identity.member_id).map(|m| m.id.clone()).ok_or(ErrorCode::UnknownMemberId);
    };
    let member = group.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?;
    if !identity.member_id.is_empty() && identity.member_id != member.id {
        return Err(ErrorCode::FencedInstanceId);
    }
    Ok(member.id.clone())
}
