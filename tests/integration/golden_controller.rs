//! Every case of `controller.json`: what Kafka's controller decides about brokers and partitions.

use std::sync::Arc;

use highwater::kafka::config::BrokerConfig;
use highwater::kafka::controller::ahead::Ahead;
use highwater::kafka::controller::image::{ELIGIBLE_LEADER_REPLICAS, MetadataImage, PartitionRegistration};
use highwater::kafka::controller::liveness::BrokerState;
use highwater::kafka::controller::placement::Draw;
use highwater::kafka::controller::record::{MetadataRecord, PartitionChange, ResourceType};
use highwater::kafka::fact::error_name;
use highwater::rng::Rng;
use highwater::time::{Duration, Instant};
use highwater::wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use highwater::wire::messages::alter_partition_request::{self, PartitionData};
use highwater::wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use highwater::wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use highwater::wire::messages::elect_leaders_request::TopicPartitions;
use highwater::wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionRequest, BrokerHeartbeatRequest, BrokerRegistrationRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, ElectLeadersRequest,
};
use highwater::wire::{BrokerId, ErrorCode, TopicPartition, Uuid, error, str_bytes, topic_name};
use serde_json::{Map, Value, json};

#[test]
fn golden_controller() {
    let file: Value = serde_json::from_str(include_str!("../golden/controller.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn run(case: &Value) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    if case["kind"] != "controller" {
        return Err(format!("{name}: unknown kind {}", case["kind"]));
    }
    let mut harness = Harness::new(&case["config"]).map_err(|error| format!("{name}: {error}"))?;
    for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let found = harness.step(step).map_err(|error| format!("{name}: step {number}: {error}"))?;
        let Some(expected) = step.get("expect") else { continue };
        let same = match (expected, &found) {
            // The keys of the expectation are complete where the operation answers with a set of fields.
            (Value::Object(expected), Value::Object(found)) => {
                expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| alike(key, value, found)))
            }
            _ => *expected == found,
        };
        if !same {
            return Err(format!("{name}: step {number} {step}\n  found {found}"));
        }
    }
    Ok(())
}

/// The order among records of different partitions is not part of the contract; the ELR is a set.
fn alike(key: &str, expected: &Value, found: &Value) -> bool {
    match key {
        "records" => sorted(expected) == sorted(found),
        "elr" => sorted(expected) == sorted(found),
        _ => expected == found,
    }
}

fn sorted(list: &Value) -> Vec<String> {
    let mut texts: Vec<String> = list.as_array().unwrap().iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

struct Harness {
    state: Ahead,
    now: Instant,
    draws: Draws,
    names: Vec<(Uuid, String)>,
}

struct Draws(Rng);

impl Draw for Draws {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.below(u64::from(bound)) as u32
    }
}

impl Harness {
    fn new(config: &Value) -> Result<Harness, String> {
        let mut broker = BrokerConfig { default_replication_factor: 3, ..BrokerConfig::default() };
        let mut image = MetadataImage::new();
        for (key, value) in config.as_object().unwrap() {
            match key.as_str() {
                "elr" => drop(image.features.insert(ELIGIBLE_LEADER_REPLICAS, i16::from(value.as_bool().unwrap()))),
                "unclean" => broker.topic_defaults.unclean_leader_election = value.as_bool().unwrap(),
                "min_insync_replicas" => broker.topic_defaults.min_insync_replicas = value.as_i64().unwrap() as i32,
                "session_timeout_ms" => {
                    broker.broker_session_timeout = Duration::from_millis(value.as_i64().unwrap());
                }
                "default_replication_factor" => broker.default_replication_factor = value.as_i64().unwrap() as i16,
                "num_partitions" => broker.num_partitions = value.as_i64().unwrap() as i32,
                other => return Err(format!("unknown config {other}")),
            }
        }
        let state = Ahead::begin(Arc::new(broker), image, Instant::ZERO);
        Ok(Harness { state, now: Instant::ZERO, draws: Draws(Rng::new(1)), names: Vec::new() })
    }

