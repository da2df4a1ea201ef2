//! Messages in flight: where each is drawn is a pure function of the message and the instant.

use serde::Serialize;

use crate::history::attention::carries_something;
use crate::sim::{InFlight, Payload, World};
use crate::time::Instant;
use crate::view::cards::{first_record, node_name};
use crate::wire::{ApiKey, Body, Envelope, NodeId, Request, Response};

/// Requests by what they are for; each family has its colour and can be muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    Produce,
    /// Followers' fetches.
    Replication,
    /// Consumers' fetches.
    Consume,
    /// Joining, syncing, heartbeats, offsets.
    Group,
    /// The metadata quorum: votes and fetches of the metadata log.
    Quorum,
    /// Brokers and the controller: registration, heartbeats, AlterPartition.
    Controller,
    /// Metadata, coordinator look-ups, administration.
    Admin,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flight {
    pub id: u64,
    pub family: Family,
    /// Kafka's API name.
    pub api: &'static str,
    pub request: bool,
    #[serde(skip)]
    pub from: NodeId,
    #[serde(skip)]
    pub to: NodeId,
    pub sent_at: Instant,
    /// `FAR_FUTURE` while a cut holds it up.
    pub deliver_at: Instant,
    pub held: bool,
    /// Carries records, news or a change: what follow mode slows down for. Empty fetches and heartbeats do not.
    pub matters: bool,
    /// The hue of the first record's key, where it carries records.
    pub hue: Option<u16>,
    /// The partition that it concerns most, for anchoring the drawing at its row.
    pub partition: Option<String>,
    /// `PRODUCE app → broker 2: orders-0, 1 record`
    pub label: String,
}

impl Flight {
    /// How far it has come at `now`: 0 at the sender, 1000 at the receiver (in thousandths).
    pub fn permille(&self, now: Instant) -> i64 {
        let whole = (self.deliver_at - self.sent_at).0.max(1);
        ((now - self.sent_at).0.clamp(0, whole) * 1000) / whole
    }
}

/// Everything on its way at the viewed instant.
pub fn flights(world: &World) -> Vec<Flight> {
    world.network().in_flight().filter_map(|message| flight(world, message)).collect()
}

fn flight(world: &World, message: &InFlight) -> Option<Flight> {
    let Payload::Message(envelope) = &message.payload else { return None };
    let api = envelope.api();
    let request = envelope.is_request();
    let cargo = cargo(world, envelope);
    let family = family(api, message);
    let (from, to) = (node_name(world, message.from), node_name(world, message.to));
    let what = if request { "" } else { " response" };
    let mut label = format!("{}{what} {from} → {to}", api.name());
    if let Some(cargo) = &cargo {
        label = format!("{label}: {}", cargo.text);
    }
    Some(Flight {
        id: message.id.0,
        family,
        api: api.name(),
        request,
        from: message.from,
        to: message.to,
        sent_at: message.sent_at,
        deliver_at: message.deliver_at,
        held: message.deliver_at >= Instant::FAR_FUTURE,
        matters: cargo.is_some() || carries_something(message) && family != Family::Quorum,
        hue: cargo.as_ref().and_then(|cargo| cargo.hue),
        partition: cargo.map(|cargo| cargo.partition),
        label,
    })
}

/// What a request is for: by its API, and a fetch by who fetches.
fn family(api: ApiKey, message: &InFlight) -> Family {
    match api {
        ApiKey::Produce | ApiKey::InitProducerId | ApiKey::EndTxn => Family::Produce,
        ApiKey::AddPartitionsToTxn | ApiKey::AddOffsetsToTxn | ApiKey::WriteTxnMarkers => Family::Produce,
        ApiKey::Fetch | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch => match (message.from, message.to) {
            (NodeId::Controller(_), _) | (_, NodeId::Controller(_)) => Family::Quorum,
            (NodeId::Client(_), _) | (_, NodeId::Client(_)) => Family::Consume,
            _ => Family::Replication,
        },
        ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::LeaveGroup | ApiKey::Heartbeat => Family::Group,
        ApiKey::ConsumerGroupHeartbeat | ApiKey::ShareGroupHeartbeat => Family::Group,
        ApiKey::OffsetCommit | ApiKey::TxnOffsetCommit | ApiKey::OffsetFetch => Family::Group,
        ApiKey::ShareFetch | ApiKey::ShareAcknowledge => Family::Consume,
        ApiKey::InitializeShareGroupState
        | ApiKey::ReadShareGroupState
        | ApiKey::WriteShareGroupState
        | ApiKey::DeleteShareGroupState
        | ApiKey::ReadShareGroupStateSummary => Family::Group,
        ApiKey::Vote | ApiKey::BeginQuorumEpoch | ApiKey::EndQuorumEpoch | ApiKey::FetchSnapshot => Family::Quorum,
        ApiKey::AlterPartition | ApiKey::BrokerRegistration | ApiKey::BrokerHeartbeat | ApiKey::AllocateProducerIds => {
            Family::Controller
        }
        ApiKey::Metadata
        | ApiKey::ApiVersions
        | ApiKey::FindCoordinator
        | ApiKey::CreateTopics
        | ApiKey::DeleteTopics
        | ApiKey::DeleteRecords
        | ApiKey::DeleteGroups
        | ApiKey::DescribeGroups
        | ApiKey::ConsumerGroupDescribe
        | ApiKey::ShareGroupDescribe
        | ApiKey::AlterShareGroupOffsets
        | ApiKey::CreatePartitions
        | ApiKey::ElectLeaders
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::AlterPartitionReassignments
        | ApiKey::UnregisterBroker
        | ApiKey::AddRaftVoter
        | ApiKey::RemoveRaftVoter => Family::Admin,
    }
}

/// The records that a message carries, in words.
struct Cargo {
    partition: String,
    text: String,
    hue: Option<u16>,
}

fn cargo(world: &World, envelope: &Envelope) -> Option<Cargo> {
    let (topic, partition, records) = match &envelope.body {
        Body::Request(Request::Produce(produce)) => produce.topic_data.iter().find_map(|topic| {
            let data = topic.partition_data.first()?;
            Some((topic_name(world, &topic.name.0, topic.topic_id)?, data.index, data.records.as_ref()?))
        })?,
        Body::Response(Response::Fetch(fetch)) => fetch.responses.iter().find_map(|topic| {
            let carries = |data: &&kafka_protocol::messages::fetch_response::PartitionData| {
                data.records.as_ref().is_some_and(|records| !records.is_empty())
            };
            let data = topic.partitions.iter().find(carries)?;
            Some((topic_name(world, &topic.topic.0, topic.topic_id)?, data.partition_index, data.records.as_ref()?))
        })?,
        _ => return None,
    };
    let (first, hue, count) = first_record(records)?;
    let partition = format!("{topic}-{partition}");
    let text =
        if count == 1 { format!("{partition}, {first}") } else { format!("{partition}, {count} records from {first}") };
    Some(Cargo { partition, text, hue })
}

/// A topic's name from what a message carries: a name, or an id.
fn topic_name(world: &World, name: &str, id: crate::wire::Uuid) -> Option<String> {
    if !name.is_empty() {
        return Some(name.to_string());
    }
    world.image().topic_by_id(id).map(|(name, _)| name.0.to_string())
}
