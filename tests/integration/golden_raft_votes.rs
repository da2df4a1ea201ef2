//! `raft_votes.json`: one node of the quorum, its messages answered by hand (KafkaRaftClientTest,
//! KafkaRaftClientPreVoteTest, QuorumStateTest, LeaderStateTest).
//!
//! Kafka's random numbers are given by the file. Where Kafka draws which voter to ask for the
//! leader it may draw itself; Highwater never does, so the addressee of a fetch is not compared
//! where it is drawn: by a node that knows no leader, and by one whose leader does not answer. The
//! mock log behind the cases reads at most two batches at a time, so of the records that answer a
//! fetch only the first two batches are compared.

use bytes::{Bytes, BytesMut};
use highwater::kafka::fact::error_name;
use highwater::kafka::node::{Effects, Turn};
use highwater::kafka::quorum::{METADATA_TOPIC_ID, Quorum, QuorumDisk, ResignRefused, Timing};
use highwater::time::{Duration, Instant};
use highwater::wire::batch::{Batch, BatchHeader, NewRecord};
use highwater::wire::messages as m;
use highwater::wire::messages::BrokerId;
use highwater::wire::{
    self, Body, ControllerId, Correlation, Envelope, ErrorCode, LeaderEpoch, METADATA_TOPIC, NodeId, Offset, Request,
    Response, topic_name,
};
use serde_json::{Value, json};

use crate::golden::{flag, int, int_or, run_file};

#[test]
fn golden_raft_votes() {
    run_file(include_str!("../golden/raft_votes.json"), run_case);
}

fn run_case(case: &Value) -> Result<(), String> {
    if case["kind"] != "raft" {
        return Err(format!("unknown kind {}", case["kind"]));
    }
    let mut node = Node::start(&case["config"])?;
    for (number, step) in case["steps"].as_array().ok_or("no steps")?.iter().enumerate() {
        let describe = |why: String| format!("step {number} {step}: {why}");
        let got = node.apply(step).map_err(describe)?;
        let expect = node.expected(&step["expect"], &got);
        if expect != got {
            return Err(describe(format!("got {got}")));
        }
    }
    Ok(())
}

/// The node under test and what it sent.
struct Node {
    quorum: Quorum,
    disk: QuorumDisk,
    effects: Effects,
    now: Instant,
    /// Every request that was sent, with its addressee.
    sent: Vec<(i64, Correlation, Request)>,
    /// When the last fetch went out, while there is no answer to it.
    fetching_since: Option<Instant>,
    /// This step's fetch goes to anybody: the one before timed out or was answered by an error.
    leader_failed: bool,
}

const REQUEST_TIMEOUT: Duration = Duration::from_millis(5_000);

