//! A producer and the application that calls it (KafkaProducer): `send` finds the partition and
//! hands the record to the accumulator, or blocks up to `max.block.ms`; the sender does the rest.

mod load;

use std::collections::VecDeque;

use crate::kafka::client::accumulator::{Append, Led, Queue};
use crate::kafka::client::idempotence::Identity;
use crate::kafka::client::metadata::{Metadata, MetadataTimes};
use crate::kafka::client::partitioner::partition_for_key;
use crate::kafka::client::producer::load::Load;
use crate::kafka::client::producer_batch::size_upper_bound;
use crate::kafka::client::sender::{BatchResult, Ledger, Purpose, Sender};
use crate::kafka::client::transaction::Transactions;
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Alarm, Command, Input, Node, ProducerRecord, Turn, TxnCall, TxnState};
use crate::packed::Packed;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::wire::batch::NewRecord;
use crate::wire::{Body, ClientId, ErrorCode, NodeId, TopicName, TopicPartition, str_bytes};

/// A producer, running or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Producer {
    name: String,
    config: ProducerConfig,
    transactional_id: Option<String>,
    bootstrap: Vec<NodeId>,
    ledger: Ledger,
    /// The running numbers that records continue with when the process starts again.
    numbering: SortedMap<TopicPartition, u64>,
    process: Option<Process>,
    /// The earliest alarm, computed at the end of every input.
    alarm: Option<(Instant, Alarm)>,
}

/// What a kill takes away.
#[derive(Clone, Debug, PartialEq)]
struct Process {
    sender: Sender,
    /// What the application's thread has not finished, in order; the first one is the call that blocks.
    calls: VecDeque<Call>,
    /// The first call has begun, and waits for the brokers.
    called: bool,
    /// Since when the first call has been blocking.
    blocked_since: Option<Instant>,
    loads: Vec<Load>,
    /// `close()` was called: nothing is taken any more, and what is there is flushed.
    closing: bool,
}

/// A call of the application.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Send(ProducerRecord),
    Transaction(TxnCall),
}

/// What stopped a send.
enum Stop {
    /// The call waits: for metadata or for memory. Why, for the application.
    Blocks(String),
    /// The call failed: that is the outcome of the record.
    Failed(ErrorCode, String),
    /// The call was wrong, and throws an exception.
    Rejected(String),
}

impl Producer {
    pub fn new(
        id: ClientId,
        name: &str,
        bootstrap: Vec<NodeId>,
        config: ProducerConfig,
        transactional_id: Option<String>,
    ) -> Producer {
        Producer {
            name: name.to_string(),
            ledger: Ledger::new(id, config.acks),
            config,
            transactional_id,
            bootstrap,
            numbering: SortedMap::new(),
            process: None,
            alarm: None,
        }
    }

    pub fn id(&self) -> ClientId {
        self.ledger.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn config(&self) -> &ProducerConfig {
        &self.config
    }

    pub fn transactional_id(&self) -> Option<&str> {
        self.transactional_id.as_deref()
    }

    /// How its transactions stand, and why if that is an error; `None` without `transactional.id`, and while it
    /// does not run.
    pub fn transaction(&self) -> Option<(TxnState, Option<ErrorCode>)> {
        let transactions = self.process.as_ref()?.sender.transactions.as_ref()?;
        Some((transactions.state(), transactions.last_error))
    }

    /// The process dies: what it had buffered is lost, and the application never learns more.
    pub fn kill(&mut self) {
        self.remember_numbers();
        self.ledger.lost += self.ledger.pending() + self.waiting();
        self.ledger.sent += self.waiting();
        self.process = None;
        self.alarm = None;
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// `close()` was called and is not done.
    pub fn is_closing(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.closing)
    }

    /// Whether steady traffic comes from it.
    pub fn is_loading(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.loads.is_empty())
    }

    /// Records that the application called `send` for.
    pub fn sent(&self) -> u64 {
        self.ledger.sent + self.waiting()
    }

    pub fn acked(&self) -> u64 {
        self.ledger.acked
    }

    /// Records that failed for good, by the error's code.
    pub fn failed(&self) -> &SortedMap<i16, u64> {
        &self.ledger.failed
    }

