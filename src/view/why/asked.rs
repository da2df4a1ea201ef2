//! What decides the value that the inspector shows in a section under a name.

use crate::history::History;
use crate::sim::World;
use crate::view::inspect::{Selection, follower_title, lag_name, member_title, share_title};
use crate::view::why::Subject;
use crate::wire::{BrokerId, ControllerId, NodeId, OFFSETS_TOPIC, TRANSACTION_TOPIC, TopicPartition};

/// A lag is decided by both of its ends, the log that grows and the commit that follows; a partition epoch by
/// whatever changes the partition. The newest of them is the reason.
pub(super) fn subjects(history: &History, selection: &Selection, section: &str, name: &str) -> Vec<Subject> {
    let world = history.world();
    let found = match selection {
        Selection::Partition(partition) => TopicPartition::parse(partition).map(|it| of_partition(world, &it, name)),
        Selection::Replica { partition, broker } => {
            TopicPartition::parse(partition).map(|it| of_replica(world, &it, BrokerId(*broker), section, name))
        }
        Selection::Broker(id) => Some(of_broker(BrokerId(*id), name).into_iter().collect()),
        Selection::Controller(number) => Some(of_controller(ControllerId(*number), name).into_iter().collect()),
        Selection::Group(group) => Some(of_group(world, group, section, name)),
        Selection::Consumer(consumer) => of_consumer(world, consumer, name),
        Selection::Producer(producer) => of_producer(world, producer, section, name).map(|one| vec![one]),
        Selection::Stream(stream) => of_stream(world, stream, name).map(|one| vec![one]),
        // What happened to one record among many, and to one message: see `Whys::of`.
        Selection::Record { .. } | Selection::Message(_) => None,
    };
    found.unwrap_or_default()
}

fn of_partition(world: &World, partition: &TopicPartition, name: &str) -> Vec<Subject> {
    let it = || partition.clone();
    match name {
        "leader" | "leader epoch" => vec![Subject::Leader(it())],
        "ISR" => vec![Subject::Isr(it())],
        "ELR" => vec![Subject::Elr(it())],
        "replicas" | "adding" | "removing" => vec![Subject::Replicas(it())],
        "partition epoch" => vec![Subject::Isr(it()), Subject::Elr(it()), Subject::Replicas(it())],
        "min.insync.replicas in effect" => {
            let setting = "min.insync.replicas".to_string();
            let of_all = Subject::Setting("all brokers".to_string(), setting.clone());
            vec![Subject::Setting(partition.topic.0.to_string(), setting), of_all]
        }
        name => {
            let leader = world.registration(partition).and_then(|registration| registration.leader);
            leader.and_then(|leader| of_log(partition, leader, name)).into_iter().collect()
        }
    }
}

fn of_replica(world: &World, partition: &TopicPartition, broker: BrokerId, section: &str, name: &str) -> Vec<Subject> {
    let followers = world.registration(partition).map_or(Vec::new(), |registration| registration.replicas.clone());
    let follower = followers.into_iter().find(|follower| follower_title(*follower) == section);
    match (name, follower) {
        ("role" | "leader epoch", _) => vec![Subject::Leader(partition.clone())],
        ("maximal ISR", _) => vec![Subject::Isr(partition.clone())],
        (name, follower) => of_log(partition, follower.unwrap_or(broker), name).into_iter().collect(),
    }
}

fn of_log(partition: &TopicPartition, broker: BrokerId, name: &str) -> Option<Subject> {
    let it = || partition.clone();
    Some(match name {
        "log end offset" => Subject::LogEnd(it(), broker),
        "high watermark" | "last stable offset" => Subject::HighWatermark(it(), broker),
        "log start offset" => Subject::LogStart(it(), broker),
        "compacted up to" => Subject::Cleaned(it(), broker),
        "safe from a loss of power up to" => Subject::Flushed(it(), broker),
        _ => return None,
    })
}

fn of_broker(id: BrokerId, name: &str) -> Option<Subject> {
    Some(match name {
        "fenced" | "in controlled shutdown" => Subject::Fenced(id),
        "broker epoch" | "incarnation" | "state" => Subject::Node(NodeId::Broker(id)),
        "partitions led" => Subject::Led(id),
        _ => return None,
    })
}

