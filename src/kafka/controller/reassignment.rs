//! Moving a partition to other replicas: what a reassignment adds and removes, when it is complete,
//! and how it is taken back (PartitionReassignmentReplicas, PartitionReassignmentRevert).

use crate::kafka::controller::image::PartitionRegistration;
use crate::wire::BrokerId;

/// A reassignment that begins: both the old and the new replicas hold the partition until the new
/// ones are in sync.
#[derive(Clone, Debug, PartialEq)]
pub struct Reassignment {
    /// The target, then those to be removed.
    pub replicas: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
}

/// What a partition goes back to when its reassignment is cancelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Revert {
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    /// None of the original replicas is in sync any more.
    pub unclean: bool,
}

impl Reassignment {
    pub fn new(current: &[BrokerId], target: &[BrokerId]) -> Reassignment {
        let removing = sorted_difference(current, target);
        let adding = sorted_difference(target, current);
        Reassignment { replicas: [target, &removing].concat(), adding, removing }
    }
}

impl Revert {
    /// `None` when every replica is one that the reassignment adds.
    pub fn new(partition: &PartitionRegistration) -> Option<Revert> {
        let replicas = without(&partition.replicas, &partition.adding);
        let isr = without(&partition.isr, &partition.adding);
        let first = *replicas.first()?;
        let unclean = isr.is_empty();
        Some(Revert { replicas, isr: if unclean { vec![first] } else { isr }, unclean })
    }
}

/// The replicas and the ISR of a partition whose reassignment can be completed with this ISR: all
/// the replicas that stay are in sync.
pub fn completed(
    replicas: &[BrokerId],
    adding: &[BrokerId],
    removing: &[BrokerId],
    isr: &[BrokerId],
) -> Option<(Vec<BrokerId>, Vec<BrokerId>)> {
    if adding.is_empty() && removing.is_empty() {
        return None;
    }
    let (replicas, isr) = (without(replicas, removing), without(isr, removing));
    let something_is_left = removing.is_empty() || !(replicas.is_empty() || isr.is_empty());
    let all_in_sync = replicas.iter().all(|replica| isr.contains(replica));
    (something_is_left && all_in_sync).then_some((replicas, isr))
}

pub(super) fn without(from: &[BrokerId], taken: &[BrokerId]) -> Vec<BrokerId> {
    from.iter().copied().filter(|broker| !taken.contains(broker)).collect()
}

fn sorted_difference(from: &[BrokerId], taken: &[BrokerId]) -> Vec<BrokerId> {
    let mut rest = without(from, taken);
    rest.sort_unstable();
    rest.dedup();
    rest
}
