//! Locks that run out (AcquisitionLockTimerTask, releaseAcquisitionLockOnTimeout).

use crate::kafka::share::{RecordState, SharePartition, StateBatch, StateWrite, WriteId};
use crate::time::Instant;
use crate::wire::Offset;

impl SharePartition {
    /// Takes the records from members whose locks have run out. What there is to write is one write.
    pub fn expire_locks(&mut self, now: Instant) -> Option<StateWrite> {
        let mut due: Vec<(Instant, Offset, Offset)> = Vec::new();
        for (first, last, state) in self.in_flight.values().flat_map(|batch| batch.states()) {
            let held = state.state() == RecordState::Acquired && !state.in_transition();
            if let Some(at) = state.lock().filter(|at| held && *at <= now) {
                due.push((at, first, last));
            }
        }
        due.sort_unstable();
        let mut batches = Vec::new();
        for (_, first, last) in due {
            self.release_on_timeout(first, last, &mut batches);
        }
        self.lost(batches)
    }

    /// The lock of these records has run out.
    pub fn expire_lock(&mut self, first: Offset, last: Offset) -> Option<StateWrite> {
        let mut batches = Vec::new();
        self.release_on_timeout(first, last, &mut batches);
        self.lost(batches)
    }

    fn lost(&mut self, batches: Vec<StateBatch>) -> Option<StateWrite> {
        self.find_next_lock();
        if batches.is_empty() {
            return None;
        }
        self.last_write += 1;
        Some(self.write(WriteId::LockTimeout(self.last_write), batches))
    }

    fn release_on_timeout(&mut self, first: Offset, last: Offset, batches: &mut Vec<StateBatch>) {
        let (start, limit) = (self.window.start, self.limits.max_delivery_count);
        let mut available = false;
        let mut complete = 0;
        for batch in self.in_flight.values_mut().filter(|batch| batch.last() >= first && batch.first() <= last) {
            let is_acquired = batch.as_whole().is_some_and(|state| state.state() == RecordState::Acquired);
            if is_acquired && batch.is_cut_by(start) {
                batch.split();
            }
            for (one, end, state) in batch.states_mut() {
                if one < first || end > last || state.state() != RecordState::Acquired {
                    continue;
                }
                let target = if end < start { RecordState::Archived } else { RecordState::Available };
                let now = state.give_up(target, limit);
                batches.push(StateBatch { first: one, last: end, delivery_count: state.delivery_count(), state: now });
                if now.is_terminal() {
                    complete += (end - one.max(start) + 1).max(0) as i32;
                } else {
                    available = true;
                }
            }
        }
        self.window.delivery_complete_count += complete;
        self.window.find_next_fetch_offset |= available;
    }
}
