//! The assignment when members subscribe to different topics: what is held stays, the rest goes to
//! who has least, then single partitions move while that makes it more even
//! (AbstractStickyAssignor.GeneralAssignmentBuilder).

use crate::kafka::client::assignor::sticky::movements::Movements;
use crate::kafka::client::assignor::sticky::{Given, Group, Place};
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{TopicName, TopicPartition};

pub(super) fn assign(group: &Group<'_>) -> Given {
    let mut balance = Balance::new(group);
    balance.keep_owned();
    let free = balance.unassigned();
    balance.run(free);
    balance.given
}

struct Balance<'a> {
    group: &'a Group<'a>,
    /// Who may get a topic's partitions.
    subscribers: SortedMap<&'a TopicName, Vec<Place>>,
    /// All partitions, those with the fewest possible holders first.
    partitions: Vec<TopicPartition>,
    given: Given,
    owners: SortedMap<TopicPartition, Place>,
    /// Members whose partitions may still change.
    movable: Vec<Place>,
    movements: Movements,
    /// Somebody had to give something up already.
    revoked: bool,
}

impl<'a> Balance<'a> {
    fn new(group: &'a Group<'a>) -> Balance<'a> {
        let places = 0..group.members.len();
        let subscribers: SortedMap<&TopicName, Vec<Place>> = group
            .topics
            .iter()
            .map(|(topic, _)| (*topic, places.clone().filter(|p| group.members[*p].topics.contains(topic)).collect()))
            .collect();
        let mut topics = group.topics.clone();
        topics.sort_unstable_by_key(|(topic, _)| (subscribers[topic].len(), *topic));
        Balance {
            group,
            partitions: topics.iter().flat_map(|(topic, count)| Group::partitions_of(topic, *count)).collect(),
            given: group.ownership.owned.clone(),
            owners: SortedMap::new(),
            movable: places.collect(),
            movements: Movements::default(),
            revoked: false,
            subscribers,
        }
    }

    fn subscribes(&self, member: Place, partition: &TopicPartition) -> bool {
        self.subscribers.get(&partition.topic).is_some_and(|members| members.contains(&member))
    }

    /// What is not subscribed to any more, or too far away, is given up.
    fn keep_owned(&mut self) {
        for member in 0..self.given.len() {
            let held = std::mem::take(&mut self.given[member]);
            let count = held.len();
            let fits = |p: &TopicPartition| self.subscribes(member, p) && !self.group.racks.mismatch(member, p);
            let kept: Vec<TopicPartition> = held.into_iter().filter(fits).collect();
            self.revoked |= kept.len() < count;
            self.owners.extend(kept.iter().map(|p| (p.clone(), member)));
            self.given[member] = kept;
        }
    }

    fn unassigned(&self) -> Vec<TopicPartition> {
        self.partitions.iter().filter(|p| !self.owners.contains_key(*p)).cloned().collect()
    }

    fn run(&mut self, mut free: Vec<TopicPartition>) {
        let fresh = self.owners.is_empty();
        if self.group.racks.matter() {
            for partition in &free {
                self.assign_to_least(partition, true);
            }
        }
        for partition in &free {
            if !self.owners.contains_key(partition) {
                self.assign_to_least(partition, false);
            }
        }
        // A topic with a single subscriber leaves no choice, and so does a member with only such topics.
        let choice: SortedSet<&TopicName> =
            self.subscribers.iter().filter(|(_, members)| members.len() > 1).map(|(topic, _)| *topic).collect();
        let mut all = self.partitions.clone();
        all.retain(|p| choice.contains(&p.topic));
        free.retain(|p| choice.contains(&p.topic));
        let movable = |member: &Place| {
            self.given[*member].len() < self.possible(*member)
                || self.given[*member].iter().any(|p| choice.contains(&p.topic))
        };
        self.movable = (0..self.given.len()).filter(movable).collect();
        let before = (self.given.clone(), self.owners.clone());
        let score = self.score();
        // New partitions are moved first: they have no holder that would miss them.
        if !self.revoked {
            self.reassign_all(&free);
        }
        let moved = self.reassign_all(&all);
        if !fresh && moved && self.score() >= score {
            (self.given, self.owners) = before;
        }
    }

    /// The member with the fewest partitions takes it; of equals the first.
    fn assign_to_least(&mut self, partition: &TopicPartition, near: bool) {
        let may = |m: &Place| self.subscribes(*m, partition) && !(near && self.group.racks.mismatch(*m, partition));
        let Some(member) = self.by_load().into_iter().find(may) else { return };
        self.given[member].push(partition.clone());
        self.owners.insert(partition.clone(), member);
    }

    fn by_load(&self) -> Vec<Place> {
        let mut members = self.movable.clone();
        members.sort_unstable_by_key(|member| (self.given[*member].len(), *member));
        members
    }

    /// How many partitions the member could have.
    fn possible(&self, member: Place) -> usize {
        let topics = self.group.topics.iter().filter(|(topic, _)| self.subscribers[topic].contains(&member));
        topics.map(|(_, count)| count).sum()
    }

    /// No member could take a partition of one that has at least two more.
    fn is_balanced(&self) -> bool {
        let sizes = || self.movable.iter().map(|member| self.given[*member].len());
        let (Some(min), Some(max)) = (sizes().min(), sizes().max()) else { return true };
        if min + 1 >= max {
            return true;
        }
        let could_take = |member: Place, partition: &TopicPartition| {
            let owner = self.owners.get(partition).copied();
            owner.is_some_and(|owner| self.given[owner].len() > self.given[member].len() + 1)
        };
        self.movable.iter().all(|member| {
            self.partitions.iter().filter(|p| self.subscribes(*member, p)).all(|p| !could_take(*member, p))
        })
    }

    /// The sum of the differences between all pairs of members: the smaller, the more even.
    fn score(&self) -> usize {
        let sizes: Vec<usize> = self.movable.iter().map(|member| self.given[*member].len()).collect();
        let differences = sizes.iter().enumerate().flat_map(|(i, a)| sizes[i + 1..].iter().map(|b| a.abs_diff(*b)));
        differences.sum()
    }

    /// Moves partitions until it is balanced or nothing more moves; true when something moved.
    fn reassign_all(&mut self, partitions: &[TopicPartition]) -> bool {
        let mut any = false;
        // Kafka goes round until nothing moves; moves bring balance, so that these rounds are ample.
        for _ in 0..=partitions.len() * self.given.len() {
            let mut moved = false;
            for partition in partitions {
                if self.is_balanced() {
                    break;
                }
                moved |= self.reassign(partition);
            }
            any |= moved;
            if !moved {
                break;
            }
        }
        any
    }

    /// A partition whose holder has at least two more than another subscriber goes back to whom an
    /// earlier generation gave it, if that one is such a subscriber, else to who has least.
    fn reassign(&mut self, partition: &TopicPartition) -> bool {
        let Some(owner) = self.owners.get(partition).copied() else { return false };
        let better = |member: Place| self.given[owner].len() > self.given[member].len() + 1;
        let before = self.group.ownership.previous.get(partition).map(|(member, _)| *member);
        let before = before.filter(|member| self.subscribes(*member, partition) && better(*member));
        let least = || self.by_load().into_iter().find(|member| self.subscribes(*member, partition));
        let Some(to) = before.or_else(|| least().filter(|member| better(*member))) else { return false };
        let partition = self.movements.instead_of(partition, owner, to);
        let from = self.owners.insert(partition.clone(), to).expect("a partition that moves has a holder");
        self.movements.moved(&partition, from, to);
        self.given[from].retain(|p| *p != partition);
        self.given[to].push(partition);
        true
    }
}
