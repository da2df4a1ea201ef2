//! Committed offsets (OffsetMetadataManager): what is stored, commit, fetch and expiry.

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::group::classic::{ClassicGroup, GroupState};
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::pending::PendingOffsets;
use crate::kafka::group::records::{CommittedOffset, GroupRecord};
use crate::kafka::group::share;
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Duration;
use crate::wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::wire::messages::{OffsetCommitRequest, OffsetCommitResponse};
use crate::wire::{ErrorCode, GroupId, LeaderEpoch, Offset, ProducerId, StrBytes, TopicName, TopicPartition, code};

/// What was written at one offset of `__consumer_offsets`; `None` deletes.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    /// From where on in the log it counts: its record, or the marker that committed it.
    at: Offset,
    /// Where its record stands. The younger record wins over the older, whenever they came to count.
    record: Offset,
    value: Option<CommittedOffset>,
}

/// One partition's offset as it stands, and as it stood at the last commit of the log
/// (TimelineHashMap, as far as it is needed).
#[derive(Clone, Debug, PartialEq)]
struct Timeline {
    latest: Version,
    /// Earlier versions that may still be what is committed, oldest first.
    older: Vec<Version>,
}

impl Timeline {
    fn push(&mut self, version: Version, committed: Offset) {
        let before = std::mem::replace(&mut self.latest, version);
        if before.at < committed {
            self.older.clear();
        }
        self.older.push(before);
        self.older.retain(|v| v.at < self.latest.at);
    }

    /// The value that records below `end` left behind.
    fn below(&self, end: Offset) -> Option<&CommittedOffset> {
        let mut versions = std::iter::once(&self.latest).chain(self.older.iter().rev());
        versions.find(|v| v.at < end)?.value.as_ref()
    }
}

type GroupOffsets = SortedMap<TopicPartition, Timeline>;

/// The offsets of all groups of one partition of `__consumer_offsets`.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Offsets {
    by_group: SortedMap<GroupId, GroupOffsets>,
    pub pending: PendingOffsets,
}

impl Offsets {
    /// The last record of a key wins; a deletion takes what is pending with it.
    pub fn replay(
        &mut self,
        group: &GroupId,
        partition: &TopicPartition,
        value: Option<CommittedOffset>,
        at: Offset,
        committed: Offset,
    ) {
        if value.is_none() {
            self.pending.forget(group, partition);
        }
        self.insert(group, partition, Version { at, record: at, value }, committed);
    }

    /// A transaction's marker at `at`: what it left pending counts from here on, unless a younger record
    /// of the same key counts already, or is dropped (OffsetMetadataManager.replayEndTransactionMarker). What is
    /// to be told of it.
    pub fn end_transaction(&mut self, producer: ProducerId, commit: bool, at: Offset, committed: Offset) -> Vec<Fact> {
        let taken = self.pending.take(producer);
        let mut facts = Vec::new();
        for ((group, partition), pending) in taken.into_iter().filter(|_| commit) {
            let latest = self.by_group.get(&group).and_then(|offsets| offsets.get(&partition)).map(|t| &t.latest);
            if latest.is_none_or(|latest| latest.value.is_none() || latest.record < pending.record) {
                let offset = pending.value.offset;
                let version = Version { at, record: pending.record, value: Some(pending.value) };
                self.insert(&group, &partition, version, committed);
                facts.push(Fact::OffsetCommitted { group, partition, offset });
            }
        }
        facts
    }

    fn insert(&mut self, group: &GroupId, partition: &TopicPartition, version: Version, committed: Offset) {
        let offsets = self.by_group.entry(group.clone()).or_default();
        match offsets.get_mut(partition) {
            Some(timeline) => timeline.push(version, committed),
            None => {
                offsets.insert(partition.clone(), Timeline { latest: version, older: Vec::new() });
            }
        }
    }

