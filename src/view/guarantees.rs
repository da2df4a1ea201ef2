//! The two questions, answered live, and each broken promise with what would have kept it.

use serde::Serialize;

use crate::kafka::fact::Names;
use crate::sim::properties::Holds;
use crate::sim::{Again, Anomaly, AnomalyKind, LossCause, Property, World};
use crate::view::partitions::restart;
use crate::view::report::word;
use crate::wire::batch::Batch;
use crate::wire::{Offset, TopicPartition};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantees {
    /// The answer to "Was anything acknowledged and then lost?": "No. 24 acknowledged, 24 safe."
    pub lost: Answer,
    /// The answer to "Did any key's order break?"
    pub order: Answer,
    /// Further lines: waiting above the high watermark, duplicated, skipped, redelivery windows.
    pub lines: Vec<String>,
    pub anomalies: Vec<AnomalyRow>,
    /// What the engine itself must keep, one row for each property.
    pub properties: Vec<PropertyRow>,
}

/// A property of the engine at the viewed instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PropertyRow {
    /// `LeaderInIsr`
    pub name: &'static str,
    /// What must hold.
    pub sentence: &'static str,
    /// The KIP, Kafka class or paper that says so.
    pub source: &'static str,
    /// Under which settings it must hold.
    pub holds: &'static str,
    pub state: PropertyState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PropertyState {
    Kept,
    /// Not promised for some partitions at the moment, with the reason of each.
    NotPromised(Vec<Excused>),
    /// A bug of the engine: what was seen, and the event before it.
    Broken {
        text: String,
        event: u64,
    },
}

/// A partition whose committed records are not safe, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excused {
    pub partition: String,
    pub reason: &'static str,
    /// The event that took the promise away.
    pub event: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub good: bool,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnomalyRow {
    /// `lost`, `duplicated`, `reordered`, `skipped`, `phantom`
    pub word: &'static str,
    pub text: String,
    /// The setting that would have prevented it, with why.
    pub prevented_by: String,
    /// The event that brought it about, to jump to.
    pub event: u64,
}

/// The answers at the viewed instant.
///
/// `waiting` is how many records stand above the high watermark, which the stage knows already.
pub fn guarantees(world: &World, waiting: i64) -> Guarantees {
    let ledger = world.ledger();
    let (acked, lost, reordered) = (ledger.acked, ledger.lost(), ledger.reordered());
    let lost_text = match lost {
        0 => format!("No. {acked} acknowledged, {acked} safe."),
        lost => format!("Yes. {lost} of {acked} acknowledged records are gone."),
    };
    let order_text = match reordered {
        0 => "No. Every key’s records stand in order.".to_string(),
        1 => "Yes, once: a later record of a key stands before an earlier one.".to_string(),
        times => format!("Yes, {times} times: later records of a key stand before earlier ones."),
    };
    Guarantees {
        lost: Answer { good: lost == 0, text: lost_text },
        order: Answer { good: reordered == 0, text: order_text },
        lines: lines(world, waiting),
        anomalies: ledger.anomalies().map(|anomaly| row(world, anomaly)).collect(),
        properties: properties(world),
    }
}

/// One row for each property that the engine must keep; none when nobody watches.
pub fn properties(world: &World) -> Vec<PropertyRow> {
    let Some(watched) = world.properties() else { return Vec::new() };
    let excused: Vec<Excused> = watched
        .excuses()
        .map(|(partition, excuse)| Excused {
            partition: partition.to_string(),
            reason: excuse.text(),
            event: excuse.event.0,
        })
        .collect();
    let state = |property: Property| match watched.broken().iter().find(|broken| broken.property == property) {
        Some(broken) => {
            let place = broken.partition.as_ref().map_or(String::new(), |partition| format!("{partition}: "));
            PropertyState::Broken { text: format!("{place}{}", broken.text), event: broken.event.0 }
        }
        None if property.holds() == Holds::WhileCommittedIsSafe && !excused.is_empty() => {
            PropertyState::NotPromised(excused.clone())
        }
        None => PropertyState::Kept,
    };
    let row = |property: &Property| PropertyRow {
        name: property.name(),
        sentence: property.sentence(),
        source: property.source(),
        holds: property.holds().sentence(),
        state: state(*property),
    };
    Property::ALL.iter().map(row).collect()
}

