//! The active controller (QuorumController): it decides, replays at once, appends to the quorum's log
//! and answers when the records are committed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::ahead::Ahead;
use crate::kafka::controller::answer::refuse;
use crate::kafka::controller::configs::MIN_IN_SYNC_REPLICAS;
use crate::kafka::controller::decide::Decision;
use crate::kafka::controller::image::{ELIGIBLE_LEADER_REPLICAS, MetadataImage};
use crate::kafka::controller::liveness::BrokerState;
use crate::kafka::controller::record::{MetadataRecord, ResourceType};
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::time::{Duration, Instant};
use crate::wire::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRequest,
};
use crate::wire::{
    BrokerEpoch, BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, ProducerId, Request, Response,
    str_bytes,
};

/// ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE.
const PRODUCER_ID_BLOCK: i32 = 1_000;

/// `unclean.leader.election.interval.ms`.
const UNCLEAN_ELECTION_INTERVAL: Duration = Duration::from_millis(300_000);

/// How soon a periodic task that left something to do runs again (PeriodicTask).
const IMMEDIATELY: Duration = Duration::from_millis(10);

/// What a new cluster agrees on: metadata.version 4.2-IV1 and the features that come with it.
const FEATURES: [(&str, i16); 3] = [("metadata.version", 29), ("group.version", 1), ("transaction.version", 2)];

#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    /// The quorum's epoch in which this controller leads (the claim epoch).
    pub epoch: LeaderEpoch,
    pub ahead: Ahead,
    config: Arc<BrokerConfig>,
    /// Answers in the order of the offsets they wait for.
    waiting: VecDeque<Waiting>,
    /// Brokers fenced because their session ran out, until that is committed and told.
    pub expired: Vec<BrokerId>,
    no_op_at: Instant,
    /// When to look for a session that ran out.
    sweep_at: Instant,
    /// When to look for leaders that are not the preferred ones; never without `auto.leader.rebalance.enable`.
    balance_at: Option<Instant>,
    unclean_election_at: Instant,
}

/// An answer that is held until everything it rests on is committed (DeferredEventQueue).
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    /// The last record it rests on.
    offset: Offset,
    to: NodeId,
    correlation: Correlation,
    request: Request,
    response: Response,
}

/// The quorum and the turn, while the active controller works.
pub struct Tools<'a, 'b> {
    pub quorum: &'a mut Quorum,
    pub disk: &'a mut QuorumDisk,
    pub turn: &'a mut Turn<'b>,
}

impl Active {
    /// QuorumController.claim: this controller leads the quorum and has replayed everything committed.
    pub fn claim(config: Arc<BrokerConfig>, committed: MetadataImage, tools: &mut Tools<'_, '_>) -> Active {
        let now = tools.turn.now;
        let is_new_cluster = committed.features.is_empty();
        let mut active = Active {
            epoch: tools.quorum.epoch(),
            ahead: Ahead::begin(config.clone(), committed, now),
            waiting: VecDeque::new(),
            expired: Vec::new(),
            no_op_at: next_no_op(&config, now),
            sweep_at: now + sweep_interval(&config),
            balance_at: config.auto_leader_rebalance.then(|| now + config.leader_imbalance_check_interval),
            unclean_election_at: now + UNCLEAN_ELECTION_INTERVAL,
            config,
        };
        active.align(tools);
        if is_new_cluster {
            active.replay_and_append(bootstrap(&active.config), tools);
        }
        active
    }

    /// Decides a request and holds the answer.
    pub fn serve(
        &mut self,
        tools: &mut Tools<'_, '_>,
        committed: Offset,
        from: NodeId,
        correlation: Correlation,
        request: Request,
    ) {
        self.align(tools);
        match self.decide(tools, &request) {
            // Kafka answers what it refuses at once, whatever is still uncommitted.
            Err(error) => {
                if let Some(response) = refuse(&request, error) {
                    tools.turn.respond(from, correlation, response);
                }
            }
            Ok(response) => {
                let offset = self.ahead.image.offset;
                if offset <= committed {
                    tools.turn.respond(from, correlation, response);
                } else {
                    // Also an answer without records may rest on something that is not committed yet.
                    self.waiting.push_back(Waiting { offset, to: from, correlation, request, response });
                }
            }
        }
    }

    /// Everything up to here is committed.
    pub fn answer(&mut self, committed: Offset, turn: &mut Turn<'_>) {
        while self.waiting.front().is_some_and(|waiting| waiting.offset <= committed) {
            let Some(answer) = self.waiting.pop_front() else { return };
            turn.respond(answer.to, answer.correlation, answer.response);
        }
    }

