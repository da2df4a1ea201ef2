//! KRaft's Raft: electing a leader among the controllers and replicating the metadata log by the
//! followers' fetches (KafkaRaftClient, QuorumState). Controllers are voters; brokers observe.

use bytes::Bytes;

use crate::kafka::config::BrokerConfig;
use crate::kafka::log::Log;
use crate::kafka::node::{Alarm, Turn};
use crate::time::Instant;
use crate::wire::batch::Batch;
use crate::wire::{ControllerId, Correlation, LeaderEpoch, NodeId, Offset, Request, Response};

/// What survives a crash: the quorum-state file and the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub struct QuorumDisk {
    pub epoch: LeaderEpoch,
    pub leader: Option<ControllerId>,
    pub voted: Option<ControllerId>,
    pub log: Log,
}

/// What a node is in the quorum at this moment, for the picture and for JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumRole {
    Unattached,
    Prospective,
    Candidate,
    Leader,
    Follower,
    Resigned,
    Observer,
}

/// One node's part in the quorum. The disk is handed in with every call.
#[derive(Clone, Debug, PartialEq)]
pub struct Quorum {
    // the owner of this room fills it in
}

#[allow(unused_variables)]
impl QuorumDisk {
    pub fn new() -> QuorumDisk {
        todo!()
    }
}

#[allow(unused_variables)]
impl Quorum {
    /// A process starts with this disk. `me` is a voter if it stands in `voters`, else an observer.
    pub fn start(
        me: NodeId,
        voters: &[ControllerId],
        config: &BrokerConfig,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
    ) -> Quorum {
        todo!()
    }

    /// VOTE, BEGIN_QUORUM_EPOCH, END_QUORUM_EPOCH, and FETCH of the metadata topic.
    pub fn handle_request(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        request: &Request,
    ) {
        todo!()
    }

    /// True if the response answered a request of this part (by correlation).
    pub fn handle_response(
        &mut self,
        disk: &mut QuorumDisk,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> bool {
        todo!()
    }

    pub fn disconnected(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, peer: NodeId) {
        todo!()
    }

    /// Fires everything of this part that is due.
    pub fn alarm(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        todo!()
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        todo!()
    }

    /// The leader appends one batch of metadata records (already encoded values); the offset of the
    /// first one. `None` when this node does not lead.
    pub fn append(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>, records: &[Bytes]) -> Option<Offset> {
        todo!()
    }

    /// The leader gives up (shutdown, or the controller failed): EndQuorumEpoch to the others.
    pub fn resign(&mut self, disk: &mut QuorumDisk, turn: &mut Turn<'_>) {
        todo!()
    }

    /// The committed batches that this node has not handed out yet, in order; control batches too.
    /// Called after every input; cheap when there is nothing.
    pub fn take_committed(&mut self, disk: &QuorumDisk) -> Vec<Batch> {
        todo!()
    }

    pub fn role(&self) -> QuorumRole {
        todo!()
    }

    pub fn epoch(&self) -> LeaderEpoch {
        todo!()
    }

    /// The quorum's leader as this node knows it.
    pub fn leader(&self) -> Option<ControllerId> {
        todo!()
    }

    pub fn is_leader(&self) -> bool {
        self.role() == QuorumRole::Leader
    }

    /// First metadata offset not known to be committed.
    pub fn high_watermark(&self) -> Offset {
        todo!()
    }

    /// Where the leader's epoch began: its LeaderChange record (leader only).
    pub fn epoch_start_offset(&self) -> Offset {
        todo!()
    }
}
