//! Readers of committed records: the leader bounds them at the last stable offset and names the
//! aborted transactions in what it hands out, and the consumer leaves their records out (KIP-98).

use highwater::kafka::client::fetcher::Buffered;
use highwater::kafka::config::{BrokerConfig, TopicConfig};
use highwater::kafka::log::{Log, Origin, ReadUpTo};
use highwater::kafka::replica::{Fetch, Liveness, Partition, PartitionState, partition_data};
use highwater::time::Instant;
use highwater::wire::batch::{Batch, BatchHeader, EndTxnMarker, NewRecord};
use highwater::wire::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, ProducerId, TopicPartition};

/// Nobody else is there.
struct Alone;

impl Liveness for Alone {
    fn eligible(&self, _: BrokerId) -> bool {
        false
    }

    fn broker_epoch(&self, _: BrokerId) -> Option<BrokerEpoch> {
        None
    }
}

const NOW: Instant = Instant::from_millis(1_000);

/// One replica, leading.
fn leader() -> (Partition, Log) {
    let mut log = Log::created_at(TopicConfig::default(), NOW);
    let mut partition = Partition::new(BrokerId(1), &BrokerConfig::default());
    let state = PartitionState {
        replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(1)],
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        recovering: false,
    };
    partition.make_leader(&mut log, state, &Alone, NOW);
    (partition, log)
}

fn send(partition: &mut Partition, log: &mut Log, producer: Option<i64>, sequence: i32, value: &'static str) {
    let header = match producer {
        None => BatchHeader::PLAIN,
        Some(id) => BatchHeader {
            producer_id: ProducerId(id),
            producer_epoch: 0,
            base_sequence: sequence,
            transactional: true,
            control: false,
        },
    };
    let record = NewRecord { timestamp: 1_000, key: None, value: Some(value.into()), headers: Vec::new() };
    let batch = Batch::build(&header, &[record]);
    partition.append_as_leader(log, batch.bytes().clone(), -1, Origin::Client, &Alone, NOW).expect("it is accepted");
}

fn end(partition: &mut Partition, log: &mut Log, producer: i64, commit: bool) {
    let batch = EndTxnMarker { commit, coordinator_epoch: 0 }.batch(ProducerId(producer), 0, 1_000);
    let bytes = batch.bytes().clone();
    partition.append_as_leader(log, bytes, -1, Origin::Coordinator, &Alone, NOW).expect("a marker is accepted");
}

/// What an application is handed of everything from offset 0 on.
fn read(partition: &Partition, log: &Log, read_committed: bool) -> (Vec<String>, Offset) {
    let up_to = if read_committed { ReadUpTo::LastStableOffset } else { ReadUpTo::HighWatermark };
    let fetch = Fetch {
        offset: Offset(0),
        max_bytes: i32::MAX,
        log_start: Offset::UNKNOWN,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    };
    let data = partition_data(0, &partition.read_as_consumer(log, &fetch, up_to, true));
    let tp = TopicPartition::named("orders", 0);
    let mut buffered = Buffered::new(tp, Offset(0), &data, read_committed).expect("the batches read");
    let mut values = Vec::new();
    for chunk in buffered.take(u32::MAX) {
        for batch in Batch::parse_all(chunk.records.clone(), true).expect("the batches read") {
            let records = batch.records().expect("the records read");
            let shown = records.iter().filter(|r| (chunk.first.0..=chunk.last.0).contains(&r.offset));
            values.extend(shown.map(|r| String::from_utf8_lossy(r.value.as_ref().expect("a value")).into_owned()));
        }
    }
    (values, buffered.next)
}

#[test]
fn aborted_records_are_left_out_and_open_ones_wait() {
    let (mut partition, mut log) = leader();
    send(&mut partition, &mut log, None, 0, "plain");
    send(&mut partition, &mut log, Some(7), 0, "undone");
    send(&mut partition, &mut log, Some(8), 0, "kept");
    send(&mut partition, &mut log, Some(7), 1, "undone too");
    assert_eq!(read(&partition, &log, true), (vec!["plain".into()], Offset(1)), "both transactions are open");
    end(&mut partition, &mut log, 8, true);
    assert_eq!(read(&partition, &log, true).0, ["plain"], "an older transaction is still open");
    end(&mut partition, &mut log, 7, false);
    assert_eq!(log.last_stable_offset(), Offset(6));
    assert_eq!(read(&partition, &log, true), (vec!["plain".into(), "kept".into()], Offset(6)));
    send(&mut partition, &mut log, Some(7), 2, "open");
    assert_eq!(read(&partition, &log, true).0, ["plain", "kept"], "a new transaction of the same producer is open");
    assert_eq!(read(&partition, &log, false).0, ["plain", "undone", "kept", "undone too", "open"]);
}

#[test]
fn a_follower_that_takes_over_knows_the_same_aborted_transactions() {
    let (mut partition, mut log) = leader();
    send(&mut partition, &mut log, Some(7), 0, "undone");
    end(&mut partition, &mut log, 7, false);
    send(&mut partition, &mut log, Some(9), 0, "kept");
    end(&mut partition, &mut log, 9, true);
    let (mut other, mut copy) = leader();
    let all = log.read(Offset(0), i32::MAX, ReadUpTo::LogEnd).expect("offset 0 is in the log");
    copy.append_as_follower(all.records, LeaderEpoch(0), NOW).expect("the batches are good");
    let state = PartitionState { leader_epoch: LeaderEpoch(1), ..other.state().expect("it led").clone() };
    other.make_leader(&mut copy, state, &Alone, NOW);
    assert_eq!(read(&other, &copy, true), (vec!["kept".into()], Offset(4)));
    copy.close();
    copy.reopen(Some(Offset(4)));
    assert_eq!(read(&other, &copy, true), (vec!["kept".into()], Offset(4)), "and after a restart");
}
