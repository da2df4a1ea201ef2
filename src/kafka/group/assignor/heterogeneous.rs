//! The uniform assignor for members that subscribe to different topics
//! (UniformHeterogeneousAssignmentBuilder): members keep what they had, the rest goes to whoever has
//! least, and then partitions move from the most to the least loaded until no topic can be balanced
//! any better.

use crate::kafka::group::assignor::{GroupSpec, Partitions, Targets, UnknownTopic};
use crate::sorted::SortedMap;
use crate::wire::Uuid;

/// Kafka looks at all topics so many times at the most.
const MAX_ROUNDS: u32 = 16;

/// A topic with its subscribers, by their place in the group, and who has each partition.
struct Topic {
    id: Uuid,
    subscribers: Vec<usize>,
    owners: Vec<Option<usize>>,
}

pub(super) fn assign(spec: &GroupSpec) -> Result<Targets, UnknownTopic> {
    let mut topics = topics_of(spec)?;
    if topics.is_empty() {
        return Ok(Targets::new());
    }
    topics.sort_by(|a, b| {
        // Partitions per subscriber, descending, without a division.
        let (a_each, b_each) = (a.owners.len() * b.subscribers.len(), b.owners.len() * a.subscribers.len());
        b_each.cmp(&a_each).then(a.subscribers.len().cmp(&b.subscribers.len())).then(java_order(&a.id, &b.id))
    });
    let mut sizes = vec![0; spec.members.len()];
    topics.iter().flat_map(|topic| topic.owners.iter().flatten()).for_each(|owner| sizes[*owner] += 1);
    for topic in &mut topics {
        let mut balancer = Balancer::new(&topic.subscribers, &sizes);
        for owner in topic.owners.iter_mut().filter(|owner| owner.is_none()) {
            let member = balancer.next_least_loaded(&sizes);
            *owner = Some(member);
            sizes[member] += 1;
        }
    }
    balance(&mut topics, &mut sizes);
    let mut targets: Targets = spec.members.iter().map(|m| (m.id.clone(), Partitions::new())).collect();
    for topic in topics {
        for (partition, owner) in topic.owners.iter().enumerate() {
            let target = owner.and_then(|owner| targets.get_mut(&spec.members[owner].id));
            if let Some(target) = target {
                target.entry(topic.id).or_default().insert(partition as i32);
            }
        }
    }
    Ok(targets)
}

/// `Uuid.compareTo` of Kafka: two signed halves.
fn java_order(a: &Uuid, b: &Uuid) -> std::cmp::Ordering {
    let halves = |id: &Uuid| {
        let (high, low) = id.as_u64_pair();
        (high as i64, low as i64)
    };
    halves(a).cmp(&halves(b))
}

/// Every topic that somebody subscribes to, with what its subscribers keep (maybeRevokePartitions).
fn topics_of(spec: &GroupSpec) -> Result<Vec<Topic>, UnknownTopic> {
    let mut topics: SortedMap<Uuid, Topic> = SortedMap::new();
    for (index, member) in spec.members.iter().enumerate() {
        for id in &member.topics {
            let count = spec.partitions_of(id)? as usize;
            let empty = || Topic { id: *id, subscribers: Vec::new(), owners: vec![None; count] };
            let topic = topics.entry(*id).or_insert_with(empty);
            topic.subscribers.push(index);
            for partition in member.target.get(id).into_iter().flatten() {
                if let Some(owner) = topic.owners.get_mut(*partition as usize) {
                    *owner = Some(index);
                }
            }
        }
    }
    Ok(topics.into_values().collect())
}

/// balanceTopics: until every topic was looked at once without a change.
fn balance(topics: &mut [Topic], sizes: &mut [i32]) {
    let mut shared: Vec<&mut Topic> = topics.iter_mut().filter(|topic| topic.subscribers.len() >= 2).collect();
    let mut last_changed = None;
    for _ in 0..MAX_ROUNDS {
        for (index, topic) in shared.iter_mut().enumerate() {
            if last_changed == Some(index) {
                return;
            }
            if balance_topic(topic, sizes) || last_changed.is_none() {
                last_changed = Some(index);
            }
        }
    }
}

