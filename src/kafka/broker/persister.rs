//! How a broker reaches the share coordinators (DefaultStatePersister, PersisterStateManager): what is
//! to be initialised, read, written or deleted of a share partition goes in with `ask`, and what became
//! of it comes out of `take_outcomes` under the same number.
//!
//! While a request of one kind is under way to a broker, further ones of that kind gather and are then
//! sent together, one request for each group. What may succeed elsewhere or later is tried again.

use crate::kafka::broker::metadata::{alive_brokers, share_coordinator};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn};
use crate::kafka::share::{RecordState, SharePartitionKey, StateBatch};
use crate::kafka::share_coordinator::{Known, Op};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::{
    DeleteShareGroupStateRequest, FindCoordinatorRequest, FindCoordinatorResponse, InitializeShareGroupStateRequest,
    ReadShareGroupStateRequest, ReadShareGroupStateSummaryRequest, WriteShareGroupStateRequest,
    delete_share_group_state_request as delete, initialize_share_group_state_request as initialize,
    read_share_group_state_request as read, read_share_group_state_summary_request as summary,
    write_share_group_state_request as write,
};
use crate::wire::{
    ApiKey, BrokerId, Correlation, ErrorCode, GroupId, LeaderEpoch, NodeId, Offset, Request, Response, Uuid, error,
};

/// PersisterStateManager.REQUEST_BACKOFF_MS, doubled with each attempt.
const BACKOFF: Duration = Duration::from_millis(1_000);
const BACKOFF_MAX: Duration = Duration::from_millis(30_000);
/// PersisterStateManager.MAX_FIND_COORD_ATTEMPTS, for both kinds of requests.
const MAX_ATTEMPTS: u32 = 5;
/// `socket.connection.setup.timeout.max.ms`, which Kafka uses as this channel's request timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Numbers what is asked; an outcome has the number of its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(u64);

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub id: AskId,
    pub key: SharePartitionKey,
    /// What is known, for questions that read.
    pub result: Result<Option<Known>, ErrorCode>,
    /// An older write of the same share partition is still on its way: it will write over this one.
    pub overtook: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    id: AskId,
    key: SharePartitionKey,
    op: Op,
    /// Who was named as the coordinator; used once.
    coordinator: Option<BrokerId>,
    /// How often no coordinator was found, and how often it could not do it.
    lookups: u32,
    attempts: u32,
    /// Not tried before; `None`: it can go as soon as no request of its kind is under way.
    not_before: Option<Instant>,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq)]
struct Flying {
    to: BrokerId,
    api: ApiKey,
    until: Instant,
    asked: Vec<Asked>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Persister {
    me: BrokerId,
    last: u64,
    /// What is to be sent, oldest first.
    waiting: Vec<Asked>,
    flying: SortedMap<Correlation, Flying>,
    outcomes: Vec<Outcome>,
}

impl Persister {
    pub fn new(me: BrokerId) -> Persister {
        let (waiting, outcomes) = (Vec::new(), Vec::new());
        Persister { me, last: 0, waiting, flying: SortedMap::new(), outcomes }
    }

    /// Has something done to the state of a share partition. `poll` sends it.
    pub fn ask(&mut self, key: SharePartitionKey, op: Op) -> AskId {
        self.last += 1;
        let id = AskId(self.last);
        self.waiting.push(Asked { id, key, op, coordinator: None, lookups: 0, attempts: 0, not_before: None });
        id
    }

