//! Settings of consumers (ConsumerConfig).

use crate::kafka::config::client;
use crate::kafka::config::setting::{self, Kind, Scope, Setting, SettingError, Valid, Value};
use crate::kafka::config::{BrokerConfig, Configs, ConsumerConfig, OffsetReset};
use crate::time::Duration;

type Row = Setting<ConsumerConfig>;

/// The assignors that Kafka ships, by name and class.
pub(super) const ASSIGNORS: [(&str, &str); 4] = [
    ("range", "RangeAssignor"),
    ("roundrobin", "RoundRobinAssignor"),
    ("sticky", "StickyAssignor"),
    ("cooperative-sticky", "CooperativeStickyAssignor"),
];

/// What a share consumer cannot have (ShareConsumerConfig.SHARE_GROUP_UNSUPPORTED_CONFIGS).
pub const NOT_FOR_SHARE_GROUPS: [&str; 9] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.protocol",
    "group.remote.assignor",
];

/// What the consumer protocol leaves to the broker (ConsumerConfig.CONSUMER_PROTOCOL_UNSUPPORTED_CONFIGS).
const CLASSIC_ONLY: [&str; 3] = ["heartbeat.interval.ms", "partition.assignment.strategy", "session.timeout.ms"];

pub static TABLE: &[Setting<ConsumerConfig>] = &[
    Row {
        name: "group.protocol",
        kind: Kind::String,
        default: "classic",
        valid: Valid::InAnyCase(&["CLASSIC", "CONSUMER"]),
        meaning: "Whether the group rebalances by the classic protocol or by the consumer protocol (KIP-848).",
        set: |c, v| c.consumer_protocol = v.text().eq_ignore_ascii_case("consumer"),
    },
    Row {
        name: "group.remote.assignor",
        kind: Kind::String,
        default: "null",
        valid: Valid::NonEmpty,
        meaning: "The coordinator's assignor that this member asks for; the group takes the one that most ask for.",
        set: |c, v| c.remote_assignor = Some(v.text().to_string()),
    },
    Row {
        name: "auto.offset.reset",
        kind: Kind::String,
        default: "latest",
        valid: Valid::OffsetReset,
        meaning: "Where to begin when there is no committed offset, or when it is out of range.",
        set: |c, v| {
            if let Value::OffsetReset(reset) = v {
                c.offset_reset = *reset;
            }
        },
    },
    Row {
        name: "enable.auto.commit",
        kind: Kind::Boolean,
        default: "true",
        valid: Valid::Any,
        meaning: "Whether poll() commits what earlier polls returned.",
        set: |c, v| c.auto_commit = v.boolean(),
    },
    Row {
        name: "auto.commit.interval.ms",
        kind: Kind::Int,
        default: "5000",
        valid: Valid::AtLeast(0),
        meaning: "How much time passes between two automatic commits.",
        set: |c, v| c.auto_commit_interval = v.millis(),
    },
    Row {
        name: "max.poll.records",
        kind: Kind::Int,
        default: "500",
        valid: Valid::AtLeast(1),
        meaning: "How many records one poll() returns at the most.",
        set: |c, v| c.max_poll_records = v.int(),
    },
    Row {
        name: "share.acknowledgement.mode",
        kind: Kind::String,
        default: "implicit",
        valid: Valid::InAnyCase(&["IMPLICIT", "EXPLICIT"]),
        meaning: "Whether a share consumer accepts with a poll what the last one returned, or says of every record what became of it.",
        set: |c, v| c.share_explicit = v.text().eq_ignore_ascii_case("explicit"),
    },
    Row {
        name: "max.poll.interval.ms",
        kind: Kind::Int,
        default: "300000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a poll() the consumer leaves its group.",
        set: |c, v| c.max_poll_interval = v.millis(),
    },
    Row {
        name: "session.timeout.ms",
        kind: Kind::Int,
        default: "45000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a heartbeat the coordinator removes the member.",
        set: |c, v| c.session_timeout = v.millis(),
    },
    Row {
        name: "heartbeat.interval.ms",
        kind: Kind::Int,
        default: "3000",
        valid: Valid::AtLeast(1),
        meaning: "How often the member sends a heartbeat to the coordinator.",
        set: |c, v| c.heartbeat_interval = v.millis(),
    },
    Row {
        name: "fetch.min.bytes",
        kind: Kind::Int,
        default: "1",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes a broker gathers before it answers a fetch.",
        set: |c, v| c.fetch_min_bytes = v.int(),
    },
    Row {
        name: "fetch.max.wait.ms",
        kind: Kind::Int,
        default: "500",
        valid: Valid::AtLeast(0),
        meaning: "How long a broker waits for fetch.min.bytes before it answers with less.",
        set: |c, v| c.fetch_max_wait = v.millis(),
    },
    Row {
        name: "fetch.max.bytes",
        kind: Kind::Int,
        default: "52428800",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes one fetch returns at the most, save that the first batch is always whole.",
        set: |c, v| c.fetch_max_bytes = v.int(),
    },
    Row {
        name: "max.partition.fetch.bytes",
        kind: Kind::Int,
        default: "1048576",
        valid: Valid::AtLeast(0),
        meaning: "How many bytes of one partition a fetch returns at the most, save that the first batch is always whole.",
        set: |c, v| c.max_partition_fetch_bytes = v.int(),
    },
    Row {
        name: "isolation.level",
        kind: Kind::String,
        default: "read_uncommitted",
        valid: Valid::In(&["read_committed", "read_uncommitted"]),
        meaning: "Whether records of open and aborted transactions are returned.",
        set: |c, v| c.read_committed = v.text() == "read_committed",
    },
    Row {
        name: "partition.assignment.strategy",
        kind: Kind::List,
        default: "range,cooperative-sticky",
        valid: Valid::Assignors,
        meaning: "How partitions are shared out in the group: the assignors that this member offers, the preferred one first.",
        set: |c, v| c.assignors = v.list().to_vec(),
    },
    Row {
        name: "group.instance.id",
        kind: Kind::String,
        default: "null",
        valid: Valid::NonEmpty,
        meaning: "Makes the member static: it keeps its partitions over a restart within the session timeout.",
        set: |c, v| c.group_instance_id = Some(v.text().to_string()),
    },
    Row {
        name: "client.rack",
        kind: Kind::String,
        default: "",
        valid: Valid::Any,
        meaning: "Where the consumer runs, so that assignors and brokers can keep traffic in one rack.",
        set: |c, v| c.client_rack = (!v.text().is_empty()).then(|| v.text().to_string()),
    },
    client::request_timeout(|c, v| c.request_timeout = v.millis()),
    Row {
        name: "default.api.timeout.ms",
        kind: Kind::Int,
        default: "60000",
        valid: Valid::AtLeast(0),
        meaning: "How long a call such as commitSync() tries again before it fails.",
        set: |c, v| c.default_api_timeout = v.millis(),
    },
    client::retry_backoff(|c, v| c.retry_backoff = v.millis()),
    client::retry_backoff_max(|c, v| c.retry_backoff_max = v.millis()),
    client::metadata_max_age(|c, v| c.metadata_max_age = v.millis()),
];

