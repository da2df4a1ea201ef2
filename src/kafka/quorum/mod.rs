//! KRaft's Raft: electing a leader among the controllers and replicating the metadata log by the
//! followers' fetches (KafkaRaftClient, QuorumState). Controllers vote, or observe until they are
//! added to the voters (KIP-853); brokers observe.
//!
//! Every entry does its own work and then polls: what the state wants done at this instant is done
//! until nothing is left, as Kafka's raft thread does.

mod connection;
mod elect;
mod leader;
mod message;
mod poll;
mod position;
mod reconfigure;
mod replicate;
#[cfg(test)]
mod simulation;
mod snapshot;
mod state;
mod transition;
mod voters;

use bytes::Bytes;

use crate::kafka::config::{BrokerConfig, TopicConfig};
use crate::kafka::log::Log;
use crate::kafka::node::{Alarm, Turn};
use crate::time::{Duration, Instant};
use crate::wire::batch::Batch;
use crate::wire::{ControllerId, Correlation, LeaderEpoch, NodeId, Offset, Request, Response};

pub use message::{METADATA_TOPIC_ID, is_metadata_fetch, is_metadata_response};
pub use position::{FetchPosition, SnapshotId, validate_offset_and_epoch};
pub use snapshot::{MetadataRetention, Snapshot};
pub use voters::{RECONFIGURABLE, control_record_text, directory_id};

use connection::Connections;
use message::Standing;
use replicate::WaitingFetch;
use state::State;
use voters::VoterHistory;

/// What survives a crash: the quorum-state file and the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub struct QuorumDisk {
    pub epoch: LeaderEpoch,
    pub leader: Option<ControllerId>,
    pub voted: Option<ControllerId>,
    pub log: Log,
    /// What the metadata was at some offsets, the oldest first; a log that does not begin at 0 begins
    /// where the first of them ends.
    pub snapshots: Vec<Snapshot>,
    /// The voters that the disk was formatted with: the bootstrap checkpoint of kraft.version 1, empty
    /// for a node that shall learn them from the log. `None`: they are configured (kraft.version 0).
    pub bootstrap: Option<Vec<ControllerId>>,
}

/// What a node is in the quorum at this moment, for the picture and for JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumRole {
    Unattached,
    Prospective,
    Candidate,
    Leader,
    Follower,
    Resigned,
    Observer,
}

/// The quorum's times (QuorumConfig).
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout: Duration,
    /// What is added to an election timeout at random: less than one more of it.
    pub election_spread: Duration,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max: Duration,
    /// `controller.quorum.append.linger.ms`
    pub append_linger: Duration,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff: Duration,
    /// The pause before a peer that knew no leader is asked again. Kafka makes none, and so asks
    /// as often as the network allows.
    pub leaderless_backoff: Duration,
}

/// Why a leader would not resign from an epoch (KafkaRaftClient.resign).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResignRefused {
    /// The epoch is not this node's to resign from.
    IllegalArgument,
    /// Only voters resign.
    IllegalState,
}

/// One node's part in the quorum. The disk is handed in with every call.
#[derive(Clone, Debug, PartialEq)]
pub struct Quorum {
    me: NodeId,
    /// This node as a controller; brokers are none.
    local: Option<ControllerId>,
    /// `controller.quorum.bootstrap.servers`: whom to ask where nobody is known.
    bootstrap: Vec<ControllerId>,
    /// Who the voters are and were.
    history: VoterHistory,
    timing: Timing,
    /// The highest epoch this node has heard of; equal to the disk's but for a restart with a log
    /// that is ahead of the quorum-state file.
    epoch: LeaderEpoch,
    state: State,
    /// Below it everything is committed; `None` until a leader told, or a majority confirmed it.
    high_watermark: Option<Offset>,
    /// The controllers that owe an answer or are left alone for a moment.
    connections: Connections,
    /// Fetches that wait at this leader, in the order of their arrival.
    waiting: Vec<WaitingFetch>,
    /// The next offset that `take_committed` hands out; never above the high watermark.
    handed_out: Offset,
    /// When an orderly shutdown stops waiting for a successor.
    shutdown_by: Option<Instant>,
    /// The shutdown is complete: this part does nothing any more.
    stopped: bool,
    /// How much of the metadata log is kept beside its newest snapshot.
    retention: MetadataRetention,
    /// When to look for a beginning of the log that may go.
    clean_at: Instant,
}

impl Timing {
    pub fn of(config: &BrokerConfig) -> Timing {
        Timing {
            election_timeout: config.quorum_election_timeout,
            election_spread: config.quorum_election_timeout,
            fetch_timeout: config.quorum_fetch_timeout,
            election_backoff_max: config.quorum_election_backoff_max,
            append_linger: config.quorum_append_linger,
            request_timeout: config.quorum_request_timeout,
            retry_backoff: config.quorum_retry_backoff,
            leaderless_backoff: config.quorum_retry_backoff,
        }
    }
}

