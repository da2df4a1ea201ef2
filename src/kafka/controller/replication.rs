//! Changes of existing partitions: the ISR by their leaders, elections on request and by the clock,
//! reassignments (ReplicationControlManager).

use crate::kafka::config::Planted;
use crate::kafka::controller::decide::{Decider, Decision, Refusal, outcome};
use crate::kafka::controller::election::Election;
use crate::kafka::controller::image::{PartitionRegistration, TopicImage};
use crate::kafka::controller::reassignment::{Reassignment, Revert};
use crate::kafka::controller::record::MetadataRecord;
use crate::wire::messages::alter_partition_reassignments_request::ReassignablePartition;
use crate::wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::wire::messages::alter_partition_request::{BrokerState, PartitionData};
use crate::wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterPartitionRequest,
    AlterPartitionResponse, ElectLeadersRequest, ElectLeadersResponse, alter_partition_response,
};
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, TopicName};

/// ReplicationControlManager.MAX_ELECTIONS_PER_IMBALANCE.
const MAX_ELECTIONS: usize = 1_000;

impl<'a> Decider<'a> {
    /// ReplicationControlManager.alterPartition.
    pub fn alter_partition(
        &self,
        request: &AlterPartitionRequest,
    ) -> Result<Decision<AlterPartitionResponse>, ErrorCode> {
        self.check_broker_epoch(request.broker_id, BrokerEpoch(request.broker_epoch))?;
        let mut records = Vec::new();
        let mut response = AlterPartitionResponse::default();
        for asked in &request.topics {
            let topic = self.image.topic_by_id(asked.topic_id).map(|(_, topic)| topic);
            let answers = asked.partitions.iter().map(|partition| match topic {
                Some(topic) => self.alter_one_partition(request.broker_id, topic, partition, &mut records),
                None => altered(partition.partition_index, Err(ErrorCode::UnknownTopicId)),
            });
            let mut answer = alter_partition_response::TopicData::default();
            answer.topic_id = asked.topic_id;
            answer.partitions = answers.collect();
            response.topics.push(answer);
        }
        Ok(Decision { records, response })
    }

    fn alter_one_partition(
        &self,
        sender: BrokerId,
        topic: &'a TopicImage,
        asked: &PartitionData,
        records: &mut Vec<MetadataRecord>,
    ) -> alter_partition_response::PartitionData {
        let index = asked.partition_index;
        let Some(partition) = topic.partitions.get(&index) else {
            return altered(index, Err(ErrorCode::UnknownTopicOrPartition));
        };
        if let Err(error) = self.check_alter_partition(sender, partition, asked) {
            return altered(index, Err(error));
        }
        let is_acceptable_leader = |broker| self.image.is_active(broker);
        let mut builder = self.builder(topic, index, partition, &is_acceptable_leader);
        builder.isr = asked.new_isr_with_epochs.iter().map(|member| member.broker_id).collect();
        builder.recovering = asked.leader_recovery_state == RECOVERING;
        let Some(change) = builder.build() else { return altered(index, Ok(partition)) };
        let mut changed = PartitionRegistration::clone(partition);
        changed.merge(&change);
        let moves_leadership = change.leader.is_some_and(|leader| leader != Some(sender));
        records.push(MetadataRecord::PartitionChange(change));
        // The change completed a reassignment that the sender has no part in any more: an error and a record.
        if moves_leadership { altered(index, Err(ErrorCode::NewLeaderElected)) } else { altered(index, Ok(&changed)) }
    }

