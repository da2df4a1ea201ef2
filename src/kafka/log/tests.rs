//! What the golden files do not cover.

use bytes::{BufMut, BytesMut};

use super::*;
use crate::wire::ErrorCode;
use crate::wire::batch::{Batch, BatchHeader, EndTxnMarker, NewRecord};

const EPOCH: LeaderEpoch = LeaderEpoch(3);

/// Numbers that differ enough, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn now() -> Instant {
    Instant::from_millis(1_000_000)
}

fn record(key: &str, value: &str) -> NewRecord {
    let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    NewRecord { timestamp: now().millis(), key: bytes(key), value: bytes(value), headers: Vec::new() }
}

fn plain(count: u64) -> Bytes {
    let records: Vec<NewRecord> = (0..count).map(|n| record(&n.to_string(), "value")).collect();
    Batch::build(&BatchHeader::PLAIN, &records).bytes().clone()
}

fn produced_by(id: i64, epoch: i16, sequence: i32, transactional: bool) -> Bytes {
    let header = BatchHeader {
        producer_id: ProducerId(id),
        producer_epoch: epoch,
        base_sequence: sequence,
        transactional,
        control: false,
    };
    Batch::build(&header, &[record("k", "v")]).bytes().clone()
}

fn append(log: &mut Log, records: Bytes) -> Result<Appended, ErrorCode> {
    log.append_as_leader(records, EPOCH, Origin::Client, now())
}

/// A log of batches of random sizes in small segments with dense indexes.
fn random_log(rng: &mut Dice) -> Log {
    let config = TopicConfig { segment_bytes: 2_000, index_interval_bytes: 300, ..TopicConfig::default() };
    let mut log = Log::new(config);
    for _ in 0..60 {
        append(&mut log, plain(1 + rng.below(8))).expect("a plain batch is taken");
    }
    log
}

/// What a follower ends up with when it fetches everything, `max_bytes` at a time.
fn followed(leader: &Log, max_bytes: i32) -> Log {
    let mut follower = Log::new(leader.config().clone());
    while follower.log_end() < leader.log_end() {
        let read = leader.read(follower.log_end(), max_bytes, ReadUpTo::LogEnd).expect("the offset is in range");
        follower.append_as_follower(read.records, EPOCH, now()).expect("the leader's batches are taken");
    }
    follower
}

#[test]
fn a_follower_has_the_batches_and_epochs_of_its_leader() {
    let mut rng = Dice(7);
    for max_bytes in [1, 500, 1_900] {
        let leader = random_log(&mut rng);
        let follower = followed(&leader, max_bytes);
        assert!(leader.batches(Offset::ZERO).eq(follower.batches(Offset::ZERO)));
        assert_eq!(leader.epochs(), follower.epochs());
        assert_eq!(leader.log_end(), follower.log_end());
    }
}

#[test]
fn an_indexed_lookup_finds_what_a_scan_finds() {
    let mut rng = Dice(11);
    let mut log = random_log(&mut rng);
    for round in 0..20 {
        let all: Vec<Batch> = log.batches(log.log_start()).collect();
        for offset in (0..log.log_end().0).map(Offset) {
            let scanned = all.iter().find(|batch| batch.last_offset >= offset).cloned();
            assert_eq!(log.batches(offset).next(), scanned, "round {round}, offset {offset}");
            let bytes: i64 = all.iter().filter(|b| b.last_offset >= offset).map(|b| i64::from(b.size())).sum();
            assert_eq!(log.bytes_between(offset, ReadUpTo::LogEnd), bytes);
        }
        let to = log.log_end().0 - 1 - rng.below(11) as i64;
        log.truncate_to(Offset(to.max(0)));
        append(&mut log, plain(3)).expect("a plain batch is taken");
    }
}

