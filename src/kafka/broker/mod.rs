//! A broker: composition and routing of its log, replicas, quorum observer, group coordinator and
//! life cycle. When logic grows here, a room is missing.

mod add_partitions;
pub mod alter_partition;
pub mod controller_channel;
mod coordinators;
mod delete_records;
mod disk;
mod fetch;
mod fetch_session;
pub mod forwarding;
pub mod lifecycle;
mod list_offsets;
mod maintenance;
pub mod metadata;
mod partitions;
pub mod persister;
mod process;
mod produce;
pub mod producer_ids;
mod purgatory;
mod read_replica;
mod share_answers;
mod share_fetch;
mod share_partitions;
pub mod share_sessions;
pub mod share_states;
mod throttle;
mod txn_markers;
mod verification;

use std::sync::Arc;

use crate::kafka::config::{BrokerConfig, TopicConfig};
use crate::kafka::controller::image::MetadataImage;
use crate::kafka::controller::snapshot::SnapshotTimer;
use crate::kafka::coordinator::CoordinatorType;
use crate::kafka::fact::Fact;
use crate::kafka::group::GroupCoordinator;
use crate::kafka::log::Log;
use crate::kafka::node::{Alarm, Command, Input, Node, Turn};
use crate::kafka::quorum::Quorum;
use crate::kafka::replica::fetcher::Fetcher;
use crate::kafka::replica::{Liveness, Partition};
use crate::kafka::share_coordinator::ShareCoordinator;
use crate::kafka::transaction::TransactionCoordinator;
use crate::sorted::{SortedMap, SortedSet};
use crate::time::Instant;
use crate::wire::{
    BrokerEpoch, BrokerId, ControllerId, Correlation, ErrorCode, LeaderEpoch, NodeId, Request, StrBytes, TopicName,
    TopicPartition,
};

pub use disk::{Disk, Folder};
pub use fetch_session::{Session, SessionKey, Sessions};

use add_partitions::AddPartitionsManager;
use alter_partition::AlterPartitionManager;
use delete_records::DelayedDelete;
use forwarding::Forwarder;
use lifecycle::BrokerLifecycle;
use maintenance::Timers;
use metadata::TopicCreation;
use persister::Persister;
use produce::DelayedProduce;
use producer_ids::ProducerIds;
use purgatory::Purgatory;
use share_partitions::Shares;
use share_states::OnItsWay;
use throttle::ReplicationQuota;
use txn_markers::DelayedMarkers;
use verification::Verifying;

/// A machine with its disk, and the process if it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    id: BrokerId,
    config: Arc<BrokerConfig>,
    /// The controllers of the set-up: the configured voters, or `controller.quorum.bootstrap.servers`.
    controllers: Arc<Vec<ControllerId>>,
    rack: Option<StrBytes>,
    disk: Disk,
    process: Option<Box<Process>>,
}

/// Everything that dies with the process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    id: BrokerId,
    config: Arc<BrokerConfig>,
    quorum: Quorum,
    /// The committed metadata, as far as it was replayed here.
    image: MetadataImage,
    snapshots: SnapshotTimer,
    /// Whether the image is acted upon: not before the broker has caught up with its registration.
    published: bool,
    /// Requests that came before that.
    held: Vec<(NodeId, Correlation, Request)>,
    lifecycle: BrokerLifecycle,
    alter_partition: AlterPartitionManager,
    forwarder: Forwarder,
    producer_ids: ProducerIds,
    topic_creation: TopicCreation,
    groups: GroupCoordinator,
    transactions: TransactionCoordinator,
    share_coordinator: ShareCoordinator,
    persister: Persister,
    /// What the group coordinator waits for.
    group_states: Vec<OnItsWay>,
    shares: Shares,
    add_partitions: AddPartitionsManager,
    /// Requests of transactions that the coordinators do not know of yet.
    verifying: SortedMap<u64, Verifying>,
    /// Numbers them.
    last_verification: u64,
    replicas: SortedMap<TopicPartition, Arc<Partition>>,
    /// By leader.
    fetchers: SortedMap<BrokerId, Arc<Fetcher>>,
    sessions: Sessions,
    /// What was sent of throttled partitions lately.
    leader_quota: ReplicationQuota,
    follower_quota: ReplicationQuota,
    produces: Purgatory<DelayedProduce>,
    deletes: Purgatory<DelayedDelete>,
    markers: Purgatory<DelayedMarkers>,
    timers: Timers,
    /// When a controlled shutdown stops waiting for the controller.
    shut_down_by: Option<Instant>,
    /// The process ends with this turn.
    done: bool,
    /// The controller that the parts below were told of last.
    told_controller: Option<NodeId>,

    // What a turn has still to do; empty between turns.
    /// Partitions whose waiting requests must be looked at.
    touched: SortedSet<TopicPartition>,
    /// Partitions of which a follower's log start moved.
    low_watermark_moved: SortedSet<TopicPartition>,
    /// Partitions of coordinators whose high watermark moved here as leader.
    advanced: SortedSet<(CoordinatorType, i32)>,
    /// ISR changes were submitted, or a request of theirs was answered.
    proposed: bool,
}

/// What a broker's process is doing, for the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    Down,
    /// Not registered, or not caught up with the metadata yet.
    Starting,
    /// The controller keeps it away from clients and leadership.
    Fenced,
    Running,
    /// In a controlled shutdown.
    ShuttingDown,
}

