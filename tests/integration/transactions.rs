//! Transactions by the messages of the protocol: several brokers, one coordinator, failover between
//! the decision and the markers (KIP-98, KIP-890).

use highwater::kafka::config::BrokerConfig;
use highwater::kafka::fact::Fact;
use highwater::kafka::node::Input;
use highwater::time::Duration;
use highwater::wire::batch::{Batch, BatchHeader, NewRecord};
use highwater::wire::messages::{EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest};
use highwater::wire::{
    ErrorCode, NodeId, Offset, ProducerId, Response, TRANSACTION_TOPIC, TopicPartition, TransactionalId, error,
    partition_of_key, str_bytes,
};

use crate::small_cluster::Cluster;

const ID: &str = "payments";

fn id() -> TransactionalId {
    TransactionalId(str_bytes(ID))
}

fn orders(partition: i32) -> TopicPartition {
    TopicPartition::named("orders", partition)
}

/// A producer as far as the protocol sees it.
struct Session {
    producer_id: ProducerId,
    epoch: i16,
}

/// `orders` has its partitions 0 and 1 led by brokers 1 and 2.
fn cluster() -> Cluster {
    let mut cluster = Cluster::settled(3, BrokerConfig::default());
    cluster.create_topic("orders", &[&[1, 2, 3], &[2, 3, 1]], &[("min.insync.replicas", "2")]);
    cluster
}

fn coordinator(cluster: &mut Cluster, ask: i32) -> i32 {
    let find = FindCoordinatorRequest::default().with_key_type(1).with_coordinator_keys(vec![str_bytes(ID)]);
    let deadline = cluster.now + Duration::from_secs(60);
    loop {
        let answer = cluster.answer(NodeId::broker(ask), find.clone());
        let Response::FindCoordinator(answer) = answer else { panic!("its answer") };
        let found = &answer.coordinators[0];
        if found.error_code == 0 {
            return found.node_id.0;
        }
        assert!(cluster.now < deadline, "{}", cluster.told());
        cluster.run(Duration::from_millis(100));
    }
}

/// A session as a client gets it: asked for until the coordinator is not busy any more. And how often.
fn begin_session(cluster: &mut Cluster, coordinator: i32, timeout_ms: i32) -> (Session, u32) {
    let init =
        InitProducerIdRequest::default().with_transactional_id(Some(id())).with_transaction_timeout_ms(timeout_ms);
    let init = init.with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
    for refused in 0.. {
        let Response::InitProducerId(answer) = cluster.answer(NodeId::broker(coordinator), init.clone()) else {
            panic!("its answer")
        };
        match error(answer.error_code) {
            None => return (Session { producer_id: answer.producer_id, epoch: answer.producer_epoch }, refused),
            Some(
                ErrorCode::ConcurrentTransactions
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorNotAvailable,
            ) => cluster.run(Duration::from_millis(20)),
            Some(error) => panic!("{error:?}"),
        }
        assert!(refused < 1_000, "{}", cluster.told());
    }
    unreachable!("the loop ends by itself")
}

fn send(cluster: &mut Cluster, session: &Session, partition: i32, sequence: i32, value: &str) -> Option<ErrorCode> {
    let leader = cluster.leader(&orders(partition)).expect("somebody leads");
    let header = BatchHeader {
        producer_id: session.producer_id,
        producer_epoch: session.epoch,
        base_sequence: sequence,
        transactional: true,
        control: false,
    };
    let record = NewRecord { timestamp: 0, key: None, value: Some(value.to_string().into()), headers: Vec::new() };
    let mut request = cluster.produce_request(&orders(partition), -1, &[]).with_transactional_id(Some(id()));
    let batch = Batch::build(&header, &[record]).bytes().clone();
    request.topic_data[0].partition_data[0].records = Some(batch);
    let Response::Produce(answer) = cluster.answer(NodeId::broker(leader), request) else { panic!("its answer") };
    error(answer.responses[0].partition_responses[0].error_code)
}

fn end(cluster: &mut Cluster, coordinator: i32, session: &Session, commit: bool) -> Result<Session, ErrorCode> {
    let request = EndTxnRequest::default()
        .with_transactional_id(id())
        .with_producer_id(session.producer_id)
        .with_producer_epoch(session.epoch)
        .with_committed(commit);
    let Response::EndTxn(answer) = cluster.answer(NodeId::broker(coordinator), request) else { panic!("its answer") };
    match error(answer.error_code) {
        None => Ok(Session { producer_id: answer.producer_id, epoch: answer.producer_epoch }),
        Some(error) => Err(error),
    }
}

fn completed(cluster: &Cluster) -> usize {
    cluster.facts.iter().filter(|(_, fact)| matches!(fact, Fact::TransactionCompleted { .. })).count()
}

fn last_stable(cluster: &Cluster, broker: i32, partition: i32) -> (i64, i64) {
    let log = cluster.log(broker, &orders(partition));
    (log.last_stable_offset().0, log.log_end().0)
}

