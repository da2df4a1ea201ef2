//! The consumer against brokers that the test plays.

use bytes::Bytes;

use crate::kafka::client::Consumer;
use crate::kafka::client::membership::encode_assignment;
use crate::kafka::client::testing::{Bench, topic_id};
use crate::kafka::config::{ConsumerConfig, OffsetReset};
use crate::kafka::fact::{Fact, PositionReason};
use crate::kafka::node::{Command, Input, SeekTo};
use crate::time::{Duration, Instant};
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::messages::fetch_response::{FetchableTopicResponse, LeaderIdAndEpoch, PartitionData};
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::join_group_response::JoinGroupResponseMember;
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::wire::messages::*;
use crate::wire::{
    ApiKey, ClientId, ErrorCode, LeaderEpoch, NodeId, Offset, Request, Response, TopicPartition, code, str_bytes,
    topic_name,
};

const ONE: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0)])];
const TWO: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0), (2, 0)])];

pub(super) fn consumer(topics: &[(&str, &[(i32, i32)])], change: impl FnOnce(&mut ConsumerConfig)) -> Bench<Consumer> {
    let mut config = ConsumerConfig { offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() };
    change(&mut config);
    let consumer =
        Consumer::new(ClientId(2), "c1", "billing", &["orders".to_string()], vec![NodeId::broker(1)], config);
    Bench::start(consumer, topics)
}

/// A stored batch of `count` records from `base` on.
pub(super) fn batch(base: i64, count: i64, epoch: i32) -> Bytes {
    let header = BatchHeader::PLAIN;
    let records: Vec<NewRecord> = (0..count)
        .map(|i| NewRecord {
            timestamp: 1,
            key: None,
            value: Some(Bytes::from(format!("v{}", base + i))),
            headers: Vec::new(),
        })
        .collect();
    Batch::build(&header, &records).stamped(Offset(base), LeaderEpoch(epoch)).bytes().clone()
}

pub(super) fn answer_to(
    bench: &mut Bench<Consumer>,
    api: ApiKey,
    respond: impl FnOnce(&Request) -> Response,
) -> NodeId {
    let (from, correlation, request) = bench.take(api);
    let response = respond(&request);
    bench.answer(from, correlation, response);
    from
}

/// Plays the coordinator (broker 3) until the member is in the group with these partitions.
pub(super) fn join(bench: &mut Bench<Consumer>, partitions: &[i32], generation: i32, as_leader: bool) {
    if bench.try_take_coordinator() {
        answer_to(bench, ApiKey::JoinGroup, |_| {
            JoinGroupResponse::default()
                .with_error_code(code(Some(ErrorCode::MemberIdRequired)))
                .with_member_id(str_bytes("c1-1"))
                .into()
        });
    }
    answer_to(bench, ApiKey::JoinGroup, |request| {
        let Request::JoinGroup(request) = request else { unreachable!() };
        assert_eq!(request.member_id.as_str(), "c1-1");
        let me = JoinGroupResponseMember::default()
            .with_member_id(str_bytes("c1-1"))
            .with_metadata(request.protocols[0].metadata.clone());
        JoinGroupResponse::default()
            .with_generation_id(generation)
            .with_protocol_type(Some(str_bytes("consumer")))
            .with_protocol_name(Some(request.protocols[0].name.clone()))
            .with_leader(str_bytes(if as_leader { "c1-1" } else { "other" }))
            .with_member_id(str_bytes("c1-1"))
            .with_members(if as_leader { vec![me] } else { Vec::new() })
            .into()
    });
    answer_to(bench, ApiKey::SyncGroup, |request| {
        let Request::SyncGroup(request) = request else { unreachable!() };
        let assigned: Vec<TopicPartition> = partitions.iter().map(|p| TopicPartition::named("orders", *p)).collect();
        let assignment = match request.assignments.first() {
            Some(mine) => mine.assignment.clone(),
            None => encode_assignment(&assigned),
        };
        SyncGroupResponse::default().with_assignment(assignment).into()
    });
}

