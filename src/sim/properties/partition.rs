//! The observer of one partition: what its leaders wrote and committed, and whether every replica,
//! every acknowledgement and every reader agrees with that.

use bytes::Bytes;

use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::fact::Fact;
use crate::kafka::log::Log;
use crate::kafka::replica::Partition;
use crate::sim::event::EventId;
use crate::sim::properties::excuse::{Doubts, Excuse, ExcuseKind, candidates};
use crate::sim::properties::isr::{self, CommittedIsrs};
use crate::sim::properties::property::Property;
use crate::sim::properties::sequences::{Misplaced, Sequences};
use crate::sim::properties::transactions::{Decisions, Transaction};
use crate::sim::properties::truncations::Truncations;
use crate::sim::properties::written::{Conflict, Stamp, Written};
use crate::sim::properties::{Finder, below, log_of};
use crate::sim::world::World;
use crate::sorted::{SortedMap, SortedSet};
use crate::wire::batch::Batch;
use crate::wire::{BrokerId, ClientId, LeaderEpoch, Offset, TopicPartition, Uuid};

/// What a leader has reached in its present term and life.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Term {
    epoch: LeaderEpoch,
    high_watermark: Offset,
    last_stable: Offset,
    /// It led before without a break that it knew of, and somebody else led in between.
    skipped: bool,
}

/// What a leader asked the controller to make of the ISR, last.
#[derive(Clone, Debug, PartialEq)]
struct Proposal {
    epoch: LeaderEpoch,
    isr: Vec<BrokerId>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct PartitionWatch {
    name: TopicPartition,
    topic: Uuid,
    written: Written<BrokerId>,
    sequences: Sequences,
    decisions: Decisions,
    isrs: CommittedIsrs,
    truncations: Truncations,
    /// Who has led in each epoch.
    leaders: SortedMap<LeaderEpoch, BrokerId>,
    /// By broker, while its process lives and it leads.
    terms: SortedMap<BrokerId, Term>,
    proposals: SortedMap<BrokerId, Proposal>,
    /// The leader epoch that each running broker is in.
    epochs: SortedMap<BrokerId, LeaderEpoch>,
    /// Where each log ended when it was last looked at.
    ends: SortedMap<BrokerId, Offset>,
    doubts: Doubts,
    /// Brokers whose last registered process crashed: the controller must find that out when they return.
    crashed: SortedSet<BrokerId>,
    /// Brokers that left the partition and came back while the ELR still named them.
    stale: SortedSet<BrokerId>,
    excuse: Option<Excuse>,
    /// Committed records were lost with an excuse: what happened before is no measure any more.
    rebased: bool,
}

/// A replica as the world has it now.
struct Seen<'a> {
    broker: BrokerId,
    log: &'a Log,
    replica: &'a Partition,
    /// It leads in the newest epoch that the controllers know.
    is_current: bool,
}

impl PartitionWatch {
    pub fn new(name: &TopicPartition, topic: Uuid) -> PartitionWatch {
        PartitionWatch {
            name: name.clone(),
            topic,
            written: Written::default(),
            sequences: Sequences::default(),
            decisions: Decisions::default(),
            isrs: CommittedIsrs::default(),
            truncations: Truncations::default(),
            leaders: SortedMap::new(),
            terms: SortedMap::new(),
            proposals: SortedMap::new(),
            epochs: SortedMap::new(),
            ends: SortedMap::new(),
            doubts: Doubts::default(),
            crashed: SortedSet::new(),
            stale: SortedSet::new(),
            excuse: None,
            rebased: false,
        }
    }

    pub fn name(&self) -> &TopicPartition {
        &self.name
    }

    pub fn topic(&self) -> Uuid {
        self.topic
    }

    /// Up to here replicas may differ in what compaction has left of them.
    pub fn compacted(&self) -> Offset {
        self.written.compacted()
    }

