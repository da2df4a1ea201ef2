//! The native integration tests: golden cases, scripts, laws, the import table.

mod imports;
//! The one native integration binary.

mod golden_range_assignor;
mod golden_roundrobin_assignor;
//! The native integration tests.

mod golden;
mod golden_record_batch;
