//! Conditions: what `expect`, `always` and `until` ask of a run.

mod observe;
pub(super) mod parse;
mod world;

use std::fmt;

use crate::kafka::node::TxnState;
use crate::scenario::lex::quote;
use crate::sim::action::{BrokerRef, ControllerRef, NodeRef};
use crate::sim::queries::StreamCondition;
use crate::wire::{ControllerId, ErrorCode, TopicPartition};

pub use observe::{Answer, BrokerState, Observe, Verdict};

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Is(Comparison),
    Not(Box<Condition>),
    /// At least two.
    All(Vec<Condition>),
    /// At least two.
    Any(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub question: Question,
    pub op: Op,
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What is asked. Each has its method in [`Observe`].
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    Leader(TopicPartition),
    LeaderEpoch(TopicPartition),
    Isr(TopicPartition),
    IsrSize(TopicPartition),
    Elr(TopicPartition),
    Replicas(TopicPartition),
    PartitionEpoch(TopicPartition),
    /// As a broker knows it; without one, as the partition's leader does. So the next three.
    HighWatermark(TopicPartition, Option<BrokerRef>),
    LogEnd(TopicPartition, Option<BrokerRef>),
    LogStart(TopicPartition, Option<BrokerRef>),
    LastStable(TopicPartition, Option<BrokerRef>),
    /// Bytes of all segments.
    LogBytes(TopicPartition, Option<BrokerRef>),
    /// Up to where the log is safe from a loss of power (the recovery point).
    Flushed(TopicPartition, Option<BrokerRef>),
    /// Where the last round of compaction ended.
    Cleaned(TopicPartition, Option<BrokerRef>),
    /// How many producers the partition remembers.
    Producers(TopicPartition, Option<BrokerRef>),
    /// The base offsets of the segments.
    Segments(TopicPartition, Option<BrokerRef>),
    /// What LIST_OFFSETS answers, as kafka-get-offsets asks it.
    OffsetOf(TopicPartition, OffsetSpec),
    Broker(BrokerRef),
    Controller,
    ControllerEpoch,
    QuorumLeader,
    /// Who votes in the metadata quorum (KIP-853).
    Voters,
    /// Of the metadata log as this broker or controller has it; so the next.
    MetadataStart(NodeRef),
    MetadataEnd(NodeRef),
    /// Where the node's newest snapshot of the metadata ends.
    Snapshot(NodeRef),
    /// The level of a feature that the cluster agreed on.
    Feature(String),
    GroupState(String),
    Generation(String),
    Members(String),
    Assigned(String),
    Position(String, TopicPartition),
    Committed(String, TopicPartition),
    /// Of a share group: before it everything is done with (SPSO).
    StartOffset(String, TopicPartition),
    /// Of a share group: how many records somebody holds and has not acknowledged.
    Acquired(String, TopicPartition),
    /// Of one partition, or of all that the group has committed.
    Lag(String, Option<TopicPartition>),
    Acked(String),
    /// With one error, or with any.
    Failed(String, Option<ErrorCode>),
    Pending(String),
    /// How a producer stands with its transaction.
    Transaction(String),
    /// Where a stream reader's next batch begins, as its checkpoint says.
    Checkpoint(String, TopicPartition),
    /// The last batch of a stream reader's that is done.
    Batch(String),
    /// The batch that is planned and not done.
    Planned(String),
    StreamState(String),
    Delivered(String, TopicPartition),
    Values(String, TopicPartition),
    PartitionOf(String, String),
    Records(TopicPartition, Option<BrokerRef>),
    Lost,
    Duplicated(String),
    Reordered,
    Phantom,
    Skipped(String),
    UnderReplicated,
    Diverged,
    UnderMinIsr,
    Offline,
}

/// Which offset is asked for (OffsetSpec of Kafka's admin client).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    Latest,
    MaxTimestamp,
    EarliestLocal,
    /// Of the first record with this timestamp (milliseconds) or a later one.
    Timestamp(i64),
}

impl OffsetSpec {
    /// The number that stands for it in LIST_OFFSETS.
    pub fn timestamp(self) -> i64 {
        match self {
            OffsetSpec::Latest => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::EarliestLocal => -4,
            OffsetSpec::Timestamp(millis) => millis,
        }
    }
}

impl fmt::Display for OffsetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OffsetSpec::Earliest => f.write_str("earliest"),
            OffsetSpec::Latest => f.write_str("latest"),
            OffsetSpec::MaxTimestamp => f.write_str("max-timestamp"),
            OffsetSpec::EarliestLocal => f.write_str("earliest-local"),
            OffsetSpec::Timestamp(millis) => write!(f, "{millis}ms"),
        }
    }
}

