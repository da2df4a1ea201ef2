//! What there is to see of stream readers: their cards beside the consumer groups, their inspector, and
//! their part of the JSON of the command line.

use std::ops::Range;

use serde::Serialize;
use serde_json::{Value, json};

use crate::kafka::client::StreamReader;
use crate::kafka::client::stream::checkpoint::{Offsets, as_json};
use crate::kafka::config::{Place, Starting, StreamConfig};
use crate::sim::queries::{Delivered, Reader, StreamCondition, delivered_of};
use crate::sim::{Member, World};
use crate::view::cards::{AGAIN_WITHIN, ConsumerPartition, DeliveredRecord, Look, SHOWN, reading, recently, some_of};
use crate::view::inspect::{Inspection, Row, Section, or_none, section};
use crate::view::replicas::Replicas;
use crate::view::report::delivered;
use crate::wire::{Offset, TopicPartition};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamCard {
    pub name: String,
    /// `active`, `failed`, `dead`, `frozen`.
    pub state: &'static str,
    pub running: bool,
    pub frozen: bool,
    /// What it does in a few words.
    pub activity: &'static str,
    /// Why the query ended, if it failed.
    pub failure: Option<String>,
    /// The last batch that is done, and the one that is planned.
    pub done: Option<u64>,
    pub planned: Option<u64>,
    /// How far it is in each partition; `committed` is what the checkpoint says. Of many, those whose rows
    /// are near, or else the first.
    pub partitions: Vec<ConsumerPartition>,
    pub more: u32,
    /// Of all partitions together.
    pub lag: i64,
    pub delivered: u64,
    /// The newest records given to the sink, oldest first; at most eight.
    pub recent: Vec<DeliveredRecord>,
}

/// Every stream reader; of those that read many partitions, those in `near` are told.
pub fn cards(world: &World, found: &Replicas<'_>, near: &Range<usize>) -> Vec<StreamCard> {
    world.streams().map(|(name, member, stream)| card(world, found, near, (name, member, stream))).collect()
}

fn card(
    world: &World,
    found: &Replicas<'_>,
    near: &Range<usize>,
    (name, member, stream): (&str, &Member, &StreamReader),
) -> StreamCard {
    let state = world.stream_condition(name).unwrap_or(StreamCondition::Dead);
    let checkpoint = stream.checkpoint();
    let start = checkpoint.start().cloned().unwrap_or_default();
    let positions = stream.positions();
    let committed: Vec<(&TopicPartition, Offset)> = start.iter().map(|(tp, offset)| (tp, *offset)).collect();
    let look = Look { world, found, near, committed: &committed };
    let held: Vec<(&TopicPartition, Option<i64>)> =
        start.keys().map(|tp| (tp, positions.get(tp).map(|offset| offset.0))).collect();
    let (shown, more) = some_of(&look, &held);
    StreamCard {
        name: name.to_string(),
        state: state.word(),
        running: stream.is_running(),
        frozen: member.frozen,
        activity: if member.frozen { "frozen" } else { stream.activity() },
        failure: stream.failure().map(str::to_string),
        done: checkpoint.done().map(|batch| batch.0),
        planned: checkpoint.planned().map(|_| checkpoint.next().0),
        partitions: shown.into_iter().map(|(partition, position)| reading(&look, partition, position)).collect(),
        more,
        lag: committed.iter().map(|(partition, offset)| look.lag(partition, offset.0)).sum(),
        delivered: stream.sink().count(),
        recent: recent(stream),
    }
}

fn recent(stream: &StreamReader) -> Vec<DeliveredRecord> {
    // Where nothing was ever given to the sink twice, nothing needs to be looked through.
    let within = if stream.sink().again() > 0 { AGAIN_WITHIN } else { 0 };
    let earlier: Vec<_> = stream.sink().given().backwards().take(within).map(|given| given.records).collect();
    let again = |record: &Delivered| {
        let holds = |b: &&crate::kafka::client::DeliveredBatch| {
            b.partition == record.partition && (b.first..=b.last).contains(&record.offset)
        };
        earlier.iter().filter(holds).count() > 1
    };
    let records = Reader::Stream(stream).records(Some(SHOWN as u64));
    records.iter().map(|record| recently(record, again(record))).collect()
}

