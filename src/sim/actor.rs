//! Whatever takes turns: the one place that lists the kinds of nodes.

use crate::kafka::broker::{Broker, ProcessState};
use crate::kafka::client::{Admin, Consumer, Producer, ShareConsumer, StreamReader};
use crate::kafka::controller::Controller;
use crate::kafka::node::{Alarm, Node};
use crate::kafka::quorum::Quorum;
use crate::time::Instant;

/// A node of any kind.
#[allow(clippy::large_enum_variant, reason = "every actor lies behind a shared pointer of its own")]
#[derive(Clone, Debug, PartialEq)]
pub enum Actor {
    Broker(Broker),
    Controller(Controller),
    Producer(Producer),
    Consumer(Consumer),
    ShareConsumer(ShareConsumer),
    Stream(StreamReader),
    Admin(Admin),
}

impl Actor {
    pub(super) fn node(&mut self) -> &mut dyn Node {
        match self {
            Actor::Broker(node) => node,
            Actor::Controller(node) => node,
            Actor::Producer(node) => node,
            Actor::Consumer(node) => node,
            Actor::ShareConsumer(node) => node,
            Actor::Stream(node) => node,
            Actor::Admin(node) => node,
        }
    }

    pub(super) fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        match self {
            Actor::Broker(node) => node.next_alarm(),
            Actor::Controller(node) => node.next_alarm(),
            Actor::Producer(node) => node.next_alarm(),
            Actor::Consumer(node) => node.next_alarm(),
            Actor::ShareConsumer(node) => node.next_alarm(),
            Actor::Stream(node) => node.next_alarm(),
            Actor::Admin(node) => node.next_alarm(),
        }
    }

    /// Whether its process runs (it may have ended itself after a controlled shutdown).
    pub(super) fn is_running(&self) -> bool {
        match self {
            Actor::Broker(node) => node.is_running(),
            Actor::Controller(node) => node.is_running(),
            Actor::Producer(node) => node.is_running(),
            Actor::Consumer(node) => node.is_running(),
            Actor::ShareConsumer(node) => node.is_running(),
            Actor::Stream(node) => node.is_running(),
            Actor::Admin(_) => true,
        }
    }

    /// Whether its process is on its way to its end by itself: a controlled shutdown, a `close()`.
    pub(super) fn is_ending(&self) -> bool {
        match self {
            Actor::Broker(node) => node.state() == ProcessState::ShuttingDown,
            Actor::Controller(node) => node.quorum().is_some_and(Quorum::is_shutting_down),
            Actor::Producer(node) => node.is_closing(),
            Actor::Consumer(node) => node.is_closing(),
            Actor::ShareConsumer(node) => node.is_closing(),
            Actor::Stream(_) | Actor::Admin(_) => false,
        }
    }

    /// Its process dies; false for one that is never killed.
    pub(super) fn kill(&mut self) -> bool {
        match self {
            Actor::Broker(node) => node.kill(),
            Actor::Controller(node) => node.kill(),
            Actor::Producer(node) => node.kill(),
            Actor::Consumer(node) => node.kill(),
            Actor::ShareConsumer(node) => node.kill(),
            Actor::Stream(node) => node.kill(),
            Actor::Admin(_) => return false,
        }
        true
    }
}
