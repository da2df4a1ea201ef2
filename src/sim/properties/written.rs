//! What was ever written to one replicated log, as an observer outside the protocol remembers it: the
//! batches that are committed, those that are not (yet, or never will be), and how far each replica
//! is known to agree. Partitions and the metadata log are watched with the same value.

use std::collections::VecDeque;

use crate::kafka::log::Log;
use crate::packed::{Pack, Packed, Packing, Unpacking};
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::{LeaderEpoch, Offset};

/// Enough to tell a batch from every other one. The checksum covers the producer, its sequence and
/// all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub base: Offset,
    pub last: Offset,
    pub epoch: LeaderEpoch,
    pub crc: u32,
}

/// Where a replica's log is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It ends before.
    Missing { at: Offset },
    /// It has another batch there.
    Differs { at: Offset, has: LeaderEpoch, should: LeaderEpoch },
    /// It has a batch that no leader wrote in that epoch.
    NobodyWrote { at: Offset, epoch: LeaderEpoch },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Written<R: Ord + Copy> {
    /// In order and without gaps in meaning: what any leader has ever held for committed.
    committed: Packed<Stamp>,
    /// Everything below is committed; never goes back unless the past is given up (`rebase`).
    end: Offset,
    /// Written by the leader of the epoch, and not committed.
    uncommitted: SortedMap<(LeaderEpoch, Offset), Stamp>,
    /// Up to here the replica's log was compared with what is committed.
    agreed: SortedMap<R, Offset>,
    /// What a replica appended behind that, in order.
    tails: SortedMap<R, VecDeque<Stamp>>,
    /// Up to here some replica was compacted: what stands there, there or in a copy, is no more what was written.
    compacted: Offset,
}

impl<R: Ord + Copy> Default for Written<R> {
    fn default() -> Written<R> {
        Written {
            committed: Packed::default(),
            end: Offset::ZERO,
            uncommitted: SortedMap::new(),
            agreed: SortedMap::new(),
            tails: SortedMap::new(),
            compacted: Offset::ZERO,
        }
    }
}

impl Stamp {
    pub fn of(batch: &Batch) -> Stamp {
        Stamp { base: batch.base_offset, last: batch.last_offset, epoch: batch.leader_epoch, crc: batch.crc }
    }
}

impl Pack for Stamp {
    /// The end of the one before, and its epoch.
    type Past = (i64, i32);

    fn pack(&self, past: &mut (i64, i32), into: &mut Packing) {
        into.number(self.base.0 - past.0);
        into.number(self.last - self.base);
        into.number(i64::from(self.epoch.0) - i64::from(past.1));
        into.number(i64::from(self.crc as i32));
        *past = (self.last.next().0, self.epoch.0);
    }

    fn unpack(past: &mut (i64, i32), from: &mut Unpacking<'_>) -> Stamp {
        let base = Offset(past.0 + from.number());
        let last = base + from.number();
        let epoch = LeaderEpoch((i64::from(past.1) + from.number()) as i32);
        *past = (last.next().0, epoch.0);
        Stamp { base, last, epoch, crc: from.number() as u32 }
    }

    fn key(&self) -> i64 {
        self.base.0
    }
}

impl Conflict {
    pub fn at(&self) -> Offset {
        match self {
            Conflict::Missing { at } | Conflict::Differs { at, .. } | Conflict::NobodyWrote { at, .. } => *at,
        }
    }

    /// What is wrong, to go behind "its log".
    pub fn text(&self) -> String {
        match self {
            Conflict::Missing { at } => format!("ends at {at}"),
            Conflict::Differs { at, has, should } => {
                format!("has a batch of epoch {has} at {at} where one of epoch {should} belongs")
            }
            Conflict::NobodyWrote { at, epoch } => {
                format!("has a batch at {at} that no leader of epoch {epoch} wrote there")
            }
        }
    }
}

impl<R: Ord + Copy> Written<R> {
    /// The first offset that no leader has ever held for committed.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The committed batch that begins at `base` or contains it.
    pub fn committed_at(&self, base: Offset) -> Option<Stamp> {
        let after = self.committed.partition_point(base.0, |stamp| stamp.base <= base);
        let stamp = self.committed.get(after.checked_sub(1)?)?;
        (stamp.last >= base).then_some(stamp)
    }

    pub fn compacted(&self) -> Offset {
        self.compacted
    }

    /// A replica was compacted up to here.
    pub fn compact(&mut self, to: Offset) {
        self.compacted = self.compacted.max(to);
    }

    /// Whether the batch is committed, or what compaction has left of one that is: its records are
    /// fewer then, its bounds and its epoch are the same.
    pub fn is_committed(&self, stamp: &Stamp) -> bool {
        self.committed_at(stamp.base).is_some_and(|committed| match stamp.base < self.compacted {
            true => Stamp { crc: stamp.crc, ..committed } == *stamp,
            false => committed == *stamp,
        })
    }

    /// Whether what lies there is forgotten, because it left every leader's log.
    pub fn is_forgotten(&self, at: Offset) -> bool {
        at < self.end && self.committed.first().is_none_or(|first| at < first.base)
    }

