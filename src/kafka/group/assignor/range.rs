//! The coordinator's range assignor (org.apache.kafka.coordinator.group.assignor.RangeAssignor):
//! each topic by itself, contiguous ranges to the members in order, so that topics with equally
//! many partitions meet at the same members. It does not look at what members had.

use crate::kafka::group::assignor::{GroupSpec, MemberSpec, Partitions, Targets, UnknownTopic};
use crate::sorted::SortedMap;
use crate::wire::Uuid;

/// What is left to hand out of a topic.
struct Topic {
    partitions: i32,
    quota: i32,
    /// So many members get one more.
    extras: i32,
    next: i32,
}

pub(super) fn assign(spec: &GroupSpec) -> Result<Targets, UnknownTopic> {
    let mut members: Vec<&MemberSpec> = spec.members.iter().collect();
    // Static members come first, so that a restart under a new member id changes nothing.
    members.sort_by_key(|member| match &member.instance {
        Some(instance) => (false, instance.clone()),
        None => (true, member.id.clone()),
    });
    let mut topics: SortedMap<Uuid, Topic> = SortedMap::new();
    for topic in members.iter().flat_map(|member| member.topics.iter()) {
        if !topics.contains_key(topic) {
            let partitions = spec.partitions_of(topic)?;
            let subscribers = members.iter().filter(|member| member.topics.contains(topic)).count() as i32;
            let (quota, extras) = (partitions / subscribers, partitions % subscribers);
            topics.insert(*topic, Topic { partitions, quota, extras, next: 0 });
        }
    }
    let mut targets = Targets::new();
    for member in members {
        let mut target = Partitions::new();
        for id in &member.topics {
            let Some(topic) = topics.get_mut(id) else { continue };
            let extra = i32::from(topic.extras > 0);
            topic.extras -= extra;
            let end = (topic.next + topic.quota + extra).min(topic.partitions);
            if topic.next < end {
                target.insert(*id, (topic.next..end).collect());
            }
            topic.next = end;
        }
        targets.insert(member.id.clone(), target);
    }
    Ok(targets)
}
