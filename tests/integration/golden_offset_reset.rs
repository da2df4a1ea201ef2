use std::collections::BTreeMap;

use highwater::kafka::client::metadata::{Metadata, MetadataTimes};
use highwater::kafka::client::network::Network;
use highwater::kafka::client::reset_offsets::{Reset, Step};
use highwater::kafka::client::subscription::{FetchState, Position, ResetTo, Subscription, Validation};
use highwater::kafka::config::{ConsumerConfig, OffsetReset};
use highwater::kafka::fact::PositionReason;
use highwater::kafka::node::{Effects, OffsetTarget, Turn};
use highwater::time::{Duration, Instant};
use highwater::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use highwater::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use highwater::wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use highwater::wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use highwater::wire::messages::{
    BrokerId, ConsumerGroupDescribeResponse, DescribeGroupsResponse, ListOffsetsRequest, ListOffsetsResponse,
    MetadataResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchResponse, consumer_group_describe_response,
    describe_groups_response,
};
use highwater::wire::{
    ErrorCode, LeaderEpoch, NodeId, Offset, Request, Response, TopicPartition, Uuid, str_bytes, topic_name,
};
use serde_json::{Map, Value, json};

use crate::golden::{only, run_file};

/// Cases that cannot apply, by what they need.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("--from-file", "a plan that was exported earlier: Highwater has no files to read a plan from"),
    ("--all-groups", "one operation resets one group"),
];

/// The options of the tool that an operation here has too.
const OPTIONS: [&str; 12] = [
    "--all-topics",
    "--topic",
    "--to-current",
    "--to-earliest",
    "--to-latest",
    "--to-offset",
    "--to-datetime",
    "--by-duration",
    "--shift-by",
    "--execute",
    "--dry-run",
    "--export",
];

#[test]
fn golden_offset_reset() {
    run_file(include_str!("../golden/offset_reset.json"), run);
}

const FIELDS: [&str; 24] = [
    "name",
    "test",
    "kind",
    "note",
    "expect",
    "args",
    "log",
    "group_state",
    "committed_before",
    "committed_after",
    "reset_plan",
    "message_contains",
    "error",
    "value",
    "valid",
    "list_offsets_timestamp",
    "position",
    "auto_offset_reset",
    "offset_for_leader_epoch_response",
    "list_offsets_response",
    "list_offsets_responses",
    "reset_strategy",
    "seek_while_request_in_flight",
    "reset_requested_while_request_in_flight",
];

fn run(case: &Value) -> Result<(), String> {
    only(case, &FIELDS)?;
    match case["kind"].as_str() {
        Some("tool") => tool(case),
        Some("auto_offset_reset_parse") => parse(case),
        Some("auto_offset_reset_timestamp") => timestamp(case),
        Some("log_truncation_check") => truncation(case),
        Some("position_reset") => position_reset(case),
        other => Err(format!("unknown kind {other:?}")),
    }
}

fn same(what: &str, got: &Value, expect: &Value) -> Result<(), String> {
    if got == expect { Ok(()) } else { Err(format!("{what}: {got} instead of {expect}")) }
}

// ---- the policy ----

fn policy(text: &str) -> Option<OffsetReset> {
    let configs = [("auto.offset.reset".to_string(), text.to_string())].into();
    ConsumerConfig::resolve(&configs).ok().map(|c| c.offset_reset)
}

fn parse(case: &Value) -> Result<(), String> {
    // A setting that is null cannot be written in a script; like Kafka's parser, nothing reads it.
    let valid = case["value"].as_str().is_some_and(|text| policy(text).is_some());
    same("valid", &json!(valid), &case["valid"])
}

fn timestamp(case: &Value) -> Result<(), String> {
    let policy = policy(case["value"].as_str().ok_or("no value")?).ok_or("the policy does not read")?;
    same_timestamp(ResetTo::from_policy(policy), &case["list_offsets_timestamp"])
}

fn same_timestamp(to: Option<ResetTo>, expect: &Value) -> Result<(), String> {
    let now = Instant::from_millis(1_700_000_000_000);
    if let (Some(ResetTo::ByDuration(duration)), Some(_)) = (to, expect.as_str()) {
        // The file says it in words: now minus the duration.
        return same("timestamp", &json!(to.map(|t| t.timestamp(now))), &json!(now.millis() - duration.millis()));
    }
    same("timestamp", &json!(to.map(|t| t.timestamp(now))), expect)
}

