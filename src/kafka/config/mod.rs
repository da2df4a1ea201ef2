//! Settings by Kafka's own names, with Kafka 4.2's defaults. The typed structs below are what the
//! nodes read; the tables that parse, check and document every name are in the same room:
//! [`topic`], [`broker`], [`producer`], [`consumer`] and [`stream`], one row for each setting that Highwater
//! simulates, and [`foreign`] for those that Kafka has and Highwater does not simulate.

pub mod broker;
mod broker_rules;
mod client;
pub mod consumer;
mod coordinators;
pub mod dynamic;
pub mod foreign;
pub mod group;
pub mod planted;
pub mod producer;
pub mod setting;
pub mod share;
pub mod stream;
pub mod topic;

pub use dynamic::{dynamic_names, validate_dynamic_configs};
pub use group::{GroupConfig, validate_group_configs};
pub use planted::Planted;
pub use setting::{Configs, Problem, Scope, SettingError, SettingInfo, names, settings};
pub use share::ShareConfig;
pub use stream::{Place, Starting, StreamConfig};
pub use topic::{validate_topic_config, validate_topic_configs};

use crate::time::Duration;
use crate::wire::batch::Compression;

/// A broker's or controller's settings (KafkaConfig, ReplicationConfigs, QuorumConfig,
/// GroupCoordinatorConfig). One value for the whole cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// A bug put in on purpose to check the checkers; never set but by a test.
    pub planted: Option<Planted>,
    /// `broker.session.timeout.ms`
    pub broker_session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`
    pub broker_heartbeat_interval: Duration,
    /// `replica.lag.time.max.ms`
    pub replica_lag_time_max: Duration,
    /// `replica.fetch.wait.max.ms`
    pub replica_fetch_wait_max: Duration,
    /// `replica.fetch.min.bytes`
    pub replica_fetch_min_bytes: i32,
    /// `replica.fetch.max.bytes`
    pub replica_fetch_max_bytes: i32,
    /// `replica.fetch.response.max.bytes`
    pub replica_fetch_response_max_bytes: i32,
    /// `replica.fetch.backoff.ms`
    pub replica_fetch_backoff: Duration,
    /// `replica.socket.timeout.ms`
    pub replica_socket_timeout: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint_interval: Duration,
    /// `controller.quorum.election.timeout.ms`
    pub quorum_election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`
    pub quorum_fetch_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`
    pub quorum_election_backoff_max: Duration,
    /// `controller.quorum.append.linger.ms`
    pub quorum_append_linger: Duration,
    /// `controller.quorum.request.timeout.ms`
    pub quorum_request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub quorum_retry_backoff: Duration,
    /// `metadata.max.idle.interval.ms`: a no-op record this often.
    pub metadata_max_idle_interval: Duration,
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub metadata_snapshot_bytes: i64,
    /// `metadata.log.max.snapshot.interval.ms`; `None`: never by time.
    pub metadata_snapshot_interval: Option<Duration>,
    /// `metadata.max.retention.bytes`; `None`: no limit.
    pub metadata_retention_bytes: Option<i64>,
    /// `metadata.max.retention.ms`; `None`: no limit.
    pub metadata_retention_time: Option<Duration>,
    /// `metadata.log.segment.bytes`
    pub metadata_segment_bytes: i32,
    /// `metadata.log.segment.ms`
    pub metadata_segment_time: Duration,
    /// The feature `kraft.version`: 1 when the voters stand in the metadata log (KIP-853).
    pub kraft_version: i16,
    /// `auto.leader.rebalance.enable`
    pub auto_leader_rebalance: bool,
    /// `leader.imbalance.check.interval.seconds`
    pub leader_imbalance_check_interval: Duration,
    /// `auto.create.topics.enable`
    pub auto_create_topics: bool,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `num.partitions`
    pub num_partitions: i32,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval: Duration,
    /// `fetch.max.bytes` of the broker
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`
    pub fetch_session_slots: i32,
    /// `offsets.topic.num.partitions`
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`
    pub offsets_topic_replication_factor: i16,
    /// `offsets.retention.minutes`
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval: Duration,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_bytes: i32,
    /// `group.initial.rebalance.delay.ms`
    pub group_initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`
    pub group_min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`
    pub group_max_session_timeout: Duration,
    /// `group.max.size`
    pub group_max_size: i32,
    /// `group.consumer.session.timeout.ms`
    pub group_consumer_session_timeout: Duration,
    /// `group.consumer.min.session.timeout.ms`
    pub group_consumer_min_session_timeout: Duration,
    /// `group.consumer.max.session.timeout.ms`
    pub group_consumer_max_session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`
    pub group_consumer_heartbeat_interval: Duration,
    /// `group.consumer.min.heartbeat.interval.ms`
    pub group_consumer_min_heartbeat_interval: Duration,
    /// `group.consumer.max.heartbeat.interval.ms`
    pub group_consumer_max_heartbeat_interval: Duration,
    /// `group.consumer.max.size`
    pub group_consumer_max_size: i32,
    /// `group.consumer.assignors`, the default one first
    pub group_consumer_assignors: Vec<String>,
    /// `group.consumer.migration.policy`
    pub group_consumer_migration_policy: String,
    /// `group.share.…` and `share.coordinator.…`
    pub share: ShareConfig,
    /// `replica.selector.class` = RackAwareReplicaSelector
    pub rack_aware_selector: bool,
    /// `transaction.state.log.num.partitions`
    pub transaction_topic_num_partitions: i32,
    /// `transaction.state.log.replication.factor`
    pub transaction_topic_replication_factor: i16,
    /// `transaction.state.log.min.isr`
    pub transaction_topic_min_isr: i32,
    /// `transaction.state.log.segment.bytes`
    pub transaction_topic_segment_bytes: i32,
    /// `transaction.max.timeout.ms`
    pub transaction_max_timeout: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub transaction_abort_interval: Duration,
    /// `transactional.id.expiration.ms`
    pub transactional_id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub transactional_id_expiration_interval: Duration,
    /// `transaction.partition.verification.enable`
    pub transaction_partition_verification: bool,
    /// `transaction.two.phase.commit.enable`; no client of a script asks for it (KIP-939).
    pub transaction_two_phase_commit: bool,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration: Duration,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_id_expiration_check_interval: Duration,
    /// `log.initial.task.delay.ms`
    pub log_initial_task_delay: Duration,
    /// `log.flush.scheduler.interval.ms`
    pub log_flush_scheduler_interval: Duration,
    /// `log.cleaner.enable`
    pub log_cleaner_enable: bool,
    /// `log.cleaner.backoff.ms`
    pub log_cleaner_backoff: Duration,
    /// `unclean.leader.election.enable`, `min.insync.replicas` and the other defaults of topics.
    pub topic_defaults: TopicConfig,
    /// `controlled.shutdown.enable` is always true in KRaft; `eligible.leader.replicas.version`.
    pub eligible_leader_replicas: bool,
}

