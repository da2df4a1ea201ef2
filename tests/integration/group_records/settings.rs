//! The settings that a recorded test runs with.

use highwater::kafka::config::BrokerConfig;
use highwater::time::Duration;
use serde_json::Value;

use super::text;

/// And whether its only assignor is one that assigns nothing.
pub fn config_of(case: &Value) -> Result<(BrokerConfig, bool), String> {
    let mut config = BrokerConfig {
        group_min_session_timeout: Duration::ZERO,
        group_initial_rebalance_delay: Duration::from_millis(
            case["initial_rebalance_delay_ms"].as_i64().unwrap_or(3_000),
        ),
        offsets_retention_check_interval: Duration::from_millis(i64::MAX / 100_000),
        offsets_topic_num_partitions: 1,
        // The tests disable what they do not ask for.
        group_consumer_migration_policy: "disabled".to_string(),
        ..BrokerConfig::default()
    };
    let mut no_op = false;
    for (name, value) in case["config"].as_object().into_iter().flatten() {
        let number = || text(value).parse().map_err(|_| format!("{name} is no number"));
        match name.as_str() {
            "group.consumer.migration.policy" => config.group_consumer_migration_policy = text(value).to_string(),
            "group.max.size" => config.group_max_size = number()?,
            "group.share.max.size" => config.share.max_size = number()?,
            "group.consumer.max.size" => config.group_consumer_max_size = number()?,
            "group.consumer.session.timeout.ms" => {
                config.group_consumer_session_timeout = Duration::from_millis(number()?.into());
            }
            "group.consumer.heartbeat.interval.ms" => {
                config.group_consumer_heartbeat_interval = Duration::from_millis(number()?.into());
            }
            "group.consumer.assignors" => no_op = text(value).contains("NoOpPartitionAssignor"),
            "group.share.initialize.retry.interval.ms" => {
                config.share.initialize_retry_interval = Duration::from_millis(number()?.into());
            }
            // It bounds the interval before, and no step takes that long.
            "offsets.commit.timeout.ms" => {}
            "group.initial.rebalance.delay.ms" => {
                config.group_initial_rebalance_delay = Duration::from_millis(number()?.into());
            }
            // Patterns are resolved by the test itself.
            "group.consumer.regex.refresh.interval.ms" => {}
            other => return Err(format!("unknown setting {other}")),
        }
    }
    Ok((config, no_op))
}
