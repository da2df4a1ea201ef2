//! The controller: the cluster's metadata as decide and replay (QuorumController,
//! ReplicationControlManager, ClusterControlManager).

mod codec;
pub mod election;
pub mod image;
pub mod placement;
pub mod reassignment;
pub mod record;