    pub fn excuse(&self) -> Option<&Excuse> {
        self.excuse.as_ref()
    }

    /// Whether nothing was ever lost with an excuse here.
    pub fn is_unbroken(&self) -> bool {
        self.excuse.is_none() && !self.rebased
    }

    /// Whether Kafka promises that idempotent producers' records stand here in the order of their sending.
    pub fn keeps_order(&self) -> bool {
        self.is_unbroken() && self.sequences.begin_at_the_beginning()
    }

    /// Whether the broker has, or had, a log of it.
    pub fn concerns(&self, broker: BrokerId) -> bool {
        self.ends.contains_key(&broker)
    }

    /// A replica of this partition told something.
    pub fn observe(&mut self, finder: &mut Finder<'_>, broker: BrokerId, fact: &Fact) {
        let world = finder.world;
        let Some(log) = log_of(world, broker, &self.name, self.topic) else { return };
        let end_before = self.ends.insert(broker, log.log_end());
        let Some(replica) = world.broker(broker).and_then(|broker| broker.replica(&self.name)) else { return };
        let newest = world.registration(&self.name).map(|registration| registration.leader_epoch);
        let is_current = replica.is_leader() && newest == Some(replica.leader_epoch());
        let seen = Seen { broker, log, replica, is_current };
        self.check_log(finder, &seen);
        match fact {
            Fact::BecameLeader { .. } => self.became_leader(finder, &seen),
            Fact::BecameFollower { .. } => {
                self.terms.remove(&broker);
                self.truncations.follows(broker, replica.leader_epoch(), log.epochs().len() as u32);
                self.check_epoch(finder, &seen);
            }
            Fact::Appended { first, leader, .. } => {
                let appended = self.written.appended(broker, log, *first, *leader);
                self.report(finder, Property::SameEpochSameRecords, broker, appended);
            }
            Fact::Truncated { to, .. } => self.truncated(finder, &seen, *to),
            Fact::HighWatermarkMoved { leader: true, .. } => self.leader_moved(finder, &seen),
            Fact::HighWatermarkMoved { leader: false, .. } => self.follower_moved(finder, &seen),
            Fact::ProduceRefused { error, .. } => {
                let kept_out = isr::kept_out(*error, end_before, log.log_end());
                self.report_text(finder, Property::RefusedIsNotWritten, broker, kept_out);
            }
            Fact::IsrChangeRefused { error, .. } => {
                let gives_up = isr::gives_up(*error, replica.pending().is_some());
                self.report_text(finder, Property::RejectedIsrRollsBack, broker, gives_up);
                self.check_isr(finder, &seen);
            }
            Fact::IsrChangeProposed { to, .. } => {
                let proposal = Proposal { epoch: replica.leader_epoch(), isr: to.clone() };
                self.proposals.insert(broker, proposal);
            }
            Fact::LogStartMoved { .. } if replica.is_leader() => self.written.trim(log.log_start()),
            Fact::LogCompacted { to, .. } => self.written.compact(*to),
            _ => {}
        }
    }

    /// The broker's process ended, or its disk is gone.
    pub fn ended(&mut self, finder: &Finder<'_>, broker: BrokerId, fact: &Fact) {
        self.terms.remove(&broker);
        self.epochs.remove(&broker);
        self.truncations.interrupted();
        if matches!(fact, Fact::Stopped { .. }) {
            return;
        }
        let log = log_of(finder.world, broker, &self.name, self.topic);
        let end = log.map_or(Offset::ZERO, Log::log_end);
        let lost = self.ends.get(&broker).is_some_and(|before| end < *before);
        if lost {
            self.written.truncated(broker, end);
            self.ends.insert(broker, end);
        }
        // A machine that goes down after its broker stopped in good order takes nothing with it.
        let is_clean = finder.world.broker(broker).is_some_and(|broker| broker.disk().clean_shutdown.is_some());
        if lost || !is_clean {
            self.doubts.crashed(broker, lost);
            self.crashed.insert(broker);
        }
        if let Some(registration) = finder.world.registration(&self.name) {
            self.look_for_excuse(registration, finder.event);
        }
    }

