//! Settings of topics (TopicConfig, LogConfig), and how a broker resolves them.

use crate::kafka::config::setting::{self, Kind, Scope, Setting, SettingError, Valid};
use crate::kafka::config::{BrokerConfig, Configs, ThrottledReplicas, TopicConfig};
use crate::time::Duration;
use crate::wire::batch::Compression;

type Row = Setting<TopicConfig>;

/// The smallest `segment.bytes` since KIP-1030.
pub(super) const LEAST_SEGMENT_BYTES: i64 = 1 << 20;
pub(super) const CLEANUP_POLICIES: Valid = Valid::ListOf { values: &["compact", "delete"], empty: true };
pub(super) const COMPRESSION_TYPES: Valid = Valid::In(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
pub(super) const TIMESTAMP_TYPES: Valid = Valid::In(&["CreateTime", "LogAppendTime"]);

pub static TABLE: &[Setting<TopicConfig>] = &[
    Row {
        name: "min.insync.replicas",
        kind: Kind::Int,
        default: "1",
        valid: Valid::AtLeast(1),
        meaning: "How many replicas must be in sync for a write with acks=all to be accepted.",
        set: |c, v| c.min_insync_replicas = v.int(),
    },
    Row {
        name: "unclean.leader.election.enable",
        kind: Kind::Boolean,
        default: "false",
        valid: Valid::Any,
        meaning: "Whether a replica that is not in sync may become leader when no other can, at the price of lost records.",
        set: |c, v| c.unclean_leader_election = v.boolean(),
    },
    Row {
        name: "cleanup.policy",
        kind: Kind::List,
        default: "delete",
        valid: CLEANUP_POLICIES,
        meaning: "Whether old segments are deleted, compacted to the last record of each key, or both.",
        set: |c, v| {
            c.delete = v.list().iter().any(|policy| policy == "delete");
            c.compact = v.list().iter().any(|policy| policy == "compact");
        },
    },
    Row {
        name: "leader.replication.throttled.replicas",
        kind: Kind::List,
        default: "",
        valid: Valid::ThrottledReplicas,
        meaning: "Which replicas hold back what followers outside the in-sync set ask for: partition:broker, or * for all.",
        set: |c, v| c.leader_throttled = ThrottledReplicas::read(v.list()),
    },
    Row {
        name: "follower.replication.throttled.replicas",
        kind: Kind::List,
        default: "",
        valid: Valid::ThrottledReplicas,
        meaning: "Which replicas ask for less while they are not in sync: partition:broker, or * for all.",
        set: |c, v| c.follower_throttled = ThrottledReplicas::read(v.list()),
    },
    Row {
        name: "segment.bytes",
        kind: Kind::Int,
        default: "1073741824",
        valid: Valid::AtLeast(LEAST_SEGMENT_BYTES),
        meaning: "The size at which a new segment of the log is begun.",
        set: |c, v| c.segment_bytes = v.int(),
    },
    Row {
        // An internal setting of Kafka's (KIP-1030) that takes the place of `segment.bytes`.
        name: "internal.segment.bytes",
        kind: Kind::Int,
        default: "null",
        valid: Valid::AtLeast(1),
        meaning: "Kafka's internal setting for tests: segments smaller than segment.bytes allows.",
        set: |c, v| c.segment_bytes = v.int(),
    },
    Row {
        name: "segment.ms",
        kind: Kind::Long,
        default: "604800000",
        valid: Valid::AtLeast(1),
        meaning: "The age at which a new segment of the log is begun even when it is not full.",
        set: |c, v| c.segment_time = v.millis(),
    },
    Row {
        name: "segment.index.bytes",
        kind: Kind::Int,
        default: "10485760",
        valid: Valid::AtLeast(4),
        meaning: "The size of a segment's offset index; a new segment is begun when it is full.",
        set: |c, v| c.segment_index_bytes = v.int(),
    },
    Row {
        name: "index.interval.bytes",
        kind: Kind::Int,
        default: "4096",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes of records lie between two entries of the offset index.",
        set: |c, v| c.index_interval_bytes = v.int(),
    },
    Row {
        name: "retention.ms",
        kind: Kind::Long,
        default: "604800000",
        valid: Valid::AtLeast(-1),
        meaning: "How long a segment is kept after its newest record; -1 keeps it without limit.",
        set: |c, v| c.retention = limit(v.long()).map(Duration::from_millis),
    },
    Row {
        name: "retention.bytes",
        kind: Kind::Long,
        default: "-1",
        valid: Valid::Any,
        meaning: "How large a partition may grow before its oldest segments are deleted; -1 sets no limit.",
        set: |c, v| c.retention_bytes = limit(v.long()),
    },
    Row {
        name: "max.message.bytes",
        kind: Kind::Int,
        default: "1048588",
        valid: Valid::AtLeast(0),
        meaning: "The largest record batch that is accepted.",
        set: |c, v| c.max_message_bytes = v.int(),
    },
    Row {
        name: "compression.type",
        kind: Kind::String,
        default: "producer",
        valid: COMPRESSION_TYPES,
        meaning: "How record batches are stored: as the producer compressed them, or compressed anew by the leader.",
        set: |c, v| c.compression = compression(v.text()),
    },
    Row {
        name: "message.timestamp.type",
        kind: Kind::String,
        default: "CreateTime",
        valid: TIMESTAMP_TYPES,
        meaning: "Whether a record keeps its producer's timestamp or gets the time of its append.",
        set: |c, v| c.log_append_time = v.text() == "LogAppendTime",
    },
    Row {
        name: "message.timestamp.before.max.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(0),
        meaning: "How far a producer's timestamp may lie behind the broker's clock.",
        set: |c, v| c.timestamp_before_max = v.millis(),
    },
    Row {
        name: "message.timestamp.after.max.ms",
        kind: Kind::Long,
        default: "3600000",
        valid: Valid::AtLeast(0),
        meaning: "How far a producer's timestamp may lie ahead of the broker's clock.",
        set: |c, v| c.timestamp_after_max = v.millis(),
    },
    Row {
        name: "flush.messages",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(1),
        meaning: "After how many records the log is forced to disk; by default that is left to the operating system.",
        set: |c, v| c.flush_messages = v.long(),
    },
    Row {
        name: "flush.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(0),
        meaning: "After how much time the log is forced to disk, as far as log.flush.scheduler.interval.ms lets the broker look; by default that is left to the operating system.",
        set: |c, v| c.flush_time = v.millis(),
    },
    Row {
        name: "min.cleanable.dirty.ratio",
        kind: Kind::Double,
        default: "0.5",
        valid: Valid::Between(0, 1),
        meaning: "Which share of a log must be uncompacted before it is compacted.",
        set: |c, v| c.min_cleanable_dirty_permille = v.permille(),
    },
    Row {
        name: "min.compaction.lag.ms",
        kind: Kind::Long,
        default: "0",
        valid: Valid::AtLeast(0),
        meaning: "How long a record stays uncompacted at least.",
        set: |c, v| c.min_compaction_lag = v.millis(),
    },
    Row {
        name: "max.compaction.lag.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        valid: Valid::AtLeast(1),
        meaning: "After how long a record is compacted at the latest.",
        set: |c, v| c.max_compaction_lag = v.millis(),
    },
    Row {
        name: "delete.retention.ms",
        kind: Kind::Long,
        default: "86400000",
        valid: Valid::AtLeast(0),
        meaning: "How long compaction keeps a tombstone.",
        set: |c, v| c.delete_retention = v.millis(),
    },
];

impl TopicConfig {
    /// A topic's own settings over the broker's defaults. What is not valid does not count: it
    /// was refused when somebody tried to set it.
    pub fn resolve<'a>(broker: &BrokerConfig, overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> TopicConfig {
        let overrides: Configs =
            overrides.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mut config = broker.topic_defaults.clone();
        setting::apply(TABLE, Scope::Topic, &mut config, &overrides);
        config
    }
}

