//! The consumer's part in its group between rebalances: finding the coordinator, heartbeats,
//! commits, leaving (AbstractCoordinator, ConsumerCoordinator).

use crate::kafka::client::consumer::{Close, CommitFor, Process, Purpose};
use crate::kafka::client::coordinator_lookup;
use crate::kafka::client::membership::{Offsets, Phase};
use crate::kafka::client::poll_loop::CLOSE_TIMEOUT;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, error_name};
use crate::kafka::node::{Alarm, Turn};
use crate::time::Instant;
use crate::wire::messages::{FindCoordinatorResponse, HeartbeatResponse, OffsetCommitResponse};
use crate::wire::{ErrorCode, NodeId, error};

impl Process {
    /// ConsumerCoordinator.poll: what the group needs before records are handed out.
    pub(super) fn poll_group(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.find_coordinator(turn, config);
        if self.close != Close::No {
            return self.poll_close(turn, config);
        }
        self.check_session(turn, config);
        if self.member.modern.is_some() {
            self.poll_heartbeats(turn, config);
        } else {
            self.assign_when_known(turn, config);
            self.rejoin_if_needed(turn, config);
            self.heartbeat(turn, config);
        }
        self.auto_commit(turn, config);
        self.commit_for_application(turn, config);
    }

    /// While the application handles records. What it calls meanwhile is done, too.
    pub(super) fn run_heartbeat_thread(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.find_coordinator(turn, config);
        self.check_session(turn, config);
        if self.member.modern.is_some() {
            self.poll_heartbeats(turn, config);
        } else {
            self.heartbeat(turn, config);
        }
        self.commit_for_application(turn, config);
    }

    /// A coordinator that has not answered for a whole session may be none any more.
    fn check_session(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if self.member.heartbeats() && self.member.session_ends <= turn.now {
            self.member.session_ends = turn.now + config.session_timeout;
            self.member.coordinator_unknown(turn, config);
        }
    }

    pub(super) fn group_alarms(&self, config: &ConsumerConfig, alarms: &mut Vec<Option<(Instant, Alarm)>>) {
        let member = &self.member;
        alarms.push(member.coordinator.alarm());
        match member.phase {
            Phase::Revoking { deadline, retry_at } => {
                alarms.push(Some((deadline, Alarm::RetryBackoff)));
                alarms.push(retry_at.map(|at| (at, Alarm::RetryBackoff)));
            }
            Phase::Unjoined | Phase::Stable if member.rejoin && member.modern.is_none() => {
                alarms.push(Some((member.rejoin_at, Alarm::RetryBackoff)));
            }
            _ => {}
        }
        self.heartbeat_alarms(alarms);
        if member.heartbeats() {
            alarms.push(Some((member.session_ends, Alarm::GroupHeartbeat)));
            alarms.push(Some((member.next_heartbeat, Alarm::GroupHeartbeat)).filter(|_| !member.heartbeat_out));
        }
        if config.auto_commit && !self.subscription.assigned.is_empty() {
            alarms.push(Some((self.next_auto_commit, Alarm::Poll)));
        }
        if let Some(commit) = self.commits.first() {
            alarms.push(Some((commit.deadline, Alarm::RetryBackoff)));
            alarms.push(commit.retry_at.map(|at| (at, Alarm::RetryBackoff)));
        }
        if let Close::Committing { until } = self.close {
            alarms.push(Some((until, Alarm::RetryBackoff)));
        }
    }

    /// The heartbeat thread finds the poll overdue by `max.poll.interval.ms` and leaves the group. A static
    /// member does not say so: its session ends if it stays away (maybeLeaveGroup, KIP-345).
    pub(super) fn poll_timed_out(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let by_heartbeat = self.member.modern.is_some() && self.member.phase == Phase::Stable;
        if !by_heartbeat && !self.member.heartbeats() {
            return;
        }
        turn.tell(Fact::PollOverdue { consumer: self.id, interval: config.max_poll_interval });
        if by_heartbeat {
            return self.leave_for_a_poll(turn, config);
        }
        if !self.member.is_static() {
            self.send_leave(turn, config, "consumer poll timeout has expired.");
        }
        self.member.reset(true, "consumer pro-actively leaving the group", turn.now);
    }

