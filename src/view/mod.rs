//! What there is to see, as plain data in the viewer's words: comparable, so that the page draws
//! only what changed, and serializable, so that the command line can print it.

pub mod cards;
pub mod events;
pub mod flights;
pub mod forms;
pub mod futures;
pub mod guarantees;
pub mod inspect;
pub mod links;
pub mod metadata_log;
pub mod metrics;
pub mod outcome;
pub mod partitions;
pub mod replicas;
pub mod report;
pub mod settings;
pub mod shares;
pub mod stage;
pub mod story;
pub mod streams;
pub mod timeline;
pub mod transactions;
pub mod why;
