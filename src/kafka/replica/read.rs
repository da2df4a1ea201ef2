//! Reading from a replica: the checks of epochs, of the follower's place in the assignment and of
//! divergence, and what a follower's fetch tells its leader (Partition.fetchRecords).

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, EpochEndOffset, PartitionData};

use crate::kafka::config::Planted;
use crate::kafka::log::index::AbortedTxn;
use crate::kafka::log::{EpochEnd, Log, ReadUpTo};
use crate::kafka::replica::{After, Liveness, Partition};
use crate::time::Instant;
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset};

/// What a fetch asks of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub offset: Offset,
    pub max_bytes: i32,
    /// The log start of the follower; -1 from a consumer.
    pub log_start: Offset,
    /// The leader epoch that the reader believes in.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the reader's last record (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

/// What was read, with the log's bounds as they were before the fetch moved anything (LogReadInfo).
#[derive(Clone, Debug, PartialEq)]
pub struct ReadInfo {
    pub first: Offset,
    pub records: Bytes,
    /// The reader's log parted from this one: where its last epoch ends here.
    pub diverging: Option<EpochEnd>,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start: Offset,
    pub log_end: Offset,
    /// The aborted transactions that a reader of committed records must skip in what it gets.
    pub aborted: Vec<AbortedTxn>,
    /// Another replica that the consumer is to read from (KIP-392); then nothing was read here.
    pub preferred: Option<BrokerId>,
}

impl ReadInfo {
    /// Nothing read at `offset`, and the log's bounds as they are now.
    pub fn bounds(log: &Log, offset: Offset) -> ReadInfo {
        ReadInfo {
            first: offset,
            records: Bytes::new(),
            diverging: None,
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start: log.log_start(),
            log_end: log.log_end(),
            aborted: Vec::new(),
            preferred: None,
        }
    }

    /// Neither records nor anything else that the reader must act upon.
    pub fn is_nothing(&self) -> bool {
        self.records.is_empty() && self.diverging.is_none() && self.preferred.is_none()
    }
}

