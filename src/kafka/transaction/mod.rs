//! The transaction coordinator of one broker (TransactionCoordinator, TransactionStateManager,
//! TransactionMarkerChannelManager; KIP-98, KIP-360, KIP-890): transactional ids as decide and replay
//! over the partitions of `__transaction_state` that this broker leads.
//!
//! A request decides where a transactional id goes. The broker appends that and reports the offset,
//! then the high watermark; only then is the id there and the client answered, and meanwhile nothing
//! else may happen to the id. A decided transaction sends its markers until every partition has one,
//! also after a failover: what is prepared is in the log.

pub mod metadata;
pub mod records;

mod answers;
mod end;
mod finish;
mod init;
mod markers;
mod partitions;
mod runtime;
mod sweep;
#[cfg(test)]
mod tests;
mod work;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::{self, Coordinator, CoordinatorType, Runtime, Write};
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::messages::WriteTxnMarkersResponse;
use crate::wire::{
    BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Request, TRANSACTION_TOPIC, TopicPartition, TransactionalId,
    topic_name,
};

use answers::Answers;
use markers::MarkerChannel;
pub use markers::PendingMarkers;
use metadata::{Transaction, TransactionMetadata, TransactionState, TransactionVersion};
pub use work::{Context, ProducerIds};
use work::{Settings, Shard, Transition};

#[derive(Clone, Debug, PartialEq)]
pub struct TransactionCoordinator {
    broker: BrokerId,
    settings: Settings,
    /// The partitions that this broker leads.
    shards: SortedMap<i32, Shard>,
    runtime: Runtime<Transition>,
    /// Completions that could not be written, each with the instant of its next try.
    retries: Vec<(Instant, Write<Transition>)>,
    markers: MarkerChannel,
    answers: Answers,
    /// When to look for transactions that are open for too long; it lags while there are none.
    next_sweep: Instant,
    /// When to look for ids that nobody uses; it lags while there are none.
    next_expiry: Instant,
}

impl TransactionCoordinator {
    /// Of a process that starts now.
    pub fn new(broker: BrokerId, config: &BrokerConfig, now: Instant) -> TransactionCoordinator {
        let settings = Settings::new(config);
        TransactionCoordinator {
            broker,
            shards: SortedMap::new(),
            runtime: Runtime::default(),
            retries: Vec::new(),
            markers: MarkerChannel::default(),
            answers: Answers::default(),
            next_sweep: now + settings.sweep_interval,
            next_expiry: now + settings.id_expiration_interval,
            settings,
        }
    }

