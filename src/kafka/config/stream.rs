//! Options of stream readers, by the names and with the refusals of Spark's Kafka source
//! (KafkaSourceProvider); what begins with `kafka.` is a setting of the consumers that read for it.

use crate::kafka::config::setting::{
    self, Configs, Kind, Problem, Scope, Setting, SettingError, SettingInfo, Valid, Value,
};
use crate::kafka::config::{ConsumerConfig, OffsetReset};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Duration;
use crate::wire::{Offset, TopicPartition};

/// How an option begins that is a setting of Kafka's consumer.
const PREFIX: &str = "kafka.";

/// `-2` in the JSON of `startingOffsets` (KafkaOffsetRangeLimit).
const EARLIEST: i64 = -2;
/// `-1` in the JSON of `startingOffsets`.
const LATEST: i64 = -1;

/// Those of the consumer's settings that a reader without a group has a use for.
const OF_CONSUMERS: [&str; 12] = [
    "kafka.client.rack",
    "kafka.default.api.timeout.ms",
    "kafka.fetch.max.bytes",
    "kafka.fetch.max.wait.ms",
    "kafka.fetch.min.bytes",
    "kafka.isolation.level",
    "kafka.max.partition.fetch.bytes",
    "kafka.max.poll.records",
    "kafka.metadata.max.age.ms",
    "kafka.request.timeout.ms",
    "kafka.retry.backoff.max.ms",
    "kafka.retry.backoff.ms",
];

/// A stream reader's options.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// `startingOffsets`
    pub starting: Starting,
    /// `maxOffsetsPerTrigger`
    pub max_offsets_per_trigger: Option<i64>,
    /// `minOffsetsPerTrigger`: a batch waits until so many records are there…
    pub min_offsets_per_trigger: Option<i64>,
    /// `maxTriggerDelay`: …but no longer than this.
    pub max_trigger_delay: Duration,
    /// `minPartitions`
    pub min_partitions: Option<i32>,
    /// `failOnDataLoss`
    pub fail_on_data_loss: bool,
    /// `fetchOffset.numRetries`
    pub offset_attempts: i32,
    /// `fetchOffset.retryIntervalMs`
    pub offset_retry_interval: Duration,
    /// `kafkaConsumer.pollTimeoutMs`
    pub poll_timeout: Duration,
    /// `trigger`, Spark's processing time; zero: the next batch begins when the last one is done.
    pub trigger: Duration,
    /// What the consumers are told that read for it.
    pub consumer: ConsumerConfig,
}

/// Where a query begins that has no checkpoint yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Starting {
    Earliest,
    Latest,
    /// A place for each partition; every partition of the topics must be named.
    Each(SortedMap<TopicPartition, Place>),
}

/// Where one partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Earliest,
    Latest,
    At(Offset),
}

impl Default for StreamConfig {
    fn default() -> StreamConfig {
        StreamConfig {
            starting: Starting::Latest,
            max_offsets_per_trigger: None,
            min_offsets_per_trigger: None,
            max_trigger_delay: Duration::from_secs(15 * 60),
            min_partitions: None,
            fail_on_data_loss: true,
            offset_attempts: 3,
            offset_retry_interval: Duration::from_secs(1),
            poll_timeout: Duration::from_secs(120),
            trigger: Duration::ZERO,
            consumer: ConsumerConfig::default(),
        }
    }
}

type Row = Setting<StreamConfig>;

