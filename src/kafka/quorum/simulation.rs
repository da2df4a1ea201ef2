//! A few nodes of a quorum in virtual time, with delays, crashes and cuts: what must hold whatever
//! happens, and what must come about once the faults stop.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Effects, Turn};
use crate::kafka::quorum::{Quorum, QuorumDisk, QuorumRole, directory_id};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::messages::{AddRaftVoterRequest, RemoveRaftVoterRequest};
use crate::wire::{ApiKey, Body, ControllerId, Correlation, Envelope, LeaderEpoch, NodeId, Offset, Request, Response};

/// What a node was handed as committed: base offset, last offset, epoch and checksum of each batch.
type Committed = Vec<(Offset, Offset, LeaderEpoch, u32)>;

struct Member {
    disk: QuorumDisk,
    /// `None` while the process is down.
    process: Option<Quorum>,
    committed: Committed,
    /// The largest high watermark of this process.
    high_watermark: Offset,
}

struct World {
    now: Instant,
    members: BTreeMap<NodeId, Member>,
    voters: Vec<ControllerId>,
    effects: Effects,
    /// The world's own draws: delays and faults.
    rng: Rng,
    /// Messages on their way by arrival; `None` for the news that a connection broke.
    network: BTreeMap<(Instant, u64), (NodeId, NodeId, Option<Envelope>)>,
    sent: u64,
    /// Pairs that do not reach each other.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Who was elected in which epoch.
    leaders: BTreeMap<LeaderEpoch, ControllerId>,
    facts: Vec<(Instant, Fact)>,
    next_no_op: Instant,
    /// How many requests were sent of each kind.
    requests: BTreeMap<ApiKey, u64>,
    /// The longest that any node was handed.
    agreed: Committed,
}

impl World {
    /// The voters are configured (kraft.version 0).
    fn new(seed: u64, controllers: i32, brokers: i32) -> World {
        World::formatted(seed, controllers, 0, brokers, 0)
    }

    /// With kraft.version 1 the voters stand in the log; `observers` are controllers that could join.
    fn formatted(seed: u64, controllers: i32, observers: i32, brokers: i32, kraft_version: i16) -> World {
        let voters: Vec<ControllerId> = (1..=controllers).map(ControllerId).collect();
        let mut world = World {
            now: Instant::ZERO,
            members: BTreeMap::new(),
            voters: voters.clone(),
            effects: Effects::new(seed),
            rng: Rng::new(seed ^ 0x5eed),
            network: BTreeMap::new(),
            sent: 0,
            cut: BTreeSet::new(),
            leaders: BTreeMap::new(),
            facts: Vec::new(),
            next_no_op: Instant::ZERO,
            requests: BTreeMap::new(),
            agreed: Vec::new(),
        };
        let all = (1..=controllers + observers).map(NodeId::controller);
        for node in all.chain((1..=brokers).map(NodeId::broker)).collect::<Vec<_>>() {
            let votes = matches!(node, NodeId::Controller(id) if voters.contains(&id));
            let disk = QuorumDisk::formatted(kraft_version, if votes { &voters } else { &[] });
            let member = Member { disk, process: None, committed: Vec::new(), high_watermark: Offset::ZERO };
            world.members.insert(node, member);
            world.start(node);
        }
        world
    }

    fn start(&mut self, node: NodeId) {
        let member = self.members.get_mut(&node).expect("a member");
        member.committed.clear();
        member.high_watermark = Offset::ZERO;
        let mut turn = Turn::new(self.now, &mut self.effects);
        let config = BrokerConfig::default();
        member.process = Some(Quorum::start(node, &self.voters, &config, &mut member.disk, &mut turn));
        self.after(node);
    }

    /// Kills the process; who waits for it notices.
    fn kill(&mut self, node: NodeId) {
        self.members.get_mut(&node).expect("a member").process = None;
        let others: Vec<NodeId> = self.members.keys().copied().filter(|other| *other != node).collect();
        for other in others {
            self.tell_broken(other, node);
        }
    }

    fn power_off(&mut self, node: NodeId) {
        self.kill(node);
        self.members.get_mut(&node).expect("a member").disk.log.lose_unflushed();
    }

    fn isolate(&mut self, node: NodeId) {
        for other in self.members.keys().copied() {
            self.cut.insert((node, other));
            self.cut.insert((other, node));
        }
    }

    fn tell_broken(&mut self, to: NodeId, peer: NodeId) {
        self.sent += 1;
        self.network.insert((self.now + Duration::from_millis(1), self.sent), (peer, to, None));
    }

