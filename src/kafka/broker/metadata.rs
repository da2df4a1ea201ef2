//! What clients learn of the cluster from any broker (KafkaApis.handleTopicMetadataRequest,
//! handleFindCoordinatorRequest, KRaftMetadataCache), and topics that are made on first use
//! (AutoTopicCreationManager).

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::image::{MetadataImage, PartitionRegistration, TopicImage};
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::fact::Fact;
use crate::kafka::node::Turn;
use crate::kafka::share::SharePartitionKey;
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use crate::wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::messages::{
    ApiVersionsResponse, CreateTopicsRequest, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse,
};
use crate::wire::{
    ApiKey, BrokerId, Correlation, ErrorCode, NodeId, OFFSETS_TOPIC, Response, SHARE_STATE_TOPIC, StrBytes,
    TRANSACTION_TOPIC, TopicName, Uuid, code, error, is_internal_topic, partition_of_key, str_bytes, topic_name,
    validate_topic_name,
};

/// `request.timeout.ms`: how long a topic counts as being made without an answer.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);
/// `offsets.topic.segment.bytes`
const OFFSETS_SEGMENT_BYTES: &str = "104857600";
/// The port that every broker listens on.
const PORT: i32 = 9092;

/// Topics that this broker has asked the controller to make (AutoTopicCreationManager): one request
/// in flight per topic; clients ask again until the topic is there.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicCreation {
    in_flight: SortedMap<TopicName, InFlight>,
    /// Why the controller made no such topic, the last time it was asked.
    refused: SortedMap<TopicName, ErrorCode>,
}

#[derive(Clone, Debug, PartialEq)]
struct InFlight {
    correlation: Correlation,
    controller: NodeId,
    /// From then on the request counts as lost.
    until: Instant,
}

impl TopicCreation {
    pub fn new() -> TopicCreation {
        TopicCreation::default()
    }

    /// Asks the active controller for those that nobody has asked for yet. Without a known
    /// controller nothing is sent: the client's next try is the next attempt.
    fn create(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>, topics: Vec<CreatableTopic>) {
        let now = turn.now;
        self.in_flight.retain(|_, request| request.until > now);
        let topics: Vec<CreatableTopic> =
            topics.into_iter().filter(|topic| !self.in_flight.contains_key(&topic.name)).collect();
        let Some(controller) = controller.filter(|_| !topics.is_empty()) else {
            return;
        };
        let names: Vec<TopicName> = topics.iter().map(|topic| topic.name.clone()).collect();
        let request =
            CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(CREATION_TIMEOUT.millis() as i32);
        let correlation = turn.request(controller, request);
        for name in names {
            self.in_flight.insert(name, InFlight { correlation, controller, until: now + CREATION_TIMEOUT });
        }
    }

    /// True if the response answered a request of this part. Whatever it says, clients look again; what is
    /// refused is told when the reason is new.
    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        broker: BrokerId,
        correlation: Correlation,
        response: &Response,
    ) -> bool {
        let before = self.in_flight.len();
        self.in_flight.retain(|_, request| request.correlation != correlation);
        let answered = self.in_flight.len() < before;
        if let (true, Response::CreateTopics(response)) = (answered, response) {
            for topic in &response.topics {
                match error(topic.error_code) {
                    // Another broker was quicker, or the controller is another one by now.
                    None | Some(ErrorCode::TopicAlreadyExists | ErrorCode::NotController) => {
                        self.refused.remove(&topic.name);
                    }
                    Some(error) if self.refused.insert(topic.name.clone(), error) != Some(error) => {
                        let (topic, reason) = (topic.name.clone(), topic.error_message.clone().unwrap_or_default());
                        turn.tell(Fact::TopicNotCreated { broker, topic, error, reason });
                    }
                    Some(_) => {}
                }
            }
        }
        answered
    }

    pub fn disconnected(&mut self, peer: NodeId) {
        self.in_flight.retain(|_, request| request.controller != peer);
    }
}

