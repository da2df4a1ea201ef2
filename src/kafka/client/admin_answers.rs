//! What administrative requests ask and what their answers say, in words.

use crate::kafka::client::errors;
use crate::kafka::fact::error_name;
use crate::wire::messages::incremental_alter_configs_request::AlterConfigsResource;
use crate::wire::{ControllerId, ErrorCode, Request, Response, StrBytes, error, str_bytes};

/// ConfigResource.Type.BROKER
const BROKER_RESOURCE: i8 = 4;

/// What an answer means to the admin client.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Done,
    /// Another node, or a later moment, would answer otherwise.
    Again(ErrorCode),
    /// Kafka's error and message.
    Failed(String),
}

/// One code with its message, as responses carry them.
type Told = (i16, Option<StrBytes>);

/// What a request asks for, as a person says it.
pub fn what(request: &Request) -> StrBytes {
    let text = match request {
        Request::CreateTopics(body) => format!("create topic {}", names(body.topics.iter().map(|t| t.name.0.as_str()))),
        Request::DeleteTopics(body) => {
            let listed = body.topics.iter().filter_map(|t| t.name.as_ref()).map(|n| n.0.as_str());
            format!("delete topic {}", names(listed))
        }
        Request::CreatePartitions(body) => {
            let topics = body.topics.iter().map(|t| format!("{} to {}", t.name.0, t.count)).collect::<Vec<_>>();
            format!("grow topic {} partitions", topics.join(", "))
        }
        Request::IncrementalAlterConfigs(body) => {
            let name = |r: &AlterConfigsResource| match (r.resource_type, r.resource_name.is_empty()) {
                (BROKER_RESOURCE, true) => "all brokers".to_string(),
                (BROKER_RESOURCE, false) => format!("broker {}", r.resource_name),
                _ => r.resource_name.to_string(),
            };
            let resources: Vec<String> = body.resources.iter().map(name).collect();
            format!("change configuration of {}", resources.join(", "))
        }
        Request::DeleteRecords(body) => {
            let partitions = body.topics.iter().flat_map(|t| {
                t.partitions.iter().map(|p| format!("{}-{} before {}", t.name.0, p.partition_index, p.offset))
            });
            format!("delete records of {}", partitions.collect::<Vec<_>>().join(", "))
        }
        Request::ElectLeaders(body) => {
            let partitions = body
                .topic_partitions
                .iter()
                .flatten()
                .flat_map(|t| t.partitions.iter().map(|p| format!("{}-{p}", t.topic.0)));
            let kind = if body.election_type == 0 { "preferred" } else { "unclean" };
            format!("elect {kind} leader of {}", partitions.collect::<Vec<_>>().join(", "))
        }
        Request::AlterPartitionReassignments(body) => {
            let partitions = body.topics.iter().flat_map(|t| {
                t.partitions.iter().map(|p| match &p.replicas {
                    Some(replicas) => {
                        format!(
                            "reassign {}-{} to {}",
                            t.name.0,
                            p.partition_index,
                            crate::kafka::fact::brokers(replicas)
                        )
                    }
                    None => format!("cancel reassignment of {}-{}", t.name.0, p.partition_index),
                })
            });
            partitions.collect::<Vec<_>>().join(", ")
        }
        Request::UnregisterBroker(body) => format!("unregister broker {}", body.broker_id.0),
        Request::AddRaftVoter(body) => format!("add controller {}", controller(body.voter_id)),
        Request::RemoveRaftVoter(body) => format!("remove controller {}", controller(body.voter_id)),
        Request::DeleteGroups(body) => {
            format!("delete group {}", names(body.groups_names.iter().map(|g| g.0.as_str())))
        }
        Request::OffsetCommit(body) => format!("commit offsets of group {}", body.group_id.0),
        other => other.api().name().to_string(),
    };
    str_bytes(&text)
}

