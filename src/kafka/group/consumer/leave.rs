//! How members of a consumer group go: by their own word, or fenced because they were silent or
//! too slow (GroupMetadataManager.consumerGroupLeave, consumerGroupFenceMember).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::group::consumer::group::{ConsumerGroup, metadata_hash};
use crate::kafka::group::consumer::member::{CurrentAssignment, LEAVE_STATIC_EPOCH, MemberState};
use crate::kafka::group::consumer::records::{ConsumerOwn, ConsumerRecord};
use crate::kafka::group::modern::records::GroupEpoch;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use crate::wire::{ErrorCode, GroupId, StrBytes};

impl Work<'_, '_> {
    pub(super) fn consumer_leave(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Decided, ErrorCode> {
        let group = shard.consumer_groups.get(&request.group_id).cloned().ok_or(ErrorCode::GroupIdNotFound)?;
        let holder = match &request.instance_id {
            None => group.members.get(&request.member_id),
            Some(instance) => group.static_member(instance),
        };
        let member = holder.ok_or(ErrorCode::UnknownMemberId)?;
        if member.id != request.member_id {
            return Err(ErrorCode::FencedInstanceId);
        }
        let response = ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(request.member_epoch);
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts: Vec::new() };
        if request.instance_id.is_some() && request.member_epoch == LEAVE_STATIC_EPOCH {
            // It keeps its place, and nobody rebalances until its session ends. What it was to give
            // up it has given up by leaving.
            let current =
                CurrentAssignment { epoch: LEAVE_STATIC_EPOCH, revoking: Default::default(), ..member.current.clone() };
            let record = ConsumerRecord::Current(member.id.clone(), Some(current));
            self.turn.tell(Fact::StaticMemberAway { group: group.id.clone(), client: member.name().clone() });
            return Ok(Decided::record(GroupRecord::Consumer { group: group.id.clone(), record }, then));
        }
        Ok(self.fence_members(shard, image, &group, std::slice::from_ref(&member.id), "it asked to", then))
    }

    /// consumerGroupFenceMember: takes members out and raises the group's epoch; the next heartbeat
    /// of whoever remains computes the next target. When only members that speak the classic protocol
    /// remain, the group becomes a classic one.
    pub(super) fn fence_members(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        group: &ConsumerGroup,
        leaving: &[StrBytes],
        why: &str,
        then: Then,
    ) -> Decided {
        let mut names = Vec::new();
        for member in leaving.iter().filter_map(|id| group.members.get(id)) {
            names.push(member.name().as_str());
            self.turn.tell(Fact::MemberRemoved {
                group: group.id.clone(),
                member: member.id.clone(),
                client: member.name().clone(),
                reason: StrBytes::from_string(why.to_string()),
            });
        }
        if self.may_convert_to_classic(group, leaving) {
            return self.convert_to_classic(shard, image, group, leaving, None, Vec::new(), then);
        }
        let mut records = Vec::new();
        for id in leaving {
            records.extend(ConsumerRecord::without_member(id));
            self.cancel_member_timers(&group.id, id);
        }
        let patterns: SortedSet<&StrBytes> =
            leaving.iter().filter_map(|id| group.members.get(id)?.metadata.pattern()).collect();
        for pattern in patterns {
            let leave = |id: &&StrBytes| group.members.get(*id).and_then(|m| m.metadata.pattern()) == Some(pattern);
            if group.members_with_pattern(pattern) == leaving.iter().filter(leave).count() {
                records.push(ConsumerRecord::Own(ConsumerOwn::Regex(pattern.clone(), None)));
            }
        }
        let mut topics = SortedSet::new();
        for member in group.members.values().filter(|member| !leaving.contains(&member.id)) {
            topics.extend(group.subscription(member));
        }
        let epoch = group.epoch + 1;
        let metadata_hash = metadata_hash(&topics, image);
        records.push(ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash })));
        let reason = StrBytes::from_string(format!("{} is gone", names.join(", ")));
        self.turn.tell(Fact::GroupEpochRaised { group: group.id.clone(), epoch, reason });
        let record = |record| GroupRecord::Consumer { group: group.id.clone(), record };
        Decided::plain(records.into_iter().map(record).collect(), then)
    }

    pub(super) fn cancel_member_timers(&mut self, group: &GroupId, member: &StrBytes) {
        self.cancel(TimerKind::MemberSession(group.clone(), member.clone()));
        self.cancel(TimerKind::MemberRebalance(group.clone(), member.clone()));
        self.cancel(TimerKind::MemberJoin(group.clone(), member.clone()));
        self.cancel(TimerKind::MemberSync(group.clone(), member.clone()));
    }

    /// One of a member's deadlines has passed. A member that is gone already is nobody's business.
    pub fn member_expired(&mut self, shard: &mut Shard, image: &MetadataImage, timer: &TimerKind) -> Option<Decided> {
        let (id, member, why) = match timer {
            TimerKind::MemberSession(group, member) => (group, member, "its session expired"),
            TimerKind::MemberRebalance(group, member) => (group, member, "did not give up its partitions in time"),
            TimerKind::MemberJoin(group, member) => (group, member, "did not rejoin in time"),
            TimerKind::MemberSync(group, member) => (group, member, "did not ask for its assignment in time"),
            _ => return None,
        };
        if let (TimerKind::MemberSession(..), None) = (timer, shard.consumer_groups.get(id)) {
            return self.share_member_expired(shard, image, id, member);
        }
        let group = shard.consumer_groups.get(id)?.clone();
        let state = group.members.get(member)?.current.state;
        if matches!(timer, TimerKind::MemberRebalance(..)) && state != MemberState::UnrevokedPartitions {
            return None;
        }
        Some(self.fence_members(shard, image, &group, std::slice::from_ref(member), why, Then::Nothing))
    }

    /// Sessions and revocations begin anew after a failover (GroupMetadataManager.onLoaded).
    pub fn consumer_group_loaded(&mut self, image: &MetadataImage, group: &ConsumerGroup) {
        self.begin_sessions(group, self.settings.of_group(image, &group.id).consumer_session_timeout);
    }

    pub(super) fn begin_sessions(&mut self, group: &ConsumerGroup, session_timeout: Duration) {
        for member in group.members.values() {
            let session = TimerKind::MemberSession(group.id.clone(), member.id.clone());
            self.schedule(session, session_timeout);
            if member.current.state == MemberState::UnrevokedPartitions {
                let rebalance = TimerKind::MemberRebalance(group.id.clone(), member.id.clone());
                self.schedule(rebalance, member.metadata.rebalance_timeout);
            }
        }
    }
}
