//! The transaction coordinator: what Kafka's own TransactionCoordinator answered over a log in memory,
//! and what it kept of a transactional id.

use std::collections::VecDeque;

use highwater::kafka::config::BrokerConfig;
use highwater::kafka::controller::image::MetadataImage;
use highwater::kafka::controller::record::{MetadataRecord, PartitionRegistration};
use highwater::kafka::coordinator::Coordinator;
use highwater::kafka::fact::error_name;
use highwater::kafka::node::{Effects, Turn};
use highwater::kafka::transaction::metadata::{Transaction, TransactionVersion};
use highwater::kafka::transaction::{Context, TransactionCoordinator};
use highwater::sorted::SortedMap;
use highwater::time::{Duration, Instant};
use highwater::wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use highwater::wire::messages::write_txn_markers_request::WritableTxnMarker;
use highwater::wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use highwater::wire::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, WriteTxnMarkersResponse,
};
use highwater::wire::{
    Body, BrokerEpoch, BrokerId, ClientId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, ProducerId, Request,
    Response, TopicPartition, TransactionalId, Uuid, error, partition_of_key, str_bytes, topic_name,
};
use serde_json::{Map, Value, json};

use crate::golden::{flag, int, int_or, run_file, run_steps};

/// Who leads every partition of every topic.
const LEADER: BrokerId = BrokerId(9);
const CLIENT: NodeId = NodeId::Client(ClientId(1));
/// The transactional id that a step means which names none.
const TXN: &str = "txn";
const PARTITIONS: i32 = 50;
const EPOCH: LeaderEpoch = LeaderEpoch(0);

#[test]
fn golden_txn_coordinator() {
    run_file(include_str!("../golden/txn_coordinator.json"), |case| match case["kind"].as_str() {
        Some("transaction_coordinator") => {
            let mut harness = Harness::new(case)?;
            run_steps(case, |step| harness.apply(step))
        }
        other => Err(format!("unknown kind {other:?}")),
    });
}

enum AppendMode {
    Ok,
    Defer,
    Fail(ErrorCode),
}

struct Harness {
    coordinator: TransactionCoordinator,
    image: MetadataImage,
    effects: Effects,
    now: Instant,
    version: TransactionVersion,
    next_producer_id: i64,
    next_correlation: u64,
    mode: AppendMode,
    /// Partitions of appends that wait for `flush_append`.
    held: VecDeque<i32>,
    log_end: Offset,
    /// What the coordinator knew when it was told not to be one.
    saved: SortedMap<TransactionalId, Transaction>,
}

impl Harness {
    fn new(case: &Value) -> Result<Harness, String> {
        let settings = case["config"].as_object().ok_or("no config")?;
        let mut config = BrokerConfig::default();
        let mut version = 2;
        for (name, value) in settings {
            match name.as_str() {
                "transaction_version" => version = value.as_i64().ok_or("a version is a number")? as i16,
                "two_phase_commit" => config.transaction_two_phase_commit = value.as_bool().ok_or("true or false")?,
                "max_timeout_ms" => {
                    config.transaction_max_timeout = Duration::from_millis(value.as_i64().ok_or("milliseconds")?);
                }
                other => return Err(format!("unknown setting {other}")),
            }
        }
        let now = Instant::from_millis(1_000_000);
        let mut effects = Effects::new(1);
        let mut coordinator = TransactionCoordinator::new(BrokerId(0), &config, now);
        for partition in 0..PARTITIONS {
            coordinator.load(&mut Turn::new(now, &mut effects), partition, EPOCH, []);
        }
        Ok(Harness {
            coordinator,
            image: image(case, version),
            effects,
            now,
            version: TransactionVersion(version),
            next_producer_id: 0,
            next_correlation: 1_000,
            mode: AppendMode::Ok,
            held: VecDeque::new(),
            log_end: Offset::ZERO,
            saved: SortedMap::new(),
        })
    }

