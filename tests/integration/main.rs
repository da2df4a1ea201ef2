//! The native integration tests.

mod golden;
mod golden_controller;
mod golden_leader_epoch_cache;
mod golden_list_offsets;
mod golden_partition_election;
mod golden_producer_state;
mod golden_record_batch;
mod golden_replica_placement;
mod golden_segments_retention;
mod golden_truncation;
mod log_cases;
