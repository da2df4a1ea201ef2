//! Committed offsets: what is stored, read at a committed offset of the log, refused and expired, as
//! Kafka's own OffsetMetadataManager answered.

use std::collections::BTreeMap;

use bytes::Bytes;
use highwater::kafka::config::BrokerConfig;
use highwater::kafka::controller::image::{MetadataImage, PartitionRegistration};
use highwater::kafka::controller::record::MetadataRecord;
use highwater::kafka::coordinator::Coordinator;
use highwater::kafka::fact::error_name;
use highwater::kafka::group::classic::GroupState;
use highwater::kafka::group::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata};
use highwater::kafka::group::consumer::records::ConsumerRecord;
use highwater::kafka::group::modern::records::GroupEpoch;
use highwater::kafka::group::records::{CommittedOffset, GroupRecord, GroupValue, MemberValue};
use highwater::kafka::group::{Context, GroupCoordinator, Logged};
use highwater::kafka::node::{Effects, Turn};
use highwater::time::{Duration, Instant};
use highwater::wire::messages::join_group_request::JoinGroupRequestProtocol;
use highwater::wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use highwater::wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use highwater::wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use highwater::wire::messages::{
    ConsumerProtocolSubscription, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest, TxnOffsetCommitRequest,
};
use highwater::wire::{
    Body, BrokerId, ClientId, Correlation, GroupId, LeaderEpoch, NodeId, Offset, ProducerId, Request, Response,
    StrBytes, TopicPartition, Uuid, error, str_bytes, topic_name,
};
use kafka_protocol::protocol::Encodable;
use serde_json::{Value, json};

/// Highwater has no streams groups (KIP-1071). Admin clients do not name a member, and a log is read alike
/// whosever group it is, so those cases run.
fn is_beyond(case: &Value) -> bool {
    let name = text(&case["name"]);
    let asks = |op: &str| op.ends_with("OffsetCommit") || op.starts_with("fetch");
    name.contains("StreamsGroup")
        && !name.contains("FromAdminClient")
        && steps(case).iter().any(|step| asks(text(&step["op"])))
}

/// Highwater's clients name topics, so that no id is kept with an offset and none can be another than asked for.
const ABOUT_TOPIC_IDS: [&str; 1] = ["OffsetMetadataManagerTest#testFetchOffsetsWithRecreatedTopic"];

