//! The native integration tests: golden cases, scripts, laws, the import table.

mod golden_classic_group_states;
mod golden_java_string_hash_coordinator;
mod golden_offset_commit_fetch;
mod golden_range_assignor;
mod golden_roundrobin_assignor;
