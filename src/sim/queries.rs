//! What can be asked of a world: the questions that conditions, reports and pictures share.

use bytes::Bytes;

use crate::kafka::broker::ProcessState;
use crate::kafka::broker::lifecycle::BrokerState;
use crate::kafka::client::{Consumer, Producer, partitioner};
use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::group::classic::ClassicGroup;
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::records::CommittedOffset;
use crate::kafka::log::Log;
use crate::kafka::replica::offsets::Isolation;
use crate::sim::world::{Actor, Member, Power, World};
use crate::wire::{BrokerId, GroupId, NodeId, Offset, TopicPartition, str_bytes, topic_name};

/// How a broker is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerCondition {
    /// It runs and is not registered or not caught up yet.
    Starting,
    Alive,
    /// It runs, but the controller holds it for gone.
    Fenced,
    Dead,
    Frozen,
    ShuttingDown,
}

impl World {
    pub fn broker_condition(&self, id: BrokerId) -> Option<BrokerCondition> {
        let member = self.member(NodeId::Broker(id))?;
        let broker = self.broker(id)?;
        if member.power != Power::Running {
            return Some(BrokerCondition::Dead);
        }
        if member.frozen {
            return Some(BrokerCondition::Frozen);
        }
        let process = broker.process()?;
        if process.state() == ProcessState::ShuttingDown {
            return Some(BrokerCondition::ShuttingDown);
        }
        let has_run = process.lifecycle().state() == BrokerState::Running;
        // Until the new process has registered, what the controller holds is about the old one.
        let unfenced = self.image().brokers.get(&id).is_some_and(|registration| !registration.fenced);
        Some(match (has_run, unfenced) {
            (true, true) => BrokerCondition::Alive,
            (true, false) => BrokerCondition::Fenced,
            (false, _) => BrokerCondition::Starting,
        })
    }

    /// How long ago a fault silenced a node; `None` when none is known.
    pub fn silent_for(&self, node: NodeId) -> Option<crate::time::Duration> {
        Some(self.now.since(*self.silenced.get(&node)?))
    }

    /// The log that answers for a partition: this broker's, or without one the leader's, or while
    /// there is no leader that of the replica that led last.
    pub fn log_of(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<&Log> {
        if let Some(broker) = at {
            return self.broker(broker)?.log(partition);
        }
        let registration = self.registration(partition)?;
        let last =
            registration.leader.or(registration.last_known_elr.first().copied()).or(registration.isr.first().copied());
        let first = last.or(registration.elr.first().copied()).or(registration.replicas.first().copied())?;
        self.broker(first)?.log(partition)
    }

    /// Every partition of every topic, internal ones included, in order.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &PartitionRegistration)> {
        self.image().partitions().map(|(topic, _, partition, registration)| {
            (TopicPartition { topic: topic.clone(), partition }, registration)
        })
    }

    /// How many replicas do not have their leader's log to its end, or whose leader holds less than all
    /// of it for committed.
    pub fn diverged_replicas(&self) -> u64 {
        let last = |log: &Log| {
            let last = log.batches(log.log_end() + -1).last().map(|batch| batch.leader_epoch);
            (log.log_end(), last.filter(|_| log.log_end() > log.log_start()))
        };
        let differ = |(partition, registration): (TopicPartition, &PartitionRegistration)| {
            let leader = self.log_of(&partition, None).filter(|log| log.high_watermark() == log.log_end());
            let differs = |replica: &&BrokerId| self.log_of(&partition, Some(**replica)).map(last) != leader.map(last);
            registration.replicas.iter().filter(differs).count() as u64
        };
        self.partitions().map(differ).sum()
    }

    /// `min(min.insync.replicas, replication factor)` of a partition.
    pub fn effective_min_isr(&self, partition: &TopicPartition) -> i32 {
        let Some(registration) = self.registration(partition) else { return 1 };
        let configured = self.log_of(partition, None).map_or(1, |log| log.config().min_insync_replicas);
        configured.min(registration.replicas.len() as i32)
    }

    pub fn producer(&self, name: &str) -> Option<&Producer> {
        match self.client_actor(name)? {
            Actor::Producer(producer) => Some(producer),
            _ => None,
        }
    }

    pub fn consumer(&self, name: &str) -> Option<&Consumer> {
        match self.client_actor(name)? {
            Actor::Consumer(consumer) => Some(consumer),
            _ => None,
        }
    }

    pub fn client_member(&self, name: &str) -> Option<&Member> {
        self.member(NodeId::Client(self.client_named(name)?))
    }

    fn client_actor(&self, name: &str) -> Option<&Actor> {
        Some(&self.client_member(name)?.actor)
    }

    /// The classic group as its coordinator has it.
    pub fn group(&self, group: &str) -> Option<&ClassicGroup> {
        self.broker(self.coordinator(group)?)?.groups()?.group(&GroupId(str_bytes(group)))
    }

    /// The group of the consumer protocol as its coordinator has it.
    pub fn consumer_group(&self, group: &str) -> Option<&ConsumerGroup> {
        self.broker(self.coordinator(group)?)?.groups()?.consumer_group(&GroupId(str_bytes(group)))
    }

    /// The assignor of a group, whichever protocol it speaks.
    pub fn assignor_of(&self, group: &str) -> Option<String> {
        if let Some(classic) = self.group(group) {
            return classic.protocol.as_ref().map(|protocol| protocol.to_string());
        }
        let groups = self.broker(self.coordinator(group)?)?.groups()?;
        groups.assignor_of(self.consumer_group(group)?).map(|assignor| assignor.to_string())
    }

