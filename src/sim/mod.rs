//! How it runs: the world, its network, what a person can do to it, and what it tells.

pub mod act;
pub mod action;
pub mod actor;
mod admin;
mod boot;
pub mod channel;
mod connection;
pub mod digest;
mod disk;
pub mod event;
mod faults;
pub mod ledger;
mod look_up;
mod loss;
pub mod metrics;
pub mod network;
mod outcomes;
pub mod properties;
pub mod queries;
mod stories;
pub mod world;

pub use act::{Acted, AdminOp};
pub use action::{Action, ClusterSetup, Refused};
pub use actor::Actor;
pub use digest::Digest;
pub use event::{Cause, Event, EventId, MessageId, Step};
pub use ledger::{Again, Anomaly, AnomalyKind, Ledger};
pub use loss::LossCause;
pub use network::{InFlight, Network, Payload};
pub use properties::{Broken, Properties, Property};
pub use world::{ADMIN, Member, Power, World};
