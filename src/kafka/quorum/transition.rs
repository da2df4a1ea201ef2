//! From one state to the next (QuorumState, and the `transitionTo…` of KafkaRaftClient). What an
//! election decided is on disk before anything is sent.

use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::quorum::leader::Leader;
use crate::kafka::quorum::state::{State, Votes};
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::sorted::SortedSet;
use crate::time::{Duration, Instant};
use crate::wire::{ControllerId, LeaderEpoch};

impl Quorum {
    /// The state that the disk says this node was in (QuorumState.initialize).
    pub(super) fn initial_state(&mut self, disk: &QuorumDisk, turn: &mut Turn<'_>) {
        let last_epoch = disk.last_epoch();
        if last_epoch > disk.epoch {
            self.epoch = last_epoch;
            self.state = self.unattached(turn, None, None);
            return;
        }
        self.epoch = disk.epoch;
        let mine = |id: Option<ControllerId>| id.is_some() && id == self.local;
        if mine(disk.leader) {
            let others = self.other_voters().into_iter().collect();
            let election_at = self.random_election(turn);
            self.state = State::Resigned { successors: Vec::new(), unacknowledged: others, election_at };
        } else if mine(disk.voted) {
            let votes = Votes::of(self.voters(), self.local.expect("it stands in the vote, so it has an id"));
            let election_at = self.random_election(turn);
            self.state = State::Candidate { votes, election_at };
        } else {
            self.state = match disk.leader {
                Some(leader) if self.voters().contains(&leader) => self.follower(turn, leader, disk.voted),
                leader => self.unattached(turn, leader, disk.voted),
            };
        }
    }

    /// A higher epoch without a leader, or the same one after a pre-vote was lost.
    pub(super) fn become_unattached(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, epoch: LeaderEpoch) {
        self.abandon_voter_change(turn);
        let (leader, voted) = match epoch == self.epoch {
            true => (self.state.leader(self.local), self.state.voted(self.local)),
            false => (None, None),
        };
        let inherited = self.state.inherited_election();
        self.epoch = epoch;
        self.state = match inherited {
            Some(at) if self.is_voter() => State::Unattached { leader, voted, election_at: Some(at) },
            _ => self.unattached(turn, leader, voted),
        };
        self.persist(disk);
        self.connections.reset_all();
    }

    pub(super) fn become_follower(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        epoch: LeaderEpoch,
        leader: ControllerId,
    ) {
        self.abandon_voter_change(turn);
        let voted = if epoch == self.epoch { self.state.voted(self.local) } else { None };
        self.epoch = epoch;
        self.state = self.follower(turn, leader, voted);
        self.persist(disk);
        self.connections.reset_all();
    }

    /// KIP-996: asks before it bumps the epoch. Nothing is written: a restart forgets it.
    pub(super) fn become_prospective(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        let Some(me) = self.local.filter(|_| self.is_voter()) else { return };
        let leader = self.state.leader(self.local);
        let voted = self.state.voted(self.local);
        let election_at = self.random_election(turn);
        self.state = State::Prospective { leader, voted, votes: Votes::of(self.voters(), me), election_at };
        self.connections.reset_all();
        self.advance_nominee(disk, turn);
    }

    pub(super) fn become_candidate(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        let Some(me) = self.local.filter(|_| self.is_voter()) else { return };
        self.epoch = self.epoch.next();
        let election_at = self.random_election(turn);
        self.state = State::Candidate { votes: Votes::of(self.voters(), me), election_at };
        self.persist(disk);
        self.connections.reset_all();
        turn.tell(Fact::QuorumCandidate { controller: me, epoch: self.epoch });
        self.advance_nominee(disk, turn);
    }