impl QuorumDisk {
    pub fn new() -> QuorumDisk {
        QuorumDisk {
            epoch: LeaderEpoch(0),
            leader: None,
            voted: None,
            log: Log::new(log_config(&BrokerConfig::default())),
            snapshots: Vec::new(),
            bootstrap: None,
        }
    }

    /// A disk as `kafka-storage format` leaves it: with these voters for a controller of the new
    /// quorum, with none for everyone else (`--no-initial-controllers`); without a mark of either
    /// when the voters are configured.
    pub fn formatted(kraft_version: i16, voters: &[ControllerId]) -> QuorumDisk {
        let bootstrap = (kraft_version >= RECONFIGURABLE).then(|| voters.to_vec());
        QuorumDisk { bootstrap, ..QuorumDisk::new() }
    }
}

/// Of the settings of logs the metadata log has its own (MetadataLogConfig); what may be deleted its
/// snapshots decide.
fn log_config(config: &BrokerConfig) -> TopicConfig {
    TopicConfig {
        retention: None,
        retention_bytes: None,
        segment_bytes: config.metadata_segment_bytes,
        segment_time: config.metadata_segment_time,
        ..TopicConfig::default()
    }
}

impl Default for QuorumDisk {
    fn default() -> QuorumDisk {
        QuorumDisk::new()
    }
}

impl Quorum {
    /// A process starts with this disk. `controllers` are the voters where they are configured, and
    /// otherwise those that can be asked who leads.
    pub fn start(
        me: NodeId,
        controllers: &[ControllerId],
        config: &BrokerConfig,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
    ) -> Quorum {
        disk.log.set_config(log_config(config));
        let mut quorum = Quorum::initialize(me, controllers, Timing::of(config), disk, turn);
        quorum.retention =
            MetadataRetention { bytes: config.metadata_retention_bytes, time: config.metadata_retention_time };
        quorum.poll(disk, turn);
        quorum
    }

    /// The state that the disk says this node was in, before it does anything (KafkaRaftClient.initialize).
    pub fn initialize(
        me: NodeId,
        controllers: &[ControllerId],
        timing: Timing,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
    ) -> Quorum {
        // The metadata log has no checkpoint of its high watermark: the leader will tell.
        disk.log.reopen(None);
        disk.begin_with_latest_snapshot();
        let local = if let NodeId::Controller(id) = me { Some(id) } else { None };
        let mut quorum = Quorum {
            me,
            local,
            bootstrap: controllers.to_vec(),
            history: VoterHistory::of(controllers, disk),
            connections: Connections::new(timing.request_timeout),
            timing,
            epoch: LeaderEpoch(0),
            state: State::Unattached { leader: None, voted: None, election_at: None },
            high_watermark: None,
            waiting: Vec::new(),
            handed_out: Offset::ZERO,
            shutdown_by: None,
            stopped: false,
            retention: MetadataRetention { bytes: None, time: None },
            clean_at: turn.now,
        };
        quorum.initial_state(disk, turn);
        quorum.persist(disk);
        if quorum.is_voter() && quorum.voters().len() == 1 {
            // Nobody else could win: a sole voter does not wait for a timeout.
            match quorum.state {
                State::Candidate { .. } => quorum.advance_nominee(disk, turn),
                _ => quorum.become_candidate(disk, turn),
            }
        }
        quorum
    }

    /// VOTE, BEGIN_QUORUM_EPOCH, END_QUORUM_EPOCH, FETCH of the metadata topic, FETCH_SNAPSHOT,
    /// ADD_RAFT_VOTER and REMOVE_RAFT_VOTER.
    pub fn handle_request(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        match request {
            Request::Vote(vote) => {
                let response = self.handle_vote(disk, turn, vote);
                turn.respond(from, correlation, response);
            }
            Request::BeginQuorumEpoch(begin) => {
                let response = self.handle_begin(disk, turn, begin);
                turn.respond(from, correlation, response);
            }
            Request::EndQuorumEpoch(end) => {
                let response = self.handle_end(disk, turn, end);
                turn.respond(from, correlation, response);
            }
            Request::Fetch(fetch) => self.handle_fetch(disk, turn, from, correlation, fetch),
            Request::FetchSnapshot(fetch) => {
                let response = self.serve_snapshot(disk, turn, fetch);
                turn.respond(from, correlation, response);
            }
            Request::AddRaftVoter(add) => self.handle_add_voter(disk, turn, from, correlation, add),
            Request::RemoveRaftVoter(remove) => self.handle_remove_voter(disk, turn, from, correlation, remove),
            // Everything else is somebody else's to answer.
            _ => return,
        }
        self.poll(disk, turn);
    }

