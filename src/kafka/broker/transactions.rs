//! Where the transaction coordinator meets the broker: the partitions of `__transaction_state` that
//! this broker leads, their appends and their high watermarks, and its supply of producer ids.

use crate::kafka::broker::Process;
use crate::kafka::broker::disk::Disk;
use crate::kafka::log::{Log, Origin};
use crate::kafka::node::Turn;
use crate::kafka::replica::Claim;
use crate::kafka::replica::fetcher::FollowerLogs;
use crate::kafka::transaction::TRANSACTION_TOPIC;
use crate::wire::{Correlation, LeaderEpoch, NodeId, Request, TopicPartition};

impl Process {
    pub(super) fn transaction_request(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        let (controller, epoch) = (self.controller(), self.lifecycle.broker_epoch());
        let supply = &mut self.producer_ids;
        let mut ids = |turn: &mut Turn<'_>| supply.generate(turn, controller, epoch);
        self.transactions.handle(turn, &self.image, &mut ids, from, correlation, request);
    }

    /// This broker leads the partition, in this epoch.
    pub(super) fn transactions_elected(
        &mut self,
        disk: &Disk,
        turn: &mut Turn<'_>,
        partition: i32,
        epoch: LeaderEpoch,
    ) {
        if let Some(log) = disk.log(&named(partition)) {
            self.transactions.elected(turn, partition, epoch, &mut log.batches(log.log_start()));
        }
        self.transactions_committed(disk, turn, partition);
    }

    pub(super) fn transactions_resigned(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.committed_transactions.remove(&partition);
        self.transactions.resigned(turn, partition);
    }

    /// The high watermark of a partition moved.
    pub(super) fn transactions_committed(&mut self, disk: &Disk, turn: &mut Turn<'_>, partition: i32) {
        if let Some(high_watermark) = disk.log(&named(partition)).map(Log::high_watermark) {
            self.transactions.committed(turn, partition, high_watermark);
        }
    }

    /// Appends what the coordinator decided and sends its markers, until it wants nothing more.
    pub(super) fn settle_transactions(&mut self, disk: &mut Disk, turn: &mut Turn<'_>) {
        loop {
            self.transactions.send_markers(turn, &self.image);
            let appends = self.transactions.take_appends();
            if appends.is_empty() {
                return;
            }
            for append in appends {
                let claim = Claim::new(-1, Origin::Coordinator);
                let appended = self.append(disk, turn, &named(append.partition), append.batch, claim);
                self.transactions.appended(turn, append.partition, appended.map(|appended| appended.first));
                self.transactions_committed(disk, turn, append.partition);
            }
        }
    }
}

fn named(partition: i32) -> TopicPartition {
    TopicPartition::named(TRANSACTION_TOPIC, partition)
}
