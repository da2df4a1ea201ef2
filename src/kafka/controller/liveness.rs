//! Who is alive: what the active controller heard from each broker (BrokerHeartbeatManager,
//! BrokerHeartbeatTracker). Not replicated: a new active controller starts it afresh.

use crate::kafka::controller::image::MetadataImage;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::{BrokerEpoch, BrokerId, Offset};

#[derive(Clone, Debug, PartialEq)]
pub struct Liveness {
    session_timeout: Duration,
    brokers: SortedMap<BrokerId, Heartbeat>,
}

/// BrokerHeartbeatState, with its session from the tracker.
#[derive(Clone, Debug, PartialEq)]
struct Heartbeat {
    epoch: BrokerEpoch,
    /// The last heartbeat or registration; `None` once the session was found expired, and for a
    /// fenced broker of which this controller has not heard yet.
    last_contact: Option<Instant>,
    fenced: bool,
    /// The metadata offset that the broker last reported; -1 before its first heartbeat.
    metadata_offset: Offset,
    /// While in controlled shutdown: what every active broker must have replayed before it may go.
    controlled_shutdown_offset: Option<Offset>,
}

/// BrokerControlState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerState {
    Fenced,
    Unfenced,
    ControlledShutdown,
    /// It may stop at once.
    ShutdownNow,
}

/// What a heartbeat says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    pub fence: bool,
    pub shut_down: bool,
    pub metadata_offset: Offset,
}

impl BrokerState {
    pub fn is_fenced(self) -> bool {
        matches!(self, BrokerState::Fenced | BrokerState::ShutdownNow)
    }
}

impl Liveness {
    /// A controller becomes active: the session of every unfenced broker begins again
    /// (ClusterControlManager.activate).
    pub fn begin(session_timeout: Duration, image: &MetadataImage, now: Instant) -> Liveness {
        let brokers = image.brokers.iter().map(|(id, registration)| {
            let heartbeat = Heartbeat {
                epoch: registration.epoch,
                last_contact: (!registration.fenced).then_some(now),
                fenced: registration.fenced,
                metadata_offset: Offset::UNKNOWN,
                controlled_shutdown_offset: None,
            };
            (*id, heartbeat)
        });
        Liveness { session_timeout, brokers: brokers.collect() }
    }

    /// A broker registered, or amended the registration of the same incarnation: that one goes on
    /// with its controlled shutdown.
    pub fn register(&mut self, broker: BrokerId, epoch: BrokerEpoch, fenced: bool, now: Instant) {
        let amended = self.brokers.get(&broker).filter(|known| known.epoch == epoch && !fenced);
        let heartbeat = Heartbeat {
            epoch,
            last_contact: Some(now),
            fenced,
            metadata_offset: Offset::UNKNOWN,
            controlled_shutdown_offset: amended.and_then(|known| known.controlled_shutdown_offset),
        };
        self.brokers.insert(broker, heartbeat);
    }

    /// The broker is registered no more.
    pub fn forget(&mut self, broker: BrokerId) {
        self.brokers.remove(&broker);
    }

    /// A heartbeat was answered with this state. The broker must be registered here.
    pub fn touch(&mut self, broker: BrokerId, state: BrokerState, metadata_offset: Offset, now: Instant) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.last_contact = Some(now);
            heartbeat.metadata_offset = metadata_offset;
            heartbeat.fenced = state.is_fenced();
            if heartbeat.fenced {
                heartbeat.controlled_shutdown_offset = None;
            }
        }
    }

    /// The records that began the broker's controlled shutdown end at this offset. Only the first
    /// call counts.
    pub fn begin_controlled_shutdown(&mut self, broker: BrokerId, offset: Offset) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.controlled_shutdown_offset.get_or_insert(offset);
        }
    }

    /// The session of one broker, the one silent for longest, is over; it is forgotten. Exactly the
    /// timeout is not yet over.
    pub fn take_expired(&mut self, now: Instant) -> Option<BrokerId> {
        let timeout = self.session_timeout;
        let contacts = self.brokers.iter().filter_map(|(id, heartbeat)| Some((heartbeat.last_contact?, *id)));
        let (_, broker) = contacts.filter(|(contact, _)| now - *contact > timeout).min()?;
        self.brokers.get_mut(&broker)?.last_contact = None;
        Some(broker)
    }

    /// It was fenced without a heartbeat of its own.
    pub fn fence(&mut self, broker: BrokerId) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.fenced = true;
            heartbeat.controlled_shutdown_offset = None;
        }
    }

    /// Fenced brokers have sessions too: they send heartbeats until they are unfenced.
    pub fn has_valid_session(&self, broker: BrokerId, epoch: BrokerEpoch, now: Instant) -> bool {
        let heartbeat = self.brokers.get(&broker).filter(|heartbeat| heartbeat.epoch == epoch);
        let contact = heartbeat.and_then(|heartbeat| heartbeat.last_contact);
        contact.is_some_and(|contact| now - contact <= self.session_timeout)
    }

    pub fn is_fenced(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_none_or(|heartbeat| heartbeat.fenced)
    }

    pub fn is_shutting_down(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|heartbeat| heartbeat.controlled_shutdown_offset.is_some())
    }

    /// BrokerHeartbeatManager.calculateNextBrokerState. `None` when the broker is not known here.
    pub fn next_state(
        &self,
        broker: BrokerId,
        wish: Wish,
        registered_at: Offset,
        leads_something: impl FnOnce() -> bool,
    ) -> Option<(BrokerState, BrokerState)> {
        use BrokerState::*;
        let heartbeat = self.brokers.get(&broker)?;
        if let Some(offset) = heartbeat.controlled_shutdown_offset {
            let may_go = !leads_something() && offset <= self.lowest_active_offset();
            return Some((ControlledShutdown, if may_go { ShutdownNow } else { ControlledShutdown }));
        }
        if heartbeat.fenced {
            let caught_up = wish.metadata_offset >= registered_at;
            let next = match wish {
                Wish { shut_down: true, .. } => ShutdownNow,
                Wish { fence: false, .. } if caught_up => Unfenced,
                _ => Fenced,
            };
            return Some((Fenced, next));
        }
        let next = match wish {
            Wish { fence: true, shut_down: true, .. } => ShutdownNow,
            Wish { fence: true, .. } => Fenced,
            Wish { shut_down: true, .. } if leads_something() => ControlledShutdown,
            Wish { shut_down: true, .. } => ShutdownNow,
            _ => Unfenced,
        };
        Some((Unfenced, next))
    }

    /// What every active broker has replayed at least.
    fn lowest_active_offset(&self) -> Offset {
        let active = self
            .brokers
            .values()
            .filter(|heartbeat| !heartbeat.fenced && heartbeat.controlled_shutdown_offset.is_none());
        active.map(|heartbeat| heartbeat.metadata_offset).min().unwrap_or(Offset(i64::MAX))
    }
}
