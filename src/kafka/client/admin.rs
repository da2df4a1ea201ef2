//! The admin client (KafkaAdminClient): sends each administrative request to whoever serves it,
//! tries again what another node or another moment would answer, and tells the outcome with
//! Kafka's own message.

use crate::kafka::client::admin_answers::{self as answers, Verdict};
use crate::kafka::client::coordinator_lookup::{self, Lookup};
use crate::kafka::client::metadata::{Metadata, MetadataTimes};
use crate::kafka::client::network::{InFlight, Network, backoff};
use crate::kafka::client::reset_offsets::{Reset, Step};
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Command, Input, Node, Turn};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::delete_records_request::DeleteRecordsTopic;
use crate::wire::messages::{DeleteRecordsRequest, GroupId};
use crate::wire::{Body, ClientId, ErrorCode, NodeId, Request, Response, StrBytes, TopicPartition, str_bytes};

/// AdminClientConfig's defaults.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const API_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_BACKOFF: Duration = Duration::from_millis(100);
const RETRY_BACKOFF_MAX: Duration = Duration::from_millis(1_000);
const METADATA_MAX_AGE: Duration = Duration::from_secs(300);

/// An operation by the order in which it was asked for, from 1.
pub type OperationId = u64;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was asked, as a person says it: `create topic orders`.
    pub what: StrBytes,
    /// Kafka's error and message; `None`: it succeeded.
    pub error: Option<StrBytes>,
    /// The last responses, one for each node that had a part in it.
    pub responses: Vec<Response>,
}

/// Who serves a request.
#[derive(Clone, Debug, PartialEq)]
enum Route {
    /// Any broker; it forwards to the controller what is the controller's.
    AnyBroker,
    Leader(TopicPartition),
    Coordinator(StrBytes),
}

/// One request of an operation.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    request: Request,
    route: Route,
    failures: u32,
    state: PartState,
}

#[derive(Clone, Debug, PartialEq)]
enum PartState {
    /// To be sent from this instant on.
    Waiting(Instant),
    Sent,
    Answered(Response),
}

#[derive(Clone, Debug, PartialEq)]
struct Operation {
    what: StrBytes,
    /// `default.api.timeout.ms` after it was asked for.
    deadline: Instant,
    parts: Vec<Part>,
    /// An operation of several steps, each with requests made from the answers to the last.
    reset: Option<Reset>,
}

#[derive(Clone, Debug, PartialEq)]
enum Purpose {
    Metadata,
    Coordinator(StrBytes),
    /// A part of an operation, by its place.
    Part(OperationId, u32),
}

/// The script's own client; it runs as long as the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    id: ClientId,
    network: Network<Purpose>,
    metadata: Metadata,
    coordinators: SortedMap<StrBytes, Lookup>,
    operations: SortedMap<OperationId, Operation>,
    outcomes: SortedMap<OperationId, Outcome>,
    last_operation: OperationId,
    /// The earliest alarm, computed at the end of every input.
    alarm: Option<(Instant, Alarm)>,
}

impl Admin {
    pub fn new(id: ClientId, bootstrap: Vec<NodeId>) -> Admin {
        let times = MetadataTimes {
            max_age: METADATA_MAX_AGE,
            backoff: RETRY_BACKOFF,
            backoff_max: RETRY_BACKOFF_MAX,
            request_timeout: REQUEST_TIMEOUT,
        };
        Admin {
            id,
            network: Network::default(),
            metadata: Metadata::new(bootstrap, times),
            coordinators: SortedMap::new(),
            operations: SortedMap::new(),
            outcomes: SortedMap::new(),
            last_operation: 0,
            alarm: None,
        }
    }

    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The operation that the last command began.
    pub fn last_operation(&self) -> OperationId {
        self.last_operation
    }

    /// `None` while the operation is under way.
    pub fn outcome(&self, operation: OperationId) -> Option<&Outcome> {
        self.outcomes.get(&operation)
    }

    /// Operations under way, with what was asked.
    pub fn outstanding(&self) -> impl Iterator<Item = (OperationId, &StrBytes)> {
        self.operations.iter().map(|(id, operation)| (*id, &operation.what))
    }

    fn command(&mut self, turn: &Turn<'_>, command: Command) {
        let (what, requests, reset) = match command {
            Command::Admin(request) => (answers::what(&request), split(*request), None),
            Command::ResetOffsets { share, group, topic, to } => {
                let what = str_bytes(&format!("reset offsets of group {group} in {}", topic.0));
                self.metadata.want(&topic);
                self.metadata.request_update();
                let reset = Reset::new(group, topic, to, self.metadata.version());
                (what, Vec::new(), Some(if share { reset.of_share_group() } else { reset }))
            }
            // What other clients' applications call.
            _ => return,
        };
        let parts = requests.into_iter().map(|request| Part::new(turn.now, request)).collect();
        self.last_operation += 1;
        let deadline = turn.now + API_TIMEOUT;
        self.operations.insert(self.last_operation, Operation { what, deadline, parts, reset });
    }

