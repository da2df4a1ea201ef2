//! The stage: brokers as columns, controllers above them.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;

use crate::history::History;
use crate::kafka::broker::Broker;
use crate::kafka::controller::Controller;
use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::fact::error_name;
use crate::kafka::log::Log;
use crate::kafka::quorum::QuorumRole;
use crate::sim::queries::BrokerCondition;
use crate::sim::{Member, Power, World};
use crate::sorted::SortedMap;
use crate::time::Duration;
use crate::view::cards::{self, GroupCard, ProducerCard};
use crate::view::partitions::{self, Near, PartitionRow, RECORDS_SHOWN, ReplicaCell};
use crate::view::replicas::{Here, Replica, Replicas};
use crate::view::streams::{self, StreamCard};
use crate::wire::{BrokerId, ErrorCode, NodeId, is_internal_topic};

/// Everything on the stage at one instant but the messages in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    pub brokers: Vec<BrokerColumn>,
    pub controllers: Vec<ControllerChip>,
    /// Topics that a person made, in order of name; internal ones only when asked for.
    pub topics: Vec<TopicView>,
    pub rows: Vec<Rc<PartitionRow>>,
    pub producers: Vec<Rc<ProducerCard>>,
    pub groups: Vec<Rc<GroupCard>>,
    pub streams: Vec<Rc<StreamCard>>,
}

