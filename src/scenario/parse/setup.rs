//! What a script begins with: the cluster, its topics and its clients.

use crate::kafka::config::{
    BrokerConfig, ConsumerConfig, ProducerConfig, Scope, StreamConfig, setting, validate_topic_configs,
};
use crate::scenario::error::ScriptError;
use crate::scenario::lex::Word;
use crate::scenario::parse::args::{Args, at_least, between};
use crate::scenario::script::Statement;
use crate::sim::action::{Action, ClusterSetup};
use crate::wire::{BrokerId, validate_topic_name};

/// What is simulated at the most: a browser tab is not a data centre.
pub const MOST_BROKERS: i32 = 100;
pub const MOST_CONTROLLERS: i32 = 9;
pub const MOST_PARTITIONS: i32 = 1_000;

pub fn cluster(a: &mut Args<'_>) -> Option<Statement> {
    a.options();
    let brokers = format!("a number of brokers from 1 to {MOST_BROKERS}");
    let brokers = a.option_as("brokers", &brokers, between(1, MOST_BROKERS));
    let controllers = format!("a number of controllers from 1 to {MOST_CONTROLLERS}");
    let controllers = a.option_as("controllers", &controllers, between(1, MOST_CONTROLLERS));
    let seed = a.option_as("seed", "a seed from 0 to 18446744073709551615", |text| text.parse::<u64>().ok());
    let cold = a.option_as("start", "`cold` or `settled`", |text| match text {
        "cold" => Some(true),
        "settled" => Some(false),
        _ => None,
    });
    let count = brokers.flatten().unwrap_or(3);
    let racks = match a.option("racks") {
        None => Some(Vec::new()),
        Some(word) => racks(a, &word, count),
    };
    let configs = a.configs();
    let config = match BrokerConfig::resolve(&configs) {
        Ok(config) => Some(config),
        Err(errors) => {
            a.settings(Scope::Broker, errors);
            None
        }
    };
    let config = config?;
    for (name, count) in [
        ("num.partitions", config.num_partitions),
        ("offsets.topic.num.partitions", config.offsets_topic_num_partitions),
        ("transaction.state.log.num.partitions", config.transaction_topic_num_partitions),
        ("share.coordinator.state.topic.num.partitions", config.share.state_topic_num_partitions),
    ] {
        if count > MOST_PARTITIONS {
            a.settings(Scope::Broker, vec![too_many_partitions(name)]);
        }
    }
    let setup = ClusterSetup {
        brokers: brokers?.unwrap_or(3),
        controllers: controllers?.unwrap_or(3),
        seed: seed?.unwrap_or(1),
        racks: racks?,
        cold: cold?.unwrap_or(false),
        config,
        configs,
    };
    a.finish(Statement::Cluster(Box::new(setup)))
}

fn too_many_partitions(name: &str) -> setting::SettingError {
    let reason = format!("Highwater simulates at most {MOST_PARTITIONS} partitions of one topic");
    setting::SettingError { name: name.to_string(), problem: setting::Problem::Refused(reason) }
}

fn racks(a: &mut Args<'_>, word: &Word, brokers: i32) -> Option<Vec<String>> {
    let racks = a.list(word, "racks such as `a,b,c`", |item| Some(item.text()).filter(|text| !text.is_empty()))?;
    if racks.len() as i64 != i64::from(brokers) {
        let message = format!("{} racks for {brokers} brokers: expected one for each broker", racks.len());
        return a.fail(ScriptError::because(word.span, &word.text(), message));
    }
    Some(racks)
}

pub fn topic(a: &mut Args<'_>) -> Option<Statement> {
    let name = topic_name(a);
    a.options();
    let expected = format!("a number of partitions from 1 to {MOST_PARTITIONS}");
    let partitions = a.option_as("partitions", &expected, between(1, MOST_PARTITIONS));
    let factor = a.option_as("replication-factor", "a replication factor from 1 to 32767", at_least(1_i16));
    let assignment = match a.option("replica-assignment") {
        None => Some(None),
        Some(word) => {
            // TopicCommandOptions.checkArgs
            for (given, option) in [
                (matches!(partitions, Some(Some(_))), "partitions"),
                (matches!(factor, Some(Some(_))), "replication-factor"),
            ] {
                if given {
                    let message = format!("Option \"[replica-assignment]\" can't be used with option \"[{option}]\"");
                    a.errors.push(ScriptError::because(word.span, &word.text(), message));
                }
            }
            assignment(a, &word).map(Some)
        }
    };
    let configs = a.configs();
    let errors = validate_topic_configs(&a.names.config, &configs);
    a.settings(Scope::Topic, errors);
    let action = Action::CreateTopic {
        name: name?,
        partitions: partitions?,
        replication_factor: factor?,
        assignment: assignment?,
        configs,
    };
    a.finish(Statement::Act(action))
}

/// A name for a topic, as Kafka allows it (Topic.validate).
fn topic_name(a: &mut Args<'_>) -> Option<String> {
    let word = a.word("a topic")?;
    let name = word.text();
    match validate_topic_name(&name) {
        Ok(()) => Some(name),
        Err(reason) => a.fail(ScriptError::because(word.span, &name, reason)),
    }
}

