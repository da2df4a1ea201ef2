//! A run as people read it: one aligned line for each event that is worth one, routine ones only
//! when nothing else would be told.

use std::io::{self, Write};

use crate::history::{Check, Run};
use crate::kafka::fact::Names;
use crate::sim::Event;

/// `   9.412 s  orders-0: leader 1 → 2, epoch 1, ISR 2,3`
pub fn line(run: &Run, event: &Event, out: &mut dyn Write) -> io::Result<()> {
    if event.fact.is_internal() {
        return Ok(());
    }
    writeln!(out, "{:>12}  {}", event.at.to_string(), event.fact.text(&run.world as &dyn Names))
}

/// What the checks came to.
pub fn checks<'a>(checks: impl Iterator<Item = &'a Check>, out: &mut dyn Write) -> io::Result<()> {
    for check in checks {
        let at = check.at.to_string();
        if check.ok {
            writeln!(out, "{at:>12}  ok      line {}: {}", check.line, check.text)?;
        } else {
            writeln!(out, "{at:>12}  FAILED  line {}: {} — but {}", check.line, check.text, found(&check.actual))?;
        }
    }
    Ok(())
}

fn found(actual: &str) -> &str {
    if actual.is_empty() { "it does not hold" } else { actual }
}
