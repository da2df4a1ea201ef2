//! The assignors that run at the coordinator, those of the consumer protocol and that of share groups
//! (KIP-848, KIP-932; PartitionAssignor): from what the members subscribe to and what their target was
//! they compute the next target.

mod heterogeneous;
mod range;
mod simple;
mod uniform;

use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{StrBytes, Uuid};

/// Partitions by topic; no set is empty.
pub type Partitions = SortedMap<Uuid, SortedSet<i32>>;

/// Everybody's partitions by member id.
pub type Targets = SortedMap<StrBytes, Partitions>;

/// One member as an assignor sees it (MemberSubscriptionAndAssignmentImpl).
#[derive(Clone, Debug, PartialEq)]
pub struct MemberSpec {
    pub id: StrBytes,
    pub instance: Option<StrBytes>,
    /// The topics that it subscribes to.
    pub topics: SortedSet<Uuid>,
    /// What it is to have according to the target so far.
    pub target: Partitions,
}

/// A group as an assignor sees it (GroupSpecImpl, SubscribedTopicDescriber).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// In the order in which they are visited. Kafka: that of a hash map.
    pub members: Vec<MemberSpec>,
    /// Every topic that exists, with its number of partitions, in the order in which they are visited.
    pub topics: Vec<(Uuid, i32)>,
    /// SubscriptionType.HOMOGENEOUS: all members subscribe to the same topics.
    pub homogeneous: bool,
    /// What may be assigned so far; `None`: everything. Only share groups wait for something.
    pub assignable: Option<Partitions>,
}

/// A member subscribes to a topic that does not exist (PartitionAssignorException).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTopic;

impl GroupSpec {
    fn partitions_of(&self, topic: &Uuid) -> Result<i32, UnknownTopic> {
        self.topics.iter().find(|(id, _)| id == topic).map(|(_, count)| *count).ok_or(UnknownTopic)
    }

    pub fn new(members: Vec<MemberSpec>, topics: Vec<(Uuid, i32)>) -> GroupSpec {
        let homogeneous = members.windows(2).all(|pair| pair[0].topics == pair[1].topics);
        GroupSpec { members, topics, homogeneous, assignable: None }
    }

    /// GroupSpec.isPartitionAssignable.
    fn is_assignable(&self, topic: &Uuid, partition: i32) -> bool {
        let Some(assignable) = &self.assignable else { return true };
        assignable.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }
}

/// One of `group.consumer.assignors`, or the assignor of share groups.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignor {
    Uniform,
    Range,
    /// That of share groups (`group.share.assignors`).
    Simple,
    /// One that has its answer ready, or its failure, as a class of somebody's own may have; without one it
    /// leaves everything as it is.
    Fixed {
        name: StrBytes,
        targets: Option<Result<Targets, UnknownTopic>>,
    },
}

impl Assignor {
    /// One of the consumer protocol's.
    pub fn parse(name: &str) -> Option<Assignor> {
        match name {
            "uniform" => Some(Assignor::Uniform),
            "range" => Some(Assignor::Range),
            _ => None,
        }
    }

    pub fn name(&self) -> StrBytes {
        match self {
            Assignor::Uniform => StrBytes::from_static_str("uniform"),
            Assignor::Range => StrBytes::from_static_str("range"),
            Assignor::Simple => StrBytes::from_static_str("simple"),
            Assignor::Fixed { name, .. } => name.clone(),
        }
    }

    /// Members that the answer does not name get nothing.
    pub fn assign(&self, spec: &GroupSpec) -> Result<Targets, UnknownTopic> {
        match self {
            _ if spec.members.is_empty() => Ok(Targets::new()),
            Assignor::Range => range::assign(spec),
            Assignor::Simple => simple::assign(spec),
            Assignor::Uniform if spec.homogeneous => uniform::assign(spec),
            Assignor::Uniform => heterogeneous::assign(spec),
            Assignor::Fixed { targets: Some(targets), .. } => targets.clone(),
            Assignor::Fixed { targets: None, .. } => {
                Ok(spec.members.iter().map(|member| (member.id.clone(), member.target.clone())).collect())
            }
        }
    }
}
