//! The share partitions of a broker (SharePartitionManager, SharePartitionCache): one for each group and
//! partition that this broker leads and somebody fetches from. Their state is read from the share
//! coordinator when the first member comes, every change is written there, and all is forgotten when the
//! broker leads the partition no more.

use std::sync::Arc;

use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::persister::{AskId, Outcome};
use crate::kafka::broker::purgatory::Purgatory;
use crate::kafka::broker::share_answers::ShareAnswers;
use crate::kafka::broker::share_fetch::DelayedShareFetch;
use crate::kafka::broker::share_sessions::{PartitionId, ShareSessions};
use crate::kafka::broker::{Process, leader_hint};
use crate::kafka::config::{GroupConfig, OffsetReset, Planted};
use crate::kafka::coordinator::Reply;
use crate::kafka::fact::{Fact, RecordsFate};
use crate::kafka::node::{Alarm, Turn};
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::kafka::replica::offsets::Isolation;
use crate::kafka::share::{
    Limits, PartitionState, PersistedState, RecordState, SharePartition, SharePartitionKey, StateBatch, StateWrite,
    WriteId,
};
use crate::kafka::share_coordinator::{Known, Op, combine};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{BrokerId, ErrorCode, GroupId, LeaderEpoch, Offset, TopicPartition};

/// ListOffsets' timestamps for the ends of a log.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

#[derive(Clone, Debug, PartialEq)]
struct Held {
    /// Which one it is of those that were made: what an earlier one of the same key asked is not for it.
    number: u64,
    partition: TopicPartition,
    /// Shared between snapshots.
    state: Arc<SharePartition>,
}

/// Why the share coordinator was asked, and by which share partition.
#[derive(Clone, Debug, PartialEq)]
struct Asking {
    by: u64,
    why: Why,
}

#[derive(Clone, Debug, PartialEq)]
enum Why {
    /// A share partition begins.
    Initialize,
    /// A change, what it was, and the answer that waits for it.
    Write { write: WriteId, answer: Option<u64>, changes: Vec<StateBatch> },
}

/// Everything that a broker keeps for share groups; it dies with the process.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    partitions: SortedMap<SharePartitionKey, Held>,
    last_number: u64,
    pub(super) sessions: ShareSessions,
    pub(super) fetches: Purgatory<DelayedShareFetch>,
    pub(super) answers: ShareAnswers,
    asking: SortedMap<AskId, Asking>,
    /// Members for whose sessions there is no room, and when they are told so.
    turned_away: Vec<(Instant, Reply)>,
    /// Partitions whose waiting fetches must be looked at; empty between turns.
    pub(super) touched: SortedSet<TopicPartition>,
}

impl Shares {
    pub(super) fn new() -> Shares {
        Shares {
            partitions: SortedMap::new(),
            last_number: 0,
            sessions: ShareSessions::default(),
            fetches: Purgatory::new(),
            answers: ShareAnswers::default(),
            asking: SortedMap::new(),
            turned_away: Vec::new(),
            touched: SortedSet::new(),
        }
    }

    /// Every share partition, with the partition that it is of.
    pub fn partitions(&self) -> impl Iterator<Item = (&SharePartitionKey, &TopicPartition, &SharePartition)> {
        self.partitions.iter().map(|(key, held)| (key, &held.partition, held.state.as_ref()))
    }

    pub fn sessions(&self) -> &ShareSessions {
        &self.sessions
    }

    /// How many fetches wait for records.
    pub fn waiting_fetches(&self) -> u32 {
        self.fetches.len()
    }

    pub(super) fn partition(&self, key: &SharePartitionKey) -> Option<&TopicPartition> {
        self.partitions.get(key).map(|held| &held.partition)
    }

    /// 0 when there is none.
    fn number(&self, key: &SharePartitionKey) -> u64 {
        self.partitions.get(key).map_or(0, |held| held.number)
    }

    /// What is kept of one share partition.
    pub fn state(&self, key: &SharePartitionKey) -> Option<&SharePartition> {
        self.partitions.get(key).map(|held| held.state.as_ref())
    }

