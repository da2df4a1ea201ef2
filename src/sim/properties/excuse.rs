//! When committed records are not safe any more: which crashes and elections Kafka does not promise
//! to survive.
//!
//! Committed records lie on every replica that may lead: the ISR, the ELR, and in a partition that
//! has neither the last known leader (KIP-966). A broker that did not stop in good order is *suspect*
//! until it is taken into the ISR again: Kafka cannot tell a killed process from a machine that lost
//! its page cache, so it lets neither lead without need. One that really lost records (power, disk) is
//! *impaired*. When all who may lead are suspect and one of them is impaired, a choice among them may
//! cost records, and no setting but more replicas and a higher min.insync.replicas would have helped.

use crate::kafka::controller::image::PartitionRegistration;
use crate::sim::event::EventId;
use crate::sorted::SortedSet;
use crate::wire::BrokerId;

/// Why committed records of a partition are not promised at the moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Excuse {
    pub kind: ExcuseKind,
    /// The event that took the promise away.
    pub event: EventId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExcuseKind {
    /// unclean.leader.election.enable, or `elect unclean`.
    UncleanElection,
    /// All who may lead crashed, and one of them lost records.
    TooManyLosses,
    /// A broker left the partition when its move was cancelled, came back with an empty log while the
    /// ELR still named it, and was elected.
    StaleElr,
    /// A leader was replaced, came back as leader before it knew, and counts its followers by what they
    /// had before the other leader cut it off (Partition.makeLeader keeps what it knows of them when it
    /// leads already; MetadataLoader publishes several batches as one change).
    SkippedTerm,
}

impl Excuse {
    pub fn text(&self) -> &'static str {
        match self.kind {
            ExcuseKind::UncleanElection => "a replica that was not in sync was made leader (unclean election)",
            ExcuseKind::StaleElr => {
                "a broker that had left the partition came back empty while the ELR still named it, and leads"
            }
            ExcuseKind::SkippedTerm => {
                "a leader never noticed that another led in between, and counts followers by what they had before"
            }
            ExcuseKind::TooManyLosses => "every replica that may lead has crashed, and one of them lost what it had",
        }
    }
}

/// The brokers whose copy is in doubt.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Doubts {
    /// Did not stop in good order since they were last in sync.
    suspect: SortedSet<BrokerId>,
    /// Lost records, or the disk.
    impaired: SortedSet<BrokerId>,
}

impl Doubts {
    pub fn crashed(&mut self, broker: BrokerId, lost_records: bool) {
        self.suspect.insert(broker);
        if lost_records {
            self.impaired.insert(broker);
        }
    }

    /// It was taken into the ISR with everything that is committed.
    pub fn rejoined(&mut self, broker: BrokerId) {
        self.suspect.remove(&broker);
        self.impaired.remove(&broker);
    }

    pub fn is_suspect(&self, broker: BrokerId) -> bool {
        self.suspect.contains(&broker)
    }

    pub fn is_impaired(&self, broker: BrokerId) -> bool {
        self.impaired.contains(&broker)
    }

    /// Whether nobody is left who surely has everything.
    pub fn are_too_many(&self, registration: &PartitionRegistration) -> bool {
        let members = candidates(registration);
        let all_suspect = members.clone().all(|member| self.is_suspect(member));
        all_suspect && members.clone().any(|member| self.is_impaired(member))
    }
}

/// Who may lead: ISR and ELR, and the last known leader when both are empty.
pub(super) fn candidates(registration: &PartitionRegistration) -> impl Iterator<Item = BrokerId> + Clone + '_ {
    let alone = registration.isr.is_empty() && registration.elr.is_empty();
    let last_known = registration.last_known_elr.iter().filter(move |_| alone);
    // The ELR keeps who left the partition in a reassignment, and never elects it (PartitionChangeBuilder).
    let eligible = registration.elr.iter().filter(|member| registration.replicas.contains(member));
    registration.isr.iter().chain(eligible).chain(last_known).copied()
}
