//! The requests of a transaction: to the transaction's coordinator and, with offsets, to the group's
//! (Sender.maybeSendAndPollTransactionalRequest, TransactionManager's request handlers).

use std::collections::VecDeque;

use crate::kafka::client::errors;
use crate::kafka::client::idempotence::{Identity, IdentityState, Sequences};
use crate::kafka::client::producer_batch::{ProducerBatch, Stamp};
use crate::kafka::client::sender::{Ledger, Purpose, Sender};
use crate::kafka::client::transaction::{Task, Transactions};
use crate::kafka::config::ProducerConfig;
use crate::kafka::fact::Fact;
use crate::kafka::node::{Turn, TxnOffsets, TxnState};
use crate::sorted::SortedMap;
use crate::wire::messages::txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use crate::wire::messages::{
    EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
    InitProducerIdResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use crate::wire::{BrokerId, ErrorCode, NodeId, ProducerId, Request, Response, StrBytes, TopicName, error};

/// FindCoordinatorRequest.CoordinatorType
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

impl Sender {
    /// What the application waits for goes on by a request, if one is due. True while one is on its way:
    /// records wait meanwhile.
    pub(super) fn run_transactions(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
    ) -> bool {
        let Some(transactions) = &self.transactions else { return false };
        if transactions.in_flight {
            return true;
        }
        let state = transactions.state();
        if matches!(state, TxnState::AbortableError | TxnState::Aborting) {
            let error = transactions.last_error.unwrap_or(ErrorCode::TransactionAbortable);
            self.abort_undrained(turn, ledger, error);
        }
        let incomplete = !self.is_idle();
        let Some(transactions) = &mut self.transactions else { return false };
        let Some(task) = &transactions.task else { return false };
        // EndTxn waits until every batch has its outcome.
        let ends = matches!(task, Task::End { .. });
        if ends && incomplete {
            return false;
        }
        if transactions.has_error() {
            // The call fails; the state says why.
            transactions.task = None;
            return false;
        }
        if ends && !transactions.started {
            // Nobody knows of a transaction in which nothing was sent.
            let commit = matches!(task, Task::End { commit: true });
            transactions.ready();
            turn.tell(Fact::TxnEnded { producer: ledger.id, commit });
            return false;
        }
        if transactions.retry_at > turn.now {
            return false;
        }
        self.send_task(turn, config);
        self.transactions.as_ref().is_some_and(|transactions| transactions.in_flight)
    }

    /// The task's request, or first the question who coordinates.
    fn send_task(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig) {
        let identity = self.identity.known();
        let Some(transactions) = &mut self.transactions else { return };
        let Some(task) = &transactions.task else { return };
        let (key, key_type, coordinator) = match task {
            Task::Offsets(offsets) => (&offsets.group.0, GROUP, transactions.group_coordinator),
            _ => (&transactions.id.0, TRANSACTION, transactions.coordinator),
        };
        let (request, to, purpose): (Request, NodeId, Purpose) = match coordinator {
            Some(node) if self.network.ready(node, turn.now) => {
                (request(transactions, task, identity), node, Purpose::Transaction)
            }
            Some(_) => return self.task_failed(turn, config, true),
            None => {
                let Some(node) = self.metadata.any_node(&self.network, turn.now) else { return };
                let keys = vec![key.clone()];
                let find = FindCoordinatorRequest::default().with_key_type(key_type).with_coordinator_keys(keys);
                (find.into(), node, Purpose::Coordinator)
            }
        };
        transactions.in_flight = true;
        self.network.send(turn, to, request, config.request_timeout, purpose);
    }

    pub(super) fn coordinator_found(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        response: &FindCoordinatorResponse,
    ) {
        let told = response.coordinators.first();
        let found = told.filter(|c| error(c.error_code).is_none() && c.node_id.0 >= 0).map(|c| c.node_id);
        let Some(BrokerId(id)) = found else { return self.task_failed(turn, config, false) };
        let Some(transactions) = &mut self.transactions else { return };
        transactions.in_flight = false;
        match &transactions.task {
            Some(Task::Offsets(_)) => transactions.group_coordinator = Some(NodeId::broker(id)),
            _ => transactions.coordinator = Some(NodeId::broker(id)),
        }
    }

    pub(super) fn task_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &mut Ledger,
        response: &Response,
    ) {
        if let Some(transactions) = &mut self.transactions {
            transactions.in_flight = false;
        }
        match response {
            Response::InitProducerId(response) => self.init_answered(turn, config, ledger, response),
            Response::TxnOffsetCommit(response) => self.offsets_answered(turn, config, ledger, response),
            Response::EndTxn(response) => self.end_answered(turn, config, ledger, response),
            _ => self.task_failed(turn, config, true),
        }
    }

    /// The task is tried again after `retry.backoff.ms`; `lost`: by whoever coordinates then.
    pub(super) fn task_failed(&mut self, turn: &mut Turn<'_>, config: &ProducerConfig, lost: bool) {
        let Some(transactions) = &mut self.transactions else { return };
        transactions.in_flight = false;
        transactions.retry_at = turn.now + config.retry_backoff;
        if lost {
            match transactions.task {
                Some(Task::Offsets(_)) => transactions.group_coordinator = None,
                _ => transactions.coordinator = None,
            }
        }
    }

    /// TransactionManager.InitProducerIdHandler.
    fn init_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &Ledger,
        response: &InitProducerIdResponse,
    ) {
        let Some(error) = error(response.error_code) else {
            if let Some(transactions) = &mut self.transactions {
                transactions.ready();
            }
            return self.assume(turn, ledger, response.producer_id, response.producer_epoch);
        };
        match error {
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.task_failed(turn, config, true),
            error if errors::is_retriable(error) => self.task_failed(turn, config, false),
            ErrorCode::TransactionAbortable => self.call_failed(turn, ledger, error, false),
            error => self.call_failed(turn, ledger, fenced(error), true),
        }
    }

    /// TransactionManager.EndTxnHandler. The answer names the epoch of the next transaction (KIP-890).
    fn end_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &Ledger,
        response: &EndTxnResponse,
    ) {
        let Some(error) = error(response.error_code) else {
            let Some(transactions) = &mut self.transactions else { return };
            let commit = matches!(transactions.task, Some(Task::End { commit: true }));
            transactions.ready();
            turn.tell(Fact::TxnEnded { producer: ledger.id, commit });
            if response.producer_id.0 >= 0 {
                self.assume(turn, ledger, response.producer_id, response.producer_epoch);
            }
            return;
        };
        match error {
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.task_failed(turn, config, true),
            error if errors::is_retriable(error) => self.task_failed(turn, config, false),
            // What an abort runs into is no reason for another abort.
            ErrorCode::TransactionAbortable => {
                let aborts = matches!(self.transactions.as_ref().map(Transactions::state), Some(TxnState::Aborting));
                self.call_failed(turn, ledger, error, aborts);
            }
            error => self.call_failed(turn, ledger, fenced(error), true),
        }
    }

    /// TransactionManager.TxnOffsetCommitHandler: what succeeded is done, the rest is tried again.
    fn offsets_answered(
        &mut self,
        turn: &mut Turn<'_>,
        config: &ProducerConfig,
        ledger: &Ledger,
        response: &TxnOffsetCommitResponse,
    ) {
        let rows = response.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (&topic.name, p)));
        let rows: Vec<(&TopicName, i32, Option<ErrorCode>)> =
            rows.map(|(topic, p)| (topic, p.partition_index, error(p.error_code))).collect();
        let mut moved = false;
        for (_, _, refused) in &rows {
            use ErrorCode as E;
            match refused {
                None => {}
                Some(E::CoordinatorNotAvailable | E::NotCoordinator | E::RequestTimedOut) => moved = true,
                Some(error) if errors::is_retriable(*error) => {}
                // Of another generation than the group's, or no member any more: a zombie (KIP-447).
                Some(
                    error @ (E::FencedInstanceId | E::TransactionAbortable | E::UnknownMemberId | E::IllegalGeneration),
                ) => {
                    return self.call_failed(turn, ledger, *error, false);
                }
                Some(error) => return self.call_failed(turn, ledger, fenced(*error), true),
            }
        }
        let Some(Transactions { task, .. }) = &mut self.transactions else { return };
        let Some(Task::Offsets(offsets)) = task else { return };
        offsets.offsets.retain(|(partition, _, _)| {
            let answer =
                rows.iter().find(|(topic, index, _)| **topic == partition.topic && *index == partition.partition);
            answer.is_none_or(|(_, _, refused)| refused.is_some())
        });
        if offsets.offsets.is_empty() {
            let group = offsets.group.clone();
            *task = None;
            turn.tell(Fact::TxnOffsetsSent { producer: ledger.id, group });
        } else {
            self.task_failed(turn, config, moved);
        }
    }

    /// The producer goes on under this identity, and every sequence begins at 0.
    fn assume(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, id: ProducerId, epoch: i16) {
        self.identity = IdentityState::Known(Identity { id, epoch });
        for queue in self.accumulator.topics.iter_mut().flat_map(|topic| &mut topic.queues) {
            queue.sequences = Sequences::default();
        }
        turn.tell(Fact::ProducerIdAssigned { producer: ledger.id, producer_id: id, epoch });
    }

    /// The call of the application fails, and with it the transaction or the producer.
    fn call_failed(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, error: ErrorCode, fatal: bool) {
        if let Some(transactions) = &mut self.transactions {
            transactions.task = None;
        }
        self.transaction_failed(turn, ledger, error, fatal);
    }

    pub(super) fn transaction_failed(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, error: ErrorCode, fatal: bool) {
        let Some(transactions) = &mut self.transactions else { return };
        let news = if fatal { transactions.fatal_error(error) } else { transactions.abortable_error(error) };
        if news {
            turn.tell(Fact::TxnError { producer: ledger.id, error, fatal });
        }
    }

    /// TransactionManager.maybeTransitionToErrorState: a record that failed for good takes the transaction
    /// with it, or the producer. What retries could not mend can be aborted.
    pub fn batch_failed(&mut self, turn: &mut Turn<'_>, ledger: &Ledger, error: ErrorCode) {
        use ErrorCode as E;
        let fatal = matches!(error, E::ProducerFenced | E::InvalidProducerIdMapping | E::UnsupportedVersion);
        let exhausted = errors::is_retriable(error) || error == E::InvalidTxnState;
        let error = if exhausted { E::TransactionAbortable } else { error };
        self.transaction_failed(turn, ledger, error, fatal);
    }

    pub(super) fn has_fatal_error(&self) -> bool {
        self.transactions.as_ref().is_some_and(|transactions| transactions.state() == TxnState::FatalError)
    }

    /// RecordAccumulator.abortUndrainedBatches: what was never sent goes with the transaction.
    fn abort_undrained(&mut self, turn: &mut Turn<'_>, ledger: &mut Ledger, error: ErrorCode) {
        let mut dropped = Vec::new();
        for queue in self.accumulator.topics.iter_mut().flat_map(|topic| &mut topic.queues) {
            let (unsent, sent): (VecDeque<_>, _) = queue.batches.drain(..).partition(|batch| batch.stamp.is_none());
            queue.batches = sent;
            dropped.extend(unsent);
        }
        self.drop_batches(turn, ledger, dropped, error);
    }

    /// RecordAccumulator.abortBatches: a producer that cannot go on tells of everything that it has failed.
    pub(super) fn abort_all(&mut self, turn: &mut Turn<'_>, ledger: &mut Ledger) {
        let error = self.transactions.as_ref().and_then(|t| t.last_error).unwrap_or(ErrorCode::ProducerFenced);
        let mut dropped: Vec<ProducerBatch> = Vec::new();
        for purpose in self.network.purposes_mut() {
            let Purpose::Produce(batches) = purpose else { continue };
            for batch in batches.iter_mut().filter(|batch| !batch.done) {
                batch.done = true;
                dropped.push(batch.clone());
            }
        }
        for queue in self.accumulator.topics.iter_mut().flat_map(|topic| &mut topic.queues) {
            dropped.extend(queue.batches.drain(..));
        }
        self.drop_batches(turn, ledger, dropped, error);
    }

    fn drop_batches(
        &mut self,
        turn: &mut Turn<'_>,
        ledger: &mut Ledger,
        dropped: Vec<ProducerBatch>,
        error: ErrorCode,
    ) {
        for batch in dropped {
            // What is in flight keeps its memory until there is an answer.
            if !batch.done {
                self.accumulator.release(&batch);
            }
            ledger.fail(turn, self.accumulator.partition_of(&batch), &batch, error);
        }
    }

    /// TxnPartitionMap.adjustSequencesDueToFailedBatch: the batches behind one that was surely not written
    /// close up, so that they are no gap.
    pub(super) fn close_up(&mut self, failed: &ProducerBatch) {
        let Some(gone) = failed.stamp else { return };
        let count = failed.count() as i32;
        let Sender { network, accumulator, .. } = self;
        let queue = accumulator.queue_mut(failed.topic, failed.partition);
        queue.sequences.next -= count;
        for sequence in queue.sequences.in_flight.iter_mut().filter(|sequence| **sequence > gone.base_sequence) {
            *sequence -= count;
        }
        let flying = network.purposes_mut().filter_map(|purpose| match purpose {
            Purpose::Produce(batches) => Some(batches),
            _ => None,
        });
        let here = |batch: &&mut ProducerBatch| {
            batch.topic == failed.topic && batch.partition == failed.partition && !batch.done
        };
        for batch in flying.flatten().filter(here).chain(queue.batches.iter_mut()) {
            if let Some(stamp) = batch.stamp.filter(|stamp| stamp.base_sequence > gone.base_sequence) {
                batch.restamp(Stamp { base_sequence: stamp.base_sequence - count, ..stamp });
            }
        }
    }

    /// `close()` aborts what is open, after everything was flushed.
    pub fn close_transaction(&mut self) {
        let identity = self.identity.known();
        let idle = self.is_idle();
        let Some(transactions) = &mut self.transactions else { return };
        if idle && transactions.task.is_none() && transactions.is_open() {
            // From an open transaction an abort is always allowed.
            let _ = transactions.end(identity, false);
        }
    }
}

