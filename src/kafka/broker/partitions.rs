//! What the broker's replicas do when the metadata says so or when one of them changed
//! (ReplicaManager.applyDelta, BrokerMetadataPublisher): roles, fetchers, deletion, settings.

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::broker::alter_partition::{AlteredPartition, IsrChange};
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::{ImageLiveness, Process};
use crate::kafka::config::Planted;
use crate::kafka::controller::image::{Delta, PartitionRegistration};
use crate::kafka::controller::snapshot;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::fact::Fact;
use crate::kafka::log::Appended;
use crate::kafka::node::Turn;
use crate::kafka::replica::fetcher::{Fetcher, FollowerLogs, truncate};
use crate::kafka::replica::{After, Claim, IsrProposal, Partition, PartitionState};
use crate::sorted::SortedSet;
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicName, TopicPartition, Uuid};

impl Process {
    /// Replays committed batches of the metadata log and acts on what they changed; before the first
    /// publication it only replays.
    pub(super) fn replay_metadata(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, batches: &[Batch]) {
        let mut deltas = Vec::new();
        for batch in batches {
            deltas.extend(self.image.replay_batch(batch));
        }
        if self.published {
            self.apply(disk, turn, deltas);
        }
        self.snapshots.replayed(batches);
        if self.snapshots.rings(turn.now) {
            let (last, epoch) = (self.image.offset, self.image.epoch);
            self.quorum.write_snapshot(&mut disk.quorum, turn, last, epoch, &snapshot::write(&self.image));
        }
    }

    /// What the metadata log no longer has, a snapshot tells: the broker acts on whatever differs from
    /// what it knew (MetadataLoader.handleLoadSnapshot).
    pub(super) fn load_metadata(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let Some(snapshot) = self.quorum.take_snapshot(&disk.quorum) else { return };
        let image = snapshot::load(&snapshot);
        let deltas = snapshot::differences(&self.image, &image);
        self.image = image;
        if self.published {
            self.apply(disk, turn, deltas);
        }
    }

    /// The broker has caught up with the metadata log beyond its own registration: it acts on the
    /// whole image at once (BrokerServer.startup), not on how it came to be. Replicas that went
    /// elsewhere or whose topic is gone are deleted, the others take up their roles.
    pub(super) fn publish_first(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        self.published = true;
        let is_mine = |partition: &TopicPartition, topic_id: Uuid| {
            let topic = self.image.topics.get(&partition.topic).filter(|topic| topic.id == topic_id);
            let registration = topic.and_then(|topic| topic.partitions.get(&partition.partition));
            registration.is_some_and(|registration| registration.replicas.contains(&self.id))
        };
        let folders = disk.folders.iter().filter(|(partition, folder)| !is_mine(partition, folder.topic_id));
        let stray: Vec<TopicPartition> = folders.map(|(partition, _)| partition.clone()).collect();
        for partition in stray {
            disk.delete(&partition);
        }
        let mine = self.image.partitions().filter(|(_, _, _, registration)| registration.replicas.contains(&self.id));
        let mine: Vec<TopicPartition> =
            mine.map(|(topic, _, index, _)| TopicPartition::new(topic.clone(), index)).collect();
        for partition in mine {
            self.apply_partition(disk, turn, &partition);
        }
    }

    fn apply(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, deltas: Vec<Delta>) {
        let mut changed: SortedSet<TopicPartition> = SortedSet::new();
        let mut settings: SortedSet<TopicName> = SortedSet::new();
        let mut all_settings = false;
        for delta in deltas {
            match delta {
                Delta::Partition(partition) => {
                    self.groups.topic_changed(&partition.topic);
                    changed.insert(partition);
                }
                // ClearElr: nothing that a replica knows of.
                Delta::Partitions(_) => {}
                Delta::TopicDeleted(topic, id) => self.delete_topic(disk, turn, &topic, id),
                Delta::TopicConfig(topic) => drop(settings.insert(topic)),
                Delta::ClusterConfig => all_settings = true,
                Delta::BrokerConfig(broker) => all_settings |= broker == self.id,
                Delta::TopicCreated(_) | Delta::Broker(_) | Delta::None => {}
            }
        }
        for partition in changed {
            self.apply_partition(disk, turn, &partition);
        }
        if all_settings {
            settings.extend(self.replicas.keys().map(|partition| partition.topic.clone()));
        }
        for topic in settings {
            self.apply_settings(disk, &topic);
        }
    }

