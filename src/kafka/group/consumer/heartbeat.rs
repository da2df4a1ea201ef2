//! ConsumerGroupHeartbeat (KIP-848, GroupMetadataManager.consumerGroupHeartbeat): joining, staying
//! and leaving are one request, told apart by the member's epoch.

use std::sync::Arc;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::change::{Change, is_away};
use crate::kafka::group::consumer::group::ConsumerGroup;
use crate::kafka::group::consumer::member::{ConsumerMember, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, MemberState};
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Context, Decided, Settings, Shard, Then, Work};
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use crate::wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use crate::wire::{ErrorCode, GroupId, StrBytes, TopicName};

pub(in crate::kafka::group) fn heartbeat_error(error: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(error.code())
}

/// The partitions that a request names, as sets.
fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<Partitions> {
    let one = |topic: &Owned| (topic.topic_id, topic.partitions.iter().copied().collect::<SortedSet<i32>>());
    let topics = request.topic_partitions.as_ref()?.iter();
    Some(topics.map(one).filter(|(_, partitions)| !partitions.is_empty()).collect())
}

/// What is refused before any group is looked at (throwIfConsumerGroupHeartbeatRequestIsInvalid).
fn validate(settings: &Settings, context: &Context, request: &ConsumerGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    let is_empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
    let invalid = |wrong: bool| if wrong { Err(ErrorCode::InvalidRequest) } else { Ok(()) };
    invalid(request.group_id.0.is_empty() || is_empty(&request.instance_id) || is_empty(&request.rack_id))?;
    // Since version 1 the member chooses its id itself, so that no answer is needed to know it.
    let must_have_id = context.version >= 1 || request.member_epoch > 0 || request.member_epoch == LEAVE_EPOCH;
    invalid(must_have_id && request.member_id.is_empty())?;
    match request.member_epoch {
        0 => {
            invalid(request.rebalance_timeout_ms == -1)?;
            invalid(request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()))?;
            invalid(request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none())?;
        }
        LEAVE_STATIC_EPOCH => invalid(request.member_id.is_empty() || request.instance_id.is_none())?,
        LEAVE_EPOCH => {}
        epoch => invalid(epoch < 0)?,
    }
    let unknown = |name: &StrBytes| settings.consumer.assignors.iter().all(|assignor| assignor.name() != *name);
    if request.server_assignor.as_ref().is_some_and(unknown) {
        return Err(ErrorCode::UnsupportedAssignor);
    }
    Ok(())
}

/// throwIfConsumerGroupMemberEpochIsInvalid: the member is at the epoch that we know, or it missed
/// our last answer and has nothing that it would have had to give up.
fn validate_epoch(member: &ConsumerMember, request: &ConsumerGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    let (received, current) = (request.member_epoch, &member.current);
    let within_assigned = || {
        let owned = owned(request)?;
        let has = |(topic, partitions): (_, &SortedSet<i32>)| {
            current.assigned.get(topic).is_some_and(|assigned| partitions.is_subset(assigned))
        };
        Some(owned.iter().all(has))
    };
    let known = received == current.epoch
        || received < current.epoch && received == current.previous_epoch && within_assigned() == Some(true)
        // Whoever joins anew is always let in; what a member of epoch 0 had stays its own.
        || received == 0;
    if known { Ok(()) } else { Err(ErrorCode::FencedMemberEpoch) }
}

