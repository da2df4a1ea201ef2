//! A consumer group as its records tell it, and the rules that need nothing else (ConsumerGroup,
//! ModernGroup).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::member::{ConsumerMember, CurrentAssignment, LEAVE_EPOCH, MemberState};
use crate::kafka::group::consumer::records::{ConsumerRecord, GroupEpoch, ResolvedRegex};
use crate::kafka::group::protocol::CONSUMER;
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{ErrorCode, GroupId, StrBytes, TopicName, Uuid};

/// ConsumerGroupState; it follows from the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerGroupState {
    Empty,
    /// The group has an epoch that nobody has computed a target for yet.
    Assigning,
    /// Some members are on their way to the target.
    Reconciling,
    Stable,
}

impl ConsumerGroupState {
    /// As Kafka's tools write it.
    pub const fn name(self) -> &'static str {
        match self {
            ConsumerGroupState::Empty => "Empty",
            ConsumerGroupState::Assigning => "Assigning",
            ConsumerGroupState::Reconciling => "Reconciling",
            ConsumerGroupState::Stable => "Stable",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroup {
    pub id: GroupId,
    /// Raised whenever there has to be another target; 0 before the first.
    pub epoch: i32,
    /// Of the topics' metadata that the epoch was made for; 0 without topics.
    pub metadata_hash: i64,
    /// The epoch that the targets were computed for (the assignment epoch).
    pub target_epoch: i32,
    pub members: SortedMap<StrBytes, ConsumerMember>,
    pub targets: SortedMap<StrBytes, Partitions>,
    pub regexes: SortedMap<StrBytes, ResolvedRegex>,
    /// An older broker left a record of the topics' metadata, to be deleted with the group.
    pub has_partition_metadata: bool,
    /// The group's epoch when its topics' metadata was looked at for the last time; `None` when it
    /// has to be looked at. Not replicated: a new coordinator looks anew.
    pub metadata_seen_at: Option<i32>,
}

impl ConsumerGroup {
    pub fn new(id: GroupId) -> ConsumerGroup {
        ConsumerGroup {
            id,
            epoch: 0,
            metadata_hash: 0,
            target_epoch: 0,
            members: SortedMap::new(),
            targets: SortedMap::new(),
            regexes: SortedMap::new(),
            has_partition_metadata: false,
            metadata_seen_at: None,
        }
    }

    pub fn state(&self) -> ConsumerGroupState {
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch > self.target_epoch {
            ConsumerGroupState::Assigning
        } else if self.members.values().any(|member| !member.current.is_reconciled_to(self.target_epoch)) {
            ConsumerGroupState::Reconciling
        } else {
            ConsumerGroupState::Stable
        }
    }

    /// The only way in which a record changes the group (GroupMetadataManager.replay). The tombstone
    /// of the epoch, which removes the whole group, is whoever holds the groups to carry out.
    pub(in crate::kafka::group) fn replay(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })) => {
                self.epoch = *epoch;
                self.metadata_hash = *metadata_hash;
                // What was looked at for an epoch stands in its record (hasMetadataExpired).
            }
            ConsumerRecord::Epoch(None) => {}
            ConsumerRecord::PartitionMetadata(value) => self.has_partition_metadata = value.is_some(),
            ConsumerRecord::Member(id, Some(metadata)) => self.member_or_new(id).metadata = metadata.clone(),
            ConsumerRecord::Member(id, None) => {
                self.members.remove(id);
            }
            ConsumerRecord::TargetEpoch(value) => self.target_epoch = value.unwrap_or(-1),
            ConsumerRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            ConsumerRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            ConsumerRecord::Current(id, Some(current)) => self.member_or_new(id).current = current.clone(),
            ConsumerRecord::Current(id, None) => {
                if let Some(member) = self.members.get_mut(id) {
                    let (epoch, previous_epoch) = (LEAVE_EPOCH, LEAVE_EPOCH);
                    member.current = CurrentAssignment { epoch, previous_epoch, ..CurrentAssignment::default() };
                }
            }
            ConsumerRecord::Regex(regex, Some(resolved)) => {
                self.regexes.insert(regex.clone(), resolved.clone());
            }
            ConsumerRecord::Regex(regex, None) => {
                self.regexes.remove(regex);
            }
        }
    }

    fn member_or_new(&mut self, id: &StrBytes) -> &mut ConsumerMember {
        self.members.entry(id.clone()).or_insert_with(|| ConsumerMember::new(id.clone()))
    }

    /// ModernGroup.hasMetadataExpired. A write that failed took its epoch away again.
    pub fn has_metadata_expired(&self) -> bool {
        self.metadata_seen_at.is_none_or(|seen| self.epoch < seen)
    }

    /// The member that holds a `group.instance.id`.
    pub fn static_member(&self, instance: &StrBytes) -> Option<&ConsumerMember> {
        self.members.values().find(|member| member.metadata.instance.as_ref() == Some(instance))
    }

    pub fn target_of(&self, member: &StrBytes) -> Partitions {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// Whether some member still has the partition (currentPartitionEpoch != -1).
    pub fn is_held(&self, topic: &Uuid, partition: i32) -> bool {
        self.members.values().any(|member| member.current.holds(topic, partition))
    }

    /// The topics that a member subscribes to, by name or by a pattern that is resolved.
    pub fn subscription(&self, member: &ConsumerMember) -> SortedSet<TopicName> {
        let mut topics = member.metadata.topics.clone();
        if let Some(resolved) = member.metadata.pattern().and_then(|pattern| self.regexes.get(pattern)) {
            topics.extend(resolved.topics.iter().cloned());
        }
        topics
    }

    pub fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        self.members.values().any(|member| self.subscription(member).contains(topic))
    }

    /// How many members have this pattern.
    pub fn members_with_pattern(&self, pattern: &StrBytes) -> usize {
        self.members.values().filter(|member| member.metadata.pattern() == Some(pattern)).count()
    }

    pub fn classic_members(&self) -> usize {
        self.members.values().filter(|member| member.is_classic()).count()
    }

    /// Whether everybody but these speaks the classic protocol, and these do not
    /// (allMembersUseClassicProtocolExcept).
    pub fn all_classic_except(&self, leaving: &[StrBytes]) -> bool {
        let all = self.members.values();
        all.into_iter().all(|member| member.is_classic() != leaving.contains(&member.id)) && !leaving.is_empty()
    }

    /// ConsumerGroup.supportsClassicProtocols: all classic members know one of these.
    pub fn supports_classic_protocols(&self, protocol_type: &str, names: &[&StrBytes]) -> bool {
        let known = |name: &StrBytes| {
            let classic = self.members.values().filter_map(|member| member.metadata.classic.as_ref());
            classic.into_iter().all(|metadata| metadata.protocols.iter().any(|(other, _)| other == name))
        };
        protocol_type == CONSUMER && names.iter().any(|name| known(name))
    }

    /// Whether a classic member that waits for partitions would not get any if it came back
    /// (waitingOnUnreleasedPartition).
    pub fn waits_for_unreleased(&self, member: &ConsumerMember) -> bool {
        let none = SortedSet::new();
        let waits_for = |topic: &Uuid, partitions: &SortedSet<i32>| {
            let has = member.current.assigned.get(topic).unwrap_or(&none);
            partitions.iter().any(|partition| !has.contains(partition) && self.is_held(topic, *partition))
        };
        member.current.state == MemberState::UnreleasedPartitions
            && self.targets.get(&member.id).into_iter().flatten().any(|(topic, those)| waits_for(topic, those))
    }

    /// The assignor that most members ask for with this member as it is now; of equally many the
    /// first in the alphabet (Kafka: hash order). `None`: nobody asks.
    pub fn preferred_assignor(&self, replaced: &StrBytes, updated: &ConsumerMember) -> Option<StrBytes> {
        let mut votes: SortedMap<&StrBytes, u32> = SortedMap::new();
        let others = self.members.values().filter(|member| member.id != *replaced && member.id != updated.id);
        for assignor in others.chain([updated]).filter_map(|member| member.metadata.assignor.as_ref()) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The assignor that most members ask for, as tools show it.
    pub fn assignor(&self) -> Option<StrBytes> {
        let last = self.members.values().last()?;
        self.preferred_assignor(&last.id, last)
    }

    /// ConsumerGroup.validateOffsetCommit.
    pub fn validate_offset_commit(&self, member: &StrBytes, epoch: i32, version: i16) -> Result<(), ErrorCode> {
        // An admin client, or a consumer without a group's management.
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        if !member.is_classic() && version < 9 {
            // Older versions cannot be told of a stale epoch.
            return Err(ErrorCode::UnsupportedVersion);
        }
        member.validate_epoch(epoch)
    }

    /// ConsumerGroup.validateOffsetCommit for a transaction, which need not name a member; it knows
    /// generations only (OffsetMetadataManager.validateTransactionalOffsetCommit).
    pub fn validate_txn_offset_commit(
        &self,
        member: &StrBytes,
        instance: Option<&StrBytes>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        let anonymous = epoch < 0 && member.is_empty() && instance.is_none();
        if anonymous || epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        member.validate_epoch(epoch).map_err(|error| match error {
            ErrorCode::StaleMemberEpoch => ErrorCode::IllegalGeneration,
            error => error,
        })
    }

    /// ConsumerGroup.validateOffsetFetch: whoever names no member is not checked.
    pub fn validate_offset_fetch(&self, member: Option<&StrBytes>, epoch: i32) -> Result<(), ErrorCode> {
        if member.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member.and_then(|id| self.members.get(id)).ok_or(ErrorCode::UnknownMemberId)?;
        member.validate_epoch(epoch)
    }

    /// Everything that deletes the group (createGroupTombstoneRecords); a member that another one
    /// replaces is called by its new id.
    pub fn tombstones(&self, replaced: Option<(&StrBytes, &StrBytes)>) -> Vec<ConsumerRecord> {
        let ids = || {
            self.members.keys().map(|id| match replaced {
                Some((old, new)) if old == id => new.clone(),
                _ => id.clone(),
            })
        };
        let mut records: Vec<ConsumerRecord> = ids().map(|id| ConsumerRecord::Current(id, None)).collect();
        records.extend(ids().map(|id| ConsumerRecord::Target(id, None)));
        records.push(ConsumerRecord::TargetEpoch(None));
        records.extend(ids().map(|id| ConsumerRecord::Member(id, None)));
        records.extend(self.regexes.keys().map(|regex| ConsumerRecord::Regex(regex.clone(), None)));
        if self.has_partition_metadata {
            records.push(ConsumerRecord::PartitionMetadata(None));
        }
        records.push(ConsumerRecord::Epoch(None));
        records
    }
}

