//! What a consumer has asked of each broker and what came back: incremental fetch sessions
//! (FetchSessionHandler, KIP-227) and the buffer that `poll` takes records from (FetchCollector,
//! CompletedFetch).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::kafka::config::ConsumerConfig;
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::batch::Batch;
use crate::wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use crate::wire::messages::fetch_response::PartitionData;
use crate::wire::messages::{BrokerId, FetchRequest};
use crate::wire::{ErrorCode, LeaderEpoch, NodeId, Offset, ProducerId, StrBytes, TopicPartition, Uuid, str_bytes};

/// The epoch of a request that closes its session.
const FINAL_EPOCH: i32 = -1;

/// What a fetch asks for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub topic_id: Uuid,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// A fetch session with one broker: it remembers what is asked for, and only changes are sent.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Session {
    /// 0: none yet.
    id: i32,
    /// 0: the next request is a full one.
    epoch: i32,
    partitions: SortedMap<TopicPartition, Wanted>,
}

/// Records of one partition that were fetched and not handed out yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffered {
    pub partition: TopicPartition,
    /// The next record to hand out; the position must still be there, else the records are stale.
    pub next: Offset,
    /// The epoch of the batch that was looked at last, whether it is shown or not; `None` before the first.
    pub epoch: Option<LeaderEpoch>,
    /// Whole batches, as the broker sent them.
    records: Bytes,
    /// The batches not finished yet, with the place of their first byte.
    batches: VecDeque<(Batch, u32)>,
    /// Aborted transactions, by first offset, that no batch has reached yet (read_committed).
    aborted: VecDeque<(Offset, ProducerId)>,
    /// Producers whose transaction here was aborted and has begun.
    aborting: SortedSet<ProducerId>,
    read_committed: bool,
}

/// A run of records that one poll hands out.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub first: Offset,
    pub last: Offset,
    pub count: u32,
    /// The whole batches that they stand in.
    pub records: Bytes,
}

impl Session {
    /// The next request for these partitions.
    pub fn request(&mut self, wanted: &SortedMap<TopicPartition, Wanted>, config: &ConsumerConfig) -> FetchRequest {
        let full = self.epoch == 0;
        let changed = wanted.iter().filter(|(tp, w)| full || self.partitions.get(tp) != Some(w));
        let topics = group(changed.map(|(tp, w)| (tp, *w)), config);
        let gone = self
            .partitions
            .iter()
            .filter(|(tp, w)| !full && wanted.get(tp).is_none_or(|now| now.topic_id != w.topic_id));
        let mut forgotten: Vec<ForgottenTopic> = Vec::new();
        for (tp, before) in gone {
            match forgotten.iter_mut().find(|t| t.topic_id == before.topic_id) {
                Some(topic) => topic.partitions.push(tp.partition),
                None => forgotten.push(
                    ForgottenTopic::default()
                        .with_topic(tp.topic.clone())
                        .with_topic_id(before.topic_id)
                        .with_partitions(vec![tp.partition]),
                ),
            }
        }
        self.partitions = wanted.clone();
        base_request(config)
            .with_session_id(self.id)
            .with_session_epoch(self.epoch)
            .with_topics(topics)
            .with_forgotten_topics_data(forgotten)
    }

    /// The request that tells the broker to forget the session; `None` without one.
    pub fn close(&self, config: &ConsumerConfig) -> Option<FetchRequest> {
        (self.id != 0).then(|| base_request(config).with_session_id(self.id).with_session_epoch(FINAL_EPOCH))
    }

    /// The answer's session id, or its error.
    pub fn answered(&mut self, session_id: i32, error: Option<ErrorCode>) {
        match error {
            Some(ErrorCode::FetchSessionIdNotFound) => *self = Session::default(),
            Some(_) => self.epoch = 0,
            None if session_id == 0 => *self = Session::default(),
            None if session_id != self.id => {
                self.id = session_id;
                self.epoch = 1;
            }
            None => self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 },
        }
    }

    /// Nothing is known of the last request: the next one is full, and replaces the session.
    pub fn lost(&mut self) {
        self.epoch = 0;
    }
}

impl Buffered {
    /// From a good answer for a position; CORRUPT_MESSAGE when the batches do not read.
    pub fn new(
        partition: TopicPartition,
        position: Offset,
        data: &PartitionData,
        read_committed: bool,
    ) -> Result<Buffered, ErrorCode> {
        let records = data.records.clone().unwrap_or_default();
        let mut at = 0;
        let mut batches = VecDeque::new();
        for batch in Batch::parse_all(records.clone(), true)? {
            let length = batch.bytes().len() as u32;
            batches.push_back((batch, at));
            at += length;
        }
        let mut aborted: Vec<(Offset, ProducerId)> =
            data.aborted_transactions.iter().flatten().map(|t| (Offset(t.first_offset), t.producer_id)).collect();
        aborted.sort_unstable();
        Ok(Buffered {
            partition,
            next: position,
            epoch: None,
            records,
            batches,
            aborted: aborted.into(),
            aborting: SortedSet::new(),
            read_committed,
        })
    }

    pub fn is_drained(&self) -> bool {
        self.batches.is_empty()
    }

