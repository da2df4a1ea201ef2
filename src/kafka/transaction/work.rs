//! What the coordinator keeps of each partition, and the writes that it decides on
//! (TransactionStateManager).

use crate::kafka::config::BrokerConfig;
use crate::kafka::coordinator::Reply;
use crate::kafka::node::Turn;
use crate::kafka::transaction::metadata::{Transaction, TransactionMetadata, TransactionVersion};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{Correlation, ErrorCode, NodeId, ProducerId, TransactionalId};

/// What the coordinator reads of the broker's settings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub partitions: i32,
    pub max_timeout: Duration,
    pub sweep_interval: Duration,
    pub id_expiration: Duration,
    pub id_expiration_interval: Duration,
    pub two_phase_commit: bool,
    pub request_timeout: Duration,
}

/// `request.timeout.ms` of a broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Settings {
    pub fn new(config: &BrokerConfig) -> Settings {
        Settings {
            partitions: config.transaction_topic_num_partitions,
            max_timeout: config.transaction_max_timeout,
            sweep_interval: config.transaction_abort_interval,
            id_expiration: config.transactional_id_expiration,
            id_expiration_interval: config.transactional_id_expiration_interval,
            two_phase_commit: config.transaction_two_phase_commit,
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

/// Who asks, and which transaction version it speaks (what the version of its request says).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    pub from: NodeId,
    pub correlation: Correlation,
    pub version: TransactionVersion,
}

impl Context {
    pub(super) fn reply(&self) -> Reply {
        Reply { to: self.from, correlation: self.correlation }
    }
}

/// Who gave the order to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ender {
    /// END_TXN of the producer; the answer names the next epoch when its version knows of that.
    Client {
        reply: Reply,
        version: TransactionVersion,
    },
    /// A new session of the id, which is asked to come again.
    NewSession {
        reply: Reply,
    },
    Timeout,
}

/// What follows when a write is committed, or when it failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    Initialized {
        reply: Reply,
    },
    /// A place in the answer to ADD_PARTITIONS_TO_TXN.
    PartitionsAdded {
        answer: u64,
        place: u32,
    },
    OffsetsAdded {
        reply: Reply,
    },
    Ended {
        by: Ender,
    },
    Completed,
    /// Deletions of ids that nobody used for long.
    Expired,
}

/// A transition that goes into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub(super) id: TransactionalId,
    /// Where the id goes; `None`: it is deleted.
    pub(super) next: Option<TransactionMetadata>,
    pub(super) then: Then,
    /// When nobody waits for it any more.
    pub(super) deadline: Instant,
}

/// One partition of `__transaction_state` that this broker leads (TxnMetadataCacheEntry).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shard {
    pub transactions: SortedMap<TransactionalId, Transaction>,
}

/// Where fresh producer ids come from (ProducerIdManager): one of them, or why there is none now.
pub type ProducerIds<'a> = &'a mut dyn FnMut(&mut Turn<'_>) -> Result<ProducerId, ErrorCode>;
