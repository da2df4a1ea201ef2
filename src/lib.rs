//! Highwater: a Kafka cluster in a browser tab that you can break, rewind and trust.

#[cfg(target_arch = "wasm32")]
pub mod ui;
