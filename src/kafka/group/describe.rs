//! CONSUMER_GROUP_DESCRIBE, SHARE_GROUP_DESCRIBE and DESCRIBE_GROUPS: what groups are, as tools ask for it
//! (GroupMetadataManager.consumerGroupDescribe, shareGroupDescribe, describeGroups). Each knows groups of one kind only, so
//! a tool that wants a consumer group asks the first and then the second (DescribeConsumerGroupsHandler).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::GroupCoordinator;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::classic::{ClassicGroup, GroupState, Member};
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::consumer::member::ConsumerMember;
use crate::kafka::group::share::ShareMember;
use crate::kafka::group::work::Shard;
use crate::wire::messages::consumer_group_describe_response::{self as modern, Assignment, TopicPartitions};
use crate::wire::messages::describe_groups_response::{self as plain, DescribedGroupMember};
use crate::wire::messages::share_group_describe_response as sharing;
use crate::wire::messages::{ConsumerGroupDescribeResponse, DescribeGroupsResponse, ShareGroupDescribeResponse};
use crate::wire::{ErrorCode, GroupId, Request, Response, StrBytes};

impl GroupCoordinator {
    /// The answer to a request that describes groups, each of whichever partition it belongs to; `None`
    /// for every other request.
    pub(super) fn describe(&self, image: &MetadataImage, request: &Request) -> Option<Response> {
        let shard = |group: &GroupId| {
            let partition = self.partition_of(image, group);
            self.runtime.ready(partition).and_then(|_| self.shards.get(&partition).ok_or(ErrorCode::NotCoordinator))
        };
        Some(match request {
            Request::ConsumerGroupDescribe(asked) => {
                let groups = asked.group_ids.iter().map(|id| match shard(id) {
                    Ok(shard) => self.consumer_group_described(shard, image, id),
                    Err(error) => modern_error(id, error, None),
                });
                ConsumerGroupDescribeResponse::default().with_groups(groups.collect()).into()
            }
            Request::ShareGroupDescribe(asked) => {
                let groups = asked.group_ids.iter().map(|id| match shard(id) {
                    Ok(shard) => self.share_group_described(shard, image, id),
                    Err(error) => sharing_error(id, error, None),
                });
                ShareGroupDescribeResponse::default().with_groups(groups.collect()).into()
            }
            Request::DescribeGroups(asked) => {
                let groups = asked.groups.iter().map(|id| match shard(id) {
                    Ok(shard) => classic_group_described(shard, id),
                    Err(error) => {
                        plain::DescribedGroup::default().with_group_id(id.clone()).with_error_code(error.code())
                    }
                });
                DescribeGroupsResponse::default().with_groups(groups.collect()).into()
            }
            _ => return None,
        })
    }

    fn consumer_group_described(&self, shard: &Shard, image: &MetadataImage, id: &GroupId) -> modern::DescribedGroup {
        let Some(group) = shard.consumer_groups.get(id) else {
            return modern_error(id, ErrorCode::GroupIdNotFound, Some(not_found(shard, id, "consumer")));
        };
        modern::DescribedGroup::default()
            .with_group_id(id.clone())
            .with_group_state(StrBytes::from_static_str(group.state().name()))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.target_epoch)
            .with_assignor_name(self.assignor_of(group).unwrap_or_default())
            .with_members(group.members.values().map(|member| modern_member(group, member, image)).collect())
    }

    fn share_group_described(&self, shard: &Shard, image: &MetadataImage, id: &GroupId) -> sharing::DescribedGroup {
        let Some(group) = shard.share_groups.get(id) else {
            return sharing_error(id, ErrorCode::GroupIdNotFound, Some(not_found(shard, id, "share")));
        };
        sharing::DescribedGroup::default()
            .with_group_id(id.clone())
            .with_group_state(StrBytes::from_static_str(group.state().name()))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.target_epoch)
            .with_assignor_name(self.settings.share.assignor.name())
            .with_members(group.members.values().map(|member| sharing_member(member, image)).collect())
    }
}

