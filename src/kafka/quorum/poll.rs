//! What each state wants done at this instant, and when it wants to be woken (KafkaRaftClient.poll
//! and its `poll…` for each state).

use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::kafka::quorum::leader::begin_epoch_period;
use crate::kafka::quorum::message::{self, VoteAsked};
use crate::kafka::quorum::state::State;
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::time::Instant;
use crate::wire::{ApiKey, BrokerId, ControllerId, NodeId};

impl Quorum {
    /// Does what is due until nothing is left to do at this instant.
    pub fn poll(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        if self.stopped {
            return;
        }
        let timed_out = self.connections.expire(turn.now);
        for (peer, api) in &timed_out {
            turn.tell(Fact::RequestTimedOut { node: self.me, to: NodeId::Controller(*peer), api: *api });
        }
        let shuns = |quorum: &Quorum| {
            let leader = quorum.state.leader(quorum.local);
            timed_out.iter().any(|(peer, api)| Some(*peer) == leader && *api == ApiKey::Fetch)
        };
        // The leader did not answer a fetch in time: another voter may know a newer one.
        let mut shun_leader = shuns(self);
        while !self.shutdown_completes(turn.now) && self.poll_state(disk, turn, shun_leader) {
            shun_leader = false;
        }
        self.answer_waiting(disk, turn);
        self.maybe_clean(disk, turn.now);
    }

    /// True when the state changed: then the new one has its own wishes.
    fn poll_state(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, shun_leader: bool) -> bool {
        let stopping = self.shutdown_by.is_some();
        match &self.state {
            State::Unattached { election_at, .. } => {
                if stopping {
                    return false;
                }
                if election_at.is_some_and(|at| at <= turn.now) {
                    self.become_prospective(disk, turn);
                    return true;
                }
                self.fetch_from_any(disk, turn);
                false
            }
            State::Prospective { election_at, .. } => {
                if !stopping && *election_at <= turn.now {
                    self.lose_pre_vote(disk, turn);
                    return true;
                }
                self.ask_for_votes(disk, turn, true);
                false
            }
            State::Candidate { election_at, .. } => {
                if !stopping && *election_at <= turn.now {
                    self.become_prospective(disk, turn);
                    return true;
                }
                self.ask_for_votes(disk, turn, false);
                false
            }
            State::Leader(_) => self.poll_leader(disk, turn),
            State::Follower { .. } => self.poll_follower(disk, turn, shun_leader),
            State::Resigned { .. } => self.poll_resigned(disk, turn),
        }
    }

    fn poll_leader(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) -> bool {
        let (State::Leader(leader), Some(me)) = (&mut self.state, self.local) else { return false };
        if self.shutdown_by.is_some() || leader.lost_its_quorum(turn.now) {
            self.become_resigned(turn);
            return true;
        }
        let mut silent = Vec::new();
        if leader.begin_epoch_at <= turn.now {
            silent = leader.silent_voters(me, turn.now, self.timing.fetch_timeout);
            leader.begin_epoch_at = turn.now + begin_epoch_period(self.timing.fetch_timeout);
        }
        self.write_gathered(disk, turn);
        if self.settle_voter_change(turn) {
            return true;
        }
        for voter in silent {
            if self.connections.is_ready(voter) {
                self.send(turn, voter, message::begin_request(voter, me, self.epoch));
            }
        }
        false
    }

    fn poll_follower(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, shun_leader: bool) -> bool {
        let State::Follower { leader, fetch_deadline, .. } = self.state else { return false };
        let expired = fetch_deadline <= turn.now;
        if self.is_voter() {
            if self.shutdown_by.is_some() {
                return false;
            }
            if expired {
                self.become_prospective(disk, turn);
                return true;
            }
        }
        // maybeSendFetchToBestNode
        if expired || shun_leader || self.connections.is_backing_off(leader) {
            self.fetch_from_any(disk, turn);
        } else if !self.connections.any_in_flight() {
            self.send_fetch(disk, turn, leader);
        }
        false
    }

