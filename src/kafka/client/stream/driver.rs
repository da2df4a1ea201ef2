//! The driver's questions before a batch: which partitions there are, and where they begin or end
//! (KafkaOffsetReaderAdmin). Each is asked a few times before the query fails.

use crate::kafka::client::consumer::{Process, Purpose};
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::stream::checkpoint::Offsets;
use crate::kafka::client::stream::lookup::Lookup;
use crate::kafka::client::subscription::ResetTo;
use crate::kafka::config::{Place, StreamConfig};
use crate::kafka::fact::error_name;
use crate::kafka::node::Turn;
use crate::sorted::SortedSet;
use crate::time::Instant;
use crate::wire::{ErrorCode, Offset, TopicName, TopicPartition};

/// What is to be known.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// `startingOffsets`: where the query begins.
    Start,
    /// How far a batch can go.
    Latest,
    /// Where partitions begin that the last batch did not know; then a batch can be planned up to `latest`,
    /// or the planned one be run again.
    New { partitions: SortedSet<TopicPartition>, latest: Option<Offsets> },
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// The topics are looked at; the metadata must be newer than this version.
    Topics {
        since: u64,
    },
    Offsets(Lookup),
    /// Before the next attempt; of one that failed, with its error.
    Rest {
        until: Instant,
        error: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Asking {
    pub goal: Goal,
    stage: Stage,
    /// From 1.
    attempt: i32,
    /// When a call of the admin client's is over (`default.api.timeout.ms`).
    deadline: Instant,
    /// What the leaders are asked.
    wanted: Vec<(TopicPartition, ResetTo)>,
    /// Places of `startingOffsets` that need no looking up.
    given: Offsets,
}

/// What the driver has to go by.
pub struct Known<'a> {
    pub config: &'a StreamConfig,
    pub topics: &'a [TopicName],
    /// Where the next batch begins.
    pub start: Option<&'a Offsets>,
}

impl Asking {
    pub fn new(goal: Goal, reader: &mut Process, now: Instant, config: &StreamConfig) -> Asking {
        let mut asking = Asking {
            goal,
            stage: Stage::Topics { since: 0 },
            attempt: 1,
            deadline: now,
            wanted: Vec::new(),
            given: Offsets::new(),
        };
        asking.look(reader, now, config);
        asking
    }

    /// KafkaOffsetReaderAdmin.partitionsAssignedToAdmin: an attempt begins with the topics.
    fn look(&mut self, reader: &mut Process, now: Instant, config: &StreamConfig) {
        reader.metadata.look_anew();
        self.stage = Stage::Topics { since: reader.metadata.version() };
        self.deadline = now + config.consumer.default_api_timeout;
    }

    /// Goes on as far as it can at this instant; in the end what was asked, or why it cannot be known.
    pub fn go_on(
        &mut self,
        reader: &mut Process,
        turn: &mut Turn<'_>,
        known: &Known<'_>,
    ) -> Option<Result<Offsets, String>> {
        let consumer = &known.config.consumer;
        loop {
            match &mut self.stage {
                Stage::Rest { until, .. } if *until > turn.now => return None,
                Stage::Rest { error: Some(error), .. } if self.attempt >= known.config.offset_attempts => {
                    return Some(Err(std::mem::take(error)));
                }
                Stage::Rest { error, .. } => {
                    self.attempt += 1;
                    match error {
                        Some(_) => self.look(reader, turn.now, known.config),
                        None => self.stage = Stage::Offsets(self.lookup()),
                    }
                }
                Stage::Topics { since } => {
                    let since = *since;
                    reader.metadata.maybe_look(&mut reader.network, turn, Purpose::Metadata);
                    if reader.metadata.version() > since {
                        match self.looked(&reader.metadata, known) {
                            Ok(()) => self.stage = Stage::Offsets(self.lookup()),
                            Err(error) => self.rest(turn.now, known.config, Some(error)),
                        }
                    } else if !self.is_over(turn.now, known.config, "describeTopics") {
                        return None;
                    }
                }
                Stage::Offsets(lookup) => {
                    lookup.ask(reader, turn, consumer);
                    reader.metadata.maybe_look(&mut reader.network, turn, Purpose::Metadata);
                    if lookup.is_done() {
                        let found: Offsets = lookup.offsets().collect();
                        if !self.is_incorrect(&found, known) {
                            return Some(Ok(self.given.iter().map(|(p, o)| (p.clone(), *o)).chain(found).collect()));
                        }
                        self.rest(turn.now, known.config, None);
                    } else if !self.is_over(turn.now, known.config, "listOffsets") {
                        return None;
                    }
                }
            }
        }
    }

