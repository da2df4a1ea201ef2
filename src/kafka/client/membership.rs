//! A consumer's part in its group, by the classic protocol: finding the coordinator, joining,
//! assigning as the group's leader, heartbeats, commits (AbstractCoordinator, ConsumerCoordinator).

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::kafka::client::assignor::sticky::Memory;
use crate::kafka::client::assignor::{self, Assignor, RebalanceProtocol, TopicRacks};
use crate::kafka::client::consumer_heartbeat::Heartbeats;
use crate::kafka::client::coordinator_lookup::Lookup;
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::retries::Retries;
use crate::kafka::client::subscription::Position;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::messages::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use crate::wire::messages::consumer_protocol_subscription::TopicPartition as OwnedTopic;
use crate::wire::messages::join_group_request::JoinGroupRequestProtocol;
use crate::wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::wire::messages::sync_group_request::SyncGroupRequestAssignment;
use crate::wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest, leave_group_request,
};
use crate::wire::{GroupId, NodeId, StrBytes, TopicName, TopicPartition, str_bytes};

/// Offsets that a commit carries.
pub type Offsets = Vec<(TopicPartition, Position)>;

/// The versions of the group protocol's embedded messages that Kafka 4.2 writes.
const SUBSCRIPTION_VERSION: i16 = 3;
const ASSIGNMENT_VERSION: i16 = 3;
/// The protocol type of consumer groups.
const PROTOCOL_TYPE: &str = "consumer";
/// No generation.
pub const NO_GENERATION: i32 = -1;

/// Where the member stands in the group's rebalance.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Unjoined,
    /// Positions are committed before the member joins, which gives partitions up (onJoinPrepare);
    /// not later than `deadline`, the next attempt at `retry_at` (`None` while one is on its way).
    Revoking {
        deadline: Instant,
        retry_at: Option<Instant>,
    },
    /// JOIN_GROUP is on its way; its number tells its answer from an abandoned one's.
    Joining(u64),
    /// The leader waits for the metadata of all topics of the group.
    Assigning(Box<JoinGroupResponse>),
    Syncing(u64),
    Stable,
}

/// One of the member's assignors, with what it remembers of its own last assignment.
#[derive(Clone, Debug, PartialEq)]
struct Offer {
    assignor: Assignor,
    memory: Option<Memory>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    pub group: GroupId,
    instance: Option<StrBytes>,
    /// `client.rack` is set.
    has_rack: bool,
    topics: Vec<TopicName>,
    /// In the order of preference.
    offers: Vec<Offer>,
    pub rebalance_protocol: RebalanceProtocol,
    pub coordinator: Lookup,
    pub member_id: StrBytes,
    pub generation: i32,
    /// The assignor that the group chose.
    pub protocol: Option<Assignor>,
    pub phase: Phase,
    /// The member must join (again), from `rejoin_at` on.
    pub rejoin: bool,
    pub rejoin_at: Instant,
    /// What JOIN_GROUP will give as its reason (KIP-800).
    rejoin_reason: String,
    /// Counts JOIN_GROUP and SYNC_GROUP requests.
    pub attempt: u64,
    pub is_leader: bool,
    /// What the leader computed its last assignment from; another partition count means a rebalance.
    pub assigned_from: Option<TopicRacks>,
    /// The topics of all members, which the leader watches.
    pub group_topics: Vec<TopicName>,
    pub next_heartbeat: Instant,
    pub heartbeat_out: bool,
    /// Of heartbeats by the classic protocol (Heartbeat.failHeartbeat).
    heartbeat_retries: Retries,
    /// Without a good heartbeat until then the coordinator is looked for again.
    pub session_ends: Instant,
    /// Only of a member that speaks the consumer protocol (KIP-848); its epoch is the generation.
    pub(super) modern: Option<Box<Heartbeats>>,
}

