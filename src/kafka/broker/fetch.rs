//! FETCH of consumers and followers (ReplicaManager.fetchMessages, DelayedFetch): answered at once
//! when there is enough or something is wrong, else when a partition changes or the wait ends.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint};
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::fetch_session::{Key, Reader, Session, SessionKey, Waiting};
use crate::kafka::broker::{ImageLiveness, Process};
use crate::kafka::log::ReadUpTo;
use crate::kafka::node::Turn;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::kafka::replica::{Fetch, ReadInfo, partition_data};
use crate::time::{Duration, Instant};
use crate::wire::{BrokerEpoch, Correlation, ErrorCode, NodeId, TopicPartition};

/// What was read of each partition that is not idle.
type Reads = Vec<(Key, Result<ReadInfo, ErrorCode>)>;

impl Process {
    pub(super) fn fetch(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &FetchRequest,
    ) {
        let reader = self.reader(from, request);
        let slots = self.config.fetch_session_slots;
        let drawn = 1 + turn.below(i32::MAX as u64 - 1) as i32;
        let key = match self.sessions.begin(request, reader, slots, turn.now, || drawn) {
            Ok(key) => key,
            Err(error) => {
                turn.respond(from, correlation, FetchResponse::default().with_error_code(error.code()));
                return;
            }
        };
        let reads = self.read_session(disk, turn, key, true);
        let empty = self.sessions.get(key).is_none_or(|session| session.partitions.is_empty());
        if request.max_wait_ms <= 0 || empty || is_enough(&reads, request.min_bytes) {
            self.answer_fetch(disk, turn, key, correlation, reads);
        } else {
            let deadline = turn.now + Duration::from_millis(i64::from(request.max_wait_ms));
            self.sessions.wait(key, Waiting { correlation, deadline });
        }
    }

    /// Something happened to a partition: fetches that wait for it are looked at again.
    pub(super) fn touch_fetches(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        let Some(key) = self.fetch_key(disk, partition) else { return };
        for session in self.sessions.touch(key) {
            if self.is_fetch_done(disk, session, key, turn.now) {
                self.finish_fetch(disk, turn, session);
            }
        }
    }

    /// Answers the fetches whose wait is over.
    pub(super) fn expire_fetches(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        while let Some(session) = self.sessions.take_expired(turn.now) {
            self.finish_fetch(disk, turn, session);
        }
    }

    /// The key of a partition in fetch sessions.
    pub(super) fn fetch_key(&self, disk: &Disk, partition: &TopicPartition) -> Option<Key> {
        disk.folders.get(partition).map(|folder| (folder.topic_id, partition.partition))
    }

    fn reader(&self, from: NodeId, request: &FetchRequest) -> Reader {
        let replica = &request.replica_state;
        let follower = (replica.replica_id.0 >= 0).then_some((replica.replica_id, BrokerEpoch(replica.replica_epoch)));
        let up_to = match (follower, request.isolation_level) {
            (Some(_), _) => ReadUpTo::LogEnd,
            (None, 1) => ReadUpTo::LastStableOffset,
            (None, _) => ReadUpTo::HighWatermark,
        };
        let limit = if follower.is_some() { i32::MAX } else { self.config.fetch_max_bytes };
        let (min_bytes, max_bytes) = (request.min_bytes, request.max_bytes.min(limit));
        Reader { from, follower, up_to, rack: request.rack_id.clone(), min_bytes, max_bytes }
    }

    /// DelayedFetch.onComplete: read again, without recording the follower's position again.
    fn finish_fetch(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, session: SessionKey) {
        let Some(waiting) = self.sessions.get(session).and_then(|session| session.waiting) else { return };
        let reads = self.read_session(disk, turn, session, false);
        self.answer_fetch(disk, turn, session, waiting.correlation, reads);
    }

    /// Reads what is not idle, within the response's limit: the first batch is sent however large.
    fn read_session(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, key: SessionKey, update: bool) -> Reads {
        let Some(session) = self.sessions.get(key) else { return Vec::new() };
        let reader = session.reader.clone();
        let asked: Vec<(Key, Fetch)> =
            session.active.iter().filter_map(|key| Some((*key, session.partitions.get(key)?.fetch))).collect();
        let mut left = reader.max_bytes;
        let mut reads: Reads = Vec::with_capacity(asked.len());
        let mut any = false;
        for (key, fetch) in asked {
            let fetch = Fetch { max_bytes: fetch.max_bytes.min(left), ..fetch };
            let mut read = self.read_partition(disk, turn, &reader, key, &fetch, update);
            if let (Ok(info), Some((follower, _))) = (&mut read, reader.follower)
                && self.holds_back(disk, key, follower, turn.now)
            {
                info.records = Bytes::new();
            }
            if let Ok(info) = &mut read {
                let size = info.records.len() as i32;
                if any && size > fetch.max_bytes {
                    info.records = Bytes::new();
                } else if size > 0 {
                    any = true;
                    left = (left - size).max(0);
                }
            }
            reads.push((key, read));
        }
        reads
    }

