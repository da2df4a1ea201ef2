//! The share coordinator of one broker (KIP-932; ShareCoordinatorService, ShareCoordinatorShard): what
//! became of the records that share groups read, over the partitions of `__share_group_state` that this
//! broker leads. The leaders of the partitions that are read ask it to keep that and to tell it again.
//!
//! A request names share partitions of one group; each is decided for itself, and the answer goes out
//! when all are decided and committed.

mod combine;
mod messages;
mod records;
mod runtime;
mod state;

use std::collections::VecDeque;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::{CoordinatorType, Reply, Runtime, partition_of};
use crate::kafka::node::{Alarm, Turn};
use crate::kafka::share::SharePartitionKey;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, Correlation, ErrorCode, NodeId, Request, TopicPartition, Uuid, code};

pub use combine::combine;
pub use records::{ShareRecord, Snapshot, Update};
pub use state::{Decision, Known, Op, ShareState, States};

/// What the coordinator reads of the broker's settings.
#[derive(Clone, Debug, PartialEq)]
struct Settings {
    partitions: i32,
    updates_per_snapshot: i32,
    write_timeout: Duration,
}

/// What was asked of one share partition, and which place in which answer it has.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    answer: u64,
    place: u32,
    /// The partition of `__share_group_state` that it belongs to.
    home: i32,
    key: SharePartitionKey,
    op: Op,
    /// The metadata knows the partition.
    exists: bool,
}

/// A request whose parts are not all decided yet.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    reply: Reply,
    api: ApiKey,
    results: Vec<PartResult>,
    /// How many of its results are still open.
    open: u32,
}

/// What is answered of a share partition.
#[derive(Clone, Debug, PartialEq)]
struct PartResult {
    topic: Uuid,
    partition: i32,
    known: Result<Option<Known>, ErrorCode>,
}

/// A decision on its way into the log, or an answer that waits for those before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    record: Option<ShareRecord>,
    /// Whose part it is; nobody's when the coordinator itself deletes what it knew of a deleted topic.
    part: Option<(u64, u32)>,
    answer: Option<Known>,
    /// When nobody waits for it any more.
    deadline: Instant,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShareCoordinator {
    settings: Settings,
    /// By the partition of `__share_group_state` that they are kept in.
    shards: SortedMap<i32, States>,
    runtime: Runtime<Decided>,
    /// Parts that wait for the decision before them to stand in the log.
    todo: VecDeque<Part>,
    answers: SortedMap<u64, Answer>,
    last_answer: u64,
}

impl ShareCoordinator {
    /// Of a process that starts now.
    pub fn new(config: &BrokerConfig) -> ShareCoordinator {
        let settings = Settings {
            partitions: config.share.state_topic_num_partitions,
            updates_per_snapshot: config.share.snapshot_update_records,
            write_timeout: config.share.write_timeout,
        };
        ShareCoordinator {
            settings,
            shards: SortedMap::new(),
            runtime: Runtime::default(),
            todo: VecDeque::new(),
            answers: SortedMap::new(),
            last_answer: 0,
        }
    }

