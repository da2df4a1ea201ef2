//! A stream reader against brokers that the test plays.

use crate::kafka::client::StreamReader;
use crate::kafka::client::consumer_tests::{batch, fetched};
use crate::kafka::client::stream::checkpoint::BatchId;
use crate::kafka::client::testing::Bench;
use crate::kafka::config::{Configs, StreamConfig};
use crate::kafka::fact::Fact;
use crate::kafka::node::Input;
use crate::wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::{FetchResponse, ListOffsetsResponse};
use crate::wire::{ApiKey, ClientId, ErrorCode, NodeId, Offset, Request, TopicPartition, code, topic_name};

fn stream(options: &str) -> Bench<StreamReader> {
    let pairs = options.split_whitespace().filter_map(|pair| pair.split_once('='));
    let options: Configs = pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let config = StreamConfig::resolve(&options).expect("the options are good");
    let stream = StreamReader::new(ClientId(5), "s1", &["orders".to_string()], vec![NodeId::broker(1)], config);
    Bench::start(stream, &[("orders", &[(1, 0)])])
}

/// Answers the next LIST_OFFSETS, which asks for this end of orders-0.
fn list(bench: &mut Bench<StreamReader>, timestamp: i64, offset: i64) {
    let (from, correlation, request) = bench.take(ApiKey::ListOffsets);
    let Request::ListOffsets(request) = request else { unreachable!() };
    assert_eq!(request.topics[0].partitions[0].timestamp, timestamp);
    let partition = ListOffsetsPartitionResponse::default().with_partition_index(0).with_offset(offset);
    let topic = ListOffsetsTopicResponse::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    bench.answer(from, correlation, ListOffsetsResponse::default().with_topics(vec![topic]));
}

/// Answers the next FETCH, which begins at this offset.
fn fetch(bench: &mut Bench<StreamReader>, at: i64, response: FetchResponse) {
    let (from, correlation, request) = bench.take(ApiKey::Fetch);
    let Request::Fetch(request) = request else { unreachable!() };
    assert_eq!(request.topics[0].partitions[0].fetch_offset, at);
    bench.answer(from, correlation, response);
}

fn out_of_range() -> FetchResponse {
    let data =
        PartitionData::default().with_partition_index(0).with_error_code(code(Some(ErrorCode::OffsetOutOfRange)));
    let topic = FetchableTopicResponse::default()
        .with_topic_id(crate::kafka::client::testing::topic_id("orders"))
        .with_partitions(vec![data]);
    FetchResponse::default().with_responses(vec![topic])
}

fn start_of(bench: &Bench<StreamReader>) -> Option<Offset> {
    bench.node.checkpoint().start()?.get(&TopicPartition::named("orders", 0)).copied()
}

/// From nothing to the end of batch 0, which reads offsets 0–2.
fn first_batch(options: &str) -> Bench<StreamReader> {
    let mut bench = stream(&format!("startingOffsets=earliest trigger=1s {options}"));
    list(&mut bench, -2, 0);
    list(&mut bench, -1, 3);
    fetch(&mut bench, 0, fetched(0, 3, Some(batch(0, 3, 0))));
    assert_eq!(bench.node.checkpoint().done(), Some(BatchId(0)));
    bench
}

#[test]
fn a_batch_ends_where_it_was_planned_to() {
    let mut bench = stream("startingOffsets=earliest maxOffsetsPerTrigger=2 trigger=1s");
    list(&mut bench, -2, 0);
    list(&mut bench, -1, 5);
    fetch(&mut bench, 0, fetched(0, 5, Some(batch(0, 5, 0))));
    assert_eq!((bench.node.sink().count(), start_of(&bench)), (2, Some(Offset(2))));
    assert_eq!(bench.apis(), [""; 0], "between triggers nobody is asked");
    bench.run_to(1_000);
    list(&mut bench, -1, 5);
    fetch(&mut bench, 2, fetched(0, 5, Some(batch(0, 5, 0))));
    assert_eq!((bench.node.sink().count(), start_of(&bench)), (4, Some(Offset(4))));
}

