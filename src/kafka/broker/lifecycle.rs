//! A broker's life as the controller knows it: registration, heartbeats, unfencing, controlled
//! shutdown (BrokerLifecycleManager, KIP-631).

use crate::kafka::broker::controller_channel::{ControllerChannel, Reply};
use crate::kafka::config::BrokerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::time::{Duration, Instant};
use crate::wire::messages::broker_registration_request::Listener;
use crate::wire::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest};
use crate::wire::{
    BrokerEpoch, BrokerId, Correlation, ErrorCode, NodeId, Offset, Response, StrBytes, Uuid, error, str_bytes,
};

/// `initial.broker.registration.timeout.ms`
const INITIAL_REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);
/// ExponentialBackoff(100 ms, 2, session timeout, 2 %)
const RESEND_BACKOFF: Duration = Duration::from_millis(100);
/// A broker that starts asks often whether it has caught up.
const CATCH_UP_INTERVAL: Duration = Duration::from_millis(10);
/// The second heartbeat of a controlled shutdown comes soon.
const SHUTDOWN_INTERVAL: Duration = Duration::from_millis(50);

/// Kafka's BrokerState.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerState {
    /// Not registered, or not caught up with the metadata log.
    Starting,
    /// Caught up to its own registration, and still fenced.
    Recovery,
    Running,
    PendingControlledShutdown,
    ShuttingDown,
}

/// What a step of the life cycle means to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    Nothing,
    /// The controller knows this incarnation under its epoch.
    Registered,
    /// The metadata up to the registration is there: the broker may serve, and say that it is ready.
    CaughtUp,
    /// The controller unfenced the broker for the first time.
    Unfenced,
    /// The process may go: the controller granted the shutdown, or the broker could never register.
    ShutDown,
}

