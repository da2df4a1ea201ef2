//! A share consumer and its application (KafkaShareConsumer, KIP-932): an endless loop of `poll`. With
//! implicit acknowledgement the application handles records, in no time or as slowly as `pace` says, and the
//! next poll accepts them;
//! with explicit acknowledgement somebody has to say of each record what became of it before the next
//! poll. Here are its face and the order of a poll; `share_heartbeat` is its part in the group,
//! `share_records` what it fetches, hands out and acknowledges.

use std::collections::VecDeque;

use crate::kafka::client::DeliveredBatch;
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::{InFlight, Network};
use crate::kafka::client::pace::Pace;
use crate::kafka::client::poll_loop::{CLOSE_TIMEOUT, PollLoop};
use crate::kafka::client::share_fetch::{Acks, Id, ShareBuffered, ShareSession};
use crate::kafka::client::share_heartbeat::ShareMembership;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Command, Input, Node, Turn};
use crate::packed::Packed;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{ClientId, ErrorCode, NodeId, Offset, Response, TopicName, TopicPartition, str_bytes, topic_name};

/// A run of records that one poll handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareDelivery {
    pub batch: DeliveredBatch,
    /// How often the records have been handed out to the group, this time included.
    pub delivery_count: i16,
}

/// A share consumer, running or not.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareConsumer {
    id: ClientId,
    name: String,
    group: String,
    topics: Vec<TopicName>,
    config: ConsumerConfig,
    bootstrap: Vec<NodeId>,
    /// What the application was given, over all its processes.
    delivered: Packed<ShareDelivery>,
    /// Records of it.
    delivered_count: u64,
    /// How long the application takes for each record, whichever process it runs in.
    record_time: Duration,
    process: Option<Process>,
    /// The earliest alarm, computed at the end of every input.
    alarm: Option<(Instant, Alarm)>,
}

/// Records by the broker that handed them out, and only there they can be acknowledged.
pub(super) type ByNode = SortedMap<NodeId, SortedMap<Id, Acks>>;

/// What a kill takes away.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Process {
    pub id: ClientId,
    pub network: Network<Purpose>,
    pub metadata: Metadata,
    pub member: ShareMembership,
    pub sessions: SortedMap<NodeId, ShareSession>,
    /// Fetched and not handed out.
    pub buffered: VecDeque<ShareBuffered>,
    /// What the last poll handed out, with what the application has said of it so far.
    pub held: ByNode,
    /// What is to be told to the brokers.
    pub acks: ByNode,
    /// The application's `commitSync`: the brokers are told without waiting for the next fetch.
    pub commit: bool,
    /// A poll has found nothing: more records are to be fetched.
    pub wants_more: bool,
    /// The last poll was then, and the application does not poll again before it has handled its records, and
    /// acknowledged them where it has to.
    pub stalled_since: Option<Instant>,
    pub pace: Pace,
    /// No fetch from the partition's leader before this instant.
    pub next_try: SortedMap<TopicPartition, Instant>,
    pub close: Close,
    /// What the polls of this turn handed out.
    pub delivered: Vec<ShareDelivery>,
}

/// `close()`, step by step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Close {
    No,
    /// The last acknowledgements go out and end the sessions.
    Closing {
        until: Instant,
    },
    /// Leave the group and end.
    Leaving,
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Purpose {
    Metadata,
    FindCoordinator,
    Heartbeat {
        epoch: i32,
    },
    Leave,
    /// With the acknowledgements that go along.
    Fetch(SortedMap<Id, Acks>),
    Acknowledge {
        acks: SortedMap<Id, Acks>,
        close: bool,
    },
}