/// The consumer is told who coordinates its group.
pub(super) fn find_coordinator(bench: &mut Bench<Consumer>) {
    assert!(bench.try_take_coordinator(), "no FIND_COORDINATOR was sent, but {:?}", bench.apis());
}

impl Bench<Consumer> {
    fn try_take_coordinator(&mut self) -> bool {
        let Some((from, correlation, _)) = self.try_take(ApiKey::FindCoordinator) else { return false };
        let coordinator = Coordinator::default().with_key(str_bytes("billing")).with_node_id(BrokerId(3));
        self.answer(from, correlation, FindCoordinatorResponse::default().with_coordinators(vec![coordinator]));
        true
    }
}

/// The group's committed offsets, and the epoch of the last committed record; -1: none.
pub(super) fn committed(bench: &mut Bench<Consumer>, offsets: &[(i32, i64)]) {
    answer_to(bench, ApiKey::OffsetFetch, |_| {
        let partitions = offsets.iter().map(|(p, offset)| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(*p)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
        });
        let topic =
            OffsetFetchResponseTopics::default().with_name(topic_name("orders")).with_partitions(partitions.collect());
        let group = OffsetFetchResponseGroup::default().with_topics(vec![topic]);
        OffsetFetchResponse::default().with_groups(vec![group]).into()
    });
}

pub(super) fn fetched(partition: i32, high_watermark: i64, records: Option<Bytes>) -> FetchResponse {
    let data = PartitionData::default()
        .with_partition_index(partition)
        .with_high_watermark(high_watermark)
        .with_log_start_offset(0)
        .with_records(records);
    fetch_response(data)
}

fn fetch_response(data: PartitionData) -> FetchResponse {
    let topic = FetchableTopicResponse::default().with_topic_id(topic_id("orders")).with_partitions(vec![data]);
    FetchResponse::default().with_session_id(77).with_responses(vec![topic])
}

/// A running consumer of `orders-0` at offset 0.
pub(super) fn reading(change: impl FnOnce(&mut ConsumerConfig)) -> Bench<Consumer> {
    let mut bench = consumer(ONE, change);
    join(&mut bench, &[0], 1, false);
    committed(&mut bench, &[(0, 0)]);
    bench
}

fn fetch_offset(request: &Request) -> Option<i64> {
    let Request::Fetch(request) = request else { unreachable!() };
    request.topics.first().map(|t| t.partitions[0].fetch_offset)
}

#[test]
fn a_consumer_joins_assigns_as_leader_resets_and_delivers() {
    let mut bench = consumer(TWO, |_| {});
    join(&mut bench, &[], 1, true);
    assert_eq!(bench.node.assignment().len(), 2);
    committed(&mut bench, &[(0, 5), (1, -1)]);
    assert_eq!(bench.node.positions(), [(TopicPartition::named("orders", 0), Offset(5))].into());
    let node = answer_to(&mut bench, ApiKey::ListOffsets, |request| {
        let Request::ListOffsets(request) = request else { unreachable!() };
        assert_eq!(request.topics[0].partitions[0].timestamp, -2);
        let partition =
            ListOffsetsPartitionResponse::default().with_partition_index(1).with_offset(3).with_leader_epoch(-1);
        let topic =
            ListOffsetsTopicResponse::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
        ListOffsetsResponse::default().with_topics(vec![topic]).into()
    });
    assert_eq!(node, NodeId::broker(2));
    let node = answer_to(&mut bench, ApiKey::Fetch, |request| {
        assert_eq!(fetch_offset(request), Some(5));
        fetched(0, 8, Some(batch(4, 4, 0))).into()
    });
    assert_eq!(node, NodeId::broker(1));
    let told: Vec<_> = bench.node.delivered().iter().map(|d| (d.first.0, d.last.0, d.count)).collect();
    assert_eq!(told, [(5, 7, 3)]);
    assert_eq!(bench.node.positions()[&TopicPartition::named("orders", 0)], Offset(8));
    let kinds: Vec<_> = bench.kinds();
    assert_eq!(kinds, ["Assigned", "PositionSet", "PositionSet", "Delivered"]);
    assert_eq!((bench.node.generation(), bench.node.member_id()), (Some(1), Some("c1-1")));
    assert!(bench.node.is_stable());
}

