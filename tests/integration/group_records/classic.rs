//! A whole sequence of requests to a classic group, carried out and compared.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use highwater::kafka::config::BrokerConfig;
use highwater::kafka::controller::image::MetadataImage;
use highwater::kafka::coordinator::Coordinator;
use highwater::kafka::group::classic::{ClassicGroup, GroupState, Member};
use highwater::kafka::group::records::{GroupRecord, GroupValue};
use highwater::kafka::group::{Context, GroupCoordinator};
use highwater::kafka::node::{Effects, Turn};
use highwater::time::{Duration, Instant};
use highwater::wire::{
    Body, BrokerId, Correlation, ErrorCode, GroupId, LeaderEpoch, NodeId, Offset, Request, Response, StrBytes, error,
    str_bytes,
};
use serde_json::{Value, json};

use super::{Names, check, error_text, group_value, int, response_json, text, to_base64};

/// Cases whose test does with Kafka's object what no request can do here, between two recorded steps. They run
/// up to there and no further.
const HIDDEN_ACTIONS: [(&str, usize, &str); 3] = [
    ("testCompleteJoinPhaseNoMembersRejoinedExtendsJoinPhase", 4, "the test itself prepares a rebalance"),
    ("testLastJoiningMembersAreKickedOutWhenRejoiningGroupWithMaxSize", 12, "the test itself prepares a rebalance"),
    ("testStaticMemberReJoinWithIllegalStateAsUnknownMember", 7, "an exception about a state that no group gets into"),
];

/// Cases whose test brings Kafka's group into other states between two recorded steps, which the steps do not
/// tell: before which step, and through which states.
const HIDDEN_TRANSITIONS: [(&str, usize, &[GroupState]); 17] = {
    use GroupState::{Dead, Empty, PreparingRebalance, Stable};
    [
        ("testCompleteJoinPhaseInEmptyStateSkipsRebalance", 1, &[Dead]),
        ("testStaticMemberRejoinWithLeaderIdAndUnexpectedEmptyGroup", 7, &[PreparingRebalance, Empty]),
        ("testStaticMemberRejoinWithLeaderIdAndUnexpectedDeadGroup", 7, &[Dead]),
        ("testJoinGroupExistingMemberInEmptyState", 3, &[PreparingRebalance, Empty]),
        ("testHeartbeatDeadGroup", 0, &[Dead]),
        ("testLeaveDeadGroup", 0, &[Dead]),
        ("testJoinGroupUnknownConsumerNewDeadGroup", 0, &[Dead]),
        ("testExistingMemberJoinDeadGroup", 3, &[Dead]),
        ("testJoinGroupExistingMemberDoesNotTriggerRebalanceInStableState", 5, &[Stable]),
        ("testJoinGroupAsExistingMemberWithUpdatedMetadataTriggersRebalanceInStableState", 5, &[Stable]),
        ("testJoinGroupAsExistingLeaderTriggersRebalanceInStableState", 3, &[Stable]),
        ("testReplaceStaticMemberInStableStateWithUpdatedProtocolTriggersRebalance", 2, &[Stable]),
        ("testReplaceStaticMemberInStableStateNoError [1]", 2, &[Stable]),
        ("testReplaceStaticMemberInStableStateNoError [2]", 2, &[Stable]),
        ("testReplaceStaticMemberInStableStateSucceeds [1]", 2, &[Stable]),
        ("testReplaceStaticMemberInStableStateSucceeds [2]", 2, &[Stable]),
        ("testReplaceStaticMemberInStableStateErrors", 2, &[Stable]),
    ]
};

struct Sequence {
    coordinator: GroupCoordinator,
    effects: Effects,
    image: MetadataImage,
    now: Instant,
    /// Recorded member id → ours, and back.
    ours: BTreeMap<String, String>,
    recorded: BTreeMap<String, String>,
    /// The steps whose records wait for their append, in order.
    writes: Vec<usize>,
    log_end: i64,
}

