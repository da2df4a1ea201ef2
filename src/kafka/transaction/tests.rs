//! The coordinator by the messages of the protocol, over a log that does what the test says.

use super::*;
use crate::kafka::controller::record::{MetadataRecord, PartitionRegistration};
use crate::kafka::coordinator::Coordinator;
use crate::kafka::node::Effects;
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use crate::wire::messages::add_partitions_to_txn_response::AddPartitionsToTxnResult;
use crate::wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::wire::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, InitProducerIdRequest, WriteTxnMarkersRequest,
};
use crate::wire::{Body, BrokerEpoch, ClientId, Envelope, ProducerId, Response, Uuid, code, str_bytes};
use crate::wire::{Offset, partition_of_key};

const CLIENT: NodeId = NodeId::Client(ClientId(1));
const EPOCH: LeaderEpoch = LeaderEpoch(3);

/// `orders-0` is led by broker 1, `orders-1` by broker 2.
struct Fixture {
    coordinator: TransactionCoordinator,
    image: MetadataImage,
    effects: Effects,
    now: Instant,
    end: Offset,
    asked: u64,
    /// Whether what is appended is replicated.
    replicates: bool,
}

fn named(id: &str) -> TransactionalId {
    TransactionalId(str_bytes(id))
}

fn home(id: &str) -> i32 {
    partition_of_key(id, 50)
}

fn lead(image: &mut MetadataImage, partition: i32, leader: i32) {
    image.replay(&MetadataRecord::Partition {
        topic: Uuid::from_u128(1),
        partition,
        registration: PartitionRegistration {
            leader: Some(BrokerId(leader)),
            ..PartitionRegistration::new([1, 2].map(BrokerId).to_vec(), [1, 2].map(BrokerId).to_vec())
        },
    });
}

impl Fixture {
    fn new() -> Fixture {
        let mut image = MetadataImage::new();
        image.replay(&MetadataRecord::FeatureLevel { name: str_bytes("transaction.version"), level: 2 });
        for id in 1..=2 {
            image.replay(&MetadataRecord::RegisterBroker {
                broker: BrokerId(id),
                incarnation: Uuid::nil(),
                epoch: BrokerEpoch(id.into()),
                rack: None,
                fenced: false,
                in_controlled_shutdown: false,
            });
        }
        image.replay(&MetadataRecord::Topic { name: topic_name("orders"), id: Uuid::from_u128(1) });
        lead(&mut image, 0, 1);
        lead(&mut image, 1, 2);
        let now = Instant::from_secs(100);
        let mut fixture = Fixture {
            coordinator: TransactionCoordinator::new(BrokerId(9), &BrokerConfig::default(), now),
            image,
            effects: Effects::new(1),
            now,
            end: Offset::ZERO,
            asked: 1_000,
            replicates: true,
        };
        for id in ["app", "other"] {
            fixture.coordinator.load(&mut Turn::new(now, &mut fixture.effects), home(id), EPOCH, []);
        }
        fixture
    }