    fn step(&mut self, step: &Value) -> Result<Value, String> {
        match step["op"].as_str().unwrap() {
            "register" => Ok(self.register(step)),
            "heartbeat" => Ok(self.heartbeat(step)),
            "create_topic" => Ok(self.create_topic(step)),
            "create_partitions" => Ok(self.create_partitions(step)),
            "delete_topic" => Ok(self.delete_topic(step)),
            "alter_partition" => Ok(self.alter_partition(step)),
            "elect" => self.elect(step),
            "balance" => {
                let decision = self.state.decider().balance_leaders();
                Ok(json!({ "more": decision.response, "records": self.apply(&decision.records) }))
            }
            "elect_unclean_leaderless" => {
                let decision = self.state.decider().elect_unclean_leaders();
                Ok(json!({ "more": decision.response, "records": self.apply(&decision.records) }))
            }
            "reassign" => Ok(self.reassign(step)),
            "list_reassignments" => Ok(self.reassignments()),
            "imbalanced" => {
                let all = self.state.image.partitions();
                let imbalanced = all.filter(|(_, _, _, partition)| partition.leader != partition.preferred());
                Ok(json!(imbalanced.map(|(name, _, index, _)| format!("{}-{index}", name.0)).collect::<Vec<_>>()))
            }
            "fence_one_stale" => {
                let fenced = self.state.fence_one_expired(self.now);
                let records = fenced.as_ref().map_or(&[][..], |(_, records)| records);
                Ok(json!({ "more": fenced.is_some(), "records": self.as_json(records) }))
            }
            "sleep" => {
                self.now += Duration::from_millis(step["ms"].as_i64().unwrap());
                Ok(Value::Null)
            }
            "set_config" => {
                self.apply(&[MetadataRecord::Config {
                    kind: ResourceType::Topic,
                    resource: str_bytes(text(step, "topic")),
                    name: str_bytes(text(step, "key")),
                    value: step["value"].as_str().map(str_bytes),
                }]);
                Ok(Value::Null)
            }
            "offset" => Ok(json!(self.state.image.offset.0)),
            "partition" => Ok(self.partition(step).map_or(Value::Null, |partition| {
                partition_as_json(&partition, self.state.image.has_eligible_leader_replicas())
            })),
            "broker" => {
                let registration = &self.state.image.brokers[&broker(step, "broker")];
                Ok(json!({
                    "epoch": registration.epoch.0,
                    "fenced": registration.fenced,
                    "in_controlled_shutdown": registration.in_controlled_shutdown,
                }))
            }
            other => Err(format!("unknown op {other}")),
        }
    }

    fn register(&mut self, step: &Value) -> Value {
        let mut request = BrokerRegistrationRequest::default();
        request.broker_id = broker(step, "broker");
        request.incarnation_id = Uuid::from_u128(step["incarnation"].as_u64().unwrap_or(1).into());
        request.previous_broker_epoch = step["previous_broker_epoch"].as_i64().unwrap_or(-1);
        request.rack = step["rack"].as_str().map(str_bytes);
        match self.state.register(&request, self.now) {
            Ok(decision) => {
                json!({ "broker_epoch": decision.response.0, "records": self.as_json(&decision.records) })
            }
            Err(error) => json!({ "error": error_name(error), "records": [] }),
        }
    }