    /// A replica appended what now stands in its log from `first` on. What the epoch's leader wrote
    /// is remembered; what a follower wrote must be that (same epoch, same offset, same records).
    pub fn appended(&mut self, replica: R, log: &Log, first: Offset, as_leader: bool) -> Result<(), Conflict> {
        let mut result = Ok(());
        for batch in log.batches(first) {
            let stamp = Stamp::of(&batch);
            if stamp.base < first {
                continue;
            }
            let tail = self.tails.entry(replica).or_default();
            if tail.back().is_none_or(|last| last.base < stamp.base) {
                tail.push_back(stamp);
            }
            let known = match self.uncommitted.get(&(stamp.epoch, stamp.base)) {
                Some(known) => Some(*known),
                None => self.committed_at(stamp.base).filter(|known| known.epoch == stamp.epoch),
            };
            match known {
                Some(known) if known == stamp => {}
                // Compaction leaves less of a batch than was written.
                Some(_) if stamp.base < self.compacted && !as_leader => {}
                Some(known) => {
                    let conflict = Conflict::Differs { at: stamp.base, has: stamp.epoch, should: known.epoch };
                    result = result.and(Err(conflict));
                }
                None if as_leader => drop(self.uncommitted.insert((stamp.epoch, stamp.base), stamp)),
                None if stamp.base < self.compacted || self.is_forgotten(stamp.base) => {}
                None => {
                    result = result.and(Err(Conflict::NobodyWrote { at: stamp.base, epoch: stamp.epoch }));
                }
            }
        }
        result
    }

    /// Compares a replica's log with what is committed below `to`, as far as that was not done before.
    pub fn agree(&mut self, replica: R, log: &Log, to: Offset) -> Result<(), Conflict> {
        let to = to.min(self.end);
        if log.log_end() < to {
            return Err(Conflict::Missing { at: log.log_end() });
        }
        let known = self.agreed.get(&replica).copied().unwrap_or(Offset::ZERO);
        if known >= to {
            return Ok(());
        }
        let from = known.max(log.log_start()).max(self.compacted);
        for batch in log.batches(from).take_while(|batch| batch.base_offset < to) {
            let has = Stamp::of(&batch);
            match self.committed_at(has.base) {
                Some(should) if should == has => {}
                Some(should) if has.base >= from => {
                    return Err(Conflict::Differs { at: has.base, has: has.epoch, should: should.epoch });
                }
                _ => {}
            }
        }
        self.set_agreed(replica, to);
        Ok(())
    }

    /// A leader holds everything below `to` for committed. `each` sees the batches that were not before.
    pub fn commit(&mut self, replica: R, log: &Log, to: Offset, mut each: impl FnMut(&Batch)) -> Result<(), Conflict> {
        self.agree(replica, log, to)?;
        if to <= self.end {
            return Ok(());
        }
        for batch in log.batches(self.end).take_while(|batch| batch.last_offset < to) {
            let stamp = Stamp::of(&batch);
            if stamp.base < self.end {
                continue;
            }
            self.committed.push_back(stamp);
            self.uncommitted.remove(&(stamp.epoch, stamp.base));
            each(&batch);
        }
        self.end = to;
        self.set_agreed(replica, to);
        Ok(())
    }

    /// A replica cut off everything from `to` on. The first of it that was committed, if any was.
    pub fn truncated(&mut self, replica: R, to: Offset) -> Option<Offset> {
        let mut lost = self.agreed.get(&replica).filter(|agreed| **agreed > to).map(|_| to);
        if let Some(agreed) = self.agreed.get_mut(&replica) {
            *agreed = (*agreed).min(to);
        }
        let mut tail = self.tails.remove(&replica).unwrap_or_default();
        while let Some(stamp) = tail.back().copied().filter(|stamp| stamp.last >= to) {
            tail.pop_back();
            if self.is_committed(&stamp) {
                lost = Some(stamp.base);
            }
        }
        self.tails.insert(replica, tail);
        lost
    }

    /// A replica's log begins later now; what no leader's log has any more is forgotten.
    pub fn trim(&mut self, start: Offset) {
        self.committed.drop_while(|stamp| stamp.last < start);
        self.uncommitted = self.uncommitted.iter().filter(|(_, s)| s.last >= start).map(|(k, s)| (*k, *s)).collect();
        for tail in self.tails.values_mut() {
            while tail.front().is_some_and(|stamp| stamp.last < start) {
                tail.pop_front();
            }
        }
    }

    /// The past is given up: what this log does not have is committed no more.
    pub fn rebase(&mut self, log: &Log) {
        let mut end = log.log_start();
        for batch in log.batches(log.log_start()) {
            let stamp = Stamp::of(&batch);
            if !self.is_committed(&stamp) && !self.is_forgotten(stamp.base) {
                break;
            }
            end = stamp.last.next();
        }
        let kept = self.committed.partition_point(end.0, |stamp| stamp.last < end);
        for stamp in self.committed.iter_from(kept) {
            self.uncommitted.insert((stamp.epoch, stamp.base), stamp);
        }
        self.committed.truncate(kept);
        self.end = self.end.min(end);
        for agreed in self.agreed.values_mut() {
            *agreed = (*agreed).min(end);
        }
    }

    fn set_agreed(&mut self, replica: R, to: Offset) {
        self.agreed.insert(replica, to);
        if let Some(tail) = self.tails.get_mut(&replica) {
            while tail.front().is_some_and(|stamp| stamp.last < to) {
                tail.pop_front();
            }
        }
    }
}
