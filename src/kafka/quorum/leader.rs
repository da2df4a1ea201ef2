//! What the leader of an epoch knows of its voters, the high watermark rule and check-quorum
//! (LeaderState), and the records it gathers before it writes them (BatchAccumulator).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::time::{Duration, Instant};
use crate::wire::{ControllerId, Offset};

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
    pub voters: BTreeMap<ControllerId, Progress>,
    /// The voters that fetched since check-quorum was last satisfied.
    pub fetched: BTreeSet<ControllerId>,
    /// When to resign unless a majority has fetched by then; a sole voter never does.
    pub check_quorum_at: Option<Instant>,
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
            fetched: BTreeSet::new(),
            check_quorum_at: (voters.len() > 1).then(|| now + check_quorum_timeout(fetch_timeout)),
            begin_epoch_at: now,
            gathered: Vec::new(),
            drain_at: None,
        }
    }

    /// A fetch at `end` by a voter: it counts for check-quorum, and its position for the high
    /// watermark. Fetches of observers change nothing.
    pub fn voter_fetched(&mut self, voter: ControllerId, end: Offset, now: Instant, fetch_timeout: Duration) {
        let Some(progress) = self.voters.get_mut(&voter) else { return };
        *progress = Progress { end: Some(end), last_fetch: Some(now) };
        self.fetched.insert(voter);
        // The leader itself counts for the majority of voters.len() / 2 + 1.
        if self.fetched.len() >= self.voters.len() / 2 {
            self.fetched.clear();
            self.check_quorum_at = Some(now + check_quorum_timeout(fetch_timeout));
        }
    }

    pub fn wrote_up_to(&mut self, me: ControllerId, end: Offset) {
        self.voters.entry(me).or_default().end = Some(end);
    }

    /// The largest offset that a majority of voters has reached, once that is beyond the record
    /// that began the epoch: records of older epochs are committed only together with it
    /// (LeaderState.maybeUpdateHighWatermark; Raft, section 5.4.2).
    pub fn committed(&self) -> Option<Offset> {
        let mut ends: Vec<Option<Offset>> = self.voters.values().map(|progress| progress.end).collect();
        ends.sort_by_key(|end| Reverse(*end));
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
        others.sort();
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
