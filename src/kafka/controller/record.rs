//! The records of the metadata log (broker.md section 5.1), each encoded as Kafka's schema says.

use bytes::Bytes;

use crate::kafka::controller::codec::{Reader, Tagged, Writer};
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
    /// Absent = unchanged. A controlled shutdown is only ever begun here, never taken back.
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
        registration: PartitionRegistration,
    },
    PartitionChange(PartitionChange),
    /// Resource: a topic's or a group's name, or a broker id, or "" for the cluster's default. `None` deletes.
    Config {
        kind: ResourceType,
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

/// ConfigResource.Type: whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceType {
    Topic = 2,
    Broker = 4,
    Group = 32,
}

impl ResourceType {
    /// By Kafka's number.
    pub fn of(code: i8) -> Option<ResourceType> {
        [ResourceType::Topic, ResourceType::Broker, ResourceType::Group].into_iter().find(|kind| *kind as i8 == code)
    }
}

/// No log directory is modelled, so every replica's directory is DirectoryId.UNASSIGNED (KIP-858).
const UNASSIGNED_DIRECTORY: Uuid = Uuid::nil();

impl MetadataRecord {
    /// Kafka's name of its type.
    pub fn name(&self) -> &'static str {
        match self {
            MetadataRecord::RegisterBroker { .. } => "RegisterBrokerRecord",
            MetadataRecord::UnregisterBroker { .. } => "UnregisterBrokerRecord",
            MetadataRecord::BrokerRegistrationChange { .. } => "BrokerRegistrationChangeRecord",
            MetadataRecord::Topic { .. } => "TopicRecord",
            MetadataRecord::RemoveTopic { .. } => "RemoveTopicRecord",
            MetadataRecord::Partition { .. } => "PartitionRecord",
            MetadataRecord::PartitionChange(_) => "PartitionChangeRecord",
            MetadataRecord::Config { .. } => "ConfigRecord",
            MetadataRecord::FeatureLevel { .. } => "FeatureLevelRecord",
            MetadataRecord::ProducerIds { .. } => "ProducerIdsRecord",
            MetadataRecord::NoOp => "NoOpRecord",
            MetadataRecord::ClearElr { .. } => "ClearElrRecord",
        }
    }

    /// The record's value in the metadata log: frame version, api key, version, fields.
    pub fn encode(&self) -> Bytes {
        use MetadataRecord::*;
        match self {
            RegisterBroker { .. } => self.encode_register_broker(),
            UnregisterBroker { broker, epoch } => {
                let mut out = Writer::record(1, 0);
                out.i32(broker.0);
                out.i64(epoch.0);
                out.finish(Tagged::default())
            }
            BrokerRegistrationChange { .. } => self.encode_broker_registration_change(),
            Topic { name, id } => {
                let mut out = Writer::record(2, 0);
                out.string(&name.0);
                out.uuid(*id);
                out.finish(Tagged::default())
            }
            RemoveTopic { id } => {
                let mut out = Writer::record(9, 0);
                out.uuid(*id);
                out.finish(Tagged::default())
            }
            Partition { .. } => self.encode_partition(),
            PartitionChange(change) => change.encode(),
            Config { kind, resource, name, value } => {
                let mut out = Writer::record(4, 0);
                out.i8(*kind as i8);
                out.string(resource);
                out.string(name);
                out.nullable_string(value.as_ref());
                out.finish(Tagged::default())
            }
            FeatureLevel { name, level } => {
                let mut out = Writer::record(12, 0);
                out.string(name);
                out.i16(*level);
                out.finish(Tagged::default())
            }
            ProducerIds { broker, broker_epoch, next } => {
                let mut out = Writer::record(15, 0);
                out.i32(broker.0);
                out.i64(broker_epoch.0);
                out.i64(*next);
                out.finish(Tagged::default())
            }
            NoOp => Writer::record(20, 0).finish(Tagged::default()),
            ClearElr { topic } => {
                let mut out = Writer::record(28, 0);
                out.string(&topic.clone().unwrap_or_default());
                out.finish(Tagged::default())
            }
        }
    }

    /// `None` when it is not one of ours.
    pub fn decode(value: Bytes) -> Option<MetadataRecord> {
        use MetadataRecord::*;
        let mut input = Reader::new(value);
        let frame_version = input.varint()?;
        if frame_version != 1 {
            return None;
        }
        let (api_key, version) = (input.varint()?, input.varint()?);
        match (api_key, version) {
            (0, 3) => decode_register_broker(&mut input),
            (1, 0) => Some(UnregisterBroker { broker: BrokerId(input.i32()?), epoch: BrokerEpoch(input.i64()?) }),
            (2, 0) => Some(Topic { name: TopicName(input.string()?), id: input.uuid()? }),
            (3, 2) => decode_partition(&mut input),
            (4, 0) => Some(Config {
                kind: ResourceType::of(input.i8()?)?,
                resource: input.string()?,
                name: input.string()?,
                value: input.nullable_string()?,
            }),
            (5, 2) => decode_partition_change(&mut input).map(PartitionChange),
            (9, 0) => Some(RemoveTopic { id: input.uuid()? }),
            (12, 0) => Some(FeatureLevel { name: input.string()?, level: input.i16()? }),
            (15, 0) => Some(ProducerIds {
                broker: BrokerId(input.i32()?),
                broker_epoch: BrokerEpoch(input.i64()?),
                next: input.i64()?,
            }),
            (17, 2) => decode_broker_registration_change(&mut input),
            (20, 0) => Some(NoOp),
            (28, 0) => Some(ClearElr { topic: Some(input.string()?).filter(|topic| !topic.is_empty()) }),
            _ => None,
        }
    }

    fn encode_register_broker(&self) -> Bytes {
        let MetadataRecord::RegisterBroker { broker, incarnation, epoch, rack, fenced, in_controlled_shutdown } = self
        else {
            unreachable!("called for a RegisterBroker record only");
        };
        let mut out = Writer::record(0, 3);
        out.i32(broker.0);
        let is_migrating_zk_broker = false;
        out.bool(is_migrating_zk_broker);
        out.uuid(*incarnation);
        out.i64(epoch.0);
        let (no_endpoints, no_features) = (0, 0);
        out.length(no_endpoints);
        out.length(no_features);
        out.nullable_string(rack.as_ref());
        out.bool(*fenced);
        out.bool(*in_controlled_shutdown);
        out.finish(Tagged::default())
    }

    fn encode_broker_registration_change(&self) -> Bytes {
        let MetadataRecord::BrokerRegistrationChange { broker, epoch, fenced, in_controlled_shutdown } = self else {
            unreachable!("called for a BrokerRegistrationChange record only");
        };
        let mut out = Writer::record(17, 2);
        out.i32(broker.0);
        out.i64(epoch.0);
        let mut tagged = Tagged::default();
        if let Some(fenced) = fenced {
            tagged.i8(0, if *fenced { 1 } else { -1 });
        }
        if *in_controlled_shutdown == Some(true) {
            tagged.i8(1, 1);
        }
        out.finish(tagged)
    }

    fn encode_partition(&self) -> Bytes {
        let MetadataRecord::Partition { topic, partition, registration } = self else {
            unreachable!("called for a Partition record only");
        };
        let PartitionRegistration {
            replicas,
            isr,
            elr,
            last_known_elr,
            removing,
            adding,
            leader,
            recovering,
            leader_epoch,
            partition_epoch,
        } = registration;
        let mut out = Writer::record(3, 2);
        out.i32(*partition);
        out.uuid(*topic);
        out.brokers(replicas);
        out.brokers(isr);
        out.brokers(removing);
        out.brokers(adding);
        out.i32(leader_id(*leader));
        out.i32(leader_epoch.0);
        out.i32(partition_epoch.0);
        out.length(replicas.len());
        for _ in replicas {
            out.uuid(UNASSIGNED_DIRECTORY);
        }
        let mut tagged = Tagged::default();
        if *recovering {
            tagged.i8(0, 1);
        }
        if !elr.is_empty() {
            tagged.brokers(1, elr);
        }
        if !last_known_elr.is_empty() {
            tagged.brokers(2, last_known_elr);
        }
        out.finish(tagged)
    }
}