    /// Appends to a partition that this broker leads, and tells.
    pub(super) fn append(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        records: Bytes,
        claim: Claim,
    ) -> Result<Appended, ErrorCode> {
        if !self.replicas.contains_key(partition) {
            return Err(self.absent_error(partition));
        }
        let absent = ErrorCode::NotLeaderOrFollower;
        let idle = match self.fetch_key(disk, partition) {
            Some(key) => self.sessions.idle_followers(key),
            None => Vec::new(),
        };
        let liveness = ImageLiveness { me: self.id, my_epoch: self.lifecycle.broker_epoch(), image: &self.image };
        let replica = self.replicas.get_mut(partition).map(Arc::make_mut).ok_or(absent)?;
        let log = disk.log_mut(partition).ok_or(absent)?;
        for (follower, at) in idle {
            replica.note_idle_fetch(follower, at, log.log_end());
        }
        let (appended, after) = replica.append_claimed(log, records, claim, &liveness, turn.now)?;
        let (first, last, bytes) = (appended.first, appended.last, appended.bytes);
        let leader_epoch = replica.leader_epoch();
        let (broker, name) = (self.id, partition.clone());
        if appended.duplicate {
            turn.tell(Fact::DuplicateBatch { partition: name, broker, first, last });
        } else {
            if appended.rolled {
                turn.tell(Fact::SegmentRolled { partition: name.clone(), broker, base: first });
            }
            turn.tell(Fact::Appended { partition: name, broker, first, last, bytes, leader_epoch, leader: true });
            self.touched.insert(partition.clone());
        }
        self.after(turn, partition, after);
        Ok(appended)
    }

    /// What follows from a change at a leader: told, asked of the controller, and looked at by those who wait.
    pub(super) fn after(&mut self, turn: &mut Turn<'_>, partition: &TopicPartition, after: After) {
        if let Some((from, to)) = after.high_watermark {
            self.high_watermark_moved(turn, partition, from, to);
        }
        if after.low_watermark_moved {
            self.low_watermark_moved.insert(partition.clone());
        }
        if let Some(proposal) = after.proposal {
            self.propose(turn, partition, proposal, true);
        }
    }

    /// Submits an ISR change; one that cannot be queued is taken back at once.
    pub(super) fn propose(
        &mut self,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        proposal: IsrProposal,
        is_new: bool,
    ) {
        let Some(replica) = self.replicas.get_mut(partition).map(Arc::make_mut) else { return };
        let from = replica.isr().to_vec();
        let to: Vec<BrokerId> = proposal.isr.iter().map(|(id, _)| *id).collect();
        let Some(topic_id) = self.image.topics.get(&partition.topic).map(|topic| topic.id) else { return };
        let change = IsrChange {
            partition: partition.clone(),
            topic_id,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr.clone(),
            // What the leader asks for is always a recovered partition.
            recovering: false,
        };
        self.proposed = true;
        if let Err(error) = self.alter_partition.submit(change) {
            replica.alter_partition_failed(&proposal, error);
        } else if is_new {
            let (partition, broker) = (partition.clone(), self.id);
            turn.tell(Fact::IsrChangeProposed { partition, broker, from, to });
        }
    }

