//! The shortest case that still fails the same way (delta debugging, Zeller and Hildebrandt 2002):
//! faults are left out, then what stands before them, then waits are cut short.

use crate::command::campaign::case::Case;
use crate::command::campaign::judge::{Failure, run};
use crate::kafka::config::Planted;
use crate::time::Duration;

/// Runs that a reduction may take.
const RUNS_MAX: u32 = 600;

struct Reduction {
    best: Case,
    failure: Failure,
    planted: Option<Planted>,
    left: u32,
}

pub fn reduce(case: &Case, failure: &Failure, planted: Option<Planted>) -> Case {
    let mut reduction = Reduction { best: case.clone(), failure: failure.clone(), planted, left: RUNS_MAX };
    // What breaks before the healing needs none.
    reduction.try_case(Case { heals: false, ..case.clone() });
    reduction.leave_out_faults();
    reduction.leave_out_heads();
    reduction.shorten();
    reduction.leave_out_faults();
    reduction.best
}

impl Reduction {
    /// Keeps the case if it fails the same way.
    fn try_case(&mut self, case: Case) -> bool {
        if self.left == 0 || case == self.best {
            return false;
        }
        self.left -= 1;
        let same = run(&case, self.planted).failure().as_ref() == Some(&self.failure);
        if same {
            self.best = case;
        }
        same
    }

    fn leave_out_faults(&mut self) {
        let mut size = self.best.faults.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.faults.len() {
                let case = without(&self.best, from, size);
                if !self.try_case(case) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn leave_out_heads(&mut self) {
        for line in (1..self.best.head.len()).rev() {
            let mut case = self.best.clone();
            case.head.remove(line);
            self.try_case(case);
        }
    }

    /// Each wait to nothing, to a round number, or to half.
    fn shorten(&mut self) {
        for index in 0..=self.best.faults.len() {
            for round in [0, 100_000, 1_000_000, 5_000_000, 10_000_000] {
                let mut case = self.best.clone();
                let wait = match case.faults.get_mut(index) {
                    Some(fault) => &mut fault.after,
                    None => &mut case.heal_after,
                };
                if wait.0 <= round {
                    break;
                }
                *wait = Duration(round);
                if self.try_case(case) {
                    break;
                }
            }
        }
    }
}

/// Without `size` faults from `from` on; the others keep their instants.
fn without(case: &Case, from: usize, size: usize) -> Case {
    let mut shorter = case.clone();
    let to = (from + size).min(case.faults.len());
    let gap: Duration = shorter.faults.drain(from..to).fold(Duration::ZERO, |sum, fault| sum + fault.after);
    match shorter.faults.get_mut(from) {
        Some(next) => next.after = next.after + gap,
        None => shorter.heal_after = shorter.heal_after + gap,
    }
    shorter
}