    /// Whether the call has taken too long; then the attempt is over.
    fn is_over(&mut self, now: Instant, config: &StreamConfig, call: &str) -> bool {
        let over = now >= self.deadline;
        if over {
            let waited = config.consumer.default_api_timeout.millis();
            self.rest(now, config, Some(format!("TimeoutException: {call} got no answer in {waited} ms")));
        }
        over
    }

    fn rest(&mut self, now: Instant, config: &StreamConfig, error: Option<String>) {
        self.stage = Stage::Rest { until: now + config.offset_retry_interval, error };
    }

    /// The topics were looked at.
    fn looked(&mut self, metadata: &Metadata, known: &Known<'_>) -> Result<(), String> {
        let all = assigned(metadata, known.topics)?;
        self.given.clear();
        self.wanted = match &self.goal {
            Goal::Start => {
                let mut wanted = Vec::new();
                for (partition, place) in known.config.starting.places(&all)? {
                    match place {
                        Place::Earliest => wanted.push((partition, ResetTo::Earliest)),
                        Place::Latest => wanted.push((partition, ResetTo::Latest)),
                        Place::At(offset) => {
                            self.given.insert(partition, offset);
                        }
                    }
                }
                wanted
            }
            Goal::Latest => all.iter().map(|partition| (partition.clone(), ResetTo::Latest)).collect(),
            // What was deleted meanwhile has no beginning.
            Goal::New { partitions, .. } => {
                let here = partitions.iter().filter(|partition| all.contains(*partition));
                here.map(|partition| (partition.clone(), ResetTo::Earliest)).collect()
            }
        };
        Ok(())
    }

    fn lookup(&self) -> Lookup {
        Lookup::new(self.wanted.iter().cloned())
    }

    /// KafkaOffsetReaderAdmin.fetchLatestOffsets: an end before where the batch begins is asked for again,
    /// and believed at last.
    fn is_incorrect(&self, found: &Offsets, known: &Known<'_>) -> bool {
        let is_before = |(partition, end): (&TopicPartition, &Offset)| {
            known.start.and_then(|start| start.get(partition)).is_some_and(|start| end < start)
        };
        self.goal == Goal::Latest && self.attempt < known.config.offset_attempts && found.iter().any(is_before)
    }

    /// The lookup that is under way.
    pub fn lookup_mut(&mut self) -> Option<&mut Lookup> {
        match &mut self.stage {
            Stage::Offsets(lookup) => Some(lookup),
            Stage::Topics { .. } | Stage::Rest { .. } => None,
        }
    }

    /// A leader refused for good.
    pub fn failed(&mut self, now: Instant, config: &StreamConfig, error: ErrorCode) {
        self.rest(now, config, Some(error_name(error)));
    }

    /// When it goes on by itself.
    pub fn wakes(&self) -> Vec<Instant> {
        match &self.stage {
            Stage::Topics { .. } => vec![self.deadline],
            Stage::Offsets(lookup) => lookup.tries().chain([self.deadline]).collect(),
            Stage::Rest { until, .. } => vec![*until],
        }
    }
}

/// Every partition of the topics (ConsumerStrategy.retrieveAllPartitions); describeTopics fails as a whole.
fn assigned(metadata: &Metadata, topics: &[TopicName]) -> Result<SortedSet<TopicPartition>, String> {
    let mut all = SortedSet::new();
    for topic in topics {
        let Some(known) = metadata.topic(topic) else {
            let why = match metadata.refusal(topic) {
                Some(ErrorCode::UnknownTopicOrPartition) | None => {
                    "UnknownTopicOrPartitionException: This server does not host this topic-partition.".to_string()
                }
                Some(error) => error_name(error),
            };
            return Err(format!("{} ({})", why, topic.0.as_str()));
        };
        all.extend((0..known.partitions.len() as i32).map(|number| TopicPartition::new(topic.clone(), number)));
    }
    Ok(all)
}