    /// A deletion is committed: nothing reads what was there before.
    pub fn forget_deleted(&mut self, group: &GroupId, partition: &TopicPartition) {
        let Some(offsets) = self.by_group.get_mut(group) else {
            return;
        };
        if offsets.get(partition).is_some_and(|t| t.latest.value.is_none()) {
            offsets.remove(partition);
        }
        if offsets.is_empty() {
            self.by_group.remove(group);
        }
    }

    /// The offset as records below `end` tell it; all records without an end.
    pub fn get(&self, group: &GroupId, partition: &TopicPartition, end: Option<Offset>) -> Option<&CommittedOffset> {
        self.by_group.get(group)?.get(partition)?.below(end.unwrap_or(Offset(i64::MAX)))
    }

    /// The same for all partitions of a group, in order.
    pub fn all(
        &self,
        group: &GroupId,
        end: Option<Offset>,
    ) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        let end = end.unwrap_or(Offset(i64::MAX));
        let offsets = self.by_group.get(group).into_iter().flatten();
        offsets.filter_map(move |(partition, timeline)| Some((partition, timeline.below(end)?)))
    }

    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.by_group.keys()
    }
}

impl Work<'_, '_> {
    /// Last writer wins, backwards too. Partitions that the cluster does not know are refused one by one
    /// (KafkaApis), everything else as a whole.
    pub fn commit(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &OffsetCommitRequest,
    ) -> Option<Decided> {
        let valid = validate_commit(shard, context, request);
        if let Some(group) = shard.groups.get(&request.group_id).filter(|_| valid.is_ok()) {
            // Commits keep a session alive while the group is stable or prepares a rebalance.
            if matches!(group.state, GroupState::Stable | GroupState::PreparingRebalance) {
                self.restart_session(group, &request.member_id);
            }
        }
        let now = self.now().millis();
        let expire = Some(request.retention_time_ms).filter(|ms| *ms >= 0).map(|ms| now.saturating_add(ms));
        let mut records = Vec::new();
        let mut facts = Vec::new();
        let mut response = OffsetCommitResponse::default();
        for topic in &request.topics {
            let mut answer = OffsetCommitResponseTopic::default().with_name(topic.name.clone());
            for part in &topic.partitions {
                let partition = TopicPartition { topic: topic.name.clone(), partition: part.partition_index };
                let metadata = part.committed_metadata.clone().unwrap_or_default();
                let result = match valid {
                    _ if image.partition(&partition).is_none() => Err(ErrorCode::UnknownTopicOrPartition),
                    Err(error) => Err(error),
                    Ok(()) if self.is_metadata_too_large(&metadata) => Err(ErrorCode::OffsetMetadataTooLarge),
                    Ok(()) => Ok(()),
                };
                let row = OffsetCommitResponsePartition::default().with_partition_index(part.partition_index);
                answer.partitions.push(row.with_error_code(code(result.err())));
                if result.is_err() {
                    continue;
                }
                let value = CommittedOffset {
                    offset: Offset(part.committed_offset),
                    leader_epoch: LeaderEpoch(part.committed_leader_epoch),
                    metadata,
                    commit_timestamp: now,
                    expire_timestamp: expire,
                };
                facts.push(Fact::OffsetCommitted {
                    group: request.group_id.clone(),
                    partition: partition.clone(),
                    offset: value.offset,
                });
                records.push(GroupRecord::Offset { group: request.group_id.clone(), partition, value: Some(value) });
            }
            response.topics.push(answer);
        }
        if records.is_empty() {
            self.answer(context.reply(), response);
            return None;
        }
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts };
        Some(Decided::plain(records, then))
    }

    /// `offset.metadata.max.bytes` counts as Java does, in UTF-16 units.
    pub(super) fn is_metadata_too_large(&self, metadata: &StrBytes) -> bool {
        let limit = self.settings.metadata_max_bytes.max(0) as usize;
        metadata.len() > limit && metadata.encode_utf16().count() > limit
    }

    /// The records that delete what has expired, and the groups that nothing is left of
    /// (GroupCoordinatorShard.cleanupGroupMetadata).
    pub fn expire_offsets(&mut self, shard: &Shard) -> Option<Decided> {
        let now = self.now().millis();
        let mut records = Vec::new();
        for group in shard.groups.values() {
            let all_gone = expired_offsets(shard, group, now, self.settings.retention, &mut records);
            if all_gone && group.state == GroupState::Empty {
                records.push(GroupRecord::Group { group: group.id.clone(), value: None });
            }
        }
        for group in shard.consumer_groups.values() {
            expire_of_consumer_group(shard, group, now, self.settings.retention, &mut records);
        }
        (!records.is_empty()).then_some(Decided::plain(records, Then::Nothing))
    }
}