/// An older coordinator's word for a fenced producer.
fn fenced(error: ErrorCode) -> ErrorCode {
    if error == ErrorCode::InvalidProducerEpoch { ErrorCode::ProducerFenced } else { error }
}

fn request(transactions: &Transactions, task: &Task, identity: Option<Identity>) -> Request {
    let id = transactions.id.clone();
    let (producer_id, epoch) = identity.map_or((ProducerId(-1), -1), |identity| (identity.id, identity.epoch));
    match task {
        Task::Init => InitProducerIdRequest::default()
            .with_transactional_id(Some(id))
            .with_transaction_timeout_ms(transactions.timeout.millis() as i32)
            .with_producer_id(producer_id)
            .with_producer_epoch(epoch)
            .into(),
        Task::End { commit } => EndTxnRequest::default()
            .with_transactional_id(id)
            .with_producer_id(producer_id)
            .with_producer_epoch(epoch)
            .with_committed(*commit)
            .into(),
        Task::Offsets(offsets) => {
            let TxnOffsets { group, member, instance, generation, offsets } = &**offsets;
            let mut topics: SortedMap<&TopicName, Vec<TxnOffsetCommitRequestPartition>> = SortedMap::new();
            for (partition, offset, epoch) in offsets {
                topics.entry(&partition.topic).or_default().push(
                    TxnOffsetCommitRequestPartition::default()
                        .with_partition_index(partition.partition)
                        .with_committed_offset(offset.0)
                        .with_committed_leader_epoch(epoch.map_or(-1, |epoch| epoch.0))
                        .with_committed_metadata(Some(StrBytes::default())),
                );
            }
            let topics = topics.into_iter().map(|(name, partitions)| {
                TxnOffsetCommitRequestTopic::default().with_name(name.clone()).with_partitions(partitions)
            });
            TxnOffsetCommitRequest::default()
                .with_transactional_id(id)
                .with_group_id(group.clone())
                .with_producer_id(producer_id)
                .with_producer_epoch(epoch)
                .with_generation_id(*generation)
                .with_member_id(member.clone())
                .with_group_instance_id(instance.clone())
                .with_topics(topics.collect())
                .into()
        }
    }
}
