//! What there is to see of share groups (KIP-932): the cards of their consumers, their hands on the logs,
//! their part of the inspector and of the JSON of the command line.

use serde_json::{Value, json};

use crate::kafka::client::ShareConsumer;
use crate::kafka::group::share::ShareGroup;
use crate::kafka::share::{RecordState, SharePartition};
use crate::sim::queries::Reader;
use crate::sim::{Member, Power, World};
use crate::view::cards::{ConsumerCard, Look, SHOWN, reading, recently, some_of};
use crate::view::inspect::{Inspection, Row, Section, application, or_none, section, share_title};
use crate::view::report::delivered;
use crate::wire::{Offset, StrBytes, TopicPartition};

/// Where the group's reading of each partition begins.
pub fn starts(world: &World, group: &str) -> Vec<(TopicPartition, Offset)> {
    let all = world.share_partitions(group).into_iter();
    all.filter_map(|partition| Some((partition.clone(), window(world.share_partition(group, &partition)?).0))).collect()
}

/// Before `start` everything is done with; what is in flight ends before `end`.
pub fn window(share: &SharePartition) -> (Offset, Offset) {
    let start = share.window().start;
    let last = share.in_flight().last().map(|batch| batch.last().next());
    (start, last.unwrap_or(start).max(start))
}

pub(super) fn consumer(look: &Look<'_>, name: &str, member: &Member, consumer: &ShareConsumer) -> ConsumerCard {
    let running = member.power == Power::Running && consumer.is_running();
    let ends = consumer.assignment().iter().map(|partition| {
        let share = look.world.share_partition(consumer.group(), partition);
        (partition, share.map(|share| window(share).1.0))
    });
    let held: Vec<_> = ends.collect();
    let (shown, more) = some_of(look, &held);
    let records = Reader::ShareConsumer(consumer).records(Some(SHOWN as u64));
    let twice: Vec<_> = consumer.delivered().backwards().take(SHOWN).filter(|given| given.delivery_count > 1).collect();
    let again = |record: &crate::sim::queries::Delivered| {
        twice.iter().any(|given| {
            given.batch.partition == record.partition && (given.batch.first..=given.batch.last).contains(&record.offset)
        })
    };
    ConsumerCard {
        name: name.to_string(),
        kind: "share-consumer",
        running,
        frozen: member.frozen,
        activity: activity(member, consumer, running),
        // Members of a share group wait for nobody: an old epoch says nothing.
        other_generation: None,
        more,
        lag: look.committed.iter().filter_map(|(partition, _)| look.world.lag(consumer.group(), partition)).sum(),
        partitions: shown.into_iter().map(|(partition, end)| reading(look, partition, end)).collect(),
        delivered: consumer.delivered_count(),
        recent: records.iter().map(|record| recently(record, again(record))).collect(),
    }
}

fn activity(member: &Member, consumer: &ShareConsumer, running: bool) -> String {
    let holds = consumer.unacknowledged().count();
    match () {
        () if !running => "stopped".to_string(),
        () if member.frozen => "frozen".to_string(),
        () if consumer.epoch().is_none() => "joining".to_string(),
        () if holds > 0 => format!("holds {holds}"),
        () => "polling".to_string(),
    }
}

pub fn inspect_consumer(world: &World, name: &str) -> Option<Inspection> {
    let consumer = world.share_consumer(name)?;
    let held: Vec<String> =
        consumer.unacknowledged().map(|(partition, offset)| format!("{partition} @ {offset}")).collect();
    let member = vec![
        ("group", consumer.group().to_string()),
        ("protocol", "share".to_string()),
        ("member", or_none(consumer.member_id())),
        ("member epoch", or_none(consumer.epoch())),
        ("assigned", list(consumer.assignment())),
        ("application", application(consumer.busy_until(world.now))),
        ("holds", if held.is_empty() { "nothing".to_string() } else { held.join(", ") }),
        ("records delivered", consumer.delivered_count().to_string()),
    ];
    let given = consumer.delivered().backwards().take(SHOWN).map(|given| {
        let count = given.delivery_count;
        let times = if count == 1 { "first delivery".to_string() } else { format!("delivery {count}") };
        Row::new(given.batch.partition.to_string(), format!("{}–{}: {times}", given.batch.first, given.batch.last))
    });
    let given = Section { title: "Newest deliveries".to_string(), rows: given.collect() };
    Some(Inspection::new(format!("Share consumer {name}"), vec![section("Member", member), given]))
}

