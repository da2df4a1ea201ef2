//! What a decision of the controller is made of: the image and the sessions go in, records and a
//! response come out, nothing changes.

use crate::kafka::config::{BrokerConfig, Planted};
use crate::kafka::controller::election::{Election, PartitionChangeBuilder};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::controller::image::{PartitionRegistration, TopicImage};
use crate::kafka::controller::liveness::Liveness;
use crate::kafka::controller::record::MetadataRecord;
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, Offset, StrBytes, str_bytes};

/// Records to be appended at once and, when they are committed, the response.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<R> {
    pub records: Vec<MetadataRecord>,
    pub response: R,
}

/// ApiError: Kafka's error and its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub error: ErrorCode,
    pub message: String,
}

/// What the active controller decides on: the image ahead of what is committed, and the sessions.
#[derive(Clone, Copy)]
pub struct Decider<'a> {
    pub image: &'a MetadataImage,
    pub liveness: &'a Liveness,
    pub config: &'a BrokerConfig,
}

impl Refusal {
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { error, message: message.into() }
    }

    pub fn text(&self) -> Option<StrBytes> {
        Some(str_bytes(&self.message))
    }
}

impl From<ErrorCode> for Refusal {
    /// With Kafka's own message for the error.
    fn from(error: ErrorCode) -> Refusal {
        Refusal { error, message: message(error) }
    }
}

/// Errors.message of those that the controller gives without a reason of its own.
fn message(error: ErrorCode) -> String {
    let known = match error {
        ErrorCode::ElectionNotNeeded => "Leader election not needed for topic partition.",
        ErrorCode::PreferredLeaderNotAvailable => "The preferred leader was not available.",
        ErrorCode::EligibleLeadersNotAvailable => "Eligible topic partition leaders are not available.",
        ErrorCode::NoReassignmentInProgress => "No partition reassignment is in progress.",
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::StaleBrokerEpoch => "Broker epoch has changed.",
        other => return other.to_string(),
    };
    known.to_string()
}

/// The fields of a response: error code and message.
pub fn outcome<T>(result: &Result<T, Refusal>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(_) => (0, None),
        Err(refusal) => (refusal.error.code(), refusal.text()),
    }
}

impl<'a> Decider<'a> {
    /// Where the first record of this decision will stand.
    pub fn next_offset(&self) -> Offset {
        self.image.offset.next()
    }

    /// ClusterControlManager.checkBrokerEpoch.
    pub fn check_broker_epoch(&self, broker: BrokerId, epoch: BrokerEpoch) -> Result<(), ErrorCode> {
        match self.image.brokers.get(&broker) {
            Some(registration) if registration.epoch == epoch => Ok(()),
            _ => Err(ErrorCode::StaleBrokerEpoch),
        }
    }

    /// The topic's own setting, else the cluster's, else the broker's file.
    pub fn topic_setting(&self, topic: &'a TopicImage, name: &'static str) -> Option<&'a StrBytes> {
        let name = StrBytes::from_static_str(name);
        topic.configs.get(&name).or_else(|| self.image.cluster_configs.get(&name))
    }

    /// ReplicationControlManager.getTopicEffectiveMinIsr.
    pub fn effective_min_isr(&self, topic: &'a TopicImage) -> i32 {
        let configured = self.topic_setting(topic, "min.insync.replicas").and_then(|value| value.parse().ok());
        let configured = configured.unwrap_or(self.config.topic_defaults.min_insync_replicas);
        let replication_factor = topic.partitions.get(&0).map_or(i32::MAX, |first| first.replicas.len() as i32);
        configured.min(replication_factor)
    }

    pub fn is_unclean_election_enabled(&self, topic: &'a TopicImage) -> bool {
        let configured = self.topic_setting(topic, "unclean.leader.election.enable");
        configured
            .map_or(self.config.topic_defaults.unclean_leader_election, |value| value.eq_ignore_ascii_case("true"))
    }

    /// A builder in the mode that the topic's settings ask for when brokers come and go.
    pub fn builder<'b>(
        &self,
        topic: &'a TopicImage,
        index: i32,
        partition: &'b PartitionRegistration,
        is_acceptable_leader: &'b dyn Fn(BrokerId) -> bool,
    ) -> PartitionChangeBuilder<'b> {
        let min_isr = self.effective_min_isr(topic);
        let mut builder = PartitionChangeBuilder::new(partition, topic.id, index, is_acceptable_leader, min_isr);
        builder.elects_anyone = self.config.planted == Some(Planted::ElectOutsideIsr);
        builder.eligible_leader_replicas = self.image.has_eligible_leader_replicas();
        if self.is_unclean_election_enabled(topic) {
            builder.election = Election::Unclean;
        }
        builder
    }
}
