//! A transactional id as its coordinator knows it, and the transitions that are allowed
//! (TransactionMetadata, TransactionState, TxnTransitMetadata; KIP-98, KIP-360, KIP-890).

use crate::sorted::SortedSet;
use crate::wire::{ErrorCode, ProducerId, TopicPartition};

pub const NO_PRODUCER_ID: ProducerId = ProducerId(-1);
pub const NO_PRODUCER_EPOCH: i16 = -1;

/// The feature `transaction.version`, as a client speaks it or as the cluster has it (KIP-1022).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionVersion(pub i16);

impl TransactionVersion {
    pub const V0: TransactionVersion = TransactionVersion(0);
    pub const V2: TransactionVersion = TransactionVersion(2);

    /// Each transaction has an epoch of its own (KIP-890, part 2).
    pub fn bumps_epoch(self) -> bool {
        self >= TransactionVersion::V2
    }
}

/// Kafka's PrepareEpochFence is not among them: it lies between two lines of one step, and nobody
/// can see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    /// No transaction yet.
    Empty,
    Ongoing,
    /// The outcome is decided and in the log: the markers are on their way.
    PrepareCommit,
    PrepareAbort,
    /// Every partition has its marker.
    CompleteCommit,
    CompleteAbort,
    /// The id has expired and is being deleted.
    Dead,
}

impl TransactionState {
    const ALL: [TransactionState; 7] = [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
        TransactionState::Dead,
    ];

    /// Kafka's own name.
    pub fn name(self) -> &'static str {
        match self {
            TransactionState::Empty => "Empty",
            TransactionState::Ongoing => "Ongoing",
            TransactionState::PrepareCommit => "PrepareCommit",
            TransactionState::PrepareAbort => "PrepareAbort",
            TransactionState::CompleteCommit => "CompleteCommit",
            TransactionState::CompleteAbort => "CompleteAbort",
            TransactionState::Dead => "Dead",
        }
    }

    /// The byte in the log.
    pub fn id(self) -> i8 {
        TransactionState::ALL.iter().position(|&state| state == self).map_or(0, |at| at as i8)
    }

    pub fn from_id(id: i8) -> Option<TransactionState> {
        TransactionState::ALL.get(usize::try_from(id).ok()?).copied()
    }

    pub fn prepare(commit: bool) -> TransactionState {
        if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort }
    }

    /// Markers are being written.
    pub fn is_prepared(self) -> bool {
        matches!(self, TransactionState::PrepareCommit | TransactionState::PrepareAbort)
    }

    /// There is no transaction, and the next one may begin.
    pub fn is_idle(self) -> bool {
        matches!(self, TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort)
    }

    /// TransactionState.validPreviousStates.
    pub fn may_follow(self, before: TransactionState) -> bool {
        use TransactionState::*;
        match self {
            Empty | Dead => before.is_idle(),
            Ongoing | PrepareAbort => before.is_idle() || before == Ongoing,
            PrepareCommit => before == Ongoing,
            CompleteCommit => before == PrepareCommit,
            CompleteAbort => before == PrepareAbort,
        }
    }
}

/// What the log says of a transactional id; also where a transition leads.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionMetadata {
    pub producer_id: ProducerId,
    /// The producer id before the last transition: a retry of a request that changed it is known by it.
    pub prev_producer_id: ProducerId,
    /// What becomes the producer id when the markers are written, because the epochs of this one are
    /// used up; -1: none.
    pub next_producer_id: ProducerId,
    pub producer_epoch: i16,
    /// The epoch before the last bump, by which a retry is known; not in the log.
    pub last_producer_epoch: i16,
    /// Milliseconds; `i32::MAX` for a transaction that another system decides on (KIP-939).
    pub timeout_ms: i32,
    pub state: TransactionState,
    pub partitions: SortedSet<TopicPartition>,
    /// When the first partition was added, in milliseconds; -1: no transaction yet.
    pub start_ms: i64,
    pub last_update_ms: i64,
    /// What the client spoke at the last transition.
    pub client_version: TransactionVersion,
}

impl TransactionMetadata {
    /// Of an id that nobody has used before; it has no epoch yet.
    pub fn new(producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> TransactionMetadata {
        TransactionMetadata {
            producer_id,
            prev_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: SortedSet::new(),
            start_ms: -1,
            last_update_ms: now_ms,
            client_version: TransactionVersion::V0,
        }
    }

    /// The last two epochs are kept: one to fence the producer with, one for its markers.
    pub fn is_epoch_exhausted(&self) -> bool {
        is_epoch_exhausted(self.producer_epoch)
    }

    /// Two-phase commit: no timeout of its own (KIP-939).
    pub fn is_two_phase(&self) -> bool {
        self.timeout_ms == i32::MAX
    }
}

pub fn is_epoch_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

/// A transactional id in its coordinator's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// As the committed log has it; only a fenced epoch of version 1 runs ahead.
    pub current: TransactionMetadata,
    /// A transition that is on its way into the log, or that waits for the markers: nothing else may
    /// happen meanwhile.
    pub pending: Option<TransactionState>,
    /// A fencing epoch was drawn, but did not get into the log: it is not raised again.
    pub failed_epoch_fence: bool,
}

impl Transaction {
    pub fn new(current: TransactionMetadata) -> Transaction {
        Transaction { current, pending: None, failed_epoch_fence: false }
    }

