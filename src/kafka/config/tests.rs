use super::setting::{Kind, Setting};
use super::*;

fn configs(text: &str) -> Configs {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').expect("tests write name=value"))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn reasons(errors: Vec<SettingError>) -> Vec<String> {
    errors.iter().map(SettingError::to_string).collect()
}

/// Sets every row to its default and says what came out.
fn with_defaults<C: Default>(table: &[Setting<C>]) -> C {
    let mut config = C::default();
    for row in table {
        assert_eq!(table.iter().filter(|other| other.name == row.name).count(), 1, "{} stands once", row.name);
        assert!(row.meaning.ends_with('.'), "{}: the meaning is a sentence", row.name);
        if row.default != "null" {
            let value = row.parse(row.default).unwrap_or_else(|e| panic!("{}: {e}", row.name));
            (row.set)(&mut config, &value);
        } else if row.kind == Kind::Long || row.kind == Kind::Int {
            // The row takes a number too: setter and kind agree.
            let value = row.parse("7").unwrap_or_else(|e| panic!("{}: {e}", row.name));
            (row.set)(&mut C::default(), &value);
        }
    }
    config
}

#[test]
fn the_defaults_of_the_tables_are_the_defaults_of_the_structs() {
    assert_eq!(with_defaults(topic::TABLE), TopicConfig::default());
    assert_eq!(with_defaults(broker::TABLE), BrokerConfig::default());
    assert_eq!(with_defaults(producer::TABLE), ProducerConfig::default());
    assert_eq!(with_defaults(consumer::TABLE), ConsumerConfig::default());
    assert_eq!(with_defaults(stream::TABLE), StreamConfig::default());
}

#[test]
fn a_value_out_of_range_is_refused_in_kafkas_words() {
    let producer = |text| reasons(ProducerConfig::resolve(&configs(text)).unwrap_err());
    assert_eq!(producer("linger.ms=-1"), ["Invalid value -1 for configuration linger.ms: Value must be at least 0"]);
    assert_eq!(producer("linger.ms=5ms"), ["Invalid value 5ms for configuration linger.ms: Not a number of type LONG"]);
    assert_eq!(producer("acks=2"), ["Invalid value 2 for configuration acks: String must be one of: all, -1, 0, 1"]);
    assert_eq!(
        producer("enable.idempotence=yes"),
        ["Invalid value yes for configuration enable.idempotence: Expected value to be either true or false"]
    );
    assert_eq!(
        validate_topic_config("min.cleanable.dirty.ratio", "1.5"),
        Err("Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1".to_string())
    );
    assert_eq!(
        validate_topic_config("cleanup.policy", "delete,shred"),
        Err("Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete".to_string())
    );
    assert_eq!(
        validate_topic_config("cleanup.policy", "delete,delete"),
        Err("Configuration 'cleanup.policy' values must not be duplicated.".to_string())
    );
    assert!(validate_topic_config("retention.ms", "-2").is_err());
    assert_eq!(validate_topic_config("retention.ms", "-1"), Ok(()));
}

#[test]
fn a_foreign_name_is_told_from_an_unknown_one() {
    assert_eq!(
        validate_topic_config("preallocate", "true"),
        Err("preallocate is a Kafka setting that Highwater does not simulate yet".to_string())
    );
    assert_eq!(
        validate_topic_config("retention.millis", "5"),
        Err("Unknown topic config name: retention.millis".to_string())
    );
    let unknown = ProducerConfig::resolve(&configs("ack=1")).unwrap_err();
    assert_eq!(unknown[0].problem, Problem::Unknown(Scope::Producer));
    let elsewhere = ConsumerConfig::resolve(&configs("group.id=x")).unwrap_err();
    assert!(matches!(elsewhere[0].problem, Problem::WrittenElsewhere(_)));
}

#[test]
fn no_name_is_both_simulated_and_foreign() {
    for scope in [Scope::Topic, Scope::Broker, Scope::Producer, Scope::Consumer, Scope::Stream, Scope::Group] {
        for name in names(scope) {
            assert_eq!(foreign::find(scope, name), None, "{scope} {name}");
        }
    }
}

