//! How it runs: the world, its network, what a person can do to it, and what it tells.

pub mod action;
