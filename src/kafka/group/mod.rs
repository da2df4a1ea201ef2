//! The group coordinator of one broker (GroupCoordinatorService, GroupMetadataManager,
//! OffsetMetadataManager): groups of all three kinds and committed offsets as decide and replay over
//! the partitions of `__consumer_offsets` that this broker leads.
//!
//! A request decides on records and on what follows (`work::Then`); the broker appends them and
//! reports the offset, then the high watermark, and only then the client is answered. Offsets change
//! when their records are appended. A classic group's members and timers live in memory alone, as in
//! Kafka: the log keeps of them what the last finished generation was, and a new coordinator starts
//! there. Of a group of the consumer protocol (`consumer`) and of a share group (`share`) the log keeps
//! everything but the timers; what these two have in common is in `modern`.

pub mod assignor;
pub mod classic;
pub mod consumer;
pub mod modern;
pub mod protocol;
pub mod records;
pub mod share;
pub mod timers;

mod deletion;
mod describe;
mod finish;
mod flexible;
mod join;
#[cfg(test)]
mod migration_tests;
mod offsets;
mod pending;
mod queries;
mod rebalance;
mod refusal;
mod replay;
mod runtime;
#[cfg(test)]
mod share_tests;
mod sync;
#[cfg(test)]
mod tests;
mod transactional;
mod work;

use std::sync::Arc;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::{self, CoordinatorType, Runtime};
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::OffsetFetchResponse;
use crate::wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use crate::wire::{
    BrokerId, Correlation, ErrorCode, GroupId, LeaderEpoch, NodeId, OFFSETS_TOPIC, Offset, ProducerId, Request,
    StrBytes, TopicName, TopicPartition, partition_of_key, topic_name,
};

use assignor::Assignor;
use classic::ClassicGroup;
use consumer::ConsumerGroup;
use records::GroupRecord;
pub use refusal::refuse;
use replay::replay;
use share::ShareGroup;
use share::persister::{PersisterAnswer, PersisterRequest};
use timers::{Timer, TimerKind, Timers};
pub use work::Context;
use work::{Decided, Settings, Shard, Then, Work};

/// What a loading coordinator reads of `__consumer_offsets`.
pub type Logged = coordinator::Logged<GroupRecord>;

#[derive(Clone, Debug, PartialEq)]
pub struct GroupCoordinator {
    broker: BrokerId,
    settings: Settings,
    /// The partitions that this broker leads.
    shards: SortedMap<i32, Shard>,
    runtime: Runtime<Decided>,
    timers: Timers,
    /// What the persister has not been asked yet.
    for_persister: Vec<PersisterRequest>,
}

impl GroupCoordinator {
    pub fn new(broker: BrokerId, config: &BrokerConfig) -> GroupCoordinator {
        GroupCoordinator {
            broker,
            settings: Settings::new(config),
            shards: SortedMap::new(),
            runtime: Runtime::default(),
            timers: Timers::default(),
            for_persister: Vec::new(),
        }
    }

    /// Whether it coordinates the groups of this partition of `__consumer_offsets`: it leads it and has read it.
    pub fn coordinates(&self, partition: i32) -> bool {
        self.runtime.ready(partition).is_ok()
    }

    /// `Utils.abs(groupId.hashCode()) % partitions`.
    pub fn partition_for(group: &str, partitions: i32) -> i32 {
        partition_of_key(group, partitions)
    }

