//! A transactional producer against brokers that the test plays.

use super::testing::{Bench, topic_id};
use crate::kafka::client::Producer;
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Command, TxnCall, TxnOffsets, TxnState};
use crate::wire::batch::Batch;
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use crate::wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::wire::messages::{
    EndTxnRequest, EndTxnResponse, FindCoordinatorResponse, ProduceResponse, TxnOffsetCommitResponse,
};
use crate::wire::{
    ApiKey, BrokerId, ClientId, Correlation, ErrorCode, GroupId, NodeId, Offset, ProducerId, Request, TopicPartition,
    code, str_bytes, topic_name,
};

/// It has asked who coordinates, and has its producer id: 7, epoch 0.
fn ready(linger_ms: i64) -> Bench<Producer> {
    let config = ProducerConfig { linger: crate::time::Duration::from_millis(linger_ms), ..ProducerConfig::default() };
    let producer = Producer::new(ClientId(1), "app", vec![NodeId::broker(1)], config, Some("pay".to_string()));
    let mut bench = Bench::start(producer, &[("orders", &[(1, 0)])]);
    coordinated(&mut bench, "pay", 1, 3);
    assert_eq!(bench.node.transaction(), Some((TxnState::Ready, None)));
    bench
}

/// The question who coordinates, of the expected key and kind, is answered.
fn coordinated(bench: &mut Bench<Producer>, key: &str, kind: i8, by: i32) {
    let (to, correlation, request) = bench.take(ApiKey::FindCoordinator);
    let Request::FindCoordinator(asked) = request else { unreachable!() };
    assert_eq!((asked.coordinator_keys, asked.key_type), (vec![str_bytes(key)], kind));
    let found = Coordinator::default().with_key(str_bytes(key)).with_node_id(BrokerId(by));
    bench.answer(to, correlation, FindCoordinatorResponse::default().with_coordinators(vec![found]));
}

fn call(bench: &mut Bench<Producer>, call: TxnCall) {
    bench.command(Command::Transaction(call));
}

fn state(bench: &Bench<Producer>) -> TxnState {
    bench.node.transaction().expect("it runs").0
}

fn take_produce(bench: &mut Bench<Producer>) -> (NodeId, Correlation, Batch) {
    let (to, correlation, request) = bench.take(ApiKey::Produce);
    let Request::Produce(request) = request else { unreachable!() };
    assert_eq!(request.transactional_id.map(|id| id.0), Some(str_bytes("pay")));
    let records = request.topic_data[0].partition_data[0].records.clone();
    (to, correlation, Batch::split_first(&mut records.expect("records"), true).expect("a batch"))
}

fn produced(error: Option<ErrorCode>, offset: i64) -> ProduceResponse {
    let row = PartitionProduceResponse::default().with_error_code(code(error)).with_base_offset(offset);
    let topic = TopicProduceResponse::default().with_topic_id(topic_id("orders")).with_partition_responses(vec![row]);
    ProduceResponse::default().with_responses(vec![topic])
}

fn take_end(bench: &mut Bench<Producer>) -> (NodeId, Correlation, EndTxnRequest) {
    let (to, correlation, request) = bench.take(ApiKey::EndTxn);
    let Request::EndTxn(request) = request else { unreachable!() };
    (to, correlation, request)
}

fn ended(epoch: i16) -> EndTxnResponse {
    EndTxnResponse::default().with_producer_id(ProducerId(7)).with_producer_epoch(epoch)
}

fn refused(error: ErrorCode) -> EndTxnResponse {
    EndTxnResponse::default().with_error_code(error.code())
}

/// What the last refusal said.
fn refusal(bench: &Bench<Producer>) -> String {
    let refusal = bench.facts.iter().rev().find_map(|fact| match fact {
        Fact::TxnCallRefused { error, .. } | Fact::SendRejected { error, .. } => Some(error.to_string()),
        _ => None,
    });
    refusal.unwrap_or_default()
}