    /// KIP-360: the epoch of the next session of this id, or the answer to a repeated request.
    pub fn prepare_next_epoch(
        &mut self,
        timeout_ms: i32,
        expected_epoch: Option<i16>,
        now_ms: i64,
    ) -> Result<TransactionMetadata, ErrorCode> {
        let current = &self.current;
        if current.is_epoch_exhausted() {
            // Kafka throws IllegalStateException: only the current epoch leads to a new producer id.
            return Err(ErrorCode::UnknownServerError);
        }
        let bumped = current.producer_epoch + 1;
        let (epoch, last) = match expected_epoch {
            None => (bumped, NO_PRODUCER_EPOCH),
            Some(expected) if current.producer_epoch == NO_PRODUCER_EPOCH || expected == current.producer_epoch => {
                (bumped, current.producer_epoch)
            }
            // A retry: whoever else had initialized the id meanwhile would have set the last epoch to -1.
            Some(expected) if expected == current.last_producer_epoch => {
                (current.producer_epoch, current.last_producer_epoch)
            }
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        let next = TransactionMetadata {
            producer_epoch: epoch,
            last_producer_epoch: last,
            ..self.emptied(timeout_ms, now_ms)
        };
        Ok(self.prepare(next))
    }

    /// The epochs of the producer id are used up: a new one.
    pub fn prepare_rotation(
        &mut self,
        producer_id: ProducerId,
        timeout_ms: i32,
        record_last_epoch: bool,
        now_ms: i64,
    ) -> TransactionMetadata {
        let last = if record_last_epoch { self.current.producer_epoch } else { NO_PRODUCER_EPOCH };
        let next = TransactionMetadata {
            producer_id,
            producer_epoch: 0,
            last_producer_epoch: last,
            ..self.emptied(timeout_ms, now_ms)
        };
        self.prepare(next)
    }

    fn emptied(&self, timeout_ms: i32, now_ms: i64) -> TransactionMetadata {
        TransactionMetadata {
            state: TransactionState::Empty,
            timeout_ms,
            partitions: SortedSet::new(),
            start_ms: -1,
            last_update_ms: now_ms,
            ..self.current.clone()
        }
    }

    pub fn prepare_add_partitions(
        &mut self,
        added: &SortedSet<TopicPartition>,
        client_version: TransactionVersion,
        now_ms: i64,
    ) -> TransactionMetadata {
        let mut next = self.current.clone();
        if next.state.is_idle() {
            next.start_ms = now_ms;
        }
        next.state = TransactionState::Ongoing;
        next.partitions.extend(added.iter().cloned());
        next.last_update_ms = now_ms;
        next.client_version = client_version;
        self.prepare(next)
    }

    /// The decision. With version 2 the markers carry a raised epoch (KIP-890); it must not overflow,
    /// so that a transaction which has got that far can still be aborted.
    pub fn prepare_end(
        &mut self,
        commit: bool,
        client_version: TransactionVersion,
        next_producer_id: ProducerId,
        now_ms: i64,
    ) -> TransactionMetadata {
        let mut next = self.current.clone();
        next.client_version = TransactionVersion::V0;
        if client_version.bumps_epoch() {
            next.client_version = client_version;
            next.last_producer_epoch = next.producer_epoch;
            next.producer_epoch = next.producer_epoch.saturating_add(1);
        }
        if next.state.is_idle() {
            // A transaction without partitions has no beginning of its own.
            next.start_ms = now_ms;
        }
        next.state = TransactionState::prepare(commit);
        next.next_producer_id = next_producer_id;
        next.last_update_ms = now_ms;
        self.prepare(next)
    }

    /// An abort that shuts out the producer: it was open for too long, or a new session of its id
    /// begins. With version 2 the bump of the abort does it; before, the epoch is raised first.
    pub fn prepare_fence(&mut self, version: TransactionVersion, now_ms: i64) -> TransactionMetadata {
        if !version.bumps_epoch() {
            if !self.failed_epoch_fence {
                self.current.producer_epoch = self.current.producer_epoch.saturating_add(1);
            }
            self.current.last_producer_epoch = NO_PRODUCER_EPOCH;
            return self.prepare_end(false, TransactionVersion::V0, NO_PRODUCER_ID, now_ms);
        }
        self.prepare_end(false, version, NO_PRODUCER_ID, now_ms)
    }

    /// What follows when all markers are written. The last epoch stays what the client saw last.
    pub fn prepare_complete(&mut self, now_ms: i64) -> TransactionMetadata {
        self.failed_epoch_fence = false;
        let mut next = self.current.clone();
        let committed = next.state == TransactionState::PrepareCommit;
        next.state = if committed { TransactionState::CompleteCommit } else { TransactionState::CompleteAbort };
        if next.client_version.bumps_epoch() && next.next_producer_id != NO_PRODUCER_ID {
            next.producer_id = next.next_producer_id;
            next.producer_epoch = 0;
        }
        next.next_producer_id = NO_PRODUCER_ID;
        next.partitions.clear();
        next.last_update_ms = now_ms;
        self.prepare(next)
    }

    pub fn prepare_dead(&mut self) {
        self.prepare(TransactionMetadata { state: TransactionState::Dead, ..self.current.clone() });
    }

    /// TransactionMetadata.prepareTransitionTo.
    fn prepare(&mut self, next: TransactionMetadata) -> TransactionMetadata {
        assert!(self.pending.is_none(), "two transitions at once");
        assert!(next.state.may_follow(self.current.state), "{:?} after {:?}", next.state, self.current.state);
        self.pending = Some(next.state);
        TransactionMetadata { prev_producer_id: self.current.producer_id, ..next }
    }

    /// The transition is committed in the log; what was before it.
    pub fn complete(&mut self, next: TransactionMetadata) -> TransactionMetadata {
        self.pending = None;
        std::mem::replace(&mut self.current, next)
    }
}
