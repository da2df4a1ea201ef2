//! The stage: brokers as columns, controllers above them.

use std::rc::Rc;

use serde::Serialize;

use crate::view::cards::{GroupCard, ProducerCard};
use crate::view::partitions::PartitionRow;

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
