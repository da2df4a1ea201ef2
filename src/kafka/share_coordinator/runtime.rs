//! The share coordinator as the broker drives it: partitions that are read and let go, decisions that
//! are appended and committed.

use crate::kafka::coordinator::{Append, Coordinator, Write, write_error};
use crate::kafka::node::Turn;
use crate::kafka::share_coordinator::records::ShareRecord;
use crate::kafka::share_coordinator::state::{States, replay};
use crate::kafka::share_coordinator::{Decided, ShareCoordinator};
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

impl Coordinator for ShareCoordinator {
    fn leader_epoch(&self, partition: i32) -> Option<LeaderEpoch> {
        self.runtime.ready(partition).ok()
    }

    fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    ) {
        self.resigned(turn, partition);
        let mut states = States::new();
        for batch in log.filter(|batch| !batch.is_control()) {
            // A batch in our own log that cannot be read is passed over, as the loader passes over
            // records that it does not know.
            for record in batch.records().unwrap_or_default() {
                let key = record.key.unwrap_or_default();
                if let Some(known) = ShareRecord::decode(&key, record.value.as_ref()) {
                    replay(&mut states, &known, self.settings.updates_per_snapshot);
                }
            }
        }
        self.shards.insert(partition, states);
        self.runtime.open(partition, epoch);
        self.runtime.load(partition);
    }

    fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.shards.remove(&partition);
        for write in self.runtime.close(partition) {
            self.finish(turn, write.what, Err(ErrorCode::NotCoordinator));
        }
        self.decide(turn);
    }

    fn take_appends(&mut self) -> Vec<Append> {
        std::iter::from_fn(|| self.runtime.take().map(append)).collect()
    }

    fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        let Some(mut write) = self.runtime.appended(partition) else { return };
        match result {
            Ok(offset) => {
                write.end = offset.next();
                if let (Some(states), Some(record)) = (self.shards.get_mut(&partition), &write.what.record) {
                    replay(states, record, self.settings.updates_per_snapshot);
                }
                self.runtime.defer(write);
            }
            Err(error) => self.finish(turn, write.what, Err(write_error(error))),
        }
        self.decide(turn);
    }

    fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        self.runtime.advance(partition, high_watermark);
        while let Some(write) = self.runtime.next_committed(partition) {
            self.finish(turn, write.what, Ok(()));
        }
    }
}

fn append(write: &Write<Decided>) -> Append {
    let (key, value) = match &write.what.record {
        Some(record) => {
            let (key, value) = record.encode();
            (Some(key), value)
        }
        None => (None, None),
    };
    let record = NewRecord { timestamp: write.at, key, value, headers: Vec::new() };
    let batch = Batch::build(&BatchHeader::PLAIN, &[record]).bytes().clone();
    Append { partition: write.partition, batch, producer: None }
}