/// `1:2:3,2:3:1`: the replicas of each partition, as kafka-topics reads it.
fn assignment(a: &mut Args<'_>, word: &Word) -> Option<Vec<Vec<BrokerId>>> {
    let expected = "replicas of each partition such as `1:2:3,2:3:1`";
    let lists = a.list(word, expected, |item| {
        let ids = item.text();
        ids.split(':').map(super::broker_id).collect::<Option<Vec<BrokerId>>>()
    })?;
    // TopicCommand.parseReplicaAssignment
    for (i, replicas) in lists.iter().enumerate() {
        let reason = if replicas.iter().enumerate().any(|(j, replica)| replicas[..j].contains(replica)) {
            format!("Partition replica lists may not contain duplicate entries: partition {i}")
        } else if replicas.len() != lists[0].len() {
            format!("Partition {i} has different replication factor: {} and not {}", replicas.len(), lists[0].len())
        } else {
            continue;
        };
        return a.fail(ScriptError::because(word.span, &word.text(), reason));
    }
    if lists.len() as i64 > i64::from(MOST_PARTITIONS) {
        let message = format!("Highwater simulates at most {MOST_PARTITIONS} partitions of one topic");
        return a.fail(ScriptError::because(word.span, &word.text(), message));
    }
    Some(lists)
}

pub fn producer(a: &mut Args<'_>) -> Option<Statement> {
    let name = a.client("producer");
    a.options();
    let transactional_id = match a.option("transactional.id") {
        None => None,
        Some(word) if word.text().trim().is_empty() => {
            let message = "Invalid value  for configuration transactional.id: String must be non-empty";
            a.fail(ScriptError::because(word.span, "", message))
        }
        Some(word) => Some((word.text(), word.span)),
    };
    let configs = a.configs();
    match ProducerConfig::resolve(&configs) {
        Ok(config) => {
            if let (Some((id, span)), false) = (&transactional_id, config.idempotence) {
                let message = "Cannot set a transactional.id without also enabling idempotence.";
                a.errors.push(ScriptError::because(*span, id, message));
            }
            let transactional_id = transactional_id.map(|(id, _)| id);
            let action = Action::AddProducer { name: name?, config, transactional_id, configs };
            a.finish(Statement::Act(action))
        }
        Err(errors) => {
            a.settings(Scope::Producer, errors);
            None
        }
    }
}

pub fn consumer(a: &mut Args<'_>) -> Option<Statement> {
    let name = a.client("consumer");
    a.options();
    let (group, topics) = group_and_topics(a);
    let configs = a.configs();
    match ConsumerConfig::resolve(&configs) {
        Ok(config) => {
            if let Err(error) = config.check_session(&configs, &a.names.config) {
                a.settings(Scope::Consumer, vec![error]);
            }
            let action = Action::AddConsumer { name: name?, group: group?, topics: topics?, config, configs };
            a.finish(Statement::Act(action))
        }
        Err(errors) => {
            a.settings(Scope::Consumer, errors);
            None
        }
    }
}

fn group_and_topics(a: &mut Args<'_>) -> (Option<String>, Option<Vec<String>>) {
    let group = a.required("group", "the group that it joins");
    let group = group.and_then(|word| a.non_empty(&word, "a group"));
    let topics = a.required("topics", "what it subscribes to");
    let topics = topics.and_then(|word| topics_of(a, &word));
    (group, topics)
}

fn topics_of(a: &mut Args<'_>, word: &Word) -> Option<Vec<String>> {
    let topics =
        a.list(word, "topics such as `orders,payments`", |item| Some(item.text()).filter(|text| !text.is_empty()))?;
    match topics.iter().enumerate().find(|(i, topic)| topics[..*i].contains(topic)) {
        Some((_, topic)) => a.fail(ScriptError::because(word.span, topic, format!("`{topic}` is named twice"))),
        None => Some(topics),
    }
}

pub fn share_consumer(a: &mut Args<'_>) -> Option<Statement> {
    let name = a.client("share-consumer");
    a.options();
    let (group, topics) = group_and_topics(a);
    let configs = a.configs();
    match ConsumerConfig::resolve_share(&configs) {
        Ok(config) => {
            let action = Action::AddShareConsumer { name: name?, group: group?, topics: topics?, config, configs };
            a.finish(Statement::Act(action))
        }
        Err(errors) => {
            a.settings(Scope::Consumer, errors);
            None
        }
    }
}

pub fn stream(a: &mut Args<'_>) -> Option<Statement> {
    let name = a.client("stream");
    a.options();
    let subscribe = a.required("subscribe", "the topics that it reads");
    let subscribe = subscribe.and_then(|word| topics_of(a, &word));
    let options = a.configs();
    match StreamConfig::resolve(&options) {
        Ok(config) => {
            let config = Box::new(config);
            a.finish(Statement::Act(Action::AddStream { name: name?, subscribe: subscribe?, config, options }))
        }
        Err(errors) => {
            a.settings(Scope::Stream, errors);
            None
        }
    }
}
