//! What must be true when the faults have ended and the cluster had time: safety first, then heal and
//! demand progress.

use std::sync::Arc;

use crate::kafka::log::Log;
use crate::sim::ledger::AckedBatch;
use crate::sim::properties::partition::PartitionWatch;
use crate::sim::properties::property::Property;
use crate::sim::properties::written::Stamp;
use crate::sim::properties::{Finder, Key, log_of};
use crate::sim::world::World;
use crate::sim::{Anomaly, AnomalyKind};
use crate::sorted::SortedMap;
use crate::wire::batch::Batch;
use crate::wire::{Offset, TopicPartition};

pub(super) fn look_at(finder: &mut Finder<'_>, watches: &SortedMap<Key, Arc<PartitionWatch>>) {
    for watch in watches.values() {
        replicas_converge(finder, watch);
        if watch.is_unbroken() {
            acknowledged_is_kept(finder, watch);
        }
    }
}

/// Every replica's log is the leader's, batch by batch, from the later of the two starts on.
fn replicas_converge(finder: &mut Finder<'_>, watch: &PartitionWatch) {
    let (world, name) = (finder.world, watch.name());
    let Some(registration) = world.registration(name) else { return };
    let leader = registration.leader.and_then(|leader| log_of(world, leader, name, watch.topic()));
    let Some(leader) = leader.filter(|log| !log.config().compact) else { return };
    for replica in &registration.replicas {
        let Some(log) = log_of(world, *replica, name, watch.topic()) else { continue };
        let start = leader.log_start().max(log.log_start()).max(watch.compacted());
        let stamps = |log: &Log| -> Vec<Stamp> { log.batches(start).map(|batch| Stamp::of(&batch)).collect() };
        if log.log_end() != leader.log_end() || stamps(log) != stamps(leader) {
            let text = format!("broker {} ends at {}, the leader at {}", replica.0, log.log_end(), leader.log_end());
            finder.broken(Property::ReplicasConverge, Some(name), text);
        }
    }
}

/// Every record acknowledged with acks=all is in the leader's log, below its high watermark.
fn acknowledged_is_kept(finder: &mut Finder<'_>, watch: &PartitionWatch) {
    let (world, name) = (finder.world, watch.name());
    let (Some(ledger), Some(log)) = (world.ledger().partition(name), world.leader_log(name)) else { return };
    let mut acked = ledger.acked.iter().filter(|batch| batch.acks == -1 && batch.last() >= log.log_start());
    let unreadable = acked.find(|batch| batch.last() >= log.high_watermark());
    if let Some(batch) = unreadable {
        let text = format!("offset {} was acknowledged and lies at or above the high watermark", batch.last());
        finder.broken(Property::AcknowledgedIsKept, Some(name), text);
    }
    let idempotent = |batch: &AckedBatch| {
        Batch::split_first(&mut batch.records.clone(), false).is_ok_and(|batch| batch.has_producer())
    };
    let reordered = |a: &&Anomaly| a.kind == AnomalyKind::Reordered && a.partition == *name;
    let promised = watch.keeps_order() && ledger.acked.iter().all(|batch| idempotent(&batch));
    if let Some(anomaly) = world.ledger().anomalies().find(reordered).filter(|_| promised) {
        let text = format!(
            "offsets {} to {}: records of a key stand in another order than they were sent",
            anomaly.first, anomaly.last
        );
        finder.broken(Property::IdempotentOrder, Some(name), text);
    }
    if let Some(lost) = lost_with_all_acks(world, name) {
        finder.broken(Property::AcknowledgedIsKept, Some(name), lost);
    }
}

fn lost_with_all_acks(world: &World, name: &TopicPartition) -> Option<String> {
    let ledger = world.ledger();
    let acked = &ledger.partition(name)?.acked;
    let lost = ledger.anomalies().filter(|a| a.kind == AnomalyKind::Lost && a.partition == *name);
    // A batch that only its leader had may be gone, and one with acks=all stand at its offset now.
    let only_all = |first: Offset| {
        let mut there = acked.iter().filter(|batch| batch.base == first).peekable();
        there.peek().is_some() && there.all(|batch| batch.acks == -1)
    };
    let mut of_all = lost.filter(|anomaly| only_all(anomaly.first));
    of_all.next().map(|anomaly| format!("offsets {} to {} were acknowledged and are gone", anomaly.first, anomaly.last))
}
