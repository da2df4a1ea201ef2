//! What is wrong is said with its place, its reason and the nearest valid word.

use crate::scenario::Script;

fn errors(text: &str) -> Vec<String> {
    match Script::read(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The errors of one line after a head that declares the usual names.
fn line(text: &str) -> Vec<String> {
    const HEAD: &str = "cluster brokers=3 controllers=3 seed=1\ntopic orders partitions=3 replication-factor=3\n\
                        producer app\nconsumer c1 group=billing topics=orders\n";
    errors(&format!("{HEAD}{text}")).iter().map(|error| error.replacen("5:", "", 1)).collect()
}

#[test]
fn a_misspelt_word_gets_the_nearest_one() {
    assert_eq!(line("prodcue app"), ["1: unknown verb `prodcue`; did you mean `producer`?"]);
    assert_eq!(line("leader orders-0 = 1"), ["1: unknown verb `leader`; expected `expect`, `until` or `always`"]);
    assert_eq!(
        line("drop next QUUX 1->2"),
        ["11: unknown request `QUUX`; expected one such as `PRODUCE`, `FETCH`, `LIST_OFFSETS` or `METADATA`"]
    );
    assert_eq!(line("expect leder orders-0 = 1"), ["8: unknown condition `leder`; did you mean `leader`?"]);
    assert_eq!(
        line("kill borker 1"),
        ["6: expected `broker`, `controller`, `consumer`, `producer`, `share-consumer` or `stream`, found `borker`; \
         did you mean `broker`?"]
    );
    assert_eq!(line("send app oders a=b"), ["10: unknown topic `oders`; did you mean `orders`?"]);
    assert_eq!(line("drop next FETHC 2->1"), ["11: unknown request `FETHC`; did you mean `FETCH`?"]);
    assert_eq!(line("expect broker 1 = alife"), ["19: unknown broker state `alife`; did you mean `alive`?"]);
    assert_eq!(line("expect state biling = Stable"), ["14: unknown group `biling`; did you mean `billing`?"]);
    assert_eq!(
        line("expect failed app NOT_ENOUGH_REPLICA = 1"),
        ["19: unknown error of Kafka's `NOT_ENOUGH_REPLICA`; did you mean `NOT_ENOUGH_REPLICAS`?"]
    );
    assert_eq!(line("load app orders rat=5/s"), ["17: unknown option `rat`; did you mean `rate`?"]);
}

#[test]
fn settings_are_refused_with_kafkas_reason_and_by_name() {
    assert_eq!(
        line("producer b linger.ms=-1"),
        ["22: Invalid value -1 for configuration linger.ms: Value must be at least 0"]
    );
    assert_eq!(line("producer b lingr.ms=1"), ["12: unknown producer setting `lingr.ms`; did you mean `linger.ms`?"]);
    assert_eq!(
        line("producer b client.dns.lookup=zstd"),
        ["12: client.dns.lookup is a Kafka setting that Highwater does not simulate yet"]
    );
    assert_eq!(
        line("producer b enable.idempotence=true acks=1"),
        [
            "41: Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."
        ]
    );
    assert_eq!(line("topic t partition=3"), ["9: Unknown topic config name: partition; did you mean `partitions`?"]);
    assert_eq!(
        line("topic t preallocate=true min.insync.replicas=0"),
        [
            "9: preallocate is a Kafka setting that Highwater does not simulate yet",
            "46: Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"
        ]
    );
    assert_eq!(
        line("alter topic orders retention.msx="),
        ["20: Unknown topic config name: retention.msx; did you mean `retention.ms`?"]
    );
    assert_eq!(
        line("consumer c2 group=g topics=orders session.timeout.ms=5000"),
        ["54: The session timeout is not within the range allowed by the broker (as configured by \
         group.min.session.timeout.ms and group.max.session.timeout.ms): 5000 is not in 6000..1800000."]
    );
}

#[test]
fn a_share_consumer_is_refused_with_kafkas_reasons() {
    assert_eq!(line("share-consumer s group=g topics=orders share.acknowledgement.mode=explicit"), [""; 0]);
    assert_eq!(
        line("share-consumer s group=g topics=orders auto.offset.reset=earliest"),
        ["58: auto.offset.reset cannot be set when using a share group."]
    );
    assert_eq!(
        line("alter group g share.auto.offset.reset=none"),
        ["39: Invalid value none for configuration share.auto.offset.reset: Invalid value `none` for configuration \
             share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format \
             'by_duration:<PnDTnHnMn.nS.>'."]
    );
}

#[test]
fn a_stream_is_refused_with_sparks_reasons() {
    assert_eq!(line("stream s subscribe=orders startingOffsets=earliest trigger=1s"), [""; 0]);
    assert_eq!(line("stream s"), ["9: expected `subscribe=…`, the topics that it reads, found the end of the line"]);
    assert_eq!(line("stream s subscribe=oders"), ["20: unknown topic `oders`; did you mean `orders`?"]);
    assert_eq!(
        line("stream s subscribe=orders startingOfset=latest"),
        ["27: unknown stream setting `startingOfset`; did you mean `startingOffsets`?"]
    );
    assert_eq!(
        line("stream s subscribe=orders kafka.isolation.leve=read_committed"),
        ["27: unknown stream setting `kafka.isolation.leve`; did you mean `kafka.isolation.level`?"]
    );
    assert_eq!(
        line("stream s subscribe=orders kafka.enable.auto.commit=true"),
        ["52: Kafka option 'enable.auto.commit' is not supported"]
    );
    assert_eq!(
        line("stream s subscribe=orders startingOffsets=first"),
        ["43: Expected e.g. {\"topicA\":{\"0\":23,\"1\":-1},\"topicB\":{\"0\":-2}}, got first"]
    );
    assert_eq!(
        line("stream s subscribe=orders startingOffsets=\"{\\\"orders\\\":{\\\"0\\\":1}}\""),
        ["27: If startingOffsets contains specific offsets, you must specify all TopicPartitions. Use -1 for \
             latest, -2 for earliest. Specified: Set(orders-0) Assigned: Set(orders-0, orders-1, orders-2)"]
    );
    let declared = "stream s subscribe=orders\n";
    for statement in
        ["kill stream s", "freeze stream s", "close s", "expect stream s = failed", "expect batch s = none"]
    {
        assert_eq!(line(&format!("{declared}{statement}")), [""; 0], "{statement}");
    }
    assert_eq!(line("expect stream c1 = active"), ["15: `c1` is a consumer: expected a stream"]);
    assert_eq!(
        line(&format!("{declared}expect stream s = actve")),
        ["6:19: unknown stream state `actve`; did you mean `active`?"]
    );
    assert_eq!(line(&format!("{declared}seek s orders-0 0")), ["6:6: `s` is a stream: expected a consumer"]);
}

#[test]
fn a_transaction_needs_a_transactional_id() {
    let why = "Cannot use transactional methods without enabling transactions by setting the transactional.id \
               configuration property";
    assert_eq!(line("begin app"), [format!("7: {why}")]);
    assert_eq!(line("commit app"), [format!("8: {why}")]);
    assert_eq!(line("abort app"), [format!("7: {why}")]);
    assert_eq!(line("offsets app c1"), [format!("9: {why}")]);
    assert_eq!(line("expect transaction app = READY"), [format!("20: {why}")]);
    let transactional = "producer t transactional.id=x\n";
    for verb in ["begin t", "commit t", "abort t", "offsets t c1", "commit c1", "kill broker coordinator:t"] {
        assert_eq!(line(&format!("{transactional}{verb}")), [""; 0], "{verb}");
    }
    assert_eq!(line(&format!("{transactional}offsets c1 t")).len(), 2);
    assert_eq!(line(&format!("{transactional}begin c1")), ["6:7: `c1` is a consumer: expected a producer"]);
}

#[test]
fn names_are_declared_once_and_before_their_use() {
    assert_eq!(line("topic orders"), ["7: Topic 'orders' already exists."]);
    assert_eq!(line("producer c1"), ["10: `c1` is declared twice: there is a consumer of that name"]);
    assert_eq!(
        errors("send app orders a=b"),
        [
            "1:6: unknown producer `app`: expected `producer` on a line before",
            "1:10: unknown topic `orders`: expected `topic` on a line before",
        ]
    );
    assert_eq!(line("seek app orders-0 5"), ["6: `app` is a producer: expected a consumer"]);
    assert_eq!(line("kill consumer app"), ["15: `app` is a producer: expected a consumer"]);
    assert_eq!(line("send app orders a=b partition=3"), ["31: no partition 3 of `orders`: it has partitions 0 to 2"]);
    assert_eq!(line("expect hw orders-3 = 1"), ["11: no partition 3 of `orders`: it has partitions 0 to 2"]);
    assert_eq!(line("kill broker 4"), ["13: no broker `4`: the cluster has brokers 1,2,3"]);
    assert_eq!(line("kill controller c4"), ["17: no controller `c4`: the cluster has c1,c2,c3"]);
    assert_eq!(line("expect isr orders-0 = 2,9"), ["25: no broker `9`: the cluster has brokers 1,2,3"]);
    assert_eq!(line("cut 1 | ap"), ["9: unknown client `ap`; did you mean `app`?"]);
    assert_eq!(line("add broker 4\nkill broker 4\ncreate-partitions orders 6\nexpect hw orders-5 = 0"), [""; 0]);
    let deleted = "delete topic orders\nexpect leader orders-0 = none\nsend app orders a=b\ntopic orders partitions=1";
    assert_eq!(line(deleted), [""; 0]);
}

#[test]
fn a_client_may_name_any_topic_where_the_script_says_what_happens_then() {
    let cluster = |rest: &str| errors(&format!("cluster auto.create.topics.enable=true\nproducer app\n{rest}"));
    assert_eq!(cluster("send app orders a=b partition=7\nexpect leader orders-0 = none\nseek app orders-0 5").len(), 1);
    assert_eq!(cluster("consumer c1 group=g topics=a,b\nload app c rate=1/s keys=1 size=1 for=1s"), [""; 0]);
    assert_eq!(cluster("consumer c1 group=g topics=orders\ntopic orders partitions=1"), [""; 0]);
    assert_eq!(cluster("stream s1 subscribe=orders\nexpect hw orders-0 = 0"), [""; 0]);
    // What is not asked for by a client, or could not be, is unknown as ever.
    assert_eq!(
        cluster("alter topic orders min.insync.replicas=1"),
        ["3:13: unknown topic `orders`: expected `topic` on a line before"]
    );
    assert_eq!(cluster("send app örders a=b"), ["3:10: unknown topic `örders`: expected `topic` on a line before"]);
    assert_eq!(cluster("topic orders\ntopic orders"), ["4:7: Topic 'orders' already exists."]);
}

#[test]
fn the_cluster_comes_first_and_once() {
    assert_eq!(line("cluster seed=2"), ["1: `cluster` stands only once"]);
    assert_eq!(errors("> A lesson\nwait 1s\ncluster seed=2"), ["3:1: `cluster` is the first statement of a script"]);
    assert_eq!(errors("> A lesson\n\n# said\ncluster seed=2"), [""; 0]);
    assert_eq!(errors("cluster brokers=2 racks=a,b,c"), ["1:25: 3 racks for 2 brokers: expected one for each broker"]);
    assert_eq!(errors("cluster brokers=0"), ["1:17: expected a number of brokers from 1 to 100, found `0`"]);
    assert_eq!(errors("cluster broker.heartbeat.interval.ms=9000").len(), 1);
}

#[test]
fn statements_say_what_they_expect() {
    assert_eq!(line("wait"), ["5: expected a duration such as `40ms`, found the end of the line"]);
    assert_eq!(line("wait 5"), ["6: expected a duration such as `40ms`, `2s` or `5min`, found `5`"]);
    assert_eq!(line("wait 1s 2s"), ["9: expected the end of the line, found `2s`"]);
    assert_eq!(line("send app orders"), ["16: expected a record written `key=value`, found the end of the line"]);
    assert_eq!(
        line("send app orders a=paid in full"),
        [
            "24: expected an option written `name=value`, found `in`; a value with spaces is quoted",
            "27: expected an option written `name=value`, found `full`; a value with spaces is quoted",
        ]
    );
    assert_eq!(line("load app orders rate=1/s rate=2/s"), ["26: `rate` is given twice"]);
    assert_eq!(
        line("until offline = 0"),
        ["18: expected `within` and a duration such as `30s`, found the end of the line"]
    );
    assert_eq!(line("expect isr orders-0 > 1"), ["21: expected `=` or `!=`, the only comparisons of `isr`, found `>`"]);
    assert_eq!(line("expect (offline = 0"), ["20: expected `)`, found the end of the line"]);
    assert_eq!(
        line("expect offline = 0 lost = 0"),
        ["20: expected `and`, `or` or the end of the condition, found `lost`"]
    );
    assert_eq!(line("link 1->1 loss=5%"), ["6: a link is between two different nodes"]);
    assert_eq!(line("link 1->2"), ["10: expected `latency=…`, `jitter=…` or `loss=…`, found the end of the line"]);
    assert_eq!(line("cut 1,2"), ["8: expected `|` and another side, found the end of the line"]);
    assert_eq!(line("cut 1,2 | 2"), ["11: `2` is named twice"]);
    assert_eq!(line("at 3s\nwait 2s\nat 4s"), ["7:4: time never moves backwards: it is 5s here at least"]);
    assert_eq!(line("step \"Kill"), ["6: this quote is never closed: expected `\"` before the end of the line"]);
    assert_eq!(line("ask \"Who?\" answer=4 choices=1,2"), ["32: the answer `4` is none of the choices"]);
    assert_eq!(line("create-partitions orders 3"), ["26: Topic already has 3 partition(s)."]);
    assert_eq!(
        line("topic a/b"),
        [
            "7: Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ]
    );
    assert_eq!(
        line("topic wide replication-factor=4"),
        ["12: Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached \
         because only 3 broker(s) are registered."]
    );
}

#[test]
fn a_name_on_a_line_with_an_error_is_known_all_the_same() {
    let text = "topic orders partitons=3\nproducer app lnger.ms=5\nsend app orders a=b partition=7\n";
    assert_eq!(errors(text).len(), 2);
}

#[test]
fn five_mistakes_are_five_errors() {
    let text = "topic orders partitions=3\nprodcue app\nconsumer c1 group=g topics=order\nwait 5\nkill broker 9\nexpect hw orders-7 = 0\n";
    assert_eq!(errors(text).len(), 5);
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = format!("expect {}offline = 0{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(line(&deep).len(), 1);
    assert_eq!(line(&format!("expect {}offline = 0", "not ".repeat(5_000))).len(), 1);
}
