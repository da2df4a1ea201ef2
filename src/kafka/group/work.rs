//! What one request or deadline works with, and the writes that it decides on.

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::config::{BrokerConfig, GroupConfig};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::Reply;
use crate::kafka::fact::Fact;
use crate::kafka::group::assignor::Assignor;
use crate::kafka::group::classic::{ClassicGroup, Member};
use crate::kafka::group::consumer::ConsumerGroup;
use crate::kafka::group::consumer::migration::MigrationPolicy;
use crate::kafka::group::offsets::Offsets;
use crate::kafka::group::records::GroupRecord;
use crate::kafka::group::share::ShareGroup;
use crate::kafka::group::share::persister::PersisterRequest;
use crate::kafka::group::timers::{Timer, TimerKind, Timers};
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::{JoinGroupResponse, SyncGroupResponse};
use crate::wire::{Correlation, GroupId, NodeId, ProducerId, Response, StrBytes};

/// `offsets.commit.timeout.ms`: how long a write may wait for its commit.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// `GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`: how long a member that has
/// no id of its own yet may wait in a join phase; it cannot send heartbeats.
pub(super) const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// What the coordinator reads of the broker's settings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub partitions: i32,
    pub initial_rebalance_delay: Duration,
    pub min_session_timeout: Duration,
    pub max_session_timeout: Duration,
    pub max_size: i32,
    pub metadata_max_bytes: i32,
    pub retention: Duration,
    pub retention_check_interval: Duration,
    pub consumer: ConsumerSettings,
    pub share: ShareSettings,
    /// What a group without settings of its own goes by.
    pub group: GroupConfig,
}

/// The settings of consumer groups, `group.consumer.…`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConsumerSettings {
    pub max_size: i32,
    /// The first one is the default.
    pub assignors: Vec<Assignor>,
    pub migration: MigrationPolicy,
}

/// The settings of share groups, `group.share.…`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ShareSettings {
    pub max_size: i32,
    pub initialize_retry_interval: Duration,
    pub assignor: Assignor,
}

impl Settings {
    pub fn new(config: &BrokerConfig) -> Settings {
        Settings {
            partitions: config.offsets_topic_num_partitions,
            initial_rebalance_delay: config.group_initial_rebalance_delay,
            min_session_timeout: config.group_min_session_timeout,
            max_session_timeout: config.group_max_session_timeout,
            max_size: config.group_max_size,
            metadata_max_bytes: config.offset_metadata_max_bytes,
            retention: config.offsets_retention,
            retention_check_interval: config.offsets_retention_check_interval,
            consumer: ConsumerSettings {
                max_size: config.group_consumer_max_size,
                assignors: config.group_consumer_assignors.iter().filter_map(|name| Assignor::parse(name)).collect(),
                migration: MigrationPolicy::parse(&config.group_consumer_migration_policy),
            },
            share: ShareSettings {
                max_size: config.share.max_size,
                initialize_retry_interval: config.share.initialize_retry_interval,
                assignor: Assignor::Simple,
            },
            group: GroupConfig::new(config),
        }
    }

    /// What one group goes by.
    pub fn of_group(&self, image: &MetadataImage, group: &GroupId) -> GroupConfig {
        self.group.with(image.group_config(group))
    }
}

/// Who asks, and what its version of the request promises it.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    pub from: NodeId,
    pub correlation: Correlation,
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    /// The version of the request's schema.
    pub version: i16,
    /// JoinGroup v4: a new member must come back with the id that it was given (KIP-394).
    pub known_member_id: bool,
    /// JoinGroup v9: a leader can be told that the assignment stands already (KIP-814).
    pub skip_assignment: bool,
}

impl Context {
    pub(super) fn reply(&self) -> Reply {
        Reply { to: self.from, correlation: self.correlation }
    }
}