    /// The controller answered an ISR change.
    pub(super) fn isr_change_answered(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        result: Result<AlteredPartition, ErrorCode>,
    ) {
        self.proposed = true;
        let Some(replica) = self.replicas.get_mut(partition).map(Arc::make_mut) else { return };
        let Some(proposal) = replica.pending().cloned() else { return };
        match result {
            Ok(altered) => {
                let AlteredPartition { leader_epoch, partition_epoch, isr, .. } = altered;
                if replica.alter_partition_succeeded(&proposal, leader_epoch, partition_epoch, isr) {
                    self.recheck_high_watermark(disk, turn, partition);
                    self.touched.insert(partition.clone());
                }
            }
            Err(error) => {
                let again = replica.alter_partition_failed(&proposal, error);
                turn.tell(Fact::IsrChangeRefused { partition: partition.clone(), broker: self.id, error });
                if let Some(proposal) = again {
                    self.propose(turn, partition, proposal, false);
                }
            }
        }
    }

    /// What an absent replica means to a client: somebody else has it, or nobody.
    pub(super) fn absent_error(&self, partition: &TopicPartition) -> ErrorCode {
        match self.image.partition(partition) {
            Some(_) => ErrorCode::NotLeaderOrFollower,
            None => ErrorCode::UnknownTopicOrPartition,
        }
    }

    pub(super) fn high_watermark_moved(
        &mut self,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        from: Offset,
        to: Offset,
    ) {
        let broker = self.id;
        turn.tell(Fact::HighWatermarkMoved { partition: partition.clone(), broker, from, to, leader: true });
        self.touched.insert(partition.clone());
        self.advanced.extend(CoordinatorType::of_topic(&partition.topic).map(|kind| (kind, partition.partition)));
    }

    /// One partition's registration changed.
    fn apply_partition(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        let Some(topic) = self.image.topics.get(&partition.topic) else { return };
        let Some(registration) = topic.partitions.get(&partition.partition).cloned() else { return };
        let topic_id = topic.id;
        if !registration.replicas.contains(&self.id) {
            // The replica moved away (reassignment).
            if self.replicas.contains_key(partition) || disk.folders.contains_key(partition) {
                self.stop_replica(disk, turn, partition);
            }
            return;
        }
        let config = self.topic_config(&partition.topic);
        disk.open(partition, topic_id, &config, &self.config, turn.now);
        if !self.replicas.contains_key(partition) {
            let replica = Partition::new(self.id, &self.config);
            self.replicas.insert(partition.clone(), Arc::new(replica));
        }
        if registration.leader == Some(self.id) {
            self.become_leader(disk, turn, partition, &registration);
        } else {
            self.become_follower(disk, turn, partition, topic_id, &registration);
        }
        self.touched.insert(partition.clone());
    }

    fn become_leader(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        registration: &PartitionRegistration,
    ) {
        self.stop_fetching(partition);
        let liveness = ImageLiveness { me: self.id, my_epoch: self.lifecycle.broker_epoch(), image: &self.image };
        let Some(replica) = self.replicas.get_mut(partition).map(Arc::make_mut) else { return };
        let Some(log) = disk.log_mut(partition) else { return };
        let change = replica.make_leader(log, state_of(registration), &liveness, turn.now);
        if !change.applied {
            return;
        }
        let (broker, leader_epoch, log_end) = (self.id, replica.leader_epoch(), log.log_end());
        if change.new_leader_epoch {
            turn.tell(Fact::BecameLeader { partition: partition.clone(), broker, leader_epoch, log_end });
        }
        if let Some((from, to)) = change.high_watermark {
            self.high_watermark_moved(turn, partition, from, to);
        }
        if change.new_leader_epoch {
            self.coordinator_elected(disk, turn, partition, leader_epoch);
        }
    }

    fn become_follower(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        topic_id: Uuid,
        registration: &PartitionRegistration,
    ) {
        let Some(replica) = self.replicas.get_mut(partition).map(Arc::make_mut) else { return };
        let led = replica.is_leader();
        let change = replica.make_follower(state_of(registration));
        if !change.applied {
            return;
        }
        let (leader, leader_epoch) = (registration.leader, replica.leader_epoch());
        if change.new_leader_epoch {
            let (partition, broker) = (partition.clone(), self.id);
            turn.tell(Fact::BecameFollower { partition, broker, leader, leader_epoch });
        }
        if led {
            self.coordinator_resigned(turn, partition);
            self.fence_share_partitions(partition);
        }
        let left = leader.is_none() || !registration.isr.contains(&self.id);
        if self.is_shutting_down() && left {
            // A broker that stops in a controlled way does not fetch its way back into the ISR.
            self.stop_fetching(partition);
        } else if change.new_leader_epoch {
            self.start_fetching(disk, turn, partition, topic_id, leader, leader_epoch);
        }
    }