impl ShareConsumer {
    pub fn new(
        id: ClientId,
        name: &str,
        group: &str,
        topics: &[String],
        bootstrap: Vec<NodeId>,
        config: ConsumerConfig,
    ) -> ShareConsumer {
        ShareConsumer {
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
    pub fn delivered(&self) -> &Packed<ShareDelivery> {
        &self.delivered
    }

    /// How many records the application was given.
    pub fn delivered_count(&self) -> u64 {
        self.delivered_count
    }

    pub fn assignment(&self) -> &[TopicPartition] {
        self.process.as_ref().map_or(&[], |process| &process.member.assigned)
    }

    pub fn member_id(&self) -> Option<&str> {
        self.process.as_ref().map(|process| process.member.member_id.as_str())
    }

    /// The member's epoch; `None` before it is in the group.
    pub fn epoch(&self) -> Option<i32> {
        self.process.as_ref().filter(|process| process.member.joined).map(|process| process.member.epoch)
    }

    pub fn coordinator(&self) -> Option<NodeId> {
        self.process.as_ref()?.member.coordinator()
    }

    /// The offsets that the application has and has not acknowledged yet.
    pub fn unacknowledged(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let held = self.process.iter().flat_map(|process| process.held.values().flatten());
        held.flat_map(|((partition, _), acks)| {
            acks.iter().filter(|(_, said)| said.is_none()).map(move |(offset, _)| (partition, *offset))
        })
    }

    /// Until when the application handles the records of its last poll, before it polls again.
    pub fn busy_until(&self, now: Instant) -> Option<Instant> {
        self.process.as_ref()?.pace.busy_until(now)
    }

    pub fn metadata(&self) -> Option<&Metadata> {
        self.process.as_ref().map(|process| &process.metadata)
    }

    fn start(&mut self, turn: &mut Turn<'_>) {
        let member_id = str_bytes(&turn.uuid().to_string());
        let mut pace = Pace::default();
        pace.set(self.record_time);
        self.process = Some(Process {
            id: self.id,
            network: Network::default(),
            metadata: Metadata::of_consumer(self.bootstrap.clone(), &self.topics, &self.config),
            member: ShareMembership::new(&self.group, &self.topics, member_id),
            sessions: SortedMap::new(),
            buffered: VecDeque::new(),
            held: SortedMap::new(),
            acks: SortedMap::new(),
            commit: false,
            wants_more: false,
            stalled_since: None,
            pace,
            next_try: SortedMap::new(),
            close: Close::No,
            delivered: Vec::new(),
        });
    }

    fn finish(&mut self, turn: &mut Turn<'_>) {
        let Some(process) = &mut self.process else { return };
        for delivery in process.delivered.drain(..) {
            self.delivered_count += u64::from(delivery.batch.count);
            self.delivered.push_back(delivery);
        }
        if process.close == Close::Leaving {
            process.send_leave(turn, &self.config);
            self.process = None;
        }
        self.alarm = self.process.as_ref().and_then(|p| p.next_alarm(turn.now, &self.config));
    }
}

impl Node for ShareConsumer {
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
    fn close(&mut self, turn: &Turn<'_>) {
        if self.close == Close::No {
            self.close = Close::Closing { until: turn.now + CLOSE_TIMEOUT };
        }
    }

    /// The application gets an exception.
    pub(super) fn tell_error(&self, turn: &mut Turn<'_>, error: &str) {
        turn.tell(Fact::ConsumerError { consumer: self.id, error: str_bytes(error) });
    }

    /// The application gets an exception that it cannot go on from: it closes the consumer.
    pub(super) fn fail(&mut self, turn: &mut Turn<'_>, error: &str) {
        self.tell_error(turn, error);
        self.close(turn);
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

    /// Nor does an application poll that has not acknowledged what it was given: the heartbeat thread leaves
    /// the group.
    fn check_poll_interval(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, frozen: bool) {
        let stalled = self.stalled_since.is_some_and(|since| since + config.max_poll_interval <= turn.now);
        if (frozen || stalled) && self.member.joined && !self.member.away && self.close == Close::No {
            self.leave_for_a_poll(turn, config);
        }
    }

    fn command(&mut self, turn: &mut Turn<'_>, _: &ConsumerConfig, command: Command) {
        match command {
            Command::Acknowledge { record, kind } => self.acknowledge(turn, record, kind),
            Command::Commit => self.commit = true,
            Command::Handle { each } => self.pace.set(each),
            Command::Close => self.close(turn),
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
                self.member.coordinator.told(turn, config, &self.network, response);
            }
            (Purpose::Heartbeat { epoch }, Response::ShareGroupHeartbeat(response)) => {
                self.heartbeat_answered(turn, config, epoch, response);
            }
            (Purpose::Leave, Response::ShareGroupHeartbeat(_)) => {}
            (Purpose::Fetch(acks), Response::ShareFetch(response)) => {
                self.fetch_answered(turn, config, to, acks, response);
            }
            (Purpose::Acknowledge { acks, close }, Response::ShareAcknowledge(response)) => {
                self.acknowledge_answered(turn, to, acks, close, response);
            }
            // An answer of another kind is no answer.
            (purpose, _) => self.given_up(turn, config, to, purpose),
        }
    }

    fn given_up(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, node: NodeId, purpose: Purpose) {
        match purpose {
            Purpose::Metadata => self.metadata.failed(turn),
            Purpose::FindCoordinator => self.member.coordinator.failed(turn, config),
            Purpose::Heartbeat { .. } => self.heartbeat_lost(turn, config),
            Purpose::Leave => {}
            Purpose::Fetch(acks) | Purpose::Acknowledge { acks, close: false } => {
                self.sessions.entry(node).or_default().lost();
                self.tell_acknowledged(turn, &acks, |_| Some(ErrorCode::NetworkException));
            }
            Purpose::Acknowledge { acks, close: true } => {
                self.sessions.remove(&node);
                self.tell_acknowledged(turn, &acks, |_| Some(ErrorCode::NetworkException));
            }
        }
    }

    fn poll(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let was_away = self.member.away;
        self.poll_group(turn, config);
        match self.close {
            Close::No => {
                self.hand_out(turn, config);
                if was_away && !self.member.away {
                    self.poll_group(turn, config);
                }
                self.send_fetches(turn, config);
                self.send_acknowledgements(turn, config);
            }
            Close::Closing { until } => self.close_sessions(turn, config, until),
            Close::Leaving => {}
        }
    }

    fn alarms(&self, config: &ConsumerConfig, alarms: &mut Vec<Option<(Instant, Alarm)>>) {
        self.group_alarms(alarms);
        alarms.extend(self.next_try.values().map(|at| Some((*at, Alarm::RetryBackoff))));
        alarms.extend(self.pace.alarms(config.max_poll_interval));
        alarms.push(self.stalled_since.map(|since| (since + config.max_poll_interval, Alarm::PollInterval)));
        if let Close::Closing { until } = self.close {
            alarms.push(Some((until, Alarm::RetryBackoff)));
        }
    }
}
