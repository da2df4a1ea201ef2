//! The kind `partition` of `hw_isr.json` and `truncation.json`: one partition on several brokers,
//! with the real fetcher between them.

use std::collections::BTreeMap;

use bytes::Bytes;
use highwater::kafka::config::BrokerConfig;
use highwater::kafka::fact::{Fact, error_name};
use highwater::kafka::log::{Log, Origin};
use highwater::kafka::node::{Effects, Turn};
use highwater::kafka::replica::fetcher::{Fetcher, FollowState, FollowerLogs};
use highwater::kafka::replica::offsets::Isolation;
use highwater::kafka::replica::{
    After, Fetch, FollowerAppendError, IsrProposal, Liveness, NEVER, Partition, PartitionState, partition_data,
};
use highwater::time::{Duration, Instant};
use highwater::wire::batch::{Batch, BatchHeader, NewRecord};
use highwater::wire::messages::fetch_response::{FetchResponse, FetchableTopicResponse};
use highwater::wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use highwater::wire::{
    Body, BrokerEpoch, BrokerId, Correlation, ErrorCode, LeaderEpoch, Offset, PartitionEpoch, Request, Response,
    TopicPartition, Uuid,
};
use serde_json::{Map, Value, json};

use crate::log_cases::set_topic_config;

const TOPIC_ID: Uuid = Uuid::from_u128(7);

pub fn run_partition_case(case: &Value) -> Result<(), String> {
    let mut cluster = Cluster::new(&case["config"])?;
    for (i, step) in case["steps"].as_array().ok_or("no steps")?.iter().enumerate() {
        let op = step["op"].as_str().ok_or("a step without op")?;
        let got = cluster.step(op, step).map_err(|why| format!("step {i} {op}: {why}"))?;
        let expected = step.get("expect").unwrap_or(&Value::Null);
        if got != *expected && !(expected.is_null() && step.get("expect").is_none() && !is_question(op)) {
            return Err(format!("step {i} {step}: got {got}"));
        }
    }
    Ok(())
}

/// Operations whose missing `expect` means: nothing.
fn is_question(op: &str) -> bool {
    op == "alter_partition_request"
}

struct Member {
    partition: Partition,
    log: Log,
    fetcher: Option<Fetcher>,
    /// The head of the AlterPartition queue.
    outstanding: Option<IsrProposal>,
    /// Truncations that the next iteration of the fetcher reports.
    truncated: Vec<i64>,
}

#[derive(Clone)]
struct Metadata {
    epoch: i64,
    fenced: bool,
    shutting_down: bool,
}

struct Cluster {
    config: BrokerConfig,
    now: Instant,
    members: BTreeMap<BrokerId, Member>,
    brokers: Brokers,
    effects: Effects,
}

#[derive(Clone)]
struct Brokers(BTreeMap<BrokerId, Metadata>);

impl Liveness for Brokers {
    fn eligible(&self, broker: BrokerId) -> bool {
        self.0.get(&broker).is_some_and(|b| !b.fenced && !b.shutting_down)
    }

    fn broker_epoch(&self, broker: BrokerId) -> Option<BrokerEpoch> {
        self.0.get(&broker).filter(|b| !b.fenced).map(|b| BrokerEpoch(b.epoch))
    }
}

struct OneLog<'a>(&'a mut Log);

impl FollowerLogs for OneLog<'_> {
    fn log(&self, _: &TopicPartition) -> Option<&Log> {
        Some(self.0)
    }

    fn log_mut(&mut self, _: &TopicPartition) -> Option<&mut Log> {
        Some(self.0)
    }
}