/// ShareGroupMember.asShareGroupDescribeMember.
fn sharing_member(member: &ShareMember, image: &MetadataImage) -> sharing::Member {
    let topics = member.current.assigned.iter().filter_map(|(id, those)| {
        let (name, _) = image.topic_by_id(*id)?;
        let topic = sharing::TopicPartitions::default().with_topic_id(*id).with_topic_name(name.clone());
        Some(topic.with_partitions(those.iter().copied().collect()))
    });
    sharing::Member::default()
        .with_member_id(member.id.clone())
        .with_rack_id(member.metadata.rack.clone())
        .with_member_epoch(member.current.epoch)
        .with_client_id(member.metadata.client_id.clone())
        .with_client_host(member.metadata.client_host.clone())
        .with_subscribed_topic_names(member.metadata.topics.iter().cloned().collect())
        .with_assignment(sharing::Assignment::default().with_topic_partitions(topics.collect()))
}

fn sharing_error(id: &GroupId, error: ErrorCode, message: Option<StrBytes>) -> sharing::DescribedGroup {
    sharing::DescribedGroup::default()
        .with_group_id(id.clone())
        .with_error_code(error.code())
        .with_error_message(message)
}

/// ConsumerGroupMember.asConsumerGroupDescribeMember.
fn modern_member(group: &ConsumerGroup, member: &ConsumerMember, image: &MetadataImage) -> modern::Member {
    let metadata = &member.metadata;
    modern::Member::default()
        .with_member_id(member.id.clone())
        .with_instance_id(metadata.instance.clone())
        .with_rack_id(metadata.rack.clone())
        .with_member_epoch(member.current.epoch)
        .with_client_id(metadata.client_id.clone())
        .with_client_host(metadata.client_host.clone())
        .with_subscribed_topic_names(metadata.topics.iter().cloned().collect())
        .with_subscribed_topic_regex(metadata.regex.clone())
        .with_assignment(assignment(&member.current.assigned, image))
        .with_target_assignment(assignment(&group.target_of(&member.id), image))
        .with_member_type(i8::from(!member.is_classic()))
}

fn assignment(partitions: &Partitions, image: &MetadataImage) -> Assignment {
    let topics = partitions.iter().filter_map(|(id, those)| {
        let (name, _) = image.topic_by_id(*id)?;
        let topic = TopicPartitions::default().with_topic_id(*id).with_topic_name(name.clone());
        Some(topic.with_partitions(those.iter().copied().collect()))
    });
    Assignment::default().with_topic_partitions(topics.collect())
}

fn modern_error(id: &GroupId, error: ErrorCode, message: Option<StrBytes>) -> modern::DescribedGroup {
    modern::DescribedGroup::default()
        .with_group_id(id.clone())
        .with_error_code(error.code())
        .with_error_message(message)
}

fn classic_group_described(shard: &Shard, id: &GroupId) -> plain::DescribedGroup {
    let described = plain::DescribedGroup::default().with_group_id(id.clone());
    let Some(group) = shard.groups.get(id) else {
        return described
            .with_group_state(StrBytes::from_static_str(GroupState::Dead.name()))
            .with_error_code(ErrorCode::GroupIdNotFound.code())
            .with_error_message(Some(not_found(shard, id, "classic")));
    };
    // What a member told for the protocol is known only of a generation that has one.
    let protocol = group.protocol.clone().filter(|_| group.state == GroupState::Stable);
    described
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(group.protocol_type.clone().unwrap_or_default())
        .with_members(group.members.iter().map(|member| plain_member(group, member)).collect())
        .with_protocol_data(protocol.unwrap_or_default())
}

/// ClassicGroupMember.describe, describeNoMetadata.
fn plain_member(group: &ClassicGroup, member: &Member) -> DescribedGroupMember {
    let described = DescribedGroupMember::default()
        .with_member_id(member.id.clone())
        .with_group_instance_id(member.instance.clone())
        .with_client_id(member.client_id.clone())
        .with_client_host(member.client_host.clone())
        .with_member_assignment(member.assignment.clone());
    match group.state {
        GroupState::Stable => described.with_member_metadata(member.metadata(group.protocol.as_ref())),
        _ => described,
    }
}

/// There is no such group, or one of another kind.
fn not_found(shard: &Shard, id: &GroupId, kind: &str) -> StrBytes {
    let why = if shard.has_group(id) { format!("is not a {kind} group.") } else { "not found.".to_string() };
    StrBytes::from_string(format!("Group {} {why}", id.0))
}
