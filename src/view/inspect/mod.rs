//! The inspector: everything about one thing, as titled rows of names and values.

mod clients;
mod fields;
mod groups;
mod logs;
mod message;
mod nodes;
mod purpose;

use std::fmt::Display;

use serde::Serialize;

use crate::sim::World;
use crate::time::Instant;
use crate::view::{shares, streams};
use crate::wire::{BrokerId, ControllerId, Offset, TopicPartition};

pub use groups::lag_name;
pub use message::sent_at;

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
    /// Of a message: what it is for.
    pub about: Option<String>,
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
    pub(in crate::view) fn new(name: impl Into<String>, value: impl Into<String>) -> Row {
        Row { name: name.into(), value: value.into(), why: None }
    }
}

impl Inspection {
    pub(in crate::view) fn new(title: impl Into<String>, sections: Vec<Section>) -> Inspection {
        let sections = sections.into_iter().filter(|section| !section.rows.is_empty()).collect();
        Inspection { title: title.into(), about: None, sections, bytes: None, message: None }
    }

    /// Says why each value is as it is, where an event brought it about.
    /// `why` is asked by the title of the section and the name of the value.
    pub fn explain(&mut self, why: impl Fn(&str, &str) -> Option<u64>) {
        for section in &mut self.sections {
            for row in &mut section.rows {
                row.why = why(&section.title, &row.name);
            }
        }
    }
}

/// Everything about the selected thing at this instant; `None` when it is not there.
pub fn inspect(world: &World, selection: &Selection) -> Option<Inspection> {
    match selection {
        Selection::Broker(id) => nodes::broker(world, BrokerId(*id)),
        Selection::Controller(number) => nodes::controller(world, ControllerId(*number)),
        Selection::Partition(name) => logs::partition(world, &TopicPartition::parse(name)?),
        Selection::Replica { partition, broker } => {
            logs::replica(world, &TopicPartition::parse(partition)?, BrokerId(*broker))
        }
        Selection::Record { partition, broker, offset } => {
            logs::record(world, &TopicPartition::parse(partition)?, BrokerId(*broker), Offset(*offset))
        }
        Selection::Producer(name) => clients::producer(world, name),
        Selection::Consumer(name) => clients::consumer(world, name).or_else(|| shares::inspect_consumer(world, name)),
        Selection::Group(name) => groups::group(world, name),
        Selection::Stream(name) => streams::inspect(world, name),
        Selection::Message(id) => message::message(world, *id),
    }
}

pub(in crate::view) fn section(title: &str, rows: Vec<(&str, String)>) -> Section {
    Section { title: title.to_string(), rows: rows.into_iter().map(|(name, value)| Row::new(name, value)).collect() }
}

pub(in crate::view) fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or("none".to_string(), |value| value.to_string())
}

/// The title of what a leader knows of a follower.
pub fn follower_title(follower: BrokerId) -> String {
    format!("Follower {} as the leader sees it", follower.0)
}

/// The title of a member of a consumer group.
pub fn member_title(client: &str) -> String {
    format!("Member {client}")
}

/// The title of what a share group's leader keeps of a partition.
pub fn share_title(partition: impl Display) -> String {
    format!("Share partition {partition}")
}

/// What the application of a consumer does, until when if it does not poll.
pub(in crate::view) fn application(busy_until: Option<Instant>) -> String {
    busy_until.map_or("polls".to_string(), |until| format!("handles records until {until}, then polls"))
}

fn partitions(partitions: &[TopicPartition]) -> String {
    let names: Vec<String> = partitions.iter().map(TopicPartition::to_string).collect();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
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
