//! The fetching side of an incremental fetch session (KIP-227; FetchSessionHandler): after one full
//! request only what changed is named, so that an idle fetch carries no partitions.

use std::mem::take;

use crate::sorted::SortedSet;
use crate::wire::{ErrorCode, TopicPartition};

/// What the next request of the session says.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub session_id: i32,
    pub session_epoch: i32,
    /// New to the session, or with another position than it knows.
    pub send: Vec<TopicPartition>,
    pub forget: Vec<TopicPartition>,
}

/// Invariant: `changed` and `forget` are disjoint; `forget` is part of `known`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchSession {
    /// 0: the peer has no session for us.
    id: i32,
    /// 0: the next request is a full one.
    epoch: i32,
    /// What the peer's session holds, once the request in flight arrives.
    known: SortedSet<TopicPartition>,
    changed: SortedSet<TopicPartition>,
    forget: SortedSet<TopicPartition>,
}

impl FetchSession {
    /// The partition is to be fetched, from another position than the session knows.
    pub fn change(&mut self, partition: &TopicPartition) {
        self.forget.remove(partition);
        if !self.changed.contains(partition) {
            self.changed.insert(partition.clone());
        }
    }

    /// The partition is not to be fetched for now.
    pub fn leave_out(&mut self, partition: &TopicPartition) {
        self.changed.remove(partition);
        if self.known.contains(partition) {
            self.forget.insert(partition.clone());
        }
    }

    /// What to send next; `all` are the partitions to be fetched.
    pub fn plan<'a>(&mut self, all: impl Iterator<Item = &'a TopicPartition>) -> Plan {
        if self.epoch == 0 {
            self.known = all.cloned().collect();
            self.changed.clear();
            self.forget.clear();
            let send = self.known.iter().cloned().collect();
            return Plan { session_id: self.id, session_epoch: 0, send, forget: Vec::new() };
        }
        let forget: Vec<TopicPartition> = take(&mut self.forget).into_iter().collect();
        for partition in &forget {
            self.known.remove(partition);
        }
        let send: Vec<TopicPartition> = take(&mut self.changed).into_iter().collect();
        self.known.extend(send.iter().cloned());
        Plan { session_id: self.id, session_epoch: self.epoch, send, forget }
    }

    /// The peer answered; false when the answer is only about the session and holds no data.
    pub fn answered(&mut self, error: Option<ErrorCode>, session_id: i32) -> bool {
        match error {
            Some(ErrorCode::FetchSessionIdNotFound) => {
                self.id = 0;
                self.epoch = 0;
                false
            }
            Some(_) => {
                self.epoch = 0;
                false
            }
            None if session_id == 0 => {
                // No room for a session: every request is a full one.
                self.id = 0;
                self.epoch = 0;
                true
            }
            None => {
                self.epoch = if self.id == session_id && self.epoch > 0 { next_epoch(self.epoch) } else { 1 };
                self.id = session_id;
                true
            }
        }
    }

    /// No answer came: the session is closed and a new one opened with the next request.
    pub fn failed(&mut self) {
        self.epoch = 0;
    }

    pub fn id(&self) -> i32 {
        self.id
    }

    /// How many partitions the peer's session holds for us.
    pub fn len(&self) -> u32 {
        self.known.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// FetchMetadata.nextEpoch: wraps to 1, since 0 and -1 mean something else.
pub fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32) -> TopicPartition {
        TopicPartition::named("orders", index)
    }

    #[test]
    fn after_a_full_request_only_changes_are_named() {
        let mut session = FetchSession::default();
        let all = [partition(0), partition(1)];
        let plan = session.plan(all.iter());
        assert_eq!((plan.session_id, plan.session_epoch, plan.send.len()), (0, 0, 2));
        assert!(session.answered(None, 77));
        let plan = session.plan(all.iter());
        assert_eq!((plan.session_id, plan.session_epoch, plan.send.len()), (77, 1, 0));
        assert!(session.answered(None, 77));
        session.change(&partition(1));
        session.leave_out(&partition(0));
        let plan = session.plan(all.iter());
        assert_eq!((plan.session_epoch, plan.send, plan.forget), (2, vec![partition(1)], vec![partition(0)]));
    }

    #[test]
    fn a_session_that_the_peer_lost_begins_anew() {
        let mut session = FetchSession::default();
        session.plan([partition(0)].iter());
        session.answered(None, 77);
        assert!(!session.answered(Some(ErrorCode::FetchSessionIdNotFound), 0));
        let plan = session.plan([partition(0)].iter());
        assert_eq!((plan.session_id, plan.session_epoch, plan.send.len()), (0, 0, 1));
        session.answered(None, 78);
        session.failed();
        let plan = session.plan([partition(0)].iter());
        assert_eq!((plan.session_id, plan.session_epoch), (78, 0), "the old one is closed with the request");
    }
}
