//! A group in the inspector, of whichever protocol.

use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::consumer::{ConsumerGroup, ConsumerMember};
use crate::sim::World;
use crate::view::inspect::{Inspection, Row, Section, member_title, or_none, partitions, section};
use crate::view::shares;
use crate::wire::TopicPartition;

pub(super) fn group(world: &World, name: &str) -> Option<Inspection> {
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
        section(&member_title(member.metadata.client_id.as_str()), rows)
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
pub(super) fn lag_section(world: &World, group: &str, partitions: &[TopicPartition]) -> Section {
    let lag =
        |partition: &TopicPartition| Some(Row::new(lag_name(partition), world.lag(group, partition)?.to_string()));
    Section { title: "Lag".to_string(), rows: partitions.iter().filter_map(lag).collect() }
}

/// `lag of orders-0`
pub fn lag_name(partition: impl std::fmt::Display) -> String {
    format!("lag of {partition}")
}
