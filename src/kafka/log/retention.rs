//! Deleting whole segments, and moving the log's start (UnifiedLog.deleteOldSegments,
//! maybeIncrementLogStartOffset).

use crate::kafka::log::Log;
use crate::kafka::log::segment::Segment;
use crate::time::Instant;
use crate::wire::{ErrorCode, Offset};

impl Log {
    /// Deletes whole segments by log start, size and time; true if the log start moved.
    pub fn apply_retention(&mut self, now: Instant) -> bool {
        let before = self.log_start;
        self.delete_old_segments(now);
        self.log_start != before
    }

    /// As `apply_retention`; how many segments went. A topic that is only compacted keeps to its
    /// log start.
    pub fn delete_old_segments(&mut self, now: Instant) -> u32 {
        self.now = self.now.max(now);
        let mut deleted = self.delete_below_log_start();
        if self.config.delete {
            deleted += self.delete_by_size();
            deleted += self.delete_by_time(now);
        }
        deleted
    }

    fn delete_below_log_start(&mut self) -> u32 {
        let log_start = self.log_start;
        self.delete_while(|_, next| next.is_some_and(|next| next.base() <= log_start))
    }

    fn delete_by_size(&mut self) -> u32 {
        let Some(limit) = self.config.retention_bytes.filter(|&limit| limit >= 0) else { return 0 };
        let mut excess = self.size() - limit;
        self.delete_while(|segment, _| {
            let spare = excess >= i64::from(segment.size());
            excess -= if spare { i64::from(segment.size()) } else { 0 };
            spare
        })
    }

    fn delete_by_time(&mut self, now: Instant) -> u32 {
        let Some(limit) = self.config.retention else { return 0 };
        self.delete_while(|segment, _| now.millis().saturating_sub(segment.largest_timestamp()) > limit.millis())
    }

    /// Deletes from the oldest on, up to the first that must stay; never at or above the high
    /// watermark. When all may go, the active one is rolled first.
    fn delete_while(&mut self, mut may_go: impl FnMut(&Segment, Option<&Segment>) -> bool) -> u32 {
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
