//! The invariants by name: what each says, who says so, and under which settings it must hold.

macro_rules! properties {
    ($($name:ident: $sentence:literal, $source:literal, $holds:expr;)*) => {
        /// A property of the engine that must hold after every step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Property { $(#[doc = $sentence] $name,)* }

        impl Property {
            pub const ALL: &[Property] = &[$(Property::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Property::$name => stringify!($name),)* }
            }

            pub fn sentence(self) -> &'static str {
                match self { $(Property::$name => $sentence,)* }
            }

            /// Where it is written down.
            pub fn source(self) -> &'static str {
                match self { $(Property::$name => $source,)* }
            }

            /// The settings under which Kafka promises it.
            pub fn holds(self) -> Holds {
                match self { $(Property::$name => $holds,)* }
            }
        }
    };
}

/// When a property must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Whatever is configured and whatever breaks.
    Always,
    /// As long as committed records are safe: no unclean election, and of the replicas that may lead
    /// (ISR and ELR) at least one neither crashed nor lost its disk since it was last in sync. A crash
    /// counts although the disk is whole, for Kafka cannot tell (KIP-966); min.insync.replicas decides
    /// how many crashes that allows.
    WhileCommittedIsSafe,
    /// As long as a majority of the controllers keeps its disk, which no fault takes from them.
    WhileTheQuorumKeepsItsDisks,
}

impl Holds {
    pub fn sentence(self) -> &'static str {
        match self {
            Holds::Always => "whatever is configured and whatever breaks",
            Holds::WhileCommittedIsSafe => {
                "while no election is unclean and one of the replicas that may lead has neither crashed nor lost \
                 records since it was last in sync"
            }
            Holds::WhileTheQuorumKeepsItsDisks => "while a majority of the controllers keeps its disks",
        }
    }
}

use Holds::{Always, WhileCommittedIsSafe, WhileTheQuorumKeepsItsDisks};

