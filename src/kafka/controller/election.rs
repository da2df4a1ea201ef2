//! Who leads a partition, and what its record of change says (PartitionChangeBuilder; KIP-966 for
//! the eligible leader replicas).

use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::controller::reassignment;
use crate::kafka::controller::record::PartitionChange;
use crate::wire::{BrokerId, Uuid};

/// PartitionChangeBuilder.Election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The preferred replica if it may lead, else whoever keeps the partition online.
    Preferred,
    /// The leader stays if it may; else the first replica that may lead.
    Online,
    /// As `Online`, but rather a leader that lost records than none.
    Unclean,
}

/// Who an election chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elected {
    pub leader: Option<BrokerId>,
    /// It may lack committed records.
    pub unclean: bool,
}

/// Works out the record that brings a partition to its target: set the targets, then `build`.
#[derive(Clone)]
pub struct PartitionChangeBuilder<'a> {
    partition: &'a PartitionRegistration,
    topic: Uuid,
    index: i32,
    /// Registered, not fenced, not in controlled shutdown, as far as this decision is concerned.
    is_acceptable_leader: &'a dyn Fn(BrokerId) -> bool,
    /// `min.insync.replicas`, at most the replication factor.
    min_isr: i32,
    pub election: Election,
    /// A bug put in on purpose: any replica that is alive may lead.
    pub elects_anyone: bool,
    pub eligible_leader_replicas: bool,
    /// Always true in production; Kafka keeps the other mode for tests.
    pub use_last_known_leader: bool,
    pub isr: Vec<BrokerId>,
    pub replicas: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub recovering: bool,
    /// Brokers that came back after a crash that may have cost them records.
    pub unclean_shutdown: Vec<BrokerId>,
    elr: Vec<BrokerId>,
    last_known_elr: Vec<BrokerId>,
}

