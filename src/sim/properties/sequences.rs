//! The sequences of idempotent producers in the committed log: each batch goes on where the last one
//! of its producer ended, and nothing of an older epoch stands behind a newer one (KIP-98).

use crate::sorted::SortedMap;
use crate::wire::batch::{Batch, NO_SEQUENCE};

/// What is wrong with a batch's place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Misplaced {
    /// It leaves a gap, or repeats what was there.
    OutOfSequence(String),
    /// Its producer's epoch was over: the producer was fenced.
    Zombie(String),
}

/// By producer id: its epoch and the sequence that comes next.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Sequences {
    next: SortedMap<i64, (i16, i32)>,
    /// A producer's first batch here was not the first that it sent (ProducerAppendInfo.checkSequence
    /// takes any sequence from a producer that it does not know): what was sent before may follow.
    began_anywhere: bool,
}

impl Sequences {
    /// A batch was committed; what is wrong with its place, if anything is.
    pub fn committed(&mut self, batch: &Batch) -> Option<Misplaced> {
        if !batch.has_producer() {
            return None;
        }
        let (id, epoch, first) = (batch.producer_id.0, batch.producer_epoch, batch.base_sequence);
        let known = self.next.get(&id).copied();
        if let Some((known, _)) = known.filter(|(known, _)| epoch < *known) {
            let offset = batch.base_offset;
            let text =
                format!("offset {offset}: producer {id} writes with epoch {epoch}, and had epoch {known} before");
            return Some(Misplaced::Zombie(text));
        }
        if batch.is_control() {
            // A marker with a new epoch begins a new sequence (KIP-890); one with the old lets it go on.
            if known.is_some_and(|(known, _)| epoch > known) {
                self.next.insert(id, (epoch, 0));
            }
            return None;
        }
        if first == NO_SEQUENCE {
            // Offsets that a group's coordinator writes for a transaction.
            if known.is_none_or(|(known, _)| epoch > known) {
                self.next.insert(id, (epoch, 0));
            }
            return None;
        }
        let next = batch.last_sequence().checked_add(1).unwrap_or(0);
        self.next.insert(id, (epoch, next));
        let Some((known, expected)) = known else {
            // A producer that is new here may begin anywhere.
            self.began_anywhere |= first != 0;
            return None;
        };
        let wrong = if epoch > known { first != 0 } else { first != expected };
        wrong.then(|| {
            Misplaced::OutOfSequence(format!(
                "offset {}: producer {id} goes on with epoch {epoch}, sequence {first} after epoch {known} with {expected} next",
                batch.base_offset
            ))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ProducerId;
    use crate::wire::batch::{BatchHeader, EndTxnMarker, NewRecord};

    fn record() -> NewRecord {
        NewRecord { timestamp: 0, key: None, value: None, headers: Vec::new() }
    }

    fn batch(epoch: i16, sequence: i32) -> Batch {
        let header = BatchHeader {
            producer_id: ProducerId(7),
            producer_epoch: epoch,
            base_sequence: sequence,
            ..BatchHeader::PLAIN
        };
        Batch::build(&header, &[record()])
    }

    #[test]
    fn gaps_repetitions_and_zombies_are_found() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.committed(&batch(0, 0)), None);
        assert_eq!(sequences.committed(&batch(0, 1)), None);
        assert!(matches!(sequences.committed(&batch(0, 1)), Some(Misplaced::OutOfSequence(_))), "twice");
        assert!(matches!(sequences.committed(&batch(0, 5)), Some(Misplaced::OutOfSequence(_))), "a gap");
        assert_eq!(sequences.committed(&batch(1, 0)), None);
        assert!(matches!(sequences.committed(&batch(0, 6)), Some(Misplaced::Zombie(_))));
        assert!(
            matches!(sequences.committed(&batch(2, 3)), Some(Misplaced::OutOfSequence(_))),
            "a new epoch starts at 0"
        );
        assert!(sequences.begin_at_the_beginning());
    }

    #[test]
    fn a_marker_fences_who_wrote_before() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.committed(&batch(0, 0)), None);
        let marker = EndTxnMarker { commit: false, coordinator_epoch: 1 }.batch(ProducerId(7), 1, 0);
        assert_eq!(sequences.committed(&marker), None);
        assert!(matches!(sequences.committed(&batch(0, 1)), Some(Misplaced::Zombie(_))));
        assert_eq!(sequences.committed(&batch(1, 0)), None);
    }

    #[test]
    fn offsets_of_a_transaction_have_no_sequence() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.committed(&batch(1, -1)), None);
        assert_eq!(sequences.committed(&batch(1, -1)), None);
        assert!(sequences.begin_at_the_beginning());
        assert_eq!(sequences.committed(&batch(2, -1)), None);
        assert!(matches!(sequences.committed(&batch(1, -1)), Some(Misplaced::Zombie(_))));
    }

    #[test]
    fn who_begins_in_the_middle_may_have_begun_before() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.committed(&batch(0, 3)), None);
        assert!(!sequences.begin_at_the_beginning());
    }
}