impl PartitionRegistration {
    /// A partition that is new: the first of the ISR leads.
    pub fn new(replicas: Vec<BrokerId>, isr: Vec<BrokerId>) -> PartitionRegistration {
        PartitionRegistration {
            replicas,
            leader: isr.first().copied(),
            isr,
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            removing: Vec::new(),
            adding: Vec::new(),
            recovering: false,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
        }
    }
}

impl PartitionChange {
    /// True when it says nothing but its partition.
    pub fn is_empty(&self) -> bool {
        *self == PartitionChange { topic: self.topic, partition: self.partition, ..PartitionChange::default() }
    }

    fn encode(&self) -> Bytes {
        let mut out = Writer::record(5, 2);
        out.i32(self.partition);
        out.uuid(self.topic);
        let mut tagged = Tagged::default();
        let brokers = |tagged: &mut Tagged, tag, list: &Option<Vec<BrokerId>>| {
            if let Some(list) = list {
                tagged.brokers(tag, list);
            }
        };
        brokers(&mut tagged, 0, &self.isr);
        if let Some(leader) = self.leader {
            tagged.i32(1, leader_id(leader));
        }
        brokers(&mut tagged, 2, &self.replicas);
        brokers(&mut tagged, 3, &self.removing);
        brokers(&mut tagged, 4, &self.adding);
        if let Some(recovering) = self.recovering {
            tagged.i8(5, i8::from(recovering));
        }
        brokers(&mut tagged, 6, &self.elr);
        brokers(&mut tagged, 7, &self.last_known_elr);
        out.finish(tagged)
    }
}

