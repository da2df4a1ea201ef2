//! The metadata log, record by record: what the controllers agreed on, in order, in Kafka's names of
//! the records and in words.

use serde::Serialize;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::controller::record::{MetadataRecord, PartitionChange, PartitionRegistration, ResourceType};
use crate::kafka::fact::brokers;
use crate::kafka::quorum::{QuorumDisk, control_record_text};
use crate::sorted::SortedMap;
use crate::wire::batch::{Batch, Record};
use crate::wire::{BrokerId, Offset, StrBytes, Uuid};

/// A record of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MetadataLogEntry {
    pub offset: i64,
    /// The quorum's epoch in which it was written.
    pub epoch: i32,
    /// Kafka's name of the record's type.
    pub kind: &'static str,
    pub text: String,
    /// Whether it is below the node's high watermark.
    pub committed: bool,
}

/// The records from `from` on, as one node has them; `committed` is its high watermark.
pub fn entries(disk: &QuorumDisk, from: Offset, committed: Offset, image: &MetadataImage) -> Vec<MetadataLogEntry> {
    let mut topics = Topics { names: SortedMap::new(), image };
    let mut entries = Vec::new();
    for batch in disk.log.batches(from) {
        for record in batch.records().unwrap_or_default().iter().filter(|record| record.offset >= from.0) {
            let (kind, text) = described(&batch, record, &mut topics);
            let committed = Offset(record.offset) < committed;
            entries.push(MetadataLogEntry {
                offset: record.offset,
                epoch: batch.leader_epoch.0,
                kind,
                text,
                committed,
            });
        }
    }
    entries
}

/// The names of topics by their ids: those that the log tells of, then those that are there now.
struct Topics<'a> {
    names: SortedMap<Uuid, String>,
    image: &'a MetadataImage,
}

impl Topics<'_> {
    fn name(&self, id: Uuid) -> String {
        let now = || self.image.topic_names.get(&id).map(|name| name.0.to_string());
        self.names.get(&id).cloned().or_else(now).unwrap_or_else(|| format!("topic {id}"))
    }
}

fn described(batch: &Batch, record: &Record, topics: &mut Topics<'_>) -> (&'static str, String) {
    if batch.is_control() {
        return control_record_text(record).unwrap_or(("ControlRecord", String::new()));
    }
    match record.value.clone().and_then(MetadataRecord::decode) {
        Some(record) => {
            if let MetadataRecord::Topic { name, id } = &record {
                topics.names.insert(*id, name.0.to_string());
            }
            (record.name(), text(&record, topics))
        }
        None => ("UnknownRecord", String::new()),
    }
}

/// What the record says.
fn text(record: &MetadataRecord, topics: &Topics<'_>) -> String {
    match record {
        MetadataRecord::RegisterBroker { broker, epoch, rack, fenced, in_controlled_shutdown, .. } => {
            let rack = rack.as_ref().map(|rack| format!(", rack {rack}")).unwrap_or_default();
            let fenced = if *fenced { ", fenced" } else { "" };
            let stopping = if *in_controlled_shutdown { ", in controlled shutdown" } else { "" };
            format!("broker {}, broker epoch {epoch}{rack}{fenced}{stopping}", broker.0)
        }
        MetadataRecord::UnregisterBroker { broker, epoch } => format!("broker {}, broker epoch {epoch}", broker.0),
        MetadataRecord::BrokerRegistrationChange { broker, fenced, in_controlled_shutdown, .. } => {
            let fenced = fenced.map(|fenced| if fenced { "fenced" } else { "unfenced" });
            let stopping = in_controlled_shutdown.filter(|begun| *begun).map(|_| "in controlled shutdown");
            let changes: Vec<&str> = fenced.into_iter().chain(stopping).collect();
            format!("broker {}: {}", broker.0, changes.join(", "))
        }
        MetadataRecord::Topic { name, id } => format!("{}, id {id}", name.0),
        MetadataRecord::RemoveTopic { id } => topics.name(*id),
        MetadataRecord::Partition { topic, partition, registration } => {
            let PartitionRegistration { replicas, isr, leader, elr, leader_epoch, .. } = registration;
            let elr = if elr.is_empty() { String::new() } else { format!(", ELR {}", brokers(elr)) };
            let (name, leader) = (topics.name(*topic), broker_or_none(*leader));
            let (replicas, isr) = (brokers(replicas), brokers(isr));
            format!("{name}-{partition}: leader {leader}, epoch {leader_epoch}, replicas {replicas}, ISR {isr}{elr}")
        }
        MetadataRecord::PartitionChange(change) => partition_change(change, topics),
        MetadataRecord::Config { kind, resource, name, value } => {
            let whose = match kind {
                ResourceType::Topic => resource.to_string(),
                ResourceType::Broker if resource.is_empty() => "all brokers".to_string(),
                ResourceType::Broker => format!("broker {resource}"),
                ResourceType::Group => format!("group {resource}"),
            };
            let value = value.as_ref().map_or("back to its default", StrBytes::as_str);
            format!("{whose}: {name} = {value}")
        }
        MetadataRecord::FeatureLevel { name, level } => format!("{name} = {level}"),
        MetadataRecord::ProducerIds { broker, next, .. } => format!("broker {}: ids below {next}", broker.0),
        MetadataRecord::NoOp => String::new(),
        MetadataRecord::ClearElr { topic } => topic.as_ref().map_or("all topics".to_string(), StrBytes::to_string),
    }
}

/// Only what changes.
fn partition_change(change: &PartitionChange, topics: &Topics<'_>) -> String {
    let mut parts = Vec::new();
    if let Some(leader) = change.leader {
        parts.push(format!("leader {}", broker_or_none(leader)));
    }
    for (what, list) in [
        ("ISR", &change.isr),
        ("replicas", &change.replicas),
        ("adding", &change.adding),
        ("removing", &change.removing),
        ("ELR", &change.elr),
        ("last known ELR", &change.last_known_elr),
    ] {
        parts.extend(list.as_ref().map(|list| format!("{what} {}", brokers(list))));
    }
    parts.extend(change.recovering.map(|recovering| if recovering { "recovering" } else { "recovered" }.to_string()));
    format!("{}-{}: {}", topics.name(change.topic), change.partition, parts.join(", "))
}

fn broker_or_none(broker: Option<BrokerId>) -> String {
    broker.map_or("none".to_string(), |broker| broker.0.to_string())
}
