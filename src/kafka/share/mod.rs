//! A share partition (KIP-932; SharePartition): which records of a partition the members of a share
//! group have acquired, acknowledged, or given back. The partition's leader keeps one for each group
//! that reads it.
//!
//! It is a pure state machine. What must outlive the leader leaves it as a [`StateWrite`], whose
//! outcome comes back through [`SharePartition::write_done`]: until then the records are in
//! transition.

mod aborted;
mod acknowledge;
mod acquire;
mod in_flight;
mod key;
mod offsets;
mod timeout;

pub use aborted::mark_aborted;
pub use acknowledge::AcknowledgementBatch;
pub use acquire::{Acquire, AcquireMode, AcquiredRange, AcquiredRecords, FetchedBatch};
pub use in_flight::{InFlightBatch, InFlightState, RecordState};
pub use key::SharePartitionKey;

use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

/// Whether the share partition can serve (SharePartitionState).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// Its state has not been read yet.
    Empty,
    /// It is being read.
    Initializing,
    Active,
    /// It could not be read: the next request makes a new share partition.
    Failed,
    /// The broker leads the partition no more.
    Fenced,
}

/// Consecutive records in one state, as the share coordinator keeps them (PersisterStateBatch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateBatch {
    pub first: Offset,
    pub last: Offset,
    pub delivery_count: i16,
    pub state: RecordState,
}

/// Numbers what a share partition asks to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteId {
    /// Changes that are rolled back when the write fails.
    Transition(u64),
    /// Locks that ran out: the members have lost their records whatever becomes of the write.
    LockTimeout(u64),
}

/// What the share coordinator must write.
#[derive(Clone, Debug, PartialEq)]
pub struct StateWrite {
    pub id: WriteId,
    pub state_epoch: i32,
    pub leader_epoch: LeaderEpoch,
    pub start: Offset,
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
}

/// What the share coordinator has kept of a share partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PersistedState {
    pub state_epoch: i32,
    pub start: Offset,
    pub batches: Vec<StateBatch>,
}

/// The settings that bound a share partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `group.share.partition.max.record.locks`
    pub max_in_flight_records: i32,
    /// `group.share.delivery.count.limit`
    pub max_delivery_count: i16,
    /// `share.record.lock.duration.ms`
    pub record_lock_duration: Duration,
}

/// After a restart the batches that were read may leave gaps: records that were never acquired.
/// Active as long as the end has not moved since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapWindow {
    pub end: Offset,
    /// Where the first gap begins, as far as is known.
    pub gap_start: Offset,
}

/// What there is to know of a share partition beside its records in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub state: PartitionState,
    pub state_epoch: i32,
    /// SPSO: everything below is done with.
    pub start: Offset,
    /// SPEO: the last record that was acquired; the next one to be fetched while nothing is in flight.
    pub end: Offset,
    /// Records within the window may be available again, so the next fetch must look for them.
    pub find_next_fetch_offset: bool,
    pub gap: Option<GapWindow>,
    /// Records from `start` on whose state is final.
    pub delivery_complete_count: i32,
}

/// Invariant: batches do not overlap; no record at or above `start` is missing below `end`, but for
/// gaps that were read.
#[derive(Clone, Debug, PartialEq)]
pub struct SharePartition {
    limits: Limits,
    leader_epoch: LeaderEpoch,
    window: Window,
    /// By first offset.
    in_flight: SortedMap<Offset, InFlightBatch>,
    /// Numbers the writes.
    last_write: u64,
    /// The first lock to run out; kept, so that the world can ask after every step.
    next_lock: Option<Instant>,
}

impl SharePartition {
    pub fn new(limits: Limits, leader_epoch: LeaderEpoch) -> SharePartition {
        let window = Window {
            state: PartitionState::Empty,
            state_epoch: 0,
            start: Offset::ZERO,
            end: Offset::ZERO,
            find_next_fetch_offset: false,
            gap: None,
            delivery_complete_count: 0,
        };
        SharePartition::with(limits, leader_epoch, window, [])
    }

    /// A share partition in the midst of its life.
    pub fn with(
        limits: Limits,
        leader_epoch: LeaderEpoch,
        window: Window,
        in_flight: impl IntoIterator<Item = InFlightBatch>,
    ) -> SharePartition {
        let in_flight = in_flight.into_iter().map(|batch| (batch.first(), batch)).collect();
        let mut made = SharePartition { limits, leader_epoch, window, in_flight, last_write: 0, next_lock: None };
        made.find_next_lock();
        made
    }

    pub fn window(&self) -> &Window {
        &self.window
    }

