#![allow(dead_code)]
use crate::kafka::replica::IsrProposal;
use crate::wire::{BrokerEpoch, TopicPartition, Uuid};

#[derive(Clone, Debug, PartialEq)]
pub struct BrokerLifecycle {
    pub epoch: BrokerEpoch,
}

impl BrokerLifecycle {
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.epoch
    }
    pub fn is_shutting_down(&self) -> bool {
        false
    }
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterPartitionManager {
    pub queue: Vec<(TopicPartition, IsrProposal)>,
}

impl AlterPartitionManager {
    pub fn submit(&mut self, _topic: Uuid, partition: &TopicPartition, proposal: IsrProposal) -> bool {
        if self.queue.iter().any(|(p, _)| p == partition) {
            return false;
        }
        self.queue.push((partition.clone(), proposal));
        true
    }
}