    // ---- the coordinator ----

    fn find_coordinator(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Process { network, metadata, member, .. } = self;
        let (timeout, purpose) = (config.request_timeout, Purpose::FindCoordinator);
        member.coordinator.ask(turn, (network, metadata), &member.group.0, timeout, purpose);
    }

    pub(super) fn coordinator_told(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        response: &FindCoordinatorResponse,
    ) {
        if coordinator_lookup::told(response).is_none() {
            return self.coordinator_not_told(turn, config);
        }
        self.member.coordinator.told(turn, config, &self.network, response);
    }

    pub(super) fn coordinator_not_told(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if self.member.modern.is_none() && self.pace.is_busy(turn.now) {
            self.member.coordinator.failed_in_heartbeat_thread(turn.now, config);
        } else {
            self.member.coordinator.failed(turn, config);
        }
    }

    /// A coordinator that requests can be sent to now.
    pub(super) fn ready_coordinator(&self, now: Instant) -> Option<NodeId> {
        self.member.coordinator().filter(|node| self.network.ready(*node, now))
    }

    // ---- heartbeats ----

    fn heartbeat(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if !self.member.heartbeats() || self.member.heartbeat_out || self.member.next_heartbeat > turn.now {
            return;
        }
        let Some(node) = self.ready_coordinator(turn.now) else { return };
        let purpose = Purpose::Heartbeat { generation: self.member.generation };
        self.network.send(turn, node, self.member.heartbeat_request(), config.request_timeout, purpose);
        self.member.heartbeat_out = true;
        self.member.next_heartbeat = turn.now + config.heartbeat_interval;
    }

