//! What goes too quickly to be seen flying: it glows where it came to be.

use std::rc::Rc;

use crate::ui::flights::Glow;
use crate::view::flights::Family;
use crate::view::stage::Stage as StageView;

/// From this speed on (virtual microseconds a real second) flights are over before they are seen.
pub const TOO_QUICK: i64 = 20_000;
/// So many new records between two drawings are a stream, not single records.
pub const BRISK: i64 = 4;
/// So many looks in a row that see more make a stream: one alone may be a jump in time.
const STREAM: u32 = 3;
/// It is over after so many looks that see fewer.
const CALM: u32 = 10;

/// Whether records arrive in a stream.
#[derive(Default)]
pub struct Flow {
    streams: bool,
    /// How many looks in a row have seen otherwise.
    otherwise: u32,
}

impl Flow {
    pub fn is_stream(&mut self, many: bool) -> bool {
        self.otherwise = if many == self.streams { 0 } else { self.otherwise + 1 };
        if self.otherwise == if self.streams { CALM } else { STREAM } {
            self.streams = many;
            self.otherwise = 0;
        }
        self.streams
    }
}

/// How many records the leaders got between two looks at the stage.
pub fn new_records(before: &StageView, after: &StageView) -> i64 {
    let pairs = before.rows.iter().zip(&after.rows).filter(|(old, new)| !Rc::ptr_eq(old, new) && old.name == new.name);
    pairs.map(|(old, new)| (new.log_end - old.log_end).max(0)).sum()
}

/// What travelled between two looks at the stage: told by where records have come to be.
pub fn glows(before: &StageView, after: &StageView, since: f64) -> Vec<Glow> {
    let mut glows = Vec::new();
    for (old, new) in before.rows.iter().zip(&after.rows) {
        let Some(leader) = new.leader.filter(|_| !Rc::ptr_eq(old, new) && old.name == new.name) else { continue };
        let leader_place = format!("broker {leader}");
        let hue_at = |offset: i64| {
            let cell = new.cells.iter().find(|cell| cell.broker == leader)?;
            cell.records.iter().find(|record| record.offset == offset)?.hue
        };
        let glow = |from: String, to: String, family: Family, hue| Glow {
            from,
            to,
            partition: new.name.clone(),
            hue,
            family,
            since,
        };
        for (cell, earlier) in new.cells.iter().zip(&old.cells) {
            if cell.log_end <= earlier.log_end {
                continue;
            }
            let to = format!("broker {}", cell.broker);
            let hue = hue_at(cell.log_end - 1);
            match &after.producers[..] {
                [producer] if cell.broker == leader => {
                    glows.push(glow(format!("client {}", producer.name), to, Family::Produce, hue))
                }
                _ if cell.broker != leader => glows.push(glow(leader_place.clone(), to, Family::Replication, hue)),
                _ => {}
            }
        }
        for cursor in &new.cursors {
            let earlier =
                old.cursors.iter().find(|other| other.consumer == cursor.consumer).and_then(|other| other.position);
            let (Some(earlier), Some(position)) = (earlier, cursor.position) else { continue };
            if position > earlier {
                glows.push(glow(
                    leader_place.clone(),
                    format!("client {}", cursor.consumer),
                    Family::Consume,
                    hue_at(position - 1),
                ));
            }
        }
    }
    glows
}