    fn read_partition(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        reader: &Reader,
        key: Key,
        fetch: &Fetch,
        update: bool,
    ) -> Result<ReadInfo, ErrorCode> {
        let name = self.image.topic_names.get(&key.0).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = TopicPartition::new(name.clone(), key.1);
        let Some(replica) = self.replicas.get(&partition) else { return Err(self.absent_error(&partition)) };
        // A replica has its log beside it; without one it would serve nobody.
        let absent = ErrorCode::NotLeaderOrFollower;
        let Some((follower, epoch)) = reader.follower else {
            let log = disk.log(&partition).ok_or(absent)?;
            if let Some(preferred) = self.preferred_read_replica(replica, log, &reader.rack, fetch.offset, turn.now) {
                replica.check_leader_epoch(fetch.current_leader_epoch)?;
                return Ok(ReadInfo { preferred: Some(preferred), ..ReadInfo::bounds(log, fetch.offset) });
            }
            return replica.read_as_consumer(log, fetch, reader.up_to, false);
        };
        if !update {
            return replica.read_as_follower(disk.log(&partition).ok_or(absent)?, follower, fetch);
        }
        let liveness = ImageLiveness { me: self.id, my_epoch: self.lifecycle.broker_epoch(), image: &self.image };
        let replica = self.replicas.get_mut(&partition).map(Arc::make_mut).ok_or(absent)?;
        let log = disk.log_mut(&partition).ok_or(absent)?;
        let (read, after) = replica.fetch_as_follower(log, follower, epoch, fetch, true, &liveness, turn.now)?;
        self.after(turn, &partition, after);
        Ok(read)
    }

    /// DelayedFetch.tryComplete, asked because `changed` changed.
    fn is_fetch_done(&self, disk: &Disk, session: SessionKey, changed: Key, now: Instant) -> bool {
        let Some(session) = self.sessions.get(session) else { return false };
        match self.available(disk, session, changed, now) {
            None => true,
            Some(0) => false,
            Some(bytes) if bytes >= i64::from(session.reader.min_bytes) => true,
            Some(_) => {
                let all = session.active.iter().map(|key| self.available(disk, session, *key, now).unwrap_or(i64::MAX));
                all.fold(0, i64::saturating_add) >= i64::from(session.reader.min_bytes)
            }
        }
    }

    /// The bytes that a waiting fetch would get of a partition; `None`: it must be answered now.
    fn available(&self, disk: &Disk, session: &Session, key: Key, now: Instant) -> Option<i64> {
        let Some(cached) = session.partitions.get(&key) else { return Some(0) };
        let name = self.image.topic_names.get(&key.0)?;
        let partition = TopicPartition::new(name.clone(), key.1);
        let replica = self.replicas.get(&partition)?;
        let log = disk.log(&partition)?;
        let is_follower = session.reader.follower.is_some();
        let held_back = |(follower, _)| self.holds_back(disk, key, follower, now);
        if session.reader.follower.is_some_and(held_back) {
            return Some(0);
        }
        replica.check_reader(cached.fetch.current_leader_epoch, is_follower).ok()?;
        if cached.fetch.offset < log.log_start() || cached.fetch.offset > log.log_end() {
            return None;
        }
        // A reader on an older segment than the end is answered with what there is (DelayedFetch, case F).
        if log.is_on_older_segment(cached.fetch.offset, session.reader.up_to) {
            return None;
        }
        Some(log.bytes_between(cached.fetch.offset, session.reader.up_to).min(i64::from(cached.fetch.max_bytes)))
    }

