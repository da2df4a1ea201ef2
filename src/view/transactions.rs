//! What has become of the transaction that a record belongs to, as the log says it.

use serde::Serialize;

use crate::kafka::log::Log;
use crate::wire::batch::Batch;

/// How it stands with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum TransactionFate {
    /// Not decided: readers of committed records wait.
    Open,
    Committed,
    /// Readers of committed records pass it over.
    Aborted,
}

impl TransactionFate {
    pub fn word(self) -> &'static str {
        match self {
            TransactionFate::Open => "open",
            TransactionFate::Committed => "committed",
            TransactionFate::Aborted => "aborted",
        }
    }
}

/// The fate of the transaction of a batch of data; `None` when it belongs to none.
pub fn fate(log: &Log, batch: &Batch) -> Option<TransactionFate> {
    if !batch.is_transactional() || batch.is_control() {
        return None;
    }
    let (producer, base) = (batch.producer_id, batch.base_offset);
    let open = log.producers().entry(producer).and_then(|entry| entry.txn_first);
    if open.is_some_and(|first| first <= base) {
        return Some(TransactionFate::Open);
    }
    let is_aborted = log.aborted_transactions(base, base.next()).iter().any(|transaction| transaction.holds(batch));
    Some(if is_aborted { TransactionFate::Aborted } else { TransactionFate::Committed })
}
