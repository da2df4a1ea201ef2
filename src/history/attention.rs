//! What follow mode keeps its eye on: for how long slow motion is worth it, and whether the cluster
//! has yet to react to what was done to it.

use crate::history::History;
use crate::sim::queries::BrokerCondition;
use crate::sim::{InFlight, Payload, Power, World};
use crate::time::{Duration, Instant};
use crate::wire::{ApiKey, Body, Request, Response};

/// So much real time of slow motion follows a person's act.
const AFTER_AN_ACT: Duration = Duration::from_millis(3_500);
/// And so much a turn of the story, such as an election.
const AFTER_A_TURN: Duration = Duration::from_millis(1_000);
/// All of a story's slow motion together, in real time.
const OF_A_STORY: Duration = Duration::from_millis(8_000);
/// A story ends so long after its act, in virtual time: longer than any of Kafka's default timeouts
/// that it may have to wait for (45 s for a consumer's session).
const STORY: Duration = Duration::from_secs(60);

/// A viewer's patience for slow motion. It is real time, and no part of the run.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Attention {
    /// Slow motion that is left of the present scene, and of the whole story.
    scene: Duration,
    story: Duration,
    /// The last act and the last step that were noticed.
    act: Option<Instant>,
    steps: u64,
}

impl Attention {
    /// Notices what is new at the viewed instant: acts and turns of the story wake it.
    pub(super) fn look(&mut self, history: &History) {
        let act = history.last_act();
        if act != self.act {
            self.act = act;
            if act.is_some() {
                self.scene = AFTER_AN_ACT;
                self.story = OF_A_STORY;
            }
        }
        let position = history.position();
        let from = self.steps.min(position);
        let new = history.steps_from(from);
        let ahead = history.count() - position;
        if self.is_in_story(history)
            && new[..new.len().saturating_sub(ahead as usize)]
                .iter()
                .any(|step| step.events.iter().any(|event| event.fact.matters()))
        {
            self.scene = self.scene.max(AFTER_A_TURN);
        }
        self.steps = position;
    }

    pub(super) fn spend(&mut self, real: Duration) {
        self.scene = Duration((self.scene.0 - real.0).max(0));
        self.story = Duration((self.story.0 - real.0).max(0));
    }

    /// Whether what travels is watched in slow motion.
    pub(super) fn is_awake(&self) -> bool {
        self.scene > Duration::ZERO && self.story > Duration::ZERO
    }

    /// Whether an act is so recent that its consequences may still come.
    pub(super) fn is_in_story(&self, history: &History) -> bool {
        history.last_act().is_some_and(|act| history.now().since(act) < STORY)
    }
}

pub(super) fn something_travels(world: &World) -> bool {
    world.network().in_flight().any(|message| tells_a_story(world, message))
}

/// Set off by a person's act, just sent, sure to arrive, and not one of the cluster's empty rounds.
fn tells_a_story(world: &World, message: &InFlight) -> bool {
    message.cause.is_some_and(|cause| cause.root.is_some())
        && world.now.since(message.sent_at) < Duration::from_secs(1)
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

/// Whether something that was done to the cluster has not had its effect yet: a silent broker that
/// the controller still counts on, a live one on its way back, a replica or a group behind.
pub(super) fn is_unsettled(world: &World) -> bool {
    world.active_controller().is_none()
        || brokers_are_unsettled(world)
        || world.producers().any(|(_, producer)| producer.pending() > 0)
        || partitions_are_unsettled(world)
        || groups_are_unsettled(world)
        || world.streams().any(|(_, member, stream)| {
            member.power == Power::Running && !member.frozen && stream.checkpoint().planned().is_some()
        })
}

fn brokers_are_unsettled(world: &World) -> bool {
    world.brokers().any(|(id, _, _)| {
        let counted_on = world.image().brokers.get(&id).is_some_and(|broker| !broker.fenced);
        match world.broker_condition(id) {
            Some(BrokerCondition::Alive) | None => false,
            Some(BrokerCondition::Dead | BrokerCondition::Frozen) => counted_on,
            Some(BrokerCondition::Starting | BrokerCondition::Fenced | BrokerCondition::ShuttingDown) => true,
        }
    })
}

/// A live replica outside the ISR catches up; one inside that lags behind will be left out.
fn partitions_are_unsettled(world: &World) -> bool {
    world.partitions().filter(|(partition, _)| !partition.is_internal()).any(|(partition, registration)| {
        let Some(leader) = registration.leader else { return false };
        let end = |broker| Some(world.broker(broker)?.log(&partition)?.log_end());
        let end_of_leader = end(leader);
        registration.replicas.iter().filter(|replica| **replica != leader).any(|replica| {
            let alive = world.broker_condition(*replica) == Some(BrokerCondition::Alive);
            alive && (!registration.isr.contains(replica) || end(*replica) < end_of_leader)
        })
    })
}

fn groups_are_unsettled(world: &World) -> bool {
    world.group_names().iter().filter_map(|name| Some((name, world.group(name)?))).any(|(name, group)| {
        let running = world.consumers().filter(|(_, member, consumer)| {
            consumer.group() == name && member.power == Power::Running && !member.frozen && consumer.is_running()
        });
        let stable = matches!(group.state.name(), "Stable" | "Empty" | "Dead");
        !stable || group.members.len() != running.count()
    })
}
