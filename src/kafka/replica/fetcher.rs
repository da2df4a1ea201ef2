//! The follower's fetching from one leader (AbstractFetcherThread, ReplicaFetcherThread): what is
//! fetched is appended, what diverges is truncated, what fails waits `replica.fetch.backoff.ms`.

use crate::sorted::{SortedMap as BTreeMap, SortedSet as BTreeSet};

use crate::sorted::SortedMap as OrdMap;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse};

use crate::kafka::config::{BrokerConfig, Planted};
use crate::kafka::fact::Fact;
use crate::kafka::log::{EpochEnd, Log};
use crate::kafka::node::{Alarm, Turn};
use crate::kafka::replica::Partition;
use crate::kafka::replica::session::FetchSession;
use crate::kafka::replica::truncation::truncation_target;
use crate::time::{Duration, Instant};
use crate::wire::{
    ApiKey, BrokerEpoch, BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, Response, TopicName,
    TopicPartition, Uuid, error,
};

/// The timestamps of LIST_OFFSETS that stand for the ends of a log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Where the logs are that the fetcher writes.
pub trait FollowerLogs {
    fn log(&self, partition: &TopicPartition) -> Option<&Log>;
    fn log_mut(&mut self, partition: &TopicPartition) -> Option<&mut Log>;
}

/// What the follower of a partition is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowState {
    Fetching,
    /// Waits after an error.
    Delayed(Instant),
    /// Out of the leader's range: asks where the leader's log ends (first) or starts (then).
    Resetting {
        leader_end: Option<Offset>,
    },
    /// Given up until the metadata says something new.
    Failed,
}

/// One partition that is fetched (PartitionFetchState).
#[derive(Clone, Debug, PartialEq)]
pub struct Follow {
    topic_id: Uuid,
    /// Where the next fetch begins: this replica's log end.
    pub offset: Offset,
    /// The leader epoch that the fetch is made in.
    pub leader_epoch: LeaderEpoch,
    /// The epoch of the last record that this replica has.
    pub last_epoch: Option<LeaderEpoch>,
    pub state: FollowState,
    /// Whether the leader's session knows this position; an answer about another one is not for us.
    sent: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct InFlight {
    correlation: Correlation,
    deadline: Instant,
}

#[derive(Clone, Debug, PartialEq)]
struct Reset {
    partition: TopicPartition,
    leader_epoch: LeaderEpoch,
    deadline: Instant,
}

/// Fetches from one leader broker, one request at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetcher {
    me: BrokerId,
    leader: BrokerId,
    partitions: OrdMap<TopicPartition, Follow>,
    /// The names of the topics in `partitions`, by the ids that answers carry.
    topics: BTreeMap<Uuid, TopicName>,
    session: FetchSession,
    in_flight: Option<InFlight>,
    /// Questions about a leader's log ends that are under way.
    resets: BTreeMap<Correlation, Reset>,
    /// The delays of `partitions`, soonest first.
    delays: BTreeSet<(Instant, TopicPartition)>,
    /// After a failed request nothing is sent before this.
    paused_until: Option<Instant>,
    /// How many partitions are in state Fetching.
    fetching: u32,
}

/// ReplicaManager.initialFetchOffset: the log end; without any epoch the high watermark, to which
/// the log is truncated first.
pub fn initial_offset(log: &Log) -> Offset {
    if log.latest_epoch().is_some() { log.log_end() } else { log.high_watermark() }
}

