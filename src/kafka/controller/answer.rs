//! The answers of a controller that does not serve a request: each API has its own place for the error.

use crate::wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::create_topics_response::CreatableTopicResult;
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::messages::*;
use crate::wire::{ErrorCode, ProducerId, Request, Response, str_bytes};

/// The response that refuses all of the request (AbstractRequest.getErrorResponse). `None` for what
/// no controller is ever asked.
pub fn refuse(request: &Request, error: ErrorCode) -> Option<Response> {
    let code = error.code();
    Some(match request {
        Request::BrokerRegistration(_) => {
            let mut response = BrokerRegistrationResponse::default();
            (response.error_code, response.broker_epoch) = (code, -1);
            response.into()
        }
        Request::BrokerHeartbeat(_) => {
            let mut response = BrokerHeartbeatResponse::default();
            (response.error_code, response.is_fenced) = (code, true);
            response.into()
        }
        Request::AlterPartition(_) => {
            let mut response = AlterPartitionResponse::default();
            response.error_code = code;
            response.into()
        }
        Request::AllocateProducerIds(_) => {
            let mut response = AllocateProducerIdsResponse::default();
            response.error_code = code;
            response.producer_id_start = ProducerId(-1);
            response.into()
        }
        Request::UnregisterBroker(_) => {
            let mut response = UnregisterBrokerResponse::default();
            (response.error_code, response.error_message) = (code, Some(str_bytes(&error.to_string())));
            response.into()
        }
        Request::CreateTopics(request) => refuse_create_topics(request, error).into(),
        Request::DeleteTopics(request) => refuse_delete_topics(request, error).into(),
        Request::CreatePartitions(request) => refuse_create_partitions(request, error).into(),
        Request::IncrementalAlterConfigs(request) => refuse_alter_configs(request, error).into(),
        Request::ElectLeaders(request) => refuse_elect_leaders(request, error).into(),
        Request::AlterPartitionReassignments(request) => refuse_reassignments(request, error).into(),
        _ => return None,
    })
}

fn refuse_create_topics(request: &CreateTopicsRequest, error: ErrorCode) -> CreateTopicsResponse {
    let mut response = CreateTopicsResponse::default();
    for topic in &request.topics {
        let mut result = CreatableTopicResult::default();
        result.name = topic.name.clone();
        (result.error_code, result.error_message) = (error.code(), Some(str_bytes(&error.to_string())));
        response.topics.push(result);
    }
    response
}

fn refuse_delete_topics(request: &DeleteTopicsRequest, error: ErrorCode) -> DeleteTopicsResponse {
    let mut response = DeleteTopicsResponse::default();
    for topic in &request.topics {
        let mut result = DeletableTopicResult::default();
        (result.name, result.topic_id, result.error_code) = (topic.name.clone(), topic.topic_id, error.code());
        response.responses.push(result);
    }
    for name in &request.topic_names {
        let mut result = DeletableTopicResult::default();
        (result.name, result.error_code) = (Some(name.clone()), error.code());
        response.responses.push(result);
    }
    response
}

fn refuse_create_partitions(request: &CreatePartitionsRequest, error: ErrorCode) -> CreatePartitionsResponse {
    let mut response = CreatePartitionsResponse::default();
    for topic in &request.topics {
        let mut result = CreatePartitionsTopicResult::default();
        result.name = topic.name.clone();
        (result.error_code, result.error_message) = (error.code(), Some(str_bytes(&error.to_string())));
        response.results.push(result);
    }
    response
}

fn refuse_alter_configs(request: &IncrementalAlterConfigsRequest, error: ErrorCode) -> IncrementalAlterConfigsResponse {
    let mut response = IncrementalAlterConfigsResponse::default();
    for resource in &request.resources {
        let mut result = AlterConfigsResourceResponse::default();
        (result.resource_type, result.resource_name) = (resource.resource_type, resource.resource_name.clone());
        (result.error_code, result.error_message) = (error.code(), Some(str_bytes(&error.to_string())));
        response.responses.push(result);
    }
    response
}

fn refuse_elect_leaders(request: &ElectLeadersRequest, error: ErrorCode) -> ElectLeadersResponse {
    let mut response = ElectLeadersResponse::default();
    response.error_code = error.code();
    for topic in request.topic_partitions.iter().flatten() {
        let mut result = ReplicaElectionResult::default();
        result.topic = topic.topic.clone();
        for partition in &topic.partitions {
            let mut refused = PartitionResult::default();
            (refused.partition_id, refused.error_code) = (*partition, error.code());
            refused.error_message = Some(str_bytes(&error.to_string()));
            result.partition_result.push(refused);
        }
        response.replica_election_results.push(result);
    }
    response
}

fn refuse_reassignments(
    request: &AlterPartitionReassignmentsRequest,
    error: ErrorCode,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse::default();
    (response.error_code, response.error_message) = (error.code(), Some(str_bytes(&error.to_string())));
    for topic in &request.topics {
        let mut result = ReassignableTopicResponse::default();
        result.name = topic.name.clone();
        for partition in &topic.partitions {
            let mut refused = ReassignablePartitionResponse::default();
            (refused.partition_index, refused.error_code) = (partition.partition_index, error.code());
            refused.error_message = Some(str_bytes(&error.to_string()));
            result.partitions.push(refused);
        }
        response.responses.push(result);
    }
    response
}