// ---- positions ----

fn one_partition() -> (Subscription, TopicPartition) {
    let mut subscription = Subscription::default();
    let partition = TopicPartition::named("t", 0);
    subscription.assign(std::slice::from_ref(&partition));
    (subscription, partition)
}

fn position_json(position: &Position) -> Value {
    json!({
        "offset": position.offset.0,
        "offset_epoch": position.epoch.map(|e| e.0),
        "leader_epoch": position.leader.map(|(_, e)| e.0),
    })
}

fn truncation(case: &Value) -> Result<(), String> {
    let policy = policy(case["auto_offset_reset"].as_str().ok_or("no policy")?).ok_or("the policy does not read")?;
    let number = |value: &Value| value.as_i64().ok_or("not a number");
    let told = &case["position"];
    let epoch = |value: &Value| value.as_i64().map(|e| LeaderEpoch(e as i32));
    let leader = NodeId::broker(1);
    let position = Position {
        offset: Offset(number(&told["offset"])?),
        epoch: epoch(&told["offset_epoch"]),
        leader: epoch(&told["leader_epoch"]).map(|e| (leader, e)),
    };
    let (mut subscription, partition) = one_partition();
    let assigned = subscription.get_mut(&partition).ok_or("not assigned")?;
    assigned.seek(position.clone());
    assigned.state = FetchState::AwaitValidation;
    if let Some(seek) = case.get("seek_while_request_in_flight") {
        let at = seek.get("offset").unwrap_or(seek);
        assigned.seek(Position::at(Offset(number(at)?)));
    }
    if let Some(to) = case["reset_requested_while_request_in_flight"].as_str() {
        let to = self::policy(to).and_then(ResetTo::from_policy).ok_or("the other strategy does not read")?;
        assigned.reset(to, PositionReason::Seek);
    }
    let answer = &case["offset_for_leader_epoch_response"];
    let (end_epoch, end) = (number(&answer["leader_epoch"])?, number(&answer["end_offset"])?);
    let outcome = assigned.complete_validation(&position, LeaderEpoch(end_epoch as i32), Offset(end), policy);
    let mut got = Map::new();
    let state = match assigned.state {
        FetchState::Fetching => "FETCHING",
        FetchState::AwaitReset { .. } => "AWAIT_RESET",
        FetchState::AwaitValidation => "AWAIT_VALIDATION",
        FetchState::Initializing => "INITIALIZING",
    };
    got.insert("state".into(), json!(state));
    if let FetchState::AwaitReset { to, .. } = assigned.state {
        got.insert("reset_strategy".into(), json!(format!("{to:?}").to_lowercase()));
    }
    if let Some(position) = &assigned.position {
        got.insert("position".into(), position_json(position));
    }
    if let Validation::Fatal { divergent } = outcome {
        let divergent = divergent.map(|d| json!({"offset": d.0, "epoch": end_epoch}));
        got.insert("log_truncation".into(), json!({ "divergent_offset": divergent }));
    }
    for (name, expect) in case["expect"].as_object().ok_or("no expectation")? {
        let got = got.get(name).cloned().unwrap_or(Value::Null);
        let matches = got == *expect || loosely(&got, expect);
        if !matches {
            return Err(format!("{name}: {got} instead of {expect}"));
        }
    }
    Ok(())
}

/// The file gives some offsets as a number where we know the epoch too, or leaves fields out.
fn loosely(got: &Value, expect: &Value) -> bool {
    match (got, expect) {
        (Value::Object(got), Value::Object(expect)) => {
            expect.iter().all(|(name, value)| got.get(name).is_some_and(|g| g == value || loosely(g, value)))
        }
        (Value::Object(got), Value::Number(_)) => got.get("offset") == Some(expect),
        _ => false,
    }
}

