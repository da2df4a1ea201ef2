//! Scripts by chance: well formed ones, and ones with something broken.

use crate::rng::Rng;

/// Every statement and every condition of the reference at least once.
pub const WHOLE_LANGUAGE: &str = r##"# the whole language
cluster brokers=4 controllers=3 seed=7 racks=a,b,c,"d e" log.retention.check.interval.ms=10000 min.insync.replicas=2
topic orders partitions=3 replication-factor=3 min.insync.replicas=2 cleanup.policy=compact,delete
topic payments replica-assignment=1:2:3,2:3:1,3:1:2
producer app acks=all linger.ms=5
producer t transactional.id="my id" enable.idempotence=true
consumer c1 group=billing topics=orders,payments partition.assignment.strategy=range auto.offset.reset=earliest
consumer c9 group="late night" topics=orders group.protocol=consumer
share-consumer s1 group=jobs topics=orders
stream s2 subscribe=orders startingOffsets="{\"orders\":{\"0\":23,\"1\":-1,\"2\":-2}}" maxOffsetsPerTrigger=10 trigger=1s
stream s3 subscribe=orders,payments failOnDataLoss=false kafka.isolation.level=read_committed minPartitions=4
> The leader is about to die.  "quoted" # kept
step "Kill the leader"
send app orders alice=created partition=0 timestamp=1000 header.trace=abc header.null=
send app orders =value
send app orders alice=
send app orders alice=""
send app orders "a b"="c=\"d\" \\ \n \u{1F600}" header.x="y z"
load app orders rate=100/s keys=50 size=1KiB for=10s
begin t
offsets t c1
commit t
abort t
seek c1 orders-0 0
seek c1 orders-1 earliest
seek c1 orders-2 2s
commit c1
pause c1
handle c1 200ms
resume c1
kill stream s2
start stream s2
freeze stream s2
thaw stream s2
kill consumer c1
start consumer c1
close c1
reset-offsets billing orders to=earliest
reset-offsets billing orders shift=-5
reset-offsets billing orders to=7
reset-offsets billing orders to=2s
kill broker 1   # the process
power-off broker leader:orders-0
start broker 1
stop broker follower:orders-0
wipe broker 1
freeze broker coordinator:billing
thaw broker 1
freeze producer app
thaw producer app
kill controller active
start controller c1
freeze controller c1
thaw controller c1
cut 1,c1 | 2,3,c2,c3 | app,client:c1,c9
heal
link 1->2 latency=300ms jitter=50ms loss=20%
link app <-> leader:orders-0 loss=100%
drop next FETCH 2->1
drop next FETCH response 1->2
delay next FETCH 2->1 by=300ms
delay next PRODUCE response leader:orders-0->app by=2s
duplicate next PRODUCE app->1
duplicate next FETCH response 1->2
disk 1 latency=50ms
disk leader:orders-0 latency=0ms
create-partitions orders 6
alter topic orders min.insync.replicas=1 retention.ms= cleanup.policy=""
delete-records orders-0 before=5
elect preferred orders-0
elect unclean orders-0
reassign orders-0 replicas=2,3,4
reassign orders-0 cancel
add broker 5 rack=b
add controller c4
remove controller c3
remove controller active
unregister broker 4
alter broker 1 min.insync.replicas=2 log.retention.ms=
alter brokers message.max.bytes=100000
wait 2s
at 12.345s
until leader orders-0 = 2 within 30s
expect leader orders-0 = none and leader-epoch orders-0 >= 1 or not (isr orders-0 = 2,3)
always isr-size orders-0 >= 2
expect (elr orders-0 = none or replicas orders-0 = 1,2,3) and partition-epoch orders-0 > 0
expect hw orders-0 = 5 and hw orders-0@2 = 4 and leo orders-0@leader:orders-0 <= 5
expect log-start orders-0 != 0 and lso orders-0 < 3 and flushed orders-0@2 = 3 and cleaned orders-0 = none
expect segments orders-0 = 0,5 and segments orders-0@leader:orders-0 != none and producers orders-0 = 1 and log-bytes orders-0@2 > 300
expect offset-of orders-0 max-timestamp = 4 and offset-of orders-0 2s = none and offset-of orders-0 earliest-local = 0
expect offset-of orders-0 earliest = 0 and offset-of orders-0 latest = 5 and records orders-0@2 = created
expect broker 1 = alive or broker leader:orders-0 = shutting-down
expect controller = c2 and controller-epoch >= 2 and quorum-leader != active
expect voters = c1,c2,active and metadata-start c1 = 0 and metadata-end leader:orders-0 > 10
expect snapshot 2 = none or snapshot c4 >= 100 and feature metadata.version = 29
expect state billing = Stable and generation billing = 3 and members billing = 2
expect assigned c1 = orders-0,orders-2 and position c1 orders-0 = none
expect committed billing orders-0 = 3 and lag billing orders-0 = 0 and lag billing = 0
expect acked app = 5 and failed app NOT_ENOUGH_REPLICAS >= 1 and failed app = 1 and pending app = 0
expect transaction t = IN_TRANSACTION and transaction t != FATAL_ERROR and broker coordinator:t = alive
expect delivered c1 orders-0 = 4 and values c1 orders-0 = created,null,"paid, in full","",and
expect checkpoint s2 orders-0 = 23 and batch s2 >= 1 and planned s2 = none and position s2 orders-0 = 23
expect stream s2 = active or stream s2 != failed and assigned s2 = orders-0 and values s2 orders-0 = none
expect partition-of orders "al ice" = 2 and records orders-0 = none
expect lost = 0 and duplicated billing = 0 and reordered = 0 and phantom = 0 and skipped billing = 0
expect diverged = 0 or not not under-replicated = 0 and (under-min-isr=0) and offline=0
ask "Who leads orders-0 next?" answer=leader:orders-0 choices=1,2,3
ask "Is it lost?" answer="no, never" choices=yes,"no, never"
delete topic orders
delete group billing

