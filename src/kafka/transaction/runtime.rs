//! The transaction coordinator as the broker drives it: partitions that are read and let go,
//! transitions that are appended and committed (TransactionStateManager).

use crate::kafka::coordinator::{Append, Coordinator, Write, write_error};
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::TransactionMetadata;
use crate::kafka::transaction::work::{Then, Transition};
use crate::kafka::transaction::{TransactionCoordinator, records};
use crate::time::Duration;
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{ErrorCode, LeaderEpoch, Offset, TransactionalId};

impl Coordinator for TransactionCoordinator {
    fn leader_epoch(&self, partition: i32) -> Option<LeaderEpoch> {
        self.runtime.ready(partition).ok()
    }

    fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    ) {
        let mut known = Vec::new();
        for batch in log.filter(|batch| !batch.is_control()) {
            // A batch in our own log that cannot be read is passed over, as the loader passes over
            // records that it does not know.
            for record in batch.records().unwrap_or_default() {
                let id = record.key.as_ref().and_then(records::decode_key);
                let Some(id) = id else { continue };
                match record.value.as_ref().map(records::decode_value) {
                    None => known.push((id, None)),
                    Some(Some(value)) => known.push((id, Some(value))),
                    Some(None) => {}
                }
            }
        }
        self.load(turn, partition, epoch, known);
    }

    fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.markers.remove_home(partition);
        self.retries.retain(|(_, write)| write.partition != partition);
        self.shards.remove(&partition);
        for write in self.runtime.close(partition) {
            self.finish(turn, write, Err(ErrorCode::NotCoordinator));
        }
    }

    fn take_appends(&mut self) -> Vec<Append> {
        std::iter::from_fn(|| self.runtime.take().map(append)).collect()
    }

    fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        let Some(mut write) = self.runtime.appended(partition) else {
            return;
        };
        match result {
            Ok(offset) => {
                write.end = offset.next();
                self.runtime.defer(write);
            }
            Err(error) => self.finish(turn, write, Err(write_error(error))),
        }
    }

    fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        self.runtime.advance(partition, high_watermark);
        while let Some(write) = self.runtime.next_committed(partition) {
            self.finish(turn, write, Ok(()));
        }
    }
}

impl TransactionCoordinator {
    /// Queues a transition for the log.
    pub(super) fn write(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        id: &TransactionalId,
        next: Option<TransactionMetadata>,
        then: Then,
    ) {
        // A transition is waited for as long as a transaction may last (appendTransactionToLog).
        let timeout = next.as_ref().map(|next| Duration::from_millis(next.timeout_ms.into()));
        let deadline = turn.now + timeout.unwrap_or(self.settings.request_timeout);
        self.runtime.push(turn.now, partition, Transition { id: id.clone(), next, then, deadline });
    }
}

fn append(write: &Write<Transition>) -> Append {
    let Transition { id, next, .. } = &write.what;
    let (key, value) = (records::encode_key(id), next.as_ref().map(records::encode_value));
    let record = NewRecord { timestamp: write.at, key: Some(key), value, headers: Vec::new() };
    let batch = Batch::build(&BatchHeader::PLAIN, &[record]).bytes().clone();
    Append { partition: write.partition, batch, producer: None }
}
