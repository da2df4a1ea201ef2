//! What waits for something to happen to a partition, or for its time to run out
//! (DelayedOperationPurgatory).

use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::TopicPartition;

/// Which waiting operation; they are numbered in the order in which they began to wait.
pub type WaitId = u64;

#[derive(Clone, Debug, PartialEq)]
struct Waiting<T> {
    deadline: Instant,
    partitions: Vec<TopicPartition>,
    operation: T,
}

/// Invariant: `by_partition` and `deadlines` name exactly the operations in `waiting`.
#[derive(Clone, Debug, PartialEq)]
pub struct Purgatory<T> {
    next: WaitId,
    waiting: SortedMap<WaitId, Waiting<T>>,
    by_partition: SortedMap<TopicPartition, SortedSet<WaitId>>,
    deadlines: SortedSet<(Instant, WaitId)>,
}

impl<T> Purgatory<T> {
    pub fn new() -> Purgatory<T> {
        Purgatory { next: 0, waiting: SortedMap::new(), by_partition: SortedMap::new(), deadlines: SortedSet::new() }
    }

    pub fn add(&mut self, deadline: Instant, partitions: Vec<TopicPartition>, operation: T) -> WaitId {
        self.next += 1;
        let id = self.next;
        for partition in &partitions {
            self.by_partition.entry(partition.clone()).or_default().insert(id);
        }
        self.deadlines.insert((deadline, id));
        self.waiting.insert(id, Waiting { deadline, partitions, operation });
        id
    }

    /// Who waits for this partition, oldest first.
    pub fn watching(&self, partition: &TopicPartition) -> Vec<WaitId> {
        self.by_partition.get(partition).map(|ids| ids.iter().copied().collect()).unwrap_or_default()
    }

    pub fn get_mut(&mut self, id: WaitId) -> Option<&mut T> {
        self.waiting.get_mut(&id).map(|waiting| &mut waiting.operation)
    }

    pub fn remove(&mut self, id: WaitId) -> Option<T> {
        let waiting = self.waiting.remove(&id)?;
        self.deadlines.remove(&(waiting.deadline, id));
        for partition in &waiting.partitions {
            if let Some(ids) = self.by_partition.get_mut(partition) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_partition.remove(partition);
                }
            }
        }
        Some(waiting.operation)
    }

    /// The next operation whose time has run out.
    pub fn take_expired(&mut self, now: Instant) -> Option<T> {
        let (_, id) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now).copied()?;
        self.remove(id)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub fn len(&self) -> u32 {
        self.waiting.len() as u32
    }
}
