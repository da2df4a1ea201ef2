//! Whether the lines of a script fit together: what is named was declared, nothing is declared
//! twice, and nothing is asked for that the engine cannot do yet.

use crate::kafka::config::StreamConfig;
use crate::scenario::condition::{Comparison, Condition, Question, Value};
use crate::scenario::error::ScriptError;
use crate::scenario::names::{ClientKind, Names};
use crate::scenario::parse::parse_line;
use crate::scenario::quantity::print_instant;
use crate::scenario::script::{Line, Script, Statement};
use crate::scenario::unsupported::{Feature, refusal};
use crate::sim::action::{Action, BrokerRef, ClusterSetup, ControllerRef, NodeRef, ResetTo};
use crate::sorted::SortedSet;
use crate::wire::{BrokerId, TopicPartition, is_internal_topic};

/// Everything that is wrong with how the lines fit together, in the order of the text.
pub fn check(script: &Script) -> Vec<ScriptError> {
    let mut names = Names::new();
    let mut errors = Vec::new();
    for line in &script.lines {
        errors.extend(check_line(line, &names));
        names.declare(line);
    }
    errors
}

/// Reads and checks one typed line in the context of what a script has named.
pub fn line(text: &str, number: u32, names: &Names) -> Result<Line, Vec<ScriptError>> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or("");
    let (line, mut errors) = parse_line(first, number, names);
    errors.extend(check_line(&line, names));
    if lines.next().is_some() {
        errors.push(ScriptError::because(line.span(), "", "one statement a line: expected a single line"));
    }
    errors.sort_by_key(|error| error.span);
    if errors.is_empty() { Ok(line) } else { Err(errors) }
}

fn check_line(line: &Line, names: &Names) -> Vec<ScriptError> {
    let Some(statement) = &line.statement else { return Vec::new() };
    let mut check = Check { line, names, errors: Vec::new() };
    check.statement(statement);
    check.errors
}

struct Check<'a> {
    line: &'a Line,
    names: &'a Names,
    errors: Vec<ScriptError>,
}

