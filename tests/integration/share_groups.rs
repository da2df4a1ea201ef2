//! Share groups at the brokers: members acquire records of the same partition, say what became of them,
//! lose them again, and find everything as it was after a leader has died (KIP-932).

use highwater::kafka::broker::ProcessState;
use highwater::kafka::config::BrokerConfig;
use highwater::kafka::node::Input;
use highwater::time::Duration;
use highwater::wire::messages::share_acknowledge_request as acknowledge;
use highwater::wire::messages::share_fetch_request as fetch;
use highwater::wire::messages::share_fetch_response::PartitionData;
use highwater::wire::messages::{
    FindCoordinatorRequest, InitializeShareGroupStateRequest, ReadShareGroupStateSummaryRequest,
    ShareAcknowledgeRequest, ShareFetchRequest, ShareFetchResponse, initialize_share_group_state_request as initialize,
    read_share_group_state_summary_request as summary,
};
use highwater::wire::{
    BrokerId, Correlation, ErrorCode, GroupId, NodeId, Response, TopicPartition, code, error, str_bytes,
};

use crate::small_cluster::{CLIENT, Cluster};

const GROUP: &str = "jobs";
const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;

fn orders() -> TopicPartition {
    TopicPartition::named("orders", 0)
}

/// Three brokers, a topic with a partition led by broker 1, and the group's state of it as the group
/// coordinator would have it made.
fn cluster(start: i64) -> Cluster {
    let mut cluster = three_brokers();
    initialize(&mut cluster, GROUP, start);
    cluster
}

fn three_brokers() -> Cluster {
    let mut cluster = Cluster::settled(3, BrokerConfig::default());
    cluster.create_topic("orders", &[&[1, 2, 3]], &[("min.insync.replicas", "2")]);
    cluster
}

fn initialize(cluster: &mut Cluster, group: &str, start: i64) {
    let coordinator = share_coordinator(cluster, group);
    let partition = initialize::PartitionData::default().with_partition(0).with_state_epoch(1).with_start_offset(start);
    let topic = initialize::InitializeStateData::default()
        .with_topic_id(cluster.topic_id("orders"))
        .with_partitions(vec![partition]);
    let request = InitializeShareGroupStateRequest::default().with_group_id(str_bytes(group)).with_topics(vec![topic]);
    let answer = cluster.answer(NodeId::broker(coordinator), request);
    let Response::InitializeShareGroupState(answer) = answer else { panic!("its answer") };
    assert_eq!(answer.results[0].partitions[0].error_code, 0, "{answer:?}");
}

/// The broker that keeps the state of the share partition.
fn share_coordinator(cluster: &mut Cluster, group: &str) -> i32 {
    let topic = cluster.topic_id("orders");
    let group = GroupId(str_bytes(group));
    let key = highwater::kafka::share::SharePartitionKey { group, topic, partition: 0 };
    let request =
        FindCoordinatorRequest::default().with_key_type(2).with_coordinator_keys(vec![key.as_coordinator_key()]);
    for _ in 0..100 {
        let to = cluster.brokers.iter().find(|(_, broker)| broker.state() == ProcessState::Running);
        let to = NodeId::Broker(*to.expect("a broker runs").0);
        let Response::FindCoordinator(found) = cluster.answer(to, request.clone()) else { panic!("its answer") };
        if found.coordinators[0].error_code == 0 {
            return found.coordinators[0].node_id.0;
        }
        cluster.run(Duration::from_millis(200));
    }
    panic!("no share coordinator:\n{}", cluster.told());
}

/// What the share coordinator knows of where the group begins.
fn persisted_start(cluster: &mut Cluster, group: &str) -> i64 {
    let coordinator = share_coordinator(cluster, group);
    let partition = summary::PartitionData::default().with_partition(0);
    let topic = summary::ReadStateSummaryData::default()
        .with_topic_id(cluster.topic_id("orders"))
        .with_partitions(vec![partition]);
    let request = ReadShareGroupStateSummaryRequest::default().with_group_id(str_bytes(group)).with_topics(vec![topic]);
    let answer = cluster.answer(NodeId::broker(coordinator), request);
    let Response::ReadShareGroupStateSummary(answer) = answer else { panic!("its answer") };
    assert_eq!(answer.results[0].partitions[0].error_code, 0);
    answer.results[0].partitions[0].start_offset
}