    /// Calls of `send` that were wrong.
    pub fn rejected(&self) -> u64 {
        self.ledger.rejected
    }

    /// Records whose fate nobody knows since the process died.
    pub fn lost(&self) -> u64 {
        self.ledger.lost
    }

    /// Records whose outcome the application does not know yet.
    pub fn pending(&self) -> u64 {
        self.ledger.pending() + self.waiting()
    }

    /// Those of them whose call of `send` has not returned.
    fn waiting(&self) -> u64 {
        let Some(Process { calls, loads, .. }) = &self.process else { return 0 };
        let sends = calls.iter().filter(|call| matches!(call, Call::Send(_))).count();
        let of_loads = loads.iter().filter(|load| load.blocked_since.is_some()).count();
        (sends + of_loads) as u64
    }

    /// Every batch with an outcome, in the order of the outcomes.
    pub fn results(&self) -> &Packed<BatchResult> {
        &self.ledger.results
    }

    /// The producer id and epoch, once assigned.
    pub fn identity(&self) -> Option<Identity> {
        self.process.as_ref()?.sender.identity.known()
    }

    /// Sends that block, waiting for metadata or memory.
    pub fn blocked(&self) -> u32 {
        self.process.as_ref().map_or(0, |p| p.calls.len() as u32)
    }

    /// Bytes of `buffer.memory` in use.
    pub fn buffered(&self) -> i64 {
        self.process.as_ref().map_or(0, |p| self.config.buffer_memory - p.sender.accumulator.free)
    }

    /// The queue of each partition that records went to.
    pub fn queues(&self) -> impl Iterator<Item = (TopicPartition, &Queue)> {
        let topics = self.process.iter().flat_map(|p| &p.sender.accumulator.topics);
        topics.flat_map(|topic| {
            let queues = topic.queues.iter().enumerate();
            queues.map(|(i, queue)| (TopicPartition::new(topic.name.clone(), i as i32), queue))
        })
    }

    /// Which partitions the producer takes each node to lead, by topic index and partition.
    pub fn led(&self) -> &[Led] {
        self.process.as_ref().map_or(&[], |p| &p.sender.accumulator.led)
    }

    /// Batches on their way: the node, and for each batch its partition, records and base sequence.
    pub fn in_flight(&self) -> Vec<(NodeId, TopicPartition, u32, i32)> {
        let Some(process) = &self.process else { return Vec::new() };
        let accumulator = &process.sender.accumulator;
        let mut out = Vec::new();
        for request in process.sender.network.in_flight() {
            let Purpose::Produce(batches) = &request.purpose else { continue };
            for batch in batches {
                let sequence = batch.stamp.map_or(-1, |stamp| stamp.base_sequence);
                out.push((request.to, accumulator.partition_of(batch), batch.count(), sequence));
            }
        }
        out
    }

    pub fn metadata(&self) -> Option<&Metadata> {
        self.process.as_ref().map(|p| &p.sender.metadata)
    }

    fn start(&mut self) {
        let times = MetadataTimes {
            max_age: self.config.metadata_max_age,
            backoff: self.config.retry_backoff,
            backoff_max: self.config.retry_backoff_max,
            request_timeout: self.config.request_timeout,
        };
        let transactions =
            self.transactional_id.as_ref().map(|id| Transactions::new(id, self.config.transaction_timeout));
        // What every application with transactions does first.
        let calls = transactions.iter().map(|_| Call::Transaction(TxnCall::Init)).collect();
        self.process = Some(Process {
            sender: Sender::new(&self.config, Metadata::new(self.bootstrap.clone(), times), transactions),
            calls,
            called: false,
            blocked_since: None,
            loads: Vec::new(),
            closing: false,
        });
    }

    fn remember_numbers(&mut self) {
        for (partition, number) in self.queues().map(|(tp, q)| (tp, q.next_record())).collect::<Vec<_>>() {
            self.numbering.insert(partition, number);
        }
    }