#
"##;

/// A script of random lines of the reference, with random texts in the places of texts.
pub fn script(rng: &mut Rng) -> String {
    let lines: Vec<&str> = WHOLE_LANGUAGE.lines().collect();
    let mut text = String::new();
    for _ in 0..rng.below(30) {
        let line = match rng.below(8) {
            0 => send(rng),
            1 => format!("expect {}", condition(rng, 4)),
            2 => format!("step {}", crate::scenario::lex::quote(&texts(rng), &['='])),
            3 => format!(
                "load app orders rate={}/s keys=3 size={} for={}ms",
                1 + rng.below(9_999),
                rng.below(99),
                rng.below(99)
            ),
            _ => lines[rng.below(lines.len() as u64) as usize].to_string(),
        };
        text.push_str(&line);
        text.push_str(if rng.percent(10) { " # and so on\n" } else { "\n" });
    }
    text
}

fn send(rng: &mut Rng) -> String {
    let quote = crate::scenario::lex::quote;
    let (key, value, header) = (texts(rng), texts(rng), texts(rng));
    format!("send app orders {}={} header.h={}", quote(&key, &['=']), quote(&value, &[]), quote(&header, &[]))
}

fn texts(rng: &mut Rng) -> String {
    const CHARS: &[char] = &[
        'a', 'b', ' ', '"', '\\', '#', '=', ',', '\n', '\t', 'ä', '😀', '(', ')', '<', '>', '!', '|', ':', '\u{0}',
        '\r', '\u{2028}',
    ];
    (0..1 + rng.below(6)).map(|_| CHARS[rng.below(CHARS.len() as u64) as usize]).collect()
}

fn condition(rng: &mut Rng, depth: u32) -> String {
    let quote = |text: String| crate::scenario::lex::quote(&text, &[',', '(', ')', '=', '!', '<', '>']);
    match rng.below(if depth == 0 { 3 } else { 7 }) {
        0 => format!("isr-size orders-0 {} {}", ["=", "!=", "<", "<=", ">", ">="][rng.below(6) as usize], rng.below(9)),
        1 => format!("records orders-0 = {},{}", quote(texts(rng)), quote(texts(rng))),
        2 => format!("isr orders-{} != {}", rng.below(3), ["none", "1", "2,leader:orders-1"][rng.below(3) as usize]),
        3 => format!("({} and {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        4 => format!("({} or {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        5 => format!("not ({})", condition(rng, depth - 1)),
        _ => format!("{} or {} and {}", condition(rng, 0), condition(rng, depth - 1), condition(rng, 0)),
    }
}

/// A text with a few random changes: characters and lines swapped, lost, doubled or out of place.
pub fn mutate(rng: &mut Rng, text: &str) -> String {
    const BITS: &[&str] = &[
        "\"",
        "\\",
        "=",
        "#",
        ",",
        "(",
        ")",
        "|",
        "->",
        "<->",
        ">",
        "-",
        "99999999999999999999",
        "\u{0}",
        "é",
        "😀",
        " ",
        "\n",
        "not ",
        "none",
        "within",
        "s=",
        "\\u{110000}",
        "c0",
        "c99999999999",
        "@",
        ":",
        "%",
        "-1",
        "\u{feff}",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for _ in 0..1 + rng.below(6) {
        let at = rng.below(lines.len() as u64) as usize;
        let mut chars: Vec<char> = lines[at].chars().collect();
        let place = rng.below(chars.len() as u64 + 1) as usize;
        match rng.below(6) {
            0 => chars.truncate(place),
            1 => drop(chars.drain(..place)),
            2 if place < chars.len() => drop(chars.remove(place)),
            3 => {
                let other = rng.below(lines.len() as u64) as usize;
                lines.swap(at, other);
                continue;
            }
            _ => {
                let bit = BITS[rng.below(BITS.len() as u64) as usize];
                chars.splice(place..place, bit.chars());
            }
        }
        lines[at] = chars.into_iter().collect();
    }
    lines.join("\n")
}
