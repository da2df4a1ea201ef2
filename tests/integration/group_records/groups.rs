//! Groups and their timers as the golden files write them.

use std::collections::BTreeSet;

use highwater::kafka::group::classic::ClassicGroup;
use highwater::kafka::group::consumer::ConsumerGroup;
use highwater::kafka::group::share::ShareGroup;
use highwater::kafka::group::timers::TimerKind;
use serde_json::{Map, Value, json};

use crate::group_records::names::Names;

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
pub fn kafka_name(name: &str) -> String {
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
