//! Settings of one group, which change while the cluster runs (GroupConfig): a group that has none of
//! its own goes by the brokers'.

use crate::kafka::config::setting::{self, Kind, Scope, Setting, SettingError, Valid, Value, refused};
use crate::kafka::config::{BrokerConfig, Configs, OffsetReset};
use crate::time::Duration;

type Row = Setting<GroupConfig>;

#[derive(Clone, Debug, PartialEq)]
pub struct GroupConfig {
    /// `consumer.session.timeout.ms`
    pub consumer_session_timeout: Duration,
    /// `consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval: Duration,
    /// `share.session.timeout.ms`
    pub share_session_timeout: Duration,
    /// `share.heartbeat.interval.ms`
    pub share_heartbeat_interval: Duration,
    /// `share.record.lock.duration.ms`
    pub share_record_lock_duration: Duration,
    /// `share.auto.offset.reset`: where the group begins to read a partition; never `None`.
    pub share_offset_reset: OffsetReset,
    /// `share.isolation.level` = read_committed
    pub share_read_committed: bool,
}

pub static TABLE: &[Row] = &[
    Row {
        name: "consumer.session.timeout.ms",
        kind: Kind::Int,
        default: "45000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a heartbeat the coordinator removes a member of this consumer group.",
        set: |c, v| c.consumer_session_timeout = v.millis(),
    },
    Row {
        name: "consumer.heartbeat.interval.ms",
        kind: Kind::Int,
        default: "5000",
        valid: Valid::AtLeast(1),
        meaning: "How often the coordinator asks members of this consumer group for a heartbeat.",
        set: |c, v| c.consumer_heartbeat_interval = v.millis(),
    },
    Row {
        name: "share.session.timeout.ms",
        kind: Kind::Int,
        default: "45000",
        valid: Valid::AtLeast(1),
        meaning: "After how long without a heartbeat the coordinator removes a member of this share group.",
        set: |c, v| c.share_session_timeout = v.millis(),
    },
    Row {
        name: "share.heartbeat.interval.ms",
        kind: Kind::Int,
        default: "5000",
        valid: Valid::AtLeast(1),
        meaning: "How often the coordinator asks members of this share group for a heartbeat.",
        set: |c, v| c.share_heartbeat_interval = v.millis(),
    },
    Row {
        name: "share.record.lock.duration.ms",
        kind: Kind::Int,
        default: "30000",
        valid: Valid::AtLeast(1_000),
        meaning: "How long a record that was handed out is kept from the other members of this share group.",
        set: |c, v| c.share_record_lock_duration = v.millis(),
    },
    Row {
        name: "share.auto.offset.reset",
        kind: Kind::String,
        default: "latest",
        valid: Valid::ShareOffsetReset,
        meaning: "Where the share group begins with a partition that it has not read yet.",
        set: |c, v| {
            if let Value::OffsetReset(reset) = v {
                c.share_offset_reset = *reset;
            }
        },
    },
    Row {
        name: "share.isolation.level",
        kind: Kind::String,
        default: "read_uncommitted",
        valid: Valid::In(&["read_committed", "read_uncommitted"]),
        meaning: "Whether the share group passes over records of transactions that were aborted.",
        set: |c, v| c.share_read_committed = v.text() == "read_committed",
    },
];

impl GroupConfig {
    /// What a group without settings of its own goes by.
    pub fn new(broker: &BrokerConfig) -> GroupConfig {
        GroupConfig {
            consumer_session_timeout: broker.group_consumer_session_timeout,
            consumer_heartbeat_interval: broker.group_consumer_heartbeat_interval,
            share_session_timeout: broker.share.session_timeout,
            share_heartbeat_interval: broker.share.heartbeat_interval,
            share_record_lock_duration: broker.share.record_lock_duration,
            share_offset_reset: OffsetReset::Latest,
            share_read_committed: false,
        }
    }

