//! What the recorded cases do not show: the way of a write through the log, failover, expiry.

use bytes::Bytes;

use super::classic::GroupState;
use super::*;
use crate::kafka::controller::record::{MetadataRecord, PartitionRegistration};
use crate::kafka::coordinator::Coordinator;
use crate::kafka::node::Effects;
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::messages::join_group_request::JoinGroupRequestProtocol;
use crate::wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use crate::wire::messages::sync_group_request::SyncGroupRequestAssignment;
use crate::wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    SyncGroupRequest,
};
use crate::wire::{Body, ClientId, Response, Uuid, str_bytes};

/// A coordinator whose log takes every append; what it says is committed is up to the test.
pub(super) struct Room {
    pub coordinator: GroupCoordinator,
    pub image: MetadataImage,
    pub effects: Effects,
    pub now: Instant,
    pub log: SortedMap<i32, Vec<(Offset, GroupRecord)>>,
    answers: Vec<(u64, Response)>,
    pub facts: Vec<Fact>,
    requests: u64,
}

const GROUP: &str = "payments";

impl Room {
    pub fn new() -> Room {
        let mut room = Room::without_partitions();
        let mut turn = Turn::new(room.now, &mut room.effects);
        for partition in 0..50 {
            room.coordinator.load(&mut turn, &room.image, partition, LeaderEpoch(0), []);
        }
        room.effects.facts.clear();
        room
    }

    pub fn without_partitions() -> Room {
        let mut image = MetadataImage::new();
        let topic = Uuid::from_u128(1);
        image.replay(&MetadataRecord::Topic { name: topic_name("orders"), id: topic });
        for partition in 0..2 {
            let registration = PartitionRegistration::new(vec![BrokerId(1)], vec![BrokerId(1)]);
            image.replay(&MetadataRecord::Partition { topic, partition, registration });
        }
        Room {
            coordinator: GroupCoordinator::new(BrokerId(1), &BrokerConfig::default()),
            image,
            effects: Effects::new(1),
            now: Instant::ZERO,
            log: SortedMap::new(),
            answers: Vec::new(),
            facts: Vec::new(),
            requests: 0,
        }
    }

    /// Hands in a request and appends what it decides; the number of the request.
    pub fn send(&mut self, request: impl Into<Request>) -> u64 {
        self.requests += 1;
        let mut turn = Turn::new(self.now, &mut self.effects);
        let (from, correlation) = (NodeId::Client(ClientId(1)), Correlation(self.requests));
        self.coordinator.handle(&mut turn, &self.image, from, correlation, &request.into());
        self.append(None);
        self.requests
    }

    pub fn append(&mut self, error: Option<ErrorCode>) {
        for (partition, records) in self.coordinator.take_records() {
            let log = self.log.entry(partition).or_default();
            let base = Offset(log.len() as i64);
            let mut turn = Turn::new(self.now, &mut self.effects);
            if let Some(error) = error {
                self.coordinator.appended(&mut turn, partition, Err(error));
                continue;
            }
            for (index, record) in records.iter().enumerate() {
                let key = record.key.clone().expect("coordinator records have keys");
                let record = GroupRecord::decode(&key, record.value.as_ref()).expect("a record of ours");
                log.push((base + index as i64, record));
            }
            self.coordinator.appended(&mut turn, partition, Ok(base));
        }
        self.collect();
    }

    fn collect(&mut self) {
        self.facts.append(&mut self.effects.facts);
        for (_, envelope) in self.effects.sends.drain(..) {
            if let Body::Response(response) = envelope.body {
                self.answers.push((envelope.correlation.0, response));
            }
        }
    }

    pub fn commit_all(&mut self) {
        for (partition, records) in self.log.clone() {
            let mut turn = Turn::new(self.now, &mut self.effects);
            self.coordinator.committed(&mut turn, partition, Offset(records.len() as i64));
        }
        self.append(None);
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        let mut turn = Turn::new(self.now, &mut self.effects);
        self.coordinator.alarm(&mut turn, &self.image);
        self.append(None);
    }

    pub fn answer(&self, request: u64) -> Option<&Response> {
        self.answers.iter().find(|(number, _)| *number == request).map(|(_, response)| response)
    }

    fn join_answer(&self, request: u64) -> JoinGroupResponse {
        match self.answer(request) {
            Some(Response::JoinGroup(join)) => join.clone(),
            other => panic!("request {request}: {other:?}"),
        }
    }

