//! What a person does to machines, processes and the network.

use std::sync::Arc;

use crate::kafka::client::Producer;
use crate::kafka::fact::{Fact, Names};
use crate::kafka::node::{Command, Input};
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::sim::action::{BrokerRef, ControllerRef, NodeRef, Refused};
use crate::sim::actor::Actor;
use crate::sim::event::{Because, Event};
use crate::sim::network::{Link, PendingMishap};
use crate::sim::world::{Power, World};
use crate::sorted::SortedSet;
use crate::time::Duration;
use crate::wire::{BrokerId, NodeId, OFFSETS_TOPIC, TRANSACTION_TOPIC, TopicPartition};

impl World {
    /// The broker that a role means at this moment.
    pub fn resolve_broker(&self, broker: &BrokerRef) -> Result<BrokerId, Refused> {
        match broker {
            BrokerRef::Id(id) if self.members.contains_key(&NodeId::Broker(*id)) => Ok(*id),
            BrokerRef::Id(id) => Err(Refused::new(format!("there is no broker {}", id.0))),
            BrokerRef::Leader(partition) => {
                let leader = self.known_partition(partition)?.leader;
                leader.ok_or_else(|| Refused::new(format!("{partition} has no leader at this moment")))
            }
            BrokerRef::Follower(partition) => {
                let registration = self.known_partition(partition)?;
                let other = registration.replicas.iter().find(|replica| Some(**replica) != registration.leader);
                other.copied().ok_or_else(|| Refused::new(format!("{partition} has no follower")))
            }
            BrokerRef::Coordinator(of) => {
                let transactions = !self.group_names().contains(of);
                let id = self.producer(of).and_then(Producer::transactional_id).filter(|_| transactions);
                match id {
                    Some(id) => self.transaction_coordinator(id),
                    None => self.coordinator(of),
                }
                .ok_or_else(|| Refused::new(format!("{of} has no coordinator at this moment")))
            }
        }
    }

    pub fn resolve(&self, node: &NodeRef) -> Result<NodeId, Refused> {
        match node {
            NodeRef::Broker(broker) => self.resolve_broker(broker).map(NodeId::Broker),
            NodeRef::Controller(ControllerRef::Id(id)) if self.members.contains_key(&NodeId::Controller(*id)) => {
                Ok(NodeId::Controller(*id))
            }
            NodeRef::Controller(ControllerRef::Id(id)) => Err(Refused::new(format!("there is no controller {id}"))),
            NodeRef::Controller(ControllerRef::Active) => self
                .active_controller()
                .map(NodeId::Controller)
                .ok_or_else(|| Refused::new("no controller is active at this moment")),
            NodeRef::Client(name) => self.client_id(name),
        }
    }

    pub(super) fn client_id(&self, name: &str) -> Result<NodeId, Refused> {
        self.client_named(name).map(NodeId::Client).ok_or_else(|| Refused::new(format!("there is no client {name}")))
    }

    fn known_partition(
        &self,
        partition: &TopicPartition,
    ) -> Result<&crate::kafka::controller::image::PartitionRegistration, Refused> {
        self.registration(partition).ok_or_else(|| Refused::new(format!("there is no partition {partition}")))
    }

    /// The leader of the group's partition of `__consumer_offsets`.
    pub fn coordinator(&self, group: &str) -> Option<BrokerId> {
        self.coordinating(OFFSETS_TOPIC, group)
    }

    /// The leader of the transactional id's partition of `__transaction_state`.
    pub fn transaction_coordinator(&self, transactional_id: &str) -> Option<BrokerId> {
        self.coordinating(TRANSACTION_TOPIC, transactional_id)
    }

    fn coordinating(&self, topic: &str, key: &str) -> Option<BrokerId> {
        self.registration(&self.coordinator_partition(topic, key)?)?.leader
    }

    /// The partition of `__consumer_offsets` or `__transaction_state` whose leader coordinates a group or a
    /// transactional id; both find it in the same way.
    pub fn coordinator_partition(&self, topic: &str, key: &str) -> Option<TopicPartition> {
        let topic = crate::wire::topic_name(topic);
        let partitions = self.image().topics.get(&topic)?.partitions.len() as i32;
        let partition = crate::kafka::group::GroupCoordinator::partition_for(key, partitions);
        Some(TopicPartition { topic, partition })
    }

    /// What befell the node at whose end a connection broke: whoever finds it dead tells what follows of that.
    /// It is no step of the story that somebody waits for, so it has no root.
    pub(super) fn fault_at_other_end(&self, input: &Input) -> Option<Because> {
        let Input::Disconnected { peer } = input else { return None };
        self.faults.get(peer).map(|fault| Because { root: None, ..*fault })
    }

