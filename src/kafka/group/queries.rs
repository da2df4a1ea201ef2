//! What can be seen of a group coordinator from outside.

use std::sync::Arc;

use crate::kafka::group::GroupCoordinator;
use crate::kafka::group::classic::ClassicGroup;
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::records::CommittedOffset;
use crate::kafka::group::share::ShareGroup;
use crate::kafka::group::timers::Timer;
use crate::time::Instant;
use crate::wire::{GroupId, StrBytes, TopicPartition};

impl GroupCoordinator {
    /// The partitions of `__consumer_offsets` that this broker coordinates.
    pub fn partitions(&self) -> Vec<i32> {
        self.shards.keys().copied().collect()
    }

    /// Every group that this broker coordinates, by partition and name.
    pub fn groups(&self) -> impl Iterator<Item = (i32, &ClassicGroup)> {
        self.shards.iter().flat_map(|(partition, shard)| shard.groups.values().map(|g| (*partition, g.as_ref())))
    }

    pub fn group(&self, id: &GroupId) -> Option<&ClassicGroup> {
        self.shards.values().find_map(|shard| shard.groups.get(id)).map(Arc::as_ref)
    }

    /// Every group of the consumer protocol that this broker coordinates.
    pub fn consumer_groups(&self) -> impl Iterator<Item = &ConsumerGroup> {
        self.shards.values().flat_map(|shard| shard.consumer_groups.values().map(Arc::as_ref))
    }

    pub fn consumer_group(&self, id: &GroupId) -> Option<&ConsumerGroup> {
        self.shards.values().find_map(|shard| shard.consumer_groups.get(id)).map(Arc::as_ref)
    }

    /// Every share group that this broker coordinates.
    pub fn share_groups(&self) -> impl Iterator<Item = &ShareGroup> {
        self.shards.values().flat_map(|shard| shard.share_groups.values().map(Arc::as_ref))
    }

    pub fn share_group(&self, id: &GroupId) -> Option<&ShareGroup> {
        self.shards.values().find_map(|shard| shard.share_groups.get(id)).map(Arc::as_ref)
    }

    /// The assignor that computes a group's targets: the one that most members ask for, or the default.
    pub fn assignor_of(&self, group: &ConsumerGroup) -> Option<StrBytes> {
        group.assignor().or_else(|| Some(self.settings.consumer.assignors.first()?.name()))
    }

    /// What a group has committed, in the order of the partitions, as an OFFSET_FETCH is answered:
    /// what the high watermark has not passed is not committed yet.
    pub fn offsets(&self, group: &GroupId) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        self.shards
            .iter()
            .flat_map(move |(partition, shard)| shard.offsets.all(group, Some(self.runtime.high_watermark(*partition))))
    }

    /// The same as its log says, uncommitted records included: what a new coordinator would load.
    pub fn offsets_in_log(&self, group: &GroupId) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        self.shards.values().flat_map(move |shard| shard.offsets.all(group, None))
    }

    /// The coordinator's deadlines, for the picture.
    pub fn timers(&self) -> impl Iterator<Item = (&Timer, Instant)> {
        self.timers.iter()
    }
}