#[test]
fn golden_offset_commit_fetch() {
    let file: Value = serde_json::from_str(include_str!("../golden/offset_commit_fetch.json")).expect("JSON");
    let (mut failures, mut left_out, mut run) = (Vec::new(), Vec::new(), 0);
    for case in file["cases"].as_array().expect("cases") {
        let name = text(&case["name"]);
        if is_beyond(case) || ABOUT_TOPIC_IDS.contains(&name) {
            left_out.push(name);
            continue;
        }
        run += 1;
        if let Err(error) = run_case(case) {
            failures.push(format!("{name}: {error}"));
        }
    }
    println!("{run} run; left out, about streams groups or the ids of topics:\n{}", left_out.join("\n"));
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn run_case(case: &Value) -> Result<(), String> {
    let mut log: Vec<(Offset, Logged)> = Vec::new();
    let mut cleanups = 0;
    for (index, step) in steps(case).iter().enumerate() {
        let result = match text(&step["op"]) {
            "record_in_log" => {
                let producer = step["producer_id"].as_i64().map(ProducerId);
                log.push((log_offset(step), Logged::Record(offset_record(step), producer)));
                check_replay(&log)
            }
            "transaction_marker" => {
                let producer = ProducerId(step["producer_id"].as_i64().expect("a producer id"));
                let commit = match text(&step["result"]) {
                    "COMMIT" => true,
                    "ABORT" => false,
                    other => return Err(format!("unknown result {other}")),
                };
                log.push((log_offset(step), Logged::Marker { producer, commit }));
                check_replay(&log)
            }
            "fetchOffsets" | "fetchAllOffsets" => check_fetch(text(&case["name"]), &log, step),
            "TxnOffsetCommit" => check_txn_commit(text(&case["name"]), &log, step),
            "OffsetCommit" => check_commit(text(&case["name"]), &log, step),
            "cleanup_expired_offsets" => {
                cleanups += 1;
                check_cleanup(text(&case["name"]), &log, step, cleanups)
            }
            "advance_time" => Ok(()),
            other => Err(format!("unknown op {other}")),
        };
        result.map_err(|error| format!("step {index} {}: {error}", step["op"]))?;
    }
    Ok(())
}

/// A coordinator of the only partition, loaded from a log.
struct Loaded {
    coordinator: GroupCoordinator,
    effects: Effects,
}

impl Loaded {
    fn new(log: &[(Offset, Logged)], config: &BrokerConfig, at: Instant) -> Loaded {
        let config = BrokerConfig { offsets_topic_num_partitions: 1, ..config.clone() };
        let mut loaded = Loaded { coordinator: GroupCoordinator::new(BrokerId(1), &config), effects: Effects::new(1) };
        let mut turn = Turn::new(at, &mut loaded.effects);
        loaded.coordinator.load(&mut turn, &MetadataImage::new(), 0, LeaderEpoch(0), log.to_vec());
        loaded
    }

    fn ask(&mut self, version: i16, at: Instant, request: Request) {
        let mut image = MetadataImage::new();
        for (id, name) in ["bar", "foo"].into_iter().enumerate() {
            let topic = Uuid::from_u128(id as u128 + 1);
            image.replay(&MetadataRecord::Topic { name: topic_name(name), id: topic });
            for partition in 0..4 {
                let registration = PartitionRegistration::new(vec![BrokerId(1)], vec![BrokerId(1)]);
                image.replay(&MetadataRecord::Partition { topic, partition, registration });
            }
        }
        let context = Context {
            from: NodeId::Client(ClientId(1)),
            correlation: Correlation(1),
            client_id: str_bytes("client"),
            client_host: str_bytes("host"),
            version,
            known_member_id: true,
            skip_assignment: true,
        };
        let mut turn = Turn::new(at, &mut self.effects);
        self.coordinator.handle_as(&mut turn, &image, &context, &request);
    }

    /// The records decided on; they are appended and committed.
    fn write(&mut self, at: Instant) -> Vec<GroupRecord> {
        let mut written = Vec::new();
        for (partition, records) in self.coordinator.take_records() {
            for record in &records {
                let key = record.key.clone().expect("a key");
                written.push(GroupRecord::decode(&key, record.value.as_ref()).expect("a record of ours"));
            }
            let mut turn = Turn::new(at, &mut self.effects);
            self.coordinator.appended(&mut turn, partition, Ok(Offset(1_000)));
            self.coordinator.committed(&mut turn, partition, Offset(2_000));
        }
        written
    }

    fn answer(&mut self) -> Result<Response, String> {
        match self.effects.sends.pop().map(|(_, envelope)| envelope.body) {
            Some(Body::Response(response)) => Ok(response),
            other => Err(format!("no answer: {other:?}")),
        }
    }
}

/// The last record of a key wins; what a transaction wrote counts with its commit, unless a younger record
/// of the key counts already.
fn check_replay(log: &[(Offset, Logged)]) -> Result<(), String> {
    let loaded = Loaded::new(log, &BrokerConfig::default(), Instant::ZERO);
    type Key = (GroupId, TopicPartition);
    type Value = (Offset, Option<CommittedOffset>);
    let mut expected: BTreeMap<Key, Value> = BTreeMap::new();
    let mut pending: Vec<(ProducerId, Key, Value)> = Vec::new();
    for (at, logged) in log {
        match logged {
            Logged::Record(GroupRecord::Offset { group, partition, value }, producer) => {
                let key = (group.clone(), partition.clone());
                match producer {
                    Some(producer) => pending.push((*producer, key, (*at, value.clone()))),
                    None => {
                        if value.is_none() {
                            pending.retain(|(_, other, _)| *other != key);
                        }
                        expected.insert(key, (*at, value.clone()));
                    }
                }
            }
            Logged::Record(GroupRecord::Group { .. } | GroupRecord::Consumer { .. } | GroupRecord::Share { .. }, _) => {
            }
            Logged::Marker { producer, commit } => {
                let (ended, open): (Vec<_>, _) = pending.into_iter().partition(|(owner, _, _)| owner == producer);
                pending = open;
                for (_, key, (at, value)) in ended.into_iter().filter(|_| *commit) {
                    if expected.get(&key).is_none_or(|(younger, value)| value.is_none() || *younger < at) {
                        expected.insert(key, (at, value));
                    }
                }
            }
        }
    }
    for ((group, partition), (_, value)) in expected {
        let got = loaded.coordinator.offsets_in_log(&group).find(|(p, _)| **p == partition).map(|(_, o)| o.clone());
        check(got, value)?;
    }
    Ok(())
}

/// What the name of a test says of an error that its steps do not record.
fn error_of_the_test(name: &str) -> &'static str {
    let errors = [
        ("UnknownMemberId", "UNKNOWN_MEMBER_ID"),
        ("StaleMemberEpoch", "STALE_MEMBER_EPOCH"),
        ("IllegalGenerationId", "ILLEGAL_GENERATION"),
    ];
    errors.into_iter().find(|(part, _)| name.contains(part)).map_or("NONE", |(_, error)| error)
}