impl Work<'_, '_> {
    pub fn consumer_heartbeat(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Option<Decided> {
        let decided = validate(self.settings, context, request).and_then(|()| match request.member_epoch {
            LEAVE_EPOCH | LEAVE_STATIC_EPOCH => self.consumer_leave(shard, image, context, request),
            _ => self.consumer_stay(shard, image, context, request),
        });
        match decided {
            Ok(decided) => Some(decided),
            Err(error) => {
                self.answer(context.reply(), heartbeat_error(error));
                None
            }
        }
    }

    fn consumer_stay(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Decided, ErrorCode> {
        let mut records = Vec::new();
        let group = self.group_for_heartbeat(shard, image, request, &mut records)?;
        let mut drawn = || StrBytes::from_string(self.turn.uuid().to_string());
        let id = if request.member_id.is_empty() { drawn() } else { request.member_id.clone() };
        self.has_room(&group, &id)?;
        let mut change = Change::new(image, group, records, id);
        enter(&mut change, request)?;
        let mut metadata = change.member.metadata.clone();
        metadata.instance = request.instance_id.clone().or(metadata.instance);
        metadata.rack = request.rack_id.clone().or(metadata.rack);
        if request.rebalance_timeout_ms != -1 {
            metadata.rebalance_timeout = Duration::from_millis(request.rebalance_timeout_ms.into());
        }
        metadata.assignor = request.server_assignor.clone().or(metadata.assignor);
        if let Some(names) = &request.subscribed_topic_names {
            metadata.topics = names.iter().cloned().collect::<SortedSet<TopicName>>();
        }
        metadata.regex = request.subscribed_topic_regex.clone().or(metadata.regex);
        metadata.client_id = context.client_id.clone();
        metadata.client_host = context.client_host.clone();
        metadata.classic = None;
        change.tell_joined(&context.client_id);
        let subscribed = change.subscribe(metadata)?;
        change.maybe_bump(subscribed);
        let (target_epoch, target) = change.target(&self.settings.consumer.assignors)?;
        let owned = owned(request);
        if change.reconcile(target_epoch, &target, subscribed.changed, owned.as_ref())? {
            self.time_revocation(&change.group.id, &change.member);
        }
        self.remember_metadata(shard, &change);
        let session = TimerKind::MemberSession(request.group_id.clone(), change.member.id.clone());
        self.schedule(session, self.settings.of_group(image, &request.group_id).consumer_session_timeout);
        Ok(self.heartbeat_answer(context, request, change))
    }

    fn heartbeat_answer(
        &self,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
        change: Change<'_>,
    ) -> Decided {
        // A full request may come from a member that has lost our answer.
        let is_full = request.member_epoch == 0
            || request.rebalance_timeout_ms != -1
                && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
                && request.topic_partitions.is_some();
        let assigned = &change.member.current.assigned;
        let assignment = (is_full || *assigned != change.before.current.assigned).then(|| {
            let topic = |(id, partitions): (&_, &SortedSet<i32>)| {
                TopicPartitions::default().with_topic_id(*id).with_partitions(partitions.iter().copied().collect())
            };
            Assignment::default().with_topic_partitions(assigned.iter().map(topic).collect())
        });
        let interval = self.settings.of_group(change.image, &change.group.id).consumer_heartbeat_interval;
        let response = ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(change.member.id))
            .with_member_epoch(change.member.current.epoch)
            .with_heartbeat_interval_ms(interval.millis() as i32)
            .with_assignment(assignment);
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts: change.facts };
        Decided::plain(change.records, then)
    }

    /// getOrMaybeCreateConsumerGroup: only whoever joins makes a group, or converts a classic one.
    fn group_for_heartbeat(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        request: &ConsumerGroupHeartbeatRequest,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Arc<ConsumerGroup>, ErrorCode> {
        let id = &request.group_id;
        if let Some(group) = shard.consumer_groups.get(id) {
            return Ok(group.clone());
        }
        if request.member_epoch != 0 || shard.share_groups.contains_key(id) {
            return Err(ErrorCode::GroupIdNotFound);
        }
        let Some(classic) = shard.group_mut(id) else {
            return Ok(Arc::new(ConsumerGroup::new(id.clone())));
        };
        if classic.is_empty() {
            records.push(GroupRecord::Group { group: id.clone(), value: None });
            return Ok(Arc::new(ConsumerGroup::new(id.clone())));
        }
        self.convert_to_consumer(classic, image, records).map(Arc::new)
    }

    /// `group.consumer.max.size`
    pub(super) fn has_room(&self, group: &ConsumerGroup, member: &StrBytes) -> Result<(), ErrorCode> {
        let is_full = group.members.len() >= self.settings.consumer.max_size.max(0) as usize;
        if is_full && !group.members.contains_key(member) { Err(ErrorCode::GroupMaxSizeReached) } else { Ok(()) }
    }

    /// A member may take its rebalance timeout to give partitions up, and is fenced then. Members
    /// that speak the classic protocol have deadlines of their own.
    fn time_revocation(&mut self, group: &GroupId, member: &ConsumerMember) {
        let timer = TimerKind::MemberRebalance(group.clone(), member.id.clone());
        if member.current.state == MemberState::UnrevokedPartitions {
            self.schedule(timer, member.metadata.rebalance_timeout);
        } else {
            self.cancel(timer);
        }
    }

    /// The topics' metadata need not be looked at again before it changes.
    pub(super) fn remember_metadata(&self, shard: &mut Shard, change: &Change<'_>) {
        if let Some(group) = shard.consumer_group_mut(&change.group.id).filter(|_| change.saw_metadata) {
            group.metadata_seen_at = Some(change.epoch);
        }
    }
}

/// The member comes in, comes back or stays (getOrMaybeSubscribe…ConsumerGroupMember).
fn enter(change: &mut Change<'_>, request: &ConsumerGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    let joins = request.member_epoch == 0;
    let Some(instance) = &request.instance_id else {
        if !joins && !change.group.members.contains_key(&change.before.id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        return validate_epoch(&change.before, request);
    };
    let group = change.group.clone();
    match group.static_member(instance) {
        None if joins => Ok(()),
        None => Err(ErrorCode::UnknownMemberId),
        Some(holder) if joins => {
            if !holder.is_classic() && !is_away(holder) {
                return Err(ErrorCode::UnreleasedInstanceId);
            }
            change.take_place_of(holder);
            Ok(())
        }
        Some(holder) if holder.id != change.before.id => Err(ErrorCode::FencedInstanceId),
        Some(holder) => validate_epoch(holder, request),
    }
}
