//! One life of a broker: what comes in is routed to the room that knows, and what the rooms ask of
//! each other is carried out until nothing is left to do.

use std::sync::Arc;

use crate::kafka::broker::add_partitions::AddPartitionsManager;
use crate::kafka::broker::alter_partition::AlterPartitionManager;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::fetch_session::Sessions;
use crate::kafka::broker::forwarding::{Forwarder, is_forwarded};
use crate::kafka::broker::lifecycle::{BrokerLifecycle, BrokerState, LifecycleEvent};
use crate::kafka::broker::maintenance::Timers;
use crate::kafka::broker::metadata::{TopicCreation, api_versions, find_coordinator, metadata};
use crate::kafka::broker::persister::Persister;
use crate::kafka::broker::producer_ids::ProducerIds;
use crate::kafka::broker::purgatory::Purgatory;
use crate::kafka::broker::share_partitions::Shares;
use crate::kafka::broker::throttle::ReplicationQuota;
use crate::kafka::broker::{Broker, Process, ProcessState};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::controller::snapshot::SnapshotTimer;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::group::GroupCoordinator;
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::kafka::quorum::Quorum;
use crate::kafka::replica::Partition;
use crate::kafka::replica::fetcher::Fetcher;
use crate::kafka::share_coordinator::ShareCoordinator;
use crate::kafka::transaction::TransactionCoordinator;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{Body, BrokerEpoch, BrokerId, Correlation, Envelope, NodeId, Request, Response, TopicPartition};

/// How long a controlled shutdown waits for the controller (BrokerServer: five minutes).
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(300);