fn check_fetch(name: &str, log: &[(Offset, Logged)], step: &Value) -> Result<(), String> {
    let mut loaded = Loaded::new(&log_of_the_test(name, log, step), &BrokerConfig::default(), Instant::ZERO);
    let end = step["committed_offset_of_log"].as_i64().unwrap_or(i64::MAX);
    let mut turn = Turn::new(Instant::ZERO, &mut loaded.effects);
    loaded.coordinator.committed(&mut turn, 0, Offset(end));
    let topics = step["topics"].as_array().map(|topics| {
        let topic = |t: &Value| {
            let partitions = t["partitions"].as_array().expect("partitions").iter().map(int).collect();
            OffsetFetchRequestTopics::default()
                .with_name(topic_name(text(&t["topic"])))
                .with_partition_indexes(partitions)
        };
        topics.iter().map(topic).collect()
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(str_bytes(text(&step["group_id"]))))
        .with_member_id(step["member_id"].as_str().map(str_bytes))
        .with_member_epoch(step["member_epoch"].as_i64().map_or(-1, |epoch| epoch as i32))
        .with_topics(topics);
    // Kafka's own test fetches at the end of everything for whoever requires stable offsets.
    let stable = step["committed_offset_of_log"].as_i64().is_none();
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(stable);
    loaded.ask(9, Instant::ZERO, request.into());
    let Response::OffsetFetch(answer) = loaded.answer()? else { return Err("another answer".to_string()) };
    let group = &answer.groups[0];
    let Some(error) = step["error"].as_str() else {
        return check(error_text(group.error_code), error_of_the_test(name).to_string());
    };
    check(error_text(group.error_code), error.to_string())?;
    let rows = group.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|p| {
            json!({
                "partition": p.partition_index,
                "committed_offset": p.committed_offset,
                "leader_epoch": p.committed_leader_epoch,
                "metadata": p.metadata.as_ref().map(|m| m.to_string()),
                "error": error_text(p.error_code),
            })
        });
        json!({"topic": topic.name.0.as_str(), "partitions": partitions.collect::<Vec<_>>()})
    });
    check(json!(rows.collect::<Vec<_>>()), step["result"].clone())
}

/// The tests make their group by hand, which is not recorded: a stable group of one member, unless
/// the name says otherwise.
fn group_of_the_test(name: &str, step: &Value) -> Option<GroupRecord> {
    let is_classic = name.contains("GenericGroup") || name.contains("Sensor");
    if !is_classic {
        return None;
    }
    let mut value = stable_group("consumer", "bar");
    // A join takes a group that completes a rebalance into its next generation.
    value.generation = if name.contains("CompletingRebalance") { 0 } else { 1 };
    if name.contains("UnknownMemberId") {
        value.members.clear();
    }
    if name.contains("FencedInstanceId") {
        value.members[0].group_instance_id = Some(str_bytes("new-instance-id"));
    }
    Some(GroupRecord::Group { group: group_in(step), value: Some(value) })
}

