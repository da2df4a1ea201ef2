//! What the lines of a script have named so far: what a later line may refer to.

use crate::kafka::config::BrokerConfig;
use crate::scenario::lex::{LineBody, Word, lex};
use crate::scenario::script::{Line, Script, Statement};
use crate::scenario::words::{VERBS, nearest};
use crate::sim::action::{Action, ClusterSetup};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{OFFSETS_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC, validate_topic_name};

/// Whether the brokers make a topic that a client asks for.
const AUTO_CREATE: &str = "auto.create.topics.enable";

/// A mistaken `cluster` line is believed up to so many nodes.
const COUNT_MAX: i32 = 1000;

/// What a client is; the word stands before its name in `kill consumer c1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientKind {
    Producer,
    Consumer,
    ShareConsumer,
    Stream,
}

impl ClientKind {
    pub const ALL: [ClientKind; 4] =
        [ClientKind::Producer, ClientKind::Consumer, ClientKind::ShareConsumer, ClientKind::Stream];

    pub fn word(self) -> &'static str {
        match self {
            ClientKind::Producer => "producer",
            ClientKind::Consumer => "consumer",
            ClientKind::ShareConsumer => "share-consumer",
            ClientKind::Stream => "stream",
        }
    }

    pub fn parse(word: &str) -> Option<ClientKind> {
        ClientKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    pub brokers: SortedSet<i32>,
    pub controllers: SortedSet<i32>,
    pub config: BrokerConfig,
    /// With the number of partitions; `None` when the line that says it is itself wrong.
    pub topics: SortedMap<String, Option<i32>>,
    /// Those of them that may not be there: they were deleted, or a client alone has asked for them. They may be named
    /// all the same: to ask whether they are there, and because whoever uses them may have them made
    /// (`auto.create.topics.enable`).
    pub absent: SortedSet<String>,
    /// The `cluster` says itself what happens to a topic that a client asks for and nobody has created. Otherwise such
    /// a name counts as misspelt.
    pub any_topic: bool,
    pub clients: SortedMap<String, ClientKind>,
    /// Producers with a `transactional.id`.
    pub transactional: SortedSet<String>,
    pub groups: SortedSet<String>,
    /// Those of them that a share-consumer has joined.
    pub share_groups: SortedSet<String>,
    /// No statement so far: a `cluster` may still come.
    pub empty: bool,
    /// Whether a `cluster` stood.
    pub cluster: bool,
    /// Earlier than this the script's time cannot be.
    pub earliest: Instant,
}

impl Names {
    /// Before the first line: the default cluster.
    pub fn new() -> Names {
        Names {
            brokers: (1..=3).collect(),
            controllers: (1..=3).collect(),
            config: BrokerConfig::default(),
            topics: SortedMap::new(),
            absent: SortedSet::new(),
            any_topic: false,
            clients: SortedMap::new(),
            transactional: SortedSet::new(),
            groups: SortedSet::new(),
            share_groups: SortedSet::new(),
            empty: true,
            cluster: false,
            earliest: Instant::ZERO,
        }
    }

    pub fn of(script: &Script) -> Names {
        let mut names = Names::new();
        for line in &script.lines {
            names.declare(line);
        }
        names
    }

    /// How many partitions a topic has; `None` when there is no such topic or nobody knows.
    pub fn partitions(&self, topic: &str) -> Option<i32> {
        match topic {
            OFFSETS_TOPIC => Some(self.config.offsets_topic_num_partitions),
            TRANSACTION_TOPIC => Some(self.config.transaction_topic_num_partitions),
            SHARE_STATE_TOPIC => Some(self.config.share.state_topic_num_partitions),
            _ => *self.topics.get(topic)?,
        }
    }

    pub fn clients_of(&self, kind: ClientKind) -> impl Iterator<Item = &str> {
        self.clients.iter().filter(move |(_, k)| **k == kind).map(|(name, _)| name.as_str())
    }

    /// Takes in what a line names.
    pub fn declare(&mut self, line: &Line) {
        match &line.statement {
            Some(statement) => {
                self.take(statement);
                self.empty &= matches!(statement, Statement::Prose(_));
            }
            None => self.declare_broken(&line.source, line.number),
        }
    }

    fn take(&mut self, statement: &Statement) {
        match statement {
            Statement::Cluster(setup) => self.take_cluster(setup),
            Statement::Act(action) => self.take_action(action),
            Statement::Wait(duration) => self.earliest += *duration,
            Statement::At(instant) => self.earliest = self.earliest.max(*instant),
            _ => {}
        }
    }

    /// The first declaration counts: a second one is an error of its own.
    fn declare_client(&mut self, name: &str, kind: ClientKind) {
        self.clients.entry(name.to_string()).or_insert(kind);
    }