fn decode_register_broker(input: &mut Reader) -> Option<MetadataRecord> {
    let broker = BrokerId(input.i32()?);
    let _is_migrating_zk_broker = input.bool()?;
    let (incarnation, epoch) = (input.uuid()?, BrokerEpoch(input.i64()?));
    for _ in 0..input.length()?? {
        let (_name, _host, _port, _protocol) = (input.string()?, input.string()?, input.i16()?, input.i16()?);
        input.tagged(|_, _| Some(()))?;
    }
    for _ in 0..input.length()?? {
        let (_name, _min, _max) = (input.string()?, input.i16()?, input.i16()?);
        input.tagged(|_, _| Some(()))?;
    }
    let rack = input.nullable_string()?;
    let (fenced, in_controlled_shutdown) = (input.bool()?, input.bool()?);
    Some(MetadataRecord::RegisterBroker { broker, incarnation, epoch, rack, fenced, in_controlled_shutdown })
}

fn decode_broker_registration_change(input: &mut Reader) -> Option<MetadataRecord> {
    let (broker, epoch) = (BrokerId(input.i32()?), BrokerEpoch(input.i64()?));
    let (mut fenced, mut in_controlled_shutdown) = (None, None);
    input.tagged(|tag, field| {
        match tag {
            0 => fenced = Some(field.i8()?).filter(|change| *change != 0).map(|change| change > 0),
            1 => in_controlled_shutdown = Some(field.i8()?).filter(|change| *change != 0).map(|change| change > 0),
            _ => {}
        }
        Some(())
    })?;
    Some(MetadataRecord::BrokerRegistrationChange { broker, epoch, fenced, in_controlled_shutdown })
}

fn decode_partition(input: &mut Reader) -> Option<MetadataRecord> {
    let (partition, topic) = (input.i32()?, input.uuid()?);
    let (replicas, isr) = (input.brokers()?, input.brokers()?);
    let (removing, adding) = (input.brokers()?, input.brokers()?);
    let leader = leader(input.i32()?);
    let (leader_epoch, partition_epoch) = (LeaderEpoch(input.i32()?), PartitionEpoch(input.i32()?));
    let _directories = input.uuids()?;
    let (mut recovering, mut elr, mut last_known_elr) = (false, Vec::new(), Vec::new());
    input.tagged(|tag, field| {
        match tag {
            0 => recovering = field.i8()? == 1,
            1 => elr = field.brokers()?,
            2 => last_known_elr = field.brokers()?,
            _ => {}
        }
        Some(())
    })?;
    let registration = PartitionRegistration {
        replicas,
        isr,
        elr,
        last_known_elr,
        removing,
        adding,
        leader,
        recovering,
        leader_epoch,
        partition_epoch,
    };
    Some(MetadataRecord::Partition { topic, partition, registration })
}

fn decode_partition_change(input: &mut Reader) -> Option<PartitionChange> {
    let partition = input.i32()?;
    let mut change = PartitionChange { partition, topic: input.uuid()?, ..PartitionChange::default() };
    input.tagged(|tag, field| {
        match tag {
            0 => change.isr = Some(field.brokers()?),
            1 => change.leader = Some(field.i32()?).filter(|id| *id != NO_LEADER_CHANGE).map(leader),
            2 => change.replicas = Some(field.brokers()?),
            3 => change.removing = Some(field.brokers()?),
            4 => change.adding = Some(field.brokers()?),
            5 => change.recovering = Some(field.i8()?).filter(|state| *state >= 0).map(|state| state == 1),
            6 => change.elr = Some(field.brokers()?),
            7 => change.last_known_elr = Some(field.brokers()?),
            _ => {}
        }
        Some(())
    })?;
    Some(change)
}