    pub(super) fn state_mut(&mut self, key: &SharePartitionKey) -> Option<&mut SharePartition> {
        self.partitions.get_mut(key).map(|held| Arc::make_mut(&mut held.state))
    }

    /// Fences and forgets a share partition; whoever waits for it looks again.
    pub(super) fn remove(&mut self, key: &SharePartitionKey) {
        if let Some(Held { number: _, partition, state: _ }) = self.partitions.remove(key) {
            self.touched.insert(partition);
        }
    }

    pub(super) fn turn_away(&mut self, at: Instant, reply: Reply) {
        self.turned_away.push((at, reply));
    }

    pub(super) fn take_turned_away(&mut self, now: Instant) -> Vec<Reply> {
        let (due, later) = std::mem::take(&mut self.turned_away).into_iter().partition(|(at, _)| *at <= now);
        self.turned_away = later;
        let due: Vec<(Instant, Reply)> = due;
        due.into_iter().map(|(_, reply)| reply).collect()
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let locks = self.partitions.values().filter_map(|held| held.state.next_lock_timeout()).min();
        let waits = self.turned_away.iter().map(|(at, _)| *at).chain(self.fetches.next_deadline()).min();
        let wait = waits.map(|at| (at, Alarm::DelayedOperation));
        locks.map(|at| (at, Alarm::AcquisitionLock)).into_iter().chain(wait).min()
    }
}

impl Process {
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The settings of the group: its own, or else the brokers'.
    pub(super) fn share_settings(&self, group: &GroupId) -> GroupConfig {
        GroupConfig::new(&self.config).with(self.image.group_config(group))
    }

    pub(super) fn share_key(&self, group: &GroupId, (topic, partition): PartitionId) -> SharePartitionKey {
        SharePartitionKey { group: group.clone(), topic, partition }
    }