fn position_reset(case: &Value) -> Result<(), String> {
    let text = case["reset_strategy"].as_str().ok_or("no strategy")?;
    let word = text.split_whitespace().next().unwrap_or(text);
    let to = policy(word).and_then(ResetTo::from_policy).ok_or("the strategy does not read")?;
    let (mut subscription, partition) = one_partition();
    let assigned = subscription.get_mut(&partition).ok_or("not assigned")?;
    assigned.reset(to, PositionReason::Reset);
    if let Some(expect) = case.get("list_offsets_timestamp") {
        same_timestamp(Some(to), expect)?;
    }
    if let Some(seek) = case.get("seek_while_request_in_flight").and_then(Value::as_i64) {
        assigned.seek(Position::at(Offset(seek)));
    }
    if let Some(other) = case.get("reset_requested_while_request_in_flight").and_then(Value::as_str) {
        let other = policy(other).and_then(ResetTo::from_policy).ok_or("the other strategy does not read")?;
        assigned.reset(other, PositionReason::Seek);
    }
    let single = [case["list_offsets_response"].clone()];
    let answers = case["list_offsets_responses"].as_array().map_or(&single[..], Vec::as_slice);
    for (i, answer) in answers.iter().enumerate() {
        if let Some(offset) = answer["offset"].as_i64() {
            assigned.complete_reset(to, Offset(offset), None);
        }
        let waits = matches!(assigned.state, FetchState::AwaitReset { .. });
        if let Some(expect) = case["expect"]["after_each"].get(i) {
            match expect.as_str() {
                Some("still AWAIT_RESET") if waits => {}
                Some(text) => return Err(format!("after answer {i}: {text}")),
                None => position_matches(assigned, expect)?,
            }
        }
    }
    position_matches(assigned, &case["expect"])
}

fn position_matches(assigned: &highwater::kafka::client::subscription::Assigned, expect: &Value) -> Result<(), String> {
    if let Some(position) = expect.get("position") {
        same("position", &json!(assigned.position.as_ref().map(|p| p.offset.0)), position)?;
    }
    match expect.get("fetchable") {
        Some(fetchable) => same("fetchable", &json!(assigned.is_fetchable()), fetchable),
        None => Ok(()),
    }
}

// ---- the tool ----

/// A cluster as a case describes it. Words stand for numbers that no result depends on.
struct Cluster {
    /// Start and end of every log; `None`: leaderless.
    logs: BTreeMap<TopicPartition, Option<(i64, i64)>>,
    committed: BTreeMap<TopicPartition, i64>,
    words: BTreeMap<TopicPartition, Value>,
    state: String,
    /// The offset that the timestamp asked for begins at, if a record is that new.
    at_time: Option<i64>,
}

fn tool(case: &Value) -> Result<(), String> {
    let args: Vec<&str> = case["args"].as_array().ok_or("no args")?.iter().filter_map(Value::as_str).collect();
    if let Some((need, why)) = NOT_APPLICABLE.iter().find(|(need, _)| args.contains(need)) {
        println!("{} is left out for {need}: {why}", case["name"]);
        return Ok(());
    }
    if let Some(odd) = args.iter().find(|arg| arg.starts_with("--") && !OPTIONS.contains(arg)) {
        return if case["error"].is_string() { Ok(()) } else { Err(format!("unknown option {odd}")) };
    }
    let cluster = Cluster::of(case, &args)?;
    let target = target(&args)?;
    let mut plan = BTreeMap::new();
    let mut failed = None;
    for (topic, partitions) in selection(&args, &cluster)? {
        match reset(&cluster, &topic, partitions, target) {
            Ok(offsets) => plan.extend(offsets),
            Err(error) => failed = Some(error),
        }
    }
    match (&failed, case.get("error").and_then(Value::as_str), case.get("message_contains").and_then(Value::as_str)) {
        (Some(_), Some("IllegalArgumentException"), _) => return Ok(()),
        (Some(error), Some(expect), _) => {
            let name = expect.split_whitespace().next().unwrap_or(expect);
            return if error.contains(name) { Ok(()) } else { Err(format!("{error} instead of {expect}")) };
        }
        (Some(error), None, Some(expect)) if error.to_lowercase().contains(&expect.to_lowercase()) => {}
        (None, None, None) => {}
        (failed, _, _) => return Err(format!("the tool ended with {failed:?}")),
    }
    let got: Map<String, Value> = plan.iter().map(|(tp, offset)| (tp.to_string(), json!(offset))).collect();
    same("plan", &Value::Object(got.clone()), &case["reset_plan"])?;
    let executed = args.contains(&"--execute");
    let mut after: Map<String, Value> =
        cluster.words.iter().map(|(tp, committed)| (tp.to_string(), committed.clone())).collect();
    if executed {
        after.extend(got);
    }
    same("committed after", &Value::Object(after), &case["committed_after"])
}

