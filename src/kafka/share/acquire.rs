//! A member takes records (SharePartition.acquire).

use crate::kafka::share::{GapWindow, InFlightBatch, InFlightState, PartitionState, RecordState, SharePartition};
use crate::time::Instant;
use crate::wire::{Offset, StrBytes};

/// How exactly the member's wish for a number of records is met (KIP-1206; ShareAcquireMode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireMode {
    /// Whole batches, even when they hold a few records more.
    BatchOptimized,
    /// Never more records.
    RecordLimit,
}

/// What a member wants.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    pub now: Instant,
    pub member: &'a StrBytes,
    pub mode: AcquireMode,
    /// How many records to acquire as one batch, if the log's batches allow.
    pub batch_size: i32,
    pub max_records: i32,
    /// Where the records were read from.
    pub fetch_offset: Offset,
}

/// A batch that was read from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedBatch {
    pub first: Offset,
    pub last: Offset,
    /// It belongs to an aborted transaction, and the member wants none of these.
    pub aborted: bool,
}

/// Consecutive records that were acquired, and how often they were delivered with this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquiredRange {
    pub first: Offset,
    pub last: Offset,
    pub delivery_count: i16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcquiredRecords {
    pub ranges: Vec<AcquiredRange>,
    /// How many offsets they span together.
    pub count: i64,
}

impl AcquiredRecords {
    fn push(&mut self, range: AcquiredRange) {
        self.count += range.last - range.first + 1;
        self.ranges.push(range);
    }

    fn extend(&mut self, more: AcquiredRecords) {
        self.ranges.extend(more.ranges);
        self.count += more.count;
    }
}

/// The records that were read, and how many of them may be acquired.
struct Fetched<'a> {
    batches: &'a [FetchedBatch],
    first: Offset,
    /// Not beyond the window, when no more records may be in flight.
    last: Offset,
}

