//! Virtual time: microseconds, signed so that a cluster can settle before time zero.
//!
//! No room below the page reads a clock; every instant comes from the world.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// An instant of virtual time, in microseconds since the script's time zero.
/// Negative while the cluster that a script starts from is settling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(pub i64);

/// A span of virtual time, in microseconds; never negative when it stands for a configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub i64);

/// So many times in a span, evenly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// At least 1.
    pub count: u32,
    pub per: Duration,
}

impl Rate {
    /// When the `number`th is due after the first, which is number 0. What does not divide evenly is
    /// rounded down each time, so that nothing adds up.
    pub fn due(self, number: u64) -> Duration {
        Duration((i128::from(self.per.0) * i128::from(number) / i128::from(self.count.max(1))) as i64)
    }

    /// From one to the next, rounded down.
    pub fn interval(self) -> Duration {
        self.due(1)
    }
}

impl Instant {
    pub const ZERO: Instant = Instant(0);
    /// Later than anything that happens.
    pub const FAR_FUTURE: Instant = Instant(i64::MAX / 4);

    pub const fn from_millis(ms: i64) -> Instant {
        Instant(ms * 1_000)
    }

    pub const fn from_secs(s: i64) -> Instant {
        Instant(s * 1_000_000)
    }

    /// Milliseconds since time zero, rounded down: what Kafka stamps on records.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration((self.0 - earlier.0).max(0))
    }
}

impl Duration {
    pub const ZERO: Duration = Duration(0);

    pub const fn from_micros(us: i64) -> Duration {
        Duration(us)
    }

    pub const fn from_millis(ms: i64) -> Duration {
        Duration(ms.saturating_mul(1_000))
    }

    pub const fn from_secs(s: i64) -> Duration {
        Duration(s.saturating_mul(1_000_000))
    }

    pub const fn millis(self) -> i64 {
        self.0 / 1_000
    }

    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(rhs.0)).min(Instant::FAR_FUTURE)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, rhs: Duration) -> Instant {
        Instant(self.0 - rhs.0)
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        Duration(self.0 - rhs.0)
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, rhs: Duration) -> Duration {
        Duration(self.0.saturating_add(rhs.0))
    }
}

impl fmt::Display for Instant {
    /// Seconds with milliseconds, as the page shows time: `12.345 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ms = self.0.unsigned_abs() / 1_000;
        write!(f, "{sign}{}.{:03} s", ms / 1_000, ms % 1_000)
    }
}

impl fmt::Display for Duration {
    /// The largest unit that says it without a fraction: `30s`, `500ms`, `250us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0;
        for (unit, name) in [(3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")] {
            if us != 0 && us % unit == 0 {
                return write!(f, "{}{name}", us / unit);
            }
        }
        write!(f, "{us}us")
    }
}
