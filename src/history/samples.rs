//! What every metric was, at even instants of virtual time. Samples are taken as the history grows;
//! when there are many, two become one, so that the longest run costs no more than the first minutes.
//!
//! They are for drawing: the exact value at any instant comes from the world of that instant.

use crate::sim::World;
use crate::sim::metrics::{Metric, Reporter};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};

/// From one sample to the next, at first.
const INTERVAL: Duration = Duration::from_millis(200);
/// So many samples at most: as many as a wide chart has points.
const SAMPLES_MAX: u32 = 600;

/// Whose values a track holds: one reporter's, or everybody's as one.
pub type Key = (Metric, Option<Reporter>);

/// The values of one metric, from its first sample on.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// The number of the first sample.
    first: u32,
    /// `None` while nobody reported.
    values: Vec<Option<i64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    interval: Duration,
    /// Sample number `n` is of the instant `n * interval`, after all that was due by then. Once samples
    /// have been put together it is the worst of the interval that ends there.
    taken: u32,
    tracks: SortedMap<Key, Track>,
    /// Changes when samples are taken back or put together, and not when one is added.
    version: u64,
}

impl Default for Samples {
    fn default() -> Samples {
        Samples { interval: INTERVAL, taken: 0, tracks: SortedMap::new(), version: 0 }
    }
}

impl Samples {
    pub fn interval(&self) -> Duration {
        self.interval
    }

    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// Equal as long as what was taken is as it was: only more may have been added.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.tracks.keys()
    }

    /// The samples of one metric, oldest first, each with its instant.
    pub fn of(&self, key: &Key) -> impl Iterator<Item = (Instant, Option<i64>)> {
        let track = self.tracks.get(key);
        let values = track.into_iter().flat_map(|track| (track.first..).zip(track.values.iter().copied()));
        values.map(|(number, value)| (self.instant(number), value))
    }

    fn instant(&self, number: u32) -> Instant {
        Instant(i64::from(number) * self.interval.0)
    }

    /// The instant of the next sample: nothing may happen beyond before it is taken.
    pub(super) fn due(&self) -> Instant {
        self.instant(self.taken)
    }

    pub(super) fn take(&mut self, world: &World) {
        let mut wholes: SortedMap<Metric, Vec<i64>> = SortedMap::new();
        for ((metric, reporter), value) in world.metrics() {
            wholes.entry(metric).or_default().push(value);
            if metric.is_compared() {
                self.track((metric, Some(reporter)), value);
            }
        }
        for (metric, values) in wholes {
            if let Some(whole) = metric.whole(values.into_iter()) {
                self.track((metric, None), whole);
            }
        }
        self.taken += 1;
        for track in self.tracks.values_mut() {
            track.values.resize((self.taken - track.first) as usize, None);
        }
        if self.taken > SAMPLES_MAX {
            self.put_together();
        }
    }

    fn track(&mut self, key: Key, value: i64) {
        let track = self.tracks.entry(key).or_insert(Track { first: self.taken, values: Vec::new() });
        track.values.push(Some(value));
    }

    /// Forgets what was taken at `at` or later: another future begins there.
    pub(super) fn forget_from(&mut self, at: Instant) {
        // Rounded up: the samples before `at`.
        let keep = (at.0.max(0) + self.interval.0 - 1) / self.interval.0;
        if keep >= i64::from(self.taken) {
            return;
        }
        self.taken = keep as u32;
        self.version += 1;
        self.tracks.retain(|_, track| track.first < keep as u32);
        for track in self.tracks.values_mut() {
            track.values.truncate(keep as usize - track.first as usize);
        }
    }

    /// Samples twice as far apart from now on; of the two in an interval the worse one stays. Their
    /// number is odd: the one of time zero stands alone.
    fn put_together(&mut self) {
        for ((metric, _), track) in &mut self.tracks {
            let first = track.first.div_ceil(2);
            let mut values = vec![None; (self.taken / 2 + 1 - first) as usize];
            for (number, value) in (track.first..).zip(&track.values) {
                let kept = &mut values[(number.div_ceil(2) - first) as usize];
                *kept = match (*kept, *value) {
                    (Some(a), Some(b)) => Some(metric.worse(a, b)),
                    (a, b) => a.or(b),
                };
            }
            *track = Track { first, values };
        }
        self.taken = self.taken / 2 + 1;
        self.interval = Duration(self.interval.0 * 2);
        self.version += 1;
    }
}