impl Cluster {
    fn new(config: &Value) -> Result<Cluster, String> {
        let mut settings = BrokerConfig::default();
        let mut log_config = settings.topic_defaults.clone();
        for (name, value) in config.as_object().into_iter().flatten() {
            match name.as_str() {
                "brokers" | "start_time_ms" => {}
                "replica_lag_time_max_ms" => {
                    settings.replica_lag_time_max = Duration::from_millis(number(config, name)?);
                }
                _ => set_topic_config(&mut log_config, name, value)?,
            }
        }
        let ids: Vec<BrokerId> = ids(&config["brokers"]);
        let members = ids.iter().map(|id| (*id, Member::new(*id, &settings, &log_config))).collect();
        let metadata = |id: &BrokerId| Metadata { epoch: i64::from(id.0) + 1000, fenced: false, shutting_down: false };
        Ok(Cluster {
            now: Instant::from_millis(config["start_time_ms"].as_i64().unwrap_or(1_000_000)),
            brokers: Brokers(ids.iter().map(|id| (*id, metadata(id))).collect()),
            members,
            config: settings,
            effects: Effects::new(1),
        })
    }

    fn step(&mut self, op: &str, step: &Value) -> Result<Value, String> {
        match op {
            "sleep" => {
                self.now += Duration::from_millis(number(step, "ms")?);
                Ok(Value::Null)
            }
            "broker_metadata" => self.broker_metadata(step),
            _ => {
                let id = BrokerId(number(step, "broker")? as i32);
                self.broker_step(op, id, step)
            }
        }
    }

    fn broker_metadata(&mut self, step: &Value) -> Result<Value, String> {
        let id = BrokerId(number(step, "id")? as i32);
        let broker = self.brokers.0.get_mut(&id).ok_or("unknown broker")?;
        if let Some(epoch) = step["epoch"].as_i64() {
            broker.epoch = epoch;
        }
        if let Some(fenced) = step["fenced"].as_bool() {
            broker.fenced = fenced;
        }
        if let Some(shutting_down) = step["shutting_down"].as_bool() {
            broker.shutting_down = shutting_down;
        }
        Ok(Value::Null)
    }

    fn broker_step(&mut self, op: &str, id: BrokerId, step: &Value) -> Result<Value, String> {
        let (now, brokers) = (self.now, self.brokers.clone());
        if op == "replicate" {
            return self.replicate(id);
        }
        if op == "follower_fetch" {
            return self.follower_fetch(id, step);
        }
        let member = self.members.get_mut(&id).ok_or("unknown broker")?;
        match op {
            "seed_log" => member.seed(step, now),
            "make_leader" => {
                member.fetcher = None;
                let change = member.partition.make_leader(&mut member.log, state(step, id), &brokers, now);
                Ok(json!(change.new_role))
            }
            "make_follower" => {
                let state = state(step, BrokerId(number(step, "leader")? as i32));
                Ok(json!(member.make_follower(id, state, now, &mut self.effects)))
            }
            "state" => Ok(member.state()),
            "replica_state" => member.replica_state(step),
            "alter_partition_request" => Ok(member.alter_partition_request()),
            "alter_partition_success" => member.alter_partition_success(step, &brokers, now),
            "alter_partition_error" => member.alter_partition_error(step),
            "isr_metrics" => {
                let c = member.partition.counters();
                Ok(json!({"expands": c.expands, "shrinks": c.shrinks, "failures": c.failures}))
            }
            "out_of_sync_replicas" => Ok(list(&member.partition.out_of_sync_replicas(&member.log, now))),
            "maybe_shrink_isr" => {
                let proposal = member.partition.maybe_shrink_isr(&member.log, &brokers, now);
                member.submit(proposal);
                Ok(Value::Null)
            }
            "produce" => member.produce(step, &brokers, now),
            "at_min_isr" => Ok(json!(member.partition.is_at_min_isr(&member.log))),
            "under_min_isr" => Ok(json!(member.partition.is_under_min_isr(&member.log))),
            "check_acks" => {
                let required = Offset(number(step, "required_offset")?);
                let checked = member.partition.check_acks(&member.log, required);
                let error = checked.and_then(Result::err).map_or("NONE".to_string(), error_name);
                Ok(json!({"complete": checked.is_some(), "error": error}))
            }
            "delete_records" => {
                let offset = Offset(number(step, "offset")?);
                match member.partition.delete_records(&mut member.log, offset) {
                    Ok((requested, _)) => {
                        let low = member.partition.low_watermark(&member.log, &brokers);
                        Ok(json!({"requested_offset": requested.0, "low_watermark": low.0}))
                    }
                    Err(error) => Ok(json!({"error": error_name(error)})),
                }
            }
            "restart" => member.restart(id, &self.config, step),
            "log" => member.records(),
            "epochs" => {
                let epochs = member.log.epochs().into_iter();
                Ok(epochs.map(|(epoch, start)| json!({"epoch": epoch.0, "start_offset": start.0})).collect())
            }
            "update_hw" => Ok(json!(member.log.update_high_watermark(Offset(number(step, "offset")?)).0)),
            "increment_log_start" => Ok(json!(member.log.maybe_increment_log_start(Offset(number(step, "offset")?)))),
            "append_as_follower" => member.append_as_follower(step, now),
            "end_offset_for_epoch" => member.end_offset_for_epoch(step),
            "produce_ts" => member.produce_at(step, &brokers, now),
            "list_offsets" => member.list_offsets(step),
            _ => Err("unknown operation".to_string()),
        }
    }

