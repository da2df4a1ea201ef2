//! What this node waits for from each controller: at most one request in flight to each, a time
//! limit, and a pause after a failure (RequestManager).

use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, ControllerId, Correlation};

/// The state of one controller's connection; a peer without an entry is ready for a request.
#[derive(Clone, Debug, PartialEq)]
enum Connection {
    Awaiting { correlation: Correlation, api: ApiKey, until: Instant },
    BackingOff { until: Instant },
}

/// The connections to the controllers that are not ready for a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Connections {
    /// `controller.quorum.request.timeout.ms`
    request_timeout: Duration,
    peers: SortedMap<ControllerId, Connection>,
}

impl Connections {
    pub fn new(request_timeout: Duration) -> Connections {
        Connections { request_timeout, peers: SortedMap::new() }
    }

    /// Forgets what timed out or waited long enough; the requests that timed out.
    pub fn expire(&mut self, now: Instant) -> Vec<(ControllerId, ApiKey)> {
        let mut timed_out = Vec::new();
        self.peers.retain(|peer, connection| match connection {
            Connection::Awaiting { api, until, .. } if *until <= now => {
                timed_out.push((*peer, *api));
                false
            }
            Connection::BackingOff { until } => *until > now,
            Connection::Awaiting { .. } => true,
        });
        timed_out
    }

    pub fn is_ready(&self, peer: ControllerId) -> bool {
        !self.peers.contains_key(&peer)
    }

    pub fn is_backing_off(&self, peer: ControllerId) -> bool {
        matches!(self.peers.get(&peer), Some(Connection::BackingOff { .. }))
    }

    pub fn any_in_flight(&self) -> bool {
        self.peers.values().any(|connection| matches!(connection, Connection::Awaiting { .. }))
    }

    /// Whether this peer owes an answer under this correlation id.
    pub fn expects(&self, peer: ControllerId, correlation: Correlation) -> bool {
        matches!(self.peers.get(&peer), Some(Connection::Awaiting { correlation: awaited, .. }) if *awaited == correlation)
    }

    pub fn sent(&mut self, peer: ControllerId, correlation: Correlation, api: ApiKey, now: Instant) {
        let until = now + self.request_timeout;
        self.peers.insert(peer, Connection::Awaiting { correlation, api, until });
    }

    pub fn reset(&mut self, peer: ControllerId) {
        self.peers.remove(&peer);
    }

    /// A change of the node's state makes every request in flight irrelevant.
    pub fn reset_all(&mut self) {
        self.peers.clear();
    }

    pub fn back_off(&mut self, peer: ControllerId, until: Instant) {
        self.peers.insert(peer, Connection::BackingOff { until });
    }

    pub fn is_awaiting(&self, peer: ControllerId) -> bool {
        matches!(self.peers.get(&peer), Some(Connection::Awaiting { .. }))
    }

    /// When the next connection becomes ready again.
    pub fn next_ready(&self) -> Option<Instant> {
        self.peers
            .values()
            .map(|connection| match connection {
                Connection::Awaiting { until, .. } | Connection::BackingOff { until } => *until,
            })
            .min()
    }
}