/// What a question's answer is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None` is written `none`: there is no such number (a position, a committed offset).
    Number(Option<i64>),
    Broker(Option<BrokerRef>),
    Controller(Option<ControllerRef>),
    Controllers(Vec<ControllerRef>),
    Brokers(Vec<BrokerRef>),
    BrokerState(BrokerState),
    GroupState(String),
    TransactionState(TxnState),
    StreamState(StreamCondition),
    Partitions(Vec<TopicPartition>),
    Offsets(Vec<i64>),
    /// Values of records; `None` is a tombstone, written `null`.
    Values(Vec<Option<String>>),
}

impl Condition {
    /// Every comparison in it.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        match self {
            Condition::Is(comparison) => vec![comparison],
            Condition::Not(inner) => inner.comparisons(),
            Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(Condition::comparisons).collect(),
        }
    }
}

impl Question {
    /// Its word in the language.
    pub fn word(&self) -> &'static str {
        match self {
            Question::Leader(_) => "leader",
            Question::LeaderEpoch(_) => "leader-epoch",
            Question::Isr(_) => "isr",
            Question::IsrSize(_) => "isr-size",
            Question::Elr(_) => "elr",
            Question::Replicas(_) => "replicas",
            Question::PartitionEpoch(_) => "partition-epoch",
            Question::HighWatermark(..) => "hw",
            Question::LogEnd(..) => "leo",
            Question::LogStart(..) => "log-start",
            Question::LastStable(..) => "lso",
            Question::LogBytes(..) => "log-bytes",
            Question::Flushed(..) => "flushed",
            Question::Cleaned(..) => "cleaned",
            Question::Producers(..) => "producers",
            Question::Segments(..) => "segments",
            Question::OffsetOf(..) => "offset-of",
            Question::Broker(_) => "broker",
            Question::Controller => "controller",
            Question::ControllerEpoch => "controller-epoch",
            Question::QuorumLeader => "quorum-leader",
            Question::Voters => "voters",
            Question::MetadataStart(_) => "metadata-start",
            Question::MetadataEnd(_) => "metadata-end",
            Question::Snapshot(_) => "snapshot",
            Question::Feature(_) => "feature",
            Question::GroupState(_) => "state",
            Question::Generation(_) => "generation",
            Question::Members(_) => "members",
            Question::Assigned(_) => "assigned",
            Question::Position(..) => "position",
            Question::Committed(..) => "committed",
            Question::StartOffset(..) => "start-offset",
            Question::Acquired(..) => "acquired",
            Question::Lag(..) => "lag",
            Question::Acked(_) => "acked",
            Question::Failed(..) => "failed",
            Question::Pending(_) => "pending",
            Question::Transaction(_) => "transaction",
            Question::Checkpoint(..) => "checkpoint",
            Question::Batch(_) => "batch",
            Question::Planned(_) => "planned",
            Question::StreamState(_) => "stream",
            Question::Delivered(..) => "delivered",
            Question::Values(..) => "values",
            Question::PartitionOf(..) => "partition-of",
            Question::Records(..) => "records",
            Question::Lost => "lost",
            Question::Duplicated(_) => "duplicated",
            Question::Reordered => "reordered",
            Question::Phantom => "phantom",
            Question::Skipped(_) => "skipped",
            Question::UnderReplicated => "under-replicated",
            Question::Diverged => "diverged",
            Question::UnderMinIsr => "under-min-isr",
            Question::Offline => "offline",
        }
    }

    /// The partition that it is about.
    pub fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Question::Leader(p)
            | Question::LeaderEpoch(p)
            | Question::Isr(p)
            | Question::IsrSize(p)
            | Question::Elr(p)
            | Question::Replicas(p)
            | Question::PartitionEpoch(p)
            | Question::HighWatermark(p, _)
            | Question::LogEnd(p, _)
            | Question::LogStart(p, _)
            | Question::LastStable(p, _)
            | Question::LogBytes(p, _)
            | Question::Flushed(p, _)
            | Question::Cleaned(p, _)
            | Question::Producers(p, _)
            | Question::Segments(p, _)
            | Question::OffsetOf(p, _)
            | Question::Records(p, _)
            | Question::Position(_, p)
            | Question::Committed(_, p)
            | Question::StartOffset(_, p)
            | Question::Acquired(_, p)
            | Question::Lag(_, Some(p))
            | Question::Checkpoint(_, p)
            | Question::Delivered(_, p)
            | Question::Values(_, p) => Some(p),
            _ => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = |part: &Condition, bare: bool| if bare { format!("{part}") } else { format!("({part})") };
        let is = |part: &Condition| matches!(part, Condition::Is(_) | Condition::Not(_));
        match self {
            Condition::Is(comparison) => write!(f, "{comparison}"),
            Condition::Not(part) => write!(f, "not {}", inner(part, is(part))),
            Condition::All(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| inner(part, is(part))).collect();
                f.write_str(&parts.join(" and "))
            }
            Condition::Any(parts) => {
                let bare = |part: &Condition| !matches!(part, Condition::Any(_));
                let parts: Vec<String> = parts.iter().map(|part| inner(part, bare(part))).collect();
                f.write_str(&parts.join(" or "))
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.question, self.op.sign(), self.value)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Question::HighWatermark(p, at)
            | Question::LogEnd(p, at)
            | Question::LogStart(p, at)
            | Question::LastStable(p, at)
            | Question::LogBytes(p, at)
            | Question::Flushed(p, at)
            | Question::Cleaned(p, at)
            | Question::Producers(p, at)
            | Question::Segments(p, at)
            | Question::Records(p, at) => {
                write!(f, " {p}")?;
                at.as_ref().map_or(Ok(()), |broker| write!(f, "@{}", broker_ref(broker)))
            }
            Question::OffsetOf(p, spec) => write!(f, " {p} {spec}"),
            Question::Broker(broker) => write!(f, " {}", broker_ref(broker)),
            Question::MetadataStart(node) | Question::MetadataEnd(node) | Question::Snapshot(node) => {
                write!(f, " {}", crate::scenario::print::node(node))
            }
            Question::Feature(name) => write!(f, " {}", word(name)),
            Question::GroupState(name)
            | Question::Generation(name)
            | Question::Members(name)
            | Question::Assigned(name)
            | Question::Acked(name)
            | Question::Pending(name)
            | Question::Transaction(name)
            | Question::Batch(name)
            | Question::Planned(name)
            | Question::StreamState(name)
            | Question::Duplicated(name)
            | Question::Skipped(name)
            | Question::Lag(name, None)
            | Question::Failed(name, None) => write!(f, " {}", word(name)),
            Question::Position(name, p)
            | Question::Committed(name, p)
            | Question::StartOffset(name, p)
            | Question::Acquired(name, p)
            | Question::Lag(name, Some(p))
            | Question::Checkpoint(name, p)
            | Question::Delivered(name, p)
            | Question::Values(name, p) => write!(f, " {} {p}", word(name)),
            Question::Failed(name, Some(error)) => {
                write!(f, " {} {}", word(name), crate::kafka::fact::error_name(*error))
            }
            Question::PartitionOf(topic, key) => write!(f, " {} {}", word(topic), word(key)),
            other => other.partition().map_or(Ok(()), |p| write!(f, " {p}")),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(Some(number)) => write!(f, "{number}"),
            Value::Broker(Some(broker)) => f.write_str(&broker_ref(broker)),
            Value::Controller(Some(controller)) => f.write_str(&controller_ref(controller)),
            Value::Number(None) | Value::Broker(None) | Value::Controller(None) => f.write_str("none"),
            Value::Controllers(controllers) => f.write_str(&list(controllers.iter().map(controller_ref))),
            Value::Brokers(brokers) => f.write_str(&list(brokers.iter().map(broker_ref))),
            Value::BrokerState(state) => f.write_str(state.word()),
            Value::GroupState(state) => f.write_str(state),
            Value::TransactionState(state) => f.write_str(state.name()),
            Value::StreamState(state) => f.write_str(state.word()),
            Value::Partitions(partitions) => f.write_str(&list(partitions.iter().map(TopicPartition::to_string))),
            Value::Offsets(offsets) => f.write_str(&list(offsets.iter().map(i64::to_string))),
            Value::Values(values) => f.write_str(&list(values.iter().map(|value| record_value(value.as_deref())))),
        }
    }
}

