//! The observer of the metadata quorum: one leader for an epoch, one vote for a voter, one log for all.

use crate::kafka::log::Log;
use crate::kafka::quorum::{Quorum, QuorumDisk, QuorumRole};
use crate::sim::actor::Actor;
use crate::sim::properties::Finder;
use crate::sim::properties::property::Property;
use crate::sim::properties::written::{Conflict, Written};
use crate::sim::world::World;
use crate::sorted::SortedMap;
use crate::wire::{ControllerId, LeaderEpoch, NodeId, Offset};

/// What was seen of a node last.
#[derive(Clone, Copy, Debug, PartialEq)]
struct View {
    epoch: LeaderEpoch,
    leader: Option<ControllerId>,
    leads: bool,
    role: QuorumRole,
    voted: Option<ControllerId>,
    log_end: Offset,
    high_watermark: Option<Offset>,
    image: Option<Offset>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct QuorumWatch {
    written: Written<NodeId>,
    leaders: SortedMap<LeaderEpoch, ControllerId>,
    views: SortedMap<NodeId, View>,
    /// The first vote of each node in its newest epoch with one.
    votes: SortedMap<NodeId, (LeaderEpoch, ControllerId)>,
    /// The high watermark that each node's process has known.
    marks: SortedMap<NodeId, Offset>,
}

/// Whether anything of the node's part in the quorum differs from what was seen last.
pub(super) fn is_new(watch: &QuorumWatch, world: &World, node: NodeId) -> bool {
    let Some((view, _)) = view_of(world, node) else { return false };
    watch.views.get(&node) != Some(&view)
}

/// Whether a controller has a vote, as it knows itself.
fn is_voter(world: &World, node: NodeId) -> bool {
    let NodeId::Controller(id) = node else { return false };
    let quorum = world.controller(id).and_then(|controller| controller.quorum());
    quorum.is_some_and(|quorum| quorum.voters().contains(&id))
}

/// Up to where a majority of the voters, as this node knows them, has the same log as it.
fn held_by_most(world: &World, node: NodeId, log: &Log) -> Offset {
    let NodeId::Controller(id) = node else { return Offset::ZERO };
    let Some(quorum) = world.controller(id).and_then(|controller| controller.quorum()) else { return Offset::ZERO };
    let newest = log.epochs().last().map(|(epoch, _)| *epoch);
    let end = |voter: &ControllerId| {
        let log = world.controller(*voter).map(|controller| &controller.disk.log);
        // Logs that end in one epoch are the same up to the shorter one's end.
        log.filter(|log| log.epochs().last().map(|(epoch, _)| *epoch) == newest).map_or(Offset::ZERO, Log::log_end)
    };
    let mut ends: Vec<Offset> = quorum.voters().iter().map(end).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.get(ends.len() / 2).copied().unwrap_or(Offset::ZERO)
}

fn view_of(world: &World, node: NodeId) -> Option<(View, &Log)> {
    let (quorum, disk, image) = match &*world.member(node)?.actor {
        Actor::Controller(controller) => (controller.quorum()?, &controller.disk, controller.image()),
        Actor::Broker(broker) => (broker.process()?.quorum(), &broker.disk().quorum, broker.image()),
        _ => return None,
    };
    Some((view(quorum, disk, image.map(|image| image.offset)), &disk.log))
}

fn view(quorum: &Quorum, disk: &QuorumDisk, image: Option<Offset>) -> View {
    View {
        epoch: disk.epoch,
        leader: quorum.named_leader(),
        leads: quorum.is_leader(),
        role: quorum.role(),
        voted: disk.voted,
        log_end: disk.log.log_end(),
        high_watermark: quorum.known_high_watermark(),
        image,
    }
}

impl QuorumWatch {
    /// A node took a turn after which something of its part is new.
    pub fn look_at(&mut self, finder: &mut Finder<'_>, node: NodeId, pre_vote: Option<LeaderEpoch>) {
        let Some((view, log)) = view_of(finder.world, node) else { return };
        let before = self.views.insert(node, view);
        self.check_election(finder, node, before, view);
        self.check_vote(finder, node, view);
        let harmless = before.zip(pre_vote).is_none_or(|(before, epoch)| is_harmless(before, view, epoch));
        if !harmless {
            finder.broken(
                Property::PreVoteIsHarmless,
                None,
                format!("{node} was asked in epoch {} and moved", view.epoch),
            );
        }
        if !is_sane(node, view) {
            let text = format!("{node} is {:?} and names {:?} as leader", view.role, view.leader);
            finder.broken(Property::RoleSanity, None, text);
        }
        let end_before = before.map_or(Offset::ZERO, |before| before.log_end);
        if view.log_end < end_before
            && let Some(cut) = self.written.truncated(node, view.log_end)
        {
            let text = format!("{node} truncates to {}, and had the committed record at {cut}", view.log_end);
            finder.broken(Property::MetadataHighWatermark, None, text);
        }
        if view.log_end > end_before {
            let appended = self.written.appended(node, log, end_before.max(log.log_start()), view.leads);
            report(finder, Property::MetadataLogMatching, node, appended);
        }
        if view.leads && before.is_none_or(|before| !before.leads || before.epoch != view.epoch) {
            let complete = self.written.agree(node, log, self.written.end());
            report(finder, Property::MetadataLeaderCompleteness, node, complete);
        }
        // A leader that took itself out of the voters commits that and resigns in one turn, and then
        // knows of no high watermark any more (KIP-853; ResignedState).
        // One that lost its majority before leaves without having committed it.
        if before.is_some_and(|before| before.leads) && !view.leads && !is_voter(finder.world, node) {
            let most = held_by_most(finder.world, node, log);
            let committed = self.written.commit(node, log, most.min(view.log_end), |_| {});
            report(finder, Property::StateMachineSafety, node, committed);
        }
        self.check_mark(finder, node, view, log);
    }