#[test]
fn a_transaction_ends_on_all_its_partitions_and_the_next_one_has_an_epoch_of_its_own() {
    let mut cluster = cluster();
    let coordinator = coordinator(&mut cluster, 1);
    let (session, _) = begin_session(&mut cluster, coordinator, 60_000);
    assert_eq!(session.epoch, 0);
    assert_eq!(send(&mut cluster, &session, 0, 0, "a"), None, "{}", cluster.told());
    assert_eq!(send(&mut cluster, &session, 0, 1, "b"), None);
    assert_eq!(send(&mut cluster, &session, 1, 0, "c"), None);
    assert_eq!(last_stable(&cluster, 1, 0), (0, 2), "it is open");
    let next = end(&mut cluster, coordinator, &session, true).expect("it commits");
    assert_eq!((next.producer_id, next.epoch), (session.producer_id, 1));
    cluster.until(5, |cluster| completed(cluster) == 1);
    assert_eq!(last_stable(&cluster, 1, 0), (3, 3));
    assert_eq!(last_stable(&cluster, 2, 1), (2, 2));
    // The retry of a client that did not hear of it.
    let again = end(&mut cluster, coordinator, &session, true).expect("it has committed");
    assert_eq!(again.epoch, 1);
    assert_eq!(send(&mut cluster, &session, 0, 2, "late"), Some(ErrorCode::InvalidProducerEpoch));

    assert_eq!(send(&mut cluster, &next, 0, 0, "d"), None);
    let third = end(&mut cluster, coordinator, &next, false).expect("it aborts");
    assert_eq!(third.epoch, 2);
    cluster.until(5, |cluster| completed(cluster) == 2);
    let marker = cluster.log(1, &orders(0)).batches(Offset(4)).next().and_then(|batch| batch.end_txn_marker());
    assert!(marker.is_some_and(|marker| !marker.commit), "{}", cluster.told());
}

#[test]
fn the_next_coordinator_writes_the_markers_that_the_one_before_it_could_not() {
    let mut cluster = Cluster::settled(3, BrokerConfig::default());
    let first = coordinator(&mut cluster, 1);
    let leader = if first == 3 { 2 } else { 3 };
    let other = 6 - first - leader;
    cluster.create_topic("orders", &[&[leader]], &[]);
    let (session, _) = begin_session(&mut cluster, first, 60_000);
    assert_eq!(send(&mut cluster, &session, 0, 0, "a"), None);
    cluster.kill(leader);
    cluster.run(Duration::from_secs(15));
    end(&mut cluster, first, &session, true).expect("the decision is in the log");
    cluster.run(Duration::from_secs(5));
    assert_eq!(completed(&cluster), 0, "nobody could write the marker");
    let home = TopicPartition::named(TRANSACTION_TOPIC, partition_of_key(ID, 50));
    cluster.kill(first);
    cluster.handle(NodeId::broker(leader), Input::Start);
    cluster.until(60, |cluster| cluster.leader(&home) == Some(other));
    cluster.until(60, |cluster| completed(cluster) == 1);
    assert_eq!(last_stable(&cluster, leader, 0), (2, 2), "{}", cluster.told());
    let marker = cluster.log(leader, &orders(0)).batches(Offset(1)).next().and_then(|batch| batch.end_txn_marker());
    let marker = marker.expect("it is written");
    assert!(marker.commit && marker.coordinator_epoch > 0, "by the new coordinator: {marker:?}");
    let (again, _) = begin_session(&mut cluster, other, 60_000);
    assert_eq!((again.producer_id, again.epoch), (session.producer_id, 2));
}

#[test]
fn a_transaction_that_nobody_ends_is_aborted_after_its_timeout_and_its_producer_is_fenced() {
    let mut cluster = cluster();
    let coordinator = coordinator(&mut cluster, 1);
    let (session, _) = begin_session(&mut cluster, coordinator, 5_000);
    assert_eq!(send(&mut cluster, &session, 0, 0, "a"), None);
    cluster.run(Duration::from_secs(4));
    assert_eq!(last_stable(&cluster, 1, 0), (0, 1));
    cluster.until(20, |cluster| completed(cluster) == 1);
    let timed_out = |(_, fact): &(_, Fact)| matches!(fact, Fact::TransactionTimedOut { .. });
    assert!(cluster.facts.iter().any(timed_out));
    assert_eq!(last_stable(&cluster, 1, 0), (2, 2));
    assert_eq!(send(&mut cluster, &session, 0, 1, "late"), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(end(&mut cluster, coordinator, &session, true).err(), Some(ErrorCode::InvalidTxnState));
}

#[test]
fn a_new_session_ends_what_the_one_before_it_left_open() {
    let mut cluster = cluster();
    let coordinator = coordinator(&mut cluster, 1);
    let (zombie, _) = begin_session(&mut cluster, coordinator, 60_000);
    assert_eq!(send(&mut cluster, &zombie, 1, 0, "a"), None);
    let (session, refused) = begin_session(&mut cluster, coordinator, 60_000);
    assert!(refused > 0, "it had to wait for the abort");
    assert_eq!((session.producer_id, session.epoch), (zombie.producer_id, 2));
    assert_eq!(send(&mut cluster, &zombie, 1, 1, "late"), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(send(&mut cluster, &zombie, 0, 0, "elsewhere"), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(end(&mut cluster, coordinator, &zombie, true).err(), Some(ErrorCode::ProducerFenced));
    assert_eq!(send(&mut cluster, &session, 1, 0, "b"), None, "{}", cluster.told());
}

#[test]
fn records_of_a_transaction_that_nobody_verified_are_refused() {
    let mut cluster = cluster();
    let coordinator = coordinator(&mut cluster, 1);
    let (session, _) = begin_session(&mut cluster, coordinator, 60_000);
    let header = BatchHeader {
        producer_id: session.producer_id,
        producer_epoch: session.epoch,
        base_sequence: 0,
        transactional: true,
        control: false,
    };
    let record = NewRecord { timestamp: 0, key: None, value: None, headers: Vec::new() };
    let mut request = cluster.produce_request(&orders(0), -1, &[]);
    request.topic_data[0].partition_data[0].records = Some(Batch::build(&header, &[record]).bytes().clone());
    let Response::Produce(answer) = cluster.answer(NodeId::broker(1), request) else { panic!("its answer") };
    let got = error(answer.responses[0].partition_responses[0].error_code);
    assert_eq!(got, Some(ErrorCode::InvalidTxnState), "it names no transactional id");
}
