//! What consumers put into the opaque bytes of a group (ConsumerProtocol): the coordinator looks
//! only to know which topics a group still reads, the page to show who has what.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::wire::messages::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use crate::wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::wire::{TopicName, TopicPartition};

/// The protocol type of consumers.
pub const CONSUMER: &str = "consumer";

/// The version that stands before the bytes; 0 when nothing does.
pub fn version(bytes: &Bytes) -> i16 {
    bytes.clone().try_get_i16().unwrap_or_default()
}

/// What a member subscribes to; `None` when the bytes are not a subscription.
pub fn subscription(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let mut bytes = metadata.clone();
    let version = bytes.try_get_i16().ok().filter(|v| *v >= 0)?.min(3);
    ConsumerProtocolSubscription::decode(&mut bytes, version).ok()
}

/// A member's assignment; `None` when the bytes are none.
pub fn assignment(assignment: &Bytes) -> Option<ConsumerProtocolAssignment> {
    let mut bytes = assignment.clone();
    let version = bytes.try_get_i16().ok().filter(|v| *v >= 0)?.min(3);
    ConsumerProtocolAssignment::decode(&mut bytes, version).ok()
}

/// An assignment of these partitions, which are in order, as a client of that version reads it.
pub fn encode_assignment(partitions: &[TopicPartition], version: i16) -> Bytes {
    let mut topics: Vec<AssignedTopic> = Vec::new();
    for partition in partitions {
        match topics.last_mut().filter(|topic| topic.topic == partition.topic) {
            Some(topic) => topic.partitions.push(partition.partition),
            None => topics.push(
                AssignedTopic::default().with_topic(partition.topic.clone()).with_partitions(vec![partition.partition]),
            ),
        }
    }
    let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(topics);
    let version = version.clamp(0, 3);
    let mut out = BytesMut::new();
    out.put_i16(version);
    // Its fields are the same in all these versions.
    assignment.encode(&mut out, version).expect("an assignment encodes in every version of the protocol");
    out.freeze()
}

/// The topics of a member's subscription; `None` when the bytes are not a subscription.
pub fn subscribed_topics(metadata: &Bytes) -> Option<Vec<TopicName>> {
    Some(subscription(metadata)?.topics.into_iter().map(TopicName).collect())
}

/// The partitions of a member's assignment; none when the bytes are not an assignment.
pub fn assigned_partitions(bytes: &Bytes) -> Vec<TopicPartition> {
    let topics = assignment(bytes).unwrap_or_default().assigned_partitions.into_iter();
    topics.flat_map(|t| t.partitions.into_iter().map(move |p| TopicPartition::new(t.topic.clone(), p))).collect()
}