fn one_record_written(bench: &mut Bench<Producer>) {
    call(bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    bench.run_for(crate::time::Duration::from_millis(5));
    let (to, correlation, _) = take_produce(bench);
    bench.answer(to, correlation, produced(None, 0));
}

#[test]
fn a_commit_waits_for_its_batches_and_brings_the_next_epoch() {
    let mut bench = ready(1_000);
    bench.send("orders", Some("a"), "1");
    assert_eq!(refusal(&bench), "Cannot add partition orders-0 to transaction while in state  READY");
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    assert!(bench.sent.is_empty(), "linger.ms is not over");
    call(&mut bench, TxnCall::Commit);
    let (to, correlation, batch) = take_produce(&mut bench);
    assert!(batch.is_transactional());
    assert_eq!((batch.producer_id.0, batch.producer_epoch, batch.base_sequence), (7, 0, 0));
    assert!(bench.sent.is_empty(), "the end waits for the batch");
    bench.answer(to, correlation, produced(None, 0));
    let (to, correlation, end) = take_end(&mut bench);
    assert_eq!((to, end.committed, end.producer_epoch), (NodeId::broker(3), true, 0));
    bench.answer(to, correlation, ended(1));
    assert_eq!(state(&bench), TxnState::Ready);
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "2");
    call(&mut bench, TxnCall::Commit);
    let (_, _, batch) = take_produce(&mut bench);
    assert_eq!((batch.producer_epoch, batch.base_sequence), (1, 0));
}

#[test]
fn an_abort_drops_what_was_not_sent() {
    let mut bench = ready(1_000);
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    call(&mut bench, TxnCall::Abort);
    assert_eq!(bench.node.failed().get(&ErrorCode::TransactionAbortable.code()), Some(&1));
    // The producer has said that it will write; so the coordinator is asked to abort.
    let (to, correlation, end) = take_end(&mut bench);
    assert!(!end.committed);
    bench.answer(to, correlation, ended(1));
    assert_eq!(state(&bench), TxnState::Ready);
    assert_eq!(bench.kinds().last(), Some(&"ProducerIdAssigned"));
}

#[test]
fn nobody_hears_of_an_empty_transaction() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    call(&mut bench, TxnCall::Commit);
    assert!(bench.sent.is_empty());
    assert_eq!(state(&bench), TxnState::Ready);
    call(&mut bench, TxnCall::Commit);
    assert_eq!(
        refusal(&bench),
        "TransactionalId pay: Invalid transition attempted from state READY to state COMMITTING_TRANSACTION"
    );
}

#[test]
fn an_end_is_tried_again_by_whoever_coordinates() {
    let mut bench = ready(0);
    one_record_written(&mut bench);
    call(&mut bench, TxnCall::Commit);
    let (to, correlation, _) = take_end(&mut bench);
    bench.answer(to, correlation, refused(ErrorCode::NotCoordinator));
    assert!(bench.sent.is_empty(), "retry.backoff.ms first");
    bench.run_for(crate::time::Duration::from_millis(100));
    coordinated(&mut bench, "pay", 1, 2);
    let (to, correlation, _) = take_end(&mut bench);
    assert_eq!(to, NodeId::broker(2));
    bench.answer(to, correlation, refused(ErrorCode::ConcurrentTransactions));
    bench.run_for(crate::time::Duration::from_millis(100));
    let (to, correlation, _) = take_end(&mut bench);
    bench.answer(to, correlation, ended(1));
    assert_eq!(state(&bench), TxnState::Ready);
}

#[test]
fn a_fenced_producer_cannot_go_on() {
    let mut bench = ready(0);
    one_record_written(&mut bench);
    call(&mut bench, TxnCall::Commit);
    let (to, correlation, _) = take_end(&mut bench);
    bench.answer(to, correlation, refused(ErrorCode::ProducerFenced));
    assert_eq!(bench.node.transaction(), Some((TxnState::FatalError, Some(ErrorCode::ProducerFenced))));
    for again in [TxnCall::Begin, TxnCall::Abort] {
        call(&mut bench, again);
        assert_eq!(
            refusal(&bench),
            "Producer with transactionalId 'pay' and (producerId=7, epoch=0) has been fenced by another producer \
             with the same transactionalId"
        );
    }
    bench.command(Command::Close);
    assert!(!bench.node.is_running());
}

