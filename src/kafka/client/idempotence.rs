//! A producer's identity and the sequence of its records in each partition (TransactionManager,
//! TxnPartitionMap): what makes retries safe.

use crate::kafka::client::producer_batch::{Stamp, increment_sequence};
use crate::time::Instant;
use crate::wire::ProducerId;

/// Who the producer is to the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: ProducerId,
    pub epoch: i16,
}

/// How the producer stands with its identity.
#[derive(Clone, Debug, PartialEq)]
pub enum IdentityState {
    /// `enable.idempotence=false`
    NotNeeded,
    /// The transaction's coordinator gives it, when the application calls `initTransactions`.
    Transactional,
    /// To be asked for from this instant on.
    Wanted {
        at: Instant,
        failures: u32,
    },
    /// INIT_PRODUCER_ID is on its way.
    Asked {
        failures: u32,
    },
    Known(Identity),
}

/// One partition's sequence (TxnPartitionEntry).
#[derive(Clone, Debug, PartialEq)]
pub struct Sequences {
    /// Under which identity `next` counts.
    pub identity: Option<Identity>,
    /// The sequence of the next record to be drained.
    pub next: i32,
    /// The greatest acknowledged sequence; `None` since the sequences began.
    pub last_acked: Option<i32>,
    /// The greatest acknowledged offset; -1 when unknown.
    pub last_acked_offset: i64,
    /// Base sequences of the batches that were drained and are not done, oldest first; those that
    /// wait for a retry too.
    pub in_flight: Vec<i32>,
    /// A batch was given up that may have been written: nothing is drained until the rest is done. The sequence
    /// behind the last such batch.
    pub unresolved: Option<i32>,
}

impl Default for Sequences {
    fn default() -> Sequences {
        Sequences {
            identity: None,
            next: 0,
            last_acked: None,
            last_acked_offset: -1,
            in_flight: Vec::new(),
            unresolved: None,
        }
    }
}

impl IdentityState {
    pub fn known(&self) -> Option<Identity> {
        match self {
            IdentityState::Known(identity) => Some(*identity),
            _ => None,
        }
    }
}

impl Sequences {
    /// Gives the next `count` sequences away. A partition without anything in flight takes over a
    /// bumped epoch here, and starts at 0 again (maybeUpdateProducerIdAndEpoch).
    pub fn stamp(&mut self, identity: Identity, count: u32) -> Stamp {
        if self.identity != Some(identity) && self.in_flight.is_empty() {
            self.restart(identity);
        }
        let stamp = Stamp { producer_id: identity.id, epoch: identity.epoch, base_sequence: self.next };
        self.next = increment_sequence(self.next, count as i32);
        self.in_flight.push(stamp.base_sequence);
        stamp
    }

    /// Sequences begin at 0 under this identity.
    pub fn restart(&mut self, identity: Identity) {
        *self = Sequences { identity: Some(identity), ..Sequences::default() };
    }

    pub fn first_in_flight(&self) -> Option<i32> {
        self.in_flight.first().copied()
    }

    /// Whether this is the sequence that follows what is acknowledged.
    pub fn is_next(&self, sequence: i32) -> bool {
        sequence == self.last_acked.map_or(0, |last| increment_sequence(last, 1))
    }

    pub fn remove_in_flight(&mut self, base_sequence: i32) {
        self.in_flight.retain(|s| *s != base_sequence);
    }

    pub fn acknowledged(&mut self, last_sequence: i32, last_offset: i64) {
        if self.last_acked.is_none_or(|last| last_sequence.wrapping_sub(last) > 0) {
            self.last_acked = Some(last_sequence);
        }
        self.last_acked_offset = self.last_acked_offset.max(last_offset);
    }

    /// In flight under an epoch that is not the producer's any more: nothing new until it is done.
    pub fn is_stale(&self, identity: Identity) -> bool {
        !self.in_flight.is_empty() && self.identity != Some(identity)
    }
}