/// Moves partitions of one topic from its most loaded to its least loaded subscribers; whether any moved.
fn balance_topic(topic: &mut Topic, sizes: &mut [i32]) -> bool {
    let mut balancer = Balancer::new(&topic.subscribers, sizes);
    if balancer.imbalance(sizes) <= 1 {
        return false;
    }
    // What each owner can give up, its highest partition last.
    let mut owned: SortedMap<usize, Vec<usize>> = SortedMap::new();
    for (partition, owner) in topic.owners.iter().enumerate() {
        owned.entry(owner.unwrap_or_default()).or_default().push(partition);
    }
    let mut moved = false;
    while !balancer.is_balanced() {
        let given = loop {
            let Some(member) = balancer.next_most_loaded(sizes) else { break None };
            match owned.get_mut(&member).and_then(Vec::pop) {
                Some(partition) => break Some((member, partition)),
                None => balancer.exclude_most_loaded(),
            }
        };
        let Some((from, partition)) = given else { break };
        let to = balancer.next_least_loaded(sizes);
        if balancer.is_balanced() {
            break;
        }
        topic.owners[partition] = Some(to);
        sizes[from] -= 1;
        sizes[to] += 1;
        moved = true;
    }
    moved
}

/// The members of a topic by load, with the ranges of the least and of the most loaded, which grow
/// towards each other as partitions are handed out and taken (MemberAssignmentBalancer).
struct Balancer {
    members: Vec<usize>,
    /// The least loaded are `0..least_end`, all with `least` partitions.
    least_end: usize,
    least: i32,
    next_least: usize,
    /// The most loaded are `most_start..most_end`, all with `most` partitions.
    most_start: usize,
    most_end: usize,
    most: i32,
    /// One past the next of the most loaded.
    next_most: usize,
}

impl Balancer {
    fn new(subscribers: &[usize], sizes: &[i32]) -> Balancer {
        let mut members = subscribers.to_vec();
        members.sort_by_key(|member| (sizes[*member], *member));
        let load = |member: Option<&usize>| member.map_or(0, |member| sizes[*member]);
        Balancer {
            least_end: 0,
            least: load(members.first()) - 1,
            next_least: 0,
            most_start: members.len(),
            most_end: members.len(),
            most: load(members.last()) + 1,
            next_most: members.len(),
            members,
        }
    }

    fn imbalance(&self, sizes: &[i32]) -> i32 {
        let load = |member: Option<&usize>| member.map_or(0, |member| sizes[*member]);
        load(self.members.last()) - load(self.members.first())
    }

    fn is_balanced(&self) -> bool {
        self.most - self.least <= 1
    }

    fn next_least_loaded(&mut self, sizes: &[i32]) -> usize {
        if self.next_least >= self.least_end {
            self.least += 1;
            while self.least_end < self.members.len() && sizes[self.members[self.least_end]] == self.least {
                self.least_end += 1;
            }
            self.next_least = 0;
        }
        self.next_least += 1;
        self.members[self.next_least - 1]
    }

    fn next_most_loaded(&mut self, sizes: &[i32]) -> Option<usize> {
        if self.next_most <= self.most_start {
            if self.most_end <= self.most_start && self.most_start > 0 {
                // Everybody in the range has been excluded: it begins anew with whoever is next.
                self.most = sizes[self.members[self.most_start - 1]];
            } else {
                self.most -= 1;
            }
            while self.most_start > 0 && sizes[self.members[self.most_start - 1]] == self.most {
                self.most_start -= 1;
            }
            self.next_most = self.most_end;
        }
        if self.next_most == 0 {
            return None;
        }
        self.next_most -= 1;
        Some(self.members[self.next_most])
    }

    /// The member that was named last has nothing of this topic to give up.
    fn exclude_most_loaded(&mut self) {
        self.members.swap(self.next_most, self.most_end - 1);
        self.most_end -= 1;
    }
}
