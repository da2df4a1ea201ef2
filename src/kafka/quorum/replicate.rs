//! Replicating: followers and observers fetch, the leader answers, waits, and commits
//! (KafkaRaftClient's handling of FETCH, and the leader's appends).

use bytes::Bytes;
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::kafka::log::{EpochEnd, Origin, ReadUpTo};
use crate::kafka::node::Turn;
use crate::kafka::quorum::message::{self, FetchAsked, Fetched};
use crate::kafka::quorum::position::{self, FetchPosition, SnapshotId};
use crate::kafka::quorum::state::State;
use crate::kafka::quorum::voters::control_batch;
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::time::{Duration, Instant};
use crate::wire::batch::Batch;
use crate::wire::{ControllerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, code, error};

/// A fetch that the leader answers when there is something new, or when its time is over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WaitingFetch {
    pub from: NodeId,
    pub correlation: Correlation,
    pub asked: FetchAsked,
    pub until: Instant,
}

impl Quorum {
    /// Answers a fetch of the metadata log at once, or lets it wait.
    pub(super) fn handle_fetch(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &FetchRequest,
    ) {
        let Some(asked) = message::read_fetch_request(request) else {
            let response = FetchResponse::default().with_error_code(code(Some(ErrorCode::InvalidRequest)));
            return turn.respond(from, correlation, response);
        };
        let malformed = asked.max_wait_ms < 0
            || asked.offset.0 < 0
            || asked.last_epoch.0 < 0
            || asked.epoch.0 < 0
            || asked.last_epoch > asked.epoch;
        if malformed {
            let refused = self.refused_fetch(disk, ErrorCode::InvalidRequest);
            return turn.respond(from, correlation, message::fetch_response(refused));
        }
        let fetched = self.serve_fetch(disk, turn, &asked);
        // KIP-1166: a high watermark that the fetcher does not know is news.
        let knows_more = fetched.high_watermark.is_some_and(|hw| hw > asked.high_watermark);
        let news = fetched.error.is_some()
            || !fetched.records.is_empty()
            || !matches!(fetched.position, FetchPosition::Valid { .. })
            || knows_more;
        if news || asked.max_wait_ms == 0 {
            return turn.respond(from, correlation, message::fetch_response(fetched));
        }
        let until = turn.now + Duration::from_millis(i64::from(asked.max_wait_ms));
        self.waiting.push(WaitingFetch { from, correlation, asked, until });
    }

    /// Answers the waiting fetches for which there is something new, whose time is over, or which
    /// this node cannot serve any more.
    pub(super) fn answer_waiting(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        let leads = matches!(self.state, State::Leader(_));
        for fetch in std::mem::take(&mut self.waiting) {
            let news = fetch.asked.offset < disk.log.log_end()
                || self.high_watermark.is_some_and(|hw| hw > fetch.asked.high_watermark);
            let fetched = if !leads {
                self.refused_fetch(disk, ErrorCode::NotLeaderOrFollower)
            } else if news {
                self.serve_fetch(disk, turn, &fetch.asked)
            } else if fetch.until <= turn.now {
                // Its time is over: the answer it would have had at once, and it counts for nothing.
                self.empty_fetch(disk)
            } else {
                self.waiting.push(fetch);
                continue;
            };
            turn.respond(fetch.from, fetch.correlation, message::fetch_response(fetched));
        }
    }

    /// tryCompleteFetchRequest: the fetch also says how far its sender is.
    fn serve_fetch(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, asked: &FetchAsked) -> Fetched {
        if let Err(refused) = self.check_leader(asked.epoch) {
            return self.refused_fetch(disk, refused);
        }
        if asked.replica == Some(self.me) {
            return self.refused_fetch(disk, ErrorCode::UnknownServerError);
        }
        let position =
            position::validate_offset_and_epoch(&disk.log, &disk.snapshot_ids(), asked.offset, asked.last_epoch);
        let mut records = Bytes::new();
        if matches!(position, FetchPosition::Valid { .. }) {
            let Ok(read) = disk.log.read(asked.offset, message::MAX_SIZE_BYTES, ReadUpTo::LogEnd) else {
                return self.refused_fetch(disk, ErrorCode::UnknownServerError);
            };
            records = read.records;
            // A position inside a batch counts as the batch's base: the rest is not there yet.
            self.replica_reached(disk, turn, asked.replica, read.first);
        }
        Fetched { position, records, ..self.empty_fetch(disk) }
    }

