//! Whether a log still has certain records: asked for one batch after another, in order of their offsets.

use bytes::Bytes;

use crate::kafka::log::{Batches, Log};
use crate::wire::Offset;
use crate::wire::batch::{Batch, HEADER_SIZE};

/// Looks batches up in a log. It goes on from where it looked last, so that many in a row cost little.
pub(super) struct LookUp<'a> {
    log: &'a Log,
    rest: Batches<'a>,
    at: Option<Batch>,
}

impl LookUp<'_> {
    pub fn new(log: &Log) -> LookUp<'_> {
        LookUp { log, rest: log.batches(log.log_end()), at: None }
    }

    /// Whether the log still has these very records there (or had them, before its present start).
    pub fn holds(&mut self, first: Offset, last: Offset, records: &Bytes) -> bool {
        if last < self.log.log_start() || self.log.config().compact {
            return true;
        }
        if last >= self.log.log_end() {
            return false;
        }
        self.go_to(first);
        self.at.as_ref().is_some_and(|batch| batch.last_offset >= last && same_records(batch, records))
    }

    /// Finds the first batch that ends at `offset` or later.
    fn go_to(&mut self, offset: Offset) {
        // Backwards it has to begin again; what lies further ahead is found sooner than gone through.
        let is_near = |at: &Batch| at.base_offset <= offset && offset - at.last_offset < 64;
        if !self.at.as_ref().is_some_and(is_near) {
            self.rest = self.log.batches(offset);
            self.at = self.rest.next();
        }
        while self.at.as_ref().is_some_and(|at| at.last_offset < offset) {
            self.at = self.rest.next();
        }
    }
}

/// As [`LookUp::holds`], for one batch.
pub(super) fn holds(log: &Log, first: Offset, last: Offset, records: &Bytes) -> bool {
    LookUp::new(log).holds(first, last, records)
}

/// What stands before the records is stamped by the leader, and may differ.
fn same_records(batch: &Batch, records: &Bytes) -> bool {
    let (ours, theirs) = (batch.bytes(), records);
    if ours.len() == theirs.len() && ours.get(HEADER_SIZE..) == theirs.get(HEADER_SIZE..) {
        return true;
    }
    // A leader may have compressed them otherwise than the producer did.
    let Ok(sent) = Batch::split_first(&mut records.clone(), false) else { return false };
    sent.compression() != batch.compression() && sent.plain_records() == batch.plain_records()
}
