//! `list_offsets.json`, the kind `log`: offsets by time (UnifiedLogTest). The kind `partition` belongs
//! to the replica.

use crate::golden::run_file;
use crate::log_cases::run_log_case;

#[test]
fn golden_list_offsets_of_a_log() {
    run_file(include_str!("../golden/list_offsets.json"), |case| match case["kind"].as_str() {
        Some("log") => run_log_case(case),
        Some("partition") => Ok(()),
        other => Err(format!("unknown kind {other:?}")),
    });
}