    /// Says that something was done, and does nothing: a planted bug.
    pub fn pretend(&mut self, key: SharePartitionKey) -> AskId {
        self.last += 1;
        let id = AskId(self.last);
        self.outcomes.push(Outcome { id, key, result: Ok(None), overtook: false });
        id
    }

    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    pub fn has_outcomes(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// Sends what can be sent now. To be called after `ask`, and when something has changed.
    pub fn poll(&mut self, turn: &mut Turn<'_>, image: &MetadataImage) {
        let mut requests: SortedMap<(BrokerId, ApiKey, GroupId), Vec<Asked>> = SortedMap::new();
        for mut asked in std::mem::take(&mut self.waiting) {
            if asked.not_before.is_some_and(|at| at > turn.now) {
                self.waiting.push(asked);
                continue;
            }
            asked.not_before = None;
            let known = share_coordinator(image, &asked.key).or(asked.coordinator.take());
            let Some(coordinator) = known else {
                self.look_up(turn, image, asked);
                continue;
            };
            let api = api(&asked.op);
            if self.flying.values().any(|flying| (flying.to, flying.api) == (coordinator, api)) {
                self.waiting.push(asked);
            } else {
                requests.entry((coordinator, api, asked.key.group.clone())).or_default().push(asked);
            }
        }
        for ((to, api, group), asked) in requests {
            let correlation = turn.request(NodeId::Broker(to), request(api, group, &asked));
            self.flying.insert(correlation, Flying { to, api, until: turn.now + REQUEST_TIMEOUT, asked });
        }
    }

    /// True if the response answered a request of this part.
    pub fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        from: BrokerId,
        correlation: Correlation,
        response: &Response,
    ) -> bool {
        if self.flying.get(&correlation).is_none_or(|flying| flying.to != from) {
            return false;
        }
        let Some(Flying { asked, .. }) = self.flying.remove(&correlation) else { return false };
        for asked in asked {
            match response {
                Response::FindCoordinator(found) => self.looked_up(turn, asked, found),
                response => {
                    let result = result(response, asked.key.topic, asked.key.partition);
                    self.tried(turn, asked, result);
                }
            }
        }
        true
    }

    /// The connection broke: whatever was on its way is tried again.
    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: BrokerId) {
        self.lose(turn, ErrorCode::NetworkException, |flying| flying.to == peer);
    }

    pub fn alarm(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.lose(turn, ErrorCode::RequestTimedOut, |flying| flying.until <= now);
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let late = self.flying.values().map(|flying| (flying.until, Alarm::RequestTimeout)).min();
        let again = self.waiting.iter().filter_map(|asked| asked.not_before).min();
        late.into_iter().chain(again.map(|at| (at, Alarm::RetryBackoff))).min()
    }

    /// Asks any broker, which makes the topic if there is none.
    fn look_up(&mut self, turn: &mut Turn<'_>, image: &MetadataImage, asked: Asked) {
        let brokers: Vec<BrokerId> = alive_brokers(image).collect();
        let Some(to) = brokers.get(turn.below(brokers.len().max(1) as u64) as usize).copied() else {
            return self.done(asked, Err(ErrorCode::CoordinatorNotAvailable));
        };
        let request = FindCoordinatorRequest::default()
            .with_key_type(CoordinatorType::Share as i8)
            .with_coordinator_keys(vec![asked.key.as_coordinator_key()]);
        let correlation = turn.request(NodeId::Broker(to), request);
        let until = turn.now + REQUEST_TIMEOUT;
        self.flying.insert(correlation, Flying { to, api: ApiKey::FindCoordinator, until, asked: vec![asked] });
    }

    fn looked_up(&mut self, turn: &mut Turn<'_>, mut asked: Asked, found: &FindCoordinatorResponse) {
        let found = match found.coordinators.as_slice() {
            [found] => error(found.error_code).map_or(Ok(found.node_id), Err),
            _ => Err(ErrorCode::UnknownServerError),
        };
        match found {
            Ok(coordinator) => {
                asked.lookups = 0;
                asked.coordinator = Some(coordinator);
                self.waiting.push(asked);
            }
            Err(error) => self.failed(turn, asked, error, true),
        }
    }

    fn tried(&mut self, turn: &mut Turn<'_>, asked: Asked, result: Result<Option<Known>, ErrorCode>) {
        match result {
            Ok(known) => self.done(asked, Ok(known)),
            Err(error) => self.failed(turn, asked, error, false),
        }
    }

