//! The markers of transactions whose outcome is decided, on their way to the leaders of the
//! partitions (TransactionMarkerChannelManager, TransactionMarkerRequestCompletionHandler).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::TransactionMetadata;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use crate::wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::wire::{
    ApiKey, BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, ProducerId, TopicPartition, TransactionalId, error,
};

/// How long a leader that could not be reached, or that asked to come again, is left alone.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// A decided transaction that waits for its markers (PendingCompleteTxn).
#[derive(Clone, Debug, PartialEq)]
pub struct PendingMarkers {
    /// The partition of `__transaction_state` that the id belongs to.
    pub(super) home: i32,
    pub coordinator_epoch: LeaderEpoch,
    pub producer_id: ProducerId,
    /// As it stands in the markers.
    pub producer_epoch: i16,
    pub commit: bool,
    /// Partitions whose marker nobody has confirmed.
    pub remaining: SortedSet<TopicPartition>,
    /// Those among them that no request in flight names.
    unsent: SortedSet<TopicPartition>,
    /// What is written when none remains.
    pub(super) complete: TransactionMetadata,
}

#[derive(Clone, Debug, PartialEq)]
struct InFlight {
    correlation: Correlation,
    until: Instant,
    /// What was asked for, with the epoch of the coordinator that asked.
    markers: Vec<(TransactionalId, LeaderEpoch, SortedSet<TopicPartition>)>,
}

/// One request at a time to each leader.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct MarkerChannel {
    pending: SortedMap<TransactionalId, PendingMarkers>,
    in_flight: SortedMap<BrokerId, InFlight>,
    /// Leaders that are left alone until then.
    paused: SortedMap<BrokerId, Instant>,
}

impl PendingMarkers {
    pub(super) fn new(
        home: i32,
        coordinator_epoch: LeaderEpoch,
        decided: &TransactionMetadata,
        commit: bool,
        complete: TransactionMetadata,
    ) -> PendingMarkers {
        PendingMarkers {
            home,
            coordinator_epoch,
            producer_id: decided.producer_id,
            producer_epoch: decided.producer_epoch,
            commit,
            remaining: decided.partitions.clone(),
            unsent: decided.partitions.clone(),
            complete,
        }
    }
}

impl MarkerChannel {
    pub fn add(&mut self, id: TransactionalId, markers: PendingMarkers) {
        self.pending.insert(id, markers);
    }

    pub fn get(&self, id: &TransactionalId) -> Option<&PendingMarkers> {
        self.pending.get(id)
    }

    /// The broker does not lead that partition of `__transaction_state` any more.
    pub fn remove_home(&mut self, home: i32) {
        self.pending.retain(|_, markers| markers.home != home);
    }

    /// A transaction all of whose markers are written, or whose partitions are gone.
    pub fn take_finished(&mut self) -> Option<(TransactionalId, PendingMarkers)> {
        let id = self.pending.iter().find(|(_, markers)| markers.remaining.is_empty())?.0.clone();
        let markers = self.pending.remove(&id)?;
        Some((id, markers))
    }

    /// Sends what waits to the leaders of the moment. A partition that the metadata does not know is
    /// deleted and needs no marker; one without a leader waits for the next.
    pub fn send(&mut self, turn: &mut Turn<'_>, image: &MetadataImage, timeout: Duration) {
        let mut requests: SortedMap<BrokerId, Vec<(TransactionalId, SortedSet<TopicPartition>)>> = SortedMap::new();
        for (id, markers) in self.pending.iter_mut() {
            let mut kept = SortedSet::new();
            for partition in std::mem::take(&mut markers.unsent) {
                let Some(registration) = image.partition(&partition) else {
                    markers.remaining.remove(&partition);
                    continue;
                };
                let leader = registration.leader.filter(|leader| image.brokers.contains_key(leader));
                let free = |leader: &BrokerId| {
                    !self.in_flight.contains_key(leader)
                        && self.paused.get(leader).is_none_or(|until| *until <= turn.now)
                };
                let Some(leader) = leader.filter(free) else {
                    kept.insert(partition);
                    continue;
                };
                let request = requests.entry(leader).or_default();
                match request.last_mut() {
                    Some((last, partitions)) if last == id => drop(partitions.insert(partition)),
                    _ => request.push((id.clone(), SortedSet::from([partition]))),
                }
            }
            markers.unsent = kept;
        }
        for (leader, asked) in requests {
            self.request(turn, leader, asked, timeout);
        }
    }

