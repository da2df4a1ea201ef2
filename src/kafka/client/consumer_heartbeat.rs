//! A member of a group of the consumer protocol (KIP-848): it tells in heartbeats what it has, and
//! is told what it is to have (ConsumerMembershipManager, AbstractMembershipManager,
//! ConsumerHeartbeatRequestManager).

use crate::kafka::client::consumer::{CommitFor, Process, Purpose};
use crate::kafka::client::heartbeat::{JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Refusal, Told, by_name};
use crate::kafka::client::membership::{Membership, Phase};
use crate::kafka::client::retries::Retries;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, Round, error_name};
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use crate::wire::messages::consumer_group_heartbeat_response::Assignment;
use crate::wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use crate::wire::{ErrorCode, TopicPartition, Uuid, error, str_bytes};

/// Where the member stands between the coordinator's word and its own (MemberState of the client).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// It has not been answered its joining yet.
    Joining,
    /// It has been told another assignment. `target` becomes its own once it has committed what it
    /// read; positions are committed not later than `deadline`, the next attempt at `retry_at`
    /// (`None` while one is on its way).
    Reconciling {
        target: Vec<TopicPartition>,
        deadline: Instant,
        retry_at: Option<Instant>,
        retries: Retries,
    },
    /// It has taken its assignment and has not told the coordinator yet.
    Acknowledging,
    Stable,
}

/// What the consumer protocol needs beside what any member has.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeats {
    pub(super) step: Step,
    /// The last assignment told, by topic id; topics whose names are not known yet wait here.
    told: Option<Told>,
    /// What the last heartbeat said that the member has; `None`: say everything again.
    said: Option<Vec<TopicPartition>>,
    retries: Retries,
}

impl Heartbeats {
    pub fn new() -> Heartbeats {
        Heartbeats { step: Step::Joining, told: None, said: None, retries: Retries::default() }
    }
}

impl Membership {
    /// Joins (again) with the same member id, from `at` on: nothing of the past holds any more.
    fn join_by_heartbeat(&mut self, at: Instant) {
        self.generation = JOIN_EPOCH;
        self.phase = Phase::Unjoined;
        self.next_heartbeat = at;
        self.modern = Some(Box::new(Heartbeats::new()));
    }

    /// HeartbeatState.buildRequestData: what has changed since the coordinator heard of it, and
    /// everything when the member joins or may not have been heard.
    fn consumer_heartbeat_request(
        &self,
        config: &ConsumerConfig,
        owned: &[TopicPartition],
        topic_id: impl Fn(&TopicPartition) -> Option<Uuid>,
    ) -> ConsumerGroupHeartbeatRequest {
        let said = self.modern.as_ref().and_then(|modern| modern.said.as_deref());
        let mut request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(self.member_id.clone())
            .with_member_epoch(self.generation)
            .with_instance_id(self.instance().cloned())
            .with_rebalance_timeout_ms(-1);
        if said.is_none() {
            request.rack_id = config.client_rack.as_deref().map(str_bytes);
            request.rebalance_timeout_ms = config.max_poll_interval.millis() as i32;
            request.subscribed_topic_names = Some(self.topics().to_vec());
            request.server_assignor = config.remote_assignor.as_deref().map(str_bytes);
        }
        if said != Some(owned) {
            let mut topics: SortedMap<Uuid, Vec<i32>> = SortedMap::new();
            for (id, partition) in owned.iter().filter_map(|tp| Some((topic_id(tp)?, tp.partition))) {
                topics.entry(id).or_default().push(partition);
            }
            let topic = |(id, those)| TopicPartitions::default().with_topic_id(id).with_partitions(those);
            request.topic_partitions = Some(topics.into_iter().map(topic).collect());
        }
        request
    }
}

impl Process {
    /// What poll() does for the group by the consumer protocol.
    pub(super) fn poll_heartbeats(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.resolve_assignment(turn, config);
        self.reconcile(turn, config);
        self.send_consumer_heartbeat(turn, config);
    }

