//! The first records of a transaction on a partition wait until the coordinator knows of it (KIP-890;
//! ReplicaManager.handleProduceAppend, maybeStartTransactionVerificationForPartitions): with version 2
//! the client need not say so itself.

use crate::kafka::broker::Process;
use crate::kafka::broker::add_partitions::{Added, Addition};
use crate::kafka::broker::disk::Disk;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::group;
use crate::kafka::log::producer_state::VerificationGuard;
use crate::kafka::node::Turn;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::batch::Batch;
use crate::wire::messages::{AddPartitionsToTxnResponse, ProduceRequest, TxnOffsetCommitRequest};
use crate::wire::{
    BrokerId, Correlation, ErrorCode, NodeId, OFFSETS_TOPIC, ProducerId, Request, TopicPartition, TransactionalId,
    partition_of_key, topic_name,
};

/// `add.partitions.to.txn.retry.backoff.ms`
const RETRY_BACKOFF: Duration = Duration::from_millis(20);
/// `add.partitions.to.txn.retry.backoff.max.ms`: how long the markers of the transaction before are
/// waited for.
const RETRY_MAX: Duration = Duration::from_millis(100);

/// Of each partition that had to be asked about: the leave to append, or why there is none.
pub type Verified = SortedMap<TopicPartition, Result<VerificationGuard, ErrorCode>>;

/// What a request wants to append in the name of its transaction.
#[derive(Clone, Debug, PartialEq)]
struct Transactional {
    id: TransactionalId,
    producer_id: ProducerId,
    epoch: i16,
    /// With the sequence of the first record.
    partitions: Vec<(TopicPartition, i32)>,
}

/// A request that waits for the coordinator of its transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Verifying {
    client: (NodeId, Correlation),
    request: Request,
    wants: Transactional,
    verified: Verified,
    /// Until then a coordinator that is busy with the transaction before is asked again.
    patience: Instant,
    /// When to ask again.
    again: Option<Instant>,
}

impl Process {
    pub(super) fn verify_produce(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        client: (NodeId, Correlation),
        request: &ProduceRequest,
    ) {
        match self.transactional(request) {
            Ok(Some(wants)) => self.verify(disk, turn, client, request.clone().into(), wants),
            // A malformed request is refused where every other is.
            Ok(None) | Err(()) => self.produce(disk, turn, client, request, &Verified::new()),
        }
    }

    /// TXN_OFFSET_COMMIT: the partition of the group's offsets belongs to the transaction, too.
    pub(super) fn txn_offset_commit(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        client: (NodeId, Correlation),
        request: &TxnOffsetCommitRequest,
    ) {
        let topic = topic_name(OFFSETS_TOPIC);
        let count = self.image.topics.get(&topic).map_or(0, |topic| topic.partitions.len() as i32);
        let partition = TopicPartition { topic, partition: partition_of_key(&request.group_id.0, count) };
        let wants = Transactional {
            id: request.transactional_id.clone(),
            producer_id: request.producer_id,
            epoch: request.producer_epoch,
            // Offsets have no sequence.
            partitions: vec![(partition, -1)],
        };
        self.verify(disk, turn, client, request.clone().into(), wants);
    }

    /// A coordinator answered.
    pub(super) fn partitions_added(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        from: BrokerId,
        correlation: Correlation,
        response: &AddPartitionsToTxnResponse,
    ) {
        let decided = self.add_partitions.handle_response(turn, from, correlation, response);
        self.go_on(disk, turn, decided);
    }

    pub(super) fn coordinator_disconnected(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, peer: BrokerId) {
        let lost = self.add_partitions.disconnected(turn, peer);
        self.go_on(disk, turn, lost);
    }

    pub(super) fn expire_verifications(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let late = self.add_partitions.expire(turn);
        self.go_on(disk, turn, late);
        let due = |(id, waiting): (&u64, &Verifying)| waiting.again.filter(|at| *at <= turn.now).map(|_| *id);
        let due: Vec<u64> = self.verifying.iter().filter_map(due).collect();
        for id in due {
            if let Some(waiting) = self.verifying.remove(&id) {
                self.ask(disk, turn, waiting);
            }
        }
    }

    pub(super) fn next_verification(&self) -> Option<Instant> {
        let again = self.verifying.values().filter_map(|waiting| waiting.again);
        again.chain(self.add_partitions.next_alarm()).min()
    }

