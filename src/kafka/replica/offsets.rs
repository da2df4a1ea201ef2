//! LIST_OFFSETS of one partition (Partition.fetchOffsetForTimestamp, KIP-79, KIP-207, KIP-734).

use crate::kafka::log::Log;
use crate::kafka::replica::Partition;
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

pub const LATEST: i64 = -1;
pub const EARLIEST: i64 = -2;
pub const MAX_TIMESTAMP: i64 = -3;
pub const EARLIEST_LOCAL: i64 = -4;

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