struct Member {
    group: String,
    id: &'static str,
    broker: i32,
    epoch: i32,
}

impl Member {
    fn new(id: &'static str) -> Member {
        Member { group: GROUP.to_string(), id, broker: 1, epoch: 0 }
    }

    /// The first and last offset with their type, acknowledged together with the next fetch.
    fn request(&mut self, cluster: &Cluster, acks: &[(i64, i64, i8)], max_records: i32) -> ShareFetchRequest {
        let batch = |(first, last, kind): &(i64, i64, i8)| {
            fetch::AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(vec![*kind])
        };
        let partition = fetch::FetchPartition::default()
            .with_partition_index(0)
            .with_acknowledgement_batches(acks.iter().map(batch).collect());
        let topic =
            fetch::FetchTopic::default().with_topic_id(cluster.topic_id("orders")).with_partitions(vec![partition]);
        let epoch = self.epoch;
        self.epoch += 1;
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(str_bytes(&self.group))))
            .with_member_id(Some(str_bytes(self.id)))
            .with_share_session_epoch(epoch)
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_max_records(max_records)
            .with_batch_size(max_records)
            .with_topics(vec![topic])
    }

    fn fetch_answer(&mut self, cluster: &mut Cluster, acks: &[(i64, i64, i8)], max: i32) -> ShareFetchResponse {
        let request = self.request(cluster, acks, max);
        let Response::ShareFetch(answer) = cluster.answer(NodeId::broker(self.broker), request) else {
            panic!("its answer")
        };
        answer
    }

    /// What the partition's part of the answer says; `None` if it is not named.
    fn fetch_with(&mut self, cluster: &mut Cluster, acks: &[(i64, i64, i8)], max: i32) -> Option<PartitionData> {
        let answer = self.fetch_answer(cluster, acks, max);
        assert_eq!(answer.error_code, 0, "{:?}\n{}", error(answer.error_code), cluster.told());
        answer.responses.into_iter().next().map(|mut topic| topic.partitions.remove(0))
    }

    /// First and last offset of what was acquired, each with its delivery count.
    fn fetch(&mut self, cluster: &mut Cluster, max: i32) -> Vec<(i64, i64, i16)> {
        let data = self.fetch_with(cluster, &[], max);
        data.map(|data| acquired(&data)).unwrap_or_default()
    }

    /// As `fetch`, again and again until there is something.
    fn fetch_until(&mut self, cluster: &mut Cluster, max: i32) -> Vec<(i64, i64, i16)> {
        for _ in 0..200 {
            let got = self.fetch(cluster, max);
            if !got.is_empty() {
                return got;
            }
        }
        panic!("nothing comes:\n{}", cluster.told());
    }

    fn acknowledge_later(&mut self, cluster: &mut Cluster, first: i64, last: i64, kind: i8) -> Correlation {
        let batch = acknowledge::AcknowledgementBatch::default()
            .with_first_offset(first)
            .with_last_offset(last)
            .with_acknowledge_types(vec![kind]);
        let partition = acknowledge::AcknowledgePartition::default()
            .with_partition_index(0)
            .with_acknowledgement_batches(vec![batch]);
        let topic = acknowledge::AcknowledgeTopic::default()
            .with_topic_id(cluster.topic_id("orders"))
            .with_partitions(vec![partition]);
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(str_bytes(&self.group))))
            .with_member_id(Some(str_bytes(self.id)))
            .with_share_session_epoch(self.epoch)
            .with_topics(vec![topic]);
        self.epoch += 1;
        cluster.ask(NodeId::broker(self.broker), request)
    }

    fn acknowledge(&mut self, cluster: &mut Cluster, first: i64, last: i64, kind: i8) -> Option<ErrorCode> {
        let asked = self.acknowledge_later(cluster, first, last, kind);
        acknowledged(cluster, asked)
    }

    /// Closes the session.
    fn close(&mut self, cluster: &mut Cluster) {
        self.epoch = -1;
        let answer = self.fetch_answer(cluster, &[], 10);
        assert_eq!((answer.error_code, answer.responses), (0, vec![]));
    }
}