/// METADATA: the brokers that live, and the topics asked for. Unknown topics are asked for at the
/// controller when the client and `auto.create.topics.enable` allow it.
pub fn metadata(
    turn: &mut Turn<'_>,
    image: &MetadataImage,
    config: &BrokerConfig,
    creation: &mut TopicCreation,
    controller: Option<NodeId>,
    request: &MetadataRequest,
) -> MetadataResponse {
    let mut topics = Vec::new();
    let mut missing = Vec::new();
    match &request.topics {
        None => topics.extend(image.topics.iter().map(|(name, topic)| topic_row(image, name, topic))),
        Some(asked) => {
            for topic in asked {
                match &topic.name {
                    None => topics.push(topic_by_id(image, topic.topic_id)),
                    Some(name) => match image.topics.get(name) {
                        Some(topic) => topics.push(topic_row(image, name, topic)),
                        None => {
                            topics.push(missing_topic(name));
                            missing.push(name);
                        }
                    },
                }
            }
        }
    }
    if request.allow_auto_topic_creation && config.auto_create_topics {
        let wanted = missing.into_iter().filter(|name| validate_topic_name(&name.0).is_ok());
        creation.create(turn, controller, wanted.map(|name| creatable(config, name)).collect());
    }
    let brokers: Vec<BrokerId> = alive_brokers(image).collect();
    // In KRaft clients are not told the controller: any live broker stands for it.
    let contact = brokers.get(turn.below(brokers.len() as u64) as usize).copied();
    MetadataResponse::default()
        .with_brokers(brokers.iter().map(|id| broker_row(image, *id)).collect())
        .with_controller_id(contact.unwrap_or(BrokerId(-1)))
        .with_topics(topics)
}

/// API_VERSIONS: what can be asked of a broker, each in the one version that all nodes speak, and the features
/// of the cluster (ApiVersionManager).
pub fn api_versions(image: &MetadataImage) -> ApiVersionsResponse {
    let of_controllers = |api: ApiKey| {
        matches!(
            api,
            ApiKey::Vote
                | ApiKey::BeginQuorumEpoch
                | ApiKey::EndQuorumEpoch
                | ApiKey::FetchSnapshot
                | ApiKey::AlterPartition
                | ApiKey::BrokerRegistration
                | ApiKey::BrokerHeartbeat
                | ApiKey::AllocateProducerIds
        )
    };
    let apis = ApiKey::ALL.iter().filter(|api| !of_controllers(**api)).map(|api| {
        let version = api.version();
        ApiVersion::default().with_api_key(api.key()).with_min_version(version).with_max_version(version)
    });
    let features = image.features.iter().map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(name.clone())
            .with_max_version_level(*level)
            .with_min_version_level(*level)
    });
    ApiVersionsResponse::default()
        .with_api_keys(apis.collect())
        .with_finalized_features(features.collect())
        .with_finalized_features_epoch(image.offset.0)
}

/// FIND_COORDINATOR, version 4 and later: each key's coordinator is the leader of the key's partition of
/// `__consumer_offsets`, `__transaction_state` or `__share_group_state`, which is made when it is missing.
pub fn find_coordinator(
    turn: &mut Turn<'_>,
    image: &MetadataImage,
    config: &BrokerConfig,
    creation: &mut TopicCreation,
    controller: Option<NodeId>,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let name = CoordinatorType::of_key_type(request.key_type).map(|kind| topic_name(kind.topic()));
    let topic = name.as_ref().and_then(|name| image.topics.get(name));
    let is_share = request.key_type == CoordinatorType::Share as i8;
    let is_valid = |key: &StrBytes| !is_share || SharePartitionKey::is_valid(key);
    let is_needed = topic.is_none() && request.coordinator_keys.iter().any(is_valid);
    if let Some(name) = name.as_ref().filter(|_| is_needed) {
        creation.create(turn, controller, vec![creatable(config, name)]);
    }
    let coordinator = |key: &StrBytes| match &name {
        Some(_) if is_valid(key) => coordinator_of(image, topic, key),
        _ => Err(ErrorCode::InvalidRequest),
    };
    let answer = |key: &StrBytes| match coordinator(key) {
        Ok(broker) => {
            Coordinator::default().with_key(key.clone()).with_node_id(broker).with_host(host(broker)).with_port(PORT)
        }
        Err(error) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error.code()),
    };
    FindCoordinatorResponse::default().with_coordinators(request.coordinator_keys.iter().map(answer).collect())
}

