//! What a consumer reads and how far it is (SubscriptionState).

use crate::kafka::config::OffsetReset;
use crate::kafka::fact::PositionReason;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, LeaderEpoch, NodeId, Offset, TopicPartition};

/// Where a position is looked up when there is none (AutoOffsetResetStrategy), or where a lazy seek goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    Earliest,
    Latest,
    /// Records of the last while (KIP-1106).
    ByDuration(Duration),
    /// The first record with this timestamp or a later one.
    Timestamp(i64),
}

/// LIST_OFFSETS: the log's start.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// LIST_OFFSETS: the end that the isolation level lets see.
pub const LATEST_TIMESTAMP: i64 = -1;

/// The next record to hand out, and what is known of the log it stands in (FetchPosition).
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    pub offset: Offset,
    /// The epoch of the record before it; `None` when nobody said (KIP-320).
    pub epoch: Option<LeaderEpoch>,
    /// The leader and leader epoch under which the position was found good.
    pub leader: Option<(NodeId, LeaderEpoch)>,
}

/// What must happen before a partition can be fetched (FetchStates).
#[derive(Clone, Debug, PartialEq)]
pub enum FetchState {
    /// No position: the group's committed offset is to be asked for.
    Initializing,
    AwaitReset {
        to: ResetTo,
        why: PositionReason,
    },
    /// The leader changed: the log may have been truncated below the position.
    AwaitValidation,
    Fetching,
}

/// One assigned partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned {
    pub state: FetchState,
    pub position: Option<Position>,
    /// As the last fetch told.
    pub high_watermark: Option<Offset>,
    pub last_stable: Option<Offset>,
    pub log_start: Option<Offset>,
    pub paused: bool,
    /// The group rebalances: nothing is handed out any more.
    pub pending_revocation: bool,
    /// A follower in the consumer's rack to fetch from, and until when (KIP-392).
    pub preferred: Option<(BrokerId, Instant)>,
    /// No request for the position before this instant.
    pub next_try: Instant,
}

/// Everything that is assigned, in the order of topic and partition.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Subscription {
    pub assigned: SortedMap<TopicPartition, Assigned>,
}

/// What OFFSET_FOR_LEADER_EPOCH showed of a position.
#[derive(Clone, Debug, PartialEq)]
pub enum Validation {
    /// The position is in the log.
    Holds,
    /// The log was cut below it and the consumer goes on from here.
    Truncated(Position),
    /// It is not known where the logs part: the reset policy decides.
    Reset(ResetTo),
    /// Without a reset policy the application must decide (LogTruncationException).
    Fatal { divergent: Option<Offset> },
    /// The answer is for another position.
    Stale,
}

impl ResetTo {
    /// `None` for the policy `none`.
    pub fn from_policy(policy: OffsetReset) -> Option<ResetTo> {
        match policy {
            OffsetReset::Earliest => Some(ResetTo::Earliest),
            OffsetReset::Latest => Some(ResetTo::Latest),
            OffsetReset::ByDuration(duration) => Some(ResetTo::ByDuration(duration)),
            OffsetReset::None => None,
        }
    }

    /// The timestamp that LIST_OFFSETS asks for.
    pub fn timestamp(self, now: Instant) -> i64 {
        match self {
            ResetTo::Earliest => EARLIEST_TIMESTAMP,
            ResetTo::Latest => LATEST_TIMESTAMP,
            ResetTo::ByDuration(duration) => now.millis().saturating_sub(duration.millis()),
            ResetTo::Timestamp(timestamp) => timestamp,
        }
    }
}

impl Position {
    pub fn at(offset: Offset) -> Position {
        Position { offset, epoch: None, leader: None }
    }
}

impl Assigned {
    fn new() -> Assigned {
        Assigned {
            state: FetchState::Initializing,
            position: None,
            high_watermark: None,
            last_stable: None,
            log_start: None,
            paused: false,
            pending_revocation: false,
            preferred: None,
            next_try: Instant(i64::MIN),
        }
    }

