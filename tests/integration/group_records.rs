//! Records, requests, answers and groups of the coordinator as the golden files write them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use highwater::kafka::controller::image::{MetadataImage, PartitionRegistration};
use highwater::kafka::controller::record::MetadataRecord;
use highwater::kafka::fact::error_name;
use highwater::kafka::group::assignor::Partitions;
use highwater::kafka::group::classic::ClassicGroup;
use highwater::kafka::group::consumer::ConsumerGroup;
use highwater::kafka::group::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata, MemberState};
use highwater::kafka::group::consumer::records::{ConsumerOwn, ConsumerRecord, ResolvedRegex};
use highwater::kafka::group::modern::records::GroupEpoch;
use highwater::kafka::group::protocol;
use highwater::kafka::group::records::{GroupRecord, GroupValue, MemberValue};
use highwater::kafka::group::share::ShareGroup;
use highwater::kafka::group::share::group::{ShareAssignment, ShareMemberMetadata};
use highwater::kafka::group::share::records::{ShareOwn, ShareRecord};
use highwater::kafka::group::share::state::{StatePartitions, TopicPartitions as StateTopic, Topics};
use highwater::kafka::group::timers::TimerKind;
use highwater::sorted::SortedSet;
use highwater::time::{Duration, Instant};
use highwater::wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use highwater::wire::messages::consumer_protocol_subscription::TopicPartition as OwnedTopic;
use highwater::wire::messages::join_group_request::JoinGroupRequestProtocol;
use highwater::wire::messages::leave_group_request::MemberIdentity;
use highwater::wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ShareGroupHeartbeatRequest, SyncGroupRequest,
};
use highwater::wire::{
    BrokerId, GroupId, Request, Response, StrBytes, TopicName, TopicPartition, Uuid, error, str_bytes, topic_name,
};
use kafka_protocol::protocol::Encodable;
use serde_json::{Map, Value, json};

use crate::golden_consumer_group_reconciliation::{list, text};

/// What of a group's initial state the recordings do not tell: it equals whatever is recorded later.
const UNKNOWN_MS: i64 = 77_777;

/// The topics of a case, whose ids the recordings give by name.
pub struct Names {
    pub image: MetadataImage,
    /// Topics that are gone, whose ids the recordings could not name.
    gone: BTreeMap<Uuid, String>,
}

/// The same name has the same id in every image of a case.
fn id_for(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(1, |hash: u128, byte| hash.wrapping_mul(257).wrapping_add(byte.into())))
}

impl Names {
    pub fn new(topics: impl IntoIterator<Item = (String, i32)>) -> Names {
        let mut image = MetadataImage::new();
        for (name, partitions) in topics {
            let topic = id_for(&name);
            image.replay(&MetadataRecord::Topic { name: topic_name(&name), id: topic });
            for partition in 0..partitions {
                let registration = PartitionRegistration::new(vec![BrokerId(1)], vec![BrokerId(1)]);
                image.replay(&MetadataRecord::Partition { topic, partition, registration });
            }
        }
        Names { image, gone: BTreeMap::new() }
    }

    /// Every name of 22 digits that a case gives may be a topic's id.
    pub fn learn(&mut self, value: &Value) {
        let mut names = BTreeSet::new();
        all_texts(value, &mut names);
        let ids = names.into_iter().filter(|name| name.len() == 22).map(|name| (id_for(&name), name));
        self.gone.extend(ids);
    }

    /// What an earlier image knew of topics that are gone.
    pub fn keep(&mut self, earlier: Names) {
        self.gone = earlier.gone;
        self.gone.extend(earlier.image.topic_names.iter().map(|(id, name)| (*id, name.0.to_string())));
    }

    pub fn topics(&self) -> Vec<(String, i32)> {
        self.image.topics.iter().map(|(name, topic)| (name.0.to_string(), topic.partitions.len() as i32)).collect()
    }

    fn id_of(&self, name: &str) -> Uuid {
        let known = self.image.topics.get(&topic_name(name)).map(|topic| topic.id);
        let id = known.unwrap_or_else(|| id_for(name));
        assert!(known.is_some() || self.gone.contains_key(&id), "there is no topic {name}");
        id
    }

    pub fn name_of(&self, id: &Uuid) -> String {
        match self.image.topic_names.get(id) {
            Some(name) => name.0.to_string(),
            None => self.gone.get(id).cloned().unwrap_or_else(|| id.to_string()),
        }
    }

    /// `{"foo": [0, 1]}`
    pub fn partitions(&self, value: &Value) -> Partitions {
        let topics = value.as_object().into_iter().flatten();
        topics.map(|(name, those)| (self.id_of(name), ints(those))).collect()
    }

    pub fn partitions_json(&self, partitions: &Partitions) -> Value {
        partitions.iter().map(|(id, those)| (self.name_of(id), json!(those))).collect()
    }

    /// `[{"topic_id": "foo", "partitions": [0, 1]}]`, in either spelling.
    pub fn owned(&self, value: &Value) -> Partitions {
        let name =
            |topic: &Value| topic["topicId"].as_str().or(topic["topic_id"].as_str()).unwrap_or_default().to_string();
        list(value).map(|topic| (self.id_of(&name(topic)), ints(&topic["partitions"]))).collect()
    }

    fn topic_list(&self, partitions: &Partitions) -> Value {
        let topic = |(id, those): (&Uuid, &SortedSet<i32>)| json!({"topicId": self.name_of(id), "partitions": those});
        partitions.iter().map(topic).collect()
    }
}

/// Every key and every text of a value.
pub fn all_texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            into.insert(key.clone());
            all_texts(value, into);
        }),
        Value::Array(list) => list.iter().for_each(|value| all_texts(value, into)),
        Value::String(text) => drop(into.insert(text.clone())),
        _ => {}
    }
}

fn ints(value: &Value) -> SortedSet<i32> {
    list(value).map(|p| p.as_i64().expect("a partition") as i32).collect()
}

