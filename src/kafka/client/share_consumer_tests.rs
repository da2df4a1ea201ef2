//! The share consumer against brokers that the test plays (KIP-932).

use bytes::Bytes;

use crate::kafka::client::ShareConsumer;
use crate::kafka::client::consumer_tests::batch;
use crate::kafka::client::testing::{Bench, topic_id};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Command, Input};
use crate::time::Duration;
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::share_acknowledge_response::{
    PartitionData as AckedPartition, ShareAcknowledgeTopicResponse,
};
use crate::wire::messages::share_fetch_response::{
    AcquiredRecords, LeaderIdAndEpoch, PartitionData, ShareFetchableTopicResponse,
};
use crate::wire::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::wire::messages::*;
use crate::wire::{
    AcknowledgeType, ApiKey, ClientId, ErrorCode, NodeId, Offset, Request, Response, TopicPartition, code, str_bytes,
};

/// Two partitions with one leader.
const BOTH: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0), (1, 0)])];

type Share = Bench<ShareConsumer>;

fn orders(partition: i32) -> TopicPartition {
    TopicPartition::named("orders", partition)
}

/// Takes the heartbeat that was sent and answers it; what it said.
fn heartbeat(bench: &mut Share, answer: ShareGroupHeartbeatResponse) -> ShareGroupHeartbeatRequest {
    let (from, correlation, request) = bench.take(ApiKey::ShareGroupHeartbeat);
    bench.answer(from, correlation, Response::from(answer));
    match request {
        Request::ShareGroupHeartbeat(heartbeat) => heartbeat,
        other => panic!("{other:?}"),
    }
}

fn good(epoch: i32, assigned: Option<&[i32]>) -> ShareGroupHeartbeatResponse {
    let assignment = assigned.map(|partitions| {
        let topic = TopicPartitions::default().with_topic_id(topic_id("orders")).with_partitions(partitions.to_vec());
        let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
        Assignment::default().with_topic_partitions(topics)
    });
    ShareGroupHeartbeatResponse::default()
        .with_member_epoch(epoch)
        .with_heartbeat_interval_ms(5_000)
        .with_assignment(assignment)
}

fn bad(error: ErrorCode) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse::default().with_error_code(code(Some(error)))
}

/// Takes the fetch that was sent and answers it; what it said.
fn fetch(bench: &mut Share, answer: ShareFetchResponse) -> ShareFetchRequest {
    let (from, correlation, request) = bench.take(ApiKey::ShareFetch);
    bench.answer(from, correlation, Response::from(answer));
    match request {
        Request::ShareFetch(fetch) => fetch,
        other => panic!("{other:?}"),
    }
}

fn fetched(partitions: Vec<PartitionData>) -> ShareFetchResponse {
    let topic = ShareFetchableTopicResponse::default().with_topic_id(topic_id("orders")).with_partitions(partitions);
    ShareFetchResponse::default().with_responses(vec![topic])
}

/// Records of partition 0 that were acquired: first, last, delivery count.
fn acquired(records: Bytes, acquired: &[(i64, i64, i16)]) -> PartitionData {
    let one = |(first, last, count): &(i64, i64, i16)| {
        AcquiredRecords::default().with_first_offset(*first).with_last_offset(*last).with_delivery_count(*count)
    };
    PartitionData::default().with_records(Some(records)).with_acquired_records(acquired.iter().map(one).collect())
}

/// The acknowledgements of a partition: first, last, types.
fn acks(request: &ShareFetchRequest, partition: i32) -> Vec<(i64, i64, Vec<i8>)> {
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    let batches = partitions.filter(|p| p.partition_index == partition).flat_map(|p| &p.acknowledgement_batches);
    batches.map(|b| (b.first_offset, b.last_offset, b.acknowledge_types.clone())).collect()
}

fn partitions(request: &ShareFetchRequest) -> Vec<i32> {
    request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| p.partition_index)).collect()
}

fn acknowledge(bench: &mut Share, answer: ShareAcknowledgeResponse) -> ShareAcknowledgeRequest {
    let (from, correlation, request) = bench.take(ApiKey::ShareAcknowledge);
    bench.answer(from, correlation, Response::from(answer));
    match request {
        Request::ShareAcknowledge(acknowledge) => acknowledge,
        other => panic!("{other:?}"),
    }
}

