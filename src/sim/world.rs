//! The world: all nodes, the network between them, virtual time. It hands one input to one node at
//! a time and files what the turn leaves behind.

use std::sync::Arc;

use crate::kafka::broker::Broker;
use crate::kafka::client::{Consumer, Producer, ShareConsumer, StreamReader};
use crate::kafka::controller::Controller;
use crate::kafka::controller::image::{MetadataImage, PartitionRegistration};
use crate::kafka::fact::{Fact, Names};
use crate::kafka::node::{Alarm, Effects, Input, Turn};
use crate::sim::action::ClusterSetup;
use crate::sim::actor::Actor;
use crate::sim::connection::ConnectionId;
use crate::sim::disk::SlowDisk;
use crate::sim::event::{Because, Cause, Event, EventId, Step, continues_a_story};
use crate::sim::ledger::Ledger;
use crate::sim::metrics::Meters;
use crate::sim::network::{InFlight, Mishap, Network, Outgoing, Payload};
use crate::sim::properties::{Broken, Properties};
use crate::sim::stories::{Stories, asker, before_in_turn};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{
    ApiKey, Body, BrokerId, ClientId, ControllerId, Correlation, Envelope, LeaderEpoch, NodeId, Request, TopicPartition,
};

/// The admin client that carries out a script's administrative statements.
pub const ADMIN: ClientId = ClientId(0);

/// Whether a node's machine and process run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Running,
    /// The process is gone, the machine answers (a connection is refused).
    Dead,
    /// The machine is off: silence.
    Off,
}

/// A node with what the world knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub actor: Arc<Actor>,
    pub power: Power,
    /// Counts the starts of its process, from 1.
    pub incarnation: u32,
    pub frozen: bool,
    /// What arrived while it was frozen.
    pub(super) inbox: Vec<(Input, Option<Because>)>,
    /// It shuts down, and somebody starts it as soon as it has.
    pub(super) starts_again: bool,
    /// The alarm that stands in the index.
    alarm: Option<(Instant, Alarm)>,
    /// The last event that it told or that reached it.
    pub(super) last_event: Option<Because>,
}

/// The whole simulated cluster at one instant. Cloning it is cheap: nodes are shared until they change.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub now: Instant,
    pub setup: Arc<ClusterSetup>,
    pub(super) members: SortedMap<NodeId, Member>,
    pub(super) network: Network,
    /// One entry for each running node with an alarm.
    alarms: SortedSet<(Instant, NodeId)>,
    pub(super) effects: Effects,
    pub(super) ledger: Ledger,
    pub(super) meters: Meters,
    /// The observers of what must always hold. `None`: nobody looks, to measure what looking costs.
    properties: Option<Box<Properties>>,
    /// The newest committed metadata; never goes back.
    image: MetadataImage,
    last_event: EventId,
    /// Events of the network's own that the step under way has still to carry.
    untold: Vec<Event>,
    /// A line of the script is being carried out: what has no other cause was the person's will.
    pub(super) is_acting: bool,
    /// When each node that does not run or is frozen fell silent.
    pub(super) silenced: SortedMap<NodeId, Instant>,
    /// The last fault that hit each node, for the chain of causes.
    pub(super) faults: SortedMap<NodeId, Because>,
    /// What came of what in each partition, for the chain of causes.
    stories: Stories,
    /// The disks that are slow.
    pub(super) disks: SortedMap<BrokerId, SlowDisk>,
}

impl Names for World {
    fn client(&self, id: ClientId) -> &str {
        self.effects.clients.get(id.0 as usize).map_or("client", String::as_str)
    }
}

impl World {
    pub(super) fn empty(setup: ClusterSetup, at: Instant) -> World {
        World {
            now: at,
            effects: Effects { clients: Arc::new(vec!["admin".to_string()]), ..Effects::new(setup.seed) },
            setup: Arc::new(setup),
            members: SortedMap::new(),
            network: Network::default(),
            alarms: SortedSet::new(),
            ledger: Ledger::default(),
            meters: Meters::default(),
            properties: Some(Box::default()),
            image: MetadataImage::new(),
            last_event: EventId(0),
            untold: Vec::new(),
            is_acting: false,
            silenced: SortedMap::new(),
            faults: SortedMap::new(),
            stories: Stories::default(),
            disks: SortedMap::new(),
        }
    }