#[test]
fn an_old_epoch_at_the_partition_can_be_aborted_and_is_fenced_by_the_coordinator() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    let (to, correlation, _) = take_produce(&mut bench);
    bench.answer(to, correlation, produced(Some(ErrorCode::InvalidProducerEpoch), -1));
    assert_eq!(state(&bench), TxnState::AbortableError);
    call(&mut bench, TxnCall::Commit);
    assert!(refusal(&bench).ends_with("attempted to produce with an old epoch"), "{}", refusal(&bench));
    call(&mut bench, TxnCall::Abort);
    let (to, correlation, end) = take_end(&mut bench);
    assert!(!end.committed);
    bench.answer(to, correlation, refused(ErrorCode::ProducerFenced));
    assert_eq!(state(&bench), TxnState::FatalError);
}

#[test]
fn a_batch_that_times_out_leaves_only_the_abort() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    for _ in 0..4 {
        let (to, correlation, _) = take_produce(&mut bench);
        bench.run_for(crate::time::Duration::from_secs(29));
        bench.answer(to, correlation, produced(Some(ErrorCode::NotEnoughReplicas), -1));
        bench.run_for(crate::time::Duration::from_secs(2));
    }
    assert_eq!(bench.node.transaction(), Some((TxnState::AbortableError, Some(ErrorCode::TransactionAbortable))));
    call(&mut bench, TxnCall::Abort);
    let (to, correlation, _) = take_end(&mut bench);
    bench.answer(to, correlation, ended(1));
    one_record_written(&mut bench);
    assert_eq!((bench.node.acked(), state(&bench)), (1, TxnState::InTransaction));
}

fn offsets() -> TxnCall {
    TxnCall::Offsets(Box::new(TxnOffsets {
        group: GroupId(str_bytes("billing")),
        member: str_bytes("c1-x"),
        instance: None,
        generation: 3,
        offsets: vec![(TopicPartition::named("input", 0), Offset(5), None)],
    }))
}

fn committed(error: Option<ErrorCode>) -> TxnOffsetCommitResponse {
    let row = TxnOffsetCommitResponsePartition::default().with_error_code(code(error));
    let topic = TxnOffsetCommitResponseTopic::default().with_name(topic_name("input")).with_partitions(vec![row]);
    TxnOffsetCommitResponse::default().with_topics(vec![topic])
}

#[test]
fn offsets_go_to_the_groups_coordinator_with_the_generation() {
    let mut bench = ready(0);
    call(&mut bench, offsets());
    assert_eq!(refusal(&bench), "Cannot send offsets if a transaction is not in progress (currentState= READY)");
    call(&mut bench, TxnCall::Begin);
    call(&mut bench, offsets());
    call(&mut bench, TxnCall::Commit);
    coordinated(&mut bench, "billing", 0, 2);
    let (to, correlation, request) = bench.take(ApiKey::TxnOffsetCommit);
    let Request::TxnOffsetCommit(request) = request else { unreachable!() };
    assert_eq!((to, request.generation_id, request.member_id), (NodeId::broker(2), 3, str_bytes("c1-x")));
    assert_eq!(request.topics[0].partitions[0].committed_offset, 5);
    assert!(bench.sent.is_empty(), "the commit waits for the offsets");
    bench.answer(to, correlation, committed(Some(ErrorCode::CoordinatorLoadInProgress)));
    bench.run_for(crate::time::Duration::from_millis(100));
    let (to, correlation, _) = bench.take(ApiKey::TxnOffsetCommit);
    bench.answer(to, correlation, committed(None));
    let (to, correlation, _) = take_end(&mut bench);
    bench.answer(to, correlation, ended(1));
    assert_eq!(state(&bench), TxnState::Ready);
}

#[test]
fn offsets_of_another_generation_leave_only_the_abort() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    call(&mut bench, offsets());
    coordinated(&mut bench, "billing", 0, 2);
    let (to, correlation, _) = bench.take(ApiKey::TxnOffsetCommit);
    bench.answer(to, correlation, committed(Some(ErrorCode::IllegalGeneration)));
    assert_eq!(bench.node.transaction(), Some((TxnState::AbortableError, Some(ErrorCode::IllegalGeneration))));
    call(&mut bench, TxnCall::Abort);
    let (to, correlation, end) = take_end(&mut bench);
    assert!(!end.committed);
    bench.answer(to, correlation, ended(1));
    assert_eq!(state(&bench), TxnState::Ready);
}

#[test]
fn close_aborts_what_is_open() {
    let mut bench = ready(0);
    one_record_written(&mut bench);
    bench.command(Command::Close);
    let (to, correlation, end) = take_end(&mut bench);
    assert!(!end.committed && bench.node.is_running());
    bench.answer(to, correlation, ended(1));
    assert!(!bench.node.is_running());
}

