//! The one native integration binary.

mod golden_range_assignor;
mod golden_roundrobin_assignor;
