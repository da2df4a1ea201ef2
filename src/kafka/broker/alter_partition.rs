//! The ISR changes that a broker's leaders propose, on their way to the controller: one request in
//! flight for the whole broker, one change for each partition (AlterPartitionManager, KIP-497).

use crate::kafka::broker::controller_channel::{ControllerChannel, Reply};
use crate::kafka::node::{Alarm, Turn, earliest};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};
use crate::wire::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::wire::messages::{AlterPartitionRequest, AlterPartitionResponse};
use crate::wire::{
    BrokerEpoch, BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, PartitionEpoch, Response, TopicPartition, Uuid,
    error,
};

/// AlterPartitionManager's pause after a request that failed as a whole.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// A change of a partition's ISR that its leader wants.
#[derive(Clone, Debug, PartialEq)]
pub struct IsrChange {
    pub partition: TopicPartition,
    pub topic_id: Uuid,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// With the broker epochs that the leader knows (KIP-903); -1 when unknown.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
    /// LeaderRecoveryState.RECOVERING
    pub recovering: bool,
}

/// The partition as the controller has it after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct AlteredPartition {
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub isr: Vec<BrokerId>,
    pub recovering: bool,
    pub partition_epoch: PartitionEpoch,
}

/// What the controller made of one change.
pub type Outcome = (TopicPartition, Result<AlteredPartition, ErrorCode>);

/// The broker's changes that the controller has not answered.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterPartitionManager {
    me: BrokerId,
    /// Sent or not, one for each partition; the controller's answer removes it.
    pending: SortedMap<TopicPartition, IsrChange>,
    /// The partitions of the request in flight.
    in_flight: Vec<TopicPartition>,
    /// When to send again after a failure.
    retry_at: Option<Instant>,
    channel: ControllerChannel<()>,
}

impl AlterPartitionManager {
    pub fn new(me: BrokerId) -> AlterPartitionManager {
        let channel = ControllerChannel::new(me, None);
        AlterPartitionManager { me, pending: SortedMap::new(), in_flight: Vec::new(), retry_at: None, channel }
    }

    /// Takes a change on. OPERATION_NOT_ATTEMPTED while another one of the partition is pending.
    /// `poll` sends: changes that are submitted in one turn share a request.
    pub fn submit(&mut self, change: IsrChange) -> Result<(), ErrorCode> {
        if self.pending.contains_key(&change.partition) {
            return Err(ErrorCode::OperationNotAttempted);
        }
        self.pending.insert(change.partition.clone(), change);
        Ok(())
    }

    /// Sends what is due. Called after changes were submitted, when an alarm rings and when the
    /// known controller changes.
    pub fn poll(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>, epoch: BrokerEpoch) {
        self.channel.poll(turn, controller);
        if self.retry_at.is_some_and(|at| at <= turn.now) {
            self.retry_at = None;
        }
        // Submissions do not wait for the retry of others (maybePropagateIsrChanges), but then
        // everything that is pending goes along.
        let waits = self.retry_at.is_some() && self.pending.keys().all(|pending| self.in_flight.contains(pending));
        if self.pending.is_empty() || !self.channel.is_empty() || waits {
            return;
        }
        self.retry_at = None;
        self.in_flight = self.pending.keys().cloned().collect();
        let request = self.request(epoch);
        self.channel.submit(turn, controller, request, ());
    }

