//! `kafka-consumer-groups --reset-offsets --execute` (ConsumerGroupCommand, OffsetsUtils): asks what
//! state the group is in, looks at the log's ends, decides an offset for every partition of the topic, and
//! commits as a simple consumer does, which a group with members refuses. Of a share group
//! `kafka-share-groups` does the same (ShareGroupCommand), and has the offsets altered (KIP-932).

use crate::kafka::client::admin_answers::{Verdict, verdict};
use crate::kafka::client::membership::{NO_GENERATION, Offsets, offset_commit};
use crate::kafka::client::metadata::Metadata;
use crate::kafka::client::subscription::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, Position};
use crate::kafka::node::OffsetTarget;
use crate::sorted::SortedMap;
use crate::wire::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::wire::messages::{
    AlterShareGroupOffsetsRequest, BrokerId, ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId,
    ListOffsetsRequest, OffsetFetchRequest, ShareGroupDescribeRequest,
};
use crate::wire::{ErrorCode, LeaderEpoch, Offset, Request, Response, StrBytes, TopicName, TopicPartition, error};

/// What an operation of several steps does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Something must be learned first; ask again after the next input.
    Wait,
    Ask(Vec<Request>),
    /// It is over, with Kafka's error and message if it failed.
    Done(Option<String>),
}

/// What is known of one partition when its offset is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ends {
    pub start: Option<Offset>,
    pub end: Option<Offset>,
    pub committed: Option<Offset>,
    /// The first record at or after the target's timestamp.
    pub at_time: Option<Offset>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    share: bool,
    group: StrBytes,
    topic: TopicName,
    to: OffsetTarget,
    /// `--topic t:0,1`; `None`: every partition.
    partitions: Option<Vec<i32>>,
    /// The metadata must be newer than this version: the tool looks before it acts.
    since: u64,
    stage: Stage,
    ends: SortedMap<i32, Ends>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    /// Whether there is such a share group, and what state it is in, is asked for.
    ShareGroup,
    /// The same of a group of the consumer protocol.
    ConsumerGroup,
    /// The same of a classic group (DescribeConsumerGroupsHandler).
    ClassicGroup,
    Topic,
    /// The ends of the log, the timestamp and the committed offsets are asked for.
    Ends,
    Commit,
}

impl Reset {
    /// `since` is the version of the metadata now; it is read again before anything is decided.
    pub fn new(group: StrBytes, topic: TopicName, to: OffsetTarget, since: u64) -> Reset {
        Reset { share: false, group, topic, to, partitions: None, since, stage: Stage::Start, ends: SortedMap::new() }
    }

    pub fn of_share_group(self) -> Reset {
        Reset { share: true, ..self }
    }

    /// Only these partitions of the topic.
    pub fn of_partitions(self, partitions: Vec<i32>) -> Reset {
        Reset { partitions: Some(partitions), ..self }
    }

    /// `answers` are those to the requests of the last step, in their order.
    pub fn next_step(&mut self, metadata: &Metadata, answers: &[&Response]) -> Step {
        let described = answers.first().and_then(|answer| state_of(answer));
        if let Some(state) = described {
            return self.described(state, metadata);
        }
        if let Some(error) = answers.iter().find_map(|answer| match verdict(answer) {
            Verdict::Failed(error) => Some(error),
            _ => None,
        }) {
            return Step::Done(Some(error));
        }
        match self.stage {
            Stage::Start if self.share => {
                self.stage = Stage::ShareGroup;
                let group_ids = vec![GroupId(self.group.clone())];
                Step::Ask(vec![ShareGroupDescribeRequest::default().with_group_ids(group_ids).into()])
            }
            Stage::Start => {
                self.stage = Stage::ConsumerGroup;
                let group_ids = vec![GroupId(self.group.clone())];
                Step::Ask(vec![ConsumerGroupDescribeRequest::default().with_group_ids(group_ids).into()])
            }
            Stage::ShareGroup | Stage::ConsumerGroup | Stage::ClassicGroup | Stage::Topic => self.ask(metadata),
            Stage::Ends => {
                answers.iter().for_each(|answer| self.take(answer));
                self.commit()
            }
            Stage::Commit => Step::Done(None),
        }
    }

