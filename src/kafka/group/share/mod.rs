//! Share groups (KIP-932): members read the same partitions together, and what they are to do with
//! each record the partition's leader keeps. The coordinator only knows who is in the group and who
//! reads which partitions; nobody gives anything up before another gets it. A partition is assigned
//! when its share-group state has been initialised, which the persister does.

mod alter;
pub mod group;
mod heartbeat;
mod leave;
pub mod persister;
pub mod records;
pub mod state;

pub(in crate::kafka::group) use alter::{alter_error, answer_altering};
pub use group::{ShareGroup, ShareGroupState, ShareMember};
pub(in crate::kafka::group) use heartbeat::heartbeat_error;
pub(in crate::kafka::group) use leave::{forget_topic, state_initialized};