    /// QuorumController.renounce: whoever waits has to ask the next active controller.
    pub fn renounce(self, turn: &mut Turn<'_>) {
        for waiting in self.waiting {
            if let Some(response) = refuse(&waiting.request, ErrorCode::NotController) {
                turn.respond(waiting.to, waiting.correlation, response);
            }
        }
    }

    /// Somebody who waited is gone.
    pub fn forget(&mut self, peer: NodeId) {
        self.waiting.retain(|waiting| waiting.to != peer);
    }

    /// Runs the periodic tasks that are due.
    pub fn run_due(&mut self, tools: &mut Tools<'_, '_>) {
        self.align(tools);
        let now = tools.turn.now;
        if now >= self.no_op_at {
            self.no_op_at = next_no_op(&self.config, now);
            self.replay_and_append(vec![MetadataRecord::NoOp], tools);
        }
        if now >= self.sweep_at {
            self.sweep_sessions(tools);
        }
        if self.balance_at.is_some_and(|at| now >= at) {
            let Decision { records, response: more } = self.ahead.decider().balance_leaders();
            self.balance_at = Some(now + if more { IMMEDIATELY } else { self.config.leader_imbalance_check_interval });
            self.replay_and_append(records, tools);
        }
        if now >= self.unclean_election_at {
            let Decision { records, response: more } = self.ahead.decider().elect_unclean_leaders();
            self.unclean_election_at = now + if more { IMMEDIATELY } else { UNCLEAN_ELECTION_INTERVAL };
            self.replay_and_append(records, tools);
        }
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let unclean = Some((self.unclean_election_at, Alarm::LeaderRebalance));
        let balance = self.balance_at.map(|at| (at, Alarm::LeaderRebalance));
        earliest([
            Some((self.no_op_at, Alarm::NoOpRecord)),
            Some((self.sweep_at, Alarm::BrokerSession)),
            balance,
            unclean,
        ])
    }

    fn sweep_sessions(&mut self, tools: &mut Tools<'_, '_>) {
        let now = tools.turn.now;
        match self.ahead.fence_one_expired(now) {
            Some((broker, records)) => {
                if !records.is_empty() {
                    self.expired.push(broker);
                }
                self.append(&records, tools);
                self.sweep_at = now + IMMEDIATELY;
            }
            None => self.sweep_at = now + sweep_interval(&self.config),
        }
    }

    fn decide(&mut self, tools: &mut Tools<'_, '_>, request: &Request) -> Result<Response, ErrorCode> {
        match request {
            Request::BrokerRegistration(request) => self.register(tools, request),
            Request::BrokerHeartbeat(request) => self.heartbeat(tools, request),
            Request::AllocateProducerIds(request) => self.allocate_producer_ids(tools, request),
            Request::AlterPartition(request) => {
                let decision = self.ahead.decider().alter_partition(request)?;
                Ok(self.carry_out(decision, tools))
            }
            Request::CreateTopics(request) => {
                let decision = self.ahead.decider().create_topics(request, tools.turn);
                Ok(self.carry_out(decision, tools))
            }
            Request::DeleteTopics(request) => {
                let decision = self.ahead.decider().delete_topics(request);
                Ok(self.carry_out(decision, tools))
            }
            Request::CreatePartitions(request) => {
                let decision = self.ahead.decider().create_partitions(request, tools.turn);
                Ok(self.carry_out(decision, tools))
            }
            Request::IncrementalAlterConfigs(request) => {
                let decision = self.ahead.decider().incremental_alter_configs(request);
                Ok(self.carry_out(decision, tools))
            }
            Request::ElectLeaders(request) => {
                let decision = self.ahead.decider().elect_leaders(request)?;
                Ok(self.carry_out(decision, tools))
            }
            Request::AlterPartitionReassignments(request) => {
                let decision = self.ahead.decider().alter_partition_reassignments(request);
                Ok(self.carry_out(decision, tools))
            }
            Request::UnregisterBroker(request) => Ok(self.unregister(tools, request)),
            _ => Err(ErrorCode::UnsupportedVersion),
        }
    }

    fn register(
        &mut self,
        tools: &mut Tools<'_, '_>,
        request: &BrokerRegistrationRequest,
    ) -> Result<Response, ErrorCode> {
        let Decision { records, response: epoch } = self.ahead.register(request, tools.turn.now)?;
        self.append(&records, tools);
        let mut response = BrokerRegistrationResponse::default();
        response.broker_epoch = epoch.0;
        Ok(response.into())
    }