    /// Goes one state further once the votes suffice (maybeTransitionToCandidate, …ToLeader).
    pub(super) fn advance_nominee(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        match &self.state {
            State::Prospective { votes, .. } if votes.is_won() => self.become_candidate(disk, turn),
            State::Candidate { votes, .. } if votes.is_won() => {
                let granting = votes.granted();
                self.become_leader(disk, turn, granting);
            }
            _ => {}
        }
    }

    /// A pre-vote was lost or ran out of time: back to the leader if one is known.
    pub(super) fn lose_pre_vote(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        match self.state.leader(self.local).filter(|leader| self.voters().contains(leader)) {
            Some(leader) => self.become_follower(disk, turn, self.epoch, leader),
            None => self.become_unattached(disk, turn, self.epoch),
        }
    }

    /// The vote is on disk before it is answered, and the election timer starts anew: whoever got
    /// the vote has at least as good a chance to win.
    pub(super) fn record_vote(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, candidate: ControllerId) {
        match &mut self.state {
            State::Unattached { voted: None, leader, .. } => {
                let leader = *leader;
                self.state = self.unattached(turn, leader, Some(candidate));
            }
            State::Prospective { voted: None, .. } => {
                let me = self.local.expect("only voters are prospective");
                let votes = Votes::of(self.voters(), me);
                let election_at = self.random_election(turn);
                self.state = State::Prospective { leader: None, voted: Some(candidate), votes, election_at };
            }
            _ => return,
        }
        self.persist(disk);
    }

    pub(super) fn become_resigned(&mut self, turn: &mut Turn<'_>) {
        self.abandon_voter_change(turn);
        let (State::Leader(leader), Some(me)) = (&self.state, self.local) else { return };
        let successors = leader.successors(me);
        let unacknowledged: SortedSet<ControllerId> = successors.iter().copied().collect();
        let election_at = self.random_election(turn);
        self.state = State::Resigned { successors, unacknowledged, election_at };
        // A node that resigned knows of no high watermark until the next leader tells (ResignedState).
        self.high_watermark = None;
        self.connections.reset_all();
        turn.tell(Fact::QuorumLeaderResigned { controller: me, epoch: self.epoch });
    }

    fn become_leader(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, granting: Vec<ControllerId>) {
        let me = self.local.expect("only voters stand for election");
        let epoch_start = disk.log.log_end();
        let leader = Leader::new(self.voters(), granting, epoch_start, turn.now, self.timing.fetch_timeout);
        self.state = State::Leader(Box::new(leader));
        self.persist(disk);
        // Unknown until a majority holds the record that begins the epoch: only then is it certain
        // that nothing below can be lost (LeaderState).
        self.high_watermark = None;
        disk.log.assign_epoch(self.epoch, epoch_start);
        self.connections.reset_all();
        turn.tell(Fact::QuorumLeaderElected { controller: me, epoch: self.epoch });
    }

    /// The quorum-state file (ElectionState).
    pub(super) fn persist(&self, disk: &mut QuorumDisk) {
        disk.epoch = self.epoch;
        disk.leader = self.state.leader(self.local);
        disk.voted = self.state.voted(self.local);
    }

    fn unattached(&self, turn: &mut Turn<'_>, leader: Option<ControllerId>, voted: Option<ControllerId>) -> State {
        let election_at = self.is_voter().then(|| self.random_election(turn));
        State::Unattached { leader, voted, election_at }
    }

    fn follower(&self, turn: &mut Turn<'_>, leader: ControllerId, voted: Option<ControllerId>) -> State {
        State::Follower {
            leader,
            voted,
            fetch_deadline: turn.now + self.timing.fetch_timeout,
            has_fetched: false,
            download: None,
        }
    }

    /// Uniform in [T, 2T) (QuorumState.randomElectionTimeoutMs).
    fn random_election(&self, turn: &mut Turn<'_>) -> Instant {
        // An election that takes no time would never come to an end.
        let shortest = self.timing.election_timeout.max(Duration::from_millis(1));
        turn.within(shortest, shortest + self.timing.election_spread)
    }
}
