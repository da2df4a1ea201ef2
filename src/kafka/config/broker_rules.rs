//! Which settings of brokers and controllers go together (KafkaConfig.validateValues).

use crate::kafka::config::broker::TABLE;
use crate::kafka::config::setting::{self, Scope, SettingError};
use crate::kafka::config::{BrokerConfig, Configs, ShareConfig};
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
        self.check_group_times(&mut require);
        self.check_share_groups(&mut require);
        require(
            self.topic_defaults.min_compaction_lag <= self.topic_defaults.max_compaction_lag,
            &["log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
            "conflict topic config setting min.compaction.lag.ms > max.compaction.lag.ms",
        );
    }

    /// GroupCoordinatorConfig.validate, what concerns consumer groups and share groups.
    fn check_group_times(&self, require: &mut impl FnMut(bool, &[&str], &str)) {
        let ShareConfig {
            session_timeout,
            min_session_timeout,
            max_session_timeout,
            heartbeat_interval,
            min_heartbeat_interval,
            max_heartbeat_interval,
            ..
        } = self.share;
        let session = [
            self.group_consumer_session_timeout,
            self.group_consumer_min_session_timeout,
            self.group_consumer_max_session_timeout,
        ];
        let heartbeat = [
            self.group_consumer_heartbeat_interval,
            self.group_consumer_min_heartbeat_interval,
            self.group_consumer_max_heartbeat_interval,
        ];
        let share_session = [session_timeout, min_session_timeout, max_session_timeout];
        let share_heartbeat = [heartbeat_interval, min_heartbeat_interval, max_heartbeat_interval];
        for (kind, heartbeat, session) in [("consumer", heartbeat, session), ("share", share_heartbeat, share_session)]
        {
            check_bounds(require, kind, "heartbeat.interval.ms", heartbeat);
            check_bounds(require, kind, "session.timeout.ms", session);
            let names = [format!("group.{kind}.heartbeat.interval.ms"), format!("group.{kind}.session.timeout.ms")];
            let reason = format!("{} must be less than {}", names[0], names[1]);
            require(heartbeat[0] < session[0], &[&names[0], &names[1]], &reason);
        }
    }

    /// ShareGroupConfig.validate.
    fn check_share_groups(&self, require: &mut impl FnMut(bool, &[&str], &str)) {
        let ShareConfig { record_lock_duration, min_record_lock_duration, max_record_lock_duration, .. } = self.share;
        let lock = [record_lock_duration, min_record_lock_duration, max_record_lock_duration];
        check_bounds(require, "share", "record.lock.duration.ms", lock);
        const SESSIONS: &str = "group.share.max.share.sessions";
        const SIZE: &str = "group.share.max.size";
        let reason = format!("{SESSIONS} must be greater than or equal to {SIZE}");
        require(self.share.max_share_sessions >= self.share.max_size, &[SESSIONS, SIZE], &reason);
    }
}

/// A setting of groups lies between its least and its greatest value.
fn check_bounds(
    require: &mut impl FnMut(bool, &[&str], &str),
    kind: &str,
    setting: &str,
    [value, least, most]: [Duration; 3],
) {
    let name = format!("group.{kind}.{setting}");
    let (lower, upper) = (format!("group.{kind}.min.{setting}"), format!("group.{kind}.max.{setting}"));
    require(most >= least, &[&upper, &lower], &format!("{upper} must be greater than or equal to {lower}"));
    require(value >= least, &[&name, &lower], &format!("{name} must be greater than or equal to {lower}"));
    require(value <= most, &[&name, &upper], &format!("{name} must be less than or equal to {upper}"));
}