fn int(value: &Value) -> i32 {
    value.as_i64().map_or(0, |v| v as i32)
}

fn maybe(value: &Value) -> Option<StrBytes> {
    value.as_str().map(str_bytes)
}

fn ms(value: &Value) -> Duration {
    Duration::from_millis(value.as_i64().unwrap_or_default())
}

// --- the group that a case begins with -------------------------------------------------------------

/// The records of an initial group. What is not recorded of it is taken from what is recorded later.
pub fn initial_records(case: &Value, group: &Value, names: &Names, client: &str) -> Vec<GroupRecord> {
    if group["type"] == "share" {
        return initial_share_records(group, names, client);
    }
    let id = GroupId(str_bytes(text(&group["group_id"])));
    let mut records = Vec::new();
    for (member, value) in group["members"].as_object().into_iter().flatten() {
        let target = names.partitions(&value["target"]);
        let metadata = initial_member(case, &id, member, value, client);
        let mut resolved: SortedSet<TopicName> = target.keys().map(|id| topic_name(&names.name_of(id))).collect();
        resolved.retain(|topic| !metadata.topics.contains(topic));
        if let Some(pattern) = metadata.pattern() {
            let value = ResolvedRegex { topics: resolved, version: 0, timestamp: 0 };
            records.push(ConsumerRecord::Own(ConsumerOwn::Regex(pattern.clone(), Some(value))));
        }
        let current = CurrentAssignment {
            epoch: int(&value["member_epoch"]),
            previous_epoch: int(&value["previous_member_epoch"]),
            state: member_state(text(&value["state"])),
            assigned: names.partitions(&value["assigned"]),
            revoking: names.partitions(&value["pending_revocation"]),
        };
        records.push(ConsumerRecord::Member(str_bytes(member), Some(metadata)));
        records.push(ConsumerRecord::Target(str_bytes(member), Some(target)));
        records.push(ConsumerRecord::Current(str_bytes(member), Some(current)));
    }
    records.push(ConsumerRecord::TargetEpoch(Some(int(&group["assignment_epoch"]))));
    let epoch = int(&group["group_epoch"]);
    records.push(ConsumerRecord::Epoch(Some(GroupEpoch { epoch, metadata_hash: 0 })));
    records.into_iter().map(|record| GroupRecord::Consumer { group: id.clone(), record }).collect()
}

fn initial_share_records(group: &Value, names: &Names, client: &str) -> Vec<GroupRecord> {
    let id = GroupId(str_bytes(text(&group["group_id"])));
    let mut records = Vec::new();
    for (member, value) in group["members"].as_object().into_iter().flatten() {
        let metadata = ShareMemberMetadata {
            rack: None,
            client_id: str_bytes(client),
            client_host: str_bytes(if client.is_empty() { "" } else { "localhost/127.0.0.1" }),
            topics: list(&value["subscribed_topics"]).map(|name| topic_name(text(name))).collect(),
        };
        let current = ShareAssignment {
            epoch: int(&value["member_epoch"]),
            previous_epoch: int(&value["previous_member_epoch"]),
            assigned: names.partitions(&value["assigned"]),
        };
        records.push(ShareRecord::Member(str_bytes(member), Some(metadata)));
        records.push(ShareRecord::Target(str_bytes(member), Some(names.partitions(&value["target"]))));
        records.push(ShareRecord::Current(str_bytes(member), Some(current)));
    }
    records.push(ShareRecord::TargetEpoch(Some(int(&group["assignment_epoch"]))));
    records.push(ShareRecord::Epoch(Some(GroupEpoch { epoch: int(&group["group_epoch"]), metadata_hash: 0 })));
    records.into_iter().map(|record| GroupRecord::Share { group: id.clone(), record }).collect()
}

fn member_state(name: &str) -> MemberState {
    use MemberState::*;
    let states = [Stable, UnrevokedPartitions, UnreleasedPartitions, Unknown];
    states.into_iter().find(|state| state.name() == name).unwrap_or_else(|| panic!("unknown state {name}"))
}

fn initial_member(case: &Value, group: &GroupId, id: &str, value: &Value, client: &str) -> MemberMetadata {
    let topics: Vec<StrBytes> = list(&value["subscribed_topics"]).map(|name| str_bytes(text(name))).collect();
    let is_classic = value["uses_classic_protocol"] == true;
    let classic = is_classic.then(|| {
        let owned = value["assigned"].as_object().into_iter().flatten();
        let owned = owned.map(|(name, those)| {
            OwnedTopic::default().with_topic(topic_name(name)).with_partitions(ints(those).into_iter().collect())
        });
        let subscription =
            ConsumerProtocolSubscription::default().with_topics(topics.clone()).with_owned_partitions(owned.collect());
        ClassicMetadata {
            session_timeout: first_timer(case, &format!("session-timeout-{}-{id}", group.0.as_str()))
                // That is what the brokers give to members of the consumer protocol.
                .filter(|session| *session != Duration::from_secs(45))
                .unwrap_or(Duration::from_millis(5_000)),
            protocols: vec![(str_bytes(&classic_protocol(case)), versioned(&subscription, version(case, id)))],
        }
    });
    MemberMetadata {
        instance: maybe(&value["instance_id"]),
        rack: None,
        client_id: str_bytes(client),
        client_host: str_bytes(if client.is_empty() { "" } else { "localhost/127.0.0.1" }),
        topics: topics.into_iter().map(TopicName).collect(),
        regex: maybe(&value["subscribed_regex"]),
        rebalance_timeout: of_static(case, &value["instance_id"])
            .or_else(|| rebalance_timeout(case, group, id))
            .unwrap_or(Duration::from_millis(UNKNOWN_MS)),
        assignor: maybe(&value["server_assignor"]),
        classic,
    }
}

