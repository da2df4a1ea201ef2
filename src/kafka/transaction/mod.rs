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
mod sweep;
#[cfg(test)]
mod tests;
mod work;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::messages::WriteTxnMarkersResponse;
use crate::wire::{
    BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, Request, TopicPartition, TransactionalId,
    partition_of_key, topic_name,
};

use answers::Answers;
use markers::MarkerChannel;
pub use markers::PendingMarkers;
use metadata::{Transaction, TransactionMetadata, TransactionState, TransactionVersion};
pub use work::{Context, ProducerIds};
use work::{Settings, Shard, Then, Write, write_error};

/// The topic that the coordinator keeps its state in.
pub const TRANSACTION_TOPIC: &str = "__transaction_state";

/// A batch that the coordinator wants appended to its partition of `__transaction_state`, acks=all.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub partition: i32,
    pub batch: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TransactionCoordinator {
    broker: BrokerId,
    settings: Settings,
    /// The partitions that this broker leads.
    shards: SortedMap<i32, Shard>,
    /// Decided writes that the broker has not taken yet.
    queued: VecDeque<Write>,
    /// Writes that the broker has taken and not reported yet.
    appending: VecDeque<Write>,
    /// Completions that could not be written, each with the instant of its next try.
    retries: Vec<(Instant, Write)>,
    markers: MarkerChannel,
    answers: Answers,
    /// Numbers the writes.
    last_write: u64,
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
            queued: VecDeque::new(),
            appending: VecDeque::new(),
            retries: Vec::new(),
            markers: MarkerChannel::default(),
            answers: Answers::default(),
            last_write: 0,
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
        self.shards.entry(partition).or_insert_with(|| Shard::new(epoch));
    }

    /// This broker leads the partition now: load it from its log. The high watermark is to be
    /// reported (`committed`) right afterwards.
    pub fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    ) {
        let mut records = Vec::new();
        for batch in log.filter(|batch| !batch.is_control()) {
            // A batch in our own log that cannot be read is passed over, as the loader passes over
            // records that it does not know.
            for record in batch.records().unwrap_or_default() {
                let id = record.key.as_ref().and_then(records::decode_key);
                let Some(id) = id else { continue };
                match record.value.as_ref().map(records::decode_value) {
                    None => records.push((id, None)),
                    Some(Some(value)) => records.push((id, Some(value))),
                    Some(None) => {}
                }
            }
        }
        self.load(turn, partition, epoch, records);
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
        self.shards.insert(partition, Shard { loaded: true, ..Shard::new(epoch) });
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

    /// It does not lead it any more: whoever waits is told to find the new coordinator.
    pub fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.markers.remove_home(partition);
        self.retries.retain(|(_, write)| write.partition != partition);
        let Some(mut shard) = self.shards.remove(&partition) else {
            return;
        };
        let mut writes: Vec<Write> = shard.deferred.drain(..).collect();
        for queue in [&mut self.appending, &mut self.queued] {
            writes.extend(queue.iter().filter(|w| w.partition == partition).cloned());
            queue.retain(|w| w.partition != partition);
        }
        for write in writes {
            self.finish(turn, write, Err(ErrorCode::NotCoordinator));
        }
    }

    /// What to append; the broker appends each in order and calls `appended` for each.
    pub fn take_appends(&mut self) -> Vec<Append> {
        let mut taken = Vec::new();
        for write in self.queued.drain(..) {
            let record = NewRecord {
                timestamp: write.at,
                key: Some(records::encode_key(&write.id)),
                value: write.next.as_ref().map(records::encode_value),
                headers: Vec::new(),
            };
            let batch = Batch::build(&BatchHeader::PLAIN, &[record]).bytes().clone();
            taken.push(Append { partition: write.partition, batch });
            self.appending.push_back(write);
        }
        taken
    }

    pub fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        let Some(index) = self.appending.iter().position(|w| w.partition == partition) else {
            return;
        };
        let Some(mut write) = self.appending.remove(index) else {
            return;
        };
        match (result, self.shards.get_mut(&partition)) {
            (Ok(offset), Some(shard)) => {
                write.end = offset.next();
                shard.deferred.push_back(write);
            }
            (Ok(_), None) => self.finish(turn, write, Err(ErrorCode::NotCoordinator)),
            (Err(error), _) => self.finish(turn, write, Err(write_error(error))),
        }
    }

    /// The high watermark of the partition moved: what waited for it has happened.
    pub fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        if let Some(shard) = self.shards.get_mut(&partition) {
            shard.committed = shard.committed.max(high_watermark);
        }
        while let Some(shard) = self.shards.get_mut(&partition) {
            if shard.deferred.front().is_none_or(|write| write.end > shard.committed) {
                return;
            }
            let Some(write) = shard.deferred.pop_front() else {
                return;
            };
            self.finish(turn, write, Ok(()));
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
        let deadlines = self.shards.values().flat_map(|shard| shard.deferred.iter().map(|write| write.deadline));
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
        let topic = image.topics.get(&topic_name(TRANSACTION_TOPIC));
        let partitions = topic.map_or(self.settings.partitions, |topic| topic.partitions.len() as i32);
        partition_of_key(&id.0, partitions)
    }

    /// Where the id belongs, if this broker coordinates it and has read it.
    fn home(&self, image: &MetadataImage, id: &TransactionalId) -> Result<i32, ErrorCode> {
        let partition = self.partition_of(image, id);
        match self.shards.get(&partition) {
            None => Err(ErrorCode::NotCoordinator),
            Some(shard) if !shard.loaded => Err(ErrorCode::CoordinatorLoadInProgress),
            Some(_) => Ok(partition),
        }
    }

    /// As `home`, with the id, which must be known.
    fn known(&mut self, image: &MetadataImage, id: &TransactionalId) -> Result<(i32, &mut Transaction), ErrorCode> {
        let partition = self.home(image, id)?;
        let found = self.shards.get_mut(&partition).and_then(|shard| shard.transactions.get_mut(id));
        found.map(|transaction| (partition, transaction)).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    /// Queues a transition for the log.
    fn write(
        &mut self,
        turn: &Turn<'_>,
        partition: i32,
        id: &TransactionalId,
        next: Option<TransactionMetadata>,
        then: Then,
    ) {
        self.last_write += 1;
        // A transition is waited for as long as a transaction may last (appendTransactionToLog).
        let timeout = next.as_ref().map(|next| Duration::from_millis(next.timeout_ms.into()));
        self.queued.push_back(Write {
            number: self.last_write,
            partition,
            id: id.clone(),
            next,
            then,
            at: turn.now.millis(),
            deadline: turn.now + timeout.unwrap_or(self.settings.request_timeout),
            end: Offset::ZERO,
        });
    }
}

/// The `transaction.version` that the cluster has agreed on.
fn server_version(image: &MetadataImage) -> TransactionVersion {
    TransactionVersion(image.features.get("transaction.version".as_bytes()).copied().unwrap_or(0))
}
