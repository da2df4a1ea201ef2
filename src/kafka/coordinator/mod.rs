//! What all coordinators of a broker have in common (CoordinatorRuntime): each is a state machine over
//! the partitions of one internal topic. Who leads a partition coordinates its keys, what it decides
//! goes into the partition's log, and only when that is committed is anybody answered. A failover is
//! that the next leader reads the log.
//!
//! The broker drives them through `Coordinator`, which whoever is a `StateMachine` is; `Runtime` keeps
//! their writes on the way.

pub mod flexible;
pub mod plain;
pub mod record;

mod runtime;
mod state_machine;

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::node::Turn;
use crate::wire::batch::{Batch, BatchHeader, NewRecord};
use crate::wire::{
    Correlation, ErrorCode, LeaderEpoch, NodeId, OFFSETS_TOPIC, Offset, ProducerId, Response, SHARE_STATE_TOPIC,
    TRANSACTION_TOPIC, TopicName, partition_of_key, topic_name,
};

pub use runtime::{Runtime, Write};
pub use state_machine::{Log, Logged, StateMachine};

/// Which coordinator; a FIND_COORDINATOR names it by the number (FindCoordinatorRequest.CoordinatorType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorType {
    Group = 0,
    Transaction = 1,
    Share = 2,
}

impl CoordinatorType {
    pub const ALL: [CoordinatorType; 3] =
        [CoordinatorType::Group, CoordinatorType::Transaction, CoordinatorType::Share];

    /// The topic that it keeps its state in.
    pub fn topic(self) -> &'static str {
        match self {
            CoordinatorType::Group => OFFSETS_TOPIC,
            CoordinatorType::Transaction => TRANSACTION_TOPIC,
            CoordinatorType::Share => SHARE_STATE_TOPIC,
        }
    }

    pub fn of_topic(topic: &TopicName) -> Option<CoordinatorType> {
        CoordinatorType::ALL.into_iter().find(|kind| kind.topic() == topic.0.as_str())
    }

    pub fn of_key_type(key_type: i8) -> Option<CoordinatorType> {
        CoordinatorType::ALL.into_iter().find(|kind| *kind as i8 == key_type)
    }
}

/// A coordinator as the broker drives it. Partitions are those of its topic.
pub trait Coordinator {
    /// The leader epoch in which this broker coordinates the partition, once it is loaded.
    fn leader_epoch(&self, partition: i32) -> Option<LeaderEpoch>;

    /// This broker leads the partition now: load it from its log, with the metadata as it is. The high
    /// watermark is to be reported (`committed`) right afterwards.
    fn elected(
        &mut self,
        turn: &mut Turn<'_>,
        image: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        log: &mut dyn Iterator<Item = Batch>,
    );

    /// It does not lead it any more: whoever waits is told NOT_COORDINATOR.
    fn resigned(&mut self, turn: &mut Turn<'_>, partition: i32);

    /// What to append; the broker appends each in order and calls `appended` for each.
    fn take_appends(&mut self) -> Vec<Append>;

    /// How an append of the partition ended: the offset of its first record.
    fn appended(&mut self, turn: &mut Turn<'_>, partition: i32, result: Result<Offset, ErrorCode>);

    /// The high watermark of the partition moved: what waited for it has happened.
    fn committed(&mut self, turn: &mut Turn<'_>, partition: i32, high_watermark: Offset);
}

/// A batch that a coordinator wants appended to its partition, acks=all.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub partition: i32,
    pub batch: Bytes,
    /// Whose transaction it belongs to.
    pub producer: Option<ProducerId>,
}

impl Append {
    /// Records outside of any transaction.
    pub fn plain(partition: i32, records: &[NewRecord]) -> Append {
        Append { partition, batch: Batch::build(&BatchHeader::PLAIN, records).bytes().clone(), producer: None }
    }
}

/// Where the answer to a waiting request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub to: NodeId,
    pub correlation: Correlation,
}

impl Reply {
    pub fn send(self, turn: &mut Turn<'_>, response: impl Into<Response>) {
        turn.respond(self.to, self.correlation, response);
    }
}

/// The partition of the topic that a key belongs to; `partitions` are there to be when the topic is made.
pub fn partition_of(image: &MetadataImage, kind: CoordinatorType, partitions: i32, key: &str) -> i32 {
    let topic = image.topics.get(&topic_name(kind.topic()));
    partition_of_key(key, topic.map_or(partitions, |topic| topic.partitions.len() as i32))
}

/// What a failed write means to whoever waits for it (CoordinatorOperationExceptionHelper,
/// TransactionStateManager.appendTransactionToLog).
pub fn write_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