properties! {
    // One replica.
    LogShape: "A log starts at or below its high watermark, which lies at or below its end, and its leader epochs rise.",
        "UnifiedLog; LeaderEpochFileCache", Always;
    LastStableOffset: "The last stable offset never passes the high watermark and never goes back while a leader leads.",
        "KIP-98; UnifiedLog", Always;
    HighWatermarkMonotonic: "While a leader leads, its high watermark never goes back.",
        "Partition.maybeIncrementLeaderHW", Always;
    // Leaders and epochs.
    OneLeaderPerEpoch: "No two brokers ever lead a partition in the same leader epoch.",
        "KIP-101; kafka-specification", Always;
    EpochsMonotonic: "Leader epochs and partition epochs never go back, neither at the controller nor at a running broker.",
        "KIP-631; PartitionRegistration.merge", Always;
    SameEpochSameRecords: "Where two logs have a batch of the same leader epoch at the same offset, it is the same batch.",
        "KIP-101; KIP-279", Always;
    // What is committed.
    CommittedPrefixAgrees: "Below their high watermarks all replicas have the same records, and no follower's is above every leader's.",
        "kafka-specification: log matching", WhileCommittedIsSafe;
    LeaderCompleteness: "A new leader has every committed record.",
        "kafka-specification; KIP-966", WhileCommittedIsSafe;
    StrongIsr: "Every replica in the ISR or ELR has every committed record.",
        "kafka-specification: StrongIsr; KIP-966", WhileCommittedIsSafe;
    HighWatermarkJustified: "A leader raises its high watermark only with min.insync.replicas in the ISR, and over what every replica of its maximal ISR has.",
        "KIP-497; KIP-966; Partition.maybeIncrementLeaderHW", WhileCommittedIsSafe;
    MaximalIsr: "A leader counts the ISR that the controller wrote and whom it proposed itself, nobody else.",
        "KIP-497; Partition.scala: PartitionState", Always;
    RejectedIsrRollsBack: "A change of the ISR that the controller refused for good is given up.",
        "KIP-497; Partition.handleAlterPartitionError", Always;
    MaximalIsrCoversCandidates: "Whoever may become leader (ISR and ELR) counts for the high watermark of the present leader.",
        "KIP-497; KIP-966", Always;
    TruncationSafety: "No replica cuts off a committed record.",
        "KIP-101; KIP-279", WhileCommittedIsSafe;
    DivergenceConverges: "A follower truncates at most once for each epoch of its log before it agrees with its leader.",
        "KIP-101; KIP-279", Always;
    RefusedIsNotWritten: "Nothing of a produce request that is refused (NOT_ENOUGH_REPLICAS and others) is in the log.",
        "ReplicaManager.appendRecords; Partition.appendRecordsToLeader", Always;
    AcknowledgedIsCommitted: "What is acknowledged with acks=all is committed.",
        "DelayedProduce; Partition.checkEnoughReplicasReachOffset", WhileCommittedIsSafe;
    AcknowledgedIsKept: "No record acknowledged with acks=all is missing from a later leader's log.",
        "KIP-966", WhileCommittedIsSafe;
    RepeatableRead: "What a consumer is handed is committed: nobody ever reads something else at that offset.",
        "KIP-101; Partition.fetchRecords", WhileCommittedIsSafe;
    ExactlyOnce: "The committed batches of an idempotent producer follow each other without gap or repetition.",
        "KIP-98; ProducerStateManager", WhileCommittedIsSafe;
    ZombieFencing: "Behind a record or marker of a producer's epoch, nothing of an older epoch of that producer is committed.",
        "KIP-98; KIP-360; KIP-890", WhileCommittedIsSafe;
    TransactionAtomicity: "A transaction is committed on all its partitions or aborted on all.",
        "KIP-98; KIP-890", WhileCommittedIsSafe;
    ReadCommittedView: "A consumer is handed every record below the end that its isolation level lets it see, but none that was aborted or is not decided.",
        "KIP-98; CompletedFetch", WhileCommittedIsSafe;
    AcknowledgedIsDone: "What a member of a share group accepted or rejected, and was told is written, is handed to nobody of its group again, unless an older write of its state came after a newer one.",
        "KIP-932; SharePartition; apache/kafka#23074", WhileCommittedIsSafe;
    // The controller's metadata.
    LeaderInIsr: "A partition's leader is in its ISR.",
        "kafka-specification: LeaderInIsr; PartitionChangeBuilder", Always;
    IsrIsLegal: "An ISR holds only replicas of its partition; nobody is in ISR and ELR, or twice in one of them.",
        "KIP-966; ReplicationControlManager", Always;
    FencedNotInIsr: "No fenced broker is in an ISR.",
        "KIP-841; KIP-966", Always;
    JoinSafety: "A replica joins the ISR only alive, unfenced and with every committed record.",
        "KIP-903; KIP-497; ReplicationControlManager.alterPartition", WhileCommittedIsSafe;
    UncleanExcluded: "A broker that returns from a crash is in no ISR and no ELR until it caught up.",
        "KIP-966", Always;
    BrokerEpochsRise: "Each registration of a broker has a higher epoch than the one before.",
        "KIP-631; ClusterControlManager", Always;
    // The metadata quorum.
    ElectionSafety: "In one epoch the quorum has at most one leader, and no two nodes name different ones.",
        "Raft; KafkaRaftClient", Always;
    OneVote: "A controller votes for at most one candidate in an epoch, across restarts.",
        "Raft; QuorumState", Always;
    PreVoteIsHarmless: "Who is asked for a pre-vote in an epoch that it knows keeps its epoch, its vote and its leader.",
        "KIP-996", Always;
    RoleSanity: "Only controllers stand for election; who leads the quorum follows nobody.",
        "KIP-595; KIP-996; QuorumState", Always;
    QuorumEpochMonotonic: "No node's quorum epoch goes back.",
        "Raft; QuorumState", Always;
    MetadataLogMatching: "Where two metadata logs have a batch of the same epoch at the same offset, it is the same batch.",
        "Raft", WhileTheQuorumKeepsItsDisks;
    MetadataLeaderCompleteness: "A new leader of the quorum has every committed metadata record.",
        "Raft", WhileTheQuorumKeepsItsDisks;
    StateMachineSafety: "All nodes agree on what is committed in the metadata log, and act on nothing else.",
        "Raft", WhileTheQuorumKeepsItsDisks;
    MetadataHighWatermark: "No node's metadata high watermark goes back, and no committed metadata record is cut off.",
        "KIP-595", WhileTheQuorumKeepsItsDisks;
    // After the faults.
    IdempotentOrder: "Records of one key that an idempotent producer sent stand in the order in which it sent them, if its first batch came first.",
        "KIP-98; KAFKA-5494; ProducerAppendInfo.checkSequence", WhileCommittedIsSafe;
    ReplicasConverge: "When the faults have ended, all replicas of a partition have the same log.",
        "KIP-101; KIP-279", Always;
}