    /// JOIN_GROUP, SYNC_GROUP, HEARTBEAT, LEAVE_GROUP, CONSUMER_GROUP_HEARTBEAT, SHARE_GROUP_HEARTBEAT,
    /// OFFSET_COMMIT, TXN_OFFSET_COMMIT, OFFSET_FETCH, DELETE_GROUPS, DESCRIBE_GROUPS,
    /// CONSUMER_GROUP_DESCRIBE, SHARE_GROUP_DESCRIBE, ALTER_SHARE_GROUP_OFFSETS: answered through the turn at
    /// once, when parked members allow, or when the write is committed. The partition of a TXN_OFFSET_COMMIT has been added to the transaction before.
    pub fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        let context = newest(from, turn.client_id(from), correlation, request);
        self.handle_as(turn, image, &context, request);
    }

    /// The same for a client that speaks another version, or that has a name of its own.
    pub fn handle_as(&mut self, turn: &mut Turn<'_>, image: &MetadataImage, context: &Context, request: &Request) {
        if let Request::OffsetFetch(_) = request {
            return self.fetch_offsets(turn, image, context, request);
        }
        if let Some(answer) = self.describe(image, request) {
            return turn.respond(context.from, context.correlation, answer);
        }
        let Some(group) = group_of(request) else {
            return;
        };
        let partition = self.partition_of(image, group);
        let refusal = match (self.invalid(context, request), self.runtime.ready(partition)) {
            (Some(error), _) => refusal::refuse(request, error),
            (None, Err(ErrorCode::CoordinatorLoadInProgress)) => refusal::refuse_loading(request),
            (None, Err(error)) => refusal::refuse(request, error),
            (None, Ok(_)) => None,
        };
        if let Some(refusal) = refusal {
            return turn.respond(context.from, context.correlation, refusal);
        }
        self.on_shard(turn, partition, |work, shard| route(work, shard, image, context, request));
    }

    /// A topic has other partitions or replicas now: the groups that subscribe to it look at it with
    /// their next heartbeat (GroupMetadataManager.onNewMetadataImage).
    pub fn topic_changed(&mut self, topic: &TopicName) {
        let groups = self.shards.values_mut().flat_map(|shard| shard.consumer_groups.values_mut());
        for group in groups.filter(|group| group.metadata_seen_at.is_some() && group.is_subscribed_to(topic)) {
            Arc::make_mut(group).metadata_seen_at = None;
        }
        let groups = self.shards.values_mut().flat_map(|shard| shard.share_groups.values_mut());
        for group in groups.filter(|group| group.metadata_seen_at.is_some() && group.is_subscribed_to(topic)) {
            Arc::make_mut(group).metadata_seen_at = None;
        }
    }

    /// What the persister of share-group state is to be asked, in order; `persister_answered` takes each
    /// one's end.
    pub fn take_persister_requests(&mut self) -> Vec<PersisterRequest> {
        std::mem::take(&mut self.for_persister)
    }

    /// The persister has done what it was asked, or has failed to.
    pub fn persister_answered(&mut self, turn: &mut Turn<'_>, image: &MetadataImage, answer: &PersisterAnswer) {
        let partition = self.partition_of(image, answer.request.group());
        let ready = self.runtime.ready(partition).map(|_| ());
        match &answer.request {
            PersisterRequest::Initialize(request) => {
                if ready.is_ok() && (request.altering.is_none() || answer.result.is_ok()) {
                    self.on_shard(turn, partition, |_, shard| {
                        share::state_initialized(shard, image, request, answer.result)
                    });
                }
                share::answer_altering(turn, image, request, answer.result);
            }
            PersisterRequest::Delete(request) => match ready.and(answer.result) {
                Ok(()) => {
                    self.on_shard(turn, partition, |work, shard| {
                        work.delete_group(shard, &request.group, request.reply)
                    });
                }
                Err(error) => request.reply.send(turn, deletion::deleted(&request.group, Some(error))),
            },
        }
    }

    /// Other assignors than those of `group.consumer.assignors`, the default one first.
    pub fn set_assignors(&mut self, assignors: Vec<Assignor>) {
        self.settings.consumer.assignors = assignors;
    }

    /// Another assignor of share groups than the `simple` one.
    pub fn set_share_assignor(&mut self, assignor: Assignor) {
        self.settings.share.assignor = assignor;
    }

    /// Changes a classic group without a request, as Kafka's tests do.
    pub fn change_group(&mut self, id: &GroupId, change: impl FnOnce(&mut ClassicGroup)) {
        if let Some(group) = self.shards.values_mut().find_map(|shard| shard.groups.get_mut(id)) {
            change(Arc::make_mut(group));
        }
    }

    /// One record that stood in the log when the partition was loaded.
    pub fn replay(&mut self, partition: i32, record: &GroupRecord, at: Offset, now: Instant) {
        if let Some(shard) = self.shards.get_mut(&partition) {
            replay(shard, self.runtime.high_watermark(partition), record, None, at, now, true);
        }
    }

    /// The broker has become the leader of the partition and is about to read it: until `elected`,
    /// requests are told that the coordinator loads.
    pub fn loading(&mut self, partition: i32, epoch: LeaderEpoch) {
        self.shards.entry(partition).or_default();
        self.runtime.open(partition, epoch);
    }

    /// Loads a partition from its records, in order: the last one of a key wins. A coordinator that
    /// led it already goes on under the new epoch (CoordinatorRuntime.scheduleLoadOperation).
    pub fn load(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        records: impl IntoIterator<Item = (Offset, Logged)>,
    ) {
        self.loading(partition, epoch);
        if !self.runtime.load(partition) {
            return;
        }
        let Some(shard) = self.shards.get_mut(&partition) else { return };
        let committed = self.runtime.high_watermark(partition);
        for (at, logged) in records {
            match logged {
                Logged::Record(record, producer) => replay(shard, committed, &record, producer, at, turn.now, true),
                Logged::Marker { producer, commit } => {
                    shard.offsets.end_transaction(producer, commit, at, committed);
                }
            }
        }
        let groups = shard.groups.keys().chain(shard.consumer_groups.keys()).chain(shard.share_groups.keys());
        let groups: Vec<GroupId> = groups.cloned().collect();
        let share_groups: Vec<Arc<ShareGroup>> = shard.share_groups.values().cloned().collect();
        let consumer_groups: Vec<Arc<ConsumerGroup>> = shard.consumer_groups.values().cloned().collect();
        turn.tell(Fact::CoordinatorLoaded {
            partition: TopicPartition { topic: topic_name(OFFSETS_TOPIC), partition },
            broker: self.broker,
            groups: groups.clone(),
        });
        for group in groups {
            self.on_group(turn, partition, &group, |work, group| work.group_loaded(group));
        }
        self.on_shard(turn, partition, |work, _| {
            consumer_groups.iter().for_each(|group| work.consumer_group_loaded(image, group));
            share_groups.iter().for_each(|group| work.share_group_loaded(image, group));
            None
        });
        let expiry = Timer { partition, kind: TimerKind::OffsetsExpiry };
        self.timers.schedule(expiry, turn.now + self.settings.retention_check_interval);
    }

    /// The marker of a transaction was appended to the partition at `at`; what it decides counts when the
    /// high watermark passes it.
    pub fn transaction_ended(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        producer: ProducerId,
        commit: bool,
        at: Offset,
    ) {
        if self.runtime.ready(partition).is_err() {
            return;
        }
        let Some(shard) = self.shards.get_mut(&partition) else { return };
        let facts = shard.offsets.end_transaction(producer, commit, at, self.runtime.high_watermark(partition));
        self.wait_for(turn, partition, at.next(), Decided::plain(Vec::new(), Then::Tell(facts)));
    }

    /// A topic is gone: so are the offsets in it.
    pub fn topic_deleted(&mut self, turn: &mut Turn<'_>, topic: &TopicName) {
        for partition in self.partitions() {
            self.on_shard(turn, partition, |_, shard| offsets::delete_topic(shard, topic));
        }
    }

    pub fn alarm(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        while let Some(timer) = self.timers.pop_due(turn.now) {
            let partition = timer.partition;
            match timer.kind {
                TimerKind::Join(group) => {
                    self.on_group(turn, partition, &group, |work, group| work.join_expired(group));
                }
                TimerKind::Sync(group) => {
                    self.on_group(turn, partition, &group, |work, group| work.sync_expired(group));
                }
                TimerKind::Session(group, member) => {
                    self.on_group(turn, partition, &group, |work, group| work.session_expired(group, &member));
                }
                kind @ (TimerKind::MemberSession(..)
                | TimerKind::MemberRebalance(..)
                | TimerKind::MemberJoin(..)
                | TimerKind::MemberSync(..)) => {
                    self.on_shard(turn, partition, |work, shard| work.member_expired(shard, image, &kind));
                }
                TimerKind::Write(id) => self.write_timed_out(turn, partition, id),
                TimerKind::OffsetsExpiry => {
                    self.on_shard(turn, partition, |work, shard| {
                        work.schedule(TimerKind::OffsetsExpiry, work.settings.retention_check_interval);
                        work.expire_offsets(shard)
                    });
                }
            }
        }
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let (at, timer) = self.timers.first()?;
        let alarm = if timer.kind == TimerKind::OffsetsExpiry { Alarm::OffsetsExpiry } else { Alarm::Group };
        Some((at, alarm))
    }

    fn partition_of(&self, image: &MetadataImage, group: &GroupId) -> i32 {
        coordinator::partition_of(image, CoordinatorType::Group, self.settings.partitions, &group.0)
    }

    /// What is refused before the group is looked at (GroupCoordinatorService, KafkaApis).
    fn invalid(&self, context: &Context, request: &Request) -> Option<ErrorCode> {
        let needs_name = !matches!(
            request,
            Request::OffsetCommit(_)
                | Request::TxnOffsetCommit(_)
                | Request::OffsetFetch(_)
                | Request::ConsumerGroupHeartbeat(_)
                | Request::ShareGroupHeartbeat(_)
        );
        if needs_name && group_of(request).is_some_and(|group| group.0.is_empty()) {
            return Some(ErrorCode::InvalidGroupId);
        }
        match request {
            Request::JoinGroup(join) => {
                let session = Duration::from_millis(join.session_timeout_ms.into());
                let allowed = self.settings.min_session_timeout..=self.settings.max_session_timeout;
                (!allowed.contains(&session)).then_some(ErrorCode::InvalidSessionTimeout)
            }
            Request::SyncGroup(sync) => {
                let named = sync.protocol_type.is_some() && sync.protocol_name.is_some();
                (context.version >= 5 && !named).then_some(ErrorCode::InconsistentGroupProtocol)
            }
            _ => None,
        }
    }

    fn fetch_offsets(&mut self, turn: &mut Turn<'_>, image: &MetadataImage, context: &Context, request: &Request) {
        let Request::OffsetFetch(fetch) = request else {
            return;
        };
        let mut response = OffsetFetchResponse::default();
        let mut wait_for = None;
        for asked in &fetch.groups {
            let partition = self.partition_of(image, &asked.group_id);
            let shard = self.runtime.ready(partition).map(|_| self.shards.get(&partition));
            let answer = match shard.and_then(|shard| shard.ok_or(ErrorCode::NotCoordinator)) {
                Err(error) => refused_fetch(asked, error),
                Ok(shard) if fetch.require_stable => {
                    wait_for = wait_for.or(Some(partition));
                    offsets::fetch(shard, asked, None)
                }
                Ok(shard) => offsets::fetch(shard, asked, Some(self.runtime.high_watermark(partition))),
            };
            response.groups.push(answer);
        }
        match wait_for {
            // Stable offsets are the newest ones, and they are told when they are committed.
            Some(partition) => {
                let response = Box::new(response.into());
                let then = Then::Answer { reply: context.reply(), response, facts: Vec::new() };
                self.on_shard(turn, partition, |_, _| Some(Decided::plain(Vec::new(), then)));
            }
            None => turn.respond(context.from, context.correlation, response),
        }
    }

    fn on_group(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        group: &GroupId,
        act: impl FnOnce(&mut Work<'_, '_>, &mut ClassicGroup) -> Option<GroupRecord>,
    ) {
        self.on_shard(turn, partition, |work, shard| {
            let record = act(work, shard.group_mut(group)?)?;
            Some(Decided::record(record, Then::Nothing))
        });
    }
}