    fn heartbeat(&mut self, step: &Value) -> Value {
        let mut request = BrokerHeartbeatRequest::default();
        request.broker_id = broker(step, "broker");
        let registered = self.state.image.brokers.get(&request.broker_id).map_or(-1, |known| known.epoch.0);
        request.broker_epoch = step["broker_epoch"].as_i64().unwrap_or(registered);
        request.current_metadata_offset = step["metadata_offset"].as_i64().unwrap_or(self.state.image.offset.0);
        request.want_fence = step["want_fence"].as_bool().unwrap_or(false);
        request.want_shut_down = step["want_shutdown"].as_bool().unwrap_or(false);
        match self.state.heartbeat(&request, self.now) {
            Ok(decision) => {
                let (caught_up, state) = decision.response;
                json!({
                    "caught_up": caught_up,
                    "fenced": state.is_fenced(),
                    "in_controlled_shutdown": state == BrokerState::ControlledShutdown,
                    "should_shut_down": state == BrokerState::ShutdownNow,
                    "records": self.as_json(&decision.records),
                })
            }
            Err(error) => json!({ "error": error_name(error), "records": [] }),
        }
    }

    fn create_topic(&mut self, step: &Value) -> Value {
        let mut topic = CreatableTopic::default();
        topic.name = topic_name(text(step, "topic"));
        topic.num_partitions = step["num_partitions"].as_i64().unwrap_or(-1) as i32;
        topic.replication_factor = step["replication_factor"].as_i64().unwrap_or(-1) as i16;
        for (index, replicas) in step["assignments"].as_array().into_iter().flatten().enumerate() {
            let mut assignment = CreatableReplicaAssignment::default();
            assignment.partition_index = index as i32;
            assignment.broker_ids = brokers(replicas);
            topic.assignments.push(assignment);
        }
        let name = topic.name.clone();
        let mut request = CreateTopicsRequest::default();
        request.topics.push(topic);
        let decision = self.state.decider().create_topics(&request, &mut self.draws);
        self.apply(&decision.records);
        let answer = &decision.response.topics[0];
        if let Some(error) = error(answer.error_code) {
            return json!({ "error": error_name(error) });
        }
        self.names.push((answer.topic_id, name.0.to_string()));
        let with_elr = self.state.image.has_eligible_leader_replicas();
        let partitions = self.state.image.topics[&name].partitions.values();
        json!({
            "error": "NONE",
            "num_partitions": answer.num_partitions,
            "replication_factor": answer.replication_factor,
            "partitions": partitions.map(|partition| partition_as_json(partition, with_elr)).collect::<Vec<_>>(),
        })
    }

