//! Highwater: a Kafka cluster in a browser tab that you can break, rewind and trust.
//!
//! # Code map, in reading order
//!
//! > `wire` is what Kafka nodes say to each other; `kafka` says what Kafka is; `sim` runs it;
//! > `scenario` asks for it in text; `history` remembers and finds again; `view` decides what
//! > there is to see; `ui` shows it; `lesson` tells a story with it.

#[cfg(not(target_arch = "wasm32"))]
pub mod command;
pub mod history;
pub mod kafka;
pub mod lesson;
pub mod rng;
pub mod scenario;
pub mod sim;
pub mod time;
#[cfg(target_arch = "wasm32")]
pub mod ui;
pub mod view;
pub mod wire;