    /// Every committed record is in doubt from here on if those who may lead are.
    pub fn look_for_excuse(&mut self, registration: &PartitionRegistration, event: EventId) {
        if self.excuse.is_none() && self.doubts.are_too_many(registration) {
            self.excuse = Some(Excuse { kind: ExcuseKind::TooManyLosses, event });
        }
    }

    /// The partition's registration at the controllers changed.
    pub fn registered(
        &mut self,
        finder: &mut Finder<'_>,
        old: Option<&PartitionRegistration>,
        new: &PartitionRegistration,
    ) {
        self.isrs.wrote(new.partition_epoch, &new.isr);
        let was_in_isr = |broker: &BrokerId| old.is_some_and(|old| old.isr.contains(broker));
        let was_in_elr = |broker: &BrokerId| old.is_some_and(|old| old.elr.contains(broker));
        let was_candidate = |broker| old.is_none_or(|old| candidates(old).any(|candidate| candidate == broker));
        // Who was elected uncleanly and fenced within one commit is in the ELR, where there is one.
        if let Some(leader) = candidates(new).find(|leader| new.recovering && !was_candidate(*leader)) {
            let event = finder.event;
            self.excuse = Some(Excuse { kind: ExcuseKind::UncleanElection, event });
            self.doubts.rejoined(leader);
        }
        self.note_stale_elr(finder, old, new);
        // Whoever is in the ELR was in the ISR, if only between two records of one commit.
        let through = new.elr.iter().filter(|member| !was_in_elr(member) && new.replicas.contains(member));
        for member in new.isr.iter().chain(through).filter(|member| !was_in_isr(member)) {
            let complete = self.has_everything(finder, *member);
            // The controller may choose one that died a moment ago: it has not joined before it lives.
            if !is_registered(finder.world, *member) {
                continue;
            }
            if self.excuse.is_none() && !new.recovering {
                self.report(finder, Property::JoinSafety, *member, complete);
            }
            self.doubts.rejoined(*member);
            self.stale.remove(member);
        }
        self.look_for_excuse(new, finder.event);
        if self.excuse.is_none() {
            for member in candidates(new) {
                if self.doubts.is_impaired(member) {
                    continue;
                }
                let complete = self.has_everything(finder, member);
                self.report(finder, Property::StrongIsr, member, complete);
            }
        }
    }

    /// PartitionChangeBuilder takes nobody out of the ELR for leaving the partition, so one that returns
    /// counts as eligible with an empty log.
    fn note_stale_elr(
        &mut self,
        finder: &Finder<'_>,
        old: Option<&PartitionRegistration>,
        new: &PartitionRegistration,
    ) {
        let came_back = |member: &&BrokerId| old.is_some_and(|old| !old.replicas.contains(member));
        // It may be elected by the very record that brings it back.
        let was_in_elr = |member: &&BrokerId| old.is_some_and(|old| old.elr.contains(member));
        let named = new.elr.iter().chain(new.isr.iter().filter(was_in_elr));
        for member in named.filter(|member| new.replicas.contains(member)).filter(came_back) {
            self.doubts.crashed(*member, true);
            self.stale.insert(*member);
        }
        let elected = new.leader.filter(|leader| old.is_some_and(|old| old.leader != Some(*leader)));
        let Some(leader) = elected.filter(|leader| self.stale.contains(leader)) else { return };
        if is_registered(finder.world, leader) && self.has_everything(finder, leader).is_err() && self.excuse.is_none()
        {
            self.excuse = Some(Excuse { kind: ExcuseKind::StaleElr, event: finder.event });
        }
    }

    /// Whether a broker whose process crashed has yet to register again.
    pub fn awaits(&self, broker: BrokerId) -> bool {
        self.crashed.contains(&broker)
    }

