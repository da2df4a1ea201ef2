//! How often a follower may cut its log off before it is a prefix of its leader's: each round ends in
//! an epoch that both have, or in an older one (KIP-101, KIP-279).

use crate::sorted::SortedMap;
use crate::wire::{BrokerId, LeaderEpoch};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rounds {
    epoch: LeaderEpoch,
    left: u32,
}

/// The rounds that each follower has left.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Truncations(SortedMap<BrokerId, Rounds>);

impl Truncations {
    /// The broker follows in this epoch, with so many epochs in its log: one round for each, and one
    /// for a log that has none.
    pub fn follows(&mut self, broker: BrokerId, epoch: LeaderEpoch, epochs: u32) {
        self.0.insert(broker, Rounds { epoch, left: epochs + 1 });
    }

    /// It truncates; false when it did so too often.
    pub fn truncates(&mut self, broker: BrokerId, epoch: LeaderEpoch) -> bool {
        let Some(rounds) = self.0.get_mut(&broker).filter(|rounds| rounds.epoch == epoch) else { return true };
        let may = rounds.left > 0;
        rounds.left = rounds.left.saturating_sub(1);
        may
    }

    /// A fault changed some log: nothing was promised about that.
    pub fn interrupted(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_truncates_for_ever_is_found() {
        let (broker, epoch) = (BrokerId(2), LeaderEpoch(7));
        let mut truncations = Truncations::default();
        truncations.follows(broker, epoch, 2);
        assert!((0..3).all(|_| truncations.truncates(broker, epoch)));
        assert!(!truncations.truncates(broker, epoch));
        truncations.follows(broker, LeaderEpoch(8), 0);
        assert!(truncations.truncates(broker, LeaderEpoch(8)), "a new leader, a new count");
        truncations.interrupted();
        assert!(truncations.truncates(broker, LeaderEpoch(8)));
    }
}