    /// Whether records may be fetched and handed out.
    pub fn is_fetchable(&self) -> bool {
        self.state == FetchState::Fetching && !self.paused && !self.pending_revocation
    }

    /// Looks the position up by `to`, when it is needed next.
    pub fn reset(&mut self, to: ResetTo, why: PositionReason) {
        self.state = FetchState::AwaitReset { to, why };
        self.position = None;
        self.preferred = None;
        self.next_try = Instant(i64::MIN);
    }

    /// seekUnvalidated: the position is checked against the leader when its epoch is known.
    pub fn seek(&mut self, position: Position) {
        self.position = Some(position);
        self.state = FetchState::Fetching;
        self.preferred = None;
        self.next_try = Instant(i64::MIN);
    }

    /// SubscriptionState.maybeValidatePosition: true when another leader or epoch than before leads.
    pub fn see_leader(&mut self, leader: NodeId, epoch: LeaderEpoch) -> bool {
        let Some(position) = &mut self.position else { return false };
        if position.leader == Some((leader, epoch)) {
            return false;
        }
        let known = position.epoch.is_some();
        position.leader = Some((leader, epoch));
        self.preferred = None;
        if matches!(self.state, FetchState::Fetching | FetchState::AwaitValidation) {
            self.state = if known { FetchState::AwaitValidation } else { FetchState::Fetching };
            self.next_try = Instant(i64::MIN);
        }
        true
    }

    /// SubscriptionState.maybeCompleteValidation: `asked` is the position that the request was sent
    /// for; the answer is the end offset of the greatest epoch not above the position's.
    pub fn complete_validation(
        &mut self,
        asked: &Position,
        epoch: LeaderEpoch,
        end: Offset,
        policy: OffsetReset,
    ) -> Validation {
        if self.state != FetchState::AwaitValidation || self.position.as_ref() != Some(asked) {
            return Validation::Stale;
        }
        self.next_try = Instant(i64::MIN);
        let default = ResetTo::from_policy(policy);
        if end.0 < 0 || epoch.0 < 0 {
            return match default {
                Some(to) => {
                    self.reset(to, PositionReason::Reset);
                    Validation::Reset(to)
                }
                None => Validation::Fatal { divergent: None },
            };
        }
        if end >= asked.offset {
            self.state = FetchState::Fetching;
            return Validation::Holds;
        }
        if default.is_none() {
            return Validation::Fatal { divergent: Some(end) };
        }
        let position = Position { offset: end, epoch: Some(epoch), leader: asked.leader };
        self.position = Some(position.clone());
        self.state = FetchState::Fetching;
        Validation::Truncated(position)
    }

    /// A LIST_OFFSETS answer; true when it was still wanted (OffsetFetcherUtils.resetPositionIfNeeded).
    pub fn complete_reset(&mut self, asked: ResetTo, offset: Offset, epoch: Option<LeaderEpoch>) -> bool {
        match self.state {
            FetchState::AwaitReset { to, .. } if to == asked => {
                self.seek(Position { offset, epoch, leader: None });
                true
            }
            _ => false,
        }
    }
}

impl Subscription {
    /// assignFromSubscribed: partitions that stay keep their state.
    pub fn assign(&mut self, partitions: &[TopicPartition]) {
        let mut before = std::mem::take(&mut self.assigned);
        for partition in partitions {
            let state = before.remove(partition).unwrap_or_else(Assigned::new);
            self.assigned.insert(partition.clone(), state);
        }
    }

    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.assigned.keys().cloned().collect()
    }

    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut Assigned> {
        self.assigned.get_mut(partition)
    }

    /// Everything that was handed out so far: what is committed (allConsumed).
    pub fn consumed(&self) -> Vec<(TopicPartition, Position)> {
        let known = self.assigned.iter().filter_map(|(tp, a)| Some((tp.clone(), a.position.clone()?)));
        known.collect()
    }
}
