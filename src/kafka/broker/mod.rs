//! A broker: composition and routing of its log, replicas, quorum observer, group coordinator and
//! life cycle. When logic grows here, a room is missing.

pub mod alter_partition;
pub mod controller_channel;
pub mod forwarding;
pub mod lifecycle;
pub mod producer_ids;
pub mod groups;
pub mod metadata;
