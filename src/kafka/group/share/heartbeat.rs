//! ShareGroupHeartbeat (KIP-932, GroupMetadataManager.shareGroupHeartbeat): joining, staying and
//! leaving are one request, told apart by the member's epoch.

use std::sync::Arc;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::group::assignor::{Assignor, GroupSpec, MemberSpec, Partitions};
use crate::kafka::group::consumer::group::{metadata_hash, topic_ids};
use crate::kafka::group::consumer::member::LEAVE_EPOCH;
use crate::kafka::group::modern::records::GroupEpoch;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::share::group::{ShareAssignment, ShareGroup, ShareMember};
use crate::kafka::group::share::persister::PersisterRequest;
use crate::kafka::group::share::records::{ShareOwn, ShareRecord};
use crate::kafka::group::share::state::initialize_request;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use crate::wire::{ErrorCode, StrBytes, TopicName};

pub(in crate::kafka::group) fn heartbeat_error(error: ErrorCode) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse::default().with_error_code(error.code())
}

/// What is refused before any group is looked at (throwIfShareGroupHeartbeatRequestIsInvalid).
fn validate(request: &ShareGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    let empty_rack = request.rack_id.as_ref().is_some_and(|rack| rack.is_empty());
    let nothing_subscribed = request.subscribed_topic_names.as_ref().is_none_or(|names| names.is_empty());
    let invalid = request.member_id.is_empty()
        || request.group_id.0.is_empty()
        || empty_rack
        || request.member_epoch < LEAVE_EPOCH
        || request.member_epoch == 0 && nothing_subscribed;
    if invalid { Err(ErrorCode::InvalidRequest) } else { Ok(()) }
}

impl Work<'_, '_> {
    pub fn share_heartbeat(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &ShareGroupHeartbeatRequest,
    ) -> Option<Decided> {
        let decided = validate(request).and_then(|()| match request.member_epoch {
            LEAVE_EPOCH => self.share_leave(shard, image, context, request),
            _ => self.share_stay(shard, image, context, request),
        });
        match decided {
            Ok(decided) => Some(decided),
            Err(error) => {
                self.answer(context.reply(), heartbeat_error(error));
                None
            }
        }
    }