impl Membership {
    pub fn new(group: &str, topics: &[TopicName], assignors: Vec<Assignor>, config: &ConsumerConfig) -> Membership {
        let mut topics = topics.to_vec();
        topics.sort_unstable();
        Membership {
            group: GroupId(str_bytes(group)),
            instance: config.group_instance_id.as_deref().map(str_bytes),
            has_rack: config.client_rack.is_some(),
            topics,
            rebalance_protocol: RebalanceProtocol::of(&assignors),
            offers: assignors.into_iter().map(|assignor| Offer { assignor, memory: None }).collect(),
            coordinator: Lookup::by_poll(),
            member_id: StrBytes::default(),
            generation: NO_GENERATION,
            protocol: None,
            phase: Phase::Unjoined,
            rejoin: true,
            rejoin_at: Instant(i64::MIN),
            rejoin_reason: String::new(),
            attempt: 0,
            is_leader: false,
            assigned_from: None,
            group_topics: Vec::new(),
            next_heartbeat: Instant::FAR_FUTURE,
            heartbeat_out: false,
            heartbeat_retries: Retries::default(),
            session_ends: Instant::FAR_FUTURE,
            modern: None,
        }
    }

    /// The same by the consumer protocol: the member has its id from the beginning.
    pub fn by_consumer_protocol(self, member_id: StrBytes) -> Membership {
        Membership {
            member_id,
            generation: 0,
            rejoin: false,
            coordinator: Lookup::by_manager(),
            next_heartbeat: Instant(i64::MIN),
            modern: Some(Box::new(Heartbeats::new())),
            ..self
        }
    }

    pub fn coordinator(&self) -> Option<NodeId> {
        self.coordinator.node()
    }

    pub fn is_static(&self) -> bool {
        self.instance.is_some()
    }

    pub fn instance(&self) -> Option<&StrBytes> {
        self.instance.as_ref()
    }

    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    /// The member heartbeats from its JOIN_GROUP's answer on, until it joins again.
    pub fn heartbeats(&self) -> bool {
        self.modern.is_none()
            && matches!(self.phase, Phase::Syncing(_) | Phase::Assigning(_) | Phase::Stable | Phase::Revoking { .. })
    }

    /// The coordinator is to be looked for again; a join or sync that was on its way to it is
    /// given up (markCoordinatorUnknown). A poll that joins waits before it does either; later than the join
    /// there is the heartbeat thread, which looks at once.
    pub fn coordinator_unknown(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let retry_at = turn.now + config.retry_backoff;
        let at = if matches!(self.phase, Phase::Joining(_)) { retry_at } else { turn.now };
        self.coordinator.forget(turn, config, at);
        self.heartbeat_out = false;
        if matches!(self.phase, Phase::Joining(_) | Phase::Syncing(_) | Phase::Assigning(_)) {
            self.phase = Phase::Unjoined;
            self.request_rejoin("rebalance failed due to DisconnectException", retry_at);
        }
    }

    /// The coordinator has heard a heartbeat.
    pub fn heartbeat_heard(&mut self, now: Instant, config: &ConsumerConfig) {
        self.session_ends = now + config.session_timeout;
        self.heartbeat_retries = Retries::default();
    }

