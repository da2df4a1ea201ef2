//! What follows on a transition that was committed or failed (TransactionStateManager's
//! updateCacheCallback, TransactionCoordinator's sendTxnMarkersCallback).

use crate::kafka::coordinator::Write;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Transaction, TransactionMetadata, TransactionState,
};
use crate::kafka::transaction::partitions::respond_offsets;
use crate::kafka::transaction::work::{Ender, Then, Transition};
use crate::kafka::transaction::{PendingMarkers, TransactionCoordinator, end, init};
use crate::time::Duration;
use crate::wire::{ErrorCode, LeaderEpoch, TransactionalId};

/// How long a completion waits that could not be written.
const COMPLETION_BACKOFF: Duration = Duration::from_millis(50);

impl TransactionCoordinator {
    pub(super) fn finish(&mut self, turn: &mut Turn<'_>, write: Write<Transition>, result: Result<(), ErrorCode>) {
        match result {
            Ok(()) => self.succeed(turn, write),
            Err(error) => self.fail(turn, write, error),
        }
    }

    fn succeed(&mut self, turn: &mut Turn<'_>, write: Write<Transition>) {
        let Write { partition, what: Transition { id, next, then, .. }, .. } = write;
        let (Ok(epoch), Some(shard)) = (self.runtime.ready(partition), self.shards.get_mut(&partition)) else {
            return;
        };
        let Some(next) = next else {
            shard.transactions.remove(&id);
            return turn.tell(Fact::TransactionalIdExpired { transactional_id: id });
        };
        let Some(transaction) = shard.transactions.get_mut(&id) else { return };
        let before = transaction.complete(next.clone());
        match then {
            Then::Initialized { reply } => {
                init::respond(turn, reply, Ok((next.producer_id, next.producer_epoch)));
            }
            Then::PartitionsAdded { answer, place } => {
                tell_added(turn, &id, &before, &next);
                self.catch_up(turn.now);
                self.answers.decide(turn, answer, place, None);
            }
            Then::OffsetsAdded { reply } => {
                tell_added(turn, &id, &before, &next);
                self.catch_up(turn.now);
                respond_offsets(turn, reply, None);
            }
            Then::Ended { by } => {
                let markers = decided(turn, partition, epoch, transaction, by);
                tell_ended(turn, &id, &markers, by);
                self.markers.add(id, markers);
            }
            Then::Completed => {
                let commit = next.state == TransactionState::CompleteCommit;
                turn.tell(Fact::TransactionCompleted { transactional_id: id, commit });
            }
            Then::Expired => {}
        }
    }

    fn fail(&mut self, turn: &mut Turn<'_>, write: Write<Transition>, error: ErrorCode) {
        if write.what.then == Then::Completed && error == ErrorCode::CoordinatorNotAvailable {
            // The markers are written: the completion must follow, and nothing may come before it.
            self.retries.push((turn.now + COMPLETION_BACKOFF, write));
            return;
        }
        let shard = self.shards.get_mut(&write.partition);
        let transaction = shard.and_then(|shard| shard.transactions.get_mut(&write.what.id));
        if let Some(transaction) = transaction {
            transaction.pending = None;
            if let Then::Ended { by: Ender::NewSession { .. } | Ender::Timeout } = write.what.then {
                transaction.failed_epoch_fence = true;
            }
        }
        match write.what.then {
            Then::Initialized { reply } | Then::Ended { by: Ender::NewSession { reply } } => {
                init::respond(turn, reply, Err(error));
            }
            Then::PartitionsAdded { answer, place } => self.answers.decide(turn, answer, place, Some(error)),
            Then::OffsetsAdded { reply } => respond_offsets(turn, reply, Some(error)),
            Then::Ended { by: Ender::Client { reply, .. } } => end::respond(turn, reply, Err(error)),
            Then::Ended { by: Ender::Timeout } | Then::Completed | Then::Expired => {}
        }
    }

    /// All markers of these are written: their completion goes into the log.
    pub(super) fn complete_finished(&mut self, turn: &mut Turn<'_>) {
        while let Some((id, markers)) = self.markers.take_finished() {
            self.write(turn, markers.home, &id, Some(markers.complete), Then::Completed);
        }
    }
}

/// The outcome is in the log: who asked is answered at once, and the markers set out.
fn decided(
    turn: &mut Turn<'_>,
    home: i32,
    epoch: LeaderEpoch,
    transaction: &mut Transaction,
    by: Ender,
) -> PendingMarkers {
    let complete = transaction.prepare_complete(turn.now.millis());
    match by {
        Ender::Client { reply, version } if version.bumps_epoch() => {
            end::respond(turn, reply, Ok((complete.producer_id, complete.producer_epoch)));
        }
        Ender::Client { reply, .. } => end::respond(turn, reply, Ok((NO_PRODUCER_ID, NO_PRODUCER_EPOCH))),
        Ender::NewSession { reply } => init::respond(turn, reply, Err(ErrorCode::ConcurrentTransactions)),
        Ender::Timeout => {}
    }
    let commit = transaction.current.state == TransactionState::PrepareCommit;
    PendingMarkers::new(home, epoch, &transaction.current, commit, complete)
}

fn tell_ended(turn: &mut Turn<'_>, id: &TransactionalId, markers: &PendingMarkers, by: Ender) {
    let transactional_id = id.clone();
    match by {
        Ender::Client { .. } => {}
        Ender::NewSession { .. } => turn.tell(Fact::TransactionFenced { transactional_id: id.clone() }),
        Ender::Timeout => turn.tell(Fact::TransactionTimedOut { transactional_id: id.clone() }),
    }
    let partitions = markers.remaining.iter().cloned().collect();
    turn.tell(Fact::TransactionPrepared { transactional_id, commit: markers.commit, partitions });
}

fn tell_added(turn: &mut Turn<'_>, id: &TransactionalId, before: &TransactionMetadata, next: &TransactionMetadata) {
    let transactional_id = id.clone();
    let (producer_id, epoch) = (next.producer_id, next.producer_epoch);
    if before.state != TransactionState::Ongoing {
        turn.tell(Fact::TransactionBegun { transactional_id: id.clone(), producer_id, epoch });
    }
    let added = next.partitions.iter().filter(|partition| !before.partitions.contains(*partition));
    turn.tell(Fact::PartitionsAddedToTransaction { transactional_id, partitions: added.cloned().collect() });
}
