//! What a leader answers to a fetch position (ReplicatedLog.validateOffsetAndEpoch), and where a
//! follower truncates to (truncateToEndOffset).

use crate::kafka::log::{EpochEnd, Log};
use crate::wire::{LeaderEpoch, Offset};

/// A snapshot of the metadata by the end offset and the epoch of the last record in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    pub epoch: LeaderEpoch,
    pub end: Offset,
}

/// A leader's verdict on where a follower wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPosition {
    Valid {
        epoch: LeaderEpoch,
        offset: Offset,
    },
    /// The follower holds what the leader does not: it must truncate to this end of this epoch.
    Diverging(EpochEnd),
    /// The leader no longer has the records: the follower must fetch this snapshot first.
    Snapshot(SnapshotId),
}

/// Compares a fetch at `offset`, after a last record of `epoch`, with the leader's log; `snapshots`
/// in order, the oldest first.
pub fn validate_offset_and_epoch(
    log: &Log,
    snapshots: &[SnapshotId],
    offset: Offset,
    epoch: LeaderEpoch,
) -> FetchPosition {
    if log.log_start() == Offset::ZERO && offset == Offset::ZERO {
        return FetchPosition::Valid { epoch: LeaderEpoch(0), offset };
    }
    if let (Some(earliest), Some(latest)) = (snapshots.first(), snapshots.last()) {
        let at_start_with_other_epoch = offset == log.log_start() && epoch != earliest.epoch;
        if offset < log.log_start() || at_start_with_other_epoch || epoch < earliest.epoch {
            return FetchPosition::Snapshot(*latest);
        }
    }
    let end = end_of_epoch(log, snapshots, epoch);
    if end.epoch != epoch || end.end < offset {
        return FetchPosition::Diverging(end);
    }
    FetchPosition::Valid { epoch, offset }
}

/// Where a follower cuts its log when the leader says that `leader_end` is where it diverges.
pub(super) fn truncation_offset(log: &Log, snapshots: &[SnapshotId], leader_end: EpochEnd) -> Offset {
    if leader_end.epoch == LeaderEpoch(0) {
        return leader_end.end.min(log.log_end());
    }
    let own = end_of_epoch(log, snapshots, leader_end.epoch);
    if own.epoch == leader_end.epoch { own.end.min(leader_end.end) } else { own.end }
}

/// The epoch of the last record, 0 before the first one (KafkaMetadataLog.lastFetchedEpoch).
pub(super) fn last_epoch(log: &Log, snapshots: &[SnapshotId]) -> LeaderEpoch {
    log.latest_epoch().unwrap_or_else(|| snapshots.last().map_or(LeaderEpoch(0), |snapshot| snapshot.epoch))
}

/// KafkaMetadataLog.endOffsetForEpoch: the log's end where the epoch cache knows nothing, and the
/// oldest snapshot's epoch where the epoch is older than the log.
fn end_of_epoch(log: &Log, snapshots: &[SnapshotId], epoch: LeaderEpoch) -> EpochEnd {
    match (log.end_offset_for(epoch), snapshots.first()) {
        (Some(end), Some(earliest)) if end.end == earliest.end && end.epoch == epoch => {
            EpochEnd { epoch: earliest.epoch, end: earliest.end }
        }
        (Some(end), _) => end,
        (None, _) => EpochEnd { epoch: last_epoch(log, snapshots), end: log.log_end() },
    }
}