    fn with(&mut self, node: NodeId, act: impl FnOnce(&mut Quorum, &mut QuorumDisk, &mut Turn<'_>)) {
        let member = self.members.get_mut(&node).expect("a member");
        let Some(quorum) = &mut member.process else { return };
        act(quorum, &mut member.disk, &mut Turn::new(self.now, &mut self.effects));
        self.after(node);
    }

    /// Files what a node sent, collects what it committed and checks what must always hold.
    fn after(&mut self, node: NodeId) {
        for fact in std::mem::take(&mut self.effects.facts) {
            if let Fact::QuorumLeaderElected { controller, epoch } = fact {
                let other = self.leaders.insert(epoch, controller);
                assert_eq!(other, None, "two leaders in epoch {epoch}");
            }
            self.facts.push((self.now, fact));
        }
        for (to, envelope) in std::mem::take(&mut self.effects.sends) {
            if let Body::Request(request) = &envelope.body {
                *self.requests.entry(request.api()).or_default() += 1;
            }
            self.sent += 1;
            let delay = Duration::from_micros(self.rng.range(300, 2_000));
            self.network.insert((self.now + delay, self.sent), (node, to, Some(envelope)));
        }
        let member = self.members.get_mut(&node).expect("a member");
        if let Some(quorum) = &mut member.process {
            if let Some(snapshot) = quorum.take_snapshot(&member.disk) {
                member.committed = self.agreed.iter().copied().filter(|batch| batch.1 < snapshot.id.end).collect();
                assert_eq!(member.committed.last().map(|batch| batch.1.next()), Some(snapshot.id.end));
            }
            for batch in quorum.take_committed(&member.disk) {
                let next = member.committed.last().map_or(Offset::ZERO, |last| last.1.next());
                assert_eq!(batch.base_offset, next, "{node} is handed a gap or a repetition");
                member.committed.push((batch.base_offset, batch.last_offset, batch.leader_epoch, batch.crc));
            }
            assert!(quorum.high_watermark() >= member.high_watermark, "the high watermark of {node} moved back");
            member.high_watermark = quorum.high_watermark();
        }
        if member.committed.len() > self.agreed.len() {
            self.agreed.clone_from(&member.committed);
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let alarm = self
                .members
                .iter()
                .filter_map(|(node, member)| Some((member.process.as_ref()?.next_alarm()?, *node)))
                .min();
            let message = self.network.keys().next().map(|(at, _)| *at).unwrap_or(Instant::FAR_FUTURE);
            let due = alarm.map_or(Instant::FAR_FUTURE, |((at, _), _)| at);
            let next = due.min(message).min(self.next_no_op);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if message <= next {
                self.deliver();
            } else if self.next_no_op <= next {
                self.next_no_op = self.now + Duration::from_millis(500);
                self.append_no_op();
            } else if let Some(((at, why), node)) = alarm {
                self.with(node, |quorum, disk, turn| quorum.alarm(disk, turn));
                let again = self.members[&node].process.as_ref().and_then(Quorum::next_alarm);
                assert!(again.is_none_or(|(next, _)| next > at), "{node} rings again for {why:?}");
            }
        }
    }

    fn append_no_op(&mut self) {
        for node in self.members.keys().copied().collect::<Vec<_>>() {
            let value = Bytes::from(self.now.0.to_be_bytes().to_vec());
            self.with(node, |quorum, disk, turn| {
                quorum.append(disk, turn, &[value]);
            });
        }
    }

    fn deliver(&mut self) {
        let Some((_, (from, to, envelope))) = self.network.pop_first() else { return };
        if self.cut.contains(&(from, to)) {
            return;
        }
        let Some(envelope) = envelope else {
            return self.with(to, |quorum, disk, turn| quorum.disconnected(disk, turn, from));
        };
        if self.members[&to].process.is_none() {
            if envelope.is_request() {
                self.tell_broken(from, to);
            }
            return;
        }
        let correlation = envelope.correlation;
        self.with(to, |quorum, disk, turn| match &envelope.body {
            Body::Request(request) => quorum.handle_request(disk, turn, from, correlation, request),
            // Whoever operates the quorum asked.
            Body::Response(Response::AddRaftVoter(_) | Response::RemoveRaftVoter(_)) => {}
            Body::Response(response) => {
                assert!(quorum.handle_response(disk, turn, from, correlation, response));
            }
        });
    }

    /// The leader of the highest epoch among the running processes.
    fn leader(&self) -> Option<NodeId> {
        self.members
            .iter()
            .filter_map(|(node, member)| Some((member.process.as_ref().filter(|q| q.is_leader())?.epoch(), *node)))
            .max()
            .map(|(_, node)| node)
    }

    fn quorum(&self, node: NodeId) -> &Quorum {
        self.members[&node].process.as_ref().expect("its process runs")
    }

    /// What any two nodes were handed is equal as far as both were.
    fn check_agreement(&self) {
        let longest = self.members.values().map(|member| &member.committed).max_by_key(|c| c.len()).expect("members");
        for (node, member) in &self.members {
            assert_eq!(&longest[..member.committed.len()], &member.committed[..], "{node} disagrees");
        }
    }

    /// One leads, everybody follows it and was handed everything it has committed.
    fn check_settled(&self) {
        let leader = self.leader().expect("a leader");
        let epoch = self.quorum(leader).epoch();
        for (node, member) in &self.members {
            let quorum = member.process.as_ref().expect("every process runs");
            assert_eq!(quorum.epoch(), epoch, "{node}");
            assert_eq!(NodeId::Controller(quorum.leader().expect("a leader is known")), leader, "{node}");
            let behind = self.members[&leader].disk.log.log_end() - quorum.high_watermark();
            assert!(behind <= 1, "{node} is {behind} behind");
        }
        self.check_agreement();
    }
}

fn controller(number: i32) -> NodeId {
    NodeId::controller(number)
}

#[test]
fn a_cold_start_elects_one_leader_whom_all_follow() {
    for seed in 0..50 {
        let mut world = World::new(seed, 3, 3);
        world.run_for(Duration::from_secs(4));
        world.check_settled();
        assert_eq!(world.leaders.len(), 1, "one election suffices, seed {seed}");
    }
}

#[test]
fn a_sole_voter_leads_at_once_and_commits_what_it_writes() {
    let mut world = World::new(1, 1, 1);
    assert_eq!(world.leader(), Some(controller(1)));
    assert_eq!(world.quorum(controller(1)).known_high_watermark(), Some(Offset(1)));
    world.run_for(Duration::from_millis(1_100));
    world.check_settled();
    assert_eq!(
        world.quorum(controller(1)).high_watermark(),
        Offset(4),
        "the epoch's start and a no-op at 0, 0.5 and 1 s, each after its linger"
    );
}

#[test]
fn when_the_leader_dies_another_leads_in_a_few_seconds() {
    for seed in 0..50 {
        let mut world = World::new(seed, 3, 3);
        world.run_for(Duration::from_secs(5));
        let first = world.leader().expect("a leader");
        world.kill(first);
        world.run_for(Duration::from_secs(6));
        let second = world.leader().expect("another leader");
        assert_ne!(first, second);
        world.start(first);
        world.run_for(Duration::from_secs(3));
        world.check_settled();
        assert_eq!(world.leader(), Some(second), "who comes back does not disturb");
    }
}

#[test]
fn a_leader_that_was_cut_off_resigns_and_gives_up_what_nobody_else_holds() {
    for seed in 0..20 {
        let mut world = World::new(seed, 3, 2);
        world.run_for(Duration::from_secs(5));
        let first = world.leader().expect("a leader");
        world.isolate(first);
        world.run_for(Duration::from_secs(2));
        assert!(world.quorum(first).is_leader(), "it cannot know yet, seed {seed}");
        let value = Bytes::from_static(b"nobody else has this");
        world.with(first, |quorum, disk, turn| {
            quorum.append(disk, turn, &[value]);
        });
        world.run_for(Duration::from_millis(500));
        let own_end = world.members[&first].disk.log.log_end();
        world.run_for(Duration::from_secs(4));
        assert_ne!(world.quorum(first).role(), QuorumRole::Leader, "check-quorum made it resign");
        let told = |fact: &Fact| matches!(fact, Fact::QuorumLeaderResigned { .. });
        assert!(world.facts.iter().any(|(_, fact)| told(fact)));
        assert!(world.quorum(first).high_watermark() < own_end, "its last record is not committed");
        let second = world.leader().expect("the majority elected another");
        assert_ne!(first, second);
        world.cut.clear();
        world.run_for(Duration::from_secs(5));
        world.check_settled();
        let log = |node: NodeId| world.members[&node].disk.log.batches(Offset::ZERO).collect::<Vec<_>>();
        let shared = log(first).len().min(log(second).len()).saturating_sub(1);
        assert_eq!(log(first)[..shared], log(second)[..shared], "the logs are one again");
    }
}

#[test]
fn a_leader_that_shuts_down_hands_over_without_a_timeout() {
    let mut world = World::new(3, 3, 1);
    world.run_for(Duration::from_secs(5));
    let first = world.leader().expect("a leader");
    world.with(first, |quorum, disk, turn| quorum.shutdown(disk, turn, Duration::from_secs(5)));
    world.run_for(Duration::from_millis(200));
    assert!(world.quorum(first).is_stopped(), "it learnt of its successor");
    let second = world.leader().expect("a successor");
    assert_ne!(first, second);
}

#[test]
fn an_idle_quorum_sends_two_fetches_for_each_no_op_record() {
    let mut world = World::new(9, 3, 3);
    world.run_for(Duration::from_secs(5));
    world.check_settled();
    world.requests.clear();
    world.run_for(Duration::from_secs(60));
    // Each of the 5 fetchers learns of the record, then of its being committed (KIP-1166).
    let fetches = world.requests[&ApiKey::Fetch];
    assert!((5 * 2 * 120..=5 * 2 * 121).contains(&fetches), "{fetches}");
    assert_eq!(world.requests.keys().copied().collect::<Vec<_>>(), [ApiKey::Fetch], "and nothing else");
}

#[test]
fn records_appended_within_the_linger_share_a_batch_and_an_offset_is_known_at_once() {
    let mut world = World::new(2, 1, 0);
    let leader = controller(1);
    world.run_for(Duration::from_millis(100));
    assert!(world.quorum(leader).is_active());
    let end = world.members[&leader].disk.log.log_end();
    let mut firsts = Vec::new();
    for count in [2, 3] {
        let values = vec![Bytes::from_static(b"record"); count];
        world.with(leader, |quorum, disk, turn| firsts.extend(quorum.append(disk, turn, &values)));
        world.run_for(Duration::from_millis(10));
    }
    assert_eq!(firsts, [end, end + 2]);
    assert_eq!(world.members[&leader].disk.log.log_end(), end, "still gathering");
    world.run_for(Duration::from_millis(5));
    let last = world.members[&leader].committed.last().expect("committed");
    assert_eq!((last.0, last.1), (end, end + 4), "one batch, 25 ms after the first append");
}

#[test]
fn a_majority_that_lost_its_disks_cannot_make_the_rest_forget_what_is_committed() {
    for seed in 0..20 {
        let mut world = World::new(seed, 3, 1);
        world.run_for(Duration::from_secs(5));
        for number in [1, 2] {
            world.kill(controller(number));
            world.members.get_mut(&controller(number)).expect("a member").disk = QuorumDisk::new();
        }
        // Votes that are forgotten may be given again: the promise of one leader an epoch is void.
        world.leaders.clear();
        world.isolate(controller(3));
        for number in [1, 2] {
            world.start(controller(number));
        }
        world.run_for(Duration::from_secs(8));
        let remembered = world.members[&controller(3)].committed.clone();
        world.cut.clear();
        world.leaders.clear();
        world.run_for(Duration::from_secs(8));
        let third = &world.members[&controller(3)].committed;
        assert_eq!(third[..remembered.len()], remembered[..]);
    }
}

#[test]
fn looking_for_a_leader_does_not_flood_the_network() {
    let mut world = World::new(5, 3, 3);
    world.run_for(Duration::from_secs(5));
    let leader = world.leader().expect("a leader");
    world.requests.clear();
    world.kill(leader);
    world.run_for(Duration::from_secs(1));
    let requests: u64 = world.requests.values().sum();
    assert!(requests < 900, "{requests} requests of five nodes in a leaderless second");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut world = World::new(77, 3, 2);
        world.run_for(Duration::from_secs(3));
        world.kill(controller(1));
        world.run_for(Duration::from_secs(5));
        (world.facts, world.sent, world.effects.rng)
    };
    assert_eq!(run(), run());
}