/// Who keeps the state of a share partition, as far as the metadata says
/// (ShareCoordinatorMetadataCacheHelperImpl).
pub(super) fn share_coordinator(image: &MetadataImage, key: &SharePartitionKey) -> Option<BrokerId> {
    let topic = image.topics.get(&topic_name(SHARE_STATE_TOPIC));
    coordinator_of(image, topic, &key.as_coordinator_key()).ok()
}

fn coordinator_of(image: &MetadataImage, topic: Option<&TopicImage>, key: &StrBytes) -> Result<BrokerId, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let partition = partition_of_key(key, topic.partitions.len() as i32);
    let registration = topic.partitions.get(&partition).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let leader = registration.leader.filter(|leader| is_alive(image, *leader));
    leader.ok_or(ErrorCode::CoordinatorNotAvailable)
}

/// A topic as its first use makes it; the controller has the last word.
fn creatable(config: &BrokerConfig, name: &TopicName) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(name.clone());
    let with = |topic: CreatableTopic, settings: &[(&str, &str)]| {
        let setting = |(name, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(str_bytes(name)).with_value(Some(str_bytes(value)))
        };
        topic.with_configs(settings.iter().map(setting).collect())
    };
    match name.0.as_str() {
        OFFSETS_TOPIC => {
            let topic = topic
                .with_num_partitions(config.offsets_topic_num_partitions)
                .with_replication_factor(config.offsets_topic_replication_factor);
            let segment = ("segment.bytes", OFFSETS_SEGMENT_BYTES);
            with(topic, &[("cleanup.policy", "compact"), segment, ("compression.type", "producer")])
        }
        // TransactionStateManager.transactionTopicConfigs
        TRANSACTION_TOPIC => {
            let topic = topic
                .with_num_partitions(config.transaction_topic_num_partitions)
                .with_replication_factor(config.transaction_topic_replication_factor);
            let min_isr = config.transaction_topic_min_isr.to_string();
            let segment_bytes = config.transaction_topic_segment_bytes.to_string();
            let settings = [
                ("unclean.leader.election.enable", "false"),
                ("compression.type", "uncompressed"),
                ("cleanup.policy", "compact"),
                ("min.insync.replicas", min_isr.as_str()),
                ("segment.bytes", segment_bytes.as_str()),
            ];
            with(topic, &settings)
        }
        // ShareCoordinatorService.shareGroupStateTopicConfigs
        SHARE_STATE_TOPIC => {
            let topic = topic
                .with_num_partitions(config.share.state_topic_num_partitions)
                .with_replication_factor(config.share.state_topic_replication_factor);
            let min_isr = config.share.state_topic_min_isr.to_string();
            let segment_bytes = config.share.state_topic_segment_bytes.to_string();
            let settings = [
                ("cleanup.policy", "delete"),
                ("compression.type", "producer"),
                ("segment.bytes", segment_bytes.as_str()),
                ("min.insync.replicas", min_isr.as_str()),
                ("retention.ms", "-1"),
            ];
            with(topic, &settings)
        }
        _ => {
            topic.with_num_partitions(config.num_partitions).with_replication_factor(config.default_replication_factor)
        }
    }
}

fn topic_row(image: &MetadataImage, name: &TopicName, topic: &TopicImage) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|(index, partition)| partition_row(image, *index, partition));
    MetadataResponseTopic::default()
        .with_name(Some(name.clone()))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal_topic(&name.0))
        .with_partitions(partitions.collect())
}

fn topic_by_id(image: &MetadataImage, id: Uuid) -> MetadataResponseTopic {
    let name = image.topic_names.get(&id);
    match name.and_then(|name| Some((name, image.topics.get(name)?))) {
        Some((name, topic)) => topic_row(image, name, topic),
        None => MetadataResponseTopic::default()
            .with_name(None)
            .with_topic_id(id)
            .with_error_code(ErrorCode::UnknownTopicId.code()),
    }
}

