//! The one native integration binary.

mod golden;
mod golden_builtin_partitioner;
mod golden_murmur2;
mod golden_range_assignor;
mod golden_record_batch;
mod golden_roundrobin_assignor;
