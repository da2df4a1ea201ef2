//! The group coordinator of one broker (GroupCoordinatorService, GroupMetadataManager,
//! OffsetMetadataManager): classic groups and committed offsets as decide and replay over the
//! partitions of `__consumer_offsets` that this broker leads.

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::node::{Alarm, Turn};
use crate::time::Instant;
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, Request};

/// A batch that the coordinator wants appended to its partition of `__consumer_offsets`, acks=all.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub partition: i32,
    pub batch: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupCoordinator {
    // the owner of this room fills it in
}

#[allow(unused_variables)]
impl GroupCoordinator {
    pub fn new(broker: BrokerId, config: &BrokerConfig) -> GroupCoordinator {
        todo!()
    }

    /// `Utils.abs(groupId.hashCode()) % partitions`.
    pub fn partition_for(group: &str, partitions: i32) -> i32 {
        todo!()
    }

    /// JOIN_GROUP, SYNC_GROUP, HEARTBEAT, LEAVE_GROUP, OFFSET_COMMIT, OFFSET_FETCH: answered through
    /// the turn at once, when parked members allow, or when the write is committed.
    pub fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        todo!()
    }

    /// This broker leads the partition now: load it from its log.
    pub fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = &Batch>,
    ) {
        todo!()
    }

    /// It does not lead it any more: parked requests are answered with NOT_COORDINATOR.
    pub fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        todo!()
    }

    /// What to append; the broker appends each in order and calls `appended` for each.
    pub fn take_appends(&mut self) -> Vec<Append> {
        todo!()
    }

    pub fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        todo!()
    }

    /// The high watermark of the partition moved: what waited for it is answered.
    pub fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        todo!()
    }

    pub fn alarm(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        todo!()
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        todo!()
    }
}
