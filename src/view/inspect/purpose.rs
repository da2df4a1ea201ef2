//! What a request is for, in a sentence or two.

use crate::wire::{ApiKey, Body, Envelope, NodeId, Request};

/// Why a message like this is sent at all; of a response, why its request was.
pub(super) fn purpose(from: NodeId, to: NodeId, envelope: &Envelope) -> String {
    let (asker, asked) = if envelope.is_request() { (from, to) } else { (to, from) };
    let purpose = match envelope.api() {
        ApiKey::Fetch => fetch(asker, asked),
        ApiKey::AddPartitionsToTxn => add_partitions(asker),
        ApiKey::CreateTopics => create_topics(asker),
        api => of(api),
    };
    let precise = match &envelope.body {
        Body::Request(Request::Produce(request)) => acks(request.acks),
        Body::Request(Request::Vote(request)) if is_pre_vote(request) => PRE_VOTE,
        _ => "",
    };
    let answer = if envelope.is_request() { "" } else { "This is the answer. " };
    format!("{answer}{purpose}{precise}")
}

/// Whose question it is decides what a fetch means.
fn fetch(asker: NodeId, asked: NodeId) -> &'static str {
    match (asker, asked) {
        (_, NodeId::Controller(_)) => {
            "Reads on in the metadata log. From a voter it also tells the quorum's leader that it is followed, \
             and how far."
        }
        (NodeId::Broker(_), _) => {
            "A follower copies what comes after its own log end. Where it asks from tells the leader how far it is, \
             and so moves the high watermark; the answer brings the high watermark back."
        }
        _ => {
            "A consumer reads on from its position, up to the high watermark (with read_committed, up to the last \
             stable offset). When there is nothing new, the broker waits with its answer, at most fetch.max.wait.ms."
        }
    }
}

fn add_partitions(asker: NodeId) -> &'static str {
    match asker {
        NodeId::Broker(_) => {
            "The leader of a partition has it added to the transaction before it takes the first records (KIP-890): \
             none can hang on behind a transaction that has ended."
        }
        _ => "A producer names the partitions that its transaction will write to.",
    }
}

fn create_topics(asker: NodeId) -> &'static str {
    match asker {
        NodeId::Broker(_) => "Somebody needs a topic that is not there: the broker has it made.",
        _ => "A topic is to be made: the controller chooses its replicas and writes them to the metadata log.",
    }
}

fn acks(acks: i16) -> &'static str {
    match acks {
        -1 => " With acks=all the answer comes when every replica of the ISR has them.",
        0 => " With acks=0 no answer is waited for.",
        _ => " With acks=1 the answer comes as soon as they stand in the leader's own log.",
    }
}

const PRE_VOTE: &str = " This is a pre-vote (KIP-996): it asks whether it would win, and raises no epoch.";

fn is_pre_vote(request: &crate::wire::messages::VoteRequest) -> bool {
    request.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.pre_vote)
}

fn of(api: ApiKey) -> &'static str {
    match api {
        ApiKey::Produce => "A producer brings records to the partition's leader, which appends them.",
        ApiKey::Fetch => "Reads records from a log.",
        ApiKey::ListOffsets => "Asks at which offset a log begins, ends, or reaches a time.",
        ApiKey::OffsetForLeaderEpoch => {
            "Asks where a leader epoch ends in the leader's log: what goes beyond was never committed and is cut off \
             (KIP-101, KIP-320)."
        }
        ApiKey::Metadata => "A client asks which brokers there are and who leads which partition.",
        ApiKey::ApiVersions => "Opens the connection: it asks which requests the broker understands.",
        ApiKey::FindCoordinator => "Asks which broker coordinates a group, a transactional id or a share partition.",
        ApiKey::InitProducerId => {
            "Asks for a producer id and an epoch, by which a leader knows a batch that was sent twice. With a \
             transactional.id, whoever had it before is fenced."
        }
        ApiKey::AllocateProducerIds => {
            "A broker has handed out its producer ids and asks the controller for a block of new ones."
        }
        ApiKey::BrokerRegistration => {
            "A broker that starts wants to be known. It stays fenced until it has caught up with the metadata."
        }
        ApiKey::BrokerHeartbeat => {
            "The broker lives: every broker.heartbeat.interval.ms. Not heard of for broker.session.timeout.ms, it is \
             fenced. So it also asks to be unfenced, and to leave when it shuts down."
        }
        ApiKey::AlterPartition => {
            "A leader asks the controller for another ISR. It counts when it stands committed in the metadata log."
        }
        ApiKey::Vote => {
            "A candidate asks for a vote. A voter gives one in each epoch, and only to a log no shorter than its own."
        }
        ApiKey::BeginQuorumEpoch => "The quorum's new leader tells a voter whom to follow.",
        ApiKey::EndQuorumEpoch => {
            "The quorum's leader gives up and names who should stand next, so that nobody has to wait."
        }
        ApiKey::FetchSnapshot => {
            "Whoever is behind the beginning of the metadata log fetches a snapshot of what stood before."
        }
        _ => of_groups(api),
    }
}

