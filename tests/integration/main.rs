//! The one native integration binary.

mod golden;
mod golden_range_assignor;
mod golden_record_batch;
mod golden_roundrobin_assignor;