    fn command(&mut self, turn: &mut Turn<'_>, command: Command) {
        let Some(process) = &mut self.process else { return };
        const CLOSED: &str = "Cannot perform operation after producer has been closed";
        match command {
            Command::Send(record) if process.closing => self.ledger.reject(turn, &record.topic, CLOSED),
            Command::Send(record) => process.calls.push_back(Call::Send(record)),
            Command::Transaction(call) if process.closing => {
                refuse(&self.ledger, turn, &call, CLOSED.to_string());
            }
            Command::Transaction(call) => process.calls.push_back(Call::Transaction(call)),
            Command::Load { topic, rate, keys, size, until } if !process.closing => {
                process.loads.push(Load::new(turn.now, topic, rate, keys, size, until));
            }
            Command::Close => {
                process.closing = true;
                process.called = false;
                process.loads.clear();
                for call in process.calls.drain(..) {
                    if let Call::Send(record) = call {
                        self.ledger.reject(turn, &record.topic, "Producer closed while send in progress");
                    }
                }
            }
            // What other clients' applications call.
            _ => {}
        }
    }

    /// The application's calls, then the sender; the calls again, because answers may have freed memory.
    fn run(&mut self, turn: &mut Turn<'_>) {
        let Some(process) = &mut self.process else { return };
        let numbering = &self.numbering;
        process.sender.accumulator.sync(&process.sender.metadata, |tp| numbering.get(tp).copied().unwrap_or(0));
        loop {
            let free = process.sender.accumulator.free;
            process.call(turn, &self.config, &mut self.ledger, numbering);
            let flush = process.closing || process.is_out_of_memory();
            if process.closing {
                process.sender.close_transaction();
            }
            process.sender.run(turn, &self.config, &mut self.ledger, flush);
            let blocked = process.blocked_since.is_some() || process.loads.iter().any(|l| l.blocked_since.is_some());
            // acks=0 frees memory while sending, and a transaction without anything in it ends at once;
            // otherwise only an answer moves something.
            let freed = blocked && process.sender.accumulator.free > free;
            if !freed && !process.is_answered() {
                break;
            }
        }
        let ended = process.sender.transactions.as_ref().is_none_or(|t| t.task.is_none() && !t.is_open());
        if process.closing && process.sender.is_idle() && ended {
            self.remember_numbers();
            self.process = None;
        }
    }

    fn compute_alarm(&self, now: Instant) -> Option<(Instant, Alarm)> {
        let process = self.process.as_ref()?;
        let flush = process.closing || process.is_out_of_memory();
        let calls = process.blocked_since.map(|at| (at + self.config.max_block, Alarm::RetryBackoff));
        let loads = process.loads.iter().map(|load| match load.blocked_since {
            Some(at) => (at + self.config.max_block, Alarm::RetryBackoff),
            None => (load.wake, Alarm::Load),
        });
        let alarms = calls.into_iter().chain(loads).filter(|(at, _)| *at > now);
        alarms.chain(process.sender.next_alarm(now, &self.config, flush)).min()
    }
}

impl Node for Producer {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        match input {
            Input::Start => self.start(),
            Input::Deliver { envelope, .. } => {
                let Some(process) = &mut self.process else { return };
                let Body::Response(response) = envelope.body else { return };
                if let Some(request) = process.sender.network.answered(envelope.correlation) {
                    process.sender.answered(turn, &self.config, &mut self.ledger, request, &response);
                }
            }
            Input::Disconnected { peer } => {
                let Some(process) = &mut self.process else { return };
                process.sender.disconnected(turn, &self.config, &mut self.ledger, peer);
            }
            Input::Alarm(_) => {}
            Input::Command(command) => self.command(turn, command),
        }
        self.run(turn);
        self.alarm = self.compute_alarm(turn.now);
    }

    fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.alarm
    }
}

impl Process {
    /// The application's thread: its calls in order, then what its loads have due.
    fn call(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        numbering: &SortedMap<TopicPartition, u64>,
    ) {
        while let Some(call) = self.calls.front().cloned() {
            let record = match call {
                Call::Send(record) => record,
                Call::Transaction(call) => {
                    if self.transact(turn, ledger, &call) {
                        self.calls.pop_front();
                        continue;
                    }
                    return;
                }
            };
            let stop = self.send(turn, config, ledger, numbering, &record);
            if let Err(stop) = stop {
                let since = *self.blocked_since.get_or_insert(turn.now);
                let partition =
                    TopicPartition { topic: record.topic.clone(), partition: record.partition.unwrap_or(-1) };
                if self.blocks(turn, config, ledger, (since, stop), (partition, &new_record(&record, turn.now))) {
                    return;
                }
            }
            self.calls.pop_front();
            self.blocked_since = None;
        }
        for index in 0..self.loads.len() {
            let mut load = self.loads[index].clone();
            self.send_load(turn, config, ledger, numbering, &mut load);
            self.loads[index] = load;
        }
        self.loads.retain(|load| load.due < load.until);
    }

