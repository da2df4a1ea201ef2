//! A case from a seed: which cluster, which kinds of fault, what happens when. Not every case has
//! every kind: what is left out lets what remains show itself (swarm testing, Groce and others 2012).

use crate::command::campaign::case::{Case, Fault};
use crate::rng::Rng;
use crate::scenario::{ClientKind, Names, Script, Statement};
use crate::time::{Duration, Instant};

/// A kind of fault, by its word in `--faults`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// A broker's process dies and starts again
    Kill,
    /// A broker's machine loses its power and what it had not flushed
    PowerOff,
    /// A broker is shut down in good order and starts again
    Stop,
    /// A broker pauses
    Freeze,
    /// A broker comes back without its disk
    Wipe,
    /// Sides of the network cannot talk
    Cut,
    /// Links are slow, uneven or lossy
    Link,
    /// One chosen request or response is lost, late or arrives twice
    Drop,
    /// A broker's disk is slow
    Disk,
    /// Controllers die, lose their power, stop or pause
    Controller,
    /// Consumers die, clients pause
    Client,
    /// Preferred leaders are asked for
    Elect,
    /// A replica that is not in sync may be made leader
    Unclean,
    /// Partitions move to other brokers
    Reassign,
    /// Moves of partitions are cancelled. Below min.insync.replicas Kafka's ELR then keeps a broker that
    /// has no replica any more: the partition may stay offline, or elect it when it is empty and back
    Cancel,
    /// No fault, but more to go wrong: a producer has transactions and dies in some, and somebody reads
    /// committed records only
    Transaction,
    /// No fault, but more to go wrong: a share group reads too, and its members do not always accept
    Share,
}

impl Kind {
    /// All but those after which committed records may be gone, or a partition offline, by Kafka's design.
    pub const USUAL: [Kind; 15] = [
        Kind::Kill,
        Kind::PowerOff,
        Kind::Stop,
        Kind::Freeze,
        Kind::Wipe,
        Kind::Cut,
        Kind::Link,
        Kind::Drop,
        Kind::Disk,
        Kind::Controller,
        Kind::Client,
        Kind::Elect,
        Kind::Reassign,
        Kind::Transaction,
        Kind::Share,
    ];
}

/// What a campaign varies around.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kinds of fault to choose from.
    pub kinds: Vec<Kind>,
    /// How much virtual time a case takes: two thirds of it have faults.
    pub budget: Duration,
    /// The lines before the faults and the instant when they are done; `None`: drawn from the seed.
    pub head: Option<(Vec<String>, Instant)>,
}

/// The case of a seed.
pub fn case(plan: &Plan, seed: u64) -> Case {
    let mut draw = Draw(Rng::new(seed ^ 0x6361_6d70_6169_676e));
    let faults_for = Duration(plan.budget.0 / 3 * 2);
    let mut kinds = draw.some_kinds(&plan.kinds);
    let (head, begin) = match &plan.head {
        Some((head, begin)) => (with_seed(head, seed), *begin),
        None => {
            let has = |kind| kinds.contains(&kind);
            let keeps =
                Keeps { transactions: has(Kind::Transaction), share: has(Kind::Share), newer: draw.0.percent(33) };
            if keeps.something() {
                // What a coordinator has forgotten cannot be mended from outside: a transaction stays open
                // for ever, and a member of a group that is not known any more gives up
                // (GROUP_ID_NOT_FOUND). So its disks are kept, and flushed.
                kinds.retain(|kind| *kind != Kind::Wipe);
            }
            let head = draw.head(seed, faults_for, keeps);
            (head, Instant::ZERO + Duration::from_millis(1_500))
        }
    };
    let script = Script::read(&head.join("\n")).expect("the campaign writes scripts that may run");
    let mut timeline = Timeline { names: script.names(), draw, events: Vec::new() };
    let pace = timeline.draw.one_of(&[400, 1_500, 4_000]);
    let mut at = Duration::ZERO;
    while at < faults_for && !kinds.is_empty() {
        let kind = timeline.draw.one_of(&kinds);
        timeline.fault(kind, at);
        at = at + timeline.draw.millis(50, pace * 2);
    }
    let events = timeline.in_order(faults_for);
    let mut last = Duration::ZERO;
    let faults =
        events.into_iter().map(|(at, line)| Fault { after: Duration(at.0 - std::mem::replace(&mut last, at).0), line });
    let faults: Vec<Fault> = faults.collect();
    Case { seed, head, begin, faults, heal_after: Duration(faults_for.0 - last.0), heals: true }
}

