//! The records of the metadata log (broker.md section 5.1), each encoded as Kafka's schema says.

use bytes::Bytes;

use crate::wire::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, StrBytes, TopicName, Uuid};

#[derive(Clone, Debug, PartialEq)]
pub enum MetadataRecord {
    RegisterBroker {
        broker: BrokerId,
        incarnation: Uuid,
        epoch: BrokerEpoch,
        rack: Option<StrBytes>,
        fenced: bool,
        in_controlled_shutdown: bool,
    },
    UnregisterBroker {
        broker: BrokerId,
        epoch: BrokerEpoch,
    },
    /// Absent = unchanged.
    BrokerRegistrationChange {
        broker: BrokerId,
        epoch: BrokerEpoch,
        fenced: Option<bool>,
        in_controlled_shutdown: Option<bool>,
    },
    Topic {
        name: TopicName,
        id: Uuid,
    },
    RemoveTopic {
        id: Uuid,
    },
    Partition {
        topic: Uuid,
        partition: i32,
        replicas: Vec<BrokerId>,
        isr: Vec<BrokerId>,
        removing: Vec<BrokerId>,
        adding: Vec<BrokerId>,
        leader: Option<BrokerId>,
        recovering: bool,
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        elr: Vec<BrokerId>,
        last_known_elr: Vec<BrokerId>,
    },
    PartitionChange(PartitionChange),
    /// Resource: a topic's name, or a broker id, or "" for the cluster's default. `None` deletes.
    Config {
        topic: bool,
        resource: StrBytes,
        name: StrBytes,
        value: Option<StrBytes>,
    },
    FeatureLevel {
        name: StrBytes,
        level: i16,
    },
    /// The next producer id that no broker has been given.
    ProducerIds {
        broker: BrokerId,
        broker_epoch: BrokerEpoch,
        next: i64,
    },
    NoOp,
    /// For one topic, or for all.
    ClearElr {
        topic: Option<StrBytes>,
    },
}

/// PartitionChangeRecord: only what changed; `None` = unchanged.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PartitionChange {
    pub topic: Uuid,
    pub partition: i32,
    pub isr: Option<Vec<BrokerId>>,
    /// `Some(None)`: no leader any more.
    pub leader: Option<Option<BrokerId>>,
    pub replicas: Option<Vec<BrokerId>>,
    pub removing: Option<Vec<BrokerId>>,
    pub adding: Option<Vec<BrokerId>>,
    pub recovering: Option<bool>,
    pub elr: Option<Vec<BrokerId>>,
    pub last_known_elr: Option<Vec<BrokerId>>,
}

#[allow(unused_variables)]
impl MetadataRecord {
    /// The record's value in the metadata log: frame version, api key, version, fields.
    pub fn encode(&self) -> Bytes {
        todo!()
    }

    /// `None` when it is not one of ours.
    pub fn decode(value: Bytes) -> Option<MetadataRecord> {
        todo!()
    }
}
