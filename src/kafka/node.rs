//! One way in, one way out: the contract between a node and the world that runs it.
//!
//! A node is a value. It is handed one [`Input`] together with a [`Turn`], changes only itself,
//! and leaves its effects (messages to send, facts worth telling) in the turn. It reads no clock
//! and draws no random number except through the turn. Its timers are fields that hold an
//! absolute instant; [`Node::next_alarm`] says which is due first, and the world comes back with
//! that [`Alarm`] at that instant.

use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::fact::Fact;
use crate::rng::Rng;
use crate::time::{Duration, Instant, Rate};
use crate::wire::{
    AcknowledgeType, Correlation, Envelope, GroupId, LeaderEpoch, NodeId, Offset, Request, Response, StrBytes,
    TopicPartition, str_bytes,
};

/// What a node does when the world turns to it.
pub trait Node {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input);

    /// The earliest instant at which the node wants to be woken, and why. `None`: only when
    /// something arrives. Must not be costly: the world asks after every step of the node.
    fn next_alarm(&self) -> Option<(Instant, Alarm)>;
}

/// The one way in.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The process starts with what its disk kept (the disk is already the node's own).
    Start,
    /// A message arrives.
    Deliver { from: NodeId, envelope: Envelope },
    /// The connection to a node broke (its process died, or it refused the connection): every
    /// request in flight to it is lost. A silent peer (cut off, frozen, powered off) gives no such
    /// notice: then only the request's own timeout tells.
    Disconnected { peer: NodeId },
    /// The instant that `next_alarm` named has come. A node fires everything that is due.
    Alarm(Alarm),
    /// The application calls the client, or the operator asks a process to shut down.
    Command(Command),
}

/// Why a node wants to be woken. Names only say what the picture and the chain of causes show: a
/// node keeps the instants in its own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// When to stand for election: nobody led the quorum for an election timeout (KRaft).
    Election,
    /// When to doubt the quorum's leader: no successful fetch for a fetch timeout (KRaft).
    QuorumFetchTimeout,
    /// When to resign: no majority of voters fetched from this leader (KRaft check-quorum).
    CheckQuorum,
    /// When to write the gathered metadata records (`controller.quorum.append.linger.ms`).
    AppendLinger,
    /// When to send the next request of the quorum, or to repeat one.
    QuorumRequest,
    /// When to answer a fetch that waits at the quorum's leader.
    QuorumFetchWait,
    /// When to write a no-op record so that the metadata log's time moves on.
    NoOpRecord,
    /// When to fence a broker whose session ran out.
    BrokerSession,
    /// When to look for leaders that should give way to the preferred replica.
    LeaderRebalance,
    /// When to send the broker's next heartbeat (or its registration) to the controller.
    BrokerHeartbeat,
    /// When a request of this node gets no answer any more.
    RequestTimeout,
    /// When to look for followers that fell out of sync.
    IsrShrink,
    /// When to write the high watermark checkpoint.
    HighWatermarkCheckpoint,
    /// When to repeat an AlterPartition request.
    AlterPartitionRetry,
    /// When a follower's fetcher sends again after a back-off.
    FetcherBackoff,
    /// When a waiting produce or fetch is answered with what there is.
    DelayedOperation,
    /// When to look for segments to delete.
    LogRetention,
    /// When to flush the log.
    LogFlush,
    /// When to compact.
    LogCleaner,
    /// When to forget idempotent producers that were silent for long.
    ProducerExpiry,
    /// When a group's join phase, a member's session or a pending member ends.
    Group,
    /// When to look for committed offsets that have expired.
    OffsetsExpiry,
    /// When a transaction coordinator looks for transactions that are open for too long, gives up a
    /// write, or sends markers again.
    Transaction,
    /// When to forget transactional ids that nobody used for long.
    TransactionalIdExpiry,
    /// When the share coordinator gives up waiting for a write.
    ShareCoordinator,
    /// When a member of a share group loses records that it did not acknowledge in time.
    AcquisitionLock,
    /// When a producer's batch has waited `linger.ms`.
    Linger,
    /// When a client tries again after a back-off.
    RetryBackoff,
    /// When a client refreshes its metadata.
    MetadataRefresh,
    /// When a record has not been delivered in `delivery.timeout.ms`.
    DeliveryTimeout,
    /// When the application's next `poll()` is.
    Poll,
    /// When the application's next `poll()` is overdue (`max.poll.interval.ms`).
    PollInterval,
    /// When the member's next heartbeat to its group is.
    GroupHeartbeat,
    /// When the application sends the next record of a `load`.
    Load,
    /// When a broker that stops in a controlled way gives up waiting.
    Shutdown,
}

