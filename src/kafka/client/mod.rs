//! What applications run: producer, consumer, admin client.

pub mod assignor;
