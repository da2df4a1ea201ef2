//! Reading golden files: cases taken from Apache Kafka's own tests, as data.

use serde_json::Value;

/// Runs every case of a golden file and reports all failures by name.
pub fn run_file(text: &str, run: impl Fn(&Value) -> Result<(), String>) {
    let file: Value = serde_json::from_str(text).expect("a golden file is JSON");
    let cases = file["cases"].as_array().expect("a golden file has cases");
    assert!(!cases.is_empty());
    let mut failures = Vec::new();
    for case in cases {
        if let Err(why) = run(case) {
            failures.push(format!("{}: {why}", case["name"].as_str().unwrap_or("?")));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Runs the steps of a case in order against one subject. `apply` answers a step's op; the answer is
/// compared with `expect` where the step has one.
pub fn run_steps(case: &Value, mut apply: impl FnMut(&Value) -> Result<Value, String>) -> Result<(), String> {
    for (number, step) in case["steps"].as_array().ok_or("no steps")?.iter().enumerate() {
        let got = apply(step).map_err(|why| format!("step {number} {step}: {why}"))?;
        if let Some(expect) = step.get("expect")
            && *expect != got
        {
            return Err(format!("step {number} {step}: got {got}"));
        }
    }
    Ok(())
}

/// Whatever is told beyond these fields would have to be understood.
pub fn only(value: &Value, fields: &[&str]) -> Result<(), String> {
    let odd = value.as_object().ok_or("no object")?.keys().find(|field| !fields.contains(&field.as_str()));
    odd.map_or(Ok(()), |odd| Err(format!("unknown field {odd}")))
}

pub fn int(value: &Value, name: &str) -> Result<i64, String> {
    value[name].as_i64().ok_or_else(|| format!("no number {name}"))
}

pub fn int_or(value: &Value, name: &str, default: i64) -> i64 {
    value[name].as_i64().unwrap_or(default)
}

pub fn flag(value: &Value, name: &str) -> bool {
    value[name].as_bool().unwrap_or(false)
}

pub fn from_hex(text: &str) -> Vec<u8> {
    let digit = |d: u8| (d as char).to_digit(16).expect("hex digits") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
