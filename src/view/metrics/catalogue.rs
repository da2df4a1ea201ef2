//! Every metric under the name by which Kafka publishes it, with its unit and its meaning.

use serde::Serialize;

use crate::sim::metrics::{Kind, Metric};

/// Where a metric stands on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Area {
    Replication,
    Controller,
    Traffic,
    Clients,
}

impl Area {
    pub const ALL: [Area; 4] = [Area::Replication, Area::Controller, Area::Traffic, Area::Clients];

    pub fn name(self) -> &'static str {
        match self {
            Area::Replication => "Replication",
            Area::Controller => "Controller",
            Area::Traffic => "Traffic",
            Area::Clients => "Clients",
        }
    }
}

/// What there is to know of a metric before its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    pub metric: Metric,
    pub area: Area,
    /// The last part of its name, and what tells it from others of that name: `RequestsPerSec`, `Produce`.
    pub name: &'static str,
    pub of: &'static str,
    /// The full name: an MBean of a broker or controller, or of a client with its attribute.
    pub mbean: &'static str,
    pub unit: &'static str,
    pub meaning: &'static str,
}

impl About {
    pub fn of(metric: Metric) -> About {
        let area = match metric {
            metric if metric <= Metric::PartitionCount => Area::Replication,
            metric if metric <= Metric::PreferredReplicaImbalanceCount => Area::Controller,
            metric if metric <= Metric::DelayedFetches => Area::Traffic,
            _ => Area::Clients,
        };
        let (mbean, unit, meaning) = match area {
            Area::Replication => replication(metric),
            Area::Controller => controller(metric),
            Area::Traffic => traffic(metric),
            Area::Clients => clients(metric),
        };
        let (name, of) = name(mbean);
        About { metric, area, name, of, mbean, unit, meaning }
    }

    /// The name with what tells it from others of that name.
    pub fn title(&self) -> String {
        if self.of.is_empty() { self.name.to_string() } else { format!("{} {}", self.name, self.of) }
    }

    /// A value as exact as it is shown, so that what reads the same is the same.
    pub fn rounded(&self, value: i64) -> i64 {
        match self.metric.kind() {
            Kind::Gauge | Kind::Count => value,
            Kind::Rate if value < 9_950 => (value + 50) / 100 * 100,
            Kind::Rate => (value + 500) / 1_000 * 1_000,
        }
    }

    /// A value as a person reads it, without the unit.
    pub fn say(&self, value: i64) -> String {
        match self.metric.kind() {
            Kind::Gauge | Kind::Count => grouped(value),
            Kind::Rate if value < 9_950 => format!("{}.{}", (value + 50) / 1_000, (value + 50) % 1_000 / 100),
            Kind::Rate => grouped((value + 500) / 1_000),
        }
    }
}

/// What follows `name=` or the space before an attribute; `request=` and the like tell it from others.
fn name(mbean: &'static str) -> (&'static str, &'static str) {
    let Some((_, name)) = mbean.split_once("name=") else {
        return (mbean.rsplit(' ').next().unwrap_or(mbean), "");
    };
    let (name, of) = name.split_once(',').unwrap_or((name, ""));
    let told = of.strip_prefix("request=").or(of.strip_prefix("delayedOperation="));
    (name, told.unwrap_or_default())
}

