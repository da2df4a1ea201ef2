//! What a monitoring system would read from the cluster at this instant: Kafka's own metrics, node
//! by node. All of it is a function of the world, so looking back shows what would have been read then.
//!
//! A node answers only while its process runs: who is dead or frozen reports nothing, as with JMX.

mod gauges;
mod meter;

use crate::sim::world::World;
use crate::sorted::SortedMap;
use crate::wire::{GroupId, NodeId};

pub use meter::{Meter, Meters};

macro_rules! metrics {
    ($(#[$doc:meta])* $($name:ident,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($name,)*
        }

        impl Metric {
            pub const ALL: &[Metric] = &[$(Metric::$name,)*];
        }
    };
}

metrics! {
    /// What is measured, named as Kafka names it (without `PerSec` and the like, which say how it is shown).
    /// Full names, units and meanings are the view's business.
    // The health of the replicas.
    UnderReplicatedPartitions,
    UnderMinIsrPartitionCount,
    AtMinIsrPartitionCount,
    OfflinePartitionsCount,
    MaxLag,
    IsrShrinks,
    IsrExpands,
    FailedIsrUpdates,
    LeaderCount,
    PartitionCount,
    // The controllers.
    ActiveControllerCount,
    ActiveBrokerCount,
    FencedBrokerCount,
    LeaderElections,
    UncleanLeaderElections,
    PreferredReplicaImbalanceCount,
    // Requests and bytes.
    MessagesIn,
    BytesIn,
    BytesOut,
    ReplicationBytesIn,
    ReplicationBytesOut,
    ProduceRequests,
    FetchConsumerRequests,
    FetchFollowerRequests,
    FailedProduceRequests,
    DelayedProduces,
    DelayedFetches,
    // Clients and groups.
    RecordSend,
    RecordRetry,
    RecordError,
    RecordsConsumed,
    RecordsLagMax,
    GroupLag,
    OffsetCommits,
    CompletedRebalances,
}

/// Who reports a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reporter {
    Node(NodeId),
    /// What `kafka-consumer-groups` says of a group.
    Group(GroupId),
}

/// How the values of several reporters come to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Max,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is there now.
    Gauge,
    /// How often it has happened since time zero: the `Count` of a meter of something rare.
    Count,
    /// Per second, in thousandths.
    Rate,
}

/// Every value at one instant: of a gauge as it is, of a count in all, of a rate in thousandths a second.
pub type Readings = SortedMap<(Metric, Reporter), i64>;

impl Metric {
    pub fn kind(self) -> Kind {
        use Metric::*;
        match self {
            MessagesIn
            | BytesIn
            | BytesOut
            | ReplicationBytesIn
            | ReplicationBytesOut
            | ProduceRequests
            | FetchConsumerRequests
            | FetchFollowerRequests
            | FailedProduceRequests
            | RecordSend
            | RecordRetry
            | RecordError
            | RecordsConsumed
            | OffsetCommits => Kind::Rate,
            IsrShrinks
            | IsrExpands
            | FailedIsrUpdates
            | LeaderElections
            | UncleanLeaderElections
            | CompletedRebalances => Kind::Count,
            _ => Kind::Gauge,
        }
    }

    /// Controllers all say the same of brokers and partitions; a lag is as bad as the worst one.
    pub fn fold(self) -> Fold {
        use Metric::*;
        match self {
            MaxLag
            | RecordsLagMax
            | OfflinePartitionsCount
            | ActiveBrokerCount
            | FencedBrokerCount
            | PreferredReplicaImbalanceCount => Fold::Max,
            _ => Fold::Sum,
        }
    }

    /// Whether the reporters are to be compared with one another: a sum would hide what matters.
    pub fn is_compared(self) -> bool {
        matches!(self, Metric::LeaderCount | Metric::RecordsLagMax)
    }

    /// Which of two values tells more of an interval that has both.
    pub fn worse(self, a: i64, b: i64) -> i64 {
        match self {
            Metric::ActiveControllerCount
            | Metric::ActiveBrokerCount
            | Metric::LeaderCount
            | Metric::PartitionCount => a.min(b),
            _ => a.max(b),
        }
    }

    /// The values of all reporters as one; `None` when nobody reports.
    pub fn whole(self, values: impl Iterator<Item = i64>) -> Option<i64> {
        match self.fold() {
            Fold::Sum => values.reduce(|a, b| a + b),
            Fold::Max => values.max(),
        }
    }
}

impl World {
    /// Everything that is measured, at this instant.
    pub fn metrics(&self) -> Readings {
        let mut readings = Readings::new();
        self.measure_brokers(&mut readings);
        self.measure_controllers(&mut readings);
        self.measure_consumers(&mut readings);
        self.measure_groups(&mut readings);
        self.measure_meters(&mut readings);
        readings
    }
}
