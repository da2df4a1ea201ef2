//! What a share consumer fetches, hands out and acknowledges (ShareConsumeRequestManager,
//! ShareFetchCollector).

use crate::kafka::client::DeliveredBatch;
use crate::kafka::client::errors;
use crate::kafka::client::share_consumer::{Close, Process, Purpose, ShareDelivery};
use crate::kafka::client::share_fetch::{Acks, AcquiredRun, Id, ShareBuffered, signed};
use crate::kafka::config::ConsumerConfig;
use crate::kafka::fact::{Fact, error_name};
use crate::kafka::node::Turn;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::messages::share_fetch_response::PartitionData;
use crate::wire::messages::{BrokerId, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchResponse};
use crate::wire::{AcknowledgeType, ErrorCode, NodeId, Offset, TopicPartition, Uuid, error};

impl Process {
    // ---- polling ----

    /// The application polls until nothing is left, or until it has to acknowledge records first.
    pub(super) fn hand_out(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        let limit = config.max_poll_records.max(1) as u32;
        while !self.pace.is_busy(turn.now) && self.begin_poll(config.share_explicit) {
            self.stalled_since = None;
            self.member.away = false;
            let mut left = limit;
            while let Some(buffered) = self.buffered.front_mut().filter(|_| left > 0) {
                let (runs, gaps) = buffered.take(left);
                let (node, id) = (buffered.node, buffered.id.clone());
                if buffered.is_drained() {
                    self.buffered.pop_front();
                }
                if !gaps.is_empty() {
                    let acks = self.acks.entry(node).or_default().entry(id.clone()).or_default();
                    acks.extend(gaps.into_iter().map(|offset| (offset, None)));
                }
                for run in runs {
                    left = left.saturating_sub(self.hand_over(turn, node, &id, run));
                }
            }
            if self.held.is_empty() {
                self.wants_more = true;
                return;
            }
            self.pace.polled(turn.now, limit.saturating_sub(left));
            let stalls = config.share_explicit || self.pace.takes_time();
            self.stalled_since = stalls.then_some(turn.now);
        }
    }

    /// The application gets a run of records; how many.
    fn hand_over(&mut self, turn: &mut Turn<'_>, node: NodeId, id: &Id, run: AcquiredRun) -> u32 {
        let AcquiredRun { first, last, delivery_count, records } = run;
        let held = self.held.entry(node).or_default().entry(id.clone()).or_default();
        held.extend((first.0..=last.0).map(|offset| (Offset(offset), None)));
        let (consumer, partition, count) = (self.id, id.0.clone(), (last - first + 1) as u32);
        turn.tell(Fact::ShareDelivered {
            consumer,
            partition: partition.clone(),
            first,
            last,
            delivery_count,
            records: records.clone(),
        });
        let batch = DeliveredBatch { partition, records, first, last, count };
        self.delivered.push(ShareDelivery { batch, delivery_count });
        count
    }

    /// Whether the application polls: by that it accepts what it was given before, or it must have said what
    /// became of every record (acknowledgeBatchIfImplicitAcknowledgement,
    /// ensureInFlightAcknowledgedIfExplicitAcknowledgement).
    fn begin_poll(&mut self, explicit: bool) -> bool {
        let mut held = self.held.values().flat_map(|partitions| partitions.values());
        if explicit && held.any(|acks| acks.values().any(Option::is_none)) {
            return false;
        }
        drop(held);
        self.take_acknowledged(|said| said.or((!explicit).then_some(AcknowledgeType::Accept)));
        true
    }

    /// What the application has said of its records is to be told to the brokers.
    fn take_acknowledged(&mut self, said: impl Fn(Option<AcknowledgeType>) -> Option<AcknowledgeType>) {
        for (node, partitions) in std::mem::take(&mut self.held) {
            for (id, acks) in partitions {
                for (offset, kind) in acks {
                    let to = if said(kind).is_some() { &mut self.acks } else { &mut self.held };
                    to.entry(node).or_default().entry(id.clone()).or_default().insert(offset, said(kind));
                }
            }
        }
    }