    /// The state of a group by Kafka's name, whichever protocol it speaks.
    pub fn group_state(&self, group: &str) -> Option<&'static str> {
        let classic = self.group(group).map(|group| group.state.name());
        classic.or_else(|| Some(self.consumer_group(group)?.state().name()))
    }

    /// The generation of a classic group, the epoch of one of the consumer protocol.
    pub fn group_generation(&self, group: &str) -> Option<i32> {
        let classic = self.group(group).map(|group| group.generation);
        classic.or_else(|| Some(self.consumer_group(group)?.epoch))
    }

    pub fn group_size(&self, group: &str) -> Option<usize> {
        let classic = self.group(group).map(|group| group.members.len());
        classic.or_else(|| Some(self.consumer_group(group)?.members.len()))
    }

    /// What the group has committed, in the order of partitions.
    pub fn committed_offsets(&self, group: &str) -> Vec<(TopicPartition, CommittedOffset)> {
        let coordinator = self.coordinator(group).and_then(|id| self.broker(id)).and_then(|broker| broker.groups());
        let Some(coordinator) = coordinator else { return Vec::new() };
        let id = GroupId(str_bytes(group));
        coordinator.offsets(&id).map(|(partition, offset)| (partition.clone(), offset.clone())).collect()
    }

    /// The same without what else a commit says, borrowed.
    pub fn committed_by(&self, group: &str) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let coordinator = self.coordinator(group).and_then(|id| self.broker(id)).and_then(|broker| broker.groups());
        let id = GroupId(str_bytes(group));
        coordinator.into_iter().flat_map(move |coordinator| {
            coordinator.offsets(&id).map(|(partition, found)| (partition, found.offset)).collect::<Vec<_>>()
        })
    }

    pub fn committed(&self, group: &str, partition: &TopicPartition) -> Option<Offset> {
        self.committed_by(group).find(|(other, _)| *other == partition).map(|(_, offset)| offset)
    }

    /// What consumers can read up to, less what the group has committed; `None` without a commit.
    pub fn lag(&self, group: &str, partition: &TopicPartition) -> Option<i64> {
        let end = self.log_of(partition, None)?.high_watermark();
        Some(end - self.committed(group, partition)?)
    }

    /// The names of all groups that anybody has used.
    pub fn group_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.consumers().map(|(_, _, consumer)| consumer.group().to_string()).collect();
        for (_, _, broker) in self.brokers() {
            let groups = broker.groups().into_iter().flat_map(|coordinator| coordinator.groups());
            names.extend(groups.map(|(_, group)| group.id.0.to_string()));
            let groups = broker.groups().into_iter().flat_map(|coordinator| coordinator.consumer_groups());
            names.extend(groups.map(|group| group.id.0.to_string()));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Where the partitioner puts a key of this topic.
    pub fn partition_of(&self, topic: &str, key: &[u8]) -> Option<i32> {
        let partitions = self.image().topics.get(&topic_name(topic))?.partitions.len() as i32;
        Some(partitioner::partition_for_key(key, partitions))
    }

    /// What the leader answers to a consumer's LIST_OFFSETS; the inner `None`: there is no such record.
    pub fn list_offset(&self, partition: &TopicPartition, timestamp: i64) -> Option<Option<Offset>> {
        let leader = self.broker(self.registration(partition)?.leader?)?;
        let (replica, log) = leader.replica(partition).zip(leader.log(partition))?;
        let found = replica.list_offset(log, None, timestamp, Isolation::ReadUncommitted).ok()?;
        Some(found.map(|found| found.offset))
    }

    /// The values in a log in offset order, control records left out.
    pub fn values_in(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Vec<Option<Bytes>>> {
        let log = self.log_of(partition, at)?;
        let batches = log.batches(log.log_start()).filter(|batch| !batch.is_control());
        Some(batches.flat_map(|batch| batch.records().unwrap_or_default()).map(|record| record.value).collect())
    }

    /// The records handed to a consumer's application, oldest first, with their offsets.
    pub fn delivered_records(&self, consumer: &Consumer, newest: Option<u64>) -> Vec<Delivered> {
        let batches = consumer.delivered();
        let mut wanted = newest.unwrap_or(u64::MAX);
        let mut groups: Vec<Vec<Delivered>> = Vec::new();
        for batch in batches.backwards() {
            if wanted == 0 {
                break;
            }
            let mut records = delivered_of(&batch.partition, &batch.records, batch.first, batch.last);
            let surplus = records.len().saturating_sub(wanted.min(u64::from(u32::MAX)) as usize);
            records.drain(..surplus);
            wanted -= records.len() as u64;
            groups.push(records);
        }
        groups.into_iter().rev().flatten().collect()
    }
}

/// A record as an application was handed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    pub partition: TopicPartition,
    pub offset: Offset,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// The data records of whole batches that lie in `first..=last`.
pub fn delivered_of(partition: &TopicPartition, records: &Bytes, first: Offset, last: Offset) -> Vec<Delivered> {
    let batches = crate::wire::batch::Batch::parse_all(records.clone(), false).unwrap_or_default();
    let data = batches.iter().filter(|batch| !batch.is_control());
    let decoded = data.flat_map(|batch| batch.records().unwrap_or_default());
    decoded
        .filter(|record| (first.0..=last.0).contains(&record.offset))
        .map(|record| Delivered {
            partition: partition.clone(),
            offset: Offset(record.offset),
            key: record.key,
            value: record.value,
        })
        .collect()
}