    /// When the next thing happens by itself, and what it is.
    pub fn next(&self) -> Option<(Instant, Cause)> {
        let delivery = self.network.next_at().zip(self.network.next_id());
        let delivery = delivery.map(|(at, message)| (at, Cause::Delivery { message }));
        let alarm = self.alarms.first().and_then(|(at, node)| {
            let (_, alarm) = self.members.get(node)?.alarm?;
            // An alarm that was due while its node could not run is due now.
            Some(((*at).max(self.now), Cause::Alarm { node: *node, alarm }))
        });
        [delivery, alarm].into_iter().flatten().min()
    }

    /// Takes the turn that `next` announced.
    pub fn step(&mut self) -> Option<Step> {
        let (at, cause) = self.next()?;
        self.now = self.now.max(at);
        match cause {
            Cause::Delivery { .. } => {
                let message = self.network.pop().expect("next() saw it in the queue");
                Some(self.deliver(message, cause))
            }
            Cause::Alarm { node, alarm } => {
                let inherits = continues_a_story(alarm);
                let because = self.members.get(&node).and_then(|member| member.last_event).filter(|_| inherits);
                let events = self.turn(node, Input::Alarm(alarm), because);
                Some(Step { at: self.now, cause, node: Some(node), events })
            }
            Cause::Script { .. } => unreachable!("the world knows no script"),
        }
    }

    /// Moves time on to `at` without a turn; nothing may be due before.
    pub fn pass_time_to(&mut self, at: Instant) {
        debug_assert!(self.next().is_none_or(|(next, _)| next >= at), "something is due before {at}");
        self.now = self.now.max(at);
    }

    fn deliver(&mut self, message: InFlight, cause: Cause) -> Step {
        let (from, to, because) = (message.from, message.to, message.cause);
        let mut step = Step { at: self.now, cause, node: Some(to), events: Vec::new() };
        let Some(receiver) = self.members.get(&to) else { return step };
        if let Payload::Message(_) = &message.payload {
            if receiver.power == Power::Off {
                return step;
            }
            if receiver.power == Power::Dead || receiver.incarnation != message.incarnation {
                self.network.disconnect(from, to);
                self.reset(to, from, because);
                return step;
            }
        }
        let Some(input) = self.read(message) else { return step };
        let Some(receiver) = self.members.get_mut(&to) else { return step };
        if receiver.power != Power::Running {
            return step;
        }
        if receiver.frozen {
            receiver.inbox.push((input, because));
            return step;
        }
        step.events = self.turn(to, input, because);
        step
    }

    /// What a message means to a running node; `None` for a request that waits unread on its connection.
    fn read(&mut self, message: InFlight) -> Option<Input> {
        let (from, to, connection) = (message.from, message.to, message.connection);
        let request = match &message.payload {
            Payload::Reset => {
                self.network.learned(to, from);
                return Some(Input::Disconnected { peer: from });
            }
            Payload::Message(envelope) if envelope.is_request() => Some((envelope.api(), envelope.correlation)),
            Payload::Message(envelope) => {
                self.network.came_back(to, from, envelope.api(), connection);
                None
            }
        };
        let message = match request {
            Some((api, correlation)) => self.network.arrived(message, api, correlation, self.now)?,
            None => message,
        };
        match message.payload {
            Payload::Message(envelope) => Some(Input::Deliver { from, envelope: Arc::unwrap_or_clone(envelope) }),
            Payload::Reset => None,
        }
    }

