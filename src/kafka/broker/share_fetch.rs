//! SHARE_FETCH and SHARE_ACKNOWLEDGE (KafkaApis.handleShareFetchRequest, handleShareAcknowledgeRequest,
//! DelayedShareFetch): members of share groups acquire records and say what became of them.

use bytes::Bytes;

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::share_answers::{Fetched, ShareAnswer, Wanted};
use crate::kafka::broker::share_partitions::ends_share_partition;
use crate::kafka::broker::share_sessions::{Context, FetchStart, PartitionId, SessionKey};
use crate::kafka::coordinator::Reply;
use crate::kafka::fact::Fact;
use crate::kafka::log::ReadUpTo;
use crate::kafka::node::Turn;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::kafka::replica::{Fetch, ReadInfo};
use crate::kafka::share::{
    AcknowledgementBatch, Acquire, AcquireMode, AcquiredRange, AcquiredRecords, FetchedBatch, SharePartitionKey,
    StateWrite, mark_aborted,
};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::batch::Batch;
use crate::wire::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse};
use crate::wire::{Correlation, ErrorCode, GroupId, NodeId, Offset, ProducerId, StrBytes, TopicPartition};

/// The longest member id (KafkaApis.isMemberIdValid).
const MEMBER_ID_LENGTH: usize = 36;
/// Acknowledgement types that a client of these messages can send: not 4, renew, which is younger.
const ACKNOWLEDGE_TYPES: std::ops::RangeInclusive<i8> = 0..=3;

/// What a member acknowledges, by partition.
type Acknowledgements = Vec<(PartitionId, Vec<AcknowledgementBatch>)>;

/// A fetch that waits for records, or for room in a share partition.
#[derive(Clone, Debug, PartialEq)]
pub struct DelayedShareFetch {
    answer: u64,
    session: SessionKey,
    /// In the order in which they are served.
    partitions: Vec<PartitionId>,
    failed: Vec<(PartitionId, ErrorCode)>,
    min_bytes: i32,
    max_bytes: i32,
    max_records: i32,
    batch_size: i32,
}

/// What was read of partitions from which something can be acquired.
type Reads = Vec<(PartitionId, Offset, Result<ReadInfo, ErrorCode>)>;

