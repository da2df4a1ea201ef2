//! Answers to ADD_PARTITIONS_TO_TXN that wait until all their transactions are decided.

use crate::kafka::coordinator::Reply;
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::wire::messages::AddPartitionsToTxnResponse;
use crate::wire::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use crate::wire::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use crate::wire::{ErrorCode, TopicName, code};

#[derive(Clone, Debug, PartialEq)]
struct Answer {
    reply: Reply,
    response: AddPartitionsToTxnResponse,
    /// How many of its results are still open.
    open: u32,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Answers {
    last: u64,
    waiting: SortedMap<u64, Answer>,
}

impl Answers {
    /// An answer with a place for every transaction of the request.
    pub fn open(&mut self, reply: Reply, transactions: &[AddPartitionsToTxnTransaction]) -> u64 {
        self.last += 1;
        let results = transactions.iter().map(|transaction| result(transaction, |_, _| None)).collect();
        let response = AddPartitionsToTxnResponse::default().with_results_by_transaction(results);
        self.waiting.insert(self.last, Answer { reply, response, open: transactions.len() as u32 });
        self.last
    }

    /// One transaction is decided, for all its partitions alike.
    pub fn decide(&mut self, turn: &mut Turn<'_>, answer: u64, place: u32, error: Option<ErrorCode>) {
        self.fill(turn, answer, place, |result| {
            for partition in result.topic_results.iter_mut().flat_map(|topic| &mut topic.results_by_partition) {
                partition.partition_error_code = code(error);
            }
        });
    }

    /// One transaction is decided.
    pub fn fill(
        &mut self,
        turn: &mut Turn<'_>,
        answer: u64,
        place: u32,
        with: impl FnOnce(&mut AddPartitionsToTxnResult),
    ) {
        let Some(waiting) = self.waiting.get_mut(&answer) else { return };
        if let Some(result) = waiting.response.results_by_transaction.get_mut(place as usize) {
            with(result);
            waiting.open -= 1;
        }
        if waiting.open == 0 {
            let Answer { reply, response, open: _ } = self.waiting.remove(&answer).expect("it was found above");
            turn.respond(reply.to, reply.correlation, response);
        }
    }
}

/// What is said of each partition of a transaction.
pub(super) fn result(
    transaction: &AddPartitionsToTxnTransaction,
    error: impl Fn(&TopicName, i32) -> Option<ErrorCode>,
) -> AddPartitionsToTxnResult {
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let partition = |partition: &i32| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*partition)
                .with_partition_error_code(code(error(&topic.name, *partition)))
        };
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(topic.partitions.iter().map(partition).collect())
    };
    AddPartitionsToTxnResult::default()
        .with_transactional_id(transaction.transactional_id.clone())
        .with_topic_results(transaction.topics.iter().map(topic).collect())
}
