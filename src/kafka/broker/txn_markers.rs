//! WRITE_TXN_MARKERS (KafkaApis.handleWriteTxnMarkersRequest): a transaction coordinator ends a
//! transaction on the partitions that this broker leads. Answered when the markers are replicated.

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::purgatory::WaitId;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::fact::Fact;
use crate::kafka::log::Origin;
use crate::kafka::node::Turn;
use crate::kafka::replica::Claim;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::time::Duration;
use crate::wire::batch::EndTxnMarker;
use crate::wire::messages::write_txn_markers_request::WritableTxnMarker;
use crate::wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::wire::{Correlation, ErrorCode, NodeId, Offset, ProducerId, TopicPartition, code};

/// `request.timeout.ms`: how long a marker may take to be replicated.
const MARKER_TIMEOUT: Duration = Duration::from_secs(30);
/// All transactions here end in version 2, with an epoch that only the marker has. Kafka's request
/// says so in a field of its newest version.
const TRANSACTION_VERSION: i16 = 2;

/// A marker's place in the answer.
#[derive(Clone, Debug, PartialEq)]
struct Marker {
    producer_id: ProducerId,
    partition: TopicPartition,
    /// The high watermark that the partition must reach, or how it ended.
    state: Result<Option<Offset>, ErrorCode>,
}

/// A request that waits for the in-sync replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct DelayedMarkers {
    from: NodeId,
    correlation: Correlation,
    markers: Vec<Marker>,
}

impl Process {
    pub(super) fn write_txn_markers(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &WriteTxnMarkersRequest,
    ) {
        let mut markers = Vec::new();
        for marker in &request.markers {
            for topic in &marker.topics {
                for index in &topic.partition_indexes {
                    let partition = TopicPartition { topic: topic.name.clone(), partition: *index };
                    let state = self.write_marker(disk, turn, &partition, marker).map(Some);
                    markers.push(Marker { producer_id: marker.producer_id, partition, state });
                }
            }
        }
        let waits: Vec<TopicPartition> = markers.iter().map(|marker| marker.partition.clone()).collect();
        let id = self.markers.add(turn.now + MARKER_TIMEOUT, waits, DelayedMarkers { from, correlation, markers });
        self.check_markers(disk, turn, id);
    }

    /// The offset that must be replicated.
    fn write_marker(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        marker: &WritableTxnMarker,
    ) -> Result<Offset, ErrorCode> {
        let (commit, coordinator_epoch) = (marker.transaction_result, marker.coordinator_epoch);
        let (producer_id, epoch) = (marker.producer_id, marker.producer_epoch);
        let batch = EndTxnMarker { commit, coordinator_epoch }.batch(producer_id, epoch, turn.now.millis());
        let claim = Claim { transaction_version: TRANSACTION_VERSION, ..Claim::new(-1, Origin::Coordinator) };
        let appended = self.append(disk, turn, partition, batch.bytes().clone(), claim)?;
        let (partition, broker, offset) = (partition.clone(), self.id, appended.first);
        if CoordinatorType::of_topic(&partition.topic) == Some(CoordinatorType::Group) {
            self.groups.transaction_ended(turn, partition.partition, producer_id, commit, offset);
        }
        turn.tell(Fact::MarkerWritten { partition, broker, producer_id, epoch, commit, offset });
        Ok(appended.last.next())
    }

    /// Something happened to a partition: the requests that wait for it are looked at again.
    pub(super) fn touch_markers(&mut self, disk: &Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        for id in self.markers.watching(partition) {
            self.check_markers(disk, turn, id);
        }
    }

    pub(super) fn expire_markers(&mut self, turn: &mut Turn<'_>) {
        while let Some(mut delayed) = self.markers.take_expired(turn.now) {
            for marker in delayed.markers.iter_mut().filter(|marker| matches!(marker.state, Ok(Some(_)))) {
                marker.state = Err(ErrorCode::RequestTimedOut);
            }
            answer(turn, delayed);
        }
    }

    fn check_markers(&mut self, disk: &Disk, turn: &mut Turn<'_>, id: WaitId) {
        let Some(delayed) = self.markers.get_mut(id) else { return };
        let mut waiting = false;
        for marker in &mut delayed.markers {
            let Ok(Some(required)) = marker.state else { continue };
            let checked = match (self.replicas.get(&marker.partition), disk.log(&marker.partition)) {
                (Some(replica), Some(log)) => replica.check_acks(log, required),
                _ => Some(Err(ErrorCode::UnknownTopicOrPartition)),
            };
            match checked {
                None => waiting = true,
                Some(result) => marker.state = result.map(|()| None),
            }
        }
        if !waiting && let Some(delayed) = self.markers.remove(id) {
            answer(turn, delayed);
        }
    }
}

fn answer(turn: &mut Turn<'_>, delayed: DelayedMarkers) {
    let mut response = WriteTxnMarkersResponse::default();
    for Marker { producer_id, partition, state } in delayed.markers {
        let result = WritableTxnMarkerPartitionResult::default()
            .with_partition_index(partition.partition)
            .with_error_code(code(state.err()));
        if response.markers.last().is_none_or(|marker| marker.producer_id != producer_id) {
            response.markers.push(WritableTxnMarkerResult::default().with_producer_id(producer_id));
        }
        let Some(marker) = response.markers.last_mut() else { continue };
        match marker.topics.last_mut() {
            Some(topic) if topic.name == partition.topic => topic.partitions.push(result),
            _ => marker
                .topics
                .push(WritableTxnMarkerTopicResult::default().with_name(partition.topic).with_partitions(vec![result])),
        }
    }
    turn.respond(delayed.from, delayed.correlation, response);
}
