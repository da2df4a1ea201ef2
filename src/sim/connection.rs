//! What a node reads from its connections. Kafka's Processor mutes a connection from the receipt of a
//! request until its answer was handed to the socket (SocketServer): the next
//! request of the same connection waits unread meanwhile, whatever the node could do with it. So the
//! answers of one connection keep the order of its requests.

use std::collections::VecDeque;

use crate::sim::channel::Channel;
use crate::sim::event::MessageId;
use crate::sim::network::InFlight;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::{Correlation, NodeId};

/// One connection, from its first request until it breaks; counted from 1 over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionId(u64);

/// Who asks whom, with which part of itself.
type Ends = (NodeId, NodeId, Channel);

/// A connection as the one who is asked has it.
#[derive(Clone, Debug, PartialEq)]
struct Connection {
    id: ConnectionId,
    /// The request that is being handled: nothing is read before it is answered.
    asked: Option<(MessageId, Correlation)>,
    /// When the last answer got out; later than now only while a slow disk holds it up.
    read_from: Instant,
    /// Requests that have arrived and wait in the socket, oldest first.
    unread: VecDeque<InFlight>,
}

/// What becomes of a request that arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// The node takes it.
    Read(InFlight),
    /// It waits until the one before it is answered.
    Unread,
    /// It is read at that instant, when the answer to the one before has got out.
    ReadAt(Instant, InFlight),
}

/// What an answer brings about on its connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    pub connection: ConnectionId,
    /// The request that is read next, when the answer has got out.
    pub next: Option<InFlight>,
}

/// All connections between the nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connections {
    open: SortedMap<Ends, Connection>,
    /// Closed by who asks, while the other end still has something of it to handle. It does not notice:
    /// who is busy with a request does not read, and so does not read that the connection ended.
    closed: Vec<(Ends, Connection)>,
    last_id: u64,
}

impl Connections {
    /// The connection that a request takes; the first one opens it.
    pub fn of_request(&mut self, ends: Ends) -> ConnectionId {
        let last_id = &mut self.last_id;
        let connection = self.open.entry(ends).or_insert_with(|| {
            *last_id += 1;
            Connection::new(ConnectionId(*last_id))
        });
        connection.id
    }

    /// A request has reached the socket of who is asked.
    pub fn arrived(&mut self, ends: Ends, request: InFlight, correlation: Correlation, now: Instant) -> Arrival {
        let id = request.connection;
        let connection = match self.open.get_mut(&ends).filter(|connection| connection.id == id) {
            Some(connection) => connection,
            None => self.closed_one(ends, id),
        };
        let read = (request.id, correlation);
        match connection.asked {
            Some(asked) if asked == read => Arrival::Read(request),
            Some(_) => {
                connection.unread.push_back(request);
                Arrival::Unread
            }
            None => {
                connection.asked = Some(read);
                if connection.read_from > now {
                    Arrival::ReadAt(connection.read_from, request)
                } else {
                    Arrival::Read(request)
                }
            }
        }
    }

    /// A request was answered, or handled without an answer: the connection is read again when that has got out.
    pub fn answered(&mut self, ends: Ends, correlation: Correlation, departs: Instant) -> Answered {
        let answers = |connection: &Connection| connection.asked.is_some_and(|(_, asked)| asked == correlation);
        if let Some(connection) = self.open.get_mut(&ends).filter(|connection| answers(connection)) {
            return connection.answered(departs);
        }
        let place = self.closed.iter().position(|(of, connection)| *of == ends && answers(connection));
        let Some(place) = place else { return Answered::default() };
        let answered = self.closed[place].1.answered(departs);
        if answered.next.is_none() {
            self.closed.remove(place);
        }
        answered
    }

    /// An answer has come back: one to a connection that its asker has closed is refused, and with that the
    /// other end learns that it is closed. What waits there unread is gone.
    pub fn came_back(&mut self, ends: Ends, id: ConnectionId) {
        if self.open.get(&ends).is_none_or(|connection| connection.id != id) {
            for (_, connection) in self.closed.iter_mut().filter(|(of, connection)| *of == ends && connection.id == id)
            {
                connection.unread.clear();
            }
        }
    }

    /// Who asks has closed this connection; the next request opens another one.
    pub fn close(&mut self, ends: Ends) {
        if let Some(connection) = self.open.remove(&ends).filter(|connection| connection.asked.is_some()) {
            self.closed.push((ends, connection));
        }
    }

    /// The connections between two nodes broke.
    pub fn break_between(&mut self, a: NodeId, b: NodeId) {
        self.close_where(|(from, to, _)| (*from, *to) == (a, b) || (*from, *to) == (b, a));
    }

    /// A process is gone: what it had not read is gone too, and it asks nothing more.
    pub fn process_ended(&mut self, node: NodeId) {
        self.open.retain(|(_, to, _), _| *to != node);
        self.closed.retain(|((_, to, _), _)| *to != node);
        self.close_where(|(from, _, _)| *from == node);
    }

    /// Who is asked has learned that what the other one had opened is broken.
    pub fn learned(&mut self, asked: NodeId, asker: NodeId) {
        self.closed.retain(|((from, to, _), _)| (*from, *to) != (asker, asked));
    }

    /// Everything that has arrived and waits unread, by connection and age.
    pub fn unread(&self) -> impl Iterator<Item = &InFlight> {
        let closed = self.closed.iter().map(|(_, connection)| connection);
        self.open.values().chain(closed).flat_map(|connection| &connection.unread)
    }

    /// Whether this request has arrived already and only waits for an answer to get out.
    pub fn has_arrived(&self, id: MessageId) -> bool {
        let closed = self.closed.iter().map(|(_, connection)| connection);
        self.open.values().chain(closed).any(|connection| connection.asked.is_some_and(|(asked, _)| asked == id))
    }

