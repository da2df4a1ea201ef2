//! Conditions against a run: the questions that a run must answer, and whether the answers hold.

use bytes::Bytes;

use crate::kafka::node::TxnState;
use crate::scenario::condition::{Comparison, Condition, OffsetSpec, Op, Question, Value, list, record_value};
use crate::sim::action::{BrokerRef, ControllerRef, NodeRef};
use crate::sim::queries::StreamCondition;
use crate::wire::{BrokerId, ControllerId, ErrorCode, TopicPartition};

/// How a broker is; `Fenced` is one that runs but that the controller holds for gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerState {
    Alive,
    Fenced,
    Dead,
    Frozen,
    ShuttingDown,
}

impl BrokerState {
    pub const ALL: [BrokerState; 5] =
        [BrokerState::Alive, BrokerState::Fenced, BrokerState::Dead, BrokerState::Frozen, BrokerState::ShuttingDown];

    pub fn word(self) -> &'static str {
        match self {
            BrokerState::Alive => "alive",
            BrokerState::Fenced => "fenced",
            BrokerState::Dead => "dead",
            BrokerState::Frozen => "frozen",
            BrokerState::ShuttingDown => "shutting-down",
        }
    }

    pub fn parse(word: &str) -> Option<BrokerState> {
        BrokerState::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What a run answers. The outer `None` always means: there is no such thing to ask about at this
/// moment (no such topic, a dead broker's log, a group nobody has joined). Nothing holds about
/// what there is not, neither `=` nor `!=`. An inner `None` is the answer `none`.
pub trait Observe {
    /// Which broker plays a role now.
    fn role(&self, broker: &BrokerRef) -> Option<BrokerId>;

    /// As the metadata of the active controller has it; so the next six.
    fn leader(&self, partition: &TopicPartition) -> Option<Option<BrokerId>>;
    fn leader_epoch(&self, partition: &TopicPartition) -> Option<i64>;
    fn isr(&self, partition: &TopicPartition) -> Option<Vec<BrokerId>>;
    fn elr(&self, partition: &TopicPartition) -> Option<Vec<BrokerId>>;
    fn replicas(&self, partition: &TopicPartition) -> Option<Vec<BrokerId>>;
    fn partition_epoch(&self, partition: &TopicPartition) -> Option<i64>;

    /// In the log of this broker; `None`: in that of the leader. So the next nine.
    fn high_watermark(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    fn log_end(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    fn log_start(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    fn last_stable(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    fn log_bytes(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    fn flushed(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    /// The inner `None`: never.
    fn cleaned(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Option<i64>>;
    fn producers(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64>;
    fn segments(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Vec<i64>>;
    /// The values, control records left out.
    fn records(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Vec<Option<Bytes>>>;
    /// What the leader answers to LIST_OFFSETS of a consumer; the inner `None`: no such record.
    fn offset_of(&self, partition: &TopicPartition, spec: OffsetSpec) -> Option<Option<i64>>;
    /// Where the partitioner puts this key.
    fn partition_of(&self, topic: &str, key: &str) -> Option<i64>;

    fn broker_state(&self, broker: BrokerId) -> Option<BrokerState>;
    /// The active controller: the one that leads the quorum and has claimed its office.
    fn controller(&self) -> Option<ControllerId>;
    fn controller_epoch(&self) -> Option<i64>;
    fn quorum_leader(&self) -> Option<ControllerId>;
    fn voters(&self) -> Option<Vec<ControllerId>>;
    /// Where the metadata log of a broker or controller begins and ends.
    fn metadata_log(&self, node: &NodeRef) -> Option<(i64, i64)>;
    /// Where the node's newest snapshot ends.
    fn snapshot(&self, node: &NodeRef) -> Option<Option<i64>>;
    fn feature(&self, name: &str) -> Option<i64>;

    /// By Kafka's name.
    fn group_state(&self, group: &str) -> Option<String>;
    fn generation(&self, group: &str) -> Option<i64>;
    fn members(&self, group: &str) -> Option<i64>;
    /// Of a share group: its start offset, and how many records are acquired.
    fn share_partition(&self, group: &str, partition: &TopicPartition) -> Option<(i64, i64)>;
    fn committed(&self, group: &str, partition: &TopicPartition) -> Option<Option<i64>>;
    /// High watermark minus committed offset, of one partition or summed over all.
    fn lag(&self, group: &str, partition: Option<&TopicPartition>) -> Option<Option<i64>>;

    fn assigned(&self, consumer: &str) -> Option<Vec<TopicPartition>>;
    fn position(&self, consumer: &str, partition: &TopicPartition) -> Option<Option<i64>>;
    /// How many records the application got.
    fn delivered(&self, consumer: &str, partition: &TopicPartition) -> Option<i64>;
    /// Their values in the order of delivery.
    fn values(&self, consumer: &str, partition: &TopicPartition) -> Option<Vec<Option<Bytes>>>;

    /// Where the next batch of a stream reader begins, by its checkpoint.
    fn checkpoint(&self, stream: &str, partition: &TopicPartition) -> Option<Option<i64>>;
    /// The last batch that is done, and the one that is planned.
    fn batches(&self, stream: &str) -> Option<(Option<i64>, Option<i64>)>;
    fn stream_state(&self, stream: &str) -> Option<StreamCondition>;

    fn acked(&self, producer: &str) -> Option<i64>;
    fn failed(&self, producer: &str, error: Option<ErrorCode>) -> Option<i64>;
    fn pending(&self, producer: &str) -> Option<i64>;
    fn transaction(&self, producer: &str) -> Option<TxnState>;

    /// The verdict over the fate of every record.
    fn lost(&self) -> i64;
    fn duplicated(&self, group: &str) -> Option<i64>;
    fn reordered(&self) -> i64;
    fn phantom(&self) -> i64;
    fn skipped(&self, group: &str) -> Option<i64>;

    /// How many replicas do not have their leader's log to its end, or hold less of it for committed than all.
    fn diverged(&self) -> i64;
    /// How many partitions have fewer replicas in sync than replicas; fewer than
    /// `min.insync.replicas`; no leader.
    fn under_replicated(&self) -> i64;
    fn under_min_isr(&self) -> i64;
    fn offline(&self) -> i64;
}

/// An answer as it is compared and shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// There is no such thing.
    Unknown,
    Number(Option<i64>),
    Broker(Option<BrokerId>),
    Controller(Option<ControllerId>),
    Controllers(Vec<ControllerId>),
    Brokers(Vec<BrokerId>),
    BrokerState(BrokerState),
    GroupState(String),
    TransactionState(TxnState),
    StreamState(StreamCondition),
    Partitions(Vec<TopicPartition>),
    Offsets(Vec<i64>),
    Values(Vec<Option<Bytes>>),
}

/// Whether a condition holds, and what holds instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub holds: bool,
    /// `2,3`; of several comparisons each with its question: `isr orders-0 is 2,3; offline is 0`.
    pub actual: String,
}

impl Condition {
    pub fn holds(&self, run: &dyn Observe) -> bool {
        match self {
            Condition::Is(comparison) => comparison.holds(run),
            Condition::Not(inner) => !inner.holds(run),
            Condition::All(parts) => parts.iter().all(|part| part.holds(run)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(run)),
        }
    }

    /// What the run answers to every question of the condition, as text.
    pub fn actual(&self, run: &dyn Observe) -> String {
        let comparisons = self.comparisons();
        if let [only] = comparisons[..] {
            return only.question.ask(run).to_string();
        }
        let mut parts: Vec<String> = Vec::new();
        for comparison in comparisons {
            let part = format!("{} is {}", comparison.question, comparison.question.ask(run));
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts.join("; ")
    }

    pub fn check(&self, run: &dyn Observe) -> Verdict {
        Verdict { holds: self.holds(run), actual: self.actual(run) }
    }
}

impl Comparison {
    fn holds(&self, run: &dyn Observe) -> bool {
        let answer = self.question.ask(run);
        if let (Answer::Number(answer), Value::Number(value)) = (&answer, &self.value) {
            return self.op.compare(*answer, *value);
        }
        let ordered = matches!(self.question, Question::Replicas(_));
        let equal = match (answer, &self.value) {
            (Answer::Unknown, _) => return false,
            (Answer::Broker(answer), Value::Broker(value)) => match value {
                None => answer.is_none(),
                Some(value) => answer.is_some() && answer == run.role(value),
            },
            (Answer::Controller(answer), Value::Controller(value)) => match value {
                None => answer.is_none(),
                Some(ControllerRef::Id(id)) => answer == Some(*id),
                Some(ControllerRef::Active) => answer.is_some() && answer == run.controller(),
            },
            (Answer::TransactionState(answer), Value::TransactionState(value)) => answer == *value,
            (Answer::StreamState(answer), Value::StreamState(value)) => answer == *value,
            (Answer::Controllers(answer), Value::Controllers(value)) => {
                let ids = value.iter().map(|controller| match controller {
                    ControllerRef::Id(id) => Some(*id),
                    ControllerRef::Active => run.controller(),
                });
                ids.collect::<Option<Vec<ControllerId>>>().is_some_and(|value| same_set(answer, value))
            }
            (Answer::Brokers(answer), Value::Brokers(value)) => {
                match value.iter().map(|broker| run.role(broker)).collect::<Option<Vec<BrokerId>>>() {
                    Some(value) if ordered => answer == value,
                    Some(value) => same_set(answer, value),
                    None => false,
                }
            }
            (Answer::BrokerState(answer), Value::BrokerState(value)) => answer == *value,
            (Answer::GroupState(answer), Value::GroupState(value)) => answer == *value,
            (Answer::Partitions(answer), Value::Partitions(value)) => same_set(answer, value.clone()),
            (Answer::Offsets(answer), Value::Offsets(value)) => answer == *value,
            (Answer::Values(answer), Value::Values(value)) => {
                let bytes = |value: &Option<String>| value.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes()));
                answer == value.iter().map(bytes).collect::<Vec<_>>()
            }
            _ => false,
        };
        equal == (self.op == Op::Equal)
    }
}

fn same_set<T: Ord>(mut a: Vec<T>, mut b: Vec<T>) -> bool {
    a.sort_unstable();
    a.dedup();
    b.sort_unstable();
    b.dedup();
    a == b
}

impl Op {
    /// `none` is equal to itself only, and neither less nor greater than a number.
    fn compare(self, answer: Option<i64>, value: Option<i64>) -> bool {
        match (self, answer, value) {
            (Op::Equal, a, b) => a == b,
            (Op::NotEqual, a, b) => a != b,
            (Op::Less, Some(a), Some(b)) => a < b,
            (Op::AtMost, Some(a), Some(b)) => a <= b,
            (Op::Greater, Some(a), Some(b)) => a > b,
            (Op::AtLeast, Some(a), Some(b)) => a >= b,
            _ => false,
        }
    }
}

impl Question {
    /// Asks the run.
    pub fn ask(&self, run: &dyn Observe) -> Answer {
        self.ask_known(run).unwrap_or(Answer::Unknown)
    }

    fn ask_known(&self, run: &dyn Observe) -> Option<Answer> {
        let number = |number: i64| Answer::Number(Some(number));
        Some(match self {
            Question::Leader(p) => Answer::Broker(run.leader(p)?),
            Question::LeaderEpoch(p) => number(run.leader_epoch(p)?),
            Question::Isr(p) => Answer::Brokers(run.isr(p)?),
            Question::IsrSize(p) => number(run.isr(p)?.len() as i64),
            Question::Elr(p) => Answer::Brokers(run.elr(p)?),
            Question::Replicas(p) => Answer::Brokers(run.replicas(p)?),
            Question::PartitionEpoch(p) => number(run.partition_epoch(p)?),
            Question::HighWatermark(p, at) => number(run.high_watermark(p, at_broker(run, at)?)?),
            Question::LogEnd(p, at) => number(run.log_end(p, at_broker(run, at)?)?),
            Question::LogStart(p, at) => number(run.log_start(p, at_broker(run, at)?)?),
            Question::LastStable(p, at) => number(run.last_stable(p, at_broker(run, at)?)?),
            Question::LogBytes(p, at) => number(run.log_bytes(p, at_broker(run, at)?)?),
            Question::Flushed(p, at) => number(run.flushed(p, at_broker(run, at)?)?),
            Question::Cleaned(p, at) => Answer::Number(run.cleaned(p, at_broker(run, at)?)?),
            Question::Producers(p, at) => number(run.producers(p, at_broker(run, at)?)?),
            Question::Segments(p, at) => Answer::Offsets(run.segments(p, at_broker(run, at)?)?),
            Question::OffsetOf(p, spec) => Answer::Number(run.offset_of(p, *spec)?),
            Question::Broker(broker) => Answer::BrokerState(run.broker_state(run.role(broker)?)?),
            Question::Controller => Answer::Controller(run.controller()),
            Question::ControllerEpoch => number(run.controller_epoch()?),
            Question::QuorumLeader => Answer::Controller(run.quorum_leader()),
            Question::Voters => Answer::Controllers(run.voters()?),
            Question::MetadataStart(node) => number(run.metadata_log(node)?.0),
            Question::MetadataEnd(node) => number(run.metadata_log(node)?.1),
            Question::Snapshot(node) => Answer::Number(run.snapshot(node)?),
            Question::Feature(name) => number(run.feature(name)?),
            Question::GroupState(group) => Answer::GroupState(run.group_state(group)?),
            Question::Generation(group) => number(run.generation(group)?),
            Question::Members(group) => number(run.members(group)?),
            Question::Assigned(consumer) => Answer::Partitions(run.assigned(consumer)?),
            Question::Position(consumer, p) => Answer::Number(run.position(consumer, p)?),
            Question::Committed(group, p) => Answer::Number(run.committed(group, p)?),
            Question::StartOffset(group, p) => number(run.share_partition(group, p)?.0),
            Question::Acquired(group, p) => number(run.share_partition(group, p)?.1),
            Question::Lag(group, p) => Answer::Number(run.lag(group, p.as_ref())?),
            Question::Acked(producer) => number(run.acked(producer)?),
            Question::Failed(producer, error) => number(run.failed(producer, *error)?),
            Question::Pending(producer) => number(run.pending(producer)?),
            Question::Transaction(producer) => Answer::TransactionState(run.transaction(producer)?),
            Question::Checkpoint(stream, p) => Answer::Number(run.checkpoint(stream, p)?),
            Question::Batch(stream) => Answer::Number(run.batches(stream)?.0),
            Question::Planned(stream) => Answer::Number(run.batches(stream)?.1),
            Question::StreamState(stream) => Answer::StreamState(run.stream_state(stream)?),
            Question::Delivered(consumer, p) => number(run.delivered(consumer, p)?),
            Question::Values(consumer, p) => Answer::Values(run.values(consumer, p)?),
            Question::PartitionOf(topic, key) => number(run.partition_of(topic, key)?),
            Question::Records(p, at) => Answer::Values(run.records(p, at_broker(run, at)?)?),
            Question::Lost => number(run.lost()),
            Question::Duplicated(group) => number(run.duplicated(group)?),
            Question::Reordered => number(run.reordered()),
            Question::Phantom => number(run.phantom()),
            Question::Skipped(group) => number(run.skipped(group)?),
            Question::UnderReplicated => number(run.under_replicated()),
            Question::Diverged => number(run.diverged()),
            Question::UnderMinIsr => number(run.under_min_isr()),
            Question::Offline => number(run.offline()),
        })
    }
}

/// The broker that `@…` names; the outer `None`: nobody plays that role now.
fn at_broker(run: &dyn Observe, at: &Option<BrokerRef>) -> Option<Option<BrokerId>> {
    match at {
        None => Some(None),
        Some(broker) => run.role(broker).map(Some),
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Unknown => f.write_str("unknown"),
            Answer::Number(Some(number)) => write!(f, "{number}"),
            Answer::Broker(Some(broker)) => write!(f, "{}", broker.0),
            Answer::Controller(Some(controller)) => write!(f, "{controller}"),
            Answer::Number(None) | Answer::Broker(None) | Answer::Controller(None) => f.write_str("none"),
            Answer::Controllers(ids) => f.write_str(&list(ids.iter().map(ControllerId::to_string))),
            Answer::Brokers(brokers) => f.write_str(&list(brokers.iter().map(|broker| broker.0.to_string()))),
            Answer::BrokerState(state) => f.write_str(state.word()),
            Answer::GroupState(state) => f.write_str(state),
            Answer::TransactionState(state) => f.write_str(state.name()),
            Answer::StreamState(state) => f.write_str(state.word()),
            Answer::Partitions(partitions) => f.write_str(&list(partitions.iter().map(TopicPartition::to_string))),
            Answer::Offsets(offsets) => f.write_str(&list(offsets.iter().map(i64::to_string))),
            Answer::Values(values) => {
                let text = |value: &Option<Bytes>| {
                    let text = value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                    record_value(text.as_deref())
                };
                f.write_str(&list(values.iter().map(text)))
            }
        }
    }
}
