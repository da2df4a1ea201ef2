//! Statements into their canonical text. Each line is written in one way only: fixed options in
//! the order of the reference, Kafka's settings in the order of the alphabet.

use bytes::Bytes;

use crate::kafka::config::Configs;
use crate::kafka::node::{ProducerRecord, SeekTo};
use crate::scenario::condition::{broker_ref, controller_ref};
use crate::scenario::lex::quote;
use crate::scenario::names::ClientKind;
use crate::scenario::quantity::{print_instant, print_rate, print_size};
use crate::scenario::script::{Ask, Script, Statement};
use crate::sim::action::{Action, ClusterSetup, NodeRef, ResetTo};
use crate::sorted::SortedMap;
use crate::wire::{ApiKey, BrokerId};

/// A whole script, its comments and blank lines kept.
pub fn script(script: &Script) -> String {
    let mut text = String::new();
    for line in &script.lines {
        let statement = line.text();
        text.push_str(&statement);
        if let Some(comment) = &line.comment {
            text.push_str(if statement.is_empty() { "#" } else { "  #" });
            text.push_str(comment);
        }
        text.push('\n');
    }
    text
}

/// One statement; `kind` is the word before a client's name where a verb needs one.
pub fn statement(statement: &Statement, kind: Option<ClientKind>) -> String {
    match statement {
        Statement::Cluster(setup) => cluster(setup),
        Statement::Act(action) => act(action, kind.unwrap_or(ClientKind::Consumer).word()),
        Statement::Wait(duration) => format!("wait {duration}"),
        Statement::At(instant) => format!("at {}", print_instant(*instant)),
        Statement::Until { condition, within } => format!("until {condition} within {within}"),
        Statement::Expect(condition) => format!("expect {condition}"),
        Statement::Always(condition) => format!("always {condition}"),
        Statement::Prose(text) => format!("> {}", text.replace(['\n', '\r'], " ")).trim_end().to_string(),
        Statement::Step(title) => format!("step {}", in_quotes(title)),
        Statement::Ask(ask) => self::ask(ask),
        Statement::Goal(condition) => format!("goal {condition}"),
    }
}

fn cluster(setup: &ClusterSetup) -> String {
    let mut text = format!("cluster brokers={} controllers={} seed={}", setup.brokers, setup.controllers, setup.seed);
    if !setup.racks.is_empty() {
        text.push_str(&format!(" racks={}", list(&setup.racks)));
    }
    if setup.cold {
        text.push_str(" start=cold");
    }
    text + &options(&setup.configs)
}

fn ask(ask: &Ask) -> String {
    let (question, answer) = (in_quotes(&ask.question), quote(&ask.answer, &[]));
    format!("ask {question} answer={answer} choices={}", list(&ask.choices))
}

fn act(action: &Action, kind: &str) -> String {
    match action {
        Action::CreateTopic { .. }
        | Action::DeleteTopic { .. }
        | Action::DeleteGroup { .. }
        | Action::AlterTopic { .. }
        | Action::CreatePartitions { .. }
        | Action::DeleteRecords { .. }
        | Action::ElectLeader { .. }
        | Action::Reassign { .. }
        | Action::AddBroker { .. }
        | Action::AddController { .. }
        | Action::RemoveController { .. }
        | Action::UnregisterBroker { .. }
        | Action::AlterGroup { .. }
        | Action::AlterBroker { .. } => admin(action),
        Action::AddProducer { name, transactional_id, configs, .. } => {
            let id = transactional_id.as_ref().map(|id| format!(" transactional.id={}", quote(id, &[])));
            format!("producer {}{}{}", word(name), id.unwrap_or_default(), options(configs))
        }
        Action::AddConsumer { name, group, topics, configs, .. }
        | Action::AddShareConsumer { name, group, topics, configs, .. } => {
            let group = quote(group, &[]);
            let verb = if matches!(action, Action::AddConsumer { .. }) { "consumer" } else { "share-consumer" };
            format!("{verb} {} group={group} topics={}{}", word(name), list(topics), options(configs))
        }
        Action::AddStream { name, subscribe, options: written, .. } => {
            format!("stream {} subscribe={}{}", word(name), list(subscribe), options(written))
        }
        Action::Send { .. }
        | Action::Load { .. }
        | Action::Acknowledge { .. }
        | Action::Seek { .. }
        | Action::Commit { .. }
        | Action::BeginTransaction { .. }
        | Action::AbortTransaction { .. }
        | Action::SendOffsets { .. }
        | Action::Pause { .. }
        | Action::Resume { .. }
        | Action::Handle { .. }
        | Action::Close { .. }
        | Action::ResetOffsets { .. } => traffic(action),
        Action::KillClient { name } => format!("kill {kind} {}", word(name)),
        Action::StartClient { name } => format!("start {kind} {}", word(name)),
        _ => fault(action, kind),
    }
}

