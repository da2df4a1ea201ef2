//! A message on its way in the inspector.

use crate::sim::{Payload, World};
use crate::time::Instant;
use crate::view::cards::node_name;
use crate::view::inspect::fields::fields;
use crate::view::inspect::purpose::purpose;
use crate::view::inspect::{Inspection, Section, hex_dump, section};
use crate::wire::NodeId;

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

pub(super) fn message(world: &World, id: u64) -> Option<Inspection> {
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
    let fields = Section { title: "Fields".to_string(), rows: fields(&envelope.body) };
    Some(Inspection {
        title: format!("{} {kind}", envelope.api().name()),
        about: Some(purpose(message.from, message.to, envelope)),
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
