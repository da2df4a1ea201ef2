//! Administrative statements as the requests that Kafka's own tools send.

use kafka_protocol::messages as m;
use kafka_protocol::messages::add_raft_voter_request::Listener;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};

use crate::kafka::node::{Command, OffsetTarget};
use crate::kafka::quorum::directory_id;
use crate::sim::action::{Action, Configs, ResetTo};
use crate::wire::{BrokerId, ControllerId, Request, str_bytes, topic_name};

/// The tools' default `--timeout` for administrative requests.
const TIMEOUT_MS: i32 = 60_000;
/// ConfigResource.Type
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
const GROUP_RESOURCE: i8 = 32;
/// AlterConfigOp.OpType
const SET: i8 = 0;
const DELETE: i8 = 1;

/// The request that carries out an administrative action; `None` when the action is of another kind.
pub fn request(action: &Action) -> Option<Request> {
    Some(match action {
        Action::CreateTopic { name, partitions, replication_factor, assignment, configs } => {
            create_topic(name, *partitions, *replication_factor, assignment.as_deref(), configs)
        }
        Action::DeleteTopic { name } => {
            let topic = DeleteTopicState::default().with_name(Some(topic_name(name)));
            m::DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS).into()
        }
        Action::DeleteGroup { name } => {
            m::DeleteGroupsRequest::default().with_groups_names(vec![m::GroupId(str_bytes(name))]).into()
        }
        Action::AlterTopic { name, set, delete } => alter(TOPIC_RESOURCE, name, set, delete),
        Action::AlterGroup { name, set, delete } => alter(GROUP_RESOURCE, name, set, delete),
        Action::AlterBroker { broker, set, delete } => {
            let name = broker.map_or(String::new(), |broker| broker.0.to_string());
            alter(BROKER_RESOURCE, &name, set, delete)
        }
        Action::UnregisterBroker { id } => m::UnregisterBrokerRequest::default().with_broker_id(*id).into(),
        Action::CreatePartitions { name, total } => {
            let topic =
                CreatePartitionsTopic::default().with_name(topic_name(name)).with_count(*total).with_assignments(None);
            m::CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS).into()
        }
        Action::DeleteRecords { partition, before } => {
            let index =
                DeleteRecordsPartition::default().with_partition_index(partition.partition).with_offset(before.0);
            let topic = DeleteRecordsTopic::default().with_name(partition.topic.clone()).with_partitions(vec![index]);
            m::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS).into()
        }
        Action::ElectLeader { partition, unclean } => {
            let topic = TopicPartitions::default()
                .with_topic(partition.topic.clone())
                .with_partitions(vec![partition.partition]);
            m::ElectLeadersRequest::default()
                .with_election_type(i8::from(*unclean))
                .with_topic_partitions(Some(vec![topic]))
                .with_timeout_ms(TIMEOUT_MS)
                .into()
        }
        Action::Reassign { partition, replicas } => {
            let index = ReassignablePartition::default()
                .with_partition_index(partition.partition)
                .with_replicas(replicas.clone());
            let topic = ReassignableTopic::default().with_name(partition.topic.clone()).with_partitions(vec![index]);
            m::AlterPartitionReassignmentsRequest::default()
                .with_topics(vec![topic])
                .with_allow_replication_factor_change(true)
                .with_timeout_ms(TIMEOUT_MS)
                .into()
        }
        _ => return None,
    })
}

/// `kafka-metadata-quorum add-controller`
pub fn add_voter(id: ControllerId) -> Command {
    let listener = Listener::default()
        .with_name(str_bytes("CONTROLLER"))
        .with_host(str_bytes(&format!("controller-{}", id.0)))
        .with_port(9093);
    let request = m::AddRaftVoterRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_voter_id(id.node_id())
        .with_voter_directory_id(directory_id(id))
        .with_listeners(vec![listener]);
    Command::Admin(Box::new(request.into()))
}

/// `kafka-metadata-quorum remove-controller`
pub fn remove_voter(id: ControllerId) -> Command {
    let request =
        m::RemoveRaftVoterRequest::default().with_voter_id(id.node_id()).with_voter_directory_id(directory_id(id));
    Command::Admin(Box::new(request.into()))
}

fn create_topic(
    name: &str,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    assignment: Option<&[Vec<BrokerId>]>,
    configs: &Configs,
) -> Request {
    let assignments = assignment.unwrap_or_default().iter().enumerate().map(|(index, replicas)| {
        CreatableReplicaAssignment::default().with_partition_index(index as i32).with_broker_ids(replicas.clone())
    });
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(str_bytes(name)).with_value(Some(str_bytes(value)))
    });
    // -1 leaves the choice to num.partitions and default.replication.factor, or to the assignment.
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions.unwrap_or(-1))
        .with_replication_factor(replication_factor.unwrap_or(-1))
        .with_assignments(assignments.collect())
        .with_configs(configs.collect());
    m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS).into()
}

fn alter(kind: i8, name: &str, set: &Configs, delete: &[String]) -> Request {
    let set = set.iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(str_bytes(name))
            .with_config_operation(SET)
            .with_value(Some(str_bytes(value)))
    });
    let delete = delete.iter().map(|name| {
        AlterableConfig::default().with_name(str_bytes(name)).with_config_operation(DELETE).with_value(None)
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(str_bytes(name))
        .with_configs(set.chain(delete).collect());
    m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).into()
}

/// Where `kafka-consumer-groups --reset-offsets` sends a group, or `kafka-share-groups` a share group.
pub fn reset(share: bool, group: &str, topic: &str, to: ResetTo) -> Command {
    let to = match to {
        ResetTo::Earliest => OffsetTarget::Earliest,
        ResetTo::Latest => OffsetTarget::Latest,
        ResetTo::Offset(offset) => OffsetTarget::Offset(offset),
        ResetTo::Time(timestamp) => OffsetTarget::Timestamp(timestamp),
        ResetTo::Shift(by) => OffsetTarget::Shift(by),
    };
    Command::ResetOffsets { share, group: str_bytes(group), topic: topic_name(topic), to }
}
