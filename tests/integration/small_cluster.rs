//! A controller, some brokers and one client in virtual time: messages take a millisecond, and
//! nothing is lost but what a test loses.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use highwater::kafka::broker::{Broker, ProcessState};
use highwater::kafka::config::BrokerConfig;
use highwater::kafka::controller::Controller;
use highwater::kafka::controller::image::MetadataImage;
use highwater::kafka::fact::{Fact, Names};
use highwater::kafka::log::Log;
use highwater::kafka::node::{Effects, Input, Node, Turn};
use highwater::kafka::replica::fetcher::FollowerLogs;
use highwater::time::{Duration, Instant};
use highwater::wire::batch::{Batch, BatchHeader, NewRecord};
use highwater::wire::messages as m;
use highwater::wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use highwater::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater::wire::{
    Body, BrokerId, ClientId, ControllerId, Correlation, Envelope, NodeId, Offset, Request, Response, TopicPartition,
    Uuid, str_bytes, topic_name,
};

const LATENCY: Duration = Duration::from_millis(1);
pub const CLIENT: NodeId = NodeId::Client(ClientId(1));

pub struct Cluster {
    pub now: Instant,
    pub brokers: BTreeMap<BrokerId, Broker>,
    pub controllers: BTreeMap<ControllerId, Controller>,
    pub effects: Effects,
    pub facts: Vec<(Instant, Fact)>,
    /// What the client was answered.
    pub answers: BTreeMap<Correlation, Response>,
    network: BTreeMap<(Instant, u64), (NodeId, NodeId, Envelope)>,
    sent: u64,
    same_instant: u32,
    pub messages: u64,
    /// Pairs of nodes that do not reach each other.
    pub cut: BTreeSet<(NodeId, NodeId)>,
}

impl Cluster {
    /// A settled cluster of brokers 1 to `brokers`, unfenced.
    pub fn settled(brokers: i32, config: BrokerConfig) -> Cluster {
        let voters: Vec<ControllerId> = vec![ControllerId(1)];
        let controllers = voters.iter().map(|id| (*id, Controller::new(*id, voters.clone(), config.clone()))).collect();
        let broker = |id: i32| (BrokerId(id), Broker::new(BrokerId(id), config.clone(), voters.clone(), None));
        let mut cluster = Cluster {
            now: Instant::ZERO,
            brokers: (1..=brokers).map(broker).collect(),
            controllers,
            effects: Effects::new(7),
            facts: Vec::new(),
            answers: BTreeMap::new(),
            network: BTreeMap::new(),
            sent: 0,
            same_instant: 0,
            messages: 0,
            cut: BTreeSet::new(),
        };
        cluster.handle(NodeId::controller(1), Input::Start);
        for id in 1..=brokers {
            cluster.handle(NodeId::broker(id), Input::Start);
        }
        cluster.until(20, |cluster| cluster.brokers.values().all(|b| b.state() == ProcessState::Running));
        cluster
    }

    pub fn handle(&mut self, node: NodeId, input: Input) {
        let mut turn = Turn::new(self.now, &mut self.effects);
        match node {
            NodeId::Broker(id) => self.brokers.get_mut(&id).expect("a known broker").handle(&mut turn, input),
            NodeId::Controller(id) => self.controllers.get_mut(&id).expect("a known one").handle(&mut turn, input),
            NodeId::Client(_) => {
                if let Input::Deliver { envelope: Envelope { correlation, body: Body::Response(response) }, .. } = input
                {
                    self.answers.insert(correlation, response);
                }
            }
        }
        for fact in self.effects.facts.drain(..) {
            self.facts.push((self.now, fact));
        }
        for (to, envelope) in std::mem::take(&mut self.effects.sends) {
            self.post(node, to, envelope);
        }
    }

