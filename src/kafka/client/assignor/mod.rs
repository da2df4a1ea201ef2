//! Who reads which partitions of a classic group: the group's leader computes it from what every
//! member subscribed to (ConsumerPartitionAssignor, AbstractPartitionAssignor).

mod range;
mod roundrobin;

use std::cmp::Ordering;

use bytes::Bytes;

use crate::sorted::SortedMap;
use crate::wire::{StrBytes, TopicName, TopicPartition};

/// What one member told the group: its subscription, and what of its identity matters here.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Subscription {
    pub member_id: StrBytes,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<StrBytes>,
    /// `client.rack` (KIP-881).
    pub rack: Option<StrBytes>,
    pub topics: Vec<TopicName>,
    /// What it held when it joined (KIP-429).
    pub owned: Vec<TopicPartition>,
    /// The generation in which it held them; `None` when it does not say.
    pub generation: Option<i32>,
    /// What the assignor itself left with the member.
    pub user_data: Option<Bytes>,
}

/// The topics that the leader knows of: for each partition the racks of its replicas (an empty
/// list when they have none).
pub type TopicRacks = SortedMap<TopicName, Vec<Vec<StrBytes>>>;

/// Each member's partitions, by member id; a member without any is in it too.
pub type Assignment = SortedMap<StrBytes, Vec<TopicPartition>>;

/// `partition.assignment.strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    Range,
    RoundRobin,
}

impl Assignor {
    pub fn parse(name: &str) -> Option<Assignor> {
        [Assignor::Range, Assignor::RoundRobin].into_iter().find(|a| a.name() == name)
    }

    /// The assignor's name, which is also the name of the group's protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
        }
    }

    /// Topics that nobody subscribed to are left out; those that are not in `topics` are unknown yet.
    pub fn assign(self, topics: &TopicRacks, members: &[Subscription]) -> Assignment {
        let mut ordered: Vec<&Subscription> = members.iter().collect();
        ordered.sort_by(|a, b| member_order(a, b));
        match self {
            Assignor::Range => range::assign(topics, &ordered),
            Assignor::RoundRobin => roundrobin::assign(topics, &ordered),
        }
    }
}

/// AbstractPartitionAssignor.MemberInfo: static members first, by instance id, then the others by
/// member id; text as Java orders it, by UTF-16 units.
fn member_order(a: &Subscription, b: &Subscription) -> Ordering {
    match (&a.group_instance_id, &b.group_instance_id) {
        (Some(a), Some(b)) => utf16_order(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => utf16_order(&a.member_id, &b.member_id),
    }
}

fn utf16_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Every member with no partition yet.
fn nothing_assigned(members: &[&Subscription]) -> Assignment {
    members.iter().map(|m| (m.member_id.clone(), Vec::new())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{str_bytes, topic_name};

    fn member(id: &str, instance: Option<&str>) -> Subscription {
        Subscription {
            member_id: str_bytes(id),
            group_instance_id: instance.map(str_bytes),
            topics: vec![topic_name("orders")],
            ..Subscription::default()
        }
    }

    #[test]
    fn static_members_come_first_whatever_their_member_ids() {
        let topics = TopicRacks::from([(topic_name("orders"), vec![Vec::new(); 3])]);
        let members = [member("a", None), member("z", Some("second")), member("y", Some("first"))];
        let assignment = Assignor::Range.assign(&topics, &members);
        assert_eq!(assignment[&str_bytes("y")], [TopicPartition::named("orders", 0)]);
        assert_eq!(assignment[&str_bytes("z")], [TopicPartition::named("orders", 1)]);
        assert_eq!(assignment[&str_bytes("a")], [TopicPartition::named("orders", 2)]);
    }

    #[test]
    fn a_topic_that_is_not_known_yet_is_assigned_to_nobody() {
        for assignor in [Assignor::Range, Assignor::RoundRobin] {
            let assignment = assignor.assign(&TopicRacks::new(), &[member("a", None)]);
            assert_eq!(assignment[&str_bytes("a")], []);
        }
    }
}