    /// What becomes of a call of `send` that did not come through: whether it goes on waiting, as it has done
    /// `since`. An error of one record is an error of its transaction; without one `send` throws
    /// (maybeTransitionToErrorState).
    fn blocks(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        (since, stop): (Instant, Stop),
        (partition, record): (TopicPartition, &NewRecord),
    ) -> bool {
        let (error, why) = match stop {
            Stop::Blocks(_) if turn.now < since + config.max_block => return true,
            Stop::Blocks(why) => (ErrorCode::RequestTimedOut, why),
            Stop::Failed(error, why) => (error, why),
            Stop::Rejected(why) => {
                ledger.reject(turn, &partition.topic, &why);
                return false;
            }
        };
        if let Some(Err(why)) = self.sender.transactions.as_ref().map(Transactions::check_error) {
            ledger.reject(turn, &partition.topic, &why);
            return false;
        }
        ledger.fail_send(turn, partition, record, error, &why);
        self.sender.batch_failed(turn, ledger, error);
        false
    }

    /// One call about a transaction: whether it is done, for good or ill. A commit or abort that takes longer
    /// than `max.block.ms` is called again by the application, which is no different from waiting.
    fn transact(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, call: &TxnCall) -> bool {
        let identity = self.sender.identity.known();
        let Some(transactions) = &mut self.sender.transactions else {
            let why = "Transactional method invoked on a non-transactional producer.";
            refuse(ledger, turn, call, why.to_string());
            return true;
        };
        if !self.called {
            let begun = match call {
                TxnCall::Init => transactions.init(identity),
                TxnCall::Begin => transactions.begin(identity),
                TxnCall::Offsets(offsets) => transactions.send_offsets(identity, offsets),
                TxnCall::Commit => transactions.end(identity, true),
                TxnCall::Abort => transactions.end(identity, false),
            };
            match begun {
                Err(why) => {
                    refuse(ledger, turn, call, why);
                    return true;
                }
                Ok(()) if *call == TxnCall::Begin => turn.tell(Fact::TxnBegun { producer: ledger.id }),
                Ok(()) => {}
            }
        }
        self.called = transactions.task.is_some();
        !self.called
    }

    /// The call that waits has its answer.
    fn is_answered(&self) -> bool {
        self.called && self.sender.transactions.as_ref().is_none_or(|transactions| transactions.task.is_none())
    }

    /// Whether `send` is allowed at this point of a transaction, which it is then part of.
    fn join_transaction(&mut self, topic: u32, partition: i32) -> Result<(), Stop> {
        let Sender { transactions, accumulator, identity, .. } = &mut self.sender;
        let Some(transactions) = transactions else { return Ok(()) };
        let partition = TopicPartition::new(accumulator.topics[topic as usize].name.clone(), partition);
        transactions.check_send(identity.known(), &partition).map_err(Stop::Rejected)?;
        transactions.started = true;
        Ok(())
    }

    /// One call of `send`.
    fn send(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        numbering: &SortedMap<TopicPartition, u64>,
        record: &ProducerRecord,
    ) -> Result<(), Stop> {
        let topic = self.topic(config, numbering, &record.topic, record.partition)?;
        let new = new_record(record, turn.now);
        check_size(config, &new)?;
        let count = self.sender.accumulator.topics[topic as usize].queues.len() as i32;
        let by_key = record.key.as_ref().filter(|_| !config.ignore_keys).map(|key| partition_for_key(key, count));
        let partition = match record.partition.or(by_key) {
            Some(partition) => partition,
            None => self.sender.accumulator.stick(turn, topic),
        };
        let sticky = record.partition.or(by_key).is_none();
        self.join_transaction(topic, partition)?;
        match self.sender.accumulator.append(turn, topic, partition, sticky, new) {
            Append::Done => {}
            Append::NoMemory(record) => return Err(self.no_memory(config, &record)),
        }
        ledger.sent += 1;
        turn.tell(Fact::RecordSent {
            producer: ledger.id,
            topic: record.topic.clone(),
            partition,
            key: record.key.clone(),
            value: record.value.clone(),
        });
        Ok(())
    }

