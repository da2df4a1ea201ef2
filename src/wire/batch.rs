//! Record batches, format v2 (DefaultRecordBatch): headers read in place, bytes shared; records
//! encoded and decoded by `kafka-protocol`.

use bytes::Bytes;
use kafka_protocol::records::Record;

use crate::wire::{ErrorCode, LeaderEpoch, Offset, ProducerId};

/// One batch: its bytes, and the header fields that brokers read, kept beside them.
#[derive(Clone, PartialEq)]
pub struct Batch {
    bytes: Bytes,
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub max_timestamp: i64,
    pub base_timestamp: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
    pub attributes: i16,
    pub crc: u32,
}

/// What a producer or coordinator puts into a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchHeader {
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
}

#[allow(unused_variables)]
impl Batch {
    /// Reads the header of the first batch of `bytes` and splits its bytes off (shared, not copied).
    /// CORRUPT_MESSAGE when the length or (with `check_crc`) the checksum is wrong.
    pub fn split_first(bytes: &mut Bytes, check_crc: bool) -> Result<Batch, ErrorCode> {
        todo!()
    }

    /// All batches of a fetched or stored range.
    pub fn parse_all(bytes: Bytes, check_crc: bool) -> Result<Vec<Batch>, ErrorCode> {
        todo!()
    }

    /// Builds a batch at base offset 0 from records in order (their offsets are taken as 0…n-1).
    pub fn build(header: &BatchHeader, records: &[NewRecord]) -> Batch {
        todo!()
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn next_offset(&self) -> Offset {
        self.last_offset.next()
    }

    /// Decodes the records (control records too).
    pub fn records(&self) -> Result<Vec<Record>, ErrorCode> {
        todo!()
    }

    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// The sequence of the last record, wrapping (DefaultRecordBatch.lastSequence); -1 without producer.
    pub fn last_sequence(&self) -> i32 {
        todo!()
    }

    /// The same batch as the leader writes it: offsets from `base`, this leader epoch. Neither is
    /// covered by the checksum.
    pub fn stamped(&self, base: Offset, epoch: LeaderEpoch) -> Batch {
        todo!()
    }
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(crate::wire::StrBytes, Option<Bytes>)>,
}

impl std::fmt::Debug for Batch {
    /// Short, and still complete: the checksum stands for the records.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Batch({}..={} epoch {} pid {}/{} seq {} ts {} attr {} crc {:08x} {}B)",
            self.base_offset,
            self.last_offset,
            self.leader_epoch,
            self.producer_id.0,
            self.producer_epoch,
            self.base_sequence,
            self.max_timestamp,
            self.attributes,
            self.crc,
            self.bytes.len()
        )
    }
}
