//! Settings of share groups that the brokers have (GroupCoordinatorConfig, ShareGroupConfig,
//! ShareCoordinatorConfig; KIP-932).

use crate::kafka::config::BrokerConfig;
use crate::kafka::config::setting::{Kind, Setting, Valid};
use crate::time::Duration;

type Row = Setting<BrokerConfig>;

/// What the brokers do for share groups, in the order of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareConfig {
    /// `group.share.session.timeout.ms`
    pub session_timeout: Duration,
    /// `group.share.min.session.timeout.ms`
    pub min_session_timeout: Duration,
    /// `group.share.max.session.timeout.ms`
    pub max_session_timeout: Duration,
    /// `group.share.heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `group.share.min.heartbeat.interval.ms`
    pub min_heartbeat_interval: Duration,
    /// `group.share.max.heartbeat.interval.ms`
    pub max_heartbeat_interval: Duration,
    /// `group.share.max.size`
    pub max_size: i32,
    /// `group.share.initialize.retry.interval.ms`
    pub initialize_retry_interval: Duration,
    /// `group.share.partition.max.record.locks`
    pub partition_max_record_locks: i32,
    /// `group.share.delivery.count.limit`
    pub delivery_count_limit: i32,
    /// `group.share.record.lock.duration.ms`
    pub record_lock_duration: Duration,
    /// `group.share.min.record.lock.duration.ms`
    pub min_record_lock_duration: Duration,
    /// `group.share.max.record.lock.duration.ms`
    pub max_record_lock_duration: Duration,
    /// `group.share.max.share.sessions`
    pub max_share_sessions: i32,
    /// `share.coordinator.state.topic.num.partitions`
    pub state_topic_num_partitions: i32,
    /// `share.coordinator.state.topic.replication.factor`
    pub state_topic_replication_factor: i16,
    /// `share.coordinator.state.topic.min.isr`
    pub state_topic_min_isr: i32,
    /// `share.coordinator.state.topic.segment.bytes`
    pub state_topic_segment_bytes: i32,
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    pub snapshot_update_records: i32,
    /// `share.coordinator.write.timeout.ms`
    pub write_timeout: Duration,
}

impl Default for ShareConfig {
    fn default() -> ShareConfig {
        let ms = Duration::from_millis;
        ShareConfig {
            session_timeout: ms(45_000),
            min_session_timeout: ms(45_000),
            max_session_timeout: ms(60_000),
            heartbeat_interval: ms(5_000),
            min_heartbeat_interval: ms(5_000),
            max_heartbeat_interval: ms(15_000),
            max_size: 200,
            initialize_retry_interval: ms(30_000),
            partition_max_record_locks: 2_000,
            delivery_count_limit: 5,
            record_lock_duration: ms(30_000),
            min_record_lock_duration: ms(15_000),
            max_record_lock_duration: ms(60_000),
            max_share_sessions: 2_000,
            state_topic_num_partitions: 50,
            state_topic_replication_factor: 3,
            state_topic_min_isr: 2,
            state_topic_segment_bytes: 100 << 20,
            snapshot_update_records: 500,
            write_timeout: ms(5_000),
        }
    }
}

