//! What a broker does from time to time: looks for followers that fell out of sync, writes the high
//! watermark checkpoint, deletes old segments, flushes, compacts, forgets silent producers.

use std::sync::Arc;

use crate::kafka::broker::disk::Disk;
use crate::kafka::broker::{ImageLiveness, Process};
use crate::kafka::config::BrokerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::log::Log;
use crate::kafka::node::{Alarm, Turn};
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::time::{Duration, Instant};
use crate::wire::{StrBytes, TopicPartition};

/// What a round of the cleaner takes at least: without a pause it would never end.
const CLEANER_ROUND: Duration = Duration::from_millis(1);

/// When each is due next.
#[derive(Clone, Debug, PartialEq)]
pub struct Timers {
    /// ReplicaManager's isr-expiration, every half `replica.lag.time.max.ms`.
    isr_check: Instant,
    /// `replica.high.watermark.checkpoint.interval.ms`
    checkpoint: Instant,
    /// `log.retention.check.interval.ms`
    retention: Instant,
    /// `log.flush.scheduler.interval.ms`
    flush: Instant,
    /// `log.cleaner.backoff.ms`: the log cleaner's pause when nothing was dirty enough.
    cleaner: Instant,
    /// `producer.id.expiration.check.interval.ms`
    producers: Instant,
}

impl Timers {
    pub fn start(config: &BrokerConfig, now: Instant) -> Timers {
        let log_tasks = now + config.log_initial_task_delay;
        Timers {
            isr_check: now + isr_check_interval(config),
            checkpoint: now + config.high_watermark_checkpoint_interval,
            retention: log_tasks,
            flush: log_tasks,
            cleaner: if config.log_cleaner_enable { now } else { Instant::FAR_FUTURE },
            producers: now + config.producer_id_expiration_check_interval,
        }
    }

    pub fn next_alarm(&self) -> (Instant, Alarm) {
        let alarms = [
            (self.checkpoint, Alarm::HighWatermarkCheckpoint),
            (self.retention, Alarm::LogRetention),
            (self.flush, Alarm::LogFlush),
            (self.cleaner, Alarm::LogCleaner),
            (self.producers, Alarm::ProducerExpiry),
        ];
        alarms.into_iter().fold((self.isr_check, Alarm::IsrShrink), std::cmp::min)
    }
}

impl Process {
    pub(super) fn maintain(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let config = self.config.clone();
        // KafkaScheduler.schedule: what has no interval is done once.
        let due = |timer: &mut Instant, interval: Duration| {
            let is_due = *timer <= turn.now;
            if is_due {
                *timer = if interval.0 > 0 { turn.now + interval } else { Instant::FAR_FUTURE };
            }
            is_due
        };
        let timers = &mut self.timers;
        let isr = due(&mut timers.isr_check, isr_check_interval(&config));
        let checkpoint = due(&mut timers.checkpoint, config.high_watermark_checkpoint_interval);
        let retention = due(&mut timers.retention, config.retention_check_interval);
        let flush = due(&mut timers.flush, config.log_flush_scheduler_interval);
        let cleaner = due(&mut timers.cleaner, config.log_cleaner_backoff.max(CLEANER_ROUND));
        let producers = due(&mut timers.producers, config.producer_id_expiration_check_interval);
        if isr {
            self.shrink_isrs(disk, turn);
        }
        if checkpoint {
            disk.checkpoint();
        }
        if retention {
            self.delete_old_segments(disk, turn, |log| !log.config().compact);
        }
        if flush {
            self.flush_logs(disk, turn);
        }
        if cleaner {
            self.compact_logs(disk, turn);
            // CleanerThread.cleanFilthiestLog: the cleaner also deletes what compacted logs may lose.
            self.delete_old_segments(disk, turn, |log| log.config().compact);
        }
        if producers {
            self.expire_producers(disk, turn);
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

    /// LogManager.cleanupLogs for the logs that `concerns` names.
    fn delete_old_segments(&mut self, disk: &mut Disk, turn: &mut Turn<'_>, concerns: impl Fn(&Log) -> bool) {
        for partition in self.logs_that(disk, concerns) {
            // A log that loses nothing must not be touched, for a snapshot may share it.
            let Some(log) = disk.log(&partition).filter(|log| log.may_lose_segments(turn.now)) else { continue };
            let before = log.log_start();
            let Some(log) = disk.log_mut(&partition) else { continue };
            let deleted = log.delete_old_segments(turn.now);
            let to = log.log_start();
            let reasons = [
                (deleted.below_start, "below the log start"),
                (deleted.by_size, "retention.bytes"),
                (deleted.by_time, "retention.ms"),
            ];
            for (count, why) in reasons.into_iter().filter(|(count, _)| *count > 0) {
                let (partition, why) = (partition.clone(), StrBytes::from_static_str(why));
                turn.tell(Fact::SegmentsDeleted { partition, broker: self.id, count, why });
            }
            if to == before {
                continue;
            }
            turn.tell(Fact::LogStartMoved { partition: partition.clone(), broker: self.id, to });
            for fetcher in self.fetchers.values_mut().filter(|f| f.follow(&partition).is_some()) {
                Arc::make_mut(fetcher).log_start_moved(&partition);
            }
            self.touched.insert(partition);
        }
    }

    /// LogManager.flushDirtyLogs
    fn flush_logs(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        for partition in self.logs_that(disk, |log| log.is_flush_due(turn.now)) {
            let Some(log) = disk.log_mut(&partition) else { continue };
            log.flush_at(turn.now);
            turn.tell(Fact::LogFlushed { partition, broker: self.id, to: log.flushed() });
        }
    }

    /// CleanerThread.doWork: one round for every log that is dirty enough, the dirtiest first.
    fn compact_logs(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        let is_dirty = |log: &Log| {
            let config = log.config();
            config.compact && log.cleanable(turn.now).is_due(config.min_cleanable_dirty_permille)
        };
        let mut dirty = self.logs_that(disk, is_dirty);
        let share =
            |partition: &TopicPartition| disk.log(partition).map(|log| log.cleanable(turn.now).dirty_permille());
        dirty.sort_by_key(|partition| std::cmp::Reverse(share(partition)));
        for partition in dirty {
            let compacted = disk.log_mut(&partition).and_then(|log| log.compact(turn.now));
            if let Some(done) = compacted {
                let (broker, to) = (self.id, done.to);
                let (bytes_before, bytes_after) = (done.bytes_before, done.bytes_after);
                turn.tell(Fact::LogCompacted { partition, broker, to, bytes_before, bytes_after });
            }
        }
    }

    /// ProducerStateManager.removeExpiredProducers
    fn expire_producers(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        for partition in self.logs_that(disk, |log| log.producers().has_expired(turn.now)) {
            let Some(log) = disk.log_mut(&partition) else { continue };
            let count = log.remove_expired_producers(turn.now);
            if count > 0 {
                turn.tell(Fact::ProducersExpired { partition, broker: self.id, count });
            }
        }
    }

    /// The partitions held here whose logs are so.
    fn logs_that(&self, disk: &Disk, is_so: impl Fn(&Log) -> bool) -> Vec<TopicPartition> {
        let held = self.replicas.keys().filter(|partition| disk.log(partition).is_some_and(&is_so));
        held.cloned().collect()
    }
}

fn isr_check_interval(config: &BrokerConfig) -> Duration {
    Duration(config.replica_lag_time_max.0 / 2)
}