/// One broker process's life cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerLifecycle {
    me: BrokerId,
    rack: Option<StrBytes>,
    /// `broker.heartbeat.interval.ms`
    heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`
    session_timeout: Duration,
    /// Drawn for each process: by it the controller tells a restart from a repeated request.
    incarnation: Uuid,
    /// The epoch that the clean-shutdown file names (KIP-966); unknown after a crash.
    previous_epoch: BrokerEpoch,
    state: BrokerState,
    /// -1 until registered.
    epoch: BrokerEpoch,
    registered: bool,
    /// The broker has its metadata and asks not to be fenced.
    ready_to_unfence: bool,
    /// Failures in a row, for the backoff.
    failed_attempts: u32,
    /// What the controller said to the last registration, if it refused it.
    refused: Option<ErrorCode>,
    /// When to send the next registration or heartbeat.
    communicate_at: Option<Instant>,
    /// A communication fell due while another was in flight: the next one is sent at once.
    immediately: bool,
    /// Whether the controller has answered a heartbeat that wanted to shut down.
    shutdown_answered: bool,
    /// When to give up registering for the first time.
    register_by: Option<Instant>,
    channel: ControllerChannel<Asked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Registration,
    Heartbeat,
}

impl BrokerLifecycle {
    /// The process starts. `previous_epoch` comes from the clean-shutdown file, if there is one.
    pub fn new(
        me: BrokerId,
        rack: Option<StrBytes>,
        previous_epoch: Option<BrokerEpoch>,
        config: &BrokerConfig,
        turn: &mut Turn<'_>,
    ) -> BrokerLifecycle {
        BrokerLifecycle {
            me,
            rack,
            heartbeat_interval: config.broker_heartbeat_interval,
            session_timeout: config.broker_session_timeout,
            incarnation: turn.uuid(),
            previous_epoch: previous_epoch.unwrap_or(BrokerEpoch::UNKNOWN),
            state: BrokerState::Starting,
            epoch: BrokerEpoch::UNKNOWN,
            registered: false,
            ready_to_unfence: false,
            failed_attempts: 0,
            refused: None,
            communicate_at: Some(turn.now),
            immediately: false,
            shutdown_answered: false,
            register_by: Some(turn.now + INITIAL_REGISTRATION_TIMEOUT),
            channel: ControllerChannel::new(me, Some(config.broker_session_timeout)),
        }
    }

    /// Called when an alarm rings and when the known controller changes. `metadata_offset` is that
    /// of the last record of the broker's image.
    pub fn poll(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>, metadata_offset: Offset) -> LifecycleEvent {
        if self.state == BrokerState::ShuttingDown {
            return LifecycleEvent::Nothing;
        }
        if self.register_by.is_some_and(|by| by <= turn.now) {
            self.stop();
            return LifecycleEvent::ShutDown;
        }
        for _given_up in self.channel.poll(turn, controller) {
            self.after_failure(turn);
        }
        if self.communicate_at.is_some_and(|at| at <= turn.now) {
            self.communicate_at = None;
            self.communicate(turn, controller, metadata_offset);
        }
        LifecycleEvent::Nothing
    }

    /// `None` when the response answers no request of this part.
    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> Option<LifecycleEvent> {
        let asked = match self.channel.handle_response(turn, from, correlation, response) {
            Reply::NotMine => return None,
            Reply::SentAgain => return Some(LifecycleEvent::Nothing),
            Reply::Answered(asked) => asked,
        };
        Some(match (asked, response) {
            (Asked::Registration, Response::BrokerRegistration(answer)) => match error(answer.error_code) {
                None => self.registered(turn, BrokerEpoch(answer.broker_epoch)),
                Some(error) => self.registration_refused(turn, error),
            },
            (Asked::Heartbeat, Response::BrokerHeartbeat(answer)) if error(answer.error_code).is_none() => {
                self.failed_attempts = 0;
                self.heartbeat_answered(turn, answer)
            }
            // Any error is tried again, also STALE_BROKER_EPOCH.
            _ => {
                self.after_failure(turn);
                LifecycleEvent::Nothing
            }
        })
    }

    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.channel.disconnected(turn, peer);
    }

    /// The broker has its metadata and can serve: the next heartbeat asks to be unfenced.
    pub fn set_ready_to_unfence(&mut self, turn: &Turn<'_>) {
        self.ready_to_unfence = true;
        self.schedule(turn, Duration::ZERO);
    }

    /// A controlled shutdown: `ShutDown` comes when the controller has moved the leaders away. A
    /// broker that does not run yet has nothing to hand over.
    pub fn begin_controlled_shutdown(&mut self, turn: &Turn<'_>) -> LifecycleEvent {
        match self.state {
            BrokerState::Running => {
                self.state = BrokerState::PendingControlledShutdown;
                self.schedule(turn, Duration::ZERO);
                LifecycleEvent::Nothing
            }
            BrokerState::PendingControlledShutdown | BrokerState::ShuttingDown => LifecycleEvent::Nothing,
            BrokerState::Starting | BrokerState::Recovery => {
                self.stop();
                LifecycleEvent::ShutDown
            }
        }
    }

    /// The process goes, whatever the controller says (its patience for a controlled shutdown is over).
    pub fn stop(&mut self) {
        self.state = BrokerState::ShuttingDown;
        self.communicate_at = None;
        self.register_by = None;
        self.channel = ControllerChannel::new(self.me, Some(self.session_timeout));
    }

    pub fn state(&self) -> BrokerState {
        self.state
    }

    /// The epoch of this incarnation; -1 until it is registered.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.epoch
    }

    /// Why the controller has not taken the broker's registration yet, if it refused it.
    pub fn refused(&self) -> Option<ErrorCode> {
        self.refused
    }

    pub fn incarnation(&self) -> Uuid {
        self.incarnation
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        earliest([
            self.communicate_at.map(|at| (at, Alarm::BrokerHeartbeat)),
            self.register_by.map(|at| (at, Alarm::RequestTimeout)),
            self.channel.next_alarm(),
        ])
    }

    fn communicate(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>, metadata_offset: Offset) {
        if !self.channel.is_empty() {
            self.immediately = true;
            return;
        }
        if !self.registered {
            let request = self.registration();
            return self.channel.submit(turn, controller, request, Asked::Registration);
        }
        let request = BrokerHeartbeatRequest::default()
            .with_broker_id(self.me)
            .with_broker_epoch(self.epoch.0)
            .with_current_metadata_offset(metadata_offset.0)
            .with_want_fence(!self.ready_to_unfence)
            .with_want_shut_down(self.state == BrokerState::PendingControlledShutdown);
        self.channel.submit(turn, controller, request, Asked::Heartbeat);
    }

    fn registration(&self) -> BrokerRegistrationRequest {
        let listener = Listener::default()
            .with_name(str_bytes("PLAINTEXT"))
            .with_host(str_bytes(&format!("broker-{}", self.me.0)))
            .with_port(9092);
        BrokerRegistrationRequest::default()
            .with_broker_id(self.me)
            .with_cluster_id(str_bytes("highwater"))
            .with_incarnation_id(self.incarnation)
            .with_listeners(vec![listener])
            .with_rack(self.rack.clone())
            .with_previous_broker_epoch(self.previous_epoch.0)
    }

    fn registered(&mut self, turn: &Turn<'_>, epoch: BrokerEpoch) -> LifecycleEvent {
        self.failed_attempts = 0;
        self.refused = None;
        self.epoch = epoch;
        self.registered = true;
        self.register_by = None;
        self.schedule(turn, Duration::ZERO);
        LifecycleEvent::Registered
    }

    /// Any error is tried again: DUPLICATE_BROKER_REGISTRATION comes until the session of the broker's
    /// last process has run out.
    fn registration_refused(&mut self, turn: &mut Turn<'_>, error: ErrorCode) -> LifecycleEvent {
        let before = self.refused.replace(error);
        turn.tell(Fact::RegistrationRefused { broker: self.me, error, again: before == Some(error) });
        self.after_failure(turn);
        LifecycleEvent::Nothing
    }

    fn heartbeat_answered(&mut self, turn: &Turn<'_>, answer: &BrokerHeartbeatResponse) -> LifecycleEvent {
        let mut event = LifecycleEvent::Nothing;
        let mut interval = self.heartbeat_interval;
        match self.state {
            BrokerState::Starting => {
                if answer.is_caught_up {
                    self.state = BrokerState::Recovery;
                    event = LifecycleEvent::CaughtUp;
                }
                interval = CATCH_UP_INTERVAL;
            }
            BrokerState::Recovery if !answer.is_fenced => {
                self.state = BrokerState::Running;
                event = LifecycleEvent::Unfenced;
            }
            BrokerState::PendingControlledShutdown => {
                if answer.should_shut_down {
                    self.stop();
                    return LifecycleEvent::ShutDown;
                }
                if !self.shutdown_answered {
                    interval = SHUTDOWN_INTERVAL;
                }
                self.shutdown_answered = true;
            }
            BrokerState::Recovery | BrokerState::Running | BrokerState::ShuttingDown => {}
        }
        self.schedule(turn, interval);
        event
    }

    fn schedule(&mut self, turn: &Turn<'_>, interval: Duration) {
        let interval = if std::mem::take(&mut self.immediately) { Duration::ZERO } else { interval };
        self.communicate_at = Some(turn.now + interval);
    }

    /// Doubling from 100 ms up to the session timeout, 2 % more or less.
    fn after_failure(&mut self, turn: &mut Turn<'_>) {
        let doubled = RESEND_BACKOFF.0 << self.failed_attempts.min(20);
        let backoff = doubled.min(self.session_timeout.0);
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        // Never at once after a failure.
        self.immediately = false;
        let at = turn.within(Duration(backoff * 98 / 100), Duration(backoff * 102 / 100));
        self.communicate_at = Some(at.min(turn.now + self.session_timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::node::Effects;
    use crate::wire::messages::BrokerRegistrationResponse;
    use crate::wire::{Body, Request, code};

    const C1: NodeId = NodeId::controller(1);

    struct Broker {
        life: BrokerLifecycle,
        effects: Effects,
        now: Instant,
    }

    impl Broker {
        fn start() -> Broker {
            let mut effects = Effects::new(1);
            let config = BrokerConfig::default();
            let now = Instant::ZERO;
            let life = BrokerLifecycle::new(BrokerId(1), None, None, &config, &mut Turn::new(now, &mut effects));
            let mut broker = Broker { life, effects, now };
            broker.ring();
            broker
        }

        /// Waits for the next alarm.
        fn ring(&mut self) -> LifecycleEvent {
            self.now = self.life.next_alarm().expect("something to do").0.max(self.now);
            self.life.poll(&mut Turn::new(self.now, &mut self.effects), Some(C1), Offset(7))
        }

        fn answer(&mut self, response: impl Into<Response>) -> LifecycleEvent {
            let (_, envelope) = self.effects.sends.remove(0);
            let mut turn = Turn::new(self.now, &mut self.effects);
            self.life.handle_response(&mut turn, C1, envelope.correlation, &response.into()).expect("its own")
        }

        fn sent(&self) -> &Request {
            assert_eq!(self.effects.sends.len(), 1, "one request at a time");
            let Body::Request(request) = &self.effects.sends[0].1.body else { panic!("a request") };
            request
        }

        fn heartbeat(&self) -> &BrokerHeartbeatRequest {
            let Request::BrokerHeartbeat(heartbeat) = self.sent() else { panic!("a heartbeat") };
            heartbeat
        }

        fn registered() -> Broker {
            let mut broker = Broker::start();
            let answer = BrokerRegistrationResponse::default().with_broker_epoch(5);
            assert_eq!(broker.answer(answer), LifecycleEvent::Registered);
            broker.ring();
            broker
        }

        fn running() -> Broker {
            let mut broker = Broker::registered();
            let caught_up = BrokerHeartbeatResponse::default().with_is_caught_up(true).with_is_fenced(true);
            assert_eq!(broker.answer(caught_up), LifecycleEvent::CaughtUp);
            broker.life.set_ready_to_unfence(&Turn::new(broker.now, &mut broker.effects));
            broker.ring();
            assert_eq!(broker.answer(beat(false)), LifecycleEvent::Unfenced);
            broker
        }
    }

    fn beat(fenced: bool) -> BrokerHeartbeatResponse {
        BrokerHeartbeatResponse::default().with_is_caught_up(true).with_is_fenced(fenced)
    }

    #[test]
    fn a_broker_registers_catches_up_and_is_unfenced() {
        let mut broker = Broker::registered();
        assert_eq!(broker.life.broker_epoch(), BrokerEpoch(5));
        let heartbeat = broker.heartbeat();
        assert!(heartbeat.want_fence, "it is not ready yet");
        assert_eq!((heartbeat.broker_epoch, heartbeat.current_metadata_offset), (5, 7));
        assert_eq!(broker.answer(BrokerHeartbeatResponse::default().with_is_fenced(true)), LifecycleEvent::Nothing);
        broker.ring();
        assert_eq!(broker.now, Instant::from_millis(10), "it asks again soon");
        assert_eq!(broker.answer(beat(true)), LifecycleEvent::CaughtUp);
        broker.life.set_ready_to_unfence(&Turn::new(broker.now, &mut broker.effects));
        broker.ring();
        assert!(!broker.heartbeat().want_fence);
        assert_eq!(broker.answer(beat(false)), LifecycleEvent::Unfenced);
        assert_eq!(broker.life.state(), BrokerState::Running);
        broker.ring();
        assert_eq!(broker.now, Instant::from_millis(2_010), "heartbeats come every two seconds");
    }

    #[test]
    fn a_refused_registration_is_repeated_ever_more_slowly_by_the_same_incarnation() {
        let mut broker = Broker::start();
        let mut last = broker.now;
        for attempt in 0..5 {
            let Request::BrokerRegistration(request) = broker.sent() else { panic!("a registration") };
            assert_eq!(request.incarnation_id, broker.life.incarnation());
            let refused = code(Some(ErrorCode::DuplicateBrokerRegistration));
            broker.answer(BrokerRegistrationResponse::default().with_error_code(refused));
            broker.ring();
            let pause = broker.now - last;
            let expected = 100 << attempt;
            assert!((expected * 98 / 100..=expected * 102 / 100).contains(&pause.millis()), "{pause}");
            last = broker.now;
        }
        let told = broker.effects.facts.iter().filter(|fact| matches!(fact, Fact::RegistrationRefused { .. }));
        let again: Vec<bool> = told.map(|fact| !fact.matters()).collect();
        assert_eq!(again, [false, true, true, true, true], "it is news once");
        assert_eq!(broker.life.refused(), Some(ErrorCode::DuplicateBrokerRegistration));
        broker.answer(BrokerRegistrationResponse::default());
        assert_eq!(broker.life.refused(), None);
    }

    #[test]
    fn a_broker_that_never_reaches_a_controller_gives_up_after_a_minute() {
        let mut effects = Effects::new(1);
        let config = BrokerConfig::default();
        let mut life =
            BrokerLifecycle::new(BrokerId(1), None, None, &config, &mut Turn::new(Instant::ZERO, &mut effects));
        let mut event = LifecycleEvent::Nothing;
        let mut now = Instant::ZERO;
        while let Some((at, _)) = life.next_alarm() {
            assert!(at >= now);
            now = at;
            event = life.poll(&mut Turn::new(now, &mut effects), None, Offset(-1));
        }
        assert_eq!((event, now), (LifecycleEvent::ShutDown, Instant::from_secs(60)));
    }

    #[test]
    fn a_controlled_shutdown_waits_for_the_controllers_leave() {
        let mut broker = Broker::running();
        let event = broker.life.begin_controlled_shutdown(&Turn::new(broker.now, &mut broker.effects));
        assert_eq!(event, LifecycleEvent::Nothing);
        broker.ring();
        assert!(broker.heartbeat().want_shut_down);
        let asked = broker.now;
        assert_eq!(broker.answer(beat(false)), LifecycleEvent::Nothing);
        broker.ring();
        assert_eq!(broker.now - asked, Duration::from_millis(50));
        assert_eq!(broker.answer(beat(true).with_should_shut_down(true)), LifecycleEvent::ShutDown);
        assert_eq!(broker.life.next_alarm(), None);
    }

    #[test]
    fn what_falls_due_during_a_heartbeat_is_sent_right_after_it() {
        let mut broker = Broker::running();
        broker.ring();
        broker.life.begin_controlled_shutdown(&Turn::new(broker.now, &mut broker.effects));
        broker.ring();
        assert!(!broker.heartbeat().want_shut_down, "still the one before");
        broker.answer(beat(false));
        let before = broker.now;
        broker.ring();
        assert_eq!(broker.now, before);
        assert!(broker.heartbeat().want_shut_down);
    }
}