pub(super) const TABLE: &[Row] = &[
    Row {
        name: "group.share.session.timeout.ms",
        kind: Kind::Int,
        default: "45000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a heartbeat the coordinator removes a member of a share group.",
        set: |c, v| c.share.session_timeout = v.millis(),
    },
    Row {
        name: "group.share.min.session.timeout.ms",
        kind: Kind::Int,
        default: "45000",
        valid: Valid::AtLeast(1),
        meaning: "The shortest session timeout that share groups may be given.",
        set: |c, v| c.share.min_session_timeout = v.millis(),
    },
    Row {
        name: "group.share.max.session.timeout.ms",
        kind: Kind::Int,
        default: "60000",
        valid: Valid::AtLeast(1),
        meaning: "The longest session timeout that share groups may be given.",
        set: |c, v| c.share.max_session_timeout = v.millis(),
    },
    Row {
        name: "group.share.heartbeat.interval.ms",
        kind: Kind::Int,
        default: "5000",
        valid: Valid::AtLeast(1),
        meaning: "How often the coordinator asks members of share groups for a heartbeat.",
        set: |c, v| c.share.heartbeat_interval = v.millis(),
    },
    Row {
        name: "group.share.min.heartbeat.interval.ms",
        kind: Kind::Int,
        default: "5000",
        valid: Valid::AtLeast(1),
        meaning: "The shortest heartbeat interval that share groups may be given.",
        set: |c, v| c.share.min_heartbeat_interval = v.millis(),
    },
    Row {
        name: "group.share.max.heartbeat.interval.ms",
        kind: Kind::Int,
        default: "15000",
        valid: Valid::AtLeast(1),
        meaning: "The longest heartbeat interval that share groups may be given.",
        set: |c, v| c.share.max_heartbeat_interval = v.millis(),
    },
    Row {
        name: "group.share.max.size",
        kind: Kind::Int,
        default: "200",
        valid: Valid::Between(1, 1000),
        meaning: "How many members a share group may have.",
        set: |c, v| c.share.max_size = v.int(),
    },
    Row {
        name: "group.share.initialize.retry.interval.ms",
        kind: Kind::Int,
        default: "30000",
        valid: Valid::AtLeast(1),
        meaning: "After how long the coordinator asks again for partitions to be initialised that it has heard nothing of.",
        set: |c, v| c.share.initialize_retry_interval = v.millis(),
    },
    Row {
        name: "group.share.partition.max.record.locks",
        kind: Kind::Int,
        default: "2000",
        valid: Valid::Between(100, 10_000),
        meaning: "How many records of a partition a share group may have on their way to being done with.",
        set: |c, v| c.share.partition_max_record_locks = v.int(),
    },
    Row {
        name: "group.share.delivery.count.limit",
        kind: Kind::Int,
        default: "5",
        valid: Valid::Between(2, 10),
        meaning: "How often a record is handed out to a share group before it is given up.",
        set: |c, v| c.share.delivery_count_limit = v.int(),
    },
    Row {
        name: "group.share.record.lock.duration.ms",
        kind: Kind::Int,
        default: "30000",
        valid: Valid::Between(1_000, 3_600_000),
        meaning: "How long a record that was handed out is kept from the group's other members.",
        set: |c, v| c.share.record_lock_duration = v.millis(),
    },
    Row {
        name: "group.share.min.record.lock.duration.ms",
        kind: Kind::Int,
        default: "15000",
        valid: Valid::Between(1_000, 30_000),
        meaning: "The shortest record lock that share groups may be given.",
        set: |c, v| c.share.min_record_lock_duration = v.millis(),
    },
    Row {
        name: "group.share.max.record.lock.duration.ms",
        kind: Kind::Int,
        default: "60000",
        valid: Valid::Between(30_000, 3_600_000),
        meaning: "The longest record lock that share groups may be given.",
        set: |c, v| c.share.max_record_lock_duration = v.millis(),
    },
    Row {
        name: "group.share.max.share.sessions",
        kind: Kind::Int,
        default: "2000",
        valid: Valid::AtLeast(1),
        meaning: "How many share sessions a broker keeps.",
        set: |c, v| c.share.max_share_sessions = v.int(),
    },
    Row {
        name: "share.coordinator.state.topic.num.partitions",
        kind: Kind::Int,
        default: "50",
        valid: Valid::AtLeast(1),
        meaning: "How many partitions __share_group_state has.",
        set: |c, v| c.share.state_topic_num_partitions = v.int(),
    },
    Row {
        name: "share.coordinator.state.topic.replication.factor",
        kind: Kind::Short,
        default: "3",
        valid: Valid::AtLeast(1),
        meaning: "How many replicas __share_group_state has.",
        set: |c, v| c.share.state_topic_replication_factor = v.int() as i16,
    },
    Row {
        name: "share.coordinator.state.topic.min.isr",
        kind: Kind::Short,
        default: "2",
        valid: Valid::AtLeast(1),
        meaning: "min.insync.replicas of __share_group_state.",
        set: |c, v| c.share.state_topic_min_isr = v.int(),
    },
    Row {
        name: "share.coordinator.state.topic.segment.bytes",
        kind: Kind::Int,
        default: "104857600",
        valid: Valid::AtLeast(1),
        meaning: "segment.bytes of __share_group_state.",
        set: |c, v| c.share.state_topic_segment_bytes = v.int(),
    },
    Row {
        name: "share.coordinator.snapshot.update.records.per.snapshot",
        kind: Kind::Int,
        default: "500",
        valid: Valid::Between(0, 500),
        meaning: "How many updates of a share partition's state are written before the whole state is.",
        set: |c, v| c.share.snapshot_update_records = v.int(),
    },
    Row {
        name: "share.coordinator.write.timeout.ms",
        kind: Kind::Int,
        default: "5000",
        valid: Valid::AtLeast(1),
        meaning: "How long a share coordinator waits for a write to be replicated.",
        set: |c, v| c.share.write_timeout = v.millis(),
    },
];
