//! A consumer and its application: an endless loop of `poll`, which handles records in no time, or as slowly
//! as `pace` says (KafkaConsumer). Here are its face and the order of a poll; `poll_loop` is what it does at any
//! input as a share consumer does, `consumer_group` its part in the group, `consumer_rebalance` what a rebalance of
//! the classic protocol does to it, `consumer_heartbeat` its way through the consumer protocol,
//! `consumer_fetch` its positions and records.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::kafka::client::assignor::Assignor;
use crate::kafka::client::consumer_heartbeat::Step;
use crate::kafka::client::fetcher::{Buffered, Session, Wanted};
use crate::kafka::client::membership::{Membership, Offsets, Phase};
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::{InFlight, Network};
use crate::kafka::client::pace::Pace;
use crate::kafka::client::poll_loop::PollLoop;
use crate::kafka::client::retries::Retries;
use crate::kafka::client::subscription::{Assigned, FetchState, Position, ResetTo, Subscription};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, PositionReason};
use crate::kafka::node::{Alarm, Command, Input, Node, SeekTo, Turn, TxnOffsets};
use crate::packed::Packed;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{ClientId, ErrorCode, NodeId, Offset, Response, TopicName, TopicPartition, str_bytes, topic_name};

/// What one poll handed out of one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveredBatch {
    pub partition: TopicPartition,
    /// The whole batches that the records stand in.
    pub records: Bytes,
    pub first: Offset,
    pub last: Offset,
    pub count: u32,
}

/// A consumer, running or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    id: ClientId,
    name: String,
    group: String,
    topics: Vec<TopicName>,
    config: ConsumerConfig,
    bootstrap: Vec<NodeId>,
    /// What the application was given, over all its processes.
    delivered: Packed<DeliveredBatch>,
    /// Records that the application was given.
    delivered_count: u64,
    /// How long the application takes for each record, whichever process it runs in.
    record_time: Duration,
    process: Option<Process>,
    /// The earliest alarm, computed at the end of every input.
    alarm: Option<(Instant, Alarm)>,
}

/// What a kill takes away.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Process {
    pub id: ClientId,
    pub network: Network<Purpose>,
    pub metadata: Metadata,
    pub member: Membership,
    pub subscription: Subscription,
    /// The metadata version that positions were last compared with.
    pub seen_metadata: u64,
    /// Fetched and not handed out.
    pub buffered: VecDeque<Buffered>,
    pub sessions: SortedMap<NodeId, Session>,
    /// When positions are committed next (`auto.commit.interval.ms`); checked as a poll begins.
    pub next_auto_commit: Instant,
    /// Why the last commit at the interval failed, if it did.
    pub interval_error: Option<ErrorCode>,
    /// `commitSync` calls of the application that have not succeeded yet.
    pub commits: Vec<PendingCommit>,
    /// What the coordinator said is committed.
    pub committed: SortedMap<TopicPartition, Offset>,
    /// OFFSET_FETCH is on its way, or not again before this instant.
    pub offsets_out: bool,
    pub offsets_at: Instant,
    pub offsets_retries: Retries,
    pub pace: Pace,
    pub close: Close,
    /// What the polls of this turn handed out.
    pub delivered: Vec<DeliveredBatch>,
}

/// `commitSync`: tried again until it succeeds or `default.api.timeout.ms` is over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PendingCommit {
    pub offsets: Offsets,
    pub deadline: Instant,
    /// `None` while it is on its way.
    pub retry_at: Option<Instant>,
    pub retries: Retries,
}

/// `close()`, step by step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Close {
    No,
    /// Called: commit first.
    Wanted,
    /// The last commit is on its way.
    Committing {
        until: Instant,
    },
    /// Leave the group and end.
    Leaving,
}

/// What a commit was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitFor {
    Interval,
    Revocation,
    Application,
    Close,
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Purpose {
    Metadata,
    FindCoordinator,
    Join(u64),
    Sync(u64),
    Heartbeat { generation: i32 },
    ConsumerHeartbeat { epoch: i32 },
    Leave,
    Commit { why: CommitFor, offsets: Offsets, generation: i32 },
    OffsetFetch(Vec<TopicPartition>),
    ListOffsets(Vec<(TopicPartition, ResetTo)>),
    EpochEnd(Vec<(TopicPartition, Position)>),
    Fetch(SortedMap<TopicPartition, Wanted>),
}

