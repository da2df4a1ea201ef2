//! Tells stories with the cluster.

/// What opens when nothing else is asked for.
pub const FIRST_MINUTE: &str = include_str!("first_minute.hw");
