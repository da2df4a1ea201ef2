//! How long an application takes for the records that `poll()` gave it. Meanwhile it does not poll, so only
//! the heartbeat thread runs, which leaves the group when `max.poll.interval.ms` is over (KIP-62).

use crate::kafka::node::Alarm;
use crate::time::{Duration, Instant};

/// Of an application that takes no time, nothing is ever said here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// For each record.
    each: Duration,
    /// When the last poll was, and when the next one will be; `None` while the application polls.
    busy: Option<(Instant, Instant)>,
}

impl Pace {
    /// From the next poll on. An application that takes no time any more is done at once.
    pub fn set(&mut self, each: Duration) {
        self.each = each;
        if !self.takes_time() {
            self.busy = None;
        }
    }

    pub fn takes_time(&self) -> bool {
        self.each.0 > 0
    }

    /// A poll returned so many records.
    pub fn polled(&mut self, now: Instant, records: u32) {
        let needed = Duration(self.each.0.saturating_mul(records.into()));
        self.busy = (needed.0 > 0).then(|| (now, now + needed));
    }

    /// Until when the application handles what it has.
    pub fn busy_until(&self, now: Instant) -> Option<Instant> {
        self.busy.map(|(_, until)| until).filter(|until| *until > now)
    }

    pub fn is_busy(&self, now: Instant) -> bool {
        self.busy_until(now).is_some()
    }

    /// The next poll is overdue already.
    pub fn is_overdue(&self, now: Instant, max_poll_interval: Duration) -> bool {
        self.is_busy(now) && self.busy.is_some_and(|(since, _)| since + max_poll_interval <= now)
    }

    pub fn alarms(&self, max_poll_interval: Duration) -> [Option<(Instant, Alarm)>; 2] {
        let done = self.busy.map(|(_, until)| (until, Alarm::Poll));
        [done, self.busy.map(|(since, _)| (since + max_poll_interval, Alarm::PollInterval))]
    }
}