impl<'a> PartitionChangeBuilder<'a> {
    pub fn new(
        partition: &'a PartitionRegistration,
        topic: Uuid,
        index: i32,
        is_acceptable_leader: &'a dyn Fn(BrokerId) -> bool,
        min_isr: i32,
    ) -> PartitionChangeBuilder<'a> {
        PartitionChangeBuilder {
            partition,
            topic,
            index,
            is_acceptable_leader,
            min_isr,
            election: Election::Online,
            elects_anyone: false,
            eligible_leader_replicas: false,
            use_last_known_leader: true,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            removing: partition.removing.clone(),
            adding: partition.adding.clone(),
            recovering: partition.recovering,
            unclean_shutdown: Vec::new(),
            elr: partition.elr.clone(),
            last_known_elr: partition.last_known_elr.clone(),
        }
    }

    /// The record; `None` when nothing changes.
    pub fn build(mut self) -> Option<PartitionChange> {
        let mut record = PartitionChange { topic: self.topic, partition: self.index, ..PartitionChange::default() };
        self.complete_reassignment();
        self.populate_elr();
        self.try_election(&mut record);
        self.bump_leader_epoch_for_removed_replicas(&mut record);
        self.update_elr(&mut record);
        let may_be_empty = self.eligible_leader_replicas;
        if record.isr.is_none() && (may_be_empty || !self.isr.is_empty()) {
            record.isr = changed(&self.isr, &self.partition.isr);
        }
        self.update_last_known_leader(&mut record);
        if !self.replicas.is_empty() {
            record.replicas = changed(&self.replicas, &self.partition.replicas);
        }
        record.removing = changed(&self.removing, &self.partition.removing);
        record.adding = changed(&self.adding, &self.partition.adding);
        if self.recovering != self.partition.recovering {
            record.recovering = Some(self.recovering);
        }
        (!record.is_empty()).then_some(record)
    }

    /// Who leads, given the targets.
    pub fn elect(&self) -> Elected {
        let clean = |leader| Elected { leader: Some(leader), unclean: false };
        let current = self.partition.leader.filter(|leader| self.is_valid(*leader));
        let preferred = self.replicas.first().copied().filter(|first| self.is_valid(*first));
        if let (Election::Preferred, Some(preferred)) = (self.election, preferred) {
            return clean(preferred);
        }
        let in_replica_order = || self.replicas.iter().copied().find(|replica| self.is_valid(*replica));
        if let Some(leader) = current.or_else(in_replica_order) {
            return clean(leader);
        }
        if let Some(leader) = self.last_known_leader() {
            return Elected { leader: Some(leader), unclean: true };
        }
        if self.election == Election::Unclean {
            let leader = self.replicas.iter().copied().find(|replica| (self.is_acceptable_leader)(*replica));
            return Elected { leader, unclean: leader.is_some() };
        }
        Elected { leader: None, unclean: false }
    }

    /// In the ISR, or in the ELR when there is no ISR.
    fn is_valid(&self, replica: BrokerId) -> bool {
        let holds_everything = self.isr.contains(&replica) || (self.isr.is_empty() && self.elr.contains(&replica));
        (holds_everything || self.elects_anyone && self.replicas.contains(&replica))
            && (self.is_acceptable_leader)(replica)
    }

    /// KIP-966: with neither ISR nor ELR, the leader of before may lead again.
    fn last_known_leader(&self) -> Option<BrokerId> {
        let applies =
            self.eligible_leader_replicas && self.use_last_known_leader && self.elr.is_empty() && self.isr.is_empty();
        match self.partition.last_known_elr[..] {
            [leader] if applies && (self.is_acceptable_leader)(leader) => Some(leader),
            _ => None,
        }
    }

    fn complete_reassignment(&mut self) {
        if let Some((replicas, isr)) = reassignment::completed(&self.replicas, &self.adding, &self.removing, &self.isr)
        {
            self.replicas = replicas;
            self.isr = isr;
            self.removing.clear();
            self.adding.clear();
        }
    }

    /// Below the minimum ISR, whoever leaves the ISR stays eligible: it has every committed record,
    /// because nothing is committed with fewer than the minimum.
    fn populate_elr(&mut self) {
        if !self.eligible_leader_replicas {
            return;
        }
        if self.isr.len() as i32 >= self.min_isr {
            self.elr.clear();
            self.last_known_elr.clear();
            return;
        }
        // Kafka goes through hash sets of integers here, whose order is ascending for small ids.
        let mut candidates = [&self.elr[..], &self.partition.isr[..]].concat();
        candidates.sort_unstable();
        candidates.dedup();
        let is_eligible = |replica: &BrokerId| !self.isr.contains(replica) && !self.unclean_shutdown.contains(replica);
        let elr: Vec<BrokerId> = candidates.iter().copied().filter(is_eligible).collect();
        candidates.extend(&self.last_known_elr);
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|replica| !self.isr.contains(replica) && !elr.contains(replica));
        self.last_known_elr = candidates;
        self.elr = elr;
    }

    fn try_election(&mut self, record: &mut PartitionChange) {
        let elected = self.elect();
        if elected.leader == self.partition.leader {
            return;
        }
        record.leader = Some(elected.leader);
        let Some(leader) = elected.leader else { return };
        if self.elr.contains(&leader) {
            self.isr = vec![leader];
            self.elr.retain(|replica| *replica != leader);
        }
        if elected.unclean {
            record.isr = Some(vec![leader]);
            if !self.partition.recovering {
                record.recovering = Some(true);
            }
        }
    }

    /// The replicas that leave must hear of it, and they follow leader epochs only.
    fn bump_leader_epoch_for_removed_replicas(&self, record: &mut PartitionChange) {
        let removed = self.partition.replicas.iter().any(|replica| !self.replicas.contains(replica));
        if record.leader.is_none() && removed {
            record.leader = Some(self.partition.leader);
        }
    }

    fn update_elr(&mut self, record: &mut PartitionChange) {
        let unclean = record.isr.is_some();
        if unclean || !self.eligible_leader_replicas {
            self.elr.clear();
            self.last_known_elr.clear();
        }
        record.elr = changed(&self.elr, &self.partition.elr);
        if !self.use_last_known_leader {
            record.last_known_elr = changed(&self.last_known_elr, &self.partition.last_known_elr);
        }
    }

    /// In production `last_known_elr` remembers the last leader of a leaderless partition, no more.
    fn update_last_known_leader(&self, record: &mut PartitionChange) {
        if !self.use_last_known_leader || !self.eligible_leader_replicas {
            return;
        }
        let remembered = !self.partition.last_known_elr.is_empty();
        match record.leader {
            Some(None) if !remembered => record.last_known_elr = self.partition.leader.map(|leader| vec![leader]),
            Some(Some(_)) if remembered => record.last_known_elr = Some(Vec::new()),
            _ => {}
        }
    }
}

fn changed(target: &[BrokerId], current: &[BrokerId]) -> Option<Vec<BrokerId>> {
    (target != current).then(|| target.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_led_last_is_forgotten_only_with_a_new_leader() {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let mut partition = PartitionRegistration::new(ids(&[1, 2, 3]), ids(&[1]));
        partition.last_known_elr = ids(&[2]);
        let alive = |_| true;
        let mut builder = PartitionChangeBuilder::new(&partition, Uuid::from_u128(1), 0, &alive, 2);
        builder.eligible_leader_replicas = true;
        builder.isr = ids(&[1, 3]);
        let grown = builder.build().unwrap();
        assert_eq!((grown.isr, grown.leader, grown.last_known_elr), (Some(ids(&[1, 3])), None, None));
        partition.leader = None;
        let mut builder = PartitionChangeBuilder::new(&partition, Uuid::from_u128(1), 0, &alive, 2);
        builder.eligible_leader_replicas = true;
        let elected = builder.build().unwrap();
        assert_eq!((elected.leader, elected.last_known_elr), (Some(Some(BrokerId(1))), Some(Vec::new())));
    }
}