fn stable_group(protocol_type: &str, topic: &str) -> GroupValue {
    let mut subscription = bytes::BytesMut::from(&[0_u8, 3][..]);
    let topics = ConsumerProtocolSubscription::default().with_topics(vec![str_bytes(topic)]);
    topics.encode(&mut subscription, 3).expect("a subscription encodes");
    GroupValue {
        protocol_type: str_bytes(protocol_type),
        generation: 1,
        protocol: Some(str_bytes("range")),
        leader: Some(str_bytes("member")),
        current_state_timestamp: 0,
        members: vec![MemberValue {
            member_id: str_bytes("member"),
            group_instance_id: None,
            client_id: str_bytes("client"),
            client_host: str_bytes("host"),
            rebalance_timeout: 5_000,
            session_timeout: 3_600_000,
            subscription: subscription.freeze(),
            assignment: Bytes::new(),
        }],
    }
}

/// The consumer group that a test makes by hand: a member, if it is not unknown. It is in epoch 10 when it
/// commits, and in epoch 0 when it fetches.
fn consumer_group_of_the_test(name: &str, step: &Value) -> Vec<GroupRecord> {
    let fetches = name.contains("testConsumerGroupOffsetFetch");
    let commits = ["testConsumerGroupOffsetCommit", "testConsumerGroupTransactionalOffsetCommit"];
    let commits = commits.iter().any(|test| name.contains(test)) && !name.contains("FromAdminClient");
    if !commits && !fetches {
        return Vec::new();
    }
    let epoch = if fetches { 0 } else { 10 };
    let member = str_bytes("member");
    let mut records = vec![ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash: 0 }))];
    if name.contains("IllegalGenerationId") {
        let classic = ClassicMetadata { session_timeout: Duration::from_secs(45), protocols: Vec::new() };
        let metadata = MemberMetadata { classic: Some(classic), ..MemberMetadata::default() };
        records.push(ConsumerRecord::Member(member.clone(), Some(metadata)));
    }
    if !name.contains("UnknownMemberId") {
        let current = CurrentAssignment { epoch, previous_epoch: epoch, ..CurrentAssignment::default() };
        records.push(ConsumerRecord::Current(member, Some(current)));
    }
    records.into_iter().map(|record| GroupRecord::Consumer { group: group_in(step), record }).collect()
}

/// The tests of notes that are too long let them have five bytes.
fn config_of_the_test(name: &str) -> BrokerConfig {
    let mut config = BrokerConfig::default();
    if name.contains("OffsetMetadataTooLarge") {
        config.offset_metadata_max_bytes = 5;
    }
    config
}

/// The group that a step asks about.
fn group_in(step: &Value) -> GroupId {
    let named = step["group_id"].as_str().or(step["request"]["groupId"].as_str());
    GroupId(str_bytes(named.unwrap_or_default()))
}

/// The log, and the group that the test makes by hand.
fn log_of_the_test(name: &str, log: &[(Offset, Logged)], step: &Value) -> Vec<(Offset, Logged)> {
    let by_hand = group_of_the_test(name, step).into_iter().chain(consumer_group_of_the_test(name, step));
    let by_hand = by_hand.map(|record| (Offset(500), Logged::Record(record, None)));
    log.iter().cloned().chain(by_hand).collect()
}

fn check_commit(name: &str, log: &[(Offset, Logged)], step: &Value) -> Result<(), String> {
    let now = Instant::from_millis(step["now_ms"].as_i64().expect("a time"));
    let log = log_of_the_test(name, log, step);
    let mut loaded = Loaded::new(&log, &config_of_the_test(name), now);
    if name.contains("CompletingRebalance") {
        rejoin(&mut loaded, now);
    }
    if name.contains("DeadGroup") {
        loaded.coordinator.change_group(&group_in(step), |group| group.transition_to(GroupState::Dead, now));
    }
    let body = &step["request"];
    let expected: Vec<Value> = step["records"].as_array().into_iter().flatten().map(without_topic_id).collect();
    let topics = body["topics"].as_array().expect("topics").iter().map(|topic| {
        let partitions = topic["partitions"].as_array().expect("partitions").iter().map(|p| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(int(&p["partitionIndex"]))
                .with_committed_offset(p["committedOffset"].as_i64().expect("an offset"))
                .with_committed_leader_epoch(p["committedLeaderEpoch"].as_i64().map_or(-1, |e| e as i32))
                .with_committed_metadata(p["committedMetadata"].as_str().map(str_bytes))
        });
        // Newer versions name the topic by its id alone; all the tests commit to `bar`.
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic["name"].as_str().unwrap_or("bar")))
            .with_partitions(partitions.collect())
    });
    // The recorded version has no field for the retention time that the test asks for.
    let expire = expected.iter().find_map(|record| record["value"]["expireTimestamp"].as_i64());
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(str_bytes(text(&body["groupId"]))))
        .with_member_id(str_bytes(text(&body["memberId"])))
        .with_group_instance_id(body["groupInstanceId"].as_str().map(str_bytes))
        .with_generation_id_or_member_epoch(int(&body["generationIdOrMemberEpoch"]))
        .with_retention_time_ms(expire.map_or(-1, |at| at - now.millis()))
        .with_topics(topics.collect());
    loaded.ask(int(&step["version"]) as i16, now, request.into());
    let written: Vec<Value> = loaded.write(now).iter().map(record_json).collect();
    check(written, expected)?;
    let Response::OffsetCommit(answer) = loaded.answer()? else { return Err("another answer".to_string()) };
    let got: Vec<String> =
        answer.topics.iter().flat_map(|t| t.partitions.iter().map(|p| error_text(p.error_code))).collect();
    let expected = expected_errors(step, got.len());
    check(got, expected)
}