pub static TABLE: &[Setting<StreamConfig>] = &[
    Row {
        name: "startingOffsets",
        kind: Kind::String,
        default: "latest",
        valid: Valid::StartingOffsets,
        meaning: "Where a query begins that has no checkpoint: earliest, latest, or an offset for each partition as JSON.",
        set: |c, v| {
            if let Value::Starting(starting) = v {
                c.starting = starting.clone();
            }
        },
    },
    Row {
        name: "maxOffsetsPerTrigger",
        kind: Kind::Long,
        default: "null",
        valid: Valid::AtLeast(1),
        meaning: "How many records a batch has at the most, shared out among the partitions by what they have.",
        set: |c, v| c.max_offsets_per_trigger = Some(v.long()),
    },
    Row {
        name: "minOffsetsPerTrigger",
        kind: Kind::Long,
        default: "null",
        valid: Valid::AtLeast(1),
        meaning: "How many records must be there before a batch is worth it.",
        set: |c, v| c.min_offsets_per_trigger = Some(v.long()),
    },
    Row {
        name: "maxTriggerDelay",
        kind: Kind::String,
        default: "15m",
        valid: Valid::TimeString,
        meaning: "How long a batch waits for minOffsetsPerTrigger at the most.",
        set: |c, v| c.max_trigger_delay = v.duration(),
    },
    Row {
        name: "minPartitions",
        kind: Kind::Int,
        default: "null",
        valid: Valid::Any,
        meaning: "How many tasks a batch has at least: large ranges are cut.",
        set: |c, v| c.min_partitions = Some(v.int()),
    },
    Row {
        name: "failOnDataLoss",
        kind: Kind::Boolean,
        default: "true",
        valid: Valid::Any,
        meaning: "Whether the query fails when records that it has not read are gone.",
        set: |c, v| c.fail_on_data_loss = v.boolean(),
    },
    Row {
        name: "fetchOffset.numRetries",
        kind: Kind::Int,
        default: "3",
        valid: Valid::AtLeast(1),
        meaning: "How often the driver asks for offsets before the query fails.",
        set: |c, v| c.offset_attempts = v.int(),
    },
    Row {
        name: "fetchOffset.retryIntervalMs",
        kind: Kind::Long,
        default: "1000",
        valid: Valid::AtLeast(0),
        meaning: "How long the driver waits before it asks for offsets again.",
        set: |c, v| c.offset_retry_interval = v.millis(),
    },
    Row {
        name: "kafkaConsumer.pollTimeoutMs",
        kind: Kind::Long,
        default: "120000",
        valid: Valid::AtLeast(1),
        meaning: "How long an executor waits for a record that is to be there.",
        set: |c, v| c.poll_timeout = v.millis(),
    },
    Row {
        name: "trigger",
        kind: Kind::String,
        default: "0s",
        valid: Valid::TimeString,
        meaning: "How often a batch begins; 0s: as soon as the one before is done.",
        set: |c, v| c.trigger = v.duration(),
    },
];