/// Crashes, losses of power and cuts at random; then everything is whole again.
fn live_through_faults(seed: u64, controllers: i32) {
    let mut world = World::new(seed, controllers, 2);
    let nodes: Vec<NodeId> = world.members.keys().copied().collect();
    for _ in 0..25 {
        let pause = world.rng.range(50, 3_000);
        world.run_for(Duration::from_millis(pause));
        world.check_agreement();
        let node = nodes[world.rng.below(nodes.len() as u64) as usize];
        match world.rng.below(6) {
            4 => {
                let other = nodes[world.rng.below(nodes.len() as u64) as usize];
                world.cut.insert((node, other));
            }
            what => world.strike(node, what),
        }
    }
    world.heal(Duration::from_secs(15));
}

#[test]
fn no_epoch_has_two_leaders_and_nothing_committed_is_lost_whatever_fails() {
    for seed in 0..100 {
        live_through_faults(seed, 3);
    }
    for seed in 0..25 {
        live_through_faults(seed, 5);
    }
}

/// As `live_through_faults`, with voters that come and go, and snapshots that take the log's beginning.
fn live_through_changes(seed: u64) -> (u32, u32) {
    let mut world = World::formatted(seed, 3, 2, 2, 1);
    let nodes: Vec<NodeId> = world.members.keys().copied().collect();
    let (mut changes, mut snapshots) = (0, 0);
    for _ in 0..40 {
        let pause = world.rng.range(50, 2_000);
        world.run_for(Duration::from_millis(pause));
        world.check_agreement();
        let node = nodes[world.rng.below(nodes.len() as u64) as usize];
        let running = world.members[&node].process.is_some();
        match world.rng.below(9) {
            4 | 5 => world.change_voters(node),
            6 | 7 if running => snapshots += u32::from(world.write_snapshot(node)),
            what => world.strike(node, what),
        }
        let told = |fact: &Fact| matches!(fact, Fact::QuorumVotersChanged { .. });
        changes = world.facts.iter().filter(|(_, fact)| told(fact)).count() as u32;
    }
    world.heal(Duration::from_secs(20));
    (changes, snapshots)
}

