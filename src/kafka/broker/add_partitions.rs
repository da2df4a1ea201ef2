//! The leader of a partition tells the coordinator of a transaction that its partition belongs to it
//! (AddPartitionsToTxnManager, KIP-890): one request at a time to each coordinator.

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use crate::wire::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use crate::wire::{
    ApiKey, BrokerId, Correlation, ErrorCode, NodeId, ProducerId, TRANSACTION_TOPIC, TopicPartition, TransactionalId,
    error, partition_of_key, topic_name,
};

/// `request.timeout.ms`
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What is to be added, for the request that waits under this number.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    pub waiting: u64,
    pub id: TransactionalId,
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub partitions: Vec<TopicPartition>,
}

/// How an addition went: the partitions that it failed for.
pub type Added = (u64, Vec<(TopicPartition, ErrorCode)>);

#[derive(Clone, Debug, PartialEq)]
struct InFlight {
    correlation: Correlation,
    until: Instant,
    additions: Vec<Addition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AddPartitionsManager {
    me: BrokerId,
    queued: SortedMap<BrokerId, Vec<Addition>>,
    in_flight: SortedMap<BrokerId, InFlight>,
}

impl AddPartitionsManager {
    pub fn new(me: BrokerId) -> AddPartitionsManager {
        AddPartitionsManager { me, queued: SortedMap::new(), in_flight: SortedMap::new() }
    }

    /// Asks the coordinator; what is decided at once is returned.
    pub fn add(&mut self, turn: &mut Turn<'_>, image: &MetadataImage, addition: Addition) -> Vec<Added> {
        let Some(coordinator) = coordinator(image, &addition.id) else {
            return vec![failed(addition, ErrorCode::CoordinatorNotAvailable)];
        };
        let queue = self.queued.entry(coordinator).or_default();
        let mut decided = Vec::new();
        if let Some(at) = queue.iter().position(|queued| queued.id == addition.id) {
            // Of one id only the newest is asked about: an older epoch is fenced, and the same one
            // comes from a client that repeats itself.
            let queued = queue[at].epoch;
            if queued > addition.epoch {
                return vec![failed(addition, ErrorCode::InvalidProducerEpoch)];
            }
            let fenced = queued < addition.epoch;
            let error = if fenced { ErrorCode::InvalidProducerEpoch } else { ErrorCode::NetworkException };
            decided.push(failed(queue.remove(at), error));
        }
        queue.push(addition);
        self.send(turn, coordinator);
        decided
    }

    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: BrokerId,
        correlation: Correlation,
        response: &AddPartitionsToTxnResponse,
    ) -> Vec<Added> {
        if self.in_flight.get(&from).is_none_or(|flying| flying.correlation != correlation) {
            return Vec::new();
        }
        let additions = self.in_flight.remove(&from).map(|flying| flying.additions).unwrap_or_default();
        self.send(turn, from);
        additions.into_iter().map(|addition| outcome(addition, response)).collect()
    }

    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: BrokerId) -> Vec<Added> {
        let lost = self.in_flight.remove(&peer).map(|flying| flying.additions).unwrap_or_default();
        self.send(turn, peer);
        lost.into_iter().map(|addition| failed(addition, ErrorCode::NetworkException)).collect()
    }

    /// Requests that got no answer in time.
    pub fn expire(&mut self, turn: &mut Turn<'_>) -> Vec<Added> {
        let late = self.in_flight.iter().filter(|(_, flying)| flying.until <= turn.now);
        let late: Vec<BrokerId> = late.map(|(coordinator, _)| *coordinator).collect();
        let mut decided = Vec::new();
        for coordinator in late {
            let (node, to) = (NodeId::Broker(self.me), NodeId::Broker(coordinator));
            turn.tell(Fact::RequestTimedOut { node, to, api: ApiKey::AddPartitionsToTxn });
            decided.extend(self.disconnected(turn, coordinator));
        }
        decided
    }

    pub fn next_alarm(&self) -> Option<Instant> {
        self.in_flight.values().map(|flying| flying.until).min()
    }

    fn send(&mut self, turn: &mut Turn<'_>, coordinator: BrokerId) {
        if self.in_flight.contains_key(&coordinator) {
            return;
        }
        let Some(additions) = self.queued.remove(&coordinator) else { return };
        let transactions = additions.iter().map(transaction).collect();
        let request = AddPartitionsToTxnRequest::default().with_transactions(transactions);
        let correlation = turn.request(NodeId::Broker(coordinator), request);
        let until = turn.now + REQUEST_TIMEOUT;
        self.in_flight.insert(coordinator, InFlight { correlation, until, additions });
    }
}

/// The leader of the id's partition of `__transaction_state`, if it is there and alive.
fn coordinator(image: &MetadataImage, id: &TransactionalId) -> Option<BrokerId> {
    let topic = image.topics.get(&topic_name(TRANSACTION_TOPIC))?;
    let leader = topic.partitions.get(&partition_of_key(&id.0, topic.partitions.len() as i32))?.leader?;
    image.brokers.get(&leader).filter(|broker| !broker.fenced).map(|_| leader)
}

fn transaction(addition: &Addition) -> AddPartitionsToTxnTransaction {
    let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
    for partition in &addition.partitions {
        match topics.iter_mut().find(|topic| topic.name == partition.topic) {
            Some(topic) => topic.partitions.push(partition.partition),
            None => topics.push(
                AddPartitionsToTxnTopic::default()
                    .with_name(partition.topic.clone())
                    .with_partitions(vec![partition.partition]),
            ),
        }
    }
    AddPartitionsToTxnTransaction::default()
        .with_transactional_id(addition.id.clone())
        .with_producer_id(addition.producer_id)
        .with_producer_epoch(addition.epoch)
        .with_topics(topics)
}

fn failed(addition: Addition, error: ErrorCode) -> Added {
    (addition.waiting, addition.partitions.into_iter().map(|partition| (partition, error)).collect())
}

fn outcome(addition: Addition, response: &AddPartitionsToTxnResponse) -> Added {
    if let Some(error) = error(response.error_code) {
        return failed(addition, error);
    }
    let results = response.results_by_transaction.iter().filter(|result| result.transactional_id == addition.id);
    let mut refused = Vec::new();
    for topic in results.flat_map(|result| &result.topic_results) {
        for result in &topic.results_by_partition {
            let Some(error) = error(result.partition_error_code) else { continue };
            // Producers know how to go on after the one, not after the other.
            let error = if error == ErrorCode::ProducerFenced { ErrorCode::InvalidProducerEpoch } else { error };
            refused.push((TopicPartition { topic: topic.name.clone(), partition: result.partition_index }, error));
        }
    }
    (addition.waiting, refused)
}
