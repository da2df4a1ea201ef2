//! A log with a role: a broker's replica of one partition as leader or follower, its in-sync
//! replicas and its high watermark (Partition, Replica), and the follower's fetching and
//! truncation (AbstractFetcherThread).

use crate::kafka::config::BrokerConfig;
use crate::kafka::log::Log;
use crate::time::Instant;
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

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
    fn broker_epoch(&self, broker: BrokerId) -> Option<BrokerEpoch>;
}

/// A change of the ISR that the leader wants the controller to make.
#[derive(Clone, Debug, PartialEq)]
pub struct IsrProposal {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// With the broker epochs that the leader knows (KIP-903); -1 when unknown.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// A follower as its leader sees it (Replica, ReplicaState).
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteReplica {
    pub log_end: Offset,
    pub log_start: Offset,
    pub last_caught_up: Instant,
}

/// One replica. Its log is handed in with every call that reads or writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    // the owner of this room fills it in
}

/// What a leader's Partition wants done after it changed.
pub type After = ();

#[allow(unused_variables)]
impl Partition {
    pub fn new(me: BrokerId, config: &BrokerConfig) -> Partition {
        todo!()
    }

    pub fn state(&self) -> Option<&PartitionState> {
        todo!()
    }

    pub fn is_leader(&self) -> bool {
        todo!()
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        todo!()
    }

    /// Committed ISR with a pending expansion's newcomer and a pending shrink's leavers.
    pub fn maximal_isr(&self) -> Vec<BrokerId> {
        todo!()
    }

    pub fn remote(&self, broker: BrokerId) -> Option<&RemoteReplica> {
        todo!()
    }

    /// Partition.makeLeader; true when it was not the leader before.
    pub fn make_leader(&mut self, log: &mut Log, state: PartitionState, liveness: &dyn Liveness, now: Instant) -> bool {
        todo!()
    }

    /// Partition.makeFollower; true when the leader epoch rose (fetching restarts then).
    pub fn make_follower(&mut self, log: &mut Log, state: PartitionState) -> bool {
        todo!()
    }

    /// NOT_ENOUGH_REPLICAS for acks=all below the effective min ISR, NOT_LEADER_OR_FOLLOWER.
    pub fn check_produce(&self, log: &Log, acks: i16) -> Result<(), ErrorCode> {
        todo!()
    }

    /// Recomputes the high watermark after a local append or any other change; the old one if it moved.
    pub fn maybe_increment_high_watermark(
        &mut self,
        log: &mut Log,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> Option<Offset> {
        todo!()
    }

    /// checkEnoughReplicasReachOffset of a waiting acks=all produce: `None` = keep waiting.
    pub fn check_acks(&self, log: &Log, required: Offset) -> Option<Result<(), ErrorCode>> {
        todo!()
    }
}