impl Partition {
    /// Partition.checkCurrentLeaderEpoch.
    pub fn check_leader_epoch(&self, claimed: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        let claimed = claimed.filter(|_| self.planted != Some(Planted::IgnoreEpochsOnFetch));
        match claimed {
            Some(epoch) if epoch < self.leader_epoch() => Err(ErrorCode::FencedLeaderEpoch),
            Some(epoch) if epoch > self.leader_epoch() => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Partition.getLocalLog: the epoch first, then the role.
    pub fn check_reader(&self, claimed: Option<LeaderEpoch>, leader_only: bool) -> Result<(), ErrorCode> {
        self.check_leader_epoch(claimed)?;
        if leader_only && !self.is_leader() { Err(ErrorCode::NotLeaderOrFollower) } else { Ok(()) }
    }

    /// A follower's fetch at the leader. With `update`, its new position is recorded, which may let
    /// it into the ISR and move the high watermark; the answer carries the bounds from before.
    #[allow(clippy::too_many_arguments)]
    pub fn fetch_as_follower(
        &mut self,
        log: &mut Log,
        follower: BrokerId,
        follower_epoch: BrokerEpoch,
        fetch: &Fetch,
        update: bool,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> Result<(ReadInfo, After), ErrorCode> {
        let read = self.read_as_follower(log, follower, fetch)?;
        if !update || read.diverging.is_some() {
            return Ok((read, After::default()));
        }
        let after = self.record_fetch(log, follower, follower_epoch, fetch, &read, liveness, now)?;
        Ok((read, after))
    }

    /// The same without leaving a trace: a fetch that waited is read again like this.
    pub fn read_as_follower(&self, log: &Log, follower: BrokerId, fetch: &Fetch) -> Result<ReadInfo, ErrorCode> {
        self.check_reader(fetch.current_leader_epoch, true)?;
        if !self.remotes.contains_key(&follower) {
            // The follower may know a newer assignment than this leader.
            let known_epoch = fetch.current_leader_epoch.is_some();
            return Err(if known_epoch { ErrorCode::UnknownLeaderEpoch } else { ErrorCode::NotLeaderOrFollower });
        }
        self.read_records(log, fetch, ReadUpTo::LogEnd)
    }

    /// A consumer's fetch.
    pub fn read_as_consumer(
        &self,
        log: &Log,
        fetch: &Fetch,
        up_to: ReadUpTo,
        leader_only: bool,
    ) -> Result<ReadInfo, ErrorCode> {
        self.check_reader(fetch.current_leader_epoch, leader_only)?;
        self.read_records(log, fetch, up_to)
    }

    /// Partition.lastOffsetForLeaderEpoch; `None` when undefined.
    pub fn end_offset_for_epoch(
        &self,
        log: &Log,
        claimed: Option<LeaderEpoch>,
        leader_only: bool,
        epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, ErrorCode> {
        self.check_reader(claimed, leader_only)?;
        Ok(log.end_offset_for(epoch))
    }

    fn read_records(&self, log: &Log, fetch: &Fetch, up_to: ReadUpTo) -> Result<ReadInfo, ErrorCode> {
        let info = ReadInfo::bounds(log, fetch.offset);
        let last_epoch = fetch.last_fetched_epoch.filter(|_| self.planted != Some(Planted::IgnoreEpochsOnFetch));
        if let Some(epoch) = last_epoch {
            let end = log.end_offset_for(epoch).ok_or(ErrorCode::OffsetOutOfRange)?;
            if fetch.offset < info.log_start {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            if end.epoch < epoch || end.end < fetch.offset {
                return Ok(ReadInfo { diverging: Some(end), ..info });
            }
        }
        let read = log.read(fetch.offset, fetch.max_bytes, up_to)?;
        let committed_only = up_to == ReadUpTo::LastStableOffset;
        let aborted = if committed_only { log.aborted_in(fetch.offset, &read) } else { Vec::new() };
        Ok(ReadInfo { first: read.first, records: read.records, aborted, ..info })
    }

    /// Partition.updateFollowerFetchState.
    #[allow(clippy::too_many_arguments)]
    fn record_fetch(
        &mut self,
        log: &mut Log,
        follower: BrokerId,
        follower_epoch: BrokerEpoch,
        fetch: &Fetch,
        read: &ReadInfo,
        liveness: &dyn Liveness,
        now: Instant,
    ) -> Result<After, ErrorCode> {
        let known = liveness.broker_epoch(follower);
        if follower_epoch != BrokerEpoch::UNKNOWN && known.is_some_and(|known| known > follower_epoch) {
            // A fetch of an incarnation that is gone (KIP-903).
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let Some(remote) = self.remotes.get_mut(&follower) else { return Err(ErrorCode::NotLeaderOrFollower) };
        let (old_end, old_start) = (remote.log_end, remote.log_start);
        if read.first >= read.log_end {
            remote.last_caught_up = remote.last_caught_up.max(now);
        } else if read.first >= remote.last_fetch_leader_end {
            remote.last_caught_up = remote.last_caught_up.max(remote.last_fetch);
        }
        remote.log_end = read.first;
        remote.log_start = fetch.log_start;
        remote.last_fetch_leader_end = read.log_end;
        remote.last_fetch = now;
        remote.broker_epoch = Some(follower_epoch);
        let proposal = self.maybe_expand_isr(log, follower, liveness);
        let moved = old_end != read.first;
        let high_watermark = if moved { self.maybe_increment_high_watermark(log, liveness, now) } else { None };
        Ok(After { high_watermark, proposal, low_watermark_moved: old_start != fetch.log_start })
    }
}

fn aborted_transaction(aborted: &AbortedTxn) -> AbortedTransaction {
    AbortedTransaction::default().with_producer_id(aborted.producer_id).with_first_offset(aborted.first.0)
}

/// A read as the answer of FETCH carries it.
pub fn partition_data(index: i32, read: &Result<ReadInfo, ErrorCode>) -> PartitionData {
    let data = PartitionData::default().with_partition_index(index);
    match read {
        Ok(read) => {
            let data = data
                .with_high_watermark(read.high_watermark.0)
                .with_last_stable_offset(read.last_stable_offset.0)
                .with_log_start_offset(read.log_start.0)
                .with_preferred_read_replica(read.preferred.unwrap_or(BrokerId(-1)))
                .with_aborted_transactions(Some(read.aborted.iter().map(aborted_transaction).collect()))
                .with_records(Some(read.records.clone()));
            match read.diverging {
                Some(EpochEnd { epoch, end }) => {
                    data.with_diverging_epoch(EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0))
                }
                None => data,
            }
        }
        Err(error) => data
            .with_error_code(error.code())
            .with_high_watermark(-1)
            .with_last_stable_offset(-1)
            .with_log_start_offset(-1)
            .with_records(Some(Bytes::new())),
    }
}
