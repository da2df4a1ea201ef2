//! A log with a role: a broker's replica of one partition as leader or follower, its in-sync
//! replicas and its high watermark (Partition, Replica), and the follower's fetching and
//! truncation (AbstractFetcherThread).

pub mod fetcher;
mod isr;
pub mod offsets;
mod read;
pub mod session;
pub mod truncation;

use bytes::Bytes;

use crate::kafka::config::{BrokerConfig, Planted};
use crate::kafka::log::producer_state::VerificationGuard;
use crate::kafka::log::{Appended, Log, Origin};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::batch::Batch;
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

pub use isr::IsrCounters;
pub use read::{Fetch, ReadInfo, partition_data};

/// What the metadata says of a partition (PartitionRegistration), as far as a replica needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionState {
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub leader: Option<BrokerId>,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub recovering: bool,
}

/// What a leader must know of the brokers to propose ISR changes: from the metadata image.
pub trait Liveness {
    /// Registered, not fenced, not in controlled shutdown.
    fn eligible(&self, broker: BrokerId) -> bool;
    /// The epoch of a broker that is registered and not fenced (MetadataCache.getAliveBrokerEpoch).
    fn broker_epoch(&self, broker: BrokerId) -> Option<BrokerEpoch>;
}

/// In whose name a batch is appended, and what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    pub acks: i16,
    pub origin: Origin,
    /// The coordinator has confirmed the transaction (KIP-890).
    pub guard: Option<VerificationGuard>,
    /// The version that a marker was written in.
    pub transaction_version: i16,
}

impl Claim {
    pub fn new(acks: i16, origin: Origin) -> Claim {
        Claim { acks, origin, guard: None, transaction_version: 0 }
    }
}

/// A change of the ISR that the leader wants the controller to make.
#[derive(Clone, Debug, PartialEq)]
pub struct IsrProposal {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// With the broker epochs that the leader knows (KIP-903); -1 when unknown.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// Before any time that a run knows: a replica that was never caught up.
pub const NEVER: Instant = Instant(i64::MIN / 4);

/// A follower as its leader sees it (Replica, ReplicaState).
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteReplica {
    /// Where it will write next; -1 until it fetched in this leader's term.
    pub log_end: Offset,
    pub log_start: Offset,
    /// The last time it was known to have everything that the leader had.
    pub last_caught_up: Instant,
    /// The leader's log end at the follower's previous fetch.
    pub last_fetch_leader_end: Offset,
    /// When it fetched last.
    pub last_fetch: Instant,
    /// The broker epoch that its last fetch carried (KIP-903); `None` until it fetched.
    pub broker_epoch: Option<BrokerEpoch>,
}

/// An ISR change in flight, and what it would do.
#[derive(Clone, Debug, PartialEq)]
struct PendingIsr {
    proposal: IsrProposal,
    expands: bool,
}

/// One replica. Its log is handed in with every call that reads or writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    me: BrokerId,
    /// `replica.lag.time.max.ms`
    lag_time_max: Duration,
    /// A bug put in on purpose.
    planted: Option<Planted>,
    /// The last committed state that was applied; `None` until the metadata named a role.
    state: Option<PartitionState>,
    /// The leader's log end when its epoch began; `None` at a follower.
    leader_epoch_start: Option<Offset>,
    /// The other replicas, at the leader only: exactly `state.replicas` without this broker.
    remotes: SortedMap<BrokerId, RemoteReplica>,
    /// The ISR change that the controller has not answered; only at the leader.
    pending: Option<PendingIsr>,
    counters: IsrCounters,
}

/// What a change at the leader led to, for the broker to act on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct After {
    /// The high watermark moved, from and to.
    pub high_watermark: Option<(Offset, Offset)>,
    /// The controller is to be asked for this ISR.
    pub proposal: Option<IsrProposal>,
    /// A follower's log start moved: a waiting DeleteRecords may be done.
    pub low_watermark_moved: bool,
}

/// What a role change did.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RoleChange {
    /// False when the partition epoch was older than the one applied already.
    pub applied: bool,
    /// It did not have this role before.
    pub new_role: bool,
    pub new_leader_epoch: bool,
    pub high_watermark: Option<(Offset, Offset)>,
}

/// Why a follower could not append what it fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerAppendError {
    /// The first offset lies before the log's end (UnexpectedAppendOffsetException).
    UnexpectedOffset {
        first: Offset,
        last: Offset,
    },
    Refused(ErrorCode),
}

impl Partition {
    pub fn new(me: BrokerId, config: &BrokerConfig) -> Partition {
        Partition {
            me,
            lag_time_max: config.replica_lag_time_max,
            planted: config.planted,
            state: None,
            leader_epoch_start: None,
            remotes: SortedMap::new(),
            pending: None,
            counters: IsrCounters::default(),
        }
    }

