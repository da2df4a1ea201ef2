//! Slow disks. A broker's log lives in the page cache of its machine, so reading costs nothing here; but
//! a write that stalls holds up whatever the broker says because of it. One disk does one write after
//! the other: a slow one bounds how many appends its broker gets done.

use crate::kafka::fact::Fact;
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, NodeId};

/// The disk of a broker, where it is slower than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowDisk {
    /// What one write takes.
    pub latency: Duration,
    /// When it has done everything that was asked of it.
    pub busy_until: Instant,
}

impl World {
    /// `disk 1 latency=50ms`; zero makes it quick again.
    pub(super) fn slow_disk(&mut self, broker: BrokerId, latency: Duration) -> Vec<Event> {
        if latency == Duration::ZERO {
            self.disks.remove(&broker);
        } else {
            let busy_until = self.disks.get(&broker).map_or(self.now, |disk| disk.busy_until);
            self.disks.insert(broker, SlowDisk { latency, busy_until });
        }
        self.record(None, vec![Fact::DiskSlowed { broker, latency }], None)
    }

    /// How slow a broker's disk is; `None`: it costs nothing.
    pub fn disk(&self, broker: BrokerId) -> Option<&SlowDisk> {
        self.disks.get(&broker)
    }

    /// When what a turn sends gets out: at once, unless the turn wrote to a slow disk.
    pub(super) fn departure(&mut self, node: NodeId, facts: &[Fact]) -> Instant {
        let NodeId::Broker(broker) = node else { return self.now };
        let Some(disk) = self.disks.get_mut(&broker) else { return self.now };
        let writes = facts.iter().filter(|fact| is_write(fact)).count() as i64;
        if writes == 0 {
            return self.now;
        }
        disk.busy_until = disk.busy_until.max(self.now) + Duration(disk.latency.0.saturating_mul(writes));
        disk.busy_until
    }
}

fn is_write(fact: &Fact) -> bool {
    matches!(fact, Fact::Appended { .. } | Fact::Truncated { .. })
}
