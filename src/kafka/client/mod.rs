//! What applications run: producer, consumer, admin client. They know the cluster only from the
//! answers that brokers gave them.

pub mod accumulator;
pub mod assignor;
pub mod errors;
pub mod idempotence;
pub mod metadata;
pub mod network;
pub mod partitioner;
pub mod producer;
#[cfg(test)]
mod producer_tests;
pub mod sender;
#[cfg(test)]
mod testing;

pub use producer::Producer;
pub use sender::BatchResult;
