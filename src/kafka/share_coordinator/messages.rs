//! The coordinator's requests and answers: all five name share partitions by topic id.

use crate::kafka::coordinator::Reply;
use crate::kafka::node::Turn;
use crate::kafka::share::{RecordState, StateBatch};
use crate::kafka::share_coordinator::PartResult;
use crate::kafka::share_coordinator::state::{Known, Op};
use crate::wire::messages::delete_share_group_state_response as delete;
use crate::wire::messages::initialize_share_group_state_response as initialize;
use crate::wire::messages::read_share_group_state_response as read;
use crate::wire::messages::read_share_group_state_summary_response as summary;
use crate::wire::messages::write_share_group_state_response as write;
use crate::wire::messages::{
    DeleteShareGroupStateResponse, InitializeShareGroupStateResponse, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryResponse, WriteShareGroupStateResponse,
};
use crate::wire::{ApiKey, GroupId, LeaderEpoch, Offset, Request, StrBytes, Uuid};

/// The group, and what is asked of each of its share partitions.
pub(super) fn parts(request: &Request) -> (GroupId, Vec<(Uuid, i32, Op)>) {
    let mut parts = Vec::new();
    let group = match request {
        Request::InitializeShareGroupState(request) => {
            for topic in &request.topics {
                parts.extend(topic.partitions.iter().map(|asked| {
                    let op = Op::Initialize { state_epoch: asked.state_epoch, start: Offset(asked.start_offset) };
                    (topic.topic_id, asked.partition, op)
                }));
            }
            &request.group_id
        }
        Request::ReadShareGroupState(request) => {
            for topic in &request.topics {
                parts.extend(topic.partitions.iter().map(|asked| {
                    let op = Op::Read { leader_epoch: LeaderEpoch(asked.leader_epoch) };
                    (topic.topic_id, asked.partition, op)
                }));
            }
            &request.group_id
        }
        Request::WriteShareGroupState(request) => {
            for topic in &request.topics {
                parts.extend(topic.partitions.iter().map(|asked| {
                    let batches = asked.state_batches.iter().filter_map(|batch| {
                        Some(StateBatch {
                            first: Offset(batch.first_offset),
                            last: Offset(batch.last_offset),
                            delivery_count: batch.delivery_count,
                            state: RecordState::from_id(batch.delivery_state)?,
                        })
                    });
                    let op = Op::Write {
                        state_epoch: asked.state_epoch,
                        leader_epoch: LeaderEpoch(asked.leader_epoch),
                        start: Offset(asked.start_offset),
                        batches: batches.collect(),
                    };
                    (topic.topic_id, asked.partition, op)
                }));
            }
            &request.group_id
        }
        Request::DeleteShareGroupState(request) => {
            for topic in &request.topics {
                parts.extend(topic.partitions.iter().map(|asked| (topic.topic_id, asked.partition, Op::Delete)));
            }
            &request.group_id
        }
        Request::ReadShareGroupStateSummary(request) => {
            for topic in &request.topics {
                parts.extend(topic.partitions.iter().map(|asked| (topic.topic_id, asked.partition, Op::ReadSummary)));
            }
            &request.group_id
        }
        _ => return (GroupId(StrBytes::default()), parts),
    };
    (GroupId(group.clone()), parts)
}

/// The answer to a request of that kind.
pub(super) fn respond(turn: &mut Turn<'_>, reply: Reply, api: ApiKey, results: Vec<PartResult>) {
    let topics: Vec<(Uuid, &[PartResult])> =
        results.chunk_by(|a, b| a.topic == b.topic).map(|topic| (topic[0].topic, topic)).collect();
    match api {
        ApiKey::InitializeShareGroupState => {
            let partition = |part: &PartResult| {
                initialize::PartitionResult::default().with_partition(part.partition).with_error_code(part.error_code())
            };
            let results = topics.into_iter().map(|(id, parts)| {
                let partitions = parts.iter().map(partition).collect();
                initialize::InitializeStateResult::default().with_topic_id(id).with_partitions(partitions)
            });
            reply.send(turn, InitializeShareGroupStateResponse::default().with_results(results.collect()));
        }
        ApiKey::ReadShareGroupState => {
            let results = topics.into_iter().map(|(id, parts)| {
                let partitions = parts.iter().map(read_result).collect();
                read::ReadStateResult::default().with_topic_id(id).with_partitions(partitions)
            });
            reply.send(turn, ReadShareGroupStateResponse::default().with_results(results.collect()));
        }
        ApiKey::WriteShareGroupState => {
            let partition = |part: &PartResult| {
                write::PartitionResult::default().with_partition(part.partition).with_error_code(part.error_code())
            };
            let results = topics.into_iter().map(|(id, parts)| {
                let partitions = parts.iter().map(partition).collect();
                write::WriteStateResult::default().with_topic_id(id).with_partitions(partitions)
            });
            reply.send(turn, WriteShareGroupStateResponse::default().with_results(results.collect()));
        }
        ApiKey::DeleteShareGroupState => {
            let partition = |part: &PartResult| {
                delete::PartitionResult::default().with_partition(part.partition).with_error_code(part.error_code())
            };
            let results = topics.into_iter().map(|(id, parts)| {
                let partitions = parts.iter().map(partition).collect();
                delete::DeleteStateResult::default().with_topic_id(id).with_partitions(partitions)
            });
            reply.send(turn, DeleteShareGroupStateResponse::default().with_results(results.collect()));
        }
        _ => {
            let results = topics.into_iter().map(|(id, parts)| {
                let partitions = parts.iter().map(summary_result).collect();
                summary::ReadStateSummaryResult::default().with_topic_id(id).with_partitions(partitions)
            });
            reply.send(turn, ReadShareGroupStateSummaryResponse::default().with_results(results.collect()));
        }
    }
}

fn read_result(part: &PartResult) -> read::PartitionResult {
    let result = read::PartitionResult::default().with_partition(part.partition).with_error_code(part.error_code());
    let Ok(Some(Known { state_epoch, leader_epoch: _, start, batches })) = &part.known else { return result };
    let batch = |batch: &StateBatch| {
        read::StateBatch::default()
            .with_first_offset(batch.first.0)
            .with_last_offset(batch.last.0)
            .with_delivery_state(batch.state.id())
            .with_delivery_count(batch.delivery_count)
    };
    let batches = batches.iter().map(batch).collect();
    result.with_state_epoch(*state_epoch).with_start_offset(start.0).with_state_batches(batches)
}

fn summary_result(part: &PartResult) -> summary::PartitionResult {
    let result = summary::PartitionResult::default().with_partition(part.partition).with_error_code(part.error_code());
    let Ok(Some(Known { state_epoch, leader_epoch, start, batches: _ })) = &part.known else { return result };
    result.with_state_epoch(*state_epoch).with_leader_epoch(leader_epoch.0).with_start_offset(start.0)
}