/// The assignor of the group's classic members: the one that a request names and that is not refused.
fn classic_protocol(case: &Value) -> String {
    let is_refused = |step: &&Value| step["error"] == "INCONSISTENT_GROUP_PROTOCOL";
    let default = if list(&case["steps"]).any(|step| is_refused(&step)) { "another" } else { "range" };
    let accepted = list(&case["steps"]).filter(|step| !is_refused(step));
    let named = accepted.flat_map(|step| {
        let first = step["request"]["protocols"][0]["name"].as_str();
        first.into_iter().chain(step["request"]["protocolName"].as_str())
    });
    named.into_iter().next().unwrap_or(default).to_string()
}

fn first_timer(case: &Value, name: &str) -> Option<Duration> {
    let mut states = list(&case["steps"]).flat_map(|step| list(&step["state_after"]));
    states.find_map(|state| state["timers_ms_left"][name].as_i64()).map(Duration::from_millis)
}

/// As the first record has it of whoever takes the place of a static member: a copy of the old one.
fn of_static(case: &Value, instance: &Value) -> Option<Duration> {
    let records = list(&case["steps"]).flat_map(|step| list(&step["records"]));
    let mut copies = records.filter(|record| instance.is_string() && record["value"]["instanceId"] == *instance);
    copies.next().map(|record| Duration::from_millis(record["value"]["rebalanceTimeoutMs"].as_i64().unwrap_or(-1)))
}

/// As a record of the member has it that was written when nobody told another one, or as a timer began.
fn rebalance_timeout(case: &Value, group: &GroupId, id: &str) -> Option<Duration> {
    let told = |step: &Value| step["request"]["rebalanceTimeoutMs"].as_i64().is_some_and(|ms| ms != -1);
    for step in list(&case["steps"]) {
        let fired = list(&step["timers_fired"]).flat_map(|timer| list(&timer["records"]));
        for record in list(&step["records"]).chain(fired) {
            let value = &record["value"];
            let own = record["type"] == "CONSUMER_GROUP_MEMBER_METADATA" && record["key"]["memberId"] == id;
            if own && value.is_object() && !told(step) {
                return Some(ms(&value["rebalanceTimeoutMs"]));
            }
            if let Some(member) = list(&value["members"]).find(|member| member["memberId"] == id) {
                return Some(ms(&member["rebalanceTimeout"]));
            }
        }
    }
    let group = group.0.as_str();
    let unchanged = |step: &&Value| {
        let written =
            |record: &Value| record["type"] == "CONSUMER_GROUP_MEMBER_METADATA" && record["key"]["memberId"] == id;
        step["request"]["memberId"] == id && told(step) && !list(&step["records"]).any(written)
    };
    if let Some(step) = list(&case["steps"]).find(unchanged) {
        return Some(ms(&step["request"]["rebalanceTimeoutMs"]));
    }
    let begins = ["rebalance-timeout", "join"].map(|kind| first_timer(case, &format!("{kind}-{group}-{id}")));
    begins.into_iter().flatten().next()
}

/// A member is answered in the version of its subscription, by which it is known (CONSUMER_PROTOCOL).
fn version(case: &Value, id: &str) -> i16 {
    let steps: Vec<&Value> = list(&case["steps"]).collect();
    let syncs = |index: u64| {
        steps.get(index as usize).is_some_and(|s| s["op"] == "SyncGroup" && s["request"]["memberId"] == id)
    };
    let completions = steps.iter().flat_map(|step| list(&step["completions"]));
    let mut answers = completions.filter(|c| c["completes_request_of_step"].as_u64().is_some_and(syncs));
    answers.find_map(|c| c["response"]["assignment_decoded"]["version"].as_i64()).map_or(3, |version| version as i16)
}

fn versioned(subscription: &ConsumerProtocolSubscription, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    subscription.encode(&mut out, version).expect("a subscription encodes");
    out.freeze()
}

pub fn subscription(decoded: &Value) -> Bytes {
    let owned = list(&decoded["owned_partitions"]).map(|topic| {
        OwnedTopic::default()
            .with_topic(topic_name(text(&topic["topic"])))
            .with_partitions(ints(&topic["partitions"]).into_iter().collect())
    });
    let subscription = ConsumerProtocolSubscription::default()
        .with_topics(list(&decoded["topics"]).map(|name| str_bytes(text(name))).collect())
        .with_owned_partitions(owned.collect())
        .with_generation_id(decoded["generation_id"].as_i64().map_or(-1, |v| v as i32));
    let mut out = BytesMut::new();
    let version = int(&decoded["version"]) as i16;
    out.put_i16(version);
    subscription.encode(&mut out, version).expect("a subscription encodes");
    out.freeze()
}

// --- records ---------------------------------------------------------------------------------------

pub fn read_record(record: &Value, names: &Names) -> Result<GroupRecord, String> {
    let (key, value) = (&record["key"], &record["value"]);
    let there = value.is_object();
    let member = str_bytes(text(&key["memberId"]));
    let record = match text(&record["type"]) {
        "GROUP_METADATA" => {
            let group = GroupId(str_bytes(text(&key["group"])));
            return Ok(GroupRecord::Group { group, value: there.then(|| read_group(value)) });
        }
        "CONSUMER_GROUP_METADATA" => {
            let epoch = GroupEpoch { epoch: int(&value["epoch"]), metadata_hash: 0 };
            ConsumerRecord::Epoch(there.then_some(epoch))
        }
        "CONSUMER_GROUP_MEMBER_METADATA" => ConsumerRecord::Member(member, there.then(|| read_member(value))),
        "CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA" => {
            ConsumerRecord::TargetEpoch(there.then(|| int(&value["assignmentEpoch"])))
        }
        "CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER" => {
            ConsumerRecord::Target(member, there.then(|| names.owned(&value["topicPartitions"])))
        }
        "CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT" => {
            let states = [MemberState::Stable, MemberState::UnrevokedPartitions, MemberState::UnreleasedPartitions];
            let current = || CurrentAssignment {
                epoch: int(&value["memberEpoch"]),
                previous_epoch: int(&value["previousMemberEpoch"]),
                state: states.get(int(&value["state"]) as usize).copied().unwrap_or(MemberState::Unknown),
                assigned: names.owned(&value["assignedPartitions"]),
                revoking: names.owned(&value["partitionsPendingRevocation"]),
            };
            ConsumerRecord::Current(member, there.then(current))
        }
        "CONSUMER_GROUP_PARTITION_METADATA" => {
            ConsumerRecord::Own(ConsumerOwn::PartitionMetadata(there.then(|| Bytes::from_static(b"old"))))
        }
        "CONSUMER_GROUP_REGULAR_EXPRESSION" => {
            let topics = list(&value["topics"]).map(|name| topic_name(text(name))).collect();
            let resolved = ResolvedRegex { topics, version: 0, timestamp: 0 };
            ConsumerRecord::Own(ConsumerOwn::Regex(
                str_bytes(text(&key["regularExpression"])),
                there.then_some(resolved),
            ))
        }
        other => return read_share_record(other, record, names),
    };
    Ok(GroupRecord::Consumer { group: GroupId(str_bytes(text(&key["groupId"]))), record })
}