pub fn inspect(world: &World, name: &str) -> Option<Inspection> {
    let stream = world.stream(name)?;
    let (checkpoint, sink) = (stream.checkpoint(), stream.sink());
    let mut query = vec![
        ("state", world.stream_condition(name)?.word().to_string()),
        ("does", stream.activity().to_string()),
        ("batch done", or_none(checkpoint.done())),
        ("batch planned", or_none(checkpoint.planned().map(|_| checkpoint.next()))),
        ("tasks", or_none(stream.tasks())),
        ("records given to the sink", sink.count().to_string()),
        ("of them again", sink.again().to_string()),
        ("offsets passed over", stream.passed_over().to_string()),
    ];
    if let Some(failure) = stream.failure() {
        query.insert(1, ("failure", failure.to_string()));
    }
    let written = vec![
        ("checkpoint", or_none(checkpoint.start().map(as_json))),
        ("planned end", or_none(checkpoint.planned().map(as_json))),
    ];
    let latest = stream.latest();
    let position = |(partition, offset): (&TopicPartition, &Offset)| {
        let latest = or_none(latest.and_then(|latest| latest.get(partition)));
        Row::new(partition.to_string(), format!("position {offset}, latest {latest} at the last trigger"))
    };
    let positions = Section { title: "Positions".to_string(), rows: stream.positions().iter().map(position).collect() };
    let topics: Vec<&str> = stream.topics().iter().map(|topic| topic.0.as_str()).collect();
    let mut options = vec![("subscribe", topics.join(","))];
    options.extend(options_of(stream.config()));
    let sections =
        vec![section("Query", query), section("Checkpoint", written), positions, section("Options", options)];
    Some(Inspection::new(format!("Stream {name}"), sections))
}

fn options_of(config: &StreamConfig) -> Vec<(&'static str, String)> {
    let isolation = if config.consumer.read_committed { "read_committed" } else { "read_uncommitted" };
    vec![
        ("startingOffsets", starting(&config.starting)),
        ("trigger", config.trigger.to_string()),
        ("maxOffsetsPerTrigger", or_none(config.max_offsets_per_trigger)),
        ("minOffsetsPerTrigger", or_none(config.min_offsets_per_trigger)),
        ("minPartitions", or_none(config.min_partitions)),
        ("failOnDataLoss", config.fail_on_data_loss.to_string()),
        ("kafka.isolation.level", isolation.to_string()),
    ]
}

/// As it is written.
fn starting(starting: &Starting) -> String {
    match starting {
        Starting::Earliest => "earliest".to_string(),
        Starting::Latest => "latest".to_string(),
        Starting::Each(places) => {
            let number = |place: &Place| match place {
                Place::Earliest => Offset(-2),
                Place::Latest => Offset(-1),
                Place::At(offset) => *offset,
            };
            as_json(&places.iter().map(|(partition, place)| (partition.clone(), number(place))).collect())
        }
    }
}

/// One query in the JSON of a run, under `streams`. Offsets are as Spark writes them, by topic and partition:
/// `checkpoint` is where the next batch begins, `batch` the last one that is done, `planned` the one that is
/// written down and not done; `null` where there is none. `delivered` is what the sink was given, each record
/// with its batch, also again; `delivered_again` counts those of batches that were run again, `passed_over` the
/// offsets whose records were gone.
pub fn report(world: &World, name: &str, stream: &StreamReader, brief: bool) -> Value {
    let checkpoint = stream.checkpoint();
    let mut value = json!({
        "name": name,
        "state": world.stream_condition(name).map(|state| state.word()),
        "failure": stream.failure(),
        "subscribe": stream.topics().iter().map(|topic| topic.0.as_str()).collect::<Vec<_>>(),
        "batch": checkpoint.done().map(|batch| batch.0),
        "checkpoint": checkpoint.start().map(by_topic),
        "planned": checkpoint.planned().map(|end| json!({ "batch": checkpoint.next().0, "end": by_topic(end) })),
        "positions": by_topic(&stream.positions()),
        "delivered_again": stream.sink().again(),
        "passed_over": stream.passed_over(),
    });
    if !brief {
        let given = stream.sink().given().iter().flat_map(|given| {
            let of = &given.records;
            let records = delivered_of(&of.partition, &of.records, of.first, of.last);
            let with_batch = move |record| {
                let mut value = delivered(&record);
                value["batch"] = json!(given.batch.0);
                value
            };
            records.into_iter().map(with_batch).collect::<Vec<_>>()
        });
        value["delivered"] = Value::Array(given.collect());
    }
    value
}

fn by_topic(offsets: &Offsets) -> Value {
    serde_json::from_str(&as_json(offsets)).unwrap_or(Value::Null)
}
