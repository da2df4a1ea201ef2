//! What there is to see of stream readers: their cards beside the consumer groups, their inspector, and
//! their part of the JSON of the command line.

use serde_json::{Value, json};

use crate::kafka::client::StreamReader;
use crate::kafka::client::stream::checkpoint::{Offsets, as_json};
use crate::sim::World;
use crate::sim::queries::delivered_of;
use crate::view::report::delivered;

/// One query in the JSON of a run. Offsets are as Spark writes them: by topic and partition.
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