fn acknowledged(cluster: &mut Cluster, asked: Correlation) -> Option<ErrorCode> {
    cluster.until(60, |cluster| cluster.answers.contains_key(&asked));
    let Some(Response::ShareAcknowledge(answer)) = cluster.answers.remove(&asked) else { panic!("its answer") };
    error(answer.error_code).or_else(|| error(answer.responses[0].partitions[0].error_code))
}

fn acquired(data: &PartitionData) -> Vec<(i64, i64, i16)> {
    let ranges = data.acquired_records.iter();
    ranges.map(|range| (range.first_offset, range.last_offset, range.delivery_count)).collect()
}

fn produce_each(cluster: &mut Cluster, values: &[&str]) {
    let leader = cluster.leader(&orders()).expect("it has a leader");
    for value in values {
        assert_eq!(cluster.produce(leader, &orders(), -1, &[value]).0, 0);
    }
}

/// The share partition as its leader has it: start, end, and how many records are done with.
fn window(cluster: &Cluster, broker: i32) -> (i64, i64, i32) {
    let process = cluster.brokers[&BrokerId(broker)].process().expect("it runs");
    let (_, _, partition) = process.shares().partitions().next().expect("somebody fetches");
    let window = partition.window();
    (window.start.0, window.end.0, window.delivery_complete_count)
}

#[test]
fn members_of_a_share_group_get_different_records_of_one_partition() {
    let mut cluster = cluster(0);
    produce_each(&mut cluster, &["a", "b", "c", "d"]);
    let (mut one, mut two) = (Member::new("one"), Member::new("two"));
    assert_eq!(one.fetch(&mut cluster, 2), [(0, 1, 1)]);
    assert_eq!(two.fetch(&mut cluster, 2), [(2, 3, 1)]);
    assert_eq!(one.fetch(&mut cluster, 2), [], "there is nothing left");
    assert_eq!(two.acknowledge(&mut cluster, 2, 3, ACCEPT), None);
    assert_eq!(window(&cluster, 1), (0, 3, 2), "the start waits for the first records");
    assert_eq!(one.acknowledge(&mut cluster, 0, 1, ACCEPT), None);
    assert_eq!(window(&cluster, 1), (4, 4, 0));
    assert_eq!(one.acknowledge(&mut cluster, 0, 1, ACCEPT), None, "below the start nothing needs to be said");
    produce_each(&mut cluster, &["e"]);
    assert_eq!(two.fetch(&mut cluster, 2), [(4, 4, 1)]);
    let foreign = one.acknowledge(&mut cluster, 4, 4, ACCEPT);
    assert_eq!(foreign, Some(ErrorCode::InvalidRecordState), "another member has it");
    assert_eq!(persisted_start(&mut cluster, GROUP), 0, "the start travels with the next change");
    assert_eq!(two.acknowledge(&mut cluster, 4, 4, REJECT), None);
    assert_eq!(persisted_start(&mut cluster, GROUP), 4);
    assert_eq!(window(&cluster, 1), (5, 5, 0));
}

