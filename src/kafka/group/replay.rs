//! How records change what the coordinator knows, and what of that is worth telling
//! (GroupCoordinatorShard.replay).

use std::sync::Arc;

use crate::kafka::fact::{Fact, Round};
use crate::kafka::group::classic::ClassicGroup;
use crate::kafka::group::consumer::records::ConsumerRecord;
use crate::kafka::group::consumer::{ConsumerGroup, ConsumerGroupState};
use crate::kafka::group::pending::Pending;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::share::records::ShareRecord;
use crate::kafka::group::share::{ShareGroup, ShareGroupState};
use crate::kafka::group::work::Shard;
use crate::time::Instant;
use crate::wire::{GroupId, Offset, ProducerId};

/// The only way in which records change the state. A coordinator that wrote a generation is already
/// there, so only a loading one takes it from the record. An offset of a `producer`'s transaction counts
/// when that is committed.
pub(super) fn replay(
    shard: &mut Shard,
    committed: Offset,
    record: &GroupRecord,
    producer: Option<ProducerId>,
    at: Offset,
    now: Instant,
    loading: bool,
) {
    match record {
        GroupRecord::Offset { group, partition, value } => {
            if value.is_some() && !shard.has_group(group) {
                // Offsets without a group are those of a consumer that uses Kafka only to store them.
                shard.group_or_new(group, now);
            }
            if let (Some(producer), Some(value)) = (producer, value) {
                let pending = Pending { record: at, value: value.clone() };
                return shard.offsets.pending.insert(producer, group.clone(), partition.clone(), pending);
            }
            shard.offsets.replay(group, partition, value.clone(), at, committed);
        }
        GroupRecord::Group { group, value: None } => {
            shard.groups.remove(group);
        }
        GroupRecord::Group { group, value: Some(value) } if loading => {
            shard.groups.insert(group.clone(), Arc::new(ClassicGroup::from_value(group.clone(), value)));
        }
        GroupRecord::Group { .. } => {}
        GroupRecord::Consumer { group, record: ConsumerRecord::Epoch(None) } => {
            shard.consumer_groups.remove(group);
        }
        GroupRecord::Consumer { group, record } => replay_consumer(shard, group, record, now),
        GroupRecord::Share { group, record: ShareRecord::Epoch(None) } => {
            shard.share_groups.remove(group);
        }
        GroupRecord::Share { group, record } => replay_share(shard, group, record, now),
    }
}

/// A group that was made only to keep offsets gives way to the real one; a tombstone makes none
/// (getOrMaybeCreatePersistedConsumerGroup).
fn replay_consumer(shard: &mut Shard, id: &GroupId, record: &ConsumerRecord, now: Instant) {
    if !shard.consumer_groups.contains_key(id) {
        if record.is_tombstone() || shard.groups.get(id).is_some_and(|classic| !classic.is_simple()) {
            return;
        }
        shard.groups.remove(id);
        shard.consumer_groups.insert(id.clone(), Arc::new(ConsumerGroup::new(id.clone())));
    }
    if let Some(group) = shard.consumer_group_mut(id) {
        group.replay(record, now);
    }
}

/// A tombstone makes no group (getOrMaybeCreatePersistedShareGroup).
fn replay_share(shard: &mut Shard, id: &GroupId, record: &ShareRecord, now: Instant) {
    if !shard.share_groups.contains_key(id) {
        if record.is_tombstone() || shard.has_group(id) {
            return;
        }
        shard.share_groups.insert(id.clone(), Arc::new(ShareGroup::new(id.clone())));
    }
    if let Some(group) = shard.share_group_mut(id) {
        group.replay(record, now);
    }
}

/// The consumer group or share group that these records are about, and its state.
pub(super) fn watch(shard: &Shard, records: &[GroupRecord]) -> Option<(GroupId, Option<&'static str>)> {
    let id = records.iter().find_map(|record| match record {
        GroupRecord::Consumer { group, .. } | GroupRecord::Share { group, .. } => Some(group.clone()),
        GroupRecord::Offset { .. } | GroupRecord::Group { .. } => None,
    })?;
    let consumer = shard.consumer_groups.get(&id).map(|group| group.state().name());
    let state = consumer.or_else(|| Some(shard.share_groups.get(&id)?.state().name()));
    Some((id, state))
}

/// Records may have made a consumer group or share group stable or empty.
pub(super) fn outcome(shard: &Shard, watched: Option<(GroupId, Option<&'static str>)>) -> Option<Fact> {
    let (id, before) = watched?;
    if let Some(group) = shard.share_groups.get(&id) {
        let members = group.members.len() as i32;
        return match group.state() {
            state if before == Some(state.name()) => None,
            ShareGroupState::Stable => Some(Fact::GroupReconciled { group: id, epoch: group.target_epoch, members }),
            ShareGroupState::Empty => Some(Fact::GroupEmpty { group: id, round: Round::Epoch(group.epoch) }),
        };
    }
    let group = shard.consumer_groups.get(&id)?;
    let members = group.members.len() as i32;
    match group.state() {
        state if before == Some(state.name()) => None,
        ConsumerGroupState::Stable => Some(Fact::GroupReconciled { group: id, epoch: group.target_epoch, members }),
        ConsumerGroupState::Empty => Some(Fact::GroupEmpty { group: id, round: Round::Epoch(group.epoch) }),
        ConsumerGroupState::Assigning | ConsumerGroupState::Reconciling => None,
    }
}
