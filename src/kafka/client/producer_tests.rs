//! The producer against brokers that the test plays.

use crate::kafka::client::Producer;
use crate::kafka::client::testing::{Bench, topic_id};
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Command, Input};
use crate::time::{Duration, Instant, Rate};
use crate::wire::batch::Batch;
use crate::wire::messages::ProduceResponse;
use crate::wire::messages::produce_response::{LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse};
use crate::wire::{
    ApiKey, BrokerId, ClientId, Correlation, ErrorCode, NodeId, Offset, Request, TopicPartition, topic_name,
};

const ORDERS: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0), (2, 0), (3, 0)])];
/// `linger.ms` and `delivery.timeout.ms`
const SHORT: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3));
const ONE: &[(&str, &[(i32, i32)])] = &[("orders", &[(1, 0)])];

fn producer(topics: &[(&str, &[(i32, i32)])], change: impl FnOnce(&mut ProducerConfig)) -> Bench<Producer> {
    let mut config = ProducerConfig::default();
    change(&mut config);
    let bootstrap = vec![NodeId::broker(1), NodeId::broker(2)];
    Bench::start(Producer::new(ClientId(1), "app", bootstrap, config, None), topics)
}

fn answer(partition: i32, error: Option<ErrorCode>, offset: i64) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(partition)
        .with_error_code(crate::wire::code(error))
        .with_base_offset(offset)
        .with_log_start_offset(0)
}

fn response(partitions: Vec<PartitionProduceResponse>) -> ProduceResponse {
    let topic = TopicProduceResponse::default().with_topic_id(topic_id("orders")).with_partition_responses(partitions);
    ProduceResponse::default().with_responses(vec![topic])
}

/// The next PRODUCE: its node, correlation, and the partitions and batches in it.
fn take(bench: &mut Bench<Producer>) -> (NodeId, Correlation, Vec<(i32, Batch)>) {
    let (to, correlation, request) = bench.take(ApiKey::Produce);
    let Request::Produce(request) = request else { unreachable!() };
    let partitions = request.topic_data.iter().flat_map(|t| &t.partition_data);
    let batch = |records: &bytes::Bytes| Batch::split_first(&mut records.clone(), true).unwrap();
    (to, correlation, partitions.map(|p| (p.index, batch(p.records.as_ref().unwrap()))).collect())
}

#[test]
fn a_record_with_a_key_goes_to_its_partition_once_the_producer_has_an_id() {
    let mut bench = producer(ORDERS, |_| {});
    bench.node.kill();
    bench.automatic = false;
    bench.input(Input::Start);
    bench.send("orders", Some("alice"), "created");
    bench.run_to(50);
    assert!(bench.try_take(ApiKey::Produce).is_none());
    bench.automatic = true;
    for api in [ApiKey::InitProducerId, ApiKey::Metadata] {
        let (to, correlation, request) = bench.take(api);
        match request {
            Request::InitProducerId(_) => {
                let response = crate::wire::messages::InitProducerIdResponse::default();
                bench.answer(to, correlation, response.with_producer_id(crate::wire::ProducerId(7)));
            }
            _ => {
                let metadata = bench.metadata(["orders"].into_iter());
                bench.answer(to, correlation, metadata);
            }
        }
    }
    bench.run_to(60);
    let (to, correlation, batches) = take(&mut bench);
    let partition = (crate::kafka::client::partitioner::murmur2(b"alice") & 0x7fff_ffff) % 3;
    assert_eq!(to, NodeId::broker(partition + 1));
    assert_eq!(batches[0].0, partition);
    assert_eq!((batches[0].1.producer_id.0, batches[0].1.base_sequence), (7, 0));
    bench.answer(to, correlation, response(vec![answer(partition, None, 12)]));
    assert_eq!((bench.node.sent(), bench.node.acked(), bench.node.pending()), (1, 1, 0));
    assert_eq!(bench.node.results().first().unwrap().outcome, Ok(Offset(12)));
    assert_eq!(bench.node.results().first().unwrap().partition, TopicPartition::named("orders", partition));
}

