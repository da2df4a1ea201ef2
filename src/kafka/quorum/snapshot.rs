//! Snapshots of the metadata, after which the log's beginning may go, and how a node that fell
//! behind the beginning fetches one (KIP-630; RecordsSnapshotWriter, KafkaRaftLog, and
//! KafkaRaftClient's handling of FETCH_SNAPSHOT).

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_snapshot_request as asked;
use kafka_protocol::messages::fetch_snapshot_response as told;
use kafka_protocol::messages::{
    BrokerId, FetchSnapshotRequest, FetchSnapshotResponse, SnapshotFooterRecord, SnapshotHeaderRecord,
};

use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::quorum::message::{self, Standing};
use crate::kafka::quorum::position::SnapshotId;
use crate::kafka::quorum::state::State;
use crate::kafka::quorum::voters::{control_batch, encode, kraft_version_record, voters_in, voters_record};
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::time::{Duration, Instant};
use crate::wire::batch::{Batch, ControlType};
use crate::wire::{ControllerId, ErrorCode, LeaderEpoch, METADATA_TOPIC, NodeId, Offset, code, error, topic_name};

/// RaftMetadataLogCleanerManager: how often the log's beginning is looked at.
const CLEANING_INTERVAL: Duration = Duration::from_secs(60);

/// A snapshot file: batches as the log has them, a header first and a footer last.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub id: SnapshotId,
    /// When the last record in it was written.
    pub timestamp: i64,
    pub bytes: Bytes,
}

/// How much of the metadata is kept beside the newest snapshot (`metadata.max.retention.…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataRetention {
    /// `metadata.max.retention.bytes`; `None`: no limit.
    pub bytes: Option<i64>,
    /// `metadata.max.retention.ms`; `None`: no limit.
    pub time: Option<Duration>,
}

/// A snapshot on its way to this node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Download {
    pub id: SnapshotId,
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// The batches between header and footer that hold metadata.
    pub fn metadata(&self) -> Vec<Batch> {
        self.batches().into_iter().filter(|batch| !batch.is_control()).collect()
    }

    /// The voters at its end; `None` with kraft.version 0.
    pub(super) fn voters(&self) -> Option<Vec<ControllerId>> {
        voters_in(&self.batches())
    }

    fn batches(&self) -> Vec<Batch> {
        Batch::parse_all(self.bytes.clone(), false).unwrap_or_default()
    }
}

impl QuorumDisk {
    pub fn snapshot_ids(&self) -> Vec<SnapshotId> {
        self.snapshots.iter().map(|snapshot| snapshot.id).collect()
    }

    /// The time of the snapshot that the log begins with, and where the one after it ends: two are
    /// needed before one may go. A formatted disk begins with its bootstrap checkpoint.
    fn oldest_and_next_snapshot(&self) -> Option<(i64, Offset)> {
        let start = self.log.log_start();
        let oldest = self.snapshots.iter().find(|snapshot| snapshot.id.end == start).map(|s| s.timestamp);
        let bootstrap = (self.bootstrap.is_some() && start == Offset::ZERO).then_some(0);
        let next = self.snapshots.iter().find(|snapshot| snapshot.id.end > start)?;
        Some((oldest.or(bootstrap)?, next.id.end))
    }

    /// A log that lost more than its newest snapshot holds goes on where the snapshot ends
    /// (KafkaRaftLog.truncateToLatestSnapshot).
    pub(super) fn begin_with_latest_snapshot(&mut self) {
        if let Some(latest) = self.snapshots.last().map(|snapshot| snapshot.id)
            && latest.end > self.log.log_end()
        {
            self.log.truncate_fully_and_start_at(latest.end);
            self.snapshots.retain(|kept| kept.id == latest);
        }
    }

    pub(super) fn last_epoch(&self) -> LeaderEpoch {
        super::position::last_epoch(&self.log, &self.snapshot_ids())
    }
}

