//! A whole sequence of requests to a group, with what a test does between them, carried out and compared.

use std::collections::{BTreeMap, BTreeSet};

use highwater::kafka::controller::record::{MetadataRecord, ResourceType};
use highwater::kafka::coordinator::Coordinator;
use highwater::kafka::fact::error_name;
use highwater::kafka::group::assignor::{Assignor, Targets, UnknownTopic};
use highwater::kafka::group::classic::GroupState;
use highwater::kafka::group::consumer::ConsumerGroup;
use highwater::kafka::group::consumer::group::metadata_hash;
use highwater::kafka::group::consumer::records::ConsumerRecord;
use highwater::kafka::group::modern::records::GroupEpoch;
use highwater::kafka::group::records::GroupRecord;
use highwater::kafka::group::share::ShareGroup;
use highwater::kafka::group::share::persister::PersisterAnswer;
use highwater::kafka::group::share::records::ShareRecord;
use highwater::kafka::group::{Context, GroupCoordinator, Logged};
use highwater::kafka::node::{Effects, Turn};
use highwater::sorted::SortedSet;
use highwater::time::{Duration, Instant};
use highwater::wire::{
    Body, BrokerEpoch, BrokerId, ClientId, Correlation, ErrorCode, GroupId, LeaderEpoch, NodeId, Offset, Request,
    TopicName, Uuid, error, str_bytes,
};
use serde_json::{Map, Value, json};

use super::hidden::{HIDDEN_LOADING, HIDDEN_REBALANCE, HIDDEN_RECORDS, HIDDEN_SETTINGS};
use super::settings::config_of;
use super::{
    Names, all_texts, check, consumer_json, forgive, group_json, initial_records, int, list, normal, read_record,
    record_json, request, response_json, share_json, text, timer_name,
};

fn check_json(what: &str, mut got: Value, expected: &Value) -> Result<(), String> {
    let expected = normal(expected);
    got = normal(&got);
    forgive(&mut got, &expected);
    if got == expected { Ok(()) } else { Err(format!("{what}\n   got      {got}\n   expected {expected}")) }
}

struct Sequence {
    coordinator: GroupCoordinator,
    effects: Effects,
    names: Names,
    now: Instant,
    partition: i32,
    log_end: i64,
    /// Our drawn ids by the recorded ones, and back.
    ours: BTreeMap<String, String>,
    recorded: BTreeMap<String, String>,
    /// Member ids that the recording has named so far.
    known: BTreeSet<String>,
    /// The assignors' names, the default one first.
    assignors: Vec<String>,
    /// The coordinator as it would be if the last write had failed: the write is still to be reported.
    before_write: Option<GroupCoordinator>,
    /// Answers that the recording gives only with the commit of a write.
    late: BTreeMap<u64, Value>,
    /// The log as far as the recording tells it.
    read: Vec<(Offset, Logged)>,
}

/// What the recordings do not tell of the group that a test begins with.
#[derive(Clone, Copy, Debug)]
struct Untold {
    metadata: Metadata,
    /// The `client.id` of the members.
    client: &'static str,
    /// Whether the test has the persister do at once what a share group asks of it.
    persists: bool,
}

/// What the group's epoch was made for: the metadata that its topics have, other metadata, or none
/// that the test told of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Metadata {
    Current,
    Other,
    Untold,
}

/// One way to begin must lead to everything that was recorded.
pub fn run_as_any(case: &Value) -> Result<(), String> {
    let mut errors = Vec::new();
    for persists in [false, true] {
        for metadata in [Metadata::Current, Metadata::Untold, Metadata::Other] {
            for client in ["client", ""] {
                let untold = Untold { metadata, client, persists };
                match run_sequence(case, untold) {
                    Ok(()) => return Ok(()),
                    Err(error) => errors.push(format!("{untold:?}: {error}")),
                }
            }
        }
    }
    Err(errors.join("\n "))
}