    fn follower_fetch(&mut self, id: BrokerId, step: &Value) -> Result<Value, String> {
        let replica = BrokerId(number(step, "replica")? as i32);
        let fetch = Fetch {
            offset: Offset(number(step, "fetch_offset")?),
            max_bytes: i32::MAX,
            log_start: Offset(step["log_start_offset"].as_i64().unwrap_or(0)),
            current_leader_epoch: step["current_leader_epoch"].as_i64().map(|e| LeaderEpoch(e as i32)),
            last_fetched_epoch: step["last_fetched_epoch"].as_i64().map(|e| LeaderEpoch(e as i32)),
        };
        let known = self.brokers.0.get(&replica).map_or(-1, |b| b.epoch);
        let epoch = BrokerEpoch(step["broker_epoch"].as_i64().unwrap_or(known));
        let member = self.members.get_mut(&id).ok_or("unknown broker")?;
        let (brokers, now) = (&self.brokers, self.now);
        let result = member.partition.fetch_as_follower(&mut member.log, replica, epoch, &fetch, true, brokers, now);
        let (read, after) = match result {
            Ok(done) => done,
            Err(error) => return Ok(json!({"error": error_name(error)})),
        };
        member.submit(after.proposal);
        let mut answer = Map::new();
        answer.insert("high_watermark".into(), json!(read.high_watermark.0));
        answer.insert("log_end_offset".into(), json!(read.log_end.0));
        answer.insert("log_start_offset".into(), json!(read.log_start.0));
        match read.diverging {
            Some(end) => {
                answer.insert("diverging_epoch".into(), json!({"epoch": end.epoch.0, "end_offset": end.end.0}))
            }
            None => answer.insert("record_offsets".into(), json!(offsets(read.records)?)),
        };
        Ok(Value::Object(answer))
    }

    /// One iteration of the follower's fetcher, answered by the leader that it believes in.
    fn replicate(&mut self, id: BrokerId) -> Result<Value, String> {
        let mut follower = self.members.remove(&id).ok_or("unknown broker")?;
        let mut answer = Map::new();
        if let Some(fetcher) = &mut follower.fetcher {
            let epoch = BrokerEpoch(self.brokers.0.get(&id).map_or(-1, |b| b.epoch));
            let mut turn = Turn::new(self.now, &mut self.effects);
            fetcher.send(&mut turn, &self.config, epoch, &OneLog(&mut follower.log));
            while let Some((to, envelope)) = self.effects.sends.pop() {
                let leader = self.members.get_mut(&BrokerId(to.node_id())).ok_or("unknown leader")?;
                let response = leader.answer(&envelope.body, &self.brokers, self.now)?;
                let mut turn = Turn::new(self.now, &mut self.effects);
                let correlation: Correlation = envelope.correlation;
                let mut logs = OneLog(&mut follower.log);
                fetcher.handle_response(&mut turn, &self.config, correlation, &response, &mut logs);
            }
            for fact in self.effects.facts.drain(..) {
                match fact {
                    Fact::Truncated { to, .. } | Fact::LogStartMoved { to, .. } => follower.truncated.push(to.0),
                    _ => {}
                }
            }
            if fetcher.follow(&partition()).is_some_and(|follow| follow.state == FollowState::Failed) {
                answer.insert("partition_failed".into(), json!(true));
            }
        } else {
            answer.insert("fetching".into(), json!(false));
        }
        answer.insert("log_end_offset".into(), json!(follower.log.log_end().0));
        answer.insert("high_watermark".into(), json!(follower.log.high_watermark().0));
        let truncated = std::mem::take(&mut follower.truncated);
        if !truncated.is_empty() {
            answer.insert("truncated_to".into(), json!(truncated));
        }
        self.members.insert(id, follower);
        Ok(Value::Object(answer))
    }
}

