//! What the share coordinator knows of a share partition, and what it decides on it
//! (ShareCoordinatorShard, ShareGroupOffset): decide and replay.

use crate::kafka::share::{SharePartitionKey, StateBatch};
use crate::kafka::share_coordinator::combine::combine;
use crate::kafka::share_coordinator::records::{ShareRecord, Snapshot, Update};
use crate::sorted::SortedMap;
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

/// PartitionFactory.DEFAULT_STATE_EPOCH and DEFAULT_LEADER_EPOCH.
const DEFAULT_EPOCH: i32 = 0;

/// What is asked of one share partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Initialize { state_epoch: i32, start: Offset },
    Read { leader_epoch: LeaderEpoch },
    Write { state_epoch: i32, leader_epoch: LeaderEpoch, start: Offset, batches: Vec<StateBatch> },
    Delete,
    ReadSummary,
}

/// What is answered of it; of a summary only without the batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub state_epoch: i32,
    pub leader_epoch: LeaderEpoch,
    pub start: Offset,
    pub batches: Vec<StateBatch>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub record: Option<ShareRecord>,
    pub answer: Option<Known>,
}

/// A share partition as the records have left it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareState {
    snapshot: Snapshot,
    /// The highest epochs that were ever written: older writers are fenced.
    leader_epoch: LeaderEpoch,
    state_epoch: i32,
    /// Updates since the last snapshot, but for the very first one.
    updates: Option<i32>,
}

impl ShareState {
    pub fn start(&self) -> Offset {
        self.snapshot.start
    }

    pub fn batches(&self) -> &[StateBatch] {
        &self.snapshot.batches
    }

    fn known(&self) -> Known {
        let Snapshot { epoch: _, state_epoch, leader_epoch, start, created: _, written: _, batches } = &self.snapshot;
        Known { state_epoch: *state_epoch, leader_epoch: *leader_epoch, start: *start, batches: batches.clone() }
    }
}

/// The share partitions of one partition of `__share_group_state`.
pub type States = SortedMap<SharePartitionKey, ShareState>;

/// Decides without changing anything. `exists`: the metadata knows the partition.
pub fn decide(
    states: &States,
    key: &SharePartitionKey,
    op: &Op,
    exists: bool,
    now_ms: i64,
    updates_per_snapshot: i32,
) -> Result<Decision, ErrorCode> {
    if key.partition < 0 {
        return Err(ErrorCode::InvalidRequest);
    }
    let state = states.get(key);
    check_epochs(state, op)?;
    // Only what was initialised can be read and written.
    let is_missing = state.is_none() && matches!(op, Op::Read { .. } | Op::Write { .. });
    if !exists && !is_missing {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let nothing = Decision { record: None, answer: None };
    match (op, state) {
        (Op::Initialize { state_epoch, start }, _) => {
            let snapshot = Snapshot {
                epoch: state.map_or(0, |state| state.snapshot.epoch + 1),
                state_epoch: *state_epoch,
                leader_epoch: LeaderEpoch(DEFAULT_EPOCH),
                start: *start,
                created: now_ms,
                written: now_ms,
                batches: Vec::new(),
            };
            Ok(Decision { record: Some(ShareRecord::Snapshot(key.clone(), Some(snapshot))), answer: None })
        }
        (Op::Delete, None) => Ok(nothing),
        (Op::Delete, Some(_)) => Ok(Decision { record: Some(ShareRecord::Snapshot(key.clone(), None)), answer: None }),
        (Op::ReadSummary, None) => {
            let (state_epoch, leader_epoch) = (DEFAULT_EPOCH, LeaderEpoch(DEFAULT_EPOCH));
            let unknown = Known { state_epoch, leader_epoch, start: Offset::UNKNOWN, batches: Vec::new() };
            Ok(Decision { answer: Some(unknown), ..nothing })
        }
        (Op::ReadSummary, Some(state)) => Ok(Decision { answer: Some(state.known()), ..nothing }),
        (Op::Read { .. } | Op::Write { .. }, None) => Err(ErrorCode::InvalidRequest),
        (Op::Read { leader_epoch }, Some(state)) => {
            // A new leader of the partition makes itself known by reading.
            let is_news = *leader_epoch != LeaderEpoch::UNKNOWN && *leader_epoch != state.leader_epoch;
            let changed = Changed { leader_epoch: *leader_epoch, start: state.snapshot.start, batches: &[] };
            let record = is_news.then(|| changed.record(key, state, now_ms, updates_per_snapshot));
            Ok(Decision { record, answer: Some(state.known()) })
        }
        (Op::Write { state_epoch: _, leader_epoch: _, start, batches }, Some(state)) => {
            let changed = Changed { leader_epoch: state.snapshot.leader_epoch, start: *start, batches };
            let record = changed.record(key, state, now_ms, updates_per_snapshot);
            Ok(Decision { record: Some(record), answer: None })
        }
    }
}

/// Whoever comes with an older epoch than the newest is too late.
fn check_epochs(state: Option<&ShareState>, op: &Op) -> Result<(), ErrorCode> {
    let Some(state) = state else { return Ok(()) };
    let (leader_epoch, state_epoch) = match op {
        Op::Initialize { state_epoch, .. } => (None, Some(*state_epoch)),
        // Kafka compares here without asking whether the epoch is known.
        Op::Read { leader_epoch } => (Some(*leader_epoch), None),
        Op::Write { state_epoch, leader_epoch, .. } => {
            (Some(*leader_epoch).filter(|epoch| *epoch != LeaderEpoch::UNKNOWN), Some(*state_epoch))
        }
        Op::Delete | Op::ReadSummary => (None, None),
    };
    if leader_epoch.is_some_and(|epoch| state.leader_epoch > epoch) {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if state_epoch.is_some_and(|epoch| epoch != -1 && state.state_epoch > epoch) {
        return Err(ErrorCode::FencedStateEpoch);
    }
    Ok(())
}

/// What a write, or a read by a new leader, changes.
struct Changed<'a> {
    leader_epoch: LeaderEpoch,
    start: Offset,
    batches: &'a [StateBatch],
}

impl Changed<'_> {
    /// An update, or a snapshot when there were enough of them
    /// (`share.coordinator.snapshot.update.records.per.snapshot`).
    fn record(&self, key: &SharePartitionKey, state: &ShareState, now_ms: i64, limit: i32) -> ShareRecord {
        let current = &state.snapshot;
        if state.updates.unwrap_or(0) < limit {
            let batches = combine(&[], self.batches, known_start(self.start));
            let update =
                Update { snapshot_epoch: current.epoch, leader_epoch: self.leader_epoch, start: self.start, batches };
            return ShareRecord::Update(key.clone(), update);
        }
        let start = if self.start == Offset::UNKNOWN { current.start } else { self.start };
        let snapshot = Snapshot {
            epoch: current.epoch + 1,
            state_epoch: current.state_epoch,
            leader_epoch: self.leader_epoch,
            start,
            created: now_ms,
            written: now_ms,
            batches: combine(&current.batches, self.batches, known_start(start)),
        };
        ShareRecord::Snapshot(key.clone(), Some(snapshot))
    }
}