fn run_sequence(case: &Value, untold: Untold) -> Result<(), String> {
    let mut sequence = Sequence::new(case)?;
    for group in list(&case["initial_groups"]) {
        for record in initial_records(case, group, &sequence.names, untold.client) {
            sequence.replay(record);
        }
        sequence.known.extend(group["members"].as_object().into_iter().flatten().map(|(id, _)| id.clone()));
    }
    let steps: Vec<&Value> = list(&case["steps"]).collect();
    let hidden = HIDDEN_SETTINGS.iter().find(|(name, ..)| *name == text(&case["name"]));
    for (index, step) in steps.iter().enumerate() {
        if let Some((_, _, settings)) = hidden.filter(|(_, before, _)| index == *before) {
            sequence.set_group_settings(text(&step["request"]["groupId"]), settings);
        }
        if HIDDEN_REBALANCE.contains(&(text(&case["name"]), index)) {
            let (id, now) = (GroupId(str_bytes(text(&step["request"]["groupId"]))), sequence.now);
            sequence.coordinator.change_group(&id, |group| group.transition_to(GroupState::PreparingRebalance, now));
        }
        for (.., record) in HIDDEN_RECORDS.iter().filter(|(name, at, _)| *name == case["name"] && *at == index) {
            sequence.replay_hidden(step, record)?;
        }
        sequence.set_metadata_hash(index, &steps, untold.metadata);
        if index == 0 && HIDDEN_LOADING.contains(&text(&case["name"])) {
            sequence.load_anew();
        }
        sequence.step(index, step, &steps).map_err(|error| format!("step {index} {}: {error}", step["op"]))?;
        if untold.persists {
            sequence.persist();
        }
    }
    Ok(())
}

impl Sequence {
    fn new(case: &Value) -> Result<Sequence, String> {
        let topics = case["topics"].as_object().into_iter().flatten();
        let mut names = Names::new(topics.map(|(name, count)| (name.clone(), int(count))));
        names.learn(case);
        let (config, no_op) = config_of(case)?;
        let mut assignors = vec![if no_op { "no-op" } else { "range" }.to_string()];
        for call in list(&case["steps"]).flat_map(|step| list(&step["assignor_calls"])) {
            if !assignors.contains(&text(&call["assignor"]).to_string()) {
                assignors.push(text(&call["assignor"]).to_string());
            }
        }
        // All groups of a case are in one partition.
        let partition = 0;
        let mut sequence = Sequence {
            coordinator: GroupCoordinator::new(BrokerId(1), &config),
            effects: Effects::new(1),
            names,
            now: Instant::ZERO,
            partition,
            log_end: 0,
            ours: BTreeMap::new(),
            recorded: BTreeMap::new(),
            known: BTreeSet::new(),
            assignors,
            before_write: None,
            late: BTreeMap::new(),
            read: Vec::new(),
        };
        let mut turn = Turn::new(Instant::ZERO, &mut sequence.effects);
        sequence.coordinator.load(&mut turn, &sequence.names.image, partition, LeaderEpoch(1), []);
        Ok(sequence)
    }

    /// A record as if it were read from the log.
    fn replay(&mut self, record: GroupRecord) {
        self.coordinator.replay(self.partition, &record, Offset(0), self.now);
        self.read.push((Offset(0), Logged::Record(record, None)));
    }

    /// It is read when the step before was, or where there is none, now.
    fn replay_hidden(&mut self, step: &Value, record: &str) -> Result<(), String> {
        if self.now == Instant::ZERO {
            self.now = Instant::from_millis(step["now_ms"].as_i64().unwrap_or_default());
        }
        let record: Value = serde_json::from_str(record).map_err(|error| error.to_string())?;
        self.replay(read_record(&record, &self.names)?);
        Ok(())
    }

