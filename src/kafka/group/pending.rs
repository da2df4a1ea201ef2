//! Offsets that a transaction has written and nobody has decided on yet (OffsetMetadataManager's
//! pendingTransactionalOffsets): they count when the transaction's marker says so.

use crate::kafka::group::records::CommittedOffset;
use crate::sorted::SortedMap;
use crate::wire::{GroupId, Offset, ProducerId, TopicPartition};

/// One offset of an open transaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pending {
    /// Where its record stands in the log.
    pub record: Offset,
    pub value: CommittedOffset,
}

type OfProducer = SortedMap<(GroupId, TopicPartition), Pending>;

/// The pending offsets of one partition of `__consumer_offsets`, by who wrote them. No producer stands
/// here with nothing.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct PendingOffsets {
    by_producer: SortedMap<ProducerId, OfProducer>,
}

impl PendingOffsets {
    /// A transaction that writes an offset twice means the last one.
    pub fn insert(&mut self, producer: ProducerId, group: GroupId, partition: TopicPartition, pending: Pending) {
        self.by_producer.entry(producer).or_default().insert((group, partition), pending);
    }

    /// The transaction has ended.
    pub fn take(&mut self, producer: ProducerId) -> OfProducer {
        self.by_producer.remove(&producer).unwrap_or_default()
    }

    /// The offset is deleted, and with it whatever was to replace it.
    pub fn forget(&mut self, group: &GroupId, partition: &TopicPartition) {
        if self.by_producer.is_empty() {
            return;
        }
        let key = (group.clone(), partition.clone());
        for offsets in self.by_producer.values_mut() {
            offsets.remove(&key);
        }
        self.by_producer.retain(|_, offsets| !offsets.is_empty());
    }

    pub fn has(&self, group: &GroupId, partition: &TopicPartition) -> bool {
        !self.by_producer.is_empty() && self.iter().any(|(g, p)| g == group && p == partition)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&GroupId, &TopicPartition)> {
        self.by_producer.values().flat_map(|offsets| offsets.keys().map(|(group, partition)| (group, partition)))
    }
}
