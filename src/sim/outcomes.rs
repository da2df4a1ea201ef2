//! What the end of a transaction means to the fate of its records: of what was aborted nobody was
//! promised anything, and who reads committed records only does not miss it.

use bytes::Bytes;

use crate::kafka::log::Log;
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::{Offset, ProducerId};

/// How the transactions of one partition ended. Every transaction has epochs of its own (KIP-890).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outcomes {
    /// The epoch of each producer's last marker: under it and later ones stand younger transactions.
    ended: SortedMap<ProducerId, i16>,
    /// Whose transactions were aborted, and the epochs of their records: from the one to below the other.
    aborted: Vec<(ProducerId, i16, i16)>,
}

impl Outcomes {
    /// A marker was written; true when it is news of an abort. A new leader may write one once more.
    pub fn marker(&mut self, producer: ProducerId, epoch: i16, commit: bool) -> bool {
        let from = self.ended.insert(producer, epoch).unwrap_or(0);
        let aborts = !commit && from < epoch;
        if aborts {
            self.aborted.push((producer, from, epoch));
        }
        aborts
    }

    /// Whether a batch, as its producer sent it, belongs to a transaction that was aborted.
    pub fn is_aborted(&self, records: &Bytes) -> bool {
        if self.aborted.is_empty() {
            return false;
        }
        let batches = Batch::parse_all(records.clone(), false).unwrap_or_default();
        batches.first().filter(|batch| batch.is_transactional()).is_some_and(|batch| {
            let (id, epoch) = (batch.producer_id, batch.producer_epoch);
            self.aborted.iter().any(|(producer, from, below)| *producer == id && (*from..*below).contains(&epoch))
        })
    }
}

/// The batches of data in `from..to`, for whoever sees only what was `committed` without those of aborted
/// transactions.
pub fn readable(log: &Log, from: Offset, to: Offset, committed: bool) -> impl Iterator<Item = Batch> {
    let aborted = if committed { log.aborted_transactions(from, to) } else { Vec::new() };
    let is_aborted =
        move |batch: &Batch| batch.is_transactional() && aborted.iter().any(|transaction| transaction.holds(batch));
    let batches = log.batches(from).take_while(move |batch| batch.base_offset < to);
    batches.filter(move |batch| !batch.is_control() && !is_aborted(batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::{BatchHeader, NewRecord};

    fn records(producer: i64, producer_epoch: i16) -> Bytes {
        let header = BatchHeader {
            producer_id: ProducerId(producer),
            producer_epoch,
            base_sequence: 0,
            transactional: true,
            control: false,
        };
        let record = NewRecord { timestamp: 0, key: None, value: Some(Bytes::from_static(b"v")), headers: Vec::new() };
        Batch::build(&header, &[record]).bytes().clone()
    }

    #[test]
    fn an_abort_concerns_the_epochs_since_the_marker_before_it() {
        let mut outcomes = Outcomes::default();
        assert!(!outcomes.marker(ProducerId(1), 1, true));
        // Fenced on the way: the epoch rose twice.
        assert!(outcomes.marker(ProducerId(1), 3, false));
        assert!(!outcomes.marker(ProducerId(1), 3, false), "the same marker again");
        let aborted = [0, 1, 2, 3].map(|epoch| outcomes.is_aborted(&records(1, epoch)));
        assert_eq!(aborted, [false, true, true, false]);
        assert!(!outcomes.is_aborted(&records(2, 1)));
    }
}
