//! The quorum's messages: what is put into the protocol's structs and read out of them (RaftUtil).
//! A controller's disk is never replaced, so votes and fetches need no directory ids to tell one
//! from another; and every node knows every other's address, so leaders need no endpoints.

use bytes::Bytes;
use kafka_protocol::messages::begin_quorum_epoch_request as begin;
use kafka_protocol::messages::begin_quorum_epoch_response as begun;
use kafka_protocol::messages::end_quorum_epoch_request as end;
use kafka_protocol::messages::end_quorum_epoch_response as ended;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData as FetchedPartition,
    SnapshotId as SnapshotField,
};
use kafka_protocol::messages::vote_request as vote;
use kafka_protocol::messages::vote_response as voted;
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId, EndQuorumEpochRequest, EndQuorumEpochResponse,
    FetchRequest, FetchResponse, VoteRequest, VoteResponse,
};

use crate::kafka::quorum::position::FetchPosition;
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{
    ControllerId, ErrorCode, LeaderEpoch, METADATA_TOPIC, NodeId, Offset, TopicName, Uuid, code, topic_name,
};

/// Uuid.METADATA_TOPIC_ID: by it fetches name the metadata log.
pub const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

/// Whether a fetch is one of the metadata log, and so the quorum's to answer.
pub fn is_metadata_fetch(request: &FetchRequest) -> bool {
    request.topics.iter().any(|topic| topic.topic_id == METADATA_TOPIC_ID)
}

/// Whether a fetch response is about the metadata log.
pub fn is_metadata_response(response: &FetchResponse) -> bool {
    response.responses.iter().any(|topic| topic.topic_id == METADATA_TOPIC_ID)
}

/// KafkaRaftClient.MAX_FETCH_WAIT_MS
pub(super) const MAX_FETCH_WAIT_MS: i32 = 500;
/// KafkaRaftClient.MAX_FETCH_SIZE_BYTES and MAX_BATCH_SIZE_BYTES
pub(super) const MAX_SIZE_BYTES: i32 = 8 << 20;

/// What this node says of the epoch in every response: a leader of `None` is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    pub epoch: LeaderEpoch,
    pub leader: Option<ControllerId>,
}

impl Standing {
    pub fn read(leader: BrokerId, epoch: i32) -> Standing {
        Standing { epoch: LeaderEpoch(epoch), leader: ControllerId::from_node_id(leader.0) }
    }

    pub fn leader_id(self) -> BrokerId {
        BrokerId(self.leader.map_or(-1, ControllerId::node_id))
    }
}

/// A VOTE request as it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct VoteAsked {
    pub voter: BrokerId,
    pub candidate: BrokerId,
    pub epoch: LeaderEpoch,
    pub last_epoch: LeaderEpoch,
    pub last_offset: Offset,
    pub pre_vote: bool,
}

/// A fetch of the metadata log, as much of it as decides the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FetchAsked {
    pub replica: Option<NodeId>,
    pub epoch: LeaderEpoch,
    pub offset: Offset,
    pub last_epoch: LeaderEpoch,
    /// The high watermark that the fetcher knows (KIP-1166): -1 for none, the largest number when
    /// it does not say.
    pub high_watermark: Offset,
    pub max_wait_ms: i32,
}

/// The answer to a fetch of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetched {
    pub error: Option<ErrorCode>,
    pub standing: Standing,
    /// `None` while the leader does not know it.
    pub high_watermark: Option<Offset>,
    pub log_start: Offset,
    pub position: FetchPosition,
    pub records: Bytes,
}

pub(super) fn vote_request(voter: ControllerId, asked: VoteAsked) -> VoteRequest {
    let partition = vote::PartitionData::default()
        .with_replica_epoch(asked.epoch.0)
        .with_replica_id(asked.candidate)
        .with_last_offset_epoch(asked.last_epoch.0)
        .with_last_offset(asked.last_offset.0)
        .with_pre_vote(asked.pre_vote);
    let topic = vote::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    VoteRequest::default().with_voter_id(BrokerId(voter.node_id())).with_topics(vec![topic])
}

