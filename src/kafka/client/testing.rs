//! A bench for one client: the test plays the brokers.

use crate::kafka::fact::Fact;
use crate::kafka::node::{Command, Effects, Input, Node, ProducerRecord, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::messages::{ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProducerId};
use crate::wire::{ApiKey, Body, BrokerId, Correlation, Envelope, NodeId, Request, Response, Uuid, topic_name};

/// One client, its clock, and what it sent.
pub struct Bench<N> {
    pub node: N,
    pub now: Instant,
    pub effects: Effects,
    pub facts: Vec<Fact>,
    /// Requests that the test has not answered.
    pub sent: Vec<(NodeId, Correlation, Request)>,
    /// Topics, with the leader and leader epoch of each partition: what METADATA answers.
    pub topics: SortedMap<String, Vec<(i32, i32)>>,
    /// METADATA, API_VERSIONS and INIT_PRODUCER_ID are answered at once, and those of METADATA counted.
    pub automatic: bool,
    pub metadata_requests: u32,
}

impl<N: Node> Bench<N> {
    pub fn start(node: N, topics: &[(&str, &[(i32, i32)])]) -> Bench<N> {
        let mut bench = Bench {
            node,
            now: Instant::ZERO,
            effects: Effects::new(1),
            facts: Vec::new(),
            sent: Vec::new(),
            topics: topics.iter().map(|(name, leaders)| (name.to_string(), leaders.to_vec())).collect(),
            automatic: true,
            metadata_requests: 0,
        };
        bench.input(Input::Start);
        bench
    }

    pub fn input(&mut self, input: Input) {
        self.node.handle(&mut Turn::new(self.now, &mut self.effects), input);
        self.facts.append(&mut self.effects.facts);
        for (to, envelope) in std::mem::take(&mut self.effects.sends) {
            let Body::Request(request) = envelope.body.clone() else { panic!("clients only ask") };
            // What a node builds must stand on the wire.
            envelope.encode();
            let answer = match &request {
                Request::Metadata(asked) if self.automatic => {
                    self.metadata_requests += 1;
                    let names = asked.topics.iter().flatten().filter_map(|t| t.name.clone()).collect::<Vec<_>>();
                    Some(Response::from(self.metadata(names.iter().map(|n| n.0.as_str()))))
                }
                Request::ApiVersions(_) if self.automatic => Some(Response::from(ApiVersionsResponse::default())),
                Request::InitProducerId(_) if self.automatic => Some(Response::from(
                    InitProducerIdResponse::default().with_producer_id(ProducerId(7)).with_producer_epoch(0),
                )),
                _ => None,
            };
            match answer {
                Some(answer) => self.answer(to, envelope.correlation, answer),
                None => self.sent.push((to, envelope.correlation, request)),
            }
        }
    }

    pub fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    pub fn send(&mut self, topic: &str, key: Option<&str>, value: &str) {
        self.command(Command::Send(ProducerRecord {
            topic: topic_name(topic),
            partition: None,
            key: key.map(|k| bytes::Bytes::from(k.to_string())),
            value: Some(bytes::Bytes::from(value.to_string())),
            timestamp: None,
            headers: Vec::new(),
        }));
    }

    pub fn answer(&mut self, from: NodeId, correlation: Correlation, response: impl Into<Response>) {
        self.input(Input::Deliver { from, envelope: Envelope::response(correlation, response) });
    }

    /// The oldest request of this kind that is not answered.
    pub fn take(&mut self, api: ApiKey) -> (NodeId, Correlation, Request) {
        self.try_take(api).unwrap_or_else(|| panic!("no {} was sent, but {:?}", api.name(), self.apis()))
    }

    pub fn try_take(&mut self, api: ApiKey) -> Option<(NodeId, Correlation, Request)> {
        let place = self.sent.iter().position(|(_, _, request)| request.api() == api)?;
        Some(self.sent.remove(place))
    }

    pub fn apis(&self) -> Vec<&'static str> {
        self.sent.iter().map(|(_, _, request)| request.api().name()).collect()
    }

    /// Fires every alarm up to `ms` milliseconds from time zero.
    pub fn run_to(&mut self, ms: i64) {
        let end = Instant::from_millis(ms);
        let mut at_once = 0;
        while let Some((at, alarm)) = self.node.next_alarm().filter(|(at, _)| *at <= end) {
            at_once = if at <= self.now { at_once + 1 } else { 0 };
            assert!(at_once < 100, "the node wants to be woken again and again at {at}: {alarm:?}");
            self.now = self.now.max(at);
            self.input(Input::Alarm(alarm));
        }
        self.now = end;
    }

    pub fn run_for(&mut self, span: Duration) {
        self.run_to((self.now + span).millis());
    }

    pub fn metadata<'a>(&self, names: impl Iterator<Item = &'a str>) -> MetadataResponse {
        let topics = names.map(|name| match self.topics.get(name) {
            None => MetadataResponseTopic::default().with_name(Some(topic_name(name))).with_error_code(3),
            Some(leaders) => MetadataResponseTopic::default()
                .with_name(Some(topic_name(name)))
                .with_topic_id(topic_id(name))
                .with_partitions(
                    leaders.iter().zip(0..).map(|((leader, epoch), i)| partition(i, *leader, *epoch)).collect(),
                ),
        });
        let brokers = (1..=3).map(|id| MetadataResponseBroker::default().with_node_id(BrokerId(id)));
        MetadataResponse::default().with_brokers(brokers.collect()).with_topics(topics.collect())
    }

    /// The sentences' kinds, in order.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.facts.iter().map(Fact::kind).collect()
    }
}

fn partition(index: i32, leader: i32, epoch: i32) -> MetadataResponsePartition {
    MetadataResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(epoch)
        .with_replica_nodes(vec![BrokerId(1), BrokerId(2), BrokerId(3)])
        .with_isr_nodes(vec![BrokerId(1), BrokerId(2), BrokerId(3)])
}

pub fn topic_id(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().map(u128::from).sum::<u128>() + 1)
}