impl World {
    /// A crash, a loss of power or a cut; a node that does not run may come back.
    fn strike(&mut self, node: NodeId, what: u64) {
        let running = self.members[&node].process.is_some();
        match what {
            0 if running => self.kill(node),
            1 if running => self.power_off(node),
            2 => self.isolate(node),
            3 => self.cut.clear(),
            _ if !running => self.start(node),
            _ => {}
        }
    }

    /// Everything is whole again, and after a while all agree.
    fn heal(&mut self, settles_in: Duration) {
        self.cut.clear();
        let stopped: Vec<NodeId> =
            self.members.iter().filter(|(_, member)| member.process.is_none()).map(|(node, _)| *node).collect();
        stopped.into_iter().for_each(|node| self.start(node));
        self.run_for(settles_in);
        self.check_settled();
    }

    /// Asks the leader to add this controller to the voters, or to take it out.
    fn change_voters(&mut self, node: NodeId) {
        let (NodeId::Controller(id), Some(leader)) = (node, self.leader()) else { return };
        let voters = self.quorum(leader).voters();
        let request: Request = if voters.contains(&id) {
            // Of two voters a leader that removes itself and dies before the other has heard of it
            // leaves nobody who could win: the other is behind, and it itself is no voter any more.
            if voters.len() == 2 {
                return;
            }
            let request = RemoveRaftVoterRequest::default().with_voter_id(id.node_id());
            request.with_voter_directory_id(directory_id(id)).into()
        } else {
            AddRaftVoterRequest::default().with_voter_id(id.node_id()).into()
        };
        self.with(leader, |quorum, disk, turn| {
            quorum.handle_request(disk, turn, NodeId::broker(1), Correlation(0), &request);
        });
    }

    /// Writes a snapshot of what this node was handed, and lets the log's beginning go.
    fn write_snapshot(&mut self, node: NodeId) -> bool {
        let Some((_, last, epoch, _)) = self.members[&node].committed.last().copied() else { return false };
        let mut written = false;
        self.with(node, |quorum, disk, turn| {
            written = quorum.write_snapshot(disk, turn, last, epoch, &[Bytes::from_static(b"everything")]);
            (quorum.retention.bytes, quorum.clean_at) = (Some(0), turn.now);
            quorum.alarm(disk, turn);
        });
        written
    }
}

#[test]
fn voters_and_snapshots_come_and_go_and_nothing_committed_is_lost_whatever_fails() {
    let (mut changes, mut snapshots) = (0, 0);
    for seed in 0..50 {
        let (c, s) = live_through_changes(seed);
        (changes, snapshots) = (changes + c, snapshots + s);
    }
    assert!(changes > 50 && snapshots > 100, "{changes} changes of the voters, {snapshots} snapshots");
}
