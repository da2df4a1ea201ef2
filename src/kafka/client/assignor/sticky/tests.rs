//! What the sticky assignors promise, over groups that change at random.

use crate::kafka::client::assignor::sticky::{Kind, Memory, Target, target};
use crate::kafka::client::assignor::{Assignment, Assignor, Subscription, TopicRacks};
use crate::rng::Rng;
use crate::sorted::SortedMap;
use crate::wire::{StrBytes, TopicName, TopicPartition, str_bytes, topic_name};

const TOPICS: [&str; 3] = ["clicks", "orders", "views"];
const RACKS: [&str; 3] = ["a", "b", "c"];

struct Group {
    rng: Rng,
    topics: TopicRacks,
    members: Vec<Subscription>,
    generation: i32,
    /// Everybody subscribes to everything.
    uniform: bool,
    racks: bool,
}

impl Group {
    fn new(seed: u64) -> Group {
        let (uniform, racks) = (seed.is_multiple_of(2), seed.is_multiple_of(3));
        let mut group = Group {
            rng: Rng::new(seed),
            topics: TopicRacks::new(),
            members: Vec::new(),
            generation: 0,
            uniform,
            racks,
        };
        for topic in TOPICS {
            group.topics.insert(topic_name(topic), Vec::new());
            group.grow(topic);
        }
        group
    }

    fn grow(&mut self, topic: &str) {
        for _ in 0..=self.rng.below(5) {
            let rack = RACKS[self.rng.below(3) as usize];
            let replicas = if self.racks { vec![str_bytes(rack)] } else { Vec::new() };
            self.topics.get_mut(&topic_name(topic)).unwrap().push(replicas);
        }
    }

    /// Somebody comes, goes or subscribes anew, or a topic grows.
    fn change(&mut self) {
        let count = self.members.len() as u64;
        match self.rng.below(5) {
            0 if count > 1 => drop(self.members.remove(self.rng.below(count) as usize)),
            1 if count > 0 => {
                let topics = self.subscription();
                self.members[self.rng.below(count) as usize].topics = topics;
            }
            2 => {
                let topic = TOPICS[self.rng.below(3) as usize];
                self.grow(topic);
            }
            _ => {
                let id = str_bytes(&format!("m{}", self.rng.below(1_000_000)));
                let rack = self.racks.then(|| str_bytes(RACKS[self.rng.below(3) as usize]));
                let topics = self.subscription();
                self.members.push(Subscription { member_id: id, rack, topics, ..Subscription::default() });
            }
        }
    }

    fn subscription(&mut self) -> Vec<TopicName> {
        let (uniform, first) = (self.uniform, self.rng.below(3) as usize);
        let topics = TOPICS.iter().enumerate().filter(|(i, _)| uniform || *i == first || self.rng.percent(40));
        topics.map(|(_, topic)| topic_name(topic)).collect()
    }

    /// Everybody learns its assignment.
    fn take(&mut self, assignment: &Assignment) {
        self.generation += 1;
        for member in &mut self.members {
            let partitions = assignment[&member.member_id].clone();
            let memory = Memory { partitions: partitions.clone(), generation: Some(self.generation) };
            member.user_data = Some(memory.encode());
            member.owned = partitions;
            member.generation = Some(self.generation);
        }
    }

    fn target(&self, kind: Kind) -> Target {
        target(kind, &self.topics, &self.members.iter().collect::<Vec<_>>())
    }

    /// Each partition that somebody subscribes to has one holder, who subscribes to it, and no
    /// member could take one of somebody's who has at least two more.
    fn check(&self, assignment: &Assignment) {
        let mut holders: SortedMap<&TopicPartition, &StrBytes> = SortedMap::new();
        for (member, list) in assignment {
            for partition in list {
                assert_eq!(holders.insert(partition, member), None, "{partition} has two holders");
            }
        }
        for member in &self.members {
            let held = assignment[&member.member_id].len();
            for topic in &member.topics {
                for partition in 0..self.topics[topic].len() {
                    let partition = TopicPartition::new(topic.clone(), partition as i32);
                    let holder = holders[&partition];
                    assert!(
                        assignment[holder].len() <= held + 1,
                        "{holder} keeps {partition} from {}",
                        member.member_id
                    );
                }
            }
            assert!(assignment[&member.member_id].iter().all(|p| member.topics.contains(&p.topic)));
        }
    }
}

#[test]
fn a_sticky_assignment_is_balanced_and_asked_again_is_the_same() {
    for seed in 0..150 {
        let mut group = Group::new(seed);
        for _ in 0..12 {
            group.change();
            if group.members.is_empty() {
                continue;
            }
            let first = group.target(Kind::Eager).assignment;
            group.check(&first);
            group.take(&first);
            let mut again = group.target(Kind::Eager).assignment;
            group.check(&again);
            let mut first = first;
            first.values_mut().chain(again.values_mut()).for_each(|list| list.sort_unstable());
            // What lies outside its holder's rack is dealt out anew each time.
            assert!(group.racks || again == first, "seed {seed}: {again:?}");
        }
    }
}

#[test]
fn a_cooperative_assignment_takes_nothing_from_its_holder_and_settles_after_two_rebalances() {
    for seed in 0..150 {
        let mut group = Group::new(seed);
        for _ in 0..12 {
            group.change();
            if group.members.is_empty() {
                continue;
            }
            for rebalance in 1.. {
                let moving = group.target(Kind::Cooperative).moving;
                let assignment = Assignor::CooperativeSticky.assign(&group.topics, &group.members);
                for member in &group.members {
                    let others = || group.members.iter().filter(|other| other.member_id != member.member_id);
                    let taken = assignment[&member.member_id].iter().find(|p| others().any(|o| o.owned.contains(p)));
                    assert_eq!(taken, None, "seed {seed}");
                }
                group.take(&assignment);
                if moving.is_empty() {
                    group.check(&assignment);
                    break;
                }
                // The second rebalance computes another target when partitions are not all alike.
                let limit = if group.racks || !group.uniform { 6 } else { 2 };
                assert!(rebalance < limit, "seed {seed}: {moving:?}");
            }
        }
    }
}
