//! The producer's sender: drains batches per node, sends them, and makes of every answer a
//! success, a retry or a failure (Sender, TransactionManager for the idempotent producer).

use crate::sorted::SortedMap as BTreeMap;

use bytes::Bytes;

use crate::kafka::client::accumulator::Accumulator;
use crate::kafka::client::errors;
use crate::kafka::client::idempotence::{Identity, IdentityState};
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::{InFlight, Network, backoff};
use crate::kafka::client::producer_batch::{ProducerBatch, Stamp, increment_sequence};
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::time::Instant;
use crate::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::wire::messages::produce_response::PartitionProduceResponse;
use crate::wire::messages::{InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse};
use crate::wire::{ClientId, ErrorCode, NodeId, Offset, Response, TopicPartition, error};

/// What the application learned of one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchResult {
    pub partition: TopicPartition,
    /// The batch as it was sent (its offsets count from 0); empty when it failed before it was encoded.
    pub records: Bytes,
    /// The running number of its first record among the producer's records to the partition.
    pub first_record: u64,
    pub count: u32,
    /// The offset of its first record, -1 when unknown; or why it failed.
    pub outcome: Result<Offset, ErrorCode>,
}

/// What the application knows of its sends. It outlives the process, as the application's own
/// records would.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    pub id: ClientId,
    pub acks: i16,
    /// Records that the producer took.
    pub sent: u64,
    pub acked: u64,
    /// Records that failed, by the error's code.
    pub failed: BTreeMap<i16, u64>,
    /// Sends that the producer refused at once.
    pub rejected: u64,
    /// Records whose fate was unknown when the process died.
    pub lost: u64,
    pub results: imbl::Vector<BatchResult>,
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    Metadata,
    ProducerId,
    Produce(Vec<ProducerBatch>),
}

/// Everything of the producer's process that has to do with the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    pub network: Network<Purpose>,
    pub metadata: Metadata,
    pub accumulator: Accumulator,
    pub identity: IdentityState,
    /// Partitions whose sequences start again with the next epoch, by topic index and partition;
    /// `epoch_bump` says that one is due.
    rewrite: Vec<(u32, i32)>,
    epoch_bump: bool,
    /// Where each node's next drain begins, so that no partition starves.
    drain_index: BTreeMap<NodeId, u32>,
}

impl Ledger {
    pub fn new(id: ClientId, acks: i16) -> Ledger {
        let results = imbl::Vector::new();
        Ledger { id, acks, sent: 0, acked: 0, failed: BTreeMap::new(), rejected: 0, lost: 0, results }
    }

    /// Records without an outcome yet.
    pub fn pending(&self) -> u64 {
        self.sent - self.acked - self.failed.values().sum::<u64>() - self.lost
    }

    fn acknowledge(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, batch: &ProducerBatch, base: Offset) {
        self.acked += u64::from(batch.count());
        let records = batch.bytes().cloned().unwrap_or_default();
        turn.tell(Fact::Acknowledged {
            producer: self.id,
            partition: partition.clone(),
            base_offset: base,
            first_record: batch.first_record,
            count: batch.count(),
            acks: self.acks,
            records: records.clone(),
        });
        self.record(partition, batch, records, Ok(base));
    }

    fn fail(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, batch: &ProducerBatch, error: ErrorCode) {
        *self.failed.entry(error.code()).or_default() += u64::from(batch.count());
        turn.tell(Fact::SendFailed {
            producer: self.id,
            partition: partition.clone(),
            first_record: batch.first_record,
            count: batch.count(),
            error,
        });
        self.record(partition, batch, batch.bytes().cloned().unwrap_or_default(), Err(error));
    }

    fn record(
        &mut self,
        partition: TopicPartition,
        batch: &ProducerBatch,
        records: Bytes,
        outcome: Result<Offset, ErrorCode>,
    ) {
        let (first_record, count) = (batch.first_record, batch.count());
        self.results.push_back(BatchResult { partition, records, first_record, count, outcome });
    }
}

impl Sender {
    pub fn new(config: &ProducerConfig, metadata: Metadata) -> Sender {
        let identity = match config.idempotence {
            true => IdentityState::Wanted { at: Instant(i64::MIN), failures: 0 },
            false => IdentityState::NotNeeded,
        };
        Sender {
            network: Network::default(),
            metadata,
            accumulator: Accumulator::new(config),
            identity,
            rewrite: Vec::new(),
            epoch_bump: false,
            drain_index: BTreeMap::new(),
        }
    }