    fn post(&mut self, from: NodeId, to: NodeId, envelope: Envelope) {
        // Everything that travels must be sayable in the protocol.
        envelope.encode();
        self.sent += 1;
        self.network.insert((self.now + LATENCY, self.sent), (from, to, envelope));
    }

    fn is_up(&self, node: NodeId) -> bool {
        match node {
            NodeId::Broker(id) => self.brokers[&id].is_running(),
            NodeId::Controller(id) => self.controllers[&id].is_running(),
            NodeId::Client(_) => true,
        }
    }

    /// One delivery or alarm.
    pub fn step(&mut self) {
        let brokers = self.brokers.iter().map(|(id, node)| (node.next_alarm(), NodeId::Broker(*id)));
        let controllers = self.controllers.iter().map(|(id, node)| (node.next_alarm(), NodeId::Controller(*id)));
        let alarms = brokers.chain(controllers).filter_map(|(alarm, node)| Some((alarm?, node)));
        let alarm = alarms.min();
        let delivery = self.network.first_key_value().map(|((at, _), _)| *at);
        match (delivery, alarm) {
            (Some(at), alarm) if alarm.is_none_or(|((due, _), _)| at <= due) => {
                let (_, (from, to, envelope)) = self.network.pop_first().expect("just seen");
                self.now = self.now.max(at);
                if self.cut.contains(&(from, to)) || self.cut.contains(&(to, from)) {
                    return;
                }
                self.messages += 1;
                if self.is_up(to) {
                    self.handle(to, Input::Deliver { from, envelope });
                } else if self.is_up(from) && envelope.is_request() {
                    self.handle(from, Input::Disconnected { peer: to });
                }
            }
            (_, Some(((at, alarm), node))) => {
                // A node must not ask to be woken at one instant for ever.
                self.same_instant = if at <= self.now { self.same_instant + 1 } else { 0 };
                assert!(self.same_instant < 10_000, "{node} rings {alarm:?} without end at {at}");
                self.now = self.now.max(at);
                self.handle(node, Input::Alarm(alarm));
            }
            _ => panic!("nothing is ever going to happen"),
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let brokers = self.brokers.values().filter_map(|node| node.next_alarm());
            let alarms = brokers.chain(self.controllers.values().filter_map(|node| node.next_alarm()));
            let next = alarms.map(|(at, _)| at).chain(self.network.keys().map(|(at, _)| *at).take(1)).min();
            if next.is_none_or(|at| at > end) {
                break;
            }
            self.step();
        }
        self.now = end;
    }

    pub fn until(&mut self, secs: i64, done: impl Fn(&Cluster) -> bool) {
        let end = self.now + Duration::from_secs(secs);
        while !done(self) {
            assert!(self.now < end, "not within {secs} s:\n{}", self.told());
            self.step();
        }
    }

    /// The facts as sentences.
    pub fn told(&self) -> String {
        struct Anonymous;
        impl Names for Anonymous {
            fn client(&self, _: ClientId) -> &str {
                "client"
            }
        }
        self.facts.iter().map(|(at, fact)| format!("{at} {}\n", fact.text(&Anonymous))).collect()
    }

    pub fn ask(&mut self, to: NodeId, request: impl Into<Request>) -> Correlation {
        self.effects.correlation.0 += 1;
        let correlation = self.effects.correlation;
        self.post(CLIENT, to, Envelope::request(correlation, request));
        correlation
    }

    pub fn answer(&mut self, to: NodeId, request: impl Into<Request>) -> Response {
        let correlation = self.ask(to, request);
        self.until(60, |cluster| cluster.answers.contains_key(&correlation));
        self.answers.remove(&correlation).expect("just arrived")
    }

    /// The process dies; whoever is connected to it notices.
    pub fn kill(&mut self, broker: i32) {
        self.brokers.get_mut(&BrokerId(broker)).expect("a known broker").kill();
        self.notice(NodeId::broker(broker));
    }

