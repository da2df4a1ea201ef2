//! How the start of a share partition moves: over records that are done with, and with the log's own
//! start.

use crate::kafka::share::{InFlightBatch, RecordState, SharePartition};
use crate::wire::Offset;

impl SharePartition {
    /// The log starts later now: what is below can be delivered no more (updateCacheAndOffsets).
    /// Acquired records keep their locks, and are archived when those end.
    pub fn update_log_start(&mut self, log_start: Offset) {
        if log_start <= self.window.start {
            return;
        }
        if self.in_flight.is_empty() {
            self.window.start = log_start;
            self.window.end = log_start;
            self.window.delivery_complete_count = 0;
            return;
        }
        let settled = self.terminal_below(log_start);
        let first = self.window.start;
        if self.archive(first, log_start, RecordState::Available, false) {
            self.window.find_next_fetch_offset = true;
        }
        self.window.start = log_start;
        self.window.delivery_complete_count -= settled;
        self.window.end = self.window.end.max(log_start);
    }

    /// Moves the start over records whose state is final, and forgets batches that lie below it
    /// (maybeUpdateCachedStateAndOffsets).
    pub(super) fn maybe_move_start(&mut self) -> bool {
        if !self.can_move_start() {
            return false;
        }
        let Some((done, terminal)) = self.settled_prefix() else { return false };
        if self.last_in_flight() == Some(done) {
            self.window.start = done + 1;
            self.window.end = done + 1;
            self.in_flight.clear();
            self.window.delivery_complete_count = 0;
            return true;
        }
        let ends_a_batch = self.in_flight.values().any(|batch| batch.last() == done);
        if ends_a_batch {
            let next = self.in_flight.range(done + 1..).next().map(|(first, _)| *first);
            self.window.start = self.window.start.max(next.unwrap_or(self.window.start));
            if let Some(gap) = self.active_gap() {
                self.window.start = self.window.start.min(gap);
            }
        } else {
            self.window.start = self.window.start.max(done + 1);
        }
        self.window.delivery_complete_count -= terminal;
        self.in_flight.retain(|_, batch| batch.last() > done);
        true
    }

    /// The record at the start is done with; a gap there has to be acquired first.
    fn can_move_start(&self) -> bool {
        let batch = self.floor(self.window.start).and_then(|first| self.in_flight.get(&first));
        batch.and_then(|batch| batch.state_at(self.window.start)).is_some_and(|state| state.is_settled())
    }

    /// The last offset before which nothing is open, and how many records from the start on that makes.
    fn settled_prefix(&self) -> Option<(Offset, i32)> {
        let mut done = None;
        for batch in self.in_flight.values() {
            if self.active_gap().is_some_and(|gap| batch.last() >= gap) {
                return done;
            }
            for (first, last, state) in batch.states() {
                if !state.is_settled() {
                    return done;
                }
                let terminal = done.map_or(0, |(_, terminal)| terminal);
                done = Some((last, terminal + self.records_from_start(first, last)));
            }
        }
        done
    }

    fn terminal_below(&self, end: Offset) -> i32 {
        let below = self.in_flight.range(..end).flat_map(|(_, batch)| batch.states());
        let terminal = below.filter(|(.., state)| state.state().is_terminal());
        terminal.map(|(first, last, _)| self.records_from_start(first, last.min(end + -1))).sum()
    }

    /// Records that a fetch from `fetch_offset` was meant to find, but that are in the log no more:
    /// compacted away, or in a batch that was deleted (maybeArchiveStaleBatches).
    pub(super) fn archive_stale(&mut self, fetch_offset: Offset, first_fetched: Offset) {
        let found = fetch_offset < first_fetched;
        if found && self.archive(fetch_offset, first_fetched, RecordState::Available, true) {
            self.window.find_next_fetch_offset = true;
        }
    }

    /// Archives what is in the state `from` between the offsets, the second excluded; whether
    /// anything was (archiveRecords). `count`: they are records from the start on.
    pub(super) fn archive(&mut self, first: Offset, end: Offset, from: RecordState, count: bool) -> bool {
        let mut archived = 0;
        for batch in self.in_flight.values_mut().filter(|batch| batch.last() >= first && batch.first() < end) {
            let whole = batch.lies_within(first, end + -1);
            if !whole && batch.as_whole().is_some_and(|state| state.state() == from) {
                batch.split();
            }
            archived += archive_states(batch, first, end, from);
        }
        if count {
            self.window.delivery_complete_count += archived;
        }
        archived > 0
    }
}

fn archive_states(batch: &mut InFlightBatch, first: Offset, end: Offset, from: RecordState) -> i32 {
    let mut archived = 0;
    for (one, last, state) in batch.states_mut() {
        if one >= first && last < end && state.state() == from {
            state.archive();
            archived += (last - one + 1) as i32;
        }
    }
    archived
}