/// Which room answers: classic members of a consumer group are answered as what they are.
fn route(
    work: &mut Work<'_, '_>,
    shard: &mut Shard,
    image: &MetadataImage,
    context: &Context,
    request: &Request,
) -> Option<Decided> {
    let consumer = group_of(request).and_then(|id| shard.consumer_groups.get(id));
    let has_members = consumer.is_some_and(|group| !group.members.is_empty());
    match request {
        Request::ConsumerGroupHeartbeat(heartbeat) => work.consumer_heartbeat(shard, image, context, heartbeat),
        Request::ShareGroupHeartbeat(heartbeat) => work.share_heartbeat(shard, image, context, heartbeat),
        Request::JoinGroup(_) if group_of(request).is_some_and(|id| shard.share_groups.contains_key(id)) => {
            // A classic member cannot be one of a share group.
            let answer = refusal::refuse(request, ErrorCode::InconsistentGroupProtocol)?;
            work.answer(context.reply(), answer);
            None
        }
        Request::JoinGroup(join) if has_members => work.join_consumer_group(shard, image, context, join),
        Request::JoinGroup(join) => work.join(shard, context, join),
        Request::SyncGroup(sync) if consumer.is_some() => work.sync_consumer_group(shard, image, context, sync),
        Request::SyncGroup(sync) => work.sync(shard, context, sync),
        Request::LeaveGroup(leave) if consumer.is_some() => work.leave_consumer_group(shard, image, context, leave),
        Request::LeaveGroup(leave) => work.leave(shard, context, leave),
        Request::OffsetCommit(commit) => work.commit(shard, image, context, commit),
        Request::TxnOffsetCommit(commit) => work.txn_commit(shard, image, context, commit),
        Request::AlterShareGroupOffsets(alter) => work.alter_share_offsets(shard, image, context, alter),
        Request::DeleteGroups(_) => work.delete_group_and_state(shard, group_of(request)?, context.reply()),
        Request::Heartbeat(heartbeat) => {
            if consumer.is_some() {
                work.heartbeat_to_consumer_group(shard, context, heartbeat);
            } else {
                work.heartbeat(shard, context, heartbeat);
            }
            None
        }
        _ => None,
    }
}

fn group_of(request: &Request) -> Option<&GroupId> {
    match request {
        Request::JoinGroup(request) => Some(&request.group_id),
        Request::SyncGroup(request) => Some(&request.group_id),
        Request::Heartbeat(request) => Some(&request.group_id),
        Request::LeaveGroup(request) => Some(&request.group_id),
        Request::OffsetCommit(request) => Some(&request.group_id),
        Request::TxnOffsetCommit(request) => Some(&request.group_id),
        Request::ConsumerGroupHeartbeat(request) => Some(&request.group_id),
        Request::ShareGroupHeartbeat(request) => Some(&request.group_id),
        Request::AlterShareGroupOffsets(request) => Some(&request.group_id),
        // One group in each request: that is what our admin client asks for.
        Request::DeleteGroups(request) => request.groups_names.first(),
        _ => None,
    }
}

/// A client of ours: it speaks the newest version.
fn newest(from: NodeId, client_id: StrBytes, correlation: Correlation, request: &Request) -> Context {
    let client_host = StrBytes::from_string(format!("/{from}"));
    let version = request.api().version();
    Context { from, correlation, client_id, client_host, version, known_member_id: true, skip_assignment: true }
}

fn refused_fetch(asked: &OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone()).with_error_code(error.code())
}