    /// True if the response answered a request of this part (by correlation), or would have if the
    /// request still mattered.
    pub fn handle_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> bool {
        let ours = match response {
            Response::Vote(_)
            | Response::BeginQuorumEpoch(_)
            | Response::EndQuorumEpoch(_)
            | Response::FetchSnapshot(_) => true,
            Response::Fetch(fetch) => is_metadata_response(fetch),
            _ => false,
        };
        let NodeId::Controller(peer) = from else { return ours };
        if !self.connections.expects(peer, correlation) {
            return ours;
        }
        let handled = match response {
            Response::Vote(vote) => self.handle_vote_response(disk, turn, peer, vote),
            Response::BeginQuorumEpoch(begin) => self.handle_begin_response(disk, turn, begin),
            Response::EndQuorumEpoch(end) => self.handle_end_response(disk, turn, peer, end),
            Response::Fetch(fetch) => self.handle_fetch_response(disk, turn, fetch),
            Response::FetchSnapshot(fetch) => self.handle_snapshot_response(disk, turn, fetch),
            _ => false,
        };
        // A change of state has forgotten the request already.
        if self.connections.expects(peer, correlation) {
            let pause = match (handled, fetched_nothing(response)) {
                (false, _) => self.timing.retry_backoff,
                (true, true) => self.timing.leaderless_backoff,
                (true, false) => Duration::ZERO,
            };
            if pause > Duration::ZERO {
                self.connections.back_off(peer, turn.now + pause);
            } else {
                self.connections.reset(peer);
            }
        }
        self.poll(disk, turn);
        true
    }

    pub fn disconnected(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, peer: NodeId) {
        self.waiting.retain(|fetch| fetch.from != peer);
        if let NodeId::Controller(controller) = peer
            && self.connections.is_awaiting(controller)
        {
            self.connections.back_off(controller, turn.now + self.timing.retry_backoff);
        }
        self.poll(disk, turn);
    }

    /// Fires everything of this part that is due.
    pub fn alarm(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        self.poll(disk, turn);
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        if self.stopped { None } else { self.earliest_alarm() }
    }

    /// The leader appends one batch of metadata records (already encoded values); the offset of the
    /// first one. `None` when this node does not lead. The records are written together with those
    /// of the next `controller.quorum.append.linger.ms`; an epoch that ends before drops them.
    pub fn append(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, records: &[Bytes]) -> Option<Offset> {
        let linger = self.timing.append_linger;
        let first = self.next_offset(disk)?;
        let State::Leader(leader) = &mut self.state else { return None };
        if !records.is_empty() {
            leader.gathered.push(records.to_vec());
            leader.drain_at.get_or_insert(turn.now + linger);
            self.poll(disk, turn);
        }
        Some(first)
    }

    /// Where the next record that the leader appends will stand. `None` when this node does not lead.
    pub fn next_offset(&self, disk: &QuorumDisk) -> Option<Offset> {
        let State::Leader(leader) = &self.state else { return None };
        let unwritten = if leader.start_written { 0 } else { self.epoch_start_records(0).len() as i64 };
        let gathered: i64 = leader.gathered.iter().map(|append| append.len() as i64).sum();
        Some(disk.log.log_end() + unwritten + gathered)
    }

    /// The leader gives up (shutdown, or the controller failed): EndQuorumEpoch to the others.
    pub fn resign(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        self.become_resigned(turn);
        self.poll(disk, turn);
    }

    /// The same, if the node still leads the epoch that the caller means (KafkaRaftClient.resign).
    pub fn resign_from(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        epoch: LeaderEpoch,
    ) -> Result<(), ResignRefused> {
        if !self.is_voter() {
            return Err(ResignRefused::IllegalState);
        }
        if epoch.0 < 0 || epoch > self.epoch {
            return Err(ResignRefused::IllegalArgument);
        }
        if epoch == self.epoch {
            if self.state.leader(self.local) != self.local {
                return Err(ResignRefused::IllegalArgument);
            }
            self.resign(disk, turn);
        }
        Ok(())
    }

    /// An orderly shutdown (KafkaRaftClient.shutdown): a leader resigns and waits until a successor
    /// is elected or `timeout` is over; everyone else is done at once, or when a leader is known.
    pub fn shutdown(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, timeout: Duration) {
        self.shutdown_by.get_or_insert(turn.now + timeout);
        self.poll(disk, turn);
    }