impl Broker {
    pub fn new(
        id: BrokerId,
        config: impl Into<Arc<BrokerConfig>>,
        controllers: Vec<ControllerId>,
        rack: Option<StrBytes>,
    ) -> Broker {
        let config = config.into();
        let disk = Disk::formatted(config.kraft_version);
        Broker { id, config, controllers: Arc::new(controllers), rack, disk, process: None }
    }

    pub fn id(&self) -> BrokerId {
        self.id
    }

    pub fn rack(&self) -> Option<&StrBytes> {
        self.rack.as_ref()
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    pub fn process(&self) -> Option<&Process> {
        self.process.as_deref()
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// What the controller said to the registration of a broker that starts, if it refused it.
    pub fn registration_refused(&self) -> Option<ErrorCode> {
        self.process.as_ref().and_then(|process| process.lifecycle().refused())
    }

    /// Its listeners are open: before, a connection to it is refused (what arrives all the same waits).
    pub fn accepts_connections(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.published)
    }

    pub fn state(&self) -> ProcessState {
        self.process.as_ref().map_or(ProcessState::Down, |process| process.state())
    }

    /// A replica's log, as the disk has it.
    pub fn log(&self, partition: &TopicPartition) -> Option<&Log> {
        self.disk.folders.get(partition).map(|folder| folder.log.as_ref())
    }

    /// A replica's role, while the process runs.
    pub fn replica(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.process()?.replica(partition)
    }

    /// When this follower last fetched from it with nothing to say about a partition: it had everything then. The
    /// partition itself learns of that when it matters to it.
    pub fn idle_fetch(&self, partition: &TopicPartition, follower: BrokerId) -> Option<Instant> {
        self.process()?.idle_fetch(&self.disk, partition, follower)
    }

    /// The metadata that it has replayed, while the process runs.
    pub fn image(&self) -> Option<&MetadataImage> {
        self.process().map(Process::image)
    }

    pub fn groups(&self) -> Option<&GroupCoordinator> {
        self.process().map(Process::groups)
    }

    /// The process dies; the disk is whole.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The machine loses power: what was not flushed is gone too.
    pub fn power_off(&mut self) {
        self.process = None;
        self.disk.lose_unflushed();
    }

    /// The disk is replaced by an empty one.
    pub fn wipe(&mut self) {
        self.process = None;
        self.disk = Disk::formatted(self.config.kraft_version);
    }
}

impl Node for Broker {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if input == Input::Start {
            if self.process.is_none() {
                self.process = Some(Box::new(Process::start(self, turn)));
            }
            return;
        }
        let Some(process) = &mut self.process else { return };
        match input {
            Input::Start => {}
            Input::Deliver { from, envelope } => process.deliver(&mut self.disk, turn, from, envelope),
            Input::Disconnected { peer } => process.disconnected(&mut self.disk, turn, peer),
            Input::Alarm(_) => process.alarm(&mut self.disk, turn),
            Input::Command(Command::Shutdown) => process.shut_down(&mut self.disk, turn),
            Input::Command(_) => {}
        }
        process.settle(&mut self.disk, turn);
        if process.is_done() {
            // The clean-shutdown file says which incarnation stopped in good order.
            self.disk.close(process.broker_epoch());
            self.process = None;
            turn.tell(Fact::Stopped { node: NodeId::Broker(self.id) });
        }
    }

    fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.process.as_ref()?.next_alarm()
    }
}

/// The brokers as the metadata image knows them, and this one as it knows itself.
struct ImageLiveness<'a> {
    me: BrokerId,
    my_epoch: BrokerEpoch,
    image: &'a MetadataImage,
}

impl Liveness for ImageLiveness<'_> {
    fn eligible(&self, broker: BrokerId) -> bool {
        self.image.is_active(broker)
    }

    fn broker_epoch(&self, broker: BrokerId) -> Option<BrokerEpoch> {
        if broker == self.me {
            return Some(self.my_epoch);
        }
        self.image.brokers.get(&broker).filter(|registration| !registration.fenced).map(|r| r.epoch)
    }
}

impl Process {
    /// A topic's settings over the cluster's and the broker's.
    fn topic_config(&self, topic: &TopicName) -> TopicConfig {
        let image = &self.image;
        let own = image.topics.get(topic).map(|topic| &topic.configs);
        let text = |(name, value): (&'_ StrBytes, &'_ StrBytes)| (name.to_string(), value.to_string());
        let changed = [Some(&image.cluster_configs), image.broker_configs.get(&self.id)];
        let changed: Vec<(String, String)> = changed.into_iter().flatten().flatten().map(text).collect();
        let broker = self.config.with_dynamic(changed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let own = own.into_iter().flatten();
        TopicConfig::resolve(&broker, own.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Who leads a partition: as this broker's replica knows it, else as the metadata says (KIP-951).
fn leader_hint(
    image: &MetadataImage,
    replicas: &SortedMap<TopicPartition, Arc<Partition>>,
    partition: &TopicPartition,
) -> Option<(BrokerId, LeaderEpoch)> {
    if let Some(replica) = replicas.get(partition) {
        return Some((replica.leader()?, replica.leader_epoch()));
    }
    let registration = image.partition(partition)?;
    Some((registration.leader?, registration.leader_epoch))
}

/// Where a broker is, for hints in answers.
struct Endpoint {
    name: StrBytes,
    port: i32,
    rack: Option<StrBytes>,
}

fn endpoint(image: &MetadataImage, broker: BrokerId) -> Option<Endpoint> {
    let registration = image.brokers.get(&broker).filter(|registration| !registration.fenced)?;
    let name = StrBytes::from_string(format!("broker-{}", broker.0));
    Some(Endpoint { name, port: 9092, rack: registration.rack.clone() })
}
