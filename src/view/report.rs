//! The JSON of `highwater run --format json`: one object, stable field names, times in
//! microseconds of virtual time.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::history::Run;
use crate::kafka::client::{Consumer, Producer};
use crate::kafka::controller::image::Configs;
use crate::kafka::fact::{Names, error_name};
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::classic::ClassicGroup;
use crate::kafka::group::consumer::{ConsumerGroup, ConsumerMember};
use crate::kafka::log::Log;
use crate::sim::metrics::Metric;
use crate::sim::queries::{BrokerCondition, Delivered, Reader};
use crate::sim::{Anomaly, AnomalyKind, Event, Member, Power, World};
use crate::sorted::SortedMap;
use crate::view::guarantees::{self, PropertyState};
use crate::view::metadata_log;
use crate::view::metrics::{self, Kind};
use crate::view::shares;
use crate::view::streams;
use crate::view::transactions;
use crate::wire::batch::{Batch, Record};
use crate::wire::{BrokerId, TopicPartition};

#[derive(Serialize)]
pub struct Report {
    time: i64,
    seed: u64,
    ok: bool,
    checks: Vec<Value>,
    brokers: Vec<Value>,
    controllers: Vec<Value>,
    metadata: Value,
    topics: Vec<Value>,
    groups: Vec<Value>,
    producers: Vec<Value>,
    consumers: Vec<Value>,
    share_consumers: Vec<Value>,
    streams: Vec<Value>,
    verdict: Value,
    metrics: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// What the report leaves out or adds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Without records and events.
    pub brief: bool,
    /// With the digest of the final state.
    pub digest: bool,
}

/// The report of a run and of what it told on its way.
pub fn report(run: &Run, events: &[Event], extent: Extent) -> Report {
    let world = &run.world;
    let mut checks: Vec<_> = run.checks().iter().cloned().chain(run.kept_always()).collect();
    checks.sort_by_key(|check| (check.line, check.at));
    Report {
        time: world.now.0,
        seed: world.setup.seed,
        ok: run.all_checks_hold(),
        checks: checks
            .into_iter()
            .map(|c| json!({ "line": c.line, "text": c.text, "ok": c.ok, "time": c.at.0, "actual": c.actual }))
            .collect(),
        brokers: world.brokers().map(|(id, _, _)| broker(world, id)).collect(),
        controllers: controllers(world),
        metadata: metadata(world, extent.brief),
        topics: topics(world, extent.brief),
        groups: world.group_names().iter().map(|name| group(world, name)).collect(),
        producers: world.producers().map(|(name, producer)| self::producer(name, producer, extent.brief)).collect(),
        consumers: world.consumers().map(|(name, _, consumer)| self::consumer(name, consumer, extent.brief)).collect(),
        share_consumers: world
            .share_consumers()
            .map(|(name, _, consumer)| shares::report_consumer(name, consumer, extent.brief))
            .collect(),
        streams: world.streams().map(|(name, _, stream)| streams::report(world, name, stream, extent.brief)).collect(),
        verdict: verdict(world),
        metrics: metrics(world),
        events: (!extent.brief).then(|| events.iter().map(|event| self::event(world, event)).collect()),
        digest: extent.digest.then(|| world.digest().to_string()),
    }
}

fn broker(world: &World, id: BrokerId) -> Value {
    let registration = world.image().brokers.get(&id);
    let state = match world.broker_condition(id) {
        Some(BrokerCondition::Alive) => "alive",
        Some(BrokerCondition::Starting | BrokerCondition::Fenced) => "fenced",
        Some(BrokerCondition::Frozen) => "frozen",
        Some(BrokerCondition::ShuttingDown) => "shutting-down",
        Some(BrokerCondition::Dead) | None => "dead",
    };
    let rack = registration.and_then(|r| r.rack.as_ref()).map(|rack| rack.to_string());
    let mut value = json!({ "id": id.0, "state": state, "rack": rack, "epoch": registration.map(|r| r.epoch.0) });
    if let Some(disk) = world.disk(id) {
        value["disk_latency"] = json!(disk.latency.0);
    }
    value
}

