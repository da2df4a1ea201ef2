//! A member of a share group: it tells that it is there and is told what to read (KIP-932,
//! ShareMembershipManager, ShareHeartbeatRequestManager). It has nothing to give up first, so it takes
//! what it is told at once.

use crate::kafka::client::coordinator_lookup::Lookup;
use crate::kafka::client::heartbeat::{JOIN_EPOCH, LEAVE_EPOCH, Refusal, Told, by_name};
use crate::kafka::client::retries::Retries;
use crate::kafka::client::share_consumer::{Process, Purpose};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, Round, error_name};
use crate::kafka::node::{Alarm, Turn};
use crate::time::{Duration, Instant};
use crate::wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use crate::wire::{ErrorCode, GroupId, NodeId, StrBytes, TopicName, TopicPartition, error, str_bytes};

#[derive(Clone, Debug, PartialEq)]
pub struct ShareMembership {
    pub group: GroupId,
    /// The member's own choice, for all its life.
    pub member_id: StrBytes,
    pub epoch: i32,
    topics: Vec<TopicName>,
    pub coordinator: Lookup,
    /// The coordinator has answered its joining.
    pub joined: bool,
    next_heartbeat: Instant,
    heartbeat_out: bool,
    /// The coordinator has heard everything that the member is.
    said: bool,
    retries: Retries,
    /// The last assignment told, by topic id; topics whose names are not known yet wait here.
    told: Option<Told>,
    pub assigned: Vec<TopicPartition>,
    /// The application did not poll in time: the member has left, and joins with the next poll.
    pub away: bool,
}

impl ShareMembership {
    pub fn new(group: &str, topics: &[TopicName], member_id: StrBytes) -> ShareMembership {
        let mut topics = topics.to_vec();
        topics.sort_unstable();
        ShareMembership {
            group: GroupId(str_bytes(group)),
            member_id,
            epoch: JOIN_EPOCH,
            topics,
            coordinator: Lookup::by_manager(),
            joined: false,
            next_heartbeat: Instant(i64::MIN),
            heartbeat_out: false,
            said: false,
            retries: Retries::default(),
            told: None,
            assigned: Vec::new(),
            away: false,
        }
    }

    pub fn coordinator(&self) -> Option<NodeId> {
        self.coordinator.node()
    }

    fn join(&mut self, at: Instant) {
        self.epoch = JOIN_EPOCH;
        self.joined = false;
        self.said = false;
        self.told = None;
        self.next_heartbeat = at;
    }

    /// HeartbeatState.buildRequestData: what has not been said yet, and everything to join.
    fn request(&self, config: &ConsumerConfig) -> ShareGroupHeartbeatRequest {
        let mut request = ShareGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(self.member_id.clone())
            .with_member_epoch(self.epoch);
        if !self.said {
            request.rack_id = config.client_rack.as_deref().map(str_bytes);
            request.subscribed_topic_names = Some(self.topics.clone());
        }
        request
    }
}

impl Process {
    /// What poll() does for the group.
    pub(super) fn poll_group(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.find_coordinator(turn, config);
        self.resolve_assignment(turn);
        let member = &self.member;
        if member.away || member.heartbeat_out || member.next_heartbeat > turn.now {
            return;
        }
        let Some(node) = self.ready_coordinator(turn.now) else { return };
        let (request, purpose) = (member.request(config), Purpose::Heartbeat { epoch: member.epoch });
        self.network.send(turn, node, request, config.request_timeout, purpose);
        self.member.heartbeat_out = true;
        self.member.said = true;
    }

    pub(super) fn group_alarms(&self, alarms: &mut Vec<Option<(Instant, Alarm)>>) {
        alarms.push(self.member.coordinator.alarm());
        if !self.member.heartbeat_out && !self.member.away {
            alarms.push(Some((self.member.next_heartbeat, Alarm::GroupHeartbeat)));
        }
    }

    fn find_coordinator(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Process { network, metadata, member, .. } = self;
        let (timeout, purpose) = (config.request_timeout, Purpose::FindCoordinator);
        member.coordinator.ask(turn, (network, metadata), &member.group.0, timeout, purpose);
    }