/// `12,345`
fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = if value < 0 { "-".to_string() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

type Words = (&'static str, &'static str, &'static str);

fn replication(metric: Metric) -> Words {
    match metric {
        Metric::UnderReplicatedPartitions => (
            "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions",
            "partitions",
            "Partitions whose leader misses at least one replica in its ISR. Internal topics count too: __consumer_offsets alone has 50. Healthy at 0.",
        ),
        Metric::UnderMinIsrPartitionCount => (
            "kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount",
            "partitions",
            "Partitions with fewer replicas in sync than min.insync.replicas asks for: producers with acks=all are refused. Healthy at 0.",
        ),
        Metric::AtMinIsrPartitionCount => (
            "kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount",
            "partitions",
            "Partitions with just as many replicas in sync as min.insync.replicas asks for: one more failure, and acks=all is refused.",
        ),
        Metric::OfflinePartitionsCount => (
            "kafka.controller:type=KafkaController,name=OfflinePartitionsCount",
            "partitions",
            "Partitions without a leader: nobody can write to them or read from them. Healthy at 0.",
        ),
        Metric::MaxLag => (
            "kafka.server:type=ReplicaFetcherManager,name=MaxLag,clientId=Replica",
            "records",
            "How far the follower that is furthest behind has still to fetch to its leader’s high watermark.",
        ),
        Metric::IsrShrinks => (
            "kafka.server:type=ReplicaManager,name=IsrShrinksPerSec",
            "shrinks",
            "How often a leader had a follower that lagged taken out of its ISR. Whom the controller takes out when it fences a broker is not counted.",
        ),
        Metric::IsrExpands => (
            "kafka.server:type=ReplicaManager,name=IsrExpandsPerSec",
            "expands",
            "How often a leader took a follower that had caught up back into its ISR.",
        ),
        Metric::FailedIsrUpdates => (
            "kafka.server:type=ReplicaManager,name=FailedIsrUpdatesPerSec",
            "failures",
            "How often the controller refused an ISR that a leader asked for.",
        ),
        Metric::LeaderCount => (
            "kafka.server:type=ReplicaManager,name=LeaderCount",
            "partitions",
            "Partitions that a broker leads, as it knows itself. Even across brokers when the preferred replicas lead.",
        ),
        _ => (
            "kafka.server:type=ReplicaManager,name=PartitionCount",
            "replicas",
            "Replicas that the brokers that run hold.",
        ),
    }
}

fn controller(metric: Metric) -> Words {
    match metric {
        Metric::ActiveControllerCount => (
            "kafka.controller:type=KafkaController,name=ActiveControllerCount",
            "controllers",
            "Controllers that hold themselves for the active one. Healthy at 1; at 0 nothing about the cluster can change.",
        ),
        Metric::ActiveBrokerCount => (
            "kafka.controller:type=KafkaController,name=ActiveBrokerCount",
            "brokers",
            "Registered brokers that the controller holds for alive.",
        ),
        Metric::FencedBrokerCount => (
            "kafka.controller:type=KafkaController,name=FencedBrokerCount",
            "brokers",
            "Registered brokers that the controller holds for gone: they lead nothing and are in no ISR.",
        ),
        Metric::LeaderElections => (
            "kafka.controller:type=ControllerStats,name=LeaderElectionRateAndTimeMs",
            "elections",
            "Leaders that the controller has elected for a partition. Kafka’s documentation has this metric, but its KRaft controllers no longer publish it; here they are counted.",
        ),
        Metric::UncleanLeaderElections => (
            "kafka.controller:type=ControllerStats,name=UncleanLeaderElectionsPerSec",
            "elections",
            "Elected leaders that were not in sync: acknowledged records may be lost. Healthy at 0.",
        ),
        _ => (
            "kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount",
            "partitions",
            "Partitions led by another replica than the first of their list, the preferred one.",
        ),
    }
}

fn traffic(metric: Metric) -> Words {
    match metric {
        Metric::MessagesIn => (
            "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec",
            "records/s",
            "Records that leaders append, those of internal topics too.",
        ),
        Metric::BytesIn => (
            "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec",
            "bytes/s",
            "Bytes of the batches that leaders append.",
        ),
        Metric::BytesOut => (
            "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec",
            "bytes/s",
            "Bytes of records that brokers send to consumers.",
        ),
        Metric::ReplicationBytesIn => (
            "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesInPerSec",
            "bytes/s",
            "Bytes of records that followers fetch and append.",
        ),
        Metric::ReplicationBytesOut => (
            "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesOutPerSec",
            "bytes/s",
            "Bytes of records that leaders send to their followers.",
        ),
        Metric::ProduceRequests => (
            "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Produce",
            "requests/s",
            "PRODUCE requests that brokers take.",
        ),
        Metric::FetchConsumerRequests => (
            "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=FetchConsumer",
            "requests/s",
            "FETCH requests of consumers. One that finds nothing new waits up to fetch.max.wait.ms at the broker.",
        ),
        Metric::FetchFollowerRequests => (
            "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=FetchFollower",
            "requests/s",
            "FETCH requests of followers. Each also says how far the follower has come.",
        ),
        Metric::FailedProduceRequests => (
            "kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec",
            "failures/s",
            "Appends that a leader refused for its own trouble, such as too few replicas in sync; an unknown topic or another leader does not count.",
        ),
        Metric::DelayedProduces => (
            "kafka.server:type=DelayedOperationPurgatory,name=NumDelayedOperations,delayedOperation=Produce",
            "requests",
            "PRODUCE requests with acks=all that wait for the in-sync replicas.",
        ),
        _ => (
            "kafka.server:type=DelayedOperationPurgatory,name=NumDelayedOperations,delayedOperation=Fetch",
            "requests",
            "FETCH requests that wait for something new.",
        ),
    }
}

fn clients(metric: Metric) -> Words {
    match metric {
        Metric::RecordSend => (
            "kafka.producer:type=producer-metrics,client-id=* record-send-rate",
            "records/s",
            "Records in the PRODUCE requests that producers send; what is sent again counts again.",
        ),
        Metric::RecordRetry => (
            "kafka.producer:type=producer-metrics,client-id=* record-retry-rate",
            "records/s",
            "Records that producers send again.",
        ),
        Metric::RecordError => (
            "kafka.producer:type=producer-metrics,client-id=* record-error-rate",
            "records/s",
            "Records whose sending failed for good: the application was told. Healthy at 0.",
        ),
        Metric::RecordsConsumed => (
            "kafka.consumer:type=consumer-fetch-manager-metrics,client-id=* records-consumed-rate",
            "records/s",
            "Records that poll() hands to the applications.",
        ),
        Metric::RecordsLagMax => (
            "kafka.consumer:type=consumer-fetch-manager-metrics,client-id=* records-lag-max",
            "records",
            "How far a consumer is behind the high watermark in its worst partition, as it knows from its last answers: who gets no answer sees no lag.",
        ),
        Metric::GroupLag => (
            "kafka-consumer-groups.sh --describe LAG",
            "records",
            "What the groups have not committed yet, all partitions together. No MBean: the tool asks the coordinator and the leaders, so it sees the lag of consumers that are gone.",
        ),
        Metric::OffsetCommits => (
            "kafka.server:type=group-coordinator-metrics,name=offset-commit-rate",
            "commits/s",
            "Offsets that coordinators write down for groups.",
        ),
        _ => (
            "kafka.server:type=group-coordinator-metrics,name=group-completed-rebalance-count",
            "rebalances",
            "Rebalances that ended with an assignment.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_last_part_of_the_mbean() {
        let about = |metric| About::of(metric);
        let requests = about(Metric::FetchFollowerRequests);
        assert_eq!((requests.name, requests.of), ("RequestsPerSec", "FetchFollower"));
        assert_eq!(about(Metric::RecordsLagMax).title(), "records-lag-max");
        assert_eq!(about(Metric::MaxLag).title(), "MaxLag");
        assert_eq!(about(Metric::GroupLag).title(), "LAG");
        let titles: std::collections::BTreeSet<String> =
            Metric::ALL.iter().map(|metric| about(*metric).title()).collect();
        assert_eq!(titles.len(), Metric::ALL.len(), "no two metrics share a title");
    }

    #[test]
    fn values_read_well() {
        let rate = About::of(Metric::MessagesIn);
        let said: Vec<String> = [0, 49, 950, 1_000, 9_949, 9_950, 1_234_567].iter().map(|v| rate.say(*v)).collect();
        assert_eq!(said, ["0.0", "0.0", "1.0", "1.0", "9.9", "10", "1,235"]);
        assert_eq!(About::of(Metric::IsrShrinks).say(12_345), "12,345");
        for value in [0, 49, 50, 949, 950, 9_949, 9_950, 10_499, 10_500] {
            assert_eq!(rate.say(rate.rounded(value)), rate.say(value), "{value}");
        }
    }

    #[test]
    fn metrics_stand_by_area() {
        let areas: Vec<Area> = Metric::ALL.iter().map(|metric| About::of(*metric).area).collect();
        assert!(areas.windows(2).all(|pair| pair[0] as u8 <= pair[1] as u8));
    }
}
