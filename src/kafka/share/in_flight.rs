//! Records between the start and the end of a share partition: what became of each (RecordState,
//! InFlightState, InFlightBatch).

use crate::kafka::share::WriteId;
use crate::time::Instant;
use crate::wire::{Offset, StrBytes};

/// What became of a record; the numbers are those of the share coordinator's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordState {
    /// Nobody has it: it can be delivered.
    Available,
    /// A member has it under a lock.
    Acquired,
    /// A member has processed it. Final.
    Acknowledged,
    /// It is not delivered any more: rejected, delivered too often, aborted, or gone from the log. Final.
    Archived,
}

impl RecordState {
    pub fn id(self) -> i8 {
        match self {
            RecordState::Available => 0,
            RecordState::Acquired => 1,
            RecordState::Acknowledged => 2,
            RecordState::Archived => 4,
        }
    }

    pub fn from_id(id: i8) -> Option<RecordState> {
        match id {
            0 => Some(RecordState::Available),
            1 => Some(RecordState::Acquired),
            2 => Some(RecordState::Acknowledged),
            4 => Some(RecordState::Archived),
            _ => None,
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, RecordState::Acknowledged | RecordState::Archived)
    }
}

/// A change out of `Acquired` that counts when the share coordinator has written it.
#[derive(Clone, Debug, PartialEq)]
struct Transition {
    write: WriteId,
    target: RecordState,
    /// Who has the records again when the write fails.
    member: Option<StrBytes>,
}

/// The state of one record, or of a whole batch of records that were treated alike so far.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlightState {
    state: RecordState,
    delivery_count: i16,
    /// Who has acquired it.
    member: Option<StrBytes>,
    /// When the lock runs out. It is kept while a change is being written: the change may fail.
    lock: Option<Instant>,
    transition: Option<Transition>,
    /// Archived whatever a write still under way comes to.
    archived_for_good: bool,
}

impl InFlightState {
    pub fn new(state: RecordState, delivery_count: i16, member: Option<StrBytes>, lock: Option<Instant>) -> Self {
        InFlightState { state, delivery_count, member, lock, transition: None, archived_for_good: false }
    }

    pub fn state(&self) -> RecordState {
        self.state
    }

    /// How often it was delivered.
    pub fn delivery_count(&self) -> i16 {
        self.delivery_count
    }

    pub fn member(&self) -> Option<&StrBytes> {
        self.member.as_ref()
    }

    pub fn lock(&self) -> Option<Instant> {
        self.lock
    }

    /// A change of it is being written: until the outcome is known it can be neither acquired nor changed.
    pub fn in_transition(&self) -> bool {
        self.transition.is_some()
    }

    /// The write that its change belongs to, and the state that was written.
    pub(super) fn written_by(&self) -> Option<(WriteId, RecordState)> {
        self.transition.as_ref().map(|transition| (transition.write, transition.target))
    }

    pub(super) fn can_be_acquired(&self) -> bool {
        self.state == RecordState::Available && self.transition.is_none()
    }

    pub(super) fn is_held_by(&self, member: &StrBytes) -> bool {
        self.state == RecordState::Acquired && self.transition.is_none() && self.member.as_ref() == Some(member)
    }

    /// Its state is final, and no write can change that.
    pub(super) fn is_settled(&self) -> bool {
        self.state.is_terminal() && self.transition.is_none()
    }

    pub(super) fn acquire(&mut self, member: &StrBytes, lock: Instant) {
        self.state = RecordState::Acquired;
        self.delivery_count += 1;
        self.member = Some(member.clone());
        self.lock = Some(lock);
    }

    pub(super) fn renew(&mut self, lock: Instant) {
        self.lock = Some(lock);
    }

    /// Starts a change out of `Acquired`; the state that results is returned, to be written.
    pub(super) fn begin(&mut self, write: WriteId, target: RecordState, limit: i16) -> RecordState {
        let member = self.member.take();
        self.state = self.limited(target, limit);
        self.transition = Some(Transition { write, target: self.state, member });
        self.state
    }

    /// The lock has run out: the member loses it at once, whatever the write will come to.
    pub(super) fn give_up(&mut self, target: RecordState, limit: i16) -> RecordState {
        self.state = self.limited(target, limit);
        self.member = None;
        self.lock = None;
        self.state
    }