    /// How many records members hold.
    pub fn acquired(&self) -> i64 {
        let states = self.in_flight().flat_map(InFlightBatch::states);
        let acquired = states.filter(|(_, _, state)| state.state() == RecordState::Acquired);
        acquired.map(|(first, last, _)| last - first + 1).sum()
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    pub fn in_flight(&self) -> impl Iterator<Item = &InFlightBatch> {
        self.in_flight.values()
    }

    /// The group's settings may have changed; locks that are held keep their time.
    pub fn set_record_lock_duration(&mut self, duration: Duration) {
        self.limits.record_lock_duration = duration;
    }

    /// Whether requests are served. `Ok(true)`: the caller must read the state and hand it to
    /// [`Self::initialized`] (maybeInitialize).
    pub fn begin_initialize(&mut self) -> Result<bool, ErrorCode> {
        match self.window.state {
            PartitionState::Active => Ok(false),
            PartitionState::Empty => {
                self.window.state = PartitionState::Initializing;
                Ok(true)
            }
            PartitionState::Initializing | PartitionState::Fenced => Err(ErrorCode::LeaderNotAvailable),
            PartitionState::Failed => Err(ErrorCode::UnknownServerError),
        }
    }

    /// The state was read, or could not be: then the share partition has failed.
    pub fn initialized(&mut self, read: Result<PersistedState, ErrorCode>) -> Result<(), ErrorCode> {
        if self.window.state != PartitionState::Initializing {
            return Err(ErrorCode::LeaderNotAvailable);
        }
        let taken = read.and_then(|read| self.take_over(read));
        self.window.state = if taken.is_ok() { PartitionState::Active } else { PartitionState::Failed };
        taken
    }

    fn take_over(&mut self, read: PersistedState) -> Result<(), ErrorCode> {
        let PersistedState { state_epoch, start, batches } = read;
        self.window.start = start;
        self.window.state_epoch = state_epoch;
        let mut gap_start = None;
        let mut next = start;
        for StateBatch { first, last, delivery_count, state } in batches {
            // Kafka calls both an illegal state.
            if first < start || last < first {
                return Err(ErrorCode::UnknownServerError);
            }
            if first > next {
                gap_start = gap_start.or(Some(next));
            }
            next = last + 1;
            let batch = InFlightBatch::whole(first, last, InFlightState::new(state, delivery_count, None, None));
            if state.is_terminal() {
                self.window.delivery_complete_count += batch.span() as i32;
            }
            self.in_flight.insert(first, batch);
        }
        match self.last_in_flight() {
            Some(last) => {
                self.window.find_next_fetch_offset = true;
                self.window.end = last;
                self.window.gap = gap_start.map(|gap_start| GapWindow { end: last, gap_start });
                self.maybe_move_start();
            }
            None => self.window.end = self.window.start,
        }
        Ok(())
    }

    /// The broker leads the partition no more: nothing is served from here.
    pub fn fence(&mut self) {
        self.window.state = PartitionState::Fenced;
    }

    /// Where to fetch from: the first record within the window that can be acquired, else what follows.
    pub fn next_fetch_offset(&mut self) -> Offset {
        let window_is_empty = self.last_in_flight().is_none_or(|last| self.window.start > last);
        if window_is_empty {
            self.window.find_next_fetch_offset = false;
            return self.window.end;
        }
        if !self.window.find_next_fetch_offset {
            return self.window.end + 1;
        }
        let mut gap = self.active_gap();
        for batch in self.in_flight.values() {
            if let Some(gap) = &mut gap {
                if batch.first() > *gap {
                    return *gap;
                }
                *gap = (*gap).max(batch.last() + 1);
            }
            if let Some((first, ..)) = batch.states().find(|(_, _, state)| state.can_be_acquired()) {
                return first;
            }
        }
        self.window.find_next_fetch_offset = false;
        self.window.end + 1
    }

    /// Whether a fetch could acquire anything (canAcquireRecords).
    pub fn can_acquire_records(&mut self) -> bool {
        self.next_fetch_offset() != self.window.end + 1
            || self.records_in_window() < i64::from(self.limits.max_in_flight_records)
    }

    /// The first lock to run out.
    pub fn next_lock_timeout(&self) -> Option<Instant> {
        self.next_lock
    }

    fn last_in_flight(&self) -> Option<Offset> {
        self.in_flight.last_key_value().map(|(_, batch)| batch.last())
    }

    fn records_in_window(&self) -> i64 {
        if self.in_flight.is_empty() { 0 } else { self.window.end - self.window.start + 1 }
    }

    fn active_gap(&self) -> Option<Offset> {
        self.window.gap.filter(|gap| gap.end == self.window.end).map(|gap| gap.gap_start)
    }

    /// The batch that begins at the offset or before.
    fn floor(&self, offset: Offset) -> Option<Offset> {
        self.in_flight.range(..=offset).next_back().map(|(first, _)| *first)
    }

    /// How many of these records are not below the start.
    fn records_from_start(&self, first: Offset, last: Offset) -> i32 {
        (last - first.max(self.window.start) + 1).max(0) as i32
    }

    fn find_next_lock(&mut self) {
        let held = |(_, _, state): (Offset, Offset, &InFlightState)| {
            state.lock().filter(|_| state.state() == RecordState::Acquired && !state.in_transition())
        };
        self.next_lock = self.in_flight.values().flat_map(InFlightBatch::states).filter_map(held).min();
    }
}
