//! Highwater: a Kafka cluster in a browser tab that you can break, rewind and trust.
//!
//! The brokers, controllers and clients of Apache Kafka 4.2 as a deterministic simulation: ordinary
//! Rust that runs natively and, compiled to WebAssembly, drives the page. The same script and seed
//! lead to the same state on every machine.
//!
//! # Code map, in reading order
//!
//! > `wire` is what Kafka nodes say to each other; `kafka` says what Kafka is; `sim` runs it;
//! > `scenario` asks for it in text; `history` remembers and finds again; `view` decides what
//! > there is to see; `ui` shows it; `lesson` tells a story with it.
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`time`], [`rng`] | virtual instants in microseconds; a portable seeded generator |
//! | [`sorted`] | ordered maps and sets, small in memory and in the download |
//! | [`packed`] | long lists whose old elements are written down small |
//! | [`wire`] | ids, error codes, envelopes, record batches: a thin face on the crate `kafka-protocol` |
//! | [`kafka::node`] | the contract of a node: one [`Input`](kafka::node::Input) in, one [`Turn`](kafka::node::Turn) of effects out |
//! | [`kafka::config`] | Kafka's settings with their names, defaults, ranges and reasons |
//! | [`kafka::log`] | one replica's log: segments, indexes, epochs, producer state, retention, compaction |
//! | [`kafka::replica`] | a log with a role: leader, follower, ISR, high watermark, truncation |
//! | [`kafka::quorum`] | KRaft: electing a controller and replicating the metadata log |
//! | [`kafka::controller`] | the cluster's metadata: decided by the active controller, replayed by everybody |
//! | [`kafka::coordinator`] | what all coordinators have in common: writes on their way into the log, the fields of records |
//! | [`kafka::group`] | the group coordinator: members, rebalances by both protocols, committed offsets |
//! | [`kafka::transaction`] | the transaction coordinator: transactional ids, decisions, markers |
//! | [`kafka::share`] | a share partition: who has acquired which records, and what became of them |
//! | [`kafka::share_coordinator`] | the share coordinator: the state of share partitions, kept for the next leader |
//! | [`kafka::broker`] | a broker put together from these, and its life: start, registration, shutdown |
//! | [`kafka::client`] | producer, consumer, stream reader and admin client |
//! | [`kafka::fact`] | what is worth telling, in sentences |
//! | [`sim`] | the world: all nodes, the network between them, faults, the fate of every record, the metrics |
//! | [`scenario`] | the script language: read, print, check, conditions, links |
//! | [`history`] | a run remembered: steps, snapshots, samples of the metrics, seeking, branches, playback |
//! | [`view`] | what there is to see, as plain data; also the JSON of the command line |
//! | `ui` | the page (only for `wasm32`): the one room that knows a browser |
//! | [`lesson`] | the lessons: scripts with parts, prose, questions and goals |
//! | `command` | the native command `highwater` |
//!
//! # The way of the data
//!
//! Text is read into a [`Script`](scenario::script::Script). A [`History`](history::History) boots
//! its [`World`](sim::World) and, step by step, does what is due first: the next script line, the
//! next delivery, the next alarm, in that order at equal times. A step hands one input to one node.
//! The node changes only itself and leaves messages and facts in its turn; the world files the
//! messages in the network with the instant of their delivery and gives each fact its cause. The
//! page turns elapsed real time into a virtual instant, the history yields the world of that
//! instant, `view` turns it into plain values, and Yew draws what changed. A click becomes a line of
//! the script. Nothing flows backwards.
//!
//! # Invariants
//!
//! - **The script is the truth**, a run is a pure function of it, and snapshots are only a cache.
//!   No verb of the script sets a field: each is something a person could do to a real cluster.
//! - **Determinism.** No room below `ui` reads a clock, and none draws a random number but from the
//!   world's seeded generator. What is compared, hashed, printed or iterated is ordered and of fixed
//!   width: no hash order, no floats, no `usize`.
//! - **Decide, then replay.** The controller and the coordinators decide on
//!   records and change by replaying them, so a failover is a replay on another node.
//! - **What survives a crash is a type.** A broker is a disk and perhaps a process; a kill drops the
//!   process, lost power also what was not flushed.
//! - **Protocol timing is never bent.** Defaults are Kafka's own; only playback has a speed.
//! - **Every fact names its cause**, so "why?" is answered by walking back.
//! - Who may import whom is a table in `tests/integration/imports.rs`, and the five laws
//!   (determinism, seeking is replaying, a fork shares its past, text is faithful, native equals
//!   WebAssembly) are tests over every script.
//! - What differs from Apache Kafka stands in `SIMPLIFICATIONS.md`; what is not there is faithful.
#![warn(rustdoc::broken_intra_doc_links)]

#[cfg(not(target_arch = "wasm32"))]
pub mod command;
pub mod history;
pub mod kafka;
pub mod lesson;
pub mod packed;
pub mod rng;
pub mod scenario;
pub mod sim;
pub mod sorted;
pub mod time;
#[cfg(target_arch = "wasm32")]
pub mod ui;
pub mod view;
pub mod wire;
