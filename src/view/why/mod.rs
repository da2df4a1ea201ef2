//! Which event brought a value about: the newest one before the viewed instant that decided it.

use crate::history::History;
use crate::kafka::fact::{Fact, error_name};
use crate::sim::{Event, World};
use crate::sorted::SortedMap;
use crate::view::inspect::{Selection, lag_name};
use crate::wire::{BrokerId, NodeId, Offset, TopicPartition};

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
    Position(NodeId, TopicPartition),
    Delivered(NodeId),
    Sent(NodeId),
    Acked(NodeId),
    Failed(NodeId),
    /// By one error, under Kafka's name for it.
    FailedWith(NodeId, String),
    Identity(NodeId),
    /// What a stream reader has planned and done.
    Batch(NodeId),
    DataLost(NodeId),
}

/// The events by what they decide, in order; each step is looked at once.
#[derive(Clone, Debug, Default)]
pub struct Whys {
    seen: u64,
    /// What was told before this step is forgotten.
    first: u64,
    /// `(steps before it and itself, event)`
    told: SortedMap<Subject, Vec<(u64, u64)>>,
    /// What each group committed last: the same again decides nothing.
    committed: SortedMap<Subject, Offset>,
}

impl Whys {
    /// Another future has begun: what was learned of the old one is forgotten.
    pub fn forget(&mut self) {
        *self = Whys::default();
    }

    /// The event behind a value of what is selected, by the name under which the inspector shows it.
    pub fn of(&self, history: &History, selection: &Selection, name: &str) -> Option<u64> {
        let told = subjects(history, selection, name).into_iter().filter_map(|subject| {
            let told = self.told.get(&subject)?;
            let before = told.partition_point(|(step, _)| *step <= history.position());
            told[..before].last()
        });
        told.max().map(|(_, event)| *event)
    }

    pub fn look(&mut self, history: &History) {
        let from = self.seen.max(history.first_step());
        for (index, step) in history.steps_from(from).iter().enumerate() {
            for event in &step.events {
                for subject in decided(event) {
                    if let Fact::OffsetCommitted { offset, .. } = &event.fact
                        && self.committed.insert(subject.clone(), *offset) == Some(*offset)
                    {
                        continue;
                    }
                    self.told.entry(subject).or_default().push((from + index as u64 + 1, event.id.0));
                }
            }
        }
        self.seen = history.count();
        if self.first != history.first_step() {
            self.first = history.first_step();
            for told in self.told.values_mut() {
                told.retain(|(step, _)| *step > self.first);
            }
        }
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
        Fact::BrokerRegistered { broker, .. } | Fact::RegistrationRefused { broker, again: false, .. } => {
            one(Subject::Node(NodeId::Broker(*broker)))
        }
        Fact::QuorumLeaderElected { .. } | Fact::QuorumLeaderResigned { .. } => one(Subject::Quorum),
        Fact::RebalanceStarted { group, .. }
        | Fact::GroupEpochRaised { group, .. }
        | Fact::GroupReconciled { group, .. }
        | Fact::GroupConverted { group, .. }
        | Fact::GenerationStable { group, .. }
        | Fact::GroupEmpty { group, .. }
        | Fact::GroupDeleted { group } => one(Subject::Group(group.0.to_string())),
        Fact::Assigned { consumer, .. } | Fact::Revoked { consumer, .. } => {
            one(Subject::Assignment(NodeId::Client(*consumer)))
        }
        Fact::OffsetCommitted { group, partition, .. } => {
            one(Subject::Committed(group.0.to_string(), partition.clone()))
        }
        Fact::PositionSet { consumer, partition, .. } => {
            one(Subject::Position(NodeId::Client(*consumer), partition.clone()))
        }
        Fact::Delivered { consumer, partition, .. } => {
            let consumer = NodeId::Client(*consumer);
            vec![Subject::Position(consumer, partition.clone()), Subject::Delivered(consumer)]
        }
        Fact::StreamPlanned { stream, .. } | Fact::StreamBatchDone { stream, .. } => {
            one(Subject::Batch(NodeId::Client(*stream)))
        }
        Fact::StreamDataLost { stream, .. } => one(Subject::DataLost(NodeId::Client(*stream))),
        Fact::StreamFailed { stream, .. } => one(Subject::Node(NodeId::Client(*stream))),
        Fact::RecordSent { producer, .. } => one(Subject::Sent(NodeId::Client(*producer))),
        Fact::Acknowledged { producer, .. } => one(Subject::Acked(NodeId::Client(*producer))),
        Fact::SendFailed { producer, error, .. } | Fact::SendRejected { producer, code: Some(error), .. } => {
            let producer = NodeId::Client(*producer);
            vec![Subject::Failed(producer), Subject::FailedWith(producer, error_name(*error))]
        }
        Fact::SendRejected { producer, .. } => one(Subject::Failed(NodeId::Client(*producer))),
        Fact::ProducerIdAssigned { producer, .. } => one(Subject::Identity(NodeId::Client(*producer))),
        _ => Vec::new(),
    }
}

