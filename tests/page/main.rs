//! The finished page, used as a person would, in a real browser.
//!
//! `cargo xtask test page` builds and serves the page, starts the browser's driver and runs all that stands here
//! but `firefox`, which is `cargo xtask test firefox`, and `screenshots` and `frames`, which are
//! `cargo xtask screenshots` and `cargo xtask bench`. `hands` tests that the tests themselves see and touch rightly.
#![cfg(not(target_arch = "wasm32"))]

mod access;
mod browser;
mod changes;
mod console;
mod contract;
mod firefox;
mod focus;
mod forms;
mod frames;
mod hands;
mod instruments;
mod lessons;
mod metrics;
mod mischief;
mod room;
mod scale;
mod scenario;
mod screenshots;
