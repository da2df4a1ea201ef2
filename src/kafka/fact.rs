//! What is worth telling about a run: one sentence each, for the transcript, the event list, the
//! status line and the chain of causes. A fact is told by the node that made it true; the world
//! adds when it was and what caused it.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::time::Duration;
use crate::wire::{
    ApiKey, BrokerEpoch, BrokerId, ClientId, ControllerId, ErrorCode, GroupId, LeaderEpoch, NodeId, Offset,
    PartitionEpoch, ProducerId, StrBytes, TopicName, TopicPartition,
};

/// Why a consumer's position was set otherwise than by reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionReason {
    /// The group had committed it.
    Committed,
    /// `auto.offset.reset` decided.
    Reset,
    /// The application called `seek`.
    Seek,
    /// The log was truncated below the position (KIP-320).
    Truncation,
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? },)*) => {
        #[derive(Clone, Debug, PartialEq)]
        pub enum Fact { $($(#[$doc])* $name { $($field: $type),* },)* }

        impl Fact {
            /// The name of the kind, as the JSON gives it.
            pub fn kind(&self) -> &'static str {
                match self { $(Fact::$name { .. } => stringify!($name),)* }
            }
        }
    };
}

facts! {
    // What a person or the script did, and what the world did to nodes and messages.
    /// A broker or controller process was killed; its disk is whole.
    Killed { node: NodeId },
    /// The machine lost power: what was not flushed is gone.
    PoweredOff { node: NodeId },
    /// A process starts.
    Started { node: NodeId },
    /// A process begins an orderly shutdown.
    Stopping { node: NodeId },
    /// An orderly shutdown is complete.
    Stopped { node: NodeId },
    /// A long pause began: alive, but nothing runs.
    Frozen { node: NodeId },
    /// The pause is over.
    Thawed { node: NodeId },
    /// The disk of a stopped broker was lost.
    Wiped { node: NodeId },
    /// Links were cut; the sides are named as the script names them.
    Cut { sides: Vec<Vec<NodeId>> },
    /// All cuts and bent links are whole again.
    Healed {},
    /// One direction of a link has other properties from now on.
    LinkBent { from: NodeId, to: NodeId, latency: Duration, loss_percent: u32 },
    /// A message was lost on its way (a cut, a loss, or a chosen drop).
    MessageLost { from: NodeId, to: NodeId, api: ApiKey, request: bool },
    /// A chosen message takes longer than others.
    MessageDelayed { from: NodeId, to: NodeId, api: ApiKey, request: bool, by: Duration },
    /// A chosen message arrives twice.
    MessageDuplicated { from: NodeId, to: NodeId, api: ApiKey, request: bool },
    /// Every write of this broker's to its log takes that long from now on.
    DiskSlowed { broker: BrokerId, latency: Duration },
    /// A request got no answer in time.
    RequestTimedOut { node: NodeId, to: NodeId, api: ApiKey },

    // The metadata quorum (KRaft).
    /// A controller stands for election in a new epoch.
    QuorumCandidate { controller: ControllerId, epoch: LeaderEpoch },
    /// A controller won the quorum's election: it is the active controller.
    QuorumLeaderElected { controller: ControllerId, epoch: LeaderEpoch },
    /// The quorum's leader gave up its leadership.
    QuorumLeaderResigned { controller: ControllerId, epoch: LeaderEpoch },
    /// The leader wrote down who votes from now on (KIP-853).
    QuorumVotersChanged { voters: Vec<ControllerId>, epoch: LeaderEpoch },
    /// A node wrote down the whole of the metadata below `end`.
    SnapshotWritten { node: NodeId, end: Offset, epoch: LeaderEpoch },
    /// A node that had fallen behind the beginning of the leader's log fetched a snapshot instead.
    SnapshotLoaded { node: NodeId, end: Offset, epoch: LeaderEpoch },

    // The controller: what the metadata log says, told when it is committed.
    BrokerRegistered { broker: BrokerId, epoch: BrokerEpoch },
    BrokerUnfenced { broker: BrokerId },
    /// The controller holds the broker for gone: it may lead nothing and count in no ISR.
    BrokerFenced { broker: BrokerId, session_expired: bool },
    BrokerInControlledShutdown { broker: BrokerId },
    BrokerUnregistered { broker: BrokerId },
    TopicCreated { topic: TopicName, partitions: i32, replication_factor: i32 },
    TopicDeleted { topic: TopicName },
    PartitionsAdded { topic: TopicName, from: i32, to: i32 },
    ConfigChanged { resource: StrBytes, name: StrBytes, value: Option<StrBytes> },
    /// A partition's leader changed in the metadata (none when no replica may lead).
    LeaderElected {
        partition: TopicPartition, from: Option<BrokerId>, to: Option<BrokerId>, leader_epoch: LeaderEpoch,
        isr: Vec<BrokerId>, unclean: bool,
    },
    /// The in-sync replicas changed in the metadata while the leader stayed.
    IsrChanged { partition: TopicPartition, from: Vec<BrokerId>, to: Vec<BrokerId>, partition_epoch: PartitionEpoch },
    /// The eligible leader replicas changed (KIP-966).
    ElrChanged { partition: TopicPartition, to: Vec<BrokerId> },
    /// The replica list changed (reassignment).
    ReplicasChanged { partition: TopicPartition, from: Vec<BrokerId>, to: Vec<BrokerId> },

    // A broker's replica of a partition.
    BecameLeader { partition: TopicPartition, broker: BrokerId, leader_epoch: LeaderEpoch, log_end: Offset },
    BecameFollower { partition: TopicPartition, broker: BrokerId, leader: Option<BrokerId>, leader_epoch: LeaderEpoch },
    /// Records were appended, by the leader or by a follower's fetch.
    Appended { partition: TopicPartition, broker: BrokerId, first: Offset, last: Offset, bytes: i64, leader_epoch: LeaderEpoch, leader: bool },
    /// A follower cut off what its leader does not have.
    Truncated { partition: TopicPartition, broker: BrokerId, from: Offset, to: Offset },
    HighWatermarkMoved { partition: TopicPartition, broker: BrokerId, from: Offset, to: Offset, leader: bool },
    /// The leader asks the controller to change the ISR.
    IsrChangeProposed { partition: TopicPartition, broker: BrokerId, from: Vec<BrokerId>, to: Vec<BrokerId> },
    /// The controller refused an ISR change.
    IsrChangeRefused { partition: TopicPartition, broker: BrokerId, error: ErrorCode },
    LogStartMoved { partition: TopicPartition, broker: BrokerId, to: Offset },
    /// A new segment was begun: the one before it grows no more, so it can be deleted or compacted.
    SegmentRolled { partition: TopicPartition, broker: BrokerId, base: Offset },
    /// Old segments were deleted; `why` names the setting.
    SegmentsDeleted { partition: TopicPartition, broker: BrokerId, count: u32, why: StrBytes },
    /// The cleaner was here: of every key below `to` the latest record is left.
    LogCompacted { partition: TopicPartition, broker: BrokerId, to: Offset, bytes_before: i64, bytes_after: i64 },
    /// Records up to here are safe from a loss of power now.
    LogFlushed { partition: TopicPartition, broker: BrokerId, to: Offset },
    /// Idempotent producers that were silent for producer.id.expiration.ms are forgotten.
    ProducersExpired { partition: TopicPartition, broker: BrokerId, count: u32 },
    /// A produce request was refused by the partition's leader.
    ProduceRefused { partition: TopicPartition, broker: BrokerId, error: ErrorCode },
    /// A batch that the leader had already was answered with its first offsets.
    DuplicateBatch { partition: TopicPartition, broker: BrokerId, first: Offset, last: Offset },

    // Groups, told by their coordinator.
    /// It leads the partition of `__consumer_offsets` where these groups have their records.
    CoordinatorLoaded { partition: TopicPartition, broker: BrokerId, groups: Vec<GroupId> },
    RebalanceStarted { group: GroupId, reason: StrBytes },
    /// A generation has its assignment: the group is stable.
    GenerationStable { group: GroupId, generation: i32, members: i32 },
    MemberJoined { group: GroupId, member: StrBytes, client: StrBytes },
    MemberRemoved { group: GroupId, member: StrBytes, client: StrBytes, reason: StrBytes },
    GroupEmpty { group: GroupId, generation: i32 },
    OffsetCommitted { group: GroupId, partition: TopicPartition, offset: Offset },

    // Clients.
    ProducerIdAssigned { producer: ClientId, producer_id: ProducerId, epoch: i16 },
    /// The application handed a record to the producer and the partitioner placed it.
    RecordSent { producer: ClientId, topic: TopicName, partition: i32, key: Option<Bytes>, value: Option<Bytes> },
    /// A batch was acknowledged. `base_offset` is -1 with acks=0 and for a duplicate whose place is unknown.
    /// `first_record` counts the producer's records to this partition, from 0; `records` are the batch's own bytes.
    Acknowledged { producer: ClientId, partition: TopicPartition, base_offset: Offset, first_record: u64, count: u32, acks: i16, records: Bytes },
    /// A batch failed for good; the application was told.
    SendFailed { producer: ClientId, partition: TopicPartition, first_record: u64, count: u32, error: ErrorCode },
    /// A batch will be sent again.
    SendRetried { producer: ClientId, partition: TopicPartition, count: u32, error: Option<ErrorCode> },
    /// The client could not send: told to the application at once (no metadata, buffer exhausted, too large).
    SendRejected { producer: ClientId, topic: TopicName, error: StrBytes },
    Assigned { consumer: ClientId, partitions: Vec<TopicPartition>, generation: i32 },
    Revoked { consumer: ClientId, partitions: Vec<TopicPartition>, lost: bool },
    PositionSet { consumer: ClientId, partition: TopicPartition, to: Offset, reason: PositionReason },
    /// The consumer's position lies outside of the log: what it was to read next is gone, or never was.
    PositionOutOfRange { consumer: ClientId, partition: TopicPartition, at: Offset },
    /// `poll()` handed records to the application: those of `records` (whole batches) from `first` to `last`.
    Delivered { consumer: ClientId, partition: TopicPartition, first: Offset, last: Offset, count: u32, records: Bytes },
    CommitFailed { consumer: ClientId, error: ErrorCode },
    /// The consumer cannot go on with a partition: the application was told.
    ConsumerError { consumer: ClientId, error: StrBytes },
    /// An administrative request was answered; `error` holds Kafka's error and message.
    AdminDone { what: StrBytes, error: Option<StrBytes> },
}

/// Who is called what: the world knows the names of the script's clients.
pub trait Names {
    fn client(&self, id: ClientId) -> &str;

    fn node(&self, node: NodeId) -> String {
        match node {
            NodeId::Client(id) => self.client(id).to_string(),
            other => other.to_string(),
        }
    }
}

impl Fact {
    /// Facts of the steady flow, which a transcript folds away unless asked for.
    pub fn is_routine(&self) -> bool {
        matches!(
            self,
            Fact::Appended { .. }
                | Fact::HighWatermarkMoved { .. }
                | Fact::SegmentRolled { .. }
                | Fact::LogFlushed { .. }
                | Fact::RecordSent { .. }
                | Fact::Acknowledged { .. }
                | Fact::Delivered { .. }
                | Fact::OffsetCommitted { .. }
                | Fact::SnapshotWritten { .. }
        )
    }

    /// What changes who leads, who is in sync, who is there, or what is kept: a turn of the story.
    pub fn matters(&self) -> bool {
        !self.is_routine()
            && !self.is_internal()
            && !matches!(
                self,
                Fact::BecameLeader { .. }
                    | Fact::BecameFollower { .. }
                    | Fact::IsrChangeProposed { .. }
                    | Fact::ProducerIdAssigned { .. }
                    | Fact::CoordinatorLoaded { .. }
                    | Fact::MemberJoined { .. }
                    | Fact::PositionSet { .. }
                    | Fact::DuplicateBatch { .. }
                    | Fact::BrokerRegistered { .. }
                    | Fact::SendRetried { .. }
                    | Fact::ElrChanged { .. }
            )
    }

    /// What concerns only Kafka's internal topics: there are fifty partitions of them.
    pub fn is_internal(&self) -> bool {
        match self {
            Fact::CoordinatorLoaded { groups, .. } => groups.is_empty(),
            fact => fact.partition().is_some_and(TopicPartition::is_internal),
        }
    }

    /// The partition it is about, where it is about one.
    pub fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Fact::LeaderElected { partition, .. }
            | Fact::IsrChanged { partition, .. }
            | Fact::ElrChanged { partition, .. }
            | Fact::ReplicasChanged { partition, .. }
            | Fact::BecameLeader { partition, .. }
            | Fact::BecameFollower { partition, .. }
            | Fact::Appended { partition, .. }
            | Fact::Truncated { partition, .. }
            | Fact::HighWatermarkMoved { partition, .. }
            | Fact::IsrChangeProposed { partition, .. }
            | Fact::IsrChangeRefused { partition, .. }
            | Fact::LogStartMoved { partition, .. }
            | Fact::SegmentRolled { partition, .. }
            | Fact::SegmentsDeleted { partition, .. }
            | Fact::LogCompacted { partition, .. }
            | Fact::LogFlushed { partition, .. }
            | Fact::ProducersExpired { partition, .. }
            | Fact::PositionOutOfRange { partition, .. }
            | Fact::ProduceRefused { partition, .. }
            | Fact::DuplicateBatch { partition, .. }
            | Fact::CoordinatorLoaded { partition, .. }
            | Fact::OffsetCommitted { partition, .. }
            | Fact::Acknowledged { partition, .. }
            | Fact::SendFailed { partition, .. }
            | Fact::SendRetried { partition, .. }
            | Fact::PositionSet { partition, .. }
            | Fact::Delivered { partition, .. } => Some(partition),
            _ => None,
        }
    }

    /// The broker it is about, where it is about one.
    pub fn broker(&self) -> Option<BrokerId> {
        match self {
            Fact::Killed { node: NodeId::Broker(broker) }
            | Fact::PoweredOff { node: NodeId::Broker(broker) }
            | Fact::Started { node: NodeId::Broker(broker) }
            | Fact::Stopping { node: NodeId::Broker(broker) }
            | Fact::Stopped { node: NodeId::Broker(broker) }
            | Fact::Frozen { node: NodeId::Broker(broker) }
            | Fact::Thawed { node: NodeId::Broker(broker) }
            | Fact::Wiped { node: NodeId::Broker(broker) }
            | Fact::DiskSlowed { broker, .. }
            | Fact::BrokerRegistered { broker, .. }
            | Fact::BrokerUnfenced { broker }
            | Fact::BrokerFenced { broker, .. }
            | Fact::BrokerInControlledShutdown { broker }
            | Fact::BrokerUnregistered { broker }
            | Fact::BecameLeader { broker, .. }
            | Fact::BecameFollower { broker, .. }
            | Fact::Appended { broker, .. }
            | Fact::Truncated { broker, .. }
            | Fact::HighWatermarkMoved { broker, .. }
            | Fact::IsrChangeProposed { broker, .. }
            | Fact::IsrChangeRefused { broker, .. }
            | Fact::LogStartMoved { broker, .. }
            | Fact::SegmentRolled { broker, .. }
            | Fact::SegmentsDeleted { broker, .. }
            | Fact::LogCompacted { broker, .. }
            | Fact::LogFlushed { broker, .. }
            | Fact::ProducersExpired { broker, .. }
            | Fact::ProduceRefused { broker, .. }
            | Fact::DuplicateBatch { broker, .. }
            | Fact::CoordinatorLoaded { broker, .. } => Some(*broker),
            Fact::LeaderElected { to, .. } => *to,
            _ => None,
        }
    }

    /// The sentence.
    pub fn text(&self, names: &dyn Names) -> String {
        match self {
            Fact::Killed { node } => format!("{} died", names.node(*node)),
            Fact::PoweredOff { node } => format!("{} lost power: what it had not flushed is gone", names.node(*node)),
            Fact::Started { node } => format!("{} starts", names.node(*node)),
            Fact::Stopping { node } => {
                format!("{} begins a controlled shutdown", names.node(*node))
            }
            Fact::Stopped { node } => format!("{} has stopped", names.node(*node)),
            Fact::Frozen { node } => {
                format!("{} is frozen: alive, but nothing runs", names.node(*node))
            }
            Fact::Thawed { node } => format!("{} runs again", names.node(*node)),
            Fact::Wiped { node } => format!("{} lost its disk", names.node(*node)),
            Fact::Cut { sides } => {
                let sides: Vec<String> = sides
                    .iter()
                    .map(|side| side.iter().map(|n| names.node(*n)).collect::<Vec<_>>().join(", "))
                    .collect();
                format!("network cut: {}", sides.join(" | "))
            }
            Fact::Healed {} => "the network is whole again".to_string(),
            Fact::LinkBent { from, to, latency, loss_percent } => {
                let mut text = format!("link {} → {}: latency {latency}", names.node(*from), names.node(*to));
                if *loss_percent > 0 {
                    let _ = write!(text, ", loss {loss_percent}%");
                }
                text
            }
            Fact::MessageLost { from, to, api, request } => {
                let what = if *request { "request" } else { "response" };
                format!("{} {what} {} → {} was lost", api.name(), names.node(*from), names.node(*to))
            }
            Fact::MessageDelayed { from, to, api, request, by } => {
                let what = if *request { "request" } else { "response" };
                format!("{} {what} {} → {} takes {by} longer", api.name(), names.node(*from), names.node(*to))
            }
            Fact::MessageDuplicated { from, to, api, request } => {
                let what = if *request { "request" } else { "response" };
                format!("{} {what} {} → {} arrives twice", api.name(), names.node(*from), names.node(*to))
            }
            Fact::DiskSlowed { broker, latency } if *latency == Duration::ZERO => {
                format!("the disk of broker {} is quick again", broker.0)
            }
            Fact::DiskSlowed { broker, latency } => {
                format!("the disk of broker {} is slow: a write takes {latency}", broker.0)
            }
            Fact::RequestTimedOut { node, to, api } => {
                format!("{}: {} to {} got no answer in time", names.node(*node), api.name(), names.node(*to))
            }
            Fact::QuorumCandidate { controller, epoch } => {
                format!("{controller} stands for election in epoch {epoch}")
            }
            Fact::QuorumLeaderElected { controller, epoch } => {
                format!("{controller} leads the metadata quorum, epoch {epoch}")
            }
            Fact::QuorumLeaderResigned { controller, epoch } => {
                format!("{controller} resigns, epoch {epoch}")
            }
            Fact::QuorumVotersChanged { voters, .. } => {
                let voters: Vec<String> = voters.iter().map(ControllerId::to_string).collect();
                format!("the metadata quorum's voters are {}", voters.join(", "))
            }
            Fact::SnapshotWritten { node, end, .. } => {
                format!("{} wrote a snapshot of the metadata below offset {end}", names.node(*node))
            }
            Fact::SnapshotLoaded { node, end, .. } => {
                format!("{} fetched the snapshot of the metadata below offset {end}", names.node(*node))
            }
            Fact::BrokerRegistered { broker, epoch } => {
                format!("broker {} registered, broker epoch {epoch}, fenced until it has caught up", broker.0)
            }
            Fact::BrokerUnfenced { broker } => format!("broker {} is unfenced", broker.0),
            Fact::BrokerFenced { broker, session_expired: true } => {
                format!("broker {} is fenced: no heartbeat for a session", broker.0)
            }
            Fact::BrokerFenced { broker, session_expired: false } => format!("broker {} is fenced", broker.0),
            Fact::BrokerInControlledShutdown { broker } => {
                format!("broker {} is shutting down", broker.0)
            }
            Fact::BrokerUnregistered { broker } => format!("broker {} is unregistered", broker.0),
            Fact::TopicCreated { topic, partitions, replication_factor } => {
                format!("topic {} created: {partitions} partitions, {replication_factor} replicas", topic.0)
            }
            Fact::TopicDeleted { topic } => format!("topic {} deleted", topic.0),
            Fact::PartitionsAdded { topic, from, to } => {
                format!("topic {}: partitions {from} → {to}", topic.0)
            }
            Fact::ConfigChanged { resource, name, value } => match value {
                Some(value) => format!("{resource}: {name} = {value}"),
                None => format!("{resource}: {name} back to its default"),
            },
            Fact::LeaderElected { partition, from, to, leader_epoch, isr, unclean } => {
                let mut text = format!(
                    "{partition}: leader {} → {}, epoch {leader_epoch}, ISR {}",
                    broker_or_none(*from),
                    broker_or_none(*to),
                    brokers(isr)
                );
                if *unclean {
                    text.push_str(" (unclean: committed records may be lost)");
                }
                text
            }
            Fact::IsrChanged { partition, from, to, .. } => {
                let verb = if to.len() < from.len() { "shrinks" } else { "grows" };
                format!("{partition}: ISR {verb} {} → {}", brokers(from), brokers(to))
            }
            Fact::ElrChanged { partition, to } => format!("{partition}: ELR {}", brokers(to)),
            Fact::ReplicasChanged { partition, from, to } => {
                format!("{partition}: replicas {} → {}", brokers(from), brokers(to))
            }
            Fact::BecameLeader { partition, broker, leader_epoch, log_end } => {
                format!("broker {} leads {partition} from offset {log_end}, epoch {leader_epoch}", broker.0)
            }
            Fact::BecameFollower { partition, broker, leader: Some(leader), leader_epoch } => {
                format!("broker {} follows broker {} for {partition}, epoch {leader_epoch}", broker.0, leader.0)
            }
            Fact::BecameFollower { partition, broker, leader: None, leader_epoch } => {
                format!("broker {} has no leader to follow for {partition}, epoch {leader_epoch}", broker.0)
            }
            Fact::Appended { partition, broker, first, last, leader, .. } => {
                let who = if *leader { "leader" } else { "follower" };
                format!("{partition}: {who} {} appends {}", broker.0, offsets(*first, *last))
            }
            Fact::Truncated { partition, broker, from, to } => {
                format!("{partition}: broker {} truncates {}", broker.0, offsets(*to, Offset(from.0 - 1)))
            }
            Fact::HighWatermarkMoved { partition, broker, to, leader, .. } => {
                let who = if *leader { "leader" } else { "follower" };
                format!("{partition}: high watermark {to} at {who} {}", broker.0)
            }
            Fact::IsrChangeProposed { partition, broker, from, to } => {
                format!("{partition}: leader {} proposes ISR {} → {}", broker.0, brokers(from), brokers(to))
            }
            Fact::IsrChangeRefused { partition, broker, error } => {
                format!("{partition}: the ISR change of leader {} is refused: {}", broker.0, error_name(*error))
            }
            Fact::LogStartMoved { partition, broker, to } => {
                format!("{partition}: log of broker {} starts at {to} now", broker.0)
            }
            Fact::SegmentRolled { partition, broker, base } => {
                format!("{partition}: broker {} begins a segment at offset {base}", broker.0)
            }
            Fact::SegmentsDeleted { partition, broker, count, why } => {
                let segments = if *count == 1 { "segment" } else { "segments" };
                format!("{partition}: broker {} deletes {count} old {segments} ({why})", broker.0)
            }
            Fact::LogCompacted { partition, broker, to, bytes_before, bytes_after } => {
                let (broker, below) = (broker.0, *to);
                format!(
                    "{partition}: broker {broker} compacted below offset {below}: {bytes_before} → {bytes_after} bytes"
                )
            }
            Fact::LogFlushed { partition, broker, to } => {
                format!("{partition}: broker {} flushed up to offset {to}", broker.0)
            }
            Fact::ProducersExpired { partition, broker, count } => {
                format!("{partition}: broker {} forgets {count} silent producers", broker.0)
            }
            Fact::PositionOutOfRange { consumer, partition, at } => {
                format!(
                    "{}: offset {at} of {partition} is out of range: the log does not have it",
                    names.client(*consumer)
                )
            }
            Fact::ProduceRefused { partition, broker, error } => {
                format!("{partition}: broker {} refuses a produce: {}", broker.0, error_name(*error))
            }
            Fact::DuplicateBatch { partition, broker, first, last } => {
                format!("{partition}: leader {} has this batch already as {}", broker.0, offsets(*first, *last))
            }
            Fact::CoordinatorLoaded { partition, broker, groups } => {
                let names: Vec<&str> = groups.iter().map(|group| group.0.as_str()).collect();
                format!("broker {} coordinates {} ({partition})", broker.0, names.join(", "))
            }
            Fact::RebalanceStarted { group, reason } => {
                format!("group {} rebalances: {reason}", group.0)
            }
            Fact::GenerationStable { group, generation, members } => {
                format!("group {} is stable: generation {generation}, {members} members", group.0)
            }
            Fact::MemberJoined { group, client, .. } => format!("{client} joins group {}", group.0),
            Fact::MemberRemoved { group, client, reason, .. } => {
                format!("{client} leaves group {}: {reason}", group.0)
            }
            Fact::GroupEmpty { group, generation } => {
                format!("group {} is empty, generation {generation}", group.0)
            }
            Fact::OffsetCommitted { group, partition, offset } => {
                format!("group {} committed {partition} at {offset}", group.0)
            }
            Fact::ProducerIdAssigned { producer, producer_id, epoch } => {
                format!("{} has producer id {}, epoch {epoch}", names.client(*producer), producer_id.0)
            }
            Fact::RecordSent { producer, topic, partition, key, value } => format!(
                "{} sends {} to {}-{partition}",
                names.client(*producer),
                record(key.as_ref(), value.as_ref()),
                topic.0
            ),
            Fact::Acknowledged { producer, partition, base_offset, count, .. } => {
                let name = names.client(*producer);
                if base_offset.0 < 0 {
                    format!("{name}: {count} records to {partition} count as sent")
                } else {
                    format!(
                        "{name}: {partition} acknowledged {}",
                        offsets(*base_offset, *base_offset + (i64::from(*count) - 1))
                    )
                }
            }
            Fact::SendFailed { producer, partition, count, error, .. } => {
                format!("{}: {count} records to {partition} failed: {}", names.client(*producer), error_name(*error))
            }
            Fact::SendRetried { producer, partition, error, .. } => {
                let why = error.map_or("connection lost or no answer".to_string(), error_name);
                format!("{}: sends again to {partition}: {why}", names.client(*producer))
            }
            Fact::SendRejected { producer, topic, error } => {
                format!("{}: record to {} rejected: {error}", names.client(*producer), topic.0)
            }
            Fact::Assigned { consumer, partitions, generation } => {
                format!("{} is assigned {}, generation {generation}", names.client(*consumer), list(partitions))
            }
            Fact::Revoked { consumer, partitions, lost } => {
                let verb = if *lost { "lost" } else { "gives up" };
                format!("{} {verb} {}", names.client(*consumer), list(partitions))
            }
            Fact::PositionSet { consumer, partition, to, reason } => {
                let why = match reason {
                    PositionReason::Committed => "the committed offset",
                    PositionReason::Reset => "auto.offset.reset",
                    PositionReason::Seek => "seek",
                    PositionReason::Truncation => "the log was truncated",
                };
                format!("{}: position of {partition} set to {to} ({why})", names.client(*consumer))
            }
            Fact::Delivered { consumer, partition, first, last, .. } => {
                format!("{} reads {} of {partition}", names.client(*consumer), offsets(*first, *last))
            }
            Fact::CommitFailed { consumer, error } => {
                format!("{}: commit failed: {}", names.client(*consumer), error_name(*error))
            }
            Fact::ConsumerError { consumer, error } => {
                format!("{}: {error}", names.client(*consumer))
            }
            Fact::AdminDone { what, error: None } => format!("{what}: done"),
            Fact::AdminDone { what, error: Some(error) } => format!("{what}: {error}"),
        }
    }
}