    /// The coordinator loads again what it has read of the log.
    fn load_anew(&mut self) {
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.resigned(&mut turn, self.partition);
        self.coordinator.load(&mut turn, &self.names.image, self.partition, LeaderEpoch(2), self.read.clone());
        self.effects.sends.clear();
    }

    /// Before the first request after a group was loaded: the hash that its epoch's record had.
    fn set_metadata_hash(&mut self, index: usize, steps: &[&Value], metadata: Metadata) {
        let is_loading = |step: &Value| step["op"] == "replay_record";
        let loaded = index == 0 || is_loading(steps[index - 1]);
        if metadata == Metadata::Untold || !loaded || is_loading(steps[index]) {
            return;
        }
        let groups: Vec<ConsumerGroup> = self.coordinator.consumer_groups().cloned().collect();
        for group in groups {
            let topics: SortedSet<TopicName> =
                group.members.values().flat_map(|member| group.subscription(member)).collect();
            let metadata_hash =
                if metadata == Metadata::Current { metadata_hash(&topics, &self.names.image) } else { 1 };
            let record = ConsumerRecord::Epoch(Some(GroupEpoch { epoch: group.epoch, metadata_hash }));
            self.replay(GroupRecord::Consumer { group: group.id.clone(), record });
        }
        let groups: Vec<ShareGroup> = self.coordinator.share_groups().cloned().collect();
        for group in groups {
            let topics = group.members.values().flat_map(|member| member.metadata.topics.iter().cloned());
            let topics: SortedSet<TopicName> = topics.collect();
            let metadata_hash =
                if metadata == Metadata::Current { metadata_hash(&topics, &self.names.image) } else { 1 };
            let record = ShareRecord::Epoch(Some(GroupEpoch { epoch: group.epoch, metadata_hash }));
            self.replay(GroupRecord::Share { group: group.id.clone(), record });
        }
    }

    /// The persister does what it was asked, and the coordinator writes so, of which no step tells.
    fn persist(&mut self) {
        for request in self.coordinator.take_persister_requests() {
            let mut turn = Turn::new(self.now, &mut self.effects);
            let done = PersisterAnswer { request, result: Ok(()) };
            self.coordinator.persister_answered(&mut turn, &self.names.image, &done);
        }
        for (partition, records) in self.coordinator.take_records() {
            let base = Offset(self.log_end);
            self.log_end += records.len() as i64;
            let mut turn = Turn::new(self.now, &mut self.effects);
            self.coordinator.appended(&mut turn, partition, Ok(base));
            self.coordinator.committed(&mut turn, partition, Offset(self.log_end));
        }
    }