/// The lines of a scenario with another seed.
fn with_seed(head: &[String], seed: u64) -> Vec<String> {
    let mut script = Script::read(&head.join("\n")).expect("a scenario is read before a campaign uses it");
    let mut named = false;
    for line in &mut script.lines {
        if let Some(Statement::Cluster(setup)) = &mut line.statement {
            setup.seed = seed;
            named = true;
        }
    }
    let mut lines: Vec<String> = script.print().lines().map(str::to_string).collect();
    if !named {
        lines.insert(0, format!("cluster seed={seed}"));
    }
    lines
}

/// What keeps its state with a coordinator.
#[derive(Clone, Copy)]
struct Keeps {
    transactions: bool,
    share: bool,
    /// The group speaks the consumer protocol.
    newer: bool,
}

impl Keeps {
    fn something(self) -> bool {
        self.transactions || self.share || self.newer
    }
}

struct Draw(Rng);

impl Draw {
    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len() as u64) as usize].clone()
    }

    fn millis(&mut self, low: i64, high: i64) -> Duration {
        Duration::from_millis(self.0.range(low, high))
    }

    /// How long a fault lasts: mostly a moment, sometimes past every timeout.
    fn a_while(&mut self) -> Duration {
        match self.0.below(4) {
            0 => self.millis(20, 800),
            1 | 2 => self.millis(800, 5_000),
            _ => self.millis(5_000, 16_000),
        }
    }

    /// Each kind with one chance in two; one at the least.
    fn some_kinds(&mut self, all: &[Kind]) -> Vec<Kind> {
        let some: Vec<Kind> = all.iter().copied().filter(|_| self.0.percent(50)).collect();
        if some.is_empty() && !all.is_empty() { vec![self.one_of(all)] } else { some }
    }

    /// Three or five brokers; a topic for acks=all and one for acks=1; a group of either protocol that reads
    /// both.
    fn head(&mut self, seed: u64, traffic: Duration, keeps: Keeps) -> Vec<String> {
        let brokers = self.one_of(&[3, 5]);
        let controllers = self.one_of(&[3, 3, 3, 1]);
        let mut cluster = format!("cluster brokers={brokers} controllers={controllers} seed={seed}");
        cluster.push_str(&format!(" replica.lag.time.max.ms={}", self.one_of(&[30_000, 10_000, 2_000])));
        cluster.push_str(&format!(" broker.session.timeout.ms={}", self.one_of(&[9_000, 3_000])));
        cluster.push_str(" offsets.topic.num.partitions=2");
        cluster.push_str(" group.consumer.min.session.timeout.ms=6000 group.consumer.session.timeout.ms=6000");
        if keeps.transactions {
            cluster.push_str(" transaction.state.log.num.partitions=2");
        }
        if keeps.share {
            cluster.push_str(" share.coordinator.state.topic.num.partitions=2 group.share.min.session.timeout.ms=6000");
            cluster.push_str(" group.share.session.timeout.ms=6000 group.share.min.record.lock.duration.ms=1000");
            cluster.push_str(&format!(" group.share.record.lock.duration.ms={}", self.one_of(&[1_000, 5_000, 30_000])));
        }
        if keeps.something() {
            cluster.push_str(" log.flush.interval.messages=1");
        }
        // A JoinGroup whose coordinator lost power is waited for as long as a rebalance may take.
        let classic = "session.timeout.ms=6000 partition.assignment.strategy=";
        let reader = match keeps.newer {
            true => "group.protocol=consumer".to_string(),
            false => format!("{classic}{}", self.one_of(&["range", "range", "cooperative-sticky"])),
        };
        let reader = format!("{reader} max.poll.interval.ms=15000 auto.offset.reset=earliest");
        let replicas = if brokers == 5 { self.one_of(&[3, 5]) } else { 3 };
        let least = if replicas == 5 { self.one_of(&[2, 3]) } else { self.one_of(&[2, 2, 2, 1]) };
        let flush = self.one_of(&["", " flush.messages=1"]);
        let topic = |name: &str, partitions: i32, segment: i64| {
            format!(
                "topic {name} partitions={partitions} replication-factor={replicas} min.insync.replicas={least}{flush} segment.ms={segment}"
            )
        };
        let timeouts = "request.timeout.ms=4000 delivery.timeout.ms=20000";
        let (rate, pause) = (self.one_of(&[5, 15, 30]), self.one_of(&[0, 5, 50]));
        let (partitions, segment) = (self.one_of(&[1, 2]), self.one_of(&[1_000, 5_000, 60_000]));
        let seconds = traffic.millis();
        let mut head = vec![
            cluster,
            topic("orders", partitions, segment),
            topic("clicks", 1, segment),
            format!("producer safe acks=all enable.idempotence=true linger.ms={pause} {timeouts}"),
            format!("producer quick acks=1 enable.idempotence=false linger.ms={pause} {timeouts}"),
            format!("consumer c1 group=readers topics=orders,clicks {reader}"),
            format!("consumer c2 group=readers topics=orders,clicks {reader}"),
            format!("load safe orders rate={rate}/s keys=10 size=40 for={seconds}ms"),
            format!("load quick clicks rate=5/s keys=10 size=40 for={seconds}ms"),
        ];
        if keeps.share {
            let mode = self.one_of(&["", " share.acknowledgement.mode=explicit"]);
            head.push("alter group workers share.auto.offset.reset=earliest".to_string());
            for name in ["s1", "s2"] {
                head.push(format!("share-consumer {name} group=workers topics=orders{mode}"));
            }
        }
        if keeps.transactions {
            head.push(format!("producer pay transactional.id=pay transaction.timeout.ms=6000 {timeouts}"));
            head.push(format!(
                "consumer c3 group=careful topics=orders,clicks isolation.level=read_committed {reader}"
            ));
        }
        head
    }
}

