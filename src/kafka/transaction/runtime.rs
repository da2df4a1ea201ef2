//! The transaction coordinator as the broker drives it: partitions that are read and let go,
//! transitions that are appended and committed (TransactionStateManager).

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::record::new_record;
use crate::kafka::coordinator::{Append, Log, Logged, Runtime, StateMachine, Write};
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::TransactionMetadata;
use crate::kafka::transaction::work::{Then, Transition};
use crate::kafka::transaction::{TransactionCoordinator, records};
use crate::time::Duration;
use crate::wire::{ErrorCode, LeaderEpoch, Offset, TransactionalId};

impl StateMachine for TransactionCoordinator {
    type Record = (TransactionalId, Option<TransactionMetadata>);
    type Decision = Transition;

    fn runtime(&self) -> &Runtime<Transition> {
        &self.runtime
    }

    fn runtime_mut(&mut self) -> &mut Runtime<Transition> {
        &mut self.runtime
    }

    fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<Self::Record> {
        records::decode(key, value)
    }

    fn batch(write: &Write<Transition>) -> Append {
        let Transition { id, next, .. } = &write.what;
        Append::plain(write.partition, &[new_record(write.at, records::encode(id, next.as_ref()))])
    }

    fn read(
        &mut self,
        turn: &mut Turn<'_>,
        _: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        log: Log<Self::Record>,
    ) {
        let records = log.into_iter().filter_map(|(_, logged)| match logged {
            Logged::Record(record, _) => Some(record),
            Logged::Marker { .. } => None,
        });
        self.load(turn, partition, epoch, records);
    }

    fn unload(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.markers.remove_home(partition);
        self.retries.retain(|(_, write)| write.partition != partition);
        self.shards.remove(&partition);
        for write in self.runtime.close(partition) {
            self.finish(turn, write, Err(ErrorCode::NotCoordinator));
        }
    }

    fn written(&mut self, _: &mut Turn<'_>, write: Write<Transition>, base: Offset) {
        self.runtime.defer(Write { end: base.next(), ..write });
    }

    fn failed(&mut self, turn: &mut Turn<'_>, write: Write<Transition>, error: ErrorCode) {
        self.finish(turn, write, Err(error));
    }

    fn happened(&mut self, turn: &mut Turn<'_>, write: Write<Transition>) {
        self.finish(turn, write, Ok(()));
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
