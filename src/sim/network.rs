//! The network between the nodes: who can talk to whom, how long a message takes, what is on its
//! way. Connections are TCP's: in order, and a lost segment is sent again, so a loss or a short cut
//! delays a message; only a broken connection or a chosen drop loses one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rng::Rng;
use crate::sim::channel::Channel;
use crate::sim::connection::{Arrival, ConnectionId, Connections};
use crate::sim::event::{Because, MessageId};
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, Correlation, Envelope, NodeId};

/// One-way latency between any two nodes unless a `link` says otherwise: a quiet data centre.
const LATENCY: Duration = Duration::from_micros(400);
const JITTER: Duration = Duration::from_micros(200);
/// TCP's first retransmission timeout on a fast network (RFC 6298 with Linux's minimum), doubled
/// at every further loss.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// A sender whose connection is silent tries again at least this often (reconnect.backoff.max.ms).
const RETRANSMISSION_MAX: Duration = Duration::from_millis(1_000);

/// Properties of one direction between two nodes, where they differ from the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub latency: Duration,
    pub jitter: Duration,
    pub loss_percent: u32,
}

impl Default for Link {
    fn default() -> Link {
        Link { latency: LATENCY, jitter: JITTER, loss_percent: 0 }
    }
}

/// What travels from one node to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    Message(Arc<Envelope>),
    /// The news that the connection to the sender's process broke.
    Reset,
}

/// Something on its way. Where it is drawn is a pure function of it and the instant.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlight {
    pub id: MessageId,
    pub from: NodeId,
    pub to: NodeId,
    pub sent_at: Instant,
    pub deliver_at: Instant,
    /// The last event at the sender when it was sent.
    pub cause: Option<Because>,
    /// The incarnation of the receiver that the sender was connected to.
    pub incarnation: u32,
    /// The connection that it travels on; that of a request nobody waits for any more is unknown.
    pub connection: ConnectionId,
    pub payload: Payload,
}

impl InFlight {
    pub fn correlation(&self) -> Option<Correlation> {
        match &self.payload {
            Payload::Message(envelope) => Some(envelope.correlation),
            Payload::Reset => None,
        }
    }
}

/// What happens to one chosen message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    Drop,
    /// It takes that much longer, and what is sent after it on the same connection waits behind it.
    Delay(Duration),
    /// It arrives twice, as if the sender had sent it again.
    Duplicate,
}

/// A mishap that waits for its message (`drop next FETCH 2->1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingMishap {
    pub api: ApiKey,
    pub response: bool,
    pub from: NodeId,
    pub to: NodeId,
    pub mishap: Mishap,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Network {
    /// By delivery time, then by age.
    queue: BTreeMap<(Instant, MessageId), InFlight>,
    /// Messages that a cut holds up, in the order they were sent.
    held: Vec<InFlight>,
    links: SortedMap<(NodeId, NodeId), Link>,
    /// Sides of each cut in force: nodes of different sides of one cut cannot talk.
    cuts: Vec<Vec<SortedSet<NodeId>>>,
    /// In the order they were asked for.
    mishaps: Vec<PendingMishap>,
    /// The last delivery time of each direction: a connection keeps its order.
    last: SortedMap<(NodeId, NodeId, Channel), Instant>,
    /// Open connections, with the incarnations of both ends (lower node first).
    connections: SortedMap<(NodeId, NodeId), (u32, u32)>,
    /// What each part of a node has asked of whom.
    asked: Connections,
    next_id: u64,
}

