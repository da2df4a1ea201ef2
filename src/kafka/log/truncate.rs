//! Truncation (UnifiedLog.truncateTo, truncateFullyAndStartAt).

use std::sync::Arc;

use imbl::Vector;

use crate::kafka::log::Log;
use crate::kafka::log::segment::Segment;
use crate::wire::Offset;

impl Log {
    /// UnifiedLog.truncateTo: false when the log ends at or before `to` already. A batch that `to`
    /// cuts is removed whole, and the log ends at `to` all the same.
    pub fn truncate_to(&mut self, to: Offset) -> bool {
        if to >= self.log_end {
            // A leader that never wrote has its epoch in the cache: it goes.
            self.epochs.truncate_from_end(self.log_end);
            return false;
        }
        if self.segment(0).is_some_and(|first| first.base() > to) {
            self.truncate_fully_and_start_at(to);
            return true;
        }
        while self.segments.len() > 1 && self.active().base() > to {
            let gone = self.segments.pop_back().expect("more than one segment stands");
            self.producers.remove_snapshot(gone.base());
        }
        let now = self.now;
        self.active_mut().truncate(to, now);
        self.log_end = to;
        self.flushed = self.flushed.min(to);
        self.epochs.truncate_from_end(to);
        self.log_start = self.log_start.min(to);
        // LogCleanerManager.maybeTruncateCheckpoint
        self.cleaned_to = self.cleaned_to.map(|at| at.min(to));
        self.rebuild_producers();
        if self.high_watermark >= to {
            self.update_high_watermark(to);
        }
        true
    }

    /// Everything goes; the log continues at `at`.
    pub fn truncate_fully_and_start_at(&mut self, at: Offset) {
        self.segments = Vector::unit(Arc::new(Segment::new(at, self.now)));
        self.log_start = at;
        self.log_end = at;
        self.flushed = at;
        self.cleaned_to = None;
        self.epochs.clear();
        self.producers.truncate_fully(at);
        self.update_high_watermark(at);
    }
}
