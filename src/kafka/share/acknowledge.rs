//! Members say what became of their records, or lose all of them with their session
//! (SharePartition.acknowledge, releaseAcquiredRecords), and the share coordinator has written it or not.

use crate::kafka::share::{InFlightBatch, RecordState, SharePartition, StateBatch, StateWrite, WriteId};
use crate::time::Instant;
use crate::wire::{ErrorCode, Offset, StrBytes};

/// What a member says of records: one type for all of them, or one for each
/// (ShareAcknowledgementBatch). 0 gap, 1 accept, 2 release, 3 reject, 4 renew.
#[derive(Clone, Debug, PartialEq)]
pub struct AcknowledgementBatch {
    pub first: Offset,
    pub last: Offset,
    pub types: Vec<i8>,
}

/// What an acknowledgement asks of a record.
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    Become(RecordState),
    /// The lock begins anew.
    Renew,
}

impl Wish {
    fn from_type(id: i8) -> Option<Wish> {
        match id {
            // Offsets without a record, and rejected records, are not delivered again.
            0 | 3 => Some(Wish::Become(RecordState::Archived)),
            1 => Some(Wish::Become(RecordState::Acknowledged)),
            2 => Some(Wish::Become(RecordState::Available)),
            4 => Some(Wish::Renew),
            _ => None,
        }
    }
}