#[test]
fn linger_gathers_records_into_one_batch_and_a_full_batch_does_not_wait() {
    let mut bench = producer(ONE, |_| {});
    bench.send("orders", Some("a"), "1");
    bench.run_to(4);
    bench.send("orders", Some("a"), "2");
    assert!(bench.sent.is_empty());
    bench.run_to(5);
    let (_, _, batches) = take(&mut bench);
    assert_eq!(batches[0].1.record_count, 2);
    bench.send("orders", Some("a"), &"x".repeat(10_000));
    bench.send("orders", Some("a"), &"y".repeat(10_000));
    let (_, _, batches) = take(&mut bench);
    assert_eq!((batches[0].1.record_count, batches[0].1.base_sequence), (1, 2));
}

#[test]
fn a_new_leader_named_in_the_answer_is_tried_without_back_off() {
    let mut bench = producer(ONE, |_| {});
    bench.send("orders", None, "1");
    bench.run_to(5);
    let (to, correlation, _) = take(&mut bench);
    assert_eq!(to, NodeId::broker(1));
    let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(2)).with_leader_epoch(1);
    let refusal = answer(0, Some(ErrorCode::NotLeaderOrFollower), -1).with_current_leader(leader);
    bench.automatic = false;
    bench.answer(to, correlation, response(vec![refusal]));
    let (to, correlation, batches) = take(&mut bench);
    assert_eq!((to, batches[0].1.base_sequence, bench.now), (NodeId::broker(2), 0, Instant::from_millis(5)));
    bench.answer(to, correlation, response(vec![answer(0, None, 0)]));
    assert_eq!(bench.node.acked(), 1);
}

#[test]
fn without_a_hint_a_retry_waits_for_its_back_off() {
    let mut bench = producer(ONE, |_| {});
    bench.send("orders", None, "1");
    bench.run_to(5);
    let (to, correlation, _) = take(&mut bench);
    bench.answer(to, correlation, response(vec![answer(0, Some(ErrorCode::NotEnoughReplicas), -1)]));
    bench.run_to(80);
    assert!(bench.sent.is_empty());
    bench.run_to(130);
    take(&mut bench);
}

#[test]
fn five_batches_in_flight_keep_their_order_when_the_connection_breaks() {
    let mut bench = producer(ONE, |config| config.linger = Duration::ZERO);
    for i in 0..7 {
        bench.send("orders", None, &i.to_string());
    }
    let first: Vec<i32> = (0..5).map(|_| take(&mut bench).2[0].1.base_sequence).collect();
    assert_eq!(first, [0, 1, 2, 3, 4]);
    assert!(bench.sent.is_empty(), "five in flight are the most");
    bench.input(Input::Disconnected { peer: NodeId::broker(1) });
    let mut order = Vec::new();
    while bench.node.acked() < 7 {
        bench.run_for(Duration::from_millis(200));
        while bench.sent.iter().any(|(_, _, r)| r.api() == ApiKey::Produce) {
            let (to, correlation, batches) = take(&mut bench);
            order.push(batches[0].1.base_sequence);
            let offset = i64::from(batches[0].1.base_sequence);
            bench.answer(to, correlation, response(vec![answer(0, None, offset)]));
        }
    }
    // What was given its sequence before keeps it; the rest are gathered into one batch.
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    let offsets: Vec<_> = bench.node.results().iter().map(|r| r.outcome).collect();
    assert_eq!(offsets, (0..6).map(|o| Ok(Offset(o))).collect::<Vec<_>>());
}

#[test]
fn a_batch_that_is_not_delivered_in_time_fails_and_the_next_one_starts_a_new_epoch() {
    let mut bench = producer(ONE, |_| {});
    bench.send("orders", None, "1");
    bench.run_to(5);
    take(&mut bench);
    bench.run_to(119_000);
    while bench.try_take(ApiKey::Produce).is_some() {}
    assert_eq!(bench.node.pending(), 1);
    bench.run_to(120_100);
    assert_eq!(bench.node.failed().get(&ErrorCode::RequestTimedOut.code()), Some(&1));
    bench.send("orders", None, "2");
    bench.run_to(125_000);
    let (_, _, batches) = take(&mut bench);
    assert_eq!((batches[0].1.producer_epoch, batches[0].1.base_sequence), (1, 0));
}

