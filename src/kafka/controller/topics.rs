//! Topics come, grow and go (ReplicationControlManager; the checks of names in ControllerApis).

use crate::kafka::controller::decide::{Decider, Decision, Refusal, outcome};
use crate::kafka::controller::placement::{Draw, RackList, UsableBroker};
use crate::kafka::controller::record::{MetadataRecord, PartitionRegistration};
use crate::sorted::SortedMap;
use crate::wire::messages::create_partitions_request::CreatePartitionsTopic;
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use crate::wire::messages::create_topics_response::CreatableTopicResult;
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse,
};
use crate::wire::{BrokerId, ErrorCode, METADATA_TOPIC, TopicName, Uuid, validate_topic_name};

/// The replicas and the ISR of each new partition, in order.
type NewPartitions = Vec<(Vec<BrokerId>, Vec<BrokerId>)>;

/// ReplicationControlManager.MAX_PARTITIONS_PER_BATCH.
const MAX_PARTITIONS_PER_REQUEST: i64 = 10_000;

impl Decider<'_> {
    /// ControllerApis.createTopics and ReplicationControlManager.createTopics.
    pub fn create_topics(&self, request: &CreateTopicsRequest, draw: &mut impl Draw) -> Decision<CreateTopicsResponse> {
        let mut named: SortedMap<&TopicName, u32> = SortedMap::new();
        for topic in &request.topics {
            *named.entry(&topic.name).or_default() += 1;
        }
        let mut records = Vec::new();
        let mut response = CreateTopicsResponse::default();
        let partitions = request.topics.iter().map(|topic| self.asked_partitions(topic)).sum();
        if let Err(refusal) = check_partition_count(partitions) {
            response.topics = request.topics.iter().map(|topic| refused(&topic.name, refusal.clone())).collect();
            return Decision { records, response };
        }
        let is_twice = |topic: &CreatableTopic| named[&topic.name] > 1;
        for topic in request.topics.iter().filter(|topic| !is_twice(topic) && *topic.name.0 != *METADATA_TOPIC) {
            response.topics.push(match self.create_topic(topic, &mut records, draw) {
                Ok(created) => created,
                Err(refusal) => refused(&topic.name, refusal),
            });
        }
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
        for (name, times) in named {
            if times > 1 {
                response.topics.push(refused(name, invalid("Duplicate topic name.".to_string())));
            } else if *name.0 == *METADATA_TOPIC {
                let message = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
                response.topics.push(refused(name, invalid(message)));
            }
        }
        if request.validate_only {
            records.clear();
        }
        Decision { records, response }
    }

    fn asked_partitions(&self, topic: &CreatableTopic) -> i64 {
        match topic.num_partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
            -1 => i64::from(self.config.num_partitions),
            count => i64::from(count.max(0)),
        }
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
        validate_topic_name(&name.0).map_err(invalid)?;
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
        let mut partitions = SortedMap::new();
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
        check_partition_count(i64::from(additional))?;
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