fn acknowledged(error: Option<ErrorCode>) -> ShareAcknowledgeResponse {
    let partition = AckedPartition::default().with_error_code(code(error));
    let topic =
        ShareAcknowledgeTopicResponse::default().with_topic_id(topic_id("orders")).with_partitions(vec![partition]);
    ShareAcknowledgeResponse::default().with_responses(vec![topic])
}

/// Just started.
pub(super) fn start(change: impl FnOnce(&mut ConsumerConfig)) -> Share {
    let mut config = ConsumerConfig::default();
    change(&mut config);
    let topics = ["orders".to_string()];
    let consumer = ShareConsumer::new(ClientId(2), "s1", "jobs", &topics, vec![NodeId::broker(1)], config);
    Bench::start(consumer, BOTH)
}

/// In the group with partition 0 and 1, which it has told; the first fetch is on its way.
fn reading(change: impl FnOnce(&mut ConsumerConfig)) -> Share {
    let mut bench = start(change);
    let (from, correlation, _) = bench.take(ApiKey::FindCoordinator);
    let coordinator = Coordinator::default().with_key(str_bytes("jobs")).with_node_id(BrokerId(3));
    bench.answer(from, correlation, FindCoordinatorResponse::default().with_coordinators(vec![coordinator]));
    let first = heartbeat(&mut bench, good(1, Some(&[])));
    assert_eq!((first.member_epoch, first.member_id.len()), (0, 36));
    assert_eq!(first.subscribed_topic_names.map(|names| names.len()), Some(1));
    assert!(bench.try_take(ApiKey::ShareFetch).is_none(), "nothing is assigned yet");
    bench.run_to(5_000);
    let second = heartbeat(&mut bench, good(2, Some(&[0, 1])));
    assert_eq!((second.member_epoch, second.subscribed_topic_names), (1, None));
    let told = heartbeat(&mut bench, good(2, None));
    assert_eq!(told.member_epoch, 2, "what it has taken it tells at once");
    assert_eq!(bench.node.assignment(), [orders(0), orders(1)]);
    bench.facts.clear();
    bench
}

/// The same, with three records at hand.
fn holding(change: impl FnOnce(&mut ConsumerConfig)) -> Share {
    let mut bench = reading(change);
    let first = fetch(&mut bench, fetched(vec![acquired(batch(0, 3, 0), &[(0, 2, 1)])]));
    assert_eq!((first.share_session_epoch, partitions(&first)), (0, vec![0, 1]));
    bench
}

#[test]
fn the_next_poll_accepts_what_the_last_one_returned_and_the_next_fetch_says_so() {
    let mut bench = holding(|_| {});
    assert!(bench.kinds().contains(&"ShareDelivered"), "{:?}", bench.kinds());
    let next = fetch(&mut bench, fetched(vec![PartitionData::default()]));
    assert_eq!((next.share_session_epoch, partitions(&next)), (1, vec![0]), "the session remembers the rest");
    assert_eq!(acks(&next, 0), [(0, 2, vec![1])]);
    let (consumer, kind) = (ClientId(2), AcknowledgeType::Accept);
    let (partition, first, last) = (orders(0), Offset(0), Offset(2));
    assert!(bench.facts.contains(&Fact::ShareAcknowledged { consumer, partition, first, last, kind }));
    let next = fetch(&mut bench, fetched(Vec::new()));
    assert_eq!((next.share_session_epoch, next.topics.len()), (2, 0));
    let all: Vec<u32> = bench.node.delivered().iter().map(|delivery| delivery.batch.count).collect();
    assert_eq!(all, [3]);
}

