//! What the metadata log says, replayed (MetadataImage): the same value on every node at the same
//! offset. The controller decides on it; brokers act on it. A clone shares everything with its
//! original until one of them changes.

use std::sync::Arc;

use imbl::OrdMap;

use crate::kafka::controller::record::{MetadataRecord, PartitionChange, ResourceType};
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::{BrokerEpoch, BrokerId, GroupId, LeaderEpoch, Offset, StrBytes, TopicName, TopicPartition, Uuid};

pub use crate::kafka::controller::record::PartitionRegistration;

/// `eligible.leader.replicas.version` (KIP-966), by its feature's name.
pub const ELIGIBLE_LEADER_REPLICAS: StrBytes = StrBytes::from_static_str("eligible.leader.replicas.version");

/// Settings by Kafka's names.
pub type Configs = SortedMap<StrBytes, StrBytes>;

/// BrokerRegistration.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRegistration {
    pub incarnation: Uuid,
    pub epoch: BrokerEpoch,
    pub rack: Option<StrBytes>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    /// Where its RegisterBroker record stands: the broker must have replayed it to be unfenced.
    pub registered_at: Offset,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    pub id: Uuid,
    pub partitions: OrdMap<i32, Arc<PartitionRegistration>>,
    /// The topic's own settings.
    pub configs: Configs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MetadataImage {
    /// The offset of the last record replayed; -1 before the first.
    pub offset: Offset,
    /// The quorum's epoch in which that record was written.
    pub epoch: LeaderEpoch,
    pub brokers: OrdMap<BrokerId, BrokerRegistration>,
    pub topics: OrdMap<TopicName, TopicImage>,
    pub topic_names: SortedMap<Uuid, TopicName>,
    /// Dynamic broker defaults.
    pub cluster_configs: Configs,
    /// Dynamic settings of single brokers; no entry is empty.
    pub broker_configs: SortedMap<BrokerId, Configs>,
    /// What was set for single groups, which need not exist; no entry is empty.
    pub group_configs: SortedMap<GroupId, Configs>,
    pub features: SortedMap<StrBytes, i16>,
    pub next_producer_id: i64,
}

/// What a replayed record changed, for those who act on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    Partition(TopicPartition),
    /// One record touched several (ClearElr).
    Partitions(Vec<TopicPartition>),
    TopicCreated(TopicName),
    TopicDeleted(TopicName, Uuid),
    Broker(BrokerId),
    TopicConfig(TopicName),
    ClusterConfig,
    BrokerConfig(BrokerId),
    None,
}

impl MetadataImage {
    pub fn new() -> MetadataImage {
        MetadataImage {
            offset: Offset::UNKNOWN,
            epoch: LeaderEpoch::UNKNOWN,
            brokers: OrdMap::new(),
            topics: OrdMap::new(),
            topic_names: SortedMap::new(),
            cluster_configs: Configs::new(),
            broker_configs: SortedMap::new(),
            group_configs: SortedMap::new(),
            features: SortedMap::new(),
            next_producer_id: 0,
        }
    }

    /// The only mutation. The record is the one that follows `offset`.
    pub fn replay(&mut self, record: &MetadataRecord) -> Delta {
        self.offset = self.offset.next();
        match record {
            MetadataRecord::RegisterBroker { broker, incarnation, epoch, rack, fenced, in_controlled_shutdown } => {
                let registration = BrokerRegistration {
                    incarnation: *incarnation,
                    epoch: *epoch,
                    rack: rack.clone(),
                    fenced: *fenced,
                    in_controlled_shutdown: *in_controlled_shutdown,
                    registered_at: self.offset,
                };
                self.brokers.insert(*broker, registration);
                Delta::Broker(*broker)
            }
            MetadataRecord::UnregisterBroker { broker, .. } => {
                self.brokers.remove(broker);
                Delta::Broker(*broker)
            }
            MetadataRecord::BrokerRegistrationChange { broker, fenced, in_controlled_shutdown, .. } => {
                self.change_broker(*broker, *fenced, *in_controlled_shutdown)
            }
            MetadataRecord::Topic { name, id } => self.create_topic(name, *id),
            MetadataRecord::RemoveTopic { id } => self.remove_topic(*id),
            MetadataRecord::Partition { topic, partition, registration } => {
                self.add_partition(*topic, *partition, registration)
            }
            MetadataRecord::PartitionChange(change) => self.change_partition(change),
            MetadataRecord::Config { kind, resource, name, value } => {
                self.change_config(*kind, resource, name, value.as_ref())
            }
            MetadataRecord::FeatureLevel { name, level } => {
                self.features.insert(name.clone(), *level);
                Delta::None
            }
            MetadataRecord::ProducerIds { next, .. } => {
                self.next_producer_id = *next;
                Delta::None
            }
            MetadataRecord::NoOp => Delta::None,
            MetadataRecord::ClearElr { topic } => self.clear_elr(topic.as_ref()),
        }
    }

