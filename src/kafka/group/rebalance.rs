//! The join phase: preparing a rebalance, completing it, and the deadlines of both
//! (GroupMetadataManager.prepareRebalance, completeClassicGroupJoin, expirePendingSync).

use bytes::Bytes;

use crate::kafka::fact::{Fact, Round};
use crate::kafka::group::classic::{ClassicGroup, GroupState};
use crate::kafka::group::join::{join_answer, join_error};
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::Work;
use crate::sorted::SortedMap;
use crate::time::Duration;
use crate::wire::{ErrorCode, StrBytes};

/// The group's record with these assignments.
pub(super) fn group_record(group: &ClassicGroup, assignments: &SortedMap<StrBytes, Bytes>) -> GroupRecord {
    GroupRecord::Group { group: group.id.clone(), value: Some(group.to_value(assignments)) }
}

// The record that these functions return is to be written: the group has become empty.
impl Work<'_, '_> {
    pub fn maybe_prepare_rebalance(&mut self, group: &mut ClassicGroup, reason: &str) -> Option<GroupRecord> {
        if group.can_rebalance() { self.prepare_rebalance(group, reason) } else { None }
    }

    pub fn prepare_rebalance(&mut self, group: &mut ClassicGroup, reason: &str) -> Option<GroupRecord> {
        if group.state == GroupState::CompletingRebalance {
            self.reset_assignment(group, ErrorCode::RebalanceInProgress);
        }
        group.pending_sync.clear();
        self.cancel(TimerKind::Sync(group.id.clone()));
        let is_initial = group.state == GroupState::Empty;
        group.transition_to(GroupState::PreparingRebalance, self.now());
        self.turn.tell(Fact::RebalanceStarted {
            group: group.id.clone(),
            reason: StrBytes::from_string(reason.to_string()),
        });
        if is_initial {
            // The group is new: others get the time to join before anybody is given anything.
            let delay = self.settings.initial_rebalance_delay;
            let remaining = (group.rebalance_timeout().0 - delay.0).max(0);
            group.initial_delay = Some((delay, Duration(remaining)));
            self.schedule(TimerKind::Join(group.id.clone()), delay);
            return None;
        }
        if group.has_all_members_joined() {
            return self.complete_join_phase(group);
        }
        self.schedule(TimerKind::Join(group.id.clone()), group.rebalance_timeout());
        None
    }

    /// The initial delay is not cut short by everybody being there.
    pub fn maybe_complete_join(&mut self, group: &mut ClassicGroup) -> Option<GroupRecord> {
        let may_complete = group.state == GroupState::PreparingRebalance
            && group.previous_state != GroupState::Empty
            && group.has_all_members_joined();
        if may_complete { self.complete_join_phase(group) } else { None }
    }

    /// The deadline of the join phase (tryCompleteInitialRebalanceElseSchedule for the initial one).
    pub fn join_expired(&mut self, group: &mut ClassicGroup) -> Option<GroupRecord> {
        if group.state != GroupState::PreparingRebalance {
            return None;
        }
        if let Some((delay, remaining)) = group.initial_delay
            && group.new_member_added
            && remaining.0 > 0
        {
            group.new_member_added = false;
            let next = self.settings.initial_rebalance_delay.min(remaining);
            group.initial_delay = Some((next, Duration((remaining.0 - delay.0).max(0))));
            self.schedule(TimerKind::Join(group.id.clone()), next);
            return None;
        }
        self.complete_join_phase(group)
    }

    pub fn complete_join_phase(&mut self, group: &mut ClassicGroup) -> Option<GroupRecord> {
        group.initial_delay = None;
        self.cancel(TimerKind::Join(group.id.clone()));
        self.remove_absent_dynamic_members(group);
        if group.state == GroupState::Dead {
            return None;
        }
        if !group.maybe_elect_new_joined_leader() && !group.members.is_empty() {
            // Nobody came back: wait for them, until their sessions end, rather than go on without anyone.
            self.schedule(TimerKind::Join(group.id.clone()), group.rebalance_timeout());
            return None;
        }
        group.init_next_generation(self.now());
        if group.state == GroupState::Empty {
            self.turn.tell(Fact::GroupEmpty { group: group.id.clone(), round: Round::Generation(group.generation) });
            return Some(group_record(group, &SortedMap::new()));
        }
        let ids: Vec<StrBytes> = group.members.iter().map(|m| m.id.clone()).collect();
        for id in ids {
            let response = join_answer(group, &id);
            self.complete_join(group, &id, response);
            self.restart_session(group, &id);
            if let Some(member) = group.member_mut(&id) {
                member.is_new = false;
            }
            group.pending_sync.insert(id);
        }
        self.schedule(TimerKind::Sync(group.id.clone()), group.rebalance_timeout());
        None
    }

    /// Static members may be away for as long as their session lasts.
    fn remove_absent_dynamic_members(&mut self, group: &mut ClassicGroup) {
        let absent = group.members.iter().filter(|m| m.awaiting_join.is_none() && m.instance.is_none());
        let absent: Vec<StrBytes> = absent.map(|m| m.id.clone()).collect();
        for id in absent {
            self.remove_member(group, &id, "did not rejoin in time");
        }
    }

    /// Takes a member out and answers its parked join, so that it tries again if it still lives.
    pub fn remove_member(&mut self, group: &mut ClassicGroup, id: &StrBytes, reason: &'static str) {
        self.complete_join(group, id, join_error(&StrBytes::new(), ErrorCode::UnknownMemberId));
        self.cancel(TimerKind::Session(group.id.clone(), id.clone()));
        if let Some(member) = group.remove(id) {
            self.turn.tell(Fact::MemberRemoved {
                group: group.id.clone(),
                member: member.id,
                client: member.client_id,
                reason: StrBytes::from_static_str(reason),
            });
        }
    }

    /// expireClassicGroupMemberHeartbeat.
    pub fn session_expired(&mut self, group: &mut ClassicGroup, id: &StrBytes) -> Option<GroupRecord> {
        if group.state == GroupState::Dead {
            return None;
        }
        if group.pending_join.contains(id) {
            group.remove(id);
            return self.complete_join_of_those_left(group);
        }
        let member = group.member(id)?;
        if member.has_satisfied_heartbeat() {
            return None;
        }
        let reason = format!("the session of {} expired", member.client_id.as_str());
        self.remove_member(group, id, "its session expired");
        match group.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.maybe_prepare_rebalance(group, &reason),
            _ => self.complete_join_of_those_left(group),
        }
    }

    /// Where a session ended nobody is waited for any longer, not even in the initial delay
    /// (removeMemberAndUpdateClassicGroup).
    fn complete_join_of_those_left(&mut self, group: &mut ClassicGroup) -> Option<GroupRecord> {
        let all_are_here = group.state == GroupState::PreparingRebalance && group.has_all_members_joined();
        if all_are_here { self.complete_join_phase(group) } else { None }
    }

    /// expirePendingSync: members that took their place but never asked for their assignment.
    pub fn sync_expired(&mut self, group: &mut ClassicGroup) -> Option<GroupRecord> {
        let has_generation = matches!(group.state, GroupState::CompletingRebalance | GroupState::Stable);
        if !has_generation || group.pending_sync.is_empty() {
            return None;
        }
        for id in group.pending_sync.clone() {
            self.remove_member(group, &id, "did not ask for its assignment in time");
        }
        self.prepare_rebalance(group, "members did not ask for their assignment in time")
    }
}
