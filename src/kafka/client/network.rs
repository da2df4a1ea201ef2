//! A client's requests on their way: what each was for, which connection it runs on, when it has
//! waited too long, and how soon a broken connection is tried again (NetworkClient,
//! ClusterConnectionStates, InFlightRequests).

use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, Correlation, NodeId, Request};

/// `reconnect.backoff.ms`: Kafka's default for every client.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
/// `reconnect.backoff.max.ms`
const RECONNECT_BACKOFF_MAX: Duration = Duration::from_millis(1_000);
/// The share of a back-off that is drawn, in percent (ExponentialBackoff, KIP-580).
const JITTER_PERCENT: i64 = 20;

/// One request that has no answer yet.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlight<T> {
    pub to: NodeId,
    pub api: ApiKey,
    pub sent: Instant,
    /// When its connection counts as broken because of this request.
    pub deadline: Instant,
    /// What the client wanted with it.
    pub purpose: T,
}

/// A connection as the client sees it.
#[derive(Clone, Debug, PartialEq)]
struct Connection {
    /// An answer came since the connection last broke.
    proven: bool,
    /// Breaks in a row without an answer between them.
    failures: u32,
    /// No new attempt before this instant.
    blocked_until: Instant,
    /// When a request was last sent to it: the node tried longest ago is tried next.
    last_attempt: Instant,
    in_flight: u32,
}

/// All of one client's connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    in_flight: SortedMap<Correlation, InFlight<T>>,
    connections: SortedMap<NodeId, Connection>,
}

impl<T> Default for Network<T> {
    fn default() -> Self {
        Network { in_flight: SortedMap::new(), connections: SortedMap::new() }
    }
}

impl<T> Network<T> {
    /// Sends a request that waits for its answer at most `timeout`.
    pub fn send(
        &mut self,
        turn: &mut Turn<'_>,
        to: NodeId,
        request: impl Into<Request>,
        timeout: Duration,
        purpose: T,
    ) -> Correlation {
        let request = request.into();
        let api = request.api();
        let connection = self.connection(to);
        connection.last_attempt = turn.now;
        connection.in_flight += 1;
        let correlation = turn.request(to, request);
        self.in_flight.insert(correlation, InFlight { to, api, sent: turn.now, deadline: turn.now + timeout, purpose });
        correlation
    }

    /// Sends a request that is never answered (acks=0).
    pub fn send_unanswered(&mut self, turn: &mut Turn<'_>, to: NodeId, request: impl Into<Request>) {
        self.connection(to).last_attempt = turn.now;
        turn.request(to, request);
    }

    /// The request that this answer belongs to; `None` for one that was given up.
    pub fn answered(&mut self, correlation: Correlation) -> Option<InFlight<T>> {
        let request = self.in_flight.remove(&correlation)?;
        let connection = self.connection(request.to);
        connection.in_flight -= 1;
        connection.proven = true;
        connection.failures = 0;
        Some(request)
    }