impl Process {
    pub(super) fn share_fetch(
        &mut self,
        disk: &Disk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &ShareFetchRequest,
    ) {
        let refuse = |turn: &mut Turn<'_>, error: ErrorCode| {
            turn.respond(from, correlation, ShareFetchResponse::default().with_error_code(error.code()));
        };
        let Some(session) = session_key(request.group_id.as_ref(), request.member_id.as_ref()) else {
            return refuse(turn, ErrorCode::InvalidRequest);
        };
        let asked = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic_id, p)));
        let ids = asked.clone().map(|(topic, partition)| (topic, partition.partition_index)).collect();
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten: Vec<PartitionId> =
            forgotten.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index))).collect();
        let acknowledged = asked.map(|(topic, partition)| {
            let batches = partition.acknowledgement_batches.iter();
            let batches = batches.map(|b| batch(b.first_offset, b.last_offset, &b.acknowledge_types)).collect();
            ((topic, partition.partition_index), batches)
        });
        let acknowledged: Acknowledgements =
            acknowledged.filter(|(_, batches): &(_, Vec<_>)| !batches.is_empty()).collect();
        let (epoch, acknowledges) = (request.share_session_epoch, !acknowledged.is_empty());
        let slots = self.config.share.max_share_sessions as u32;
        let start = FetchStart { from, epoch, asked: ids, forgotten, acknowledges };
        let reply = Reply { to: from, correlation };
        let context = match self.shares.sessions.begin_fetch(&session, start, slots) {
            Ok(context) => context,
            Err(ErrorCode::ShareSessionLimitReached) => {
                // So that the member does not ask all the time.
                let at = turn.now + Duration::from_millis(i64::from(request.max_wait_ms.max(0)));
                return self.shares.turn_away(at, reply);
            }
            Err(error) => return refuse(turn, error),
        };
        let wanted = Wanted::Records { context: context.clone(), fetched: None };
        let answer = self.acknowledge_shares(turn.now, reply, session.clone(), epoch, wanted, acknowledged);
        self.fetch_shares(disk, turn, answer, session, &context, request);
        self.answer_share_request(turn, answer);
    }

    pub(super) fn share_acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &ShareAcknowledgeRequest,
    ) {
        let epoch = request.share_session_epoch;
        let session = session_key(request.group_id.as_ref(), request.member_id.as_ref());
        let begun = session
            .ok_or(ErrorCode::InvalidRequest)
            .and_then(|session| self.shares.sessions.begin_acknowledge(&session, epoch).map(|()| session));
        let session = match begun {
            Ok(session) => session,
            Err(error) => {
                let refusal = ShareAcknowledgeResponse::default().with_error_code(error.code());
                return turn.respond(from, correlation, refusal);
            }
        };
        let asked = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic_id, p)));
        let acknowledged = asked.map(|(topic, partition)| {
            let batches = partition.acknowledgement_batches.iter();
            let batches = batches.map(|b| batch(b.first_offset, b.last_offset, &b.acknowledge_types)).collect();
            ((topic, partition.partition_index), batches)
        });
        let reply = Reply { to: from, correlation };
        let acknowledged = acknowledged.collect();
        let answer = self.acknowledge_shares(turn.now, reply, session, epoch, Wanted::Nothing, acknowledged);
        self.answer_share_request(turn, answer);
    }

    /// Acknowledges what the request says; the answer waits for what has to be written.
    fn acknowledge_shares(
        &mut self,
        now: Instant,
        reply: Reply,
        session: SessionKey,
        epoch: i32,
        wanted: Wanted,
        acknowledgements: Acknowledgements,
    ) -> u64 {
        let mut acknowledged = SortedMap::new();
        let mut writes = Vec::new();
        for (id, batches) in acknowledgements {
            let key = self.share_key(&session.group, id);
            let result = self.acknowledge_share(now, &key, &session.member, &batches);
            acknowledged.insert(id, result.as_ref().err().copied());
            writes.extend(result.ok().flatten().map(|write| (key, write)));
        }
        let open = writes.len() as u32;
        let answer = self.shares.answers.add(ShareAnswer { reply, session, epoch, wanted, acknowledged, open });
        for (key, write) in writes {
            self.write_share_state(&key, write, Some(answer));
        }
        answer
    }

    fn acknowledge_share(
        &mut self,
        now: Instant,
        key: &SharePartitionKey,
        member: &StrBytes,
        batches: &[AcknowledgementBatch],
    ) -> Result<Option<StateWrite>, ErrorCode> {
        if !are_valid(batches) {
            return Err(ErrorCode::InvalidRequest);
        }
        if !self.image.topic_names.contains_key(&key.topic) {
            return Err(ErrorCode::UnknownTopicId);
        }
        if batches.is_empty() {
            return Ok(None);
        }
        let partition = self.shares.partition(key).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let state = self.shares.state_mut(key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let result = state.acknowledge(now, member, batches);
        self.shares.touched.insert(partition);
        result
    }

    /// Opens the share partitions of the session and reads them, or waits for records.
    fn fetch_shares(
        &mut self,
        disk: &Disk,
        turn: &mut Turn<'_>,
        answer: u64,
        session: SessionKey,
        context: &Context,
        request: &ShareFetchRequest,
    ) {
        let mut partitions = match context {
            Context::New(partitions) => partitions.clone(),
            Context::Subsequent => self.shares.sessions.get(&session).map(|s| s.partitions()).unwrap_or_default(),
            Context::Final => Vec::new(),
        };
        // PartitionRotateStrategy: who was served first is not so the next time.
        if let Context::Subsequent = context
            && !partitions.is_empty()
        {
            let by = request.share_session_epoch as usize % partitions.len();
            partitions.rotate_left(by);
        }
        let max_bytes = request.max_bytes.min(self.config.fetch_max_bytes);
        let mut fetch = DelayedShareFetch {
            answer,
            session,
            partitions,
            failed: Vec::new(),
            min_bytes: request.min_bytes.min(max_bytes),
            max_bytes,
            max_records: request.max_records,
            batch_size: request.batch_size,
        };
        let wants_nothing = fetch.max_records <= 0 || fetch.max_bytes <= 0;
        if !wants_nothing {
            for id in &fetch.partitions {
                let key = self.share_key(&fetch.session.group, *id);
                if let Err(error) = self.open_share_partition(&key) {
                    fetch.failed.push((*id, error));
                }
            }
        }
        let is_over = wants_nothing || fetch.failed.len() == fetch.partitions.len();
        if is_over || request.max_wait_ms <= 0 {
            self.finish_share_fetch(disk, turn, &fetch);
        } else if !self.try_share_fetch(disk, turn, &fetch) {
            let names = fetch.partitions.iter().filter_map(|(topic, partition)| {
                Some(TopicPartition::new(self.image.topic_names.get(topic)?.clone(), *partition))
            });
            let deadline = turn.now + Duration::from_millis(i64::from(request.max_wait_ms));
            self.shares.fetches.add(deadline, names.collect(), fetch);
        }
    }

    /// Something happened to a partition: fetches that wait for it are looked at again, oldest first.
    pub(super) fn touch_share_fetches(&mut self, disk: &Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        for id in self.shares.fetches.watching(partition) {
            let Some(fetch) = self.shares.fetches.get_mut(id).cloned() else { continue };
            if self.try_share_fetch(disk, turn, &fetch) {
                self.shares.fetches.remove(id);
            }
        }
    }

    /// Answers the fetches whose wait is over.
    pub(super) fn expire_share_fetches(&mut self, disk: &Disk, turn: &mut Turn<'_>) {
        while let Some(fetch) = self.shares.fetches.take_expired(turn.now) {
            self.finish_share_fetch(disk, turn, &fetch);
        }
        for reply in self.shares.take_turned_away(turn.now) {
            let error = ErrorCode::ShareSessionLimitReached.code();
            reply.send(turn, ShareFetchResponse::default().with_error_code(error));
        }
    }

    /// The share partition could not be initialised: fetches that wait for it say why.
    pub(super) fn share_fetches_failed(
        &mut self,
        partition: &TopicPartition,
        key: &SharePartitionKey,
        error: ErrorCode,
    ) {
        let id = (key.topic, key.partition);
        for waiting in self.shares.fetches.watching(partition) {
            if let Some(fetch) = self.shares.fetches.get_mut(waiting)
                && fetch.session.group == key.group
            {
                fetch.failed.push((id, error));
            }
        }
    }

    /// DelayedShareFetch.tryComplete: answers when there is enough, or something is wrong.
    fn try_share_fetch(&mut self, disk: &Disk, turn: &mut Turn<'_>, fetch: &DelayedShareFetch) -> bool {
        let reads = self.read_shares(disk, fetch);
        if reads.is_empty() || !self.is_share_fetch_done(disk, fetch, &reads) {
            return false;
        }
        self.acquire_shares(disk, turn, fetch, reads);
        true
    }

    /// DelayedShareFetch.onComplete after the wait: what there is.
    fn finish_share_fetch(&mut self, disk: &Disk, turn: &mut Turn<'_>, fetch: &DelayedShareFetch) {
        let reads = self.read_shares(disk, fetch);
        self.acquire_shares(disk, turn, fetch, reads);
    }

    /// Reads the partitions from which something can be acquired; each gets an equal part of the bytes
    /// (PartitionMaxBytesStrategy).
    fn read_shares(&mut self, disk: &Disk, fetch: &DelayedShareFetch) -> Reads {
        let mut acquirable = Vec::new();
        for id in &fetch.partitions {
            let key = self.share_key(&fetch.session.group, *id);
            let failed = fetch.failed.iter().any(|(failed, _)| failed == id);
            if failed || !self.is_share_partition_active(&key) {
                continue;
            }
            let Some(partition) = self.shares.partition(&key).cloned() else { continue };
            let Some(state) = self.shares.state_mut(&key) else { continue };
            if state.can_acquire_records() {
                acquirable.push((*id, partition, state.next_fetch_offset()));
            }
        }
        let up_to = self.share_isolation(&fetch.session.group);
        let max_bytes = (fetch.max_bytes / (acquirable.len().max(1) as i32)).max(1);
        let read = |(id, partition, offset): (PartitionId, TopicPartition, Offset)| {
            let (epochs, log_start) = (None, Offset::UNKNOWN);
            let asked =
                Fetch { offset, max_bytes, log_start, current_leader_epoch: epochs, last_fetched_epoch: epochs };
            let found = self.replicas.get(&partition).zip(disk.log(&partition));
            let found = found.ok_or_else(|| self.absent_error(&partition));
            (id, offset, found.and_then(|(replica, log)| replica.read_as_consumer(log, &asked, up_to, true)))
        };
        acquirable.into_iter().map(read).collect()
    }

    fn share_isolation(&self, group: &GroupId) -> ReadUpTo {
        if self.share_settings(group).share_read_committed {
            ReadUpTo::LastStableOffset
        } else {
            ReadUpTo::HighWatermark
        }
    }

    /// DelayedShareFetch.isMinBytesSatisfied.
    fn is_share_fetch_done(&self, disk: &Disk, fetch: &DelayedShareFetch, reads: &Reads) -> bool {
        let up_to = self.share_isolation(&fetch.session.group);
        let most = i64::from(fetch.max_bytes) / (reads.len() as i64).max(1);
        let mut bytes = 0;
        for ((topic, partition), offset, read) in reads {
            if read.is_err() {
                return true;
            }
            let name = self.image.topic_names.get(topic).cloned();
            let Some(log) = name.and_then(|name| disk.log(&TopicPartition::new(name, *partition))) else { return true };
            let end = match up_to {
                ReadUpTo::LastStableOffset => log.last_stable_offset(),
                _ => log.high_watermark(),
            };
            if *offset > end || log.is_on_older_segment(*offset, up_to) {
                return true;
            }
            bytes += log.bytes_between(*offset, up_to).min(most);
        }
        bytes >= i64::from(fetch.min_bytes)
    }

    /// ShareFetchUtils.processFetchResponse.
    fn acquire_shares(&mut self, disk: &Disk, turn: &mut Turn<'_>, fetch: &DelayedShareFetch, reads: Reads) {
        let mut left = i64::from(fetch.max_records);
        let mut fetched: Vec<(PartitionId, Fetched)> = Vec::new();
        for (id, offset, read) in reads {
            let key = self.share_key(&fetch.session.group, id);
            let one = match read {
                Ok(read) => {
                    let acquired = self.acquire_share(turn.now, fetch, &key, offset, &read, left);
                    left -= acquired.count;
                    self.tell_acquired(turn, &key, &fetch.session.member, &acquired);
                    let records = slice(&read.records, &acquired);
                    Fetched { records, acquired: acquired.ranges, error: None }
                }
                Err(ErrorCode::OffsetOutOfRange) => {
                    // The log has lost what the group was to read next.
                    let partition = self.shares.partition(&key);
                    let start = partition.and_then(|partition| disk.log(partition)).map(|log| log.log_start());
                    if let (Some(start), Some(state)) = (start, self.shares.state_mut(&key)) {
                        state.update_log_start(start);
                    }
                    Fetched { records: Bytes::new(), acquired: Vec::new(), error: None }
                }
                Err(error) => {
                    if ends_share_partition(error) {
                        self.shares.remove(&key);
                    }
                    Fetched::failed(error)
                }
            };
            fetched.push((id, one));
            // Others may find something now that this fetch left.
            self.shares.touched.extend(self.shares.partition(&key).cloned());
        }
        fetched.extend(fetch.failed.iter().map(|(id, error)| (*id, Fetched::failed(*error))));
        self.shares.answers.fetched(fetch.answer, fetched);
        self.answer_share_request(turn, fetch.answer);
    }

    fn tell_acquired(
        &self,
        turn: &mut Turn<'_>,
        key: &SharePartitionKey,
        member: &StrBytes,
        acquired: &AcquiredRecords,
    ) {
        let Some(partition) = self.shares.partition(key) else { return };
        for AcquiredRange { first, last, delivery_count } in acquired.ranges.iter().copied() {
            let (group, partition, broker) = (key.group.clone(), partition.clone(), self.id);
            let member = member.clone();
            turn.tell(Fact::RecordsAcquired { group, partition, broker, member, first, last, delivery_count });
        }
    }

    fn acquire_share(
        &mut self,
        now: Instant,
        fetch: &DelayedShareFetch,
        key: &SharePartitionKey,
        offset: Offset,
        read: &ReadInfo,
        left: i64,
    ) -> AcquiredRecords {
        let Some(state) = self.shares.state_mut(key) else { return AcquiredRecords::default() };
        // A broker's own log is whole.
        let batches = Batch::parse_all(read.records.clone(), false).unwrap_or_default();
        let aborted: Vec<(ProducerId, Offset)> = read.aborted.iter().map(|txn| (txn.producer_id, txn.first)).collect();
        let batches: Vec<FetchedBatch> = mark_aborted(&batches, &aborted);
        let wish = Acquire {
            now,
            member: &fetch.session.member,
            mode: AcquireMode::BatchOptimized,
            batch_size: fetch.batch_size,
            max_records: left.clamp(0, i64::from(i32::MAX)) as i32,
            fetch_offset: offset,
        };
        state.acquire(&wish, &batches)
    }

    /// A connection broke: its members' sessions are over, and groups without any are forgotten.
    pub(super) fn share_connection_lost(&mut self, peer: NodeId) {
        let (lost, empty) = self.shares.sessions.disconnected(peer);
        for session in lost {
            self.release_share_session(&session);
        }
        for group in empty {
            self.forget_share_group(&group);
        }
    }
}