    /// The broker's next heartbeat is refused: it is a stranger now.
    fn unregister(&mut self, tools: &mut Tools<'_, '_>, request: &UnregisterBrokerRequest) -> Response {
        let decision = self.ahead.decider().unregister_broker(request);
        self.ahead.liveness.forget(request.broker_id);
        self.carry_out(decision, tools)
    }

    fn heartbeat(
        &mut self,
        tools: &mut Tools<'_, '_>,
        request: &BrokerHeartbeatRequest,
    ) -> Result<Response, ErrorCode> {
        let Decision { records, response: (caught_up, state) } = self.ahead.heartbeat(request, tools.turn.now)?;
        self.append(&records, tools);
        let mut response = BrokerHeartbeatResponse::default();
        response.is_caught_up = caught_up;
        response.is_fenced = state.is_fenced();
        response.should_shut_down = state == BrokerState::ShutdownNow;
        Ok(response.into())
    }

    /// ProducerIdControlManager.generateNextProducerId.
    fn allocate_producer_ids(
        &mut self,
        tools: &mut Tools<'_, '_>,
        request: &AllocateProducerIdsRequest,
    ) -> Result<Response, ErrorCode> {
        let (broker, broker_epoch) = (request.broker_id, BrokerEpoch(request.broker_epoch));
        self.ahead.decider().check_broker_epoch(broker, broker_epoch)?;
        let first = self.ahead.image.next_producer_id;
        let next = first.checked_add(i64::from(PRODUCER_ID_BLOCK)).ok_or(ErrorCode::UnknownServerError)?;
        let mut response = AllocateProducerIdsResponse::default();
        (response.producer_id_start, response.producer_id_len) = (ProducerId(first), PRODUCER_ID_BLOCK);
        let records = vec![MetadataRecord::ProducerIds { broker, broker_epoch, next }];
        Ok(self.carry_out(Decision { records, response }, tools))
    }

    fn carry_out(&mut self, decision: Decision<impl Into<Response>>, tools: &mut Tools<'_, '_>) -> Response {
        self.replay_and_append(decision.records, tools);
        decision.response.into()
    }

    /// The quorum writes records of its own between the controller's (a change of the voters): the
    /// image ahead stands where the next record will come to stand behind it.
    fn align(&mut self, tools: &mut Tools<'_, '_>) {
        if let Some(next) = tools.quorum.next_offset(tools.disk) {
            self.ahead.image.offset = next + -1;
        }
    }

    fn replay_and_append(&mut self, records: Vec<MetadataRecord>, tools: &mut Tools<'_, '_>) {
        self.ahead.replay(&records);
        self.append(&records, tools);
    }

    /// Hands what is replayed already to the quorum. A quorum that does not lead any more drops it, and
    /// this state with it as soon as the turn settles.
    fn append(&mut self, records: &[MetadataRecord], tools: &mut Tools<'_, '_>) {
        if records.is_empty() {
            return;
        }
        let encoded: Vec<Bytes> = records.iter().map(MetadataRecord::encode).collect();
        let end = self.ahead.image.offset.next();
        if let Some(first) = tools.quorum.append(tools.disk, tools.turn, &encoded) {
            assert_eq!(
                first + records.len() as i64,
                end,
                "the image ahead counts the offsets as the quorum's log does"
            );
        }
    }
}

/// Never, where `metadata.max.idle.interval.ms` is 0.
fn next_no_op(config: &BrokerConfig, now: Instant) -> Instant {
    let interval = config.metadata_max_idle_interval;
    if interval.0 > 0 { now + interval } else { Instant::FAR_FUTURE }
}

/// QuorumController.maybeFenceStaleBrokerPeriodNs (KAFKA-17793): an eighth of the session timeout.
fn sweep_interval(config: &BrokerConfig) -> Duration {
    Duration(config.broker_session_timeout.0 / 8).max(Duration::from_millis(1))
}

/// ActivationRecordsGenerator.recordsForEmptyLog.
fn bootstrap(config: &BrokerConfig) -> Vec<MetadataRecord> {
    let feature = |(name, level): (&str, i16)| MetadataRecord::FeatureLevel { name: str_bytes(name), level };
    let mut records: Vec<MetadataRecord> = FEATURES.into_iter().map(feature).collect();
    if config.eligible_leader_replicas {
        records.push(MetadataRecord::FeatureLevel { name: ELIGIBLE_LEADER_REPLICAS, level: 1 });
        // With the ELR the minimum ISR must be the same in every controller's eyes, so the log says it.
        records.push(MetadataRecord::Config {
            kind: ResourceType::Broker,
            resource: str_bytes(""),
            name: str_bytes(MIN_IN_SYNC_REPLICAS),
            value: Some(str_bytes(&config.topic_defaults.min_insync_replicas.to_string())),
        });
    }
    records
}