    fn answer_fetch(
        &mut self,
        disk: &Disk,
        turn: &mut Turn<'_>,
        session_key: SessionKey,
        correlation: Correlation,
        reads: Reads,
    ) {
        let mut response = FetchResponse::default().with_session_id(session_key.max(0) as i32);
        let idle: Vec<Key> = reads
            .iter()
            .filter(|(key, read)| self.is_idle(disk, session_key, *key, read))
            .map(|(key, _)| *key)
            .collect();
        let is_follower = self.sessions.get(session_key).is_some_and(|session| session.reader.follower.is_some());
        let sizes = reads.iter().filter(|(key, _)| is_follower && self.throttled(disk, *key).is_some());
        let throttled: i64 = sizes.filter_map(|(_, read)| Some(read.as_ref().ok()?.records.len() as i64)).sum();
        if throttled > 0 {
            self.leader_quota.record(throttled, turn.now);
        }
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let from = session.reader.from;
        for (key, read) in reads {
            let Some(cached) = session.partitions.get_mut(&key) else { continue };
            let telling = read.as_ref().ok().map(|read| (read.high_watermark, read.log_start));
            if read.as_ref().is_ok_and(ReadInfo::is_nothing) && !session.full && cached.told == telling {
                continue;
            }
            cached.told = telling;
            let mut data = partition_data(key.1, &read);
            if session.reader.up_to != ReadUpTo::LastStableOffset {
                data.aborted_transactions = None;
            }
            if let Err(ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) = read {
                hint(&self.image, key, &self.replicas, &mut data, &mut response);
            }
            match response.responses.last_mut() {
                Some(topic) if topic.topic_id == key.0 => topic.partitions.push(data),
                _ => response
                    .responses
                    .push(FetchableTopicResponse::default().with_topic_id(key.0).with_partitions(vec![data])),
            }
        }
        for key in idle {
            session.active.remove(&key);
        }
        session.full = false;
        turn.respond(from, correlation, response);
        self.sessions.answered(session_key);
    }

    /// Nothing more can be said of the partition until something happens to it. A follower outside
    /// the ISR is never idle: any fetch of it may let it join.
    fn is_idle(&self, disk: &Disk, session: SessionKey, key: Key, read: &Result<ReadInfo, ErrorCode>) -> bool {
        let Ok(read) = read else { return false };
        let Some(session) = self.sessions.get(session) else { return false };
        let Some(name) = self.image.topic_names.get(&key.0) else { return false };
        let partition = TopicPartition::new(name.clone(), key.1);
        let (Some(replica), Some(log)) = (self.replicas.get(&partition), disk.log(&partition)) else { return false };
        let Some(cached) = session.partitions.get(&key) else { return false };
        let end = match session.reader.up_to {
            ReadUpTo::LogEnd => log.log_end(),
            ReadUpTo::HighWatermark => log.high_watermark(),
            ReadUpTo::LastStableOffset => log.last_stable_offset(),
        };
        let member = session.reader.follower.is_none_or(|(id, _)| replica.isr().contains(&id));
        let told_all = read.high_watermark == log.high_watermark() && read.log_start == log.log_start();
        member && told_all && read.is_nothing() && cached.fetch.offset == end
    }
}

/// Enough to answer at once: bytes, an error, a divergence, or another replica to read from.
fn is_enough(reads: &Reads, min_bytes: i32) -> bool {
    let urgent = |read: &Result<ReadInfo, ErrorCode>| {
        read.as_ref().map_or(true, |read| read.diverging.is_some() || read.preferred.is_some())
    };
    if reads.iter().any(|(_, read)| urgent(read)) {
        return true;
    }
    let bytes: i64 =
        reads.iter().filter_map(|(_, read)| read.as_ref().ok()).map(|read| read.records.len() as i64).sum();
    bytes >= i64::from(min_bytes)
}

/// KIP-951: who leads instead, and where that broker is.
fn hint(
    image: &crate::kafka::controller::image::MetadataImage,
    key: Key,
    replicas: &crate::sorted::SortedMap<TopicPartition, Arc<crate::kafka::replica::Partition>>,
    data: &mut kafka_protocol::messages::fetch_response::PartitionData,
    response: &mut FetchResponse,
) {
    let Some(name) = image.topic_names.get(&key.0) else { return };
    let partition = TopicPartition::new(name.clone(), key.1);
    let Some((leader, epoch)) = super::leader_hint(image, replicas, &partition) else { return };
    data.current_leader = LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch.0);
    let known = response.node_endpoints.iter().any(|node| node.node_id == leader);
    if !known && let Some(host) = super::endpoint(image, leader) {
        let node =
            NodeEndpoint::default().with_node_id(leader).with_host(host.name).with_port(host.port).with_rack(host.rack);
        response.node_endpoints.push(node);
    }
}