    /// A broker came back from a crash in a new incarnation: it must not count as eligible. What it is
    /// elected to or stops as after that is another matter.
    pub fn returned(&mut self, finder: &mut Finder<'_>, broker: BrokerId, registration: &PartitionRegistration) {
        // What a process asked for that has died since says nothing of the next one.
        if !is_registered(finder.world, broker) || !self.crashed.remove(&broker) {
            return;
        }
        if [&registration.isr, &registration.elr].iter().any(|set| set.contains(&broker)) {
            let text = format!("broker {} crashed and is in ISR or ELR as it registers again", broker.0);
            finder.broken(Property::UncleanExcluded, Some(&self.name), text);
        }
    }

    /// A producer was told that its batch is safe (acks=all).
    pub fn acknowledged(&self, finder: &mut Finder<'_>, base: Offset, records: &Bytes) {
        let Ok(batch) = Batch::split_first(&mut records.clone(), false) else { return };
        let last = base + i64::from(batch.last_offset_delta());
        if base < Offset::ZERO || !self.is_unbroken() || self.written.is_forgotten(base) {
            return;
        }
        let stands = self.written.committed_at(base).is_some_and(|stamp| {
            stamp.last >= last
                && (stamp.base != base || stamp.crc == batch.crc || self.was_written_anew(finder, &stamp, &batch))
        });
        if !stands {
            let text = format!(
                "offsets {base} to {last} were acknowledged; committed are those {}",
                below(self.written.end())
            );
            finder.broken(Property::AcknowledgedIsCommitted, Some(&self.name), text);
        }
    }

    /// A leader writes a batch in its own way where the topic stamps LogAppendTime or compresses by
    /// itself (LogValidator): the checksum is another, the keys and values are the same.
    fn was_written_anew(&self, finder: &Finder<'_>, stamp: &Stamp, sent: &Batch) -> bool {
        let logs = self.ends.keys().filter_map(|broker| log_of(finder.world, *broker, &self.name, self.topic));
        let mut batches = logs.filter_map(|log| log.batches(stamp.base).next());
        let Some(written) = batches.find(|batch| Stamp::of(batch) == *stamp) else { return false };
        let contents = |batch: &Batch| {
            let records = batch.records().unwrap_or_default();
            records.into_iter().map(|record| (record.key, record.value, record.headers)).collect::<Vec<_>>()
        };
        contents(&written) == contents(sent)
    }

    /// A consumer was handed `count` records of whole batches, from `first` to `last`.
    pub fn delivered(
        &self,
        finder: &mut Finder<'_>,
        consumer: ClientId,
        span: (Offset, Offset),
        count: u32,
        records: &Bytes,
    ) {
        let batches = Batch::parse_all(records.clone(), false).unwrap_or_default();
        let last = span.1;
        for batch in batches.iter().take_while(|batch| batch.base_offset <= last) {
            if !self.is_unbroken() {
                return;
            }
            let stamp = Stamp::of(batch);
            if !self.written.is_forgotten(stamp.base) && !self.written.is_committed(&stamp) {
                let text = format!(
                    "a consumer was handed the batch of epoch {} at {}, which is not what is committed there",
                    stamp.epoch, stamp.base
                );
                finder.broken(Property::RepeatableRead, Some(&self.name), text);
                return;
            }
        }
        let committed_only = finder.world.reads_committed(consumer);
        let inherited = |producer, base| self.inherited_outcome(finder.world, producer, base);
        let wrong = match self.decisions.readable(&batches, span, committed_only, inherited) {
            Ok(readable) if readable == count => return,
            Ok(readable) => {
                format!("{readable} records from {} to {last} may be read, and {count} were handed out", span.0)
            }
            Err(undecided) => undecided,
        };
        finder.broken(Property::ReadCommittedView, Some(&self.name), wrong);
    }