    /// Replays a whole batch of the metadata log and says what it changed. Records of other kinds
    /// (the quorum's own control records) only move the offset.
    pub fn replay_batch(&mut self, batch: &Batch) -> Vec<Delta> {
        let mut deltas = Vec::new();
        self.offset = batch.base_offset + -1;
        for record in decode_batch(batch) {
            match self.replay(&record) {
                Delta::None => {}
                delta => deltas.push(delta),
            }
        }
        self.reached(batch);
        deltas
    }

    /// The image is that of the batch's last record.
    pub fn reached(&mut self, batch: &Batch) {
        self.offset = batch.last_offset;
        self.epoch = batch.leader_epoch;
    }

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionRegistration> {
        self.topics.get(&partition.topic)?.partitions.get(&partition.partition).map(Arc::as_ref)
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<(&TopicName, &TopicImage)> {
        let name = self.topic_names.get(&id)?;
        Some((name, self.topics.get(name)?))
    }

    /// All partitions in the order of their topics' names.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicName, &TopicImage, i32, &PartitionRegistration)> {
        self.topics.iter().flat_map(|(name, topic)| {
            topic.partitions.iter().map(move |(index, partition)| (name, topic, *index, partition.as_ref()))
        })
    }

    /// Registered, not fenced, not in controlled shutdown.
    pub fn is_active(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|b| !b.fenced && !b.in_controlled_shutdown)
    }

    /// KIP-966 is in force.
    pub fn has_eligible_leader_replicas(&self) -> bool {
        self.features.get(&ELIGIBLE_LEADER_REPLICAS).is_some_and(|level| *level > 0)
    }

    fn change_broker(&mut self, broker: BrokerId, fenced: Option<bool>, in_controlled_shutdown: Option<bool>) -> Delta {
        if let Some(registration) = self.brokers.get_mut(&broker) {
            registration.fenced = fenced.unwrap_or(registration.fenced);
            registration.in_controlled_shutdown = in_controlled_shutdown.unwrap_or(registration.in_controlled_shutdown);
        }
        Delta::Broker(broker)
    }

    fn create_topic(&mut self, name: &TopicName, id: Uuid) -> Delta {
        self.topics.insert(name.clone(), TopicImage { id, partitions: OrdMap::new(), configs: Configs::new() });
        self.topic_names.insert(id, name.clone());
        Delta::TopicCreated(name.clone())
    }

    fn remove_topic(&mut self, id: Uuid) -> Delta {
        let Some(name) = self.topic_names.remove(&id) else { return Delta::None };
        self.topics.remove(&name);
        Delta::TopicDeleted(name, id)
    }

    fn add_partition(&mut self, topic: Uuid, index: i32, registration: &PartitionRegistration) -> Delta {
        let Some(name) = self.topic_names.get(&topic) else { return Delta::None };
        let Some(topic) = self.topics.get_mut(name) else { return Delta::None };
        topic.partitions.insert(index, Arc::new(registration.clone()));
        Delta::Partition(TopicPartition { topic: name.clone(), partition: index })
    }

    fn change_partition(&mut self, change: &PartitionChange) -> Delta {
        let Some(name) = self.topic_names.get(&change.topic) else { return Delta::None };
        let Some(topic) = self.topics.get_mut(name) else { return Delta::None };
        let Some(partition) = topic.partitions.get_mut(&change.partition) else { return Delta::None };
        Arc::make_mut(partition).merge(change);
        Delta::Partition(TopicPartition { topic: name.clone(), partition: change.partition })
    }

    /// The settings of one group.
    pub fn group_config(&self, group: &GroupId) -> impl Iterator<Item = (&str, &str)> {
        self.group_configs.get(group).into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn change_config(
        &mut self,
        kind: ResourceType,
        resource: &StrBytes,
        name: &StrBytes,
        value: Option<&StrBytes>,
    ) -> Delta {
        if kind == ResourceType::Group {
            let group = GroupId(resource.clone());
            let mut configs = self.group_configs.remove(&group).unwrap_or_default();
            set(&mut configs, name, value);
            if !configs.is_empty() {
                self.group_configs.insert(group, configs);
            }
            return Delta::None;
        }
        if kind == ResourceType::Topic {
            let topic_name = TopicName(resource.clone());
            let Some(topic) = self.topics.get_mut(&topic_name) else { return Delta::None };
            set(&mut topic.configs, name, value);
            return Delta::TopicConfig(topic_name);
        }
        let Ok(broker) = resource.parse().map(BrokerId) else {
            set(&mut self.cluster_configs, name, value);
            return Delta::ClusterConfig;
        };
        let mut configs = self.broker_configs.remove(&broker).unwrap_or_default();
        set(&mut configs, name, value);
        if !configs.is_empty() {
            self.broker_configs.insert(broker, configs);
        }
        Delta::BrokerConfig(broker)
    }

    /// ReplicationControlManager.replay(ClearElrRecord): a change of every partition that has an ELR.
    fn clear_elr(&mut self, only: Option<&StrBytes>) -> Delta {
        let mut cleared: Vec<PartitionChange> = Vec::new();
        for (name, topic, index, partition) in self.partitions() {
            let concerned = only.is_none_or(|only| *only == name.0);
            if concerned && !(partition.elr.is_empty() && partition.last_known_elr.is_empty()) {
                cleared.push(PartitionChange {
                    topic: topic.id,
                    partition: index,
                    elr: Some(Vec::new()),
                    last_known_elr: Some(Vec::new()),
                    ..PartitionChange::default()
                });
            }
        }
        let mut partitions = Vec::new();
        for change in &cleared {
            if let Delta::Partition(partition) = self.change_partition(change) {
                partitions.push(partition);
            }
        }
        if partitions.is_empty() { Delta::None } else { Delta::Partitions(partitions) }
    }
}

