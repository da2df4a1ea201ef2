//! The finished page, used as a person would, in a real browser.
//!
//! `cargo xtask test page` builds and serves the page, starts the browser's driver and runs what
//! stands in `scenario`, `access`, `contract`, `instruments`, `lessons`, `metrics`, `scale`, `changes` and `mischief`, `cargo xtask test firefox` what stands in `firefox` (and, in `hands`, that the tests themselves see and
//! touch rightly); `cargo xtask screenshots` and `cargo xtask bench` run the others.
#![cfg(not(target_arch = "wasm32"))]

mod access;
mod browser;
mod changes;
mod contract;
mod firefox;
mod forms;
mod frames;
mod hands;
mod instruments;
mod lessons;
mod metrics;
mod mischief;
mod scale;
mod scenario;
mod screenshots;