    pub(super) fn heartbeat_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        generation: i32,
        response: &HeartbeatResponse,
    ) {
        self.member.heartbeat_out = false;
        let Some(error) = error(response.error_code) else {
            return self.member.heartbeat_heard(turn.now, config);
        };
        let current = generation == self.member.generation;
        // The session goes on while the group rebalances.
        if error == ErrorCode::RebalanceInProgress {
            self.member.heartbeat_heard(turn.now, config);
        } else {
            self.member.heartbeat_failed(turn, config);
        }
        match error {
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                self.member.coordinator_unknown(turn, config);
            }
            ErrorCode::RebalanceInProgress => {
                if self.member.phase == Phase::Stable && !self.member.rejoin {
                    self.member.request_rejoin("group is already rebalancing", turn.now);
                }
            }
            ErrorCode::IllegalGeneration if current => self.reset_on_error(turn, "HEARTBEAT", error),
            ErrorCode::UnknownMemberId if current => self.reset_on_error(turn, "HEARTBEAT", error),
            ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId => {}
            ErrorCode::CoordinatorLoadInProgress => {}
            error => {
                self.reset_on_error(turn, "HEARTBEAT", error);
                self.fail(turn, &error_name(error));
            }
        }
    }

    // ---- commits ----

    /// maybeAutoCommitOffsetsAsync: everything that earlier polls handed out.
    fn auto_commit(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if !config.auto_commit || self.next_auto_commit > turn.now || self.member.phase != Phase::Stable {
            return;
        }
        let offsets = self.subscription.consumed();
        // Without a coordinator it is sent as soon as there is one.
        if offsets.is_empty() || self.send_commit(turn, config, CommitFor::Interval, offsets) {
            self.next_auto_commit = turn.now + config.auto_commit_interval;
        }
    }

    /// The application's `commitSync` calls, one after the other.
    fn commit_for_application(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        while let Some(commit) = self.commits.first() {
            if commit.offsets.is_empty() {
                self.commits.remove(0);
                continue;
            }
            if commit.retry_at.is_none_or(|at| at > turn.now) {
                return;
            }
            if !matches!(self.member.phase, Phase::Stable | Phase::Revoking { .. }) {
                self.commits.remove(0);
                self.tell_failed_commit(turn, ErrorCode::RebalanceInProgress, false);
                continue;
            }
            if commit.deadline <= turn.now {
                self.commits.remove(0);
                self.tell_failed_commit(turn, ErrorCode::RequestTimedOut, false);
                continue;
            }
            let offsets = commit.offsets.clone();
            if self.send_commit(turn, config, CommitFor::Application, offsets) {
                self.commits[0].retry_at = None;
            }
            return;
        }
    }

    /// False when there is no coordinator to send it to.
    pub(super) fn send_commit(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        why: CommitFor,
        offsets: Offsets,
    ) -> bool {
        let Some(node) = self.ready_coordinator(turn.now) else { return false };
        let request = self.member.commit_request(&offsets);
        let purpose = Purpose::Commit { why, offsets, generation: self.member.generation };
        self.network.send(turn, node, request, config.request_timeout, purpose);
        true
    }

    pub(super) fn commit_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        why: CommitFor,
        offsets: Offsets,
        generation: i32,
        response: &OffsetCommitResponse,
    ) {
        let mut refused = None;
        for topic in &response.topics {
            for partition in &topic.partitions {
                let place = |tp: &crate::wire::TopicPartition| {
                    tp.partition == partition.partition_index && tp.topic == topic.name
                };
                match error(partition.error_code) {
                    Some(error) => refused = refused.or(Some(error)),
                    None => self
                        .committed
                        .extend(offsets.iter().filter(|(tp, _)| place(tp)).map(|(tp, p)| (tp.clone(), p.offset))),
                }
            }
        }
        match refused {
            None => self.commit_succeeded(turn, config, why),
            Some(error) => {
                self.take_commit_error(turn, config, generation, error);
                self.commit_failed(turn, config, why, generation, error);
            }
        }
    }

    fn commit_succeeded(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, why: CommitFor) {
        match why {
            CommitFor::Interval => self.interval_error = None,
            CommitFor::Revocation => self.revocation_committed(turn, config),
            CommitFor::Application => self.forget_application_commit(),
            CommitFor::Close => self.close = Close::Leaving,
        }
    }

    fn tell_failed_commit(&self, turn: &mut Turn<'_>, error: ErrorCode, again: bool) {
        turn.tell(Fact::CommitFailed { consumer: self.id, error, again });
    }

    /// What a refused commit says of the member (OffsetCommitResponseHandler).
    fn take_commit_error(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, generation: i32, error: ErrorCode) {
        let current = generation == self.member.generation;
        match error {
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator | ErrorCode::RequestTimedOut => {
                self.member.coordinator_unknown(turn, config);
            }
            // What else there is to know of its membership the next heartbeat tells (CommitRequestManager).
            _ if self.member.modern.is_some() => {}
            ErrorCode::RebalanceInProgress if current && self.member.phase == Phase::Stable => {
                let reason = "offset commit failed since group is already rebalancing";
                self.member.request_rejoin(reason, turn.now);
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration if current => {
                self.reset_on_error(turn, "OFFSET_COMMIT", error);
            }
            ErrorCode::FencedInstanceId => {
                self.reset_on_error(turn, "OFFSET_COMMIT", error);
                self.fail(turn, &error_name(error));
            }
            _ => {}
        }
    }

    pub(super) fn commit_failed(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        why: CommitFor,
        generation: i32,
        error: ErrorCode,
    ) {
        let retriable = matches!(
            error,
            ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator
                | ErrorCode::RequestTimedOut
                | ErrorCode::NetworkException
        );
        // Only before a revocation: an application hears of it (CommitRequestManager.commitSync).
        let is_stale = error == ErrorCode::StaleMemberEpoch && self.has_newer_epoch(generation);
        // By the consumer protocol nobody waits for a topic that was deleted (CommitRequestManager).
        let is_gone = error == ErrorCode::UnknownTopicOrPartition && self.member.modern.is_some();
        let later = turn.now + config.retry_backoff;
        match why {
            CommitFor::Revocation if is_stale || retriable && !is_gone => {
                if let Phase::Revoking { retry_at, .. } = &mut self.member.phase {
                    *retry_at = Some(later);
                    return;
                }
                if self.member.modern.is_some() {
                    return self.reconciliation_not_committed(turn, config);
                }
            }
            CommitFor::Application if retriable => {
                if let Some(commit) = self.commits.first_mut().filter(|c| c.retry_at.is_none()) {
                    commit.retry_at = Some(commit.retries.next(turn, config));
                    return;
                }
            }
            _ => {}
        }
        let before = match why {
            CommitFor::Interval => self.interval_error.replace(error),
            _ => None,
        };
        self.tell_failed_commit(turn, error, before == Some(error));
        match why {
            // By the consumer protocol the error is of another class than the one that shortens the wait
            // (CommitRequestManager.maybeResetTimerWithBackoff).
            CommitFor::Interval if retriable && self.member.modern.is_none() => {
                self.next_auto_commit = self.next_auto_commit.min(later);
            }
            CommitFor::Interval => {}
            CommitFor::Revocation => self.revocation_committed(turn, config),
            CommitFor::Application => self.forget_application_commit(),
            CommitFor::Close => self.close = Close::Leaving,
        }
    }

    fn revocation_committed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if let Phase::Revoking { deadline, .. } = &mut self.member.phase {
            // Only a poll joins: the next one does.
            if self.pace.is_busy(turn.now) {
                *deadline = turn.now;
            } else {
                self.join(turn, config);
            }
        }
        self.reconciliation_committed(turn);
    }

    /// A commit that was refused for its epoch is worth another try when the member has a newer one.
    fn has_newer_epoch(&self, epoch: i32) -> bool {
        self.member.modern.is_some() && self.member.phase == Phase::Stable && self.member.generation > epoch
    }

    fn forget_application_commit(&mut self) {
        if self.commits.first().is_some_and(|c| c.retry_at.is_none()) {
            self.commits.remove(0);
        }
    }

    // ---- leaving ----

    /// ConsumerCoordinator.close: commit, give the partitions up, leave.
    fn poll_close(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        match self.close {
            Close::Wanted => {
                let offsets = self.subscription.consumed();
                let member = matches!(self.member.phase, Phase::Stable | Phase::Revoking { .. });
                let sent = config.auto_commit
                    && member
                    && !offsets.is_empty()
                    && self.send_commit(turn, config, CommitFor::Close, offsets);
                self.subscription.assigned.values_mut().for_each(|a| a.pending_revocation = true);
                let until = turn.now + CLOSE_TIMEOUT;
                self.close = if sent { Close::Committing { until } } else { Close::Leaving };
            }
            Close::Committing { until } if until <= turn.now => self.close = Close::Leaving,
            Close::Committing { .. } | Close::Leaving | Close::No => {}
        }
    }

    /// The last of a consumer: LEAVE_GROUP unless its membership is static (KIP-345), and the end of
    /// its fetch sessions.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        // onLeavePrepare: in the middle of a rebalance somebody else may own them already.
        let rebalancing = matches!(self.member.phase, Phase::Joining(_) | Phase::Assigning(_) | Phase::Syncing(_));
        self.give_up(turn, self.subscription.partitions(), rebalancing || self.member.has_lost_its_partitions());
        if self.member.modern.is_some() {
            if self.member.phase != Phase::Unjoined {
                self.send_consumer_leave(turn, config);
            }
        } else if !self.member.is_static() && self.member.phase != Phase::Unjoined {
            self.send_leave(turn, config, "the consumer is being closed");
        }
        let sessions: Vec<_> = self.sessions.iter().filter_map(|(n, s)| Some((*n, s.close(config)?))).collect();
        for (node, request) in sessions {
            if self.network.ready(node, turn.now) {
                turn.request(node, request);
            }
        }
    }

    fn send_leave(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, reason: &str) {
        let Some(node) = self.ready_coordinator(turn.now).filter(|_| !self.member.member_id.is_empty()) else { return };
        let request = self.member.leave_request(reason);
        self.network.send(turn, node, request, config.request_timeout, Purpose::Leave);
    }
}
