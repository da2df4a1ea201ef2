//! Throttled replication (ReplicationQuotaManager, KIP-73). While a leader sends more of throttled
//! partitions than its rate allows, followers outside the ISR get nothing of them; while a follower gets
//! more than its own rate allows, it does not ask for those of them that it is behind with.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::fetch_session::Key;
use crate::kafka::config::dynamic::{FOLLOWER_THROTTLED_RATE, LEADER_THROTTLED_RATE};
use crate::kafka::replica::fetcher::{Follow, FollowState, FollowerLogs};
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, Response, StrBytes, TopicPartition};

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
        !in_sync
            && self.throttled_rate(LEADER_THROTTLED_RATE).is_some_and(|rate| self.leader_quota.is_exceeded(rate, now))
    }

    /// The partition, if this broker's replica of it is throttled
    /// (`leader.replication.throttled.replicas`).
    pub(super) fn throttled(&self, disk: &Disk, key: Key) -> Option<TopicPartition> {
        let partition = TopicPartition::new(self.image.topic_names.get(&key.0)?.clone(), key.1);
        let config = disk.log(&partition)?.config();
        config.leader_throttled.includes(partition.partition, self.id.0).then_some(partition)
    }

    /// What a follower got of throttled partitions counts, whether it has a rate or not
    /// (ReplicaFetcherThread.processPartitionData).
    pub(super) fn record_throttled(&mut self, disk: &Disk, now: Instant, response: &Response) {
        let Response::Fetch(response) = response else { return };
        let mut bytes = 0;
        for topic in &response.responses {
            let Some(name) = self.image.topic_names.get(&topic.topic_id) else { continue };
            for data in &topic.partitions {
                let partition = TopicPartition::new(name.clone(), data.partition_index);
                if is_follower_throttled(disk, &partition, self.id) {
                    bytes += data.records.as_ref().map_or(0, |records| records.len() as i64);
                }
            }
        }
        if bytes > 0 {
            self.follower_quota.record(bytes, now);
        }
    }

    /// RemoteLeaderEndPoint.shouldFollowerThrottle, before each fetch. What is held back is looked at
    /// again after replica.fetch.backoff.ms.
    pub(super) fn hold_back_followers(&mut self, disk: &Disk, now: Instant) {
        let rate = self.throttled_rate(FOLLOWER_THROTTLED_RATE);
        if rate.is_none_or(|rate| !self.follower_quota.is_exceeded(rate, now)) {
            return;
        }
        let until = now + self.config.replica_fetch_backoff;
        for fetcher in self.fetchers.values_mut().filter(|fetcher| fetcher.wants_to_send()) {
            let behind = |follow: &Follow| follow.state == FollowState::Fetching && !follow.caught_up;
            let held: Vec<TopicPartition> = fetcher
                .partitions()
                .filter(|(partition, follow)| behind(follow) && is_follower_throttled(disk, partition, self.id))
                .map(|(partition, _)| partition.clone())
                .collect();
            for partition in held {
                Arc::make_mut(fetcher).hold_back(&partition, until);
            }
        }
    }

    /// Bytes a second, as this broker's own setting says, else everyone's.
    fn throttled_rate(&self, name: &'static str) -> Option<i64> {
        let name = StrBytes::from_static_str(name);
        let own = self.image.broker_configs.get(&self.id).and_then(|configs| configs.get(&name));
        own.or_else(|| self.image.cluster_configs.get(&name))?.parse().ok()
    }
}

/// `follower.replication.throttled.replicas`
fn is_follower_throttled(disk: &Disk, partition: &TopicPartition, follower: BrokerId) -> bool {
    let config = disk.log(partition).map(|log| log.config());
    config.is_some_and(|config| config.follower_throttled.includes(partition.partition, follower.0))
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