fn of_groups(api: ApiKey) -> &'static str {
    match api {
        ApiKey::JoinGroup => {
            "A member joins the group's next round. The answer comes when all have joined or are given up; its leader \
             then learns who is to be assigned."
        }
        ApiKey::SyncGroup => "A member asks for its assignment; the group's leader brings everybody's.",
        ApiKey::Heartbeat => {
            "The member lives, every heartbeat.interval.ms, and learns whether its group rebalances. Not heard of for \
             session.timeout.ms, it is removed."
        }
        ApiKey::LeaveGroup => "A member says that it goes, so that nobody has to wait for its session to end.",
        ApiKey::ConsumerGroupHeartbeat => {
            "The member lives and says what it owns; the answer says what it is to have (KIP-848). That is the whole \
             rebalance: there is no round in which all stand still."
        }
        ApiKey::ShareGroupHeartbeat => {
            "The member lives; the answer says which partitions it shares with others (KIP-932)."
        }
        ApiKey::OffsetCommit => {
            "Writes down how far the group has come: whoever has the partition next goes on from there."
        }
        ApiKey::OffsetFetch => "Asks how far the group had come.",
        ApiKey::TxnOffsetCommit => "Writes the offsets of what the transaction has read. They count when it commits.",
        ApiKey::AddOffsetsToTxn => "A producer tells that its transaction will commit offsets of a group.",
        ApiKey::EndTxn => {
            "Asks the coordinator to commit or abort. As soon as that stands in the coordinator's log, it is decided."
        }
        ApiKey::WriteTxnMarkers => {
            "The coordinator has a leader write the marker that ends the transaction in its partition."
        }
        ApiKey::ShareFetch => {
            "A member asks for records that nobody else of its group holds, and may say what became of the last ones."
        }
        ApiKey::ShareAcknowledge => "A member says what became of the records that it held.",
        ApiKey::InitializeShareGroupState
        | ApiKey::ReadShareGroupState
        | ApiKey::WriteShareGroupState
        | ApiKey::DeleteShareGroupState
        | ApiKey::ReadShareGroupStateSummary => {
            "The share coordinator keeps what became of a share group's records, so that it outlives the leader."
        }
        _ => of_administration(api),
    }
}

fn of_administration(api: ApiKey) -> &'static str {
    match api {
        ApiKey::DeleteTopics => "A topic is to go, with its records.",
        ApiKey::DeleteRecords => "Moves the beginning of a log up: what stands before is gone.",
        ApiKey::ConsumerGroupDescribe | ApiKey::DescribeGroups | ApiKey::ShareGroupDescribe => {
            "An administrator looks at a group before its offsets are reset: it must have nobody at work."
        }
        ApiKey::AlterShareGroupOffsets => "A share group that nobody belongs to is to go on from other offsets.",
        ApiKey::DeleteGroups => "A group that nobody belongs to is to go, with its offsets.",
        ApiKey::CreatePartitions => "A topic is to have more partitions.",
        ApiKey::ElectLeaders => "Asks for the preferred leader, or for one that was not in sync.",
        ApiKey::IncrementalAlterConfigs => "Changes settings; they count when they stand in the metadata log.",
        ApiKey::AlterPartitionReassignments => "Moves a partition to other brokers, or ends such a move.",
        ApiKey::UnregisterBroker => "A broker that is gone for good is to be forgotten.",
        ApiKey::AddRaftVoter => "A controller is to vote from now on (KIP-853).",
        ApiKey::RemoveRaftVoter => "A controller is to vote no more (KIP-853).",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{BrokerId, ClientId, ControllerId};

    #[test]
    fn every_request_says_what_it_is_for() {
        for api in ApiKey::ALL {
            assert!(
                of(*api).ends_with('.') || matches!(api, ApiKey::CreateTopics | ApiKey::AddPartitionsToTxn),
                "{}",
                api.name()
            );
        }
    }

    #[test]
    fn a_fetch_means_another_thing_by_who_asks() {
        let (broker, controller) = (NodeId::Broker(BrokerId(1)), NodeId::Controller(ControllerId(1)));
        let all = [fetch(broker, broker), fetch(NodeId::Client(ClientId(1)), broker), fetch(broker, controller)];
        assert!(all[0].contains("follower") && all[1].contains("consumer") && all[2].contains("metadata log"));
    }
}