fn known_start(start: Offset) -> Option<Offset> {
    Some(start).filter(|start| *start != Offset::UNKNOWN)
}

/// The only way in which anything changes; a failover is this, on another broker.
pub fn replay(states: &mut States, record: &ShareRecord, updates_per_snapshot: i32) {
    match record {
        ShareRecord::Snapshot(key, None) => drop(states.remove(key)),
        ShareRecord::Snapshot(key, Some(snapshot)) => {
            let before = states.get(key);
            let updates = before.and_then(|state| state.updates);
            let state = ShareState {
                leader_epoch: before
                    .map_or(snapshot.leader_epoch, |state| state.leader_epoch.max(snapshot.leader_epoch)),
                state_epoch: before.map_or(snapshot.state_epoch, |state| state.state_epoch.max(snapshot.state_epoch)),
                updates: updates.map(|updates| if updates >= updates_per_snapshot { 0 } else { updates }),
                snapshot: snapshot.clone(),
            };
            states.insert(key.clone(), state);
        }
        ShareRecord::Update(key, update) => {
            let Update { snapshot_epoch, leader_epoch, start, batches } = update;
            let state = states.entry(key.clone()).or_insert_with(|| ShareState {
                snapshot: Snapshot {
                    epoch: *snapshot_epoch,
                    state_epoch: DEFAULT_EPOCH,
                    leader_epoch: *leader_epoch,
                    start: *start,
                    created: 0,
                    written: 0,
                    batches: Vec::new(),
                },
                leader_epoch: *leader_epoch,
                state_epoch: DEFAULT_EPOCH,
                updates: None,
            });
            if *start != Offset::UNKNOWN {
                state.snapshot.start = *start;
            }
            if *leader_epoch != LeaderEpoch::UNKNOWN {
                state.snapshot.leader_epoch = *leader_epoch;
            }
            state.leader_epoch = state.leader_epoch.max(*leader_epoch);
            let start = known_start(state.snapshot.start);
            state.snapshot.batches = combine(&state.snapshot.batches, batches, start);
            state.updates = Some(state.updates.map_or(0, |updates| updates + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::share::RecordState::{Acknowledged, Available};
    use crate::kafka::share::StateBatch;
    use crate::wire::{GroupId, Uuid, str_bytes};

    const PER_SNAPSHOT: i32 = 2;

    fn key() -> SharePartitionKey {
        SharePartitionKey { group: GroupId(str_bytes("g")), topic: Uuid::from_u128(1), partition: 0 }
    }

    fn write(leader_epoch: i32, start: i64, first: i64, last: i64) -> Op {
        let batch = StateBatch { first: Offset(first), last: Offset(last), delivery_count: 1, state: Acknowledged };
        let (leader_epoch, start) = (LeaderEpoch(leader_epoch), Offset(start));
        Op::Write { state_epoch: 0, leader_epoch, start, batches: vec![batch] }
    }

    /// Decides and replays; what the record was.
    fn run(states: &mut States, op: &Op) -> Result<(Option<&'static str>, Option<Known>), ErrorCode> {
        let Decision { record, answer } = decide(states, &key(), op, true, 5, PER_SNAPSHOT)?;
        let kind = record.as_ref().map(|record| match record {
            ShareRecord::Snapshot(_, Some(_)) => "snapshot",
            ShareRecord::Snapshot(_, None) => "tombstone",
            ShareRecord::Update(..) => "update",
        });
        record.iter().for_each(|record| replay(states, record, PER_SNAPSHOT));
        Ok((kind, answer))
    }

    fn initialized() -> States {
        let mut states = States::new();
        let op = Op::Initialize { state_epoch: 0, start: Offset::UNKNOWN };
        assert_eq!(run(&mut states, &op), Ok((Some("snapshot"), None)));
        states
    }

    #[test]
    fn only_what_was_initialised_can_be_read_and_written() {
        let mut states = States::new();
        assert_eq!(run(&mut states, &write(0, 0, 0, 1)), Err(ErrorCode::InvalidRequest));
        assert_eq!(run(&mut states, &Op::Read { leader_epoch: LeaderEpoch(0) }), Err(ErrorCode::InvalidRequest));
        let unknown = run(&mut states, &Op::ReadSummary).expect("a summary is always answered").1;
        assert_eq!(unknown.map(|known| known.start), Some(Offset::UNKNOWN));
        assert_eq!(run(&mut states, &Op::Delete), Ok((None, None)));
        let refused = decide(&states, &key(), &Op::Delete, false, 5, PER_SNAPSHOT);
        assert_eq!(refused, Err(ErrorCode::UnknownTopicOrPartition));
    }

    #[test]
    fn a_new_leader_fences_the_old_one_by_reading() {
        let mut states = initialized();
        assert_eq!(run(&mut states, &write(0, 3, 3, 4)).map(|(kind, _)| kind), Ok(Some("update")));
        let (kind, known) = run(&mut states, &Op::Read { leader_epoch: LeaderEpoch(4) }).expect("it leads");
        assert_eq!((kind, known.map(|known| known.start)), (Some("update"), Some(Offset(3))));
        assert_eq!(run(&mut states, &Op::Read { leader_epoch: LeaderEpoch(4) }).map(|(kind, _)| kind), Ok(None));
        assert_eq!(run(&mut states, &write(3, 3, 5, 5)), Err(ErrorCode::FencedLeaderEpoch));
        assert_eq!(run(&mut states, &Op::Read { leader_epoch: LeaderEpoch(3) }), Err(ErrorCode::FencedLeaderEpoch));
    }

    #[test]
    fn an_older_state_epoch_is_fenced() {
        let mut states = initialized();
        assert!(run(&mut states, &Op::Initialize { state_epoch: 3, start: Offset(9) }).is_ok());
        let older = Op::Initialize { state_epoch: 2, start: Offset(0) };
        assert_eq!(run(&mut states, &older), Err(ErrorCode::FencedStateEpoch));
        assert_eq!(run(&mut states, &write(0, 9, 9, 9)), Err(ErrorCode::FencedStateEpoch));
    }

    #[test]
    fn after_enough_updates_comes_a_snapshot_with_everything_combined() {
        let mut states = initialized();
        let kinds: Vec<_> = (0..5).map(|at| run(&mut states, &write(0, -1, at, at)).map(|(kind, _)| kind)).collect();
        let (update, snapshot) = (Ok(Some("update")), Ok(Some("snapshot")));
        assert_eq!(kinds, [update, update, update, snapshot, update]);
        let state = &states[&key()];
        let combined = StateBatch { first: Offset(0), last: Offset(4), delivery_count: 1, state: Acknowledged };
        assert_eq!(state.batches(), [combined]);
        let available = StateBatch { first: Offset(7), last: Offset(7), delivery_count: 1, state: Available };
        let moved =
            Op::Write { state_epoch: 0, leader_epoch: LeaderEpoch(0), start: Offset(5), batches: vec![available] };
        assert!(run(&mut states, &moved).is_ok());
        assert_eq!(states[&key()].batches(), [available]);
        assert_eq!(states[&key()].start(), Offset(5));
        assert_eq!(run(&mut states, &Op::Delete), Ok((Some("tombstone"), None)));
        assert!(states.is_empty());
    }
}
