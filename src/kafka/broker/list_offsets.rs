//! LIST_OFFSETS and OFFSET_FOR_LEADER_EPOCH.

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::log::{EpochEnd, Log};
use crate::kafka::replica::Partition;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::kafka::replica::offsets::Isolation;
use crate::wire::{ErrorCode, LeaderEpoch, TopicName, TopicPartition};

impl Process {
    pub(super) fn list_offsets(&self, disk: &Disk, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let isolation = match (request.replica_id.0, request.isolation_level) {
            (-1, 1) => Isolation::ReadCommitted,
            (-1, _) => Isolation::ReadUncommitted,
            _ => Isolation::Replica,
        };
        let topics = request.topics.iter().map(|topic| {
            let answers = topic.partitions.iter().map(|asked| self.list_offset(disk, &topic.name, asked, isolation));
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(answers.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    pub(super) fn offset_for_leader_epoch(
        &self,
        disk: &Disk,
        request: &OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.iter().map(|topic| {
            let answers = topic.partitions.iter().map(|asked| self.end_of_epoch(disk, &topic.topic, asked));
            OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(answers.collect())
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    fn list_offset(
        &self,
        disk: &Disk,
        topic: &TopicName,
        asked: &ListOffsetsPartition,
        isolation: Isolation,
    ) -> ListOffsetsPartitionResponse {
        let answer = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
        let found = self.replica_and_log(disk, topic, asked.partition_index).and_then(|(replica, log)| {
            replica.list_offset(log, epoch(asked.current_leader_epoch), asked.timestamp, isolation)
        });
        match found {
            Ok(None) => answer,
            Ok(Some(found)) => answer
                .with_timestamp(found.timestamp)
                .with_offset(found.offset.0)
                .with_leader_epoch(found.leader_epoch.0),
            Err(error) => answer.with_error_code(error.code()),
        }
    }

    fn end_of_epoch(&self, disk: &Disk, topic: &TopicName, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
        let answer = EpochEndOffset::default().with_partition(asked.partition);
        let end = self.replica_and_log(disk, topic, asked.partition).and_then(|(replica, log)| {
            let claimed = epoch(asked.current_leader_epoch);
            replica.end_offset_for_epoch(log, claimed, true, LeaderEpoch(asked.leader_epoch))
        });
        match end {
            Ok(Some(EpochEnd { epoch, end })) => answer.with_leader_epoch(epoch.0).with_end_offset(end.0),
            Ok(None) => answer.with_leader_epoch(-1).with_end_offset(-1),
            Err(error) => answer.with_leader_epoch(-1).with_end_offset(-1).with_error_code(error.code()),
        }
    }

    fn replica_and_log<'a>(
        &'a self,
        disk: &'a Disk,
        topic: &TopicName,
        index: i32,
    ) -> Result<(&'a Partition, &'a Log), ErrorCode> {
        let partition = TopicPartition::new(topic.clone(), index);
        let replica = self.replicas.get(&partition).zip(disk.log(&partition));
        replica.map(|(replica, log)| (replica.as_ref(), log)).ok_or_else(|| self.absent_error(&partition))
    }
}

fn epoch(code: i32) -> Option<LeaderEpoch> {
    (code >= 0).then_some(LeaderEpoch(code))
}