    fn failed(&mut self, turn: &mut Turn<'_>, mut asked: Asked, error: ErrorCode, lookup: bool) {
        let tries = if lookup { &mut asked.lookups } else { &mut asked.attempts };
        *tries += 1;
        let tries = *tries;
        if !is_retriable(error) || tries >= MAX_ATTEMPTS {
            return self.done(asked, Err(error));
        }
        // ExponentialBackoff: a fifth more or less, never more than the most.
        let pause = BACKOFF.0 << tries;
        let at = turn.within(Duration(pause * 4 / 5), Duration(pause * 6 / 5));
        asked.not_before = Some(at.min(turn.now + BACKOFF_MAX));
        self.waiting.push(asked);
    }

    fn lose(&mut self, turn: &mut Turn<'_>, error: ErrorCode, is_lost: impl Fn(&Flying) -> bool) {
        let lost = self.flying.iter().filter(|(_, flying)| is_lost(flying));
        let lost: Vec<Correlation> = lost.map(|(correlation, _)| *correlation).collect();
        for correlation in lost {
            let Some(Flying { to, api, asked, until: _ }) = self.flying.remove(&correlation) else { continue };
            if error == ErrorCode::RequestTimedOut {
                let (node, to) = (NodeId::Broker(self.me), NodeId::Broker(to));
                turn.tell(Fact::RequestTimedOut { node, to, api });
            }
            for asked in asked {
                self.failed(turn, asked, error, api == ApiKey::FindCoordinator);
            }
        }
    }

    fn done(&mut self, asked: Asked, result: Result<Option<Known>, ErrorCode>) {
        let overtook = result.is_ok() && self.overtook(&asked);
        let Asked { id, key, .. } = asked;
        self.outcomes.push(Outcome { id, key, result, overtook });
    }

    /// Whether a write is done before an older one of the same share partition, which is tried again.
    fn overtook(&self, asked: &Asked) -> bool {
        let is_write = |asked: &Asked| matches!(asked.op, Op::Write { .. });
        let mut others = self.waiting.iter().chain(self.flying.values().flat_map(|flying| &flying.asked));
        is_write(asked) && others.any(|other| is_write(other) && other.key == asked.key && other.id < asked.id)
    }
}

fn is_retriable(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::NotCoordinator
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NetworkException
            | ErrorCode::RequestTimedOut
    )
}

fn api(op: &Op) -> ApiKey {
    match op {
        Op::Initialize { .. } => ApiKey::InitializeShareGroupState,
        Op::Read { .. } => ApiKey::ReadShareGroupState,
        Op::Write { .. } => ApiKey::WriteShareGroupState,
        Op::Delete => ApiKey::DeleteShareGroupState,
        Op::ReadSummary => ApiKey::ReadShareGroupStateSummary,
    }
}

/// One request for everything that is asked of a group; all questions are of the kind that `api` says.
fn request(api: ApiKey, group: GroupId, asked: &[Asked]) -> Request {
    let group = group.0;
    let topics = by_topic(asked);
    match api {
        ApiKey::InitializeShareGroupState => {
            let topics = topics.into_iter().map(|(topic, asked)| {
                let partitions = asked.into_iter().map(initialize_partition).collect();
                initialize::InitializeStateData::default().with_topic_id(topic).with_partitions(partitions)
            });
            let request = InitializeShareGroupStateRequest::default().with_group_id(group);
            request.with_topics(topics.collect()).into()
        }
        ApiKey::ReadShareGroupState => {
            let topics = topics.into_iter().map(|(topic, asked)| {
                let partitions = asked.into_iter().map(read_partition).collect();
                read::ReadStateData::default().with_topic_id(topic).with_partitions(partitions)
            });
            ReadShareGroupStateRequest::default().with_group_id(group).with_topics(topics.collect()).into()
        }
        ApiKey::WriteShareGroupState => {
            let topics = topics.into_iter().map(|(topic, asked)| {
                let partitions = asked.into_iter().map(write_partition).collect();
                write::WriteStateData::default().with_topic_id(topic).with_partitions(partitions)
            });
            WriteShareGroupStateRequest::default().with_group_id(group).with_topics(topics.collect()).into()
        }
        ApiKey::DeleteShareGroupState => {
            let partition = |asked: &Asked| delete::PartitionData::default().with_partition(asked.key.partition);
            let topics = topics.into_iter().map(|(topic, asked)| {
                let partitions = asked.into_iter().map(partition).collect();
                delete::DeleteStateData::default().with_topic_id(topic).with_partitions(partitions)
            });
            DeleteShareGroupStateRequest::default().with_group_id(group).with_topics(topics.collect()).into()
        }
        _ => {
            let partition = |asked: &Asked| summary::PartitionData::default().with_partition(asked.key.partition);
            let topics = topics.into_iter().map(|(topic, asked)| {
                let partitions = asked.into_iter().map(partition).collect();
                summary::ReadStateSummaryData::default().with_topic_id(topic).with_partitions(partitions)
            });
            let request = ReadShareGroupStateSummaryRequest::default().with_group_id(group);
            request.with_topics(topics.collect()).into()
        }
    }
}