    fn step(&mut self, index: usize, step: &Value, steps: &[&Value]) -> Result<(), String> {
        self.effects.sends.clear();
        if let Some(now) = step["now_ms"].as_i64() {
            // Where it is later than the steps lead to, the test moved the clock on.
            self.now = Instant::from_millis(now.max(self.now.millis()));
        }
        let completion =
            steps.iter().find(|s| s["op"] == "log_append_completed" && s["of_step"].as_u64() == Some(index as u64));
        let before = self.coordinator.clone();
        match text(&step["op"]) {
            "ConsumerGroupHeartbeat"
            | "ShareGroupHeartbeat"
            | "JoinGroup"
            | "SyncGroup"
            | "Heartbeat"
            | "LeaveGroup" => {
                self.prepare_assignors(step);
                let context = Context {
                    from: NodeId::Client(ClientId(1)),
                    correlation: Correlation(index as u64),
                    client_id: str_bytes("client"),
                    client_host: str_bytes("localhost/127.0.0.1"),
                    version: version(step),
                    known_member_id: step["require_known_member_id"] == true,
                    skip_assignment: step["supports_skipping_assignment"] == true,
                };
                let mut request = request(step, &self.names, &|recorded| self.our_id(recorded))?;
                give_up_pattern(&mut request);
                let mut turn = Turn::new(self.now, &mut self.effects);
                self.coordinator.handle_as(&mut turn, &self.names.image, &context, &request);
            }
            "advance_time" => {
                self.now += Duration::from_millis(step["ms"].as_i64().ok_or("no milliseconds")?);
                let mut turn = Turn::new(self.now, &mut self.effects);
                self.coordinator.alarm(&mut turn, &self.names.image);
            }
            "log_append_completed" => self.complete_write(step)?,
            "onLoaded" => self.load_anew(),
            "rollback-uncommitted" => self.fail_write(ErrorCode::NotLeaderOrFollower),
            "new_metadata_image" => self.new_image(step),
            "replay_record" => {
                let record = read_record(&step["record"], &self.names)?;
                self.replay(record);
            }
            // The steps that follow replay the group that the test made.
            "test_sets_group_directly" => {}
            other => return Err(format!("unknown op {other}")),
        }
        // A join that is not answered in the recording waits for its commit, which the test never makes.
        let waits = step["op"] == "JoinGroup" && step["response"].is_null() && step["records"].is_array();
        self.write_records(step, completion.is_some() || waits)?;
        let members = self.coordinator.groups().flat_map(|(_, group)| group.members.iter());
        let members: Vec<Value> = members.map(|member| json!(member.id.as_str())).collect();
        self.learn_id(step, self.answers().into_iter().map(|(_, answer)| answer).chain(members));
        self.check_answers(index, step, completion.is_some())?;
        let timers = self.timers();
        if step["op"] == "LeaveGroup" && step["state_after"][0]["type"] == "consumer" {
            // The tests do not replay what a member's leaving writes. Its timers are cancelled all the same.
            self.coordinator = before;
        }
        let waits = ["JoinGroup", "SyncGroup"].contains(&text(&step["op"])) && completion.is_some();
        self.check_state(step, waits && !step["records"].is_array(), &timers)?;
        let mut named = BTreeSet::new();
        all_texts(step, &mut named);
        self.known.extend(named.iter().filter_map(|id| drawn_by_kafka(id)));
        Ok(())
    }

