//! The controller: the cluster's metadata as decide and replay (QuorumController,
//! ReplicationControlManager, ClusterControlManager).

mod active;
pub mod ahead;
mod answer;
mod brokers;
mod codec;
mod configs;
pub mod decide;
pub mod election;
pub mod image;
pub mod liveness;
pub mod placement;
pub mod reassignment;
pub mod record;
mod replication;
pub mod snapshot;
mod telling;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;

use crate::kafka::config::BrokerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Command, Input, Node, Turn, earliest};
use crate::kafka::quorum::{Quorum, QuorumDisk, QuorumRole, is_metadata_fetch};
use crate::time::{Duration, Instant};
use crate::wire::{Body, ControllerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, Request};

use active::{Active, Tools};
use image::MetadataImage;
use snapshot::SnapshotTimer;

/// How long a controller that stops waits for a successor (KafkaRaftManager.shutdown).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(5_000);

/// A controller node: a voter of the metadata quorum, and the cluster's controller while it leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Controller {
    id: ControllerId,
    /// The controllers of the set-up: the configured voters, or `controller.quorum.bootstrap.servers`.
    controllers: Arc<[ControllerId]>,
    config: Arc<BrokerConfig>,
    /// What survives a crash.
    pub disk: QuorumDisk,
    /// What a crash ends; `None` while the process is down.
    pub process: Option<Box<Process>>,
    /// The last committed offset this node knew of, whose facts are therefore told. The node's own
    /// book-keeping towards the world and no part of Kafka: it survives everything.
    told: Offset,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    quorum: Quorum,
    /// Everything committed, as far as this node knows.
    committed: MetadataImage,
    /// There while this node is the active controller.
    active: Option<Active>,
    snapshots: SnapshotTimer,
}

impl Controller {
    /// `controllers` are those that a new quorum begins with. Whoever is none of them learns from the
    /// metadata log who votes (KIP-853).
    pub fn new(id: ControllerId, controllers: Vec<ControllerId>, config: impl Into<Arc<BrokerConfig>>) -> Controller {
        let config = config.into();
        let known: &[ControllerId] = if controllers.contains(&id) { &controllers } else { &[] };
        Controller {
            id,
            disk: QuorumDisk::formatted(config.kraft_version, known),
            controllers: controllers.into(),
            config,
            process: None,
            told: Offset::UNKNOWN,
        }
    }

    /// The process dies; what it wrote stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The machine dies: what was not flushed of the metadata log is gone. What this voter answered for
    /// was flushed before (KafkaRaftClient.appendAsFollower, flushLeaderLog).
    pub fn power_off(&mut self) {
        self.kill();
        self.disk.log.lose_unflushed();
    }

    pub fn id(&self) -> ControllerId {
        self.id
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it is the active controller: it leads the quorum and has replayed everything before its epoch.
    pub fn is_active(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.active.is_some())
    }

    pub fn quorum(&self) -> Option<&Quorum> {
        self.process.as_ref().map(|process| &process.quorum)
    }

    pub fn role(&self) -> Option<QuorumRole> {
        self.quorum().map(Quorum::role)
    }

    /// The quorum's epoch as this node knows it.
    pub fn epoch(&self) -> LeaderEpoch {
        self.quorum().map_or(self.disk.epoch, Quorum::epoch)
    }

    pub fn log_end(&self) -> Offset {
        self.disk.log.log_end()
    }

    pub fn high_watermark(&self) -> Option<Offset> {
        self.quorum().map(Quorum::high_watermark)
    }

    /// The metadata that is committed, as far as this node knows.
    pub fn image(&self) -> Option<&MetadataImage> {
        self.process.as_ref().map(|process| &process.committed)
    }

    /// What the active controller decides on: ahead of what is committed.
    pub fn image_ahead(&self) -> Option<&MetadataImage> {
        let active = self.process.as_ref()?.active.as_ref()?;
        Some(&active.ahead.image)
    }

    fn start(&mut self, turn: &mut Turn<'_>) {
        let me = NodeId::Controller(self.id);
        // What is committed the quorum finds out again.
        self.disk.log.reopen(None);
        let quorum = Quorum::start(me, &self.controllers, &self.config, &mut self.disk, turn);
        let snapshots = SnapshotTimer::new(&self.config, turn.now);
        self.process = Some(Box::new(Process { quorum, committed: MetadataImage::new(), active: None, snapshots }));
    }
}

