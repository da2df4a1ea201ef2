//! Transactions as the committed logs have them: how each ended, and what a reader of committed records
//! may see (KIP-98, KIP-890).

use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::{Offset, TopicPartition};

/// A producer's epoch: with transaction.version=2 each transaction has one of its own (KIP-890).
pub(super) type Transaction = (i64, i16);

/// How every transaction ended, by the first marker of it that was committed anywhere.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Outcomes(SortedMap<Transaction, (bool, TopicPartition)>);

impl Outcomes {
    pub fn ended(&mut self, transaction: Transaction, commit: bool, at: &TopicPartition) -> Result<(), String> {
        let (first, place) = self.0.entry(transaction).or_insert_with(|| (commit, at.clone()));
        if *first == commit {
            return Ok(());
        }
        let word = |commit: bool| if commit { "committed" } else { "aborted" };
        let (producer, epoch) = transaction;
        Err(format!("producer {producer}, epoch {epoch}: {} here and {} in {place}", word(commit), word(*first)))
    }
}

/// The transactions of one partition's committed log.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Decisions {
    /// Where the open transaction of each producer begins.
    open: SortedMap<i64, Offset>,
    /// By producer: first offset and marker of each transaction that was aborted.
    aborted: SortedMap<i64, Vec<(Offset, Offset)>>,
    /// Markers that were committed since somebody took them.
    fresh: Vec<(Transaction, bool)>,
}

impl Decisions {
    pub fn committed(&mut self, batch: &Batch) {
        if !batch.is_transactional() {
            return;
        }
        let producer = batch.producer_id.0;
        let Some(marker) = batch.end_txn_marker() else {
            self.open.entry(producer).or_insert(batch.base_offset);
            return;
        };
        self.fresh.push(((producer, batch.producer_epoch), marker.commit));
        if let Some(first) = self.open.remove(&producer).filter(|_| !marker.commit) {
            self.aborted.entry(producer).or_default().push((first, batch.base_offset));
        }
    }

    pub fn take_fresh(&mut self) -> Vec<(Transaction, bool)> {
        std::mem::take(&mut self.fresh)
    }

    /// The past is given up.
    pub fn forget(&mut self) {
        *self = Decisions::default();
    }

    /// Of whole batches, how many records from `first` to `last` a reader may be handed; with
    /// `committed_only`, it must not see what was aborted, nor what is not decided. `inherited` knows how
    /// a transaction ends whose marker is not committed yet, where that counts all the same.
    pub fn readable(
        &self,
        batches: &[Batch],
        (first, last): (Offset, Offset),
        committed_only: bool,
        inherited: impl Fn(i64, Offset) -> Option<bool>,
    ) -> Result<u32, String> {
        let mut count = 0;
        for batch in batches.iter().filter(|batch| batch.base_offset <= last && !batch.is_control()) {
            if committed_only && batch.is_transactional() {
                let (producer, base) = (batch.producer_id.0, batch.base_offset);
                if self.open.get(&producer).is_some_and(|open| *open <= base) {
                    match inherited(producer, base) {
                        Some(true) => {}
                        Some(false) => continue,
                        None => return Err(format!("the transaction of producer {producer} at {base} is not decided")),
                    }
                }
                let mut aborted = self.aborted.get(&producer).into_iter().flatten();
                if aborted.any(|(from, marker)| *from <= base && base < *marker) {
                    continue;
                }
            }
            let inside = |offset: i64| (first.0..=last.0).contains(&offset);
            count += match inside(batch.base_offset.0) && batch.last_offset <= last {
                true => batch.record_count.max(0) as u32,
                false => {
                    batch.records().unwrap_or_default().iter().filter(|record| inside(record.offset)).count() as u32
                }
            };
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::{BatchHeader, EndTxnMarker, NewRecord};
    use crate::wire::{LeaderEpoch, ProducerId};

    fn record() -> NewRecord {
        NewRecord { timestamp: 0, key: None, value: None, headers: Vec::new() }
    }

    fn data(offset: i64, epoch: i16) -> Batch {
        let header = BatchHeader {
            producer_id: ProducerId(7),
            producer_epoch: epoch,
            base_sequence: 0,
            transactional: true,
            ..BatchHeader::PLAIN
        };
        Batch::build(&header, &[record(), record()]).stamped(Offset(offset), LeaderEpoch(0))
    }

    fn marker(offset: i64, epoch: i16, commit: bool) -> Batch {
        let batch = EndTxnMarker { commit, coordinator_epoch: 0 }.batch(ProducerId(7), epoch, 0);
        batch.stamped(Offset(offset), LeaderEpoch(0))
    }

    #[test]
    fn a_transaction_that_ends_in_two_ways_is_found() {
        let mut outcomes = Outcomes::default();
        let (a, b) = (TopicPartition::named("a", 0), TopicPartition::named("b", 0));
        assert_eq!(outcomes.ended((7, 1), true, &a), Ok(()));
        assert_eq!(outcomes.ended((7, 1), true, &b), Ok(()));
        assert_eq!(outcomes.ended((7, 2), false, &b), Ok(()));
        assert!(outcomes.ended((7, 1), false, &b).is_err());
    }

    #[test]
    fn what_was_aborted_or_is_open_is_not_for_readers_of_committed_records() {
        let mut decisions = Decisions::default();
        let log = [data(0, 0), marker(2, 1, false), data(3, 1), marker(5, 2, true), data(6, 2)];
        log.iter().for_each(|batch| decisions.committed(batch));
        assert_eq!(decisions.take_fresh(), [((7, 1), false), ((7, 2), true)]);
        let nobody = |_, _| None;
        let all = (Offset(0), Offset(7));
        let read = |to: usize, committed_only| decisions.readable(&log[..to], all, committed_only, nobody);
        assert_eq!(read(4, true), Ok(2), "only the one that was committed");
        assert_eq!(read(4, false), Ok(4));
        assert!(read(5, true).is_err(), "the last one is open");
        let ended = |commit: bool| decisions.readable(&log, all, true, |_, _| Some(commit));
        assert_eq!((ended(true), ended(false)), (Ok(4), Ok(2)), "a marker that is not committed yet may count");
        assert_eq!(decisions.readable(&log[..4], (Offset(4), Offset(4)), true, nobody), Ok(1), "a part of a batch");
    }
}