impl Process {
    /// Boots from what the disk kept.
    pub(super) fn start(broker: &mut Broker, turn: &mut Turn<'_>) -> Process {
        let (id, config, disk) = (broker.id, broker.config.clone(), &mut broker.disk);
        disk.reopen();
        let previous = disk.clean_shutdown.take();
        let quorum = Quorum::start(NodeId::Broker(id), &broker.controllers, &config, &mut disk.quorum, turn);
        Process {
            id,
            quorum,
            image: MetadataImage::new(),
            snapshots: SnapshotTimer::new(&config, turn.now),
            published: false,
            held: Vec::new(),
            lifecycle: BrokerLifecycle::new(id, broker.rack.clone(), previous, &config, turn),
            alter_partition: AlterPartitionManager::new(id),
            forwarder: Forwarder::new(id),
            producer_ids: ProducerIds::new(id),
            topic_creation: TopicCreation::new(),
            groups: GroupCoordinator::new(id, &config),
            transactions: TransactionCoordinator::new(id, &config, turn.now),
            share_coordinator: ShareCoordinator::new(&config),
            persister: Persister::new(id),
            group_states: Vec::new(),
            shares: Shares::new(),
            add_partitions: AddPartitionsManager::new(id),
            verifying: SortedMap::new(),
            last_verification: 0,
            replicas: SortedMap::new(),
            fetchers: SortedMap::new(),
            sessions: Sessions::default(),
            leader_quota: ReplicationQuota::default(),
            follower_quota: ReplicationQuota::default(),
            produces: Purgatory::new(),
            deletes: Purgatory::new(),
            markers: Purgatory::new(),
            timers: Timers::start(&config, turn.now),
            shut_down_by: None,
            done: false,
            told_controller: None,
            touched: SortedSet::new(),
            low_watermark_moved: SortedSet::new(),
            advanced: SortedSet::new(),
            proposed: false,
            config,
        }
    }

    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.lifecycle.broker_epoch()
    }

    pub fn state(&self) -> ProcessState {
        let fenced = self.image.brokers.get(&self.id).is_none_or(|registration| registration.fenced);
        match self.lifecycle.state() {
            BrokerState::Starting => ProcessState::Starting,
            BrokerState::PendingControlledShutdown | BrokerState::ShuttingDown => ProcessState::ShuttingDown,
            BrokerState::Recovery => ProcessState::Fenced,
            BrokerState::Running if fenced => ProcessState::Fenced,
            BrokerState::Running => ProcessState::Running,
        }
    }

    pub fn lifecycle(&self) -> &BrokerLifecycle {
        &self.lifecycle
    }

    /// The quorum's leader as this broker knows it: the active controller.
    pub fn controller(&self) -> Option<NodeId> {
        self.quorum.leader().map(NodeId::Controller)
    }

    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    pub fn groups(&self) -> &GroupCoordinator {
        &self.groups
    }

    pub fn replicas(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.replicas.iter().map(|(partition, replica)| (partition, replica.as_ref()))
    }

    pub fn replica(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.replicas.get(partition).map(Arc::as_ref)
    }

    pub(super) fn idle_fetch(&self, disk: &Disk, partition: &TopicPartition, follower: BrokerId) -> Option<Instant> {
        let idle = self.sessions.idle_followers(self.fetch_key(disk, partition)?);
        idle.into_iter().find(|(id, _)| *id == follower).map(|(_, at)| at)
    }

    pub fn fetchers(&self) -> impl Iterator<Item = (BrokerId, &Fetcher)> {
        self.fetchers.iter().map(|(leader, fetcher)| (*leader, fetcher.as_ref()))
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// How many acks=all requests wait for followers.
    pub fn waiting_produces(&self) -> u32 {
        self.produces.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        matches!(self.lifecycle.state(), BrokerState::PendingControlledShutdown | BrokerState::ShuttingDown)
    }

    /// SIGTERM: the controller is asked to move the leaders away first (BrokerServer.shutdown).
    pub(super) fn shut_down(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        if self.shut_down_by.is_none() {
            self.shut_down_by = Some(turn.now + SHUTDOWN_PATIENCE);
            let event = self.lifecycle.begin_controlled_shutdown(turn);
            self.lived(disk, turn, event);
        }
    }

    pub(super) fn deliver(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, from: NodeId, envelope: Envelope) {
        let Envelope { correlation, body } = envelope;
        match body {
            // The listeners open when the broker has its metadata (BrokerServer.startup).
            Body::Request(request) if !self.published => self.held.push((from, correlation, request)),
            Body::Request(request) => self.request(disk, turn, from, correlation, &request),
            Body::Response(response) => self.response(disk, turn, from, correlation, &response),
        }
    }

    pub(super) fn disconnected(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, peer: NodeId) {
        self.held.retain(|(from, _, _)| *from != peer);
        self.quorum.disconnected(&mut disk.quorum, turn, peer);
        self.lifecycle.disconnected(turn, peer);
        self.alter_partition.disconnected(turn, peer);
        self.forwarder.disconnected(turn, peer);
        self.producer_ids.disconnected(turn, peer);
        self.topic_creation.disconnected(peer);
        if let NodeId::Broker(leader) = peer {
            if let Some(fetcher) = self.fetchers.get_mut(&leader) {
                Arc::make_mut(fetcher).disconnected(turn, &self.config);
            }
            self.transactions.disconnected(turn, leader);
            self.persister.disconnected(turn, leader);
            self.coordinator_disconnected(disk, turn, leader);
        }
        self.share_connection_lost(peer);
    }

    /// Fires everything that is due.
    pub(super) fn alarm(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let now = turn.now;
        let due = |alarm: Option<(Instant, Alarm)>| alarm.is_some_and(|(at, _)| at <= now);
        if due(self.quorum.next_alarm()) {
            self.quorum.alarm(&mut disk.quorum, turn);
        }
        if due(self.groups.next_alarm()) {
            self.groups.alarm(turn, &self.image);
        }
        if due(self.transactions.next_alarm()) {
            self.transactions.alarm(turn, &self.image);
        }
        if due(self.share_coordinator.next_alarm()) {
            self.share_coordinator.alarm(turn);
        }
        self.persister.alarm(turn);
        self.expire_acquisition_locks(turn);
        self.expire_verifications(disk, turn);
        for fetcher in self.fetchers.values_mut().filter(|fetcher| due(fetcher.next_alarm())) {
            Arc::make_mut(fetcher).alarm(turn, &self.config);
        }
        if self.shut_down_by.is_some_and(|by| by <= now) {
            self.lifecycle.stop();
            self.done = true;
        }
        self.poll_controller(disk, turn);
        self.expire_produces(turn);
        self.expire_deletes(turn);
        self.expire_markers(turn);
        self.expire_fetches(disk, turn);
        self.expire_share_fetches(disk, turn);
        self.maintain(disk, turn);
    }

    pub(super) fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let purgatories = [self.produces.next_deadline(), self.deletes.next_deadline(), self.markers.next_deadline()];
        let waits = purgatories.into_iter().chain([self.sessions.next_deadline(), self.next_verification()]);
        let wait = waits.flatten().min().map(|at| (at, Alarm::DelayedOperation));
        let parts = [
            self.quorum.next_alarm(),
            self.groups.next_alarm(),
            self.transactions.next_alarm(),
            self.share_coordinator.next_alarm(),
            self.persister.next_alarm(),
            self.shares.next_alarm(),
            self.lifecycle.next_alarm(),
            self.alter_partition.next_alarm(),
            self.forwarder.next_alarm(),
            self.producer_ids.next_alarm(),
            self.shut_down_by.map(|at| (at, Alarm::Shutdown)),
            Some(self.timers.next_alarm()),
            wait,
        ];
        earliest(parts.into_iter().chain(self.fetchers.values().map(|fetcher| fetcher.next_alarm())))
    }

    fn request(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        match request {
            Request::Produce(produce) => self.verify_produce(disk, turn, (from, correlation), produce),
            Request::Fetch(fetch) => self.fetch(disk, turn, from, correlation, fetch),
            Request::ListOffsets(list) => {
                let answer = self.list_offsets(disk, list);
                turn.respond(from, correlation, answer);
            }
            Request::OffsetForLeaderEpoch(asked) => {
                let answer = self.offset_for_leader_epoch(disk, asked);
                turn.respond(from, correlation, answer);
            }
            Request::InitProducerId(_)
            | Request::AddPartitionsToTxn(_)
            | Request::AddOffsetsToTxn(_)
            | Request::EndTxn(_) => self.transaction_request(turn, from, correlation, request),
            Request::WriteTxnMarkers(write) => self.write_txn_markers(disk, turn, from, correlation, write),
            Request::TxnOffsetCommit(commit) => self.txn_offset_commit(disk, turn, (from, correlation), commit),
            Request::Metadata(asked) => {
                let (image, config, controller) = (&self.image, &self.config, self.controller());
                let answer = metadata(turn, image, config, &mut self.topic_creation, controller, asked);
                turn.respond(from, correlation, answer);
            }
            Request::ApiVersions(_) => turn.respond(from, correlation, api_versions(&self.image)),
            Request::FindCoordinator(asked) => {
                let (image, config, controller) = (&self.image, &self.config, self.controller());
                let answer = find_coordinator(turn, image, config, &mut self.topic_creation, controller, asked);
                turn.respond(from, correlation, answer);
            }
            Request::ShareFetch(fetch) => self.share_fetch(disk, turn, from, correlation, fetch),
            Request::ShareAcknowledge(acknowledge) => self.share_acknowledge(turn, from, correlation, acknowledge),
            Request::InitializeShareGroupState(_)
            | Request::ReadShareGroupState(_)
            | Request::WriteShareGroupState(_)
            | Request::DeleteShareGroupState(_)
            | Request::ReadShareGroupStateSummary(_) => {
                self.share_coordinator.handle(turn, &self.image, from, correlation, request);
            }
            Request::DeleteRecords(delete) => self.delete_records(disk, turn, from, correlation, delete),
            Request::JoinGroup(_)
            | Request::SyncGroup(_)
            | Request::Heartbeat(_)
            | Request::LeaveGroup(_)
            | Request::ConsumerGroupHeartbeat(_)
            | Request::ShareGroupHeartbeat(_)
            | Request::OffsetCommit(_)
            | Request::OffsetFetch(_)
            | Request::DescribeGroups(_)
            | Request::ConsumerGroupDescribe(_)
            | Request::ShareGroupDescribe(_)
            | Request::AlterShareGroupOffsets(_)
            | Request::DeleteGroups(_) => self.groups.handle(turn, &self.image, from, correlation, request),
            Request::Vote(_) | Request::BeginQuorumEpoch(_) | Request::EndQuorumEpoch(_) => {
                self.quorum.handle_request(&mut disk.quorum, turn, from, correlation, request);
            }
            request if is_forwarded(request) => {
                let controller = self.controller();
                self.forwarder.forward(turn, controller, from, correlation, request);
            }
            // The rest is for controllers.
            _ => {}
        }
    }

    fn response(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) {
        if let NodeId::Broker(leader) = from {
            if self.persister.answered(turn, leader, correlation, response) {
                return;
            }
            match response {
                Response::AddPartitionsToTxn(answer) => {
                    return self.partitions_added(disk, turn, leader, correlation, answer);
                }
                Response::WriteTxnMarkers(answer) => {
                    return self.transactions.markers_written(turn, leader, correlation, answer);
                }
                _ => {}
            }
            self.record_throttled(disk, turn.now, response);
            let Some(fetcher) = self.fetchers.get_mut(&leader) else { return };
            let fetcher = Arc::make_mut(fetcher);
            let changed = fetcher.handle_response(turn, &self.config, correlation, response, disk);
            self.touched.extend(changed.into_iter().flatten());
            return;
        }
        if self.quorum.handle_response(&mut disk.quorum, turn, from, correlation, response) {
            return;
        }
        if let Some(event) = self.lifecycle.handle_response(turn, from, correlation, response) {
            return self.lived(disk, turn, event);
        }
        if let Some(outcomes) = self.alter_partition.handle_response(turn, from, correlation, response) {
            for (partition, result) in outcomes {
                self.isr_change_answered(disk, turn, &partition, result);
            }
            return;
        }
        let _taken = self.producer_ids.handle_response(turn, from, correlation, response)
            || self.topic_creation.handle_response(turn, self.id, correlation, response)
            || self.forwarder.handle_response(turn, from, correlation, response);
    }

    /// A step of the life cycle.
    fn lived(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, event: LifecycleEvent) {
        match event {
            LifecycleEvent::CaughtUp => {
                self.publish_first(disk, turn);
                self.lifecycle.set_ready_to_unfence(turn);
                for (from, correlation, request) in std::mem::take(&mut self.held) {
                    self.request(disk, turn, from, correlation, &request);
                }
            }
            LifecycleEvent::ShutDown => self.done = true,
            LifecycleEvent::Nothing | LifecycleEvent::Registered | LifecycleEvent::Unfenced => {}
        }
    }

    /// Lets the parts that talk to the controller send what is due.
    fn poll_controller(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let controller = self.controller();
        let event = self.lifecycle.poll(turn, controller, self.image.offset);
        self.lived(disk, turn, event);
        self.alter_partition.poll(turn, controller, self.lifecycle.broker_epoch());
        self.forwarder.poll(turn, controller);
        self.producer_ids.poll(turn, controller);
        self.told_controller = controller;
    }

    /// Carries out what the rooms ask of each other until nothing is left, then lets them send.
    pub(super) fn settle(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        loop {
            self.load_metadata(disk, turn);
            let batches = self.quorum.take_committed(&disk.quorum);
            if !batches.is_empty() {
                self.replay_metadata(disk, turn, &batches);
            }
            for kind in CoordinatorType::ALL {
                self.settle_coordinator(disk, turn, kind);
            }
            while let Some(partition) = self.touched.pop_first() {
                self.touch(disk, turn, &partition);
            }
            while let Some(partition) = self.low_watermark_moved.pop_first() {
                self.touch_deletes(disk, turn, &partition);
            }
            while let Some(partition) = self.shares.touched.pop_first() {
                self.touch_share_fetches(disk, turn, &partition);
            }
            self.ask_persister_for_groups();
            self.settle_persister(disk, turn);
            let shares_settled = self.shares.touched.is_empty() && !self.persister.has_outcomes();
            if batches.is_empty() && self.advanced.is_empty() && self.touched.is_empty() && shares_settled {
                break;
            }
        }
        if self.told_controller != self.controller() {
            self.poll_controller(disk, turn);
        } else if self.proposed {
            let controller = self.controller();
            self.alter_partition.poll(turn, controller, self.lifecycle.broker_epoch());
        }
        self.proposed = false;
        self.send_fetches(disk, turn);
    }

    /// Everything that waits for the partition is looked at again.
    pub(super) fn touch(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        self.touch_produces(disk, turn, partition);
        self.touch_markers(disk, turn, partition);
        self.touch_deletes(disk, turn, partition);
        self.touch_fetches(disk, turn, partition);
        self.touch_share_fetches(disk, turn, partition);
    }

    fn send_fetches(&mut self, disk: &Disk, turn: &mut Turn<'_>) {
        let epoch = self.lifecycle.broker_epoch();
        self.hold_back_followers(disk, turn.now);
        for fetcher in self.fetchers.values_mut().filter(|fetcher| fetcher.wants_to_send()) {
            Arc::make_mut(fetcher).send(turn, &self.config, epoch, disk);
        }
        self.fetchers.retain(|_, fetcher| !fetcher.is_idle());
    }
}
