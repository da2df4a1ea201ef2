//! What the ledger keeps of every batch: long lists, written down small.

use bytes::Bytes;

use crate::packed::{Pack, Packing, Unpacking};
use crate::sim::event::EventId;
use crate::wire::batch::PastBatch;
use crate::wire::{ClientId, Offset};

/// A batch that a producer was told is safe.
#[derive(Clone, Debug, PartialEq)]
pub struct AckedBatch {
    pub producer: ClientId,
    pub base: Offset,
    pub count: u32,
    pub acks: i16,
    /// Its place among the producer's records to this partition.
    pub first_record: u64,
    /// The batch as the producer sent it.
    pub records: Bytes,
    pub event: EventId,
}

/// A batch range that some group was handed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Handed {
    pub first: Offset,
    pub last: Offset,
    pub count: u32,
    pub records: Bytes,
}

impl AckedBatch {
    pub fn last(&self) -> Offset {
        self.base + (i64::from(self.count) - 1)
    }
}

/// The records of the one before, its running numbers, its producer.
#[derive(Default)]
pub struct PastAcked {
    records: PastBatch,
    base: i64,
    first_record: u64,
    event: u64,
    producer: u32,
}

impl Pack for AckedBatch {
    type Past = PastAcked;

    fn pack(&self, past: &mut PastAcked, into: &mut Packing) {
        let AckedBatch { producer, base, count, acks, first_record, records, event } = self;
        past.records.pack(records, into);
        into.number(i64::from(producer.0) - i64::from(past.producer));
        into.number(base.0 - past.base);
        into.number(i64::from(*count));
        into.number(i64::from(*acks));
        into.number(first_record.wrapping_sub(past.first_record) as i64);
        into.number(event.0.wrapping_sub(past.event) as i64);
        past.remember(self);
    }

    fn unpack(past: &mut PastAcked, from: &mut Unpacking<'_>) -> AckedBatch {
        let batch = AckedBatch {
            records: past.records.unpack(from),
            producer: ClientId((i64::from(past.producer) + from.number()) as u32),
            base: Offset(past.base + from.number()),
            count: from.number() as u32,
            acks: from.number() as i16,
            first_record: past.first_record.wrapping_add(from.number() as u64),
            event: EventId(past.event.wrapping_add(from.number() as u64)),
        };
        past.remember(&batch);
        batch
    }

    fn key(&self) -> i64 {
        self.base.0
    }
}

impl PastAcked {
    fn remember(&mut self, batch: &AckedBatch) {
        self.base = batch.last().next().0;
        self.first_record = batch.first_record + u64::from(batch.count);
        self.event = batch.event.0;
        self.producer = batch.producer.0;
    }
}

impl Pack for Handed {
    /// The records of the one before, and its end.
    type Past = (PastBatch, i64);

    fn pack(&self, past: &mut Self::Past, into: &mut Packing) {
        past.0.pack(&self.records, into);
        into.number(self.first.0 - past.1);
        into.number(self.last - self.first);
        into.number(i64::from(self.count));
        past.1 = self.last.next().0;
    }

    fn unpack(past: &mut Self::Past, from: &mut Unpacking<'_>) -> Handed {
        let records = past.0.unpack(from);
        let first = Offset(past.1 + from.number());
        let last = first + from.number();
        past.1 = last.next().0;
        Handed { first, last, count: from.number() as u32, records }
    }

    fn key(&self) -> i64 {
        self.first.0
    }
}
