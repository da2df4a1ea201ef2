//! Groups of the consumer protocol (KIP-848): the coordinator assigns, and each member converges on
//! its target by itself. Three epochs tell how far everything is: that of the group, raised whenever
//! there has to be another target; that of the target; and that of each member.

mod change;
mod classic;
pub mod group;
mod heartbeat;
mod leave;
pub mod member;
pub mod migration;
pub mod reconcile;
pub mod records;
mod regex;

pub use change::named;
pub use group::{ConsumerGroup, ConsumerGroupState};
pub(in crate::kafka::group) use heartbeat::heartbeat_error;
pub use member::{ConsumerMember, MemberState};