impl SharePartition {
    /// All batches of the request, or none. `Ok(None)`: done, nothing has to be written.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        member: &StrBytes,
        batches: &[AcknowledgementBatch],
    ) -> Result<Option<StateWrite>, ErrorCode> {
        self.last_write += 1;
        let write = WriteId::Transition(self.last_write);
        let mut written = Vec::new();
        for batch in batches {
            if let Err(error) = self.acknowledge_batch(now, member, batch, write, &mut written) {
                self.roll_back(now, write);
                self.find_next_lock();
                return Err(error);
            }
        }
        self.find_next_lock();
        Ok((!written.is_empty()).then(|| self.write(write, written)))
    }

    /// The member is gone, or has closed its session: others can have its records.
    pub fn release_acquired(&mut self, member: &StrBytes) -> Option<StateWrite> {
        self.last_write += 1;
        let write = WriteId::Transition(self.last_write);
        let (start, limit) = (self.window.start, self.limits.max_delivery_count);
        let mut written = Vec::new();
        let mut complete = 0;
        for batch in self.in_flight.values_mut() {
            if batch.is_cut_by(start) && batch.as_whole().is_some_and(|state| state.is_held_by(member)) {
                batch.split();
            }
            for (first, last, state) in batch.states_mut() {
                if !state.is_held_by(member) {
                    continue;
                }
                let target = if last < start { RecordState::Archived } else { RecordState::Available };
                let state_now = state.begin(write, target, limit);
                written.push(StateBatch { first, last, delivery_count: state.delivery_count(), state: state_now });
                if state_now.is_terminal() {
                    complete += (last - first.max(start) + 1).max(0) as i32;
                }
            }
        }
        self.window.delivery_complete_count += complete;
        self.find_next_lock();
        (!written.is_empty()).then(|| self.write(write, written))
    }

    /// What became of a write. Whether the start moved, so that waiting fetches may find something.
    pub fn write_done(&mut self, now: Instant, write: WriteId, result: Result<(), ErrorCode>) -> bool {
        let moved = match (write, result) {
            (WriteId::LockTimeout(_), _) => self.maybe_move_start(),
            (WriteId::Transition(_), Ok(())) => {
                self.commit(now, write);
                self.maybe_move_start()
            }
            (WriteId::Transition(_), Err(_)) => {
                self.roll_back(now, write);
                false
            }
        };
        self.find_next_lock();
        moved
    }

    pub(super) fn write(&self, id: WriteId, batches: Vec<StateBatch>) -> StateWrite {
        StateWrite {
            id,
            state_epoch: self.window.state_epoch,
            leader_epoch: self.leader_epoch,
            start: self.window.start,
            delivery_complete_count: self.window.delivery_complete_count,
            batches,
        }
    }

    fn acknowledge_batch(
        &mut self,
        now: Instant,
        member: &StrBytes,
        batch: &AcknowledgementBatch,
        write: WriteId,
        written: &mut Vec<StateBatch>,
    ) -> Result<(), ErrorCode> {
        let wishes: Option<Vec<Wish>> = batch.types.iter().map(|id| Wish::from_type(*id)).collect();
        let wishes = wishes.filter(|wishes| !wishes.is_empty()).ok_or(ErrorCode::InvalidRequest)?;
        if batch.last < self.window.start {
            // What the log has lost since needs no acknowledgement.
            return Ok(());
        }
        let from = self.first_acknowledged(batch)?;
        let (start, limits) = (self.window.start, self.limits);
        let mut complete = 0;
        let result =
            self.in_flight.iter_mut().filter(|(first, _)| **first >= from && **first <= batch.last).try_for_each(
                |(_, in_flight)| {
                    if in_flight.last() < start {
                        return Ok(());
                    }
                    prepare(in_flight, start, member, batch)?;
                    for (first, last, state) in in_flight.states_mut() {
                        if first < batch.first || first < start || first > batch.last {
                            continue;
                        }
                        if !state.is_held_by(member) {
                            return Err(ErrorCode::InvalidRecordState);
                        }
                        let at = if wishes.len() > 1 { first - batch.first } else { 0 };
                        match wishes.get(at as usize).ok_or(ErrorCode::InvalidRequest)? {
                            Wish::Renew => state.renew(now + limits.record_lock_duration),
                            Wish::Become(target) => {
                                let state_now = state.begin(write, *target, limits.max_delivery_count);
                                let delivery_count = state.delivery_count();
                                written.push(StateBatch { first, last, delivery_count, state: state_now });
                                if state_now.is_terminal() {
                                    complete += (last - first + 1) as i32;
                                }
                            }
                        }
                    }
                    Ok(())
                },
            );
        self.window.delivery_complete_count += complete;
        result
    }

    /// The first batch in flight that the acknowledgement concerns (fetchSubMapForAcknowledgementBatch).
    fn first_acknowledged(&self, batch: &AcknowledgementBatch) -> Result<Offset, ErrorCode> {
        let start_moved_past = batch.first < self.window.start && batch.last >= self.window.start;
        let moved = || self.floor(self.window.start).filter(|_| start_moved_past);
        let from = self.floor(batch.first).or_else(moved).ok_or(ErrorCode::InvalidRecordState)?;
        let last = self.in_flight.range(from..=batch.last).next_back().map(|(_, in_flight)| in_flight.last());
        let last = last.ok_or(ErrorCode::InvalidRecordState)?;
        if last < batch.first || batch.last > last { Err(ErrorCode::InvalidRequest) } else { Ok(from) }
    }

    fn commit(&mut self, now: Instant, write: WriteId) {
        let limit = self.limits.max_delivery_count;
        let mut available = false;
        for (_, _, state) in self.in_flight.values_mut().flat_map(InFlightBatch::states_mut) {
            if state.written_by().is_some_and(|(id, _)| id == write) {
                state.finish(true, now, limit);
                available |= state.state() == RecordState::Available;
            }
        }
        self.window.find_next_fetch_offset |= available;
    }

    /// The changes of the write did not happen (rollbackOrProcessStateUpdates).
    fn roll_back(&mut self, now: Instant, write: WriteId) {
        let (start, limit) = (self.window.start, self.limits.max_delivery_count);
        let mut available = false;
        let mut reopened = 0;
        for (first, last, state) in self.in_flight.values_mut().flat_map(InFlightBatch::states_mut) {
            let Some((_, target)) = state.written_by().filter(|(id, _)| *id == write) else { continue };
            state.finish(false, now, limit);
            available |= state.state() == RecordState::Available;
            if target.is_terminal() && !state.state().is_terminal() {
                reopened += (last - first.max(start) + 1).max(0) as i32;
            }
        }
        self.window.delivery_complete_count -= reopened;
        self.window.find_next_fetch_offset |= available;
    }
}

/// Splits the batch if the acknowledgement does not treat all its records alike.
fn prepare(
    in_flight: &mut InFlightBatch,
    start: Offset,
    member: &StrBytes,
    batch: &AcknowledgementBatch,
) -> Result<(), ErrorCode> {
    let Some(whole) = in_flight.as_whole() else { return Ok(()) };
    if !whole.is_held_by(member) {
        return Err(ErrorCode::InvalidRecordState);
    }
    let alike = in_flight.lies_within(batch.first, batch.last) && batch.types.len() == 1 && !in_flight.is_cut_by(start);
    if !alike {
        in_flight.split();
    }
    Ok(())
}