/// What decides the value that the inspector shows under this name. A lag is decided by both of its
/// ends: the log that grows, and the commit that follows.
fn subjects(history: &History, selection: &Selection, name: &str) -> Vec<Subject> {
    match selection {
        Selection::Consumer(consumer) => {
            let group = history.world().consumer(consumer).map(|consumer| consumer.group().to_string());
            group.map_or_else(Vec::new, |group| lag(history, &group, name))
        }
        Selection::Group(group) => lag(history, group, name),
        _ => Vec::new(),
    }
    .into_iter()
    .chain(subject(history, selection, name))
    .collect()
}

fn lag(history: &History, group: &str, name: &str) -> Vec<Subject> {
    let Some(partition) = name.strip_prefix(&lag_name("")).and_then(TopicPartition::parse) else { return Vec::new() };
    let leader = history.world().registration(&partition).and_then(|registration| registration.leader);
    let end = leader.map(|leader| Subject::HighWatermark(partition.clone(), leader));
    end.into_iter().chain([Subject::Committed(group.to_string(), partition)]).collect()
}

fn subject(history: &History, selection: &Selection, name: &str) -> Option<Subject> {
    let world = history.world();
    Some(match selection {
        Selection::Partition(partition) => of_partition(world, TopicPartition::parse(partition)?, name)?,
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
            "state" | "generation" | "members" | "assignor" | "leader" | "group epoch" | "target epoch"
            | "member epoch" => Subject::Group(group.clone()),
            partition => Subject::Committed(group.clone(), TopicPartition::parse(partition)?),
        },
        Selection::Consumer(consumer) => {
            let node = NodeId::Client(world.client_named(consumer)?);
            match name {
                "generation" | "member epoch" | "member id" => {
                    Subject::Group(world.consumer(consumer)?.group().to_string())
                }
                "assignment" => Subject::Assignment(node),
                "records delivered" => Subject::Delivered(node),
                partition => Subject::Position(node, TopicPartition::parse(partition)?),
            }
        }
        Selection::Stream(stream) => {
            let node = NodeId::Client(world.client_named(stream)?);
            match name {
                "state" | "failure" => Subject::Node(node),
                "batch done" | "batch planned" | "checkpoint" | "planned end" => Subject::Batch(node),
                "records given to the sink" | "of them again" => Subject::Delivered(node),
                "offsets passed over" => Subject::DataLost(node),
                partition => Subject::Position(node, TopicPartition::parse(partition)?),
            }
        }
        Selection::Producer(producer) => {
            let node = NodeId::Client(world.client_named(producer)?);
            match name {
                "sent" => Subject::Sent(node),
                "acknowledged" => Subject::Acked(node),
                "failed" => Subject::Failed(node),
                "producer id" | "producer epoch" => Subject::Identity(node),
                error => Subject::FailedWith(node, error.to_string()),
            }
        }
        _ => return None,
    })
}

fn of_partition(world: &World, partition: TopicPartition, name: &str) -> Option<Subject> {
    Some(match name {
        "leader" | "leader epoch" => Subject::Leader(partition),
        "ISR" | "partition epoch" => Subject::Isr(partition),
        "ELR" => Subject::Elr(partition),
        "replicas" | "adding" | "removing" => Subject::Replicas(partition),
        "high watermark" | "last stable offset" | "log end offset" => {
            let leader = world.registration(&partition)?.leader?;
            of_log(name, partition, leader)
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