/// `None` when the request is not about the metadata log.
pub(super) fn read_vote_request(request: &VoteRequest) -> Option<VoteAsked> {
    let [topic] = request.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    is_metadata_partition(&topic.topic_name, partition.partition_index).then_some(VoteAsked {
        voter: request.voter_id,
        candidate: partition.replica_id,
        epoch: LeaderEpoch(partition.replica_epoch),
        last_epoch: LeaderEpoch(partition.last_offset_epoch),
        last_offset: Offset(partition.last_offset),
        pre_vote: partition.pre_vote,
    })
}

pub(super) fn vote_response(error: Option<ErrorCode>, standing: Standing, granted: bool) -> VoteResponse {
    let partition = voted::PartitionData::default()
        .with_error_code(code(error))
        .with_leader_id(standing.leader_id())
        .with_leader_epoch(standing.epoch.0)
        .with_vote_granted(granted);
    let topic = voted::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    VoteResponse::default().with_topics(vec![topic])
}

pub(super) fn read_vote_response(response: &VoteResponse) -> Option<(Option<ErrorCode>, Standing, bool)> {
    let [topic] = response.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    let standing = Standing::read(partition.leader_id, partition.leader_epoch);
    Some((crate::wire::error(partition.error_code), standing, partition.vote_granted))
}

pub(super) fn begin_request(voter: ControllerId, leader: ControllerId, epoch: LeaderEpoch) -> BeginQuorumEpochRequest {
    let partition =
        begin::PartitionData::default().with_leader_id(BrokerId(leader.node_id())).with_leader_epoch(epoch.0);
    let topic = begin::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    BeginQuorumEpochRequest::default().with_voter_id(BrokerId(voter.node_id())).with_topics(vec![topic])
}

/// The leader and the epoch that a BEGIN_QUORUM_EPOCH announces.
pub(super) fn read_begin_request(request: &BeginQuorumEpochRequest) -> Option<(BrokerId, LeaderEpoch)> {
    let [topic] = request.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    is_metadata_partition(&topic.topic_name, partition.partition_index)
        .then_some((partition.leader_id, LeaderEpoch(partition.leader_epoch)))
}

pub(super) fn begin_response(error: Option<ErrorCode>, standing: Standing) -> BeginQuorumEpochResponse {
    let partition = begun::PartitionData::default()
        .with_error_code(code(error))
        .with_leader_id(standing.leader_id())
        .with_leader_epoch(standing.epoch.0);
    let topic = begun::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    BeginQuorumEpochResponse::default().with_topics(vec![topic])
}

pub(super) fn read_begin_response(response: &BeginQuorumEpochResponse) -> Option<(Option<ErrorCode>, Standing)> {
    let [topic] = response.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    Some((crate::wire::error(partition.error_code), Standing::read(partition.leader_id, partition.leader_epoch)))
}

pub(super) fn end_request(
    leader: ControllerId,
    epoch: LeaderEpoch,
    successors: &[ControllerId],
) -> EndQuorumEpochRequest {
    let candidates = successors
        .iter()
        .map(|successor| end::ReplicaInfo::default().with_candidate_id(BrokerId(successor.node_id())))
        .collect();
    let partition = end::PartitionData::default()
        .with_leader_id(BrokerId(leader.node_id()))
        .with_leader_epoch(epoch.0)
        .with_preferred_candidates(candidates);
    let topic = end::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    EndQuorumEpochRequest::default().with_topics(vec![topic])
}

/// The leader, the epoch that it ends, and who should succeed it, the best first.
pub(super) fn read_end_request(request: &EndQuorumEpochRequest) -> Option<(BrokerId, LeaderEpoch, Vec<BrokerId>)> {
    let [topic] = request.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    let candidates = partition.preferred_candidates.iter().map(|candidate| candidate.candidate_id).collect();
    is_metadata_partition(&topic.topic_name, partition.partition_index).then_some((
        partition.leader_id,
        LeaderEpoch(partition.leader_epoch),
        candidates,
    ))
}

pub(super) fn end_response(error: Option<ErrorCode>, standing: Standing) -> EndQuorumEpochResponse {
    let partition = ended::PartitionData::default()
        .with_error_code(code(error))
        .with_leader_id(standing.leader_id())
        .with_leader_epoch(standing.epoch.0);
    let topic = ended::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    EndQuorumEpochResponse::default().with_topics(vec![topic])
}

