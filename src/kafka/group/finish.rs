//! What follows on a write that was committed or failed, and on a partition that is taken up or let go
//! (the append futures of GroupMetadataManager, onLoaded, onUnloaded).

use crate::kafka::coordinator::Reply;
use crate::kafka::group::classic::{ClassicGroup, GroupState};
use crate::kafka::group::deletion::deleted;
use crate::kafka::group::join::join_error;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::refusal::spoil;
use crate::kafka::group::share::alter_error;
use crate::kafka::group::share::persister::{DeleteState, InitializeState, PersisterRequest};
use crate::kafka::group::sync::sync_error;
use crate::kafka::group::timers::TimerKind;
use crate::kafka::group::work::{Converted, Decided, Shard, StaticRejoin, Then, Work};
use crate::wire::{ErrorCode, GroupId, StrBytes};

impl Work<'_, '_> {
    /// A write was committed, or failed; `undo` when it is not in the log at all.
    pub fn finish(
        &mut self,
        shard: &mut Shard,
        then: Then,
        result: Result<(), ErrorCode>,
        undo: bool,
    ) -> Option<Decided> {
        match then {
            Then::Nothing => None,
            Then::Tell(facts) => {
                if result.is_ok() {
                    facts.into_iter().for_each(|fact| self.turn.tell(fact));
                }
                None
            }
            Then::NewGroup { group, reply } => {
                if let Err(error) = result {
                    self.new_group_failed(shard, &group, reply, error, undo);
                }
                None
            }
            Then::StaticRejoin(rejoin) => {
                self.static_rejoin_finished(shard, &rejoin, result);
                None
            }
            Then::Sync { group, generation, assignments } => {
                let group = shard.group_mut(&group)?;
                let record = match result {
                    Ok(()) => {
                        self.sync_committed(group, generation, &assignments);
                        None
                    }
                    Err(error) => self.sync_failed(group, generation, error),
                };
                record.map(|record| Decided::record(record, Then::Nothing))
            }
            Then::Answer { reply, mut response, facts } => {
                match result {
                    Ok(()) => facts.into_iter().for_each(|fact| self.turn.tell(fact)),
                    Err(error) => spoil(&mut response, error),
                }
                self.answer(reply, *response);
                None
            }
            Then::ClassicJoin(join) => {
                self.classic_join_finished(*join, result);
                None
            }
            Then::ClassicSync(sync) => {
                self.classic_sync_finished(*sync, result);
                None
            }
            Then::Converted(converted) => {
                let Converted { before, session_timeout, then } = *converted;
                if undo {
                    self.conversion_failed(shard, before, session_timeout);
                }
                self.finish(shard, then, result, undo)
            }
            Then::AskPersister(request) => {
                match (result, *request) {
                    (Ok(()), request) => self.for_persister.push(request),
                    (Err(error), PersisterRequest::Initialize(InitializeState { altering: Some(altering), .. })) => {
                        self.answer(altering.reply, alter_error(error));
                    }
                    (Err(error), PersisterRequest::Delete(DeleteState { group, reply, .. })) => {
                        self.answer(reply, deleted(&group, Some(error)));
                    }
                    (Err(_), PersisterRequest::Initialize(_)) => {}
                }
                None
            }
            Then::Both(both) => {
                let (first, second) = *both;
                let decided = self.finish(shard, first, result, undo);
                decided.or(self.finish(shard, second, result, undo))
            }
        }
    }

    fn static_rejoin_finished(&mut self, shard: &mut Shard, rejoin: &StaticRejoin, result: Result<(), ErrorCode>) {
        if let Some(group) = shard.group_mut(&rejoin.group) {
            match result {
                Ok(()) => self.static_rejoin_committed(group, rejoin),
                Err(error) => self.static_rejoin_failed(group, rejoin, error),
            }
        }
    }

    fn new_group_failed(&mut self, shard: &mut Shard, id: &GroupId, reply: Reply, error: ErrorCode, undo: bool) {
        let Some(group) = shard.group_mut(id) else {
            return;
        };
        let mut joins = group.members.iter_mut().filter_map(|m| m.awaiting_join.as_mut());
        if let Some(parked) = joins.find(|parked| parked.reply == Some(reply)) {
            parked.reply = None;
            self.answer(reply, join_error(&StrBytes::new(), error));
        }
        if undo {
            shard.groups.remove(id);
            self.timers.cancel_group(self.partition, id);
        }
    }

    /// Sessions restart in full after a failover (GroupMetadataManager.onLoaded).
    pub fn group_loaded(&mut self, group: &mut ClassicGroup) -> Option<GroupRecord> {
        for member in &group.members {
            self.schedule(TimerKind::Session(group.id.clone(), member.id.clone()), member.session_timeout);
        }
        let too_large = group.members.len() > self.settings.max_size.max(0) as usize;
        if too_large { self.prepare_rebalance(group, "the group is larger than allowed") } else { None }
    }

    /// GroupMetadataManager.onUnloaded: whoever waits has to find the new coordinator.
    pub fn group_unloaded(&mut self, group: &mut ClassicGroup) {
        let ids: Vec<StrBytes> = group.members.iter().map(|m| m.id.clone()).collect();
        for id in ids {
            self.complete_join(group, &id, join_error(&id, ErrorCode::NotCoordinator));
            if let Some(reply) = group.member_mut(&id).and_then(|m| m.awaiting_sync.take()) {
                self.answer(reply, sync_error(ErrorCode::NotCoordinator));
            }
        }
        group.transition_to(GroupState::Dead, self.now());
    }
}
