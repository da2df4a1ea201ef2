//! Brokers together: replication, the high watermark, in-sync replicas, failover.

use highwater::kafka::broker::ProcessState;
use highwater::kafka::config::BrokerConfig;
use highwater::kafka::fact::Fact;
use highwater::time::Duration;
use highwater::wire::{BrokerId, ErrorCode, NodeId, Offset, TopicPartition};

use crate::small_cluster::Cluster;

fn orders() -> TopicPartition {
    TopicPartition::named("orders", 0)
}

fn three_brokers() -> Cluster {
    let mut cluster = Cluster::settled(3, BrokerConfig::default());
    cluster.create_topic("orders", &[&[1, 2, 3]], &[("min.insync.replicas", "2")]);
    cluster
}

#[test]
fn acks_all_waits_until_both_followers_have_fetched() {
    let mut cluster = three_brokers();
    let request = cluster.produce_request(&orders(), -1, &["a", "b"]);
    let before = cluster.now;
    let asked = cluster.ask(NodeId::broker(1), request);
    cluster.until(5, |cluster| cluster.answers.contains_key(&asked));
    // There and back for the client, and one round trip of the followers in between: an answer, the next fetch.
    assert_eq!((cluster.now - before).millis(), 1 + 2 + 1, "{}", cluster.told());
    assert!(cluster.ends(&orders()).iter().all(|(_, end)| *end == Offset(2)));
    let marks: Vec<i64> = cluster.ends(&orders()).iter().map(|(mark, _)| mark.0).collect();
    assert_eq!(marks, [2, 0, 0], "followers learn the high watermark one fetch later");
    cluster.run(Duration::from_millis(1_000));
    assert!(cluster.ends(&orders()).iter().all(|(mark, _)| *mark == Offset(2)), "{:?}", cluster.ends(&orders()));
}

#[test]
fn an_idle_cluster_fetches_without_naming_partitions() {
    let mut cluster = three_brokers();
    cluster.run(Duration::from_secs(5));
    let before = cluster.messages;
    cluster.run(Duration::from_secs(10));
    let rate = (cluster.messages - before) / 10;
    assert!(rate < 100, "{rate} messages a second");
    let leader = cluster.brokers[&BrokerId(1)].process().expect("it runs");
    for id in [2, 3] {
        let remote = leader.replica(&orders()).and_then(|r| r.remote(BrokerId(id))).expect("it follows");
        assert_eq!(remote.log_end, Offset(0));
    }
}

#[test]
fn a_leader_that_dies_is_replaced_and_rejoins_with_its_tail_cut_off() {
    let mut cluster = three_brokers();
    assert_eq!(cluster.produce(1, &orders(), -1, &["a"]), (0, 0));
    cluster.run(Duration::from_secs(1));
    // Nobody fetches from 1 any more, so what it writes now stays its own.
    for other in [2, 3] {
        cluster.cut.insert((NodeId::broker(1), NodeId::broker(other)));
    }
    assert_eq!(cluster.produce(1, &orders(), 1, &["lost"]), (0, 1));
    cluster.kill(1);
    cluster.until(30, |cluster| cluster.leader(&orders()) == Some(2));
    cluster.cut.clear();
    assert_eq!(cluster.isr(&orders()), [2, 3]);
    assert_eq!(cluster.produce(2, &orders(), -1, &["b"]), (0, 1));
    cluster.handle(NodeId::broker(1), highwater::kafka::node::Input::Start);
    cluster.until(60, |cluster| cluster.isr(&orders()) == [2, 3, 1]);
    for broker in 1..=3 {
        assert_eq!(cluster.values(broker, &orders()), ["a", "b"], "broker {broker}");
    }
    let cut = |(_, fact): &(_, Fact)| matches!(fact, Fact::Truncated { from: Offset(2), to: Offset(1), .. });
    assert!(cluster.facts.iter().any(cut), "{}", cluster.told());
}

#[test]
fn below_the_min_isr_acks_all_is_refused_and_nothing_is_written() {
    let mut cluster = three_brokers();
    cluster.kill(2);
    cluster.kill(3);
    cluster.until(60, |cluster| cluster.isr(&orders()) == [1]);
    let refused = ErrorCode::NotEnoughReplicas.code();
    assert_eq!(cluster.produce(1, &orders(), -1, &["a"]), (refused, -1));
    assert_eq!(cluster.log(1, &orders()).log_end(), Offset(0));
    assert_eq!(cluster.produce(1, &orders(), 1, &["b"]), (0, 0));
    assert_eq!(cluster.log(1, &orders()).high_watermark(), Offset(0), "frozen below the min ISR");
}

