//! The native integration tests.

mod golden;
mod golden_record_batch;
mod golden_raft_votes;
mod quorum_cases;