    /// `acknowledge`: of one record, or of all that have not been acknowledged yet.
    pub(super) fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        record: Option<(TopicPartition, Offset)>,
        kind: AcknowledgeType,
    ) {
        let mut found = false;
        for ((partition, _), acks) in self.held.values_mut().flat_map(|partitions| partitions.iter_mut()) {
            for (offset, said) in acks.iter_mut() {
                let is_meant = match &record {
                    Some(record) => *record == (partition.clone(), *offset),
                    None => said.is_none(),
                };
                if is_meant {
                    *said = Some(kind);
                    found = true;
                }
            }
        }
        if !found {
            self.tell_error(turn, "The record cannot be acknowledged.");
        }
    }

    // ---- fetching ----

    fn is_busy(&self, node: NodeId) -> bool {
        let asks = |purpose: &Purpose| matches!(purpose, Purpose::Fetch(_) | Purpose::Acknowledge { .. });
        self.network.in_flight().any(|request| request.to == node && asks(&request.purpose))
    }

    /// One request to every broker that leads something of the assignment and has none on its way, and to
    /// those whose session is to shrink; acknowledgements go along.
    pub(super) fn send_fetches(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if !self.wants_more {
            return;
        }
        let mut nodes: SortedMap<NodeId, SortedMap<TopicPartition, Uuid>> = SortedMap::new();
        for node in self.sessions.keys().chain(self.acks.keys()) {
            nodes.entry(*node).or_default();
        }
        self.next_try.retain(|_, at| *at > turn.now);
        for tp in self.member.assigned.clone() {
            match (self.metadata.leader(&tp), self.metadata.topic(&tp.topic)) {
                _ if self.next_try.contains_key(&tp) => {}
                (Some((leader, _)), Some(topic)) => drop(nodes.entry(leader).or_default().insert(tp, topic.id)),
                _ => self.try_later(tp, turn.now + config.retry_backoff),
            }
        }
        for (node, wanted) in nodes {
            if self.is_busy(node) || !self.network.ready(node, turn.now) {
                continue;
            }
            let mut acks = self.acks.remove(&node).unwrap_or_default();
            let session = self.sessions.entry(node).or_default();
            if session.is_new() && !acks.is_empty() {
                // A session cannot begin with acknowledgements (KAFKA-18198): the records' locks end by themselves.
                let refused = std::mem::take(&mut acks);
                self.tell_acknowledged(turn, &refused, |_| Some(ErrorCode::InvalidShareSessionEpoch));
            }
            let session = self.sessions.entry(node).or_default();
            let Some(request) = session.fetch_request(&wanted, &acks, config) else { continue };
            let request = signed(request, &self.member.group, &self.member.member_id);
            self.network.send(turn, node, request, config.request_timeout, Purpose::Fetch(acks));
        }
    }

    fn try_later(&mut self, tp: TopicPartition, at: Instant) {
        self.metadata.request_update();
        self.next_try.insert(tp, at);
    }

    pub(super) fn fetch_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        node: NodeId,
        mut acks: SortedMap<Id, Acks>,
        response: &ShareFetchResponse,
    ) {
        let refused = error(response.error_code);
        self.sessions.entry(node).or_default().answered(refused);
        if let Some(error) = refused {
            self.tell_acknowledged(turn, &acks, |_| Some(error));
            if !errors::is_retriable(error) {
                self.fail(turn, &format!("ShareFetch failed: {}", error_name(error)));
            }
            return;
        }
        for topic in &response.responses {
            let Some(name) = self.metadata.topic_name(topic.topic_id).cloned() else { continue };
            for data in &topic.partitions {
                let id = (TopicPartition::new(name.clone(), data.partition_index), topic.topic_id);
                if let Some(told) = acks.remove(&id) {
                    let told = [(id.clone(), told)].into_iter().collect();
                    self.tell_acknowledged(turn, &told, |_| error(data.acknowledge_error_code));
                }
                self.partition_fetched(turn, config, node, id, data);
            }
        }
        // Nothing was said of these.
        self.tell_acknowledged(turn, &acks, |_| Some(ErrorCode::InvalidRecordState));
    }

    fn partition_fetched(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        node: NodeId,
        id: Id,
        data: &PartitionData,
    ) {
        let Some(error) = error(data.error_code) else {
            if data.acquired_records.is_empty() {
                return;
            }
            let tp = id.0.clone();
            match ShareBuffered::new(node, id, data) {
                // Of a consumer that is being closed the broker takes them back.
                Ok(buffered) if self.close == Close::No => {
                    self.buffered.push_back(buffered);
                    self.wants_more = false;
                }
                Ok(_) => {}
                Err(_) => self.fail(turn, &format!("Encountered corrupt message when fetching topic-partition {tp}")),
            }
            return;
        };
        if matches!(error, ErrorCode::UnknownServerError | ErrorCode::UnknownLeaderEpoch) {
            self.next_try.insert(id.0, turn.now + config.retry_backoff);
        } else if errors::is_stale_metadata(error) || error == ErrorCode::OffsetNotAvailable {
            let leader = &data.current_leader;
            self.metadata.request_update();
            if !self.metadata.hint(&id.0, BrokerId(leader.leader_id), leader.leader_epoch) {
                self.next_try.insert(id.0, turn.now + config.retry_backoff);
            }
        } else {
            self.fail(turn, &format!("Fetching {} failed: {}", id.0, error_name(error)));
        }
    }

    // ---- acknowledging ----

    /// Acknowledgements that no fetch takes along (commitSync).
    pub(super) fn send_acknowledgements(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) {
        if !self.commit {
            return;
        }
        self.take_acknowledged(|said| said);
        for node in self.acks.keys().copied().collect::<Vec<_>>() {
            if self.is_busy(node) || !self.network.ready(node, turn.now) {
                continue;
            }
            let acks = self.acks.remove(&node).unwrap_or_default();
            let session = self.sessions.entry(node).or_default();
            if session.is_new() {
                self.tell_acknowledged(turn, &acks, |_| Some(ErrorCode::InvalidShareSessionEpoch));
                continue;
            }
            let request = session.acknowledge_request(&acks, false);
            self.send_acknowledge(turn, config, node, request, Purpose::Acknowledge { acks, close: false });
        }
        self.commit = !self.acks.is_empty();
    }

    /// The last acknowledgements end the sessions; what was not acknowledged the brokers release.
    pub(super) fn close_sessions(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig, until: Instant) {
        self.take_acknowledged(|said| said);
        let busy: Vec<NodeId> = self.sessions.keys().copied().filter(|node| self.is_busy(*node)).collect();
        self.sessions.retain(|node, session| !session.is_new() || busy.contains(node));
        for node in self.sessions.keys().copied().collect::<Vec<_>>() {
            if self.is_busy(node) || !self.network.ready(node, turn.now) {
                continue;
            }
            let acks = self.acks.remove(&node).unwrap_or_default();
            let request = self.sessions.entry(node).or_default().acknowledge_request(&acks, true);
            self.send_acknowledge(turn, config, node, request, Purpose::Acknowledge { acks, close: true });
        }
        if self.sessions.is_empty() || until <= turn.now {
            self.close = Close::Leaving;
        }
    }

    fn send_acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ConsumerConfig,
        node: NodeId,
        mut request: ShareAcknowledgeRequest,
        purpose: Purpose,
    ) {
        request.group_id = Some(self.member.group.clone());
        request.member_id = Some(self.member.member_id.clone());
        self.network.send(turn, node, request, config.request_timeout, purpose);
    }

    pub(super) fn acknowledge_answered(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        mut acks: SortedMap<Id, Acks>,
        close: bool,
        response: &ShareAcknowledgeResponse,
    ) {
        let refused = error(response.error_code);
        if close {
            self.sessions.remove(&node);
        } else {
            self.sessions.entry(node).or_default().answered(refused);
        }
        if let Some(error) = refused {
            return self.tell_acknowledged(turn, &acks, |_| Some(error));
        }
        for topic in &response.responses {
            let Some(name) = self.metadata.topic_name(topic.topic_id).cloned() else { continue };
            for data in &topic.partitions {
                let id = (TopicPartition::new(name.clone(), data.partition_index), topic.topic_id);
                let Some(told) = acks.remove(&id) else { continue };
                let told = [(id.clone(), told)].into_iter().collect();
                self.tell_acknowledged(turn, &told, |_| error(data.error_code));
                if error(data.error_code).is_some_and(errors::is_stale_metadata) {
                    self.metadata.request_update();
                }
            }
        }
        self.tell_acknowledged(turn, &acks, |_| Some(ErrorCode::InvalidRecordState));
    }

    /// The application learns how its acknowledgements fared (AcknowledgementCommitCallback). They are not
    /// sent again: the records come back when their locks end.
    pub(super) fn tell_acknowledged(
        &self,
        turn: &mut Turn<'_>,
        acks: &SortedMap<Id, Acks>,
        refused: impl Fn(&Id) -> Option<ErrorCode>,
    ) {
        let consumer = self.id;
        for (id, acks) in acks {
            let partition = &id.0;
            for (first, last, kind) in runs(acks) {
                let partition = partition.clone();
                turn.tell(match refused(id) {
                    None => Fact::ShareAcknowledged { consumer, partition, first, last, kind },
                    Some(error) => Fact::ShareAcknowledgeFailed { consumer, partition, first, last, error },
                });
            }
        }
    }
}

/// Runs of records that the same was said of; offsets without a record are nothing to tell of.
fn runs(acks: &Acks) -> Vec<(Offset, Offset, AcknowledgeType)> {
    let mut runs: Vec<(Offset, Offset, AcknowledgeType)> = Vec::new();
    for (offset, kind) in acks.iter().filter_map(|(offset, kind)| Some((*offset, (*kind)?))) {
        match runs.last_mut().filter(|(_, last, of)| last.next() == offset && *of == kind) {
            Some((_, last, _)) => *last = offset,
            None => runs.push((offset, offset, kind)),
        }
    }
    runs
}
