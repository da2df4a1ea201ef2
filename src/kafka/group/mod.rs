//! The group coordinator of one broker (GroupCoordinatorService, GroupMetadataManager,
//! OffsetMetadataManager): groups of both protocols and committed offsets as decide and replay over
//! the partitions of `__consumer_offsets` that this broker leads.
//!
//! A request decides on records and on what follows (`work::Then`); the broker appends them and
//! reports the offset, then the high watermark, and only then the client is answered. Offsets change
//! when their records are appended. A classic group's members and timers live in memory alone, as in
//! Kafka: the log keeps of them what the last finished generation was, and a new coordinator starts
//! there. Of a group of the consumer protocol (`consumer`) the log keeps everything but the timers.

pub mod assignor;
pub mod classic;
pub mod consumer;
pub mod protocol;
pub mod records;
pub mod timers;

mod finish;
mod join;
mod offsets;
mod pending;
mod queries;
mod rebalance;
mod refusal;
mod replay;
mod sync;
#[cfg(test)]
mod tests;
mod transactional;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::messages::OffsetFetchResponse;
use crate::wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use crate::wire::{
    BrokerId, Correlation, ErrorCode, GroupId, LeaderEpoch, NodeId, Offset, ProducerId, Request, StrBytes, TopicName,
    TopicPartition, partition_of_key, topic_name,
};

use assignor::Assignor;
use classic::ClassicGroup;
use consumer::ConsumerGroup;
use records::GroupRecord;
pub use refusal::refuse;
use replay::{outcome, replay, watch};
use timers::{Timer, TimerKind, Timers};
pub use work::Context;
use work::{Decided, Settings, Shard, Then, WRITE_TIMEOUT, Work, Write, write_error};

/// The topic that the coordinator keeps its state in.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A batch that the coordinator wants appended to its partition of `__consumer_offsets`, acks=all.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub partition: i32,
    pub batch: Bytes,
    /// Whose transaction it belongs to.
    pub producer: Option<ProducerId>,
}

