//! What Kafka is, without input or output: every node is a value that takes one input and
//! answers with a turn of effects.

pub mod broker;
pub mod client;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod fact;
pub mod group;
pub mod log;
pub mod node;
pub mod quorum;
pub mod replica;
pub mod share;
pub mod share_coordinator;
pub mod transaction;