    /// It has not, or has refused it: the next one does not wait for the interval (failHeartbeat).
    pub fn heartbeat_failed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        self.next_heartbeat = self.heartbeat_retries.next(turn, config);
    }

    /// AbstractCoordinator.requestRejoin: the member joins again, not before `at`.
    pub fn request_rejoin(&mut self, reason: &str, at: Instant) {
        self.rejoin = true;
        self.rejoin_at = at;
        self.rejoin_reason = reason.to_string();
    }

    /// The member is in a stable generation with this assignment (onJoinComplete).
    pub fn synced(&mut self, partitions: &[TopicPartition]) {
        self.phase = Phase::Stable;
        self.rejoin = false;
        self.rejoin_reason.clear();
        // onAssignment: only the assignor that the group chose learns what it assigned.
        if let Some(offer) = self.offers.iter_mut().find(|offer| Some(offer.assignor) == self.protocol) {
            offer.memory = Some(Memory { partitions: partitions.to_vec(), generation: Some(self.generation) });
        }
    }

    /// resetStateOnResponseError: the generation is gone, and with UNKNOWN_MEMBER_ID the member id.
    pub fn reset(&mut self, forget_member: bool, reason: &str, rejoin_at: Instant) {
        self.generation = NO_GENERATION;
        if forget_member {
            self.member_id = StrBytes::default();
        }
        self.phase = Phase::Unjoined;
        self.request_rejoin(reason, rejoin_at);
        self.next_heartbeat = Instant::FAR_FUTURE;
        self.session_ends = Instant::FAR_FUTURE;
    }

    /// The partitions are lost rather than given up: somebody else may own them already.
    pub fn has_lost_its_partitions(&self) -> bool {
        self.modern.is_none() && (self.generation == NO_GENERATION || self.member_id.is_empty())
    }

    /// `owned` is what the member keeps while the group rebalances.
    pub fn join_request(&mut self, config: &ConsumerConfig, owned: &[TopicPartition]) -> JoinGroupRequest {
        self.attempt += 1;
        self.phase = Phase::Joining(self.attempt);
        let owned =
            by_topic(owned).into_iter().map(|(t, p)| OwnedTopic::default().with_topic(t.clone()).with_partitions(p));
        let subscription = ConsumerProtocolSubscription::default()
            .with_topics(self.topics.iter().map(|t| t.0.clone()).collect())
            .with_owned_partitions(owned.collect())
            .with_generation_id(self.generation)
            .with_rack_id(config.client_rack.as_deref().map(str_bytes));
        let protocols = self.offers.iter().map(|offer| {
            let user_data = Memory::user_data(offer.assignor, offer.memory.as_ref());
            let subscription = subscription.clone().with_user_data(user_data);
            JoinGroupRequestProtocol::default()
                .with_name(str_bytes(offer.assignor.name()))
                .with_metadata(versioned(&subscription, SUBSCRIPTION_VERSION))
        });
        JoinGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_session_timeout_ms(config.session_timeout.millis() as i32)
            .with_rebalance_timeout_ms(config.max_poll_interval.millis() as i32)
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_protocol_type(str_bytes(PROTOCOL_TYPE))
            .with_protocols(protocols.collect())
            .with_reason(Some(str_bytes(&self.rejoin_reason)))
    }

    /// JOIN_GROUP succeeded: the member is in the generation; heartbeats begin.
    pub fn joined(&mut self, now: Instant, config: &ConsumerConfig, response: &JoinGroupResponse) {
        self.generation = response.generation_id;
        self.member_id = response.member_id.clone();
        self.protocol = response.protocol_name.as_ref().and_then(|name| Assignor::parse(name));
        self.is_leader = response.leader == response.member_id;
        self.assigned_from = None;
        self.next_heartbeat = now + config.heartbeat_interval;
        self.session_ends = now + config.session_timeout;
        if !self.is_leader {
            self.group_topics.clear();
        }
    }

    /// The members' subscriptions, as the leader got them; one that does not read is taken as empty.
    pub fn subscriptions(response: &JoinGroupResponse) -> Vec<assignor::Subscription> {
        response
            .members
            .iter()
            .map(|member| {
                let told: ConsumerProtocolSubscription = read_versioned(&member.metadata).unwrap_or_default();
                let owned = told
                    .owned_partitions
                    .iter()
                    .flat_map(|topic| topic.partitions.iter().map(|p| TopicPartition::new(topic.topic.clone(), *p)));
                assignor::Subscription {
                    member_id: member.member_id.clone(),
                    group_instance_id: member.group_instance_id.clone(),
                    rack: told.rack_id.clone(),
                    topics: told.topics.iter().cloned().map(TopicName).collect(),
                    owned: owned.collect(),
                    generation: (told.generation_id >= 0).then_some(told.generation_id),
                    user_data: told.user_data.clone(),
                }
            })
            .collect()
    }

    /// The leader's assignment of everybody's partitions; `metadata` knows all topics of the group.
    pub fn assign(
        &mut self,
        metadata: &Metadata,
        members: &[assignor::Subscription],
    ) -> Vec<SyncGroupRequestAssignment> {
        let racks = topic_racks(metadata, &self.group_topics);
        let assignor = self.protocol.unwrap_or(Assignor::Range);
        let assignment = assignor.assign(&racks, members);
        self.assigned_from = Some(self.snapshot(racks));
        let encoded = assignment.iter().map(|(member, partitions)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(member.clone())
                .with_assignment(encode_assignment(partitions))
        });
        encoded.collect()
    }

    pub fn sync_request(&mut self, assignments: Vec<SyncGroupRequestAssignment>) -> SyncGroupRequest {
        self.attempt += 1;
        self.phase = Phase::Syncing(self.attempt);
        SyncGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_protocol_type(Some(str_bytes(PROTOCOL_TYPE)))
            .with_protocol_name(self.protocol.map(|p| str_bytes(p.name())))
            .with_assignments(assignments)
    }

    pub fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance.clone())
    }

    pub fn leave_request(&self, reason: &str) -> LeaveGroupRequest {
        let member = leave_group_request::MemberIdentity::default()
            .with_member_id(self.member_id.clone())
            .with_reason(Some(str_bytes(reason)));
        LeaveGroupRequest::default().with_group_id(self.group.clone()).with_members(vec![member])
    }

    pub fn commit_request(&self, offsets: &Offsets) -> OffsetCommitRequest {
        offset_commit(&self.group, self.generation, &self.member_id, self.instance.clone(), offsets)
    }

    /// Whether the metadata of the group's topics is not what the leader assigned from any more.
    pub fn is_outdated(&self, metadata: &Metadata) -> bool {
        let Some(racks) = &self.assigned_from else { return false };
        self.is_leader && *racks != self.snapshot(topic_racks(metadata, &self.group_topics))
    }

    /// What of the metadata makes the leader assign anew when it changes: how many partitions there
    /// are, and their racks only for a consumer that has one itself (ConsumerCoordinator,
    /// MetadataSnapshot and PartitionRackInfo; KIP-881).
    fn snapshot(&self, mut topics: TopicRacks) -> TopicRacks {
        if !self.has_rack {
            topics.values_mut().flatten().for_each(|racks| *racks = Default::default());
        }
        topics
    }
}

