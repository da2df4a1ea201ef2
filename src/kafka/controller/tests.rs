//! Controllers through their one way in, with brokers played by hand.

use std::collections::BTreeMap;

use super::*;
use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::controller::record::ResourceType;
use crate::kafka::node::Effects;
use crate::wire::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use crate::wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::wire::messages::*;
use crate::wire::{
    BrokerId, Envelope, LeaderEpoch, PartitionEpoch, Response, TopicPartition, Uuid, code, str_bytes, topic_name,
};

const LATENCY: Duration = Duration::from_millis(1);

/// Controllers, a network without losses, and what came back to the brokers.
struct Cluster {
    now: Instant,
    effects: Effects,
    controllers: BTreeMap<ControllerId, Controller>,
    /// By the time of delivery and the order of sending.
    in_flight: BTreeMap<(Instant, u64), (NodeId, NodeId, Envelope)>,
    sent: u64,
    answers: BTreeMap<Correlation, Response>,
    facts: Vec<Fact>,
}

impl Cluster {
    fn new(controllers: i32) -> Cluster {
        let voters: Vec<ControllerId> = (1..=controllers).map(ControllerId).collect();
        let config = Arc::new(BrokerConfig::default());
        let nodes = voters.iter().map(|id| (*id, Controller::new(*id, voters.clone(), config.clone())));
        let mut cluster = Cluster {
            now: Instant::ZERO,
            effects: Effects::new(7),
            controllers: nodes.collect(),
            in_flight: BTreeMap::new(),
            sent: 0,
            answers: BTreeMap::new(),
            facts: Vec::new(),
        };
        for id in voters {
            cluster.hand(id, Input::Start);
        }
        cluster
    }