/// KAFKA-17870; ReplicationControlManager.validateTotalNumberOfPartitions.
fn check_partition_count(partitions: i64) -> Result<(), Refusal> {
    if partitions > MAX_PARTITIONS_PER_REQUEST {
        let message = "Excessively large number of partitions per request.";
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    Ok(())
}

fn push_partitions(topic: Uuid, first: i32, partitions: NewPartitions, records: &mut Vec<MetadataRecord>) {
    for (partition, (replicas, isr)) in (first..).zip(partitions) {
        records.push(MetadataRecord::Partition {
            topic,
            partition,
            registration: PartitionRegistration::new(replicas, isr),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kafka::config::BrokerConfig;
    use crate::kafka::controller::ahead::Ahead;
    use crate::kafka::controller::image::MetadataImage;
    use crate::rng::Rng;
    use crate::time::Instant;
    use crate::wire::messages::create_topics_request::CreatableTopicConfig;
    use crate::wire::messages::delete_topics_request::DeleteTopicState;
    use crate::wire::messages::{BrokerHeartbeatRequest, BrokerRegistrationRequest};
    use crate::wire::{OFFSETS_TOPIC, error, str_bytes, topic_name};

    struct Draws(Rng);

    impl Draw for Draws {
        fn below(&mut self, bound: u32) -> u32 {
            self.0.below(u64::from(bound)) as u32
        }
    }

    fn cluster(brokers: i32) -> Ahead {
        let mut state = Ahead::begin(Arc::new(BrokerConfig::default()), MetadataImage::new(), Instant::ZERO);
        for broker in 1..=brokers {
            let mut registration = BrokerRegistrationRequest::default();
            registration.broker_id = BrokerId(broker);
            let epoch = state.register(&registration, Instant::ZERO).unwrap().response;
            let mut heartbeat = BrokerHeartbeatRequest::default();
            (heartbeat.broker_id, heartbeat.broker_epoch) = (BrokerId(broker), epoch.0);
            heartbeat.current_metadata_offset = epoch.0;
            state.heartbeat(&heartbeat, Instant::ZERO).unwrap();
        }
        state
    }

    fn topic(name: &str, partitions: i32, factor: i16, configs: &[(&str, &str)]) -> CreateTopicsRequest {
        let mut topic = CreatableTopic::default();
        topic.name = topic_name(name);
        (topic.num_partitions, topic.replication_factor) = (partitions, factor);
        for (name, value) in configs {
            let mut config = CreatableTopicConfig::default();
            (config.name, config.value) = (str_bytes(name), Some(str_bytes(value)));
            topic.configs.push(config);
        }
        let mut request = CreateTopicsRequest::default();
        request.topics.push(topic);
        request
    }

    fn create(state: &mut Ahead, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let decision = state.decider().create_topics(request, &mut Draws(Rng::new(3)));
        state.replay(&decision.records);
        decision.response
    }

    /// The error's name and message, or how many partitions and replicas were made.
    fn check(state: &mut Ahead, request: &CreateTopicsRequest) -> String {
        let response = create(state, request);
        let topic = &response.topics[0];
        match error(topic.error_code) {
            Some(error) => format!("{error:?}: {}", topic.error_message.as_ref().unwrap()),
            None => format!("{} x {}", topic.num_partitions, topic.replication_factor),
        }
    }

    #[test]
    fn the_topic_of_committed_offsets_needs_as_many_brokers_as_replicas() {
        let configs = [("cleanup.policy", "compact"), ("segment.bytes", "104857600"), ("compression.type", "producer")];
        let offsets = topic(OFFSETS_TOPIC, 50, 3, &configs);
        assert_eq!(
            check(&mut cluster(2), &offsets),
            "InvalidReplicationFactor: Unable to replicate the partition 3 time(s): The target replication factor of 3 \
             cannot be reached because only 2 broker(s) are registered."
        );
        let mut state = cluster(3);
        assert_eq!(check(&mut state, &offsets), "50 x 3");
        let image = &state.image.topics[&topic_name(OFFSETS_TOPIC)];
        assert_eq!((image.partitions.len(), image.configs.len()), (50, 3));
        assert!(image.partitions.values().all(|partition| partition.isr.len() == 3));
    }

    #[test]
    fn names_and_settings_are_refused_in_kafkas_words() {
        let mut state = cluster(1);
        let mut check = |name: &str, configs: &[(&str, &str)]| check(&mut state, &topic(name, 1, 1, configs));
        assert_eq!(check("a.b", &[]), "1 x 1");
        assert_eq!(check("a.b", &[]), "TopicAlreadyExists: Topic 'a.b' already exists.");
        assert_eq!(check("a_b", &[]), "InvalidTopicException: Topic 'a_b' collides with existing topic: a.b");
        assert_eq!(
            check("a b", &[]),
            "InvalidTopicException: Topic name is invalid: 'a b' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
        );
        assert_eq!(check("c", &[("retention.msec", "1")]), "InvalidConfig: Unknown topic config name: retention.msec");
        assert_eq!(
            check("c", &[("min.insync.replicas", "0")]),
            "InvalidConfig: Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"
        );
    }

    #[test]
    fn an_excessive_number_of_partitions_is_refused_at_once() {
        let mut state = cluster(1);
        let refusal = "PolicyViolation: Excessively large number of partitions per request.";
        assert_eq!(check(&mut state, &topic("t", i32::MAX, 1, &[])), refusal);
        assert_eq!(check(&mut state, &topic("t", 1, 1, &[])), "1 x 1");
        let mut more = CreatePartitionsTopic::default();
        (more.name, more.count, more.assignments) = (topic_name("t"), i32::MAX, None);
        let mut request = CreatePartitionsRequest::default();
        request.topics.push(more);
        let decision = state.decider().create_partitions(&request, &mut Draws(Rng::new(3)));
        assert_eq!(error(decision.response.results[0].error_code), Some(ErrorCode::PolicyViolation));
    }

    #[test]
    fn a_topic_is_deleted_by_name_or_by_id_but_only_once() {
        let mut state = cluster(1);
        create(&mut state, &topic("t", 1, 1, &[]));
        let id = state.image.topics[&topic_name("t")].id;
        let (mut by_name, mut by_id, mut unknown) =
            (DeleteTopicState::default(), DeleteTopicState::default(), DeleteTopicState::default());
        by_name.name = Some(topic_name("t"));
        (by_id.name, by_id.topic_id) = (None, id);
        unknown.name = Some(topic_name("u"));
        let mut request = DeleteTopicsRequest::default();
        request.topics = vec![by_name, by_id, unknown];
        let decision = state.decider().delete_topics(&request);
        let errors: Vec<Option<ErrorCode>> =
            decision.response.responses.iter().map(|answer| error(answer.error_code)).collect();
        let expected = [None, Some(ErrorCode::InvalidRequest), Some(ErrorCode::UnknownTopicOrPartition)];
        assert_eq!(errors, expected);
        assert_eq!(decision.records, [MetadataRecord::RemoveTopic { id }]);
        state.replay(&decision.records);
        assert!(state.image.topics.is_empty());
    }
}