    /// One node's turn: input in, effects filed.
    pub(super) fn turn(&mut self, id: NodeId, input: Input, because: Option<Because>) -> Vec<Event> {
        let because = because.or_else(|| self.fault_at_other_end(&input));
        let answered = self.meter_input(id, &input);
        let asker = asker(&input);
        let counted = self.counted_isr_changes(id, &answered);
        let unanswered = unanswered(&input);
        let Some(member) = self.members.get_mut(&id) else { return Vec::new() };
        // Who slept over a timeout does in the same turn what that asks for.
        let overslept = |member: &Member| member.actor.next_alarm().is_some_and(|(at, _)| at <= self.now);
        let pre_vote = pre_vote_in(&input).filter(|_| !overslept(member));
        let mut turn = Turn::new(self.now, &mut self.effects);
        Arc::make_mut(&mut member.actor).node().handle(&mut turn, input);
        if let Actor::Controller(controller) = &*member.actor
            && let Some(image) = controller.image().filter(|image| image.offset > self.image.offset)
        {
            let old = std::mem::replace(&mut self.image, image.clone());
            self.watch(|properties, world| properties.metadata_changed(world, &old, world.last_event));
        }
        if !answered.is_empty() {
            self.meters.isr_changed(id, counted, self.counted_isr_changes(id, &answered), self.now);
        }
        let Some(member) = self.members.get(&id) else { return Vec::new() };
        let ended = member.power == Power::Running && !member.actor.is_running();
        let facts = std::mem::take(&mut self.effects.facts);
        let sends = std::mem::take(&mut self.effects.sends);
        let departs = self.departure(id, &facts);
        let mut events = self.record_turn(Some(id), facts, because, asker);
        self.watch(|properties, world| properties.took_turn(world, id, pre_vote, world.last_event));
        let carried = events.last().map(Event::because).or(because);
        if let (Some(member), Some(_)) = (self.members.get_mut(&id), carried) {
            member.last_event = carried;
        }
        for (to, envelope) in sends {
            self.meters.sent(id, to, &envelope, self.now);
            self.send(id, to, envelope, carried, departs);
        }
        if let Some((from, correlation)) = unanswered {
            self.network.answered(from, id, ApiKey::Produce, correlation, departs);
        }
        for peer in std::mem::take(&mut self.effects.closes) {
            self.network.disconnect(id, peer);
            self.network.learned(id, peer);
            self.reset(id, peer, carried);
        }
        if ended {
            self.process_ended(id, Power::Dead, carried);
        }
        self.refresh_alarm(id);
        events.append(&mut self.untold);
        if ended {
            events.extend(self.start_again(id));
        }
        events
    }

    /// Gives facts that no turn led to their ids and causes.
    pub(super) fn record(&mut self, node: Option<NodeId>, facts: Vec<Fact>, because: Option<Because>) -> Vec<Event> {
        self.record_turn(node, facts, because, None)
    }

    /// Gives the facts of one turn, which may have answered somebody's request, their ids and causes.
    fn record_turn(
        &mut self,
        node: Option<NodeId>,
        mut facts: Vec<Fact>,
        because: Option<Because>,
        asker: Option<NodeId>,
    ) -> Vec<Event> {
        // What happened to a broker comes before what followed for its partitions.
        facts.sort_by_key(|fact| !is_about_broker_state(fact));
        let mut events: Vec<Event> = Vec::with_capacity(facts.len());
        for fact in facts {
            self.last_event.0 += 1;
            let id = self.last_event;
            let told = || self.stories.cause(&fact, asker, because);
            let cause = self.fault_behind(&fact).or_else(told).or_else(|| before_in_turn(&events, &fact)).or(because);
            let cause = cause.or_else(|| self.what_asked(&fact));
            self.observe(&fact, id);
            self.meters.observe(&fact, node, self.now);
            let root = match cause {
                Some(cause) => cause.root,
                None => self.is_acting.then_some(id),
            };
            self.stories.observe(&fact, Because { event: id, root });
            events.push(Event { id, at: self.now, cause: cause.map(|cause| cause.event), root, node, fact });
        }
        events
    }

    /// The fault that explains a fact which only says that somebody was silent.
    fn fault_behind(&self, fact: &Fact) -> Option<Because> {
        let silent = match fact {
            Fact::BrokerFenced { broker, session_expired: true } => NodeId::Broker(*broker),
            Fact::RequestTimedOut { to, .. } => *to,
            Fact::IsrChangeProposed { from, to, .. } if to.len() < from.len() => {
                NodeId::Broker(*from.iter().find(|broker| !to.contains(broker))?)
            }
            _ => return None,
        };
        self.faults.get(&silent).copied()
    }

    /// What is refused to a broker that asks again and again by its timer goes back to its start.
    fn what_asked(&self, fact: &Fact) -> Option<Because> {
        let Fact::RegistrationRefused { broker, .. } = fact else { return None };
        self.members.get(&NodeId::Broker(*broker))?.last_event
    }

    /// The ledger sees every fact; a new leader's log decides what is lost.
    fn observe(&mut self, fact: &Fact, id: EventId) {
        if let Fact::RequestTimedOut { node, to, api } = fact {
            self.network.give_up(*node, *to, *api);
        }
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.observe(self, fact, id);
        self.ledger = ledger;
        self.watch(|properties, world| properties.observe(world, fact, id));
    }