#[test]
fn an_incremental_fetch_names_only_what_changed() {
    let mut bench = reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |request| {
        let Request::Fetch(request) = request else { unreachable!() };
        assert_eq!((request.session_id, request.session_epoch), (0, 0));
        fetched(0, 2, Some(batch(0, 2, 0))).into()
    });
    answer_to(&mut bench, ApiKey::Fetch, |request| {
        let Request::Fetch(request) = request else { unreachable!() };
        assert_eq!((request.session_id, request.session_epoch, request.topics.len()), (77, 1, 1));
        FetchResponse::default().with_session_id(77).into()
    });
    let (_, _, request) = bench.take(ApiKey::Fetch);
    let Request::Fetch(request) = request else { unreachable!() };
    assert_eq!((request.session_epoch, request.topics.len()), (2, 0));
}

pub(super) fn commit_answer(error: Option<ErrorCode>) -> Response {
    let partition = OffsetCommitResponsePartition::default().with_partition_index(0).with_error_code(code(error));
    let topic = OffsetCommitResponseTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    OffsetCommitResponse::default().with_topics(vec![topic]).into()
}

pub(super) fn committed_offset(request: &Request) -> i64 {
    let Request::OffsetCommit(request) = request else { unreachable!() };
    request.topics[0].partitions[0].committed_offset
}

#[test]
fn auto_commit_commits_what_earlier_polls_returned() {
    let mut bench = reading(|_| {});
    bench.run_to(4_900);
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 2, Some(batch(0, 2, 0))).into());
    // The timer is over when the next records arrive: the poll commits before it hands them out.
    bench.now = Instant::from_millis(5_000);
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 5, Some(batch(2, 3, 0))).into());
    assert_eq!(bench.node.delivered_count(), 5);
    answer_to(&mut bench, ApiKey::OffsetCommit, |request| {
        assert_eq!(committed_offset(request), 2);
        commit_answer(None)
    });
    assert_eq!(bench.node.committed()[&TopicPartition::named("orders", 0)], Offset(2));
    bench.run_to(10_000);
    answer_to(&mut bench, ApiKey::OffsetCommit, |request| {
        assert_eq!(committed_offset(request), 5);
        commit_answer(None)
    });
}

#[test]
fn a_seek_redelivers() {
    let mut bench = reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    bench.command(Command::Seek { partition: TopicPartition::named("orders", 0), to: SeekTo::Offset(Offset(1)) });
    // The fetch from offset 4 is on its way; its answer is for another position.
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 5, Some(batch(4, 1, 0))).into());
    answer_to(&mut bench, ApiKey::Fetch, |request| {
        assert_eq!(fetch_offset(request), Some(1));
        fetched(0, 5, Some(batch(0, 4, 0))).into()
    });
    let told: Vec<_> = bench.node.delivered().iter().map(|d| (d.first.0, d.last.0)).collect();
    assert_eq!(told, [(0, 3), (1, 3)]);
}

#[test]
fn one_poll_hands_out_at_most_max_poll_records() {
    let mut bench = reading(|config| config.max_poll_records = 3);
    answer_to(&mut bench, ApiKey::Fetch, |_| {
        let records = [batch(0, 2, 0), batch(2, 5, 0)].concat();
        fetched(0, 7, Some(Bytes::from(records))).into()
    });
    let told: Vec<_> = bench.node.delivered().iter().map(|d| (d.first.0, d.last.0, d.count)).collect();
    assert_eq!(told, [(0, 2, 3), (3, 5, 3), (6, 6, 1)]);
    let whole = &bench.node.delivered().first().unwrap().records;
    assert_eq!(Batch::parse_all(whole.clone(), true).unwrap().len(), 2);
}

#[test]
fn a_paused_consumer_heartbeats_but_hands_nothing_out() {
    let mut bench = reading(|_| {});
    bench.command(Command::Pause);
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    assert_eq!(bench.node.delivered_count(), 0);
    assert!(bench.node.is_paused());
    bench.run_to(3_000);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| HeartbeatResponse::default().into());
    assert!(bench.try_take(ApiKey::Fetch).is_none());
    bench.command(Command::Resume);
    assert_eq!(bench.node.delivered_count(), 4);
}

