//! Which event brought a value about: the newest one before the viewed instant that decided it.

mod asked;
mod decided;

use crate::history::History;
use crate::kafka::fact::Fact;
use crate::sim::EventId;
use crate::sorted::SortedMap;
use crate::view::inspect::Selection;
use crate::wire::{BrokerId, NodeId, Offset, TopicPartition};

/// What a fact decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Leader(TopicPartition),
    Isr(TopicPartition),
    Elr(TopicPartition),
    Replicas(TopicPartition),
    HighWatermark(TopicPartition, BrokerId),
    LogEnd(TopicPartition, BrokerId),
    LogStart(TopicPartition, BrokerId),
    Cleaned(TopicPartition, BrokerId),
    Flushed(TopicPartition, BrokerId),
    /// Of a resource, under its name in Kafka.
    Setting(String, String),
    Node(NodeId),
    Fenced(BrokerId),
    /// How many partitions it leads.
    Led(BrokerId),
    Quorum,
    Voters,
    Snapshots(NodeId),
    Group(String),
    /// Of a group, by its client.
    Member(String, String),
    /// What a share group has done with a partition.
    Share(String, TopicPartition),
    Assignment(NodeId),
    Committed(String, TopicPartition),
    Position(NodeId, TopicPartition),
    Delivered(NodeId),
    /// What a member of a share group has not acknowledged.
    Held(NodeId),
    Sent(NodeId),
    Acked(NodeId),
    Failed(NodeId),
    /// By one error, under Kafka's name for it.
    FailedWith(NodeId, String),
    /// Calls that were wrong.
    Threw(NodeId),
    Transaction(NodeId),
    Identity(NodeId),
    /// What a stream reader has planned and done.
    Batch(NodeId),
    DataLost(NodeId),
}

/// What happened to one record is looked for among so many of the newest events of its log.
const LOOKED_BACK: usize = 500;

/// The event that made a node send this message; `None` for what it sends in rounds of its own.
fn of_message(history: &History, id: u64) -> Option<u64> {
    let message = history.world().network().in_flight().find(|message| message.id.0 == id)?;
    message.cause.map(|because| because.event.0)
}

/// The events by what they decide, in order; each step is looked at once.
#[derive(Clone, Debug, Default)]
pub struct Whys {
    seen: u64,
    /// What was told before this step is forgotten.
    first: u64,
    /// `(steps before it and itself, event)`
    told: SortedMap<Subject, Vec<(u64, u64)>>,
    /// What each group committed last: the same again decides nothing.
    committed: SortedMap<Subject, Offset>,
}

impl Whys {
    /// Another future has begun: what was learned of the old one is forgotten.
    pub fn forget(&mut self) {
        *self = Whys::default();
    }

    /// The event behind a value of what is selected, by the section and the name under which the inspector shows it.
    pub fn of(&self, history: &History, selection: &Selection, section: &str, name: &str) -> Option<u64> {
        match selection {
            Selection::Record { partition, broker, offset } if section == "Record" => {
                self.of_record(history, TopicPartition::parse(partition)?, BrokerId(*broker), Offset(*offset), name)
            }
            Selection::Message(id) if name == "sent at" => of_message(history, *id),
            _ => {
                let subjects = asked::subjects(history, selection, section, name);
                subjects.iter().filter_map(|subject| self.before(history, subject).last()).max().map(|told| told.1)
            }
        }
    }

    /// What was told of a subject up to the viewed instant.
    fn before(&self, history: &History, subject: &Subject) -> &[(u64, u64)] {
        let told = self.told.get(subject).map_or(&[][..], Vec::as_slice);
        &told[..told.partition_point(|(step, _)| *step <= history.position())]
    }

    /// When this record came into the log, and when it could be read there.
    fn of_record(
        &self,
        history: &History,
        partition: TopicPartition,
        broker: BrokerId,
        offset: Offset,
        name: &str,
    ) -> Option<u64> {
        let subject = match name {
            "offset" => Subject::LogEnd(partition, broker),
            "below the high watermark" => Subject::HighWatermark(partition, broker),
            _ => return None,
        };
        let is_it = |event: &u64| match history.event(EventId(*event)).map(|event| &event.fact) {
            Some(Fact::Appended { first, last, .. }) => (*first..=*last).contains(&offset),
            Some(Fact::HighWatermarkMoved { from, to, .. }) => (*from..*to).contains(&offset),
            _ => false,
        };
        self.before(history, &subject).iter().rev().map(|(_, event)| *event).take(LOOKED_BACK).find(is_it)
    }

    pub fn look(&mut self, history: &History) {
        let from = self.seen.max(history.first_step());
        for (index, step) in history.steps_from(from).iter().enumerate() {
            for event in &step.events {
                for subject in decided::decided(&event.fact) {
                    if let Fact::OffsetCommitted { offset, .. } = &event.fact
                        && self.committed.insert(subject.clone(), *offset) == Some(*offset)
                    {
                        continue;
                    }
                    self.told.entry(subject).or_default().push((from + index as u64 + 1, event.id.0));
                }
            }
        }
        self.seen = history.count();
        if self.first != history.first_step() {
            self.first = history.first_step();
            for told in self.told.values_mut() {
                told.retain(|(step, _)| *step > self.first);
            }
        }
    }
}