/// What an application or an operator asks of a node from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `KafkaProducer.send`.
    Send(ProducerRecord),
    /// A call of the producer's about its transaction.
    Transaction(TxnCall),
    /// Steady traffic from this producer: so many records at this rate, until `until`.
    Load {
        topic: crate::wire::TopicName,
        rate: Rate,
        keys: u32,
        size: u32,
        until: Instant,
    },
    /// `KafkaConsumer.seek` and its lazy relatives.
    Seek {
        partition: TopicPartition,
        to: SeekTo,
    },
    /// `KafkaConsumer.commitSync` of the current positions.
    Commit,
    /// `KafkaShareConsumer.acknowledge`: of one record, or of all that have not been acknowledged yet.
    Acknowledge {
        record: Option<(TopicPartition, Offset)>,
        kind: AcknowledgeType,
    },
    Pause,
    Resume,
    /// From the next poll on the application takes so long for each record.
    Handle {
        each: Duration,
    },
    /// `close()`: the client leaves in good order.
    Close,
    /// A controlled shutdown (SIGTERM) of a broker or controller.
    Shutdown,
    /// An administrative request, sent by the admin client to whoever serves it.
    Admin(Box<Request>),
    /// `kafka-consumer-groups --reset-offsets --topic … --execute`, by the admin client; of a share group
    /// `kafka-share-groups`.
    ResetOffsets {
        share: bool,
        group: crate::wire::StrBytes,
        topic: crate::wire::TopicName,
        to: OffsetTarget,
    },
}

/// What an application calls of its producer to have several writes happen together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub enum TxnCall {
    Init,
    Begin,
    /// A consumer's positions become part of the transaction.
    Offsets(Box<TxnOffsets>),
    Commit,
    Abort,
}

impl TxnCall {
    /// KafkaProducer's own name of it.
    pub fn name(&self) -> &'static str {
        match self {
            TxnCall::Init => "initTransactions",
            TxnCall::Begin => "beginTransaction",
            TxnCall::Offsets(_) => "sendOffsetsToTransaction",
            TxnCall::Commit => "commitTransaction",
            TxnCall::Abort => "abortTransaction",
        }
    }
}

/// TransactionManager.State. Whatever happens, nothing leads out of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnState {
    Uninitialized,
    Initializing,
    Ready,
    InTransaction,
    Committing,
    Aborting,
    /// The transaction can only be aborted.
    AbortableError,
    /// Only a new producer can go on.
    FatalError,
}

impl TxnState {
    pub const ALL: [TxnState; 8] = [
        TxnState::Uninitialized,
        TxnState::Initializing,
        TxnState::Ready,
        TxnState::InTransaction,
        TxnState::Committing,
        TxnState::Aborting,
        TxnState::AbortableError,
        TxnState::FatalError,
    ];

    /// Kafka's own name.
    pub fn name(self) -> &'static str {
        match self {
            TxnState::Uninitialized => "UNINITIALIZED",
            TxnState::Initializing => "INITIALIZING",
            TxnState::Ready => "READY",
            TxnState::InTransaction => "IN_TRANSACTION",
            TxnState::Committing => "COMMITTING_TRANSACTION",
            TxnState::Aborting => "ABORTING_TRANSACTION",
            TxnState::AbortableError => "ABORTABLE_ERROR",
            TxnState::FatalError => "FATAL_ERROR",
        }
    }
}

/// Positions of a consumer, and who it is to its group (ConsumerGroupMetadata; KIP-447).
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsets {
    pub group: GroupId,
    pub member: StrBytes,
    pub instance: Option<StrBytes>,
    pub generation: i32,
    /// What is to be read next, and the leader epoch of the record before it.
    pub offsets: Vec<(TopicPartition, Offset, Option<LeaderEpoch>)>,
}

