//! What a person or a script can do to a running cluster. No action sets a field: each is
//! something that could be done to a real cluster.

use crate::kafka::config::{BrokerConfig, ConsumerConfig, ProducerConfig, StreamConfig};
use crate::kafka::node::{ProducerRecord, SeekTo};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant, Rate};
use crate::wire::{AcknowledgeType, ApiKey, BrokerId, ControllerId, Offset, TopicPartition};

/// What a script's first statement asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSetup {
    pub brokers: i32,
    pub controllers: i32,
    pub seed: u64,
    /// One for each broker in order, or empty.
    pub racks: Vec<String>,
    /// `start=cold`: everything has just been switched on at time zero.
    pub cold: bool,
    pub config: BrokerConfig,
    /// The broker settings as they were written, by Kafka's names.
    pub configs: SortedMap<String, String>,
}

/// Settings by Kafka's names, as they were written and found valid.
pub type Configs = SortedMap<String, String>;

/// A broker by number or by the role it plays when the action is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerRef {
    Id(BrokerId),
    Leader(TopicPartition),
    /// The first other replica, in replica order.
    Follower(TopicPartition),
    Coordinator(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControllerRef {
    Id(ControllerId),
    Active,
}

/// Anything that a link, a cut, a freeze can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRef {
    Broker(BrokerRef),
    Controller(ControllerRef),
    /// A client by its name.
    Client(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    CreateTopic {
        name: String,
        partitions: Option<i32>,
        replication_factor: Option<i16>,
        assignment: Option<Vec<Vec<BrokerId>>>,
        configs: Configs,
    },
    DeleteTopic {
        name: String,
    },
    /// `kafka-consumer-groups --delete`, `kafka-share-groups --delete`
    DeleteGroup {
        name: String,
    },
    AlterTopic {
        name: String,
        set: Configs,
        delete: Vec<String>,
    },
    AlterGroup {
        name: String,
        set: Configs,
        delete: Vec<String>,
    },
    /// Settings of one broker, or of all of them.
    AlterBroker {
        broker: Option<BrokerId>,
        set: Configs,
        delete: Vec<String>,
    },
    CreatePartitions {
        name: String,
        total: i32,
    },
    DeleteRecords {
        partition: TopicPartition,
        before: Offset,
    },
    ElectLeader {
        partition: TopicPartition,
        unclean: bool,
    },
    /// `None`: cancel the reassignment that is under way.
    Reassign {
        partition: TopicPartition,
        replicas: Option<Vec<BrokerId>>,
    },
    AddBroker {
        id: BrokerId,
        rack: Option<String>,
    },
    /// The machine starts, and is made a voter when it has caught up (KIP-853).
    AddController {
        id: ControllerId,
    },
    /// It votes no more; its process goes on as an observer.
    RemoveController {
        controller: ControllerRef,
    },
    /// The controller forgets a broker, dead or alive.
    UnregisterBroker {
        id: BrokerId,
    },

    AddProducer {
        name: String,
        config: ProducerConfig,
        transactional_id: Option<String>,
        configs: Configs,
    },
    AddConsumer {
        name: String,
        group: String,
        topics: Vec<String>,
        config: ConsumerConfig,
        configs: Configs,
    },
    AddShareConsumer {
        name: String,
        group: String,
        topics: Vec<String>,
        config: ConsumerConfig,
        configs: Configs,
    },
    /// A query of a structured-streaming engine that reads these topics.
    AddStream {
        name: String,
        subscribe: Vec<String>,
        config: Box<StreamConfig>,
        options: Configs,
    },
    Send {
        producer: String,
        record: ProducerRecord,
    },
    Load {
        producer: String,
        topic: String,
        rate: Rate,
        keys: u32,
        size: u32,
        duration: Duration,
    },
    Seek {
        consumer: String,
        partition: TopicPartition,
        to: SeekTo,
    },
    /// Of a consumer's positions, or of a producer's transaction.
    Commit {
        client: String,
    },
    BeginTransaction {
        producer: String,
    },
    AbortTransaction {
        producer: String,
    },
    /// The consumer's positions become part of the producer's transaction.
    SendOffsets {
        producer: String,
        consumer: String,
    },
    /// What a share consumer says of one record that it holds, or of all of which nothing has been said.
    Acknowledge {
        consumer: String,
        kind: AcknowledgeType,
        record: Option<(TopicPartition, Offset)>,
    },
    Pause {
        consumer: String,
    },
    Resume {
        consumer: String,
    },
    /// The application of a consumer takes so long for each record.
    Handle {
        consumer: String,
        each: Duration,
    },
    Close {
        client: String,
    },
    KillClient {
        name: String,
    },
    StartClient {
        name: String,
    },
    ResetOffsets {
        group: String,
        topic: String,
        to: ResetTo,
    },

    Kill(NodeRef),
    /// A machine loses its power.
    PowerOff(NodeRef),
    /// Controlled shutdown.
    Stop(NodeRef),
    Start(NodeRef),
    Wipe(NodeRef),
    Freeze(NodeRef),
    Thaw(NodeRef),
    Cut {
        sides: Vec<Vec<NodeRef>>,
    },
    Heal,
    Link {
        from: NodeRef,
        to: NodeRef,
        both: bool,
        latency: Option<Duration>,
        jitter: Option<Duration>,
        loss_percent: Option<u32>,
    },
    DropNext {
        api: ApiKey,
        response: bool,
        from: NodeRef,
        to: NodeRef,
    },
    /// The next such message takes that much longer.
    DelayNext {
        api: ApiKey,
        response: bool,
        from: NodeRef,
        to: NodeRef,
        by: Duration,
    },
    /// The next such message arrives twice.
    DuplicateNext {
        api: ApiKey,
        response: bool,
        from: NodeRef,
        to: NodeRef,
    },
    /// Every write of this broker's to its log takes that long; zero: as good as none.
    SlowDisk {
        broker: BrokerRef,
        latency: Duration,
    },
}

/// Where `reset-offsets` goes (kafka-consumer-groups --reset-offsets).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    Earliest,
    Latest,
    Offset(Offset),
    /// Milliseconds.
    Time(i64),
    Shift(i64),
}

/// Why an action could not be carried out; `message` is Kafka's own where Kafka has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub message: String,
}

impl Refused {
    pub fn new(message: impl Into<String>) -> Refused {
        Refused { message: message.into() }
    }
}

/// When an action was carried out, for `Load`'s end and the like.
pub type At = Instant;
