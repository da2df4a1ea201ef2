//! Records of the coordinator, read from the golden files.

use bytes::Bytes;
use highwater::kafka::group::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata, MemberState};
use highwater::kafka::group::consumer::records::{ConsumerOwn, ConsumerRecord, ResolvedRegex};
use highwater::kafka::group::modern::records::GroupEpoch;
use highwater::kafka::group::protocol;
use highwater::kafka::group::records::{GroupRecord, GroupValue, MemberValue};
use highwater::kafka::group::share::group::{ShareAssignment, ShareMemberMetadata};
use highwater::kafka::group::share::records::{ShareOwn, ShareRecord};
use highwater::kafka::group::share::state::{StatePartitions, TopicPartitions as StateTopic, Topics};
use highwater::time::{Duration, Instant};
use highwater::wire::{GroupId, TopicPartition, str_bytes, topic_name};
use serde_json::Value;

use super::{int, list, text};
use crate::group_records::initial::subscription;
use crate::group_records::names::{Names, from_base64, ints, maybe, ms};

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
