//! Which settings of brokers and controllers go together (KafkaConfig.validateValues).

use crate::kafka::config::broker::TABLE;
use crate::kafka::config::setting::{self, Scope, SettingError};
use crate::kafka::config::{BrokerConfig, Configs};
use crate::time::Duration;

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
        self.check_consumer_groups(&mut require);
        require(
            self.topic_defaults.min_compaction_lag <= self.topic_defaults.max_compaction_lag,
            &["log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
            "conflict topic config setting min.compaction.lag.ms > max.compaction.lag.ms",
        );
    }

    /// GroupCoordinatorConfig.validate, what concerns consumer groups.
    fn check_consumer_groups(&self, require: &mut impl FnMut(bool, &[&str], &str)) {
        const HEARTBEAT: &str = "group.consumer.heartbeat.interval.ms";
        const SESSION: &str = "group.consumer.session.timeout.ms";
        let mut bounds = |value: Duration, name: &str, least: Duration, most: Duration, [lower, upper]: [&str; 2]| {
            let above = format!("{upper} must be greater than or equal to {lower}");
            require(most >= least, &[upper, lower], &above);
            require(value >= least, &[name, lower], &format!("{name} must be greater than or equal to {lower}"));
            require(value <= most, &[name, upper], &format!("{name} must be less than or equal to {upper}"));
        };
        bounds(
            self.group_consumer_heartbeat_interval,
            HEARTBEAT,
            self.group_consumer_min_heartbeat_interval,
            self.group_consumer_max_heartbeat_interval,
            ["group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"],
        );
        bounds(
            self.group_consumer_session_timeout,
            SESSION,
            self.group_consumer_min_session_timeout,
            self.group_consumer_max_session_timeout,
            ["group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"],
        );
        require(
            self.group_consumer_heartbeat_interval < self.group_consumer_session_timeout,
            &[HEARTBEAT, SESSION],
            &format!("{HEARTBEAT} must be less than {SESSION}"),
        );
    }
}
