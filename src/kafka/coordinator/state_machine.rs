//! What a coordinator brings of its own (CoordinatorShard); everything else of its life with the broker
//! is the same for all (CoordinatorRuntime, CoordinatorLoaderImpl).

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::{Append, Coordinator, Runtime, Write, write_error};
use crate::kafka::node::Turn;
use crate::wire::batch::Batch;
use crate::wire::{ErrorCode, LeaderEpoch, Offset, ProducerId};

/// What of a log a loading coordinator reads.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are records, and none is kept; on 32 bits they are small")]
pub enum Logged<R> {
    /// With the producer whose transaction it belongs to.
    Record(R, Option<ProducerId>),
    /// A transaction has ended.
    Marker { producer: ProducerId, commit: bool },
}

pub trait StateMachine {
    type Record;
    /// What it decides on and what follows, beside where that is written.
    type Decision: Clone;

    fn runtime(&self) -> &Runtime<Self::Decision>;

    fn runtime_mut(&mut self) -> &mut Runtime<Self::Decision>;

    /// `None` for what is no record of its own.
    fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<Self::Record>;

    fn batch(write: &Write<Self::Decision>) -> Append;

    /// This broker leads the partition now, and this is what its log says.
    fn read(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        log: Log<Self::Record>,
    );

    /// As `Coordinator::resigned`.
    fn unload(&mut self, turn: &mut Turn<'_>, partition: i32);

    /// A write stands in the log from `base` on and waits to be committed.
    fn written(&mut self, turn: &mut Turn<'_>, write: Write<Self::Decision>, base: Offset);

    /// A write does not stand in the log.
    fn failed(&mut self, turn: &mut Turn<'_>, write: Write<Self::Decision>, error: ErrorCode);

    /// A write is committed.
    fn happened(&mut self, turn: &mut Turn<'_>, write: Write<Self::Decision>);
}

/// The records and markers of a partition with their offsets, in order.
pub type Log<R> = Vec<(Offset, Logged<R>)>;

impl<C: StateMachine> Coordinator for C {
    fn leader_epoch(&self, partition: i32) -> Option<LeaderEpoch> {
        self.runtime().ready(partition).ok()
    }

    fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    ) {
        let log = log.flat_map(|batch| logged(&batch, C::decode)).collect();
        self.read(turn, image, partition, epoch, log);
    }

    fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.unload(turn, partition);
    }

    fn take_appends(&mut self) -> Vec<Append> {
        std::iter::from_fn(|| self.runtime_mut().take().map(C::batch)).collect()
    }

    fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>) {
        let Some(write) = self.runtime_mut().appended(partition) else { return };
        match result {
            Ok(base) => self.written(turn, write, base),
            Err(error) => self.failed(turn, write, write_error(error)),
        }
    }

    fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset) {
        self.runtime_mut().advance(partition, high_watermark);
        while let Some(write) = self.runtime_mut().next_committed(partition) {
            self.happened(turn, write);
        }
    }
}

fn logged<R>(batch: &Batch, decode: fn(&Bytes, Option<&Bytes>) -> Option<R>) -> Log<R> {
    if batch.is_control() {
        let marker = batch.end_txn_marker();
        let marker = marker.map(|marker| Logged::Marker { producer: batch.producer_id, commit: marker.commit });
        return marker.map(|marker| (batch.base_offset, marker)).into_iter().collect();
    }
    let producer = Some(batch.producer_id).filter(|_| batch.is_transactional());
    // A batch in our own log that cannot be read is passed over, as the loader passes over records
    // that it does not know.
    let records = batch.records().unwrap_or_default().into_iter();
    let known = records.filter_map(|record| {
        let known = decode(&record.key.unwrap_or_default(), record.value.as_ref())?;
        Some((Offset(record.offset), Logged::Record(known, producer)))
    });
    known.collect()
}
