//! The steps that golden files run against one log (UnifiedLog): shared by the runners of
//! `truncation`, `producer_state`, `segments_retention` and `list_offsets`.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use highwater::kafka::config::TopicConfig;
use highwater::kafka::log::producer_entry::ProducerEntry;
use highwater::kafka::log::producer_state::VerificationGuard;
use highwater::kafka::log::{Appended, Log, Lookup, Origin, ReadUpTo, UNEXPECTED_APPEND_OFFSET};
use highwater::time::{Duration, Instant};
use highwater::wire::batch::{Batch, BatchHeader, EndTxnMarker, NewRecord};
use highwater::wire::{ErrorCode, LeaderEpoch, Offset, ProducerId};
use serde_json::{Value, json};

use crate::golden::{flag, int, int_or, run_steps};

/// A log, its clock and the guards that a case has named.
pub struct LogCase {
    pub log: Log,
    pub now: Instant,
    guards: BTreeMap<String, Option<VerificationGuard>>,
}

/// One case of the kind `log`.
pub fn run_log_case(case: &Value) -> Result<(), String> {
    let mut subject = LogCase::new(&case["config"])?;
    run_steps(case, |step| subject.apply(step))
}

impl LogCase {
    pub fn new(config: &Value) -> Result<LogCase, String> {
        let now = Instant::from_millis(int_or(config, "start_time_ms", 1_000_000));
        let mut log = Log::created_at(topic_config(config)?, now);
        log.set_verification(flag(config, "verification"));
        Ok(LogCase { log, now, guards: BTreeMap::new() })
    }

    /// What the step's op answers, in the words of the golden files.
    pub fn apply(&mut self, step: &Value) -> Result<Value, String> {
        let offset = |name: &str| int(step, name).map(Offset);
        Ok(match step["op"].as_str().unwrap_or("") {
            "append" => self.append(step)?,
            "append_follower" => self.append_follower(step)?,
            "marker" => self.marker(step)?,
            "sleep" => {
                self.now += Duration::from_millis(int(step, "ms")?);
                Value::Null
            }
            "roll" => {
                self.log.roll(step["expected_next_offset"].as_i64().map(Offset), self.now);
                Value::Null
            }
            "reload" => {
                self.log.close();
                self.log.reopen(None);
                Value::Null
            }
            "assign_epoch" => {
                self.log.assign_epoch(LeaderEpoch(int(step, "epoch")? as i32), offset("start_offset")?);
                Value::Null
            }
            "truncate_to" => json!(self.log.truncate_to(offset("offset")?)),
            "truncate_fully_and_start_at" => {
                self.log.truncate_fully_and_start_at(offset("offset")?);
                Value::Null
            }
            "update_hw" => json!(self.log.update_high_watermark(offset("offset")?).0),
            "increment_log_start" => result(self.log.increment_log_start(offset("offset")?), |moved| json!(moved)),
            "delete_old_segments" => json!(self.log.delete_old_segments(self.now).segments()),
            "first_unstable_offset" => json!(self.log.first_unstable_offset().map(|first| first.0)),
            "end_offset_for_epoch" => {
                let end = self.log.end_offset_for(LeaderEpoch(int(step, "epoch")? as i32));
                let (epoch, offset) = end.map_or((-1, -1), |end| (end.epoch.0, end.end.0));
                json!({"epoch": epoch, "offset": offset})
            }
            "state" => self.state(),
            "producers" => self.producers(),
            "aborted_txns" => self.aborted(offset("from")?, offset("to")?),
            "read" => self.read(step)?,
            "start_verification" => self.start_verification(step)?,
            "list_offsets" => self.list_offsets(&step["timestamp"])?,
            other => return Err(format!("unknown op {other}")),
        })
    }

    fn append(&mut self, step: &Value) -> Result<Value, String> {
        let batch = Batch::build(&header(step), &records(step, self.now)?);
        let epoch = LeaderEpoch(int_or(step, "leader_epoch", 0) as i32);
        let origin = match step["origin"].as_str() {
            None | Some("CLIENT") => Origin::Client,
            Some("COORDINATOR") => Origin::Coordinator,
            Some("REPLICATION") => return self.append_replicated(batch, epoch),
            Some(other) => return Err(format!("unknown origin {other}")),
        };
        let guard = match step["guard"].as_str() {
            Some(name) => *self.guards.get(name).ok_or_else(|| format!("unknown guard {name}"))?,
            None => None,
        };
        let appended = self.log.append_verified(batch.bytes().clone(), epoch, origin, self.now, guard, 0);
        Ok(result(appended, told))
    }

    /// At the log's end, but with no producer's state checked.
    fn append_replicated(&mut self, batch: Batch, epoch: LeaderEpoch) -> Result<Value, String> {
        let stamped = batch.into_stamped(self.log.log_end(), epoch);
        let appended = self.log.append_as_follower(stamped.bytes().clone(), epoch, self.now);
        let appended = appended.map(|appended| appended.expect("a batch of the fetch's own epoch is not dropped"));
        Ok(result(appended, told))
    }