    fn apply(&mut self, step: &Value) -> Result<Value, String> {
        match step["op"].as_str().unwrap_or_default() {
            "init_producer_id" => self.init_producer_id(step),
            "add_partitions" => self.add_partitions(step, false),
            "verify_partitions" => self.add_partitions(step, true),
            "end_txn" => self.end_txn(step),
            "append_mode" => {
                self.mode = match step["mode"].as_str().ok_or("no mode")? {
                    "ok" => AppendMode::Ok,
                    "defer" => AppendMode::Defer,
                    name => AppendMode::Fail(error_named(name)?),
                };
                Ok(Value::Null)
            }
            "flush_append" => {
                while let Some(partition) = self.held.pop_front() {
                    self.appended(partition);
                }
                self.settle();
                Ok(Value::Null)
            }
            "sleep" => {
                self.now += Duration::from_millis(int(step, "ms")?);
                Ok(Value::Null)
            }
            "abort_timed_out" => {
                let mut turn = Turn::new(self.now, &mut self.effects);
                self.coordinator.abort_timed_out(&mut turn, self.version);
                self.settle();
                Ok(Value::Null)
            }
            "state" => Ok(self.state(step)),
            "state_error" => self.state_error(step),
            "markers_pending" => Ok(self.markers_pending(step)),
            "complete_markers" => self.complete_markers(),
            "set_epoch" => self.change(step, |transaction, step| {
                transaction.current.producer_epoch = int(step, "producer_epoch")? as i16;
                Ok(())
            }),
            "clear_pending" => self.change(step, |transaction, _| {
                transaction.pending = None;
                Ok(())
            }),
            other => Err(format!("unknown op {other}")),
        }
    }

    fn init_producer_id(&mut self, step: &Value) -> Result<Value, String> {
        let expected = &step["expected"];
        let named = step.get("transactional_id").is_none_or(|id| !id.is_null());
        let request = InitProducerIdRequest::default()
            .with_transactional_id(named.then(|| id(step)))
            .with_transaction_timeout_ms(int_or(step, "timeout_ms", 60_000) as i32)
            .with_producer_id(ProducerId(int_or(expected, "producer_id", -1)))
            .with_producer_epoch(int_or(expected, "producer_epoch", -1) as i16)
            .with_enable_2_pc(flag(step, "two_pc"))
            .with_keep_prepared_txn(flag(step, "keep_prepared"));
        let Some(Response::InitProducerId(answer)) = self.ask(self.version, request) else { return Ok(pending()) };
        let mut got = answer_error(answer.error_code);
        if answer.error_code == 0 {
            got.insert("producer_id".into(), json!(answer.producer_id.0));
            got.insert("producer_epoch".into(), json!(answer.producer_epoch));
        }
        Ok(got.into())
    }

