//! How fast virtual time passes for the one who looks. Protocol timing is never bent: only this is.

use crate::history::History;
use crate::sim::{EventId, InFlight, Payload, World};
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, Body, Request, Response};

/// Virtual microseconds per real second.
const REAL_TIME: i64 = 1_000_000;
/// While something that a person set off travels: a flight of half a millisecond takes half a second.
const TRAVELLING: i64 = 1_000;
/// While a story is open and nothing of it travels, time runs ever faster, up to this.
const IDLE_MAX: i64 = 20 * REAL_TIME;
/// How quickly it gathers speed: doubled in so many real microseconds.
const IDLE_DOUBLING: i64 = 300_000;
/// How long after a person's act (in virtual time) its consequences are followed.
const STORY: Duration = Duration::from_secs(40);

/// The slowest and the fastest fixed speed, in virtual microseconds per real second.
pub const SLOWEST: i64 = REAL_TIME / 1_000;
pub const FASTEST: i64 = REAL_TIME * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Slow while something that a person set off travels, fast through the stretches between.
    Follow,
    /// So many virtual microseconds per real second.
    Fixed(i64),
}

/// Whether and how time passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Playback {
    pub playing: bool,
    pub speed: Speed,
    /// Virtual time owed in billionths of a microsecond's share: what rounding left over.
    remainder: i64,
    /// The present idle speed of follow mode.
    idle: i64,
}

impl Default for Playback {
    fn default() -> Playback {
        Playback { playing: false, speed: Speed::Follow, remainder: 0, idle: REAL_TIME }
    }
}

impl Playback {
    /// Moves the viewed instant on by what `real` elapsed time is worth.
    pub fn tick(&mut self, history: &mut History, real: Duration) {
        if !self.playing {
            return;
        }
        // A tab that slept does not catch up: it goes on.
        let real = Duration(real.0.min(100_000));
        let rate = self.rate(history, real);
        let owed = rate * real.0 + self.remainder;
        self.remainder = owed % 1_000_000;
        let target = history.now() + Duration(owed / 1_000_000);
        match self.speed {
            Speed::Fixed(_) => history.seek(target),
            Speed::Follow => seek_until_something_travels(history, target),
        }
    }

    /// The speed at this moment, in virtual microseconds per real second.
    pub fn rate(&mut self, history: &History, real: Duration) -> i64 {
        let Speed::Follow = self.speed else {
            let Speed::Fixed(rate) = self.speed else { unreachable!("there are two kinds of speed") };
            return rate.clamp(SLOWEST, FASTEST);
        };
        if something_travels(history.world()) {
            self.idle = REAL_TIME;
            return TRAVELLING;
        }
        if !story_is_open(history) {
            self.idle = REAL_TIME;
            return REAL_TIME;
        }
        self.idle = (self.idle + self.idle * real.0 / IDLE_DOUBLING).min(IDLE_MAX);
        self.idle
    }
}

/// Goes on to `target`, but not past the moment when something worth watching sets off.
fn seek_until_something_travels(history: &mut History, target: Instant) {
    if something_travels(history.world()) || history.is_in_past() {
        history.seek(target);
        return;
    }
    while history.extend(target) {
        if something_travels(history.world()) {
            return;
        }
    }
}

fn something_travels(world: &World) -> bool {
    world.network().in_flight().any(|message| tells_a_story(world, message))
}

/// Set off by a person's act, on its way, and not one of the cluster's empty rounds.
pub fn tells_a_story(world: &World, message: &InFlight) -> bool {
    let recent = |_root: EventId| world.now.since(message.sent_at) < Duration::from_secs(1);
    message.cause.and_then(|cause| cause.root).is_some_and(recent)
        && message.deliver_at < Instant::FAR_FUTURE
        && carries_something(message)
}

/// Whether a message is more than an empty fetch or a heartbeat.
pub fn carries_something(message: &InFlight) -> bool {
    let Payload::Message(envelope) = &message.payload else { return true };
    match &envelope.body {
        Body::Request(
            Request::Fetch(_) | Request::Heartbeat(_) | Request::BrokerHeartbeat(_) | Request::Metadata(_),
        ) => false,
        Body::Response(Response::Fetch(fetch)) => {
            fetch.responses.iter().flat_map(|topic| &topic.partitions).any(|partition| {
                partition.records.as_ref().is_some_and(|records| !records.is_empty()) || partition.error_code != 0
            })
        }
        Body::Response(Response::Heartbeat(heartbeat)) => heartbeat.error_code != 0,
        Body::Response(Response::BrokerHeartbeat(_) | Response::Metadata(_)) => false,
        _ => envelope.api() != ApiKey::OffsetCommit,
    }
}

/// Whether a person's act is so recent that its consequences may still come.
fn story_is_open(history: &History) -> bool {
    history.last_act().is_some_and(|act| history.now().since(act) < STORY)
}