impl Default for BrokerConfig {
    fn default() -> BrokerConfig {
        let ms = Duration::from_millis;
        BrokerConfig {
            planted: None,
            broker_session_timeout: ms(9_000),
            broker_heartbeat_interval: ms(2_000),
            replica_lag_time_max: ms(30_000),
            replica_fetch_wait_max: ms(500),
            replica_fetch_min_bytes: 1,
            replica_fetch_max_bytes: 1 << 20,
            replica_fetch_response_max_bytes: 10 << 20,
            replica_fetch_backoff: ms(1_000),
            replica_socket_timeout: ms(30_000),
            high_watermark_checkpoint_interval: ms(5_000),
            quorum_election_timeout: ms(1_000),
            quorum_fetch_timeout: ms(2_000),
            quorum_election_backoff_max: ms(1_000),
            quorum_append_linger: ms(25),
            quorum_request_timeout: ms(2_000),
            quorum_retry_backoff: ms(20),
            metadata_max_idle_interval: ms(500),
            metadata_snapshot_bytes: 20 * 1024 * 1024,
            metadata_snapshot_interval: Some(ms(3_600_000)),
            metadata_retention_bytes: Some(100 * 1024 * 1024),
            metadata_retention_time: Some(ms(604_800_000)),
            metadata_segment_bytes: 1024 * 1024 * 1024,
            metadata_segment_time: ms(604_800_000),
            kraft_version: 1,
            auto_leader_rebalance: true,
            leader_imbalance_check_interval: ms(300_000),
            auto_create_topics: true,
            default_replication_factor: 1,
            num_partitions: 1,
            retention_check_interval: ms(300_000),
            fetch_max_bytes: 55 << 20,
            fetch_session_slots: 1_000,
            offsets_topic_num_partitions: 50,
            offsets_topic_replication_factor: 3,
            offsets_retention: ms(10_080 * 60_000),
            offsets_retention_check_interval: ms(600_000),
            offset_metadata_max_bytes: 4_096,
            group_initial_rebalance_delay: ms(3_000),
            group_min_session_timeout: ms(6_000),
            group_max_session_timeout: ms(1_800_000),
            group_max_size: i32::MAX,
            group_consumer_session_timeout: Duration::from_millis(45_000),
            group_consumer_min_session_timeout: Duration::from_millis(45_000),
            group_consumer_max_session_timeout: Duration::from_millis(60_000),
            group_consumer_heartbeat_interval: Duration::from_millis(5_000),
            group_consumer_min_heartbeat_interval: Duration::from_millis(5_000),
            group_consumer_max_heartbeat_interval: Duration::from_millis(15_000),
            group_consumer_max_size: i32::MAX,
            group_consumer_assignors: vec!["uniform".to_string(), "range".to_string()],
            group_consumer_migration_policy: "bidirectional".to_string(),
            share: ShareConfig::default(),
            rack_aware_selector: false,
            transaction_topic_num_partitions: 50,
            transaction_topic_replication_factor: 3,
            transaction_topic_min_isr: 2,
            transaction_topic_segment_bytes: 100 << 20,
            transaction_max_timeout: ms(900_000),
            transaction_abort_interval: ms(10_000),
            transactional_id_expiration: ms(604_800_000),
            transactional_id_expiration_interval: ms(3_600_000),
            transaction_partition_verification: true,
            transaction_two_phase_commit: false,
            producer_id_expiration: ms(86_400_000),
            producer_id_expiration_check_interval: ms(600_000),
            log_initial_task_delay: ms(30_000),
            log_flush_scheduler_interval: ms(i64::MAX),
            log_cleaner_enable: true,
            log_cleaner_backoff: ms(15_000),
            topic_defaults: TopicConfig::default(),
            eligible_leader_replicas: true,
        }
    }
}

