//! The metrics: exact values at instants of a failover, and that looking back shows what was read then.

use std::sync::Arc;

use highwater::history::History;
use highwater::scenario::script::Script;
use highwater::sim::World;
use highwater::sim::metrics::{Metric, Reporter};
use highwater::time::{Duration, Instant};
use highwater::view::metrics::{Chart, Plotter, measure};
use highwater::view::timeline::Painter;
use highwater::wire::{BrokerId, NodeId};

use crate::laws::act;

/// The default cluster with its traffic; broker 1 dies at 8 s and comes back at 30 s. With this seed the
/// leaders hear of their ISRs by the controller's answers first: what they hear by metadata they do not count.
const FAILOVER: &str = "cluster brokers=3 controllers=3 seed=9
topic orders replica-assignment=1:2:3,2:3:1,3:1:2 min.insync.replicas=2
producer app
consumer c1 group=billing topics=orders auto.offset.reset=earliest
load app orders rate=10/s keys=6 size=12 for=1h
at 8s
kill broker 1
at 30s
start broker 1
at 40s";

fn open(text: &str) -> History {
    let script = Script::read(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut history = History::open(Arc::new(script)).expect("the cluster settles");
    history.finish_script();
    history
}

fn value(world: &World, metric: Metric) -> Option<i64> {
    measure(world).get(&metric).map(|(value, _)| *value)
}

fn at(history: &mut History, seconds: i64, metric: Metric) -> Option<i64> {
    history.seek(Instant::from_secs(seconds));
    value(history.world(), metric)
}

fn of_broker(history: &History, metric: Metric, broker: i32) -> Option<i64> {
    history.world().metrics().get(&(metric, Reporter::Node(NodeId::Broker(BrokerId(broker))))).copied()
}

#[test]
fn a_failover_reads_as_it_would_on_a_real_cluster() {
    let mut history = open(FAILOVER);
    // Before the kill: 3 partitions of orders and 50 of __consumer_offsets, all well.
    assert_eq!(at(&mut history, 7, Metric::UnderReplicatedPartitions), Some(0));
    assert_eq!(at(&mut history, 7, Metric::LeaderCount), Some(53));
    assert_eq!(at(&mut history, 7, Metric::AtMinIsrPartitionCount), Some(0));
    let of_broker_1 = of_broker(&history, Metric::LeaderCount, 1).expect("broker 1 reports");
    assert!(of_broker_1 > 10, "{of_broker_1}");

    // Dead, and not missed yet: nobody shrinks the ISR, and its own count is gone with it.
    assert_eq!(at(&mut history, 12, Metric::UnderReplicatedPartitions), Some(0));
    assert_eq!(at(&mut history, 12, Metric::LeaderCount), Some(53 - of_broker_1));
    assert_eq!(of_broker(&history, Metric::LeaderCount, 1), None);
    assert_eq!(at(&mut history, 12, Metric::ActiveBrokerCount), Some(3));

    // The session of 9 s has expired: fenced, left out of every ISR, its partitions led by others.
    assert_eq!(at(&mut history, 20, Metric::FencedBrokerCount), Some(1));
    assert_eq!(at(&mut history, 20, Metric::UnderReplicatedPartitions), Some(53));
    assert_eq!(at(&mut history, 20, Metric::UnderMinIsrPartitionCount), Some(0));
    assert_eq!(at(&mut history, 20, Metric::AtMinIsrPartitionCount), Some(3));
    assert_eq!(at(&mut history, 20, Metric::OfflinePartitionsCount), Some(0));
    assert_eq!(at(&mut history, 20, Metric::LeaderCount), Some(53));
    assert_eq!(at(&mut history, 20, Metric::LeaderElections), Some(of_broker_1));
    assert_eq!(at(&mut history, 20, Metric::PreferredReplicaImbalanceCount), Some(of_broker_1));
    // The controller took it out, so no leader counts a shrink.
    assert_eq!(at(&mut history, 20, Metric::IsrShrinks), Some(0));

    // Back and caught up: the leaders take it in again, one partition after the other.
    assert_eq!(at(&mut history, 39, Metric::UnderReplicatedPartitions), Some(0));
    assert_eq!(at(&mut history, 39, Metric::IsrExpands), Some(53));
    assert_eq!(of_broker(&history, Metric::LeaderCount, 1), Some(0));
    assert_eq!(at(&mut history, 39, Metric::ActiveControllerCount), Some(1));
}

#[test]
fn a_follower_that_lags_is_taken_out_by_its_leader_and_counted() {
    let mut history = open(
        "cluster brokers=3 controllers=3
topic orders replica-assignment=1:2:3
producer app
load app orders rate=10/s keys=1 size=12 for=1h
cut 3 | 1,2
at 60s",
    );
    assert_eq!(at(&mut history, 10, Metric::IsrShrinks), Some(0));
    assert_eq!(at(&mut history, 60, Metric::IsrShrinks), Some(1));
    assert_eq!(at(&mut history, 60, Metric::UnderReplicatedPartitions), Some(1));
    assert_eq!(at(&mut history, 60, Metric::FencedBrokerCount), Some(0));
}

#[test]
fn rates_say_what_flows() {
    let mut history = open(&FAILOVER.replace("at 8s\nkill broker 1\n", ""));
    history.seek(Instant::from_secs(20));
    let now = measure(history.world());
    let rate = |metric: Metric| now[&metric].0;
    // Ten records a second, with the group's commits beside them.
    assert!((9_000..=11_000).contains(&rate(Metric::RecordSend)), "{}", rate(Metric::RecordSend));
    assert!((9_000..=12_000).contains(&rate(Metric::RecordsConsumed)), "{}", rate(Metric::RecordsConsumed));
    assert!((10_000..=12_500).contains(&rate(Metric::MessagesIn)), "{}", rate(Metric::MessagesIn));
    // Two followers fetch every byte.
    assert_eq!(rate(Metric::ReplicationBytesIn), rate(Metric::ReplicationBytesOut));
    let share = rate(Metric::ReplicationBytesIn) as f64 / rate(Metric::BytesIn) as f64;
    assert!((1.9..2.1).contains(&share), "{share}");
    assert!(rate(Metric::FetchFollowerRequests) > rate(Metric::ProduceRequests));
}

#[test]
fn the_lag_of_a_group_outlives_its_consumer() {
    let mut history = open(
        "cluster brokers=3 controllers=3
topic orders replica-assignment=1:2:3
producer app
consumer c1 group=billing topics=orders auto.offset.reset=earliest
load app orders rate=10/s keys=1 size=12 for=1h
at 20s
kill consumer c1
at 40s",
    );
    assert!(at(&mut history, 19, Metric::RecordsLagMax).is_some_and(|lag| lag <= 10));
    assert!(at(&mut history, 19, Metric::GroupLag).is_some_and(|lag| lag <= 60), "it commits every 5 s");
    assert_eq!(at(&mut history, 40, Metric::RecordsLagMax), None, "nobody is there to report it");
    assert!(at(&mut history, 40, Metric::GroupLag).is_some_and(|lag| (200..=260).contains(&lag)));
}

/// The charts as they are drawn at the viewed instant.
fn charts(history: &History) -> Vec<Chart> {
    let marks = Painter::default().paint(history, None).marks.clone();
    let metrics = Plotter::default().plot(history, &marks).clone();
    metrics.charts.iter().map(|chart| Chart::clone(chart)).collect()
}

/// Every sample is what is measured at that instant by replaying up to it.
fn samples_are_true(history: &mut History) {
    let samples = history.samples().clone();
    let keys: Vec<_> = samples.keys().filter(|(_, reporter)| reporter.is_none()).cloned().collect();
    assert!(keys.len() >= 30, "{}", keys.len());
    for number in 0..samples.taken() {
        let instant = Instant(samples.interval().0 * i64::from(number));
        history.seek(instant);
        let measured = measure(history.world());
        for key in &keys {
            let sampled = samples.of(key).find(|(at, _)| *at == instant).and_then(|(_, value)| value);
            assert_eq!(sampled, measured.get(&key.0).map(|(value, _)| *value), "{:?} at {instant}", key.0);
        }
    }
}

#[test]
fn seeking_shows_what_was_sampled() {
    let mut history = open(FAILOVER);
    samples_are_true(&mut history);
    // The chart reads the same before and after going back and forth, and so does the value in it.
    history.seek(Instant::from_secs(20));
    let before = charts(&history);
    let under_replicated = &before[0];
    assert_eq!(under_replicated.about.name, "UnderReplicatedPartitions");
    assert_eq!(under_replicated.value, Some(53));
    assert_eq!(under_replicated.at(Instant::from_secs(12)), Some(0));
    assert_eq!(under_replicated.at(Instant::from_secs(20)), Some(53));
    assert_eq!(under_replicated.at(Instant::from_secs(39)), Some(0), "what comes after is drawn too");
    history.seek(Instant::from_secs(3));
    history.seek(Instant::from_secs(20));
    assert_eq!(charts(&history), before);
}

#[test]
fn another_future_forgets_the_samples_of_the_old_one() {
    let mut history = open(FAILOVER);
    history.seek(Instant::from_millis(7_900));
    act(&mut history, "freeze broker 3").expect("there is a broker 3");
    history.seek(Instant::from_secs(25));
    assert_eq!(history.samples().taken(), 126, "one every 200 ms");
    samples_are_true(&mut history);
}

#[test]
fn a_plotter_that_grows_with_the_history_draws_what_a_fresh_one_draws() {
    let mut history =
        open("cluster brokers=3 controllers=3\ntopic orders\nproducer app\nload app orders rate=5/s for=1h");
    let mut plotter = Plotter::default();
    for step in 1..60 {
        history.seek(Instant::ZERO + Duration::from_millis(310 * step));
        if step == 30 {
            act(&mut history, "kill broker 2").expect("there is a broker 2");
        }
        plotter.plot(&history, &[]);
    }
    history.seek(Instant::from_secs(12));
    let grown: Vec<Chart> = plotter.plot(&history, &[]).charts.iter().map(|chart| Chart::clone(chart)).collect();
    let fresh = charts(&history);
    for (grown, fresh) in grown.iter().zip(&fresh) {
        assert_eq!(grown, fresh);
    }
}

#[test]
fn the_longest_run_costs_no_more_samples_than_the_first_minutes() {
    let mut history = open("cluster brokers=3 controllers=3\ntopic orders\nwait 1s\nkill broker 1\nwait 1h");
    let samples = history.samples();
    assert!((300..=601).contains(&samples.taken()), "{}", samples.taken());
    assert_eq!(samples.interval(), Duration::from_millis(6_400));
    // What stood for a moment only is still seen: the worst of each interval stays.
    let key = (Metric::LeaderCount, None);
    let least = samples.of(&key).filter_map(|(_, value)| value).min();
    let now = at(&mut history, 3_000, Metric::LeaderCount).expect("brokers report");
    assert!(least.is_some_and(|least| least < now), "{least:?} < {now}");
}
