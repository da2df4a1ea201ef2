//! What a share consumer asks of each broker and what comes back (KIP-932): share sessions
//! (ShareSessionHandler), acknowledgements (Acknowledgements) and the buffer that `poll` takes acquired
//! records from (ShareCompletedFetch).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::kafka::config::ConsumerConfig;
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as Acknowledged,
};
use crate::wire::messages::share_fetch_request::{AcknowledgementBatch, FetchPartition, FetchTopic, ForgottenTopic};
use crate::wire::messages::share_fetch_response::PartitionData;
use crate::wire::messages::{ShareAcknowledgeRequest, ShareFetchRequest};
use crate::wire::{AcknowledgeType, ErrorCode, GroupId, NodeId, Offset, StrBytes, TopicPartition, Uuid};

/// The epoch of a request that begins a session, and of one that ends it (ShareRequestMetadata).
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
/// The type of an offset that was acquired and holds no record (Acknowledgements.ACKNOWLEDGE_TYPE_GAP).
const GAP: i8 = 0;

/// What became of records by offset; `None`: there was no record.
pub type Acks = SortedMap<Offset, Option<AcknowledgeType>>;

/// A partition by name and by id, which requests give.
pub type Id = (TopicPartition, Uuid);

/// A share session with one broker: it remembers what is fetched, and only changes are sent.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareSession {
    epoch: i32,
    partitions: SortedMap<TopicPartition, Uuid>,
}

/// A run of records of one batch that were acquired for this member.
#[derive(Clone, Debug, PartialEq)]
pub struct AcquiredRun {
    pub first: Offset,
    pub last: Offset,
    pub delivery_count: i16,
    /// The batch that they stand in.
    pub records: Bytes,
}

/// Acquired records of one partition that were not handed out yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareBuffered {
    pub node: NodeId,
    pub id: Id,
    batches: VecDeque<Batch>,
    /// First and last offset and delivery count of what is not handed out, in order.
    acquired: VecDeque<(Offset, Offset, i16)>,
}

impl ShareSession {
    /// Whether the broker does not know of it yet: then it takes no acknowledgements.
    pub fn is_new(&self) -> bool {
        self.epoch == INITIAL_EPOCH
    }

    /// The next request for these partitions, which carries acknowledgements with it; `None` when there is
    /// nothing to fetch and nothing to say.
    pub fn fetch_request(
        &mut self,
        wanted: &SortedMap<TopicPartition, Uuid>,
        acks: &SortedMap<Id, Acks>,
        config: &ConsumerConfig,
    ) -> Option<ShareFetchRequest> {
        let is_new = self.is_new();
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut forgotten: SortedMap<Uuid, Vec<i32>> = SortedMap::new();
        for (tp, id) in self.partitions.iter().filter(|(tp, id)| !is_new && wanted.get(*tp) != Some(*id)) {
            forgotten.entry(*id).or_default().push(tp.partition);
        }
        let added = wanted.iter().filter(|(tp, id)| is_new || self.partitions.get(*tp) != Some(*id));
        for (tp, id) in added {
            fetched(&mut topics, *id, tp.partition);
        }
        for ((tp, id), acks) in acks {
            fetched(&mut topics, *id, tp.partition).acknowledgement_batches = batches(acks);
            // What is only acknowledged must not become part of the session.
            let told = forgotten.get(id).is_some_and(|those| those.contains(&tp.partition));
            if wanted.get(tp) != Some(id) && !told {
                forgotten.entry(*id).or_default().push(tp.partition);
            }
        }
        if wanted.is_empty() && topics.is_empty() && forgotten.is_empty() {
            return None;
        }
        self.partitions = wanted.clone();
        let forget = |(id, those)| ForgottenTopic::default().with_topic_id(id).with_partitions(those);
        let request = ShareFetchRequest::default()
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(config.fetch_max_wait.millis() as i32)
            .with_min_bytes(config.fetch_min_bytes)
            .with_max_bytes(config.fetch_max_bytes)
            .with_max_records(config.max_poll_records)
            .with_batch_size(config.max_poll_records)
            .with_topics(topics)
            .with_forgotten_topics_data(forgotten.into_iter().map(forget).collect());
        Some(request)
    }

    /// Acknowledgements without a fetch; with `close` they are the last ones.
    pub fn acknowledge_request(&self, acks: &SortedMap<Id, Acks>, close: bool) -> ShareAcknowledgeRequest {
        let mut topics: Vec<AcknowledgeTopic> = Vec::new();
        for ((tp, id), acks) in acks {
            let batch = |batch: AcknowledgementBatch| {
                Acknowledged::default()
                    .with_first_offset(batch.first_offset)
                    .with_last_offset(batch.last_offset)
                    .with_acknowledge_types(batch.acknowledge_types)
            };
            let partition = AcknowledgePartition::default()
                .with_partition_index(tp.partition)
                .with_acknowledgement_batches(batches(acks).into_iter().map(batch).collect());
            match topics.last_mut().filter(|topic| topic.topic_id == *id) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(AcknowledgeTopic::default().with_topic_id(*id).with_partitions(vec![partition])),
            }
        }
        let epoch = if close { FINAL_EPOCH } else { self.epoch };
        ShareAcknowledgeRequest::default().with_share_session_epoch(epoch).with_topics(topics)
    }

    /// A request was answered. When the broker does not know the session, or at another epoch, the next
    /// request begins a new one (ShareSessionHandler.handleResponse).
    pub fn answered(&mut self, error: Option<ErrorCode>) {
        match error {
            Some(
                ErrorCode::ShareSessionNotFound
                | ErrorCode::InvalidShareSessionEpoch
                | ErrorCode::ShareSessionLimitReached,
            ) => self.lost(),
            _ => self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 },
        }
    }

    /// Nothing is known of the last request: the next one replaces the session.
    pub fn lost(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }
}

