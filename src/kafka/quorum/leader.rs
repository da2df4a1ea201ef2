//! What the leader of an epoch knows of its voters, the high watermark rule and check-quorum
//! (LeaderState), and the records it gathers before it writes them (BatchAccumulator).

use std::cmp::Reverse;

use bytes::Bytes;

use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{ControllerId, Correlation, NodeId, Offset};

/// The leader's view of its epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leader {
    /// Where the epoch's LeaderChange record stands, or will stand.
    pub epoch_start: Offset,
    /// Whether the LeaderChange record is in the log.
    pub start_written: bool,
    /// Who voted for this leader: told in the LeaderChange record.
    pub granting: Vec<ControllerId>,
    /// Every voter's progress, the leader's own included.
    pub voters: SortedMap<ControllerId, Progress>,
    /// Controllers that fetch without a vote: a voter is made of one that keeps up (KIP-853).
    pub observers: SortedMap<ControllerId, Progress>,
    /// The voters that fetched since check-quorum was last satisfied.
    pub fetched: SortedSet<ControllerId>,
    /// When to resign unless a majority has fetched by then; a sole voter never does.
    check_quorum_at: Instant,
    /// A voter is being added or removed; one at a time.
    pub voter_change: Option<VoterChange>,
    /// When to tell voters that have not fetched that the epoch began.
    pub begin_epoch_at: Instant,
    /// The records handed to the leader that are not in the log yet, one entry per append.
    pub gathered: Vec<Vec<Bytes>>,
    /// When to write them (`controller.quorum.append.linger.ms`).
    pub drain_at: Option<Instant>,
}

/// A voter as the leader sees it (LeaderState.ReplicaState).
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(super) struct Progress {
    /// The offset it fetched at: it holds everything below.
    pub end: Option<Offset>,
    pub last_fetch: Option<Instant>,
    /// Where the leader's log ended at that fetch.
    leader_end: Offset,
    /// When it last held everything that the leader had.
    pub caught_up: Option<Instant>,
}

/// A request to add or remove a voter that waits for its record to be committed
/// (AddVoterHandlerState, RemoveVoterHandlerState).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VoterChange {
    pub from: NodeId,
    pub correlation: Correlation,
    /// Whether the request was to add one; its answer has another type.
    pub adds: bool,
    /// Where the VotersRecord stands.
    pub offset: Offset,
    /// Then the answer is REQUEST_TIMED_OUT, though the record may still be committed.
    pub until: Instant,
}

impl Leader {
    pub fn new(
        voters: &[ControllerId],
        granting: Vec<ControllerId>,
        epoch_start: Offset,
        now: Instant,
        fetch_timeout: Duration,
    ) -> Leader {
        Leader {
            epoch_start,
            start_written: false,
            granting,
            voters: voters.iter().map(|voter| (*voter, Progress::default())).collect(),
            observers: SortedMap::new(),
            fetched: SortedSet::new(),
            check_quorum_at: now + check_quorum_timeout(fetch_timeout),
            voter_change: None,
            begin_epoch_at: now,
            gathered: Vec::new(),
            drain_at: None,
        }
    }

    /// A fetch at `end` by a controller, with the leader's log ending at `leader_end`. A voter's
    /// counts for check-quorum, and its position for the high watermark.
    pub fn fetched_at(&mut self, who: ControllerId, end: Offset, leader_end: Offset, now: Instant) {
        let progress = match self.voters.get_mut(&who) {
            Some(voter) => voter,
            None => self.observers.entry(who).or_default(),
        };
        // As for a partition's followers: what the leader had when the follower asked last is what
        // it could have by now.
        if end >= leader_end {
            progress.caught_up = Some(now);
        } else if let Some(at) = progress.last_fetch.filter(|_| end >= progress.leader_end) {
            progress.caught_up = Some(at);
        }
        (progress.end, progress.last_fetch, progress.leader_end) = (Some(end), Some(now), leader_end);
    }

