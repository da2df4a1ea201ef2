//! The controllers' metadata: what each change of a partition's or a broker's registration must keep.
//! Only what is not shared with the image of before is looked at.

use std::sync::Arc;

use crate::kafka::controller::image::{MetadataImage, PartitionRegistration, TopicImage};
use crate::sim::properties::partition::PartitionWatch;
use crate::sim::properties::property::Property;
use crate::sim::properties::{Finder, Key};
use crate::sorted::SortedMap;
use crate::wire::{BrokerId, TopicName, TopicPartition};

pub(super) fn changed(
    finder: &mut Finder<'_>,
    watches: &mut SortedMap<Key, Arc<PartitionWatch>>,
    old: &MetadataImage,
    new: &MetadataImage,
) {
    if !old.topics.ptr_eq(&new.topics) {
        for (name, topic) in &new.topics {
            let before = old.topics.get(name).filter(|before| before.id == topic.id);
            if before.is_none_or(|before| !before.partitions.ptr_eq(&topic.partitions)) {
                topic_changed(finder, watches, name, before, topic);
            }
        }
        watches.retain(|(topic, _), _| new.topic_names.contains_key(topic));
    }
    if !old.brokers.ptr_eq(&new.brokers) {
        brokers_changed(finder, watches, old, new);
    }
}

fn topic_changed(
    finder: &mut Finder<'_>,
    watches: &mut SortedMap<Key, Arc<PartitionWatch>>,
    name: &TopicName,
    old: Option<&TopicImage>,
    new: &TopicImage,
) {
    for (index, registration) in &new.partitions {
        let before = old.and_then(|old| old.partitions.get(index));
        if before.is_some_and(|before| Arc::ptr_eq(before, registration) || before == registration) {
            continue;
        }
        let partition = TopicPartition::new(name.clone(), *index);
        check_registration(finder, &partition, registration);
        if let Some(before) = before {
            check_epochs(finder, &partition, before, registration);
        }
        let watch =
            watches.entry((new.id, *index)).or_insert_with(|| Arc::new(PartitionWatch::new(&partition, new.id)));
        Arc::make_mut(watch).registered(finder, before.map(Arc::as_ref), registration);
    }
}

fn check_epochs(
    finder: &mut Finder<'_>,
    partition: &TopicPartition,
    old: &PartitionRegistration,
    new: &PartitionRegistration,
) {
    if new.leader_epoch < old.leader_epoch || new.partition_epoch <= old.partition_epoch {
        let text = format!(
            "leader epoch {} → {}, partition epoch {} → {}",
            old.leader_epoch, new.leader_epoch, old.partition_epoch, new.partition_epoch
        );
        finder.broken(Property::EpochsMonotonic, Some(partition), text);
    }
}

fn check_registration(finder: &mut Finder<'_>, partition: &TopicPartition, new: &PartitionRegistration) {
    let name = Some(partition);
    if let Some(leader) = new.leader.filter(|leader| !new.isr.contains(leader)) {
        let text = format!("broker {} leads, and the ISR is {}", leader.0, listed(&new.isr));
        finder.broken(Property::LeaderInIsr, name, text);
    }
    let mut members = [&new.isr[..], &new.elr[..]].concat();
    let count = members.len();
    members.sort_unstable();
    members.dedup();
    let are_replicas = new.isr.iter().all(|member| new.replicas.contains(member));
    let image = finder.world.image();
    let has_elr = image.has_eligible_leader_replicas();
    if members.len() < count || !are_replicas || (!has_elr && new.isr.is_empty()) {
        let text = format!("replicas {}, ISR {}, ELR {}", listed(&new.replicas), listed(&new.isr), listed(&new.elr));
        finder.broken(Property::IsrIsLegal, name, text);
    }
    // Without ELR the last member stays although it is gone; the partition has no leader then.
    let may_be_fenced = !has_elr && new.isr.len() == 1 && new.leader.is_none();
    let is_fenced = |member: &&BrokerId| image.brokers.get(*member).is_none_or(|registration| registration.fenced);
    if let Some(fenced) = new.isr.iter().find(is_fenced).filter(|_| !may_be_fenced) {
        let text = format!("broker {} is fenced, and the ISR is {}", fenced.0, listed(&new.isr));
        finder.broken(Property::FencedNotInIsr, name, text);
    }
}

fn brokers_changed(
    finder: &mut Finder<'_>,
    watches: &mut SortedMap<Key, Arc<PartitionWatch>>,
    old: &MetadataImage,
    new: &MetadataImage,
) {
    for (id, registration) in &new.brokers {
        let Some(before) = old.brokers.get(id) else { continue };
        if registration.epoch < before.epoch {
            let text = format!("broker {}: epoch {} → {}", id.0, before.epoch, registration.epoch);
            finder.broken(Property::BrokerEpochsRise, None, text);
        }
        if registration.epoch > before.epoch && new.has_eligible_leader_replicas() {
            for ((topic, index), watch) in watches.iter_mut().filter(|(_, watch)| watch.awaits(*id)) {
                let topic = new.topic_by_id(*topic).and_then(|(_, topic)| topic.partitions.get(index));
                if let Some(registration) = topic {
                    Arc::make_mut(watch).returned(finder, *id, registration);
                }
            }
        }
        if registration.fenced && !before.fenced && new.has_eligible_leader_replicas() {
            let counted = new.partitions().find(|(_, _, _, partition)| partition.isr.contains(id));
            if let Some((topic, _, index, partition)) = counted {
                let name = TopicPartition::new(topic.clone(), index);
                let text = format!("broker {} is fenced, and the ISR is {}", id.0, listed(&partition.isr));
                finder.broken(Property::FencedNotInIsr, Some(&name), text);
            }
        }
    }
}

fn listed(brokers: &[BrokerId]) -> String {
    crate::kafka::fact::brokers(brokers)
}
