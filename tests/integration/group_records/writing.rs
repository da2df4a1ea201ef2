//! Records of the coordinator, written as the golden files do.

use bytes::Bytes;
use highwater::kafka::group::consumer::member::{MemberMetadata, MemberState};
use highwater::kafka::group::consumer::records::{ConsumerOwn, ConsumerRecord};
use highwater::kafka::group::protocol;
use highwater::kafka::group::records::{GroupRecord, GroupValue, MemberValue};
use highwater::kafka::group::share::records::{ShareOwn, ShareRecord};
use highwater::kafka::group::share::state::{TopicPartitions as StateTopic, Topics};
use highwater::wire::{StrBytes, Uuid};
use serde_json::{Value, json};

use crate::group_records::names::{Names, to_base64};

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

pub(super) fn decoded(bytes: &Bytes) -> Value {
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

pub(super) fn assignment(bytes: &Bytes) -> Value {
    let Some(assignment) = protocol::assignment(bytes) else { return Value::Null };
    let topics = assignment.assigned_partitions.iter();
    let topics = topics.map(|t| json!({"topic": t.topic.0.as_str(), "partitions": t.partitions}));
    json!({"version": protocol::version(bytes), "assigned": topics.collect::<Vec<_>>()})
}

// --- requests and answers --------------------------------------------------------------------------