#[test]
fn only_acquired_records_are_handed_out_and_offsets_without_a_record_are_gaps() {
    let mut bench = reading(|_| {});
    // Of 0 to 3 only 1 and 2 are acquired; 4 and 5 hold no record.
    let answer = fetched(vec![acquired(batch(0, 4, 0), &[(1, 1, 1), (2, 2, 3), (4, 5, 1)])]);
    fetch(&mut bench, answer);
    let runs: Vec<(i64, i64, i16)> = bench
        .node
        .delivered()
        .iter()
        .map(|delivery| (delivery.batch.first.0, delivery.batch.last.0, delivery.delivery_count))
        .collect();
    assert_eq!(runs, [(1, 1, 1), (2, 2, 3)]);
    let next = fetch(&mut bench, fetched(Vec::new()));
    assert_eq!(acks(&next, 0), [(1, 2, vec![1]), (4, 5, vec![0])]);
}

#[test]
fn whoever_acknowledges_explicitly_says_of_each_record_what_became_of_it_before_the_next_poll() {
    let mut bench = holding(|config| config.share_explicit = true);
    assert_eq!(bench.node.unacknowledged().count(), 3);
    assert!(bench.try_take(ApiKey::ShareFetch).is_none(), "the application does not poll");
    let of = |offset, kind| Command::Acknowledge { record: Some((orders(0), Offset(offset))), kind };
    bench.command(of(1, AcknowledgeType::Release));
    bench.command(of(2, AcknowledgeType::Reject));
    assert!(bench.try_take(ApiKey::ShareFetch).is_none());
    bench.command(Command::Acknowledge { record: None, kind: AcknowledgeType::Accept });
    let next = fetch(&mut bench, fetched(vec![PartitionData::default()]));
    assert_eq!(acks(&next, 0), [(0, 2, vec![1, 2, 3])]);
    assert_eq!(bench.node.unacknowledged().count(), 0);
    bench.command(of(1, AcknowledgeType::Accept));
    assert!(bench.kinds().contains(&"ConsumerError"), "it is not the application's any more: {:?}", bench.kinds());
}

#[test]
fn a_commit_does_not_wait_for_the_next_fetch() {
    let mut bench = holding(|config| config.share_explicit = true);
    let record = Some((orders(0), Offset(0)));
    bench.command(Command::Acknowledge { record, kind: AcknowledgeType::Accept });
    bench.command(Command::Commit);
    let said = acknowledge(&mut bench, acknowledged(Some(ErrorCode::InvalidRecordState)));
    assert_eq!(said.share_session_epoch, 1);
    assert_eq!(said.topics[0].partitions[0].acknowledgement_batches[0].acknowledge_types, [1]);
    let (consumer, partition, error) = (ClientId(2), orders(0), ErrorCode::InvalidRecordState);
    let (first, last) = (Offset(0), Offset(0));
    let failed = Fact::ShareAcknowledgeFailed { consumer, partition, first, last, error };
    assert!(bench.facts.contains(&failed), "{:?}", bench.facts);
    assert_eq!(bench.node.unacknowledged().count(), 2);
}

#[test]
fn a_session_that_the_broker_does_not_know_begins_anew_without_what_was_to_be_acknowledged() {
    for error in [ErrorCode::ShareSessionNotFound, ErrorCode::InvalidShareSessionEpoch] {
        let mut bench = holding(|_| {});
        let refused = fetch(&mut bench, ShareFetchResponse::default().with_error_code(code(Some(error))));
        assert_eq!(acks(&refused, 0), [(0, 2, vec![1])]);
        assert!(bench.kinds().contains(&"ShareAcknowledgeFailed"), "{:?}", bench.kinds());
        let again = fetch(&mut bench, fetched(Vec::new()));
        assert_eq!((again.share_session_epoch, partitions(&again)), (0, vec![0, 1]));
        assert_eq!(acks(&again, 0), []);
    }
}

#[test]
fn a_lost_connection_loses_the_session_and_the_acknowledgements() {
    let mut bench = holding(|_| {});
    bench.take(ApiKey::ShareFetch);
    bench.input(Input::Disconnected { peer: NodeId::broker(1) });
    assert!(bench.kinds().contains(&"ShareAcknowledgeFailed"), "{:?}", bench.kinds());
    bench.run_for(Duration::from_millis(200));
    let again = fetch(&mut bench, fetched(Vec::new()));
    assert_eq!((again.share_session_epoch, acks(&again, 0)), (0, Vec::new()));
}

