//! A broker: composition and routing of its log, replicas, quorum observer, group coordinator and
//! life cycle. When logic grows here, a room is missing.

pub mod groups;
pub mod metadata;