#[test]
fn a_fetch_waits_for_records_and_carries_acknowledgements() {
    let mut cluster = cluster(-1);
    produce_each(&mut cluster, &["before the group"]);
    let mut member = Member::new("one");
    assert_eq!(member.fetch(&mut cluster, 10), [], "the group begins at the end of the log");
    let request = member.request(&cluster, &[], 10);
    let asked = cluster.ask(NodeId::broker(1), request);
    let began = cluster.now;
    produce_each(&mut cluster, &["a"]);
    cluster.until(5, |cluster| cluster.answers.contains_key(&asked));
    assert!((cluster.now - began).millis() < 100, "it did not wait for its time to run out");
    let Some(Response::ShareFetch(answer)) = cluster.answers.remove(&asked) else { panic!("its answer") };
    assert_eq!(answer.acquisition_lock_timeout_ms, 30_000);
    let data = &answer.responses[0].partitions[0];
    assert_eq!(acquired(data), [(1, 1, 1)]);
    let records = highwater::wire::batch::Batch::parse_all(data.records.clone().expect("records"), true);
    assert_eq!(records.expect("whole batches")[0].base_offset.0, 1);

    let data = member.fetch_with(&mut cluster, &[(1, 1, ACCEPT)], 10).expect("the acknowledgement is answered");
    assert_eq!((data.acknowledge_error_code, acquired(&data)), (0, vec![]));
    let data = member.fetch_with(&mut cluster, &[(7, 7, ACCEPT)], 10).expect("the acknowledgement is answered");
    assert_eq!(data.acknowledge_error_code, code(Some(ErrorCode::InvalidRecordState)));
}

#[test]
fn a_record_that_is_released_or_not_acknowledged_in_time_is_delivered_again_and_archived_in_the_end() {
    let mut cluster = cluster(0);
    produce_each(&mut cluster, &["poison", "fine"]);
    let (mut one, mut two) = (Member::new("one"), Member::new("two"));
    assert_eq!(one.fetch(&mut cluster, 10), [(0, 1, 1)]);
    assert_eq!(one.acknowledge(&mut cluster, 1, 1, ACCEPT), None);
    assert_eq!(one.acknowledge(&mut cluster, 0, 0, RELEASE), None);
    assert_eq!(two.fetch(&mut cluster, 10), [(0, 0, 2)]);
    let began = cluster.now;
    for delivery_count in 3..=5 {
        assert_eq!(one.fetch_until(&mut cluster, 10), [(0, 0, delivery_count)]);
    }
    let waited = (cluster.now - began).millis();
    assert!((90_000..91_000).contains(&waited), "three locks of 30 s ran out: {waited}");
    assert_eq!(window(&cluster, 1), (0, 1, 1));
    cluster.run(Duration::from_secs(31));
    assert_eq!(window(&cluster, 1), (2, 2, 0), "delivered five times, it is archived");
    assert_eq!(two.fetch(&mut cluster, 10), []);
    assert_eq!(two.acknowledge(&mut cluster, 0, 0, ACCEPT), None);
}

#[test]
fn a_member_that_closes_its_session_or_loses_its_connection_gives_its_records_back() {
    let mut cluster = cluster(0);
    produce_each(&mut cluster, &["a", "b"]);
    let (mut one, mut two) = (Member::new("one"), Member::new("two"));
    assert_eq!(one.fetch(&mut cluster, 10), [(0, 1, 1)]);
    one.close(&mut cluster);
    assert_eq!(two.fetch_until(&mut cluster, 1), [(0, 1, 2)], "what was acquired together stays together");
    one.epoch = 1;
    assert_eq!(one.acknowledge(&mut cluster, 0, 0, ACCEPT), Some(ErrorCode::ShareSessionNotFound));
    two.epoch = 7;
    assert_eq!(two.acknowledge(&mut cluster, 0, 0, ACCEPT), Some(ErrorCode::InvalidShareSessionEpoch));
    cluster.handle(NodeId::broker(1), Input::Disconnected { peer: CLIENT });
    cluster.run(Duration::from_secs(1));
    let process = cluster.brokers[&BrokerId(1)].process().expect("it runs");
    assert_eq!(process.shares().partitions().count(), 0, "nobody of the group fetches here any more");
    one.epoch = 0;
    assert_eq!(one.fetch_until(&mut cluster, 10), [(0, 1, 3)]);
}