impl Default for MetadataImage {
    fn default() -> MetadataImage {
        MetadataImage::new()
    }
}

impl PartitionRegistration {
    /// PartitionRegistration.merge: the partition epoch grows with every change, the leader epoch
    /// exactly when the record carries a leader, even the same one.
    pub fn merge(&mut self, change: &PartitionChange) {
        let PartitionChange {
            topic: _,
            partition: _,
            isr,
            leader,
            replicas,
            removing,
            adding,
            recovering,
            elr,
            last_known_elr,
        } = change;
        let take = |own: &mut Vec<BrokerId>, new: &Option<Vec<BrokerId>>| {
            if let Some(new) = new {
                own.clone_from(new);
            }
        };
        take(&mut self.isr, isr);
        take(&mut self.replicas, replicas);
        take(&mut self.removing, removing);
        take(&mut self.adding, adding);
        take(&mut self.elr, elr);
        take(&mut self.last_known_elr, last_known_elr);
        if let Some(leader) = leader {
            self.leader = *leader;
            self.leader_epoch = self.leader_epoch.next();
        }
        self.recovering = recovering.unwrap_or(self.recovering);
        self.partition_epoch = self.partition_epoch.next();
    }

    /// PartitionRegistration.preferredReplica.
    pub fn preferred(&self) -> Option<BrokerId> {
        self.replicas.first().copied()
    }

