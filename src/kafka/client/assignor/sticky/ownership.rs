//! Who holds what, by what the members say: their claims may contradict each other when some of
//! them missed a generation (AbstractStickyAssignor.allSubscriptionsEqual, KIP-341).

use bytes::Bytes;

use crate::kafka::client::assignor::Subscription;
use crate::kafka::client::assignor::sticky::user_data::{Memory, NO_GENERATION, cooperative_generation};
use crate::kafka::client::assignor::sticky::{Given, Kind, Place};
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{TopicName, TopicPartition};

pub(super) struct Ownership {
    /// Each member's claims that no younger and no equal one contradicts.
    pub owned: Given,
    /// Claimed by two members of one generation: neither keeps it.
    pub disputed: SortedSet<TopicPartition>,
    /// Of the members that do not know the youngest generation: who held what last.
    pub previous: SortedMap<TopicPartition, (Place, i32)>,
}

impl Ownership {
    pub fn new(kind: Kind, topics: &[(&TopicName, usize)], members: &[&Subscription]) -> Ownership {
        let counts: SortedMap<&TopicName, usize> = topics.iter().copied().collect();
        let exists = |partition: &TopicPartition| {
            counts.get(&partition.topic).is_some_and(|count| (partition.partition as usize) < *count)
        };
        let mut claims: Vec<Memory> = members.iter().map(|member| claim(kind, member)).collect();
        claims.iter_mut().for_each(|claim| claim.partitions.retain(exists));
        let mut ownership = Ownership {
            owned: vec![Vec::new(); members.len()],
            disputed: SortedSet::new(),
            previous: SortedMap::new(),
        };
        let mut owners: SortedMap<TopicPartition, Place> = SortedMap::new();
        for (place, claim) in claims.iter().enumerate() {
            let generation = claim.generation.unwrap_or(NO_GENERATION);
            for partition in &claim.partitions {
                let other = owners.get(partition).copied();
                let theirs = other.map(|other| members[other].generation.unwrap_or(NO_GENERATION));
                ownership.settle(partition, (place, generation), other.zip(theirs), &mut owners);
            }
        }
        ownership.remember_older(&claims);
        ownership
    }

    /// One claim against the one that stands: the younger generation holds, equals lose both.
    fn settle(
        &mut self,
        partition: &TopicPartition,
        (place, generation): (Place, i32),
        standing: Option<(Place, i32)>,
        owners: &mut SortedMap<TopicPartition, Place>,
    ) {
        if let Some((other, theirs)) = standing {
            if theirs > generation {
                return;
            }
            self.owned[other].retain(|p| p != partition);
        }
        if standing.is_some_and(|(_, theirs)| theirs == generation) {
            self.disputed.insert(partition.clone());
        } else {
            self.owned[place].push(partition.clone());
        }
        owners.insert(partition.clone(), place);
    }

    /// GeneralAssignmentBuilder.prepopulateCurrentAssignments.
    fn remember_older(&mut self, claims: &[Memory]) {
        let youngest = claims.iter().filter_map(|c| c.generation).max().unwrap_or(NO_GENERATION).max(NO_GENERATION);
        for (place, claim) in claims.iter().enumerate() {
            let generation = claim.generation.unwrap_or(NO_GENERATION);
            if generation >= youngest {
                continue;
            }
            for partition in &claim.partitions {
                if self.previous.get(partition).is_none_or(|(_, known)| generation > *known) {
                    self.previous.insert(partition.clone(), (place, generation));
                }
            }
        }
    }
}

/// `memberData`: the eager assignor believes only its own user data, because an eager member owns
/// nothing when it joins; the cooperative one believes the subscription.
fn claim(kind: Kind, member: &Subscription) -> Memory {
    let user_data: Option<&Bytes> = member.user_data.as_ref();
    match kind {
        Kind::Eager => match user_data.filter(|data| !data.is_empty()) {
            Some(data) => Memory::decode(data),
            None => Memory { partitions: Vec::new(), generation: None },
        },
        Kind::Cooperative => {
            let generation = member.generation.or_else(|| user_data.cloned().map(cooperative_generation));
            Memory { partitions: member.owned.clone(), generation }
        }
    }
}
