//! A broker's requests to the active controller: sent when one is known, sent again to the next one
//! when it died or is not the controller any more (NodeToControllerChannelManager).

use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, Correlation, ErrorCode, NodeId, Request, Response, code};

/// `controller.socket.timeout.ms`
const SOCKET_TIMEOUT: Duration = Duration::from_secs(30);
/// `reconnect.backoff.ms`: a connection that broke, or that was closed because its end is not the
/// controller, is not opened again at once.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);

/// Requests on their way to the controller, each with a `tag` by which its owner knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerChannel<T> {
    me: BrokerId,
    /// After this long a request is given up for good; `None`: never.
    retry_timeout: Option<Duration>,
    /// What waits for a controller, in order.
    queue: Vec<Queued<T>>,
    in_flight: Vec<InFlight<T>>,
    /// Nothing is sent before, once a controller refused or vanished.
    paused_until: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
struct Queued<T> {
    request: Request,
    tag: T,
    created: Instant,
}

#[derive(Clone, Debug, PartialEq)]
struct InFlight<T> {
    queued: Queued<T>,
    to: NodeId,
    correlation: Correlation,
    until: Instant,
}

/// What a response means to the channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    /// It answers no request of this channel.
    NotMine,
    /// Whoever answered is not the controller: the request will be sent again.
    SentAgain,
    /// The controller's answer to the request with this tag.
    Answered(T),
}

impl<T: Clone> ControllerChannel<T> {
    pub fn new(me: BrokerId, retry_timeout: Option<Duration>) -> ControllerChannel<T> {
        ControllerChannel { me, retry_timeout, queue: Vec::new(), in_flight: Vec::new(), paused_until: None }
    }

    /// Sends a request now, or as soon as a controller is known.
    pub fn submit(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>, request: impl Into<Request>, tag: T) {
        self.queue.push(Queued { request: request.into(), tag, created: turn.now });
        self.send_queued(turn, controller);
    }

    /// Called when an alarm rings and when the known controller changes: the tags of the requests
    /// that were given up.
    pub fn poll(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>) -> Vec<T> {
        let now = turn.now;
        let (late, in_time) = std::mem::take(&mut self.in_flight).into_iter().partition(|flying| flying.until <= now);
        self.in_flight = in_time;
        let late: Vec<InFlight<T>> = late;
        for flying in &late {
            let (node, api) = (NodeId::Broker(self.me), flying.queued.request.api());
            turn.tell(Fact::RequestTimedOut { node, to: flying.to, api });
        }
        self.queue.splice(0..0, late.into_iter().map(|flying| flying.queued));
        let mut given_up = Vec::new();
        if let Some(timeout) = self.retry_timeout {
            self.queue.retain(|queued| {
                let keep = queued.created + timeout > now;
                if !keep {
                    given_up.push(queued.tag.clone());
                }
                keep
            });
        }
        self.send_queued(turn, controller);
        given_up
    }

    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> Reply<T> {
        let answers = |flying: &InFlight<T>| flying.to == from && flying.correlation == correlation;
        let Some(place) = self.in_flight.iter().position(answers) else { return Reply::NotMine };
        let queued = self.in_flight.remove(place).queued;
        if says_not_controller(response) {
            self.queue.insert(0, queued);
            self.paused_until = Some(turn.now + RECONNECT_BACKOFF);
            return Reply::SentAgain;
        }
        Reply::Answered(queued.tag)
    }

    /// Everything in flight to a node that vanished will be sent again.
    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let (lost, kept) = std::mem::take(&mut self.in_flight).into_iter().partition(|flying| flying.to == peer);
        self.in_flight = kept;
        let lost: Vec<InFlight<T>> = lost;
        if !lost.is_empty() {
            self.paused_until = Some(turn.now + RECONNECT_BACKOFF);
            self.queue.splice(0..0, lost.into_iter().map(|flying| flying.queued));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let alarm = |at: Instant| (at, Alarm::RequestTimeout);
        let lost = self.in_flight.iter().map(|flying| flying.until).min().map(alarm);
        let given_up = self
            .retry_timeout
            .and_then(|timeout| self.queue.iter().map(|queued| queued.created + timeout).min().map(alarm));
        let again = self.paused_until.filter(|_| !self.queue.is_empty()).map(alarm);
        earliest([lost, given_up, again])
    }

    fn send_queued(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>) {
        if self.paused_until.is_some_and(|until| until > turn.now) {
            return;
        }
        self.paused_until = None;
        let Some(to) = controller else { return };
        // A request that is given up in this time is not worth waiting for any longer.
        let until = turn.now + self.retry_timeout.map_or(SOCKET_TIMEOUT, |timeout| timeout.min(SOCKET_TIMEOUT));
        for queued in self.queue.drain(..) {
            let correlation = turn.request(to, queued.request.clone());
            self.in_flight.push(InFlight { queued, to, correlation, until });
        }
    }
}