fn session_key(group: Option<&GroupId>, member: Option<&StrBytes>) -> Option<SessionKey> {
    let (group, member) = (group?.clone(), member?.clone());
    (!member.is_empty() && member.len() <= MEMBER_ID_LENGTH).then_some(SessionKey { group, member })
}

fn batch(first: i64, last: i64, types: &[i8]) -> AcknowledgementBatch {
    AcknowledgementBatch { first: Offset(first), last: Offset(last), types: types.to_vec() }
}

/// KafkaApis.validateAcknowledgementBatches.
fn are_valid(batches: &[AcknowledgementBatch]) -> bool {
    let mut end = Offset::UNKNOWN;
    batches.iter().all(|batch| {
        let in_order = batch.first <= batch.last && batch.first >= end;
        end = batch.last;
        let one_for_each = batch.last - batch.first == batch.types.len() as i64 - 1;
        let known = batch.types.iter().all(|id| ACKNOWLEDGE_TYPES.contains(id));
        in_order && known && !batch.types.is_empty() && (batch.types.len() == 1 || one_for_each)
    })
}

/// The batches that hold what was acquired (ShareFetchUtils.maybeSliceFetchRecords).
fn slice(records: &Bytes, acquired: &AcquiredRecords) -> Bytes {
    let (Some(first), Some(last)) = (acquired.ranges.first(), acquired.ranges.last()) else { return Bytes::new() };
    let (first, last) = (first.first, last.last);
    let mut rest = records.clone();
    let (mut from, mut to) = (0, 0);
    while let Ok(batch) = Batch::split_first(&mut rest, false) {
        let size = batch.size() as usize;
        if batch.base_offset > last {
            break;
        }
        if batch.next_offset() <= first {
            from += size;
        }
        to += size;
    }
    records.slice(from..to)
}