/// One error for all, or each partition's own.
fn expected_errors(step: &Value, count: usize) -> Vec<String> {
    match step["error"].as_str() {
        Some(error) => vec![error.to_string(); count],
        None => {
            let topics = step["response"]["topics"].as_array().expect("topics").iter();
            topics.flat_map(|t| t["partitions"].as_array().expect("rows")).map(|p| text(&p["error"]).into()).collect()
        }
    }
}

fn check_txn_commit(name: &str, log: &[(Offset, Logged)], step: &Value) -> Result<(), String> {
    let now = Instant::from_millis(step["now_ms"].as_i64().expect("a time"));
    let log = log_of_the_test(name, log, step);
    let mut loaded = Loaded::new(&log, &config_of_the_test(name), now);
    if name.contains("DeadGroup") {
        loaded.coordinator.change_group(&group_in(step), |group| group.transition_to(GroupState::Dead, now));
    }
    let body = &step["request"];
    let topics = body["topics"].as_array().expect("topics").iter().map(|topic| {
        let partitions = topic["partitions"].as_array().expect("partitions").iter().map(|p| {
            TxnOffsetCommitRequestPartition::default()
                .with_partition_index(int(&p["partitionIndex"]))
                .with_committed_offset(p["committedOffset"].as_i64().expect("an offset"))
                .with_committed_leader_epoch(p["committedLeaderEpoch"].as_i64().map_or(-1, |e| e as i32))
                .with_committed_metadata(p["committedMetadata"].as_str().map(str_bytes))
        });
        TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(text(&topic["name"])))
            .with_partitions(partitions.collect())
    });
    let request = TxnOffsetCommitRequest::default()
        .with_group_id(GroupId(str_bytes(text(&body["groupId"]))))
        .with_producer_id(ProducerId(body["producerId"].as_i64().expect("a producer id")))
        .with_producer_epoch(int(&body["producerEpoch"]) as i16)
        .with_member_id(str_bytes(text(&body["memberId"])))
        .with_group_instance_id(body["groupInstanceId"].as_str().map(str_bytes))
        .with_generation_id(int(&body["generationId"]))
        .with_topics(topics.collect());
    loaded.ask(int(&step["version"]) as i16, now, request.into());
    let written: Vec<Value> = loaded.write(now).iter().map(record_json).collect();
    check(written, step["records"].as_array().into_iter().flatten().map(without_topic_id).collect())?;
    let Response::TxnOffsetCommit(answer) = loaded.answer()? else { return Err("another answer".to_string()) };
    let got: Vec<String> =
        answer.topics.iter().flat_map(|t| t.partitions.iter().map(|p| error_text(p.error_code))).collect();
    check(got.clone(), expected_errors(step, got.len()))
}

/// The member joins with another protocol list: the group completes a rebalance.
fn rejoin(loaded: &mut Loaded, now: Instant) {
    let protocol = JoinGroupRequestProtocol::default().with_name(str_bytes("range"));
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(str_bytes("foo")))
        .with_member_id(str_bytes("member"))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(5_000)
        .with_protocol_type(str_bytes("consumer"))
        .with_protocols(vec![protocol]);
    loaded.ask(9, now, join.into());
    loaded.effects.sends.clear();
}

