//! What a client knows of the cluster: brokers, topics, leaders. Everything in here was learned
//! from METADATA responses, or from the hints that PRODUCE and FETCH responses carry (KIP-951).

use std::sync::Arc;

use crate::kafka::client::errors;
use crate::kafka::client::network::{Network, backoff};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::messages::metadata_request::MetadataRequestTopic;
use crate::wire::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use crate::wire::messages::{MetadataRequest, MetadataResponse};
use crate::wire::{BrokerId, ErrorCode, LeaderEpoch, NodeId, StrBytes, TopicName, TopicPartition, Uuid, error};

/// How long a client waits between refreshes.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataTimes {
    /// `metadata.max.age.ms`
    pub max_age: Duration,
    /// `retry.backoff.ms`
    pub backoff: Duration,
    /// `retry.backoff.max.ms`
    pub backoff_max: Duration,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartitionMetadata {
    /// `None`: leaderless, or its leader is not among the live brokers.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<BrokerId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TopicMetadata {
    pub id: Uuid,
    /// By partition number, without gaps.
    pub partitions: Arc<Vec<PartitionMetadata>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    times: MetadataTimes,
    bootstrap: Vec<NodeId>,
    /// Live brokers as last told, in id order; empty until the first response.
    brokers: Vec<NodeId>,
    racks: SortedMap<BrokerId, StrBytes>,
    topics: SortedMap<TopicName, TopicMetadata>,
    names: SortedMap<Uuid, TopicName>,
    /// The topics to ask for.
    wanted: SortedSet<TopicName>,
    /// Why wanted topics are not in `topics`.
    refused: SortedMap<TopicName, ErrorCode>,
    /// Something showed that the metadata is out of date, or a topic is wanted for the first time.
    update_wanted: bool,
    /// A request is on its way; the topics it asked for.
    asked: Option<SortedSet<TopicName>>,
    /// No request before this instant.
    allowed_at: Instant,
    /// Refreshes in a row that failed or told nothing new: they space the following ones.
    vain: u32,
    last_success: Option<Instant>,
    /// Grows with every response or hint that was taken in.
    version: u64,
}

impl Metadata {
    /// Of a consumer of these topics.
    pub fn of_consumer(bootstrap: Vec<NodeId>, topics: &[TopicName], config: &ConsumerConfig) -> Metadata {
        let times = MetadataTimes {
            max_age: config.metadata_max_age,
            backoff: config.retry_backoff,
            backoff_max: config.retry_backoff_max,
            request_timeout: config.request_timeout,
        };
        let mut metadata = Metadata::new(bootstrap, times);
        topics.iter().for_each(|topic| metadata.want(topic));
        metadata
    }

    pub fn new(bootstrap: Vec<NodeId>, times: MetadataTimes) -> Metadata {
        Metadata {
            times,
            bootstrap,
            brokers: Vec::new(),
            racks: SortedMap::new(),
            topics: SortedMap::new(),
            names: SortedMap::new(),
            wanted: SortedSet::new(),
            refused: SortedMap::new(),
            update_wanted: true,
            asked: None,
            allowed_at: Instant(i64::MIN),
            vain: 0,
            last_success: None,
            version: 0,
        }
    }

    /// From now on the topic is asked for; at once when it is new (requestUpdateForNewTopics).
    pub fn want(&mut self, topic: &TopicName) {
        if !self.wanted.contains(topic) {
            self.wanted.insert(topic.clone());
            self.update_wanted = true;
            self.allowed_at = Instant(i64::MIN);
        }
    }

    /// Something showed that the metadata is out of date.
    pub fn request_update(&mut self) {
        self.update_wanted = true;
    }

    pub fn topic(&self, topic: &TopicName) -> Option<&TopicMetadata> {
        self.topics.get(topic)
    }

    pub fn topic_name(&self, id: Uuid) -> Option<&TopicName> {
        self.names.get(&id)
    }