    /// Only an empty or a dead group is reset, or one that is not there yet (`None`). Who knows no group
    /// of the consumer protocol is asked for a classic one.
    fn described(&mut self, state: Option<StrBytes>, metadata: &Metadata) -> Step {
        match state.as_deref() {
            None if self.stage == Stage::ConsumerGroup => {
                self.stage = Stage::ClassicGroup;
                let groups = vec![GroupId(self.group.clone())];
                Step::Ask(vec![DescribeGroupsRequest::default().with_groups(groups).into()])
            }
            None | Some("Empty" | "Dead") => {
                self.stage = Stage::Topic;
                self.ask(metadata)
            }
            Some(_) if self.share => Step::Done(Some(format!("Share group '{}' is not empty.", self.group))),
            Some(state) => Step::Done(Some(format!(
                "Assignments can only be reset if the group '{}' is inactive, but the current state is {state}.",
                self.group
            ))),
        }
    }

    fn ask(&mut self, metadata: &Metadata) -> Step {
        if metadata.version() <= self.since {
            return Step::Wait;
        }
        let Some(topic) = metadata.topic(&self.topic) else {
            return match metadata.refusal(&self.topic) {
                Some(ErrorCode::UnknownTopicOrPartition) => {
                    Step::Done(Some(format!("UNKNOWN_TOPIC_OR_PARTITION: topic {} does not exist", self.topic.0)))
                }
                Some(error) => Step::Done(Some(crate::kafka::fact::error_name(error))),
                None => Step::Wait,
            };
        };
        let count = topic.partitions.len() as i32;
        let selected = self.partitions.clone().unwrap_or_else(|| (0..count).collect());
        for partition in &selected {
            let tp = TopicPartition::new(self.topic.clone(), *partition);
            match metadata.partition(&tp) {
                None => return Step::Done(Some(format!("UNKNOWN_TOPIC_OR_PARTITION: {tp} does not exist"))),
                Some(known) if known.leader.is_none() => {
                    return Step::Done(Some(format!("LEADER_NOT_AVAILABLE: {tp} has no leader")));
                }
                Some(_) => {}
            }
        }
        self.stage = Stage::Ends;
        self.ends = selected.iter().map(|partition| (*partition, Ends::default())).collect();
        let mut requests = Vec::new();
        for partition in selected {
            for timestamp in [Some(EARLIEST_TIMESTAMP), Some(LATEST_TIMESTAMP), self.timestamp()].into_iter().flatten()
            {
                requests.push(self.list_offsets(partition, timestamp));
            }
        }
        if matches!(self.to, OffsetTarget::Shift(_) | OffsetTarget::Current) {
            requests.push(self.offset_fetch());
        }
        Step::Ask(requests)
    }

    fn timestamp(&self) -> Option<i64> {
        match self.to {
            OffsetTarget::Timestamp(timestamp) => Some(timestamp.max(0)),
            _ => None,
        }
    }

