//! What read_committed leaves out (SharePartition.fetchAbortedTransactionRecordBatches).

use crate::kafka::share::FetchedBatch;
use crate::sorted::SortedSet;
use crate::wire::batch::{Batch, ControlType};
use crate::wire::{Offset, ProducerId};

/// The batches that were fetched, and which of them belong to aborted transactions. `aborted` names the
/// producer of each and its first offset, as a fetch answers it.
pub fn mark_aborted(batches: &[Batch], aborted: &[(ProducerId, Offset)]) -> Vec<FetchedBatch> {
    let mut open: Vec<(Offset, ProducerId)> = aborted.iter().map(|(producer, first)| (*first, *producer)).collect();
    open.sort_unstable();
    let mut open = open.into_iter().peekable();
    let mut producers: SortedSet<ProducerId> = SortedSet::new();
    let fetched = |batch: &Batch| {
        let mut is_aborted = false;
        if batch.has_producer() {
            while let Some((_, producer)) = open.next_if(|(first, _)| *first < batch.next_offset()) {
                producers.insert(producer);
            }
            if batch.control_type() == Some(ControlType::Abort) {
                producers.remove(&batch.producer_id);
            } else {
                is_aborted = batch.is_transactional() && producers.contains(&batch.producer_id);
            }
        }
        FetchedBatch { first: batch.base_offset, last: batch.next_offset() + -1, aborted: is_aborted }
    };
    batches.iter().map(fetched).collect()
}
