//! The JSON of `highwater run --format json`.
