//! The serving side of fetch sessions (KIP-227; FetchSession, FetchManager) and of fetches that
//! wait. Every fetch runs in a session; one without an id lives until it is answered.
//!
//! A session knows which of its partitions are *idle*: the reader stands at the end of what it may
//! see and was told everything about them. Only the others are looked at, so that a fetch costs
//! what changed and not what it covers.

use std::sync::Arc;

use kafka_protocol::messages::FetchRequest;

use crate::kafka::log::ReadUpTo;
use crate::kafka::replica::Fetch;
use crate::kafka::replica::session::next_epoch;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::{Duration, Instant};
use crate::wire::{BrokerEpoch, BrokerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Offset, StrBytes, Uuid};

/// A partition as FETCH names it.
pub type Key = (Uuid, i32);

/// Positive: the session id on the wire. Negative: one fetch without a session.
pub type SessionKey = i64;

/// `min.incremental.fetch.session.eviction.ms`
const EVICTION_AGE: Duration = Duration::from_secs(120);

/// Who reads, and how much (FetchParams).
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    pub from: NodeId,
    pub follower: Option<(BrokerId, BrokerEpoch)>,
    pub up_to: ReadUpTo,
    /// Where the consumer runs (`client.rack`); empty when it does not say.
    pub rack: StrBytes,
    pub min_bytes: i32,
    pub max_bytes: i32,
}

/// One partition of a session (CachedPartition).
#[derive(Clone, Debug, PartialEq)]
pub struct Cached {
    pub fetch: Fetch,
    /// High watermark and log start as the reader was told last; `None` if it must be told again.
    pub told: Option<(Offset, Offset)>,
}

/// A fetch that waits for more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waiting {
    pub correlation: Correlation,
    pub deadline: Instant,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub reader: Reader,
    /// The epoch that the next request must carry.
    epoch: i32,
    /// The answer to a full request names every partition.
    pub full: bool,
    pub partitions: SortedMap<Key, Cached>,
    /// Those that are not idle.
    pub active: SortedSet<Key>,
    pub last_fetch: Instant,
    pub waiting: Option<Waiting>,
}

/// All sessions of a broker.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Sessions {
    sessions: SortedMap<SessionKey, Arc<Session>>,
    /// Which sessions cover a partition.
    watchers: SortedMap<Key, Vec<SessionKey>>,
    deadlines: SortedSet<(Instant, SessionKey)>,
    /// Counts fetches without a session, downwards.
    last_single: SessionKey,
}

impl Sessions {
    pub fn get(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(&key).map(Arc::as_ref)
    }