/// The same for a group of the consumer protocol: what none of its members subscribes to expires
/// by the time of its commit, and an empty group without offsets goes with its last one.
fn expire_of_consumer_group(
    shard: &Shard,
    group: &ConsumerGroup,
    now: i64,
    retention: Duration,
    records: &mut Vec<GroupRecord>,
) {
    let mut all_gone = !shard.offsets.pending.iter().any(|(other, _)| *other == group.id);
    for (partition, offset) in shard.offsets.all(&group.id, None) {
        let over = match offset.expire_timestamp {
            Some(at) => now >= at,
            None => now - offset.commit_timestamp >= retention.millis(),
        };
        let pending = shard.offsets.pending.has(&group.id, partition);
        let expired = over && !pending && !group.is_subscribed_to(&partition.topic);
        if expired {
            records.push(tombstone(&group.id, partition));
        }
        all_gone &= expired;
    }
    if all_gone && group.members.is_empty() {
        let record = |record| GroupRecord::Consumer { group: group.id.clone(), record };
        records.extend(group.tombstones(None).into_iter().map(record));
    }
}

/// GroupCoordinatorShard.onPartitionsDeleted, GroupCoordinatorService.onMetadataUpdate: the offsets of a
/// deleted topic go with it, and what share groups know of its partitions.
pub(super) fn delete_topic(shard: &Shard, topic: &TopicName) -> Option<Decided> {
    let mut records = share::forget_topic(shard, topic);
    for group in shard.offsets.groups() {
        let gone = shard.offsets.all(group, None).filter(|(partition, _)| partition.topic == *topic);
        records.extend(gone.map(|(partition, _)| tombstone(group, partition)));
    }
    let pending = shard.offsets.pending.iter().filter(|(_, partition)| partition.topic == *topic);
    records.extend(pending.map(|(group, partition)| tombstone(group, partition)));
    (!records.is_empty()).then_some(Decided::plain(records, Then::Nothing))
}

/// OffsetMetadataManager.deleteAllOffsets: those of open transactions too, in case that they are
/// committed later.
pub(super) fn delete_all(shard: &Shard, group: &GroupId) -> Vec<GroupRecord> {
    let mut gone: SortedSet<&TopicPartition> = shard.offsets.all(group, None).map(|(partition, _)| partition).collect();
    gone.extend(shard.offsets.pending.iter().filter(|(other, _)| *other == group).map(|(_, partition)| partition));
    gone.iter().map(|partition| tombstone(group, partition)).collect()
}

fn tombstone(group: &GroupId, partition: &TopicPartition) -> GroupRecord {
    GroupRecord::Offset { group: group.clone(), partition: partition.clone(), value: None }
}

/// True when nothing of the group's offsets remains (OffsetMetadataManager.cleanupExpiredOffsets).
fn expired_offsets(
    shard: &Shard,
    group: &ClassicGroup,
    now: i64,
    retention: Duration,
    records: &mut Vec<GroupRecord>,
) -> bool {
    let mut all_gone = true;
    for (partition, offset) in shard.offsets.all(&group.id, None) {
        let since = group.offset_expires_from(offset).filter(|_| !group.is_subscribed_to(&partition.topic));
        let expired = since.is_some_and(|since| match offset.expire_timestamp {
            Some(at) => now >= at,
            None => now - since >= retention.millis(),
        });
        let expired = expired && !shard.offsets.pending.has(&group.id, partition);
        if expired {
            records.push(tombstone(&group.id, partition));
        }
        all_gone &= expired;
    }
    all_gone && !shard.offsets.pending.iter().any(|(other, _)| *other == group.id)
}

