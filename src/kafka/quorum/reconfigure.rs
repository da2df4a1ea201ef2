//! Adding and removing voters while the quorum runs (KIP-853; AddVoterHandler, RemoveVoterHandler):
//! one change of one voter at a time, in force as soon as its record is written, answered when it is
//! committed.

use kafka_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};

use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::quorum::leader::VoterChange;
use crate::kafka::quorum::state::State;
use crate::kafka::quorum::voters::{
    control_batch, directory_id, kraft_version_record, leader_change_record, voters_record,
};
use crate::kafka::quorum::{Quorum, QuorumDisk};
use crate::wire::batch::NewRecord;
use crate::wire::{ControllerId, Correlation, ErrorCode, NodeId, Response, Uuid, str_bytes};

/// Why a change of the voters is refused: Kafka's error and what it says about it.
type Refused = (ErrorCode, String);

impl Quorum {
    pub(super) fn handle_add_voter(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &AddRaftVoterRequest,
    ) {
        let voters = self.may_change_voters("add").and_then(|()| self.with_voter(turn, request.voter_id));
        self.change_voters(disk, turn, from, correlation, true, voters);
    }

    pub(super) fn handle_remove_voter(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &RemoveRaftVoterRequest,
    ) {
        let (id, directory) = (request.voter_id, request.voter_directory_id);
        let voters = self.may_change_voters("remov").and_then(|()| self.without_voter(id, directory));
        self.change_voters(disk, turn, from, correlation, false, voters);
    }

    /// What both kinds of change need: a leader that has committed in its own epoch, and no other
    /// change under way.
    fn may_change_voters(&self, verb: &str) -> Result<(), Refused> {
        let State::Leader(leader) = &self.state else {
            return Err((ErrorCode::NotLeaderOrFollower, "This controller does not lead the quorum.".to_string()));
        };
        let timed_out = |why: &str| Err((ErrorCode::RequestTimedOut, format!("Request timed out waiting for {why}")));
        if leader.voter_change.is_some() {
            return timed_out("leader to handle previous add or remove voter request");
        }
        let Some(committed) = self.high_watermark else {
            return timed_out("leader to establish HWM and fence previous voter changes");
        };
        if !self.history.is_reconfigurable() {
            let message = format!("Cluster doesn't support {verb}ing voter because the kraft.version feature is 0");
            return Err((ErrorCode::UnsupportedVersion, message));
        }
        match self.history.latest_offset() {
            Some(offset) if offset < committed => Ok(()),
            _ => timed_out(&format!("voters to commit the latest voter change with HWM {committed}")),
        }
    }

    /// The voters with one more, who must hold what the leader has: a voter that is far behind would
    /// hold up every commit.
    fn with_voter(&self, turn: &Turn<'_>, id: i32) -> Result<Vec<ControllerId>, Refused> {
        let State::Leader(leader) = &self.state else { return Err((ErrorCode::NotLeaderOrFollower, String::new())) };
        let voters = self.voters();
        let Some(voter) = ControllerId::from_node_id(id) else {
            return Err((ErrorCode::InvalidRequest, format!("{id} is no controller")));
        };
        if voters.contains(&voter) {
            let message = format!("The voter id for {voter} is already part of the set of voters {}.", names(voters));
            return Err((ErrorCode::DuplicateVoter, message));
        }
        if !leader.is_caught_up(voter, turn.now) {
            let message = format!("Aborted add voter operation for {voter} since it is lagging behind");
            return Err((ErrorCode::RequestTimedOut, message));
        }
        Ok([voters, &[voter]].concat())
    }

    fn without_voter(&self, id: i32, directory: Uuid) -> Result<Vec<ControllerId>, Refused> {
        let voters = self.voters();
        let voter = ControllerId::from_node_id(id).filter(|voter| directory_id(*voter) == directory);
        match voter.filter(|voter| voters.contains(voter) && voters.len() > 1) {
            Some(voter) => Ok(voters.iter().copied().filter(|other| *other != voter).collect()),
            None => {
                let voter = ControllerId::from_node_id(id).map_or(id.to_string(), |voter| voter.to_string());
                let message = format!("Cannot remove voter {voter} from the set of voters {}", names(voters));
                Err((ErrorCode::VoterNotFound, message))
            }
        }
    }

