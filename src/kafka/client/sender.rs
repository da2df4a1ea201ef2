//! The producer's sender: drains batches per node, sends them, and makes of every answer a
//! success, a retry or a failure (Sender, TransactionManager for the idempotent producer).

mod answers;
mod identity;
mod transactions;

use bytes::Bytes;

use crate::kafka::client::accumulator::Accumulator;
use crate::kafka::client::idempotence::IdentityState;
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::{InFlight, Network};
use crate::kafka::client::producer_batch::{ProducerBatch, encode_alone};
use crate::kafka::client::transaction::Transactions;
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::packed::Packed;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::batch::NewRecord;
use crate::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::wire::messages::{ApiVersionsRequest, ProduceRequest};
use crate::wire::{ClientId, ErrorCode, NodeId, Offset, Response, TopicName, TopicPartition, str_bytes};

/// What the application learned of one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchResult {
    /// Partition -1: the call of `send` failed before there was one.
    pub partition: TopicPartition,
    /// The batch as it was sent, or would have been (its offsets count from 0).
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
    /// Records that the producer took, or that failed in the call of `send`.
    pub sent: u64,
    pub acked: u64,
    /// Records that failed, by the error's code.
    pub failed: SortedMap<i16, u64>,
    /// Calls of `send` that were wrong and threw an exception.
    pub rejected: u64,
    /// Records whose fate was unknown when the process died.
    pub lost: u64,
    pub results: Packed<BatchResult>,
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    Metadata,
    /// Opens a connection.
    Connection,
    ProducerId,
    /// Who coordinates the transaction, or the group whose offsets go into it.
    Coordinator,
    /// What the application waits for of its transaction.
    Transaction,
    Produce(Vec<ProducerBatch>),
}

/// Everything of the producer's process that has to do with the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    pub network: Network<Purpose>,
    pub metadata: Metadata,
    pub accumulator: Accumulator,
    pub identity: IdentityState,
    /// With `transactional.id`.
    pub transactions: Option<Transactions>,
    /// Partitions whose sequences start again with the next epoch, by topic index and partition;
    /// `epoch_bump` says that one is due.
    rewrite: Vec<(u32, i32)>,
    epoch_bump: bool,
    /// Where each node's next drain begins, so that no partition starves.
    drain_index: SortedMap<NodeId, u32>,
}

impl Ledger {
    pub fn new(id: ClientId, acks: i16) -> Ledger {
        let results = Packed::default();
        Ledger { id, acks, sent: 0, acked: 0, failed: SortedMap::new(), rejected: 0, lost: 0, results }
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
        self.record(partition, batch, batch.contents(), Err(error));
    }

    /// The outcome of a call of `send` that failed (KafkaProducer.FutureFailure).
    pub fn fail_send(
        &mut self,
        turn: &mut Turn<'_>,
        partition: TopicPartition,
        record: &NewRecord,
        error: ErrorCode,
        why: &str,
    ) {
        self.sent += 1;
        *self.failed.entry(error.code()).or_default() += 1;
        turn.tell(Fact::SendRejected {
            producer: self.id,
            topic: partition.topic.clone(),
            error: str_bytes(why),
            code: Some(error),
        });
        let records = encode_alone(record);
        self.results.push_back(BatchResult { partition, records, first_record: 0, count: 1, outcome: Err(error) });
    }