fn admin(action: &Action) -> String {
    match action {
        Action::CreateTopic { name, partitions, replication_factor, assignment, configs } => {
            let mut text = format!("topic {}", word(name));
            if let Some(partitions) = partitions {
                text.push_str(&format!(" partitions={partitions}"));
            }
            if let Some(factor) = replication_factor {
                text.push_str(&format!(" replication-factor={factor}"));
            }
            if let Some(assignment) = assignment {
                let lists: Vec<String> = assignment.iter().map(|replicas| ids(replicas, ":")).collect();
                text.push_str(&format!(" replica-assignment={}", lists.join(",")));
            }
            text + &options(configs)
        }
        Action::DeleteTopic { name } => format!("delete topic {}", word(name)),
        Action::DeleteGroup { name } => format!("delete group {}", word(name)),
        Action::AlterTopic { name, set, delete } => {
            format!("alter topic {}{}", word(name), changes(set, delete))
        }
        Action::AlterBroker { broker: Some(id), set, delete } => {
            format!("alter broker {}{}", id.0, changes(set, delete))
        }
        Action::AlterGroup { name, set, delete } => {
            format!("alter group {}{}", word(name), changes(set, delete))
        }
        Action::AlterBroker { broker: None, set, delete } => format!("alter brokers{}", changes(set, delete)),
        Action::CreatePartitions { name, total } => format!("create-partitions {} {total}", word(name)),
        Action::DeleteRecords { partition, before } => format!("delete-records {partition} before={before}"),
        Action::ElectLeader { partition, unclean } => {
            format!("elect {} {partition}", if *unclean { "unclean" } else { "preferred" })
        }
        Action::Reassign { partition, replicas: Some(replicas) } => {
            format!("reassign {partition} replicas={}", ids(replicas, ","))
        }
        Action::Reassign { partition, replicas: None } => format!("reassign {partition} cancel"),
        Action::AddBroker { id, rack } => {
            let rack = rack.as_ref().map(|rack| format!(" rack={}", quote(rack, &[])));
            format!("add broker {}{}", id.0, rack.unwrap_or_default())
        }
        Action::AddController { id } => format!("add controller {id}"),
        Action::RemoveController { controller } => format!("remove controller {}", controller_ref(controller)),
        Action::UnregisterBroker { id } => format!("unregister broker {}", id.0),
        _ => String::new(),
    }
}

/// What an `alter` sets and takes back, in the order of the names.
fn changes(set: &Configs, delete: &[String]) -> String {
    let mut settings: SortedMap<&str, String> = SortedMap::new();
    settings.extend(set.iter().map(|(name, value)| (name.as_str(), quote(value, &[]))));
    settings.extend(delete.iter().map(|name| (name.as_str(), String::new())));
    settings.iter().map(|(name, value)| format!(" {}={value}", quote(name, &['=']))).collect()
}

fn traffic(action: &Action) -> String {
    match action {
        Action::Send { producer, record } => send(producer, record),
        Action::Load { producer, topic, rate, keys, size, duration } => format!(
            "load {} {} rate={} keys={keys} size={} for={duration}",
            word(producer),
            word(topic),
            print_rate(*rate),
            print_size(*size)
        ),
        Action::Seek { consumer, partition, to } => {
            let to = match to {
                SeekTo::Offset(offset) => offset.to_string(),
                SeekTo::Earliest => "earliest".to_string(),
                SeekTo::Latest => "latest".to_string(),
                SeekTo::Timestamp(millis) => format!("{millis}ms"),
            };
            format!("seek {} {partition} {to}", word(consumer))
        }
        Action::Acknowledge { consumer, kind, record } => {
            let record = record.as_ref().map(|(partition, offset)| format!(" {partition} {offset}"));
            format!("acknowledge {} {}{}", word(consumer), kind.name(), record.unwrap_or_default())
        }
        Action::Commit { client } => format!("commit {}", word(client)),
        Action::BeginTransaction { producer } => format!("begin {}", word(producer)),
        Action::AbortTransaction { producer } => format!("abort {}", word(producer)),
        Action::SendOffsets { producer, consumer } => format!("offsets {} {}", word(producer), word(consumer)),
        Action::Pause { consumer } => format!("pause {}", word(consumer)),
        Action::Resume { consumer } => format!("resume {}", word(consumer)),
        Action::Handle { consumer, each } => format!("handle {} {each}", word(consumer)),
        Action::Close { client } => format!("close {}", word(client)),
        Action::ResetOffsets { group, topic, to } => {
            let to = match to {
                ResetTo::Earliest => "to=earliest".to_string(),
                ResetTo::Latest => "to=latest".to_string(),
                ResetTo::Offset(offset) => format!("to={offset}"),
                ResetTo::Time(millis) => format!("to={millis}ms"),
                ResetTo::Shift(records) => format!("shift={records}"),
            };
            format!("reset-offsets {} {} {to}", word(group), word(topic))
        }
        _ => String::new(),
    }
}