    /// Lets the observers look at the world as it is now.
    fn watch(&mut self, look: impl FnOnce(&mut Properties, &World)) {
        if let Some(mut properties) = self.properties.take() {
            look(&mut properties, self);
            self.properties = Some(properties);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, envelope: Envelope, cause: Option<Because>, departs: Instant) {
        let Some(receiver) = self.members.get(&to) else {
            // No such machine: nothing ever answers.
            return;
        };
        let incarnations = (self.members.get(&from).map_or(0, |m| m.incarnation), receiver.incarnation);
        let (api, is_request) = (envelope.api(), envelope.is_request());
        if !is_request && !self.network.connected(from, to) {
            // The connection that the request came over is gone, and with it the answer and what waits there unread.
            self.network.learned(from, to);
            return;
        }
        let answered = (!is_request).then(|| self.network.answered(to, from, api, envelope.correlation, departs));
        let mishap = self.network.take_mishap(from, to, &envelope);
        if let Some(mishap) = mishap {
            let told = self.record(None, vec![mishap_fact(mishap, from, to, &envelope)], cause);
            self.untold.extend(told);
        }
        if mishap == Some(Mishap::Drop) {
            return;
        }
        let incarnation = self.network.connect((from, incarnations.0), (to, incarnations.1));
        let connection = answered.unwrap_or_else(|| self.network.of_request(from, to, api));
        let payload = Payload::Message(Arc::new(envelope));
        let delay = if let Some(Mishap::Delay(by)) = mishap { by } else { Duration::ZERO };
        let copies = if mishap == Some(Mishap::Duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let outgoing =
                Outgoing { from, to, cause, incarnation, connection, payload: payload.clone(), departs, delay };
            self.network.send(outgoing, self.now, &mut self.effects.rng);
        }
    }

    /// `from`'s end of a connection is gone: `to` learns it after a flight.
    fn reset(&mut self, from: NodeId, to: NodeId, cause: Option<Because>) {
        let (departs, delay, connection) = (self.now, Duration::ZERO, ConnectionId::default());
        let outgoing =
            Outgoing { from, to, cause, incarnation: 0, connection, payload: Payload::Reset, departs, delay };
        self.network.send(outgoing, self.now, &mut self.effects.rng);
    }

    /// A process is gone: its connections break, or fall silent when the machine lost its power.
    pub(super) fn process_ended(&mut self, id: NodeId, power: Power, cause: Option<Because>) {
        self.network.discard(id, self.now);
        if power == Power::Dead {
            for peer in self.network.peers(id) {
                self.network.disconnect(id, peer);
                self.reset(id, peer, cause);
            }
        }
        self.silenced.entry(id).or_insert(self.now);
        if let Some(member) = self.members.get_mut(&id) {
            member.power = power;
            member.frozen = false;
            member.inbox.clear();
        }
        self.refresh_alarm(id);
    }

    /// Keeps the index of alarms true after a node's turn.
    pub(super) fn refresh_alarm(&mut self, id: NodeId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let runs = member.power == Power::Running && !member.frozen;
        let alarm = if runs { member.actor.next_alarm() } else { None };
        if alarm == member.alarm {
            return;
        }
        if let Some((at, _)) = std::mem::replace(&mut member.alarm, alarm) {
            self.alarms.remove(&(at, id));
        }
        if let Some((at, _)) = alarm {
            self.alarms.insert((at, id));
        }
    }

    pub(super) fn add(&mut self, id: NodeId, actor: Actor) {
        let member = Member {
            actor: Arc::new(actor),
            power: Power::Dead,
            incarnation: 0,
            frozen: false,
            inbox: Vec::new(),
            starts_again: false,
            alarm: None,
            last_event: None,
        };
        self.members.insert(id, member);
    }
}

/// What the world shows to those who only look.
impl World {
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter().map(|(id, member)| (*id, member))
    }

    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        match &*self.members.get(&NodeId::Broker(id))?.actor {
            Actor::Broker(broker) => Some(broker),
            _ => None,
        }
    }

    pub fn controller(&self, id: ControllerId) -> Option<&Controller> {
        match &*self.members.get(&NodeId::Controller(id))?.actor {
            Actor::Controller(controller) => Some(controller),
            _ => None,
        }
    }

    pub fn brokers(&self) -> impl Iterator<Item = (BrokerId, &Member, &Broker)> {
        self.members.iter().filter_map(|(id, member)| match (id, &*member.actor) {
            (NodeId::Broker(id), Actor::Broker(broker)) => Some((*id, member, broker)),
            _ => None,
        })
    }

    pub fn controllers(&self) -> impl Iterator<Item = (ControllerId, &Member, &Controller)> {
        self.members.iter().filter_map(|(id, member)| match (id, &*member.actor) {
            (NodeId::Controller(id), Actor::Controller(controller)) => Some((*id, member, controller)),
            _ => None,
        })
    }

    pub fn producers(&self) -> impl Iterator<Item = (&str, &Producer)> {
        self.members.iter().filter_map(|(id, member)| match (id, &*member.actor) {
            (NodeId::Client(id), Actor::Producer(producer)) => Some((self.client(*id), producer)),
            _ => None,
        })
    }

    pub fn consumers(&self) -> impl Iterator<Item = (&str, &Member, &Consumer)> {
        self.members.iter().filter_map(|(id, member)| match (id, &*member.actor) {
            (NodeId::Client(id), Actor::Consumer(consumer)) => Some((self.client(*id), member, consumer)),
            _ => None,
        })
    }

    pub fn share_consumers(&self) -> impl Iterator<Item = (&str, &Member, &ShareConsumer)> {
        self.members.iter().filter_map(|(id, member)| match (id, &*member.actor) {
            (NodeId::Client(id), Actor::ShareConsumer(consumer)) => Some((self.client(*id), member, consumer)),
            _ => None,
        })
    }

    pub fn streams(&self) -> impl Iterator<Item = (&str, &Member, &StreamReader)> {
        self.members.iter().filter_map(|(id, member)| match (id, &*member.actor) {
            (NodeId::Client(id), Actor::Stream(stream)) => Some((self.client(*id), member, stream)),
            _ => None,
        })
    }

    pub fn client_named(&self, name: &str) -> Option<ClientId> {
        self.effects.clients.iter().position(|client| client == name).map(|index| ClientId(index as u32))
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What the observers of the properties know; `None` when they were sent away.
    pub fn properties(&self) -> Option<&Properties> {
        self.properties.as_deref()
    }

    /// The first property that was found broken: a bug of the engine.
    pub fn first_broken(&self) -> Option<&Broken> {
        self.properties()?.broken().first()
    }

    /// Sends the observers away, to measure what they cost. What happens is the same without them.
    pub fn stop_watching(&mut self) {
        self.properties = None;
    }

    /// The youngest event.
    pub fn last_event(&self) -> EventId {
        self.last_event
    }

    /// The log that speaks for a partition: its leader's, by the newest metadata.
    pub fn leader_log(&self, partition: &TopicPartition) -> Option<&crate::kafka::log::Log> {
        let leader = self.registration(partition)?.leader?;
        self.broker(leader)?.log(partition)
    }

    /// The metadata that counts: the newest committed image that any controller has had.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    pub fn registration(&self, partition: &TopicPartition) -> Option<&PartitionRegistration> {
        self.image().partition(partition)
    }
}