/// The faults with their instants, in no order.
struct Timeline {
    names: Names,
    draw: Draw,
    events: Vec<(Duration, String)>,
}

impl Timeline {
    /// Ended by the healing at the latest; what comes together keeps its order.
    fn in_order(mut self, end: Duration) -> Vec<(Duration, String)> {
        self.events.retain(|(at, _)| *at <= end);
        self.events.sort_by_key(|(at, _)| *at);
        self.events
    }

    fn then(&mut self, at: Duration, line: String) {
        self.events.push((at, line));
    }

    /// A fault and its end.
    fn fault(&mut self, kind: Kind, at: Duration) {
        let end = at + self.draw.a_while();
        match kind {
            Kind::Kill => self.pair(at, end, "kill broker", "start broker"),
            Kind::PowerOff => self.pair(at, end, "power-off broker", "start broker"),
            Kind::Stop => self.pair(at, end + Duration::from_millis(1_000), "stop broker", "start broker"),
            Kind::Freeze => self.pair(at, end, "freeze broker", "thaw broker"),
            Kind::Wipe => {
                let broker = self.broker();
                let down = self.draw.one_of(&["kill", "power-off"]);
                self.then(at, format!("{down} broker {broker}"));
                self.then(at + Duration::from_millis(10), format!("wipe broker {broker}"));
                self.then(end + Duration::from_millis(20), format!("start broker {broker}"));
            }
            Kind::Cut => {
                let line = self.cut();
                self.then(at, line);
                self.then(end, "heal".to_string());
            }
            Kind::Link => {
                let line = self.link();
                self.then(at, line);
                if self.draw.0.percent(60) {
                    self.then(end, "heal".to_string());
                }
            }
            Kind::Drop => {
                let line = self.mishap();
                self.then(at, line);
            }
            Kind::Disk => {
                let (broker, latency) = (self.broker(), self.draw.one_of(&[2, 50, 400]));
                self.then(at, format!("disk {broker} latency={latency}ms"));
                self.then(end, format!("disk {broker} latency=0ms"));
            }
            Kind::Controller => {
                let controller = format!("controller {}", self.controller());
                let ways = [("kill", "start"), ("power-off", "start"), ("freeze", "thaw"), ("stop", "start")];
                let (down, up) = self.draw.one_of(&ways);
                self.then(at, format!("{down} {controller}"));
                self.then(end, format!("{up} {controller}"));
            }
            Kind::Client => self.client(at, end),
            Kind::Elect => {
                let partition = self.partition();
                self.then(at, format!("elect preferred {partition}"));
            }
            Kind::Unclean => {
                let partition = self.partition();
                self.then(at, format!("elect unclean {partition}"));
            }
            Kind::Reassign => {
                let line = self.reassign();
                self.then(at, line);
            }
            Kind::Cancel => {
                let (line, partition) = (self.reassign(), self.partition());
                self.then(at, line);
                self.then(end, format!("reassign {partition} cancel"));
            }
            Kind::Transaction => self.transaction(at, end),
            Kind::Share => self.share(at, end),
        }
    }

