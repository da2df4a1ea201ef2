//! DELETE_RECORDS (KIP-107; DelayedDeleteRecords): the leader's log start moves at once, the answer
//! waits until every living replica followed.

use std::sync::Arc;

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::purgatory::WaitId;
use crate::kafka::broker::{ImageLiveness, Process};
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::time::Duration;
use crate::wire::{Correlation, ErrorCode, NodeId, Offset, TopicPartition};

#[derive(Clone, Debug, PartialEq)]
struct Answer {
    partition: TopicPartition,
    result: DeleteRecordsPartitionResult,
    /// The low watermark that must be reached; `None` once it is decided.
    required: Option<Offset>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DelayedDelete {
    from: NodeId,
    correlation: Correlation,
    answers: Vec<Answer>,
}

impl Process {
    pub(super) fn delete_records(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &DeleteRecordsRequest,
    ) {
        let mut answers = Vec::new();
        for topic in &request.topics {
            for asked in &topic.partitions {
                let partition = TopicPartition::new(topic.name.clone(), asked.partition_index);
                answers.push(self.delete_before(disk, turn, partition, Offset(asked.offset)));
            }
        }
        let waits = answers.iter().filter(|answer| answer.required.is_some());
        let waits: Vec<TopicPartition> = waits.map(|answer| answer.partition.clone()).collect();
        let delayed = DelayedDelete { from, correlation, answers };
        let deadline = turn.now + Duration::from_millis(i64::from(request.timeout_ms));
        let id = self.deletes.add(deadline, waits, delayed);
        self.check_delete(disk, turn, id);
    }

    /// A follower's log start moved, or the partition changed otherwise.
    pub(super) fn touch_deletes(&mut self, disk: &Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        for id in self.deletes.watching(partition) {
            self.check_delete(disk, turn, id);
        }
    }

    pub(super) fn expire_deletes(&mut self, turn: &mut Turn<'_>) {
        while let Some(mut delayed) = self.deletes.take_expired(turn.now) {
            for answer in delayed.answers.iter_mut().filter(|answer| answer.required.is_some()) {
                answer.refuse(ErrorCode::RequestTimedOut);
            }
            answer_delete(turn, delayed);
        }
    }

    fn delete_before(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: TopicPartition,
        before: Offset,
    ) -> Answer {
        let result = DeleteRecordsPartitionResult::default().with_partition_index(partition.partition);
        let absent = self.absent_error(&partition);
        let done = match self.replicas.get_mut(&partition).map(Arc::make_mut).zip(disk.log_mut(&partition)) {
            _ if partition.is_internal() => Err(ErrorCode::InvalidTopicException),
            Some((replica, log)) => replica.delete_records(log, before),
            None => Err(absent),
        };
        let mut answer = Answer { partition, result, required: None };
        match done {
            Ok((required, moved)) => {
                answer.required = Some(required);
                if moved {
                    let (partition, broker) = (answer.partition.clone(), self.id);
                    turn.tell(Fact::LogStartMoved { partition, broker, to: required });
                    self.touched.insert(answer.partition.clone());
                }
            }
            Err(error) => answer.refuse(error),
        }
        answer
    }

    fn check_delete(&mut self, disk: &Disk, turn: &mut Turn<'_>, id: WaitId) {
        let liveness = ImageLiveness { me: self.id, my_epoch: self.lifecycle.broker_epoch(), image: &self.image };
        let Some(delayed) = self.deletes.get_mut(id) else { return };
        let mut waiting = false;
        for answer in &mut delayed.answers {
            let Some(required) = answer.required else { continue };
            match self.replicas.get(&answer.partition).zip(disk.log(&answer.partition)) {
                Some((replica, log)) if replica.is_leader() => {
                    let low = replica.low_watermark(log, &liveness);
                    if low >= required {
                        answer.required = None;
                        answer.result.low_watermark = low.0;
                    } else {
                        waiting = true;
                    }
                }
                Some(_) => answer.refuse(ErrorCode::NotLeaderOrFollower),
                None => answer.refuse(ErrorCode::UnknownTopicOrPartition),
            }
        }
        if !waiting && let Some(delayed) = self.deletes.remove(id) {
            answer_delete(turn, delayed);
        }
    }
}

impl Answer {
    fn refuse(&mut self, error: ErrorCode) {
        self.required = None;
        self.result.error_code = error.code();
        self.result.low_watermark = -1;
    }
}

fn answer_delete(turn: &mut Turn<'_>, delayed: DelayedDelete) {
    let mut response = DeleteRecordsResponse::default();
    for answer in delayed.answers {
        match response.topics.last_mut() {
            Some(topic) if topic.name == answer.partition.topic => topic.partitions.push(answer.result),
            _ => response.topics.push(
                DeleteRecordsTopicResult::default()
                    .with_name(answer.partition.topic)
                    .with_partitions(vec![answer.result]),
            ),
        }
    }
    turn.respond(delayed.from, delayed.correlation, response);
}