    pub fn is_shutting_down(&self) -> bool {
        self.shutdown_by.is_some()
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The committed batches that this node has not handed out yet, in order; control batches too.
    /// Called after every input; cheap when there is nothing.
    pub fn take_committed(&mut self, disk: &QuorumDisk) -> Vec<Batch> {
        let Some(committed) = self.high_watermark.filter(|hw| *hw > self.handed_out) else { return Vec::new() };
        let batches: Vec<Batch> =
            disk.log.batches(self.handed_out).take_while(|batch| batch.last_offset < committed).collect();
        if let Some(last) = batches.last() {
            self.handed_out = last.next_offset();
        }
        batches
    }

    pub fn role(&self) -> QuorumRole {
        match self.state {
            State::Unattached { .. } | State::Follower { .. } if !self.is_voter() => QuorumRole::Observer,
            State::Unattached { .. } => QuorumRole::Unattached,
            State::Prospective { .. } => QuorumRole::Prospective,
            State::Candidate { .. } => QuorumRole::Candidate,
            State::Leader(_) => QuorumRole::Leader,
            State::Follower { .. } => QuorumRole::Follower,
            State::Resigned { .. } => QuorumRole::Resigned,
        }
    }

    /// Kafka's name of the state; observers are Unattached or Follower.
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The quorum's leader as this node knows it; none while this node has resigned.
    pub fn leader(&self) -> Option<ControllerId> {
        if matches!(self.state, State::Resigned { .. }) { None } else { self.state.leader(self.local) }
    }

    /// Whom the node names as the epoch's leader in its answers, itself also when it resigned.
    pub fn named_leader(&self) -> Option<ControllerId> {
        self.state.leader(self.local)
    }

    /// Whom the node voted for in this epoch.
    pub fn voted(&self) -> Option<ControllerId> {
        self.state.voted(self.local)
    }

    pub fn is_leader(&self) -> bool {
        self.role() == QuorumRole::Leader
    }

    /// Whether this node leads and was handed everything that was committed before its epoch: only
    /// then may its controller act (KafkaRaftClient.maybeFireLeaderChange).
    pub fn is_active(&self) -> bool {
        matches!(&self.state, State::Leader(leader) if self.handed_out > leader.epoch_start)
    }

    /// First metadata offset not known to be committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark.unwrap_or(Offset::ZERO).max(self.handed_out)
    }

    /// The high watermark, unknown at first and again at the beginning of an own epoch.
    pub fn known_high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// Where the leader's epoch began: its LeaderChange record (leader only).
    pub fn epoch_start_offset(&self) -> Offset {
        if let State::Leader(leader) = &self.state { leader.epoch_start } else { Offset::UNKNOWN }
    }

    /// The voters' fetch positions as the leader knows them; empty at others.
    pub fn voter_ends(&self) -> Vec<(ControllerId, Option<Offset>)> {
        match &self.state {
            State::Leader(leader) => leader.voters.iter().map(|(voter, progress)| (*voter, progress.end)).collect(),
            _ => Vec::new(),
        }
    }

    /// Who may vote, by the newest record of the log; in order.
    pub fn voters(&self) -> &[ControllerId] {
        self.history.latest()
    }

    /// The feature `kraft.version`: 1 where the voters stand in the log.
    pub fn kraft_version(&self) -> i16 {
        if self.history.is_reconfigurable() { RECONFIGURABLE } else { 0 }
    }

    fn is_voter(&self) -> bool {
        self.local.is_some_and(|me| self.voters().contains(&me))
    }

    /// Everyone who may know the leader. Kafka asks only `controller.quorum.bootstrap.servers`, which
    /// whoever operates it keeps up to date.
    fn contacts(&self) -> Vec<ControllerId> {
        let mut contacts = [self.bootstrap.as_slice(), self.voters()].concat();
        contacts.extend(self.state.leader(self.local));
        contacts.sort_unstable();
        contacts.dedup();
        contacts.retain(|contact| Some(*contact) != self.local);
        contacts
    }

    fn other_voters(&self) -> Vec<ControllerId> {
        self.voters().iter().copied().filter(|voter| Some(*voter) != self.local).collect()
    }

    fn standing(&self) -> Standing {
        Standing { epoch: self.epoch, leader: self.state.leader(self.local) }
    }

    fn send(&mut self, turn: &mut Turn<'_>, to: ControllerId, request: impl Into<Request>) {
        let request = request.into();
        let api = request.api();
        let correlation = turn.request(NodeId::Controller(to), request);
        self.connections.sent(to, correlation, api, turn.now);
    }
}

/// Whether a fetch was refused: its answer was understood, but whoever asks again at once hears
/// the same.
fn fetched_nothing(response: &Response) -> bool {
    let Response::Fetch(fetch) = response else { return false };
    message::read_fetch_response(fetch).is_some_and(|(refused, _, _)| refused.is_some())
}
