//! How fast the engine is, measured by Criterion: `cargo xtask bench`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use highwater::history::{History, Run};
use highwater::rng::Rng;
use highwater::scenario::script::Script;
use highwater::time::{Duration, Instant};

/// Records that cross the whole way: 50,000 a second and partition for two seconds.
const RECORDS: u64 = 300_000;
/// How long the idle cluster is left alone.
const IDLE: Duration = Duration::from_secs(60);
/// How long the history is that is sought in.
const HISTORY: Duration = Duration::from_secs(600);

const CLUSTER: &str = "cluster brokers=3 controllers=3\ntopic orders partitions=3 replication-factor=3\n";
const GROUP: &str = "consumer c1 group=billing topics=orders auto.offset.reset=earliest\n";

fn script(text: &str) -> Arc<Script> {
    Arc::new(Script::read(text).unwrap_or_else(|errors| panic!("{errors:?}")))
}

/// Carries out the whole script and says how many records its consumer got.
fn delivered(script: Arc<Script>) -> u64 {
    let mut run = Run::start(script, None).expect("the cluster settles");
    run.finish(None, |_, _| {});
    run.world.consumers().map(|(_, _, consumer)| consumer.delivered_count()).sum()
}

/// Produce → replicate to three → consume, values of 100 bytes.
fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records through three replicas to a consumer");
    group.sample_size(10).throughput(Throughput::Elements(RECORDS));
    for acks in ["1", "all"] {
        let traffic = format!("producer app acks={acks}\nload app orders rate=150000/s keys=50 size=100 for=2s\n");
        let script = script(&format!("{CLUSTER}{GROUP}{traffic}wait 15s\n"));
        assert_eq!(delivered(script.clone()), RECORDS, "every record arrives");
        group.bench_function(format!("acks={acks}"), |bench| bench.iter(|| delivered(script.clone())));
    }
    group.finish();
}

/// The default cluster with an idle group: virtual seconds a second.
fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("virtual seconds of an idle cluster");
    group.throughput(Throughput::Elements(IDLE.0 as u64 / 1_000_000));
    let mut settled =
        Run::start(script(&format!("{CLUSTER}producer app\n{GROUP}wait 10s\n")), None).expect("it settles");
    settled.finish(None, |_, _| {});
    let end = settled.now() + IDLE;
    let run = |mut run: Run| {
        while run.advance(end).is_some() {}
        run
    };
    group.bench_function("3 brokers, 3 controllers", |bench| {
        bench.iter_batched(|| settled.clone(), run, BatchSize::LargeInput)
    });
    group.finish();
}

/// To a random instant of ten minutes of light traffic.
fn seek(criterion: &mut Criterion) {
    let traffic = "producer app\nload app orders rate=5/s keys=6 size=12 for=10min\nwait 10min\n";
    let mut history = History::open(script(&format!("{CLUSTER}{GROUP}{traffic}"))).expect("the cluster settles");
    history.finish_script();
    let mut draw = Rng::new(1);
    criterion.bench_function("seek to a random instant of 10 minutes", |bench| {
        bench.iter(|| {
            history.seek(Instant(draw.range(0, HISTORY.0)));
            black_box(history.position())
        })
    });
}

criterion_group!(engine, records, idle, seek);
criterion_main!(engine);