    pub fn topics(&self) -> impl Iterator<Item = (&TopicName, &TopicMetadata)> {
        self.topics.iter()
    }

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionMetadata> {
        self.topics.get(&partition.topic)?.partitions.get(usize::try_from(partition.partition).ok()?)
    }

    pub fn leader(&self, partition: &TopicPartition) -> Option<(NodeId, LeaderEpoch)> {
        let known = self.partition(partition)?;
        known.leader.map(|leader| (leader, known.leader_epoch))
    }

    /// Why a topic that was asked for is not known.
    pub fn refusal(&self, topic: &TopicName) -> Option<ErrorCode> {
        self.refused.get(topic).copied()
    }

    pub fn rack(&self, broker: BrokerId) -> Option<&StrBytes> {
        self.racks.get(&broker)
    }

    /// Grows whenever something was learned.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a response has covered every topic that is wanted now.
    pub fn is_complete(&self) -> bool {
        self.last_success.is_some()
            && self.wanted.iter().all(|t| self.topics.contains_key(t) || self.refused.contains_key(t))
    }

    /// A node to ask what any broker can answer; bootstrap brokers when no known one can be reached
    /// (`metadata.recovery.strategy=rebootstrap`, KIP-899).
    pub fn any_node<T>(&self, network: &Network<T>, now: Instant) -> Option<NodeId> {
        network.least_loaded(&self.brokers, now).or_else(|| network.least_loaded(&self.bootstrap, now))
    }

    /// Sends a METADATA request when one is due and none is on its way.
    pub fn maybe_refresh<T>(&mut self, network: &mut Network<T>, turn: &mut Turn<'_>, purpose: T) {
        self.refresh(network, turn, purpose, true);
    }

    /// The topics are to be looked at anew, now, whatever was learned a moment ago (Admin.describeTopics).
    pub fn look_anew(&mut self) {
        self.update_wanted = true;
        self.allowed_at = Instant(i64::MIN);
        self.vain = 0;
    }

    /// The same as `maybe_refresh`, for somebody who only looks: no topic is created by being asked for.
    pub fn maybe_look<T>(&mut self, network: &mut Network<T>, turn: &mut Turn<'_>, purpose: T) {
        self.refresh(network, turn, purpose, false);
    }

    fn refresh<T>(&mut self, network: &mut Network<T>, turn: &mut Turn<'_>, purpose: T, creates: bool) {
        if self.asked.is_some() || self.due_at().is_none_or(|at| at > turn.now) {
            return;
        }
        let Some(node) = self.any_node(network, turn.now) else { return };
        let topics = self.wanted.iter().map(|t| MetadataRequestTopic::default().with_name(Some(t.clone()))).collect();
        let request = MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(creates);
        network.send(turn, node, request, self.times.request_timeout, purpose);
        self.asked = Some(self.wanted.clone());
        self.update_wanted = false;
    }

    /// When the next refresh is due, unless one is on its way.
    pub fn next_refresh(&self) -> Option<(Instant, Alarm)> {
        if self.asked.is_some() { None } else { self.due_at().map(|at| (at, Alarm::MetadataRefresh)) }
    }

    /// A METADATA request was lost.
    pub fn failed(&mut self, turn: &mut Turn<'_>) {
        self.asked = None;
        self.update_wanted = true;
        self.space_out(turn, true);
    }

    /// Takes a METADATA response in; true when it told something new.
    pub fn update(&mut self, turn: &mut Turn<'_>, response: &MetadataResponse) -> bool {
        let asked = self.asked.take().unwrap_or_default();
        if error(response.error_code).is_some() || response.brokers.is_empty() {
            self.update_wanted = true;
            self.space_out(turn, true);
            return false;
        }
        self.last_success = Some(turn.now);
        self.version += 1;
        self.brokers = response.brokers.iter().map(|b| NodeId::Broker(b.node_id)).collect();
        self.brokers.sort_unstable();
        self.racks = response.brokers.iter().filter_map(|b| Some((b.node_id, b.rack.clone()?))).collect();
        let mut changed = false;
        for topic in &response.topics {
            changed |= self.update_topic(topic);
        }
        if !self.wanted.is_subset(&asked) {
            self.update_wanted = true;
            self.allowed_at = Instant(i64::MIN);
            self.vain = 0;
        } else {
            self.space_out(turn, !changed);
        }
        changed
    }