impl StreamConfig {
    /// What these options make of a reader, or every reason why Spark would not start the query.
    pub fn resolve(options: &Configs) -> Result<StreamConfig, Vec<SettingError>> {
        let mut errors = Vec::new();
        let (mut own, mut kafkas) = (Configs::new(), Configs::new());
        for (name, value) in options {
            let setting = name.strip_prefix(PREFIX);
            if let Some(reason) = refusal(name) {
                errors.push(setting::refused(name, reason));
            } else if is_idle(name) {
                let problem = Problem::WrittenElsewhere("a stream reader is in no group and commits nothing to Kafka");
                errors.push(SettingError { name: name.clone(), problem });
            } else if let Some(setting) = setting {
                kafkas.insert(setting.to_string(), value.clone());
            } else {
                own.insert(name.clone(), value.clone());
            }
        }
        let mut config = StreamConfig::default();
        match ConsumerConfig::resolve(&kafkas) {
            Ok(consumer) => config.consumer = consumer,
            Err(refused) => errors.extend(refused.into_iter().map(|error| {
                let problem = match error.problem {
                    Problem::Unknown(_) => Problem::Unknown(Scope::Stream),
                    other => other,
                };
                SettingError { name: format!("{PREFIX}{}", error.name), problem }
            })),
        }
        // Spark sets auto.offset.reset=none, and its executors catch the exception. Here a position that awaits
        // its reset stands for the exception: the reader looks for one and decides before anything is reset.
        config.consumer.offset_reset = OffsetReset::Earliest;
        config.consumer.auto_commit = false;
        errors.extend(setting::apply(TABLE, Scope::Stream, &mut config, &own));
        config.cross_check(&mut errors);
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// KafkaSourceProvider.validateGeneralOptions.
    fn cross_check(&self, errors: &mut Vec<SettingError>) {
        if self.min_partitions.is_some_and(|partitions| partitions <= 0) {
            errors.push(setting::refused("minPartitions", "minPartitions must be positive"));
        }
        if let (Some(min), Some(max)) = (self.min_offsets_per_trigger, self.max_offsets_per_trigger)
            && min > max
        {
            let reason =
                format!("The value of minOffsetPerTrigger({min}) is higher than the maxOffsetsPerTrigger({max}).");
            errors.push(setting::refused("minOffsetsPerTrigger", reason));
        }
    }
}

/// A setting of the consumer's that means nothing without a group.
fn is_idle(name: &str) -> bool {
    let Some(setting) = name.strip_prefix(PREFIX) else { return false };
    let of_consumers = setting::names(Scope::Consumer).contains(&setting);
    setting == "group.id" || (of_consumers && !OF_CONSUMERS.contains(&name))
}

/// The options that may be written: Spark's, and those that are handed on to the consumers.
pub(super) fn infos() -> Vec<SettingInfo> {
    let of_consumers = setting::settings(Scope::Consumer).into_iter().filter_map(|info| {
        let name = OF_CONSUMERS.into_iter().find(|name| name.strip_prefix(PREFIX) == Some(info.name))?;
        Some(SettingInfo { name, ..info })
    });
    TABLE.iter().map(Setting::info).chain(of_consumers).collect()
}

/// Options of Spark's source that Highwater has not.
const NOT_SIMULATED: [&str; 6] = [
    "groupIdPrefix",
    "includeHeaders",
    "maxRecordsPerPartition",
    "startingOffsetsByTimestamp",
    "startingOffsetsByTimestampStrategy",
    "startingTimestamp",
];

/// What Spark itself refuses, or Highwater of what it has not (KafkaSourceProvider.validateStreamOptions, validateGeneralOptions).
fn refusal(name: &str) -> Option<String> {
    let not_supported = |option: &str| format!("Kafka option '{option}' is not supported");
    Some(match name {
        "endingOffsets" => "ending offset not valid in streaming queries".to_string(),
        "endingOffsetsByTimestamp" | "endingTimestamp" => "ending timestamp not valid in streaming queries".to_string(),
        "kafka.auto.offset.reset" => format!(
            "{}. Instead set the source option 'startingOffsets' to 'earliest' or 'latest' to specify where to start.",
            not_supported("auto.offset.reset")
        ),
        "kafka.enable.auto.commit" => not_supported("enable.auto.commit"),
        "kafka.interceptor.classes" => not_supported("interceptor.classes"),
        "kafka.key.deserializer" => format!(
            "{} as keys are deserialized as byte arrays with ByteArrayDeserializer.",
            not_supported("key.deserializer")
        ),
        "kafka.value.deserializer" => format!(
            "{} as values are deserialized as byte arrays with ByteArrayDeserializer.",
            not_supported("value.deserializer")
        ),
        "assign" | "subscribePattern" => {
            "Only one of the following options can be specified for Kafka source: subscribe, subscribePattern, assign; \
             Highwater reads by subscribe"
                .to_string()
        }
        name if NOT_SIMULATED.contains(&name) => {
            format!("{name} is an option of Spark's that Highwater does not simulate yet")
        }
        _ => return None,
    })
}

impl Starting {
    /// `earliest`, `latest` (in any case of letters) or `{"orders":{"0":23,"1":-2}}` (KafkaSourceProvider
    /// .getKafkaOffsetRangeLimit, JsonUtils.partitionOffsets).
    pub fn parse(text: &str) -> Result<Starting, String> {
        match text.trim().to_lowercase().as_str() {
            "earliest" => return Ok(Starting::Earliest),
            "latest" => return Ok(Starting::Latest),
            _ => {}
        }
        let refused =
            || format!("Expected e.g. {{\"topicA\":{{\"0\":23,\"1\":-1}},\"topicB\":{{\"0\":-2}}}}, got {text}");
        read_offsets(text).map(Starting::Each).ok_or_else(refused)
    }