#[test]
fn a_read_returns_whole_batches_and_at_least_one() {
    let mut log = Log::new(TopicConfig::default());
    for _ in 0..3 {
        append(&mut log, plain(4)).expect("taken");
    }
    let size = plain(4).len() as i32;
    let read = |from: i64, max: i32| log.read(Offset(from), max, ReadUpTo::LogEnd).expect("in range");
    assert_eq!((read(5, 1).first, read(5, 1).records.len() as i32), (Offset(4), size));
    assert_eq!(read(0, 2 * size + 1).records.len() as i32, 2 * size);
    assert_eq!(read(12, 100).records.len(), 0);
    assert_eq!(log.read(Offset(13), 100, ReadUpTo::LogEnd), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(log.read(Offset(0), 100, ReadUpTo::HighWatermark).map(|read| read.records.len()), Ok(0));
}

#[test]
fn one_batch_is_read_without_a_copy() {
    let mut log = Log::new(TopicConfig::default());
    append(&mut log, plain(4)).expect("taken");
    let read = log.read(Offset(0), 1, ReadUpTo::LogEnd).expect("in range");
    let stored = log.batches(Offset(0)).next().expect("a batch stands");
    assert_eq!(read.records.as_ptr(), stored.bytes().as_ptr());
}

#[test]
fn a_leader_refuses_what_a_client_may_not_write() {
    let mut log = Log::new(TopicConfig { max_message_bytes: 400, segment_bytes: 300, ..TopicConfig::default() });
    let mut two = BytesMut::from(&plain(1)[..]);
    two.put_slice(&plain(1));
    assert_eq!(append(&mut log, two.freeze()), Err(ErrorCode::InvalidRecord));
    let mut flipped = BytesMut::from(&plain(1)[..]);
    flipped[70] ^= 1;
    assert_eq!(append(&mut log, flipped.freeze()), Err(ErrorCode::CorruptMessage));
    assert_eq!(append(&mut log, plain(30)), Err(ErrorCode::MessageTooLarge));
    assert_eq!(append(&mut log, plain(20)), Err(ErrorCode::RecordListTooLarge));
    assert_eq!(append(&mut log, Bytes::from_static(b"nonsense")), Err(ErrorCode::CorruptMessage));
    let marker = EndTxnMarker { commit: true, coordinator_epoch: 0 }.batch(ProducerId(1), 0, 0);
    assert_eq!(append(&mut log, marker.bytes().clone()), Err(ErrorCode::InvalidRecord));
    let mut late = record("k", "v");
    late.timestamp = now().millis() + 3_600_001;
    let late = Batch::build(&BatchHeader::PLAIN, &[late]);
    assert_eq!(append(&mut log, late.bytes().clone()), Err(ErrorCode::InvalidTimestamp));
    assert_eq!(log.batches(Offset(0)).count(), 0);
}

#[test]
fn an_append_does_not_change_what_the_client_holds() {
    let mut log = Log::new(TopicConfig::default());
    append(&mut log, plain(2)).expect("taken");
    let kept = plain(2);
    append(&mut log, kept.clone()).expect("taken");
    assert_eq!(kept, plain(2));
    assert_eq!(log.batches(Offset(2)).next().map(|batch| batch.base_offset), Some(Offset(2)));
}

#[test]
fn a_topic_of_append_time_stamps_the_leaders_clock() {
    let mut log = Log::new(TopicConfig { log_append_time: true, ..TopicConfig::default() });
    let later = Instant::from_millis(2_000_000);
    let appended = log.append_as_leader(plain(2), EPOCH, Origin::Client, later).expect("taken");
    assert_eq!(appended.log_append_time, 2_000_000);
    let batch = log.batches(Offset(0)).next().expect("a batch stands");
    assert!(batch.is_checksum_valid());
    assert!(batch.records().expect("readable").iter().all(|record| record.timestamp == 2_000_000));
}

#[test]
fn a_follower_drops_batches_of_an_epoch_above_its_fetch() {
    let mut follower = Log::new(TopicConfig::default());
    let mut fetched = BytesMut::new();
    for (base, epoch) in [(0, 1), (1, 5)] {
        let batch = Batch::split_first(&mut plain(1), true).expect("whole");
        fetched.put_slice(batch.stamped(Offset(base), LeaderEpoch(epoch)).bytes());
    }
    let fetched = fetched.freeze();
    let appended = follower.append_as_follower(fetched.clone(), LeaderEpoch(1), now());
    assert_eq!(appended.map(|appended| appended.map(|appended| appended.last)), Ok(Some(Offset(0))));
    assert_eq!(follower.append_as_follower(fetched.slice(fetched.len() / 2..), LeaderEpoch(4), now()), Ok(None));
    assert_eq!(follower.log_end(), Offset(1));
}

#[test]
fn a_loss_of_power_takes_what_was_not_flushed() {
    let mut log = Log::new(TopicConfig { segment_bytes: 250, ..TopicConfig::default() });
    for _ in 0..5 {
        append(&mut log, plain(1)).expect("taken");
    }
    let rolled_at = log.segments().last().expect("active").base();
    assert!(rolled_at > Offset(0) && rolled_at < log.log_end());
    let mut flushed = log.clone();
    log.lose_unflushed();
    log.reopen(Some(Offset(5)));
    assert_eq!((log.log_end(), log.high_watermark()), (rolled_at, rolled_at));
    flushed.flush();
    flushed.lose_unflushed();
    assert_eq!(flushed.log_end(), Offset(5));
}

#[test]
fn flush_messages_bounds_what_a_loss_of_power_takes() {
    let mut log = Log::new(TopicConfig { flush_messages: 2, ..TopicConfig::default() });
    for _ in 0..5 {
        append(&mut log, plain(1)).expect("taken");
    }
    log.lose_unflushed();
    assert_eq!(log.log_end(), Offset(4));
}

#[test]
fn a_reopened_log_knows_its_producers_and_open_transactions() {
    let mut log = Log::new(TopicConfig::default());
    append(&mut log, produced_by(1, 0, 0, false)).expect("taken");
    append(&mut log, produced_by(2, 0, 0, true)).expect("taken");
    log.update_high_watermark(Offset(2));
    log.reopen(Some(Offset(2)));
    assert_eq!(log.last_stable_offset(), Offset(1));
    assert!(append(&mut log, produced_by(1, 0, 0, false)).expect("known").duplicate);
    assert_eq!(append(&mut log, produced_by(1, 0, 5, false)), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(append(&mut log, produced_by(2, 0, 1, false)), Err(ErrorCode::InvalidTxnState));
}

#[test]
fn a_reopened_log_has_forgotten_an_epoch_that_was_only_announced() {
    let mut log = Log::new(TopicConfig::default());
    append(&mut log, plain(1)).expect("taken");
    log.assign_epoch(LeaderEpoch(9), log.log_end());
    log.reopen(None);
    assert_eq!(log.epochs(), vec![(EPOCH, Offset(0))]);
}

#[test]
fn a_transaction_begins_only_with_a_guard_that_is_still_valid() {
    let mut log = Log::new(TopicConfig::default());
    log.set_verification(true);
    let first = produced_by(1, 0, 0, true);
    assert_eq!(append(&mut log, first.clone()), Err(ErrorCode::InvalidTxnState));
    let guard = log.start_verification(ProducerId(1), 0, 0, true, now());
    assert!(guard.is_some());
    log.append_verified(first, EPOCH, Origin::Client, now(), guard, 0).expect("verified");
    append(&mut log, produced_by(1, 0, 1, true)).expect("the transaction is open");
    assert_eq!(log.start_verification(ProducerId(1), 2, 0, true, now()), None);
}

#[test]
fn a_compacted_log_is_cleaned_once_more_than_half_is_dirty() {
    let config = TopicConfig { compact: true, delete: false, ..TopicConfig::default() };
    let mut log = Log::new(config);
    for _ in 0..4 {
        append(&mut log, plain(1)).expect("taken");
    }
    assert!(log.compact(now()).is_none(), "the active segment is not cleaned");
    log.roll(None, now());
    assert!(log.compact(now()).is_none(), "nothing above the high watermark is cleaned");
    log.update_high_watermark(log.log_end());
    assert!(log.compact(now()).is_some());
    assert_eq!(log.batches(Offset(0)).map(|batch| batch.base_offset.0).collect::<Vec<_>>(), [3]);
    assert!(log.compact(now()).is_none(), "nothing is dirty any more");
    assert_eq!(log.read(Offset(0), 1, ReadUpTo::LogEnd).map(|read| read.first), Ok(Offset(3)));
}

#[test]
fn a_segment_with_an_open_transaction_is_not_compacted() {
    let mut log = Log::new(TopicConfig { compact: true, ..TopicConfig::default() });
    append(&mut log, plain(1)).expect("taken");
    append(&mut log, plain(1)).expect("taken");
    append(&mut log, produced_by(1, 0, 0, true)).expect("taken");
    log.roll(None, now());
    log.update_high_watermark(log.log_end());
    let cleanable = log.cleanable(now());
    assert_eq!((cleanable.first_uncleanable, cleanable.end), (Offset(2), Offset(0)));
    assert!(log.compact(now()).is_none());
    let marker = EndTxnMarker { commit: true, coordinator_epoch: 0 }.batch(ProducerId(1), 0, now().millis());
    log.append_as_leader(marker.bytes().clone(), EPOCH, Origin::Coordinator, now()).expect("taken");
    log.update_high_watermark(log.log_end());
    assert!(log.compact(now()).is_some());
    assert_eq!(log.batches(Offset(0)).map(|batch| batch.base_offset.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_log_that_goes_on_leaves_its_clone_as_it_was() {
    let mut rng = Dice(3);
    let mut log = random_log(&mut rng);
    let kept = log.clone();
    let batches: Vec<Batch> = log.batches(Offset(0)).collect();
    append(&mut log, plain(2)).expect("taken");
    log.truncate_to(Offset(5));
    assert!(kept.batches(Offset(0)).eq(batches));
    assert_ne!(kept, log);
}

#[test]
fn an_empty_segment_that_is_rolled_is_young_again() {
    let config = TopicConfig { segment_time: Duration::from_millis(1_000), ..TopicConfig::default() };
    let mut log = Log::created_at(config, now());
    log.roll(None, now() + Duration::from_millis(900));
    let timeless = NewRecord { timestamp: -1, ..record("key", "value") };
    let batch = Batch::build(&BatchHeader::PLAIN, &[timeless]);
    for ms in [1_000, 1_900, 1_901] {
        let at = now() + Duration::from_millis(ms);
        log.append_as_leader(batch.bytes().clone(), EPOCH, Origin::Client, at).unwrap();
    }
    let bases: Vec<i64> = log.segments().map(|segment| segment.base().0).collect();
    assert_eq!(bases, [0, 2], "its second began when it was rolled");
}

#[test]
fn transactions_below_the_start_of_a_log_that_is_reloaded_hold_nobody_up() {
    let mut log = Log::new(TopicConfig::default());
    log.append_as_leader(produced_by(1, 0, 0, true), EPOCH, Origin::Client, now()).unwrap();
    let marker = EndTxnMarker { commit: true, coordinator_epoch: 0 }.batch(ProducerId(1), 0, now().millis());
    log.append_as_leader(marker.bytes().clone(), EPOCH, Origin::Coordinator, now()).unwrap();
    let mut producers = log.producers().clone();
    assert_eq!(producers.first_unstable(), Some(Offset(0)), "the marker is not replicated");
    producers.truncate_and_reload(Offset(2), Offset(2), now());
    assert_eq!(producers.first_unstable(), None);
}
