//! The share coordinator as the broker drives it: partitions that are read and let go, decisions that
//! are appended and committed.

use bytes::Bytes;

use crate::kafka::controller::image::MetadataImage;
use crate::kafka::coordinator::record::new_record;
use crate::kafka::coordinator::{Append, Log, Logged, Runtime, StateMachine, Write};
use crate::kafka::node::Turn;
use crate::kafka::share_coordinator::records::ShareRecord;
use crate::kafka::share_coordinator::state::{States, replay};
use crate::kafka::share_coordinator::{Decided, ShareCoordinator};
use crate::wire::{ErrorCode, LeaderEpoch, Offset};

impl StateMachine for ShareCoordinator {
    type Record = ShareRecord;
    type Decision = Decided;

    fn runtime(&self) -> &Runtime<Decided> {
        &self.runtime
    }

    fn runtime_mut(&mut self) -> &mut Runtime<Decided> {
        &mut self.runtime
    }

    fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<ShareRecord> {
        ShareRecord::decode(key, value)
    }

    fn batch(write: &Write<Decided>) -> Append {
        let records: Vec<_> = write.what.record.iter().map(|record| new_record(write.at, record.encode())).collect();
        Append::plain(write.partition, &records)
    }

    fn read(
        &mut self,
        turn: &mut Turn<'_>,
        _: &MetadataImage,
        partition: i32,
        epoch: LeaderEpoch,
        log: Log<ShareRecord>,
    ) {
        self.unload(turn, partition);
        let mut states = States::new();
        for (_, logged) in log {
            if let Logged::Record(record, _) = logged {
                replay(&mut states, &record, self.settings.updates_per_snapshot);
            }
        }
        self.shards.insert(partition, states);
        self.runtime.open(partition, epoch);
        self.runtime.load(partition);
    }

    fn unload(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.shards.remove(&partition);
        for write in self.runtime.close(partition) {
            self.finish(turn, write.what, Err(ErrorCode::NotCoordinator));
        }
        self.decide(turn);
    }

    fn written(&mut self, turn: &mut Turn<'_>, write: Write<Decided>, base: Offset) {
        if let (Some(states), Some(record)) = (self.shards.get_mut(&write.partition), &write.what.record) {
            replay(states, record, self.settings.updates_per_snapshot);
        }
        self.runtime.defer(Write { end: base.next(), ..write });
        self.decide(turn);
    }

    fn failed(&mut self, turn: &mut Turn<'_>, write: Write<Decided>, error: ErrorCode) {
        self.finish(turn, write.what, Err(error));
        self.decide(turn);
    }

