//! What members tell and keep in a rebalance, by the assignors that remember (KIP-54, KIP-429).

use crate::kafka::client::Consumer;
use crate::kafka::client::assignor::Subscription;
use crate::kafka::client::assignor::sticky::Memory;
use crate::kafka::client::consumer_tests::{
    answer_to, batch, commit_answer, committed, committed_offset, consumer, fetched, join,
};
use crate::kafka::client::membership::Membership;
use crate::kafka::client::testing::Bench;
use crate::kafka::fact::Fact;
use crate::kafka::node::Command;
use crate::wire::messages::join_group_response::JoinGroupResponseMember;
use crate::wire::messages::{HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest};
use crate::wire::{ApiKey, ErrorCode, Request, TopicPartition, code};

/// Two partitions with one leader.
const BOTH: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0), (1, 0)])];

fn orders(partitions: &[i32]) -> Vec<TopicPartition> {
    partitions.iter().map(|p| TopicPartition::named("orders", *p)).collect()
}

/// In the group with both partitions, reading from the start.
fn reading(strategy: &[&str]) -> Bench<Consumer> {
    let mut bench = consumer(BOTH, |config| config.assignors = strategy.iter().map(ToString::to_string).collect());
    join(&mut bench, &[0, 1], 1, false);
    committed(&mut bench, &[(0, 0), (1, 0)]);
    bench
}

fn rebalance(bench: &mut Bench<Consumer>, error: ErrorCode) {
    bench.run_to(3_000);
    answer_to(bench, ApiKey::Heartbeat, |_| HeartbeatResponse::default().with_error_code(code(Some(error))).into());
}

/// The JOIN_GROUP that waits for its answer.
fn joining(bench: &Bench<Consumer>) -> JoinGroupRequest {
    let joins = bench.sent.iter().filter_map(|(_, _, request)| match request {
        Request::JoinGroup(request) => Some(request.clone()),
        _ => None,
    });
    joins.last().unwrap_or_else(|| panic!("no JOIN_GROUP was sent, but {:?}", bench.apis()))
}

/// What the leader would read of the member, by each of its protocols.
fn told(request: &JoinGroupRequest) -> Vec<Subscription> {
    let members =
        request.protocols.iter().map(|p| JoinGroupResponseMember::default().with_metadata(p.metadata.clone()));
    Membership::subscriptions(&JoinGroupResponse::default().with_members(members.collect()))
}

#[test]
fn a_cooperative_member_reads_on_while_it_joins_and_then_gives_up_only_what_moved() {
    let mut bench = reading(&["cooperative-sticky"]);
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 4, Some(batch(0, 4, 0))).into());
    rebalance(&mut bench, ErrorCode::RebalanceInProgress);
    answer_to(&mut bench, ApiKey::OffsetCommit, |request| {
        assert_eq!(committed_offset(request), 4);
        commit_answer(None)
    });
    let request = joining(&bench);
    assert_eq!(request.reason.as_deref(), Some("group is already rebalancing"));
    let member = &told(&request)[0];
    assert_eq!((&member.owned, member.generation), (&orders(&[0, 1]), Some(1)));
    // The group waits for others; records are handed out meanwhile.
    answer_to(&mut bench, ApiKey::Fetch, |_| fetched(0, 6, Some(batch(4, 2, 0))).into());
    assert_eq!(bench.node.delivered_count(), 6);
    bench.facts.clear();
    join(&mut bench, &[0], 2, false);
    let facts: Vec<&Fact> = bench.facts.iter().collect();
    let [Fact::Revoked { partitions, lost: false, .. }, Fact::Assigned { kept, .. }] = facts.as_slice() else {
        panic!("{facts:?}")
    };
    assert_eq!((partitions, kept), (&orders(&[1]), &orders(&[0])));
    // What it keeps needs no position: it is where it was. The next rebalance is asked for at once.
    assert!(bench.try_take(ApiKey::OffsetFetch).is_none());
    answer_to(&mut bench, ApiKey::OffsetCommit, |_| commit_answer(None));
    let request = joining(&bench);
    assert_eq!(request.reason.as_deref(), Some("need to revoke partitions and re-join"));
    let member = &told(&request)[0];
    assert_eq!((&member.owned, member.generation), (&orders(&[0]), Some(2)));
}

#[test]
fn a_cooperative_member_that_the_group_forgot_loses_everything() {
    let mut bench = reading(&["cooperative-sticky"]);
    rebalance(&mut bench, ErrorCode::UnknownMemberId);
    assert!(bench.facts.iter().any(|f| matches!(f, Fact::Revoked { lost: true, .. })));
    let request = joining(&bench);
    assert_eq!(request.reason.as_deref(), Some("encountered UNKNOWN_MEMBER_ID from HEARTBEAT response"));
    assert_eq!(told(&request)[0].owned, []);
}

#[test]
fn a_cooperative_member_that_closes_in_a_rebalance_has_lost_its_partitions() {
    let mut bench = reading(&["cooperative-sticky"]);
    rebalance(&mut bench, ErrorCode::RebalanceInProgress);
    answer_to(&mut bench, ApiKey::OffsetCommit, |_| commit_answer(None));
    bench.take(ApiKey::JoinGroup);
    bench.command(Command::Close);
    assert!(bench.facts.iter().any(|f| matches!(f, Fact::Revoked { lost: true, .. })));
    let (_, _, request) = bench.take(ApiKey::LeaveGroup);
    let Request::LeaveGroup(LeaveGroupRequest { members, .. }) = request else { unreachable!() };
    assert_eq!(members.len(), 1);
}

#[test]
fn range_beside_the_cooperative_assignor_makes_the_member_eager() {
    let mut bench = reading(&["cooperative-sticky", "range"]);
    rebalance(&mut bench, ErrorCode::RebalanceInProgress);
    answer_to(&mut bench, ApiKey::OffsetCommit, |_| commit_answer(None));
    assert!(bench.node.assignment().is_empty());
    let subscriptions = told(&joining(&bench));
    assert!(subscriptions.iter().all(|s| s.owned.is_empty()));
    // The cooperative assignor leaves its generation with the member, range nothing.
    let user_data: Vec<Option<&[u8]>> = subscriptions.iter().map(|s| s.user_data.as_deref()).collect();
    assert_eq!(user_data, [Some(&[0, 0, 0, 1][..]), None]);
}

#[test]
fn the_sticky_assignor_remembers_in_the_members_user_data() {
    let mut bench = reading(&["sticky"]);
    rebalance(&mut bench, ErrorCode::UnknownMemberId);
    let member = &told(&joining(&bench))[0];
    // The partitions are lost, and the leader learns nevertheless who had them.
    let memory = Memory { partitions: orders(&[0, 1]), generation: Some(1) };
    assert_eq!(member.user_data, Some(memory.encode()));
    assert_eq!((&member.owned, member.generation), (&Vec::new(), None));
}