    /// How the transaction ends by a marker that the leader already had when it took office. A broker
    /// that was started again no longer knows which markers are not replicated yet: ProducerStateManager
    /// keeps `unreplicatedTxns` in no snapshot, and so the last stable offset passes them.
    fn inherited_outcome(&self, world: &World, producer: i64, base: Offset) -> Option<bool> {
        let log = world.leader_log(&self.name)?;
        let (_, took_office) = *log.epochs().last()?;
        let mut before = log.batches(base).take_while(|batch| batch.base_offset < took_office);
        before
            .find_map(|batch| batch.end_txn_marker().filter(|_| batch.producer_id.0 == producer))
            .map(|end| end.commit)
    }

    /// How transactions ended here, as far as nobody has taken it yet.
    pub fn take_outcomes(&mut self) -> Vec<(Transaction, bool)> {
        self.decisions.take_fresh()
    }

    fn became_leader(&mut self, finder: &mut Finder<'_>, seen: &Seen<'_>) {
        if !seen.replica.is_leader() {
            return;
        }
        let (broker, epoch) = (seen.broker, seen.replica.leader_epoch());
        let first = *self.leaders.entry(epoch).or_insert(broker);
        if first != broker {
            let text = format!("brokers {} and {} both lead in epoch {epoch}", first.0, broker.0);
            finder.broken(Property::OneLeaderPerEpoch, Some(&self.name), text);
        }
        self.check_epoch(finder, seen);
        let (high_watermark, last_stable) = (seen.log.high_watermark(), seen.log.last_stable_offset());
        let led = self.terms.get(&broker).filter(|term| term.epoch < epoch).map(|term| term.epoch);
        let skipped = led.is_some_and(|led| self.leaders.range(led..epoch).any(|(_, leader)| *leader != broker));
        self.terms.insert(broker, Term { epoch, high_watermark, last_stable, skipped });
        // A leader that learns of its term when it is over already does not have to know the newest.
        if !seen.is_current {
            return;
        }
        match self.written.agree(broker, seen.log, self.written.end()) {
            Err(_) if self.excuse.is_some() => {
                self.written.rebase(seen.log);
                self.sequences.forget();
                self.decisions.forget();
                self.rebased = true;
            }
            Err(conflict) => self.incomplete_leader(finder, broker, epoch, conflict),
            Ok(()) => {}
        }
        if self.excuse.is_some() && !self.doubts.is_impaired(broker) {
            self.excuse = None;
        }
    }

    fn incomplete_leader(&self, finder: &mut Finder<'_>, broker: BrokerId, epoch: LeaderEpoch, conflict: Conflict) {
        let (end, what) = (self.written.end(), conflict.text());
        let text = format!("broker {} leads in epoch {epoch} and {what}; committed is all {}", broker.0, below(end));
        finder.broken(Property::LeaderCompleteness, Some(&self.name), text);
        let acked = finder.world.ledger().partition(&self.name);
        let lost = acked.and_then(|ledger| ledger.acked.iter().find(|a| a.acks == -1 && a.last() >= conflict.at()));
        if let Some(lost) = lost {
            let text = format!("offset {} was acknowledged to acks=all and is lost", lost.base.max(conflict.at()));
            finder.broken(Property::AcknowledgedIsKept, Some(&self.name), text);
        }
    }

    fn truncated(&mut self, finder: &mut Finder<'_>, seen: &Seen<'_>, to: Offset) {
        if !self.truncations.truncates(seen.broker, seen.replica.leader_epoch()) {
            let text =
                format!("broker {} truncates again, to {to}, and more often than its log has epochs", seen.broker.0);
            finder.broken(Property::DivergenceConverges, Some(&self.name), text);
        }
        let cut = self.written.truncated(seen.broker, to);
        let excused = !self.is_unbroken() || self.doubts.is_impaired(seen.broker);
        if let Some(cut) = cut.filter(|_| !excused) {
            let text = format!("broker {} truncates to {to}, and had the committed record at {cut}", seen.broker.0);
            finder.broken(Property::TruncationSafety, Some(&self.name), text);
        }
    }