    fn replica_reached(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, replica: Option<NodeId>, end: Offset) {
        if let (State::Leader(leader), Some(me), Some(NodeId::Controller(other))) =
            (&mut self.state, self.local, replica)
        {
            leader.fetched_at(other, end, disk.log.log_end(), turn.now);
            leader.voter_lives(me, other, turn.now, self.timing.fetch_timeout);
        }
        self.commit(disk);
    }

    /// Moves the leader's high watermark to what a majority holds.
    fn commit(&mut self, disk: &mut QuorumDisk) {
        let State::Leader(leader) = &self.state else { return };
        let Some(committed) = leader.committed() else { return };
        if self.high_watermark.is_none_or(|hw| committed > hw) {
            self.high_watermark = Some(committed);
            disk.log.maybe_increment_high_watermark(committed);
        }
    }

    /// validateLeaderOnlyRequest
    pub(super) fn check_leader(&self, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        if epoch < self.epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.epoch {
            Err(ErrorCode::UnknownLeaderEpoch)
        } else if !matches!(self.state, State::Leader(_)) {
            Err(ErrorCode::NotLeaderOrFollower)
        } else if self.shutdown_by.is_some() {
            Err(ErrorCode::BrokerNotAvailable)
        } else {
            Ok(())
        }
    }

    fn empty_fetch(&self, disk: &QuorumDisk) -> Fetched {
        Fetched {
            error: None,
            standing: self.standing(),
            high_watermark: self.high_watermark,
            log_start: disk.log.log_start(),
            position: FetchPosition::Valid { epoch: self.epoch, offset: Offset::ZERO },
            records: Bytes::new(),
        }
    }

    fn refused_fetch(&self, disk: &QuorumDisk, refused: ErrorCode) -> Fetched {
        Fetched { error: Some(refused), high_watermark: None, ..self.empty_fetch(disk) }
    }

    /// Writes the record that begins the epoch, if it is not there yet, and the gathered records
    /// whose time has come. What a leader wrote is flushed before it counts.
    pub(super) fn write_gathered(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        let timestamp = turn.now.millis();
        let starts = matches!(&self.state, State::Leader(leader) if !leader.start_written);
        let mut batches = Vec::new();
        if starts {
            batches.push(control_batch(&self.epoch_start_records(timestamp)));
        }
        let State::Leader(leader) = &mut self.state else { return };
        leader.start_written = true;
        if leader.drain_at.is_some_and(|at| at <= turn.now) {
            leader.drain_at = None;
            batches.extend(in_batches(std::mem::take(&mut leader.gathered), timestamp));
        }
        if batches.is_empty() {
            return;
        }
        self.write(disk, turn, batches);
    }

    /// What the leader built goes into its log at once.
    pub(super) fn write(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, batches: Vec<Batch>) {
        for batch in batches {
            disk.log
                .append_as_leader(batch.bytes().clone(), self.epoch, Origin::RaftLeader, turn.now)
                .expect("a batch that the leader built itself passes the checks of its log");
        }
        disk.log.flush();
        self.voters_may_have_changed(disk, turn);
        if let (State::Leader(leader), Some(me)) = (&mut self.state, self.local) {
            leader.wrote_up_to(me, disk.log.log_end());
        }
        self.commit(disk);
    }