/// What follows when a write is committed, or when it failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    Nothing,
    /// The record of a new group. When the write fails there is no such group, and whoever made it
    /// is told, unless it has its answer already.
    NewGroup {
        group: GroupId,
        reply: Reply,
    },
    /// A static member came back under a new id and keeps its assignment; undone when the write fails.
    StaticRejoin(Box<StaticRejoin>),
    /// The leader's assignment: the group becomes Stable and everybody who waits is answered.
    Sync {
        group: GroupId,
        generation: i32,
        assignments: SortedMap<StrBytes, Bytes>,
    },
    /// What is to be told when a transaction's marker is committed.
    Tell(Vec<Fact>),
    /// The answer is ready and goes out when the write is committed, with what is to be told then.
    Answer {
        reply: Reply,
        response: Box<Response>,
        facts: Vec<Fact>,
    },
    /// A classic member has joined a consumer group.
    ClassicJoin(Box<ClassicJoin>),
    /// A classic member of a consumer group gets its assignment.
    ClassicSync(Box<ClassicSync>),
    /// A consumer group has become a classic one; undone when the write fails.
    Converted(Box<Converted>),
    /// The persister is asked for something about the share-group state of partitions.
    AskPersister(Box<PersisterRequest>),
    /// One after the other.
    Both(Box<(Then, Then)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClassicJoin {
    pub group: GroupId,
    pub reply: Reply,
    pub response: JoinGroupResponse,
    pub session_timeout: Duration,
    /// How long the member may take to ask for its assignment.
    pub sync_timeout: Duration,
    /// The group is a classic one now, which watches its members itself.
    pub downgraded: bool,
    pub facts: Vec<Fact>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClassicSync {
    pub group: GroupId,
    pub member: StrBytes,
    pub session_timeout: Duration,
    pub reply: Reply,
    pub response: SyncGroupResponse,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Converted {
    /// The group as it was.
    pub before: Arc<ConsumerGroup>,
    /// How long the sessions of its members last when it comes back.
    pub session_timeout: Duration,
    pub then: Then,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct StaticRejoin {
    pub group: GroupId,
    pub new_id: StrBytes,
    /// The member as it was.
    pub old: Member,
    pub old_leader: Option<StrBytes>,
    pub reply: Reply,
    pub skip_assignment: bool,
}

/// Records that a request or deadline decided on.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    pub(super) records: Vec<GroupRecord>,
    /// Whose transaction the records belong to, and under which epoch.
    pub(super) producer: Option<(ProducerId, i16)>,
    pub(super) then: Then,
    /// What the records have made of their group when they were appended, to be told when they are
    /// committed.
    pub(super) outcome: Option<Fact>,
}

impl Decided {
    /// Records that count as soon as they are committed.
    pub(super) fn plain(records: Vec<GroupRecord>, then: Then) -> Decided {
        Decided { records, producer: None, then, outcome: None }
    }

    pub(super) fn record(record: GroupRecord, then: Then) -> Decided {
        Decided::plain(vec![record], then)
    }
}

/// One partition of `__consumer_offsets` that this broker leads (GroupCoordinatorShard).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shard {
    pub groups: SortedMap<GroupId, Arc<ClassicGroup>>,
    /// A group is in one of these maps only.
    pub consumer_groups: SortedMap<GroupId, Arc<ConsumerGroup>>,
    pub share_groups: SortedMap<GroupId, Arc<ShareGroup>>,
    pub offsets: Offsets,
}

impl Shard {
    pub fn group_mut(&mut self, id: &GroupId) -> Option<&mut ClassicGroup> {
        self.groups.get_mut(id).map(Arc::make_mut)
    }

    pub fn consumer_group_mut(&mut self, id: &GroupId) -> Option<&mut ConsumerGroup> {
        self.consumer_groups.get_mut(id).map(Arc::make_mut)
    }

    pub fn share_group_mut(&mut self, id: &GroupId) -> Option<&mut ShareGroup> {
        self.share_groups.get_mut(id).map(Arc::make_mut)
    }

    /// Whether there is a group of any kind.
    pub fn has_group(&self, id: &GroupId) -> bool {
        self.groups.contains_key(id) || self.consumer_groups.contains_key(id) || self.share_groups.contains_key(id)
    }

    pub fn group_or_new(&mut self, id: &GroupId, now: Instant) -> &mut ClassicGroup {
        let group = self.groups.entry(id.clone()).or_insert_with(|| Arc::new(ClassicGroup::new(id.clone(), now)));
        Arc::make_mut(group)
    }
}

/// One request's or deadline's work on a partition: everything but the partition's state itself.
pub(super) struct Work<'a, 't> {
    pub turn: &'a mut Turn<'t>,
    pub settings: &'a Settings,
    pub timers: &'a mut Timers,
    /// What the persister is to be asked.
    pub for_persister: &'a mut Vec<PersisterRequest>,
    pub partition: i32,
}

impl Work<'_, '_> {
    pub fn now(&self) -> Instant {
        self.turn.now
    }

    pub fn answer(&mut self, reply: Reply, response: impl Into<Response>) {
        reply.send(self.turn, response);
    }

    pub fn schedule(&mut self, kind: TimerKind, after: Duration) {
        let at = self.turn.now + after;
        self.timers.schedule(Timer { partition: self.partition, kind }, at);
    }

    pub fn schedule_if_absent(&mut self, kind: TimerKind, after: Duration) {
        if !self.timers.is_scheduled(&Timer { partition: self.partition, kind: kind.clone() }) {
            self.schedule(kind, after);
        }
    }

    pub fn cancel(&mut self, kind: TimerKind) {
        self.timers.cancel(&Timer { partition: self.partition, kind });
    }

    /// A member's session starts anew.
    pub fn restart_session(&mut self, group: &ClassicGroup, member: &str) {
        if let Some(member) = group.member(member) {
            self.schedule(TimerKind::Session(group.id.clone(), member.id.clone()), member.session_timeout);
        }
    }
}
