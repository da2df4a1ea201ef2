//! What a member's request changes in its group: the member, the group's epoch, the target, the
//! member's own assignment. The same for a heartbeat of the consumer protocol and for a JoinGroup of
//! the classic one (GroupMetadataManager.consumerGroupHeartbeat, classicGroupJoinToConsumerGroup).

use std::sync::Arc;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::group::assignor::{Assignor, GroupSpec, MemberSpec, Partitions};
use crate::kafka::group::consumer::group::{ConsumerGroup, metadata_hash, topic_ids};
use crate::kafka::group::consumer::member::{ConsumerMember, LEAVE_STATIC_EPOCH, MemberMetadata, MemberState};
use crate::kafka::group::consumer::reconcile::Reconciliation;
use crate::kafka::group::consumer::records::{ConsumerOwn, ConsumerRecord};
use crate::kafka::group::consumer::regex;
use crate::kafka::group::modern::records::GroupEpoch;
use crate::kafka::group::records::GroupRecord;
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{ErrorCode, StrBytes, TopicName, TopicPartition};

pub(super) struct Change<'a> {
    pub image: &'a MetadataImage,
    /// The group as it is: what is decided here changes it only when the records are replayed.
    pub group: Arc<ConsumerGroup>,
    pub records: Vec<GroupRecord>,
    /// Told when the records are committed.
    pub facts: Vec<Fact>,
    pub before: ConsumerMember,
    pub member: ConsumerMember,
    /// The member whose place and instance id this one takes.
    pub replaced: Option<StrBytes>,
    /// The group's epoch, raised or not.
    pub epoch: i32,
    /// The metadata of the topics was looked at.
    pub saw_metadata: bool,
}

/// How the member has changed what it subscribes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Subscribed {
    pub changed: bool,
    /// The group must have another target for it.
    pub needs_target: bool,
}

impl<'a> Change<'a> {
    pub fn new(image: &'a MetadataImage, group: Arc<ConsumerGroup>, records: Vec<GroupRecord>, id: StrBytes) -> Self {
        let before = group.members.get(&id).cloned().unwrap_or_else(|| ConsumerMember::new(id));
        Change {
            image,
            epoch: group.epoch,
            group,
            records,
            facts: Vec::new(),
            member: before.clone(),
            before,
            replaced: None,
            saw_metadata: false,
        }
    }

    fn write(&mut self, record: ConsumerRecord) {
        self.records.push(GroupRecord::Consumer { group: self.group.id.clone(), record });
    }

    /// The member takes the place of a static member, with all that it has (replaceMember).
    pub fn take_place_of(&mut self, old: &ConsumerMember) {
        let id = self.before.id.clone();
        let mut member = ConsumerMember { id: id.clone(), ..old.clone() };
        member.current.epoch = 0;
        member.current.previous_epoch = 0;
        self.remove_member(&old.id);
        self.write(ConsumerRecord::Member(id.clone(), Some(member.metadata.clone())));
        self.write(ConsumerRecord::Target(id.clone(), Some(self.group.target_of(&old.id))));
        self.write(ConsumerRecord::Current(id, Some(member.current.clone())));
        self.replaced = Some(old.id.clone()).filter(|old| *old != member.id);
        self.member = member.clone();
        self.before = member;
    }

    fn remove_member(&mut self, id: &StrBytes) {
        ConsumerRecord::without_member(id).into_iter().for_each(|record| self.write(record));
    }

