//! What becomes of a batch: every answer, lost connection or timeout is a success, a retry, a split or a
//! failure (Sender.completeBatch, TransactionManager.canRetry).

use crate::kafka::client::errors;
use crate::kafka::client::idempotence::Sequences;
use crate::kafka::client::network::backoff;
use crate::kafka::client::producer_batch::ProducerBatch;
use crate::kafka::client::sender::{Ledger, Purpose, Sender};
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::time::Instant;
use crate::wire::messages::ProduceResponse;
use crate::wire::messages::produce_response::PartitionProduceResponse;
use crate::wire::{ErrorCode, Offset, TopicPartition, error};

impl Sender {
    pub(super) fn produce_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        mut batches: Vec<ProducerBatch>,
        response: &ProduceResponse,
    ) {
        let mut hints: Vec<(TopicPartition, &PartitionProduceResponse)> = Vec::new();
        for topic in &response.responses {
            for answer in &topic.partition_responses {
                let place = batches.iter().position(|b| {
                    let sent = &self.accumulator.topics[b.topic as usize];
                    b.partition == answer.index
                        && (if topic.topic_id.is_nil() { sent.name == topic.name } else { sent.id == topic.topic_id })
                });
                let Some(place) = place else { continue };
                let batch = batches.remove(place);
                if answer.current_leader.leader_id.0 >= 0 {
                    hints.push((self.accumulator.partition_of(&batch), answer));
                }
                self.batch_answered(turn, config, ledger, batch, answer);
            }
        }
        // A topic that was created anew meanwhile has another id: what was asked for the old one is not answered by it.
        for batch in batches {
            self.connection_lost(turn, config, ledger, batch);
        }
        for (partition, answer) in hints {
            self.metadata.hint(&partition, answer.current_leader.leader_id, answer.current_leader.leader_epoch);
        }
    }

    /// Sender.completeBatch.
    pub(super) fn batch_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        batch: ProducerBatch,
        answer: &PartitionProduceResponse,
    ) {
        self.unmute(config, &batch);
        if batch.done {
            return self.accumulator.release(&batch);
        }
        let Some(error) = error(answer.error_code) else {
            return self.succeed(turn, ledger, batch, Offset(answer.base_offset));
        };
        if errors::is_stale_metadata(error) {
            self.metadata.request_update();
        }
        if error == ErrorCode::MessageTooLarge && batch.count() > 1 {
            self.split(turn, ledger, &batch);
        } else if self.may_retry(turn.now, config, &batch, error, answer.log_start_offset) {
            self.retry(turn, config, ledger, batch, Some(error));
        } else if error == ErrorCode::DuplicateSequenceNumber {
            self.succeed(turn, ledger, batch, Offset::UNKNOWN);
        } else {
            let adjust = i64::from(batch.attempts) < i64::from(config.retries);
            self.fail(turn, ledger, &batch, error, adjust);
            self.accumulator.release(&batch);
        }
    }

    /// Sender.canRetry and TransactionManager.canRetry.
    pub(super) fn may_retry(
        &mut self,
        now: Instant,
        config: &ProducerConfig,
        batch: &ProducerBatch,
        error: ErrorCode,
        log_start: i64,
    ) -> bool {
        if batch.created + config.delivery_timeout <= now || i64::from(batch.attempts) >= i64::from(config.retries) {
            return false;
        }
        let Some(stamp) = batch.stamp else { return errors::is_retriable(error) };
        let sequences = &self.accumulator.queue(batch.topic, batch.partition).sequences;
        let identity = self.identity.known().filter(|_| self.transactions.is_some());
        match error {
            ErrorCode::UnknownProducerId if log_start == -1 || batch.sequence_reset => true,
            ErrorCode::OutOfOrderSequenceNumber
                if sequences.unresolved.is_none()
                    && (batch.sequence_reset || !sequences.is_next(stamp.base_sequence)) =>
            {
                true
            }
            // Retention took what the broker knew of the producer: the transaction goes on from sequence 0.
            ErrorCode::UnknownProducerId if identity.is_some() && sequences.last_acked_offset < log_start => {
                if let Some(identity) = identity {
                    self.start_sequences_again(batch.topic, batch.partition, identity);
                }
                true
            }
            ErrorCode::UnknownProducerId | ErrorCode::OutOfOrderSequenceNumber if identity.is_some() => false,
            // A gap behind what may not have been written is none before that is known.
            ErrorCode::OutOfOrderSequenceNumber
                if sequences.unresolved.is_some_and(|next| next != stamp.base_sequence) =>
            {
                true
            }
            ErrorCode::UnknownProducerId | ErrorCode::OutOfOrderSequenceNumber => {
                self.request_epoch_bump(batch);
                true
            }
            _ => errors::is_retriable(error),
        }
    }

    pub(super) fn request_epoch_bump(&mut self, batch: &ProducerBatch) {
        self.epoch_bump = true;
        let place = (batch.topic, batch.partition);
        if !self.rewrite.contains(&place) {
            self.rewrite.push(place);
        }
    }

    /// A request will not be answered any more.
    pub(super) fn lost(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, purpose: Purpose) {
        self.metadata.request_update();
        match purpose {
            Purpose::Metadata => self.metadata.failed(turn),
            Purpose::Connection => {}
            Purpose::ProducerId => self.identity_failed(turn, config),
            Purpose::Coordinator => self.task_failed(turn, config, false),
            Purpose::Transaction => self.task_failed(turn, config, true),
            Purpose::Produce(batches) => {
                for batch in batches {
                    self.connection_lost(turn, config, ledger, batch);
                }
            }
        }
    }

    pub(super) fn connection_lost(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        batch: ProducerBatch,
    ) {
        self.unmute(config, &batch);
        if batch.done {
            return self.accumulator.release(&batch);
        }
        if self.may_retry(turn.now, config, &batch, ErrorCode::NetworkException, -1) {
            self.retry(turn, config, ledger, batch, None);
        } else {
            let adjust = i64::from(batch.attempts) < i64::from(config.retries);
            self.fail(turn, ledger, &batch, ErrorCode::NetworkException, adjust);
            self.accumulator.release(&batch);
        }
    }

    pub(super) fn retry(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &Ledger,
        mut batch: ProducerBatch,
        error: Option<ErrorCode>,
    ) {
        let wait = backoff(turn, config.retry_backoff, config.retry_backoff_max, batch.attempts);
        batch.attempts += 1;
        batch.retry_at = turn.now + wait;
        turn.tell(Fact::SendRetried {
            producer: ledger.id,
            partition: self.accumulator.partition_of(&batch),
            count: batch.count(),
            error,
        });
        self.accumulator.requeue(batch);
    }

    pub(super) fn split(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, batch: &ProducerBatch) {
        turn.tell(Fact::SendRetried {
            producer: ledger.id,
            partition: self.accumulator.partition_of(batch),
            count: batch.count(),
            error: Some(ErrorCode::MessageTooLarge),
        });
        let parts = self.accumulator.split(batch);
        if let Some(stamp) = batch.stamp {
            let sequences = &mut self.accumulator.queue_mut(batch.topic, batch.partition).sequences;
            let place = sequences.in_flight.iter().position(|s| *s == stamp.base_sequence);
            let bases = parts.iter().filter_map(|p| p.stamp).map(|s| s.base_sequence);
            if let Some(place) = place {
                sequences.in_flight.splice(place..=place, bases);
            }
        }
        for part in parts.into_iter().rev() {
            self.accumulator.requeue(part);
        }
    }

    pub(super) fn succeed(&mut self, turn: &mut Turn<'_>, ledger: &mut Ledger, batch: ProducerBatch, base: Offset) {
        let queue = self.accumulator.queue_mut(batch.topic, batch.partition);
        if let (Some(stamp), Some(last)) = (batch.stamp, batch.last_sequence()) {
            let last_offset = if base.0 < 0 { -1 } else { base.0 + i64::from(batch.count()) - 1 };
            queue.sequences.acknowledged(last, last_offset);
            queue.sequences.remove_in_flight(stamp.base_sequence);
        }
        self.accumulator.release(&batch);
        ledger.acknowledge(turn, self.accumulator.partition_of(&batch), &batch, base);
    }

    /// Sender.failBatch and TransactionManager.handleFailedBatch: a hole in the sequence is closed by
    /// a new epoch (`adjust`: the batch was surely not written).
    pub(super) fn fail(
        &mut self,
        turn: &mut Turn<'_>,
        ledger: &mut Ledger,
        batch: &ProducerBatch,
        error: ErrorCode,
        adjust: bool,
    ) {
        if self.transactions.is_some() {
            self.fail_in_transaction(turn, ledger, batch, error, adjust);
        } else if let Some(stamp) = batch.stamp {
            let queue = self.accumulator.queue_mut(batch.topic, batch.partition);
            queue.sequences.remove_in_flight(stamp.base_sequence);
            let unknown = matches!(error, ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId);
            if adjust || unknown {
                self.request_epoch_bump(batch);
            }
        }
        ledger.fail(turn, self.accumulator.partition_of(batch), batch, error);
    }

    fn fail_in_transaction(
        &mut self,
        turn: &mut Turn<'_>,
        ledger: &Ledger,
        batch: &ProducerBatch,
        error: ErrorCode,
        adjust: bool,
    ) {
        self.batch_failed(turn, ledger, error);
        let Some(stamp) = batch.stamp else { return };
        let sequences = &mut self.accumulator.queue_mut(batch.topic, batch.partition).sequences;
        sequences.remove_in_flight(stamp.base_sequence);
        if error == ErrorCode::UnknownProducerId {
            *sequences = Sequences::default();
        } else if adjust && !self.has_fatal_error() {
            self.close_up(batch);
        }
    }

    /// Batches older than `delivery.timeout.ms`, queued or in flight, have failed: whether there were any. What is
    /// in flight keeps its memory until there is an answer or the connection is given up.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger) -> bool {
        let mut expired = self.accumulator.expire(turn.now, config.delivery_timeout);
        expired.iter().for_each(|batch| self.accumulator.release(batch));
        for purpose in self.network.purposes_mut() {
            let Purpose::Produce(batches) = purpose else { continue };
            for batch in batches.iter_mut().filter(|b| !b.done && b.created + config.delivery_timeout <= turn.now) {
                expired.push(batch.clone());
                batch.done = true;
            }
        }
        if expired.is_empty() {
            return false;
        }
        for batch in expired {
            if let Some(last) = batch.last_sequence().filter(|_| batch.attempts > 0) {
                // It may have been written: later batches wait until the rest in flight is known.
                let sequences = &mut self.accumulator.queue_mut(batch.topic, batch.partition).sequences;
                sequences.unresolved = sequences.unresolved.max(Some(last.wrapping_add(1)));
            }
            self.fail(turn, ledger, &batch, ErrorCode::RequestTimedOut, false);
        }
        self.resolve_sequences(turn, ledger);
        self.bump_epoch(turn, ledger);
        true
    }

    pub(super) fn unmute(&mut self, config: &ProducerConfig, batch: &ProducerBatch) {
        if config.max_in_flight == 1 {
            self.accumulator.queue_mut(batch.topic, batch.partition).muted = false;
        }
    }
}