/// A record of the log as a loading coordinator reads it.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are records, and none is kept; on 32 bits they are small")]
pub enum Logged {
    /// With the producer whose transaction it belongs to.
    Record(GroupRecord, Option<ProducerId>),
    /// A transaction has ended.
    Marker { producer: ProducerId, commit: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupCoordinator {
    broker: BrokerId,
    settings: Settings,
    /// The partitions that this broker leads.
    shards: SortedMap<i32, Shard>,
    timers: Timers,
    /// Decided writes that the broker has not taken yet.
    queued: VecDeque<Write>,
    /// Writes that the broker has taken and not reported yet.
    appending: VecDeque<Write>,
    /// Numbers the writes, so that a deadline can name one.
    last_write: u64,
}

impl GroupCoordinator {
    pub fn new(broker: BrokerId, config: &BrokerConfig) -> GroupCoordinator {
        GroupCoordinator {
            broker,
            settings: Settings::new(config),
            shards: SortedMap::new(),
            timers: Timers::default(),
            queued: VecDeque::new(),
            appending: VecDeque::new(),
            last_write: 0,
        }
    }

    /// `Utils.abs(groupId.hashCode()) % partitions`.
    pub fn partition_for(group: &str, partitions: i32) -> i32 {
        partition_of_key(group, partitions)
    }

    /// JOIN_GROUP, SYNC_GROUP, HEARTBEAT, LEAVE_GROUP, CONSUMER_GROUP_HEARTBEAT, OFFSET_COMMIT,
    /// TXN_OFFSET_COMMIT, OFFSET_FETCH: answered through the turn at once, when parked members allow, or
    /// when the write is committed. The partition of a TXN_OFFSET_COMMIT has been added to the
    /// transaction before.
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
        let Some(group) = group_of(request) else {
            return;
        };
        let partition = self.partition_of(image, group);
        let refusal = match (self.invalid(context, request), self.shards.get(&partition)) {
            (Some(error), _) => refusal::refuse(request, error),
            (None, None) => refusal::refuse(request, ErrorCode::NotCoordinator),
            (None, Some(shard)) if !shard.loaded => refusal::refuse_loading(request),
            (None, Some(_)) => None,
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
    }

    /// Other assignors than those of `group.consumer.assignors`, the default one first.
    pub fn set_assignors(&mut self, assignors: Vec<Assignor>) {
        self.settings.consumer.assignors = assignors;
    }

    /// One record that stood in the log when the partition was loaded.
    pub fn replay(&mut self, partition: i32, record: &GroupRecord, at: Offset, now: Instant) {
        if let Some(shard) = self.shards.get_mut(&partition) {
            replay(shard, record, None, at, now, true);
        }
    }

    /// The broker has become the leader of the partition and is about to read it: until `elected`,
    /// requests are told that the coordinator loads.
    pub fn loading(&mut self, partition: i32, epoch: LeaderEpoch) {
        self.shards.entry(partition).or_insert_with(|| Shard::new(epoch));
    }

    /// This broker leads the partition now: load it from its log. The high watermark is to be
    /// reported (`committed`) right afterwards.
    pub fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    ) {
        let mut records = Vec::new();
        for batch in log {
            if batch.is_control() {
                let end = batch.end_txn_marker().map(|marker| marker.commit);
                let marker = end.map(|commit| Logged::Marker { producer: batch.producer_id, commit });
                records.extend(marker.map(|marker| (batch.base_offset, marker)));
                continue;
            }
            let producer = Some(batch.producer_id).filter(|_| batch.is_transactional());
            // A batch in our own log that cannot be read is passed over, as the loader passes over
            // records that it does not know.
            for record in batch.records().unwrap_or_default() {
                let key = record.key.unwrap_or_default();
                if let Some(known) = GroupRecord::decode(&key, record.value.as_ref()) {
                    records.push((Offset(record.offset), Logged::Record(known, producer)));
                }
            }
        }
        self.load(turn, partition, epoch, records);
    }

    /// Loads a partition from its records, in order: the last one of a key wins. A coordinator that
    /// led it already goes on under the new epoch (CoordinatorRuntime.scheduleLoadOperation).
    pub fn load(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        records: impl IntoIterator<Item = (Offset, Logged)>,
    ) {
        let shard = self.shards.entry(partition).or_insert_with(|| Shard::new(epoch));
        shard.epoch = epoch;
        if shard.loaded {
            return;
        }
        shard.loaded = true;
        for (at, logged) in records {
            match logged {
                Logged::Record(record, producer) => replay(shard, &record, producer, at, turn.now, true),
                Logged::Marker { producer, commit } => {
                    shard.offsets.end_transaction(producer, commit, at, shard.committed);
                }
            }
        }
        let groups: Vec<GroupId> = shard.groups.keys().chain(shard.consumer_groups.keys()).cloned().collect();
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
            consumer_groups.iter().for_each(|group| work.consumer_group_loaded(group));
            None
        });
        let expiry = Timer { partition, kind: TimerKind::OffsetsExpiry };
        self.timers.schedule(expiry, turn.now + self.settings.retention_check_interval);
    }

    /// It does not lead it any more: parked requests are answered with NOT_COORDINATOR.
    pub fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.timers.cancel_partition(partition);
        let Some(mut shard) = self.shards.remove(&partition) else {
            return;
        };
        let mut writes: Vec<Write> = shard.deferred.drain(..).collect();
        for queue in [&mut self.appending, &mut self.queued] {
            writes.extend(queue.iter().filter(|w| w.partition == partition).cloned());
            queue.retain(|w| w.partition != partition);
        }
        let mut work = Work { turn, settings: &self.settings, timers: &mut self.timers, partition };
        let groups: Vec<GroupId> = shard.groups.keys().cloned().collect();
        for id in groups {
            if let Some(group) = shard.group_mut(&id) {
                work.group_unloaded(group);
            }
        }
        for write in writes {
            work.finish(&mut shard, write.decided.then, Err(ErrorCode::NotCoordinator), false);
        }
        self.timers.cancel_partition(partition);
    }

    /// What to append; the broker appends each in order and calls `appended` for each.
    pub fn take_appends(&mut self) -> Vec<Append> {
        std::iter::from_fn(|| self.take_write()).collect::<Vec<_>>().iter().map(append).collect()
    }

    /// The same as records that nobody has made a batch of yet.
    pub fn take_records(&mut self) -> Vec<(i32, Vec<NewRecord>)> {
        let records = |write: Write| (write.partition, new_records(&write));
        std::iter::from_fn(|| self.take_write().map(records)).collect()
    }

    fn take_write(&mut self) -> Option<Write> {
        let write = self.queued.pop_front()?;
        self.appending.push_back(write.clone());
        Some(write)
    }

    pub fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        let Some(index) = self.appending.iter().position(|w| w.partition == partition) else {
            return;
        };
        let Some(mut write) = self.appending.remove(index) else {
            return;
        };
        let base = match result {
            Ok(base) => base,
            Err(error) => {
                let error = write_error(error);
                return self
                    .on_shard(turn, partition, |work, shard| work.finish(shard, write.decided.then, Err(error), true));
            }
        };
        let Some(shard) = self.shards.get_mut(&partition) else {
            return;
        };
        let watched = watch(shard, &write.decided.records);
        for (index, record) in write.decided.records.iter().enumerate() {
            let producer = write.decided.producer.map(|(id, _)| id);
            replay(shard, record, producer, base + index as i64, turn.now, false);
        }
        write.outcome = outcome(shard, watched);
        write.end = base + write.decided.records.len() as i64;
        self.defer(turn, write);
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
        let Some(shard) = self.shards.get_mut(&partition).filter(|shard| shard.loaded) else { return };
        let facts = shard.offsets.end_transaction(producer, commit, at, shard.committed);
        self.last_write += 1;
        let decided = Decided::plain(Vec::new(), Then::Tell(facts));
        let (id, written_at) = (self.last_write, turn.now.millis());
        let write = Write { id, partition, decided, at: written_at, end: at.next(), outcome: None };
        self.defer(turn, write);
    }

    /// The high watermark of the partition moved: what waited for it is answered.
    pub fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        let Some(shard) = self.shards.get_mut(&partition) else {
            return;
        };
        shard.committed = shard.committed.max(high_watermark);
        while let Some(shard) = self.shards.get_mut(&partition) {
            if shard.deferred.front().is_none_or(|write| write.end > shard.committed) {
                return;
            }
            let Some(write) = shard.deferred.pop_front() else {
                return;
            };
            for record in &write.decided.records {
                if let GroupRecord::Offset { group, partition, value: None } = record {
                    shard.offsets.forget_deleted(group, partition);
                }
            }
            self.timers.cancel(&Timer { partition, kind: TimerKind::Write(write.id) });
            self.on_shard(turn, partition, |work, shard| work.finish(shard, write.decided.then, Ok(()), false));
            write.outcome.into_iter().for_each(|fact| turn.tell(fact));
        }
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
        let topic = image.topics.get(&topic_name(OFFSETS_TOPIC));
        let partitions = topic.map_or(self.settings.partitions, |t| t.partitions.len() as i32);
        GroupCoordinator::partition_for(&group.0, partitions)
    }

    /// What is refused before the group is looked at (GroupCoordinatorService, KafkaApis).
    fn invalid(&self, context: &Context, request: &Request) -> Option<ErrorCode> {
        let needs_name = !matches!(
            request,
            Request::OffsetCommit(_)
                | Request::TxnOffsetCommit(_)
                | Request::OffsetFetch(_)
                | Request::ConsumerGroupHeartbeat(_)
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
            let answer = match self.shards.get(&partition) {
                None => refused_fetch(asked, ErrorCode::NotCoordinator),
                Some(shard) if !shard.loaded => refused_fetch(asked, ErrorCode::CoordinatorLoadInProgress),
                Some(shard) if fetch.require_stable => {
                    wait_for = wait_for.or(Some(partition));
                    offsets::fetch(shard, asked, None)
                }
                Some(shard) => offsets::fetch(shard, asked, Some(shard.committed)),
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

    fn on_shard(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        act: impl FnOnce(&mut Work<'_, '_>, &mut Shard) -> Option<Decided>,
    ) {
        let Some(shard) = self.shards.get_mut(&partition) else {
            return;
        };
        let mut work = Work { turn, settings: &self.settings, timers: &mut self.timers, partition };
        let Some(decided) = act(&mut work, shard) else {
            return;
        };
        if decided.records.is_empty() && shard.deferred.is_empty() {
            work.finish(shard, decided.then, Ok(()), false);
            return;
        }
        self.last_write += 1;
        let (id, at) = (self.last_write, turn.now.millis());
        let mut write = Write { id, partition, decided, at, end: Offset::UNKNOWN, outcome: None };
        if write.decided.records.is_empty() {
            // What was read may not be committed yet: the answer waits for the last write before it.
            write.end = shard.deferred.back().map_or(shard.committed, |last| last.end);
            self.defer(turn, write);
        } else {
            self.queued.push_back(write);
        }
    }

    fn defer(&mut self, turn: &mut Turn<'_>, write: Write) {
        let timer = Timer { partition: write.partition, kind: TimerKind::Write(write.id) };
        if let Some(shard) = self.shards.get_mut(&write.partition) {
            self.timers.schedule(timer, turn.now + WRITE_TIMEOUT);
            shard.deferred.push_back(write);
        }
    }

    /// The client is told that it took too long; the write stays in the log and may be committed later.
    fn write_timed_out(&mut self, turn: &mut Turn<'_>, partition: i32, id: u64) {
        self.on_shard(turn, partition, |work, shard| {
            let write = shard.deferred.iter_mut().find(|w| w.id == id)?;
            let then = std::mem::replace(&mut write.decided.then, Then::Nothing);
            work.finish(shard, then, Err(write_error(ErrorCode::RequestTimedOut)), false)
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
        Request::JoinGroup(join) if has_members => work.join_consumer_group(shard, image, context, join),
        Request::JoinGroup(join) => work.join(shard, context, join),
        Request::SyncGroup(sync) if consumer.is_some() => work.sync_consumer_group(shard, image, context, sync),
        Request::SyncGroup(sync) => work.sync(shard, context, sync),
        Request::LeaveGroup(leave) if consumer.is_some() => work.leave_consumer_group(shard, image, context, leave),
        Request::LeaveGroup(leave) => work.leave(shard, context, leave),
        Request::OffsetCommit(commit) => work.commit(shard, image, context, commit),
        Request::TxnOffsetCommit(commit) => work.txn_commit(shard, context, commit),
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

/// A write as a batch; one of a transaction carries its producer and no sequence
/// (CoordinatorRuntime.scheduleTransactionalWriteOperation).
fn append(write: &Write) -> Append {
    let producer = write.decided.producer;
    let (producer_id, producer_epoch) = producer.unwrap_or((ProducerId(-1), -1));
    let transactional = producer.is_some();
    let header = BatchHeader { producer_id, producer_epoch, base_sequence: -1, transactional, control: false };
    let batch = Batch::build(&header, &new_records(write)).bytes().clone();
    Append { partition: write.partition, batch, producer: producer.map(|(id, _)| id) }
}

fn new_records(write: &Write) -> Vec<NewRecord> {
    let record = |record: &GroupRecord| {
        let (key, value) = record.encode();
        NewRecord { timestamp: write.at, key: Some(key), value, headers: Vec::new() }
    };
    write.decided.records.iter().map(record).collect()
}
