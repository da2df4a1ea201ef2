//! Who reads which partitions of a classic group: the group's leader computes it from what every
//! member subscribed to (ConsumerPartitionAssignor, AbstractPartitionAssignor).

mod range;
mod roundrobin;
pub mod sticky;

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
    Sticky,
    CooperativeSticky,
}

/// What a member does with its partitions while the group rebalances
/// (ConsumerPartitionAssignor.RebalanceProtocol, KIP-429). The more advanced comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebalanceProtocol {
    /// It gives all of them up before it joins.
    Eager,
    /// It keeps them, and gives up only what the new assignment takes away.
    Cooperative,
}

impl RebalanceProtocol {
    /// The most advanced protocol that all of a member's assignors support; eager is always one.
    pub fn of(assignors: &[Assignor]) -> RebalanceProtocol {
        let supported = assignors.iter().map(|a| a.protocol());
        supported.min().unwrap_or(RebalanceProtocol::Eager)
    }
}

impl Assignor {
    pub fn parse(name: &str) -> Option<Assignor> {
        use Assignor::{CooperativeSticky, Range, RoundRobin, Sticky};
        [Range, RoundRobin, Sticky, CooperativeSticky].into_iter().find(|a| a.name() == name)
    }

    /// The assignor's name, which is also the name of the group's protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The most advanced protocol that it supports (`supportedProtocols`); all support the eager one.
    pub const fn protocol(self) -> RebalanceProtocol {
        match self {
            Assignor::Range | Assignor::RoundRobin | Assignor::Sticky => RebalanceProtocol::Eager,
            Assignor::CooperativeSticky => RebalanceProtocol::Cooperative,
        }
    }

    /// Topics that nobody subscribed to are left out; those that are not in `topics` are unknown yet.
    pub fn assign(self, topics: &TopicRacks, members: &[Subscription]) -> Assignment {
        let mut ordered: Vec<&Subscription> = members.iter().collect();
        ordered.sort_by(|a, b| member_order(a, b));
        match self {
            Assignor::Range => range::assign(topics, &ordered),
            Assignor::RoundRobin => roundrobin::assign(topics, &ordered),
            Assignor::Sticky => sticky::assign(sticky::Kind::Eager, topics, &ordered),
            Assignor::CooperativeSticky => sticky::assign(sticky::Kind::Cooperative, topics, &ordered),
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
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky] {
            let assignment = assignor.assign(&TopicRacks::new(), &[member("a", None)]);
            assert_eq!(assignment[&str_bytes("a")], []);
        }
    }

    #[test]
    fn only_cooperative_assignors_make_a_cooperative_member() {
        use Assignor::{CooperativeSticky, Range, Sticky};
        assert_eq!(RebalanceProtocol::of(&[CooperativeSticky]), RebalanceProtocol::Cooperative);
        assert_eq!(RebalanceProtocol::of(&[Range, CooperativeSticky]), RebalanceProtocol::Eager);
        assert_eq!(RebalanceProtocol::of(&[CooperativeSticky, Sticky]), RebalanceProtocol::Eager);
    }
}