impl Cluster {
    fn of(case: &Value, args: &[&str]) -> Result<Cluster, String> {
        // Words for lengths ("x", ">=2") stand for some log that is long enough.
        let number = |value: &Value| value.as_i64().unwrap_or(60);
        let mut logs = BTreeMap::new();
        let mut at_time = None;
        for (name, log) in case["log"].as_object().ok_or("no log")? {
            let partition = TopicPartition::parse(name).ok_or("not a partition")?;
            let offline = log.get("leader").is_some_and(Value::is_null);
            logs.insert(partition, (!offline).then(|| (number(&log["start"]), number(&log["end"]))));
            if log["timestamps"].as_str().is_some_and(|words| words.starts_with("all within")) {
                at_time = Some(number(&log["start"]));
            }
        }
        if args.iter().any(|arg| arg.contains("before the first record")) {
            at_time = logs.values().flatten().map(|(start, _)| *start).next();
        }
        // Words may tell how many records are older than the time that is asked for.
        let told = args.iter().find(|arg| arg.starts_with('(') && at_time.is_none());
        let digits = |words: &&&str| words.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok());
        at_time = at_time.or(told.as_ref().and_then(digits));
        let mut committed = BTreeMap::new();
        let mut words = BTreeMap::new();
        for (name, offset) in case["committed_before"].as_object().ok_or("no committed offsets")? {
            let partition = TopicPartition::parse(name).ok_or("not a partition")?;
            committed.insert(partition.clone(), number(offset));
            words.insert(partition, offset.clone());
        }
        let state = case["group_state"].as_str().ok_or("no group state")?;
        Ok(Cluster { logs, committed, words, state: state.to_string(), at_time })
    }

    fn consumer_group_describe(&self) -> Response {
        let none = ErrorCode::GroupIdNotFound.code();
        let group = consumer_group_describe_response::DescribedGroup::default().with_error_code(none);
        ConsumerGroupDescribeResponse::default().with_groups(vec![group]).into()
    }

    fn describe_groups(&self) -> Response {
        let group = describe_groups_response::DescribedGroup::default();
        let group = match self.state.as_str() {
            "GROUP_ID_NOT_FOUND" => group.with_error_code(ErrorCode::GroupIdNotFound.code()),
            state => group.with_group_state(str_bytes(state)),
        };
        DescribeGroupsResponse::default().with_groups(vec![group]).into()
    }

    fn metadata(&self, topic: &str) -> MetadataResponse {
        let partitions: Vec<MetadataResponsePartition> = self
            .logs
            .iter()
            .filter(|(tp, _)| tp.topic.0.as_str() == topic)
            .map(|(tp, log)| {
                MetadataResponsePartition::default()
                    .with_partition_index(tp.partition)
                    .with_leader_id(BrokerId(if log.is_some() { 1 } else { -1 }))
            })
            .collect();
        let told = MetadataResponseTopic::default().with_name(Some(topic_name(topic)));
        let told = if partitions.is_empty() {
            told.with_error_code(ErrorCode::UnknownTopicOrPartition.code())
        } else {
            told.with_topic_id(Uuid::from_u128(1)).with_partitions(partitions)
        };
        let broker = MetadataResponseBroker::default().with_node_id(BrokerId(1));
        MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![told])
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> Response {
        let topic = &request.topics[0];
        let asked = &topic.partitions[0];
        let log = self.logs.get(&TopicPartition::new(topic.name.clone(), asked.partition_index)).copied().flatten();
        let (start, end) = log.unwrap_or((-1, -1));
        let offset = match asked.timestamp {
            -2 => start,
            -1 => end,
            _ => self.at_time.unwrap_or(-1),
        };
        let told =
            ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(offset);
        let told = ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(vec![told]);
        ListOffsetsResponse::default().with_topics(vec![told]).into()
    }

    fn offset_fetch(&self, topic: &str, partitions: &[i32]) -> Response {
        let told = partitions.iter().map(|partition| {
            let committed = self.committed.get(&TopicPartition::named(topic, *partition)).copied().unwrap_or(-1);
            OffsetFetchResponsePartitions::default().with_partition_index(*partition).with_committed_offset(committed)
        });
        let told = OffsetFetchResponseTopics::default().with_name(topic_name(topic)).with_partitions(told.collect());
        let group = OffsetFetchResponseGroup::default().with_topics(vec![told]);
        OffsetFetchResponse::default().with_groups(vec![group]).into()
    }

    fn commit(&self, request: &OffsetCommitRequest, plan: &mut BTreeMap<TopicPartition, i64>) -> Response {
        let topic = &request.topics[0];
        let told = topic.partitions.iter().map(|partition| {
            let tp = TopicPartition::new(topic.name.clone(), partition.partition_index);
            plan.insert(tp, partition.committed_offset);
            OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index)
        });
        let told = OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(told.collect());
        OffsetCommitResponse::default().with_topics(vec![told]).into()
    }
}

