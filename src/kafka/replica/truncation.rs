//! Where a follower cuts its log when the leader says that it diverged (KIP-101, KIP-279;
//! AbstractFetcherThread.getOffsetTruncationState).

use crate::kafka::log::EpochEnd;
use crate::wire::Offset;

/// The offset to truncate to, and whether the leader must be asked again because the follower
/// does not know the epoch that the leader named (KIP-279). `None` as the reply: the leader's
/// answer was undefined. `own` is the follower's own end of the replied epoch.
pub fn truncation_target(
    fetch_offset: Offset,
    log_end: Offset,
    reply: Option<EpochEnd>,
    own: Option<EpochEnd>,
) -> (Offset, bool) {
    let Some(reply) = reply else { return (fetch_offset, false) };
    match own {
        None => (reply.end.min(log_end), false),
        Some(own) if own.epoch != reply.epoch => (own.end.min(log_end), true),
        Some(own) => (own.end.min(reply.end).min(log_end), false),
    }
}
