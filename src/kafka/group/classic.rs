//! One classic group: its members, its generation and the rules that need nothing else
//! (ClassicGroup, ClassicGroupMember, ClassicGroupState).

use bytes::Bytes;

use crate::kafka::coordinator::Reply;
use crate::kafka::group::protocol;
use crate::kafka::group::records::{CommittedOffset, GroupValue, MemberValue};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{ErrorCode, GroupId, StrBytes, TopicName};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    Dead,
}

impl GroupState {
    /// As Kafka's tools write it.
    pub const fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }

    /// ClassicGroupState.validPreviousStates, read from the other side.
    pub fn may_become(self, next: GroupState) -> bool {
        use GroupState::*;
        match next {
            Empty => self == PreparingRebalance,
            PreparingRebalance => matches!(self, Stable | CompletingRebalance | Empty),
            CompletingRebalance => self == PreparingRebalance,
            Stable => self == CompletingRebalance,
            Dead => true,
        }
    }
}

/// A JoinGroup that waits for the join phase to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedJoin {
    /// `None`: answered already (its write failed); the member still counts as waiting.
    pub reply: Option<Reply>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub id: StrBytes,
    /// `group.instance.id` of a static member (KIP-345).
    pub instance: Option<StrBytes>,
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    pub rebalance_timeout: Duration,
    pub session_timeout: Duration,
    /// The protocols (assignors) that it supports, its favourite first, with its metadata for each.
    pub protocols: Vec<(StrBytes, Bytes)>,
    pub assignment: Bytes,
    pub awaiting_join: Option<ParkedJoin>,
    pub awaiting_sync: Option<Reply>,
    /// It has never completed a join: its session may end even while it waits.
    pub is_new: bool,
}

impl Member {
    /// Its metadata for a protocol; empty when it does not support it.
    pub fn metadata(&self, protocol: Option<&StrBytes>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(name) == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// ClassicGroupMember.hasSatisfiedHeartbeat: whoever waits for us need not send heartbeats.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// ClassicGroupMember.vote: its first protocol that all support.
    fn vote<'a>(&'a self, candidates: &SortedSet<&StrBytes>) -> Option<&'a StrBytes> {
        self.protocols.iter().map(|(name, _)| name).find(|name| candidates.contains(name))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClassicGroup {
    pub id: GroupId,
    pub state: GroupState,
    /// The state before this one; tells an initial rebalance from a later one.
    pub previous_state: GroupState,
    /// When it entered its state: milliseconds, `None` when the log did not say.
    pub state_since: Option<i64>,
    pub protocol_type: Option<StrBytes>,
    /// The protocol that the generation selected: the assignor's name.
    pub protocol: Option<StrBytes>,
    pub generation: i32,
    pub leader: Option<StrBytes>,
    /// In the order in which they joined, which decides who leads after the leader left (Kafka:
    /// the order of a hash map).
    pub members: Vec<Member>,
    /// Member ids handed out with MEMBER_ID_REQUIRED that have not come back yet.
    pub pending_join: SortedSet<StrBytes>,
    /// Members that were answered a join and have not asked for their assignment yet.
    pub pending_sync: SortedSet<StrBytes>,
    /// A member joined since the initial delay was last extended.
    pub new_member_added: bool,
    /// The initial join phase: the delay that runs, and how much it may still be extended.
    pub initial_delay: Option<(Duration, Duration)>,
    /// What the members read, when that is known: their offsets never expire.
    pub subscribed: Option<SortedSet<TopicName>>,
}

impl ClassicGroup {
    pub fn new(id: GroupId, now: Instant) -> ClassicGroup {
        ClassicGroup {
            id,
            state: GroupState::Empty,
            previous_state: GroupState::Dead,
            state_since: Some(now.millis()),
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: Vec::new(),
            pending_join: SortedSet::new(),
            pending_sync: SortedSet::new(),
            new_member_added: false,
            initial_delay: None,
            subscribed: None,
        }
    }

    /// A group as its record tells it (GroupMetadataManager.replay): Stable, or Empty without members.
    pub fn from_value(id: GroupId, value: &GroupValue) -> ClassicGroup {
        let mut group = ClassicGroup::new(id, Instant::ZERO);
        group.state = if value.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        group.state_since = Some(value.current_state_timestamp).filter(|t| *t != -1);
        group.protocol_type = Some(value.protocol_type.clone()).filter(|t| !t.is_empty());
        group.protocol = value.protocol.clone();
        group.generation = value.generation;
        group.leader = value.leader.clone();
        group.members = value.members.iter().map(|m| loaded_member(m, value.protocol.as_ref())).collect();
        group.subscribed = group.compute_subscribed();
        group
    }

