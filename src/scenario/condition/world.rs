//! The world answers the questions of conditions.

use bytes::Bytes;

use crate::kafka::node::TxnState;
use crate::scenario::condition::{BrokerState, Observe, OffsetSpec};
use crate::sim::World;
use crate::sim::action::{BrokerRef, NodeRef};
use crate::sim::queries::{BrokerCondition, StreamCondition};
use crate::wire::{BrokerId, ControllerId, ErrorCode, TopicPartition};

impl Observe for World {
    fn role(&self, broker: &BrokerRef) -> Option<BrokerId> {
        self.resolve_broker(broker).ok()
    }

    fn leader(&self, partition: &TopicPartition) -> Option<Option<BrokerId>> {
        // A partition that is not there, deleted say, has no leader.
        Some(self.registration(partition).and_then(|registration| registration.leader))
    }

    fn leader_epoch(&self, partition: &TopicPartition) -> Option<i64> {
        Some(i64::from(self.registration(partition)?.leader_epoch.0))
    }

    fn isr(&self, partition: &TopicPartition) -> Option<Vec<BrokerId>> {
        Some(self.registration(partition)?.isr.clone())
    }

    fn elr(&self, partition: &TopicPartition) -> Option<Vec<BrokerId>> {
        Some(self.registration(partition)?.elr.clone())
    }

    fn replicas(&self, partition: &TopicPartition) -> Option<Vec<BrokerId>> {
        Some(self.registration(partition)?.replicas.clone())
    }

    fn partition_epoch(&self, partition: &TopicPartition) -> Option<i64> {
        Some(i64::from(self.registration(partition)?.partition_epoch.0))
    }