    fn start_fetching(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        topic_id: Uuid,
        leader: Option<BrokerId>,
        leader_epoch: LeaderEpoch,
    ) {
        self.stop_fetching(partition);
        let Some(leader) = leader.filter(|leader| self.image.brokers.contains_key(leader)) else { return };
        let Some(log) = disk.log_mut(partition) else { return };
        if self.config.planted == Some(Planted::TruncateToHighWatermark) {
            truncate(turn, self.id, partition, log, log.high_watermark());
        }
        let fetcher = self.fetchers.entry(leader).or_insert_with(|| Arc::new(Fetcher::new(self.id, leader)));
        Arc::make_mut(fetcher).add(turn, partition, topic_id, leader_epoch, log);
    }

    fn stop_fetching(&mut self, partition: &TopicPartition) {
        for fetcher in self.fetchers.values_mut() {
            if fetcher.follow(partition).is_some() {
                Arc::make_mut(fetcher).remove(partition);
            }
        }
        self.fetchers.retain(|_, fetcher| !fetcher.is_idle());
    }

    fn delete_topic(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, topic: &TopicName, id: Uuid) {
        for partition in held_partitions(disk, topic) {
            if disk.folders.get(&partition).is_some_and(|folder| folder.topic_id == id) {
                self.stop_replica(disk, turn, &partition);
            }
        }
        self.groups.topic_changed(topic);
        self.groups.topic_deleted(turn, topic);
        self.share_coordinator.topic_deleted(turn, id);
    }

    /// The replica is gone from here, with its records.
    fn stop_replica(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        self.stop_fetching(partition);
        let led = self.replicas.remove(partition).is_some_and(|replica| replica.is_leader());
        if led {
            self.coordinator_resigned(turn, partition);
            self.fence_share_partitions(partition);
        }
        // Those who wait are told before the key of the partition is forgotten.
        self.touch(disk, turn, partition);
        disk.delete(partition);
    }

    /// A topic's settings, or the defaults below them, changed. A high watermark that a lower
    /// min.insync.replicas sets free moves with the next append or fetch (TopicConfigHandler).
    fn apply_settings(&self, disk: &mut Disk, topic: &TopicName) {
        let config = self.topic_config(topic);
        for partition in held_partitions(disk, topic) {
            if let Some(log) = disk.log_mut(&partition) {
                log.set_config(config.clone());
            }
        }
    }

    /// The high watermark may move because what bounds it changed.
    fn recheck_high_watermark(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, partition: &TopicPartition) {
        let liveness = ImageLiveness { me: self.id, my_epoch: self.lifecycle.broker_epoch(), image: &self.image };
        let Some(replica) = self.replicas.get(partition) else { return };
        let Some(log) = disk.log_mut(partition) else { return };
        if let Some((from, to)) = replica.maybe_increment_high_watermark(log, &liveness, turn.now) {
            self.high_watermark_moved(turn, partition, from, to);
        }
    }
}

/// The partitions of a topic that have a folder here.
fn held_partitions(disk: &Disk, topic: &TopicName) -> Vec<TopicPartition> {
    let first = TopicPartition::new(topic.clone(), 0);
    let held = disk.folders.range(first..).map(|(partition, _)| partition);
    held.take_while(|partition| partition.topic == *topic).cloned().collect()
}

fn state_of(registration: &PartitionRegistration) -> PartitionState {
    PartitionState {
        replicas: registration.replicas.clone(),
        isr: registration.isr.clone(),
        leader: registration.leader,
        leader_epoch: registration.leader_epoch,
        partition_epoch: registration.partition_epoch,
        recovering: registration.recovering,
    }
}
