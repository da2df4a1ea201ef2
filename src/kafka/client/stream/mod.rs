//! A stream reader: a query of a structured-streaming engine that reads topics in micro-batches, keeps its
//! own checkpoint, and commits nothing to a group (Spark's MicroBatchExecution over its Kafka source). At
//! each trigger its driver asks how far the logs go, plans a batch and writes it down; its executors read
//! the batch into the sink; then its commit is written.

pub mod checkpoint;
mod driver;
mod executor;
mod lookup;
pub mod plan;
pub mod sink;
#[cfg(test)]
mod tests;

use crate::kafka::client::consumer::{Process as Reader, Purpose};
use crate::kafka::client::network::InFlight;
use crate::kafka::client::stream::checkpoint::{Checkpoint, Offsets, as_json};
use crate::kafka::client::stream::driver::{Asking, Goal, Known};
use crate::kafka::client::stream::executor::{Course, Reading};
use crate::kafka::client::stream::plan::{Loss, Plan, new_partitions, plan, rate_limit, waiting};
use crate::kafka::client::stream::sink::Sink;
use crate::kafka::client::subscription::Assigned;
use crate::kafka::config::StreamConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Command, Input, Node, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{Body, ClientId, NodeId, Offset, Response, TopicName, TopicPartition, str_bytes, topic_name};

/// `spark.sql.streaming.pollingDelay`: how long a query without a trigger of its own waits when there is
/// nothing new.
const POLLING_DELAY: Duration = Duration::from_millis(10);

/// What Spark adds to every loss that ends a query.
const IF_NOT: &str = "If you don't want your streaming query to fail on such cases, set the source option \
                      \"failOnDataLoss\" to \"false\".";

/// A query, running or not.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamReader {
    id: ClientId,
    name: String,
    topics: Vec<TopicName>,
    config: StreamConfig,
    bootstrap: Vec<NodeId>,
    checkpoint: Checkpoint,
    sink: Sink,
    /// Offsets that were passed over because their records were gone (`failOnDataLoss=false`).
    passed_over: u64,
    /// Why the query ended by itself; until it is started again.
    failure: Option<String>,
    process: Option<Process>,
    /// The earliest alarm, computed at the end of every input.
    alarm: Option<(Instant, Alarm)>,
}

/// What a kill takes away: the driver and its executors.
#[derive(Clone, Debug, PartialEq)]
struct Process {
    reader: Reader,
    phase: Phase,
    /// When the trigger under way came.
    triggered: Instant,
    /// When the last batch began that had waited for `minOffsetsPerTrigger`; `None`: it has not waited yet.
    last_batch: Option<Instant>,
    /// How far the logs went at the last trigger.
    latest: Offsets,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    /// For the next trigger.
    Waiting(Instant),
    Asking(Box<Asking>),
    Reading(Box<Reading>),
}

impl StreamReader {
    pub fn new(
        id: ClientId,
        name: &str,
        topics: &[String],
        bootstrap: Vec<NodeId>,
        config: StreamConfig,
    ) -> StreamReader {
        StreamReader {
            id,
            name: name.to_string(),
            topics: topics.iter().map(|topic| topic_name(topic)).collect(),
            config,
            bootstrap,
            checkpoint: Checkpoint::default(),
            sink: Sink::default(),
            passed_over: 0,
            failure: None,
            process: None,
            alarm: None,
        }
    }

    pub fn id(&self) -> ClientId {
        self.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Why the query ended, if it failed.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The processes die without a word to anybody; checkpoint and sink are elsewhere.
    pub fn kill(&mut self) {
        self.process = None;
        self.alarm = None;
    }

    /// What it reads next of each partition: in the batch under way, else where the next one begins. Nothing
    /// while it does not run.
    pub fn positions(&self) -> Offsets {
        let Some(process) = &self.process else { return Offsets::new() };
        let mut positions = self.checkpoint.start().cloned().unwrap_or_default();
        if let Phase::Reading(reading) = &process.phase {
            positions.extend(reading.positions().iter().map(|(partition, offset)| (partition.clone(), *offset)));
        }
        positions
    }

    /// How far the logs went at the last trigger of this process.
    pub fn latest(&self) -> Option<&Offsets> {
        self.process.as_ref().map(|process| &process.latest)
    }

    /// What its executors' consumers are assigned at this moment.
    pub fn assigned(&self) -> impl Iterator<Item = (&TopicPartition, &Assigned)> {
        self.process.iter().flat_map(|process| &process.reader.subscription.assigned)
    }

    /// What it does in a word.
    pub fn activity(&self) -> &'static str {
        match self.process.as_ref().map(|process| &process.phase) {
            None if self.failure.is_some() => "failed",
            None => "stopped",
            Some(Phase::Waiting(_)) => "waiting for its trigger",
            Some(Phase::Asking(_)) => "looking for new records",
            Some(Phase::Reading(_)) => "reading a batch",
        }
    }