/// A topic that is being made is unknown all the same, until the metadata says otherwise.
fn missing_topic(name: &TopicName) -> MetadataResponseTopic {
    let valid = validate_topic_name(&name.0).is_ok();
    let error = if valid { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
    MetadataResponseTopic::default()
        .with_name(Some(name.clone()))
        .with_is_internal(is_internal_topic(&name.0))
        .with_error_code(error.code())
}

fn partition_row(image: &MetadataImage, index: i32, partition: &PartitionRegistration) -> MetadataResponsePartition {
    let leader = partition.leader.filter(|leader| image.brokers.contains_key(leader));
    let error = leader.is_none().then_some(ErrorCode::LeaderNotAvailable);
    let offline = partition.replicas.iter().copied().filter(|replica| !is_alive(image, *replica));
    MetadataResponsePartition::default()
        .with_error_code(code(error))
        .with_partition_index(index)
        .with_leader_id(leader.unwrap_or(BrokerId(-1)))
        .with_leader_epoch(partition.leader_epoch.0)
        .with_replica_nodes(partition.replicas.clone())
        .with_isr_nodes(partition.isr.clone())
        .with_offline_replicas(offline.collect())
}

fn broker_row(image: &MetadataImage, id: BrokerId) -> MetadataResponseBroker {
    let rack = image.brokers.get(&id).and_then(|broker| broker.rack.clone());
    MetadataResponseBroker::default().with_node_id(id).with_host(host(id)).with_port(PORT).with_rack(rack)
}

/// Clients are sent to brokers that are not fenced, in controlled shutdown or not.
pub(super) fn alive_brokers(image: &MetadataImage) -> impl Iterator<Item = BrokerId> {
    image.brokers.iter().filter(|(_, broker)| !broker.fenced).map(|(id, _)| *id)
}

fn is_alive(image: &MetadataImage, broker: BrokerId) -> bool {
    image.brokers.get(&broker).is_some_and(|broker| !broker.fenced)
}

fn host(broker: BrokerId) -> StrBytes {
    StrBytes::from_string(format!("broker-{}", broker.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::controller::record::MetadataRecord;
    use crate::kafka::node::Effects;
    use crate::wire::messages::CreateTopicsResponse;
    use crate::wire::messages::create_topics_response::CreatableTopicResult;
    use crate::wire::messages::metadata_request::MetadataRequestTopic;
    use crate::wire::{Body, BrokerEpoch, LeaderEpoch, PartitionEpoch, Request};

    const CONTROLLER: Option<NodeId> = Some(NodeId::controller(1));

    /// Brokers 1 and 2 live, 3 is fenced; `orders` lies on all three, led by 1, and `lost` has no leader.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::new();
        for id in 1..=3 {
            image.replay(&MetadataRecord::RegisterBroker {
                broker: BrokerId(id),
                incarnation: Uuid::nil(),
                epoch: BrokerEpoch(id.into()),
                rack: Some(str_bytes("a")),
                fenced: id == 3,
                in_controlled_shutdown: false,
            });
        }
        add_topic(&mut image, "orders", 1, Some(BrokerId(1)));
        add_topic(&mut image, "lost", 2, None);
        image
    }

    fn add_topic(image: &mut MetadataImage, name: &str, id: u128, leader: Option<BrokerId>) {
        let id = Uuid::from_u128(id);
        image.replay(&MetadataRecord::Topic { name: topic_name(name), id });
        image.replay(&MetadataRecord::Partition {
            topic: id,
            partition: 0,
            registration: PartitionRegistration {
                leader,
                leader_epoch: LeaderEpoch(4),
                partition_epoch: PartitionEpoch(7),
                ..PartitionRegistration::new([1, 2, 3].map(BrokerId).to_vec(), [1, 2].map(BrokerId).to_vec())
            },
        });
    }

    fn ask(names: &[&str]) -> MetadataRequest {
        let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()))
    }

    fn answer(effects: &mut Effects, creation: &mut TopicCreation, request: &MetadataRequest) -> MetadataResponse {
        let mut turn = Turn::new(Instant::ZERO, effects);
        metadata(&mut turn, &image(), &BrokerConfig::default(), creation, CONTROLLER, request)
    }

    #[test]
    fn a_fenced_broker_is_offline_and_not_among_the_brokers() {
        let mut effects = Effects::new(1);
        let response = answer(&mut effects, &mut TopicCreation::new(), &ask(&["orders"]));
        let ids: Vec<i32> = response.brokers.iter().map(|b| b.node_id.0).collect();
        assert_eq!(ids, [1, 2]);
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id.0, partition.leader_epoch), (0, 1, 4));
        assert_eq!(partition.offline_replicas, [BrokerId(3)]);
    }

    #[test]
    fn a_partition_without_leader_says_so() {
        let mut effects = Effects::new(1);
        let response = answer(&mut effects, &mut TopicCreation::new(), &ask(&["lost"]));
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, ErrorCode::LeaderNotAvailable.code());
        assert_eq!(partition.leader_id.0, -1);
    }

    #[test]
    fn an_unknown_topic_is_asked_for_once_until_the_controller_answers() {
        let (mut effects, mut creation) = (Effects::new(1), TopicCreation::new());
        let response = answer(&mut effects, &mut creation, &ask(&["new", "not/valid"]));
        let errors: Vec<i16> = response.topics.iter().map(|t| t.error_code).collect();
        assert_eq!(errors, [ErrorCode::UnknownTopicOrPartition.code(), ErrorCode::InvalidTopicException.code()]);
        let (_, envelope) = effects.sends.pop().expect("a request to the controller");
        let Body::Request(Request::CreateTopics(request)) = &envelope.body else { panic!("{envelope:?}") };
        assert_eq!(request.topics.len(), 1);
        answer(&mut effects, &mut creation, &ask(&["new"]));
        assert!(effects.sends.is_empty());
        let mut correlation = envelope.correlation;
        for told in [1, 0] {
            let refused = CreatableTopicResult::default()
                .with_name(topic_name("new"))
                .with_error_code(ErrorCode::InvalidReplicationFactor.code());
            let refused = CreateTopicsResponse::default().with_topics(vec![refused]).into();
            let mut turn = Turn::new(Instant::ZERO, &mut effects);
            assert!(creation.handle_response(&mut turn, BrokerId(1), correlation, &refused));
            let facts = std::mem::take(&mut effects.facts);
            assert_eq!(facts.len(), told, "the same reason is told once: {facts:?}");
            answer(&mut effects, &mut creation, &ask(&["new"]));
            correlation = effects.sends.pop().expect("another request").1.correlation;
        }
    }

    #[test]
    fn a_client_that_does_not_allow_it_makes_no_topic() {
        let mut effects = Effects::new(1);
        let request = ask(&["new"]).with_allow_auto_topic_creation(false);
        answer(&mut effects, &mut TopicCreation::new(), &request);
        assert!(effects.sends.is_empty());
    }

    #[test]
    fn the_first_group_makes_the_offsets_topic_and_later_ones_find_its_leader() {
        let (mut effects, mut creation) = (Effects::new(1), TopicCreation::new());
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![str_bytes("payments")]);
        let mut image = image();
        let config = BrokerConfig::default();
        let mut find = |image: &MetadataImage, effects: &mut Effects| {
            let mut turn = Turn::new(Instant::ZERO, effects);
            find_coordinator(&mut turn, image, &config, &mut creation, CONTROLLER, &request).coordinators[0].clone()
        };
        assert_eq!(find(&image, &mut effects).error_code, ErrorCode::CoordinatorNotAvailable.code());
        assert_eq!(effects.sends.len(), 1);
        add_topic(&mut image, OFFSETS_TOPIC, 3, Some(BrokerId(2)));
        let found = find(&image, &mut effects);
        assert_eq!((found.error_code, found.node_id.0), (0, 2));
    }
}