    fn happened(&mut self, turn: &mut Turn<'_>, write: Write<Decided>) {
        self.finish(turn, write.what, Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::config::BrokerConfig;
    use crate::kafka::controller::image::MetadataImage;
    use crate::kafka::controller::record::{MetadataRecord, PartitionRegistration};
    use crate::kafka::coordinator::Coordinator;
    use crate::kafka::node::{Alarm, Effects};
    use crate::kafka::share::RecordState;
    use crate::time::{Duration, Instant};
    use crate::wire::batch::Batch;
    use crate::wire::messages::{
        InitializeShareGroupStateRequest, ReadShareGroupStateRequest, WriteShareGroupStateRequest,
        initialize_share_group_state_request as initialize, read_share_group_state_request as read,
        write_share_group_state_request as write,
    };
    use crate::wire::{
        Body, BrokerId, ClientId, Correlation, NodeId, Request, Response, SHARE_STATE_TOPIC, Uuid, error, str_bytes,
        topic_name,
    };

    const TOPIC: Uuid = Uuid::from_u128(1);
    const FROM: NodeId = NodeId::Client(ClientId(1));

    /// A coordinator of the one partition of the state topic, with the partition's log.
    struct OneLog {
        coordinator: ShareCoordinator,
        image: MetadataImage,
        effects: Effects,
        log: Vec<Batch>,
        asked: u64,
    }

    impl OneLog {
        fn new(log: Vec<Batch>) -> OneLog {
            let mut image = MetadataImage::new();
            for (id, name, partitions) in [(Uuid::from_u128(9), SHARE_STATE_TOPIC, 1), (TOPIC, "orders", 2)] {
                image.replay(&MetadataRecord::Topic { name: topic_name(name), id });
                for partition in 0..partitions {
                    let registration = PartitionRegistration::new(vec![BrokerId(1)], vec![BrokerId(1)]);
                    image.replay(&MetadataRecord::Partition { topic: id, partition, registration });
                }
            }
            let mut effects = Effects::new(1);
            let mut coordinator = ShareCoordinator::new(&BrokerConfig::default());
            let mut turn = Turn::new(Instant::ZERO, &mut effects);
            coordinator.elected(&mut turn, &image, 0, LeaderEpoch(1), &mut log.iter().cloned());
            let mut one = OneLog { coordinator, image, effects, log, asked: 0 };
            one.commit();
            one
        }

        /// Asks, and appends what is decided.
        fn ask(&mut self, request: impl Into<Request>) {
            self.asked += 1;
            let mut turn = Turn::new(Instant::ZERO, &mut self.effects);
            let (image, correlation) = (&self.image, Correlation(self.asked));
            self.coordinator.handle(&mut turn, image, FROM, correlation, &request.into());
            loop {
                let appends = self.coordinator.take_appends();
                if appends.is_empty() {
                    return;
                }
                for Append { batch, .. } in appends {
                    let base = self.log.last().map_or(Offset::ZERO, Batch::next_offset);
                    let batch = Batch::split_first(&mut batch.clone(), true).expect("a whole batch");
                    self.log.push(batch.stamped(base, LeaderEpoch(1)));
                    self.coordinator.appended(&mut turn, 0, Ok(base));
                }
            }
        }

        fn commit(&mut self) {
            let end = self.log.last().map_or(Offset::ZERO, Batch::next_offset);
            self.coordinator.committed(&mut Turn::new(Instant::ZERO, &mut self.effects), 0, end);
        }

        /// What was answered since the last look.
        fn answers(&mut self) -> Vec<Response> {
            let sends = std::mem::take(&mut self.effects.sends).into_iter();
            sends
                .filter_map(|(_, envelope)| if let Body::Response(r) = envelope.body { Some(r) } else { None })
                .collect()
        }
    }

    fn initialize(partitions: &[i32]) -> InitializeShareGroupStateRequest {
        let partition =
            |at: &i32| initialize::PartitionData::default().with_partition(*at).with_start_offset(i64::from(*at));
        let topic = initialize::InitializeStateData::default()
            .with_topic_id(TOPIC)
            .with_partitions(partitions.iter().map(partition).collect());
        InitializeShareGroupStateRequest::default().with_group_id(str_bytes("g")).with_topics(vec![topic])
    }

    fn write(first: i64) -> WriteShareGroupStateRequest {
        let batch = write::StateBatch::default()
            .with_first_offset(first)
            .with_last_offset(first)
            .with_delivery_state(RecordState::Acknowledged.id())
            .with_delivery_count(1);
        let partition =
            write::PartitionData::default().with_partition(0).with_start_offset(-1).with_state_batches(vec![batch]);
        let topic = write::WriteStateData::default().with_topic_id(TOPIC).with_partitions(vec![partition]);
        WriteShareGroupStateRequest::default().with_group_id(str_bytes("g")).with_topics(vec![topic])
    }

    fn read() -> ReadShareGroupStateRequest {
        let partition = read::PartitionData::default().with_partition(0).with_leader_epoch(0);
        let topic = read::ReadStateData::default().with_topic_id(TOPIC).with_partitions(vec![partition]);
        ReadShareGroupStateRequest::default().with_group_id(str_bytes("g")).with_topics(vec![topic])
    }

    fn initialized() -> OneLog {
        let mut one = OneLog::new(Vec::new());
        one.ask(initialize(&[0, 1, 7]));
        assert_eq!(one.answers(), [], "nothing is committed yet");
        one.commit();
        let answers = one.answers();
        let [Response::InitializeShareGroupState(answer)] = answers.as_slice() else { panic!("{answers:?}") };
        let codes = answer.results[0].partitions.iter().map(|p| (p.partition, error(p.error_code)));
        let missing = Some(ErrorCode::UnknownTopicOrPartition);
        assert_eq!(codes.collect::<Vec<_>>(), [(0, None), (1, None), (7, missing)]);
        one
    }

    #[test]
    fn a_request_is_answered_when_everything_it_asks_for_is_committed() {
        let mut one = initialized();
        one.ask(write(0));
        one.ask(read());
        assert_eq!(one.answers(), [], "what is read may not be committed yet");
        one.commit();
        let answers = one.answers();
        let [Response::WriteShareGroupState(_), Response::ReadShareGroupState(read)] = answers.as_slice() else {
            panic!("{answers:?}")
        };
        assert_eq!(read.results[0].partitions[0].state_batches.len(), 1);
        assert_eq!(one.coordinator.next_alarm(), None);
    }

    #[test]
    fn the_next_leader_reads_the_log_and_knows_the_same() {
        let mut one = initialized();
        for first in [0, 1, 5] {
            one.ask(write(first));
        }
        one.commit();
        let next = OneLog::new(one.log);
        let states = |one: &ShareCoordinator| one.states().map(|(k, s)| (k.clone(), s.clone())).collect::<Vec<_>>();
        assert_eq!(states(&next.coordinator), states(&one.coordinator));
        assert_eq!(states(&next.coordinator)[0].1.batches().len(), 2);
    }

    #[test]
    fn who_waits_is_told_when_the_leader_resigns_and_when_it_takes_too_long() {
        let mut one = initialized();
        one.ask(write(0));
        let late = Instant::ZERO + Duration::from_secs(5);
        assert_eq!(one.coordinator.next_alarm(), Some((late, Alarm::ShareCoordinator)));
        one.coordinator.alarm(&mut Turn::new(late, &mut one.effects));
        one.ask(write(1));
        one.coordinator.resigned(&mut Turn::new(late, &mut one.effects), 0);
        one.ask(write(2));
        let errors = one.answers().into_iter().map(|answer| {
            let Response::WriteShareGroupState(answer) = answer else { panic!("{answer:?}") };
            error(answer.results[0].partitions[0].error_code)
        });
        let expected = [
            Some(ErrorCode::CoordinatorNotAvailable),
            Some(ErrorCode::NotCoordinator),
            Some(ErrorCode::NotCoordinator),
        ];
        assert_eq!(errors.collect::<Vec<_>>(), expected);
    }
}