    /// Sender.runOnce until nothing more can be sent now. `flush`: nothing waits for `linger.ms`.
    pub fn run(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, flush: bool) {
        for lost in self.network.timed_out(turn, NodeId::Client(ledger.id)) {
            self.lost(turn, config, ledger, lost.purpose);
        }
        self.resolve_sequences();
        self.bump_epoch(turn, ledger);
        self.ask_identity(turn, config);
        self.expire(turn, config, ledger);
        self.send_ready(turn, config, ledger, flush);
        self.metadata.maybe_refresh(&mut self.network, turn, Purpose::Metadata);
    }

    pub fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        request: InFlight<Purpose>,
        response: &Response,
    ) {
        match (request.purpose, response) {
            (Purpose::Metadata, Response::Metadata(response)) => {
                self.metadata.update(turn, response);
            }
            (Purpose::ProducerId, Response::InitProducerId(response)) => {
                self.identity_answered(turn, config, ledger, response);
            }
            (Purpose::Produce(batches), Response::Produce(response)) => {
                self.produce_answered(turn, config, ledger, batches, response);
            }
            // An answer of another kind is no answer.
            (purpose, _) => self.lost(turn, config, ledger, purpose),
        }
    }

    pub fn disconnected(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, peer: NodeId) {
        for request in self.network.disconnected(turn, peer) {
            self.lost(turn, config, ledger, request.purpose);
        }
        self.metadata.request_update();
    }

    /// Nothing is queued and nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.accumulator.is_empty() && !self.network.in_flight().any(|r| matches!(r.purpose, Purpose::Produce(_)))
    }

    pub fn next_alarm(&self, now: Instant, config: &ProducerConfig, flush: bool) -> Option<(Instant, Alarm)> {
        let mut alarms: Vec<Option<(Instant, Alarm)>> =
            vec![self.network.next_timeout(), self.network.next_unblocked(now), self.metadata.next_refresh()];
        if let IdentityState::Wanted { at, .. } = self.identity {
            alarms.push(Some((at, Alarm::RetryBackoff)));
        }
        for queue in self.accumulator.topics.iter().flat_map(|t| &t.queues) {
            let Some(first) = queue.batches.front() else { continue };
            alarms.push(Some((first.created + config.delivery_timeout, Alarm::DeliveryTimeout)));
            if queue.leader().is_some() {
                let why = if first.attempts > 0 { Alarm::RetryBackoff } else { Alarm::Linger };
                alarms.push(self.accumulator.sendable_at(queue, flush).map(|at| (at, why)));
            }
        }
        for request in self.network.in_flight() {
            if let Purpose::Produce(batches) = &request.purpose {
                let open = batches.iter().filter(|b| !b.done);
                alarms.extend(open.map(|b| Some((b.created + config.delivery_timeout, Alarm::DeliveryTimeout))));
            }
        }
        // What was due and could not be done waits for an answer or for one of the later alarms.
        alarms.into_iter().flatten().filter(|(at, _)| *at > now).min()
    }

    // ---- identity ----

    fn ask_identity(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig) {
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

    fn identity_answered(
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
    fn identity_failed(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig) {
        if let IdentityState::Asked { failures } = self.identity {
            let wait = backoff(turn, config.retry_backoff, config.retry_backoff_max, failures);
            self.identity = IdentityState::Wanted { at: turn.now + wait, failures: failures.saturating_add(1) };
        }
    }

    /// TransactionManager.maybeResolveSequences: once nothing of a partition is in flight, either
    /// the sequence goes on without a gap, or the epoch must be bumped.
    fn resolve_sequences(&mut self) {
        for (topic, place) in self.accumulator.topics.iter_mut().enumerate() {
            for (partition, queue) in place.queues.iter_mut().enumerate() {
                let sequences = &mut queue.sequences;
                if !sequences.unresolved || !sequences.in_flight.is_empty() {
                    continue;
                }
                if sequences.is_next(sequences.next) {
                    sequences.unresolved = false;
                } else {
                    self.epoch_bump = true;
                    self.rewrite.push((topic as u32, partition as i32));
                }
            }
        }
    }

    /// TransactionManager.bumpIdempotentEpochAndResetIdIfNeeded (KIP-360).
    fn bump_epoch(&mut self, turn: &mut Turn<'_>, ledger: &Ledger) {
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
    fn start_sequences_again(&mut self, topic: u32, partition: i32, identity: Identity) {
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

    // ---- sending ----

    fn send_ready(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, flush: bool) {
        if config.idempotence && self.identity.known().is_none() {
            return;
        }
        if config.adaptive_partitioning {
            self.accumulator.update_load_stats();
        }
        let nodes: Vec<NodeId> = self.accumulator.led.iter().map(|(node, _)| *node).collect();
        for node in nodes {
            while self.network.ready(node, turn.now)
                && i64::from(self.network.in_flight_to(node)) < i64::from(config.max_in_flight)
            {
                let batches = self.drain(turn.now, config, node, flush);
                if batches.is_empty() {
                    break;
                }
                self.send(turn, config, ledger, node, batches);
            }
        }
    }

    /// RecordAccumulator.drainBatchesForOneNode: one batch of each partition, up to a request's size.
    fn drain(&mut self, now: Instant, config: &ProducerConfig, node: NodeId, flush: bool) -> Vec<ProducerBatch> {
        let Some(index) = self.accumulator.led.iter().position(|(n, _)| *n == node) else { return Vec::new() };
        let count = self.accumulator.led[index].1.len() as u32;
        let start = self.drain_index.get(&node).copied().unwrap_or(0) % count.max(1);
        let mut batches = Vec::new();
        let mut size = 0;
        let mut looked = 0;
        for step in 0..count {
            let (topic, partition) = self.accumulator.led[index].1[((start + step) % count) as usize];
            let queue = self.accumulator.queue(topic, partition);
            let due = self.accumulator.sendable_at(queue, flush).is_some_and(|at| at <= now);
            if !due || !self.may_drain(topic, partition) {
                looked = step + 1;
                continue;
            }
            let Some(first) = queue.batches.front() else { continue };
            if !batches.is_empty() && size + i64::from(first.size()) > i64::from(config.max_request_size) {
                break;
            }
            size += i64::from(first.size());
            looked = step + 1;
            batches.extend(self.take(config, topic, partition));
        }
        self.drain_index.insert(node, (start + looked) % count.max(1));
        batches
    }

    /// RecordAccumulator.shouldStopDrainBatchesForPartition.
    fn may_drain(&self, topic: u32, partition: i32) -> bool {
        let Some(identity) = self.identity.known() else { return true };
        let queue = self.accumulator.queue(topic, partition);
        let sequences = &queue.sequences;
        match queue.batches.front().and_then(|first| first.stamp) {
            None => !sequences.is_stale(identity) && !sequences.unresolved,
            Some(stamp) => sequences.first_in_flight().is_none_or(|first| first == stamp.base_sequence),
        }
    }

    fn take(&mut self, config: &ProducerConfig, topic: u32, partition: i32) -> Option<ProducerBatch> {
        let identity = self.identity.known();
        let queue = self.accumulator.queue_mut(topic, partition);
        let mut batch = queue.batches.pop_front()?;
        if let Some(identity) = identity
            && batch.stamp.is_none()
        {
            batch.stamp = Some(queue.sequences.stamp(identity, batch.count()));
        }
        // guaranteeMessageOrder: without sequences, order needs one batch at a time.
        queue.muted = config.max_in_flight == 1;
        self.accumulator.seal(&mut batch);
        Some(batch)
    }

    fn send(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        node: NodeId,
        mut batches: Vec<ProducerBatch>,
    ) {
        let mut topics: Vec<TopicProduceData> = Vec::new();
        batches.sort_by_key(|b| (b.topic, b.partition));
        let mut last = None;
        for batch in &mut batches {
            if last != Some(batch.topic) {
                let topic = &self.accumulator.topics[batch.topic as usize];
                topics.push(TopicProduceData::default().with_name(topic.name.clone()).with_topic_id(topic.id));
                last = Some(batch.topic);
            }
            let data = PartitionProduceData::default().with_index(batch.partition).with_records(Some(batch.encode()));
            if let Some(topic) = topics.last_mut() {
                topic.partition_data.push(data);
            }
        }
        let request = ProduceRequest::default()
            .with_acks(config.acks)
            .with_timeout_ms(config.request_timeout.millis() as i32)
            .with_topic_data(topics);
        if config.acks != 0 {
            self.network.send(turn, node, request, config.request_timeout, Purpose::Produce(batches));
            return;
        }
        self.network.send_unanswered(turn, node, request);
        for batch in batches {
            self.succeed(turn, ledger, batch, Offset::UNKNOWN);
        }
    }

    // ---- answers ----

    fn produce_answered(
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
    fn batch_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        batch: ProducerBatch,
        answer: &PartitionProduceResponse,
    ) {
        self.unmute(config, &batch);
        if batch.done {
            return;
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
            self.fail(turn, ledger, batch, error, adjust);
        }
    }

    /// Sender.canRetry and TransactionManager.canRetry.
    fn may_retry(
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
        match error {
            ErrorCode::UnknownProducerId if log_start == -1 || batch.sequence_reset => true,
            ErrorCode::OutOfOrderSequenceNumber
                if !sequences.unresolved && (batch.sequence_reset || !sequences.is_next(stamp.base_sequence)) =>
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

    fn request_epoch_bump(&mut self, batch: &ProducerBatch) {
        self.epoch_bump = true;
        let place = (batch.topic, batch.partition);
        if !self.rewrite.contains(&place) {
            self.rewrite.push(place);
        }
    }

    /// A request will not be answered any more.
    fn lost(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, purpose: Purpose) {
        self.metadata.request_update();
        match purpose {
            Purpose::Metadata => self.metadata.failed(turn),
            Purpose::ProducerId => self.identity_failed(turn, config),
            Purpose::Produce(batches) => {
                for batch in batches {
                    self.connection_lost(turn, config, ledger, batch);
                }
            }
        }
    }

    fn connection_lost(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        batch: ProducerBatch,
    ) {
        self.unmute(config, &batch);
        if batch.done {
            return;
        }
        if self.may_retry(turn.now, config, &batch, ErrorCode::NetworkException, -1) {
            self.retry(turn, config, ledger, batch, None);
        } else {
            let adjust = i64::from(batch.attempts) < i64::from(config.retries);
            self.fail(turn, ledger, batch, ErrorCode::NetworkException, adjust);
        }
    }

    fn retry(
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

    fn split(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, batch: &ProducerBatch) {
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

    fn succeed(&mut self, turn: &mut Turn<'_>, ledger: &mut Ledger, batch: ProducerBatch, base: Offset) {
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
    fn fail(&mut self, turn: &mut Turn<'_>, ledger: &mut Ledger, batch: ProducerBatch, error: ErrorCode, adjust: bool) {
        if let Some(stamp) = batch.stamp {
            let queue = self.accumulator.queue_mut(batch.topic, batch.partition);
            queue.sequences.remove_in_flight(stamp.base_sequence);
            let unknown = matches!(error, ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId);
            if adjust || unknown {
                self.request_epoch_bump(&batch);
            }
        }
        self.accumulator.release(&batch);
        ledger.fail(turn, self.accumulator.partition_of(&batch), &batch, error);
    }

    /// Batches older than `delivery.timeout.ms`, queued or in flight, have failed.
    fn expire(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger) {
        let mut expired: Vec<ProducerBatch> = Vec::new();
        for purpose in self.network.purposes_mut() {
            let Purpose::Produce(batches) = purpose else { continue };
            for batch in batches.iter_mut().filter(|b| !b.done && b.created + config.delivery_timeout <= turn.now) {
                expired.push(batch.clone());
                batch.done = true;
            }
        }
        expired.extend(self.accumulator.expire(turn.now, config.delivery_timeout));
        for batch in expired {
            if batch.stamp.is_some() && batch.attempts > 0 {
                // It may have been written: later batches wait until the rest in flight is known.
                self.accumulator.queue_mut(batch.topic, batch.partition).sequences.unresolved = true;
            }
            self.fail(turn, ledger, batch, ErrorCode::RequestTimedOut, false);
        }
        self.resolve_sequences();
        self.bump_epoch(turn, ledger);
    }

    fn unmute(&mut self, config: &ProducerConfig, batch: &ProducerBatch) {
        if config.max_in_flight == 1 {
            self.accumulator.queue_mut(batch.topic, batch.partition).muted = false;
        }
    }
}
