//! Where the group coordinator meets the broker: the partitions of `__consumer_offsets` that this
//! broker leads, their appends and their high watermarks (CoordinatorPartitionWriter,
//! CoordinatorLoaderImpl, BrokerMetadataPublisher).

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::{GroupCoordinator, OFFSETS_TOPIC};
use crate::kafka::node::Turn;
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, Request, topic_name};

/// What the coordinator needs of the broker that it lives in. Partitions are those of
/// `__consumer_offsets`.
pub trait Host {
    fn coordinator(&mut self) -> &mut GroupCoordinator;

    /// Appends to a partition that this broker leads, acks=all; the offset of the first record.
    fn append(&mut self, turn: &mut Turn<'_>, partition: i32, batch: Bytes) -> Result<Offset, ErrorCode>;

    /// `None` when this broker has no replica of the partition.
    fn high_watermark(&self, partition: i32) -> Option<Offset>;

    /// Hands the coordinator, together with the partition's log from its start, to `load`.
    fn with_log(
        &mut self,
        partition: i32,
        load: &mut dyn FnMut(&mut GroupCoordinator, &mut dyn Iterator<Item = &Batch>),
    );
}

/// A request of a group, answered when the coordinator is ready.
pub fn handle(
    host: &mut impl Host,
    turn: &mut Turn<'_>,
    image: &MetadataImage,
    from: NodeId,
    correlation: Correlation,
    request: &Request,
) {
    host.coordinator().handle(turn, image, from, correlation, request);
    settle(host, turn);
}

/// The coordinator's deadlines.
pub fn alarm(host: &mut impl Host, turn: &mut Turn<'_>, image: &MetadataImage) {
    host.coordinator().alarm(turn, image);
    settle(host, turn);
}

/// The metadata changed: takes up the partitions that this broker has come to lead, with its replicas
/// in their new roles already, and lets go of the others.
pub fn metadata_changed(host: &mut impl Host, turn: &mut Turn<'_>, me: BrokerId, image: &MetadataImage) {
    let topic = image.topics.get(&topic_name(OFFSETS_TOPIC));
    for partition in host.coordinator().partitions() {
        let registration = topic.and_then(|topic| topic.partitions.get(&partition));
        if registration.and_then(|registration| registration.leader) != Some(me) {
            host.coordinator().resigned(turn, partition);
        }
    }
    for (partition, registration) in topic.into_iter().flat_map(|topic| topic.partitions.iter()) {
        if registration.leader == Some(me) {
            elected(host, turn, *partition, registration.leader_epoch);
        }
    }
    settle(host, turn);
}

/// This broker leads the partition, in this epoch. Nothing is read twice.
pub fn elected(host: &mut impl Host, turn: &mut Turn<'_>, partition: i32, epoch: LeaderEpoch) {
    if host.coordinator().leader_epoch(partition) == Some(epoch) {
        return;
    }
    host.with_log(partition, &mut |coordinator, log| coordinator.elected(turn, partition, epoch, log));
    report_committed(host, turn, partition);
}

/// Appends what the coordinator decided, until it has nothing more to write. To be called after
/// everything that may have moved the coordinator or the high watermark of one of its partitions.
pub fn settle(host: &mut impl Host, turn: &mut Turn<'_>) {
    loop {
        let appends = host.coordinator().take_appends();
        if appends.is_empty() {
            return;
        }
        for append in appends {
            let result = host.append(turn, append.partition, append.batch);
            host.coordinator().appended(turn, append.partition, result);
            report_committed(host, turn, append.partition);
        }
    }
}

/// The high watermark of a partition moved.
pub fn committed(host: &mut impl Host, turn: &mut Turn<'_>, partition: i32) {
    report_committed(host, turn, partition);
    settle(host, turn);
}

fn report_committed(host: &mut impl Host, turn: &mut Turn<'_>, partition: i32) {
    if let Some(high_watermark) = host.high_watermark(partition) {
        host.coordinator().committed(turn, partition, high_watermark);
    }
}
