//! Consumer groups: one member's reconciliation, and whole sequences of heartbeats, of classic
//! members in a consumer group and of groups that change their protocol, as Kafka's own
//! CurrentAssignmentBuilder and GroupMetadataManager answered them.

use highwater::kafka::fact::error_name;
use highwater::kafka::group::consumer::group::topic_ids;
use highwater::kafka::group::consumer::member::{CurrentAssignment, MemberState};
use highwater::kafka::group::consumer::reconcile::Reconciliation;
use highwater::sorted::SortedSet;
use highwater::wire::{TopicName, Uuid, topic_name};
use serde_json::{Value, json};

use crate::group_records::{Names, check, int, list, run_as_any, text};

/// Cases about groups that Highwater does not have.
fn is_about_newer_groups(case: &Value) -> bool {
    let known = ["classic", "consumer", "share"];
    list(&case["initial_groups"]).any(|group| !known.contains(&text(&group["type"])))
}

#[test]
fn golden_consumer_group_reconciliation() {
    let file: Value = serde_json::from_str(include_str!("../golden/consumer_group_reconciliation.json")).expect("JSON");
    let (mut failures, mut left_out, mut run) = (Vec::new(), Vec::new(), 0);
    for case in list(&file["cases"]) {
        let name = text(&case["name"]);
        let result = match text(&case["kind"]) {
            "reconcile" => check_reconcile(case),
            "heartbeat_sequence" | "protocol_migration_sequence" if is_about_newer_groups(case) => {
                left_out.push(name);
                continue;
            }
            "heartbeat_sequence" | "protocol_migration_sequence" => run_as_any(case),
            other => Err(format!("unknown kind {other}")),
        };
        run += 1;
        if let Err(error) = result {
            failures.push(format!("{name}: {error}"));
        }
    }
    println!("{run} run; left out, about newer groups: {}", left_out.join(", "));
    assert!(failures.is_empty(), "{} of {run} failed:\n{}", failures.len(), failures.join("\n"));
}

fn check_reconcile(case: &Value) -> Result<(), String> {
    let topics = list(&case["topics_in_metadata"]).map(|name| (text(name).to_string(), 10));
    let mut names = Names::new(topics);
    names.learn(case);
    let member = &case["member"];
    let current = CurrentAssignment {
        epoch: int(&member["member_epoch"]),
        previous_epoch: int(&member["previous_member_epoch"]),
        state: state(text(&member["state"])),
        assigned: names.partitions(&member["assigned"]),
        revoking: names.partitions(&member["pending_revocation"]),
    };
    let mut subscribed: SortedSet<TopicName> =
        list(&member["subscribed_topics"]).map(|name| topic_name(text(name))).collect();
    if let Some(regex) = member["subscribed_regex"].as_str() {
        subscribed.extend(list(&case["resolved_regexes"][regex]).map(|name| topic_name(text(name))));
    }
    let held = &case["current_partition_epochs_not_minus_one"];
    let is_held = |topic: &Uuid, partition: i32| !held[format!("{}-{partition}", names.name_of(topic))].is_null();
    let owned = case["owned_topic_partitions"].as_array().map(|_| names.owned(&case["owned_topic_partitions"]));
    let reconciliation = Reconciliation {
        target_epoch: int(&case["target_epoch"]),
        target: &names.partitions(&case["target"]),
        subscription_changed: case["has_subscription_changed"] == true,
        subscribed: &topic_ids(&subscribed, &names.image),
        owned: owned.as_ref(),
        is_held: &is_held,
    };
    let next = match reconciliation.next(&current) {
        Ok(next) => next,
        Err(error) => return check(error_name(error), text(&case["error"]).to_string()),
    };
    if !case["error"].is_null() {
        return Err(format!("{} was expected", case["error"]));
    }
    let got = json!({
        "state": next.state.name(),
        "member_epoch": next.epoch,
        "previous_member_epoch": next.previous_epoch,
        "assigned": names.partitions_json(&next.assigned),
        "pending_revocation": names.partitions_json(&next.revoking),
    });
    let mut expected = case["result"].clone();
    let fields = expected.as_object_mut().ok_or("no result")?;
    fields.retain(|name, _| !name.starts_with("subscribed"));
    check(got, expected)?;
    // Kafka also builds a new member that equals the old one.
    check(case["result_same_as_input"] == true && next != current, false)
}

fn state(name: &str) -> MemberState {
    use MemberState::*;
    [Stable, UnrevokedPartitions, UnreleasedPartitions, Unknown]
        .into_iter()
        .find(|state| state.name() == name)
        .unwrap_or_else(|| panic!("unknown state {name}"))
}
