//! What a step of the world leaves behind: when it was, what caused it, what it told.

use crate::kafka::fact::Fact;
use crate::kafka::node::Alarm;
use crate::time::Instant;
use crate::wire::NodeId;

/// Counts the told facts of a run, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EventId(pub u64);

/// Counts the messages of a run, from 1: older messages first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MessageId(pub u64);

/// What made a step happen. The derived order breaks ties at one instant, here and nowhere else:
/// a script line comes before a delivery, a delivery before an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A line of the script (its number, from 1), or a click that became one.
    Script { line: u32 },
    /// A message, or the news of a broken connection, arrived.
    Delivery { message: MessageId },
    /// A node's own timer.
    Alarm { node: NodeId, alarm: Alarm },
}

/// An event as the reason for something, with the person's act at the root of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Because {
    pub event: EventId,
    /// The event of the script line or click that started it all; `None` for the cluster's own rounds.
    pub root: Option<EventId>,
}

/// A fact with its place in the chain of causes.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub at: Instant,
    /// The event without which this one would not be; `None` for what a person or the start did.
    pub cause: Option<EventId>,
    /// The event of the person's act at the root of the chain.
    pub root: Option<EventId>,
    /// Who told it.
    pub node: Option<NodeId>,
    pub fact: Fact,
}

impl Event {
    pub fn because(&self) -> Because {
        Because { event: self.id, root: self.root }
    }
}

/// One turn of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub at: Instant,
    pub cause: Cause,
    /// Who took the turn; `None` for a line that only concerns the network.
    pub node: Option<NodeId>,
    pub events: Vec<Event>,
}

/// Whether what a node does at this alarm goes on with what last reached it, rather than being a
/// round that comes anyway.
pub(super) fn continues_a_story(alarm: Alarm) -> bool {
    match alarm {
        Alarm::Load
        | Alarm::Poll
        | Alarm::NoOpRecord
        | Alarm::BrokerHeartbeat
        | Alarm::GroupHeartbeat
        | Alarm::HighWatermarkCheckpoint
        | Alarm::LogRetention
        | Alarm::LogFlush
        | Alarm::LogCleaner
        | Alarm::ProducerExpiry
        | Alarm::OffsetsExpiry
        | Alarm::TransactionalIdExpiry
        | Alarm::MetadataRefresh
        | Alarm::LeaderRebalance
        | Alarm::QuorumFetchWait => false,
        Alarm::PollInterval
        | Alarm::Election
        | Alarm::QuorumFetchTimeout
        | Alarm::CheckQuorum
        | Alarm::AppendLinger
        | Alarm::QuorumRequest
        | Alarm::BrokerSession
        | Alarm::RequestTimeout
        | Alarm::IsrShrink
        | Alarm::AlterPartitionRetry
        | Alarm::FetcherBackoff
        | Alarm::DelayedOperation
        | Alarm::Group
        | Alarm::Transaction
        | Alarm::ShareCoordinator
        | Alarm::AcquisitionLock
        | Alarm::Linger
        | Alarm::RetryBackoff
        | Alarm::DeliveryTimeout
        | Alarm::Shutdown => true,
    }
}
