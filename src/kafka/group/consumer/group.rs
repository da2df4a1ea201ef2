//! A consumer group as its records tell it, and the rules that need nothing else (ConsumerGroup).

use bytes::{Bytes, BytesMut};

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::consumer::member::{
    ConsumerMember, CurrentAssignment, LEAVE_EPOCH, MemberMetadata, MemberState,
};
use crate::kafka::group::consumer::records::{self, ConsumerOwn, ResolvedRegex};
use crate::kafka::group::modern::records::{GroupEpoch, RecordTypes};
use crate::kafka::group::modern::{Kind, ModernGroup};
use crate::kafka::group::protocol::CONSUMER;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{ErrorCode, StrBytes, TopicName, Uuid};

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

pub type ConsumerGroup = ModernGroup<ConsumerKind>;

/// What a group has besides as one of the consumer protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerKind {
    pub regexes: SortedMap<StrBytes, ResolvedRegex>,
    /// An older broker left a record of the topics' metadata, to be deleted with the group.
    pub has_partition_metadata: bool,
}

impl Kind for ConsumerKind {
    type Metadata = MemberMetadata;
    type Current = CurrentAssignment;
    type Own = ConsumerOwn;

    const TYPES: RecordTypes = records::TYPES;

    fn put_epoch(out: &mut BytesMut, value: &GroupEpoch) {
        records::put_epoch(out, value);
    }

    fn epoch(bytes: &mut Bytes) -> Option<GroupEpoch> {
        records::epoch(bytes)
    }

    fn left() -> CurrentAssignment {
        CurrentAssignment { epoch: LEAVE_EPOCH, previous_epoch: LEAVE_EPOCH, ..CurrentAssignment::default() }
    }

    fn replay(&mut self, record: &ConsumerOwn, _: Instant) {
        match record {
            ConsumerOwn::PartitionMetadata(value) => self.has_partition_metadata = value.is_some(),
            ConsumerOwn::Regex(regex, Some(resolved)) => {
                self.regexes.insert(regex.clone(), resolved.clone());
            }
            ConsumerOwn::Regex(regex, None) => {
                self.regexes.remove(regex);
            }
        }
    }

    fn tombstones(&self) -> Vec<ConsumerOwn> {
        let mut records: Vec<_> = self.regexes.keys().map(|regex| ConsumerOwn::Regex(regex.clone(), None)).collect();
        // Whether it was ever there or not (ConsumerGroup.createGroupTombstoneRecords).
        records.push(ConsumerOwn::PartitionMetadata(None));
        records
    }
}

impl ConsumerGroup {
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

    /// The member that holds a `group.instance.id`.
    pub fn static_member(&self, instance: &StrBytes) -> Option<&ConsumerMember> {
        self.members.values().find(|member| member.metadata.instance.as_ref() == Some(instance))
    }

    /// Whether some member still has the partition (currentPartitionEpoch != -1).
    pub fn is_held(&self, topic: &Uuid, partition: i32) -> bool {
        self.members.values().any(|member| member.current.holds(topic, partition))
    }

    /// The topics that a member subscribes to, by name or by a pattern that is resolved.
    pub fn subscription(&self, member: &ConsumerMember) -> SortedSet<TopicName> {
        let mut topics = member.metadata.topics.clone();
        if let Some(resolved) = member.metadata.pattern().and_then(|pattern| self.kind.regexes.get(pattern)) {
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
        self.members.values().all(|member| member.is_classic() || leaving.contains(&member.id)) && !leaving.is_empty()
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
