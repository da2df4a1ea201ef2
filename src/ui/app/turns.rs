//! What there is to do is spread over the frames.
//!
//! A stream of records changes every row in every look at the stage. So that no single frame has to
//! draw all of it, the rows take turns: first come the clients and the panels, then a share of the
//! rows in each frame. And a frame in which the cluster had much to compute draws later.

use std::rc::Rc;

use crate::time::Duration;
use crate::view::partitions::PartitionRow;
use crate::view::stage::Stage as StageView;

/// In so many frames all rows have had their turn.
const SHARES: usize = 3;

/// Rows that have not had their turn since the newest look at the stage.
pub struct Turns {
    newest: Rc<StageView>,
    /// How many shares have been drawn.
    drawn: usize,
}

impl Turns {
    /// What is drawn of a look at the stage at once: all but its rows, which take turns from the next
    /// frame on. `None` where more than records is new in them: that is not to be seen late.
    pub fn begin(before: &StageView, newest: &Rc<StageView>) -> Option<(Turns, Rc<StageView>)> {
        let mut pairs = before.rows.iter().zip(&newest.rows);
        if before.rows.len() != newest.rows.len() || !pairs.all(|(old, new)| has_only_moved_on(old, new)) {
            return None;
        }
        let shown = StageView { rows: before.rows.clone(), ..StageView::clone(newest) };
        Some((Turns { newest: newest.clone(), drawn: 0 }, Rc::new(shown)))
    }

    /// The stage with the next share of the rows, and whether others are still to come.
    pub fn next(&mut self, shown: &Rc<StageView>) -> (Rc<StageView>, bool) {
        let share = self.drawn;
        self.drawn += 1;
        if self.drawn == SHARES {
            return (self.newest.clone(), false);
        }
        let mut next = StageView::clone(shown);
        let rows = next.rows.iter_mut().zip(&self.newest.rows).skip(share).step_by(SHARES);
        rows.for_each(|(row, newest)| row.clone_from(newest));
        (Rc::new(next), true)
    }
}

fn has_only_moved_on(old: &PartitionRow, new: &PartitionRow) -> bool {
    old.name == new.name
        && (old.leader_epoch, old.partition_epoch, old.until) == (new.leader_epoch, new.partition_epoch, new.until)
        && old.log_end <= new.log_end
        && old.cells.len() == new.cells.len()
}

/// At most so many frames in a row leave drawing to the next one.
const PUT_OFF: u32 = 2;

/// Spreads what there is to do: a frame in which the cluster had much more to compute than usual leaves
/// drawing words and numbers to the next one.
#[derive(Default)]
pub struct Balance {
    /// In microseconds.
    usual: i64,
    put_off: u32,
}

impl Balance {
    /// Whether a frame that has worked so long should draw nothing but what moves.
    pub fn is_busy(&mut self, worked: Duration) -> bool {
        let busy = worked.0 * 4 > self.usual * 5 + 1_000;
        self.usual += (worked.0 - self.usual) / 16;
        self.put_off = if busy && self.put_off < PUT_OFF { self.put_off + 1 } else { 0 };
        self.put_off > 0
    }
}