    fn ask(&mut self, request: impl Into<Request>) -> Correlation {
        self.asked += 1;
        let correlation = Correlation(self.asked);
        let mut next = 0;
        let mut ids = |_: &mut Turn<'_>| {
            next += 1;
            Ok(ProducerId(next))
        };
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.handle(&mut turn, &self.image, &mut ids, CLIENT, correlation, &request.into());
        self.settle();
        correlation
    }

    fn settle(&mut self) {
        loop {
            let mut turn = Turn::new(self.now, &mut self.effects);
            self.coordinator.send_markers(&mut turn, &self.image);
            let appends = self.coordinator.take_appends();
            if appends.is_empty() {
                return;
            }
            for append in appends {
                self.coordinator.appended(&mut turn, append.partition, Ok(self.end));
                self.end += 1;
                if self.replicates {
                    self.coordinator.committed(&mut turn, append.partition, self.end);
                }
            }
        }
    }

    fn answer(&mut self, correlation: Correlation) -> Option<Response> {
        let mine = |(to, envelope): &(NodeId, Envelope)| *to == CLIENT && envelope.correlation == correlation;
        let at = self.effects.sends.iter().position(mine)?;
        match self.effects.sends.remove(at).1.body {
            Body::Response(response) => Some(response),
            Body::Request(_) => None,
        }
    }

    /// Lets time pass; every alarm on the way rings.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.coordinator.next_alarm().filter(|(at, _)| *at <= end) {
            assert!(at >= self.now, "an alarm in the past");
            self.now = at;
            self.coordinator.alarm(&mut Turn::new(self.now, &mut self.effects), &self.image);
            self.settle();
        }
        self.now = end;
    }

    fn begin(&mut self, id: &str) -> (ProducerId, i16) {
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(named(id)))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let asked = self.ask(init);
        let Some(Response::InitProducerId(answer)) = self.answer(asked) else { panic!("its answer") };
        assert_eq!(answer.error_code, 0);
        (answer.producer_id, answer.producer_epoch)
    }

    fn add(&mut self, transactions: Vec<AddPartitionsToTxnTransaction>) -> Correlation {
        self.ask(AddPartitionsToTxnRequest::default().with_transactions(transactions))
    }

    /// A transaction with both partitions, and the end of it asked for.
    fn commit(&mut self) -> Correlation {
        let producer = self.begin("app");
        let added = self.add(vec![adding("app", producer, &[0, 1])]);
        assert!(self.answer(added).is_some());
        let end = EndTxnRequest::default().with_transactional_id(named("app")).with_committed(true);
        self.ask(end.with_producer_id(producer.0).with_producer_epoch(producer.1))
    }

    /// The markers that a broker is asked for.
    fn take_markers(&mut self, broker: i32) -> Option<(Correlation, WriteTxnMarkersRequest)> {
        let at = self.effects.sends.iter().position(|(to, _)| *to == NodeId::broker(broker))?;
        let envelope = self.effects.sends.remove(at).1;
        let Body::Request(Request::WriteTxnMarkers(request)) = envelope.body else { return None };
        Some((envelope.correlation, request))
    }

    fn write_markers(&mut self, broker: i32, error: Option<ErrorCode>) {
        let (correlation, request) = self.take_markers(broker).expect("it is asked for markers");
        let mut response = WriteTxnMarkersResponse::default();
        for marker in request.markers {
            let topics = marker.topics.into_iter().map(|topic| {
                let written = |index: &i32| {
                    WritableTxnMarkerPartitionResult::default()
                        .with_partition_index(*index)
                        .with_error_code(code(error))
                };
                WritableTxnMarkerTopicResult::default()
                    .with_partitions(topic.partition_indexes.iter().map(written).collect())
                    .with_name(topic.name)
            });
            let topics = topics.collect();
            response
                .markers
                .push(WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics));
        }
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.markers_written(&mut turn, BrokerId(broker), correlation, &response);
        self.settle();
    }

    fn state(&self, id: &str) -> Option<TransactionState> {
        self.coordinator.transaction(&named(id)).map(|transaction| transaction.current.state)
    }
}

fn adding(id: &str, producer: (ProducerId, i16), partitions: &[i32]) -> AddPartitionsToTxnTransaction {
    let topic = AddPartitionsToTxnTopic::default().with_name(topic_name("orders")).with_partitions(partitions.to_vec());
    AddPartitionsToTxnTransaction::default()
        .with_transactional_id(named(id))
        .with_producer_id(producer.0)
        .with_producer_epoch(producer.1)
        .with_topics(vec![topic])
}

fn errors(answer: &AddPartitionsToTxnResponse) -> Vec<Vec<i16>> {
    let of = |result: &AddPartitionsToTxnResult| {
        let partitions = result.topic_results.iter().flat_map(|topic| &topic.results_by_partition);
        partitions.map(|partition| partition.partition_error_code).collect()
    };
    answer.results_by_transaction.iter().map(of).collect()
}

#[test]
fn a_marker_that_was_refused_goes_to_the_next_leader() {
    let mut fixture = Fixture::new();
    let asked = fixture.commit();
    assert!(fixture.answer(asked).is_some(), "answered when it is decided");
    fixture.write_markers(1, None);
    assert_eq!(fixture.state("app"), Some(TransactionState::PrepareCommit));
    fixture.write_markers(2, Some(ErrorCode::NotLeaderOrFollower));
    assert!(fixture.take_markers(2).is_none(), "not at once");
    lead(&mut fixture.image, 1, 1);
    fixture.settle();
    fixture.write_markers(1, None);
    assert_eq!(fixture.state("app"), Some(TransactionState::CompleteCommit));
}