impl Fetcher {
    pub fn new(me: BrokerId, leader: BrokerId) -> Fetcher {
        Fetcher {
            me,
            leader,
            partitions: OrdMap::new(),
            topics: BTreeMap::new(),
            session: FetchSession::default(),
            in_flight: None,
            resets: BTreeMap::new(),
            delays: BTreeSet::new(),
            paused_until: None,
            fetching: 0,
        }
    }

    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    pub fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, &Follow)> {
        self.partitions.iter()
    }

    pub fn follow(&self, partition: &TopicPartition) -> Option<&Follow> {
        self.partitions.get(partition)
    }

    pub fn is_idle(&self) -> bool {
        self.partitions.is_empty() && self.in_flight.is_none()
    }

    /// When nothing is sent before, after a failed request.
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Whether a fetch is under way.
    pub fn is_waiting(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Starts to fetch a partition in this leader epoch. A log without any epoch is truncated to its
    /// high watermark first.
    pub fn add(
        &mut self,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        topic_id: Uuid,
        leader_epoch: LeaderEpoch,
        log: &mut Log,
    ) {
        self.remove(partition);
        let offset = initial_offset(log);
        let last_epoch = log.latest_epoch();
        if last_epoch.is_none() {
            truncate(turn, self.me, partition, log, offset);
        }
        self.topics.insert(topic_id, partition.topic.clone());
        let state = FollowState::Fetching;
        let follow = Follow { topic_id, offset, leader_epoch, last_epoch, state, sent: false };
        self.partitions.insert(partition.clone(), follow);
        self.fetching += 1;
        self.session.change(partition);
        // Kafka's fetcher thread wakes from its pause when partitions are added.
        self.paused_until = None;
    }

    /// Stops fetching a partition.
    pub fn remove(&mut self, partition: &TopicPartition) {
        if self.partitions.contains_key(partition) {
            self.set_state(partition, FollowState::Failed);
            self.partitions.remove(partition);
        }
    }

    /// The follower's log start moved by itself (retention): the leader is told with the next fetch.
    pub fn log_start_moved(&mut self, partition: &TopicPartition) {
        if self.partitions.get(partition).is_some_and(|follow| follow.state == FollowState::Fetching) {
            self.session.change(partition);
        }
    }

    /// Nothing is in flight and there is something to fetch.
    pub fn wants_to_send(&self) -> bool {
        self.in_flight.is_none() && self.paused_until.is_none() && self.fetching > 0
    }

    /// Sends the next fetch if nothing is in flight and there is something to fetch.
    pub fn send(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        broker_epoch: BrokerEpoch,
        logs: &dyn FollowerLogs,
    ) {
        if !self.wants_to_send() {
            return;
        }
        let ready = self.partitions.iter().filter(|(_, follow)| follow.state == FollowState::Fetching);
        let plan = self.session.plan(ready.map(|(partition, _)| partition));
        let mut topics: Vec<FetchTopic> = Vec::new();
        for partition in &plan.send {
            let Some(follow) = self.partitions.get_mut(partition) else { continue };
            let Some(log) = logs.log(partition) else { continue };
            follow.sent = true;
            let last_epoch = follow.last_epoch.filter(|_| config.planted != Some(Planted::TruncateToHighWatermark));
            let wanted = FetchPartition::default()
                .with_partition(partition.partition)
                .with_current_leader_epoch(follow.leader_epoch.0)
                .with_fetch_offset(follow.offset.0)
                .with_last_fetched_epoch(last_epoch.unwrap_or(LeaderEpoch::UNKNOWN).0)
                .with_log_start_offset(log.log_start().0)
                .with_partition_max_bytes(config.replica_fetch_max_bytes);
            match topics.last_mut() {
                Some(topic) if topic.topic_id == follow.topic_id => topic.partitions.push(wanted),
                _ => topics.push(FetchTopic::default().with_topic_id(follow.topic_id).with_partitions(vec![wanted])),
            }
        }
        let replica = ReplicaState::default().with_replica_id(self.me).with_replica_epoch(broker_epoch.0);
        let request = FetchRequest::default()
            .with_replica_state(replica)
            .with_max_wait_ms(config.replica_fetch_wait_max.millis() as i32)
            .with_min_bytes(config.replica_fetch_min_bytes)
            .with_max_bytes(config.replica_fetch_response_max_bytes)
            .with_session_id(plan.session_id)
            .with_session_epoch(plan.session_epoch)
            .with_topics(topics)
            .with_forgotten_topics_data(self.forgotten(&plan.forget));
        let correlation = turn.request(NodeId::Broker(self.leader), request);
        self.in_flight = Some(InFlight { correlation, deadline: turn.now + config.replica_socket_timeout });
    }

    /// Takes the answer to a fetch or to a question about the leader's log ends. `None`: not ours;
    /// else the partitions whose logs changed.
    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        correlation: Correlation,
        response: &Response,
        logs: &mut dyn FollowerLogs,
    ) -> Option<Vec<TopicPartition>> {
        match response {
            Response::Fetch(response) => {
                self.in_flight.take_if(|sent| sent.correlation == correlation)?;
                Some(self.fetched(turn, config, response, logs))
            }
            Response::ListOffsets(response) => {
                let reset = self.resets.remove(&correlation)?;
                let changed = self.reset_answered(turn, config, &reset, response, logs);
                Some(if changed { vec![reset.partition] } else { Vec::new() })
            }
            _ => None,
        }
    }

    /// The connection to the leader broke: what is in flight is lost.
    pub fn disconnected(&mut self, turn: &mut Turn<'_>, config: &BrokerConfig) {
        if self.in_flight.take().is_some() {
            self.request_failed(turn.now, config.replica_fetch_backoff);
        }
        for (_, reset) in std::mem::take(&mut self.resets) {
            self.delay(&reset.partition, turn.now + config.replica_fetch_backoff);
        }
    }

    /// Ends the pauses and gives up the requests that are due.
    pub fn alarm(&mut self, turn: &mut Turn<'_>, config: &BrokerConfig) {
        let now = turn.now;
        let to = NodeId::Broker(self.leader);
        if self.in_flight.take_if(|sent| sent.deadline <= now).is_some() {
            turn.tell(Fact::RequestTimedOut { node: NodeId::Broker(self.me), to, api: ApiKey::Fetch });
            self.request_failed(now, config.replica_fetch_backoff);
        }
        let late: Vec<Correlation> =
            self.resets.iter().filter(|(_, reset)| reset.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            turn.tell(Fact::RequestTimedOut { node: NodeId::Broker(self.me), to, api: ApiKey::ListOffsets });
            if let Some(reset) = self.resets.remove(&id) {
                self.delay(&reset.partition, now + config.replica_fetch_backoff);
            }
        }
        self.paused_until.take_if(|until| *until <= now);
        while let Some((_, partition)) = self.delays.first().filter(|(until, _)| *until <= now).cloned() {
            self.set_state(&partition, FollowState::Fetching);
        }
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let timeout = self.in_flight.iter().map(|sent| sent.deadline);
        let timeout = timeout.chain(self.resets.values().map(|reset| reset.deadline)).min();
        // While the whole fetcher pauses, the end of a partition's delay changes nothing.
        let delay = self.paused_until.or(self.delays.first().map(|(until, _)| *until));
        let timeout = timeout.map(|at| (at, Alarm::RequestTimeout));
        let delay = delay.map(|at| (at, Alarm::FetcherBackoff));
        crate::kafka::node::earliest([timeout, delay])
    }

    fn forgotten(&self, partitions: &[TopicPartition]) -> Vec<ForgottenTopic> {
        let mut topics: Vec<ForgottenTopic> = Vec::new();
        for partition in partitions {
            let id = self.topics.iter().find(|(_, name)| **name == partition.topic).map(|(id, _)| *id);
            let Some(id) = id else { continue };
            match topics.last_mut() {
                Some(topic) if topic.topic_id == id => topic.partitions.push(partition.partition),
                _ => {
                    topics.push(ForgottenTopic::default().with_topic_id(id).with_partitions(vec![partition.partition]))
                }
            }
        }
        topics
    }

    /// AbstractFetcherThread.processFetchRequest after the answer arrived.
    fn fetched(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        response: &FetchResponse,
        logs: &mut dyn FollowerLogs,
    ) -> Vec<TopicPartition> {
        let mut changed = Vec::new();
        if !self.session.answered(error(response.error_code), response.session_id) {
            return changed;
        }
        for topic in &response.responses {
            let Some(name) = self.topics.get(&topic.topic_id).cloned() else { continue };
            for data in &topic.partitions {
                let partition = TopicPartition::new(name.clone(), data.partition_index);
                let Some(follow) = self.partitions.get(&partition) else { continue };
                if follow.state != FollowState::Fetching || !follow.sent {
                    continue;
                }
                match error(data.error_code) {
                    None => {
                        if self.take_data(turn, config, &partition, data, logs) {
                            changed.push(partition);
                        }
                    }
                    Some(error) => self.take_error(turn, config, &partition, error),
                }
            }
        }
        changed
    }

    fn take_data(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        partition: &TopicPartition,
        data: &PartitionData,
        logs: &mut dyn FollowerLogs,
    ) -> bool {
        let Some(log) = logs.log(partition) else { return false };
        let diverging = &data.diverging_epoch;
        if diverging.epoch >= 0 {
            let reply = EpochEnd { epoch: LeaderEpoch(diverging.epoch), end: Offset(diverging.end_offset) };
            let own = log.end_offset_for(reply.epoch);
            let offset = self.partitions.get(partition).map_or(Offset::ZERO, |follow| follow.offset);
            let reply = (reply.end >= Offset::ZERO).then_some(reply);
            let (target, _) = truncation_target(offset, log.log_end(), reply, own);
            let Some(log) = logs.log_mut(partition) else { return false };
            truncate(turn, self.me, partition, log, target);
            self.resume_at(partition, target, log.latest_epoch());
            return true;
        }
        self.take_records(turn, config, partition, data, logs)
    }

    /// ReplicaFetcherThread.processPartitionData: records, then the high watermark, then the log start.
    fn take_records(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        partition: &TopicPartition,
        data: &PartitionData,
        logs: &mut dyn FollowerLogs,
    ) -> bool {
        let Some(follow) = self.partitions.get_mut(partition) else { return false };
        let Some(log) = logs.log(partition) else { return false };
        let records = data.records.as_ref().filter(|records| !records.is_empty());
        let mark = Offset(data.high_watermark).min(log.log_end());
        let start = Offset(data.log_start_offset);
        // What changes nothing must not touch the log, which a snapshot may share.
        if records.is_none() && mark == log.high_watermark() && start <= log.log_start() {
            return false;
        }
        if follow.offset != log.log_end() {
            self.set_state(partition, FollowState::Failed);
            return false;
        }
        let fetch_epoch = follow.leader_epoch;
        let Some(log) = logs.log_mut(partition) else { return false };
        let old_mark = log.high_watermark();
        if let Some(records) = records {
            match Partition::append_as_follower(log, records.clone(), fetch_epoch, turn.now) {
                Ok(Some(appended)) => {
                    follow.offset = appended.last.next();
                    follow.last_epoch = log.latest_epoch();
                    let (broker, leader_epoch) = (self.me, log.latest_epoch().unwrap_or(fetch_epoch));
                    let (first, last, bytes) = (appended.first, appended.last, appended.bytes);
                    if appended.rolled {
                        turn.tell(Fact::SegmentRolled { partition: partition.clone(), broker, base: first });
                    }
                    let partition = partition.clone();
                    turn.tell(Fact::Appended { partition, broker, first, last, bytes, leader_epoch, leader: false });
                }
                Ok(None) => {}
                Err(super::FollowerAppendError::Refused(ErrorCode::CorruptMessage | ErrorCode::InvalidRecord)) => {
                    // On the way it may have been damaged: fetched again after a while.
                    self.delay(partition, turn.now + config.replica_fetch_backoff);
                    return false;
                }
                Err(_) => {
                    self.set_state(partition, FollowState::Failed);
                    return false;
                }
            }
            self.session.change(partition);
        }
        let new_mark = log.update_high_watermark(Offset(data.high_watermark).min(log.log_end()));
        if new_mark != old_mark {
            let (partition, broker) = (partition.clone(), self.me);
            turn.tell(Fact::HighWatermarkMoved { partition, broker, from: old_mark, to: new_mark, leader: false });
        }
        if start > log.log_start() && log.maybe_increment_log_start(start) {
            turn.tell(Fact::LogStartMoved { partition: partition.clone(), broker: self.me, to: log.log_start() });
            self.session.change(partition);
        }
        true
    }

    fn take_error(&mut self, turn: &mut Turn<'_>, config: &BrokerConfig, partition: &TopicPartition, error: ErrorCode) {
        match error {
            ErrorCode::OffsetOutOfRange => self.ask(turn, config, partition, None),
            // The request carried the epoch that still holds here: the metadata must bring a newer one.
            ErrorCode::FencedLeaderEpoch => self.set_state(partition, FollowState::Failed),
            _ => self.delay(partition, turn.now + config.replica_fetch_backoff),
        }
    }

    /// Asks the leader where its log ends, or, once that is known, where it starts.
    fn ask(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        partition: &TopicPartition,
        leader_end: Option<Offset>,
    ) {
        let Some(leader_epoch) = self.partitions.get(partition).map(|follow| follow.leader_epoch) else { return };
        self.set_state(partition, FollowState::Resetting { leader_end });
        let timestamp = if leader_end.is_none() { LATEST } else { EARLIEST };
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(partition.partition)
            .with_current_leader_epoch(leader_epoch.0)
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(partition.topic.clone()).with_partitions(vec![wanted]);
        let request = ListOffsetsRequest::default().with_replica_id(self.me).with_topics(vec![topic]);
        let correlation = turn.request(NodeId::Broker(self.leader), request);
        let deadline = turn.now + config.replica_socket_timeout;
        self.resets.insert(correlation, Reset { partition: partition.clone(), leader_epoch, deadline });
    }

    /// AbstractFetcherThread.fetchOffsetAndTruncate, in two steps. True if the log changed.
    fn reset_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &BrokerConfig,
        reset: &Reset,
        response: &ListOffsetsResponse,
        logs: &mut dyn FollowerLogs,
    ) -> bool {
        let partition = &reset.partition;
        let Some(follow) = self.partitions.get(partition) else { return false };
        let FollowState::Resetting { leader_end } = follow.state else { return false };
        if follow.leader_epoch != reset.leader_epoch {
            return false;
        }
        let answer = response.topics.iter().flat_map(|topic| &topic.partitions).next();
        let offset = match answer.map(|answer| (error(answer.error_code), Offset(answer.offset))) {
            Some((None, offset)) => offset,
            Some((Some(ErrorCode::FencedLeaderEpoch), _)) => {
                self.set_state(partition, FollowState::Failed);
                return false;
            }
            _ => {
                self.delay(partition, turn.now + config.replica_fetch_backoff);
                return false;
            }
        };
        let Some(log) = logs.log_mut(partition) else { return false };
        let own_end = log.log_end();
        if leader_end.is_none() {
            if offset >= own_end {
                self.ask(turn, config, partition, Some(offset));
                return false;
            }
            // An unclean leader knows less than this follower: what it does not have is lost.
            truncate(turn, self.me, partition, log, offset);
            self.resume_at(partition, offset, log.latest_epoch());
            return true;
        }
        if offset > own_end {
            log.truncate_fully_and_start_at(offset);
            let (partition, broker) = (partition.clone(), self.me);
            turn.tell(Fact::LogStartMoved { partition, broker, to: offset });
        }
        self.resume_at(partition, offset.max(own_end), log.latest_epoch());
        true
    }

    fn resume_at(&mut self, partition: &TopicPartition, offset: Offset, last_epoch: Option<LeaderEpoch>) {
        if let Some(follow) = self.partitions.get_mut(partition) {
            follow.offset = offset;
            follow.last_epoch = last_epoch;
        }
        self.set_state(partition, FollowState::Fetching);
    }

    /// A request got no answer: every partition waits, the fetcher itself pauses (both, as Kafka does).
    fn request_failed(&mut self, now: Instant, backoff: Duration) {
        self.session.failed();
        self.paused_until = Some(now + backoff);
        let fetching = self.partitions.iter().filter(|(_, follow)| follow.state == FollowState::Fetching);
        let fetching: Vec<TopicPartition> = fetching.map(|(partition, _)| partition.clone()).collect();
        for partition in fetching {
            self.delay(&partition, now + backoff + backoff);
        }
    }

    fn delay(&mut self, partition: &TopicPartition, until: Instant) {
        self.set_state(partition, FollowState::Delayed(until));
    }

    /// The only place where a state changes: keeps the session, the delays and the count in step.
    fn set_state(&mut self, partition: &TopicPartition, state: FollowState) {
        let Some(follow) = self.partitions.get_mut(partition) else { return };
        if let FollowState::Delayed(until) = follow.state {
            self.delays.remove(&(until, partition.clone()));
        }
        let was = follow.state == FollowState::Fetching;
        let is = state == FollowState::Fetching;
        follow.state = state;
        follow.sent = follow.sent && is && was;
        if let FollowState::Delayed(until) = state {
            self.delays.insert((until, partition.clone()));
        }
        self.fetching = self.fetching + u32::from(is) - u32::from(was);
        if is {
            self.session.change(partition);
        } else {
            self.session.leave_out(partition);
        }
    }
}

pub fn truncate(turn: &mut Turn<'_>, me: BrokerId, partition: &TopicPartition, log: &mut Log, to: Offset) {
    let from = log.log_end();
    // Truncating to the end still trims the epoch cache (UnifiedLog.truncateTo).
    if log.truncate_to(to) {
        turn.tell(Fact::Truncated { partition: partition.clone(), broker: me, from, to });
    }
}

#[cfg(test)]
mod tests;
