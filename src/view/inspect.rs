//! The inspector: everything about one thing, as titled rows of names and values.

use serde::Serialize;

use crate::kafka::client::Consumer;
use crate::kafka::client::producer::Producer;
use crate::kafka::controller::Controller;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::{ConsumerGroup, ConsumerMember};
use crate::kafka::log::Log;
use crate::kafka::quorum::Quorum;
use crate::sim::{Payload, World};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::view::cards::node_name;
use crate::view::{metadata_log, shares, streams, transactions};
use crate::wire::batch::Batch;
use crate::wire::{Body, BrokerId, ControllerId, NodeId, Offset, TopicPartition, str_bytes};

/// What is selected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Selection {
    Broker(i32),
    Controller(i32),
    Partition(String),
    Replica { partition: String, broker: i32 },
    Record { partition: String, broker: i32, offset: i64 },
    Producer(String),
    Consumer(String),
    Group(String),
    Stream(String),
    Message(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    pub title: String,
    pub sections: Vec<Section>,
    /// Bytes as a hex dump, where the thing has bytes.
    pub bytes: Option<String>,
    /// Of a message on its way: how the script names the next one like it, `FETCH response 1->2`.
    pub message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    pub title: String,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub name: String,
    pub value: String,
    /// The event that brought the value about.
    pub why: Option<u64>,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Row {
        Row { name: name.into(), value: value.into(), why: None }
    }
}

impl Inspection {
    pub(super) fn new(title: impl Into<String>, sections: Vec<Section>) -> Inspection {
        Inspection { title: title.into(), sections, bytes: None, message: None }
    }

    /// Says why each value is as it is, where an event brought it about.
    pub fn explain(&mut self, why: impl Fn(&str) -> Option<u64>) {
        for row in self.sections.iter_mut().flat_map(|section| &mut section.rows) {
            row.why = why(&row.name);
        }
    }
}

/// Everything about the selected thing at this instant; `None` when it is not there.
pub fn inspect(world: &World, selection: &Selection) -> Option<Inspection> {
    match selection {
        Selection::Broker(id) => broker(world, BrokerId(*id)),
        Selection::Controller(number) => controller(world, ControllerId(*number)),
        Selection::Partition(name) => partition(world, &TopicPartition::parse(name)?),
        Selection::Replica { partition, broker } => {
            replica(world, &TopicPartition::parse(partition)?, BrokerId(*broker))
        }
        Selection::Record { partition, broker, offset } => {
            record(world, &TopicPartition::parse(partition)?, BrokerId(*broker), Offset(*offset))
        }
        Selection::Producer(name) => producer(world, name),
        Selection::Consumer(name) => consumer(world, name).or_else(|| shares::inspect_consumer(world, name)),
        Selection::Group(name) => group(world, name),
        Selection::Stream(name) => streams::inspect(world, name),
        Selection::Message(id) => message(world, *id),
    }
}

pub(super) fn section(title: &str, rows: Vec<(&str, String)>) -> Section {
    Section { title: title.to_string(), rows: rows.into_iter().map(|(name, value)| Row::new(name, value)).collect() }
}

pub(super) fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or("none".to_string(), |value| value.to_string())
}

fn ids(brokers: &[BrokerId]) -> String {
    crate::kafka::fact::brokers(brokers)
}

