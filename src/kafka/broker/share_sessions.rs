//! Share sessions (KIP-932; ShareSessionCache, ShareSession): which partitions a member of a share group
//! fetches, so that its requests need not name them again, and what it loses when its connection ends.

use crate::sorted::{SortedMap, SortedSet};
use crate::wire::{ErrorCode, GroupId, NodeId, StrBytes, Uuid};

/// A partition by its topic's id.
pub type PartitionId = (Uuid, i32);

/// The epochs of ShareRequestMetadata: a request that opens a session, and one that closes it.
pub const INITIAL_EPOCH: i32 = 0;
pub const FINAL_EPOCH: i32 = -1;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey {
    pub group: GroupId,
    pub member: StrBytes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShareSession {
    /// What the member's next request must say.
    epoch: i32,
    /// Whose connection it lives on.
    from: NodeId,
    /// In the order in which they are served.
    partitions: Vec<Cached>,
}

#[derive(Clone, Debug, PartialEq)]
struct Cached {
    id: PartitionId,
    /// The next answer names it even without records.
    must_tell: bool,
}

/// What a SHARE_FETCH says of its session.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchStart {
    pub from: NodeId,
    pub epoch: i32,
    pub asked: Vec<PartitionId>,
    pub forgotten: Vec<PartitionId>,
    pub acknowledges: bool,
}

/// What a SHARE_FETCH means for its member's session.
#[derive(Clone, Debug, PartialEq)]
pub enum Context {
    /// A session begins, with these partitions.
    New(Vec<PartitionId>),
    /// It goes on.
    Subsequent,
    /// It ends with the answer.
    Final,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareSessions {
    sessions: SortedMap<SessionKey, ShareSession>,
    /// The groups whose members have come over a connection, until it ends.
    connections: SortedMap<NodeId, SortedSet<GroupId>>,
}

impl ShareSessions {
    pub fn get(&self, key: &SessionKey) -> Option<&ShareSession> {
        self.sessions.get(key)
    }

    pub fn len(&self) -> u32 {
        self.sessions.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// SharePartitionManager.newContext. `slots`: `group.share.max.share.sessions`.
    pub fn begin_fetch(&mut self, key: &SessionKey, start: FetchStart, slots: u32) -> Result<Context, ErrorCode> {
        let FetchStart { from, epoch, asked, forgotten, acknowledges } = start;
        if epoch == FINAL_EPOCH {
            return self.sessions.get(key).map(|_| Context::Final).ok_or(ErrorCode::ShareSessionNotFound);
        }
        if epoch == INITIAL_EPOCH {
            if acknowledges {
                return Err(ErrorCode::InvalidRequest);
            }
            self.sessions.remove(key);
            if self.len() >= slots {
                return Err(ErrorCode::ShareSessionLimitReached);
            }
            let partitions = asked.iter().map(|id| Cached { id: *id, must_tell: false }).collect();
            self.sessions.insert(key.clone(), ShareSession { epoch: INITIAL_EPOCH + 1, from, partitions });
            self.connections.entry(from).or_default().insert(key.group.clone());
            return Ok(Context::New(asked));
        }
        self.advance(key, epoch)?;
        let Some(session) = self.sessions.get_mut(key) else { return Err(ErrorCode::ShareSessionNotFound) };
        for id in asked {
            if session.partitions.iter().all(|cached| cached.id != id) {
                session.partitions.push(Cached { id, must_tell: true });
            }
        }
        session.partitions.retain(|cached| !forgotten.contains(&cached.id));
        Ok(Context::Subsequent)
    }

    /// SharePartitionManager.acknowledgeSessionUpdate.
    pub fn begin_acknowledge(&mut self, key: &SessionKey, epoch: i32) -> Result<(), ErrorCode> {
        match epoch {
            INITIAL_EPOCH => Err(ErrorCode::InvalidShareSessionEpoch),
            FINAL_EPOCH => self.sessions.get(key).map(|_| ()).ok_or(ErrorCode::ShareSessionNotFound),
            epoch => self.advance(key, epoch),
        }
    }

    fn advance(&mut self, key: &SessionKey, epoch: i32) -> Result<(), ErrorCode> {
        let session = self.sessions.get_mut(key).ok_or(ErrorCode::ShareSessionNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        session.epoch = next_epoch(epoch);
        Ok(())
    }

    /// Whether an answer names the partition (CachedSharePartition.maybeUpdateResponseData), in a session
    /// that is still in the epoch after `epoch`. One that got records is served last the next time.
    pub fn must_tell(&mut self, key: &SessionKey, id: PartitionId, has_records: bool, is_error: bool) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return true };
        let Some(at) = session.partitions.iter().position(|cached| cached.id == id) else { return true };
        let cached = &mut session.partitions[at];
        let tell = has_records || cached.must_tell || is_error;
        cached.must_tell = is_error;
        if has_records {
            let cached = session.partitions.remove(at);
            session.partitions.push(cached);
        }
        tell
    }

