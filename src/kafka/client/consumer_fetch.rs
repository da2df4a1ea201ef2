//! A consumer's positions and records: where reading begins (ConsumerCoordinator, OffsetFetcher),
//! whether it still holds (KIP-320), fetching and handing out (Fetcher, FetchCollector).

use crate::kafka::client::consumer::{DeliveredBatch, Process, Purpose};
use crate::kafka::client::errors;
use crate::kafka::client::fetcher::{Buffered, Wanted, read_from};
use crate::kafka::client::retries::Retries;
use crate::kafka::client::subscription::{FetchState, Position, ResetTo, Validation};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, PositionReason, error_name};
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::messages::fetch_response::PartitionData;
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::list_offsets_response::ListOffsetsPartitionResponse;
use crate::wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::wire::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use crate::wire::messages::{
    BrokerId, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetFetchRequest, OffsetFetchResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use crate::wire::{ErrorCode, LeaderEpoch, NodeId, Offset, TopicName, TopicPartition, error};

/// Partitions by the node that is asked about them, each with what it is asked.
type ByNode<T> = SortedMap<NodeId, Vec<(TopicPartition, LeaderEpoch, T)>>;

impl Process {
    /// updateFetchPositions: validate, then what the group committed, then the reset policy.
    pub(super) fn update_positions(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if self.seen_metadata != self.metadata.version() {
            self.seen_metadata = self.metadata.version();
            self.see_leaders();
            self.rejoin_if_outdated(turn.now);
        }
        self.validate(turn, config);
        self.fetch_committed(turn, config);
        self.reset_positions(turn, config);
    }

    /// Positions take note of the leaders that the metadata shows.
    pub(super) fn see_leaders(&mut self) {
        for (tp, assigned) in &mut self.subscription.assigned {
            if let Some((leader, epoch)) = self.metadata.leader(tp) {
                assigned.see_leader(leader, epoch);
            }
        }
    }

    pub(super) fn try_later<'a>(&mut self, partitions: impl Iterator<Item = &'a TopicPartition>, at: Instant) {
        for tp in partitions {
            if let Some(assigned) = self.subscription.get_mut(tp) {
                assigned.next_try = at;
            }
        }
    }

    // ---- what the group committed ----

    /// The assignment is another one.
    pub(super) fn fetch_committed_anew(&mut self, now: Instant) {
        self.offsets_at = now;
        self.offsets_retries = Retries::default();
    }

    fn fetch_committed(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let missing = self.subscription.assigned.iter().filter(|(_, a)| a.state == FetchState::Initializing);
        let missing: Vec<TopicPartition> = missing.map(|(tp, _)| tp.clone()).collect();
        if missing.is_empty() || self.offsets_out || self.offsets_at > turn.now {
            return;
        }
        let Some(node) = self.member.coordinator().filter(|node| self.network.ready(*node, turn.now)) else { return };
        let mut topics: Vec<OffsetFetchRequestTopics> = Vec::new();
        for tp in &missing {
            match topics.last_mut().filter(|t| t.name == tp.topic) {
                Some(topic) => topic.partition_indexes.push(tp.partition),
                None => topics.push(
                    OffsetFetchRequestTopics::default()
                        .with_name(tp.topic.clone())
                        .with_partition_indexes(vec![tp.partition]),
                ),
            }
        }
        let group =
            OffsetFetchRequestGroup::default().with_group_id(self.member.group.clone()).with_topics(Some(topics));
        let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true);
        self.network.send(turn, node, request, config.request_timeout, Purpose::OffsetFetch(missing));
        self.offsets_out = true;
    }

    pub(super) fn offsets_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        asked: &[TopicPartition],
        response: &OffsetFetchResponse,
    ) {
        self.offsets_out = false;
        let group = response.groups.first();
        let refused = group.map_or(Some(ErrorCode::UnknownServerError), |group| error(group.error_code));
        let partitions = group.iter().flat_map(|group| &group.topics).flat_map(|topic| &topic.partitions);
        if refused.is_some() || partitions.into_iter().any(|partition| error(partition.error_code).is_some()) {
            self.offsets_at = self.offsets_retries.next(turn, config);
        } else {
            self.offsets_retries = Retries::default();
        }
        if matches!(refused, Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)) {
            self.member.coordinator_unknown(turn, config);
        }
        let Some(group) = group.filter(|_| refused.is_none()) else { return };
        let mut without: Vec<TopicPartition> = Vec::new();
        for topic in &group.topics {
            for partition in &topic.partitions {
                let tp = TopicPartition::new(topic.name.clone(), partition.partition_index);
                if !asked.contains(&tp) || error(partition.error_code).is_some() {
                    continue;
                }
                let epoch =
                    (partition.committed_leader_epoch >= 0).then_some(LeaderEpoch(partition.committed_leader_epoch));
                self.start_at_committed(turn, config, tp, Offset(partition.committed_offset), epoch, &mut without);
            }
        }
        self.see_leaders();
        if !without.is_empty() {
            let names: Vec<String> = without.iter().map(TopicPartition::to_string).collect();
            self.fail(turn, &format!("Undefined offset with no reset policy for partitions: [{}]", names.join(", ")));
        }
    }

    fn start_at_committed(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        tp: TopicPartition,
        offset: Offset,
        epoch: Option<LeaderEpoch>,
        without: &mut Vec<TopicPartition>,
    ) {
        let Some(assigned) = self.subscription.get_mut(&tp).filter(|a| a.state == FetchState::Initializing) else {
            return;
        };
        if offset.0 >= 0 {
            self.committed.insert(tp.clone(), offset);
            assigned.seek(Position { offset, epoch, leader: None });
            let reason = PositionReason::Committed;
            turn.tell(Fact::PositionSet { consumer: self.id, partition: tp, to: offset, reason });
        } else if let Some(to) = ResetTo::from_policy(config.offset_reset) {
            assigned.reset(to, PositionReason::Reset);
        } else {
            without.push(tp);
        }
    }

    // ---- the reset policy ----

    fn reset_positions(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let wanted = self.by_leader(turn, config, |assigned| match assigned {
            FetchState::AwaitReset { to, .. } => Some(*to),
            _ => None,
        });
        for (node, partitions) in wanted {
            let asked = partitions.iter().map(|(tp, epoch, to)| (tp, *epoch, to.timestamp(turn.now)));
            let request = list_offsets(config, asked);
            self.try_later(partitions.iter().map(|(tp, ..)| tp), turn.now + config.request_timeout);
            let asked = partitions.into_iter().map(|(tp, _, to)| (tp, to)).collect();
            self.network.send(turn, node, request, config.request_timeout, Purpose::ListOffsets(asked));
        }
    }

    pub(super) fn list_offsets_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        asked: Vec<(TopicPartition, ResetTo)>,
        response: &ListOffsetsResponse,
    ) {
        let later = turn.now + config.retry_backoff;
        let told = offsets_told(response);
        for (tp, to) in asked {
            match told.get(&tp).map(|p| (error(p.error_code), *p)) {
                Some((None, answer)) => self.reset_answered(turn, tp, to, answer),
                refused => {
                    if refused.and_then(|(error, _)| error).is_none_or(errors::is_stale_metadata) {
                        self.metadata.request_update();
                    }
                    self.try_later([&tp].into_iter(), later);
                }
            }
        }
        self.see_leaders();
    }

    fn reset_answered(
        &mut self,
        turn: &mut Turn<'_>,
        tp: TopicPartition,
        to: ResetTo,
        answer: &ListOffsetsPartitionResponse,
    ) {
        let Some(assigned) = self.subscription.get_mut(&tp) else { return };
        let FetchState::AwaitReset { to: wanted, why } = assigned.state else { return };
        if wanted != to {
            return;
        }
        if answer.offset < 0 {
            // No record that new: the end of the log (KIP-1106).
            return assigned.reset(ResetTo::Latest, why);
        }
        let epoch = (answer.leader_epoch >= 0).then_some(LeaderEpoch(answer.leader_epoch));
        if assigned.complete_reset(to, Offset(answer.offset), epoch) {
            let to = Offset(answer.offset);
            turn.tell(Fact::PositionSet { consumer: self.id, partition: tp, to, reason: why });
        }
    }

    // ---- validation ----

    fn validate(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let wanted = self.by_leader(turn, config, |state| matches!(state, FetchState::AwaitValidation).then_some(()));
        for (node, partitions) in wanted {
            let mut topics: Vec<OffsetForLeaderTopic> = Vec::new();
            let mut asked = Vec::new();
            for (tp, epoch, ()) in partitions {
                let Some(position) = self.subscription.assigned.get(&tp).and_then(|a| a.position.clone()) else {
                    continue;
                };
                let partition = OffsetForLeaderPartition::default()
                    .with_partition(tp.partition)
                    .with_current_leader_epoch(epoch.0)
                    .with_leader_epoch(position.epoch.unwrap_or(LeaderEpoch::UNKNOWN).0);
                match topics.last_mut().filter(|t| t.topic == tp.topic) {
                    Some(topic) => topic.partitions.push(partition),
                    None => topics.push(
                        OffsetForLeaderTopic::default().with_topic(tp.topic.clone()).with_partitions(vec![partition]),
                    ),
                }
                asked.push((tp, position));
            }
            let request = OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics);
            self.try_later(asked.iter().map(|(tp, _)| tp), turn.now + config.request_timeout);
            self.network.send(turn, node, request, config.request_timeout, Purpose::EpochEnd(asked));
        }
    }

    pub(super) fn epoch_end_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        asked: Vec<(TopicPartition, Position)>,
        response: &OffsetForLeaderEpochResponse,
    ) {
        for (tp, position) in asked {
            let told = response.topics.iter().filter(|t| t.topic == tp.topic).flat_map(|t| &t.partitions);
            let Some(told) = told.into_iter().find(|p| p.partition == tp.partition) else { continue };
            if error(told.error_code).is_some() {
                self.metadata.request_update();
                self.try_later([&tp].into_iter(), turn.now + config.retry_backoff);
                continue;
            }
            let Some(assigned) = self.subscription.get_mut(&tp) else { continue };
            let (epoch, end) = (LeaderEpoch(told.leader_epoch), Offset(told.end_offset));
            match assigned.complete_validation(&position, epoch, end, config.offset_reset) {
                Validation::Holds | Validation::Reset(_) | Validation::Stale => {}
                Validation::Truncated(position) => {
                    let (to, reason) = (position.offset, PositionReason::Truncation);
                    turn.tell(Fact::PositionSet { consumer: self.id, partition: tp, to, reason });
                }
                Validation::Fatal { divergent } => {
                    let divergent = divergent.map_or("unknown".to_string(), |offset| offset.to_string());
                    let at = position.offset;
                    self.fail(turn, &format!(
                        "Truncated partition {tp} had fetch offset {at}, but the first divergent offset is {divergent}"
                    ));
                }
            }
        }
    }

    /// Partitions in a state that asks something of their leader, where it may be asked now.
    fn by_leader<T>(
        &mut self,
        turn: &Turn<'_>,
        config: &ConsumerConfig,
        wanted: impl Fn(&FetchState) -> Option<T>,
    ) -> ByNode<T> {
        let mut nodes: ByNode<T> = SortedMap::new();
        for (tp, assigned) in &mut self.subscription.assigned {
            let Some(what) = wanted(&assigned.state).filter(|_| assigned.next_try <= turn.now) else { continue };
            match self.metadata.leader(tp) {
                None => {
                    self.metadata.request_update();
                    assigned.next_try = turn.now + config.retry_backoff;
                }
                Some((node, epoch)) if self.network.ready(node, turn.now) => {
                    nodes.entry(node).or_default().push((tp.clone(), epoch, what));
                }
                Some(_) => {}
            }
        }
        nodes
    }

    // ---- fetching ----

    /// One request to every broker that has something to fetch and none on its way.
    pub(super) fn send_fetches(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if self.subscription.assigned.is_empty() {
            return;
        }
        let busy = self.network.in_flight().filter(|r| matches!(r.purpose, Purpose::Fetch(_))).map(|r| r.to);
        let busy: Vec<NodeId> = busy.collect();
        let mut nodes: SortedMap<NodeId, SortedMap<TopicPartition, Wanted>> = SortedMap::new();
        for (tp, assigned) in &mut self.subscription.assigned {
            let Some(position) = assigned.position.as_ref().filter(|_| assigned.is_fetchable()) else { continue };
            if assigned.next_try > turn.now || self.buffered.iter().any(|b| b.partition == *tp) {
                continue;
            }
            let (Some((leader, epoch)), Some(topic)) = (self.metadata.leader(tp), self.metadata.topic(&tp.topic))
            else {
                self.metadata.request_update();
                assigned.next_try = turn.now + config.retry_backoff;
                continue;
            };
            assigned.preferred = assigned.preferred.filter(|(_, until)| *until > turn.now);
            let node = read_from(leader, assigned.preferred.map(|(broker, _)| broker));
            if !busy.contains(&node) && self.network.ready(node, turn.now) {
                let wanted = Wanted { topic_id: topic.id, offset: position.offset, leader_epoch: epoch };
                nodes.entry(node).or_default().insert(tp.clone(), wanted);
            }
        }
        for (node, wanted) in nodes {
            let request = self.sessions.entry(node).or_default().request(&wanted, config);
            self.network.send(turn, node, request, config.request_timeout, Purpose::Fetch(wanted));
        }
    }

    pub(super) fn fetch_lost(&mut self, node: NodeId, asked: &SortedMap<TopicPartition, Wanted>) {
        self.sessions.entry(node).or_default().lost();
        for tp in asked.keys() {
            if let Some(assigned) = self.subscription.get_mut(tp) {
                assigned.preferred = None;
            }
        }
    }

    pub(super) fn fetch_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        node: NodeId,
        asked: SortedMap<TopicPartition, Wanted>,
        response: &FetchResponse,
    ) {
        let refused = error(response.error_code);
        self.sessions.entry(node).or_default().answered(response.session_id, refused);
        if let Some(error) = refused {
            if matches!(error, ErrorCode::FetchSessionTopicIdError | ErrorCode::UnknownTopicId) {
                self.metadata.request_update();
            }
            return;
        }
        for topic in &response.responses {
            let name: Option<TopicName> = if topic.topic_id.is_nil() {
                Some(topic.topic.clone())
            } else {
                asked.iter().find(|(_, w)| w.topic_id == topic.topic_id).map(|(tp, _)| tp.topic.clone())
            };
            let Some(name) = name else { continue };
            for data in &topic.partitions {
                let tp = TopicPartition::new(name.clone(), data.partition_index);
                let Some(wanted) = asked.get(&tp) else { continue };
                let current = self.subscription.assigned.get(&tp).is_some_and(|assigned| {
                    assigned.state == FetchState::Fetching
                        && assigned.position.as_ref().is_some_and(|p| p.offset == wanted.offset)
                });
                if current {
                    self.partition_fetched(turn, config, tp, wanted.offset, data);
                }
            }
        }
    }

    fn partition_fetched(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        tp: TopicPartition,
        at: Offset,
        data: &PartitionData,
    ) {
        if let Some(error) = error(data.error_code) {
            return self.fetch_refused(turn, config, tp, at, data, error);
        }
        let Some(assigned) = self.subscription.get_mut(&tp) else { return };
        if data.preferred_read_replica.0 >= 0 {
            assigned.preferred = Some((data.preferred_read_replica, turn.now + config.metadata_max_age));
        }
        let known = |offset: i64| (offset >= 0).then_some(Offset(offset));
        assigned.high_watermark = known(data.high_watermark).or(assigned.high_watermark);
        assigned.last_stable = known(data.last_stable_offset).or(assigned.last_stable);
        assigned.log_start = known(data.log_start_offset).or(assigned.log_start);
        if data.records.as_ref().is_none_or(|records| records.is_empty()) {
            return;
        }
        match Buffered::new(tp.clone(), at, data, config.read_committed) {
            Ok(buffered) => self.buffered.push_back(buffered),
            Err(_) => self.fail(turn, &format!("Record batch for partition {tp} at offset {at} is invalid")),
        }
    }

    fn fetch_refused(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        tp: TopicPartition,
        at: Offset,
        data: &PartitionData,
        error: ErrorCode,
    ) {
        let Some(assigned) = self.subscription.get_mut(&tp) else { return };
        let followed = assigned.preferred.take().is_some();
        if error == ErrorCode::OffsetOutOfRange && !followed {
            turn.tell(Fact::PositionOutOfRange { consumer: self.id, partition: tp.clone(), at });
        }
        match error {
            ErrorCode::OffsetOutOfRange if followed => {}
            ErrorCode::OffsetOutOfRange => match ResetTo::from_policy(config.offset_reset) {
                Some(to) => assigned.reset(to, PositionReason::Reset),
                None => self.fail(
                    turn,
                    &format!(
                        "Fetch position {at} is out of range for partition {tp}, and no reset policy is configured"
                    ),
                ),
            },
            ErrorCode::UnknownLeaderEpoch => assigned.next_try = turn.now + config.retry_backoff,
            error if errors::is_stale_metadata(error) || error == ErrorCode::OffsetNotAvailable => {
                // Another leader in the metadata lifts this wait at once.
                assigned.next_try = turn.now + config.retry_backoff;
                self.metadata.request_update();
                let leader = &data.current_leader;
                if self.metadata.hint(&tp, leader.leader_id, leader.leader_epoch) {
                    self.see_leaders();
                }
            }
            error => self.fail(turn, &format!("Fetching {tp} at offset {at} failed: {}", error_name(error))),
        }
    }

    // ---- handing out ----

    /// The application polls until nothing is left; every poll hands out at most `max.poll.records`.
    pub(super) fn hand_out(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let assigned = &self.subscription.assigned;
        self.buffered.retain(|b| {
            // After a seek or a rebalance, what was fetched is not what comes next.
            assigned.get(&b.partition).and_then(|a| a.position.as_ref()).is_some_and(|p| p.offset == b.next)
        });
        let limit = config.max_poll_records.max(1) as u32;
        let mut left = limit;
        while let Some(index) = self
            .buffered
            .iter()
            .position(|b| self.subscription.assigned.get(&b.partition).is_some_and(|a| a.is_fetchable()))
        {
            left -= self.hand_out_from(turn, index, left, Offset(i64::MAX)).min(left);
            if left == 0 {
                if self.pace.takes_time() {
                    break;
                }
                left = limit;
            }
        }
        self.pace.polled(turn.now, limit - left);
    }

    /// What one poll takes of one partition's buffer, of the records below an offset: how many.
    pub(super) fn hand_out_from(&mut self, turn: &mut Turn<'_>, index: usize, limit: u32, below: Offset) -> u32 {
        let buffered = &mut self.buffered[index];
        let chunks = buffered.take_below(limit, below);
        let (next, epoch, partition) = (buffered.next, buffered.epoch, buffered.partition.clone());
        // A poll that gets as many records as it may does not look whether they were the last (CompletedFetch).
        let taken = chunks.iter().map(|chunk| chunk.count).sum();
        if buffered.is_drained() && taken < limit {
            self.buffered.remove(index);
        }
        if let Some(position) = self.subscription.get_mut(&partition).and_then(|a| a.position.as_mut()) {
            position.offset = next;
            position.epoch = epoch.or(position.epoch);
        }
        for chunk in chunks {
            turn.tell(Fact::Delivered {
                consumer: self.id,
                partition: partition.clone(),
                first: chunk.first,
                last: chunk.last,
                count: chunk.count,
                records: chunk.records.clone(),
            });
            let (first, last, count) = (chunk.first, chunk.last, chunk.count);
            self.delivered.push(DeliveredBatch {
                partition: partition.clone(),
                records: chunk.records,
                first,
                last,
                count,
            });
        }
        taken
    }
}

/// Asks one broker for offsets of partitions by their timestamps; the epochs are those of their leaders.
pub(super) fn list_offsets<'a>(
    config: &ConsumerConfig,
    partitions: impl Iterator<Item = (&'a TopicPartition, LeaderEpoch, i64)>,
) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (tp, epoch, timestamp) in partitions {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(tp.partition)
            .with_current_leader_epoch(epoch.0)
            .with_timestamp(timestamp);
        match topics.last_mut().filter(|t| t.name == tp.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => {
                topics.push(ListOffsetsTopic::default().with_name(tp.topic.clone()).with_partitions(vec![partition]));
            }
        }
    }
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(config.read_committed))
        .with_topics(topics)
        .with_timeout_ms(config.request_timeout.millis() as i32)
}

/// What an answer says of each partition.
pub(super) fn offsets_told(response: &ListOffsetsResponse) -> SortedMap<TopicPartition, &ListOffsetsPartitionResponse> {
    let of_topic = response.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
    of_topic.map(|(t, p)| (TopicPartition::new(t.name.clone(), p.partition_index), p)).collect()
}