pub fn run_classic_sequence(case: &Value) -> Result<(), String> {
    let mut config = BrokerConfig {
        group_min_session_timeout: Duration::ZERO,
        group_initial_rebalance_delay: Duration::from_millis(
            case["initial_rebalance_delay_ms"].as_i64().unwrap_or(3_000),
        ),
        offsets_retention_check_interval: Duration::from_millis(i64::MAX / 100_000),
        ..BrokerConfig::default()
    };
    for (name, value) in case["config"].as_object().into_iter().flatten() {
        match name.as_str() {
            "group.max.size" => config.group_max_size = text(value).parse().expect("a number"),
            "group.initial.rebalance.delay.ms" => {
                check(text(value).to_string(), case["initial_rebalance_delay_ms"].to_string())?;
            }
            other => return Err(format!("unknown setting {other}")),
        }
    }
    let mut sequence = Sequence {
        coordinator: GroupCoordinator::new(BrokerId(1), &config),
        effects: Effects::new(1),
        image: MetadataImage::new(),
        now: Instant::ZERO,
        ours: BTreeMap::new(),
        recorded: BTreeMap::new(),
        writes: Vec::new(),
        log_end: 0,
    };
    for partition in 0..50 {
        let mut turn = Turn::new(Instant::ZERO, &mut sequence.effects);
        sequence.coordinator.load(&mut turn, &MetadataImage::new(), partition, LeaderEpoch(1), []);
    }
    let steps = case["steps"].as_array().expect("steps");
    let hidden = HIDDEN_TRANSITIONS.iter().find(|(name, ..)| is_of_test(case, name));
    let cut = HIDDEN_ACTIONS.iter().find(|(name, ..)| is_of_test(case, name));
    if hidden.is_none() && cut.is_none() && !case["hidden_test_action"].is_null() {
        return Err(format!("a hidden action: {}", case["hidden_test_action"]));
    }
    for (index, step) in steps.iter().enumerate() {
        if let Some((name, _, why)) = cut.filter(|(_, before, _)| index == *before) {
            println!("{name}: runs to step {index} only: {why}");
            break;
        }
        if let Some((.., states)) = hidden.filter(|(_, before, _)| index == *before) {
            sequence.bring_into(step, states);
        }
        let went_on =
            sequence.step(index, step, steps).map_err(|error| format!("step {index} {}: {error}", step["op"]))?;
        if !went_on {
            println!("{}: from step {index} on another member leads than in the recording", case["name"]);
            break;
        }
    }
    Ok(())
}

/// One of the runs of a test that runs with several values has its number behind the name.
fn is_of_test(case: &Value, test: &str) -> bool {
    let name = text(&case["name"]).strip_prefix("GroupMetadataManagerTest#").unwrap_or_default();
    name == test || name.strip_prefix(test).is_some_and(|rest| rest.starts_with(' '))
}

impl Sequence {
    /// What a test does with the group by hand. It made the group if it is not there.
    fn bring_into(&mut self, step: &Value, states: &[GroupState]) {
        let named = text(&step["request"]["groupId"]);
        let id = GroupId(str_bytes(if named.is_empty() { "group-id" } else { named }));
        self.make_group(&id);
        let now = self.now;
        self.coordinator.change_group(&id, |group| states.iter().for_each(|state| group.transition_to(*state, now)));
    }

    fn make_group(&mut self, id: &GroupId) {
        if self.coordinator.group(id).is_some() {
            return;
        }
        let value = ClassicGroup::new(id.clone(), self.now).to_value(&Default::default());
        let record = GroupRecord::Group { group: id.clone(), value: Some(value) };
        let partition = GroupCoordinator::partition_for(id.0.as_str(), 50);
        self.coordinator.replay(partition, &record, Offset(0), self.now);
    }

    /// A member that a test puts into the group by hand is as the next state tells of it.
    fn add_member(&mut self, step: &Value, next: &[Value]) -> Result<(), String> {
        let id = text(&step["arg"]);
        let mut states = next.iter().flat_map(|s| s["state_after"].as_array().into_iter().flatten());
        let told = states.find(|state| state["members"][id].is_object()).ok_or("a member of which nothing is told")?;
        let row = &told["members"][id];
        let group = GroupId(str_bytes(text(&told["group_id"])));
        self.make_group(&group);
        let millis = |name: &str| Duration::from_millis(int(&row[name]).into());
        let protocols: Vec<&str> = row["protocols"].as_array().into_iter().flatten().map(text).collect();
        let mut added = classic_member(id, row["instance_id"].as_str(), &protocols);
        (added.session_timeout, added.rebalance_timeout) =
            (millis("session_timeout_ms"), millis("rebalance_timeout_ms"));
        let protocol_type = str_bytes(told["protocol_type"].as_str().unwrap_or("consumer"));
        self.coordinator.change_group(&group, |group| group.add(added, &protocol_type));
        Ok(())
    }

