//! Where the coordinators meet the broker: the partitions of their topics that this broker leads,
//! their appends and their high watermarks (CoordinatorPartitionWriter, CoordinatorLoaderImpl,
//! BrokerMetadataPublisher).

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::{Append, Coordinator, CoordinatorType};
use crate::kafka::log::producer_state::VerificationGuard;
use crate::kafka::log::{Log, Origin};
use crate::kafka::node::Turn;
use crate::kafka::replica::Claim;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::wire::{Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, ProducerId, Request, TopicPartition};

impl Process {
    fn coordinator(&mut self, kind: CoordinatorType) -> &mut dyn Coordinator {
        self.coordinator_and_image(kind).0
    }

    fn coordinator_and_image(&mut self, kind: CoordinatorType) -> (&mut dyn Coordinator, &MetadataImage) {
        let coordinator: &mut dyn Coordinator = match kind {
            CoordinatorType::Group => &mut self.groups,
            CoordinatorType::Transaction => &mut self.transactions,
            CoordinatorType::Share => &mut self.share_coordinator,
        };
        (coordinator, &self.image)
    }

    /// INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN.
    pub(super) fn transaction_request(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        let (controller, epoch) = (self.controller(), self.lifecycle.broker_epoch());
        let supply = &mut self.producer_ids;
        let mut ids = |turn: &mut Turn<'_>| supply.generate(turn, controller, epoch);
        self.transactions.handle(turn, &self.image, &mut ids, from, correlation, request);
    }

    /// This broker leads the partition, in this epoch: if a coordinator keeps its state there, it reads
    /// it. Nothing is read twice.
    pub(super) fn coordinator_elected(
        &mut self,
        disk: &Disk,
        turn: &mut Turn<'_>,
        partition: &TopicPartition,
        epoch: LeaderEpoch,
    ) {
        let Some(kind) = CoordinatorType::of_topic(&partition.topic) else { return };
        let (coordinator, image) = self.coordinator_and_image(kind);
        if coordinator.leader_epoch(partition.partition) == Some(epoch) {
            return;
        }
        if let Some(log) = disk.log(partition) {
            coordinator.elected(turn, image, partition.partition, epoch, &mut log.batches(log.log_start()));
        }
        self.report_committed(disk, turn, kind, partition.partition);
    }

    /// This broker does not lead it any more.
    pub(super) fn coordinator_resigned(&mut self, turn: &mut Turn<'_>, partition: &TopicPartition) {
        let Some(kind) = CoordinatorType::of_topic(&partition.topic) else { return };
        self.advanced.remove(&(kind, partition.partition));
        self.coordinator(kind).resigned(turn, partition.partition);
    }

    /// Tells the coordinator what is committed and appends what it decides, until it wants nothing more.
    pub(super) fn settle_coordinator(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, kind: CoordinatorType) {
        while let Some(partition) = self.take_advanced(kind) {
            self.report_committed(disk, turn, kind, partition);
        }
        self.append_decided(disk, turn, kind, None);
    }

    /// Appends what the coordinator decided. The partitions of the verified producer's transaction have
    /// been added to it.
    pub(super) fn append_decided(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        kind: CoordinatorType,
        verified: Option<(ProducerId, VerificationGuard)>,
    ) {
        loop {
            if kind == CoordinatorType::Transaction {
                self.transactions.send_markers(turn, &self.image);
            }
            let appends = self.coordinator(kind).take_appends();
            if appends.is_empty() {
                return;
            }
            for append in appends {
                let partition = append.partition;
                let guard = verified.filter(|(producer, _)| append.producer == Some(*producer));
                let result = self.append_for(disk, turn, kind, append, guard.map(|(_, guard)| guard));
                self.coordinator(kind).appended(turn, partition, result);
                self.report_committed(disk, turn, kind, partition);
            }
        }
    }

    /// Appends to a partition that this broker leads, acks=all; the offset of the first record.
    fn append_for(
        &mut self,
        disk: &mut Disk,
        turn: &mut Turn<'_>,
        kind: CoordinatorType,
        append: Append,
        guard: Option<VerificationGuard>,
    ) -> Result<Offset, ErrorCode> {
        let partition = TopicPartition::named(kind.topic(), append.partition);
        let claim = Claim { guard, ..Claim::new(-1, Origin::Coordinator) };
        Ok(self.append(disk, turn, &partition, append.batch, claim)?.first)
    }

    fn report_committed(&mut self, disk: &Disk, turn: &mut Turn<'_>, kind: CoordinatorType, partition: i32) {
        let high_watermark = disk.log(&TopicPartition::named(kind.topic(), partition)).map(Log::high_watermark);
        if let Some(high_watermark) = high_watermark {
            self.coordinator(kind).committed(turn, partition, high_watermark);
        }
    }

    fn take_advanced(&mut self, kind: CoordinatorType) -> Option<i32> {
        let (_, partition) = self.advanced.iter().find(|(of, _)| *of == kind).copied()?;
        self.advanced.remove(&(kind, partition));
        Some(partition)
    }
}