/// OFFSET_COMMIT; with generation -1 and no member it is a simple consumer's.
pub fn offset_commit(
    group: &GroupId,
    generation: i32,
    member: &StrBytes,
    instance: Option<StrBytes>,
    offsets: &Offsets,
) -> OffsetCommitRequest {
    let mut topics: SortedMap<&TopicName, Vec<OffsetCommitRequestPartition>> = SortedMap::new();
    for (partition, position) in offsets {
        topics.entry(&partition.topic).or_default().push(
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(position.offset.0)
                .with_committed_leader_epoch(position.epoch.map_or(-1, |epoch| epoch.0))
                .with_committed_metadata(Some(StrBytes::default())),
        );
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetCommitRequestTopic::default().with_name(name.clone()).with_partitions(partitions)
    });
    OffsetCommitRequest::default()
        .with_group_id(group.clone())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(member.clone())
        .with_group_instance_id(instance)
        .with_topics(topics.collect())
}

/// The partitions of an encoded assignment; none when it is empty or does not read.
pub fn decode_assignment(bytes: &Bytes) -> Vec<TopicPartition> {
    let assignment: ConsumerProtocolAssignment = read_versioned(bytes).unwrap_or_default();
    let mut partitions: Vec<TopicPartition> = assignment
        .assigned_partitions
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| TopicPartition::new(topic.topic.clone(), *p)))
        .collect();
    partitions.sort_unstable();
    partitions
}

pub fn encode_assignment(partitions: &[TopicPartition]) -> Bytes {
    let topics = by_topic(partitions)
        .into_iter()
        .map(|(topic, partitions)| AssignedTopic::default().with_topic(topic.clone()).with_partitions(partitions));
    let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect());
    versioned(&assignment, ASSIGNMENT_VERSION)
}

fn by_topic(partitions: &[TopicPartition]) -> SortedMap<&TopicName, Vec<i32>> {
    let mut topics: SortedMap<&TopicName, Vec<i32>> = SortedMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    topics
}

/// For each known topic the racks of every partition's replicas.
fn topic_racks(metadata: &Metadata, topics: &[TopicName]) -> TopicRacks {
    let mut racks = TopicRacks::new();
    for name in topics {
        let Some(topic) = metadata.topic(name) else { continue };
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| partition.replicas.iter().filter_map(|broker| metadata.rack(*broker).cloned()).collect());
        racks.insert(name.clone(), partitions.collect());
    }
    racks
}

/// ConsumerProtocol: the version stands before the message.
fn versioned(message: &impl Encodable, version: i16) -> Bytes {
    let mut buffer = BytesMut::new();
    buffer.put_i16(version);
    // Every field of these messages exists in the version that Kafka 4.2 writes.
    message.encode(&mut buffer, version).expect("a message of the consumer protocol encodes");
    buffer.freeze()
}

fn read_versioned<M: Decodable>(bytes: &Bytes) -> Option<M> {
    let version = i16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
    M::decode(&mut bytes.slice(2..), version.min(SUBSCRIPTION_VERSION)).ok()
}
