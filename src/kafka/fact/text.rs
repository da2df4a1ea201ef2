//! How a fact reads: the line of a transcript, the event of the page, the tooltip.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::kafka::fact::{Fact, Names, PositionReason, RecordsFate};
use crate::time::Duration;
use crate::wire::{BrokerId, ControllerId, ErrorCode, NodeId, Offset, TopicPartition};

impl Fact {
    /// The sentence.
    pub fn text(&self, names: &dyn Names) -> String {
        match self {
            Fact::Killed { node } => format!("{} died", process(names, *node)),
            Fact::PoweredOff { node } => {
                format!("{} lost power: what it had not flushed is gone", process(names, *node))
            }
            Fact::Started { node } => format!("{} starts", process(names, *node)),
            Fact::Stopping { node } => {
                format!("{} begins a controlled shutdown", process(names, *node))
            }
            Fact::Stopped { node } => format!("{} has stopped", process(names, *node)),
            Fact::Frozen { node } => {
                format!("{} is frozen: alive, but nothing runs", process(names, *node))
            }
            Fact::Thawed { node } => format!("{} runs again", process(names, *node)),
            Fact::Wiped { node } => format!("{} lost its disk", process(names, *node)),
            Fact::Cut { sides } => {
                let sides: Vec<String> = sides
                    .iter()
                    .map(|side| side.iter().map(|n| names.node(*n)).collect::<Vec<_>>().join(", "))
                    .collect();
                format!("network cut: {}", sides.join(" | "))
            }
            Fact::Healed {} => "the network is whole again".to_string(),
            Fact::LinkBent { from, to, latency, loss_percent } => {
                let mut text = format!("link {} → {}: latency {latency}", names.node(*from), names.node(*to));
                if *loss_percent > 0 {
                    let _ = write!(text, ", loss {loss_percent}%");
                }
                text
            }
            Fact::MessageLost { from, to, api, request } => {
                let what = if *request { "request" } else { "response" };
                format!("{} {what} {} → {} was lost", api.name(), names.node(*from), names.node(*to))
            }
            Fact::MessageDelayed { from, to, api, request, by } => {
                let what = if *request { "request" } else { "response" };
                format!("{} {what} {} → {} takes {by} longer", api.name(), names.node(*from), names.node(*to))
            }
            Fact::MessageDuplicated { from, to, api, request } => {
                let what = if *request { "request" } else { "response" };
                format!("{} {what} {} → {} arrives twice", api.name(), names.node(*from), names.node(*to))
            }
            Fact::DiskSlowed { broker, latency } if *latency == Duration::ZERO => {
                format!("the disk of broker {} is quick again", broker.0)
            }
            Fact::DiskSlowed { broker, latency } => {
                format!("the disk of broker {} is slow: a write takes {latency}", broker.0)
            }
            Fact::RequestTimedOut { node, to, api } => {
                format!("{}: {} to {} got no answer in time", names.node(*node), api.name(), names.node(*to))
            }
            Fact::QuorumCandidate { controller, epoch } => {
                format!("{controller} stands for election in epoch {epoch}")
            }
            Fact::QuorumLeaderElected { controller, epoch } => {
                format!("{controller} leads the metadata quorum, epoch {epoch}")
            }
            Fact::QuorumLeaderResigned { controller, epoch } => {
                format!("{controller} resigns, epoch {epoch}")
            }
            Fact::QuorumVotersChanged { voters, .. } => {
                let voters: Vec<String> = voters.iter().map(ControllerId::to_string).collect();
                format!("the metadata quorum's voters are {}", voters.join(", "))
            }
            Fact::SnapshotWritten { node, end, .. } => {
                format!("{} wrote a snapshot of the metadata below offset {end}", names.node(*node))
            }
            Fact::SnapshotLoaded { node, end, .. } => {
                format!("{} fetched the snapshot of the metadata below offset {end}", names.node(*node))
            }
            Fact::BrokerRegistered { broker, epoch } => {
                format!("broker {} registered, broker epoch {epoch}, fenced until it has caught up", broker.0)
            }
            Fact::RegistrationRefused { broker, error: ErrorCode::DuplicateBrokerRegistration, .. } => format!(
                "broker {} is not registered: DUPLICATE_BROKER_REGISTRATION, the session of its last process still runs",
                broker.0
            ),
            Fact::RegistrationRefused { broker, error, .. } => {
                format!("broker {} is not registered: {}", broker.0, error_name(*error))
            }
            Fact::BrokerUnfenced { broker } => format!("broker {} is unfenced", broker.0),
            Fact::BrokerFenced { broker, session_expired: true } => {
                format!("broker {} is fenced: no heartbeat for a session", broker.0)
            }
            Fact::BrokerFenced { broker, session_expired: false } => format!("broker {} is fenced", broker.0),
            Fact::BrokerInControlledShutdown { broker } => {
                format!("broker {} is shutting down", broker.0)
            }
            Fact::BrokerUnregistered { broker } => format!("broker {} is unregistered", broker.0),
            Fact::TopicNotCreated { broker, topic, error, reason } => {
                let (broker, error) = (broker.0, error_name(*error));
                format!("broker {broker}: topic {} could not be created: {error}. {reason}", topic.0)
            }
            Fact::TopicCreated { topic, partitions, replication_factor } => {
                format!("topic {} created: {partitions} partitions, {replication_factor} replicas", topic.0)
            }
            Fact::TopicDeleted { topic } => format!("topic {} deleted", topic.0),
            Fact::PartitionsAdded { topic, from, to } => {
                format!("topic {}: partitions {from} → {to}", topic.0)
            }
            Fact::ConfigChanged { resource, name, value } => match value {
                Some(value) => format!("{resource}: {name} = {value}"),
                None => format!("{resource}: {name} back to its default"),
            },
            Fact::LeaderElected { partition, from, to, leader_epoch, isr, unclean } => {
                let mut text = format!(
                    "{partition}: leader {} → {}, epoch {leader_epoch}, ISR {}",
                    broker_or_none(*from),
                    broker_or_none(*to),
                    brokers(isr)
                );
                if *unclean {
                    text.push_str(" (unclean: committed records may be lost)");
                }
                text
            }
            Fact::IsrChanged { partition, from, to, .. } => {
                let verb = if to.len() < from.len() { "shrinks" } else { "grows" };
                format!("{partition}: ISR {verb} {} → {}", brokers(from), brokers(to))
            }
            Fact::ElrChanged { partition, to } => format!("{partition}: ELR {}", brokers(to)),
            Fact::ReplicasChanged { partition, from, to } => {
                format!("{partition}: replicas {} → {}", brokers(from), brokers(to))
            }
            Fact::BecameLeader { partition, broker, leader_epoch, log_end } => {
                format!("broker {} leads {partition} from offset {log_end}, epoch {leader_epoch}", broker.0)
            }
            Fact::BecameFollower { partition, broker, leader: Some(leader), leader_epoch } => {
                format!("broker {} follows broker {} for {partition}, epoch {leader_epoch}", broker.0, leader.0)
            }
            Fact::BecameFollower { partition, broker, leader: None, leader_epoch } => {
                format!("broker {} has no leader to follow for {partition}, epoch {leader_epoch}", broker.0)
            }
            Fact::Appended { partition, broker, first, last, leader, .. } => {
                let who = if *leader { "leader" } else { "follower" };
                format!("{partition}: {who} {} appends {}", broker.0, offsets(*first, *last))
            }
            Fact::Truncated { partition, broker, from, to } => {
                format!("{partition}: broker {} truncates {}", broker.0, offsets(*to, Offset(from.0 - 1)))
            }
            Fact::HighWatermarkMoved { partition, broker, to, leader, .. } => {
                let who = if *leader { "leader" } else { "follower" };
                format!("{partition}: high watermark {to} at {who} {}", broker.0)
            }
            Fact::IsrChangeProposed { partition, broker, from, to } => {
                format!("{partition}: leader {} proposes ISR {} → {}", broker.0, brokers(from), brokers(to))
            }
            Fact::IsrChangeRefused { partition, broker, error } => {
                format!("{partition}: the ISR change of leader {} is refused: {}", broker.0, error_name(*error))
            }
            Fact::LogStartMoved { partition, broker, to } => {
                format!("{partition}: log of broker {} starts at {to} now", broker.0)
            }
            Fact::SegmentRolled { partition, broker, base } => {
                format!("{partition}: broker {} begins a segment at offset {base}", broker.0)
            }
            Fact::SegmentsDeleted { partition, broker, count, why } => {
                let segments = if *count == 1 { "segment" } else { "segments" };
                format!("{partition}: broker {} deletes {count} old {segments} ({why})", broker.0)
            }
            Fact::LogCompacted { partition, broker, to, bytes_before, bytes_after } => {
                let (broker, below) = (broker.0, *to);
                format!(
                    "{partition}: broker {broker} compacted below offset {below}: {bytes_before} → {bytes_after} bytes"
                )
            }
            Fact::LogFlushed { partition, broker, to } => {
                format!("{partition}: broker {} flushed up to offset {to}", broker.0)
            }
            Fact::ProducersExpired { partition, broker, count } => {
                format!("{partition}: broker {} forgets {count} silent producers", broker.0)
            }
            Fact::PositionOutOfRange { consumer, partition, at } => {
                format!(
                    "{}: offset {at} of {partition} is out of range: the log does not have it",
                    names.client(*consumer)
                )
            }
            Fact::ProduceRefused { partition, broker, error } => {
                format!("{partition}: broker {} refuses a produce: {}", broker.0, error_name(*error))
            }
            Fact::DuplicateBatch { partition, broker, first, last } => {
                format!("{partition}: leader {} has this batch already as {}", broker.0, offsets(*first, *last))
            }
            Fact::CoordinatorLoaded { partition, broker, groups } => {
                let names: Vec<&str> = groups.iter().map(|group| group.0.as_str()).collect();
                format!("broker {} coordinates {} ({partition})", broker.0, names.join(", "))
            }
            Fact::RebalanceStarted { group, reason } => {
                format!("group {} rebalances: {reason}", group.0)
            }
            Fact::GenerationStable { group, generation, members } => {
                format!("group {} is stable: generation {generation}, {}", group.0, count(*members, "member"))
            }
            Fact::MemberJoined { group, client, .. } => format!("{client} joins group {}", group.0),
            Fact::MemberRemoved { group, client, reason, .. } => {
                format!("{client} leaves group {}: {reason}", group.0)
            }
            Fact::GroupEpochRaised { group, epoch, reason } => {
                format!("group {} moves to epoch {epoch}: {reason}", group.0)
            }
            Fact::TargetComputed { group, epoch, assignor } => {
                format!("group {}: {assignor} computes the target of epoch {epoch}", group.0)
            }
            Fact::RevocationAsked { group, client, partitions } => {
                format!("group {} asks {client} to give up {}", group.0, list(partitions))
            }
            Fact::MemberReached { group, client, epoch, waits } => {
                let but = if *waits { " and waits for partitions that others still have" } else { "" };
                format!("{client} reaches epoch {epoch} of group {}{but}", group.0)
            }
            Fact::GroupReconciled { group, epoch, members } => {
                format!("group {} is stable: epoch {epoch}, {}", group.0, count(*members, "member"))
            }
            Fact::SharePartitionsInitialized { group, partitions } => {
                format!("group {} may assign {} now", group.0, list(partitions))
            }
            Fact::ShareOffsetsAltered { group, offsets } => {
                let offsets: Vec<String> =
                    offsets.iter().map(|(partition, at)| format!("{partition} from {at}")).collect();
                format!("share group {} is set to read {}", group.0, offsets.join(", "))
            }
            Fact::StaticMemberAway { group, client } => {
                format!("{client} leaves group {} for a while and keeps its place", group.0)
            }
            Fact::GroupConverted { group, protocol, epoch } => {
                format!("group {} speaks the {protocol} protocol from now on, epoch {epoch}", group.0)
            }
            Fact::GroupEmpty { group, round } => {
                format!("group {} is empty, {round}", group.0)
            }
            Fact::GroupDeleted { group } => format!("group {} is deleted", group.0),
            Fact::OffsetCommitted { group, partition, offset } => {
                format!("group {} committed {partition} at {offset}", group.0)
            }
            Fact::TransactionsLoaded { partition, broker, ids } => {
                let names: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
                format!("broker {} coordinates the transactions of {} ({partition})", broker.0, names.join(", "))
            }
            Fact::TransactionBegun { transactional_id, producer_id, epoch } => {
                format!("a transaction of {} begins: producer id {}, epoch {epoch}", transactional_id.0, producer_id.0)
            }
            Fact::PartitionsAddedToTransaction { transactional_id, partitions } => {
                format!("the transaction of {} takes in {}", transactional_id.0, list(partitions))
            }
            Fact::TransactionPrepared { transactional_id, commit, partitions } => {
                let what = if *commit { "commit" } else { "abort" };
                let id = &transactional_id.0;
                match partitions.is_empty() {
                    true => format!("the coordinator of {id} has decided to {what}"),
                    false => {
                        format!("the coordinator of {id} has decided to {what}: markers go to {}", list(partitions))
                    }
                }
            }
            Fact::MarkerWritten { partition, broker, producer_id, commit, offset, .. } => {
                let what = if *commit { "COMMIT" } else { "ABORT" };
                let (broker, producer) = (broker.0, producer_id.0);
                format!(
                    "{partition}: leader {broker} writes the {what} marker of producer {producer} at offset {offset}"
                )
            }
            Fact::TransactionCompleted { transactional_id, commit } => {
                let what = if *commit { "committed" } else { "aborted" };
                format!("the transaction of {} is {what}: every partition has its marker", transactional_id.0)
            }
            Fact::TransactionTimedOut { transactional_id } => {
                format!("the transaction of {} is open for longer than its timeout", transactional_id.0)
            }
            Fact::TransactionFenced { transactional_id } => {
                let id = &transactional_id.0;
                format!("a new producer of {id} arrives: the transaction that the old one left open ends")
            }
            Fact::ProducerFenced { transactional_id, epoch, current } => {
                let id = &transactional_id.0;
                format!("a producer of {id} with epoch {epoch} is fenced: the epoch is {current} now")
            }
            Fact::TransactionalIdExpired { transactional_id } => {
                format!("the transactional id {} is forgotten: nobody used it", transactional_id.0)
            }
            Fact::ShareWriteOvertaken { group, partition, broker } => format!(
                "{partition}: broker {} has written a newer state of share group {} before an older one",
                broker.0, group.0
            ),
            Fact::SharePartitionRead { group, partition, broker, start } => {
                format!("{partition}: share group {} goes on from offset {start} at broker {}", group.0, broker.0)
            }
            // The consumer itself tells by name that it has them; the leader knows only an id.
            Fact::RecordsAcquired { group, partition, first, last, delivery_count, member: _, broker: _ } => {
                let (group, what) = (&group.0, offsets(*first, *last));
                format!("{partition}: locked for a member of share group {group}: {what}, delivery {delivery_count}")
            }
            Fact::RecordsSettled { group, partition, first, last, fate, broker: _ } => {
                let fate = match fate {
                    RecordsFate::Acknowledged => "acknowledged",
                    RecordsFate::Released => "released",
                    RecordsFate::Archived => "archived",
                };
                format!("{partition}: share group {} has {fate} {}", group.0, offsets(*first, *last))
            }
            Fact::AcquisitionLockTimedOut { group, partition, first, last, archived, broker: _ } => {
                let (group, what) = (&group.0, offsets(*first, *last));
                let end = if *archived { "archived: it was delivered too often" } else { "there for others" };
                format!("{partition}: nobody in share group {group} acknowledged {what} in time: {end}")
            }
            Fact::ProducerIdAssigned { producer, producer_id, epoch } => {
                format!("{} has producer id {}, epoch {epoch}", names.client(*producer), producer_id.0)
            }
            Fact::RecordSent { producer, topic, partition, key, value } => format!(
                "{} sends {} to {}-{partition}",
                names.client(*producer),
                record(key.as_ref(), value.as_ref()),
                topic.0
            ),
            Fact::Acknowledged { producer, partition, base_offset, count, .. } => {
                let name = names.client(*producer);
                if base_offset.0 < 0 {
                    let verb = if *count == 1 { "counts" } else { "count" };
                    format!("{name}: {} to {partition} {verb} as sent", self::count(*count as i32, "record"))
                } else {
                    format!(
                        "{name}: {partition} acknowledged {}",
                        offsets(*base_offset, *base_offset + (i64::from(*count) - 1))
                    )
                }
            }
            Fact::SendFailed { producer, partition, count, error, .. } => {
                let (name, records) = (names.client(*producer), self::count(*count as i32, "record"));
                format!("{name}: {records} to {partition} failed: {}", error_name(*error))
            }
            Fact::SendRetried { producer, partition, error, .. } => {
                let why = error.map_or("connection lost or no answer".to_string(), error_name);
                format!("{}: sends again to {partition}: {why}", names.client(*producer))
            }
            Fact::SendRejected { producer, topic, error, .. } => {
                format!("{}: record to {} rejected: {error}", names.client(*producer), topic.0)
            }
            Fact::TxnBegun { producer } => format!("{} begins a transaction", names.client(*producer)),
            Fact::TxnOffsetsSent { producer, group } => {
                format!("{}: the offsets of group {} are part of the transaction", names.client(*producer), group.0)
            }
            Fact::TxnEnded { producer, commit } => {
                let how = if *commit { "committed" } else { "aborted" };
                format!("{}: the transaction is {how}", names.client(*producer))
            }
            Fact::TxnError { producer, error, fatal } => {
                let left = if *fatal { "only a new producer can go on" } else { "the transaction can only be aborted" };
                format!("{}: {}: {left}", names.client(*producer), error_name(*error))
            }
            Fact::TxnCallRefused { producer, call, error } => {
                format!("{}: {call} refused: {error}", names.client(*producer))
            }
            Fact::Assigned { consumer, partitions, kept, round } => {
                let new: Vec<TopicPartition> = partitions.iter().filter(|p| !kept.contains(p)).cloned().collect();
                let what = match (kept.is_empty(), new.is_empty()) {
                    (true, _) => format!("is assigned {}", list(&new)),
                    (false, true) => format!("keeps {}", list(kept)),
                    (false, false) => format!("keeps {} and is assigned {}", list(kept), list(&new)),
                };
                format!("{} {what}, {round}", names.client(*consumer))
            }
            Fact::Revoked { consumer, partitions, lost } => {
                let verb = if *lost { "lost" } else { "gives up" };
                format!("{} {verb} {}", names.client(*consumer), list(partitions))
            }
            Fact::PollOverdue { consumer, interval } => {
                let who = names.client(*consumer);
                format!(
                    "{who} has not polled for {interval} (max.poll.interval.ms): it takes no part in its group until it does"
                )
            }
            Fact::PositionSet { consumer, partition, to, reason } => {
                let why = match reason {
                    PositionReason::Committed => "the committed offset",
                    PositionReason::Reset => "auto.offset.reset",
                    PositionReason::Seek => "seek",
                    PositionReason::Truncation => "the log was truncated",
                };
                format!("{}: position of {partition} set to {to} ({why})", names.client(*consumer))
            }
            Fact::Delivered { consumer, partition, first, last, .. } => {
                format!("{} reads {} of {partition}", names.client(*consumer), offsets(*first, *last))
            }
            Fact::ShareDelivered { consumer, partition, first, last, delivery_count, .. } => {
                let again = if *delivery_count > 1 { format!(", delivery {delivery_count}") } else { String::new() };
                format!("{} acquires {} of {partition}{again}", names.client(*consumer), offsets(*first, *last))
            }
            Fact::ShareAcknowledged { consumer, partition, first, last, kind } => {
                format!("{} {}s {} of {partition}", names.client(*consumer), kind.name(), offsets(*first, *last))
            }
            Fact::ShareAcknowledgeFailed { consumer, partition, first, last, error } => {
                let (who, error) = (names.client(*consumer), error_name(*error));
                format!("{who}: {} of {partition} could not be acknowledged: {error}", offsets(*first, *last))
            }
            Fact::CommitFailed { consumer, error, again } => {
                let again = if *again { " again" } else { "" };
                format!("{}: commit failed{again}: {}", names.client(*consumer), error_name(*error))
            }
            Fact::ConsumerError { consumer, error } => {
                format!("{}: {error}", names.client(*consumer))
            }
            Fact::StreamBegun { stream, offsets } => format!("{} begins at {offsets}", names.client(*stream)),
            Fact::StreamResumed { stream, batch } => {
                format!("{} goes on from its checkpoint: batch {batch} is next", names.client(*stream))
            }
            Fact::StreamPlanned { stream, batch, ranges, tasks, again } => {
                let name = names.client(*stream);
                let what = if *again { "runs" } else { "plans" };
                let same = if *again { " again, with the same bounds" } else { "" };
                format!("{name} {what} batch {batch}{same}: {}", planned(ranges, *tasks))
            }
            Fact::StreamBatchDone { stream, batch, records } => {
                let records = if *records == 1 { "1 record".to_string() } else { format!("{records} records") };
                format!("{}: batch {batch} is done with {records}", names.client(*stream))
            }
            Fact::StreamDataLost { stream, message, .. } => {
                format!("{} goes on without records that are gone: {message}", names.client(*stream))
            }
            Fact::StreamFailed { stream, error } => format!("{} fails: {error}", names.client(*stream)),
            Fact::AdminDone { what, error: Some(error), .. } => format!("{what}: {error}"),
            Fact::AdminDone { what, remark: Some(remark), .. } => format!("{what}: {remark}"),
            Fact::AdminDone { what, .. } => format!("{what}: done"),
        }
    }
}

