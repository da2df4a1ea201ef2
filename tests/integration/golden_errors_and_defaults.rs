//! The errors and the defaults of Kafka 4.2 (`golden/errors_and_defaults.json`): every error's name,
//! code and classes, and every default of a setting that Highwater simulates. What Kafka has and
//! Highwater does not simulate must be known by name.

use std::collections::BTreeSet;

use highwater::kafka::client::errors::{is_retriable, is_stale_metadata};
use highwater::kafka::config::foreign;
use highwater::kafka::config::{Scope, settings};
use highwater::kafka::fact::error_name;
use highwater::wire;
use serde_json::Value;

use crate::golden::only;

const FILE: &str = include_str!("../golden/errors_and_defaults.json");

/// Classes of the errors of transactions (KIP-1050): what follows from such an error is decided where a
/// transaction meets it, and tested there.
const FLAGS_WITHOUT_USE: [&str; 2] = ["abortable_txn", "application_recoverable"];

/// Which of our scopes a section of the file's defaults belongs to.
const SECTIONS: [(&str, Scope); 7] = [
    ("producer", Scope::Producer),
    ("consumer", Scope::Consumer),
    ("group_coordinator", Scope::Broker),
    ("share_group_broker", Scope::Broker),
    ("group_level", Scope::Group),
    ("txn_state_manager", Scope::Broker),
    ("txn_log", Scope::Broker),
];

/// Kafka's internal settings, which a person cannot set.
const INTERNAL: [&str; 3] = [
    // ConsumerConfig.THROW_ON_FETCH_STABLE_OFFSET_UNSUPPORTED
    "internal.throw.on.fetch.stable.offset.unsupported",
    // ShareGroupConfig, of another process role's defaults
    "group.share.enable",
    // GroupCoordinatorConfig.CONSUMER_GROUP_MIGRATION_POLICY_CONFIG
    "group.consumer.migration.policy",
];

fn file() -> Value {
    serde_json::from_str(FILE).expect("a golden file is JSON")
}

fn check_error(case: &Value) -> Result<(), String> {
    let known = ["code", "name", "exception", "retriable", "invalid_metadata_refresh", "refresh_retriable"];
    only(case, &[&known[..], &FLAGS_WITHOUT_USE].concat())?;
    let code = case["code"].as_i64().and_then(|code| i16::try_from(code).ok()).ok_or("no code")?;
    let name = case["name"].as_str().ok_or("no name")?;
    let flag = |flag: &str| case[flag].as_bool().ok_or(format!("no {flag}"));
    let Some(error) = wire::error(code) else {
        return if name == "NONE" && code == 0 { Ok(()) } else { Err(format!("{name} is no error here")) };
    };
    if error_name(error) != name || wire::code(Some(error)) != code {
        return Err(format!("code {code} is {} here", error_name(error)));
    }
    if is_retriable(error) != flag("retriable")? {
        return Err(format!("retriable is {} here", is_retriable(error)));
    }
    if is_stale_metadata(error) != flag("invalid_metadata_refresh")? {
        return Err(format!("invalid_metadata_refresh is {} here", is_stale_metadata(error)));
    }
    // InvalidMetadataException is a RefreshRetriableException (KIP-1050); the others of that class
    // have the client look for its coordinator, which it does for each of them by name.
    if is_stale_metadata(error) && !flag("refresh_retriable")? {
        return Err("stale metadata is refreshed and yet refresh_retriable is false".to_string());
    }
    Ok(())
}

#[test]
fn golden_errors_and_defaults_names_and_classes_of_errors() {
    let file = file();
    let cases = file["cases"].as_array().expect("a golden file has cases");
    assert!(!cases.is_empty());
    let failures: Vec<String> =
        cases.iter().filter_map(|case| check_error(case).err().map(|why| format!("{}: {why}", case["name"]))).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// A default as the file has it, in the words of our tables.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::String(list) if list.starts_with('[') => {
            let items = list.trim_matches(['[', ']']).split(", ");
            let names = items.map(|item| match item.rsplit('.').next().unwrap_or(item) {
                "RangeAssignor" => "range",
                "CooperativeStickyAssignor" => "cooperative-sticky",
                name => name,
            });
            names.collect::<Vec<_>>().join(",")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn golden_errors_and_defaults_defaults_of_settings() {
    let file = file();
    let sections = file["config_defaults"].as_object().expect("the file has defaults");
    let mut failures = Vec::new();
    let mut compared = BTreeSet::new();
    for (section, defaults) in sections {
        let Some((_, scope)) = SECTIONS.iter().find(|(name, _)| name == section) else {
            failures.push(format!("unknown section {section}"));
            continue;
        };
        let table = settings(*scope);
        for (name, default) in defaults.as_object().expect("a section maps names to defaults") {
            match table.iter().find(|setting| setting.name == name) {
                Some(setting) if setting.default == text(default) => {
                    compared.insert(name.clone());
                }
                Some(setting) => failures.push(format!("{section}: {name} is {} and not {default}", setting.default)),
                None if foreign::find(*scope, name).is_some() || INTERNAL.contains(&name.as_str()) => {}
                None => failures.push(format!("{section}: {name} is neither simulated nor known as Kafka's")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared.len() >= 40, "{} defaults were compared", compared.len());
}