impl Quorum {
    /// Writes what the metadata is after `last`, a committed offset: `records` are the whole of it
    /// (RaftClient.createSnapshot). Nothing happens when there is such a snapshot already.
    pub fn write_snapshot(
        &self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        last: Offset,
        epoch: LeaderEpoch,
        records: &[Bytes],
    ) -> bool {
        let id = SnapshotId { epoch, end: last.next() };
        let committed = self.high_watermark().max(self.handed_out);
        let is_new = disk.snapshots.last().is_none_or(|latest| latest.id < id);
        if id.end > committed || id.end < disk.log.log_start() || !is_new {
            return false;
        }
        let timestamp = turn.now.millis();
        let mut next = Offset::ZERO;
        let mut bytes = BytesMut::new();
        let mut write = |batch: Batch| {
            let batch = batch.stamped(next, epoch);
            next = batch.next_offset();
            bytes.extend_from_slice(batch.bytes());
        };
        let header = SnapshotHeaderRecord::default().with_version(0).with_last_contained_log_timestamp(timestamp);
        let mut head = vec![ControlType::SnapshotHeader.record(timestamp, encode(&header))];
        if disk.bootstrap.is_some() {
            head.push(kraft_version_record(timestamp));
            head.push(voters_record(self.history.before(id.end), timestamp));
        }
        write(control_batch(&head));
        if !records.is_empty() {
            write(message::metadata_batch(records, timestamp));
        }
        let footer = SnapshotFooterRecord::default().with_version(0);
        write(control_batch(&[ControlType::SnapshotFooter.record(timestamp, encode(&footer))]));
        disk.snapshots.push(Snapshot { id, timestamp, bytes: bytes.freeze() });
        turn.tell(Fact::SnapshotWritten { node: self.me, end: id.end, epoch });
        true
    }

    /// A snapshot that the state machine must load before it is handed anything more: it lacks
    /// what the log no longer has, or it has nothing yet.
    pub fn take_snapshot(&mut self, disk: &QuorumDisk) -> Option<Snapshot> {
        let latest = disk.snapshots.last()?;
        let needed = self.handed_out < disk.log.log_start() || self.handed_out == Offset::ZERO;
        if !needed || latest.id.end <= self.handed_out {
            return None;
        }
        self.handed_out = latest.id.end;
        Some(latest.clone())
    }

    /// KafkaRaftLog.maybeClean: while the snapshot at the log's beginning is too old, or snapshots and
    /// log are too large, the log is cut off at the next snapshot. The newest one always stays.
    pub(super) fn maybe_clean(&mut self, disk: &mut QuorumDisk, now: Instant) {
        if now < self.clean_at {
            return;
        }
        self.clean_at = now + CLEANING_INTERVAL;
        while let Some((since, next)) = disk.oldest_and_next_snapshot() {
            let size = disk.log.size() + disk.snapshots.iter().map(|s| s.bytes.len() as i64).sum::<i64>();
            let too_large = self.retention.bytes.is_some_and(|limit| size > limit);
            let too_old = self.retention.time.is_some_and(|limit| now.millis() - since > limit.millis());
            // A node that has just started does not know yet that its snapshots are committed.
            if !(too_large || too_old) || !disk.log.maybe_increment_log_start(next) {
                return;
            }
            disk.log.delete_old_segments(now);
            disk.snapshots.retain(|snapshot| snapshot.id.end >= next);
        }
    }

    pub(super) fn serve_snapshot(
        &mut self,
        disk: &QuorumDisk,
        turn: &mut Turn<'_>,
        request: &FetchSnapshotRequest,
    ) -> FetchSnapshotResponse {
        let Some((epoch, id, position)) = read_request(request) else {
            return FetchSnapshotResponse::default().with_error_code(code(Some(ErrorCode::InvalidRequest)));
        };
        let refuse = |quorum: &Quorum, error| snapshot_response(quorum.standing(), id, Err(error));
        if let Err(refused) = self.check_leader(epoch) {
            return refuse(self, refused);
        }
        let Some(snapshot) = disk.snapshots.iter().find(|snapshot| snapshot.id == id) else {
            return refuse(self, ErrorCode::SnapshotNotFound);
        };
        let size = snapshot.bytes.len() as i64;
        if position < 0 || position >= size {
            return refuse(self, ErrorCode::PositionOutOfRange);
        }
        let end = size.min(position + i64::from(request.max_bytes.max(0)));
        let chunk = snapshot.bytes.slice(position as usize..end as usize);
        if let (State::Leader(leader), Some(me), Some(NodeId::Controller(voter))) =
            (&mut self.state, self.local, NodeId::from_node_id(request.replica_id.0))
        {
            leader.voter_lives(me, voter, turn.now, self.timing.fetch_timeout);
        }
        snapshot_response(self.standing(), id, Ok((size, position, chunk)))
    }

    /// The leader no longer has what this follower asked for: it fetches the snapshot instead.
    pub(super) fn begin_download(&mut self, id: SnapshotId) {
        if let State::Follower { download, .. } = &mut self.state {
            *download = Some(Download { id, bytes: Vec::new() });
        }
    }