impl Node {
    fn start(config: &Value) -> Result<Node, String> {
        let known = ["local_id", "voters", "persisted", "log", "random"];
        if let Some(other) = config.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str()))
        {
            return Err(format!("unknown config {}", other.0));
        }
        let voters: Vec<ControllerId> =
            config["voters"].as_array().ok_or("no voters")?.iter().map(|v| id(v.as_i64().unwrap_or(-1))).collect();
        let mut disk = QuorumDisk::new();
        let persisted = &config["persisted"];
        disk.epoch = LeaderEpoch(int_or(persisted, "epoch", 0) as i32);
        disk.leader = persisted["leader"].as_i64().map(id);
        disk.voted = persisted["voted"].as_i64().map(id);
        for batch in config["log"].as_array().into_iter().flatten() {
            append_batch(&mut disk, batch)?;
        }
        let ms = Duration::from_millis;
        let timing = Timing {
            election_timeout: ms(10_000 + int_or(config, "random", 0)),
            election_spread: Duration::ZERO,
            fetch_timeout: ms(50_000),
            election_backoff_max: ms(100),
            append_linger: ms(0),
            request_timeout: REQUEST_TIMEOUT,
            retry_backoff: ms(50),
            leaderless_backoff: ms(0),
        };
        let mut effects = Effects::new(1);
        let now = Instant::ZERO;
        let me = NodeId::Controller(id(int(config, "local_id")?));
        let quorum = Quorum::initialize(me, &voters, timing, &mut disk, &mut Turn::new(now, &mut effects));
        Ok(Node { quorum, disk, effects, now, sent: Vec::new(), fetching_since: None, leader_failed: false })
    }

    fn apply(&mut self, step: &Value) -> Result<Value, String> {
        let op = step["op"].as_str().ok_or("no op")?;
        self.leader_failed = op == "fetch_response" && error_code(step)? != 0;
        match op {
            "state" => return Ok(self.state()),
            "advance" => {
                self.now += Duration::from_millis(int(step, "ms")?);
                self.leader_failed = self.fetching_since.is_some_and(|since| self.now - since >= REQUEST_TIMEOUT);
                self.turn(|quorum, disk, turn| quorum.alarm(disk, turn));
            }
            "poll" => self.turn(|quorum, disk, turn| quorum.alarm(disk, turn)),
            "vote" => return self.request(int(step, "candidate")?, vote(step)?),
            "begin_quorum_epoch" => return self.request(int(step, "leader")?, begin(step)?),
            "end_quorum_epoch" => return self.request(int(step, "leader")?, end(step)?),
            "fetch" => return self.request(int(step, "replica")?, fetch(step)?),
            "append" => return self.append(step),
            "shutdown" => {
                let timeout = Duration::from_millis(int(step, "timeout_ms")?);
                self.turn(|quorum, disk, turn| quorum.shutdown(disk, turn, timeout));
            }
            "resign" => {
                let epoch = LeaderEpoch(int(step, "epoch")? as i32);
                let refused = self.turn(|quorum, disk, turn| quorum.resign_from(disk, turn, epoch)).err();
                match refused {
                    Some(ResignRefused::IllegalArgument) => {
                        return Ok(json!({"exception": "IllegalArgumentException"}));
                    }
                    Some(ResignRefused::IllegalState) => return Ok(json!({"exception": "IllegalStateException"})),
                    None => self.turn(|quorum, disk, turn| quorum.alarm(disk, turn)),
                }
            }
            "vote_response" => self.answer("VOTE", step, vote_response(step)?)?,
            "begin_response" => self.answer("BEGIN_QUORUM_EPOCH", step, begin_response(step)?)?,
            "end_response" => self.answer("END_QUORUM_EPOCH", step, end_response(step)?)?,
            "fetch_response" => {
                let response = fetch_response(step, self.disk.log.log_end())?;
                self.answer("FETCH", step, response)?;
            }
            other => return Err(format!("unknown op {other}")),
        }
        let mut state = self.state();
        state["requests"] = self.new_requests()?;
        Ok(state)
    }

    fn turn<T>(&mut self, act: impl FnOnce(&mut Quorum, &mut QuorumDisk, &mut Turn<'_>) -> T) -> T {
        act(&mut self.quorum, &mut self.disk, &mut Turn::new(self.now, &mut self.effects))
    }

    fn state(&self) -> Value {
        let disk = &self.disk;
        json!({
            "state": self.quorum.state_name(),
            "epoch": self.quorum.epoch().0,
            "leader": number(self.quorum.named_leader()),
            "voted": number(self.quorum.voted()),
            "log_end_offset": disk.log.log_end().0,
            "last_epoch": disk.log.latest_epoch().map_or(0, |epoch| epoch.0),
            "high_watermark": self.quorum.known_high_watermark().map(|hw| hw.0),
            "persisted": {"epoch": disk.epoch.0, "leader": number(disk.leader), "voted": number(disk.voted)},
        })
    }

    /// An inbound request: the answer to it, whatever else was sent.
    fn request(&mut self, from: i64, request: Request) -> Result<Value, String> {
        let correlation = Correlation(1_000_000 + self.sent.len() as u64);
        let from = NodeId::Controller(id(from));
        self.turn(|quorum, disk, turn| quorum.handle_request(disk, turn, from, correlation, &request));
        let mut answer = None;
        let sends = std::mem::take(&mut self.effects.sends);
        for (to, envelope) in sends {
            match envelope.body {
                Body::Response(response) if envelope.correlation == correlation => answer = Some(response),
                body => self.effects.sends.push((to, Envelope { correlation: envelope.correlation, body })),
            }
        }
        self.new_requests()?;
        describe_answer(&answer.ok_or("no answer")?)
    }

    fn append(&mut self, step: &Value) -> Result<Value, String> {
        let count = int(step, "count")?;
        // RaftClient.prepareAppend names the epoch in which it means to write.
        if !self.quorum.is_leader() || int(step, "epoch")? < i64::from(self.quorum.epoch().0) {
            return Ok(json!({"exception": "NotLeaderException"}));
        }
        if int(step, "epoch")? > i64::from(self.quorum.epoch().0) {
            return Ok(json!({"exception": "IllegalArgumentException"}));
        }
        let values = vec![Bytes::from_static(b"record"); count as usize];
        let first = self.turn(|quorum, disk, turn| quorum.append(disk, turn, &values)).ok_or("not the leader")?;
        self.new_requests()?;
        Ok(json!({"last_offset": first.0 + count - 1}))
    }

    /// Answers the last request of this api, sent to `from` or (-1) to anyone.
    fn answer(&mut self, api: &str, step: &Value, response: Response) -> Result<(), String> {
        let from = int(step, "from")?;
        let fits = |(to, _, request): &&(i64, Correlation, Request)| {
            request.api().name() == api && (from == -1 || *to == from)
        };
        let (to, correlation, _) = self.sent.iter().rev().find(fits).ok_or("nothing to answer")?;
        let (from, correlation) = (NodeId::Controller(id(*to)), *correlation);
        if api == "FETCH" {
            self.fetching_since = None;
        }
        self.turn(|quorum, disk, turn| quorum.handle_response(disk, turn, from, correlation, &response));
        Ok(())
    }

    /// The requests sent since the last call, sorted by api and addressee.
    fn new_requests(&mut self) -> Result<Value, String> {
        let mut described = Vec::new();
        for (to, envelope) in std::mem::take(&mut self.effects.sends) {
            let NodeId::Controller(to) = to else { return Err("sent to no controller".to_string()) };
            if let Body::Request(request) = envelope.body {
                let to = i64::from(to.0);
                described.push((request.api().name(), to, describe_request(to, &request)?));
                if matches!(request, Request::Fetch(_)) {
                    self.fetching_since = Some(self.now);
                }
                self.sent.push((to, envelope.correlation, request));
            }
        }
        described.sort_by_key(|(api, to, _)| (*api, *to));
        Ok(described.into_iter().map(|(_, _, request)| request).collect())
    }

    /// What is expected, with the addressee of a fetch left open where Kafka draws it.
    fn expected(&self, expect: &Value, got: &Value) -> Value {
        let mut expect = expect.clone();
        if expect["leader"] != -1 && !self.leader_failed {
            return expect;
        }
        let Some(requests) = expect.get_mut("requests").and_then(Value::as_array_mut) else { return expect };
        for (number, request) in requests.iter_mut().enumerate() {
            if request["api"] == "FETCH" {
                request["to"] = got["requests"][number]["to"].clone();
            }
        }
        expect
    }
}

