//! What is worth telling about a run: one sentence each, for the transcript, the event list, the
//! status line and the chain of causes. A fact is told by the node that made it true; the world
//! adds when it was and what caused it.

mod text;

use std::fmt;

use bytes::Bytes;

use crate::time::Duration;
use crate::wire::{
    AcknowledgeType, ApiKey, BrokerEpoch, BrokerId, ClientId, ControllerId, ErrorCode, GroupId, LeaderEpoch, NodeId,
    Offset, PartitionEpoch, ProducerId, StrBytes, TopicName, TopicPartition, TransactionalId,
};

pub use text::{brokers, error_name, record};

/// How a group counts its rebalances: by the classic protocol, and by that of KIP-848.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    Generation(i32),
    Epoch(i32),
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Round::Generation(number) => write!(f, "generation {number}"),
            Round::Epoch(number) => write!(f, "epoch {number}"),
        }
    }
}

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

    // A broker that starts.
    /// What the controller answers to its registration; `again`: the same as the last time.
    RegistrationRefused { broker: BrokerId, error: ErrorCode, again: bool },

    // The controller: what the metadata log says, told when it is committed.
    BrokerRegistered { broker: BrokerId, epoch: BrokerEpoch },
    BrokerUnfenced { broker: BrokerId },
    /// The controller holds the broker for gone: it may lead nothing and count in no ISR.
    BrokerFenced { broker: BrokerId, session_expired: bool },
    BrokerInControlledShutdown { broker: BrokerId },
    BrokerUnregistered { broker: BrokerId },
    TopicCreated { topic: TopicName, partitions: i32, replication_factor: i32 },
    /// A topic that a client or a coordinator needs could not be made (AutoTopicCreationManager).
    TopicNotCreated { broker: BrokerId, topic: TopicName, error: ErrorCode, reason: StrBytes },
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
    GroupEmpty { group: GroupId, round: Round },
    /// An administrator deleted it, with its offsets.
    GroupDeleted { group: GroupId },
    /// A group of the consumer protocol needs another target (KIP-848).
    GroupEpochRaised { group: GroupId, epoch: i32, reason: StrBytes },
    /// The coordinator computed who is to have what.
    TargetComputed { group: GroupId, epoch: i32, assignor: StrBytes },
    /// The coordinator told a member to give partitions up, because others are to have them.
    RevocationAsked { group: GroupId, client: StrBytes, partitions: Vec<TopicPartition> },
    /// A member has reached an epoch; `waits`: for partitions that others still have.
    MemberReached { group: GroupId, client: StrBytes, epoch: i32, waits: bool },
    /// Every member has what the target gives it.
    GroupReconciled { group: GroupId, epoch: i32, members: i32 },
    /// A static member has left for a while and keeps its place.
    StaticMemberAway { group: GroupId, client: StrBytes },
    /// The share-group state of these partitions is there: they may be assigned (KIP-932).
    SharePartitionsInitialized { group: GroupId, partitions: Vec<TopicPartition> },
    /// Somebody has chosen where an empty share group goes on: what was done with the records is forgotten.
    ShareOffsetsAltered { group: GroupId, offsets: Vec<(TopicPartition, Offset)> },
    /// The group goes on under the other protocol.
    GroupConverted { group: GroupId, protocol: StrBytes, epoch: i32 },
    OffsetCommitted { group: GroupId, partition: TopicPartition, offset: Offset },

    // Transactions, told by their coordinator and by the leaders of their partitions.
    /// It leads the partition of `__transaction_state` where these ids have their records.
    TransactionsLoaded { partition: TopicPartition, broker: BrokerId, ids: Vec<TransactionalId> },
    TransactionBegun { transactional_id: TransactionalId, producer_id: ProducerId, epoch: i16 },
    PartitionsAddedToTransaction { transactional_id: TransactionalId, partitions: Vec<TopicPartition> },
    /// The outcome is in the log of the coordinator: from now on it cannot change any more.
    TransactionPrepared { transactional_id: TransactionalId, commit: bool, partitions: Vec<TopicPartition> },
    /// A leader wrote the marker that ends a transaction on its partition.
    MarkerWritten { partition: TopicPartition, broker: BrokerId, producer_id: ProducerId, epoch: i16, commit: bool, offset: Offset },
    /// Every partition has its marker.
    TransactionCompleted { transactional_id: TransactionalId, commit: bool },
    /// It was open for longer than its timeout.
    TransactionTimedOut { transactional_id: TransactionalId },
    /// A new producer with the same id ends what the one before it left open.
    TransactionFenced { transactional_id: TransactionalId },
    /// Somebody asked with an epoch that is not the current one.
    ProducerFenced { transactional_id: TransactionalId, epoch: i16, current: i16 },
    /// Nobody used the id for transactional.id.expiration.ms.
    TransactionalIdExpired { transactional_id: TransactionalId },

    // Share groups, told by the leaders of the partitions that they read (KIP-932).
    /// The leader has read what the share coordinator kept: the group goes on from here.
    SharePartitionRead { group: GroupId, partition: TopicPartition, broker: BrokerId, start: Offset },
    /// A newer state is written and an older one still on its way. Kafka 4.2 takes them as they come, so
    /// what was done may be handed out again after the next failover (mended later: apache/kafka#23074).
    ShareWriteOvertaken { group: GroupId, partition: TopicPartition, broker: BrokerId },
    /// A member has got records, and nobody else will until it says what became of them or is too late.
    RecordsAcquired { group: GroupId, partition: TopicPartition, broker: BrokerId, member: StrBytes, first: Offset, last: Offset, delivery_count: i16 },
    /// The share coordinator has written what became of them.
    RecordsSettled { group: GroupId, partition: TopicPartition, broker: BrokerId, first: Offset, last: Offset, fate: RecordsFate },
    /// A member was too late.
    AcquisitionLockTimedOut { group: GroupId, partition: TopicPartition, broker: BrokerId, first: Offset, last: Offset, archived: bool },

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
    /// The call of `send` failed, and `code` is the record's outcome (no metadata, buffer exhausted, too large);
    /// or the call was wrong, and threw an exception.
    SendRejected { producer: ClientId, topic: TopicName, error: StrBytes, code: Option<ErrorCode> },
    /// The application began a transaction; no broker knows of it yet.
    TxnBegun { producer: ClientId },
    /// The group's coordinator wrote a consumer's offsets as part of the transaction.
    TxnOffsetsSent { producer: ClientId, group: GroupId },
    /// The transaction's coordinator has decided: the application goes on.
    TxnEnded { producer: ClientId, commit: bool },
    /// The transaction can only be aborted, or (`fatal`) the producer cannot go on.
    TxnError { producer: ClientId, error: ErrorCode, fatal: bool },
    /// A call that the state of the transaction does not allow: told to the application at once.
    TxnCallRefused { producer: ClientId, call: StrBytes, error: StrBytes },
    /// What the consumer reads from now on; it has read `kept` all the time (KIP-429).
    Assigned { consumer: ClientId, partitions: Vec<TopicPartition>, kept: Vec<TopicPartition>, round: Round },
    Revoked { consumer: ClientId, partitions: Vec<TopicPartition>, lost: bool },
    /// The application has not polled for `max.poll.interval.ms`: its member leaves the group (KIP-62).
    PollOverdue { consumer: ClientId, interval: Duration },
    PositionSet { consumer: ClientId, partition: TopicPartition, to: Offset, reason: PositionReason },
    /// The consumer's position lies outside of the log: what it was to read next is gone, or never was.
    PositionOutOfRange { consumer: ClientId, partition: TopicPartition, at: Offset },
    /// `poll()` handed records to the application: those of `records` (whole batches) from `first` to `last`.
    Delivered { consumer: ClientId, partition: TopicPartition, first: Offset, last: Offset, count: u32, records: Bytes },
    /// `poll()` handed records to the application of a share consumer; the count says how often they have been.
    ShareDelivered { consumer: ClientId, partition: TopicPartition, first: Offset, last: Offset, delivery_count: i16, records: Bytes },
    /// The partition's leader knows what became of these records.
    ShareAcknowledged { consumer: ClientId, partition: TopicPartition, first: Offset, last: Offset, kind: AcknowledgeType },
    /// It does not: the records come back when their locks end, unless they are done with already.
    ShareAcknowledgeFailed { consumer: ClientId, partition: TopicPartition, first: Offset, last: Offset, error: ErrorCode },
    /// `again`: as the last one at the interval did.
    CommitFailed { consumer: ClientId, error: ErrorCode, again: bool },
    /// The consumer cannot go on with a partition: the application was told.
    ConsumerError { consumer: ClientId, error: StrBytes },
    /// A query had no checkpoint yet: it begins here (Spark's JSON).
    StreamBegun { stream: ClientId, offsets: StrBytes },
    /// A query goes on from its checkpoint with this batch.
    StreamResumed { stream: ClientId, batch: u64 },
    /// A batch is written down with what it reads of each partition, or (`again`) run once more with the same bounds.
    StreamPlanned { stream: ClientId, batch: u64, ranges: Vec<(TopicPartition, Offset, Offset)>, tasks: u32, again: bool },
    /// The sink has the batch, and its commit is written.
    StreamBatchDone { stream: ClientId, batch: u64, records: u64 },
    /// Records that a query had not read are gone, and it goes on all the same (`failOnDataLoss=false`).
    StreamDataLost { stream: ClientId, partition: TopicPartition, message: StrBytes },
    /// A query ended with an exception.
    StreamFailed { stream: ClientId, error: StrBytes },
    /// An administrative request was answered; `error` holds Kafka's error and message, `remark` what else
    /// there is to know of one that is done.
    AdminDone { what: StrBytes, error: Option<StrBytes>, remark: Option<StrBytes> },
}

