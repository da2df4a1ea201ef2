//! The life of brokers: registration, heartbeats, fencing, controlled shutdown
//! (ClusterControlManager; ReplicationControlManager.handleBroker…).

use crate::kafka::controller::decide::{Decider, Decision};
use crate::kafka::controller::image::PartitionRegistration;
use crate::kafka::controller::liveness::{BrokerState, Wish};
use crate::kafka::controller::reassignment::without;
use crate::kafka::controller::record::MetadataRecord;
use crate::time::Instant;
use crate::wire::messages::{
    BrokerHeartbeatRequest, BrokerRegistrationRequest, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, Offset, str_bytes};

/// Which broker changes how, for the partitions that it concerns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BrokerChange {
    /// It leaves the ISRs and leads nothing.
    Leaves(BrokerId),
    /// It may lead again.
    Returns(BrokerId),
    /// It came back from a crash: it may have lost records, so it is eligible nowhere (KIP-966).
    LostRecords(BrokerId),
}

impl Decider<'_> {
    /// ClusterControlManager.registerBroker: the epoch of the registration, and whether it is fenced.
    pub fn register_broker(
        &self,
        request: &BrokerRegistrationRequest,
        now: Instant,
    ) -> Result<Decision<(BrokerEpoch, bool)>, ErrorCode> {
        let broker = request.broker_id;
        let existing = self.image.brokers.get(&broker);
        let same_incarnation = existing.filter(|existing| existing.incarnation == request.incarnation_id);
        if let Some(existing) = existing
            && same_incarnation.is_none()
            && self.liveness.has_valid_session(broker, existing.epoch, now)
        {
            return Err(ErrorCode::DuplicateBrokerRegistration);
        }
        let mut records = Vec::new();
        let (epoch, fenced, in_controlled_shutdown) = match same_incarnation {
            Some(same) => (same.epoch, same.fenced, same.in_controlled_shutdown),
            None => {
                let stored_epoch = existing.map(|existing| existing.epoch);
                let clean = stored_epoch == Some(BrokerEpoch(request.previous_broker_epoch));
                if clean || !self.image.has_eligible_leader_replicas() {
                    self.leader_and_isr_updates(BrokerChange::Leaves(broker), &mut records);
                } else {
                    self.leader_and_isr_updates(BrokerChange::LostRecords(broker), &mut records);
                }
                (BrokerEpoch(self.next_offset().0), true, false)
            }
        };
        records.push(MetadataRecord::RegisterBroker {
            broker,
            incarnation: request.incarnation_id,
            epoch,
            rack: request.rack.clone(),
            fenced,
            in_controlled_shutdown,
        });
        Ok(Decision { records, response: (epoch, fenced) })
    }

    /// ReplicationControlManager.processBrokerHeartbeat: whether the broker has caught up with its
    /// own registration, and what it is from now on.
    pub fn heartbeat(&self, request: &BrokerHeartbeatRequest) -> Result<Decision<(bool, BrokerState)>, ErrorCode> {
        let (broker, epoch) = (request.broker_id, BrokerEpoch(request.broker_epoch));
        self.check_broker_epoch(broker, epoch)?;
        let registration = self.image.brokers.get(&broker).ok_or(ErrorCode::StaleBrokerEpoch)?;
        let metadata_offset = Offset(request.current_metadata_offset);
        let wish = Wish { fence: request.want_fence, shut_down: request.want_shut_down, metadata_offset };
        let (state, next) = self
            .liveness
            .next_state(broker, wish, registration.registered_at, || self.leads_something(broker))
            .ok_or(ErrorCode::StaleBrokerEpoch)?;
        let mut records = Vec::new();
        if state != next {
            match next {
                BrokerState::Fenced | BrokerState::ShutdownNow => self.fence_broker(broker, &mut records),
                BrokerState::Unfenced => self.unfence_broker(broker, &mut records),
                BrokerState::ControlledShutdown => self.begin_controlled_shutdown(broker, &mut records),
            }
        }
        let caught_up = metadata_offset >= registration.registered_at;
        Ok(Decision { records, response: (caught_up, next) })
    }

    /// ReplicationControlManager.unregisterBroker: whether the broker lives or not.
    pub fn unregister_broker(&self, request: &UnregisterBrokerRequest) -> Decision<UnregisterBrokerResponse> {
        let broker = request.broker_id;
        let mut response = UnregisterBrokerResponse::default();
        let mut records = Vec::new();
        match self.image.brokers.get(&broker) {
            Some(registration) => {
                self.leader_and_isr_updates(BrokerChange::Leaves(broker), &mut records);
                records.push(MetadataRecord::UnregisterBroker { broker, epoch: registration.epoch });
            }
            None => {
                response.error_code = ErrorCode::BrokerIdNotRegistered.code();
                let message = format!("Broker ID {} is not currently registered", broker.0);
                response.error_message = Some(str_bytes(&message));
            }
        }
        Decision { records, response }
    }

    /// The broker's session ran out (maybeFenceOneStaleBroker). Who is fenced already is fenced once more.
    pub fn fence_expired(&self, broker: BrokerId) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if self.image.brokers.contains_key(&broker) {
            self.fence_broker(broker, &mut records);
        }
        records
    }

    /// generateLeaderAndIsrUpdates over the partitions that the change concerns.
    pub fn leader_and_isr_updates(&self, change: BrokerChange, records: &mut Vec<MetadataRecord>) {
        // The image still shows the broker as it was, so the change speaks for it.
        let is_acceptable_leader = |broker: BrokerId| match change {
            BrokerChange::Leaves(changed) | BrokerChange::LostRecords(changed) if broker == changed => false,
            BrokerChange::Returns(changed) if broker == changed => true,
            _ => self.image.is_active(broker),
        };
        for (_, topic, index, partition) in self.image.partitions() {
            if !change.concerns(partition) {
                continue;
            }
            let mut builder = self.builder(topic, index, partition, &is_acceptable_leader);
            match change {
                BrokerChange::Leaves(broker) => builder.isr = without(&partition.isr, &[broker]),
                BrokerChange::LostRecords(broker) => {
                    builder.isr = without(&partition.isr, &[broker]);
                    builder.unclean_shutdown = vec![broker];
                }
                BrokerChange::Returns(_) => {}
            }
            records.extend(builder.build().map(MetadataRecord::PartitionChange));
        }
    }

    fn fence_broker(&self, broker: BrokerId, records: &mut Vec<MetadataRecord>) {
        self.leader_and_isr_updates(BrokerChange::Leaves(broker), records);
        self.change_registration(broker, Some(true), None, records);
    }

    /// It rejoins no ISR by itself: only partitions without a leader look at it.
    fn unfence_broker(&self, broker: BrokerId, records: &mut Vec<MetadataRecord>) {
        self.change_registration(broker, Some(false), None, records);
        self.leader_and_isr_updates(BrokerChange::Returns(broker), records);
    }

    fn begin_controlled_shutdown(&self, broker: BrokerId, records: &mut Vec<MetadataRecord>) {
        let begun = self.image.brokers.get(&broker).is_some_and(|registration| registration.in_controlled_shutdown);
        if !begun {
            self.change_registration(broker, None, Some(true), records);
        }
        self.leader_and_isr_updates(BrokerChange::Leaves(broker), records);
    }

    fn change_registration(
        &self,
        broker: BrokerId,
        fenced: Option<bool>,
        in_controlled_shutdown: Option<bool>,
        records: &mut Vec<MetadataRecord>,
    ) {
        let epoch = self.image.brokers.get(&broker).map_or(BrokerEpoch::UNKNOWN, |registration| registration.epoch);
        records.push(MetadataRecord::BrokerRegistrationChange { broker, epoch, fenced, in_controlled_shutdown });
    }

    fn leads_something(&self, broker: BrokerId) -> bool {
        self.image.partitions().any(|(_, _, _, partition)| partition.leader == Some(broker))
    }
}

impl BrokerChange {
    fn concerns(self, partition: &PartitionRegistration) -> bool {
        match self {
            BrokerChange::Leaves(broker) => partition.isr.contains(&broker),
            BrokerChange::Returns(_) => partition.leader.is_none(),
            BrokerChange::LostRecords(broker) => partition.isr.contains(&broker) || partition.elr.contains(&broker),
        }
    }
}