#[test]
fn a_silent_follower_falls_out_of_the_isr_and_comes_back() {
    let mut cluster = three_brokers();
    cluster.cut.insert((NodeId::broker(1), NodeId::broker(3)));
    let request = cluster.produce_request(&orders(), -1, &["a"]);
    let asked = cluster.ask(NodeId::broker(1), request);
    cluster.until(50, |cluster| cluster.isr(&orders()) == [1, 2]);
    cluster.run(Duration::from_secs(1));
    assert!(cluster.answers.contains_key(&asked), "the ISR that is left has it");
    cluster.cut.clear();
    cluster.until(90, |cluster| cluster.isr(&orders()) == [1, 2, 3]);
    assert_eq!(cluster.values(3, &orders()), ["a"]);
}

#[test]
fn a_controlled_shutdown_hands_the_leadership_over_first() {
    let mut cluster = three_brokers();
    assert_eq!(cluster.produce(1, &orders(), -1, &["a"]), (0, 0));
    let shutdown = highwater::kafka::node::Command::Shutdown;
    cluster.handle(NodeId::broker(1), highwater::kafka::node::Input::Command(shutdown));
    cluster.until(30, |cluster| cluster.brokers[&BrokerId(1)].state() == ProcessState::Down);
    cluster.notice(NodeId::broker(1));
    assert!(cluster.facts.iter().any(|(_, fact)| matches!(fact, Fact::Stopped { node } if *node == NodeId::broker(1))));
    assert!(cluster.brokers[&BrokerId(1)].disk().clean_shutdown.is_some());
    assert_eq!(cluster.produce(2, &orders(), -1, &["b"]), (0, 1));
    cluster.handle(NodeId::broker(1), highwater::kafka::node::Input::Start);
    cluster.until(60, |cluster| cluster.isr(&orders()).len() == 3);
    assert_eq!(cluster.values(1, &orders()), ["a", "b"]);
}

#[test]
fn a_producer_that_asks_the_wrong_broker_is_told_the_leader() {
    let mut cluster = three_brokers();
    let request = cluster.produce_request(&orders(), -1, &["a"]);
    let answer = cluster.answer(NodeId::broker(2), request);
    let highwater::wire::Response::Produce(answer) = answer else { panic!("its answer") };
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NotLeaderOrFollower.code());
    assert_eq!((partition.current_leader.leader_id, partition.current_leader.leader_epoch), (BrokerId(1), 0));
    assert_eq!(answer.node_endpoints[0].node_id, BrokerId(1));
}

#[test]
fn a_deleted_topic_leaves_nothing_behind() {
    use highwater::wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
    let mut cluster = three_brokers();
    assert_eq!(cluster.produce(1, &orders(), -1, &["a"]), (0, 0));
    let topic = DeleteTopicState::default().with_name(Some(orders().topic));
    let request = DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    cluster.answer(NodeId::broker(2), request);
    cluster.run(Duration::from_secs(2));
    assert!(cluster.ends(&orders()).is_empty());
    cluster.create_topic("orders", &[&[2, 3]], &[]);
    assert_eq!(cluster.produce(2, &orders(), -1, &["new"]), (0, 0));
    assert_eq!(cluster.values(3, &orders()), ["new"]);
}