    fn append_follower(&mut self, step: &Value) -> Result<Value, String> {
        let mut fetched = BytesMut::new();
        for listed in step["batches"].as_array().ok_or("no batches")? {
            let batch = Batch::build(&header(listed), &records(listed, self.now)?);
            let epoch = LeaderEpoch(int(listed, "leader_epoch")? as i32);
            fetched.put_slice(batch.stamped(Offset(int(listed, "base_offset")?), epoch).bytes());
        }
        let leader_epoch = LeaderEpoch(int_or(step, "leader_epoch", i64::from(i32::MAX)) as i32);
        let appended = self.log.append_as_follower(fetched.freeze(), leader_epoch, self.now);
        let end = self.log.log_end().0;
        Ok(match appended {
            Err(error) if error == UNEXPECTED_APPEND_OFFSET => json!({"error": "UNEXPECTED_APPEND_OFFSET"}),
            other => result(other, |_| json!({"log_end_offset": end})),
        })
    }

    fn marker(&mut self, step: &Value) -> Result<Value, String> {
        let commit = match step["type"].as_str() {
            Some("COMMIT") => true,
            Some("ABORT") => false,
            other => return Err(format!("unknown type {other:?}")),
        };
        let marker = EndTxnMarker { commit, coordinator_epoch: int_or(step, "coordinator_epoch", 0) as i32 };
        let batch = marker.batch(ProducerId(int(step, "pid")?), int(step, "epoch")? as i16, self.now.millis());
        let version = int_or(step, "transaction_version", 0) as i16;
        let epoch = LeaderEpoch(int_or(step, "leader_epoch", 0) as i32);
        let bytes = batch.bytes().clone();
        Ok(result(self.log.append_verified(bytes, epoch, Origin::Coordinator, self.now, None, version), told))
    }

    pub fn state(&self) -> Value {
        let epochs = self.log.epochs();
        let epochs: Vec<Value> =
            epochs.iter().map(|(epoch, start)| json!({"epoch": epoch.0, "start_offset": start.0})).collect();
        json!({
            "log_start_offset": self.log.log_start().0, "log_end_offset": self.log.log_end().0,
            "high_watermark": self.log.high_watermark().0, "last_stable_offset": self.log.last_stable_offset().0,
            "segments": self.log.segments().map(|segment| segment.base().0).collect::<Vec<_>>(), "epochs": epochs,
        })
    }

    fn producers(&self) -> Value {
        let entry = |(id, entry): (ProducerId, &ProducerEntry)| {
            let mut told = producer_entry(entry);
            told.as_object_mut().map(|fields| fields.remove("first_data_offset"));
            (id.0.to_string(), told)
        };
        self.log.producers().entries().map(entry).collect::<serde_json::Map<_, _>>().into()
    }

    fn aborted(&self, from: Offset, to: Offset) -> Value {
        let txns = self.log.aborted_transactions(from, to);
        txns.iter()
            .map(|txn| {
                json!({"pid": txn.producer_id.0, "first_offset": txn.first.0, "last_offset": txn.last.0,
                    "last_stable_offset": txn.last_stable.0})
            })
            .collect()
    }

    fn read(&self, step: &Value) -> Result<Value, String> {
        let (up_to, committed) = match step["isolation"].as_str() {
            None | Some("LOG_END") => (ReadUpTo::LogEnd, false),
            Some("HIGH_WATERMARK") => (ReadUpTo::HighWatermark, false),
            Some("TXN_COMMITTED") => (ReadUpTo::LastStableOffset, true),
            other => return Err(format!("unknown isolation {other:?}")),
        };
        let from = Offset(int(step, "offset")?);
        let max_bytes = int_or(step, "max_bytes", i64::from(i32::MAX)) as i32;
        let read = match self.log.read(from, max_bytes, up_to) {
            Ok(read) => read,
            Err(error) => return Ok(json!({"error": error_name(error)})),
        };
        let aborted = self.log.aborted_in(from, &read);
        let batches = Batch::parse_all(read.records, true).map_err(|e| e.to_string())?;
        let mut record_offsets = Vec::new();
        for batch in &batches {
            record_offsets.extend(batch.records().map_err(|e| e.to_string())?.iter().map(|record| record.offset));
        }
        let mut told = json!({
            "batch_base_offsets": batches.iter().map(|batch| batch.base_offset.0).collect::<Vec<_>>(),
            "record_offsets": record_offsets,
        });
        if committed {
            let aborted: Vec<Value> =
                aborted.iter().map(|txn| json!({"pid": txn.producer_id.0, "first_offset": txn.first.0})).collect();
            told["aborted_transactions"] = json!(aborted);
        }
        Ok(told)
    }

    fn start_verification(&mut self, step: &Value) -> Result<Value, String> {
        let name = step["guard"].as_str().ok_or("no guard")?;
        let guard = self.log.start_verification(
            ProducerId(int(step, "pid")?),
            int(step, "seq")? as i32,
            int(step, "epoch")? as i16,
            step["supports_epoch_bump"].as_bool().unwrap_or(true),
            self.now,
        );
        self.guards.insert(name.to_string(), guard);
        Ok(json!({"sentinel": guard.is_none()}))
    }