impl Consumer {
    pub fn new(
        id: ClientId,
        name: &str,
        group: &str,
        topics: &[String],
        bootstrap: Vec<NodeId>,
        config: ConsumerConfig,
    ) -> Consumer {
        Consumer {
            id,
            name: name.to_string(),
            group: group.to_string(),
            topics: topics.iter().map(|t| topic_name(t)).collect(),
            config,
            bootstrap,
            delivered: Packed::default(),
            delivered_count: 0,
            record_time: Duration::default(),
            process: None,
            alarm: None,
        }
    }

    pub fn id(&self) -> ClientId {
        self.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// What its application hands to a producer for a transaction: `position()` of each partition and
    /// `groupMetadata()`. `None` while it does not run.
    pub fn txn_offsets(&self) -> Option<TxnOffsets> {
        let Process { member, subscription, .. } = self.process.as_ref()?;
        let offsets = subscription.consumed().into_iter().map(|(tp, position)| (tp, position.offset, position.epoch));
        Some(TxnOffsets {
            group: member.group.clone(),
            member: member.member_id.clone(),
            instance: self.config.group_instance_id.as_deref().map(str_bytes),
            generation: member.generation,
            offsets: offsets.collect(),
        })
    }

    /// The process dies without a word to anybody.
    pub fn kill(&mut self) {
        self.process = None;
        self.alarm = None;
    }

    /// `close()` was called and is not done.
    pub fn is_closing(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.close != Close::No)
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Everything that the application was given, in order.
    pub fn delivered(&self) -> &Packed<DeliveredBatch> {
        &self.delivered
    }

    /// How many records the application was given.
    pub fn delivered_count(&self) -> u64 {
        self.delivered_count
    }

    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.process.as_ref().map(|p| p.subscription.partitions()).unwrap_or_default()
    }

    /// Each assigned partition with its state, position, high watermark and whether it is paused.
    pub fn assigned(&self) -> impl Iterator<Item = (&TopicPartition, &Assigned)> {
        self.process.iter().flat_map(|p| &p.subscription.assigned)
    }

    /// The next offset to be handed out, of the partitions that have a position.
    pub fn positions(&self) -> SortedMap<TopicPartition, Offset> {
        self.assigned().filter_map(|(tp, a)| Some((tp.clone(), a.position.as_ref()?.offset))).collect()
    }

    /// What is committed, as far as this process knows.
    pub fn committed(&self) -> SortedMap<TopicPartition, Offset> {
        self.process.as_ref().map(|p| p.committed.clone()).unwrap_or_default()
    }

    pub fn member_id(&self) -> Option<&str> {
        self.process.as_ref().map(|p| p.member.member_id.as_str()).filter(|id| !id.is_empty())
    }

    pub fn generation(&self) -> Option<i32> {
        self.process.as_ref().map(|p| p.member.generation).filter(|g| *g >= 0)
    }

    /// Whether the member takes part in a stable generation.
    pub fn is_stable(&self) -> bool {
        let settled = |m: &Membership| m.modern.as_ref().is_none_or(|modern| modern.step == Step::Stable);
        let stable = |m: &Membership| m.phase == Phase::Stable && !m.rejoin && settled(m);
        self.process.as_ref().is_some_and(|p| stable(&p.member))
    }

    pub fn coordinator(&self) -> Option<NodeId> {
        self.process.as_ref()?.member.coordinator()
    }

    /// Until when the application handles the records of its last poll, before it polls again.
    pub fn busy_until(&self, now: Instant) -> Option<Instant> {
        self.process.as_ref()?.pace.busy_until(now)
    }

    /// Whether the application has paused everything that it is assigned.
    pub fn is_paused(&self) -> bool {
        let mut assigned = self.assigned().peekable();
        assigned.peek().is_some() && assigned.all(|(_, a)| a.paused)
    }

    pub fn metadata(&self) -> Option<&Metadata> {
        self.process.as_ref().map(|p| &p.metadata)
    }

    fn start(&mut self, turn: &mut Turn<'_>) {
        let assignor = |name: &String| Assignor::parse(name).expect("the settings name only Kafka's own assignors");
        let assignors: Vec<Assignor> = self.config.assignors.iter().map(assignor).collect();
        let mut member = Membership::new(&self.group, &self.topics, assignors, &self.config);
        if self.config.consumer_protocol {
            member = member.by_consumer_protocol(str_bytes(&turn.uuid().to_string()));
        }
        let mut process = Process::new(self.id, self.bootstrap.clone(), &self.topics, member, &self.config, turn.now);
        process.pace.set(self.record_time);
        self.process = Some(process);
    }

    fn finish(&mut self, turn: &mut Turn<'_>) {
        let Some(process) = &mut self.process else { return };
        for batch in process.delivered.drain(..) {
            self.delivered_count += u64::from(batch.count);
            self.delivered.push_back(batch);
        }
        if process.close == Close::Leaving {
            process.leave(turn, &self.config);
            self.process = None;
        }
        self.alarm = self.process.as_ref().and_then(|p| p.next_alarm(turn.now, &self.config));
    }
}

