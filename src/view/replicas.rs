//! Every replica of every partition at one look: one walk over the metadata and one over each broker,
//! so that a thousand partitions on thirty brokers cost no look-up each.

use std::ops::Range;
use std::sync::Arc;

use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::log::Log;
use crate::kafka::replica::Partition;
use crate::sim::{Member, Power, World};
use crate::sorted::SortedSet;
use crate::wire::{BrokerId, TopicName, TopicPartition};

/// The partitions that are shown, in the order of their topics' names, with all replicas of each.
pub struct Replicas<'a> {
    /// A handful of topics: looking through them is quicker than a map.
    places: Vec<Place<'a>>,
    partitions: Vec<Here<'a>>,
    /// Those of a partition lie together, in the order of their brokers.
    replicas: Vec<Replica<'a>>,
}

/// A partition, and which of the replicas are its own.
pub struct Here<'a> {
    pub topic: &'a TopicName,
    pub partition: i32,
    pub registration: &'a Arc<PartitionRegistration>,
    replicas: Range<usize>,
}

/// A replica as its broker has it.
pub struct Replica<'a> {
    pub broker: BrokerId,
    /// The broker's process runs.
    pub runs: bool,
    pub log: Option<&'a Arc<Log>>,
    pub role: Option<&'a Partition>,
}

/// Where the partitions of a topic begin, and how many there are.
struct Place<'a> {
    topic: &'a TopicName,
    first: usize,
    count: usize,
}

impl<'a> Replicas<'a> {
    pub fn look(world: &'a World, shown: impl Fn(&str) -> bool) -> Replicas<'a> {
        let runs = |member: &Member| member.power == Power::Running;
        let running: SortedSet<BrokerId> = world.brokers().filter(|(_, m, _)| runs(m)).map(|(id, _, _)| id).collect();
        let mut found = Replicas { places: Vec::new(), partitions: Vec::new(), replicas: Vec::new() };
        for (topic, image) in world.image().topics.iter().filter(|(name, _)| shown(name.0.as_str())) {
            found.places.push(Place { topic, first: found.partitions.len(), count: image.partitions.len() });
            for (partition, registration) in &image.partitions {
                let first = found.replicas.len();
                let replica = |broker: &BrokerId| Replica {
                    broker: *broker,
                    runs: running.contains(broker),
                    log: None,
                    role: None,
                };
                found.replicas.extend(registration.replicas.iter().map(replica));
                found.replicas[first..].sort_unstable_by_key(|replica| replica.broker);
                let replicas = first..found.replicas.len();
                found.partitions.push(Here { topic, partition: *partition, registration, replicas });
            }
        }
        for (id, _, broker) in world.brokers() {
            found.visit(id, &broker.disk().folders, |replica, folder| replica.log = Some(&folder.log));
            if let Some(process) = broker.process() {
                found.visit(id, process.replicas(), |replica, role| replica.role = Some(role));
            }
        }
        found
    }

    /// Hands what a broker has of each partition to the replica that it is.
    fn visit<T>(
        &mut self,
        broker: BrokerId,
        has: impl IntoIterator<Item = (&'a TopicPartition, T)>,
        mut note: impl FnMut(&mut Replica<'a>, T),
    ) {
        for (partition, it) in has {
            let Some(index) = self.index(partition) else { continue };
            let range = self.partitions[index].replicas.clone();
            if let Some(replica) = self.replicas[range].iter_mut().find(|replica| replica.broker == broker) {
                note(replica, it);
            }
        }
    }

    /// Which of the partitions this is; `None`: it is not shown.
    pub fn index(&self, partition: &TopicPartition) -> Option<usize> {
        let place = self.places.iter().find(|place| *place.topic == partition.topic)?;
        let within = usize::try_from(partition.partition).ok().filter(|number| *number < place.count)?;
        Some(place.first + within)
    }

    pub fn partitions(&self) -> &[Here<'a>] {
        &self.partitions
    }

    pub fn of(&self, here: &Here<'_>) -> &[Replica<'a>] {
        &self.replicas[here.replicas.clone()]
    }
}

impl Here<'_> {
    pub fn name(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }
}
