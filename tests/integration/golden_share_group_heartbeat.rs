//! Share groups: whole sequences of heartbeats, as Kafka's own GroupMetadataManager answered them.

use serde_json::Value;

use crate::golden::run_file;
use crate::group_records::{run_as_any, text};

#[test]
fn golden_share_group_heartbeat() {
    run_file(include_str!("../golden/share_group_heartbeat.json"), |case: &Value| match text(&case["kind"]) {
        "heartbeat_sequence" => run_as_any(case),
        other => Err(format!("unknown kind {other}")),
    });
}
