//! What the metadata log says, replayed (MetadataImage): the same value on every node at the same
//! offset. The controller decides on it; brokers act on it.

use std::collections::BTreeMap;

use crate::kafka::controller::record::MetadataRecord;
use crate::wire::{
    BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, StrBytes, TopicName, TopicPartition, Uuid,
};

/// BrokerRegistration.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRegistration {
    pub incarnation: Uuid,
    pub epoch: BrokerEpoch,
    pub rack: Option<StrBytes>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
}

/// PartitionRegistration.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionRegistration {
    /// In order: the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub elr: Vec<BrokerId>,
    pub last_known_elr: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub leader: Option<BrokerId>,
    /// LeaderRecoveryState.RECOVERING: elected uncleanly, not yet confirmed.
    pub recovering: bool,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    pub id: Uuid,
    pub partitions: BTreeMap<i32, PartitionRegistration>,
    /// The topic's own settings, by Kafka's names.
    pub configs: BTreeMap<StrBytes, StrBytes>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct MetadataImage {
    /// The offset of the last record replayed; -1 before the first.
    pub offset: Offset,
    pub epoch: LeaderEpoch,
    pub brokers: BTreeMap<BrokerId, BrokerRegistration>,
    pub topics: BTreeMap<TopicName, TopicImage>,
    pub topic_names: BTreeMap<Uuid, TopicName>,
    /// Dynamic broker defaults, by Kafka's names.
    pub cluster_configs: BTreeMap<StrBytes, StrBytes>,
    pub features: BTreeMap<StrBytes, i16>,
    pub next_producer_id: i64,
}

/// What a replayed record changed, for those who act on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    Partition(TopicPartition),
    TopicCreated(TopicName),
    TopicDeleted(TopicName, Uuid),
    Broker(BrokerId),
    TopicConfig(TopicName),
    ClusterConfig,
    None,
}

#[allow(unused_variables)]
impl MetadataImage {
    pub fn new() -> MetadataImage {
        todo!()
    }

    /// The only mutation.
    pub fn replay(&mut self, record: &MetadataRecord) -> Delta {
        todo!()
    }

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionRegistration> {
        self.topics.get(&partition.topic)?.partitions.get(&partition.partition)
    }

    /// Registered, not fenced, not in controlled shutdown.
    pub fn is_active(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|b| !b.fenced && !b.in_controlled_shutdown)
    }
}