    pub(super) fn heartbeat_alarms(&self, alarms: &mut Vec<Option<(Instant, Alarm)>>) {
        let Some(modern) = &self.member.modern else { return };
        if let Step::Reconciling { deadline, retry_at, .. } = modern.step {
            alarms.push(Some((deadline, Alarm::RetryBackoff)));
            alarms.push(retry_at.map(|at| (at, Alarm::RetryBackoff)));
        }
        if !self.member.heartbeat_out {
            alarms.push(Some((self.member.next_heartbeat, Alarm::GroupHeartbeat)));
        }
    }

    fn send_consumer_heartbeat(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if self.member.heartbeat_out || self.member.next_heartbeat > turn.now {
            return;
        }
        let Some(node) = self.ready_coordinator(turn.now) else { return };
        let owned = self.subscription.partitions();
        let id = |partition: &TopicPartition| self.metadata.topic(&partition.topic).map(|topic| topic.id);
        let request = self.member.consumer_heartbeat_request(config, &owned, id);
        let purpose = Purpose::ConsumerHeartbeat { epoch: self.member.generation };
        self.network.send(turn, node, request, config.request_timeout, purpose);
        self.member.heartbeat_out = true;
        let Some(modern) = &mut self.member.modern else { return };
        modern.said = Some(owned);
        if modern.step == Step::Acknowledging {
            modern.step = Step::Stable;
        }
    }

