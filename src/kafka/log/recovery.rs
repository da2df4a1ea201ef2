//! What a restart or a loss of power leaves, and what is flushed before (LogLoader, UnifiedLog.flush).

use crate::kafka::log::Log;
use crate::kafka::log::segment::Segment;
use crate::time::Instant;
use crate::wire::Offset;

impl Log {
    /// Everything written so far is safe from a loss of power.
    pub fn flush(&mut self) {
        self.flushed = self.log_end;
        self.last_flush = self.now;
    }

    /// Whether `flush.ms` has passed since the last flush, and something would be lost with the power.
    pub fn is_flush_due(&self, now: Instant) -> bool {
        self.flushed < self.log_end && now.since(self.last_flush) >= self.config.flush_time
    }

    /// Flushes because it is time (LogManager.flushDirtyLogs).
    pub fn flush_at(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.flush();
    }

    /// A clean shutdown: flushed, the producers' state written down (UnifiedLog.close).
    pub fn close(&mut self) {
        self.producers.set_end(self.log_end);
        self.producers.take_snapshot();
        self.flush();
    }

    /// The process starts again on this disk: producer state rebuilt, the high watermark from its
    /// checkpoint, clamped to the log.
    pub fn reopen(&mut self, checkpoint: Option<Offset>) {
        // LogLoader: an epoch that a leader only announced is gone, for nothing was written in it.
        self.epochs.truncate_from_end(self.log_end);
        self.epochs.truncate_from_start(self.log_start);
        let bases: Vec<Offset> = self.segments().map(Segment::base).collect();
        self.producers.remove_stray_snapshots(&bases);
        self.producers.reload(self.log_start, self.log_end, self.now);
        self.replay_producers();
        self.high_watermark = self.log_start;
        self.update_high_watermark(checkpoint.unwrap_or(self.log_start));
    }

    /// The power went: what was not flushed is gone.
    pub fn lose_unflushed(&mut self) {
        let to = self.flushed.max(self.log_start);
        if to < self.log_end {
            self.truncate_to(to);
        }
    }

    /// After a truncation: from the latest snapshot below the end, and the batches after it.
    pub(super) fn rebuild_producers(&mut self) {
        self.producers.truncate_and_reload(self.log_start, self.log_end, self.now);
        self.replay_producers();
    }

    fn replay_producers(&mut self) {
        let from = self.producers.end();
        if from < self.log_end {
            let batches: Vec<_> = self.batches(from).collect();
            for batch in batches {
                if let Some(completed) = self.replay_producer(&batch) {
                    self.producers.complete(&completed);
                }
            }
        }
        self.producers.set_end(self.log_end);
        self.producers.take_snapshot();
    }
}
