//! The native integration tests: golden cases, scripts, laws, the import table.

mod imports;
//! The one native integration binary.

mod golden;
mod golden_leader_epoch_cache;
mod golden_list_offsets;
mod golden_producer_state;
mod golden_record_batch;
mod golden_segments_retention;
mod golden_truncation;
mod log_cases;
mod golden_builtin_partitioner;
mod golden_murmur2;
mod golden_range_assignor;
mod golden_record_batch;
mod golden_roundrobin_assignor;
//! The native integration tests: one binary.

mod golden_partition_election;
mod golden_replica_placement;