    /// A voter fetched records or a snapshot (updateCheckQuorumForFollowingVoter). A leader that is a
    /// voter counts for the majority itself.
    pub fn voter_lives(&mut self, me: ControllerId, voter: ControllerId, now: Instant, fetch_timeout: Duration) {
        if !self.voters.contains_key(&voter) {
            return;
        }
        self.fetched.insert(voter);
        let majority = self.voters.len() / 2 + 1 - usize::from(self.voters.contains_key(&me));
        if self.fetched.len() >= majority {
            self.fetched.clear();
            self.check_quorum_at = now + check_quorum_timeout(fetch_timeout);
        }
    }

    pub fn wrote_up_to(&mut self, me: ControllerId, end: Offset) {
        if let Some(own) = self.voters.get_mut(&me) {
            own.end = Some(end);
        }
    }

    /// The voters are others from now on (LeaderState.updateVoterStates): what is known of each stays.
    pub fn set_voters(&mut self, voters: &[ControllerId], now: Instant, fetch_timeout: Duration) {
        let mut known = std::mem::take(&mut self.voters);
        known.extend(std::mem::take(&mut self.observers));
        self.voters = voters.iter().map(|voter| (*voter, known.remove(voter).unwrap_or_default())).collect();
        self.observers = known;
        self.fetched.retain(|voter| voters.contains(voter));
        self.check_quorum_at = self.check_quorum_at.max(now + check_quorum_timeout(fetch_timeout));
    }

    /// LeaderState.isReplicaCaughtUp: it held everything once and has fetched within the last hour.
    pub fn is_caught_up(&self, observer: ControllerId, now: Instant) -> bool {
        let hour = Duration::from_secs(3_600);
        let recent = |progress: &Progress| progress.last_fetch.is_some_and(|at| now - at < hour);
        self.observers.get(&observer).is_some_and(|progress| progress.caught_up.is_some() && recent(progress))
    }

    pub fn lost_its_quorum(&self, now: Instant) -> bool {
        self.check_quorum_alarm().is_some_and(|at| at <= now)
    }

    pub fn check_quorum_alarm(&self) -> Option<Instant> {
        (self.voters.len() > 1).then_some(self.check_quorum_at)
    }

    /// The largest offset that a majority of voters has reached, once that is beyond the record
    /// that began the epoch: records of older epochs are committed only together with it
    /// (LeaderState.maybeUpdateHighWatermark; Raft, section 5.4.2).
    pub fn committed(&self) -> Option<Offset> {
        let mut ends: Vec<Option<Offset>> = self.voters.values().map(|progress| progress.end).collect();
        ends.sort_unstable_by_key(|end| Reverse(*end));
        ends[self.voters.len() / 2].filter(|end| *end > self.epoch_start)
    }

    /// The other voters, those that hold most first.
    pub fn successors(&self, me: ControllerId) -> Vec<ControllerId> {
        let mut others: Vec<(Reverse<Option<Offset>>, ControllerId)> = self
            .voters
            .iter()
            .filter(|(voter, _)| **voter != me)
            .map(|(voter, progress)| (Reverse(progress.end), *voter))
            .collect();
        others.sort_unstable();
        others.into_iter().map(|(_, voter)| voter).collect()
    }

    /// The other voters that have not fetched for half a fetch timeout: they may not know the leader.
    pub fn silent_voters(&self, me: ControllerId, now: Instant, fetch_timeout: Duration) -> Vec<ControllerId> {
        let period = begin_epoch_period(fetch_timeout);
        self.voters
            .iter()
            .filter(|(voter, _)| **voter != me)
            .filter(|(_, progress)| progress.last_fetch.is_none_or(|at| now - at >= period))
            .map(|(voter, _)| *voter)
            .collect()
    }
}

/// 1.5 fetch timeouts (LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR).
fn check_quorum_timeout(fetch_timeout: Duration) -> Duration {
    Duration(fetch_timeout.0 * 3 / 2)
}

/// Half a fetch timeout (LeaderState).
pub(super) fn begin_epoch_period(fetch_timeout: Duration) -> Duration {
    Duration(fetch_timeout.0 / 2)
}