#[test]
fn a_rebalance_commits_gives_up_and_joins_again() {
    let mut bench = reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    bench.run_to(3_000);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| {
        HeartbeatResponse::default().with_error_code(code(Some(ErrorCode::RebalanceInProgress))).into()
    });
    // Records that arrive meanwhile are not handed out.
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 5, Some(batch(4, 1, 0))).into());
    assert_eq!(bench.node.delivered_count(), 4);
    answer_to(&mut bench, ApiKey::OffsetCommit, |request| {
        assert_eq!(committed_offset(request), 4);
        commit_answer(None)
    });
    assert!(bench.node.assignment().is_empty());
    join(&mut bench, &[0], 2, false);
    committed(&mut bench, &[(0, 4)]);
    assert_eq!(bench.node.generation(), Some(2));
    let revoked = bench.facts.iter().any(|f| matches!(f, Fact::Revoked { lost: false, .. }));
    assert!(revoked);
}

#[test]
fn a_member_that_the_group_forgot_loses_its_partitions_and_joins_as_a_new_one() {
    let mut bench = reading(|_| {});
    bench.run_to(3_000);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| {
        HeartbeatResponse::default().with_error_code(code(Some(ErrorCode::UnknownMemberId))).into()
    });
    let (_, _, request) = bench.take(ApiKey::JoinGroup);
    let Request::JoinGroup(request) = request else { unreachable!() };
    assert!(request.member_id.is_empty());
    assert!(bench.facts.iter().any(|f| matches!(f, Fact::Revoked { lost: true, .. })));
    assert!(bench.try_take(ApiKey::OffsetCommit).is_none());
}

#[test]
fn a_new_leader_makes_the_position_be_validated_and_a_truncation_moves_it() {
    let mut bench = reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 10, Some(batch(0, 10, 0))).into());
    bench.topics.insert("orders".to_string(), vec![(2, 1)]);
    answer_to(&mut bench, ApiKey::Fetch, |_| {
        let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(2)).with_leader_epoch(1);
        let data = PartitionData::default()
            .with_error_code(code(Some(ErrorCode::NotLeaderOrFollower)))
            .with_current_leader(leader);
        fetch_response(data).into()
    });
    let node = answer_to(&mut bench, ApiKey::OffsetForLeaderEpoch, |request| {
        let Request::OffsetForLeaderEpoch(request) = request else { unreachable!() };
        assert_eq!(request.topics[0].partitions[0].leader_epoch, 0);
        let end = EpochEndOffset::default().with_partition(0).with_leader_epoch(0).with_end_offset(6);
        let topic = OffsetForLeaderTopicResult::default().with_topic(topic_name("orders")).with_partitions(vec![end]);
        OffsetForLeaderEpochResponse::default().with_topics(vec![topic]).into()
    });
    assert_eq!(node, NodeId::broker(2));
    let told = bench
        .facts
        .iter()
        .any(|f| matches!(f, Fact::PositionSet { to: Offset(6), reason: PositionReason::Truncation, .. }));
    assert!(told);
    let (to, _, request) = bench.take(ApiKey::Fetch);
    assert_eq!((to, fetch_offset(&request)), (NodeId::broker(2), Some(6)));
}

#[test]
fn an_offset_out_of_range_is_reset_by_the_policy() {
    let mut bench = reading(|config| config.offset_reset = OffsetReset::Latest);
    answer_to(&mut bench, ApiKey::Fetch, |_| {
        fetch_response(PartitionData::default().with_error_code(code(Some(ErrorCode::OffsetOutOfRange)))).into()
    });
    let (_, _, request) = bench.take(ApiKey::ListOffsets);
    let Request::ListOffsets(request) = request else { unreachable!() };
    assert_eq!(request.topics[0].partitions[0].timestamp, -1);
}

