//! Every identifier and quantity has its own type, with a `Display` that is how a person says it.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

pub use kafka_protocol::messages::{BrokerId, GroupId, ProducerId, TopicName, TransactionalId};
pub use kafka_protocol::protocol::StrBytes;
pub use uuid::Uuid;

/// The first node id of the controllers: `c1` is node 3001 on the wire, so that broker and
/// controller ids never meet.
pub const CONTROLLER_ID_BASE: i32 = 3000;

/// A controller by its number: `c1`, `c2`, …
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ControllerId(pub i32);

impl ControllerId {
    /// Its `node.id` in the protocol.
    pub const fn node_id(self) -> i32 {
        CONTROLLER_ID_BASE + self.0
    }

    pub fn from_node_id(node_id: i32) -> Option<ControllerId> {
        (node_id > CONTROLLER_ID_BASE).then(|| ControllerId(node_id - CONTROLLER_ID_BASE))
    }
}

/// A client by the order in which the script named it; 0 is the script's own admin client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u32);

/// Anything that sends and receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeId {
    Controller(ControllerId),
    Broker(BrokerId),
    Client(ClientId),
}

impl NodeId {
    pub const fn broker(id: i32) -> NodeId {
        NodeId::Broker(BrokerId(id))
    }

    pub const fn controller(number: i32) -> NodeId {
        NodeId::Controller(ControllerId(number))
    }

    /// The node that a `node.id` of the protocol names.
    pub fn from_node_id(node_id: i32) -> Option<NodeId> {
        match ControllerId::from_node_id(node_id) {
            Some(controller) => Some(NodeId::Controller(controller)),
            None => (node_id >= 0).then_some(NodeId::Broker(BrokerId(node_id))),
        }
    }

    /// Its `node.id` in the protocol; clients have none (-1).
    pub fn node_id(self) -> i32 {
        match self {
            NodeId::Controller(c) => c.node_id(),
            NodeId::Broker(b) => b.0,
            NodeId::Client(_) => -1,
        }
    }
}

impl fmt::Display for ControllerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeId::Controller(c) => write!(f, "{c}"),
            NodeId::Broker(b) => write!(f, "broker {}", b.0),
            NodeId::Client(c) => write!(f, "client {}", c.0),
        }
    }
}

/// A partition as Kafka writes it: `orders-0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    /// From a topic's name as text.
    pub fn named(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic_name(topic), partition }
    }

    /// Reads `orders-0`: the partition stands after the last dash.
    pub fn parse(text: &str) -> Option<TopicPartition> {
        let (topic, partition) = text.rsplit_once('-')?;
        let partition: i32 = partition.parse().ok()?;
        (!topic.is_empty() && partition >= 0).then(|| TopicPartition::named(topic, partition))
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic.0.as_str(), self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A topic's name from text.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_string()))
}

/// Owned text as the protocol carries it.
pub fn str_bytes(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

/// The partition of an internal topic that a group or a transactional id belongs to:
/// `Utils.abs(key.hashCode()) % partitions`.
pub fn partition_of_key(key: &str, partitions: i32) -> i32 {
    let hash = key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions.max(1)
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl $name {
            /// The following one.
            pub const fn next(self) -> $name {
                $name(self.0 + 1)
            }
        }
    };
}

number!(
    /// A record's place in a partition's log; also the exclusive ends (log end, high watermark).
    Offset(i64)
);
number!(
    /// How often a partition (or the metadata quorum) has changed leader; -1 when unknown.
    LeaderEpoch(i32)
);
number!(
    /// How often a partition's registration has changed at the controller.
    PartitionEpoch(i32)
);
number!(
    /// Which incarnation of a broker: the offset of its registration record (KIP-631); -1 when unknown.
    BrokerEpoch(i64)
);

impl Offset {
    pub const ZERO: Offset = Offset(0);
    pub const UNKNOWN: Offset = Offset(-1);
}

impl LeaderEpoch {
    pub const UNKNOWN: LeaderEpoch = LeaderEpoch(-1);
}

impl BrokerEpoch {
    pub const UNKNOWN: BrokerEpoch = BrokerEpoch(-1);
}

impl Add<i64> for Offset {
    type Output = Offset;
    fn add(self, rhs: i64) -> Offset {
        Offset(self.0 + rhs)
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, rhs: i64) {
        self.0 += rhs;
    }
}

impl Sub for Offset {
    type Output = i64;
    fn sub(self, rhs: Offset) -> i64 {
        self.0 - rhs.0
    }
}
/// What an application says became of a record (AcknowledgeType; KIP-932).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AcknowledgeType {
    /// It is done with.
    Accept = 1,
    /// It may be handed out again.
    Release = 2,
    /// Nobody can do anything with it.
    Reject = 3,
}

impl AcknowledgeType {
    pub const ALL: [AcknowledgeType; 3] = [AcknowledgeType::Accept, AcknowledgeType::Release, AcknowledgeType::Reject];

    /// Kafka's own name, as it is written in scripts.
    pub fn name(self) -> &'static str {
        match self {
            AcknowledgeType::Accept => "accept",
            AcknowledgeType::Release => "release",
            AcknowledgeType::Reject => "reject",
        }
    }
}
