//! Members take partitions that have a replica in their own rack, as far as balance allows
//! (KIP-881; AbstractStickyAssignor.RackInfo).

use crate::kafka::client::assignor::Subscription;
use crate::kafka::client::assignor::sticky::Place;
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{StrBytes, TopicName, TopicPartition};

pub(super) struct Racks<'a> {
    /// Each member's rack; all are `None` when racks say nothing.
    of_members: Vec<Option<&'a StrBytes>>,
    /// By topic, for each partition the racks of its replicas.
    of_partitions: SortedMap<&'a TopicName, &'a [Vec<StrBytes>]>,
}

impl<'a> Racks<'a> {
    pub fn new(topics: &[(&'a TopicName, &'a Vec<Vec<StrBytes>>)], members: &[&'a Subscription]) -> Racks<'a> {
        let of_members: Vec<Option<&StrBytes>> =
            members.iter().map(|m| m.rack.as_ref().filter(|rack| !rack.is_empty())).collect();
        let partitions = || topics.iter().flat_map(|(_, racks)| racks.iter());
        let all: SortedSet<&StrBytes> = partitions().flatten().collect();
        let shared = of_members.iter().flatten().any(|rack| all.contains(rack));
        let everywhere = partitions().all(|racks| racks.iter().collect::<SortedSet<_>>() == all);
        Racks {
            of_members: if shared && !everywhere { of_members } else { vec![None; members.len()] },
            of_partitions: topics.iter().map(|(topic, racks)| (*topic, racks.as_slice())).collect(),
        }
    }

    pub fn matter(&self) -> bool {
        self.of_members.iter().any(Option::is_some)
    }

    /// A member without a rack is at home everywhere.
    pub fn mismatch(&self, member: Place, partition: &TopicPartition) -> bool {
        self.of_members[member].is_some() && !self.is_near(member, partition)
    }

    /// How many members there are in the racks of the partition's replicas.
    pub fn neighbours(&self, partition: &TopicPartition) -> usize {
        (0..self.of_members.len()).filter(|member| self.is_near(*member, partition)).count()
    }

    /// The index of the next member, from `from` on and round, in a rack of the partition's replicas.
    pub fn next_near(&self, partition: &TopicPartition, members: &[Place], from: usize) -> Option<usize> {
        let round = (0..members.len()).map(|step| (from + step) % members.len());
        round.into_iter().find(|index| self.is_near(members[*index], partition))
    }

    fn is_near(&self, member: Place, partition: &TopicPartition) -> bool {
        let racks = self.of_partitions.get(&partition.topic).and_then(|racks| racks.get(partition.partition as usize));
        self.of_members[member].is_some_and(|rack| racks.is_some_and(|racks| racks.contains(rack)))
    }
}
