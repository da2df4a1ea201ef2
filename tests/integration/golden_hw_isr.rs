//! High watermark and ISR of one partition: every case of Kafka's PartitionTest in `hw_isr.json`.

use serde_json::Value;

use crate::partition_cases::run_partition_case;

#[test]
fn golden_hw_isr() {
    let text = include_str!("../golden/hw_isr.json");
    let file: Value = serde_json::from_str(text).expect("the golden file is JSON");
    let mut failures = Vec::new();
    for case in file["cases"].as_array().expect("the file has cases") {
        let outcome = match case["kind"].as_str() {
            Some("partition") => run_partition_case(case),
            kind => Err(format!("unknown kind {kind:?}")),
        };
        if let Err(why) = outcome {
            failures.push(format!("{}: {why}", case["name"]));
        }
    }
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}