fn read_share_record(kind: &str, record: &Value, names: &Names) -> Result<GroupRecord, String> {
    let (key, value) = (&record["key"], &record["value"]);
    let there = value.is_object();
    let member = str_bytes(text(&key["memberId"]));
    let record = match kind {
        "SHARE_GROUP_METADATA" => {
            let epoch = GroupEpoch { epoch: int(&value["epoch"]), metadata_hash: 0 };
            ShareRecord::Epoch(there.then_some(epoch))
        }
        "SHARE_GROUP_MEMBER_METADATA" => {
            let metadata = || ShareMemberMetadata {
                rack: maybe(&value["rackId"]),
                client_id: str_bytes(text(&value["clientId"])),
                client_host: str_bytes(text(&value["clientHost"])),
                topics: list(&value["subscribedTopicNames"]).map(|name| topic_name(text(name))).collect(),
            };
            ShareRecord::Member(member, there.then(metadata))
        }
        "SHARE_GROUP_TARGET_ASSIGNMENT_METADATA" => {
            ShareRecord::TargetEpoch(there.then(|| int(&value["assignmentEpoch"])))
        }
        "SHARE_GROUP_TARGET_ASSIGNMENT_MEMBER" => {
            ShareRecord::Target(member, there.then(|| names.owned(&value["topicPartitions"])))
        }
        "SHARE_GROUP_CURRENT_MEMBER_ASSIGNMENT" => {
            let current = || ShareAssignment {
                epoch: int(&value["memberEpoch"]),
                previous_epoch: int(&value["previousMemberEpoch"]),
                assigned: names.owned(&value["assignedPartitions"]),
            };
            ShareRecord::Current(member, there.then(current))
        }
        "SHARE_GROUP_STATE_PARTITION_METADATA" => {
            let deleting = list(&value["deletingTopics"])
                .map(|topic| (names.id_of(text(&topic["topicId"])), topic_name(text(&topic["topicName"]))));
            let partitions = || StatePartitions {
                initializing: state_topics(&value["initializingTopics"], names),
                initialized: state_topics(&value["initializedTopics"], names),
                deleting: deleting.collect(),
                since: Instant::ZERO,
            };
            ShareRecord::Own(ShareOwn::StatePartitions(there.then(partitions)))
        }
        other => return Err(format!("unknown record {other}")),
    };
    Ok(GroupRecord::Share { group: GroupId(str_bytes(text(&key["groupId"]))), record })
}

fn state_topics(value: &Value, names: &Names) -> Topics {
    let topic = |topic: &Value| {
        let named = StateTopic { name: topic_name(text(&topic["topicName"])), partitions: ints(&topic["partitions"]) };
        (names.id_of(text(&topic["topicId"])), named)
    };
    list(value).map(topic).collect()
}

fn state_topics_json(topics: &Topics, names: &Names) -> Value {
    let topic = |(id, topic): (&Uuid, &StateTopic)| {
        json!({
            "topicId": names.name_of(id),
            "topicName": topic.name.0.as_str(),
            "partitions": topic.partitions,
        })
    };
    topics.iter().map(topic).collect()
}

fn read_member(value: &Value) -> MemberMetadata {
    let classic = value["classicMemberMetadata"].as_object().map(|classic| ClassicMetadata {
        session_timeout: ms(&classic["sessionTimeoutMs"]),
        protocols: list(&classic["supportedProtocols"])
            .map(|p| (str_bytes(text(&p["name"])), subscription(&p["metadata_decoded"])))
            .collect(),
    });
    MemberMetadata {
        instance: maybe(&value["instanceId"]),
        rack: maybe(&value["rackId"]),
        client_id: str_bytes(text(&value["clientId"])),
        client_host: str_bytes(text(&value["clientHost"])),
        topics: list(&value["subscribedTopicNames"]).map(|name| topic_name(text(name))).collect(),
        regex: maybe(&value["subscribedTopicRegex"]),
        rebalance_timeout: Duration::from_millis(value["rebalanceTimeoutMs"].as_i64().unwrap_or(-1)),
        assignor: maybe(&value["serverAssignor"]),
        classic,
    }
}

