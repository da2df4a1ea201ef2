//! What consumers put into the opaque bytes of a group (ConsumerProtocol): the coordinator looks
//! only to know which topics a group still reads, the page to show who has what.

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::Decodable;

use crate::wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::wire::{TopicName, TopicPartition};

/// The protocol type of consumers.
pub const CONSUMER: &str = "consumer";

/// The topics of a member's subscription; `None` when the bytes are not a subscription.
pub fn subscribed_topics(metadata: &Bytes) -> Option<Vec<TopicName>> {
    let mut bytes = metadata.clone();
    let version = bytes.try_get_i16().ok().filter(|v| *v >= 0)?.min(3);
    let subscription = ConsumerProtocolSubscription::decode(&mut bytes, version).ok()?;
    Some(subscription.topics.into_iter().map(TopicName).collect())
}

/// The partitions of a member's assignment; none when the bytes are not an assignment.
pub fn assigned_partitions(assignment: &Bytes) -> Vec<TopicPartition> {
    let mut bytes = assignment.clone();
    let Some(version) = bytes.try_get_i16().ok().filter(|v| *v >= 0) else {
        return Vec::new();
    };
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut bytes, version.min(3)) else {
        return Vec::new();
    };
    let topics = assignment.assigned_partitions.into_iter();
    topics.flat_map(|t| t.partitions.into_iter().map(move |p| TopicPartition::new(t.topic.clone(), p))).collect()
}
