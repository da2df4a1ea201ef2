//! The admin client against brokers that the test plays.

use crate::kafka::client::Admin;
use crate::kafka::client::testing::Bench;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Command, Input, OffsetTarget};
use crate::wire::messages::create_topics_request::CreatableTopic;
use crate::wire::messages::create_topics_response::CreatableTopicResult;
use crate::wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::wire::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::wire::messages::*;
use crate::wire::{ApiKey, ClientId, ErrorCode, NodeId, Request, code, str_bytes, topic_name};

const TWO: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0), (2, 0)])];

fn admin() -> Bench<Admin> {
    Bench::start(Admin::new(ClientId(0), vec![NodeId::broker(1), NodeId::broker(2)]), TWO)
}

fn create_orders() -> Command {
    let topic = CreatableTopic::default().with_name(topic_name("orders")).with_num_partitions(3);
    Command::Admin(Box::new(CreateTopicsRequest::default().with_topics(vec![topic]).into()))
}

fn created(error: Option<ErrorCode>, message: &str) -> CreateTopicsResponse {
    let result = CreatableTopicResult::default()
        .with_name(topic_name("orders"))
        .with_error_code(code(error))
        .with_error_message(error.map(|_| str_bytes(message)));
    CreateTopicsResponse::default().with_topics(vec![result])
}

fn last_error(bench: &Bench<Admin>) -> Option<String> {
    let operation = bench.node.last_operation();
    bench.node.outcome(operation).unwrap().error.as_ref().map(|e| e.to_string())
}

#[test]
fn a_request_is_tried_again_until_a_controller_answers() {
    let mut bench = admin();
    bench.command(create_orders());
    let (from, correlation, _) = bench.take(ApiKey::CreateTopics);
    bench.answer(from, correlation, created(Some(ErrorCode::NotController), ""));
    bench.run_to(200);
    bench.take(ApiKey::CreateTopics);
    bench.input(Input::Disconnected { peer: from });
    bench.run_to(1_000);
    let (from, correlation, _) = bench.take(ApiKey::CreateTopics);
    assert_eq!(bench.node.outcome(1), None);
    bench.answer(from, correlation, created(None, ""));
    assert_eq!(last_error(&bench), None);
    assert_eq!(bench.node.outcome(1).unwrap().what.as_str(), "create topic orders");
    assert!(matches!(bench.facts.last(), Some(Fact::AdminDone { error: None, .. })));
}

#[test]
fn a_refusal_is_told_in_kafkas_words() {
    let mut bench = admin();
    bench.command(create_orders());
    let (from, correlation, _) = bench.take(ApiKey::CreateTopics);
    bench.answer(from, correlation, created(Some(ErrorCode::TopicAlreadyExists), "Topic 'orders' already exists."));
    assert_eq!(last_error(&bench).unwrap(), "TOPIC_ALREADY_EXISTS: Topic 'orders' already exists.");
}

#[test]
fn an_operation_that_nobody_answers_ends_after_a_minute() {
    let mut bench = admin();
    bench.command(create_orders());
    bench.run_to(59_000);
    assert_eq!(bench.node.outstanding().count(), 1);
    bench.run_to(60_000);
    assert!(last_error(&bench).unwrap().starts_with("REQUEST_TIMED_OUT"));
    assert_eq!(bench.node.outstanding().count(), 0);
}

#[test]
fn delete_records_goes_to_the_leader_of_the_partition() {
    let mut bench = admin();
    let partition = DeleteRecordsPartition::default().with_partition_index(1).with_offset(5);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    bench.command(Command::Admin(Box::new(DeleteRecordsRequest::default().with_topics(vec![topic]).into())));
    bench.run_to(200);
    let (from, correlation, _) = bench.take(ApiKey::DeleteRecords);
    assert_eq!(from, NodeId::broker(2));
    let result = DeleteRecordsPartitionResult::default()
        .with_partition_index(1)
        .with_error_code(code(Some(ErrorCode::OffsetOutOfRange)));
    let topic = DeleteRecordsTopicResult::default().with_name(topic_name("orders")).with_partitions(vec![result]);
    bench.answer(from, correlation, DeleteRecordsResponse::default().with_topics(vec![topic]));
    assert_eq!(last_error(&bench).unwrap(), "OFFSET_OUT_OF_RANGE");
}