    fn leader_moved(&mut self, finder: &mut Finder<'_>, seen: &Seen<'_>) {
        let (broker, epoch) = (seen.broker, seen.replica.leader_epoch());
        let (mark, last_stable) = (seen.log.high_watermark(), seen.log.last_stable_offset());
        let name = self.name.clone();
        let mut skipped = false;
        if let Some(term) = self.terms.get(&broker).filter(|term| term.epoch == epoch) {
            skipped = term.skipped;
            if mark < term.high_watermark {
                let text = format!("leader {}: {} → {mark} in epoch {epoch}", broker.0, term.high_watermark);
                finder.broken(Property::HighWatermarkMonotonic, Some(&name), text);
            }
            if last_stable < term.last_stable {
                let text = format!("leader {}: {} → {last_stable} in epoch {epoch}", broker.0, term.last_stable);
                finder.broken(Property::LastStableOffset, Some(&name), text);
            }
        }
        self.terms.insert(broker, Term { epoch, high_watermark: mark, last_stable, skipped });
        // Once records were lost with an excuse, a leader that was replaced proves nothing.
        if self.excuse.is_some() || self.rebased && !seen.is_current {
            return;
        }
        let (sequences, decisions, mut wrong) = (&mut self.sequences, &mut self.decisions, None);
        let committed = self.written.commit(broker, seen.log, mark, |batch| {
            decisions.committed(batch);
            wrong = wrong.take().or(sequences.committed(batch));
        });
        self.report(finder, Property::CommittedPrefixAgrees, broker, committed);
        match wrong {
            Some(Misplaced::OutOfSequence(text)) => finder.broken(Property::ExactlyOnce, Some(&name), text),
            Some(Misplaced::Zombie(text)) => finder.broken(Property::ZombieFencing, Some(&name), text),
            None => {}
        }
        self.check_isr(finder, seen);
        if seen.is_current {
            self.check_justified(finder, seen, mark, skipped);
        }
    }

    /// Why the leader may hold everything below `mark` for committed.
    fn check_justified(&mut self, finder: &mut Finder<'_>, seen: &Seen<'_>, mark: Offset, skipped: bool) {
        let (replica, log) = (seen.replica, seen.log);
        let (isr, least) = (replica.isr().len() as i64, replica.effective_min_isr(log));
        if isr < least {
            let text = format!("leader {} moves to {mark} with {isr} of {least} in the ISR", seen.broker.0);
            finder.broken(Property::HighWatermarkJustified, Some(&self.name), text);
        }
        let maximal = replica.maximal_isr();
        for member in maximal.iter().copied().filter(|member| !self.doubts.is_suspect(*member)) {
            let Some(its_log) = log_of(finder.world, member, &self.name, self.topic) else { continue };
            let has = self.written.agree(member, its_log, mark);
            if has.is_err() && skipped {
                self.excuse = Some(Excuse { kind: ExcuseKind::SkippedTerm, event: finder.event });
                return;
            }
            self.report(finder, Property::HighWatermarkJustified, member, has);
        }
        let Some(registration) = finder.world.registration(&self.name) else { return };
        // Metadata with the partition epoch that an answer brought before discards the next proposal,
        // which the controller may have accepted (Partition.makeLeader: updateAssignmentAndIsr): until
        // newer metadata arrives, the leader does not count whom it proposed itself.
        let is_behind = registration.partition_epoch > replica.partition_epoch();
        let proposal =
            self.proposals.get(&seen.broker).filter(|last| is_behind && last.epoch == replica.leader_epoch());
        let discarded = |member: &BrokerId| proposal.is_some_and(|proposal| proposal.isr.contains(member));
        let left_out = candidates(registration).find(|member| !maximal.contains(member) && !discarded(member));
        if let Some(left_out) = left_out {
            let text = format!("leader {} moves to {mark} without broker {}", seen.broker.0, left_out.0);
            finder.broken(Property::MaximalIsrCoversCandidates, Some(&self.name), text);
        }
    }

