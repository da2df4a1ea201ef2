//! Electing: votes, and the beginning and the end of an epoch (KafkaRaftClient's handlers of VOTE,
//! BEGIN_QUORUM_EPOCH and END_QUORUM_EPOCH).

use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse, VoteRequest,
    VoteResponse,
};

use crate::kafka::node::Turn;
use crate::kafka::quorum::message::{self, Standing, VoteAsked};
use crate::kafka::quorum::state::State;
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::time::Duration;
use crate::wire::{BrokerId, ControllerId, ErrorCode, LeaderEpoch, code, error};

impl Quorum {
    pub(super) fn handle_vote(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        request: &VoteRequest,
    ) -> VoteResponse {
        let Some(asked) = message::read_vote_request(request) else {
            return VoteResponse::default().with_error_code(code(Some(ErrorCode::InvalidRequest)));
        };
        match self.judge_vote(disk, turn, asked) {
            Ok(granted) => message::vote_response(None, self.standing(), granted),
            Err(error) => message::vote_response(Some(error), self.standing(), false),
        }
    }

    fn judge_vote(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, asked: VoteAsked) -> Result<bool, ErrorCode> {
        // A candidate's log ends before its epoch; a pre-vote's may end in it.
        let too_new = if asked.pre_vote { asked.last_epoch > asked.epoch } else { asked.last_epoch >= asked.epoch };
        if asked.last_offset.0 < 0 || asked.last_epoch.0 < 0 || too_new {
            return Err(ErrorCode::InvalidRequest);
        }
        self.check_sender(asked.candidate, asked.epoch)?;
        if asked.epoch > self.epoch {
            self.become_unattached(disk, turn, asked.epoch);
        }
        self.check_addressee(asked.voter)?;
        let candidate = ControllerId::from_node_id(asked.candidate.0).ok_or(ErrorCode::InvalidRequest)?;
        let own_end = (disk.last_epoch(), disk.log.log_end());
        let up_to_date = (asked.last_epoch, asked.last_offset) >= own_end;
        let granted = self.state.can_grant(candidate, up_to_date, asked.pre_vote);
        if granted && !asked.pre_vote {
            self.record_vote(disk, turn, candidate);
        }
        Ok(granted)
    }