    /// The same with a group's own settings. What is not valid was refused when somebody tried to set it.
    pub fn with<'a>(&self, own: impl Iterator<Item = (&'a str, &'a str)>) -> GroupConfig {
        let mut config = self.clone();
        let own: Configs = own.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        if !own.is_empty() {
            setting::apply(TABLE, Scope::Group, &mut config, &own);
        }
        config
    }
}

/// Whether a group may have these settings (GroupConfig.validate): every reason why not.
pub fn validate_group_configs(broker: &BrokerConfig, configs: &Configs) -> Vec<SettingError> {
    let mut config = GroupConfig::new(broker);
    let mut errors = setting::apply(TABLE, Scope::Group, &mut config, configs);
    if !setting::all_read(&errors) {
        return errors;
    }
    let share = &broker.share;
    let bounds = [
        (
            "consumer.heartbeat.interval.ms",
            config.consumer_heartbeat_interval,
            [broker.group_consumer_min_heartbeat_interval, broker.group_consumer_max_heartbeat_interval],
        ),
        (
            "consumer.session.timeout.ms",
            config.consumer_session_timeout,
            [broker.group_consumer_min_session_timeout, broker.group_consumer_max_session_timeout],
        ),
        (
            "share.heartbeat.interval.ms",
            config.share_heartbeat_interval,
            [share.min_heartbeat_interval, share.max_heartbeat_interval],
        ),
        (
            "share.session.timeout.ms",
            config.share_session_timeout,
            [share.min_session_timeout, share.max_session_timeout],
        ),
        (
            "share.record.lock.duration.ms",
            config.share_record_lock_duration,
            [share.min_record_lock_duration, share.max_record_lock_duration],
        ),
    ];
    for (name, value, [least, most]) in bounds {
        let (kind, setting) = name.split_once('.').unwrap_or((name, ""));
        if value < least {
            let reason = format!("{name} must be greater than or equal to group.{kind}.min.{setting}");
            errors.push(refused(name, reason));
        } else if value > most {
            errors.push(refused(name, format!("{name} must be less than or equal to group.{kind}.max.{setting}")));
        }
    }
    for (kind, session, heartbeat) in [
        ("consumer", config.consumer_session_timeout, config.consumer_heartbeat_interval),
        ("share", config.share_session_timeout, config.share_heartbeat_interval),
    ] {
        if session <= heartbeat {
            let name = format!("{kind}.session.timeout.ms");
            errors.push(refused(&name, format!("{name} must be greater than {kind}.heartbeat.interval.ms")));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, value: &str) -> Vec<String> {
        let configs = Configs::from([(name.to_string(), value.to_string())]);
        validate_group_configs(&BrokerConfig::default(), &configs).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_group_may_have_the_brokers_bound() {
        assert_eq!(errors("share.session.timeout.ms", "50000"), Vec::<String>::new());
        let low = "share.session.timeout.ms must be greater than or equal to group.share.min.session.timeout.ms";
        assert_eq!(errors("share.session.timeout.ms", "10000"), [low]);
        let high =
            "share.record.lock.duration.ms must be less than or equal to group.share.max.record.lock.duration.ms";
        assert_eq!(errors("share.record.lock.duration.ms", "60001"), [high]);
        assert_eq!(errors("share.nothing", "1"), ["Unknown group config name: share.nothing"]);
        assert_eq!(errors("share.auto.offset.reset", "by_duration:PT1H"), Vec::<String>::new());
        assert_eq!(errors("share.auto.offset.reset", "none").len(), 1);
    }

    #[test]
    fn a_groups_own_settings_go_before_the_brokers() {
        let defaults = GroupConfig::new(&BrokerConfig::default());
        let own = [("share.auto.offset.reset", "earliest"), ("share.isolation.level", "read_committed")];
        let config = defaults.with(own.into_iter());
        assert_eq!((config.share_offset_reset, config.share_read_committed), (OffsetReset::Earliest, true));
        assert_eq!(config.share_session_timeout, defaults.share_session_timeout);
    }
}