fn of_controller(id: ControllerId, name: &str) -> Option<Subject> {
    Some(match name {
        "role" | "leader" | "epoch" | "active controller" => Subject::Quorum,
        "voters" => Subject::Voters,
        "state" => Subject::Node(NodeId::Controller(id)),
        "snapshots end at" | "log start offset" => Subject::Snapshots(NodeId::Controller(id)),
        _ => return None,
    })
}

fn of_group(world: &World, group: &str, section: &str, name: &str) -> Vec<Subject> {
    if let Some(of_member) = of_member(world, group, section, name) {
        return of_member;
    }
    let shared = world.share_partitions(group).into_iter().find(|partition| share_title(partition) == section);
    if let Some(partition) = shared {
        return vec![Subject::Share(group.to_string(), partition)];
    }
    match name {
        "state" | "generation" | "members" | "assignor" | "leader" | "group epoch" | "target epoch"
        | "assignment epoch" => vec![Subject::Group(group.to_string())],
        "coordinator" => coordinator(world, OFFSETS_TOPIC, group).into_iter().collect(),
        name => lag(world, group, name).unwrap_or_else(|| {
            TopicPartition::parse(name).map(|it| Subject::Committed(group.to_string(), it)).into_iter().collect()
        }),
    }
}

/// What a member of a consumer group has, and what it is to have.
fn of_member(world: &World, group: &str, section: &str, name: &str) -> Option<Vec<Subject>> {
    let members = &world.consumer_group(group)?.members;
    let named = members.values().map(|member| member.metadata.client_id.as_str());
    let client = named.into_iter().find(|client| member_title(client) == section)?;
    Some(match name {
        "target" => vec![Subject::Group(group.to_string())],
        _ => vec![Subject::Member(group.to_string(), client.to_string())],
    })
}

fn coordinator(world: &World, topic: &str, key: &str) -> Option<Subject> {
    world.coordinator_partition(topic, key).map(Subject::Leader)
}

fn lag(world: &World, group: &str, name: &str) -> Option<Vec<Subject>> {
    let partition = name.strip_prefix(&lag_name("")).and_then(TopicPartition::parse)?;
    let leader = world.registration(&partition).and_then(|registration| registration.leader);
    let end = leader.map(|leader| Subject::HighWatermark(partition.clone(), leader));
    Some(end.into_iter().chain([Subject::Committed(group.to_string(), partition)]).collect())
}

/// Of either kind.
fn of_consumer(world: &World, consumer: &str, name: &str) -> Option<Vec<Subject>> {
    let node = NodeId::Client(world.client_named(consumer)?);
    let classic = world.consumer(consumer).map(|consumer| consumer.group().to_string());
    let shared = || world.share_consumer(consumer).map(|consumer| consumer.group().to_string());
    let group = classic.or_else(shared)?;
    Some(match name {
        "generation" | "member epoch" | "member id" | "member" => vec![Subject::Group(group)],
        "assignment" | "assigned" => vec![Subject::Assignment(node)],
        "records delivered" => vec![Subject::Delivered(node)],
        "holds" => vec![Subject::Held(node)],
        name => lag(world, &group, name)
            .unwrap_or_else(|| TopicPartition::parse(name).map(|it| Subject::Position(node, it)).into_iter().collect()),
    })
}

fn of_stream(world: &World, stream: &str, name: &str) -> Option<Subject> {
    let node = NodeId::Client(world.client_named(stream)?);
    Some(match name {
        "state" | "failure" => Subject::Node(node),
        "batch done" | "batch planned" | "checkpoint" | "planned end" => Subject::Batch(node),
        "records given to the sink" | "of them again" => Subject::Delivered(node),
        "offsets passed over" => Subject::DataLost(node),
        partition => Subject::Position(node, TopicPartition::parse(partition)?),
    })
}

fn of_producer(world: &World, producer: &str, section: &str, name: &str) -> Option<Subject> {
    let node = NodeId::Client(world.client_named(producer)?);
    Some(match (section, name) {
        ("Records", "sent" | "pending") => Subject::Sent(node),
        ("Records", "acknowledged") => Subject::Acked(node),
        ("Records", "failed") => Subject::Failed(node),
        ("Records", _) => Subject::Threw(node),
        ("Transaction", "state" | "error") => Subject::Transaction(node),
        ("Transaction", "coordinator") => {
            coordinator(world, TRANSACTION_TOPIC, world.producer(producer)?.transactional_id()?)?
        }
        ("Idempotence", _) => Subject::Identity(node),
        ("Failed with", error) => Subject::FailedWith(node, error.to_string()),
        _ => return None,
    })
}
