//! ListOffsets (UnifiedLog.fetchOffsetByTimestamp), without a bound: a partition applies its
//! reader's.

use crate::kafka::log::Log;
use crate::kafka::log::segment::Segment;
use crate::wire::batch::NO_TIMESTAMP;
use crate::wire::{LeaderEpoch, Offset};

/// What a LIST_OFFSETS request asks for, by the numbers of ListOffsetsRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// -1: the end of the log.
    Latest,
    /// -2: the start of the log.
    Earliest,
    /// -3: the first record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// -4: the start of what is stored locally: everything (no tiered storage).
    EarliestLocal,
    /// -5: the end of what is stored remotely: nothing.
    LatestTiered,
    /// -6: the start of what waits to be stored remotely: nothing (KIP-1023).
    EarliestPendingUpload,
    /// The first record with this timestamp or a later one.
    Timestamp(i64),
}

/// Where the answer lies; the timestamp is -1 where the lookup is not by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    pub timestamp: i64,
    pub offset: Offset,
    pub epoch: Option<LeaderEpoch>,
}

impl Lookup {
    pub fn from_timestamp(timestamp: i64) -> Lookup {
        match timestamp {
            -1 => Lookup::Latest,
            -2 => Lookup::Earliest,
            -3 => Lookup::MaxTimestamp,
            -4 => Lookup::EarliestLocal,
            -5 => Lookup::LatestTiered,
            -6 => Lookup::EarliestPendingUpload,
            timestamp => Lookup::Timestamp(timestamp),
        }
    }
}

impl Log {
    /// Every kind of lookup in one place; `None` when no record answers it.
    pub fn find_offset(&self, lookup: Lookup) -> Option<FoundOffset> {
        let position =
            |offset: Offset, epoch: Option<LeaderEpoch>| Some(FoundOffset { timestamp: NO_TIMESTAMP, offset, epoch });
        let record = |(timestamp, offset, epoch): (i64, Offset, LeaderEpoch)| FoundOffset {
            timestamp,
            offset,
            epoch: (epoch.0 >= 0).then_some(epoch),
        };
        match lookup {
            Lookup::Latest => position(self.log_end, self.latest_epoch()),
            Lookup::Earliest | Lookup::EarliestLocal => position(self.log_start, self.epoch_of_log_start()),
            // What Kafka answers where nothing is stored remotely.
            Lookup::LatestTiered | Lookup::EarliestPendingUpload => {
                position(Offset::UNKNOWN, Some(LeaderEpoch::UNKNOWN))
            }
            Lookup::MaxTimestamp => self.offset_of_max_timestamp().map(record),
            Lookup::Timestamp(timestamp) => self.offset_for_timestamp(timestamp).map(record),
        }
    }

    /// The first record in offset order with this timestamp or a later one: `(timestamp, offset, epoch)`.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Option<(i64, Offset, LeaderEpoch)> {
        // The first segment that reaches the timestamp decides, whether or not its record is readable.
        let segment = self.segments.iter().find(|segment| segment.largest_timestamp() >= timestamp)?;
        let (timestamp, offset, batch) = segment.find_timestamp(timestamp, self.log_start)?;
        Some((timestamp, offset, batch.leader_epoch))
    }

    /// The first record with the largest timestamp of the log, in the first segment that has it.
    pub fn offset_of_max_timestamp(&self) -> Option<(i64, Offset, LeaderEpoch)> {
        let mut latest: Option<&Segment> = None;
        for segment in self.segments() {
            if latest.is_none_or(|found| segment.max_timestamp() > found.max_timestamp()) {
                latest = Some(segment);
            }
        }
        let batch = latest?.batch_of_max_timestamp()?;
        let mut records = batch.record_iter().ok()?.map_while(Result::ok);
        let record = records.find(|record| record.timestamp == batch.max_timestamp)?;
        Some((record.timestamp, Offset(record.offset), batch.leader_epoch))
    }

    fn epoch_of_log_start(&self) -> Option<LeaderEpoch> {
        self.epochs.earliest().filter(|entry| entry.start <= self.log_start).map(|entry| entry.epoch)
    }
}
