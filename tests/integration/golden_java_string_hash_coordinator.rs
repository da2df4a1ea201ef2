//! Which partition of `__consumer_offsets` a group belongs to.

use highwater::kafka::group::GroupCoordinator;
use serde_json::Value;

#[test]
fn golden_java_string_hash_coordinator() {
    let file: Value =
        serde_json::from_str(include_str!("../golden/java_string_hash_coordinator.json")).expect("the file is JSON");
    let mut failures = Vec::new();
    for case in file["cases"].as_array().expect("cases") {
        let group = case["group_id"].as_str().expect("a group id");
        for (field, expected) in case.as_object().expect("a case") {
            let Some(partitions) = field.strip_prefix("partition_of_") else {
                continue;
            };
            let got = GroupCoordinator::partition_for(group, partitions.parse().expect("a number"));
            if Some(i64::from(got)) != expected.as_i64() {
                failures.push(format!("{group:?} of {partitions}: got {got}, expected {expected}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