/// Who asks stands in every request of a session.
pub fn signed(mut request: ShareFetchRequest, group: &GroupId, member: &StrBytes) -> ShareFetchRequest {
    (request.group_id, request.member_id) = (Some(group.clone()), Some(member.clone()));
    request
}

/// The partition's place in a fetch.
fn fetched(topics: &mut Vec<FetchTopic>, id: Uuid, partition: i32) -> &mut FetchPartition {
    let place = topics.iter().position(|topic| topic.topic_id == id).unwrap_or(topics.len());
    if place == topics.len() {
        topics.push(FetchTopic::default().with_topic_id(id));
    }
    let partitions = &mut topics[place].partitions;
    let place = partitions.iter().position(|p| p.partition_index == partition).unwrap_or(partitions.len());
    if place == partitions.len() {
        partitions.push(FetchPartition::default().with_partition_index(partition));
    }
    &mut partitions[place]
}

/// Runs of offsets without a hole, with one type for all or one for each (getAcknowledgementBatches).
fn batches(acks: &Acks) -> Vec<AcknowledgementBatch> {
    let mut batches: Vec<AcknowledgementBatch> = Vec::new();
    for (offset, kind) in acks {
        let kind = kind.map_or(GAP, |kind| kind as i8);
        match batches.last_mut().filter(|batch| batch.last_offset + 1 == offset.0) {
            Some(batch) => {
                batch.last_offset = offset.0;
                batch.acknowledge_types.push(kind);
            }
            None => batches.push(
                AcknowledgementBatch::default()
                    .with_first_offset(offset.0)
                    .with_last_offset(offset.0)
                    .with_acknowledge_types(vec![kind]),
            ),
        }
    }
    for types in batches.iter_mut().map(|batch| &mut batch.acknowledge_types) {
        if types.iter().all(|kind| *kind == types[0]) {
            types.truncate(1);
        }
    }
    batches
}

impl ShareBuffered {
    /// From a good answer; CORRUPT_MESSAGE when the batches do not read.
    pub fn new(node: NodeId, id: Id, data: &PartitionData) -> Result<ShareBuffered, ErrorCode> {
        let batches = Batch::parse_all(data.records.clone().unwrap_or_default(), true)?.into();
        let acquired = data.acquired_records.iter();
        let acquired = acquired.map(|a| (Offset(a.first_offset), Offset(a.last_offset), a.delivery_count)).collect();
        Ok(ShareBuffered { node, id, batches, acquired })
    }

    pub fn is_drained(&self) -> bool {
        self.acquired.is_empty()
    }

    /// The next records, whole batches of the log until there are `limit`, and the acquired offsets up to
    /// there that hold none (fetchRecords). Records that were not acquired are passed over.
    pub fn take(&mut self, limit: u32) -> (Vec<AcquiredRun>, Vec<Offset>) {
        let (mut runs, mut gaps) = (Vec::new(), Vec::new());
        let mut count = 0;
        while count < limit && !self.acquired.is_empty() {
            let Some(batch) = self.batches.pop_front() else {
                gaps.extend(self.acquired.drain(..).flat_map(|(first, last, _)| offsets(first, last)));
                break;
            };
            let mut run: Option<AcquiredRun> = None;
            for offset in record_offsets(&batch) {
                gaps.extend(self.skip_to(offset));
                let Some(delivery_count) = self.take_one(offset) else { continue };
                count += 1;
                match run.as_mut().filter(|run| run.last.next() == offset && run.delivery_count == delivery_count) {
                    Some(run) => run.last = offset,
                    None => {
                        let records = batch.bytes().clone();
                        runs.extend(run.replace(AcquiredRun { first: offset, last: offset, delivery_count, records }));
                    }
                }
            }
            runs.extend(run);
        }
        (runs, gaps)
    }

    /// The acquired offsets before `to`, which no record stands for.
    fn skip_to(&mut self, to: Offset) -> Vec<Offset> {
        let mut skipped = Vec::new();
        while let Some((first, last, _)) = self.acquired.front_mut().filter(|(first, ..)| *first < to) {
            let end = (*last).min(Offset(to.0 - 1));
            skipped.extend(offsets(*first, end));
            if end == *last {
                self.acquired.pop_front();
            } else {
                *first = to;
            }
        }
        skipped
    }

    /// The delivery count of a record, if it was acquired and comes next.
    fn take_one(&mut self, offset: Offset) -> Option<i16> {
        let (first, last, delivery_count) = self.acquired.front_mut().filter(|(first, ..)| *first == offset)?;
        let delivery_count = *delivery_count;
        if first == last {
            self.acquired.pop_front();
        } else {
            *first = offset.next();
        }
        Some(delivery_count)
    }
}

fn offsets(first: Offset, last: Offset) -> impl Iterator<Item = Offset> {
    (first.0..=last.0).map(Offset)
}

/// The offsets of a batch's records; control records are nobody's.
fn record_offsets(batch: &Batch) -> Vec<Offset> {
    if batch.is_control() {
        return Vec::new();
    }
    if batch.last_offset - batch.base_offset + 1 == i64::from(batch.record_count) {
        return offsets(batch.base_offset, batch.last_offset).collect();
    }
    // A compacted batch has holes: only its records can tell.
    batch.records().unwrap_or_default().iter().map(|record| Offset(record.offset)).collect()
}
