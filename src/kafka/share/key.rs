//! Which group reads which partition (SharePartitionKey).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::wire::{GroupId, StrBytes, Uuid};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharePartitionKey {
    pub group: GroupId,
    pub topic: Uuid,
    pub partition: i32,
}

impl SharePartitionKey {
    /// What FIND_COORDINATOR is asked, and what the partition of `__share_group_state` is computed from.
    pub fn as_coordinator_key(&self) -> StrBytes {
        StrBytes::from_string(self.to_string())
    }

    /// Whether the text could be such a key (SharePartitionKey.validate).
    pub fn is_valid(text: &str) -> bool {
        let parts: Vec<&str> = text.split(':').collect();
        let [group, topic, partition] = parts.as_slice() else { return false };
        let topic = URL_SAFE_NO_PAD.decode(topic).is_ok_and(|bytes| bytes.len() == 16);
        !group.trim().is_empty() && topic && partition.parse::<i32>().is_ok()
    }
}

/// `group:topic:partition`, the topic's id in Kafka's own way of writing it.
impl fmt::Display for SharePartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group.0, URL_SAFE_NO_PAD.encode(self.topic.as_bytes()), self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::str_bytes;

    #[test]
    fn a_key_is_written_as_kafka_writes_it() {
        let topic = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0ffb);
        let key = SharePartitionKey { group: GroupId(str_bytes("jobs")), topic, partition: 3 };
        assert_eq!(key.to_string(), "jobs:AQIDBAUGBwgJCgsMDQ4P-w:3");
        assert!(SharePartitionKey::is_valid(&key.to_string()));
        for text in ["", "jobs", "jobs:AQIDBAUGBwgJCgsMDQ4P-w", ":AQIDBAUGBwgJCgsMDQ4P-w:3", "jobs:x:3"] {
            assert!(!SharePartitionKey::is_valid(text), "{text}");
        }
    }
}
