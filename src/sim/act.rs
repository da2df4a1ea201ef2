//! Carrying out an action: each arm hands on to the room that knows how.

use std::sync::Arc;

use crate::kafka::client::{Consumer, Producer, ShareConsumer, StreamReader};
use crate::kafka::config::StreamConfig;
use crate::kafka::node::{Command, TxnCall};
use crate::sim::action::{Action, NodeRef, Refused};
use crate::sim::actor::Actor;
use crate::sim::admin;
use crate::sim::event::{Cause, Event, Step};
use crate::sim::faults::LinkChange;
use crate::sim::network::{Mishap, PendingMishap};
use crate::sim::world::{ADMIN, Power, World};
use crate::sorted::SortedSet;
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, ClientId, ControllerId, NodeId, topic_name};

/// An administrative operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminOp {
    /// A call of the admin client, by its own number.
    Call(u64),
    /// A new broker registers and catches up; if it has not by then, that is the statement's error.
    Registration { broker: BrokerId, until: Instant },
}

/// `initial.broker.registration.timeout.ms`
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);

/// What an action left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    pub step: Step,
    /// The statement ends when this is done and known to every live broker.
    pub waits_for: Option<AdminOp>,
}

impl World {
    /// Carries out what `line` of the script says, now.
    pub fn act(&mut self, action: &Action, line: u32) -> Result<Acted, Refused> {
        self.is_acting = true;
        let acted = self.carry_out(action, line);
        self.is_acting = false;
        acted
    }

    fn carry_out(&mut self, action: &Action, line: u32) -> Result<Acted, Refused> {
        let mut waits_for = None;
        let events = match admin::request(action) {
            Some(request) => self.administer(Command::Admin(Box::new(request)), &mut waits_for)?,
            None => match action {
                Action::ResetOffsets { group, topic, to } => {
                    let share = self.share_consumers().any(|(_, _, consumer)| consumer.group() == group);
                    self.administer(admin::reset(share, group, topic, *to), &mut waits_for)?
                }
                Action::AddBroker { id, rack } => self.add_broker_machine(*id, rack.clone(), &mut waits_for)?,
                Action::AddController { id } => self.add_controller_machine(*id, &mut waits_for)?,
                Action::RemoveController { controller } => {
                    match self.resolve(&NodeRef::Controller(controller.clone()))? {
                        NodeId::Controller(id) => self.administer(admin::remove_voter(id), &mut waits_for)?,
                        _ => Vec::new(),
                    }
                }
                Action::AddProducer { .. }
                | Action::AddConsumer { .. }
                | Action::AddShareConsumer { .. }
                | Action::AddStream { .. } => self.add_client(action),
                Action::Kill(_) | Action::Stop(_) | Action::Start(_) | Action::Freeze(_) | Action::Thaw(_) => {
                    self.act_on_process(action)?
                }
                Action::KillClient { .. } | Action::StartClient { .. } => self.act_on_process(action)?,
                Action::PowerOff(node) => self.resolve(node).map(|id| self.power_off(id))?,
                Action::Wipe(node) => self.resolve(node).and_then(|id| self.wipe(id))?,
                Action::Cut { .. } | Action::Heal | Action::Link { .. } => self.act_on_network(action)?,
                Action::DropNext { .. } | Action::DelayNext { .. } | Action::DuplicateNext { .. } => {
                    self.prepare_mishap(action)?
                }
                Action::SlowDisk { broker, latency } => {
                    self.resolve_broker(broker).map(|id| self.slow_disk(id, *latency))?
                }
                _ => self.act_on_client(action)?,
            },
        };
        let step = Step { at: self.now, cause: Cause::Script { line }, node: None, events };
        Ok(Acted { step, waits_for })
    }

    fn administer(&mut self, command: Command, waits_for: &mut Option<AdminOp>) -> Result<Vec<Event>, Refused> {
        let node = NodeId::Client(ADMIN);
        let events = self.command(node, command)?;
        if let Some(Actor::Admin(admin)) = self.member(node).map(|member| &*member.actor) {
            *waits_for = Some(AdminOp::Call(admin.last_operation()));
        }
        Ok(events)
    }

