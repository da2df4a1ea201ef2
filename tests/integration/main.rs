//! The native integration tests: golden cases, scripts, laws, the import table.

mod bad_scripts;
mod brokers;
mod command;
mod golden;
mod golden_classic_group_states;
mod golden_compaction;
mod golden_controller;
mod golden_hw_isr;
mod golden_java_string_hash_coordinator;
mod golden_leader_epoch_cache;
mod golden_list_offsets;
mod golden_murmur2;
mod golden_offset_commit_fetch;
mod golden_offset_reset;
mod golden_partition_election;
mod golden_producer_state;
mod golden_raft_votes;
mod golden_range_assignor;
mod golden_roundrobin_assignor;
mod golden_segments_retention;
mod golden_truncation;
mod log_cases;
mod partition_cases;
mod quorum_cases;
mod small_cluster;