impl SharePartition {
    pub fn acquire(&mut self, wish: &Acquire<'_>, batches: &[FetchedBatch]) -> AcquiredRecords {
        let nothing = AcquiredRecords::default();
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return nothing };
        if self.window.state != PartitionState::Active || wish.max_records <= 0 || last.last < self.window.start {
            return nothing;
        }
        let (last, max) = self.bounds(wish, last.last);
        if max <= 0 {
            return nothing;
        }
        self.archive_stale(wish.fetch_offset, first.first);
        let acquired = self.acquire_within(wish, &Fetched { batches, first: first.first, last }, max);
        let acquired = self.without_aborted(batches, acquired);
        self.find_next_lock();
        acquired
    }

    /// How far and how many: new records only as long as fewer are in flight than may be
    /// (lastOffsetAndMaxRecordsToAcquire).
    fn bounds(&self, wish: &Acquire<'_>, last: Offset) -> (Offset, i64) {
        let wanted = i64::from(wish.max_records);
        let max = wanted.min(i64::from(self.limits.max_in_flight_records) - self.records_in_window());
        if max <= 0 && wish.fetch_offset <= self.window.end {
            return (last.min(self.window.end), wanted.min(self.window.end - wish.fetch_offset + 1));
        }
        (last, max)
    }

    fn acquire_within(&mut self, wish: &Acquire<'_>, fetched: &Fetched<'_>, mut max: i64) -> AcquiredRecords {
        let mut base = fetched.first;
        match self.floor(base).and_then(|first| self.in_flight.get(&first)) {
            None => base = base.max(self.window.start),
            Some(floor) if floor.last() >= base => base = floor.first(),
            Some(_) => {}
        }
        let overlapping = self.in_flight.range(fetched.first.min(base)..=fetched.last);
        let overlapping: Vec<Offset> = overlapping.map(|(first, _)| *first).collect();
        let Some(last) = overlapping.last().and_then(|first| Some(self.in_flight.get(first)?.last())) else {
            return self.acquire_new(wish, fetched.batches, (base, fetched.last), max);
        };
        let mut acquired = AcquiredRecords::default();
        let mut gap = base;
        for at in overlapping {
            if acquired.count >= max {
                break;
            }
            let Some(end) = self.in_flight.get(&at).map(InFlightBatch::last) else { continue };
            if self.active_gap().is_some() {
                if gap < at {
                    let left = max - acquired.count;
                    acquired.extend(self.acquire_new(wish, fetched.batches, (gap, at + -1), left));
                }
                gap = end + 1;
                if acquired.count >= max {
                    break;
                }
            }
            if !self.acquire_again(wish, fetched, at, max - acquired.count, &mut acquired) {
                max = 0;
                break;
            }
        }
        if acquired.count < max && last < fetched.last {
            let left = max - acquired.count;
            acquired.extend(self.acquire_new(wish, fetched.batches, (last + 1, fetched.last), left));
        }
        if let Some(range) = acquired.ranges.last() {
            self.move_gap(range.last + 1);
        }
        acquired
    }

    /// Acquires what is available of a batch in flight. `false`: nothing else may go with it, because
    /// it was delivered so often that it may be what makes members fail.
    fn acquire_again(
        &mut self,
        wish: &Acquire<'_>,
        fetched: &Fetched<'_>,
        at: Offset,
        left: i64,
        acquired: &mut AcquiredRecords,
    ) -> bool {
        let limits = self.limits;
        let throttle_limit = throttle_limit(limits.max_delivery_count);
        let Some(batch) = self.in_flight.get_mut(&at) else { return true };
        let throttled = is_throttled(batch, fetched, throttle_limit);
        if throttled && acquired.count > 0 {
            return false;
        }
        let whole = batch.lies_within(fetched.first, fetched.last)
            && !(wish.mode == AcquireMode::RecordLimit && batch.span() > left)
            && !throttled;
        let (first, last) = (batch.first(), batch.last());
        let lock = wish.now + limits.record_lock_duration;
        match batch.as_whole_mut() {
            Some(state) if !state.can_be_acquired() => return true,
            Some(state) if whole => {
                state.acquire(wish.member, lock);
                acquired.push(AcquiredRange { first, last, delivery_count: state.delivery_count() });
                return true;
            }
            _ => batch.split(),
        }
        let strict = (wish.mode == AcquireMode::RecordLimit).then_some(left);
        let take = Subset { fetched, strict, limit: limits.max_delivery_count, throttle_limit };
        let taken = take.acquire(batch, wish.member, lock);
        let count = taken.count;
        acquired.extend(taken);
        !(throttled && count > 0)
    }

    /// Records that were never acquired (acquireNewBatchRecords).
    fn acquire_new(
        &mut self,
        wish: &Acquire<'_>,
        batches: &[FetchedBatch],
        (first, last): (Offset, Offset),
        max: i64,
    ) -> AcquiredRecords {
        let first = if self.in_flight.is_empty() { first.max(self.window.end) } else { first };
        let mut end = last;
        if max < last - first + 1 {
            // A batch is acquired whole.
            let wanted = first + (max - 1);
            let holds = |batch: &&FetchedBatch| batch.first <= wanted && wanted <= batch.last;
            end = batches.iter().rev().find(holds).map_or(wanted, |batch| batch.last);
            if self.active_gap().is_some() {
                end = end.min(last);
            }
        }
        let acquired = self.create_batches(wish, batches, (first, end), max);
        if self.in_flight.first_key_value().is_some_and(|(at, _)| *at == first) {
            self.window.start = first;
        }
        self.window.end = self.window.end.max(end);
        if let Some(range) = acquired.ranges.last() {
            self.move_gap(range.last + 1);
        }
        acquired
    }

    /// Batches of about the size that was asked for, cut where batches of the log begin.
    fn create_batches(
        &mut self,
        wish: &Acquire<'_>,
        batches: &[FetchedBatch],
        (first, last): (Offset, Offset),
        max: i64,
    ) -> AcquiredRecords {
        let size = i64::from(wish.batch_size);
        let lock = wish.now + self.limits.record_lock_duration;
        let held = || InFlightState::new(RecordState::Acquired, 1, Some(wish.member.clone()), Some(lock));
        let mut acquired = AcquiredRecords::default();
        if wish.mode == AcquireMode::RecordLimit && last - first + 1 > max {
            // The rest of the log's batch is in flight too, but nobody has it.
            let available = InFlightState::new(RecordState::Available, 0, None, None);
            let states = (0..=last - first).map(|at| if at < max { held() } else { available.clone() });
            self.in_flight.insert(first, InFlightBatch::per_offset(first, states.collect()));
            self.window.find_next_fetch_offset = true;
            acquired.push(AcquiredRange { first, last: first + (max - 1), delivery_count: 1 });
            return acquired;
        }
        let mut next = first;
        if wish.mode == AcquireMode::BatchOptimized && last - first + 1 > size {
            for batch in batches.iter().take_while(|batch| batch.first <= last) {
                if batch.first - next >= size {
                    acquired.push(AcquiredRange { first: next, last: batch.first + -1, delivery_count: 1 });
                    next = batch.first;
                }
            }
        }
        acquired.push(AcquiredRange { first: next, last, delivery_count: 1 });
        for range in &acquired.ranges {
            self.in_flight.insert(range.first, InFlightBatch::whole(range.first, range.last, held()));
        }
        acquired
    }

    /// Where the next gap may begin; none is looked for once the end has moved
    /// (maybeUpdatePersisterGapWindowStartOffset).
    fn move_gap(&mut self, to: Offset) {
        let end = self.window.end;
        let still = self.window.gap.filter(|gap| gap.end == end && to <= gap.end);
        self.window.gap = still.map(|gap| GapWindow { gap_start: to, ..gap });
    }

    /// Records of aborted transactions are archived as soon as they are acquired, and not delivered
    /// (filterAbortedTransactionalAcquiredRecords).
    fn without_aborted(&mut self, batches: &[FetchedBatch], mut acquired: AcquiredRecords) -> AcquiredRecords {
        for batch in batches.iter().filter(|batch| batch.aborted) {
            self.archive(batch.first, batch.last + 1, RecordState::Acquired, true);
            let mut rest = AcquiredRecords::default();
            for range in acquired.ranges {
                let before = AcquiredRange { last: range.last.min(batch.first + -1), ..range };
                let behind = AcquiredRange { first: range.first.max(batch.last + 1), ..range };
                [before, behind].into_iter().filter(|part| part.first <= part.last).for_each(|part| rest.push(part));
            }
            acquired = rest;
        }
        acquired
    }
}

