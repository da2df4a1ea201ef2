//! A broker or a controller in the inspector.

use crate::kafka::controller::Controller;
use crate::kafka::quorum::Quorum;
use crate::sim::{Payload, World};
use crate::sorted::SortedMap;
use crate::view::cards::node_name;
use crate::view::inspect::{Inspection, Row, Section, or_none, section};
use crate::view::metadata_log::{self, MetadataLogEntry};
use crate::wire::{BrokerId, ControllerId, NodeId};

pub(super) fn broker(world: &World, id: BrokerId) -> Option<Inspection> {
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

pub(super) fn controller(world: &World, id: ControllerId) -> Option<Inspection> {
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
    const LOOKED_AT: i64 = 240;
    const SHOWN: usize = 60;
    let log = &controller.disk.log;
    let from = log.log_start().max(log.log_end() + -LOOKED_AT);
    let committed = controller.high_watermark().unwrap_or(log.log_start());
    let entries = metadata_log::entries(&controller.disk, from, committed, world.image());
    let mut rows = vec![
        Row::new("log start offset", log.log_start().to_string()),
        Row::new("snapshots end at", snapshot_ends(controller)),
    ];
    let runs = entries.chunk_by(|a, b| !is_told_apart(a, b)).rev().take(SHOWN);
    rows.extend(runs.map(run_row));
    Section { title: "Metadata log, the newest record first".to_string(), rows }
}

/// Records that only let time pass stand together: there is one every half second.
fn is_told_apart(a: &MetadataLogEntry, b: &MetadataLogEntry) -> bool {
    !a.text.is_empty() || (a.kind, a.epoch, a.committed) != (b.kind, b.epoch, b.committed)
}

fn run_row(run: &[MetadataLogEntry]) -> Row {
    let (first, last) = (&run[0], &run[run.len() - 1]);
    let open = if last.committed { "" } else { " (not committed)" };
    let text = if last.text.is_empty() { String::new() } else { format!(" — {}", last.text) };
    let (offsets, times) = match run.len() {
        1 => (last.offset.to_string(), String::new()),
        count => (format!("{}–{}", first.offset, last.offset), format!("{count} × ")),
    };
    Row::new(format!("{offsets}, epoch {}", last.epoch), format!("{times}{}{text}{open}", last.kind))
}

fn snapshot_ends(controller: &Controller) -> String {
    let ends: Vec<String> = controller.disk.snapshots.iter().map(|snapshot| snapshot.id.end.to_string()).collect();
    if ends.is_empty() { "none".to_string() } else { ends.join(", ") }
}
