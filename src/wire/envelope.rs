//! One message between two nodes: a typed request or response of the Kafka protocol with the
//! correlation id that pairs them.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

/// Pairs a response with its request; drawn in the turn that sends it, counting from 1 over the whole run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Correlation(pub u64);

/// What travels. The world knows from whom, to whom and when.
#[derive(Clone, PartialEq, Debug)]
pub struct Envelope {
    pub correlation: Correlation,
    pub body: Body,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    Request(Request),
    Response(Response),
}

impl Envelope {
    pub fn request(correlation: Correlation, request: impl Into<Request>) -> Envelope {
        Envelope { correlation, body: Body::Request(request.into()) }
    }

    pub fn response(correlation: Correlation, response: impl Into<Response>) -> Envelope {
        Envelope { correlation, body: Body::Response(response.into()) }
    }

    pub fn api(&self) -> ApiKey {
        match &self.body {
            Body::Request(request) => request.api(),
            Body::Response(response) => response.api(),
        }
    }

    pub fn is_request(&self) -> bool {
        matches!(self.body, Body::Request(_))
    }

    /// The body as it stands on the wire, in the newest version of its schema.
    pub fn encode(&self) -> Bytes {
        match &self.body {
            Body::Request(request) => request.encode(),
            Body::Response(response) => response.encode(),
        }
    }
}

macro_rules! apis {
    ($($name:ident, $text:literal, $request:ident, $response:ident;)*) => {
        /// The requests that Highwater's nodes exchange, by Kafka's API names.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum ApiKey { $($name),* }

        impl ApiKey {
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name),*];

            /// Kafka's API name in capitals, as scripts write it: `ALTER_PARTITION`.
            pub const fn name(self) -> &'static str {
                match self { $(ApiKey::$name => $text),* }
            }

            /// Kafka's number of the API.
            pub const fn key(self) -> i16 {
                match self { $(ApiKey::$name => m::ApiKey::$name as i16),* }
            }

            /// The version that Highwater's nodes speak: the newest of the schema.
            pub const fn version(self) -> i16 {
                match self { $(ApiKey::$name => <m::$request as Message>::VERSIONS.max),* }
            }

            pub fn parse(text: &str) -> Option<ApiKey> {
                ApiKey::ALL.iter().copied().find(|api| api.name() == text)
            }
        }

        #[derive(Clone, PartialEq, Debug)]
        pub enum Request { $($name(m::$request)),* }

        #[derive(Clone, PartialEq, Debug)]
        pub enum Response { $($name(m::$response)),* }

        impl Request {
            pub fn api(&self) -> ApiKey {
                match self { $(Request::$name(_) => ApiKey::$name),* }
            }

            pub fn encode(&self) -> Bytes {
                match self { $(Request::$name(body) => encode(body, ApiKey::$name.version())),* }
            }

            /// Reads what `encode` wrote.
            pub fn decode(api: ApiKey, mut bytes: Bytes) -> Option<Request> {
                match api { $(ApiKey::$name => m::$request::decode(&mut bytes, api.version()).ok().map(Request::$name)),* }
            }
        }

        impl Response {
            pub fn api(&self) -> ApiKey {
                match self { $(Response::$name(_) => ApiKey::$name),* }
            }

            pub fn encode(&self) -> Bytes {
                match self { $(Response::$name(body) => encode(body, ApiKey::$name.version())),* }
            }
        }

        $(
            impl From<m::$request> for Request {
                fn from(body: m::$request) -> Request { Request::$name(body) }
            }

            impl From<m::$response> for Response {
                fn from(body: m::$response) -> Response { Response::$name(body) }
            }
        )*
    };
}

