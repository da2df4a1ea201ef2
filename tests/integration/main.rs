//! The native integration tests: one binary.

mod golden_controller;
mod golden_partition_election;
mod golden_replica_placement;
