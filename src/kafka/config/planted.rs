//! Bugs that can be put into the engine on purpose, so that those who look for bugs are checked
//! themselves: a campaign that does not find these proves nothing by finding none. Only Rust can
//! plant one (`ClusterSetup::config`); no setting, script or click can.

/// A rule of Kafka's that the engine then breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// A new follower truncates to its own high watermark and never asks about epochs, as before KIP-101.
    TruncateToHighWatermark,
    /// A leader does not compare the epochs of a follower's fetch with its own, as before KIP-279.
    IgnoreEpochsOnFetch,
    /// The high watermark follows the fastest follower, in the ISR or not.
    HighWatermarkFromAnyReplica,
    /// The controller elects any replica that is alive.
    ElectOutsideIsr,
    /// acks=all is answered before the in-sync replicas have the records.
    AcknowledgeEarly,
    /// Leader and controller take a fenced replica into the ISR.
    FencedReplicaInIsr,
    /// A share partition's leader confirms acknowledgements that nobody has written.
    ConfirmUnwrittenAcknowledgements,
}

impl Planted {
    pub const ALL: [Planted; 7] = [
        Planted::TruncateToHighWatermark,
        Planted::IgnoreEpochsOnFetch,
        Planted::HighWatermarkFromAnyReplica,
        Planted::ElectOutsideIsr,
        Planted::AcknowledgeEarly,
        Planted::FencedReplicaInIsr,
        Planted::ConfirmUnwrittenAcknowledgements,
    ];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Planted::TruncateToHighWatermark => "truncate-to-high-watermark",
            Planted::IgnoreEpochsOnFetch => "ignore-epochs-on-fetch",
            Planted::HighWatermarkFromAnyReplica => "high-watermark-from-any-replica",
            Planted::ElectOutsideIsr => "elect-outside-isr",
            Planted::AcknowledgeEarly => "acknowledge-early",
            Planted::FencedReplicaInIsr => "fenced-replica-in-isr",
            Planted::ConfirmUnwrittenAcknowledgements => "confirm-unwritten-acknowledgements",
        }
    }
}