#[test]
fn a_leader_that_is_silent_or_gone_is_asked_again() {
    let mut fixture = Fixture::new();
    fixture.commit();
    fixture.write_markers(1, None);
    fixture.take_markers(2).expect("its request");
    fixture.coordinator.disconnected(&Turn::new(fixture.now, &mut fixture.effects), BrokerId(2));
    fixture.settle();
    assert!(fixture.take_markers(2).is_none(), "not at once");
    fixture.pass(Duration::from_millis(50));
    fixture.take_markers(2).expect("again");
    fixture.pass(Duration::from_millis(30_050));
    assert!(fixture.effects.facts.iter().any(|fact| matches!(fact, Fact::RequestTimedOut { .. })));
    fixture.write_markers(2, None);
    assert_eq!(fixture.state("app"), Some(TransactionState::CompleteCommit));
}

#[test]
fn a_partition_that_is_deleted_needs_no_marker() {
    let mut fixture = Fixture::new();
    fixture.commit();
    fixture.write_markers(1, None);
    fixture.write_markers(2, Some(ErrorCode::UnknownTopicOrPartition));
    fixture.image.replay(&MetadataRecord::RemoveTopic { id: Uuid::from_u128(1) });
    fixture.settle();
    assert_eq!(fixture.state("app"), Some(TransactionState::CompleteCommit));
}

#[test]
fn who_is_not_the_coordinator_any_more_sends_no_markers() {
    let mut fixture = Fixture::new();
    fixture.commit();
    fixture.write_markers(1, None);
    fixture.write_markers(2, Some(ErrorCode::TransactionCoordinatorFenced));
    fixture.pass(Duration::from_secs(1));
    assert!(fixture.take_markers(2).is_none());
    assert_eq!(fixture.state("app"), Some(TransactionState::PrepareCommit), "somebody else completes it");
}

#[test]
fn a_prepared_transaction_is_completed_by_whoever_loads_it() {
    let mut fixture = Fixture::new();
    fixture.commit();
    let known = fixture.coordinator.transaction(&named("app")).expect("it is known").current.clone();
    let mut next = Fixture::new();
    let mut turn = Turn::new(next.now, &mut next.effects);
    next.coordinator.load(&mut turn, home("app"), EPOCH.next(), [(named("app"), Some(known))]);
    next.settle();
    let (_, request) = next.take_markers(1).expect("a request");
    assert_eq!(request.markers[0].coordinator_epoch, EPOCH.next().0);
    assert!(request.markers[0].transaction_result);
}

#[test]
fn what_is_not_replicated_has_not_happened_and_is_given_up() {
    let mut fixture = Fixture::new();
    let producer = fixture.begin("app");
    fixture.replicates = false;
    let asked = fixture.add(vec![adding("app", producer, &[0])]);
    assert_eq!(fixture.answer(asked), None);
    assert_eq!(fixture.state("app"), Some(TransactionState::Empty));
    fixture.pass(Duration::from_secs(60));
    let Some(Response::AddPartitionsToTxn(answer)) = fixture.answer(asked) else { panic!("its answer") };
    assert_eq!(errors(&answer), [[ErrorCode::CoordinatorNotAvailable.code()]]);
    fixture.replicates = true;
    let again = fixture.add(vec![adding("app", producer, &[0])]);
    assert!(fixture.answer(again).is_some());
    assert_eq!(fixture.state("app"), Some(TransactionState::Ongoing));
}

#[test]
fn who_waits_at_a_coordinator_that_resigns_has_to_find_the_next() {
    let mut fixture = Fixture::new();
    let producer = fixture.begin("app");
    fixture.replicates = false;
    let asked = fixture.add(vec![adding("app", producer, &[0])]);
    fixture.coordinator.resigned(&mut Turn::new(fixture.now, &mut fixture.effects), home("app"));
    let Some(Response::AddPartitionsToTxn(answer)) = fixture.answer(asked) else { panic!("its answer") };
    assert_eq!(errors(&answer), [[ErrorCode::NotCoordinator.code()]]);
    let asked = fixture.add(vec![adding("app", producer, &[0])]);
    let Some(Response::AddPartitionsToTxn(answer)) = fixture.answer(asked) else { panic!("its answer") };
    assert_eq!(errors(&answer), [[ErrorCode::NotCoordinator.code()]]);
}

