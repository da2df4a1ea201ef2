//! Broker settings that change while the brokers run, for one broker or for all of them
//! (DynamicBrokerConfig, KIP-226).

use crate::kafka::config::setting::{self, Configs, Scope, SettingError, names, refused};
use crate::kafka::config::{BrokerConfig, broker};

/// What may change: the defaults of topics' settings (DynamicLogConfig), and the throttle.
const DYNAMIC: &[&str] = &[
    FOLLOWER_THROTTLED_RATE,
    LEADER_THROTTLED_RATE,
    "log.cleaner.delete.retention.ms",
    "log.cleaner.max.compaction.lag.ms",
    "log.cleaner.min.cleanable.ratio",
    "log.cleaner.min.compaction.lag.ms",
    "log.cleanup.policy",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.index.interval.bytes",
    "log.index.size.max.bytes",
    "log.message.timestamp.after.max.ms",
    "log.message.timestamp.before.max.ms",
    "log.message.timestamp.type",
    "log.retention.bytes",
    "log.retention.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "unclean.leader.election.enable",
];

/// What exists only while the brokers run (DynamicConfig.Broker): bytes a second.
pub const LEADER_THROTTLED_RATE: &str = "leader.replication.throttled.rate";
pub const FOLLOWER_THROTTLED_RATE: &str = "follower.replication.throttled.rate";
const RATES: [&str; 2] = [FOLLOWER_THROTTLED_RATE, LEADER_THROTTLED_RATE];

/// The settings that `alter broker` can change, in order.
pub fn dynamic_names() -> &'static [&'static str] {
    DYNAMIC
}

/// Whether brokers can take on these settings while they run: every reason why not.
pub fn validate_dynamic_configs(configs: &Configs) -> Vec<SettingError> {
    let mut config = BrokerConfig::default();
    let mut rest = configs.clone();
    let rates = RATES.into_iter().filter_map(|name| Some((name, rest.remove(name)?)));
    let mut errors: Vec<SettingError> = rates.filter_map(|(name, rate)| invalid_rate(name, &rate)).collect();
    let known = names(Scope::Broker);
    let is_fixed = |name: &str| known.contains(&name) && !DYNAMIC.contains(&name);
    let fixed = rest.keys().filter(|name| is_fixed(name));
    errors.extend(fixed.map(|name| refused(name, format!("Cannot update these configs dynamically: Set({name})"))));
    rest.retain(|name, _| !is_fixed(name));
    errors.extend(setting::apply(broker::TABLE, Scope::Broker, &mut config, &rest));
    errors
}

fn invalid_rate(name: &str, rate: &str) -> Option<SettingError> {
    let why = match rate.trim().parse::<i64>() {
        Ok(0..) => return None,
        Ok(_) => "Value must be at least 0",
        Err(_) => "Not a number of type LONG",
    };
    let message = format!("Invalid value {rate} for configuration {name}: {why}");
    Some(refused(name, message))
}

impl BrokerConfig {
    /// As the file says, with what was changed since: of two values of one setting the later counts.
    pub fn with_dynamic<'a>(&self, changes: impl Iterator<Item = (&'a str, &'a str)>) -> BrokerConfig {
        let changes: Configs = changes
            .filter(|(name, _)| DYNAMIC.contains(name) && !RATES.contains(name))
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let mut config = self.clone();
        // What is not valid was refused when somebody tried to set it.
        setting::apply(broker::TABLE, Scope::Broker, &mut config, &changes);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, value: &str) -> Vec<String> {
        let configs = Configs::from([(name.to_string(), value.to_string())]);
        validate_dynamic_configs(&configs).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_dynamic_setting_is_one_of_a_broker() {
        let known = names(Scope::Broker);
        assert!(DYNAMIC.iter().all(|name| known.contains(name) || RATES.contains(name)));
    }

    #[test]
    fn what_is_read_at_the_start_only_cannot_be_changed_later() {
        assert_eq!(errors("min.insync.replicas", "2"), Vec::<String>::new());
        let fixed = "Cannot update these configs dynamically: Set(broker.session.timeout.ms)";
        assert_eq!(errors("broker.session.timeout.ms", "1000"), [fixed]);
        let refused = "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1";
        assert_eq!(errors("min.insync.replicas", "0"), [refused]);
    }

    #[test]
    fn the_rate_of_throttled_replication_exists_only_while_brokers_run() {
        assert_eq!(errors(LEADER_THROTTLED_RATE, "1000"), Vec::<String>::new());
        let refused = "Invalid value -1 for configuration leader.replication.throttled.rate: Value must be at least 0";
        assert_eq!(errors(LEADER_THROTTLED_RATE, "-1"), [refused]);
        let configs = Configs::from([(LEADER_THROTTLED_RATE.to_string(), "1".to_string())]);
        assert!(BrokerConfig::resolve(&configs).is_err());
    }

    #[test]
    fn a_change_goes_before_the_file_and_the_brokers_own_before_the_clusters() {
        let file = BrokerConfig::default();
        let changes = [("min.insync.replicas", "2"), ("num.partitions", "9"), ("min.insync.replicas", "3")];
        let config = file.with_dynamic(changes.into_iter());
        assert_eq!((config.topic_defaults.min_insync_replicas, config.num_partitions), (3, file.num_partitions));
    }
}