    /// One input to one controller, and its sends into the network.
    fn hand(&mut self, id: ControllerId, input: Input) {
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.controllers.get_mut(&id).unwrap().handle(&mut turn, input);
        self.facts.append(&mut self.effects.facts);
        for (to, envelope) in std::mem::take(&mut self.effects.sends) {
            self.send(NodeId::Controller(id), to, envelope);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, envelope: Envelope) {
        self.sent += 1;
        self.in_flight.insert((self.now + LATENCY, self.sent), (from, to, envelope));
    }

    fn run_until(&mut self, until: Instant) {
        loop {
            let delivery = self.in_flight.first_key_value().map(|((at, _), _)| *at);
            let alarms = self.controllers.iter().filter_map(|(id, node)| Some((node.next_alarm()?, *id)));
            let alarm = alarms.min();
            let next = [delivery, alarm.map(|((at, _), _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            if delivery == Some(next) {
                let (_, (from, to, envelope)) = self.in_flight.pop_first().unwrap();
                self.deliver(from, to, envelope);
            } else if let Some(((_, alarm), id)) = alarm {
                self.hand(id, Input::Alarm(alarm));
            }
        }
        self.now = until;
    }

    fn run_for(&mut self, ms: i64) {
        self.run_until(self.now + Duration::from_millis(ms));
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, envelope: Envelope) {
        match (to, envelope.body) {
            (NodeId::Controller(id), body) => {
                let envelope = Envelope { correlation: envelope.correlation, body };
                self.hand(id, Input::Deliver { from, envelope });
            }
            (_, Body::Response(response)) => drop(self.answers.insert(envelope.correlation, response)),
            (_, Body::Request(_)) => {}
        }
    }

    /// Sends a request as a broker does; the answer comes with time.
    fn tell(&mut self, broker: i32, to: ControllerId, request: impl Into<Request>) -> Correlation {
        self.effects.correlation.0 += 1;
        let correlation = self.effects.correlation;
        self.send(NodeId::broker(broker), NodeId::Controller(to), Envelope::request(correlation, request));
        correlation
    }

    fn ask_at(&mut self, broker: i32, to: ControllerId, request: impl Into<Request>) -> Response {
        let correlation = self.tell(broker, to, request);
        for _ in 0..1_000 {
            if let Some(answer) = self.answers.remove(&correlation) {
                return answer;
            }
            self.run_for(1);
        }
        panic!("no answer in a second");
    }

    fn ask(&mut self, broker: i32, request: impl Into<Request>) -> Response {
        let active = self.active();
        self.ask_at(broker, active, request)
    }

    fn active(&self) -> ControllerId {
        let mut active = self.controllers.values().filter(|node| node.is_active()).map(Controller::id);
        let one = active.next().expect("an active controller");
        assert_eq!(active.next(), None, "at most one controller is active");
        one
    }

    fn register(&mut self, broker: i32) -> i64 {
        let mut request = BrokerRegistrationRequest::default();
        request.broker_id = BrokerId(broker);
        request.incarnation_id = Uuid::from_u128(broker as u128);
        request.previous_broker_epoch = -1;
        let Response::BrokerRegistration(response) = self.ask(broker, request) else { panic!() };
        assert_eq!(response.error_code, 0);
        response.broker_epoch
    }

    fn heartbeat_request(&self, broker: i32) -> BrokerHeartbeatRequest {
        let image = self.controllers[&self.active()].image().unwrap();
        let mut request = BrokerHeartbeatRequest::default();
        request.broker_id = BrokerId(broker);
        request.broker_epoch = image.brokers[&BrokerId(broker)].epoch.0;
        request.current_metadata_offset = image.offset.0;
        request
    }

    fn heartbeat(&mut self, broker: i32) -> BrokerHeartbeatResponse {
        let request = self.heartbeat_request(broker);
        let Response::BrokerHeartbeat(response) = self.ask(broker, request) else { panic!() };
        response
    }

    /// Brokers 1 to `count`, unfenced.
    fn with_brokers(controllers: i32, count: i32) -> Cluster {
        let mut cluster = Cluster::new(controllers);
        cluster.run_for(5_000);
        for broker in 1..=count {
            cluster.register(broker);
            assert!(!cluster.heartbeat(broker).is_fenced);
        }
        cluster
    }

    fn create_orders(&mut self, min_isr: &str) {
        let mut topic = CreatableTopic::default();
        topic.name = topic_name("orders");
        (topic.num_partitions, topic.replication_factor) = (-1, -1);
        let mut assignment = CreatableReplicaAssignment::default();
        assignment.broker_ids = [3, 1, 2].map(BrokerId).to_vec();
        topic.assignments.push(assignment);
        let mut config = create_topics_request::CreatableTopicConfig::default();
        (config.name, config.value) = (str_bytes("min.insync.replicas"), Some(str_bytes(min_isr)));
        topic.configs.push(config);
        let mut request = CreateTopicsRequest::default();
        request.topics.push(topic);
        let Response::CreateTopics(response) = self.ask(1, request) else { panic!() };
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    }

    fn orders(&self) -> PartitionRegistration {
        let image = self.controllers[&self.active()].image().unwrap();
        image.partition(&TopicPartition::named("orders", 0)).unwrap().clone()
    }

    /// The brokers send heartbeats every two seconds for this long.
    fn live(&mut self, brokers: &[i32], seconds: i64) {
        let until = self.now + Duration::from_secs(seconds);
        while self.now < until {
            for broker in brokers {
                self.heartbeat(*broker);
            }
            self.run_until((self.now + Duration::from_secs(2)).min(until));
        }
    }
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

#[test]
fn a_new_cluster_agrees_on_its_features_first() {
    let mut cluster = Cluster::new(1);
    cluster.run_for(1_000);
    let controller = &cluster.controllers[&ControllerId(1)];
    assert!(controller.is_active());
    let image = controller.image().unwrap();
    assert_eq!(image.features.get("eligible.leader.replicas.version".as_bytes()), Some(&1));
    assert_eq!(image.features.len(), 4);
    assert_eq!(image.cluster_configs.len(), 1);
}

#[test]
fn a_broker_is_unfenced_when_it_has_caught_up_with_its_registration() {
    let mut cluster = Cluster::new(1);
    cluster.run_for(1_000);
    let epoch = cluster.register(1);
    let mut early = cluster.heartbeat_request(1);
    early.current_metadata_offset = epoch - 1;
    let Response::BrokerHeartbeat(response) = cluster.ask(1, early) else { panic!() };
    assert!(response.is_fenced && !response.is_caught_up);
    let response = cluster.heartbeat(1);
    assert!(!response.is_fenced && response.is_caught_up);
    assert!(
        cluster.facts.contains(&Fact::BrokerRegistered { broker: BrokerId(1), epoch: crate::wire::BrokerEpoch(epoch) })
    );
    assert!(cluster.facts.contains(&Fact::BrokerUnfenced { broker: BrokerId(1) }));
}

#[test]
fn an_answer_waits_until_its_records_are_committed() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let before = cluster.now;
    cluster.heartbeat(1);
    assert!(cluster.now - before < Duration::from_millis(30), "nothing to commit, or a no-op at most");
    cluster.run_for(100);
    let mut request = CreateTopicsRequest::default();
    let mut topic = CreatableTopic::default();
    topic.name = topic_name("orders");
    (topic.num_partitions, topic.replication_factor) = (3, 1);
    request.topics.push(topic);
    let before = cluster.now;
    let Response::CreateTopics(response) = cluster.ask(1, request) else { panic!() };
    assert_eq!((response.topics[0].num_partitions, response.topics[0].replication_factor), (3, 1));
    assert!(cluster.now - before >= Duration::from_millis(25), "records linger before they are written");
    let created = Fact::TopicCreated { topic: topic_name("orders"), partitions: 3, replication_factor: 1 };
    assert_eq!(cluster.facts.iter().filter(|fact| **fact == created).count(), 1);
}

#[test]
fn a_silent_broker_is_fenced_after_its_session_and_its_leaderships_move_in_replica_order() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.create_orders("3");
    assert_eq!(cluster.orders().leader, Some(BrokerId(3)));
    cluster.heartbeat(3);
    let last_contact = cluster.now;
    cluster.facts.clear();
    cluster.live(&[1, 2], 13);
    let partition = cluster.orders();
    assert_eq!((partition.leader, ids(&partition.isr), ids(&partition.elr)), (Some(BrokerId(1)), vec![1, 2], vec![3]));
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(1), PartitionEpoch(1)));
    assert!(cluster.facts.contains(&Fact::BrokerFenced { broker: BrokerId(3), session_expired: true }));
    assert!(cluster.facts.contains(&Fact::LeaderElected {
        partition: TopicPartition::named("orders", 0),
        from: Some(BrokerId(3)),
        to: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(1),
        isr: vec![BrokerId(1), BrokerId(2)],
        unclean: false,
    }));
    assert!(cluster.now - last_contact < Duration::from_secs(14));
}

#[test]
fn a_broker_that_sends_heartbeats_keeps_its_session() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.live(&[1, 2, 3], 30);
    assert!(!cluster.facts.iter().any(|fact| matches!(fact, Fact::BrokerFenced { .. })));
}