/// The epoch in which a node is asked for a pre-vote (KIP-996), if it is.
fn pre_vote_in(input: &Input) -> Option<LeaderEpoch> {
    let Input::Deliver { envelope, .. } = input else { return None };
    let Body::Request(Request::Vote(vote)) = &envelope.body else { return None };
    let asked = &vote.topics.first()?.partitions.first()?;
    asked.pre_vote.then_some(LeaderEpoch(asked.replica_epoch))
}

/// A request that gets no answer (acks=0): its connection is read on when it is handled.
fn unanswered(input: &Input) -> Option<(NodeId, Correlation)> {
    let Input::Deliver { from, envelope } = input else { return None };
    let Body::Request(Request::Produce(produce)) = &envelope.body else { return None };
    (produce.acks == 0).then_some((*from, envelope.correlation))
}

fn mishap_fact(mishap: Mishap, from: NodeId, to: NodeId, envelope: &Envelope) -> Fact {
    let (api, request) = (envelope.api(), envelope.is_request());
    match mishap {
        Mishap::Drop => Fact::MessageLost { from, to, api, request },
        Mishap::Delay(by) => Fact::MessageDelayed { from, to, api, request, by },
        Mishap::Duplicate => Fact::MessageDuplicated { from, to, api, request },
    }
}

fn is_about_broker_state(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::BrokerFenced { .. }
            | Fact::BrokerUnfenced { .. }
            | Fact::BrokerRegistered { .. }
            | Fact::BrokerInControlledShutdown { .. }
            | Fact::BrokerUnregistered { .. }
    )
}