#[test]
fn a_group_joins_commits_and_finds_its_offsets_after_the_coordinator_died() {
    use highwater::wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use highwater::wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    use highwater::wire::messages::{FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetFetchRequest};
    use highwater::wire::{Response, str_bytes};

    let mut cluster = three_brokers();
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![str_bytes("billing")]);
    let coordinator = |cluster: &mut Cluster, ask: i32| {
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
    };
    let first = coordinator(&mut cluster, 1);
    cluster.run(Duration::from_secs(1));
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(7);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(orders().topic)
        .with_topic_id(cluster.topic_id("orders"))
        .with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(GroupId(str_bytes("billing")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let Response::OffsetCommit(answer) = cluster.answer(NodeId::broker(first), commit) else { panic!("its answer") };
    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");

    cluster.kill(first);
    let other = if first == 1 { 2 } else { 1 };
    cluster.run(Duration::from_secs(15));
    let second = coordinator(&mut cluster, other);
    assert_ne!(first, second);
    let topic = OffsetFetchRequestTopics::default()
        .with_name(orders().topic)
        .with_topic_id(cluster.topic_id("orders"))
        .with_partition_indexes(vec![0]);
    let group =
        OffsetFetchRequestGroup::default().with_group_id(GroupId(str_bytes("billing"))).with_topics(Some(vec![topic]));
    let fetch = OffsetFetchRequest::default().with_groups(vec![group]);
    let Response::OffsetFetch(answer) = cluster.answer(NodeId::broker(second), fetch) else { panic!("its answer") };
    assert_eq!(answer.groups[0].topics[0].partitions[0].committed_offset, 7, "{answer:?}");
}

#[test]
fn records_deleted_at_the_leader_are_gone_when_every_replica_followed() {
    use highwater::wire::Response;
    use highwater::wire::messages::delete_records_request::{
        DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    };
    let mut cluster = three_brokers();
    assert_eq!(cluster.produce(1, &orders(), -1, &["a", "b", "c"]), (0, 0));
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(2);
    let topic = DeleteRecordsTopic::default().with_name(orders().topic).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let Response::DeleteRecords(answer) = cluster.answer(NodeId::broker(1), request) else { panic!("its answer") };
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.low_watermark), (0, 2));
    for broker in 1..=3 {
        assert_eq!(cluster.log(broker, &orders()).log_start(), Offset(2), "broker {broker}");
    }
}

#[test]
fn a_machine_without_power_comes_back_with_what_it_had_flushed_and_copies_the_rest() {
    let mut cluster = three_brokers();
    assert_eq!(cluster.produce(1, &orders(), -1, &["a", "b"]), (0, 0));
    cluster.run(Duration::from_secs(1));
    cluster.brokers.get_mut(&BrokerId(3)).expect("a broker").power_off();
    cluster.notice(NodeId::broker(3));
    assert_eq!(cluster.log(3, &orders()).log_end(), Offset(0), "nothing was flushed yet");
    cluster.handle(NodeId::broker(3), highwater::kafka::node::Input::Start);
    cluster
        .until(60, |cluster| cluster.isr(&orders()).contains(&3) && cluster.log(3, &orders()).log_end() == Offset(2));
    assert_eq!(cluster.values(3, &orders()), ["a", "b"]);
}

#[test]
fn a_consumer_waits_for_records_and_gets_them_when_they_are_committed() {
    use highwater::wire::Response;
    use highwater::wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
    let mut cluster = three_brokers();
    let fetch = |cluster: &Cluster, offset: i64, id: i32, epoch: i32, named: bool| {
        let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic_id(cluster.topic_id("orders")).with_partitions(vec![partition]);
        FetchRequest::default()
            .with_max_wait_ms(5_000)
            .with_min_bytes(1)
            .with_session_id(id)
            .with_session_epoch(epoch)
            .with_topics(if named { vec![topic] } else { Vec::new() })
    };
    let request = fetch(&cluster, 0, 0, 0, true);
    let asked = cluster.ask(NodeId::broker(1), request);
    cluster.run(Duration::from_secs(1));
    assert!(!cluster.answers.contains_key(&asked), "it waits");
    assert_eq!(cluster.produce(1, &orders(), 1, &["a"]), (0, 0));
    cluster.run(Duration::from_millis(20));
    let Some(Response::Fetch(answer)) = cluster.answers.remove(&asked) else { panic!("it has been answered") };
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.high_watermark, 1);
    assert!(partition.records.as_ref().is_some_and(|records| !records.is_empty()));
    // The session goes on: the new position is named once, then nothing is said of it any more.
    let id = answer.session_id;
    let request = fetch(&cluster, 1, id, 1, true);
    let Response::Fetch(answer) = cluster.answer(NodeId::broker(1), request) else { panic!("its answer") };
    assert!(answer.responses.is_empty(), "{answer:?}");
    let request = fetch(&cluster, 0, id, 2, false);
    let asked = cluster.ask(NodeId::broker(1), request);
    assert_eq!(cluster.produce(1, &orders(), -1, &["b"]), (0, 1));
    cluster.run(Duration::from_millis(20));
    let Some(Response::Fetch(answer)) = cluster.answers.remove(&asked) else { panic!("it has been answered") };
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 2);
    let request = fetch(&cluster, 0, id, 9, false);
    let Response::Fetch(answer) = cluster.answer(NodeId::broker(1), request) else { panic!("its answer") };
    assert_eq!(answer.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
}
