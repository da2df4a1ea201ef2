//! Settings of brokers and controllers (KafkaConfig and the classes it is composed of). Where
//! Kafka itself sets no lower bound on an interval, 1 ms is the bound here: a timer of nothing would
//! stop virtual time.

use crate::kafka::config::setting::{self, Kind, Scope, Setting, SettingError, Valid};
use crate::kafka::config::{BrokerConfig, Configs, topic};
use crate::time::Duration;

type Row = Setting<BrokerConfig>;

pub static TABLE: &[Setting<BrokerConfig>] = &[
    Row {
        name: "broker.session.timeout.ms",
        kind: Kind::Int,
        default: "9000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a heartbeat the controller fences a broker.",
        set: |c, v| c.broker_session_timeout = v.millis(),
    },
    Row {
        name: "broker.heartbeat.interval.ms",
        kind: Kind::Int,
        default: "2000",
        valid: Valid::AtLeast(1),
        meaning: "How often a broker sends a heartbeat to the controller.",
        set: |c, v| c.broker_heartbeat_interval = v.millis(),
    },
    Row {
        name: "replica.lag.time.max.ms",
        kind: Kind::Long,
        default: "30000",
        valid: Valid::AtLeast(1),
        meaning: "How long a follower may be behind before the leader takes it out of the in-sync replicas.",
        set: |c, v| c.replica_lag_time_max = v.millis(),
    },
    Row {
        name: "replica.fetch.wait.max.ms",
        kind: Kind::Int,
        default: "500",
        valid: Valid::AtLeast(0),
        meaning: "How long a leader waits with an empty answer to a follower's fetch.",
        set: |c, v| c.replica_fetch_wait_max = v.millis(),
    },
    Row {
        name: "replica.fetch.min.bytes",
        kind: Kind::Int,
        default: "1",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes a leader gathers before it answers a follower's fetch.",
        set: |c, v| c.replica_fetch_min_bytes = v.int(),
    },
    Row {
        name: "replica.fetch.max.bytes",
        kind: Kind::Int,
        default: "1048576",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes of one partition a follower fetches at the most, save that the first batch is always whole.",
        set: |c, v| c.replica_fetch_max_bytes = v.int(),
    },
    Row {
        name: "replica.fetch.response.max.bytes",
        kind: Kind::Int,
        default: "10485760",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes a follower fetches at once at the most.",
        set: |c, v| c.replica_fetch_response_max_bytes = v.int(),
    },
    Row {
        name: "replica.fetch.backoff.ms",
        kind: Kind::Int,
        default: "1000",
        valid: Valid::AtLeast(0),
        meaning: "How long a follower waits after a fetch that failed.",
        set: |c, v| c.replica_fetch_backoff = v.millis(),
    },
    Row {
        name: "replica.socket.timeout.ms",
        kind: Kind::Int,
        default: "30000",
        valid: Valid::AtLeast(1),
        meaning: "How long a follower waits for the answer to a fetch.",
        set: |c, v| c.replica_socket_timeout = v.millis(),
    },
    Row {
        name: "replica.high.watermark.checkpoint.interval.ms",
        kind: Kind::Long,
        default: "5000",
        valid: Valid::AtLeast(1),
        meaning: "How often a broker writes its high watermarks to disk.",
        set: |c, v| c.high_watermark_checkpoint_interval = v.millis(),
    },
    Row {
        name: "controller.quorum.election.timeout.ms",
        kind: Kind::Int,
        default: "1000",
        valid: Valid::AtLeast(1),
        meaning: "How long a controller waits for a vote before it tries again.",
        set: |c, v| c.quorum_election_timeout = v.millis(),
    },
    Row {
        name: "controller.quorum.fetch.timeout.ms",
        kind: Kind::Int,
        default: "2000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a fetch from the quorum's leader a controller stands for election.",
        set: |c, v| c.quorum_fetch_timeout = v.millis(),
    },
    Row {
        name: "controller.quorum.election.backoff.max.ms",
        kind: Kind::Int,
        default: "1000",
        valid: Valid::AtLeast(1),
        meaning: "How long a controller waits at the most after an election that nobody won.",
        set: |c, v| c.quorum_election_backoff_max = v.millis(),
    },
    Row {
        name: "controller.quorum.append.linger.ms",
        kind: Kind::Int,
        default: "25",
        valid: Valid::AtLeast(0),
        meaning: "How long the active controller gathers metadata records before it writes them.",
        set: |c, v| c.quorum_append_linger = v.millis(),
    },
    Row {
        name: "controller.quorum.request.timeout.ms",
        kind: Kind::Int,
        default: "2000",
        valid: Valid::AtLeast(1),
        meaning: "How long a request of the quorum waits for its answer.",
        set: |c, v| c.quorum_request_timeout = v.millis(),
    },
    Row {
        name: "controller.quorum.retry.backoff.ms",
        kind: Kind::Int,
        default: "20",
        valid: Valid::AtLeast(1),
        meaning: "How long a request of the quorum waits before it is tried again.",
        set: |c, v| c.quorum_retry_backoff = v.millis(),
    },
    Row {
        name: "metadata.max.idle.interval.ms",
        kind: Kind::Int,
        default: "500",
        valid: Valid::AtLeast(0),
        meaning: "How often an idle active controller writes a record that says nothing; 0 switches it off.",
        set: |c, v| c.metadata_max_idle_interval = v.millis(),
    },
    Row {
        name: "metadata.log.max.record.bytes.between.snapshots",
        kind: Kind::Long,
        default: "20971520",
        valid: Valid::AtLeast(1),
        meaning: "How many bytes of the metadata log are replayed before a node writes the next snapshot.",
        set: |c, v| c.metadata_snapshot_bytes = v.long(),
    },
    Row {
        name: "metadata.log.max.snapshot.interval.ms",
        kind: Kind::Long,
        default: "3600000",
        valid: Valid::AtLeast(0),
        meaning: "After how long a node writes the next snapshot of the metadata; 0: never by time.",
        set: |c, v| c.metadata_snapshot_interval = Some(v.millis()).filter(|interval| *interval > Duration::ZERO),
    },
    Row {
        name: "metadata.max.retention.bytes",
        kind: Kind::Long,
        default: "104857600",
        valid: Valid::Any,
        meaning: "How large metadata log and snapshots may be together before the beginning goes.",
        set: |c, v| c.metadata_retention_bytes = topic::limit(v.long()),
    },
    Row {
        name: "metadata.max.retention.ms",
        kind: Kind::Long,
        default: "604800000",
        valid: Valid::Any,
        meaning: "How long metadata log and snapshots are kept before the beginning goes.",
        set: |c, v| c.metadata_retention_time = topic::limit(v.long()).map(Duration::from_millis),
    },
    Row {
        name: "metadata.log.segment.bytes",
        kind: Kind::Int,
        default: "1073741824",
        valid: Valid::AtLeast(8 * 1024 * 1024),
        meaning: "How large a segment of the metadata log grows.",
        set: |c, v| c.metadata_segment_bytes = v.int(),
    },
    Row {
        name: "metadata.log.segment.ms",
        kind: Kind::Long,
        default: "604800000",
        valid: Valid::AtLeast(1),
        meaning: "After how long a segment of the metadata log is rolled.",
        set: |c, v| c.metadata_segment_time = v.millis(),
    },
    Row {
        name: "kraft.version",
        kind: Kind::Short,
        default: "1",
        valid: Valid::Between(0, 1),
        meaning: "The feature by which the controllers that vote stand in the metadata log and can be changed (KIP-853); with 0 they are configured.",
        set: |c, v| c.kraft_version = v.int() as i16,
    },
    Row {
        name: "auto.leader.rebalance.enable",
        kind: Kind::Boolean,
        default: "true",
        valid: Valid::Any,
        meaning: "Whether leadership returns to the preferred replicas by itself.",
        set: |c, v| c.auto_leader_rebalance = v.boolean(),
    },
    Row {
        name: "leader.imbalance.check.interval.seconds",
        kind: Kind::Long,
        default: "300",
        valid: Valid::AtLeast(1),
        meaning: "How often the controller looks for leaders that are not the preferred ones.",
        set: |c, v| c.leader_imbalance_check_interval = Duration::from_secs(v.long()),
    },
    Row {
        name: "auto.create.topics.enable",
        kind: Kind::Boolean,
        default: "true",
        valid: Valid::Any,
        meaning: "Whether a topic that a client asks for is created.",
        set: |c, v| c.auto_create_topics = v.boolean(),
    },
    Row {
        name: "default.replication.factor",
        kind: Kind::Int,
        default: "1",
        valid: Valid::Between(1, i16::MAX as i64),
        meaning: "How many replicas a topic has that does not say.",
        set: |c, v| c.default_replication_factor = v.int() as i16,
    },
    Row {
        name: "num.partitions",
        kind: Kind::Int,
        default: "1",
        valid: Valid::AtLeast(1),
        meaning: "How many partitions a topic has that does not say.",
        set: |c, v| c.num_partitions = v.int(),
    },
    Row {
        name: "log.retention.check.interval.ms",
        kind: Kind::Long,
        default: "300000",
        valid: Valid::AtLeast(1),
        meaning: "How often a broker looks for segments to delete.",
        set: |c, v| c.retention_check_interval = v.millis(),
    },
    Row {
        name: "fetch.max.bytes",
        kind: Kind::Int,
        default: "57671680",
        valid: Valid::AtLeast(1024),
        meaning: "How many bytes a broker returns to one fetch at the most.",
        set: |c, v| c.fetch_max_bytes = v.int(),
    },
    Row {
        name: "max.incremental.fetch.session.cache.slots",
        kind: Kind::Int,
        default: "1000",
        valid: Valid::AtLeast(0),
        meaning: "How many fetch sessions a broker keeps.",
        set: |c, v| c.fetch_session_slots = v.int(),
    },
    Row {
        name: "offsets.topic.num.partitions",
        kind: Kind::Int,
        default: "50",
        valid: Valid::AtLeast(1),
        meaning: "How many partitions __consumer_offsets has.",
        set: |c, v| c.offsets_topic_num_partitions = v.int(),
    },
    Row {
        name: "offsets.topic.replication.factor",
        kind: Kind::Short,
        default: "3",
        valid: Valid::AtLeast(1),
        meaning: "How many replicas __consumer_offsets has.",
        set: |c, v| c.offsets_topic_replication_factor = v.int() as i16,
    },
    Row {
        name: "offsets.retention.minutes",
        kind: Kind::Int,
        default: "10080",
        valid: Valid::AtLeast(1),
        meaning: "How long the committed offsets of an empty group are kept.",
        set: |c, v| c.offsets_retention = Duration::from_secs(v.long() * 60),
    },
    Row {
        name: "offsets.retention.check.interval.ms",
        kind: Kind::Long,
        default: "600000",
        valid: Valid::AtLeast(1),
        meaning: "How often a coordinator looks for committed offsets that have expired.",
        set: |c, v| c.offsets_retention_check_interval = v.millis(),
    },
    Row {
        name: "offset.metadata.max.bytes",
        kind: Kind::Int,
        default: "4096",
        valid: Valid::AtLeast(0),
        meaning: "How long the text beside a committed offset may be.",
        set: |c, v| c.offset_metadata_max_bytes = v.int(),
    },
    Row {
        name: "group.initial.rebalance.delay.ms",
        kind: Kind::Int,
        default: "3000",
        valid: Valid::AtLeast(0),
        meaning: "How long an empty group waits for further members before its first rebalance.",
        set: |c, v| c.group_initial_rebalance_delay = v.millis(),
    },
    Row {
        name: "group.min.session.timeout.ms",
        kind: Kind::Int,
        default: "6000",
        valid: Valid::AtLeast(1),
        meaning: "The shortest session timeout that a member may ask for.",
        set: |c, v| c.group_min_session_timeout = v.millis(),
    },
    Row {
        name: "group.max.session.timeout.ms",
        kind: Kind::Int,
        default: "1800000",
        valid: Valid::AtLeast(1),
        meaning: "The longest session timeout that a member may ask for.",
        set: |c, v| c.group_max_session_timeout = v.millis(),
    },
    Row {
        name: "group.max.size",
        kind: Kind::Int,
        default: "2147483647",
        valid: Valid::AtLeast(1),
        meaning: "How many members a group may have.",
        set: |c, v| c.group_max_size = v.int(),
    },
    Row {
        name: "producer.id.expiration.ms",
        kind: Kind::Int,
        default: "86400000",
        valid: Valid::AtLeast(1),
        meaning: "How long a broker remembers an idempotent producer after its last write.",
        set: |c, v| c.producer_id_expiration = v.millis(),
    },
    Row {
        name: "eligible.leader.replicas.version",
        kind: Kind::Short,
        default: "1",
        valid: Valid::Between(0, 1),
        meaning: "The feature by which replicas that left the in-sync set above min.insync.replicas may still lead (KIP-966).",
        set: |c, v| c.eligible_leader_replicas = v.int() == 1,
    },
    Row {
        name: "min.insync.replicas",
        kind: Kind::Int,
        default: "1",
        valid: Valid::AtLeast(1),
        meaning: "min.insync.replicas of topics that do not say.",
        set: |c, v| c.topic_defaults.min_insync_replicas = v.int(),
    },
    Row {
        name: "unclean.leader.election.enable",
        kind: Kind::Boolean,
        default: "false",
        valid: Valid::Any,
        meaning: "unclean.leader.election.enable of topics that do not say.",
        set: |c, v| c.topic_defaults.unclean_leader_election = v.boolean(),
    },
    Row {
        name: "log.cleanup.policy",
        kind: Kind::List,
        default: "delete",
        valid: topic::CLEANUP_POLICIES,
        meaning: "cleanup.policy of topics that do not say.",
        set: |c, v| {
            c.topic_defaults.delete = v.list().iter().any(|policy| policy == "delete");
            c.topic_defaults.compact = v.list().iter().any(|policy| policy == "compact");
        },
    },
    Row {
        name: "log.segment.bytes",
        kind: Kind::Int,
        default: "1073741824",
        valid: Valid::AtLeast(topic::LEAST_SEGMENT_BYTES),
        meaning: "segment.bytes of topics that do not say.",
        set: |c, v| c.topic_defaults.segment_bytes = v.int(),
    },
    Row {
        name: "log.roll.hours",
        kind: Kind::Int,
        default: "168",
        valid: Valid::AtLeast(1),
        meaning: "segment.ms of topics that do not say, in hours.",
        set: |c, v| c.topic_defaults.segment_time = Duration::from_secs(v.long() * 3_600),
    },
    Row {
        name: "log.roll.ms",
        kind: Kind::Long,
        default: "null",
        valid: Valid::AtLeast(1),
        meaning: "segment.ms of topics that do not say; goes before log.roll.hours.",
        set: |c, v| c.topic_defaults.segment_time = v.millis(),
    },
    Row {
        name: "log.index.size.max.bytes",
        kind: Kind::Int,
        default: "10485760",
        valid: Valid::AtLeast(4),
        meaning: "segment.index.bytes of topics that do not say.",
        set: |c, v| c.topic_defaults.segment_index_bytes = v.int(),
    },
    Row {
        name: "log.index.interval.bytes",
        kind: Kind::Int,
        default: "4096",
        valid: Valid::AtLeast(0),
        meaning: "index.interval.bytes of topics that do not say.",
        set: |c, v| c.topic_defaults.index_interval_bytes = v.int(),
    },
    Row {
        name: "log.retention.hours",
        kind: Kind::Int,
        default: "168",
        valid: Valid::AtLeast(-1),
        meaning: "retention.ms of topics that do not say, in hours.",
        set: |c, v| c.topic_defaults.retention = topic::limit(v.long()).map(|n| Duration::from_secs(n * 3_600)),
    },
    Row {
        name: "log.retention.minutes",
        kind: Kind::Int,
        default: "null",
        valid: Valid::AtLeast(-1),
        meaning: "retention.ms of topics that do not say, in minutes; goes before log.retention.hours.",
        set: |c, v| c.topic_defaults.retention = topic::limit(v.long()).map(|n| Duration::from_secs(n * 60)),
    },
    Row {
        name: "log.retention.ms",
        kind: Kind::Long,
        default: "null",
        valid: Valid::AtLeast(-1),
        meaning: "retention.ms of topics that do not say; goes before log.retention.minutes.",
        set: |c, v| c.topic_defaults.retention = topic::limit(v.long()).map(Duration::from_millis),
    },
    Row {
        name: "log.retention.bytes",
        kind: Kind::Long,
        default: "-1",
        valid: Valid::Any,
        meaning: "retention.bytes of topics that do not say.",
        set: |c, v| c.topic_defaults.retention_bytes = topic::limit(v.long()),
    },
    Row {
        name: "message.max.bytes",
        kind: Kind::Int,
        default: "1048588",
        valid: Valid::AtLeast(0),
        meaning: "max.message.bytes of topics that do not say.",
        set: |c, v| c.topic_defaults.max_message_bytes = v.int(),
    },
    Row {
        name: "log.message.timestamp.type",
        kind: Kind::String,
        default: "CreateTime",
        valid: topic::TIMESTAMP_TYPES,
        meaning: "message.timestamp.type of topics that do not say.",
        set: |c, v| c.topic_defaults.log_append_time = v.text() == "LogAppendTime",
    },
    Row {
        name: "log.message.timestamp.before.max.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(0),
        meaning: "message.timestamp.before.max.ms of topics that do not say.",
        set: |c, v| c.topic_defaults.timestamp_before_max = v.millis(),
    },
    Row {
        name: "log.message.timestamp.after.max.ms",
        kind: Kind::Long,
        default: "3600000",
        valid: Valid::AtLeast(0),
        meaning: "message.timestamp.after.max.ms of topics that do not say.",
        set: |c, v| c.topic_defaults.timestamp_after_max = v.millis(),
    },
    Row {
        name: "log.flush.interval.messages",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(1),
        meaning: "flush.messages of topics that do not say.",
        set: |c, v| c.topic_defaults.flush_messages = v.long(),
    },
    Row {
        name: "log.flush.interval.ms",
        kind: Kind::Long,
        default: "null",
        valid: Valid::AtLeast(0),
        meaning: "flush.ms of topics that do not say.",
        set: |c, v| c.topic_defaults.flush_time = v.millis(),
    },
    Row {
        name: "log.cleaner.min.cleanable.ratio",
        kind: Kind::Double,
        default: "0.5",
        valid: Valid::Between(0, 1),
        meaning: "min.cleanable.dirty.ratio of topics that do not say.",
        set: |c, v| c.topic_defaults.min_cleanable_dirty_permille = v.permille(),
    },
    Row {
        name: "log.cleaner.min.compaction.lag.ms",
        kind: Kind::Long,
        default: "0",
        valid: Valid::AtLeast(0),
        meaning: "min.compaction.lag.ms of topics that do not say.",
        set: |c, v| c.topic_defaults.min_compaction_lag = v.millis(),
    },
    Row {
        name: "log.cleaner.max.compaction.lag.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(1),
        meaning: "max.compaction.lag.ms of topics that do not say.",
        set: |c, v| c.topic_defaults.max_compaction_lag = v.millis(),
    },
    Row {
        name: "log.cleaner.delete.retention.ms",
        kind: Kind::Long,
        default: "86400000",
        valid: Valid::AtLeast(0),
        meaning: "delete.retention.ms of topics that do not say.",
        set: |c, v| c.topic_defaults.delete_retention = v.millis(),
    },
];