impl Check<'_> {
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Cluster(setup) => self.cluster(setup),
            Statement::Act(action) => self.action(action),
            Statement::At(instant) if *instant < self.names.earliest => {
                let message =
                    format!("time never moves backwards: it is {} here at least", print_instant(self.names.earliest));
                self.wrong(&print_instant(*instant), message);
            }
            Statement::Until { condition, .. }
            | Statement::Expect(condition)
            | Statement::Always(condition)
            | Statement::Goal(condition) => self.condition(condition),
            Statement::Ask(ask) => {
                if let Some(role) = ask.role() {
                    self.broker(&role);
                }
            }
            Statement::At(_) | Statement::Wait(_) | Statement::Prose(_) | Statement::Step(_) => {}
        }
    }

    fn wrong(&mut self, found: &str, message: impl Into<String>) {
        let span = self.line.span_of(found);
        self.errors.push(ScriptError::because(span, found, message));
    }

    fn refuse(&mut self, feature: Feature, found: &str) {
        if let Some(reason) = refusal(feature) {
            self.wrong(found, reason);
        }
    }

    fn cluster(&mut self, _: &ClusterSetup) {
        if self.names.cluster {
            self.wrong("cluster", "`cluster` stands only once");
        } else if !self.names.empty {
            self.wrong("cluster", "`cluster` is the first statement of a script");
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::CreateTopic { name, replication_factor, assignment, .. } => {
                self.create_topic(name, *replication_factor, assignment.as_deref());
            }
            Action::DeleteTopic { name } | Action::AlterTopic { name, .. } => self.topic(name),
            Action::CreatePartitions { name, total } => self.create_partitions(name, *total),
            Action::DeleteRecords { partition, .. } | Action::ElectLeader { partition, .. } => {
                self.partition(partition);
            }
            Action::Reassign { partition, replicas } => {
                self.partition(partition);
                for replica in replicas.iter().flatten() {
                    self.broker_id(*replica);
                }
            }
            Action::AddBroker { id, .. } if self.names.brokers.contains(&id.0) => {
                self.wrong(&id.0.to_string(), format!("there is a broker {} already", id.0));
            }
            Action::RemoveController { controller } => self.controller(controller),
            Action::UnregisterBroker { id } | Action::AlterBroker { broker: Some(id), .. } => self.broker_id(*id),
            Action::AddProducer { name, .. } => self.new_client(name),
            Action::AddConsumer { name, topics, .. } | Action::AddShareConsumer { name, topics, .. } => {
                self.new_client(name);
                topics.iter().for_each(|topic| self.topic_of_client(topic));
            }
            Action::AddStream { name, subscribe, config, .. } => self.stream(name, subscribe, config),
            Action::Send { producer, record } => {
                self.client(producer, &[ClientKind::Producer]);
                let topic = record.topic.0.as_str();
                match record.partition.filter(|_| self.names.topics.contains_key(topic)) {
                    Some(partition) => self.partition_of(topic, partition, &partition.to_string()),
                    None => self.topic_of_client(topic),
                }
            }
            Action::Load { producer, topic, .. } => {
                self.client(producer, &[ClientKind::Producer]);
                self.topic_of_client(topic);
            }
            Action::Acknowledge { consumer, record, .. } => {
                self.client(consumer, &[ClientKind::ShareConsumer]);
                if let Some((partition, _)) = record {
                    self.partition(partition);
                }
            }
            Action::Seek { consumer, partition, .. } => {
                self.client(consumer, &[ClientKind::Consumer]);
                self.partition(partition);
            }
            Action::Commit { client } => match self.names.clients.get(client) {
                Some(ClientKind::Producer) => self.transactional(client),
                _ => self.client(client, &[ClientKind::Consumer, ClientKind::ShareConsumer]),
            },
            Action::BeginTransaction { producer } | Action::AbortTransaction { producer } => {
                self.transactional(producer);
            }
            Action::SendOffsets { producer, consumer } => {
                self.transactional(producer);
                self.client(consumer, &[ClientKind::Consumer]);
            }
            Action::Pause { consumer } | Action::Resume { consumer } => {
                self.client(consumer, &[ClientKind::Consumer]);
            }
            Action::Handle { consumer, .. } => {
                self.client(consumer, &[ClientKind::Consumer, ClientKind::ShareConsumer]);
            }
            Action::Close { client } => self.client(client, &ClientKind::ALL),
            Action::KillClient { name } | Action::StartClient { name } => self.client_of_kind(name),
            Action::ResetOffsets { group, topic, to } => {
                self.topic(topic);
                self.reset_of_share_group(group, *to);
            }
            _ => self.fault(action),
        }
    }

    /// kafka-share-groups knows no other places (ShareGroupCommandOptions).
    fn reset_of_share_group(&mut self, group: &str, to: ResetTo) {
        if self.names.share_groups.contains(group) && matches!(to, ResetTo::Offset(_) | ResetTo::Shift(_)) {
            let message =
                "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]";
            self.wrong(group, format!("`{group}` is a share group: {message}"));
        }
    }

    fn stream(&mut self, name: &str, subscribe: &[String], config: &StreamConfig) {
        self.new_client(name);
        let mut all = SortedSet::new();
        for topic in subscribe {
            self.topic_of_client(topic);
            let Some(count) = self.names.partitions(topic) else { return };
            all.extend((0..count).map(|number| TopicPartition::named(topic, number)));
        }
        if let Err(reason) = config.starting.places(&all) {
            self.wrong("startingOffsets", reason);
        }
    }

    fn fault(&mut self, action: &Action) {
        match action {
            Action::Kill(node) | Action::Stop(node) | Action::Start(node) => self.node(node),
            Action::Freeze(NodeRef::Client(name)) | Action::Thaw(NodeRef::Client(name)) => self.client_of_kind(name),
            Action::Freeze(node) | Action::Thaw(node) => self.node(node),
            Action::Wipe(NodeRef::Controller(_)) => self.refuse(Feature::ControllerDisks, "wipe"),
            Action::PowerOff(node) | Action::Wipe(node) => self.node(node),
            Action::SlowDisk { broker, .. } => self.broker(broker),
            Action::Cut { sides } => {
                for node in sides.iter().flatten() {
                    self.node(node);
                }
            }
            Action::Link { from, to, .. }
            | Action::DropNext { from, to, .. }
            | Action::DelayNext { from, to, .. }
            | Action::DuplicateNext { from, to, .. } => {
                self.node(from);
                self.node(to);
            }
            _ => {}
        }
    }

    fn create_topic(&mut self, name: &str, factor: Option<i16>, assignment: Option<&[Vec<BrokerId>]>) {
        if self.names.topics.contains_key(name) && !self.names.absent.contains(name) {
            self.wrong(name, format!("Topic '{name}' already exists."));
        }
        for replica in assignment.into_iter().flatten().flatten() {
            if !self.names.brokers.contains(&replica.0) {
                let found = replica.0.to_string();
                let message = format!("no broker `{found}`: the cluster has brokers {}", self.all_brokers());
                self.errors.push(ScriptError::because(self.line.span_of("replica-assignment"), &found, message));
            }
        }
        // ReplicationControlManager, StripedReplicaPlacer
        let brokers = self.names.brokers.len() as i64;
        if let Some(factor) = factor.filter(|factor| i64::from(*factor) > brokers) {
            let message = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
                 cannot be reached because only {brokers} broker(s) are registered."
            );
            self.wrong("replication-factor", message);
        }
    }

    fn create_partitions(&mut self, name: &str, total: i32) {
        self.topic(name);
        // ReplicationControlManager.createPartitions
        if let Some(count) = self.names.partitions(name).filter(|count| total <= *count) {
            let message = if total == count {
                format!("Topic already has {count} partition(s).")
            } else {
                format!("The topic {name} currently has {count} partition(s); {total} would not be an increase.")
            };
            self.wrong(&total.to_string(), message);
        }
    }

    fn topic(&mut self, name: &str) {
        if self.names.topics.contains_key(name) || is_internal_topic(name) {
            return;
        }
        let span = self.line.span_of(name);
        let topics: Vec<&str> = self.names.topics.keys().map(String::as_str).collect();
        self.errors.push(undeclared(span, "topic", name, "topic", topics));
    }

    /// A topic that a client asks for.
    fn topic_of_client(&mut self, name: &str) {
        if !self.names.is_open_to_clients(name) {
            self.topic(name);
        }
    }

    fn partition(&mut self, partition: &TopicPartition) {
        self.partition_of(partition.topic.0.as_str(), partition.partition, &partition.to_string());
    }

    fn partition_of(&mut self, topic: &str, partition: i32, found: &str) {
        if !is_internal_topic(topic) && !self.names.topics.contains_key(topic) {
            let span = self.line.span_of(if found.contains(topic) { found } else { topic });
            let topics: Vec<&str> = self.names.topics.keys().map(String::as_str).collect();
            self.errors.push(undeclared(span, "topic", topic, "topic", topics));
            return;
        }
        if let Some(count) = self.names.partitions(topic).filter(|count| partition >= *count) {
            let last = count - 1;
            let has = if last == 0 { "only partition 0".to_string() } else { format!("partitions 0 to {last}") };
            let message = format!("no partition {partition} of `{topic}`: it has {has}");
            self.wrong(found, message);
        }
    }

    fn new_client(&mut self, name: &str) {
        if let Some(kind) = self.names.clients.get(name) {
            self.wrong(name, format!("`{name}` is declared twice: there is a {} of that name", kind.word()));
        }
    }

    fn client(&mut self, name: &str, kinds: &[ClientKind]) {
        let span = self.line.span_of(name);
        let expected = kinds.first().filter(|_| kinds.len() == 1).map_or("client", |kind| kind.word());
        match self.names.clients.get(name) {
            Some(kind) if kinds.contains(kind) => {}
            Some(kind) => {
                let message = format!("`{name}` is a {}: expected a {expected}", kind.word());
                let error = ScriptError::because(span, name, message);
                self.errors.push(ScriptError { expected: format!("a {expected}"), ..error });
            }
            None => {
                let names: Vec<&str> = kinds.iter().flat_map(|kind| self.names.clients_of(*kind)).collect();
                let by = if expected == "client" { "producer` or `consumer" } else { expected };
                self.errors.push(undeclared(span, expected, name, by, names));
            }
        }
    }

    /// A producer that may have transactions (KafkaProducer.throwIfNoTransactionManager).
    fn transactional(&mut self, name: &str) {
        self.client(name, &[ClientKind::Producer]);
        let is_producer = self.names.clients.get(name) == Some(&ClientKind::Producer);
        if is_producer && !self.names.transactional.contains(name) {
            let message = "Cannot use transactional methods without enabling transactions by setting the \
                           transactional.id configuration property";
            self.wrong(name, message);
        }
    }

    /// A client after the word that says what it is.
    fn client_of_kind(&mut self, name: &str) {
        match self.line.client_kind {
            Some(kind) => self.client(name, &[kind]),
            None => self.client(name, &ClientKind::ALL),
        }
    }

    fn group(&mut self, name: &str) {
        if !self.names.groups.contains(name) {
            let span = self.line.span_of(name);
            let groups: Vec<&str> = self.names.groups.iter().map(String::as_str).collect();
            self.errors.push(undeclared(span, "group", name, "consumer … group=", groups));
        }
    }

    fn node(&mut self, node: &NodeRef) {
        match node {
            NodeRef::Broker(broker) => self.broker(broker),
            NodeRef::Controller(controller) => self.controller(controller),
            NodeRef::Client(name) => self.client(name, &ClientKind::ALL),
        }
    }

    fn broker(&mut self, broker: &BrokerRef) {
        match broker {
            BrokerRef::Id(id) => self.broker_id(*id),
            BrokerRef::Leader(partition) | BrokerRef::Follower(partition) => self.partition(partition),
            BrokerRef::Coordinator(producer) if self.names.transactional.contains(producer) => {}
            BrokerRef::Coordinator(group) => self.group(group),
        }
    }

    fn broker_id(&mut self, id: BrokerId) {
        if !self.names.brokers.contains(&id.0) {
            let found = id.0.to_string();
            let message = format!("no broker `{found}`: the cluster has brokers {}", self.all_brokers());
            self.wrong(&found, message);
        }
    }

    fn all_brokers(&self) -> String {
        self.names.brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
    }

    fn controller(&mut self, controller: &ControllerRef) {
        let ControllerRef::Id(id) = controller else { return };
        if !self.names.controllers.contains(&id.0) {
            let all: Vec<String> = self.names.controllers.iter().map(|number| format!("c{number}")).collect();
            self.wrong(&id.to_string(), format!("no controller `{id}`: the cluster has {}", all.join(",")));
        }
    }

    fn condition(&mut self, condition: &Condition) {
        for Comparison { question, value, .. } in condition.comparisons() {
            self.question(question);
            match value {
                Value::Broker(Some(broker)) => self.broker(broker),
                Value::Brokers(brokers) => brokers.iter().for_each(|broker| self.broker(broker)),
                Value::Controller(Some(controller)) => self.controller(controller),
                Value::Controllers(controllers) => controllers.iter().for_each(|id| self.controller(id)),
                Value::Partitions(partitions) => partitions.iter().for_each(|partition| self.partition(partition)),
                _ => {}
            }
        }
    }

    fn question(&mut self, question: &Question) {
        if let Some(partition) = question.partition() {
            self.partition(partition);
        }
        match question {
            Question::HighWatermark(_, Some(broker))
            | Question::LogEnd(_, Some(broker))
            | Question::LogStart(_, Some(broker))
            | Question::LastStable(_, Some(broker))
            | Question::LogBytes(_, Some(broker))
            | Question::Flushed(_, Some(broker))
            | Question::Cleaned(_, Some(broker))
            | Question::Producers(_, Some(broker))
            | Question::Segments(_, Some(broker))
            | Question::Records(_, Some(broker))
            | Question::Broker(broker) => self.broker(broker),
            Question::GroupState(group)
            | Question::Generation(group)
            | Question::Members(group)
            | Question::Committed(group, _)
            | Question::StartOffset(group, _)
            | Question::Acquired(group, _)
            | Question::Lag(group, _)
            | Question::Duplicated(group)
            | Question::Skipped(group) => self.group(group),
            // Where a share group stands in a partition, none of its consumers knows.
            Question::Position(consumer, _) => self.client(consumer, &[ClientKind::Consumer, ClientKind::Stream]),
            Question::Assigned(consumer) | Question::Delivered(consumer, _) | Question::Values(consumer, _) => {
                self.client(consumer, &[ClientKind::Consumer, ClientKind::ShareConsumer, ClientKind::Stream]);
            }
            Question::Checkpoint(stream, _)
            | Question::Batch(stream)
            | Question::Planned(stream)
            | Question::StreamState(stream) => self.client(stream, &[ClientKind::Stream]),
            Question::Acked(producer) | Question::Failed(producer, _) | Question::Pending(producer) => {
                self.client(producer, &[ClientKind::Producer]);
            }
            Question::Transaction(producer) => self.transactional(producer),
            Question::PartitionOf(topic, _) => self.topic(topic),
            Question::MetadataStart(node) | Question::MetadataEnd(node) | Question::Snapshot(node) => self.node(node),
            _ => {}
        }
    }
}

/// A name that no line before has declared.
fn undeclared(
    span: crate::scenario::error::Span,
    kind: &str,
    name: &str,
    by: &str,
    declared: Vec<&str>,
) -> ScriptError {
    let error = ScriptError::unknown(span, kind, name, declared.iter().copied());
    let message = if declared.is_empty() {
        format!("unknown {kind} `{name}`: expected `{by}` on a line before")
    } else {
        error.message.clone()
    };
    ScriptError { message, ..error }
}