    fn add_partitions(&mut self, step: &Value, verify_only: bool) -> Result<Value, String> {
        let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
        for partition in partitions(step)? {
            match topics.iter_mut().find(|topic| topic.name == partition.topic) {
                Some(topic) => topic.partitions.push(partition.partition),
                None => topics.push(
                    AddPartitionsToTxnTopic::default()
                        .with_name(partition.topic)
                        .with_partitions(vec![partition.partition]),
                ),
            }
        }
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id(step))
            .with_producer_id(ProducerId(int(step, "producer_id")?))
            .with_producer_epoch(int(step, "producer_epoch")? as i16)
            .with_verify_only(verify_only)
            .with_topics(topics);
        let request = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
        let Some(Response::AddPartitionsToTxn(answer)) = self.ask(self.client_version(step), request) else {
            return Ok(pending());
        };
        let results = answer.results_by_transaction.iter().flat_map(|result| &result.topic_results);
        let codes: Vec<i16> =
            results.flat_map(|topic| &topic.results_by_partition).map(|p| p.partition_error_code).collect();
        let first = *codes.first().ok_or("an answer without partitions")?;
        if !verify_only && codes.iter().any(|code| *code != first) {
            return Err(format!("different errors: {codes:?}"));
        }
        Ok(answer_error(codes.into_iter().find(|code| *code != 0).unwrap_or(0)).into())
    }

    fn end_txn(&mut self, step: &Value) -> Result<Value, String> {
        let request = EndTxnRequest::default()
            .with_transactional_id(id(step))
            .with_producer_id(ProducerId(int(step, "producer_id")?))
            .with_producer_epoch(int(step, "producer_epoch")? as i16)
            .with_committed(flag(step, "commit"));
        let Some(Response::EndTxn(answer)) = self.ask(self.client_version(step), request) else {
            return Ok(pending());
        };
        let mut got = answer_error(answer.error_code);
        if answer.producer_id.0 != -1 {
            got.insert("producer_id".into(), json!(answer.producer_id.0));
            got.insert("producer_epoch".into(), json!(answer.producer_epoch));
        }
        Ok(got.into())
    }

    fn client_version(&self, step: &Value) -> TransactionVersion {
        TransactionVersion(int_or(step, "client_version", self.version.0.into()) as i16)
    }

    /// The answer, if there is one yet.
    fn ask(&mut self, version: TransactionVersion, request: impl Into<Request>) -> Option<Response> {
        self.next_correlation += 1;
        let correlation = Correlation(self.next_correlation);
        let context = Context { from: CLIENT, correlation, version };
        let next = &mut self.next_producer_id;
        let mut ids = |_: &mut Turn<'_>| {
            *next += 1;
            Ok(ProducerId(*next - 1))
        };
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.handle_as(&mut turn, &self.image, &mut ids, &context, &request.into());
        self.settle();
        let is_answer =
            |(to, envelope): &(NodeId, highwater::wire::Envelope)| *to == CLIENT && envelope.correlation == correlation;
        let at = self.effects.sends.iter().position(is_answer)?;
        match self.effects.sends.remove(at).1.body {
            Body::Response(response) => Some(response),
            Body::Request(_) => None,
        }
    }

    /// Appends what the coordinator decided and lets it send its markers, as its broker does.
    fn settle(&mut self) {
        loop {
            let appends = self.coordinator.take_appends();
            let idle = appends.is_empty();
            for append in appends {
                match self.mode {
                    AppendMode::Ok => self.appended(append.partition),
                    AppendMode::Defer => self.held.push_back(append.partition),
                    AppendMode::Fail(error) => {
                        let mut turn = Turn::new(self.now, &mut self.effects);
                        self.coordinator.appended(&mut turn, append.partition, Err(error));
                    }
                }
            }
            self.coordinator.send_markers(&mut Turn::new(self.now, &mut self.effects), &self.image);
            if idle {
                return;
            }
        }
    }

    fn appended(&mut self, partition: i32) {
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.appended(&mut turn, partition, Ok(self.log_end));
        self.log_end += 1;
        self.coordinator.committed(&mut turn, partition, self.log_end);
    }

    fn state(&self, step: &Value) -> Value {
        let Some(Transaction { current, pending, failed_epoch_fence: _ }) = self.coordinator.transaction(&id(step))
        else {
            return Value::Null;
        };
        let partitions: Vec<String> = current.partitions.iter().map(TopicPartition::to_string).collect();
        let mut state = json!({
            "state": current.state.name(),
            "producer_id": current.producer_id.0,
            "producer_epoch": current.producer_epoch,
            "last_producer_epoch": current.last_producer_epoch,
            "prev_producer_id": current.prev_producer_id.0,
            "txn_start_ms": current.start_ms,
            "timeout_ms": current.timeout_ms,
            "client_transaction_version": current.client_version.0,
            "partitions": partitions,
        });
        if let Some(pending) = pending {
            state["pending_state"] = json!(pending.name());
        }
        state
    }

    /// The store of the transactional ids answers with an error, or with what it knew before.
    fn state_error(&mut self, step: &Value) -> Result<Value, String> {
        if self.coordinator.transactions().next().is_some() {
            self.saved = self.coordinator.transactions().map(|(id, known)| (id.clone(), known.clone())).collect();
        }
        let mut turn = Turn::new(self.now, &mut self.effects);
        for partition in 0..PARTITIONS {
            self.coordinator.resigned(&mut turn, partition);
            match step["error"].as_str() {
                Some("NOT_COORDINATOR") => {}
                Some("COORDINATOR_LOAD_IN_PROGRESS") => self.coordinator.loading(partition, EPOCH),
                Some(other) => return Err(format!("unknown state error {other}")),
                None => self.coordinator.load(&mut turn, partition, EPOCH, []),
            }
        }
        if step["error"].is_null() {
            for (id, known) in std::mem::take(&mut self.saved) {
                self.coordinator.put(partition_of_key(&id.0, PARTITIONS), id, known);
            }
        }
        Ok(Value::Null)
    }

    fn markers_pending(&self, step: &Value) -> Value {
        let Some(markers) = self.coordinator.pending_markers(&id(step)) else { return Value::Null };
        let partitions: Vec<String> = markers.remaining.iter().map(TopicPartition::to_string).collect();
        json!({
            "result": if markers.commit { "COMMIT" } else { "ABORT" },
            "producer_id": markers.producer_id.0,
            "producer_epoch": markers.producer_epoch,
            "coordinator_epoch": markers.coordinator_epoch.0,
            "partitions": partitions,
        })
    }

    /// The leader has written every marker that it was asked for.
    fn complete_markers(&mut self) -> Result<Value, String> {
        let leader = NodeId::Broker(LEADER);
        let Some(at) = self.effects.sends.iter().position(|(to, _)| *to == leader) else {
            return self.complete_again();
        };
        let envelope = self.effects.sends.remove(at).1;
        let Body::Request(Request::WriteTxnMarkers(request)) = &envelope.body else {
            return Err(format!("{envelope:?}"));
        };
        let response = WriteTxnMarkersResponse::default().with_markers(request.markers.iter().map(written).collect());
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.markers_written(&mut turn, LEADER, envelope.correlation, &response);
        self.settle();
        Ok(Value::Null)
    }

    /// The markers are written, and the log did not take it before.
    fn complete_again(&mut self) -> Result<Value, String> {
        let soon = self.now + Duration::from_secs(1);
        let retry = self.coordinator.next_alarm().map(|(at, _)| at).filter(|at| *at <= soon);
        let at = retry.ok_or("no markers were sent")?;
        self.coordinator.alarm(&mut Turn::new(at, &mut self.effects), &self.image);
        self.settle();
        Ok(Value::Null)
    }

    /// What only Kafka's own tests can do: reach into the coordinator's memory.
    fn change(
        &mut self,
        step: &Value,
        change: impl FnOnce(&mut Transaction, &Value) -> Result<(), String>,
    ) -> Result<Value, String> {
        let id = id(step);
        let mut transaction = self.coordinator.transaction(&id).cloned().ok_or("an unknown id")?;
        change(&mut transaction, step)?;
        self.coordinator.put(partition_of_key(&id.0, PARTITIONS), id, transaction);
        Ok(Value::Null)
    }
}