fn target(args: &[&str]) -> Result<OffsetTarget, String> {
    for (i, arg) in args.iter().enumerate() {
        let number = || args.get(i + 1).and_then(|n| n.parse().ok()).ok_or_else(|| format!("{arg} without a number"));
        return Ok(match *arg {
            "--to-current" => OffsetTarget::Current,
            "--to-earliest" => OffsetTarget::Earliest,
            "--to-latest" => OffsetTarget::Latest,
            "--to-offset" => OffsetTarget::Offset(Offset(number()?)),
            "--shift-by" => OffsetTarget::Shift(number()?),
            // When exactly is said in words; the cluster knows which record it means.
            "--to-datetime" | "--by-duration" => OffsetTarget::Timestamp(1),
            _ => continue,
        });
    }
    Err(format!("no target in {args:?}"))
}

/// The topics that are reset, each with its partitions or (`None`) all of them.
type TopicSelection = Vec<(String, Option<Vec<i32>>)>;

fn selection(args: &[&str], cluster: &Cluster) -> Result<TopicSelection, String> {
    let mut topics = TopicSelection::new();
    if args.contains(&"--all-topics") {
        for tp in cluster.committed.keys() {
            let name = tp.topic.0.to_string();
            if !topics.iter().any(|(topic, _)| *topic == name) {
                topics.push((name, None));
            }
        }
    }
    for pair in args.windows(2).filter(|pair| pair[0] == "--topic") {
        let Some((topic, partitions)) = pair[1].split_once(':') else {
            topics.push((pair[1].to_string(), None));
            continue;
        };
        let partitions =
            partitions.split(',').map(|p| p.parse().map_err(|_| "not a partition")).collect::<Result<_, _>>()?;
        topics.push((topic.to_string(), Some(partitions)));
    }
    Ok(topics)
}

/// Runs one operation to its end against the cluster: what it committed, or why it failed.
fn reset(
    cluster: &Cluster,
    topic: &str,
    partitions: Option<Vec<i32>>,
    to: OffsetTarget,
) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let second = Duration::from_secs(1);
    let times = MetadataTimes { max_age: second, backoff: second, backoff_max: second, request_timeout: second };
    let mut metadata = Metadata::new(vec![NodeId::broker(1)], times);
    metadata.want(&topic_name(topic));
    let mut effects = Effects::new(1);
    let mut turn = Turn::new(Instant::ZERO, &mut effects);
    metadata.maybe_refresh(&mut Network::default(), &mut turn, ());
    metadata.update(&mut turn, &cluster.metadata(topic));
    let mut operation = Reset::new(str_bytes("group"), topic_name(topic), to, 0);
    if let Some(partitions) = partitions {
        operation = operation.of_partitions(partitions);
    }
    let mut plan = BTreeMap::new();
    let mut answers: Vec<Response> = Vec::new();
    loop {
        let requests = match operation.next_step(&metadata, &answers.iter().collect::<Vec<_>>()) {
            Step::Wait => return Err("the operation waits for ever".to_string()),
            Step::Done(None) => return Ok(plan),
            Step::Done(Some(error)) => return Err(error),
            Step::Ask(requests) => requests,
        };
        answers = requests
            .iter()
            .map(|request| match request {
                Request::ConsumerGroupDescribe(_) => cluster.consumer_group_describe(),
                Request::DescribeGroups(_) => cluster.describe_groups(),
                Request::ListOffsets(request) => cluster.list_offsets(request),
                Request::OffsetFetch(request) => {
                    let asked = request.groups[0].topics.as_ref().map_or(&[][..], |t| &t[0].partition_indexes);
                    cluster.offset_fetch(topic, asked)
                }
                Request::OffsetCommit(request) => cluster.commit(request, &mut plan),
                other => unreachable!("a reset does not ask {}", other.api().name()),
            })
            .collect();
    }
}
