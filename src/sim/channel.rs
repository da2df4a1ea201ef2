//! The connections between two nodes. Each part of a node that talks has one of its own, as in
//! Kafka, so that one which is slow or broken holds up no other.

use crate::sim::network::Payload;
use crate::wire::{ApiKey, NodeId};

/// A part of the sender, by what it talks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A client's NetworkClient; between brokers a replica fetcher; to a controller the quorum's own client (RaftManager).
    Main,
    /// A consumer's connection to its coordinator (ConsumerCoordinator gives it a node id of its own).
    Coordinator,
    /// BrokerLifecycleManager's channel to the controller.
    Lifecycle,
    /// AlterPartitionManager's channel to the controller.
    AlterPartition,
    /// What a broker forwards or asks for on somebody's behalf (ForwardingManager, producer ids).
    Forwarding,
    /// AddPartitionsToTxnManager's channel to the transaction coordinators.
    AddPartitions,
    /// TransactionMarkerChannelManager's channel to the partition leaders.
    TxnMarkers,
    /// PersisterStateManager's channel to the share coordinators.
    ShareState,
}

impl Channel {
    /// The one that a message between these two takes; news of a broken connection concerns them all.
    pub fn of(from: NodeId, to: NodeId, payload: &Payload) -> Channel {
        match payload {
            Payload::Message(envelope) => Channel::between(from, to, envelope.api()),
            Payload::Reset => Channel::Main,
        }
    }

    pub fn between(from: NodeId, to: NodeId, api: ApiKey) -> Channel {
        let is_client = |node| matches!(node, NodeId::Client(_));
        let is_controller = |node| matches!(node, NodeId::Controller(_));
        match api {
            ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup
            | ApiKey::ConsumerGroupHeartbeat
            | ApiKey::ShareGroupHeartbeat
            | ApiKey::OffsetCommit
            | ApiKey::OffsetFetch => Channel::Coordinator,
            _ if is_client(from) || is_client(to) => Channel::Main,
            ApiKey::AddPartitionsToTxn => Channel::AddPartitions,
            ApiKey::WriteTxnMarkers => Channel::TxnMarkers,
            ApiKey::FindCoordinator
            | ApiKey::InitializeShareGroupState
            | ApiKey::ReadShareGroupState
            | ApiKey::WriteShareGroupState
            | ApiKey::DeleteShareGroupState
            | ApiKey::ReadShareGroupStateSummary => Channel::ShareState,
            ApiKey::BrokerRegistration | ApiKey::BrokerHeartbeat => Channel::Lifecycle,
            ApiKey::AlterPartition => Channel::AlterPartition,
            _ if is_controller(from) && is_controller(to) => Channel::Main,
            ApiKey::Fetch | ApiKey::OffsetForLeaderEpoch | ApiKey::Vote => Channel::Main,
            _ if is_controller(from) || is_controller(to) => Channel::Forwarding,
            _ => Channel::Main,
        }
    }
}
