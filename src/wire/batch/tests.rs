//! What the golden file does not cover.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::wire::str_bytes;

/// Numbers that differ enough, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn record(number: i64) -> NewRecord {
    NewRecord {
        timestamp: 1_000 + number,
        key: Some(Bytes::from(number.to_string())),
        value: (number % 3 != 0).then(|| Bytes::from("value")),
        headers: vec![(str_bytes("name"), None), (str_bytes("name"), Some(Bytes::from("again")))],
    }
}

#[test]
fn records_read_back_as_they_were_written() {
    let written: Vec<NewRecord> = (0..200).map(record).collect();
    let batch = Batch::build(&BatchHeader::PLAIN, &written);
    let read = batch.records().expect("readable");
    assert_eq!(read.len(), written.len());
    for (number, (read, written)) in read.into_iter().zip(written).enumerate() {
        assert_eq!(read.offset, number as i64);
        let back = NewRecord { timestamp: read.timestamp, key: read.key, value: read.value, headers: read.headers };
        assert_eq!(back, written);
    }
}

#[test]
fn batches_split_off_share_the_bytes() {
    let mut both = BytesMut::new();
    both.extend_from_slice(Batch::build(&BatchHeader::PLAIN, &[record(1)]).bytes());
    both.extend_from_slice(Batch::build(&BatchHeader::PLAIN, &[record(2)]).bytes());
    let both = both.freeze();
    let batches = Batch::parse_all(both.clone(), true).expect("two batches");
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[1].bytes().as_ptr(), both[batches[0].bytes().len()..].as_ptr());
}

#[test]
fn stamping_changes_no_checksum_and_no_other_holder() {
    let batch = Batch::build(&BatchHeader::PLAIN, &[record(1), record(2)]);
    let stamped = batch.stamped(Offset(41), LeaderEpoch(7));
    assert_eq!(
        (stamped.base_offset, stamped.last_offset, stamped.leader_epoch),
        (Offset(41), Offset(42), LeaderEpoch(7))
    );
    assert!(stamped.is_checksum_valid());
    assert_eq!(batch.base_offset, Offset(0));
    let read_again = Batch::split_first(&mut stamped.bytes().clone(), true);
    assert_eq!(read_again, Ok(stamped));
}

#[test]
fn a_sole_holder_is_stamped_in_place() {
    let batch = Batch::build(&BatchHeader::PLAIN, &[record(1)]);
    let at = batch.bytes().as_ptr();
    assert_eq!(batch.into_stamped(Offset(9), LeaderEpoch(1)).bytes().as_ptr(), at);
}

#[test]
fn markers_say_how_a_transaction_ended() {
    for commit in [true, false] {
        let marker = EndTxnMarker { commit, coordinator_epoch: 12 };
        let batch = marker.batch(ProducerId(5), 2, 1_000);
        assert_eq!(batch.end_txn_marker(), Some(marker));
        assert!(batch.is_control() && batch.is_transactional());
    }
    assert_eq!(Batch::build(&BatchHeader::PLAIN, &[record(1)]).control_type(), None);
}

#[test]
fn no_bytes_make_reading_panic() {
    let mut rng = Dice(42);
    let whole = Batch::build(&BatchHeader::PLAIN, &(0..5).map(record).collect::<Vec<_>>());
    for _ in 0..20_000 {
        let mut bytes = BytesMut::from(&whole.bytes()[..]);
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.below(256) as u8;
        }
        bytes.truncate(rng.below(2 * bytes.len() as u64) as usize);
        if let Ok(batches) = Batch::parse_all(bytes.freeze(), false) {
            for batch in batches {
                let _ = (batch.records(), batch.control_type(), batch.end_txn_marker(), batch.last_sequence());
            }
        }
    }
}
