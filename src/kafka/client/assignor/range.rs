//! RangeAssignor: topic by topic, each member takes a run of partitions; with racks, a first pass
//! gives members partitions that have a replica in their rack (KIP-881).

use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{StrBytes, TopicName, TopicPartition};

use super::{Assignment, Subscription, TopicRacks, nothing_assigned};

pub(super) fn assign(topics: &TopicRacks, members: &[&Subscription]) -> Assignment {
    let mut assignment = nothing_assigned(members);
    let mut states: Vec<TopicState<'_>> = topics
        .iter()
        .filter(|(_, racks)| !racks.is_empty())
        .map(|(topic, racks)| TopicState::new(topic, racks, members))
        .filter(|state| !state.members.is_empty())
        .collect();
    let rack_aware = states.iter().any(TopicState::needs_racks);
    if rack_aware {
        match_racks(&mut states, &mut assignment);
    }
    for state in &mut states {
        state.assign_ranges(false, &mut assignment);
    }
    if rack_aware {
        assignment.values_mut().for_each(|list| list.sort());
    }
    assignment
}

/// Topics with the same members and as many partitions are co-partitioned: their partitions of one
/// number go to one member together.
fn match_racks(states: &mut [TopicState<'_>], assignment: &mut Assignment) {
    let mut groups: SortedMap<(Vec<StrBytes>, usize), Vec<&mut TopicState<'_>>> = SortedMap::new();
    for state in states {
        let names = state.members.iter().map(|m| m.member_id.clone()).collect();
        groups.entry((names, state.racks.len())).or_default().push(state);
    }
    for group in groups.values_mut() {
        match group.as_mut_slice() {
            [single] if single.needs_racks() => single.assign_ranges(true, assignment),
            [_] => {}
            several => match_co_partitioned(several, assignment),
        }
    }
}

fn match_co_partitioned(states: &mut [&mut TopicState<'_>], assignment: &mut Assignment) {
    let members = states[0].members.clone();
    for partition in 0..states[0].racks.len() {
        let fits =
            |index: &usize| states.iter().all(|state| state.rack_matches(*index, partition) && state.quota(*index) > 0);
        if let Some(index) = (0..members.len()).find(fits) {
            for state in states.iter_mut() {
                state.take(index, &[partition], assignment);
            }
        }
    }
}

/// RangeAssignor.TopicAssignmentState.
struct TopicState<'a> {
    topic: &'a TopicName,
    /// The racks of each partition's replicas.
    racks: &'a [Vec<StrBytes>],
    /// The subscribers in member order.
    members: Vec<&'a Subscription>,
    /// How many partitions each of them has been given.
    given: Vec<usize>,
    /// Everyone gets this many; the first ones that exceed it use up `extras`.
    share: usize,
    /// How many more members may get one above the share.
    extras: usize,
    unassigned: SortedSet<usize>,
}

impl<'a> TopicState<'a> {
    fn new(topic: &'a TopicName, racks: &'a [Vec<StrBytes>], members: &[&'a Subscription]) -> TopicState<'a> {
        let members: Vec<&Subscription> = members.iter().copied().filter(|m| m.topics.contains(topic)).collect();
        let count = members.len().max(1);
        TopicState {
            topic,
            racks,
            given: vec![0; members.len()],
            share: racks.len() / count,
            extras: racks.len() % count,
            unassigned: (0..racks.len()).collect(),
            members,
        }
    }

    /// Racks say something only when members and replicas share some, and not every partition is
    /// in all of them (AbstractPartitionAssignor.useRackAwareAssignment).
    fn needs_racks(&self) -> bool {
        let of_members: SortedSet<&StrBytes> = self.members.iter().filter_map(|m| m.rack.as_ref()).collect();
        let all: SortedSet<&StrBytes> = self.racks.iter().flatten().collect();
        let everywhere = |racks: &Vec<StrBytes>| racks.iter().collect::<SortedSet<_>>() == all;
        !of_members.is_disjoint(&all) && !self.racks.iter().all(everywhere)
    }

    /// A member without a rack is at home everywhere.
    fn rack_matches(&self, index: usize, partition: usize) -> bool {
        self.members[index].rack.as_ref().is_none_or(|rack| self.racks[partition].contains(rack))
    }

    fn quota(&self, index: usize) -> usize {
        (self.share + usize::from(self.extras > 0)).saturating_sub(self.given[index])
    }

    fn assign_ranges(&mut self, match_racks: bool, assignment: &mut Assignment) {
        for index in 0..self.members.len() {
            let fitting = self.unassigned.iter().copied().filter(|p| !match_racks || self.rack_matches(index, *p));
            let taken: Vec<usize> = fitting.take(self.quota(index)).collect();
            if !taken.is_empty() {
                self.take(index, &taken, assignment);
            }
        }
    }

    fn take(&mut self, index: usize, partitions: &[usize], assignment: &mut Assignment) {
        self.given[index] += partitions.len();
        if self.given[index] > self.share {
            self.extras -= 1;
        }
        let list = assignment.entry(self.members[index].member_id.clone()).or_default();
        for partition in partitions {
            self.unassigned.remove(partition);
            list.push(TopicPartition::new(self.topic.clone(), *partition as i32));
        }
    }
}