#[test]
fn nothing_new_is_no_batch_but_the_first() {
    let mut bench = stream("trigger=1s");
    list(&mut bench, -1, 7);
    list(&mut bench, -1, 7);
    assert_eq!((bench.node.checkpoint().done(), start_of(&bench)), (Some(BatchId(0)), Some(Offset(7))));
    bench.run_to(1_000);
    list(&mut bench, -1, 7);
    assert_eq!(bench.node.checkpoint().done(), Some(BatchId(0)));
}

#[test]
fn the_planned_batch_is_run_again_with_its_bounds() {
    let mut bench = first_batch("");
    bench.run_to(1_000);
    list(&mut bench, -1, 5);
    bench.node.kill();
    bench.sent.clear();
    bench.input(Input::Start);
    // No end is asked for: it stands in the checkpoint, whatever came since.
    fetch(&mut bench, 3, fetched(0, 9, Some(batch(3, 6, 0))));
    assert_eq!((bench.node.sink().count(), start_of(&bench)), (5, Some(Offset(5))));
    assert_eq!(bench.node.sink().again(), 0, "the first run had read nothing");
}

#[test]
fn a_position_out_of_range_ends_the_query() {
    let mut bench = first_batch("");
    bench.run_to(1_000);
    list(&mut bench, -1, 8);
    fetch(&mut bench, 3, out_of_range());
    assert!(!bench.node.is_running());
    let failure = bench.node.failure().expect("it failed");
    assert!(failure.starts_with("Could not read records in range [3, 8) for topic partition orders-0"), "{failure}");
    assert_eq!(bench.node.checkpoint().done(), Some(BatchId(0)));
}

#[test]
fn without_fail_on_data_loss_the_rest_of_the_range_is_read() {
    let mut bench = first_batch("failOnDataLoss=false");
    bench.run_to(1_000);
    list(&mut bench, -1, 8);
    fetch(&mut bench, 3, out_of_range());
    list(&mut bench, -2, 6);
    list(&mut bench, -1, 8);
    fetch(&mut bench, 6, fetched(0, 8, Some(batch(6, 2, 0))));
    assert_eq!((bench.node.passed_over(), bench.node.sink().count()), (3, 5));
    assert_eq!(start_of(&bench), Some(Offset(8)));
}

#[test]
fn an_end_before_the_checkpoint_is_asked_for_three_times() {
    let mut bench = first_batch("");
    bench.run_to(1_000);
    list(&mut bench, -1, 1);
    assert_eq!(bench.apis(), [""; 0]);
    bench.run_to(2_000);
    list(&mut bench, -1, 1);
    bench.run_to(3_000);
    list(&mut bench, -1, 1);
    let failure = bench.node.failure().expect("it failed");
    assert!(failure.starts_with("Partition orders-0's offset was changed from 3 to 1"), "{failure}");
}

#[test]
fn a_topic_that_is_not_there_is_looked_for_three_times() {
    let mut bench = stream("trigger=1s");
    bench.node.kill();
    bench.sent.clear();
    bench.topics.clear();
    bench.facts.clear();
    bench.input(Input::Start);
    bench.run_to(2_900);
    assert!(bench.node.is_running());
    bench.run_to(3_100);
    let failure = bench.node.failure().expect("it failed");
    assert!(failure.starts_with("UnknownTopicOrPartitionException"), "{failure}");
    assert!(bench.facts.iter().any(|fact| matches!(fact, Fact::StreamFailed { .. })));
}

#[test]
fn a_record_that_never_comes_ends_the_query() {
    let mut bench = first_batch("kafkaConsumer.pollTimeoutMs=5000 kafka.request.timeout.ms=60000");
    bench.run_to(1_000);
    list(&mut bench, -1, 5);
    bench.run_to(7_000);
    let failure = bench.node.failure().expect("it failed");
    assert!(failure.contains("Cannot fetch record for offset 3 of orders-0 in 5000 milliseconds"), "{failure}");
}
