//! How members of a share group go, how its partitions come and go: what is decided on besides
//! heartbeats (GroupMetadataManager.shareGroupLeave, shareGroupFenceMember, initializeShareGroupState,
//! uninitializeShareGroupState, maybeCleanupShareGroupState).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::fact::Fact;
use crate::kafka::group::consumer::group::metadata_hash;
use crate::kafka::group::consumer::named;
use crate::kafka::group::modern::records::GroupEpoch;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::share::group::{ShareGroup, ShareMember};
use crate::kafka::group::share::persister::InitializeState;
use crate::kafka::group::share::records::{ShareOwn, ShareRecord};
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::sorted::SortedSet;
use crate::wire::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use crate::wire::{ErrorCode, GroupId, StrBytes, TopicName};

impl Work<'_, '_> {
    pub(super) fn share_leave(
        &mut self,
        shard: &Shard,
        image: &MetadataImage,
        context: &Context,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<Decided, ErrorCode> {
        let group = shard.share_groups.get(&request.group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        let member = group.members.get(&request.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        let response = ShareGroupHeartbeatResponse::default()
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(request.member_epoch);
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts: Vec::new() };
        Ok(self.fence_share_member(image, group, member, "it asked to", then))
    }

    /// A member's session has ended. One that is gone already is nobody's business.
    pub fn share_member_expired(
        &mut self,
        shard: &Shard,
        image: &MetadataImage,
        group: &GroupId,
        member: &StrBytes,
    ) -> Option<Decided> {
        let group = shard.share_groups.get(group)?;
        let member = group.members.get(member)?;
        Some(self.fence_share_member(image, group, member, "its session expired", Then::Nothing))
    }

    /// shareGroupFenceMember: takes the member out and raises the group's epoch; the next heartbeat of
    /// whoever remains computes the next target.
    fn fence_share_member(
        &mut self,
        image: &MetadataImage,
        group: &ShareGroup,
        member: &ShareMember,
        why: &str,
        then: Then,
    ) -> Decided {
        self.turn.tell(Fact::MemberRemoved {
            group: group.id.clone(),
            member: member.id.clone(),
            client: member.name().clone(),
            reason: StrBytes::from_string(why.to_string()),
        });
        self.cancel(TimerKind::MemberSession(group.id.clone(), member.id.clone()));
        let mut topics: SortedSet<TopicName> = SortedSet::new();
        for other in group.members.values().filter(|other| other.id != member.id) {
            topics.extend(other.metadata.topics.iter().cloned());
        }
        let epoch = group.epoch + 1;
        let metadata_hash = metadata_hash(&topics, image);
        let reason = StrBytes::from_string(format!("{} is gone", member.name().as_str()));
        self.turn.tell(Fact::GroupEpochRaised { group: group.id.clone(), epoch, reason });
        let raised = ShareRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash }));
        let records = ShareRecord::without_member(&member.id).into_iter().chain([raised]);
        let record = |record| GroupRecord::Share { group: group.id.clone(), record };
        Decided::plain(records.map(record).collect(), then)
    }
}

/// The persister has made the state of partitions, which may be assigned now, or it has not: then the
/// next heartbeat asks again. A group that is gone meanwhile needs neither.
pub(in crate::kafka::group) fn state_initialized(
    shard: &Shard,
    image: &MetadataImage,
    request: &InitializeState,
    result: Result<(), ErrorCode>,
) -> Option<Decided> {
    let partitions = &shard.share_groups.get(&request.group)?.kind.partitions;
    let group = request.group.clone();
    let (next, then) = match result {
        Ok(()) => {
            let done = request.topics.iter().map(|(id, those)| (*id, those.keys().copied().collect()));
            let fact =
                Fact::SharePartitionsInitialized { group: group.clone(), partitions: named(&done.collect(), image) };
            (partitions.initialized(&request.topics, image), Then::Tell(vec![fact]))
        }
        Err(_) if partitions.initializing.is_empty() => return None,
        Err(_) => (partitions.uninitialized(&request.topics), Then::Nothing),
    };
    let record = ShareRecord::Own(ShareOwn::StatePartitions(Some(next)));
    Some(Decided::record(GroupRecord::Share { group, record }, then))
}

/// A topic is deleted: no group keeps partitions of it.
pub(in crate::kafka::group) fn forget_topic(shard: &Shard, topic: &TopicName) -> Vec<GroupRecord> {
    let record = |group: &ShareGroup| {
        let record = ShareRecord::Own(ShareOwn::StatePartitions(Some(group.kind.partitions.without(topic)?)));
        Some(GroupRecord::Share { group: group.id.clone(), record })
    };
    shard.share_groups.values().filter_map(|group| record(group)).collect()
}
