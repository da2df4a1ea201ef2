//! What a node is in the quorum at this moment (EpochState and its kinds, EpochElection).

use crate::kafka::quorum::leader::Leader;
use crate::kafka::quorum::snapshot::Download;
use crate::sorted::SortedSet;
use crate::time::Instant;
use crate::wire::ControllerId;

/// The node's state in its current epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// The node knows no leader it can follow, and may have voted.
    Unattached {
        /// A leader that is known by name but is no voter, so that nobody can reach it.
        leader: Option<ControllerId>,
        voted: Option<ControllerId>,
        /// When to stand for election; observers never do.
        election_at: Option<Instant>,
    },
    /// The node asks whether it could win before it starts a new epoch (KIP-996).
    Prospective {
        leader: Option<ControllerId>,
        voted: Option<ControllerId>,
        votes: Votes,
        election_at: Instant,
    },
    /// The node stands for election in its epoch and has voted for itself.
    Candidate {
        votes: Votes,
        election_at: Instant,
    },
    Leader(Box<Leader>),
    Follower {
        leader: ControllerId,
        voted: Option<ControllerId>,
        /// When to doubt the leader: a fetch timeout after the last successful fetch.
        fetch_deadline: Instant,
        /// Whether this leader answered a fetch in this epoch; until then pre-votes are granted.
        has_fetched: bool,
        /// The snapshot that it fetches instead of records that the leader no longer has.
        download: Option<Download>,
    },
    /// The node led this epoch and gave up: it waits for another to be elected.
    Resigned {
        /// The voters by descending fetch offset: who should stand first.
        successors: Vec<ControllerId>,
        /// The voters that have not acknowledged the end of the epoch.
        unacknowledged: SortedSet<ControllerId>,
        election_at: Instant,
    },
}

impl State {
    /// Kafka's name of the state.
    pub fn name(&self) -> &'static str {
        match self {
            State::Unattached { .. } => "Unattached",
            State::Prospective { .. } => "Prospective",
            State::Candidate { .. } => "Candidate",
            State::Leader(_) => "Leader",
            State::Follower { .. } => "Follower",
            State::Resigned { .. } => "Resigned",
        }
    }

    /// The leader of the epoch as this node (`me`) names it to others; a leader that resigned still
    /// names itself.
    pub fn leader(&self, me: Option<ControllerId>) -> Option<ControllerId> {
        match self {
            State::Unattached { leader, .. } | State::Prospective { leader, .. } => *leader,
            State::Candidate { .. } => None,
            State::Leader(_) | State::Resigned { .. } => me,
            State::Follower { leader, .. } => Some(*leader),
        }
    }

    /// Whom this node voted for in its epoch, as far as the election state keeps it.
    pub fn voted(&self, me: Option<ControllerId>) -> Option<ControllerId> {
        match self {
            State::Unattached { voted, .. } | State::Prospective { voted, .. } | State::Follower { voted, .. } => {
                *voted
            }
            State::Candidate { .. } => me,
            State::Leader(_) | State::Resigned { .. } => None,
        }
    }

    /// The election timer that an Unattached state inherits (QuorumState.transitionToUnattached):
    /// the remaining time of an election that was not lost, else none.
    pub fn inherited_election(&self) -> Option<Instant> {
        match self {
            State::Unattached { election_at, .. } => *election_at,
            State::Candidate { election_at, .. } | State::Resigned { election_at, .. } => Some(*election_at),
            State::Prospective { votes, election_at, .. } => (!votes.is_lost()).then_some(*election_at),
            State::Leader(_) | State::Follower { .. } => None,
        }
    }

    /// Whether a (pre-)vote for `candidate` is granted (the kinds' `canGrantVote`, KIP-996).
    pub fn can_grant(&self, candidate: ControllerId, log_up_to_date: bool, pre_vote: bool) -> bool {
        match self {
            State::Unattached { leader, voted, .. } | State::Prospective { leader, voted, .. } => {
                if pre_vote {
                    return log_up_to_date;
                }
                match voted {
                    Some(voted) => *voted == candidate,
                    None => leader.is_none() && log_up_to_date,
                }
            }
            State::Candidate { .. } | State::Resigned { .. } => pre_vote && log_up_to_date,
            State::Follower { has_fetched, .. } => pre_vote && log_up_to_date && !has_fetched,
            State::Leader(_) => false,
        }
    }
}

/// The votes of one election or pre-election (EpochElection).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Votes {
    voters: Vec<ControllerId>,
    granted: SortedSet<ControllerId>,
    rejected: SortedSet<ControllerId>,
}

impl Votes {
    /// A nominee votes for itself.
    pub fn of(voters: &[ControllerId], me: ControllerId) -> Votes {
        Votes { voters: voters.to_vec(), granted: SortedSet::from([me]), rejected: SortedSet::new() }
    }

    pub fn record(&mut self, voter: ControllerId, granted: bool) {
        if !self.voters.contains(&voter) {
            return;
        }
        self.granted.remove(&voter);
        self.rejected.remove(&voter);
        if granted {
            self.granted.insert(voter);
        } else {
            self.rejected.insert(voter);
        }
    }

    pub fn is_won(&self) -> bool {
        self.granted.len() >= self.majority()
    }

    /// Too many rejected it for a majority to be possible.
    pub fn is_lost(&self) -> bool {
        self.voters.len() - self.rejected.len() < self.majority()
    }

    pub fn granted(&self) -> Vec<ControllerId> {
        self.granted.iter().copied().collect()
    }

    pub fn unrecorded(&self) -> Vec<ControllerId> {
        self.voters.iter().copied().filter(|v| !self.granted.contains(v) && !self.rejected.contains(v)).collect()
    }

    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}
