//! Where the group coordinator meets the broker: the partitions of `__consumer_offsets` that this
//! broker leads, their appends and their high watermarks (CoordinatorPartitionWriter,
//! CoordinatorLoaderImpl, BrokerMetadataPublisher).

use bytes::Bytes;

use crate::kafka::group::GroupCoordinator;
use crate::kafka::node::Turn;
use crate::wire::batch::Batch;
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

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
        load: &mut dyn FnMut(&mut GroupCoordinator, &mut dyn Iterator<Item = Batch>),
    );
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::config::BrokerConfig;
    use crate::kafka::controller::image::MetadataImage;
    use crate::kafka::controller::record::{MetadataRecord, PartitionRegistration};
    use crate::kafka::group::OFFSETS_TOPIC;
    use crate::kafka::node::Effects;
    use crate::time::Instant;
    use crate::wire::messages::OffsetCommitRequest;
    use crate::wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use crate::wire::{BrokerId, ClientId, Correlation, GroupId, NodeId, Uuid, str_bytes, topic_name};

    /// A broker with one partition of `__consumer_offsets`.
    struct OneLog {
        coordinator: GroupCoordinator,
        log: Vec<Batch>,
        high_watermark: Offset,
    }

    impl OneLog {
        fn new(log: Vec<Batch>) -> OneLog {
            let coordinator = GroupCoordinator::new(BrokerId(1), &BrokerConfig::default());
            let high_watermark = log.last().map_or(Offset::ZERO, Batch::next_offset);
            OneLog { coordinator, log, high_watermark }
        }
    }

    impl Host for OneLog {
        fn coordinator(&mut self) -> &mut GroupCoordinator {
            &mut self.coordinator
        }

        fn append(&mut self, _: &mut Turn<'_>, _: i32, mut batch: Bytes) -> Result<Offset, ErrorCode> {
            let base = self.log.last().map_or(Offset::ZERO, Batch::next_offset);
            self.log.push(Batch::split_first(&mut batch, true)?.stamped(base, LeaderEpoch(1)));
            Ok(base)
        }

        fn high_watermark(&self, _: i32) -> Option<Offset> {
            Some(self.high_watermark)
        }

        fn with_log(&mut self, _: i32, load: &mut dyn FnMut(&mut GroupCoordinator, &mut dyn Iterator<Item = Batch>)) {
            load(&mut self.coordinator, &mut self.log.iter().cloned());
        }
    }

    fn image(leader: i32) -> MetadataImage {
        let mut image = MetadataImage::new();
        for (id, name) in [(1, OFFSETS_TOPIC), (2, "orders")] {
            let id = Uuid::from_u128(id);
            image.replay(&MetadataRecord::Topic { name: topic_name(name), id });
            image.replay(&MetadataRecord::Partition {
                topic: id,
                partition: 0,
                registration: PartitionRegistration {
                    leader: Some(BrokerId(leader)),
                    leader_epoch: LeaderEpoch(leader),
                    ..PartitionRegistration::new([1, 2].map(BrokerId).to_vec(), [1, 2].map(BrokerId).to_vec())
                },
            });
        }
        image
    }

    #[test]
    fn a_commit_goes_through_the_log_and_is_there_for_the_next_leader() {
        let mut effects = Effects::new(1);
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        let mut host = OneLog::new(Vec::new());
        elected(&mut host, &mut turn, 0, LeaderEpoch(1));
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(7);
        let topic =
            OffsetCommitRequestTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
        let group = GroupId(str_bytes("payments"));
        let request = OffsetCommitRequest::default()
            .with_group_id(group.clone())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let from = NodeId::Client(ClientId(1));
        host.coordinator().handle(&mut turn, &image(1), from, Correlation(1), &request.into());
        settle(&mut host, &mut turn);
        assert_eq!(host.log.len(), 1);
        host.high_watermark = Offset(1);
        committed(&mut host, &mut turn, 0);
        host.coordinator().resigned(&mut turn, 0);
        assert_eq!(host.coordinator.groups().count(), 0);

        let mut next = OneLog::new(host.log);
        elected(&mut next, &mut turn, 0, LeaderEpoch(2));
        let offsets: Vec<i64> = next.coordinator.offsets(&group).map(|(_, offset)| offset.offset.0).collect();
        assert_eq!(offsets, [7]);
        assert_eq!(effects.sends.len(), 1);
    }
}
