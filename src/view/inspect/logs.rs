//! A partition in the inspector, one of its replicas, or a record in its batch.

use crate::kafka::log::Log;
use crate::kafka::replica::NEVER;
use crate::sim::World;
use crate::view::inspect::{Inspection, Row, Section, follower_title, hex_dump, or_none, section};
use crate::view::transactions;
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, Offset, TopicPartition};

pub(super) fn partition(world: &World, partition: &TopicPartition) -> Option<Inspection> {
    let registration = world.registration(partition)?;
    let log = world.log_of(partition, None);
    let state = section(
        "Registration",
        vec![
            ("leader", or_none(registration.leader.map(|leader| leader.0))),
            ("leader epoch", registration.leader_epoch.to_string()),
            ("partition epoch", registration.partition_epoch.to_string()),
            ("replicas", ids(&registration.replicas)),
            ("ISR", ids(&registration.isr)),
            ("ELR", ids(&registration.elr)),
            ("adding", ids(&registration.adding)),
            ("removing", ids(&registration.removing)),
            ("min.insync.replicas in effect", world.effective_min_isr(partition).to_string()),
        ],
    );
    let mut sections = vec![state];
    sections.extend(log.into_iter().flat_map(log_sections));
    Some(Inspection::new(partition.to_string(), sections))
}

fn log_sections(log: &Log) -> Vec<Section> {
    let epochs: Vec<String> = log.epochs().iter().map(|(epoch, start)| format!("{epoch} from {start}")).collect();
    let state = section(
        "Log",
        vec![
            ("log start offset", log.log_start().to_string()),
            ("high watermark", log.high_watermark().to_string()),
            ("last stable offset", log.last_stable_offset().to_string()),
            ("log end offset", log.log_end().to_string()),
            ("leader epochs", epochs.join(", ")),
            ("safe from a loss of power up to", log.flushed().to_string()),
            ("compacted up to", log.cleaned_to().map_or("never".to_string(), |offset| offset.to_string())),
            ("bytes", log.size().to_string()),
        ],
    );
    let segments = log.segments().map(|segment| {
        let index = (segment.offset_index().len(), segment.time_index().len());
        let what = format!(
            "{} batches, {} bytes, {} offset and {} time index entries",
            segment.batches().len(),
            segment.size(),
            index.0,
            index.1
        );
        Row::new(format!("from {}", segment.base()), what)
    });
    let segments = Section { title: "Segments".to_string(), rows: segments.collect() };
    vec![state, segments, producers_section(log)]
}

/// What the partition knows of its producers (ProducerStateManager).
fn producers_section(log: &Log) -> Section {
    let rows = log.producers().entries().map(|(id, entry)| {
        let what = format!(
            "epoch {}, last sequence {}, {} batches remembered{}",
            entry.epoch,
            entry.last_sequence(),
            entry.batches().len(),
            entry.txn_first.map_or(String::new(), |first| format!(", transaction open from {first}"))
        );
        Row::new(format!("producer id {}", id.0), what)
    });
    Section { title: "Producers that it remembers".to_string(), rows: rows.collect() }
}

pub(super) fn replica(world: &World, partition: &TopicPartition, id: BrokerId) -> Option<Inspection> {
    let broker = world.broker(id)?;
    let mut sections = Vec::new();
    if let Some(replica) = broker.replica(partition) {
        let role = if replica.is_leader() { "leader" } else { "follower" };
        let mut rows = vec![("role", role.to_string()), ("leader epoch", replica.leader_epoch().to_string())];
        if replica.is_leader() {
            rows.push(("maximal ISR", ids(&replica.maximal_isr())));
        }
        sections.push(section("As this broker knows it", rows));
        for (other, remote) in replica.remotes() {
            let known = |offset: Offset| if offset < Offset::ZERO { "unknown".to_string() } else { offset.to_string() };
            let idle = broker.idle_fetch(partition, other).unwrap_or(NEVER);
            let caught_up = match remote.last_caught_up.max(idle) {
                NEVER => "never".to_string(),
                at => format!("{} ms ago", world.now.since(at).millis()),
            };
            sections.push(Section {
                title: follower_title(other),
                rows: vec![
                    Row::new("log end offset", known(remote.log_end)),
                    Row::new("log start offset", known(remote.log_start)),
                    Row::new("last caught up", caught_up),
                ],
            });
        }
    }
    sections.extend(broker.log(partition).into_iter().flat_map(log_sections));
    Some(Inspection::new(format!("{partition} on broker {}", id.0), sections))
}

pub(super) fn record(world: &World, partition: &TopicPartition, id: BrokerId, offset: Offset) -> Option<Inspection> {
    let log = world.broker(id)?.log(partition)?;
    let batch = log.batches(offset).next().filter(|batch| batch.base_offset <= offset)?;
    let record = batch.records().ok()?.into_iter().find(|record| record.offset == offset.0)?;
    let text =
        |bytes: Option<&bytes::Bytes>| bytes.map_or("null".to_string(), |b| String::from_utf8_lossy(b).into_owned());
    let mut rows = vec![
        ("offset", record.offset.to_string()),
        ("key", text(record.key.as_ref())),
        ("value", text(record.value.as_ref())),
        ("timestamp", format!("{} ms", record.timestamp)),
        ("below the high watermark", (offset < log.high_watermark()).to_string()),
        ("below the last stable offset", (offset < log.last_stable_offset()).to_string()),
    ];
    if let Some(fate) = transactions::fate(log, &batch) {
        rows.push(("its transaction", fate.word().to_string()));
    }
    if let Some(marker) = batch.end_txn_marker() {
        let outcome = if marker.commit { "COMMIT" } else { "ABORT" };
        rows.push(("marker", format!("{outcome}, by the coordinator of epoch {}", marker.coordinator_epoch)));
    }
    for (name, value) in &record.headers {
        rows.push(("header", format!("{name}={}", text(value.as_ref()))));
    }
    Some(Inspection {
        title: format!("Record {offset} of {partition} on broker {}", id.0),
        about: None,
        sections: vec![section("Record", rows), batch_section(&batch)],
        bytes: Some(hex_dump(batch.bytes())),
        message: None,
    })
}

fn batch_section(batch: &Batch) -> Section {
    section(
        "Its batch (format v2)",
        vec![
            ("offsets", format!("{}–{}", batch.base_offset, batch.last_offset)),
            ("records", batch.record_count.to_string()),
            ("partition leader epoch", batch.leader_epoch.to_string()),
            ("producer id", batch.producer_id.0.to_string()),
            ("producer epoch", batch.producer_epoch.to_string()),
            ("base sequence", batch.base_sequence.to_string()),
            ("compression", batch.compression().map_or("unknown".to_string(), |compression| compression.to_string())),
            ("timestamps", if batch.is_log_append_time() { "LogAppendTime" } else { "CreateTime" }.to_string()),
            ("crc", format!("{:08x}", batch.crc)),
            ("size", format!("{} bytes", batch.bytes().len())),
        ],
    )
}

fn ids(brokers: &[BrokerId]) -> String {
    crate::kafka::fact::brokers(brokers)
}
