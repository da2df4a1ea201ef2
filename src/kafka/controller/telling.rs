//! What the committed records of the metadata log tell: each fact once, by the active controller.

use crate::kafka::controller::image::{MetadataImage, PartitionRegistration, decode_batch};
use crate::kafka::controller::record::{MetadataRecord, PartitionChange, ResourceType};
use crate::kafka::fact::Fact;
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, StrBytes, TopicName, TopicPartition, Uuid, str_bytes};

/// Replays a committed batch and says what became true by it. `expired` are the brokers that are
/// fenced because their session ran out; those whose fencing is told are taken out.
pub fn replay_and_tell(image: &mut MetadataImage, batch: &Batch, expired: &mut Vec<BrokerId>) -> Vec<Fact> {
    let mut facts = Vec::new();
    image.offset = batch.base_offset + -1;
    for record in decode_batch(batch) {
        tell(image, &record, expired, &mut facts);
    }
    image.reached(batch);
    facts
}

fn tell(image: &mut MetadataImage, record: &MetadataRecord, expired: &mut Vec<BrokerId>, facts: &mut Vec<Fact>) {
    match record {
        MetadataRecord::RegisterBroker { broker, incarnation, epoch, .. } => {
            let amended = image.brokers.get(broker).is_some_and(|known| known.incarnation == *incarnation);
            if !amended {
                facts.push(Fact::BrokerRegistered { broker: *broker, epoch: *epoch });
            }
        }
        MetadataRecord::UnregisterBroker { broker, .. } => facts.push(Fact::BrokerUnregistered { broker: *broker }),
        MetadataRecord::BrokerRegistrationChange { broker, fenced, in_controlled_shutdown, .. } => {
            match fenced {
                Some(true) => {
                    let session_expired = expired.contains(broker);
                    expired.retain(|other| other != broker);
                    // Who stopped in good order is fenced once more when its session ends: that is no news.
                    if image.brokers.get(broker).is_none_or(|known| !known.fenced) {
                        facts.push(Fact::BrokerFenced { broker: *broker, session_expired });
                    }
                }
                Some(false) => facts.push(Fact::BrokerUnfenced { broker: *broker }),
                None => {}
            }
            if *in_controlled_shutdown == Some(true) {
                facts.push(Fact::BrokerInControlledShutdown { broker: *broker });
            }
        }
        MetadataRecord::Topic { name, .. } => {
            facts.push(Fact::TopicCreated { topic: name.clone(), partitions: 0, replication_factor: 0 });
        }
        MetadataRecord::RemoveTopic { id } => {
            facts.extend(image.topic_names.get(id).map(|topic| Fact::TopicDeleted { topic: topic.clone() }));
        }
        MetadataRecord::Partition { topic, registration, .. } => {
            tell_new_partition(image, *topic, registration.replicas.len(), facts);
        }
        MetadataRecord::PartitionChange(change) => return tell_partition_change(image, change, record, facts),
        MetadataRecord::Config { kind, resource, name, value } => {
            let is_new = *kind == ResourceType::Topic && is_created_here(facts, resource);
            if !is_new {
                let resource = resource_name(*kind, resource);
                facts.push(Fact::ConfigChanged { resource, name: name.clone(), value: value.clone() });
            }
        }
        MetadataRecord::ClearElr { topic } => tell_cleared_elr(image, topic.as_ref(), facts),
        MetadataRecord::FeatureLevel { .. } | MetadataRecord::ProducerIds { .. } | MetadataRecord::NoOp => {}
    }
    image.replay(record);
}

/// A new topic's partitions follow its own record: they complete its fact.
fn tell_new_partition(image: &MetadataImage, topic: Uuid, replicas: usize, facts: &mut Vec<Fact>) {
    let Some((name, known)) = image.topic_by_id(topic) else { return };
    let before = known.partitions.len() as i32;
    for fact in facts.iter_mut().rev() {
        match fact {
            Fact::TopicCreated { topic, partitions, replication_factor } if topic == name => {
                *partitions += 1;
                *replication_factor = replicas as i32;
                return;
            }
            Fact::PartitionsAdded { topic, to, .. } if topic == name => {
                *to += 1;
                return;
            }
            _ => {}
        }
    }
    facts.push(Fact::PartitionsAdded { topic: name.clone(), from: before, to: before + 1 });
}