    fn high_watermark(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.high_watermark().0)
    }

    fn log_end(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.log_end().0)
    }

    fn log_start(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.log_start().0)
    }

    fn last_stable(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.last_stable_offset().0)
    }

    fn log_bytes(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.size())
    }

    fn flushed(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.flushed().0)
    }

    fn cleaned(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Option<i64>> {
        Some(self.log_of(partition, at)?.cleaned_to().map(|offset| offset.0))
    }

    fn producers(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        Some(self.log_of(partition, at)?.producers().entries().count() as i64)
    }

    fn segments(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Vec<i64>> {
        Some(self.log_of(partition, at)?.segments().map(|segment| segment.base().0).collect())
    }

    fn records(&self, partition: &TopicPartition, at: Option<BrokerId>) -> Option<Vec<Option<Bytes>>> {
        self.values_in(partition, at)
    }

    fn offset_of(&self, partition: &TopicPartition, spec: OffsetSpec) -> Option<Option<i64>> {
        Some(self.list_offset(partition, spec.timestamp())?.map(|offset| offset.0))
    }

    fn partition_of(&self, topic: &str, key: &str) -> Option<i64> {
        World::partition_of(self, topic, key.as_bytes()).map(i64::from)
    }

    fn broker_state(&self, broker: BrokerId) -> Option<BrokerState> {
        Some(match self.broker_condition(broker)? {
            BrokerCondition::Alive => BrokerState::Alive,
            // A broker that starts is registered as fenced, or not yet at all.
            BrokerCondition::Starting | BrokerCondition::Fenced => BrokerState::Fenced,
            BrokerCondition::Dead => BrokerState::Dead,
            BrokerCondition::Frozen => BrokerState::Frozen,
            BrokerCondition::ShuttingDown => BrokerState::ShuttingDown,
        })
    }

    fn controller(&self) -> Option<ControllerId> {
        self.active_controller()
    }

    fn controller_epoch(&self) -> Option<i64> {
        self.controllers().map(|(_, _, controller)| i64::from(controller.epoch().0)).max()
    }

    fn quorum_leader(&self) -> Option<ControllerId> {
        self.quorum_leader_id()
    }

    fn voters(&self) -> Option<Vec<ControllerId>> {
        Some(self.newest_quorum()?.voters().to_vec())
    }

    fn metadata_log(&self, node: &NodeRef) -> Option<(i64, i64)> {
        let log = &self.quorum_disk(self.resolve(node).ok()?)?.log;
        Some((log.log_start().0, log.log_end().0))
    }

    fn snapshot(&self, node: &NodeRef) -> Option<Option<i64>> {
        let disk = self.quorum_disk(self.resolve(node).ok()?)?;
        Some(disk.snapshots.last().map(|snapshot| snapshot.id.end.0))
    }

    fn feature(&self, name: &str) -> Option<i64> {
        if name == "kraft.version" {
            return Some(i64::from(self.newest_quorum()?.kraft_version()));
        }
        self.image().features.iter().find(|(feature, _)| feature.as_str() == name).map(|(_, level)| i64::from(*level))
    }

    fn group_state(&self, group: &str) -> Option<String> {
        World::group_state(self, group).map(str::to_string)
    }

    fn generation(&self, group: &str) -> Option<i64> {
        self.group_generation(group).map(i64::from)
    }

    fn members(&self, group: &str) -> Option<i64> {
        self.group_size(group).map(|members| members as i64)
    }

    fn share_partition(&self, group: &str, partition: &TopicPartition) -> Option<(i64, i64)> {
        let share = World::share_partition(self, group, partition)?;
        Some((share.window().start.0, share.acquired()))
    }

    fn committed(&self, group: &str, partition: &TopicPartition) -> Option<Option<i64>> {
        Some(World::committed(self, group, partition).map(|offset| offset.0))
    }

    fn lag(&self, group: &str, partition: Option<&TopicPartition>) -> Option<Option<i64>> {
        match partition {
            Some(partition) => {
                self.registration(partition)?;
                Some(World::lag(self, group, partition))
            }
            None => {
                let committed = self.committed_by(group).map(|(partition, _)| partition.clone());
                let partitions = committed.chain(self.share_partitions(group));
                let lags = partitions.filter_map(|partition| World::lag(self, group, &partition));
                Some(lags.reduce(|a, b| a + b))
            }
        }
    }

    fn assigned(&self, reader: &str) -> Option<Vec<TopicPartition>> {
        Some(self.reader(reader)?.assignment())
    }

    fn position(&self, reader: &str, partition: &TopicPartition) -> Option<Option<i64>> {
        let positions = self.reader(reader)?.positions();
        Some(positions.get(partition).map(|offset| offset.0))
    }

    fn delivered(&self, reader: &str, partition: &TopicPartition) -> Option<i64> {
        Some(self.reader(reader)?.delivered_of(partition) as i64)
    }

    fn values(&self, reader: &str, partition: &TopicPartition) -> Option<Vec<Option<Bytes>>> {
        let records = self.reader(reader)?.records(None);
        Some(records.into_iter().filter(|record| record.partition == *partition).map(|record| record.value).collect())
    }

    fn checkpoint(&self, stream: &str, partition: &TopicPartition) -> Option<Option<i64>> {
        let start = self.stream(stream)?.checkpoint().start();
        Some(start.and_then(|start| start.get(partition)).map(|offset| offset.0))
    }

    fn batches(&self, stream: &str) -> Option<(Option<i64>, Option<i64>)> {
        let checkpoint = self.stream(stream)?.checkpoint();
        let planned = checkpoint.planned().map(|_| checkpoint.next().0 as i64);
        Some((checkpoint.done().map(|batch| batch.0 as i64), planned))
    }

    fn stream_state(&self, stream: &str) -> Option<StreamCondition> {
        self.stream_condition(stream)
    }

    fn acked(&self, producer: &str) -> Option<i64> {
        Some(self.producer(producer)?.acked() as i64)
    }

    fn failed(&self, producer: &str, error: Option<ErrorCode>) -> Option<i64> {
        let producer = self.producer(producer)?;
        let failed = producer.failed().iter().filter(|(code, _)| error.is_none_or(|error| error.code() == **code));
        Some(failed.map(|(_, count)| *count as i64).sum())
    }

    fn pending(&self, producer: &str) -> Option<i64> {
        Some(self.producer(producer)?.pending() as i64)
    }

    fn transaction(&self, producer: &str) -> Option<TxnState> {
        self.producer(producer)?.transaction().map(|(state, _)| state)
    }

    fn lost(&self) -> i64 {
        self.ledger().lost() as i64
    }

    fn duplicated(&self, group: &str) -> Option<i64> {
        Some(self.ledger().duplicated(group) as i64)
    }

    fn reordered(&self) -> i64 {
        self.ledger().reordered() as i64
    }

    fn phantom(&self) -> i64 {
        self.ledger().phantom() as i64
    }

    fn skipped(&self, group: &str) -> Option<i64> {
        Some(self.ledger().skipped(group) as i64)
    }

    fn under_replicated(&self) -> i64 {
        // OngoingReassignmentState.replicationFactor: a replica that is only being added is not missed yet.
        self.partitions().filter(|(_, of)| of.isr.len() < of.replicas.len() - of.adding.len()).count() as i64
    }

    fn diverged(&self) -> i64 {
        self.diverged_replicas() as i64
    }

    fn under_min_isr(&self) -> i64 {
        let under = |(partition, isr): (TopicPartition, usize)| (isr as i32) < self.effective_min_isr(&partition);
        self.partitions()
            .map(|(partition, registration)| (partition, registration.isr.len()))
            .filter(|p| under(p.clone()))
            .count() as i64
    }

    fn offline(&self) -> i64 {
        self.partitions().filter(|(_, registration)| registration.leader.is_none()).count() as i64
    }
}