/// Which replicas of a topic are throttled.
#[derive(Clone, Debug, PartialEq)]
pub enum ThrottledReplicas {
    All,
    /// Partition and broker.
    These(Vec<(i32, i32)>),
}

/// A topic's settings as a broker reads them (LogConfig), resolved from the topic's own and the
/// broker's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `min.insync.replicas`
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`
    pub unclean_leader_election: bool,
    /// `cleanup.policy` contains `delete`
    pub delete: bool,
    /// `cleanup.policy` contains `compact`
    pub compact: bool,
    /// `segment.bytes`
    pub segment_bytes: i32,
    /// `segment.ms`
    pub segment_time: Duration,
    /// `segment.index.bytes`
    pub segment_index_bytes: i32,
    /// `index.interval.bytes`
    pub index_interval_bytes: i32,
    /// `retention.ms`; `None` for -1: without limit
    pub retention: Option<Duration>,
    /// `retention.bytes`; `None` for -1: without limit
    pub retention_bytes: Option<i64>,
    /// `max.message.bytes`
    pub max_message_bytes: i32,
    /// `compression.type`; `None` for `producer`: as the batches come
    pub compression: Option<Compression>,
    /// `message.timestamp.type` = LogAppendTime
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max: Duration,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max: Duration,
    /// `flush.messages`
    pub flush_messages: i64,
    /// `flush.ms`
    pub flush_time: Duration,
    /// `min.cleanable.dirty.ratio`, in thousandths
    pub min_cleanable_dirty_permille: i32,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag: Duration,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag: Duration,
    /// `delete.retention.ms`
    pub delete_retention: Duration,
    /// `leader.replication.throttled.replicas`
    pub leader_throttled: ThrottledReplicas,
    /// `follower.replication.throttled.replicas`
    pub follower_throttled: ThrottledReplicas,
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        let ms = Duration::from_millis;
        TopicConfig {
            min_insync_replicas: 1,
            unclean_leader_election: false,
            delete: true,
            compact: false,
            segment_bytes: 1 << 30,
            segment_time: ms(604_800_000),
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4_096,
            retention: Some(ms(604_800_000)),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            compression: None,
            log_append_time: false,
            timestamp_before_max: ms(i64::MAX),
            timestamp_after_max: ms(3_600_000),
            flush_messages: i64::MAX,
            flush_time: ms(i64::MAX),
            min_cleanable_dirty_permille: 500,
            min_compaction_lag: ms(0),
            max_compaction_lag: ms(i64::MAX),
            delete_retention: ms(86_400_000),
            leader_throttled: ThrottledReplicas::These(Vec::new()),
            follower_throttled: ThrottledReplicas::These(Vec::new()),
        }
    }
}

/// A producer's settings (ProducerConfig).
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerConfig {
    /// `acks`: 0, 1 or -1 (all)
    pub acks: i16,
    /// `enable.idempotence`, after the other settings had their say
    pub idempotence: bool,
    /// `linger.ms`
    pub linger: Duration,
    /// `batch.size`
    pub batch_size: i32,
    /// `compression.type`
    pub compression: Compression,
    /// `buffer.memory`
    pub buffer_memory: i64,
    /// `max.in.flight.requests.per.connection`
    pub max_in_flight: i32,
    /// `max.request.size`
    pub max_request_size: i32,
    /// `max.block.ms`
    pub max_block: Duration,
    /// `retries`
    pub retries: i32,
    /// `delivery.timeout.ms`
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`
    pub metadata_max_age: Duration,
    /// `transaction.timeout.ms`
    pub transaction_timeout: Duration,
    /// `partitioner.ignore.keys`
    pub ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`
    pub adaptive_partitioning: bool,
}

impl Default for ProducerConfig {
    fn default() -> ProducerConfig {
        let ms = Duration::from_millis;
        ProducerConfig {
            acks: -1,
            idempotence: true,
            linger: ms(5),
            batch_size: 16_384,
            compression: Compression::None,
            buffer_memory: 32 << 20,
            max_in_flight: 5,
            max_request_size: 1 << 20,
            max_block: ms(60_000),
            retries: i32::MAX,
            delivery_timeout: ms(120_000),
            request_timeout: ms(30_000),
            retry_backoff: ms(100),
            retry_backoff_max: ms(1_000),
            metadata_max_age: ms(300_000),
            transaction_timeout: ms(60_000),
            ignore_keys: false,
            adaptive_partitioning: true,
        }
    }
}

/// `auto.offset.reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    Latest,
    None,
    /// `by_duration:…` (KIP-1106)
    ByDuration(Duration),
}

