//! Share groups: what the recorded cases do not show. Partitions that are initialised, or not; failover;
//! sessions; requests that are another kind's.

use super::share::ShareGroupState;
use super::share::persister::{InitializeState, PersisterAnswer, PersisterRequest};
use super::tests::Room;
use super::*;
use crate::kafka::controller::record::MetadataRecord;
use crate::kafka::coordinator::Coordinator;
use crate::wire::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use crate::wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::wire::messages::{
    AlterShareGroupOffsetsRequest, ConsumerGroupHeartbeatRequest, JoinGroupRequest, OffsetCommitRequest,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use crate::wire::{Response, Uuid, error, str_bytes};

fn group_id() -> GroupId {
    GroupId(str_bytes("jobs"))
}

fn heartbeat(member: &str, epoch: i32) -> ShareGroupHeartbeatRequest {
    let topics = (epoch == 0).then(|| vec![topic_name("orders")]);
    ShareGroupHeartbeatRequest::default()
        .with_group_id(group_id())
        .with_member_id(str_bytes(member))
        .with_member_epoch(epoch)
        .with_subscribed_topic_names(topics)
}

impl Room {
    /// A heartbeat that is written and committed: its answer.
    fn beat(&mut self, member: &str, epoch: i32) -> ShareGroupHeartbeatResponse {
        let asked = self.send(heartbeat(member, epoch));
        self.commit_all();
        match self.answer(asked) {
            Some(Response::ShareGroupHeartbeat(answer)) => answer.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn asked_of_persister(&mut self) -> Option<InitializeState> {
        let mut requests = self.coordinator.take_persister_requests();
        assert!(requests.len() <= 1, "{requests:?}");
        match requests.pop()? {
            PersisterRequest::Initialize(request) => Some(request),
            PersisterRequest::Delete(request) => panic!("{request:?}"),
        }
    }

    fn persister_says(&mut self, request: InitializeState, result: Result<(), ErrorCode>) {
        let mut turn = Turn::new(self.now, &mut self.effects);
        let request = PersisterRequest::Initialize(request);
        self.coordinator.persister_answered(&mut turn, &self.image, &PersisterAnswer { request, result });
        self.append(None);
        self.commit_all();
    }

    fn shared(&self) -> &ShareGroup {
        self.coordinator.share_group(&group_id()).expect("the group is there")
    }
}

fn assigned(answer: &ShareGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let topics = &answer.assignment.as_ref()?.topic_partitions;
    Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

/// Partition 0 is to go on from 7, and one that there is not from 9.
fn alter() -> AlterShareGroupOffsetsRequest {
    let row = |index, start| {
        let row = AlterShareGroupOffsetsRequestPartition::default().with_partition_index(index);
        row.with_start_offset(start)
    };
    let topic = AlterShareGroupOffsetsRequestTopic::default()
        .with_topic_name(topic_name("orders"))
        .with_partitions(vec![row(0, 7), row(5, 9)]);
    AlterShareGroupOffsetsRequest::default().with_group_id(group_id()).with_topics(vec![topic])
}

/// The error of the whole, and those of the partitions.
fn altered(room: &Room, asked: u64) -> Option<(Option<ErrorCode>, Vec<Option<ErrorCode>>)> {
    let Response::AlterShareGroupOffsets(answer) = room.answer(asked)? else { panic!("another answer") };
    let rows = answer.responses.iter().flat_map(|topic| &topic.partitions);
    Some((error(answer.error_code), rows.map(|row| error(row.error_code)).collect()))
}

#[test]
fn offsets_that_somebody_chose_are_told_when_the_persister_has_them() {
    let unknown = Some(ErrorCode::UnknownTopicOrPartition);
    for (result, row) in [(Ok(()), None), (Err(ErrorCode::FencedStateEpoch), Some(ErrorCode::FencedStateEpoch))] {
        let mut room = Room::new();
        let asked = room.send(alter());
        room.commit_all();
        assert_eq!(altered(&room, asked), None, "not yet");
        let request = room.asked_of_persister().expect("the persister is asked");
        let starts: Vec<(i32, i64)> = request.topics[&Uuid::from_u128(1)].iter().map(|(p, at)| (*p, at.0)).collect();
        assert_eq!((request.state_epoch, starts), (0, vec![(0, 7)]));
        room.persister_says(request, result);
        assert_eq!(altered(&room, asked), Some((None, vec![row, unknown])));
        let partitions = &room.shared().kind.partitions;
        assert_eq!(
            (partitions.initialized.len(), partitions.initializing.len()),
            if row.is_none() { (1, 0) } else { (0, 1) }
        );
    }
}

#[test]
fn nobody_chooses_the_offsets_of_a_group_that_has_members_or_is_no_share_group() {
    let mut room = Room::new();
    room.beat("m1", 0);
    let asked = room.send(alter());
    room.commit_all();
    assert_eq!(altered(&room, asked), Some((Some(ErrorCode::NonEmptyGroup), Vec::new())));
    let mut room = Room::new();
    room.send(JoinGroupRequest::default().with_group_id(group_id()).with_session_timeout_ms(45_000));
    let asked = room.send(alter());
    room.commit_all();
    assert_eq!(altered(&room, asked), Some((Some(ErrorCode::GroupIdNotFound), Vec::new())));
}

#[test]
fn a_partition_is_assigned_when_its_state_is_there_and_not_before() {
    let mut room = Room::new();
    let joined = room.beat("m1", 0);
    assert_eq!((joined.member_epoch, assigned(&joined)), (1, Some(Vec::new())));
    let request = room.asked_of_persister().expect("the persister is asked");
    assert_eq!((request.state_epoch, request.topics.len()), (1, 1));
    let starts: Vec<(i32, i64)> = request.topics[&Uuid::from_u128(1)].iter().map(|(p, at)| (*p, at.0)).collect();
    assert_eq!(starts, [(0, -1), (1, -1)]);
    let waiting = room.beat("m1", 1);
    assert_eq!((waiting.member_epoch, assigned(&waiting)), (1, None));
    assert_eq!(room.asked_of_persister(), None, "it has been asked already");
    room.persister_says(request, Ok(()));
    assert!(room.facts.iter().any(|fact| fact.kind() == "SharePartitionsInitialized"), "{:?}", room.facts);
    let has = room.beat("m1", 1);
    assert_eq!((has.member_epoch, assigned(&has)), (2, Some(vec![0, 1])));
    assert!(room.shared().kind.partitions.initializing.is_empty());
}

#[test]
fn what_could_not_be_initialised_is_tried_again_with_the_next_heartbeat() {
    let mut room = Room::new();
    room.beat("m1", 0);
    let request = room.asked_of_persister().expect("the persister is asked");
    room.persister_says(request, Err(ErrorCode::CoordinatorNotAvailable));
    assert!(room.shared().kind.partitions.initializing.is_empty());
    room.beat("m1", 1);
    assert!(room.asked_of_persister().is_some());
}

#[test]
fn what_nobody_heard_of_for_thirty_seconds_is_asked_again() {
    let mut room = Room::new();
    room.beat("m1", 0);
    room.asked_of_persister().expect("the persister is asked");
    room.wait(Duration::from_secs(29));
    room.beat("m1", 1);
    assert_eq!(room.asked_of_persister(), None);
    room.wait(Duration::from_secs(1));
    room.beat("m1", 1);
    assert!(room.asked_of_persister().is_some());
}

#[test]
fn nothing_is_asked_of_the_persister_when_the_write_fails() {
    let mut room = Room::new();
    let mut turn = Turn::new(room.now, &mut room.effects);
    let (from, correlation) = (NodeId::Client(crate::wire::ClientId(1)), Correlation(9));
    room.coordinator.handle(&mut turn, &room.image, from, correlation, &heartbeat("m1", 0).into());
    room.append(Some(ErrorCode::NotEnoughReplicas));
    let Some(Response::ShareGroupHeartbeat(answer)) = room.answer(9) else { panic!("no answer") };
    assert_eq!(error(answer.error_code), Some(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(room.asked_of_persister(), None);
    assert_eq!(room.coordinator.share_groups().count(), 0);
}

#[test]
fn several_members_share_partitions_and_a_silent_one_is_removed() {
    let mut room = Room::new();
    room.beat("m1", 0);
    let request = room.asked_of_persister().expect("the persister is asked");
    room.persister_says(request, Ok(()));
    for member in ["m2", "m3"] {
        room.beat(member, 0);
    }
    let epoch = room.shared().epoch;
    for member in ["m1", "m2", "m3"] {
        room.wait(Duration::from_secs(1));
        room.beat(member, room.shared().members[&str_bytes(member)].current.epoch);
    }
    let has = |room: &Room, member: &str| {
        room.shared().members[&str_bytes(member)].current.assigned.values().map(|those| those.len()).sum::<usize>()
    };
    let all: Vec<usize> = ["m1", "m2", "m3"].map(|member| has(&room, member)).to_vec();
    assert_eq!(all, [2, 1, 1], "each partition has two readers");
    room.wait(Duration::from_secs(40));
    room.beat("m1", epoch);
    for _ in 0..6 {
        room.wait(Duration::from_secs(1));
        room.commit_all();
    }
    assert_eq!(room.shared().members.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["m1"]);
    assert_eq!(room.shared().epoch, epoch + 2);
    let next = room.beat("m1", epoch);
    assert_eq!((next.member_epoch, assigned(&next)), (epoch + 2, None), "it has had both all along");
    assert_eq!(has(&room, "m1"), 2);
    room.beat("m1", -1);
    assert_eq!(room.shared().state(), ShareGroupState::Empty);
}

#[test]
fn a_new_coordinator_knows_the_group_and_its_partitions() {
    let mut room = Room::new();
    room.beat("m1", 0);
    let request = room.asked_of_persister().expect("the persister is asked");
    room.persister_says(request, Ok(()));
    room.beat("m1", 1);
    let before = room.shared().clone();
    let partition = GroupCoordinator::partition_for("jobs", 50);
    let log = room.log.get(&partition).cloned().expect("the group has a log");
    let mut next = Room::without_partitions();
    next.image = room.image.clone();
    next.now = room.now;
    let mut turn = Turn::new(next.now, &mut next.effects);
    let records = log.into_iter().map(|(at, record)| (at, Logged::Record(record, None)));
    next.coordinator.load(&mut turn, &next.image, partition, LeaderEpoch(1), records);
    next.coordinator.committed(&mut turn, partition, Offset(100));
    let loaded = next.shared().clone();
    assert_eq!(ShareGroup { metadata_seen_at: before.metadata_seen_at, ..loaded }, before);
    next.wait(Duration::from_secs(46));
    assert!(next.shared().members.is_empty(), "sessions begin anew, and end");
}

#[test]
fn a_deleted_topic_is_nobodys_partition_any_more() {
    let mut room = Room::new();
    room.beat("m1", 0);
    let request = room.asked_of_persister().expect("the persister is asked");
    room.persister_says(request, Ok(()));
    room.image.replay(&MetadataRecord::RemoveTopic { id: Uuid::from_u128(1) });
    let mut turn = Turn::new(room.now, &mut room.effects);
    room.coordinator.topic_changed(&topic_name("orders"));
    room.coordinator.topic_deleted(&mut turn, &topic_name("orders"));
    room.append(None);
    room.commit_all();
    assert!(room.shared().kind.partitions.initialized.is_empty());
    let next = room.beat("m1", 1);
    assert_eq!((next.member_epoch, assigned(&next)), (2, None), "it had nothing, and has nothing");
}

#[test]
fn groups_of_different_kinds_keep_apart() {
    let mut room = Room::new();
    room.beat("m1", 0);
    let consumer = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id())
        .with_member_id(str_bytes("c1"))
        .with_rebalance_timeout_ms(1_000)
        .with_subscribed_topic_names(Some(vec![topic_name("orders")]))
        .with_topic_partitions(Some(Vec::new()));
    let asked = room.send(consumer);
    let Some(Response::ConsumerGroupHeartbeat(answer)) = room.answer(asked) else { panic!("no answer") };
    assert_eq!(error(answer.error_code), Some(ErrorCode::GroupIdNotFound));
    let classic = JoinGroupRequest::default().with_group_id(group_id()).with_session_timeout_ms(45_000);
    let asked = room.send(classic);
    let Some(Response::JoinGroup(answer)) = room.answer(asked) else { panic!("no answer") };
    assert_eq!(error(answer.error_code), Some(ErrorCode::InconsistentGroupProtocol));
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(7);
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(group_id())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let asked = room.send(commit);
    let Some(Response::OffsetCommit(answer)) = room.answer(asked) else { panic!("no answer") };
    assert_eq!(error(answer.topics[0].partitions[0].error_code), Some(ErrorCode::GroupIdNotFound));
    assert_eq!(room.coordinator.groups().count(), 0);
}