    /// A process ended; the files stay unless the disk went with it.
    pub fn ended(&mut self, finder: &Finder<'_>, node: NodeId, wiped: bool) {
        self.marks.remove(&node);
        if wiped {
            self.views.remove(&node);
            self.votes.remove(&node);
            self.written.truncated(node, Offset::ZERO);
            return;
        }
        let end = match finder.world.member(node).map(|member| &*member.actor) {
            Some(Actor::Broker(broker)) => broker.disk().quorum.log.log_end(),
            Some(Actor::Controller(controller)) => controller.disk.log.log_end(),
            _ => return,
        };
        if let Some(view) = self.views.get_mut(&node).filter(|view| view.log_end > end) {
            view.log_end = end;
            self.written.truncated(node, end);
        }
    }

    fn check_election(&mut self, finder: &mut Finder<'_>, node: NodeId, before: Option<View>, view: View) {
        if let Some(before) = before.filter(|before| before.epoch > view.epoch) {
            let text = format!("{node}: epoch {} → {}", before.epoch, view.epoch);
            finder.broken(Property::QuorumEpochMonotonic, None, text);
        }
        let Some(leader) = view.leader else { return };
        let first = *self.leaders.entry(view.epoch).or_insert(leader);
        if first != leader {
            let text = format!("epoch {}: {node} names {leader}, and {first} was named before", view.epoch);
            finder.broken(Property::ElectionSafety, None, text);
        }
    }

    fn check_vote(&mut self, finder: &mut Finder<'_>, node: NodeId, view: View) {
        let Some(voted) = view.voted else { return };
        match self.votes.get(&node) {
            Some((epoch, first)) if *epoch == view.epoch => {
                if *first != voted {
                    let text = format!("{node} voted for {first} and for {voted} in epoch {epoch}");
                    finder.broken(Property::OneVote, None, text);
                }
            }
            _ => drop(self.votes.insert(node, (view.epoch, voted))),
        }
    }

