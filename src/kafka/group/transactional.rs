//! TXN_OFFSET_COMMIT: offsets that are committed if, and only if, a producer's transaction is
//! (OffsetMetadataManager.commitTransactionalOffset; KIP-98, KIP-447).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::records::{CommittedOffset, GroupRecord};
use crate::kafka::group::work::{Context, Decided, Shard, Then, Work};
use crate::wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use crate::wire::{ErrorCode, LeaderEpoch, Offset, TopicPartition, code};

impl Work<'_, '_> {
    /// Nothing is told when the write is done: the offsets are not committed before the transaction is.
    /// Partitions that the cluster does not know are refused one by one (KafkaApis).
    pub fn txn_commit(
        &mut self,
        shard: &mut Shard,
        image: &MetadataImage,
        context: &Context,
        request: &TxnOffsetCommitRequest,
    ) -> Option<Decided> {
        if let Err(error) = validate(shard, request) {
            self.answer(context.reply(), refuse_txn_commit(request, error));
            return None;
        }
        let now = self.now().millis();
        let mut records = Vec::new();
        let mut response = TxnOffsetCommitResponse::default();
        for topic in &request.topics {
            let mut answer = TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone());
            for part in &topic.partitions {
                let partition = TopicPartition { topic: topic.name.clone(), partition: part.partition_index };
                let metadata = part.committed_metadata.clone().unwrap_or_default();
                let refused = match image.partition(&partition) {
                    None => Some(ErrorCode::UnknownTopicOrPartition),
                    Some(_) if self.is_metadata_too_large(&metadata) => Some(ErrorCode::OffsetMetadataTooLarge),
                    Some(_) => None,
                };
                let row = TxnOffsetCommitResponsePartition::default().with_partition_index(part.partition_index);
                answer.partitions.push(row.with_error_code(code(refused)));
                if refused.is_some() {
                    continue;
                }
                let value = CommittedOffset {
                    offset: Offset(part.committed_offset),
                    leader_epoch: LeaderEpoch(part.committed_leader_epoch),
                    metadata,
                    commit_timestamp: now,
                    expire_timestamp: None,
                };
                records.push(GroupRecord::Offset { group: request.group_id.clone(), partition, value: Some(value) });
            }
            response.topics.push(answer);
        }
        if records.is_empty() {
            self.answer(context.reply(), response);
            return None;
        }
        let then = Then::Answer { reply: context.reply(), response: Box::new(response.into()), facts: Vec::new() };
        let producer = Some((request.producer_id, request.producer_epoch));
        Some(Decided { producer, ..Decided::plain(records, then) })
    }
}

/// OffsetMetadataManager.validateTransactionalOffsetCommit: whoever the group does not know, or knows
/// of another generation, is refused; that fences a zombie (KIP-447). Unlike a plain commit, one without
/// a member is taken in every state, and one while the group completes a rebalance too.
fn validate(shard: &Shard, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
    let generation = request.generation_id;
    if let Some(group) = shard.consumer_groups.get(&request.group_id) {
        return group.validate_txn_offset_commit(&request.member_id, request.group_instance_id.as_ref(), generation);
    }
    if shard.share_groups.contains_key(&request.group_id) {
        return Err(ErrorCode::GroupIdNotFound);
    }
    match shard.groups.get(&request.group_id) {
        Some(group) => {
            group.validate_txn_offset_commit(&request.member_id, request.group_instance_id.as_ref(), generation)
        }
        None if generation < 0 => Ok(()),
        None => Err(ErrorCode::IllegalGeneration),
    }
}

/// The same error for every partition.
pub(super) fn refuse_txn_commit(request: &TxnOffsetCommitRequest, error: ErrorCode) -> TxnOffsetCommitResponse {
    let mut response = TxnOffsetCommitResponse::default();
    for topic in &request.topics {
        let row = |index: i32| TxnOffsetCommitResponsePartition::default().with_partition_index(index);
        let rows = topic.partitions.iter().map(|p| row(p.partition_index).with_error_code(error.code()));
        let answer = TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone());
        response.topics.push(answer.with_partitions(rows.collect()));
    }
    response
}
