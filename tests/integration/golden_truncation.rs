//! Truncation by diverging epochs: every case of `truncation.json`. Cases of one log and of the
//! quorum's log have runners of their own.

use highwater::kafka::log::EpochEnd;
use highwater::kafka::replica::truncation::truncation_target;
use highwater::wire::{LeaderEpoch, Offset};
use serde_json::{Value, json};

use crate::log_cases::run_log_case;
use crate::partition_cases::run_partition_case;
use crate::quorum_cases::run_validate_case;

#[test]
fn golden_truncation() {
    let text = include_str!("../golden/truncation.json");
    let file: Value = serde_json::from_str(text).expect("the golden file is JSON");
    let mut failures = Vec::new();
    for case in file["cases"].as_array().expect("the file has cases") {
        let outcome = match case["kind"].as_str() {
            Some("partition") => run_partition_case(case),
            Some("truncation_target") => run_target_case(case),
            Some("log") => run_log_case(case),
            Some("validate_offset_and_epoch") => run_validate_case(case),
            kind => Err(format!("unknown kind {kind:?}")),
        };
        if let Err(why) = outcome {
            failures.push(format!("{}: {why}", case["name"]));
        }
    }
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn run_target_case(case: &Value) -> Result<(), String> {
    let input = &case["input"];
    let epoch_end = |value: &Value| {
        let end = value["end_offset"].as_i64().filter(|end| *end >= 0)?;
        let epoch = value["epoch"].as_i64()?;
        Some(EpochEnd { epoch: LeaderEpoch(epoch as i32), end: Offset(end) })
    };
    let number = |name: &str| input[name].as_i64().map(Offset).ok_or(format!("no {name}"));
    let (to, again) = truncation_target(
        number("fetch_offset")?,
        number("log_end_offset")?,
        epoch_end(&input["leader_reply"]),
        epoch_end(&input["follower_end_offset_for_reply_epoch"]),
    );
    let got = json!({"truncate_to": to.0, "needs_another_round": again});
    if got == case["expect"] { Ok(()) } else { Err(format!("expected {}, got {got}", case["expect"])) }
}