    /// INITIALIZE_, READ_, WRITE_, DELETE_SHARE_GROUP_STATE and READ_SHARE_GROUP_STATE_SUMMARY: answered
    /// through the turn at once, or when what was decided is committed.
    pub fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        let (group, parts) = messages::parts(request);
        let (api, reply) = (request.api(), Reply { to: from, correlation });
        // ShareCoordinatorService answers nothing at all to a request without a group.
        if parts.is_empty() || group.0.trim().is_empty() {
            return messages::respond(turn, reply, api, Vec::new());
        }
        self.last_answer += 1;
        let answer = self.last_answer;
        let mut results = Vec::with_capacity(parts.len());
        for (place, (topic, partition, op)) in parts.into_iter().enumerate() {
            let name = image.topic_names.get(&topic).cloned();
            let exists = name.is_some_and(|name| image.partition(&TopicPartition::new(name, partition)).is_some());
            let key = SharePartitionKey { group: group.clone(), topic, partition };
            let home = partition_of(image, CoordinatorType::Share, self.settings.partitions, &key.to_string());
            self.todo.push_back(Part { answer, place: place as u32, home, key, op, exists });
            results.push(PartResult { topic, partition, known: Ok(None) });
        }
        let open = results.len() as u32;
        self.answers.insert(answer, Answer { reply, api, results, open });
        self.decide(turn);
    }

    /// The topic is no more, and nobody asks what became of its records (maybeCleanupShareState).
    pub fn topic_deleted(&mut self, turn: &mut Turn<'_>, topic: Uuid) {
        for (partition, states) in &self.shards {
            for key in states.keys().filter(|key| key.topic == topic) {
                let record = Some(ShareRecord::Snapshot(key.clone(), None));
                let deadline = turn.now + self.settings.write_timeout;
                self.runtime.push(turn.now, *partition, Decided { record, part: None, answer: None, deadline });
            }
        }
    }

    /// Every share partition that this broker keeps, by partition of `__share_group_state`.
    pub fn states(&self) -> impl Iterator<Item = (&SharePartitionKey, &ShareState)> {
        self.shards.values().flatten()
    }

    pub fn alarm(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        for write in self.runtime.give_up(|write| write.what.deadline <= now) {
            self.finish(turn, write.what, Err(ErrorCode::CoordinatorNotAvailable));
        }
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let first = self.runtime.deferred().map(|write| write.what.deadline).min();
        first.map(|at| (at, Alarm::ShareCoordinator))
    }

    /// Decides what waits, up to the next decision that must stand in the log before anything is built on it.
    fn decide(&mut self, turn: &mut Turn<'_>) {
        while let Some(part) = self.todo.pop_front() {
            if self.decide_part(turn, part) {
                return;
            }
        }
    }

    /// True if there is something to append now.
    fn decide_part(&mut self, turn: &mut Turn<'_>, part: Part) -> bool {
        let Part { answer, place, home, key, op, exists } = part;
        let nowhere = States::new();
        let states = self.shards.get(&home).unwrap_or(&nowhere);
        let decision = self.runtime.ready(home).and_then(|_| {
            state::decide(states, &key, &op, exists, turn.now.millis(), self.settings.updates_per_snapshot)
        });
        let Decision { record, answer: known } = match decision {
            Ok(decision) => decision,
            Err(error) => {
                self.fill(turn, answer, place, Err(error));
                return false;
            }
        };
        let deadline = turn.now + self.settings.write_timeout;
        let has_record = record.is_some();
        let decided = Decided { record, part: Some((answer, place)), answer: known, deadline };
        if has_record {
            self.runtime.push(turn.now, home, decided);
        } else if self.runtime.is_waiting(home) {
            // What was read may not be committed yet.
            let write = self.runtime.write(turn.now, home, self.runtime.end(home), decided);
            self.runtime.defer(write);
        } else {
            self.finish(turn, decided, Ok(()));
        }
        has_record
    }

    fn finish(&mut self, turn: &mut Turn<'_>, decided: Decided, result: Result<(), ErrorCode>) {
        let Decided { record: _, part, answer: known, deadline: _ } = decided;
        if let Some((answer, place)) = part {
            self.fill(turn, answer, place, result.map(|()| known));
        }
    }

    /// One part is decided; with the last one the answer goes out.
    fn fill(&mut self, turn: &mut Turn<'_>, answer: u64, place: u32, known: Result<Option<Known>, ErrorCode>) {
        let Some(waiting) = self.answers.get_mut(&answer) else { return };
        if let Some(result) = waiting.results.get_mut(place as usize) {
            result.known = known;
            waiting.open -= 1;
        }
        if waiting.open == 0
            && let Some(Answer { reply, api, results, open: _ }) = self.answers.remove(&answer)
        {
            messages::respond(turn, reply, api, results);
        }
    }
}

impl PartResult {
    fn error_code(&self) -> i16 {
        code(self.known.as_ref().err().copied())
    }
}