    /// The transaction that a produce request writes in, if there is one to verify.
    fn transactional(&self, request: &ProduceRequest) -> Result<Option<Transactional>, ()> {
        let Some(id) = request.transactional_id.clone().filter(|_| self.config.transaction_partition_verification)
        else {
            return Ok(None);
        };
        let mut found: Option<Transactional> = None;
        for topic in &request.topic_data {
            let Some(name) = self.image.topic_names.get(&topic.topic_id) else { continue };
            for data in &topic.partition_data {
                let mut records = data.records.clone().unwrap_or_default();
                let batch = Batch::split_first(&mut records, false).map_err(drop)?;
                if !batch.has_producer() || !batch.is_transactional() {
                    continue;
                }
                let (producer_id, epoch) = (batch.producer_id, batch.producer_epoch);
                let wants = found.get_or_insert_with(|| Transactional {
                    id: id.clone(),
                    producer_id,
                    epoch,
                    partitions: Vec::new(),
                });
                let partition = TopicPartition { topic: name.clone(), partition: data.index };
                wants.partitions.push((partition, batch.base_sequence));
            }
        }
        Ok(found)
    }

    fn verify(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        client: (NodeId, Correlation),
        request: Request,
        wants: Transactional,
    ) {
        let patience = turn.now + RETRY_MAX;
        let waiting = Verifying { client, request, wants, verified: Verified::new(), patience, again: None };
        self.ask(disk, turn, waiting);
    }

    /// Asks the coordinator about the partitions on which the transaction is not open yet.
    fn ask(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, mut waiting: Verifying) {
        waiting.verified.clear();
        waiting.again = None;
        let Transactional { id, producer_id, epoch, partitions } = &waiting.wants;
        let mut unknown = Vec::new();
        for (partition, sequence) in partitions {
            let led = self.replicas.get(partition).is_some_and(|replica| replica.is_leader());
            let guard = match disk.log(partition).filter(|_| led) {
                None => Err(self.absent_error(partition)),
                Some(log) if log.producers().has_ongoing_transaction(*producer_id, *epoch) => continue,
                Some(_) => {
                    let log = disk.log_mut(partition);
                    let guard =
                        log.and_then(|log| log.start_verification(*producer_id, *sequence, *epoch, true, turn.now));
                    guard.ok_or(ErrorCode::NotLeaderOrFollower)
                }
            };
            if guard.is_ok() {
                unknown.push(partition.clone());
            }
            waiting.verified.insert(partition.clone(), guard);
        }
        if unknown.is_empty() {
            return self.verified(disk, turn, waiting);
        }
        self.last_verification += 1;
        let number = self.last_verification;
        let (id, producer_id, epoch) = (id.clone(), *producer_id, *epoch);
        self.verifying.insert(number, waiting);
        let addition = Addition { waiting: number, id, producer_id, epoch, partitions: unknown };
        let decided = self.add_partitions.add(turn, &self.image, addition);
        self.go_on(disk, turn, decided);
    }

    fn go_on(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, decided: Vec<Added>) {
        for (number, refused) in decided {
            let Some(mut waiting) = self.verifying.remove(&number) else { continue };
            let busy = refused.iter().any(|(_, error)| *error == ErrorCode::ConcurrentTransactions);
            if busy && turn.now < waiting.patience {
                waiting.again = Some(turn.now + RETRY_BACKOFF);
                self.verifying.insert(number, waiting);
                continue;
            }
            for (partition, error) in refused {
                waiting.verified.insert(partition, Err(error));
            }
            self.verified(disk, turn, waiting);
        }
    }

    /// The request is carried out with what the coordinator said.
    fn verified(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, waiting: Verifying) {
        let Verifying { client, request, wants, mut verified, .. } = waiting;
        match request {
            Request::Produce(produce) => {
                for result in verified.values_mut() {
                    *result = result.map_err(produce_error);
                }
                self.produce(disk, turn, client, &produce, &verified);
            }
            request => {
                let results = verified.into_values().next();
                match results.transpose() {
                    Ok(guard) => {
                        self.groups.handle(turn, &self.image, client.0, client.1, &request);
                        let guard = guard.map(|guard| (wants.producer_id, guard));
                        self.append_decided(disk, turn, CoordinatorType::Group, guard);
                    }
                    Err(error) => {
                        if let Some(refusal) = group::refuse(&request, offsets_error(error)) {
                            turn.respond(client.0, client.1, refusal);
                        }
                    }
                }
            }
        }
    }
}

/// What a producer is told that could not be verified. NOT_ENOUGH_REPLICAS makes it come again without
/// asking for the leader first.
fn produce_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        other => other,
    }
}

/// What a client is told whose offsets could not be verified (GroupCoordinatorService's
/// handleOperationException for transactional writes).
fn offsets_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        other => other,
    }
}