fn controllers(world: &World) -> Vec<Value> {
    let one =
        |(id, member, controller): (crate::wire::ControllerId, &Member, &crate::kafka::controller::Controller)| {
            json!({
                "id": id.to_string(),
                "state": controller_state(member, controller),
                "epoch": controller.epoch().0,
                "log_end_offset": controller.log_end().0,
                "high_watermark": controller.high_watermark().map(|offset| offset.0),
                "voter": world.newest_quorum().is_some_and(|quorum| quorum.voters().contains(&id)),
                "log_start_offset": controller.disk.log.log_start().0,
                "snapshots": controller
                    .disk
                    .snapshots
                    .iter()
                    .map(|snapshot| json!({ "end_offset": snapshot.id.end.0, "epoch": snapshot.id.epoch.0 }))
                    .collect::<Vec<_>>(),
            })
        };
    world.controllers().map(one).collect()
}

/// What the controllers agreed on, and the metadata log of the one that leads (else of the one whose
/// log is longest), record by record.
fn metadata(world: &World, brief: bool) -> Value {
    let image = world.image();
    let mut features: SortedMap<String, i16> =
        image.features.iter().map(|(name, level)| (name.to_string(), *level)).collect();
    let quorum = world.newest_quorum();
    features.extend(quorum.map(|quorum| ("kraft.version".to_string(), quorum.kraft_version())));
    let configs =
        |configs: &Configs| configs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<SortedMap<_, _>>();
    let brokers: SortedMap<String, _> =
        image.broker_configs.iter().map(|(id, own)| (id.0.to_string(), configs(own))).collect();
    let voters: Vec<String> =
        quorum.map_or(Vec::new(), |quorum| quorum.voters().iter().map(ToString::to_string).collect());
    let mut value = json!({
        "offset": image.offset.0,
        "features": features,
        "voters": voters,
        "configs": configs(&image.cluster_configs),
        "broker_configs": brokers,
    });
    if !brief {
        let longest = world.controllers().max_by_key(|(_, _, c)| (c.is_active(), c.epoch(), c.log_end()));
        let entries = longest.map(|(_, _, c)| {
            let committed = c.high_watermark().unwrap_or(c.disk.log.log_start());
            metadata_log::entries(&c.disk, c.disk.log.log_start(), committed, image)
        });
        value["log"] = json!(entries.unwrap_or_default());
    }
    value
}

fn controller_state(member: &Member, controller: &crate::kafka::controller::Controller) -> &'static str {
    use crate::kafka::quorum::QuorumRole;
    if member.power != Power::Running {
        return "dead";
    }
    match controller.role() {
        None => "dead",
        Some(QuorumRole::Leader) => "leader",
        Some(QuorumRole::Candidate | QuorumRole::Prospective) => "candidate",
        Some(QuorumRole::Unattached | QuorumRole::Follower | QuorumRole::Resigned | QuorumRole::Observer) => "follower",
    }
}

fn topics(world: &World, brief: bool) -> Vec<Value> {
    let image = world.image();
    let one = |(name, topic): (&crate::wire::TopicName, &crate::kafka::controller::image::TopicImage)| {
        let configs: SortedMap<String, String> =
            topic.configs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let partitions: Vec<Value> = topic
            .partitions
            .keys()
            .map(|index| partition(world, &TopicPartition { topic: name.clone(), partition: *index }, brief))
            .collect();
        json!({ "name": name.0.as_str(), "id": topic.id.to_string(), "configs": configs, "partitions": partitions })
    };
    image.topics.iter().map(one).collect()
}

fn partition(world: &World, partition: &TopicPartition, brief: bool) -> Value {
    let Some(registration) = world.registration(partition) else { return Value::Null };
    let log = world.log_of(partition, None);
    let ids = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<_>>();
    let logs: Vec<Value> = registration
        .replicas
        .iter()
        .filter_map(|replica| Some(replica_log(*replica, world.log_of(partition, Some(*replica))?, brief)))
        .collect();
    json!({
        "partition": partition.partition,
        "leader": registration.leader.map(|leader| leader.0),
        "leader_epoch": registration.leader_epoch.0,
        "partition_epoch": registration.partition_epoch.0,
        "replicas": ids(&registration.replicas),
        "isr": ids(&registration.isr),
        "elr": ids(&registration.elr),
        "adding": ids(&registration.adding),
        "removing": ids(&registration.removing),
        "log_start_offset": log.map(|log| log.log_start().0),
        "high_watermark": log.map(|log| log.high_watermark().0),
        "last_stable_offset": log.map(|log| log.last_stable_offset().0),
        "logs": logs,
    })
}

