//! What came of what, partition by partition. One message between two nodes is about many partitions at
//! once, and what it brings about in one of them has nothing to do with the others. So each partition
//! keeps the thread of its own story: which append let a follower append, whose fetch let the high
//! watermark move, which high watermark let a record be acknowledged or delivered.

use std::sync::Arc;

use crate::kafka::fact::Fact;
use crate::kafka::node::Input;
use crate::sim::event::{Because, Event};
use crate::sorted::SortedMap;
use crate::wire::{BrokerId, ClientId, NodeId, Offset, TopicPartition};

/// How many events of a kind are remembered: more than come to pass while one message is on its way.
const REMEMBERED: usize = 6;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stories {
    of: SortedMap<TopicPartition, Arc<Story>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Story {
    /// Records that each producer handed over, the newest last.
    sent: SortedMap<ClientId, Vec<Because>>,
    /// What leaders appended, the newest last.
    appended: Vec<Reach>,
    /// How far each follower's newest append went is known by its leader when it fetches next.
    followed: SortedMap<BrokerId, Because>,
    /// How leaders moved the high watermark, the newest last.
    readable: Vec<Reach>,
}

/// The event that moved an end of the log from one offset to another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reach {
    from: Offset,
    to: Offset,
    because: Because,
}

impl Stories {
    /// The event without which this fact would not be, where the partition's own story knows it.
    /// `asker`: whose request the turn answers; `because`: the last event before that was sent.
    pub fn cause(&self, fact: &Fact, asker: Option<NodeId>, because: Option<Because>) -> Option<Because> {
        let story = self.of.get(fact.partition()?)?;
        match (fact, asker) {
            (Fact::Appended { leader: true, .. }, Some(NodeId::Client(producer))) => {
                // What was handed over after the request had left is not in it.
                let left = because?.event;
                story.sent.get(&producer)?.iter().rev().find(|sent| sent.event <= left).copied()
            }
            (Fact::Appended { leader: false, last, .. }, _) => reaching(&story.appended, *last + 1),
            // A leader learns from a follower's fetch that it has everything before (Partition.maybeIncrementLeaderHW).
            (Fact::HighWatermarkMoved { leader: true, .. }, Some(NodeId::Broker(follower))) => {
                story.followed.get(&follower).copied()
            }
            (Fact::HighWatermarkMoved { leader: false, to, .. }, _) => reaching(&story.readable, *to),
            (Fact::Delivered { last, .. }, _) => reaching(&story.readable, *last + 1),
            (Fact::Acknowledged { base_offset, count, acks, .. }, _) if *base_offset >= Offset(0) => {
                let end = *base_offset + i64::from(*count);
                let reaches = if *acks == -1 { &story.readable } else { &story.appended };
                reaching(reaches, end)
            }
            _ => None,
        }
    }

    pub fn observe(&mut self, fact: &Fact, because: Because) {
        if let Fact::TopicDeleted { topic } = fact {
            self.of.retain(|partition, _| partition.topic != *topic);
            return;
        }
        match fact {
            Fact::RecordSent { producer, topic, partition, .. } => {
                let partition = TopicPartition { topic: topic.clone(), partition: *partition };
                remember(self.story(&partition).sent.entry(*producer).or_default(), because);
            }
            Fact::Appended { partition, leader: true, first, last, .. } => {
                remember(&mut self.story(partition).appended, Reach { from: *first, to: *last + 1, because });
            }
            Fact::Appended { partition, leader: false, broker, .. } => {
                self.story(partition).followed.insert(*broker, because);
            }
            Fact::HighWatermarkMoved { partition, leader: true, from, to, .. } => {
                remember(&mut self.story(partition).readable, Reach { from: *from, to: *to, because });
            }
            _ => {}
        }
    }

    fn story(&mut self, partition: &TopicPartition) -> &mut Story {
        Arc::make_mut(self.of.entry(partition.clone()).or_default())
    }
}

/// The event that first let an end reach `end`; the newest such, for a log that was truncated has come so far twice.
fn reaching(reaches: &[Reach], end: Offset) -> Option<Because> {
    let reach = reaches.iter().rev().find(|reach| reach.from < end && end <= reach.to)?;
    Some(reach.because)
}

fn remember<T>(remembered: &mut Vec<T>, new: T) {
    if remembered.len() == REMEMBERED {
        remembered.remove(0);
    }
    remembered.push(new);
}

/// Whose request a turn answers.
pub(super) fn asker(input: &Input) -> Option<NodeId> {
    match input {
        Input::Deliver { from, envelope } if envelope.is_request() => Some(*from),
        _ => None,
    }
}

/// What the same turn told before that this follows from: the newest about the same partition, or what it
/// began with, unless that is about another partition. No record is handed over because of another.
pub(super) fn before_in_turn(events: &[Event], fact: &Fact) -> Option<Because> {
    if matches!(fact, Fact::RecordSent { .. }) {
        return None;
    }
    let about = fact.partition();
    let same = events.iter().rev().find(|event| about.is_some() && event.fact.partition() == about);
    let first = events.first().filter(|first| about.is_none() || first.fact.partition().is_none());
    same.or(first).map(Event::because)
}
