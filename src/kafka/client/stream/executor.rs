//! A batch under way: the executors read their ranges with consumers that are told their partitions and
//! positions (KafkaDataConsumer, InternalKafkaConsumer), and the sink is given what they read.

use crate::kafka::client::consumer::{Close, Process, Purpose};
use crate::kafka::client::stream::checkpoint::{BatchId, Offsets};
use crate::kafka::client::stream::lookup::Lookup;
use crate::kafka::client::stream::plan::{Loss, OffsetRange};
use crate::kafka::client::stream::sink::Sink;
use crate::kafka::client::subscription::{FetchState, Position, ResetTo, Subscription};
use crate::kafka::config::StreamConfig;
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::{Offset, TopicPartition};

/// The ranges of one partition that are not read to their end yet.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    until: Offset,
    /// When a record of it last came.
    moved: Instant,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub batch: BatchId,
    tasks: u32,
    /// Records read so far.
    records: u64,
    open: SortedMap<TopicPartition, Open>,
    /// How far each partition of the batch is read.
    positions: Offsets,
    /// Where partitions begin and end now that could not be read at their position.
    lookup: Option<Lookup>,
    /// When that was first asked.
    asked: Instant,
}

/// How a batch goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// An answer or an alarm is waited for.
    Waits,
    /// Records are gone; the query decides whether it goes on.
    Lost(Loss),
    /// The sink has all of it.
    Done {
        records: u64,
    },
    Failed(String),
}

impl Reading {
    pub fn begin(reader: &mut Process, batch: BatchId, tasks: &[OffsetRange], now: Instant) -> Reading {
        let mut reading = Reading {
            batch,
            tasks: tasks.len() as u32,
            records: 0,
            open: SortedMap::new(),
            positions: Offsets::new(),
            lookup: None,
            asked: now,
        };
        for task in tasks {
            // Tasks of one partition follow each other without a gap.
            let open = reading.open.entry(task.partition.clone()).or_insert(Open { until: task.until, moved: now });
            open.until = open.until.max(task.until);
            reading.positions.entry(task.partition.clone()).or_insert(task.from);
        }
        reader.subscription = Subscription::default();
        reader.buffered.clear();
        let partitions: Vec<TopicPartition> = reading.open.keys().cloned().collect();
        reader.subscription.assign(&partitions);
        for (partition, from) in &reading.positions {
            reading.seek(reader, partition, *from);
        }
        reading
    }

    pub fn tasks(&self) -> u32 {
        self.tasks
    }

    pub fn positions(&self) -> &Offsets {
        &self.positions
    }

    /// InternalKafkaConsumer.fetch seeks before every poll, without an epoch: no log is ever compared with it.
    fn seek(&self, reader: &mut Process, partition: &TopicPartition, to: Offset) {
        if let Some(assigned) = reader.subscription.get_mut(partition) {
            assigned.seek(Position::at(to));
        }
        reader.see_leaders();
    }

    /// Goes on as far as it can at this instant.
    pub fn go_on(
        &mut self,
        reader: &mut Process,
        sink: &mut Sink,
        turn: &mut Turn<'_>,
        config: &StreamConfig,
    ) -> Course {
        if reader.seen_metadata != reader.metadata.version() {
            reader.seen_metadata = reader.metadata.version();
            reader.see_leaders();
        }
        self.hand_over(reader, sink, turn, config);
        if reader.close != Close::No {
            return Course::Failed("an executor cannot go on".to_string());
        }
        while self.lookup.as_ref().is_some_and(Lookup::is_done) {
            if let Some(loss) = self.settle_lookup(reader, turn.now) {
                return Course::Lost(loss);
            }
        }
        if let Some(course) = self.look_for_loss(reader, turn.now, config) {
            return course;
        }
        if self.open.is_empty() {
            return Course::Done { records: self.records };
        }
        if let Some(lookup) = &mut self.lookup {
            let limit = config.consumer.default_api_timeout;
            if let Some(partition) = lookup.first().filter(|_| turn.now.since(self.asked) >= limit) {
                // KafkaConsumer.position
                let waited = limit.millis();
                return Course::Failed(format!(
                    "TimeoutException: Timeout of {waited}ms expired before the position for partition {partition} could \
                     be determined"
                ));
            }
            lookup.ask(reader, turn, &config.consumer);
        }
        reader.send_fetches(turn, &config.consumer);
        reader.metadata.maybe_look(&mut reader.network, turn, Purpose::Metadata);
        Course::Waits
    }

