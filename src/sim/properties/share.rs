//! What members of share groups are done with and were told is kept: nobody of the group gets it again
//! (KIP-932).

use std::sync::Arc;

use crate::sim::properties::partition::PartitionWatch;
use crate::sim::properties::{Finder, Key, Property, named};
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{AcknowledgeType, BrokerId, GroupId, Offset, SHARE_STATE_TOPIC, TopicPartition};

/// What is done with, of each group and partition.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Settled {
    runs: SortedMap<(GroupId, Key), Runs>,
    /// Where an older state may have been written over a newer one: nothing is promised there.
    overtaken: SortedSet<(GroupId, Key)>,
}

/// Offsets as runs, each from its first to its last; no two touch each other.
#[derive(Clone, Debug, PartialEq, Default)]
struct Runs(SortedMap<Offset, Offset>);

impl Runs {
    fn add(&mut self, mut first: Offset, mut last: Offset) {
        while let Some((from, to)) = self.touching(first, last) {
            self.0.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.0.insert(first, last);
    }

    /// A run that has one of these offsets, or borders on them.
    fn touching(&self, first: Offset, last: Offset) -> Option<(Offset, Offset)> {
        let (from, to) = self.0.range(..=last.next()).next_back()?;
        (to.next() >= first).then_some((*from, *to))
    }

    /// One of these offsets that is done with.
    fn overlap(&self, first: Offset, last: Offset) -> Option<Offset> {
        let (from, to) = self.0.range(..=last).next_back()?;
        (*to >= first).then_some(first.max(*from))
    }
}

impl Settled {
    /// A member was told that its acknowledgement is written. A record that it released comes again.
    pub fn acknowledged(&mut self, group: GroupId, key: Key, (first, last): (Offset, Offset), kind: AcknowledgeType) {
        match kind {
            AcknowledgeType::Accept | AcknowledgeType::Reject => {
                self.runs.entry((group, key)).or_default().add(first, last);
            }
            AcknowledgeType::Release => {}
        }
    }

    /// An older state is written after a newer one: Kafka 4.2 lets it (apache/kafka#23074).
    pub fn overtaken(&mut self, group: GroupId, key: Key) {
        self.overtaken.insert((group, key));
    }

    /// The group is gone, and what it knew with it.
    pub fn forget(&mut self, group: &GroupId) {
        self.runs.retain(|(other, _), _| other != group);
        self.overtaken.retain(|(other, _)| other != group);
    }

    /// Somebody set the group's offsets in the partition: it may read everything again.
    pub fn forget_partition(&mut self, group: GroupId, key: Key) {
        let place = (group, key);
        self.runs.remove(&place);
        self.overtaken.remove(&place);
    }

    /// Records were handed to a member by a broker. One that leads no more and has not heard of it hands
    /// out what it knows, as Kafka's does.
    pub fn acquired(
        &self,
        finder: &mut Finder<'_>,
        watches: &SortedMap<Key, Arc<PartitionWatch>>,
        (group, partition, broker): (&GroupId, &TopicPartition, BrokerId),
        (first, last): (Offset, Offset),
    ) {
        let world = finder.world;
        let Some(watch) = named(world, watches, partition) else { return };
        let key = (group.clone(), (watch.topic(), partition.partition));
        let Some(runs) = self.runs.get(&key).filter(|_| !self.overtaken.contains(&key)) else { return };
        let Some(again) = runs.overlap(first, last) else { return };
        let now = world.image().partition(partition);
        let replica = world.broker(broker).and_then(|broker| broker.replica(partition));
        let leads = now.is_some_and(|now| {
            now.leader == Some(broker) && replica.is_some_and(|replica| replica.leader_epoch() == now.leader_epoch)
        });
        let is_state = |watch: &PartitionWatch| watch.name().topic.0.as_str() == SHARE_STATE_TOPIC;
        let safe = watch.is_unbroken() && watches.values().all(|watch| !is_state(watch) || watch.is_unbroken());
        if leads && safe {
            let text = format!(
                "offset {again} was acknowledged by group {}, and broker {} hands it out again",
                group.0, broker.0
            );
            finder.broken(Property::AcknowledgedIsDone, Some(partition), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(those: &[(i64, i64)]) -> Runs {
        let mut runs = Runs::default();
        those.iter().for_each(|(first, last)| runs.add(Offset(*first), Offset(*last)));
        runs
    }

    fn overlap(runs: &Runs, first: i64, last: i64) -> Option<i64> {
        runs.overlap(Offset(first), Offset(last)).map(|offset| offset.0)
    }

    #[test]
    fn a_record_that_is_done_with_is_found_in_whatever_order_they_came() {
        let done = runs(&[(5, 6), (0, 1), (9, 9), (7, 7)]);
        assert_eq!(done.0.len(), 3, "those that touch are one");
        assert_eq!(overlap(&done, 2, 4), None);
        assert_eq!(overlap(&done, 2, 20), Some(9), "one of them is enough");
        assert_eq!(overlap(&done, 7, 8), Some(7));
        assert_eq!(overlap(&done, 8, 8), None);
        assert_eq!(overlap(&done, 0, 0), Some(0));
        assert_eq!(overlap(&done, 1, 8), Some(5), "it need not be the first one");
        assert_eq!(runs(&[(0, 3), (2, 9), (10, 12)]), runs(&[(0, 12)]));
    }

    #[test]
    fn only_what_was_accepted_or_rejected_is_done_with() {
        let mut settled = Settled::default();
        let key = (crate::wire::Uuid::from_u128(1), 0);
        let group = |name: &str| GroupId(crate::wire::str_bytes(name));
        settled.acknowledged(group("a"), key, (Offset(0), Offset(3)), AcknowledgeType::Release);
        assert!(settled.runs.is_empty());
        settled.acknowledged(group("a"), key, (Offset(0), Offset(1)), AcknowledgeType::Accept);
        settled.acknowledged(group("a"), key, (Offset(2), Offset(3)), AcknowledgeType::Reject);
        settled.acknowledged(group("b"), key, (Offset(0), Offset(0)), AcknowledgeType::Accept);
        assert_eq!(settled.runs.get(&(group("a"), key)), Some(&runs(&[(0, 3)])));
        settled.forget(&group("a"));
        assert_eq!(settled.runs.keys().map(|(group, _)| group.0.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
