//! A member of a group of the consumer protocol against a coordinator that the test plays (KIP-848).

use crate::kafka::client::Consumer;
use crate::kafka::client::consumer_tests::{
    answer_to, batch, commit_answer, committed, committed_offset, consumer, fetched, find_coordinator,
};
use crate::kafka::client::testing::{Bench, topic_id};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::Command;
use crate::time::Duration;
use crate::wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use crate::wire::{ApiKey, ErrorCode, Request, Response, TopicPartition, code};

/// Two partitions with one leader.
const BOTH: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0), (1, 0)])];

fn orders(partitions: &[i32]) -> Vec<TopicPartition> {
    partitions.iter().map(|p| TopicPartition::named("orders", *p)).collect()
}

/// Takes the heartbeat that was sent and answers it; what it said.
pub(super) fn heartbeat(
    bench: &mut Bench<Consumer>,
    answer: ConsumerGroupHeartbeatResponse,
) -> ConsumerGroupHeartbeatRequest {
    let (from, correlation, request) = bench.take(ApiKey::ConsumerGroupHeartbeat);
    bench.answer(from, correlation, Response::from(answer));
    match request {
        Request::ConsumerGroupHeartbeat(heartbeat) => heartbeat,
        other => panic!("{other:?}"),
    }
}

pub(super) fn good(epoch: i32, assigned: Option<&[i32]>) -> ConsumerGroupHeartbeatResponse {
    let assignment = assigned.map(|partitions| {
        let topic = TopicPartitions::default().with_topic_id(topic_id("orders")).with_partitions(partitions.to_vec());
        let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
        Assignment::default().with_topic_partitions(topics)
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_epoch(epoch)
        .with_heartbeat_interval_ms(5_000)
        .with_assignment(assignment)
}

pub(super) fn bad(error: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(code(Some(error)))
}

/// What a heartbeat says that the member has.
fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<Vec<i32>> {
    let topics = request.topic_partitions.as_ref()?;
    Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

/// In the group with both partitions, which it has told, and four records read.
pub(super) fn reading(change: impl FnOnce(&mut ConsumerConfig)) -> Bench<Consumer> {
    let mut bench = consumer(BOTH, |config| {
        config.consumer_protocol = true;
        change(config);
    });
    find_coordinator(&mut bench);
    let first = heartbeat(&mut bench, good(1, Some(&[0, 1])));
    assert_eq!((first.member_epoch, owned(&first)), (0, Some(Vec::new())));
    assert_eq!((first.rebalance_timeout_ms, first.member_id.len()), (300_000, 36));
    assert_eq!(first.subscribed_topic_names.map(|names| names.len()), Some(1));
    let told = heartbeat(&mut bench, good(1, None));
    assert_eq!((told.member_epoch, owned(&told)), (1, Some(vec![0, 1])));
    assert_eq!((told.subscribed_topic_names, told.rebalance_timeout_ms), (None, -1));
    committed(&mut bench, &[(0, 0), (1, 0)]);
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    bench.facts.clear();
    bench
}

#[test]
fn a_member_commits_gives_up_and_tells_so_at_once() {
    // No other commit is on its way at that instant.
    let mut bench = reading(|config| config.auto_commit_interval = Duration::from_secs(60));
    bench.run_to(5_000);
    let request = heartbeat(&mut bench, good(1, Some(&[0])));
    assert_eq!((request.member_epoch, owned(&request)), (1, None), "nothing has changed");
    answer_to(&mut bench, ApiKey::OffsetCommit, |request| {
        assert_eq!(committed_offset(request), 4);
        commit_answer(None)
    });
    assert_eq!(bench.node.assignment(), orders(&[0]));
    let told = heartbeat(&mut bench, good(2, None));
    assert_eq!((told.member_epoch, owned(&told)), (1, Some(vec![0])));
    assert_eq!(bench.node.generation(), Some(2));
    assert!(bench.node.is_stable());
}

#[test]
fn a_fenced_member_has_lost_everything_and_joins_with_its_old_id() {
    let mut bench = reading(|config| config.auto_commit = false);
    let id = bench.node.member_id().map(str::to_string);
    bench.run_to(5_000);
    heartbeat(&mut bench, bad(ErrorCode::FencedMemberEpoch));
    let lost = Fact::Revoked { consumer: crate::wire::ClientId(2), partitions: orders(&[0, 1]), lost: true };
    assert!(bench.facts.contains(&lost), "{:?}", bench.facts);
    let again = heartbeat(&mut bench, good(3, Some(&[1])));
    assert_eq!((again.member_epoch, owned(&again)), (0, Some(Vec::new())));
    assert_eq!(Some(again.member_id.to_string()), id);
    assert_eq!(bench.node.assignment(), orders(&[1]));
}

#[test]
fn whoever_closes_says_so_and_a_static_member_says_that_it_will_be_back() {
    for (instance, epoch) in [(None, -1), (Some("first"), -2)] {
        let mut bench = reading(|config| {
            config.auto_commit = false;
            config.group_instance_id = instance.map(str::to_string);
        });
        bench.command(Command::Close);
        let leaving = heartbeat(&mut bench, good(epoch, None));
        assert_eq!((leaving.member_epoch, leaving.instance_id.as_deref()), (epoch, instance));
        assert!(!bench.node.is_running());
    }
}

#[test]
fn what_cannot_be_mended_closes_the_consumer() {
    let mut bench = consumer(BOTH, |config| config.consumer_protocol = true);
    find_coordinator(&mut bench);
    heartbeat(&mut bench, bad(ErrorCode::UnsupportedAssignor));
    assert!(!bench.node.is_running());
    assert!(bench.kinds().contains(&"ConsumerError"), "{:?}", bench.kinds());
}

/// CommitRequestManager.commitSync: CommitFailedException, also when the member has a newer epoch by then.
#[test]
fn an_application_hears_that_its_commit_came_with_an_old_epoch() {
    let mut bench = reading(|config| config.auto_commit = false);
    bench.run_to(4_999);
    bench.command(Command::Commit);
    let (from, correlation, _) = bench.take(ApiKey::OffsetCommit);
    bench.run_to(5_000);
    heartbeat(&mut bench, good(2, None));
    assert_eq!(bench.node.generation(), Some(2));
    bench.answer(from, correlation, commit_answer(Some(ErrorCode::StaleMemberEpoch)));
    assert!(bench.kinds().contains(&"CommitFailed"), "{:?}", bench.kinds());
    bench.run_for(Duration::from_secs(3));
    assert!(bench.sent.iter().all(|(_, _, request)| request.api() != ApiKey::OffsetCommit), "it is not sent again");
}
