//! What a fetcher does when an answer is late, wrong or missing.

use super::*;
use crate::kafka::config::TopicConfig;
use crate::kafka::node::Effects;
use crate::wire::messages::fetch_response::FetchableTopicResponse;
use crate::wire::{Body, Request};

const LEADER: BrokerId = BrokerId(1);
const TOPIC: Uuid = Uuid::from_u128(9);

struct One(Log);

impl FollowerLogs for One {
    fn log(&self, _: &TopicPartition) -> Option<&Log> {
        Some(&self.0)
    }

    fn log_mut(&mut self, _: &TopicPartition) -> Option<&mut Log> {
        Some(&mut self.0)
    }
}

struct Follower {
    fetcher: Fetcher,
    logs: One,
    effects: Effects,
    config: BrokerConfig,
}

fn partition() -> TopicPartition {
    TopicPartition::named("orders", 0)
}

impl Follower {
    fn new() -> Follower {
        let mut effects = Effects::new(1);
        let mut fetcher = Fetcher::new(BrokerId(2), LEADER);
        let mut logs = One(Log::new(TopicConfig::default()));
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        fetcher.add(&mut turn, &partition(), TOPIC, LeaderEpoch(3), &mut logs.0);
        Follower { fetcher, logs, effects, config: BrokerConfig::default() }
    }

    fn send(&mut self, now: Instant) -> Option<(Correlation, Request)> {
        let mut turn = Turn::new(now, &mut self.effects);
        self.fetcher.send(&mut turn, &self.config, BrokerEpoch(5), &self.logs);
        let (_, envelope) = self.effects.sends.pop()?;
        let Body::Request(request) = envelope.body else { return None };
        Some((envelope.correlation, request))
    }

    fn answer(&mut self, now: Instant, correlation: Correlation, error: Option<ErrorCode>) {
        let data = PartitionData::default().with_error_code(error.map_or(0, |error| error.code()));
        let topic = FetchableTopicResponse::default().with_topic_id(TOPIC).with_partitions(vec![data]);
        let response = FetchResponse::default().with_session_id(8).with_responses(vec![topic]).into();
        let mut turn = Turn::new(now, &mut self.effects);
        self.fetcher.handle_response(&mut turn, &self.config, correlation, &response, &mut self.logs);
    }

    fn state(&self) -> FollowState {
        self.fetcher.follow(&partition()).expect("it is followed").state
    }
}

#[test]
fn one_fetch_is_in_flight_at_a_time() {
    let mut follower = Follower::new();
    assert!(follower.send(Instant::ZERO).is_some());
    assert!(follower.send(Instant::ZERO).is_none());
}

#[test]
fn an_error_delays_the_partition_by_the_backoff() {
    let mut follower = Follower::new();
    let (correlation, _) = follower.send(Instant::ZERO).expect("the first fetch");
    follower.answer(Instant::ZERO, correlation, Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(follower.fetcher.next_alarm(), Some((Instant::from_secs(1), Alarm::FetcherBackoff)));
    assert!(follower.send(Instant::ZERO).is_none());
    let now = Instant::from_secs(1);
    follower.fetcher.alarm(&mut Turn::new(now, &mut follower.effects), &follower.config);
    let Some((_, Request::Fetch(request))) = follower.send(now) else { panic!("it fetches again") };
    assert_eq!((request.session_id, request.session_epoch), (8, 1));
    assert_eq!(request.topics.len(), 1, "the partition is named again");
}

#[test]
fn a_fenced_follower_waits_for_the_metadata() {
    let mut follower = Follower::new();
    let (correlation, _) = follower.send(Instant::ZERO).expect("the first fetch");
    follower.answer(Instant::ZERO, correlation, Some(ErrorCode::FencedLeaderEpoch));
    assert_eq!(follower.state(), FollowState::Failed);
    assert_eq!(follower.fetcher.next_alarm(), None);
    let mut turn = Turn::new(Instant::ZERO, &mut follower.effects);
    follower.fetcher.add(&mut turn, &partition(), TOPIC, LeaderEpoch(4), &mut follower.logs.0);
    assert!(follower.send(Instant::ZERO).is_some());
}

#[test]
fn a_lost_connection_pauses_the_fetcher_and_begins_a_new_session() {
    let mut follower = Follower::new();
    let (correlation, _) = follower.send(Instant::ZERO).expect("the first fetch");
    follower.answer(Instant::ZERO, correlation, None);
    follower.send(Instant::ZERO).expect("the second fetch");
    let mut turn = Turn::new(Instant::ZERO, &mut follower.effects);
    follower.fetcher.disconnected(&mut turn, &follower.config);
    let mut rang = Vec::new();
    while let Some((at, _)) = follower.fetcher.next_alarm() {
        rang.push(at.millis());
        follower.fetcher.alarm(&mut Turn::new(at, &mut follower.effects), &follower.config);
    }
    assert_eq!(rang, [1_000, 2_000], "the fetcher's pause, then the partition's delay");
    let Some((_, Request::Fetch(request))) = follower.send(Instant::from_secs(2)) else { panic!("a fetch") };
    assert_eq!((request.session_id, request.session_epoch, request.topics.len()), (8, 0, 1));
}

#[test]
fn an_answer_to_a_fetch_of_another_epoch_changes_nothing() {
    let mut follower = Follower::new();
    let (correlation, _) = follower.send(Instant::ZERO).expect("the first fetch");
    let mut turn = Turn::new(Instant::ZERO, &mut follower.effects);
    follower.fetcher.add(&mut turn, &partition(), TOPIC, LeaderEpoch(4), &mut follower.logs.0);
    follower.answer(Instant::ZERO, correlation, Some(ErrorCode::FencedLeaderEpoch));
    assert_eq!(follower.state(), FollowState::Fetching);
}
