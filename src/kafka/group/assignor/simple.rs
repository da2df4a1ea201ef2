//! The assignor of share groups (KIP-932, org.apache.kafka.coordinator.group.assignor.SimpleAssignor):
//! several members may have one partition. Balance comes first, then that members keep what they had.
//! Where all members subscribe to the same topics, all partitions are spread at once, otherwise those
//! of each topic by themselves (SimpleHomogeneousAssignmentBuilder, SimpleHeterogeneousAssignmentBuilder).

use crate::kafka::group::assignor::{GroupSpec, Partitions, Targets, UnknownTopic};
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::Uuid;

/// A partition of a topic.
type Unit = (Uuid, i32);

/// A partition with its place in a hash map of Kafka's: who gives up and who gets what depends on it.
type Placed = (u32, Unit);

pub(super) fn assign(spec: &GroupSpec) -> Result<Targets, UnknownTopic> {
    let mut targets: Vec<Partitions> = spec.members.iter().map(|member| member.target.clone()).collect();
    let mut subscribed: SortedSet<Uuid> = SortedSet::new();
    spec.members.iter().for_each(|member| subscribed.extend(member.topics.iter().copied()));
    if subscribed.is_empty() {
        return Ok(Targets::new());
    }
    if spec.homogeneous {
        targets.iter_mut().for_each(|target| target.retain(|topic, _| subscribed.contains(topic)));
        let mut units = Vec::new();
        for topic in &subscribed {
            units.extend(units_of(spec, topic)?);
        }
        let sharers = (0..targets.len()).collect();
        Spread { units, topics: subscribed, sharers, hash: hash_of_unit }.over(&mut targets);
    } else {
        for topic in &subscribed {
            let units = units_of(spec, topic)?;
            let subscribers = spec.members.iter().enumerate().filter(|(_, member)| member.topics.contains(topic));
            let sharers = subscribers.map(|(place, _)| place).collect();
            let topics = [*topic].into_iter().collect();
            Spread { units, topics, sharers, hash: |(_, partition)| *partition as u32 }.over(&mut targets);
        }
    }
    Ok(spec.members.iter().map(|member| member.id.clone()).zip(targets).collect())
}

/// The partitions of a topic that may be assigned already.
fn units_of(spec: &GroupSpec, topic: &Uuid) -> Result<Vec<Unit>, UnknownTopic> {
    let all = (0..spec.partitions_of(topic)?).filter(|partition| spec.is_assignable(topic, *partition));
    Ok(all.map(|partition| (*topic, partition)).collect())
}

/// TopicIdPartition.hashCode.
fn hash_of_unit((topic, partition): &Unit) -> u32 {
    let (high, low) = topic.as_u64_pair();
    let xor = high ^ low;
    let topic = (xor >> 32) as u32 ^ xor as u32;
    topic.wrapping_mul(31).wrapping_add(*partition as u32)
}

/// The bucket of a java.util.HashMap that a key with this hash is in.
fn bucket(hash: u32, capacity: u32) -> u32 {
    (hash ^ hash >> 16) & (capacity - 1)
}

/// How many buckets a java.util.HashMap has that began with `capacity`: never less than a third more
/// than its keys.
fn grown(mut capacity: u32, keys: usize) -> u32 {
    while keys as u32 * 4 > capacity * 3 {
        capacity *= 2;
    }
    capacity
}

/// The buckets of a java.util.HashMap that nobody told how many keys to expect.
const DEFAULT_CAPACITY: u32 = 16;

/// What is to be spread over whom. Members are called by their place.
struct Spread {
    /// All partitions of the topics that may be assigned.
    units: Vec<Unit>,
    topics: SortedSet<Uuid>,
    sharers: Vec<usize>,
    hash: fn(&Unit) -> u32,
}