fn lines(world: &World, waiting: i64) -> Vec<String> {
    let ledger = world.ledger();
    let mut lines = Vec::new();
    lines.push(match waiting {
        0 => "Nothing waits above the high watermark.".to_string(),
        1 => "1 record waits above the high watermark: not readable yet.".to_string(),
        n => format!("{n} records wait above the high watermark: not readable yet."),
    });
    if ledger.unconfirmed > 0 {
        lines.push(format!(
            "{} records were sent with acks=0: nobody promised anything about them.",
            ledger.unconfirmed
        ));
    }
    for group in ledger.groups() {
        let window = redelivery_window(world, &group);
        let (duplicated, skipped) = (ledger.duplicated(&group), ledger.skipped(&group));
        lines.push(format!(
            "Group {group}: {duplicated} delivered more than once, {skipped} skipped, {window} in the redelivery window."
        ));
    }
    for (name, _, stream) in world.streams() {
        let (count, again, gone) = (stream.sink().count(), stream.sink().again(), stream.passed_over());
        lines.push(format!(
            "Stream {name}: {count} given to its sink, {again} of them again in a batch that was run again, {gone} passed \
             over because they were gone."
        ));
    }
    lines
}

/// How many records stand above the high watermark, in all logs that people use.
pub fn waiting(world: &World) -> i64 {
    let partitions = world.partitions().map(|(partition, _)| partition).filter(|partition| !partition.is_internal());
    let logs = partitions.filter_map(|partition| world.log_of(&partition, None));
    logs.map(|log| log.log_end() - log.high_watermark()).sum()
}

/// Delivered but not committed: what a crash of the members now would deliver again.
fn redelivery_window(world: &World, group: &str) -> i64 {
    let committed: Vec<(&TopicPartition, Offset)> = world.committed_by(group).collect();
    let consumers = world.consumers().filter(|(_, _, consumer)| consumer.group() == group);
    let mut window = 0;
    for (_, _, consumer) in consumers {
        // Both are in order: one walk along both.
        let mut rest = committed.iter().peekable();
        for (partition, assigned) in consumer.assigned() {
            while rest.next_if(|(other, _)| *other < partition).is_some() {}
            let committed = rest.peek().filter(|(other, _)| *other == partition).map(|(_, offset)| *offset);
            let position = assigned.position.as_ref().map(|position| position.offset.0);
            if let (Some(restart), Some(position)) = (restart(world, consumer, partition, committed), position) {
                window += (position - restart).max(0);
            }
        }
    }
    window
}

fn row(world: &World, anomaly: &Anomaly) -> AnomalyRow {
    let records = match anomaly.records() {
        1 => format!("offset {} of {}", anomaly.first, anomaly.partition),
        _ => format!("offsets {}–{} of {}", anomaly.first, anomaly.last, anomaly.partition),
    };
    let group = anomaly.group.as_deref().unwrap_or_default();
    let text = match anomaly.kind {
        AnomalyKind::Lost => format!("{records}: acknowledged, and no longer in the leader's log"),
        AnomalyKind::Duplicated => format!("{records}: delivered to group {group} more than once"),
        AnomalyKind::Reordered => {
            format!("{records}: records of one key stand in another order than they were sent in")
        }
        AnomalyKind::Skipped => format!("{records}: group {group} moved on without reading"),
        AnomalyKind::Phantom => format!("{records}: read by a consumer, and gone since"),
    };
    AnomalyRow { word: word(anomaly.kind), text, prevented_by: prevention(world, anomaly), event: anomaly.event.0 }
}

/// The setting that would have kept the promise, with why.
pub fn prevention(world: &World, anomaly: &Anomaly) -> String {
    match anomaly.kind {
        AnomalyKind::Lost | AnomalyKind::Phantom => prevention_of_loss(world, anomaly),
        AnomalyKind::Duplicated => prevention_of_repetition(world, anomaly),
        AnomalyKind::Reordered if is_idempotent(world, anomaly) => {
            "max.in.flight.requests.per.connection=1: the new leader knew nothing of the producer and took a later \
             batch for its first, which enable.idempotence alone does not prevent."
                .to_string()
        }
        AnomalyKind::Reordered => {
            "enable.idempotence=true (or max.in.flight.requests.per.connection=1): a retried batch then cannot be \
             overtaken."
                .to_string()
        }
        AnomalyKind::Skipped if is_deleted(world, anomaly) => {
            "A longer retention.ms (or a larger retention.bytes), or a group that reads sooner: the records were \
             deleted before it came to them."
                .to_string()
        }
        AnomalyKind::Skipped => {
            "auto.offset.reset=earliest: a group without a valid position then begins at the oldest record instead of \
             the newest."
                .to_string()
        }
    }
}