impl Node for Consumer {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if let Input::Start = input {
            self.start(turn);
        }
        if let Input::Command(Command::Handle { each }) = input {
            self.record_time = each;
        }
        let Some(process) = &mut self.process else { return };
        process.run_once(turn, &self.config, self.alarm, input);
        self.finish(turn);
    }

    fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.alarm
    }
}

impl Process {
    fn new(
        id: ClientId,
        bootstrap: Vec<NodeId>,
        topics: &[TopicName],
        member: Membership,
        config: &ConsumerConfig,
        now: Instant,
    ) -> Process {
        Process {
            id,
            network: Network::default(),
            metadata: Metadata::of_consumer(bootstrap, topics, config),
            member,
            subscription: Subscription::default(),
            seen_metadata: 0,
            buffered: VecDeque::new(),
            sessions: SortedMap::new(),
            next_auto_commit: now + config.auto_commit_interval,
            interval_error: None,
            commits: Vec::new(),
            committed: SortedMap::new(),
            offsets_out: false,
            offsets_at: Instant(i64::MIN),
            offsets_retries: Retries::default(),
            pace: Pace::default(),
            close: Close::No,
            delivered: Vec::new(),
        }
    }

    /// A consumer that is told its partitions by `assign` and is in no group.
    pub(super) fn without_group(
        id: ClientId,
        bootstrap: Vec<NodeId>,
        topics: &[TopicName],
        config: &ConsumerConfig,
        now: Instant,
    ) -> Process {
        Process::new(id, bootstrap, topics, Membership::new("", topics, Vec::new(), config), config, now)
    }

    fn close(&mut self) {
        if self.close == Close::No {
            self.close = Close::Wanted;
        }
    }

    fn seek(&mut self, turn: &mut Turn<'_>, partition: &TopicPartition, to: SeekTo) {
        let Some(assigned) = self.subscription.get_mut(partition) else {
            return self.tell_error(turn, &format!("No current assignment for partition {partition}"));
        };
        match to {
            SeekTo::Offset(offset) => {
                assigned.seek(Position::at(offset));
                let (partition, reason) = (partition.clone(), PositionReason::Seek);
                turn.tell(Fact::PositionSet { consumer: self.id, partition, to: offset, reason });
            }
            SeekTo::Earliest => assigned.reset(ResetTo::Earliest, PositionReason::Seek),
            SeekTo::Latest => assigned.reset(ResetTo::Latest, PositionReason::Seek),
            SeekTo::Timestamp(at) => assigned.reset(ResetTo::Timestamp(at), PositionReason::Seek),
        }
        self.see_leaders();
    }

    /// The application gets an exception.
    pub(super) fn tell_error(&self, turn: &mut Turn<'_>, error: &str) {
        turn.tell(Fact::ConsumerError { consumer: self.id, error: str_bytes(error) });
    }

    /// The application gets an exception that it cannot go on from: it closes the consumer.
    pub(super) fn fail(&mut self, turn: &mut Turn<'_>, error: &str) {
        self.tell_error(turn, error);
        self.close();
    }
}

impl PollLoop for Process {
    type Purpose = Purpose;
    const METADATA: Purpose = Purpose::Metadata;

    fn id(&self) -> ClientId {
        self.id
    }

    fn network(&self) -> (&Network<Purpose>, &Metadata) {
        (&self.network, &self.metadata)
    }

    fn network_mut(&mut self) -> (&mut Network<Purpose>, &mut Metadata) {
        (&mut self.network, &mut self.metadata)
    }

    fn check_poll_interval(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, frozen: bool) {
        if frozen || self.pace.is_overdue(turn.now, config.max_poll_interval) {
            self.poll_timed_out(turn, config);
        }
    }

    fn command(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, command: Command) {
        match command {
            Command::Seek { partition, to } => self.seek(turn, &partition, to),
            Command::Commit => self.commits.push(PendingCommit {
                offsets: self.subscription.consumed(),
                deadline: turn.now + config.default_api_timeout,
                retry_at: Some(turn.now),
                retries: Retries::default(),
            }),
            Command::Pause => self.subscription.assigned.values_mut().for_each(|a| a.paused = true),
            Command::Resume => self.subscription.assigned.values_mut().for_each(|a| a.paused = false),
            Command::Handle { each } => self.pace.set(each),
            Command::Close => self.close(),
            // What other clients' applications call.
            _ => {}
        }
    }

    fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        request: InFlight<Purpose>,
        response: &Response,
    ) {
        let InFlight { to, purpose, .. } = request;
        match (purpose, response) {
            (Purpose::Metadata, Response::Metadata(response)) => {
                self.metadata.update(turn, response);
            }
            (Purpose::FindCoordinator, Response::FindCoordinator(response)) => {
                self.coordinator_told(turn, config, response);
            }
            (Purpose::Join(attempt), Response::JoinGroup(response)) => {
                self.join_answered(turn, config, attempt, response);
            }
            (Purpose::Sync(attempt), Response::SyncGroup(response)) => {
                self.sync_answered(turn, config, attempt, response);
            }
            (Purpose::Heartbeat { generation }, Response::Heartbeat(response)) => {
                self.heartbeat_answered(turn, config, generation, response);
            }
            (Purpose::ConsumerHeartbeat { epoch }, Response::ConsumerGroupHeartbeat(response)) => {
                self.consumer_heartbeat_answered(turn, config, epoch, response);
            }
            (Purpose::Leave, Response::LeaveGroup(_) | Response::ConsumerGroupHeartbeat(_)) => {}
            (Purpose::Commit { why, offsets, generation }, Response::OffsetCommit(response)) => {
                self.commit_answered(turn, config, why, offsets, generation, response);
            }
            (Purpose::OffsetFetch(asked), Response::OffsetFetch(response)) => {
                self.offsets_answered(turn, config, &asked, response);
            }
            (Purpose::ListOffsets(asked), Response::ListOffsets(response)) => {
                self.list_offsets_answered(turn, config, asked, response);
            }
            (Purpose::EpochEnd(asked), Response::OffsetForLeaderEpoch(response)) => {
                self.epoch_end_answered(turn, config, asked, response);
            }
            (Purpose::Fetch(asked), Response::Fetch(response)) => {
                self.fetch_answered(turn, config, to, asked, response);
            }
            // An answer of another kind is no answer.
            (purpose, _) => self.given_up(turn, config, to, purpose),
        }
    }

    fn given_up(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, node: NodeId, purpose: Purpose) {
        let retry_at = turn.now + config.retry_backoff;
        match purpose {
            Purpose::Metadata => self.metadata.failed(turn),
            Purpose::FindCoordinator => self.coordinator_not_told(turn, config),
            Purpose::Join(attempt) | Purpose::Sync(attempt) => self.join_lost(turn, config, attempt),
            Purpose::Heartbeat { .. } => {
                self.member.coordinator_unknown(turn, config);
                self.member.heartbeat_failed(turn, config);
            }
            Purpose::ConsumerHeartbeat { .. } => self.consumer_heartbeat_lost(turn, config),
            Purpose::Leave => {}
            Purpose::Commit { why, generation, .. } => {
                self.member.coordinator_unknown(turn, config);
                self.commit_failed(turn, config, why, generation, ErrorCode::NetworkException);
            }
            Purpose::OffsetFetch(_) => {
                self.member.coordinator_unknown(turn, config);
                self.offsets_out = false;
                self.offsets_at = self.offsets_retries.next(turn, config);
            }
            Purpose::ListOffsets(asked) => self.try_later(asked.iter().map(|(tp, _)| tp), retry_at),
            Purpose::EpochEnd(asked) => self.try_later(asked.iter().map(|(tp, _)| tp), retry_at),
            Purpose::Fetch(asked) => self.fetch_lost(node, &asked),
        }
    }

    fn poll(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if self.pace.is_busy(turn.now) && self.close == Close::No {
            return self.run_heartbeat_thread(turn, config);
        }
        self.poll_group(turn, config);
        if self.close != Close::Leaving {
            self.update_positions(turn, config);
            self.hand_out(turn, config);
            self.send_fetches(turn, config);
        }
    }

    fn alarms(&self, config: &ConsumerConfig, alarms: &mut Vec<Option<(Instant, Alarm)>>) {
        self.group_alarms(config, alarms);
        alarms.extend(self.pace.alarms(config.max_poll_interval));
        let looking = |a: &Assigned| matches!(a.state, FetchState::AwaitReset { .. } | FetchState::AwaitValidation);
        let tries = self.subscription.assigned.values().filter(|a| looking(a));
        alarms.extend(tries.map(|a| Some((a.next_try, Alarm::RetryBackoff))));
        alarms.push(Some((self.offsets_at, Alarm::RetryBackoff)));
        let preferred = self.subscription.assigned.values().filter_map(|a| a.preferred);
        alarms.extend(preferred.map(|(_, until)| Some((until, Alarm::MetadataRefresh))));
    }
}
