//! Groups change their protocol while their members work (KIP-848, online upgrade and downgrade;
//! GroupMetadataManager.convertToConsumerGroup, convertToClassicGroup): a classic group becomes a
//! consumer group when the first member of the new protocol joins, and a classic one again when the
//! last such member has gone.

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::classic::{ClassicGroup, GroupState, Member};
use crate::kafka::group::consumer::change::named;
use crate::kafka::group::consumer::group::{ConsumerGroup, metadata_hash};
use crate::kafka::group::consumer::member::{
    ClassicMetadata, ConsumerMember, CurrentAssignment, MemberMetadata, MemberState,
};
use crate::kafka::group::consumer::records::ConsumerRecord;
use crate::kafka::group::join::join_error;
use crate::kafka::group::modern::records::GroupEpoch;
use crate::kafka::group::protocol;
use crate::kafka::group::rebalance::group_record;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::sync::sync_error;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Converted, Decided, Shard, Then, Work};
use crate::sorted::SortedMap;
use crate::time::Duration;
use crate::wire::{ErrorCode, StrBytes, str_bytes};

/// `group.consumer.migration.policy` (ConsumerGroupMigrationPolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationPolicy {
    pub upgrade: bool,
    pub downgrade: bool,
}

impl MigrationPolicy {
    pub fn parse(name: &str) -> MigrationPolicy {
        let is = |word: &str| name.eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case("bidirectional");
        MigrationPolicy { upgrade: is("upgrade"), downgrade: is("downgrade") }
    }
}

/// The classic member that takes the place of the one that leaves.
pub(super) struct Joining<'a> {
    pub member: &'a ConsumerMember,
    /// Whether it subscribes to anything else than the member before it.
    pub is_changed: bool,
}

impl Work<'_, '_> {
    /// The classic group as a consumer group: every member goes on with what it has, in the epoch of
    /// its generation. Whoever waits for the classic rebalance is sent back to join.
    pub(super) fn convert_to_consumer(
        &mut self,
        classic: &mut ClassicGroup,
        image: &MetadataImage,
        records: &mut Vec<GroupRecord>,
    ) -> Result<ConsumerGroup, ErrorCode> {
        let settings = &self.settings.consumer;
        let has_room = classic.members.len() <= settings.max_size.max(0) as usize;
        if !settings.migration.upgrade || !classic.uses_consumer_protocol() || !has_room {
            return Err(ErrorCode::GroupIdNotFound);
        }
        let group = consumer_group_of(classic, image).ok_or(ErrorCode::GroupIdNotFound)?;
        let ids: Vec<StrBytes> = classic.members.iter().map(|member| member.id.clone()).collect();
        for id in ids {
            self.complete_join(classic, &id, join_error(&id, ErrorCode::RebalanceInProgress));
            if let Some(reply) = classic.member_mut(&id).and_then(|member| member.awaiting_sync.take()) {
                self.answer(reply, sync_error(ErrorCode::RebalanceInProgress));
            }
        }
        records.push(GroupRecord::Group { group: group.id.clone(), value: None });
        let mut write = |record| records.push(GroupRecord::Consumer { group: group.id.clone(), record });
        for member in group.members.values() {
            write(ConsumerRecord::Member(member.id.clone(), Some(member.metadata.clone())));
        }
        let (epoch, metadata_hash) = (group.epoch, group.metadata_hash);
        write(ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })));
        for (id, target) in &group.targets {
            write(ConsumerRecord::Target(id.clone(), Some(target.clone())));
        }
        write(ConsumerRecord::TargetEpoch(Some(group.target_epoch)));
        for member in group.members.values() {
            write(ConsumerRecord::Current(member.id.clone(), Some(member.current.clone())));
            if let Some(metadata) = &member.metadata.classic {
                let timer = TimerKind::MemberSession(group.id.clone(), member.id.clone());
                self.schedule(timer, metadata.session_timeout);
            }
        }
        self.turn.tell(Fact::GroupConverted {
            group: group.id.clone(),
            protocol: str_bytes("consumer"),
            epoch: group.epoch,
        });
        Ok(group)
    }

    /// validateOnlineDowngrade: everybody who stays speaks the classic protocol.
    pub(super) fn may_convert_to_classic(&self, group: &ConsumerGroup, leaving: &[StrBytes]) -> bool {
        let remaining = group.members.len() - leaving.len().min(group.members.len());
        self.may_be_classic(group, leaving) && remaining > 0 && remaining <= self.settings.max_size.max(0) as usize
    }

    /// The same when a classic member takes the last other member's place.
    pub(super) fn may_convert_with_replacement(&self, group: &ConsumerGroup, replaced: &StrBytes) -> bool {
        group.members.get(replaced).is_some_and(|member| !member.is_classic())
            && self.may_be_classic(group, std::slice::from_ref(replaced))
            && group.members.len() <= self.settings.max_size.max(0) as usize
    }

    fn may_be_classic(&self, group: &ConsumerGroup, leaving: &[StrBytes]) -> bool {
        self.settings.consumer.migration.downgrade && group.all_classic_except(leaving)
    }

    /// The consumer group as a classic one, which rebalances at once where a member is gone or subscribes to
    /// something else. The group is exchanged here and not by its records, as in Kafka.
    #[expect(clippy::too_many_arguments, reason = "what leaves, what comes, and what follows belong to one decision")]
    pub(super) fn convert_to_classic(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        group: &ConsumerGroup,
        leaving: &[StrBytes],
        joining: Option<Joining<'_>>,
        mut records: Vec<GroupRecord>,
        then: Then,
    ) -> Decided {
        let is_changed = joining.as_ref().is_none_or(|joining| joining.is_changed);
        let joining = joining.map(|joining| joining.member);
        let replaced = joining.and_then(|member| Some((leaving.first()?, &member.id)));
        let tombstone = |record| GroupRecord::Consumer { group: group.id.clone(), record };
        records.extend(group.tombstones(replaced).into_iter().map(tombstone));
        let mut classic = classic_group_of(group, leaving, joining, image);
        classic.state_since = Some(self.now().millis());
        let assignments: SortedMap<StrBytes, Bytes> =
            classic.members.iter().map(|member| (member.id.clone(), member.assignment.clone())).collect();
        records.push(group_record(&classic, &assignments));
        self.turn.tell(Fact::GroupConverted {
            group: group.id.clone(),
            protocol: str_bytes("classic"),
            epoch: classic.generation,
        });
        for member in &classic.members {
            self.restart_session(&classic, &member.id);
        }
        if is_changed {
            records.extend(self.prepare_rebalance(&mut classic, "the group is a classic one again"));
        }
        let before = shard.consumer_groups.remove(&group.id).unwrap_or_else(|| Arc::new(group.clone()));
        shard.groups.insert(group.id.clone(), Arc::new(classic));
        let session_timeout = self.settings.of_group(image, &group.id).consumer_session_timeout;
        let then = Then::Converted(Box::new(Converted { before, session_timeout, then }));
        Decided::plain(records, then)
    }

    /// The records of a conversion are not in the log: the group is what it was.
    pub fn conversion_failed(&mut self, shard: &mut Shard, before: Arc<ConsumerGroup>, session_timeout: Duration) {
        let id = before.id.clone();
        shard.groups.remove(&id);
        self.timers.cancel_group(self.partition, &id);
        self.begin_sessions(&before, session_timeout);
        shard.consumer_groups.insert(id, before);
    }
}