    /// Calls that the state of the producer does not allow are refused, which is part of the game.
    fn transaction(&mut self, at: Duration, end: Duration) {
        let Some(producer) = self.names.transactional.iter().next().cloned() else { return };
        let consumers: Vec<String> = self.names.clients_of(ClientKind::Consumer).map(str::to_string).collect();
        self.then(at, format!("abort {producer}"));
        self.then(at, format!("begin {producer}"));
        for count in 0..self.draw.0.below(4) {
            let partition = self.partition();
            let (topic, number) = partition.rsplit_once('-').unwrap_or((&partition, "0"));
            let at = at + Duration::from_millis(count as i64 * 7);
            self.then(at, format!("send {producer} {topic} k{count}=v partition={number}"));
        }
        if !consumers.is_empty() && self.draw.0.percent(50) {
            let consumer = self.draw.one_of(&consumers);
            self.then(at + Duration::from_millis(22), format!("offsets {producer} {consumer}"));
        }
        let soon = at + self.draw.millis(25, 400);
        let decides = if self.draw.0.percent(70) { soon } else { end };
        let verb = self.draw.one_of(&["commit", "commit", "commit", "abort"]);
        self.then(decides, format!("{verb} {producer}"));
        if self.draw.0.percent(25) {
            self.then(decides, format!("kill producer {producer}"));
            let back = decides + self.draw.millis(1, 3_000);
            self.then(back, format!("start producer {producer}"));
        }
    }

    /// A member says what became of what it holds, or dies with it.
    fn share(&mut self, at: Duration, end: Duration) {
        let members: Vec<String> = self.names.clients_of(ClientKind::ShareConsumer).map(str::to_string).collect();
        if members.is_empty() {
            return;
        }
        let member = self.draw.one_of(&members);
        if self.draw.0.percent(30) {
            self.then(at, format!("kill share-consumer {member}"));
            return self.then(end, format!("start share-consumer {member}"));
        }
        let mut at = at;
        for _ in 0..self.draw.0.below(6) {
            let (member, kind) =
                (self.draw.one_of(&members), self.draw.one_of(&["accept", "accept", "release", "reject"]));
            self.then(at, format!("acknowledge {member} {kind}"));
            self.then(at, format!("commit {member}"));
            at = at + self.draw.millis(10, 900);
        }
    }

    fn pair(&mut self, at: Duration, end: Duration, down: &str, up: &str) {
        // A role hits where it hurts most, a number hits somebody; its end is found by the number.
        let broker = self.broker();
        if self.draw.0.percent(40) {
            let partition = self.partition();
            self.then(at, format!("{down} leader:{partition}"));
            let brokers: Vec<i32> = self.names.brokers.iter().copied().collect();
            for broker in brokers {
                self.then(end, format!("{up} {broker}"));
            }
            return;
        }
        self.then(at, format!("{down} {broker}"));
        self.then(end, format!("{up} {broker}"));
    }

    fn broker(&mut self) -> i32 {
        let brokers: Vec<i32> = self.names.brokers.iter().copied().collect();
        self.draw.one_of(&brokers)
    }

    fn controller(&mut self) -> String {
        let controllers: Vec<i32> = self.names.controllers.iter().copied().collect();
        if self.draw.0.percent(40) && controllers.len() > 1 {
            // The number: what is active then cannot be known here.
            return format!("c{}", self.draw.one_of(&controllers));
        }
        format!("c{}", controllers[0])
    }

    fn partition(&mut self) -> String {
        let topics: Vec<(String, i32)> =
            self.names.topics.iter().filter_map(|(name, count)| Some((name.clone(), (*count)?))).collect();
        if topics.is_empty() {
            return "__consumer_offsets-0".to_string();
        }
        let (topic, count) = self.draw.one_of(&topics);
        format!("{topic}-{}", self.draw.0.below(count as u64))
    }

    /// Any node by the name that `cut`, `link` and `drop` use.
    fn nodes(&self) -> Vec<String> {
        let brokers = self.names.brokers.iter().map(|broker| broker.to_string());
        brokers.chain(self.names.controllers.iter().map(|controller| format!("c{controller}"))).collect()
    }

    fn clients(&self) -> Vec<String> {
        self.names.clients.keys().map(|name| format!("client:{name}")).collect()
    }

