//! ALTER_SHARE_GROUP_OFFSETS (KIP-932, GroupMetadataManager.alterShareGroupOffsets): a group that nobody
//! belongs to goes on from offsets that somebody chose. The persister makes the state of those partitions
//! anew, and what was done with their records is forgotten.

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::Reply;
use crate::kafka::fact::Fact;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::share::persister::{InitializeState, PersisterRequest, SharePartitions};
use crate::kafka::group::share::records::{ShareOwn, ShareRecord};
use crate::kafka::group::share::state::{TopicPartitions, Topics};
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::kafka::node::Turn;
use crate::wire::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use crate::wire::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use crate::wire::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
use crate::wire::{ErrorCode, GroupId, Offset, TopicPartition, code};

/// Who waits for the persister, and what it is told when all is well.
#[derive(Clone, Debug, PartialEq)]
pub struct Altering {
    pub reply: Reply,
    response: AlterShareGroupOffsetsResponse,
}

pub(in crate::kafka::group) fn alter_error(error: ErrorCode) -> AlterShareGroupOffsetsResponse {
    AlterShareGroupOffsetsResponse::default().with_error_code(error.code())
}

impl Work<'_, '_> {
    pub fn alter_share_offsets(
        &mut self,
        shard: &Shard,
        image: &MetadataImage,
        context: &Context,
        request: &AlterShareGroupOffsetsRequest,
    ) -> Option<Decided> {
        let (group, reply) = (request.group_id.clone(), context.reply());
        if let Err(error) = may_alter(shard, &group) {
            self.answer(reply, alter_error(error));
            return None;
        }
        let (mut response, mut topics) = (AlterShareGroupOffsetsResponse::default(), SharePartitions::new());
        for topic in &request.topics {
            response.responses.push(altered(image, topic, &mut topics));
        }
        if topics.is_empty() {
            self.answer(reply, response);
            return None;
        }
        let known = shard.share_groups.get(&group);
        let next =
            known.map(|group| group.kind.partitions.clone()).unwrap_or_default().initializing(&named(image, &topics));
        let record = ShareRecord::Own(ShareOwn::StatePartitions(Some(next)));
        let request = InitializeState {
            group: group.clone(),
            state_epoch: known.map_or(0, |group| group.epoch),
            topics,
            altering: Some(Box::new(Altering { reply, response })),
        };
        let then = Then::AskPersister(Box::new(PersisterRequest::Initialize(request)));
        Some(Decided::record(GroupRecord::Share { group, record }, then))
    }
}

/// getOrMaybeCreateShareGroup, throwIfShareGroupIsNotEmpty: a group that is not there yet is made.
fn may_alter(shard: &Shard, group: &GroupId) -> Result<(), ErrorCode> {
    match shard.share_groups.get(group) {
        Some(group) if !group.members.is_empty() => Err(ErrorCode::NonEmptyGroup),
        None if shard.has_group(group) => Err(ErrorCode::GroupIdNotFound),
        _ => Ok(()),
    }
}

/// The answer for one topic, whose partitions that are there come to `topics`.
fn altered(
    image: &MetadataImage,
    asked: &AlterShareGroupOffsetsRequestTopic,
    topics: &mut SharePartitions,
) -> AlterShareGroupOffsetsResponseTopic {
    let topic = image.topics.get(&asked.topic_name);
    let mut answer = AlterShareGroupOffsetsResponseTopic::default().with_topic_name(asked.topic_name.clone());
    answer.topic_id = topic.map(|topic| topic.id).unwrap_or_default();
    for partition in &asked.partitions {
        let index = partition.partition_index;
        let known = topic.filter(|topic| topic.partitions.contains_key(&index));
        if let Some(topic) = known {
            topics.entry(topic.id).or_default().insert(index, Offset(partition.start_offset));
        }
        let error = known.is_none().then_some(ErrorCode::UnknownTopicOrPartition);
        let row = AlterShareGroupOffsetsResponsePartition::default().with_partition_index(index);
        answer.partitions.push(row.with_error_code(code(error)));
    }
    answer
}

fn named(image: &MetadataImage, topics: &SharePartitions) -> Topics {
    let named = |(id, those): (&_, &crate::sorted::SortedMap<i32, Offset>)| {
        let name = image.topic_names.get(id)?.clone();
        Some((*id, TopicPartitions { name, partitions: those.keys().copied().collect() }))
    };
    topics.iter().filter_map(named).collect()
}

/// The persister has an outcome: whoever asked hears of it (GroupCoordinatorService.buildErrorResponse).
pub(in crate::kafka::group) fn answer_altering(
    turn: &mut Turn<'_>,
    image: &MetadataImage,
    request: &InitializeState,
    result: Result<(), ErrorCode>,
) {
    let Some(Altering { reply, mut response }) = request.altering.as_deref().cloned() else { return };
    match result {
        Ok(()) => {
            let offsets = request.topics.iter().flat_map(|(id, those)| {
                let name = image.topic_names.get(id);
                those.iter().filter_map(move |(index, at)| Some((TopicPartition::new(name?.clone(), *index), *at)))
            });
            turn.tell(Fact::ShareOffsetsAltered { group: request.group.clone(), offsets: offsets.collect() });
        }
        Err(error) => {
            let rows = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
            rows.filter(|row| row.error_code == 0).for_each(|row| row.error_code = error.code());
        }
    }
    reply.send(turn, response);
}