/// Where a seek goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    Offset(Offset),
    Earliest,
    Latest,
    /// The first record with this timestamp (milliseconds) or a later one.
    Timestamp(i64),
}

/// Where the offsets of a group are reset to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetTarget {
    Earliest,
    Latest,
    /// Cut to what the log has.
    Offset(Offset),
    /// From what is committed, back or forth; cut to what the log has.
    Shift(i64),
    /// The first record with this timestamp (milliseconds) or a later one; the log's end without one.
    Timestamp(i64),
    /// What is committed, or the log's end.
    Current,
}

/// A record as an application hands it to the producer.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerRecord {
    pub topic: crate::wire::TopicName,
    /// `None`: the partitioner decides.
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// Milliseconds; `None`: the time of the send.
    pub timestamp: Option<i64>,
    pub headers: Vec<(crate::wire::StrBytes, Option<Bytes>)>,
}

/// The one way out: what a node may use and where its effects go.
pub struct Turn<'a> {
    pub now: Instant,
    effects: &'a mut Effects,
}

/// Where a turn's draws come from and its effects go; the world keeps one and empties it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    pub rng: Rng,
    /// The last correlation id drawn: unique in the whole run, so that parts of one node need not
    /// share a counter.
    pub correlation: Correlation,
    pub sends: Vec<(NodeId, Envelope)>,
    /// Peers whose connection is to be closed, after what was sent.
    pub closes: Vec<NodeId>,
    pub facts: Vec<Fact>,
    /// The `client.id` of every client, by its number: what the header of its requests says.
    pub clients: Arc<Vec<String>>,
}

impl Effects {
    pub fn new(seed: u64) -> Effects {
        Effects {
            rng: Rng::new(seed),
            correlation: Correlation(0),
            sends: Vec::new(),
            closes: Vec::new(),
            facts: Vec::new(),
            clients: Arc::default(),
        }
    }
}

impl<'a> Turn<'a> {
    /// For the world and for tests of one node.
    pub fn new(now: Instant, effects: &'a mut Effects) -> Turn<'a> {
        Turn { now, effects }
    }

    /// Sends a request and says which correlation id its response will carry.
    pub fn request(&mut self, to: NodeId, request: impl Into<Request>) -> Correlation {
        self.effects.correlation.0 += 1;
        let correlation = self.effects.correlation;
        self.effects.sends.push((to, Envelope::request(correlation, request)));
        correlation
    }

    /// Answers a request.
    pub fn respond(&mut self, to: NodeId, correlation: Correlation, response: impl Into<Response>) {
        self.effects.sends.push((to, Envelope::response(correlation, response)));
    }

    /// Closes the connection to a peer, which learns of it a flight later.
    pub fn close(&mut self, peer: NodeId) {
        self.effects.closes.push(peer);
    }

    /// The `client.id` in the header of a client's requests; empty for other nodes.
    pub fn client_id(&self, node: NodeId) -> StrBytes {
        let NodeId::Client(client) = node else { return StrBytes::default() };
        self.effects.clients.get(client.0 as usize).map(|name| str_bytes(name)).unwrap_or_default()
    }

    /// Leaves what is worth telling; the world adds the cause.
    pub fn tell(&mut self, fact: Fact) {
        self.effects.facts.push(fact);
    }

    /// An instant `low..high` from now: for timeouts that Kafka draws.
    pub fn within(&mut self, low: Duration, high: Duration) -> Instant {
        self.now + Duration(self.effects.rng.range(low.0, high.0))
    }

    /// A number in `0..bound`, where Kafka itself draws one.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.effects.rng.below(bound)
    }

    /// A random UUID (version 4), where Kafka itself draws one (topic ids, incarnations, member ids).
    pub fn uuid(&mut self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.effects.rng.next_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&self.effects.rng.next_u64().to_be_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The earlier of two alarms: for a node that is composed of parts with alarms of their own.
pub fn earliest(alarms: impl IntoIterator<Item = Option<(Instant, Alarm)>>) -> Option<(Instant, Alarm)> {
    alarms.into_iter().flatten().min()
}
