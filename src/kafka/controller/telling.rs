//! What the committed records of the metadata log tell: each fact once, by the active controller.

use crate::kafka::controller::image::{MetadataImage, PartitionRegistration, decode_batch};
use crate::kafka::controller::record::{MetadataRecord, PartitionChange};
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
                    facts.push(Fact::BrokerFenced { broker: *broker, session_expired });
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
        MetadataRecord::Partition { topic, replicas, .. } => tell_new_partition(image, *topic, replicas.len(), facts),
        MetadataRecord::PartitionChange(change) => return tell_partition_change(image, change, record, facts),
        MetadataRecord::Config { topic, resource, name, value } => {
            let is_new = *topic && is_created_here(facts, resource);
            if !is_new {
                let resource = resource_name(*topic, resource);
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

fn resource_name(topic: bool, resource: &StrBytes) -> StrBytes {
    match (topic, resource.is_empty()) {
        (true, _) => resource.clone(),
        (false, true) => StrBytes::from_static_str("all brokers"),
        (false, false) => str_bytes(&format!("broker {resource}")),
    }
}
