//! How long a consumer waits before it tries again: longer with every time where Kafka 4.2 does so (KIP-580), and
//! `retry.backoff.ms` where it still does that.

use crate::kafka::client::consumer_protocol_tests::{self as by_heartbeats, bad, good};
use crate::kafka::client::consumer_tests::{
    self as classic, answer_to, batch, commit_answer, consumer, fetched, find_coordinator,
};
use crate::kafka::client::share_consumer_tests;
use crate::kafka::client::testing::Bench;
use crate::kafka::node::{Command, Node};
use crate::time::{Duration, Instant};
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use crate::wire::messages::{
    FindCoordinatorResponse, HeartbeatResponse, JoinGroupResponse, ListOffsetsResponse, OffsetFetchResponse,
};
use crate::wire::{ApiKey, ErrorCode, Response, code};

const ONE: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0)])];
/// The waits of ExponentialBackoff by Kafka's defaults, in milliseconds. A metadata refresh may come between.
const LONGER: [(i64, i64); 6] = [(80, 121), (160, 241), (320, 481), (640, 961), (800, 1_001), (800, 1_001)];
const CONSTANT: [(i64, i64); 6] = [(100, 101); 6];

fn refused(api: ApiKey, error: ErrorCode) -> Response {
    let error = code(Some(error));
    match api {
        ApiKey::FindCoordinator => {
            let coordinators = vec![Coordinator::default().with_error_code(error)];
            FindCoordinatorResponse::default().with_coordinators(coordinators).into()
        }
        ApiKey::JoinGroup => JoinGroupResponse::default().with_error_code(error).into(),
        ApiKey::Heartbeat => HeartbeatResponse::default().with_error_code(error).into(),
        ApiKey::OffsetCommit => commit_answer(crate::wire::error(error)),
        ApiKey::OffsetFetch => {
            let group = OffsetFetchResponseGroup::default().with_error_code(error);
            OffsetFetchResponse::default().with_groups(vec![group]).into()
        }
        // An answer that does not name the partition is none.
        ApiKey::ListOffsets => ListOffsetsResponse::default().into(),
        other => panic!("{other:?}"),
    }
}

/// When the next request of this kind is sent, in milliseconds from now.
fn wait_for<N: Node>(bench: &mut Bench<N>, api: ApiKey) -> i64 {
    let from = bench.now;
    while !bench.sent.iter().any(|(_, _, request)| request.api() == api) {
        assert!(bench.now < from + Duration::from_secs(10), "no {} within ten seconds", api.name());
        bench.run_for(Duration::from_millis(1));
    }
    (bench.now - from).millis()
}

/// Every request of this kind is refused: how long the client waits before each further one.
fn assert_waits<N: Node>(bench: &mut Bench<N>, api: ApiKey, error: ErrorCode, expect: &[(i64, i64)]) {
    wait_for(bench, api);
    let mut waits = Vec::new();
    for _ in expect {
        let (from, correlation, _) = bench.take(api);
        bench.answer(from, correlation, refused(api, error));
        waits.push(wait_for(bench, api));
    }
    let fits = |(wait, (low, high)): (&i64, &(i64, i64))| (low..=high).contains(&wait);
    assert!(waits.iter().zip(expect).all(fits), "{}: {waits:?}", api.name());
}

#[test]
fn a_consumer_that_finds_no_coordinator_asks_less_and_less_often() {
    for consumer_protocol in [false, true] {
        let mut bench = consumer(ONE, |config| config.consumer_protocol = consumer_protocol);
        assert_waits(&mut bench, ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, &LONGER);
        find_coordinator(&mut bench);
    }
    let mut bench = share_consumer_tests::start(|_| {});
    assert_waits(&mut bench, ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, &LONGER);
}

#[test]
fn a_greatest_wait_no_longer_than_the_first_is_the_only_one() {
    let mut bench = consumer(ONE, |config| {
        config.consumer_protocol = true;
        config.retry_backoff_max = config.retry_backoff;
    });
    assert_waits(&mut bench, ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, &CONSTANT);
}

#[test]
fn a_member_that_knew_its_coordinator_asks_at_once_and_one_by_heartbeats_after_a_pause() {
    let mut bench = classic::reading(|_| {});
    bench.run_to(3_000);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| refused(ApiKey::Heartbeat, ErrorCode::NotCoordinator));
    find_coordinator(&mut bench);
    // CoordinatorRequestManager: the back-off begins with the good answer.
    let mut bench = consumer(ONE, |config| config.consumer_protocol = true);
    find_coordinator(&mut bench);
    by_heartbeats::heartbeat(&mut bench, bad(ErrorCode::NotCoordinator));
    let wait = wait_for(&mut bench, ApiKey::FindCoordinator);
    assert!((80..=121).contains(&wait), "{wait}");
    find_coordinator(&mut bench);
    // And a refusal for another coordinator's sake makes no heartbeat wait.
    by_heartbeats::heartbeat(&mut bench, good(1, None));
}