    /// KafkaProducer.waitOnMetadata: the topic's index once the metadata has it, and the partition.
    fn topic(
        &mut self,
        config: &ProducerConfig,
        numbering: &SortedMap<TopicPartition, u64>,
        name: &TopicName,
        partition: Option<i32>,
    ) -> Result<u32, Stop> {
        let Sender { metadata, accumulator, .. } = &mut self.sender;
        metadata.want(name);
        if metadata.refusal(name) == Some(ErrorCode::InvalidTopicException) {
            return Err(Stop::Failed(ErrorCode::InvalidTopicException, format!("Invalid topics: [{}]", name.0)));
        }
        if let Some(partition) = partition.filter(|p| *p < 0) {
            let why =
                format!("Invalid partition: {partition}. Partition number should always be non-negative or null.");
            return Err(Stop::Rejected(why));
        }
        let wait = config.max_block.millis();
        let number = |tp: &TopicPartition| numbering.get(tp).copied().unwrap_or(0);
        let Some(index) = accumulator.ensure_topic(name, metadata, number) else {
            metadata.request_update();
            return Err(Stop::Blocks(format!("Topic {} not present in metadata after {wait} ms.", name.0)));
        };
        let count = accumulator.topics[index as usize].queues.len() as i32;
        match partition.filter(|p| *p >= count) {
            None => Ok(index),
            Some(partition) => {
                metadata.request_update();
                Err(Stop::Blocks(format!(
                    "Partition {partition} of topic {} with partition count {count} is not present in metadata after {wait} ms.",
                    name.0
                )))
            }
        }
    }

    fn no_memory(&self, config: &ProducerConfig, record: &NewRecord) -> Stop {
        let needed = i64::from(config.batch_size.max(1)).max(i64::from(size_upper_bound(record)));
        Stop::Blocks(format!(
            "Failed to allocate {needed} bytes within the configured max blocking time {} ms. Total memory: {} bytes. \
             Available memory: {} bytes. Poolable size: {} bytes",
            config.max_block.millis(),
            config.buffer_memory,
            self.sender.accumulator.free,
            config.batch_size
        ))
    }

    /// A call waits for memory: what is queued is sent without waiting for `linger.ms` (BufferPool.queued).
    fn is_out_of_memory(&self) -> bool {
        let accumulator = &self.sender.accumulator;
        let waits = self.blocked_since.is_some() || self.loads.iter().any(|l| l.blocked_since.is_some());
        waits && !accumulator.topics.is_empty() && accumulator.is_scarce()
    }
}

/// KafkaProducer.ensureValidRecordSize.
fn check_size(config: &ProducerConfig, record: &NewRecord) -> Result<(), Stop> {
    let size = i64::from(size_upper_bound(record));
    if size > i64::from(config.max_request_size) {
        let why = format!(
            "The message is {size} bytes when serialized which is larger than {}, which is the value of the \
             max.request.size configuration.",
            config.max_request_size
        );
        return Err(Stop::Failed(ErrorCode::MessageTooLarge, why));
    }
    if size > config.buffer_memory {
        let why = format!(
            "The message is {size} bytes when serialized which is larger than the total memory buffer you have \
             configured with the buffer.memory configuration."
        );
        return Err(Stop::Failed(ErrorCode::MessageTooLarge, why));
    }
    Ok(())
}

fn new_record(record: &ProducerRecord, now: Instant) -> NewRecord {
    NewRecord {
        timestamp: record.timestamp.unwrap_or(now.millis()),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    }
}

fn refuse(ledger: &Ledger, turn: &mut Turn<'_>, call: &TxnCall, why: String) {
    turn.tell(Fact::TxnCallRefused { producer: ledger.id, call: str_bytes(call.name()), error: str_bytes(&why) });
}
