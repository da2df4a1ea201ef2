//! Records, requests, answers and groups of the coordinator as the golden files write them.

mod classic;
mod exchange;
mod groups;
mod hidden;
mod initial;
mod names;
mod reading;
mod sequence;
mod settings;
mod writing;

use serde_json::Value;

pub use classic::{classic_member, run_classic_sequence};
pub use exchange::*;
pub use groups::*;
pub use initial::*;
pub use names::*;
pub use reading::*;
pub use sequence::run_as_any;
pub use writing::*;

/// Nulls and empty texts are left out; lists of topics, members and names are sorted.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(k, v)| (k.clone(), normal(v)));
            Value::Object(fields.filter(|(_, v)| !v.is_null() && v.as_str() != Some("")).collect())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(normal).collect();
            let is_record = |value: &Value| !value["type"].is_null();
            if !list.iter().any(is_record) {
                let key = |v: &Value| {
                    let fields = [&v["memberId"], &v["topicId"], &v["topic"], v];
                    fields.into_iter().find_map(Value::as_str).unwrap_or_default().to_string()
                };
                // Partitions stand in the order of a hash set.
                list.sort_by_key(|v| (v.as_i64(), key(v)));
            }
            Value::Array(list)
        }
        other => other.clone(),
    }
}

/// What nobody recorded of the initial group equals whatever is recorded of it now.
pub fn forgive(got: &mut Value, expected: &Value) {
    match got {
        Value::Object(map) => {
            let unknown = |value: &Value| value == UNKNOWN_MS;
            let fields: Vec<String> = map.iter().filter(|(_, v)| unknown(v)).map(|(k, _)| k.clone()).collect();
            for field in fields {
                match expected.get(&field) {
                    Some(value) => drop(map.insert(field, value.clone())),
                    None => drop(map.remove(&field)),
                }
            }
            map.iter_mut().for_each(|(field, value)| forgive(value, &expected[field.as_str()]));
        }
        Value::Array(list) => {
            list.iter_mut().enumerate().for_each(|(index, value)| forgive(value, &expected[index]));
        }
        _ => {}
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub fn int(value: &Value) -> i32 {
    value.as_i64().map_or(0, |v| v as i32)
}

pub fn check<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("\n   got      {got:?}\n   expected {expected:?}")) }
}
