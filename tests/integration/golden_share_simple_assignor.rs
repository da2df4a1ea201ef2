//! The assignor of share groups, as Kafka's own class answered.

use highwater::kafka::group::assignor::{Assignor, GroupSpec, Partitions};
use serde_json::Value;

use crate::golden::run_file;
use crate::golden_uniform_assignor::{partitions_json, read_member, topic_id, topics_in_order};

#[test]
fn golden_share_simple_assignor() {
    run_file(include_str!("../golden/share_simple_assignor.json"), check);
}

fn check(case: &Value) -> Result<(), String> {
    let members = case["members_in_iteration_order"].as_array().ok_or("no members")?;
    let spec = GroupSpec {
        members: members.iter().map(read_member).collect(),
        topics: topics_in_order(case)?,
        homogeneous: case["subscription_type"] == "HOMOGENEOUS",
        assignable: assignable(case)?,
    };
    let targets = Assignor::Simple.assign(&spec);
    if let Some(error) = case["error"].as_str() {
        return targets.map_or(Ok(()), |targets| Err(format!("{error} was expected, got {targets:?}")));
    }
    let targets = targets.map_err(|error| format!("{error:?}"))?;
    let got: Value = targets.iter().map(|(member, target)| (member.to_string(), partitions_json(target))).collect();
    if got == case["assignment"] {
        Ok(())
    } else {
        Err(format!("\n  got      {got}\n  expected {}", case["assignment"]))
    }
}

/// Everything but what the case names.
fn assignable(case: &Value) -> Result<Option<Partitions>, String> {
    let Some(not) = case["not_assignable"].as_object() else { return Ok(None) };
    let mut assignable = Partitions::new();
    for (topic, count) in topics_in_order(case)? {
        assignable.insert(topic, (0..count).collect());
    }
    for (topic, those) in not {
        let partitions = assignable.entry(topic_id(topic)).or_default();
        for partition in those.as_array().ok_or("no partitions")? {
            partitions.remove(&(partition.as_i64().ok_or("no partition")? as i32));
        }
    }
    Ok(Some(assignable))
}
