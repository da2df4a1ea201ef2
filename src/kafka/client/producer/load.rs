//! The steady traffic of an application: records at an even rate, with keys drawn from a set.

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::client::accumulator::Append;
use crate::kafka::client::partitioner::partition_for_key;
use crate::kafka::client::producer::{Process, Stop, check_size};
use crate::kafka::client::sender::Ledger;
use crate::kafka::config::ProducerConfig;
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant, Rate};
use crate::wire::batch::NewRecord;
use crate::wire::{TopicName, TopicPartition};

/// A load with a shorter interval than this is sent in bursts, so that one alarm serves many records.
const BURST: Duration = Duration::from_millis(1);

/// Steady traffic that the application makes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    pub(super) topic: TopicName,
    rate: Rate,
    since: Instant,
    /// How many were due so far.
    number: u64,
    /// The keys to choose from; none: records without a key.
    keys: Arc<Vec<Bytes>>,
    /// Where each key goes, while the topic has `partitions` partitions.
    places: Arc<Vec<i32>>,
    partitions: i32,
    value: Bytes,
    pub(super) until: Instant,
    /// When the next record is due.
    pub(super) due: Instant,
    /// When the application looks again what is due.
    pub(super) wake: Instant,
    /// Since when its send has been blocking.
    pub(super) blocked_since: Option<Instant>,
}

impl Load {
    pub(super) fn new(now: Instant, topic: TopicName, rate: Rate, keys: u32, size: u32, until: Instant) -> Load {
        let keys = (0..keys).map(|k| Bytes::from(format!("k{k}"))).collect();
        let value = (0..size).map(|i| b'a' + (i % 26) as u8).collect::<Vec<u8>>();
        Load {
            topic,
            rate,
            since: now,
            number: 0,
            keys: Arc::new(keys),
            places: Arc::default(),
            partitions: 0,
            value: Bytes::from(value),
            until,
            due: now,
            wake: now,
            blocked_since: None,
        }
    }

    /// On to the next record.
    fn advance(&mut self) {
        self.number += 1;
        self.due = self.since + self.rate.due(self.number);
    }

    fn record(&self, now: Instant, key: Option<Bytes>) -> NewRecord {
        NewRecord { timestamp: now.millis(), key, value: Some(self.value.clone()), headers: Vec::new() }
    }

    fn place_keys(&mut self, partitions: i32) {
        if self.partitions != partitions {
            self.partitions = partitions;
            self.places = Arc::new(self.keys.iter().map(|key| partition_for_key(key, partitions)).collect());
        }
    }
}

impl Process {
    /// Everything of a load that is due. The records share one value; no fact tells of each.
    pub(super) fn send_load(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        numbering: &SortedMap<TopicPartition, u64>,
        load: &mut Load,
    ) {
        while self.calls.is_empty() && load.due <= turn.now && load.due < load.until {
            if let Err(stop) = self.send_due(turn, config, ledger, numbering, load) {
                let since = *load.blocked_since.get_or_insert(turn.now);
                let partition = TopicPartition { topic: load.topic.clone(), partition: -1 };
                let record = load.record(turn.now, load.keys.last().cloned());
                if self.blocks(turn, config, ledger, (since, stop), (partition, &record)) {
                    return;
                }
                load.advance();
            }
            load.blocked_since = None;
        }
        load.wake = if load.rate.interval() < BURST { load.due.max(turn.now + BURST) } else { load.due };
    }

    fn send_due(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        numbering: &SortedMap<TopicPartition, u64>,
        load: &mut Load,
    ) -> Result<(), Stop> {
        let topic = self.topic(config, numbering, &load.topic, None)?;
        load.place_keys(self.sender.accumulator.topics[topic as usize].queues.len() as i32);
        check_size(config, &load.record(turn.now, load.keys.last().cloned()))?;
        while load.due <= turn.now && load.due < load.until {
            let (key, place) = match load.keys.len() as u64 {
                0 => (None, None),
                count => {
                    let drawn = turn.below(count) as usize;
                    (Some(load.keys[drawn].clone()), Some(load.places[drawn]).filter(|_| !config.ignore_keys))
                }
            };
            let record = load.record(turn.now, key);
            let partition = place.unwrap_or_else(|| self.sender.accumulator.stick(turn, topic));
            self.join_transaction(topic, partition)?;
            match self.sender.accumulator.append(turn, topic, partition, place.is_none(), record) {
                Append::Done => {}
                Append::NoMemory(record) => return Err(self.no_memory(config, &record)),
            }
            ledger.sent += 1;
            load.advance();
        }
        Ok(())
    }
}