#[test]
fn while_its_application_is_busy_the_heartbeat_thread_asks_in_every_other_round() {
    let mut bench = classic::reading(|_| {});
    bench.command(Command::Handle { each: Duration::from_secs(100) });
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 1, Some(batch(0, 1, 0))).into());
    bench.run_to(3_000);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| refused(ApiKey::Heartbeat, ErrorCode::NotCoordinator));
    assert_waits(&mut bench, ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable, &[(200, 201); 5]);
}

#[test]
fn joining_waits_the_same_every_time() {
    let mut bench = consumer(ONE, |_| {});
    find_coordinator(&mut bench);
    assert_waits(&mut bench, ApiKey::JoinGroup, ErrorCode::CoordinatorLoadInProgress, &CONSTANT);
    // A poll that joins sleeps first, and looks for another coordinator then.
    answer_to(&mut bench, ApiKey::JoinGroup, |_| refused(ApiKey::JoinGroup, ErrorCode::NotCoordinator));
    assert_eq!(wait_for(&mut bench, ApiKey::FindCoordinator), 100);
    find_coordinator(&mut bench);
    assert_eq!(wait_for(&mut bench, ApiKey::JoinGroup), 0);
}

#[test]
fn a_heartbeat_that_failed_is_sent_again_before_its_interval() {
    let mut bench = classic::reading(|_| {});
    bench.run_to(3_000);
    assert_waits(&mut bench, ApiKey::Heartbeat, ErrorCode::CoordinatorLoadInProgress, &LONGER);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| HeartbeatResponse::default().into());
    assert_waits(&mut bench, ApiKey::Heartbeat, ErrorCode::CoordinatorLoadInProgress, &LONGER[..2]);
}

#[test]
fn a_commit_of_the_application_waits_longer_with_every_time() {
    for mut bench in [classic::reading(|c| c.auto_commit = false), by_heartbeats::reading(|c| c.auto_commit = false)] {
        bench.command(Command::Commit);
        assert_waits(&mut bench, ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress, &LONGER);
    }
}

#[test]
fn a_commit_at_the_interval_is_tried_again_by_the_classic_protocol_only() {
    let mut bench = classic::reading(|_| {});
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    assert_waits(&mut bench, ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress, &CONSTANT);
    let mut bench = by_heartbeats::reading(|_| {});
    assert_waits(&mut bench, ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress, &[(5_000, 5_000)]);
}

#[test]
fn the_commit_before_partitions_are_given_up_waits_longer_only_by_the_consumer_protocol() {
    let mut bench = by_heartbeats::reading(|config| config.auto_commit_interval = Duration::from_secs(60));
    bench.run_to(5_000);
    by_heartbeats::heartbeat(&mut bench, good(1, Some(&[0])));
    assert_waits(&mut bench, ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress, &LONGER);
    let mut bench = classic::reading(|config| config.auto_commit_interval = Duration::from_secs(60));
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    bench.run_to(3_000);
    answer_to(&mut bench, ApiKey::Heartbeat, |_| refused(ApiKey::Heartbeat, ErrorCode::RebalanceInProgress));
    assert_waits(&mut bench, ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress, &CONSTANT);
}

#[test]
fn asking_for_committed_offsets_waits_longer_with_every_time() {
    let mut bench = consumer(ONE, |_| {});
    classic::join(&mut bench, &[0], 1, false);
    assert_waits(&mut bench, ApiKey::OffsetFetch, ErrorCode::CoordinatorLoadInProgress, &LONGER[..4]);
    let mut bench = consumer(ONE, |config| config.consumer_protocol = true);
    find_coordinator(&mut bench);
    by_heartbeats::heartbeat(&mut bench, good(1, Some(&[0])));
    assert_waits(&mut bench, ApiKey::OffsetFetch, ErrorCode::CoordinatorLoadInProgress, &LONGER);
}

#[test]
fn looking_for_offsets_by_timestamp_waits_the_same_every_time() {
    let mut bench = consumer(ONE, |_| {});
    classic::join(&mut bench, &[0], 1, false);
    classic::committed(&mut bench, &[(0, -1)]);
    assert_waits(&mut bench, ApiKey::ListOffsets, ErrorCode::LeaderNotAvailable, &CONSTANT);
    assert!(bench.now < Instant::from_millis(1_000));
}
