//! Who the voters are: as configured (kraft.version 0), or as the newest VotersRecord of the log
//! says, committed or not (KIP-853; VoterSetHistory, KRaftControlRecordStateMachine).

use kafka_protocol::messages::leader_change_message::Voter as ChangeVoter;
use kafka_protocol::messages::voters_record::{Endpoint, KRaftVersionFeature, Voter};
use kafka_protocol::messages::{BrokerId, KRaftVersionRecord, LeaderChangeMessage, VotersRecord};
use kafka_protocol::protocol::{Decodable, Encodable};

use bytes::BytesMut;

use crate::kafka::quorum::QuorumDisk;
use crate::wire::batch::{Batch, BatchHeader, ControlType, NewRecord, Record};
use crate::wire::{ControllerId, Offset, Uuid, str_bytes};

/// The only level of `kraft.version` that has voters in the log.
pub const RECONFIGURABLE: i16 = 1;

/// The port that every controller listens on.
const PORT: u16 = 9093;

/// The voter sets of the log, the oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VoterHistory {
    /// Before any record: the configured voters, or those of the bootstrap checkpoint.
    initial: Vec<ControllerId>,
    /// Where each VotersRecord stands, with its voters in order.
    changes: Vec<(Offset, Vec<ControllerId>)>,
    /// The log was read up to here.
    read_to: Offset,
    /// Whether records may change the voters (kraft.version 1).
    reconfigurable: bool,
}

impl VoterHistory {
    /// What the disk says; `configured` counts only where it was not formatted with voters.
    pub fn of(configured: &[ControllerId], disk: &QuorumDisk) -> VoterHistory {
        let initial = disk.bootstrap.as_deref().unwrap_or(configured);
        let mut history = VoterHistory {
            initial: sorted(initial.to_vec()),
            changes: Vec::new(),
            read_to: Offset::ZERO,
            reconfigurable: disk.bootstrap.is_some(),
        };
        history.read(disk);
        history
    }

    /// Takes in what the log has beyond what was read. True when the voters are others now.
    pub fn read(&mut self, disk: &QuorumDisk) -> bool {
        if !self.reconfigurable {
            return false;
        }
        let before = self.latest().to_vec();
        if self.read_to < disk.log.log_start() {
            // The log begins with a snapshot: it speaks for everything before.
            self.changes.clear();
            self.read_to = disk.log.log_start();
            if let Some(snapshot) = disk.snapshots.iter().rev().find(|snapshot| snapshot.id.end >= self.read_to)
                && let Some(voters) = snapshot.voters()
            {
                self.changes.push((snapshot.id.end + -1, voters));
            }
        }
        for batch in disk.log.batches(self.read_to) {
            self.changes.extend(voters_of(&batch));
        }
        self.read_to = disk.log.log_end();
        before != self.latest()
    }

    /// The log was cut off at `end`. True when the voters are others now.
    pub fn truncate(&mut self, end: Offset) -> bool {
        let before = self.latest().to_vec();
        self.changes.retain(|(offset, _)| *offset < end);
        self.read_to = self.read_to.min(end);
        before != self.latest()
    }

    pub fn is_reconfigurable(&self) -> bool {
        self.reconfigurable
    }

    pub fn latest(&self) -> &[ControllerId] {
        self.changes.last().map_or(&self.initial, |(_, voters)| voters)
    }

    /// Where the latest voters stand in the log; `None`: in no record yet.
    pub fn latest_offset(&self) -> Option<Offset> {
        self.changes.last().map(|(offset, _)| *offset)
    }

    /// The voters by the records below `end`.
    pub fn before(&self, end: Offset) -> &[ControllerId] {
        let known = self.changes.iter().rev().find(|(offset, _)| *offset < end);
        known.map_or(&self.initial, |(_, voters)| voters)
    }
}

/// The id of a controller's log directory. Highwater derives it from the controller: a controller's
/// disk is never replaced.
pub fn directory_id(controller: ControllerId) -> Uuid {
    Uuid::from_u128(0x6469_7265_6374_4f72_8000_0000_0000_0000 | u128::from(controller.0.unsigned_abs()))
}

/// The voters that the records of a control batch name, each with the record's offset.
fn voters_of(batch: &Batch) -> Vec<(Offset, Vec<ControllerId>)> {
    if !batch.is_control() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for record in batch.records().unwrap_or_default() {
        let kind = record.key.as_ref().and_then(|key| ControlType::from_key(key));
        if kind == Some(ControlType::KRaftVoters)
            && let Some(voters) = record.value.clone().and_then(|mut value| VotersRecord::decode(&mut value, 0).ok())
        {
            let ids = voters.voters.iter().filter_map(|voter| ControllerId::from_node_id(voter.voter_id.0));
            found.push((Offset(record.offset), sorted(ids.collect())));
        }
    }
    found
}