impl ConsumerConfig {
    /// What these settings make of a consumer, or every reason why Kafka would not start it.
    pub fn resolve(configs: &Configs) -> Result<ConsumerConfig, Vec<SettingError>> {
        let mut config = ConsumerConfig::default();
        let mut errors = setting::apply(TABLE, Scope::Consumer, &mut config, configs);
        if setting::all_read(&errors) {
            config.cross_check(configs, &mut errors);
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// The same of a share consumer (ShareConsumerConfig).
    pub fn resolve_share(configs: &Configs) -> Result<ConsumerConfig, Vec<SettingError>> {
        let mut config = ConsumerConfig::default();
        let mut errors = setting::apply(TABLE, Scope::Consumer, &mut config, configs);
        let set: Vec<&str> = NOT_FOR_SHARE_GROUPS.into_iter().filter(|name| configs.contains_key(*name)).collect();
        if let Some(first) = set.first() {
            let reason = format!("{} cannot be set when using a share group.", set.join(", "));
            errors.push(setting::refused(first, reason));
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    fn cross_check(&self, configs: &Configs, errors: &mut Vec<SettingError>) {
        if uses_consumer_protocol(configs) {
            // ConsumerConfig.checkUnsupportedConfigsPostProcess
            let set: Vec<&str> = CLASSIC_ONLY.into_iter().filter(|name| configs.contains_key(*name)).collect();
            if let Some(first) = set.first() {
                let reason = format!("{} cannot be set when group.protocol=CONSUMER", set.join(", "));
                errors.push(setting::refused(first, reason));
            }
            return;
        }
        if self.remote_assignor.is_some() {
            // ConsumerConfig.CLASSIC_PROTOCOL_UNSUPPORTED_CONFIGS
            let reason = "group.remote.assignor cannot be set when group.protocol=CLASSIC";
            errors.push(setting::refused("group.remote.assignor", reason));
        }
        if self.heartbeat_interval >= self.session_timeout {
            // Heartbeat's constructor
            let name = if configs.contains_key("heartbeat.interval.ms") {
                "heartbeat.interval.ms"
            } else {
                "session.timeout.ms"
            };
            errors.push(setting::refused(name, "Heartbeat must be set lower than the session timeout"));
        }
    }

    /// Whether these brokers accept the member (ClassicGroup join: INVALID_SESSION_TIMEOUT).
    pub fn check_session(&self, configs: &Configs, broker: &BrokerConfig) -> Result<(), SettingError> {
        let range = broker.group_min_session_timeout..=broker.group_max_session_timeout;
        if uses_consumer_protocol(configs) || range.contains(&self.session_timeout) {
            return Ok(());
        }
        let reason = format!(
            "The session timeout is not within the range allowed by the broker (as configured by \
             group.min.session.timeout.ms and group.max.session.timeout.ms): {} is not in {}..{}.",
            self.session_timeout.millis(),
            broker.group_min_session_timeout.millis(),
            broker.group_max_session_timeout.millis()
        );
        Err(setting::refused("session.timeout.ms", reason))
    }
}

/// Whether a consumer's settings ask for the protocol of KIP-848.
pub fn uses_consumer_protocol(configs: &Configs) -> bool {
    configs.get("group.protocol").is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("consumer"))
}

/// `earliest`, `latest`, `none` or `by_duration:` with an ISO-8601 duration (KIP-1106).
pub(super) fn offset_reset(text: &str) -> Option<OffsetReset> {
    match text {
        "earliest" => Some(OffsetReset::Earliest),
        "latest" => Some(OffsetReset::Latest),
        "none" => Some(OffsetReset::None),
        _ => iso_duration(text.strip_prefix("by_duration:")?).map(OffsetReset::ByDuration),
    }
}

/// Reads a duration as `java.time.Duration.parse` does (`P1DT2H3M4.5S`), without signs.
fn iso_duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    let mut micros: i64 = 0;
    if !days.is_empty() {
        micros = units(days.strip_suffix(['D', 'd'])?, 86_400_000_000)?;
    } else if time.is_empty() {
        return None;
    }
    let mut rest = time;
    for (unit, size) in [('H', 3_600_000_000), ('M', 60_000_000), ('S', 1_000_000)] {
        if let Some(end) = rest.find([unit, unit.to_ascii_lowercase()]) {
            micros = micros.checked_add(units(&rest[..end], size)?)?;
            rest = &rest[end + 1..];
        }
    }
    rest.is_empty().then_some(Duration::from_micros(micros))
}

/// A number of units, with a fraction only of seconds.
fn units(text: &str, size: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (!fraction.is_empty() && size != 1_000_000) {
        return None;
    }
    let micros: i64 = fraction.chars().chain("000000".chars()).take(6).collect::<String>().parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(size)?.checked_add(micros)
}

/// The assignors' names; a class may be written with or without its package.
pub(super) fn assignors(name: &str, items: &[String]) -> Result<Vec<String>, String> {
    if items.is_empty() {
        return Err(format!("Configuration '{name}' must not be empty. Valid values include: any non-empty value"));
    }
    let mut known: Vec<String> = Vec::new();
    for item in items {
        let class = item.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(item);
        let Some((assignor, _)) = ASSIGNORS.iter().find(|(short, long)| item == short || class == *long) else {
            let all = ASSIGNORS.map(|(short, _)| short).join(", ");
            return Err(format!(
                "Invalid value {item} for configuration {name}: Class {item} could not be found. \
                 Kafka's own assignors are {all}."
            ));
        };
        if known.iter().any(|k| k == assignor) {
            return Err(format!("Configuration '{name}' values must not be duplicated."));
        }
        known.push(assignor.to_string());
    }
    Ok(known)
}
