//! One life of a broker: what comes in is routed to the room that knows, and what the rooms ask of
//! each other is carried out until nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;

use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::fetch_session::Sessions;
use crate::kafka::broker::maintenance::Timers;
use crate::kafka::broker::partitions::OFFSETS_TOPIC;
use crate::kafka::broker::purgatory::Purgatory;
use crate::kafka::broker::stub::{AlterPartitionManager, BrokerLifecycle};
use crate::kafka::broker::{Broker, Process, ProcessState};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::GroupCoordinator;
use crate::kafka::log::Origin;
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::kafka::quorum::Quorum;
use crate::kafka::replica::Partition;
use crate::kafka::replica::fetcher::{Fetcher, FollowerLogs};
use crate::time::Instant;
use crate::wire::{
    Body, BrokerEpoch, BrokerId, Correlation, Envelope, LeaderEpoch, NodeId, Request, Response, TopicPartition,
};

impl Process {
    /// Boots from what the disk kept.
    pub(super) fn start(broker: &mut Broker, turn: &mut Turn<'_>) -> Process {
        let (id, config, disk) = (broker.id, broker.config.clone(), &mut broker.disk);
        disk.reopen();
        let _previous = disk.clean_shutdown.take();
        let quorum = Quorum::start(NodeId::Broker(id), &broker.voters, &config, &mut disk.quorum, turn);
        Process {
            id,
            rack: broker.rack.clone(),
            quorum,
            image: MetadataImage::new(),
            published: false,
            lifecycle: BrokerLifecycle { epoch: BrokerEpoch::UNKNOWN },
            alter_partition: AlterPartitionManager::default(),
            groups: GroupCoordinator::new(id, &config),
            replicas: OrdMap::new(),
            fetchers: BTreeMap::new(),
            sessions: Sessions::new(),
            produces: Purgatory::new(),
            deletes: Purgatory::new(),
            timers: Timers::start(&config, turn.now),
            touched: BTreeSet::new(),
            low_watermark_moved: BTreeSet::new(),
            committed_offsets: BTreeMap::new(),
            config,
        }
    }

    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.lifecycle.broker_epoch()
    }

    pub fn state(&self) -> ProcessState {
        if self.lifecycle.is_shutting_down() {
            return ProcessState::ShuttingDown;
        }
        match self.image.brokers.get(&self.id) {
            Some(registration) if registration.epoch == self.broker_epoch() => {
                if registration.fenced {
                    ProcessState::Fenced
                } else {
                    ProcessState::Running
                }
            }
            _ => ProcessState::Starting,
        }
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
        false
    }

    pub(super) fn shut_down(&mut self, _disk: &mut Disk, _turn: &mut Turn<'_>) {}

    pub(super) fn deliver(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, from: NodeId, envelope: Envelope) {
        let Envelope { correlation, body } = envelope;
        match body {
            Body::Request(request) => self.request(disk, turn, from, correlation, &request),
            Body::Response(response) => self.response(disk, turn, from, correlation, &response),
        }
    }

    pub(super) fn disconnected(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, peer: NodeId) {
        self.quorum.disconnected(&mut disk.quorum, turn, peer);
        if let NodeId::Broker(leader) = peer
            && let Some(fetcher) = self.fetchers.get_mut(&leader)
        {
            Arc::make_mut(fetcher).disconnected(turn, &self.config);
        }
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
        for fetcher in self.fetchers.values_mut().filter(|fetcher| due(fetcher.next_alarm())) {
            Arc::make_mut(fetcher).alarm(turn, &self.config);
        }
        self.expire_produces(turn);
        self.expire_deletes(turn);
        self.expire_fetches(disk, turn);
        self.maintain(disk, turn);
    }

    pub(super) fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let waits = [self.produces.next_deadline(), self.deletes.next_deadline(), self.sessions.next_deadline()];
        let wait = waits.into_iter().flatten().min().map(|at| (at, Alarm::DelayedOperation));
        let parts = [self.quorum.next_alarm(), self.groups.next_alarm(), wait, Some(self.timers.next_alarm())];
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
            Request::Produce(produce) => self.produce(disk, turn, from, correlation, produce),
            Request::Fetch(fetch) => self.fetch(disk, turn, from, correlation, fetch),
            Request::ListOffsets(list) => {
                let answer = self.list_offsets(disk, list);
                turn.respond(from, correlation, answer);
            }
            Request::OffsetForLeaderEpoch(asked) => {
                let answer = self.offset_for_leader_epoch(disk, asked);
                turn.respond(from, correlation, answer);
            }
            Request::DeleteRecords(delete) => self.delete_records(disk, turn, from, correlation, delete),
            Request::JoinGroup(_)
            | Request::SyncGroup(_)
            | Request::Heartbeat(_)
            | Request::LeaveGroup(_)
            | Request::OffsetCommit(_)
            | Request::OffsetFetch(_) => self.groups.handle(turn, &self.image, from, correlation, request),
            Request::Vote(_) | Request::BeginQuorumEpoch(_) | Request::EndQuorumEpoch(_) => {
                self.quorum.handle_request(&mut disk.quorum, turn, from, correlation, request);
            }
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
        let NodeId::Broker(leader) = from else {
            self.quorum.handle_response(&mut disk.quorum, turn, from, correlation, response);
            return;
        };
        let Some(fetcher) = self.fetchers.get_mut(&leader) else { return };
        let changed = Arc::make_mut(fetcher).handle_response(turn, &self.config, correlation, response, disk);
        self.touched.extend(changed.into_iter().flatten());
    }

    /// Carries out what the rooms ask of each other until nothing is left, then lets them send.
    pub(super) fn settle(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        loop {
            let batches = self.quorum.take_committed(&disk.quorum);
            if !batches.is_empty() {
                self.replay_metadata(disk, turn, &batches);
            }
            let appends = self.groups.take_appends();
            let idle = batches.is_empty() && appends.is_empty();
            for append in appends {
                let partition = TopicPartition::named(OFFSETS_TOPIC, append.partition);
                let appended = self.append(disk, turn, &partition, append.batch, -1, Origin::Coordinator);
                self.groups.appended(turn, append.partition, appended.map(|appended| appended.first));
            }
            while let Some((partition, mark)) = self.committed_offsets.pop_first() {
                self.groups.committed(turn, partition, mark);
            }
            while let Some(partition) = self.touched.pop_first() {
                self.touch(disk, turn, &partition);
            }
            while let Some(partition) = self.low_watermark_moved.pop_first() {
                self.touch_deletes(disk, turn, &partition);
            }
            if idle && self.committed_offsets.is_empty() {
                break;
            }
        }
        self.send_fetches(disk, turn);
    }

    /// Everything that waits for the partition is looked at again.
    pub(super) fn touch(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        self.touch_produces(disk, turn, partition);
        self.touch_deletes(disk, turn, partition);
        self.touch_fetches(disk, turn, partition);
    }

    fn send_fetches(&mut self, disk: &Disk, turn: &mut Turn<'_>) {
        let epoch = self.lifecycle.broker_epoch();
        for fetcher in self.fetchers.values_mut().filter(|fetcher| fetcher.wants_to_send()) {
            Arc::make_mut(fetcher).send(turn, &self.config, epoch, disk);
        }
        self.fetchers.retain(|_, fetcher| !fetcher.is_idle());
    }

    pub(super) fn coordinator_elected(&mut self, disk: &Disk, turn: &mut Turn<'_>, partition: i32, epoch: LeaderEpoch) {
        let Some(log) = disk.log(&TopicPartition::named(OFFSETS_TOPIC, partition)) else { return };
        self.groups.elected(turn, partition, epoch, &mut log.batches(log.log_start()));
        self.committed_offsets.insert(partition, log.high_watermark());
    }

    pub(super) fn coordinator_resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.committed_offsets.remove(&partition);
        self.groups.resigned(turn, partition);
    }
}