    /// PartitionReassignmentReplicas.isReassignmentInProgress.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }
}

/// The metadata records of a batch; none for the quorum's own control batches.
pub fn decode_batch(batch: &Batch) -> Vec<MetadataRecord> {
    if batch.is_control() {
        return Vec::new();
    }
    let records = batch.records().unwrap_or_default();
    records.into_iter().filter_map(|record| MetadataRecord::decode(record.value?)).collect()
}

fn set(configs: &mut Configs, name: &StrBytes, value: Option<&StrBytes>) {
    match value {
        Some(value) => configs.insert(name.clone(), value.clone()),
        None => configs.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{PartitionEpoch, str_bytes, topic_name};

    const ID: Uuid = Uuid::from_u128(9);

    fn image_with_a_partition() -> MetadataImage {
        let mut image = MetadataImage::new();
        image.replay(&MetadataRecord::Topic { name: topic_name("orders"), id: ID });
        image.replay(&MetadataRecord::Partition {
            topic: ID,
            partition: 0,
            registration: PartitionRegistration::new([1, 2].map(BrokerId).to_vec(), [1, 2].map(BrokerId).to_vec()),
        });
        image
    }

    fn change() -> PartitionChange {
        PartitionChange { topic: ID, partition: 0, ..PartitionChange::default() }
    }

    #[test]
    fn the_leader_epoch_grows_exactly_when_a_record_carries_a_leader() {
        let mut image = image_with_a_partition();
        let orders = TopicPartition::named("orders", 0);
        let shrink = PartitionChange { isr: Some(vec![BrokerId(1)]), ..change() };
        assert_eq!(image.replay(&MetadataRecord::PartitionChange(shrink)), Delta::Partition(orders.clone()));
        let partition = image.partition(&orders).unwrap();
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(0), PartitionEpoch(1)));
        let same = PartitionChange { leader: Some(Some(BrokerId(1))), ..change() };
        image.replay(&MetadataRecord::PartitionChange(same));
        let partition = image.partition(&orders).unwrap();
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(1), PartitionEpoch(2)));
    }

    #[test]
    fn a_clone_keeps_what_it_saw() {
        let mut image = image_with_a_partition();
        let before = image.clone();
        image.replay(&MetadataRecord::PartitionChange(PartitionChange { leader: Some(None), ..change() }));
        let orders = TopicPartition::named("orders", 0);
        assert_eq!(before.partition(&orders).unwrap().leader, Some(BrokerId(1)));
        assert_eq!(image.partition(&orders).unwrap().leader, None);
    }

    #[test]
    fn clearing_the_elr_changes_only_partitions_that_have_one() {
        let mut image = image_with_a_partition();
        let clear = MetadataRecord::ClearElr { topic: None };
        assert_eq!(image.replay(&clear), Delta::None);
        let with_elr = PartitionChange { elr: Some(vec![BrokerId(2)]), ..change() };
        image.replay(&MetadataRecord::PartitionChange(with_elr));
        assert_eq!(image.replay(&MetadataRecord::ClearElr { topic: Some(str_bytes("other")) }), Delta::None);
        let orders = TopicPartition::named("orders", 0);
        assert_eq!(image.replay(&clear), Delta::Partitions(vec![orders.clone()]));
        assert_eq!(image.partition(&orders).unwrap().partition_epoch, PartitionEpoch(2));
    }

    #[test]
    fn a_deleted_topic_takes_its_settings_along() {
        let mut image = image_with_a_partition();
        let config = MetadataRecord::Config {
            kind: ResourceType::Topic,
            resource: str_bytes("orders"),
            name: str_bytes("retention.ms"),
            value: Some(str_bytes("1")),
        };
        assert_eq!(image.replay(&config), Delta::TopicConfig(topic_name("orders")));
        assert_eq!(
            image.replay(&MetadataRecord::RemoveTopic { id: ID }),
            Delta::TopicDeleted(topic_name("orders"), ID)
        );
        assert_eq!(image, MetadataImage { offset: image.offset, ..MetadataImage::new() });
    }
}