    pub(super) fn handle_vote_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: ControllerId,
        response: &VoteResponse,
    ) -> bool {
        if let Some(refused) = error(response.error_code) {
            // A voter from before KIP-996 cannot answer a pre-vote: stand for election at once.
            let prospective = matches!(self.state, State::Prospective { .. });
            if refused == ErrorCode::UnsupportedVersion && prospective {
                self.become_candidate(disk, turn);
                return true;
            }
            return false;
        }
        let Some((refused, standing, granted)) = message::read_vote_response(response) else { return false };
        if let Some(handled) = self.common_response(disk, turn, refused, standing) {
            return handled;
        }
        if refused.is_some() {
            return false;
        }
        match &mut self.state {
            State::Prospective { votes, .. } => {
                votes.record(from, granted);
                if votes.is_lost() {
                    self.lose_pre_vote(disk, turn);
                }
            }
            // A candidate that lost waits for its election timeout (KIP-996).
            State::Candidate { votes, .. } => votes.record(from, granted),
            _ => {}
        }
        self.advance_nominee(disk, turn);
        true
    }

    pub(super) fn handle_begin(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        request: &BeginQuorumEpochRequest,
    ) -> BeginQuorumEpochResponse {
        let Some((leader, epoch)) = message::read_begin_request(request) else {
            return BeginQuorumEpochResponse::default().with_error_code(code(Some(ErrorCode::InvalidRequest)));
        };
        let result = self
            .check_sender(leader, epoch)
            .and_then(|()| self.learn(disk, turn, ControllerId::from_node_id(leader.0), epoch))
            .and_then(|()| self.check_addressee(request.voter_id));
        message::begin_response(result.err(), self.standing())
    }

    pub(super) fn handle_begin_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        response: &BeginQuorumEpochResponse,
    ) -> bool {
        if error(response.error_code).is_some() {
            return false;
        }
        let Some((refused, standing)) = message::read_begin_response(response) else { return false };
        self.common_response(disk, turn, refused, standing).unwrap_or(refused.is_none())
    }

    pub(super) fn handle_end(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        request: &EndQuorumEpochRequest,
    ) -> EndQuorumEpochResponse {
        let Some((leader, epoch, candidates)) = message::read_end_request(request) else {
            return EndQuorumEpochResponse::default().with_error_code(code(Some(ErrorCode::InvalidRequest)));
        };
        let result = self
            .check_sender(leader, epoch)
            .and_then(|()| self.learn(disk, turn, ControllerId::from_node_id(leader.0), epoch));
        if result.is_ok() {
            let pause = self.succession_pause(&candidates);
            if let State::Follower { leader: followed, fetch_deadline, .. } = &mut self.state
                && followed.node_id() == leader.0
            {
                *fetch_deadline = turn.now + pause;
            }
        }
        message::end_response(result.err(), self.standing())
    }

    pub(super) fn handle_end_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: ControllerId,
        response: &EndQuorumEpochResponse,
    ) -> bool {
        if error(response.error_code).is_some() {
            return false;
        }
        let Some((refused, standing)) = message::read_end_response(response) else { return false };
        if let Some(handled) = self.common_response(disk, turn, refused, standing) {
            return handled;
        }
        if let (None, State::Resigned { unacknowledged, .. }) = (refused, &mut self.state) {
            unacknowledged.remove(&from);
        }
        refused.is_none()
    }

    /// What every response says of the epoch (maybeHandleCommonResponse): `Some` when there is
    /// nothing more to handle, and then whether the peer answered usefully.
    pub(super) fn common_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        refused: Option<ErrorCode>,
        standing: Standing,
    ) -> Option<bool> {
        if standing.epoch < self.epoch || refused == Some(ErrorCode::UnknownLeaderEpoch) {
            return Some(true);
        }
        let stale = matches!(refused, Some(ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower));
        if standing.epoch > self.epoch || stale {
            // Kafka halts on two leaders of one epoch; here such an answer teaches nothing.
            return Some(self.learn(disk, turn, standing.leader, standing.epoch).is_ok());
        }
        if standing.leader.is_some() && self.cannot_reach_a_leader() {
            if self.learn(disk, turn, standing.leader, standing.epoch).is_err() {
                return Some(false);
            }
            return refused.map(|_| true);
        }
        match refused {
            Some(ErrorCode::BrokerNotAvailable | ErrorCode::InvalidRequest) => Some(false),
            Some(ErrorCode::InvalidVoterKey) => Some(true),
            _ => None,
        }
    }

    /// A message told of an epoch and perhaps of its leader (maybeTransition).
    pub(super) fn learn(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        leader: Option<ControllerId>,
        epoch: LeaderEpoch,
    ) -> Result<(), ErrorCode> {
        if !self.is_consistent(leader, epoch) {
            return Err(ErrorCode::UnknownServerError);
        }
        match leader {
            Some(leader) if epoch > self.epoch || self.cannot_reach_a_leader() => {
                self.become_follower(disk, turn, epoch, leader)
            }
            None if epoch > self.epoch => self.become_unattached(disk, turn, epoch),
            _ => {}
        }
        Ok(())
    }

    /// No leader is known, or by name only: a message from it, or one that tells of it, makes it reachable.
    fn cannot_reach_a_leader(&self) -> bool {
        self.state.leader(self.local).is_none() || matches!(self.state, State::Unattached { .. })
    }

    /// An epoch has one leader, and nobody else can name this node its leader (hasConsistentLeader).
    fn is_consistent(&self, leader: Option<ControllerId>, epoch: LeaderEpoch) -> bool {
        if leader.is_some() && leader == self.local {
            return matches!(self.state, State::Leader(_) | State::Resigned { .. }) && epoch == self.epoch;
        }
        let known = self.state.leader(self.local);
        epoch != self.epoch || leader.is_none() || known.is_none() || leader == known
    }

    /// validateVoterOnlyRequest
    fn check_sender(&self, sender: BrokerId, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        if epoch < self.epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else if sender.0 < 0 {
            Err(ErrorCode::InvalidRequest)
        } else {
            Ok(())
        }
    }

    /// A request that names another voter went astray; one that names none is accepted.
    fn check_addressee(&self, voter: BrokerId) -> Result<(), ErrorCode> {
        if voter.0 >= 0 && voter.0 != self.me.node_id() { Err(ErrorCode::InvalidVoterKey) } else { Ok(()) }
    }

    /// The better a successor, the sooner it stands for election (endEpochElectionBackoff): the
    /// first at once, the others after pauses that double, whoever is not named after the longest.
    fn succession_pause(&self, candidates: &[BrokerId]) -> Duration {
        let longest = self.timing.election_backoff_max;
        match candidates.iter().position(|candidate| candidate.0 == self.me.node_id()) {
            None => longest,
            Some(0) => Duration::ZERO,
            Some(place) => {
                // Whole milliseconds are halved, as Kafka does.
                let shift = (candidates.len() - 1).min(62) as u32;
                let base = longest.millis() >> shift;
                let pause = base.checked_mul(1i64 << (place - 1).min(40)).unwrap_or(i64::MAX);
                Duration::from_millis(pause).min(longest)
            }
        }
    }
}