    fn run(&mut self, turn: &mut Turn<'_>) {
        for lost in self.network.timed_out(turn, NodeId::Client(self.id)) {
            self.lost(turn, lost.purpose);
        }
        let ids: Vec<OperationId> = self.operations.keys().copied().collect();
        for id in ids {
            self.advance(turn, id);
        }
        self.metadata.maybe_refresh(&mut self.network, turn, Purpose::Metadata);
    }

    /// Sends what an operation has to send, goes to its next step, or ends it.
    fn advance(&mut self, turn: &mut Turn<'_>, id: OperationId) {
        let Some(mut operation) = self.operations.remove(&id) else { return };
        if operation.deadline <= turn.now {
            let error = format!("REQUEST_TIMED_OUT: the call was not completed within {API_TIMEOUT}");
            return self.finish(turn, id, operation, Some(error));
        }
        if operation.parts.iter().all(Part::is_answered) {
            match operation.next_step(&self.metadata) {
                Step::Wait => {}
                Step::Done(error) => return self.finish(turn, id, operation, error),
                Step::Ask(requests) => {
                    operation.parts = requests.into_iter().map(|request| Part::new(turn.now, request)).collect();
                }
            }
        }
        for (place, part) in operation.parts.iter_mut().enumerate() {
            self.send(turn, id, place as u32, part);
        }
        self.operations.insert(id, operation);
    }

    fn finish(&mut self, turn: &mut Turn<'_>, id: OperationId, operation: Operation, error: Option<String>) {
        let error = error.as_deref().map(str_bytes);
        let responses = operation.parts.into_iter().filter_map(|part| match part.state {
            PartState::Answered(response) => Some(response),
            _ => None,
        });
        let responses: Vec<Response> = responses.collect();
        let remark = responses.iter().find_map(answers::remark).map(str_bytes);
        turn.tell(Fact::AdminDone { what: operation.what.clone(), error: error.clone(), remark });
        self.outcomes.insert(id, Outcome { what: operation.what, error, responses });
    }

    fn send(&mut self, turn: &mut Turn<'_>, id: OperationId, place: u32, part: &mut Part) {
        if !matches!(part.state, PartState::Waiting(at) if at <= turn.now) {
            return;
        }
        let Some(node) = self.route(turn, &part.route).filter(|node| self.network.ready(*node, turn.now)) else {
            return;
        };
        self.network.send(turn, node, part.request.clone(), REQUEST_TIMEOUT, Purpose::Part(id, place));
        part.state = PartState::Sent;
    }

    /// The node that serves a route, if it is known; otherwise it is asked for.
    fn route(&mut self, turn: &mut Turn<'_>, route: &Route) -> Option<NodeId> {
        match route {
            Route::AnyBroker => self.metadata.any_node(&self.network, turn.now),
            Route::Leader(partition) => {
                self.metadata.want(&partition.topic);
                let leader = self.metadata.leader(partition).map(|(node, _)| node);
                if leader.is_none() {
                    self.metadata.request_update();
                }
                leader
            }
            Route::Coordinator(group) => {
                let lookup = self.coordinators.entry(group.clone()).or_insert_with(Lookup::by_manager);
                let purpose = Purpose::Coordinator(group.clone());
                lookup.ask(turn, (&mut self.network, &mut self.metadata), group, REQUEST_TIMEOUT, purpose);
                lookup.node()
            }
        }
    }

    fn answered(&mut self, turn: &mut Turn<'_>, request: InFlight<Purpose>, response: Response) {
        match (request.purpose, response) {
            (Purpose::Metadata, Response::Metadata(response)) => {
                self.metadata.update(turn, &response);
            }
            (Purpose::Coordinator(group), Response::FindCoordinator(response)) => {
                let told = coordinator_lookup::told(&response);
                self.coordinators.insert(group, told.map_or(Lookup::at(turn.now + RETRY_BACKOFF), Lookup::found));
            }
            (Purpose::Part(id, place), response) => self.part_answered(turn, id, place, response),
            // An answer of another kind is no answer.
            (purpose, _) => self.lost(turn, purpose),
        }
    }

    fn part_answered(&mut self, turn: &mut Turn<'_>, id: OperationId, place: u32, response: Response) {
        match answers::verdict(&response) {
            Verdict::Again(why) => self.try_again(turn, id, place, Some(why)),
            Verdict::Done | Verdict::Failed(_) => {
                if let Some(part) = self.operations.get_mut(&id).and_then(|o| o.parts.get_mut(place as usize)) {
                    part.state = PartState::Answered(response);
                }
            }
        }
    }

    fn lost(&mut self, turn: &mut Turn<'_>, purpose: Purpose) {
        self.metadata.request_update();
        match purpose {
            Purpose::Metadata => self.metadata.failed(turn),
            Purpose::Coordinator(group) => {
                self.coordinators.insert(group, Lookup::at(turn.now + RETRY_BACKOFF));
            }
            Purpose::Part(id, place) => self.try_again(turn, id, place, None),
        }
    }