/// ConsumerGroup.fromClassicGroup; `None` when the members' bytes do not read, or when an assignor of
/// somebody's own has put data into its assignment that would be lost.
fn consumer_group_of(classic: &ClassicGroup, image: &MetadataImage) -> Option<ConsumerGroup> {
    let mut group = ConsumerGroup::new(classic.id.clone());
    group.epoch = classic.generation;
    group.target_epoch = classic.generation;
    for member in &classic.members {
        let subscription = protocol::subscription(&member.metadata(classic.protocol.as_ref()))?;
        let mut assigned = Partitions::new();
        if !member.assignment.is_empty() {
            let assignment = protocol::assignment(&member.assignment)?;
            if assignment.user_data.as_ref().is_some_and(|data| !data.is_empty()) {
                return None;
            }
            for topic in assignment.assigned_partitions {
                if let Some(known) = image.topics.get(&topic.topic) {
                    assigned.entry(known.id).or_default().extend(topic.partitions);
                }
            }
        }
        group.targets.insert(member.id.clone(), assigned.clone());
        let metadata = MemberMetadata {
            instance: member.instance.clone(),
            rack: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics.into_iter().map(crate::wire::TopicName).collect(),
            regex: None,
            rebalance_timeout: member.rebalance_timeout,
            assignor: None,
            classic: Some(ClassicMetadata {
                session_timeout: member.session_timeout,
                protocols: member.protocols.clone(),
            }),
        };
        let current = CurrentAssignment {
            epoch: classic.generation,
            previous_epoch: classic.generation,
            state: MemberState::Stable,
            assigned,
            revoking: Partitions::new(),
        };
        group.members.insert(member.id.clone(), ConsumerMember { id: member.id.clone(), metadata, current });
    }
    let topics = group.members.values().flat_map(|member| group.subscription(member)).collect();
    group.metadata_hash = metadata_hash(&topics, image);
    Some(group)
}

/// ClassicGroup.fromConsumerGroup: everybody gets what the target gives it.
fn classic_group_of(
    group: &ConsumerGroup,
    leaving: &[StrBytes],
    joining: Option<&ConsumerMember>,
    image: &MetadataImage,
) -> ClassicGroup {
    let mut classic = ClassicGroup::new(group.id.clone(), crate::time::Instant::ZERO);
    classic.state = GroupState::Stable;
    classic.generation = group.epoch;
    let staying = group.members.values().filter(|member| !leaving.contains(&member.id));
    for member in staying.chain(joining) {
        let Some(metadata) = &member.metadata.classic else { continue };
        let held_by = if joining == Some(member) { leaving.first().unwrap_or(&member.id) } else { &member.id };
        let version = metadata.protocols.first().map_or(0, |(_, bytes)| protocol::version(bytes));
        let member = Member {
            id: member.id.clone(),
            instance: member.metadata.instance.clone(),
            client_id: member.metadata.client_id.clone(),
            client_host: member.metadata.client_host.clone(),
            rebalance_timeout: member.metadata.rebalance_timeout,
            session_timeout: metadata.session_timeout,
            protocols: metadata.protocols.clone(),
            assignment: protocol::encode_assignment(&named(&group.target_of(held_by), image), version),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        };
        classic.add(member, &str_bytes(protocol::CONSUMER));
    }
    classic.protocol = classic.select_protocol();
    classic.remember_subscriptions();
    classic
}