    /// Whom the leader counts as in sync, and why it may.
    fn check_isr(&self, finder: &mut Finder<'_>, seen: &Seen<'_>) {
        let Seen { broker, replica, .. } = seen;
        if !replica.is_leader() {
            return;
        }
        let counts = isr::counts(replica.isr(), &replica.maximal_isr(), &isr::proposed(replica));
        let counts = counts.and(self.isrs.holds(replica.partition_epoch(), replica.isr()));
        self.report_text(finder, Property::MaximalIsr, *broker, counts);
    }

    fn follower_moved(&mut self, finder: &mut Finder<'_>, seen: &Seen<'_>) {
        if !self.is_unbroken() {
            return;
        }
        let (mark, end) = (seen.log.high_watermark(), self.written.end());
        if mark > end {
            let text = format!(
                "follower {} holds all {} for committed, and no leader ever more than {end}",
                seen.broker.0,
                below(mark)
            );
            finder.broken(Property::CommittedPrefixAgrees, Some(&self.name), text);
        }
        let agreed = self.written.agree(seen.broker, seen.log, mark);
        self.report(finder, Property::CommittedPrefixAgrees, seen.broker, agreed);
    }

    fn has_everything(&mut self, finder: &Finder<'_>, broker: BrokerId) -> Result<(), Conflict> {
        let end = self.written.end();
        match log_of(finder.world, broker, &self.name, self.topic) {
            Some(log) => self.written.agree(broker, log, end),
            None if end > Offset::ZERO => Err(Conflict::Missing { at: Offset::ZERO }),
            None => Ok(()),
        }
    }

    fn check_epoch(&mut self, finder: &mut Finder<'_>, seen: &Seen<'_>) {
        let epoch = seen.replica.leader_epoch();
        let before = self.epochs.insert(seen.broker, epoch);
        if let Some(before) = before.filter(|before| *before > epoch) {
            let text = format!("broker {}: leader epoch {before} → {epoch}", seen.broker.0);
            finder.broken(Property::EpochsMonotonic, Some(&self.name), text);
        }
    }

    fn check_log(&self, finder: &mut Finder<'_>, seen: &Seen<'_>) {
        let log = seen.log;
        let (start, mark, end) = (log.log_start(), log.high_watermark(), log.log_end());
        if !(start <= mark && mark <= end) {
            let text = format!("broker {}: log start {start}, high watermark {mark}, log end {end}", seen.broker.0);
            finder.broken(Property::LogShape, Some(&self.name), text);
        }
        if log.last_stable_offset() > mark {
            let text = format!("broker {}: {} above {mark}", seen.broker.0, log.last_stable_offset());
            finder.broken(Property::LastStableOffset, Some(&self.name), text);
        }
    }

    fn report_text(&self, finder: &mut Finder<'_>, property: Property, broker: BrokerId, result: Result<(), String>) {
        if let Err(text) = result {
            finder.broken(property, Some(&self.name), format!("broker {} {text}", broker.0));
        }
    }

    fn report(&self, finder: &mut Finder<'_>, property: Property, broker: BrokerId, result: Result<(), Conflict>) {
        if let Err(conflict) = result {
            let text = format!("the log of broker {} {}", broker.0, conflict.text());
            finder.broken(property, Some(&self.name), text);
        }
    }
}

/// Whether the process that runs is the incarnation that the controllers know.
fn is_registered(world: &World, broker: BrokerId) -> bool {
    let known = world.image().brokers.get(&broker).map(|registration| registration.incarnation);
    let process = world.broker(broker).and_then(|broker| broker.process());
    process.is_some_and(|process| Some(process.lifecycle().incarnation()) == known)
}