    /// Up to `limit` of the next records, in runs without a gap of skipped batches. Batches before
    /// the position, control batches and aborted ones are passed over silently; those behind the last of
    /// `limit` records only by the next call.
    pub fn take(&mut self, limit: u32) -> Vec<Chunk> {
        self.take_below(limit, Offset(i64::MAX))
    }

    /// The same, of the records below an offset: what a reader of ranges is to read. Where nothing is left
    /// below it, it is next.
    pub fn take_below(&mut self, limit: u32, below: Offset) -> Vec<Chunk> {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut left = limit;
        let mut run_from = None;
        while left > 0
            && let Some((batch, at)) = self.batches.front().cloned()
        {
            self.epoch = Some(batch.leader_epoch);
            if batch.last_offset < self.next || self.is_hidden(&batch) {
                self.finish_batch(&batch);
                run_from = None;
                continue;
            }
            if batch.base_offset >= below || self.next >= below {
                self.next = self.next.max(below);
                return chunks;
            }
            let (first, last, count) = range(&batch, self.next, left, below);
            if count == 0 {
                self.finish_batch(&batch);
                continue;
            }
            let begins = *run_from.get_or_insert(at);
            let records = self.records.slice(begins as usize..at as usize + batch.bytes().len());
            match chunks.last_mut().filter(|_| begins != at) {
                Some(chunk) => {
                    chunk.last = last;
                    chunk.count += count;
                    chunk.records = records;
                }
                None => chunks.push(Chunk { first, last, count, records }),
            }
            left -= count;
            self.next = last.next();
            if last == batch.last_offset {
                self.finish_batch(&batch);
            }
        }
        chunks
    }

    fn finish_batch(&mut self, batch: &Batch) {
        self.next = self.next.max(batch.next_offset());
        self.batches.pop_front();
    }

    /// Control batches, and under read_committed those of aborted transactions.
    fn is_hidden(&mut self, batch: &Batch) -> bool {
        if self.read_committed && batch.producer_id.0 >= 0 {
            while self.aborted.front().is_some_and(|(first, _)| *first <= batch.last_offset) {
                self.aborting.extend(self.aborted.pop_front().map(|(_, producer)| producer));
            }
            if batch.is_control() {
                if is_abort_marker(batch) {
                    self.aborting.remove(&batch.producer_id);
                }
            } else if batch.is_transactional() && self.aborting.contains(&batch.producer_id) {
                return true;
            }
        }
        batch.is_control()
    }
}

/// The records of a batch in `from..below`, at most `limit`: first and last offset and how many.
fn range(batch: &Batch, from: Offset, limit: u32, below: Offset) -> (Offset, Offset, u32) {
    let first = batch.base_offset.max(from);
    let end = batch.last_offset.min(below + -1);
    let span = batch.last_offset - batch.base_offset + 1;
    if span == i64::from(batch.record_count) {
        let last = end.min(first + (i64::from(limit) - 1));
        return (first, last, (last - first + 1) as u32);
    }
    // A compacted batch has holes: only its records can tell.
    let records = batch.records().unwrap_or_default();
    let within = |offset: &Offset| (first..=end).contains(offset);
    let offsets: Vec<Offset> = records.iter().map(|r| Offset(r.offset)).filter(within).collect();
    let taken = &offsets[..offsets.len().min(limit as usize)];
    match (taken.first(), taken.last()) {
        (Some(first), Some(last)) => {
            let last = if taken.len() == offsets.len() { end } else { *last };
            (*first, last, taken.len() as u32)
        }
        _ => (first, first, 0),
    }
}

/// ControlRecordType: the key is a version and a type, 0 for ABORT.
fn is_abort_marker(batch: &Batch) -> bool {
    let records = batch.records().unwrap_or_default();
    records.first().and_then(|r| r.key.as_ref()).is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
}

fn base_request(config: &ConsumerConfig) -> FetchRequest {
    let rack = config.client_rack.as_deref().map_or_else(StrBytes::default, str_bytes);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(config.fetch_max_wait.millis() as i32)
        .with_min_bytes(config.fetch_min_bytes)
        .with_max_bytes(config.fetch_max_bytes)
        .with_isolation_level(i8::from(config.read_committed))
        .with_rack_id(rack)
}

fn group<'a>(wanted: impl Iterator<Item = (&'a TopicPartition, Wanted)>, config: &ConsumerConfig) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (tp, want) in wanted {
        let partition = FetchPartition::default()
            .with_partition(tp.partition)
            .with_current_leader_epoch(want.leader_epoch.0)
            .with_fetch_offset(want.offset.0)
            .with_partition_max_bytes(config.max_partition_fetch_bytes);
        match topics.last_mut().filter(|t| t.topic == tp.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                FetchTopic::default()
                    .with_topic(tp.topic.clone())
                    .with_topic_id(want.topic_id)
                    .with_partitions(vec![partition]),
            ),
        }
    }
    topics
}

/// Which broker a partition is fetched from: the preferred follower while it is good, else the leader.
pub fn read_from(leader: NodeId, preferred: Option<BrokerId>) -> NodeId {
    preferred.map_or(leader, NodeId::Broker)
}