    /// Where each of these partitions begins (KafkaOffsetReader.fetchSpecificOffsets insists on all of them).
    pub fn places(&self, partitions: &SortedSet<TopicPartition>) -> Result<SortedMap<TopicPartition, Place>, String> {
        let all = |place: Place| partitions.iter().map(|partition| (partition.clone(), place)).collect();
        match self {
            Starting::Earliest => Ok(all(Place::Earliest)),
            Starting::Latest => Ok(all(Place::Latest)),
            Starting::Each(places) => {
                let named: SortedSet<TopicPartition> = places.keys().cloned().collect();
                if named != *partitions {
                    return Err(format!(
                        "If startingOffsets contains specific offsets, you must specify all TopicPartitions. Use -1 \
                         for latest, -2 for earliest. Specified: {} Assigned: {}",
                        list(&named),
                        list(partitions)
                    ));
                }
                Ok(places.clone())
            }
        }
    }
}

fn list(partitions: &SortedSet<TopicPartition>) -> String {
    let names: Vec<String> = partitions.iter().map(TopicPartition::to_string).collect();
    format!("Set({})", names.join(", "))
}

fn read_offsets(text: &str) -> Option<SortedMap<TopicPartition, Place>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let mut places = SortedMap::new();
    for (topic, partitions) in value.as_object()? {
        for (partition, offset) in partitions.as_object()? {
            let partition = partition.parse::<i32>().ok().filter(|partition| *partition >= 0)?;
            let place = match offset.as_i64()? {
                EARLIEST => Place::Earliest,
                LATEST => Place::Latest,
                offset if offset >= 0 => Place::At(Offset(offset)),
                _ => return None,
            };
            places.insert(TopicPartition::named(topic, partition), place);
        }
    }
    Some(places)
}

/// A time as Spark writes it: `100ms`, `1s`, `15m` (JavaUtils.timeStringAs), also `5min` and `250us`.
pub(super) fn time_string(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(partitions: i32) -> SortedSet<TopicPartition> {
        (0..partitions).map(|partition| TopicPartition::named("orders", partition)).collect()
    }

    fn reasons(options: &[(&str, &str)]) -> Vec<String> {
        let options = options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        StreamConfig::resolve(&options).map_or_else(|e| e.iter().map(ToString::to_string).collect(), |_| Vec::new())
    }

    #[test]
    fn every_partition_must_be_named() {
        let starting = Starting::parse("{\"orders\":{\"0\":23,\"1\":-2}}").expect("it is good JSON");
        let places = starting.places(&orders(2)).expect("both are named");
        assert_eq!(places.values().copied().collect::<Vec<_>>(), [Place::At(Offset(23)), Place::Earliest]);
        let refused = starting.places(&orders(3)).expect_err("the third is not named");
        assert!(refused.ends_with("Specified: Set(orders-0, orders-1) Assigned: Set(orders-0, orders-1, orders-2)"));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "first", "{\"orders\":5}", "{\"orders\":{\"x\":5}}", "{\"orders\":{\"0\":-3}}"] {
            assert!(Starting::parse(text).is_err(), "{text}");
        }
        assert_eq!(Starting::parse("LATEST"), Ok(Starting::Latest));
    }

    #[test]
    fn what_spark_refuses_is_refused_with_its_reason() {
        assert_eq!(reasons(&[("kafka.isolation.level", "read_committed"), ("trigger", "5min")]), [""; 0]);
        let refused = ["Kafka option 'enable.auto.commit' is not supported"];
        assert_eq!(reasons(&[("kafka.enable.auto.commit", "true")]), refused);
        assert_eq!(reasons(&[("minPartitions", "0")]), ["minPartitions must be positive"]);
        assert_eq!(
            reasons(&[("minOffsetsPerTrigger", "9"), ("maxOffsetsPerTrigger", "5")]),
            ["The value of minOffsetPerTrigger(9) is higher than the maxOffsetsPerTrigger(5)."]
        );
        assert_eq!(reasons(&[("endingOffsets", "latest")]), ["ending offset not valid in streaming queries"]);
        assert_eq!(reasons(&[("kafka.isolation.levl", "x")]), ["unknown stream setting `kafka.isolation.levl`"]);
        assert_eq!(
            reasons(&[("kafka.session.timeout.ms", "1")]),
            ["kafka.session.timeout.ms is not set here: a stream reader is in no group and commits nothing to Kafka"]
        );
    }

    #[test]
    fn times_are_read_as_spark_writes_them() {
        assert_eq!(time_string("15m"), Some(Duration::from_secs(900)));
        assert_eq!(time_string("250us"), Some(Duration::from_micros(250)));
        assert_eq!((time_string("s"), time_string("5"), time_string("-1s")), (None, None, None));
    }
}
