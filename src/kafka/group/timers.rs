//! The coordinator's deadlines in one ordered set, so that the next one is always at hand
//! (CoordinatorTimer).

use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{GroupId, StrBytes};

/// What a deadline is for; one deadline each, a later one replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// When the join phase of a group ends, or is looked at again.
    Join(GroupId),
    /// When members that joined but never asked for their assignment are given up.
    Sync(GroupId),
    /// When a member's session ends, or that of a member which has only been given an id.
    Session(GroupId, StrBytes),
    /// When the session of a consumer group's member ends.
    MemberSession(GroupId, StrBytes),
    /// When a member should have given up what it was told to.
    MemberRebalance(GroupId, StrBytes),
    /// When a classic member of a consumer group, told to join again, should have done so.
    MemberJoin(GroupId, StrBytes),
    /// When a classic member of a consumer group should have asked for its assignment.
    MemberSync(GroupId, StrBytes),
    /// When a write has not been committed in time.
    Write(u64),
    /// When to look for expired offsets.
    OffsetsExpiry,
}

impl TimerKind {
    fn group(&self) -> Option<&GroupId> {
        match self {
            TimerKind::Join(group)
            | TimerKind::Sync(group)
            | TimerKind::Session(group, _)
            | TimerKind::MemberSession(group, _)
            | TimerKind::MemberRebalance(group, _)
            | TimerKind::MemberJoin(group, _)
            | TimerKind::MemberSync(group, _) => Some(group),
            TimerKind::Write(_) | TimerKind::OffsetsExpiry => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// The partition of `__consumer_offsets` that the deadline belongs to.
    pub partition: i32,
    pub kind: TimerKind,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Timers {
    due: SortedMap<Timer, Instant>,
    /// The same deadlines in the order in which they fire; equal instants by kind.
    order: SortedSet<(Instant, Timer)>,
}

impl Timers {
    pub fn schedule(&mut self, timer: Timer, at: Instant) {
        if let Some(before) = self.due.insert(timer.clone(), at) {
            self.order.remove(&(before, timer.clone()));
        }
        self.order.insert((at, timer));
    }

    pub fn is_scheduled(&self, timer: &Timer) -> bool {
        self.due.contains_key(timer)
    }

    pub fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.due.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    /// Everything of a group that is no more.
    pub fn cancel_group(&mut self, partition: i32, id: &GroupId) {
        let keep = |timer: &Timer| timer.partition != partition || timer.kind.group() != Some(id);
        self.due.retain(|timer, _| keep(timer));
        self.order.retain(|(_, timer)| keep(timer));
    }

    /// Everything of a partition that this broker coordinates no more.
    pub fn cancel_partition(&mut self, partition: i32) {
        self.due.retain(|timer, _| timer.partition != partition);
        self.order.retain(|(_, timer)| timer.partition != partition);
    }

    pub fn first(&self) -> Option<(Instant, &Timer)> {
        self.order.first().map(|(at, timer)| (*at, timer))
    }

    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, _) = self.first()?;
        if at > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.due.remove(&timer);
        Some(timer)
    }

    /// Every deadline, in the order of what it is for.
    pub fn iter(&self) -> impl Iterator<Item = (&Timer, Instant)> {
        self.due.iter().map(|(timer, at)| (timer, *at))
    }
}