    /// `None` while it is under way; then Kafka's answer.
    pub fn admin_outcome(&self, op: AdminOp) -> Option<Result<(), String>> {
        let call = match op {
            AdminOp::Call(call) => call,
            AdminOp::Registration { broker, .. } if self.image().is_active(broker) => return Some(Ok(())),
            AdminOp::Registration { broker, until } => {
                let late = || format!("broker {} is not registered and unfenced yet", broker.0);
                return (until <= self.now).then(|| Err(late()));
            }
        };
        match self.member(NodeId::Client(ADMIN)).map(|member| &*member.actor) {
            Some(Actor::Admin(admin)) => {
                let outcome = admin.outcome(call)?;
                Some(outcome.error.as_ref().map_or(Ok(()), |error| Err(error.to_string())))
            }
            _ => None,
        }
    }

    /// Whether every broker that runs (and is not cut off or frozen) has replayed the metadata that is committed now.
    pub fn metadata_is_known(&self) -> bool {
        let offset = self.image().offset;
        self.brokers()
            .filter(|(id, member, broker)| {
                member.power == Power::Running && !member.frozen && broker.is_running() && self.image().is_active(*id)
            })
            .all(|(_, _, broker)| broker.image().is_some_and(|image| image.offset >= offset))
    }

    fn act_on_process(&mut self, action: &Action) -> Result<Vec<Event>, Refused> {
        Ok(match action {
            Action::Kill(node) => self.resolve(node).map(|id| self.kill(id))?,
            Action::Stop(node) => self.resolve(node).map(|id| self.stop(id))?,
            Action::Start(node) => self.resolve(node).map(|id| self.start(id))?,
            Action::Freeze(node) => self.resolve(node).map(|id| self.freeze(id))?,
            Action::Thaw(node) => self.resolve(node).map(|id| self.thaw(id))?,
            Action::KillClient { name } => self.client_id(name).map(|id| self.kill(id))?,
            Action::StartClient { name } => self.client_id(name).map(|id| self.start(id))?,
            _ => Vec::new(),
        })
    }

    fn act_on_network(&mut self, action: &Action) -> Result<Vec<Event>, Refused> {
        Ok(match action {
            Action::Cut { sides } => {
                let resolve = |side: &Vec<NodeRef>| side.iter().map(|node| self.resolve(node)).collect();
                let sides: Vec<SortedSet<NodeId>> = sides.iter().map(resolve).collect::<Result<_, Refused>>()?;
                self.cut(sides)
            }
            Action::Heal => self.heal(),
            Action::Link { from, to, both, latency, jitter, loss_percent } => {
                let (from, to) = (self.resolve(from)?, self.resolve(to)?);
                let change = || LinkChange { latency: *latency, jitter: *jitter, loss_percent: *loss_percent };
                let mut events = self.bend(from, to, change());
                if *both {
                    events.extend(self.bend(to, from, change()));
                }
                events
            }
            _ => Vec::new(),
        })
    }

    /// Nothing is told before it happens.
    fn prepare_mishap(&mut self, action: &Action) -> Result<Vec<Event>, Refused> {
        let (api, response, from, to, mishap) = match action {
            Action::DropNext { api, response, from, to } => (api, response, from, to, Mishap::Drop),
            Action::DelayNext { api, response, from, to, by } => (api, response, from, to, Mishap::Delay(*by)),
            Action::DuplicateNext { api, response, from, to } => (api, response, from, to, Mishap::Duplicate),
            _ => return Ok(Vec::new()),
        };
        let (from, to) = (self.resolve(from)?, self.resolve(to)?);
        self.prepare(PendingMishap { api: *api, response: *response, from, to, mishap });
        Ok(Vec::new())
    }

