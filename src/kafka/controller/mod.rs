//! The controller: the cluster's metadata as decide and replay (QuorumController,
//! ReplicationControlManager, ClusterControlManager).

pub mod ahead;
mod brokers;
mod codec;
mod configs;
pub mod decide;
pub mod election;
pub mod image;
pub mod liveness;
pub mod placement;
pub mod reassignment;
pub mod record;
mod replication;
mod topics;