    /// A call of `send` that should not have been made.
    pub fn reject(&mut self, turn: &mut Turn<'_>, topic: &TopicName, why: &str) {
        self.rejected += 1;
        turn.tell(Fact::SendRejected { producer: self.id, topic: topic.clone(), error: str_bytes(why), code: None });
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
    pub fn new(config: &ProducerConfig, metadata: Metadata, transactions: Option<Transactions>) -> Sender {
        let identity = match config.idempotence {
            true if transactions.is_some() => IdentityState::Transactional,
            true => IdentityState::Wanted { at: Instant(i64::MIN), failures: 0 },
            false => IdentityState::NotNeeded,
        };
        Sender {
            network: Network::default(),
            metadata,
            accumulator: Accumulator::new(config, transactions.is_some()),
            identity,
            transactions,
            rewrite: Vec::new(),
            epoch_bump: false,
            drain_index: SortedMap::new(),
        }
    }

    /// Sender.runOnce until nothing more can be sent now. `flush`: nothing waits for `linger.ms`.
    pub fn run(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, flush: bool) {
        for lost in self.network.timed_out(turn, NodeId::Client(ledger.id)) {
            self.lost(turn, config, ledger, lost.purpose);
        }
        self.resolve_sequences(turn, ledger);
        self.bump_epoch(turn, ledger);
        self.ask_identity(turn, config);
        self.send_what_is_due(turn, config, ledger, flush);
        // What can be sent at last goes out, even if it is too late for the application (sendProducerData).
        if self.expire(turn, config, ledger) {
            self.send_what_is_due(turn, config, ledger, flush);
        }
        self.metadata.maybe_refresh(&mut self.network, turn, Purpose::Metadata);
    }

    fn send_what_is_due(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, flush: bool) {
        if self.has_fatal_error() {
            self.abort_all(turn, ledger);
        }
        if !self.run_transactions(turn, config, ledger) {
            let flush = flush || self.is_completing();
            self.send_ready(turn, config, ledger, flush);
        }
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
            (Purpose::Coordinator, Response::FindCoordinator(response)) => {
                self.coordinator_found(turn, config, response);
            }
            (Purpose::Connection, Response::ApiVersions(_)) => {}
            (Purpose::Transaction, response) => self.task_answered(turn, config, ledger, response),
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
        let open = |purpose: &Purpose| matches!(purpose, Purpose::Produce(batches) if batches.iter().any(|b| !b.done));
        self.accumulator.is_empty() && !self.network.in_flight().any(|r| open(&r.purpose))
    }

    fn is_completing(&self) -> bool {
        self.transactions.as_ref().is_some_and(Transactions::is_completing)
    }

    pub fn next_alarm(&self, now: Instant, config: &ProducerConfig, flush: bool) -> Option<(Instant, Alarm)> {
        let mut alarms: Vec<Option<(Instant, Alarm)>> =
            vec![self.network.next_timeout(), self.network.next_unblocked(now), self.metadata.next_refresh()];
        if let IdentityState::Wanted { at, .. } = self.identity {
            alarms.push(Some((at, Alarm::RetryBackoff)));
        }
        if let Some(transactions) = self.transactions.as_ref().filter(|t| t.task.is_some() && !t.in_flight) {
            alarms.push(Some((transactions.retry_at, Alarm::RetryBackoff)));
        }
        let flush = flush || self.is_completing();
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

    fn send_ready(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, ledger: &mut Ledger, flush: bool) {
        if config.idempotence && self.identity.known().is_none() {
            return;
        }
        if config.adaptive_partitioning {
            self.accumulator.update_load_stats();
        }
        let nodes: Vec<NodeId> = self.accumulator.led.iter().map(|(node, _)| *node).collect();
        for node in nodes {
            if !self.is_connected(turn, config, node, flush) {
                continue;
            }
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

    /// NetworkClient.ready: no batch is drained, and no attempt used up, before the connection is up. It is opened
    /// when there is something to send.
    fn is_connected(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, node: NodeId, flush: bool) -> bool {
        if self.network.is_up(node) {
            return true;
        }
        let opens = self.network.in_flight_to(node) > 0;
        if !opens && self.network.ready(node, turn.now) && self.is_due_for(turn.now, node, flush) {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(str_bytes("apache-kafka-java"))
                .with_client_software_version(str_bytes("4.2.0"));
            self.network.send(turn, node, request, config.request_timeout, Purpose::Connection);
        }
        false
    }

    fn is_due_for(&self, now: Instant, node: NodeId, flush: bool) -> bool {
        let led = self.accumulator.led.iter().find(|(leader, _)| *leader == node);
        led.is_some_and(|(_, places)| {
            places.iter().any(|(topic, partition)| self.is_due(now, *topic, *partition, flush))
        })
    }

    fn is_due(&self, now: Instant, topic: u32, partition: i32, flush: bool) -> bool {
        let queue = self.accumulator.queue(topic, partition);
        let due = self.accumulator.sendable_at(queue, flush).is_some_and(|at| at <= now);
        due && self.may_drain(topic, partition)
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
            if !self.is_due(now, topic, partition, flush) {
                looked = step + 1;
                continue;
            }
            let queue = self.accumulator.queue(topic, partition);
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
            None => !sequences.is_stale(identity) && sequences.unresolved.is_none(),
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
            .with_transactional_id(self.transactions.as_ref().map(|transactions| transactions.id.clone()))
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
}