impl Network {
    /// When the next thing arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    pub fn next_id(&self) -> Option<MessageId> {
        self.queue.keys().next().map(|(_, id)| *id)
    }

    pub fn pop(&mut self) -> Option<InFlight> {
        self.queue.pop_first().map(|(_, message)| message)
    }

    /// Everything on its way, held messages included, oldest delivery first.
    pub fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.queue.values().chain(&self.held)
    }

    pub fn is_cut(&self, a: NodeId, b: NodeId) -> bool {
        self.cuts.iter().any(|sides| {
            let side = |node| sides.iter().position(|side| side.contains(&node));
            matches!((side(a), side(b)), (Some(x), Some(y)) if x != y)
        })
    }

    pub fn link(&self, from: NodeId, to: NodeId) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or_default()
    }

    pub fn bent_links(&self) -> impl Iterator<Item = (&(NodeId, NodeId), &Link)> {
        self.links.iter()
    }

    pub fn cuts(&self) -> &[Vec<SortedSet<NodeId>>] {
        &self.cuts
    }

    pub fn bend(&mut self, from: NodeId, to: NodeId, link: Link, now: Instant, rng: &mut Rng) {
        self.links.insert((from, to), link);
        self.release(now, rng);
    }

    /// Whether nothing gets through from here to there: a cut, or a link that loses everything.
    fn is_blocked(&self, from: NodeId, to: NodeId) -> bool {
        self.is_cut(from, to) || self.link(from, to).loss_percent >= 100
    }

    pub fn cut(&mut self, sides: Vec<SortedSet<NodeId>>) {
        self.cuts.push(sides);
        let queue = std::mem::take(&mut self.queue);
        for (key, message) in queue {
            if self.is_cut(message.from, message.to) && !self.asked.has_arrived(message.id) {
                self.held.push(message);
            } else {
                self.queue.insert(key, message);
            }
        }
        self.held.sort_unstable_by_key(|message| message.id);
    }

    /// Ends all cuts and bent links. What the cuts held up arrives at its next retransmission.
    pub fn heal(&mut self, now: Instant, rng: &mut Rng) {
        self.cuts.clear();
        self.links.clear();
        self.release(now, rng);
    }

    fn release(&mut self, now: Instant, rng: &mut Rng) {
        let (held, freed) =
            std::mem::take(&mut self.held).into_iter().partition(|message| self.is_blocked(message.from, message.to));
        self.held = held;
        for mut message in Vec::into_iter(freed) {
            let again = retransmission_after(message.sent_at, now);
            message.deliver_at = self.in_order(&message, again + self.draw_latency(&message, rng));
            self.queue.insert((message.deliver_at, message.id), message);
        }
    }

    pub fn prepare(&mut self, mishap: PendingMishap) {
        self.mishaps.push(mishap);
    }

    /// The mishap that was waiting for this message; each happens once.
    pub fn take_mishap(&mut self, from: NodeId, to: NodeId, envelope: &Envelope) -> Option<Mishap> {
        let waiting = self.mishaps.iter().position(|waiting| {
            (waiting.from, waiting.to) == (from, to)
                && waiting.api == envelope.api()
                && waiting.response != envelope.is_request()
        })?;
        Some(self.mishaps.remove(waiting).mishap)
    }

    /// Whether an open connection to this incarnation of the other end exists, as the sender sees it.
    pub fn connected(&self, a: NodeId, b: NodeId) -> bool {
        self.connections.contains_key(&pair(a, b))
    }

    /// The incarnation of `to` that `from` is connected to; opens a connection if this process of
    /// `from` has none. The other end may have restarted since: the next message will tell.
    pub fn connect(&mut self, from: (NodeId, u32), to: (NodeId, u32)) -> u32 {
        let fresh = if from.0 < to.0 { (from.1, to.1) } else { (to.1, from.1) };
        let ends = self.connections.entry(pair(from.0, to.0)).or_insert(fresh);
        let (mine, theirs) = if from.0 < to.0 { *ends } else { (ends.1, ends.0) };
        if mine == from.1 {
            return theirs;
        }
        *ends = fresh;
        to.1
    }

    pub fn disconnect(&mut self, a: NodeId, b: NodeId) {
        self.connections.remove(&pair(a, b));
        self.asked.break_between(a, b);
    }

    /// Everyone that has an open connection to `node`.
    pub fn peers(&self, node: NodeId) -> Vec<NodeId> {
        let other = |(a, b): &(NodeId, NodeId)| if *a == node { Some(*b) } else { (*b == node).then_some(*a) };
        self.connections.keys().filter_map(other).collect()
    }

    /// Forgets what is on its way to a process that is gone, and what it had not got out yet
    /// because a cut held it up or its disk was slow.
    pub fn discard(&mut self, node: NodeId, now: Instant) {
        self.queue.retain(|_, message| message.to != node && (message.from != node || message.sent_at <= now));
        self.held.retain(|message| message.to != node && message.from != node);
        self.asked.process_ended(node);
    }

    /// A node that gave up waiting for an answer closes its connection: what a cut held up between the two is gone,
    /// and what they send from now on does not wait behind what the old connection was slow with.
    /// What other parts of the two have sent stays on its way.
    pub fn give_up(&mut self, a: NodeId, b: NodeId, api: ApiKey) {
        let channel = Channel::between(a, b, api);
        self.last.remove(&(a, b, channel));
        self.last.remove(&(b, a, channel));
        self.asked.close((a, b, channel));
        self.held.retain(|m| pair(m.from, m.to) != pair(a, b) || Channel::of(m.from, m.to, &m.payload) != channel);
    }

    /// A request is at the door of its receiver, which reads it now, later, or when it has answered another.
    pub fn arrived(
        &mut self,
        request: InFlight,
        api: ApiKey,
        correlation: Correlation,
        now: Instant,
    ) -> Option<InFlight> {
        let (from, to) = (request.from, request.to);
        let ends = (from, to, Channel::between(from, to, api));
        match self.asked.arrived(ends, request, correlation, now) {
            Arrival::Read(request) => Some(request),
            Arrival::Unread => None,
            Arrival::ReadAt(at, request) => {
                self.read_at(at, request);
                None
            }
        }
    }

    /// The connection of the request that is answered; the next one on it is read when the answer has got out.
    pub fn answered(
        &mut self,
        asker: NodeId,
        asked: NodeId,
        api: ApiKey,
        correlation: Correlation,
        departs: Instant,
    ) -> ConnectionId {
        let ends = (asker, asked, Channel::between(asker, asked, api));
        let answered = self.asked.answered(ends, correlation, departs);
        if let Some(next) = answered.next {
            self.read_at(departs, next);
        }
        answered.connection
    }

    /// An answer has arrived.
    pub fn came_back(&mut self, asker: NodeId, asked: NodeId, api: ApiKey, connection: ConnectionId) {
        self.asked.came_back((asker, asked, Channel::between(asker, asked, api)), connection);
    }

    /// `asked` has learned that what `asker` had opened is broken.
    pub fn learned(&mut self, asked: NodeId, asker: NodeId) {
        self.asked.learned(asked, asker);
    }

    /// Requests that have arrived and wait until the one before them is answered.
    pub fn unread(&self) -> impl Iterator<Item = &InFlight> {
        self.asked.unread()
    }

    /// The connection that a request from one to the other takes.
    pub fn of_request(&mut self, from: NodeId, to: NodeId, api: ApiKey) -> ConnectionId {
        self.asked.of_request((from, to, Channel::between(from, to, api)))
    }

    fn read_at(&mut self, at: Instant, mut request: InFlight) {
        request.deliver_at = at;
        self.queue.insert((at, request.id), request);
    }

    pub fn send(&mut self, message: Outgoing, now: Instant, rng: &mut Rng) -> MessageId {
        self.next_id += 1;
        let id = MessageId(self.next_id);
        let Outgoing { from, to, cause, incarnation, connection, payload, departs, delay } = message;
        let sent_at = now.max(departs);
        let mut message = InFlight {
            id,
            from,
            to,
            sent_at,
            deliver_at: Instant::FAR_FUTURE,
            cause,
            incarnation,
            connection,
            payload,
        };
        if self.is_blocked(from, to) {
            self.held.push(message);
        } else {
            let at = sent_at + delay + self.draw_latency(&message, rng);
            message.deliver_at = self.in_order(&message, at);
            self.queue.insert((message.deliver_at, id), message);
        }
        id
    }

    /// Latency with its jitter, and a retransmission for each time that the segment is lost.
    fn draw_latency(&self, message: &InFlight, rng: &mut Rng) -> Duration {
        let link = self.link(message.from, message.to);
        let mut delay = Duration(link.latency.0 + rng.range(0, link.jitter.0 + 1));
        if link.loss_percent > 0 {
            let mut again = RETRANSMISSION;
            while rng.percent(u64::from(link.loss_percent.min(99))) {
                delay = delay + again;
                again = Duration((again.0 * 2).min(RETRANSMISSION_MAX.0));
            }
        }
        delay
    }

    /// No message overtakes an earlier one of the same connection and direction.
    fn in_order(&mut self, message: &InFlight, at: Instant) -> Instant {
        let (from, to) = (message.from, message.to);
        let last = self.last.entry((from, to, Channel::of(from, to, &message.payload))).or_insert(at);
        *last = at.max(*last);
        *last
    }
}

/// A message that is about to leave.
pub struct Outgoing {
    pub from: NodeId,
    pub to: NodeId,
    pub cause: Option<Because>,
    pub incarnation: u32,
    pub connection: ConnectionId,
    pub payload: Payload,
    /// When it gets out of the sender: later than now when the sender's disk is slow.
    pub departs: Instant,
    /// How much longer than usual it takes.
    pub delay: Duration,
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    if a < b { (a, b) } else { (b, a) }
}

/// The first retransmission of something sent at `sent` that falls at or after `healed`.
fn retransmission_after(sent: Instant, healed: Instant) -> Instant {
    let mut at = sent;
    let mut interval = RETRANSMISSION;
    while at < healed {
        at += interval;
        interval = Duration((interval.0 * 2).min(RETRANSMISSION_MAX.0));
    }
    at
}