    /// ReplicationControlManager.validateAlterPartitionData, in its order.
    fn check_alter_partition(
        &self,
        sender: BrokerId,
        partition: &PartitionRegistration,
        asked: &PartitionData,
    ) -> Result<(), ErrorCode> {
        let ahead =
            asked.leader_epoch > partition.leader_epoch.0 || asked.partition_epoch > partition.partition_epoch.0;
        if ahead {
            // The sender knows more than this controller, which is then probably not the active one any more.
            return Err(ErrorCode::NotController);
        }
        if asked.leader_epoch < partition.leader_epoch.0 {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if partition.leader != Some(sender) {
            return Err(ErrorCode::InvalidRequest);
        }
        if asked.partition_epoch < partition.partition_epoch.0 {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let isr: Vec<BrokerId> = asked.new_isr_with_epochs.iter().map(|member| member.broker_id).collect();
        let recovering = asked.leader_recovery_state == RECOVERING;
        let invalid = !is_valid_isr(&isr, &partition.replicas)
            || !isr.contains(&sender)
            || (recovering && isr.len() > 1)
            || (recovering && !partition.recovering);
        if invalid {
            return Err(ErrorCode::InvalidRequest);
        }
        if asked.new_isr_with_epochs.iter().any(|member| !self.is_eligible_for_isr(member)) {
            return Err(ErrorCode::IneligibleReplica);
        }
        Ok(())
    }

    /// Registered in this very incarnation (KIP-903; -1 skips that), unfenced, not shutting down (KIP-841).
    fn is_eligible_for_isr(&self, member: &BrokerState) -> bool {
        let epoch_matches = |epoch: BrokerEpoch| member.broker_epoch == -1 || epoch.0 == member.broker_epoch;
        if self.config.planted == Some(Planted::FencedReplicaInIsr) {
            return true;
        }
        let registration = self.image.brokers.get(&member.broker_id);
        self.image.is_active(member.broker_id) && registration.is_some_and(|known| epoch_matches(known.epoch))
    }

    /// ReplicationControlManager.electLeaders.
    pub fn elect_leaders(&self, request: &ElectLeadersRequest) -> Result<Decision<ElectLeadersResponse>, ErrorCode> {
        let election = match request.election_type {
            0 => Election::Preferred,
            1 => Election::Unclean,
            _ => return Err(ErrorCode::InvalidRequest),
        };
        let all = request.topic_partitions.is_none();
        let everything = || {
            let topics = self.image.topics.iter();
            topics.map(|(name, topic)| (name.clone(), topic.partitions.keys().copied().collect())).collect()
        };
        let asked: Vec<(TopicName, Vec<i32>)> = match &request.topic_partitions {
            Some(topics) => topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect(),
            None => everything(),
        };
        let mut records = Vec::new();
        let mut response = ElectLeadersResponse::default();
        for (name, partitions) in asked {
            let mut answer = ReplicaElectionResult::default();
            for index in partitions {
                let result = self.elect_leader(&name, index, election, &mut records);
                // Asked for all partitions, Kafka names only those where something was to be done.
                let not_needed = matches!(&result, Err(refusal) if refusal.error == ErrorCode::ElectionNotNeeded);
                if !(all && not_needed) {
                    let (error_code, error_message) = outcome(&result);
                    let mut partition = PartitionResult::default();
                    partition.partition_id = index;
                    partition.error_code = error_code;
                    partition.error_message = error_message;
                    answer.partition_result.push(partition);
                }
            }
            answer.topic = name;
            response.replica_election_results.push(answer);
        }
        Ok(Decision { records, response })
    }

    fn elect_leader(
        &self,
        name: &TopicName,
        index: i32,
        election: Election,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<(), Refusal> {
        let unknown = |what: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, what);
        let topic = self.image.topics.get(name).ok_or_else(|| unknown(format!("No such topic as {}", name.0)))?;
        let partition =
            topic.partitions.get(&index).ok_or_else(|| unknown(format!("No such partition as {}-{index}", name.0)))?;
        let needed = match election {
            Election::Preferred => partition.leader != partition.preferred(),
            _ => partition.leader.is_none(),
        };
        if !needed {
            return Err(ErrorCode::ElectionNotNeeded.into());
        }
        let is_acceptable_leader = |broker| self.image.is_active(broker);
        let mut builder = self.builder(topic, index, partition, &is_acceptable_leader);
        builder.election = election;
        let Some(change) = builder.build() else {
            return Err(Refusal::from(match election {
                Election::Preferred => ErrorCode::PreferredLeaderNotAvailable,
                _ => ErrorCode::EligibleLeadersNotAvailable,
            }));
        };
        records.push(MetadataRecord::PartitionChange(change));
        Ok(())
    }

    /// maybeBalancePartitionLeaders: every partition that is not led by its preferred replica; true
    /// if there may be more.
    pub fn balance_leaders(&self) -> Decision<bool> {
        let mut records = Vec::new();
        let is_acceptable_leader = |broker| self.image.is_active(broker);
        for (_, topic, index, partition) in self.image.partitions() {
            if records.len() >= MAX_ELECTIONS {
                break;
            }
            if partition.leader != partition.preferred() {
                let mut builder = self.builder(topic, index, partition, &is_acceptable_leader);
                builder.election = Election::Preferred;
                records.extend(builder.build().map(MetadataRecord::PartitionChange));
            }
        }
        Decision { response: records.len() >= MAX_ELECTIONS, records }
    }

    /// maybeElectUncleanLeaders: the leaderless partitions of topics that allow it; true if there may
    /// be more.
    pub fn elect_unclean_leaders(&self) -> Decision<bool> {
        let mut records = Vec::new();
        for (name, topic, index, partition) in self.image.partitions() {
            if records.len() >= MAX_ELECTIONS {
                break;
            }
            if partition.leader.is_none() && self.is_unclean_election_enabled(topic) {
                // A refusal means that no replica lives: the next run tries again.
                let _ = self.elect_leader(name, index, Election::Unclean, &mut records);
            }
        }
        Decision { response: records.len() >= MAX_ELECTIONS, records }
    }

    /// ReplicationControlManager.alterPartitionReassignments.
    pub fn alter_partition_reassignments(
        &self,
        request: &AlterPartitionReassignmentsRequest,
    ) -> Decision<AlterPartitionReassignmentsResponse> {
        let mut records = Vec::new();
        let mut response = AlterPartitionReassignmentsResponse::default();
        response.allow_replication_factor_change = request.allow_replication_factor_change;
        response.error_message = None;
        for asked in &request.topics {
            let mut topic = ReassignableTopicResponse::default();
            topic.name = asked.name.clone();
            for target in &asked.partitions {
                let allow = request.allow_replication_factor_change;
                let result = self.reassign_partition(&asked.name, target, allow, &mut records);
                let mut partition = ReassignablePartitionResponse::default();
                partition.partition_index = target.partition_index;
                (partition.error_code, partition.error_message) = outcome(&result);
                topic.partitions.push(partition);
            }
            response.responses.push(topic);
        }
        Decision { records, response }
    }

    fn reassign_partition(
        &self,
        name: &TopicName,
        target: &ReassignablePartition,
        allow_replication_factor_change: bool,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<(), Refusal> {
        let unknown = |what: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, what);
        let (topic_name, index) = (&name.0, target.partition_index);
        let no_topic = || unknown(format!("Unable to find a topic named {topic_name}."));
        let topic = self.image.topics.get(name).ok_or_else(no_topic)?;
        let no_partition = || unknown(format!("Unable to find partition {topic_name}:{index}."));
        let partition = topic.partitions.get(&index).ok_or_else(no_partition)?;
        let is_acceptable_leader = |broker| self.image.is_active(broker);
        let mut builder = self.builder(topic, index, partition, &is_acceptable_leader);
        match &target.replicas {
            None => {
                if !partition.is_reassigning() {
                    return Err(ErrorCode::NoReassignmentInProgress.into());
                }
                let revert = self.revert(name, topic, index, partition)?;
                builder.replicas = revert.replicas;
                builder.isr = revert.isr;
                builder.adding.clear();
                builder.removing.clear();
            }
            Some(replicas) => {
                self.check_manual_assignment(replicas, None)?;
                if !allow_replication_factor_change {
                    check_same_replication_factor(partition, replicas)?;
                }
                let reassignment = Reassignment::new(&partition.replicas, replicas);
                builder.election = Election::Online;
                builder.replicas = reassignment.replicas;
                if !reassignment.removing.is_empty() {
                    builder.removing = reassignment.removing;
                }
                if !reassignment.adding.is_empty() {
                    builder.adding = reassignment.adding;
                }
            }
        }
        records.extend(builder.build().map(MetadataRecord::PartitionChange));
        Ok(())
    }

    fn revert(
        &self,
        name: &TopicName,
        topic: &'a TopicImage,
        index: i32,
        partition: &PartitionRegistration,
    ) -> Result<Revert, Refusal> {
        let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
        let revert = Revert::new(partition)
            .ok_or_else(|| refuse("Invalid replica assignment: addingReplicas contains all replicas.".to_string()))?;
        if revert.unclean && !self.is_unclean_election_enabled(topic) {
            return Err(refuse(format!(
                "Unable to revert partition assignment for {}:{index} because it would require an unclean leader election.",
                name.0
            )));
        }
        Ok(revert)
    }
}

/// LeaderRecoveryState.
const RECOVERING: i8 = 1;

fn altered(index: i32, result: Result<&PartitionRegistration, ErrorCode>) -> alter_partition_response::PartitionData {
    let mut answer = alter_partition_response::PartitionData::default();
    answer.partition_index = index;
    match result {
        Err(error) => answer.error_code = error.code(),
        Ok(partition) => {
            answer.leader_id = partition.leader.unwrap_or(BrokerId(-1));
            answer.leader_epoch = partition.leader_epoch.0;
            answer.isr = partition.isr.clone();
            answer.leader_recovery_state = i8::from(partition.recovering);
            answer.partition_epoch = partition.partition_epoch.0;
        }
    }
    answer
}

/// Replicas.validateIsr: replicas of the partition, each once, at least one.
fn is_valid_isr(isr: &[BrokerId], replicas: &[BrokerId]) -> bool {
    let mut sorted = isr.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    !isr.is_empty() && sorted.len() == isr.len() && isr.iter().all(|member| replicas.contains(member))
}

/// KIP-860. While a reassignment runs, its target counts as the replication factor.
fn check_same_replication_factor(partition: &PartitionRegistration, target: &[BrokerId]) -> Result<(), Refusal> {
    let current = partition.replicas.len() - partition.removing.len();
    if current == target.len() {
        return Ok(());
    }
    let message = format!("The replication factor is changed from {current} to {}", target.len());
    Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
}