    fn share_stay(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<Decided, ErrorCode> {
        let group = group_for_heartbeat(shard, request)?;
        let is_member = group.members.contains_key(&request.member_id);
        // `group.share.max.size`
        if !is_member && group.members.len() >= self.settings.share.max_size.max(0) as usize {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !is_member && request.member_epoch != 0 {
            return Err(ErrorCode::UnknownMemberId);
        }
        let mut change = Change::new(image, group, request.member_id.clone());
        change.before.validate_epoch(request.member_epoch)?;
        let bumped = change.subscribe(context, request);
        change.reconcile(&self.settings.share.assignor, bumped)?;
        if let Some(group) = shard.share_group_mut(&request.group_id).filter(|_| change.saw_metadata) {
            group.metadata_seen_at = Some(change.epoch);
        }
        let session = TimerKind::MemberSession(request.group_id.clone(), request.member_id.clone());
        self.schedule(session, self.settings.of_group(image, &request.group_id).share_session_timeout);
        Ok(self.share_answer(context, request, change))
    }

    /// The answer, and after it the persister makes the state of partitions that the group has not read yet
    /// (maybeCreateInitializeShareGroupStateRequest): when there is something to do, the records say so.
    fn share_answer(&self, context: &Context, request: &ShareGroupHeartbeatRequest, mut change: Change<'_>) -> Decided {
        // A full request may come from a member that has lost our answer.
        let is_full = request.member_epoch == 0 || request.subscribed_topic_names.is_some();
        let assigned = &change.member.current.assigned;
        let assignment = (is_full || *assigned != change.before.current.assigned).then(|| {
            let topic = |(id, partitions): (&_, &SortedSet<i32>)| {
                TopicPartitions::default().with_topic_id(*id).with_partitions(partitions.iter().copied().collect())
            };
            Assignment::default().with_topic_partitions(assigned.iter().map(topic).collect())
        });
        let interval = self.settings.of_group(change.image, &change.group.id).share_heartbeat_interval;
        let response = ShareGroupHeartbeatResponse::default()
            .with_member_id(Some(change.member.id.clone()))
            .with_member_epoch(change.member.current.epoch)
            .with_heartbeat_interval_ms(interval.millis() as i32)
            .with_assignment(assignment);
        let retry_interval = self.settings.share.initialize_retry_interval;
        let partitions = &change.group.kind.partitions;
        let missing = partitions.missing(&change.subscribed, change.image, self.now(), retry_interval);
        let mut then = Then::Nothing;
        if !missing.is_empty() {
            let next = partitions.initializing(&missing);
            change.write(ShareRecord::Own(ShareOwn::StatePartitions(Some(next))));
            let request = initialize_request(&change.group.id, change.epoch, &missing);
            then = Then::AskPersister(Box::new(PersisterRequest::Initialize(request)));
        }
        let response = Box::new(response.into());
        let answer = Then::Answer { reply: context.reply(), response, facts: change.facts };
        Decided::plain(change.records, Then::Both(Box::new((answer, then))))
    }

    /// Sessions begin anew after a failover (GroupMetadataManager.onLoaded).
    pub fn share_group_loaded(&mut self, image: &MetadataImage, group: &ShareGroup) {
        let session_timeout = self.settings.of_group(image, &group.id).share_session_timeout;
        for id in group.members.keys() {
            let session = TimerKind::MemberSession(group.id.clone(), id.clone());
            self.schedule(session, session_timeout);
        }
    }
}

/// getOrMaybeCreateShareGroup: only whoever joins makes a group, and none of another kind becomes one.
fn group_for_heartbeat(shard: &Shard, request: &ShareGroupHeartbeatRequest) -> Result<Arc<ShareGroup>, ErrorCode> {
    let id = &request.group_id;
    match shard.share_groups.get(id) {
        Some(group) => Ok(group.clone()),
        None if request.member_epoch != 0 || shard.has_group(id) => Err(ErrorCode::GroupIdNotFound),
        None => Ok(Arc::new(ShareGroup::new(id.clone()))),
    }
}

/// What a heartbeat changes in its group: the member, the group's epoch, the target, what the member has.
struct Change<'a> {
    image: &'a MetadataImage,
    /// The group as it is: what is decided here changes it only when the records are replayed.
    group: Arc<ShareGroup>,
    records: Vec<GroupRecord>,
    /// Told when the records are committed.
    facts: Vec<Fact>,
    before: ShareMember,
    member: ShareMember,
    /// The group's epoch, raised or not.
    epoch: i32,
    /// What the group subscribes to.
    subscribed: SortedSet<TopicName>,
    /// The metadata of the topics was looked at.
    saw_metadata: bool,
}

impl<'a> Change<'a> {
    fn new(image: &'a MetadataImage, group: Arc<ShareGroup>, id: StrBytes) -> Change<'a> {
        let before = group.members.get(&id).cloned().unwrap_or_else(|| ShareMember::new(id));
        Change {
            image,
            epoch: group.epoch,
            subscribed: group.subscribed_topics(None),
            group,
            records: Vec::new(),
            facts: Vec::new(),
            member: before.clone(),
            before,
            saw_metadata: false,
        }
    }

    fn write(&mut self, record: ShareRecord) {
        self.records.push(GroupRecord::Share { group: self.group.id.clone(), record });
    }

    /// Takes what the member tells of itself, and raises the group's epoch when that, the topics' metadata
    /// or newly initialised partitions ask for another target; whether it did.
    fn subscribe(&mut self, context: &Context, request: &ShareGroupHeartbeatRequest) -> bool {
        let group = self.group.clone();
        let is_new = !group.members.contains_key(&self.member.id);
        let metadata = &mut self.member.metadata;
        metadata.rack = request.rack_id.clone().or(metadata.rack.take());
        if let Some(names) = &request.subscribed_topic_names {
            metadata.topics = names.iter().cloned().collect::<SortedSet<TopicName>>();
        }
        metadata.client_id = context.client_id.clone();
        metadata.client_host = context.client_host.clone();
        if is_new {
            let (group, member, client) = (group.id.clone(), self.member.id.clone(), context.client_id.clone());
            self.facts.push(Fact::MemberJoined { group, member, client });
        }
        if self.member.metadata != self.before.metadata {
            self.write(ShareRecord::Member(self.member.id.clone(), Some(self.member.metadata.clone())));
        }
        let mut reason = None;
        if self.member.metadata.topics != self.before.metadata.topics {
            let what = if is_new { "joins" } else { "subscribes to other topics" };
            reason = Some(format!("{} {what}", self.member.name().as_str()));
        } else if group.target_epoch >= group.epoch && group.has_unassigned_partitions() {
            reason = Some("partitions have been initialised for it".to_string());
        }
        if reason.is_none() && !group.has_metadata_expired() {
            return false;
        }
        self.saw_metadata = true;
        self.subscribed = group.subscribed_topics(Some(&self.member));
        let hash = metadata_hash(&self.subscribed, self.image);
        if reason.is_none() && hash != group.metadata_hash {
            reason = Some("the metadata of its topics has changed".to_string());
        }
        let Some(reason) = reason else { return false };
        self.epoch += 1;
        let epoch = self.epoch;
        self.write(ShareRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash: hash })));
        let reason = StrBytes::from_string(reason);
        self.facts.push(Fact::GroupEpochRaised { group: group.id.clone(), epoch, reason });
        true
    }

    /// The member gets what the target gives it, at once: nobody has to give up anything first
    /// (maybeReconcile, ShareGroupAssignmentBuilder).
    fn reconcile(&mut self, assignor: &Assignor, bumped: bool) -> Result<(), ErrorCode> {
        let (target_epoch, target) = self.target(assignor)?;
        let before = &self.member.current;
        if !bumped && before.epoch == target_epoch {
            return Ok(());
        }
        let subscribed = topic_ids(&self.member.metadata.topics, self.image);
        let assigned = target.into_iter().filter(|(topic, _)| subscribed.contains(topic)).collect();
        let reached = before.epoch != target_epoch;
        let previous_epoch = if reached { before.epoch } else { before.previous_epoch };
        let next = ShareAssignment { epoch: target_epoch, previous_epoch, assigned };
        if next == *before {
            return Ok(());
        }
        self.write(ShareRecord::Current(self.member.id.clone(), Some(next.clone())));
        if reached {
            let (group, client) = (self.group.id.clone(), self.member.name().clone());
            self.facts.push(Fact::MemberReached { group, client, epoch: target_epoch, waits: false });
        }
        self.member.current = next;
        Ok(())
    }

    /// The member's target, computed with everybody else's when the group has a newer epoch than its
    /// target, and the epoch of the target (maybeUpdateTargetAssignment).
    fn target(&mut self, assignor: &Assignor) -> Result<(i32, Partitions), ErrorCode> {
        let group = self.group.clone();
        if self.epoch <= group.target_epoch {
            return Ok((group.target_epoch, group.target_of(&self.member.id)));
        }
        let spec = self.spec();
        let mut targets = assignor.assign(&spec).map_err(|_| ErrorCode::UnknownServerError)?;
        for member in &spec.members {
            let target = targets.entry(member.id.clone()).or_default().clone();
            if group.targets.get(&member.id) != Some(&target) {
                self.write(ShareRecord::Target(member.id.clone(), Some(target)));
            }
        }
        self.write(ShareRecord::TargetEpoch(Some(self.epoch)));
        let (epoch, assignor) = (self.epoch, assignor.name());
        self.facts.push(Fact::TargetComputed { group: group.id.clone(), epoch, assignor });
        Ok((self.epoch, targets.remove(&self.member.id).unwrap_or_default()))
    }

    /// The group as the assignor sees it, members by their ids and topics by their names.
    fn spec(&self) -> GroupSpec {
        let one = |member: &ShareMember| MemberSpec {
            id: member.id.clone(),
            instance: None,
            topics: topic_ids(&member.metadata.topics, self.image),
            target: self.group.target_of(&member.id),
        };
        let mut members: SortedMap<StrBytes, MemberSpec> =
            self.group.members.values().map(|member| (member.id.clone(), one(member))).collect();
        members.insert(self.member.id.clone(), one(&self.member));
        let topics = self.group.subscribed_topics(Some(&self.member));
        let topics = topics.iter().filter_map(|name| self.image.topics.get(name));
        let topics = topics.map(|topic| (topic.id, topic.partitions.len() as i32));
        let spec = GroupSpec::new(members.into_values().collect(), topics.collect());
        GroupSpec { assignable: Some(self.group.kind.partitions.assignable()), ..spec }
    }
}