impl Member {
    fn new(id: BrokerId, config: &BrokerConfig, log_config: &highwater::kafka::config::TopicConfig) -> Member {
        Member {
            partition: Partition::new(id, config),
            log: Log::new(log_config.clone()),
            fetcher: None,
            outstanding: None,
            truncated: Vec::new(),
        }
    }

    fn seed(&mut self, step: &Value, now: Instant) -> Result<Value, String> {
        let epoch = LeaderEpoch(number(step, "leader_epoch")? as i32);
        for value in values(step) {
            let appended = self.log.append_as_leader(one_record(&value, now), epoch, Origin::Client, now);
            appended.map_err(|error| format!("seeding: {error:?}"))?;
        }
        Ok(Value::Null)
    }

    fn make_follower(&mut self, id: BrokerId, state: PartitionState, now: Instant, effects: &mut Effects) -> bool {
        let (leader, leader_epoch) = (state.leader, state.leader_epoch);
        let change = self.partition.make_follower(state);
        if change.new_leader_epoch {
            self.fetcher = leader.map(|leader| {
                let mut fetcher = Fetcher::new(id, leader);
                if self.log.latest_epoch().is_none() {
                    self.truncated.push(self.log.high_watermark().0);
                }
                let mut turn = Turn::new(now, effects);
                fetcher.add(&mut turn, &partition(), TOPIC_ID, leader_epoch, &mut self.log);
                effects.facts.clear();
                fetcher
            });
        }
        change.new_leader_epoch
    }

    fn state(&self) -> Value {
        let mut state = Map::new();
        let leads = self.partition.is_leader();
        state.insert("log_start_offset".into(), json!(self.log.log_start().0));
        state.insert("log_end_offset".into(), json!(self.log.log_end().0));
        state.insert("high_watermark".into(), json!(self.log.high_watermark().0));
        state.insert("is_leader".into(), json!(leads));
        state.insert("leader_epoch".into(), json!(self.partition.leader_epoch().0));
        state.insert("partition_epoch".into(), json!(self.partition.partition_epoch().0));
        if leads {
            state.insert("isr".into(), list(self.partition.isr()));
            state.insert("maximal_isr".into(), list(&self.partition.maximal_isr()));
            state.insert("isr_change_in_flight".into(), json!(self.partition.pending().is_some()));
        }
        Value::Object(state)
    }

    fn replica_state(&self, step: &Value) -> Result<Value, String> {
        let id = BrokerId(number(step, "replica")? as i32);
        let remote = self.partition.remote(id).ok_or("no such replica")?;
        let caught_up = if remote.last_caught_up == NEVER { 0 } else { remote.last_caught_up.millis() };
        Ok(json!({
            "log_end_offset": remote.log_end.0,
            "log_start_offset": remote.log_start.0,
            "last_caught_up_time_ms": caught_up,
        }))
    }

    /// One request in flight per broker: what is submitted meanwhile is not attempted.
    fn submit(&mut self, proposal: Option<IsrProposal>) {
        let Some(proposal) = proposal else { return };
        if self.outstanding.is_some() {
            self.partition.alter_partition_failed(&proposal, ErrorCode::OperationNotAttempted);
        } else {
            self.outstanding = Some(proposal);
        }
    }

