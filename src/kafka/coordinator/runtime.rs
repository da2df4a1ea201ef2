//! A coordinator's writes on their way: decided, taken by the broker, appended and not committed yet.

use std::collections::VecDeque;

use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

/// Records that a coordinator decided on, and what follows when they are committed or lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Write<W> {
    /// Unique in a coordinator's life, so that a deadline can name the write.
    pub number: u64,
    pub partition: i32,
    /// When it was decided, in milliseconds: the timestamp of its records.
    pub at: i64,
    /// The offset after its last record; the write is committed when the high watermark gets there.
    pub end: Offset,
    pub what: W,
}

/// The partitions that this broker coordinates, and the writes to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Runtime<W> {
    partitions: SortedMap<i32, Led<W>>,
    /// Decided writes that the broker has not taken yet.
    queued: VecDeque<Write<W>>,
    /// Writes that the broker has taken and not reported yet.
    appending: VecDeque<Write<W>>,
    last_number: u64,
}

/// A partition that this broker leads (CoordinatorRuntime.CoordinatorContext).
#[derive(Clone, Debug, PartialEq)]
struct Led<W> {
    epoch: LeaderEpoch,
    /// False until the partition has been read.
    loaded: bool,
    /// The high watermark as far as the coordinator has been told.
    committed: Offset,
    /// Appended writes that are not committed yet, in log order.
    deferred: VecDeque<Write<W>>,
}

impl<W> Default for Runtime<W> {
    fn default() -> Runtime<W> {
        let (queued, appending) = (VecDeque::new(), VecDeque::new());
        Runtime { partitions: SortedMap::new(), queued, appending, last_number: 0 }
    }
}

impl<W: Clone> Runtime<W> {
    /// The broker has become the leader of the partition and is about to read it.
    pub fn open(&mut self, partition: i32, epoch: LeaderEpoch) {
        let led = Led { epoch, loaded: false, committed: Offset::ZERO, deferred: VecDeque::new() };
        self.partitions.entry(partition).or_insert(led).epoch = epoch;
    }

    /// The partition has been read; false when it had been before.
    pub fn load(&mut self, partition: i32) -> bool {
        let led = self.partitions.get_mut(&partition);
        led.is_some_and(|led| !std::mem::replace(&mut led.loaded, true))
    }

    /// The broker does not lead it any more: the writes that nobody will hear of, in log order.
    pub fn close(&mut self, partition: i32) -> Vec<Write<W>> {
        let led = self.partitions.remove(&partition);
        let mut writes: Vec<Write<W>> = led.map(|led| led.deferred.into()).unwrap_or_default();
        for queue in [&mut self.appending, &mut self.queued] {
            let all = std::mem::take(queue);
            let (lost, kept) = all.into_iter().partition(|write| write.partition == partition);
            *queue = kept;
            writes.extend::<VecDeque<Write<W>>>(lost);
        }
        writes
    }

    /// Whether this broker coordinates the partition and has read it: the epoch in which it does.
    pub fn ready(&self, partition: i32) -> Result<LeaderEpoch, ErrorCode> {
        match self.partitions.get(&partition) {
            None => Err(ErrorCode::NotCoordinator),
            Some(led) if !led.loaded => Err(ErrorCode::CoordinatorLoadInProgress),
            Some(led) => Ok(led.epoch),
        }
    }

    /// The high watermark of the partition as far as the coordinator has been told.
    pub fn high_watermark(&self, partition: i32) -> Offset {
        self.partitions.get(&partition).map_or(Offset::ZERO, |led| led.committed)
    }

    /// Where the last appended write of the partition ends.
    pub fn end(&self, partition: i32) -> Offset {
        let last = self.partitions.get(&partition).and_then(|led| led.deferred.back());
        last.map_or_else(|| self.high_watermark(partition), |last| last.end)
    }

    /// Whether something that stands in the partition's log is not committed yet.
    pub fn is_waiting(&self, partition: i32) -> bool {
        self.partitions.get(&partition).is_some_and(|led| !led.deferred.is_empty())
    }

    /// Queues a write for the log.
    pub fn push(&mut self, now: Instant, partition: i32, what: W) {
        let write = self.write(now, partition, Offset::UNKNOWN, what);
        self.queued.push_back(write);
    }

    /// The next write to append.
    pub fn take(&mut self) -> Option<&Write<W>> {
        let write = self.queued.pop_front()?;
        self.appending.push_back(write);
        self.appending.back()
    }

    /// The write of the partition that the broker reports now.
    pub fn appended(&mut self, partition: i32) -> Option<Write<W>> {
        let index = self.appending.iter().position(|write| write.partition == partition)?;
        self.appending.remove(index)
    }

