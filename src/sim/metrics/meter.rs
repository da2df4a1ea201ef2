//! Counting what happens, and how fast. Kept outside the protocol and never visible to a node.
//!
//! The rate is found as Kafka's clients find theirs (SampledStat, Rate): from the start of the
//! oldest of several windows to now, where what lies before the beginning counts as empty windows.
//! Their two windows of 30 s would hide a failover of 9 s: here there are five of one second.

use crate::kafka::fact::Fact;
use crate::kafka::node::Input;
use crate::kafka::replica::IsrCounters;
use crate::sim::actor::Actor;
use crate::sim::metrics::{Kind, Metric, Readings, Reporter};
use crate::sim::world::World;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::batch::Batch;
use crate::wire::{Body, Envelope, ErrorCode, NodeId, Request, Response, TopicPartition};

const WINDOWS: usize = 5;
const WINDOW: i64 = 1_000_000;

/// How often something has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    count: u64,
    /// The number of the window under way.
    window: i64,
    /// The count at the start of each of the last windows, the one under way last.
    starts: [u64; WINDOWS],
}

impl Meter {
    fn new(now: Instant) -> Meter {
        Meter { count: 0, window: window(now), starts: [0; WINDOWS] }
    }

    fn mark(&mut self, times: u64, now: Instant) {
        self.pass(now);
        self.count += times;
    }

    fn pass(&mut self, now: Instant) {
        let passed = (window(now) - self.window).clamp(0, WINDOWS as i64) as usize;
        if passed > 0 {
            self.starts.rotate_left(passed);
            self.starts[WINDOWS - passed..].fill(self.count);
            self.window = window(now);
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Thousandths per second, over the last four to five seconds.
    pub fn rate(&self, now: Instant) -> i64 {
        let mut meter = self.clone();
        meter.pass(now);
        let since = (meter.window - (WINDOWS as i64 - 1)) * WINDOW;
        let counted = i128::from(meter.count - meter.starts[0]);
        (counted * 1_000 * 1_000_000 / i128::from((now.0 - since).max(1))) as i64
    }
}

fn window(now: Instant) -> i64 {
    now.0.div_euclid(WINDOW)
}

/// The meters of all nodes, since time zero. Unlike Kafka's they go on counting when a process is
/// started again.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meters {
    meters: SortedMap<(Metric, NodeId), Meter>,
}

impl Meters {
    pub fn get(&self, metric: Metric, node: NodeId) -> Option<&Meter> {
        self.meters.get(&(metric, node))
    }

    fn mark(&mut self, metric: Metric, node: NodeId, times: u64, now: Instant) {
        if now >= Instant::ZERO && times > 0 {
            self.meters.entry((metric, node)).or_insert_with(|| Meter::new(now)).mark(times, now);
        }
    }

    /// A fact was told by `teller`.
    pub(in crate::sim) fn observe(&mut self, fact: &Fact, teller: Option<NodeId>, now: Instant) {
        match fact {
            Fact::Appended { broker, first, last, bytes, leader, .. } => {
                let broker = NodeId::Broker(*broker);
                if *leader {
                    self.mark(Metric::MessagesIn, broker, (*last - *first + 1) as u64, now);
                    self.mark(Metric::BytesIn, broker, *bytes as u64, now);
                } else {
                    self.mark(Metric::ReplicationBytesIn, broker, *bytes as u64, now);
                }
            }
            Fact::ProduceRefused { broker, error, .. } if !is_expected(*error) => {
                self.mark(Metric::FailedProduceRequests, NodeId::Broker(*broker), 1, now);
            }
            Fact::SendRetried { producer, count, .. } => {
                self.mark(Metric::RecordRetry, NodeId::Client(*producer), u64::from(*count), now);
            }
            Fact::SendFailed { producer, count, .. } => {
                self.mark(Metric::RecordError, NodeId::Client(*producer), u64::from(*count), now);
            }
            Fact::SendRejected { producer, .. } => self.mark(Metric::RecordError, NodeId::Client(*producer), 1, now),
            Fact::Delivered { consumer, count, .. } => {
                self.mark(Metric::RecordsConsumed, NodeId::Client(*consumer), u64::from(*count), now);
            }
            _ => {
                if let Some(teller) = teller {
                    self.observe_coordination(fact, teller, now);
                }
            }
        }
    }

