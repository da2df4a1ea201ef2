//! Answers to SHARE_FETCH and SHARE_ACKNOWLEDGE that wait: for the share coordinator to have written
//! what was acknowledged, and for records.

use bytes::Bytes;

use crate::kafka::broker::share_sessions::{Context, FINAL_EPOCH, PartitionId, SessionKey};
use crate::kafka::broker::{Endpoint, Process, endpoint};
use crate::kafka::coordinator::Reply;
use crate::kafka::node::Turn;
use crate::kafka::share::AcquiredRange;
use crate::sorted::SortedMap;
use crate::wire::messages::share_acknowledge_response as acknowledge;
use crate::wire::messages::share_fetch_response as fetch;
use crate::wire::messages::{ShareAcknowledgeResponse, ShareFetchResponse};
use crate::wire::{BrokerId, ErrorCode, Uuid, code};

/// What was acquired of a partition, or why nothing could be.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    pub records: Bytes,
    pub acquired: Vec<AcquiredRange>,
    pub error: Option<ErrorCode>,
}

impl Fetched {
    pub fn failed(error: ErrorCode) -> Fetched {
        Fetched { records: Bytes::new(), acquired: Vec::new(), error: Some(error) }
    }
}

/// What was asked beside acknowledging.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// Records; `None` until it is known which.
    Records {
        context: Context,
        fetched: Option<Vec<(PartitionId, Fetched)>>,
    },
    Nothing,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ShareAnswer {
    pub reply: Reply,
    pub session: SessionKey,
    /// The epoch that the request said.
    pub epoch: i32,
    pub wanted: Wanted,
    /// What became of the acknowledgements of each partition.
    pub acknowledged: SortedMap<PartitionId, Option<ErrorCode>>,
    /// How many writes are not done yet.
    pub open: u32,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareAnswers {
    last: u64,
    waiting: SortedMap<u64, ShareAnswer>,
}

impl ShareAnswers {
    pub(super) fn add(&mut self, answer: ShareAnswer) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, answer);
        self.last
    }

    /// A write that the answer waits for is done, or has failed.
    pub(super) fn written(&mut self, answer: u64, partition: PartitionId, error: Option<ErrorCode>) {
        if let Some(waiting) = self.waiting.get_mut(&answer) {
            waiting.acknowledged.insert(partition, error);
            waiting.open -= 1;
        }
    }

    /// It is known which records the member gets.
    pub(super) fn fetched(&mut self, answer: u64, records: Vec<(PartitionId, Fetched)>) {
        if let Some(ShareAnswer { wanted: Wanted::Records { fetched, .. }, .. }) = self.waiting.get_mut(&answer) {
            *fetched = Some(records);
        }
    }

    fn take_complete(&mut self, answer: u64) -> Option<ShareAnswer> {
        let waiting = self.waiting.get(&answer)?;
        let is_fetched = !matches!(waiting.wanted, Wanted::Records { fetched: None, .. });
        if waiting.open == 0 && is_fetched { self.waiting.remove(&answer) } else { None }
    }
}

impl Process {
    /// Answers, if nothing is waited for any more.
    pub(super) fn answer_share_request(&mut self, turn: &mut Turn<'_>, answer: u64) {
        let Some(answer) = self.shares.answers.take_complete(answer) else { return };
        let ShareAnswer { reply, session, epoch, wanted, acknowledged, open: _ } = answer;
        match wanted {
            Wanted::Records { context, fetched } => {
                let fetched = fetched.unwrap_or_default();
                let response = self.share_fetch_response(&session, epoch, &context, fetched, acknowledged);
                reply.send(turn, response);
            }
            Wanted::Nothing => reply.send(turn, self.share_acknowledge_response(acknowledged)),
        }
        if epoch == FINAL_EPOCH {
            self.release_share_session(&session);
        }
    }

    /// The member's session is over: its records can go to others (SharePartitionManager.releaseSession).
    pub(super) fn release_share_session(&mut self, session: &SessionKey) {
        for id in self.shares.sessions.remove(session).unwrap_or_default() {
            let key = self.share_key(&session.group, id);
            let Some(state) = self.shares.state_mut(&key) else { continue };
            if let Some(write) = state.release_acquired(&session.member) {
                self.write_share_state(&key, write, None);
            }
        }
    }

