//! What can be asked of a world: the questions that conditions, reports and pictures share.

use bytes::Bytes;

use crate::kafka::broker::ProcessState;
use crate::kafka::broker::lifecycle::BrokerState;
use crate::kafka::client::{Consumer, DeliveredBatch, Producer, ShareConsumer, StreamReader, partitioner};
use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::group::classic::ClassicGroup;
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::records::CommittedOffset;
use crate::kafka::group::share::ShareGroup;
use crate::kafka::log::Log;
use crate::kafka::replica::offsets::Isolation;
use crate::kafka::share::{SharePartition, SharePartitionKey};
use crate::sim::actor::Actor;
use crate::sim::world::{Member, Power, World};
use crate::sorted::SortedMap;
use crate::wire::{BrokerId, ClientId, GroupId, NodeId, Offset, TopicName, TopicPartition, str_bytes, topic_name};

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

    pub fn stream(&self, name: &str) -> Option<&StreamReader> {
        match self.client_actor(name)? {
            Actor::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub fn share_consumer(&self, name: &str) -> Option<&ShareConsumer> {
        match self.client_actor(name)? {
            Actor::ShareConsumer(consumer) => Some(consumer),
            _ => None,
        }
    }

    /// The share consumer with this number, if it is one.
    pub fn share_consumer_at(&self, id: ClientId) -> Option<&ShareConsumer> {
        match &*self.member(NodeId::Client(id))?.actor {
            Actor::ShareConsumer(consumer) => Some(consumer),
            _ => None,
        }
    }

    /// The stream reader with this number, if it is one.
    pub fn stream_at(&self, id: ClientId) -> Option<&StreamReader> {
        match &*self.member(NodeId::Client(id))?.actor {
            Actor::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub fn stream_condition(&self, name: &str) -> Option<StreamCondition> {
        let (member, stream) = (self.client_member(name)?, self.stream(name)?);
        Some(match member.power {
            _ if stream.failure().is_some() => StreamCondition::Failed,
            Power::Running if member.frozen => StreamCondition::Frozen,
            Power::Running => StreamCondition::Active,
            Power::Dead | Power::Off => StreamCondition::Dead,
        })
    }

    /// Whoever reads records under this name.
    pub fn reader(&self, name: &str) -> Option<Reader<'_>> {
        match self.client_actor(name)? {
            Actor::Consumer(consumer) => Some(Reader::Consumer(consumer)),
            Actor::ShareConsumer(consumer) => Some(Reader::ShareConsumer(consumer)),
            Actor::Stream(stream) => Some(Reader::Stream(stream)),
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

    /// The share group as its coordinator has it.
    pub fn share_group(&self, group: &str) -> Option<&ShareGroup> {
        self.broker(self.coordinator(group)?)?.groups()?.share_group(&GroupId(str_bytes(group)))
    }

    /// What the partition's leader keeps of a share group.
    pub fn share_partition(&self, group: &str, partition: &TopicPartition) -> Option<&SharePartition> {
        let topic = self.image().topics.get(&partition.topic)?.id;
        let key = SharePartitionKey { group: GroupId(str_bytes(group)), topic, partition: partition.partition };
        self.broker(self.registration(partition)?.leader?)?.process()?.shares().state(&key)
    }

    /// The assignor of a group, whichever protocol it speaks.
    pub fn assignor_of(&self, group: &str) -> Option<String> {
        if let Some(classic) = self.group(group) {
            return classic.protocol.as_ref().map(|protocol| protocol.to_string());
        }
        if self.share_group(group).is_some() {
            return Some("simple".to_string());
        }
        let groups = self.broker(self.coordinator(group)?)?.groups()?;
        groups.assignor_of(self.consumer_group(group)?).map(|assignor| assignor.to_string())
    }

    /// The state of a group by Kafka's name, whichever protocol it speaks.
    pub fn group_state(&self, group: &str) -> Option<&'static str> {
        let classic = self.group(group).map(|group| group.state.name());
        let newer = classic.or_else(|| Some(self.consumer_group(group)?.state().name()));
        newer.or_else(|| Some(self.share_group(group)?.state().name()))
    }

    /// The generation of a classic group, the epoch of one of the consumer protocol.
    pub fn group_generation(&self, group: &str) -> Option<i32> {
        let classic = self.group(group).map(|group| group.generation);
        let newer = classic.or_else(|| Some(self.consumer_group(group)?.epoch));
        newer.or_else(|| Some(self.share_group(group)?.epoch))
    }

    pub fn group_size(&self, group: &str) -> Option<usize> {
        let classic = self.group(group).map(|group| group.members.len());
        let newer = classic.or_else(|| Some(self.consumer_group(group)?.members.len()));
        newer.or_else(|| Some(self.share_group(group)?.members.len()))
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

    /// What consumers can read up to, less what the group has committed; `None` without a commit. Of a
    /// share group, less what is done with, before its start and behind it (KIP-1226).
    pub fn lag(&self, group: &str, partition: &TopicPartition) -> Option<i64> {
        let end = self.log_of(partition, None)?.high_watermark();
        if let Some(share) = self.share_partition(group, partition) {
            let window = share.window();
            return Some((end - window.start).max(0) - i64::from(window.delivery_complete_count));
        }
        Some(end - self.committed(group, partition)?)
    }

    /// Every partition that the state of a share group is kept of, in order.
    pub fn share_partitions(&self, group: &str) -> Vec<TopicPartition> {
        let topics = self.share_group(group).into_iter().flat_map(|found| found.kind.partitions.initialized.values());
        let named = |name: &TopicName, number: &i32| TopicPartition::new(name.clone(), *number);
        topics.flat_map(|topic| topic.partitions.iter().map(|number| named(&topic.name, number))).collect()
    }

    /// The names of all groups that anybody has used.
    pub fn group_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.consumers().map(|(_, _, consumer)| consumer.group().to_string()).collect();
        for (_, _, broker) in self.brokers() {
            let groups = broker.groups().into_iter().flat_map(|coordinator| coordinator.groups());
            names.extend(groups.map(|(_, group)| group.id.0.to_string()));
            let groups = broker.groups().into_iter().flat_map(|coordinator| coordinator.consumer_groups());
            names.extend(groups.map(|group| group.id.0.to_string()));
            let groups = broker.groups().into_iter().flat_map(|coordinator| coordinator.share_groups());
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
}

/// The newest records of deliveries that come the newest first; oldest first.
fn newest_of(deliveries: impl Iterator<Item = DeliveredBatch>, newest: Option<u64>) -> Vec<Delivered> {
    let mut wanted = newest.unwrap_or(u64::MAX);
    let mut groups: Vec<Vec<Delivered>> = Vec::new();
    for batch in deliveries {
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

/// Whoever reads records: what can be asked of all of them.
#[derive(Clone, Copy)]
pub enum Reader<'a> {
    Consumer(&'a Consumer),
    ShareConsumer(&'a ShareConsumer),
    Stream(&'a StreamReader),
}

impl Reader<'_> {
    pub fn assignment(&self) -> Vec<TopicPartition> {
        match self {
            Reader::Consumer(consumer) => consumer.assignment(),
            Reader::ShareConsumer(consumer) => consumer.assignment().to_vec(),
            Reader::Stream(stream) => stream.positions().into_keys().collect(),
        }
    }

    /// What it reads next of each partition; nobody can say it of a share consumer.
    pub fn positions(&self) -> SortedMap<TopicPartition, Offset> {
        match self {
            Reader::Consumer(consumer) => consumer.positions(),
            Reader::ShareConsumer(_) => SortedMap::new(),
            Reader::Stream(stream) => stream.positions(),
        }
    }

    /// How many records of a partition it was given.
    pub fn delivered_of(&self, partition: &TopicPartition) -> u64 {
        let of = |batch: DeliveredBatch| if batch.partition == *partition { u64::from(batch.count) } else { 0 };
        match self {
            Reader::Consumer(consumer) => consumer.delivered().iter().map(of).sum(),
            Reader::ShareConsumer(consumer) => consumer.delivered().iter().map(|given| of(given.batch)).sum(),
            Reader::Stream(stream) => stream.sink().given().iter().map(|given| of(given.records)).sum(),
        }
    }

    /// The newest records that it was given, oldest first.
    pub fn records(&self, newest: Option<u64>) -> Vec<Delivered> {
        match self {
            Reader::Consumer(consumer) => newest_of(consumer.delivered().backwards(), newest),
            Reader::ShareConsumer(consumer) => {
                newest_of(consumer.delivered().backwards().map(|given| given.batch), newest)
            }
            Reader::Stream(stream) => newest_of(stream.sink().given().backwards().map(|given| given.records), newest),
        }
    }
}

/// How a stream reader is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamCondition {
    Active,
    /// It ended with an exception.
    Failed,
    Dead,
    Frozen,
}

impl StreamCondition {
    pub const ALL: [StreamCondition; 4] =
        [StreamCondition::Active, StreamCondition::Failed, StreamCondition::Dead, StreamCondition::Frozen];

    pub fn word(self) -> &'static str {
        match self {
            StreamCondition::Active => "active",
            StreamCondition::Failed => "failed",
            StreamCondition::Dead => "dead",
            StreamCondition::Frozen => "frozen",
        }
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