/// Kafka's name of an error, in capitals: `NOT_ENOUGH_REPLICAS`.
pub fn error_name(error: ErrorCode) -> String {
    let mut name = String::new();
    for (i, c) in format!("{error:?}").chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// A set of brokers as scripts write it: `1,2`; an empty one is `none`.
pub fn brokers(ids: &[BrokerId]) -> String {
    if ids.is_empty() {
        return "none".to_string();
    }
    ids.iter().map(|b| b.0.to_string()).collect::<Vec<_>>().join(",")
}

fn broker_or_none(id: Option<BrokerId>) -> String {
    id.map_or("none".to_string(), |b| b.0.to_string())
}

fn offsets(first: Offset, last: Offset) -> String {
    if first == last { format!("offset {first}") } else { format!("offsets {first}–{last}") }
}

fn list(partitions: &[TopicPartition]) -> String {
    /// More than these nobody reads in a sentence.
    const TOLD: usize = 12;
    if partitions.is_empty() {
        return "nothing".to_string();
    }
    let told = partitions.iter().take(if partitions.len() > TOLD { TOLD - 2 } else { TOLD });
    let mut words = told.map(TopicPartition::to_string).collect::<Vec<_>>().join(", ");
    if partitions.len() > TOLD {
        words.push_str(&format!(" and {} more", partitions.len() - (TOLD - 2)));
    }
    words
}

/// A record as a person says it: `alice=created`, `=value` without a key, `alice=` for a tombstone.
pub fn record(key: Option<&Bytes>, value: Option<&Bytes>) -> String {
    format!("{}={}", key.map(text).unwrap_or_default(), value.map(text).unwrap_or_default())
}

fn text(bytes: &Bytes) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(bytes);
    if text.chars().count() <= SHOWN {
        text.into_owned()
    } else {
        format!("{}…", text.chars().take(SHOWN).collect::<String>())
    }
}
