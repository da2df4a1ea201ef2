//! The active controller's own state: the image ahead of what is committed, because it replays its
//! records as soon as it has decided them, and the sessions of the brokers. All of it is dropped
//! when the controller loses its leadership: what was not committed then never happened.

use std::sync::Arc;

use crate::kafka::config::BrokerConfig;
use crate::kafka::controller::decide::{Decider, Decision};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::controller::liveness::{BrokerState, Liveness};
use crate::kafka::controller::record::MetadataRecord;
use crate::time::Instant;
use crate::wire::messages::{BrokerHeartbeatRequest, BrokerRegistrationRequest};
use crate::wire::{BrokerEpoch, BrokerId, ErrorCode, Offset};

#[derive(Clone, Debug, PartialEq)]
pub struct Ahead {
    config: Arc<BrokerConfig>,
    /// Everything appended so far, committed or not.
    pub image: MetadataImage,
    pub liveness: Liveness,
}

impl Ahead {
    /// A controller becomes active with everything committed so far.
    pub fn begin(config: Arc<BrokerConfig>, committed: MetadataImage, now: Instant) -> Ahead {
        let liveness = Liveness::begin(config.broker_session_timeout, &committed, now);
        Ahead { config, image: committed, liveness }
    }

    pub fn decider(&self) -> Decider<'_> {
        Decider { image: &self.image, liveness: &self.liveness, config: &self.config }
    }

    pub fn replay(&mut self, records: &[MetadataRecord]) {
        for record in records {
            self.image.replay(record);
        }
    }

    /// Registers a broker: its epoch.
    pub fn register(
        &mut self,
        request: &BrokerRegistrationRequest,
        now: Instant,
    ) -> Result<Decision<BrokerEpoch>, ErrorCode> {
        let Decision { records, response: (epoch, fenced) } = self.decider().register_broker(request, now)?;
        self.liveness.register(request.broker_id, epoch, fenced, now);
        self.replay(&records);
        Ok(Decision { records, response: epoch })
    }

    /// A heartbeat: whether the broker has caught up, and what it is from now on. Costs nothing but
    /// the broker's own entry as long as nothing changes.
    pub fn heartbeat(
        &mut self,
        request: &BrokerHeartbeatRequest,
        now: Instant,
    ) -> Result<Decision<(bool, BrokerState)>, ErrorCode> {
        let decision = self.decider().heartbeat(request)?;
        let (broker, (_, state)) = (request.broker_id, decision.response);
        self.liveness.touch(broker, state, Offset(request.current_metadata_offset), now);
        self.replay(&decision.records);
        if state == BrokerState::ControlledShutdown {
            self.liveness.begin_controlled_shutdown(broker, self.image.offset);
        }
        Ok(decision)
    }

    /// One sweep over the sessions: fences at most one broker, the one silent for longest. `None` when
    /// every session is valid.
    pub fn fence_one_expired(&mut self, now: Instant) -> Option<(BrokerId, Vec<MetadataRecord>)> {
        let broker = self.liveness.take_expired(now)?;
        let records = self.decider().fence_expired(broker);
        self.liveness.fence(broker);
        self.replay(&records);
        Some((broker, records))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Uuid;

    #[test]
    fn who_is_fenced_already_is_fenced_once_more_when_its_session_ends() {
        let mut ahead = Ahead::begin(Arc::new(BrokerConfig::default()), MetadataImage::new(), Instant::ZERO);
        let mut request = BrokerRegistrationRequest::default();
        request.broker_id = BrokerId(1);
        ahead.register(&request, Instant::ZERO).unwrap();
        assert_eq!(ahead.fence_one_expired(Instant::from_millis(9_000)), None);
        let (broker, records) = ahead.fence_one_expired(Instant::from_millis(9_001)).unwrap();
        assert_eq!(broker, BrokerId(1));
        assert!(matches!(records[..], [MetadataRecord::BrokerRegistrationChange { fenced: Some(true), .. }]));
        assert_eq!(ahead.fence_one_expired(Instant::from_millis(9_002)), None);
    }

    #[test]
    fn a_registration_that_is_amended_ends_no_controlled_shutdown() {
        let mut ahead = Ahead::begin(Arc::new(BrokerConfig::default()), MetadataImage::new(), Instant::ZERO);
        let mut request = BrokerRegistrationRequest::default();
        request.broker_id = BrokerId(1);
        let epoch = ahead.register(&request, Instant::ZERO).unwrap().response;
        let mut heartbeat = BrokerHeartbeatRequest::default();
        (heartbeat.broker_id, heartbeat.broker_epoch) = (BrokerId(1), epoch.0);
        ahead.heartbeat(&heartbeat, Instant::ZERO).unwrap();
        ahead.liveness.begin_controlled_shutdown(BrokerId(1), Offset(7));
        ahead.register(&request, Instant::ZERO).unwrap();
        assert!(ahead.liveness.is_shutting_down(BrokerId(1)));
        request.incarnation_id = Uuid::from_u128(2);
        ahead.register(&request, Instant::from_millis(9_001)).unwrap();
        assert!(!ahead.liveness.is_shutting_down(BrokerId(1)));
    }
}