    fn ready_coordinator(&self, now: Instant) -> Option<NodeId> {
        self.member.coordinator().filter(|node| self.network.ready(*node, now))
    }

    pub(super) fn heartbeat_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        epoch: i32,
        response: &ShareGroupHeartbeatResponse,
    ) {
        self.member.heartbeat_out = false;
        // An answer to who the member was before it joined anew.
        if epoch != self.member.epoch || self.member.away {
            return;
        }
        if let Some(error) = error(response.error_code) {
            return self.heartbeat_refused(turn, config, error);
        }
        let member = &mut self.member;
        member.epoch = response.member_epoch;
        member.joined = true;
        member.retries = Retries::default();
        member.next_heartbeat = turn.now + Duration::from_millis(response.heartbeat_interval_ms.into());
        if let Some(assignment) = &response.assignment {
            let topics = assignment.topic_partitions.iter();
            member.told = Some(topics.map(|topic| (topic.topic_id, topic.partitions.clone())).collect());
        }
        self.resolve_assignment(turn);
    }

    fn heartbeat_refused(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, error: ErrorCode) {
        match Refusal::of(error) {
            Refusal::NoCoordinator => {
                self.heartbeat_lost(turn, config);
                // As soon as there is a coordinator (RequestState.reset).
                self.member.next_heartbeat = turn.now;
                self.member.retries = Retries::default();
            }
            Refusal::Loading => self.back_off_heartbeat(turn, config),
            Refusal::Fenced => {
                self.lose_assignment(turn);
                self.member.join(turn.now);
            }
            Refusal::Fatal => {
                self.member.next_heartbeat = Instant::FAR_FUTURE;
                self.fail(turn, &error_name(error));
            }
        }
    }

    /// The coordinator may or may not have heard it, so the next heartbeat says everything.
    pub(super) fn heartbeat_lost(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.member.coordinator.forget(turn, config, turn.now);
        self.back_off_heartbeat(turn, config);
    }

    fn back_off_heartbeat(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.member.heartbeat_out = false;
        self.member.said = false;
        self.member.next_heartbeat = self.member.retries.next(turn, config);
    }

    /// The topics of the assignment by their names, as soon as the metadata knows them. What the member
    /// has taken it tells at once, with an empty heartbeat (MemberState.ACKNOWLEDGING).
    fn resolve_assignment(&mut self, turn: &mut Turn<'_>) {
        let Some(told) = &self.member.told else { return };
        let Some(target) = by_name(told, &mut self.metadata) else { return };
        self.member.told = None;
        if target == self.member.assigned {
            return;
        }
        let before = std::mem::replace(&mut self.member.assigned, target.clone());
        let (kept, gone): (Vec<_>, Vec<_>) = before.into_iter().partition(|partition| target.contains(partition));
        if !gone.is_empty() {
            turn.tell(Fact::Revoked { consumer: self.id, partitions: gone, lost: false });
        }
        let round = Round::Epoch(self.member.epoch);
        turn.tell(Fact::Assigned { consumer: self.id, partitions: target, kept, round });
        self.member.next_heartbeat = turn.now;
    }

    fn lose_assignment(&mut self, turn: &mut Turn<'_>) {
        let partitions = std::mem::take(&mut self.member.assigned);
        if !partitions.is_empty() {
            turn.tell(Fact::Revoked { consumer: self.id, partitions, lost: true });
        }
    }

    /// The application did not poll for longer than `max.poll.interval.ms`: the member leaves.
    pub(super) fn leave_for_a_poll(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        turn.tell(Fact::PollOverdue { consumer: self.id, interval: config.max_poll_interval });
        self.send_leave(turn, config);
        self.lose_assignment(turn);
        self.member.join(turn.now);
        self.member.away = true;
    }

    /// The last heartbeat of a member.
    pub(super) fn send_leave(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let Some(node) = self.ready_coordinator(turn.now).filter(|_| self.member.joined) else { return };
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(self.member.group.clone())
            .with_member_id(self.member.member_id.clone())
            .with_member_epoch(LEAVE_EPOCH);
        self.network.send(turn, node, request, config.request_timeout, Purpose::Leave);
        self.member.heartbeat_out = false;
    }
}
