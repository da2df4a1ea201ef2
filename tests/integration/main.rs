//! The native integration tests: golden cases, scripts, laws, the import table.

mod bad_scripts;
mod command;
mod golden_errors_and_defaults;