    pub fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(&key).map(Arc::make_mut)
    }

    /// FetchManager.newContext: the session in which this request runs. `draw` gives a session id.
    pub fn begin(
        &mut self,
        request: &FetchRequest,
        reader: Reader,
        slots: i32,
        now: Instant,
        draw: impl FnOnce() -> i32,
    ) -> Result<SessionKey, ErrorCode> {
        let (id, epoch) = (SessionKey::from(request.session_id), request.session_epoch);
        if epoch > 0 {
            let session = self.get_mut(id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
            if session.epoch != epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            session.epoch = next_epoch(epoch);
            session.full = false;
            session.reader = reader;
            session.last_fetch = now;
            self.stop_waiting(id);
            self.update(id, request);
            return Ok(id);
        }
        if id > 0 {
            self.close(id);
        }
        let keep = epoch == 0 && !request.topics.is_empty() && self.has_room(slots, now);
        let key = if keep {
            SessionKey::from(draw())
        } else {
            self.last_single -= 1;
            self.last_single
        };
        // Two sessions may draw the same id: the older one is forgotten and its reader begins anew.
        self.close(key);
        let session = Session {
            reader,
            epoch: 1,
            full: true,
            partitions: SortedMap::new(),
            active: SortedSet::new(),
            last_fetch: now,
            waiting: None,
        };
        self.sessions.insert(key, Arc::new(session));
        self.update(key, request);
        Ok(key)
    }

    /// The answer goes out: nothing waits any more, and a single fetch is over.
    pub fn answered(&mut self, key: SessionKey) {
        self.stop_waiting(key);
        let empty = self.get(key).is_some_and(|session| session.partitions.is_empty());
        if key < 0 || empty {
            self.close(key);
        }
    }

    pub fn wait(&mut self, key: SessionKey, waiting: Waiting) {
        if let Some(session) = self.get_mut(key) {
            session.waiting = Some(waiting);
            self.deadlines.insert((waiting.deadline, key));
        }
    }

    /// Something happened to the partition: its readers must look again. Those that wait are returned.
    pub fn touch(&mut self, partition: Key) -> Vec<SessionKey> {
        let Some(watchers) = self.watchers.get(&partition).cloned() else { return Vec::new() };
        for key in &watchers {
            if let Some(session) = self.sessions.get_mut(key).filter(|s| !s.active.contains(&partition)) {
                Arc::make_mut(session).active.insert(partition);
            }
        }
        watchers.into_iter().filter(|key| self.get(*key).is_some_and(|s| s.waiting.is_some())).collect()
    }

    /// The followers for which the partition is idle, and when each fetched last.
    pub fn idle_followers(&self, partition: Key) -> Vec<(BrokerId, Instant)> {
        let Some(watchers) = self.watchers.get(&partition) else { return Vec::new() };
        let sessions = watchers.iter().filter_map(|key| self.get(*key));
        let idle = sessions.filter(|session| !session.active.contains(&partition));
        idle.filter_map(|session| Some((session.reader.follower?.0, session.last_fetch))).collect()
    }

    /// How many readers have a session.
    pub fn len(&self) -> u32 {
        self.sessions.range(1..).count() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many fetches wait for more.
    pub fn waiting(&self) -> u32 {
        self.deadlines.len() as u32
    }

    pub fn take_expired(&mut self, now: Instant) -> Option<SessionKey> {
        let (deadline, key) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now).copied()?;
        self.deadlines.remove(&(deadline, key));
        Some(key)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn has_room(&mut self, slots: i32, now: Instant) -> bool {
        let held = self.sessions.range(1..).count() as i64;
        if held < i64::from(slots) {
            return true;
        }
        let oldest = self.sessions.range(1..).min_by_key(|(key, session)| (session.last_fetch, **key));
        let Some((key, session)) = oldest else { return false };
        if now - session.last_fetch <= EVICTION_AGE {
            return false;
        }
        let key = *key;
        self.close(key);
        true
    }

    fn stop_waiting(&mut self, key: SessionKey) {
        let waits = self.sessions.get(&key).is_some_and(|session| session.waiting.is_some());
        if waits && let Some(waiting) = self.get_mut(key).and_then(|session| session.waiting.take()) {
            self.deadlines.remove(&(waiting.deadline, key));
        }
    }

    fn close(&mut self, key: SessionKey) {
        self.stop_waiting(key);
        let Some(session) = self.sessions.remove(&key) else { return };
        for partition in session.partitions.keys() {
            self.unwatch(*partition, key);
        }
    }

    fn unwatch(&mut self, partition: Key, key: SessionKey) {
        let Some(watchers) = self.watchers.get_mut(&partition) else { return };
        watchers.retain(|watcher| *watcher != key);
        if watchers.is_empty() {
            self.watchers.remove(&partition);
        }
    }

    /// Takes the request's partitions into the session and forgets those that it gives up.
    fn update(&mut self, key: SessionKey, request: &FetchRequest) {
        let Some(session) = self.sessions.get_mut(&key).map(Arc::make_mut) else { return };
        for topic in &request.topics {
            for asked in &topic.partitions {
                let fetch = Fetch {
                    offset: Offset(asked.fetch_offset),
                    max_bytes: asked.partition_max_bytes,
                    log_start: Offset(asked.log_start_offset),
                    current_leader_epoch: Some(LeaderEpoch(asked.current_leader_epoch)).filter(|e| e.0 >= 0),
                    last_fetched_epoch: Some(LeaderEpoch(asked.last_fetched_epoch)).filter(|e| e.0 >= 0),
                };
                let partition = (topic.topic_id, asked.partition);
                session.active.insert(partition);
                match session.partitions.get_mut(&partition) {
                    Some(cached) => cached.fetch = fetch,
                    None => {
                        session.partitions.insert(partition, Cached { fetch, told: None });
                        self.watchers.entry(partition).or_default().push(key);
                    }
                }
            }
        }
        let mut forgotten = Vec::new();
        for topic in &request.forgotten_topics_data {
            for index in &topic.partitions {
                let partition = (topic.topic_id, *index);
                session.active.remove(&partition);
                if session.partitions.remove(&partition).is_some() {
                    forgotten.push(partition);
                }
            }
        }
        for partition in forgotten {
            self.unwatch(partition, key);
        }
    }
}