/// The ids of those of the topics that exist.
pub fn topic_ids<'a>(topics: impl IntoIterator<Item = &'a TopicName>, image: &MetadataImage) -> SortedSet<Uuid> {
    topics.into_iter().filter_map(|name| image.topics.get(name)).map(|topic| topic.id).collect()
}

/// A hash of what the assignors look at in the topics: another one means another epoch
/// (ModernGroup.computeMetadataHash). Topics that do not exist count for nothing, and none at all is 0.
/// Kafka's hash is another function (XXH3); only whether it changes matters.
pub fn metadata_hash(topics: &SortedSet<TopicName>, image: &MetadataImage) -> i64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    let mut any = false;
    for (name, topic) in topics.iter().filter_map(|name| Some((name, image.topics.get(name)?))) {
        any = true;
        hash.add(topic.id.as_bytes());
        hash.add(name.0.as_bytes());
        hash.add(&(topic.partitions.len() as u32).to_be_bytes());
        for partition in topic.partitions.values() {
            let racks = partition.replicas.iter().filter_map(|id| image.brokers.get(id)?.rack.as_ref());
            let racks: SortedSet<&StrBytes> = racks.collect();
            hash.add(&[racks.len() as u8]);
            racks.iter().for_each(|rack| hash.add(rack.as_bytes()));
        }
    }
    if any { hash.0 as i64 } else { 0 }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        // A zero ends every part, so that two parts cannot be read as one.
        for byte in bytes.iter().chain(&[0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
