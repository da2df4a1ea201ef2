//! The assignment when all members subscribe to the same topics: everybody gets the same number of
//! partitions or one more (AbstractStickyAssignor.ConstrainedAssignmentBuilder).

use crate::kafka::client::assignor::sticky::{Given, Group, Place};
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::TopicPartition;

pub(super) fn assign(group: &Group<'_>) -> (Given, SortedMap<TopicPartition, Place>) {
    let mut shares = Shares::new(group);
    shares.keep_owned();
    let mut free = shares.unassigned();
    if group.racks.matter() {
        // Equal ones stay in the order of topics and partitions.
        free.sort_by_key(|partition| group.racks.neighbours(partition));
        shares.deal_within_racks(&mut free);
    }
    shares.deal(free);
    (shares.given, shares.moving)
}

struct Shares<'a> {
    group: &'a Group<'a>,
    given: Given,
    /// Everyone gets this many (`minQuota`).
    share: usize,
    /// What those get that get more; the share itself when it comes out even (`maxQuota`).
    more: usize,
    /// How many members are to get more than the share, and how many have it.
    extras: usize,
    extras_used: usize,
    /// Members below the share.
    below: Vec<Place>,
    /// Members at the share that may still get one more.
    at_share: Vec<Place>,
    /// What members held and do not keep.
    given_up: SortedMap<TopicPartition, Place>,
    moving: SortedMap<TopicPartition, Place>,
}

impl<'a> Shares<'a> {
    fn new(group: &'a Group<'a>) -> Shares<'a> {
        let members = group.members.len();
        let partitions: usize = group.topics.iter().map(|(_, count)| count).sum();
        Shares {
            group,
            given: vec![Vec::new(); members],
            share: partitions / members.max(1),
            more: partitions.div_ceil(members.max(1)),
            extras: partitions % members.max(1),
            extras_used: 0,
            below: Vec::new(),
            at_share: Vec::new(),
            given_up: SortedMap::new(),
            moving: SortedMap::new(),
        }
    }

    /// Members keep what they held, as far as their share goes and their rack fits.
    fn keep_owned(&mut self) {
        for member in 0..self.given.len() {
            let held = self.group.ownership.owned[member].iter().cloned();
            let (far, mut near): (Vec<_>, Vec<_>) = held.partition(|p| self.group.racks.mismatch(member, p));
            near.retain(|p| !self.group.ownership.disputed.contains(p));
            near.sort_unstable_by(|a, b| (a.partition, &a.topic).cmp(&(b.partition, &b.topic)));
            let keep = if near.len() < self.share {
                self.below.push(member);
                near.len()
            } else if near.len() >= self.more && self.extras_used < self.extras {
                self.use_extra();
                self.more
            } else {
                if self.extras_used < self.extras {
                    self.at_share.push(member);
                }
                self.share
            };
            let rest = near.split_off(keep);
            self.given_up.extend(far.into_iter().chain(rest).map(|p| (p, member)));
            self.given[member] = near;
        }
    }

    /// One more member has more than the share; with the last of them nobody else can get more.
    fn use_extra(&mut self) {
        self.extras_used += 1;
        if self.extras_used == self.extras {
            self.at_share.clear();
        }
    }

    /// In the order of topics and partitions.
    fn unassigned(&self) -> Vec<TopicPartition> {
        let taken: SortedSet<&TopicPartition> = self.given.iter().flatten().collect();
        let all = self.group.topics.iter().flat_map(|(topic, count)| Group::partitions_of(topic, *count));
        all.filter(|partition| !taken.contains(partition)).collect()
    }

    /// Deals out what can go to a member in a replica's rack; the partitions with the fewest such
    /// members come first.
    fn deal_within_racks(&mut self, free: &mut Vec<TopicPartition>) {
        let mut next = 0;
        free.retain(|partition| match self.choose_near(partition, &mut next) {
            Some(member) => {
                self.give(partition.clone(), member);
                false
            }
            None => true,
        });
    }

    fn choose_near(&mut self, partition: &TopicPartition, next: &mut usize) -> Option<Place> {
        if let Some(index) = self.group.racks.next_near(partition, &self.below, *next) {
            let member = self.below[index];
            let count = self.given[member].len() + 1;
            let filled = count >= self.share;
            if filled {
                self.below.remove(index);
                if count < self.more && self.extras_used < self.extras {
                    self.at_share.push(member);
                }
            }
            *next = (index + usize::from(!filled)) % self.below.len().max(1);
            return Some(member);
        }
        let index = self.group.racks.next_near(partition, &self.at_share, 0)?;
        let member = self.at_share[index];
        if self.given[member].len() + 1 == self.more {
            self.at_share.remove(index);
            self.use_extra();
        }
        Some(member)
    }

    /// Deals out the rest in turn: first to members below the share, then one each to those at it.
    fn deal(&mut self, free: Vec<TopicPartition>) {
        let mut next = 0;
        for partition in free {
            if self.below.is_empty() {
                assert!(!self.at_share.is_empty(), "the shares add up to all partitions");
                let member = self.at_share.remove(0);
                self.give(partition, member);
                continue;
            }
            next = if next < self.below.len() { next } else { 0 };
            let member = self.below[next];
            self.give(partition, member);
            if self.given[member].len() == self.share {
                self.below.remove(next);
                self.at_share.push(member);
            } else {
                next += 1;
            }
        }
    }

    /// The partition changes its owner when another member held it, or two.
    fn give(&mut self, partition: TopicPartition, member: Place) {
        let from_another = self.given_up.get(&partition).is_some_and(|owner| *owner != member);
        if from_another || self.group.ownership.disputed.contains(&partition) {
            self.moving.insert(partition.clone(), member);
        }
        self.given[member].push(partition);
    }
}