    /// How many tasks the batch under way has.
    pub fn tasks(&self) -> Option<u32> {
        match &self.process.as_ref()?.phase {
            Phase::Reading(reading) => Some(reading.tasks()),
            Phase::Waiting(_) | Phase::Asking(_) => None,
        }
    }

    /// MicroBatchExecution.populateStartOffsets: a planned batch without its commit is run again.
    fn start(&mut self, turn: &mut Turn<'_>) {
        self.failure = None;
        let reader =
            Reader::without_group(self.id, self.bootstrap.clone(), &self.topics, &self.config.consumer, turn.now);
        self.process = Some(Process {
            reader,
            phase: Phase::Waiting(turn.now),
            triggered: turn.now,
            last_batch: None,
            latest: Offsets::new(),
        });
        if self.checkpoint.has_begun() && self.checkpoint.planned().is_none() {
            turn.tell(Fact::StreamResumed { stream: self.id, batch: self.checkpoint.next().0 });
        }
    }

    /// Everything that can be done at this instant.
    fn go_on(&mut self, turn: &mut Turn<'_>) {
        while let Some(process) = &mut self.process {
            match &mut process.phase {
                Phase::Waiting(until) if *until > turn.now => return,
                Phase::Waiting(_) => self.trigger(turn),
                Phase::Asking(asking) => {
                    let known = Known { config: &self.config, topics: &self.topics, start: self.checkpoint.start() };
                    match asking.go_on(&mut process.reader, turn, &known) {
                        None => return,
                        Some(Err(error)) => return self.fail(turn, &error),
                        Some(Ok(offsets)) => {
                            let goal = asking.goal.clone();
                            self.answered(turn, goal, offsets);
                        }
                    }
                }
                Phase::Reading(reading) => {
                    match reading.go_on(&mut process.reader, &mut self.sink, turn, &self.config) {
                        Course::Waits => return,
                        Course::Lost(loss) => self.lost(turn, &loss),
                        Course::Done { records } => self.commit(turn, records),
                        Course::Failed(error) => return self.fail(turn, &error),
                    }
                }
            }
        }
    }

    /// ProcessingTimeExecutor: one trigger.
    fn trigger(&mut self, turn: &mut Turn<'_>) {
        let Some(process) = &mut self.process else { return };
        process.triggered = turn.now;
        let goal = match (self.checkpoint.start(), self.checkpoint.planned()) {
            (None, _) => Goal::Start,
            (Some(_), None) => Goal::Latest,
            (Some(start), Some(end)) => {
                let partitions = new_partitions(start, end);
                if partitions.is_empty() {
                    return self.run(turn, &Offsets::new(), true);
                }
                Goal::New { partitions, latest: None }
            }
        };
        self.ask(turn, goal);
    }

    fn ask(&mut self, turn: &Turn<'_>, goal: Goal) {
        if let Some(process) = &mut self.process {
            let asking = Asking::new(goal, &mut process.reader, turn.now, &self.config);
            process.phase = Phase::Asking(Box::new(asking));
        }
    }

    fn answered(&mut self, turn: &mut Turn<'_>, goal: Goal, offsets: Offsets) {
        match goal {
            Goal::Start => {
                turn.tell(Fact::StreamBegun { stream: self.id, offsets: str_bytes(&as_json(&offsets)) });
                self.checkpoint.begin_at(offsets);
                self.ask(turn, Goal::Latest);
            }
            Goal::Latest => {
                let start = self.checkpoint.start().cloned().unwrap_or_default();
                if let Some(process) = &mut self.process {
                    process.latest = offsets.clone();
                }
                let partitions = new_partitions(&start, &offsets);
                if partitions.is_empty() {
                    return self.construct(turn, &start, offsets, &Offsets::new());
                }
                self.ask(turn, Goal::New { partitions, latest: Some(offsets) });
            }
            Goal::New { latest: Some(latest), .. } => {
                let start = self.checkpoint.start().cloned().unwrap_or_default();
                self.construct(turn, &start, latest, &offsets);
            }
            Goal::New { latest: None, .. } => self.run(turn, &offsets, true),
        }
    }