/// What became of records that a member of a share group had acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsFate {
    /// It has processed them.
    Acknowledged,
    /// Others can have them.
    Released,
    /// Nobody gets them again: they were rejected, or delivered too often.
    Archived,
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
                | Fact::StreamPlanned { again: false, .. }
                | Fact::StreamBatchDone { .. }
                | Fact::ShareDelivered { .. }
                | Fact::ShareAcknowledged { .. }
                | Fact::OffsetCommitted { .. }
                | Fact::SnapshotWritten { .. }
                | Fact::PartitionsAddedToTransaction { .. }
                | Fact::MarkerWritten { .. }
                | Fact::RecordsAcquired { .. }
                | Fact::RecordsSettled { fate: RecordsFate::Acknowledged, .. }
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
                    | Fact::TransactionsLoaded { .. }
                    | Fact::SharePartitionRead { .. }
                    | Fact::RecordsSettled { .. }
                    | Fact::TransactionBegun { .. }
                    | Fact::TransactionPrepared { .. }
                    | Fact::MemberJoined { .. }
                    | Fact::TargetComputed { .. }
                    | Fact::MemberReached { .. }
                    | Fact::PositionSet { .. }
                    | Fact::StreamBegun { .. }
                    | Fact::DuplicateBatch { .. }
                    | Fact::BrokerRegistered { .. }
                    | Fact::SendRetried { .. }
                    | Fact::CommitFailed { again: true, .. }
                    | Fact::RegistrationRefused { again: true, .. }
                    | Fact::ElrChanged { .. }
            )
    }

    /// What concerns only Kafka's internal topics: there are fifty partitions of them.
    pub fn is_internal(&self) -> bool {
        match self {
            Fact::CoordinatorLoaded { groups, .. } => groups.is_empty(),
            Fact::TransactionsLoaded { ids, .. } => ids.is_empty(),
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
            | Fact::TransactionsLoaded { partition, .. }
            | Fact::MarkerWritten { partition, .. }
            | Fact::SharePartitionRead { partition, .. }
            | Fact::ShareWriteOvertaken { partition, .. }
            | Fact::RecordsAcquired { partition, .. }
            | Fact::RecordsSettled { partition, .. }
            | Fact::AcquisitionLockTimedOut { partition, .. }
            | Fact::OffsetCommitted { partition, .. }
            | Fact::Acknowledged { partition, .. }
            | Fact::SendFailed { partition, .. }
            | Fact::SendRetried { partition, .. }
            | Fact::PositionSet { partition, .. }
            | Fact::StreamDataLost { partition, .. }
            | Fact::ShareDelivered { partition, .. }
            | Fact::ShareAcknowledged { partition, .. }
            | Fact::ShareAcknowledgeFailed { partition, .. }
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
            | Fact::RegistrationRefused { broker, .. }
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
            | Fact::CoordinatorLoaded { broker, .. }
            | Fact::TransactionsLoaded { broker, .. }
            | Fact::MarkerWritten { broker, .. }
            | Fact::SharePartitionRead { broker, .. }
            | Fact::ShareWriteOvertaken { broker, .. }
            | Fact::RecordsAcquired { broker, .. }
            | Fact::RecordsSettled { broker, .. }
            | Fact::AcquisitionLockTimedOut { broker, .. } => Some(*broker),
            Fact::LeaderElected { to, .. } => *to,
            _ => None,
        }
    }
}