    /// Two sides, or three; sometimes only a broker and the controllers, or a broker and its peers.
    fn cut(&mut self) -> String {
        let mut nodes = self.nodes();
        if self.draw.0.percent(30) {
            nodes.extend(self.clients());
        }
        let brokers: Vec<String> = self.names.brokers.iter().map(|broker| broker.to_string()).collect();
        let controllers: Vec<String> = self.names.controllers.iter().map(|c| format!("c{c}")).collect();
        let one = self.draw.one_of(&brokers);
        let others = || brokers.iter().filter(|broker| **broker != one).cloned().collect::<Vec<_>>();
        let mut sides = match self.draw.0.below(4) {
            0 => vec![vec![one.clone()], controllers],
            1 => vec![vec![one.clone()], others()],
            2 => vec![vec![one.clone()], nodes.iter().filter(|node| **node != one).cloned().collect()],
            _ => {
                let mut sides = vec![Vec::new(), Vec::new(), Vec::new()];
                let count = self.draw.one_of(&[2, 2, 3]);
                for node in nodes {
                    sides[self.draw.0.below(count) as usize].push(node);
                }
                sides
            }
        };
        sides.retain(|side| !side.is_empty());
        if sides.len() < 2 {
            return "heal".to_string();
        }
        let sides: Vec<String> = sides.iter().map(|side| side.join(",")).collect();
        format!("cut {}", sides.join(" | "))
    }

    fn link(&mut self) -> String {
        let mut nodes = self.nodes();
        nodes.extend(self.clients());
        let from = self.draw.one_of(&nodes);
        nodes.retain(|node| *node != from);
        let to = self.draw.one_of(&nodes);
        let arrow = self.draw.one_of(&["->", "<->"]);
        let latency = self.draw.one_of(&[1, 20, 150, 600, 2_500]);
        let jitter = self.draw.one_of(&[0, 10, 300]);
        let loss = self.draw.one_of(&[0, 0, 10, 40]);
        format!("link {from}{arrow}{to} latency={latency}ms jitter={jitter}ms loss={loss}%")
    }

    fn mishap(&mut self) -> String {
        let broker = self.broker();
        let mut other = self.broker();
        if other == broker {
            other = self.names.brokers.iter().copied().find(|other| *other != broker).unwrap_or(broker);
        }
        let controller = self.controller();
        let producers: Vec<String> = self.names.clients_of(ClientKind::Producer).map(str::to_string).collect();
        let consumers: Vec<String> = self.names.clients_of(ClientKind::Consumer).map(str::to_string).collect();
        let response = self.draw.0.percent(60);
        let (api, from, to) = match self.draw.0.below(6) {
            0 if other != broker => ("FETCH", broker.to_string(), other.to_string()),
            1 => ("FETCH", broker.to_string(), controller),
            2 if !producers.is_empty() => {
                ("PRODUCE", format!("client:{}", self.draw.one_of(&producers)), broker.to_string())
            }
            3 if !consumers.is_empty() => {
                let api = self.draw.one_of(&["OFFSET_COMMIT", "JOIN_GROUP", "SYNC_GROUP", "HEARTBEAT", "FETCH"]);
                (api, format!("client:{}", self.draw.one_of(&consumers)), broker.to_string())
            }
            4 => ("BROKER_HEARTBEAT", broker.to_string(), controller),
            _ => ("ALTER_PARTITION", broker.to_string(), controller),
        };
        let mishaps = [
            ("drop", ""),
            ("drop", ""),
            ("duplicate", ""),
            ("delay", " by=80ms"),
            ("delay", " by=1500ms"),
            ("delay", " by=9s"),
        ];
        let (verb, by) = self.draw.one_of(&mishaps);
        let message = if response { format!("{api} response {to}->{from}") } else { format!("{api} {from}->{to}") };
        format!("{verb} next {message}{by}")
    }

    fn client(&mut self, at: Duration, end: Duration) {
        let clients: Vec<(String, ClientKind)> =
            self.names.clients.iter().map(|(name, kind)| (name.clone(), *kind)).collect();
        if clients.is_empty() {
            return;
        }
        let (name, kind) = self.draw.one_of(&clients);
        let kills = kind == ClientKind::Consumer && self.draw.0.percent(50);
        let (down, up) = if kills { ("kill", "start") } else { ("freeze", "thaw") };
        self.then(at, format!("{down} {} {name}", kind.word()));
        self.then(end, format!("{up} {} {name}", kind.word()));
    }

    fn reassign(&mut self) -> String {
        let partition = self.partition();
        let mut brokers: Vec<i32> = self.names.brokers.iter().copied().collect();
        let mut replicas = Vec::new();
        for _ in 0..brokers.len().min(3) {
            let place = self.draw.0.below(brokers.len() as u64) as usize;
            replicas.push(brokers.remove(place).to_string());
        }
        format!("reassign {partition} replicas={}", replicas.join(","))
    }
}