fn replica_log(broker: BrokerId, log: &Log, brief: bool) -> Value {
    let epochs: Vec<(i32, i64)> = log.epochs().iter().map(|(epoch, start)| (epoch.0, start.0)).collect();
    let mut value = json!({
        "broker": broker.0,
        "log_start_offset": log.log_start().0,
        "log_end_offset": log.log_end().0,
        "high_watermark": log.high_watermark().0,
        "last_stable_offset": log.last_stable_offset().0,
        "epochs": epochs,
        "flushed": log.flushed().0,
        "cleaned": log.cleaned_to().map(|offset| offset.0),
        "size": log.size(),
        "segments": log.segments().map(|segment| json!({
            "base_offset": segment.base().0, "size": segment.size(), "max_timestamp": segment.max_timestamp(),
            "offset_index": segment.offset_index().len(), "time_index": segment.time_index().len(),
        })).collect::<Vec<_>>(),
        "producers": log.producers().entries().map(|(id, entry)| json!({
            "producer_id": id.0, "producer_epoch": entry.epoch, "last_sequence": entry.last_sequence(),
        })).collect::<Vec<_>>(),
    });
    if !brief {
        let records: Vec<Value> = log.batches(log.log_start()).flat_map(|batch| records(log, &batch)).collect();
        value["records"] = Value::Array(records);
    }
    value
}

fn records(log: &Log, batch: &Batch) -> Vec<Value> {
    let fate = transactions::fate(log, batch);
    let mut records: Vec<Value> =
        batch.records().unwrap_or_default().iter().map(|record| self::record(batch, record)).collect();
    if let Some(fate) = fate {
        records.iter_mut().for_each(|record| record["transaction"] = json!(fate.word()));
    }
    records
}

fn record(batch: &Batch, record: &Record) -> Value {
    let control = batch.is_control().then(|| control_type(record.key.as_ref()));
    let mut value = json!({
        "offset": record.offset,
        "key": bytes(record.key.as_ref()),
        "value": bytes(record.value.as_ref()),
        "timestamp": record.timestamp,
        "leader_epoch": batch.leader_epoch.0,
        "producer_id": batch.producer_id.0,
        "producer_epoch": batch.producer_epoch,
        "sequence": record.sequence,
        "control": control,
    });
    if let Ok(compression) = batch.compression()
        && batch.is_compressed()
    {
        value["compression"] = json!(compression.to_string());
    }
    if !record.headers.is_empty() {
        let headers = record.headers.iter().map(|(name, header)| (name.to_string(), bytes(header.as_ref())));
        value["headers"] = Value::Object(headers.collect());
    }
    value
}

/// ControlRecordType, from the record's key: version, type.
fn control_type(key: Option<&Bytes>) -> &'static str {
    match key.and_then(|key| key.get(2..4)) {
        Some([0, 0]) => "abort",
        Some([0, 1]) => "commit",
        Some([0, 2]) => "leader_change",
        _ => "other",
    }
}

/// Text where the bytes are UTF-8, else `{"hex": …}`.
pub fn bytes(bytes: Option<&Bytes>) -> Value {
    match bytes {
        None => Value::Null,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::String(text.to_string()),
            Err(_) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
        },
    }
}

