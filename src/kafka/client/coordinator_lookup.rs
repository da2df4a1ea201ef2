//! How a client finds the coordinator of a group: it asks any broker, and again when it was told of none
//! or when the one it knew does not answer (CoordinatorRequestManager, AbstractCoordinator).

use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::Network;
use crate::kafka::node::{Alarm, Turn};
use crate::time::{Duration, Instant};
use crate::wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::wire::{NodeId, StrBytes, error};

/// How the coordinator is looked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// To be asked for from this instant on.
    At(Instant),
    Asked,
    Found(NodeId),
}

impl Default for Lookup {
    fn default() -> Lookup {
        Lookup::At(Instant(i64::MIN))
    }
}

impl Lookup {
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Lookup::Found(node) => Some(*node),
            Lookup::At(_) | Lookup::Asked => None,
        }
    }

    /// Asks any broker, when it is time and one can be asked.
    pub fn ask<T>(
        &mut self,
        turn: &mut Turn<'_>,
        (network, metadata): (&mut Network<T>, &Metadata),
        group: &StrBytes,
        timeout: Duration,
        purpose: T,
    ) {
        if !matches!(self, Lookup::At(at) if *at <= turn.now) {
            return;
        }
        let Some(node) = metadata.any_node(network, turn.now) else { return };
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![group.clone()]);
        network.send(turn, node, request, timeout, purpose);
        *self = Lookup::Asked;
    }

    /// What the broker said; if it knows of none, it is asked again from `retry_at` on.
    pub fn told(response: &FindCoordinatorResponse, retry_at: Instant) -> Lookup {
        let told = response.coordinators.first();
        let found = told.filter(|told| error(told.error_code).is_none() && told.node_id.0 >= 0);
        found.map_or(Lookup::At(retry_at), |found| Lookup::Found(NodeId::Broker(found.node_id)))
    }

    /// The one that was known is to be asked for again (markCoordinatorUnknown).
    pub fn forget(&mut self, now: Instant) {
        if self.node().is_some() {
            *self = Lookup::At(now);
        }
    }

    pub fn alarm(&self) -> Option<(Instant, Alarm)> {
        match self {
            Lookup::At(at) => Some((*at, Alarm::RetryBackoff)),
            Lookup::Asked | Lookup::Found(_) => None,
        }
    }
}
