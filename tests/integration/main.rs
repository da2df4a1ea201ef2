//! One native binary for everything that runs whole rooms together.

mod golden_hw_isr;
mod golden_truncation;
mod partition_cases;