#[test]
fn a_gap_that_the_broker_sees_bumps_the_epoch_and_renumbers_what_is_in_flight() {
    let mut bench = producer(ONE, |config| config.linger = Duration::ZERO);
    bench.send("orders", None, "1");
    bench.send("orders", None, "2");
    let (to, first, _) = take(&mut bench);
    let (_, second, _) = take(&mut bench);
    let gap = Some(ErrorCode::OutOfOrderSequenceNumber);
    bench.answer(to, first, response(vec![answer(0, gap, -1)]));
    bench.answer(to, second, response(vec![answer(0, gap, -1)]));
    let mut seen = Vec::new();
    for _ in 0..2 {
        bench.run_for(Duration::from_millis(300));
        let (to, correlation, batches) = take(&mut bench);
        seen.push((batches[0].1.producer_epoch, batches[0].1.base_sequence));
        bench.answer(to, correlation, response(vec![answer(0, None, seen.len() as i64 - 1)]));
    }
    assert_eq!(seen, [(1, 0), (1, 1)]);
    assert_eq!(bench.node.acked(), 2);
}

#[test]
fn a_topic_that_does_not_appear_blocks_the_call_until_max_block_ms() {
    let mut bench = producer(ONE, |_| {});
    bench.send("nothing", None, "1");
    bench.run_to(59_999);
    assert_eq!((bench.node.blocked(), bench.node.pending()), (1, 1));
    bench.run_to(60_000);
    assert_eq!((bench.node.blocked(), bench.node.pending()), (0, 0));
    assert_eq!(bench.node.failed().get(&ErrorCode::RequestTimedOut.code()), Some(&1));
    let told = bench.facts.iter().find_map(|f| match f {
        Fact::SendRejected { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert_eq!(told.unwrap(), "Topic nothing not present in metadata after 60000 ms.");
    assert!(bench.metadata_requests < 200, "refreshes are spaced: {}", bench.metadata_requests);
}

#[test]
fn a_batch_that_is_too_large_is_sent_again_in_parts() {
    let mut bench = producer(ONE, |config| config.batch_size = 10_000);
    for i in 0..9 {
        bench.send("orders", None, &i.to_string().repeat(1_000));
    }
    bench.run_to(5);
    let (to, correlation, batches) = take(&mut bench);
    assert_eq!(batches[0].1.record_count, 9);
    bench.answer(to, correlation, response(vec![answer(0, Some(ErrorCode::MessageTooLarge), -1)]));
    // The first split is at batch.size and changes nothing; the second halves it.
    let (to, correlation, batches) = take(&mut bench);
    assert_eq!(batches[0].1.record_count, 9);
    bench.answer(to, correlation, response(vec![answer(0, Some(ErrorCode::MessageTooLarge), -1)]));
    let mut sequences = Vec::new();
    while bench.node.acked() < 9 {
        let (to, correlation, batches) = take(&mut bench);
        sequences.push((batches[0].1.base_sequence, batches[0].1.record_count));
        let offset = i64::from(batches[0].1.base_sequence);
        bench.answer(to, correlation, response(vec![answer(0, None, offset)]));
    }
    assert_eq!(sequences, [(0, 4), (4, 4), (8, 1)]);
    assert_eq!(bench.node.buffered(), 0);
}

#[test]
fn a_full_buffer_blocks_the_application_until_an_answer_frees_memory() {
    let mut bench = producer(ONE, |config| {
        config.buffer_memory = 40_000;
        config.batch_size = 16_384;
    });
    for _ in 0..4 {
        bench.send("orders", None, &"x".repeat(12_000));
    }
    assert_eq!(bench.node.blocked(), 2);
    let (to, correlation, _) = take(&mut bench);
    bench.answer(to, correlation, response(vec![answer(0, None, 0)]));
    assert_eq!(bench.node.blocked(), 1);
}

#[test]
fn a_batch_that_expires_on_its_way_keeps_its_memory_until_there_is_an_answer() {
    let mut bench = producer(ONE, |config| (config.linger, config.delivery_timeout) = SHORT);
    bench.send("orders", None, "1");
    let (to, correlation, _) = take(&mut bench);
    bench.run_to(3_000);
    assert_eq!((bench.node.pending(), bench.node.buffered()), (0, 16_384));
    bench.answer(to, correlation, response(vec![answer(0, None, 0)]));
    assert_eq!((bench.node.acked(), bench.node.buffered()), (0, 0));
}

#[test]
fn records_that_failed_before_they_were_sent_have_their_results() {
    let mut bench = producer(&[("orders", &[(-1, 0)])], |config| (config.linger, config.delivery_timeout) = SHORT);
    bench.send("orders", Some("a"), "1");
    bench.run_to(3_000);
    let result = bench.node.results().first().unwrap().clone();
    assert_eq!(result.outcome, Err(ErrorCode::RequestTimedOut));
    let batch = Batch::split_first(&mut result.records.clone(), false).expect("the records are told");
    assert_eq!(batch.records().unwrap()[0].value.as_deref(), Some(b"1".as_slice()));
}

#[test]
fn the_parts_of_a_batch_count_as_never_tried() {
    let mut bench = producer(ONE, |config| config.retries = 1);
    bench.send("orders", None, "1");
    bench.send("orders", None, "2");
    bench.run_to(5);
    let busy = Some(ErrorCode::NotEnoughReplicas);
    for refusal in [busy, Some(ErrorCode::MessageTooLarge), busy] {
        let (to, correlation, _) = take(&mut bench);
        bench.answer(to, correlation, response(vec![answer(0, refusal, -1)]));
        bench.run_for(Duration::from_millis(200));
    }
    let (to, correlation, _) = take(&mut bench);
    bench.answer(to, correlation, response(vec![answer(0, None, 0)]));
    assert_eq!(bench.node.acked(), 2);
}

/// The first of three batches was given up after a retry: whether it was written tells the second one's answer.
#[test]
fn a_gap_behind_a_batch_of_unknown_fate_is_looked_at_first() {
    let mut bench = producer(ONE, |config| (config.linger, config.delivery_timeout) = SHORT);
    bench.send("orders", None, "1");
    let (to, correlation, _) = take(&mut bench);
    bench.answer(to, correlation, response(vec![answer(0, Some(ErrorCode::NotEnoughReplicas), -1)]));
    bench.run_to(2_000);
    take(&mut bench);
    bench.send("orders", None, "2");
    bench.send("orders", None, "3");
    let (_, second, _) = take(&mut bench);
    let (_, third, _) = take(&mut bench);
    bench.run_to(3_000);
    assert_eq!(bench.node.failed().get(&ErrorCode::RequestTimedOut.code()), Some(&1));
    bench.answer(to, third, response(vec![answer(0, Some(ErrorCode::OutOfOrderSequenceNumber), -1)]));
    bench.answer(to, second, response(vec![answer(0, None, 1)]));
    bench.run_to(3_300);
    let (_, _, batches) = take(&mut bench);
    assert_eq!((batches[0].1.producer_epoch, batches[0].1.base_sequence), (0, 2));
}

#[test]
fn a_load_sends_a_million_records_a_second_and_numbers_them_by_partition() {
    let mut bench = producer(ORDERS, |_| {});
    bench.command(Command::Load {
        topic: topic_name("orders"),
        rate: Rate { count: 1_000_000, per: Duration::from_secs(1) },
        keys: 50,
        size: 100,
        until: Instant::from_millis(20),
    });
    let mut numbers = std::collections::BTreeMap::<i32, u64>::new();
    for ms in 0..60 {
        bench.run_to(ms);
        while bench.sent.iter().any(|(_, _, r)| r.api() == ApiKey::Produce) {
            let (to, correlation, batches) = take(&mut bench);
            let answers = batches.iter().map(|(p, batch)| {
                let number = numbers.entry(*p).or_default();
                *number += batch.record_count as u64;
                answer(*p, None, *number as i64 - i64::from(batch.record_count))
            });
            let answers = answers.collect();
            bench.answer(to, correlation, response(answers));
        }
    }
    assert_eq!((bench.node.sent(), bench.node.acked()), (20_000, 20_000));
    assert!(!bench.kinds().contains(&"RecordSent"));
    let continued = bench.node.results().iter().all(|r| r.outcome == Ok(Offset(r.first_record as i64)));
    assert!(continued, "the running number of each batch is its offset in a log of its own");
}

#[test]
fn acks_0_counts_as_sent_at_once_and_close_flushes() {
    let mut bench = producer(ONE, |config| {
        config.acks = 0;
        config.idempotence = false;
    });
    bench.send("orders", None, "1");
    assert_eq!(bench.node.acked(), 0);
    bench.command(Command::Close);
    assert_eq!((bench.node.acked(), bench.node.is_running()), (1, false));
    assert_eq!(bench.node.results().first().unwrap().outcome, Ok(Offset::UNKNOWN));
}

#[test]
fn a_killed_producer_forgets_what_it_had_and_counts_it_as_lost() {
    let mut bench = producer(ONE, |_| {});
    bench.send("orders", None, "1");
    bench.node.kill();
    assert_eq!((bench.node.pending(), bench.node.lost(), bench.node.is_running()), (0, 1, false));
    bench.input(Input::Start);
    bench.send("orders", None, "2");
    bench.run_to(10);
    let (to, correlation, _) = take(&mut bench);
    bench.answer(to, correlation, response(vec![answer(0, None, 0)]));
    assert_eq!(bench.node.results().first().unwrap().first_record, 1);
}

/// A partition's leader as an idempotent producer knows it (ProducerStateManager).
#[derive(Default)]
struct Leader {
    values: Vec<u32>,
    epoch: i16,
    next: i32,
    /// The last batches: base sequence and base offset.
    recent: Vec<(i32, i64)>,
}

impl Leader {
    fn append(&mut self, batch: &Batch) -> Result<i64, ErrorCode> {
        if batch.producer_epoch < self.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if batch.producer_epoch > self.epoch {
            if batch.base_sequence != 0 {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            *self =
                Leader { values: std::mem::take(&mut self.values), epoch: batch.producer_epoch, ..Leader::default() };
        }
        if let Some((_, offset)) = self.recent.iter().rev().take(5).find(|(s, _)| *s == batch.base_sequence) {
            return Ok(*offset);
        }
        if batch.base_sequence != self.next {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        let offset = self.values.len() as i64;
        for record in batch.records().unwrap() {
            self.values.push(String::from_utf8_lossy(&record.value.unwrap()).parse().unwrap());
        }
        self.recent.push((self.next, offset));
        self.next += batch.record_count;
        Ok(offset)
    }
}

/// One run with random losses, refusals, leader changes and breaks; what is acknowledged must stand
/// in the log, at its offset, and once as long as nothing expired: Kafka's own producer renumbers
/// what is in flight after a batch of unknown fate (KIP-360).
fn storm(seed: u64, delivery_timeout: Duration) {
    let mut rng = crate::kafka::node::Effects::new(seed).rng;
    let mut bench = producer(ONE, |config| {
        config.delivery_timeout = delivery_timeout;
        config.request_timeout = Duration::from_secs(2);
        config.batch_size = 60 + 61;
    });
    let mut log = Leader::default();
    let mut epoch = 0;
    for round in 0..5_000_u32 {
        let calm = round > 300;
        if calm && bench.node.pending() == 0 {
            break;
        }
        if round < 300 && rng.percent(70) {
            bench.send("orders", None, &round.to_string());
        }
        if !calm && rng.percent(3) {
            epoch += 1;
            bench.topics.insert("orders".to_string(), vec![(rng.range(1, 4) as i32, epoch)]);
        }
        if !calm && rng.percent(3) {
            bench.input(Input::Disconnected { peer: NodeId::broker(rng.range(1, 4) as i32) });
        }
        let longest = if rng.percent(5) { 3_000_000 } else { 30_000 };
        bench.run_for(Duration(rng.range(0, longest)));
        while bench.sent.iter().any(|(_, _, r)| r.api() == ApiKey::Produce) && (calm || rng.percent(80)) {
            let (to, correlation, batches) = take(&mut bench);
            if !calm && rng.percent(15) {
                continue;
            }
            let (partition, batch) = &batches[0];
            let mut told = match rng.percent(if calm { 0 } else { 10 }) {
                true => answer(*partition, Some(ErrorCode::NotEnoughReplicas), -1),
                false if to != NodeId::broker(bench.topics["orders"][0].0) => {
                    let leader = LeaderIdAndEpoch::default()
                        .with_leader_id(BrokerId(bench.topics["orders"][0].0))
                        .with_leader_epoch(epoch);
                    answer(*partition, Some(ErrorCode::NotLeaderOrFollower), -1).with_current_leader(leader)
                }
                false => match log.append(batch) {
                    Ok(offset) => answer(*partition, None, offset),
                    Err(error) => answer(*partition, Some(error), -1),
                },
            };
            if !calm && rng.percent(10) {
                told = answer(*partition, Some(ErrorCode::RequestTimedOut), -1);
            }
            if calm || !rng.percent(15) {
                bench.answer(to, correlation, response(vec![told]));
            }
        }
    }
    assert_eq!(bench.node.pending(), 0, "seed {seed}: everything has an outcome");
    for result in bench.node.results().iter() {
        let Ok(offset) = result.outcome else { continue };
        let batch = Batch::split_first(&mut result.records.clone(), true).unwrap();
        for (i, record) in batch.records().unwrap().iter().enumerate() {
            let value: u32 = String::from_utf8_lossy(record.value.as_ref().unwrap()).parse().unwrap();
            assert_eq!(log.values.get(offset.0 as usize + i), Some(&value), "seed {seed}: where it was acknowledged");
            let copies = log.values.iter().filter(|v| **v == value).count();
            assert!(copies == 1 || !bench.node.failed().is_empty(), "seed {seed}: {value} is written {copies} times");
        }
    }
    let acknowledged = bench.node.acked();
    assert!(acknowledged > 20, "seed {seed}: only {acknowledged} acknowledged");
}

#[test]
fn whatever_is_acknowledged_in_a_storm_is_in_the_log_once() {
    for seed in 0..100 {
        storm(seed, Duration::from_secs(120));
        storm(seed, Duration::from_secs(8));
    }
}

#[test]
#[ignore = "a measurement, run by hand"]
fn how_long_a_record_takes() {
    let mut bench = producer(ORDERS, |_| {});
    bench.command(Command::Load {
        topic: topic_name("orders"),
        rate: Rate { count: 1_000_000, per: Duration::from_secs(1) },
        keys: 1_000,
        size: 100,
        until: Instant::from_millis(1_000),
    });
    let mut numbers = std::collections::BTreeMap::<i32, u64>::new();
    #[allow(clippy::disallowed_methods)]
    let begin = std::time::Instant::now();
    let mut batches_seen = 0;
    for ms in 0..1_050 {
        bench.run_to(ms);
        while let Some((to, correlation, request)) = bench.try_take(ApiKey::Produce) {
            let Request::Produce(request) = request else { unreachable!() };
            let mut answers = Vec::new();
            for data in &request.topic_data[0].partition_data {
                let batch = Batch::split_first(&mut data.records.clone().unwrap(), false).unwrap();
                let number = numbers.entry(data.index).or_default();
                answers.push(answer(data.index, None, *number as i64));
                *number += batch.record_count as u64;
                batches_seen += 1;
            }
            bench.answer(to, correlation, response(answers));
        }
        bench.facts.clear();
    }
    eprintln!("{} records, {batches_seen} batches in {:?}", bench.node.acked(), begin.elapsed());
}
