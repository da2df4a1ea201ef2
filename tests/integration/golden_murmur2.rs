use highwater::kafka::client::partitioner::{murmur2, partition_for_key, to_positive};
use serde_json::{Value, json};

use crate::golden::run_file;

#[test]
fn golden_murmur2() {
    run_file(include_str!("../golden/murmur2.json"), run);
}

fn run(case: &Value) -> Result<(), String> {
    let key = base64(case["key_base64"].as_str().ok_or("no key")?)?;
    let hash = murmur2(&key);
    check("murmur2", &case["murmur2"], json!(hash))?;
    check("to_positive", &case["to_positive"], json!(to_positive(hash)))?;
    for (partitions, expect) in case["partition_for"].as_object().ok_or("no partitions")? {
        let count = partitions.parse().map_err(|_| "not a number of partitions")?;
        check(partitions, expect, json!(partition_for_key(&key, count)))?;
    }
    Ok(())
}

fn check(what: &str, expect: &Value, got: Value) -> Result<(), String> {
    if *expect == got { Ok(()) } else { Err(format!("{what}: {got} instead of {expect}")) }
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes().filter(|b| *b != b'=') {
        let value = DIGITS.iter().position(|d| *d == digit).ok_or("not base64")?;
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(out)
}
