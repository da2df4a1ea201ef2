//! Topics come, grow and go (ReplicationControlManager; the checks of names in ControllerApis).

use std::collections::BTreeMap;

use crate::kafka::controller::decide::{Decider, Decision, Refusal, outcome};
use crate::kafka::controller::placement::{Draw, RackList, UsableBroker};
use crate::kafka::controller::record::MetadataRecord;
use crate::wire::messages::create_partitions_request::CreatePartitionsTopic;
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use crate::wire::messages::create_topics_response::CreatableTopicResult;
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse,
};
use crate::wire::{BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicName, Uuid};

/// The replicas and the ISR of each new partition, in order.
type NewPartitions = Vec<(Vec<BrokerId>, Vec<BrokerId>)>;

/// Topic.CLUSTER_METADATA_TOPIC_NAME.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Topic.MAX_NAME_LENGTH.
const MAX_NAME_LENGTH: usize = 249;

impl Decider<'_> {
    /// ControllerApis.createTopics and ReplicationControlManager.createTopics.
    pub fn create_topics(&self, request: &CreateTopicsRequest, draw: &mut impl Draw) -> Decision<CreateTopicsResponse> {
        let mut named: BTreeMap<&TopicName, u32> = BTreeMap::new();
        for topic in &request.topics {
            *named.entry(&topic.name).or_default() += 1;
        }
        let mut records = Vec::new();
        let mut response = CreateTopicsResponse::default();
        let is_twice = |topic: &CreatableTopic| named[&topic.name] > 1;
        for topic in request.topics.iter().filter(|topic| !is_twice(topic) && *topic.name.0 != *CLUSTER_METADATA) {
            response.topics.push(match self.create_topic(topic, &mut records, draw) {
                Ok(created) => created,
                Err(refusal) => refused(&topic.name, refusal),
            });
        }
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
        for (name, times) in named {
            if times > 1 {
                response.topics.push(refused(name, invalid("Duplicate topic name.".to_string())));
            } else if *name.0 == *CLUSTER_METADATA {
                let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
                response.topics.push(refused(name, invalid(message)));
            }
        }
        if request.validate_only {
            records.clear();
        }
        Decision { records, response }
    }

    fn create_topic(
        &self,
        topic: &CreatableTopic,
        records: &mut Vec<MetadataRecord>,
        draw: &mut impl Draw,
    ) -> Result<CreatableTopicResult, Refusal> {
        self.check_new_name(&topic.name)?;
        let configs = self.new_topic_configs(topic)?;
        let partitions = self.new_partitions(topic, draw)?;
        let id = draw.uuid();
        records.push(MetadataRecord::Topic { name: topic.name.clone(), id });
        records.extend(configs);
        let mut created = CreatableTopicResult::default();
        created.name = topic.name.clone();
        created.topic_id = id;
        created.error_message = None;
        created.num_partitions = partitions.len() as i32;
        created.replication_factor = partitions.first().map_or(0, |(replicas, _)| replicas.len() as i16);
        push_partitions(id, 0, partitions, records);
        Ok(created)
    }

    /// Topic.validate, and KAFKA-2337: names that differ in `.` and `_` only collide in metrics.
    fn check_new_name(&self, name: &TopicName) -> Result<(), Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidTopicException, message);
        if self.image.topics.contains_key(name) {
            let message = format!("Topic '{}' already exists.", name.0);
            return Err(Refusal::new(ErrorCode::TopicAlreadyExists, message));
        }
        check_topic_name(&name.0).map_err(invalid)?;
        if name.0.contains(['.', '_']) {
            let unified = name.0.replace('.', "_");
            let colliding = self.image.topics.keys().find(|topic| topic.0.replace('.', "_") == unified);
            if let Some(colliding) = colliding {
                let message = format!("Topic '{}' collides with existing topic: {}", name.0, colliding.0);
                return Err(invalid(message));
            }
        }
        Ok(())
    }

    fn new_partitions(&self, topic: &CreatableTopic, draw: &mut impl Draw) -> Result<NewPartitions, Refusal> {
        if !topic.assignments.is_empty() {
            return self.assigned_partitions(topic);
        }
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
        }
        let count = if topic.num_partitions == -1 { self.config.num_partitions } else { topic.num_partitions };
        let factor = match topic.replication_factor {
            -1 => self.config.default_replication_factor,
            factor => factor,
        };
        self.check_record_count(count)?;
        self.place(count, factor, draw)
    }

    /// Partitions that the placer puts somewhere.
    fn place(&self, count: i32, factor: i16, draw: &mut impl Draw) -> Result<NewPartitions, Refusal> {
        let refuse = |why: String| {
            let message = format!("Unable to replicate the partition {factor} time(s): {why}");
            Refusal::new(ErrorCode::InvalidReplicationFactor, message)
        };
        let usable = self.image.brokers.iter().filter(|(id, _)| !self.liveness.is_shutting_down(**id));
        let usable = usable.map(|(id, registration)| UsableBroker {
            id: *id,
            rack: registration.rack.clone(),
            fenced: self.liveness.is_fenced(*id),
        });
        let mut racks = RackList::new(usable, draw);
        let mut partitions = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let replicas = racks.place(i32::from(factor), draw).map_err(refuse)?;
            let isr = self.active_of(&replicas);
            if isr.is_empty() {
                return Err(refuse("All brokers are currently fenced or in controlled shutdown.".to_string()));
            }
            partitions.push((replicas, isr));
        }
        Ok(partitions)
    }

    fn assigned_partitions(&self, topic: &CreatableTopic) -> Result<NewPartitions, Refusal> {
        let request = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
        if topic.replication_factor != -1 {
            return Err(request(
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            ));
        }
        if topic.num_partitions != -1 {
            return Err(request("A manual partition assignment was specified, but numPartitions was not set to -1."));
        }
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
        let mut factor = None;
        let mut partitions = BTreeMap::new();
        for CreatableReplicaAssignment { partition_index: index, broker_ids: replicas, .. } in &topic.assignments {
            if partitions.contains_key(index) {
                return Err(invalid(format!("Found multiple manual partition assignments for partition {index}")));
            }
            self.check_manual_assignment(replicas, factor)?;
            factor = Some(replicas.len());
            partitions.insert(*index, (replicas.clone(), self.manual_isr(*index, replicas)?));
        }
        if !partitions.keys().copied().eq(0..partitions.len() as i32) {
            return Err(invalid("partitions should be a consecutive 0-based integer sequence".to_string()));
        }
        Ok(partitions.into_values().collect())
    }

    /// ReplicationControlManager.validateManualPartitionAssignment.
    pub fn check_manual_assignment(&self, replicas: &[BrokerId], factor: Option<usize>) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        if replicas.is_empty() {
            return invalid("The manual partition assignment includes an empty replica list.".to_string());
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut previous = None;
        for broker in sorted {
            if !self.image.brokers.contains_key(&broker) {
                return invalid(format!(
                    "The manual partition assignment includes broker {}, but no such broker is registered.",
                    broker.0
                ));
            }
            if previous == Some(broker) {
                return invalid(format!(
                    "The manual partition assignment includes the broker {} more than once.",
                    broker.0
                ));
            }
            previous = Some(broker);
        }
        match factor {
            Some(factor) if factor != replicas.len() => invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {factor} replica(s).",
                replicas.len()
            )),
            _ => Ok(()),
        }
    }

    fn manual_isr(&self, index: i32, replicas: &[BrokerId]) -> Result<Vec<BrokerId>, Refusal> {
        let isr = self.active_of(replicas);
        if isr.is_empty() {
            let message = format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            );
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        Ok(isr)
    }

    fn active_of(&self, replicas: &[BrokerId]) -> Vec<BrokerId> {
        replicas.iter().copied().filter(|broker| self.image.is_active(*broker)).collect()
    }

    /// KAFKA-15981: one request may not write more records than a batch can hold (QuorumController.MAX_RECORDS_PER_USER_OP).
    fn check_record_count(&self, partitions: i32) -> Result<(), Refusal> {
        const MAX_RECORDS: i32 = 10_000;
        if partitions >= MAX_RECORDS {
            let message = format!("Excessively large number of partitions per request.");
            return Err(Refusal::new(ErrorCode::PolicyViolation, message));
        }
        Ok(())
    }

    /// ReplicationControlManager.createPartitions.
    pub fn create_partitions(
        &self,
        request: &CreatePartitionsRequest,
        draw: &mut impl Draw,
    ) -> Decision<CreatePartitionsResponse> {
        let mut records = Vec::new();
        let mut response = CreatePartitionsResponse::default();
        for (position, topic) in request.topics.iter().enumerate() {
            let twice = request.topics.iter().filter(|other| other.name == topic.name).count() > 1;
            if twice && request.topics[..position].iter().any(|other| other.name == topic.name) {
                continue;
            }
            let result = if twice {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                self.add_partitions(topic, &mut records, draw)
            };
            let mut answer = CreatePartitionsTopicResult::default();
            answer.name = topic.name.clone();
            (answer.error_code, answer.error_message) = outcome(&result);
            response.results.push(answer);
        }
        if request.validate_only {
            records.clear();
        }
        Decision { records, response }
    }

    fn add_partitions(
        &self,
        asked: &CreatePartitionsTopic,
        records: &mut Vec<MetadataRecord>,
        draw: &mut impl Draw,
    ) -> Result<(), Refusal> {
        let topic = self.image.topics.get(&asked.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let current = topic.partitions.len() as i32;
        if asked.count <= current {
            let message = if asked.count == current {
                format!("Topic already has {current} partition(s).")
            } else {
                format!(
                    "The topic {} currently has {current} partition(s); {} would not be an increase.",
                    asked.name.0, asked.count
                )
            };
            return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
        }
        let additional = asked.count - current;
        self.check_record_count(additional)?;
        let factor = topic.partitions.values().next().map_or(1, |first| first.replicas.len());
        let partitions = match &asked.assignments {
            None => self.place(additional, factor as i16, draw)?,
            Some(assignments) if assignments.len() != additional as usize => {
                let message = format!(
                    "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                    assignments.len()
                );
                return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
            }
            Some(assignments) => {
                let mut partitions = Vec::new();
                for (index, assignment) in (current..).zip(assignments) {
                    self.check_manual_assignment(&assignment.broker_ids, Some(factor))?;
                    let isr = self.manual_isr(index, &assignment.broker_ids)?;
                    partitions.push((assignment.broker_ids.clone(), isr));
                }
                partitions
            }
        };
        push_partitions(topic.id, current, partitions, records);
        Ok(())
    }

    /// ControllerApis.deleteTopics and ReplicationControlManager.deleteTopics.
    pub fn delete_topics(&self, request: &DeleteTopicsRequest) -> Decision<DeleteTopicsResponse> {
        let mut records = Vec::new();
        let mut response = DeleteTopicsResponse::default();
        let mut deleted: Vec<Uuid> = Vec::new();
        let by_name = request.topic_names.iter().map(|name| (Some(name), Uuid::nil()));
        let asked: Vec<(Option<&TopicName>, Uuid)> =
            by_name.chain(request.topics.iter().map(|topic| (topic.name.as_ref(), topic.topic_id))).collect();
        for (position, (name, id)) in asked.iter().enumerate() {
            let twice = asked.iter().filter(|other| *other == &(*name, *id)).count() > 1;
            if twice && asked[..position].contains(&(*name, *id)) {
                continue;
            }
            let result = if twice { Err(duplicate(*name)) } else { self.find_topic(*name, *id) };
            let result = result.and_then(|(name, id)| match deleted.contains(&id) {
                true => Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    "The provided topic name maps to an ID that was already supplied.",
                )),
                false => Ok((name, id)),
            });
            let mut answer = DeletableTopicResult::default();
            (answer.error_code, answer.error_message) = outcome(&result);
            (answer.name, answer.topic_id) = (name.cloned(), *id);
            if let Ok((name, id)) = result {
                deleted.push(id);
                records.push(MetadataRecord::RemoveTopic { id });
                (answer.name, answer.topic_id) = (Some(name), id);
            }
            response.responses.push(answer);
        }
        Decision { records, response }
    }

    fn find_topic(&self, name: Option<&TopicName>, id: Uuid) -> Result<(TopicName, Uuid), Refusal> {
        let invalid = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
        match (name, id.is_nil()) {
            (None, true) => Err(invalid("Neither topic name nor id were specified.")),
            (Some(_), false) => Err(invalid("You may not specify both topic name and topic id.")),
            (Some(name), true) => {
                let topic = self.image.topics.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
                Ok((name.clone(), topic.id))
            }
            (None, false) => {
                let (name, _) = self.image.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)?;
                Ok((name.clone(), id))
            }
        }
    }
}

/// Topic.validate.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_string()
    } else if name == "." || name == ".." {
        "'.' or '..' is not allowed".to_string()
    } else if name.len() > MAX_NAME_LENGTH {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}")
    } else if !name.chars().all(is_legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {why}"))
}

fn push_partitions(topic: Uuid, first: i32, partitions: NewPartitions, records: &mut Vec<MetadataRecord>) {
    for (partition, (replicas, isr)) in (first..).zip(partitions) {
        records.push(MetadataRecord::Partition {
            topic,
            partition,
            leader: isr.first().copied(),
            replicas,
            isr,
            removing: Vec::new(),
            adding: Vec::new(),
            recovering: false,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        });
    }
}

fn refused(name: &TopicName, refusal: Refusal) -> CreatableTopicResult {
    let mut answer = CreatableTopicResult::default();
    answer.name = name.clone();
    answer.error_code = refusal.error.code();
    answer.error_message = refusal.text();
    answer
}

fn duplicate(name: Option<&TopicName>) -> Refusal {
    let what = if name.is_some() { "Duplicate topic name." } else { "Duplicate topic id." };
    Refusal::new(ErrorCode::InvalidRequest, what)
}
