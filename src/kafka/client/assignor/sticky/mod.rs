//! StickyAssignor (KIP-54) and CooperativeStickyAssignor (KIP-429): as even as can be, and of that
//! what moves the fewest partitions (AbstractStickyAssignor).
//!
//! Members stand in the order of their ids everywhere here and are known by their place in it. Where
//! Kafka walks over a hash map, equal members are taken in this order.

mod constrained;
mod general;
mod movements;
mod ownership;
mod racks;
#[cfg(test)]
mod tests;
mod user_data;

use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{StrBytes, TopicName, TopicPartition};

use super::{Assignment, Subscription, TopicRacks, utf16_order};
use ownership::Ownership;
use racks::Racks;

pub use user_data::Memory;

/// Which of the two assignors it is: they differ in where a member says what it held, and in what
/// happens to partitions that move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Eager,
    Cooperative,
}

/// A member's place in the order of member ids.
type Place = usize;

/// The assignment that the group is to reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub assignment: Assignment,
    /// Partitions that somebody else holds still, each with the member that gets it.
    pub moving: SortedMap<TopicPartition, StrBytes>,
}

/// What the assignment is computed from.
struct Group<'a> {
    /// Topics that somebody subscribed to and that have partitions, with how many they have.
    topics: Vec<(&'a TopicName, usize)>,
    members: Vec<&'a Subscription>,
    racks: Racks<'a>,
    ownership: Ownership,
}

/// Everybody's partitions, by the members' places.
type Given = Vec<Vec<TopicPartition>>;

pub fn target(kind: Kind, topics: &TopicRacks, members: &[&Subscription]) -> Target {
    let group = Group::new(kind, topics, members);
    let (given, moving) = if group.all_subscribe_the_same() {
        constrained::assign(&group)
    } else {
        let given = general::assign(&group);
        let moving = group.changes_of_owner(&given);
        (given, moving)
    };
    let id = |place: Place| group.members[place].member_id.clone();
    Target {
        assignment: given.into_iter().enumerate().map(|(place, list)| (id(place), list)).collect(),
        moving: moving.into_iter().map(|(partition, place)| (partition, id(place))).collect(),
    }
}

/// The eager assignor hands the target out at once. The cooperative one leaves out what its holder
/// must give up first: the next rebalance, which the holder asks for, assigns it.
pub(super) fn assign(kind: Kind, topics: &TopicRacks, members: &[&Subscription]) -> Assignment {
    let Target { mut assignment, moving } = target(kind, topics, members);
    if kind == Kind::Cooperative {
        for (partition, member) in &moving {
            assignment.entry(member.clone()).or_default().retain(|p| p != partition);
        }
    }
    assignment
}

impl<'a> Group<'a> {
    fn new(kind: Kind, topics: &'a TopicRacks, members: &[&'a Subscription]) -> Group<'a> {
        let mut members = members.to_vec();
        members.sort_unstable_by(|a, b| utf16_order(&a.member_id, &b.member_id));
        let subscribed: SortedSet<&TopicName> = members.iter().flat_map(|m| &m.topics).collect();
        let known: Vec<_> =
            topics.iter().filter(|(topic, racks)| subscribed.contains(topic) && !racks.is_empty()).collect();
        let counts: Vec<(&TopicName, usize)> = known.iter().map(|(topic, racks)| (*topic, racks.len())).collect();
        Group {
            racks: Racks::new(&known, &members),
            ownership: Ownership::new(kind, &counts, &members),
            topics: counts,
            members,
        }
    }

    fn all_subscribe_the_same(&self) -> bool {
        let mut topics = self.members.iter().map(|m| m.topics.iter().collect::<SortedSet<_>>());
        let first = topics.next();
        topics.all(|other| Some(other) == first)
    }

    fn partitions_of(topic: &TopicName, count: usize) -> impl Iterator<Item = TopicPartition> {
        (0..count).map(move |partition| TopicPartition::new(topic.clone(), partition as i32))
    }

    /// CooperativeStickyAssignor.computePartitionsTransferringOwnership: what one member says it
    /// owns and does not keep, and another gets.
    fn changes_of_owner(&self, given: &Given) -> SortedMap<TopicPartition, Place> {
        let told = || self.members.iter().zip(given);
        let freed: SortedSet<&TopicPartition> =
            told().flat_map(|(member, list)| member.owned.iter().filter(|p| !list.contains(p))).collect();
        let mut moving = SortedMap::new();
        for (place, (member, list)) in told().enumerate() {
            let new = list.iter().filter(|p| !member.owned.contains(p) && freed.contains(p));
            moving.extend(new.map(|partition| (partition.clone(), place)));
        }
        moving
    }
}