    /// INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN in their newest versions:
    /// answered through the turn at once, or when the write is committed.
    pub fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        ids: ProducerIds<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        // TransactionVersion.transactionVersionForEndTxn and its sisters; ADD_OFFSETS_TO_TXN comes only
        // from clients of version 1.
        let version = match request {
            Request::AddOffsetsToTxn(_) => TransactionVersion::V0,
            _ => TransactionVersion::V2,
        };
        self.handle_as(turn, image, ids, &Context { from, correlation, version }, request);
    }

    /// The same for a client that speaks another version.
    pub fn handle_as(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        ids: ProducerIds<'_>,
        context: &Context,
        request: &Request,
    ) {
        match request {
            Request::InitProducerId(init) => self.init_producer_id(turn, image, ids, context, init),
            Request::AddPartitionsToTxn(add) => self.add_partitions_to_txn(turn, image, context, add),
            Request::AddOffsetsToTxn(add) => self.add_offsets_to_txn(turn, image, context, add),
            Request::EndTxn(end) => self.end_txn(turn, image, ids, context, end),
            _ => {}
        }
    }

    /// The broker has become the leader of the partition and is about to read it: until `elected`,
    /// requests are told that the coordinator loads.
    pub fn loading(&mut self, partition: i32, epoch: LeaderEpoch) {
        self.shards.entry(partition).or_default();
        self.runtime.open(partition, epoch);
    }

    /// Loads a partition from its records, in order: the last one of an id wins. What waited under an
    /// older epoch is refused. Markers of prepared transactions are sent again.
    pub fn load(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        records: impl IntoIterator<Item = (TransactionalId, Option<TransactionMetadata>)>,
    ) {
        self.resigned(turn, partition);
        let mut last = SortedMap::new();
        for (id, value) in records {
            match value {
                Some(value) => drop(last.insert(id, value)),
                None => drop(last.remove(&id)),
            }
        }
        let ids = last.keys().cloned().collect();
        let named = TopicPartition { topic: topic_name(TRANSACTION_TOPIC), partition };
        turn.tell(Fact::TransactionsLoaded { partition: named, broker: self.broker, ids });
        self.loading(partition, epoch);
        self.runtime.load(partition);
        for (id, value) in last {
            let mut transaction = Transaction::new(value);
            if transaction.current.state.is_prepared() {
                let commit = transaction.current.state == TransactionState::PrepareCommit;
                let complete = transaction.prepare_complete(turn.now.millis());
                let markers = PendingMarkers::new(partition, epoch, &transaction.current, commit, complete);
                self.markers.add(id.clone(), markers);
            }
            self.put(partition, id, transaction);
        }
        self.catch_up(turn.now);
    }

    /// Takes up an id as it is, in a partition that is loaded.
    pub fn put(&mut self, partition: i32, id: TransactionalId, transaction: Transaction) {
        if let Some(shard) = self.shards.get_mut(&partition) {
            shard.transactions.insert(id, transaction);
        }
    }

    /// Sends the markers that wait, to the leaders that the metadata names; completes the
    /// transactions that wait for none. To be called when either may have changed.
    pub fn send_markers(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        self.markers.send(turn, image, self.settings.request_timeout);
        self.complete_finished(turn);
    }

    /// A leader answered WRITE_TXN_MARKERS.
    pub fn markers_written(
        &mut self,
        turn: &mut Turn<'_>,
        leader: BrokerId,
        correlation: Correlation,
        response: &WriteTxnMarkersResponse,
    ) {
        self.markers.answered(turn, leader, correlation, response);
        self.complete_finished(turn);
    }

    pub fn disconnected(&mut self, turn: &Turn<'_>, peer: BrokerId) {
        self.markers.disconnected(turn, peer);
    }

    pub fn alarm(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        self.markers.alarm(turn, self.broker);
        self.expire_writes(turn);
        self.sweep(turn, image);
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let deadlines = self.runtime.deferred().map(|write| write.what.deadline);
        let retries = self.retries.iter().map(|(at, _)| *at);
        let soon = deadlines.chain(retries).chain(self.markers.next_alarm()).chain(self.due_sweep()).min();
        let soon = soon.map(|at| (at, Alarm::Transaction));
        let expiry = self.due_expiry().map(|at| (at, Alarm::TransactionalIdExpiry));
        soon.into_iter().chain(expiry).min()
    }

    /// Every transactional id that this broker coordinates, by partition and name.
    pub fn transactions(&self) -> impl Iterator<Item = (&TransactionalId, &Transaction)> {
        self.shards.values().flat_map(|shard| &shard.transactions)
    }

    pub fn transaction(&self, id: &TransactionalId) -> Option<&Transaction> {
        self.shards.values().find_map(|shard| shard.transactions.get(id))
    }

    /// The markers that a decided transaction still waits for.
    pub fn pending_markers(&self, id: &TransactionalId) -> Option<&PendingMarkers> {
        self.markers.get(id)
    }

    /// `Utils.abs(transactionalId.hashCode) % partitions`.
    fn partition_of(&self, image: &MetadataImage, id: &TransactionalId) -> i32 {
        coordinator::partition_of(image, CoordinatorType::Transaction, self.settings.partitions, &id.0)
    }

    /// Where the id belongs, if this broker coordinates it and has read it.
    fn home(&self, image: &MetadataImage, id: &TransactionalId) -> Result<i32, ErrorCode> {
        let partition = self.partition_of(image, id);
        self.runtime.ready(partition).map(|_| partition)
    }

    /// As `home`, with the id, which must be known.
    fn known(&mut self, image: &MetadataImage, id: &TransactionalId) -> Result<(i32, &mut Transaction), ErrorCode> {
        let partition = self.home(image, id)?;
        let found = self.shards.get_mut(&partition).and_then(|shard| shard.transactions.get_mut(id));
        found.map(|transaction| (partition, transaction)).ok_or(ErrorCode::InvalidProducerIdMapping)
    }
}

/// The `transaction.version` that the cluster has agreed on.
fn server_version(image: &MetadataImage) -> TransactionVersion {
    TransactionVersion(image.features.get("transaction.version".as_bytes()).copied().unwrap_or(0))
}
