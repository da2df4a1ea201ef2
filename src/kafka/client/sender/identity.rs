//! The idempotent producer's identity: asking for a producer id, bumping its epoch, and numbering what
//! is in flight anew (TransactionManager; KIP-360).

use crate::kafka::client::idempotence::{Identity, IdentityState};
use crate::kafka::client::network::backoff;
use crate::kafka::client::producer_batch::{ProducerBatch, Stamp, increment_sequence};
use crate::kafka::client::sender::{Ledger, Purpose, Sender};
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::time::Instant;
use crate::wire::messages::{InitProducerIdRequest, InitProducerIdResponse};
use crate::wire::{ErrorCode, error};

impl Sender {
    pub(super) fn ask_identity(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig) {
        let IdentityState::Wanted { at, failures } = self.identity else { return };
        if at > turn.now {
            return;
        }
        let Some(node) = self.metadata.any_node(&self.network, turn.now) else { return };
        let request =
            InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX);
        self.network.send(turn, node, request, config.request_timeout, Purpose::ProducerId);
        self.identity = IdentityState::Asked { failures };
    }

    pub(super) fn identity_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        response: &InitProducerIdResponse,
    ) {
        match error(response.error_code) {
            None => {
                self.identity =
                    IdentityState::Known(Identity { id: response.producer_id, epoch: response.producer_epoch });
                turn.tell(Fact::ProducerIdAssigned {
                    producer: ledger.id,
                    producer_id: response.producer_id,
                    epoch: response.producer_epoch,
                });
            }
            Some(_) => self.identity_failed(turn, config),
        }
    }

    /// Authorization does not exist here, so every error of INIT_PRODUCER_ID is worth another try.
    pub(super) fn identity_failed(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig) {
        if let IdentityState::Asked { failures } = self.identity {
            let wait = backoff(turn, config.retry_backoff, config.retry_backoff_max, failures);
            self.identity = IdentityState::Wanted { at: turn.now + wait, failures: failures.saturating_add(1) };
        }
    }

    /// TransactionManager.maybeResolveSequences: once nothing of a partition is in flight, either
    /// the sequence goes on without a gap, or the epoch must be bumped.
    pub(super) fn resolve_sequences(&mut self, turn: &mut Turn<'_>, ledger: &Ledger) {
        let mut unknown = false;
        for (topic, place) in self.accumulator.topics.iter_mut().enumerate() {
            for (partition, queue) in place.queues.iter_mut().enumerate() {
                let sequences = &mut queue.sequences;
                if sequences.unresolved.is_none() || !sequences.in_flight.is_empty() {
                    continue;
                }
                if sequences.is_next(sequences.next) {
                    sequences.unresolved = None;
                } else if self.transactions.is_some() {
                    // An epoch of a transaction is not bumped by the client: the transaction is aborted.
                    sequences.unresolved = None;
                    unknown = true;
                } else {
                    self.epoch_bump = true;
                    self.rewrite.push((topic as u32, partition as i32));
                }
            }
        }
        if unknown {
            self.transaction_failed(turn, ledger, ErrorCode::TransactionAbortable, false);
        }
    }

    /// TransactionManager.bumpIdempotentEpochAndResetIdIfNeeded (KIP-360).
    pub(super) fn bump_epoch(&mut self, turn: &mut Turn<'_>, ledger: &Ledger) {
        if !self.epoch_bump {
            return;
        }
        let Some(Identity { id, epoch }) = self.identity.known() else { return };
        self.epoch_bump = false;
        if epoch == i16::MAX {
            self.identity = IdentityState::Wanted { at: Instant(i64::MIN), failures: 0 };
            return self.epoch_bump = true;
        }
        let identity = Identity { id, epoch: epoch + 1 };
        self.identity = IdentityState::Known(identity);
        turn.tell(Fact::ProducerIdAssigned { producer: ledger.id, producer_id: id, epoch: identity.epoch });
        for (topic, partition) in std::mem::take(&mut self.rewrite) {
            self.start_sequences_again(topic, partition, identity);
        }
    }

    /// TxnPartitionMap.startSequencesAtBeginning: whatever is in flight is numbered from 0.
    pub(super) fn start_sequences_again(&mut self, topic: u32, partition: i32, identity: Identity) {
        let Sender { network, accumulator, .. } = self;
        let queue = accumulator.queue_mut(topic, partition);
        let order = std::mem::take(&mut queue.sequences.in_flight);
        queue.sequences.restart(identity);
        let mut open: Vec<&mut ProducerBatch> = network
            .purposes_mut()
            .filter_map(|purpose| match purpose {
                Purpose::Produce(batches) => Some(batches),
                _ => None,
            })
            .flatten()
            .filter(|b| b.topic == topic && b.partition == partition && !b.done)
            .chain(queue.batches.iter_mut())
            .filter(|b| b.stamp.is_some())
            .collect();
        let place = |batch: &ProducerBatch| {
            order.iter().position(|s| batch.stamp.is_some_and(|stamp| stamp.base_sequence == *s))
        };
        open.sort_by_key(|b| place(b));
        let sequences = &mut queue.sequences;
        for batch in open {
            let base_sequence = sequences.next;
            batch.restamp(Stamp { producer_id: identity.id, epoch: identity.epoch, base_sequence });
            sequences.in_flight.push(base_sequence);
            sequences.next = increment_sequence(base_sequence, batch.count() as i32);
        }
    }
}