    /// Tells a fault, and remembers it as the reason for later silence.
    fn fault(&mut self, node: NodeId, fact: Fact) -> Vec<Event> {
        let events = self.record(Some(node), vec![fact], None);
        if let Some(event) = events.first() {
            self.faults.insert(node, event.because());
            if let Some(member) = self.members.get_mut(&node) {
                member.last_event = Some(event.because());
            }
        }
        events
    }

    /// The process dies; its disk is whole.
    pub(super) fn kill(&mut self, node: NodeId) -> Vec<Event> {
        let Some(member) = self.members.get_mut(&node) else { return Vec::new() };
        if member.power != Power::Running {
            return Vec::new();
        }
        if !Arc::make_mut(&mut member.actor).kill() {
            return Vec::new();
        }
        member.starts_again = false;
        let events = self.fault(node, Fact::Killed { node });
        self.process_ended(node, Power::Dead, events.first().map(Event::because));
        events
    }

    /// The machine loses its power: no connection is closed, and what was not flushed is gone.
    pub(super) fn power_off(&mut self, node: NodeId) -> Vec<Event> {
        let Some(member) = self.members.get_mut(&node) else { return Vec::new() };
        if member.power == Power::Off {
            return Vec::new();
        }
        member.starts_again = false;
        match Arc::make_mut(&mut member.actor) {
            Actor::Broker(broker) => broker.power_off(),
            Actor::Controller(controller) => controller.power_off(),
            _ => return Vec::new(),
        }
        let events = self.fault(node, Fact::PoweredOff { node });
        self.process_ended(node, Power::Off, None);
        events
    }

    pub(super) fn stop(&mut self, node: NodeId) -> Vec<Event> {
        if !self.takes_turns(node) {
            return Vec::new();
        }
        let mut events = self.fault(node, Fact::Stopping { node });
        let because = events.first().map(Event::because);
        events.extend(self.turn(node, Input::Command(Command::Shutdown), because));
        events
    }

    /// What shuts down is started when it has.
    pub(super) fn start(&mut self, node: NodeId) -> Vec<Event> {
        let Some(member) = self.members.get_mut(&node) else { return Vec::new() };
        if member.power == Power::Running {
            member.starts_again |= member.actor.is_ending();
            return Vec::new();
        }
        let mut events = self.fault(node, Fact::Started { node });
        self.faults.remove(&node);
        self.silenced.remove(&node);
        events.extend(self.switch_on(node));
        events
    }

    pub(super) fn start_again(&mut self, node: NodeId) -> Vec<Event> {
        let wanted = self.members.get_mut(&node).is_some_and(|member| std::mem::take(&mut member.starts_again));
        if wanted { self.start(node) } else { Vec::new() }
    }

    pub(super) fn wipe(&mut self, node: NodeId) -> Result<Vec<Event>, Refused> {
        let Some(member) = self.members.get_mut(&node) else { return Ok(Vec::new()) };
        let runs = member.power == Power::Running;
        match Arc::make_mut(&mut member.actor) {
            Actor::Broker(_) if runs => {
                let text = format!("{node} runs: a disk can be wiped only while its broker is down");
                return Err(Refused::new(text));
            }
            Actor::Broker(broker) => broker.wipe(),
            _ => return Err(Refused::new(format!("{node} keeps its disk: only a broker's can be lost here"))),
        }
        Ok(self.fault(node, Fact::Wiped { node }))
    }

    pub(super) fn freeze(&mut self, node: NodeId) -> Vec<Event> {
        if !self.takes_turns(node) {
            return Vec::new();
        }
        if let Some(member) = self.members.get_mut(&node) {
            member.frozen = true;
        }
        self.silenced.insert(node, self.now);
        self.refresh_alarm(node);
        self.fault(node, Fact::Frozen { node })
    }

    /// The pause is over: what waited in the sockets is read first, then the alarms that are due.
    pub(super) fn thaw(&mut self, node: NodeId) -> Vec<Event> {
        let Some(member) = self.members.get_mut(&node) else { return Vec::new() };
        if !std::mem::take(&mut member.frozen) {
            return Vec::new();
        }
        let inbox = std::mem::take(&mut member.inbox);
        let mut events = self.fault(node, Fact::Thawed { node });
        self.faults.remove(&node);
        self.silenced.remove(&node);
        for (input, because) in inbox {
            events.extend(self.turn(node, input, because));
        }
        self.refresh_alarm(node);
        events
    }