#[test]
fn several_transactions_are_answered_together_each_by_itself() {
    let mut fixture = Fixture::new();
    let (first, second) = (fixture.begin("app"), fixture.begin("other"));
    let stale = (second.0, second.1 + 1);
    let asked = fixture.add(vec![
        adding("app", first, &[0, 1]),
        adding("other", stale, &[0]),
        adding("other", second, &[0, 7]),
        adding("app", first, &[0]).with_verify_only(true),
    ]);
    let Some(Response::AddPartitionsToTxn(answer)) = fixture.answer(asked) else { panic!("its answer") };
    let [fenced, unknown, not_attempted, abortable] = [
        ErrorCode::ProducerFenced,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::OperationNotAttempted,
        ErrorCode::TransactionAbortable,
    ]
    .map(|error| error.code());
    assert_eq!(errors(&answer), [vec![0, 0], vec![fenced], vec![not_attempted, unknown], vec![abortable]]);
    let asked = fixture.add(vec![adding("app", first, &[0]).with_verify_only(true)]);
    let Some(Response::AddPartitionsToTxn(answer)) = fixture.answer(asked) else { panic!("its answer") };
    assert_eq!(errors(&answer), [[0]], "now it is there");
}

#[test]
fn an_id_that_nobody_uses_is_forgotten_after_seven_days() {
    let mut fixture = Fixture::new();
    fixture.begin("app");
    assert!(matches!(fixture.coordinator.next_alarm(), Some((_, Alarm::TransactionalIdExpiry))));
    fixture.pass(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(fixture.state("app"), Some(TransactionState::Empty));
    fixture.pass(Duration::from_secs(3_601));
    assert_eq!(fixture.state("app"), None);
    assert_eq!(fixture.coordinator.next_alarm(), None, "nobody is woken for nothing");
}

#[test]
fn the_sweep_keeps_its_rhythm_over_times_without_transactions() {
    let mut fixture = Fixture::new();
    fixture.pass(Duration::from_millis(123_456));
    let producer = fixture.begin("app");
    let asked = fixture.add(vec![adding("app", producer, &[0])]);
    assert!(fixture.answer(asked).is_some());
    // The process began at 100 s and looks every ten.
    assert_eq!(fixture.coordinator.next_alarm(), Some((Instant::from_secs(230), Alarm::Transaction)));
    fixture.pass(Duration::from_secs(70));
    assert_eq!(fixture.state("app"), Some(TransactionState::PrepareAbort));
    let partitions: SortedSet<TopicPartition> = SortedSet::from([TopicPartition::named("orders", 0)]);
    assert_eq!(fixture.coordinator.pending_markers(&named("app")).map(|markers| &markers.remaining), Some(&partitions));
}

#[test]
fn an_old_epoch_of_a_producer_id_that_is_used_up_gets_nothing() {
    let mut used_up = Transaction::new(TransactionMetadata::new(ProducerId(1), 60_000, 0));
    used_up.current.producer_epoch = i16::MAX;
    assert_eq!(used_up.prepare_next_epoch(60_000, Some(i16::MAX - 1), 1), Err(ErrorCode::UnknownServerError));
    assert_eq!(used_up.pending, None);
    let next = used_up.prepare_rotation(ProducerId(2), 60_000, false, 1);
    assert_eq!((next.producer_id, next.producer_epoch, next.prev_producer_id), (ProducerId(2), 0, ProducerId(1)));
}

#[test]
fn a_producer_that_ends_with_the_next_id_while_the_last_end_is_written_has_to_wait() {
    let mut fixture = Fixture::new();
    fixture.commit();
    let end = EndTxnRequest::default().with_transactional_id(named("app")).with_committed(true);
    let asked = fixture.ask(end.with_producer_id(ProducerId(77)).with_producer_epoch(0));
    let Some(Response::EndTxn(answer)) = fixture.answer(asked) else { panic!("its answer") };
    assert_eq!(answer.error_code, ErrorCode::ConcurrentTransactions.code());
}

#[test]
fn a_prepared_transaction_cannot_be_kept_not_even_in_two_phases() {
    let mut fixture = Fixture::new();
    let config = BrokerConfig { transaction_two_phase_commit: true, ..BrokerConfig::default() };
    fixture.coordinator = TransactionCoordinator::new(BrokerId(0), &config, fixture.now);
    let home = home("app");
    fixture.coordinator.load(&mut Turn::new(fixture.now, &mut fixture.effects), home, LeaderEpoch(0), []);
    let init = InitProducerIdRequest::default()
        .with_transactional_id(Some(named("app")))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
        .with_enable_2_pc(true)
        .with_keep_prepared_txn(true);
    let asked = fixture.ask(init);
    let Some(Response::InitProducerId(answer)) = fixture.answer(asked) else { panic!("its answer") };
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
}
