//! What each fact decides.

use crate::kafka::fact::{Fact, error_name};
use crate::view::why::Subject;
use crate::wire::{ClientId, GroupId, NodeId};

/// The values that this fact brought about.
pub(super) fn decided(fact: &Fact) -> Vec<Subject> {
    match fact {
        Fact::LeaderElected { partition, from, to, .. } => {
            let led = from.iter().chain(to).map(|broker| Subject::Led(*broker));
            led.chain([Subject::Leader(partition.clone()), Subject::Isr(partition.clone())]).collect()
        }
        Fact::IsrChanged { partition, .. } => vec![Subject::Isr(partition.clone())],
        Fact::ElrChanged { partition, .. } => vec![Subject::Elr(partition.clone())],
        Fact::ReplicasChanged { partition, .. } => vec![Subject::Replicas(partition.clone())],
        Fact::ConfigChanged { resource, name, .. } => vec![Subject::Setting(resource.to_string(), name.to_string())],
        Fact::QuorumLeaderElected { .. } | Fact::QuorumLeaderResigned { .. } => vec![Subject::Quorum],
        Fact::QuorumVotersChanged { .. } => vec![Subject::Voters],
        Fact::SnapshotWritten { node, .. } | Fact::SnapshotLoaded { node, .. } => vec![Subject::Snapshots(*node)],
        fact => of_nodes(fact)
            .or_else(|| of_logs(fact))
            .or_else(|| of_groups(fact))
            .map_or_else(|| of_clients(fact), |one| vec![one]),
    }
}

fn of_nodes(fact: &Fact) -> Option<Subject> {
    Some(match fact {
        Fact::Killed { node }
        | Fact::PoweredOff { node }
        | Fact::Started { node }
        | Fact::Stopping { node }
        | Fact::Frozen { node }
        | Fact::Thawed { node } => Subject::Node(*node),
        Fact::BrokerRegistered { broker, .. } | Fact::RegistrationRefused { broker, again: false, .. } => {
            Subject::Node(NodeId::Broker(*broker))
        }
        Fact::BrokerFenced { broker, .. } | Fact::BrokerUnfenced { broker } => Subject::Fenced(*broker),
        _ => return None,
    })
}

fn of_logs(fact: &Fact) -> Option<Subject> {
    Some(match fact {
        Fact::HighWatermarkMoved { partition, broker, .. } => Subject::HighWatermark(partition.clone(), *broker),
        Fact::Appended { partition, broker, .. } | Fact::Truncated { partition, broker, .. } => {
            Subject::LogEnd(partition.clone(), *broker)
        }
        Fact::LogStartMoved { partition, broker, .. } | Fact::SegmentsDeleted { partition, broker, .. } => {
            Subject::LogStart(partition.clone(), *broker)
        }
        Fact::LogCompacted { partition, broker, .. } => Subject::Cleaned(partition.clone(), *broker),
        Fact::LogFlushed { partition, broker, .. } => Subject::Flushed(partition.clone(), *broker),
        _ => return None,
    })
}

fn of_groups(fact: &Fact) -> Option<Subject> {
    let member = |group: &GroupId, client: &str| Subject::Member(group.0.to_string(), client.to_owned());
    Some(match fact {
        Fact::RebalanceStarted { group, .. }
        | Fact::GroupEpochRaised { group, .. }
        | Fact::GroupReconciled { group, .. }
        | Fact::GroupConverted { group, .. }
        | Fact::GenerationStable { group, .. }
        | Fact::GroupEmpty { group, .. }
        | Fact::GroupDeleted { group } => Subject::Group(group.0.to_string()),
        Fact::MemberReached { group, client, .. } | Fact::RevocationAsked { group, client, .. } => {
            member(group, client)
        }
        Fact::OffsetCommitted { group, partition, .. } => Subject::Committed(group.0.to_string(), partition.clone()),
        Fact::SharePartitionRead { group, partition, .. }
        | Fact::RecordsAcquired { group, partition, .. }
        | Fact::RecordsSettled { group, partition, .. }
        | Fact::AcquisitionLockTimedOut { group, partition, .. } => {
            Subject::Share(group.0.to_string(), partition.clone())
        }
        _ => return None,
    })
}

fn of_clients(fact: &Fact) -> Vec<Subject> {
    let of = |client: &ClientId| NodeId::Client(*client);
    match fact {
        Fact::Assigned { consumer, .. } | Fact::Revoked { consumer, .. } => vec![Subject::Assignment(of(consumer))],
        Fact::PositionSet { consumer, partition, .. } => vec![Subject::Position(of(consumer), partition.clone())],
        Fact::Delivered { consumer, partition, .. } => {
            vec![Subject::Position(of(consumer), partition.clone()), Subject::Delivered(of(consumer))]
        }
        Fact::ShareDelivered { consumer, .. } => vec![Subject::Delivered(of(consumer)), Subject::Held(of(consumer))],
        Fact::ShareAcknowledged { consumer, .. } | Fact::ShareAcknowledgeFailed { consumer, .. } => {
            vec![Subject::Held(of(consumer))]
        }
        Fact::StreamPlanned { stream, .. } | Fact::StreamBatchDone { stream, .. } => vec![Subject::Batch(of(stream))],
        Fact::StreamDataLost { stream, .. } => vec![Subject::DataLost(of(stream))],
        Fact::StreamFailed { stream, .. } => vec![Subject::Node(of(stream))],
        Fact::RecordSent { producer, .. } => vec![Subject::Sent(of(producer))],
        Fact::Acknowledged { producer, .. } => vec![Subject::Acked(of(producer))],
        Fact::SendFailed { producer, error, .. } | Fact::SendRejected { producer, code: Some(error), .. } => {
            vec![Subject::Failed(of(producer)), Subject::FailedWith(of(producer), error_name(*error))]
        }
        Fact::SendRejected { producer, .. } => vec![Subject::Threw(of(producer))],
        Fact::ProducerIdAssigned { producer, .. } => vec![Subject::Identity(of(producer))],
        Fact::TxnBegun { producer } | Fact::TxnEnded { producer, .. } | Fact::TxnError { producer, .. } => {
            vec![Subject::Transaction(of(producer))]
        }
        _ => Vec::new(),
    }
}
