//! What a micro-batch reads: limits by trigger and ranges by task, as Spark's own suite has them.

use highwater::kafka::client::stream::checkpoint::Offsets;
use highwater::kafka::client::stream::plan::{OffsetRange, rate_limit, split_ranges};
use highwater::wire::{Offset, TopicPartition};
use serde_json::Value;

use crate::golden::{only, run_file};

const FIELDS: [&str; 12] = [
    "kind",
    "name",
    "test",
    "note",
    "min_partitions",
    "ranges",
    "expect",
    "max_offsets_per_trigger",
    "start",
    "latest",
    "earliest_of_new_partitions",
    "expect_end",
];

#[test]
fn golden_spark_kafka_source() {
    run_file(include_str!("../golden/spark_kafka_source.json"), run);
}

fn run(case: &Value) -> Result<(), String> {
    only(case, &FIELDS)?;
    let (got, expected) = match case["kind"].as_str().ok_or("no kind")? {
        "min_partitions" => {
            let wanted = case["min_partitions"].as_i64().map(|wanted| wanted as i32);
            let got = split_ranges(ranges(&case["ranges"]), wanted);
            (format!("{got:?}"), format!("{:?}", ranges(&case["expect"])))
        }
        "max_offsets_per_trigger" => {
            let limit = case["max_offsets_per_trigger"].as_i64().ok_or("no limit")?;
            let (from, until) = (offsets(&case["start"]), offsets(&case["latest"]));
            let got = rate_limit(limit, &from, &offsets(&case["earliest_of_new_partitions"]), &until);
            (format!("{got:?}"), format!("{:?}", offsets(&case["expect_end"])))
        }
        other => return Err(format!("unknown kind {other}")),
    };
    if got == expected { Ok(()) } else { Err(format!("got {got}, expected {expected}")) }
}

fn ranges(list: &Value) -> Vec<OffsetRange> {
    let range = |range: &Value| OffsetRange {
        partition: TopicPartition::parse(range["tp"].as_str().expect("a partition")).expect("a partition"),
        from: Offset(range["from"].as_i64().expect("an offset")),
        until: Offset(range["until"].as_i64().expect("an offset")),
    };
    list.as_array().expect("a list of ranges").iter().map(range).collect()
}

fn offsets(map: &Value) -> Offsets {
    let map = map.as_object().expect("offsets by partition");
    let entry = |(partition, offset): (&String, &Value)| {
        let partition = TopicPartition::parse(partition).expect("a partition");
        (partition, Offset(offset.as_i64().expect("an offset")))
    };
    map.iter().map(entry).collect()
}