/// What a record of the quorum's own says: Kafka's name of its type, and words. `None` for those of
/// a later Kafka.
pub fn control_record_text(record: &Record) -> Option<(&'static str, String)> {
    let mut value = record.value.clone()?;
    Some(match ControlType::from_key(record.key.as_ref()?)? {
        ControlType::LeaderChange => {
            let message = LeaderChangeMessage::decode(&mut value, 0).ok()?;
            let granting = message.granting_voters.iter().map(|voter| voter.voter_id);
            let leader = names([message.leader_id.0].into_iter());
            ("LeaderChangeMessage", format!("leader {leader}, elected by {}", names(granting)))
        }
        ControlType::KRaftVersion => {
            let message = KRaftVersionRecord::decode(&mut value, 0).ok()?;
            ("KRaftVersionRecord", format!("kraft.version = {}", message.k_raft_version))
        }
        ControlType::KRaftVoters => {
            let message = VotersRecord::decode(&mut value, 0).ok()?;
            ("VotersRecord", names(message.voters.iter().map(|voter| voter.voter_id.0)))
        }
        ControlType::SnapshotHeader => ("SnapshotHeaderRecord", String::new()),
        ControlType::SnapshotFooter => ("SnapshotFooterRecord", String::new()),
        ControlType::Abort | ControlType::Commit => return None,
    })
}

fn names(nodes: impl Iterator<Item = i32>) -> String {
    let name = |node: i32| ControllerId::from_node_id(node).map_or(node.to_string(), |id| id.to_string());
    nodes.map(name).collect::<Vec<_>>().join(", ")
}

/// The voters that a snapshot's own control records name.
pub(super) fn voters_in(batches: &[Batch]) -> Option<Vec<ControllerId>> {
    batches.iter().flat_map(voters_of).last().map(|(_, voters)| voters)
}

/// The record that names the voters.
pub(super) fn voters_record(voters: &[ControllerId], timestamp: i64) -> NewRecord {
    let voter = |id: &ControllerId| {
        let endpoint = Endpoint::default()
            .with_name(str_bytes("CONTROLLER"))
            .with_host(str_bytes(&format!("controller-{}", id.0)))
            .with_port(PORT);
        let versions =
            KRaftVersionFeature::default().with_min_supported_version(0).with_max_supported_version(RECONFIGURABLE);
        Voter::default()
            .with_voter_id(BrokerId(id.node_id()))
            .with_voter_directory_id(directory_id(*id))
            .with_endpoints(vec![endpoint])
            .with_k_raft_version_feature(versions)
    };
    let record = VotersRecord::default().with_version(0).with_voters(voters.iter().map(voter).collect());
    ControlType::KRaftVoters.record(timestamp, encode(&record))
}

/// The record that says that the log names the voters.
pub(super) fn kraft_version_record(timestamp: i64) -> NewRecord {
    let record = KRaftVersionRecord::default().with_version(0).with_k_raft_version(RECONFIGURABLE);
    ControlType::KRaftVersion.record(timestamp, encode(&record))
}

/// The record that begins an epoch (LeaderState.appendStartOfEpochControlRecords).
pub(super) fn leader_change_record(
    leader: ControllerId,
    voters: &[ControllerId],
    granting: &[ControllerId],
    timestamp: i64,
) -> NewRecord {
    let named =
        |ids: &[ControllerId]| ids.iter().map(|id| ChangeVoter::default().with_voter_id(id.node_id())).collect();
    let message = LeaderChangeMessage::default()
        .with_leader_id(BrokerId(leader.node_id()))
        .with_voters(named(voters))
        .with_granting_voters(named(granting));
    ControlType::LeaderChange.record(timestamp, encode(&message))
}

/// A control batch of the metadata log, which has no producers.
pub(super) fn control_batch(records: &[NewRecord]) -> Batch {
    let header = BatchHeader { control: true, ..BatchHeader::PLAIN };
    Batch::build(&header, records)
}

pub(super) fn encode(message: &impl Encodable) -> bytes::Bytes {
    let mut value = BytesMut::new();
    message.encode(&mut value, 0).expect("a control record that this room built encodes in version 0");
    value.freeze()
}

fn sorted(mut voters: Vec<ControllerId>) -> Vec<ControllerId> {
    voters.sort_unstable();
    voters.dedup();
    voters
}