/// LeaderConstants.
const NO_LEADER: i32 = -1;
const NO_LEADER_CHANGE: i32 = -2;

fn leader_id(leader: Option<BrokerId>) -> i32 {
    leader.map_or(NO_LEADER, |leader| leader.0)
}

fn leader(id: i32) -> Option<BrokerId> {
    (id != NO_LEADER).then_some(BrokerId(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{str_bytes, topic_name};

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().copied().map(BrokerId).collect()
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let id = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        let change = PartitionChange { topic: id, partition: 3, ..PartitionChange::default() };
        let records = [
            MetadataRecord::RegisterBroker {
                broker: BrokerId(1),
                incarnation: id,
                epoch: BrokerEpoch(7),
                rack: Some(str_bytes("a")),
                fenced: true,
                in_controlled_shutdown: false,
            },
            MetadataRecord::UnregisterBroker { broker: BrokerId(1), epoch: BrokerEpoch(7) },
            MetadataRecord::BrokerRegistrationChange {
                broker: BrokerId(1),
                epoch: BrokerEpoch(7),
                fenced: Some(false),
                in_controlled_shutdown: None,
            },
            MetadataRecord::BrokerRegistrationChange {
                broker: BrokerId(1),
                epoch: BrokerEpoch(7),
                fenced: None,
                in_controlled_shutdown: Some(true),
            },
            MetadataRecord::Topic { name: topic_name("orders"), id },
            MetadataRecord::RemoveTopic { id },
            MetadataRecord::Partition {
                topic: id,
                partition: 300,
                registration: PartitionRegistration {
                    adding: ids(&[3]),
                    leader: None,
                    recovering: true,
                    leader_epoch: LeaderEpoch(4),
                    partition_epoch: PartitionEpoch(9),
                    elr: ids(&[1]),
                    ..PartitionRegistration::new(ids(&[1, 2, 3]), ids(&[2]))
                },
            },
            MetadataRecord::PartitionChange(change.clone()),
            MetadataRecord::PartitionChange(PartitionChange {
                isr: Some(ids(&[])),
                leader: Some(None),
                replicas: Some(ids(&[1, 200])),
                removing: Some(ids(&[])),
                adding: Some(ids(&[2])),
                recovering: Some(false),
                elr: Some(ids(&[1])),
                last_known_elr: Some(ids(&[2])),
                ..change.clone()
            }),
            MetadataRecord::PartitionChange(PartitionChange { leader: Some(Some(BrokerId(0))), ..change }),
            MetadataRecord::Config {
                kind: ResourceType::Topic,
                resource: str_bytes("t"),
                name: str_bytes("n"),
                value: None,
            },
            MetadataRecord::Config {
                kind: ResourceType::Broker,
                resource: str_bytes(""),
                name: str_bytes("n"),
                value: Some(str_bytes("1")),
            },
            MetadataRecord::FeatureLevel { name: str_bytes("group.version"), level: 1 },
            MetadataRecord::ProducerIds { broker: BrokerId(2), broker_epoch: BrokerEpoch(5), next: 1_000 },
            MetadataRecord::NoOp,
            MetadataRecord::ClearElr { topic: None },
            MetadataRecord::ClearElr { topic: Some(str_bytes("orders")) },
        ];
        for record in records {
            assert_eq!(MetadataRecord::decode(record.encode()), Some(record));
        }
    }

    #[test]
    fn a_partition_change_lies_in_the_log_as_the_schema_says() {
        let change = PartitionChange {
            topic: Uuid::from_u128(5),
            partition: 1,
            isr: Some(ids(&[2])),
            leader: Some(Some(BrokerId(2))),
            ..PartitionChange::default()
        };
        let mut expected = vec![1, 5, 2, 0, 0, 0, 1];
        expected.extend([0; 15]);
        expected.extend([5, 2]);
        expected.extend([0, 5, 2, 0, 0, 0, 2]);
        expected.extend([1, 4, 0, 0, 0, 2]);
        assert_eq!(MetadataRecord::PartitionChange(change).encode(), expected);
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        let whole = MetadataRecord::Topic { name: topic_name("orders"), id: Uuid::from_u128(1) }.encode();
        for length in 0..whole.len() - 1 {
            assert_eq!(MetadataRecord::decode(whole.slice(..length)), None, "cut at {length}");
        }
        assert_eq!(MetadataRecord::decode(Bytes::from_static(&[1, 99, 0])), None);
    }
}
