//! What clients remember of long runs, each batch as its difference to the one before (see `packed`).

use crate::kafka::client::consumer::DeliveredBatch;
use crate::kafka::client::sender::BatchResult;
use crate::kafka::client::share_consumer::ShareDelivery;
use crate::kafka::client::stream::checkpoint::BatchId;
use crate::kafka::client::stream::sink::SinkRecords;
use crate::packed::{Pack, Packing, Unpacking};
use crate::wire::batch::PastBatch;
use crate::wire::{ErrorCode, Offset, TopicPartition};

/// The partition of the batch before, its records and its running number or offset.
#[derive(Default)]
pub struct Past {
    partition: Option<TopicPartition>,
    records: PastBatch,
    number: i64,
}

impl Past {
    fn pack_partition(&mut self, partition: &TopicPartition, into: &mut Packing) {
        let is_other = self.partition.as_ref().is_none_or(|past| past.topic != partition.topic);
        into.number(i64::from(partition.partition) << 1 | i64::from(is_other));
        if is_other {
            into.bytes(partition.topic.as_bytes());
        }
        self.partition = Some(partition.clone());
    }

    fn unpack_partition(&mut self, from: &mut Unpacking<'_>) -> TopicPartition {
        let number = from.number();
        let partition = (number >> 1) as i32;
        let partition = match self.partition.take() {
            Some(past) if number & 1 == 0 => TopicPartition { topic: past.topic, partition },
            _ => TopicPartition::named(&String::from_utf8_lossy(from.bytes()), partition),
        };
        self.partition = Some(partition.clone());
        partition
    }

    fn pack_number(&mut self, number: i64, into: &mut Packing) {
        into.number(number.wrapping_sub(self.number));
        self.number = number;
    }

    fn unpack_number(&mut self, from: &mut Unpacking<'_>) -> i64 {
        self.number = self.number.wrapping_add(from.number());
        self.number
    }
}

impl Pack for BatchResult {
    type Past = Past;

    fn pack(&self, past: &mut Past, into: &mut Packing) {
        past.pack_partition(&self.partition, into);
        past.records.pack(&self.records, into);
        past.pack_number(self.first_record as i64, into);
        into.number(i64::from(self.count));
        match self.outcome {
            Ok(base) => {
                into.number(0);
                into.number(base.0 - self.first_record as i64);
            }
            Err(error) => {
                into.number(1);
                into.number(i64::from(error.code()));
            }
        }
    }

    fn unpack(past: &mut Past, from: &mut Unpacking<'_>) -> BatchResult {
        let (partition, records) = (past.unpack_partition(from), past.records.unpack(from));
        let (first_record, count) = (past.unpack_number(from), from.number() as u32);
        let outcome = match from.number() {
            0 => Ok(Offset(from.number() + first_record)),
            _ => Err(crate::wire::error(from.number() as i16).unwrap_or(ErrorCode::UnknownServerError)),
        };
        BatchResult { partition, records, first_record: first_record as u64, count, outcome }
    }

    fn key(&self) -> i64 {
        0
    }
}

impl Pack for ShareDelivery {
    type Past = Past;

    fn pack(&self, past: &mut Past, into: &mut Packing) {
        self.batch.pack(past, into);
        into.number(i64::from(self.delivery_count));
    }

    fn unpack(past: &mut Past, from: &mut Unpacking<'_>) -> ShareDelivery {
        ShareDelivery { batch: DeliveredBatch::unpack(past, from), delivery_count: from.number() as i16 }
    }

    fn key(&self) -> i64 {
        0
    }
}

impl Pack for DeliveredBatch {
    type Past = Past;

    fn pack(&self, past: &mut Past, into: &mut Packing) {
        past.pack_partition(&self.partition, into);
        past.records.pack(&self.records, into);
        past.pack_number(self.first.0, into);
        into.number(self.last - self.first);
        into.number(i64::from(self.count));
    }

    fn unpack(past: &mut Past, from: &mut Unpacking<'_>) -> DeliveredBatch {
        let (partition, records) = (past.unpack_partition(from), past.records.unpack(from));
        let first = Offset(past.unpack_number(from));
        DeliveredBatch { partition, records, first, last: first + from.number(), count: from.number() as u32 }
    }

    fn key(&self) -> i64 {
        0
    }
}

impl Pack for SinkRecords {
    /// The records of the one before, and its batch.
    type Past = (Past, i64);

    fn pack(&self, past: &mut Self::Past, into: &mut Packing) {
        let SinkRecords { batch, records } = self;
        records.pack(&mut past.0, into);
        into.number((batch.0 as i64).wrapping_sub(past.1));
        past.1 = batch.0 as i64;
    }

    fn unpack(past: &mut Self::Past, from: &mut Unpacking<'_>) -> SinkRecords {
        let records = DeliveredBatch::unpack(&mut past.0, from);
        past.1 = past.1.wrapping_add(from.number());
        SinkRecords { batch: BatchId(past.1 as u64), records }
    }

    fn key(&self) -> i64 {
        0
    }
}