    /// False when the recording leads elsewhere: who follows a leader that went is up to the order of
    /// a hash map of random ids in Kafka, and to the order of joining here.
    fn step(&mut self, index: usize, step: &Value, steps: &[Value]) -> Result<bool, String> {
        self.effects.sends.clear();
        let leader_before = self.leader();
        if let Some(now) = step["now_ms"].as_i64() {
            check(self.now.millis(), now)?;
        }
        match text(&step["op"]) {
            "JoinGroup" | "SyncGroup" | "Heartbeat" | "LeaveGroup" => {
                let request = self.request(step)?;
                let context = Context {
                    from: NodeId::Client(highwater::wire::ClientId(1)),
                    correlation: Correlation(index as u64),
                    client_id: str_bytes("client"),
                    client_host: str_bytes("localhost/127.0.0.1"),
                    version: self.version(step, &request),
                    known_member_id: step["require_known_member_id"] == true,
                    skip_assignment: step["supports_skipping_assignment"] == true,
                };
                let mut turn = Turn::new(self.now, &mut self.effects);
                self.coordinator.handle_as(&mut turn, &self.image, &context, &request);
            }
            "advance_time" => {
                self.now += Duration::from_millis(step["ms"].as_i64().expect("milliseconds"));
                let mut turn = Turn::new(self.now, &mut self.effects);
                self.coordinator.alarm(&mut turn, &self.image);
            }
            "log_append_completed" => self.complete_write(step)?,
            "onUnloaded" => {
                let mut turn = Turn::new(self.now, &mut self.effects);
                for partition in self.coordinator.partitions() {
                    self.coordinator.resigned(&mut turn, partition);
                }
            }
            "new_metadata_image" => {}
            "test_sets_group_directly" if step["method"] == "add" => self.add_member(step, &steps[index..])?,
            other => return Err(format!("unknown op {other}")),
        }
        self.write_records(index, step, steps)?;
        self.learn_ids(step);
        if self.leader() != leader_before && leader_before.is_some() && self.another_leads(step) {
            return Ok(false);
        }
        self.check_answers(index, step)?;
        self.check_state(step)?;
        Ok(true)
    }

    fn leader(&self) -> Option<StrBytes> {
        self.coordinator.groups().next().and_then(|(_, group)| group.leader.clone())
    }

    /// Our new leader and the recorded one are two members of the same group.
    fn another_leads(&self, step: &Value) -> bool {
        let Some((_, group)) = self.coordinator.groups().next() else {
            return false;
        };
        let recorded = self.our_id(text(&step["state_after"][0]["leader"]));
        group.leader.as_ref() != Some(&recorded) && group.has_member(&recorded)
    }

    /// What the step wrote. A write whose commit is not recorded is committed at once.
    fn write_records(&mut self, index: usize, step: &Value, steps: &[Value]) -> Result<(), String> {
        let taken = self.coordinator.take_records();
        self.learn_ids(step);
        let mut expected: Vec<Value> = step["records"].as_array().cloned().unwrap_or_default();
        for fired in step["timers_fired"].as_array().into_iter().flatten() {
            expected.extend(fired["records"].as_array().cloned().unwrap_or_default());
        }
        let commit_recorded =
            steps.iter().any(|s| s["op"] == "log_append_completed" && s["of_step"].as_u64() == Some(index as u64));
        let mut got = Vec::new();
        for (partition, records) in taken {
            for record in &records {
                let key = record.key.clone().expect("a key");
                let record = GroupRecord::decode(&key, record.value.as_ref()).ok_or("a record that cannot be read")?;
                let GroupRecord::Group { group, value } = record else {
                    return Err("an offset record".to_string());
                };
                // The tests make their group by hand before the first request, so that its record is
                // not among those of the first request, as it is when the request itself makes it.
                let made_by_the_test = expected.is_empty() && value.as_ref().is_some_and(is_new_group);
                if !made_by_the_test {
                    got.push(self.translate(&json!({
                        "type": "GROUP_METADATA",
                        "key": {"group": group.0.as_str()},
                        "value": value.as_ref().map(told_value),
                    })));
                }
            }
            if commit_recorded {
                self.writes.push(index);
                continue;
            }
            let base = Offset(self.log_end);
            self.log_end += records.len() as i64;
            let mut turn = Turn::new(self.now, &mut self.effects);
            self.coordinator.appended(&mut turn, partition, Ok(base));
            self.coordinator.committed(&mut turn, partition, Offset(self.log_end));
        }
        check(got.iter().map(normal).collect::<Vec<_>>(), expected.iter().map(normal).collect::<Vec<_>>())
    }