/// Whether a topic may have this setting, in Kafka's words (LogConfig.validate).
pub fn validate_topic_config(name: &str, value: &str) -> Result<(), String> {
    let configs = Configs::from([(name.to_string(), value.to_string())]);
    match setting::apply(TABLE, Scope::Topic, &mut TopicConfig::default(), &configs).first() {
        Some(error) => Err(error.to_string()),
        None => Ok(()),
    }
}

/// Whether a topic may have these settings together over the broker's defaults: every error.
pub fn validate_topic_configs(broker: &BrokerConfig, configs: &Configs) -> Vec<SettingError> {
    let mut config = broker.topic_defaults.clone();
    let mut errors = setting::apply(TABLE, Scope::Topic, &mut config, configs);
    // LogConfig.validateValues
    if setting::all_read(&errors) && config.min_compaction_lag > config.max_compaction_lag {
        let (min, max) = (config.min_compaction_lag.millis(), config.max_compaction_lag.millis());
        let reason =
            format!("conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})");
        errors.push(setting::refused("min.compaction.lag.ms", reason));
    }
    errors
}

impl ThrottledReplicas {
    /// Reads a list that ThrottledReplicaListValidator let through.
    fn read(items: &[String]) -> ThrottledReplicas {
        if items.iter().any(|item| item == "*") {
            return ThrottledReplicas::All;
        }
        let pair = |item: &String| {
            let (partition, broker) = item.split_once(':')?;
            Some((partition.parse().ok()?, broker.parse().ok()?))
        };
        ThrottledReplicas::These(items.iter().filter_map(pair).collect())
    }

    pub fn includes(&self, partition: i32, broker: i32) -> bool {
        match self {
            ThrottledReplicas::All => true,
            ThrottledReplicas::These(pairs) => pairs.contains(&(partition, broker)),
        }
    }
}

/// `None` for `producer`: as it comes (BrokerCompressionType).
pub(super) fn compression(name: &str) -> Option<Compression> {
    if name == "uncompressed" { Some(Compression::None) } else { Compression::from_name(name) }
}

/// A limit that a negative number switches off.
pub(super) fn limit(number: i64) -> Option<i64> {
    (number >= 0).then_some(number)
}