fn list(partitions: &[TopicPartition]) -> String {
    match partitions {
        [] => "none".to_string(),
        some => some.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The sections of a share group.
pub fn inspect_group(world: &World, name: &str) -> Vec<Section> {
    let Some(group) = world.share_group(name) else { return Vec::new() };
    let about = vec![
        ("protocol", "share".to_string()),
        ("state", group.state().name().to_string()),
        ("group epoch", group.epoch.to_string()),
        ("assignment epoch", group.target_epoch.to_string()),
        ("members", group.members.len().to_string()),
    ];
    let members = group.members.values().map(|member| {
        let count: usize = member.current.assigned.values().map(|numbers| numbers.len()).sum();
        Row::new(member.name().to_string(), format!("epoch {}, {count} partitions", member.current.epoch))
    });
    let members = Section { title: "Members".to_string(), rows: members.collect() };
    let mut sections = vec![section("Group", about), members];
    for partition in world.share_partitions(name) {
        let Some(share) = world.share_partition(name, &partition) else { continue };
        sections.push(partition_section(group, &partition, share));
    }
    sections
}

/// What the leader keeps of a share partition: the window, and each run of records in flight.
fn partition_section(group: &ShareGroup, partition: &TopicPartition, share: &SharePartition) -> Section {
    let (start, end) = window(share);
    let mut rows = vec![
        Row::new("start offset", start.to_string()),
        Row::new("in flight before", end.to_string()),
        Row::new("state epoch", share.window().state_epoch.to_string()),
    ];
    for (first, last, state) in share.in_flight().flat_map(|batch| batch.states()) {
        let offsets = if first == last { first.to_string() } else { format!("{first}–{last}") };
        // A member that has left the group may hold records until their locks end.
        let name = |id: &StrBytes| group.members.get(id).map_or(id.clone(), |member| member.name().clone());
        let holder = state.member().map(|member| format!(", held by {}", name(member))).unwrap_or_default();
        let word = state_word(state.state());
        rows.push(Row::new(offsets, format!("{word}, delivery {}{holder}", state.delivery_count())));
    }
    Section { title: share_title(partition), rows }
}

/// Kafka's name of a record's state.
fn state_word(state: RecordState) -> &'static str {
    match state {
        RecordState::Available => "available",
        RecordState::Acquired => "acquired",
        RecordState::Acknowledged => "acknowledged",
        RecordState::Archived => "archived",
    }
}

/// One share group in the JSON of a run.
pub fn report_group(world: &World, name: &str) -> Value {
    let Some(group) = world.share_group(name) else { return Value::Null };
    let members = group.members.values().map(|member| {
        let client = member.name().as_str();
        let assigned = world.share_consumer(client).map(|consumer| consumer.assignment().to_vec()).unwrap_or_default();
        let assigned: Vec<String> = assigned.iter().map(TopicPartition::to_string).collect();
        json!({ "id": member.id.as_str(), "client": client, "epoch": member.current.epoch, "assignment": assigned })
    });
    let partitions = world.share_partitions(name).into_iter().filter_map(|partition| {
        let share = world.share_partition(name, &partition)?;
        let runs = share.in_flight().flat_map(|batch| batch.states()).map(|(first, last, state)| {
            json!({
                "first": first.0,
                "last": last.0,
                "state": state_word(state.state()),
                "delivery_count": state.delivery_count(),
                "member": state.member().map(|member| member.as_str()),
            })
        });
        let runs: Vec<Value> = runs.collect();
        Some(json!({ "partition": partition.to_string(), "start_offset": window(share).0.0, "in_flight": runs }))
    });
    json!({
        "id": name,
        "protocol": "share",
        "state": group.state().name(),
        "generation": group.epoch,
        "coordinator": world.coordinator(name).map(|broker| broker.0),
        "assignor": world.assignor_of(name),
        "members": members.collect::<Vec<_>>(),
        "offsets": [],
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

/// One share consumer in the JSON of a run.
pub fn report_consumer(name: &str, consumer: &ShareConsumer, brief: bool) -> Value {
    let mut value = json!({ "name": name, "group": consumer.group() });
    if !brief {
        let records = Reader::ShareConsumer(consumer).records(None);
        value["delivered"] = Value::Array(records.iter().map(delivered).collect());
    }
    value
}