fn id(number: i64) -> ControllerId {
    ControllerId(number as i32)
}

fn number(id: Option<ControllerId>) -> i32 {
    id.map_or(-1, |id| id.0)
}

/// The case's number of a node by its id on the wire.
fn from_wire(node: BrokerId) -> i32 {
    ControllerId::from_node_id(node.0).map_or(-1, |id| id.0)
}

fn on_wire(number: i64) -> BrokerId {
    BrokerId(if number < 0 { -1 } else { id(number).node_id() })
}

fn error_text(code: i16) -> String {
    wire::error(code).map_or("NONE".to_string(), error_name)
}

fn error_code(step: &Value) -> Result<i16, String> {
    let name = step["error"].as_str().unwrap_or("NONE");
    if name == "NONE" {
        return Ok(0);
    }
    (-1..=200)
        .find(|&code| code != 0 && ErrorCode::try_from_code(code).is_some_and(|error| error_name(error) == name))
        .ok_or_else(|| format!("unknown error {name}"))
}

fn build(count: i64) -> Batch {
    let header = BatchHeader::PLAIN;
    let record = NewRecord { timestamp: 0, key: None, value: Some(Bytes::from_static(b"v")), headers: Vec::new() };
    Batch::build(&header, &vec![record; count as usize])
}

fn append_batch(disk: &mut QuorumDisk, batch: &Value) -> Result<(), String> {
    let epoch = LeaderEpoch(batch[0].as_i64().ok_or("no epoch")? as i32);
    let batch = build(batch[1].as_i64().ok_or("no count")?).stamped(disk.log.log_end(), epoch);
    disk.log.append_as_follower(batch.bytes().clone(), epoch, Instant::ZERO).map_err(|error| format!("{error:?}"))?;
    Ok(())
}

fn epoch(step: &Value) -> Result<i32, String> {
    Ok(int(step, "epoch")? as i32)
}