    fn alter_partition_request(&self) -> Value {
        let Some(proposal) = &self.outstanding else { return Value::Null };
        let ids: Vec<BrokerId> = proposal.isr.iter().map(|(id, _)| *id).collect();
        let epochs: Map<String, Value> =
            proposal.isr.iter().map(|(id, epoch)| (id.0.to_string(), json!(epoch.0))).collect();
        json!({
            "isr": list(&ids),
            "leader_epoch": proposal.leader_epoch.0,
            "partition_epoch": proposal.partition_epoch.0,
            "broker_epochs": epochs,
        })
    }

    fn alter_partition_success(&mut self, step: &Value, brokers: &Brokers, now: Instant) -> Result<Value, String> {
        let proposal = self.outstanding.take().ok_or("nothing outstanding")?;
        let epoch = PartitionEpoch(number(step, "new_partition_epoch")? as i32);
        let isr = proposal.isr.iter().map(|(id, _)| *id).collect();
        if self.partition.alter_partition_succeeded(&proposal, proposal.leader_epoch, epoch, isr) {
            self.partition.maybe_increment_high_watermark(&mut self.log, brokers, now);
        }
        Ok(Value::Null)
    }

    fn alter_partition_error(&mut self, step: &Value) -> Result<Value, String> {
        let proposal = self.outstanding.take().ok_or("nothing outstanding")?;
        let name = step["error"].as_str().ok_or("no error")?;
        let error = (-1..200)
            .filter_map(ErrorCode::try_from_code)
            .find(|error| error_name(*error) == name)
            .ok_or(format!("unknown error {name}"))?;
        self.outstanding = self.partition.alter_partition_failed(&proposal, error);
        Ok(Value::Null)
    }

    fn produce(&mut self, step: &Value, brokers: &Brokers, now: Instant) -> Result<Value, String> {
        let acks = number(step, "acks")? as i16;
        let (mut first, mut last, mut advanced) = (None, Offset::UNKNOWN, false);
        for value in values(step) {
            let batch = one_record(&value, now);
            let appended = self.partition.append_as_leader(&mut self.log, batch, acks, Origin::Client, brokers, now);
            match appended {
                Ok((appended, After { high_watermark, .. })) => {
                    first.get_or_insert(appended.first);
                    last = appended.last;
                    advanced |= high_watermark.is_some();
                }
                Err(error) => return Ok(json!({"error": error_name(error)})),
            }
        }
        Ok(json!({
            "first_offset": first.ok_or("nothing produced")?.0,
            "last_offset": last.0,
            "required_offset": last.0 + 1,
            "hw_advanced": advanced,
        }))
    }

    fn restart(&mut self, id: BrokerId, config: &BrokerConfig, step: &Value) -> Result<Value, String> {
        if let Some(tail) = step["lose_tail_from"].as_i64() {
            self.log.truncate_to(Offset(tail));
        }
        self.log.reopen(step["hw_checkpoint"].as_i64().map(Offset));
        self.partition = Partition::new(id, config);
        self.fetcher = None;
        self.outstanding = None;
        Ok(json!({"log_end_offset": self.log.log_end().0, "high_watermark": self.log.high_watermark().0}))
    }

    fn records(&self) -> Result<Value, String> {
        let mut list = Vec::new();
        for batch in self.log.batches(self.log.log_start()) {
            let records = batch.records().map_err(|error| format!("{error:?}"))?;
            for record in records {
                if record.offset >= self.log.log_start().0 {
                    let value = record.value.unwrap_or_default();
                    let value = String::from_utf8_lossy(&value).into_owned();
                    list.push(json!({"offset": record.offset, "epoch": batch.leader_epoch.0, "value": value}));
                }
            }
        }
        Ok(Value::Array(list))
    }

