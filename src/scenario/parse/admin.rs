//! What an administrator does to topics, partitions and the cluster's size.

use crate::kafka::config::{
    Configs, Scope, SettingError, dynamic_names, names, validate_dynamic_configs, validate_group_configs,
    validate_topic_configs,
};
use crate::scenario::condition::parse::broker_id;
use crate::scenario::error::ScriptError;
use crate::scenario::parse::args::{Args, between};
use crate::scenario::parse::setup::MOST_PARTITIONS;
use crate::scenario::parse::{controller_id, controller_ref};
use crate::scenario::script::Statement;
use crate::sim::action::Action;
use crate::wire::{BrokerId, Offset};

pub fn create_partitions(a: &mut Args<'_>) -> Option<Statement> {
    let name = a.text("a topic")?;
    let expected = format!("the new number of partitions, at most {MOST_PARTITIONS}");
    let word = a.word(&expected)?;
    let total = a.read(word, &expected, between(1, MOST_PARTITIONS))?;
    a.finish(Statement::Act(Action::CreatePartitions { name, total }))
}

/// `name=value` sets, `name=` without a value goes back to the default.
pub fn alter(a: &mut Args<'_>) -> Option<Statement> {
    let action = match a.keyword(&["topic", "broker", "brokers", "group"])? {
        "topic" => {
            let name = a.text("a topic")?;
            let config = a.names.config.clone();
            let (set, delete) = changes(a, Scope::Topic, |set| validate_topic_configs(&config, set))?;
            Action::AlterTopic { name, set, delete }
        }
        "group" => {
            let name = a.text("a group")?;
            let config = a.names.config.clone();
            let (set, delete) = changes(a, Scope::Group, |set| validate_group_configs(&config, set))?;
            Action::AlterGroup { name, set, delete }
        }
        kind => {
            let broker = if kind == "broker" { Some(number(a)?) } else { None };
            let (set, delete) = changes(a, Scope::Broker, validate_dynamic_configs)?;
            Action::AlterBroker { broker, set, delete }
        }
    };
    a.finish(Statement::Act(action))
}

/// The settings of an `alter`: what is set, and what goes back to its default.
fn changes(
    a: &mut Args<'_>,
    scope: Scope,
    validate: impl Fn(&Configs) -> Vec<SettingError>,
) -> Option<(Configs, Vec<String>)> {
    a.options();
    let mut set = a.configs();
    let delete: Vec<String> = set.keys().filter(|name| a.is_bare(name)).cloned().collect();
    // A name that is to be deleted must be a name all the same; any valid value will do.
    for name in &delete {
        set.remove(name);
        let is_known = match scope {
            Scope::Broker => dynamic_names().contains(&name.as_str()),
            scope => names(scope).contains(&name.as_str()),
        };
        if !is_known {
            let configs = [(name.clone(), String::new())].into();
            a.settings(scope, validate(&configs));
        }
    }
    a.settings(scope, validate(&set));
    if a.errors.is_empty() && set.is_empty() && delete.is_empty() {
        return a.fail(ScriptError::expected(a.end, "a setting such as `min.insync.replicas=1`", ""));
    }
    Some((set, delete))
}

/// A broker by its number.
fn number(a: &mut Args<'_>) -> Option<BrokerId> {
    let word = a.word("a broker's number")?;
    a.read(word, "a broker's number", broker_id)
}

pub fn delete(a: &mut Args<'_>) -> Option<Statement> {
    let action = match a.keyword(&["topic", "group"])? {
        "topic" => Action::DeleteTopic { name: a.text("a topic")? },
        _ => Action::DeleteGroup { name: a.text("a group")? },
    };
    a.finish(Statement::Act(action))
}

pub fn delete_records(a: &mut Args<'_>) -> Option<Statement> {
    let partition = a.partition()?;
    a.options();
    let expected = "the first offset to keep, or -1 for the high watermark";
    let word = a.required("before", expected)?;
    let before = a.read(&word, expected, between(-1, i64::MAX))?;
    a.finish(Statement::Act(Action::DeleteRecords { partition, before: Offset(before) }))
}

pub fn elect(a: &mut Args<'_>) -> Option<Statement> {
    let unclean = a.keyword(&["preferred", "unclean"])? == "unclean";
    let partition = a.partition()?;
    a.finish(Statement::Act(Action::ElectLeader { partition, unclean }))
}

pub fn reassign(a: &mut Args<'_>) -> Option<Statement> {
    let partition = a.partition()?;
    if a.peek().is_some_and(|word| word.is("cancel")) {
        a.word("")?;
        return a.finish(Statement::Act(Action::Reassign { partition, replicas: None }));
    }
    a.options();
    let word = a.required("replicas", "the brokers that shall hold it")?;
    let replicas = a.brokers(&word)?;
    if let Some((_, twice)) = replicas.iter().enumerate().find(|(i, replica)| replicas[..*i].contains(replica)) {
        let message = format!("broker {} is named twice", twice.0);
        return a.fail(ScriptError::because(word.span, &word.text(), message));
    }
    a.finish(Statement::Act(Action::Reassign { partition, replicas: Some(replicas) }))
}

pub fn add(a: &mut Args<'_>) -> Option<Statement> {
    let action = match a.keyword(&["broker", "controller"])? {
        "broker" => {
            let word = a.word("a broker's number")?;
            let id = a.read(word, "a broker's number from 1 to 2999", |text| {
                broker_id(text).filter(|id| (1..3_000).contains(&id.0))
            })?;
            a.options();
            let rack = a.option("rack");
            let rack = match rack {
                Some(word) => Some(a.non_empty(&word, "a rack")?),
                None => None,
            };
            Action::AddBroker { id, rack }
        }
        _ => {
            let word = a.word("a controller such as `c4`")?;
            let id = a.read(word, "a controller such as `c4`", controller_id)?;
            Action::AddController { id }
        }
    };
    a.finish(Statement::Act(action))
}

pub fn remove(a: &mut Args<'_>) -> Option<Statement> {
    a.keyword(&["controller"])?;
    let word = a.word("a controller such as `c3`, or `active`")?;
    match controller_ref(word) {
        Ok(controller) => a.finish(Statement::Act(Action::RemoveController { controller })),
        Err(error) => a.fail(error),
    }
}

pub fn unregister(a: &mut Args<'_>) -> Option<Statement> {
    a.keyword(&["broker"])?;
    let id = number(a)?;
    a.finish(Statement::Act(Action::UnregisterBroker { id }))
}