fn read_group(value: &Value) -> GroupValue {
    let member = |m: &Value| MemberValue {
        member_id: str_bytes(text(&m["memberId"])),
        group_instance_id: maybe(&m["groupInstanceId"]),
        client_id: str_bytes(text(&m["clientId"])),
        client_host: str_bytes(text(&m["clientHost"])),
        rebalance_timeout: int(&m["rebalanceTimeout"]),
        session_timeout: int(&m["sessionTimeout"]),
        subscription: from_base64(text(&m["subscription"])),
        assignment: match &m["assignment_decoded"] {
            Value::Object(decoded) => {
                let topics = list(&decoded["assigned"]);
                let mut partitions: Vec<TopicPartition> = topics
                    .flat_map(|t| {
                        ints(&t["partitions"]).into_iter().map(|p| TopicPartition::named(text(&t["topic"]), p))
                    })
                    .collect();
                partitions.sort_unstable();
                protocol::encode_assignment(&partitions, int(&decoded["version"]) as i16)
            }
            _ => from_base64(text(&m["assignment_base64"])),
        },
    };
    GroupValue {
        protocol_type: str_bytes(text(&value["protocolType"])),
        generation: int(&value["generation"]),
        protocol: maybe(&value["protocol"]),
        leader: maybe(&value["leader"]),
        current_state_timestamp: value["currentStateTimestamp"].as_i64().unwrap_or(-1),
        members: list(&value["members"]).map(member).collect(),
    }
}

pub fn record_json(record: &GroupRecord, names: &Names) -> Result<Value, String> {
    let (kind, mut key, value) = match record {
        GroupRecord::Offset { .. } => return Err("an offset record".to_string()),
        GroupRecord::Group { group, value } => (
            "GROUP_METADATA",
            json!({"group": group.0.as_str()}),
            value.as_ref().map(|value| group_value(value, "assignment_decoded", assignment)),
        ),
        GroupRecord::Consumer { group, record } => {
            let (kind, named, value) = consumer_record(record, names);
            let mut key = json!({"groupId": group.0.as_str()});
            if let Some((field, name)) = named {
                key[field] = json!(name.as_str());
            }
            (kind, key, value)
        }
        GroupRecord::Share { group, record } => {
            let (kind, member, value) = share_record(record, names);
            let mut key = json!({"groupId": group.0.as_str()});
            if let Some(member) = member {
                key["memberId"] = json!(member.as_str());
            }
            (kind, key, value)
        }
    };
    Ok(match value {
        Some(value) => json!({"type": kind, "key": key.take(), "value": value}),
        None => json!({"type": kind, "key": key.take(), "tombstone": true}),
    })
}

type Named<'a> = Option<(&'static str, &'a StrBytes)>;

fn consumer_record<'a>(record: &'a ConsumerRecord, names: &Names) -> (&'static str, Named<'a>, Option<Value>) {
    match record {
        ConsumerRecord::Epoch(value) => {
            ("CONSUMER_GROUP_METADATA", None, value.map(|value| json!({"epoch": value.epoch})))
        }
        ConsumerRecord::Own(ConsumerOwn::PartitionMetadata(value)) => {
            ("CONSUMER_GROUP_PARTITION_METADATA", None, value.as_ref().map(|_| json!({})))
        }
        ConsumerRecord::Member(id, value) => {
            ("CONSUMER_GROUP_MEMBER_METADATA", Some(("memberId", id)), value.as_ref().map(member_value))
        }
        ConsumerRecord::TargetEpoch(value) => {
            let value = value.map(|epoch| json!({"assignmentEpoch": epoch}));
            ("CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA", None, value)
        }
        ConsumerRecord::Target(id, value) => {
            let value = value.as_ref().map(|target| json!({"topicPartitions": names.topic_list(target)}));
            ("CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER", Some(("memberId", id)), value)
        }
        ConsumerRecord::Current(id, value) => {
            let value = value.as_ref().map(|current| {
                json!({
                    "memberEpoch": current.epoch,
                    "previousMemberEpoch": current.previous_epoch,
                    "state": match current.state {
                        MemberState::Stable => 0,
                        MemberState::UnrevokedPartitions => 1,
                        MemberState::UnreleasedPartitions => 2,
                        MemberState::Unknown => 127,
                    },
                    "assignedPartitions": names.topic_list(&current.assigned),
                    "partitionsPendingRevocation": names.topic_list(&current.revoking),
                })
            });
            ("CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT", Some(("memberId", id)), value)
        }
        ConsumerRecord::Own(ConsumerOwn::Regex(regex, value)) => {
            let value = value.as_ref().map(|_| json!({}));
            ("CONSUMER_GROUP_REGULAR_EXPRESSION", Some(("regularExpression", regex)), value)
        }
    }
}

fn share_record<'a>(record: &'a ShareRecord, names: &Names) -> (&'static str, Option<&'a StrBytes>, Option<Value>) {
    match record {
        ShareRecord::Epoch(value) => ("SHARE_GROUP_METADATA", None, value.map(|value| json!({"epoch": value.epoch}))),
        ShareRecord::Member(id, value) => {
            let value = value.as_ref().map(|value| {
                json!({
                    "rackId": value.rack.as_ref().map(|t| t.as_str()),
                    "clientId": value.client_id.as_str(),
                    "clientHost": value.client_host.as_str(),
                    "subscribedTopicNames": value.topics.iter().map(|t| t.0.as_str()).collect::<Vec<_>>(),
                })
            });
            ("SHARE_GROUP_MEMBER_METADATA", Some(id), value)
        }
        ShareRecord::TargetEpoch(value) => {
            let value = value.map(|epoch| json!({"assignmentEpoch": epoch}));
            ("SHARE_GROUP_TARGET_ASSIGNMENT_METADATA", None, value)
        }
        ShareRecord::Target(id, value) => {
            let value = value.as_ref().map(|target| json!({"topicPartitions": names.topic_list(target)}));
            ("SHARE_GROUP_TARGET_ASSIGNMENT_MEMBER", Some(id), value)
        }
        ShareRecord::Current(id, value) => {
            let value = value.as_ref().map(|current| {
                json!({
                    "memberEpoch": current.epoch,
                    "previousMemberEpoch": current.previous_epoch,
                    "state": 0,
                    "assignedPartitions": names.topic_list(&current.assigned),
                })
            });
            ("SHARE_GROUP_CURRENT_MEMBER_ASSIGNMENT", Some(id), value)
        }
        ShareRecord::Own(ShareOwn::StatePartitions(value)) => {
            let value = value.as_ref().map(|value| {
                let deleting = value.deleting.iter();
                let deleting =
                    deleting.map(|(id, name)| json!({"topicId": names.name_of(id), "topicName": name.0.as_str()}));
                json!({
                    "initializingTopics": state_topics_json(&value.initializing, names),
                    "initializedTopics": state_topics_json(&value.initialized, names),
                    "deletingTopics": deleting.collect::<Vec<_>>(),
                })
            });
            ("SHARE_GROUP_STATE_PARTITION_METADATA", None, value)
        }
    }
}

