//! Partitions join a transaction: ADD_PARTITIONS_TO_TXN from their leaders, or from clients of version
//! 1, and ADD_OFFSETS_TO_TXN (handleAddPartitionsToTransaction, handleVerifyPartitionsInTransaction).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::Reply;
use crate::kafka::node::Turn;
use crate::kafka::transaction::TransactionCoordinator;
use crate::kafka::transaction::answers::result;
use crate::kafka::transaction::metadata::TransactionState;
use crate::kafka::transaction::work::{Context, Then};
use crate::sorted::SortedSet;
use crate::wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use crate::wire::messages::add_partitions_to_txn_response::AddPartitionsToTxnResult;
use crate::wire::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest};
use crate::wire::{
    ErrorCode, OFFSETS_TOPIC, ProducerId, TopicName, TopicPartition, TransactionalId, code, partition_of_key,
    topic_name,
};

impl TransactionCoordinator {
    pub(super) fn add_partitions_to_txn(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        context: &Context,
        request: &AddPartitionsToTxnRequest,
    ) {
        let answer = self.answers.open(context.reply(), &request.transactions);
        for (place, transaction) in request.transactions.iter().enumerate() {
            let place = place as u32;
            let unknown = |topic: &TopicName, partition: i32| {
                image.partition(&TopicPartition { topic: topic.clone(), partition }).is_none()
            };
            let partitions = partitions(transaction);
            if partitions.iter().any(|p| unknown(&p.topic, p.partition)) {
                // One that does not exist keeps the others out (KafkaApis.handleAddPartitionsToTxnRequest).
                let refused = result(transaction, |topic, partition| {
                    let unknown = unknown(topic, partition);
                    let error =
                        if unknown { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::OperationNotAttempted };
                    Some(error)
                });
                self.answers.fill(turn, answer, place, |result| *result = refused);
            } else if transaction.verify_only {
                let verified = self.verify(image, transaction, &partitions);
                self.answers.fill(turn, answer, place, |result| *result = verified);
            } else {
                let then = Then::PartitionsAdded { answer, place };
                let id = &transaction.transactional_id;
                let producer = (transaction.producer_id, transaction.producer_epoch);
                if let Some(error) = self.add(turn, image, context, id, producer, &partitions, then) {
                    self.answers.decide(turn, answer, place, error);
                }
            }
        }
    }

    /// A client of version 1 is about to commit offsets in its transaction.
    pub(super) fn add_offsets_to_txn(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        context: &Context,
        request: &AddOffsetsToTxnRequest,
    ) {
        let reply = context.reply();
        let topic = topic_name(OFFSETS_TOPIC);
        let count = image.topics.get(&topic).map_or(0, |topic| topic.partitions.len() as i32);
        let partition = TopicPartition { topic, partition: partition_of_key(&request.group_id.0, count) };
        let id = &request.transactional_id;
        let producer = (request.producer_id, request.producer_epoch);
        let then = Then::OffsetsAdded { reply };
        if let Some(error) = self.add(turn, image, context, id, producer, &SortedSet::from([partition]), then) {
            respond_offsets(turn, reply, error);
        }
    }

    /// What is answered at once; `None`: the answer waits for the log.
    #[expect(clippy::too_many_arguments, reason = "two requests say the same in their own fields")]
    fn add(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        context: &Context,
        id: &TransactionalId,
        (producer_id, epoch): (ProducerId, i16),
        partitions: &SortedSet<TopicPartition>,
        then: Then,
    ) -> Option<Option<ErrorCode>> {
        if id.0.is_empty() {
            return Some(Some(ErrorCode::InvalidRequest));
        }
        let (home, transaction) = match self.known(image, id) {
            Ok(known) => known,
            Err(error) => return Some(Some(error)),
        };
        let current = &transaction.current;
        if transaction.pending.is_some() {
            return Some(Some(ErrorCode::ConcurrentTransactions));
        }
        if current.producer_id != producer_id {
            return Some(Some(ErrorCode::InvalidProducerIdMapping));
        }
        if current.producer_epoch != epoch {
            self.tell_fenced(turn, id, epoch);
            return Some(Some(ErrorCode::ProducerFenced));
        }
        if current.state.is_prepared() {
            return Some(Some(ErrorCode::ConcurrentTransactions));
        }
        if current.state == TransactionState::Ongoing && partitions.is_subset(&current.partitions) {
            return Some(None);
        }
        let next = transaction.prepare_add_partitions(partitions, context.version, turn.now.millis());
        self.write(turn, home, id, Some(next), then);
        None
    }

    /// Only looks: a leader asks whether the client has added its partition.
    fn verify(
        &mut self,
        image: &MetadataImage,
        transaction: &AddPartitionsToTxnTransaction,
        partitions: &SortedSet<TopicPartition>,
    ) -> AddPartitionsToTxnResult {
        let id = &transaction.transactional_id;
        let checked = if id.0.is_empty() { Err(ErrorCode::InvalidRequest) } else { self.known(image, id) };
        let checked = checked.and_then(|(_, known)| {
            let current = &known.current;
            if current.producer_id != transaction.producer_id {
                Err(ErrorCode::InvalidProducerIdMapping)
            } else if current.producer_epoch != transaction.producer_epoch {
                Err(ErrorCode::ProducerFenced)
            } else if current.state.is_prepared() {
                Err(ErrorCode::ConcurrentTransactions)
            } else {
                Ok(&current.partitions)
            }
        });
        let missing: SortedSet<TopicPartition> = match checked {
            Err(error) => return result(transaction, |_, _| Some(error)),
            Ok(present) => partitions.iter().filter(|partition| !present.contains(*partition)).cloned().collect(),
        };
        result(transaction, |topic, partition| {
            let is_missing = missing.contains(&TopicPartition { topic: topic.clone(), partition });
            is_missing.then_some(ErrorCode::TransactionAbortable)
        })
    }
}

fn partitions(transaction: &AddPartitionsToTxnTransaction) -> SortedSet<TopicPartition> {
    let of = |topic: &TopicName, partition: i32| TopicPartition { topic: topic.clone(), partition };
    transaction.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| of(&topic.name, *p))).collect()
}

pub(super) fn respond_offsets(turn: &mut Turn<'_>, reply: Reply, error: Option<ErrorCode>) {
    let response = AddOffsetsToTxnResponse::default().with_error_code(code(error));
    turn.respond(reply.to, reply.correlation, response);
}