/// From how many deliveries on records are delivered in smaller parts (KIP-1222: half the limit, at
/// least two).
fn throttle_limit(max_delivery_count: i16) -> i16 {
    2.max(max_delivery_count / 2 + max_delivery_count % 2)
}

fn is_throttled(batch: &InFlightBatch, fetched: &Fetched<'_>, throttle_limit: i16) -> bool {
    let whole = batch.as_whole().is_some();
    let seen = |first: Offset, last: Offset| whole || (first >= fetched.first && last <= fetched.last);
    batch
        .states()
        .filter(|(first, last, state)| seen(*first, *last) && state.can_be_acquired())
        .any(|(_, _, state)| state.delivery_count() >= throttle_limit)
}

/// Some records of a batch that is tracked by offset (acquireSubsetBatchRecords).
struct Subset<'a> {
    fetched: &'a Fetched<'a>,
    /// Not more records than these.
    strict: Option<i64>,
    limit: i16,
    throttle_limit: i16,
}

impl Subset<'_> {
    fn acquire(&self, batch: &mut InFlightBatch, member: &StrBytes, lock: Instant) -> AcquiredRecords {
        let span = batch.span();
        let (first, last) = (self.fetched.first, self.fetched.last);
        let mut throttled: Option<i64> = None;
        let mut taken = AcquiredRecords::default();
        for (offset, _, state) in batch.states_mut().filter(|(offset, ..)| *offset >= first && *offset <= last) {
            if !state.can_be_acquired() {
                continue;
            }
            let delivered = state.delivery_count();
            let is_last_attempt = self.limit > 2 && delivered == self.limit - 1;
            if is_last_attempt && taken.count > 0 {
                break;
            }
            if delivered >= self.throttle_limit && throttled.is_none() {
                let halvings = u32::from((delivered - self.throttle_limit + 1) as u16);
                throttled = Some(span.checked_shr(halvings).unwrap_or(0).max(1));
            }
            state.acquire(member, lock);
            let delivery_count = state.delivery_count();
            match taken.ranges.last_mut() {
                Some(range) if range.last + 1 == offset && range.delivery_count == delivery_count => {
                    range.last = offset;
                    taken.count += 1;
                }
                _ => taken.push(AcquiredRange { first: offset, last: offset, delivery_count }),
            }
            let enough = [self.strict, throttled].into_iter().flatten().any(|most| taken.count >= most);
            if is_last_attempt || enough {
                break;
            }
        }
        taken
    }
}