    /// KIP-951: a response named a newer leader. True when it was news.
    pub fn hint(&mut self, partition: &TopicPartition, leader: BrokerId, epoch: i32) -> bool {
        let Some(topic) = self.topics.get_mut(&partition.topic) else { return false };
        let Some(index) = usize::try_from(partition.partition).ok().filter(|i| *i < topic.partitions.len()) else {
            return false;
        };
        let epoch = LeaderEpoch(epoch);
        if leader.0 < 0 || epoch <= topic.partitions[index].leader_epoch {
            return false;
        }
        let node = NodeId::Broker(leader);
        let known = &mut Arc::make_mut(&mut topic.partitions)[index];
        known.leader = Some(node);
        known.leader_epoch = epoch;
        if let Err(place) = self.brokers.binary_search(&node) {
            self.brokers.insert(place, node);
        }
        self.version += 1;
        true
    }

    /// `None`: nothing is wanted and nothing is due.
    fn due_at(&self) -> Option<Instant> {
        let expires = match self.last_success {
            _ if self.update_wanted => Instant(i64::MIN),
            Some(at) => at + self.times.max_age,
            None => Instant(i64::MIN),
        };
        Some(expires.max(self.allowed_at))
    }

    /// KIP-580 and KIP-899: the next refresh waits longer while refreshes bring nothing.
    fn space_out(&mut self, turn: &mut Turn<'_>, vain: bool) {
        let wait = backoff(turn, self.times.backoff, self.times.backoff_max, self.vain);
        self.allowed_at = turn.now + wait;
        self.vain = if vain { self.vain.saturating_add(1) } else { 0 };
    }

    fn update_topic(&mut self, topic: &MetadataResponseTopic) -> bool {
        let Some(name) = &topic.name else { return false };
        if let Some(refusal) = error(topic.error_code) {
            self.update_wanted |= errors::is_stale_metadata(refusal);
            self.refused.insert(name.clone(), refusal);
            return self.topics.remove(name).is_some();
        }
        self.refused.remove(name);
        let known = self.topics.get(name).filter(|known| known.id == topic.topic_id);
        let mut told: Vec<&MetadataResponsePartition> = topic.partitions.iter().collect();
        told.sort_unstable_by_key(|p| p.partition_index);
        let mut partitions = Vec::with_capacity(told.len());
        for partition in told {
            if error(partition.error_code).is_some_and(errors::is_stale_metadata) {
                self.update_wanted = true;
            }
            partitions.push(newer(known, partition));
        }
        if known.is_some_and(|k| *k.partitions == partitions) {
            return false;
        }
        self.names.retain(|_, n| n != name);
        self.names.insert(topic.topic_id, name.clone());
        self.topics.insert(name.clone(), TopicMetadata { id: topic.topic_id, partitions: Arc::new(partitions) });
        true
    }
}

/// Metadata.updateLatestMetadata: an answer with an older leader epoch than the one seen is not
/// believed (KIP-320).
fn newer(known: Option<&TopicMetadata>, told: &MetadataResponsePartition) -> PartitionMetadata {
    let index = usize::try_from(told.partition_index).unwrap_or(usize::MAX);
    if let Some(known) = known.and_then(|k| k.partitions.get(index))
        && known.leader_epoch.0 > told.leader_epoch
    {
        return known.clone();
    }
    PartitionMetadata {
        leader: (told.leader_id.0 >= 0).then_some(NodeId::Broker(told.leader_id)),
        leader_epoch: LeaderEpoch(told.leader_epoch),
        replicas: told.replica_nodes.clone(),
    }
}
