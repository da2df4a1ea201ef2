//! The in-sync replicas of a leader's partition: the high watermark that they justify, who may
//! join, who falls out, and what becomes of a proposal to the controller (Partition.scala).

use crate::kafka::config::Planted;
use crate::kafka::log::Log;
use crate::kafka::replica::{IsrProposal, Liveness, Partition, PendingIsr};
use crate::time::Instant;
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

/// IsrExpandsPerSec, IsrShrinksPerSec, FailedIsrUpdatesPerSec as counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IsrCounters {
    pub expands: u32,
    pub shrinks: u32,
    pub failures: u32,
}

impl Partition {
    /// The committed ISR.
    pub fn isr(&self) -> &[BrokerId] {
        self.state.as_ref().map_or(&[], |state| &state.isr)
    }

    /// Committed ISR with a pending expansion's newcomer and a pending shrink's leavers (KIP-497).
    pub fn maximal_isr(&self) -> Vec<BrokerId> {
        let mut isr = self.isr().to_vec();
        for (id, _) in self.pending.iter().flat_map(|pending| &pending.proposal.isr) {
            if !isr.contains(id) {
                isr.push(*id);
            }
        }
        isr
    }

    /// The proposal that the controller has not answered.
    pub fn pending(&self) -> Option<&IsrProposal> {
        self.pending.as_ref().map(|pending| &pending.proposal)
    }

    pub fn counters(&self) -> IsrCounters {
        self.counters
    }

    /// min(min.insync.replicas, replication factor).
    pub fn effective_min_isr(&self, log: &Log) -> i64 {
        i64::from(log.config().min_insync_replicas).min(self.remotes.len() as i64 + 1)
    }

    pub fn is_under_min_isr(&self, log: &Log) -> bool {
        self.is_leader() && (self.isr().len() as i64) < self.effective_min_isr(log)
    }

    pub fn is_at_min_isr(&self, log: &Log) -> bool {
        self.is_leader() && self.isr().len() as i64 == self.effective_min_isr(log)
    }

