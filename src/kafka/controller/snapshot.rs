//! The whole of the metadata as records, when it is time to write it down, and what differs between
//! two images where the records in between are not known (SnapshotGenerator, ImageWriter,
//! MetadataDelta.finishSnapshot).

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::{Configs, Delta, MetadataImage, PartitionRegistration, TopicImage};
use crate::kafka::controller::record::{MetadataRecord, ResourceType};
use crate::kafka::quorum::Snapshot;
use crate::sorted::SortedSet;
use crate::time::{Duration, Instant};
use crate::wire::batch::Batch;
use crate::wire::{BrokerEpoch, BrokerId, Offset, StrBytes, TopicName, TopicPartition, str_bytes};

/// When a node writes the next snapshot (SnapshotGenerator). It begins anew with every process.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotTimer {
    /// `metadata.log.max.record.bytes.between.snapshots`
    most_bytes: i64,
    /// `metadata.log.max.snapshot.interval.ms`
    interval: Option<Duration>,
    /// How much was replayed since the last one.
    bytes: i64,
    last: Instant,
}

impl SnapshotTimer {
    pub fn new(config: &BrokerConfig, now: Instant) -> SnapshotTimer {
        let (most_bytes, interval) = (config.metadata_snapshot_bytes, config.metadata_snapshot_interval);
        SnapshotTimer { most_bytes, interval, bytes: 0, last: now }
    }

    pub fn replayed(&mut self, batches: &[Batch]) {
        self.bytes += batches.iter().map(|batch| batch.bytes().len() as i64).sum::<i64>();
    }

    /// True when a snapshot is due; the next one is counted from here.
    pub fn rings(&mut self, now: Instant) -> bool {
        let by_time = self.interval.is_some_and(|interval| now - self.last >= interval);
        let due = self.bytes > 0 && (self.bytes >= self.most_bytes || by_time);
        if due {
            (self.bytes, self.last) = (0, now);
        }
        due
    }
}

/// The image that a snapshot holds.
pub fn load(snapshot: &Snapshot) -> MetadataImage {
    let mut image = MetadataImage::new();
    for batch in snapshot.metadata() {
        image.replay_batch(&batch);
    }
    for id in image.brokers.keys().copied().collect::<Vec<BrokerId>>() {
        // A broker's epoch is the offset of the record that registered it.
        if let Some(broker) = image.brokers.get_mut(&id) {
            broker.registered_at = Offset(broker.epoch.0);
        }
    }
    (image.offset, image.epoch) = (snapshot.id.end + -1, snapshot.id.epoch);
    image
}

/// The records that make an empty image this one, encoded.
pub fn write(image: &MetadataImage) -> Vec<Bytes> {
    records(image).iter().map(MetadataRecord::encode).collect()
}

fn records(image: &MetadataImage) -> Vec<MetadataRecord> {
    // The producer ids' record names who asked last; nobody reads it again.
    let MetadataImage {
        offset: _,
        epoch: _,
        brokers,
        topics,
        topic_names: _,
        cluster_configs,
        broker_configs,
        group_configs,
        features,
        next_producer_id,
    } = image;
    let feature = |(name, level): (&StrBytes, &i16)| MetadataRecord::FeatureLevel { name: name.clone(), level: *level };
    let mut records: Vec<MetadataRecord> = features.iter().map(feature).collect();
    records.extend(brokers.iter().map(|(broker, registration)| MetadataRecord::RegisterBroker {
        broker: *broker,
        incarnation: registration.incarnation,
        epoch: registration.epoch,
        rack: registration.rack.clone(),
        fenced: registration.fenced,
        in_controlled_shutdown: registration.in_controlled_shutdown,
    }));
    for (name, topic) in topics {
        records.push(MetadataRecord::Topic { name: name.clone(), id: topic.id });
        records.extend(topic.partitions.iter().map(|(index, registration)| MetadataRecord::Partition {
            topic: topic.id,
            partition: *index,
            registration: PartitionRegistration::clone(registration),
        }));
    }
    write_configs(ResourceType::Broker, &str_bytes(""), cluster_configs, &mut records);
    for (broker, configs) in broker_configs {
        write_configs(ResourceType::Broker, &str_bytes(&broker.0.to_string()), configs, &mut records);
    }
    for (name, topic) in topics {
        write_configs(ResourceType::Topic, &name.0, &topic.configs, &mut records);
    }
    for (group, configs) in group_configs {
        write_configs(ResourceType::Group, &group.0, configs, &mut records);
    }
    if *next_producer_id > 0 {
        let (broker, broker_epoch) = (BrokerId(-1), BrokerEpoch::UNKNOWN);
        records.push(MetadataRecord::ProducerIds { broker, broker_epoch, next: *next_producer_id });
    }
    records
}

fn write_configs(kind: ResourceType, resource: &StrBytes, configs: &Configs, records: &mut Vec<MetadataRecord>) {
    records.extend(configs.iter().map(|(name, value)| MetadataRecord::Config {
        kind,
        resource: resource.clone(),
        name: name.clone(),
        value: Some(value.clone()),
    }));
}