    fn delete_topic(&mut self, step: &Value) -> Value {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name(text(step, "topic"))]);
        let decision = self.state.decider().delete_topics(&request);
        let records = self.apply(&decision.records);
        json!({ "error": name_of(decision.response.responses[0].error_code), "records": records })
    }

    fn create_partitions(&mut self, step: &Value) -> Value {
        let mut topic = CreatePartitionsTopic::default();
        topic.name = topic_name(text(step, "topic"));
        topic.count = step["count"].as_i64().unwrap() as i32;
        topic.assignments = step["assignments"].as_array().map(|assignments| {
            let with = |replicas| {
                let mut assignment = CreatePartitionsAssignment::default();
                assignment.broker_ids = brokers(replicas);
                assignment
            };
            assignments.iter().map(with).collect()
        });
        let mut request = CreatePartitionsRequest::default();
        request.topics.push(topic);
        let decision = self.state.decider().create_partitions(&request, &mut self.draws);
        let records = self.apply(&decision.records);
        json!({ "error": name_of(decision.response.results[0].error_code), "records": records })
    }

    fn alter_partition(&mut self, step: &Value) -> Value {
        let name = topic_name(text(step, "topic"));
        let mut asked = PartitionData::default();
        asked.partition_index = step["partition"].as_i64().unwrap() as i32;
        let current = self.partition(step);
        let current_epochs = current.map_or((0, 0), |known| (known.leader_epoch.0, known.partition_epoch.0));
        asked.leader_epoch = step["leader_epoch"].as_i64().map_or(current_epochs.0, |epoch| epoch as i32);
        asked.partition_epoch = step["partition_epoch"].as_i64().map_or(current_epochs.1, |epoch| epoch as i32);
        asked.leader_recovery_state = i8::from(step["recovery"] == "RECOVERING");
        for member in brokers(&step["isr"]) {
            let registered = self.state.image.brokers.get(&member).map_or(-1, |known| known.epoch.0);
            let mut state = alter_partition_request::BrokerState::default();
            state.broker_id = member;
            state.broker_epoch = step["isr_epochs"][member.0.to_string()].as_i64().unwrap_or(registered);
            asked.new_isr_with_epochs.push(state);
        }
        let mut topic = alter_partition_request::TopicData::default();
        topic.topic_id = self.state.image.topics.get(&name).map_or(Uuid::from_u128(77), |topic| topic.id);
        topic.partitions.push(asked);
        let mut request = AlterPartitionRequest::default();
        request.broker_id = broker(step, "broker");
        let registered = self.state.image.brokers.get(&request.broker_id).map_or(-1, |known| known.epoch.0);
        request.broker_epoch = step["broker_epoch"].as_i64().unwrap_or(registered);
        request.topics.push(topic);
        let decision = match self.state.decider().alter_partition(&request) {
            Ok(decision) => decision,
            Err(error) => return json!({ "error": error_name(error), "records": [] }),
        };
        let records = self.apply(&decision.records);
        let answer = &decision.response.topics[0].partitions[0];
        json!({
            "error": name_of(answer.error_code),
            "leader": answer.leader_id.0,
            "isr": ids(&answer.isr),
            "leader_epoch": answer.leader_epoch,
            "partition_epoch": answer.partition_epoch,
            "records": records,
        })
    }

    fn elect(&mut self, step: &Value) -> Result<Value, String> {
        let mut request = ElectLeadersRequest::default();
        request.election_type = match text(step, "type") {
            "PREFERRED" => 0,
            "UNCLEAN" => 1,
            other => return Err(format!("unknown election type {other}")),
        };
        // Without partitions an election is held for all of them.
        request.topic_partitions = step["partitions"].as_array().map(|partitions| {
            let mut topic = TopicPartitions::default();
            topic.topic = topic_name(text(step, "topic"));
            topic.partitions = partitions.iter().map(|id| id.as_i64().unwrap() as i32).collect();
            vec![topic]
        });
        let decision = self.state.decider().elect_leaders(&request).map_err(error_name)?;
        let records = self.apply(&decision.records);
        let results = decision.response.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        let results: Map<String, Value> =
            results.map(|one| (one.partition_id.to_string(), json!(name_of(one.error_code)))).collect();
        Ok(json!({ "results": results, "records": records }))
    }

    fn reassign(&mut self, step: &Value) -> Value {
        let mut partition = ReassignablePartition::default();
        partition.partition_index = step["partition"].as_i64().unwrap() as i32;
        partition.replicas = step["replicas"].as_array().map(|_| brokers(&step["replicas"]));
        let mut topic = ReassignableTopic::default();
        topic.name = topic_name(text(step, "topic"));
        topic.partitions.push(partition);
        let mut request = AlterPartitionReassignmentsRequest::default();
        request.allow_replication_factor_change = step["allow_rf_change"].as_bool().unwrap_or(true);
        request.topics.push(topic);
        let decision = self.state.decider().alter_partition_reassignments(&request);
        let records = self.apply(&decision.records);
        json!({ "error": name_of(decision.response.responses[0].partitions[0].error_code), "records": records })
    }

    fn reassignments(&self) -> Value {
        let all = self.state.image.partitions().filter(|(_, _, _, partition)| partition.is_reassigning());
        let shown = all.map(|(name, _, index, partition)| {
            json!({
                "topic": name.0.to_string(),
                "partition": index,
                "replicas": ids(&partition.replicas),
                "adding": ids(&partition.adding),
                "removing": ids(&partition.removing),
            })
        });
        Value::Array(shown.collect())
    }

    fn partition(&self, step: &Value) -> Option<PartitionRegistration> {
        let index = step["partition"].as_i64().unwrap() as i32;
        self.state.image.partition(&TopicPartition::named(text(step, "topic"), index)).cloned()
    }

    fn apply(&mut self, records: &[MetadataRecord]) -> Value {
        self.state.replay(records);
        self.as_json(records)
    }

    fn as_json(&self, records: &[MetadataRecord]) -> Value {
        Value::Array(records.iter().map(|record| self.record_as_json(record)).collect())
    }

    fn record_as_json(&self, record: &MetadataRecord) -> Value {
        match record {
            MetadataRecord::RegisterBroker { broker, fenced, .. } => {
                json!({ "type": "RegisterBroker", "broker": broker.0, "fenced": fenced })
            }
            MetadataRecord::BrokerRegistrationChange { broker, fenced, in_controlled_shutdown, .. } => json!({
                "type": "BrokerRegistrationChange",
                "broker": broker.0,
                "fenced": fenced.map_or(0, |fenced| if fenced { 1 } else { -1 }),
                "in_controlled_shutdown": i32::from(in_controlled_shutdown.unwrap_or(false)),
            }),
            MetadataRecord::PartitionChange(change) => self.change_as_json(change),
            MetadataRecord::RemoveTopic { id } => json!({ "type": "RemoveTopic", "topic": self.name_of_topic(*id) }),
            other => json!(format!("{other:?}")),
        }
    }

    fn name_of_topic(&self, id: Uuid) -> Option<&str> {
        self.names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }

    fn change_as_json(&self, change: &PartitionChange) -> Value {
        let mut fields = Map::new();
        fields.insert("type".to_string(), json!("PartitionChange"));
        fields.insert("topic".to_string(), json!(self.name_of_topic(change.topic)));
        fields.insert("partition".to_string(), json!(change.partition));
        let lists = [
            ("isr", &change.isr),
            ("replicas", &change.replicas),
            ("removing", &change.removing),
            ("adding", &change.adding),
            ("elr", &change.elr),
            ("last_known_elr", &change.last_known_elr),
        ];
        for (name, list) in lists {
            if let Some(list) = list {
                fields.insert(name.to_string(), json!(ids(list)));
            }
        }
        if let Some(leader) = change.leader {
            fields.insert("leader".to_string(), json!(leader.map_or(-1, |leader| leader.0)));
        }
        if let Some(recovering) = change.recovering {
            fields.insert("recovery".to_string(), json!(recovery(recovering)));
        }
        Value::Object(fields)
    }
}

