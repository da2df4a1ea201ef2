//! Offsets that a query must know before it goes on: asked of each partition's leader until it has
//! answered (Admin.listOffsets, and what an executor asks about a range that it cannot read).

use crate::kafka::client::consumer::{Process, Purpose};
use crate::kafka::client::consumer_fetch::{list_offsets, offsets_told};
use crate::kafka::client::errors;
use crate::kafka::client::subscription::ResetTo;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::messages::ListOffsetsResponse;
use crate::wire::{ErrorCode, LeaderEpoch, NodeId, Offset, TopicPartition, error};

#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    partition: TopicPartition,
    to: ResetTo,
    found: Option<Offset>,
    /// The request is on its way.
    is_out: bool,
    next_try: Instant,
}

impl Lookup {
    pub fn new(wanted: impl Iterator<Item = (TopicPartition, ResetTo)>) -> Lookup {
        let want = |(partition, to)| Wanted { partition, to, found: None, is_out: false, next_try: Instant(i64::MIN) };
        Lookup { wanted: wanted.map(want).collect() }
    }

    pub fn is_done(&self) -> bool {
        self.wanted.iter().all(|want| want.found.is_some())
    }

    pub fn found(&self, partition: &TopicPartition, to: ResetTo) -> Option<Offset> {
        self.wanted.iter().find(|want| want.partition == *partition && want.to == to)?.found
    }

    /// What was found of each partition.
    pub fn offsets(&self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        self.wanted.iter().filter_map(|want| Some((want.partition.clone(), want.found?)))
    }

    pub fn first(&self) -> Option<&TopicPartition> {
        self.wanted.first().map(|want| &want.partition)
    }

    /// What is left of it when a partition is dealt with.
    pub fn without(mut self, partition: &TopicPartition) -> Option<Lookup> {
        self.wanted.retain(|want| want.partition != *partition);
        (!self.wanted.is_empty()).then_some(self)
    }

    /// Asks every leader that may be asked now.
    pub fn ask(&mut self, reader: &mut Process, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        // A request names a partition once: what is asked at its two ends goes in two requests.
        let mut requests: SortedMap<(NodeId, i64), Vec<(TopicPartition, ResetTo)>> = SortedMap::new();
        for want in &mut self.wanted {
            if want.found.is_some() || want.is_out || want.next_try > turn.now {
                continue;
            }
            match reader.metadata.leader(&want.partition) {
                None => {
                    reader.metadata.request_update();
                    want.next_try = turn.now + config.retry_backoff;
                }
                Some((node, _)) if reader.network.ready(node, turn.now) => {
                    want.is_out = true;
                    let of_node = requests.entry((node, want.to.timestamp(turn.now))).or_default();
                    of_node.push((want.partition.clone(), want.to));
                }
                Some(_) => {}
            }
        }
        for ((node, timestamp), asked) in requests {
            let partitions = asked.iter().map(|(partition, _)| (partition, LeaderEpoch::UNKNOWN, timestamp));
            let request = list_offsets(config, partitions);
            reader.network.send(turn, node, request, config.request_timeout, Purpose::ListOffsets(asked));
        }
    }

    /// An answer; an error that no repetition mends ends the call.
    pub fn answered(
        &mut self,
        reader: &mut Process,
        retry_at: Instant,
        asked: &[(TopicPartition, ResetTo)],
        response: &ListOffsetsResponse,
    ) -> Result<(), ErrorCode> {
        let told = offsets_told(response);
        for want in self.wanted.iter_mut().filter(|want| want.is_out) {
            if !asked.iter().any(|(partition, to)| *partition == want.partition && *to == want.to) {
                continue;
            }
            want.is_out = false;
            let Some(answer) = told.get(&want.partition) else { continue };
            match error(answer.error_code) {
                None => want.found = Some(Offset(answer.offset)),
                Some(error) if errors::is_retriable(error) => {
                    reader.metadata.request_update();
                    want.next_try = retry_at;
                }
                Some(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub fn lost(&mut self, asked: &[(TopicPartition, ResetTo)], retry_at: Instant) {
        for want in &mut self.wanted {
            if asked.iter().any(|(partition, to)| *partition == want.partition && *to == want.to) {
                want.is_out = false;
                want.next_try = retry_at;
            }
        }
    }

    /// When something is to be asked again.
    pub fn tries(&self) -> impl Iterator<Item = Instant> {
        self.wanted.iter().filter(|want| want.found.is_none() && !want.is_out).map(|want| want.next_try)
    }
}
