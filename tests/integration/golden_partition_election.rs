//! Every case of `partition_election.json`: what Kafka's PartitionChangeBuilder makes of a partition.

use highwater::kafka::controller::election::{Election, PartitionChangeBuilder};
use highwater::kafka::controller::image::PartitionRegistration;
use highwater::kafka::controller::record::PartitionChange;
use highwater::wire::{BrokerId, LeaderEpoch, PartitionEpoch, Uuid};
use serde_json::{Map, Value, json};

#[test]
fn golden_partition_election() {
    let file: Value = serde_json::from_str(include_str!("../golden/partition_election.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn run(case: &Value) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let partition = registration(&case["partition"]);
    let acceptable = brokers(&case["acceptable_leaders"]);
    let is_acceptable = |broker: BrokerId| acceptable.contains(&broker);
    let min_isr = case["effective_min_isr"].as_i64().unwrap() as i32;
    let mut builder = PartitionChangeBuilder::new(&partition, Uuid::from_u128(1), 0, &is_acceptable, min_isr);
    builder.eligible_leader_replicas = case["elr_enabled"].as_bool().unwrap();
    builder.use_last_known_leader = case["use_last_known_leader"].as_bool().unwrap_or(true);
    builder.election = match case["election"].as_str().unwrap() {
        "PREFERRED" => Election::Preferred,
        "ONLINE" => Election::Online,
        "UNCLEAN" => Election::Unclean,
        other => return Err(format!("{name}: unknown election {other}")),
    };
    for (target, value) in case["target"].as_object().unwrap() {
        match target.as_str() {
            "isr" => builder.isr = brokers(value),
            "replicas" => builder.replicas = brokers(value),
            "removing" => builder.removing = brokers(value),
            "adding" => builder.adding = brokers(value),
            "unclean_shutdown_replicas" => builder.unclean_shutdown = brokers(value),
            "leader_recovery_state" => builder.recovering = value == "RECOVERING",
            other => return Err(format!("{name}: unknown target {other}")),
        }
    }
    for (key, expected) in case["expect"].as_object().unwrap() {
        let found = match key.as_str() {
            "elect" => {
                let elected = builder.elect();
                json!({ "leader": id(elected.leader), "unclean": elected.unclean })
            }
            "record" => builder.clone().build().map_or(Value::Null, |change| change_as_json(&change)),
            "result" => {
                let mut result = partition.clone();
                if let Some(change) = builder.clone().build() {
                    result.merge(&change);
                }
                registration_as_json(&result)
            }
            other => return Err(format!("{name}: unknown expectation {other}")),
        };
        if found != *expected {
            return Err(format!("{name}: {key}\n  expected {expected}\n  found    {found}"));
        }
    }
    Ok(())
}

fn registration(value: &Value) -> PartitionRegistration {
    PartitionRegistration {
        replicas: brokers(&value["replicas"]),
        isr: brokers(&value["isr"]),
        elr: brokers(&value["elr"]),
        last_known_elr: brokers(&value["last_known_elr"]),
        removing: brokers(&value["removing_replicas"]),
        adding: brokers(&value["adding_replicas"]),
        leader: value["leader"].as_i64().filter(|id| *id >= 0).map(|id| BrokerId(id as i32)),
        recovering: value["leader_recovery_state"] == "RECOVERING",
        leader_epoch: LeaderEpoch(value["leader_epoch"].as_i64().unwrap() as i32),
        partition_epoch: PartitionEpoch(value["partition_epoch"].as_i64().unwrap() as i32),
    }
}

fn registration_as_json(partition: &PartitionRegistration) -> Value {
    json!({
        "replicas": ids(&partition.replicas),
        "isr": ids(&partition.isr),
        "elr": ids(&partition.elr),
        "last_known_elr": ids(&partition.last_known_elr),
        "removing_replicas": ids(&partition.removing),
        "adding_replicas": ids(&partition.adding),
        "leader": id(partition.leader),
        "leader_epoch": partition.leader_epoch.0,
        "partition_epoch": partition.partition_epoch.0,
        "leader_recovery_state": recovery(partition.recovering),
    })
}

fn change_as_json(change: &PartitionChange) -> Value {
    let mut fields = Map::new();
    let lists = [
        ("isr", &change.isr),
        ("replicas", &change.replicas),
        ("removing_replicas", &change.removing),
        ("adding_replicas", &change.adding),
        ("elr", &change.elr),
        ("last_known_elr", &change.last_known_elr),
    ];
    for (name, list) in lists {
        if let Some(list) = list {
            fields.insert(name.to_string(), json!(ids(list)));
        }
    }
    if let Some(leader) = change.leader {
        fields.insert("leader".to_string(), json!(id(leader)));
    }
    if let Some(recovering) = change.recovering {
        fields.insert("leader_recovery_state".to_string(), json!(recovery(recovering)));
    }
    Value::Object(fields)
}

fn recovery(recovering: bool) -> &'static str {
    if recovering { "RECOVERING" } else { "RECOVERED" }
}

fn brokers(value: &Value) -> Vec<BrokerId> {
    value.as_array().unwrap().iter().map(|id| BrokerId(id.as_i64().unwrap() as i32)).collect()
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

fn id(broker: Option<BrokerId>) -> i32 {
    broker.map_or(-1, |broker| broker.0)
}