    fn append_as_follower(&mut self, step: &Value, now: Instant) -> Result<Value, String> {
        let base = Offset(number(step, "base_offset")?);
        let epoch = LeaderEpoch(step["leader_epoch"].as_i64().unwrap_or(0) as i32);
        let fetch_epoch = LeaderEpoch(step["fetch_leader_epoch"].as_i64().unwrap_or(i64::from(i32::MAX)) as i32);
        let count = number(step, "count")?;
        let records = (0..count).map(|i| record(&format!("v{i}"), now)).collect::<Vec<_>>();
        let batch = Batch::build(&no_producer(), &records).stamped(base, epoch);
        let result = Partition::append_as_follower(&mut self.log, batch.bytes().clone(), fetch_epoch, now);
        Ok(match result {
            Ok(_) => self.state(),
            Err(FollowerAppendError::UnexpectedOffset { .. }) => json!({"error": "UNEXPECTED_APPEND_OFFSET"}),
            Err(FollowerAppendError::Refused(error)) => json!({"error": error_name(error)}),
        })
    }

    fn end_offset_for_epoch(&self, step: &Value) -> Result<Value, String> {
        let claimed = step["current_leader_epoch"].as_i64().map(|e| LeaderEpoch(e as i32));
        let epoch = LeaderEpoch(number(step, "epoch")? as i32);
        let leader_only = step["only_leader"].as_bool().ok_or("no only_leader")?;
        Ok(match self.partition.end_offset_for_epoch(&self.log, claimed, leader_only, epoch) {
            Ok(Some(end)) => json!({"epoch": end.epoch.0, "end_offset": end.end.0}),
            Ok(None) => json!({"epoch": -1, "end_offset": -1}),
            Err(error) => json!({"error": error_name(error)}),
        })
    }

    /// One batch whose records have these timestamps.
    fn produce_at(&mut self, step: &Value, brokers: &Brokers, now: Instant) -> Result<Value, String> {
        let records = step["records"].as_array().ok_or("no records")?.iter().map(|pair| {
            let value = pair[1].as_str().unwrap_or_default();
            NewRecord { timestamp: pair[0].as_i64().unwrap_or(-1), ..record(value, now) }
        });
        let batch = Batch::build(&no_producer(), &records.collect::<Vec<_>>()).bytes().clone();
        let acks = step["acks"].as_i64().unwrap_or(1) as i16;
        match self.partition.append_as_leader(&mut self.log, batch, acks, Origin::Client, brokers, now) {
            Ok((appended, _)) => Ok(json!({"first_offset": appended.first.0, "last_offset": appended.last.0})),
            Err(error) => Ok(json!({"error": error_name(error)})),
        }
    }

    fn list_offsets(&self, step: &Value) -> Result<Value, String> {
        let timestamp = match step["timestamp"].as_str() {
            None => number(step, "timestamp")?,
            Some("LATEST") => -1,
            Some("EARLIEST") => -2,
            Some("MAX") => -3,
            Some("EARLIEST_LOCAL") => -4,
            Some("LATEST_TIERED") => -5,
            Some("EARLIEST_PENDING_UPLOAD") => -6,
            Some(other) => return Err(format!("unknown timestamp {other}")),
        };
        let isolation = match step["isolation"].as_str() {
            Some("none") => Isolation::Replica,
            Some("read_uncommitted") => Isolation::ReadUncommitted,
            Some("read_committed") => Isolation::ReadCommitted,
            other => return Err(format!("unknown isolation {other:?}")),
        };
        let claimed = step["current_leader_epoch"].as_i64().map(|e| LeaderEpoch(e as i32));
        Ok(match self.partition.list_offset(&self.log, claimed, timestamp, isolation) {
            Ok(None) => Value::Null,
            Ok(Some(found)) => json!({
                "timestamp": found.timestamp,
                "offset": found.offset.0,
                "leader_epoch": found.leader_epoch.0,
            }),
            Err(error) => json!({"error": error_name(error)}),
        })
    }

