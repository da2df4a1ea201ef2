//! What applications run: producer, consumer, stream reader, admin client. They know the cluster only from the
//! answers that brokers gave them.

pub mod accumulator;
pub mod admin;
mod admin_answers;
#[cfg(test)]
mod admin_tests;
pub mod assignor;
#[cfg(test)]
mod back_off_tests;
pub mod consumer;
mod consumer_fetch;
mod consumer_group;
mod consumer_heartbeat;
#[cfg(test)]
mod consumer_protocol_tests;
mod consumer_rebalance;
#[cfg(test)]
mod consumer_tests;
#[cfg(test)]
mod cooperative_tests;
pub mod coordinator_lookup;
pub mod errors;
pub mod fetcher;
mod heartbeat;
pub mod idempotence;
pub mod membership;
pub mod metadata;
pub mod network;
mod pace;
mod packing;
pub mod partitioner;
mod poll_loop;
pub mod producer;
pub mod producer_batch;
#[cfg(test)]
mod producer_tests;
pub mod reset_offsets;
mod retries;
pub mod sender;
pub mod share_consumer;
#[cfg(test)]
mod share_consumer_tests;
mod share_fetch;
mod share_heartbeat;
mod share_records;
pub mod stream;
pub mod subscription;
#[cfg(test)]
mod testing;
pub mod transaction;
#[cfg(test)]
mod transaction_tests;

pub use admin::{Admin, OperationId, Outcome};
pub use consumer::{Consumer, DeliveredBatch};
pub use producer::Producer;
pub use sender::BatchResult;
pub use share_consumer::{ShareConsumer, ShareDelivery};
pub use stream::StreamReader;
