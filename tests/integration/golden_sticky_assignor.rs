//! The sticky assignor: what every assignment of Kafka's own class fulfils.

use std::collections::{BTreeMap, BTreeSet};

use highwater::kafka::client::assignor::sticky::{self, Kind, Memory};
use highwater::kafka::client::assignor::{Assignment, Assignor, Subscription, TopicRacks};
use highwater::wire::{TopicPartition, str_bytes};
use serde_json::Value;

use crate::golden::{self, only};
use crate::golden_range_assignor::{read_member, read_topics, strings};

#[test]
fn golden_sticky_assignor() {
    golden::run_file(include_str!("../golden/sticky_assignor.json"), |case| {
        only(case, &["name", "test", "topics", "members", "assignment", "expected_properties"])?;
        let group = read_group(case, Kind::Eager)?;
        let target = group.target(Kind::Eager);
        check_properties(case, &group, &target.assignment)?;
        match Assignor::Sticky.assign(&group.topics, &group.members) == target.assignment {
            true => Ok(()),
            false => Err("the eager assignor does not hand out its target".to_string()),
        }
    });
}

/// Nearly all answers are Kafka's to the letter; another is as good, where Kafka takes equal members
/// in the order of a hash map.
#[test]
fn golden_sticky_assignor_mostly_to_the_letter() {
    let text = include_str!("../golden/sticky_assignor.json");
    let (same, all) = same_answers(text, Kind::Eager, "assignment");
    assert!(same * 20 >= all * 19, "{same} of {all}");
}

/// A group as a case describes it.
pub struct Group {
    pub topics: TopicRacks,
    pub members: Vec<Subscription>,
    /// What each member says it held.
    pub held: BTreeMap<String, Vec<TopicPartition>>,
}

impl Group {
    pub fn target(&self, kind: Kind) -> sticky::Target {
        sticky::target(kind, &self.topics, &self.members.iter().collect::<Vec<_>>())
    }
}

/// How many cases of how many are answered exactly as recorded.
pub fn same_answers(text: &str, kind: Kind, field: &str) -> (usize, usize) {
    let file: Value = serde_json::from_str(text).expect("a golden file is JSON");
    let cases = file["cases"].as_array().expect("cases");
    let same = cases.iter().filter(|case| {
        let got = read_group(case, kind).expect("a group").target(kind).assignment;
        as_sets(&got) == read_assignment(&case[field])
    });
    (same.count(), cases.len())
}

pub fn read_group(case: &Value, kind: Kind) -> Result<Group, String> {
    for topic in case["topics"].as_object().ok_or("no topics")?.values() {
        only(topic, &["partitions", "replica_racks"])?;
    }
    let (mut members, mut held) = (Vec::new(), BTreeMap::new());
    for told in case["members"].as_array().ok_or("no members")? {
        only(told, &["member_id", "group_instance_id", "rack_id", "topics", "owned", "generation"])?;
        let mut member = read_member(told);
        let partitions = read_partitions(&told["owned"]);
        member.generation = told["generation"].as_i64().map(|generation| generation as i32);
        match kind {
            Kind::Eager => {
                let memory = Memory { partitions: partitions.clone(), generation: member.generation };
                member.user_data = (!partitions.is_empty() || member.generation.is_some()).then(|| memory.encode());
            }
            Kind::Cooperative => member.owned = partitions.clone(),
        }
        held.insert(member.member_id.to_string(), partitions);
        members.push(member);
    }
    Ok(Group { topics: read_topics(&case["topics"]), members, held })
}

