//! RoundRobinAssignor: all partitions in a row, dealt one by one to the members.

use crate::sorted::SortedSet;
use crate::wire::{TopicName, TopicPartition};

use super::{Assignment, Subscription, TopicRacks, nothing_assigned};

/// The pointer over the members goes round and is never set back between topics; members that do
/// not subscribe to the partition's topic are passed over.
pub(super) fn assign(topics: &TopicRacks, members: &[&Subscription]) -> Assignment {
    let mut assignment = nothing_assigned(members);
    let subscribed: SortedSet<&TopicName> = members.iter().flat_map(|m| &m.topics).collect();
    let mut next = 0;
    for topic in subscribed {
        let count = topics.get(topic).map_or(0, Vec::len);
        for partition in 0..count {
            while !members[next].topics.contains(topic) {
                next = (next + 1) % members.len();
            }
            let list = assignment.entry(members[next].member_id.clone()).or_default();
            list.push(TopicPartition::new(topic.clone(), partition as i32));
            next = (next + 1) % members.len();
        }
    }
    assignment
}