/// A cluster of that transaction version in which one broker leads every partition of the case.
fn image(case: &Value, version: i16) -> MetadataImage {
    let mut image = MetadataImage::new();
    image.replay(&MetadataRecord::FeatureLevel { name: str_bytes("transaction.version"), level: version });
    image.replay(&MetadataRecord::RegisterBroker {
        broker: LEADER,
        incarnation: Uuid::nil(),
        epoch: BrokerEpoch(1),
        rack: None,
        fenced: false,
        in_controlled_shutdown: false,
    });
    let steps = case["steps"].as_array().into_iter().flatten();
    let mut named: Vec<TopicPartition> = steps.filter_map(|step| partitions(step).ok()).flatten().collect();
    named.sort();
    named.dedup();
    for partition in named {
        let known = image.topics.get(&partition.topic).map(|topic| topic.id);
        let id = known.unwrap_or_else(|| {
            let id = Uuid::from_u128(image.topics.len() as u128 + 1);
            image.replay(&MetadataRecord::Topic { name: topic_name(partition.topic.0.as_str()), id });
            id
        });
        image.replay(&MetadataRecord::Partition {
            topic: id,
            partition: partition.partition,
            registration: PartitionRegistration {
                leader: Some(LEADER),
                ..PartitionRegistration::new(vec![LEADER], vec![LEADER])
            },
        });
    }
    image
}

fn written(marker: &WritableTxnMarker) -> WritableTxnMarkerResult {
    let partition = |index: &i32| WritableTxnMarkerPartitionResult::default().with_partition_index(*index);
    let topics = marker.topics.iter().map(|topic| {
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partition_indexes.iter().map(partition).collect())
    });
    WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics.collect())
}

fn id(step: &Value) -> TransactionalId {
    TransactionalId(str_bytes(step["transactional_id"].as_str().unwrap_or(TXN)))
}

fn partitions(step: &Value) -> Result<Vec<TopicPartition>, String> {
    let names = step["partitions"].as_array().ok_or("no partitions")?;
    let parse = |name: &Value| name.as_str().and_then(TopicPartition::parse).ok_or(format!("no partition {name}"));
    names.iter().map(parse).collect()
}

fn pending() -> Value {
    json!({ "error": "PENDING" })
}

fn answer_error(code: i16) -> Map<String, Value> {
    let name = error(code).map_or("NONE".to_string(), error_name);
    Map::from_iter([("error".to_string(), json!(name))])
}

fn error_named(name: &str) -> Result<ErrorCode, String> {
    (-1..200).filter_map(error).find(|error| error_name(*error) == name).ok_or(format!("unknown error {name}"))
}