    /// The share partition of the group, made and initialised if it is not there yet
    /// (getOrCreateSharePartition). Only the partition's leader has one.
    pub(super) fn open_share_partition(&mut self, key: &SharePartitionKey) -> Result<(), ErrorCode> {
        let name = self.image.topic_names.get(&key.topic).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = TopicPartition::new(name.clone(), key.partition);
        let settings = self.share_settings(&key.group);
        if !self.shares.partitions.contains_key(key) {
            let replica = self.replicas.get(&partition).ok_or_else(|| self.absent_error(&partition))?;
            if !replica.is_leader() {
                return Err(ErrorCode::NotLeaderOrFollower);
            }
            let limits = Limits {
                max_in_flight_records: self.config.share.partition_max_record_locks,
                max_delivery_count: self.config.share.delivery_count_limit as i16,
                record_lock_duration: settings.share_record_lock_duration,
            };
            let state = Arc::new(SharePartition::new(limits, replica.leader_epoch()));
            self.shares.last_number += 1;
            let number = self.shares.last_number;
            self.shares.partitions.insert(key.clone(), Held { number, partition, state });
        }
        let by = self.shares.number(key);
        let Some(state) = self.shares.state_mut(key) else { return Ok(()) };
        state.set_record_lock_duration(settings.share_record_lock_duration);
        match state.begin_initialize() {
            Ok(true) => {
                let leader_epoch = state.leader_epoch();
                let id = self.persister.ask(key.clone(), Op::Read { leader_epoch });
                self.shares.asking.insert(id, Asking { by, why: Why::Initialize });
                Ok(())
            }
            // It is being initialised already: the fetch waits with the others.
            Ok(false) | Err(ErrorCode::LeaderNotAvailable) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Has a change written; `answer` waits for it.
    pub(super) fn write_share_state(&mut self, key: &SharePartitionKey, write: StateWrite, answer: Option<u64>) {
        let StateWrite { id: write, state_epoch, leader_epoch, start, delivery_complete_count: _, batches } = write;
        let changes = combine(&[], &batches, None);
        let op = Op::Write { state_epoch, leader_epoch, start, batches };
        let id = match self.config.planted {
            Some(Planted::ConfirmUnwrittenAcknowledgements) => self.persister.pretend(key.clone()),
            _ => self.persister.ask(key.clone(), op),
        };
        let by = self.shares.number(key);
        self.shares.asking.insert(id, Asking { by, why: Why::Write { write, answer, changes } });
    }

    /// What became of what the share coordinators were asked.
    pub(super) fn settle_persister(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        for Outcome { id, key, result, overtook } in self.persister.take_outcomes() {
            if let Some(name) = self.image.topic_names.get(&key.topic).filter(|_| overtook) {
                let (group, partition) = (key.group.clone(), TopicPartition::new(name.clone(), key.partition));
                turn.tell(Fact::ShareWriteOvertaken { group, partition, broker: self.id });
            }
            let Some(Asking { by, why }) = self.shares.asking.remove(&id) else {
                self.persister_answered_group(disk, turn, id, result.map(|_| ()));
                continue;
            };
            let is_there = self.shares.number(&key) == by;
            match why {
                Why::Initialize if is_there => self.share_state_read(disk, turn, &key, result),
                Why::Initialize => {}
                Why::Write { write, answer, changes } => {
                    let result = result.map(|_| ()).map_err(persister_error);
                    if is_there {
                        self.share_state_written(turn, &key, write, &changes, result);
                    }
                    if let Some(answer) = answer {
                        self.shares.answers.written(answer, (key.topic, key.partition), result.err());
                        self.answer_share_request(turn, answer);
                    }
                }
            }
        }
        self.persister.poll(turn, &self.image);
    }

    fn share_state_read(
        &mut self,
        disk: &Disk,
        turn: &mut Turn<'_>,
        key: &SharePartitionKey,
        result: Result<Option<Known>, ErrorCode>,
    ) {
        let Some(partition) = self.shares.partition(key).cloned() else { return };
        let read = match result {
            Ok(Some(Known { state_epoch, leader_epoch: _, start, batches })) => {
                let start =
                    if start == Offset::UNKNOWN { self.first_share_offset(disk, turn.now, key) } else { Ok(start) };
                start.map(|start| PersistedState { state_epoch, start, batches })
            }
            Ok(None) => Err(ErrorCode::UnknownServerError),
            Err(error) => Err(persister_error(error)),
        };
        let Some(state) = self.shares.state_mut(key) else { return };
        let (taken, start) = (state.initialized(read), state.window().start);
        match taken {
            Ok(()) => {
                let (group, partition, broker) = (key.group.clone(), partition.clone(), self.id);
                turn.tell(Fact::SharePartitionRead { group, partition, broker, start });
            }
            Err(error) => {
                self.shares.remove(key);
                self.share_fetches_failed(&partition, key, error);
            }
        }
        self.shares.touched.insert(partition);
    }

    fn share_state_written(
        &mut self,
        turn: &mut Turn<'_>,
        key: &SharePartitionKey,
        write: WriteId,
        changes: &[StateBatch],
        result: Result<(), ErrorCode>,
    ) {
        if result.is_ok() && matches!(write, WriteId::Transition(_)) {
            self.tell_settled(turn, key, changes);
        }
        let moved = self.shares.state_mut(key).is_some_and(|state| state.write_done(turn.now, write, result));
        if moved {
            self.shares.touched.extend(self.shares.partition(key).cloned());
        }
        if result.is_err_and(ends_share_partition) {
            self.shares.remove(key);
        }
    }

    fn tell_settled(&self, turn: &mut Turn<'_>, key: &SharePartitionKey, changes: &[StateBatch]) {
        let Some(partition) = self.shares.partition(key) else { return };
        for StateBatch { first, last, delivery_count: _, state } in changes.iter().copied() {
            let fate = match state {
                RecordState::Acknowledged => RecordsFate::Acknowledged,
                RecordState::Archived => RecordsFate::Archived,
                RecordState::Available | RecordState::Acquired => RecordsFate::Released,
            };
            let (group, partition, broker) = (key.group.clone(), partition.clone(), self.id);
            turn.tell(Fact::RecordsSettled { group, partition, broker, first, last, fate });
        }
    }

    /// Where a group begins that has never read the partition (startOffsetDuringInitialization).
    fn first_share_offset(&self, disk: &Disk, now: Instant, key: &SharePartitionKey) -> Result<Offset, ErrorCode> {
        let held = self.shares.partitions.get(key).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let replica = self.replicas.get(&held.partition).ok_or_else(|| self.absent_error(&held.partition))?;
        let log = disk.log(&held.partition).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let timestamp = match self.share_settings(&key.group).share_offset_reset {
            OffsetReset::Latest | OffsetReset::None => LATEST,
            OffsetReset::Earliest => EARLIEST,
            OffsetReset::ByDuration(age) => now.millis() - age.millis(),
        };
        let found = replica.list_offset(log, Some(held.state.leader_epoch()), timestamp, Isolation::ReadUncommitted)?;
        found.map(|found| found.offset).ok_or(ErrorCode::OffsetNotAvailable)
    }

    /// This broker leads the partition no more, or it is deleted (SharePartitionListener).
    pub(super) fn fence_share_partitions(&mut self, partition: &TopicPartition) {
        let fenced = self.shares.partitions.iter().filter(|(_, held)| held.partition == *partition);
        let fenced: Vec<SharePartitionKey> = fenced.map(|(key, _)| key.clone()).collect();
        for key in &fenced {
            self.shares.remove(key);
        }
    }

    /// Nobody of the group fetches here any more (ShareGroupListener.onGroupEmpty).
    pub(super) fn forget_share_group(&mut self, group: &GroupId) {
        let first = SharePartitionKey { group: group.clone(), topic: Default::default(), partition: i32::MIN };
        let keys = self.shares.partitions.range(first..).map(|(key, _)| key);
        let keys: Vec<SharePartitionKey> = keys.take_while(|key| key.group == *group).cloned().collect();
        for key in &keys {
            self.shares.remove(key);
        }
    }

    /// Takes records from members whose locks have run out.
    pub(super) fn expire_acquisition_locks(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let is_due = |held: &Held| held.state.next_lock_timeout().is_some_and(|at| at <= now);
        let due = self.shares.partitions.iter().filter(|(_, held)| is_due(held));
        let due: Vec<(SharePartitionKey, TopicPartition)> =
            due.map(|(key, held)| (key.clone(), held.partition.clone())).collect();
        for (key, partition) in due {
            let write = self.shares.state_mut(&key).and_then(|state| state.expire_locks(now));
            let Some(write) = write else { continue };
            for StateBatch { first, last, delivery_count: _, state } in combine(&[], &write.batches, None) {
                let (group, partition, broker) = (key.group.clone(), partition.clone(), self.id);
                let archived = state == RecordState::Archived;
                turn.tell(Fact::AcquisitionLockTimedOut { group, partition, broker, first, last, archived });
            }
            self.write_share_state(&key, write, None);
            self.shares.touched.insert(partition);
        }
    }

    /// Whether fetches may read for the share partition now.
    pub(super) fn is_share_partition_active(&self, key: &SharePartitionKey) -> bool {
        self.shares.partitions.get(key).is_some_and(|held| held.state.window().state == PartitionState::Active)
    }

    /// Who leads a partition instead of this broker.
    pub(super) fn share_leader_hint(&self, (topic, partition): PartitionId) -> Option<(BrokerId, LeaderEpoch)> {
        let name = self.image.topic_names.get(&topic)?;
        leader_hint(&self.image, &self.replicas, &TopicPartition::new(name.clone(), partition))
    }
}

/// What a failure of the share coordinator means to a member (SharePartition.fetchPersisterError).
fn persister_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::GroupIdNotFound | ErrorCode::UnknownTopicOrPartition => error,
        ErrorCode::FencedLeaderEpoch | ErrorCode::FencedStateEpoch => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::UnknownServerError,
    }
}

/// Somebody else goes on with it, or nobody (fencedSharePartitionHandler).
pub(super) fn ends_share_partition(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::FencedStateEpoch
            | ErrorCode::GroupIdNotFound
            | ErrorCode::UnknownTopicOrPartition
    )
}
