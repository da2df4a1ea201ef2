//! A batch as its difference to the one before it in the same list, for `packed`. Of two batches of
//! one producer, or of two no-ops of the metadata log, little more differs than what follows from the
//! first: offset, sequence and checksum need no byte.

use bytes::Bytes;

use crate::packed::{Pack, Packing, Unpacking};
use crate::wire::batch::{
    ATTRIBUTES_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, Batch, CRC_AT, HEADER_SIZE, LAST_OFFSET_DELTA_AT,
    LEADER_EPOCH_AT, LENGTH_AT, LOG_OVERHEAD, MAGIC_AT, MAX_TIMESTAMP_AT, PRODUCER_EPOCH_AT, PRODUCER_ID_AT,
    RECORD_COUNT_AT, first_batch_size, i16_at, i32_at, i64_at,
};

/// The fields of the header, those that seldom follow from the batch before first: their places and sizes.
const FIELDS: [(usize, usize); 10] = [
    (BASE_TIMESTAMP_AT, 8),
    (0, 8),
    (BASE_SEQUENCE_AT, 4),
    (MAX_TIMESTAMP_AT, 8),
    (RECORD_COUNT_AT, 4),
    (LAST_OFFSET_DELTA_AT, 4),
    (LEADER_EPOCH_AT, 4),
    (ATTRIBUTES_AT, 2),
    (PRODUCER_ID_AT, 8),
    (PRODUCER_EPOCH_AT, 2),
];
const TIMESTAMP: usize = 0;
const OFFSET: usize = 1;
const SEQUENCE: usize = 2;
const MAX_TIMESTAMP: usize = 3;
const COUNT: usize = 4;
const LAST_DELTA: usize = 5;

/// What is not a difference: bytes that are no single sound batch, and long ones that are shared.
const OTHER_BYTES: i64 = -1;
const SHARED_BYTES: i64 = -2;

/// The batch before, by its fields and records; the largest timestamp counts from the first.
#[derive(Default)]
pub struct PastBatch {
    fields: [i64; FIELDS.len()],
    /// From the timestamp before the last one to the last one.
    interval: i64,
    records: Bytes,
}

impl PastBatch {
    /// Any bytes of records, best those of one batch.
    pub fn pack(&mut self, bytes: &Bytes, into: &mut Packing) {
        if into.share(bytes) {
            return into.number(SHARED_BYTES);
        }
        if !is_sound(bytes) {
            into.number(OTHER_BYTES);
            return into.bytes(bytes);
        }
        let (fields, expected) = (fields_of(bytes), self.expected());
        let records = bytes.slice(HEADER_SIZE..);
        let differs = |field: &usize| fields[*field] != expected[*field];
        let mut which = i64::from(records != self.records);
        for field in (0..FIELDS.len()).filter(differs) {
            which |= 2 << field;
        }
        into.number(which);
        for field in (0..FIELDS.len()).filter(differs) {
            into.number(fields[field].wrapping_sub(expected[field]));
        }
        if which & 1 == 1 {
            into.changed(&records, &self.records);
        }
        self.pass(fields, records);
    }

    pub fn unpack(&mut self, from: &mut Unpacking<'_>) -> Bytes {
        let which = from.number();
        match which {
            SHARED_BYTES => return from.shared(),
            OTHER_BYTES => return Bytes::copy_from_slice(from.bytes()),
            _ => {}
        }
        let mut fields = self.expected();
        for (field, value) in fields.iter_mut().enumerate() {
            if which & (2 << field) != 0 {
                *value = value.wrapping_add(from.number());
            }
        }
        let mut bytes = vec![0; HEADER_SIZE];
        match which & 1 {
            0 => bytes.extend_from_slice(&self.records),
            _ => from.changed(&self.records, &mut bytes),
        }
        write_header(&mut bytes, &fields);
        let bytes = Bytes::from(bytes);
        self.pass(fields, bytes.slice(HEADER_SIZE..));
        bytes
    }

    /// The fields of a batch that goes on as the last one did.
    fn expected(&self) -> [i64; FIELDS.len()] {
        let mut fields = self.fields;
        fields[TIMESTAMP] = fields[TIMESTAMP].wrapping_add(self.interval);
        fields[OFFSET] = fields[OFFSET].wrapping_add(fields[LAST_DELTA]).wrapping_add(1);
        if fields[SEQUENCE] >= 0 {
            fields[SEQUENCE] = i64::from(fields[SEQUENCE].wrapping_add(fields[COUNT]) as i32);
        }
        fields
    }

    fn pass(&mut self, fields: [i64; FIELDS.len()], records: Bytes) {
        self.interval = fields[TIMESTAMP].wrapping_sub(self.fields[TIMESTAMP]);
        self.fields = fields;
        self.records = records;
    }
}

