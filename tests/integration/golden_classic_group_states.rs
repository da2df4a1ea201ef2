//! Classic groups: the rules of ClassicGroup, and whole sequences of requests and deadlines as
//! Kafka's own GroupMetadataManager answered them.

use highwater::kafka::group::classic::{ClassicGroup, GroupState, ParkedJoin};
use highwater::kafka::group::records::CommittedOffset;
use highwater::time::Instant;
use highwater::wire::{GroupId, LeaderEpoch, Offset, StrBytes, str_bytes, topic_name};
use serde_json::{Value, json};

use crate::group_records::{
    self, check, classic_member as member, error_text, int, list, run_as_any, run_classic_sequence, text,
};

/// Cases about a group of another type run as those of the consumer protocol do, which are recorded in a file
/// of their own, and so do those that read the log. Groups of streams do not exist here.
fn runs_as_newer_groups_do(case: &Value) -> bool {
    let reads = ["replay_record", "onLoaded", "rollback-uncommitted"];
    list(&case["initial_groups"]).any(|group| group["type"] != "classic")
        || list(&case["steps"]).any(|step| reads.contains(&text(&step["op"])))
}

#[test]
fn golden_classic_group_states() {
    let file: Value = serde_json::from_str(include_str!("../golden/classic_group_states.json")).expect("JSON");
    let mut failures = Vec::new();
    for case in file["cases"].as_array().expect("cases") {
        let name = text(&case["name"]);
        let result = match text(&case["kind"]) {
            "state_transition" => check(run_transitions(case).0, text(&case["expect"]).to_string()),
            "can_rebalance" => check(run_transitions(case).1, case["expect"].as_bool().expect("true or false")),
            "select_protocol" => check_select_protocol(case),
            "elect_leader_on_join_timeout" => check_election(case),
            "validate_offset_commit" => check_offset_commit(case),
            "validate_delete_group" => check_delete(case),
            "offset_expiration_condition" => check_expiration(case),
            "sequence" if runs_as_newer_groups_do(case) => run_as_any(case),
            "sequence" => run_classic_sequence(case),
            other => Err(format!("unknown kind {other}")),
        };
        if let Err(error) = result {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn state(name: &str) -> GroupState {
    use GroupState::*;
    let found =
        [Empty, PreparingRebalance, CompletingRebalance, Stable, Dead].into_iter().find(|s| kafka_name(*s) == name);
    found.unwrap_or_else(|| panic!("unknown state {name}"))
}

fn kafka_name(state: GroupState) -> String {
    group_records::kafka_name(state.name())
}

fn new_group() -> ClassicGroup {
    ClassicGroup::new(GroupId(str_bytes("group-id")), Instant::ZERO)
}

fn run_transitions(case: &Value) -> (String, bool) {
    let mut group = new_group();
    assert_eq!(kafka_name(group.state), text(&case["start"]));
    for (step, next) in case["path"].as_array().expect("a path").iter().enumerate() {
        let next = state(text(next));
        if !group.state.may_become(next) {
            let last = step + 1 == case["path"].as_array().map_or(0, Vec::len);
            let which = if last { "IllegalStateException on last transition" } else { "refused too early" };
            return (which.to_string(), group.can_rebalance());
        }
        group.transition_to(next, Instant::ZERO);
    }
    (kafka_name(group.state), group.can_rebalance())
}

fn check_select_protocol(case: &Value) -> Result<(), String> {
    let mut group = new_group();
    for (index, preferences) in case["members_protocol_preferences"].as_array().expect("members").iter().enumerate() {
        let preferences: Vec<&str> = preferences.as_array().expect("names").iter().map(text).collect();
        group.add(member(&format!("member-{index}"), None, &preferences), &str_bytes("consumer"));
    }
    let got = group.select_protocol().map_or("IllegalStateException".to_string(), |p| p.to_string());
    match case["expect_one_of"].as_array() {
        Some(any) => check(any.iter().any(|name| text(name) == got), true),
        None => check(got.as_str(), text(&case["expect"])),
    }
}

fn check_election(case: &Value) -> Result<(), String> {
    let mut group = new_group();
    for row in case["members"].as_array().expect("members") {
        let mut member = member(text(&row["id"]), None, &["range"]);
        if row["awaiting_join"] == true {
            member.awaiting_join = Some(ParkedJoin { reply: None });
        }
        group.add(member, &str_bytes("consumer"));
        if row["leader"] == true {
            group.leader = Some(str_bytes(text(&row["id"])));
        }
    }
    let returns = group.maybe_elect_new_joined_leader();
    let got = json!({"returns": returns, "leader": group.leader.as_ref().map(|l| l.to_string())});
    check(got, case["expect"].clone())
}

fn check_offset_commit(case: &Value) -> Result<(), String> {
    let mut group = new_group();
    for row in case["group"]["members"].as_array().expect("members") {
        group.add(member(text(&row["member_id"]), row["instance_id"].as_str(), &["range"]), &str_bytes("consumer"));
    }
    group.state = state(text(&case["group"]["state"]));
    group.generation = int(&case["group"]["generation"]);
    let request = &case["request"];
    let instance = request["instance_id"].as_str().filter(|i| !i.is_empty()).map(str_bytes);
    let (member, generation) = (text(&request["member_id"]), int(&request["generation"]));
    let got = if request["transactional"] == true {
        group.validate_txn_offset_commit(member, instance.as_ref(), generation)
    } else {
        group.validate_offset_commit(member, instance.as_ref(), generation)
    };
    check(error_text(got.err()), text(&case["expect"]).to_string())
}

fn check_delete(case: &Value) -> Result<(), String> {
    let mut group = new_group();
    group.state = state(text(&case["state"]));
    check(error_text(group.validate_delete().err()), text(&case["expect"]).to_string())
}

fn check_expiration(case: &Value) -> Result<(), String> {
    let mut group = new_group();
    group.protocol_type = case["group"]["protocol_type"].as_str().map(str_bytes);
    group.state = state(text(&case["group"]["state"]));
    group.state_since = Some(5);
    group.subscribed = Some([topic_name("topic")].into_iter().collect());
    let offset = CommittedOffset {
        offset: Offset(1),
        leader_epoch: LeaderEpoch(-1),
        metadata: StrBytes::new(),
        commit_timestamp: 7,
        expire_timestamp: None,
    };
    let expected = text(&case["expect"]);
    let expected = match expected {
        text if text.starts_with("no ") => None,
        text if text.starts_with("base = commit timestamp") => Some(7),
        text if text.starts_with("base = time the group entered its current state") => Some(5),
        other => return Err(format!("unknown condition {other}")),
    };
    check(group.offset_expires_from(&offset), expected)
}