    /// As leader: the answer to a fetcher's FETCH or LIST_OFFSETS.
    fn answer(&mut self, body: &Body, brokers: &Brokers, now: Instant) -> Result<Response, String> {
        match body {
            Body::Request(Request::Fetch(request)) => {
                let from = request.replica_state.replica_id;
                let epoch = BrokerEpoch(request.replica_state.replica_epoch);
                let topic = request.topics.first().ok_or("a fetch of nothing")?;
                let asked = topic.partitions.first().ok_or("a fetch of nothing")?;
                let fetch = Fetch {
                    offset: Offset(asked.fetch_offset),
                    max_bytes: i32::MAX,
                    log_start: Offset(asked.log_start_offset),
                    current_leader_epoch: Some(LeaderEpoch(asked.current_leader_epoch)),
                    last_fetched_epoch: Some(LeaderEpoch(asked.last_fetched_epoch)).filter(|e| e.0 >= 0),
                };
                let log = &mut self.log;
                let read = self.partition.fetch_as_follower(log, from, epoch, &fetch, true, brokers, now);
                let read = read.map(|(read, after)| {
                    self.submit(after.proposal);
                    read
                });
                let topic = FetchableTopicResponse::default()
                    .with_topic_id(topic.topic_id)
                    .with_partitions(vec![partition_data(0, &read)]);
                Ok(FetchResponse::default().with_responses(vec![topic]).into())
            }
            Body::Request(Request::ListOffsets(request)) => {
                let asked = &request.topics[0].partitions[0];
                let claimed = Some(LeaderEpoch(asked.current_leader_epoch));
                let checked = self.partition.check_reader(claimed, true);
                let offset = if asked.timestamp == -1 { self.log.log_end() } else { self.log.log_start() };
                let answer = ListOffsetsPartitionResponse::default()
                    .with_error_code(checked.err().map_or(0, |error| error.code()))
                    .with_offset(offset.0);
                let topic = ListOffsetsTopicResponse::default().with_partitions(vec![answer]);
                Ok(ListOffsetsResponse::default().with_topics(vec![topic]).into())
            }
            other => Err(format!("the fetcher sent {other:?}")),
        }
    }
}

fn partition() -> TopicPartition {
    TopicPartition::named("topic", 0)
}

fn state(step: &Value, leader: BrokerId) -> PartitionState {
    let int = |name: &str| step[name].as_i64().unwrap_or(0) as i32;
    PartitionState {
        replicas: ids(&step["replicas"]),
        isr: ids(&step["isr"]),
        leader: Some(leader),
        leader_epoch: LeaderEpoch(int("leader_epoch")),
        partition_epoch: PartitionEpoch(int("partition_epoch")),
        recovering: false,
    }
}

fn ids(value: &Value) -> Vec<BrokerId> {
    value.as_array().into_iter().flatten().filter_map(Value::as_i64).map(|id| BrokerId(id as i32)).collect()
}

fn list(ids: &[BrokerId]) -> Value {
    let mut ids: Vec<i32> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    json!(ids)
}

fn number(step: &Value, name: &str) -> Result<i64, String> {
    step[name].as_i64().ok_or(format!("no {name}"))
}

/// `values`, or `count` values of no interest.
fn values(step: &Value) -> Vec<String> {
    match step["values"].as_array() {
        Some(values) => values.iter().map(|v| v.as_str().unwrap_or_default().to_string()).collect(),
        None => (0..step["count"].as_i64().unwrap_or(1)).map(|i| format!("v{i}")).collect(),
    }
}

fn record(value: &str, now: Instant) -> NewRecord {
    NewRecord { timestamp: now.millis(), key: None, value: Some(Bytes::from(value.to_string())), headers: Vec::new() }
}

fn no_producer() -> BatchHeader {
    BatchHeader::PLAIN
}

fn one_record(value: &str, now: Instant) -> Bytes {
    Batch::build(&no_producer(), &[record(value, now)]).bytes().clone()
}

fn offsets(records: Bytes) -> Result<Vec<i64>, String> {
    let batches = Batch::parse_all(records, true).map_err(|error| format!("{error:?}"))?;
    Ok(batches.iter().flat_map(|batch| batch.base_offset.0..=batch.last_offset.0).collect())
}