    /// Whether nothing has happened in the session since the request of this epoch began.
    pub fn is_current(&self, key: &SessionKey, epoch: i32) -> bool {
        self.sessions.get(key).is_some_and(|session| session.epoch == next_epoch(epoch))
    }

    /// The session ends: what it had.
    pub fn remove(&mut self, key: &SessionKey) -> Option<Vec<PartitionId>> {
        self.sessions.remove(key).map(|session| session.partitions())
    }

    /// The connection broke: the sessions that lived on it, and the groups that have no other.
    pub fn disconnected(&mut self, peer: NodeId) -> (Vec<SessionKey>, Vec<GroupId>) {
        let Some(groups) = self.connections.remove(&peer) else { return (Vec::new(), Vec::new()) };
        let lost = self.sessions.iter().filter(|(_, session)| session.from == peer);
        let lost: Vec<SessionKey> = lost.map(|(key, _)| key.clone()).collect();
        let others =
            |group: &GroupId| self.sessions.iter().any(|(key, session)| key.group == *group && session.from != peer);
        let empty = groups.iter().filter(|group| !others(group)).cloned().collect();
        (lost, empty)
    }
}

impl ShareSession {
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.iter().map(|cached| cached.id).collect()
    }
}

/// Epochs go from 1 to the largest number and then begin again.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ClientId, str_bytes};

    const ONE: NodeId = NodeId::Client(ClientId(1));
    const TWO: NodeId = NodeId::Client(ClientId(2));

    fn key(member: &str) -> SessionKey {
        SessionKey { group: GroupId(str_bytes("g")), member: str_bytes(member) }
    }

    fn id(partition: i32) -> PartitionId {
        (Uuid::from_u128(1), partition)
    }

    fn start(from: NodeId, epoch: i32, asked: &[i32], acknowledges: bool) -> FetchStart {
        FetchStart { from, epoch, asked: asked.iter().map(|at| id(*at)).collect(), forgotten: vec![], acknowledges }
    }

    fn opened() -> ShareSessions {
        let mut sessions = ShareSessions::default();
        let begun = sessions.begin_fetch(&key("a"), start(ONE, 0, &[0, 1], false), 2);
        assert_eq!(begun, Ok(Context::New(vec![id(0), id(1)])));
        sessions
    }

    #[test]
    fn a_request_must_say_the_epoch_that_follows() {
        let mut sessions = opened();
        let next = |epoch| start(ONE, epoch, &[], true);
        assert_eq!(sessions.begin_fetch(&key("a"), next(1), 2), Ok(Context::Subsequent));
        assert_eq!(sessions.begin_fetch(&key("a"), next(1), 2), Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(sessions.begin_acknowledge(&key("a"), 2), Ok(()));
        assert_eq!(sessions.begin_acknowledge(&key("a"), 0), Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(sessions.begin_acknowledge(&key("b"), 1), Err(ErrorCode::ShareSessionNotFound));
        assert_eq!(sessions.begin_fetch(&key("a"), next(FINAL_EPOCH), 2), Ok(Context::Final));
    }

    #[test]
    fn a_session_begins_without_acknowledgements_and_only_if_there_is_room() {
        let mut sessions = opened();
        let mut begun = |member: &str, acknowledges| {
            sessions.begin_fetch(&key(member), start(TWO, 0, &[0], acknowledges), 2).map(|_| ())
        };
        assert_eq!(begun("b", true), Err(ErrorCode::InvalidRequest));
        assert_eq!(begun("b", false), Ok(()));
        assert_eq!(begun("c", false), Err(ErrorCode::ShareSessionLimitReached));
    }

    #[test]
    fn what_is_forgotten_is_gone_and_what_got_records_is_served_last() {
        let mut sessions = opened();
        let next = FetchStart { forgotten: vec![id(1)], ..start(ONE, 1, &[2], false) };
        assert_eq!(sessions.begin_fetch(&key("a"), next, 2), Ok(Context::Subsequent));
        assert!(sessions.must_tell(&key("a"), id(0), true, false));
        assert!(sessions.must_tell(&key("a"), id(2), false, false), "it is new");
        assert!(!sessions.must_tell(&key("a"), id(2), false, false));
        assert_eq!(sessions.get(&key("a")).map(ShareSession::partitions), Some(vec![id(2), id(0)]));
    }

    #[test]
    fn a_broken_connection_ends_its_sessions_and_a_group_without_any_is_empty() {
        let mut sessions = opened();
        let begun = sessions.begin_fetch(&key("b"), start(TWO, 0, &[0], false), 2);
        assert_eq!(begun, Ok(Context::New(vec![id(0)])));
        assert_eq!(sessions.disconnected(ONE), (vec![key("a")], vec![]));
        sessions.remove(&key("a"));
        assert_eq!(sessions.disconnected(ONE), (vec![], vec![]));
        assert_eq!(sessions.disconnected(TWO), (vec![key("b")], vec![key("b").group]));
    }
}