fn vote(step: &Value) -> Result<Request, String> {
    let partition = m::vote_request::PartitionData::default()
        .with_replica_id(on_wire(int(step, "candidate")?))
        .with_replica_epoch(epoch(step)?)
        .with_last_offset_epoch(int(step, "last_epoch")? as i32)
        .with_last_offset(int(step, "last_offset")?)
        .with_pre_vote(flag(step, "pre_vote"));
    let topic = m::vote_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    Ok(m::VoteRequest::default().with_topics(vec![topic]).into())
}

fn begin(step: &Value) -> Result<Request, String> {
    let partition = m::begin_quorum_epoch_request::PartitionData::default()
        .with_leader_id(on_wire(int(step, "leader")?))
        .with_leader_epoch(epoch(step)?);
    let topic = m::begin_quorum_epoch_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    Ok(m::BeginQuorumEpochRequest::default().with_topics(vec![topic]).into())
}

fn end(step: &Value) -> Result<Request, String> {
    let candidates = step["preferred"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_i64)
        .map(|candidate| m::end_quorum_epoch_request::ReplicaInfo::default().with_candidate_id(on_wire(candidate)));
    let partition = m::end_quorum_epoch_request::PartitionData::default()
        .with_leader_id(on_wire(int(step, "leader")?))
        .with_leader_epoch(epoch(step)?)
        .with_preferred_candidates(candidates.collect());
    let topic = m::end_quorum_epoch_request::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    Ok(m::EndQuorumEpochRequest::default().with_topics(vec![topic]).into())
}

fn fetch(step: &Value) -> Result<Request, String> {
    let partition = m::fetch_request::FetchPartition::default()
        .with_current_leader_epoch(epoch(step)?)
        .with_fetch_offset(int(step, "fetch_offset")?)
        .with_last_fetched_epoch(int(step, "last_fetched_epoch")? as i32)
        .with_high_watermark(int_or(step, "high_watermark", -1));
    let topic =
        m::fetch_request::FetchTopic::default().with_topic_id(METADATA_TOPIC_ID).with_partitions(vec![partition]);
    let replica = m::fetch_request::ReplicaState::default().with_replica_id(on_wire(int(step, "replica")?));
    Ok(m::FetchRequest::default()
        .with_replica_state(replica)
        .with_max_wait_ms(int_or(step, "max_wait_ms", 0) as i32)
        .with_topics(vec![topic])
        .into())
}

fn vote_response(step: &Value) -> Result<Response, String> {
    let error = error_code(step)?;
    if wire::error(error) == Some(ErrorCode::UnsupportedVersion) {
        return Ok(m::VoteResponse::default().with_error_code(error).into());
    }
    let partition = m::vote_response::PartitionData::default()
        .with_error_code(error)
        .with_leader_id(on_wire(int(step, "leader")?))
        .with_leader_epoch(epoch(step)?)
        .with_vote_granted(flag(step, "granted"));
    let topic = m::vote_response::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    Ok(m::VoteResponse::default().with_topics(vec![topic]).into())
}

fn begin_response(step: &Value) -> Result<Response, String> {
    let partition = m::begin_quorum_epoch_response::PartitionData::default()
        .with_error_code(error_code(step)?)
        .with_leader_id(on_wire(int(step, "leader")?))
        .with_leader_epoch(epoch(step)?);
    let topic = m::begin_quorum_epoch_response::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    Ok(m::BeginQuorumEpochResponse::default().with_topics(vec![topic]).into())
}

fn end_response(step: &Value) -> Result<Response, String> {
    let partition = m::end_quorum_epoch_response::PartitionData::default()
        .with_error_code(error_code(step)?)
        .with_leader_id(on_wire(int(step, "leader")?))
        .with_leader_epoch(epoch(step)?);
    let topic = m::end_quorum_epoch_response::TopicData::default()
        .with_topic_name(topic_name(METADATA_TOPIC))
        .with_partitions(vec![partition]);
    Ok(m::EndQuorumEpochResponse::default().with_topics(vec![topic]).into())
}