#[test]
fn the_leader_expands_the_isr_by_alter_partition() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.create_orders("2");
    cluster.live(&[1, 2], 13);
    assert_eq!(ids(&cluster.orders().isr), [1, 2]);
    cluster.heartbeat(3);
    assert_eq!(ids(&cluster.orders().isr), [1, 2], "unfencing alone brings nobody back into the ISR");
    let (epochs, topic_id) = {
        let image = cluster.controllers[&ControllerId(1)].image().unwrap();
        let epochs: Vec<i64> = image.brokers.values().map(|broker| broker.epoch.0).collect();
        (epochs, image.topics[&topic_name("orders")].id)
    };
    let mut asked = PartitionData::default();
    (asked.leader_epoch, asked.partition_epoch) = (1, 1);
    for (broker, epoch) in (1..).zip(&epochs) {
        let mut member = BrokerState::default();
        (member.broker_id, member.broker_epoch) = (BrokerId(broker), *epoch);
        asked.new_isr_with_epochs.push(member);
    }
    let mut topic = TopicData::default();
    topic.topic_id = topic_id;
    topic.partitions.push(asked);
    let mut request = AlterPartitionRequest::default();
    (request.broker_id, request.broker_epoch) = (BrokerId(1), epochs[0]);
    request.topics.push(topic);
    let Response::AlterPartition(response) = cluster.ask(1, request.clone()) else { panic!() };
    let answer = &response.topics[0].partitions[0];
    assert_eq!((answer.error_code, ids(&answer.isr), answer.partition_epoch), (0, vec![1, 2, 3], 2));
    let Response::AlterPartition(response) = cluster.ask(1, request) else { panic!() };
    let answer = &response.topics[0].partitions[0];
    assert_eq!(answer.error_code, code(Some(ErrorCode::InvalidUpdateVersion)));
}

#[test]
fn a_controller_that_is_not_active_says_so() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let standby = *cluster.controllers.keys().find(|id| **id != cluster.active()).unwrap();
    let request = cluster.heartbeat_request(1);
    let Response::BrokerHeartbeat(response) = cluster.ask_at(1, standby, request) else { panic!() };
    assert_eq!(response.error_code, code(Some(ErrorCode::NotController)));
}

