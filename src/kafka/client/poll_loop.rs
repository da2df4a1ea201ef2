//! What a consumer and a share consumer do alike at every input: the network thread takes answers and
//! broken connections, then the application polls, and in the end it is known when to wake up
//! (ConsumerNetworkThread.runOnce, KafkaConsumer.poll, KafkaShareConsumer.poll).

use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::network::{InFlight, Network};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::node::{Alarm, Command, Input, Turn};
use crate::time::{Duration, Instant};
use crate::wire::{Body, ClientId, NodeId, Response};

/// How long `close()` waits for its last commit or acknowledgements (ConsumerUtils.DEFAULT_CLOSE_TIMEOUT_MS).
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The process of a consumer of one of the two kinds.
pub(super) trait PollLoop {
    /// What a request was for.
    type Purpose;
    const METADATA: Self::Purpose;

    fn id(&self) -> ClientId;

    fn network(&self) -> (&Network<Self::Purpose>, &Metadata);

    fn network_mut(&mut self) -> (&mut Network<Self::Purpose>, &mut Metadata);

    /// The heartbeat thread looks whether the last poll is too long ago; `frozen`: the node was not run
    /// for longer than `max.poll.interval.ms`.
    fn check_poll_interval(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, frozen: bool);

    fn command(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, command: Command);

    fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        request: InFlight<Self::Purpose>,
        response: &Response,
    );

    /// A request will not be answered any more.
    fn given_up(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, node: NodeId, purpose: Self::Purpose);

    /// Over and over until nothing more can be done at this instant.
    fn poll(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig);

    /// When there is something to do besides what the network and the metadata want.
    fn alarms(&self, config: &ConsumerConfig, alarms: &mut Vec<Option<(Instant, Alarm)>>);

    /// `due` is the alarm that was set.
    fn run_once(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, due: Option<(Instant, Alarm)>, input: Input) {
        let frozen = due.is_some_and(|(at, _)| at + config.max_poll_interval < turn.now);
        self.check_poll_interval(turn, config, frozen);
        match input {
            Input::Start | Input::Alarm(_) => {}
            Input::Deliver { envelope, .. } => {
                // Nobody asks a client anything.
                let Body::Response(response) = envelope.body else { return };
                if let Some(request) = self.network_mut().0.answered(envelope.correlation) {
                    self.answered(turn, config, request, &response);
                }
            }
            Input::Disconnected { peer } => {
                let lost = self.network_mut().0.disconnected(turn, peer);
                lost.into_iter().for_each(|request| self.lost(turn, config, request));
                self.network_mut().1.request_update();
            }
            Input::Command(command) => self.command(turn, config, command),
        }
        let me = NodeId::Client(self.id());
        let late = self.network_mut().0.timed_out(turn, me);
        late.into_iter().for_each(|request| self.lost(turn, config, request));
        self.poll(turn, config);
        let (network, metadata) = self.network_mut();
        metadata.maybe_refresh(network, turn, Self::METADATA);
    }

    fn lost(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, request: InFlight<Self::Purpose>) {
        self.network_mut().1.request_update();
        self.given_up(turn, config, request.to, request.purpose);
    }

    fn next_alarm(&self, now: Instant, config: &ConsumerConfig) -> Option<(Instant, Alarm)> {
        let (network, metadata) = self.network();
        let mut alarms = vec![network.next_timeout(), network.next_unblocked(now), metadata.next_refresh()];
        self.alarms(config, &mut alarms);
        // What was due and could not be done waits for an answer or for one of the later alarms.
        alarms.into_iter().flatten().filter(|(at, _)| *at > now).min()
    }
}
