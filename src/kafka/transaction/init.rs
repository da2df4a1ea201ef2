//! INIT_PRODUCER_ID (TransactionCoordinator.handleInitProducerId, prepareInitProducerIdTransit): a new
//! session of a transactional id fences the one before it (KIP-98, KIP-360).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::Reply;
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Transaction, TransactionMetadata, is_epoch_exhausted,
};
use crate::kafka::transaction::work::{Context, Ender, ProducerIds, Then};
use crate::kafka::transaction::{TransactionCoordinator, TransactionState, server_version};
use crate::time::Duration;
use crate::wire::messages::{InitProducerIdRequest, InitProducerIdResponse};
use crate::wire::{ErrorCode, ProducerId, TransactionalId};

/// A producer that goes on after an error says who it believes to be.
type Expected = Option<(ProducerId, i16)>;

impl TransactionCoordinator {
    pub(super) fn init_producer_id(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        ids: ProducerIds<'_>,
        context: &Context,
        request: &InitProducerIdRequest,
    ) {
        let reply = context.reply();
        let decided = match &request.transactional_id {
            // An idempotent producer: an id of its own is all it wants.
            None => ids(turn).map(|id| respond(turn, reply, Ok((id, 0)))),
            Some(id) => self.init_transactional_id(turn, image, ids, reply, id, request),
        };
        if let Err(error) = decided {
            if error == ErrorCode::ProducerFenced
                && let Some(id) = &request.transactional_id
            {
                self.tell_fenced(turn, id, request.producer_epoch);
            }
            respond(turn, reply, Err(error));
        }
    }

    fn init_transactional_id(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        ids: ProducerIds<'_>,
        reply: Reply,
        id: &TransactionalId,
        request: &InitProducerIdRequest,
    ) -> Result<(), ErrorCode> {
        let expected = match (request.producer_id, request.producer_epoch) {
            (NO_PRODUCER_ID, NO_PRODUCER_EPOCH) => None,
            (NO_PRODUCER_ID, _) | (_, NO_PRODUCER_EPOCH) => return Err(ErrorCode::InvalidRequest),
            (id, epoch) => Some((id, epoch)),
        };
        if id.0.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let timeout_ms = self.session_timeout(request)?;
        let partition = self.home(image, id)?;
        let now = turn.now.millis();
        let version = server_version(image);
        let Some(shard) = self.shards.get_mut(&partition) else { return Err(ErrorCode::NotCoordinator) };
        if !shard.transactions.contains_key(id) {
            let metadata = TransactionMetadata::new(ids(turn)?, timeout_ms, now);
            shard.transactions.insert(id.clone(), Transaction::new(metadata));
        }
        let Some(transaction) = shard.transactions.get_mut(id) else { return Err(ErrorCode::NotCoordinator) };
        check_session(transaction, expected)?;
        let (next, then) = match transaction.current.state {
            // The open transaction is aborted first; the client comes again for its epoch.
            TransactionState::Ongoing => {
                let by = Ender::NewSession { reply };
                (transaction.prepare_fence(version, now), Then::Ended { by })
            }
            _ => (next_session(turn, transaction, ids, expected, timeout_ms)?, Then::Initialized { reply }),
        };
        self.write(turn, partition, id, Some(next), then);
        self.catch_up(turn.now);
        Ok(())
    }

    /// How long a transaction of the session may last.
    fn session_timeout(&self, request: &InitProducerIdRequest) -> Result<i32, ErrorCode> {
        if request.enable_2_pc && !self.settings.two_phase_commit {
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        if request.keep_prepared_txn {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if request.enable_2_pc {
            // KIP-939: another system decides, however long that takes.
            return Ok(i32::MAX);
        }
        let timeout = Duration::from_millis(request.transaction_timeout_ms.into());
        let valid = timeout > Duration::ZERO && timeout <= self.settings.max_timeout;
        if valid { Ok(request.transaction_timeout_ms) } else { Err(ErrorCode::InvalidTransactionTimeout) }
    }
}

fn check_session(transaction: &Transaction, expected: Expected) -> Result<(), ErrorCode> {
    if transaction.pending.is_some() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    let current = &transaction.current;
    let is_valid = |(id, epoch): (ProducerId, i16)| {
        current.producer_epoch == NO_PRODUCER_EPOCH
            || id == current.producer_id
            // A retry of the request that changed the producer id.
            || id == current.prev_producer_id && is_epoch_exhausted(epoch)
    };
    if !expected.is_none_or(is_valid) {
        return Err(ErrorCode::ProducerFenced);
    }
    if current.state.is_prepared() { Err(ErrorCode::ConcurrentTransactions) } else { Ok(()) }
}

/// The next epoch, or a new producer id when there is none left.
fn next_session(
    turn: &mut Turn<'_>,
    transaction: &mut Transaction,
    ids: ProducerIds<'_>,
    expected: Expected,
    timeout_ms: i32,
) -> Result<TransactionMetadata, ErrorCode> {
    let now = turn.now.millis();
    let current = &transaction.current;
    let is_current = expected.is_none_or(|(_, epoch)| epoch == current.producer_epoch);
    if current.is_epoch_exhausted() && is_current {
        return Ok(transaction.prepare_rotation(ids(turn)?, timeout_ms, expected.is_some(), now));
    }
    transaction.prepare_next_epoch(timeout_ms, expected.map(|(_, epoch)| epoch), now)
}

pub(super) fn respond(turn: &mut Turn<'_>, reply: Reply, result: Result<(ProducerId, i16), ErrorCode>) {
    let response = match result {
        Ok((id, epoch)) => InitProducerIdResponse::default().with_producer_id(id).with_producer_epoch(epoch),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(NO_PRODUCER_ID)
            .with_producer_epoch(NO_PRODUCER_EPOCH),
    };
    turn.respond(reply.to, reply.correlation, response);
}
