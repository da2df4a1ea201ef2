//! A rebalance as a member goes through it: what it gives up, joining, assigning as the leader, and
//! what it gets (AbstractCoordinator, ConsumerCoordinator, KIP-429).

use crate::kafka::client::assignor::RebalanceProtocol;
use crate::kafka::client::consumer::{CommitFor, Process, Purpose};
use crate::kafka::client::membership::{Membership, Phase, decode_assignment};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, Round, error_name};
use crate::kafka::node::Turn;
use crate::time::{Duration, Instant};
use crate::wire::messages::sync_group_request::SyncGroupRequestAssignment;
use crate::wire::messages::{JoinGroupResponse, SyncGroupResponse};
use crate::wire::{ErrorCode, TopicPartition, error};

/// What JOIN_GROUP's timeout adds to the rebalance timeout (AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE).
const JOIN_TIMEOUT_LAPSE: Duration = Duration::from_secs(5);

impl Process {
    pub(super) fn rejoin_if_needed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if let Phase::Revoking { deadline, retry_at } = self.member.phase {
            if deadline <= turn.now {
                self.join(turn, config);
            } else if retry_at.is_some_and(|at| at <= turn.now) {
                self.commit_before_joining(turn, deadline, config);
            }
            return;
        }
        if !self.member.rejoin
            || self.member.rejoin_at > turn.now
            || !matches!(self.member.phase, Phase::Unjoined | Phase::Stable)
            || self.ready_coordinator(turn.now).is_none()
        {
            return;
        }
        if self.member.phase == Phase::Stable && config.auto_commit && !self.subscription.consumed().is_empty() {
            if self.member.rebalance_protocol == RebalanceProtocol::Eager {
                // Nothing is handed out any more, so that the commit is the last word.
                self.subscription.assigned.values_mut().for_each(|a| a.pending_revocation = true);
            }
            self.commit_before_joining(turn, turn.now + config.max_poll_interval, config);
        } else {
            self.join(turn, config);
        }
    }

    fn commit_before_joining(&mut self, turn: &mut Turn<'_>, deadline: Instant, config: &ConsumerConfig) {
        let offsets = self.subscription.consumed();
        let sent = self.send_commit(turn, config, CommitFor::Revocation, offsets);
        // Without a coordinator it is sent as soon as there is one.
        let retry_at = if sent { None } else { Some(turn.now) };
        self.member.phase = Phase::Revoking { deadline, retry_at };
    }

    /// An eager member gives everything up before it joins, a cooperative one tells what it keeps
    /// (KIP-429). Who is no member of the generation any more has lost its partitions either way.
    pub(super) fn join(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let lost = self.member.has_lost_its_partitions();
        if lost || self.member.rebalance_protocol == RebalanceProtocol::Eager {
            self.give_up(turn, self.subscription.partitions(), lost);
        }
        let Some(node) = self.ready_coordinator(turn.now) else {
            self.member.phase = Phase::Unjoined;
            self.member.rejoin = true;
            return;
        };
        let timeout = config.request_timeout.max(config.max_poll_interval + JOIN_TIMEOUT_LAPSE);
        let request = self.member.join_request(config, &self.subscription.partitions());
        let purpose = Purpose::Join(self.member.attempt);
        self.network.send(turn, node, request, timeout, purpose);
    }

    pub(super) fn give_up(&mut self, turn: &mut Turn<'_>, partitions: Vec<TopicPartition>, lost: bool) {
        if partitions.is_empty() {
            return;
        }
        self.subscription.assigned.retain(|partition, _| !partitions.contains(partition));
        self.buffered.retain(|buffered| !partitions.contains(&buffered.partition));
        turn.tell(Fact::Revoked { consumer: self.id, partitions, lost });
    }

    pub(super) fn join_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        attempt: u64,
        response: &JoinGroupResponse,
    ) {
        if self.member.phase != Phase::Joining(attempt) {
            return;
        }
        let Some(error) = error(response.error_code) else {
            return self.joined(turn, config, response);
        };
        if error == ErrorCode::MemberIdRequired {
            // KIP-394: the same request again, with the id that the coordinator gave.
            self.member.member_id = response.member_id.clone();
            self.member.phase = Phase::Unjoined;
            let id = response.member_id.as_str();
            self.member.request_rejoin(&format!("need to re-join with the given member-id: {id}"), turn.now);
            return;
        }
        self.rebalance_failed(turn, config, error);
    }

    fn joined(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, response: &JoinGroupResponse) {
        self.member.joined(turn.now, config, response);
        if !self.member.is_leader || response.skip_assignment {
            return self.send_sync(turn, config, Vec::new());
        }
        let mut topics: Vec<_> = Membership::subscriptions(response).into_iter().flat_map(|s| s.topics).collect();
        topics.sort_unstable();
        topics.dedup();
        topics.iter().for_each(|topic| self.metadata.want(topic));
        self.member.group_topics = topics;
        self.member.phase = Phase::Assigning(Box::new(response.clone()));
        self.assign_when_known(turn, config);
    }

    /// The leader assigns once it knows all topics of the group.
    pub(super) fn assign_when_known(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Phase::Assigning(response) = &self.member.phase else { return };
        if !self.metadata.is_complete() {
            return;
        }
        let members = Membership::subscriptions(response);
        let assignments = self.member.assign(&self.metadata, &members);
        self.send_sync(turn, config, assignments);
    }

    fn send_sync(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) {
        let Some(node) = self.member.coordinator() else { return };
        let request = self.member.sync_request(assignments);
        let timeout = config.request_timeout.max(config.max_poll_interval + JOIN_TIMEOUT_LAPSE);
        let purpose = Purpose::Sync(self.member.attempt);
        self.network.send(turn, node, request, timeout, purpose);
    }

    pub(super) fn sync_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        attempt: u64,
        response: &SyncGroupResponse,
    ) {
        if self.member.phase != Phase::Syncing(attempt) {
            return;
        }
        if let Some(error) = error(response.error_code) {
            return self.rebalance_failed(turn, config, error);
        }
        let partitions = decode_assignment(&response.assignment);
        self.member.synced(&partitions);
        self.take(turn, partitions);
        self.next_auto_commit = turn.now + config.auto_commit_interval;
        self.fetch_committed_anew(turn.now);
        self.rejoin_if_outdated(turn.now);
    }

    /// onJoinComplete. Only a cooperative member has kept partitions until now: those that stay go on
    /// as if nothing had happened, and what it has to give up somebody gets when it has joined again.
    fn take(&mut self, turn: &mut Turn<'_>, partitions: Vec<TopicPartition>) {
        let owned = self.subscription.partitions().into_iter();
        let (kept, revoked): (Vec<_>, Vec<_>) = owned.partition(|partition| partitions.contains(partition));
        if !revoked.is_empty() {
            self.give_up(turn, revoked, false);
            self.member.request_rejoin("need to revoke partitions and re-join", turn.now);
        }
        self.subscription.assign(&partitions);
        turn.tell(Fact::Assigned {
            consumer: self.id,
            partitions,
            kept,
            round: Round::Generation(self.member.generation),
        });
    }

    /// The leader joins again when its topics are not what it assigned any more.
    pub(super) fn rejoin_if_outdated(&mut self, now: Instant) {
        if self.member.phase == Phase::Stable && !self.member.rejoin && self.member.is_outdated(&self.metadata) {
            self.member.request_rejoin("cached metadata has changed", now);
        }
    }

    /// JOIN_GROUP or SYNC_GROUP was refused.
    fn rebalance_failed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, error: ErrorCode) {
        let later = turn.now + config.retry_backoff;
        let reason = format!("rebalance failed due to {error:?}Exception");
        match error {
            ErrorCode::CoordinatorLoadInProgress => {
                self.member.phase = Phase::Unjoined;
                self.member.request_rejoin(&reason, later);
            }
            ErrorCode::RebalanceInProgress => {
                self.member.phase = Phase::Unjoined;
                self.member.request_rejoin(&reason, turn.now);
            }
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                self.member.coordinator_unknown(turn, config);
                self.member.request_rejoin(&reason, later);
            }
            ErrorCode::UnknownMemberId => self.member.reset(true, &reason, turn.now),
            ErrorCode::IllegalGeneration => self.member.reset(false, &reason, turn.now),
            error => {
                self.member.phase = Phase::Unjoined;
                self.fail(turn, &error_name(error));
            }
        }
    }

    /// resetStateOnResponseError: only an illegal generation leaves the member its id.
    pub(super) fn reset_on_error(&mut self, turn: &mut Turn<'_>, api: &str, error: ErrorCode) {
        let reason = format!("encountered {} from {api} response", error_name(error));
        self.member.reset(error != ErrorCode::IllegalGeneration, &reason, turn.now);
    }

    pub(super) fn join_lost(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, attempt: u64) {
        let current = matches!(self.member.phase, Phase::Joining(a) | Phase::Syncing(a) if a == attempt);
        if current {
            self.member.coordinator_unknown(turn, config);
        }
    }
}