    fn observe_coordination(&mut self, fact: &Fact, teller: NodeId, now: Instant) {
        match fact {
            Fact::LeaderElected { from, to: Some(to), unclean, .. } if *from != Some(*to) => {
                self.mark(Metric::LeaderElections, teller, 1, now);
                self.mark(Metric::UncleanLeaderElections, teller, u64::from(*unclean), now);
            }
            Fact::OffsetCommitted { .. } => self.mark(Metric::OffsetCommits, teller, 1, now),
            Fact::GenerationStable { .. } => self.mark(Metric::CompletedRebalances, teller, 1, now),
            _ => {}
        }
    }

    /// A broker takes a request (RequestMetrics).
    pub(in crate::sim) fn taken(&mut self, by: NodeId, from: NodeId, envelope: &Envelope, now: Instant) {
        let (NodeId::Broker(_), Body::Request(request)) = (by, &envelope.body) else { return };
        let metric = match (request, from) {
            (Request::Produce(_), _) => Metric::ProduceRequests,
            (Request::Fetch(_), NodeId::Broker(_)) => Metric::FetchFollowerRequests,
            (Request::Fetch(_), _) => Metric::FetchConsumerRequests,
            _ => return,
        };
        self.mark(metric, by, 1, now);
    }

    /// A node sends a message: the bytes of a fetch's answer, the records of a produce request.
    pub(in crate::sim) fn sent(&mut self, by: NodeId, to: NodeId, envelope: &Envelope, now: Instant) {
        match (by, &envelope.body) {
            (NodeId::Broker(_), Body::Response(Response::Fetch(response))) => {
                let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
                let bytes = partitions.filter_map(|partition| partition.records.as_ref()).map(|r| r.len() as u64).sum();
                let to_broker = matches!(to, NodeId::Broker(_));
                let metric = if to_broker { Metric::ReplicationBytesOut } else { Metric::BytesOut };
                self.mark(metric, by, bytes, now);
            }
            (NodeId::Client(_), Body::Request(Request::Produce(request))) => {
                let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
                let batches =
                    partitions.filter_map(|partition| Batch::split_first(&mut partition.records.clone()?, false).ok());
                self.mark(Metric::RecordSend, by, batches.map(|batch| batch.record_count as u64).sum(), now);
            }
            _ => {}
        }
    }

    /// What the ISR changes that a broker asked for came to in one turn.
    pub(in crate::sim) fn isr_changed(&mut self, by: NodeId, before: IsrCounters, after: IsrCounters, now: Instant) {
        let since = |metric: fn(IsrCounters) -> u32| u64::from(metric(after).saturating_sub(metric(before)));
        self.mark(Metric::IsrShrinks, by, since(|isr| isr.shrinks), now);
        self.mark(Metric::IsrExpands, by, since(|isr| isr.expands), now);
        self.mark(Metric::FailedIsrUpdates, by, since(|isr| isr.failures), now);
    }
}

/// Errors that say nothing against the broker (ReplicaManager.appendRecordsToLeader): they are answered, and not counted.
fn is_expected(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::CorruptMessage
    )
}

impl World {
    /// Counts what a node is handed. The partitions whose ISR changes the controller answers by it.
    pub(in crate::sim) fn meter_input(&mut self, node: NodeId, input: &Input) -> Vec<TopicPartition> {
        let Input::Deliver { from, envelope } = input else { return Vec::new() };
        self.meters.taken(node, *from, envelope, self.now);
        let Body::Response(Response::AlterPartition(response)) = &envelope.body else { return Vec::new() };
        let name = |topic| self.image().topic_names.get(topic).cloned();
        let named = response.topics.iter().filter_map(|topic| Some((name(&topic.topic_id)?, &topic.partitions)));
        let partitions = named.flat_map(|(topic, partitions)| {
            partitions.iter().map(move |p| TopicPartition { topic: topic.clone(), partition: p.partition_index })
        });
        partitions.collect()
    }

