//! INIT_PRODUCER_ID of idempotent producers: a fresh id with epoch 0
//! (TransactionCoordinator.handleInitProducerId without a transactional id).

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::kafka::broker::Process;
use crate::kafka::node::Turn;
use crate::wire::{Correlation, ErrorCode, NodeId, ProducerId};

impl Process {
    pub(super) fn init_producer_id(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &InitProducerIdRequest,
    ) {
        let controller = self.controller();
        let id = match &request.transactional_id {
            None => self.producer_ids.generate(turn, controller, self.lifecycle.broker_epoch()),
            Some(id) if id.0.is_empty() => Err(ErrorCode::InvalidRequest),
            // There is no transaction coordinator here.
            Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
        };
        let response = match id {
            Ok(id) => InitProducerIdResponse::default().with_producer_id(id).with_producer_epoch(0),
            Err(error) => InitProducerIdResponse::default()
                .with_error_code(error.code())
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1),
        };
        turn.respond(from, correlation, response);
    }
}