    pub(super) fn snapshot_request(&self, download: &Download) -> FetchSnapshotRequest {
        let id = asked::SnapshotId::default().with_end_offset(download.id.end.0).with_epoch(download.id.epoch.0);
        let partition = asked::PartitionSnapshot::default()
            .with_partition(0)
            .with_current_leader_epoch(self.epoch.0)
            .with_snapshot_id(id)
            .with_position(download.bytes.len() as i64);
        let topic =
            asked::TopicSnapshot::default().with_name(topic_name(METADATA_TOPIC)).with_partitions(vec![partition]);
        FetchSnapshotRequest::default()
            .with_replica_id(BrokerId(self.me.node_id()))
            .with_max_bytes(message::MAX_SIZE_BYTES)
            .with_topics(vec![topic])
    }

    /// A piece of the snapshot came; the last one completes it.
    pub(super) fn handle_snapshot_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        response: &FetchSnapshotResponse,
    ) -> bool {
        if error(response.error_code).is_some() {
            return false;
        }
        let Some(partition) = response.topics.first().and_then(|topic| topic.partitions.first()) else { return false };
        let refused = error(partition.error_code);
        let standing = Standing::read(partition.current_leader.leader_id, partition.current_leader.leader_epoch);
        if let Some(handled) = self.common_response(disk, turn, refused, standing) {
            return handled;
        }
        let State::Follower { download, fetch_deadline, has_fetched, .. } = &mut self.state else { return false };
        let Some(coming) = download else { return true };
        if refused.is_some() {
            // SNAPSHOT_NOT_FOUND, POSITION_OUT_OF_RANGE: the next fetch asks which one there is now.
            *download = None;
            return false;
        }
        let id = SnapshotId {
            epoch: LeaderEpoch(partition.snapshot_id.epoch),
            end: Offset(partition.snapshot_id.end_offset),
        };
        if id != coming.id || partition.position != coming.bytes.len() as i64 {
            return false;
        }
        coming.bytes.extend_from_slice(&partition.unaligned_records);
        *fetch_deadline = turn.now + self.timing.fetch_timeout;
        *has_fetched = true;
        if coming.bytes.len() as i64 >= partition.size {
            let bytes = Bytes::from(std::mem::take(&mut coming.bytes));
            *download = None;
            self.install_snapshot(disk, turn, Snapshot { id, timestamp: turn.now.millis(), bytes });
        }
        true
    }

    /// KafkaRaftLog.truncateToLatestSnapshot: the log goes on where the snapshot ends.
    fn install_snapshot(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, snapshot: Snapshot) {
        let id = snapshot.id;
        disk.snapshots.retain(|kept| kept.id < id);
        disk.snapshots.push(snapshot);
        disk.log.truncate_fully_and_start_at(id.end);
        // Older snapshots would speak of a beginning that the log no longer has.
        disk.snapshots.retain(|kept| kept.id == id);
        self.high_watermark = self.high_watermark.max(Some(id.end));
        disk.log.update_high_watermark(id.end);
        self.voters_may_have_changed(disk, turn);
        turn.tell(Fact::SnapshotLoaded { node: self.me, end: id.end, epoch: id.epoch });
    }
}

fn read_request(request: &FetchSnapshotRequest) -> Option<(LeaderEpoch, SnapshotId, i64)> {
    let [topic] = request.topics.as_slice() else { return None };
    let [partition] = topic.partitions.as_slice() else { return None };
    if topic.name.0.as_str() != METADATA_TOPIC || partition.partition != 0 {
        return None;
    }
    let id =
        SnapshotId { epoch: LeaderEpoch(partition.snapshot_id.epoch), end: Offset(partition.snapshot_id.end_offset) };
    Some((LeaderEpoch(partition.current_leader_epoch), id, partition.position))
}

fn snapshot_response(
    standing: Standing,
    id: SnapshotId,
    chunk: Result<(i64, i64, Bytes), ErrorCode>,
) -> FetchSnapshotResponse {
    let leader =
        told::LeaderIdAndEpoch::default().with_leader_id(standing.leader_id()).with_leader_epoch(standing.epoch.0);
    let mut partition = told::PartitionSnapshot::default()
        .with_index(0)
        .with_snapshot_id(told::SnapshotId::default().with_end_offset(id.end.0).with_epoch(id.epoch.0))
        .with_current_leader(leader);
    match chunk {
        Ok((size, position, records)) => {
            partition = partition.with_size(size).with_position(position).with_unaligned_records(records);
        }
        Err(refused) => partition.error_code = refused.code(),
    }
    let topic = told::TopicSnapshot::default().with_name(topic_name(METADATA_TOPIC)).with_partitions(vec![partition]);
    FetchSnapshotResponse::default().with_topics(vec![topic])
}