    pub(super) fn cut(&mut self, sides: Vec<SortedSet<NodeId>>) -> Vec<Event> {
        let named: Vec<Vec<NodeId>> = sides.iter().map(|side| side.iter().copied().collect()).collect();
        self.network.cut(sides);
        let events = self.record(None, vec![Fact::Cut { sides: named.clone() }], None);
        if let Some(event) = events.first() {
            for node in named.into_iter().flatten() {
                self.faults.insert(node, event.because());
            }
        }
        events
    }

    pub(super) fn heal(&mut self) -> Vec<Event> {
        self.network.heal(self.now, &mut self.effects.rng);
        let (members, faults) = (&self.members, &mut self.faults);
        faults.retain(|node, _| members.get(node).is_some_and(|m| m.power != Power::Running || m.frozen));
        self.record(None, vec![Fact::Healed {}], None)
    }

    pub(super) fn bend(&mut self, from: NodeId, to: NodeId, change: LinkChange) -> Vec<Event> {
        let old = self.network.link(from, to);
        let link = Link {
            latency: change.latency.unwrap_or(old.latency),
            // A latency without a jitter is exact: what a person sets is what the message takes.
            jitter: change.jitter.unwrap_or(if change.latency.is_some() { Duration::ZERO } else { old.jitter }),
            loss_percent: change.loss_percent.unwrap_or(old.loss_percent),
        };
        self.network.bend(from, to, link, self.now, &mut self.effects.rng);
        let fact = Fact::LinkBent { from, to, latency: link.latency, loss_percent: link.loss_percent };
        self.record(None, vec![fact], None)
    }

    pub(super) fn prepare(&mut self, mishap: PendingMishap) {
        self.network.prepare(mishap);
    }

    /// A command of the application or the operator; a frozen client takes it when it thaws.
    pub(super) fn command(&mut self, node: NodeId, command: Command) -> Result<Vec<Event>, Refused> {
        let name = self.node(node);
        let Some(member) = self.members.get_mut(&node) else { return Err(Refused::new(format!("there is no {name}"))) };
        if member.power != Power::Running {
            return Err(Refused::new(format!("{name} is not running")));
        }
        if member.frozen {
            member.inbox.push((Input::Command(command), None));
            return Ok(Vec::new());
        }
        Ok(self.turn(node, Input::Command(command), None))
    }

    fn takes_turns(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(|member| member.power == Power::Running && !member.frozen)
    }

    /// The controller that leads the quorum in the newest epoch that any running controller knows of.
    pub fn active_controller(&self) -> Option<crate::wire::ControllerId> {
        let active = self.controllers().filter(|(_, member, c)| member.power == Power::Running && c.is_active());
        let newest = self.newest_quorum()?.epoch();
        let (id, _, _) = active.max_by_key(|(_, _, c)| c.epoch()).filter(|(_, _, c)| c.epoch() == newest)?;
        Some(id)
    }
}

impl World {
    /// The quorum as the running controller knows it that has heard of the newest epoch, and best the
    /// one that leads it.
    pub fn newest_quorum(&self) -> Option<&Quorum> {
        let running = self.controllers().filter(|(_, member, _)| member.power == Power::Running);
        running.filter_map(|(_, _, c)| c.quorum()).max_by_key(|q| (q.epoch(), q.is_leader(), q.leader().is_some()))
    }

    /// What a broker or controller keeps of the metadata quorum.
    pub fn quorum_disk(&self, node: NodeId) -> Option<&QuorumDisk> {
        match node {
            NodeId::Broker(id) => self.broker(id).map(|broker| &broker.disk().quorum),
            NodeId::Controller(id) => self.controller(id).map(|controller| &controller.disk),
            NodeId::Client(_) => None,
        }
    }

    /// The quorum's leader in the newest epoch that any running controller knows.
    pub fn quorum_leader_id(&self) -> Option<crate::wire::ControllerId> {
        let running = self.controllers().filter(|(_, member, _)| member.power == Power::Running);
        running
            .max_by_key(|(_, _, c)| (c.epoch(), c.quorum().and_then(Quorum::leader).is_some()))
            .and_then(|(_, _, c)| c.quorum().and_then(Quorum::leader))
    }
}

/// What a `link` statement names; what it leaves out stays.
pub struct LinkChange {
    pub latency: Option<Duration>,
    pub jitter: Option<Duration>,
    pub loss_percent: Option<u32>,
}
