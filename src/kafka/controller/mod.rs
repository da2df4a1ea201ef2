//! The controller: the cluster's metadata as decide and replay (QuorumController,
//! ReplicationControlManager, ClusterControlManager).

mod codec;
pub mod image;
pub mod record;
