//! What the tests do between the steps that were recorded, and no step tells.

pub type Settings = [(&'static str, &'static str); 2];

/// Cases whose test gives the group settings of its own between the recorded steps, which do not tell it:
/// before which step, and which settings.
pub const HIDDEN_SETTINGS: [(&str, usize, Settings); 2] = [
    (
        "GroupMetadataManagerTest#testConsumerGroupDynamicConfigs",
        2,
        [("consumer.session.timeout.ms", "50000"), ("consumer.heartbeat.interval.ms", "10000")],
    ),
    (
        "GroupMetadataManagerTest#testShareGroupDynamicConfigs",
        3,
        [("share.session.timeout.ms", "50000"), ("share.heartbeat.interval.ms", "10000")],
    ),
];

/// Cases whose test loads the group anew before the first step, which no step tells: the sessions begin with it.
pub const HIDDEN_LOADING: [&str; 1] =
    ["GroupMetadataManagerTest#testResolvedRegularExpressionsRemovedWhenMembersLeaveOrFenced"];

/// Records that a test replays past what was recorded: before which step.
pub const HIDDEN_RECORDS: [(&str, usize, &str); 3] = [
    (
        WITH_INITIALIZING,
        1,
        r#"{"type": "SHARE_GROUP_METADATA", "key": {"groupId": "share-group"}, "value": {"epoch": 0}}"#,
    ),
    (WITH_INITIALIZING, 1, INITIALIZING),
    (WITH_INITIALIZING, 2, INITIALIZING),
];
const WITH_INITIALIZING: &str = "GroupMetadataManagerTest#testShareGroupHeartbeatPersisterRequestWithInitializing";
const INITIALIZING: &str = r#"{"type": "SHARE_GROUP_STATE_PARTITION_METADATA", "key": {"groupId": "share-group"},
    "value": {"initializingTopics": [{"topicId": "t1", "topicName": "t1", "partitions": [0, 1]}]}}"#;

/// Cases whose test brings a classic group into another state by hand: before which step.
pub const HIDDEN_REBALANCE: [(&str, usize); 1] =
    [("GroupMetadataManagerTest#testConsumerGroupHeartbeatWithNonEmptyClassicGroup", 1)];
