//! What is there now: who leads, who is in sync, how far anybody is behind.

use crate::kafka::broker::Process;
use crate::sim::metrics::{Metric, Readings, Reporter};
use crate::sim::world::{Power, World};
use crate::wire::{BrokerId, GroupId, NodeId, Offset, str_bytes};

impl World {
    /// Whether a node would answer a monitoring system.
    pub(super) fn reports(&self, node: NodeId) -> bool {
        self.member(node).is_some_and(|member| member.power == Power::Running && !member.frozen)
    }

    fn reporting_brokers(&self) -> impl Iterator<Item = (BrokerId, &Process)> {
        let running = self.brokers().filter(|(_, member, _)| member.power == Power::Running && !member.frozen);
        running.filter_map(|(id, _, broker)| Some((id, broker.process()?)))
    }

    pub(super) fn measure_brokers(&self, readings: &mut Readings) {
        for (id, process) in self.reporting_brokers() {
            self.measure_replicas(id, process, readings);
            self.measure_waiting(id, process, readings);
        }
    }

    /// What the controllers publish of the metadata.
    pub(super) fn measure_controllers(&self, readings: &mut Readings) {
        let image = self.image();
        let fenced = image.brokers.values().filter(|broker| broker.fenced).count() as i64;
        let (mut offline, mut imbalanced) = (0, 0);
        for (_, _, _, partition) in image.partitions() {
            // ControllerMetricsChanges; PartitionRegistration.hasPreferredLeader.
            offline += i64::from(partition.leader.is_none());
            imbalanced += i64::from(partition.leader != partition.preferred());
        }
        let running = self.controllers().filter(|(_, member, _)| member.power == Power::Running && !member.frozen);
        for (id, _, controller) in running {
            let mut say = |metric, value| readings.insert((metric, Reporter::Node(NodeId::Controller(id))), value);
            say(Metric::ActiveControllerCount, i64::from(controller.is_active()));
            say(Metric::FencedBrokerCount, fenced);
            say(Metric::ActiveBrokerCount, image.brokers.len() as i64 - fenced);
            say(Metric::OfflinePartitionsCount, offline);
            say(Metric::PreferredReplicaImbalanceCount, imbalanced);
        }
    }

    /// ReplicaManager's gauges: each broker counts the partitions that it leads itself, as it knows them.
    fn measure_replicas(&self, id: BrokerId, process: &Process, readings: &mut Readings) {
        let (mut all, mut leads, mut under_replicated, mut under_min, mut at_min) = (0, 0, 0, 0, 0);
        for (partition, replica) in process.replicas() {
            all += 1;
            if !replica.is_leader() {
                continue;
            }
            leads += 1;
            // Partition.isUnderReplicated: a replica that is only being added is not missed yet.
            let added = self.registration(partition).map_or(0, |registration| registration.adding.len());
            under_replicated += i64::from(replica.isr().len() + added < replica.remotes().count() + 1);
            if let Some(log) = self.broker(id).and_then(|broker| broker.log(partition)) {
                under_min += i64::from(replica.is_under_min_isr(log));
                at_min += i64::from(replica.is_at_min_isr(log));
            }
        }
        let mut say = |metric, value| readings.insert((metric, Reporter::Node(NodeId::Broker(id))), value);
        say(Metric::PartitionCount, all);
        say(Metric::LeaderCount, leads);
        say(Metric::UnderReplicatedPartitions, under_replicated);
        say(Metric::UnderMinIsrPartitionCount, under_min);
        say(Metric::AtMinIsrPartitionCount, at_min);
    }

    /// How far a follower is behind, and what waits for others.
    fn measure_waiting(&self, id: BrokerId, process: &Process, readings: &mut Readings) {
        let fetched = process.fetchers().flat_map(|(leader, fetcher)| {
            fetcher.partitions().map(move |(partition, follow)| (leader, partition, follow.offset))
        });
        // AbstractFetcherThread: the leader's high watermark less the next offset to fetch.
        let lags = fetched.filter_map(|(leader, partition, offset)| {
            Some((self.broker(leader)?.log(partition)?.high_watermark() - offset).max(0))
        });
        let mut say = |metric, value| readings.insert((metric, Reporter::Node(NodeId::Broker(id))), value);
        say(Metric::MaxLag, lags.max().unwrap_or(0));
        say(Metric::DelayedProduces, i64::from(process.waiting_produces()));
        say(Metric::DelayedFetches, i64::from(process.sessions().waiting()));
    }

    /// FetchMetricsManager: what the consumer knows from its last answers, which is less and less true
    /// while nobody answers it.
    pub(super) fn measure_consumers(&self, readings: &mut Readings) {
        for (_, member, consumer) in self.consumers() {
            if member.power != Power::Running || member.frozen || !consumer.is_running() {
                continue;
            }
            let lag = |(end, position): (Offset, Offset)| (end - position).max(0);
            let known = consumer
                .assigned()
                .filter_map(|(_, assigned)| Some((assigned.high_watermark?, assigned.position.as_ref()?.offset)));
            if let Some(worst) = known.map(lag).max() {
                readings.insert((Metric::RecordsLagMax, Reporter::Node(NodeId::Client(consumer.id()))), worst);
            }
        }
    }

    /// ConsumerGroupCommand's LAG, summed up; a tool's answer, so it needs only the coordinator.
    pub(super) fn measure_groups(&self, readings: &mut Readings) {
        for name in self.group_names() {
            let Some(coordinator) = self.coordinator(&name).filter(|id| self.reports(NodeId::Broker(*id))) else {
                continue;
            };
            let Some(groups) = self.broker(coordinator).and_then(|broker| broker.groups()) else { continue };
            let group = GroupId(str_bytes(&name));
            let lags = groups.offsets(&group).filter_map(|(partition, committed)| {
                Some((self.log_of(partition, None)?.high_watermark() - committed.offset).max(0))
            });
            if let Some(lag) = lags.reduce(|a, b| a + b) {
                readings.insert((Metric::GroupLag, Reporter::Group(group)), lag);
            }
        }
    }
}