    fn set_group_settings(&mut self, group: &str, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            let (resource, name, value) = (str_bytes(group), str_bytes(name), Some(str_bytes(value)));
            self.names.image.replay(&MetadataRecord::Config { kind: ResourceType::Group, resource, name, value });
        }
    }

    /// The recorded answers of the test's assignor. One that was not asked leaves everything as it is.
    fn prepare_assignors(&mut self, step: &Value) {
        let call = list(&step["assignor_calls"]).next();
        let targets: Option<Targets> = call.map(|call| {
            let output = call["output"].as_object().into_iter().flatten();
            output.map(|(id, target)| (self.our_id(id), self.names.partitions(target))).collect()
        });
        let targets = match targets {
            Some(targets) => Some(Ok(targets)),
            // The heartbeat fails because the assignor does.
            None if step["error"] == "UNKNOWN_SERVER_ERROR" => Some(Err(UnknownTopic)),
            None => self.unrecorded_targets(step).map(Ok),
        };
        let fixed = |name: &String| Assignor::Fixed { name: str_bytes(name), targets: targets.clone() };
        self.coordinator.set_assignors(self.assignors.iter().map(fixed).collect());
        // A share group's assignor of which nothing is told is Kafka's own.
        let share = call.map_or(Assignor::Simple, |call| fixed(&text(&call["assignor"]).to_string()));
        self.coordinator.set_share_assignor(share);
    }

    /// What an assignor answered of which no call is recorded, by the targets that came of it.
    fn unrecorded_targets(&self, step: &Value) -> Option<Targets> {
        let computes = |record: &Value| record["type"] == "CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA";
        if self.assignors.iter().any(|name| name == "no-op") || !list(&step["records"]).any(computes) {
            return None;
        }
        let members = step["state_after"][0]["members"].as_object()?;
        let target = |(id, member): (&String, &Value)| (self.our_id(id), self.names.partitions(&member["target"]));
        Some(members.iter().map(target).collect())
    }

    /// Where the topics are the same, their replicas have moved to other racks.
    fn new_image(&mut self, step: &Value) {
        let topics = step["topics"].as_object().into_iter().flatten();
        let topics: Vec<(String, i32)> = topics.map(|(name, count)| (name.clone(), int(count))).collect();
        let same = self.names.topics() == topics;
        let gone = std::mem::replace(&mut self.names, Names::new(topics));
        self.names.keep(gone);
        if same {
            let rack = Some(str_bytes("another rack"));
            let (incarnation, epoch) = (Uuid::nil(), BrokerEpoch(0));
            let (fenced, in_controlled_shutdown) = (false, false);
            let broker = BrokerId(1);
            self.names.image.replay(&MetadataRecord::RegisterBroker {
                broker,
                incarnation,
                epoch,
                rack,
                fenced,
                in_controlled_shutdown,
            });
        }
        let changed: Vec<TopicName> = self.names.image.topics.keys().cloned().collect();
        changed.iter().for_each(|topic| self.coordinator.topic_changed(topic));
    }

    /// What the step wrote. A write whose commit is not recorded is committed at once.
    fn write_records(&mut self, step: &Value, commit_recorded: bool) -> Result<(), String> {
        let mut expected: Vec<Value> = step["records"].as_array().cloned().unwrap_or_default();
        for fired in list(&step["timers_fired"]) {
            expected.extend(list(&fired["records"]).cloned());
        }
        let mut got = Vec::new();
        for (partition, records) in self.coordinator.take_records() {
            for record in &records {
                let key = record.key.clone().ok_or("a record without a key")?;
                let record = GroupRecord::decode(&key, record.value.as_ref()).ok_or("a record that does not read")?;
                got.push(record_json(&record, &self.names)?);
            }
            self.learn_id(step, got.clone());
            self.before_write = Some(self.coordinator.clone());
            let base = Offset(self.log_end);
            self.log_end += records.len() as i64;
            let mut turn = Turn::new(self.now, &mut self.effects);
            self.coordinator.appended(&mut turn, partition, Ok(base));
            if !commit_recorded {
                self.coordinator.committed(&mut turn, partition, Offset(self.log_end));
            }
        }
        let got = got.iter().map(|record| self.translate(record)).collect();
        check_json("records", Value::Array(in_runs(got)), &Value::Array(in_runs(expected)))
    }

    fn complete_write(&mut self, step: &Value) -> Result<(), String> {
        match text(&step["error"]) {
            "NONE" => {
                let mut turn = Turn::new(self.now, &mut self.effects);
                self.coordinator.committed(&mut turn, self.partition, Offset(self.log_end));
            }
            name => {
                let error = (1..200).filter_map(error).find(|e| error_name(*e) == name);
                self.fail_write(error.ok_or(format!("error {name}"))?);
                // The answer that tells of it is the service's, and not recorded.
                self.effects.sends.clear();
            }
        }
        Ok(())
    }

    /// Nothing of the last write is in the log. In Kafka it had been replayed and is taken back.
    fn fail_write(&mut self, error: ErrorCode) {
        let Some(before) = self.before_write.take() else { return };
        self.coordinator = before;
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.appended(&mut turn, self.partition, Err(error));
        self.effects.sends.clear();
    }

    fn our_id(&self, recorded: &str) -> highwater::wire::StrBytes {
        let id = self.ours.iter().fold(recorded.to_string(), |id, (theirs, mine)| id.replace(theirs, mine));
        str_bytes(&id)
    }

    /// Pairs the id that this step brought up: a step makes one at the most.
    fn learn_id(&mut self, step: &Value, drawn: impl IntoIterator<Item = Value>) {
        let mut mine = BTreeSet::new();
        drawn.into_iter().for_each(|value| all_texts(&value, &mut mine));
        let mut mine: BTreeSet<String> = mine.iter().filter_map(|id| drawn_by_us(id)).collect();
        mine.retain(|id| !self.recorded.contains_key(id));
        let mut theirs = BTreeSet::new();
        all_texts(step, &mut theirs);
        let mut theirs: BTreeSet<String> = theirs.iter().filter_map(|id| drawn_by_kafka(id)).collect();
        let asked = text(&step["request"]["memberId"]);
        theirs.retain(|id| !self.known.contains(id) && !asked.contains(id.as_str()));
        if let (Some(mine), Some(theirs), 1, 1) = (mine.first(), theirs.first(), mine.len(), theirs.len()) {
            self.ours.insert(theirs.clone(), mine.clone());
            self.recorded.insert(mine.clone(), theirs.clone());
        }
    }

    /// The answers as they are going out, with the numbers of the requests.
    fn answers(&self) -> Vec<(u64, Value)> {
        let answer = |envelope: &highwater::wire::Envelope| match &envelope.body {
            Body::Response(response) => (envelope.correlation.0, response_json(response, &self.names)),
            Body::Request(request) => panic!("a coordinator asks nothing: {request:?}"),
        };
        self.effects.sends.iter().map(|(_, envelope)| answer(envelope)).collect()
    }

    fn translate(&self, value: &Value) -> Value {
        let mut text = value.to_string();
        for (mine, theirs) in &self.recorded {
            text = text.replace(mine, theirs);
        }
        serde_json::from_str(&text).expect("ids hold no quotes")
    }

    fn check_answers(&mut self, index: usize, step: &Value, is_late: bool) -> Result<(), String> {
        let mut expected = BTreeMap::new();
        for completion in list(&step["completions"]) {
            let of = completion["completes_request_of_step"].as_u64().ok_or("no step")?;
            expected.insert(of, normal(&completion["response"]));
        }
        if step["response"].is_object() {
            expected.insert(index as u64, normal(&step["response"]));
        }
        if let Some(error) = step["error"].as_str().filter(|_| step["op"] != "log_append_completed") {
            expected.insert(index as u64, json!({"error": error}));
        }
        let mut got = BTreeMap::new();
        for (of, answer) in self.answers() {
            let answer = self.translate(&answer);
            let waits = is_late && ["JoinGroup", "SyncGroup"].contains(&text(&step["op"]));
            let into = if waits { &mut self.late } else { &mut got };
            into.insert(of, answer);
        }
        for of in expected.keys() {
            if let Some(answer) = self.late.remove(of) {
                got.insert(*of, answer);
            }
        }
        for (of, answer) in &mut got {
            // Where Kafka throws, only the error is recorded.
            if expected.get(of).is_some_and(|e| e.as_object().is_some_and(|e| e.len() == 1)) {
                *answer = json!({"error": answer["error"]});
            }
            *answer = normal(answer);
        }
        check(got, expected)
    }

    fn check_state(&self, step: &Value, waits_for_sync: bool, timers: &Value) -> Result<(), String> {
        for expected_state in list(&step["state_after"]) {
            let expected = expected_state;
            if expected.get("group").is_some_and(Value::is_null) {
                let groups = self.coordinator.groups().count() + self.coordinator.consumer_groups().count();
                check(groups + self.coordinator.share_groups().count(), 0)?;
                continue;
            }
            let id = highwater::wire::GroupId(str_bytes(text(&expected["group_id"])));
            let coordinator = &self.coordinator;
            let mut got = match (coordinator.consumer_group(&id), coordinator.group(&id), coordinator.share_group(&id))
            {
                (Some(group), None, None) => consumer_json(group, &self.names),
                (None, Some(group), None) => group_json(group),
                (None, None, Some(group)) => share_json(group, &self.names),
                _ => return Err(format!("group {id:?} is not there once")),
            };
            got["timers_ms_left"] = timers.clone();
            let mut got = self.translate(&got);
            let mut expected = expected.clone();
            // A member of which no timeout was ever told has -1.
            for left in expected["timers_ms_left"].as_object_mut().into_iter().flat_map(|timers| timers.values_mut()) {
                *left = json!(left.as_i64().unwrap_or_default().max(0));
            }
            let is_overdue = |state: &Value| {
                state["timers_ms_left"]
                    .as_object()
                    .is_some_and(|timers| timers.values().any(|left| left.as_i64() < Some(-1)))
            };
            if waits_for_sync || is_overdue(expected_state) {
                // Where nothing is to be written, the commit that the recording waits for was there before. And
                // some tests give the coordinator another clock than its timers.
                expected["timers_ms_left"] = Value::Null;
                got["timers_ms_left"] = Value::Null;
            }
            check_json("state", got, &expected)?;
        }
        Ok(())
    }

    fn timers(&self) -> Value {
        let left = self.coordinator.timers().filter_map(|(timer, at)| {
            let name = timer_name(&timer.kind)?;
            Some((name, json!(at.since(self.now).millis())))
        });
        let timers: Map<String, Value> = left.collect();
        if timers.is_empty() { Value::Null } else { Value::Object(timers) }
    }
}