impl BrokerConfig {
    /// What these settings make of the brokers and controllers, or every reason why Kafka would not
    /// start them.
    pub fn resolve(configs: &Configs) -> Result<BrokerConfig, Vec<SettingError>> {
        let mut config = BrokerConfig::default();
        let mut errors = setting::apply(TABLE, Scope::Broker, &mut config, configs);
        if setting::all_read(&errors) {
            config.cross_check(configs, &mut errors);
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// KafkaConfig.validateValues, as far as it concerns what is simulated.
    fn cross_check(&self, configs: &Configs, errors: &mut Vec<SettingError>) {
        let mut require = |holds: bool, names: &[&str], reason: &str| {
            if !holds {
                let written = names.iter().find(|name| configs.contains_key(**name));
                errors.push(setting::refused(written.unwrap_or(&names[0]), reason));
            }
        };
        require(
            self.replica_fetch_wait_max <= self.replica_socket_timeout,
            &["replica.socket.timeout.ms", "replica.fetch.wait.max.ms"],
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms \
             to prevent unnecessary socket timeouts",
        );
        require(
            self.replica_fetch_wait_max <= self.replica_lag_time_max,
            &["replica.fetch.wait.max.ms", "replica.lag.time.max.ms"],
            "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms \
             to prevent frequent changes in ISR",
        );
        for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
            let zero = configs.get(name).is_some_and(|value| value.trim().parse() == Ok(0));
            let reason = format!("{name} must be unlimited (-1) or, greater than or equal to 1");
            require(!zero, &[name], &reason);
        }
        // BrokerLifecycleManager: Kafka's documentation asks for less than half of the session.
        require(
            self.broker_heartbeat_interval < self.broker_session_timeout,
            &["broker.heartbeat.interval.ms", "broker.session.timeout.ms"],
            "broker.heartbeat.interval.ms must be less than broker.session.timeout.ms: \
             the controller would fence every broker between two heartbeats",
        );
        require(
            self.group_min_session_timeout <= self.group_max_session_timeout,
            &["group.min.session.timeout.ms", "group.max.session.timeout.ms"],
            "group.min.session.timeout.ms must be less than or equal to group.max.session.timeout.ms: \
             no member could join",
        );
        require(
            self.topic_defaults.min_compaction_lag <= self.topic_defaults.max_compaction_lag,
            &["log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
            "conflict topic config setting min.compaction.lag.ms > max.compaction.lag.ms",
        );
    }
}
