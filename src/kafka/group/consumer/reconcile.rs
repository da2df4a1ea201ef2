//! One member on its way to its target, by itself and step by step (CurrentAssignmentBuilder): it
//! gives up what others are to have, says so with its next heartbeat, and is given what others have
//! given up. Nobody waits for the whole group.

use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::member::{CurrentAssignment, MemberState};
use crate::sorted::SortedSet;
use crate::wire::{ErrorCode, Uuid};

/// What a member is reconciled with.
pub struct Reconciliation<'a> {
    pub target_epoch: i32,
    pub target: &'a Partitions,
    /// The member has just changed what it subscribes to: what it does not subscribe to any more is
    /// taken away even before there is a new target.
    pub subscription_changed: bool,
    /// The topics that it subscribes to and that exist.
    pub subscribed: &'a SortedSet<Uuid>,
    /// What the member says that it has; `None` when it says nothing of it.
    pub owned: Option<&'a Partitions>,
    /// Whether some member still has a partition, or has not said yet that it gave it up.
    pub is_held: &'a dyn Fn(&Uuid, i32) -> bool,
}

impl Reconciliation<'_> {
    /// The member's next state; the same when it cannot go on.
    pub fn next(&self, member: &CurrentAssignment) -> Result<CurrentAssignment, ErrorCode> {
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => Ok(self.compute(member, member.epoch)),
            MemberState::Stable => Ok(self.without_unsubscribed(member)),
            MemberState::UnrevokedPartitions if self.owns(&member.revoking) => Ok(self.without_unsubscribed(member)),
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                Ok(self.compute(member, member.epoch))
            }
            // It must begin from scratch: what it was told nobody knows.
            MemberState::Unknown if self.owned.is_none_or(|owned| !owned.is_empty()) => {
                Err(ErrorCode::FencedMemberEpoch)
            }
            MemberState::Unknown => Ok(self.compute(member, self.target_epoch)),
        }
    }

    /// Whether the member may still have one of these. Who says nothing of what it has may have all.
    fn owns(&self, partitions: &Partitions) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|(topic, owned)| partitions.get(topic).is_some_and(|those| !those.is_disjoint(owned)))
    }

    /// updateCurrentAssignment.
    fn without_unsubscribed(&self, member: &CurrentAssignment) -> CurrentAssignment {
        let lost = |topic: &Uuid| !self.subscribed.contains(topic);
        if !self.subscription_changed || !member.assigned.keys().any(lost) {
            return member.clone();
        }
        let mut next = member.with_epoch(member.epoch);
        next.assigned.retain(|topic, _| !lost(topic));
        for (topic, partitions) in member.assigned.iter().filter(|(topic, _)| lost(topic)) {
            next.revoking.entry(*topic).or_default().extend(partitions.iter().copied());
        }
        if self.owns(&next.revoking) {
            next.state = MemberState::UnrevokedPartitions;
        } else {
            // It has given them up already.
            next.revoking = member.revoking.clone();
        }
        next
    }

    /// computeNextAssignment.
    fn compute(&self, member: &CurrentAssignment, epoch: i32) -> CurrentAssignment {
        let mut unreleased = false;
        let (mut assigned, mut revoking, mut pending) = (Partitions::new(), Partitions::new(), Partitions::new());
        let topics: SortedSet<Uuid> = self.target.keys().chain(member.assigned.keys()).copied().collect();
        let none = SortedSet::new();
        for topic in &topics {
            let target = self.target.get(topic).filter(|_| self.subscribed.contains(topic)).unwrap_or(&none);
            let has = member.assigned.get(topic).unwrap_or(&none);
            for partition in has {
                let to = if target.contains(partition) { &mut assigned } else { &mut revoking };
                to.entry(*topic).or_default().insert(*partition);
            }
            for partition in target.iter().filter(|partition| !has.contains(*partition)) {
                let gives_up = member.revoking.get(topic).is_some_and(|those| those.contains(partition));
                if !gives_up && (self.is_held)(topic, *partition) {
                    unreleased = true;
                } else {
                    pending.entry(*topic).or_default().insert(*partition);
                }
            }
        }
        if !revoking.is_empty() && self.owns(&revoking) {
            let state = MemberState::UnrevokedPartitions;
            return CurrentAssignment { state, assigned, revoking, ..member.with_epoch(epoch) };
        }
        for (topic, partitions) in pending {
            assigned.entry(topic).or_default().extend(partitions);
        }
        let state = if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        CurrentAssignment { state, assigned, revoking: Partitions::new(), ..member.with_epoch(self.target_epoch) }
    }
}
