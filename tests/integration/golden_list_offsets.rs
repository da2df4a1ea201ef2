//! `list_offsets.json`, offsets by time, of a log (UnifiedLogTest) and of a partition (PartitionTest).

use crate::golden::run_file;
use crate::log_cases::run_log_case;
use crate::partition_cases::run_partition_case;

#[test]
fn golden_list_offsets() {
    run_file(include_str!("../golden/list_offsets.json"), |case| match case["kind"].as_str() {
        Some("log") => run_log_case(case),
        Some("partition") => run_partition_case(case),
        other => Err(format!("unknown kind {other:?}")),
    });
}