    pub fn notice(&mut self, gone: NodeId) {
        self.network.retain(|_, (from, _, _)| *from != gone);
        let brokers = self.brokers.keys().map(|id| NodeId::Broker(*id));
        let nodes: Vec<NodeId> = brokers.chain(self.controllers.keys().map(|id| NodeId::Controller(*id))).collect();
        for node in nodes.into_iter().filter(|node| *node != gone) {
            if self.is_up(node) {
                self.handle(node, Input::Disconnected { peer: gone });
            }
        }
    }

    pub fn create_topic(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) {
        let assignments = replicas.iter().enumerate().map(|(index, ids)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index as i32)
                .with_broker_ids(ids.iter().map(|id| BrokerId(*id)).collect())
        });
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(str_bytes(name)).with_value(Some(str_bytes(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assignments.collect())
            .with_configs(configs.collect());
        let request = m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        let Response::CreateTopics(answer) = self.answer(NodeId::broker(1), request) else { panic!("its answer") };
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
        self.run(Duration::from_millis(600));
    }

    /// The metadata as the broker that knows most of it has it.
    pub fn image(&self) -> &MetadataImage {
        let images = self.brokers.values().filter_map(|broker| broker.process()).map(|process| process.image());
        images.max_by_key(|image| image.offset).expect("a broker runs")
    }

    pub fn topic_id(&self, topic: &str) -> Uuid {
        let image = self.image();
        image.topics.get(&topic_name(topic)).expect("the topic is known").id
    }

    pub fn produce_request(&self, partition: &TopicPartition, acks: i16, values: &[&str]) -> m::ProduceRequest {
        let data = PartitionProduceData::default().with_index(partition.partition).with_records(Some(batch(values)));
        let topic = TopicProduceData::default()
            .with_topic_id(self.topic_id(partition.topic.0.as_str()))
            .with_partition_data(vec![data]);
        m::ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
    }

    /// Sends one batch and waits for the answer: the error code and the base offset.
    pub fn produce(&mut self, to: i32, partition: &TopicPartition, acks: i16, values: &[&str]) -> (i16, i64) {
        let request = self.produce_request(partition, acks, values);
        let Response::Produce(answer) = self.answer(NodeId::broker(to), request) else { panic!("its answer") };
        let answer = &answer.responses[0].partition_responses[0];
        (answer.error_code, answer.base_offset)
    }

    pub fn log(&self, broker: i32, partition: &TopicPartition) -> &Log {
        self.brokers[&BrokerId(broker)].disk().log(partition).expect("it has the log")
    }

    pub fn values(&self, broker: i32, partition: &TopicPartition) -> Vec<String> {
        let log = self.log(broker, partition);
        let records = log.batches(log.log_start()).flat_map(|batch| batch.records().expect("it decodes"));
        records.map(|r| String::from_utf8_lossy(&r.value.unwrap_or_default()).into_owned()).collect()
    }

    pub fn isr(&self, partition: &TopicPartition) -> Vec<i32> {
        let image = self.image();
        image.partition(partition).expect("it is known").isr.iter().map(|id| id.0).collect()
    }

    pub fn leader(&self, partition: &TopicPartition) -> Option<i32> {
        let image = self.image();
        image.partition(partition).and_then(|p| p.leader).map(|id| id.0)
    }

    pub fn ends(&self, partition: &TopicPartition) -> Vec<(Offset, Offset)> {
        let logs = self.brokers.values().filter_map(|broker| broker.disk().log(partition));
        logs.map(|log| (log.high_watermark(), log.log_end())).collect()
    }
}

pub fn batch(values: &[&str]) -> Bytes {
    let header = BatchHeader::PLAIN;
    let record = |value: &&str| NewRecord {
        timestamp: 0,
        key: None,
        value: Some(Bytes::from(value.to_string())),
        headers: Vec::new(),
    };
    Batch::build(&header, &values.iter().map(record).collect::<Vec<_>>()).bytes().clone()
}