fn group(world: &World, name: &str) -> Value {
    let coordinator = world.coordinator(name).map(|broker| broker.0);
    let offsets: Vec<Value> = world
        .committed_offsets(name)
        .iter()
        .map(|(partition, offset)| {
            json!({
                "partition": partition.to_string(),
                "committed": offset.offset.0,
                "leader_epoch": offset.leader_epoch.0,
                "metadata": offset.metadata.as_str(),
            })
        })
        .collect();
    if let Some(group) = world.consumer_group(name) {
        return json!({
            "id": name,
            "protocol": "consumer",
            "state": group.state().name(),
            "generation": group.epoch,
            "target_epoch": group.target_epoch,
            "coordinator": coordinator,
            "assignor": world.assignor_of(name),
            "members": consumer_members(world, group),
            "offsets": offsets,
        });
    }
    if world.share_group(name).is_some() {
        return shares::report_group(world, name);
    }
    let Some(group) = world.group(name) else {
        return json!({
            "id": name, "protocol": "classic", "state": "Dead", "generation": 0, "coordinator": coordinator,
            "assignor": null, "members": [], "offsets": offsets,
        });
    };
    json!({
        "id": name,
        "protocol": "classic",
        "state": group.state.name().to_string(),
        "generation": group.generation,
        "coordinator": coordinator,
        "assignor": group.protocol.as_ref().map(|protocol| protocol.to_string()),
        "members": members(group),
        "offsets": offsets,
    })
}

fn members(group: &ClassicGroup) -> Vec<Value> {
    let one = |member: &crate::kafka::group::classic::Member| {
        let assignment: Vec<String> = crate::kafka::group::protocol::assigned_partitions(&member.assignment)
            .iter()
            .map(TopicPartition::to_string)
            .collect();
        json!({ "id": member.id.as_str(), "client": member.client_id.as_str(), "assignment": assignment })
    };
    group.members.iter().map(one).collect()
}

/// With what each member has, what it is to give up, and what the target gives it.
fn consumer_members(world: &World, group: &ConsumerGroup) -> Vec<Value> {
    let named = |partitions: &Partitions| -> Vec<String> {
        crate::kafka::group::consumer::named(partitions, world.image()).iter().map(TopicPartition::to_string).collect()
    };
    let one = |member: &ConsumerMember| {
        json!({
            "id": member.id.as_str(),
            "client": member.metadata.client_id.as_str(),
            "protocol": if member.is_classic() { "classic" } else { "consumer" },
            "state": member.current.state.name(),
            "epoch": member.current.epoch,
            "assignment": named(&member.current.assigned),
            "revoking": named(&member.current.revoking),
            "target": named(&group.target_of(&member.id)),
        })
    };
    group.members.values().map(one).collect()
}

fn producer(name: &str, producer: &Producer, brief: bool) -> Value {
    let identity = producer.identity();
    let failed: SortedMap<String, u64> = producer
        .failed()
        .iter()
        .map(|(code, count)| (crate::wire::error(*code).map_or_else(|| code.to_string(), error_name), *count))
        .collect();
    let mut value = json!({
        "name": name,
        "transactional_id": producer.transactional_id(),
        "transaction": producer.transaction().map(|(state, _)| state.name()),
        "producer_id": identity.map(|identity| identity.id.0),
        "epoch": identity.map(|identity| identity.epoch),
        "sent": producer.sent(),
        "acked": producer.acked(),
        "failed": failed,
        "pending": producer.pending(),
    });
    if !brief {
        value["results"] = Value::Array(producer.results().iter().flat_map(|result| results(&result)).collect());
    }
    value
}

fn results(result: &crate::kafka::client::BatchResult) -> Vec<Value> {
    let batches = Batch::parse_all(result.records.clone(), false).unwrap_or_default();
    let records = batches.iter().flat_map(|batch| batch.records().unwrap_or_default());
    let (base, error) = match result.outcome {
        Ok(base) => (base.0, None),
        Err(error) => (-1, Some(error_name(error))),
    };
    records
        .enumerate()
        .map(|(index, record)| {
            json!({
                "topic": result.partition.topic.0.as_str(),
                "partition": Some(result.partition.partition).filter(|partition| *partition >= 0),
                "key": bytes(record.key.as_ref()),
                "value": bytes(record.value.as_ref()),
                "offset": if base < 0 { base } else { base + index as i64 },
                "error": error,
            })
        })
        .collect()
}