    /// Ends the change: the write was done, or failed and the member has the records as before, unless
    /// its lock has run out meanwhile.
    pub(super) fn finish(&mut self, written: bool, now: Instant, limit: i16) {
        let Some(Transition { write: _, target: _, member }) = self.transition.take() else { return };
        if written || self.archived_for_good {
            self.lock = None;
        } else if self.lock.is_some_and(|lock| lock <= now) {
            self.give_up(RecordState::Available, limit);
        } else {
            self.state = RecordState::Acquired;
            self.member = member;
        }
    }

    pub(super) fn archive(&mut self) {
        self.archived_for_good = true;
        self.state = RecordState::Archived;
        self.member = None;
        self.lock = None;
    }

    /// A record that was delivered as often as `group.share.delivery.count.limit` allows is not
    /// made available again.
    fn limited(&self, target: RecordState, limit: i16) -> RecordState {
        if target == RecordState::Available && self.delivery_count >= limit { RecordState::Archived } else { target }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Tracking {
    Whole(InFlightState),
    /// One for each offset from the first to the last.
    PerOffset(Vec<InFlightState>),
}

/// Records that were acquired together; tracked one by one as soon as they are treated differently.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlightBatch {
    first: Offset,
    last: Offset,
    tracking: Tracking,
}

impl InFlightBatch {
    pub fn whole(first: Offset, last: Offset, state: InFlightState) -> InFlightBatch {
        InFlightBatch { first, last, tracking: Tracking::Whole(state) }
    }

    /// `states` has one for each offset, at least one.
    pub fn per_offset(first: Offset, states: Vec<InFlightState>) -> InFlightBatch {
        InFlightBatch { first, last: first + (states.len() as i64 - 1), tracking: Tracking::PerOffset(states) }
    }

    pub fn first(&self) -> Offset {
        self.first
    }

    pub fn last(&self) -> Offset {
        self.last
    }

    /// How many offsets it spans.
    pub fn span(&self) -> i64 {
        self.last - self.first + 1
    }

    /// The state of all its records, if they were treated alike so far.
    pub fn as_whole(&self) -> Option<&InFlightState> {
        match &self.tracking {
            Tracking::Whole(state) => Some(state),
            Tracking::PerOffset(_) => None,
        }
    }

    pub(super) fn as_whole_mut(&mut self) -> Option<&mut InFlightState> {
        match &mut self.tracking {
            Tracking::Whole(state) => Some(state),
            Tracking::PerOffset(_) => None,
        }
    }

    /// Each state with the first and last offset that it stands for.
    pub fn states(&self) -> impl Iterator<Item = (Offset, Offset, &InFlightState)> {
        let (first, last) = (self.first, self.last);
        let (states, whole) = match &self.tracking {
            Tracking::Whole(state) => (std::slice::from_ref(state), true),
            Tracking::PerOffset(states) => (states.as_slice(), false),
        };
        let range = move |at: usize| if whole { (first, last) } else { (first + at as i64, first + at as i64) };
        states.iter().enumerate().map(move |(at, state)| (range(at).0, range(at).1, state))
    }

    pub(super) fn states_mut(&mut self) -> impl Iterator<Item = (Offset, Offset, &mut InFlightState)> {
        let (first, last) = (self.first, self.last);
        let (states, whole) = match &mut self.tracking {
            Tracking::Whole(state) => (std::slice::from_mut(state), true),
            Tracking::PerOffset(states) => (states.as_mut_slice(), false),
        };
        let range = move |at: usize| if whole { (first, last) } else { (first + at as i64, first + at as i64) };
        states.iter_mut().enumerate().map(move |(at, state)| (range(at).0, range(at).1, state))
    }

    /// The state of one offset within the batch.
    pub(super) fn state_at(&self, offset: Offset) -> Option<&InFlightState> {
        match &self.tracking {
            Tracking::Whole(state) => Some(state),
            Tracking::PerOffset(states) => states.get(usize::try_from(offset - self.first).ok()?),
        }
    }

    /// From now on each record has a state of its own (maybeInitializeOffsetStateUpdate). A change that
    /// is being written stays with the batch that is no more.
    pub(super) fn split(&mut self) {
        if let Tracking::Whole(state) = &self.tracking {
            let one = InFlightState::new(state.state, state.delivery_count, state.member.clone(), state.lock);
            self.tracking = Tracking::PerOffset(vec![one; self.span() as usize]);
        }
    }

    pub(super) fn lies_within(&self, first: Offset, last: Offset) -> bool {
        self.first >= first && self.last <= last
    }

    /// Whether the offset cuts the batch in two.
    pub(super) fn is_cut_by(&self, offset: Offset) -> bool {
        self.first < offset && self.last >= offset
    }
}
