//! What a leader counts as in sync: the ISR that the controller wrote and whom it proposed itself, and
//! nothing of a proposal that was refused (KIP-497).

use std::collections::VecDeque;

use crate::kafka::fact::brokers;
use crate::kafka::replica::Partition;
use crate::wire::{BrokerId, ErrorCode, Offset, PartitionEpoch};

/// How many of a partition's registrations are remembered: an answer may be older than the newest.
const REMEMBERED: usize = 16;

/// The ISRs that the controllers committed with their partition epochs, the newest last.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct CommittedIsrs(VecDeque<(PartitionEpoch, Vec<BrokerId>)>);

impl CommittedIsrs {
    pub fn wrote(&mut self, epoch: PartitionEpoch, isr: &[BrokerId]) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((epoch, isr.to_vec()));
    }

    /// Whether the leader holds for committed what was committed; several changes that the controllers
    /// commit at once are seen as one, so that what lies between is not known.
    pub fn holds(&self, epoch: PartitionEpoch, isr: &[BrokerId]) -> Result<(), String> {
        match self.0.iter().rev().find(|(wrote_in, _)| *wrote_in == epoch) {
            Some((_, wrote)) if !same(wrote, isr) => Err(format!(
                "has the ISR {} in partition epoch {epoch}, and {} is written",
                brokers(isr),
                brokers(wrote)
            )),
            _ => Ok(()),
        }
    }
}

/// The leader's maximal ISR must be its committed ISR and whom its open proposal names.
pub(super) fn counts(isr: &[BrokerId], maximal: &[BrokerId], proposed: &[BrokerId]) -> Result<(), String> {
    let union = [isr, proposed].concat();
    if union.iter().all(|member| maximal.contains(member)) && maximal.iter().all(|member| union.contains(member)) {
        return Ok(());
    }
    let (isr, maximal, proposed) = (brokers(isr), brokers(maximal), brokers(proposed));
    Err(format!("counts {maximal} with the ISR {isr} and the proposal {proposed}"))
}

/// A proposal that was refused for good is given up (Partition.handleAlterPartitionError); the next one
/// is told in the same turn.
pub(super) fn gives_up(error: ErrorCode, has_proposal: bool) -> Result<(), String> {
    let is_final = matches!(error, ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted);
    if is_final && has_proposal { Err(format!("keeps the proposal that was refused ({error:?})")) } else { Ok(()) }
}

/// What is refused before it is appended leaves the log as it was (Partition.appendRecordsToLeader).
pub(super) fn kept_out(error: ErrorCode, end_before: Option<Offset>, end: Offset) -> Result<(), String> {
    match end_before.filter(|before| *before != end) {
        Some(before) => Err(format!("refuses a produce ({error:?}), and its log ends at {end} instead of {before}")),
        None => Ok(()),
    }
}

/// Whom the leader's open proposal names.
pub(super) fn proposed(replica: &Partition) -> Vec<BrokerId> {
    replica.pending().into_iter().flat_map(|proposal| &proposal.isr).map(|(broker, _)| *broker).collect()
}

fn same(a: &[BrokerId], b: &[BrokerId]) -> bool {
    a.len() == b.len() && a.iter().all(|member| b.contains(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ids<const N: usize>(ids: [i32; N]) -> [BrokerId; N] {
        let mut all = [BrokerId(0); N];
        let mut at = 0;
        while at < N {
            all[at] = BrokerId(ids[at]);
            at += 1;
        }
        all
    }

    #[test]
    fn a_leader_that_counts_a_stranger_or_forgets_a_member_is_found() {
        assert_eq!(counts(&ids([1, 2]), &ids([1, 2, 3]), &ids([1, 2, 3])), Ok(()), "a pending expansion");
        assert_eq!(counts(&ids([1, 2]), &ids([1, 2]), &ids([1])), Ok(()), "a pending shrink");
        assert!(counts(&ids([1, 2]), &ids([1, 2, 3]), &[]).is_err(), "nobody proposed broker 3");
        assert!(counts(&ids([1, 2]), &ids([1]), &ids([1])).is_err(), "broker 2 is still in the ISR");
        assert!(counts(&ids([1]), &ids([1]), &ids([1, 2])).is_err(), "broker 2 may be in the ISR already");
    }

    #[test]
    fn a_committed_isr_that_nobody_wrote_is_found() {
        let mut isrs = CommittedIsrs::default();
        isrs.wrote(PartitionEpoch(4), &ids([1, 2]));
        assert_eq!(isrs.holds(PartitionEpoch(4), &ids([2, 1])), Ok(()));
        assert_eq!(isrs.holds(PartitionEpoch(5), &ids([1])), Ok(()), "not seen yet");
        assert!(isrs.holds(PartitionEpoch(4), &ids([1, 3])).is_err());
        assert!(isrs.holds(PartitionEpoch(4), &ids([1])).is_err());
    }

    #[test]
    fn a_refused_record_that_was_written_is_found() {
        let error = ErrorCode::NotEnoughReplicas;
        assert_eq!(kept_out(error, Some(Offset(5)), Offset(5)), Ok(()));
        assert!(kept_out(error, Some(Offset(5)), Offset(6)).is_err());
        assert_eq!(kept_out(error, None, Offset(6)), Ok(()), "nobody saw what stood there before");
    }

    #[test]
    fn a_refused_proposal_that_stays_is_found() {
        assert!(gives_up(ErrorCode::IneligibleReplica, true).is_err());
        assert_eq!(gives_up(ErrorCode::IneligibleReplica, false), Ok(()));
        assert_eq!(gives_up(ErrorCode::InvalidUpdateVersion, true), Ok(()), "the metadata will say what happened");
    }
}
