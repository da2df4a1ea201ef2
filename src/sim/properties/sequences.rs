//! The sequences of idempotent producers in the committed log: each batch goes on where the last one
//! of its producer ended (KIP-98).

use std::collections::BTreeMap;

use crate::wire::batch::Batch;

/// By producer id: its epoch and the sequence that comes next.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Sequences {
    next: BTreeMap<i64, (i16, i32)>,
    /// A producer's first batch here was not the first that it sent (ProducerAppendInfo.checkSequence
    /// takes any sequence from a producer that it does not know): what was sent before may follow.
    began_anywhere: bool,
}

impl Sequences {
    /// A batch was committed; what is wrong with its place, if anything is.
    pub fn committed(&mut self, batch: &Batch) -> Option<String> {
        if !batch.has_producer() || batch.is_control() {
            return None;
        }
        let (id, epoch, first) = (batch.producer_id.0, batch.producer_epoch, batch.base_sequence);
        let next = batch.last_sequence().checked_add(1).unwrap_or(0);
        let known = self.next.insert(id, (epoch, next));
        let wrong = match known {
            // A producer that is new here may begin anywhere.
            None => {
                self.began_anywhere |= first != 0;
                return None;
            }
            Some((known, _)) if epoch > known => first != 0,
            Some((known, expected)) => epoch < known || first != expected,
        };
        let (known, expected) = known?;
        wrong.then(|| {
            format!(
                "offset {}: producer {id} goes on with epoch {epoch}, sequence {first} after epoch {known} with {expected} next",
                batch.base_offset
            )
        })
    }

    /// Whether every producer's batches stand here from its first one on.
    pub fn begin_at_the_beginning(&self) -> bool {
        !self.began_anywhere
    }

    /// The past is given up: every producer is new again.
    pub fn forget(&mut self) {
        self.next.clear();
    }
}