    fn group(&self) -> &ClassicGroup {
        self.coordinator.group(&group_id()).expect("the group is there")
    }

    /// One member in a stable group: its id.
    fn stable_group(&mut self) -> StrBytes {
        let asked = self.send(join(""));
        let id = self.join_answer(asked).member_id;
        let joined = self.send(join(&id));
        self.wait(Duration::from_secs(3));
        assert_eq!(self.join_answer(joined).leader, id);
        self.send(sync(&id, 1));
        self.commit_all();
        assert_eq!(self.group().state, GroupState::Stable);
        id
    }

    fn committed_offset(&mut self, require_stable: bool) -> i64 {
        let asked = self.send(fetch(require_stable));
        match self.answer(asked) {
            Some(Response::OffsetFetch(fetch)) => fetch.groups[0].topics[0].partitions[0].committed_offset,
            other => panic!("{other:?}"),
        }
    }
}

fn group_id() -> GroupId {
    GroupId(str_bytes(GROUP))
}

fn join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(str_bytes("range"));
    JoinGroupRequest::default()
        .with_group_id(group_id())
        .with_member_id(str_bytes(member))
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(300_000)
        .with_protocol_type(str_bytes("consumer"))
        .with_protocols(vec![protocol])
}

fn sync(member: &str, generation: i32) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(str_bytes(member))
        .with_assignment(Bytes::from_static(b"all of it"));
    SyncGroupRequest::default()
        .with_group_id(group_id())
        .with_member_id(str_bytes(member))
        .with_generation_id(generation)
        .with_protocol_type(Some(str_bytes("consumer")))
        .with_protocol_name(Some(str_bytes("range")))
        .with_assignments(vec![assignment])
}

fn commit(member: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(str_bytes("note")));
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group_id())
        .with_member_id(str_bytes(member))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic])
}

fn fetch(require_stable: bool) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopics::default().with_name(topic_name("orders")).with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default().with_group_id(group_id()).with_topics(Some(vec![topic]));
    OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(require_stable)
}

