//! PRODUCE (ReplicaManager.appendRecords, DelayedProduce): appended by the leader, and with
//! acks=all answered when the in-sync replicas have it.

use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::purgatory::WaitId;
use crate::kafka::broker::verification::Verified;
use crate::kafka::fact::Fact;
use crate::kafka::log::producer_state::VerificationGuard;
use crate::kafka::log::{Appended, Origin};
use crate::kafka::node::Turn;
use crate::kafka::replica::Claim;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::time::Duration;
use crate::wire::{Correlation, ErrorCode, NodeId, Offset, TopicPartition, Uuid};

/// A partition's answer while it is being made.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    partition: TopicPartition,
    topic_id: Uuid,
    response: PartitionProduceResponse,
    /// The high watermark that this partition must reach; `None` once it is decided.
    required: Option<Offset>,
}

/// An acks=all request that waits for the in-sync replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct DelayedProduce {
    from: NodeId,
    correlation: Correlation,
    answers: Vec<Answer>,
}

impl Process {
    /// `verified` says of partitions of a transaction what the coordinator says of them.
    pub(super) fn produce(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        (from, correlation): (NodeId, Correlation),
        request: &ProduceRequest,
        verified: &Verified,
    ) {
        let mut answers = Vec::new();
        for topic in &request.topic_data {
            let name = self.image.topic_names.get(&topic.topic_id).cloned();
            for data in &topic.partition_data {
                let partition = TopicPartition { topic: name.clone().unwrap_or_default(), partition: data.index };
                let response = PartitionProduceResponse::default().with_index(data.index);
                let mut answer = Answer { partition, topic_id: topic.topic_id, response, required: None };
                if name.is_none() {
                    answer.refuse(ErrorCode::UnknownTopicId);
                } else {
                    self.produce_partition(disk, turn, &mut answer, data, request.acks, verified);
                }
                answers.push(answer);
            }
        }
        // acks=0: nobody waits for an answer. A closed connection is all that tells the producer of an
        // error, so that it looks for the leader anew (KafkaApis.handleProduceRequest).
        if request.acks == 0 {
            if answers.iter().any(|answer| answer.response.error_code != 0) {
                turn.close(from);
            }
            return;
        }
        let waits: Vec<TopicPartition> =
            answers.iter().filter(|a| a.required.is_some()).map(|a| a.partition.clone()).collect();
        let delayed = DelayedProduce { from, correlation, answers };
        if waits.is_empty() {
            self.answer_produce(turn, delayed);
            return;
        }
        let deadline = turn.now + Duration::from_millis(i64::from(request.timeout_ms));
        let id = self.produces.add(deadline, waits, delayed);
        self.check_produce(disk, turn, id);
    }

    /// Something happened to a partition: the requests that wait for it are looked at again.
    pub(super) fn touch_produces(&mut self, disk: &Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        for id in self.produces.watching(partition) {
            self.check_produce(disk, turn, id);
        }
    }

    /// What could not be replicated in time may still be committed later.
    pub(super) fn expire_produces(&mut self, turn: &mut Turn<'_>) {
        while let Some(mut delayed) = self.produces.take_expired(turn.now) {
            for answer in delayed.answers.iter_mut().filter(|answer| answer.required.is_some()) {
                answer.refuse(ErrorCode::RequestTimedOut);
            }
            self.answer_produce(turn, delayed);
        }
    }

    fn produce_partition(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        answer: &mut Answer,
        data: &PartitionProduceData,
        acks: i16,
        verified: &Verified,
    ) {
        let result = match verified.get(&answer.partition) {
            Some(Err(error)) => Err(*error),
            Some(Ok(guard)) => self.produce_records(disk, turn, &answer.partition, data, acks, Some(*guard)),
            None => self.produce_records(disk, turn, &answer.partition, data, acks, None),
        };
        match result {
            Ok(appended) => {
                answer.response.base_offset = appended.first.0;
                answer.response.log_append_time_ms = appended.log_append_time;
                let start = disk.log(&answer.partition).map_or(-1, |log| log.log_start().0);
                answer.response.log_start_offset = start;
                answer.required = (acks == -1).then_some(appended.last.next());
            }
            Err(error) => {
                let (partition, broker) = (answer.partition.clone(), self.id);
                turn.tell(Fact::ProduceRefused { partition, broker, error });
                answer.refuse(error);
            }
        }
    }

    fn produce_records(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        data: &PartitionProduceData,
        acks: i16,
        guard: Option<VerificationGuard>,
    ) -> Result<Appended, ErrorCode> {
        if !(-1..=1).contains(&acks) {
            return Err(ErrorCode::InvalidRequiredAcks);
        }
        if partition.is_internal() {
            return Err(ErrorCode::InvalidTopicException);
        }
        let records = data.records.clone().unwrap_or_default();
        self.append(disk, turn, partition, records, Claim { guard, ..Claim::new(acks, Origin::Client) })
    }

    /// DelayedProduce.tryComplete.
    fn check_produce(&mut self, disk: &Disk, turn: &mut Turn<'_>, id: WaitId) {
        let Some(delayed) = self.produces.get_mut(id) else { return };
        let mut waiting = false;
        for answer in &mut delayed.answers {
            let Some(required) = answer.required else { continue };
            let checked = match (self.replicas.get(&answer.partition), disk.log(&answer.partition)) {
                (Some(replica), Some(log)) => replica.check_acks(log, required),
                _ => Some(Err(ErrorCode::UnknownTopicOrPartition)),
            };
            match checked {
                None => waiting = true,
                Some(Ok(())) => answer.required = None,
                Some(Err(error)) => answer.refuse(error),
            }
        }
        if !waiting && let Some(delayed) = self.produces.remove(id) {
            self.answer_produce(turn, delayed);
        }
    }

    fn answer_produce(&self, turn: &mut Turn<'_>, delayed: DelayedProduce) {
        let mut response = ProduceResponse::default();
        for mut answer in delayed.answers {
            if answer.response.error_code == ErrorCode::NotLeaderOrFollower.code() {
                self.hint_producer(&answer.partition, &mut answer.response, &mut response);
            }
            match response.responses.last_mut() {
                Some(topic) if topic.topic_id == answer.topic_id => topic.partition_responses.push(answer.response),
                _ => response.responses.push(
                    TopicProduceResponse::default()
                        .with_topic_id(answer.topic_id)
                        .with_partition_responses(vec![answer.response]),
                ),
            }
        }
        turn.respond(delayed.from, delayed.correlation, response);
    }

    /// KIP-951: who leads instead, and where that broker is.
    fn hint_producer(
        &self,
        partition: &TopicPartition,
        answer: &mut PartitionProduceResponse,
        response: &mut ProduceResponse,
    ) {
        let Some((leader, epoch)) = super::leader_hint(&self.image, &self.replicas, partition) else { return };
        answer.current_leader = LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch.0);
        let known = response.node_endpoints.iter().any(|node| node.node_id == leader);
        if !known && let Some(host) = super::endpoint(&self.image, leader) {
            let node = NodeEndpoint::default().with_node_id(leader).with_host(host.name);
            response.node_endpoints.push(node.with_port(host.port).with_rack(host.rack));
        }
    }
}

impl Answer {
    fn refuse(&mut self, error: ErrorCode) {
        self.required = None;
        self.response.error_code = error.code();
        self.response.base_offset = -1;
    }
}
