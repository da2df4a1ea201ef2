//! Throttled replication, as a leader does it (ReplicationQuotaManager, KIP-73): followers outside the
//! ISR get nothing of a throttled partition while it sends more than its rate allows.

use std::collections::VecDeque;

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::fetch_session::Key;
use crate::kafka::config::dynamic::LEADER_THROTTLED_RATE;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, StrBytes, TopicPartition};

/// `replication.quota.window.num` windows of `replication.quota.window.size.seconds`.
const WINDOWS: i64 = 11;
const WINDOW: Duration = Duration::from_secs(1);

/// How much of throttled partitions was sent, second by second.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ReplicationQuota {
    /// When each window began, and its bytes; the oldest first.
    windows: VecDeque<(Instant, i64)>,
}

impl ReplicationQuota {
    pub fn record(&mut self, bytes: i64, now: Instant) {
        while self.windows.front().is_some_and(|(begun, _)| now - *begun >= Duration(WINDOW.0 * WINDOWS)) {
            self.windows.pop_front();
        }
        match self.windows.back_mut() {
            Some((begun, total)) if now - *begun < WINDOW => *total += bytes,
            _ => self.windows.push_back((now, bytes)),
        }
    }

    /// Whether more than `rate` bytes a second were sent over the windows (SimpleRate: since the oldest
    /// of them began, and one window at least).
    pub fn is_exceeded(&self, rate: i64, now: Instant) -> bool {
        let within = self.windows.iter().filter(|(begun, _)| now - *begun < Duration(WINDOW.0 * WINDOWS));
        let (mut total, mut oldest) = (0i128, None);
        for (begun, bytes) in within {
            total += i128::from(*bytes);
            oldest.get_or_insert(*begun);
        }
        let elapsed = oldest.map_or(WINDOW, |begun| (now - begun).max(WINDOW));
        total * 1_000_000 > i128::from(rate) * i128::from(elapsed.0)
    }
}

impl Process {
    /// ReplicaManager.shouldLeaderThrottle.
    pub(super) fn holds_back(&self, disk: &Disk, key: Key, follower: BrokerId, now: Instant) -> bool {
        let Some(partition) = self.throttled(disk, key) else { return false };
        let in_sync = self.replicas.get(&partition).is_some_and(|replica| replica.isr().contains(&follower));
        !in_sync && self.throttled_rate().is_some_and(|rate| self.leader_quota.is_exceeded(rate, now))
    }

    /// The partition, if this broker's replica of it is throttled
    /// (`leader.replication.throttled.replicas`).
    pub(super) fn throttled(&self, disk: &Disk, key: Key) -> Option<TopicPartition> {
        let partition = TopicPartition::new(self.image.topic_names.get(&key.0)?.clone(), key.1);
        let config = disk.log(&partition)?.config();
        config.leader_throttled.includes(partition.partition, self.id.0).then_some(partition)
    }

    /// `leader.replication.throttled.rate`, bytes a second: this broker's own, else everyone's.
    fn throttled_rate(&self) -> Option<i64> {
        let name = StrBytes::from_static_str(LEADER_THROTTLED_RATE);
        let own = self.image.broker_configs.get(&self.id).and_then(|configs| configs.get(&name));
        own.or_else(|| self.image.cluster_configs.get(&name))?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_exceeded_until_the_average_is_down_again() {
        let mut quota = ReplicationQuota::default();
        assert!(!quota.is_exceeded(0, Instant::ZERO), "nothing was sent");
        quota.record(5_000, Instant::ZERO);
        assert!(quota.is_exceeded(1_000, Instant::from_millis(4_999)));
        assert!(!quota.is_exceeded(1_000, Instant::from_secs(5)));
        quota.record(1, Instant::from_secs(5));
        assert!(quota.is_exceeded(1_000, Instant::from_secs(5)));
        assert!(!quota.is_exceeded(1, Instant::from_secs(20)), "old windows count no more");
    }
}
