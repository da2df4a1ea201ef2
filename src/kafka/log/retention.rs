//! Deleting whole segments, and moving the log's start (UnifiedLog.deleteOldSegments,
//! maybeIncrementLogStartOffset).

use crate::kafka::log::Log;
use crate::kafka::log::segment::Segment;
use crate::time::Instant;
use crate::wire::{ErrorCode, Offset};

/// How many segments went, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Deleted {
    /// They lay below the log start (DeleteRecords, or the leader's log start).
    pub below_start: u32,
    /// `retention.bytes`
    pub by_size: u32,
    /// `retention.ms`
    pub by_time: u32,
}

impl Deleted {
    pub fn segments(&self) -> u32 {
        self.below_start + self.by_size + self.by_time
    }
}

impl Log {
    /// Deletes whole segments by log start, size and time. A topic that is only compacted keeps to
    /// its log start.
    pub fn delete_old_segments(&mut self, now: Instant) -> Deleted {
        self.now = self.now.max(now);
        let below_start = self.delete(self.below_log_start());
        let by_size = self.delete(self.beyond_size());
        let by_time = self.delete(self.beyond_time(now));
        Deleted { below_start, by_size, by_time }
    }

    /// Whether `delete_old_segments` would find anything.
    pub fn may_lose_segments(&self, now: Instant) -> bool {
        self.below_log_start() + self.beyond_size() + self.beyond_time(now) > 0
    }

    fn below_log_start(&self) -> u32 {
        self.count_while(|_, next| next.is_some_and(|next| next.base() <= self.log_start))
    }

    fn beyond_size(&self) -> u32 {
        let limit = self.config.retention_bytes.filter(|&limit| limit >= 0 && self.config.delete);
        let Some(limit) = limit else { return 0 };
        let mut excess = self.size() - limit;
        self.count_while(|segment, _| {
            let spare = excess >= i64::from(segment.size());
            excess -= if spare { i64::from(segment.size()) } else { 0 };
            spare
        })
    }

    fn beyond_time(&self, now: Instant) -> u32 {
        let Some(limit) = self.config.retention.filter(|_| self.config.delete) else { return 0 };
        self.count_while(|segment, _| now.millis().saturating_sub(segment.largest_timestamp()) > limit.millis())
    }

    /// How many segments may go, from the oldest on, up to the first that must stay; never at or
    /// above the high watermark.
    fn count_while(&self, mut may_go: impl FnMut(&Segment, Option<&Segment>) -> bool) -> u32 {
        let mut count = 0;
        while let Some(segment) = self.segment(count) {
            let next = self.segment(count + 1);
            let end = next.map_or(self.log_end, Segment::base);
            let is_last_and_empty = next.is_none() && segment.is_empty();
            if self.high_watermark < end || !may_go(segment, next) || is_last_and_empty {
                break;
            }
            count += 1;
        }
        count
    }

    /// Deletes the oldest segments. When all go, the active one is rolled first.
    fn delete(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if count as usize == self.segments.len() {
            self.roll(None, self.now);
        }
        for _ in 0..count {
            if let Some(gone) = self.segments.pop_front() {
                self.producers.remove_snapshot(gone.base());
            }
        }
        let first = self.segment(0).map_or(self.log_end, Segment::base);
        self.move_log_start(first);
        count
    }

    /// Moves the log start forward (DeleteRecords, or the leader's log start at a follower). Beyond
    /// the high watermark nothing moves.
    pub fn maybe_increment_log_start(&mut self, to: Offset) -> bool {
        self.increment_log_start(to).unwrap_or(false)
    }

    /// As `maybe_increment_log_start`; OFFSET_OUT_OF_RANGE beyond the high watermark.
    pub fn increment_log_start(&mut self, to: Offset) -> Result<bool, ErrorCode> {
        if to > self.high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        Ok(self.move_log_start(to))
    }

    fn move_log_start(&mut self, to: Offset) -> bool {
        if to <= self.log_start {
            return false;
        }
        self.log_start = to;
        self.flushed = self.flushed.max(to);
        self.epochs.truncate_from_start(to);
        self.producers.on_log_start(to);
        true
    }
}