    fn act_on_client(&mut self, action: &Action) -> Result<Vec<Event>, Refused> {
        let (name, command) = match action {
            Action::Send { producer, record } => (producer, Command::Send(record.clone())),
            Action::Load { producer, topic, rate, keys, size, duration } => {
                let until = self.now + *duration;
                let topic = topic_name(topic);
                (producer, Command::Load { topic, rate: *rate, keys: *keys, size: *size, until })
            }
            Action::Seek { consumer, partition, to } => {
                (consumer, Command::Seek { partition: partition.clone(), to: *to })
            }
            Action::Commit { client } if self.producer(client).is_some() => {
                (client, Command::Transaction(TxnCall::Commit))
            }
            Action::Commit { client } => (client, Command::Commit),
            Action::BeginTransaction { producer } => (producer, Command::Transaction(TxnCall::Begin)),
            Action::AbortTransaction { producer } => (producer, Command::Transaction(TxnCall::Abort)),
            Action::SendOffsets { producer, consumer } => {
                // The application holds both; a consumer that is gone can tell nothing.
                let positions = self.consumer(consumer).and_then(Consumer::txn_offsets);
                let positions = positions.ok_or_else(|| Refused::new(format!("{consumer} is not running")))?;
                (producer, Command::Transaction(TxnCall::Offsets(Box::new(positions))))
            }
            Action::Acknowledge { consumer, kind, record } => {
                (consumer, Command::Acknowledge { record: record.clone(), kind: *kind })
            }
            Action::Pause { consumer } => (consumer, Command::Pause),
            Action::Resume { consumer } => (consumer, Command::Resume),
            Action::Handle { consumer, each } => (consumer, Command::Handle { each: *each }),
            Action::Close { client } => (client, Command::Close),
            _ => return Ok(Vec::new()),
        };
        let node = self.client_id(name)?;
        let runs = self.member(node).is_some_and(|member| member.power == Power::Running);
        if command == Command::Close && !runs {
            // KafkaConsumer.close: closing twice is no error.
            return Ok(Vec::new());
        }
        self.command(node, command)
    }

    fn add_broker_machine(
        &mut self,
        id: BrokerId,
        rack: Option<String>,
        waits_for: &mut Option<AdminOp>,
    ) -> Result<Vec<Event>, Refused> {
        let node = NodeId::Broker(id);
        if self.members.contains_key(&node) {
            return Err(Refused::new(format!("there is a broker {} already", id.0)));
        }
        self.add_broker(id, rack);
        *waits_for = Some(AdminOp::Registration { broker: id, until: self.now + REGISTRATION_TIMEOUT });
        Ok(self.start(node))
    }

    /// A new controller begins as an observer; the tool makes it a voter as soon as it has caught up.
    /// One that is there already and votes no more is made a voter again.
    fn add_controller_machine(
        &mut self,
        id: ControllerId,
        waits_for: &mut Option<AdminOp>,
    ) -> Result<Vec<Event>, Refused> {
        let node = NodeId::Controller(id);
        if !self.members.contains_key(&node) {
            self.add_controller(id);
        }
        let mut events = self.start(node);
        events.extend(self.administer(admin::add_voter(id), waits_for)?);
        Ok(events)
    }

    fn add_client(&mut self, action: &Action) -> Vec<Event> {
        let id = ClientId(self.effects.clients.len() as u32);
        let bootstrap = self.bootstrap_brokers();
        let (name, actor) = match action {
            Action::AddProducer { name, config, transactional_id, .. } => {
                let producer = Producer::new(id, name, bootstrap, config.clone(), transactional_id.clone());
                (name, Actor::Producer(producer))
            }
            Action::AddConsumer { name, group, topics, config, .. } => {
                (name, Actor::Consumer(Consumer::new(id, name, group, topics, bootstrap, config.clone())))
            }
            Action::AddShareConsumer { name, group, topics, config, .. } => {
                (name, Actor::ShareConsumer(ShareConsumer::new(id, name, group, topics, bootstrap, config.clone())))
            }
            Action::AddStream { name, subscribe, config, .. } => {
                let stream = StreamReader::new(id, name, subscribe, bootstrap, StreamConfig::clone(config));
                (name, Actor::Stream(stream))
            }
            _ => return Vec::new(),
        };
        Arc::make_mut(&mut self.effects.clients).push(name.clone());
        let node = NodeId::Client(id);
        self.add(node, actor);
        self.switch_on(node)
    }
}