/// The broker refuses the first of two batches in flight for good: the second one takes its sequences.
#[test]
fn what_follows_a_failed_batch_closes_up() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    bench.send("orders", Some("a"), "2");
    let (to, first, _) = take_produce(&mut bench);
    let (_, second, batch) = take_produce(&mut bench);
    assert_eq!(batch.base_sequence, 1);
    bench.answer(to, first, produced(Some(ErrorCode::InvalidTimestamp), -1));
    bench.answer(to, second, produced(Some(ErrorCode::OutOfOrderSequenceNumber), -1));
    bench.run_for(crate::time::Duration::from_secs(1));
    let (to, correlation, batch) = take_produce(&mut bench);
    assert_eq!(batch.base_sequence, 0);
    bench.answer(to, correlation, produced(None, 0));
    assert_eq!(state(&bench), TxnState::AbortableError);
    assert_eq!((bench.node.acked(), bench.node.pending()), (1, 0));
}

#[test]
fn a_record_that_fails_outside_of_a_transaction_is_refused() {
    let mut bench = ready(0);
    bench.send("orders", Some("a"), &"x".repeat(2_000_000));
    let why = "TransactionalId pay: Invalid transition attempted from state READY to state ABORTABLE_ERROR";
    assert_eq!(refusal(&bench), why);
    assert_eq!((bench.node.sent(), bench.node.rejected(), state(&bench)), (0, 1, TxnState::Ready));
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), &"x".repeat(2_000_000));
    assert_eq!((bench.node.sent(), bench.node.rejected(), state(&bench)), (1, 1, TxnState::AbortableError));
}

#[test]
fn an_abort_that_should_be_aborted_is_the_end_of_the_producer() {
    let mut bench = ready(0);
    one_record_written(&mut bench);
    call(&mut bench, TxnCall::Abort);
    let (to, correlation, _) = take_end(&mut bench);
    bench.answer(to, correlation, refused(ErrorCode::TransactionAbortable));
    assert_eq!(state(&bench), TxnState::FatalError);
}

#[test]
fn the_coordinator_of_one_group_is_asked_about_another_until_it_refuses() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    call(&mut bench, offsets());
    coordinated(&mut bench, "billing", 0, 2);
    let (to, correlation, _) = bench.take(ApiKey::TxnOffsetCommit);
    bench.answer(to, correlation, committed(None));
    let TxnCall::Offsets(mut others) = offsets() else { unreachable!() };
    others.group = GroupId(str_bytes("shipping"));
    call(&mut bench, TxnCall::Offsets(others));
    let (to, correlation, _) = bench.take(ApiKey::TxnOffsetCommit);
    assert_eq!(to, NodeId::broker(2));
    bench.answer(to, correlation, committed(Some(ErrorCode::NotCoordinator)));
    bench.run_for(crate::time::Duration::from_millis(100));
    coordinated(&mut bench, "shipping", 0, 3);
    let (to, correlation, _) = bench.take(ApiKey::TxnOffsetCommit);
    assert_eq!(to, NodeId::broker(3));
    bench.answer(to, correlation, committed(None));
    assert_eq!(state(&bench), TxnState::InTransaction);
}

#[test]
fn no_offsets_are_never_refused() {
    let mut bench = ready(0);
    let TxnCall::Offsets(mut none) = offsets() else { unreachable!() };
    none.offsets.clear();
    call(&mut bench, TxnCall::Offsets(none));
    assert_eq!((refusal(&bench), state(&bench)), (String::new(), TxnState::Ready));
}

#[test]
fn the_last_of_several_errors_is_the_one_that_is_told() {
    let mut bench = ready(0);
    call(&mut bench, TxnCall::Begin);
    bench.send("orders", Some("a"), "1");
    bench.send("orders", Some("a"), "2");
    let (to, first, _) = take_produce(&mut bench);
    let (_, second, _) = take_produce(&mut bench);
    bench.answer(to, first, produced(Some(ErrorCode::InvalidTimestamp), -1));
    bench.answer(to, second, produced(Some(ErrorCode::InvalidProducerEpoch), -1));
    assert_eq!(bench.node.transaction(), Some((TxnState::AbortableError, Some(ErrorCode::InvalidProducerEpoch))));
}