#[test]
fn every_controller_replays_the_same_metadata() {
    let mut cluster = Cluster::with_brokers(3, 3);
    cluster.create_orders("2");
    cluster.run_for(2_000);
    let images: Vec<&MetadataImage> = cluster.controllers.values().map(|node| node.image().unwrap()).collect();
    let same = |image: &&MetadataImage| image.topics == images[0].topics && image.brokers == images[0].brokers;
    assert!(images.iter().all(same));
}

#[test]
fn another_controller_takes_over_and_gives_every_broker_a_new_session() {
    let mut cluster = Cluster::with_brokers(3, 3);
    cluster.create_orders("2");
    cluster.live(&[1, 2, 3], 4);
    cluster.facts.clear();
    let first = cluster.active();
    cluster.controllers.get_mut(&first).unwrap().kill();
    cluster.run_for(8_000);
    let second = cluster.active();
    assert_ne!(first, second);
    assert!(!cluster.facts.iter().any(|fact| matches!(fact, Fact::BrokerFenced { .. })), "{:?}", cluster.facts);
    assert!(!cluster.facts.iter().any(|fact| matches!(fact, Fact::TopicCreated { .. })), "{:?}", cluster.facts);
    cluster.live(&[1, 2, 3], 6);
    assert_eq!(cluster.orders().leader, Some(BrokerId(3)));
}

#[test]
fn an_isolated_leader_takes_back_what_was_not_committed_and_tells_those_who_wait() {
    let mut cluster = Cluster::with_brokers(3, 3);
    let first = cluster.active();
    for (id, node) in &mut cluster.controllers {
        if *id != first {
            node.kill();
        }
    }
    let mut request = CreateTopicsRequest::default();
    let mut topic = CreatableTopic::default();
    topic.name = topic_name("orders");
    (topic.num_partitions, topic.replication_factor) = (1, 3);
    request.topics.push(topic);
    let correlation = cluster.tell(1, first, request);
    cluster.run_for(1_000);
    assert!(cluster.controllers[&first].image_ahead().unwrap().topics.contains_key(&topic_name("orders")));
    assert!(!cluster.answers.contains_key(&correlation));
    cluster.run_for(5_000);
    let controller = &cluster.controllers[&first];
    assert!(!controller.is_active());
    assert!(controller.image().unwrap().topics.is_empty());
    let Some(Response::CreateTopics(response)) = cluster.answers.get(&correlation) else { panic!() };
    assert_eq!(response.topics[0].error_code, code(Some(ErrorCode::NotController)));
}

#[test]
fn a_restarted_sole_controller_remembers_everything_and_tells_nothing_twice() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.create_orders("2");
    let before = cluster.orders();
    cluster.controllers.get_mut(&ControllerId(1)).unwrap().kill();
    cluster.run_for(1_000);
    cluster.facts.clear();
    cluster.hand(ControllerId(1), Input::Start);
    cluster.run_for(8_000);
    assert_eq!(cluster.orders(), before);
    let about_metadata = |fact: &&Fact| matches!(fact, Fact::TopicCreated { .. } | Fact::BrokerRegistered { .. });
    assert_eq!(cluster.facts.iter().find(about_metadata), None);
}

/// The broker asks whether it may stop.
fn leave(cluster: &mut Cluster, broker: i32) -> BrokerHeartbeatResponse {
    let mut request = cluster.heartbeat_request(broker);
    request.want_shut_down = true;
    let Response::BrokerHeartbeat(response) = cluster.ask(broker, request) else { panic!() };
    response
}

#[test]
fn a_broker_leaves_in_good_order_once_every_other_one_knows_the_new_leaders() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.create_orders("2");
    assert!(!leave(&mut cluster, 3).should_shut_down);
    assert_eq!(cluster.orders().leader, Some(BrokerId(1)));
    assert!(cluster.facts.contains(&Fact::BrokerInControlledShutdown { broker: BrokerId(3) }));
    assert!(!leave(&mut cluster, 3).should_shut_down, "brokers 1 and 2 have not said that they replayed it");
    cluster.heartbeat(1);
    cluster.heartbeat(2);
    assert!(leave(&mut cluster, 3).should_shut_down);
    cluster.run_for(100);
    assert!(cluster.facts.contains(&Fact::BrokerFenced { broker: BrokerId(3), session_expired: false }));
}

