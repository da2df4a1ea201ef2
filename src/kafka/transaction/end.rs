//! END_TXN (TransactionCoordinator.endTransaction, endTransactionWithTV1): the producer decides.

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::Reply;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::transaction::TransactionCoordinator;
use crate::kafka::transaction::metadata::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Transaction, TransactionState};
use crate::kafka::transaction::work::{Context, Ender, ProducerIds, Then};
use crate::wire::messages::{EndTxnRequest, EndTxnResponse};
use crate::wire::{ErrorCode, ProducerId, TransactionalId};

/// What an END_TXN comes to.
enum Verdict {
    /// The transaction is to be ended.
    End,
    /// It has ended already, this way: the request was sent before.
    Done,
}

impl TransactionCoordinator {
    pub(super) fn end_txn(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        ids: ProducerIds<'_>,
        context: &Context,
        request: &EndTxnRequest,
    ) {
        let (id, reply) = (&request.transactional_id, context.reply());
        match self.decide_end(turn, image, ids, context, request) {
            Ok(None) => {}
            Ok(Some(ids)) => respond(turn, reply, Ok(ids)),
            Err(error) => {
                if error == ErrorCode::ProducerFenced {
                    self.tell_fenced(turn, id, request.producer_epoch);
                }
                respond(turn, reply, Err(error));
            }
        }
    }

    /// The producer id and epoch to go on with, or `None` when the answer waits for the log.
    fn decide_end(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        ids: ProducerIds<'_>,
        context: &Context,
        request: &EndTxnRequest,
    ) -> Result<Option<(ProducerId, i16)>, ErrorCode> {
        let id = &request.transactional_id;
        if id.0.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let (home, transaction) = self.known(image, id)?;
        let version = context.version;
        let verdict = if version.bumps_epoch() { judge(transaction, request) } else { judge_v1(transaction, request) }?;
        let current = &transaction.current;
        if let Verdict::Done = verdict {
            let none = (NO_PRODUCER_ID, NO_PRODUCER_EPOCH);
            return Ok(Some(if version.bumps_epoch() { (current.producer_id, current.producer_epoch) } else { none }));
        }
        let exhausted = version.bumps_epoch() && current.is_epoch_exhausted();
        let next_producer_id = if exhausted { ids(turn)? } else { NO_PRODUCER_ID };
        let next = transaction.prepare_end(request.committed, version, next_producer_id, turn.now.millis());
        let by = Ender::Client { reply: context.reply(), version };
        self.write(turn, home, id, Some(next), Then::Ended { by });
        Ok(None)
    }

    /// An old session of the id was heard of.
    pub(super) fn tell_fenced(&self, turn: &mut Turn<'_>, id: &TransactionalId, epoch: i16) {
        if let Some(transaction) = self.transaction(id) {
            let current = transaction.current.producer_epoch;
            turn.tell(Fact::ProducerFenced { transactional_id: id.clone(), epoch, current });
        }
    }
}

/// Version 1: the epoch stays from one transaction to the next.
fn judge_v1(transaction: &Transaction, request: &EndTxnRequest) -> Result<Verdict, ErrorCode> {
    let current = &transaction.current;
    if current.producer_id != request.producer_id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if current.producer_epoch != request.producer_epoch {
        return Err(ErrorCode::ProducerFenced);
    }
    if transaction.pending.is_some() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    match (current.state, request.committed) {
        (TransactionState::Ongoing, _) => Ok(Verdict::End),
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => Ok(Verdict::Done),
        (state, commit) => Err(too_late(state, commit)),
    }
}

/// Version 2 (KIP-890): every transaction has an epoch of its own, so a request of the epoch before
/// this one is a retry, and one of this epoch means the next transaction. That one may be aborted
/// before it has any partition, because the producer cannot know whether one was added.
fn judge(transaction: &Transaction, request: &EndTxnRequest) -> Result<Verdict, ErrorCode> {
    let current = &transaction.current;
    let epoch = request.producer_epoch;
    let after_overflow =
        current.prev_producer_id == request.producer_id && epoch == i16::MAX - 1 && current.producer_epoch == 0;
    let is_retry = i32::from(current.producer_epoch) == i32::from(epoch) + 1 || after_overflow;
    let is_current = epoch == current.producer_epoch;
    // A producer that has its next id already may be ahead of the write that brings it.
    if transaction.pending.is_some() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    if current.producer_id != request.producer_id && !after_overflow {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    let is_valid = match current.state {
        TransactionState::Ongoing | TransactionState::Empty | TransactionState::Dead => is_current,
        TransactionState::PrepareCommit | TransactionState::PrepareAbort => is_retry && !after_overflow,
        TransactionState::CompleteCommit | TransactionState::CompleteAbort => is_retry || is_current,
    };
    if !is_valid {
        return Err(ErrorCode::ProducerFenced);
    }
    match (current.state, request.committed) {
        (TransactionState::Ongoing, _) => Ok(Verdict::End),
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) if is_retry => {
            Ok(Verdict::Done)
        }
        (state, false) if state.is_idle() && !is_retry => Ok(Verdict::End),
        (state, commit) => Err(too_late(state, commit)),
    }
}

/// The transaction is ending already, or there is none to end.
fn too_late(state: TransactionState, commit: bool) -> ErrorCode {
    if state == TransactionState::prepare(commit) {
        ErrorCode::ConcurrentTransactions
    } else {
        ErrorCode::InvalidTxnState
    }
}

pub(super) fn respond(turn: &mut Turn<'_>, reply: Reply, result: Result<(ProducerId, i16), ErrorCode>) {
    let response = match result {
        Ok((id, epoch)) => EndTxnResponse::default().with_producer_id(id).with_producer_epoch(epoch),
        Err(error) => EndTxnResponse::default()
            .with_error_code(error.code())
            .with_producer_id(NO_PRODUCER_ID)
            .with_producer_epoch(NO_PRODUCER_EPOCH),
    };
    turn.respond(reply.to, reply.correlation, response);
}