fn broker(world: &World, id: BrokerId) -> Option<Inspection> {
    let broker = world.broker(id)?;
    let registration = world.image().brokers.get(&id);
    let led = world.partitions().filter(|(_, r)| r.leader == Some(id)).count();
    let held = world.partitions().filter(|(_, r)| r.replicas.contains(&id)).count();
    let mut sections = vec![section(
        "Registration at the controller",
        vec![
            ("broker epoch", or_none(registration.map(|r| r.epoch))),
            ("fenced", or_none(registration.map(|r| r.fenced))),
            ("in controlled shutdown", or_none(registration.map(|r| r.in_controlled_shutdown))),
            ("rack", or_none(registration.and_then(|r| r.rack.as_ref()))),
            ("incarnation", or_none(registration.map(|r| r.incarnation))),
        ],
    )];
    sections.push(section("Replicas", vec![("partitions led", led.to_string()), ("replicas held", held.to_string())]));
    if let Some(disk) = world.disk(id) {
        sections.push(section("Disk", vec![("a write takes", disk.latency.to_string())]));
    }
    if let Some(process) = broker.process() {
        let waiting = vec![
            ("acks=all requests that wait for followers", process.waiting_produces().to_string()),
            ("fetch sessions", process.sessions().len().to_string()),
            ("fetches that wait for records", process.sessions().waiting().to_string()),
        ];
        sections.push(section("Waiting requests", waiting));
    }
    sections.extend(unread(world, NodeId::Broker(id)));
    if let Some(image) = broker.image() {
        sections.push(section(
            "Metadata that it knows",
            vec![
                ("last offset replayed", image.offset.to_string()),
                ("newest committed", world.image().offset.to_string()),
            ],
        ));
    }
    Some(Inspection::new(format!("Broker {}", id.0), sections))
}

/// What has arrived at a node and is read only when the request before it on its connection is answered.
fn unread(world: &World, node: NodeId) -> Option<Section> {
    let mut waiting: SortedMap<String, u32> = SortedMap::new();
    for request in world.network().unread().filter(|request| request.to == node) {
        if let Payload::Message(envelope) = &request.payload {
            let whose = format!("{} from {}", envelope.api().name(), node_name(world, request.from));
            *waiting.entry(whose).or_default() += 1;
        }
    }
    let rows = waiting.into_iter().map(|(whose, count)| Row::new(whose, count.to_string())).collect::<Vec<Row>>();
    (!rows.is_empty()).then(|| Section { title: "Unread until an earlier one is answered".to_string(), rows })
}

fn controller(world: &World, id: ControllerId) -> Option<Inspection> {
    let controller = world.controller(id)?;
    let quorum = section(
        "Metadata quorum",
        vec![
            ("role", controller.role().map_or("not running".to_string(), |role| format!("{role:?}"))),
            ("epoch", controller.epoch().to_string()),
            ("leader", or_none(controller.quorum().and_then(Quorum::leader))),
            ("log end offset", controller.log_end().to_string()),
            ("high watermark", or_none(controller.high_watermark())),
            ("active controller", controller.is_active().to_string()),
        ],
    );
    let mut sections = vec![quorum];
    if let Some(known) = controller.quorum() {
        let voters: Vec<String> = known.voters().iter().map(ToString::to_string).collect();
        let mut rows = vec![Row::new("voters", voters.join(", "))];
        rows.push(Row::new("kraft.version", known.kraft_version().to_string()));
        for (voter, end) in known.voter_ends() {
            let end = end.map_or("?".to_string(), |end| end.to_string());
            rows.push(Row::new(format!("{voter} has everything below"), end));
        }
        sections.push(Section { title: "Voters".to_string(), rows });
    }
    if let Some(image) = controller.image() {
        let rows = image.features.iter().map(|(name, level)| Row::new(name.to_string(), level.to_string())).collect();
        sections.push(Section { title: "Features".to_string(), rows });
    }
    sections.extend(unread(world, NodeId::Controller(id)));
    sections.push(metadata_log_section(world, controller));
    Some(Inspection::new(format!("Controller {id}"), sections))
}

/// The newest records of a controller's metadata log, the newest first.
fn metadata_log_section(world: &World, controller: &Controller) -> Section {
    const SHOWN: i64 = 60;
    let log = &controller.disk.log;
    let from = log.log_start().max(log.log_end() + -SHOWN);
    let committed = controller.high_watermark().unwrap_or(log.log_start());
    let entries = metadata_log::entries(&controller.disk, from, committed, world.image());
    let mut rows = vec![
        Row::new("log start offset", log.log_start().to_string()),
        Row::new("snapshots end at", snapshot_ends(controller)),
    ];
    rows.extend(entries.iter().rev().map(|entry| {
        let open = if entry.committed { "" } else { " (not committed)" };
        let text = if entry.text.is_empty() { String::new() } else { format!(" — {}", entry.text) };
        Row::new(format!("{}, epoch {}", entry.offset, entry.epoch), format!("{}{text}{open}", entry.kind))
    }));
    Section { title: "Metadata log, the newest record first".to_string(), rows }
}

