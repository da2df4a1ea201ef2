//! Groups between the two protocols: who may be taken out of them, and when one is a classic group again.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

use super::classic::GroupState;
use super::consumer::member::{ClassicMetadata, CurrentAssignment, MemberMetadata};
use super::consumer::records::{ConsumerOwn, ConsumerRecord};
use super::modern::records::GroupEpoch;
use super::tests::Room;
use super::*;
use crate::wire::messages::join_group_request::JoinGroupRequestProtocol;
use crate::wire::messages::leave_group_request::MemberIdentity;
use crate::wire::messages::{ConsumerProtocolSubscription, DeleteGroupsRequest, JoinGroupRequest, LeaveGroupRequest};
use crate::wire::{Response, str_bytes};

fn group_id() -> GroupId {
    GroupId(str_bytes("moving"))
}

fn subscription() -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(3);
    let subscription = ConsumerProtocolSubscription::default().with_topics(vec![str_bytes("orders")]);
    subscription.encode(&mut out, 3).expect("a subscription encodes");
    out.freeze()
}

fn classic() -> ClassicMetadata {
    ClassicMetadata { session_timeout: Duration::from_secs(45), protocols: vec![(str_bytes("range"), subscription())] }
}

impl Room {
    fn replay(&mut self, record: ConsumerRecord) {
        let partition = GroupCoordinator::partition_for(group_id().0.as_str(), 50);
        let record = GroupRecord::Consumer { group: group_id(), record };
        self.coordinator.replay(partition, &record, Offset(0), self.now);
    }

    /// A consumer group in epoch 10 with these members: their names, and which protocol they speak. What begins
    /// with `static` is a static member.
    fn moving_group(members: &[(&str, bool)]) -> Room {
        let mut room = Room::new();
        for (name, is_classic) in members {
            let id = str_bytes(name);
            let metadata = MemberMetadata {
                instance: name.starts_with("static").then(|| id.clone()),
                topics: [topic_name("orders")].into_iter().collect(),
                classic: is_classic.then(classic),
                rebalance_timeout: Duration::from_secs(300),
                ..MemberMetadata::default()
            };
            room.replay(ConsumerRecord::Member(id.clone(), Some(metadata)));
            room.replay(ConsumerRecord::Target(id.clone(), Some(Default::default())));
            let current = CurrentAssignment { epoch: 10, previous_epoch: 9, ..CurrentAssignment::default() };
            room.replay(ConsumerRecord::Current(id, Some(current)));
        }
        room.replay(ConsumerRecord::TargetEpoch(Some(10)));
        room.replay(ConsumerRecord::Epoch(Some(GroupEpoch { epoch: 10, metadata_hash: 0 })));
        room
    }

    /// The members' errors.
    fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<(String, i16)> {
        let identity = |(id, instance): &(&str, Option<&str>)| {
            MemberIdentity::default().with_member_id(str_bytes(id)).with_group_instance_id(instance.map(str_bytes))
        };
        let request =
            LeaveGroupRequest::default().with_group_id(group_id()).with_members(members.iter().map(identity).collect());
        let asked = self.send(request);
        self.commit_all();
        match self.answer(asked) {
            Some(Response::LeaveGroup(answer)) => {
                answer.members.iter().map(|m| (m.member_id.to_string(), m.error_code)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn written(&self) -> Vec<&GroupRecord> {
        self.log.values().flatten().map(|(_, record)| record).collect()
    }

    fn members(&self) -> Vec<&str> {
        let group = self.coordinator.consumer_group(&group_id()).expect("a consumer group");
        group.members.keys().map(|id| id.as_str()).collect()
    }
}

#[test]
fn members_of_the_consumer_protocol_can_be_removed_like_classic_ones() {
    let mut room = Room::moving_group(&[("a", false), ("b", false), ("static-c", false), ("static-d", false)]);
    let unknown = ErrorCode::UnknownMemberId.code();
    let fenced = ErrorCode::FencedInstanceId.code();
    let answers = room.leave(&[("a", None), ("x", None), ("", Some("static-c")), ("b", Some("static-d"))]);
    let answers: Vec<(&str, i16)> = answers.iter().map(|(id, error)| (id.as_str(), *error)).collect();
    assert_eq!(answers, [("a", 0), ("x", unknown), ("", 0), ("b", fenced)]);
    assert_eq!(room.members(), ["b", "static-d"]);
}

#[test]
fn a_group_is_classic_again_when_its_last_other_members_go_together_with_classic_ones() {
    let mut room = Room::moving_group(&[("a", true), ("b", true), ("c", false), ("d", false)]);
    room.leave(&[("a", None), ("c", None), ("d", None)]);
    let group = room.coordinator.group(&group_id()).expect("a classic group");
    assert_eq!((group.members.len(), group.state), (1, GroupState::PreparingRebalance));
}

fn join_again(topics: Bytes) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(str_bytes("range")).with_metadata(topics);
    JoinGroupRequest::default()
        .with_group_id(group_id())
        .with_group_instance_id(Some(str_bytes("static-b")))
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(300_000)
        .with_protocol_type(str_bytes("consumer"))
        .with_protocols(vec![protocol])
}

#[test]
fn a_static_member_back_as_a_classic_one_with_the_same_topics_disturbs_nobody() {
    let mut room = Room::moving_group(&[("a", true), ("static-b", false)]);
    let asked = room.send(join_again(subscription()));
    room.commit_all();
    let Some(Response::JoinGroup(answer)) = room.answer(asked) else { panic!("no answer") };
    assert_eq!((answer.error_code, answer.generation_id), (0, 10));
    let group = room.coordinator.group(&group_id()).expect("a classic group");
    assert_eq!((group.members.len(), group.state, group.generation), (2, GroupState::Stable, 10));
}

#[test]
fn metadata_that_an_older_broker_kept_of_topics_goes_with_the_next_look_at_them() {
    let mut room = Room::moving_group(&[("a", false)]);
    room.replay(ConsumerRecord::Own(ConsumerOwn::PartitionMetadata(Some(Bytes::from_static(b"old")))));
    let heartbeat = crate::wire::messages::ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id())
        .with_member_id(str_bytes("a"))
        .with_member_epoch(10);
    let is_gone = |room: &Room| {
        let own = |record: &&GroupRecord| match record {
            GroupRecord::Consumer { record: ConsumerRecord::Own(own), .. } => {
                *own == ConsumerOwn::PartitionMetadata(None)
            }
            _ => false,
        };
        room.written().into_iter().filter(own).count()
    };
    room.send(heartbeat);
    assert_eq!(is_gone(&room), 1);
    room.commit_all();
    room.leave(&[("a", None)]);
    room.send(DeleteGroupsRequest::default().with_groups_names(vec![group_id()]));
    assert_eq!(is_gone(&room), 2);
}
