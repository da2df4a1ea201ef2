//! `truncation.json`, the kind `log`.

use crate::golden::run_file;
use crate::log_cases::run_log_case;

#[test]
fn golden_truncation_of_a_log() {
    run_file(include_str!("../golden/truncation.json"), |case| match case["kind"].as_str() {
        Some("log") => run_log_case(case),
        _ => Ok(()),
    });
}
