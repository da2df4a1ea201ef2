//! Producer ids for idempotent producers, from blocks that the controller hands out
//! (RPCProducerIdManager, KIP-730).

use crate::kafka::broker::controller_channel::{ControllerChannel, Reply};
use crate::kafka::node::{Alarm, Turn};
use crate::time::{Duration, Instant};
use crate::wire::messages::AllocateProducerIdsRequest;
use crate::wire::{BrokerEpoch, BrokerId, Correlation, ErrorCode, NodeId, ProducerId, Response, error};

/// RPCProducerIdManager.RETRY_BACKOFF_MS
const RETRY_BACKOFF: Duration = Duration::from_millis(50);
/// When this much of a block is used, the next one is asked for.
const PREFETCH_PERCENT: i64 = 90;
/// How long a request for a block may take (the channel that clients' requests share).
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// The ids `next` to `end` (exclusive) of a block that began at `first`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    first: i64,
    next: i64,
    end: i64,
}

/// A broker's supply of producer ids. It is lost with the process; the rest of a block stays unused.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerIds {
    me: BrokerId,
    current: Option<Block>,
    /// The block to go on with, asked for in good time.
    following: Option<Block>,
    /// After a failure no block is asked for before.
    retry_at: Option<Instant>,
    channel: ControllerChannel<()>,
}

impl ProducerIds {
    pub fn new(me: BrokerId) -> ProducerIds {
        let channel = ControllerChannel::new(me, Some(RETRY_TIMEOUT));
        ProducerIds { me, current: None, following: None, retry_at: None, channel }
    }

    /// An id nobody else has. COORDINATOR_LOAD_IN_PROGRESS, which clients repeat, while the next
    /// block is on its way.
    pub fn generate(
        &mut self,
        turn: &mut Turn<'_>,
        controller: Option<NodeId>,
        epoch: BrokerEpoch,
    ) -> Result<ProducerId, ErrorCode> {
        if self.current.is_none_or(|block| block.next >= block.end) {
            self.current = self.following.take();
        }
        let Some(block) = self.current.as_mut().filter(|block| block.next < block.end) else {
            self.ask(turn, controller, epoch);
            return Err(ErrorCode::CoordinatorLoadInProgress);
        };
        let id = block.next;
        block.next += 1;
        if id == block.first + (block.end - block.first) * PREFETCH_PERCENT / 100 {
            self.ask(turn, controller, epoch);
        }
        Ok(ProducerId(id))
    }

    /// Called when an alarm rings and when the known controller changes.
    pub fn poll(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>) {
        if !self.channel.poll(turn, controller).is_empty() {
            self.retry_at = Some(turn.now + RETRY_BACKOFF);
        }
    }

    /// True if the response answered a request of this part.
    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> bool {
        match self.channel.handle_response(turn, from, correlation, response) {
            Reply::NotMine => return false,
            Reply::SentAgain => return true,
            Reply::Answered(()) => {}
        }
        match response {
            Response::AllocateProducerIds(answer) if error(answer.error_code).is_none() => {
                let first = answer.producer_id_start.0;
                let end = first + i64::from(answer.producer_id_len);
                self.following = Some(Block { first, next: first, end });
            }
            _ => self.retry_at = Some(turn.now + RETRY_BACKOFF),
        }
        true
    }

    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.channel.disconnected(turn, peer);
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.channel.next_alarm()
    }

    /// One block is asked for at a time, and none after a failure until its pause is over.
    fn ask(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>, epoch: BrokerEpoch) {
        let pauses = self.retry_at.is_some_and(|at| turn.now < at);
        if pauses || self.following.is_some() || !self.channel.is_empty() {
            return;
        }
        self.retry_at = None;
        let request = AllocateProducerIdsRequest::default().with_broker_id(self.me).with_broker_epoch(epoch.0);
        self.channel.submit(turn, controller, request, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::node::Effects;
    use crate::wire::code;
    use crate::wire::messages::AllocateProducerIdsResponse;

    const C1: NodeId = NodeId::controller(1);

    fn answer(ids: &mut ProducerIds, effects: &mut Effects, now: Instant, response: AllocateProducerIdsResponse) {
        let correlation = effects.sends.remove(0).1.correlation;
        assert!(ids.handle_response(&mut Turn::new(now, effects), C1, correlation, &response.into()));
    }

    fn block(first: i64) -> AllocateProducerIdsResponse {
        AllocateProducerIdsResponse::default().with_producer_id_start(ProducerId(first)).with_producer_id_len(1000)
    }

    #[test]
    fn the_next_block_is_asked_for_when_nine_tenths_are_used() {
        let mut effects = Effects::new(1);
        let mut ids = ProducerIds::new(BrokerId(1));
        let now = Instant::ZERO;
        let first = ids.generate(&mut Turn::new(now, &mut effects), Some(C1), BrokerEpoch(5));
        assert_eq!(first, Err(ErrorCode::CoordinatorLoadInProgress));
        answer(&mut ids, &mut effects, now, block(0));
        for expected in 0..1_000 {
            let id = ids.generate(&mut Turn::new(now, &mut effects), Some(C1), BrokerEpoch(5));
            assert_eq!(id, Ok(ProducerId(expected)));
            assert_eq!(effects.sends.len(), usize::from(expected >= 900));
        }
        answer(&mut ids, &mut effects, now, block(3_000));
        let id = ids.generate(&mut Turn::new(now, &mut effects), Some(C1), BrokerEpoch(5));
        assert_eq!(id, Ok(ProducerId(3_000)), "other brokers may have had blocks meanwhile");
    }

    #[test]
    fn after_a_refusal_it_asks_again_only_after_a_pause() {
        let mut effects = Effects::new(1);
        let mut ids = ProducerIds::new(BrokerId(1));
        let _ = ids.generate(&mut Turn::new(Instant::ZERO, &mut effects), Some(C1), BrokerEpoch(5));
        let stale = AllocateProducerIdsResponse::default().with_error_code(code(Some(ErrorCode::StaleBrokerEpoch)));
        answer(&mut ids, &mut effects, Instant::ZERO, stale);
        let _ = ids.generate(&mut Turn::new(Instant::from_millis(49), &mut effects), Some(C1), BrokerEpoch(5));
        assert!(effects.sends.is_empty());
        let _ = ids.generate(&mut Turn::new(Instant::from_millis(50), &mut effects), Some(C1), BrokerEpoch(5));
        assert_eq!(effects.sends.len(), 1);
    }
}