/// A consumer's settings (ConsumerConfig).
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerConfig {
    /// `group.protocol` = consumer (KIP-848)
    pub consumer_protocol: bool,
    /// `group.remote.assignor`
    pub remote_assignor: Option<String>,
    /// `auto.offset.reset`
    pub offset_reset: OffsetReset,
    /// `enable.auto.commit`
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`
    pub auto_commit_interval: Duration,
    /// `max.poll.records`
    pub max_poll_records: i32,
    /// `share.acknowledgement.mode` = explicit (KIP-932)
    pub share_explicit: bool,
    /// `max.poll.interval.ms`
    pub max_poll_interval: Duration,
    /// `session.timeout.ms`
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `fetch.min.bytes`
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`
    pub fetch_max_wait: Duration,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`
    pub max_partition_fetch_bytes: i32,
    /// `isolation.level` = read_committed
    pub read_committed: bool,
    /// `partition.assignment.strategy`, by the assignors' names: `range`, `roundrobin`, …
    pub assignors: Vec<String>,
    /// `group.instance.id`
    pub group_instance_id: Option<String>,
    /// `client.rack`
    pub client_rack: Option<String>,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`
    pub default_api_timeout: Duration,
    /// `retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`
    pub metadata_max_age: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> ConsumerConfig {
        let ms = Duration::from_millis;
        ConsumerConfig {
            offset_reset: OffsetReset::Latest,
            auto_commit: true,
            auto_commit_interval: ms(5_000),
            max_poll_records: 500,
            share_explicit: false,
            max_poll_interval: ms(300_000),
            session_timeout: ms(45_000),
            heartbeat_interval: ms(3_000),
            fetch_min_bytes: 1,
            fetch_max_wait: ms(500),
            fetch_max_bytes: 50 << 20,
            max_partition_fetch_bytes: 1 << 20,
            read_committed: false,
            assignors: vec!["range".to_string(), "cooperative-sticky".to_string()],
            group_instance_id: None,
            consumer_protocol: false,
            remote_assignor: None,
            client_rack: None,
            request_timeout: ms(30_000),
            default_api_timeout: ms(60_000),
            retry_backoff: ms(100),
            retry_backoff_max: ms(1_000),
            metadata_max_age: ms(300_000),
        }
    }
}

#[cfg(test)]
mod tests;