    /// MicroBatchExecution.constructNextBatch: a batch is planned when there is something new.
    fn construct(&mut self, turn: &mut Turn<'_>, start: &Offsets, latest: Offsets, earliest: &Offsets) {
        let end = self.limited(turn.now, start, latest, earliest);
        if !self.checkpoint.is_news(&end) {
            return self.rest(turn.now, false);
        }
        self.checkpoint.plan(end);
        self.run(turn, earliest, false);
    }

    /// KafkaMicroBatchStream.latestOffset: how far a batch goes under the limits.
    fn limited(&mut self, now: Instant, start: &Offsets, latest: Offsets, earliest: &Offsets) -> Offsets {
        let delay = self.config.max_trigger_delay;
        if let (Some(least), Some(process)) = (self.config.min_offsets_per_trigger, &mut self.process) {
            // Nothing waits for what has never been: the first batch begins at once.
            let has_waited = process.last_batch.is_none_or(|last| now.since(last) >= delay);
            if !has_waited && waiting(start, &latest) < least {
                return start.clone();
            }
            process.last_batch = Some(now);
        }
        match self.config.max_offsets_per_trigger {
            Some(limit) => rate_limit(limit, start, earliest, &latest),
            None => latest,
        }
    }

    /// The planned batch is cut into tasks, and they begin.
    fn run(&mut self, turn: &mut Turn<'_>, earliest: &Offsets, is_again: bool) {
        let (Some(start), Some(end)) = (self.checkpoint.start(), self.checkpoint.planned()) else { return };
        let Plan { tasks, losses } = plan(start, end, earliest, self.config.min_partitions);
        let mut ranges: SortedMap<TopicPartition, (Offset, Offset)> = SortedMap::new();
        for task in &tasks {
            ranges.entry(task.partition.clone()).or_insert((task.from, task.until)).1 = task.until;
        }
        turn.tell(Fact::StreamPlanned {
            stream: self.id,
            batch: self.checkpoint.next().0,
            ranges: ranges.into_iter().map(|(partition, (from, until))| (partition, from, until)).collect(),
            tasks: tasks.len() as u32,
            again: is_again,
        });
        for loss in losses {
            if self.config.fail_on_data_loss {
                return self.fail_for(turn, &loss);
            }
            self.lost(turn, &loss);
        }
        self.sink.begin(!is_again);
        if let Some(process) = &mut self.process {
            let reading = Reading::begin(&mut process.reader, self.checkpoint.next(), &tasks, turn.now);
            process.phase = Phase::Reading(Box::new(reading));
        }
    }

    /// Records are gone (KafkaMicroBatchStream.reportDataLoss, KafkaDataConsumer).
    fn lost(&mut self, turn: &mut Turn<'_>, loss: &Loss) {
        if self.config.fail_on_data_loss {
            return self.fail_for(turn, loss);
        }
        self.passed_over += loss.offsets;
        turn.tell(Fact::StreamDataLost {
            stream: self.id,
            partition: loss.partition.clone(),
            message: str_bytes(&loss.message),
        });
    }

    fn fail_for(&mut self, turn: &mut Turn<'_>, loss: &Loss) {
        self.fail(turn, &format!("{}. {IF_NOT}", loss.message));
    }

    /// The query ends with an exception (StreamingQueryException); its checkpoint stays.
    fn fail(&mut self, turn: &mut Turn<'_>, error: &str) {
        turn.tell(Fact::StreamFailed { stream: self.id, error: str_bytes(error) });
        self.failure = Some(error.to_string());
        self.kill();
    }

    /// The sink has the batch: its commit is written.
    fn commit(&mut self, turn: &mut Turn<'_>, records: u64) {
        turn.tell(Fact::StreamBatchDone { stream: self.id, batch: self.checkpoint.next().0, records });
        self.checkpoint.commit();
        self.rest(turn.now, true);
    }

    /// Until the next trigger: at a multiple of its interval (ProcessingTimeExecutor.nextBatchTime), at once
    /// when that is past.
    fn rest(&mut self, now: Instant, had_news: bool) {
        let Some(process) = &mut self.process else { return };
        let interval = self.config.trigger.micros();
        let next = match interval {
            0 if had_news => now,
            0 => now + POLLING_DELAY,
            _ => Instant((process.triggered.0.div_euclid(interval) + 1) * interval).max(now),
        };
        process.phase = Phase::Waiting(next);
    }

    // ---- what comes back ----

