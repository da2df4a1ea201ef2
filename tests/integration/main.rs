//! The native integration tests.

mod golden;
mod golden_compaction;
mod golden_leader_epoch_cache;
mod golden_list_offsets;
mod golden_log_truncation;
mod golden_producer_state;
mod golden_record_batch;
mod golden_raft_votes;
mod quorum_cases;
mod golden_segments_retention;

mod log_cases;
