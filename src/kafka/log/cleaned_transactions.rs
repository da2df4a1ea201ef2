//! Which transactional data and markers compaction may drop (CleanedTransactionMetadata).

use std::collections::{BTreeMap, BTreeSet};

use crate::kafka::log::index::AbortedTxn;
use crate::wire::Offset;
use crate::wire::batch::{Batch, ControlType};

/// The transactions that a pass over the batches, in offset order, is in the middle of.
#[derive(Default)]
pub(super) struct CleanedTransactions {
    /// Aborted transactions whose first batch was not reached, by first offset.
    ahead: BTreeMap<(Offset, i64), AbortedTxn>,
    /// Aborted and begun, by producer; whether any data of it still stands.
    aborted: BTreeMap<i64, (AbortedTxn, bool)>,
    /// Producers with data of a transaction that ends well.
    committed: BTreeSet<i64>,
    /// The aborted transactions whose markers were kept: the cleaned segment's index.
    index: Vec<AbortedTxn>,
}

impl CleanedTransactions {
    pub fn add(&mut self, aborted: Vec<AbortedTxn>) {
        self.ahead.extend(aborted.into_iter().map(|txn| ((txn.first, txn.producer_id.0), txn)));
    }

    pub fn take_index(&mut self) -> Vec<AbortedTxn> {
        std::mem::take(&mut self.index)
    }

    /// True when the batch belongs to an aborted transaction.
    pub fn read_data(&mut self, batch: &Batch) -> bool {
        self.reach(batch.last_offset);
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id.0) {
            Some((_, has_data)) => {
                *has_data = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id.0);
                false
            }
        }
    }

    /// True when the marker may go: no data of its transaction stands any more.
    pub fn read_marker(&mut self, batch: &Batch) -> bool {
        self.reach(batch.last_offset);
        if batch.record_count == 0 {
            return true;
        }
        match batch.control_type() {
            Some(ControlType::Abort) => match self.aborted.remove(&batch.producer_id.0) {
                Some((txn, true)) => {
                    self.index.push(txn);
                    false
                }
                _ => true,
            },
            Some(ControlType::Commit) => !self.committed.remove(&batch.producer_id.0),
            _ => false,
        }
    }

    fn reach(&mut self, offset: Offset) {
        while let Some(entry) = self.ahead.first_entry().filter(|entry| entry.key().0 <= offset) {
            let txn = entry.remove();
            self.aborted.entry(txn.producer_id.0).or_insert((txn, false));
        }
    }
}