fn send(producer: &str, record: &ProducerRecord) -> String {
    let (key, value) = (data(record.key.as_ref(), &['=']), data(record.value.as_ref(), &[]));
    let mut text = format!("send {} {} {key}={value}", word(producer), word(record.topic.0.as_str()));
    if let Some(partition) = record.partition {
        text.push_str(&format!(" partition={partition}"));
    }
    if let Some(timestamp) = record.timestamp {
        text.push_str(&format!(" timestamp={timestamp}"));
    }
    for (name, value) in &record.headers {
        text.push_str(&format!(" {}={}", quote(&format!("header.{name}"), &['=']), data(value.as_ref(), &[])));
    }
    text
}

/// Null is nothing at all, empty is empty quotes.
fn data(bytes: Option<&Bytes>, special: &[char]) -> String {
    bytes.map_or(String::new(), |bytes| quote(&String::from_utf8_lossy(bytes), special))
}

fn fault(action: &Action, kind: &str) -> String {
    match action {
        Action::Kill(target) => format!("kill {}", named(target, kind)),
        Action::PowerOff(target) => format!("power-off {}", named(target, kind)),
        Action::Stop(target) => format!("stop {}", named(target, kind)),
        Action::Start(target) => format!("start {}", named(target, kind)),
        Action::Wipe(target) => format!("wipe {}", named(target, kind)),
        Action::Freeze(target) => format!("freeze {}", named(target, kind)),
        Action::Thaw(target) => format!("thaw {}", named(target, kind)),
        Action::Cut { sides } => {
            let side = |nodes: &Vec<NodeRef>| nodes.iter().map(node).collect::<Vec<_>>().join(",");
            format!("cut {}", sides.iter().map(side).collect::<Vec<_>>().join(" | "))
        }
        Action::Heal => "heal".to_string(),
        Action::Link { from, to, both, latency, jitter, loss_percent } => {
            let mut text = format!("link {}{}{}", node(from), if *both { "<->" } else { "->" }, node(to));
            if let Some(latency) = latency {
                text.push_str(&format!(" latency={latency}"));
            }
            if let Some(jitter) = jitter {
                text.push_str(&format!(" jitter={jitter}"));
            }
            if let Some(loss) = loss_percent {
                text.push_str(&format!(" loss={loss}%"));
            }
            text
        }
        Action::DropNext { api, response, from, to } => format!("drop {}", next_message(*api, *response, from, to)),
        Action::DelayNext { api, response, from, to, by } => {
            format!("delay {} by={by}", next_message(*api, *response, from, to))
        }
        Action::DuplicateNext { api, response, from, to } => {
            format!("duplicate {}", next_message(*api, *response, from, to))
        }
        Action::SlowDisk { broker, latency } => format!("disk {} latency={latency}", broker_ref(broker)),
        _ => String::new(),
    }
}

/// A message as it is chosen: `next FETCH response 1->2`.
fn next_message(api: ApiKey, response: bool, from: &NodeRef, to: &NodeRef) -> String {
    let response = if response { "response " } else { "" };
    format!("next {} {response}{}->{}", api.name(), node(from), node(to))
}

/// With its kind before it: `broker 1`.
fn named(target: &NodeRef, kind: &str) -> String {
    match target {
        NodeRef::Broker(broker) => format!("broker {}", broker_ref(broker)),
        NodeRef::Controller(controller) => format!("controller {}", controller_ref(controller)),
        NodeRef::Client(name) => format!("{kind} {}", word(name)),
    }
}

/// As `cut` and `link` name it; a client that is called like a controller says that it is one.
pub(super) fn node(node: &NodeRef) -> String {
    match node {
        NodeRef::Broker(broker) => broker_ref(broker),
        NodeRef::Controller(controller) => controller_ref(controller),
        NodeRef::Client(name) => {
            let like_controller = super::parse::controller_id(name).is_some();
            let name = quote(name, &['=', ',', '|', ':', '<', '>']);
            if like_controller { format!("client:{name}") } else { name }
        }
    }
}

/// A name that stands by itself.
fn word(text: &str) -> String {
    quote(text, &['='])
}

/// A title or a question: always in quotes.
fn in_quotes(text: &str) -> String {
    match quote(text, &[]) {
        bare if !bare.starts_with('"') => format!("\"{}\"", bare.replace('\\', "\\\\")),
        quoted => quoted,
    }
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| quote(item, &[','])).collect::<Vec<_>>().join(",")
}

fn ids(ids: &[BrokerId], separator: &str) -> String {
    ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(separator)
}

/// Settings after a space each.
fn options(configs: &SortedMap<String, String>) -> String {
    configs.iter().map(|(name, value)| format!(" {}={}", quote(name, &['=']), quote(value, &[]))).collect()
}