    fn complete_write(&mut self, step: &Value) -> Result<(), String> {
        let of = step["of_step"].as_u64().expect("a step") as usize;
        check(self.writes.first().copied(), Some(of))?;
        self.writes.remove(0);
        let mut turn = Turn::new(self.now, &mut self.effects);
        let partition = GroupCoordinator::partition_for("group-id", 50);
        match text(&step["error"]) {
            "NONE" => {
                self.coordinator.appended(&mut turn, partition, Ok(Offset(self.log_end)));
                self.log_end += 1;
                self.coordinator.committed(&mut turn, partition, Offset(self.log_end));
            }
            name => {
                let error = all_errors().find(|e| error_text(Some(*e)) == name).ok_or(format!("error {name}"))?;
                self.coordinator.appended(&mut turn, partition, Err(error));
            }
        }
        Ok(())
    }

    fn version(&self, step: &Value, request: &Request) -> i16 {
        match request {
            // The service refuses a newer SyncGroup without protocol; the recording is from behind it.
            Request::SyncGroup(sync) if sync.protocol_type.is_none() || sync.protocol_name.is_none() => 4,
            _ => int(&step["version"]) as i16,
        }
    }

    fn request(&self, step: &Value) -> Result<Request, String> {
        super::request(step, &Names::new([]), &|recorded| self.our_id(recorded))
    }

    fn our_id(&self, recorded: &str) -> StrBytes {
        str_bytes(self.ours.get(recorded).map_or(recorded, String::as_str))
    }

    /// Pairs the ids that this step brought up: each step makes at most one.
    fn learn_ids(&mut self, step: &Value) {
        let mut mine: BTreeSet<String> = BTreeSet::new();
        for (_, group) in self.coordinator.groups() {
            mine.extend(group.members.iter().map(|m| m.id.to_string()));
            mine.extend(group.pending_join.iter().map(|id| id.to_string()));
        }
        mine.retain(|id| !self.recorded.contains_key(id) && id.len() > 36);
        let mut theirs = BTreeSet::new();
        recorded_ids(step, &mut theirs);
        theirs.retain(|id| !self.ours.contains_key(id));
        if let ([mine], [theirs]) =
            (mine.into_iter().collect::<Vec<_>>().as_slice(), theirs.into_iter().collect::<Vec<_>>().as_slice())
        {
            self.ours.insert(theirs.clone(), mine.clone());
            self.recorded.insert(mine.clone(), theirs.clone());
        }
    }

    /// The same value with our member ids as the recording names them.
    fn translate(&self, value: &Value) -> Value {
        let mut text = value.to_string();
        for (mine, theirs) in &self.recorded {
            text = text.replace(mine, theirs);
        }
        serde_json::from_str(&text).expect("ids hold no quotes")
    }

    fn check_answers(&self, index: usize, step: &Value) -> Result<(), String> {
        let mut expected = BTreeMap::new();
        for completion in step["completions"].as_array().into_iter().flatten() {
            let of = completion["completes_request_of_step"].as_u64().expect("a step");
            expected.insert(of, normal(&completion["response"]));
        }
        if step["response"].is_object() {
            expected.insert(index as u64, normal(&step["response"]));
        }
        if let Some(error) = step["error"].as_str().filter(|_| step["op"] != "log_append_completed") {
            expected.insert(index as u64, json!({"error": error}));
        }
        let mut got = BTreeMap::new();
        for (_, envelope) in &self.effects.sends {
            let Body::Response(response) = &envelope.body else {
                return Err("a request".to_string());
            };
            let mut response = normal(&self.translate(&classic_response_json(response)));
            // Where Kafka throws, only the error is recorded.
            if expected.get(&envelope.correlation.0).is_some_and(|e| e.as_object().is_some_and(|e| e.len() == 1)) {
                response = json!({"error": response["error"]});
            }
            got.insert(envelope.correlation.0, response);
        }
        check(got, expected)
    }