    pub(super) fn consumer_heartbeat_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        epoch: i32,
        response: &ConsumerGroupHeartbeatResponse,
    ) {
        self.member.heartbeat_out = false;
        // An answer to who the member was before it joined anew.
        if epoch != self.member.generation {
            return;
        }
        if let Some(error) = error(response.error_code) {
            return self.consumer_heartbeat_refused(turn, config, error);
        }
        let interval = Duration::from_millis(response.heartbeat_interval_ms.into());
        self.member.generation = response.member_epoch;
        self.member.phase = Phase::Stable;
        self.member.next_heartbeat = turn.now + interval;
        let Some(modern) = &mut self.member.modern else { return };
        modern.retries = Retries::default();
        if modern.step == Step::Joining {
            modern.step = Step::Stable;
            self.next_auto_commit = turn.now + config.auto_commit_interval;
        }
        if let Some(assignment) = &response.assignment {
            modern.told = Some(by_id(assignment));
        }
        self.resolve_assignment(turn, config);
        // What was taken meanwhile is told at once.
        let acknowledges = self.member.modern.as_ref().is_some_and(|modern| modern.step == Step::Acknowledging);
        if acknowledges {
            self.member.next_heartbeat = turn.now;
        }
    }

    fn consumer_heartbeat_refused(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, error: ErrorCode) {
        match Refusal::of(error) {
            Refusal::NoCoordinator => {
                self.consumer_heartbeat_lost(turn, config);
                // As soon as there is a coordinator (RequestState.reset).
                self.member.next_heartbeat = turn.now;
                if let Some(modern) = &mut self.member.modern {
                    modern.retries = Retries::default();
                }
            }
            Refusal::Loading => self.back_off_heartbeat(turn, config),
            Refusal::Fenced => {
                self.give_up(turn, self.subscription.partitions(), true);
                self.member.join_by_heartbeat(turn.now);
            }
            Refusal::Fatal => {
                self.member.next_heartbeat = Instant::FAR_FUTURE;
                self.fail(turn, &error_name(error));
            }
        }
    }

    /// The heartbeat was not answered: the coordinator may or may not have heard it, so the next one
    /// says everything.
    pub(super) fn consumer_heartbeat_lost(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.member.coordinator_unknown(turn, config);
        self.back_off_heartbeat(turn, config);
    }

    fn back_off_heartbeat(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.member.heartbeat_out = false;
        let Some(modern) = &mut self.member.modern else { return };
        modern.said = None;
        self.member.next_heartbeat = modern.retries.next(turn, config);
    }

    /// The topics of the assignment by their names, as soon as the metadata knows them.
    fn resolve_assignment(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Some(modern) = &mut self.member.modern else { return };
        if matches!(modern.step, Step::Joining | Step::Reconciling { .. }) {
            return;
        }
        // What the application has is committed before anything changes, and only a poll commits (canCommit).
        if config.auto_commit && self.pace.is_busy(turn.now) {
            return;
        }
        let Some(told) = &modern.told else { return };
        let Some(target) = by_name(told, &mut self.metadata) else { return };
        modern.told = None;
        if target == self.subscription.partitions() {
            return;
        }
        let (deadline, retry_at) = (turn.now + config.max_poll_interval, Some(turn.now));
        modern.step = Step::Reconciling { target, deadline, retry_at, retries: Retries::default() };
        self.reconcile(turn, config);
    }

    /// Commit, give up, take, tell: in this order (maybeReconcile).
    fn reconcile(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Some(modern) = &self.member.modern else { return };
        let Step::Reconciling { target, deadline, retry_at, .. } = &modern.step else { return };
        let (deadline, due) = (*deadline, retry_at.is_some_and(|at| at <= turn.now));
        let offsets = self.subscription.consumed();
        if !config.auto_commit || offsets.is_empty() || deadline <= turn.now {
            return self.take_target(turn);
        }
        if !due {
            return;
        }
        let target = target.clone();
        // Nothing more of what it gives up is handed out, so that the commit is the last word.
        let leaving = self.subscription.assigned.iter_mut().filter(|(partition, _)| !target.contains(partition));
        leaving.for_each(|(_, assigned)| assigned.pending_revocation = true);
        // Without a coordinator it is sent as soon as there is one.
        let sent = self.send_commit(turn, config, CommitFor::Revocation, offsets);
        if let Some(Step::Reconciling { retry_at, .. }) = self.member.modern.as_mut().map(|modern| &mut modern.step)
            && sent
        {
            *retry_at = None;
        }
    }

    /// The commit before a revocation is done with, well or not.
    pub(super) fn reconciliation_committed(&mut self, turn: &mut Turn<'_>) {
        let step = self.member.modern.as_ref().map(|modern| &modern.step);
        if matches!(step, Some(Step::Reconciling { .. })) {
            self.take_target(turn);
        }
    }

    /// It is tried again.
    pub(super) fn reconciliation_not_committed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Some(modern) = &mut self.member.modern else { return };
        if let Step::Reconciling { retry_at, retries, .. } = &mut modern.step {
            *retry_at = Some(retries.next(turn, config));
        }
    }

    fn take_target(&mut self, turn: &mut Turn<'_>) {
        let Some(modern) = &mut self.member.modern else { return };
        let Step::Reconciling { target, .. } = std::mem::replace(&mut modern.step, Step::Acknowledging) else { return };
        self.member.next_heartbeat = turn.now;
        let owned = self.subscription.partitions().into_iter();
        let (kept, revoked): (Vec<_>, Vec<_>) = owned.partition(|partition| target.contains(partition));
        self.give_up(turn, revoked, false);
        self.subscription.assign(&target);
        let round = Round::Epoch(self.member.generation);
        turn.tell(Fact::Assigned { consumer: self.id, partitions: target, kept, round });
        self.fetch_committed_anew(turn.now);
    }

    /// The application did not poll in time: the member leaves, and joins again with its next poll.
    pub(super) fn leave_for_a_poll(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.send_consumer_leave(turn, config);
        self.give_up(turn, self.subscription.partitions(), true);
        self.member.join_by_heartbeat(self.pace.busy_until(turn.now).unwrap_or(turn.now));
    }

    /// The last heartbeat: a static member will be back.
    pub(super) fn send_consumer_leave(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Some(node) = self.ready_coordinator(turn.now) else { return };
        let epoch = if self.member.is_static() { LEAVE_STATIC_EPOCH } else { LEAVE_EPOCH };
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.member.group.clone())
            .with_member_id(self.member.member_id.clone())
            .with_instance_id(self.member.instance().cloned())
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(-1);
        self.network.send(turn, node, request, config.request_timeout, Purpose::Leave);
    }
}

fn by_id(assignment: &Assignment) -> Told {
    assignment.topic_partitions.iter().map(|topic| (topic.topic_id, topic.partitions.clone())).collect()
}
