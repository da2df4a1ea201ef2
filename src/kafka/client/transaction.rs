//! A transactional producer's state: which call of the application is allowed when, and what an error
//! leaves possible (TransactionManager; KIP-98, KIP-360, KIP-890 with transaction.version 2, where
//! partitions join a transaction by being produced to, and every transaction has an epoch of its own).

use crate::kafka::client::idempotence::Identity;
use crate::kafka::node::{TxnOffsets, TxnState};
use crate::time::{Duration, Instant};
use crate::wire::{ErrorCode, NodeId, TopicPartition, TransactionalId};

/// What the application waits for: one call at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    Init,
    Offsets(Box<TxnOffsets>),
    End { commit: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Transactions {
    pub id: TransactionalId,
    /// `transaction.timeout.ms`
    pub timeout: Duration,
    state: TxnState,
    /// Why, in the error states.
    pub last_error: Option<ErrorCode>,
    /// Something was sent in the transaction, so that the coordinator may know of it.
    pub started: bool,
    pub task: Option<Task>,
    /// A request for the task is on its way; nothing else is sent meanwhile.
    pub in_flight: bool,
    /// The task's next request is not sent before.
    pub retry_at: Instant,
    pub coordinator: Option<NodeId>,
    /// Of the group whose offsets were sent last: it is asked about another group's, too, until it refuses.
    pub group_coordinator: Option<NodeId>,
}

impl TxnState {
    /// TransactionManager.State.isTransitionValid, for what transaction.version 2 needs of it.
    pub fn may_become(self, next: TxnState) -> bool {
        use TxnState as S;
        match next {
            S::Uninitialized => self == S::Ready || self == S::AbortableError,
            S::Initializing => matches!(self, S::Uninitialized | S::Committing | S::Aborting),
            S::Ready => matches!(self, S::Initializing | S::Committing | S::Aborting),
            S::InTransaction => self == S::Ready,
            S::Committing => self == S::InTransaction,
            S::Aborting => matches!(self, S::InTransaction | S::AbortableError),
            S::AbortableError => {
                matches!(self, S::InTransaction | S::Committing | S::AbortableError | S::Initializing)
            }
            S::FatalError => true,
        }
    }
}

impl Transactions {
    pub fn new(id: &str, timeout: Duration) -> Transactions {
        Transactions {
            id: TransactionalId(crate::wire::str_bytes(id)),
            timeout,
            state: TxnState::Uninitialized,
            last_error: None,
            started: false,
            task: None,
            in_flight: false,
            retry_at: Instant(i64::MIN),
            coordinator: None,
            group_coordinator: None,
        }
    }

    pub fn state(&self) -> TxnState {
        self.state
    }

    /// Batches are sent without waiting for more, and then the transaction ends.
    pub fn is_completing(&self) -> bool {
        matches!(self.state, TxnState::Committing | TxnState::Aborting)
    }

    pub fn has_error(&self) -> bool {
        matches!(self.state, TxnState::AbortableError | TxnState::FatalError)
    }

    /// Whether `close()` has a transaction to abort.
    pub fn is_open(&self) -> bool {
        matches!(self.state, TxnState::InTransaction | TxnState::AbortableError)
    }

    /// `initTransactions`
    pub fn init(&mut self, identity: Option<Identity>) -> Result<(), String> {
        self.check(identity)?;
        self.transition(TxnState::Initializing)?;
        self.begin_task(Task::Init);
        Ok(())
    }

    /// `beginTransaction`, which no broker hears of.
    pub fn begin(&mut self, identity: Option<Identity>) -> Result<(), String> {
        self.check(identity)?;
        self.transition(TxnState::InTransaction)
    }

    /// `commitTransaction` and `abortTransaction`; an abortable error is no hindrance to the latter.
    pub fn end(&mut self, identity: Option<Identity>, commit: bool) -> Result<(), String> {
        if commit || self.state != TxnState::AbortableError {
            self.check(identity)?;
        }
        self.transition(if commit { TxnState::Committing } else { TxnState::Aborting })?;
        self.begin_task(Task::End { commit });
        Ok(())
    }

    /// `sendOffsetsToTransaction`; without offsets it does nothing, whatever the state.
    pub fn send_offsets(&mut self, identity: Option<Identity>, offsets: &TxnOffsets) -> Result<(), String> {
        if offsets.offsets.is_empty() {
            return Ok(());
        }
        self.check(identity)?;
        if self.state != TxnState::InTransaction {
            let state = self.state.name();
            return Err(format!("Cannot send offsets if a transaction is not in progress (currentState= {state})"));
        }
        self.started = true;
        self.begin_task(Task::Offsets(Box::new(offsets.clone())));
        Ok(())
    }

    /// TransactionManager.maybeAddPartition: why `send` is refused.
    pub fn check_send(&self, identity: Option<Identity>, partition: &TopicPartition) -> Result<(), String> {
        self.check(identity)?;
        match self.state {
            TxnState::InTransaction => Ok(()),
            state => Err(format!("Cannot add partition {partition} to transaction while in state  {}", state.name())),
        }
    }

    /// The transaction can only be aborted now: whether that is news. While it is aborted nothing
    /// can make it worse. The last error is the one that the application hears of.
    pub fn abortable_error(&mut self, error: ErrorCode) -> bool {
        let news = self.state != TxnState::AbortableError;
        if !self.state.may_become(TxnState::AbortableError) {
            return false;
        }
        self.state = TxnState::AbortableError;
        self.last_error = Some(error);
        news
    }

    /// Whether an error that `send` runs into can be one of the transaction. Where there is none, `send` throws
    /// this instead (maybeTransitionToErrorState, as the application's thread calls it).
    pub fn check_error(&self) -> Result<(), String> {
        if self.state == TxnState::Aborting { Ok(()) } else { self.check_transition(TxnState::AbortableError) }
    }

    pub fn fatal_error(&mut self, error: ErrorCode) -> bool {
        let news = self.state != TxnState::FatalError;
        self.state = TxnState::FatalError;
        self.last_error = Some(error);
        news
    }

    /// TransactionManager.completeTransaction, and the end of `initTransactions`.
    pub fn ready(&mut self) {
        self.state = TxnState::Ready;
        self.last_error = None;
        self.started = false;
        self.task = None;
    }

    fn begin_task(&mut self, task: Task) {
        self.task = Some(task);
        self.retry_at = Instant(i64::MIN);
    }

    /// TransactionManager.transitionTo, as an application's call runs into it.
    fn transition(&mut self, next: TxnState) -> Result<(), String> {
        self.check_transition(next)?;
        self.state = next;
        self.last_error = None;
        Ok(())
    }

    fn check_transition(&self, next: TxnState) -> Result<(), String> {
        if self.state.may_become(next) {
            return Ok(());
        }
        let (id, from, to) = (&self.id.0, self.state.name(), next.name());
        Err(format!("TransactionalId {id}: Invalid transition attempted from state {from} to state {to}"))
    }

    /// TransactionManager.maybeFailWithError.
    fn check(&self, identity: Option<Identity>) -> Result<(), String> {
        if !self.has_error() {
            return Ok(());
        }
        let (id, epoch) = identity.map_or((-1, -1), |identity| (identity.id.0, identity.epoch));
        let who = format!("Producer with transactionalId '{}' and (producerId={id}, epoch={epoch})", self.id.0);
        Err(match self.last_error {
            Some(ErrorCode::ProducerFenced) => {
                format!("{who} has been fenced by another producer with the same transactionalId")
            }
            Some(ErrorCode::InvalidProducerEpoch) => format!("{who} attempted to produce with an old epoch"),
            _ => "Cannot execute transactional method because we are in an error state".to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TxnState as S;

    #[test]
    fn a_fatal_error_is_never_left() {
        for next in S::ALL {
            assert_eq!(S::FatalError.may_become(next), next == S::FatalError, "{}", next.name());
        }
    }

    #[test]
    fn a_transaction_is_begun_once_and_ended_once() {
        let mut transactions = Transactions::new("t", Duration::from_secs(60));
        assert_eq!(
            transactions.begin(None),
            Err("TransactionalId t: Invalid transition attempted from state UNINITIALIZED to state IN_TRANSACTION"
                .into())
        );
        transactions.init(None).expect("nothing has happened yet");
        transactions.ready();
        assert!(transactions.end(None, true).is_err());
        transactions.begin(None).expect("it is ready");
        assert!(transactions.begin(None).is_err());
        transactions.end(None, false).expect("it is in a transaction");
        assert!(!transactions.abortable_error(ErrorCode::TransactionAbortable));
        transactions.ready();
        assert_eq!(transactions.state(), S::Ready);
    }

    #[test]
    fn what_can_only_be_aborted_says_so_to_every_call_but_abort() {
        let mut transactions = Transactions::new("t", Duration::from_secs(60));
        transactions.init(None).expect("nothing has happened yet");
        transactions.ready();
        transactions.begin(None).expect("it is ready");
        assert!(transactions.abortable_error(ErrorCode::TransactionAbortable));
        let why = Err("Cannot execute transactional method because we are in an error state".to_string());
        assert_eq!(transactions.check_send(None, &TopicPartition::named("orders", 0)), why);
        assert_eq!(transactions.end(None, true), why);
        transactions.end(None, false).expect("an abort leads out of it");
        transactions.fatal_error(ErrorCode::ProducerFenced);
        let fenced = transactions.begin(None).expect_err("it is fenced");
        assert!(fenced.contains("has been fenced by another producer"), "{fenced}");
    }
}