/// Whether NOT_CONTROLLER stands anywhere in a controller's response (`errorCounts`).
fn says_not_controller(response: &Response) -> bool {
    let refused = code(Some(ErrorCode::NotController));
    let is = |error: i16| error == refused;
    match response {
        Response::BrokerRegistration(r) => is(r.error_code),
        Response::BrokerHeartbeat(r) => is(r.error_code),
        Response::AllocateProducerIds(r) => is(r.error_code),
        Response::AlterPartition(r) => {
            is(r.error_code) || r.topics.iter().flat_map(|t| &t.partitions).any(|p| is(p.error_code))
        }
        Response::UnregisterBroker(r) => is(r.error_code),
        Response::CreateTopics(r) => r.topics.iter().any(|t| is(t.error_code)),
        Response::DeleteTopics(r) => r.responses.iter().any(|t| is(t.error_code)),
        Response::CreatePartitions(r) => r.results.iter().any(|t| is(t.error_code)),
        Response::IncrementalAlterConfigs(r) => r.responses.iter().any(|c| is(c.error_code)),
        Response::ElectLeaders(r) => {
            is(r.error_code)
                || r.replica_election_results.iter().flat_map(|t| &t.partition_result).any(|p| is(p.error_code))
        }
        Response::AlterPartitionReassignments(r) => {
            is(r.error_code) || r.responses.iter().flat_map(|t| &t.partitions).any(|p| is(p.error_code))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::node::Effects;
    use crate::wire::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

    const C1: NodeId = NodeId::controller(1);
    const C2: NodeId = NodeId::controller(2);

    fn heartbeat() -> Request {
        BrokerHeartbeatRequest::default().into()
    }

    fn answer(error: Option<ErrorCode>) -> Response {
        BrokerHeartbeatResponse::default().with_error_code(code(error)).into()
    }

    #[test]
    fn a_request_waits_for_a_controller_and_follows_it_to_the_next_one() {
        let mut effects = Effects::new(1);
        let mut channel = ControllerChannel::new(BrokerId(1), None);
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        channel.submit(&mut turn, None, heartbeat(), "beat");
        assert!(effects.sends.is_empty());
        assert_eq!(channel.next_alarm(), None, "only a controller can help");

        assert!(channel.poll(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1)).is_empty());
        let (to, envelope) = effects.sends.remove(0);
        assert_eq!(to, C1);
        let refused = answer(Some(ErrorCode::NotController));
        let mut turn = Turn::new(Instant::from_millis(2), &mut effects);
        assert_eq!(channel.handle_response(&mut turn, C1, envelope.correlation, &refused), Reply::SentAgain);
        channel.poll(&mut turn, Some(C2));
        assert!(effects.sends.is_empty(), "not at once");
        assert_eq!(channel.next_alarm(), Some((Instant::from_millis(52), Alarm::RequestTimeout)));

        let mut turn = Turn::new(Instant::from_millis(52), &mut effects);
        channel.poll(&mut turn, Some(C2));
        let (to, envelope) = effects.sends.remove(0);
        assert_eq!(to, C2);
        let mut turn = Turn::new(Instant::from_millis(54), &mut effects);
        let reply = channel.handle_response(&mut turn, C2, envelope.correlation, &answer(None));
        assert_eq!(reply, Reply::Answered("beat"));
        assert!(channel.is_empty());
    }

    #[test]
    fn a_request_whose_controller_died_is_sent_again_until_it_is_given_up() {
        let mut effects = Effects::new(1);
        let mut channel = ControllerChannel::new(BrokerId(1), Some(Duration::from_secs(9)));
        channel.submit(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1), heartbeat(), "beat");
        channel.disconnected(&mut Turn::new(Instant::from_millis(1), &mut effects), C1);
        assert!(channel.poll(&mut Turn::new(Instant::from_millis(51), &mut effects), None).is_empty());
        assert_eq!(channel.next_alarm().map(|(at, _)| at), Some(Instant::from_secs(9)));
        let given_up = channel.poll(&mut Turn::new(Instant::from_secs(9), &mut effects), None);
        assert_eq!(given_up, ["beat"]);
        assert_eq!(channel.next_alarm(), None);
    }

    #[test]
    fn a_silent_controller_is_given_up_after_the_timeout() {
        let mut effects = Effects::new(1);
        let mut channel = ControllerChannel::new(BrokerId(1), None);
        channel.submit(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1), heartbeat(), "beat");
        assert_eq!(channel.next_alarm().map(|(at, _)| at), Some(Instant::from_secs(30)));
        effects.sends.clear();
        assert!(channel.poll(&mut Turn::new(Instant::from_secs(30), &mut effects), Some(C2)).is_empty());
        assert_eq!(effects.sends[0].0, C2);
        assert!(matches!(effects.facts[0], Fact::RequestTimedOut { .. }));
    }
}
