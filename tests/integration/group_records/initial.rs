//! The group that a case begins with, as records that lead to it.

use bytes::{BufMut, Bytes, BytesMut};
use highwater::kafka::group::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata, MemberState};
use highwater::kafka::group::consumer::records::{ConsumerOwn, ConsumerRecord, ResolvedRegex};
use highwater::kafka::group::modern::records::GroupEpoch;
use highwater::kafka::group::records::GroupRecord;
use highwater::kafka::group::share::group::{ShareAssignment, ShareMemberMetadata};
use highwater::kafka::group::share::records::ShareRecord;
use highwater::sorted::SortedSet;
use highwater::time::Duration;
use highwater::wire::messages::ConsumerProtocolSubscription;
use highwater::wire::messages::consumer_protocol_subscription::TopicPartition as OwnedTopic;
use highwater::wire::{GroupId, StrBytes, TopicName, str_bytes, topic_name};
use kafka_protocol::protocol::Encodable;
use serde_json::Value;

use super::{int, list, text};
use crate::group_records::names::{Names, UNKNOWN_MS, ints, maybe, ms};

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