fn member_value(value: &MemberMetadata) -> Value {
    let classic = value.classic.as_ref().map(|classic| {
        let protocol =
            |(name, bytes): &(StrBytes, Bytes)| json!({"name": name.as_str(), "metadata_decoded": decoded(bytes)});
        json!({
            "sessionTimeoutMs": classic.session_timeout.millis(),
            "supportedProtocols": classic.protocols.iter().map(protocol).collect::<Vec<_>>(),
        })
    });
    json!({
        "instanceId": value.instance.as_ref().map(|t| t.as_str()),
        "rackId": value.rack.as_ref().map(|t| t.as_str()),
        "clientId": value.client_id.as_str(),
        "clientHost": value.client_host.as_str(),
        "subscribedTopicNames": value.topics.iter().map(|t| t.0.as_str()).collect::<Vec<_>>(),
        "subscribedTopicRegex": value.regex.as_ref().map(|t| t.as_str()),
        "rebalanceTimeoutMs": value.rebalance_timeout.millis(),
        "serverAssignor": value.assignor.as_ref().map(|t| t.as_str()),
        "classicMemberMetadata": classic,
    })
}

fn decoded(bytes: &Bytes) -> Value {
    let subscription = protocol::subscription(bytes).expect("a subscription");
    let mut topics: Vec<&str> = subscription.topics.iter().map(|t| t.as_str()).collect();
    topics.sort_unstable();
    let owned: Vec<Value> = subscription
        .owned_partitions
        .iter()
        .map(|topic| json!({"topic": topic.topic.0.as_str(), "partitions": topic.partitions}))
        .collect();
    let mut value = json!({
        "version": protocol::version(bytes),
        "topics": topics,
        "generation_id": subscription.generation_id,
    });
    if !owned.is_empty() {
        value["owned_partitions"] = Value::Array(owned);
    }
    value
}

/// The value of a GroupMetadata record; the files tell assignments under different names, decoded or not.
pub fn group_value(value: &GroupValue, name: &str, assignment: impl Fn(&Bytes) -> Value) -> Value {
    let member = |m: &MemberValue| {
        json!({
            "memberId": m.member_id.as_str(),
            "groupInstanceId": m.group_instance_id.as_ref().map(|i| i.as_str()),
            "clientId": m.client_id.as_str(),
            "clientHost": m.client_host.as_str(),
            "rebalanceTimeout": m.rebalance_timeout,
            "sessionTimeout": m.session_timeout,
            "subscription": to_base64(&m.subscription),
            (name): assignment(&m.assignment),
        })
    };
    json!({
        "protocolType": value.protocol_type.as_str(),
        "generation": value.generation,
        "protocol": value.protocol.as_ref().map(|p| p.as_str()),
        "leader": value.leader.as_ref().map(|p| p.as_str()),
        "currentStateTimestamp": value.current_state_timestamp,
        "members": value.members.iter().map(member).collect::<Vec<_>>(),
    })
}

fn assignment(bytes: &Bytes) -> Value {
    let Some(assignment) = protocol::assignment(bytes) else { return Value::Null };
    let topics = assignment.assigned_partitions.iter();
    let topics = topics.map(|t| json!({"topic": t.topic.0.as_str(), "partitions": t.partitions}));
    json!({"version": protocol::version(bytes), "assigned": topics.collect::<Vec<_>>()})
}

// --- requests and answers --------------------------------------------------------------------------

pub fn request(step: &Value, names: &Names, our_id: &dyn Fn(&str) -> StrBytes) -> Result<Request, String> {
    let body = &step["request"];
    let group = GroupId(str_bytes(text(&body["groupId"])));
    let member = our_id(text(&body["memberId"]));
    let instance = maybe(&body["groupInstanceId"]);
    Ok(match text(&step["op"]) {
        "ConsumerGroupHeartbeat" => {
            let owned = body["topicPartitions"].as_array().map(|_| names.owned(&body["topicPartitions"]));
            let topic = |(id, those): (Uuid, SortedSet<i32>)| {
                TopicPartitions::default().with_topic_id(id).with_partitions(those.into_iter().collect())
            };
            let topics = body["subscribedTopicNames"].as_array();
            ConsumerGroupHeartbeatRequest::default()
                .with_group_id(group)
                .with_member_id(member)
                .with_member_epoch(int(&body["memberEpoch"]))
                .with_instance_id(maybe(&body["instanceId"]))
                .with_rack_id(maybe(&body["rackId"]))
                .with_rebalance_timeout_ms(int(&body["rebalanceTimeoutMs"]))
                .with_subscribed_topic_names(topics.map(|names| names.iter().map(|n| topic_name(text(n))).collect()))
                .with_subscribed_topic_regex(maybe(&body["subscribedTopicRegex"]))
                .with_server_assignor(maybe(&body["serverAssignor"]))
                .with_topic_partitions(owned.map(|owned| owned.into_iter().map(topic).collect()))
                .into()
        }
        "ShareGroupHeartbeat" => {
            let topics = body["subscribedTopicNames"].as_array();
            ShareGroupHeartbeatRequest::default()
                .with_group_id(group)
                .with_member_id(member)
                .with_member_epoch(int(&body["memberEpoch"]))
                .with_rack_id(maybe(&body["rackId"]))
                .with_subscribed_topic_names(topics.map(|names| names.iter().map(|n| topic_name(text(n))).collect()))
                .into()
        }
        "JoinGroup" => {
            let protocols = list(&body["protocols"]).map(|p| {
                JoinGroupRequestProtocol::default()
                    .with_name(str_bytes(text(&p["name"])))
                    .with_metadata(subscription(&p["metadata_decoded"]))
            });
            JoinGroupRequest::default()
                .with_group_id(group)
                .with_member_id(member)
                .with_group_instance_id(instance)
                .with_session_timeout_ms(int(&body["sessionTimeoutMs"]))
                .with_rebalance_timeout_ms(int(&body["rebalanceTimeoutMs"]))
                .with_protocol_type(str_bytes(text(&body["protocolType"])))
                .with_protocols(protocols.collect())
                .into()
        }
        "SyncGroup" => SyncGroupRequest::default()
            .with_group_id(group)
            .with_member_id(member)
            .with_group_instance_id(instance)
            .with_generation_id(int(&body["generationId"]))
            .with_protocol_type(maybe(&body["protocolType"]))
            .with_protocol_name(maybe(&body["protocolName"]))
            .into(),
        "Heartbeat" => HeartbeatRequest::default()
            .with_group_id(group)
            .with_member_id(member)
            .with_group_instance_id(instance)
            .with_generation_id(int(&body["generationId"]))
            .into(),
        "LeaveGroup" => {
            let members = list(&body["members"]).map(|m| {
                MemberIdentity::default()
                    .with_member_id(our_id(text(&m["memberId"])))
                    .with_group_instance_id(maybe(&m["groupInstanceId"]))
            });
            LeaveGroupRequest::default().with_group_id(group).with_members(members.collect()).into()
        }
        other => return Err(format!("unknown request {other}")),
    })
}