#[test]
fn idempotence_gives_way_silently_unless_it_was_asked_for() {
    let idempotent = |text| ProducerConfig::resolve(&configs(text)).map(|config| config.idempotence);
    assert_eq!(idempotent(""), Ok(true));
    assert_eq!(idempotent("acks=1"), Ok(false));
    assert_eq!(idempotent("retries=0"), Ok(false));
    assert_eq!(idempotent("enable.idempotence=false max.in.flight.requests.per.connection=9"), Ok(false));
    let refused = |text| reasons(ProducerConfig::resolve(&configs(text)).unwrap_err());
    assert_eq!(
        refused("enable.idempotence=true acks=1"),
        ["Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."]
    );
    assert_eq!(
        refused("enable.idempotence=true retries=0"),
        ["Must set retries to non-zero when using the idempotent producer."]
    );
    // Always, even where acks would have disabled idempotence.
    assert_eq!(
        refused("acks=1 max.in.flight.requests.per.connection=6"),
        ["To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. \
          Current value is 6."]
    );
}

#[test]
fn a_delivery_timeout_that_is_too_short_is_refused_when_set_and_raised_when_not() {
    assert_eq!(
        reasons(ProducerConfig::resolve(&configs("delivery.timeout.ms=1000")).unwrap_err()),
        ["delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"]
    );
    let raised = ProducerConfig::resolve(&configs("request.timeout.ms=200000")).unwrap();
    assert_eq!(raised.delivery_timeout, Duration::from_millis(200_005));
}

#[test]
fn the_consumer_protocol_leaves_session_and_assignor_to_the_broker() {
    let text = "group.protocol=Consumer session.timeout.ms=10000 partition.assignment.strategy=range";
    assert_eq!(
        reasons(ConsumerConfig::resolve(&configs(text)).unwrap_err()),
        ["partition.assignment.strategy, session.timeout.ms cannot be set when group.protocol=CONSUMER"]
    );
    assert_eq!(
        reasons(ConsumerConfig::resolve(&configs("heartbeat.interval.ms=50000")).unwrap_err()),
        ["Heartbeat must be set lower than the session timeout"]
    );
    let short = configs("session.timeout.ms=5000");
    let config = ConsumerConfig::resolve(&short).unwrap();
    assert!(config.check_session(&short, &BrokerConfig::default()).is_err());
}

#[test]
fn assignors_and_reset_policies_are_read_by_name() {
    let read = |text| ConsumerConfig::resolve(&configs(text)).unwrap();
    assert_eq!(read("partition.assignment.strategy=sticky,range").assignors, ["sticky", "range"]);
    let class = "partition.assignment.strategy=org.apache.kafka.clients.consumer.RoundRobinAssignor";
    assert_eq!(read(class).assignors, ["roundrobin"]);
    assert_eq!(read("auto.offset.reset=earliest").offset_reset, OffsetReset::Earliest);
    assert_eq!(
        read("auto.offset.reset=by_duration:PT1H30M2.5S").offset_reset,
        OffsetReset::ByDuration(Duration::from_millis(5_402_500))
    );
    for bad in ["by_duration:PT-1S", "by_duration:1h", "by_duration:P", "by_duration:PT", "EARLIEST", "never"] {
        assert!(ConsumerConfig::resolve(&configs(&format!("auto.offset.reset={bad}"))).is_err(), "{bad}");
    }
}

#[test]
fn a_topics_settings_go_before_the_brokers() {
    let broker = BrokerConfig::resolve(&configs("min.insync.replicas=2 log.retention.hours=1 log.retention.ms=5000"));
    let broker = broker.unwrap();
    let topic = TopicConfig::resolve(&broker, []);
    assert_eq!((topic.min_insync_replicas, topic.retention), (2, Some(Duration::from_secs(5))));
    let topic = TopicConfig::resolve(&broker, [("min.insync.replicas", "3"), ("retention.ms", "-1")]);
    assert_eq!((topic.min_insync_replicas, topic.retention), (3, None));
    let conflict = configs("min.compaction.lag.ms=10 max.compaction.lag.ms=5");
    assert_eq!(
        reasons(validate_topic_configs(&broker, &conflict)),
        ["conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"]
    );
}