fn by_topic(asked: &[Asked]) -> Vec<(Uuid, Vec<&Asked>)> {
    let mut topics: SortedMap<Uuid, Vec<&Asked>> = SortedMap::new();
    for asked in asked {
        topics.entry(asked.key.topic).or_default().push(asked);
    }
    topics.into_iter().collect()
}

fn initialize_partition(asked: &Asked) -> initialize::PartitionData {
    let partition = initialize::PartitionData::default().with_partition(asked.key.partition);
    let Op::Initialize { state_epoch, start } = &asked.op else { return partition };
    partition.with_state_epoch(*state_epoch).with_start_offset(start.0)
}

fn read_partition(asked: &Asked) -> read::PartitionData {
    let partition = read::PartitionData::default().with_partition(asked.key.partition);
    let Op::Read { leader_epoch } = &asked.op else { return partition };
    partition.with_leader_epoch(leader_epoch.0)
}

fn write_partition(asked: &Asked) -> write::PartitionData {
    let partition = write::PartitionData::default().with_partition(asked.key.partition);
    let Op::Write { state_epoch, leader_epoch, start, batches } = &asked.op else { return partition };
    let batch = |batch: &StateBatch| {
        write::StateBatch::default()
            .with_first_offset(batch.first.0)
            .with_last_offset(batch.last.0)
            .with_delivery_state(batch.state.id())
            .with_delivery_count(batch.delivery_count)
    };
    partition
        .with_state_epoch(*state_epoch)
        .with_leader_epoch(leader_epoch.0)
        .with_start_offset(start.0)
        .with_state_batches(batches.iter().map(batch).collect())
}

/// What the response says of a share partition; one that does not name it has failed.
fn result(response: &Response, topic: Uuid, partition: i32) -> Result<Option<Known>, ErrorCode> {
    let code = match response {
        Response::ReadShareGroupState(response) => return read_result(response, topic, partition),
        Response::ReadShareGroupStateSummary(response) => {
            let mut all = response.results.iter().filter(|result| result.topic_id == topic).flat_map(|r| &r.partitions);
            let found = all.find(|found| found.partition == partition).ok_or(ErrorCode::UnknownServerError)?;
            let known = Known {
                state_epoch: found.state_epoch,
                leader_epoch: LeaderEpoch(found.leader_epoch),
                start: Offset(found.start_offset),
                batches: Vec::new(),
            };
            return error(found.error_code).map_or(Ok(Some(known)), Err);
        }
        Response::InitializeShareGroupState(response) => {
            let mut all = response.results.iter().filter(|result| result.topic_id == topic).flat_map(|r| &r.partitions);
            all.find(|found| found.partition == partition).map(|found| found.error_code)
        }
        Response::WriteShareGroupState(response) => {
            let mut all = response.results.iter().filter(|result| result.topic_id == topic).flat_map(|r| &r.partitions);
            all.find(|found| found.partition == partition).map(|found| found.error_code)
        }
        Response::DeleteShareGroupState(response) => {
            let mut all = response.results.iter().filter(|result| result.topic_id == topic).flat_map(|r| &r.partitions);
            all.find(|found| found.partition == partition).map(|found| found.error_code)
        }
        _ => None,
    };
    match code {
        Some(code) => error(code).map_or(Ok(None), Err),
        None => Err(ErrorCode::UnknownServerError),
    }
}

