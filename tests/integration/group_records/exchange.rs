//! Requests and answers as the golden files write them.

use highwater::kafka::fact::error_name;
use highwater::kafka::group::assignor::Partitions;
use highwater::sorted::SortedSet;
use highwater::wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use highwater::wire::messages::join_group_request::JoinGroupRequestProtocol;
use highwater::wire::messages::leave_group_request::MemberIdentity;
use highwater::wire::messages::sync_group_request::SyncGroupRequestAssignment;
use highwater::wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ShareGroupHeartbeatRequest,
    SyncGroupRequest,
};
use highwater::wire::{ErrorCode, GroupId, Request, Response, StrBytes, Uuid, error, str_bytes, topic_name};
use serde_json::{Value, json};

use super::{int, list, text};
use crate::group_records::initial::subscription;
use crate::group_records::names::{Names, from_base64, maybe};
use crate::group_records::writing::{assignment, decoded};

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
        "SyncGroup" => {
            let assignments = list(&body["assignments"]).map(|a| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(our_id(text(&a["memberId"])))
                    .with_assignment(from_base64(text(&a["assignment_base64"])))
            });
            SyncGroupRequest::default()
                .with_group_id(group)
                .with_member_id(member)
                .with_group_instance_id(instance)
                .with_generation_id(int(&body["generationId"]))
                .with_protocol_type(maybe(&body["protocolType"]))
                .with_protocol_name(maybe(&body["protocolName"]))
                .with_assignments(assignments.collect())
                .into()
        }
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

/// Kafka's name of an error, as the files write it.
pub fn error_text(error: Option<ErrorCode>) -> String {
    error.map_or("NONE".to_string(), error_name)
}

/// The answers to both kinds of heartbeats have the same fields and different types.
macro_rules! heartbeat_json {
    ($heartbeat:expr, $names:expr) => {{
        let assignment = $heartbeat.assignment.as_ref().map(|assignment| {
            let topics = assignment.topic_partitions.iter();
            let partitions: Partitions =
                topics.map(|t| (t.topic_id, t.partitions.iter().copied().collect())).collect();
            json!({"topicPartitions": $names.topic_list(&partitions)})
        });
        json!({
            "error": error_text(error($heartbeat.error_code)),
            "memberId": $heartbeat.member_id.as_ref().map(|id| id.as_str()),
            "memberEpoch": $heartbeat.member_epoch,
            "heartbeatIntervalMs": $heartbeat.heartbeat_interval_ms,
            "assignment": assignment,
        })
    }};
}

pub fn response_json(response: &Response, names: &Names) -> Value {
    match response {
        Response::ConsumerGroupHeartbeat(heartbeat) => heartbeat_json!(heartbeat, names),
        Response::ShareGroupHeartbeat(heartbeat) => heartbeat_json!(heartbeat, names),
        Response::JoinGroup(join) => {
            let members = join.members.iter().map(|m| {
                json!({
                    "memberId": m.member_id.as_str(),
                    "groupInstanceId": m.group_instance_id.as_ref().map(|i| i.as_str()),
                    "metadata_decoded": decoded(&m.metadata),
                })
            });
            json!({
                "error": error_text(error(join.error_code)),
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
            "error": error_text(error(sync.error_code)),
            "protocolType": sync.protocol_type.as_ref().map(|p| p.as_str()),
            "protocolName": sync.protocol_name.as_ref().map(|p| p.as_str()),
            "assignment_decoded": assignment(&sync.assignment),
        }),
        Response::Heartbeat(heartbeat) => json!({"error": error_text(error(heartbeat.error_code))}),
        Response::LeaveGroup(leave) => {
            let members = leave.members.iter().map(|m| {
                json!({
                    "memberId": m.member_id.as_str(),
                    "groupInstanceId": m.group_instance_id.as_ref().map(|i| i.as_str()),
                    "error": error_text(error(m.error_code)),
                })
            });
            json!({"error": error_text(error(leave.error_code)), "members": members.collect::<Vec<_>>()})
        }
        other => panic!("no test asks for {other:?}"),
    }
}

// --- groups ----------------------------------------------------------------------------------------
