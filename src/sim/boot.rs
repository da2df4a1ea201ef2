//! From a set-up to a running cluster: settled at time zero, or just switched on.

use crate::kafka::broker::Broker;
use crate::kafka::client::Admin;
use crate::kafka::controller::Controller;
use crate::kafka::node::Input;
use crate::sim::action::{ClusterSetup, Refused};
use crate::sim::actor::Actor;
use crate::sim::world::{ADMIN, Power, World};
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, ControllerId, NodeId, str_bytes};

/// How long before time zero a cluster is switched on that shall be settled at time zero.
const SETTLING: Duration = Duration::from_secs(30);

impl World {
    /// The cluster of a set-up. A settled one has a controller, and all brokers are registered,
    /// unfenced and up to date with the metadata.
    pub fn boot(setup: ClusterSetup) -> Result<World, Refused> {
        let cold = setup.cold;
        let start = if cold { Instant::ZERO } else { Instant::ZERO - SETTLING };
        let mut world = World::empty(setup, start);
        world.add_nodes();
        let ids: Vec<NodeId> = world.members.keys().copied().collect();
        for id in ids {
            world.switch_on(id);
        }
        if cold {
            return Ok(world);
        }
        world.run_quietly_to(Instant::ZERO);
        if !world.is_settled() {
            return Err(Refused::new(
                "the cluster does not settle within 30 s of being switched on with these settings; start=cold shows why",
            ));
        }
        Ok(world)
    }

    fn add_nodes(&mut self) {
        let setup = self.setup.clone();
        for id in first_controllers(&setup) {
            self.add_controller(id);
        }
        for number in 1..=setup.brokers {
            let rack = setup.racks.get(number as usize - 1).cloned();
            self.add_broker(BrokerId(number), rack);
        }
        let bootstrap = self.bootstrap_brokers();
        self.add(NodeId::Client(ADMIN), Actor::Admin(Admin::new(ADMIN, bootstrap)));
    }

    pub(super) fn add_controller(&mut self, id: ControllerId) {
        let controller = Controller::new(id, first_controllers(&self.setup), self.setup.config.clone());
        self.add(NodeId::Controller(id), Actor::Controller(controller));
    }

    pub(super) fn add_broker(&mut self, id: BrokerId, rack: Option<String>) {
        let (config, rack) = (self.setup.config.clone(), rack.map(|rack| str_bytes(&rack)));
        let broker = Broker::new(id, config, first_controllers(&self.setup), rack);
        self.add(NodeId::Broker(id), Actor::Broker(broker));
    }

    /// `bootstrap.servers`: every broker of the set-up.
    pub(super) fn bootstrap_brokers(&self) -> Vec<NodeId> {
        self.members.keys().filter(|id| matches!(id, NodeId::Broker(_))).copied().collect()
    }

    /// A process starts; its first turn is part of the step under way.
    pub(super) fn switch_on(&mut self, id: NodeId) -> Vec<crate::sim::event::Event> {
        let Some(member) = self.members.get_mut(&id) else { return Vec::new() };
        member.power = Power::Running;
        member.frozen = false;
        member.incarnation += 1;
        let because = member.last_event;
        self.turn(id, Input::Start, because)
    }

    /// Runs without keeping the steps; nobody looks yet.
    fn run_quietly_to(&mut self, end: Instant) {
        while self.next().is_some_and(|(at, _)| at <= end) {
            self.step();
        }
        self.pass_time_to(end);
    }

    /// A controller leads, and every broker that runs is unfenced and knows what the controller knows.
    pub fn is_settled(&self) -> bool {
        let image = self.image();
        let active = self.controllers().any(|(_, member, c)| member.power == Power::Running && c.is_active());
        active
            && self
                .brokers()
                .filter(|(_, member, _)| member.power == Power::Running)
                .all(|(id, _, _)| image.is_active(id))
    }
}

/// The controllers that the cluster begins with.
fn first_controllers(setup: &ClusterSetup) -> Vec<ControllerId> {
    (1..=setup.controllers).map(ControllerId).collect()
}