fn snapshot_ends(controller: &Controller) -> String {
    let ends: Vec<String> = controller.disk.snapshots.iter().map(|snapshot| snapshot.id.end.to_string()).collect();
    if ends.is_empty() { "none".to_string() } else { ends.join(", ") }
}

fn partition(world: &World, partition: &TopicPartition) -> Option<Inspection> {
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

fn replica(world: &World, partition: &TopicPartition, id: BrokerId) -> Option<Inspection> {
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
            let caught_up = world.now.since(remote.last_caught_up);
            sections.push(Section {
                title: format!("Follower {} as the leader sees it", other.0),
                rows: vec![
                    Row::new("log end offset", remote.log_end.to_string()),
                    Row::new("log start offset", remote.log_start.to_string()),
                    Row::new("last caught up", format!("{} ms ago", caught_up.millis())),
                ],
            });
        }
    }
    sections.extend(broker.log(partition).into_iter().flat_map(log_sections));
    Some(Inspection::new(format!("{partition} on broker {}", id.0), sections))
}

fn record(world: &World, partition: &TopicPartition, id: BrokerId, offset: Offset) -> Option<Inspection> {
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

fn producer(world: &World, name: &str) -> Option<Inspection> {
    let producer = world.producer(name)?;
    let config = producer.config();
    let identity = producer.identity();
    let counts = section(
        "Records",
        vec![
            ("sent", producer.sent().to_string()),
            ("acknowledged", producer.acked().to_string()),
            ("pending", producer.pending().to_string()),
            ("failed", producer.failed().values().sum::<u64>().to_string()),
        ],
    );
    let failures = Section { title: "Failed with".to_string(), rows: failures(producer) };
    let settings = section(
        "Settings",
        vec![
            ("acks", if config.acks == -1 { "all".to_string() } else { config.acks.to_string() }),
            ("enable.idempotence", config.idempotence.to_string()),
            ("linger.ms", config.linger.millis().to_string()),
            ("batch.size", config.batch_size.to_string()),
            ("max.in.flight.requests.per.connection", config.max_in_flight.to_string()),
            ("delivery.timeout.ms", config.delivery_timeout.millis().to_string()),
        ],
    );
    let identity = section(
        "Idempotence",
        vec![
            ("producer id", or_none(identity.map(|identity| identity.id.0))),
            ("producer epoch", or_none(identity.map(|identity| identity.epoch))),
        ],
    );
    let mut sections = vec![counts, failures, identity, settings];
    if let Some(id) = producer.transactional_id() {
        let standing = producer.transaction();
        let error = standing.and_then(|(_, error)| error).map(crate::kafka::fact::error_name);
        let transactions = vec![
            ("transactional.id", id.to_string()),
            ("state", standing.map_or("not running", |(state, _)| state.name()).to_string()),
            ("error", or_none(error)),
            ("coordinator", or_none(world.transaction_coordinator(id).map(|broker| broker.0))),
            ("transaction.timeout.ms", config.transaction_timeout.millis().to_string()),
        ];
        sections.insert(1, section("Transaction", transactions));
    }
    Some(Inspection::new(format!("Producer {name}"), sections))
}

/// Each error with how many records it took.
fn failures(producer: &Producer) -> Vec<Row> {
    let name = |code: i16| crate::wire::error(code).map_or("none".to_string(), crate::kafka::fact::error_name);
    producer.failed().iter().map(|(code, count)| Row::new(name(*code), count.to_string())).collect()
}

fn consumer(world: &World, name: &str) -> Option<Inspection> {
    let consumer = world.consumer(name)?;
    let config = consumer.config();
    let modern = config.consumer_protocol;
    let mut rows = vec![
        ("group", consumer.group().to_string()),
        ("protocol", if modern { "consumer" } else { "classic" }.to_string()),
        ("member id", or_none(consumer.member_id())),
        (if modern { "member epoch" } else { "generation" }, or_none(consumer.generation())),
        ("assignment", partitions(&consumer.assignment())),
    ];
    if let Some(target) = target_of(world, consumer) {
        rows.push(("target", target));
    }
    rows.push(("records delivered", consumer.delivered_count().to_string()));
    let member = section("Membership", rows);
    let positions = Section {
        title: "Positions".to_string(),
        rows: consumer
            .positions()
            .iter()
            .map(|(partition, offset)| {
                let committed = or_none(world.committed(consumer.group(), partition));
                Row::new(partition.to_string(), format!("position {offset}, committed {committed}"))
            })
            .collect(),
    };
    let lag = lag_section(world, consumer.group(), &consumer.assignment());
    let mut settings = vec![
        ("enable.auto.commit", config.auto_commit.to_string()),
        ("auto.commit.interval.ms", config.auto_commit_interval.millis().to_string()),
        ("fetch.max.wait.ms", config.fetch_max_wait.millis().to_string()),
    ];
    if modern {
        // Its session and its heartbeats are the coordinator's to say.
        settings.push(("max.poll.interval.ms", config.max_poll_interval.millis().to_string()));
    } else {
        settings.push(("session.timeout.ms", config.session_timeout.millis().to_string()));
        settings.push(("heartbeat.interval.ms", config.heartbeat_interval.millis().to_string()));
    }
    let settings = section("Settings", settings);
    Some(Inspection::new(format!("Consumer {name}"), vec![member, positions, lag, settings]))
}

/// What the coordinator wants the member to have, in a group of the consumer protocol.
fn target_of(world: &World, consumer: &Consumer) -> Option<String> {
    let group = world.consumer_group(consumer.group())?;
    let target = group.targets.get(&str_bytes(consumer.member_id()?))?;
    Some(partitions(&crate::kafka::group::consumer::named(target, world.image())))
}

fn group(world: &World, name: &str) -> Option<Inspection> {
    let mut sections = match world.consumer_group(name) {
        Some(group) => consumer_group(world, name, group),
        None if world.share_group(name).is_some() => {
            return Some(Inspection::new(format!("Group {name}"), shares::inspect_group(world, name)));
        }
        None => vec![classic_group(world, name)?],
    };
    sections.push(Section {
        title: "Committed offsets".to_string(),
        rows: world
            .committed_offsets(name)
            .iter()
            .map(|(p, offset)| Row::new(p.to_string(), offset.offset.to_string()))
            .collect(),
    });
    let committed: Vec<TopicPartition> = world.committed_offsets(name).into_iter().map(|(p, _)| p).collect();
    sections.push(lag_section(world, name, &committed));
    Some(Inspection::new(format!("Group {name}"), sections))
}

/// A group of the consumer protocol: its epochs, and of each member what it has and what it is to have.
fn consumer_group(world: &World, name: &str, group: &ConsumerGroup) -> Vec<Section> {
    let state = section(
        "Group",
        vec![
            ("protocol", "consumer".to_string()),
            ("state", group.state().name().to_string()),
            ("group epoch", group.epoch.to_string()),
            ("target epoch", group.target_epoch.to_string()),
            ("assignor", or_none(world.assignor_of(name))),
            ("coordinator", or_none(world.coordinator(name).map(|broker| broker.0))),
            ("members", group.members.len().to_string()),
        ],
    );
    let named = |those: &Partitions| partitions(&crate::kafka::group::consumer::named(those, world.image()));
    let member = |member: &ConsumerMember| {
        let mut rows = vec![
            ("state", member.current.state.name().to_string()),
            ("member epoch", member.current.epoch.to_string()),
            ("assigned", named(&member.current.assigned)),
            ("target", named(&group.target_of(&member.id))),
        ];
        if !member.current.revoking.is_empty() {
            rows.push(("to be given up", named(&member.current.revoking)));
        }
        if member.is_classic() {
            rows.push(("protocol", "classic".to_string()));
        }
        section(&format!("Member {}", member.metadata.client_id.as_str()), rows)
    };
    [state].into_iter().chain(group.members.values().map(member)).collect()
}

fn classic_group(world: &World, name: &str) -> Option<Section> {
    let group = world.group(name)?;
    Some(section(
        "Group",
        vec![
            ("state", group.state.name().to_string()),
            ("generation", group.generation.to_string()),
            ("assignor", or_none(group.protocol.as_ref())),
            ("leader", or_none(group.leader.as_ref())),
            ("coordinator", or_none(world.coordinator(name).map(|broker| broker.0))),
            ("members", group.members.len().to_string()),
        ],
    ))
}

/// How far behind the group's commits are, by the name under which a reason for it is found.
fn lag_section(world: &World, group: &str, partitions: &[TopicPartition]) -> Section {
    let lag =
        |partition: &TopicPartition| Some(Row::new(lag_name(partition), world.lag(group, partition)?.to_string()));
    Section { title: "Lag".to_string(), rows: partitions.iter().filter_map(lag).collect() }
}

/// `lag of orders-0`
pub fn lag_name(partition: impl std::fmt::Display) -> String {
    format!("lag of {partition}")
}

fn partitions(partitions: &[TopicPartition]) -> String {
    let names: Vec<String> = partitions.iter().map(TopicPartition::to_string).collect();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

/// A node as the script names it: `2`, `c1`, `app`.
fn script_name(world: &World, node: NodeId) -> String {
    match node {
        NodeId::Broker(broker) => broker.0.to_string(),
        NodeId::Controller(controller) => controller.to_string(),
        NodeId::Client(_) => node_name(world, node),
    }
}

/// When a message that is on its way was sent.
pub fn sent_at(world: &World, id: u64) -> Option<Instant> {
    world.network().in_flight().find(|message| message.id.0 == id).map(|message| message.sent_at)
}

fn message(world: &World, id: u64) -> Option<Inspection> {
    let message = world.network().in_flight().find(|message| message.id.0 == id)?;
    let Payload::Message(envelope) = &message.payload else { return None };
    let kind = if envelope.is_request() { "request" } else { "response" };
    let travel = section(
        "On its way",
        vec![
            ("from", node_name(world, message.from)),
            ("to", node_name(world, message.to)),
            ("correlation id", envelope.correlation.0.to_string()),
            ("sent at", message.sent_at.to_string()),
            ("arrives at", message.deliver_at.to_string()),
            ("version", envelope.api().version().to_string()),
        ],
    );
    let body = match &envelope.body {
        Body::Request(request) => format!("{request:#?}"),
        Body::Response(response) => format!("{response:#?}"),
    };
    let fields = Section { title: "Fields".to_string(), rows: fields(&body) };
    Some(Inspection {
        title: format!("{} {kind}", envelope.api().name()),
        sections: vec![travel, fields],
        bytes: Some(hex_dump(&envelope.encode())),
        message: Some(format!(
            "{}{} {}->{}",
            envelope.api().name(),
            if envelope.is_request() { "" } else { " response" },
            script_name(world, message.from),
            script_name(world, message.to)
        )),
    })
}

/// The lines of a pretty-printed message that name a field, with their indentation kept.
fn fields(pretty: &str) -> Vec<Row> {
    const SHOWN: usize = 200;
    let named = pretty.lines().filter(|line| !line.contains("unknown_tagged_fields"));
    let pairs = named.filter_map(|line| line.split_once(": "));
    pairs.take(SHOWN).map(|(name, value)| Row::new(name, value.trim_end_matches(','))).collect()
}

/// Sixteen bytes a line: place, hexadecimal, text.
fn hex_dump(bytes: &[u8]) -> String {
    const SHOWN: usize = 4096;
    let line = |(index, chunk): (usize, &[u8])| {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = chunk.iter().map(|b| if (32..127).contains(b) { char::from(*b) } else { '.' }).collect();
        format!("{:06x}  {:<47}  {text}", index * 16, hex.join(" "))
    };
    let mut lines: Vec<String> = bytes.chunks(16).take(SHOWN / 16).enumerate().map(line).collect();
    if bytes.len() > SHOWN {
        lines.push(format!("… {} bytes more", bytes.len() - SHOWN));
    }
    lines.join("\n")
}
