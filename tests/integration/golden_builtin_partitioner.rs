use highwater::kafka::client::partitioner::{LoadStats, Sticky};
use serde_json::Value;

use crate::golden::{int, int_or, run_file};

#[test]
fn golden_builtin_partitioner() {
    run_file(include_str!("../golden/builtin_partitioner.json"), run);
}

fn run(case: &Value) -> Result<(), String> {
    if case.get("queue_sizes").is_some() {
        return load_stats(case);
    }
    if case.get("cumulative_frequency_table").is_some() && case.get("random").is_some() {
        return draw(case);
    }
    if case["expect"] == "IllegalArgumentException" {
        let size = int(case, "sticky_batch_size")? as i32;
        return if Sticky::new(size).is_none() { Ok(()) } else { Err(format!("{size} was accepted")) };
    }
    if case.get("sticky_batch_size").is_some() && case.get("expect").is_some() {
        return sticky(case);
    }
    Err(format!("a case of an unknown kind: {case}"))
}

fn numbers(case: &Value, name: &str) -> Result<Vec<i32>, String> {
    let list = case[name].as_array().ok_or_else(|| format!("no list {name}"))?;
    Ok(list.iter().filter_map(Value::as_i64).map(|n| n as i32).collect())
}

fn load_stats(case: &Value) -> Result<(), String> {
    let queues: Vec<u32> = numbers(case, "queue_sizes")?.iter().map(|q| *q as u32).collect();
    let partitions: Vec<i32> = (0..queues.len() as i32).collect();
    let stats = LoadStats::from_queues(&queues, &partitions, int_or(case, "excluded_by_latency", 0) as u32);
    let expect = match case["cumulative_frequency_table"].as_array() {
        None => None,
        Some(_) => Some(numbers(case, "cumulative_frequency_table")?.iter().map(|n| *n as u32).collect()),
    };
    let got: Option<Vec<u32>> = stats.map(|s| s.cumulative);
    if got == expect { Ok(()) } else { Err(format!("{got:?} instead of {expect:?}")) }
}

fn draw(case: &Value) -> Result<(), String> {
    let cumulative = numbers(case, "cumulative_frequency_table")?.iter().map(|n| *n as u32).collect();
    let stats = LoadStats { cumulative, partitions: numbers(case, "partition_ids")? };
    let got = i64::from(stats.draw(int(case, "random")? as i32));
    let expect = int(case, "expect_partition")?;
    if got == expect { Ok(()) } else { Err(format!("{got} instead of {expect}")) }
}

/// The partitions that the records of a sticky case go to, with draws 0, 1, 2, …
fn sticky(case: &Value) -> Result<(), String> {
    let size = int(case, "sticky_batch_size")? as i32;
    let mut sticky = Sticky::new(size).ok_or("the batch size was refused")?;
    let (available, count) = match case.get("partitions_with_leader") {
        Some(_) => {
            let with = numbers(case, "partitions_with_leader")?;
            let count = with.len() + numbers(case, "partitions_without_leader")?.len();
            (with, count as i32)
        }
        None => {
            let count = int(case, "partitions")? as i32;
            ((0..count).collect(), count)
        }
    };
    let mut random = -1;
    let mut next = || {
        random += 1;
        random
    };
    let mut got = Vec::new();
    for _ in 0..3 * size.max(2) {
        got.push(sticky.partition(&available, count, &mut next));
        sticky.produced(int_or(case, "appended_bytes_each", 1) as u32, true, &available, count, &mut next);
    }
    let expect = case["expect"].as_str().ok_or("no expectation")?;
    let first_digit = |text: &str| text.chars().find(char::is_ascii_digit).and_then(|c| c.to_digit(10)).unwrap_or(0);
    let holds = if let Some(rest) = expect.strip_prefix("always partition ") {
        got.iter().all(|p| *p == first_digit(rest) as i32)
    } else if let Some((before, after)) = expect.split_once("never") {
        // "0 or 2, never 1", or "partition 1 is never chosen".
        let digits = |text: &str| text.chars().filter_map(|c| c.to_digit(10)).collect::<Vec<_>>();
        let named = if digits(after).is_empty() { digits(before) } else { digits(after) };
        !named.is_empty() && got.iter().all(|p| !named.contains(&(*p as u32)))
    } else if expect.starts_with("partition ") {
        got.iter().all(|p| *p == first_digit(expect) as i32)
    } else if expect.starts_with("same partition for the first ") {
        let same = first_digit(expect) as usize;
        got[..same].iter().all(|p| *p == got[0]) && got[same] != got[0]
    } else {
        // What is left names the partitions that may be chosen.
        let named = expect.chars().filter_map(|c| c.to_digit(10)).collect::<Vec<_>>();
        if named.is_empty() {
            return Err(format!("an unknown expectation: {expect}"));
        }
        got.iter().all(|p| named.contains(&(*p as u32)))
    };
    if holds { Ok(()) } else { Err(format!("{got:?}")) }
}