pub(super) fn read_end_response(response: &EndQuorumEpochResponse) -> Option<(Option<ErrorCode>, Standing)> {
    let [topic] = response.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    Some((crate::wire::error(partition.error_code), Standing::read(partition.leader_id, partition.leader_epoch)))
}

pub(super) fn fetch_request(me: NodeId, asked: FetchAsked) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_current_leader_epoch(asked.epoch.0)
        .with_fetch_offset(asked.offset.0)
        .with_last_fetched_epoch(asked.last_epoch.0)
        .with_high_watermark(asked.high_watermark.0);
    let topic = FetchTopic::default().with_topic_id(METADATA_TOPIC_ID).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_state(ReplicaState::default().with_replica_id(BrokerId(me.node_id())))
        .with_max_wait_ms(asked.max_wait_ms)
        .with_max_bytes(MAX_SIZE_BYTES)
        .with_topics(vec![topic])
}

pub(super) fn read_fetch_request(request: &FetchRequest) -> Option<FetchAsked> {
    let [topic] = request.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    (topic.topic_id == METADATA_TOPIC_ID && partition.partition == 0).then_some(FetchAsked {
        replica: NodeId::from_node_id(request.replica_state.replica_id.0),
        epoch: LeaderEpoch(partition.current_leader_epoch),
        offset: Offset(partition.fetch_offset),
        last_epoch: LeaderEpoch(partition.last_fetched_epoch),
        high_watermark: Offset(partition.high_watermark),
        max_wait_ms: request.max_wait_ms,
    })
}

pub(super) fn fetch_response(fetched: Fetched) -> FetchResponse {
    let leader = LeaderIdAndEpoch::default()
        .with_leader_id(fetched.standing.leader_id())
        .with_leader_epoch(fetched.standing.epoch.0);
    let mut partition = FetchedPartition::default()
        .with_error_code(code(fetched.error))
        .with_high_watermark(fetched.high_watermark.unwrap_or(Offset::UNKNOWN).0)
        .with_log_start_offset(fetched.log_start.0)
        .with_current_leader(leader)
        .with_records(Some(fetched.records));
    match fetched.position {
        FetchPosition::Valid { .. } => {}
        FetchPosition::Diverging(end) => {
            partition.diverging_epoch = EpochEndOffset::default().with_epoch(end.epoch.0).with_end_offset(end.end.0);
        }
        FetchPosition::Snapshot(id) => {
            partition.snapshot_id = SnapshotField::default().with_epoch(id.epoch.0).with_end_offset(id.end.0);
        }
    }
    let topic = FetchableTopicResponse::default().with_topic_id(METADATA_TOPIC_ID).with_partitions(vec![partition]);
    FetchResponse::default().with_responses(vec![topic])
}

/// The partition of a fetch response, with its error and what it says of the epoch.
pub(super) fn read_fetch_response(
    response: &FetchResponse,
) -> Option<(Option<ErrorCode>, Standing, &FetchedPartition)> {
    let [topic] = response.responses.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    let standing = Standing::read(partition.current_leader.leader_id, partition.current_leader.leader_epoch);
    (topic.topic_id == METADATA_TOPIC_ID).then_some((crate::wire::error(partition.error_code), standing, partition))
}

/// A batch of metadata records from their encoded values.
pub(super) fn metadata_batch(values: &[Bytes], timestamp: i64) -> Batch {
    let records: Vec<NewRecord> = values
        .iter()
        .map(|value| NewRecord { timestamp, key: None, value: Some(value.clone()), headers: Vec::new() })
        .collect();
    Batch::build(&HEADER, &records)
}

/// The metadata log has no producers.
const HEADER: BatchHeader = BatchHeader::PLAIN;

fn metadata_topic() -> TopicName {
    topic_name(METADATA_TOPIC)
}

fn is_metadata_partition(topic: &TopicName, partition: i32) -> bool {
    topic.0.as_str() == METADATA_TOPIC && partition == 0
}