    /// What was fetched goes to the sink, up to where the batch ends.
    fn hand_over(&mut self, reader: &mut Process, sink: &mut Sink, turn: &mut Turn<'_>, config: &StreamConfig) {
        let limit = config.consumer.max_poll_records.max(1) as u32;
        reader.buffered.retain(|buffered| {
            let assigned = reader.subscription.assigned.get(&buffered.partition);
            assigned.and_then(|a| a.position.as_ref()).is_some_and(|position| position.offset == buffered.next)
        });
        while let Some(buffered) = reader.buffered.front() {
            let partition = buffered.partition.clone();
            let Some(open) = self.open.get_mut(&partition) else {
                reader.buffered.pop_front();
                continue;
            };
            reader.hand_out_from(turn, 0, limit, open.until);
            open.moved = turn.now;
            let until = open.until;
            let position = reader.subscription.get_mut(&partition).and_then(|assigned| assigned.position.as_mut());
            let Some(position) = position else { continue };
            position.epoch = None;
            let next = position.offset;
            self.move_to(reader, &partition, next.min(until));
        }
        for records in std::mem::take(&mut reader.delivered) {
            self.records += u64::from(records.count);
            sink.take(self.batch, records);
        }
    }

    /// A partition is read up to here; at its end nothing more is fetched of it.
    fn move_to(&mut self, reader: &mut Process, partition: &TopicPartition, to: Offset) {
        self.positions.insert(partition.clone(), to);
        if self.open.get(partition).is_some_and(|open| to >= open.until) {
            self.open.remove(partition);
            reader.subscription.assigned.remove(partition);
            reader.buffered.retain(|buffered| buffered.partition != *partition);
        }
    }

    /// Positions that a leader called out of range (OffsetOutOfRangeException), or where nothing has come for
    /// too long.
    fn look_for_loss(&mut self, reader: &mut Process, now: Instant, config: &StreamConfig) -> Option<Course> {
        if self.lookup.is_some() {
            return None;
        }
        let mut out_of_range: Vec<TopicPartition> = Vec::new();
        for (partition, open) in &self.open {
            let Some(assigned) = reader.subscription.assigned.get(partition) else { continue };
            let at = self.positions.get(partition).copied().unwrap_or(Offset::ZERO);
            if !matches!(assigned.state, FetchState::AwaitReset { .. }) {
                if now.since(open.moved) < config.poll_timeout {
                    continue;
                }
                let end = if config.consumer.read_committed { assigned.last_stable } else { assigned.high_watermark };
                if end.is_none_or(|end| at < end) {
                    let waited = config.poll_timeout.millis();
                    return Some(Course::Failed(format!(
                        "TimeoutException: Cannot fetch record for offset {at} of {partition} in {waited} milliseconds"
                    )));
                }
            }
            if config.fail_on_data_loss {
                let message =
                    format!("Could not read records in range [{at}, {}) for topic partition {partition}", open.until);
                return Some(Course::Lost(Loss { partition: partition.clone(), offsets: 0, message }));
            }
            out_of_range.push(partition.clone());
        }
        if !out_of_range.is_empty() {
            let both = |partition: TopicPartition| {
                [(partition.clone(), ResetTo::Earliest), (partition, ResetTo::Latest)].into_iter()
            };
            self.lookup = Some(Lookup::new(out_of_range.into_iter().flat_map(both)));
            self.asked = now;
        }
        None
    }

    /// KafkaDataConsumer.getEarliestAvailableOffsetBetween: what of a range there still is. One partition at a
    /// time, so that each loss is told.
    fn settle_lookup(&mut self, reader: &mut Process, now: Instant) -> Option<Loss> {
        let lookup = self.lookup.take()?;
        let partition = lookup.first()?.clone();
        let (earliest, latest) =
            (lookup.found(&partition, ResetTo::Earliest)?, lookup.found(&partition, ResetTo::Latest)?);
        self.lookup = lookup.without(&partition);
        let until = self.open.get(&partition)?.until;
        let at = self.positions.get(&partition).copied()?;
        let message = |to: Offset| {
            format!(
                "The current available offset range is AvailableOffsetRange({earliest},{latest}). Offset {at} is out of \
                 range, and records in [{at}, {to}) will be skipped"
            )
        };
        let loss =
            |to: Offset| Loss { partition: partition.clone(), offsets: (to - at).max(0) as u64, message: message(to) };
        if at >= latest || earliest >= until {
            let loss = loss(until);
            self.move_to(reader, &partition, until);
            return Some(loss);
        }
        let to = at.max(earliest);
        let loss = (to > at).then(|| loss(to));
        self.positions.insert(partition.clone(), to);
        self.seek(reader, &partition, to);
        if let Some(open) = self.open.get_mut(&partition) {
            open.moved = now;
        }
        loss
    }

    pub fn lookup_mut(&mut self) -> Option<&mut Lookup> {
        self.lookup.as_mut()
    }

    /// When it goes on by itself.
    pub fn wakes(&self, reader: &Process, config: &StreamConfig) -> Vec<Instant> {
        let timeouts = self.open.values().map(|open| open.moved + config.poll_timeout);
        let limit = config.consumer.default_api_timeout;
        let tries = self.lookup.iter().flat_map(|lookup| lookup.tries().chain([self.asked + limit]));
        let waits = reader.subscription.assigned.values().map(|assigned| assigned.next_try);
        timeouts.chain(tries).chain(waits).collect()
    }
}