fn error_text(code: i16) -> String {
    error(code).map_or("NONE".to_string(), error_name)
}

pub fn response_json(response: &Response, names: &Names) -> Value {
    match response {
        Response::ConsumerGroupHeartbeat(heartbeat) => {
            let assignment = heartbeat.assignment.as_ref().map(|assignment| {
                let topics = assignment.topic_partitions.iter();
                let partitions: Partitions =
                    topics.map(|t| (t.topic_id, t.partitions.iter().copied().collect())).collect();
                json!({"topicPartitions": names.topic_list(&partitions)})
            });
            json!({
                "error": error_text(heartbeat.error_code),
                "memberId": heartbeat.member_id.as_ref().map(|id| id.as_str()),
                "memberEpoch": heartbeat.member_epoch,
                "heartbeatIntervalMs": heartbeat.heartbeat_interval_ms,
                "assignment": assignment,
            })
        }
        Response::ShareGroupHeartbeat(heartbeat) => {
            let assignment = heartbeat.assignment.as_ref().map(|assignment| {
                let topics = assignment.topic_partitions.iter();
                let partitions: Partitions =
                    topics.map(|t| (t.topic_id, t.partitions.iter().copied().collect())).collect();
                json!({"topicPartitions": names.topic_list(&partitions)})
            });
            json!({
                "error": error_text(heartbeat.error_code),
                "memberId": heartbeat.member_id.as_ref().map(|id| id.as_str()),
                "memberEpoch": heartbeat.member_epoch,
                "heartbeatIntervalMs": heartbeat.heartbeat_interval_ms,
                "assignment": assignment,
            })
        }
        Response::JoinGroup(join) => {
            let members = join.members.iter().map(|m| {
                json!({
                    "memberId": m.member_id.as_str(),
                    "groupInstanceId": m.group_instance_id.as_ref().map(|i| i.as_str()),
                    "metadata_decoded": decoded(&m.metadata),
                })
            });
            json!({
                "error": error_text(join.error_code),
                "generationId": join.generation_id,
                "protocolType": join.protocol_type.as_ref().map(|p| p.as_str()),
                "protocolName": join.protocol_name.as_ref().map(|p| p.as_str()),
                "leader": join.leader.as_str(),
                "skipAssignment": join.skip_assignment,
                "memberId": join.member_id.as_str(),
                "members": members.collect::<Vec<_>>(),
            })
        }
        Response::SyncGroup(sync) => json!({
            "error": error_text(sync.error_code),
            "protocolType": sync.protocol_type.as_ref().map(|p| p.as_str()),
            "protocolName": sync.protocol_name.as_ref().map(|p| p.as_str()),
            "assignment_decoded": assignment(&sync.assignment),
        }),
        Response::Heartbeat(heartbeat) => json!({"error": error_text(heartbeat.error_code)}),
        Response::LeaveGroup(leave) => {
            let members = leave.members.iter().map(|m| {
                json!({
                    "memberId": m.member_id.as_str(),
                    "groupInstanceId": m.group_instance_id.as_ref().map(|i| i.as_str()),
                    "error": error_text(m.error_code),
                })
            });
            json!({"error": error_text(leave.error_code), "members": members.collect::<Vec<_>>()})
        }
        other => panic!("no test asks for {other:?}"),
    }
}

// --- groups ----------------------------------------------------------------------------------------

pub fn consumer_json(group: &ConsumerGroup, names: &Names) -> Value {
    let mut members = Map::new();
    for member in group.members.values() {
        let mut value = json!({
            "state": member.current.state.name(),
            "member_epoch": member.current.epoch,
            "previous_member_epoch": member.current.previous_epoch,
            "instance_id": member.metadata.instance.as_ref().map(|t| t.as_str()),
            "subscribed_topics": member.metadata.topics.iter().map(|t| t.0.as_str()).collect::<Vec<_>>(),
            "subscribed_regex": member.metadata.regex.as_ref().map(|t| t.as_str()),
            "server_assignor": member.metadata.assignor.as_ref().map(|t| t.as_str()),
            "assigned": names.partitions_json(&member.current.assigned),
            "pending_revocation": names.partitions_json(&member.current.revoking),
            "target": names.partitions_json(&group.target_of(&member.id)),
        });
        if member.is_classic() {
            value["uses_classic_protocol"] = json!(true);
        }
        members.insert(member.id.to_string(), value);
    }
    json!({
        "group_id": group.id.0.as_str(),
        "type": "consumer",
        "state": group.state().name(),
        "group_epoch": group.epoch,
        "assignment_epoch": group.target_epoch,
        "members": members,
    })
}