    /// The connection broke: its requests in the order of sending.
    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: NodeId) -> Vec<InFlight<T>> {
        let lost: Vec<Correlation> = self.in_flight.iter().filter(|(_, r)| r.to == peer).map(|(c, _)| *c).collect();
        let lost: Vec<InFlight<T>> = lost.iter().filter_map(|c| self.in_flight.remove(c)).collect();
        let now = turn.now;
        let failures = self.connection(peer).failures;
        let wait = backoff(turn, RECONNECT_BACKOFF, RECONNECT_BACKOFF_MAX, failures);
        let connection = self.connection(peer);
        connection.proven = false;
        connection.failures = failures.saturating_add(1);
        connection.blocked_until = now + wait;
        connection.in_flight = 0;
        lost
    }

    /// Connections with a request that waited too long count as broken, with all their requests
    /// (NetworkClient.handleTimedOutRequests).
    pub fn timed_out(&mut self, turn: &mut Turn<'_>, me: NodeId) -> Vec<InFlight<T>> {
        let mut late: Vec<(NodeId, ApiKey)> = Vec::new();
        for request in self.in_flight.values().filter(|r| r.deadline <= turn.now) {
            if !late.iter().any(|(node, _)| *node == request.to) {
                late.push((request.to, request.api));
            }
        }
        let mut lost = Vec::new();
        for (node, api) in late {
            turn.tell(Fact::RequestTimedOut { node: me, to: node, api });
            lost.extend(self.disconnected(turn, node));
        }
        lost
    }

    /// Whether a request may be sent to the node now.
    pub fn ready(&self, node: NodeId, now: Instant) -> bool {
        self.connections.get(&node).is_none_or(|c| c.blocked_until <= now)
    }

    /// Whether the connection to the node is open: something came over it since it last broke.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.connections.get(&node).is_some_and(|c| c.proven)
    }

    /// How many requests to the node wait for their answers.
    pub fn in_flight_to(&self, node: NodeId) -> u32 {
        self.connections.get(&node).map_or(0, |c| c.in_flight)
    }

    /// NetworkClient.leastLoadedNode: a proven connection with the fewest requests, else the node
    /// that was tried longest ago; the lowest id first. `None` while every node is blocked.
    pub fn least_loaded(&self, nodes: &[NodeId], now: Instant) -> Option<NodeId> {
        let fresh = Connection::new();
        let connection = |node: &NodeId| self.connections.get(node).unwrap_or(&fresh);
        let usable = || nodes.iter().copied().filter(|n| connection(n).blocked_until <= now);
        usable()
            .filter(|n| connection(n).proven)
            .min_by_key(|n| (connection(n).in_flight, *n))
            .or_else(|| usable().min_by_key(|n| (connection(n).last_attempt, *n)))
    }

    /// What is on its way, in the order of sending.
    pub fn in_flight(&self) -> impl Iterator<Item = &InFlight<T>> {
        self.in_flight.values()
    }

    pub fn purposes_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.in_flight.values_mut().map(|r| &mut r.purpose)
    }

    /// When the first request has waited too long.
    pub fn next_timeout(&self) -> Option<(Instant, Alarm)> {
        self.in_flight.values().map(|r| r.deadline).min().map(|at| (at, Alarm::RequestTimeout))
    }

    /// When the first of these nodes may be tried again, of those that are blocked.
    pub fn next_unblocked(&self, now: Instant) -> Option<(Instant, Alarm)> {
        self.connections
            .values()
            .map(|c| c.blocked_until)
            .filter(|at| *at > now)
            .min()
            .map(|at| (at, Alarm::RetryBackoff))
    }

    fn connection(&mut self, node: NodeId) -> &mut Connection {
        self.connections.entry(node).or_insert_with(Connection::new)
    }
}

impl Connection {
    fn new() -> Connection {
        Connection {
            proven: false,
            failures: 0,
            blocked_until: Instant(i64::MIN),
            last_attempt: Instant(i64::MIN),
            in_flight: 0,
        }
    }
}

/// ExponentialBackoff (KIP-580): doubled with every failure up to the greatest, give or take a fifth; with
/// nothing to double up to it is constant.
pub fn backoff(turn: &mut Turn<'_>, first: Duration, greatest: Duration, failures: u32) -> Duration {
    if greatest <= first {
        return greatest;
    }
    let factor = 1_i64.checked_shl(failures.min(40)).unwrap_or(i64::MAX);
    let base = first.0.saturating_mul(factor).min(greatest.0);
    let spread = base / 100 * JITTER_PERCENT;
    let drawn = base - spread + turn.below((2 * spread).max(0) as u64 + 1) as i64;
    Duration(drawn.min(greatest.0).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::node::Effects;
    use crate::wire::messages::HeartbeatRequest;

    const MS: fn(i64) -> Duration = Duration::from_millis;

    #[test]
    fn a_late_request_takes_its_whole_connection_with_it() {
        let mut effects = Effects::new(1);
        let mut network: Network<u8> = Network::default();
        let (one, two) = (NodeId::broker(1), NodeId::broker(2));
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        network.send(&mut turn, one, HeartbeatRequest::default(), MS(10), 1);
        network.send(&mut turn, one, HeartbeatRequest::default(), MS(50), 2);
        network.send(&mut turn, two, HeartbeatRequest::default(), MS(50), 3);
        let mut turn = Turn::new(Instant::from_millis(10), &mut effects);
        let lost = network.timed_out(&mut turn, NodeId::broker(9));
        assert_eq!(lost.iter().map(|r| r.purpose).collect::<Vec<_>>(), [1, 2]);
        assert!(!network.ready(one, Instant::from_millis(10)));
        assert_eq!(network.least_loaded(&[one, two], Instant::from_millis(10)), Some(two));
        assert!(network.ready(one, Instant::from_millis(70)));
    }

    #[test]
    fn the_back_off_doubles_up_to_its_greatest() {
        let mut effects = Effects::new(7);
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        for (failures, low, high) in [(0, 80, 120), (1, 160, 240), (3, 640, 960), (10, 800, 1_000), (99, 800, 1_000)] {
            let wait = backoff(&mut turn, MS(100), MS(1_000), failures);
            assert!((MS(low)..=MS(high)).contains(&wait), "{failures}: {wait}");
        }
    }
}
