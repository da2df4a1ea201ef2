//! What Kafka says of the names of topics (its class Topic).

use crate::wire::TopicPartition;

/// Where committed offsets and groups are kept (Topic.GROUP_METADATA_TOPIC_NAME).
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Where transactions are kept (Topic.TRANSACTION_STATE_TOPIC_NAME).
pub const TRANSACTION_TOPIC: &str = "__transaction_state";
/// Where it is kept what became of the records that share groups read (Topic.SHARE_GROUP_STATE_TOPIC_NAME).
pub const SHARE_STATE_TOPIC: &str = "__share_group_state";
/// The controllers' own log (Topic.CLUSTER_METADATA_TOPIC_NAME). It is no topic that could be asked for.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// Topic.MAX_NAME_LENGTH.
const MAX_NAME_LENGTH: usize = 249;

/// Whether a topic is one of Kafka's own, which it makes when they are needed (Topic.isInternal). A name that
/// merely begins with underscores is anybody's.
pub fn is_internal_topic(name: &str) -> bool {
    matches!(name, OFFSETS_TOPIC | TRANSACTION_TOPIC | SHARE_STATE_TOPIC)
}

/// Whether a topic may have this name; if not, why (Topic.validate).
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_string()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.chars().count() > MAX_NAME_LENGTH {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}")
    } else if !name.chars().all(is_legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {why}"))
}

impl TopicPartition {
    /// Whether it is a partition of one of Kafka's own topics.
    pub fn is_internal(&self) -> bool {
        is_internal_topic(self.topic.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kafka_does() {
        assert!(["orders", "a.b_c-D9", "...", "__mine"].iter().all(|name| validate_topic_name(name).is_ok()));
        let why = |name: &str| validate_topic_name(name).unwrap_err();
        assert_eq!(why(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(why(".."), "Topic name is invalid: '..' is not allowed");
        assert!(why("ördrs").starts_with("Topic name is invalid: 'ördrs' contains"));
        assert!(validate_topic_name(&"a".repeat(249)).is_ok());
        assert!(why(&"a".repeat(250)).ends_with("is longer than the max allowed length 249"));
    }

    #[test]
    fn only_kafkas_own_topics_are_internal() {
        assert!(TopicPartition::named("__consumer_offsets", 7).is_internal());
        assert!(!TopicPartition::named("__mine", 0).is_internal());
        assert!(!is_internal_topic(METADATA_TOPIC), "nobody can ask for it");
    }
}
