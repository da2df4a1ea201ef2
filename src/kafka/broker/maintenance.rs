//! What a broker does from time to time: looks for followers that fell out of sync, writes the high
//! watermark checkpoint, deletes old segments, compacts.

use std::sync::Arc;

use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::{ImageLiveness, Process};
use crate::kafka::config::BrokerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::time::{Duration, Instant};
use crate::wire::TopicPartition;

/// LogManager.InitialTaskDelayMs: the first look for old segments after a start.
const INITIAL_TASK_DELAY: Duration = Duration::from_secs(30);

/// `log.cleaner.backoff.ms`
const CLEANER_BACKOFF: Duration = Duration::from_secs(15);

/// When each is due next.
#[derive(Clone, Debug, PartialEq)]
pub struct Timers {
    /// ReplicaManager's isr-expiration, every half `replica.lag.time.max.ms`.
    isr_check: Instant,
    /// `replica.high.watermark.checkpoint.interval.ms`
    checkpoint: Instant,
    /// `log.retention.check.interval.ms`
    retention: Instant,
    /// The log cleaner's pause when nothing was dirty enough.
    cleaner: Instant,
}

impl Timers {
    pub fn start(config: &BrokerConfig, now: Instant) -> Timers {
        Timers {
            isr_check: now + isr_check_interval(config),
            checkpoint: now + config.high_watermark_checkpoint_interval,
            retention: now + INITIAL_TASK_DELAY.min(config.retention_check_interval),
            cleaner: now + CLEANER_BACKOFF,
        }
    }

    pub fn next_alarm(&self) -> (Instant, Alarm) {
        let replicas = (self.isr_check, Alarm::IsrShrink).min((self.checkpoint, Alarm::HighWatermarkCheckpoint));
        let logs = (self.retention, Alarm::LogRetention).min((self.cleaner, Alarm::LogCleaner));
        replicas.min(logs)
    }
}

impl Process {
    pub(super) fn maintain(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        if self.timers.isr_check <= turn.now {
            self.timers.isr_check = turn.now + isr_check_interval(&self.config);
            self.shrink_isrs(disk, turn);
        }
        if self.timers.checkpoint <= turn.now {
            self.timers.checkpoint = turn.now + self.config.high_watermark_checkpoint_interval;
            disk.checkpoint();
        }
        if self.timers.retention <= turn.now {
            self.timers.retention = turn.now + self.config.retention_check_interval;
            self.clean_up_logs(disk, turn);
        }
        if self.timers.cleaner <= turn.now {
            self.timers.cleaner = turn.now + CLEANER_BACKOFF;
            compact_logs(disk, turn.now);
        }
    }

    fn shrink_isrs(&mut self, disk: &Disk, turn: &mut Turn<'_>) {
        let lags = |partition: &TopicPartition| {
            let replica = self.replicas.get(partition).zip(disk.log(partition));
            replica.is_some_and(|(replica, log)| !replica.out_of_sync_replicas(log, turn.now).is_empty())
        };
        let lagging: Vec<TopicPartition> = self.replicas.keys().filter(|partition| lags(partition)).cloned().collect();
        for partition in lagging {
            let liveness = ImageLiveness { me: self.id, my_epoch: self.lifecycle.broker_epoch(), image: &self.image };
            let Some(replica) = self.replicas.get_mut(&partition).map(Arc::make_mut) else { continue };
            let Some(log) = disk.log(&partition) else { continue };
            if let Some(proposal) = replica.maybe_shrink_isr(log, &liveness, turn.now) {
                self.propose(turn, &partition, proposal, true);
            }
        }
    }

    /// LogManager.cleanupLogs
    fn clean_up_logs(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let partitions: Vec<TopicPartition> = self.replicas.keys().cloned().collect();
        for partition in partitions {
            let Some(log) = disk.log_mut(&partition) else { continue };
            log.remove_expired_producers(turn.now);
            if log.apply_retention(turn.now) {
                let to = log.log_start();
                turn.tell(Fact::LogStartMoved { partition: partition.clone(), broker: self.id, to });
                for fetcher in self.fetchers.values_mut().filter(|f| f.follow(&partition).is_some()) {
                    Arc::make_mut(fetcher).log_start_moved(&partition);
                }
                self.touched.insert(partition);
            }
        }
    }
}

/// CleanerThread.doWork: one round for every log that is dirty enough.
fn compact_logs(disk: &mut Disk, now: Instant) {
    let dirty = disk.folders.iter().filter(|(_, folder)| {
        let (log, config) = (&folder.log, folder.log.config());
        config.compact && log.cleanable(now).is_due(config.min_cleanable_dirty_permille)
    });
    let dirty: Vec<TopicPartition> = dirty.map(|(partition, _)| partition.clone()).collect();
    for partition in dirty {
        if let Some(log) = disk.log_mut(&partition) {
            log.compact(now);
        }
    }
}

fn isr_check_interval(config: &BrokerConfig) -> Duration {
    Duration(config.replica_lag_time_max.0 / 2)
}