    /// `None` when the response answers no request of this part; else the changes it decided.
    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> Option<Vec<Outcome>> {
        match self.channel.handle_response(turn, from, correlation, response) {
            Reply::NotMine => return None,
            Reply::SentAgain => return Some(Vec::new()),
            Reply::Answered(()) => {}
        }
        let answer = match response {
            Response::AlterPartition(answer) if error(answer.error_code).is_none() => answer,
            // STALE_BROKER_EPOCH and every other refusal of the request as a whole.
            _ => {
                self.retry_at = Some(turn.now + RETRY_BACKOFF);
                return Some(Vec::new());
            }
        };
        let outcomes = self.outcomes(answer);
        self.in_flight.clear();
        Some(outcomes)
    }

    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.channel.disconnected(turn, peer);
    }

    pub fn is_pending(&self, partition: &TopicPartition) -> bool {
        self.pending.contains_key(partition)
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        earliest([self.retry_at.map(|at| (at, Alarm::AlterPartitionRetry)), self.channel.next_alarm()])
    }

    fn request(&self, epoch: BrokerEpoch) -> AlterPartitionRequest {
        let mut topics: Vec<TopicData> = Vec::new();
        for change in self.pending.values() {
            let isr = change
                .isr
                .iter()
                .map(|(broker, epoch)| BrokerState::default().with_broker_id(*broker).with_broker_epoch(epoch.0));
            let partition = PartitionData::default()
                .with_partition_index(change.partition.partition)
                .with_leader_epoch(change.leader_epoch.0)
                .with_new_isr_with_epochs(isr.collect())
                .with_leader_recovery_state(i8::from(change.recovering))
                .with_partition_epoch(change.partition_epoch.0);
            match topics.iter_mut().find(|topic| topic.topic_id == change.topic_id) {
                Some(topic) => topic.partitions.push(partition),
                None => {
                    topics.push(TopicData::default().with_topic_id(change.topic_id).with_partitions(vec![partition]));
                }
            }
        }
        AlterPartitionRequest::default().with_broker_id(self.me).with_broker_epoch(epoch.0).with_topics(topics)
    }

    /// The answers in the order of the request. What the controller left out stays pending.
    fn outcomes(&mut self, answer: &AlterPartitionResponse) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for partition in &self.in_flight {
            let Some(change) = self.pending.get(partition) else { continue };
            let answered = answer
                .topics
                .iter()
                .filter(|topic| topic.topic_id == change.topic_id)
                .flat_map(|topic| &topic.partitions)
                .find(|answered| answered.partition_index == partition.partition);
            let Some(answered) = answered else { continue };
            let result = match error(answered.error_code) {
                Some(refused) => Err(refused),
                None => Ok(AlteredPartition {
                    leader: answered.leader_id,
                    leader_epoch: LeaderEpoch(answered.leader_epoch),
                    isr: answered.isr.clone(),
                    recovering: answered.leader_recovery_state == 1,
                    partition_epoch: PartitionEpoch(answered.partition_epoch),
                }),
            };
            outcomes.push((partition.clone(), result));
        }
        for (partition, _) in &outcomes {
            self.pending.remove(partition);
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::node::Effects;
    use crate::wire::messages::alter_partition_response as altered;
    use crate::wire::{Body, Request, code};

    const C1: NodeId = NodeId::controller(1);

    fn change(partition: i32) -> IsrChange {
        IsrChange {
            partition: TopicPartition::named("orders", partition),
            topic_id: Uuid::from_u128(9),
            leader_epoch: LeaderEpoch(3),
            partition_epoch: PartitionEpoch(4),
            isr: vec![(BrokerId(1), BrokerEpoch(10)), (BrokerId(2), BrokerEpoch(11))],
            recovering: false,
        }
    }

    fn answer(partitions: &[(i32, Option<ErrorCode>)]) -> Response {
        let partitions = partitions.iter().map(|(partition, refused)| {
            altered::PartitionData::default()
                .with_partition_index(*partition)
                .with_error_code(code(*refused))
                .with_isr(vec![BrokerId(1), BrokerId(2)])
                .with_partition_epoch(5)
        });
        let topic =
            altered::TopicData::default().with_topic_id(Uuid::from_u128(9)).with_partitions(partitions.collect());
        AlterPartitionResponse::default().with_topics(vec![topic]).into()
    }

    fn sent_partitions(effects: &Effects) -> Vec<i32> {
        let Body::Request(Request::AlterPartition(request)) = &effects.sends[0].1.body else { panic!("its request") };
        request.topics[0].partitions.iter().map(|partition| partition.partition_index).collect()
    }

    #[test]
    fn one_request_is_in_flight_and_each_partition_has_one_change() {
        let mut effects = Effects::new(1);
        let mut manager = AlterPartitionManager::new(BrokerId(1));
        manager.submit(change(0)).expect("free");
        manager.submit(change(1)).expect("free");
        manager.poll(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1), BrokerEpoch(10));
        assert_eq!(sent_partitions(&effects), [0, 1], "what is submitted together travels together");
        assert_eq!(manager.submit(change(0)), Err(ErrorCode::OperationNotAttempted));
        manager.submit(change(2)).expect("free");
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        manager.poll(&mut turn, Some(C1), BrokerEpoch(10));
        assert_eq!(effects.sends.len(), 1, "the next one waits");

        let correlation = effects.sends.remove(0).1.correlation;
        let mut turn = Turn::new(Instant::from_millis(3), &mut effects);
        let refused = Some(ErrorCode::IneligibleReplica);
        let outcomes = manager.handle_response(&mut turn, C1, correlation, &answer(&[(0, None), (1, refused)]));
        let outcomes = outcomes.expect("its own");
        assert_eq!(outcomes[0].1.as_ref().map(|p| p.partition_epoch), Ok(PartitionEpoch(5)));
        assert_eq!(outcomes[1].1, Err(ErrorCode::IneligibleReplica));
        manager.poll(&mut turn, Some(C1), BrokerEpoch(10));
        assert_eq!(sent_partitions(&effects), [2]);
    }

    #[test]
    fn a_refusal_of_the_whole_request_is_followed_by_another_try() {
        let mut effects = Effects::new(1);
        let mut manager = AlterPartitionManager::new(BrokerId(1));
        manager.submit(change(0)).expect("free");
        manager.poll(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1), BrokerEpoch(10));
        let correlation = effects.sends.remove(0).1.correlation;
        let stale = AlterPartitionResponse::default().with_error_code(code(Some(ErrorCode::StaleBrokerEpoch))).into();
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        assert_eq!(manager.handle_response(&mut turn, C1, correlation, &stale), Some(Vec::new()));
        manager.poll(&mut turn, Some(C1), BrokerEpoch(11));
        assert!(effects.sends.is_empty());
        assert_eq!(manager.next_alarm(), Some((Instant::from_millis(50), Alarm::AlterPartitionRetry)));
        manager.poll(&mut Turn::new(Instant::from_millis(50), &mut effects), Some(C1), BrokerEpoch(11));
        assert_eq!(sent_partitions(&effects), [0]);
        assert_eq!(manager.next_alarm().map(|(_, why)| why), Some(Alarm::RequestTimeout));
    }

    #[test]
    fn a_change_that_the_answer_leaves_out_is_sent_again() {
        let mut effects = Effects::new(1);
        let mut manager = AlterPartitionManager::new(BrokerId(1));
        manager.submit(change(0)).expect("free");
        manager.poll(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1), BrokerEpoch(10));
        let correlation = effects.sends.remove(0).1.correlation;
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        assert_eq!(manager.handle_response(&mut turn, C1, correlation, &answer(&[])), Some(Vec::new()));
        manager.poll(&mut turn, Some(C1), BrokerEpoch(10));
        assert_eq!(sent_partitions(&effects), [0]);
        assert!(manager.is_pending(&TopicPartition::named("orders", 0)));
    }
}