    fn try_again(&mut self, turn: &mut Turn<'_>, id: OperationId, place: u32, why: Option<ErrorCode>) {
        let Some(part) = self.operations.get_mut(&id).and_then(|o| o.parts.get_mut(place as usize)) else { return };
        let wait = backoff(turn, RETRY_BACKOFF, RETRY_BACKOFF_MAX, part.failures);
        part.failures = part.failures.saturating_add(1);
        part.state = PartState::Waiting(turn.now + wait);
        match &part.route {
            Route::Coordinator(group) if why != Some(ErrorCode::CoordinatorLoadInProgress) => {
                self.coordinators.insert(group.clone(), Lookup::at(turn.now));
            }
            Route::Leader(_) => self.metadata.request_update(),
            _ => {}
        }
    }

    fn compute_alarm(&self, now: Instant) -> Option<(Instant, Alarm)> {
        let mut alarms = vec![self.network.next_timeout(), self.network.next_unblocked(now)];
        if !self.operations.is_empty() {
            alarms.push(self.metadata.next_refresh());
        }
        for operation in self.operations.values() {
            alarms.push(Some((operation.deadline, Alarm::RequestTimeout)));
            alarms.extend(operation.parts.iter().map(|part| match part.state {
                PartState::Waiting(at) => Some((at, Alarm::RetryBackoff)),
                _ => None,
            }));
        }
        alarms.extend(self.coordinators.values().map(Lookup::alarm));
        // What was due and could not be done waits for an answer or for one of the later alarms.
        alarms.into_iter().flatten().filter(|(at, _)| *at > now).min()
    }
}

impl Node for Admin {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        match input {
            Input::Start | Input::Alarm(_) => {}
            Input::Deliver { envelope, .. } => {
                if let Body::Response(response) = envelope.body
                    && let Some(request) = self.network.answered(envelope.correlation)
                {
                    self.answered(turn, request, response);
                }
            }
            Input::Disconnected { peer } => {
                for request in self.network.disconnected(turn, peer) {
                    self.lost(turn, request.purpose);
                }
            }
            Input::Command(command) => self.command(turn, command),
        }
        self.run(turn);
        self.alarm = self.compute_alarm(turn.now);
    }

    fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.alarm
    }
}

impl Part {
    fn new(now: Instant, request: Request) -> Part {
        Part { route: Route::of(&request), request, failures: 0, state: PartState::Waiting(now) }
    }

    fn is_answered(&self) -> bool {
        matches!(self.state, PartState::Answered(_))
    }
}

impl Operation {
    /// All requests are answered (or none were made yet): what comes next.
    fn next_step(&mut self, metadata: &Metadata) -> Step {
        let answers = self.parts.iter().filter_map(|part| match &part.state {
            PartState::Answered(response) => Some(response),
            _ => None,
        });
        let answers: Vec<&Response> = answers.collect();
        match &mut self.reset {
            Some(reset) => reset.next_step(metadata, &answers),
            None => Step::Done(answers.iter().find_map(|response| match answers::verdict(response) {
                Verdict::Failed(error) => Some(error),
                _ => None,
            })),
        }
    }
}

impl Route {
    fn of(request: &Request) -> Route {
        match request {
            Request::DeleteRecords(body) => {
                leader_of(body.topics.first().and_then(|t| Some((&t.name, t.partitions.first()?.partition_index))))
            }
            Request::ListOffsets(body) => {
                leader_of(body.topics.first().and_then(|t| Some((&t.name, t.partitions.first()?.partition_index))))
            }
            Request::OffsetCommit(body) => Route::Coordinator(body.group_id.0.clone()),
            Request::OffsetFetch(body) => coordinator_of(body.groups.first().map(|group| &group.group_id)),
            Request::DeleteGroups(body) => coordinator_of(body.groups_names.first()),
            Request::DescribeGroups(body) => coordinator_of(body.groups.first()),
            Request::ConsumerGroupDescribe(body) => coordinator_of(body.group_ids.first()),
            Request::ShareGroupDescribe(body) => coordinator_of(body.group_ids.first()),
            Request::AlterShareGroupOffsets(body) => coordinator_of(Some(&body.group_id)),
            _ => Route::AnyBroker,
        }
    }
}

fn coordinator_of(first: Option<&GroupId>) -> Route {
    first.map_or(Route::AnyBroker, |group| Route::Coordinator(group.0.clone()))
}

fn leader_of(first: Option<(&crate::wire::TopicName, i32)>) -> Route {
    first.map_or(Route::AnyBroker, |(topic, partition)| Route::Leader(TopicPartition::new(topic.clone(), partition)))
}

/// DELETE_RECORDS goes to the leader of each partition on its own; everything else is one request.
fn split(request: Request) -> Vec<Request> {
    let Request::DeleteRecords(body) = request else { return vec![request] };
    let one = |topic: &DeleteRecordsTopic, index: usize| {
        let partition = topic.partitions[index].clone();
        let topic = DeleteRecordsTopic::default().with_name(topic.name.clone()).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(body.timeout_ms).into()
    };
    body.topics.iter().flat_map(|topic| (0..topic.partitions.len()).map(move |index| one(topic, index))).collect()
}