fn tell_partition_change(
    image: &mut MetadataImage,
    change: &PartitionChange,
    record: &MetadataRecord,
    facts: &mut Vec<Fact>,
) {
    let name = image.topic_names.get(&change.topic).cloned();
    let partition = name.map(|topic| TopicPartition { topic, partition: change.partition });
    let before = partition.as_ref().and_then(|partition| image.partition(partition)).cloned();
    image.replay(record);
    let (Some(partition), Some(before)) = (partition, before) else { return };
    let Some(after) = image.partition(&partition) else { return };
    if before.replicas != after.replicas {
        let (from, to) = (before.replicas.clone(), after.replicas.clone());
        facts.push(Fact::ReplicasChanged { partition: partition.clone(), from, to });
    }
    if before.leader_epoch != after.leader_epoch {
        facts.push(Fact::LeaderElected {
            partition: partition.clone(),
            from: before.leader,
            to: after.leader,
            leader_epoch: after.leader_epoch,
            isr: after.isr.clone(),
            unclean: is_unclean(&before, after, change),
        });
    } else if before.isr != after.isr {
        facts.push(Fact::IsrChanged {
            partition: partition.clone(),
            from: before.isr.clone(),
            to: after.isr.clone(),
            partition_epoch: after.partition_epoch,
        });
    }
    if before.elr != after.elr {
        facts.push(Fact::ElrChanged { partition, to: after.elr.clone() });
    }
}

/// The new leader may lack committed records: the record says so, unless the partition was
/// recovering already.
fn is_unclean(before: &PartitionRegistration, after: &PartitionRegistration, change: &PartitionChange) -> bool {
    let Some(leader) = after.leader.filter(|leader| before.leader != Some(*leader)) else { return false };
    let in_neither = !before.isr.contains(&leader) && !before.elr.contains(&leader);
    change.recovering == Some(true) || (before.recovering && after.recovering && in_neither)
}

fn tell_cleared_elr(image: &MetadataImage, only: Option<&StrBytes>, facts: &mut Vec<Fact>) {
    for (name, _, index, partition) in image.partitions() {
        if only.is_none_or(|only| *only == name.0) && !partition.elr.is_empty() {
            let partition = TopicPartition { topic: name.clone(), partition: index };
            facts.push(Fact::ElrChanged { partition, to: Vec::new() });
        }
    }
}

fn is_created_here(facts: &[Fact], name: &StrBytes) -> bool {
    facts.iter().any(|fact| matches!(fact, Fact::TopicCreated { topic: TopicName(topic), .. } if topic == name))
}

