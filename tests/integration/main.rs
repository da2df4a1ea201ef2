//! The native integration tests: golden cases, scripts, laws, the import table.

mod imports;