    /// What the log keeps of the group, with these assignments.
    pub fn to_value(&self, assignments: &SortedMap<StrBytes, Bytes>) -> GroupValue {
        let member = |m: &Member| MemberValue {
            member_id: m.id.clone(),
            group_instance_id: m.instance.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            rebalance_timeout: m.rebalance_timeout.millis() as i32,
            session_timeout: m.session_timeout.millis() as i32,
            subscription: m.metadata(self.protocol.as_ref()),
            assignment: assignments.get(&m.id).cloned().unwrap_or_default(),
        };
        GroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since.unwrap_or(-1),
            members: self.members.iter().map(member).collect(),
        }
    }

    pub fn transition_to(&mut self, next: GroupState, now: Instant) {
        assert!(self.state.may_become(next), "group {:?}: {:?} cannot become {next:?}", self.id, self.state);
        self.previous_state = self.state;
        self.state = next;
        self.state_since = Some(now.millis());
    }

    pub fn can_rebalance(&self) -> bool {
        self.state.may_become(GroupState::PreparingRebalance)
    }

    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.id.as_str() == id)
    }

    pub fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.id.as_str() == id)
    }

    pub fn has_member(&self, id: &str) -> bool {
        self.member(id).is_some()
    }

    pub fn is_leader(&self, id: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.as_str() == id)
    }

    /// The member id behind a `group.instance.id`.
    pub fn static_member(&self, instance: &str) -> Option<&StrBytes> {
        self.members.iter().find(|m| m.instance.as_ref().is_some_and(|i| i.as_str() == instance)).map(|m| &m.id)
    }

    pub fn awaiting_join(&self) -> usize {
        self.members.iter().filter(|m| m.awaiting_join.is_some()).count()
    }

    pub fn has_all_members_joined(&self) -> bool {
        self.pending_join.is_empty() && self.members.iter().all(|m| m.awaiting_join.is_some())
    }

    /// The longest rebalance timeout of the members.
    pub fn rebalance_timeout(&self) -> Duration {
        self.members.iter().map(|m| m.rebalance_timeout).max().unwrap_or(Duration::ZERO)
    }

    /// The first member decides the type of the group's protocols and leads.
    pub fn add(&mut self, member: Member, protocol_type: &StrBytes) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending_join.remove(&member.id);
        self.members.push(member);
    }

    /// The first of the remaining members takes over from a leader that goes.
    pub fn remove(&mut self, id: &str) -> Option<Member> {
        let position = self.members.iter().position(|m| m.id.as_str() == id);
        let removed = position.map(|at| self.members.remove(at));
        if self.is_leader(id) {
            self.leader = self.members.first().map(|m| m.id.clone());
        }
        self.pending_join.retain(|pending| pending.as_str() != id);
        self.pending_sync.retain(|pending| pending.as_str() != id);
        removed
    }

    /// ClassicGroup.supportsProtocols: the type fits and one of these protocols is known to all.
    pub fn supports_protocols(&self, protocol_type: &str, protocols: &[(StrBytes, Bytes)]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_ref().is_some_and(|own| own.as_str() == protocol_type)
            && protocols.iter().any(|(name, _)| self.all_support(name))
    }

    fn all_support(&self, protocol: &StrBytes) -> bool {
        self.members.iter().all(|m| m.protocols.iter().any(|(name, _)| name == protocol))
    }

    /// ClassicGroup.selectProtocol: of the protocols that all support, the one that most members
    /// like best; the first in the alphabet when several do (Kafka: hash order). `None` without members.
    pub fn select_protocol(&self) -> Option<StrBytes> {
        let first = self.members.first()?;
        let candidates: SortedSet<&StrBytes> =
            first.protocols.iter().map(|(name, _)| name).filter(|name| self.all_support(name)).collect();
        let mut votes: SortedMap<&StrBytes, u32> = SortedMap::new();
        for choice in self.members.iter().filter_map(|m| m.vote(&candidates)) {
            *votes.entry(choice).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// False when nobody has rejoined. A leader that has not gives way to a member that has.
    pub fn maybe_elect_new_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else {
            return false;
        };
        if self.member(leader).is_some_and(|m| m.awaiting_join.is_some()) {
            return true;
        }
        let Some(joined) = self.members.iter().find(|m| m.awaiting_join.is_some()) else {
            return false;
        };
        self.leader = Some(joined.id.clone());
        true
    }

    pub fn init_next_generation(&mut self, now: Instant) {
        self.generation += 1;
        self.protocol = self.select_protocol();
        self.subscribed = self.compute_subscribed();
        let next = if self.members.is_empty() { GroupState::Empty } else { GroupState::CompletingRebalance };
        self.transition_to(next, now);
        self.pending_sync.clear();
    }

    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_ref().is_some_and(|t| t.as_str() == protocol::CONSUMER)
    }

    /// ClassicGroup.setSubscribedTopics, for a group that comes out of another protocol.
    pub(super) fn remember_subscriptions(&mut self) {
        self.subscribed = self.compute_subscribed();
    }

    /// Whether nobody is a member or about to be one.
    pub fn is_empty(&self) -> bool {
        self.state == GroupState::Empty
    }

    /// A group that was made only to keep offsets and has no record of its own (isSimpleGroup).
    pub fn is_simple(&self) -> bool {
        self.is_empty() && self.protocol_type.is_none() && self.pending_join.is_empty()
    }

    fn compute_subscribed(&self) -> Option<SortedSet<TopicName>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(SortedSet::new());
        }
        self.protocol.as_ref()?;
        let mut topics = SortedSet::new();
        for member in &self.members {
            topics.extend(protocol::subscribed_topics(&member.metadata(self.protocol.as_ref()))?);
        }
        Some(topics)
    }

    /// When we cannot tell what consumers read, they may read anything.
    pub fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        self.subscribed.as_ref().map_or(self.uses_consumer_protocol(), |topics| topics.contains(topic))
    }

    /// The member exists and, if it is static, still holds its instance id (KIP-345).
    pub fn validate_member(&self, member: &str, instance: Option<&StrBytes>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            let holder = self.static_member(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if holder.as_str() != member {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.has_member(member) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// ClassicGroup.validateOffsetCommit, for commits outside of transactions. A group that
    /// prepares a rebalance takes commits, so that members can commit before they give up partitions.
    pub fn validate_offset_commit(
        &self,
        member: &str,
        instance: Option<&StrBytes>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if generation >= 0 || !member.is_empty() || instance.is_some() {
            self.validate_member(member, instance)?;
            if generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else {
            return Err(ErrorCode::UnknownMemberId);
        }
        if self.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// The same for commits inside of transactions, which no state of the group refuses.
    pub fn validate_txn_offset_commit(
        &self,
        member: &str,
        instance: Option<&StrBytes>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if generation < 0 && (self.state == GroupState::Empty || (member.is_empty() && instance.is_none())) {
            return Ok(());
        }
        self.validate_member(member, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(())
    }

    /// ClassicGroup.validateDeleteGroup.
    pub fn validate_delete(&self) -> Result<(), ErrorCode> {
        match self.state {
            GroupState::Dead => Err(ErrorCode::GroupIdNotFound),
            GroupState::Empty => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// ClassicGroup.offsetExpirationCondition: since when (milliseconds) an offset counts as
    /// abandoned; `None` while it may not expire at all. Topics that are read are kept apart from this.
    pub fn offset_expires_from(&self, offset: &CommittedOffset) -> Option<i64> {
        if self.protocol_type.is_none() {
            return Some(offset.commit_timestamp);
        }
        match self.state {
            GroupState::Empty => Some(self.state_since.unwrap_or(offset.commit_timestamp)),
            GroupState::Stable if self.uses_consumer_protocol() && self.subscribed.is_some() => {
                Some(offset.commit_timestamp)
            }
            _ => None,
        }
    }
}

fn loaded_member(value: &MemberValue, protocol: Option<&StrBytes>) -> Member {
    let rebalance = if value.rebalance_timeout == -1 { value.session_timeout } else { value.rebalance_timeout };
    Member {
        id: value.member_id.clone(),
        instance: value.group_instance_id.clone(),
        client_id: value.client_id.clone(),
        client_host: value.client_host.clone(),
        rebalance_timeout: Duration::from_millis(rebalance.into()),
        session_timeout: Duration::from_millis(value.session_timeout.into()),
        protocols: vec![(protocol.cloned().unwrap_or_default(), value.subscription.clone())],
        assignment: value.assignment.clone(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
