//! The coordinator's uniform assignor, as Kafka's own class answered.

use highwater::kafka::group::assignor::{Assignor, GroupSpec, MemberSpec, Partitions};
use highwater::wire::{Uuid, str_bytes};
use serde_json::{Value, json};

use crate::golden::{int, run_file};

#[test]
fn golden_uniform_assignor() {
    run_file(include_str!("../golden/uniform_assignor.json"), |case| check_server_assignor(&Assignor::Uniform, case));
}

/// Runs a case of a server-side assignor with members and topics in the order in which Kafka visited them.
pub fn check_server_assignor(assignor: &Assignor, case: &Value) -> Result<(), String> {
    let spec = GroupSpec {
        members: list(&case["members_in_iteration_order"]).map(read_member).collect(),
        topics: topics_in_order(case)?,
        homogeneous: case["subscription_type"] == "HOMOGENEOUS",
        assignable: None,
    };
    if let Some(error) = case["error"].as_str() {
        return match assignor.assign(&spec) {
            Err(_) => Ok(()),
            Ok(targets) => Err(format!("{error} was expected, got {targets:?}")),
        };
    }
    let targets = assignor.assign(&spec).map_err(|error| format!("{error:?}"))?;
    let got: Value = targets.iter().map(|(member, target)| (member.to_string(), partitions_json(target))).collect();
    if got == case["assignment"] {
        return Ok(());
    }
    // Which of several equally good assignments Kafka finds depends on the order of its hash maps,
    // also within a member's partitions; how good they are does not.
    let properties = properties(&spec, &targets);
    if visits_in_another_order(case) && properties == case["expected_properties"] {
        return Ok(());
    }
    Err(format!("\n  got      {got} {properties}\n  expected {} {}", case["assignment"], case["expected_properties"]))
}

/// The recording lists what members had in another order than ours, which is ascending.
fn visits_in_another_order(case: &Value) -> bool {
    let ascending = |values: Vec<i64>| values.is_sorted();
    list(&case["members_in_iteration_order"]).any(|member| {
        let targets = member["current_target"].as_object().expect("a target");
        let topics: Vec<Uuid> = targets.keys().map(|topic| topic_id(topic)).collect();
        !topics.is_sorted()
            || targets.values().any(|those| !ascending(list(those).map(|p| p.as_i64().expect("a partition")).collect()))
    })
}

fn properties(spec: &GroupSpec, targets: &highwater::kafka::group::assignor::Targets) -> Value {
    let mut sizes: Vec<usize> = targets.values().map(|target| target.values().map(|those| those.len()).sum()).collect();
    sizes.sort_unstable();
    let kept = |member: &MemberSpec| -> usize {
        let Some(target) = targets.get(&member.id) else { return 0 };
        let of = |(topic, those): (&Uuid, &highwater::sorted::SortedSet<i32>)| {
            those.iter().filter(|p| target.get(topic).is_some_and(|now| now.contains(*p))).count()
        };
        member.target.iter().map(of).sum()
    };
    let retained: usize = spec.members.iter().map(kept).sum();
    json!({"sizes_sorted": sizes, "retained_partitions": retained})
}

/// The topics that the recording visited in its order, and then the others.
pub fn topics_in_order(case: &Value) -> Result<Vec<(Uuid, i32)>, String> {
    let order: Vec<Uuid> =
        list(&case["topic_iteration_order"]).map(|id| topic_id(id.as_str().expect("an id"))).collect();
    let mut topics = Vec::new();
    // One with -1 partitions is one that does not exist.
    for topic in list(&case["topics"]).filter(|topic| topic["partitions"] != -1) {
        topics.push((topic_id(topic["topic_id"].as_str().ok_or("no id")?), int(topic, "partitions")? as i32));
    }
    topics.sort_by_key(|(id, _)| order.iter().position(|other| other == id).unwrap_or(usize::MAX));
    Ok(topics)
}

pub fn read_member(member: &Value) -> MemberSpec {
    let target = member["current_target"].as_object().expect("a target").iter();
    MemberSpec {
        id: str_bytes(member["member_id"].as_str().expect("an id")),
        instance: member["instance_id"].as_str().map(str_bytes),
        topics: list(&member["subscribed_topic_ids"]).map(|id| topic_id(id.as_str().expect("an id"))).collect(),
        target: target
            .map(|(topic, those)| {
                (topic_id(topic), list(those).map(|p| p.as_i64().expect("a partition") as i32).collect())
            })
            .collect(),
    }
}

pub fn partitions_json(target: &Partitions) -> Value {
    target.iter().map(|(topic, those)| (base64(topic), json!(those))).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka writes a UUID as 22 digits of base 64.
pub fn topic_id(text: &str) -> Uuid {
    let mut bits: u128 = 0;
    let digits: Vec<u128> =
        text.bytes().map(|c| DIGITS.iter().position(|d| *d == c).expect("a digit") as u128).collect();
    for digit in &digits[..21] {
        bits = bits << 6 | digit;
    }
    // The last digit holds two bits.
    Uuid::from_u128(bits << 2 | digits[21] >> 4)
}

fn base64(id: &Uuid) -> String {
    let bits = id.as_u128();
    let mut text: String = (0..21).map(|place| DIGITS[(bits >> (122 - 6 * place) & 63) as usize] as char).collect();
    text.push(DIGITS[((bits & 3) << 4) as usize] as char);
    text
}