    fn take_cluster(&mut self, setup: &ClusterSetup) {
        if !self.cluster {
            self.cluster = true;
            self.brokers = (1..=setup.brokers).collect();
            self.controllers = (1..=setup.controllers).collect();
            self.config = setup.config.clone();
            self.any_topic = setup.configs.contains_key(AUTO_CREATE);
        }
    }

    /// A client may name this topic: it was created, or the script says what happens when it was not.
    pub fn is_open_to_clients(&self, topic: &str) -> bool {
        self.topics.contains_key(topic) || self.any_topic && validate_topic_name(topic).is_ok()
    }

    /// A client asks for a topic, which may be there or not.
    fn ask_for(&mut self, topic: &str) {
        if self.any_topic && validate_topic_name(topic).is_ok() && !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), None);
            self.absent.insert(topic.to_owned());
        }
    }

    fn take_action(&mut self, action: &Action) {
        match action {
            Action::CreateTopic { name, partitions, assignment, .. } => {
                let count = assignment.as_ref().map(|lists| lists.len() as i32);
                let count = count.or(*partitions).unwrap_or(self.config.num_partitions);
                self.topics.insert(name.clone(), Some(count));
                self.absent.remove(name);
            }
            Action::DeleteTopic { name } => {
                self.absent.insert(name.clone());
            }
            Action::CreatePartitions { name, total } => {
                if let Some(Some(count)) = self.topics.get_mut(name) {
                    *count = (*count).max(*total);
                }
            }
            Action::AddBroker { id, .. } => {
                self.brokers.insert(id.0);
            }
            Action::AddController { id } => {
                self.controllers.insert(id.0);
            }
            Action::AddProducer { name, transactional_id, .. } => {
                self.declare_client(name, ClientKind::Producer);
                if transactional_id.is_some() {
                    self.transactional.insert(name.clone());
                }
            }
            Action::AddConsumer { name, group, topics, .. } => {
                self.declare_client(name, ClientKind::Consumer);
                self.groups.insert(group.clone());
                topics.iter().for_each(|topic| self.ask_for(topic));
            }
            Action::AddShareConsumer { name, group, topics, .. } => {
                self.declare_client(name, ClientKind::ShareConsumer);
                self.groups.insert(group.clone());
                self.share_groups.insert(group.clone());
                topics.iter().for_each(|topic| self.ask_for(topic));
            }
            Action::AddStream { name, subscribe, .. } => {
                self.declare_client(name, ClientKind::Stream);
                subscribe.iter().for_each(|topic| self.ask_for(topic));
            }
            Action::Send { record, .. } => self.ask_for(record.topic.0.as_str()),
            Action::Load { topic, .. } => self.ask_for(topic),
            Action::AlterGroup { name, .. } | Action::DeleteGroup { name } => {
                self.groups.insert(name.clone());
            }
            Action::ResetOffsets { group, .. } => {
                self.groups.insert(group.clone());
            }
            _ => {}
        }
    }

    /// A line with an error still names what it names, so that one mistake is one error.
    fn declare_broken(&mut self, source: &str, number: u32) {
        let Ok(lexed) = lex(source, number) else {
            self.empty = false;
            return;
        };
        let LineBody::Words(words) = lexed.body else { return };
        self.empty = false;
        let name = words.get(1).map(|word| word.text());
        let verb = words[0].text();
        // A misspelt verb declares what the nearest one would.
        let verb =
            if VERBS.contains(&verb.as_str()) { Some(verb.as_str()) } else { nearest(&verb, VERBS.iter().copied()) };
        match (verb.unwrap_or_default(), name) {
            ("cluster", _) => self.declare_broken_cluster(&words),
            ("topic", Some(name)) => {
                self.topics.insert(name, None);
            }
            (verb, Some(name)) => {
                if let Some(kind) = ClientKind::parse(verb) {
                    self.declare_client(&name, kind);
                    // Of what is wrong with its transactions its own line has spoken.
                    self.transactional.insert(name);
                    let groups = words.iter().filter_map(|word| word.split_once("="));
                    self.groups.extend(groups.filter(|(key, _)| key.is("group")).map(|(_, value)| value.text()));
                }
            }
            _ => {}
        }
    }

    /// How many brokers and controllers it would have, where that can be read.
    fn declare_broken_cluster(&mut self, words: &[Word]) {
        self.cluster = true;
        for (key, value) in words.iter().filter_map(|word| word.split_once("=")) {
            let Some(count) = value.text().parse().ok().filter(|count| (1..=COUNT_MAX).contains(count)) else {
                continue;
            };
            if key.is("brokers") {
                self.brokers = (1..=count).collect();
            } else if key.is("controllers") {
                self.controllers = (1..=count).collect();
            }
        }
    }
}

impl Default for Names {
    fn default() -> Names {
        Names::new()
    }
}