    pub fn state(&self) -> Option<&PartitionState> {
        self.state.as_ref()
    }

    pub fn is_leader(&self) -> bool {
        self.leader() == Some(self.me)
    }

    pub fn leader(&self) -> Option<BrokerId> {
        self.state.as_ref()?.leader
    }

    /// -1 before the first role.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.state.as_ref().map_or(LeaderEpoch::UNKNOWN, |state| state.leader_epoch)
    }

    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.state.as_ref().map_or(PartitionEpoch(-1), |state| state.partition_epoch)
    }

    /// Where the leader's own epoch begins.
    pub fn leader_epoch_start(&self) -> Option<Offset> {
        self.leader_epoch_start
    }

    pub fn remote(&self, broker: BrokerId) -> Option<&RemoteReplica> {
        self.remotes.get(&broker)
    }

    pub fn remotes(&self) -> impl Iterator<Item = (BrokerId, &RemoteReplica)> {
        self.remotes.iter().map(|(id, remote)| (*id, remote))
    }

    /// Partition.makeLeader.
    pub fn make_leader(
        &mut self,
        log: &mut Log,
        state: PartitionState,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> RoleChange {
        if state.partition_epoch < self.partition_epoch() {
            return RoleChange::default();
        }
        let new_role = !self.is_leader();
        let new_leader_epoch = state.leader_epoch > self.leader_epoch();
        // The leader epoch of a broker never goes back.
        let leader_epoch = state.leader_epoch.max(self.leader_epoch());
        self.pending = None;
        let me = self.me;
        self.remotes.retain(|id, _| state.replicas.contains(id));
        for follower in state.replicas.iter().filter(|id| **id != me) {
            self.remotes.entry(*follower).or_insert_with(RemoteReplica::unknown);
        }
        if new_leader_epoch {
            let start = log.log_end();
            log.assign_epoch(leader_epoch, start);
            for (id, remote) in &mut self.remotes {
                remote.reset(now, start, new_role, state.isr.contains(id));
            }
            self.leader_epoch_start = Some(start);
        }
        self.state = Some(PartitionState { leader: Some(me), leader_epoch, ..state });
        let high_watermark = self.maybe_increment_high_watermark(log, liveness, now);
        RoleChange { applied: true, new_role, new_leader_epoch, high_watermark }
    }

    /// Partition.makeFollower: fetching restarts when the leader epoch rose, even from the same leader.
    pub fn make_follower(&mut self, state: PartitionState) -> RoleChange {
        if state.partition_epoch < self.partition_epoch() {
            return RoleChange::default();
        }
        let new_role = self.is_leader() || self.state.is_none();
        let new_leader_epoch = state.leader_epoch > self.leader_epoch();
        let leader_epoch = state.leader_epoch.max(self.leader_epoch());
        self.pending = None;
        self.remotes.clear();
        self.leader_epoch_start = None;
        self.state = Some(PartitionState { leader_epoch, ..state });
        RoleChange { applied: true, new_role, new_leader_epoch, high_watermark: None }
    }

    /// Partition.appendRecordsToLeader: refused below the effective min ISR for acks=all (nothing is
    /// written then), else appended, and the high watermark looked at again.
    pub fn append_as_leader(
        &mut self,
        log: &mut Log,
        records: Bytes,
        acks: i16,
        origin: Origin,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> Result<(Appended, After), ErrorCode> {
        self.append_claimed(log, records, Claim::new(acks, origin), liveness, now)
    }

    /// As `append_as_leader`, with what transactions bring along.
    pub fn append_claimed(
        &mut self,
        log: &mut Log,
        records: Bytes,
        claim: Claim,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> Result<(Appended, After), ErrorCode> {
        let Claim { acks, origin, guard, transaction_version } = claim;
        self.check_produce(log, acks)?;
        let epoch = self.leader_epoch();
        let appended = log.append_verified(records, epoch, origin, now, guard, transaction_version)?;
        let high_watermark = self.maybe_increment_high_watermark(log, liveness, now);
        Ok((appended, After { high_watermark, ..After::default() }))
    }

    /// NOT_LEADER_OR_FOLLOWER, and NOT_ENOUGH_REPLICAS for acks=all below the effective min ISR.
    pub fn check_produce(&self, log: &Log, acks: i16) -> Result<(), ErrorCode> {
        if !self.is_leader() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if acks == -1 && self.is_under_min_isr(log) {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        Ok(())
    }

    /// A follower that stood at the log's end fetched at `at` without naming this partition (its
    /// fetch session had nothing to say about it): it was caught up then.
    pub fn note_idle_fetch(&mut self, follower: BrokerId, at: Instant, leader_end: Offset) {
        if let Some(remote) = self.remotes.get_mut(&follower).filter(|remote| remote.last_fetch < at) {
            remote.last_fetch = at;
            remote.last_caught_up = remote.last_caught_up.max(at);
            remote.last_fetch_leader_end = leader_end;
        }
    }

    /// checkEnoughReplicasReachOffset of a waiting acks=all produce: `None` = keep waiting. The high
    /// watermark is frozen below the min ISR, so a shrink while waiting normally ends in a timeout.
    pub fn check_acks(&self, log: &Log, required: Offset) -> Option<Result<(), ErrorCode>> {
        if !self.is_leader() {
            return Some(Err(ErrorCode::NotLeaderOrFollower));
        }
        if log.high_watermark() < required && self.planted != Some(Planted::AcknowledgeEarly) {
            return None;
        }
        let enough = self.effective_min_isr(log) <= self.maximal_isr().len() as i64;
        Some(if enough { Ok(()) } else { Err(ErrorCode::NotEnoughReplicasAfterAppend) })
    }

    /// Partition.appendRecordsToFollowerOrFutureReplica: what was fetched in `fetch_epoch`.
    pub fn append_as_follower(
        log: &mut Log,
        records: Bytes,
        fetch_epoch: LeaderEpoch,
        now: Instant,
    ) -> Result<Option<Appended>, FollowerAppendError> {
        let mut rest = records.clone();
        let first = Batch::split_first(&mut rest, false).map_err(FollowerAppendError::Refused)?;
        if first.leader_epoch <= fetch_epoch && first.base_offset < log.log_end() {
            // The log starts in the middle of the batch (DeleteRecords): begin it anew at the batch's base.
            let straddles = log.log_end() == log.log_start() && first.last_offset >= log.log_end();
            if !straddles {
                let (first, last) = (first.base_offset, first.last_offset);
                return Err(FollowerAppendError::UnexpectedOffset { first, last });
            }
            log.truncate_fully_and_start_at(first.base_offset);
        }
        log.append_as_follower(records, fetch_epoch, now).map_err(FollowerAppendError::Refused)
    }

    /// min(log start) over the leader and its living followers (Partition.lowWatermarkIfLeader).
    pub fn low_watermark(&self, log: &Log, liveness: &dyn Liveness) -> Offset {
        let alive = self.remotes.iter().filter(|(id, _)| liveness.broker_epoch(**id).is_some());
        alive.map(|(_, remote)| remote.log_start).fold(log.log_start(), Offset::min)
    }

    /// Partition.deleteRecordsOnLeader: -1 stands for the high watermark. What was asked for, and
    /// whether the log start moved; the answer waits for the low watermark.
    pub fn delete_records(&mut self, log: &mut Log, before: Offset) -> Result<(Offset, bool), ErrorCode> {
        if !self.is_leader() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        // With neither policy records are still deleted below the start (Partition.deleteRecordsOnLeader).
        if log.config().compact && !log.config().delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let before = if before == Offset::UNKNOWN { log.high_watermark() } else { before };
        if before < Offset::ZERO || before > log.high_watermark() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let moved = log.maybe_increment_log_start(before);
        Ok((before, moved))
    }
}

impl RemoteReplica {
    /// ReplicaState.EMPTY.
    fn unknown() -> RemoteReplica {
        RemoteReplica {
            log_end: Offset::UNKNOWN,
            log_start: Offset::UNKNOWN,
            last_caught_up: NEVER,
            last_fetch_leader_end: Offset::ZERO,
            last_fetch: NEVER,
            broker_epoch: None,
        }
    }

    /// Replica.resetReplicaState: a new leader epoch began.
    fn reset(&mut self, now: Instant, leader_end: Offset, new_leader: bool, in_isr: bool) {
        let caught_up = if in_isr { now } else { NEVER };
        if new_leader {
            let unknown = RemoteReplica::unknown();
            *self = RemoteReplica { last_caught_up: caught_up, last_fetch_leader_end: Offset::UNKNOWN, ..unknown };
        } else {
            self.last_fetch_leader_end = leader_end;
            self.last_fetch = caught_up;
            self.last_caught_up = caught_up;
        }
    }

    /// ReplicaState.isCaughtUp: at the leader's end, or not behind for longer than the limit.
    pub fn is_caught_up(&self, leader_end: Offset, now: Instant, limit: Duration) -> bool {
        self.log_end == leader_end || now - self.last_caught_up <= limit
    }
}