pub fn share_json(group: &ShareGroup, names: &Names) -> Value {
    let mut members = Map::new();
    for member in group.members.values() {
        let value = json!({
            "state": "STABLE",
            "member_epoch": member.current.epoch,
            "previous_member_epoch": member.current.previous_epoch,
            "subscribed_topics": member.metadata.topics.iter().map(|t| t.0.as_str()).collect::<Vec<_>>(),
            "assigned": names.partitions_json(&member.current.assigned),
            "target": names.partitions_json(&group.target_of(&member.id)),
        });
        members.insert(member.id.to_string(), value);
    }
    json!({
        "group_id": group.id.0.as_str(),
        "type": "share",
        "state": group.state().name(),
        "group_epoch": group.epoch,
        "assignment_epoch": group.target_epoch,
        "members": members,
    })
}

/// `PREPARING_REBALANCE`
fn kafka_name(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

pub fn group_json(group: &ClassicGroup) -> Value {
    let mut members = Map::new();
    for member in &group.members {
        let value = json!({
            "instance_id": member.instance.as_ref().map(|i| i.as_str()),
            "awaiting_join": member.awaiting_join.is_some(),
            "awaiting_sync": member.awaiting_sync.is_some(),
            "is_new": member.is_new,
            "session_timeout_ms": member.session_timeout.millis(),
            "rebalance_timeout_ms": member.rebalance_timeout.millis(),
            "assignment_len": member.assignment.len(),
            "protocols": member.protocols.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        });
        members.insert(member.id.to_string(), value);
    }
    json!({
        "group_id": group.id.0.as_str(),
        "type": "classic",
        "state": kafka_name(group.state.name()),
        "previous_state": kafka_name(group.previous_state.name()),
        "generation": group.generation,
        "protocol_type": group.protocol_type.as_ref().map(|t| t.as_str()),
        "protocol": group.protocol.as_ref().map(|t| t.as_str()),
        "leader": group.leader.as_ref().map(|t| t.as_str()),
        "members": members,
        "num_pending_join_members": group.pending_join.len(),
        "pending_sync_members": group.pending_sync.iter().map(|id| id.as_str()).collect::<BTreeSet<_>>(),
        "num_awaiting_join_response": group.awaiting_join(),
    })
}

pub fn timer_name(kind: &TimerKind) -> Option<String> {
    Some(match kind {
        TimerKind::Join(id) => format!("join-{}", id.0.as_str()),
        TimerKind::Sync(id) => format!("sync-{}", id.0.as_str()),
        TimerKind::Session(id, member) => format!("heartbeat-{}-{}", id.0.as_str(), member.as_str()),
        TimerKind::MemberSession(id, member) => format!("session-timeout-{}-{}", id.0.as_str(), member.as_str()),
        TimerKind::MemberRebalance(id, member) => format!("rebalance-timeout-{}-{}", id.0.as_str(), member.as_str()),
        TimerKind::MemberJoin(id, member) => format!("join-{}-{}", id.0.as_str(), member.as_str()),
        TimerKind::MemberSync(id, member) => format!("sync-{}-{}", id.0.as_str(), member.as_str()),
        TimerKind::Write(_) | TimerKind::OffsetsExpiry => return None,
    })
}

// --- comparing -------------------------------------------------------------------------------------

/// Nulls and empty texts are left out; lists of topics, members and names are sorted.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(k, v)| (k.clone(), normal(v)));
            Value::Object(fields.filter(|(_, v)| !v.is_null() && v.as_str() != Some("")).collect())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(normal).collect();
            let is_record = |value: &Value| !value["type"].is_null();
            if !list.iter().any(is_record) {
                let key = |v: &Value| {
                    let fields = [&v["memberId"], &v["topicId"], &v["topic"], v];
                    fields.into_iter().find_map(Value::as_str).unwrap_or_default().to_string()
                };
                // Partitions stand in the order of a hash set.
                list.sort_by_key(|v| (v.as_i64(), key(v)));
            }
            Value::Array(list)
        }
        other => other.clone(),
    }
}

/// What nobody recorded of the initial group equals whatever is recorded of it now.
pub fn forgive(got: &mut Value, expected: &Value) {
    match got {
        Value::Object(map) => {
            let unknown = |value: &Value| value == UNKNOWN_MS;
            let fields: Vec<String> = map.iter().filter(|(_, v)| unknown(v)).map(|(k, _)| k.clone()).collect();
            for field in fields {
                match expected.get(&field) {
                    Some(value) => drop(map.insert(field, value.clone())),
                    None => drop(map.remove(&field)),
                }
            }
            map.iter_mut().for_each(|(field, value)| forgive(value, &expected[field.as_str()]));
        }
        Value::Array(list) => {
            list.iter_mut().enumerate().for_each(|(index, value)| forgive(value, &expected[index]));
        }
        _ => {}
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn to_base64(bytes: &Bytes) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = BASE64[(word >> (18 - 6 * place) & 63) as usize] as char;
            out.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

pub fn from_base64(text: &str) -> Bytes {
    let (mut word, mut bits, mut out) = (0_u32, 0, BytesMut::new());
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = BASE64.iter().position(|b| *b == c).expect("a base64 digit") as u32;
        (word, bits) = (word << 6 | digit, bits + 6);
        if bits >= 8 {
            bits -= 8;
            out.put_u8((word >> bits) as u8);
        }
    }
    out.freeze()
}