fn commit_error(response: Option<&Response>) -> Option<ErrorCode> {
    match response {
        Some(Response::OffsetCommit(commit)) => crate::wire::error(commit.topics[0].partitions[0].error_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_is_answered_and_told_when_the_log_has_committed_it() {
    let mut room = Room::new();
    let request = room.send(commit("", -1, 7));
    assert_eq!(room.answer(request), None);
    assert!(room.facts.is_empty());
    room.commit_all();
    assert_eq!(commit_error(room.answer(request)), None);
    assert!(matches!(room.facts[..], [Fact::OffsetCommitted { offset: Offset(7), .. }]));
}

#[test]
fn a_fetch_reads_what_is_committed_and_a_stable_one_waits_for_it() {
    let mut room = Room::new();
    room.send(commit("", -1, 7));
    room.commit_all();
    room.send(commit("", -1, 5));
    assert_eq!(room.committed_offset(false), 7);
    let stable = room.send(fetch(true));
    assert_eq!(room.answer(stable), None);
    room.commit_all();
    assert!(room.answer(stable).is_some());
    assert_eq!((room.committed_offset(false), room.committed_offset(true)), (5, 5));
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let mut room = Room::new();
    let mut turn = Turn::new(room.now, &mut room.effects);
    let request = commit("", -1, 7).into();
    room.coordinator.handle(&mut turn, &room.image, NodeId::Client(ClientId(1)), Correlation(1), &request);
    room.append(Some(ErrorCode::NotEnoughReplicas));
    assert_eq!(commit_error(room.answer(1)), Some(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(room.coordinator.groups().count(), 0);
    room.requests = 1;
    assert_eq!(room.committed_offset(true), -1);
}

#[test]
fn a_write_that_is_not_committed_in_five_seconds_is_given_up_but_stays() {
    let mut room = Room::new();
    let request = room.send(commit("", -1, 7));
    room.wait(Duration::from_secs(5));
    assert_eq!(commit_error(room.answer(request)), Some(ErrorCode::CoordinatorNotAvailable));
    room.commit_all();
    assert_eq!(room.committed_offset(false), 7);
}

#[test]
fn unknown_topics_and_long_notes_are_refused_one_by_one() {
    let mut room = Room::new();
    let mut request = commit("", -1, 7);
    let mut unknown = request.topics[0].clone();
    unknown.name = topic_name("unknown");
    request.topics[0].partitions.push(
        OffsetCommitRequestPartition::default()
            .with_partition_index(1)
            .with_committed_metadata(Some(StrBytes::from_string("x".repeat(4_097)))),
    );
    request.topics.push(unknown);
    let request = room.send(request);
    room.commit_all();
    let Some(Response::OffsetCommit(answer)) = room.answer(request) else { panic!() };
    let codes: Vec<i16> = answer.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)).collect();
    let too_large = ErrorCode::OffsetMetadataTooLarge.code();
    assert_eq!(codes, [0, too_large, ErrorCode::UnknownTopicOrPartition.code()]);
}

#[test]
fn a_commit_of_another_generation_is_refused() {
    let mut room = Room::new();
    let id = room.stable_group();
    let request = room.send(commit(&id, 0, 7));
    assert_eq!(commit_error(room.answer(request)), Some(ErrorCode::IllegalGeneration));
    let request = room.send(commit("somebody", 1, 7));
    assert_eq!(commit_error(room.answer(request)), Some(ErrorCode::UnknownMemberId));
    let request = room.send(commit("", -1, 7));
    assert_eq!(commit_error(room.answer(request)), Some(ErrorCode::UnknownMemberId));
}

#[test]
fn an_assignment_that_cannot_be_written_starts_another_rebalance() {
    let mut room = Room::new();
    let asked = room.send(join(""));
    let id = room.join_answer(asked).member_id;
    room.send(join(&id));
    room.wait(Duration::from_secs(3));
    room.send(sync(&id, 1));
    room.wait(Duration::from_secs(5));
    let Some(Response::SyncGroup(answer)) = room.answers.last().map(|(_, r)| r) else { panic!() };
    assert_eq!(answer.error_code, ErrorCode::CoordinatorNotAvailable.code());
    assert_eq!(room.group().state, GroupState::PreparingRebalance);
}

#[test]
fn another_broker_goes_on_from_the_log_and_starts_sessions_anew() {
    let mut room = Room::new();
    let id = room.stable_group();
    room.send(commit(&id, 1, 7));
    room.commit_all();
    let partition = GroupCoordinator::partition_for(GROUP, 50);
    room.wait(Duration::from_secs(40));

    let mut next = Room::without_partitions();
    next.now = room.now;
    let mut turn = Turn::new(next.now, &mut next.effects);
    let log = room.log[&partition].clone();
    let end = Offset(log.len() as i64);
    let records = log.into_iter().map(|(at, record)| (at, Logged::Record(record, None)));
    next.coordinator.load(&mut turn, &next.image, partition, LeaderEpoch(1), records);
    next.coordinator.committed(&mut turn, partition, end);
    assert_eq!(next.group().state, GroupState::Stable);
    assert_eq!(next.group().members[0].assignment, Bytes::from_static(b"all of it"));
    assert_eq!(next.committed_offset(false), 7);
    next.wait(Duration::from_secs(44));
    assert_eq!(next.group().members.len(), 1);
    next.wait(Duration::from_secs(1));
    assert_eq!(next.group().state, GroupState::Empty);
}

#[test]
fn a_commit_is_a_batch_of_the_log_that_the_next_leader_reads() {
    let mut room = Room::new();
    let mut turn = Turn::new(room.now, &mut room.effects);
    let from = NodeId::Client(ClientId(1));
    room.coordinator.handle(&mut turn, &room.image, from, Correlation(1), &commit("", -1, 7).into());
    let [append] = <[_; 1]>::try_from(room.coordinator.take_appends()).expect("one batch");
    let mut bytes = append.batch;
    let batch = Batch::split_first(&mut bytes, true).expect("a whole batch").stamped(Offset(0), LeaderEpoch(0));

    let mut next = Room::without_partitions();
    let mut turn = Turn::new(next.now, &mut next.effects);
    next.coordinator.elected(&mut turn, &next.image, append.partition, LeaderEpoch(1), &mut [batch].into_iter());
    assert_eq!(next.committed_offset(false), -1);
    let mut turn = Turn::new(next.now, &mut next.effects);
    next.coordinator.committed(&mut turn, append.partition, Offset(1));
    assert_eq!(next.committed_offset(false), 7);
}

#[test]
fn a_broker_that_leads_no_more_answers_everybody_who_waits() {
    let mut room = Room::new();
    let id = room.stable_group();
    let waiting = room.send(commit(&id, 1, 7));
    let newcomer = room.send(join(""));
    let newcomer = room.join_answer(newcomer).member_id;
    let joining = room.send(join(&newcomer));
    let partition = GroupCoordinator::partition_for(GROUP, 50);
    let mut turn = Turn::new(room.now, &mut room.effects);
    room.coordinator.resigned(&mut turn, partition);
    room.append(None);
    assert_eq!(commit_error(room.answer(waiting)), Some(ErrorCode::NotCoordinator));
    assert_eq!(room.join_answer(joining).error_code, ErrorCode::NotCoordinator.code());
    let heartbeat = HeartbeatRequest::default().with_group_id(group_id()).with_member_id(id);
    let asked = room.send(heartbeat);
    let Some(Response::Heartbeat(answer)) = room.answer(asked) else { panic!() };
    assert_eq!(answer.error_code, ErrorCode::NotCoordinator.code());
}

#[test]
fn while_the_log_is_read_a_join_is_told_to_wait() {
    let mut room = Room::without_partitions();
    room.coordinator.loading(GroupCoordinator::partition_for(GROUP, 50), LeaderEpoch(1));
    let asked = room.send(join(""));
    assert_eq!(room.join_answer(asked).error_code, ErrorCode::CoordinatorLoadInProgress.code());
}

#[test]
fn offsets_of_an_empty_group_expire_a_retention_after_it_became_empty() {
    let mut room = Room::new();
    let id = room.stable_group();
    room.send(commit(&id, 1, 7));
    room.commit_all();
    let member = crate::wire::messages::leave_group_request::MemberIdentity::default().with_member_id(id);
    room.send(LeaveGroupRequest::default().with_group_id(group_id()).with_members(vec![member]));
    room.commit_all();
    assert_eq!(room.group().state, GroupState::Empty);
    let week = Duration::from_secs(7 * 24 * 3_600);
    room.wait(Duration(week.0 - 1_000_000));
    room.commit_all();
    assert_eq!(room.coordinator.offsets(&group_id()).count(), 1);
    room.wait(Duration::from_secs(600));
    room.commit_all();
    assert_eq!(room.coordinator.offsets(&group_id()).count(), 0);
    assert_eq!(room.coordinator.groups().count(), 0);
}

#[test]
fn the_offsets_of_a_deleted_topic_go_with_it() {
    let mut room = Room::new();
    room.send(commit("", -1, 7));
    room.commit_all();
    let mut turn = Turn::new(room.now, &mut room.effects);
    room.coordinator.topic_deleted(&mut turn, &topic_name("orders"));
    room.append(None);
    assert_eq!(room.committed_offset(false), 7);
    room.commit_all();
    assert_eq!(room.committed_offset(false), -1);
}

#[test]
fn a_rebalance_is_told_from_the_first_join_to_the_assignment() {
    let mut room = Room::new();
    room.stable_group();
    let kinds: Vec<&str> = room.facts.iter().map(Fact::kind).collect();
    assert_eq!(kinds, ["MemberJoined", "RebalanceStarted", "GenerationStable"]);
}

#[test]
fn a_group_whose_first_record_fails_leaves_nothing_behind() {
    let mut room = Room::new();
    let mut turn = Turn::new(room.now, &mut room.effects);
    let request = join("").with_group_instance_id(Some(str_bytes("a"))).into();
    room.coordinator.handle(&mut turn, &room.image, NodeId::Client(ClientId(1)), Correlation(1), &request);
    room.append(Some(ErrorCode::NotEnoughReplicas));
    assert_eq!(room.join_answer(1).error_code, ErrorCode::CoordinatorNotAvailable.code());
    room.requests = 1;
    room.send(commit("", -1, 7));
    room.wait(Duration::from_secs(400));
    assert_eq!(room.group().state, GroupState::Empty);
}

#[test]
fn a_member_whose_session_ends_in_the_initial_delay_leaves_an_empty_group() {
    let config = BrokerConfig { group_initial_rebalance_delay: Duration::from_secs(600), ..BrokerConfig::default() };
    let mut room = Room::without_partitions();
    room.coordinator = GroupCoordinator::new(BrokerId(1), &config);
    let partition = GroupCoordinator::partition_for(GROUP, 50);
    room.coordinator.load(&mut Turn::new(room.now, &mut room.effects), &room.image, partition, LeaderEpoch(0), []);
    let asked = room.send(join(""));
    let id = room.join_answer(asked).member_id;
    let joined = room.send(join(&id));
    room.wait(Duration::from_secs(300));
    assert_eq!(room.join_answer(joined).error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!((room.group().state, room.group().generation), (GroupState::Empty, 1));
}