/// The service refuses a newer SyncGroup without protocol; the recording is from behind it.
fn version(step: &Value) -> i16 {
    let request = &step["request"];
    let names_none = request["protocolType"].is_null() || request["protocolName"].is_null();
    if step["op"] == "SyncGroup" && names_none { 4 } else { int(&step["version"]) as i16 }
}

/// The recordings write nothing for an empty pattern, with which a member gives its pattern up. A full
/// heartbeat of a member always says what it subscribes to.
fn give_up_pattern(request: &mut Request) {
    if let Request::ConsumerGroupHeartbeat(heartbeat) = request
        && heartbeat.member_epoch > 0
        && heartbeat.rebalance_timeout_ms != -1
        && heartbeat.subscribed_topic_names.is_none()
    {
        heartbeat.subscribed_topic_regex.get_or_insert_default();
    }
}

/// The UUID at the end of an id or of a timer's name.
fn drawn_by_us(text: &str) -> Option<String> {
    let tail = text.get(text.len().checked_sub(36)?..)?;
    let dashes = tail.bytes().enumerate().filter(|(_, b)| *b == b'-').map(|(at, _)| at);
    dashes.eq([8, 13, 18, 23]).then(|| tail.to_string())
}

/// The same as the recording writes it, with a number.
fn drawn_by_kafka(text: &str) -> Option<String> {
    text.find("uuid#").map(|at| text[at..].to_string())
}

/// Neighbours of one type in the order of their keys, and members that go one after the other in the order of
/// their ids: Kafka writes them in the order of a hash map.
fn in_runs(mut records: Vec<Value>) -> Vec<Value> {
    let mut start = 0;
    for end in 1..=records.len() {
        if end == records.len() || records[end]["type"] != records[start]["type"] {
            records[start..end].sort_by_key(|record| record["key"].to_string());
            start = end;
        }
    }
    let is_of_member = |record: &Value| record["tombstone"] == true && record["key"]["memberId"].is_string();
    let first = |chunk: &[Value]| text(&chunk[0]["key"]["memberId"]).to_string();
    let leads = |chunk: &[Value]| {
        chunk.len() == 3 && chunk.iter().all(|r| is_of_member(r) && text(&r["key"]["memberId"]) == first(chunk))
    };
    let mut gone: Vec<Vec<Value>> = records.chunks(3).take_while(|chunk| leads(chunk)).map(<[Value]>::to_vec).collect();
    gone.sort_by_key(|chunk| first(chunk));
    let count = 3 * gone.len();
    gone.concat().into_iter().chain(records.split_off(count)).collect()
}