    fn request(
        &mut self,
        turn: &mut Turn<'_>,
        leader: BrokerId,
        asked: Vec<(TransactionalId, SortedSet<TopicPartition>)>,
        timeout: Duration,
    ) {
        let mut request = WriteTxnMarkersRequest::default();
        let mut markers = Vec::new();
        for (id, partitions) in asked {
            let Some(pending) = self.pending.get(&id) else { continue };
            let marker = WritableTxnMarker::default()
                .with_producer_id(pending.producer_id)
                .with_producer_epoch(pending.producer_epoch)
                .with_transaction_result(pending.commit)
                .with_coordinator_epoch(pending.coordinator_epoch.0)
                .with_topics(topics(&partitions));
            request.markers.push(marker);
            markers.push((id, pending.coordinator_epoch, partitions));
        }
        self.paused.remove(&leader);
        let correlation = turn.request(NodeId::Broker(leader), request);
        self.in_flight.insert(leader, InFlight { correlation, until: turn.now + timeout, markers });
    }

    /// What a leader has written counts; what it could not write is sent again. A newer epoch of the
    /// producer or of the coordinator means that somebody else goes on with it.
    pub fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        leader: BrokerId,
        correlation: Correlation,
        response: &WriteTxnMarkersResponse,
    ) {
        if self.in_flight.get(&leader).is_none_or(|flying| flying.correlation != correlation) {
            return;
        }
        let Some(flying) = self.in_flight.remove(&leader) else { return };
        for (id, epoch, partitions) in flying.markers {
            let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.coordinator_epoch == epoch) else {
                continue;
            };
            let mut superseded = false;
            for partition in partitions {
                match result(response, pending.producer_id, &partition) {
                    None => drop(pending.remaining.remove(&partition)),
                    Some(ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced) => {
                        superseded = true;
                    }
                    Some(_) => {
                        pending.unsent.insert(partition);
                        self.paused.insert(leader, turn.now + RETRY_BACKOFF);
                    }
                }
            }
            if superseded {
                self.pending.remove(&id);
            }
        }
    }

    /// The connection broke: everything in flight is sent again, perhaps elsewhere.
    pub fn disconnected(&mut self, turn: &Turn<'_>, leader: BrokerId) {
        if self.in_flight.contains_key(&leader) {
            self.requeue(leader, turn.now);
        }
    }

    pub fn alarm(&mut self, turn: &mut Turn<'_>, me: BrokerId) {
        let late = self.in_flight.iter().filter(|(_, flying)| flying.until <= turn.now);
        let late: Vec<BrokerId> = late.map(|(leader, _)| *leader).collect();
        for leader in late {
            let (node, to) = (NodeId::Broker(me), NodeId::Broker(leader));
            turn.tell(Fact::RequestTimedOut { node, to, api: ApiKey::WriteTxnMarkers });
            self.requeue(leader, turn.now);
        }
        let now = turn.now;
        self.paused.retain(|_, until| *until > now);
    }

    fn requeue(&mut self, leader: BrokerId, now: Instant) {
        let Some(flying) = self.in_flight.remove(&leader) else { return };
        self.paused.insert(leader, now + RETRY_BACKOFF);
        for (id, epoch, partitions) in flying.markers {
            if let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.coordinator_epoch == epoch) {
                pending.unsent.extend(partitions);
            }
        }
    }

    pub fn next_alarm(&self) -> Option<Instant> {
        let late = self.in_flight.values().map(|flying| flying.until);
        late.chain(self.paused.values().copied()).min()
    }
}

/// What the leader says of a partition; an answer that does not name it is no confirmation.
fn result(response: &WriteTxnMarkersResponse, producer: ProducerId, partition: &TopicPartition) -> Option<ErrorCode> {
    let marker = response.markers.iter().find(|marker| marker.producer_id == producer);
    let topic = marker.and_then(|marker| marker.topics.iter().find(|topic| topic.name == partition.topic));
    let found = topic.and_then(|topic| topic.partitions.iter().find(|p| p.partition_index == partition.partition));
    found.map_or(Some(ErrorCode::UnknownServerError), |found| error(found.error_code))
}

fn topics(partitions: &SortedSet<TopicPartition>) -> Vec<WritableTxnMarkerTopic> {
    let mut topics: Vec<WritableTxnMarkerTopic> = Vec::new();
    for partition in partitions {
        match topics.last_mut() {
            Some(topic) if topic.name == partition.topic => topic.partition_indexes.push(partition.partition),
            _ => topics.push(
                WritableTxnMarkerTopic::default()
                    .with_name(partition.topic.clone())
                    .with_partition_indexes(vec![partition.partition]),
            ),
        }
    }
    topics
}