/// One whole batch whose checksum is right: everything else of it is in the fields and the records.
fn is_sound(bytes: &Bytes) -> bool {
    first_batch_size(bytes) == Ok(bytes.len())
        && crc32c::crc32c(&bytes[ATTRIBUTES_AT..]) == i32_at(bytes, CRC_AT) as u32
}

fn fields_of(bytes: &[u8]) -> [i64; FIELDS.len()] {
    let mut fields = FIELDS.map(|(at, size)| match size {
        2 => i64::from(i16_at(bytes, at)),
        4 => i64::from(i32_at(bytes, at)),
        _ => i64_at(bytes, at),
    });
    fields[MAX_TIMESTAMP] = fields[MAX_TIMESTAMP].wrapping_sub(fields[TIMESTAMP]);
    fields
}

fn write_header(bytes: &mut [u8], fields: &[i64; FIELDS.len()]) {
    let length = (bytes.len() - LOG_OVERHEAD) as i32;
    bytes[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&length.to_be_bytes());
    bytes[MAGIC_AT] = 2;
    for ((at, size), field) in FIELDS.into_iter().zip(fields) {
        let value = if at == MAX_TIMESTAMP_AT { field.wrapping_add(fields[TIMESTAMP]) } else { *field };
        bytes[at..at + size].copy_from_slice(&value.to_be_bytes()[8 - size..]);
    }
    let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}

impl Pack for Batch {
    type Past = PastBatch;

    fn pack(&self, past: &mut PastBatch, into: &mut Packing) {
        past.pack(&self.bytes, into);
    }

    fn unpack(past: &mut PastBatch, from: &mut Unpacking<'_>) -> Batch {
        Batch::read(past.unpack(from))
    }

    fn key(&self) -> i64 {
        self.base_offset.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packed;
    use crate::wire::batch::{BatchHeader, NewRecord};
    use crate::wire::{LeaderEpoch, Offset, ProducerId};

    fn batch(number: i64) -> Batch {
        let producer = if number % 50 < 3 { -1 } else { number / 40 };
        let header = BatchHeader {
            producer_id: ProducerId(producer),
            producer_epoch: if producer < 0 { -1 } else { (number / 90) as i16 },
            base_sequence: if producer < 0 { -1 } else { (i64::from(i32::MAX) - 100 + number) as i32 & i32::MAX },
            ..BatchHeader::PLAIN
        };
        let value = vec![b'x'; if number % 60 == 7 { 900 } else { 12 }];
        let record = |part: i64| NewRecord {
            timestamp: number * 500 + part - number % 7,
            key: Some(vec![b'a' + (number % 6) as u8; 3].into()),
            value: Some(value.clone().into()),
            headers: Vec::new(),
        };
        let records: Vec<NewRecord> = (0..=number % 3).map(record).collect();
        Batch::build(&header, &records).into_stamped(Offset(number * 3), LeaderEpoch((number / 100) as i32))
    }

    #[test]
    fn batches_come_back_to_the_bit() {
        let batches: Vec<Batch> = (0..500).map(batch).collect();
        let mut packed = Packed::default();
        packed.extend(batches.iter().cloned());
        assert!(packed.iter().eq(batches), "and with their headers read as they were");
    }

    #[test]
    fn bytes_that_are_no_batch_come_back_too() {
        let whole = batch(4).bytes().clone();
        let mut wrong = whole.to_vec();
        wrong[CRC_AT] ^= 1;
        let twice = Bytes::from([&whole[..], &whole[..]].concat());
        let cases = [whole.clone(), wrong.into(), Bytes::new(), twice, whole.slice(..30), vec![0; 999].into(), whole];
        let (mut past, mut packing) = (PastBatch::default(), Packing::default());
        for bytes in &cases {
            past.pack(bytes, &mut packing);
        }
        let mut past = PastBatch::default();
        packing.read(|from| assert!(cases.iter().all(|bytes| past.unpack(from) == bytes)));
    }

    #[test]
    fn no_ops_take_a_byte_or_two() {
        let noop = |number: i64| {
            let record = NewRecord {
                timestamp: number * 500,
                key: None,
                value: Some(Bytes::from_static(b"no-op")),
                headers: Vec::new(),
            };
            Batch::build(&BatchHeader::PLAIN, &[record]).into_stamped(Offset(number), LeaderEpoch(1))
        };
        let (mut past, mut packing) = (PastBatch::default(), Packing::default());
        (0..64).for_each(|number| noop(number).pack(&mut past, &mut packing));
        assert!(packing.size() < 64 * 2 + 100, "{} bytes for 64", packing.size());
    }
}