    fn poll_resigned(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) -> bool {
        let (State::Resigned { successors, unacknowledged, election_at }, Some(me)) = (&self.state, self.local) else {
            return false;
        };
        let over = *election_at <= turn.now && self.shutdown_by.is_none();
        let successors = successors.clone();
        let ready: Vec<ControllerId> =
            unacknowledged.iter().copied().filter(|voter| self.connections.is_ready(*voter)).collect();
        for voter in ready {
            self.send(turn, voter, message::end_request(me, self.epoch, &successors));
        }
        if over {
            self.become_unattached(disk, turn, self.epoch.next());
        }
        over
    }

    fn ask_for_votes(&mut self, disk: &QuorumDisk, turn: &mut Turn<'_>, pre_vote: bool) {
        let votes = match &self.state {
            State::Prospective { votes, .. } | State::Candidate { votes, .. } => votes,
            _ => return,
        };
        if votes.is_lost() {
            return;
        }
        for voter in votes.unrecorded() {
            if !self.connections.is_ready(voter) {
                continue;
            }
            let asked = VoteAsked {
                voter: BrokerId(voter.node_id()),
                candidate: BrokerId(self.me.node_id()),
                epoch: self.epoch,
                last_epoch: disk.last_epoch(),
                last_offset: disk.log.log_end(),
                pre_vote,
            };
            self.send(turn, voter, message::vote_request(voter, asked));
        }
    }

    /// Asks one controller after the other who leads, beginning at random (findReadyBootstrapServer).
    fn fetch_from_any(&mut self, disk: &QuorumDisk, turn: &mut Turn<'_>) {
        if self.connections.any_in_flight() {
            return;
        }
        let voters = self.contacts();
        if !voters.iter().any(|voter| self.connections.is_ready(*voter)) {
            return;
        }
        let first = turn.below(voters.len() as u64) as usize;
        let ready = (0..voters.len())
            .map(|step| voters[(first + step) % voters.len()])
            .find(|voter| self.connections.is_ready(*voter));
        if let Some(voter) = ready {
            self.send_fetch(disk, turn, voter);
        }
    }

    /// maybeCompleteShutdown: nobody waits for a successor who could not be one's voter, or when
    /// another leads already.
    fn shutdown_completes(&mut self, now: Instant) -> bool {
        let Some(by) = self.shutdown_by else { return false };
        let leader = self.state.leader(self.local);
        let other_leads = leader.is_some() && leader != self.local;
        let sole = self.voters().len() == 1;
        self.stopped = by <= now || !self.is_voter() || sole || other_leads;
        self.stopped
    }

    /// The earliest of what the state waits for.
    pub(super) fn earliest_alarm(&self) -> Option<(Instant, Alarm)> {
        let ready = self.connections.next_ready().map(|at| (at, Alarm::QuorumRequest));
        let shutdown = self.shutdown_by.map(|at| (at, Alarm::Shutdown));
        let waiting = self.waiting.iter().map(|fetch| fetch.until).min().map(|at| (at, Alarm::QuorumFetchWait));
        let election = |at: Instant| self.shutdown_by.is_none().then_some((at, Alarm::Election));
        let state = match &self.state {
            State::Unattached { election_at, .. } => earliest([election_at.and_then(election), ready]),
            State::Prospective { election_at, .. } | State::Candidate { election_at, .. } => {
                earliest([election(*election_at), ready])
            }
            State::Leader(leader) => earliest([
                leader.check_quorum_alarm().map(|at| (at, Alarm::CheckQuorum)),
                leader.voter_change.as_ref().map(|change| (change.until, Alarm::QuorumRequest)),
                leader.drain_at.map(|at| (at, Alarm::AppendLinger)),
                (leader.voters.len() > 1).then_some((leader.begin_epoch_at, Alarm::QuorumRequest)),
            ]),
            State::Follower { fetch_deadline, .. } => {
                let doubt = self.is_voter().then_some((*fetch_deadline, Alarm::QuorumFetchTimeout));
                earliest([doubt, ready])
            }
            State::Resigned { election_at, .. } => earliest([election(*election_at), ready]),
        };
        earliest([state, shutdown, waiting])
    }
}