fn read_result(
    response: &crate::wire::messages::ReadShareGroupStateResponse,
    topic: Uuid,
    partition: i32,
) -> Result<Option<Known>, ErrorCode> {
    let mut all = response.results.iter().filter(|result| result.topic_id == topic).flat_map(|r| &r.partitions);
    let found = all.find(|found| found.partition == partition).ok_or(ErrorCode::UnknownServerError)?;
    if let Some(error) = error(found.error_code) {
        return Err(error);
    }
    let batches = found.state_batches.iter().map(|batch| {
        Some(StateBatch {
            first: Offset(batch.first_offset),
            last: Offset(batch.last_offset),
            delivery_count: batch.delivery_count,
            state: RecordState::from_id(batch.delivery_state)?,
        })
    });
    let batches: Option<Vec<StateBatch>> = batches.collect();
    Ok(Some(Known {
        state_epoch: found.state_epoch,
        leader_epoch: LeaderEpoch::UNKNOWN,
        start: Offset(found.start_offset),
        batches: batches.ok_or(ErrorCode::UnknownServerError)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::controller::record::{MetadataRecord, PartitionRegistration};
    use crate::kafka::node::Effects;
    use crate::wire::messages::WriteShareGroupStateResponse;
    use crate::wire::messages::write_share_group_state_response::{PartitionResult, WriteStateResult};
    use crate::wire::{Body, BrokerEpoch, SHARE_STATE_TOPIC, str_bytes, topic_name};

    const COORDINATOR: BrokerId = BrokerId(2);

    /// Broker 2 leads the one partition of the state topic.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::new();
        image.replay(&MetadataRecord::RegisterBroker {
            broker: COORDINATOR,
            incarnation: Uuid::nil(),
            epoch: BrokerEpoch(1),
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
        });
        let id = Uuid::from_u128(9);
        image.replay(&MetadataRecord::Topic { name: topic_name(SHARE_STATE_TOPIC), id });
        image.replay(&MetadataRecord::Partition {
            topic: id,
            partition: 0,
            registration: PartitionRegistration {
                leader: Some(COORDINATOR),
                ..PartitionRegistration::new(vec![COORDINATOR], vec![COORDINATOR])
            },
        });
        image
    }

    fn key(partition: i32) -> SharePartitionKey {
        SharePartitionKey { group: GroupId(str_bytes("g")), topic: Uuid::from_u128(1), partition }
    }

    fn write() -> Op {
        Op::Write { state_epoch: 0, leader_epoch: LeaderEpoch(0), start: Offset(0), batches: Vec::new() }
    }

    /// Which partitions each request names that was sent since the last look.
    fn sent(effects: &mut Effects) -> Vec<(Correlation, Vec<i32>)> {
        let sent = std::mem::take(&mut effects.sends).into_iter().filter_map(|(to, envelope)| {
            assert_eq!(to, NodeId::Broker(COORDINATOR));
            let Body::Request(Request::WriteShareGroupState(request)) = envelope.body else { return None };
            let partitions = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| p.partition));
            Some((envelope.correlation, partitions.collect()))
        });
        sent.collect()
    }

    fn answer(partitions: &[i32], error: Option<ErrorCode>) -> Response {
        let result = |partition: &i32| {
            let code = crate::wire::code(error);
            PartitionResult::default().with_partition(*partition).with_error_code(code)
        };
        let topic = WriteStateResult::default()
            .with_topic_id(Uuid::from_u128(1))
            .with_partitions(partitions.iter().map(result).collect());
        WriteShareGroupStateResponse::default().with_results(vec![topic]).into()
    }

    #[test]
    fn what_gathers_while_a_request_is_under_way_is_sent_together() {
        let mut effects = Effects::new(1);
        let mut persister = Persister::new(BrokerId(1));
        let first = persister.ask(key(0), write());
        persister.poll(&mut Turn::new(Instant::ZERO, &mut effects), &image());
        let flying = sent(&mut effects);
        assert_eq!(flying[0].1, [0]);
        for partition in [1, 2] {
            persister.ask(key(partition), write());
        }
        persister.poll(&mut Turn::new(Instant::ZERO, &mut effects), &image());
        assert_eq!(sent(&mut effects), []);
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        assert!(persister.answered(&mut turn, COORDINATOR, flying[0].0, &answer(&[0], None)));
        persister.poll(&mut turn, &image());
        assert_eq!(persister.take_outcomes(), [Outcome { id: first, key: key(0), result: Ok(None), overtook: false }]);
        assert_eq!(sent(&mut effects)[0].1, [1, 2]);
    }

    #[test]
    fn what_may_succeed_later_is_tried_again_until_it_was_tried_five_times() {
        let mut effects = Effects::new(1);
        let mut persister = Persister::new(BrokerId(1));
        let mut now = Instant::ZERO;
        persister.ask(key(0), write());
        let mut waits = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let mut turn = Turn::new(now, &mut effects);
            persister.poll(&mut turn, &image());
            let flying = sent(&mut effects);
            let mut turn = Turn::new(now, &mut effects);
            let refused = answer(&[0], Some(ErrorCode::NotCoordinator));
            assert!(persister.answered(&mut turn, COORDINATOR, flying[0].0, &refused));
            if let Some((at, alarm)) = persister.next_alarm() {
                assert_eq!(alarm, Alarm::RetryBackoff);
                waits.push(at.since(now).millis());
                now = at;
            }
        }
        let outcomes = persister.take_outcomes();
        assert_eq!(outcomes[0].result, Err(ErrorCode::NotCoordinator));
        assert_eq!(waits.len(), 4);
        for (wait, about) in waits.into_iter().zip([2_000, 4_000, 8_000, 16_000]) {
            assert!((about * 4 / 5..=about * 6 / 5).contains(&wait), "{wait} is about {about}");
        }
        assert_eq!(persister.next_alarm(), None);
    }

    #[test]
    fn a_broken_connection_and_a_silent_coordinator_are_reasons_to_try_again_and_epochs_are_not() {
        let mut effects = Effects::new(1);
        let mut persister = Persister::new(BrokerId(1));
        persister.ask(key(0), write());
        persister.poll(&mut Turn::new(Instant::ZERO, &mut effects), &image());
        assert_eq!(persister.next_alarm(), Some((Instant::ZERO + REQUEST_TIMEOUT, Alarm::RequestTimeout)));
        persister.disconnected(&mut Turn::new(Instant::ZERO, &mut effects), COORDINATOR);
        let (again, _) = persister.next_alarm().expect("it is tried again");
        let mut turn = Turn::new(again, &mut effects);
        persister.poll(&mut turn, &image());
        let late = again + REQUEST_TIMEOUT;
        persister.alarm(&mut Turn::new(late, &mut effects));
        let (again, _) = persister.next_alarm().expect("it is tried again");
        persister.poll(&mut Turn::new(again, &mut effects), &image());
        let flying = sent(&mut effects);
        assert_eq!(flying.len(), 3);
        let fenced = answer(&[0], Some(ErrorCode::FencedLeaderEpoch));
        let mut turn = Turn::new(again, &mut effects);
        assert!(persister.answered(&mut turn, COORDINATOR, flying[2].0, &fenced));
        assert_eq!(persister.take_outcomes()[0].result, Err(ErrorCode::FencedLeaderEpoch));
    }

    #[test]
    fn without_the_topic_any_broker_is_asked_for_the_coordinator() {
        let mut effects = Effects::new(1);
        let mut persister = Persister::new(BrokerId(1));
        let mut image = image();
        image.replay(&MetadataRecord::RemoveTopic { id: Uuid::from_u128(9) });
        persister.ask(key(0), Op::Delete);
        persister.poll(&mut Turn::new(Instant::ZERO, &mut effects), &image);
        let (_, envelope) = &effects.sends[0];
        let Body::Request(Request::FindCoordinator(request)) = &envelope.body else { panic!("{envelope:?}") };
        assert_eq!((request.key_type, request.coordinator_keys[0].as_str()), (2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0"));
    }
}