impl Stage {
    /// Every client on the stage: the word that a script has for its kind, and its name.
    pub fn clients(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let producers = self.producers.iter().map(|card| ("producer", card.name.as_str()));
        let consumers = self.groups.iter().flat_map(|group| &group.consumers);
        let streams = self.streams.iter().map(|card| ("stream", card.name.as_str()));
        producers.chain(consumers.map(|card| (card.kind, card.name.as_str()))).chain(streams)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicView {
    pub name: String,
    pub partitions: i32,
    /// The replication factor of its first partition.
    pub replication: i32,
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControllerChip {
    /// `c1`
    pub name: String,
    pub state: ControllerState,
    pub epoch: i32,
    pub log_end: i64,
    pub high_watermark: i64,
}

/// What of the stage is looked at closely.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// Which rows have their records drawn.
    pub rows: Range<usize>,
    /// How many records of each log: no more than fit.
    pub records: i64,
    /// The rows that were scrolled back, by name: the offset at which what is shown of their logs ends.
    pub scrolled: SortedMap<String, i64>,
}

impl Default for Focus {
    fn default() -> Focus {
        Focus { rows: 0..0, records: RECORDS_SHOWN, scrolled: SortedMap::new() }
    }
}

/// Projects the stage again and again. Rows and cards that did not change are the same allocation as
/// before, so that comparing them is comparing pointers, and what did not change is not looked at again.
#[derive(Default)]
pub struct Projector {
    before: Option<Rc<Stage>>,
    /// What each row was made from.
    seen: Vec<Seen>,
}

struct Seen {
    registration: Arc<PartitionRegistration>,
    logs: Vec<Option<Arc<Log>>>,
    near: Option<Near>,
}

impl Projector {
    /// The stage as it is at the viewed instant.
    pub fn stage(&mut self, history: &History, internal: bool, focus: &Focus) -> Rc<Stage> {
        let world = history.world();
        let shown = |name: &str| internal || !is_internal_topic(name);
        let found = Replicas::look(world, shown);
        let topics = world.image().topics.iter().filter(|(name, _)| shown(name.0.as_str()));
        let topics = topics.map(|(name, topic)| TopicView {
            name: name.0.to_string(),
            partitions: topic.partitions.len() as i32,
            replication: topic.partitions.get(&0).map_or(0, |partition| partition.replicas.len() as i32),
        });
        let mut leads: SortedMap<BrokerId, u32> = SortedMap::new();
        let led = found.partitions().iter().filter(|here| !is_internal_topic(&here.topic.0));
        led.filter_map(|here| here.registration.leader).for_each(|leader| *leads.entry(leader).or_default() += 1);
        let lead = |id: &BrokerId| leads.get(id).copied().unwrap_or_default();
        let before = self.before.take();
        let stage = Stage {
            brokers: world.brokers().map(|(id, member, _)| broker(world, id, member, lead(&id))).collect(),
            controllers: world.controllers().map(|(id, member, c)| controller(id.to_string(), member, c)).collect(),
            topics: topics.collect(),
            rows: self.rows(world, &found, before.as_deref(), focus),
            producers: keep(cards::producers(world), before.as_deref().map_or(&[], |stage| &stage.producers)),
            groups: keep(
                cards::groups(world, &found, &focus.rows),
                before.as_deref().map_or(&[], |stage| &stage.groups),
            ),
            streams: keep(
                streams::cards(world, &found, &focus.rows),
                before.as_deref().map_or(&[], |stage| &stage.streams),
            ),
        };
        let stage = before.filter(|before| **before == stage).unwrap_or_else(|| Rc::new(stage));
        self.before = Some(stage.clone());
        stage
    }

    /// How many records stand above the high watermark.
    pub fn waiting(&self) -> i64 {
        let rows = self.before.iter().flat_map(|stage| &stage.rows);
        rows.map(|row| row.log_end - row.high_watermark).sum()
    }

    fn rows(
        &mut self,
        world: &World,
        found: &Replicas<'_>,
        before: Option<&Stage>,
        focus: &Focus,
    ) -> Vec<Rc<PartitionRow>> {
        let near = focus.rows.start..focus.rows.end.min(found.partitions().len());
        let mut cursors = partitions::cursors(world, found, &near);
        let old = before.map_or(&[][..], |stage| &stage.rows);
        let mut rows = Vec::with_capacity(found.partitions().len());
        for (index, here) in found.partitions().iter().enumerate() {
            let near = near.contains(&index).then(|| Near {
                records: focus.records,
                until: if focus.scrolled.is_empty() {
                    None
                } else {
                    focus.scrolled.get(&here.name().to_string()).copied()
                },
                cursors: std::mem::take(&mut cursors[index - near.start]),
            });
            let replicas = found.of(here);
            if let Some((seen, row)) = self.seen.get(index).zip(old.get(index))
                && seen.is_of(here, replicas, &near, row)
            {
                rows.push(row.clone());
                continue;
            }
            let logs = replicas.iter().map(|replica| replica.log.cloned()).collect();
            let seen = Seen { registration: here.registration.clone(), logs, near: near.clone() };
            let row = partitions::row(here, replicas, near);
            rows.push(match old.get(index) {
                Some(old) if **old == row => old.clone(),
                _ => Rc::new(row),
            });
            match self.seen.get_mut(index) {
                Some(place) => *place = seen,
                None => self.seen.push(seen),
            }
        }
        self.seen.truncate(rows.len());
        rows
    }
}

impl Seen {
    /// Whether a row would be made from the very same again.
    fn is_of(&self, here: &Here<'_>, replicas: &[Replica<'_>], near: &Option<Near>, row: &PartitionRow) -> bool {
        let same = |(replica, (log, cell)): (&Replica<'_>, (&Option<Arc<Log>>, &ReplicaCell))| {
            let same_log = match (replica.log, log) {
                (Some(new), Some(old)) => Arc::ptr_eq(new, old),
                (None, None) => true,
                _ => false,
            };
            same_log && partitions::standing(here.registration, replica) == (cell.role, cell.leader_epoch, cell.zombie)
        };
        // The registration is kept, so no other can have its place.
        Arc::ptr_eq(here.registration, &self.registration)
            && self.near == *near
            && replicas.len() == row.cells.len()
            && replicas.iter().zip(self.logs.iter().zip(&row.cells)).all(same)
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

fn broker(world: &World, id: BrokerId, member: &Member, leads: u32) -> BrokerColumn {
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
    let silent = || world.silent_for(NodeId::Broker(id)).map(silence);
    match state {
        BrokerState::Starting => match world.broker(id).and_then(Broker::registration_refused) {
            Some(ErrorCode::DuplicateBrokerRegistration) => "starting: its old session still runs".to_string(),
            Some(error) => format!("starting: {}", error_name(error)),
            None => "starting: registers and catches up".to_string(),
        },
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

/// Tenths of a second while a session may yet end by them.
fn silence(duration: Duration) -> String {
    match duration.millis() {
        millis if millis < 10_000 => format!("{:.1} s", millis as f64 / 1000.0),
        millis => format!("{} s", millis / 1000),
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
