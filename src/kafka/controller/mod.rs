//! The controller: the cluster's metadata as decide and replay (QuorumController,
//! ReplicationControlManager, ClusterControlManager).

pub mod image;
pub mod record;
