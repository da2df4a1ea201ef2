//! Which event brought a value about: the newest one before the viewed instant that set it.

use crate::sorted::SortedMap as BTreeMap;

use crate::history::History;
use crate::kafka::fact::Fact;
use crate::sim::Event;
use crate::view::inspect::Selection;
use crate::wire::{BrokerId, NodeId, TopicPartition};

/// What a fact decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Leader(TopicPartition),
    Isr(TopicPartition),
    Elr(TopicPartition),
    Replicas(TopicPartition),
    HighWatermark(TopicPartition, BrokerId),
    LogEnd(TopicPartition, BrokerId),
    Node(NodeId),
    Fenced(BrokerId),
    Quorum,
    Group(String),
    Assignment(NodeId),
    Committed(String, TopicPartition),
    Failed(NodeId),
    Identity(NodeId),
}

/// The events by what they decide, in order; each step is looked at once.
#[derive(Clone, Debug, Default)]
pub struct Whys {
    seen: usize,
    /// `(steps before it and itself, event)`
    told: BTreeMap<Subject, Vec<(u64, u64)>>,
}

impl Whys {
    /// Another future has begun: what was learned of the old one is forgotten.
    pub fn forget(&mut self) {
        *self = Whys::default();
    }

    /// The event behind a value of what is selected, by the name under which the inspector shows it.
    pub fn of(&self, history: &History, selection: &Selection, name: &str) -> Option<u64> {
        let subject = subject(history, selection, name)?;
        let told = self.told.get(&subject)?;
        let before = told.partition_point(|(step, _)| *step <= history.position());
        told[..before].last().map(|(_, event)| *event)
    }

    pub fn look(&mut self, history: &History) {
        let steps = history.steps();
        for (index, step) in steps.iter().enumerate().skip(self.seen) {
            for event in &step.events {
                for subject in decided(event) {
                    self.told.entry(subject).or_default().push((index as u64 + 1, event.id.0));
                }
            }
        }
        self.seen = steps.len();
    }
}

fn decided(event: &Event) -> Vec<Subject> {
    let one = |subject| vec![subject];
    match &event.fact {
        Fact::LeaderElected { partition, .. } => {
            vec![Subject::Leader(partition.clone()), Subject::Isr(partition.clone())]
        }
        Fact::IsrChanged { partition, .. } => one(Subject::Isr(partition.clone())),
        Fact::ElrChanged { partition, .. } => one(Subject::Elr(partition.clone())),
        Fact::ReplicasChanged { partition, .. } => one(Subject::Replicas(partition.clone())),
        Fact::HighWatermarkMoved { partition, broker, .. } => one(Subject::HighWatermark(partition.clone(), *broker)),
        Fact::Appended { partition, broker, .. } | Fact::Truncated { partition, broker, .. } => {
            one(Subject::LogEnd(partition.clone(), *broker))
        }
        Fact::Killed { node }
        | Fact::PoweredOff { node }
        | Fact::Started { node }
        | Fact::Stopping { node }
        | Fact::Frozen { node }
        | Fact::Thawed { node } => one(Subject::Node(*node)),
        Fact::BrokerFenced { broker, .. } | Fact::BrokerUnfenced { broker } => one(Subject::Fenced(*broker)),
        Fact::BrokerRegistered { broker, .. } => one(Subject::Node(NodeId::Broker(*broker))),
        Fact::QuorumLeaderElected { .. } | Fact::QuorumLeaderResigned { .. } => one(Subject::Quorum),
        Fact::RebalanceStarted { group, .. }
        | Fact::GenerationStable { group, .. }
        | Fact::GroupEmpty { group, .. } => one(Subject::Group(group.0.to_string())),
        Fact::Assigned { consumer, .. } | Fact::Revoked { consumer, .. } => {
            one(Subject::Assignment(NodeId::Client(*consumer)))
        }
        Fact::OffsetCommitted { group, partition, .. } => {
            one(Subject::Committed(group.0.to_string(), partition.clone()))
        }
        Fact::SendFailed { producer, .. } => one(Subject::Failed(NodeId::Client(*producer))),
        Fact::ProducerIdAssigned { producer, .. } => one(Subject::Identity(NodeId::Client(*producer))),
        _ => Vec::new(),
    }
}

/// What decides the value that the inspector shows under this name.
fn subject(history: &History, selection: &Selection, name: &str) -> Option<Subject> {
    let world = history.world();
    Some(match selection {
        Selection::Partition(partition) => {
            let partition = TopicPartition::parse(partition)?;
            match name {
                "leader" | "leader epoch" => Subject::Leader(partition),
                "ISR" | "partition epoch" => Subject::Isr(partition),
                "ELR" => Subject::Elr(partition),
                "replicas" | "adding" | "removing" => Subject::Replicas(partition),
                "high watermark" | "last stable offset" | "log end offset" => {
                    let leader = world.registration(&partition)?.leader?;
                    of_log(name, partition, leader)
                }
                _ => return None,
            }
        }
        Selection::Replica { partition, broker } => {
            let partition = TopicPartition::parse(partition)?;
            match name {
                "role" | "leader epoch" => Subject::Leader(partition),
                "maximal ISR" => Subject::Isr(partition),
                "high watermark" | "last stable offset" | "log end offset" => {
                    of_log(name, partition, BrokerId(*broker))
                }
                _ => return None,
            }
        }
        Selection::Record { partition, broker, .. } if name == "below the high watermark" => {
            Subject::HighWatermark(TopicPartition::parse(partition)?, BrokerId(*broker))
        }
        Selection::Broker(id) => match name {
            "fenced" | "in controlled shutdown" => Subject::Fenced(BrokerId(*id)),
            "broker epoch" | "incarnation" | "state" => Subject::Node(NodeId::Broker(BrokerId(*id))),
            _ => return None,
        },
        Selection::Controller(_) if ["role", "leader", "epoch", "active controller"].contains(&name) => Subject::Quorum,
        Selection::Group(group) => match name {
            "state" | "generation" | "members" | "assignor" | "leader" => Subject::Group(group.clone()),
            partition => Subject::Committed(group.clone(), TopicPartition::parse(partition)?),
        },
        Selection::Consumer(consumer) => match name {
            "generation" | "member id" => Subject::Group(world.consumer(consumer)?.group().to_string()),
            partition => {
                TopicPartition::parse(partition)?;
                Subject::Assignment(NodeId::Client(world.client_named(consumer)?))
            }
        },
        Selection::Producer(producer) => {
            let node = NodeId::Client(world.client_named(producer)?);
            match name {
                "failed" => Subject::Failed(node),
                "producer id" | "producer epoch" => Subject::Identity(node),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn of_log(name: &str, partition: TopicPartition, broker: BrokerId) -> Subject {
    match name {
        "log end offset" => Subject::LogEnd(partition, broker),
        _ => Subject::HighWatermark(partition, broker),
    }
}
