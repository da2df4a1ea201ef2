//! The stage: brokers as columns, controllers above them.

use std::rc::Rc;

use serde::Serialize;

use crate::history::History;
use crate::kafka::controller::Controller;
use crate::kafka::quorum::QuorumRole;
use crate::sim::queries::BrokerCondition;
use crate::sim::{Member, Power, World};
use crate::view::cards::{self, GroupCard, ProducerCard};
use crate::view::partitions::{self, PartitionRow};
use crate::wire::{BrokerId, NodeId};

/// Everything on the stage at one instant but the messages in flight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    pub brokers: Vec<BrokerColumn>,
    pub controllers: Vec<ControllerChip>,
    /// Topics that a person made, in order of name; internal ones only when asked for.
    pub topics: Vec<TopicView>,
    pub rows: Vec<Rc<PartitionRow>>,
    pub producers: Vec<Rc<ProducerCard>>,
    pub groups: Vec<Rc<GroupCard>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopicView {
    pub name: String,
    pub partitions: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokerState {
    /// The process starts: not registered or not caught up yet.
    Starting,
    /// Registered, unfenced: it may lead.
    Alive,
    /// Its process runs, but the controller holds it for gone.
    Fenced,
    Frozen,
    ShuttingDown,
    /// Its process is gone (or its machine is off).
    Dead,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrokerColumn {
    pub id: i32,
    pub rack: Option<String>,
    pub state: BrokerState,
    /// The machine is off, not only the process.
    pub powered_off: bool,
    /// The controller's view, which may lag behind the truth: a dead broker is unfenced until its session ends.
    pub fenced: bool,
    /// A line under the name: `leads 2 · epoch 14`, `no heartbeat for 4.2 s`.
    pub note: String,
    pub leads: u32,
    pub epoch: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControllerState {
    Leader,
    Follower,
    /// Candidate or prospective.
    Candidate,
    /// Neither leads nor knows a leader.
    Unattached,
    Frozen,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControllerChip {
    /// `c1`
    pub name: String,
    pub state: ControllerState,
    pub epoch: i32,
    pub log_end: i64,
    pub high_watermark: i64,
}

/// The stage as it is at the viewed instant. Rows and cards that did not change since `before` are
/// the same allocation, so that comparing them is comparing pointers.
pub fn stage(history: &History, internal: bool, before: Option<&Stage>) -> Stage {
    let world = history.world();
    let image = world.image();
    let shown = |name: &str| internal || !name.starts_with("__");
    let topics = image
        .topics
        .iter()
        .filter(|(name, _)| shown(name.0.as_str()))
        .map(|(name, topic)| TopicView { name: name.0.to_string(), partitions: topic.partitions.len() as i32 });
    let rows = world.partitions().filter(|(partition, _)| shown(partition.topic.0.as_str()));
    let rows = rows.map(|(partition, registration)| partitions::row(world, &partition, registration));
    let old = |pick: fn(&Stage) -> &[Rc<PartitionRow>]| before.map(pick).unwrap_or_default();
    Stage {
        brokers: world.brokers().map(|(id, member, _)| broker(world, id, member)).collect(),
        controllers: world.controllers().map(|(id, member, c)| controller(id.to_string(), member, c)).collect(),
        topics: topics.collect(),
        rows: keep(rows, old(|stage| &stage.rows)),
        producers: keep(cards::producers(world), before.map(|stage| &stage.producers[..]).unwrap_or_default()),
        groups: keep(cards::groups(world), before.map(|stage| &stage.groups[..]).unwrap_or_default()),
    }
}

/// The new values, those that are as before by their old pointers.
fn keep<T: PartialEq>(new: impl IntoIterator<Item = T>, old: &[Rc<T>]) -> Vec<Rc<T>> {
    let keep_one = |(index, value): (usize, T)| match old.get(index) {
        Some(old) if **old == value => old.clone(),
        _ => Rc::new(value),
    };
    new.into_iter().enumerate().map(keep_one).collect()
}

fn broker(world: &World, id: BrokerId, member: &Member) -> BrokerColumn {
    let image = world.image();
    let registration = image.brokers.get(&id);
    let state = match world.broker_condition(id) {
        Some(BrokerCondition::Starting) => BrokerState::Starting,
        Some(BrokerCondition::Alive) => BrokerState::Alive,
        Some(BrokerCondition::Fenced) => BrokerState::Fenced,
        Some(BrokerCondition::Frozen) => BrokerState::Frozen,
        Some(BrokerCondition::ShuttingDown) => BrokerState::ShuttingDown,
        Some(BrokerCondition::Dead) | None => BrokerState::Dead,
    };
    let led = |(partition, registration): &(
        crate::wire::TopicPartition,
        &crate::kafka::controller::image::PartitionRegistration,
    )| { registration.leader == Some(id) && !partition.is_internal() };
    let leads = world.partitions().filter(led).count() as u32;
    let epoch = registration.map_or(-1, |registration| registration.epoch.0);
    let fenced = registration.is_none_or(|registration| registration.fenced);
    let powered_off = member.power == Power::Off;
    BrokerColumn {
        id: id.0,
        rack: registration.and_then(|registration| registration.rack.as_ref()).map(|rack| rack.to_string()),
        state,
        powered_off,
        fenced,
        note: note(world, id, state, fenced, leads, epoch),
        leads,
        epoch,
    }
}

/// The line under a broker's name.
fn note(world: &World, id: BrokerId, state: BrokerState, fenced: bool, leads: u32, epoch: i64) -> String {
    let silent =
        || world.silent_for(NodeId::Broker(id)).map(|duration| format!("{:.1} s", duration.millis() as f64 / 1000.0));
    match state {
        BrokerState::Starting => "starting: registers and catches up".to_string(),
        BrokerState::Alive => format!("leads {leads} · epoch {epoch}"),
        BrokerState::ShuttingDown => format!("hands over {leads} · epoch {epoch}"),
        BrokerState::Fenced => "fenced: the controller holds it for gone".to_string(),
        BrokerState::Frozen | BrokerState::Dead if fenced => {
            format!("fenced · silent for {}", silent().unwrap_or_default())
        }
        BrokerState::Frozen | BrokerState::Dead => {
            format!("not noticed yet · silent for {}", silent().unwrap_or_default())
        }
    }
}

fn controller(name: String, member: &Member, controller: &Controller) -> ControllerChip {
    let state = if member.power != Power::Running {
        ControllerState::Dead
    } else if member.frozen {
        ControllerState::Frozen
    } else {
        match controller.role() {
            Some(QuorumRole::Leader) => ControllerState::Leader,
            Some(QuorumRole::Candidate | QuorumRole::Prospective) => ControllerState::Candidate,
            Some(QuorumRole::Follower | QuorumRole::Observer) => ControllerState::Follower,
            Some(QuorumRole::Unattached | QuorumRole::Resigned) | None => ControllerState::Unattached,
        }
    };
    ControllerChip {
        name,
        state,
        epoch: controller.epoch().0,
        log_end: controller.log_end().0,
        high_watermark: controller.high_watermark().map_or(0, |offset| offset.0),
    }
}
