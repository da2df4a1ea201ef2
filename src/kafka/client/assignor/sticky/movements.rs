//! Which partitions moved while the general assignment is being balanced, so that two members do
//! not trade partitions of one topic (AbstractStickyAssignor.PartitionMovements).

use crate::kafka::client::assignor::sticky::Place;
use crate::sorted::SortedMap;
use crate::wire::TopicPartition;

/// Each moved partition's first holder and its present one.
#[derive(Default)]
pub(super) struct Movements(SortedMap<TopicPartition, (Place, Place)>);

impl Movements {
    /// A partition that comes back to its first holder has not moved.
    pub fn moved(&mut self, partition: &TopicPartition, from: Place, to: Place) {
        let first = self.0.remove(partition).map_or(from, |(first, _)| first);
        if first != to {
            self.0.insert(partition.clone(), (first, to));
        }
    }

    /// Instead of `partition` a partition of its topic that went the opposite way goes back.
    pub fn instead_of(&self, partition: &TopicPartition, from: Place, to: Place) -> TopicPartition {
        let from = self.0.get(partition).map_or(from, |(first, _)| *first);
        let mut opposite = self.0.iter().filter(|(p, way)| p.topic == partition.topic && **way == (to, from));
        opposite.next().map_or(partition, |(p, _)| p).clone()
    }
}