apis! {
    Produce, "PRODUCE", ProduceRequest, ProduceResponse;
    Fetch, "FETCH", FetchRequest, FetchResponse;
    ListOffsets, "LIST_OFFSETS", ListOffsetsRequest, ListOffsetsResponse;
    Metadata, "METADATA", MetadataRequest, MetadataResponse;
    OffsetCommit, "OFFSET_COMMIT", OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch, "OFFSET_FETCH", OffsetFetchRequest, OffsetFetchResponse;
    ApiVersions, "API_VERSIONS", ApiVersionsRequest, ApiVersionsResponse;
    FindCoordinator, "FIND_COORDINATOR", FindCoordinatorRequest, FindCoordinatorResponse;
    JoinGroup, "JOIN_GROUP", JoinGroupRequest, JoinGroupResponse;
    Heartbeat, "HEARTBEAT", HeartbeatRequest, HeartbeatResponse;
    LeaveGroup, "LEAVE_GROUP", LeaveGroupRequest, LeaveGroupResponse;
    SyncGroup, "SYNC_GROUP", SyncGroupRequest, SyncGroupResponse;
    DescribeGroups, "DESCRIBE_GROUPS", DescribeGroupsRequest, DescribeGroupsResponse;
    CreateTopics, "CREATE_TOPICS", CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics, "DELETE_TOPICS", DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords, "DELETE_RECORDS", DeleteRecordsRequest, DeleteRecordsResponse;
    DeleteGroups, "DELETE_GROUPS", DeleteGroupsRequest, DeleteGroupsResponse;
    InitProducerId, "INIT_PRODUCER_ID", InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch, "OFFSET_FOR_LEADER_EPOCH", OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    AddPartitionsToTxn, "ADD_PARTITIONS_TO_TXN", AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
    AddOffsetsToTxn, "ADD_OFFSETS_TO_TXN", AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
    EndTxn, "END_TXN", EndTxnRequest, EndTxnResponse;
    WriteTxnMarkers, "WRITE_TXN_MARKERS", WriteTxnMarkersRequest, WriteTxnMarkersResponse;
    TxnOffsetCommit, "TXN_OFFSET_COMMIT", TxnOffsetCommitRequest, TxnOffsetCommitResponse;
    CreatePartitions, "CREATE_PARTITIONS", CreatePartitionsRequest, CreatePartitionsResponse;
    ElectLeaders, "ELECT_LEADERS", ElectLeadersRequest, ElectLeadersResponse;
    IncrementalAlterConfigs, "INCREMENTAL_ALTER_CONFIGS", IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    AlterPartitionReassignments, "ALTER_PARTITION_REASSIGNMENTS", AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    Vote, "VOTE", VoteRequest, VoteResponse;
    BeginQuorumEpoch, "BEGIN_QUORUM_EPOCH", BeginQuorumEpochRequest, BeginQuorumEpochResponse;
    EndQuorumEpoch, "END_QUORUM_EPOCH", EndQuorumEpochRequest, EndQuorumEpochResponse;
    AlterPartition, "ALTER_PARTITION", AlterPartitionRequest, AlterPartitionResponse;
    BrokerRegistration, "BROKER_REGISTRATION", BrokerRegistrationRequest, BrokerRegistrationResponse;
    FetchSnapshot, "FETCH_SNAPSHOT", FetchSnapshotRequest, FetchSnapshotResponse;
    BrokerHeartbeat, "BROKER_HEARTBEAT", BrokerHeartbeatRequest, BrokerHeartbeatResponse;
    AllocateProducerIds, "ALLOCATE_PRODUCER_IDS", AllocateProducerIdsRequest, AllocateProducerIdsResponse;
    UnregisterBroker, "UNREGISTER_BROKER", UnregisterBrokerRequest, UnregisterBrokerResponse;
    AddRaftVoter, "ADD_RAFT_VOTER", AddRaftVoterRequest, AddRaftVoterResponse;
    ConsumerGroupHeartbeat, "CONSUMER_GROUP_HEARTBEAT", ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribe, "CONSUMER_GROUP_DESCRIBE", ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    ShareGroupHeartbeat, "SHARE_GROUP_HEARTBEAT", ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse;
    ShareGroupDescribe, "SHARE_GROUP_DESCRIBE", ShareGroupDescribeRequest, ShareGroupDescribeResponse;
    ShareFetch, "SHARE_FETCH", ShareFetchRequest, ShareFetchResponse;
    ShareAcknowledge, "SHARE_ACKNOWLEDGE", ShareAcknowledgeRequest, ShareAcknowledgeResponse;
    RemoveRaftVoter, "REMOVE_RAFT_VOTER", RemoveRaftVoterRequest, RemoveRaftVoterResponse;
    InitializeShareGroupState, "INITIALIZE_SHARE_GROUP_STATE", InitializeShareGroupStateRequest, InitializeShareGroupStateResponse;
    ReadShareGroupState, "READ_SHARE_GROUP_STATE", ReadShareGroupStateRequest, ReadShareGroupStateResponse;
    WriteShareGroupState, "WRITE_SHARE_GROUP_STATE", WriteShareGroupStateRequest, WriteShareGroupStateResponse;
    DeleteShareGroupState, "DELETE_SHARE_GROUP_STATE", DeleteShareGroupStateRequest, DeleteShareGroupStateResponse;
    ReadShareGroupStateSummary, "READ_SHARE_GROUP_STATE_SUMMARY", ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse;
    AlterShareGroupOffsets, "ALTER_SHARE_GROUP_OFFSETS", AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse;
}

fn encode(body: &impl Encodable, version: i16) -> Bytes {
    let mut buffer = BytesMut::new();
    // The nodes build every message for the version they speak, so a refusal is a bug of ours.
    body.encode(&mut buffer, version).expect("a message that a node built encodes in its own version");
    buffer.freeze()
}