    fn close_where(&mut self, which: impl Fn(&Ends) -> bool) {
        let closed = &mut self.closed;
        self.open.retain(|ends, connection| {
            let closes = which(ends);
            if closes && connection.asked.is_some() {
                closed.push((*ends, connection.clone()));
            }
            !closes
        });
    }

    /// The closed connection that a request which left before still arrives on.
    fn closed_one(&mut self, ends: Ends, id: ConnectionId) -> &mut Connection {
        let known = self.closed.iter().position(|(_, connection)| connection.id == id);
        let place = known.unwrap_or_else(|| {
            self.closed.push((ends, Connection::new(id)));
            self.closed.len() - 1
        });
        &mut self.closed[place].1
    }
}

impl Connection {
    fn new(id: ConnectionId) -> Connection {
        Connection { id, asked: None, read_from: Instant(i64::MIN), unread: VecDeque::new() }
    }

    fn answered(&mut self, departs: Instant) -> Answered {
        let next = self.unread.pop_front();
        self.read_from = departs;
        self.asked = next.as_ref().and_then(|next| Some((next.id, next.correlation()?)));
        Answered { connection: self.id, next }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim::network::Payload;
    use crate::wire::Envelope;
    use crate::wire::messages::HeartbeatRequest;

    const ENDS: Ends = (NodeId::broker(1), NodeId::broker(2), Channel::Main);

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    /// The request with this number arrives on its connection.
    fn arrives(connections: &mut Connections, number: u64, connection: ConnectionId, now: Instant) -> Arrival {
        let envelope = Envelope::request(Correlation(number), HeartbeatRequest::default());
        let request = InFlight {
            id: MessageId(number),
            from: ENDS.0,
            to: ENDS.1,
            sent_at: now,
            deliver_at: now,
            cause: None,
            incarnation: 1,
            connection,
            payload: Payload::Message(Arc::new(envelope)),
        };
        connections.arrived(ENDS, request, Correlation(number), now)
    }

    fn is_read(arrival: &Arrival, number: u64) -> bool {
        matches!(arrival, Arrival::Read(request) if request.id == MessageId(number))
    }

    fn answered(connections: &mut Connections, number: u64, departs: Instant) -> Option<u64> {
        connections.answered(ENDS, Correlation(number), departs).next.map(|next| next.id.0)
    }

    #[test]
    fn requests_are_read_one_by_one_in_their_order() {
        let mut connections = Connections::default();
        let id = connections.of_request(ENDS);
        assert!(is_read(&arrives(&mut connections, 1, id, at(0)), 1));
        assert_eq!(arrives(&mut connections, 2, id, at(0)), Arrival::Unread);
        assert_eq!(arrives(&mut connections, 3, id, at(0)), Arrival::Unread);
        assert_eq!(answered(&mut connections, 1, at(5)), Some(2));
        assert!(is_read(&arrives(&mut connections, 2, id, at(5)), 2), "its turn has come");
        assert_eq!(arrives(&mut connections, 4, id, at(5)), Arrival::Unread, "the third is before it");
        assert_eq!(answered(&mut connections, 2, at(6)), Some(3));
    }

    #[test]
    fn a_slow_disk_holds_up_the_next_request_with_the_answer() {
        let mut connections = Connections::default();
        let id = connections.of_request(ENDS);
        arrives(&mut connections, 1, id, at(0));
        assert_eq!(answered(&mut connections, 1, at(50)), None);
        assert!(matches!(arrives(&mut connections, 2, id, at(1)), Arrival::ReadAt(at_50, _) if at_50 == at(50)));
        assert!(connections.has_arrived(MessageId(2)), "no cut can hold it up any more");
        assert_eq!(arrives(&mut connections, 3, id, at(2)), Arrival::Unread);
        assert!(is_read(&arrives(&mut connections, 2, id, at(50)), 2));
    }

    #[test]
    fn a_client_that_gave_up_talks_on_a_new_connection_while_the_old_one_is_still_handled() {
        let mut connections = Connections::default();
        let old = connections.of_request(ENDS);
        arrives(&mut connections, 1, old, at(0));
        arrives(&mut connections, 2, old, at(0));
        arrives(&mut connections, 3, old, at(0));
        connections.close(ENDS);
        let new = connections.of_request(ENDS);
        assert_ne!(old, new);
        assert!(is_read(&arrives(&mut connections, 4, new, at(9)), 4), "the new connection is not held up");
        assert_eq!(answered(&mut connections, 1, at(10)), Some(2), "the end of the old one is not noticed yet");
        assert!(is_read(&arrives(&mut connections, 2, old, at(10)), 2));
        connections.came_back(ENDS, old);
        assert_eq!(connections.unread().count(), 0, "the refused answer tells that the old one is closed");
        assert_eq!(answered(&mut connections, 2, at(11)), None);
        assert!(connections.closed.is_empty());
    }

    #[test]
    fn what_is_unread_is_gone_with_either_process() {
        let mut connections = Connections::default();
        let id = connections.of_request(ENDS);
        arrives(&mut connections, 1, id, at(0));
        arrives(&mut connections, 2, id, at(0));
        connections.process_ended(ENDS.0);
        assert_eq!(connections.unread().count(), 1, "the broker has not heard of it");
        connections.learned(ENDS.1, ENDS.0);
        assert_eq!(connections.unread().count(), 0);

        let id = connections.of_request(ENDS);
        arrives(&mut connections, 3, id, at(1));
        arrives(&mut connections, 4, id, at(1));
        connections.process_ended(ENDS.1);
        assert_eq!(connections.unread().count(), 0, "the broker's process is gone");
    }
}