    pub(super) fn send_fetch(&mut self, disk: &QuorumDisk, turn: &mut Turn<'_>, to: ControllerId) {
        if let State::Follower { leader, download: Some(download), .. } = &self.state
            && *leader == to
        {
            let request = self.snapshot_request(download);
            return self.send(turn, to, request);
        }
        let asked = FetchAsked {
            replica: Some(self.me),
            epoch: self.epoch,
            offset: disk.log.log_end(),
            last_epoch: disk.last_epoch(),
            high_watermark: self.high_watermark.unwrap_or(Offset::UNKNOWN),
            max_wait_ms: message::MAX_FETCH_WAIT_MS,
        };
        self.send(turn, to, message::fetch_request(self.me, asked));
    }

    pub(super) fn handle_fetch_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        response: &FetchResponse,
    ) -> bool {
        if error(response.error_code).is_some() {
            return false;
        }
        let Some((refused, standing, partition)) = message::read_fetch_response(response) else { return false };
        if let Some(handled) = self.common_response(disk, turn, refused, standing) {
            return handled;
        }
        if refused.is_some() || !matches!(self.state, State::Follower { .. }) {
            return false;
        }
        let understood = if partition.diverging_epoch.epoch >= 0 {
            let epoch = LeaderEpoch(partition.diverging_epoch.epoch);
            self.truncate(disk, turn, EpochEnd { epoch, end: Offset(partition.diverging_epoch.end_offset) })
        } else if partition.snapshot_id.epoch >= 0 || partition.snapshot_id.end_offset >= 0 {
            let epoch = LeaderEpoch(partition.snapshot_id.epoch);
            self.begin_download(SnapshotId { epoch, end: Offset(partition.snapshot_id.end_offset) });
            true
        } else {
            let records = partition.records.clone().unwrap_or_default();
            self.take_in(disk, turn, records, Offset(partition.high_watermark))
        };
        if let (true, State::Follower { fetch_deadline, has_fetched, .. }) = (understood, &mut self.state) {
            *fetch_deadline = turn.now + self.timing.fetch_timeout;
            *has_fetched = true;
        }
        understood
    }

    /// Cuts off what the leader does not have. Never what is committed: Kafka halts when a leader
    /// asks for that (a majority must have lost its log); this node stays where it is.
    fn truncate(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, leader_end: EpochEnd) -> bool {
        let known = self.high_watermark.unwrap_or(Offset::ZERO);
        let committed = known.max(self.handed_out).max(disk.log.high_watermark());
        let to = position::truncation_offset(&disk.log, &disk.snapshot_ids(), leader_end);
        if leader_end.end < committed || to < committed {
            return false;
        }
        disk.log.truncate_to(to);
        if self.history.truncate(to) {
            self.voters_changed(turn);
        }
        true
    }

    /// Appends what was fetched and follows the leader's high watermark, which never moves back.
    fn take_in(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, records: Bytes, leader_hw: Offset) -> bool {
        if !records.is_empty() {
            if disk.log.append_as_follower(records, self.epoch, turn.now).is_err() {
                return false;
            }
            self.voters_may_have_changed(disk, turn);
            // A voter's answer to the leader is its next fetch: what it says it holds is on disk.
            if self.is_voter() {
                disk.log.flush();
            }
        }
        let reached = leader_hw.min(disk.log.log_end());
        if leader_hw.0 >= 0 && self.high_watermark.is_none_or(|hw| reached > hw) {
            self.high_watermark = Some(reached);
            disk.log.update_high_watermark(reached);
        }
        true
    }
}

/// The gathered records in as few batches as their size allows; one append is never torn apart
/// (BatchAccumulator).
fn in_batches(appends: Vec<Vec<Bytes>>, timestamp: i64) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut current: Vec<Bytes> = Vec::new();
    let mut size = 0;
    for append in appends {
        let added: u64 = append.iter().map(|value| value.len() as u64).sum();
        if !current.is_empty() && size + added > message::MAX_SIZE_BYTES as u64 {
            batches.push(message::metadata_batch(&std::mem::take(&mut current), timestamp));
            size = 0;
        }
        size += added;
        current.extend(append);
    }
    if !current.is_empty() {
        batches.push(message::metadata_batch(&current, timestamp));
    }
    batches
}
