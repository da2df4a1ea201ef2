//! What of a broker survives the death of its process: its logs, the topic ids beside them
//! (partition.metadata), the checkpoint of the high watermarks, the mark of a clean shutdown and
//! the quorum's files.

use std::sync::Arc;

use crate::kafka::config::{BrokerConfig, TopicConfig};
use crate::kafka::log::Log;
use crate::kafka::quorum::QuorumDisk;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::{BrokerEpoch, Offset, TopicPartition, Uuid};

/// A replica's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// partition.metadata: whose records these are. A topic of the same name made later has another id.
    pub topic_id: Uuid,
    pub log: Arc<Log>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    pub folders: SortedMap<TopicPartition, Folder>,
    /// replication-offset-checkpoint: the high watermarks as they were last written.
    pub high_watermarks: SortedMap<TopicPartition, Offset>,
    /// The clean-shutdown file: the broker epoch of the process that stopped in good order (KIP-966).
    pub clean_shutdown: Option<BrokerEpoch>,
    pub quorum: QuorumDisk,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk::new()
    }
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Disk {
        Disk {
            folders: SortedMap::new(),
            high_watermarks: SortedMap::new(),
            clean_shutdown: None,
            quorum: QuorumDisk::new(),
        }
    }

    /// An empty disk of a broker, which learns the voters from the metadata log (with kraft.version 0
    /// they are configured).
    pub fn formatted(kraft_version: i16) -> Disk {
        Disk { quorum: QuorumDisk::formatted(kraft_version, &[]), ..Disk::new() }
    }

    /// The log of a partition, made empty if it is not there or belonged to another topic of that name.
    pub fn open(
        &mut self,
        partition: &TopicPartition,
        topic_id: Uuid,
        config: &TopicConfig,
        broker: &BrokerConfig,
        now: Instant,
    ) {
        let known = self.folders.get(partition).is_some_and(|folder| folder.topic_id == topic_id);
        if !known {
            let mut log = Log::created_at(config.clone(), now);
            log.set_producer_expiration(broker.producer_id_expiration);
            log.set_verification(broker.transaction_partition_verification);
            self.folders.insert(partition.clone(), Folder { topic_id, log: Arc::new(log) });
        } else if self.log(partition).is_some_and(|log| log.config() != config)
            && let Some(log) = self.log_mut(partition)
        {
            log.set_config(config.clone());
        }
    }

    pub fn delete(&mut self, partition: &TopicPartition) {
        self.folders.remove(partition);
        self.high_watermarks.remove(partition);
    }

    /// A process starts on this disk: every log as its files and the checkpoint say.
    pub fn reopen(&mut self) {
        let partitions: Vec<TopicPartition> = self.folders.keys().cloned().collect();
        for partition in partitions {
            let checkpoint = self.high_watermarks.get(&partition).copied();
            if let Some(log) = self.log_mut(&partition) {
                log.reopen(checkpoint);
            }
        }
    }

    /// ReplicaManager.checkpointHighWatermarks.
    pub fn checkpoint(&mut self) {
        let marks = self.folders.iter().map(|(partition, folder)| (partition.clone(), folder.log.high_watermark()));
        let moved: Vec<(TopicPartition, Offset)> =
            marks.filter(|(partition, mark)| self.high_watermarks.get(partition) != Some(mark)).collect();
        for (partition, mark) in moved {
            self.high_watermarks.insert(partition, mark);
        }
    }

    /// An orderly shutdown: everything is flushed and said.
    pub fn close(&mut self, broker_epoch: BrokerEpoch) {
        let partitions: Vec<TopicPartition> = self.folders.keys().cloned().collect();
        for partition in partitions {
            if let Some(log) = self.log_mut(&partition) {
                log.close();
            }
        }
        self.checkpoint();
        self.clean_shutdown = Some(broker_epoch);
    }

    /// The machine loses power: what was not flushed is gone, also of the metadata log.
    pub fn lose_unflushed(&mut self) {
        let partitions: Vec<TopicPartition> = self.folders.keys().cloned().collect();
        for partition in partitions {
            if let Some(log) = self.log_mut(&partition) {
                log.lose_unflushed();
            }
        }
        self.quorum.log.lose_unflushed();
    }
}

impl FollowerLogs for Disk {
    fn log(&self, partition: &TopicPartition) -> Option<&Log> {
        self.folders.get(partition).map(|folder| folder.log.as_ref())
    }

    fn log_mut(&mut self, partition: &TopicPartition) -> Option<&mut Log> {
        self.folders.get_mut(partition).map(|folder| Arc::make_mut(&mut folder.log))
    }
}
