//! How a client finds the coordinator of a group: it asks any broker, and again when it was told of none
//! or when the one it knew does not answer (CoordinatorRequestManager, AbstractCoordinator).

use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::{Network, backoff};
use crate::kafka::client::retries::Retries;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::node::{Alarm, Turn};
use crate::time::{Duration, Instant};
use crate::wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::wire::{NodeId, StrBytes, error};

/// How the coordinator is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    place: Place,
    seeker: Seeker,
    retries: Retries,
    /// When it was last found.
    found_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// To be asked for from this instant on.
    At(Instant),
    /// The same, but the metadata is looked at anew before.
    RefreshAt(Instant),
    /// Until the metadata is newer than this version.
    Refreshing(u64),
    Asked(Instant),
    Found(NodeId),
}

/// Whose code it is that looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seeker {
    /// AbstractCoordinator.ensureCoordinatorReady, of a member of a classic group.
    Poll,
    /// CoordinatorRequestManager.
    Manager,
}

impl Lookup {
    pub fn by_poll() -> Lookup {
        Lookup::new(Place::At(Instant(i64::MIN)), Seeker::Poll)
    }

    pub fn by_manager() -> Lookup {
        Lookup::at(Instant(i64::MIN))
    }

    /// To be asked for from this instant on.
    pub fn at(at: Instant) -> Lookup {
        Lookup::new(Place::At(at), Seeker::Manager)
    }

    pub fn found(node: NodeId) -> Lookup {
        Lookup::new(Place::Found(node), Seeker::Manager)
    }

    fn new(place: Place, seeker: Seeker) -> Lookup {
        Lookup { place, seeker, retries: Retries::default(), found_at: Instant(i64::MIN) }
    }

    pub fn node(&self) -> Option<NodeId> {
        match self.place {
            Place::Found(node) => Some(node),
            _ => None,
        }
    }

    /// Asks any broker, when it is time and one can be asked.
    pub fn ask<T>(
        &mut self,
        turn: &mut Turn<'_>,
        (network, metadata): (&mut Network<T>, &mut Metadata),
        group: &StrBytes,
        timeout: Duration,
        purpose: T,
    ) {
        match self.place {
            // checkAndGetCoordinator: a connection that has failed makes its coordinator unknown.
            Place::Found(node) if self.seeker == Seeker::Poll && !network.ready(node, turn.now) => {
                self.place = Place::At(turn.now);
            }
            Place::RefreshAt(at) if at <= turn.now => {
                metadata.request_update();
                self.place = Place::Refreshing(metadata.version());
            }
            _ => {}
        }
        let due = match self.place {
            Place::At(at) => at <= turn.now,
            Place::Refreshing(version) => metadata.version() > version,
            Place::RefreshAt(_) | Place::Asked(_) | Place::Found(_) => false,
        };
        let Some(node) = metadata.any_node(network, turn.now).filter(|_| due) else { return };
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![group.clone()]);
        network.send(turn, node, request, timeout, purpose);
        self.place = Place::Asked(turn.now);
    }

    /// What the broker said; if it knows of none, it is asked again.
    pub fn told<T>(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        network: &Network<T>,
        response: &FindCoordinatorResponse,
    ) {
        match (told(response), self.seeker) {
            (None, _) => self.failed(turn, config),
            (Some(node), Seeker::Poll) if !network.ready(node, turn.now) => {
                self.place = Place::At(self.retries.next(turn, config));
            }
            (Some(node), _) => {
                self.place = Place::Found(node);
                self.retries = Retries::default();
                self.found_at = turn.now;
            }
        }
    }

    /// There was no answer, or a refusal: it is asked again, later with every time. A poll looks at the
    /// metadata before, because it may know other brokers by then.
    pub fn failed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let at = self.retries.next(turn, config);
        self.place = match self.seeker {
            Seeker::Poll => Place::RefreshAt(at),
            Seeker::Manager => Place::At(at),
        };
    }

    /// The same while only the heartbeat thread runs: it waits `retry.backoff.ms` in every round, and asks
    /// in every other one.
    pub fn failed_in_heartbeat_thread(&mut self, now: Instant, config: &ConsumerConfig) {
        let asked = match self.place {
            Place::Asked(at) => at,
            _ => now,
        };
        self.place = Place::At(now.max(asked + config.retry_backoff + config.retry_backoff));
    }

    /// The one that was known is to be asked for again, from `at` on (markCoordinatorUnknown). A question
    /// of the manager's that was answered has a back-off, too (RequestState.onSuccessfulAttempt).
    pub fn forget(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, at: Instant) {
        if self.node().is_none() {
            return;
        }
        let rest = match self.seeker {
            Seeker::Poll => Duration::default(),
            Seeker::Manager => backoff(turn, config.retry_backoff, config.retry_backoff_max, 0),
        };
        self.place = Place::At(at.max(self.found_at + rest));
    }

    pub fn alarm(&self) -> Option<(Instant, Alarm)> {
        match self.place {
            Place::At(at) | Place::RefreshAt(at) => Some((at, Alarm::RetryBackoff)),
            Place::Refreshing(_) | Place::Asked(_) | Place::Found(_) => None,
        }
    }
}

/// Whom an answer names.
pub fn told(response: &FindCoordinatorResponse) -> Option<NodeId> {
    let told = response.coordinators.first();
    let found = told.filter(|told| error(told.error_code).is_none() && told.node_id.0 >= 0);
    found.map(|found| NodeId::Broker(found.node_id))
}