impl Node for Controller {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if matches!(input, Input::Start) && self.process.is_none() {
            self.start(turn);
        }
        let Controller { id, config, disk, process: Some(process), told, .. } = self else { return };
        match input {
            Input::Start => {}
            Input::Deliver { from, envelope } => match envelope.body {
                Body::Request(request) => process.request(disk, turn, from, envelope.correlation, request),
                Body::Response(response) => {
                    process.quorum.handle_response(disk, turn, from, envelope.correlation, &response);
                }
            },
            Input::Disconnected { peer } => {
                process.quorum.disconnected(disk, turn, peer);
                if let Some(active) = &mut process.active {
                    active.forget(peer);
                }
            }
            Input::Alarm(_) => process.alarm(disk, turn),
            Input::Command(Command::Shutdown) => process.quorum.shutdown(disk, turn, SHUTDOWN_TIMEOUT),
            // Clients are told so; a controller has no other commands.
            Input::Command(_) => {}
        }
        process.settle(config, disk, told, turn);
        if process.quorum.is_stopped() {
            turn.tell(Fact::Stopped { node: NodeId::Controller(*id) });
            self.process = None;
        }
    }

    fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let process = self.process.as_ref()?;
        earliest([process.quorum.next_alarm(), process.active.as_ref().and_then(Active::next_alarm)])
    }
}

impl Process {
    fn request(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: Request,
    ) {
        let is_quorums = match &request {
            Request::Vote(_)
            | Request::BeginQuorumEpoch(_)
            | Request::EndQuorumEpoch(_)
            | Request::FetchSnapshot(_)
            | Request::AddRaftVoter(_)
            | Request::RemoveRaftVoter(_) => true,
            Request::Fetch(fetch) => is_metadata_fetch(fetch),
            _ => false,
        };
        if is_quorums {
            self.quorum.handle_request(disk, turn, from, correlation, &request);
            return;
        }
        match &mut self.active {
            Some(active) => {
                let mut tools = Tools { quorum: &mut self.quorum, disk, turn };
                active.serve(&mut tools, self.committed.offset, from, correlation, request);
            }
            None => {
                if let Some(response) = answer::refuse(&request, ErrorCode::NotController) {
                    turn.respond(from, correlation, response);
                }
            }
        }
    }

    fn alarm(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        self.quorum.alarm(disk, turn);
        if let Some(active) = &mut self.active {
            active.run_due(&mut Tools { quorum: &mut self.quorum, disk, turn });
        }
    }

    /// Follows the quorum until nothing is new: commits, gives up what this node does not lead any
    /// more, and takes over what it leads.
    fn settle(&mut self, config: &Arc<BrokerConfig>, disk: &mut QuorumDisk, told: &mut Offset, turn: &mut Turn<'_>) {
        loop {
            self.commit(disk, told, turn);
            let leads = self.quorum.is_leader();
            let claimed = self.active.as_ref().map(|active| active.epoch);
            if claimed.is_some_and(|epoch| !leads || epoch != self.quorum.epoch())
                && let Some(active) = self.active.take()
            {
                active.renounce(turn);
            }
            let caught_up = leads && self.committed.offset >= self.quorum.epoch_start_offset();
            if self.active.is_some() || !caught_up {
                return;
            }
            let mut tools = Tools { quorum: &mut self.quorum, disk, turn };
            self.active = Some(Active::claim(config.clone(), self.committed.clone(), &mut tools));
        }
    }

    fn commit(&mut self, disk: &mut QuorumDisk, told: &mut Offset, turn: &mut Turn<'_>) {
        if let Some(snapshot) = self.quorum.take_snapshot(disk) {
            self.committed = snapshot::load(&snapshot);
            *told = (*told).max(self.committed.offset);
        }
        let batches = self.quorum.take_committed(disk);
        if batches.is_empty() {
            return;
        }
        let mut nobody = Vec::new();
        for batch in &batches {
            if self.quorum.is_leader() && batch.base_offset > *told {
                let expired = self.active.as_mut().map_or(&mut nobody, |active| &mut active.expired);
                for fact in telling::replay_and_tell(&mut self.committed, batch, expired) {
                    turn.tell(fact);
                }
            } else {
                self.committed.replay_batch(batch);
            }
            *told = (*told).max(batch.last_offset);
        }
        if let Some(active) = &mut self.active {
            active.answer(self.committed.offset, turn);
        }
        self.snapshots.replayed(&batches);
        if self.snapshots.rings(turn.now) {
            let (last, epoch) = (self.committed.offset, self.committed.epoch);
            self.quorum.write_snapshot(disk, turn, last, epoch, &snapshot::write(&self.committed));
        }
    }
}
