//! Which replica a consumer is sent to read from (KIP-392; ReplicaManager.findPreferredReadReplica,
//! RackAwareReplicaSelector).

use crate::kafka::broker::Process;
use crate::kafka::log::Log;
use crate::kafka::replica::Partition;
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, Offset, StrBytes};

/// A replica as the selector sees it. The order is that of ReplicaView.comparator, so the greatest is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct View {
    log_end: Offset,
    /// The less time since it was caught up, the better.
    since_caught_up: std::cmp::Reverse<Duration>,
    id: BrokerId,
}

impl Process {
    /// The follower in the consumer's rack that has the offset; `None`: the leader itself serves it.
    pub(super) fn preferred_read_replica(
        &self,
        replica: &Partition,
        log: &Log,
        rack: &StrBytes,
        offset: Offset,
        now: Instant,
    ) -> Option<BrokerId> {
        if !self.config.rack_aware_selector || !replica.is_leader() || rack.is_empty() {
            return None;
        }
        let rack_of = |id: BrokerId| {
            let registration = self.image.brokers.get(&id).filter(|registration| !registration.fenced)?;
            registration.rack.as_ref()
        };
        if rack_of(self.id) == Some(rack) {
            return None;
        }
        // A replica outside of the ISR may lag behind for good, and its consumers with it.
        let candidates = replica.remotes().filter(|(id, remote)| {
            replica.isr().contains(id)
                && remote.log_end >= offset
                && remote.log_start <= offset
                && rack_of(*id) == Some(rack)
        });
        let views = candidates.map(|(id, remote)| {
            // One that stands at the leader's end is caught up now, whenever that was noted last.
            let caught_up = if remote.log_end == log.log_end() { now } else { remote.last_caught_up };
            View { log_end: remote.log_end, since_caught_up: std::cmp::Reverse(now - caught_up), id }
        });
        views.max().map(|view| view.id)
    }
}
