//! A producer or a consumer in the inspector.

use crate::kafka::client::Consumer;
use crate::kafka::client::producer::Producer;
use crate::sim::World;
use crate::view::inspect::groups::lag_section;
use crate::view::inspect::{Inspection, Row, Section, application, or_none, partitions, section};
use crate::wire::str_bytes;

pub(super) fn producer(world: &World, name: &str) -> Option<Inspection> {
    let producer = world.producer(name)?;
    let config = producer.config();
    let identity = producer.identity();
    let mut counts = vec![
        ("sent", producer.sent().to_string()),
        ("acknowledged", producer.acked().to_string()),
        ("pending", producer.pending().to_string()),
        ("failed", producer.failed().values().sum::<u64>().to_string()),
    ];
    if producer.rejected() > 0 {
        counts.push(("not sent: send() threw an exception", producer.rejected().to_string()));
    }
    let counts = section("Records", counts);
    let failures = Section { title: "Failed with".to_string(), rows: failures(producer) };
    let settings = section(
        "Settings",
        vec![
            ("acks", if config.acks == -1 { "all".to_string() } else { config.acks.to_string() }),
            ("enable.idempotence", config.idempotence.to_string()),
            ("linger.ms", config.linger.millis().to_string()),
            ("batch.size", config.batch_size.to_string()),
            ("max.in.flight.requests.per.connection", config.max_in_flight.to_string()),
            ("delivery.timeout.ms", config.delivery_timeout.millis().to_string()),
        ],
    );
    let identity = section(
        "Idempotence",
        vec![
            ("producer id", or_none(identity.map(|identity| identity.id.0))),
            ("producer epoch", or_none(identity.map(|identity| identity.epoch))),
        ],
    );
    let mut sections = vec![counts, failures, identity, settings];
    if let Some(id) = producer.transactional_id() {
        let standing = producer.transaction();
        let error = standing.and_then(|(_, error)| error).map(crate::kafka::fact::error_name);
        let transactions = vec![
            ("transactional.id", id.to_string()),
            ("state", standing.map_or("not running", |(state, _)| state.name()).to_string()),
            ("error", or_none(error)),
            ("coordinator", or_none(world.transaction_coordinator(id).map(|broker| broker.0))),
            ("transaction.timeout.ms", config.transaction_timeout.millis().to_string()),
        ];
        sections.insert(1, section("Transaction", transactions));
    }
    Some(Inspection::new(format!("Producer {name}"), sections))
}

/// Each error with how many records it took.
fn failures(producer: &Producer) -> Vec<Row> {
    let name = |code: i16| crate::wire::error(code).map_or("none".to_string(), crate::kafka::fact::error_name);
    producer.failed().iter().map(|(code, count)| Row::new(name(*code), count.to_string())).collect()
}

pub(super) fn consumer(world: &World, name: &str) -> Option<Inspection> {
    let consumer = world.consumer(name)?;
    let config = consumer.config();
    let modern = config.consumer_protocol;
    let mut rows = vec![
        ("group", consumer.group().to_string()),
        ("protocol", if modern { "consumer" } else { "classic" }.to_string()),
        ("member id", or_none(consumer.member_id())),
        (if modern { "member epoch" } else { "generation" }, or_none(consumer.generation())),
        ("assignment", partitions(&consumer.assignment())),
    ];
    if let Some(target) = target_of(world, consumer) {
        rows.push(("target", target));
    }
    rows.push(("records delivered", consumer.delivered_count().to_string()));
    rows.push(("application", application(consumer.busy_until(world.now))));
    let member = section("Membership", rows);
    let positions = Section {
        title: "Positions".to_string(),
        rows: consumer
            .positions()
            .iter()
            .map(|(partition, offset)| {
                let committed = or_none(world.committed(consumer.group(), partition));
                Row::new(partition.to_string(), format!("position {offset}, committed {committed}"))
            })
            .collect(),
    };
    let lag = lag_section(world, consumer.group(), &consumer.assignment());
    let mut settings = vec![
        ("enable.auto.commit", config.auto_commit.to_string()),
        ("auto.commit.interval.ms", config.auto_commit_interval.millis().to_string()),
        ("fetch.max.wait.ms", config.fetch_max_wait.millis().to_string()),
    ];
    if modern {
        // Its session and its heartbeats are the coordinator's to say.
        settings.push(("max.poll.interval.ms", config.max_poll_interval.millis().to_string()));
    } else {
        settings.push(("session.timeout.ms", config.session_timeout.millis().to_string()));
        settings.push(("heartbeat.interval.ms", config.heartbeat_interval.millis().to_string()));
    }
    let settings = section("Settings", settings);
    Some(Inspection::new(format!("Consumer {name}"), vec![member, positions, lag, settings]))
}

/// What the coordinator wants the member to have, in a group of the consumer protocol.
fn target_of(world: &World, consumer: &Consumer) -> Option<String> {
    let group = world.consumer_group(consumer.group())?;
    let target = group.targets.get(&str_bytes(consumer.member_id()?))?;
    Some(partitions(&crate::kafka::group::consumer::named(target, world.image())))
}