/// OffsetMetadataManager.validateOffsetCommit. A group that nobody joins may commit all the same.
fn validate_commit(shard: &Shard, context: &Context, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
    let generation = request.generation_id_or_member_epoch;
    if let Some(group) = shard.consumer_groups.get(&request.group_id) {
        return group.validate_offset_commit(&request.member_id, generation, context.version);
    }
    if shard.share_groups.contains_key(&request.group_id) {
        // ShareGroup.validateOffsetCommit: its offsets are the partitions' leaders'.
        return Err(ErrorCode::GroupIdNotFound);
    }
    match shard.groups.get(&request.group_id) {
        Some(group) => group.validate_offset_commit(&request.member_id, request.group_instance_id.as_ref(), generation),
        None if generation < 0 => Ok(()),
        None if context.version >= 9 => Err(ErrorCode::GroupIdNotFound),
        None => Err(ErrorCode::IllegalGeneration),
    }
}

/// What a group has committed, as records below `end` tell it: for the partitions asked for, or for
/// all of them. An offset that was never committed is -1, which is no error. Without an end the offsets
/// must be stable: one that an open transaction may change is not told (KIP-447).
pub(super) fn fetch(shard: &Shard, request: &OffsetFetchRequestGroup, end: Option<Offset>) -> OffsetFetchResponseGroup {
    let id = &request.group_id;
    let exists = shard.groups.get(id).is_some_and(|group| group.state != GroupState::Dead)
        || shard.consumer_groups.contains_key(id);
    if let Some(group) = shard.consumer_groups.get(id)
        && let Err(error) = group.validate_offset_fetch(request.member_id.as_ref(), request.member_epoch)
    {
        return OffsetFetchResponseGroup::default().with_group_id(id.clone()).with_error_code(error.code());
    }
    let mut response = OffsetFetchResponseGroup::default().with_group_id(id.clone());
    match &request.topics {
        Some(topics) => {
            for topic in topics {
                let mut answer = OffsetFetchResponseTopics::default().with_name(topic.name.clone());
                for index in &topic.partition_indexes {
                    let partition = TopicPartition { topic: topic.name.clone(), partition: *index };
                    let offset = shard.offsets.get(id, &partition, end).filter(|_| exists);
                    let unstable = exists && end.is_none() && shard.offsets.pending.has(id, &partition);
                    answer.partitions.push(fetched(*index, offset, unstable));
                }
                response.topics.push(answer);
            }
        }
        None => {
            for (partition, offset) in shard.offsets.all(id, end).filter(|_| exists) {
                let unstable = end.is_none() && shard.offsets.pending.has(id, partition);
                let row = fetched(partition.partition, Some(offset), unstable);
                match response.topics.last_mut().filter(|t| t.name == partition.topic) {
                    Some(topic) => topic.partitions.push(row),
                    None => response.topics.push(
                        OffsetFetchResponseTopics::default()
                            .with_name(partition.topic.clone())
                            .with_partitions(vec![row]),
                    ),
                }
            }
        }
    }
    response
}

fn fetched(index: i32, offset: Option<&CommittedOffset>, unstable: bool) -> OffsetFetchResponsePartitions {
    let error = unstable.then_some(ErrorCode::UnstableOffsetCommit);
    let row = OffsetFetchResponsePartitions::default().with_partition_index(index).with_error_code(code(error));
    match offset.filter(|_| !unstable) {
        Some(offset) => row
            .with_committed_offset(offset.offset.0)
            .with_committed_leader_epoch(offset.leader_epoch.0)
            .with_metadata(Some(offset.metadata.clone())),
        None => row.with_committed_offset(-1).with_committed_leader_epoch(-1).with_metadata(Some(StrBytes::new())),
    }
}