    fn list_offsets(&self, partition: i32, timestamp: i64) -> Request {
        let partition = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(self.topic.clone()).with_partitions(vec![partition]);
        ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]).into()
    }

    fn offset_fetch(&self) -> Request {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(self.topic.clone())
            .with_partition_indexes(self.ends.keys().copied().collect());
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(self.group.clone()))
            .with_topics(Some(vec![topic]));
        OffsetFetchRequest::default().with_groups(vec![group]).into()
    }

    /// LIST_OFFSETS answers name neither what was asked nor in which order: earlier answers of a
    /// partition come from earlier requests.
    fn take(&mut self, answer: &Response) {
        match answer {
            Response::ListOffsets(response) => {
                for told in response.topics.iter().flat_map(|t| &t.partitions) {
                    let Some(ends) = self.ends.get_mut(&told.partition_index) else { continue };
                    let offset = (told.offset >= 0).then_some(Offset(told.offset));
                    if ends.start.is_none() {
                        ends.start = offset;
                    } else if ends.end.is_none() {
                        ends.end = offset;
                    } else {
                        ends.at_time = offset;
                    }
                }
            }
            Response::OffsetFetch(response) => {
                for told in response.groups.iter().flat_map(|g| &g.topics).flat_map(|t| &t.partitions) {
                    if let Some(ends) = self.ends.get_mut(&told.partition_index) {
                        ends.committed = (told.committed_offset >= 0).then_some(Offset(told.committed_offset));
                    }
                }
            }
            _ => {}
        }
    }

    fn commit(&mut self) -> Step {
        let mut offsets = Vec::new();
        for (partition, ends) in &self.ends {
            let partition = TopicPartition::new(self.topic.clone(), *partition);
            match plan(self.to, *ends) {
                Ok(offset) => offsets.push((partition, Position { offset, epoch: None::<LeaderEpoch>, leader: None })),
                Err(why) => return Step::Done(Some(format!("Cannot shift offset for partition {partition} {why}"))),
            }
        }
        self.stage = Stage::Commit;
        let group = GroupId(self.group.clone());
        if self.share {
            return Step::Ask(vec![alter_share_offsets(group, &self.topic, &offsets)]);
        }
        Step::Ask(vec![offset_commit(&group, NO_GENERATION, &StrBytes::default(), None, &offsets).into()])
    }
}

fn alter_share_offsets(group: GroupId, topic: &TopicName, offsets: &Offsets) -> Request {
    let partitions = offsets.iter().map(|(partition, position)| {
        AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(partition.partition)
            .with_start_offset(position.offset.0)
    });
    let topic = AlterShareGroupOffsetsRequestTopic::default()
        .with_topic_name(topic.clone())
        .with_partitions(partitions.collect());
    AlterShareGroupOffsetsRequest::default().with_group_id(group).with_topics(vec![topic]).into()
}

/// The state of the group that an answer describes, `None` when it knows no such group; nothing of any
/// other answer.
fn state_of(answer: &Response) -> Option<Option<StrBytes>> {
    let (code, state) = match answer {
        Response::ConsumerGroupDescribe(response) => {
            response.groups.first().map(|group| (group.error_code, &group.group_state))?
        }
        Response::ShareGroupDescribe(response) => {
            response.groups.first().map(|group| (group.error_code, &group.group_state))?
        }
        Response::DescribeGroups(response) => {
            response.groups.first().map(|group| (group.error_code, &group.group_state))?
        }
        _ => return None,
    };
    match error(code) {
        None => Some(Some(state.clone())),
        Some(ErrorCode::GroupIdNotFound) => Some(None),
        Some(_) => None,
    }
}

/// The offset that a partition is reset to. `to-offset` and `shift-by` are cut to what the log has;
/// a shift needs a committed offset; a timestamp after the last record means the log's end.
pub fn plan(to: OffsetTarget, ends: Ends) -> Result<Offset, &'static str> {
    let start = ends.start.unwrap_or(Offset::ZERO);
    let end = ends.end.unwrap_or(start);
    let within = |offset: Offset| offset.max(start).min(end);
    match to {
        OffsetTarget::Earliest => Ok(start),
        OffsetTarget::Latest => Ok(end),
        OffsetTarget::Offset(offset) => Ok(within(offset)),
        OffsetTarget::Timestamp(_) => Ok(ends.at_time.unwrap_or(end)),
        OffsetTarget::Current => Ok(ends.committed.unwrap_or(end)),
        OffsetTarget::Shift(by) => match ends.committed {
            Some(committed) => Ok(within(Offset(committed.0.saturating_add(by)))),
            None => Err("since there is no current committed offset"),
        },
    }
}