    fn list_offsets(&self, timestamp: &Value) -> Result<Value, String> {
        let lookup = match timestamp.as_str() {
            None => Lookup::from_timestamp(timestamp.as_i64().ok_or("no timestamp")?),
            Some("EARLIEST") => Lookup::Earliest,
            Some("LATEST") => Lookup::Latest,
            Some("MAX") => Lookup::MaxTimestamp,
            Some("EARLIEST_LOCAL") => Lookup::EarliestLocal,
            Some("LATEST_TIERED") => Lookup::LatestTiered,
            Some("EARLIEST_PENDING_UPLOAD") => Lookup::EarliestPendingUpload,
            Some(other) => return Err(format!("unknown timestamp {other}")),
        };
        Ok(self.log.find_offset(lookup).map_or(Value::Null, |found| {
            let epoch = found.epoch.map(|epoch| epoch.0);
            json!({"timestamp": found.timestamp, "offset": found.offset.0, "leader_epoch": epoch})
        }))
    }
}

/// The `log` configs of the golden files; their segments default to 1 MiB.
pub fn topic_config(config: &Value) -> Result<TopicConfig, String> {
    let mut topic = TopicConfig {
        segment_bytes: 1 << 20,
        timestamp_after_max: Duration::from_millis(i64::MAX),
        ..TopicConfig::default()
    };
    for (name, value) in config.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "verification" | "start_time_ms") {
            set_topic_config(&mut topic, name, value)?;
        }
    }
    Ok(topic)
}

/// One config of a topic by its name in the golden files.
pub fn set_topic_config(topic: &mut TopicConfig, name: &str, value: &Value) -> Result<(), String> {
    if name == "timestamp_type" {
        topic.log_append_time = value.as_str() == Some("LogAppendTime");
        return Ok(());
    }
    if name == "cleanup_policy" {
        let policy = value.as_str().ok_or("cleanup_policy is text")?;
        (topic.delete, topic.compact) = (policy.contains("delete"), policy.contains("compact"));
        return Ok(());
    }
    let number = value.as_i64().ok_or_else(|| format!("{name} is no number"))?;
    let millis = Duration::from_millis(number);
    match name {
        "min_insync_replicas" => topic.min_insync_replicas = number as i32,
        "segment_bytes" => topic.segment_bytes = number as i32,
        "segment_ms" => topic.segment_time = millis,
        "segment_index_bytes" => topic.segment_index_bytes = number as i32,
        "retention_ms" => topic.retention = (number >= 0).then_some(millis),
        "retention_bytes" => topic.retention_bytes = (number >= 0).then_some(number),
        "index_interval_bytes" => topic.index_interval_bytes = number as i32,
        "max_message_bytes" => topic.max_message_bytes = number as i32,
        "delete_retention_ms" => topic.delete_retention = millis,
        "min_compaction_lag_ms" => topic.min_compaction_lag = millis,
        "max_compaction_lag_ms" => topic.max_compaction_lag = millis,
        other => return Err(format!("unknown config {other}")),
    }
    Ok(())
}

/// A step's producer fields.
pub fn header(step: &Value) -> BatchHeader {
    BatchHeader {
        producer_id: ProducerId(int_or(step, "pid", -1)),
        producer_epoch: int_or(step, "epoch", -1) as i16,
        base_sequence: int_or(step, "seq", -1) as i32,
        transactional: flag(step, "txn"),
        control: false,
    }
}

/// A step's records: `[key, value]` or `[key, value, timestamp]`; the clock's time without one.
pub fn records(step: &Value, now: Instant) -> Result<Vec<NewRecord>, String> {
    let bytes = |value: &Value| value.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let record = |listed: &Value| NewRecord {
        timestamp: listed[2].as_i64().unwrap_or(now.millis()),
        key: bytes(&listed[0]),
        value: bytes(&listed[1]),
        headers: Vec::new(),
    };
    Ok(step["records"].as_array().ok_or("no records")?.iter().map(record).collect())
}

pub fn producer_entry(entry: &ProducerEntry) -> Value {
    json!({
        "epoch": entry.epoch, "first_seq": entry.first_sequence(), "last_seq": entry.last_sequence(),
        "first_data_offset": entry.first_data_offset().0, "last_data_offset": entry.last_data_offset().0,
        "cached_batches": entry.batches().len(), "txn_first_offset": entry.txn_first.map_or(-1, |first| first.0),
        "coordinator_epoch": entry.coordinator_epoch,
    })
}

pub fn result<T>(result: Result<T, ErrorCode>, told: impl FnOnce(T) -> Value) -> Value {
    match result {
        Ok(value) => told(value),
        Err(error) => json!({"error": error_name(error)}),
    }
}

pub fn told(appended: Appended) -> Value {
    let mut told = json!({"first_offset": appended.first.0, "last_offset": appended.last.0});
    if appended.duplicate {
        told["duplicate"] = json!(true);
    }
    told
}

/// Kafka's name of an error: `OFFSET_OUT_OF_RANGE`.
pub fn error_name(error: ErrorCode) -> String {
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