#[test]
fn whoever_comes_back_too_soon_is_refused_until_its_old_session_ends() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.create_orders("2");
    assert!(!leave(&mut cluster, 3).should_shut_down);
    cluster.heartbeat(1);
    cluster.heartbeat(2);
    assert!(leave(&mut cluster, 3).should_shut_down);
    let register = |cluster: &mut Cluster| {
        let mut request = BrokerRegistrationRequest::default();
        (request.broker_id, request.incarnation_id) = (BrokerId(3), Uuid::from_u128(33));
        request.previous_broker_epoch = -1;
        let Response::BrokerRegistration(response) = cluster.ask(3, request) else { panic!() };
        response.error_code
    };
    assert_eq!(register(&mut cluster), ErrorCode::DuplicateBrokerRegistration.code());
    cluster.live(&[1, 2], 8);
    assert_eq!(register(&mut cluster), ErrorCode::DuplicateBrokerRegistration.code());
    cluster.live(&[1, 2], 2);
    assert_eq!(register(&mut cluster), 0);
    // Its session ended, and it was fenced once more: that was no news.
    let fenced = cluster.facts.iter().filter(|fact| matches!(fact, Fact::BrokerFenced { .. })).count();
    assert_eq!(fenced, 1);
}

#[test]
fn a_change_of_the_minimum_isr_clears_the_elr() {
    let mut cluster = Cluster::with_brokers(1, 3);
    cluster.create_orders("3");
    cluster.live(&[1, 2], 13);
    assert_eq!(ids(&cluster.orders().elr), [3]);
    let mut config = AlterableConfig::default();
    (config.name, config.value) = (str_bytes("min.insync.replicas"), Some(str_bytes("1")));
    let mut resource = AlterConfigsResource::default();
    (resource.resource_type, resource.resource_name) = (2, str_bytes("orders"));
    resource.configs.push(config);
    let mut request = IncrementalAlterConfigsRequest::default();
    request.resources.push(resource);
    let Response::IncrementalAlterConfigs(response) = cluster.ask(1, request) else { panic!() };
    assert_eq!(response.responses[0].error_code, 0);
    assert!(cluster.orders().elr.is_empty());
    assert!(cluster.facts.contains(&Fact::ElrChanged { partition: TopicPartition::named("orders", 0), to: vec![] }));
}

#[test]
fn a_group_has_settings_of_its_own_that_the_brokers_bound() {
    let mut cluster = Cluster::with_brokers(1, 1);
    let mut alter = |group: &str, value: &str| {
        let mut config = AlterableConfig::default();
        (config.name, config.value) = (str_bytes("share.record.lock.duration.ms"), Some(str_bytes(value)));
        let mut resource = AlterConfigsResource::default();
        (resource.resource_type, resource.resource_name) = (ResourceType::Group as i8, str_bytes(group));
        resource.configs.push(config);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let Response::IncrementalAlterConfigs(response) = cluster.ask(1, request) else { panic!() };
        crate::wire::error(response.responses[0].error_code)
    };
    assert_eq!(alter("", "20000"), Some(ErrorCode::InvalidRequest));
    assert_eq!(alter("jobs", "1000"), Some(ErrorCode::InvalidConfig));
    assert_eq!(alter("jobs", "20000"), None);
    let group = crate::wire::GroupId(str_bytes("jobs"));
    let image = cluster.controllers[&cluster.active()].image().unwrap();
    assert_eq!(image.group_config(&group).collect::<Vec<_>>(), [("share.record.lock.duration.ms", "20000")]);
}

#[test]
fn producer_ids_come_in_blocks_of_a_thousand() {
    let mut cluster = Cluster::with_brokers(1, 2);
    for (broker, first) in [(1, 0), (2, 1_000), (1, 2_000)] {
        let mut request = AllocateProducerIdsRequest::default();
        request.broker_id = BrokerId(broker);
        request.broker_epoch = cluster.heartbeat_request(broker).broker_epoch;
        let Response::AllocateProducerIds(response) = cluster.ask(broker, request) else { panic!() };
        assert_eq!((response.error_code, response.producer_id_start.0, response.producer_id_len), (0, first, 1_000));
    }
}

#[test]
fn a_controller_that_is_told_to_stop_hands_over_and_stops() {
    let mut cluster = Cluster::with_brokers(3, 1);
    let first = cluster.active();
    cluster.hand(first, Input::Command(Command::Shutdown));
    cluster.run_for(5_500);
    assert!(!cluster.controllers[&first].is_running());
    assert_ne!(cluster.active(), first);
    assert!(cluster.facts.contains(&Fact::Stopped { node: NodeId::Controller(first) }));
}