    /// The ISR changes of these partitions that a broker's process has counted (AlterPartitionListener).
    pub(in crate::sim) fn counted_isr_changes(&self, node: NodeId, partitions: &[TopicPartition]) -> IsrCounters {
        let NodeId::Broker(id) = node else { return IsrCounters::default() };
        let replicas = partitions.iter().filter_map(|partition| self.broker(id)?.replica(partition));
        replicas.fold(IsrCounters::default(), |sum, replica| {
            let IsrCounters { expands, shrinks, failures } = replica.counters();
            IsrCounters {
                expands: sum.expands + expands,
                shrinks: sum.shrinks + shrinks,
                failures: sum.failures + failures,
            }
        })
    }

    /// What a node has not counted yet is zero.
    pub(super) fn measure_meters(&self, readings: &mut Readings) {
        for (node, _) in self.members().filter(|(node, _)| self.reports(*node)) {
            for metric in self.metered_by(node) {
                let meter = self.meters.get(*metric, node);
                let value = match metric.kind() {
                    Kind::Rate => meter.map_or(0, |meter| meter.rate(self.now)),
                    Kind::Count | Kind::Gauge => meter.map_or(0, |meter| meter.count() as i64),
                };
                readings.insert((*metric, Reporter::Node(node)), value);
            }
        }
    }

    /// What a node counts. Only the active controller elects leaders, and says so.
    fn metered_by(&self, node: NodeId) -> &'static [Metric] {
        use Metric::*;
        match self.member(node).map(|member| &*member.actor) {
            Some(Actor::Broker(_)) => &[
                MessagesIn,
                BytesIn,
                BytesOut,
                ReplicationBytesIn,
                ReplicationBytesOut,
                ProduceRequests,
                FetchConsumerRequests,
                FetchFollowerRequests,
                FailedProduceRequests,
                IsrShrinks,
                IsrExpands,
                FailedIsrUpdates,
                OffsetCommits,
                CompletedRebalances,
            ],
            Some(Actor::Controller(_)) => &[LeaderElections, UncleanLeaderElections],
            Some(Actor::Producer(_)) => &[RecordSend, RecordRetry, RecordError],
            Some(Actor::Consumer(_) | Actor::ShareConsumer(_) | Actor::Stream(_)) => &[RecordsConsumed],
            Some(Actor::Admin(_)) | None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_covers_the_last_four_to_five_seconds() {
        let mut meter = Meter::new(Instant::ZERO);
        for second in 0..10 {
            meter.mark(3, Instant::from_secs(second));
        }
        assert_eq!(meter.count(), 30);
        // At 9.5 s: what was counted from 5 s on.
        assert_eq!(meter.rate(Instant::from_millis(9_500)), 15 * 1_000_000 / 4_500);
        // Windows that have passed in silence count as well.
        assert_eq!(meter.rate(Instant::from_secs(12)), 2 * 3 * 1_000 / 4);
        assert_eq!(meter.rate(Instant::from_secs(14)), 0);
        assert_eq!(meter.rate(Instant::from_secs(1_000)), 0);
    }

    #[test]
    fn what_lies_before_the_beginning_counts_as_silence() {
        let mut meter = Meter::new(Instant::from_millis(100));
        meter.mark(9, Instant::from_millis(100));
        assert_eq!(meter.rate(Instant::from_millis(500)), 2_000, "nine in four and a half seconds");
    }

    #[test]
    fn nothing_is_counted_before_time_zero() {
        let mut meters = Meters::default();
        let node = NodeId::Client(crate::wire::ClientId(1));
        meters.mark(Metric::RecordSend, node, 1, Instant(-1));
        assert_eq!(meters, Meters::default());
    }
}
