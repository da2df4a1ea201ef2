//! State batches from several writes become one list (PersisterStateBatchCombiner).

use crate::kafka::share::StateBatch;
use crate::wire::Offset;

/// What is known of the records from `start` on. Where batches overlap, the record that was delivered
/// more often, or that went further, is the newer one; neighbours in the same state become one.
pub fn combine(so_far: &[StateBatch], new: &[StateBatch], start: Option<Offset>) -> Vec<StateBatch> {
    let start = start.unwrap_or(Offset(i64::MIN));
    let kept = so_far.iter().chain(new).filter(|batch| batch.last >= start);
    let mut batches: Vec<StateBatch> =
        kept.map(|batch| StateBatch { first: batch.first.max(start), ..*batch }).collect();
    batches.sort_unstable();
    let mut edges: Vec<Offset> = batches.iter().flat_map(|batch| [batch.first, batch.last + 1]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut combined: Vec<StateBatch> = Vec::new();
    let mut upcoming = batches.into_iter().peekable();
    let mut open: Vec<StateBatch> = Vec::new();
    for pair in edges.windows(2) {
        let (first, last) = (pair[0], pair[1] + -1);
        open.retain(|batch| batch.last >= first);
        open.extend(std::iter::from_fn(|| upcoming.next_if(|batch| batch.first == first)));
        let Some(winner) = open.iter().max_by_key(|batch| (batch.delivery_count, batch.state)) else { continue };
        match combined.last_mut() {
            Some(before) if before.last + 1 == first && is_alike(before, winner) => before.last = last,
            _ => combined.push(StateBatch { first, last, ..*winner }),
        }
    }
    combined
}

fn is_alike(one: &StateBatch, other: &StateBatch) -> bool {
    (one.delivery_count, one.state) == (other.delivery_count, other.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::share::RecordState::{self, Acknowledged, Archived, Available};

    fn batch(first: i64, last: i64, state: RecordState, delivery_count: i16) -> StateBatch {
        StateBatch { first: Offset(first), last: Offset(last), delivery_count, state }
    }

    #[test]
    fn neighbours_in_the_same_state_become_one_batch() {
        let so_far = [batch(100, 110, Available, 1)];
        let new = [batch(111, 119, Available, 1), batch(121, 130, Available, 1)];
        let expected = [batch(100, 119, Available, 1), batch(121, 130, Available, 1)];
        assert_eq!(combine(&so_far, &new, None), expected);
    }

    #[test]
    fn what_was_delivered_more_often_or_went_further_counts() {
        let so_far = [batch(100, 119, Available, 1)];
        assert_eq!(
            combine(&so_far, &[batch(105, 109, Acknowledged, 1), batch(115, 125, Available, 2)], None),
            [
                batch(100, 104, Available, 1),
                batch(105, 109, Acknowledged, 1),
                batch(110, 114, Available, 1),
                batch(115, 125, Available, 2)
            ]
        );
        assert_eq!(
            combine(&[batch(1, 3, Archived, 5)], &[batch(2, 2, Available, 4)], None),
            [batch(1, 3, Archived, 5)]
        );
    }

    #[test]
    fn what_lies_below_the_start_is_dropped() {
        let so_far = [batch(0, 9, Acknowledged, 1), batch(10, 19, Available, 2)];
        assert_eq!(combine(&so_far, &[], Some(Offset(15))), [batch(15, 19, Available, 2)]);
        assert_eq!(combine(&so_far, &[], Some(Offset(20))), []);
    }
}