    fn check_state(&self, step: &Value) -> Result<(), String> {
        for expected in step["state_after"].as_array().into_iter().flatten() {
            if expected.get("group").is_some_and(Value::is_null) {
                // Of the group that was asked for, if one was.
                let asked = step["request"]["groupId"].as_str();
                let is_meant = |(_, group): &(i32, &ClassicGroup)| asked.is_none_or(|id| group.id.0.as_str() == id);
                check(self.coordinator.groups().filter(is_meant).count(), 0)?;
                continue;
            }
            let id = GroupId(str_bytes(text(&expected["group_id"])));
            let group = self.coordinator.group(&id).ok_or("there is no group")?;
            let got = self.translate(&self.group_json(group));
            check(normal(&got), normal(expected))?;
        }
        Ok(())
    }

    fn group_json(&self, group: &ClassicGroup) -> Value {
        let left = self
            .coordinator
            .timers()
            .filter_map(|(timer, at)| Some((super::timer_name(&timer.kind)?, json!(at.since(self.now).millis()))));
        let mut value = super::group_json(group);
        value["timers_ms_left"] = Value::Object(left.collect());
        value
    }
}

fn is_new_group(value: &GroupValue) -> bool {
    value.generation == 0 && value.members.is_empty() && value.protocol_type.is_empty()
}

fn all_errors() -> impl Iterator<Item = ErrorCode> {
    (1..200).filter_map(error)
}

/// Absent is the default: nulls, empty texts, lists and maps go; lists of members and of ids are sorted.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(k, v)| (k.clone(), normal(v)));
            Value::Object(fields.filter(|(_, v)| !is_default(v)).collect())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(normal).collect();
            list.sort_by_key(|v| v["memberId"].as_str().or(v.as_str()).unwrap_or_default().to_string());
            Value::Array(list)
        }
        other => other.clone(),
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn recorded_ids(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| {
            if !key.starts_with("heartbeat-") && is_drawn(key) {
                into.insert(key.clone());
            }
            recorded_ids(v, into);
        }),
        Value::Array(list) => list.iter().for_each(|v| recorded_ids(v, into)),
        Value::String(text) if is_drawn(text) => {
            into.insert(text.clone());
        }
        _ => {}
    }
}

/// An id with a random part: numbered by the recording, or (where no answer shows it) left as it was.
fn is_drawn(id: &str) -> bool {
    let tail = id.len().checked_sub(36).and_then(|at| id.get(at..));
    id.contains("uuid#") || tail.is_some_and(|tail| tail.bytes().filter(|b| *b == b'-').count() == 4)
}

fn told_value(value: &GroupValue) -> Value {
    group_value(value, "assignment_base64", |bytes| json!(to_base64(bytes)))
}

/// As in the other recordings, but for the assignment, whose bytes are the test's own.
fn classic_response_json(response: &Response) -> Value {
    let mut told = response_json(response, &Names::new([]));
    if let (Response::SyncGroup(sync), Some(fields)) = (response, told.as_object_mut()) {
        fields.remove("assignment_decoded");
        fields.insert("assignment_base64".to_string(), json!(to_base64(&sync.assignment)));
    }
    told
}

pub fn classic_member(id: &str, instance: Option<&str>, protocols: &[&str]) -> Member {
    Member {
        id: str_bytes(id),
        instance: instance.map(str_bytes),
        client_id: str_bytes("client"),
        client_host: str_bytes("host"),
        rebalance_timeout: Duration::from_secs(60),
        session_timeout: Duration::from_secs(10),
        protocols: protocols.iter().map(|p| (str_bytes(p), Bytes::new())).collect(),
        assignment: Bytes::new(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
