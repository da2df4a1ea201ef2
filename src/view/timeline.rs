//! The painted timeline.

use serde::Serialize;

use crate::history::History;
use crate::kafka::fact::{Fact, Names, brokers};
use crate::sim::{Event, Step};
use crate::time::Instant;

use crate::wire::{BrokerId, NodeId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    Fault,
    Recovery,
    Election,
    Isr,
    Quorum,
    Rebalance,
    FailedSend,
    Truncation,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    pub at: Instant,
    pub kind: MarkKind,
    /// `kill 1`, `leader 2`, `ISR 2,3`
    pub label: String,
}

/// A span of time in which one partition had one leader epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Band {
    pub from: Instant,
    /// `None`: until now.
    pub to: Option<Instant>,
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    /// How many replicas are in sync; 0 of 0 before anything was said of it.
    pub isr: u32,
    pub replicas: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Default)]
pub struct Timeline {
    /// The oldest instant that can still be looked at, and the newest: the left and the right end.
    pub beginning: Instant,
    pub end: Instant,
    pub marks: Vec<Mark>,
    /// Of the partition in focus (or the one with the most going on).
    pub bands: Vec<Band>,
    pub partition: Option<String>,
}

/// Painted as the history grows: each step is looked at once, however often it is drawn.
#[derive(Clone, Debug, Default)]
pub struct Painter {
    /// How many steps have been painted, and of which partition the bands are.
    seen: u64,
    painted: Timeline,
    isr: Vec<BrokerId>,
}

impl Painter {
    /// The partition that the bands are of.
    pub fn partition(&self) -> Option<&str> {
        self.painted.partition.as_deref()
    }

    /// The timeline of everything that has happened, with the leader epochs of `partition`.
    pub fn paint(&mut self, history: &History, partition: Option<&str>) -> &Timeline {
        let other = self.painted.partition.as_deref() != partition;
        if other || self.seen > history.count() || history.end() < self.painted.end {
            *self = Painter::default();
            self.painted.partition = partition.map(str::to_string);
        }
        for step in history.steps_from(self.seen) {
            self.paint_step(step, history.world());
        }
        self.seen = history.count();
        self.painted.end = history.end();
        if self.painted.beginning != history.beginning() {
            self.painted.beginning = history.beginning();
            self.painted.marks.retain(|mark| mark.at >= history.beginning());
            let over = |band: &Band| band.to.is_some_and(|to| to < history.beginning());
            self.painted.bands.retain(|band| !over(band));
        }
        &self.painted
    }

    fn paint_step(&mut self, step: &Step, names: &dyn Names) {
        for event in &step.events {
            if let Some((kind, label)) = mark(&event.fact, names) {
                self.painted.marks.push(Mark { at: event.at, kind, label });
            }
            self.paint_band(event);
        }
    }

    fn paint_band(&mut self, event: &Event) {
        let about = event.fact.partition().map(ToString::to_string);
        if about.is_none() || about != self.painted.partition {
            return;
        }
        if let (Fact::BecameLeader { broker, leader_epoch, .. }, true) = (&event.fact, self.painted.bands.is_empty()) {
            let (leader, leader_epoch) = (Some(broker.0), leader_epoch.0);
            self.painted.bands.push(Band { from: event.at, to: None, leader, leader_epoch, isr: 0, replicas: 0 });
            return;
        }
        let last = self.painted.bands.last().cloned();
        let (leader, leader_epoch, isr) = match &event.fact {
            Fact::LeaderElected { to, leader_epoch, isr, .. } => (to.map(|to| to.0), leader_epoch.0, isr.clone()),
            Fact::IsrChanged { to, .. } => {
                let (leader, epoch) = last.as_ref().map_or((None, 0), |last| (last.leader, last.leader_epoch));
                (leader, epoch, to.clone())
            }
            _ => return,
        };
        if let Some(last) = self.painted.bands.last_mut() {
            last.to = Some(event.at);
        }
        let replicas = last.map_or(isr.len() as u32, |last| last.replicas.max(isr.len() as u32));
        self.painted.bands.push(Band {
            from: event.at,
            to: None,
            leader,
            leader_epoch,
            isr: isr.len() as u32,
            replicas,
        });
        self.isr = isr;
    }
}

fn mark(fact: &Fact, names: &dyn Names) -> Option<(MarkKind, String)> {
    if fact.is_internal() {
        return None;
    }
    let name = |node: &NodeId| match node {
        NodeId::Broker(broker) => broker.0.to_string(),
        NodeId::Client(client) => names.client(*client).to_string(),
        other => other.to_string(),
    };
    Some(match fact {
        Fact::Killed { node: NodeId::Client(_) } | Fact::Started { node: NodeId::Client(_) } => return None,
        Fact::Killed { node } => (MarkKind::Fault, format!("kill {}", name(node))),
        Fact::PoweredOff { node } => (MarkKind::Fault, format!("power off {}", name(node))),
        Fact::Stopping { node } => (MarkKind::Fault, format!("stop {}", name(node))),
        Fact::Frozen { node } => (MarkKind::Fault, format!("freeze {}", name(node))),
        Fact::DiskSlowed { broker, latency } if latency.0 > 0 => (MarkKind::Fault, format!("slow disk {}", broker.0)),
        Fact::DiskSlowed { broker, .. } => (MarkKind::Recovery, format!("quick disk {}", broker.0)),
        Fact::Cut { .. } => (MarkKind::Fault, "cut".to_string()),
        Fact::Started { node } => (MarkKind::Recovery, format!("start {}", name(node))),
        Fact::Thawed { node } => (MarkKind::Recovery, format!("thaw {}", name(node))),
        Fact::Healed {} => (MarkKind::Recovery, "heal".to_string()),
        Fact::LeaderElected { partition, to, .. } => {
            let leader = to.map_or("none".to_string(), |to| to.0.to_string());
            (MarkKind::Election, format!("{partition} led by {leader}"))
        }
        Fact::IsrChanged { partition, to, .. } => (MarkKind::Isr, format!("{partition} ISR {}", brokers(to))),
        Fact::QuorumLeaderElected { controller, .. } => (MarkKind::Quorum, format!("{controller} active")),
        Fact::RebalanceStarted { group, .. } | Fact::GroupEpochRaised { group, .. } => {
            (MarkKind::Rebalance, format!("{} rebalances", group.0.as_str()))
        }
        Fact::SendFailed { .. } => (MarkKind::FailedSend, "send failed".to_string()),
        Fact::Truncated { partition, broker, .. } => {
            (MarkKind::Truncation, format!("{partition} truncated at {}", broker.0))
        }
        _ => return None,
    })
}