    fn share_fetch_response(
        &mut self,
        session: &SessionKey,
        epoch: i32,
        context: &Context,
        mut fetched: Vec<(PartitionId, Fetched)>,
        mut acknowledged: SortedMap<PartitionId, Option<ErrorCode>>,
    ) -> ShareFetchResponse {
        let response = ShareFetchResponse::default();
        if *context == Context::Subsequent {
            if !self.shares.sessions.is_current(session, epoch) {
                // The member has gone on without waiting for this answer.
                return response.with_error_code(ErrorCode::InvalidShareSessionEpoch.code());
            }
            let sessions = &mut self.shares.sessions;
            fetched.retain(|(id, one)| sessions.must_tell(session, *id, !one.records.is_empty(), one.error.is_some()));
        }
        let mut topics: Vec<fetch::ShareFetchableTopicResponse> = Vec::new();
        let mut endpoints: Vec<BrokerId> = Vec::new();
        for (id, one) in fetched {
            let mut data =
                partition_data(id, &one).with_acknowledge_error_code(code(acknowledged.remove(&id).flatten()));
            let is_elsewhere = matches!(one.error, Some(ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch));
            if let Some((leader, epoch)) = self.share_leader_hint(id).filter(|_| is_elsewhere) {
                data.current_leader =
                    fetch::LeaderIdAndEpoch::default().with_leader_id(leader.0).with_leader_epoch(epoch.0);
                endpoints.push(leader);
            }
            add_partition(&mut topics, id.0, data);
        }
        // Partitions that only acknowledgements speak of.
        for (id, error) in acknowledged {
            let nothing = Fetched { records: Bytes::new(), acquired: Vec::new(), error: None };
            add_partition(&mut topics, id.0, partition_data(id, &nothing).with_acknowledge_error_code(code(error)));
        }
        let lock = self.share_settings(&session.group).share_record_lock_duration;
        let node = |(host, broker): (Endpoint, BrokerId)| {
            fetch::NodeEndpoint::default()
                .with_node_id(broker)
                .with_host(host.name)
                .with_port(host.port)
                .with_rack(host.rack)
        };
        response
            .with_acquisition_lock_timeout_ms(lock.millis() as i32)
            .with_node_endpoints(self.share_endpoints(endpoints).into_iter().map(node).collect())
            .with_responses(topics)
    }

    fn share_acknowledge_response(
        &self,
        acknowledged: SortedMap<PartitionId, Option<ErrorCode>>,
    ) -> ShareAcknowledgeResponse {
        let mut topics: Vec<acknowledge::ShareAcknowledgeTopicResponse> = Vec::new();
        let mut endpoints: Vec<BrokerId> = Vec::new();
        for (id, error) in acknowledged {
            let mut data =
                acknowledge::PartitionData::default().with_partition_index(id.1).with_error_code(code(error));
            let is_elsewhere = matches!(error, Some(ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch));
            if let Some((leader, epoch)) = self.share_leader_hint(id).filter(|_| is_elsewhere) {
                data.current_leader =
                    acknowledge::LeaderIdAndEpoch::default().with_leader_id(leader.0).with_leader_epoch(epoch.0);
                endpoints.push(leader);
            }
            match topics.last_mut() {
                Some(topic) if topic.topic_id == id.0 => topic.partitions.push(data),
                _ => topics.push(
                    acknowledge::ShareAcknowledgeTopicResponse::default()
                        .with_topic_id(id.0)
                        .with_partitions(vec![data]),
                ),
            }
        }
        let node = |(host, broker): (Endpoint, BrokerId)| {
            acknowledge::NodeEndpoint::default()
                .with_node_id(broker)
                .with_host(host.name)
                .with_port(host.port)
                .with_rack(host.rack)
        };
        ShareAcknowledgeResponse::default()
            .with_node_endpoints(self.share_endpoints(endpoints).into_iter().map(node).collect())
            .with_responses(topics)
    }

    fn share_endpoints(&self, mut brokers: Vec<BrokerId>) -> Vec<(Endpoint, BrokerId)> {
        brokers.sort_unstable();
        brokers.dedup();
        brokers.into_iter().filter_map(|broker| Some((endpoint(&self.image, broker)?, broker))).collect()
    }
}

fn partition_data((_, partition): PartitionId, fetched: &Fetched) -> fetch::PartitionData {
    let acquired = |range: &AcquiredRange| {
        fetch::AcquiredRecords::default()
            .with_first_offset(range.first.0)
            .with_last_offset(range.last.0)
            .with_delivery_count(range.delivery_count)
    };
    fetch::PartitionData::default()
        .with_partition_index(partition)
        .with_error_code(code(fetched.error))
        .with_records(Some(fetched.records.clone()))
        .with_acquired_records(fetched.acquired.iter().map(acquired).collect())
}

fn add_partition(topics: &mut Vec<fetch::ShareFetchableTopicResponse>, topic: Uuid, data: fetch::PartitionData) {
    match topics.iter_mut().find(|one| one.topic_id == topic) {
        Some(topic) => topic.partitions.push(data),
        None => {
            topics.push(fetch::ShareFetchableTopicResponse::default().with_topic_id(topic).with_partitions(vec![data]))
        }
    }
}
