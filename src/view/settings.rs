//! The settings that forms offer: every one that is simulated, with Kafka's name, default and meaning.

use crate::history::History;
use crate::kafka::config::consumer::NOT_FOR_SHARE_GROUPS;
use crate::kafka::config::dynamic::LEADER_THROTTLED_RATE;
use crate::kafka::config::{Scope, SettingInfo, dynamic_names, settings};
use crate::wire::{BrokerId, GroupId, str_bytes, topic_name};

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Topic,
    /// Those that every broker starts with.
    Cluster,
    /// Those that change while the broker runs (KIP-226).
    Broker,
    Producer,
    Consumer,
    ShareConsumer,
    Stream,
    /// Those of one group (KIP-848, KIP-932).
    Group,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SettingRow {
    pub name: &'static str,
    pub default: &'static str,
    /// As Kafka's documentation writes them.
    pub valid: String,
    /// The values to choose from, where there are only a few.
    pub choices: Vec<String>,
    pub meaning: &'static str,
}

/// All settings of a kind, in the order of Kafka's tables.
pub fn of(of: Of) -> Vec<SettingRow> {
    let scope = match of {
        Of::Topic => Scope::Topic,
        Of::Cluster | Of::Broker => Scope::Broker,
        Of::Producer => Scope::Producer,
        Of::Consumer | Of::ShareConsumer => Scope::Consumer,
        Of::Stream => Scope::Stream,
        Of::Group => Scope::Group,
    };
    let changes = |info: &SettingInfo| match of {
        Of::Broker => dynamic_names().contains(&info.name),
        Of::ShareConsumer => !NOT_FOR_SHARE_GROUPS.contains(&info.name),
        _ => true,
    };
    let mut rows: Vec<SettingRow> = settings(scope).into_iter().filter(changes).map(row).collect();
    if of == Of::Broker {
        rows.push(THROTTLE);
    }
    rows
}

/// The one setting of brokers that no file has (DynamicConfig.Broker).
const THROTTLE: SettingRow = SettingRow {
    name: LEADER_THROTTLED_RATE,
    default: "9223372036854775807",
    valid: String::new(),
    choices: Vec::new(),
    meaning: "How many bytes a second of throttled replicas a leader sends to followers outside the in-sync set.",
};

fn row(info: SettingInfo) -> SettingRow {
    let listed = info.valid.trim_start_matches("(case insensitive) ").trim_matches(['[', ']']);
    let choices: Vec<String> = match info.kind {
        "BOOLEAN" => vec!["true".to_string(), "false".to_string()],
        "STRING" if info.valid.contains(", ") && !info.valid.contains(':') => {
            listed.split(", ").map(str::to_string).collect()
        }
        _ => Vec::new(),
    };
    SettingRow { name: info.name, default: info.default, valid: info.valid, choices, meaning: info.meaning }
}

/// What a topic's own settings are now, by name.
pub fn of_topic(history: &History, topic: &str) -> Vec<(String, String)> {
    let topic = history.world().image().topics.get(&topic_name(topic));
    let configs = topic.into_iter().flat_map(|topic| &topic.configs);
    configs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// What a broker's own dynamic settings are now, by name.
pub fn of_broker(history: &History, broker: i32) -> Vec<(String, String)> {
    let configs = history.world().image().broker_configs.get(&BrokerId(broker));
    let configs = configs.into_iter().flatten();
    configs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// What a group's own settings are now, by name.
pub fn of_group(history: &History, group: &str) -> Vec<(String, String)> {
    let group = GroupId(str_bytes(group));
    let image = history.world().image();
    image.group_config(&group).map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_name_a_default_and_a_meaning() {
        const ALL: [Of; 8] =
            [Of::Topic, Of::Cluster, Of::Broker, Of::Producer, Of::Consumer, Of::ShareConsumer, Of::Stream, Of::Group];
        for of in ALL {
            let rows = super::of(of);
            assert!(rows.len() > 6, "{of:?} has {}", rows.len());
            assert!(rows.iter().all(|row| !row.name.is_empty() && row.meaning.ends_with('.')), "{of:?}");
        }
    }

    #[test]
    fn a_setting_with_few_values_offers_them() {
        let choices = |of_: Of, name: &str| {
            let row = super::of(of_).into_iter().find(|row| row.name == name);
            row.unwrap_or_else(|| panic!("there is no {name}")).choices
        };
        assert_eq!(choices(Of::Topic, "unclean.leader.election.enable"), ["true", "false"]);
        assert_eq!(choices(Of::Topic, "message.timestamp.type"), ["CreateTime", "LogAppendTime"]);
        assert_eq!(choices(Of::Producer, "acks"), ["all", "-1", "0", "1"]);
        assert!(choices(Of::Topic, "retention.ms").is_empty());
        assert_eq!(choices(Of::Stream, "kafka.isolation.level"), ["read_committed", "read_uncommitted"]);
        assert!(choices(Of::Stream, "startingOffsets").is_empty(), "JSON may be written too");
        assert!(choices(Of::Consumer, "auto.offset.reset").is_empty(), "a duration may be written too");
    }
}
