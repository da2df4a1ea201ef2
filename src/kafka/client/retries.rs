//! How much longer a consumer waits before each further attempt at the same thing (RequestState,
//! ExponentialBackoff; KIP-580). What waits `retry.backoff.ms` every time in Kafka has none of these: joining,
//! the commit before a classic rebalance, the commit at the interval, and looking for offsets by timestamp.

use crate::kafka::client::network::backoff;
use crate::kafka::config::ConsumerConfig;
use crate::kafka::node::Turn;
use crate::time::Instant;

/// Attempts in a row that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Retries(u32);

impl Retries {
    /// One more attempt has failed: when the next one may be made.
    pub fn next(&mut self, turn: &mut Turn<'_>, config: &ConsumerConfig) -> Instant {
        let wait = backoff(turn, config.retry_backoff, config.retry_backoff_max, self.0);
        self.0 = self.0.saturating_add(1);
        turn.now + wait
    }
}
