//! What the coordinator does from time to time: transactions that are open for too long are aborted,
//! ids that nobody uses are forgotten (abortTimedOutTransactions, removeExpiredTransactionalIds), and
//! writes that got nowhere are given up or repeated.

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::Write;
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::{Transaction, TransactionState, TransactionVersion};
use crate::kafka::transaction::work::{Ender, Then, Transition};
use crate::kafka::transaction::{TransactionCoordinator, server_version};
use crate::time::{Duration, Instant};
use crate::wire::{ErrorCode, TransactionalId};

/// The shortest time there is.
const INSTANT: Duration = Duration::from_micros(1);

impl TransactionCoordinator {
    /// Writes that were not committed in time fail, and completions are tried again.
    pub(super) fn expire_writes(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        for write in self.runtime.give_up(|write| write.what.deadline <= now) {
            // REQUEST_TIMED_OUT, as whoever waits is told.
            self.finish(turn, write, Err(ErrorCode::CoordinatorNotAvailable));
        }
        let (due, later) = std::mem::take(&mut self.retries).into_iter().partition(|(at, _)| *at <= now);
        self.retries = later;
        let due: Vec<(Instant, Write<Transition>)> = due;
        for (_, Write { partition, what: Transition { id, next, then, .. }, .. }) in due {
            self.write(turn, partition, &id, next, then);
        }
    }

    pub(super) fn sweep(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        if self.due_sweep().is_some_and(|at| at <= turn.now) {
            self.abort_timed_out(turn, server_version(image));
        }
        if self.due_expiry().is_some_and(|at| at <= turn.now) {
            self.forget_unused(turn);
        }
        advance(&mut self.next_sweep, self.settings.sweep_interval, turn.now + INSTANT);
        advance(&mut self.next_expiry, self.settings.id_expiration_interval, turn.now + INSTANT);
    }

    /// Every `transaction.abort.timed.out.transaction.cleanup.interval.ms`: the transactions whose
    /// timeout is over. `version` is the cluster's transaction version.
    pub fn abort_timed_out(&mut self, turn: &mut Turn<'_>, version: TransactionVersion) {
        let now = turn.now.millis();
        let is_late = |transaction: &Transaction| {
            let current = &transaction.current;
            current.state == TransactionState::Ongoing
                && transaction.pending.is_none()
                && !current.is_two_phase()
                && current.start_ms + i64::from(current.timeout_ms) < now
        };
        for (partition, id) in self.ids_that(is_late) {
            let transaction = self.shards.get_mut(&partition).and_then(|shard| shard.transactions.get_mut(&id));
            if let Some(transaction) = transaction {
                let next = transaction.prepare_fence(version, now);
                self.write(turn, partition, &id, Some(next), Then::Ended { by: Ender::Timeout });
            }
        }
    }

    /// `transactional.id.expiration.ms` after the last transition.
    fn forget_unused(&mut self, turn: &mut Turn<'_>) {
        let limit = turn.now.millis() - self.settings.id_expiration.millis();
        let is_unused = |transaction: &Transaction| {
            let current = &transaction.current;
            current.state.is_idle() && transaction.pending.is_none() && current.last_update_ms <= limit
        };
        for (partition, id) in self.ids_that(is_unused) {
            let transaction = self.shards.get_mut(&partition).and_then(|shard| shard.transactions.get_mut(&id));
            if let Some(transaction) = transaction {
                transaction.prepare_dead();
                self.write(turn, partition, &id, None, Then::Expired);
            }
        }
    }

    fn ids_that(&self, concerns: impl Fn(&Transaction) -> bool) -> Vec<(i32, TransactionalId)> {
        let all = self.shards.iter().flat_map(|(partition, shard)| {
            shard.transactions.iter().map(move |(id, transaction)| (*partition, id, transaction))
        });
        all.filter(|(_, _, transaction)| concerns(transaction))
            .map(|(partition, id, _)| (partition, id.clone()))
            .collect()
    }

    /// Nobody is to be woken for transactions while there are none.
    pub(super) fn due_sweep(&self) -> Option<Instant> {
        let mut all = self.transactions();
        all.any(|(_, transaction)| transaction.current.state == TransactionState::Ongoing).then_some(self.next_sweep)
    }

    pub(super) fn due_expiry(&self) -> Option<Instant> {
        self.transactions().next().is_some().then_some(self.next_expiry)
    }

    /// The rhythm is that of the process, also over times in which nobody kept it. What is due now
    /// stays due: its alarm is about to ring.
    pub(super) fn catch_up(&mut self, now: Instant) {
        advance(&mut self.next_sweep, self.settings.sweep_interval, now);
        advance(&mut self.next_expiry, self.settings.id_expiration_interval, now);
    }
}

/// The first beat that is not before `now`.
fn advance(next: &mut Instant, interval: Duration, now: Instant) {
    if *next < now {
        let interval = interval.micros().max(1);
        let beats = (now.since(*next).micros() + interval - 1) / interval;
        *next += Duration(beats * interval);
    }
}
