//! Why an acknowledged record could vanish: the answer to which setting would have kept it.

use crate::kafka::log::Log;
use crate::sim::look_up::holds;
use crate::sim::world::World;
use crate::wire::{BrokerId, LeaderEpoch, Offset, TopicPartition};

use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossCause {
    /// The leader alone had it when it was acknowledged (acks=1), and another leads now.
    NotReplicated,
    /// `unclean.leader.election.enable` let a replica lead that was not in sync, while another had it.
    UncleanElection,
    /// Somebody asked for an unclean election, while another replica had it.
    ElectedByHand,
    /// Every replica that had to have it lost its disk, or what it had not flushed.
    ReplicasLost,
}

/// What is known of a partition's elections and of what was committed: enough to tell the cause.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Elections {
    /// Who leads, or led last.
    leader: Option<BrokerId>,
    /// The newest election: its epoch, and whether it chose somebody else than that one uncleanly. The
    /// last known leader comes back by itself (KIP-966): nobody chose it.
    newest: Option<(LeaderEpoch, bool)>,
    /// The highest high watermark that a leader had.
    committed: Offset,
}

impl Elections {
    pub fn elected(&mut self, from: Option<BrokerId>, to: Option<BrokerId>, epoch: LeaderEpoch, unclean: bool) {
        let before = from.or(self.leader);
        self.leader = to.or(before);
        self.newest = Some((epoch, unclean && before != to));
    }

    pub fn committed(&mut self, below: Offset) {
        self.committed = self.committed.max(below);
    }

    /// A leader took over: what it does not have is committed no more.
    pub fn took_over(&mut self, log_end: Offset) {
        self.committed = self.committed.min(log_end);
    }

    pub fn has_committed(&self, offset: Offset) -> bool {
        offset < self.committed
    }

    /// Why what was committed is not in the log of the leader of this epoch.
    pub fn cause(
        &self,
        world: &World,
        partition: &TopicPartition,
        leader: (BrokerId, &Log),
        (first, last): (Offset, Offset),
        records: &Bytes,
    ) -> LossCause {
        let (leader, log) = leader;
        let epoch = log.epochs().last().map(|(epoch, _)| *epoch);
        let unclean = self.newest.is_some_and(|(newest, unclean)| unclean && Some(newest) == epoch);
        let mut others = world.brokers().filter(|(broker, _, _)| *broker != leader);
        let has_it = |log: &Log| holds(log, first, last, records);
        let is_elsewhere = others.any(|(_, _, broker)| broker.log(partition).is_some_and(has_it));
        match (unclean && is_elsewhere, log.config().unclean_leader_election) {
            (false, _) => LossCause::ReplicasLost,
            (true, true) => LossCause::UncleanElection,
            (true, false) => LossCause::ElectedByHand,
        }
    }
}