impl Spread {
    fn over(&self, targets: &mut [Partitions]) {
        // As many members share each partition as it takes to give every member one.
        let sharing = if self.units.is_empty() { 0 } else { self.sharers.len().div_ceil(self.units.len()) };
        let mut desired = vec![0; targets.len()];
        let quota = |members: usize| (sharing * self.units.len() * members).div_ceil(self.sharers.len());
        for (place, member) in self.sharers.iter().enumerate() {
            desired[*member] = quota(place + 1) - quota(place);
        }
        let had: Vec<Vec<Unit>> = targets.iter().map(|target| self.units_in(target)).collect();
        let expected = ((self.units.len() as u32 + 1) * 4 / 3 + 1).next_power_of_two();
        let known: SortedSet<Unit> = had.iter().flatten().chain(&self.units).copied().collect();
        let placed = |unit: &Unit, capacity: u32| (bucket((self.hash)(unit), capacity), *unit);
        let of_partition = |unit: &Unit| placed(unit, grown(expected, known.len()));
        let mut holders: SortedMap<Placed, SortedSet<usize>> =
            known.iter().map(|unit| (of_partition(unit), SortedSet::new())).collect();
        let mut held: Vec<SortedSet<Placed>> = Vec::with_capacity(had.len());
        for (member, units) in had.iter().enumerate() {
            for unit in units {
                holders.entry(of_partition(unit)).or_default().insert(member);
            }
            let capacity = grown(DEFAULT_CAPACITY, units.len());
            held.push(units.iter().map(|unit| placed(unit, capacity)).collect());
        }
        // Members give up what they have too much of, then partitions whoever shares them too much.
        for (member, held) in held.iter_mut().enumerate() {
            while held.len() > desired[member] {
                let Some((_, unit)) = held.pop_first() else { break };
                holders.entry(of_partition(&unit)).or_default().remove(&member);
            }
        }
        let mut held: Vec<SortedSet<Unit>> =
            held.into_iter().map(|units| units.iter().map(|(_, unit)| *unit).collect()).collect();
        for ((_, unit), members) in holders.iter_mut() {
            while members.len() > sharing {
                let Some(member) = members.pop_first() else { break };
                held[member].remove(unit);
            }
        }
        self.fill(sharing, &desired, &mut holders, &mut held);
        for (target, held) in targets.iter_mut().zip(held) {
            target.retain(|topic, _| !self.topics.contains(topic));
            for (topic, partition) in held {
                target.entry(topic).or_default().insert(partition);
            }
        }
    }

    /// What a target has of the topics.
    fn units_in(&self, target: &Partitions) -> Vec<Unit> {
        let those = target.iter().filter(|(topic, _)| self.topics.contains(*topic));
        those.flat_map(|(topic, those)| those.iter().map(|partition| (*topic, *partition))).collect()
    }

    /// Hands the missing shares to members that have too little, in turn (assignRemainingPartitions).
    /// A partition that nobody of them lacks stays with fewer members.
    fn fill(
        &self,
        sharing: usize,
        desired: &[usize],
        holders: &mut SortedMap<Placed, SortedSet<usize>>,
        held: &mut [SortedSet<Unit>],
    ) {
        let is_unfilled = |member: &usize| held[*member].len() < desired[*member];
        let mut unfilled: Vec<usize> = self.sharers.iter().copied().filter(is_unfilled).collect();
        // Whose turn it is, and whether anybody took something since the first one had it.
        let (mut turn, mut placed) = (0, false);
        for ((_, unit), members) in holders.iter_mut() {
            while members.len() < sharing && !unfilled.is_empty() {
                if turn == unfilled.len() {
                    if !placed {
                        break;
                    }
                    (turn, placed) = (0, false);
                }
                let member = unfilled[turn];
                if !members.insert(member) {
                    turn += 1;
                    continue;
                }
                placed = true;
                held[member].insert(*unit);
                if held[member].len() >= desired[member] {
                    unfilled.remove(turn);
                } else {
                    turn += 1;
                }
            }
        }
    }
}