fn fetch_response(step: &Value, log_end: Offset) -> Result<Response, String> {
    let leader = m::fetch_response::LeaderIdAndEpoch::default()
        .with_leader_id(on_wire(int(step, "leader")?))
        .with_leader_epoch(epoch(step)?);
    let (mut base, mut records) = (log_end, BytesMut::new());
    for batch in step["batches"].as_array().into_iter().flatten() {
        let epoch = LeaderEpoch(batch[0].as_i64().ok_or("no epoch")? as i32);
        let batch = build(batch[1].as_i64().ok_or("no count")?).stamped(base, epoch);
        base = batch.next_offset();
        records.extend_from_slice(batch.bytes());
    }
    let mut partition = m::fetch_response::PartitionData::default()
        .with_error_code(error_code(step)?)
        .with_high_watermark(int(step, "high_watermark")?)
        .with_current_leader(leader)
        .with_records(Some(records.freeze()));
    if let Some(diverging) = step.get("diverging") {
        partition.diverging_epoch = m::fetch_response::EpochEndOffset::default()
            .with_epoch(epoch(diverging)?)
            .with_end_offset(int(diverging, "end_offset")?);
    }
    let topic = m::fetch_response::FetchableTopicResponse::default()
        .with_topic_id(METADATA_TOPIC_ID)
        .with_partitions(vec![partition]);
    Ok(m::FetchResponse::default().with_responses(vec![topic]).into())
}

fn describe_request(to: i64, request: &Request) -> Result<Value, String> {
    Ok(match request {
        Request::Vote(vote) => {
            let partition = &vote.topics[0].partitions[0];
            json!({"api": "VOTE", "to": to, "epoch": partition.replica_epoch, "candidate": from_wire(partition.replica_id),
                "last_epoch": partition.last_offset_epoch, "last_offset": partition.last_offset, "pre_vote": partition.pre_vote})
        }
        Request::BeginQuorumEpoch(begin) => {
            let partition = &begin.topics[0].partitions[0];
            json!({"api": "BEGIN_QUORUM_EPOCH", "to": to, "epoch": partition.leader_epoch, "leader": from_wire(partition.leader_id)})
        }
        Request::EndQuorumEpoch(end) => {
            let partition = &end.topics[0].partitions[0];
            let preferred: Vec<i32> =
                partition.preferred_candidates.iter().map(|candidate| from_wire(candidate.candidate_id)).collect();
            json!({"api": "END_QUORUM_EPOCH", "to": to, "epoch": partition.leader_epoch,
                "leader": from_wire(partition.leader_id), "preferred": preferred})
        }
        Request::Fetch(fetch) => {
            let partition = &fetch.topics[0].partitions[0];
            json!({"api": "FETCH", "to": to, "epoch": partition.current_leader_epoch, "fetch_offset": partition.fetch_offset,
                "last_fetched_epoch": partition.last_fetched_epoch, "high_watermark": partition.high_watermark})
        }
        other => return Err(format!("unexpected request {other:?}")),
    })
}

fn describe_answer(response: &Response) -> Result<Value, String> {
    let described = |error: i16, leader: BrokerId, epoch: i32| json!({"error": error_text(error), "leader": from_wire(leader), "epoch": epoch});
    Ok(match response {
        Response::Vote(vote) => {
            let partition = &vote.topics[0].partitions[0];
            let mut answer = described(partition.error_code, partition.leader_id, partition.leader_epoch);
            answer["granted"] = json!(partition.vote_granted);
            answer
        }
        Response::BeginQuorumEpoch(begin) => {
            let partition = &begin.topics[0].partitions[0];
            described(partition.error_code, partition.leader_id, partition.leader_epoch)
        }
        Response::EndQuorumEpoch(end) => {
            let partition = &end.topics[0].partitions[0];
            described(partition.error_code, partition.leader_id, partition.leader_epoch)
        }
        Response::Fetch(fetch) => {
            let partition = &fetch.responses[0].partitions[0];
            let leader = &partition.current_leader;
            let mut answer = described(partition.error_code, leader.leader_id, leader.leader_epoch);
            answer["high_watermark"] = json!(partition.high_watermark);
            if partition.diverging_epoch.epoch >= 0 {
                let diverging = &partition.diverging_epoch;
                answer["diverging_epoch"] = json!({"epoch": diverging.epoch, "end_offset": diverging.end_offset});
            }
            let batches = Batch::parse_all(partition.records.clone().unwrap_or_default(), true);
            let batches = batches.map_err(|error| format!("{error:?}"))?;
            let offsets: Vec<i64> =
                batches.iter().take(2).flat_map(|batch| batch.base_offset.0..=batch.last_offset.0).collect();
            answer["record_offsets"] = json!(offsets);
            answer
        }
        other => return Err(format!("unexpected answer {other:?}")),
    })
}