/// As the file writes a partition: reassignments only while one runs, the ELR only where it is on.
fn partition_as_json(partition: &PartitionRegistration, with_elr: bool) -> Value {
    let mut shown = json!({
        "replicas": ids(&partition.replicas),
        "isr": ids(&partition.isr),
        "leader": partition.leader.map_or(-1, |leader| leader.0),
        "leader_epoch": partition.leader_epoch.0,
        "partition_epoch": partition.partition_epoch.0,
        "recovery": recovery(partition.recovering),
    });
    if with_elr {
        shown["elr"] = json!(ids(&partition.elr));
        shown["last_known_elr"] = json!(ids(&partition.last_known_elr));
    }
    if partition.is_reassigning() {
        shown["adding"] = json!(ids(&partition.adding));
        shown["removing"] = json!(ids(&partition.removing));
    }
    shown
}

fn recovery(recovering: bool) -> &'static str {
    if recovering { "RECOVERING" } else { "RECOVERED" }
}

fn name_of(code: i16) -> String {
    error(code).map_or("NONE".to_string(), |error: ErrorCode| error_name(error))
}

fn text<'a>(step: &'a Value, key: &str) -> &'a str {
    step[key].as_str().unwrap()
}

fn broker(step: &Value, key: &str) -> BrokerId {
    BrokerId(step[key].as_i64().unwrap() as i32)
}

fn brokers(value: &Value) -> Vec<BrokerId> {
    value.as_array().unwrap().iter().map(|id| BrokerId(id.as_i64().unwrap() as i32)).collect()
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}