#[test]
fn a_partition_whose_leader_has_moved_is_fetched_there_and_forgotten_here() {
    let mut bench = reading(|_| {});
    let leader = LeaderIdAndEpoch::default().with_leader_id(2).with_leader_epoch(1);
    let moved = PartitionData::default()
        .with_partition_index(1)
        .with_error_code(code(Some(ErrorCode::NotLeaderOrFollower)))
        .with_current_leader(leader);
    bench.automatic = false;
    fetch(&mut bench, fetched(vec![moved]));
    let mut sent = [bench.take(ApiKey::ShareFetch), bench.take(ApiKey::ShareFetch)];
    sent.sort_by_key(|(to, ..)| *to);
    let [(one, _, Request::ShareFetch(old)), (two, _, Request::ShareFetch(new))] = &sent else { panic!("{sent:?}") };
    assert_eq!((*one, *two), (NodeId::broker(1), NodeId::broker(2)));
    assert_eq!((old.share_session_epoch, new.share_session_epoch), (1, 0));
    assert_eq!((old.forgotten_topics_data[0].partitions.clone(), partitions(new)), (vec![1], vec![1]));
}

#[test]
fn a_member_that_is_fenced_has_nothing_and_joins_again() {
    let mut bench = reading(|_| {});
    bench.run_to(10_000);
    let id = bench.node.member_id().map(str::to_string);
    heartbeat(&mut bench, bad(ErrorCode::FencedMemberEpoch));
    let lost = Fact::Revoked { consumer: ClientId(2), partitions: vec![orders(0), orders(1)], lost: true };
    assert!(bench.facts.contains(&lost), "{:?}", bench.facts);
    assert_eq!(bench.node.assignment(), []);
    let again = heartbeat(&mut bench, good(3, Some(&[1])));
    assert_eq!((again.member_epoch, Some(again.member_id.to_string())), (0, id));
    assert!(again.subscribed_topic_names.is_some());
    assert_eq!(bench.node.assignment(), [orders(1)]);
}

#[test]
fn whoever_closes_ends_the_session_with_the_last_acknowledgements_and_leaves() {
    let mut bench = holding(|config| config.share_explicit = true);
    let record = Some((orders(0), Offset(0)));
    bench.command(Command::Acknowledge { record, kind: AcknowledgeType::Accept });
    bench.command(Command::Close);
    let last = acknowledge(&mut bench, acknowledged(None));
    assert_eq!(last.share_session_epoch, -1);
    assert_eq!(last.topics[0].partitions[0].acknowledgement_batches.len(), 1, "the rest the broker releases");
    let leaving = heartbeat_request(&mut bench);
    assert_eq!(leaving.member_epoch, -1);
    assert!(!bench.node.is_running());
}

fn heartbeat_request(bench: &mut Share) -> ShareGroupHeartbeatRequest {
    match bench.take(ApiKey::ShareGroupHeartbeat).2 {
        Request::ShareGroupHeartbeat(heartbeat) => heartbeat,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_application_that_does_not_poll_for_too_long_is_a_member_no_more_until_it_does() {
    let mut bench = holding(|config| {
        config.share_explicit = true;
        config.max_poll_interval = Duration::from_secs(3);
    });
    bench.run_to(8_000);
    assert_eq!(heartbeat_request(&mut bench).member_epoch, -1);
    assert_eq!(bench.node.assignment(), []);
    bench.run_to(60_000);
    assert!(bench.try_take(ApiKey::ShareGroupHeartbeat).is_none());
    bench.command(Command::Acknowledge { record: None, kind: AcknowledgeType::Accept });
    bench.command(Command::Commit);
    assert_eq!(heartbeat_request(&mut bench).member_epoch, 0);
}

#[test]
fn what_cannot_be_mended_closes_the_consumer() {
    let mut bench = reading(|_| {});
    bench.run_to(10_000);
    heartbeat(&mut bench, bad(ErrorCode::GroupMaxSizeReached));
    assert!(bench.kinds().contains(&"ConsumerError"), "{:?}", bench.kinds());
    fetch(&mut bench, fetched(Vec::new()));
    acknowledge(&mut bench, ShareAcknowledgeResponse::default());
    assert!(!bench.node.is_running());
}
