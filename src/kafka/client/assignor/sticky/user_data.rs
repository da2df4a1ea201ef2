//! What the two assignors leave with a member between rebalances, as Kafka writes it into the
//! subscription's user data: the leader may be another member next time.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::client::assignor::Assignor;
use crate::sorted::SortedMap;
use crate::wire::{StrBytes, TopicName, TopicPartition};

/// What a member remembers of the last assignment that an assignor made (`onAssignment`).
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    pub partitions: Vec<TopicPartition>,
    /// The group's generation then; the earliest format of StickyAssignor has none.
    pub generation: Option<i32>,
}

/// AbstractStickyAssignor.DEFAULT_GENERATION: that of a member that knows none.
pub(super) const NO_GENERATION: i32 = -1;

impl Memory {
    /// `subscriptionUserData`; range and round-robin remember nothing. StickyAssignor is silent
    /// until it has assigned, CooperativeStickyAssignor tells its generation from the start.
    pub fn user_data(assignor: Assignor, memory: Option<&Memory>) -> Option<Bytes> {
        match assignor {
            Assignor::Range | Assignor::RoundRobin => None,
            Assignor::Sticky => memory.map(Memory::encode),
            Assignor::CooperativeSticky => {
                let generation = memory.and_then(|m| m.generation).unwrap_or(NO_GENERATION);
                Some(Bytes::copy_from_slice(&generation.to_be_bytes()))
            }
        }
    }

    /// StickyAssignor's user data: the topics with their partitions, then the generation.
    pub fn encode(&self) -> Bytes {
        let mut topics: SortedMap<&TopicName, Vec<i32>> = SortedMap::new();
        for partition in &self.partitions {
            topics.entry(&partition.topic).or_default().push(partition.partition);
        }
        let mut buffer = BytesMut::new();
        buffer.put_i32(topics.len() as i32);
        for (topic, partitions) in topics {
            buffer.put_i16(topic.0.len() as i16);
            buffer.put_slice(topic.0.as_bytes());
            buffer.put_i32(partitions.len() as i32);
            partitions.into_iter().for_each(|partition| buffer.put_i32(partition));
        }
        if let Some(generation) = self.generation {
            buffer.put_i32(generation);
        }
        buffer.freeze()
    }

    /// Without the generation at the end it is the earlier format; what does not read at all
    /// counts as nothing held.
    pub(super) fn decode(user_data: &Bytes) -> Memory {
        let mut rest = user_data.clone();
        match read_topics(&mut rest) {
            Some(partitions) => Memory { partitions, generation: rest.try_get_i32().ok() },
            None => Memory { partitions: Vec::new(), generation: Some(NO_GENERATION) },
        }
    }
}

/// CooperativeStickyAssignor's user data is the generation alone.
pub(super) fn cooperative_generation(mut user_data: Bytes) -> i32 {
    user_data.try_get_i32().unwrap_or(NO_GENERATION)
}

fn read_topics(rest: &mut Bytes) -> Option<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    for _ in 0..rest.try_get_i32().ok()? {
        let length = usize::try_from(rest.try_get_i16().ok()?).ok()?;
        if rest.len() < length {
            return None;
        }
        let name = TopicName(StrBytes::try_from(rest.split_to(length)).ok()?);
        for _ in 0..rest.try_get_i32().ok()? {
            partitions.push(TopicPartition::new(name.clone(), rest.try_get_i32().ok()?));
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(generation: Option<i32>) -> Memory {
        let partitions = vec![TopicPartition::named("clicks", 3), TopicPartition::named("orders", 0)];
        Memory { partitions, generation }
    }

    #[test]
    fn both_formats_of_the_sticky_assignor_are_read() {
        for generation in [Some(7), None] {
            assert_eq!(Memory::decode(&held(generation).encode()), held(generation));
        }
    }

    #[test]
    fn what_does_not_read_counts_as_nothing_held() {
        let nothing = Memory { partitions: Vec::new(), generation: Some(NO_GENERATION) };
        for bad in [&[0_u8, 0][..], &[0, 0, 0, 1, 0, 9, b'x'], &[0, 0, 0, 1, 255, 255]] {
            assert_eq!(Memory::decode(&Bytes::copy_from_slice(bad)), nothing);
        }
        assert_eq!(cooperative_generation(Bytes::from_static(&[1])), NO_GENERATION);
    }

    #[test]
    fn only_the_cooperative_assignor_speaks_before_it_has_assigned() {
        assert_eq!(Memory::user_data(Assignor::Range, Some(&held(Some(1)))), None);
        assert_eq!(Memory::user_data(Assignor::Sticky, None), None);
        let told = Memory::user_data(Assignor::CooperativeSticky, None).unwrap();
        assert_eq!(cooperative_generation(told), NO_GENERATION);
        let told = Memory::user_data(Assignor::CooperativeSticky, Some(&held(Some(4)))).unwrap();
        assert_eq!(cooperative_generation(told), 4);
    }
}