#[test]
fn the_next_leader_goes_on_from_what_was_persisted() {
    let mut cluster = cluster(0);
    produce_each(&mut cluster, &["a", "b", "c", "d", "e"]);
    let mut member = Member::new("one");
    assert_eq!(member.fetch(&mut cluster, 10), [(0, 4, 1)]);
    assert_eq!(member.acknowledge(&mut cluster, 1, 1, ACCEPT), None);
    assert_eq!(member.acknowledge(&mut cluster, 3, 3, RELEASE), None);
    cluster.kill(1);
    cluster.until(60, |cluster| cluster.leader(&orders()) == Some(2));
    let mut member = Member { broker: 2, ..Member::new("two") };
    let mut got = member.fetch_until(&mut cluster, 10);
    while got.iter().map(|(first, last, _)| last - first + 1).sum::<i64>() < 4 {
        got.extend(member.fetch_until(&mut cluster, 10));
    }
    got.sort_unstable();
    // What was acquired and not acknowledged is as if it had never been delivered.
    assert_eq!(got, [(0, 0, 1), (2, 2, 1), (3, 3, 2), (4, 4, 1)], "{}", cluster.told());
    for at in [0, 2, 3, 4] {
        assert_eq!(member.acknowledge(&mut cluster, at, at, ACCEPT), None);
    }
    assert_eq!(window(&cluster, 2), (5, 5, 0));
    cluster.handle(NodeId::broker(1), Input::Start);
    cluster.until(60, |cluster| cluster.isr(&orders()).len() == 3);
    let mut late = Member::new("one");
    let data = late.fetch_with(&mut cluster, &[], 10).expect("the partition is named");
    assert_eq!(data.error_code, code(Some(ErrorCode::NotLeaderOrFollower)));
    assert_eq!(data.current_leader.leader_id, 2);
}

#[test]
fn an_acknowledgement_survives_the_death_of_the_share_coordinator() {
    let mut cluster = three_brokers();
    let groups: Vec<String> = (0..10).map(|number| format!("jobs-{number}")).collect();
    // The leader of the partition that is read has to stay.
    let group = groups.iter().find(|group| share_coordinator(&mut cluster, group) != 1).expect("one of ten");
    initialize(&mut cluster, group, 0);
    produce_each(&mut cluster, &["a", "b", "c"]);
    let mut member = Member { group: group.clone(), ..Member::new("one") };
    assert_eq!(member.fetch_until(&mut cluster, 10), [(0, 2, 1)]);
    assert_eq!(member.acknowledge(&mut cluster, 0, 0, ACCEPT), None);
    let coordinator = share_coordinator(&mut cluster, group);
    cluster.kill(coordinator);
    let asked = member.acknowledge_later(&mut cluster, 1, 1, ACCEPT);
    assert_eq!(acknowledged(&mut cluster, asked), None, "{}", cluster.told());
    assert_ne!(share_coordinator(&mut cluster, group), coordinator);
    assert_eq!(member.acknowledge(&mut cluster, 2, 2, ACCEPT), None);
    assert_eq!(persisted_start(&mut cluster, group), 2);
    assert_eq!(window(&cluster, 1), (3, 3, 0));
}

#[test]
fn a_group_whose_state_was_never_initialised_cannot_fetch() {
    let mut cluster = three_brokers();
    let mut member = Member::new("one");
    let before = cluster.now;
    let data = loop {
        if let Some(data) = member.fetch_with(&mut cluster, &[], 10) {
            break data;
        }
        assert!((cluster.now - before).millis() < 60_000, "{}", cluster.told());
    };
    assert_eq!(data.error_code, code(Some(ErrorCode::UnknownServerError)));
    let topic = cluster.image().topics.get(&highwater::wire::topic_name("__share_group_state"));
    assert_eq!(topic.map(|topic| topic.partitions.len()), Some(50), "the first question has made the topic");
}