/// The properties that the file asks for, each of which must be known here.
pub fn check_properties(case: &Value, group: &Group, assignment: &Assignment) -> Result<(), String> {
    if assignment.len() != group.members.len() {
        return Err(format!("not everybody is in {assignment:?}"));
    }
    let mut sizes: Vec<usize> = assignment.values().map(Vec::len).collect();
    sizes.sort();
    for (property, expected) in case["expected_properties"].as_object().ok_or("no properties")? {
        let holds = match property.as_str() {
            "sizes_sorted" => *expected == serde_json::json!(sizes),
            "max_minus_min" => *expected == serde_json::json!(sizes.last().unwrap_or(&0) - sizes.first().unwrap_or(&0)),
            "retained_partitions" => Some(retained(group, assignment) as u64) >= expected.as_u64(),
            "all_subscribed_partitions_assigned_once" => *expected == Value::Bool(each_once(group, assignment)),
            "identical_subscriptions" => {
                let topics = |member: &Subscription| member.topics.iter().cloned().collect::<BTreeSet<_>>();
                let first = group.members.first().map(topics);
                *expected == Value::Bool(group.members.iter().all(|m| Some(topics(m)) == first))
            }
            unknown => return Err(format!("unknown property {unknown}")),
        };
        if !holds {
            return Err(format!("{property} is not {expected}: {assignment:?}"));
        }
    }
    Ok(())
}

fn retained(group: &Group, assignment: &Assignment) -> usize {
    let kept = |member: &str, list: &[TopicPartition]| list.iter().filter(|p| group.held[member].contains(p)).count();
    assignment.iter().map(|(member, list)| kept(member, list)).sum()
}

/// Every partition of a subscribed topic has exactly one holder, and that one subscribes to it.
fn each_once(group: &Group, assignment: &Assignment) -> bool {
    let subscribed = |topic| group.members.iter().any(|m| m.topics.contains(topic));
    let all = group.topics.iter().filter(|(topic, _)| subscribed(topic));
    let expected: Vec<TopicPartition> =
        all.flat_map(|(topic, racks)| (0..racks.len()).map(|p| TopicPartition::new(topic.clone(), p as i32))).collect();
    let mut got: Vec<TopicPartition> = assignment.values().flatten().cloned().collect();
    got.sort();
    let to_subscribers =
        group.members.iter().all(|m| assignment[&m.member_id].iter().all(|p| m.topics.contains(&p.topic)));
    got == expected && to_subscribers
}

pub fn read_partitions(list: &Value) -> Vec<TopicPartition> {
    strings(list).map(|text| TopicPartition::parse(text).expect("a partition")).collect()
}

/// Each member's partitions as a set.
pub type Sets = BTreeMap<String, BTreeSet<TopicPartition>>;

pub fn read_assignment(value: &Value) -> Sets {
    let members = value.as_object().expect("an assignment");
    members.iter().map(|(member, list)| (member.clone(), read_partitions(list).into_iter().collect())).collect()
}

pub fn as_sets(assignment: &Assignment) -> Sets {
    assignment.iter().map(|(member, list)| (member.to_string(), list.iter().cloned().collect())).collect()
}

#[test]
fn a_partition_that_two_members_claim_from_one_generation_is_kept_by_neither() {
    let case = serde_json::json!({
        "topics": {"orders": {"partitions": 3}},
        "members": [
            {"member_id": "a", "topics": ["orders"], "owned": ["orders-0", "orders-1"], "generation": 4},
            {"member_id": "b", "topics": ["orders"], "owned": ["orders-0"], "generation": 4},
            {"member_id": "c", "topics": ["orders"], "owned": ["orders-2", "orders-1"], "generation": 3},
        ],
    });
    let group = read_group(&case, Kind::Cooperative).expect("a group");
    let target = group.target(Kind::Cooperative);
    assert_eq!(target.moving, [(TopicPartition::named("orders", 0), str_bytes("b"))].into_iter().collect());
    let assignment = Assignor::CooperativeSticky.assign(&group.topics, &group.members);
    assert_eq!(assignment[&str_bytes("a")], [TopicPartition::named("orders", 1)]);
    assert_eq!(assignment[&str_bytes("b")], []);
    assert_eq!(assignment[&str_bytes("c")], [TopicPartition::named("orders", 2)]);
}