impl Op {
    pub const ALL: [Op; 6] = [Op::Equal, Op::NotEqual, Op::Less, Op::AtMost, Op::Greater, Op::AtLeast];

    pub fn sign(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::Greater => ">",
            Op::AtLeast => ">=",
        }
    }
}

/// What separates in a condition, and so must be quoted inside a word of it.
const SEPARATORS: [char; 7] = [',', '(', ')', '=', '!', '<', '>'];

fn word(text: &str) -> String {
    quote(text, &SEPARATORS)
}

/// A value of a record; the words that mean something else are quoted.
pub(super) fn record_value(value: Option<&str>) -> String {
    match value {
        None => "null".to_string(),
        Some(text @ ("null" | "none" | "and" | "or" | "within")) => format!("\"{text}\""),
        Some(text) => word(text),
    }
}

/// An empty list is written `none`.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_string() } else { items.join(",") }
}

/// A broker as scripts write it.
pub fn broker_ref(broker: &BrokerRef) -> String {
    match broker {
        BrokerRef::Id(id) => id.0.to_string(),
        BrokerRef::Leader(partition) => format!("leader:{partition}"),
        BrokerRef::Follower(partition) => format!("follower:{partition}"),
        BrokerRef::Coordinator(group) => format!("coordinator:{}", word(group)),
    }
}

/// A controller as scripts write it.
pub fn controller_ref(controller: &ControllerRef) -> String {
    match controller {
        ControllerRef::Id(ControllerId(number)) => format!("c{number}"),
        ControllerRef::Active => "active".to_string(),
    }
}