    /// Partition.maybeIncrementLeaderHW; from and to if it moved. Below the min ISR it is frozen for
    /// every acks value (KIP-966). A caught-up replica that may join the ISR holds it back too, so
    /// that it does not join with less than was committed.
    pub fn maybe_increment_high_watermark(
        &self,
        log: &mut Log,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> Option<(Offset, Offset)> {
        if !self.is_leader() || self.is_under_min_isr(log) {
            return None;
        }
        let end = log.log_end();
        let mut mark = end;
        for (id, remote) in &self.remotes {
            let holds_back = || {
                self.in_maximal_isr(*id)
                    || remote.is_caught_up(end, now, self.lag_time_max) && self.may_join(*id, liveness)
            };
            if remote.log_end < mark && holds_back() {
                mark = remote.log_end;
            }
        }
        if self.planted == Some(Planted::HighWatermarkFromAnyReplica) {
            mark = self.remotes.values().map(|remote| remote.log_end).max().unwrap_or(end).min(end);
        }
        let old = log.maybe_increment_high_watermark(mark)?;
        Some((old, mark))
    }

    /// Partition.maybeExpandIsr: the proposal to take the follower in, which is pending from now on.
    pub(super) fn maybe_expand_isr(
        &mut self,
        log: &Log,
        follower: BrokerId,
        liveness: &dyn Liveness,
    ) -> Option<IsrProposal> {
        if self.pending.is_some() || self.isr().contains(&follower) || !self.may_join(follower, liveness) {
            return None;
        }
        let end = self.remotes.get(&follower)?.log_end;
        let start = self.leader_epoch_start?;
        if end < log.high_watermark() || end < start {
            return None;
        }
        let mut isr = self.isr().to_vec();
        isr.push(follower);
        Some(self.propose(isr, true, liveness))
    }

    /// Partition.maybeShrinkIsr, every half replica.lag.time.max.ms: the proposal to leave the laggards out.
    pub fn maybe_shrink_isr(&mut self, log: &Log, liveness: &dyn Liveness, now: Instant) -> Option<IsrProposal> {
        let out = self.out_of_sync_replicas(log, now);
        if out.is_empty() {
            return None;
        }
        let isr = self.isr().iter().copied().filter(|id| !out.contains(id)).collect();
        Some(self.propose(isr, false, liveness))
    }

    /// Partition.getOutOfSyncReplicas: none while a change is in flight.
    pub fn out_of_sync_replicas(&self, log: &Log, now: Instant) -> Vec<BrokerId> {
        if !self.is_leader() || self.pending.is_some() {
            return Vec::new();
        }
        let end = log.log_end();
        let in_sync =
            |id: &BrokerId| self.remotes.get(id).is_some_and(|remote| remote.is_caught_up(end, now, self.lag_time_max));
        self.isr().iter().copied().filter(|id| *id != self.me && !in_sync(id)).collect()
    }

    /// The controller accepted `proposal`. True if the ISR was taken over; the caller looks at the
    /// high watermark then. An answer to a proposal that is pending no longer says nothing new.
    pub fn alter_partition_succeeded(
        &mut self,
        proposal: &IsrProposal,
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        isr: Vec<BrokerId>,
    ) -> bool {
        let Some(pending) = self.pending.take_if(|pending| pending.proposal == *proposal) else { return false };
        let stale = leader_epoch != self.leader_epoch() || partition_epoch < self.partition_epoch();
        if stale {
            self.counters.failures += 1;
            self.pending = Some(pending);
            return false;
        }
        if pending.expands {
            self.counters.expands += 1;
        } else {
            self.counters.shrinks += 1;
        }
        // A pending change exists only at a leader, which has a state.
        if let Some(state) = &mut self.state {
            state.isr = isr;
            state.partition_epoch = partition_epoch;
            state.recovering = false;
        }
        true
    }

    /// The controller refused `proposal` (Partition.handleAlterPartitionError); what to send again.
    pub fn alter_partition_failed(&mut self, proposal: &IsrProposal, error: ErrorCode) -> Option<IsrProposal> {
        if self.pending() != Some(proposal) {
            return None;
        }
        self.counters.failures += 1;
        match error {
            ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica => {
                self.pending = None;
                None
            }
            // The metadata will say what happened.
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::InvalidRequest
            | ErrorCode::NewLeaderElected => None,
            _ => Some(proposal.clone()),
        }
    }

    fn in_maximal_isr(&self, id: BrokerId) -> bool {
        let newcomer = || self.pending.as_ref().is_some_and(|p| p.proposal.isr.iter().any(|(member, _)| *member == id));
        self.isr().contains(&id) || newcomer()
    }

    /// Partition.isReplicaIsrEligible: its last fetch came from the incarnation that the metadata knows (KIP-903).
    fn may_join(&self, id: BrokerId, liveness: &dyn Liveness) -> bool {
        let fetched_as = self.remotes.get(&id).and_then(|remote| remote.broker_epoch);
        let known = liveness.broker_epoch(id);
        let same = match (fetched_as, known) {
            (Some(fetched_as), Some(known)) => fetched_as == BrokerEpoch::UNKNOWN || fetched_as == known,
            _ => false,
        };
        same && liveness.eligible(id) || self.planted == Some(Planted::FencedReplicaInIsr)
    }

    fn propose(&mut self, isr: Vec<BrokerId>, expands: bool, liveness: &dyn Liveness) -> IsrProposal {
        let epoch_of = |id: BrokerId| {
            if id == self.me { liveness.broker_epoch(id) } else { self.remotes.get(&id)?.broker_epoch }
        };
        let isr = isr.into_iter().map(|id| (id, epoch_of(id).unwrap_or(BrokerEpoch::UNKNOWN))).collect();
        let proposal = IsrProposal { leader_epoch: self.leader_epoch(), partition_epoch: self.partition_epoch(), isr };
        self.pending = Some(PendingIsr { proposal: proposal.clone(), expands });
        proposal
    }
}