    fn received(&mut self, turn: &mut Turn<'_>, request: InFlight<Purpose>, response: &Response) {
        let Some(process) = &mut self.process else { return };
        let InFlight { to, purpose, .. } = request;
        match (purpose, response) {
            (Purpose::Metadata, Response::Metadata(response)) => {
                process.reader.metadata.update(turn, response);
            }
            (Purpose::Fetch(asked), Response::Fetch(response)) => {
                process.reader.fetch_answered(turn, &self.config.consumer, to, asked, response);
            }
            (Purpose::ListOffsets(asked), Response::ListOffsets(response)) => {
                let retry_at = turn.now + self.config.consumer.retry_backoff;
                match &mut process.phase {
                    Phase::Asking(asking) => {
                        let lookup = asking.lookup_mut();
                        let refused =
                            lookup.map(|lookup| lookup.answered(&mut process.reader, retry_at, &asked, response));
                        if let Some(Err(error)) = refused {
                            asking.failed(turn.now, &self.config, error);
                        }
                    }
                    Phase::Reading(reading) => {
                        let lookup = reading.lookup_mut();
                        let refused =
                            lookup.map(|lookup| lookup.answered(&mut process.reader, retry_at, &asked, response));
                        if let Some(Err(error)) = refused {
                            self.fail(turn, &crate::kafka::fact::error_name(error));
                        }
                    }
                    Phase::Waiting(_) => {}
                }
            }
            // An answer of another kind is no answer.
            (purpose, _) => self.given_up(turn, to, purpose),
        }
    }

    /// A request will not be answered any more.
    fn given_up(&mut self, turn: &mut Turn<'_>, node: NodeId, purpose: Purpose) {
        let Some(process) = &mut self.process else { return };
        let retry_at = turn.now + self.config.consumer.retry_backoff;
        process.reader.metadata.request_update();
        match purpose {
            Purpose::Metadata => process.reader.metadata.failed(turn),
            Purpose::Fetch(asked) => process.reader.fetch_lost(node, &asked),
            Purpose::ListOffsets(asked) => {
                let lookup = match &mut process.phase {
                    Phase::Asking(asking) => asking.lookup_mut(),
                    Phase::Reading(reading) => reading.lookup_mut(),
                    Phase::Waiting(_) => None,
                };
                if let Some(lookup) = lookup {
                    lookup.lost(&asked, retry_at);
                }
            }
            // It asks for nothing else.
            _ => {}
        }
    }
}

impl Process {
    fn next_alarm(&self, now: Instant, config: &StreamConfig) -> Option<(Instant, Alarm)> {
        let mut alarms = vec![self.reader.network.next_timeout()];
        let retries = match &self.phase {
            Phase::Waiting(until) => {
                alarms.push(Some((*until, Alarm::Poll)));
                Vec::new()
            }
            Phase::Asking(asking) => asking.wakes(),
            Phase::Reading(reading) => reading.wakes(&self.reader, config),
        };
        if !matches!(self.phase, Phase::Waiting(_)) {
            alarms.push(self.reader.network.next_unblocked(now));
            alarms.push(self.reader.metadata.next_refresh());
        }
        alarms.extend(retries.into_iter().map(|at| Some((at, Alarm::RetryBackoff))));
        // What was due and could not be done waits for an answer or for one of the later alarms.
        alarms.into_iter().flatten().filter(|(at, _)| *at > now).min()
    }
}

impl Node for StreamReader {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if let Input::Start = input {
            self.start(turn);
        }
        let Some(process) = &mut self.process else { return };
        match input {
            Input::Start | Input::Alarm(_) => {}
            Input::Deliver { envelope, .. } => {
                let Body::Response(response) = envelope.body else { return };
                if let Some(request) = process.reader.network.answered(envelope.correlation) {
                    self.received(turn, request, &response);
                }
            }
            Input::Disconnected { peer } => {
                for request in process.reader.network.disconnected(turn, peer) {
                    self.given_up(turn, request.to, request.purpose);
                }
            }
            // StreamingQuery.stop: the batch under way is given up, and run again after the next start.
            Input::Command(Command::Close) => self.kill(),
            // What other clients' applications call.
            Input::Command(_) => {}
        }
        if let Some(process) = &mut self.process {
            for request in process.reader.network.timed_out(turn, NodeId::Client(self.id)) {
                self.given_up(turn, request.to, request.purpose);
            }
        }
        self.go_on(turn);
        self.alarm = self.process.as_ref().and_then(|process| process.next_alarm(turn.now, &self.config));
    }

    fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.alarm
    }
}