/// Kafka's name of an error, in capitals: `NOT_ENOUGH_REPLICAS`.
pub fn error_name(error: ErrorCode) -> String {
    let mut name = String::new();
    for (i, c) in format!("{error:?}").chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// A set of brokers as scripts write it: `1,2`; an empty one is `none`.
pub fn brokers(ids: &[BrokerId]) -> String {
    if ids.is_empty() {
        return "none".to_string();
    }
    ids.iter().map(|b| b.0.to_string()).collect::<Vec<_>>().join(",")
}

fn broker_or_none(id: Option<BrokerId>) -> String {
    id.map_or("none".to_string(), |b| b.0.to_string())
}

fn offsets(first: Offset, last: Offset) -> String {
    if first == last { format!("offset {first}") } else { format!("offsets {first}–{last}") }
}

/// More partitions than these nobody reads in a sentence.
const TOLD: usize = 12;

/// What a batch reads: `orders-0 5–8, orders-1 2 (3 tasks)`.
fn planned(ranges: &[(TopicPartition, Offset, Offset)], tasks: u32) -> String {
    if ranges.is_empty() {
        return "nothing to read".to_string();
    }
    let range = |(partition, from, until): &(TopicPartition, Offset, Offset)| {
        format!("{} of {partition}", offsets(*from, *until + -1))
    };
    let mut words = ranges.iter().take(TOLD).map(range).collect::<Vec<_>>().join(", ");
    if ranges.len() > TOLD {
        words.push_str(&format!(" and of {} more partitions", ranges.len() - TOLD));
    }
    if tasks as usize > ranges.len() {
        words.push_str(&format!(", in {tasks} tasks"));
    }
    words
}

fn list(partitions: &[TopicPartition]) -> String {
    if partitions.is_empty() {
        return "nothing".to_string();
    }
    let told = partitions.iter().take(if partitions.len() > TOLD { TOLD - 2 } else { TOLD });
    let mut words = told.map(TopicPartition::to_string).collect::<Vec<_>>().join(", ");
    if partitions.len() > TOLD {
        words.push_str(&format!(" and {} more", partitions.len() - (TOLD - 2)));
    }
    words
}

/// A record as a person says it: `alice=created`, `=value` without a key, `alice=` for a tombstone.
pub fn record(key: Option<&Bytes>, value: Option<&Bytes>) -> String {
    format!("{}={}", key.map(text).unwrap_or_default(), value.map(text).unwrap_or_default())
}

fn text(bytes: &Bytes) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(bytes);
    if text.chars().count() <= SHOWN {
        text.into_owned()
    } else {
        format!("{}…", text.chars().take(SHOWN).collect::<String>())
    }
}

/// `1 member`, `2 members`
/// A consumer may have the name of a controller.
fn process(names: &dyn Names, node: NodeId) -> String {
    match node {
        NodeId::Controller(id) => format!("controller {id}"),
        other => names.node(other),
    }
}

fn count(number: i32, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
