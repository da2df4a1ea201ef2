//! `segments_retention.json`: rolling and deleting segments (UnifiedLogTest).

use crate::golden::run_file;
use crate::log_cases::run_log_case;

#[test]
fn golden_segments_retention() {
    run_file(include_str!("../golden/segments_retention.json"), |case| match case["kind"].as_str() {
        Some("log") => run_log_case(case),
        other => Err(format!("unknown kind {other:?}")),
    });
}