/// The tests stand in for the group with a mock: who is subscribed to `firstTopic` in the first two
/// cleanups, or whose offsets may not expire at all.
fn check_cleanup(name: &str, log: &[(Offset, Logged)], step: &Value, count: u32) -> Result<(), String> {
    let group = GroupId(str_bytes(text(&step["group_id"])));
    let value = if name.contains("EmptyOffsetExpirationCondition") {
        stable_group("not consumers", "none")
    } else {
        stable_group("consumer", if count < 3 { "firstTopic" } else { "none" })
    };
    let mut log = log.to_vec();
    let is_of_group =
        |logged: &Logged| matches!(logged, Logged::Record(GroupRecord::Offset { group: g, .. }, _) if *g == group);
    if log.iter().any(|(_, logged)| is_of_group(logged)) {
        log.push((Offset(500), Logged::Record(GroupRecord::Group { group, value: Some(value) }, None)));
    }
    let config = BrokerConfig { offsets_retention: Duration::from_secs(60), ..BrokerConfig::default() };
    let now = Instant::from_millis(step["now_ms"].as_i64().expect("a time"));
    let mut loaded = Loaded::new(&log, &config, now - config.offsets_retention_check_interval);
    let mut turn = Turn::new(now, &mut loaded.effects);
    loaded.coordinator.alarm(&mut turn, &MetadataImage::new());
    let written = loaded.write(now);
    let mut got: Vec<Value> = written.iter().map(record_json).collect();
    let mut expected = step["records"].as_array().cloned().unwrap_or_default();
    for list in [&mut got, &mut expected] {
        list.sort_by_key(|record| record["key"].to_string());
    }
    check(got, expected)
}

fn log_offset(step: &Value) -> Offset {
    Offset(step["log_offset"].as_i64().expect("an offset"))
}

fn offset_record(step: &Value) -> GroupRecord {
    let key = &step["key"];
    let value = &step["value"];
    let offset = |offset: i64| CommittedOffset {
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(value["leaderEpoch"].as_i64().map_or(-1, |e| e as i32)),
        metadata: value["metadata"].as_str().map_or(StrBytes::new(), str_bytes),
        commit_timestamp: value["commitTimestamp"].as_i64().expect("a time"),
        expire_timestamp: value["expireTimestamp"].as_i64(),
    };
    GroupRecord::Offset {
        group: GroupId(str_bytes(text(&key["group"]))),
        partition: TopicPartition::named(text(&key["topic"]), int(&key["partition"])),
        value: value["offset"].as_i64().map(offset),
    }
}

/// As the recording writes a record: what is absent has its default.
fn record_json(record: &GroupRecord) -> Value {
    let GroupRecord::Offset { group, partition, value } = record else {
        return json!("a group record");
    };
    let key = json!({"group": group.0.as_str(), "topic": partition.topic.0.as_str(), "partition": partition.partition});
    let Some(value) = value else {
        return json!({"type": "OFFSET_COMMIT", "key": key, "tombstone": true});
    };
    let mut fields = json!({"offset": value.offset.0, "commitTimestamp": value.commit_timestamp});
    match value.expire_timestamp {
        Some(at) => fields["expireTimestamp"] = json!(at),
        None => fields["leaderEpoch"] = json!(value.leader_epoch.0),
    }
    if !value.metadata.is_empty() {
        fields["metadata"] = json!(value.metadata.as_str());
    }
    json!({"type": "OFFSET_COMMIT", "key": key, "value": fields})
}

/// Highwater's clients name topics, so that no id is kept with an offset.
fn without_topic_id(record: &Value) -> Value {
    let mut record = record.clone();
    if let Some(value) = record["value"].as_object_mut() {
        value.remove("topicId");
    }
    record
}

fn steps(case: &Value) -> &[Value] {
    case["steps"].as_array().expect("steps")
}

fn check<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("\n   got      {got:?}\n   expected {expected:?}")) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn int(value: &Value) -> i32 {
    value.as_i64().map_or(0, |v| v as i32)
}

fn error_text(code: i16) -> String {
    error(code).map_or("NONE".to_string(), error_name)
}
