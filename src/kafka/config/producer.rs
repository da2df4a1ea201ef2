//! Settings of producers (ProducerConfig).

use crate::kafka::config::client;
use crate::kafka::config::setting::{self, Kind, Scope, Setting, SettingError, Valid};
use crate::kafka::config::{Configs, ProducerConfig};
use crate::wire::batch::Compression;

type Row = Setting<ProducerConfig>;

pub static TABLE: &[Setting<ProducerConfig>] = &[
    Row {
        name: "acks",
        kind: Kind::String,
        default: "all",
        valid: Valid::In(&["all", "-1", "0", "1"]),
        meaning: "Who must have a record before it counts as sent: all in-sync replicas, the leader (1), or nobody (0).",
        set: |c, v| {
            c.acks = match v.text() {
                "0" => 0,
                "1" => 1,
                _ => -1,
            }
        },
    },
    Row {
        name: "enable.idempotence",
        kind: Kind::Boolean,
        default: "true",
        valid: Valid::Any,
        meaning: "Whether retries are recognised by the brokers, so that each record is written once and in order.",
        set: |c, v| c.idempotence = v.boolean(),
    },
    Row {
        name: "linger.ms",
        kind: Kind::Long,
        default: "5",
        valid: Valid::AtLeast(0),
        meaning: "How long a record waits for others to share its batch.",
        set: |c, v| c.linger = v.millis(),
    },
    Row {
        name: "batch.size",
        kind: Kind::Int,
        default: "16384",
        valid: Valid::AtLeast(0),
        meaning: "The size at which a batch is sent without further waiting.",
        set: |c, v| c.batch_size = v.int(),
    },
    Row {
        name: "compression.type",
        kind: Kind::String,
        default: "none",
        valid: Valid::In(&["none", "gzip", "snappy", "lz4", "zstd"]),
        meaning: "How the records of a batch are compressed.",
        set: |c, v| c.compression = Compression::from_name(v.text()).unwrap_or_default(),
    },
    Row {
        name: "buffer.memory",
        kind: Kind::Long,
        default: "33554432",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes of unsent records the producer holds before send() blocks.",
        set: |c, v| c.buffer_memory = v.long(),
    },
    Row {
        name: "max.in.flight.requests.per.connection",
        kind: Kind::Int,
        default: "5",
        valid: Valid::AtLeast(1),
        meaning: "How many unanswered requests the producer has with one broker.",
        set: |c, v| c.max_in_flight = v.int(),
    },
    Row {
        name: "max.request.size",
        kind: Kind::Int,
        default: "1048576",
        valid: Valid::AtLeast(0),
        meaning: "The largest request, and thereby the largest record.",
        set: |c, v| c.max_request_size = v.int(),
    },
    Row {
        name: "max.block.ms",
        kind: Kind::Long,
        default: "60000",
        valid: Valid::AtLeast(0),
        meaning: "How long send() waits for metadata or memory.",
        set: |c, v| c.max_block = v.millis(),
    },
    Row {
        name: "retries",
        kind: Kind::Int,
        default: "2147483647",
        valid: Valid::Between(0, i32::MAX as i64),
        meaning: "How often a failed send is tried again within delivery.timeout.ms.",
        set: |c, v| c.retries = v.int(),
    },
    Row {
        name: "delivery.timeout.ms",
        kind: Kind::Int,
        default: "120000",
        valid: Valid::AtLeast(0),
        meaning: "How long after send() a record is given up at the latest.",
        set: |c, v| c.delivery_timeout = v.millis(),
    },
    client::request_timeout(|c, v| c.request_timeout = v.millis()),
    client::retry_backoff(|c, v| c.retry_backoff = v.millis()),
    client::retry_backoff_max(|c, v| c.retry_backoff_max = v.millis()),
    client::metadata_max_age(|c, v| c.metadata_max_age = v.millis()),
    Row {
        name: "transaction.timeout.ms",
        kind: Kind::Int,
        default: "60000",
        valid: Valid::Any,
        meaning: "How long a transaction may stay open before its coordinator aborts it.",
        set: |c, v| c.transaction_timeout = v.millis(),
    },
    Row {
        name: "partitioner.ignore.keys",
        kind: Kind::Boolean,
        default: "false",
        valid: Valid::Any,
        meaning: "Whether the partition is chosen without regard to the record's key.",
        set: |c, v| c.ignore_keys = v.boolean(),
    },
    Row {
        name: "partitioner.adaptive.partitioning.enable",
        kind: Kind::Boolean,
        default: "true",
        valid: Valid::Any,
        meaning: "Whether records without a key go rather to partitions of brokers that answer faster.",
        set: |c, v| c.adaptive_partitioning = v.boolean(),
    },
];

impl ProducerConfig {
    /// What these settings make of a producer, or every reason why Kafka would not start it.
    pub fn resolve(configs: &Configs) -> Result<ProducerConfig, Vec<SettingError>> {
        let mut config = ProducerConfig::default();
        let mut errors = setting::apply(TABLE, Scope::Producer, &mut config, configs);
        if setting::all_read(&errors) {
            config.settle_idempotence(configs, &mut errors);
            config.settle_delivery_timeout(configs, &mut errors);
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// ProducerConfig.postProcessAndValidateIdempotenceConfigs: a producer that did not ask for
    /// idempotence silently goes without when the other settings do not allow it.
    fn settle_idempotence(&mut self, configs: &Configs, errors: &mut Vec<SettingError>) {
        if !self.idempotence {
            return;
        }
        let asked_for = configs.contains_key("enable.idempotence");
        let mut disable = false;
        if self.retries == 0 {
            if asked_for {
                let reason = "Must set retries to non-zero when using the idempotent producer.";
                errors.push(setting::refused("retries", reason));
            }
            disable = true;
        }
        if self.acks != -1 {
            if asked_for {
                let reason = "Must set acks to all in order to use the idempotent producer. \
                              Otherwise we cannot guarantee idempotence.";
                errors.push(setting::refused("acks", reason));
            }
            disable = true;
        }
        if self.max_in_flight > 5 {
            let reason = format!(
                "To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. \
                 Current value is {}.",
                self.max_in_flight
            );
            errors.push(setting::refused("max.in.flight.requests.per.connection", reason));
        }
        self.idempotence = !disable;
    }

    /// KafkaProducer.configureDeliveryTimeout: too short is an error when it was asked for, and
    /// made long enough when it is the default.
    fn settle_delivery_timeout(&mut self, configs: &Configs, errors: &mut Vec<SettingError>) {
        let least = self.linger + self.request_timeout;
        if self.delivery_timeout < least {
            if configs.contains_key("delivery.timeout.ms") {
                let reason = "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms";
                errors.push(setting::refused("delivery.timeout.ms", reason));
            }
            self.delivery_timeout = least;
        }
    }
}