/// NOT_CONTROLLER is tried again for everything; what a partition's leader or a group's
/// coordinator answers, also the errors that a new leader or coordinator lifts.
pub fn verdict(response: &Response) -> Verdict {
    let told = told(response);
    let by_leader = matches!(response, Response::DeleteRecords(_) | Response::ListOffsets(_));
    let by_coordinator = matches!(
        response,
        Response::OffsetCommit(_)
            | Response::OffsetFetch(_)
            | Response::DeleteGroups(_)
            | Response::DescribeGroups(_)
            | Response::ConsumerGroupDescribe(_)
            | Response::ShareGroupDescribe(_)
            | Response::AlterShareGroupOffsets(_)
    );
    // A change of voters is refused while the new one is behind or another is under way; whoever
    // operates the cluster tries again.
    let by_quorum = matches!(response, Response::AddRaftVoter(_) | Response::RemoveRaftVoter(_));
    let mut failed = None;
    for (code, message) in told {
        let Some(error) = error(code) else { continue };
        // LeaderElectionCommand counts a valid leader that is elected already among what is well.
        if error == ErrorCode::ElectionNotNeeded {
            continue;
        }
        let again = match error {
            ErrorCode::NotController | ErrorCode::ThrottlingQuotaExceeded => true,
            // The topic may have been created a moment ago; but a tool should say soon that it is not there.
            ErrorCode::UnknownTopicOrPartition => false,
            ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::UnstableOffsetCommit => by_coordinator,
            ErrorCode::RequestTimedOut | ErrorCode::NotLeaderOrFollower if by_quorum => true,
            error => by_leader && errors::is_retriable(error),
        };
        if again {
            return Verdict::Again(error);
        }
        if failed.is_none() {
            failed = Some(match message.filter(|m| !m.is_empty()) {
                Some(message) => format!("{}: {message}", error_name(error)),
                None => error_name(error),
            });
        }
    }
    failed.map_or(Verdict::Done, Verdict::Failed)
}

/// What a person should know of an answer that is no failure.
pub fn remark(response: &Response) -> Option<&'static str> {
    let not_needed = told(response).iter().any(|(code, _)| error(*code) == Some(ErrorCode::ElectionNotNeeded));
    not_needed.then_some("a valid leader is elected already")
}

/// Every code that the answer carries.
fn told(response: &Response) -> Vec<Told> {
    let plain = |code: i16| (code, None);
    match response {
        Response::CreateTopics(r) => r.topics.iter().map(|t| (t.error_code, t.error_message.clone())).collect(),
        Response::DeleteTopics(r) => r.responses.iter().map(|t| (t.error_code, t.error_message.clone())).collect(),
        Response::CreatePartitions(r) => r.results.iter().map(|t| (t.error_code, t.error_message.clone())).collect(),
        Response::IncrementalAlterConfigs(r) => {
            r.responses.iter().map(|t| (t.error_code, t.error_message.clone())).collect()
        }
        Response::DeleteRecords(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).map(|p| plain(p.error_code)).collect()
        }
        Response::ListOffsets(r) => r.topics.iter().flat_map(|t| &t.partitions).map(|p| plain(p.error_code)).collect(),
        Response::ElectLeaders(r) => {
            let partitions = r.replica_election_results.iter().flat_map(|t| &t.partition_result);
            let partitions = partitions.map(|p| (p.error_code, p.error_message.clone()));
            std::iter::once(plain(r.error_code)).chain(partitions).collect()
        }
        Response::AlterPartitionReassignments(r) => {
            let partitions = r.responses.iter().flat_map(|t| &t.partitions);
            let partitions = partitions.map(|p| (p.error_code, p.error_message.clone()));
            std::iter::once((r.error_code, r.error_message.clone())).chain(partitions).collect()
        }
        Response::UnregisterBroker(r) => vec![(r.error_code, r.error_message.clone())],
        Response::AddRaftVoter(r) => vec![(r.error_code, r.error_message.clone())],
        Response::RemoveRaftVoter(r) => vec![(r.error_code, r.error_message.clone())],
        Response::OffsetCommit(r) => r.topics.iter().flat_map(|t| &t.partitions).map(|p| plain(p.error_code)).collect(),
        Response::OffsetFetch(r) => {
            r.groups.iter().flat_map(|g| std::iter::once(plain(g.error_code)).chain(partition_codes(g))).collect()
        }
        Response::DescribeGroups(r) => r.groups.iter().map(|g| (g.error_code, g.error_message.clone())).collect(),
        Response::ConsumerGroupDescribe(r) => {
            r.groups.iter().map(|g| (g.error_code, g.error_message.clone())).collect()
        }
        Response::ShareGroupDescribe(r) => r.groups.iter().map(|g| (g.error_code, g.error_message.clone())).collect(),
        Response::AlterShareGroupOffsets(r) => {
            let partitions = r.responses.iter().flat_map(|t| &t.partitions);
            let partitions = partitions.map(|p| (p.error_code, p.error_message.clone()));
            std::iter::once((r.error_code, r.error_message.clone())).chain(partitions).collect()
        }
        Response::DeleteGroups(r) => r.results.iter().map(|group| plain(group.error_code)).collect(),
        Response::Metadata(r) => r.topics.iter().map(|t| plain(t.error_code)).collect(),
        _ => Vec::new(),
    }
}

fn partition_codes(
    group: &crate::wire::messages::offset_fetch_response::OffsetFetchResponseGroup,
) -> impl Iterator<Item = Told> {
    group.topics.iter().flat_map(|t| &t.partitions).map(|p| (p.error_code, None))
}

fn controller(node: i32) -> String {
    ControllerId::from_node_id(node).map_or(node.to_string(), |id| id.to_string())
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