/// What is other in `new`, for those who acted on `old`.
pub fn differences(old: &MetadataImage, new: &MetadataImage) -> Vec<Delta> {
    let mut deltas = Vec::new();
    for (name, topic) in &old.topics {
        if new.topics.get(name).is_none_or(|same| same.id != topic.id) {
            deltas.push(Delta::TopicDeleted(name.clone(), topic.id));
        }
    }
    for broker in ids(old.brokers.keys(), new.brokers.keys()) {
        if old.brokers.get(&broker) != new.brokers.get(&broker) {
            deltas.push(Delta::Broker(broker));
        }
    }
    for (name, topic) in &new.topics {
        let known = old.topics.get(name).filter(|known| known.id == topic.id);
        topic_differences(name, known, topic, &mut deltas);
    }
    if old.cluster_configs != new.cluster_configs {
        deltas.push(Delta::ClusterConfig);
    }
    for broker in ids(old.broker_configs.keys(), new.broker_configs.keys()) {
        if old.broker_configs.get(&broker) != new.broker_configs.get(&broker) {
            deltas.push(Delta::BrokerConfig(broker));
        }
    }
    deltas
}

/// The brokers that stand in either.
fn ids<'a>(old: impl Iterator<Item = &'a BrokerId>, new: impl Iterator<Item = &'a BrokerId>) -> SortedSet<BrokerId> {
    old.chain(new).copied().collect()
}

fn topic_differences(name: &TopicName, old: Option<&TopicImage>, new: &TopicImage, deltas: &mut Vec<Delta>) {
    if old.is_none() {
        deltas.push(Delta::TopicCreated(name.clone()));
    }
    for (index, partition) in &new.partitions {
        if old.and_then(|old| old.partitions.get(index)) != Some(partition) {
            deltas.push(Delta::Partition(TopicPartition::new(name.clone(), *index)));
        }
    }
    if old.is_some_and(|old| old.configs != new.configs) {
        deltas.push(Delta::TopicConfig(name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{LeaderEpoch, PartitionEpoch, Uuid, topic_name};

    fn image() -> MetadataImage {
        let mut image = MetadataImage::new();
        let id = Uuid::from_u128(7);
        let config = |kind, resource: &str| MetadataRecord::Config {
            kind,
            resource: str_bytes(resource),
            name: str_bytes("min.insync.replicas"),
            value: Some(str_bytes("2")),
        };
        for record in [
            MetadataRecord::RegisterBroker {
                broker: BrokerId(1),
                incarnation: id,
                epoch: BrokerEpoch(0),
                rack: Some(str_bytes("a")),
                fenced: true,
                in_controlled_shutdown: false,
            },
            MetadataRecord::FeatureLevel { name: str_bytes("metadata.version"), level: 29 },
            MetadataRecord::Topic { name: topic_name("orders"), id },
            MetadataRecord::Partition {
                topic: id,
                partition: 0,
                registration: PartitionRegistration {
                    adding: vec![BrokerId(2)],
                    leader: None,
                    recovering: true,
                    leader_epoch: LeaderEpoch(4),
                    partition_epoch: PartitionEpoch(9),
                    elr: vec![BrokerId(2)],
                    last_known_elr: vec![BrokerId(1)],
                    ..PartitionRegistration::new(vec![BrokerId(1), BrokerId(2)], vec![BrokerId(1)])
                },
            },
            config(ResourceType::Topic, "orders"),
            config(ResourceType::Broker, ""),
            config(ResourceType::Broker, "1"),
            config(ResourceType::Group, "jobs"),
            MetadataRecord::ProducerIds { broker: BrokerId(1), broker_epoch: BrokerEpoch(0), next: 1_000 },
        ] {
            image.replay(&record);
        }
        image
    }

    #[test]
    fn an_image_made_of_its_own_records_is_the_same() {
        let image = image();
        let mut copy = MetadataImage::new();
        for record in records(&image) {
            copy.replay(&record);
        }
        (copy.offset, copy.epoch) = (image.offset, image.epoch);
        if let Some(broker) = copy.brokers.get_mut(&BrokerId(1)) {
            broker.registered_at = Offset(0);
        }
        assert_eq!(copy, image);
    }

    #[test]
    fn two_equal_images_differ_in_nothing_and_an_empty_one_in_everything() {
        let image = image();
        assert_eq!(differences(&image, &image), []);
        let orders = topic_name("orders");
        let all = [
            Delta::Broker(BrokerId(1)),
            Delta::TopicCreated(orders.clone()),
            Delta::Partition(TopicPartition::named("orders", 0)),
            Delta::ClusterConfig,
            Delta::BrokerConfig(BrokerId(1)),
        ];
        assert_eq!(differences(&MetadataImage::new(), &image), all);
        let gone = differences(&image, &MetadataImage::new());
        assert_eq!(gone[0], Delta::TopicDeleted(orders, Uuid::from_u128(7)));
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_bytes_or_so_much_time_but_never_for_nothing() {
        let config = BrokerConfig { metadata_snapshot_bytes: 100, ..BrokerConfig::default() };
        let mut timer = SnapshotTimer::new(&config, Instant::ZERO);
        assert!(!timer.rings(Instant::from_secs(7_200)), "nothing was replayed");
        timer.bytes = 99;
        assert!(!timer.rings(Instant::from_secs(1)));
        timer.bytes += 1;
        assert!(timer.rings(Instant::from_secs(1)));
        timer.bytes += 1;
        assert!(!timer.rings(Instant::from_secs(3_600)));
        assert!(timer.rings(Instant::from_secs(3_601)));
    }
}