/// What would have kept the group from reading again, by what took it back.
fn prevention_of_repetition(world: &World, anomaly: &Anomaly) -> String {
    let said = match anomaly.again {
        Some(Again::Seek) => {
            "No seek: the application moved its position back, and was given again what it asked for. Whatever replays \
             needs an effect that may happen twice."
        }
        Some(Again::SetBack) => {
            "Nobody setting the group back: its committed offset was moved to an earlier record (reset-offsets, or a \
             commit after a seek), and its readers began there again."
        }
        Some(Again::Reset) => {
            "auto.offset.reset=none, or a longer offsets.retention.minutes: the group's committed offset was no longer \
             valid, and the reset went back over what had been read."
        }
        Some(Again::Overdue) => {
            "A smaller max.poll.records, or a longer max.poll.interval.ms: a member was out of its group before it had \
             handled and committed what it was given, and that was given to another."
        }
        Some(Again::Uncommitted) | None => return commit_sooner(world, anomaly),
    };
    said.to_string()
}

/// What was read after the last commit is read again by whoever takes over.
fn commit_sooner(world: &World, anomaly: &Anomaly) -> String {
    let group = anomaly.group.as_deref().unwrap_or_default();
    let mut readers = world.consumers().filter(|(_, _, reader)| *reader.group() == *group);
    let sooner = match readers.find(|(_, _, reader)| reader.config().auto_commit) {
        Some((name, _, reader)) => {
            let now = reader.config().auto_commit_interval.millis();
            format!("A shorter auto.commit.interval.ms ({now} at {name}) leaves less to be read again")
        }
        None => "A commit after each record leaves less to be read again".to_string(),
    };
    format!(
        "{sooner}: what was read and not committed goes to whoever takes over. Delivery is at least once; an effect \
         happens once if it is idempotent, or if the offsets are committed in its transaction (KIP-98)."
    )
}

/// Whether the records that were overtaken carry a producer id and its sequence.
fn is_idempotent(world: &World, anomaly: &Anomaly) -> bool {
    let acked = world.ledger().partition(&anomaly.partition);
    let mut batches = acked.into_iter().flat_map(|ledger| ledger.acked.iter());
    let batch = batches.find(|batch| batch.event == anomaly.event);
    batch.is_some_and(|batch| {
        Batch::split_first(&mut batch.records.clone(), false).is_ok_and(|batch| batch.has_producer())
    })
}

/// Whether the log begins behind what was skipped: retention or DeleteRecords took it.
fn is_deleted(world: &World, anomaly: &Anomaly) -> bool {
    world.log_of(&anomaly.partition, None).is_some_and(|log| anomaly.last < log.log_start())
}

/// What would have kept the record, by what took it away.
fn prevention_of_loss(world: &World, anomaly: &Anomaly) -> String {
    match anomaly.cause {
        Some(LossCause::NotReplicated) => {
            let producer = acked_by(world, anomaly).unwrap_or("the producer");
            format!("acks=all at {producer}: with acks=1 only the leader had the record when it was acknowledged.")
        }
        Some(LossCause::UncleanElection) => {
            "unclean.leader.election.enable=false: a replica that was not in sync must not lead while another has \
             the records and can come back."
                .to_string()
        }
        Some(LossCause::ElectedByHand) => {
            "No unclean election by hand: a broker that was not asked still had the records, and would have led \
             again when it came back."
                .to_string()
        }
        Some(LossCause::ReplicasLost) | None => more_copies(world, anomaly),
    }
}

/// The name of the producer that was told that the records are safe.
fn acked_by<'a>(world: &'a World, anomaly: &Anomaly) -> Option<&'a str> {
    let ledger = world.ledger().partition(&anomaly.partition)?;
    let batch = ledger.acked.iter().find(|batch| batch.base == anomaly.first)?;
    Some(world.client(batch.producer))
}

/// Every machine that had to have the records lost them: more of them must have to, or each must write
/// to its disk before it answers.
fn more_copies(world: &World, anomaly: &Anomaly) -> String {
    let replicas = world.registration(&anomaly.partition).map_or(1, |registration| registration.replicas.len());
    let config = world.log_of(&anomaly.partition, None).map(|log| log.config());
    let least = config.map_or(1, |config| config.min_insync_replicas);
    if replicas <= 1 {
        return "replication factor 3 with min.insync.replicas=2: the only replica lost the record.".to_string();
    }
    if least <= 1 {
        return "min.insync.replicas=2 with replication factor 3: one replica alone was enough to acknowledge the \
                record, and that one lost it."
            .to_string();
    }
    if config.is_some_and(|config| config.flush_messages > 1) {
        return format!(
            "flush.messages=1, so that a broker writes to its disk before it answers, or replicas that do not lose \
             their power together: all {least} that had to have the record lost it before it was flushed."
        );
    }
    format!("min.insync.replicas={}: all {least} replicas that had to have the record lost their disks.", least + 1)
}