    /// The write stands in the log, up to its `end`.
    pub fn defer(&mut self, write: Write<W>) {
        if let Some(led) = self.partitions.get_mut(&write.partition) {
            led.deferred.push_back(write);
        }
    }

    pub fn advance(&mut self, partition: i32, high_watermark: Offset) {
        if let Some(led) = self.partitions.get_mut(&partition) {
            led.committed = led.committed.max(high_watermark);
        }
    }

    /// The next write of the partition that the high watermark has passed.
    pub fn next_committed(&mut self, partition: i32) -> Option<Write<W>> {
        let led = self.partitions.get_mut(&partition)?;
        let is_committed = led.deferred.front().is_some_and(|write| write.end <= led.committed);
        if is_committed { led.deferred.pop_front() } else { None }
    }

    /// What stands in the logs and is not committed yet.
    pub fn deferred(&self) -> impl Iterator<Item = &Write<W>> {
        self.partitions.values().flat_map(|led| &led.deferred)
    }

    pub fn deferred_mut(&mut self, partition: i32, number: u64) -> Option<&mut Write<W>> {
        let led = self.partitions.get_mut(&partition)?;
        led.deferred.iter_mut().find(|write| write.number == number)
    }

    /// Gives up waiting for some of them.
    pub fn give_up(&mut self, is_late: impl Fn(&Write<W>) -> bool) -> Vec<Write<W>> {
        let mut late = Vec::new();
        for led in self.partitions.values_mut() {
            late.extend(led.deferred.iter().filter(|write| is_late(write)).cloned());
            led.deferred.retain(|write| !is_late(write));
        }
        late
    }

    /// A write that is not on its way yet; one without records only waits for `end`.
    pub fn write(&mut self, now: Instant, partition: i32, end: Offset, what: W) -> Write<W> {
        self.last_number += 1;
        Write { number: self.last_number, partition, at: now.millis(), end, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led() -> Runtime<char> {
        let mut runtime = Runtime::default();
        runtime.open(0, LeaderEpoch(1));
        runtime.open(1, LeaderEpoch(1));
        runtime
    }

    /// The broker takes the next write and appends it up to `end`.
    fn append(runtime: &mut Runtime<char>, end: i64) {
        let partition = runtime.take().expect("something was decided").partition;
        let mut write = runtime.appended(partition).expect("it was taken");
        write.end = Offset(end);
        runtime.defer(write);
    }

    fn committed(runtime: &mut Runtime<char>, partition: i32, high_watermark: i64) -> String {
        runtime.advance(partition, Offset(high_watermark));
        std::iter::from_fn(|| runtime.next_committed(partition)).map(|write| write.what).collect()
    }

    #[test]
    fn a_write_counts_when_the_high_watermark_has_passed_it_and_what_reads_it_waits_behind_it() {
        let mut runtime = led();
        for what in ['a', 'b'] {
            runtime.push(Instant::ZERO, 0, what);
        }
        append(&mut runtime, 1);
        append(&mut runtime, 2);
        let end = runtime.end(0);
        let reader = runtime.write(Instant::ZERO, 0, end, 'c');
        runtime.defer(reader);
        assert_eq!(committed(&mut runtime, 0, 1), "a");
        assert!(runtime.is_waiting(0));
        assert_eq!(committed(&mut runtime, 0, 2), "bc");
        assert!(!runtime.is_waiting(0));
        assert_eq!((runtime.end(0), runtime.high_watermark(0)), (Offset(2), Offset(2)));
    }

    #[test]
    fn a_leader_that_resigns_loses_the_writes_of_that_partition_only() {
        let mut runtime = led();
        runtime.push(Instant::ZERO, 0, 'a');
        append(&mut runtime, 1);
        for (partition, what) in [(0, 'b'), (1, 'x'), (0, 'c')] {
            runtime.push(Instant::ZERO, partition, what);
        }
        runtime.take();
        let lost: String = runtime.close(0).into_iter().map(|write| write.what).collect();
        assert_eq!(lost, "abc");
        assert_eq!(runtime.ready(0), Err(ErrorCode::NotCoordinator));
        assert_eq!(runtime.take().map(|write| write.what), Some('x'));
        assert_eq!(runtime.take(), None);
    }

    #[test]
    fn a_partition_is_ready_when_it_has_been_read_and_is_read_once() {
        let mut runtime = led();
        assert_eq!(runtime.ready(0), Err(ErrorCode::CoordinatorLoadInProgress));
        assert!(runtime.load(0));
        runtime.open(0, LeaderEpoch(2));
        assert!(!runtime.load(0));
        assert_eq!(runtime.ready(0), Ok(LeaderEpoch(2)));
    }
}