fn resource_name(kind: ResourceType, resource: &StrBytes) -> StrBytes {
    match kind {
        ResourceType::Topic => resource.clone(),
        ResourceType::Broker if resource.is_empty() => StrBytes::from_static_str("all brokers"),
        ResourceType::Broker => str_bytes(&format!("broker {resource}")),
        ResourceType::Group => str_bytes(&format!("group {resource}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::{BatchHeader, NewRecord};
    use crate::wire::{BrokerEpoch, LeaderEpoch, PartitionEpoch, topic_name};

    const ID: Uuid = Uuid::from_u128(4);

    /// What the image tells about a batch of these records.
    fn told(image: &mut MetadataImage, records: &[MetadataRecord]) -> Vec<Fact> {
        let header = BatchHeader::PLAIN;
        let value = |record: &MetadataRecord| NewRecord {
            timestamp: 0,
            key: None,
            value: Some(record.encode()),
            headers: Vec::new(),
        };
        let batch = Batch::build(&header, &records.iter().map(value).collect::<Vec<_>>());
        let batch = batch.stamped(image.offset.next(), LeaderEpoch(1));
        let facts = replay_and_tell(image, &batch, &mut Vec::new());
        assert_eq!((image.offset, image.epoch), (batch.last_offset, LeaderEpoch(1)));
        facts
    }

    fn partition(index: i32) -> MetadataRecord {
        MetadataRecord::Partition {
            topic: ID,
            partition: index,
            registration: PartitionRegistration::new([1, 2].map(BrokerId).to_vec(), [1, 2].map(BrokerId).to_vec()),
        }
    }

    fn image_with_orders() -> MetadataImage {
        let mut image = MetadataImage::new();
        let setting = MetadataRecord::Config {
            kind: ResourceType::Topic,
            resource: str_bytes("orders"),
            name: str_bytes("retention.ms"),
            value: Some(str_bytes("1")),
        };
        let topic = MetadataRecord::Topic { name: topic_name("orders"), id: ID };
        let facts = told(&mut image, &[topic, setting, partition(0), partition(1)]);
        let created = Fact::TopicCreated { topic: topic_name("orders"), partitions: 2, replication_factor: 2 };
        assert_eq!(facts, [created], "one fact tells a new topic with its partitions and settings");
        image
    }

    #[test]
    fn partitions_that_a_topic_grows_by_are_one_fact() {
        let facts = told(&mut image_with_orders(), &[partition(2), partition(3), partition(4)]);
        assert_eq!(facts, [Fact::PartitionsAdded { topic: topic_name("orders"), from: 2, to: 5 }]);
    }

    #[test]
    fn a_new_leader_and_a_smaller_isr_are_told_apart() {
        let mut image = image_with_orders();
        let change = PartitionChange { topic: ID, partition: 0, ..PartitionChange::default() };
        let orders = TopicPartition::named("orders", 0);
        let shrink = PartitionChange { isr: Some(vec![BrokerId(1)]), elr: Some(vec![BrokerId(2)]), ..change.clone() };
        let facts = told(&mut image, &[MetadataRecord::PartitionChange(shrink)]);
        let (from, to) = (vec![BrokerId(1), BrokerId(2)], vec![BrokerId(1)]);
        let shrunk = Fact::IsrChanged { partition: orders.clone(), from, to, partition_epoch: PartitionEpoch(1) };
        assert_eq!(facts, [shrunk, Fact::ElrChanged { partition: orders.clone(), to: vec![BrokerId(2)] }]);
        let unclean = PartitionChange {
            isr: Some(vec![BrokerId(2)]),
            leader: Some(Some(BrokerId(2))),
            recovering: Some(true),
            elr: Some(vec![]),
            ..change
        };
        let facts = told(&mut image, &[MetadataRecord::PartitionChange(unclean)]);
        let elected = Fact::LeaderElected {
            partition: orders.clone(),
            from: Some(BrokerId(1)),
            to: Some(BrokerId(2)),
            leader_epoch: LeaderEpoch(1),
            isr: vec![BrokerId(2)],
            unclean: true,
        };
        assert_eq!(facts, [elected, Fact::ElrChanged { partition: orders, to: vec![] }]);
    }

    #[test]
    fn a_no_op_tells_nothing() {
        assert_eq!(told(&mut image_with_orders(), &[MetadataRecord::NoOp]), []);
    }

    #[test]
    fn who_is_fenced_twice_is_told_once() {
        let mut image = MetadataImage::new();
        let (broker, epoch) = (BrokerId(1), BrokerEpoch(5));
        let incarnation = Uuid::from_u128(1);
        let (rack, fenced, in_controlled_shutdown) = (None, true, false);
        let register =
            MetadataRecord::RegisterBroker { broker, incarnation, epoch, rack, fenced, in_controlled_shutdown };
        let change = |fenced| MetadataRecord::BrokerRegistrationChange {
            broker,
            epoch,
            fenced: Some(fenced),
            in_controlled_shutdown: None,
        };
        let facts = told(&mut image, &[register, change(false), change(true), change(true)]);
        let fenced = Fact::BrokerFenced { broker, session_expired: false };
        assert_eq!(facts, [Fact::BrokerRegistered { broker, epoch }, Fact::BrokerUnfenced { broker }, fenced]);
    }
}