/// A record as it was handed over.
pub fn delivered(record: &Delivered) -> Value {
    json!({
        "partition": record.partition.to_string(),
        "offset": record.offset.0,
        "key": bytes(record.key.as_ref()),
        "value": bytes(record.value.as_ref()),
    })
}

fn consumer(name: &str, consumer: &Consumer, brief: bool) -> Value {
    let positions: SortedMap<String, i64> =
        consumer.positions().iter().map(|(partition, offset)| (partition.to_string(), offset.0)).collect();
    let mut value = json!({ "name": name, "group": consumer.group(), "positions": positions });
    if !brief {
        let delivered = Reader::Consumer(consumer).records(None);
        value["delivered"] = Value::Array(delivered.iter().map(self::delivered).collect());
    }
    value
}

fn verdict(world: &World) -> Value {
    let ledger = world.ledger();
    let groups = ledger.groups();
    let by_group =
        |count: &dyn Fn(&str) -> u64| groups.iter().map(|g| (g.clone(), count(g))).collect::<SortedMap<_, _>>();
    let anomalies: Vec<Value> = ledger.anomalies().map(|anomaly| self::anomaly(world, anomaly)).collect();
    json!({
        "acked": ledger.acked,
        "lost": ledger.lost(),
        "duplicated": by_group(&|group| ledger.duplicated(group)),
        "reordered": ledger.reordered(),
        "skipped": by_group(&|group| ledger.skipped(group)),
        "phantom": ledger.phantom(),
        "anomalies": anomalies,
        "properties": properties(world),
    })
}

/// The properties of the engine that are broken or not promised at the moment; those kept go without saying.
fn properties(world: &World) -> Vec<Value> {
    let rows = guarantees::properties(world).into_iter();
    rows.filter_map(|row| match row.state {
        PropertyState::Kept => None,
        PropertyState::NotPromised(partitions) => {
            Some(json!({ "name": row.name, "state": "not-promised", "partitions": partitions }))
        }
        PropertyState::Broken { text, event } => {
            Some(json!({ "name": row.name, "state": "broken", "text": text, "event": event }))
        }
    })
    .collect()
}

/// The metrics at the end, each with what all reporters say and what each says. Rates are per second.
fn metrics(world: &World) -> Vec<Value> {
    let one = |(metric, (whole, by)): (Metric, (i64, Vec<(String, i64)>))| {
        let about = metrics::About::of(metric);
        let number = |value: i64| match metric.kind() {
            Kind::Rate => json!(value as f64 / 1_000.0),
            Kind::Gauge | Kind::Count => json!(value),
        };
        let by: SortedMap<String, Value> = by.into_iter().map(|(name, value)| (name, number(value))).collect();
        json!({ "name": about.title(), "mbean": about.mbean, "unit": about.unit, "value": number(whole), "by": by })
    };
    metrics::measure(world).into_iter().map(one).collect()
}

fn anomaly(world: &World, anomaly: &Anomaly) -> Value {
    json!({
        "kind": word(anomaly.kind),
        "partition": anomaly.partition.to_string(),
        "first": anomaly.first.0,
        "last": anomaly.last.0,
        "group": anomaly.group,
        "event": anomaly.event.0,
        "prevented_by": guarantees::prevention(world, anomaly),
    })
}

/// The word for a broken promise.
pub fn word(kind: AnomalyKind) -> &'static str {
    match kind {
        AnomalyKind::Lost => "lost",
        AnomalyKind::Duplicated => "duplicated",
        AnomalyKind::Reordered => "reordered",
        AnomalyKind::Skipped => "skipped",
        AnomalyKind::Phantom => "phantom",
    }
}

fn event(world: &World, event: &Event) -> Value {
    let mut value = json!({
        "time": event.at.0,
        "id": event.id.0,
        "cause": event.cause.map(|cause| cause.0),
        "kind": event.fact.kind(),
        "text": event.fact.text(world as &dyn Names),
    });
    if let Some(partition) = event.fact.partition() {
        value["partition"] = json!(partition.to_string());
    }
    if let Some(broker) = event.fact.broker() {
        value["broker"] = json!(broker.0);
    }
    value
}
