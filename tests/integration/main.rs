//! The native integration tests.

mod golden;
mod golden_record_batch;
