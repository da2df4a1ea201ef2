//! LIST_OFFSETS of one partition (Partition.fetchOffsetForTimestamp, KIP-79, KIP-207, KIP-734).

use crate::kafka::log::Log;
use crate::kafka::replica::Partition;
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

pub const LATEST: i64 = -1;
pub const EARLIEST: i64 = -2;
pub const MAX_TIMESTAMP: i64 = -3;
pub const EARLIEST_LOCAL: i64 = -4;
pub const LATEST_TIERED: i64 = -5;
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Who asks, and so how far the answer may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A replica or a debugging consumer: up to the log end.
    Replica,
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

/// An offset found; the timestamp is -1 where the question was not about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    pub timestamp: i64,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

impl Partition {
    /// `None`: there is no such record (-1 in the answer).
    pub fn list_offset(
        &self,
        log: &Log,
        claimed: Option<LeaderEpoch>,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        self.check_reader(claimed, true)?;
        let bound = match isolation {
            Isolation::Replica => log.log_end(),
            Isolation::ReadUncommitted => log.high_watermark(),
            Isolation::ReadCommitted => log.last_stable_offset(),
        };
        // A new leader does not know yet what its predecessor committed (KIP-207).
        let lagging = self.leader_epoch_start().is_some_and(|start| start > log.high_watermark());
        let unavailable = isolation != Isolation::Replica && lagging;
        let found = match timestamp {
            LATEST if unavailable => return Err(ErrorCode::OffsetNotAvailable),
            LATEST => {
                let leader_epoch = self.leader_epoch();
                return Ok(Some(FoundOffset { timestamp: -1, offset: bound, leader_epoch }));
            }
            EARLIEST | EARLIEST_LOCAL => return Ok(Some(earliest(log))),
            MAX_TIMESTAMP => log.offset_of_max_timestamp(),
            // Nothing is stored elsewhere: an answer, of no offset.
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => {
                return Ok(Some(FoundOffset {
                    timestamp: -1,
                    offset: Offset::UNKNOWN,
                    leader_epoch: LeaderEpoch::UNKNOWN,
                }));
            }
            _ if timestamp < 0 => return Ok(None),
            _ => log.offset_for_timestamp(timestamp),
        };
        match found.filter(|(_, offset, _)| *offset < bound) {
            Some((timestamp, offset, leader_epoch)) => Ok(Some(FoundOffset { timestamp, offset, leader_epoch })),
            None if unavailable => Err(ErrorCode::OffsetNotAvailable),
            None => Ok(None),
        }
    }
}

fn earliest(log: &Log) -> FoundOffset {
    let start = log.log_start();
    let epochs = log.epochs();
    let epoch = epochs.iter().rev().find(|(_, first)| *first <= start).map(|(epoch, _)| *epoch);
    FoundOffset { timestamp: -1, offset: start, leader_epoch: epoch.unwrap_or(LeaderEpoch::UNKNOWN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::config::{BrokerConfig, TopicConfig};
    use crate::kafka::replica::{Liveness, PartitionState};
    use crate::time::Instant;
    use crate::wire::{BrokerEpoch, BrokerId, PartitionEpoch};

    struct Everybody;

    impl Liveness for Everybody {
        fn eligible(&self, _: BrokerId) -> bool {
            true
        }

        fn broker_epoch(&self, _: BrokerId) -> Option<BrokerEpoch> {
            None
        }
    }

    #[test]
    fn what_is_stored_elsewhere_is_nothing_and_that_is_an_answer() {
        let mut log = Log::new(TopicConfig::default());
        let mut partition = Partition::new(BrokerId(1), &BrokerConfig::default());
        let state = PartitionState {
            replicas: vec![BrokerId(1)],
            isr: vec![BrokerId(1)],
            leader: Some(BrokerId(1)),
            leader_epoch: LeaderEpoch(3),
            partition_epoch: PartitionEpoch(0),
            recovering: false,
        };
        partition.make_leader(&mut log, state, &Everybody, Instant::ZERO);
        let nothing = FoundOffset { timestamp: -1, offset: Offset::UNKNOWN, leader_epoch: LeaderEpoch::UNKNOWN };
        for timestamp in [LATEST_TIERED, EARLIEST_PENDING_UPLOAD] {
            let found = partition.list_offset(&log, None, timestamp, Isolation::ReadUncommitted);
            assert_eq!(found, Ok(Some(nothing)));
        }
    }
}
