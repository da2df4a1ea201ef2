//! Which partitions of its topics a share group may read: their share-group state is made by the
//! persister before they are assigned, and deleted after the group let them go
//! (ShareGroupStatePartitionMetadataInfo; GroupMetadataManager.subscribedTopicsChangeMap,
//! initializeShareGroupState, uninitializeShareGroupState, maybeCleanupShareGroupState).

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::share::persister::{InitializeState, SharePartitions};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{GroupId, Offset, StrBytes, TopicName, Uuid};

/// What Kafka calls a topic that is gone when a record is to name it.
const UNKNOWN_TOPIC: StrBytes = StrBytes::from_static_str("<UNKNOWN>");

/// Some partitions of a topic (InitMapValue).
#[derive(Clone, Debug, PartialEq)]
pub struct TopicPartitions {
    pub name: TopicName,
    pub partitions: SortedSet<i32>,
}

/// Partitions of topics by the topics' ids; no set is empty.
pub type Topics = SortedMap<Uuid, TopicPartitions>;

/// The partitions of a group by how far their share-group state is (ShareGroupStatePartitionMetadataValue).
#[derive(Clone, Debug, PartialEq)]
pub struct StatePartitions {
    /// The persister has been asked for them, or is about to be.
    pub initializing: Topics,
    pub initialized: Topics,
    /// Topics whose state is to be deleted.
    pub deleting: SortedMap<Uuid, TopicName>,
    /// When the coordinator learned it; the record does not say. An initialisation that is older than
    /// `group.share.initialize.retry.interval.ms` is tried once more.
    pub since: Instant,
}

impl Default for StatePartitions {
    fn default() -> StatePartitions {
        StatePartitions {
            initializing: Topics::new(),
            initialized: Topics::new(),
            deleting: SortedMap::new(),
            since: Instant::ZERO,
        }
    }
}

impl StatePartitions {
    /// What may be assigned (initializedShareGroupPartitions).
    pub fn assignable(&self) -> Partitions {
        self.initialized.iter().map(|(id, topic)| (*id, topic.partitions.clone())).collect()
    }

    /// The partitions of these topics that are neither initialised nor on the way to it
    /// (subscribedTopicsChangeMap).
    pub(super) fn missing(
        &self,
        subscribed: &SortedSet<TopicName>,
        image: &MetadataImage,
        now: Instant,
        retry_interval: Duration,
    ) -> Topics {
        let is_fresh = now.since(self.since) < retry_interval;
        let mut missing = Topics::new();
        for (name, topic) in subscribed.iter().filter_map(|name| Some((name, image.topics.get(name)?))) {
            let known = |of: &Topics, partition: &i32| {
                of.get(&topic.id).is_some_and(|topic| topic.partitions.contains(partition))
            };
            let is_missing = |partition: &i32| {
                !(known(&self.initialized, partition) || is_fresh && known(&self.initializing, partition))
            };
            let partitions: SortedSet<i32> = (0..topic.partitions.len() as i32).filter(is_missing).collect();
            if !partitions.is_empty() {
                missing.insert(topic.id, TopicPartitions { name: name.clone(), partitions });
            }
        }
        missing
    }

    /// These are about to be initialised (addInitializingTopicsRecords).
    pub(super) fn initializing(&self, those: &Topics) -> StatePartitions {
        let mut next = self.clone();
        add(&mut next.initializing, those);
        let StatePartitions { initializing, deleting, .. } = &mut next;
        deleting.retain(|id, _| !initializing.contains_key(id));
        next
    }

    /// The persister has initialised these (initializeShareGroupState).
    pub(super) fn initialized(&self, those: &SharePartitions, image: &MetadataImage) -> StatePartitions {
        let mut next = self.uninitialized(those);
        let named = |id: &Uuid, partitions: &SortedMap<i32, Offset>| {
            let name = image.topic_names.get(id).cloned().unwrap_or(TopicName(UNKNOWN_TOPIC));
            TopicPartitions { name, partitions: partitions.keys().copied().collect() }
        };
        let those: Topics = those.iter().map(|(id, partitions)| (*id, named(id, partitions))).collect();
        add(&mut next.initialized, &those);
        next
    }

    /// The persister has not: the next heartbeat tries again (uninitializeShareGroupState).
    pub(super) fn uninitialized(&self, those: &SharePartitions) -> StatePartitions {
        let mut next = self.clone();
        for (id, partitions) in those {
            if let Some(topic) = next.initializing.get_mut(id) {
                topic.partitions.retain(|partition| !partitions.contains_key(partition));
            }
        }
        next.initializing.retain(|_, topic| !topic.partitions.is_empty());
        next
    }

    /// The group is about to be deleted, and first the state of all its partitions; `None` when there is
    /// none (GroupMetadataManager.shareGroupBuildPartitionDeleteRequest).
    pub(in crate::kafka::group) fn all_deleting(&self) -> Option<(StatePartitions, SortedMap<Uuid, SortedSet<i32>>)> {
        let mut those = self.initialized.clone();
        add(&mut those, &self.initializing);
        let mut deleting = self.deleting.clone();
        deleting.extend(those.iter().map(|(id, topic)| (*id, topic.name.clone())));
        let partitions: SortedMap<_, _> = those.iter().map(|(id, topic)| (*id, topic.partitions.clone())).collect();
        (!partitions.is_empty()).then(|| (StatePartitions { deleting, ..StatePartitions::default() }, partitions))
    }

    /// The topic is deleted, and its share-group state with it by whoever keeps that; `None` when the
    /// group never knew it (maybeCleanupShareGroupState).
    pub(super) fn without(&self, topic: &TopicName) -> Option<StatePartitions> {
        let mut next = self.clone();
        next.initializing.retain(|_, known| known.name != *topic);
        next.initialized.retain(|_, known| known.name != *topic);
        next.deleting.retain(|_, name| name != topic);
        (next != *self).then_some(next)
    }
}

fn add(to: &mut Topics, those: &Topics) {
    for (id, topic) in those {
        let known =
            to.entry(*id).or_insert_with(|| TopicPartitions { name: topic.name.clone(), partitions: SortedSet::new() });
        known.name = topic.name.clone();
        known.partitions.extend(topic.partitions.iter().copied());
    }
}

/// What the persister is to do for these partitions (buildInitializeShareGroupStateRequest): where the
/// group begins to read, the leader finds out by `share.auto.offset.reset`.
pub(super) fn initialize_request(group: &GroupId, state_epoch: i32, those: &Topics) -> InitializeState {
    let mut topics = SharePartitions::new();
    for (id, topic) in those {
        topics.insert(*id, topic.partitions.iter().map(|partition| (*partition, Offset::UNKNOWN)).collect());
    }
    InitializeState { group: group.clone(), state_epoch, topics, altering: None }
}
