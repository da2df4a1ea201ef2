//! Range, rack-aware too, as Kafka's own class answered.

use std::collections::BTreeSet;

use highwater::kafka::client::assignor::{Assignor, Subscription, TopicRacks};
use highwater::wire::{TopicPartition, str_bytes, topic_name};
use serde_json::Value;

#[test]
fn golden_range_assignor() {
    check_assignor(Assignor::Range, include_str!("../golden/range_assignor.json"));
}

/// Runs every case of a file of assignor cases, comparing each member's set of partitions.
pub fn check_assignor(assignor: Assignor, file: &str) {
    let file: Value = serde_json::from_str(file).expect("the golden file is JSON");
    let mut failures = Vec::new();
    for case in file["cases"].as_array().expect("cases") {
        let topics = read_topics(&case["topics"]);
        let members: Vec<Subscription> = case["members"].as_array().expect("members").iter().map(read_member).collect();
        let got = assignor.assign(&topics, &members);
        let expected = case["assignment"].as_object().expect("assignment");
        let same = got.len() == expected.len()
            && expected.iter().all(|(member, partitions)| {
                let partitions: BTreeSet<TopicPartition> =
                    strings(partitions).map(|text| TopicPartition::parse(text).expect("a partition")).collect();
                got.get(&str_bytes(member)).is_some_and(|got| {
                    got.len() == partitions.len() && got.iter().cloned().collect::<BTreeSet<_>>() == partitions
                })
            });
        if !same {
            failures.push(format!("{}: got {got:?}, expected {expected:?}", case["name"]));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

pub fn read_topics(topics: &Value) -> TopicRacks {
    let topics = topics.as_object().expect("topics");
    topics
        .iter()
        .map(|(name, topic)| {
            let count = topic["partitions"].as_u64().expect("a partition count") as usize;
            let mut racks = vec![Vec::new(); count];
            for (partition, list) in topic["replica_racks"].as_array().into_iter().flatten().enumerate() {
                racks[partition] = strings(list).map(str_bytes).collect();
            }
            (topic_name(name), racks)
        })
        .collect()
}

pub fn read_member(member: &Value) -> Subscription {
    Subscription {
        member_id: str_bytes(member["member_id"].as_str().expect("a member id")),
        group_instance_id: member["group_instance_id"].as_str().map(str_bytes),
        rack: member["rack_id"].as_str().map(str_bytes),
        topics: strings(&member["topics"]).map(topic_name).collect(),
        ..Subscription::default()
    }
}

pub fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(|v| v.as_str().expect("text"))
}