/// The coordinator knows a classic group in this state.
fn describe(bench: &mut Bench<Admin>, to: OffsetTarget, state: &'static str) {
    bench.command(Command::ResetOffsets { share: false, group: str_bytes("billing"), topic: topic_name("orders"), to });
    let (from, correlation, _) = bench.take(ApiKey::FindCoordinator);
    let coordinator = Coordinator::default().with_node_id(BrokerId(3));
    bench.answer(from, correlation, FindCoordinatorResponse::default().with_coordinators(vec![coordinator]));
    let (from, correlation, _) = bench.take(ApiKey::ConsumerGroupDescribe);
    let none = consumer_group_describe_response::DescribedGroup::default()
        .with_error_code(code(Some(ErrorCode::GroupIdNotFound)));
    bench.answer(from, correlation, ConsumerGroupDescribeResponse::default().with_groups(vec![none]));
    let (from, correlation, _) = bench.take(ApiKey::DescribeGroups);
    let group = describe_groups_response::DescribedGroup::default().with_group_state(str_bytes(state));
    bench.answer(from, correlation, DescribeGroupsResponse::default().with_groups(vec![group]));
}

/// Plays the answers up to the commit: `orders-0` holds 2 to 10, `orders-1` 0 to 4; committed at 3.
fn reset(bench: &mut Bench<Admin>, to: OffsetTarget) -> Vec<i64> {
    describe(bench, to, "Empty");
    bench.run_for(crate::time::Duration::from_millis(200));
    while let Some((from, correlation, request)) = bench.try_take(ApiKey::ListOffsets) {
        let Request::ListOffsets(request) = request else { unreachable!() };
        let asked = &request.topics[0].partitions[0];
        let offset = match (asked.partition_index, asked.timestamp) {
            (0, -2) => 2,
            (0, -1) => 10,
            (1, -2) => 0,
            (1, -1) => 4,
            (0, _) => 7,
            _ => -1,
        };
        let told =
            ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(offset);
        let topic = ListOffsetsTopicResponse::default().with_name(topic_name("orders")).with_partitions(vec![told]);
        bench.answer(from, correlation, ListOffsetsResponse::default().with_topics(vec![topic]));
    }
    if let Some((from, correlation, _)) = bench.try_take(ApiKey::OffsetFetch) {
        let committed = |p| OffsetFetchResponsePartitions::default().with_partition_index(p).with_committed_offset(3);
        let topic = OffsetFetchResponseTopics::default()
            .with_name(topic_name("orders"))
            .with_partitions(vec![committed(0), committed(1)]);
        let group = OffsetFetchResponseGroup::default().with_topics(vec![topic]);
        bench.answer(from, correlation, OffsetFetchResponse::default().with_groups(vec![group]));
    }
    let place = bench.sent.iter().position(|(_, _, r)| r.api() == ApiKey::OffsetCommit).unwrap();
    let Request::OffsetCommit(request) = &bench.sent[place].2 else { unreachable!() };
    assert_eq!(request.generation_id_or_member_epoch, -1);
    request.topics[0].partitions.iter().map(|p| p.committed_offset).collect()
}

fn commit_answer(bench: &mut Bench<Admin>, error: Option<ErrorCode>) {
    let (from, correlation, _) = bench.take(ApiKey::OffsetCommit);
    let partition = OffsetCommitResponsePartition::default().with_error_code(code(error));
    let topic = OffsetCommitResponseTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    bench.answer(from, correlation, OffsetCommitResponse::default().with_topics(vec![topic]));
}

#[test]
fn offsets_are_reset_within_the_log_and_committed_without_a_member() {
    for (to, expect) in [
        (OffsetTarget::Earliest, [2, 0]),
        (OffsetTarget::Latest, [10, 4]),
        (OffsetTarget::Offset(crate::wire::Offset(5)), [5, 4]),
        (OffsetTarget::Shift(-5), [2, 0]),
        (OffsetTarget::Timestamp(1_000), [7, 4]),
        (OffsetTarget::Current, [3, 3]),
    ] {
        let mut bench = admin();
        assert_eq!(reset(&mut bench, to), expect, "{to:?}");
        commit_answer(&mut bench, None);
        assert_eq!(last_error(&bench), None);
    }
}

#[test]
fn a_group_with_members_refuses_to_be_reset() {
    let mut bench = admin();
    describe(&mut bench, OffsetTarget::Earliest, "PreparingRebalance");
    assert_eq!(
        last_error(&bench).unwrap(),
        "Assignments can only be reset if the group 'billing' is inactive, but the current state is PreparingRebalance."
    );
    // Somebody may join after the tool has looked.
    let mut bench = admin();
    reset(&mut bench, OffsetTarget::Earliest);
    commit_answer(&mut bench, Some(ErrorCode::UnknownMemberId));
    assert_eq!(last_error(&bench).unwrap(), "UNKNOWN_MEMBER_ID");
}