    /// Writes the record of the new voters, or refuses.
    fn change_voters(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        adds: bool,
        voters: Result<Vec<ControllerId>, Refused>,
    ) {
        let voters = match voters {
            Ok(voters) => voters,
            Err((error, message)) => {
                return turn.respond(from, correlation, answer(adds, Some((error, &message))));
            }
        };
        // What was gathered before has its offsets already.
        if let State::Leader(leader) = &mut self.state
            && !leader.gathered.is_empty()
        {
            leader.drain_at = Some(turn.now);
        }
        self.write_gathered(disk, turn);
        let (offset, until) = (disk.log.log_end(), turn.now + self.timing.request_timeout);
        if let State::Leader(leader) = &mut self.state {
            leader.voter_change = Some(VoterChange { from, correlation, adds, offset, until });
        }
        let record = voters_record(&voters, turn.now.millis());
        self.write(disk, turn, vec![control_batch(&[record])]);
    }

    /// Answers a change that is committed or has taken too long. True when the leader took itself
    /// out and now gives up: until then it led a quorum that it was no part of.
    pub(super) fn settle_voter_change(&mut self, turn: &mut Turn<'_>) -> bool {
        let high_watermark = self.high_watermark;
        let State::Leader(leader) = &mut self.state else { return false };
        let Some(change) = &leader.voter_change else { return false };
        let committed = high_watermark.is_some_and(|hw| hw > change.offset);
        if !committed && change.until > turn.now {
            return false;
        }
        let (from, correlation, adds) = (change.from, change.correlation, change.adds);
        leader.voter_change = None;
        let late = (ErrorCode::RequestTimedOut, "");
        turn.respond(from, correlation, answer(adds, (!committed).then_some(late)));
        if committed && !self.is_voter() {
            self.become_resigned(turn);
            return true;
        }
        false
    }

    /// A leader that is none any more cannot say what becomes of a change under way.
    pub(super) fn abandon_voter_change(&mut self, turn: &mut Turn<'_>) {
        if let State::Leader(leader) = &mut self.state
            && let Some(change) = leader.voter_change.take()
        {
            let refused = (ErrorCode::NotLeaderOrFollower, "");
            turn.respond(change.from, change.correlation, answer(change.adds, Some(refused)));
        }
    }

    /// The log has something new: perhaps a record of the voters. It counts at once, before it is
    /// committed, for leader and followers alike.
    pub(super) fn voters_may_have_changed(&mut self, disk: &QuorumDisk, turn: &mut Turn<'_>) {
        if self.history.read(disk) {
            self.voters_changed(turn);
        }
    }

    pub(super) fn voters_changed(&mut self, turn: &mut Turn<'_>) {
        let voters = self.voters().to_vec();
        if let State::Leader(leader) = &mut self.state {
            leader.set_voters(&voters, turn.now, self.timing.fetch_timeout);
            turn.tell(Fact::QuorumVotersChanged { voters, epoch: self.epoch });
        }
    }

    /// The records that begin an epoch. The first leader of a quorum also writes down the voters
    /// that its bootstrap checkpoint named, for everyone who has none.
    pub(super) fn epoch_start_records(&self, timestamp: i64) -> Vec<NewRecord> {
        let (State::Leader(leader), Some(me)) = (&self.state, self.local) else { return Vec::new() };
        let mut records = vec![leader_change_record(me, self.voters(), &leader.granting, timestamp)];
        if self.history.is_reconfigurable() && self.history.latest_offset().is_none() {
            records.push(kraft_version_record(timestamp));
            records.push(voters_record(self.voters(), timestamp));
        }
        records
    }
}

fn answer(adds: bool, refused: Option<(ErrorCode, &str)>) -> Response {
    let error = refused.map_or(0, |(error, _)| error.code());
    let message = refused.map(|(_, message)| str_bytes(message)).filter(|message| !message.is_empty());
    if adds {
        AddRaftVoterResponse::default().with_error_code(error).with_error_message(message).into()
    } else {
        RemoveRaftVoterResponse::default().with_error_code(error).with_error_message(message).into()
    }
}

fn names(voters: &[ControllerId]) -> String {
    let names: Vec<String> = voters.iter().map(ControllerId::to_string).collect();
    format!("[{}]", names.join(", "))
}
