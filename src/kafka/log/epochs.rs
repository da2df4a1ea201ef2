//! Where each leader epoch began: the leader epoch cache (KIP-101, KIP-279; LeaderEpochFileCache).

use crate::kafka::log::EpochEnd;
use crate::wire::{LeaderEpoch, Offset};

/// One line of the leader-epoch-checkpoint file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// Epochs and start offsets, both strictly rising.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// The epoch before the latest.
    pub fn previous(&self) -> Option<LeaderEpoch> {
        self.entries.iter().rev().nth(1).map(|entry| entry.epoch)
    }

    /// The greatest known epoch below this one.
    pub fn previous_of(&self, epoch: LeaderEpoch) -> Option<LeaderEpoch> {
        self.entries.iter().rev().map(|entry| entry.epoch).find(|&known| known < epoch)
    }

    /// The least known epoch above this one.
    pub fn next_of(&self, epoch: LeaderEpoch) -> Option<LeaderEpoch> {
        self.entries.iter().map(|entry| entry.epoch).find(|&known| known > epoch)
    }

    /// The epoch that wrote this offset.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.entries.iter().rev().find(|entry| entry.start <= offset).map(|entry| entry.epoch)
    }

    /// A leader's election or a batch's epoch. What contradicts it gives way: entries at the end
    /// with this epoch or a later one, or that begin here or later. True when something changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch.0 < 0 || start.0 < 0 {
            return false;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch && start >= latest.start) {
            return false;
        }
        while self.latest().is_some_and(|latest| latest.epoch >= epoch || latest.start >= start) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start });
        true
    }

    /// Where the records of an epoch end, or those of the next lower one that is known. `None` for
    /// epochs above the latest: whoever asks knows more than this replica.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        if epoch.0 < 0 {
            return None;
        }
        if self.latest()?.epoch == epoch {
            return Some(EpochEnd { epoch, end: log_end });
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(higher)?.start;
        // Below the first epoch the answer names the epoch asked for.
        let epoch = if higher == 0 { epoch } else { self.entries[higher - 1].epoch };
        Some(EpochEnd { epoch, end })
    }

    /// Forgets what begins at `end` or later; an unknown end (-1) forgets nothing.
    pub fn truncate_from_end(&mut self, end: Offset) {
        if end >= Offset::ZERO {
            self.entries.retain(|entry| entry.start < end);
        }
    }

    /// Forgets what lies below `start`; the epoch that covers it begins there now.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let covering = self.entries.partition_point(|entry| entry.start <= start);
        if covering > 0 {
            self.entries.drain(..covering - 1);
            self.entries[0].start = start;
        }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