    /// Takes what the member tells of itself (hasMemberSubscriptionChanged, maybeUpdateRegularExpressions).
    pub fn subscribe(&mut self, metadata: MemberMetadata) -> Result<Subscribed, ErrorCode> {
        self.member.metadata = metadata;
        let before = &self.before.metadata;
        let names_changed = before.topics != self.member.metadata.topics;
        let patterns = (before.pattern().cloned(), self.member.metadata.pattern().cloned());
        let regex_changed = before.regex != self.member.metadata.regex;
        if *before != self.member.metadata {
            self.write(ConsumerRecord::Member(self.member.id.clone(), Some(self.member.metadata.clone())));
        }
        let mut resolved = false;
        if let (true, (old, new)) = (regex_changed, patterns) {
            if let Some(old) = old {
                if self.group.members_with_pattern(&old) == 1 {
                    self.write(ConsumerRecord::Own(ConsumerOwn::Regex(old, None)));
                }
                // Without a pattern there is nothing to be resolved first.
                resolved = new.is_none();
            }
            if let Some(new) = new {
                if self.group.members_with_pattern(&new) == 0 {
                    regex::validate(&new)?;
                } else {
                    resolved = self.group.kind.regexes.contains_key(&new);
                }
            }
        }
        Ok(Subscribed { changed: names_changed || regex_changed, needs_target: names_changed || resolved })
    }

    /// Everything that the group's members subscribe to, this one as it is now.
    fn subscribed_topics(&self) -> SortedSet<TopicName> {
        let mut topics = self.group.subscription(&self.member);
        for other in self.others() {
            topics.extend(self.group.subscription(other));
        }
        topics
    }

    fn others(&self) -> impl Iterator<Item = &ConsumerMember> {
        let members = self.group.members.values();
        members.filter(|other| other.id != self.member.id && Some(&other.id) != self.replaced.as_ref())
    }

    /// Tells that the member joins, if the group does not know it yet.
    pub fn tell_joined(&mut self, client: &StrBytes) {
        if !self.group.members.contains_key(&self.before.id) {
            let (group, member) = (self.group.id.clone(), self.member.id.clone());
            self.facts.push(Fact::MemberJoined { group, member, client: client.clone() });
        }
    }