#[test]
fn without_a_reset_policy_the_application_gets_an_error_and_closes() {
    let mut bench = consumer(ONE, |config| config.offset_reset = OffsetReset::None);
    join(&mut bench, &[0], 1, false);
    committed(&mut bench, &[(0, -1)]);
    let told = bench.facts.iter().find_map(|f| match f {
        Fact::ConsumerError { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert_eq!(told.unwrap(), "Undefined offset with no reset policy for partitions: [orders-0]");
    assert!(!bench.node.is_running());
    bench.take(ApiKey::LeaveGroup);
}

#[test]
fn the_leader_joins_again_when_partitions_are_added() {
    let mut bench = consumer(ONE, |config| config.auto_commit = false);
    join(&mut bench, &[], 1, true);
    committed(&mut bench, &[(0, 0)]);
    bench.topics.insert("orders".to_string(), vec![(1, 0), (2, 0)]);
    bench.run_to(300_500);
    bench.take(ApiKey::JoinGroup);
}

#[test]
fn close_commits_leaves_and_ends() {
    let mut bench = reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    bench.command(Command::Close);
    assert!(bench.node.is_running());
    answer_to(&mut bench, ApiKey::OffsetCommit, |request| {
        assert_eq!(committed_offset(request), 4);
        commit_answer(None)
    });
    assert!(!bench.node.is_running());
    bench.take(ApiKey::LeaveGroup);
    assert_eq!(bench.node.next_alarm_for_test(), None);
}

#[test]
fn a_killed_consumer_starts_as_a_new_process_and_keeps_what_the_application_saw() {
    let mut bench = reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    bench.node.kill();
    bench.sent.clear();
    bench.run_for(Duration::from_secs(1));
    bench.input(Input::Start);
    join(&mut bench, &[0], 3, false);
    committed(&mut bench, &[(0, 2)]);
    answer_to(&mut bench, ApiKey::Fetch, |request| {
        assert_eq!(fetch_offset(request), Some(2));
        fetched(0, 4, Some(batch(0, 4, 0))).into()
    });
    let told: Vec<_> = bench.node.delivered().iter().map(|d| (d.first.0, d.last.0)).collect();
    assert_eq!(told, [(0, 3), (2, 3)]);
}

#[test]
fn a_commit_of_the_application_is_tried_again_until_the_coordinator_answers() {
    let mut bench = reading(|config| config.auto_commit = false);
    bench.command(Command::Commit);
    answer_to(&mut bench, ApiKey::OffsetCommit, |_| commit_answer(Some(ErrorCode::CoordinatorLoadInProgress)));
    assert!(bench.try_take(ApiKey::OffsetCommit).is_none());
    bench.run_for(Duration::from_millis(120));
    answer_to(&mut bench, ApiKey::OffsetCommit, |_| commit_answer(Some(ErrorCode::NotCoordinator)));
    bench.try_take_coordinator();
    bench.run_for(Duration::from_millis(240));
    answer_to(&mut bench, ApiKey::OffsetCommit, |_| commit_answer(None));
    assert!(!bench.kinds().contains(&"CommitFailed"));
    assert_eq!(bench.node.committed().len(), 1);
}

#[test]
fn an_idle_consumer_is_woken_only_for_what_matters() {
    let mut bench = reading(|_| {});
    let mut wakes = 0;
    while let Some((at, _)) = crate::kafka::node::Node::next_alarm(&bench.node).filter(|(at, _)| at.0 < 20_000_000) {
        wakes += 1;
        bench.run_to(at.millis());
        while let Some((from, correlation, _)) = bench.try_take(ApiKey::Heartbeat) {
            bench.answer(from, correlation, HeartbeatResponse::default());
        }
        while let Some((from, correlation, _)) = bench.try_take(ApiKey::OffsetCommit) {
            bench.answer(from, correlation, commit_answer(None));
        }
    }
    assert!(wakes <= 12, "{wakes} wakes in 20 s");
}

impl Consumer {
    fn next_alarm_for_test(&self) -> Option<Instant> {
        crate::kafka::node::Node::next_alarm(self).map(|(at, _)| at)
    }
}