    fn check_mark(&mut self, finder: &mut Finder<'_>, node: NodeId, view: View, log: &Log) {
        let Some(mark) = view.high_watermark else { return };
        let before = self.marks.insert(node, mark);
        if let Some(before) = before.filter(|before| *before > mark) {
            let text = format!("{node}: {before} → {mark}");
            finder.broken(Property::MetadataHighWatermark, None, text);
        }
        if before == Some(mark) {
            return;
        }
        let agrees =
            if view.leads { self.written.commit(node, log, mark, |_| {}) } else { self.written.agree(node, log, mark) };
        report(finder, Property::StateMachineSafety, node, agrees);
        let too_far = (mark > self.written.end()) || view.image.is_some_and(|image| image >= mark);
        if too_far {
            let text = format!(
                "{node} holds all below {mark} for committed and acts on {}; a leader committed all below {}",
                view.image.unwrap_or(Offset::UNKNOWN),
                self.written.end()
            );
            finder.broken(Property::StateMachineSafety, None, text);
        }
    }
}

/// A pre-vote changes neither epoch nor vote nor leader of who is asked, unless it tells of a newer epoch.
fn is_harmless(before: View, after: View, asked_in: LeaderEpoch) -> bool {
    asked_in > before.epoch || (before.epoch, before.voted, before.leader) == (after.epoch, after.voted, after.leader)
}

/// Brokers only observe; who leads names itself, who stands for election names nobody it leads for.
fn is_sane(node: NodeId, view: View) -> bool {
    let me = match node {
        NodeId::Controller(id) => Some(id),
        _ => None,
    };
    match view.role {
        QuorumRole::Observer => !view.leads,
        QuorumRole::Leader | QuorumRole::Resigned => me.is_some() && view.leader == me,
        QuorumRole::Candidate => me.is_some() && view.leader.is_none() && view.voted == me,
        QuorumRole::Follower => me.is_some() && view.leader.is_some() && view.leader != me,
        QuorumRole::Prospective | QuorumRole::Unattached => {
            me.is_some() && (view.leader.is_none() || view.leader != me)
        }
    }
}

fn report(finder: &mut Finder<'_>, property: Property, node: NodeId, result: Result<(), Conflict>) {
    if let Err(conflict) = result {
        finder.broken(property, None, format!("the metadata log of {node} {}", conflict.text()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C1: ControllerId = ControllerId(1);
    const C2: ControllerId = ControllerId(2);

    fn follower() -> View {
        View {
            epoch: LeaderEpoch(5),
            leader: Some(C2),
            leads: false,
            role: QuorumRole::Follower,
            voted: None,
            log_end: Offset(9),
            high_watermark: Some(Offset(9)),
            image: None,
        }
    }

    #[test]
    fn a_pre_vote_that_moves_a_node_is_found() {
        let before = follower();
        assert!(is_harmless(before, before, LeaderEpoch(5)));
        assert!(is_harmless(before, View { log_end: Offset(10), ..before }, LeaderEpoch(5)));
        let newer = View { epoch: LeaderEpoch(6), leader: None, role: QuorumRole::Unattached, ..before };
        assert!(is_harmless(before, newer, LeaderEpoch(6)), "a newer epoch is news");
        assert!(!is_harmless(before, newer, LeaderEpoch(5)));
        assert!(!is_harmless(before, View { voted: Some(C1), ..before }, LeaderEpoch(5)), "a pre-vote is no vote");
        assert!(!is_harmless(before, View { leader: None, ..before }, LeaderEpoch(5)));
    }

    #[test]
    fn roles_that_cannot_be_are_found() {
        let (c1, broker) = (NodeId::Controller(C1), NodeId::Broker(crate::wire::BrokerId(1)));
        let view = |role, leader, voted| View { role, leader, voted, leads: role == QuorumRole::Leader, ..follower() };
        assert!(is_sane(c1, view(QuorumRole::Follower, Some(C2), None)));
        assert!(is_sane(c1, view(QuorumRole::Leader, Some(C1), None)));
        assert!(is_sane(broker, view(QuorumRole::Observer, Some(C2), None)));
        assert!(!is_sane(broker, view(QuorumRole::Candidate, None, Some(C1))), "a broker does not stand");
        assert!(!is_sane(c1, view(QuorumRole::Leader, Some(C2), None)), "a leader has no other leader");
        assert!(!is_sane(c1, view(QuorumRole::Follower, Some(C1), None)), "nobody follows itself");
        assert!(!is_sane(c1, view(QuorumRole::Candidate, Some(C2), Some(C1))), "a candidate knows of no leader");
        assert!(!is_sane(c1, view(QuorumRole::Candidate, None, Some(C2))), "a candidate votes for itself");
    }
}