    /// Raises the group's epoch when the member's subscription or the topics' metadata asks for
    /// another target.
    pub fn maybe_bump(&mut self, subscribed: Subscribed) {
        let is_new = self.group.epoch == 0;
        let mut bump = is_new || subscribed.needs_target;
        if !bump && !self.group.has_metadata_expired() {
            return;
        }
        let hash = metadata_hash(&self.subscribed_topics(), self.image);
        let mut reason = if self.group.members.contains_key(&self.before.id) || self.replaced.is_some() {
            format!("{} subscribes to other topics", self.member.name().as_str())
        } else {
            format!("{} joins", self.member.name().as_str())
        };
        if !bump && hash != self.group.metadata_hash {
            reason = "the metadata of its topics has changed".to_string();
            bump = true;
        }
        if bump {
            self.epoch += 1;
            let (epoch, metadata_hash) = (self.epoch, hash);
            self.write(ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })));
            let reason = StrBytes::from_string(reason);
            self.facts.push(Fact::GroupEpochRaised { group: self.group.id.clone(), epoch, reason });
        }
        // Before 4.1 the topics' metadata itself was kept in the log.
        if self.group.kind.has_partition_metadata {
            self.write(ConsumerRecord::Own(ConsumerOwn::PartitionMetadata(None)));
        }
        self.saw_metadata = true;
    }

    /// The member's target, computed with everybody else's when the group has a newer epoch than its
    /// target, and the epoch of the target (updateTargetAssignment, TargetAssignmentBuilder).
    pub fn target(&mut self, assignors: &[Assignor]) -> Result<(i32, Partitions), ErrorCode> {
        if self.epoch <= self.group.target_epoch {
            let holder = self.replaced.as_ref().unwrap_or(&self.member.id);
            return Ok((self.group.target_epoch, self.group.target_of(holder)));
        }
        let preferred = self.group.preferred_assignor(self.replaced.as_ref().unwrap_or(&self.member.id), &self.member);
        let assignor = preferred.and_then(|name| assignors.iter().find(|assignor| assignor.name() == name));
        let assignor = assignor.or(assignors.first()).ok_or(ErrorCode::UnknownServerError)?;
        let spec = self.spec();
        let mut targets = assignor.assign(&spec).map_err(|_| ErrorCode::UnknownServerError)?;
        for member in &spec.members {
            let target = targets.entry(member.id.clone()).or_default().clone();
            if self.group.targets.get(&member.id) != Some(&target) {
                self.write(ConsumerRecord::Target(member.id.clone(), Some(target)));
            }
        }
        self.write(ConsumerRecord::TargetEpoch(Some(self.epoch)));
        self.facts.push(Fact::TargetComputed {
            group: self.group.id.clone(),
            epoch: self.epoch,
            assignor: assignor.name(),
        });
        Ok((self.epoch, targets.remove(&self.member.id).unwrap_or_default()))
    }

    /// The group as the assignor sees it, members by their ids and topics by their names.
    fn spec(&self) -> GroupSpec {
        let one = |member: &ConsumerMember, held_by: &StrBytes| MemberSpec {
            id: member.id.clone(),
            instance: member.metadata.instance.clone(),
            topics: topic_ids(&self.group.subscription(member), self.image),
            target: self.group.target_of(held_by),
        };
        let mut members: SortedMap<StrBytes, MemberSpec> =
            self.others().map(|member| (member.id.clone(), one(member, &member.id))).collect();
        let held_by = self.replaced.as_ref().unwrap_or(&self.member.id);
        members.insert(self.member.id.clone(), one(&self.member, held_by));
        let topics = self.subscribed_topics();
        let topics = topics.iter().filter_map(|name| self.image.topics.get(name));
        let topics = topics.map(|topic| (topic.id, topic.partitions.len() as i32));
        GroupSpec::new(members.into_values().collect(), topics.collect())
    }

    /// One step of the member towards its target; whether anything changed (maybeReconcile).
    pub fn reconcile(
        &mut self,
        target_epoch: i32,
        target: &Partitions,
        subscription_changed: bool,
        owned: Option<&Partitions>,
    ) -> Result<bool, ErrorCode> {
        if !subscription_changed && self.member.current.is_reconciled_to(target_epoch) {
            return Ok(false);
        }
        let reconciliation = Reconciliation {
            target_epoch,
            target,
            subscription_changed,
            subscribed: &topic_ids(&self.group.subscription(&self.member), self.image),
            owned,
            is_held: &|topic, partition| self.group.is_held(topic, partition),
        };
        let next = reconciliation.next(&self.member.current)?;
        if next == self.member.current {
            return Ok(false);
        }
        self.write(ConsumerRecord::Current(self.member.id.clone(), Some(next.clone())));
        let (group, client) = (self.group.id.clone(), self.member.name().clone());
        if next.state == MemberState::UnrevokedPartitions && next.revoking != self.member.current.revoking {
            let partitions = named(&next.revoking, self.image);
            self.facts.push(Fact::RevocationAsked { group, client, partitions });
        } else if next.epoch != self.member.current.epoch {
            let waits = next.state == MemberState::UnreleasedPartitions;
            self.facts.push(Fact::MemberReached { group, client, epoch: next.epoch, waits });
        }
        self.member.current = next;
        Ok(true)
    }
}

/// The partitions by the names of their topics, in order; those of topics that are gone are left out.
pub fn named(partitions: &Partitions, image: &MetadataImage) -> Vec<TopicPartition> {
    let mut all: Vec<TopicPartition> = partitions
        .iter()
        .filter_map(|(id, those)| Some((image.topic_names.get(id)?, those)))
        .flat_map(|(name, those)| those.iter().map(move |partition| TopicPartition::new(name.clone(), *partition)))
        .collect();
    all.sort_unstable();
    all
}

/// Whether a static member has left for a while, so that another may take its place.
pub(super) fn is_away(member: &ConsumerMember) -> bool {
    member.current.epoch == LEAVE_STATIC_EPOCH
}
